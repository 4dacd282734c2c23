//! The typed calls against recorded traffic of a real hub: every answer that belongs to a call of ours decodes, no known
//! member changes on the way, and what we send means what the official client sends.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test says what it expects"
)]

mod captures_on_disk;

use chrono::{DateTime, Utc};
use koji::calls::{self, ListTagged, ListTasks};
use koji::types::{
    ArchHeaders, Build, BuildArchResult, BuildConfig, BuildRequest, BuildState, BuildTarget,
    Channel, DepType, ExternalRepo, GroupPackageType, Host, NewRepoResult, Nvra, RebuildSrpmResult,
    Repo, RepoState, Rpm, RpmDep, RpmIdent, Tag, TagExternalRepo, TagGroup, TagPackage,
    TaggedBuild, Task, TaskOutcome, TaskState, User,
};
use koji::xmlrpc::{
    Fault, Limits, MethodCall, Response, Struct, Value, answers, calls_of_multicall, decode_call,
    decode_response, from_value, is_multicall, to_value,
};
use koji::{Call, FaultKind};
use serde::Serialize;
use serde::de::DeserializeOwned;

use self::captures_on_disk::{Capture, captures};

/// Calls that were recorded but are none of spec/koji.md: our client has nothing typed for them.
const FOREIGN: [&str; 20] = [
    "echo",
    "exclusiveSession",
    "getAPIVersion",
    "getEvent",
    "getKojiVersion",
    "getLastEvent",
    "getPackageConfig",
    "getUser",
    "listBuilds",
    "login",
    "logout",
    "multiCall",
    "noSuchMethod",
    "queryHistory",
    "repo.setState",
    "repoExpire",
    "sslLogin",
    "system.listMethods",
    "system.multicall",
    "tagBuildBypass",
];

fn answer(capture: &Capture) -> Response {
    decode_response(&capture.response, Limits::RESPONSE).expect(&capture.name)
}

fn request(capture: &Capture) -> MethodCall {
    decode_call(&capture.request, Limits::REQUEST).expect(&capture.name)
}

fn named(name: &str) -> Capture {
    captures().into_iter().find(|capture| capture.name == name).expect(name)
}

fn typed<T: DeserializeOwned>(name: &str) -> T {
    from_value(answer(&named(name)).expect(name)).expect(name)
}

/// Decodes an answer as its call does and writes the typed result back; `None` for calls that are not ours.
fn through_types(name: &str, call: &MethodCall, value: Value) -> Option<Result<Value, String>> {
    fn through<T: DeserializeOwned + Serialize>(value: Value) -> Option<Result<Value, String>> {
        let typed = from_value::<T>(value).map_err(|problem| problem.to_string());
        Some(typed.and_then(|typed| to_value(&typed).map_err(|problem| problem.to_string())))
    }
    match call.method.as_str() {
        "listPackages" => through::<Vec<TagPackage>>(value),
        "listTagged" => through::<Vec<TaggedBuild>>(value),
        "listRPMs" => through::<Vec<Rpm>>(value),
        "getRPMDeps" => through::<Vec<RpmDep>>(value),
        "getRPMHeaders" if name == "getRPMHeaders.more" || name == "getRPMHeaders.missing" => {
            through::<Struct>(value)
        }
        "getRPMHeaders" => through::<ArchHeaders>(value),
        "getTagGroups" => through::<Vec<TagGroup>>(value),
        "getBuildConfig" => through::<BuildConfig>(value),
        "getTag" => through::<Option<Tag>>(value),
        "getBuildTarget" => through::<Option<BuildTarget>>(value),
        "getRepo" | "repoInfo" | "repo.get" => through::<Option<Repo>>(value),
        "getTaskInfo" if matches!(call.params.first(), Some(Value::Array(_))) => {
            through::<Vec<Option<Task>>>(value)
        }
        "getTaskInfo" => through::<Option<Task>>(value),
        "getTaskChildren" | "listTasks" => through::<Vec<Task>>(value),
        "getTaskResult" if name.contains("buildArch") => through::<BuildArchResult>(value),
        "getTaskResult" if name.contains("rebuildSRPM") => through::<RebuildSrpmResult>(value),
        "getTaskResult" if name.contains("newRepo") => through::<NewRepoResult>(value),
        "getTaskResult" if name.ends_with(".waitrepo") => through::<Repo>(value),
        "getTaskResult" => through::<Value>(value),
        "getBuild" => through::<Option<Build>>(value),
        "build" | "newRepo" | "createTag" => through::<i64>(value),
        "cancelTask"
        | "createBuildTarget"
        | "groupListAdd"
        | "groupPackageListAdd"
        | "removeExternalRepoFromTag"
        | "addExternalRepoToTag" => through::<()>(value),
        "listHosts" => through::<Vec<Host>>(value),
        "getChannel" => through::<Option<Channel>>(value),
        "getLoggedInUser" => through::<Option<User>>(value),
        "getTagExternalRepos" => through::<Vec<TagExternalRepo>>(value),
        "createExternalRepo" => through::<ExternalRepo>(value),
        "getExternalRepo" => through::<Option<ExternalRepo>>(value),
        method if FOREIGN.contains(&method) => None,
        method => panic!("{name}: {method} is in no list of this test"),
    }
}

/// Whether everything in `ours` is in `theirs`. Members that the hub did not send may be nil or empty in ours.
fn assert_within(ours: &Value, theirs: &Value, place: &str) {
    match (ours, theirs) {
        (Value::Struct(ours), Value::Struct(theirs)) => {
            for (name, our) in ours.iter() {
                let place = format!("{place}.{name}");
                match theirs.get(name) {
                    Some(their) => assert_within(our, their, &place),
                    None => assert!(our.is_nil(), "{place}: the hub sent nothing, ours is {our:?}"),
                }
            }
        }
        (Value::Array(ours), Value::Array(theirs)) => {
            assert_eq!(ours.len(), theirs.len(), "{place}");
            for (index, (our, their)) in ours.iter().zip(theirs).enumerate() {
                assert_within(our, their, &format!("{place}[{index}]"));
            }
        }
        _ => assert_eq!(ours, theirs, "{place}"),
    }
}

#[test]
fn every_recorded_answer_of_our_calls_decodes_and_no_known_member_changes() {
    let mut decoded = std::collections::BTreeMap::<String, usize>::new();
    let mut check = |name: &str, call: &MethodCall, value: Value| {
        if let Some(again) = through_types(name, call, value.clone()) {
            let again = again.unwrap_or_else(|problem| panic!("{name}: {problem}"));
            assert_within(&again, &value, name);
            *decoded.entry(call.method.clone()).or_default() += 1;
        }
    };
    for capture in captures().iter().filter(|capture| capture.http == 200) {
        let call = request(capture);
        let Ok(value) = answer(capture) else { continue };
        if is_multicall(&call.method) {
            let calls = calls_of_multicall(&call).unwrap();
            let answers = answers(value, calls.len()).unwrap();
            for (call, answer) in calls.into_iter().map(Result::unwrap).zip(answers) {
                if let Ok(value) = answer {
                    check(&capture.name, &call, value);
                }
            }
        } else {
            check(&capture.name, &call, value);
        }
    }
    let methods: Vec<&str> = decoded.keys().map(String::as_str).collect();
    assert_eq!(
        methods,
        [
            "addExternalRepoToTag",
            "build",
            "cancelTask",
            "createBuildTarget",
            "createExternalRepo",
            "createTag",
            "getBuild",
            "getBuildConfig",
            "getBuildTarget",
            "getChannel",
            "getExternalRepo",
            "getLoggedInUser",
            "getRPMDeps",
            "getRPMHeaders",
            "getRepo",
            "getTag",
            "getTagExternalRepos",
            "getTagGroups",
            "getTaskChildren",
            "getTaskInfo",
            "getTaskResult",
            "groupListAdd",
            "groupPackageListAdd",
            "listHosts",
            "listPackages",
            "listRPMs",
            "listTagged",
            "listTasks",
            "newRepo",
            "removeExternalRepoFromTag",
            "repo.get",
            "repoInfo",
        ]
    );
    assert!(decoded.values().sum::<usize>() > 180, "{decoded:?}");
}

#[test]
fn every_recorded_fault_has_its_class() {
    let mut classes = std::collections::BTreeSet::new();
    for capture in captures() {
        let Some(code) = capture.fault_code() else { continue };
        let kind = FaultKind::of(code);
        assert_ne!(kind, FaultKind::Unlisted, "{}", capture.name);
        classes.insert(kind.to_string());
    }
    let expected = [
        "ActionNotAllowed",
        "AuthError",
        "AuthExpired",
        "AuthLockError",
        "BuildError",
        "BuildrootError",
        "GenericError",
        "ParameterError",
        "RetryError",
        "SequenceError",
        "ServerOffline",
        "TagError",
        "UnexpectedException",
    ];
    assert_eq!(classes.into_iter().collect::<Vec<_>>(), expected);
}

// Requests

/// What a call means: keywords apart, those that are nil left out (they are the defaults), and without the epoch of an
/// RPM, which the hub ignores.
fn meaning(call: &MethodCall) -> (String, Vec<Value>, Struct) {
    fn without_epoch(value: Value) -> Value {
        match value {
            Value::Struct(members) if members.get("arch").is_some() => {
                Value::Struct(members.into_iter().filter(|(name, _)| name != "epoch").collect())
            }
            other => other,
        }
    }
    let (positional, keywords) = call.arguments();
    let keywords = keywords.into_iter().filter(|(_, value)| !value.is_nil());
    (
        call.method.clone(),
        positional.into_iter().map(without_epoch).collect(),
        keywords.map(|(name, value)| (name, without_epoch(value))).collect(),
    )
}

fn assert_means<T>(ours: &Call<T>, name: &str) {
    assert_eq!(meaning(ours.method_call()), meaning(&request(&named(name))), "{name}");
}

#[test]
fn our_requests_mean_what_the_official_client_sends() {
    let libfoo = || Nvra::source("libfoo", "2.0", "4.fc40");
    let tagged = |inherit, package, event| ListTagged { latest: true, inherit, package, event };

    assert_means(&calls::list_packages("f40", true), "listPackages");
    assert_means(&calls::list_tagged("f40", tagged(true, None, None)), "listTagged.latest-inherit");
    assert_means(&calls::list_rpms(18, "src"), "listRPMs.src");
    assert_means(&calls::get_rpm_deps(libfoo(), DepType::Require), "getRPMDeps.require");
    assert_means(&calls::get_arch_headers(libfoo()), "getRPMHeaders.libfoo");
    let headers = ["BUILDARCHS", "EXCLUDEARCH", "EXCLUSIVEARCH"];
    assert_means(&calls::get_rpm_headers(libfoo(), &headers), "getRPMHeaders.libfoo");
    assert_means(&calls::get_tag_groups("f40-build", Some(126)), "getTagGroups.event");
    assert_means(&calls::get_tag_groups("f40-build", None), "getTagGroups.noevent");
    assert_means(&calls::get_build_config("f40-build", None), "getBuildConfig");
    assert_means(&calls::get_tag("f40-build"), "getTag");
    assert_means(&calls::get_build_target("f40"), "getBuildTarget");
    assert_means(&calls::get_repo("f40-build", RepoState::Ready), "getRepo.ready");
    assert_means(&calls::repo_info(4), "repoInfo");
    assert_means(&calls::get_task_info(16), "getTaskInfo.request");
    assert_means(&calls::get_task_children(51), "getTaskChildren.build-ok");
    assert_means(&calls::get_task_result(14), "getTaskResult.failed-noraise");
    assert_means(&calls::get_build(18), "getBuild");
    assert_means(&calls::get_build_by_nvr("bash-5.2.26-3.fc40"), "getBuild.imported");
    assert_means(&calls::list_hosts(&["x86_64"], 1), "listHosts");
    assert_means(&calls::get_channel("default"), "getChannel");
    assert_means(&calls::get_logged_in_user(), "getLoggedInUser.password");
    assert_means(&calls::cancel_task(50), "cancelTask");
    let ours =
        ListTasks { owner: Some(2), method: Some("build"), limit: Some(2), ..Default::default() };
    assert_means(&calls::list_tasks(ours), "listTasks.owner-build");

    let libfoo_build = |options| BuildRequest {
        source: "../packages/libfoo/2.0/4.fc40/src/libfoo-2.0-4.fc40.src.rpm".to_owned(),
        target: Some("f40".to_owned()),
        options,
    };
    let scratch = Struct::new().with("scratch", true);
    let call = calls::build(&libfoo_build(scratch.clone()), Some(30));
    assert_means(&call, "build.scratch");
    let request = libfoo_build(scratch.with("repo_id", 4));
    let request = BuildRequest { target: None, ..request };
    let notarget = calls::build(&request, Some(30));
    let (method, positional, keywords) = meaning(notarget.method_call());
    assert_eq!((method.as_str(), &keywords), ("build", &Struct::new().with("priority", 30)));
    let recorded = meaning(&self::request(&named("build.scratch-repo_id-notarget"))).1;
    assert_eq!(positional[1], recorded[1]);
    assert_eq!(positional[1], Value::Nil);

    let (name, build) = ("sec-1795351675", "sec-build-1795351675");
    assert_means(&calls::create_tag(name, "x86_64"), "createTag");
    assert_means(&calls::create_build_target(name, build, name), "createBuildTarget");
    assert_means(&calls::group_list_add(build, "build"), "groupListAdd");
    assert_means(
        &calls::group_package_list_add(build, "build", "bash", GroupPackageType::Mandatory),
        "groupPackageListAdd",
    );
    let external = "f40-1795351675";
    let url = "http://127.0.0.1:8080/kojifiles/repos/f40-build/4/$arch";
    assert_means(&calls::create_external_repo(external, url), "createExternalRepo");
    assert_means(&calls::get_external_repo(external), "getExternalRepo");
    assert_means(&calls::add_external_repo_to_tag(build, external, 0), "addExternalRepoToTag");
    assert_means(&calls::get_tag_external_repos(build), "getTagExternalRepos");
    assert_means(&calls::remove_external_repo_from_tag(build, 1), "removeExternalRepoFromTag");
    assert_means(&calls::new_repo(build), "newRepo");
}

#[test]
fn tasks_are_listed_by_what_is_asked_and_the_newest_first() {
    let call = calls::list_tasks(ListTasks {
        states: &[TaskState::Free, TaskState::Open],
        created_after: Some(time("2026-11-22T12:37:33.006982Z")),
        offset: Some(50),
        ..Default::default()
    });
    let filter = Struct::from([
        ("decode", true.into()),
        ("state", vec![0, 1].into()),
        ("createdAfter", 1795351053.006982.into()),
    ]);
    let query = Struct::from([("order", "-id".into()), ("offset", 50.into())]);
    assert_eq!(call.method_call().params, [filter.into(), query.into()]);
}

#[test]
fn many_tasks_are_asked_for_in_one_call() {
    let call = calls::get_task_infos(&[16, 14]);
    let recorded = request(&named("getTaskInfo.list"));
    assert_eq!(call.method_call().arguments().0, recorded.arguments().0);
    let tasks = call.result(answer(&named("getTaskInfo.list")).unwrap()).unwrap();
    let ids: Vec<_> = tasks.into_iter().map(|task| task.unwrap().id).collect();
    assert_eq!(ids, [16, 14]);
}

// What the answers say

fn time(text: &str) -> DateTime<Utc> {
    DateTime::parse_from_rfc3339(text).unwrap().to_utc()
}

#[test]
fn a_task_tells_its_times_exactly_and_twice_the_same() {
    let task: Task = typed("getTaskInfo.request");
    assert_eq!(task.state, TaskState::Closed);
    assert_eq!(task.created(), time("2026-11-22T12:37:33.006982Z"));
    assert_eq!(task.started(), Some(time("2026-11-22T12:37:34.780683Z")));
    assert_eq!(task.completed(), Some(time("2026-11-22T12:38:02.922928Z")));

    let mut tasks = 0;
    for capture in captures().iter().filter(|capture| capture.method == "getTaskChildren") {
        let Ok(value) = answer(capture) else { continue };
        for task in from_value::<Vec<Task>>(value).unwrap() {
            assert_eq!(task.create_ts.unwrap().0, task.create_time.0);
            assert_eq!(task.start_ts.map(|time| time.0), task.start_time.map(|time| time.0));
            assert_eq!(
                task.completion_ts.map(|time| time.0),
                task.completion_time.map(|time| time.0)
            );
            tasks += 1;
        }
    }
    assert!(tasks > 30, "{tasks}");
}

#[test]
fn the_repo_of_a_build_is_named_by_its_children() {
    for (name, repos) in [
        ("build-ok", vec![4, 4]),
        ("build-multiarch", vec![5, 5, 5]),
        // The third child waits for the repo and names none.
        ("build-waitrepo", vec![7, 7]),
        ("build-expiredrepo", vec![1, 1]),
        ("build-nosrpm", vec![4]),
        ("build-badtarget", vec![]),
        // The third child tags the build.
        ("request", vec![1, 1]),
        // Asked for without requests.
        ("norequest", vec![]),
    ] {
        let children: Vec<Task> = typed(&format!("getTaskChildren.{name}"));
        let found: Vec<_> = children.iter().filter_map(Task::repo_id).collect();
        assert_eq!(found, repos, "{name}");
    }
}

#[test]
fn requests_of_build_tasks_are_told() {
    let tasks: Vec<Task> = typed("listTasks.owner-build");
    assert_eq!(tasks[0].owner_name.as_deref(), Some("koschei"));
    let request = tasks[1].build_request().unwrap();
    assert_eq!(request.source, "../packages/libfoo/2.0/4.fc40/src/libfoo-2.0-4.fc40.src.rpm");
    assert_eq!(request.target.as_deref(), Some("f40"));
    assert!(request.is_scratch());
    assert_eq!(request.repo_id(), Some(13));

    let children: Vec<Task> = typed("getTaskChildren.build-repo_id");
    assert!(children.iter().all(|task| task.build_request().is_none()));
    let without_request: Task = typed("getTaskInfo");
    assert!(without_request.build_request().is_none());
}

#[test]
fn keywords_inside_a_stored_request_are_read_too() {
    let mut task: Task = typed("getTaskInfo.request");
    let options = Struct::from([("scratch", true.into()), ("repo_id", 7.into())]);
    let keywords = Struct::from([
        ("target", Value::Nil),
        ("opts", options.clone().into()),
        ("__starstar", true.into()),
    ]);
    task.request = Some(vec!["x.src.rpm".into(), keywords.into()]);
    let request = task.build_request().unwrap();
    assert_eq!(request.options, options);
    assert_eq!(request.target, None);
}

#[test]
fn a_new_repo_is_known_from_the_task_that_makes_it() {
    for (name, repo) in [("newRepo-createrepo", 4), ("newRepo-sec", 6)] {
        let children: Vec<Task> = typed(&format!("getTaskChildren.{name}"));
        let made: Vec<_> = children.iter().filter_map(Task::created_repo_id).collect();
        assert_eq!(made, [repo], "{name}");
    }
    assert_eq!(typed::<NewRepoResult>("getTaskResult.newRepo"), (4, 126));
}

#[test]
fn a_tasks_own_fault_is_its_outcome_not_an_error() {
    let call = calls::get_task_result(14);
    let outcome = call.result(answer(&named("getTaskResult.failed-noraise")).unwrap()).unwrap();
    let TaskOutcome::Failed(fault) = outcome else { panic!("{outcome:?}") };
    assert_eq!(fault.code, 1012);
    assert!(fault.text.starts_with("could not init mock buildroot"));

    let outcome = call.result(answer(&named("getTaskResult.build-closed")).unwrap()).unwrap();
    assert_eq!(outcome, TaskOutcome::Closed(Value::Nil));
    let logs = answer(&named("getTaskResult.buildArch")).unwrap();
    assert!(matches!(call.result(logs).unwrap(), TaskOutcome::Closed(Value::Struct(_))));
}

#[test]
fn missing_things_are_none() {
    assert_eq!(typed::<Option<Task>>("getTaskInfo.missing"), None);
    assert_eq!(typed::<Option<Repo>>("repoInfo.missing"), None);
    assert_eq!(typed::<Option<Repo>>("getRepo.none"), None);
    assert_eq!(typed::<Option<Tag>>("getTag.missing"), None);
    assert_eq!(typed::<Option<Build>>("getBuild.missing"), None);
    assert_eq!(typed::<Option<BuildTarget>>("getBuildTarget.missing"), None);
    assert_eq!(typed::<Option<User>>("getLoggedInUser.anonymous"), None);
    let headers = calls::get_arch_headers(RpmIdent::Id(1));
    let missing = answer(&named("getRPMHeaders.missing")).unwrap();
    assert_eq!(headers.result(missing).unwrap(), None);
    let present = answer(&named("getRPMHeaders.libfoo")).unwrap();
    assert_eq!(headers.result(present).unwrap(), Some(ArchHeaders::default()));
}

#[test]
fn architectures_of_tags_may_be_unset() {
    assert_eq!(typed::<BuildConfig>("getBuildConfig").arch_list(), ["x86_64"]);
    let empty: [&str; 0] = [];
    assert_eq!(typed::<BuildConfig>("getBuildConfig.noarches").arch_list(), empty);
    assert_eq!(typed::<Tag>("getTag.noarches-nil").arch_list(), empty);
    assert!(typed::<BuildConfig>("getBuildConfig.multiarch").arch_list().len() > 1);
}

#[test]
fn imported_builds_have_no_task_and_sources_have_paths() {
    let builds: Vec<TaggedBuild> = typed("listTagged.builds-imported-null-task");
    assert_eq!(builds[0].task_id, None);
    assert_eq!(builds[0].state, BuildState::Complete);
    assert_eq!(builds[0].completed(), Some(time("2026-11-22T12:34:58.842862Z")));
    let path = "packages/bash/5.2.26/3.fc40/src/bash-5.2.26-3.fc40.src.rpm";
    assert_eq!(builds[0].srpm_path(), path);
    let moved = TaggedBuild { volume_name: Some("archive".to_owned()), ..builds[0].clone() };
    assert_eq!(moved.srpm_path(), format!("vol/archive/{path}"));
    assert_eq!(typed::<Build>("getBuild.imported").srpm_path(), path);
}

#[test]
fn sizes_beyond_32_bits_arrive() {
    let rpms: Vec<Rpm> = typed("listRPMs.int64-size");
    assert!(rpms.iter().any(|rpm| rpm.size > Some(i64::from(u32::MAX))));
}

// Hubs that differ

#[test]
fn a_repo_of_an_older_hub_has_fewer_members() {
    let old = Struct::from([
        ("id", 5.into()),
        ("state", 1.into()),
        ("task_id", Value::Nil),
        ("create_event", 100.into()),
        ("creation_time", "2023-01-02 03:04:05.5".into()),
        ("create_ts", 1672628645.5.into()),
        ("dist", false.into()),
    ]);
    let repo: Repo = from_value(old.into()).unwrap();
    assert_eq!(repo.created(), Some(time("2023-01-02T03:04:05.5Z")));
    assert_eq!(repo.tag_id, None);
    assert!(repo.state.is_usable());
}

#[test]
fn times_come_with_and_without_fraction_and_offset() {
    for (text, expected) in [
        ("2026-11-22 12:40:30.885395+00:00", "2026-11-22T12:40:30.885395Z"),
        ("2026-11-22 12:40:30+00:00", "2026-11-22T12:40:30Z"),
        ("2026-11-22 12:40:30", "2026-11-22T12:40:30Z"),
        ("2026-11-22 12:40:30.5", "2026-11-22T12:40:30.5Z"),
        ("2026-11-22 12:40:30+02:00", "2026-11-22T10:40:30Z"),
        ("2026-11-22 12:40:30.25-05", "2026-11-22T17:40:30.25Z"),
    ] {
        let read: koji::types::TextTime = from_value(text.into()).expect(text);
        assert_eq!(read.0, time(expected), "{text}");
    }
    for wrong in ["", "yesterday", "2026-13-01 00:00:00", "2026-11-22"] {
        assert!(from_value::<koji::types::TextTime>(wrong.into()).is_err(), "{wrong}");
    }
    for wrong in [f64::NAN, f64::INFINITY, 1e300, -1e300] {
        assert!(from_value::<koji::types::Timestamp>(wrong.into()).is_err(), "{wrong}");
    }
}

#[test]
fn an_unexpected_shape_is_named_by_its_place_and_types() {
    let task = || match answer(&named("getTaskInfo.request")).unwrap() {
        Value::Struct(members) => members,
        other => panic!("{other:?}"),
    };
    let problem = |members: Struct| {
        let list = Value::Array(vec![Value::Nil, members.into()]);
        from_value::<Vec<Option<Task>>>(list).unwrap_err().to_string()
    };
    assert_eq!(problem(task().with("id", "16")), "[1].id: string where an int should be");
    assert_eq!(problem(task().with("id", Value::Nil)), "[1].id: nil where an int should be");
    assert_eq!(problem(task().with("method", 1)), "[1].method: int where a string should be");
    assert_eq!(problem(task().with("waiting", 2)), "[1].waiting: int where a boolean should be");
    let unknown = "[1].state: 17 is no state of a task that this program knows";
    assert_eq!(problem(task().with("state", 17)), unknown);
    let mut lacking = task();
    lacking.remove("state");
    assert_eq!(problem(lacking), "[1]: missing field `state`");
    // What grows with newer hubs, and numbers of another type, do no harm.
    let newer = task().with("colour", "blue").with("weight", 2).with("waiting", 1);
    let task: Task = from_value(newer.into()).unwrap();
    assert_eq!((task.weight, task.waiting), (Some(2.0), Some(true)));
}

#[test]
fn faults_know_whether_trying_again_helps() {
    let of = |capture: &str| match answer(&named(capture)) {
        Err(Fault { code, .. }) => FaultKind::of(code),
        Ok(value) => panic!("{capture}: {value:?}"),
    };
    for transient in ["offline", "session.expired", "session.bad-key", "fault.auth-lock"] {
        assert!(of(transient).is_transient(), "{transient}");
    }
    for lasting in [
        "fault.not-logged-in",
        "fault.parameter-error",
        "getTagGroups.nosuchtag",
        "session.nonnumeric-id",
    ] {
        assert!(!of(lasting).is_transient(), "{lasting}");
    }
}
