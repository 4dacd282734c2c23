//! What cannot be answered within bounds gets a problem that says so, never half an answer.

#![allow(clippy::panic, reason = "a test may fail")]

mod notation;

use depsolve::{Cause, Extent, Limits, Problem, Resolution, Solver};
use notation::{Case, installs};

/// Three decisions for what alpha-1, alpha-2 and alpha-3 provide are each taken back, because beta-1, beta-2 and beta-3
/// come in with the database in the end.
const THREE_IMPROVEMENTS: &str = "
    package alpha1-1-1.noarch
      provides first
    package beta1-1-1.noarch
      provides first
    package alpha2-1-1.noarch
      provides second
    package beta2-1-1.noarch
      provides second
    package alpha3-1-1.noarch
      provides third
    package beta3-1-1.noarch
      provides third
    package mariadb-1-1.noarch
      provides database
      requires beta1
      requires beta2
      requires beta3
    package postgresql-1-1.noarch
      provides database
    install first
    install second
    install third
    install database";

/// Everything that needs a plugin is a dead end, which is known only when it was tried.
const DEAD_ENDS: &str = "
    package plugin-2-1.noarch
      requires (host or guest)
    package plugin-1-1.noarch
    package host-1-1.noarch
      conflicts plugin >= 2
    package guest-1-1.noarch
      conflicts plugin >= 2
    install plugin";

fn solve(text: &str, limits: Limits) -> (Vec<String>, Resolution) {
    let case = Case::parse(text);
    let universe = case.universe();
    let mut solver = Solver::with_limits(&universe, limits);
    let resolution = solver.resolve(&case.request());
    assert_eq!(
        solver.resolve(&case.request()),
        resolution,
        "a solver that gave up can be asked again"
    );
    (installs(&universe, &resolution), resolution)
}

#[test]
fn an_answer_that_could_still_be_improved_is_none() {
    let limits = |improvements| Limits { improvements, ..Limits::default() };
    let (installed, enough) = solve(THREE_IMPROVEMENTS, limits(3));
    assert!(enough.resolved());
    assert_eq!(
        installed,
        ["beta1-0:1-1.noarch", "beta2-0:1-1.noarch", "beta3-0:1-1.noarch", "mariadb-0:1-1.noarch"]
    );
    for improvements in 0..3 {
        let (installed, given_up) = solve(THREE_IMPROVEMENTS, limits(improvements));
        assert_eq!(installed, [""; 0]);
        assert_eq!(
            given_up.problems.iter().map(ToString::to_string).collect::<Vec<_>>(),
            [format!(
                "Problem: the answer was still changing after {improvements} improvements; \
                 the search was given up"
            )]
        );
    }
}

/// Seven guests want a room each, and there are six: found out only by trying, and told only as far as can be checked.
#[test]
fn an_explanation_that_is_too_hard_to_shorten_says_so() {
    let (guests, rooms) = (7, 6);
    let mut text = String::new();
    for guest in 0..guests {
        for room in 0..rooms {
            text += &format!("package g{guest}-r{room}-1-1.noarch\n provides g{guest}\n");
            for other in 0..guest {
                text += &format!(" conflicts g{other}-r{room}\n");
            }
        }
        text += &format!("install g{guest}\n");
    }
    let (_, resolution) = solve(&text, Limits::default());
    let [Problem::Conflict(conflict)] = resolution.problems.as_slice() else {
        panic!("{:?}", resolution.problems)
    };
    assert_eq!(conflict.extent, Extent::Sufficient);
    assert_eq!(conflict.chain.len(), 7 + 6 * 21, "nothing is left out on suspicion");
    assert!(
        conflict
            .to_string()
            .ends_with("\n - not all of this may matter; that was too hard to find out"),
        "{conflict}"
    );
}

#[test]
fn a_search_with_too_many_dead_ends_ends_with_a_problem() {
    let limits = |conflicts| Limits { conflicts, ..Limits::default() };
    let (installed, enough) = solve(DEAD_ENDS, limits(1));
    assert!(enough.resolved());
    assert_eq!(installed, ["plugin-0:1-1.noarch"]);
    let (installed, given_up) = solve(DEAD_ENDS, limits(0));
    assert_eq!(installed, [""; 0]);
    assert_eq!(
        given_up.problems.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["Problem: no answer was found after 0 contradictions; the search was given up"]
    );
}

/// Each package of the chain comes in for the sake of the one before, and only then the next one does.
#[test]
fn packages_that_supplement_each_other_without_end_are_given_up() {
    let mut text = "package p0-1-1.noarch\n".to_owned();
    for i in 1..100 {
        text += &format!("package p{i}-1-1.noarch\n supplements p{}\n", i - 1);
    }
    text += "install p0\n";
    let limits = |wishes| Limits { wishes, ..Limits::default() };
    let (installed, enough) = solve(&text, limits(100_000));
    assert!(enough.resolved());
    assert_eq!(installed.len(), 100);
    let (installed, given_up) = solve(&text, limits(5_000));
    assert_eq!(installed, [""; 0]);
    assert_eq!(
        given_up.problems.iter().map(ToString::to_string).collect::<Vec<_>>(),
        [
            "Problem: more than 5000 supplements and enhancements were looked at; the search was given up"
        ]
    );
}

/// A chain of which nobody would read the middle ends with what is missing.
#[test]
fn a_chain_that_is_too_long_to_be_told_ends_at_its_bottom() {
    let mut text = String::new();
    for i in 0..10_000 {
        text += &format!("package p{i}-1-1.noarch\n requires p{}\n", i + 1);
    }
    let (_, resolution) = solve(&format!("{text}install p0\n"), Limits::default());
    let [problem @ Problem::Conflict(conflict)] = resolution.problems.as_slice() else {
        panic!("{:?}", resolution.problems)
    };
    assert_eq!(conflict.extent, Extent::Partial);
    assert_eq!(conflict.chain.len(), 200);
    assert_eq!(problem.cause(), Cause::Missing { capability: "p10000".to_owned() });
}

/// Of one of three and one of three there are nine alternatives, each with two packages.
#[test]
fn a_request_with_more_alternatives_than_allowed_is_not_looked_at() {
    let text = "package a1-1-1.noarch
                package a2-1-1.noarch
                package a3-1-1.noarch
                package b1-1-1.noarch
                package b2-1-1.noarch
                package b3-1-1.noarch
                install ((a1 and a2 and a3) or (b1 and b2 and b3))";
    let limits = |alternatives| Limits { alternatives, ..Limits::default() };
    let (installed, enough) = solve(text, limits(18));
    assert!(enough.resolved());
    assert_eq!(installed, ["a1-0:1-1.noarch", "a2-0:1-1.noarch", "a3-0:1-1.noarch"]);
    let (installed, given_up) = solve(text, limits(17));
    assert_eq!(installed, [""; 0]);
    assert_eq!(
        given_up.problems.iter().map(ToString::to_string).collect::<Vec<_>>(),
        [
            "Problem: a rich request has too many alternatives, with more than 17 packages; it was not looked at"
        ]
    );
}
