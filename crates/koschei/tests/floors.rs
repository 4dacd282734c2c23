//! The floors of ARCHITECTURE.md: a crate uses only crates below it, and the crates of rules do no I/O.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests say what they expect"
)]

use std::{collections::BTreeMap, path::Path, process::Command};

/// Lowest first.
const FLOORS: &[&str] = &[
    "rpm",
    "fedora-messaging",
    "koji",
    "koschei-core",
    "depsolve",
    "repocache",
    "koschei-db",
    "kojisim",
    "koschei-backend",
    "koschei-web",
    "koschei",
    // Tests only; nothing uses it.
    "koschei-fuzz",
];

/// Useful to people who never heard of Koschei.
const INDEPENDENT: &[&str] =
    &["rpm", "depsolve", "repocache", "koji", "kojisim", "fedora-messaging"];

/// Pure: no clock, no network, no disk of their own, nothing asynchronous.
const PURE: &[&str] = &["rpm", "koschei-core", "depsolve"];
const IMPURE: &[&str] = &["tokio", "sqlx", "axum", "curl", "nix", "sd-notify", "reqwest"];

/// Crate by crate, the names of its dependencies; those only for tests apart.
struct Dependencies {
    always: Vec<String>,
    for_tests: Vec<String>,
}

fn workspace() -> BTreeMap<String, Dependencies> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--no-deps", "--offline"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().expect("packages");
    packages
        .iter()
        .map(|package| {
            let named = |for_tests: bool| {
                package["dependencies"]
                    .as_array()
                    .expect("dependencies")
                    .iter()
                    .filter(|d| (d["kind"] == "dev") == for_tests)
                    .map(|d| d["name"].as_str().expect("a name").to_owned())
                    .collect()
            };
            let name = package["name"].as_str().expect("a name").to_owned();
            (name, Dependencies { always: named(false), for_tests: named(true) })
        })
        .collect()
}

#[test]
fn a_crate_uses_only_crates_below_it() {
    let workspace = workspace();
    let floor = |name: &str| FLOORS.iter().position(|crate_name| *crate_name == name);
    for (name, dependencies) in &workspace {
        let own = floor(name).unwrap_or_else(|| panic!("{name} has no floor: give it one here"));
        // A crate's own tests may use it with more features.
        let for_tests = dependencies.for_tests.iter().filter(|used| *used != name);
        for used in dependencies.always.iter().chain(for_tests) {
            if let Some(other) = floor(used) {
                assert!(other < own, "{name} uses {used}, which does not stand below it");
            }
        }
    }
    let known: Vec<&str> = workspace.keys().map(String::as_str).collect();
    for name in FLOORS {
        assert!(known.contains(name), "{name} has a floor but is no crate of the workspace");
    }
}

#[test]
fn the_crates_of_rules_do_no_input_or_output() {
    let workspace = workspace();
    for name in PURE {
        for used in &workspace[*name].always {
            assert!(!IMPURE.contains(&used.as_str()), "{name} uses {used}");
        }
    }
}

#[test]
fn crates_that_others_could_use_know_nothing_of_koschei() {
    let workspace = workspace();
    for name in INDEPENDENT {
        for used in &workspace[*name].always {
            assert!(!used.starts_with("koschei"), "{name} uses {used}");
        }
    }
}

#[test]
fn the_architecture_page_lists_the_floors_in_this_order() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../ARCHITECTURE.md");
    let page = std::fs::read_to_string(path).unwrap();
    let listed: Vec<&str> = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once('`'))
        .filter(|(_, rest)| rest.contains("`crates/") || rest.contains("`fuzz`"))
        .map(|(name, _)| name)
        .rev()
        .collect();
    assert_eq!(listed, FLOORS);
}
