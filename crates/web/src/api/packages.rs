//! Packages: the list that the original has, in parts for those who want it so, and one package in all its collections.

use axum::extract::{Path, State};
use axum::response::Response;
use koschei_core::states::{BuildState, PackageState};
use koschei_db::pages::{self as db, ApiPackage, ApiPart, ChangeRow, CollectionRow, PackageRow};
use serde::Serialize;

use super::{Evr, bulk, json, limit, moment, part, timestamp};
use crate::error::Error;
use crate::evr::{Change as Shown, Direction};
use crate::pages::{groups, schedule, state};
use crate::request::{Ask, Selection};
use crate::site::{SharedSite, Site};
use crate::suspended;
use crate::text::Clock;

/// Most packages of a part of the list.
const LARGEST_PART: u32 = 10_000;

/// A package of `/api/v1/packages`; the order of the fields is that of the answer.
#[derive(Serialize)]
struct Package<'a> {
    name: &'a str,
    collection: &'a str,
    state: &'static str,
    last_complete_build: Option<Build<'a>>,
}

#[derive(Serialize)]
struct Build<'a> {
    task_id: i32,
    time_started: Option<String>,
    time_finished: Option<String>,
    epoch: Option<i32>,
    version: Option<&'a str>,
    release: Option<&'a str>,
}

impl<'a> Package<'a> {
    fn new(row: &'a ApiPackage) -> Self {
        let build = &row.last_complete_build;
        Self {
            name: &row.name,
            collection: &row.collection,
            state: state(row.blocked, row.tracked, row.resolved, row.last_complete_build_state)
                .word(),
            last_complete_build: build.task_id.map(|task_id| Build {
                task_id,
                time_started: build.time_started.map(timestamp),
                time_finished: build.time_finished.map(timestamp),
                epoch: build.epoch,
                version: build.version.as_deref(),
                release: build.release.as_deref(),
            }),
        }
    }
}

/// All packages, or those that the parameters name: in one answer unless they ask for parts.
pub(super) async fn list(State(site): State<SharedSite>, ask: Ask) -> Result<Response, Error> {
    let selection = site.selection(&ask).await?;
    let collections = selection.named.then(|| selection.ids());
    let names: Vec<String> =
        ask.pairs.iter().filter(|(key, _)| key == "name").map(|(_, value)| value.clone()).collect();
    let names = (!names.is_empty()).then_some(names);
    let limit = limit(&ask, LARGEST_PART)?;
    let wanted = wanted_state(&ask)?;
    let after = after(&ask, &selection)?;
    let group = match ask.value("group").filter(|group| !group.is_empty()) {
        Some(group) => Some(groups::find_named(&site, group).await?.id),
        None => None,
    };
    if limit.is_none() && wanted.is_none() && after.is_none() && group.is_none() {
        if names.is_none() {
            let rows = db::packages_in_bulk(&site.pool, collections.as_deref()).await?;
            // It takes its time when there are many, and others must not wait for it.
            return tokio::task::spawn_blocking(move || bulk::answer(&rows, &selection.chosen))
                .await
                .unwrap_or_else(|error| Err(Error::Json(serde::ser::Error::custom(error))));
        }
        let rows = db::api_packages(&site.pool, collections.as_deref(), names.as_deref()).await?;
        return json(&rows.iter().map(Package::new).collect::<Vec<_>>());
    }
    let wanted = ApiPart {
        collections: collections.as_deref(),
        names: names.as_deref(),
        state: wanted,
        group,
        after: after.as_ref().map(|(name, collections)| (name.as_str(), collections.as_slice())),
        // One more tells whether there is another part.
        limit: limit.map(|limit| i64::from(limit) + 1),
    };
    let mut rows = db::api_packages_part(&site.pool, &wanted).await?;
    let length = limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX);
    let more = rows.len() > length;
    rows.truncate(length);
    let next = rows.last().filter(|_| more).map(|last| {
        let query = ask.with("after", Some(&format!("{}/{}", last.name, last.collection)));
        site.absolute(&site.addresses.to(&format!("/api/v1/packages{query}")))
    });
    part(&rows.iter().map(Package::new).collect::<Vec<_>>(), next)
}

/// The parameter `state`.
fn wanted_state(ask: &Ask) -> Result<Option<PackageState>, Error> {
    let Some(word) = ask.value("state").filter(|word| !word.is_empty()) else { return Ok(None) };
    let known = PackageState::ALL.into_iter().find(|known| known.word() == word);
    known.map(Some).ok_or_else(|| {
        let words: Vec<String> =
            PackageState::ALL.iter().map(|known| known.word().to_owned()).collect();
        Error::bad_request(
            "No package can be in this state",
            format!("States are {}.", crate::text::enumeration(&words)),
        )
    })
}

/// The parameter `after`, `NAME/COLLECTION`: the name, and the collections that come behind that one.
fn after(ask: &Ask, selection: &Selection) -> Result<Option<(String, Vec<i32>)>, Error> {
    let Some(after) = ask.value("after").filter(|after| !after.is_empty()) else { return Ok(None) };
    let (name, collection) = after.rsplit_once('/').ok_or_else(|| {
        Error::bad_request(
            "The place in the list is none",
            "Follow the header \u{201c}Link\u{201d} of the part before.",
        )
    })?;
    let place = selection.all.iter().position(|one| one.name == collection).ok_or_else(|| {
        // It was there when the part before was read.
        Error::bad_request(
            format!("No collection is called {collection}"),
            "Read the list from its beginning.",
        )
    })?;
    Ok(Some((name.to_owned(), selection.all.iter().skip(place + 1).map(|one| one.id).collect())))
}

/// A package in all collections that were asked for.
#[derive(Serialize)]
struct Details<'a> {
    name: &'a str,
    groups: Vec<String>,
    collections: Vec<InCollection<'a>>,
}

#[derive(Serialize)]
struct InCollection<'a> {
    collection: &'a str,
    state: &'static str,
    since: Option<String>,
    tracked: bool,
    blocked: bool,
    last_complete_build: Option<Build<'a>>,
    last_build: Option<LastBuild>,
    resolved_repo_id: Option<i32>,
    arch_override: Option<&'a str>,
    skip_resolution: bool,
    current_priority: Option<f64>,
    static_priority: i32,
    manual_priority: i32,
    build_priority: i32,
    dependency_priority: i32,
    not_schedulable: Vec<String>,
}

#[derive(Serialize)]
struct LastBuild {
    id: i32,
    task_id: Option<i32>,
    state: &'static str,
    time_started: Option<String>,
}

/// The package of this name in the chosen collections, in their order, each with its collection.
pub(super) async fn find<'a>(
    site: &Site,
    selection: &'a Selection,
    name: &str,
) -> Result<Vec<(&'a CollectionRow, PackageRow)>, Error> {
    let rows = db::package(&site.pool, name).await?;
    if rows.is_empty() {
        return Err(Error::not_found(
            format!("No package is called {name}"),
            "The name is not known in any collection.",
        ));
    }
    let mut found: Vec<(&CollectionRow, PackageRow)> = Vec::new();
    for row in rows {
        if let Some(one) = selection.chosen.iter().find(|one| one.id == row.collection_id) {
            found.push((one, row));
        }
    }
    found.sort_by_key(|(one, _)| selection.chosen.iter().position(|other| other.id == one.id));
    Ok(found)
}

/// One package.
pub(super) async fn one(
    State(site): State<SharedSite>,
    Path(name): Path<String>,
    ask: Ask,
) -> Result<Response, Error> {
    let selection = site.selection(&ask).await?;
    let (rows, names) = (find(&site, &selection, &name).await?, [name.clone()]);
    let bases: Vec<i32> = rows.iter().map(|(_, row)| row.base_id).take(1).collect();
    let (complete, groups, stopped) = tokio::try_join!(
        db::api_packages(&site.pool, None, Some(&names)),
        db::package_groups(&site.pool, &bases),
        suspended::of_package(&site.pool, bases.first().copied().unwrap_or_default()),
    )?;
    let clock = Clock { now: chrono::Utc::now() };
    let now = clock.now;
    let collections = rows
        .iter()
        .map(|(collection, row)| {
            let reasons = schedule::reasons_of(row, collection, now);
            let mut not_schedulable: Vec<String> =
                reasons.iter().map(|reason| reason.text().to_owned()).collect();
            not_schedulable.extend(stopped.sentences(collection.id, &clock));
            let current = schedule::current_priority(&site, row, collection, now)
                .filter(|_| not_schedulable.is_empty());
            InCollection {
                collection: &collection.name,
                state: state_of(row).word(),
                since: row.since.map(moment),
                tracked: row.tracked,
                blocked: row.blocked,
                last_complete_build: complete
                    .iter()
                    .find(|one| one.collection == collection.name)
                    .and_then(|one| Package::new(one).last_complete_build),
                last_build: row.last_build_id.map(|id| LastBuild {
                    id,
                    task_id: row.last_task_id,
                    state: if row.last_build_id == row.last_complete_build_id {
                        row.last_complete_build_state
                            .and_then(BuildState::from_number)
                            .map_or("running", BuildState::word)
                    } else {
                        BuildState::Running.word()
                    },
                    time_started: row.last_started.map(moment),
                }),
                resolved_repo_id: row.resolved_repo_id,
                arch_override: row.arch_override.as_deref(),
                skip_resolution: row.skip_resolution,
                // Two digits are enough to compare, and do not change with every look.
                current_priority: current.map(|current| (current * 100.0).round() / 100.0),
                static_priority: row.static_priority,
                manual_priority: row.manual_priority,
                build_priority: row.build_priority,
                dependency_priority: row.dependency_priority,
                not_schedulable,
            }
        })
        .collect();
    json(&Details {
        name: &name,
        groups: groups.into_iter().map(|group| group.name).collect(),
        collections,
    })
}

fn state_of(row: &PackageRow) -> PackageState {
    state(row.blocked, row.tracked, row.resolved, row.last_complete_build_state)
}

/// A changed dependency.
#[derive(Serialize)]
pub(super) struct Change<'a> {
    name: &'a str,
    change: &'static str,
    distance: Option<i32>,
    previous: Option<Evr<'a>>,
    current: Option<Evr<'a>>,
}

impl<'a> Change<'a> {
    pub(super) fn new(row: &'a ChangeRow) -> Self {
        let side =
            |id: Option<i32>, epoch, version: &'a Option<String>, release: &'a Option<String>| {
                id.map(|_| Evr { epoch, version: version.as_deref(), release: release.as_deref() })
            };
        Self {
            name: &row.name,
            change: match Shown::new(row).direction {
                Direction::Same => "same",
                other => other.word(),
            },
            distance: row.distance,
            previous: side(row.prev_id, row.prev_epoch, &row.prev_version, &row.prev_release),
            current: side(row.curr_id, row.curr_epoch, &row.curr_version, &row.curr_release),
        }
    }
}

#[derive(Serialize)]
struct Changes<'a> {
    collection: &'a str,
    changes: Vec<Change<'a>>,
}

/// What changed since the last build of a package.
pub(super) async fn changes(
    State(site): State<SharedSite>,
    Path(name): Path<String>,
    ask: Ask,
) -> Result<Response, Error> {
    let selection = site.selection(&ask).await?;
    let packages = find(&site, &selection, &name).await?;
    let ids: Vec<i32> = packages.iter().map(|(_, row)| row.id).collect();
    let rows = db::unapplied_changes_of(&site.pool, &ids).await?;
    let answer: Vec<Changes<'_>> = packages
        .iter()
        .map(|(collection, package)| Changes {
            collection: &collection.name,
            changes: rows
                .iter()
                .filter(|row| row.owner_id == package.id)
                .map(Change::new)
                .collect(),
        })
        .collect();
    json(&answer)
}
