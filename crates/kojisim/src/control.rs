//! What a test or a script may do to the world, as data.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// A packager's push: a new revision of a source package, which Koji then builds for real.
///
/// What is not said stays as it was in the newest build of the target.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Push {
    /// The source package.
    pub source: String,
    /// The build target; the first release of the world if not given.
    pub target: Option<String>,
    /// New version, with release 1; without it the release is bumped.
    pub version: Option<String>,
    /// New soname version or language ABI.
    pub abi: Option<String>,
    /// New BuildRequires.
    pub build_requires: Option<Vec<String>>,
    /// Source packages that no longer build with this in their buildroot, and what the compiler says.
    pub breaks: BTreeMap<String, String>,
    /// Source packages that it no longer breaks.
    pub cures: BTreeSet<String>,
    /// Source packages whose breaking changes this revision copes with.
    pub adapts: BTreeSet<String>,
    /// This revision fails in any buildroot, with these words.
    pub broken: Option<String>,
}

impl Push {
    /// A push of a new release of a source package, with nothing else changed.
    pub fn of(source: impl Into<String>) -> Push {
        Push { source: source.into(), ..Push::default() }
    }

    /// With a new version.
    #[must_use]
    pub fn version(mut self, version: impl Into<String>) -> Push {
        self.version = Some(version.into());
        self
    }

    /// To another release than the first.
    #[must_use]
    pub fn target(mut self, target: impl Into<String>) -> Push {
        self.target = Some(target.into());
        self
    }

    /// With a new soname version.
    #[must_use]
    pub fn abi(mut self, abi: impl Into<String>) -> Push {
        self.abi = Some(abi.into());
        self
    }

    /// Breaking another package.
    #[must_use]
    pub fn breaking(mut self, victim: impl Into<String>, complaint: impl Into<String>) -> Push {
        self.breaks.insert(victim.into(), complaint.into());
        self
    }

    /// No longer breaking another package.
    #[must_use]
    pub fn curing(mut self, victim: impl Into<String>) -> Push {
        self.cures.insert(victim.into());
        self
    }

    /// Coping with the breaking change of another package.
    #[must_use]
    pub fn adapting(mut self, culprit: impl Into<String>) -> Push {
        self.adapts.insert(culprit.into());
        self
    }

    /// With other BuildRequires.
    #[must_use]
    pub fn build_requires<S: Into<String>>(
        mut self,
        requires: impl IntoIterator<Item = S>,
    ) -> Push {
        self.build_requires = Some(requires.into_iter().map(Into::into).collect());
        self
    }

    /// Failing whatever the buildroot.
    #[must_use]
    pub fn broken(mut self, complaint: impl Into<String>) -> Push {
        self.broken = Some(complaint.into());
        self
    }
}

/// How a test wants a task to end.
#[derive(Debug, Clone, PartialEq)]
pub enum Ending {
    /// As the world would have it, but now.
    Natural,
    /// FAILED with this fault code and text.
    Fault(i64, String),
}
