//! The pages: one module each, named after its address.

mod affected_by;
mod broken;
mod build;
mod collections;
mod documentation;
mod front;
mod groups;
mod package;
mod packages;
mod robots;
mod search;
mod stats;
mod theme;

use askama::Template;
use axum::Router;
use axum::response::Response;
use axum::routing::{get, post};
use koschei_core::states::{BuildState, PackageFacts, PackageState};

use crate::assets::asset;
use crate::error::Error;
use crate::site::SharedSite;

/// All pages for people.
pub(crate) fn routes() -> Router<SharedSite> {
    Router::new()
        .route("/", get(front::front))
        .route("/packages", get(packages::packages))
        .route("/package/{name}", get(package::package))
        .route("/build/{id}", get(build::build))
        .route("/broken", get(broken::broken))
        .route("/collections", get(collections::collections))
        .route("/collection/{name}", get(collections::collection))
        .route("/groups", get(groups::groups))
        .route("/groups/{name}", get(groups::global_group))
        .route("/groups/{namespace}/{name}", get(groups::user_group))
        .route("/search", get(search::search))
        .route("/affected-by/{name}", get(affected_by::affected_by))
        .route("/stats", get(stats::stats))
        .route("/documentation", get(documentation::documentation))
        .route("/robots.txt", get(robots::robots))
        .route("/favicon.svg", get(robots::favicon))
        .route("/theme", post(theme::theme))
        .route("/static/{name}", get(asset))
}

/// Renders a page.
fn page(template: &impl Template) -> Result<Response, Error> {
    Ok(crate::frame::html(template.render()?))
}

/// The state that follows from columns of `package`.
pub(crate) fn state(
    blocked: bool,
    tracked: bool,
    resolved: Option<bool>,
    last_complete_build_state: Option<i32>,
) -> PackageState {
    PackageState::of(PackageFacts {
        blocked,
        tracked,
        resolved,
        last_complete_build: last_complete_build_state.and_then(BuildState::from_number),
    })
}
