//! `koschei depcheck`: the resolver for anybody with two repositories.
//!
//! The right answers for whole distributions are libsolv's, in the test data; small repositories show the rest.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests say what they expect"
)]

mod support;

#[path = "depcheck/terminal.rs"]
mod terminal;
#[path = "depcheck/what_if.rs"]
mod what_if;
#[path = "depcheck/world.rs"]
mod world;
#[path = "depcheck/wrong.rs"]
mod wrong;

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::Stdio;

use rpm::md::decompress;
use rpm::md::write::Compression;
use serde_json::Value;

use support::{stderr, stdout};
use world::{Server, World, depcheck, package, source};

/// The directory with real repositories and libsolv's answers.
fn shared_data() -> PathBuf {
    let data = std::env::var_os("KOSCHEI_DATA").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"),
        PathBuf::from,
    );
    assert!(
        data.join("golden").is_dir(),
        "{} has no directory golden; set KOSCHEI_DATA to the directory of the test data",
        data.display()
    );
    data
}

fn lines(reader: impl Read) -> impl Iterator<Item = String> {
    BufReader::new(reader).lines().map(|line| line.unwrap())
}

/// libsolv's answers, one line for each source package.
fn golden(file: &str) -> Vec<String> {
    let file = File::open(shared_data().join("golden").join(file)).unwrap();
    lines(decompress::open(file, u64::MAX).unwrap()).collect()
}

/// Of a conflict the chain is compared without regard to the order of its links, which is nobody's promise.
fn with_sorted_links(line: &str) -> Value {
    let mut value: Value = serde_json::from_str(line).unwrap();
    for problem in value["problems"].as_array_mut().unwrap() {
        if let Some(chain) = problem.as_str().unwrap().strip_prefix("Problem: ") {
            let mut links: Vec<&str> = chain.split("\n - ").collect();
            links.sort_unstable();
            *problem = links.join("\n").into();
        }
    }
    value
}

fn assert_same(mut answers: impl Iterator<Item = String>, golden: &[String]) {
    for (i, golden) in golden.iter().enumerate() {
        let answer = answers.next().unwrap_or_else(|| panic!("{i} lines instead of {golden:?}"));
        if answer != *golden {
            assert_eq!(with_sorted_links(&answer), with_sorted_links(golden));
            assert!(
                golden.contains("Problem: "),
                "equal values, but other bytes:\n{answer}\n{golden}"
            );
        }
    }
    assert_eq!(answers.next(), None, "nothing follows");
}

#[test]
fn one_line_more_or_less_is_not_the_same() {
    let answers = |number: usize| (0..number).map(|i| format!("{{\"problems\": [], \"n\": {i}}}"));
    let golden: Vec<String> = answers(2).collect();
    assert_same(answers(2), &golden);
    for number in [1, 3] {
        let verdict = std::panic::catch_unwind(|| assert_same(answers(number), &golden));
        assert!(verdict.is_err(), "{number} lines instead of 2");
    }
}

#[test]
fn a_whole_distribution_is_answered_as_libsolv_does_byte_for_byte() {
    let rhel7 = shared_data().join("repos/rhel7");
    let golden = golden("rhel7.jsonl.zst");
    for options in [&["--threads", "1"][..], &["--threads", "3", "--ignore-weak-deps"]] {
        let output = depcheck()
            .arg("--binary")
            .arg(rhel7.join("binary"))
            .arg("--source")
            .arg(rhel7.join("source"))
            .arg("--build-group")
            .arg(rhel7.join("build-group.txt"))
            .args(["--format", "jsonl", "--install-sets"])
            .args(options)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
        assert_eq!(stderr(&output), "", "nothing but the answer where there is no terminal");
        assert_same(lines(&output.stdout[..]), &golden);
    }
}

/// What one run prints can be the list of another: so libsolv's answers are the question as well.
#[test]
fn thousands_of_packages_of_debian_are_answered_as_libsolv_does() {
    let debian = shared_data().join("repos/debian-bookworm");
    for (file, options) in [
        ("debian-bookworm-3000-weak.jsonl.zst", &[][..]),
        ("debian-bookworm-3000-noweak.jsonl.zst", &["--ignore-weak-deps"]),
    ] {
        let mut child = depcheck()
            .arg("--binary")
            .arg(debian.join("binary"))
            .arg("--source")
            .arg(shared_data().join("golden").join(file))
            .arg("--build-group")
            .arg(debian.join("build-group.txt"))
            .args(["--format", "jsonl", "--install-sets"])
            .args(options)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        assert_same(lines(child.stdout.take().unwrap()), &golden(file));
        assert_eq!(child.wait().unwrap().code(), Some(1));
    }
}

#[test]
fn what_breaks_most_comes_first() {
    let world = World::new();
    world.binary(&[
        package("gcc 1"),
        package("a 1").conflicts("b"),
        package("b 1"),
        package("wants-a 1").requires("a"),
    ]);
    world.source(&[
        source("fine 1").requires("gcc"),
        source("vim 1").requires("gcc").requires("libacl-devel"),
        source("emacs 2").requires("gtk3-devel >= 3"),
        source("geany 3").requires("gtk3-devel").requires("gcc"),
        source("new 1").requires("gcc >= 2"),
        source("both 1").requires("wants-a").requires("b"),
    ]);
    let output = world.depcheck().output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert_eq!(
        stdout(&output),
        "\
2 source packages: nothing provides gtk3-devel
    emacs geany

1 source package: nothing provides gcc >= 2
    new

1 source package: nothing provides libacl-devel
    vim

1 source package: a and b cannot be installed together
    both
  because
    package a-1-1.x86_64 conflicts with b provided by b-1-1.x86_64
    package wants-a-1-1.x86_64 requires a, but none of the providers can be installed
    conflicting requests

6 source packages: 1 can be built, 5 cannot, for 4 root causes"
    );

    let output = world.depcheck().args(["--format", "json"]).output().unwrap();
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&answer["resolved"], &answer["unresolved"]), (&1.into(), &5.into()));
    assert_eq!(answer["causes"][0]["cause"], "nothing provides gtk3-devel");
    assert_eq!(answer["causes"][0]["packages"], serde_json::json!(["emacs", "geany"]));
    assert_eq!(answer["packages"].as_array().unwrap().len(), 6);
    assert_eq!(answer["packages"][0]["name"], "fine");
    assert!(answer["packages"][0].get("installs").is_none(), "not asked for");
}

#[test]
fn when_everything_can_be_built_the_status_says_so() {
    let world = World::new();
    world.binary(&[package("gcc 1")]);
    world.source(&[source("a 1").requires("gcc"), source("b 1")]);
    let output = world.depcheck().output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(stdout(&output), "All 2 source packages can be built");
}

#[test]
fn of_several_repositories_the_first_counts() {
    let world = World::new();
    world.binary(&[package("gcc 1").requires("missing"), package("make 1")]);
    let other = world.repository("other", &[package("gcc 1"), package("make 2")]);
    world.source(&[source("a 1").requires("gcc"), source("b 1").requires("make")]);
    let run = |binary: [&str; 2]| {
        let mut command = depcheck();
        command.arg("--source").arg(world.path("source")).args(["--binary"]).args(binary);
        let output = command.args(["--format=jsonl", "--install-sets"]).output().unwrap();
        assert_eq!(stderr(&output), "");
        lines(&output.stdout[..])
            .map(|line| serde_json::from_str::<Value>(&line).unwrap())
            .collect::<Vec<_>>()
    };
    let first = world.path("binary");
    let answers = run([first.to_str().unwrap(), other.to_str().unwrap()]);
    assert_eq!(
        answers[0]["resolved"], false,
        "the broken gcc hides the other one of the same name"
    );
    assert_eq!(
        answers[1]["installs"][0], "make-0:2-1.x86_64",
        "of two versions the newer is taken"
    );
    let answers = run([other.to_str().unwrap(), first.to_str().unwrap()]);
    assert_eq!(answers[0]["resolved"], true);
}

#[test]
fn the_build_group_comes_from_a_file_or_from_comps() {
    let world = World::new();
    let packages = [package("bash 1"), package("make 1"), package("gcc 1"), package("vim 1")];
    world.binary_with_group(&packages, "build", &["bash", "make"], &["vim"]);
    world.source(&[source("a 1").requires("gcc")]);
    let installs = |group: &str| {
        let mut command = world.depcheck();
        command.args(["--format=jsonl", "--install-sets", "--build-group", group]);
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
        let installs = answer["installs"].as_array().unwrap().clone();
        let names = installs
            .iter()
            .map(|one| one.as_str().unwrap().split("-0:").next().unwrap().to_owned());
        (names.collect::<Vec<_>>(), stderr(&output))
    };
    let (names, _) = installs("comps:build");
    assert_eq!(names, ["bash", "gcc", "make"], "optional members are not in a buildroot");
    let file = world.path("group.txt");
    fs::write(&file, "# for builds\nbash vim # and this\n\nnonsense\n").unwrap();
    let (names, warning) = installs(file.to_str().unwrap());
    assert_eq!(names, ["bash", "gcc", "vim"]);
    assert_eq!(
        warning,
        "koschei: warning: nothing provides nonsense of the build group; it is left out, as Koji does"
    );
}

#[test]
fn a_buildroot_that_cannot_be_made_is_told_once() {
    let world = World::new();
    world.binary(&[package("bash 1").requires("libc")]);
    world.source(&[source("a 1"), source("b 1")]);
    fs::write(world.path("group.txt"), "bash\n").unwrap();
    let output =
        world.depcheck().arg("--build-group").arg(world.path("group.txt")).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let text = stdout(&output);
    assert!(
        text.starts_with("The build group cannot be installed, so nothing can be built:\n"),
        "{text}"
    );
    assert!(text.contains("nothing provides libc needed by bash-1-1.x86_64"), "{text}");
    assert!(text.ends_with("2 source packages, none of which can be built"), "{text}");
}

#[test]
fn source_packages_come_from_a_list_as_well() {
    let world = World::new();
    world.binary(&[package("gcc 1")]);
    let list = world.path("list");
    fs::write(
        &list,
        "hello 2.12-1: gcc, (gcc or clang)\nbye: clang\n{\"name\": \"x\", \"build_requires\": []}\n",
    )
    .unwrap();
    let mut command = depcheck();
    command.arg("--binary").arg(world.path("binary")).args(["--format", "jsonl", "--source"]);
    let output = command.arg("-").stdin(File::open(&list).unwrap()).output().unwrap();
    assert_eq!(
        stdout(&output),
        "\
{\"build_requires\": [\"gcc\", \"(gcc or clang)\"], \"evr\": \"0:2.12-1\", \"name\": \"hello\", \"problems\": [], \"resolved\": true}
{\"build_requires\": [\"clang\"], \"evr\": null, \"name\": \"bye\", \"problems\": [\"No package found for: clang\"], \"resolved\": false}
{\"build_requires\": [], \"evr\": null, \"name\": \"x\", \"problems\": [], \"resolved\": true}"
    );
}

#[test]
fn what_nobody_understands_is_a_problem_of_the_package() {
    let world = World::new();
    world.binary(&[
        package("gcc 1").requires_verbatim("(glibc or"),
        package("make 1").requires_verbatim("(bash foo sh)").requires_verbatim("()"),
    ]);
    let warning = "koschei: warning: the repositories have 3 relations of binary packages that cannot be understood, and \
        are left out as libsolv does; the first: gcc-0:1-1.x86_64 has it, and “(glibc or” is not a rich dependency: ";
    world.source(&[
        source("fine 1").requires("gcc"),
        source("hello 2-3")
            .requires_verbatim("(clang foo llvm)")
            .requires("gcc")
            .requires_verbatim("gcc plus")
            .requires("make")
            .requires_verbatim("(clang"),
    ]);
    let output = world.depcheck().args(["--format", "jsonl", "--install-sets"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(stderr(&output).starts_with(warning), "{}", stderr(&output));
    let answers: Vec<Value> =
        lines(&output.stdout[..]).map(|line| serde_json::from_str(&line).unwrap()).collect();
    assert_eq!(answers[0]["resolved"], true);
    let hello = answers[1].as_object().unwrap();
    assert_eq!(
        hello.keys().collect::<Vec<_>>(),
        ["build_requires", "evr", "name", "problems", "resolved"]
    );
    assert_eq!(hello["resolved"], false);
    assert_eq!(
        hello["build_requires"],
        serde_json::json!(["(clang foo llvm)", "gcc", "gcc plus", "make", "(clang"]),
        "in the order of the repository"
    );
    // The words of the services.
    let problems = hello["problems"].as_array().unwrap();
    assert_eq!(problems.len(), 3, "{problems:?}");
    for (problem, text) in problems.iter().zip(["(clang foo llvm)", "gcc plus", "(clang"]) {
        let begins = format!("BuildRequires of hello-2-3 cannot be understood: “{text}” is not a ");
        assert!(problem.as_str().unwrap().starts_with(&begins), "{problem}");
    }

    // The answer is a question with the same answer.
    fs::write(world.path("list"), &output.stdout).unwrap();
    let mut command = depcheck();
    command.arg("--binary").arg(world.path("binary")).arg("--source").arg(world.path("list"));
    let again = command.args(["--format", "jsonl", "--install-sets"]).output().unwrap();
    assert_eq!(stdout(&again), stdout(&output));

    let text = stdout(&world.depcheck().output().unwrap());
    assert!(
        text.contains(
            "1 source package: BuildRequires of hello-2-3 cannot be understood: “gcc plus” is not a"
        ),
        "{text}"
    );
    assert!(
        text.ends_with("\n\n2 source packages: 1 can be built, 1 cannot, for 3 root causes"),
        "{text}"
    );
    let output = world.depcheck().args(["--remove", "make"]).output().unwrap();
    assert_eq!(
        stdout(&output),
        "2 source packages: nothing changes\n1 source package cannot be built either way"
    );
}

#[test]
fn repositories_come_over_http_in_every_compression() {
    let world = World::new();
    let packages = [package("gcc 1"), package("tool 1").file("/opt/tool")];
    let sources = [source("a 1").requires("gcc").requires("/opt/tool")];
    for compression in [Some(Compression::Gzip), Some(Compression::Zstd), None] {
        world.write("binary", &packages, compression.unwrap_or_default());
        world.write("source", &sources, compression.unwrap_or_default());
        let suffixes = if compression.is_none() { &["xz", "bz2"][..] } else { &[""] };
        for suffix in suffixes {
            if !suffix.is_empty() {
                world.compress_anew("binary", suffix);
            }
            let server = Server::start(world.directory());
            let output = depcheck()
                .args([
                    "--binary",
                    &server.address("binary/"),
                    "--source",
                    &server.address("source"),
                ])
                .output()
                .unwrap();
            assert_eq!(output.status.code(), Some(0), "{suffix} {}", stderr(&output));
            assert_eq!(stderr(&output), "");
            assert_eq!(stdout(&output), "The source package can be built");
        }
    }
}

#[test]
fn who_has_seen_enough_may_leave() {
    let world = World::new();
    world.binary(&[package("gcc 1")]);
    let list = world.path("list");
    let lines: String = (0..50_000).map(|i| format!("package{i}: missing{i}, gcc\n")).collect();
    fs::write(&list, lines).unwrap();
    for format in ["text", "json", "jsonl"] {
        let mut child = depcheck()
            .arg("--binary")
            .arg(world.path("binary"))
            .arg("--source")
            .arg(&list)
            .args(["--format", format])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut first = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
        assert!(!first.is_empty());
        let output = child.wait_with_output().unwrap();
        assert_eq!(stderr(&output), "", "{format}");
        assert_eq!(output.status.code(), Some(141), "{format}: as of a program ended by SIGPIPE");
    }
}
