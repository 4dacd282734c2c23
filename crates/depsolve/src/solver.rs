//! The solver: from a request to a set of packages.

use rpm::Dep;

use crate::{PackageId, Problem, Universe};

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// Packages always present; entries that nothing provides are skipped.
    pub build_group: &'a [String],
    /// What the package to be built requires; an entry that nothing provides is a problem, unless it is rich.
    pub build_requires: &'a [Dep],
    /// Whether Recommends and Supplements are followed and Suggests and Enhances preferred.
    pub weak_deps: bool,
}

/// The answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resolution {
    /// Why not; empty when it can be done.
    pub problems: Vec<Problem>,
    /// What would be installed, by package id; empty when it cannot be done.
    pub installs: Vec<Install>,
}

/// One package that would be installed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Install {
    /// Which one.
    pub package: PackageId,
    /// 1 for what a BuildRequires names, 2 for what those require, up to 4; `None` beyond.
    pub distance: Option<u8>,
}

impl Resolution {
    /// Whether the request can be met.
    pub fn resolved(&self) -> bool {
        self.problems.is_empty()
    }
}

/// Solves one request after the other, reusing its memory. One for each thread; cheap to keep, dear to make.
#[derive(Debug)]
pub struct Solver<'u> {
    _universe: &'u Universe,
}

impl<'u> Solver<'u> {
    /// A solver for this universe.
    pub fn new(universe: &'u Universe) -> Self {
        Solver { _universe: universe }
    }

    /// Which packages would be installed, and how far each is from the BuildRequires.
    pub fn resolve(&mut self, _request: &Request<'_>) -> Resolution {
        Resolution::default()
    }
}
