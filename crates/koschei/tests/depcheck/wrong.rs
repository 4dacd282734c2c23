//! What can be wrong is told in one sentence, with status 2, and leaves nothing behind.

use std::fs;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::{stderr, stdout};
use crate::world::{Instead, Server, World, depcheck, package, source};

/// The sentence.
#[track_caller]
fn refused(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let sentence = stderr(&output);
    assert_eq!(output.status.code(), Some(2), "{sentence}");
    assert_eq!(stdout(&output), "");
    assert!(!sentence.contains('\n'), "{sentence}");
    sentence
}

fn world() -> World {
    let world = World::new();
    world.binary(&[package("gcc 1")]);
    world.source(&[source("a 1").requires("gcc")]);
    world
}

#[test]
fn what_is_no_repository() {
    let world = world();
    let path = |name: &str| world.path(name).to_str().unwrap().to_owned();
    fs::create_dir(world.path("empty")).unwrap();
    fs::write(world.path("file"), "a: gcc\n").unwrap();
    for (binary, complaint) in [
        (path("absent"), "the directory ".to_owned() + &path("absent") + " does not exist"),
        (path("empty"), "is not a repository: it has no repodata/repomd.xml; with packages in it, “createrepo_c".into()),
        (path("file"), "is a file; a repository is a directory".into()),
        (path("binary/repodata"), "is only the index of a repository; name the directory above it".into()),
    ] {
        let mut command = depcheck();
        let sentence = refused(command.args(["--binary", &binary, "--source", &path("source")]));
        assert!(sentence.contains(&complaint), "{sentence}");
    }
    let mut command = depcheck();
    let sentence =
        refused(command.args(["--binary", &path("binary"), "--source", &path("absent")]));
    assert!(sentence.contains("absent does not exist; --source takes a directory"), "{sentence}");
    let sentence =
        refused(depcheck().args(["--binary", &path("binary"), "--source", &path("binary")]));
    assert!(sentence.contains("has no source packages"), "{sentence}");
    let sentence = refused(world.depcheck().arg("--overlay").arg(world.path("source")));
    assert!(sentence.contains("has no binary packages, so it changes nothing"), "{sentence}");
}

#[test]
fn what_is_unknown() {
    let world = world();
    for (options, complaint) in [
        (["--arch", "vax"], "--arch vax: the architecture is not known; known are x86_64, aarch64"),
        (["--arch", "s390x"], "have no packages for s390x; is --arch what they were made for?"),
        (["--build-group", "comps:build"], "none of the binary repositories has groups (comps)"),
        (["--build-group", "absent"], "the build group absent cannot be read: No such file"),
        (
            ["--remove", "gc"],
            "--remove gc: there is no package of that name in the binary repositories",
        ),
        (
            ["--remove", "source:gc"],
            "--remove source:gc: nothing in the binary repositories is built from",
        ),
        (
            ["--overlay-mode", "add"],
            "--overlay-mode says how to apply an --overlay, and there is none",
        ),
    ] {
        let sentence = refused(world.depcheck().args(options));
        assert!(sentence.contains(complaint), "{sentence}");
    }
    let sentence = refused(world.depcheck().arg("--install-sets"));
    assert!(sentence.ends_with("--install-sets needs --format json or jsonl"), "{sentence}");
    world.binary_with_group(&[package("gcc 1")], "build", &["gcc"], &[]);
    let sentence = refused(world.depcheck().args(["--build-group", "comps:biuld"]));
    assert!(
        sentence.ends_with("there is no group biuld in the binary repositories; they have build"),
        "{sentence}"
    );
    world.binary(&[package("libgcc 1").from("gcc 1")]);
    let sentence = refused(world.depcheck().args(["--remove", "gcc"]));
    assert!(
        sentence.ends_with("--remove source:gcc removes all that is built from it"),
        "{sentence}"
    );
    fs::write(world.path("group"), "bash\nmake >= 4\n").unwrap();
    let sentence = refused(world.depcheck().arg("--build-group").arg(world.path("group")));
    assert!(sentence.contains("line 2: “>=” is not a name"), "{sentence}");
}

#[test]
fn what_cannot_be_read() {
    let world = world();
    let list = world.path("list");
    fs::write(&list, "a: gcc\nb: gcc >=\n").unwrap();
    let mut command = depcheck();
    let command = command.arg("--binary").arg(world.path("binary")).arg("--source").arg(&list);
    let sentence = refused(command);
    assert!(
        sentence.contains("list, line 2: “gcc >=” is not a relation: the version is missing"),
        "{sentence}"
    );

    let file = world.file("binary", "primary");
    let good = fs::read(&file).unwrap();
    let mut changed = good.clone();
    changed[good.len() / 2] ^= 1;
    for (bytes, complaint) in [
        (good[..good.len() - 3].to_vec(), "it is truncated"),
        (changed, "its checksum differs"),
        ([&good[..], b"x"].concat(), "it is too long"),
    ] {
        fs::write(&file, bytes).unwrap();
        let sentence = refused(&mut world.depcheck());
        assert!(sentence.contains("is not the file that its repomd.xml describes"), "{sentence}");
        assert!(sentence.contains(complaint) && sentence.contains("createrepo_c"), "{sentence}");
    }
    fs::remove_file(&file).unwrap();
    let sentence = refused(&mut world.depcheck());
    assert!(sentence.contains("primary.xml.gz cannot be read: No such file"), "{sentence}");
    fs::write(world.path("binary/repodata/repomd.xml"), "<repomd>\n<data>\n").unwrap();
    let sentence = refused(&mut world.depcheck());
    assert!(sentence.contains("repomd.xml, line 3: "), "{sentence}");
}

#[test]
fn what_cannot_be_verified() {
    let world = world();
    let index = world.path("binary/repodata/repomd.xml");
    let good = fs::read_to_string(&index).unwrap();
    let (start, end) = ("<checksum type=\"sha256\">", "</checksum>");
    let at = good.find("<data type=\"primary\">").unwrap();
    let from = at + good[at..].find(start).unwrap();
    let to = from + good[from..].find(end).unwrap();
    let digits = &good[from + start.len()..to];
    let server = Server::start(world.directory());
    let address = server.address("binary");
    let ask = |opening: &str, digits: &str, binary: &str| {
        fs::write(&index, good[..from].to_owned() + opening + digits + &good[to..]).unwrap();
        let mut command = depcheck();
        command.args(["--binary", binary, "--source"]).arg(world.path("source"));
        command.env("TMPDIR", world.directory());
        command
    };
    let zeros = "0".repeat(64);
    for binary in [world.path("binary").to_str().unwrap(), &address] {
        let output = ask("<checksum type=\"SHA256\">", digits, binary).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        let sentence = refused(&mut ask("<checksum type=\"SHA256\">", &zeros, binary));
        assert!(sentence.contains("its checksum "), "{sentence}");
        for (opening, complaint) in [
            ("<checksum type=\"sha3-256\">", "its checksum is of the unknown kind sha3-256; the "),
            ("<checksum>", "the kind of its checksum is not told; the repository has to be made"),
        ] {
            let sentence = refused(&mut ask(opening, &zeros, binary));
            assert!(sentence.contains(complaint) && sentence.contains(binary), "{sentence}");
        }
    }
}

#[test]
fn what_a_server_does_not_have() {
    let world = world();
    let server = Server::start(world.directory());
    let binary = server.address("binary");
    let ask = |binary: &str| {
        let mut command = depcheck();
        command.args(["--binary", binary, "--source", &server.address("source")]);
        command.env("TMPDIR", world.path("tmp"));
        command
    };
    let sentence = refused(&mut ask(&server.address("absent")));
    assert!(
        sentence.contains("what is fetched cannot be kept at"),
        "no directory for it: {sentence}"
    );
    fs::create_dir(world.path("tmp")).unwrap();
    let sentence = refused(&mut ask(&server.address("absent")));
    assert!(
        sentence.contains("there is no repository at http://") && sentence.contains("baseurl"),
        "{sentence}"
    );
    *server.instead.lock().unwrap() = Some(Instead::Status(403));
    let sentence = refused(&mut ask(&binary));
    assert!(sentence.contains("HTTP status 403; check the address"), "{sentence}");
    *server.instead.lock().unwrap() = None;

    let file = world.file("binary", "primary");
    let good = fs::read(&file).unwrap();
    let mut changed = good.clone();
    changed[good.len() / 2] ^= 1;
    for (bytes, complaint) in [
        (good[..good.len() - 1].to_vec(), "bytes came instead of"),
        (changed, "its checksum is not what the index says"),
    ] {
        fs::write(&file, bytes).unwrap();
        let sentence = refused(&mut ask(&binary));
        assert!(sentence.contains(complaint), "{sentence}");
    }
    fs::remove_file(&file).unwrap();
    let sentence = refused(&mut ask(&binary));
    assert!(sentence.contains("primary.xml.gz cannot be fetched: it is not there"), "{sentence}");
    assert_eq!(fs::read_dir(world.path("tmp")).unwrap().count(), 0, "nothing is left behind");
}

/// Whether this process ignores a signal, as proc(5) tells.
fn is_ignored(signal: Signal) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap();
    u64::from_str_radix(line.trim(), 16).unwrap() & 1 << (signal as u32 - 1) != 0
}

#[test]
fn an_interrupted_one_leaves_nothing_behind() {
    let world = world();
    fs::create_dir(world.path("tmp")).unwrap();
    let server = Server::start(world.directory());
    *server.instead.lock().unwrap() = Some(Instead::Hang("primary"));
    let mut signals = vec![Signal::SIGINT, Signal::SIGTERM];
    // Under nohup it is ignored, by whatever is started, too.
    if !is_ignored(Signal::SIGHUP) {
        signals.push(Signal::SIGHUP);
    }
    for signal in signals {
        let mut child = depcheck()
            .args(["--binary", &server.address("binary"), "--source", &server.address("source")])
            .env("TMPDIR", world.path("tmp"))
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let fetching = || {
            let directories = fs::read_dir(world.path("tmp")).unwrap();
            let mut files = directories.flat_map(|one| fs::read_dir(one.unwrap().path()));
            files.any(|mut files| files.next().is_some())
        };
        let patience = Instant::now();
        while !fetching() {
            assert!(patience.elapsed() < Duration::from_secs(120), "nothing is being fetched");
            assert!(child.try_wait().unwrap().is_none(), "it ended before");
            sleep(Duration::from_millis(10));
        }
        kill(Pid::from_raw(child.id() as i32), signal).unwrap();
        let status = child.wait().unwrap();
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(signal as i32));
        assert_eq!(fs::read_dir(world.path("tmp")).unwrap().count(), 0, "{signal}");
    }
}
