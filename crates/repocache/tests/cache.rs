//! The cache: what one process prepares, all use; what is not whole, vanishes; what is not used, makes room.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests say what they expect"
)]

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime};

use repocache::{Cache, Cancel, Error};
use support::{Server, Trouble, files, impatient, repository, tree};

/// Some repositories on a server, and a directory to keep them.
struct World {
    served: tempfile::TempDir,
    server: Server,
    cache: tempfile::TempDir,
}

impl World {
    /// With repositories of these names, which have two packages each.
    fn with(names: &[&str]) -> Self {
        let served = tempfile::tempdir().unwrap();
        for name in names {
            rpm::md::write::Repository::new(&support::packages(&["bash", "gcc"]))
                .write(&served.path().join(name))
                .unwrap();
        }
        let server = Server::start(served.path());
        Self { served, server, cache: tempfile::tempdir().unwrap() }
    }

    fn url(&self, name: &str) -> String {
        format!("{}/{name}", self.server.url)
    }

    /// As a process that has just started.
    fn cache(&self) -> Cache {
        Cache::new(self.cache.path(), 2, impatient())
    }

    /// How many packages the repository has.
    fn load(&self, name: &str, paths: &[&str]) -> Result<usize, Error> {
        let paths: BTreeSet<String> = paths.iter().map(|path| (*path).to_owned()).collect();
        let loaded =
            self.cache().universe(&self.url(name), "x86_64", &paths, &Cancel::default())?;
        Ok(loaded.universe.len())
    }

    /// The directories of the cache: at the end of their names stands what makes them unique.
    fn kept(&self) -> Vec<String> {
        let names = files(self.cache.path()).into_iter().filter(|name| name.starts_with("repo-"));
        names.map(|name| name.rsplit('-').nth(1).unwrap().to_owned()).collect()
    }

    /// The only entry.
    fn entry(&self) -> PathBuf {
        let mut names = files(self.cache.path());
        names.retain(|name| name.starts_with("repo-"));
        assert_eq!(names.len(), 1, "{names:?}");
        self.cache.path().join(names.remove(0))
    }

    /// Another process that loads a repository.
    fn command(&self, name: &str, paths: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_repocache"));
        command
            .arg(self.cache.path())
            .arg(self.url(name))
            .arg("x86_64")
            .args(paths)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Another process that has loaded a repository and stays in it until it is let go.
    fn user(&self, name: &str) -> Child {
        let mut user = self.command(name, &[]).env("REPOCACHE_HOLD", "1").spawn().unwrap();
        let mut said = String::new();
        BufReader::new(user.stdout.as_mut().unwrap()).read_line(&mut said).unwrap();
        assert!(said.starts_with("2 packages"), "{said}");
        user
    }
}

fn leave(mut user: Child) {
    drop(user.stdin.take());
    assert!(user.wait().unwrap().success());
}

/// Everything that a whole entry has, and nothing else.
const WHOLE: [&str; 7] =
    ["about", "lock", "paths-x86_64", "primary", "repomd.xml", "universe-x86_64", "used"];

#[test]
fn a_repository_is_fetched_once_and_stays() {
    let world = World::with(&["a"]);
    assert_eq!(world.load("a", &[]).unwrap(), 2);
    assert_eq!(world.server.names(), ["repomd", "primary"], "file lists are not needed");
    fs::remove_dir_all(world.served.path().join("a")).unwrap();
    assert_eq!(world.load("a", &[]).unwrap(), 2);
    assert!(world.server.names().is_empty());
    assert_eq!(files(&world.entry()), WHOLE);
}

#[test]
fn file_lists_are_fetched_when_a_path_is_asked_for() {
    let world = World::with(&["a"]);
    world.load("a", &[]).unwrap();
    world.server.asked();
    world.load("a", &["/opt/gcc/tool"]).unwrap();
    assert_eq!(world.server.names(), ["filelists"]);
    world.load("a", &["/opt/bash/tool"]).unwrap();
    world.load("a", &["/opt/gcc/tool"]).unwrap();
    assert!(world.server.names().is_empty(), "what one asked for is there for the others");
}

#[test]
fn processes_that_want_the_same_fetch_it_once() {
    let world = World::with(&["a"]);
    world.server.trouble("repomd", Trouble::Hold);
    let mut processes: Vec<Child> =
        (0..4).map(|_| world.command("a", &["/opt/gcc/tool"]).spawn().unwrap()).collect();
    world.server.wait_until_held(1);
    assert_eq!(world.cache().list().unwrap().len(), 1, "one who looks does not disturb");
    world.server.release();
    for process in &mut processes {
        assert!(process.wait().unwrap().success());
    }
    assert_eq!(world.server.names(), ["repomd", "primary", "filelists"]);
    let mut whole = WHOLE.to_vec();
    whole.insert(1, "filelists");
    assert_eq!(files(&world.entry()), whole);
}

#[test]
fn processes_that_want_more_of_the_same_do_not_write_over_each_other() {
    let world = World::with(&["a"]);
    world.load("a", &[]).unwrap();
    world.server.asked();
    world.server.trouble("filelists", Trouble::Hold);
    let mut processes: Vec<Child> = ["/opt/gcc/tool", "/opt/bash/tool", "/opt/nothing"]
        .map(|path| world.command("a", &[path]).spawn().unwrap())
        .into();
    world.server.wait_until_held(1);
    world.server.release();
    for process in &mut processes {
        assert!(process.wait().unwrap().success());
    }
    assert_eq!(world.server.names(), ["filelists"]);
    let paths = fs::read_to_string(world.entry().join("paths-x86_64")).unwrap();
    assert_eq!(paths, "/opt/bash/tool\n/opt/gcc/tool\n/opt/nothing\n", "nobody's was lost");
}

#[test]
fn one_who_waits_takes_over_from_one_who_dies() {
    let world = World::with(&["a"]);
    world.server.trouble("primary", Trouble::Hold);
    let mut first = world.command("a", &[]).spawn().unwrap();
    world.server.wait_until_held(1);
    let mut second = world.command("a", &[]).spawn().unwrap();
    first.kill().unwrap();
    first.wait().unwrap();
    assert!(second.wait().unwrap().success());
    assert_eq!(files(&world.entry()), WHOLE);
    world.server.release();
}

#[test]
fn one_who_waits_can_be_called_off() {
    let world = World::with(&["a"]);
    world.server.trouble("primary", Trouble::Hold);
    let mut first = world.command("a", &[]).spawn().unwrap();
    world.server.wait_until_held(1);
    let cancel = Cancel::default();
    cancel.cancel();
    let error =
        world.cache().universe(&world.url("a"), "x86_64", &BTreeSet::new(), &cancel).unwrap_err();
    assert!(matches!(error, Error::Canceled { .. }), "{error}");
    world.server.release();
    assert!(first.wait().unwrap().success(), "the other one is not disturbed");
    assert_eq!(files(&world.entry()), WHOLE);
}

#[test]
fn the_least_recently_used_makes_room_but_never_one_in_use() {
    let world = World::with(&["a", "b", "c", "d", "e"]);
    world.load("a", &[]).unwrap();
    world.load("b", &[]).unwrap();
    // Used again, so that b is the one that was not used for the longest time.
    world.load("a", &[]).unwrap();
    world.load("c", &[]).unwrap();
    assert_eq!(world.kept(), ["a", "c"]);
    let user = world.user("a");
    world.load("c", &[]).unwrap();
    world.load("d", &[]).unwrap();
    assert_eq!(world.kept(), ["a", "d"], "a is older than c, but somebody uses it");
    let other = world.user("d");
    world.load("e", &[]).unwrap();
    assert_eq!(world.kept(), ["a", "d", "e"], "more than the capacity, and all in use");
    leave(user);
    leave(other);
    world.load("b", &[]).unwrap();
    assert_eq!(world.kept(), ["b", "e"]);
}

#[test]
fn what_is_kept_in_memory_is_in_use() {
    let world = World::with(&["a", "b", "c"]);
    let cache = world.cache();
    let load = |name| {
        cache.universe(&world.url(name), "x86_64", &BTreeSet::new(), &Cancel::default()).unwrap()
    };
    let a = load("a");
    drop(load("b"));
    drop(load("c"));
    assert_eq!(world.kept(), ["a", "c"]);
    drop(a);
    drop(load("b"));
    assert_eq!(world.kept(), ["b", "c"]);
}

#[test]
fn what_is_broken_is_made_anew() {
    let world = World::with(&["a"]);
    world.load("a", &["/opt/gcc/tool"]).unwrap();
    world.server.asked();
    let entry = world.entry();
    let all = ["repomd", "primary", "filelists"];
    type Spoil<'a> = (&'a str, &'a dyn Fn(&Path), &'a [&'a str]);
    let spoil: [Spoil<'_>; 10] = [
        ("universe-x86_64", &|path| fs::write(path, "half of it").unwrap(), &[]),
        ("universe-x86_64", &|path| fs::remove_file(path).unwrap(), &[]),
        ("paths-x86_64", &|path| fs::write(path, "").unwrap(), &[]),
        ("about", &|path| fs::write(path, "repocache 0\nhttp://x/a\n").unwrap(), &all),
        ("about", &|path| fs::write(path, "").unwrap(), &all),
        ("about", &|path| fs::remove_file(path).unwrap(), &all),
        ("repomd.xml", &|path| fs::write(path, "").unwrap(), &all),
        ("primary", &|path| fs::remove_file(path).unwrap(), &all),
        ("primary", &|path| flip(path), &all),
        ("filelists", &|path| flip(path), &all),
    ];
    for (name, spoil, fetched) in spoil {
        // What was made of the metadata would hide that they are broken.
        if !name.starts_with("universe") {
            fs::remove_file(entry.join("universe-x86_64")).unwrap();
        }
        spoil(&entry.join(name));
        assert_eq!(world.load("a", &["/opt/gcc/tool"]).unwrap(), 2, "{name}");
        assert_eq!(world.server.names(), fetched, "{name}");
        assert_eq!(files(&entry).len(), 8, "{name}: {:?}", files(&entry));
    }
}

/// Changes a byte in the middle.
fn flip(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(path, bytes).unwrap();
}

#[test]
fn entries_of_an_older_version_make_way() {
    let world = World::with(&["a"]);
    // As earlier versions of Koschei left them.
    let old = world.cache.path().join("repo-f40-build-7-x86_64-0123456789ab");
    fs::create_dir_all(old.join("below")).unwrap();
    for name in ["repomd.xml", "primary", "used", "universe-x86_64", "filelists.part"] {
        fs::write(old.join(name), "old").unwrap();
    }
    fs::create_dir(world.cache.path().join("tmp-Xy12")).unwrap();
    fs::write(world.cache.path().join("tmp-Xy12/primary"), "old").unwrap();
    // And what is not ours stays.
    fs::write(world.cache.path().join("README"), "of the operator").unwrap();
    world.load("a", &[]).unwrap();
    assert_eq!(world.kept(), ["a"]);
    let all = files(world.cache.path());
    assert_eq!(all.len(), 3, "{all:?}");
    assert!(all.contains(&"README".to_owned()) && all.contains(&"lock".to_owned()), "{all:?}");
}

#[test]
fn a_repository_that_cannot_be_had_leaves_nothing_behind() {
    let world = World::with(&["a"]);
    let error = world.load("none", &[]).unwrap_err();
    assert!(error.is_gone(), "{error}");
    assert_eq!(tree(world.cache.path()), ["lock"]);
    world.server.troubles("primary", &Trouble::Changed, 2);
    assert!(matches!(world.load("a", &[]).unwrap_err(), Error::Damaged { .. }));
    assert_eq!(tree(world.cache.path()), ["lock"]);
    // What is there stays, though more of it cannot be had.
    world.load("a", &[]).unwrap();
    world.server.trouble("filelists", Trouble::Status(403));
    let error = world.load("a", &["/opt/gcc/tool"]).unwrap_err();
    assert!(error.to_string().contains("filelists"), "{error}");
    assert_eq!(files(&world.entry()), WHOLE);
}

#[test]
fn metadata_that_nobody_can_read_are_not_kept() {
    let world = World::with(&["a"]);
    let packages = [rpm::md::Package {
        nevra: rpm::Nevra::new("", 0, "1", "1", "x86_64"),
        ..Default::default()
    }];
    rpm::md::write::Repository::new(&packages).write(&world.served.path().join("a")).unwrap();
    let error = world.load("a", &[]).unwrap_err();
    assert!(matches!(error, Error::Damaged { .. }), "{error}");
    assert!(error.to_string().contains("primary.xml, line"), "{error}");
    assert_eq!(tree(world.cache.path()), ["lock"]);
}

#[test]
fn a_repository_that_was_replaced_is_fetched_anew_when_more_of_it_is_needed() {
    let world = World::with(&["a"]);
    world.load("a", &[]).unwrap();
    let newer = repository(&["bash", "clang", "gcc"]);
    let at = world.served.path().join("a");
    fs::remove_dir_all(&at).unwrap();
    fs::rename(newer.path(), &at).unwrap();
    assert_eq!(world.load("a", &[]).unwrap(), 2, "Koji does not do that, and nobody looks");
    assert_eq!(world.load("a", &["/opt/gcc/tool"]).unwrap(), 3);
    fs::create_dir(newer.path()).unwrap();
}

#[test]
fn a_cache_directory_that_cannot_be_used_is_named() {
    let world = World::with(&["a"]);
    let file = world.cache.path().join("file");
    fs::write(&file, "").unwrap();
    let cache = Cache::new(file.join("repodata"), 2, impatient());
    let error = cache
        .universe(&world.url("a"), "x86_64", &BTreeSet::new(), &Cancel::default())
        .unwrap_err();
    assert!(matches!(error, Error::Cache { .. }) && error.is_transient(), "{error}");
    assert!(error.to_string().contains("file/repodata"), "{error}");
    let none = Cache::new(world.cache.path().join("none"), 2, impatient());
    assert_eq!(none.list().unwrap(), []);
    assert!(!world.cache.path().join("none").exists(), "looking makes nothing");
}

#[test]
fn the_cache_is_listed_and_cleared() {
    let world = World::with(&["a", "b"]);
    let begun = SystemTime::now() - Duration::from_secs(1);
    world.load("a", &[]).unwrap();
    let user = world.user("b");
    let listed = world.cache().list().unwrap();
    let seen: Vec<_> =
        listed.iter().map(|found| (found.url.clone().unwrap(), found.in_use)).collect();
    assert_eq!(seen, [(world.url("a"), false), (world.url("b"), true)]);
    assert!(listed.iter().all(|found| found.bytes > 100 && found.used >= begun), "{listed:?}");

    let cleared = world.cache().clear(None).unwrap();
    assert_eq!((cleared.removed.len(), cleared.in_use.len()), (1, 1), "{cleared:?}");
    assert_eq!(world.kept(), ["b"]);
    leave(user);
    let other = world.url("a");
    assert_eq!(world.cache().clear(Some(&[other])).unwrap(), repocache::Cleared::default());
    let cleared = world.cache().clear(Some(&[world.url("b") + "/"])).unwrap();
    assert_eq!(cleared.removed.len(), 1);
    assert_eq!(tree(world.cache.path()), ["lock"]);
}

/// The operating system's calls by which something changes on disk, or a lock is taken.
const CALLS: [&str; 8] =
    ["mkdir", "rename", "unlink", "unlinkat", "rmdir", "flock", "utimensat", "write"];

#[test]
fn a_process_that_is_killed_anywhere_leaves_nothing_half_done() {
    let world = World::with(&["a", "b"]);
    let mut killed = Vec::new();
    for call in CALLS {
        let before = killed.len();
        while killed_at(&world, call, killed.len() - before + 1) {
            let at = format!("killed before {call} number {}", killed.len() - before + 1);
            nothing_is_half_done(&world, &at);
            killed.push(at);
        }
    }
    for call in ["mkdir", "rename", "unlink", "flock", "utimensat", "write"] {
        assert!(killed.iter().any(|at| at.contains(call)), "no {call} among {killed:?}");
    }
    assert!(killed.len() > 30, "{killed:?}");
}

/// Loads a repository, for which another one has to make way, in a process that is killed (as by kill -9) when it is about
/// to make this call for the n-th time. False if it comes to its end before.
fn killed_at(world: &World, call: &str, n: usize) -> bool {
    let _ = fs::remove_dir_all(world.cache.path());
    fs::create_dir(world.cache.path()).unwrap();
    world.load("b", &[]).unwrap();
    let output = Command::new("strace")
        .args(["--follow-forks", "--output=/dev/null", &format!("--trace={call}")])
        .arg(format!("--inject={call}:signal=KILL:when={n}"))
        .arg(env!("CARGO_BIN_EXE_repocache"))
        .arg(world.cache.path())
        .arg(world.url("a"))
        .args(["x86_64", "/opt/gcc/tool"])
        .env("REPOCACHE_CAPACITY", "1")
        .output()
        .expect("strace is needed: scripts/install-deps test");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let killed = std::os::unix::process::ExitStatusExt::signal(&output.status) == Some(9);
    assert!(killed || output.status.success(), "{call} {n}: {said}");
    killed
}

/// Whoever looks finds whole entries only, and the rest is cleared away; and all works as if nothing had happened.
fn nothing_is_half_done(world: &World, at: &str) {
    for found in world.cache().list().unwrap() {
        assert!(found.url.is_some() && !found.in_use, "{at}: {found:?}");
    }
    let left = tree(world.cache.path());
    let is_half = |path: &&String| path.ends_with(".part") || path.starts_with("tmp-");
    let half: Vec<&String> = left.iter().filter(is_half).collect();
    assert!(half.is_empty(), "{at}: {half:?}");
    for name in files(world.cache.path()).iter().filter(|name| name.starts_with("repo-")) {
        let entry = files(&world.cache.path().join(name));
        for needed in ["about", "primary", "repomd.xml", "used"] {
            assert!(entry.iter().any(|name| name == needed), "{at}: {entry:?}");
        }
    }
    assert_eq!(world.load("a", &["/opt/gcc/tool"]).unwrap(), 2, "{at}");
}
