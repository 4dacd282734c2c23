//! The simulated hub answers in the same shapes as the real one: for every captured call the same members, of the same
//! types, with the same nils and faults.
//!
//! The captures are those of `data/koji-captures`, found by the variable KOSCHEI_DATA or beside the repository.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "functions that tests share say what they expect, as the test does"
)]

mod common;

use std::net::SocketAddr;

use common::shapes::{captured, compare};
use common::{call, keywords, login, members};
use koji::xmlrpc::{Response, Value};
use kojisim::{Options, Push, Sim};

/// The comparison itself notices what it is for.
#[test]
fn another_shape_is_noticed() {
    let real = || {
        Value::Array(vec![members([("id", 1.into()), ("name", "a".into()), ("epoch", Value::Nil)])])
    };
    compare(
        "same",
        &real(),
        &Value::Array(vec![members([("id", 2.into()), ("name", "b".into()), ("epoch", 3.into())])]),
    );
    let others = [
        members([("id", 1.into()), ("name", "a".into())]),
        members([("id", 1.into()), ("name", Value::Nil), ("epoch", Value::Nil)]),
        members([("id", "1".into()), ("name", "a".into()), ("epoch", Value::Nil)]),
        members([
            ("id", 1.into()),
            ("name", "a".into()),
            ("epoch", Value::Nil),
            ("more", 1.into()),
        ]),
    ];
    for other in others {
        let ours = Value::Array(vec![other]);
        assert!(std::panic::catch_unwind(|| compare("other", &real(), &ours)).is_err(), "{ours:?}");
    }
}

struct Hub {
    sim: Sim,
    address: SocketAddr,
    _directory: tempfile::TempDir,
}

async fn hub() -> Hub {
    let directory = tempfile::tempdir().unwrap();
    let sim = Sim::start(Options::for_tests(directory.path())).await.unwrap();
    Hub { address: sim.address(), sim, _directory: directory }
}

impl Hub {
    async fn call(&self, method: &str, params: Vec<Value>) -> Response {
        let (address, method) = (self.address, method.to_owned());
        tokio::task::spawn_blocking(move || call(address, None, &method, params).unwrap())
            .await
            .unwrap()
    }

    async fn same(&self, name: &str, method: &str, params: Vec<Value>) -> Value {
        let ours = self.call(method, params).await.unwrap();
        compare(name, &captured(name).unwrap(), &ours);
        ours
    }

    /// The same fault, but for the names in it.
    async fn same_fault(
        &self,
        name: &str,
        method: &str,
        params: Vec<Value>,
        names: &[(&str, &str)],
    ) {
        let theirs = captured(name).unwrap_err();
        let ours = self.call(method, params).await.unwrap_err();
        let text =
            names.iter().fold(theirs.text, |text, (theirs, ours)| text.replace(theirs, ours));
        assert_eq!((ours.code, ours.text), (theirs.code, text), "{name}");
    }
}

fn number(value: &Value, name: &str) -> i64 {
    value
        .get(name)
        .and_then(Value::as_int)
        .unwrap_or_else(|| panic!("{name} is not a number in {value:?}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_have_the_shapes_of_the_real_hub() {
    let hub = hub().await;
    let built = hub.sim.push(&Push::of("xz")).unwrap();
    assert_eq!(hub.sim.wait_for_task(built).await, Some(2));

    hub.same(
        "listPackages",
        "listPackages",
        vec![keywords([("tagID", "buyan2".into()), ("inherited", true.into())])],
    )
    .await;
    let latest = [("latest", true.into()), ("inherit", true.into())];
    let tagged = hub
        .same("listTagged.latest-inherit", "listTagged", vec!["buyan2".into(), keywords(latest)])
        .await;
    let builds = tagged.as_array().unwrap();
    let xz = builds
        .iter()
        .find(|build| build.get("name").and_then(Value::as_str) == Some("xz"))
        .unwrap();
    assert_eq!(number(xz, "task_id"), built);
    let id = number(xz, "build_id");
    let nvr = xz.get("nvr").unwrap().clone();
    hub.same("getBuild", "getBuild", vec![id.into()]).await;
    hub.same("getBuild.missing", "getBuild", vec!["nosuch-1-1".into()]).await;
    assert_eq!(number(&hub.call("getBuild", vec![nvr]).await.unwrap(), "id"), id);
    hub.same(
        "listBuilds.zlib",
        "listBuilds",
        vec![keywords([("packageID", number(xz, "package_id").into())])],
    )
    .await;
    hub.same(
        "listRPMs.src",
        "listRPMs",
        vec![keywords([("buildID", id.into()), ("arches", "src".into())])],
    )
    .await;
    let rpms = hub.same("listRPMs.all", "listRPMs", vec![keywords([("buildID", id.into())])]).await;
    hub.same("listRPMs.missing", "listRPMs", vec![keywords([("buildID", 999_999.into())])]).await;
    let rpm = number(&rpms.as_array().unwrap()[0], "id");
    hub.same("getRPMDeps.id", "getRPMDeps", vec![rpm.into(), 0.into()]).await;
    let nvra = |name: &str, version: &str, release: &str, arch: &str| {
        members([
            ("name", name.into()),
            ("version", version.into()),
            ("release", release.into()),
            ("epoch", Value::Nil),
            ("arch", arch.into()),
        ])
    };
    hub.same("getRPMDeps.bin-all", "getRPMDeps", vec![nvra("nano", "8.2", "1.by2", "x86_64")])
        .await;
    hub.same(
        "getRPMDeps.missing",
        "getRPMDeps",
        vec![nvra("nano", "99", "1.by2", "src"), 0.into()],
    )
    .await;
    let headers = Value::from(vec!["BUILDARCHS", "EXCLUDEARCH", "EXCLUSIVEARCH"]);
    for (capture, name, version, release) in [
        ("getRPMHeaders.libfoo", "nano", "8.2", "1.by2"),
        ("getRPMHeaders.python-bar", "meson", "1.5.2", "1.by2"),
        ("getRPMHeaders.onlys390", "syslinux", "6.04", "0.27.by2"),
        ("getRPMHeaders.missing", "nano", "99", "1.by2"),
    ] {
        let rpm = nvra(name, version, release, "src");
        hub.same(
            capture,
            "getRPMHeaders",
            vec![keywords([("rpmID", rpm), ("headers", headers.clone())])],
        )
        .await;
    }
    hub.same("getTagGroups.noevent", "getTagGroups", vec!["buyan2-build".into()]).await;
    hub.same("getTagGroups.empty", "getTagGroups", vec!["buyan2".into()]).await;
    hub.same("getBuildConfig", "getBuildConfig", vec!["buyan2-build".into()]).await;
    hub.same("getBuildConfig.noarches", "getBuildConfig", vec!["buyan2".into()]).await;
    hub.same("getTag", "getTag", vec!["buyan2-build".into()]).await;
    hub.same("getTag.missing", "getTag", vec!["nosuchtag".into()]).await;
    hub.same("getBuildTarget", "getBuildTarget", vec!["buyan2".into()]).await;
    hub.same("getBuildTarget.missing", "getBuildTarget", vec!["nosuchtarget".into()]).await;
    hub.same("getPackageConfig", "getPackageConfig", vec!["buyan2".into(), "zlib".into()]).await;
    let ready = || keywords([("state", 1.into())]);
    let repo = hub.same("getRepo.ready", "getRepo", vec!["buyan2-build".into(), ready()]).await;
    hub.same("getRepo.none", "getRepo", vec!["buyan2".into(), ready()]).await;
    hub.same("repoInfo", "repoInfo", vec![number(&repo, "id").into()]).await;
    hub.same("repoInfo.missing", "repoInfo", vec![999_999.into()]).await;
    hub.same("repo.get", "repo.get", vec!["buyan2-build".into()]).await;
    hub.sim.delete_repo(number(&repo, "id"));
    let deleted = hub.same("repoInfo.deleted", "repoInfo", vec![number(&repo, "id").into()]).await;
    assert_eq!(number(&deleted, "state"), 3);
    hub.same(
        "getTaskInfo.closed",
        "getTaskInfo",
        vec![built.into(), keywords([("request", true.into())])],
    )
    .await;
    hub.same("getTaskInfo.missing", "getTaskInfo", vec![999_999.into()]).await;
    hub.same("getTaskInfo.list", "getTaskInfo", vec![Value::from(vec![built, 1])]).await;
    let children = hub
        .same(
            "getTaskChildren.request",
            "getTaskChildren",
            vec![built.into(), keywords([("request", true.into())])],
        )
        .await;
    hub.same("getTaskChildren.missing", "getTaskChildren", vec![999_999.into()]).await;
    for child in children.as_array().unwrap() {
        let capture = match child.get("method").and_then(Value::as_str).unwrap() {
            "buildArch" => "getTaskResult.buildArch",
            "buildSRPMFromSCM" => "getTaskResult.rebuildSRPM",
            "tagBuild" => "getTaskResult.tagBuild",
            other => panic!("{other} is no child of a build"),
        };
        hub.same(capture, "getTaskResult", vec![number(child, "id").into()]).await;
    }
    let repo_task = number(&repo, "task_id");
    hub.same("getTaskResult.newRepo", "getTaskResult", vec![repo_task.into()]).await;
    hub.same(
        "listTasks.owner-build",
        "listTasks",
        vec![
            members([("method", "build".into()), ("decode", true.into())]),
            members([("order", "-id".into()), ("limit", 2.into())]),
        ],
    )
    .await;
    hub.same("listHosts.all", "listHosts", vec![]).await;
    hub.same("getChannel", "getChannel", vec!["default".into()]).await;
    hub.same("getChannel.missing", "getChannel", vec!["nosuchchannel".into()]).await;
    hub.same("getUser", "getUser", vec!["koschei".into()]).await;
    hub.same("getUser.missing", "getUser", vec!["nobody".into()]).await;
    hub.same("getEvent.first", "getEvent", vec![1.into()]).await;
    hub.same("getLastEvent", "getLastEvent", vec![]).await;
    hub.same("getAPIVersion", "getAPIVersion", vec![]).await;
    hub.same("getKojiVersion", "getKojiVersion", vec![]).await;
    hub.same("getLoggedInUser.anonymous", "getLoggedInUser", vec![]).await;
    hub.same(
        "tagHistory",
        "queryHistory",
        vec![keywords([("tag", "buyan2".into()), ("package", "zlib".into())])],
    )
    .await;
    hub.sim.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_are_those_of_the_real_hub() {
    let hub = hub().await;
    let at = |event: Value| keywords([("event", event)]);
    hub.same_fault("listTagged.nosuchtag", "listTagged", vec!["nosuchtag".into()], &[]).await;
    let before = [("f40-build", "buyan2-build")];
    hub.same_fault(
        "listTagged.event-beforecreate",
        "listTagged",
        vec!["buyan2-build".into(), at(0.into())],
        &before,
    )
    .await;
    hub.same_fault("getTagGroups.nosuchtag", "getTagGroups", vec!["nosuchtag".into()], &[]).await;
    hub.same_fault("getBuildConfig.nosuchtag", "getBuildConfig", vec!["nosuchtag".into()], &[])
        .await;
    hub.same_fault("getRepo.nosuchtag", "getRepo", vec!["nosuchtag".into()], &[]).await;
    hub.same_fault("fault.internal-1a", "listTagged", vec!["buyan2".into(), at("abc".into())], &[])
        .await;
    let strange = members([("a", 1.into())]);
    hub.same_fault("fault.internal-1b", "getTagGroups", vec!["buyan2".into(), at(strange)], &[])
        .await;
    let tag = keywords([("tagID", 4_611_686_018_427_387_904_i64.into())]);
    hub.same_fault("fault.internal-1c", "listPackages", vec![tag], &[]).await;
    hub.same_fault("fault.internal-1d", "getTaskChildren", vec!["abc".into()], &[]).await;
    hub.same_fault("fault.internal-1f", "getEvent", vec![1_099_511_627_776_i64.into()], &[]).await;
    hub.same_fault("fault.invalid-method", "noSuchMethod", vec![], &[]).await;
    hub.same_fault("fault.parameter-error", "getTag", vec![], &[]).await;
    let odd = keywords([("nosuchkw", 1.into())]);
    hub.same_fault("fault.parameter-error-kw", "getTag", vec!["buyan2".into(), odd], &[]).await;
    hub.same_fault("echo.kwargs-error", "echo", vec![1.into(), keywords([("foo", 2.into())])], &[])
        .await;
    hub.same_fault(
        "listHosts.emptyarches",
        "listHosts",
        vec![Value::Array(Vec::new()), 1.into()],
        &[],
    )
    .await;
    let strict = keywords([("strict", true.into())]);
    hub.same_fault("getTaskInfo.missing-strict", "getTaskInfo", vec![999_999.into(), strict], &[])
        .await;
    hub.same_fault("getTaskResult.missing", "getTaskResult", vec![999_999.into()], &[]).await;
    hub.same_fault("cancelTask.missing", "cancelTask", vec![999_999.into()], &[]).await;
    hub.same_fault("fault.cancel-not-logged-in", "cancelTask", vec![1.into()], &[]).await;
    hub.same_fault("fault.not-logged-in", "build", vec!["x.src.rpm".into(), "buyan2".into()], &[])
        .await;
    hub.same_fault("login.bad-password", "login", vec!["koschei".into(), "wrong".into()], &[])
        .await;
    let blocked = [("blockeduser", "varvara")];
    hub.same_fault(
        "login.blocked-user",
        "login",
        vec!["varvara".into(), "varvara".into()],
        &blocked,
    )
    .await;
    hub.same_fault("login.ssl-over-http", "sslLogin", vec![Value::Nil], &[]).await;
    hub.sim.stop().await;
}

/// The capture, the parameters, and which names stand where the capture has others.
type Submission<'a> = (&'a str, Vec<Value>, Vec<(&'a str, &'a str)>);

/// Submits builds that fail and compares the faults of their tasks.
#[tokio::test(flavor = "multi_thread")]
async fn tasks_fail_as_on_the_real_hub() {
    let hub = hub().await;
    let address = hub.address;
    let login =
        tokio::task::spawn_blocking(move || login(address, "koschei").unwrap()).await.unwrap();
    let repo = hub.sim.latest_repo("buyan2-build").unwrap();
    let other = hub.sim.latest_repo("buyan1-build").unwrap();
    let gone = hub.sim.stuck_repo("buyan2-build").unwrap();
    hub.sim.delete_repo(gone);
    let zlib = "../packages/zlib/2.1.7/3.by2/src/zlib-2.1.7-3.by2.src.rpm";
    let scratch = |more: &[(&str, Value)]| {
        let mut opts = koji::xmlrpc::Struct::new().with("scratch", true);
        for (name, value) in more {
            opts.insert(*name, value.clone());
        }
        Value::Struct(opts)
    };
    let real = members([("arch_override", "x86_64".into())]);
    let gone_name = format!("Bad repo: {gone} (DELETED)");
    let submissions: Vec<Submission<'_>> = vec![
        ("build-badtarget", vec![zlib.into(), "nosuchtarget".into(), scratch(&[])], vec![]),
        (
            "build-norepo",
            vec![zlib.into(), Value::Nil, scratch(&[("repo_id", 999_999.into())])],
            vec![],
        ),
        (
            "build-deletedrepo",
            vec![zlib.into(), "buyan2".into(), scratch(&[("repo_id", gone.into())])],
            vec![("Bad repo: 2 (DELETED)", &gone_name)],
        ),
        (
            "build-mismatch",
            vec![zlib.into(), "buyan2".into(), scratch(&[("repo_id", other.into())])],
            vec![("f41-build/f40-build", "buyan1-build/buyan2-build")],
        ),
        ("build-override", vec![zlib.into(), "buyan2".into(), real], vec![]),
        (
            "build-noarches",
            vec![zlib.into(), "buyan2".into(), scratch(&[("arch_override", "s390x".into())])],
            vec![],
        ),
        ("build-ok", vec![zlib.into(), Value::Nil, scratch(&[("repo_id", repo.into())])], vec![]),
    ];
    for (callnum, (name, params, names)) in (1..).zip(submissions) {
        let login = login.clone();
        let submit =
            move || call(address, Some((&login, callnum)), "build", params).unwrap().unwrap();
        let task = tokio::task::spawn_blocking(submit).await.unwrap().as_int().unwrap();
        let state = hub.sim.wait_for_task(task).await.unwrap();
        let ours = hub.call("getTaskResult", vec![task.into()]).await;
        match captured(&format!("getTaskResult.{name}")) {
            Ok(_) => assert_eq!((state, ours), (2, Ok(Value::Nil)), "{name}"),
            Err(theirs) => {
                let text = names
                    .iter()
                    .fold(theirs.text, |text, (theirs, ours)| text.replace(theirs, ours));
                let ours = ours.unwrap_err();
                assert_eq!((state, ours.code, ours.text), (5, theirs.code, text), "{name}");
            }
        }
    }

    // What cannot be installed, and what cannot be compiled.
    let missing = Push::of("zlib").build_requires(["gcc", "nonexistent-package >= 7"]);
    let broken = Push::of("nano").broken("error: no");
    for (name, push) in [("build-missing", missing), ("build-fail", broken)] {
        let task = hub.sim.push(&push).unwrap();
        assert_eq!(hub.sim.wait_for_task(task).await, Some(5));
        let theirs = captured(&format!("getTaskResult.{name}")).unwrap_err();
        let ours = hub.call("getTaskResult", vec![task.into()]).await.unwrap_err();
        let any_arch = |text: &str| {
            text.split_once("(arch ").map(|(before, after)| {
                format!("{before}{}", after.split_once(')').map_or("", |(_, rest)| rest))
            })
        };
        assert_eq!(
            (ours.code, any_arch(&ours.text)),
            (theirs.code, any_arch(&theirs.text)),
            "{name}"
        );
    }
    hub.sim.stop().await;
}
