//! Collections: what they are, how they differ, and how fresh what is known of them is.

use axum::extract::{Path, State};
use axum::response::Response;
use koschei_core::states::CollectionState;
use koschei_db::pages::{self as db, CollectionGroup, CollectionRow, Counts};
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use super::{json, moment};
use crate::error::Error;
use crate::pages::state;
use crate::request::{Ask, Selection, unknown_collection};
use crate::site::{SharedSite, Site, stale};
use crate::text::Clock;

/// A collection, with how many of its packages are in which state.
#[derive(Serialize)]
struct Collection<'a> {
    name: &'a str,
    display_name: &'a str,
    collection_groups: Vec<&'a str>,
    /// That of its build group.
    state: &'static str,
    latest_repo_id: Option<i32>,
    time_latest_repo: Option<String>,
    target: &'a str,
    dest_tag: &'a str,
    build_tag: &'a str,
    build_group: &'a str,
    secondary_mode: bool,
    poll_untracked: bool,
    priority_coefficient: f64,
    bugzilla_product: Option<&'a str>,
    bugzilla_version: Option<&'a str>,
    packages: Numbers,
    running: i64,
}

/// Numbers of packages by state.
#[derive(Serialize)]
struct Numbers {
    ok: i64,
    failing: i64,
    unresolved: i64,
    unknown: i64,
    untracked: i64,
    blocked: i64,
}

impl<'a> Collection<'a> {
    fn new(row: &'a CollectionRow, groups: &'a [CollectionGroup], counts: &[Counts]) -> Self {
        let counts =
            counts.iter().find(|one| one.collection_id == row.id).copied().unwrap_or_default();
        Self {
            name: &row.name,
            display_name: &row.display_name,
            collection_groups: groups
                .iter()
                .filter(|group| group.collection_ids.contains(&row.id))
                .map(|group| group.name.as_str())
                .collect(),
            state: CollectionState::of(row.latest_repo_resolved).word(),
            latest_repo_id: row.latest_repo_id,
            time_latest_repo: row.latest_repo_seen.map(moment),
            target: &row.target,
            dest_tag: &row.dest_tag,
            build_tag: &row.build_tag,
            build_group: &row.build_group,
            secondary_mode: row.secondary_mode,
            poll_untracked: row.poll_untracked,
            priority_coefficient: row.priority_coefficient,
            bugzilla_product: row.bugzilla_product.as_deref(),
            bugzilla_version: row.bugzilla_version.as_deref(),
            packages: Numbers {
                ok: counts.ok,
                failing: counts.failing,
                unresolved: counts.unresolved,
                unknown: counts.unknown,
                untracked: counts.untracked,
                blocked: counts.blocked,
            },
            running: counts.running,
        }
    }
}

async fn about(
    site: &Site,
    collections: &[CollectionRow],
) -> Result<(Vec<CollectionGroup>, Vec<Counts>), Error> {
    let ids: Vec<i32> = collections.iter().map(|one| one.id).collect();
    Ok(tokio::try_join!(db::collection_groups(&site.pool), db::counts(&site.pool, &ids))?)
}

/// All collections, in their order.
pub(super) async fn list(State(site): State<SharedSite>) -> Result<Response, Error> {
    let collections = db::collections(&site.pool).await?;
    let (groups, counts) = about(&site, &collections).await?;
    json(&collections.iter().map(|one| Collection::new(one, &groups, &counts)).collect::<Vec<_>>())
}

/// One collection.
pub(super) async fn one(
    State(site): State<SharedSite>,
    Path(name): Path<String>,
) -> Result<Response, Error> {
    let all = db::collections(&site.pool).await?;
    let found: Vec<CollectionRow> = all.into_iter().filter(|one| one.name == name).collect();
    let [collection] = found.as_slice() else { return Err(unknown_collection(&name)) };
    let (groups, counts) = about(&site, &found).await?;
    json(&Collection::new(collection, &groups, &counts))
}

/// How fresh what is known of a collection is.
#[derive(Serialize)]
struct Fresh<'a> {
    collection: &'a str,
    fresh: bool,
    reason: Option<String>,
    latest_repo_id: Option<i32>,
    latest_repo_resolved: Option<bool>,
    time_latest_repo: Option<String>,
    time_repo_made: Option<String>,
    time_looked: Option<String>,
    problems: Vec<&'a str>,
    packages_to_resolve: i64,
    packages_waiting: i64,
    builds_running: i64,
}

/// How fresh the chosen collections are: what every page says in a line.
pub(super) async fn freshness(State(site): State<SharedSite>, ask: Ask) -> Result<Response, Error> {
    let selection = site.selection(&ask).await?;
    let ids = selection.ids();
    let (known, waiting, running, problems) = tokio::try_join!(
        site.freshness(),
        site.waiting(),
        db::running_builds(&site.pool),
        db::buildroot_problems(&site.pool, &ids),
    )?;
    let clock = Clock { now: chrono::Utc::now() };
    let answer: Vec<Fresh<'_>> = selection
        .chosen
        .iter()
        .map(|collection| {
            let known = known.iter().find(|one| one.collection_id == collection.id);
            let reason = stale(&clock, collection, known);
            let problems: Vec<&str> = problems
                .iter()
                .filter(|(id, _)| *id == collection.id)
                .map(|(_, problem)| problem.as_str())
                .collect();
            Fresh {
                collection: &collection.name,
                fresh: reason.is_none() && collection.latest_repo_resolved == Some(true),
                reason,
                latest_repo_id: collection.latest_repo_id,
                latest_repo_resolved: collection.latest_repo_resolved,
                time_latest_repo: collection.latest_repo_seen.map(moment),
                time_repo_made: known.and_then(|known| known.repo_made).map(moment),
                time_looked: known.and_then(|known| known.looked).map(moment),
                problems,
                packages_to_resolve: known.map_or(0, |known| known.waiting),
                packages_waiting: waiting.get(&collection.id).copied().unwrap_or(0),
                builds_running: running
                    .iter()
                    .find(|(id, _)| *id == collection.id)
                    .map_or(0, |(_, count)| *count),
            }
        })
        .collect();
    json(&answer)
}

/// A package of `/api/v1/collections/diff/A/B`, with its states under the names of the collections.
#[derive(Serialize)]
struct Difference<'a> {
    name: &'a str,
    state: States<'a>,
}

struct States<'a>([(&'a str, &'static str); 2]);

impl Serialize for States<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        for (collection, state) in &self.0 {
            map.serialize_entry(collection, state)?;
        }
        map.end()
    }
}

/// What differs between two collections.
pub(super) async fn difference(
    State(site): State<SharedSite>,
    Path((a, b)): Path<(String, String)>,
) -> Result<Response, Error> {
    let selection = Selection::new(db::collections(&site.pool).await?, &Ask::default())?;
    let find = |name: &str| {
        selection
            .all
            .iter()
            .find(|one| one.name == name)
            .map(|one| one.id)
            .ok_or_else(|| unknown_collection(name))
    };
    let rows = db::api_difference(&site.pool, find(&a)?, find(&b)?).await?;
    let differences: Vec<Difference<'_>> = rows
        .iter()
        .map(|row| {
            let of_a = state(row.blocked_a, row.tracked_a, row.resolved_a, row.built_a).word();
            let of_b = state(row.blocked_b, row.tracked_b, row.resolved_b, row.built_b).word();
            Difference { name: &row.name, state: States([(&a, of_a), (&b, of_b)]) }
        })
        // Different columns may still make the same word.
        .filter(|one| one.state.0[0].1 != one.state.0[1].1)
        .collect();
    json(&differences)
}
