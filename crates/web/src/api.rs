//! `/api/v1`: what programs read. Field names, order and the form of times are promises (spec/web.md).

use axum::Router;
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use chrono::NaiveDateTime;
use koschei_db::pages::{self as db, ApiPackage};
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use crate::error::Error;
use crate::pages::state;
use crate::request::{Ask, Selection, unknown_collection};
use crate::site::SharedSite;

pub(crate) fn routes() -> Router<SharedSite> {
    Router::new()
        .route("/api/v1/packages", get(packages))
        .route("/api/v1/collections/diff/{a}/{b}", get(difference))
        .route("/api/v1/openapi.json", get(description))
}

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

/// PostgreSQL's JSON form of a timestamp without zone: `2026-11-22T03:31:00.5`, trailing zeros of the fraction trimmed.
fn timestamp(time: NaiveDateTime) -> String {
    let text = time.format("%Y-%m-%dT%H:%M:%S%.6f").to_string();
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
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

fn json(content: &impl Serialize) -> Result<Response, Error> {
    let body = serde_json::to_vec(content)?;
    Ok(([(header::CONTENT_TYPE, "application/json")], body).into_response())
}

/// The description of all this for programs (OpenAPI 3.1), with the address of this site in it.
async fn description(State(site): State<SharedSite>) -> Result<Response, Error> {
    let mut description: serde_json::Value =
        serde_json::from_str(include_str!("../assets/openapi.json"))?;
    if let Some(server) = description.pointer_mut("/servers/0/url") {
        *server = site.absolute(&site.addresses.to("/")).trim_end_matches('/').into();
    }
    json(&description)
}

async fn packages(State(site): State<SharedSite>, ask: Ask) -> Result<Response, Error> {
    let selection = site.selection(&ask).await?;
    let collections = selection.named.then(|| selection.ids());
    let names: Vec<String> =
        ask.pairs.iter().filter(|(key, _)| key == "name").map(|(_, value)| value.clone()).collect();
    let names = (!names.is_empty()).then_some(names);
    let rows = db::api_packages(&site.pool, collections.as_deref(), names.as_deref()).await?;
    json(&rows.iter().map(Package::new).collect::<Vec<_>>())
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

async fn difference(
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_look_as_postgresql_writes_them() {
        for (time, text) in [
            ("2026-11-22T03:31:00", "2026-11-22T03:31:00"),
            ("2026-11-22T03:30:00.5", "2026-11-22T03:30:00.5"),
            ("2026-11-22T10:00:10.120300", "2026-11-22T10:00:10.1203"),
            ("2026-11-22T10:00:10.000001", "2026-11-22T10:00:10.000001"),
        ] {
            assert_eq!(timestamp(time.parse().expect("a time")), text);
        }
    }
}
