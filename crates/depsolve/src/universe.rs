//! The universe: everything that a repository offers, in a form made for asking.

use std::fmt;
use std::io::Read;
use std::sync::OnceLock;

use rpm::{ConstraintRef, Dep, EvrRef, Op, Relation, md};

use crate::arch::{NOARCH, Score};
use crate::arrays::{Rows, both};
use crate::explain::NeverReasons;
use crate::hopes::Hopes;
use crate::loader::{LoadError, Loader};
use crate::offers::{NONE, Offers};
use crate::walk::Walk;

/// A package of a [`Universe`], by its place in primary.xml (counting only packages that the machine can run).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PackageId(pub u32);

/// Name, epoch, version, release, architecture of a package in a [`Universe`].
/// Displayed as `name-epoch:version-release.arch`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PackageRef<'a> {
    /// The package's name.
    pub name: &'a str,
    /// Epoch, version, release.
    pub evr: EvrRef<'a>,
    /// `x86_64`, `noarch`, …
    pub arch: &'a str,
}

impl fmt::Display for PackageRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let EvrRef { epoch, version, release } = self.evr;
        write!(f, "{}-{epoch}:{version}-{release}.{}", self.name, self.arch)
    }
}

/// The packages of one repository for one architecture. Immutable; shared by any number of
/// [`Solver`](crate::Solver)s in any number of threads.
#[derive(Debug, Clone, Default)]
pub struct Universe {
    pub(crate) offers: Offers,
    /// Architectures that occur; packages refer to them by number.
    pub(crate) archs: Vec<String>,

    // One entry for each package.
    pub(crate) names: Vec<u32>,
    pub(crate) epochs: Vec<u32>,
    pub(crate) versions: Vec<u32>,
    pub(crate) releases: Vec<u32>,
    pub(crate) arch: Vec<u8>,
    pub(crate) arch_score: Vec<Score>,
    /// Place of the package's name among all names, by byte order.
    pub(crate) name_rank: Vec<u32>,
    /// Place of the EVR among the packages of that name; equal EVRs have equal ranks.
    pub(crate) evr_rank: Vec<u32>,
    pub(crate) flags: Vec<u8>,

    /// Provider lists: ascending package numbers, each distinct list once.
    pub(crate) lists: Rows,
    /// Dependencies as text, for explanations.
    pub(crate) dep_texts: Vec<u32>,
    /// Dependency to the list of its (potential) providers.
    pub(crate) dep_lists: Vec<u32>,
    /// Package to dependencies that it requires, in XML order.
    pub(crate) requires: Rows,
    /// Package to the distinct lists of potential providers of its requirements, for distances; `SINGLE | package` where
    /// there is one.
    pub(crate) successors: Rows,
    /// Package to its clauses, in the order of decisions: `SINGLE | other` (¬package ∨ other), numbers below
    /// `clause_lists.len()` are lists (¬package ∨ list), others are general clauses of which the package is the greatest
    /// negative literal.
    pub(crate) clauses: Rows,
    /// Package to those of its clauses whose first candidate of all can never be installed, so that libsolv looks at
    /// them sooner than at others; two words each: the clause, as there, and that candidate.
    pub(crate) displaced: Rows,
    /// Package to packages of which it is the only candidate for a requirement, in libsolv's order: those whose clause is
    /// displaced, by the candidate that can never be installed; the others, descending; and then those that are bound to it
    /// as to their better half, ascending.
    pub(crate) only_for: Rows,
    /// Lists of two or more without packages that can never be installed; what clauses refer to.
    pub(crate) clause_lists: Rows,
    /// Clause list to packages that require one of it.
    pub(crate) requirers: Rows,
    /// Package to clause lists that contain it.
    pub(crate) in_clause_lists: Rows,
    /// General clauses: literals, ascending, as two's complement.
    pub(crate) general: Rows,
    /// General clause to (package, index in `clauses`) as two words.
    pub(crate) general_place: Vec<u32>,
    /// Package to general clauses that say it must not be installed.
    pub(crate) general_negative: Rows,
    /// Package to packages that cannot be installed beside it, descending.
    pub(crate) excludes: Rows,
    /// Package to packages of other names that it obsoletes, ascending.
    pub(crate) obsoletes: Rows,
    /// Why packages exclude each other, for explanations: conflicts as dependencies, obsoletes as dependencies.
    pub(crate) conflict_deps: Rows,
    pub(crate) obsolete_deps: Rows,

    /// Package to what it recommends, in XML order: a list, or a rich one as `RICH | number`.
    pub(crate) recommends: Rows,
    pub(crate) suggests: Rows,
    /// Package to lists that contain it and are recommended (suggested) by something.
    pub(crate) in_recommended: Rows,
    pub(crate) in_suggested: Rows,
    /// Rich recommends and suggests: rich number to blocks, block to literals.
    pub(crate) rich_blocks: Rows,
    pub(crate) blocks: Rows,
    /// Package to (recommending package, block) pairs in which it occurs; and the same for suggests.
    pub(crate) in_recommended_blocks: Rows,
    pub(crate) in_suggested_blocks: Rows,
    /// Package to compiled dependencies that it supplements (enhances).
    pub(crate) supplements: Rows,
    pub(crate) enhances: Rows,
    pub(crate) compiled: Rows,
    /// Packages that supplement something, ascending.
    pub(crate) supplementing: Vec<u32>,
    /// Packages of inferior architecture of whose name not all have a better half of identical EVR, ascending; beside
    /// them, all of the same name; and for requests that have to do with them, package to packages it leads to.
    pub(crate) orphans: Vec<u32>,
    pub(crate) orphan_names: Rows,
    pub(crate) reach: Rows,
    /// Package to its versioned provides, for ordering candidates: only of names that others provide as well, and sorted
    /// by name. Three words each: name; place of epoch and version among all that are provided of the name; place of the
    /// release among those (0 for none, from 1) times two, plus one for “less than”.
    pub(crate) versioned_provides: Rows,

    /// Whether any package has an inferior architecture, and whether there are several, besides `noarch`. Made by
    /// [`Universe::index`].
    pub(crate) any_inferior: bool,
    pub(crate) several_archs: bool,
    /// Package to another one of the same name, round and round; to itself if there is no other. Made by
    /// [`Universe::index`].
    pub(crate) namesake: Vec<u32>,
    never_reasons: OnceLock<NeverReasons>,

    /// What packages supplement and enhance, if there are orphans; made by [`Universe::index`].
    pub(crate) hopes: Hopes,

    /// What of all this the solver needs for each package, once more; made by [`Universe::index`].
    pub(crate) walk: Walk,
}

/// Marks a recommendation that is rich.
pub(crate) const RICH: u32 = 1 << 31;

/// Marks a requirement with a single candidate. Most have one, and they need no counters.
pub(crate) const SINGLE: u32 = 1 << 31;

/// The package can never be installed.
pub(crate) const NEVER: u8 = 1;
/// A newer version of the same name and architecture exists.
pub(crate) const OLD: u8 = 2;
/// The package supplements (enhances) something.
pub(crate) const SUPPLEMENTS: u8 = 4;
pub(crate) const ENHANCES: u8 = 8;
/// The package has an inferior architecture and can only be installed beside its better half.
pub(crate) const INFERIOR: u8 = 16;
/// Something recommends (suggests) the package.
pub(crate) const RECOMMENDED: u8 = 32;
pub(crate) const SUGGESTED: u8 = 64;

impl Universe {
    /// Loads a repository from its metadata (plain or compressed). `filelists` is read only if some path is
    /// asked for that primary.xml does not tell; see [`Loader`].
    pub fn load(
        primary: impl Read + Send,
        filelists: Option<impl Read + Send>,
        arch: &str,
        wanted_paths: impl IntoIterator<Item = String>,
    ) -> Result<Self, LoadError> {
        let mut loader = Loader::new(arch, wanted_paths);
        loader.primary(primary)?;
        if let Some(filelists) = filelists
            && loader.needs_filelists()
        {
            loader.filelists(filelists)?;
        }
        loader.finish()
    }

    /// From packages that are at hand, with all their files in `files`.
    pub fn from_packages(
        packages: impl IntoIterator<Item = md::Package>,
        arch: &str,
        wanted_paths: impl IntoIterator<Item = String>,
    ) -> Result<Self, LoadError> {
        let mut loader = Loader::new(arch, wanted_paths);
        for package in packages {
            loader.add(package);
        }
        loader.finish()
    }

    /// Name, version and architecture of a package.
    pub fn package(&self, id: PackageId) -> PackageRef<'_> {
        let i = id.0 as usize;
        let strings = &self.offers.strings;
        PackageRef {
            name: strings.get(self.names[i]),
            evr: EvrRef {
                epoch: self.epochs[i],
                version: strings.get(self.versions[i]),
                release: strings.get(self.releases[i]),
            },
            arch: &self.archs[self.arch[i] as usize],
        }
    }

    /// How many packages there are; their ids are 0 to this.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// All packages.
    pub fn packages(&self) -> impl Iterator<Item = PackageId> + '_ {
        (0..self.names.len() as u32).map(PackageId)
    }

    /// The packages that may be installed to meet a dependency, in the order of the repository.
    pub fn providers(&self, dep: &Dep) -> Vec<PackageId> {
        self.offers.potential(dep).0.into_iter().map(PackageId).collect()
    }

    /// All packages of the name of one, that one included.
    pub(crate) fn same_name(&self, package: u32) -> impl Iterator<Item = u32> + '_ {
        let name = self.names[package as usize];
        // A package provides its own name.
        let providers = self.offers.provides.row(name).iter().copied();
        let mut before = None;
        providers.filter(move |other| {
            self.names[*other as usize] == name && before.replace(*other) != Some(*other)
        })
    }

    /// Of the packages of its name, those beside which a package of an inferior architecture may be installed: of
    /// identical EVR, and of the best architecture or `noarch`.
    pub(crate) fn better_halves(&self, package: u32, same_name: &[u32], best: Score) -> Vec<u32> {
        let is_better = |other: &u32| {
            let score = self.arch_score[*other as usize];
            self.arch[package as usize] != self.arch[*other as usize]
                && self.same_evr(package, *other)
                && (score == NOARCH || score == best)
        };
        same_name.iter().copied().filter(is_better).collect()
    }

    /// The version of a package, as what it provides.
    pub(crate) fn own_version(&self, package: u32) -> ConstraintRef<'_> {
        let i = package as usize;
        let release = self.offers.strings.get(self.releases[i]);
        ConstraintRef {
            op: Op::Eq,
            epoch: self.epochs[i],
            version: self.offers.strings.get(self.versions[i]),
            release: (!release.is_empty()).then_some(release),
        }
    }

    /// Whether a relation means a package by its name and version; obsoletes look at nothing else.
    pub(crate) fn is_named(&self, package: u32, relation: &Relation) -> bool {
        self.offers.strings.get(self.names[package as usize]) == relation.name
            && relation
                .constraint
                .as_ref()
                .is_none_or(|wanted| self.own_version(package).overlaps(wanted.as_ref()))
    }

    /// Whether a package that requires another does so only as a package of an inferior architecture.
    pub(crate) fn is_bound(&self, package: u32, better: u32) -> bool {
        self.has(package, INFERIOR)
            && self.names[package as usize] == self.names[better as usize]
            && self.same_evr(package, better)
    }

    /// The first candidate for a requirement of a package, where that candidate can never be installed and is left out of
    /// the clause.
    pub(crate) fn displaced_by(&self, package: u32, clause: u32) -> Option<u32> {
        let (displaced, _) = self.displaced.row(package).as_chunks::<2>();
        displaced.iter().find(|[displaced, _]| *displaced == clause).map(|[_, first]| *first)
    }

    /// Whether two EVRs are spelled the same.
    pub(crate) fn same_evr(&self, a: u32, b: u32) -> bool {
        let (a, b) = (a as usize, b as usize);
        self.epochs[a] == self.epochs[b]
            && self.versions[a] == self.versions[b]
            && self.releases[a] == self.releases[b]
    }

    /// Why packages can never be installed; found out when somebody asks for the first time.
    pub(crate) fn never_reasons(&self) -> &NeverReasons {
        self.never_reasons.get_or_init(|| NeverReasons::new(self))
    }

    /// Makes what follows from the rest. To be called when everything else is there.
    pub(crate) fn index(&mut self) {
        for package in 0..self.len() as u32 {
            let any = |lists: &Rows, blocks: &Rows| {
                !lists.row(package).is_empty() || !blocks.row(package).is_empty()
            };
            let flags = &mut self.flags[package as usize];
            *flags &= !(RECOMMENDED | SUGGESTED);
            if any(&self.in_recommended, &self.in_recommended_blocks) {
                *flags |= RECOMMENDED;
            }
            if any(&self.in_suggested, &self.in_suggested_blocks) {
                *flags |= SUGGESTED;
            }
        }
        let mut last_of = vec![NONE; self.len()];
        self.namesake = (0..self.len() as u32).collect();
        for package in 0..self.len() as u32 {
            let last = &mut last_of[self.name_rank[package as usize] as usize];
            if *last != NONE {
                self.namesake.swap(*last as usize, package as usize);
            }
            *last = package;
        }
        self.any_inferior = self.flags.iter().any(|flags| flags & INFERIOR != 0);
        let mut archs = self.arch_score.iter().filter(|score| **score != NOARCH);
        let first = archs.next();
        self.several_archs = archs.any(|score| Some(score) != first);
        self.hopes = Hopes::new(self);
        let (table, walk) = both(|| self.offers.table(), || Walk::new(self));
        self.offers.strings.index_only(table);
        self.walk = walk;
    }

    pub(crate) fn has(&self, package: u32, flag: u8) -> bool {
        self.flags[package as usize] & flag != 0
    }
}
