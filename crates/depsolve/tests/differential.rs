//! libsolv itself as judge: thousands of random repositories with every kind of relation, and the same answers.
//!
//! `DEPSOLVE_CASES` says how many (5,000 unless told), `DEPSOLVE_SEED` where to begin. A difference is reduced to the
//! smallest repository that still shows it and printed in the notation of `tests/notation`. `make fuzz-depsolve` does
//! the same with a million cases.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail")]

mod definition;
mod excuses;
mod judge;
mod notation;
mod random;
mod shrink;

use std::collections::BTreeMap;

use depsolve::{Request, Solver};
use excuses::{Verdict, inconsistent, ours};
use judge::Judge;
use random::Generator;
use shrink::shrink;

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).map_or(default, |text| text.parse().expect(variable))
}

fn compare(cases: u64, generator: impl Fn(u64) -> Generator) {
    let first = number("DEPSOLVE_SEED", 1);
    let mut judge = Judge::new();
    let (mut resolved, mut failures, mut excused) = (0, Vec::new(), BTreeMap::<_, u64>::new());
    for seed in first..first + cases {
        let case = generator(seed).case();
        if excuses::is_refused(&case) {
            *excused.entry(excuses::REFUSED).or_default() += 1;
            continue;
        }
        let answer = ours(&case);
        assert_eq!(
            inconsistent(&case, &answer.installs),
            [""; 0],
            "seed {seed}:\n{case}{answer:?}"
        );
        let (theirs, verdict) = excuses::judge(&mut judge, &case, &answer);
        resolved += u64::from(theirs.resolved);
        match verdict {
            Verdict::Same => {}
            Verdict::Excused(class) => *excused.entry(class).or_default() += 1,
            Verdict::Different => {
                failures.push(seed);
                if failures.len() <= 3 {
                    let differs = |case: &_| {
                        let ours = ours(case);
                        excuses::judge(&mut judge, case, &ours).1 == Verdict::Different
                    };
                    let case = shrink(case, differs);
                    let (theirs, ours) = (judge.ask(&case), ours(&case));
                    println!("seed {seed}:\n{case}theirs: {theirs:?}\nours:   {ours:?}\n");
                }
            }
        }
    }
    println!("{cases} cases, {resolved} resolved, {} differ, excused: {excused:?}", failures.len());
    assert!(
        resolved > cases / 4,
        "random repositories that can mostly not be solved prove nothing"
    );
    assert!(failures.is_empty(), "{} of {cases} differ: {failures:?}", failures.len());
}

#[test]
fn random_repositories_are_solved_as_by_libsolv() {
    compare(number("DEPSOLVE_CASES", 5000), Generator::new);
}

#[test]
fn architectures_are_what_they_are_to_libsolv() {
    for arch in ["x86_64", "i686", "s390x", "aarch64", "ppc64le"] {
        compare(number("DEPSOLVE_CASES", 5000) / 10, |seed| Generator::of_arch(seed, arch));
    }
}

/// Among the requests are such that cannot be met, or name what is not there; some follow weak dependencies, some have another
/// build group.
#[test]
fn what_was_asked_before_makes_no_difference() {
    let mut resolved = 0;
    for seed in 1..=number("DEPSOLVE_CASES", 5000) / 10 {
        let mut generator = Generator::new(seed);
        let case = generator.case();
        if excuses::is_refused(&case) {
            continue;
        }
        let universe = case.universe();
        let mut solver = Solver::new(&universe);
        for i in 0..20 {
            let other = generator.case();
            let build_group = if i % 5 == 4 { &other.group } else { &case.group };
            let weak_deps = if i % 7 == 6 { other.weak } else { false };
            let request = Request { build_group, build_requires: &other.requires, weak_deps };
            let resolution = solver.resolve(&request);
            assert_eq!(
                resolution,
                Solver::new(&universe).resolve(&request),
                "seed {seed}, request {i}: {request:?}\n{case}"
            );
            resolved += u64::from(resolution.resolved() && !resolution.installs.is_empty());
        }
    }
    assert!(resolved > number("DEPSOLVE_CASES", 5000) / 4, "only {resolved} could be met");
}
