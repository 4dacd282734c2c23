//! A tour of RPM's dependencies: what each kind means, and what the solver makes of it. Every answer is also asked of
//! libsolv, so that the tour tells what is, not what we think.

mod judge;
mod notation;

use judge::Judge;
use notation::Case;

/// Solves a case and shows names of what is installed, separated by spaces, or the problem.
#[track_caller]
fn solve(text: &str) -> String {
    let case = Case::parse(text);
    let (installs, problems) = case.solve();
    let theirs = Judge::new().ask(&case);
    assert_eq!(theirs.installs, installs, "libsolv says so on the left");
    assert_eq!(theirs.resolved, problems.is_empty(), "{theirs:?} {problems:?}");
    if problems.is_empty() { installs.join(" ") } else { problems.join("\n") }
}

#[test]
fn a_package_brings_what_it_requires() {
    let installed = solve(
        "package make-1:4.4-1.x86_64
           requires libguile
         package guile-3-1.x86_64
           provides libguile
         package emacs-29-1.x86_64
         install make",
    );
    assert_eq!(installed, "guile-0:3-1.x86_64 make-1:4.4-1.x86_64");
}

#[test]
fn the_newest_version_is_taken() {
    let installed = solve(
        "package gcc-13.2-1.x86_64
         package gcc-13.10-1.x86_64
         package gcc-13.9-1.x86_64
         install gcc",
    );
    assert_eq!(installed, "gcc-0:13.10-1.x86_64");
}

#[test]
fn unless_the_request_wants_an_older_one() {
    let installed = solve(
        "package gcc-13.2-1.x86_64
         package gcc-12.3-1.x86_64
         install gcc < 13",
    );
    assert_eq!(installed, "gcc-0:12.3-1.x86_64");
}

#[test]
fn pre_releases_are_older_and_snapshots_newer() {
    let repository = "package foo-1.0~rc1-1.x86_64
                      package foo-1.0-1.x86_64
                      package foo-1.0^git5-1.x86_64
                      ";
    assert_eq!(solve(&format!("{repository} install foo")), "foo-0:1.0^git5-1.x86_64");
    assert_eq!(solve(&format!("{repository} install foo <= 1.0")), "foo-0:1.0-1.x86_64");
    assert_eq!(solve(&format!("{repository} install foo < 1.0")), "foo-0:1.0~rc1-1.x86_64");
}

#[test]
fn an_epoch_beats_every_version() {
    let installed = solve(
        "package foo-2024-1.x86_64
         package foo-1:1-1.x86_64
         install foo",
    );
    assert_eq!(installed, "foo-1:1-1.x86_64");
}

#[test]
fn a_requirement_without_release_fits_every_release() {
    let installed = solve("package foo-1.0-7.fc40.x86_64\n install foo = 1.0");
    assert_eq!(installed, "foo-0:1.0-7.fc40.x86_64");
}

#[test]
fn an_unversioned_provide_satisfies_every_version() {
    let installed = solve(
        "package sendmail-8-1.x86_64
           provides mta
         install mta >= 99",
    );
    assert_eq!(installed, "sendmail-0:8-1.x86_64");
}

#[test]
fn among_equals_the_alphabet_decides() {
    let installed = solve(
        "package postfix-3-1.x86_64
           provides mta
         package exim-4-1.x86_64
           provides mta
         package sendmail-8-1.x86_64
           provides mta
         install mta",
    );
    assert_eq!(installed, "exim-0:4-1.x86_64");
}

#[test]
fn but_not_when_another_one_is_needed_anyway() {
    let installed = solve(
        "package postfix-3-1.x86_64
           provides mta
         package exim-4-1.x86_64
           provides mta
         package mailman-3-1.x86_64
           requires postfix
         install mta
         install mailman",
    );
    assert_eq!(installed, "mailman-0:3-1.x86_64 postfix-0:3-1.x86_64");
}

#[test]
fn files_are_as_good_as_provides() {
    let installed = solve(
        "package python3-3.12-1.x86_64
           file /usr/bin/python3
         package script-1-1.noarch
           requires /usr/bin/python3
         install script",
    );
    assert_eq!(installed, "python3-0:3.12-1.x86_64 script-0:1-1.noarch");
}

#[test]
fn a_missing_build_requirement_is_told_by_name() {
    assert_eq!(solve("install nothing >= 3"), "No package found for: nothing >= 3");
    assert_eq!(solve("group nothing"), "", "a missing entry of the build group is skipped");
    assert_eq!(solve("install (nothing or nowhere)"), "", "and so is a rich one");
}

#[test]
fn a_missing_requirement_further_down_is_explained() {
    let problem = solve(
        "package app-1-1.x86_64
           requires lib = 2
         package lib-2-1.x86_64
           requires libold.so.1
         install app",
    );
    assert_eq!(
        problem,
        "Problem: conflicting requests\n \
         - package app-1-1.x86_64 requires lib = 2, but none of the providers can be installed\n \
         - nothing provides libold.so.1 needed by lib-2-1.x86_64"
    );
}

#[test]
fn conflicts_keep_packages_apart() {
    let problem = solve(
        "package a-1-1.x86_64
           conflicts b < 2
         package b-1-1.x86_64
         install a
         install b",
    );
    assert_eq!(
        problem,
        "Problem: package a-1-1.x86_64 conflicts with b < 2 provided by b-1-1.x86_64\n \
         - conflicting requests"
    );
}

#[test]
fn a_package_may_conflict_with_what_it_provides_itself() {
    let installed = solve(
        "package exim-4-1.x86_64
           provides mta
           conflicts mta
         install exim",
    );
    assert_eq!(installed, "exim-0:4-1.x86_64");
}

#[test]
fn an_obsoleting_package_takes_the_place_of_the_old_one() {
    let installed = solve(
        "package iptables-1-1.x86_64
           provides firewall
         package nftables-1-1.x86_64
           provides firewall
           obsoletes iptables < 2
         install firewall",
    );
    assert_eq!(installed, "nftables-0:1-1.x86_64");
}

#[test]
fn obsoletes_look_at_names_not_at_provides() {
    let installed = solve(
        "package new-1-1.x86_64
           obsoletes old
         package other-1-1.x86_64
           provides old
         install new
         install other",
    );
    assert_eq!(installed, "new-0:1-1.x86_64 other-0:1-1.x86_64");
}

#[test]
fn the_machines_own_architecture_is_preferred() {
    let installed = solve(
        "package glibc-2-1.i686
         package glibc-2-1.x86_64
         install glibc",
    );
    assert_eq!(installed, "glibc-0:2-1.x86_64");
}

#[test]
fn a_package_of_the_other_architecture_comes_beside_its_better_half() {
    let installed = solve(
        "package glibc-2-1.i686
           provides libc.so.6
         package glibc-2-1.x86_64
           provides libc.so.6()(64bit)
         install libc.so.6",
    );
    assert_eq!(installed, "glibc-0:2-1.i686 glibc-0:2-1.x86_64");
}

#[test]
fn what_rpm_itself_understands_needs_no_package() {
    let installed = solve(
        "package foo-1-1.x86_64
           requires rpmlib(CompressedFileNames) <= 3.0.4-1
         install foo",
    );
    assert_eq!(installed, "foo-0:1-1.x86_64");
}

#[test]
fn if_asks_only_under_a_condition() {
    let repository = "package app-1-1.x86_64
                        requires (app-kde if plasma else app-gtk)
                      package app-kde-1-1.x86_64
                      package app-gtk-1-1.x86_64
                      package plasma-6-1.x86_64
                      install app
                      ";
    assert_eq!(solve(repository), "app-0:1-1.x86_64 app-gtk-0:1-1.x86_64");
    assert_eq!(
        solve(&format!("{repository} install plasma")),
        "app-0:1-1.x86_64 app-kde-0:1-1.x86_64 plasma-0:6-1.x86_64"
    );
}

#[test]
fn with_wants_it_all_from_one_package() {
    let installed = solve(
        "package rust-serde1.0-1-1.noarch
           provides crate(serde) = 1.0
         package rust-serde1.9-1-1.noarch
           provides crate(serde) = 1.9
         package rust-serde2.0-1-1.noarch
           provides crate(serde) = 2.0
         install (crate(serde) >= 1.5 with crate(serde) < 2)",
    );
    assert_eq!(installed, "rust-serde1.9-0:1-1.noarch");
}

#[test]
fn recommendations_are_followed_if_possible() {
    let repository = "package vim-9-1.x86_64
                        recommends spell
                        recommends broken
                      package spell-1-1.x86_64
                      package broken-1-1.x86_64
                        requires nothing
                      install vim
                      ";
    assert_eq!(solve(repository), "spell-0:1-1.x86_64 vim-0:9-1.x86_64");
    assert_eq!(solve(&format!("{repository} without weak")), "vim-0:9-1.x86_64");
}

#[test]
fn a_supplement_invites_itself() {
    let installed = solve(
        "package langpack-de-1-1.noarch
           supplements (office and locale-de)
         package office-1-1.x86_64
         package locale-de-1-1.noarch
         install office
         install locale-de",
    );
    assert_eq!(installed, "langpack-de-0:1-1.noarch locale-de-0:1-1.noarch office-0:1-1.x86_64");
}

#[test]
fn a_supplement_that_holds_only_by_absence_installs_nothing() {
    let installed = solve(
        "package extra-1-1.noarch
           supplements (nothing if other)
         package other-1-1.noarch
         package app-1-1.noarch
         install app",
    );
    assert_eq!(installed, "app-0:1-1.noarch");
}

#[test]
fn what_is_suggested_is_preferred_but_not_installed() {
    let installed = solve(
        "package app-1-1.noarch
           requires mta
           suggests postfix
           suggests documentation
         package exim-4-1.x86_64
           provides mta
         package postfix-3-1.x86_64
           provides mta
         package documentation-1-1.noarch
         install app",
    );
    assert_eq!(installed, "app-0:1-1.noarch postfix-0:3-1.x86_64");
}

#[test]
fn a_choice_is_taken_back_when_another_candidate_comes_in_anyway() {
    let installed = solve(
        "package app-1-1.noarch
           requires database
         package alpha-1-1.noarch
           provides database
           requires runtime
         package beta-1-1.noarch
           provides database
         package runtime-1-1.noarch
           requires beta
         install app",
    );
    assert_eq!(installed, "app-0:1-1.noarch beta-0:1-1.noarch");
}

/// The worked example of the crate's documentation.
#[test]
fn the_example_that_explains_the_order_of_decisions() {
    let installed = solve(
        "package app-1-1.x86_64
           requires lib
           recommends spell
         package lib-1-1.x86_64
         package lib-2-1.x86_64
         package exim-4-1.x86_64
           provides mta
         package postfix-3-1.x86_64
           provides mta
         package spell-1-1.x86_64
           requires dictionary
         package de-dict-1-1.noarch
           provides dictionary
         package en-dict-1-1.noarch
           provides dictionary
         install app
         install mta",
    );
    assert_eq!(
        installed,
        "app-0:1-1.x86_64 de-dict-0:1-1.noarch exim-0:4-1.x86_64 lib-0:2-1.x86_64 spell-0:1-1.x86_64"
    );
}

#[test]
fn an_inferior_architecture_without_better_half_stands_in_only_where_no_better_one_is_in_sight() {
    let repository = "package d-1-1.i686
                        provides a
                      package d-1-2.x86_64
                      install a
                      ";
    assert_eq!(solve(repository), "d-0:1-1.i686");
    let problem = solve(&format!("{repository} install d"));
    assert!(problem.contains("d-1-1.i686 has inferior architecture"), "{problem}");
}

#[test]
fn a_path_that_only_the_request_names_is_looked_up_among_provides_first() {
    let repository = "package owner-1-1.x86_64
                        file /usr/bin/tool
                      package provider-1-1.x86_64
                        provides /usr/bin/tool
                      ";
    assert_eq!(solve(&format!("{repository} install /usr/bin/tool")), "provider-0:1-1.x86_64");
    let with_user = format!(
        "{repository}
         package user-1-1.x86_64
           requires /usr/bin/tool
         install user"
    );
    assert_eq!(solve(&with_user), "owner-0:1-1.x86_64 user-0:1-1.x86_64");
}

/// Two contradictions come at once when h-2 is tried; which of them is noticed decides how much is learnt: that
/// h-2 can never be installed, or only not beside a. With the former, h-1 would be taken in the place of a.
#[test]
fn of_two_contradictions_the_one_between_more_packages_is_noticed_first() {
    let installed = solve(
        "package a-1-1.x86_64
           requires (b or h >= 2)
           requires (b if h >= 2)
         package b-1-1.x86_64
           requires d
         package d-1-1.x86_64
         package h-2-1.x86_64
           requires b
           obsoletes b
         package h-1-1.x86_64
           supplements i
         package i-1-1.x86_64
           requires (a or d)
           requires ((a or h) if d)
         install i",
    );
    assert_eq!(
        installed,
        "a-0:1-1.x86_64 b-0:1-1.x86_64 d-0:1-1.x86_64 h-0:1-1.x86_64 i-0:1-1.x86_64"
    );
}

/// python-4 takes the library away from both the tool and the application. Blamed on the tool, which had to be
/// installed, the decision for python would be taken again from the start, before the one for config.
#[test]
fn a_contradiction_is_blamed_on_the_package_that_came_last() {
    let installed = solve(
        "package tool-1-1.x86_64
           requires library
         package python-2-1.x86_64
         package config-2-1.x86_64
         package library-1-1.x86_64
         package library-2-1.x86_64
         package python-3-1.x86_64
           requires config < 2
         package config-1-1.x86_64
         package python-4-1.x86_64
           obsoletes library
         package app-1-1.x86_64
         package app-2-1.x86_64
           requires python
           requires config
           requires library
         install app
         install tool",
    );
    assert_eq!(
        installed,
        "app-0:2-1.x86_64 config-0:2-1.x86_64 library-0:2-1.x86_64 python-0:2-1.x86_64 tool-0:1-1.x86_64"
    );
}

/// libsolv is not asked: it installs a, which it reaches only through the condition, without what a requires.
#[test]
fn a_better_architecture_is_in_sight_behind_a_condition_too() {
    let case = Case::parse(
        "package a-1-1.x86_64
           requires tool
         package b-1-1.i686
           provides library
         package b-1-2.x86_64
           provides tool
         install (library if a else nothing)",
    );
    let (_, problems) = case.solve();
    assert!(problems.join("\n").contains("b-1-1.i686 has inferior architecture"), "{problems:?}");
}

/// Nobody asks for a version of a file, but who owns it has every version of it, as soon as any package names the path.
#[test]
fn a_file_has_every_version() {
    let repository = "package app-1-1.x86_64
           requires /etc/magic >= 5
         package file-1-1.x86_64
           file /etc/magic
         package mime-1-1.x86_64
           conflicts /etc/magic = 1";
    let installed = solve(&format!("{repository}\n install app"));
    assert_eq!(installed, "app-0:1-1.x86_64 file-0:1-1.x86_64");
    let problem = solve(&format!("{repository}\n install app\n install mime"));
    assert!(problem.contains("conflicts with /etc/magic = 1 provided by file-1-1"), "{problem}");
}

/// What rpm itself understands is there, wherever it stands; but nothing is installed only because rpm is there.
#[test]
fn rpm_is_one_of_those_that_provide_its_features() {
    let installed = solve(
        "package app-1-1.x86_64
           requires (rpmlib(Foo) <= 1 or nothing)
           requires (rpmlib(Foo) <= 1 without tool)
           recommends (rpmlib(Foo) <= 1 or tool)
         package tool-1-1.x86_64
         package docs-1-1.x86_64
           supplements (rpmlib(Foo) <= 1 and app)
         package more-1-1.x86_64
           supplements (tool or rpmlib(Foo) <= 1)
         install app
         install (rpmlib(Foo) <= 1 or tool)",
    );
    assert_eq!(installed, "app-0:1-1.x86_64 docs-0:1-1.x86_64");
    for conflict in ["rpmlib(Foo) <= 1", "(rpmlib(Foo) <= 1 or tool)"] {
        let problem =
            solve(&format!("package app-1-1.x86_64\n conflicts {conflict}\n install app"));
        let said = format!("package app-1-1.x86_64 conflicts with {conflict} provided by");
        assert!(problem.contains(&said), "{problem}");
    }
}

/// Here libsolv does not see that the condition leads to library's i686 build, and installs it alone.
#[test]
fn a_better_half_is_needed_behind_a_condition_too() {
    let case = Case::parse(
        "package library-1-1.x86_64
         package library-1-1.i686
           provides library(32)
         package app-1-1.noarch
         install (nothing unless library(32) else app)",
    );
    assert_eq!(Judge::new().ask(&case).installs, ["app-0:1-1.noarch", "library-0:1-1.i686"]);
    assert_eq!(case.solve().0, ["app-0:1-1.noarch", "library-0:1-1.i686", "library-0:1-1.x86_64"]);
}

/// The request for g has two candidates, but c can never be installed. Requests that name one package come first, so
/// that it is l, and not g, whose recommendation is followed.
#[test]
fn what_a_request_is_reduced_to_comes_after_what_it_names() {
    let installed = solve(
        "package l-1-1.x86_64
           recommends h
         package g-1-1.x86_64
           recommends j
         package j-1-1.x86_64
         package h-1-1.x86_64
           conflicts j
         package c-1-1.x86_64
           provides g
           requires nothing
         install g
         install l",
    );
    assert_eq!(installed, "g-0:1-1.x86_64 h-0:1-1.x86_64 l-0:1-1.x86_64");
}

/// Installing f ends in a contradiction between b and m-2. It is f that needs m-2 first, not i, which came in for its
/// sake and needs some m, too; so f is found impossible and i is not, and may still be recommended.
#[test]
fn of_two_requirers_in_one_step_the_later_in_the_repository_is_to_blame() {
    let installed = solve(
        "package h-0:2-2.noarch
           provides virtual1
           provides a < 2~rc1
           recommends (((f and k) or j) or (m or virtual0))
         package b-0:2^git1-1.x86_64
           conflicts d
         package m-1:1-2.noarch
           conflicts virtual0
         package j-0:2-1.x86_64
         package i-1:1-1.x86_64
           provides virtual0
           requires b <= 10
           requires m
         package m-0:2-1.x86_64
           provides d < 1.1
         package f-0:2^git1-1.x86_64
           requires (m and ((c or k = 1.1) or (i or i < 10)))
         package d-0:10-1.x86_64
           requires ((b <= 2 or i > 1) and j)
         package k-0:2^git1-1.x86_64
           requires g > 1:1-2
           requires d
           enhances virtual1
         package n-0:1.1-1.x86_64
           provides g
         package d-0:2-2.noarch
           supplements (a < 1.1 and (g = 2~rc1-2 or virtual0))
         install ((f and k) or a)",
    );
    assert_eq!(
        installed,
        "d-0:2-2.noarch h-0:2-2.noarch k-0:2^git1-1.x86_64 m-0:2-1.x86_64 n-0:1.1-1.x86_64"
    );
}

/// d is the older version of its name and would come last; but it provides the newer h and h the newer service, so
/// that neither is ahead. That h says twice what it provides of itself, as packages do, does not count twice.
#[test]
fn what_is_provided_twice_counts_once() {
    let installed = solve(
        "package d-1-1.x86_64
           provides h < 1.1
           provides service <= 1:0.5
         package d-10-1.x86_64
         package h-1-2.noarch
           provides h = 1-2
           provides service < 1:1
         install h",
    );
    assert_eq!(installed, "h-0:1-2.noarch");
}

/// Of d, the i686 package has no better half but one that is noarch and cannot stand beside it. So it can never be
/// installed; but libsolv notices this only when it has decided for another d.
#[test]
fn an_inferior_architecture_beside_noarch_is_ruled_out_only_by_what_is_installed() {
    let installed = solve(
        "package a-1-1.i686
           provides x
           provides y
         package b-1-2.noarch
           requires x
           requires y
         package d-2~rc1-2.x86_64
           provides x
         package d-2^git1-1.i686
           provides y
         package d-2^git1-1.noarch
         install b",
    );
    assert_eq!(installed, "a-0:1-1.i686 b-0:1-2.noarch d-0:2~rc1-2.x86_64");
}

#[test]
fn of_three_architectures_the_best_within_reach_counts() {
    let repository = "arch i686
                      package lib-1-1.i386
                        provides old
                      package lib-1-1.i586
                      package lib-2-1.i686
                      ";
    // i586 is better than i386, and cannot stand beside it.
    let problem = solve(&format!("{repository} install old"));
    assert!(problem.contains("cannot install both lib-1-1.i586 and lib-1-1.i386"), "{problem}");
    assert_eq!(solve(&format!("{repository} install lib < 2")), "lib-0:1-1.i586");
    let problem = solve(&format!("{repository} install old\n install lib"));
    assert!(problem.contains("lib-1-1.i386 has inferior architecture"), "{problem}");
}

#[test]
fn source_packages_are_no_part_of_the_universe() {
    let problem = solve("package tool-1-1.src\n install tool");
    assert_eq!(problem, "No package found for: tool");
}

#[test]
fn what_a_package_provides_itself_it_need_not_get_from_others() {
    let installed = solve(
        "package bash-5-1.x86_64
           provides shell
           requires shell
         package ash-1-1.x86_64
           provides shell
         install bash",
    );
    assert_eq!(installed, "bash-0:5-1.x86_64");
}

#[test]
fn an_unversioned_provide_conflicts_with_every_version() {
    let problem = solve(
        "package a-1-1.x86_64
           conflicts mta > 7
         package b-1-1.x86_64
           provides mta
         install a
         install b",
    );
    assert!(
        problem.contains("a-1-1.x86_64 conflicts with mta > 7 provided by b-1-1.x86_64"),
        "{problem}"
    );
}

#[test]
fn a_range_may_be_provided() {
    let repository = "package compat-1-1.x86_64
                        provides abi <= 3
                      ";
    assert_eq!(solve(&format!("{repository} install abi = 2")), "compat-0:1-1.x86_64");
    assert_eq!(solve(&format!("{repository} install abi > 3")), "No package found for: abi > 3");
}

#[test]
fn a_release_that_is_not_told_is_neither_less_nor_more() {
    let repository = "package foo-1.0-7.x86_64\n ";
    for met in ["foo = 1.0", "foo >= 1.0", "foo <= 1.0", "foo = 1.0-7", "foo < 1.0-8"] {
        assert_eq!(solve(&format!("{repository} install {met}")), "foo-0:1.0-7.x86_64", "{met}");
    }
    for not in ["foo > 1.0", "foo < 1.0", "foo = 1.0-8"] {
        assert_eq!(
            solve(&format!("{repository} install {not}")),
            format!("No package found for: {not}")
        );
    }
}

#[test]
fn an_epoch_that_is_not_told_is_zero() {
    let repository = "package foo-1:1.0-1.x86_64\n ";
    assert_eq!(solve(&format!("{repository} install foo > 2")), "foo-1:1.0-1.x86_64");
    assert_eq!(
        solve(&format!("{repository} install foo = 1.0")),
        "No package found for: foo = 1.0"
    );
    assert_eq!(solve(&format!("{repository} install foo = 1:1.0")), "foo-1:1.0-1.x86_64");
}

#[test]
fn to_choose_the_best_version_the_release_counts_too() {
    let installed = solve("package foo-1-2.x86_64\n package foo-1-10.x86_64\n install foo = 1");
    assert_eq!(installed, "foo-0:1-10.x86_64");
}

#[test]
fn obsoletes_keep_packages_apart_whatever_their_architecture() {
    let problem = solve(
        "package new-1-1.x86_64
           obsoletes old < 2
         package old-1-1.i686
         install new
         install old",
    );
    assert!(
        problem.contains("new-1-1.x86_64 obsoletes old < 2 provided by old-1-1.i686"),
        "{problem}"
    );
    let installed = solve(
        "package new-1-1.x86_64
           obsoletes old < 2
         package old-2-1.x86_64
         install new
         install old",
    );
    assert_eq!(installed, "new-0:1-1.x86_64 old-0:2-1.x86_64");
}

#[test]
fn of_each_package_there_is_one_version() {
    let problem = solve(
        "package lib-1-1.x86_64
         package lib-2-1.x86_64
         install lib = 1
         install lib = 2",
    );
    assert!(problem.contains("cannot install both"), "{problem}");
}

#[test]
fn a_noarch_package_excludes_those_of_both_architectures() {
    let repository = "package data-1-1.noarch
                        provides old
                      package data-2-1.x86_64
                        provides new
                      package data-2-1.i686
                        provides new32
                      ";
    assert_eq!(
        solve(&format!("{repository} install new\n install new32")),
        "data-0:2-1.i686 data-0:2-1.x86_64"
    );
    let problem = solve(&format!("{repository} install new\n install old"));
    assert!(problem.contains("cannot install both"), "{problem}");
}

#[test]
fn the_halves_of_a_multilib_package_are_of_one_version() {
    let problem = solve(
        "package lib-1-1.i686
           provides lib32
         package lib-1-1.x86_64
         package lib-2-1.x86_64
         install lib32
         install lib = 2",
    );
    assert!(problem.contains("cannot install both"), "{problem}");
}

#[test]
fn what_rpm_understands_has_a_version() {
    let problem = solve("package foo-1-1.x86_64\n requires rpmlib(Foo)\n install foo");
    assert!(problem.contains("nothing provides rpmlib(Foo)"), "{problem}");
}

#[test]
fn or_takes_whichever_comes_first_by_name_and_and_takes_all() {
    let repository = "package a-1-1.noarch
                      package b-1-1.noarch
                      ";
    assert_eq!(solve(&format!("{repository} install (b or a)")), "a-0:1-1.noarch");
    assert_eq!(solve(&format!("{repository} install (b and a)")), "a-0:1-1.noarch b-0:1-1.noarch");
}

#[test]
fn without_wants_a_package_that_does_not_provide_something_else() {
    let installed = solve(
        "package exim-4-1.x86_64
           provides mta
           provides light
         package postfix-3-1.x86_64
           provides mta
         install (mta without light)",
    );
    assert_eq!(installed, "postfix-0:3-1.x86_64");
}

#[test]
fn unless_asks_only_where_something_is_absent() {
    let repository = "package app-1-1.x86_64
                        requires (editor unless ide)
                      package editor-1-1.x86_64
                      package ide-1-1.x86_64
                      install app
                      ";
    assert_eq!(solve(repository), "app-0:1-1.x86_64 editor-0:1-1.x86_64");
    // Not only is the editor not needed: the requirement fails as a whole.
    let problem = solve(&format!("{repository} install ide"));
    assert!(problem.starts_with("Problem: "), "{problem}");
}

#[test]
fn unless_may_ask_for_something_else_instead() {
    let repository = "package app-1-1.x86_64
                        requires (editor unless ide else plugin)
                      package editor-1-1.x86_64
                      package ide-1-1.x86_64
                      package plugin-1-1.x86_64
                      install app
                      ";
    assert_eq!(solve(repository), "app-0:1-1.x86_64 editor-0:1-1.x86_64");
    assert_eq!(
        solve(&format!("{repository} install ide")),
        "app-0:1-1.x86_64 ide-0:1-1.x86_64 plugin-0:1-1.x86_64"
    );
}

#[test]
fn a_rich_conflict_is_one_with_the_combination() {
    let repository = "package app-1-1.x86_64
                        conflicts (old and broken)
                      package old-1-1.x86_64
                      package broken-1-1.x86_64
                      install app
                      install old
                      ";
    assert_eq!(solve(repository), "app-0:1-1.x86_64 old-0:1-1.x86_64");
    let problem = solve(&format!("{repository} install broken"));
    assert!(problem.starts_with("Problem: "), "{problem}");
}

#[test]
fn paths_are_looked_up_in_all_kinds_of_relations() {
    let installed = solve(
        "package app-1-1.x86_64
           requires (/usr/bin/a or nothing)
           recommends /usr/share/b
           conflicts /opt/c
         package a-1-1.x86_64
           file /usr/bin/a
         package b-1-1.x86_64
           file /usr/share/b
         package c-1-1.x86_64
           file /opt/c
           supplements /usr/bin/a
         install app",
    );
    assert_eq!(installed, "a-0:1-1.x86_64 app-0:1-1.x86_64 b-0:1-1.x86_64");
}

#[test]
fn what_scripts_need_counts_like_everything_else() {
    let text = "package app-1-1.x86_64
                  prerequires shadow
                package shadow-1-1.x86_64
                install app";
    assert_eq!(solve(text), "app-0:1-1.x86_64 shadow-0:1-1.x86_64");
    let case = Case::parse(text);
    let universe = case.universe();
    let resolution = depsolve::Solver::new(&universe).resolve(&case.request());
    let distances: Vec<Option<u8>> = resolution.installs.iter().map(|i| i.distance).collect();
    assert_eq!(distances, [Some(1), Some(2)]);
}

#[test]
fn recommendations_are_followed_in_their_order() {
    let repository = |first: &str, second: &str| {
        format!(
            "package app-1-1.x86_64
               recommends {first}
               recommends {second}
             package emacs-1-1.x86_64
               conflicts vim
             package vim-1-1.x86_64
             install app"
        )
    };
    assert_eq!(solve(&repository("emacs", "vim")), "app-0:1-1.x86_64 emacs-0:1-1.x86_64");
    assert_eq!(solve(&repository("vim", "emacs")), "app-0:1-1.x86_64 vim-0:1-1.x86_64");
}

/// What libsolv does here is not imitated: it does not see that the condition can lead to a, gives it no rules, and
/// installs it without what it requires.
#[test]
fn what_a_condition_can_lead_to_needs_what_it_requires() {
    let case = Case::parse(
        "package a-1-1.x86_64
           requires tool
         package tool-1-1.x86_64
         install (nothing if a else a)",
    );
    assert_eq!(Judge::new().ask(&case).resolved, case.solve().1.is_empty());
    let case = Case::parse(
        "package a-1-1.x86_64
           requires tool
         package c-1-1.x86_64
         package tool-1-1.x86_64
         install (c if a else nothing)",
    );
    assert_eq!(Judge::new().ask(&case).installs, ["a-0:1-1.x86_64", "c-0:1-1.x86_64"]);
    assert_eq!(case.solve().0, ["a-0:1-1.x86_64", "c-0:1-1.x86_64", "tool-0:1-1.x86_64"]);
}

/// Nor this: within a rich request libsolv looks for a path among provides only.
#[test]
fn a_path_within_a_rich_request_is_a_path() {
    let case = Case::parse(
        "package a-1-1.x86_64
           file /usr/bin/a
         package b-1-1.x86_64
         install (/usr/bin/a and b)",
    );
    assert!(!Judge::new().ask(&case).resolved);
    assert_eq!(case.solve().0, ["a-0:1-1.x86_64", "b-0:1-1.x86_64"]);
}

/// Which of two contradictions is noticed when b-1 is tried depends on where jobs are watched by then: by the
/// packages of the condition at first, and by b after these were installed.
#[test]
fn a_job_is_watched_by_what_it_can_still_be_met_with() {
    let installed = solve(
        "package l-1-1.noarch
         package b-1:1-1.noarch
         package b-2~rc1-1.noarch
           suggests virtual0
         package e-1-1.noarch
           provides virtual0
         package b-1-1.noarch
           requires /etc/a
         package i-1-1.noarch
           provides virtual0
           provides /usr/bin/b
           requires b
           recommends a
         package c-1-1.noarch
           requires i
           recommends j
           recommends i
           file /etc/a
         package f-1-1.noarch
           provides /usr/bin/b
           enhances (c if l)
           file /usr/share/c
         package a-1-1.noarch
           file /usr/share/c
         package j-1-1.noarch
           provides virtual0
           file /usr/share/c
         install ((b < 1:1 if /etc/a else l) if /usr/bin/b)
         install virtual0
         install /usr/share/c
         without weak",
    );
    assert_eq!(installed, "a-0:1-1.noarch b-0:2~rc1-1.noarch c-0:1-1.noarch i-0:1-1.noarch");
}

/// The newer m can never be installed, so requests that it would meet are watched by m-1 from early on.
#[test]
fn what_can_never_be_installed_is_not_watched() {
    let installed = solve(
        "package m-1:1-1.x86_64
           requires q
         package i-1-1.noarch
           provides virtual1
           requires (m if s)
         package s-1-1.noarch
           provides virtual1 < 1.1
         package h-1-1.noarch
         package u-1-1.noarch
           provides k
           provides n
           provides virtual1
         package n-1-1.noarch
           requires k
           requires virtual1 >= 2
         package c1-1-1.noarch
           obsoletes m
         package m-1-1.x86_64
           provides s
         install (h or (s with virtual1))
         install (m if virtual1 > 1.1)
         install s
         install (c1 or u)
         install n
         without weak",
    );
    assert_eq!(installed, "m-0:1-1.x86_64 s-0:1-1.noarch u-0:1-1.noarch");
}

#[test]
fn an_architecture_that_is_not_known_is_an_error() {
    let error = depsolve::Universe::from_packages([], "vax", []).unwrap_err();
    assert_eq!(
        error.to_string(),
        "packages cannot be resolved for the architecture vax; known are x86_64, aarch64, ppc64le, s390x, i686"
    );
}

#[test]
fn a_path_that_a_package_of_a_foreign_architecture_asks_for_is_looked_up_among_files_too() {
    let installed = solve(
        "arch ppc64le
         package c-1-1.ppc64
           requires /opt/d
         package k-1-1.noarch
           file /opt/d
         package l-1-1.noarch
           provides /opt/d
         install /opt/d",
    );
    assert_eq!(installed, "k-0:1-1.noarch");
}

/// The conflict holds only where the tool is absent, and app is a tool itself. So no request leads to the better library.
#[test]
fn a_conflict_that_says_nothing_leads_nowhere() {
    let installed = solve(
        "package app-1-1.noarch
           provides tool
           conflicts (nothing if tool)
         package library-1-1.i386
           provides interface
         package library-10-1.i586
           provides tool
         arch i686
         install app
         install interface",
    );
    assert_eq!(installed, "app-0:1-1.noarch library-0:1-1.i386");
}

/// Without driver-2.x86_64 there is neither engine.x86_64, which requires it, nor driver-2.i686, which may only be installed
/// beside it. In this order it is the client that cannot have its engine, and this is what is learnt.
#[test]
fn who_needs_an_excluded_package_is_ruled_out_before_its_other_half() {
    let installed = solve(
        "package client-1-1.noarch
           requires engine
         package driver-2-1.i686
         package driver-2-1.x86_64
           provides bus
         package driver-1:1-1.x86_64
           provides graphics
           requires (engine or driver < 1:0.5)
         package engine-1-1.i686
         package engine-1-1.x86_64
           provides graphics
           requires bus
         install (driver or client)
         install graphics
         without weak",
    );
    assert_eq!(installed, "client-0:1-1.noarch driver-0:2-1.x86_64 engine-0:1-1.x86_64");
}

/// generator-2 excludes the extension and the cable, and the device requires a plug, which both provide, and current, which only
/// the cable does. That there is no plug is noticed first, so the generator is to blame, too, and not the cable alone.
#[test]
fn of_two_requirements_the_one_with_more_candidates_may_rule_a_package_out() {
    let installed = solve(
        "package adapter-1-1.noarch
           provides plug
           requires nothing
         package cable-1-1.noarch
           provides plug
           provides current
           provides installation
         package device-1-1.noarch
           requires plug
           requires current
         package extension-1-1.noarch
           provides plug
           conflicts generator
         package generator-1-1.noarch
         package generator-2-1.noarch
           conflicts cable
         package installation-1-1.noarch
           requires device
           supplements generator
         install generator
         install installation
         without weak",
    );
    assert_eq!(
        installed,
        "cable-0:1-1.noarch device-0:1-1.noarch generator-0:1-1.noarch installation-0:1-1.noarch"
    );
}

/// e-2 excludes e.i686, so that i has to get its j elsewhere, and b.i686 cannot be installed. i comes later in the repository,
/// so that j is installed first; then the request needs b.i686, and what is learnt is that e.i686 is needed.
#[test]
fn what_a_later_package_requires_is_followed_up_first() {
    let installed = solve(
        "package b-1-1.i686
           provides v
           provides h
           requires k
         package b-1-1.x86_64
         package c-1-1.noarch
         package e-2-1.noarch
           requires (c unless (f and (i unless w)))
           requires h
         package e-1-1.i686
           provides j
           provides k
           provides w
         package e-1-1.x86_64
         package f-1-1.noarch
         package h-1-1.noarch
           requires f
         package i-1-1.noarch
           requires j
           requires e
         package j-1-1.x86_64
         install (v or (b unless j))
         install i
         without weak",
    );
    assert_eq!(installed, "b-0:1-1.i686 b-0:1-1.x86_64 e-0:1-1.i686 e-0:1-1.x86_64 i-0:1-1.noarch");
}

/// h.x86_64 excludes h.noarch. That c.x86_64 now needs c.i686 is noticed before c.i686 is found to need h.noarch, since c.x86_64
/// was installed in the meantime, and its choice has been open since then.
#[test]
fn a_choice_that_is_open_is_followed_up_before_what_never_was_one() {
    let installed = solve(
        "package a-1-1.noarch
           requires x
         package c-1-1.i686
           provides v >= 2
           provides l
           provides w
           provides x
           requires v = 1
         package c-1-1.x86_64
           requires v
         package d-1-1.noarch
           requires w
         package e-1-1.noarch
           requires d
           requires a
           requires l
         package h-1-1.x86_64
           provides w
         package h-1-1.noarch
           provides v
           provides x
         package l-1-1.noarch
           provides x
         package l-1-2.x86_64
         install e
         install c
         without weak",
    );
    assert_eq!(
        installed,
        "a-0:1-1.noarch c-0:1-1.i686 c-0:1-1.x86_64 d-0:1-1.noarch e-0:1-1.noarch h-0:1-1.noarch"
    );
}

/// f-10 excludes f.s390, without which l.s390x cannot be installed. l.noarch needs one of these two or a.noarch, which can never
/// be installed; so it is looked at before l.s390x is ruled out, and goes on waiting. What is learnt is that f.s390 is
/// needed.
#[test]
fn a_requirement_whose_first_candidate_is_impossible_is_looked_at_first() {
    let installed = solve(
        "arch s390x
         package a-1-1.noarch
           provides v
           requires e
         package f-10-1.s390x
           requires a
         package f-2-1.s390x
         package a-1-1.s390x
           requires l
         package f-2-1.s390
           provides v
           provides l
         package l-1-1.noarch
           requires v
         package l-1-1.s390x
           provides v
           requires l > 10
         group f
         install v
         without weak",
    );
    assert_eq!(installed, "f-0:2-1.s390 f-0:2-1.s390x");
}

/// c-2 excludes c-1, so that a needs d-2 for its v; d-1, which c-2 needs as well, wants v, too, but comes second. What is learnt
/// is that a and c-2 do not go together, not that c-2 cannot be installed at all.
#[test]
fn of_two_that_need_the_same_the_one_that_has_been_there_longer_is_followed_up() {
    let installed = solve(
        "package a-1-1.noarch
           requires v
           requires a > 2
         package c-2-1.noarch
           provides a
           requires d < 2
         package c-1-1.noarch
           provides v
           provides a
         package d-1-1.noarch
           requires v
         package d-2-1.noarch
           provides v
         group a
         without weak",
    );
    assert_eq!(installed, "a-0:1-1.noarch c-0:1-1.noarch");
}

/// Without n.x86_64, k-10 has only inferior packages to choose from. That it cannot be installed is noticed before these are
/// ruled out because their better half is missing.
#[test]
fn the_inferior_half_follows_its_better_one_after_all_requests() {
    let installed = solve(
        "package n-1-1.x86_64
           requires l
         package k-10-1.noarch
           requires n
         package k-2-1.x86_64
         package n-1-1.i586
         package n-1-1.i686
         package k-2-1.i686
           provides l
           provides n
         group k
         group n
         without weak",
    );
    assert_eq!(installed, "k-0:2-1.i686 k-0:2-1.x86_64 n-0:1-1.x86_64");
}

/// When l is tried for the sake of v, d.x86_64 cannot be installed. That l needs d.i386 then is noticed before the request for d
/// is looked at, which has watched d.x86_64 for longer. So it is l that is ruled out.
#[test]
fn who_came_to_watch_a_package_last_is_looked_at_first() {
    let installed = solve(
        "package c-1-1.noarch
           requires k
           supplements g
         package g-1-1.noarch
           requires b
         package l-1-1.noarch
           provides v
           requires d
           conflicts g
         package d-1-1.i386
         package b-1-1.i386
           provides d
         package b-2-1.x86_64
         package k-1-1.noarch
           provides v
         package d-1-1.x86_64
           provides v
           requires g
           recommends l
         group v
         install d
         install (k or c)
         without weak",
    );
    assert_eq!(installed, "b-0:2-1.x86_64 d-0:1-1.x86_64 g-0:1-1.noarch k-0:1-1.noarch");
}

/// c provides v twice, and both times an older one than h does; h provides abi once in an older version than c.
#[test]
fn what_is_provided_in_two_ways_counts_twice() {
    let installed = solve(
        "package c-1-1.noarch
           provides v <= 1
           provides v = 1
           provides abi = 2
         package h-1-1.noarch
           provides v < 2
           provides abi < 2
         install (h or c)
         without weak",
    );
    assert_eq!(installed, "h-0:1-1.noarch");
}

/// b-10 excludes b-1, so that its requirement does not even begin to watch it. When a and d are ruled out for want of b-1, it is
/// the request that is found to fail, and what is learnt is that b-1 is needed.
#[test]
fn what_was_excluded_before_a_package_came_is_not_watched_by_what_it_requires() {
    let installed = solve(
        "package a-1-1.x86_64
           provides v
           requires w
         package a-1-2.x86_64
         package b-1-1.noarch
           provides w
           provides v
         package b-10-1.x86_64
           requires (v or d)
         package b-2-1.x86_64
         package d-1-1.noarch
           requires w
         install (b or v)
         install v
         without weak",
    );
    assert_eq!(installed, "b-0:1-1.noarch");
}

/// The newest library excludes both older ones, which are what wrapper's requirement watches. While the first of them is followed
/// up, the second has failed as well, but that is not found out before it is followed up itself; by then module is ruled
/// out, and with it the newest library, whatever is chosen for app.
#[test]
fn what_a_requirement_still_needs_is_found_out_when_the_last_one_it_watches_is_followed_up() {
    let installed = solve(
        "package driver-1-1.noarch
           requires kit
         package app-1-1.noarch
           requires (fallback or driver)
         package library-1-1.noarch
         package library-10-1.noarch
           requires (module or tool)
         package library-1-1.x86_64
         package tool-1-1.noarch
           requires module
         package wrapper-1-1.noarch
           requires (fallback or library < 2)
         package kit-1-1.noarch
           requires library
           requires wrapper
         package helper-1-1.noarch
           requires module
         package fallback-1-1.noarch
           requires helper
         package module-1-1.noarch
           requires library < 3
         install app
         without weak",
    );
    assert_eq!(
        installed,
        "app-0:1-1.noarch driver-0:1-1.noarch kit-0:1-1.noarch library-0:1-1.noarch wrapper-0:1-1.noarch"
    );
}

/// Of the clauses of i-2 the one that goes on after what another one consists of is looked at first. So it is i-2 together
/// with a-1:1 that is ruled out, and j is chosen while h is not there yet.
#[test]
fn a_longer_clause_comes_before_the_one_that_it_begins_with() {
    let installed = solve(
        "package a-10-1.noarch
         package a-1:1-1.noarch
           requires (h or d)
         package b-1-1.noarch
           requires (a < 10 unless g else h)
           requires i
           recommends d
         package e-1-1.noarch
         package g-1-1.noarch
           requires a
         package h-1-1.noarch
         package h-1-1.x86_64
         package i-2-1.noarch
           requires e
           requires (d unless (v if (g unless g) else (e if a else e)))
         package i-1-1.noarch
         package j-1-1.noarch
           provides d
         install b
         without weak",
    );
    assert_eq!(
        installed,
        "a-1:1-1.noarch b-0:1-1.noarch g-0:1-1.noarch h-0:1-1.noarch i-0:1-1.noarch j-0:1-1.noarch"
    );
}

/// m.s390 can never be installed, and a-1:0.5.s390 only not because there is a.s390x. So g is installed before a, and what g
/// recommends comes first.
#[test]
fn what_can_never_be_installed_is_followed_up_before_what_is_inferior() {
    let installed = solve(
        "arch s390x
         package m-1-1.noarch
           provides v
         package a-1-1.s390x
           recommends i
         package i-1-1.noarch
           conflicts v
         package a-1:0.5-1.s390
         package m-1-1.s390
           provides g
           requires d
         package g-1-1.noarch
           recommends v
         group a
         install g",
    );
    assert_eq!(installed, "a-0:1-1.s390x g-0:1-1.noarch m-0:1-1.noarch");
}

/// Inferior packages are ruled out name by name, and the first package of m comes first.
#[test]
fn inferior_packages_are_ruled_out_in_the_order_of_the_repository() {
    let installed = solve(
        "arch s390x
         package m-1-1.s390x
           provides v
         package a-1-1.s390x
           recommends i
         package i-1-1.noarch
           conflicts v
         package a-1:0.5-1.s390
         package m-1:1-1.s390
           provides g
         package g-1-1.noarch
           recommends v
         group a
         install g",
    );
    assert_eq!(installed, "a-0:1-1.s390x g-0:1-1.noarch m-0:1-1.s390x");
}
