//! A world that is taken from rpm-md: what the hub tells of it, what is in its repos, and what follows from builds.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "functions that tests share say what they expect, as the test does"
)]

mod common;

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use common::call;
use koji::xmlrpc::{Struct, Value};
use kojisim::{Options, Script, Sim, World};
use rpm::md::Package;
use rpm::md::primary::Reader;
use rpm::md::repomd::Repomd;
use rpm::md::write::Repository;
use rpm::{Nevra, Relation};

const TAG: &str = "tiny-build";

fn package(nevra: &[&str; 4], source: &str, provides: &[&str], requires: &[&str]) -> Package {
    let [name, version, release, arch] = *nevra;
    let relation = |text: &&str| text.parse::<Relation>().unwrap();
    let own = format!("{name} = {version}-{release}");
    Package {
        nevra: Nevra::new(name, 0, version, release, arch),
        source_rpm: (!source.is_empty()).then(|| source.to_owned()),
        provides: std::iter::once(&own.as_str()).chain(provides).map(relation).collect(),
        requires: requires.iter().map(|text| text.parse::<rpm::Dep>().unwrap().into()).collect(),
        ..Package::default()
    }
}

/// Two source packages with three binary packages, in an order of their own.
fn repositories(directory: &Path) {
    let yaml = "libyaml-0.2-5.src.rpm";
    let binary = [
        package(&["zsh", "5", "1", "x86_64"], "zsh-5-1.src.rpm", &[], &["libyaml >= 0.1"]),
        package(&["libyaml-devel", "0.2", "5", "x86_64"], yaml, &[], &["libyaml = 0.2-5"]),
        package(&["libyaml", "0.2", "5", "x86_64"], yaml, &["libyaml.so.0"], &[]),
    ];
    Repository::new(&binary).write(&directory.join("binary")).unwrap();
    let source = [
        package(&["zsh", "5", "1", "src"], "", &[], &["libyaml-devel", "(gcc or clang)"]),
        package(&["libyaml", "0.2", "5", "src"], "", &[], &[]),
    ];
    Repository::new(&source).write(&directory.join("source")).unwrap();
    std::fs::write(directory.join("build-group.txt"), "zsh\nlibyaml\n").unwrap();
}

async fn start(directory: &Path) -> Sim {
    let world = directory.join("tiny");
    repositories(&world);
    let options = Options::for_tests(directory.join("sim"));
    assert_eq!(options.script, Script::None);
    Sim::start(Options { world: Some(world), ..options }).await.unwrap()
}

/// Packages of the newest repo as texts, in the order of the file, with what they require.
fn newest(sim: &Sim) -> Vec<(String, Vec<String>)> {
    let repo = sim.latest_repo(TAG).unwrap();
    let directory = sim.topdir().join(format!("repos/{TAG}/{repo}/x86_64"));
    let index = File::open(directory.join("repodata/repomd.xml")).unwrap();
    let primary = Repomd::read(index).unwrap().get("primary").unwrap().location.clone();
    Reader::new(File::open(directory.join(primary)).unwrap())
        .unwrap()
        .map(|package| {
            let package = package.unwrap();
            let requires = package.requires.iter().map(|one| one.dep.to_string()).collect();
            (package.nevra.to_string(), requires)
        })
        .collect()
}

async fn new_repo(sim: &Sim) {
    let task = sim.new_repo(TAG).unwrap();
    assert_eq!(sim.wait_for_task(task).await, Some(2));
}

async fn ask(sim: &Sim, method: &'static str, params: Vec<Value>) -> Value {
    let address = sim.address();
    tokio::task::spawn_blocking(move || call(address, None, method, params).unwrap().unwrap())
        .await
        .unwrap()
}

#[tokio::test]
async fn the_first_repo_is_the_repository_that_was_imported() {
    let directory = tempfile::tempdir().unwrap();
    let sim = start(directory.path()).await;
    assert_eq!(
        newest(&sim),
        [
            ("zsh-0:5-1.x86_64".to_owned(), vec!["libyaml >= 0:0.1".to_owned()]),
            ("libyaml-devel-0:0.2-5.x86_64".to_owned(), vec!["libyaml = 0:0.2-5".to_owned()]),
            ("libyaml-0:0.2-5.x86_64".to_owned(), vec![]),
        ],
        "the order of the file is kept"
    );
    let tagged = ask(&sim, "listTagged", vec!["tiny".into()]).await;
    let nvrs: BTreeMap<String, bool> = tagged
        .as_array()
        .unwrap()
        .iter()
        .map(|build| {
            let has_task = build.get("task_id").and_then(Value::as_int).is_some();
            (build.get("nvr").and_then(Value::as_str).unwrap().to_owned(), has_task)
        })
        .collect();
    let expected = [("libyaml-0.2-5".to_owned(), true), ("zsh-5-1".to_owned(), true)];
    assert_eq!(nvrs, BTreeMap::from(expected));
    let source = Struct::new()
        .with("name", "zsh")
        .with("version", "5")
        .with("release", "1")
        .with("arch", "src");
    let requires = ask(&sim, "getRPMDeps", vec![source.into(), 0.into()]).await;
    let names: Vec<&str> = requires
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|one| one.get("name")?.as_str())
        .filter(|name| !name.starts_with("rpmlib("))
        .collect();
    assert_eq!(names, ["(gcc or clang)", "libyaml-devel"]);
}

#[tokio::test]
async fn a_new_build_renews_the_packages_of_its_source_and_an_untagged_one_takes_them_away() {
    let directory = tempfile::tempdir().unwrap();
    let sim = start(directory.path()).await;
    assert_eq!(sim.rebuild(&["libyaml".to_owned(), "unknown".to_owned()]), 1);
    new_repo(&sim).await;
    let now: BTreeMap<String, Vec<String>> = newest(&sim).into_iter().collect();
    let library = now.keys().find(|nevra| nevra.starts_with("libyaml-0:")).unwrap();
    let release = library.strip_prefix("libyaml-0:0.2-").unwrap().strip_suffix(".x86_64").unwrap();
    assert!(rpm::rpmvercmp(release, "5").is_gt(), "{release} is newer than 5");
    assert_eq!(
        now[&format!("libyaml-devel-0:0.2-{release}.x86_64")],
        [format!("libyaml = 0:0.2-{release}")],
        "packages of one source go together"
    );
    assert_eq!(now["zsh-0:5-1.x86_64"], ["libyaml >= 0:0.1"], "others stay as they were");

    assert_eq!(sim.untag_sources(&["libyaml".to_owned()]), 2);
    new_repo(&sim).await;
    assert_eq!(newest(&sim).len(), 1, "only zsh is left");
}

#[tokio::test]
async fn scratch_builds_run_until_they_are_ended() {
    let directory = tempfile::tempdir().unwrap();
    let sim = start(directory.path()).await;
    let tasks = sim.scratch_builds(&["zsh".to_owned(), "libyaml".to_owned()]);
    assert_eq!(tasks.iter().map(|task| sim.task_state(*task)).collect::<Vec<_>>(), [Some(1); 2]);
    let parts = ask(&sim, "getTaskChildren", vec![tasks[0].into(), true.into()]).await;
    let part = &parts.as_array().unwrap()[0];
    assert_eq!(part.get("method").and_then(Value::as_str), Some("buildArch"));
    sim.end_tasks(&tasks[..1], true);
    sim.end_tasks(&tasks[1..], false);
    assert_eq!(
        tasks.iter().map(|task| sim.task_state(*task)).collect::<Vec<_>>(),
        [Some(2), Some(5)]
    );
}

#[test]
fn what_is_missing_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let error = World::from_repositories(directory.path()).unwrap_err().to_string();
    assert!(error.contains("source/repodata/repomd.xml"), "{error}");
    let stray = package(&["stray", "1", "1", "noarch"], "unknown-1-1.src.rpm", &[], &[]);
    Repository::new(&[stray]).write(&directory.path().join("binary")).unwrap();
    Repository::new(&[]).write(&directory.path().join("source")).unwrap();
    let error = World::from_repositories(directory.path()).unwrap_err().to_string();
    assert!(
        error.contains("stray-0:1-1.noarch") && error.contains("unknown-1-1.src.rpm"),
        "{error}"
    );
}
