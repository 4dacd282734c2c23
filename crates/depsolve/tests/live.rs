//! libsolv itself as judge of whole distributions: it loads the repositories from their XML in the same run and answers
//! the same requests. `tests/golden.rs` holds us to answers written down, for more packages and with distances; this
//! test is independent of how they came about.
//!
//! `DEPSOLVE_SOURCES` says how many sources of debian-bookworm are asked for (500 unless told), `DEPSOLVE_SEED` which.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail")]

mod judge;
mod notation;
mod random;

use std::fs::File;
use std::path::{Path, PathBuf};

use depsolve::{Request, Solver, Universe};
use judge::Judge;
use random::Random;
use rpm::Dep;
use rpm::md::primary::Reader;
use rpm::md::repomd::Repomd;

fn shared_data() -> PathBuf {
    let data = std::env::var_os("KOSCHEI_DATA").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"),
        PathBuf::from,
    );
    assert!(
        data.join("repos").is_dir(),
        "{} has no directory repos; set KOSCHEI_DATA to the directory of the test data",
        data.display()
    );
    data
}

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).map_or(default, |text| text.parse().expect(variable))
}

/// A distribution: its binary repository's files, the build group, and what each source package requires.
struct Distribution {
    primary: PathBuf,
    filelists: PathBuf,
    group: Vec<String>,
    sources: Vec<(String, Vec<Dep>)>,
}

impl Distribution {
    fn new(name: &str) -> Self {
        let directory = shared_data().join("repos").join(name);
        let file = |repo: &str, kind: &str| {
            let repo = directory.join(repo);
            let repomd =
                Repomd::read(File::open(repo.join("repodata/repomd.xml")).unwrap()).unwrap();
            repo.join(&repomd.get(kind).unwrap().location)
        };
        let sources = Reader::new(File::open(file("source", "primary")).unwrap()).unwrap();
        let sources = sources.map(|source| {
            let source = source.unwrap();
            let requires = source.requires.into_iter().map(|requirement| requirement.dep);
            (source.nevra.to_string(), requires.collect())
        });
        let group = std::fs::read_to_string(directory.join("build-group.txt")).unwrap();
        Distribution {
            primary: file("binary", "primary"),
            filelists: file("binary", "filelists"),
            group: group.split_whitespace().map(str::to_owned).collect(),
            sources: sources.collect(),
        }
    }

    /// Whether a path is asked for anywhere: if not, file lists, which take libsolv most of its time, tell nothing.
    fn asks_for_paths(&self) -> bool {
        let is_path = |dep: &Dep| {
            let mut found = false;
            dep.for_each_relation(&mut |relation| found |= relation.name.starts_with('/'));
            found
        };
        self.group.iter().any(|entry| entry.starts_with('/'))
            || self.sources.iter().any(|(_, requires)| requires.iter().any(is_path))
            || Reader::new(File::open(&self.primary).unwrap()).unwrap().any(|package| {
                let package = package.unwrap();
                let requires = package.requires.iter().map(|requirement| &requirement.dep);
                let strong = requires.chain(&package.conflicts);
                let forward = package.recommends.iter().chain(&package.suggests);
                let backward = package.supplements.iter().chain(&package.enhances);
                strong.chain(forward).chain(backward).any(is_path)
            })
    }

    fn universe(&self, filelists: Option<&Path>) -> Universe {
        let mut paths = Vec::new();
        for dep in self.sources.iter().flat_map(|(_, requires)| requires) {
            dep.for_each_relation(&mut |relation| paths.push(relation.name.clone()));
        }
        paths.retain(|path| path.starts_with('/'));
        let open = |path: &Path| File::open(path).unwrap();
        Universe::load(open(&self.primary), filelists.map(open), "x86_64", paths).unwrap()
    }

    /// Asks libsolv and us for these sources and tells where the answers differ.
    fn differences(&self, sources: &[usize], filelists: Option<&Path>, weak: bool) -> Vec<String> {
        let mut judge = Judge::new();
        judge.load(&self.primary, filelists, "x86_64");
        let universe = self.universe(filelists);
        let mut solver = Solver::new(&universe);
        let mut differences = Vec::new();
        let mut resolved = 0;
        for source in sources {
            let (name, requires) = &self.sources[*source];
            let theirs = judge.ask_loaded(&self.group, requires, weak);
            let request =
                Request { build_group: &self.group, build_requires: requires, weak_deps: weak };
            let resolution = solver.resolve(&request);
            let ours = notation::installs(&universe, &resolution);
            resolved += usize::from(theirs.resolved);
            if theirs.resolved != resolution.resolved() {
                differences.push(format!(
                    "{name}: libsolv says {:?}, we say {:?}",
                    theirs.problems, resolution.problems
                ));
            } else if theirs.installs != ours {
                let missing = theirs.installs.iter().filter(|i| ours.binary_search(i).is_err());
                let more = ours.iter().filter(|i| theirs.installs.binary_search(i).is_err());
                let missing: Vec<_> = missing.map(|i| format!("-{i}")).collect();
                let more: Vec<_> = more.map(|i| format!("+{i}")).collect();
                differences.push(format!("{name}: {} {}", missing.join(" "), more.join(" ")));
            }
        }
        println!("{} sources, {resolved} resolved, {} differ", sources.len(), differences.len());
        assert!(resolved > sources.len() / 2, "sources that can mostly not be built prove nothing");
        differences
    }
}

#[track_caller]
fn assert_none(differences: &[String]) {
    assert!(
        differences.is_empty(),
        "{} differ; some of them:\n{}",
        differences.len(),
        differences[..differences.len().min(10)].join("\n")
    );
}

#[test]
fn rhel7_whole() {
    let rhel7 = Distribution::new("rhel7");
    assert!(rhel7.asks_for_paths());
    let all: Vec<usize> = (0..rhel7.sources.len()).collect();
    assert_none(&rhel7.differences(&all, Some(&rhel7.filelists), true));
}

#[test]
fn a_sample_of_debian_with_and_without_weak_dependencies() {
    let debian = Distribution::new("debian-bookworm");
    assert!(!debian.asks_for_paths(), "then the file lists have to be loaded");
    let wanted = number("DEPSOLVE_SOURCES", 500) as usize;
    let mut random = Random(number("DEPSOLVE_SEED", 1));
    let mut sample: Vec<usize> = (0..debian.sources.len()).collect();
    for i in 0..wanted.min(sample.len()) {
        let j = i + random.below(sample.len() - i);
        sample.swap(i, j);
    }
    sample.truncate(wanted);
    let (debian, sample) = (&debian, &sample);
    std::thread::scope(|scope| {
        let noweak = scope.spawn(move || debian.differences(sample, None, false));
        assert_none(&debian.differences(sample, None, true));
        assert_none(&noweak.join().unwrap());
    });
}
