//! `/api/v1`: what programs read. Field names, order and the form of times are promises (spec/web.md).
//!
//! The list of packages and the difference of two collections are those of the original; the others tell what the pages
//! show, in the same notation: a thing is called by its name, a time is naive UTC and begins with `time_` or is `since`.

mod builds;
mod bulk;
mod collections;
mod groups;
mod packages;
mod problems;

use axum::Router;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use chrono::{DateTime, NaiveDateTime, Utc};
use serde::Serialize;

use crate::error::Error;
use crate::request::Ask;
use crate::site::SharedSite;

pub(crate) fn routes() -> Router<SharedSite> {
    Router::new()
        .route("/api/v1/packages", get(packages::list))
        .route("/api/v1/packages/{name}", get(packages::one))
        .route("/api/v1/packages/{name}/builds", get(builds::of_package))
        .route("/api/v1/packages/{name}/changes", get(packages::changes))
        .route("/api/v1/packages/{name}/problems", get(problems::of_package))
        .route("/api/v1/builds/{id}", get(builds::one))
        .route("/api/v1/builds/{id}/changes", get(builds::changes))
        .route("/api/v1/problems", get(problems::by_cause))
        .route("/api/v1/collections", get(collections::list))
        .route("/api/v1/collections/{name}", get(collections::one))
        .route("/api/v1/collections/diff/{a}/{b}", get(collections::difference))
        .route("/api/v1/freshness", get(collections::freshness))
        .route("/api/v1/groups", get(groups::list))
        .route("/api/v1/groups/{name}", get(groups::one))
        .route("/api/v1/groups/{namespace}/{name}", get(groups::one))
        .route("/api/v1/openapi.json", get(description))
}

/// PostgreSQL's JSON form of a timestamp without zone: `2026-11-22T03:31:00.5`, trailing zeros of the fraction trimmed.
fn timestamp(time: NaiveDateTime) -> String {
    let text = time.format("%Y-%m-%dT%H:%M:%S%.6f").to_string();
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn json(content: &impl Serialize) -> Result<Response, Error> {
    let body = serde_json::to_vec(content)?;
    Ok(([(header::CONTENT_TYPE, "application/json")], body).into_response())
}

/// The same of a time with its zone.
fn moment(time: DateTime<Utc>) -> String {
    timestamp(time.naive_utc())
}

/// A part of a list, with the address of the next part in the header `Link` (RFC 8288).
fn part(content: &impl Serialize, next: Option<String>) -> Result<Response, Error> {
    let mut response = json(content)?;
    let link = next.and_then(|next| format!("<{next}>; rel=\"next\"").parse().ok());
    if let Some(link) = link {
        response.headers_mut().insert(header::LINK, link);
    }
    Ok(response)
}

/// The parameter `limit`: at most so many entries.
fn limit(ask: &Ask, most: u32) -> Result<Option<u32>, Error> {
    match ask.value("limit").map(str::trim) {
        None | Some("") => Ok(None),
        Some(text) => match text.parse() {
            Ok(limit) if (1..=most).contains(&limit) => Ok(Some(limit)),
            _ => Err(Error::bad_request(
                "The limit is not a number that is possible",
                format!("Choose a number from 1 to {most}, or leave it out."),
            )),
        },
    }
}

/// A dependency or a build: what was built.
#[derive(Serialize)]
struct Evr<'a> {
    epoch: Option<i32>,
    version: Option<&'a str>,
    release: Option<&'a str>,
}

/// The description of all this for programs (OpenAPI 3.1), with the address of this site in it.
async fn description(State(site): State<SharedSite>) -> Result<Response, Error> {
    let mut description: serde_json::Value =
        serde_json::from_str(include_str!("../../assets/openapi.json"))?;
    if let Some(server) = description.pointer_mut("/servers/0/url") {
        *server = site.absolute(&site.addresses.to("/")).trim_end_matches('/').into();
    }
    json(&description)
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
