//! From metadata to a [`Universe`]: everything that can be known before the first question is computed here.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::io::Read;

use rpm::md::{self, is_primary_path};
use rpm::{Constraint, Dep, Op, Relation, rpmvercmp};

use crate::arch::{ArchPolicy, NOARCH, Score, colour};
use crate::arrays::{FastMap, RowSet, Rows};
use crate::offers::{EvrWords, NONE, Offers, pack_range, unpack_op};
use crate::rich::{self, Literal, Normal, package_of, positive};
use crate::universe::{ENHANCES, INFERIOR, NEVER, OLD, RICH, SINGLE, SUPPLEMENTS, Universe};

/// Builds a [`Universe`] step by step, for those who want to know whether file lists are needed before they
/// fetch them.
///
/// ```no_run
/// # fn primary() -> std::io::Empty { std::io::empty() }
/// # fn filelists() -> std::io::Empty { std::io::empty() }
/// # fn main() -> Result<(), rpm::md::Error> {
/// let mut loader = depsolve::Loader::new("x86_64", ["/usr/bin/python3".to_owned()]);
/// loader.primary(primary())?;
/// if loader.needs_filelists() {
///     loader.filelists(filelists())?;
/// }
/// let universe = loader.finish();
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Loader {
    policy: ArchPolicy,
    universe: Universe,
    evr_ids: FastMap<EvrWords, u32>,
    /// (name, package, range) of every provide.
    provides: Vec<(u32, u32, u32)>,
    simple: FastMap<(u32, u32), u32>,
    rich: HashMap<Dep, u32>,
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
}

/// A dependency: simple (name and range) or rich.
#[derive(Debug)]
enum Kind {
    Simple { name: u32, range: u32 },
    Rich(Dep),
}

/// How long all names, versions and paths of a repository may be together. Debian has 20 MB; numbers have 32 bits.
const MAX_TEXT: usize = 1 << 30;

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
        universe.orphan_betters = Rows::new();
        universe.versioned_provides = Rows::new();
        Loader {
            policy: ArchPolicy::new(arch),
            universe,
            evr_ids: FastMap::default(),
            provides: Vec::new(),
            simple: FastMap::default(),
            rich: HashMap::new(),
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
        }
    }

    /// Adds the packages of primary.xml (plain or compressed).
    pub fn primary(&mut self, reader: impl Read) -> Result<(), md::Error> {
        for package in md::primary::Reader::new(reader)? {
            self.add(package?);
            let text = self.universe.offers.strings.text.len() + self.file_text.len();
            if text > MAX_TEXT {
                return Err(md::Error::Malformed {
                    file: "primary.xml".to_owned(),
                    line: 0,
                    reason: format!("its names and paths take more than {MAX_TEXT} bytes"),
                });
            }
        }
        Ok(())
    }

    /// Adds one package, all of whose files are in `package.files`. Source packages and packages that the machine
    /// cannot run are left out.
    pub fn add(&mut self, package: md::Package) {
        let nevra = &package.nevra;
        let score = self.policy.score(&nevra.arch);
        if nevra.is_source() || score == 0 {
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
        self.universe.versioned_provides.end_row();

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
        self.universe
            .versioned_provides
            .data
            .extend([name, (range >> 3) << 1 | u32::from(op == Op::Lt)]);
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
                    if relation.name.starts_with('/') {
                        related.push(strings.intern(&relation.name));
                    }
                });
                self.deps.push(Kind::Rich(rich.clone()));
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
            Kind::Simple { name, range: NONE } if strings.get(*name).starts_with('/') => {
                Some(*name)
            }
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
    pub fn filelists(&mut self, reader: impl Read) -> Result<(), md::Error> {
        let wanted = self.wanted_paths();
        let strings = &self.universe.offers.strings;
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
            if let (Some(package), Some(path)) = (package, strings.find(path))
                && wanted.binary_search(&path).is_ok()
            {
                owned.push((path, package));
            }
        })
    }

    /// Computes everything that solving needs.
    pub fn finish(mut self) -> Universe {
        self.find_owners();
        self.index_provides();
        self.rank();
        let lists = self.provider_lists();
        self.relate(lists);
        self.universe
    }

    fn find_owners(&mut self) {
        let wanted = self.wanted_paths();
        let strings = &self.universe.offers.strings;
        let mut start = 0;
        for (package, end) in &self.files {
            let path = &self.file_text[start..*end as usize];
            start = *end as usize;
            if let Some(path) = strings.find(path)
                && wanted.binary_search(&path).is_ok()
            {
                self.owned.push((path, *package));
            }
        }
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

    fn compare_evr(&self, a: u32, b: u32) -> Ordering {
        let universe = &self.universe;
        let (a, b) = (a as usize, b as usize);
        let strings = &universe.offers.strings;
        let compare = |a: u32, b: u32| {
            if a == b { Ordering::Equal } else { rpmvercmp(strings.get(a), strings.get(b)) }
        };
        universe.epochs[a]
            .cmp(&universe.epochs[b])
            .then_with(|| compare(universe.versions[a], universe.versions[b]))
            .then_with(|| compare(universe.releases[a], universe.releases[b]))
    }

    /// Orders names by bytes and packages of one name by version.
    fn rank(&mut self) {
        let count = self.universe.names.len();
        let mut evr_rank = vec![0; count];
        let mut flags = vec![0u8; count];
        let by_name = self.by_name();
        for name in 0..by_name.len() as u32 {
            let same = by_name.row(name);
            if same.len() < 2 {
                continue;
            }
            let mut sorted = same.to_vec();
            sorted.sort_by(|a, b| self.compare_evr(*a, *b));
            let mut rank = 0;
            for pair in sorted.windows(2) {
                if self.compare_evr(pair[0], pair[1]) == Ordering::Less {
                    rank += 1;
                }
                evr_rank[pair[1] as usize] = rank;
            }
            for a in same {
                let newer_exists = same.iter().any(|b| {
                    self.universe.arch[*a as usize] == self.universe.arch[*b as usize]
                        && evr_rank[*b as usize] > evr_rank[*a as usize]
                });
                if newer_exists {
                    flags[*a as usize] |= OLD;
                }
            }
        }
        let strings = &self.universe.offers.strings;
        let mut names: Vec<u32> = self.universe.names.clone();
        names.sort_unstable();
        names.dedup();
        names.sort_by(|a, b| strings.get(*a).cmp(strings.get(*b)));
        let mut rank_of = vec![0; strings.len()];
        for (rank, name) in names.iter().enumerate() {
            rank_of[*name as usize] = rank as u32;
        }
        self.universe.name_rank =
            self.universe.names.iter().map(|name| rank_of[*name as usize]).collect();
        self.universe.evr_rank = evr_rank;
        self.universe.flags = flags;
    }

    /// The list of (potential) providers of every dependency, and its text.
    fn provider_lists(&mut self) -> RowSet {
        let mut lists = RowSet::new();
        lists.intern(&[]);
        let mut found = Vec::new();
        let mut texts = Vec::with_capacity(self.deps.len());
        for dep in &self.deps {
            let offers = &self.universe.offers;
            found.clear();
            let list = match dep {
                Kind::Simple { name, range } => {
                    let wanted = offers.constraint(*range);
                    offers.named(*name, wanted, &mut found);
                    let is_system = found.is_empty()
                        && wanted.is_some()
                        && offers.strings.get(*name).starts_with("rpmlib(");
                    if is_system { SYSTEM } else { lists.intern(&found) }
                }
                Kind::Rich(dep) => lists.intern(&offers.potential(dep).0),
            };
            self.universe.dep_lists.push(list);
            texts.push(match dep {
                Kind::Simple { name, range: NONE } => offers.strings.get(*name).to_owned(),
                Kind::Simple { name, range } => display_relation(offers, *name, *range),
                Kind::Rich(dep) => dep.to_string(),
            });
        }
        // Only what may be shown needs its text; interning makes that cheap enough for all.
        let strings = &mut self.universe.offers.strings;
        self.universe.dep_texts = texts.iter().map(|text| strings.intern(text)).collect();
        lists
    }

    /// Turns dependencies into clauses, exclusions and the indexes over them.
    fn relate(&mut self, mut lists: RowSet) {
        let count = self.universe.names.len() as u32;
        let by_name = self.by_name();
        let mut never = vec![false; count as usize];
        // Package, original list.
        let mut required: Vec<(u32, u32)> = Vec::new();
        let mut general: Vec<Vec<Literal>> = Vec::new();
        let mut excluded: Vec<(u32, u32)> = Vec::new();
        let mut obsoleted: Vec<(u32, u32)> = Vec::new();

        for package in 0..count {
            for dep in self.universe.requires.row(package) {
                self.require(
                    package,
                    *dep,
                    &mut lists,
                    &mut required,
                    &mut general,
                    &mut excluded,
                    &mut never,
                );
            }
            for dep in self.conflicts.row(package) {
                self.conflict(
                    package,
                    *dep,
                    &mut lists,
                    &mut required,
                    &mut general,
                    &mut excluded,
                    &mut never,
                );
            }
            for dep in self.obsoletes.row(package) {
                self.obsolete(package, *dep, &by_name, &mut excluded, &mut obsoleted);
            }
        }
        self.exclude_same_name(&by_name, &mut excluded);
        self.bind_inferior(&by_name, &mut lists, &mut required);
        self.store_reach(&by_name, &lists.rows);
        find_never(&mut never, &required, &lists.rows, count);
        for (package, never) in never.iter().enumerate() {
            if *never {
                self.universe.flags[package] |= NEVER;
            }
        }

        self.store_clauses(&lists.rows, &required, general, &never);
        self.universe.excludes = symmetric(excluded, count);
        obsoleted.sort_unstable();
        obsoleted.dedup();
        self.universe.obsoletes = Rows::from_pairs(count as usize, &obsoleted);
        self.store_successors();
        self.store_weak(&mut lists);
        self.universe.conflict_deps = std::mem::take(&mut self.conflicts);
        self.universe.obsolete_deps = std::mem::take(&mut self.obsoletes);
        self.universe.lists = lists.rows;
    }

    #[allow(clippy::too_many_arguments)]
    fn require(
        &self,
        package: u32,
        dep: u32,
        lists: &mut RowSet,
        required: &mut Vec<(u32, u32)>,
        general: &mut Vec<Vec<Literal>>,
        excluded: &mut Vec<(u32, u32)>,
        never: &mut [bool],
    ) {
        let list = match &self.deps[dep as usize] {
            Kind::Rich(rich) if rich::is_complex(rich) => {
                match rich::clauses(&self.universe.offers, rich) {
                    Normal::Always => {}
                    Normal::Never => never[package as usize] = true,
                    Normal::Blocks(blocks) => {
                        for block in blocks {
                            add_block(
                                package, block, false, lists, required, general, excluded, never,
                            );
                        }
                    }
                }
                return;
            }
            _ => self.universe.dep_lists[dep as usize],
        };
        if list == SYSTEM {
            return;
        }
        let providers = lists.rows.row(list);
        if providers.is_empty() {
            never[package as usize] = true;
        } else if providers.binary_search(&package).is_err() {
            required.push((package, list));
        }
    }

    #[allow(clippy::too_many_arguments)]
    fn conflict(
        &self,
        package: u32,
        dep: u32,
        lists: &mut RowSet,
        required: &mut Vec<(u32, u32)>,
        general: &mut Vec<Vec<Literal>>,
        excluded: &mut Vec<(u32, u32)>,
        never: &mut [bool],
    ) {
        if let Kind::Rich(rich) = &self.deps[dep as usize]
            && rich::is_complex(rich)
        {
            match rich::inverted_clauses(&self.universe.offers, rich) {
                Normal::Always => {}
                Normal::Never => never[package as usize] = true,
                Normal::Blocks(blocks) => {
                    for block in blocks {
                        add_block(package, block, true, lists, required, general, excluded, never);
                    }
                }
            }
            return;
        }
        let list = self.universe.dep_lists[dep as usize];
        if list != SYSTEM {
            // A package may conflict with what it provides itself.
            excluded.extend(
                lists.rows.row(list).iter().filter(|p| **p != package).map(|p| (package, *p)),
            );
        }
    }

    /// Obsoletes look at names and versions of packages, not at what they provide.
    fn obsolete(
        &self,
        package: u32,
        dep: u32,
        by_name: &Rows,
        excluded: &mut Vec<(u32, u32)>,
        obsoleted: &mut Vec<(u32, u32)>,
    ) {
        let Kind::Simple { name, range } = self.deps[dep as usize] else { return };
        let universe = &self.universe;
        let wanted = universe.offers.constraint(range);
        for other in by_name.row(name) {
            let i = *other as usize;
            let release = universe.offers.strings.get(universe.releases[i]);
            let own = rpm::ConstraintRef {
                op: Op::Eq,
                epoch: universe.epochs[i],
                version: universe.offers.strings.get(universe.versions[i]),
                release: (!release.is_empty()).then_some(release),
            };
            if *other != package && wanted.is_none_or(|wanted| own.overlaps(wanted)) {
                excluded.push((package, *other));
                if universe.names[i] != universe.names[package as usize] {
                    obsoleted.push((package, *other));
                }
            }
        }
    }

    fn exclude_same_name(&self, by_name: &Rows, excluded: &mut Vec<(u32, u32)>) {
        let colours: Vec<u8> = self.universe.archs.iter().map(|arch| colour(arch)).collect();
        let colour = |package: u32| colours[self.universe.arch[package as usize] as usize];
        for name in 0..by_name.len() as u32 {
            let same = by_name.row(name);
            for (i, a) in same.iter().enumerate() {
                for b in &same[i + 1..] {
                    if colour(*a) & colour(*b) != 0 {
                        excluded.push((*a, *b));
                    }
                }
            }
        }
    }

    /// A package of an inferior architecture may be installed only beside the better one of identical EVR.
    /// One that has none is an orphan: it may be installed only if nothing that was asked for can lead to a
    /// better one, which depends on the request.
    fn bind_inferior(
        &mut self,
        by_name: &Rows,
        lists: &mut RowSet,
        required: &mut Vec<(u32, u32)>,
    ) {
        for name in 0..by_name.len() as u32 {
            let same = by_name.row(name);
            let score = |package: u32| self.universe.arch_score[package as usize];
            let best: Option<Score> = same.iter().map(|p| score(*p)).filter(|s| *s != NOARCH).min();
            let Some(best) = best else { continue };
            for package in same.iter().filter(|p| score(**p) != NOARCH && score(**p) != best) {
                let identical = |other: &u32| {
                    let (a, b) = (*package as usize, *other as usize);
                    let universe = &self.universe;
                    a != b
                        && universe.arch[a] != universe.arch[b]
                        && universe.epochs[a] == universe.epochs[b]
                        && universe.versions[a] == universe.versions[b]
                        && universe.releases[a] == universe.releases[b]
                        && (score(*other) == NOARCH || score(*other) == best)
                };
                let better: Vec<u32> = same.iter().copied().filter(identical).collect();
                // One that is noarch cannot stand beside it.
                if better.iter().all(|other| score(*other) == NOARCH) {
                    self.universe.orphans.push(*package);
                } else {
                    required.push((*package, lists.intern(&better)));
                }
                self.universe.flags[*package as usize] |= INFERIOR;
            }
        }
    }

    /// Which packages each package can lead to, for requests that have to do with orphans. Repositories of one
    /// architecture have none, and multilib ones should have none.
    fn store_reach(&mut self, by_name: &Rows, lists: &Rows) {
        if self.universe.orphans.is_empty() {
            return;
        }
        let universe = &mut self.universe;
        universe.orphans.sort_unstable();
        universe.orphan_betters = Rows::new();
        for orphan in &universe.orphans {
            let score = |package: &u32| universe.arch_score[*package as usize];
            let same = by_name.row(universe.names[*orphan as usize]).iter().copied();
            let betters = same.filter(|p| score(p) != NOARCH && score(p) < score(orphan));
            universe.orphan_betters.push(betters);
        }
        let mut pairs: Vec<(u32, u32)> = Vec::new();
        for package in 0..universe.names.len() as u32 {
            // The better half comes with its inferior one.
            let i = package as usize;
            pairs.extend(by_name.row(universe.names[i]).iter().filter_map(|other| {
                let j = *other as usize;
                let (mine, theirs) = (universe.arch_score[i], universe.arch_score[j]);
                (theirs != NOARCH && theirs < mine && universe.evr_rank[i] == universe.evr_rank[j])
                    .then_some((package, *other))
            }));
            for dep in universe.requires.row(package) {
                match &self.deps[*dep as usize] {
                    Kind::Rich(rich) if rich::is_complex(rich) => {
                        if let Normal::Blocks(blocks) = rich::clauses(&universe.offers, rich) {
                            for block in blocks {
                                let literals = block.iter().filter(|l| **l > 0);
                                if block.binary_search(&positive(package)).is_err() {
                                    pairs.extend(literals.map(|l| (package, package_of(*l))));
                                }
                            }
                        }
                    }
                    _ => {
                        let list = universe.dep_lists[*dep as usize];
                        if list != SYSTEM && lists.row(list).binary_search(&package).is_err() {
                            pairs.extend(lists.row(list).iter().map(|p| (package, *p)));
                        }
                    }
                }
            }
            for dep in self.recommends.row(package).iter().chain(self.suggests.row(package)) {
                match &self.deps[*dep as usize] {
                    Kind::Rich(rich) => {
                        let mut found = Vec::new();
                        rich::positive_packages(&universe.offers, rich, false, &mut found);
                        pairs.extend(found.into_iter().map(|p| (package, p)));
                    }
                    Kind::Simple { .. } => {
                        let list = universe.dep_lists[*dep as usize];
                        if list != SYSTEM {
                            pairs.extend(lists.row(list).iter().map(|p| (package, *p)));
                        }
                    }
                }
            }
            for dep in self.conflicts.row(package) {
                if let Kind::Rich(rich) = &self.deps[*dep as usize]
                    && rich::is_complex(rich)
                    && let Normal::Blocks(blocks) = rich::inverted_clauses(&universe.offers, rich)
                {
                    let literals = blocks.into_iter().flatten().filter(|l| *l > 0);
                    pairs.extend(literals.map(|l| (package, package_of(l))));
                }
            }
        }
        pairs.sort_unstable();
        pairs.dedup();
        universe.reach = Rows::from_pairs(universe.names.len(), &pairs);
    }

    fn store_clauses(
        &mut self,
        lists: &Rows,
        required: &[(u32, u32)],
        mut general: Vec<Vec<Literal>>,
        never: &[bool],
    ) {
        let count = never.len();
        // Decisions are made in the order of lists compared number by number.
        let mut order: Vec<u32> = (0..lists.len() as u32).collect();
        order.sort_unstable_by(|a, b| lists.row(*a).cmp(lists.row(*b)));
        let mut rank = vec![0u32; lists.len()];
        for (i, list) in order.iter().enumerate() {
            rank[*list as usize] = i as u32;
        }

        let mut reduced = RowSet::new();
        let mut only_for = Vec::new();
        let mut reduced_of = vec![NONE; lists.len()];
        let mut members = Vec::new();
        for (_, list) in required {
            if reduced_of[*list as usize] == NONE {
                members.clear();
                members.extend(lists.row(*list).iter().copied().filter(|p| !never[*p as usize]));
                reduced_of[*list as usize] = match members.as_slice() {
                    [only] => SINGLE | only,
                    several => reduced.intern(several),
                };
            }
        }
        let mut rows: Vec<Vec<(u32, u32)>> = vec![Vec::new(); count];
        for (package, list) in required {
            if !never[*package as usize] {
                rows[*package as usize].push((rank[*list as usize], reduced_of[*list as usize]));
            }
        }
        general.retain(|clause| !clause.iter().any(|l| *l < 0 && never[package_of(*l) as usize]));
        general.sort_unstable();
        general.dedup();

        let universe = &mut self.universe;
        universe.general = Rows::new();
        universe.general_place = Vec::new();
        universe.clauses = Rows::new();
        let clause_lists = reduced.rows.len() as u32;
        let mut generals: Vec<Vec<u32>> = vec![Vec::new(); count];
        let (mut negative, mut positive) = (Vec::new(), Vec::new());
        for clause in general {
            let id = universe.general.len() as u32;
            for literal in &clause {
                let pair = (package_of(*literal), id);
                if *literal < 0 { negative.push(pair) } else { positive.push(pair) }
            }
            if let Some(first) = clause.first()
                && *first < 0
            {
                generals[package_of(*first) as usize].push(id);
            }
            universe.general.push(clause.into_iter().map(|literal| literal as u32));
        }
        universe.general_place = vec![NONE; universe.general.len() * 2];
        for package in 0..count {
            // Clauses with more negative literals come first, since a negative number is smaller than all others.
            for id in &generals[package] {
                let place = universe.clauses.data.len() as u32 - universe.clauses.offsets[package];
                universe.general_place[*id as usize * 2] = package as u32;
                universe.general_place[*id as usize * 2 + 1] = place;
                universe.clauses.data.push(clause_lists + id);
            }
            let row = &mut rows[package];
            row.sort_unstable();
            row.dedup_by_key(|(_, list)| *list);
            for (_, clause) in row.iter() {
                universe.clauses.data.push(*clause);
                if clause & SINGLE != 0 {
                    only_for.push((clause & !SINGLE, package as u32));
                }
            }
            universe.clauses.end_row();
        }
        universe.general_negative = Rows::from_pairs(count, &negative);
        universe.general_positive = Rows::from_pairs(count, &positive);
        universe.only_for = Rows::from_pairs(count, &only_for);
        universe.clause_lists = reduced.rows;
        universe.in_clause_lists = universe.clause_lists.inverted(count);
        let mut requirers = Vec::new();
        for package in 0..count as u32 {
            for clause in universe.clauses.row(package) {
                if *clause < clause_lists {
                    requirers.push((*clause, package));
                }
            }
        }
        universe.requirers = Rows::from_pairs(clause_lists as usize, &requirers);
    }

    fn store_successors(&mut self) {
        let universe = &mut self.universe;
        universe.successors = Rows::new();
        let mut row = Vec::new();
        for package in 0..universe.names.len() as u32 {
            row.clear();
            row.extend(
                universe
                    .requires
                    .row(package)
                    .iter()
                    .map(|dep| universe.dep_lists[*dep as usize])
                    .filter(|list| *list != SYSTEM && *list != 0),
            );
            row.sort_unstable();
            row.dedup();
            universe.successors.push(row.iter().copied());
        }
    }

    fn store_weak(&mut self, lists: &mut RowSet) {
        let count = self.universe.names.len();
        let mut rich_ids: FastMap<u32, u32> = FastMap::default();
        self.universe.rich_blocks = Rows::new();
        self.universe.blocks = Rows::new();
        let recommends = std::mem::take(&mut self.recommends);
        let suggests = std::mem::take(&mut self.suggests);
        let (recommends, in_lists, in_blocks) = self.forward(&recommends, &mut rich_ids, lists);
        self.universe.recommends = recommends;
        self.universe.in_recommended = in_lists;
        self.universe.in_recommended_blocks = in_blocks;
        let (suggests, in_lists, in_blocks) = self.forward(&suggests, &mut rich_ids, lists);
        self.universe.suggests = suggests;
        self.universe.in_suggested = in_lists;
        self.universe.in_suggested_blocks = in_blocks;

        let mut code = Vec::new();
        let mut compiled_ids: FastMap<u32, u32> = FastMap::default();
        let mut compiled = Rows::new();
        let mut backward = |deps: &Rows, universe: &Universe, all: &[Kind]| {
            let mut out = Rows::new();
            for package in 0..count as u32 {
                for dep in deps.row(package) {
                    let id = *compiled_ids.entry(*dep).or_insert_with(|| {
                        code.clear();
                        match &all[*dep as usize] {
                            Kind::Simple { .. } => {
                                let list = universe.dep_lists[*dep as usize];
                                code.extend([0, if list == SYSTEM { 0 } else { list }]);
                            }
                            Kind::Rich(rich) => {
                                let mut leaf =
                                    |dep: &Dep| lists.intern(&universe.offers.potential(dep).0);
                                rich::compile(rich, &mut leaf, &mut code);
                            }
                        }
                        compiled.push(code.iter().copied());
                        compiled.len() as u32 - 1
                    });
                    out.data.push(id);
                }
                out.end_row();
            }
            out
        };
        let supplements = backward(&self.supplements, &self.universe, &self.deps);
        let enhances = backward(&self.enhances, &self.universe, &self.deps);
        let universe = &mut self.universe;
        for package in 0..count as u32 {
            if !supplements.row(package).is_empty() {
                universe.flags[package as usize] |= SUPPLEMENTS;
                universe.supplementing.push(package);
            }
            if !enhances.row(package).is_empty() {
                universe.flags[package as usize] |= ENHANCES;
            }
        }
        universe.supplements = supplements;
        universe.enhances = enhances;
        universe.compiled = compiled;
    }

    /// Recommends or Suggests: what each package names, and the indexes from package to what names it.
    fn forward(
        &mut self,
        deps: &Rows,
        rich_ids: &mut FastMap<u32, u32>,
        lists: &RowSet,
    ) -> (Rows, Rows, Rows) {
        let count = self.universe.names.len();
        let universe = &mut self.universe;
        let mut named = Rows::new();
        let mut in_lists = Vec::new();
        let mut in_blocks = Vec::new();
        let mut seen = vec![false; lists.rows.len()];
        for package in 0..count as u32 {
            for dep in deps.row(package) {
                if let Kind::Rich(rich) = &self.deps[*dep as usize]
                    && rich::is_complex(rich)
                {
                    let id = *rich_ids.entry(*dep).or_insert_with(|| {
                        if let Normal::Blocks(blocks) = rich::clauses(&universe.offers, rich) {
                            for block in blocks {
                                universe.rich_blocks.data.push(universe.blocks.len() as u32);
                                universe
                                    .blocks
                                    .push(block.into_iter().map(|literal| literal as u32));
                            }
                        }
                        universe.rich_blocks.end_row();
                        universe.rich_blocks.len() as u32 - 1
                    });
                    named.data.push(RICH | id);
                    for block in universe.rich_blocks.row(id) {
                        for literal in universe.blocks.row(*block) {
                            let literal = *literal as Literal;
                            if literal > 0 {
                                let member = package_of(literal);
                                in_blocks.push((member, package));
                                in_blocks.push((member, *block));
                            }
                        }
                    }
                    continue;
                }
                let list = universe.dep_lists[*dep as usize];
                if list == SYSTEM || list == 0 {
                    continue;
                }
                named.data.push(list);
                if !std::mem::replace(&mut seen[list as usize], true) {
                    in_lists.extend(lists.rows.row(list).iter().map(|member| (*member, list)));
                }
            }
            named.end_row();
        }
        (named, Rows::from_pairs(count, &in_lists), Rows::from_pairs(count, &in_blocks))
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

/// Adds one clause of a rich requirement or conflict of a package.
#[allow(clippy::too_many_arguments)]
fn add_block(
    package: u32,
    mut block: Vec<Literal>,
    is_conflict: bool,
    lists: &mut RowSet,
    required: &mut Vec<(u32, u32)>,
    general: &mut Vec<Vec<Literal>>,
    excluded: &mut Vec<(u32, u32)>,
    never: &mut [bool],
) {
    let own = positive(package);
    if block.binary_search(&own).is_ok() {
        return;
    }
    if let [only] = block.as_slice()
        && *only == -own
    {
        // It forbids itself. A conflict of a package with itself is none.
        if !is_conflict {
            never[package as usize] = true;
        }
        return;
    }
    if let Err(place) = block.binary_search(&-own) {
        block.insert(place, -own);
    }
    match block.as_slice() {
        [] => {}
        [only] => never[package_of(*only) as usize] = true,
        [a, b] if *b < 0 => excluded.push((package_of(*a), package_of(*b))),
        [_, rest @ ..] if rest[0] > 0 => {
            let members: Vec<u32> = rest.iter().map(|literal| package_of(*literal)).collect();
            required.push((package, lists.intern(&members)));
        }
        _ => general.push(block),
    }
}

/// Finds the packages that can never be installed, whatever is asked for.
fn find_never(never: &mut [bool], required: &[(u32, u32)], lists: &Rows, count: u32) {
    let requirers = {
        let pairs: Vec<(u32, u32)> =
            required.iter().map(|(package, list)| (*list, *package)).collect();
        Rows::from_pairs(lists.len(), &pairs)
    };
    let in_lists = lists.inverted(count as usize);
    let mut left: Vec<u32> =
        (0..lists.len() as u32).map(|list| lists.row(list).len() as u32).collect();
    let mut queue: Vec<u32> = (0..count).filter(|package| never[*package as usize]).collect();
    while let Some(package) = queue.pop() {
        for list in in_lists.row(package) {
            let left = &mut left[*list as usize];
            *left -= 1;
            if *left == 0 {
                for requirer in requirers.row(*list) {
                    if !std::mem::replace(&mut never[*requirer as usize], true) {
                        queue.push(*requirer);
                    }
                }
            }
        }
    }
}

/// Both directions of a relation, each row descending and without repetition.
fn symmetric(mut pairs: Vec<(u32, u32)>, count: u32) -> Rows {
    let reversed: Vec<(u32, u32)> = pairs.iter().map(|(a, b)| (*b, *a)).collect();
    pairs.extend(reversed);
    pairs.sort_unstable_by(|a, b| a.0.cmp(&b.0).then(b.1.cmp(&a.1)));
    pairs.dedup();
    Rows::from_pairs(count as usize, &pairs)
}
