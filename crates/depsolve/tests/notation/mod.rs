//! Small repositories as text, for tests that want to be read.
//!
//! ```text
//! arch x86_64
//! package bash-0:5.2-1.x86_64
//!   provides /bin/sh
//!   recommends bash-completion
//! group bash
//! install make >= 4
//! without weak
//! ```
//!
//! An epoch may be left out. `arch` is the machine's, x86_64 unless told; `group` is an entry of the build group,
//! `install` a BuildRequires. Lines that begin with `#` are comments.

#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail")]

use std::fmt;

use depsolve::{Limits, LoadError, Request, Resolution, Solver, Universe};
use rpm::md::{Package, Requirement};
use rpm::{Dep, Nevra};

/// A repository and what is asked of it.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    pub(crate) arch: String,
    pub(crate) packages: Vec<Package>,
    pub(crate) group: Vec<String>,
    pub(crate) requires: Vec<Dep>,
    pub(crate) weak: bool,
}

impl Case {
    pub(crate) fn parse(text: &str) -> Self {
        let mut case = Case {
            arch: "x86_64".to_owned(),
            packages: Vec::new(),
            group: Vec::new(),
            requires: Vec::new(),
            weak: true,
        };
        let lines = text.lines().map(str::trim);
        for line in lines.filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let (what, value) = line.split_once(' ').unwrap_or_else(|| panic!("{line}"));
            let dep = || value.parse::<Dep>().unwrap();
            let relation = || value.parse().unwrap();
            match what {
                "arch" => {
                    value.clone_into(&mut case.arch);
                    continue;
                }
                "package" => {
                    let nevra = Nevra::from_nvra(value).unwrap();
                    case.packages.push(Package { nevra, ..Package::default() });
                    continue;
                }
                "group" => {
                    case.group.push(value.to_owned());
                    continue;
                }
                "install" => {
                    case.requires.push(dep());
                    continue;
                }
                "without" => {
                    case.weak = false;
                    continue;
                }
                _ => {}
            }
            let package = case.packages.last_mut().unwrap_or_else(|| panic!("{line}"));
            match what {
                "provides" => package.provides.push(relation()),
                "requires" => package.requires.push(dep().into()),
                "prerequires" => package.requires.push(Requirement { dep: dep(), pre: true }),
                "conflicts" => package.conflicts.push(dep()),
                "obsoletes" => package.obsoletes.push(relation()),
                "recommends" => package.recommends.push(dep()),
                "suggests" => package.suggests.push(dep()),
                "supplements" => package.supplements.push(dep()),
                "enhances" => package.enhances.push(dep()),
                "file" => package.files.push(value.to_owned()),
                _ => panic!("{line}"),
            }
        }
        case
    }

    pub(crate) fn universe(&self) -> Universe {
        self.load().unwrap()
    }

    pub(crate) fn load(&self) -> Result<Universe, LoadError> {
        let mut paths = Vec::new();
        for dep in &self.requires {
            dep.for_each_relation(&mut |relation| paths.push(relation.name.clone()));
        }
        paths.extend(self.group.iter().cloned());
        paths.retain(|path| path.starts_with('/'));
        Universe::from_packages(self.packages.clone(), &self.arch, paths)
    }

    pub(crate) fn request(&self) -> Request<'_> {
        Request { build_group: &self.group, build_requires: &self.requires, weak_deps: self.weak }
    }

    /// What would be installed, sorted, as `name-epoch:version-release.arch`; and why not.
    pub(crate) fn solve(&self) -> (Vec<String>, Vec<String>) {
        self.solve_within(Limits::default())
    }

    pub(crate) fn solve_within(&self, limits: Limits) -> (Vec<String>, Vec<String>) {
        let universe = self.universe();
        let mut solver = Solver::with_limits(&universe, limits);
        let resolution = solver.resolve(&self.request());
        let request = self.request();
        assert_eq!(solver.resolve(&request), resolution, "asking again gives the same answer");
        let (some, others) = request.build_requires.split_at(request.build_requires.len() / 2);
        for build_requires in [some, others] {
            solver.resolve(&Request { build_requires, ..request });
            assert_eq!(
                solver.resolve(&request),
                resolution,
                "asking for something else in between makes no difference"
            );
        }
        (
            installs(&universe, &resolution),
            resolution.problems.iter().map(ToString::to_string).collect(),
        )
    }
}

pub(crate) fn installs(universe: &Universe, resolution: &Resolution) -> Vec<String> {
    let mut installs: Vec<String> = resolution
        .installs
        .iter()
        .map(|install| universe.package(install.package).to_string())
        .collect();
    installs.sort();
    installs
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.arch != "x86_64" {
            writeln!(f, "arch {}", self.arch)?;
        }
        for package in &self.packages {
            writeln!(f, "package {}", package.nevra)?;
            package.provides.iter().try_for_each(|d| writeln!(f, "  provides {d}"))?;
            package.requires.iter().try_for_each(|d| {
                writeln!(f, "  {}requires {}", if d.pre { "pre" } else { "" }, d.dep)
            })?;
            package.conflicts.iter().try_for_each(|d| writeln!(f, "  conflicts {d}"))?;
            package.obsoletes.iter().try_for_each(|d| writeln!(f, "  obsoletes {d}"))?;
            package.recommends.iter().try_for_each(|d| writeln!(f, "  recommends {d}"))?;
            package.suggests.iter().try_for_each(|d| writeln!(f, "  suggests {d}"))?;
            package.supplements.iter().try_for_each(|d| writeln!(f, "  supplements {d}"))?;
            package.enhances.iter().try_for_each(|d| writeln!(f, "  enhances {d}"))?;
            package.files.iter().try_for_each(|d| writeln!(f, "  file {d}"))?;
        }
        self.group.iter().try_for_each(|d| writeln!(f, "group {d}"))?;
        self.requires.iter().try_for_each(|d| writeln!(f, "install {d}"))?;
        if !self.weak {
            writeln!(f, "without weak")?;
        }
        Ok(())
    }
}
