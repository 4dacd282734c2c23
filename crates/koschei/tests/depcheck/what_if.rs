//! What if: only what changes is told.

use std::process::Command;

use serde_json::{Value, json};

use crate::support::{stderr, stdout};
use crate::world::{World, package, source};

/// A distribution in which libfoo is required by some, and one package is broken already.
fn world() -> World {
    let world = World::new();
    world.binary(&[
        package("gcc 1"),
        package("libfoo 1").from("foo 1"),
        package("libfoo-devel 1").from("foo 1").requires("libfoo = 1"),
        package("foo-tools 1").from("foo 1"),
    ]);
    world.source(&[
        source("a 1").requires("gcc"),
        source("b 1").requires("libfoo-devel < 2"),
        source("c 1").requires("libfoo-devel"),
        source("d 1").requires("bar-devel"),
        source("e 1").requires("foo-tools"),
        source("f 1").requires("missing"),
    ]);
    world
}

fn objects(command: &mut Command) -> Vec<Value> {
    let output = command.args(["--format", "jsonl"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_side_tag_is_tried_before_it_is_merged() {
    let world = world();
    let overlay = world.repository(
        "overlay",
        &[
            package("libfoo 2").from("foo 2"),
            package("libfoo-devel 2").from("foo 2").requires("libfoo = 2"),
            package("bar-devel 1"),
        ],
    );
    let ask = || {
        let mut command = world.depcheck();
        command.arg("--overlay").arg(&overlay);
        command
    };
    let output = ask().output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert_eq!(
        stdout(&output),
        "\
NEWLY BROKEN

1 source package: nothing provides foo-tools
    e

1 source package: nothing provides libfoo-devel < 2
    b

NEWLY FIXED

    d

OTHER INSTALL SETS

1 source package:
    c
  with
    libfoo 1-1 -> 2-1
    libfoo-devel 1-1 -> 2-1

6 source packages: 2 newly broken, 1 newly fixed, 1 with other packages
1 source package cannot be built either way"
    );
    assert_eq!(
        objects(&mut ask()),
        [
            json!({"change": "broken", "name": "b", "evr": "0:1-1",
                   "problems": ["No package found for: libfoo-devel < 2"]}),
            json!({"change": "install set", "name": "c", "evr": "0:1-1", "packages": [
                {"old": "libfoo-0:1-1.x86_64", "new": "libfoo-0:2-1.x86_64", "distance": 2},
                {"old": "libfoo-devel-0:1-1.x86_64", "new": "libfoo-devel-0:2-1.x86_64", "distance": 1},
            ]}),
            json!({"change": "fixed", "name": "d", "evr": "0:1-1",
                   "problems": ["No package found for: bar-devel"]}),
            json!({"change": "broken", "name": "e", "evr": "0:1-1",
                   "problems": ["No package found for: foo-tools"]}),
        ]
    );
    let output = ask().args(["--format", "json", "--install-sets"]).output().unwrap();
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answer["changes"].as_array().unwrap().len(), 4);
    assert_eq!(
        answer["changes"][1]["installs"],
        json!(["libfoo-0:2-1.x86_64", "libfoo-devel-0:2-1.x86_64"])
    );
    assert_eq!(
        answer["causes"][0],
        json!({"cause": "nothing provides foo-tools", "packages": ["e"]})
    );
    assert_eq!(
        [
            &answer["newly_broken"],
            &answer["newly_fixed"],
            &answer["other_install_sets"],
            &answer["still_broken"]
        ],
        [2, 1, 1, 1]
    );
}

#[test]
fn an_older_build_replaces_nothing_unless_told_to() {
    let world = world();
    let overlay = world.repository(
        "overlay",
        &[package("libfoo 0.9").from("foo 0.9"), package("libfoo-devel 0.9").from("foo 0.9")],
    );
    let ask = |mode: &str| {
        let mut command = world.depcheck();
        command.arg("--overlay").arg(&overlay).args(["--overlay-mode", mode]);
        command
    };
    let output = ask("newer").output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(
        stdout(&output),
        "6 source packages: nothing changes\n2 source packages cannot be built either way"
    );
    assert_eq!(
        stderr(&output),
        "koschei: warning: builds of the overlay that are older than what is there are left out (--overlay-mode replace \
         uses them): foo-0.9-1 (there is 1-1)"
    );
    let changes = objects(&mut ask("replace"));
    let named: Vec<_> = changes.iter().map(|one| (&one["name"], &one["change"])).collect();
    assert_eq!(
        named,
        [
            (&json!("b"), &json!("install set")),
            (&json!("c"), &json!("install set")),
            (&json!("e"), &json!("broken")),
        ],
        "libfoo of the overlay counts, and foo-tools is made no more"
    );
    assert_eq!(objects(&mut ask("add")), [json!(null); 0], "the newest is still preferred");
}

/// As when perl-version, which had an epoch of its own, was split out of perl.
#[test]
fn a_package_that_is_made_no_more_does_not_make_a_newer_build_older() {
    let world = World::new();
    let perl = |version: &str| package(&format!("perl {version}")).epoch(4);
    world.binary(&[perl("5.36"), package("perl-version 0.99").epoch(8).from("perl 5.36")]);
    world.source(&[source("a 1").requires("perl"), source("b 1").requires("perl-version")]);
    let ask = |overlay: &[crate::world::Package]| {
        let mut command = world.depcheck();
        command.arg("--overlay").arg(world.repository("overlay", overlay));
        let warning = stderr(&command.output().unwrap());
        (objects(&mut command), warning)
    };
    let (changes, warning) = ask(&[perl("5.38")]);
    assert_eq!(warning, "");
    assert_eq!(
        changes,
        [
            json!({"change": "install set", "name": "a", "evr": "0:1-1", "packages": [
                {"old": "perl-4:5.36-1.x86_64", "new": "perl-4:5.38-1.x86_64", "distance": 1}
            ]}),
            json!({"change": "broken", "name": "b", "evr": "0:1-1",
                   "problems": ["No package found for: perl-version"]}),
        ]
    );
    // The epoch of what both have counts, whichever versions they have.
    let (changes, warning) = ask(&[package("perl 6").epoch(3)]);
    assert_eq!(changes, [json!(null); 0]);
    assert!(warning.ends_with(": perl-3:6-1 (there is 4:5.36-1)"), "{warning}");
    // With nothing in common, all count.
    let (changes, warning) = ask(&[package("perl-libs 6").epoch(7).from("perl 6")]);
    assert_eq!(changes, [json!(null); 0]);
    assert!(warning.ends_with(": perl-7:6-1 (there is 8:5.36-1)"), "{warning}");
}

#[test]
fn of_an_overlay_the_newest_build_of_a_source_package_counts_and_no_other() {
    let world = world();
    let two = [
        package("libfoo 3").from("foo 3"),
        package("libfoo-devel 3").from("foo 3").requires("libfoo = 3"),
        package("libfoo-devel 2").from("foo 2"),
        package("foo-tools 2").from("foo 2"),
    ];
    let overlay = world.repository("overlay", &two);
    for mode in ["newer", "replace"] {
        let mut command = world.depcheck();
        command.arg("--overlay").arg(&overlay).args(["--overlay-mode", mode]);
        let changes = objects(&mut command);
        let named: Vec<_> = changes.iter().map(|one| (&one["name"], &one["change"])).collect();
        assert_eq!(
            named,
            [
                (&json!("b"), &json!("broken")),
                (&json!("c"), &json!("install set")),
                (&json!("e"), &json!("broken")),
            ],
            "{mode}: foo-tools was made by the older build only"
        );
    }
}

#[test]
fn a_package_that_a_repository_has_twice_is_no_change() {
    let world = World::new();
    let binary = [package("gcc 1"), package("gcc 1"), package("make 1")];
    world.binary(&binary);
    world.source(&[source("a 1").requires("gcc").requires("make")]);
    let unrelated = world.repository("unrelated", &[package("unrelated 1")]);
    let mut command = world.depcheck();
    assert_eq!(objects(command.arg("--overlay").arg(unrelated)), [json!(null); 0]);
    assert_eq!(objects(world.depcheck().args(["--remove", "source:make"])).len(), 1);
    let same = world.repository("same", &[package("gcc 1"), package("gcc 1")]);
    assert_eq!(objects(world.depcheck().arg("--overlay").arg(same)), [json!(null); 0]);
}

#[test]
fn with_add_both_can_be_chosen_from() {
    let world = world();
    let overlay = world.repository(
        "overlay",
        &[
            package("libfoo 2").from("foo 2"),
            package("libfoo-devel 2").from("foo 2").requires("libfoo = 2"),
        ],
    );
    let mut command = world.depcheck();
    command.arg("--overlay").arg(&overlay).args(["--overlay-mode", "add"]);
    let changes = objects(&mut command);
    assert_eq!(changes.len(), 1, "{changes:?}");
    assert_eq!((&changes[0]["name"], &changes[0]["change"]), (&json!("c"), &json!("install set")));
}

#[test]
fn overlays_lie_on_top_of_each_other() {
    let world = world();
    let overlay = |name: &str, version: &str| {
        let devel = package(&format!("libfoo-devel {version}")).from(&format!("foo {version}"));
        world.repository(
            name,
            &[devel, package(&format!("foo-tools {version}")).from(&format!("foo {version}"))],
        )
    };
    let (two, three) = (overlay("two", "2"), overlay("three", "3"));
    for (mode, first, second, expected) in
        [("newer", &two, &three, "3"), ("newer", &three, &two, "3"), ("replace", &three, &two, "2")]
    {
        let mut command = world.depcheck();
        command.arg("--overlay").arg(first).arg("--overlay").arg(second);
        let changes = objects(command.args(["--overlay-mode", mode]));
        let c = changes.iter().find(|change| change["name"] == "c").unwrap();
        let new = c["packages"].as_array().unwrap().iter().find_map(|one| one["new"].as_str());
        assert_eq!(new, Some(format!("libfoo-devel-0:{expected}-1.x86_64").as_str()), "{mode}");
    }
    let mut command = world.depcheck();
    let output = command.arg("--overlay").arg(&three).arg("--overlay").arg(&two).output().unwrap();
    assert!(
        stderr(&output).ends_with("(--overlay-mode replace uses them): foo-2-1 (there is 3-1)"),
        "{}",
        stderr(&output)
    );
    let mut command = world.depcheck();
    let output = command.arg("--overlay").arg(&two).arg("--overlay").arg(&three).output().unwrap();
    assert_eq!(stderr(&output), "");
}

#[test]
fn retiring_packages_is_tried_before_it_is_done() {
    let world = world();
    let broken = |name: &str| -> Vec<String> {
        let changes = objects(world.depcheck().args(["--remove", name]));
        assert!(changes.iter().all(|change| change["change"] == "broken"), "{changes:?}");
        changes.iter().map(|change| change["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(broken("foo-tools"), ["e"]);
    assert_eq!(broken("libfoo"), ["b", "c"], "what requires it goes as well");
    assert_eq!(broken("source:foo"), ["b", "c", "e"]);
    // A name may stand for a package and for its only source.
    let changes = objects(world.depcheck().args(["--remove", "gcc", "--remove", "source:gcc"]));
    assert_eq!(changes.len(), 1, "{changes:?}");
    assert_eq!((&changes[0]["name"], &changes[0]["change"]), (&json!("a"), &json!("broken")));
    // Nothing may be left.
    world.binary(&[package("gcc 1")]);
    assert_eq!(objects(world.depcheck().args(["--remove", "gcc"])), changes);
}

#[test]
fn a_change_that_reaches_nearly_everything_is_told_in_short() {
    let world = World::new();
    let packages = |version: &str| -> Vec<_> {
        let names = (0..60).map(|i| format!("lib{i} {version}"));
        names.chain([format!("glibc {version}")]).map(|text| package(&text)).collect()
    };
    world.binary(&packages("1"));
    let overlay = world.repository("overlay", &packages("2"));
    let sources: Vec<_> = (0..60)
        .map(|i| source(&format!("s{i} 1")).requires("glibc").requires(&format!("lib{i}")))
        .collect();
    world.source(&sources);
    let output = world.depcheck().arg("--overlay").arg(overlay).output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    let text = stdout(&output);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(
        lines[2..5],
        [
            "source packages  with (--format jsonl tells which)",
            "             60  glibc 1-1 -> 2-1",
            "              1  lib0 1-1 -> 2-1",
        ]
    );
    assert!(
        text.ends_with(
            "\n60 source packages: 0 newly broken, 0 newly fixed, 60 with other packages"
        )
    );
}
