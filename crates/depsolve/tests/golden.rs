//! The answers of libsolv, as dnf uses it, for thousands of real packages: `resolved`, install set, distances and
//! problems must be the same; and no explanation may say more than it has to.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail")]

mod definition;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;

use definition::is_minimal;
use depsolve::{Extent, Problem, Request, Resolution, Solver, Universe};
use rayon::prelude::*;
use rpm::Dep;
use rpm::md::repomd::Repomd;
use serde::Deserialize;

/// One line of the golden files.
#[derive(Deserialize)]
struct Golden {
    name: String,
    build_requires: Vec<String>,
    resolved: bool,
    #[serde(default)]
    problems: Vec<String>,
    #[serde(default)]
    installs: Vec<String>,
    #[serde(default)]
    distances: BTreeMap<String, Option<u8>>,
}

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

fn golden(file: &str) -> Vec<Golden> {
    let file = File::open(shared_data().join("golden").join(file)).unwrap();
    BufReader::new(zstd::Decoder::new(file).unwrap())
        .lines()
        .map(|line| serde_json::from_str(&line.unwrap()).unwrap())
        .collect()
}

fn universe(repo: &str, golden: &[Golden]) -> Universe {
    let directory = shared_data().join("repos").join(repo).join("binary");
    let repomd = Repomd::read(File::open(directory.join("repodata/repomd.xml")).unwrap()).unwrap();
    let open =
        |kind: &str| File::open(directory.join(&repomd.get(kind).unwrap().location)).unwrap();
    let paths = golden.iter().flat_map(|golden| &golden.build_requires);
    let paths = paths.filter(|path| path.starts_with('/')).cloned();
    Universe::load(open("primary"), Some(open("filelists")), "x86_64", paths).unwrap()
}

/// What differs from the golden answer, in words; empty if nothing does.
fn differences(universe: &Universe, golden: &Golden, resolution: &Resolution) -> Vec<String> {
    let mut differences = Vec::new();
    let problems: Vec<String> = resolution.problems.iter().map(ToString::to_string).collect();
    if resolution.resolved() != golden.resolved {
        differences.push(format!("resolved: {} ({problems:?})", resolution.resolved()));
        return differences;
    }
    let missing = |problems: &[String]| -> Vec<String> {
        let mut missing: Vec<String> =
            problems.iter().filter(|text| text.starts_with("No package")).cloned().collect();
        missing.sort();
        missing
    };
    if missing(&problems) != missing(&golden.problems) {
        differences.push(format!("problems: {problems:?} instead of {:?}", golden.problems));
    }
    // The links of a conflict, without regard to their order.
    let links = |problems: &[String]| -> Vec<String> {
        let conflicts = problems.iter().filter_map(|text| text.strip_prefix("Problem: "));
        let mut links: Vec<String> =
            conflicts.flat_map(|text| text.split("\n - ")).map(str::to_owned).collect();
        links.sort();
        links
    };
    if links(&problems) != links(&golden.problems) {
        differences.push(format!("conflict: {problems:?} instead of {:?}", golden.problems));
    }
    for problem in &resolution.problems {
        if let Problem::Conflict(conflict) = problem
            && (conflict.extent != Extent::Minimal || !is_minimal(&conflict.chain))
        {
            differences.push(format!("not minimal: {problem}"));
        }
    }
    let mut installs: Vec<String> = resolution
        .installs
        .iter()
        .map(|install| universe.package(install.package).to_string())
        .collect();
    installs.sort();
    let mut expected = golden.installs.clone();
    expected.sort();
    differences.extend(
        installs.iter().filter(|i| expected.binary_search(i).is_err()).map(|i| format!("+ {i}")),
    );
    differences.extend(
        expected.iter().filter(|i| installs.binary_search(i).is_err()).map(|i| format!("- {i}")),
    );
    if differences.is_empty() {
        for install in &resolution.installs {
            let package = universe.package(install.package);
            let with_arch = format!("{}.{}", package.name, package.arch);
            let expected =
                golden.distances.get(&with_arch).or_else(|| golden.distances.get(package.name));
            if expected != Some(&install.distance) {
                differences.push(format!(
                    "distance of {package}: {:?} instead of {expected:?}",
                    install.distance
                ));
            }
        }
    }
    differences
}

fn check(repo: &str, file: &str, weak_deps: bool) {
    let golden = golden(file);
    let universe = universe(repo, &golden);
    let group =
        std::fs::read_to_string(shared_data().join("repos").join(repo).join("build-group.txt"))
            .unwrap();
    let build_group: Vec<String> = group.split_whitespace().map(str::to_owned).collect();
    let failures: Vec<String> = golden
        .par_iter()
        .map_init(
            || Solver::new(&universe),
            |solver, golden| {
                let build_requires: Vec<Dep> =
                    golden.build_requires.iter().map(|text| text.parse().unwrap()).collect();
                let request = Request {
                    build_group: &build_group,
                    build_requires: &build_requires,
                    weak_deps,
                };
                let resolution = solver.resolve(&request);
                let differences = differences(&universe, golden, &resolution);
                (!differences.is_empty())
                    .then(|| format!("{}: {}", golden.name, differences.join(", ")))
            },
        )
        .flatten()
        .collect();
    assert!(
        failures.is_empty(),
        "{} of {} packages of {repo} differ; some of them:\n{}",
        failures.len(),
        golden.len(),
        failures[..failures.len().min(20)].join("\n")
    );
}

#[test]
fn rhel7_with_and_without_weak_dependencies() {
    check("rhel7", "rhel7.jsonl.zst", true);
    check("rhel7", "rhel7.jsonl.zst", false);
}

#[test]
fn debian_with_weak_dependencies() {
    check("debian-bookworm", "debian-bookworm-3000-weak.jsonl.zst", true);
}

#[test]
fn debian_without_weak_dependencies() {
    check("debian-bookworm", "debian-bookworm-3000-noweak.jsonl.zst", false);
}
