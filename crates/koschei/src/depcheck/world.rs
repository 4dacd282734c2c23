//! What can be installed: the packages of several repositories as one universe, and the same with something changed.
//!
//! Koji's rules. Of packages with the same name, version, release and architecture the first repository's counts. An
//! overlay does what merging a side tag does: tags hold builds, so it replaces all packages that were built from the same
//! source package, including those that the new build does not make any more.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use depsolve::{LoadError, Loader, Universe};
use repocache::Kind;
use rpm::md::primary;
use rpm::{Evr, Nevra};

use super::options::OverlayMode;
use super::progress::Progress;
use super::repository::Repository;
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
    /// The newest build of each source package in it.
    builds: HashMap<String, Evr>,
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
    with_overlays: bool,
    /// What a person should know.
    pub(super) warnings: Vec<String>,
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
            let mut builds = HashMap::new();
            repository.read(Kind::Primary, |reader| {
                for package in primary::Reader::new(reader)? {
                    let package = package?;
                    if !package.nevra.is_source() {
                        let (source, evr) = build_of(&package.nevra, package.source_rpm.as_deref());
                        remember(&mut builds, source, evr);
                    }
                }
                Ok(())
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
        Ok(Loading { loader, with_overlays: false, warnings: Vec::new() })
    }

    /// Reads what there is with a change.
    pub(super) fn after(&self, change: &Change) -> Result<Loading, Failure> {
        let mut stale = BTreeMap::new();
        loop {
            let mut plan = Plan::new(&self.overlays, change, &stale);
            let mut loader = Loader::new(&self.arch, []);
            let several = self.binary.len() + self.overlays.len() > 1;
            let mut seen = Seen { needed: several, ..Seen::default() };
            for repository in &self.binary {
                add(&mut loader, repository, &mut seen, |nevra, source_rpm| {
                    plan.keeps(0, nevra, source_rpm)
                })?;
            }
            for (i, overlay) in self.overlays.iter().enumerate() {
                add(&mut loader, &overlay.repository, &mut seen, |nevra, source_rpm| {
                    plan.keeps(i + 1, nevra, source_rpm)
                })?;
            }
            // Only now it is known which builds of the binary repositories are newer than the overlays'; what was left
            // out for the sake of an older one belongs where it was.
            let newer = plan.stale();
            if !newer.is_empty() {
                stale.extend(newer);
                continue;
            }
            plan.check_removal()?;
            let warnings = left_out(&stale).into_iter().collect();
            return Ok(Loading { loader, with_overlays: true, warnings });
        }
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
            let overlays = self.overlays.iter().filter(|_| loading.with_overlays);
            for repository in self.binary.iter().chain(overlays.map(|one| &one.repository)) {
                // A repository without file lists has no other files than primary tells.
                if repository.fetch(Kind::Filelists, progress)? {
                    repository.read(Kind::Filelists, |reader| loader.filelists(reader))?;
                }
            }
        }
        let universe = loader.finish().map_err(|error: LoadError| Failure::usage(error))?;
        if universe.is_empty() {
            return Err(Failure::usage(format_args!(
                "the binary repositories have no packages for {}; is --arch what they were made for?",
                self.arch
            )));
        }
        Ok(universe)
    }
}

/// What a person should know about overlays' builds that are older than what is there: each with the newer one.
fn left_out(stale: &BTreeMap<String, (Evr, Evr)>) -> Option<String> {
    const SHOWN: usize = 3;
    let mut builds: Vec<String> = stale
        .iter()
        .take(SHOWN)
        .map(|(source, (ours, theirs))| format!("{source}-{ours} (there is {theirs})"))
        .collect();
    let builds = match (builds.pop()?, stale.len().saturating_sub(SHOWN)) {
        (last, 0) if builds.is_empty() => last,
        (last, 0) => format!("{} and {last}", builds.join(", ")),
        (last, more) => format!("{}, {last} and {more} more", builds.join(", ")),
    };
    Some(format!(
        "builds of the overlay that are older than what is there are left out (--overlay-mode replace uses them): \
         {builds}"
    ))
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

/// The build that a package belongs to: name of the source package, and its version. File names do not tell epochs, so
/// the package's own is taken.
fn build_of(nevra: &Nevra, source_rpm: Option<&str>) -> (String, Evr) {
    match source_rpm.map(Nevra::from_nvra) {
        Some(Ok(source)) => (source.name, Evr::new(nevra.epoch, source.version, source.release)),
        _ => (nevra.name.clone(), nevra.evr().to_owned()),
    }
}

/// The packages of one build may have different epochs; the highest counts, here and there.
fn remember(builds: &mut HashMap<String, Evr>, source: String, evr: Evr) {
    match builds.get_mut(&source) {
        Some(known) if *known >= evr => {}
        Some(known) => *known = evr,
        None => {
            builds.insert(source, evr);
        }
    }
}

/// Which packages stay, decided while they are read.
struct Plan<'c> {
    change: &'c Change,
    /// Source package to the layer that its packages come from, and the version there. Layer 0 is all binary
    /// repositories; others are overlays.
    winners: HashMap<&'c str, (usize, &'c Evr)>,
    /// The newest builds that were left out for the sake of an overlay.
    left_out: HashMap<String, Evr>,
    /// What of `change.remove` was found.
    removed: BTreeSet<String>,
    removed_sources: BTreeSet<String>,
    /// Source packages by names that are to be removed as packages.
    also_sources: BTreeSet<String>,
}

impl<'c> Plan<'c> {
    fn new(
        overlays: &'c [Overlay],
        change: &'c Change,
        stale: &BTreeMap<String, (Evr, Evr)>,
    ) -> Self {
        let mut winners: HashMap<&str, (usize, &Evr)> = HashMap::new();
        if change.mode != OverlayMode::Add {
            for (i, overlay) in overlays.iter().enumerate() {
                for (source, evr) in &overlay.builds {
                    let older = change.mode == OverlayMode::Newer
                        && winners.get(source.as_str()).is_some_and(|(_, winner)| evr < *winner);
                    if !older {
                        let layer = if stale.contains_key(source) { 0 } else { i + 1 };
                        winners.insert(source, (layer, evr));
                    }
                }
            }
        }
        Self {
            change,
            winners,
            left_out: HashMap::new(),
            removed: BTreeSet::new(),
            removed_sources: BTreeSet::new(),
            also_sources: BTreeSet::new(),
        }
    }

    fn keeps(&mut self, layer: usize, nevra: &Nevra, source_rpm: Option<&str>) -> bool {
        if nevra.is_source() {
            return false;
        }
        let remove = &self.change.remove;
        if !remove.is_empty() {
            let (source, _) = build_of(nevra, source_rpm);
            if remove.packages.contains(&source) {
                self.also_sources.insert(source.clone());
            }
            if remove.packages.contains(&nevra.name) {
                self.removed.insert(nevra.name.clone());
                return false;
            }
            if remove.sources.contains(&source) {
                self.removed_sources.insert(source);
                return false;
            }
        }
        if self.winners.is_empty() {
            return true;
        }
        let (source, evr) = build_of(nevra, source_rpm);
        match self.winners.get(source.as_str()) {
            Some((winner, _)) if *winner != layer => {
                if layer == 0 && self.change.mode == OverlayMode::Newer {
                    remember(&mut self.left_out, source, evr);
                }
                false
            }
            _ => true,
        }
    }

    /// Builds of overlays that turned out to be older than what they replaced, each with the newer one.
    fn stale(&self) -> BTreeMap<String, (Evr, Evr)> {
        let mut stale = BTreeMap::new();
        for (source, there) in &self.left_out {
            if let Some((_, overlay)) = self.winners.get(source.as_str())
                && *overlay < there
            {
                stale.insert(source.clone(), ((*overlay).clone(), there.clone()));
            }
        }
        stale
    }

    fn check_removal(&self) -> Result<(), Failure> {
        let Removal { packages, sources } = &self.change.remove;
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
