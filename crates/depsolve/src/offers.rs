//! What the packages of a repository offer: provides by name, files by path, and which of them meet a relation.

use rpm::{ConstraintRef, Dep, Op, Relation, Rich};

use crate::arrays::{Rows, Strings, Table, prefetch};

/// No string, no version range: whatever the context, nothing.
pub(crate) const NONE: u32 = u32::MAX;

/// An interned version: epoch, version, release as string numbers; the release may be [`NONE`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct EvrWords {
    pub(crate) epoch: u32,
    pub(crate) version: u32,
    pub(crate) release: u32,
}

/// An operator and an interned version in one word.
pub(crate) fn pack_range(op: Op, evr: u32) -> u32 {
    evr << 3 | op as u32
}

pub(crate) fn unpack_op(range: u32) -> Op {
    match range & 7 {
        0 => Op::Lt,
        1 => Op::Le,
        2 => Op::Eq,
        3 => Op::Ge,
        _ => Op::Gt,
    }
}

/// Who provides what.
#[derive(Debug, Clone, Default)]
pub(crate) struct Offers {
    pub(crate) strings: Strings,
    pub(crate) evrs: Vec<EvrWords>,
    /// String number to packages that provide this name, ascending, one entry for each provide.
    pub(crate) provides: Rows,
    /// Beside `provides.data`: the range that is provided, or [`NONE`] for any.
    pub(crate) ranges: Vec<u32>,
    /// String numbers of the known paths, ascending.
    pub(crate) paths: Vec<u32>,
    /// Beside `paths`: 1 when some package has a relation on it. Then owning the path is the same as providing it in any version;
    /// a path that only requests name is looked up among provides first, and among files only without success.
    pub(crate) related: Vec<u8>,
    /// Beside `paths`: packages that own the path, ascending.
    pub(crate) owners: Rows,
}

/// Whether a dependency is met by packages only, or also by the system itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum MetBy {
    Packages,
    System,
}

impl Offers {
    /// An index of names that something provides, and of known paths. Nobody needs to find the others.
    pub(crate) fn table(&self) -> Table {
        let Offers { strings, provides, paths, .. } = self;
        let is_provided = |name: &u32| {
            let name = *name as usize;
            name < provides.len() && provides.offsets[name] < provides.offsets[name + 1]
        };
        let provided = (0..provides.len() as u32).filter(is_provided);
        let others = paths.iter().copied().filter(|path| !is_provided(path));
        strings.table_of(provided.chain(others))
    }

    /// Asks the processor for what will be needed to find who provides these. Where it is is a matter of chance, so all
    /// is asked for before the first is waited for. Adds the hash of each name for [`Offers::relation_hashed`], and
    /// something for each rich one. `found` is scratch.
    pub(crate) fn announce(&self, wanted: &[Dep], found: &mut Vec<u32>, hashes: &mut Vec<u64>) {
        hashes.clear();
        hashes.extend(wanted.iter().map(|dep| match dep {
            Dep::Relation(relation) => self.strings.announce(&relation.name),
            Dep::Rich(_) => 0,
        }));
        found.clear();
        found.extend(hashes.iter().filter_map(|hash| self.strings.announce_ends(*hash)));
        for name in found.iter() {
            self.strings.announce_text(*name);
            if let Some(offset) = self.provides.offsets.get(*name as usize) {
                prefetch(offset);
            }
        }
    }

    pub(crate) fn constraint(&self, range: u32) -> Option<ConstraintRef<'_>> {
        if range == NONE {
            return None;
        }
        let words = self.evrs[(range >> 3) as usize];
        Some(ConstraintRef {
            op: unpack_op(range),
            epoch: words.epoch,
            version: self.strings.get(words.version),
            release: (words.release != NONE).then(|| self.strings.get(words.release)),
        })
    }

    /// Appends the packages that meet a relation, ascending.
    pub(crate) fn providers(
        &self,
        name: &str,
        wanted: Option<ConstraintRef<'_>>,
        into: &mut Vec<u32>,
    ) -> MetBy {
        self.providers_of(name, self.strings.find(name), wanted, into)
    }

    /// The same; `known` is the number of the name, if anybody has named it.
    pub(crate) fn providers_of(
        &self,
        name: &str,
        known: Option<u32>,
        wanted: Option<ConstraintRef<'_>>,
        into: &mut Vec<u32>,
    ) -> MetBy {
        let start = into.len();
        if let Some(known) = known {
            self.named(known, name.starts_with('/'), wanted, into);
        }
        // What rpm itself understands is no package's business.
        if into.len() == start && wanted.is_some() && name.starts_with("rpmlib(") {
            return MetBy::System;
        }
        MetBy::Packages
    }

    fn named(
        &self,
        name: u32,
        is_path: bool,
        wanted: Option<ConstraintRef<'_>>,
        into: &mut Vec<u32>,
    ) {
        let start = into.len();
        if (name as usize) < self.provides.len() {
            let (from, to) = (
                self.provides.offsets[name as usize] as usize,
                self.provides.offsets[name as usize + 1] as usize,
            );
            for i in from..to {
                let package = self.provides.data[i];
                if into.len() > start && into[into.len() - 1] == package {
                    continue;
                }
                let met = match (wanted, self.constraint(self.ranges[i])) {
                    (Some(wanted), Some(provided)) => provided.overlaps(wanted),
                    _ => true,
                };
                if met {
                    into.push(package);
                }
            }
        }
        if is_path
            && let Ok(place) = self.paths.binary_search(&name)
            && (self.related[place] != 0 || (wanted.is_none() && into.len() == start))
        {
            let owners = self.owners.row(place as u32);
            if !owners.is_empty() {
                into.extend_from_slice(owners);
                sort_from(into, start);
            }
        }
    }

    /// About how much there is to look at to find the providers of a dependency: provides and owners of its names, long
    /// versions counted several times.
    pub(crate) fn comparisons(&self, dep: &Dep) -> usize {
        let mut count = 0_usize;
        dep.for_each_relation(&mut |relation| {
            if let Some(name) = self.strings.find(&relation.name) {
                let version = relation.constraint.as_ref().map_or(0, |c| c.version.len());
                count = count.saturating_add(self.comparisons_with(name, version));
            }
        });
        count
    }

    /// The same for a name and the length of a version.
    pub(crate) fn comparisons_with(&self, name: u32, version: usize) -> usize {
        let provides =
            if (name as usize) < self.provides.len() { self.provides.row(name).len() } else { 0 };
        let owners = self.paths.binary_search(&name);
        let owners = owners.map_or(0, |place| self.owners.row(place as u32).len());
        provides.saturating_mul(1 + version / 64).saturating_add(owners)
    }

    pub(crate) fn relation(&self, relation: &Relation, into: &mut Vec<u32>) -> MetBy {
        let wanted = relation.constraint.as_ref().map(|constraint| constraint.as_ref());
        self.providers(&relation.name, wanted, into)
    }

    /// The same, by the hash of its name.
    pub(crate) fn relation_hashed(
        &self,
        relation: &Relation,
        hash: u64,
        into: &mut Vec<u32>,
    ) -> MetBy {
        let wanted = relation.constraint.as_ref().map(|constraint| constraint.as_ref());
        let known = self.strings.find_hashed(&relation.name, hash);
        self.providers_of(&relation.name, known, wanted, into)
    }

    /// The packages that may have to do with meeting a dependency: libsolv's `pool_whatprovides`. For the operators
    /// that choose packages (`or`, `with`, `without`) that is exact, for the others it is everything that could be
    /// installed for its sake.
    pub(crate) fn potential_into(&self, dep: &Dep, into: &mut Vec<u32>) -> MetBy {
        let start = into.len();
        let keep = |into: &mut Vec<u32>, wanted: &dyn Fn(&u32) -> bool| {
            let mut found = into.split_off(start);
            found.retain(wanted);
            into.append(&mut found);
        };
        let mut met = MetBy::Packages;
        match dep {
            Dep::Relation(relation) => return self.relation(relation, into),
            Dep::Rich(Rich::And(all) | Rich::Or(all)) => {
                for dep in all {
                    met = met.max(self.potential_into(dep, into));
                }
            }
            Dep::Rich(
                Rich::If { then, condition: _, otherwise }
                | Rich::Unless { then, condition: _, otherwise },
            ) => {
                met = self.potential_into(then, into);
                if let Some(otherwise) = otherwise {
                    met = met.max(self.potential_into(otherwise, into));
                }
            }
            Dep::Rich(Rich::With(all)) => {
                let Some((first, others)) = all.split_first() else { return met };
                met = self.potential_into(first, into);
                for dep in others {
                    let (some, also) = self.potential(dep);
                    keep(into, &|package| some.binary_search(package).is_ok());
                    met = met.min(also);
                }
            }
            Dep::Rich(Rich::Without(some, others)) => {
                met = self.potential_into(some, into);
                let (others, also) = self.potential(others);
                keep(into, &|package| others.binary_search(package).is_err());
                if also == MetBy::System {
                    met = MetBy::Packages;
                }
            }
        }
        sort_from(into, start);
        met
    }

    /// The same, ascending.
    pub(crate) fn potential(&self, dep: &Dep) -> (Vec<u32>, MetBy) {
        let mut found = Vec::new();
        let met = self.potential_into(dep, &mut found);
        (found, met)
    }
}

/// Puts what was added since `start` in order, without repetition.
fn sort_from(packages: &mut Vec<u32>, start: usize) {
    packages[start..].sort_unstable();
    let mut kept = start;
    for i in start..packages.len() {
        if i == start || packages[i] != packages[kept - 1] {
            packages[kept] = packages[i];
            kept += 1;
        }
    }
    packages.truncate(kept);
}
