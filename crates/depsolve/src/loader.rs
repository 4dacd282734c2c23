//! From metadata to a [`Universe`]: everything that can be known before the first question is computed here.

mod rank;
mod relate;
mod wishes;

use std::collections::{HashMap, HashSet};
use std::io::Read;
use std::sync::Arc;

use rpm::md::{self, is_primary_path};
use rpm::{Constraint, Dep, Nevra, Op, ParseError, Relation};

use crate::arch::{ARCHITECTURES, ArchPolicy};
use crate::arrays::{FastMap, RowSet, Rows};
use crate::offers::{EvrWords, MetBy, NONE, Offers, pack_range, unpack_op};
use crate::rich::is_complex;
use crate::universe::Universe;

/// Builds a [`Universe`] step by step, for those who want to know whether file lists are needed before they
/// fetch them.
///
/// ```no_run
/// # fn primary() -> std::io::Empty { std::io::empty() }
/// # fn filelists() -> std::io::Empty { std::io::empty() }
/// # fn main() -> Result<(), depsolve::LoadError> {
/// let mut loader = depsolve::Loader::new("x86_64", ["/usr/bin/python3".to_owned()]);
/// loader.primary(primary())?;
/// if loader.needs_filelists() {
///     loader.filelists(filelists())?;
/// }
/// let universe = loader.finish()?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Loader {
    /// Nothing for an architecture that is not known, which [`Loader::finish`] tells.
    policy: Option<ArchPolicy>,
    machine: String,
    universe: Universe,
    evr_ids: FastMap<EvrWords, u32>,
    /// (name, package, range) of every provide.
    provides: Vec<(u32, u32, u32)>,
    simple: FastMap<(u32, u32), u32>,
    rich: HashMap<Arc<Dep>, u32>,
    /// How many relations these consist of, and how long their names and versions are together.
    operands: usize,
    operand_text: usize,
    deps: Vec<Kind>,
    conflicts: Rows,
    obsoletes: Rows,
    recommends: Rows,
    suggests: Rows,
    supplements: Rows,
    enhances: Rows,
    /// Files of primary, back to back, with owner and end.
    file_text: String,
    files: Vec<(u32, u32)>,
    /// Key of each package in filelists.
    checksums: Vec<String>,
    /// Paths that requests will ask for, and those within rich dependencies of packages.
    wanted: Vec<u32>,
    related: Vec<u32>,
    /// (path, owner)
    owned: Vec<(u32, u32)>,
    left_out: LeftOut,
}

/// Relations of packages that nobody understands. They are left out, as libsolv does.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// How many there are.
    pub count: usize,
    /// The package that has the first one, and what is wrong with it.
    pub first: Option<(Nevra, ParseError)>,
}

/// A dependency: simple (name and range) or rich.
#[derive(Debug)]
enum Kind {
    Simple { name: u32, range: u32 },
    Rich(Arc<Dep>),
}

/// How long all names, versions and paths of a repository may be together. Debian has 20 MB.
const MAX_TEXT: usize = 256 << 20;

/// How many packages a repository may have, and how many relations and files its packages may have together. Debian has
/// 64,000 and 700,000.
const MAX_PACKAGES: usize = 1 << 20;
const MAX_RELATIONS: usize = 1 << 24;

/// As how many relations one counts that is part of a rich dependency: trees take more memory.
const OPERAND: usize = 4;

/// How many pairs of packages may have to do with each other, counted separately for those that exclude each other,
/// for lists of providers, and so on. Debian's lists have 50,000 members. With this the arrays stay under a gigabyte.
const MAX_PAIRS: usize = 1 << 24;

/// How often a provide may be compared with a relation on its name. Debian needs 150,000 comparisons.
const MAX_COMPARISONS: usize = 1 << 26;

/// How many literals may be looked at to turn the rich dependencies of all packages into clauses. Real repositories need
/// some ten thousand.
const MAX_EFFORT: usize = 1 << 28;

/// Why a repository cannot be loaded.
///
/// # Bounds
///
/// Whatever a repository says, loading it ends, with these bounds and those of [`rpm::md`](rpm::md#bounds):
///
/// | what | at most | Debian 12 |
/// | --- | --- | --- |
/// | packages | 1,048,576 | 64,000 |
/// | relations and files in primary.xml, those within rich dependencies counted four times | 16,777,216 | 700,000 |
/// | names, versions and paths together | 256 MiB | 20 MB |
/// | members of all distinct lists of providers; likewise: pairs that exclude each other, literals of rich dependencies, owners of paths that somebody asks for | 16,777,216 each | 50,000 |
/// | provides compared with relations on their names; likewise packages with those that obsolete their names | 67,108,864 | 150,000 |
/// | literals looked at to make clauses of one rich dependency, and of all | 4,194,304, 268,435,456 | 100 |
///
/// That takes less than 4 GiB and some minutes for what was made to reach all bounds at once; the tests hold inputs
/// that were made to exceed one of them to 2 GiB and a minute. A single question has bounds of its own:
/// [`Limits`](crate::Limits).
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// Its metadata cannot be read.
    #[error(transparent)]
    Metadata(#[from] md::Error),
    /// Its packages have more to do with each other than those of any real repository: that many versions of one name,
    /// or that many relations between all packages and all others.
    #[error(
        "the packages of the repository have too much to do with each other: there are more than {limit} {what} \
         (counted up to {at}); it has to offer fewer versions of each package"
    )]
    TooEntangled {
        /// What there is too much of.
        what: &'static str,
        /// How much is allowed.
        limit: usize,
        /// The package or relation at which the bound was passed.
        at: String,
    },
    /// Nothing is known about that kind of machine.
    #[error(
        "packages cannot be resolved for the architecture {arch}; known are {}",
        ARCHITECTURES.join(", ")
    )]
    UnknownArchitecture {
        /// What was asked for.
        arch: String,
    },
}

impl LoadError {
    /// Whether trying again may help.
    pub fn is_transient(&self) -> bool {
        match self {
            LoadError::Metadata(error) => error.is_transient(),
            LoadError::TooEntangled { .. } | LoadError::UnknownArchitecture { .. } => false,
        }
    }
}

/// What is named comes from outside, and is part of a sentence.
fn too_entangled(what: &'static str, limit: usize, at: &str) -> LoadError {
    const SHOWN: usize = 200;
    let mut shown: String = at.chars().take(SHOWN).collect();
    if shown.len() < at.len() {
        shown.push('…');
    }
    LoadError::TooEntangled { what, limit, at: shown }
}

/// Refuses a number of pairs that only a repository made for it has.
fn check_pairs(
    count: usize,
    what: &'static str,
    at: impl FnOnce() -> String,
) -> Result<(), LoadError> {
    if count > MAX_PAIRS { Err(too_entangled(what, MAX_PAIRS, &at())) } else { Ok(()) }
}

/// The list of everything that the system itself provides; a list number that no list has.
const SYSTEM: u32 = NONE;

impl Loader {
    /// For a machine of this architecture. `wanted_paths`: file names that requests will ask for, besides those that
    /// packages ask for; only such paths are found by a request later.
    pub fn new(arch: &str, wanted_paths: impl IntoIterator<Item = String>) -> Self {
        let mut universe = Universe::default();
        let strings = &mut universe.offers.strings;
        let wanted = wanted_paths
            .into_iter()
            .filter(|path| path.starts_with('/'))
            .map(|path| strings.intern(&path))
            .collect();
        universe.requires = Rows::new();
        universe.reach = Rows::new();
        universe.orphan_names = Rows::new();
        universe.versioned_provides = Rows::new();
        Loader {
            policy: ArchPolicy::new(arch),
            machine: arch.to_owned(),
            universe,
            evr_ids: FastMap::default(),
            provides: Vec::new(),
            simple: FastMap::default(),
            rich: HashMap::new(),
            operands: 0,
            operand_text: 0,
            deps: Vec::new(),
            conflicts: Rows::new(),
            obsoletes: Rows::new(),
            recommends: Rows::new(),
            suggests: Rows::new(),
            supplements: Rows::new(),
            enhances: Rows::new(),
            file_text: String::new(),
            files: Vec::new(),
            checksums: Vec::new(),
            wanted,
            related: Vec::new(),
            owned: Vec::new(),
            left_out: LeftOut::default(),
        }
    }

    /// Another file name that requests will ask for, when it becomes known only after primary.xml was read.
    pub fn want(&mut self, path: &str) {
        if path.starts_with('/') {
            let path = self.universe.offers.strings.intern(path);
            self.wanted.push(path);
        }
    }

    /// Adds the packages of primary.xml (plain or compressed).
    pub fn primary(&mut self, reader: impl Read + Send) -> Result<(), md::Error> {
        self.primary_filtered(reader, |_, _| true)
    }

    /// Adds those packages of primary.xml that `keep` wants, told by their name and the file name of the source
    /// package they were built from. It is called for each package in the order of the file.
    pub fn primary_filtered(
        &mut self,
        reader: impl Read + Send,
        mut keep: impl FnMut(&Nevra, Option<&str>) -> bool,
    ) -> Result<(), md::Error> {
        md::primary::Reader::in_two_threads(reader, |reader| {
            while let Some(package) = reader.next() {
                let package = package?;
                if !keep(&package.nevra, package.source_rpm.as_deref()) {
                    continue;
                }
                let left_out = reader.not_understood();
                self.left_out.count += left_out.len();
                if let (None, Some(first)) = (&self.left_out.first, left_out.first()) {
                    self.left_out.first = Some((package.nevra.clone(), first.error.clone()));
                }
                self.add(package);
                if let Some(reason) = self.too_large() {
                    let (file, line) = ("primary.xml".to_owned(), reader.line());
                    return Err(md::Error::Malformed { file, line, reason });
                }
            }
            Ok(())
        })
    }

    /// What the packages added from primary.xml say that nobody understands.
    pub fn left_out(&self) -> &LeftOut {
        &self.left_out
    }

    /// Whether what has been added is more than any repository has.
    fn too_large(&self) -> Option<String> {
        let text =
            self.universe.offers.strings.text.len() + self.file_text.len() + self.operand_text;
        let relations = self.provides.len()
            + self.universe.requires.data.len()
            + self.conflicts.data.len()
            + self.obsoletes.data.len()
            + self.recommends.data.len()
            + self.suggests.data.len()
            + self.supplements.data.len()
            + self.enhances.data.len()
            + self.files.len()
            + self.operands.saturating_mul(OPERAND);
        if text > MAX_TEXT {
            Some(format!("names and paths of more than {MAX_TEXT} bytes"))
        } else if self.universe.names.len() > MAX_PACKAGES {
            Some(format!("more than {MAX_PACKAGES} packages"))
        } else if relations > MAX_RELATIONS {
            Some(format!("more than {MAX_RELATIONS} relations and files"))
        } else {
            None
        }
    }

    /// Adds one package, all of whose files are in `package.files`. Source packages and packages that the machine
    /// cannot run are left out.
    pub fn add(&mut self, package: md::Package) {
        let nevra = &package.nevra;
        let score = self.policy.map_or(0, |policy| policy.score(&nevra.arch));
        if nevra.is_source() || score == 0 {
            self.relate_paths(&package);
            return;
        }
        let universe = &mut self.universe;
        let id = universe.names.len() as u32;
        let strings = &mut universe.offers.strings;
        let name = strings.intern(&nevra.name);
        let version = strings.intern(&nevra.version);
        let release = strings.intern(&nevra.release);
        universe.names.push(name);
        universe.epochs.push(nevra.epoch);
        universe.versions.push(version);
        universe.releases.push(release);
        let arch =
            universe.archs.iter().position(|arch| *arch == nevra.arch).unwrap_or_else(|| {
                universe.archs.push(nevra.arch.clone());
                universe.archs.len() - 1
            });
        universe.arch.push(arch as u8);
        universe.arch_score.push(score);

        let own = EvrWords {
            epoch: nevra.epoch,
            version,
            release: if nevra.release.is_empty() { NONE } else { release },
        };
        let own = pack_range(Op::Eq, self.evr_id(own));
        for provide in &package.provides {
            let provided = self.universe.offers.strings.intern(&provide.name);
            let range = self.range(provide.constraint.as_ref());
            self.provide(provided, id, range);
        }
        self.provide(name, id, own);
        self.end_versioned_provides();

        for requirement in package.requires {
            let dep = self.dep(requirement.dep);
            self.universe.requires.data.push(dep);
        }
        self.universe.requires.end_row();
        for dep in package.conflicts {
            let dep = self.dep(dep);
            self.conflicts.data.push(dep);
        }
        self.conflicts.end_row();
        for relation in package.obsoletes {
            let dep = self.dep(Dep::Relation(relation));
            self.obsoletes.data.push(dep);
        }
        self.obsoletes.end_row();
        for dep in package.recommends {
            let dep = self.dep(dep);
            self.recommends.data.push(dep);
        }
        self.recommends.end_row();
        for dep in package.suggests {
            let dep = self.dep(dep);
            self.suggests.data.push(dep);
        }
        self.suggests.end_row();
        for dep in package.supplements {
            let dep = self.dep(dep);
            self.supplements.data.push(dep);
        }
        self.supplements.end_row();
        for dep in package.enhances {
            let dep = self.dep(dep);
            self.enhances.data.push(dep);
        }
        self.enhances.end_row();

        for path in &package.files {
            self.file_text.push_str(path);
            self.files.push((id, self.file_text.len() as u32));
        }
        self.checksums.push(package.checksum.value);
    }

    /// A path that a package asks for is looked up among files wherever it occurs, in libsolv also when the package is
    /// one that the machine cannot run.
    fn relate_paths(&mut self, package: &md::Package) {
        let strings = &mut self.universe.offers.strings;
        let related = &mut self.related;
        let mut add = |relation: &Relation| {
            if relation.name.starts_with('/') {
                related.push(strings.intern(&relation.name));
            }
        };
        for requirement in &package.requires {
            requirement.dep.for_each_relation(&mut add);
        }
        let lists = [&package.conflicts, &package.recommends, &package.suggests];
        let backward = [&package.supplements, &package.enhances];
        for dep in lists.into_iter().chain(backward).flatten() {
            dep.for_each_relation(&mut add);
        }
        package.obsoletes.iter().for_each(add);
    }

    fn evr_id(&mut self, words: EvrWords) -> u32 {
        let evrs = &mut self.universe.offers.evrs;
        *self.evr_ids.entry(words).or_insert_with(|| {
            evrs.push(words);
            evrs.len() as u32 - 1
        })
    }

    fn range(&mut self, constraint: Option<&Constraint>) -> u32 {
        let Some(constraint) = constraint else { return NONE };
        let constraint = constraint.as_ref();
        let strings = &mut self.universe.offers.strings;
        let words = EvrWords {
            epoch: constraint.epoch,
            version: strings.intern(constraint.version),
            release: constraint.release.map_or(NONE, |release| strings.intern(release)),
        };
        pack_range(constraint.op, self.evr_id(words))
    }

    /// Said twice, as what a package provides of itself mostly is, a provide counts once.
    fn end_versioned_provides(&mut self) {
        let provides = &mut self.universe.versioned_provides;
        let start = provides.offsets.last().map_or(0, |start| *start as usize);
        let mut known: HashSet<[u32; 2]> = HashSet::new();
        let mut kept = start;
        for i in (start..provides.data.len()).step_by(2) {
            let provide = [provides.data[i], provides.data[i + 1]];
            let (before, _) = provides.data[start..kept].as_chunks::<2>();
            // Most packages have a handful, some have ten thousand.
            let is_known = if before.len() < 16 {
                before.contains(&provide)
            } else {
                known.contains(&provide)
            };
            if !is_known {
                if before.len() == 15 {
                    known.extend(before);
                }
                if before.len() >= 15 {
                    known.insert(provide);
                }
                provides.data[kept..kept + 2].copy_from_slice(&provide);
                kept += 2;
            }
        }
        provides.data.truncate(kept);
        provides.end_row();
    }

    fn provide(&mut self, name: u32, package: u32, range: u32) {
        self.provides.push((name, package, range));
        if range == NONE {
            return;
        }
        let op = unpack_op(range);
        if !matches!(op, Op::Eq | Op::Le | Op::Lt) {
            return;
        }
        let words = self.universe.offers.evrs[(range >> 3) as usize];
        let version = self.universe.offers.strings.get(words.version);
        let is_hash = words.epoch == 0
            && words.release == NONE
            && version.len() >= 4
            && version.bytes().all(|c| c.is_ascii_digit() || (b'a'..=b'f').contains(&c));
        if op == Op::Eq && is_hash {
            return;
        }
        self.universe.versioned_provides.data.extend([name, range]);
    }

    fn dep(&mut self, dep: Dep) -> u32 {
        match dep {
            Dep::Relation(Relation { name, constraint }) => {
                let name = self.universe.offers.strings.intern(&name);
                let range = self.range(constraint.as_ref());
                let deps = &mut self.deps;
                *self.simple.entry((name, range)).or_insert_with(|| {
                    deps.push(Kind::Simple { name, range });
                    deps.len() as u32 - 1
                })
            }
            rich => {
                if let Some(id) = self.rich.get(&rich) {
                    return *id;
                }
                // Paths within it are wanted, too.
                let strings = &mut self.universe.offers.strings;
                let related = &mut self.related;
                rich.for_each_relation(&mut |relation| {
                    let version = relation.constraint.as_ref().map_or(0, |c| c.version.len());
                    self.operands += 1;
                    self.operand_text += relation.name.len() + version;
                    if relation.name.starts_with('/') {
                        related.push(strings.intern(&relation.name));
                    }
                });
                let rich = Arc::new(rich);
                self.deps.push(Kind::Rich(Arc::clone(&rich)));
                let id = self.deps.len() as u32 - 1;
                self.rich.insert(rich, id);
                id
            }
        }
    }

    /// Paths that packages ask for, ascending.
    fn related_paths(&self) -> Vec<u32> {
        let strings = &self.universe.offers.strings;
        let mut related = self.related.clone();
        related.extend(self.deps.iter().filter_map(|dep| match dep {
            Kind::Simple { name, .. } if strings.get(*name).starts_with('/') => Some(*name),
            _ => None,
        }));
        related.sort_unstable();
        related.dedup();
        related
    }

    /// Paths that anybody asks for, ascending.
    fn wanted_paths(&self) -> Vec<u32> {
        let mut wanted = self.related_paths();
        wanted.extend(&self.wanted);
        wanted.sort_unstable();
        wanted.dedup();
        wanted
    }

    /// Whether some path is asked for that only filelists.xml can tell. To be asked after primary.xml was read.
    pub fn needs_filelists(&self) -> bool {
        let strings = &self.universe.offers.strings;
        self.wanted_paths().into_iter().any(|path| !is_primary_path(strings.get(path)))
    }

    /// Reads filelists.xml (plain or compressed) for those paths.
    pub fn filelists(&mut self, reader: impl Read + Send) -> Result<(), md::Error> {
        let wanted = self.wanted_paths();
        let strings = &self.universe.offers.strings;
        // Millions of paths are looked up, of which hardly any is wanted.
        let wanted: FastMap<&str, u32> =
            wanted.into_iter().map(|path| (strings.get(path), path)).collect();
        let by_checksum: HashMap<&str, u32> = self
            .checksums
            .iter()
            .enumerate()
            .map(|(i, checksum)| (checksum.as_str(), i as u32))
            .collect();
        let owned = &mut self.owned;
        let mut current = String::new();
        let mut package = None;
        md::filelists::read(reader, |checksum, path| {
            if checksum != current {
                current.clear();
                current.push_str(checksum);
                package = by_checksum.get(checksum).copied();
            }
            if let (Some(package), Some(path)) = (package, wanted.get(path)) {
                // One too many tells that there are too many.
                if owned.len() <= MAX_PAIRS && owned.last() != Some(&(*path, package)) {
                    owned.push((*path, package));
                }
            }
        })
    }

    /// Computes everything that solving needs. Fails when the packages have absurdly much to do with each other.
    pub fn finish(mut self) -> Result<Universe, LoadError> {
        if self.policy.is_none() {
            return Err(LoadError::UnknownArchitecture { arch: self.machine });
        }
        self.find_owners()?;
        self.index_provides();
        self.rank();
        self.keep_contested_provides();
        let lists = self.provider_lists()?;
        self.relate(lists)?;
        self.universe.index();
        Ok(self.universe)
    }

    fn find_owners(&mut self) -> Result<(), LoadError> {
        let wanted = self.wanted_paths();
        let strings = &self.universe.offers.strings;
        let by_name: FastMap<&str, u32> =
            wanted.iter().map(|path| (strings.get(*path), *path)).collect();
        let mut start = 0;
        for (package, end) in &self.files {
            let path = &self.file_text[start..*end as usize];
            start = *end as usize;
            if let Some(path) = by_name.get(path) {
                self.owned.push((*path, *package));
            }
        }
        check_pairs(self.owned.len(), "packages that own the paths asked for", || {
            self.owned.last().map_or_else(String::new, |(path, _)| strings.get(*path).to_owned())
        })?;
        self.owned.sort_unstable();
        self.owned.dedup();
        let related = self.related_paths();
        let offers = &mut self.universe.offers;
        offers.owners = Rows::new();
        let mut owned = self.owned.iter().peekable();
        for path in wanted {
            while let Some((_, package)) = owned.next_if(|(owned, _)| *owned == path) {
                offers.owners.data.push(*package);
            }
            offers.owners.end_row();
            offers.paths.push(path);
            offers.related.push(u8::from(related.binary_search(&path).is_ok()));
        }
        self.files = Vec::new();
        self.file_text = String::new();
        Ok(())
    }

    fn index_provides(&mut self) {
        let offers = &mut self.universe.offers;
        let names = offers.strings.len();
        let pairs: Vec<(u32, u32)> =
            self.provides.iter().map(|(name, package, _)| (*name, *package)).collect();
        offers.provides = Rows::from_pairs(names, &pairs);
        let ranges: Vec<(u32, u32)> =
            self.provides.iter().map(|(name, _, range)| (*name, *range)).collect();
        offers.ranges = Rows::from_pairs(names, &ranges).data;
        self.provides = Vec::new();
    }

    /// Packages of one name, ascending.
    fn by_name(&self) -> Rows {
        let pairs: Vec<(u32, u32)> =
            self.universe.names.iter().enumerate().map(|(i, name)| (*name, i as u32)).collect();
        Rows::from_pairs(self.universe.offers.strings.len(), &pairs)
    }

    /// Refuses a repository in which finding out who provides what takes too long.
    fn check_comparisons(&self) -> Result<(), LoadError> {
        let offers = &self.universe.offers;
        let mut comparisons = 0_usize;
        for dep in &self.deps {
            let more = match dep {
                Kind::Simple { name, range } => {
                    let version = offers.constraint(*range).map_or(0, |c| c.version.len());
                    offers.comparisons_with(*name, version)
                }
                Kind::Rich(dep) => offers.comparisons(dep),
            };
            comparisons = comparisons.saturating_add(more);
            if comparisons > MAX_COMPARISONS {
                let what = "provides to be compared with relations on their names";
                return Err(too_entangled(what, MAX_COMPARISONS, &self.display(dep)));
            }
        }
        Ok(())
    }

    fn display(&self, dep: &Kind) -> String {
        let offers = &self.universe.offers;
        match dep {
            Kind::Simple { name, range: NONE } => offers.strings.get(*name).to_owned(),
            Kind::Simple { name, range } => display_relation(offers, *name, *range),
            Kind::Rich(dep) => dep.to_string(),
        }
    }

    /// The list of (potential) providers of every dependency, and its text.
    fn provider_lists(&mut self) -> Result<RowSet, LoadError> {
        let mut lists = RowSet::new();
        lists.intern(&[]);
        let mut found = Vec::new();
        let mut texts = Vec::with_capacity(self.deps.len());
        self.check_comparisons()?;
        for dep in &self.deps {
            let offers = &self.universe.offers;
            found.clear();
            let list = match dep {
                Kind::Simple { name, range } => {
                    let text = offers.strings.get(*name);
                    let wanted = offers.constraint(*range);
                    match offers.providers_of(text, Some(*name), wanted, &mut found) {
                        MetBy::System => SYSTEM,
                        MetBy::Packages => lists.intern(&found),
                    }
                }
                Kind::Rich(dep) => match offers.potential(dep) {
                    (_, MetBy::System) if !is_complex(dep) => SYSTEM,
                    (found, _) => lists.intern(&found),
                },
            };
            self.universe.dep_lists.push(list);
            let text = self.display(dep);
            check_pairs(lists.rows.data.len(), "packages in lists of providers", || text.clone())?;
            texts.push(text);
        }
        // Only what may be shown needs its text; interning makes that cheap enough for all.
        let strings = &mut self.universe.offers.strings;
        self.universe.dep_texts = texts.iter().map(|text| strings.intern(text)).collect();
        Ok(lists)
    }
}

fn display_relation(offers: &Offers, name: u32, range: u32) -> String {
    let mut text = offers.strings.get(name).to_owned();
    if let Some(constraint) = offers.constraint(range) {
        text.push(' ');
        text.push_str(constraint.op.as_str());
        text.push(' ');
        if constraint.epoch != 0 {
            text.push_str(&format!("{}:", constraint.epoch));
        }
        text.push_str(constraint.version);
        if let Some(release) = constraint.release {
            text.push('-');
            text.push_str(release);
        }
    }
    text
}
