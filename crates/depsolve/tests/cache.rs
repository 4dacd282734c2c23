//! The cache file: what was saved is what is read, and damage is noticed.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail")]

use depsolve::{Request, Solver, Universe};
use rpm::md::Package;
use rpm::{Dep, Nevra};

fn package(name: &str, requires: &[&str], recommends: &[&str], supplements: &[&str]) -> Package {
    let deps =
        |texts: &[&str]| -> Vec<Dep> { texts.iter().map(|text| text.parse().unwrap()).collect() };
    Package {
        nevra: Nevra::new(name, 1, "2~rc1", "3.fc40", "x86_64"),
        requires: deps(requires).into_iter().map(Into::into).collect(),
        recommends: deps(recommends),
        supplements: deps(supplements),
        conflicts: deps(&["(other unless make)"]),
        files: vec![format!("/usr/bin/{name}")],
        ..Package::default()
    }
}

fn universe() -> Universe {
    let packages = [
        package("bash", &[], &["(bash-doc if (man or make))", "colours"], &[]),
        package("make", &["(bash or zsh)", "/usr/bin/bash", "bash >= 1:1"], &[], &[]),
        package("colours", &["bash = 1:2~rc1"], &[], &["(bash and (make or man))"]),
        package("impossible", &["nothing"], &[], &["(bash if make else nothing)"]),
    ];
    Universe::from_packages(packages, "x86_64", ["/usr/bin/make".to_owned()]).unwrap()
}

fn saved() -> Vec<u8> {
    let mut file = Vec::new();
    universe().save(&mut file).unwrap();
    file
}

#[test]
fn what_was_saved_is_what_is_read() {
    let original = universe();
    let file = saved();
    let read = Universe::open(file.as_slice()).unwrap();
    let mut again = Vec::new();
    read.save(&mut again).unwrap();
    assert_eq!(again, file);
    let build_requires: Vec<Dep> = vec!["/usr/bin/make".parse().unwrap()];
    for weak_deps in [true, false] {
        let request = Request { build_group: &[], build_requires: &build_requires, weak_deps };
        let answer = Solver::new(&read).resolve(&request);
        assert_eq!(answer, Solver::new(&original).resolve(&request));
        assert_eq!(answer.installs.len(), if weak_deps { 3 } else { 2 });
    }
}

#[test]
fn an_empty_repository_can_be_saved() {
    let mut file = Vec::new();
    Universe::from_packages([], "x86_64", []).unwrap().save(&mut file).unwrap();
    assert!(Universe::open(file.as_slice()).unwrap().is_empty());
}

#[test]
fn every_damaged_byte_is_noticed() {
    let file = saved();
    for i in 0..file.len() {
        let mut damaged = file.clone();
        damaged[i] ^= 0x10;
        assert!(Universe::open(damaged.as_slice()).is_err(), "byte {i} of {}", file.len());
    }
}

#[test]
fn a_shortened_or_prolonged_file_is_noticed() {
    let mut file = saved();
    for length in 0..file.len() {
        assert!(Universe::open(&file[..length]).is_err(), "{length} bytes of {}", file.len());
    }
    file.push(0);
    assert!(Universe::open(file.as_slice()).is_err());
}
