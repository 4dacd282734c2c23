//! Buildroots: what would be installed to build a package with a repo, and whether the build then works.
//!
//! The same resolver that Koschei uses decides here what mock would install, in the very packages that the repo's
//! files describe.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use depsolve::{Request, Solver, Universe};
use rpm::md;

use crate::content::{self, Built, Rpm};
use crate::engine::Engine;
use crate::rows::{Build, Revision};

/// A repo as the resolver sees it, for one architecture.
#[derive(Debug)]
pub(crate) struct Contents {
    universe: Universe,
    /// Which build an installed package comes from, by name and arch.
    builds: HashMap<(String, String), i64>,
    /// The ABI of each source package in it.
    pub(crate) abis: BTreeMap<String, String>,
    /// Buildroot of the `build` group.
    groups: Vec<String>,
    srpm_groups: Vec<String>,
}

/// The repos that were used last.
#[derive(Debug, Default)]
pub(crate) struct Buildroots {
    cache: Vec<((i64, String), Arc<Contents>)>,
}

/// Repos and architectures kept in memory.
const CACHED: usize = 12;

/// What came of a build.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Verdict {
    /// It works.
    Good,
    /// Not even the build group can be installed.
    NoBuildroot(Vec<String>),
    /// The BuildRequires cannot be installed.
    MissingRequires(Vec<String>),
    /// The compiler, or a test, fails.
    Broken(String),
}

/// A verdict with the packages that were installed.
#[derive(Debug, Clone)]
pub(crate) struct Attempt {
    pub(crate) verdict: Verdict,
    /// NEVRAs.
    pub(crate) installed: Vec<String>,
}

/// A package of ours in the form of rpm-md. A dependency that cannot be read is left out; a test reads all of Buyan's.
pub(crate) fn package(rpm: &Rpm, build: &Build) -> md::Package {
    fn deps(texts: &[String]) -> Vec<rpm::Dep> {
        texts.iter().filter_map(|text| text.parse().ok()).collect()
    }
    fn relations(texts: &[String]) -> Vec<rpm::Relation> {
        texts.iter().filter_map(|text| text.parse().ok()).collect()
    }
    let pre = deps(&rpm.requires_pre).into_iter().map(|dep| md::Requirement { dep, pre: true });
    let plain = deps(&rpm.requires).into_iter().map(md::Requirement::from);
    let size = file_size(rpm);
    md::Package {
        nevra: rpm::Nevra::new(
            rpm.name.as_str(),
            u32::try_from(rpm.epoch.unwrap_or(0)).unwrap_or(0),
            rpm.version.as_str(),
            rpm.release.as_str(),
            rpm.arch.as_str(),
        ),
        summary: rpm.summary.clone(),
        description: rpm.summary.clone(),
        license: "GPL-2.0-or-later".to_owned(),
        vendor: "Buyan".to_owned(),
        source_rpm: rpm.source_rpm.clone(),
        location: format!(
            "toplink/packages/{}/{}/{}/{}/{}",
            build.name,
            build.version,
            build.release,
            rpm.arch,
            rpm.file_name()
        ),
        checksum: md::Checksum::sha256(rpm.file_name().as_bytes()),
        size: md::Sizes { package: size, installed: size * 3, archive: size * 3 + 512 },
        build_time: build.completion_ts.unwrap_or(build.creation_ts) as i64,
        file_time: build.completion_ts.unwrap_or(build.creation_ts) as i64,
        provides: relations(&rpm.provides),
        requires: pre.chain(plain).collect(),
        conflicts: deps(&rpm.conflicts),
        obsoletes: relations(&rpm.obsoletes),
        recommends: deps(&rpm.recommends),
        suggests: deps(&rpm.suggests),
        supplements: deps(&rpm.supplements),
        enhances: deps(&rpm.enhances),
        files: rpm.files.clone(),
        ..md::Package::default()
    }
}

/// A size for a file that nobody can download: the same each time, and plausible.
pub(crate) fn file_size(rpm: &Rpm) -> u64 {
    let spread = rpm
        .file_name()
        .bytes()
        .fold(7_u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(byte)));
    8_000 + spread % 900_000
}

impl Engine {
    /// All RPMs that the repo of a tag at an event has for a canonical architecture, with their builds.
    fn repo_contents(&self, tag: i64, event: i64, canonical: &str) -> Vec<(Rpm, Build)> {
        let native = content::rpm_arch(canonical);
        let mut contents = Vec::new();
        let mut rpms: HashMap<i64, Vec<&crate::rows::Rpm>> = HashMap::new();
        for rpm in self.store.rpms.all() {
            if rpm.arch == native || rpm.arch == "noarch" {
                rpms.entry(rpm.build).or_default().push(rpm);
            }
        }
        for (_, build) in self.tagged(tag, Some(event), true, true, None) {
            let Some(revision) = self.store.revisions.get(build.revision) else { continue };
            let built = Built { revision, release: &build.release, abis: &build.abis };
            for rpm in rpms.get(&build.id).into_iter().flatten() {
                if let Some(rpm) = content::binary(&self.world, built, &rpm.name, &rpm.arch) {
                    contents.push((rpm, build.clone()));
                }
            }
        }
        contents.sort_by(|(left, _), (right, _)| {
            (&left.name, &left.arch).cmp(&(&right.name, &right.arch))
        });
        contents
    }

    /// The same as rpm-md describes them, with the ids of their builds.
    pub(crate) fn repo_packages(
        &self,
        tag: i64,
        event: i64,
        canonical: &str,
    ) -> Vec<(md::Package, i64)> {
        if let Some(imported) = &self.world.imported {
            let tagged = self.tagged(tag, Some(event), true, true, None);
            let builds = tagged.into_iter().map(|(_, build)| (build.name.as_str(), build));
            return imported.packages(&builds.collect());
        }
        let contents = self.repo_contents(tag, event, canonical);
        contents.iter().map(|(rpm, build)| (package(rpm, build), build.id)).collect()
    }

    /// The contents of a repo, from memory or made anew from the builds that it consists of.
    pub(crate) fn contents(&mut self, repo: i64, canonical: &str) -> Option<Arc<Contents>> {
        let key = (repo, canonical.to_owned());
        if let Some(place) = self.buildroots.cache.iter().position(|(known, _)| *known == key) {
            let entry = self.buildroots.cache.remove(place);
            let contents = entry.1.clone();
            self.buildroots.cache.push(entry);
            return Some(contents);
        }
        let row = self.store.repos.get(repo)?.clone();
        let mut builds = HashMap::new();
        let mut abis = BTreeMap::new();
        let mut packages = Vec::new();
        for (package, build) in self.repo_packages(row.tag, row.create_event, canonical) {
            builds.insert((package.nevra.name.clone(), package.nevra.arch.clone()), build);
            let revision = self.store.builds.get(build).map(|build| build.revision);
            if let Some(revision) = revision.and_then(|id| self.store.revisions.get(id))
                && self.world.imported.is_none()
            {
                abis.insert(revision.source.clone(), revision.abi.clone());
            }
            packages.push(package);
        }
        let paths: Vec<String> = self
            .world
            .sources
            .values()
            .flat_map(|source| &source.build_requires)
            .filter(|name| name.starts_with('/'))
            .cloned()
            .collect();
        let universe = Universe::from_packages(packages, content::rpm_arch(canonical), paths)
            .inspect_err(|error| tracing::error!("repo {repo} for {canonical}: {error}"))
            .ok()?;
        let contents = Arc::new(Contents {
            universe,
            builds,
            abis,
            groups: self.group_members(row.tag, row.create_event, "build"),
            srpm_groups: self.group_members(row.tag, row.create_event, "srpm-build"),
        });
        if self.buildroots.cache.len() >= CACHED {
            self.buildroots.cache.remove(0);
        }
        self.buildroots.cache.push((key, contents.clone()));
        Some(contents)
    }

    /// Names of the packages of a group at an event, with inheritance.
    pub(crate) fn group_members(&self, tag: i64, event: i64, group: &str) -> Vec<String> {
        self.groups_of(tag, Some(event))
            .into_iter()
            .filter(|row| row.name == group)
            .flat_map(|row| row.packages)
            .filter(|entry| !entry.blocked)
            .map(|entry| entry.package)
            .collect()
    }

    /// Tries a build: solves its buildroot, then sees whether anything in it breaks the package.
    pub(crate) fn attempt(
        &mut self,
        revision: &Revision,
        repo: i64,
        canonical: &str,
    ) -> Option<Attempt> {
        let contents = self.contents(repo, canonical)?;
        let requires: Vec<rpm::Dep> = content::build_requires(&self.world, revision)
            .iter()
            .filter_map(|text| text.parse().ok())
            .collect();
        Some(self.attempt_in(&contents, revision, &requires))
    }

    /// Tries to set up the small buildroot in which a source package is made.
    pub(crate) fn attempt_source(&mut self, repo: i64, canonical: &str) -> Option<Attempt> {
        let contents = self.contents(repo, canonical)?;
        let mut solver = Solver::new(&contents.universe);
        let request =
            Request { build_group: &contents.srpm_groups, build_requires: &[], weak_deps: true };
        let resolution = solver.resolve(&request);
        let problems: Vec<String> = resolution.problems.iter().map(ToString::to_string).collect();
        let verdict =
            if problems.is_empty() { Verdict::Good } else { Verdict::NoBuildroot(problems) };
        Some(Attempt { verdict, installed: installed(&contents.universe, &resolution) })
    }

    fn attempt_in(
        &self,
        contents: &Contents,
        revision: &Revision,
        requires: &[rpm::Dep],
    ) -> Attempt {
        let mut solver = Solver::new(&contents.universe);
        let solve = |solver: &mut Solver<'_>, requires: &[rpm::Dep]| {
            solver.resolve(&Request {
                build_group: &contents.groups,
                build_requires: requires,
                weak_deps: true,
            })
        };
        let resolution = solve(&mut solver, requires);
        if !resolution.resolved() {
            let words = |resolution: &depsolve::Resolution| -> Vec<String> {
                resolution.problems.iter().map(ToString::to_string).collect()
            };
            let bare = solve(&mut solver, &[]);
            return if bare.resolved() {
                let verdict = Verdict::MissingRequires(words(&resolution));
                Attempt { verdict, installed: installed(&contents.universe, &bare) }
            } else {
                Attempt { verdict: Verdict::NoBuildroot(words(&bare)), installed: Vec::new() }
            };
        }
        let verdict =
            self.complaint(contents, revision, &resolution).map_or(Verdict::Good, Verdict::Broken);
        Attempt { verdict, installed: installed(&contents.universe, &resolution) }
    }

    /// The words of the first thing that breaks this revision in this install set.
    fn complaint(
        &self,
        contents: &Contents,
        revision: &Revision,
        resolution: &depsolve::Resolution,
    ) -> Option<String> {
        if let Some(words) = &revision.broken {
            return Some(words.clone());
        }
        for install in &resolution.installs {
            let package = contents.universe.package(install.package);
            let key = (package.name.to_owned(), package.arch.to_owned());
            let Some(build) =
                contents.builds.get(&key).and_then(|build| self.store.builds.get(*build))
            else {
                continue;
            };
            let Some(culprit) = self.store.revisions.get(build.revision) else { continue };
            if let Some(words) = culprit.breaks.get(&revision.source)
                && !revision.adapted.contains(&culprit.source)
            {
                return Some(words.clone());
            }
        }
        None
    }
}

fn installed(universe: &Universe, resolution: &depsolve::Resolution) -> Vec<String> {
    let mut names: Vec<String> = resolution
        .installs
        .iter()
        .map(|install| universe.package(install.package).to_string())
        .collect();
    names.sort();
    names
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::store::Store;
    use crate::world::{Life, World};

    fn buyan(directory: &std::path::Path) -> Engine {
        let store = Store::open(&directory.join("hub")).unwrap();
        let world = Arc::new(World::buyan().unwrap());
        let life = Some(Arc::new(Life::buyan().unwrap()));
        Engine::new(store, world, life, directory.join("files"), 1.0, true, 1, 1.8e9).unwrap()
    }

    #[test]
    fn every_relation_of_the_world_can_be_read() {
        let directory = tempfile::tempdir().unwrap();
        let engine = buyan(directory.path());
        let tag = engine.tag_named("buyan2-build").unwrap().id;
        for arch in engine.repo_arches(tag) {
            for (rpm, build) in engine.repo_contents(tag, i64::MAX, &arch) {
                let read = package(&rpm, &build);
                assert_eq!(read.provides.len(), rpm.provides.len(), "{}", rpm.name);
                assert_eq!(
                    read.requires.len(),
                    rpm.requires.len() + rpm.requires_pre.len(),
                    "{}",
                    rpm.name
                );
                let weak = [&rpm.recommends, &rpm.suggests, &rpm.supplements, &rpm.enhances];
                let read_weak =
                    [&read.recommends, &read.suggests, &read.supplements, &read.enhances];
                for (texts, deps) in weak.into_iter().zip(read_weak) {
                    assert_eq!(texts.len(), deps.len(), "{}", rpm.name);
                }
            }
        }
        for (name, source) in &engine.world.sources {
            for text in &source.build_requires {
                text.parse::<rpm::Dep>().unwrap_or_else(|error| panic!("{name}: {error}"));
            }
        }
    }

    #[test]
    fn every_source_builds_in_the_first_repos() {
        let directory = tempfile::tempdir().unwrap();
        let mut engine = buyan(directory.path());
        let repos: Vec<(i64, i64)> =
            engine.store.repos.all().map(|repo| (repo.id, repo.tag)).collect();
        let mut wrong = Vec::new();
        for (repo, tag) in repos {
            for arch in engine.repo_arches(tag) {
                let attempt = engine.attempt_source(repo, &arch).unwrap();
                assert_eq!(attempt.verdict, Verdict::Good, "SRPMs in repo {repo} for {arch}");
                for name in engine.world.clone().sources.keys() {
                    let revision = engine.newest_revision(name).unwrap().clone();
                    let attempt = engine.attempt(&revision, repo, &arch).unwrap();
                    if attempt.verdict != Verdict::Good {
                        wrong.push(format!(
                            "{name} in repo {repo} for {arch}: {:?}",
                            attempt.verdict
                        ));
                    } else {
                        assert!(attempt.installed.len() > 50, "{name}: {:?}", attempt.installed);
                    }
                }
            }
        }
        assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
    }
}
