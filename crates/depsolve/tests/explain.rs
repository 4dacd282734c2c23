//! Explanations: what they say is true, is enough, and is not too much.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail")]

mod definition;
mod judge;
mod notation;

use std::cell::Cell;
use std::collections::BTreeSet;

use definition::{holds, is_followed, is_minimal, is_named, provides};
use depsolve::{Cause, Conflict, Extent, Link, Problem, Solver, Statement, group_by_cause};
use judge::Judge;
use notation::Case;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use rpm::md::Package;
use rpm::{Dep, Nevra};

fn problems(case: &Case) -> Vec<Problem> {
    let universe = case.universe();
    Solver::new(&universe).resolve(&case.request()).problems
}

/// The only problem of a case, a conflict.
#[track_caller]
fn only_conflict(case: &Case) -> Conflict {
    let mut problems = problems(case);
    assert_eq!(problems.len(), 1, "{problems:?}");
    let Some(Problem::Conflict(conflict)) = problems.pop() else { panic!("{problems:?}") };
    conflict
}

/// The explanation of a case that cannot be solved, if libsolv says the same, line by line, in any order.
#[track_caller]
fn conflict(text: &str) -> Conflict {
    let case = Case::parse(text);
    let conflict = only_conflict(&case);
    let mut ours: BTreeSet<String> = lines(&conflict).into_iter().collect();
    let theirs: BTreeSet<String> = Judge::new().ask(&case).problems.into_iter().collect();
    // The Python binding leaves requests out where there is anything else to tell; dnf does not.
    ours.remove("conflicting requests");
    assert_eq!(theirs, ours, "libsolv says so on the left");
    conflict
}

fn lines(conflict: &Conflict) -> Vec<String> {
    let text = conflict.to_string();
    text.strip_prefix("Problem: ").unwrap().split("\n - ").map(str::to_owned).collect()
}

/// For each candidate of a link the links that rule it out, in words.
fn candidates(chain: &[Link], place: usize) -> Vec<String> {
    let link = &chain[place];
    let candidates = link.candidates.iter().map(|candidate| {
        let why: Vec<String> =
            candidate.ruled_out_by.iter().map(|place| chain[*place].says.to_string()).collect();
        format!("{}: {}", candidate.package, why.join("; "))
    });
    candidates.collect()
}

#[test]
fn a_chain_can_be_followed_from_what_was_asked_for_to_what_is_missing() {
    let conflict = conflict(
        "package app-1-1.x86_64
           requires lib = 2
         package lib-2-1.x86_64
           requires libold.so.1
         install app",
    );
    let chain = &conflict.chain;
    assert_eq!(conflict.extent, Extent::Minimal);
    assert_eq!(chain[0].says, Statement::Requested { relation: "app".to_owned(), missing: false });
    assert_eq!(
        candidates(chain, 0),
        [
            "app-0:1-1.x86_64: package app-1-1.x86_64 requires lib = 2, but none of the providers can be \
          installed"
        ]
    );
    assert_eq!(
        candidates(chain, 1),
        ["lib-0:2-1.x86_64: nothing provides libold.so.1 needed by lib-2-1.x86_64"]
    );
    assert_eq!(candidates(chain, 2), [""; 0]);
    assert_eq!(
        Problem::Conflict(conflict).cause(),
        Cause::Missing { capability: "libold.so.1".to_owned() }
    );
}

#[test]
fn each_candidate_has_a_reason_of_its_own() {
    let conflict = conflict(
        "package app-1-1.x86_64
           requires database
         package mariadb-1-1.x86_64
           provides database
           requires libssl.so.3
         package postgresql-1-1.x86_64
           provides database
           conflicts app
         package sqlite-1-1.x86_64
           provides database
           requires tcl
         package tcl-1-1.x86_64
           conflicts bash
         package bash-5-1.x86_64
         group bash
         install app",
    );
    let place = conflict.chain.iter().position(|link| link.says.relation() == Some("database"));
    assert_eq!(
        candidates(&conflict.chain, place.unwrap()),
        [
            "mariadb-0:1-1.x86_64: nothing provides libssl.so.3 needed by mariadb-1-1.x86_64",
            "postgresql-0:1-1.x86_64: package postgresql-1-1.x86_64 conflicts with app provided by app-1-1.x86_64",
            "sqlite-0:1-1.x86_64: package sqlite-1-1.x86_64 requires tcl, but none of the providers can be \
             installed",
        ]
    );
}

#[test]
fn a_conflict_that_both_declare_is_one_link_told_twice() {
    let conflict = conflict(
        "package libc6-i386-2-1.x86_64
           conflicts libc6-x32
         package libc6-x32-2-1.x86_64
           conflicts libc6-i386
         install libc6-i386
         install libc6-x32",
    );
    assert_eq!(conflict.chain.len(), 3);
    assert_eq!(conflict.chain[0].also.len(), 1);
    assert_eq!(
        Problem::Conflict(conflict).cause(),
        Cause::Conflict { one: "libc6-i386".to_owned(), other: "libc6-x32".to_owned() }
    );
}

#[test]
fn two_versions_of_one_package_exclude_each_other() {
    let conflict = conflict(
        "package ruby-3-1.x86_64
         package ruby-2-1.x86_64
         install ruby < 3
         install ruby >= 3",
    );
    assert_eq!(lines(&conflict)[0], "cannot install both ruby-2-1.x86_64 and ruby-3-1.x86_64");
    let cause = Problem::Conflict(conflict).cause();
    assert_eq!(cause.to_string(), "two packages named ruby cannot be installed together");
}

#[test]
fn obsoletes_are_told_as_such() {
    let conflict = conflict(
        "package iptables-1-1.x86_64
         package nftables-1-1.x86_64
           obsoletes iptables < 2
         install iptables
         install nftables",
    );
    assert_eq!(
        lines(&conflict)[0],
        "package nftables-1-1.x86_64 obsoletes iptables < 2 provided by iptables-1-1.x86_64"
    );
}

#[test]
fn the_condition_of_a_rich_requirement_is_told_beside_it() {
    let conflict = conflict(
        "package app-1-1.x86_64
           requires (app-kde if plasma)
         package app-kde-1-1.x86_64
           requires kf6
         package plasma-6-1.x86_64
         install app
         install plasma",
    );
    let link =
        conflict.chain.iter().find(|link| link.says.relation() == Some("(app-kde if plasma)"));
    let link = link.unwrap();
    assert_eq!(link.beside, [Nevra::new("plasma", 0, "6", "1", "x86_64")]);
    assert_eq!(link.candidates.len(), 1);
}

#[test]
fn a_rich_request_that_can_never_be_met_is_told_as_missing() {
    let conflict = conflict(
        "package app-1-1.x86_64
         install (app and nothing)",
    );
    assert_eq!(lines(&conflict), ["nothing provides requested (app and nothing)"]);
}

#[test]
fn everything_that_a_package_lacks_is_told() {
    let conflict = conflict(
        "package app-1-1.x86_64
           requires one
           requires another
         install app",
    );
    assert_eq!(
        lines(&conflict),
        [
            "conflicting requests",
            "nothing provides one needed by app-1-1.x86_64",
            "nothing provides another needed by app-1-1.x86_64",
        ]
    );
}

/// The example of the crate's documentation.
#[test]
fn the_example_that_explains_why_there_is_no_answer() {
    let conflict = conflict(
        "package spell-1-1.x86_64
           requires dictionary
         package de-dict-1-1.noarch
           provides dictionary
           requires words
         package en-dict-1-1.noarch
           provides dictionary
           requires words
         install spell",
    );
    assert_eq!(
        conflict.to_string(),
        "Problem: conflicting requests\n \
         - package spell-1-1.x86_64 requires dictionary, but none of the providers can be installed\n \
         - nothing provides words needed by de-dict-1-1.noarch\n \
         - nothing provides words needed by en-dict-1-1.noarch"
    );
    let chain = conflict.chain;
    let ruled_out_by = |place: usize| -> Vec<&[usize]> {
        chain[place].candidates.iter().map(|candidate| candidate.ruled_out_by.as_slice()).collect()
    };
    assert_eq!(ruled_out_by(0), [[1]]);
    assert_eq!(ruled_out_by(1), [[2], [3]]);
}

/// The better candidate's reason is told first, and is the cause.
#[test]
fn the_cause_is_what_the_preferred_candidate_lacks() {
    let conflict = conflict(
        "package app-1-1.x86_64
           requires lib
         package lib-1-1.x86_64
           requires old.so
         package lib-2-1.x86_64
           requires middle
         package middle-1-1.x86_64
           requires new.so
         install app",
    );
    assert_eq!(
        Problem::Conflict(conflict).cause(),
        Cause::Missing { capability: "new.so".to_owned() }
    );
}

#[test]
fn packages_that_need_each_other_do_not_explain_each_other() {
    let conflict = conflict(
        "package egg-1-1.x86_64
           requires hen
         package hen-1-1.x86_64
           requires egg
           requires coop
         package coop-1-1.x86_64
           requires wood
         install egg",
    );
    assert_eq!(lines(&conflict).last().unwrap(), "nothing provides wood needed by coop-1-1.x86_64");
    assert_eq!(conflict.chain.len(), 4);
}

/// Nothing follows before one of the candidates is tried, so that the contradiction is learnt from.
#[test]
fn what_was_learnt_is_told_as_what_it_was_learnt_from() {
    let conflict = conflict(
        "package red-1-1.x86_64
           provides colour
           requires (warm or bright)
           conflicts warm
           conflicts bright
         package blue-1-1.x86_64
           provides colour
           requires (cold or dark)
           conflicts cold
           conflicts dark
         package warm-1-1.x86_64
         package bright-1-1.x86_64
         package cold-1-1.x86_64
         package dark-1-1.x86_64
         install colour",
    );
    assert_eq!(conflict.extent, Extent::Minimal);
    assert_eq!(conflict.chain.len(), 7);
}

/// A hundred thousand packages of which none can be installed: what is told is bounded, and says so.
#[test]
fn an_explanation_that_nobody_would_read_is_cut() {
    let packages = (0..100_000).map(|i| Package {
        nevra: Nevra::new(format!("p{i}"), 0, "1", "1", "noarch"),
        provides: vec!["anything".parse().unwrap()],
        requires: vec![format!("p{}", i + 1).parse::<Dep>().unwrap().into()],
        ..Package::default()
    });
    let case = Case { packages: packages.collect(), ..Case::parse("install anything") };
    let conflict = only_conflict(&case);
    assert_eq!(conflict.extent, Extent::Partial);
    assert!(conflict.chain.len() <= 200);
    assert!(conflict.chain.iter().all(|link| link.candidates.len() <= 200));
    assert!(conflict.to_string().ends_with("\n - and more than can be told"));
}

/// A chain of links, the last of which is met by nothing: minimal, though a thousand packages stand beside.
#[test]
fn the_shortest_way_to_something_missing_is_told() {
    let mut text = String::from("install p0\n");
    for i in 0..1000 {
        text += &format!("package p{i}-1-1.noarch\n requires p{}\n requires q{i}\n", i + 1);
        text += &format!("package q{i}-1-1.noarch\n requires p{}\n", i / 2 + 500);
    }
    text += "package p1000-1-1.noarch\n requires gone\n";
    let case = Case::parse(&text);
    let conflict = only_conflict(&case);
    assert_eq!(conflict.extent, Extent::Minimal);
    assert_eq!(conflict.chain.len(), 22);
    check(&case, &conflict);
}

// What an explanation has to be, whatever the repository.

/// What a link says is what the repository says.
fn check_statement(case: &Case, link: &Link, statement: &Statement) {
    let find = |nevra: &Nevra| case.packages.iter().find(|p| p.nevra == *nevra).unwrap();
    let must: Vec<&Package> =
        link.says.package().into_iter().chain(&link.beside).map(find).collect();
    let may_not = |package: &Package| {
        link.candidates.iter().any(|candidate| candidate.package == package.nevra)
    };
    // Sets that break the link break what it stands for: the smallest one, the largest one.
    let largest: Vec<&Package> = case.packages.iter().filter(|p| !may_not(p)).collect();
    let breaks = |dep: &Dep, breaks: &dyn Fn(bool) -> bool| {
        for set in [&must, &largest] {
            assert!(breaks(holds(set, dep)), "{statement} is not so:\n{case}");
        }
    };
    match statement {
        Statement::Requested { relation, missing } => {
            let asked: Vec<String> = case.requires.iter().map(ToString::to_string).collect();
            assert!(asked.contains(relation) || case.group.contains(relation), "{relation}");
            breaks(&relation.parse().unwrap(), &|holds| !holds);
            assert_eq!(*missing, must.is_empty() && link.candidates.is_empty());
        }
        Statement::Requires { package, relation, missing } => {
            let declared = &find(package).requires;
            assert!(declared.iter().any(|r| r.dep.to_string() == *relation), "{statement}");
            breaks(&relation.parse().unwrap(), &|holds| !holds);
            assert_eq!(*missing, link.beside.is_empty() && link.candidates.is_empty());
        }
        Statement::Conflicts { package, relation, with } => {
            let declared = &find(package).conflicts;
            assert!(declared.iter().any(|dep| dep.to_string() == *relation), "{statement}");
            let dep: Dep = relation.parse().unwrap();
            match (&dep, with) {
                (Dep::Relation(_), with) => {
                    assert!(provides(find(with.as_ref().unwrap()), &dep), "{statement}");
                }
                (Dep::Rich(_), _) => breaks(&dep, &|holds| holds),
            }
        }
        Statement::Obsoletes { package, relation, obsoleted } => {
            let declared = &find(package).obsoletes;
            let relation = declared.iter().find(|r| r.to_string() == *relation).unwrap();
            assert!(is_named(find(obsoleted), relation), "{statement}");
        }
        Statement::SameName { package, other } => {
            assert_eq!(package.name, other.name);
            assert_ne!(package, other);
        }
        Statement::InferiorArch { package } => {
            let better = |p: &&Package| p.nevra.name == package.name && p.nevra.arch == "x86_64";
            assert_eq!(package.arch, "i686");
            assert!(case.packages.iter().any(|p| better(&p)), "{statement}");
        }
    }
}

/// Everything that is promised about a chain, except that it is minimal.
fn check(case: &Case, conflict: &Conflict) {
    let chain = &conflict.chain;
    for (place, link) in chain.iter().enumerate() {
        for statement in link.statements() {
            check_statement(case, link, statement);
        }
        for candidate in &link.candidates {
            assert!(!candidate.ruled_out_by.is_empty(), "{}: {conflict}", candidate.package);
            for by in &candidate.ruled_out_by {
                let alone = |nevra: &Nevra| {
                    let link = &chain[*by];
                    *nevra == candidate.package
                        || link.says.package() == Some(nevra)
                        || link.beside.contains(nevra)
                };
                assert_ne!(*by, place);
                assert!(!is_followed(&chain[*by], alone), "{}", chain[*by].says);
                assert!(
                    is_followed(&chain[*by], |nevra| alone(nevra) && *nevra != candidate.package)
                );
            }
        }
    }
}

/// Few names, so that packages have much to do with each other; and strict relations, so that much is impossible.
fn relation() -> impl Strategy<Value = String> {
    let name = prop::sample::select(vec!["a", "b", "c", "d", "e", "x", "y", "z", "nothing"]);
    let range = prop::sample::select(vec!["", "", "", "< 2", "= 1", "= 2", ">= 2"]);
    (name, range).prop_map(|(name, range)| format!("{name} {range}").trim_end().to_owned())
}

fn dependency() -> impl Strategy<Value = String> {
    let simple = relation().boxed();
    let rich = simple.clone().prop_recursive(2, 4, 3, |inner| {
        let operator = prop::sample::select(vec!["and", "or", "if", "unless"]);
        prop_oneof![
            (inner.clone(), operator, inner.clone())
                .prop_map(|(a, op, b)| format!("({a} {op} {b})")),
            (inner.clone(), inner.clone(), inner)
                .prop_map(|(a, b, c)| format!("({a} if {b} else {c})")),
            (relation(), prop::sample::select(vec!["with", "without"]), relation())
                .prop_map(|(a, op, b)| format!("({a} {op} {b})")),
        ]
    });
    prop_oneof![3 => simple, 1 => rich]
}

fn case() -> impl Strategy<Value = Case> {
    let name = prop::sample::select(vec!["a", "b", "c", "d", "e"]);
    let arch = prop::sample::select(vec!["noarch", "x86_64", "x86_64", "i686"]);
    let package = (
        (name, 1..4u8, arch),
        vec(prop::sample::select(vec!["x = 1", "x = 2", "y", "z = 2"]), 0..2),
        vec(dependency(), 0..3),
        vec(dependency(), 0..2),
        vec(relation(), 0..2),
    )
        .prop_map(|((name, version, arch), provides, requires, conflicts, obsoletes)| {
            let mut text = format!("package {name}-{version}-1.{arch}\n");
            for (what, all) in [
                ("provides", provides.into_iter().map(str::to_owned).collect::<Vec<_>>()),
                ("requires", requires),
                ("conflicts", conflicts),
                ("obsoletes", obsoletes),
            ] {
                for one in all {
                    text += &format!("  {what} {one}\n");
                }
            }
            text
        });
    (vec(package, 3..9), vec(dependency(), 1..4)).prop_map(|(packages, requests)| {
        let mut text = packages.concat();
        for request in requests {
            text += &format!("install {request}\n");
        }
        let mut case = Case::parse(&text);
        // The same package twice could not be told apart.
        let mut seen = BTreeSet::new();
        case.packages.retain(|package| seen.insert(package.nevra.clone()));
        case
    })
}

#[test]
fn of_every_explanation_each_link_is_true_and_needed() {
    let conflicts = Cell::new(0);
    let mut runner =
        TestRunner::new(Config { cases: 6000, failure_persistence: None, ..Config::default() });
    let result = runner.run(&case(), |case| {
        let problems = problems(&case);
        let [Problem::Conflict(conflict)] = problems.as_slice() else { return Ok(()) };
        conflicts.set(conflicts.get() + 1);
        prop_assert_eq!(conflict.extent, Extent::Minimal);
        check(&case, conflict);
        prop_assert!(is_minimal(&conflict.chain), "{}\n{}", conflict, case);
        Ok(())
    });
    result.unwrap_or_else(|error| panic!("{error}"));
    assert!(conflicts.get() > 600, "only {} conflicts were explained", conflicts.get());
}

/// Neighbours must not have the same colour: dead ends everywhere, and what is learnt from them is more than what is
/// needed in the end.
fn map_to_be_coloured() -> impl Strategy<Value = Case> {
    (3..6usize, 2..4usize).prop_flat_map(|(countries, colours)| {
        vec(prop::bool::weighted(0.9), countries * countries).prop_map(move |borders| {
            let colours = &["red", "green", "blue"][..colours];
            let mut text = String::new();
            for country in 0..countries {
                for colour in colours {
                    text +=
                        &format!("package c{country}-{colour}-1-1.noarch\n provides c{country}\n");
                    for other in 0..country {
                        if borders[country * countries + other] {
                            text += &format!(" conflicts c{other}-{colour}\n");
                        }
                    }
                }
                text += &format!("install c{country}\n");
            }
            Case::parse(&text)
        })
    })
}

#[test]
fn what_was_learnt_in_a_roundabout_way_is_told_straight() {
    let conflicts = Cell::new(0);
    let mut runner =
        TestRunner::new(Config { cases: 1000, failure_persistence: None, ..Config::default() });
    let result = runner.run(&map_to_be_coloured(), |case| {
        let problems = problems(&case);
        let [Problem::Conflict(conflict)] = problems.as_slice() else { return Ok(()) };
        conflicts.set(conflicts.get() + 1);
        check(&case, conflict);
        prop_assert!(is_minimal(&conflict.chain), "{}\n{}", conflict, case);
        Ok(())
    });
    result.unwrap_or_else(|error| panic!("{error}"));
    assert!(conflicts.get() > 50, "only {} maps could not be coloured", conflicts.get());
}

#[test]
fn causes_are_sorted_by_how_many_they_affect() {
    let missing = |capability: &str| Cause::Missing { capability: capability.to_owned() };
    let problems = [
        ("one", missing("rare")),
        ("two", missing("common")),
        ("two", missing("common")),
        ("three", Cause::conflict("b", "a")),
        ("three", missing("common")),
        ("four", Cause::conflict("a", "b")),
        ("five", missing("common")),
    ];
    let groups = group_by_cause(problems);
    let shown: Vec<String> = groups
        .iter()
        .map(|group| format!("{}: {}", group.cause, group.affected.join(" ")))
        .collect();
    assert_eq!(
        shown,
        [
            "nothing provides common: two three five",
            "a and b cannot be installed together: three four",
            "nothing provides rare: one"
        ]
    );
}
