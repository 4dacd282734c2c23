//! Every target with its corpus and some thousand mutations of it, the same ones every time.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail")]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::{env, fs};

use koschei_fuzz::mutate::{Random, mutate};
use koschei_fuzz::{TARGETS, Target, seeds};

/// Runs one input; when it fails, keeps it and says where.
fn run(target: &Target, input: &[u8], what: &str) {
    if catch_unwind(AssertUnwindSafe(|| (target.run)(input))).is_ok() {
        return;
    }
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("findings").join(target.name);
    fs::create_dir_all(&directory).unwrap();
    let place = directory.join(what.replace(' ', "-"));
    fs::write(&place, input).unwrap();
    panic!("target {} fails on {what}; the input is kept in {}", target.name, place.display());
}

/// The seeds, then their mutations. `KOSCHEI_FUZZ_ROUNDS=N` makes it N times as many as usual.
fn drive(name: &str) {
    let target = koschei_fuzz::target(name).unwrap();
    let seeds = seeds(name);
    assert!(!seeds.is_empty(), "target {name} has nothing to begin with");
    for (seed, input) in &seeds {
        run(target, input, &format!("seed {seed}"));
    }
    let inputs: Vec<Vec<u8>> = seeds.into_iter().map(|(_, input)| input).collect();
    let rounds = env::var("KOSCHEI_FUZZ_ROUNDS").map_or(1, |rounds| rounds.parse().unwrap());
    for seed in 0..u64::from(target.mutations) * rounds {
        let input = mutate(&inputs, target.words, &mut Random::new(seed));
        run(target, &input, &format!("mutation {seed}"));
    }
}

macro_rules! targets {
    ($($test:ident: $name:literal,)*) => {
        $(
            #[test]
            fn $test() {
                drive($name);
            }
        )*

        #[test]
        fn every_target_is_driven_and_every_corpus_has_a_target() {
            let driven = [$($name),*];
            let known: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
            assert_eq!(known, driven);
            let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
            for entry in fs::read_dir(corpus).unwrap() {
                let name = entry.unwrap().file_name().into_string().unwrap();
                assert!(driven.contains(&name.as_str()), "corpus/{name} has no target");
            }
        }
    };
}

targets! {
    evr: "evr",
    relation: "relation",
    primary: "primary",
    filelists: "filelists",
    repomd: "repomd",
    comps: "comps",
    decompress: "decompress",
    resolve: "resolve",
    solve: "solve",
    cache: "cache",
    xmlrpc: "xmlrpc",
    config: "config",
    dependency_keys: "dependency-keys",
}
