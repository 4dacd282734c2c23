//! `/badge/COLLECTION/NAME.svg`: the state of a package as a small picture, for other people's pages.

use askama::Template;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use koschei_core::states::PackageState;
use koschei_db::pages as db;

use crate::error::Error;
use crate::pages::state;
use crate::request::unknown_collection;
use crate::site::SharedSite;

pub(crate) fn routes() -> Router<SharedSite> {
    Router::new().route("/badge/{collection}/{file}", get(badge))
}

#[derive(Template)]
#[template(path = "badge.svg", escape = "html")]
struct Badge {
    word: &'static str,
    colour: &'static str,
    left: u32,
    right: u32,
    right_middle: u32,
    width: u32,
}

impl Badge {
    fn new(state: PackageState) -> Self {
        let word = state.word();
        let colour = match state {
            PackageState::Ok => "#33834f",
            PackageState::Failing => "#c3352b",
            PackageState::Unresolved => "#a3660c",
            PackageState::Unknown | PackageState::Untracked | PackageState::Blocked => "#626770",
        };
        let left = 58;
        // 6.6 units for a letter of 11 units in the usual sans-serif fonts, and a margin.
        let right = (u32::try_from(word.len()).unwrap_or(0) * 66).div_ceil(10) + 14;
        Self { word, colour, left, right, right_middle: left + right / 2, width: left + right }
    }
}

async fn badge(
    State(site): State<SharedSite>,
    Path((collection, file)): Path<(String, String)>,
) -> Result<Response, Error> {
    let Some(name) = file.strip_suffix(".svg") else {
        return Err(Error::not_found(
            "Badges are SVG pictures",
            "The address of a badge ends with the name of the package and .svg.",
        ));
    };
    let (collections, packages) =
        tokio::try_join!(db::collections(&site.pool), db::package(&site.pool, name))?;
    let Some(collection) = collections.iter().find(|one| one.name == collection) else {
        return Err(unknown_collection(&collection));
    };
    let Some(package) = packages.iter().find(|package| package.collection_id == collection.id)
    else {
        return Err(Error::not_found(
            format!("No package is called {name} in {}", collection.display_name),
            "Look for it by its name.",
        ));
    };
    let badge = Badge::new(state(
        package.blocked,
        package.tracked,
        package.resolved,
        package.last_complete_build_state,
    ));
    // Pictures on other sites are asked for through caches that must not keep them for long.
    Ok((
        [
            (header::CONTENT_TYPE, "image/svg+xml; charset=utf-8"),
            (header::CACHE_CONTROL, "no-cache, max-age=0"),
        ],
        badge.render()?,
    )
        .into_response())
}
