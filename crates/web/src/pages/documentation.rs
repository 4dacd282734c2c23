//! `/documentation`: what the words mean and where the data is.

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use koschei_core::states::PackageState;

use crate::error::Error;
use crate::parts::Mark;
use crate::request::Ask;
use crate::site::{Frame, Section, SharedSite};
use crate::text;

#[derive(Template)]
#[template(path = "documentation.html")]
struct Page<'a> {
    frame: &'a Frame,
    states: Vec<(Mark, &'static str)>,
    threshold: String,
    t0: f64,
    t1: f64,
    external: &'a str,
}

/// The page. It needs no database, so that it is there when nothing else is.
pub(crate) async fn documentation(
    State(site): State<SharedSite>,
    ask: Ask,
) -> Result<Response, Error> {
    let frame = site.bare_frame(&ask, "What the states mean".to_owned());
    let states = [
        (PackageState::Ok, "The last complete build succeeded."),
        (PackageState::Failing, "The last complete build failed."),
        (
            PackageState::Unresolved,
            "Its build dependencies cannot be installed together from the newest Koji repo, so that no build is tried.",
        ),
        (PackageState::Unknown, "No complete build is known yet."),
        (
            PackageState::Untracked,
            "Nobody asked Koschei to watch it. It stays in the database and is shown on request.",
        ),
        (
            PackageState::Blocked,
            "Koji blocks it in the collection. Koschei leaves it alone until it is unblocked.",
        ),
    ];
    let priorities = &site.config.priorities;
    super::page(&Page {
        frame: &frame,
        states: states.into_iter().map(|(state, text)| (Mark::state(state), text)).collect(),
        threshold: text::count(priorities.build_threshold as i64),
        t0: priorities.t0,
        t1: priorities.t1,
        external: site.config.external_url.as_deref().unwrap_or_default(),
    })
}
