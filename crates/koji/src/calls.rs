//! The hub's calls, one function each, under Koji's names. A function makes a [`Call`]; [`crate::Client::call`] sends one,
//! [`crate::Client::multicall`] many of one kind.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::de::DeserializeOwned;

use crate::types::{
    ArchHeaders, Build, BuildConfig, BuildRequest, BuildTarget, Channel, DepType, EventId,
    ExternalRepo, GroupPackageType, Host, Repo, RepoId, RepoState, Rpm, RpmDep, RpmIdent, Tag,
    TagExternalRepo, TagGroup, TagPackage, TaggedBuild, Task, TaskId, TaskOutcome, TaskState,
    Timestamp, User,
};
use crate::xmlrpc::{Fault, MethodCall, Struct, Unexpected, Value, from_value};

/// What a call needs and what repeating it does.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Access {
    /// Anybody may ask, and nothing changes.
    Read,
    /// Only asked of a session that is logged in; asking twice does no more than asking once.
    Session,
    /// Only a session that is logged in may, and doing it twice does it twice.
    Once,
}

/// A call that is not sent yet, with the type of its result.
pub struct Call<T> {
    pub(crate) method: MethodCall,
    pub(crate) access: Access,
    pub(crate) decode: fn(Value) -> Result<T, Unexpected>,
}

impl<T> Call<T> {
    /// The method's name.
    pub fn name(&self) -> &str {
        &self.method.method
    }

    /// The call as it is sent.
    pub fn method_call(&self) -> &MethodCall {
        &self.method
    }

    /// The typed result that a value of the hub holds.
    pub fn result(&self, value: Value) -> Result<T, Unexpected> {
        (self.decode)(value)
    }
}

impl<T> Clone for Call<T> {
    fn clone(&self) -> Call<T> {
        Call { method: self.method.clone(), access: self.access, decode: self.decode }
    }
}

impl<T> fmt::Debug for Call<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.method.fmt(f)
    }
}

fn call<T: DeserializeOwned>(
    access: Access,
    method: &str,
    params: Vec<Value>,
    keywords: Struct,
) -> Call<T> {
    let method = MethodCall::new(method, params).with_keywords(keywords);
    Call { method, access, decode: from_value }
}

fn read<T: DeserializeOwned>(method: &str, params: Vec<Value>) -> Call<T> {
    call(Access::Read, method, params, Struct::new())
}

fn change<T: DeserializeOwned>(access: Access, method: &str, params: Vec<Value>) -> Call<T> {
    call(access, method, params, Struct::new())
}

fn keywords<const N: usize>(members: [(&str, Value); N]) -> Struct {
    Struct::from(members)
}

fn with_event(event: Option<EventId>) -> Struct {
    event.map_or_else(Struct::new, |event| Struct::new().with("event", event))
}

// Packages and builds of tags

/// Packages of a tag and, with `inherited`, of its parents: one entry per package, blocked ones too.
pub fn list_packages(tag: &str, inherited: bool) -> Call<Vec<TagPackage>> {
    let keywords = keywords([("tagID", tag.into()), ("inherited", inherited.into())]);
    call(Access::Read, "listPackages", Vec::new(), keywords)
}

/// What to list of the builds in a tag.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ListTagged<'a> {
    /// Only the most recently tagged build of each package.
    pub latest: bool,
    /// Those of parents too.
    pub inherit: bool,
    /// Only builds of this package.
    pub package: Option<&'a str>,
    /// As it was at this event.
    pub event: Option<EventId>,
}

/// Builds in a tag. Only complete ones; blocked packages are left out.
pub fn list_tagged(tag: &str, what: ListTagged<'_>) -> Call<Vec<TaggedBuild>> {
    let mut keywords =
        with_event(what.event).with("latest", what.latest).with("inherit", what.inherit);
    if let Some(package) = what.package {
        keywords.insert("package", package);
    }
    call(Access::Read, "listTagged", vec![tag.into()], keywords)
}

/// A build by its number; none if there is no such build.
pub fn get_build(build: i64) -> Call<Option<Build>> {
    read("getBuild", vec![build.into()])
}

/// A build by its name-version-release; none if there is no such build.
pub fn get_build_by_nvr(nvr: &str) -> Call<Option<Build>> {
    read("getBuild", vec![nvr.into()])
}

// RPMs

/// RPMs of a build of one architecture; `src` for its source package. None of a build that does not exist.
pub fn list_rpms(build: i64, arch: &str) -> Call<Vec<Rpm>> {
    let keywords = keywords([("buildID", build.into()), ("arches", arch.into())]);
    call(Access::Read, "listRPMs", Vec::new(), keywords)
}

/// Dependencies of an RPM; nothing of one that does not exist.
pub fn get_rpm_deps(rpm: impl Into<RpmIdent>, kind: DepType) -> Call<Vec<RpmDep>> {
    read("getRPMDeps", vec![rpm.into().into(), i64::from(kind).into()])
}

/// Headers of an RPM by name, such as `BUILDARCHS`; an empty struct for an RPM that does not exist.
pub fn get_rpm_headers(rpm: impl Into<RpmIdent>, headers: &[&str]) -> Call<Struct> {
    call(Access::Read, "getRPMHeaders", Vec::new(), header_keywords(rpm.into(), headers))
}

/// The headers of a source package that decide for which architectures it builds; none if it does not exist.
pub fn get_arch_headers(rpm: impl Into<RpmIdent>) -> Call<Option<ArchHeaders>> {
    let headers = ["BUILDARCHS", "EXCLUDEARCH", "EXCLUSIVEARCH"];
    let method = MethodCall::new("getRPMHeaders", Vec::new())
        .with_keywords(header_keywords(rpm.into(), &headers));
    let decode = |value: Value| match value {
        Value::Struct(members) if members.is_empty() => Ok(None),
        members => from_value(members).map(Some),
    };
    Call { method, access: Access::Read, decode }
}

fn header_keywords(rpm: RpmIdent, headers: &[&str]) -> Struct {
    keywords([("rpmID", rpm.into()), ("headers", headers.to_vec().into())])
}

// Tags, targets, groups

/// A tag, nothing inherited; none if there is no such tag.
pub fn get_tag(tag: &str) -> Call<Option<Tag>> {
    read("getTag", vec![tag.into()])
}

/// What a tag means for builds, inherited values too. An unknown tag is a GenericError.
pub fn get_build_config(tag: &str, event: Option<EventId>) -> Call<BuildConfig> {
    call(Access::Read, "getBuildConfig", vec![tag.into()], with_event(event))
}

/// A build target; none if there is no such target.
pub fn get_build_target(target: &str) -> Call<Option<BuildTarget>> {
    read("getBuildTarget", vec![target.into()])
}

/// Groups of a tag with what it inherits, without what is blocked. An unknown tag is a GenericError.
pub fn get_tag_groups(tag: &str, event: Option<EventId>) -> Call<Vec<TagGroup>> {
    call(Access::Read, "getTagGroups", vec![tag.into()], with_event(event))
}

// Repos

/// The newest repo of a tag in this state; none if there is none. An unknown tag is a GenericError.
pub fn get_repo(tag: &str, state: RepoState) -> Call<Option<Repo>> {
    call(Access::Read, "getRepo", vec![tag.into()], keywords([("state", i64::from(state).into())]))
}

/// A repo by its number; none if there is no such repo.
pub fn repo_info(repo: RepoId) -> Call<Option<Repo>> {
    read("repoInfo", vec![repo.into()])
}

// Tasks

/// A task with its request; none if there is no such task.
pub fn get_task_info(task: TaskId) -> Call<Option<Task>> {
    call(Access::Read, "getTaskInfo", vec![task.into()], keywords([("request", true.into())]))
}

/// Many tasks with their requests, in the order asked for; none for each that does not exist.
pub fn get_task_infos(tasks: &[TaskId]) -> Call<Vec<Option<Task>>> {
    let params = vec![tasks.to_vec().into()];
    call(Access::Read, "getTaskInfo", params, keywords([("request", true.into())]))
}

/// The parts of a task with their requests, in no order; nothing of a task that does not exist.
pub fn get_task_children(task: TaskId) -> Call<Vec<Task>> {
    call(Access::Read, "getTaskChildren", vec![task.into()], keywords([("request", true.into())]))
}

/// How a task ended. Its own fault is part of the outcome; a fault of the call (GenericError) means that the task was
/// cancelled, is not finished, or does not exist.
pub fn get_task_result(task: TaskId) -> Call<TaskOutcome> {
    let method = MethodCall::new("getTaskResult", vec![task.into()])
        .with_keywords(keywords([("raise_fault", false.into())]));
    Call { method, access: Access::Read, decode: |value| Ok(outcome(value)) }
}

fn outcome(value: Value) -> TaskOutcome {
    let fault = match (value.get("faultCode"), value.get("faultString")) {
        (Some(Value::Int(code)), Some(Value::String(text))) => Some(Fault::new(*code, text)),
        _ => None,
    };
    fault.map_or(TaskOutcome::Closed(value), TaskOutcome::Failed)
}

/// Which tasks to list.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct ListTasks<'a> {
    /// Only this user's.
    pub owner: Option<i64>,
    /// Only of this method.
    pub method: Option<&'a str>,
    /// Only in one of these states; none given means any.
    pub states: &'a [TaskState],
    /// Only those asked for after this time.
    pub created_after: Option<DateTime<Utc>>,
    /// At most so many.
    pub limit: Option<i64>,
    /// Leaving out so many at the beginning.
    pub offset: Option<i64>,
}

/// Tasks with their requests, the newest first.
pub fn list_tasks(what: ListTasks<'_>) -> Call<Vec<Task>> {
    let mut filter = Struct::new().with("decode", true);
    if let Some(owner) = what.owner {
        filter.insert("owner", owner);
    }
    if let Some(method) = what.method {
        filter.insert("method", method);
    }
    if !what.states.is_empty() {
        let states: Vec<i64> = what.states.iter().map(|state| i64::from(*state)).collect();
        filter.insert("state", states);
    }
    if let Some(time) = what.created_after {
        filter.insert("createdAfter", f64::from(Timestamp(time)));
    }
    let mut query = Struct::new().with("order", "-id");
    if let Some(limit) = what.limit {
        query.insert("limit", limit);
    }
    if let Some(offset) = what.offset {
        query.insert("offset", offset);
    }
    read("listTasks", vec![filter.into(), query.into()])
}

/// Asks for a build; the result is the task. `priority` is added to the hub's default of 20.
///
/// The hub checks nothing but the caller's right to the priority: everything else that is wrong fails the task.
/// Never sent twice: see [`crate::Error::TookEffect`] and [`crate::Error::Unconfirmed`].
pub fn build(request: &BuildRequest, priority: Option<i64>) -> Call<TaskId> {
    let params = vec![
        request.source.as_str().into(),
        request.target.as_deref().into(),
        Value::Struct(request.options.clone()),
    ];
    let keywords =
        priority.map_or_else(Struct::new, |value| keywords([("priority", value.into())]));
    call(Access::Once, "build", params, keywords)
}

/// Cancels a task and its parts; nothing happens to one that is finished.
pub fn cancel_task(task: TaskId) -> Call<()> {
    change(Access::Session, "cancelTask", vec![task.into()])
}

// Builders, users

/// Enabled hosts of a channel that build for any of these architectures, of which there must be one at least.
pub fn list_hosts(arches: &[&str], channel: i64) -> Call<Vec<Host>> {
    let params = vec![arches.to_vec().into(), channel.into()];
    call(Access::Read, "listHosts", params, keywords([("enabled", true.into())]))
}

/// A channel by its name; none if there is no such channel.
pub fn get_channel(name: &str) -> Call<Option<Channel>> {
    read("getChannel", vec![name.into()])
}

/// Who we are to the hub; none if anonymous. Asked of the logged-in session where there is one.
pub fn get_logged_in_user() -> Call<Option<User>> {
    change(Access::Session, "getLoggedInUser", Vec::new())
}

// Regeneration of repos

/// Makes a tag with these architectures; the result is its number.
pub fn create_tag(name: &str, arches: &str) -> Call<i64> {
    let keywords = keywords([("arches", arches.into())]);
    call(Access::Once, "createTag", vec![name.into()], keywords)
}

/// Makes a build target.
pub fn create_build_target(name: &str, build_tag: &str, dest_tag: &str) -> Call<()> {
    change(Access::Once, "createBuildTarget", vec![name.into(), build_tag.into(), dest_tag.into()])
}

/// Gives a tag a group.
pub fn group_list_add(tag: &str, group: &str) -> Call<()> {
    change(Access::Session, "groupListAdd", vec![tag.into(), group.into()])
}

/// Gives a tag's group a package.
pub fn group_package_list_add(
    tag: &str,
    group: &str,
    package: &str,
    kind: GroupPackageType,
) -> Call<()> {
    let keywords = keywords([("type", kind.name().into()), ("blocked", false.into())]);
    let params = vec![tag.into(), group.into(), package.into()];
    call(Access::Session, "groupPackageListAdd", params, keywords)
}

/// External repositories of a tag.
pub fn get_tag_external_repos(tag: &str) -> Call<Vec<TagExternalRepo>> {
    read("getTagExternalRepos", vec![tag.into()])
}

/// Takes an external repository from a tag.
pub fn remove_external_repo_from_tag(tag: &str, repo: i64) -> Call<()> {
    change(Access::Once, "removeExternalRepoFromTag", vec![tag.into(), repo.into()])
}

/// An external repository by its name; none if there is none.
pub fn get_external_repo(name: &str) -> Call<Option<ExternalRepo>> {
    read("getExternalRepo", vec![name.into()])
}

/// Makes an external repository known.
pub fn create_external_repo(name: &str, url: &str) -> Call<ExternalRepo> {
    change(Access::Once, "createExternalRepo", vec![name.into(), url.into()])
}

/// Gives a tag an external repository at this place among others; the lowest comes first. One that the tag has already is
/// a GenericError.
pub fn add_external_repo_to_tag(tag: &str, name: &str, priority: i64) -> Call<()> {
    change(Access::Once, "addExternalRepoToTag", vec![tag.into(), name.into(), priority.into()])
}

/// Asks for a new repo of a tag; the result is the task.
pub fn new_repo(tag: &str) -> Call<TaskId> {
    change(Access::Once, "newRepo", vec![tag.into()])
}
