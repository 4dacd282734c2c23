//! Repos: generations of a build tag's repository.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{EventId, RepoId, TaskId, TaskState, TextTime, Timestamp, numbered, time};
use crate::xmlrpc::Struct;

numbered! {
    /// The state of a repo: it begins with INIT and ends with DELETED or PROBLEM.
    RepoState, "state of a repo" {
        /// Being made; stays so for ever if the builder died.
        Init = 0,
        /// Usable, and the newest ones are used.
        Ready = 1,
        /// Still usable, will be deleted.
        Expired = 2,
        /// Its files are gone.
        Deleted = 3,
        /// Making it failed.
        Problem = 4,
    }
}

impl RepoState {
    /// Whether builds can be made from a repo in this state.
    pub fn is_usable(self) -> bool {
        matches!(self, RepoState::Ready | RepoState::Expired)
    }
}

/// A repo (getRepo, repoInfo). Hubs before 1.35 send fewer members.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Repo {
    /// Number of the repo.
    pub id: RepoId,
    /// Its build tag; hubs before 1.35 tell it only in repoInfo.
    pub tag_id: Option<i64>,
    /// Name of its build tag.
    pub tag_name: Option<String>,
    /// Its state.
    pub state: RepoState,
    /// The event whose content of the tag it holds.
    pub create_event: EventId,
    /// The time of that event.
    pub create_ts: Option<Timestamp>,
    /// When it was made, as text; in hubs before 1.35 the time of `create_event`.
    pub creation_time: Option<TextTime>,
    /// When it was made.
    pub creation_ts: Option<Timestamp>,
    /// When its state last changed, as text.
    pub state_time: Option<TextTime>,
    /// When its state last changed.
    pub state_ts: Option<Timestamp>,
    /// The first event whose content of the tag is the same.
    pub begin_event: Option<EventId>,
    /// The time of that event.
    pub begin_ts: Option<Timestamp>,
    /// The event at which the tag's content changed again; none while it has not.
    pub end_event: Option<EventId>,
    /// The time of that event.
    pub end_ts: Option<Timestamp>,
    /// Whether it is a dist repo, which no build uses.
    #[serde(default)]
    pub dist: bool,
    /// The task that made it.
    pub task_id: Option<TaskId>,
    /// The state of that task.
    pub task_state: Option<TaskState>,
    /// How it was made.
    pub opts: Option<Struct>,
    /// How it was made, where that differs from the usual.
    pub custom_opts: Option<Struct>,
}

impl Repo {
    /// When it was made.
    pub fn created(&self) -> Option<DateTime<Utc>> {
        time::either(self.creation_ts, self.creation_time)
            .or_else(|| time::either(self.create_ts, None))
    }
}
