//! `/badge/COLLECTION/NAME.svg` and `.png`: the state of a package as a small picture, for other people's pages.

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

/// The same pictures for programs that show no SVG: one for each word, made from the template by a browser.
fn png(state: PackageState) -> &'static [u8] {
    match state {
        PackageState::Ok => include_bytes!("../assets/badge/ok.png"),
        PackageState::Failing => include_bytes!("../assets/badge/failing.png"),
        PackageState::Unresolved => include_bytes!("../assets/badge/unresolved.png"),
        PackageState::Unknown => include_bytes!("../assets/badge/unknown.png"),
        PackageState::Untracked => include_bytes!("../assets/badge/untracked.png"),
        PackageState::Blocked => include_bytes!("../assets/badge/blocked.png"),
    }
}

async fn badge(
    State(site): State<SharedSite>,
    Path((collection, file)): Path<(String, String)>,
) -> Result<Response, Error> {
    let (name, kind) = match file.rsplit_once('.') {
        Some((name, kind @ ("svg" | "png"))) => (name, kind),
        _ => {
            return Err(Error::not_found(
                "Badges are SVG or PNG pictures",
                "The address of a badge ends with the name of the package and .svg or .png.",
            ));
        }
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
    let state = state(
        package.blocked,
        package.tracked,
        package.resolved,
        package.last_complete_build_state,
    );
    // Pictures on other sites are asked for through caches that must not keep them for long.
    let cache = (header::CACHE_CONTROL, "no-cache, max-age=0");
    Ok(match kind {
        "png" => ([(header::CONTENT_TYPE, "image/png"), cache], png(state)).into_response(),
        _ => {
            let picture = Badge::new(state).render()?;
            ([(header::CONTENT_TYPE, "image/svg+xml; charset=utf-8"), cache], picture)
                .into_response()
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_of_pictures_have_the_same_size() {
        for state in PackageState::ALL {
            let png = png(state);
            assert_eq!(png.get(1..4), Some(&b"PNG"[..]));
            // The first chunk begins with width and height (PNG, section 11.2.2).
            let number = |at: usize| -> Option<u32> {
                png.get(at..at + 4)?.try_into().ok().map(u32::from_be_bytes)
            };
            let svg = Badge::new(state);
            assert_eq!((number(16), number(20)), (Some(svg.width), Some(20)), "{state}");
        }
    }
}
