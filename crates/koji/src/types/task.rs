//! Tasks: what builders do, with their requests and results.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{EventId, RepoId, TaskId, TextTime, Timestamp, numbered, time};
use crate::xmlrpc::{Fault, Struct, Value, split_keywords};

numbered! {
    /// The state of a task.
    TaskState, "state of a task" {
        /// Waiting for a builder.
        Free = 0,
        /// Running.
        Open = 1,
        /// Done, with a result.
        Closed = 2,
        /// Cancelled.
        Canceled = 3,
        /// Given to a builder that has not begun.
        Assigned = 4,
        /// Done, with a fault.
        Failed = 5,
    }
}

impl TaskState {
    /// Whether the task will not change any more.
    pub fn is_finished(self) -> bool {
        matches!(self, TaskState::Closed | TaskState::Canceled | TaskState::Failed)
    }
}

/// Names of the methods of tasks that Koschei looks at.
pub mod method {
    /// A build of a source package: parent of the others.
    pub const BUILD: &str = "build";
    /// A build for one architecture.
    pub const BUILD_ARCH: &str = "buildArch";
    /// The SRPM built anew in the buildroot.
    pub const REBUILD_SRPM: &str = "rebuildSRPM";
    /// The SRPM made from a repository of sources.
    pub const BUILD_SRPM_FROM_SCM: &str = "buildSRPMFromSCM";
    /// A new repo.
    pub const NEW_REPO: &str = "newRepo";
    /// A new repo for one architecture.
    pub const CREATEREPO: &str = "createrepo";
}

/// A task (getTaskInfo, getTaskChildren, listTasks).
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Task {
    /// Number of the task.
    pub id: TaskId,
    /// Its state.
    pub state: TaskState,
    /// What is to be done: see [`method`].
    pub method: String,
    /// The canonical architecture or `noarch`.
    pub arch: Option<String>,
    /// Number of the user who asked for it.
    pub owner: Option<i64>,
    /// The task that it is a part of.
    pub parent: Option<TaskId>,
    /// What tells it from its siblings; for buildArch the architecture.
    pub label: Option<String>,
    /// Which builders may take it.
    pub channel_id: Option<i64>,
    /// Who took it.
    pub host_id: Option<i64>,
    /// The lower the sooner.
    pub priority: Option<i64>,
    /// How much load it is.
    pub weight: Option<f64>,
    /// Whether it waits for its children.
    pub waiting: Option<bool>,
    /// Whether its parent waits for it.
    pub awaited: Option<bool>,
    /// When it was asked for, as text.
    pub create_time: TextTime,
    /// When it was asked for.
    pub create_ts: Option<Timestamp>,
    /// When it was begun, as text.
    pub start_time: Option<TextTime>,
    /// When it was begun.
    pub start_ts: Option<Timestamp>,
    /// When it was done, as text.
    pub completion_time: Option<TextTime>,
    /// When it was done.
    pub completion_ts: Option<Timestamp>,
    /// The parameters, if they were asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<Vec<Value>>,
    /// Name of the owner; only in listTasks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner_name: Option<String>,
    /// 0 for a person, 1 for a host; only in listTasks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner_type: Option<i64>,
}

/// What a task of method `build` was asked for.
#[derive(Clone, PartialEq, Debug)]
pub struct BuildRequest {
    /// The source: a path below `work`, or an address of sources.
    pub source: String,
    /// The target; none when it is built from a given repo.
    pub target: Option<String>,
    /// Options, such as `scratch` and `repo_id`.
    pub options: Struct,
}

impl BuildRequest {
    /// Whether it is a scratch build.
    pub fn is_scratch(&self) -> bool {
        self.options.get("scratch").and_then(Value::as_bool) == Some(true)
    }

    /// The repo that was asked for by its number.
    pub fn repo_id(&self) -> Option<RepoId> {
        self.options.get("repo_id")?.as_int()
    }
}

impl Task {
    /// When it was asked for.
    pub fn created(&self) -> DateTime<Utc> {
        self.create_ts.map_or(self.create_time.0, |time| time.0)
    }

    /// When it was begun.
    pub fn started(&self) -> Option<DateTime<Utc>> {
        time::either(self.start_ts, self.start_time)
    }

    /// When it was done.
    pub fn completed(&self) -> Option<DateTime<Utc>> {
        time::either(self.completion_ts, self.completion_time)
    }

    /// The repo that this task of a build used, if its request names one: the fifth parameter of buildArch, the third of
    /// rebuildSRPM and buildSRPMFromSCM. Very old tasks have none.
    pub fn repo_id(&self) -> Option<RepoId> {
        let place = match self.method.as_str() {
            method::BUILD_ARCH => 4,
            method::REBUILD_SRPM | method::BUILD_SRPM_FROM_SCM => 2,
            _ => return None,
        };
        let (params, keywords) = split_keywords(self.request.clone()?);
        let options = params.get(place).or_else(|| keywords.get("opts"))?;
        options.get("repo_id")?.as_int()
    }

    /// What was asked for, if this is a task of method `build` whose request is known.
    pub fn build_request(&self) -> Option<BuildRequest> {
        if self.method != method::BUILD {
            return None;
        }
        let (params, mut keywords) = split_keywords(self.request.clone()?);
        let mut params = params.into_iter();
        let mut argument = |name: &str| params.next().or_else(|| keywords.remove(name));
        let Some(Value::String(source)) = argument("src") else { return None };
        let target = match argument("target") {
            Some(Value::String(target)) => Some(target),
            _ => None,
        };
        let options = match argument("opts") {
            Some(Value::Struct(options)) => options,
            _ => Struct::new(),
        };
        Some(BuildRequest { source, target, options })
    }

    /// The repo that a task of method `createrepo`, a child of newRepo, makes: its first parameter.
    pub fn created_repo_id(&self) -> Option<RepoId> {
        if self.method != method::CREATEREPO {
            return None;
        }
        self.request.as_ref()?.first()?.as_int()
    }
}

/// What a task ended with (getTaskResult without raising the task's own fault).
#[derive(Clone, PartialEq, Debug)]
pub enum TaskOutcome {
    /// It was closed with this result; nil for a build.
    Closed(Value),
    /// It failed with this fault.
    Failed(Fault),
}

/// The result of buildArch. Paths are relative to the hub's `work` directory.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct BuildArchResult {
    /// Binary packages.
    pub rpms: Vec<String>,
    /// The source package, from one of the architectures.
    pub srpms: Vec<String>,
    /// Logs.
    pub logs: Vec<String>,
    /// The buildroot.
    pub brootid: Option<i64>,
}

/// The result of rebuildSRPM. Paths are relative to the hub's `work` directory.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct RebuildSrpmResult {
    /// The source package.
    pub srpm: String,
    /// Logs.
    pub logs: Vec<String>,
    /// The buildroot.
    pub brootid: Option<i64>,
    /// Where it came from.
    pub source: Option<Struct>,
}

/// The result of newRepo: the repo and the event whose content it holds.
pub type NewRepoResult = (RepoId, EventId);
