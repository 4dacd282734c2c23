//! What the hub keeps: one struct per kind of row.
//!
//! The real hub has a PostgreSQL table for each of these. Rows are plain data that can be written as JSON, because the
//! journal (see [`crate::store`]) holds them in that form. Times are seconds since 1970 with a fraction, as Koji's
//! `*_ts` members; ids are those that clients see.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A tag: a named set of builds, with the tags that it inherits from.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Tag {
    pub(crate) id: i64,
    pub(crate) name: String,
    pub(crate) arches: Option<String>,
    pub(crate) extra: BTreeMap<String, Value>,
    /// Inherited tags, the one with the highest precedence first.
    pub(crate) parents: Vec<i64>,
    pub(crate) create_event: i64,
}

/// A build target: builds use the buildroots of one tag and are tagged into another.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Target {
    pub(crate) id: i64,
    pub(crate) name: String,
    pub(crate) build_tag: i64,
    pub(crate) dest_tag: i64,
}

/// A source package by name, independent of tags.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Package {
    pub(crate) id: i64,
    pub(crate) name: String,
}

/// A package in the package list of a tag.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Listing {
    pub(crate) id: i64,
    pub(crate) tag: i64,
    pub(crate) package: i64,
    pub(crate) owner: i64,
    pub(crate) blocked: bool,
    pub(crate) create_event: i64,
}

/// A group of packages of a tag, such as `build`, as it is from an event on until there is a later one of that name.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Group {
    pub(crate) id: i64,
    pub(crate) tag: i64,
    pub(crate) name: String,
    pub(crate) packages: Vec<GroupPackage>,
    #[serde(default)]
    pub(crate) create_event: i64,
}

/// An entry of a group.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct GroupPackage {
    pub(crate) package: String,
    pub(crate) kind: String,
    pub(crate) blocked: bool,
}

impl GroupPackage {
    /// One that every buildroot has.
    pub(crate) fn mandatory(package: &str) -> Self {
        GroupPackage { package: package.to_owned(), kind: "mandatory".to_owned(), blocked: false }
    }
}

/// A person or a machine that may log in.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct User {
    pub(crate) id: i64,
    pub(crate) name: String,
    pub(crate) password: Option<String>,
    pub(crate) blocked: bool,
    /// 0 a person, 1 a builder.
    pub(crate) usertype: i64,
    pub(crate) permissions: BTreeSet<String>,
}

/// A builder.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Host {
    pub(crate) id: i64,
    pub(crate) user: i64,
    pub(crate) name: String,
    pub(crate) arches: String,
    pub(crate) capacity: f64,
    pub(crate) enabled: bool,
    pub(crate) ready: bool,
    pub(crate) channels: Vec<i64>,
    /// Load that does not come from tasks; tests set it.
    pub(crate) other_load: f64,
}

/// A channel: which hosts take which tasks.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Channel {
    pub(crate) id: i64,
    pub(crate) name: String,
}

/// One state of a package's sources, as a packager pushed it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Revision {
    pub(crate) id: i64,
    pub(crate) source: String,
    pub(crate) epoch: Option<i64>,
    pub(crate) version: String,
    pub(crate) release: String,
    /// The soname version of its libraries, or the ABI of its language.
    pub(crate) abi: String,
    /// Replaces the BuildRequires of the world's file.
    pub(crate) build_requires: Option<Vec<String>>,
    /// Source packages that no longer build when a binary of this revision is installed, with the compiler's words.
    pub(crate) breaks: BTreeMap<String, String>,
    /// Source packages whose breaking changes this revision copes with.
    pub(crate) adapted: BTreeSet<String>,
    /// Fails in any buildroot, with these words.
    pub(crate) broken: Option<String>,
}

/// A build of a package, imported or made by a task.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Build {
    pub(crate) id: i64,
    pub(crate) package: i64,
    pub(crate) name: String,
    pub(crate) epoch: Option<i64>,
    pub(crate) version: String,
    pub(crate) release: String,
    /// Koji's build state.
    pub(crate) state: i64,
    pub(crate) task: Option<i64>,
    pub(crate) owner: i64,
    pub(crate) create_event: i64,
    pub(crate) creation_ts: f64,
    pub(crate) start_ts: f64,
    pub(crate) completion_ts: Option<f64>,
    pub(crate) source: Option<String>,
    pub(crate) revision: i64,
    /// ABI of every source package of the buildroot when this was built: what its libraries were linked with.
    pub(crate) abis: BTreeMap<String, String>,
}

impl Build {
    pub(crate) fn nvr(&self) -> String {
        format!("{}-{}-{}", self.name, self.version, self.release)
    }
}

/// One RPM file of a build. Its dependencies follow from the build, see [`crate::content`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Rpm {
    pub(crate) id: i64,
    pub(crate) build: i64,
    pub(crate) name: String,
    pub(crate) arch: String,
    pub(crate) buildroot: Option<i64>,
}

/// A build in a tag, from one event to another.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Tagging {
    pub(crate) id: i64,
    pub(crate) tag: i64,
    pub(crate) build: i64,
    pub(crate) create_event: i64,
    pub(crate) revoke_event: Option<i64>,
    pub(crate) creator: i64,
}

/// A point in the hub's history.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Event {
    pub(crate) id: i64,
    pub(crate) ts: f64,
}

/// One generation of the repository of a tag.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Repo {
    pub(crate) id: i64,
    pub(crate) tag: i64,
    /// Koji's repo state.
    pub(crate) state: i64,
    pub(crate) create_event: i64,
    pub(crate) creation_ts: f64,
    pub(crate) state_ts: f64,
    /// The last event that had changed the content before this repo was made.
    pub(crate) begin_event: i64,
    pub(crate) task: Option<i64>,
}

/// A task. Parents hold the ids of their children in order of creation.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Task {
    pub(crate) id: i64,
    /// Koji's task state.
    pub(crate) state: i64,
    pub(crate) method: String,
    pub(crate) arch: String,
    pub(crate) label: Option<String>,
    pub(crate) owner: i64,
    pub(crate) parent: Option<i64>,
    pub(crate) children: Vec<i64>,
    pub(crate) channel: i64,
    pub(crate) host: Option<i64>,
    pub(crate) priority: i64,
    pub(crate) weight: f64,
    pub(crate) waiting: Option<bool>,
    pub(crate) awaited: Option<bool>,
    pub(crate) create_ts: f64,
    pub(crate) start_ts: Option<f64>,
    pub(crate) completion_ts: Option<f64>,
    pub(crate) request: Value,
    pub(crate) result: Option<Outcome>,
    /// When the next thing happens to it, if only time is missing.
    pub(crate) due: Option<f64>,
    /// A test keeps it from finishing.
    pub(crate) held: bool,
    /// A test decided how it ends.
    pub(crate) ordered: Option<Outcome>,
    /// What the builder needs to remember between steps: revision, build, repo, buildroot.
    pub(crate) notes: Notes,
}

/// A builder's memory of a task between two steps.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Notes {
    pub(crate) revision: Option<i64>,
    pub(crate) build: Option<i64>,
    pub(crate) repo: Option<i64>,
    pub(crate) buildroot: Option<i64>,
    /// Files under work/tasks/… that this task left, by name, with sizes.
    pub(crate) files: BTreeMap<String, u64>,
}

/// How a task ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Outcome {
    /// CLOSED with this result.
    Closed(Value),
    /// FAILED with this fault.
    Failed(i64, String),
}

/// A login.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Session {
    pub(crate) id: i64,
    pub(crate) key: String,
    pub(crate) user: i64,
    pub(crate) authtype: i64,
    pub(crate) callnum: Option<i64>,
    pub(crate) renewed_ts: f64,
    pub(crate) expired: bool,
    pub(crate) exclusive: bool,
    pub(crate) closed: bool,
}

/// A repository elsewhere that tags can include.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ExternalRepo {
    pub(crate) id: i64,
    pub(crate) name: String,
    pub(crate) url: String,
}

/// An external repository in a tag.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct TagExternalRepo {
    pub(crate) id: i64,
    pub(crate) tag: i64,
    pub(crate) external_repo: i64,
    pub(crate) priority: i64,
    pub(crate) merge_mode: String,
}

/// What the simulator itself has to remember. There is one row, with id 1.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Memory {
    pub(crate) seed: u64,
    /// The time of the last commit: what was due then is put off by as long as the hub was down.
    pub(crate) last_seen: f64,
    /// When the world began.
    pub(crate) first_start: f64,
    /// Random numbers drawn so far: the generator's whole state, with the seed.
    pub(crate) drawn: u64,
    /// Scenes of the script that have been played.
    pub(crate) scenes_played: usize,
    /// When random life acts next.
    pub(crate) next_whim: Option<f64>,
    /// Things that packagers have promised to do.
    pub(crate) plans: Vec<Plan>,
    /// Next buildroot id.
    pub(crate) buildroots: i64,
    /// Build tags whose content changed, with the time at which a new repo is asked for.
    pub(crate) stale: BTreeMap<i64, f64>,
}

/// A packager's intention.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Plan {
    pub(crate) due: f64,
    pub(crate) push: crate::control::Push,
    pub(crate) words: String,
}
