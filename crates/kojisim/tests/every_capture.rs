//! All recorded conversations with a real hub, one after the other: what was asked there is asked here of something alike,
//! and the answer has the same members of the same types, or the same fault. None is left out without a reason.
//!
//! What tests/captures.rs looks at more closely is not repeated.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "functions that tests share say what they expect, as the test does"
)]

mod common;

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use common::shapes::{captured, captures, differences};
use common::{Login, call, http, keywords, login, members};
use koji::xmlrpc::{self, Limits, MethodCall, Response, Struct, Value};
use kojisim::{Clock, Ending, Options, Sim};

/// Those that need a web server with certificates or Kerberos before the hub: the simulator is reached by http alone.
/// crates/koji/tests has servers for them.
const LEFT_OUT: [&str; 3] =
    ["login.gssapi-noauth", "login.ssl-nocert-8444", "login.ssl-proxy-denied"];

const TAG: &str = "buyan2";
const BUILD_TAG: &str = "buyan2-build";
const ZLIB: &str = "../packages/zlib/2.1.7/3.by2/src/zlib-2.1.7-3.by2.src.rpm";
const MESON: &str = "../packages/meson/1.5.2/1.by2/src/meson-1.5.2-1.by2.src.rpm";

struct Hub {
    sim: Sim,
    address: SocketAddr,
    held: RefCell<BTreeSet<String>>,
    /// What was of another shape, or another fault.
    wrong: RefCell<Vec<String>>,
}

impl Hub {
    fn ask(&self, method: &str, params: Vec<Value>) -> Response {
        call(self.address, None, method, params).unwrap()
    }

    /// Compares with a capture, and remembers that it was.
    fn same(&self, name: &str, ours: Response) -> Option<Value> {
        self.held.borrow_mut().insert(name.to_owned());
        let mut wrong = self.wrong.borrow_mut();
        match (captured(name), ours) {
            (Ok(theirs), Ok(ours)) => {
                wrong.extend(
                    differences(&theirs, &ours).iter().map(|what| format!("{name}: {what}")),
                );
                Some(ours)
            }
            (Err(theirs), Err(ours)) => {
                // Exceptions of a hub or builder come with the lines of their source.
                let same_text =
                    theirs.code == 1 || without_names(&ours.text) == without_names(&theirs.text);
                if ours.code != theirs.code || !same_text {
                    wrong.push(format!("{name}: {ours:?}, should be {theirs:?}"));
                }
                None
            }
            (theirs, ours) => {
                wrong.push(format!("{name}: {ours:?}, should be {theirs:?}"));
                ours.ok()
            }
        }
    }

    fn read(&self, name: &str, method: &str, params: Vec<Value>) -> Option<Value> {
        self.same(name, self.ask(method, params))
    }

    /// Lets time pass until this is so.
    fn until(&self, what: &str, so: impl Fn() -> bool) {
        for _ in 0..20_000 {
            if so() {
                return;
            }
            self.sim.advance(Duration::from_millis(20));
        }
        panic!("{what} never came");
    }

    fn finished(&self, task: i64) -> i64 {
        let over = |state| matches!(state, 2 | 3 | 5);
        self.until("the end of the task", || over(self.sim.task_state(task).unwrap()));
        self.sim.task_state(task).unwrap()
    }

    fn children(&self, task: i64) -> Vec<Value> {
        let children = self.ask("getTaskChildren", vec![task.into(), with_request()]).unwrap();
        children.as_array().unwrap().to_vec()
    }

    /// A part of a task, as soon as it is there and a builder has it.
    fn child(&self, task: i64, method: &str) -> i64 {
        let found = || {
            let of_method = |child: &&Value| text(child, "method") == method;
            self.children(task).iter().find(of_method).map(|child| number(child, "id"))
        };
        self.until(method, || found().is_some_and(|id| self.sim.task_state(id) == Some(1)));
        found().unwrap()
    }

    /// A finished build: its parts, and all results that were captured.
    fn build(&self, name: &str, task: i64) {
        self.finished(task);
        let exists = |name: &str| captures().join(format!("{name}.response.xml")).exists();
        let parts = format!("getTaskChildren.{name}");
        if exists(&parts) {
            self.read(&parts, "getTaskChildren", vec![task.into(), with_request()]);
        }
        let result = format!("getTaskResult.{name}");
        self.read(&result, "getTaskResult", vec![task.into()]);
        for child in self.children(task) {
            let (method, arch) = (text(&child, "method"), text(&child, "arch"));
            for part in [format!("{result}.{method}"), format!("{result}.{method}.{arch}")] {
                if exists(&part) {
                    self.read(&part, "getTaskResult", vec![number(&child, "id").into()]);
                }
            }
        }
    }
}

/// Names and numbers are those of the distribution; the sentence is the hub's.
fn without_names(text: &str) -> String {
    let names = [
        ("f41-build", "buyan1-build"),
        ("f40-build", BUILD_TAG),
        (".fc40", ".by2"),
        ("f40", TAG),
        (" koschei)", " USER)"),
        (" alenka)", " USER)"),
        ("blockeduser", "varvara"),
    ];
    let text =
        names.iter().fold(text.to_owned(), |text, (theirs, ours)| text.replace(theirs, ours));
    let mut result = String::new();
    for character in text.chars() {
        match character {
            '0'..='9' if result.ends_with('#') => {}
            '0'..='9' => result.push('#'),
            other => result.push(other),
        }
    }
    result
}

/// A user with a session, who counts the calls.
struct User<'h> {
    hub: &'h Hub,
    login: Login,
    number: Cell<i64>,
}

impl<'h> User<'h> {
    fn of(hub: &'h Hub, name: &str) -> User<'h> {
        User { hub, login: login(hub.address, name).unwrap(), number: Cell::new(0) }
    }

    fn ask(&self, method: &str, params: Vec<Value>) -> Response {
        self.number.set(self.number.get() + 1);
        call(self.hub.address, Some((&self.login, self.number.get())), method, params).unwrap()
    }

    fn call(&self, name: &str, method: &str, params: Vec<Value>) -> Option<Value> {
        self.hub.same(name, self.ask(method, params))
    }

    fn build(&self, name: &str, source: &str, target: Value, options: Value, more: Value) -> i64 {
        let params = vec![source.into(), target, options, more];
        self.call(name, "build", params).unwrap().as_int().unwrap()
    }
}

fn number(value: &Value, name: &str) -> i64 {
    let found = value.get(name).and_then(Value::as_int);
    found.unwrap_or_else(|| panic!("{name} is not a number in {value:?}"))
}

fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    let found = value.get(name).and_then(Value::as_str);
    found.unwrap_or_else(|| panic!("{name} is not a text in {value:?}"))
}

fn with_request() -> Value {
    keywords([("request", true.into())])
}

fn scratch(more: &[(&str, Value)]) -> Value {
    let mut options = Struct::new().with("scratch", true);
    for (name, value) in more {
        options.insert(*name, value.clone());
    }
    Value::Struct(options)
}

fn source(name: &str, version: &str, release: &str) -> Value {
    members([
        ("name", name.into()),
        ("version", version.into()),
        ("release", release.into()),
        ("epoch", Value::Nil),
        ("arch", "src".into()),
    ])
}

fn zlib() -> Value {
    source("zlib", "2.1.7", "3.by2")
}

fn entry(method: &str, params: Vec<Value>) -> Value {
    members([("methodName", method.into()), ("params", Value::Array(params))])
}

#[tokio::test(flavor = "multi_thread")]
async fn every_captured_answer_has_its_like() {
    let directory = tempfile::tempdir().unwrap();
    let options =
        Options { clock: Clock::Manual(1_795_372_800.5), ..Options::for_tests(directory.path()) };
    let sim = Sim::start(options).await.unwrap();
    let asking = tokio::task::spawn_blocking(move || {
        let hub = Hub {
            address: sim.address(),
            sim,
            held: RefCell::default(),
            wrong: RefCell::default(),
        };
        reads(&hub);
        builds(&hub);
        states_of_tasks(&hub);
        changes(&hub);
        many_calls(&hub);
        logins(&hub);
        sessions(&hub);
        renewals(&hub);
        plain_http(&hub);
        (hub.held.into_inner(), hub.wrong.into_inner())
    });
    let (held, wrong) = asking.await.unwrap();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let elsewhere = include_str!("captures.rs");
    let mut forgotten = Vec::new();
    for file in std::fs::read_dir(captures()).unwrap() {
        let file = file.unwrap().file_name().into_string().unwrap();
        let Some(name) = file.strip_suffix(".response.xml") else { continue };
        let known = held.contains(name)
            || LEFT_OUT.contains(&name)
            || elsewhere.contains(&format!("\"{name}\""));
        if !known {
            forgotten.push(name.to_owned());
        }
    }
    forgotten.sort();
    assert!(forgotten.is_empty(), "nothing is held against {forgotten:?}");
}

fn reads(hub: &Hub) {
    let with = |more: &[(&str, Value)]| {
        let mut all = Struct::new();
        for (name, value) in more {
            all.insert(*name, value.clone());
        }
        Value::Struct(all.with("__starstar", true))
    };
    let latest = ("latest", Value::from(true));
    let inherit = ("inherit", Value::from(true));
    let tagged = |name: &str, tag: &str, more: &[(&str, Value)]| {
        hub.read(name, "listTagged", vec![tag.into(), with(more)])
    };
    tagged("listTagged.alltags-notlatest", TAG, &[("package", "zlib".into())]);
    tagged(
        "listTagged.builds-imported-null-task",
        TAG,
        &[("package", "bash".into()), latest.clone()],
    );
    let package = [latest.clone(), ("package", "zlib".into()), inherit.clone()];
    tagged("listTagged.package", BUILD_TAG, &package);
    let none = [latest.clone(), ("package", "nosuchpackage".into()), inherit.clone()];
    tagged("listTagged.package-none", BUILD_TAG, &none);
    let ready = vec![BUILD_TAG.into(), keywords([("state", 1.into())])];
    let repo = hub.read("getRepo.after-auto", "getRepo", ready).unwrap();
    let event = Value::from(number(&repo, "create_event"));
    for name in ["listTagged.event-old", "listTagged.event-repo1"] {
        tagged(name, BUILD_TAG, &[latest.clone(), inherit.clone(), ("event", event.clone())]);
    }
    let at = with(&[("event", event)]);
    hub.read("getTagGroups.event", "getTagGroups", vec![BUILD_TAG.into(), at]);
    let blocked = with(&[("incl_blocked", true.into())]);
    hub.read("getTagGroups.blocked-incl", "getTagGroups", vec![BUILD_TAG.into(), blocked]);
    hub.read("getBuild.imported", "getBuild", vec!["bash-5.2.37-1.by2".into()]);
    hub.read("getBuildConfig.multiarch", "getBuildConfig", vec![BUILD_TAG.into()]);
    hub.read("getRPMDeps.all", "getRPMDeps", vec![zlib()]);
    hub.read("getRPMDeps.require", "getRPMDeps", vec![zlib(), 0.into()]);
    let headers = |name: &str, rpm: Value, headers: &[&str]| {
        let headers = Value::from(headers.to_vec());
        let asked = with(&[("rpmID", rpm), ("headers", headers)]);
        hub.read(name, "getRPMHeaders", vec![asked])
    };
    let arches = ["BUILDARCHS", "EXCLUDEARCH", "EXCLUSIVEARCH"];
    headers("getRPMHeaders.notx86", zlib(), &arches);
    headers("getRPMHeaders.java-baz", source("meson", "1.5.2", "1.by2"), &arches);
    headers("getRPMHeaders.badheader", zlib(), &["NOSUCHHDR"]);
    let more =
        ["NAME", "EPOCH", "SUMMARY", "REQUIRENAME", "REQUIREFLAGS", "REQUIREVERSION", "SIZE"];
    headers("getRPMHeaders.more", zlib(), &more);
    let build = hub.ask("getBuild", vec!["zlib-2.1.7-3.by2".into()]).unwrap();
    let rpms = with(&[("buildID", number(&build, "id").into())]);
    hub.read("listRPMs.int64-size", "listRPMs", vec![rpms]);
    for (name, arches) in [
        ("listHosts.loaded", vec!["x86_64"]),
        ("listHosts.multi", vec!["x86_64", "aarch64", "s390x"]),
    ] {
        let enabled = with(&[("enabled", true.into())]);
        hub.read(name, "listHosts", vec![Value::from(arches), 1.into(), enabled]);
    }
    let methods = hub.read("system.listMethods", "system.listMethods", vec![]).unwrap();
    // No method that the real hub does not have.
    let theirs = captured("system.listMethods").unwrap();
    let special = ["echo", "login", "multiCall", "sslLogin", "system.multicall"];
    for method in methods.as_array().unwrap() {
        let known = theirs.as_array().unwrap().contains(method)
            || special.contains(&method.as_str().unwrap());
        assert!(known, "{method:?}");
    }
    hub.read("fault.internal-1e", "getTaskInfo", vec![i64::MAX.into()]);
    hub.read("fault.internal-error-1", "getTaskInfo", vec![1_099_511_627_776_i64.into()]);
    hub.sim.set_offline(Some("rig outage test"));
    hub.read("offline", "getAPIVersion", vec![]);
    hub.read("offline.client", "getAPIVersion", vec![]);
    hub.sim.set_offline(None);
}

fn builds(hub: &Hub) {
    let koschei = User::of(hub, "koschei");
    let alenka = User::of(hub, "alenka");
    let repo = hub.sim.latest_repo(BUILD_TAG).unwrap();
    let of_repo = |repo: i64, more: &[(&str, Value)]| {
        let mut all = vec![("repo_id", Value::from(repo))];
        all.extend_from_slice(more);
        scratch(&all)
    };
    let priority = |value: i64| keywords([("priority", value.into())]);
    let nothing = || keywords([]);
    let target = || Value::from(TAG);

    // Refused at once, and those that fail before anything is built.
    let negative = vec![ZLIB.into(), target(), scratch(&[]), priority(-5)];
    koschei.call("build.negative-priority", "build", negative);
    koschei.call("build.src-not-string", "build", vec![5.into(), target(), scratch(&[])]);
    let gone = hub.sim.stuck_repo(BUILD_TAG).unwrap();
    hub.sim.delete_repo(gone);
    let other = hub.sim.latest_repo("buyan1-build").unwrap();
    let submissions: [(&str, &str, &str, Value, Value, Value); 8] = [
        (
            "build.badtarget",
            "build-badtarget",
            ZLIB,
            "nosuchtarget".into(),
            scratch(&[]),
            priority(30),
        ),
        ("build.badrepo", "build-norepo", ZLIB, Value::Nil, of_repo(999_999, &[]), priority(30)),
        ("build.deleted-repo", "build-deletedrepo", ZLIB, target(), of_repo(gone, &[]), nothing()),
        (
            "build.repo-target-mismatch",
            "build-mismatch",
            ZLIB,
            target(),
            of_repo(other, &[]),
            nothing(),
        ),
        (
            "build.override-nonscratch",
            "build-override",
            ZLIB,
            target(),
            members([("arch_override", "x86_64".into())]),
            nothing(),
        ),
        (
            "build.noarches",
            "build-noarches",
            ZLIB,
            target(),
            of_repo(repo, &[("arch_override", "s390x".into())]),
            priority(30),
        ),
        (
            "build.nosrpm",
            "build-nosrpm",
            "../packages/none/1/1/src/none-1-1.src.rpm",
            target(),
            of_repo(repo, &[]),
            priority(30),
        ),
        (
            "build.scratch-internalfault",
            "build-fault1",
            ZLIB,
            target(),
            of_repo(repo, &[("arch_override", 5.into())]),
            priority(30),
        ),
    ];
    for (name, result, source, target, options, more) in submissions {
        let task = koschei.build(name, source, target, options, more);
        hub.build(result, task);
    }
    let name = "build.no-repo_id-permission";
    let task = alenka.build(name, ZLIB, target(), of_repo(repo, &[]), nothing());
    hub.build("build-nopolicy", task);

    // Those that succeed.
    let task = koschei.build("build.scratch", ZLIB, target(), of_repo(repo, &[]), priority(30));
    hub.build("build-ok", task);
    koschei.call("cancelTask.closed", "cancelTask", vec![task.into()]);
    hub.read("getTaskInfo.request", "getTaskInfo", vec![task.into(), with_request()]);
    hub.read("getTaskChildren.norequest", "getTaskChildren", vec![task.into()]);
    hub.read("getTaskResult.build-closed", "getTaskResult", vec![task.into()]);
    let both = [("arch_override", "x86_64 aarch64".into())];
    let task = koschei.build("build.multiarch", ZLIB, target(), of_repo(repo, &both), priority(5));
    hub.build("build-multiarch", task);
    let task = koschei.build("build.no-priority", ZLIB, target(), of_repo(repo, &[]), nothing());
    hub.build("build-prio0", task);
    let one = [("arch_override", "x86_64".into())];
    let task = koschei.build(
        "build.scratch-repo_id-notarget",
        ZLIB,
        Value::Nil,
        of_repo(repo, &one),
        priority(30),
    );
    hub.build("build-repo_id", task);
    let task =
        koschei.build("build.scratch-noarch", MESON, target(), of_repo(repo, &[]), priority(30));
    hub.build("build-noarch", task);

    // Those whose parts fail.
    hub.sim.hold_builds(true);
    let failed = |status: i64, log: &str| {
        let text = format!(
            "error building package (arch x86_64), mock exited with status {status}; see {log}"
        );
        Ending::Fault(1005, text + " for more information")
    };
    for (name, result, ending) in [
        ("build.scratch-failbuild", "build-fail", failed(1, "build.log or root.log")),
        ("build.scratch-missingdep", "build-missing", failed(30, "root.log")),
    ] {
        let task = koschei.build(name, ZLIB, target(), of_repo(repo, &one), priority(30));
        hub.sim.finish_task(hub.child(task, "rebuildSRPM"), Ending::Natural);
        hub.sim.finish_task(hub.child(task, "buildArch"), ending);
        hub.build(result, task);
        hub.read("getTaskInfo.failed", "getTaskInfo", vec![task.into()]);
    }
    let task = koschei.ask("build", vec![ZLIB.into(), target(), of_repo(repo, &one)]).unwrap();
    let task = task.as_int().unwrap();
    let text = "could not init mock buildroot, mock exited with status 1; see build.log or root.log for more \
                information";
    hub.sim.finish_task(hub.child(task, "rebuildSRPM"), Ending::Fault(1012, text.to_owned()));
    hub.finished(task);
    hub.read("getTaskResult.failed-buildrooterror", "getTaskResult", vec![task.into()]);
    let quiet = keywords([("raise_fault", false.into())]);
    hub.read("getTaskResult.failed-noraise", "getTaskResult", vec![task.into(), quiet]);

    // One that is cancelled while it runs.
    let task =
        koschei.build("build.scratch-slow", ZLIB, target(), of_repo(repo, &one), priority(30));
    hub.sim.finish_task(hub.child(task, "rebuildSRPM"), Ending::Natural);
    let part = hub.child(task, "buildArch");
    hub.read("getTaskInfo.open", "getTaskInfo", vec![task.into(), with_request()]);
    hub.read("getTaskChildren.open", "getTaskChildren", vec![task.into(), with_request()]);
    hub.read("getTaskResult.open", "getTaskResult", vec![task.into()]);
    alenka.call("cancelTask.notowner", "cancelTask", vec![task.into()]);
    koschei.call("cancelTask.open", "cancelTask", vec![task.into()]);
    assert_eq!(hub.sim.task_state(part), Some(3), "its parts are cancelled, too");
    hub.build("build-slow", task);
    hub.read("getTaskInfo.canceled", "getTaskInfo", vec![task.into()]);
    hub.read("getTaskResult.canceled", "getTaskResult", vec![task.into()]);
    koschei.call("cancelTask.repeat", "cancelTask", vec![task.into()]);
    hub.sim.hold_builds(false);

    // Repos that are expired or not there.
    hub.sim.expire_repo(repo);
    let task = koschei.build("build.expired-repo", ZLIB, target(), of_repo(repo, &[]), nothing());
    hub.build("build-expiredrepo", task);
    hub.read("repoInfo.expired", "repoInfo", vec![repo.into()]);
    hub.sim.delete_repo(repo);
    let task = koschei.build("build.scratch-waitrepo", ZLIB, target(), scratch(&[]), priority(30));
    hub.build("build-waitrepo", task);
}

fn states_of_tasks(hub: &Hub) {
    let koschei = User::of(hub, "koschei");
    // Time stands still, so the task is as it was asked for.
    let task = koschei.ask("build", vec![ZLIB.into(), TAG.into(), scratch(&[])]).unwrap();
    let task = task.as_int().unwrap();
    hub.read("getTaskInfo.free-request", "getTaskInfo", vec![task.into(), with_request()]);
    hub.read("getTaskResult.unfinished", "getTaskResult", vec![task.into()]);
    hub.read("getTaskChildren.none-yet", "getTaskChildren", vec![task.into(), with_request()]);
    let part = || hub.children(task).iter().find(|part| number(part, "state") == 4).cloned();
    hub.until("a part that a builder was given", || part().is_some());
    let part = number(&part().unwrap(), "id");
    hub.read("getTaskInfo.assigned", "getTaskInfo", vec![part.into()]);
    koschei.call("cancelTask", "cancelTask", vec![task.into()]);
}

fn changes(hub: &Hub) {
    let admin = User::of(hub, "kojiadmin");
    let koschei = User::of(hub, "koschei");
    let alenka = User::of(hub, "alenka");
    koschei.call("fault.createtag-noperm", "createTag", vec!["xx".into()]);
    alenka.call("fault.newrepo-noperm", "newRepo", vec![BUILD_TAG.into()]);
    admin.call("fault.newrepo-nosuchtag", "newRepo", vec!["nosuchtag".into()]);
    admin.call("fault.tag-error", "tagBuildBypass", vec![TAG.into(), "zlib-2.1.7-3.by2".into()]);

    let arches = || keywords([("arches", "x86_64".into())]);
    admin.call("createTag", "createTag", vec!["second".into(), arches()]);
    admin.call("createTag.build", "createTag", vec!["second-build".into(), arches()]);
    admin.call("createTag.exists", "createTag", vec![TAG.into()]);
    admin.ask("createTag", vec!["third".into()]).unwrap();
    hub.read("getTag.noarches-nil", "getTag", vec!["third".into()]);
    let extra = keywords([("extra", members([("repo.auto", true.into())]))]);
    admin.ask("createTag", vec!["fourth".into(), extra]).unwrap();
    hub.read("getBuildConfig.with-extra", "getBuildConfig", vec!["fourth".into()]);
    let target = vec!["second".into(), "second-build".into(), "second".into()];
    admin.call("createBuildTarget", "createBuildTarget", target);
    admin.call("groupListAdd", "groupListAdd", vec!["second-build".into(), "build".into()]);
    let mandatory = || keywords([("type", "mandatory".into()), ("blocked", false.into())]);
    let add = vec!["second-build".into(), "build".into(), "bash".into(), mandatory()];
    admin.call("groupPackageListAdd", "groupPackageListAdd", add);
    let more = vec![
        entry("groupListAdd", vec!["second-build".into(), "srpm-build".into()]),
        entry(
            "groupPackageListAdd",
            vec!["second-build".into(), "srpm-build".into(), "bash".into(), mandatory()],
        ),
    ];
    admin.call("multicall.groups", "multiCall", vec![Value::Array(more)]);

    hub.read("getExternalRepo.missing", "getExternalRepo", vec!["outside".into()]);
    hub.read("getTagExternalRepos.empty", "getTagExternalRepos", vec!["second-build".into()]);
    let repo = vec!["outside".into(), "http://127.0.0.1:8080/kojifiles/repos/x/$arch".into()];
    let repo = admin.call("createExternalRepo", "createExternalRepo", repo).unwrap();
    assert!(text(&repo, "url").ends_with('/'));
    hub.read("getExternalRepo", "getExternalRepo", vec!["outside".into()]);
    let add = || vec!["second-build".into(), "outside".into(), 0.into()];
    admin.call("addExternalRepoToTag", "addExternalRepoToTag", add());
    // As seen at a real hub, after these captures.
    let again = admin.ask("addExternalRepoToTag", add()).unwrap_err();
    let expected = "tag second-build already associated with external repo outside";
    assert_eq!((again.code, again.text.as_str()), (1000, expected));
    hub.read("getTagExternalRepos", "getTagExternalRepos", vec!["second-build".into()]);
    let remove = || vec!["second-build".into(), number(&repo, "id").into()];
    admin.call("removeExternalRepoFromTag", "removeExternalRepoFromTag", remove());
    let again = admin.ask("removeExternalRepoFromTag", remove()).unwrap_err();
    let expected = "external repo outside not associated with tag second-build";
    assert_eq!((again.code, again.text.as_str()), (1000, expected));
    admin.call("addExternalRepoToTag.again", "addExternalRepoToTag", add());

    let kojira = User::of(hub, "kojira");
    let task = kojira.call("newRepo", "newRepo", vec![BUILD_TAG.into()]).unwrap().as_int().unwrap();
    assert_eq!(hub.finished(task), 2);
    for name in ["newRepo-request", "newRepo-sec"] {
        hub.read(&format!("getTaskInfo.{name}"), "getTaskInfo", vec![task.into(), with_request()]);
    }
    for name in ["newRepo-createrepo", "newRepo-sec"] {
        let parts = vec![task.into(), with_request()];
        hub.read(&format!("getTaskChildren.{name}"), "getTaskChildren", parts);
    }
    let made = hub.read("getTaskResult.newRepo-sec", "getTaskResult", vec![task.into()]).unwrap();
    let repo = made.as_array().unwrap()[0].clone();
    kojira.call("repoExpire", "repoExpire", vec![repo.clone()]);
    kojira.call("repo.setState-deleted", "repo.setState", vec![repo, 3.into()]);
}

fn many_calls(hub: &Hub) {
    let koschei = User::of(hub, "koschei");
    let many = |name: &str, calls: Vec<Value>| {
        hub.read(name, "multiCall", vec![Value::Array(calls)]).unwrap()
    };
    many("multicall.empty", vec![]);
    let version = || Value::Array(vec![entry("getAPIVersion", vec![])]);
    let nested = many("multicall.nested", vec![entry("multiCall", vec![version()])]);
    assert_eq!(nested, captured("multicall.nested").unwrap());
    hub.read("system.multicall", "system.multicall", vec![version()]);
    let sources = [zlib(), source("meson", "1.5.2", "1.by2"), source("nano", "8.2", "1.by2")];
    let deps = sources.map(|rpm| entry("getRPMDeps", vec![rpm, 0.into()]));
    many("multicall.getRPMDeps", deps.to_vec());
    let finished = koschei.ask("build", vec![ZLIB.into(), TAG.into(), scratch(&[])]).unwrap();
    hub.finished(finished.as_int().unwrap());
    let parts = |task: Value| entry("getTaskChildren", vec![task, with_request()]);
    let first = Value::from(hub.sim.tasks_of("build")[0]);
    let calls = vec![parts(finished.clone()), parts(first.clone()), parts(999_999.into())];
    many("multicall.getTaskChildren-request", calls);
    let info = |task: Value| entry("getTaskInfo", vec![task]);
    let calls = vec![info(finished), info(first), info(999_999.into()), info(1.into())];
    many("multicall.getTaskInfo", calls);
    let numbers = (1..=6).map(Value::from).collect();
    let mixed = many(
        "multicall.with-fault",
        vec![
            entry("getTag", vec![TAG.into()]),
            entry("getBuildConfig", vec!["nosuchtag".into()]),
            entry("noSuchMethod", vec![1.into()]),
            entry("getTag", numbers),
            entry("getTaskInfo", vec![1_099_511_627_776_i64.into()]),
        ],
    );
    // Each entry for itself: which are refused, and with what.
    let theirs = captured("multicall.with-fault").unwrap();
    let pairs = theirs.as_array().unwrap().iter().zip(mixed.as_array().unwrap());
    for (theirs, ours) in pairs {
        assert_eq!(theirs.get("faultCode"), ours.get("faultCode"));
        assert_eq!(theirs.get("faultString"), ours.get("faultString"));
    }
}

fn logins(hub: &Hub) {
    let password = || vec![Value::from("koschei"), "koschei".into()];
    let options = || {
        let nothing = [("opts", Value::Nil), ("renew", false.into()), ("exclusive", false.into())];
        keywords(nothing)
    };
    let mut with_options = password();
    with_options.push(options());
    hub.read("login.password", "login", with_options);
    // Logins of other kinds are answered alike.
    for name in
        ["login.minimal", "login.ssl", "login.ssl-8444", "login.ssl-proxyuser", "login.gssapi"]
    {
        hub.read(name, "login", password());
    }
    let user = User::of(hub, "koschei");
    for name in [
        "getLoggedInUser.password",
        "login.ssl.getLoggedInUser",
        "login.ssl-8444.getLoggedInUser",
        "login.ssl-proxyuser.me",
    ] {
        user.call(name, "getLoggedInUser", vec![]);
    }
    user.call("login.while-logged-in", "login", password());
    for name in ["logout", "login.ssl.logout", "login.ssl-8444.logout"] {
        User::of(hub, "koschei").call(name, "logout", vec![]);
    }
    user.call("exclusiveSession", "exclusiveSession", vec![keywords([("force", false.into())])]);
    let other = User::of(hub, "koschei");
    other.call("fault.auth-lock", "getLoggedInUser", vec![]);
    user.ask("logout", vec![]).unwrap();
    other.call("getLoggedInUser.second", "getLoggedInUser", vec![]);
}

fn sessions(hub: &Hub) {
    let address = hub.address;
    let first = login(address, "koschei").unwrap();
    let me = |name: &str, login: &Login, number: i64| {
        let answer = call(address, Some((login, number)), "getLoggedInUser", vec![]).unwrap();
        hub.same(name, answer)
    };
    let submit = |name: &str, number: i64| {
        let params = vec![ZLIB.into(), TAG.into(), scratch(&[])];
        hub.same(name, call(address, Some((&first, number)), "build", params).unwrap())
    };
    me("session.readonly-callnum", &first, 5);
    me("session.readonly-callnum-repeat", &first, 5);
    let before = hub.sim.tasks_of("build").len();
    submit("session.commit-call", 100);
    submit("session.retry-same-callnum", 100);
    assert_eq!(hub.sim.tasks_of("build").len(), before + 1, "one build for one number");
    me("session.lower-callnum", &first, 99);
    me("session.bad-key", &Login { key: "1-wrong".to_owned(), ..first.clone() }, 101);
    me("session.bad-id", &Login { id: 999_999, ..first.clone() }, 101);

    let raw = |name: &str, path: &str, extra: &str| {
        let body = xmlrpc::encode_call(&MethodCall::new("getLoggedInUser", vec![]));
        let head = format!("POST {path} HTTP/1.1\r\nContent-Type: text/xml{extra}");
        let answer = http(address, &head, &body).unwrap();
        hub.same(name, xmlrpc::decode_response(&answer.body, Limits::RESPONSE).unwrap());
    };
    let Login { id, key } = &first;
    let headers = |id: &str, rest: &str| {
        format!("\r\nKoji-Session-Id: {id}\r\nKoji-Session-Key: {key}{rest}")
    };
    raw("session.no-callnum", "/kojihub", &headers(&id.to_string(), ""));
    let odd = headers(&id.to_string(), "\r\nKoji-Session-Callnum: abc");
    raw("session.bad-callnum", "/kojihub", &odd);
    raw("session.nonnumeric-id", "/kojihub", &headers("abc", ""));
    raw("session.only-id-in-query", "/kojihub?session-id=5", "");
    let query = format!("/kojihub?session-id={id}&session-key={key}&callnum=101");
    raw("session.url-auth", &query, "");

    call(address, Some((&first, 102)), "logout", vec![]).unwrap().unwrap();
    me("session.after-logout", &first, 103);
}

fn renewals(hub: &Hub) {
    let address = hub.address;
    let me = |name: &str, login: &Login, number: i64| {
        let answer = call(address, Some((login, number)), "getLoggedInUser", vec![]).unwrap();
        hub.same(name, answer)
    };
    let renewed = |name: &str, old: &Login, number: i64| {
        let renew =
            keywords([("opts", Value::Nil), ("renew", true.into()), ("exclusive", false.into())]);
        let params = vec!["koschei".into(), "koschei".into(), renew];
        let answer = call(address, Some((old, number)), "login", params).unwrap();
        let answer = hub.same(name, answer).unwrap();
        assert_eq!(number_of(&answer), old.id);
        Login { id: old.id, key: text(&answer, "session-key").to_owned() }
    };
    fn number_of(answer: &Value) -> i64 {
        number(answer, "session-id")
    }
    // The captures are of several sessions; each had committed a call, or not.
    for (expired, renewal, after) in [
        ("session.expired", "session.renewal.2", "session.renewal.3"),
        ("renewal.natural", "renewal.natural.2", "renewal.natural.3"),
        ("session.renewal", "session.renewal.2", "renewal.continue-callnum"),
        ("renewal.readonly-session", "renewal.readonly-session.2", "renewal.readonly-session.3"),
    ] {
        let session = login(address, "koschei").unwrap();
        if expired != "renewal.readonly-session" {
            let params = vec![ZLIB.into(), TAG.into(), scratch(&[])];
            call(address, Some((&session, 200)), "build", params).unwrap().unwrap();
        }
        hub.sim.expire_sessions("koschei");
        me(expired, &session, 201);
        let session = renewed(renewal, &session, 202);
        // Whoever begins at 0 again is out of order, unless nothing was stored.
        me(after, &session, if after == "renewal.continue-callnum" { 203 } else { 0 });
    }
}

fn plain_http(hub: &Hub) {
    let index = std::fs::read_to_string(captures().join("INDEX.tsv")).unwrap();
    for line in index.lines().filter(|line| line.starts_with("http.")) {
        let fields: Vec<&str> = line.split('\t').collect();
        let (name, status) = (fields[0], fields[3].parse::<u16>().unwrap());
        let asked = std::fs::read(captures().join(format!("{name}.request.xml")));
        let asked = match name {
            "http.too-long" => vec![b'x'; 4_194_305],
            _ => asked.unwrap(),
        };
        let verb = if name == "http.get" { "GET" } else { "POST" };
        let kind = match name {
            "http.no-content-type" => "",
            _ => "\r\nContent-Type: text/xml",
        };
        let head = format!("{verb} /kojihub HTTP/1.1{kind}");
        let ours = http(hub.address, &head, &asked).unwrap();
        let theirs = std::fs::read(captures().join(format!("{name}.response.xml"))).unwrap();
        assert_eq!(ours.status, status, "{name}");
        hub.held.borrow_mut().insert(name.to_owned());
        if status == 200 {
            let decoded = |body: &[u8]| xmlrpc::decode_response(body, Limits::RESPONSE).unwrap();
            assert_eq!(decoded(&ours.body), decoded(&theirs), "{name}");
        } else {
            // What follows is the words of Python's parser.
            let beginning = |body: &[u8]| {
                let text = String::from_utf8_lossy(body);
                text.split_once(": ").map_or(text.to_string(), |(first, _)| first.to_owned())
            };
            assert_eq!(beginning(&ours.body), beginning(&theirs), "{name}");
        }
    }
    // Sent there as a file of its own kind.
    let echo = std::fs::read(captures().join("echo.types.request.xml")).unwrap();
    let answer =
        http(hub.address, "POST /kojihub HTTP/1.1\r\nContent-Type: text/xml", &echo).unwrap();
    let decoded = |body: &[u8]| xmlrpc::decode_response(body, Limits::RESPONSE).unwrap();
    let theirs = std::fs::read(captures().join("echo.types.response.xml")).unwrap();
    assert_eq!(decoded(&answer.body), decoded(&theirs));
    hub.held.borrow_mut().insert("echo.types".to_owned());
    if !hub.held.borrow().contains("http.too-long") {
        let long = vec![b'x'; 4_194_305];
        let answer = http(hub.address, "POST /kojihub HTTP/1.1", &long).unwrap();
        let theirs = std::fs::read(captures().join("http.too-long.response.xml")).unwrap();
        assert_eq!((answer.status, answer.body), (400, theirs));
        hub.held.borrow_mut().insert("http.too-long".to_owned());
    }
}
