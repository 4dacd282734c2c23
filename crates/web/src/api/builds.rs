//! Builds: one with its tasks, what changed with it, and those of a package.

use axum::extract::{Path, State};
use axum::response::Response;
use koschei_core::states::BuildState;
use koschei_db::pages::{self as db, HistoryBuild, TaskRow};
use serde::Serialize;

use super::packages::{Change, find};
use super::{json, limit, moment, part};
use crate::error::Error;
use crate::pages::build::find as find_build;
use crate::pages::package::{LAST_BUILD, last_seen, last_seen_id, seen};
use crate::request::Ask;
use crate::site::SharedSite;

/// Most builds of a part of a list.
const LARGEST_PART: u32 = 100;
/// Changes of a build: more than any buildroot has packages.
const CHANGES: i64 = 100_000;

/// What every list tells of a build.
#[derive(Serialize)]
struct Facts<'a> {
    collection: &'a str,
    state: &'static str,
    real: bool,
    untagged: bool,
    task_id: i32,
    time_started: String,
    time_finished: Option<String>,
    epoch: Option<i32>,
    version: Option<&'a str>,
    release: Option<&'a str>,
    repo_id: Option<i32>,
}

#[derive(Serialize)]
struct Build<'a> {
    id: i32,
    package: &'a str,
    #[serde(flatten)]
    facts: Facts<'a>,
    /// Whether its dependencies could be installed.
    deps_resolved: Option<bool>,
    tasks: Vec<Task<'a>>,
}

/// A part of a build, for one architecture.
#[derive(Serialize)]
struct Task<'a> {
    task_id: i32,
    arch: &'a str,
    state: &'static str,
    time_started: String,
    time_finished: Option<String>,
}

impl<'a> Task<'a> {
    fn new(row: &'a TaskRow) -> Self {
        Self {
            task_id: row.task_id,
            arch: &row.arch,
            state: task_word(row.state),
            time_started: moment(row.started),
            time_finished: row.finished.map(moment),
        }
    }
}

/// The words that Koji has for states of its tasks.
fn task_word(state: i32) -> &'static str {
    match state {
        0 => "free",
        1 => "open",
        2 => "closed",
        3 => "canceled",
        4 => "assigned",
        5 => "failed",
        _ => "unknown",
    }
}

fn word(state: i32) -> &'static str {
    BuildState::from_number(state).map_or("unknown", BuildState::word)
}

/// One build.
pub(super) async fn one(
    State(site): State<SharedSite>,
    Path(id): Path<String>,
    ask: Ask,
) -> Result<Response, Error> {
    let build = find_build(&site, &id).await?;
    let (selection, tasks) = tokio::try_join!(site.selection(&ask), async {
        Ok(db::tasks_of(&site.pool, &[build.id]).await?)
    })?;
    json(&Build {
        id: build.id,
        package: &build.name,
        facts: Facts {
            collection: selection.by_id(build.collection_id).map_or("", |one| one.name.as_str()),
            state: word(build.state),
            real: build.real,
            untagged: build.untagged,
            task_id: build.task_id,
            time_started: moment(build.started),
            time_finished: build.finished.map(moment),
            epoch: build.evr.epoch,
            version: build.evr.version.as_deref(),
            release: build.evr.release.as_deref(),
            repo_id: build.repo_id,
        },
        deps_resolved: build.deps_resolved,
        tasks: tasks.iter().map(Task::new).collect(),
    })
}

#[derive(Serialize)]
struct Changes<'a> {
    /// The build that it was compared with; null when it was compared with none, so that nothing is known.
    compared_build: Option<i32>,
    changes: Vec<Change<'a>>,
}

/// What changed with a build.
pub(super) async fn changes(
    State(site): State<SharedSite>,
    Path(id): Path<String>,
) -> Result<Response, Error> {
    let build = find_build(&site, &id).await?;
    let rows = db::applied_changes(&site.pool, &[build.id], CHANGES).await?;
    json(&Changes {
        compared_build: build.compared_id,
        changes: rows.iter().map(Change::new).collect(),
    })
}

/// A build of the list of a package.
#[derive(Serialize)]
struct Listed<'a> {
    id: i32,
    #[serde(flatten)]
    facts: Facts<'a>,
}

impl<'a> Listed<'a> {
    fn new(build: &'a HistoryBuild, collection: &'a str) -> Self {
        let facts = Facts {
            collection,
            state: word(build.state),
            real: build.real,
            untagged: build.untagged,
            task_id: build.task_id,
            time_started: moment(build.started),
            time_finished: build.finished.map(moment),
            epoch: build.evr.epoch,
            version: build.evr.version.as_deref(),
            release: build.evr.release.as_deref(),
            repo_id: build.repo_id,
        };
        Self { id: build.id, facts }
    }
}

/// The builds of a package in one collection, newest first.
pub(super) async fn of_package(
    State(site): State<SharedSite>,
    Path(name): Path<String>,
    ask: Ask,
) -> Result<Response, Error> {
    let selection = site.selection(&ask).await?;
    let limit = limit(&ask, LARGEST_PART)?.unwrap_or(LARGEST_PART);
    let last_id = last_seen_id(&ask, LAST_BUILD)?.unwrap_or(0);
    let before = last_seen(&ask)?.map(|time| (time, last_id));
    let mut packages = find(&site, &selection, &name).await?;
    if packages.is_empty() {
        return json(&[(); 0]);
    }
    let (collection, package) = packages.swap_remove(0);
    let mut builds =
        db::history_builds(&site.pool, package.id, before, i64::from(limit) + 1).await?;
    let more = builds.len() > usize::try_from(limit).unwrap_or(usize::MAX);
    builds.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    let next = builds.last().filter(|_| more).map(|last| {
        let seen = seen(last.started);
        let path = format!("/api/v1/packages/{}/builds", crate::address::encode(&name));
        // The same collection, whatever comes first by then.
        let pairs = Ask {
            pairs: ask
                .pairs
                .into_iter()
                .filter(|(key, _)| key != "collection" && key != LAST_BUILD)
                .chain([
                    ("collection".to_owned(), collection.name.clone()),
                    (LAST_BUILD.to_owned(), last.id.to_string()),
                ])
                .collect(),
            ..Ask::default()
        };
        site.absolute(
            &site.addresses.to(&format!("{path}{}", pairs.with("last_seen_ts", Some(&seen)))),
        )
    });
    part(&builds.iter().map(|build| Listed::new(build, &collection.name)).collect::<Vec<_>>(), next)
}
