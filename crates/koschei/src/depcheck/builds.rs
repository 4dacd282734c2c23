//! Builds: which of two is the newer one, and which count when overlays are merged.
//!
//! Tags hold builds, not packages. A tag has one build of each source package, the latest; so an overlay counts with the
//! newest of its builds only, and that build stands for all packages of its source package or for none.

use std::collections::{BTreeMap, HashMap};

use rpm::{Evr, Nevra};

use super::options::OverlayMode;

/// What a package was built from.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Origin {
    /// Name of the source package.
    pub(super) source: String,
    version: String,
    release: String,
}

impl Origin {
    /// From what the repository tells; a package that has no source package is its own.
    pub(super) fn of(nevra: &Nevra, source_rpm: Option<&str>) -> Self {
        let Nevra { name, version, release, .. } = match source_rpm.map(Nevra::from_nvra) {
            Some(Ok(source)) => source,
            _ => nevra.clone(),
        };
        Self { source: name, version, release }
    }
}

/// All packages that were made from a source package in one go.
#[derive(Debug)]
struct Build {
    version: String,
    release: String,
    /// By name of package. A build has no epoch of its own that a repository of binary packages would tell.
    epochs: HashMap<String, u32>,
    highest_epoch: u32,
}

impl Build {
    /// Both as they are to be compared. A package that only one of them has says nothing: one with a high epoch that is
    /// split out would make every build after it an older one.
    fn beside(&self, other: &Self) -> (Evr, Evr) {
        let fewer = if self.epochs.len() < other.epochs.len() { self } else { other };
        let mut shared = None;
        for name in fewer.epochs.keys() {
            if let (Some(one), Some(another)) = (self.epochs.get(name), other.epochs.get(name)) {
                let (highest, highest_other) = shared.unwrap_or((0, 0));
                shared = Some((highest.max(*one), highest_other.max(*another)));
            }
        }
        let (epoch, epoch_other) = shared.unwrap_or((self.highest_epoch, other.highest_epoch));
        (
            Evr::new(epoch, self.version.as_str(), self.release.as_str()),
            Evr::new(epoch_other, other.version.as_str(), other.release.as_str()),
        )
    }

    fn is_older(&self, other: &Self) -> bool {
        let (this, other) = self.beside(other);
        this < other
    }
}

/// The builds that some repositories have.
#[derive(Debug, Default)]
pub(super) struct Builds(HashMap<String, BTreeMap<(String, String), Build>>);

impl Builds {
    /// Takes notice of a binary package.
    pub(super) fn add(&mut self, origin: Origin, package: &Nevra) {
        let Origin { source, version, release } = origin;
        let key = (version, release);
        let build = self.0.entry(source).or_default().entry(key).or_insert_with_key(
            |(version, release)| Build {
                version: version.clone(),
                release: release.clone(),
                epochs: HashMap::new(),
                highest_epoch: 0,
            },
        );
        build.highest_epoch = build.highest_epoch.max(package.epoch);
        match build.epochs.get_mut(&package.name) {
            Some(epoch) => *epoch = package.epoch.max(*epoch),
            None => {
                build.epochs.insert(package.name.clone(), package.epoch);
            }
        }
    }

    /// Whether there is a build of a source package.
    pub(super) fn has(&self, source: &str) -> bool {
        self.0.contains_key(source)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn of(&self, source: &str) -> impl Iterator<Item = &Build> {
        self.0.get(source).into_iter().flat_map(BTreeMap::values)
    }
}

fn newest<'b>(builds: impl Iterator<Item = &'b Build>) -> Option<&'b Build> {
    builds.reduce(|best, build| if best.is_older(build) { build } else { best })
}

/// A build of an overlay that is left out, because there is a newer one.
#[derive(Debug)]
struct Older {
    source: String,
    evr: Evr,
    there: Evr,
}

/// Where the packages of a source package come from.
#[derive(Debug, Clone, Copy)]
enum Winner<'b> {
    /// From where they came without overlays.
    Below,
    /// From this build of an overlay, counted from 0.
    Overlay(usize, &'b Build),
}

/// Overlays on top of each other and of what is there.
#[derive(Debug)]
pub(super) struct Merge<'b> {
    /// By name of source package; of those that are not in it, everything stays.
    winners: HashMap<&'b str, Winner<'b>>,
    older: Vec<Older>,
}

impl<'b> Merge<'b> {
    /// Lays one after the other on top. What is there has to be known of those source packages only that overlays have.
    pub(super) fn new(mode: OverlayMode, there: &Builds, overlays: &[&'b Builds]) -> Self {
        let mut merge = Self { winners: HashMap::new(), older: Vec::new() };
        if mode == OverlayMode::Add {
            return merge;
        }
        for (i, overlay) in overlays.iter().enumerate() {
            for source in overlay.0.keys() {
                let Some(build) = newest(overlay.of(source)) else { continue };
                if mode == OverlayMode::Newer && merge.leaves_out(source, build, there) {
                    merge.winners.entry(source).or_insert(Winner::Below);
                } else {
                    merge.winners.insert(source, Winner::Overlay(i, build));
                }
            }
        }
        // By name; of one source package in the order of the overlays.
        merge.older.sort_by(|one, other| one.source.cmp(&other.source));
        merge
    }

    /// Whether a build is older than what lies below it.
    fn leaves_out(&mut self, source: &str, build: &Build, there: &Builds) -> bool {
        let newer = match self.winners.get(source) {
            Some(Winner::Overlay(_, other)) => Some(*other).filter(|other| build.is_older(other)),
            Some(Winner::Below) | None => {
                newest(there.of(source).filter(|other| build.is_older(other)))
            }
        };
        if let Some(newer) = newer {
            let (evr, there) = build.beside(newer);
            self.older.push(Older { source: source.to_owned(), evr, there });
        }
        newer.is_some()
    }

    /// Whether a package counts that comes from an overlay, or from below them all.
    pub(super) fn keeps(&self, overlay: Option<usize>, origin: &Origin) -> bool {
        match self.winners.get(origin.source.as_str()) {
            None => true,
            Some(Winner::Below) => overlay.is_none(),
            Some(Winner::Overlay(i, build)) => {
                overlay == Some(*i)
                    && build.version == origin.version
                    && build.release == origin.release
            }
        }
    }

    /// Whether everything counts.
    pub(super) fn keeps_all(&self) -> bool {
        self.winners.is_empty()
    }

    /// What a person should know about builds that were left out: each with the newer one.
    pub(super) fn warning(&self) -> Option<String> {
        const SHOWN: usize = 3;
        let mut builds: Vec<String> = self
            .older
            .iter()
            .take(SHOWN)
            .map(|Older { source, evr, there }| format!("{source}-{evr} (there is {there})"))
            .collect();
        let builds = match (builds.pop()?, self.older.len().saturating_sub(SHOWN)) {
            (last, 0) if builds.is_empty() => last,
            (last, 0) => format!("{} and {last}", builds.join(", ")),
            (last, more) => format!("{}, {last} and {more} more", builds.join(", ")),
        };
        Some(format!(
            "builds of the overlay that are older than what is there are left out (--overlay-mode replace uses them): \
             {builds}"
        ))
    }
}
