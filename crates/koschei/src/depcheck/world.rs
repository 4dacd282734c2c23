//! What can be installed: the packages of several repositories as one universe, and the same with something changed.
//!
//! Koji's rules. Of packages with the same name, version, release and architecture the first repository's counts. An
//! overlay does what merging a side tag does ([`super::builds`]): it replaces all packages that were built from the same
//! source package, including those that the new build does not make any more.

use std::collections::{BTreeSet, HashSet};

use depsolve::{LeftOut, LoadError, Loader, Universe};
use repocache::Kind;
use rpm::Nevra;
use rpm::md::{Package, primary};

use super::builds::{Builds, Merge, Origin};
use super::options::OverlayMode;
use super::progress::Progress;
use super::repository::Repository;
use super::text::count;
use crate::failure::Failure;

/// The repositories that packages come from.
#[derive(Debug)]
pub(super) struct Offers {
    binary: Vec<Repository>,
    overlays: Vec<Overlay>,
    arch: String,
}

/// A repository that changes what is there.
#[derive(Debug)]
struct Overlay {
    repository: Repository,
    builds: Builds,
}

/// What to change.
#[derive(Debug)]
pub(super) struct Change {
    pub(super) mode: OverlayMode,
    pub(super) remove: Removal,
}

/// What to take away.
#[derive(Debug, Default)]
pub(super) struct Removal {
    packages: BTreeSet<String>,
    /// Source packages, and everything that is built from them.
    sources: BTreeSet<String>,
}

/// All packages, read.
#[derive(Debug)]
pub(super) struct Loading {
    loader: Loader,
    changed: bool,
    /// What a person should know besides what was left out.
    warnings: Vec<String>,
}

impl Removal {
    /// From what stands on the command line.
    pub(super) fn new(names: &[String]) -> Result<Self, Failure> {
        let mut removal = Self::default();
        for name in names {
            let (set, name) = match name.strip_prefix("source:") {
                Some(source) => (&mut removal.sources, source),
                None => (&mut removal.packages, name.as_str()),
            };
            if name.is_empty() {
                return Err(Failure::usage("--remove needs the name of a package"));
            }
            set.insert(name.to_owned());
        }
        Ok(removal)
    }

    /// Whether nothing is to be taken away.
    pub(super) fn is_empty(&self) -> bool {
        self.packages.is_empty() && self.sources.is_empty()
    }

    /// Whether this source package goes.
    pub(super) fn takes_source(&self, name: &str) -> bool {
        self.sources.contains(name)
    }
}

impl Offers {
    /// Fetches what is elsewhere, and reads what the overlays contain.
    pub(super) fn open(
        binary: Vec<Repository>,
        overlays: &[String],
        arch: &str,
        progress: &Progress,
    ) -> Result<Self, Failure> {
        for repository in &binary {
            repository.fetch(Kind::Primary, progress)?;
        }
        let mut opened = Vec::new();
        for name in overlays {
            let repository = Repository::open(name, progress)?;
            repository.fetch(Kind::Primary, progress)?;
            let mut builds = Builds::default();
            look(&repository, |package| {
                let origin = Origin::of(&package.nevra, package.source_rpm.as_deref());
                builds.add(origin, &package.nevra);
            })?;
            if builds.is_empty() {
                return Err(Failure::usage(format_args!(
                    "the overlay {name} has no binary packages, so it changes nothing"
                )));
            }
            opened.push(Overlay { repository, builds });
        }
        Ok(Self { binary, overlays: opened, arch: arch.to_owned() })
    }

    /// Reads what there is before anything changes.
    pub(super) fn before(&self) -> Result<Loading, Failure> {
        let mut loader = Loader::new(&self.arch, []);
        let mut seen = Seen { needed: self.binary.len() > 1, ..Seen::default() };
        for repository in &self.binary {
            add(&mut loader, repository, &mut seen, |nevra, _| !nevra.is_source())?;
        }
        Ok(Loading { loader, changed: false, warnings: Vec::new() })
    }

    /// The builds that there are before anything changes, of the source packages that overlays have builds of.
    fn survey(&self) -> Result<Builds, Failure> {
        let mut builds = Builds::default();
        if self.overlays.is_empty() {
            return Ok(builds);
        }
        for repository in &self.binary {
            look(repository, |package| {
                let origin = Origin::of(&package.nevra, package.source_rpm.as_deref());
                if self.overlays.iter().any(|overlay| overlay.builds.has(&origin.source)) {
                    builds.add(origin, &package.nevra);
                }
            })?;
        }
        Ok(builds)
    }

    /// Reads what there is with a change.
    pub(super) fn after(&self, change: &Change) -> Result<Loading, Failure> {
        let survey = self.survey()?;
        let overlays: Vec<&Builds> = self.overlays.iter().map(|overlay| &overlay.builds).collect();
        let merge = Merge::new(change.mode, &survey, &overlays);
        let warnings = merge.warning().into_iter().collect();
        let mut plan = Plan::new(&change.remove, merge);
        let mut loader = Loader::new(&self.arch, []);
        let several = self.binary.len() + self.overlays.len() > 1;
        let mut seen = Seen { needed: several, ..Seen::default() };
        for repository in &self.binary {
            add(&mut loader, repository, &mut seen, |nevra, source_rpm| {
                plan.keeps(None, nevra, source_rpm)
            })?;
        }
        for (i, overlay) in self.overlays.iter().enumerate() {
            add(&mut loader, &overlay.repository, &mut seen, |nevra, source_rpm| {
                plan.keeps(Some(i), nevra, source_rpm)
            })?;
        }
        plan.check_removal()?;
        Ok(Loading { loader, changed: true, warnings })
    }

    /// Makes the universe, for questions that name these paths.
    pub(super) fn finish(
        &self,
        loading: Loading,
        paths: &BTreeSet<&str>,
        progress: &Progress,
    ) -> Result<Universe, Failure> {
        let mut loader = loading.loader;
        paths.iter().for_each(|path| loader.want(path));
        if loader.needs_filelists() {
            let overlays = self.overlays.iter().filter(|_| loading.changed);
            for repository in self.binary.iter().chain(overlays.map(|one| &one.repository)) {
                // A repository without file lists has no other files than primary tells.
                if repository.fetch(Kind::Filelists, progress)? {
                    repository.read(Kind::Filelists, |reader| loader.filelists(reader))?;
                }
            }
        }
        let universe = loader.finish().map_err(|error: LoadError| Failure::usage(error))?;
        // A change may leave nothing; before it there was something.
        if universe.is_empty() && !loading.changed {
            return Err(Failure::usage(format_args!(
                "the binary repositories have no packages for {}; is --arch what they were made for?",
                self.arch
            )));
        }
        Ok(universe)
    }
}

impl Loading {
    /// What a person should know about this.
    pub(super) fn warnings(&self) -> Vec<String> {
        let mut warnings = self.warnings.clone();
        let LeftOut { count: relations, first } = self.loader.left_out();
        if let Some((package, error)) = first {
            warnings.push(format!(
                "the repositories have {} of binary packages that cannot be understood, and are left out as libsolv \
                 does; the first: {package} has it, and {error}",
                count(*relations, "relation")
            ));
        }
        warnings
    }
}

/// Goes through the binary packages of a repository.
fn look(repository: &Repository, mut at: impl FnMut(&Package)) -> Result<(), Failure> {
    repository.read(Kind::Primary, |reader| {
        primary::Reader::in_two_threads(reader, |reader| {
            for package in reader {
                let package = package?;
                if !package.nevra.is_source() {
                    at(&package);
                }
            }
            Ok(())
        })
    })
}

/// Names, versions, releases and architectures of the packages in earlier repositories.
#[derive(Default)]
struct Seen {
    needed: bool,
    earlier: HashSet<String>,
    current: Vec<String>,
}

impl Seen {
    /// Whether an earlier repository has this package.
    fn has(&mut self, nevra: &Nevra) -> bool {
        if !self.needed {
            return false;
        }
        let Nevra { name, version, release, arch, .. } = nevra;
        let nvra = format!("{name}-{version}-{release}.{arch}");
        if self.earlier.contains(&nvra) {
            return true;
        }
        self.current.push(nvra);
        false
    }

    fn next_repository(&mut self) {
        self.earlier.extend(self.current.drain(..));
    }
}

/// Adds the packages of a repository that earlier ones do not have and that `keep` wants.
fn add(
    loader: &mut Loader,
    repository: &Repository,
    seen: &mut Seen,
    mut keep: impl FnMut(&Nevra, Option<&str>) -> bool,
) -> Result<(), Failure> {
    repository.read(Kind::Primary, |reader| {
        loader.primary_filtered(reader, |nevra, source_rpm| {
            keep(nevra, source_rpm) && !seen.has(nevra)
        })
    })?;
    seen.next_repository();
    Ok(())
}

/// Which packages stay, decided while they are read.
struct Plan<'c> {
    remove: &'c Removal,
    merge: Merge<'c>,
    /// What of `remove` was found.
    removed: BTreeSet<String>,
    removed_sources: BTreeSet<String>,
    /// Source packages by names that are to be removed as packages.
    also_sources: BTreeSet<String>,
}

impl<'c> Plan<'c> {
    fn new(remove: &'c Removal, merge: Merge<'c>) -> Self {
        Self {
            remove,
            merge,
            removed: BTreeSet::new(),
            removed_sources: BTreeSet::new(),
            also_sources: BTreeSet::new(),
        }
    }

    /// Whether a package of an overlay, or of the binary repositories, stays.
    fn keeps(&mut self, overlay: Option<usize>, nevra: &Nevra, source_rpm: Option<&str>) -> bool {
        if nevra.is_source() {
            return false;
        }
        if self.remove.is_empty() && self.merge.keeps_all() {
            return true;
        }
        let origin = Origin::of(nevra, source_rpm);
        let keeps = self.merge.keeps(overlay, &origin);
        if self.remove.packages.contains(&origin.source) {
            self.also_sources.insert(origin.source.clone());
        }
        // What goes for two reasons is found for both.
        let named = self.remove.packages.contains(&nevra.name);
        if named {
            self.removed.insert(nevra.name.clone());
        }
        let of_source = self.remove.sources.contains(&origin.source);
        if of_source {
            self.removed_sources.insert(origin.source);
        }
        keeps && !named && !of_source
    }

    fn check_removal(&self) -> Result<(), Failure> {
        let Removal { packages, sources } = self.remove;
        if let Some(name) = packages.difference(&self.removed).next() {
            return Err(Failure::usage(if self.also_sources.contains(name) {
                format!(
                    "--remove {name}: there is no binary package of that name, but a source package; --remove \
                     source:{name} removes all that is built from it"
                )
            } else {
                format!(
                    "--remove {name}: there is no package of that name in the binary repositories"
                )
            }));
        }
        if let Some(name) = sources.difference(&self.removed_sources).next() {
            return Err(Failure::usage(format_args!(
                "--remove source:{name}: nothing in the binary repositories is built from a source package of that \
                 name"
            )));
        }
        Ok(())
    }
}
