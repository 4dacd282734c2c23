//! The pages: one module each, named after its address.

mod add_packages;
mod affected_by;
pub(crate) mod broken;
mod bug_report;
pub(crate) mod build;
mod build_times;
mod collections;
mod documentation;
mod edit_group;
mod edit_package;
mod feeds;
mod front;
pub(crate) mod groups;
mod narrowing;
pub(crate) mod package;
mod package_log;
mod packages;
mod robots;
pub(crate) mod schedule;
mod search;
mod stats;
mod theme;
mod user;

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
        .route("/package/{name}/edit", get(edit_package::show).post(edit_package::edit))
        .route("/package/{name}/log", get(package_log::package_log))
        .route("/package/{name}/times", get(build_times::build_times))
        .route("/bugreport/{name}", get(bug_report::bug_report))
        .route("/add-packages", get(add_packages::show).post(add_packages::add))
        .route("/build/{id}", get(build::build))
        .route("/build/{id}/cancel", post(build::cancel))
        .route("/broken", get(broken::broken))
        .route("/collections", get(collections::collections))
        .route("/collection/{name}", get(collections::collection))
        .route("/groups", get(groups::groups))
        .route("/add-group", get(edit_group::show_new).post(edit_group::add))
        .merge(group_routes("/groups/{name}"))
        .merge(group_routes("/groups/{namespace}/{name}"))
        .route("/user/{name}", get(user::user))
        .route("/search", get(search::search))
        .route("/suggest", get(search::suggest))
        .route("/affected-by/{name}", get(affected_by::affected_by))
        .route("/stats", get(stats::stats))
        .route("/documentation", get(documentation::documentation))
        .route("/robots.txt", get(robots::robots))
        .route("/favicon.svg", get(robots::favicon))
        .route("/theme", post(theme::theme))
        .route("/static/{name}", get(asset))
        .merge(feeds::routes())
}

/// What there is of a group, below its address.
fn group_routes(address: &str) -> Router<SharedSite> {
    Router::new()
        .route(address, get(groups::group))
        .route(&format!("{address}/edit"), get(edit_group::show).post(edit_group::edit))
        .route(
            &format!("{address}/delete"),
            get(edit_group::ask_to_delete).post(edit_group::delete),
        )
}

/// Renders a page.
pub(crate) fn page(template: &impl Template) -> Result<Response, Error> {
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
