//! Builds, and packages as tags list them.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{EventId, TaskId, TextTime, Timestamp, numbered, time};
use crate::xmlrpc::Value;

numbered! {
    /// The state of a build in Koji.
    BuildState, "state of a build" {
        /// Its task is still running.
        Building = 0,
        /// It succeeded.
        Complete = 1,
        /// Its files are gone.
        Deleted = 2,
        /// Its task failed.
        Failed = 3,
        /// Its task was cancelled.
        Canceled = 4,
    }
}

/// A package in a tag's list (listPackages). Blocked ones are listed too.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct TagPackage {
    /// Number of the package.
    pub package_id: i64,
    /// Name of the source package.
    pub package_name: String,
    /// The tag whose entry this is; with inheritance it may be a parent of the tag asked for.
    pub tag_id: i64,
    /// Name of that tag.
    pub tag_name: String,
    /// The owner's number.
    pub owner_id: i64,
    /// The owner's name.
    pub owner_name: String,
    /// Architectures beside those of the tag, separated by spaces.
    pub extra_arches: Option<String>,
    /// Whether the tag blocks the package.
    pub blocked: bool,
}

/// A build in a tag's list (listTagged); always [`BuildState::Complete`].
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct TaggedBuild {
    /// Number of the build.
    pub build_id: i64,
    /// Number of its package.
    pub package_id: i64,
    /// Name of its package: the N of its N-V-R.
    pub package_name: String,
    /// Its version.
    pub version: String,
    /// Its release.
    pub release: String,
    /// Its epoch; none is not the same as 0 on the wire, but it is for RPM.
    pub epoch: Option<i64>,
    /// `name-version-release`.
    pub nvr: String,
    /// Always complete.
    pub state: BuildState,
    /// The task that built it; none for imported builds.
    pub task_id: Option<TaskId>,
    /// The owner's number.
    pub owner_id: i64,
    /// The owner's name.
    pub owner_name: String,
    /// The tag that it is tagged into: the one asked for or a parent.
    pub tag_id: i64,
    /// Name of that tag.
    pub tag_name: String,
    /// The event at which it was tagged.
    pub create_event: Option<EventId>,
    /// The event at which the build was created.
    pub creation_event_id: Option<EventId>,
    /// When the build was created.
    pub creation_time: Option<TextTime>,
    /// When it was started.
    pub start_time: Option<TextTime>,
    /// When it was done.
    pub completion_time: Option<TextTime>,
    /// Number of the volume that holds its files.
    pub volume_id: Option<i64>,
    /// Name of that volume, mostly `DEFAULT`.
    pub volume_name: Option<String>,
    /// Whether it is a draft.
    #[serde(default)]
    pub draft: bool,
}

/// A build (getBuild).
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Build {
    /// Number of the build.
    pub build_id: i64,
    /// Number of its package.
    pub package_id: i64,
    /// Name of its package: the N of its N-V-R.
    pub package_name: String,
    /// Its version.
    pub version: String,
    /// Its release.
    pub release: String,
    /// Its epoch.
    pub epoch: Option<i64>,
    /// `name-version-release`.
    pub nvr: String,
    /// Its state.
    pub state: BuildState,
    /// The task that builds or built it; none for imported builds.
    pub task_id: Option<TaskId>,
    /// The owner's number.
    pub owner_id: i64,
    /// The owner's name.
    pub owner_name: String,
    /// When it was created, as text.
    pub creation_time: Option<TextTime>,
    /// When it was created.
    pub creation_ts: Option<Timestamp>,
    /// When it was started, as text.
    pub start_time: Option<TextTime>,
    /// When it was started.
    pub start_ts: Option<Timestamp>,
    /// When it was done, as text.
    pub completion_time: Option<TextTime>,
    /// When it was done.
    pub completion_ts: Option<Timestamp>,
    /// Where its source came from.
    pub source: Option<String>,
    /// Whatever else builders wrote down.
    pub extra: Option<Value>,
    /// Number of the volume that holds its files.
    pub volume_id: Option<i64>,
    /// Name of that volume, mostly `DEFAULT`.
    pub volume_name: Option<String>,
    /// Whether it is a draft.
    #[serde(default)]
    pub draft: bool,
}

impl TaggedBuild {
    /// When it was started, as far as the hub knows.
    pub fn started(&self) -> Option<DateTime<Utc>> {
        self.start_time.or(self.creation_time).map(|time| time.0)
    }

    /// When it was done.
    pub fn completed(&self) -> Option<DateTime<Utc>> {
        self.completion_time.map(|time| time.0)
    }

    /// The SRPM's path below the hub's top directory.
    pub fn srpm_path(&self) -> String {
        srpm_path(self.volume_name.as_deref(), &self.package_name, &self.version, &self.release)
    }
}

impl Build {
    /// When it was started, as far as the hub knows.
    pub fn started(&self) -> Option<DateTime<Utc>> {
        time::either(self.start_ts, self.start_time)
            .or_else(|| time::either(self.creation_ts, self.creation_time))
    }

    /// When it was done.
    pub fn completed(&self) -> Option<DateTime<Utc>> {
        time::either(self.completion_ts, self.completion_time)
    }

    /// The SRPM's path below the hub's top directory.
    pub fn srpm_path(&self) -> String {
        srpm_path(self.volume_name.as_deref(), &self.package_name, &self.version, &self.release)
    }
}

/// `packages/N/V/R/src/N-V-R.src.rpm`, with the volume in front when it is not the default one.
fn srpm_path(volume: Option<&str>, name: &str, version: &str, release: &str) -> String {
    let volume = match volume {
        None | Some("DEFAULT") => String::new(),
        Some(volume) => format!("vol/{volume}/"),
    };
    format!("{volume}packages/{name}/{version}/{release}/src/{name}-{version}-{release}.src.rpm")
}
