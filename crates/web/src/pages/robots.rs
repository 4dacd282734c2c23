//! What crawlers and browsers ask for by themselves.

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};

use crate::site::SharedSite;

/// `/robots.txt`: searches over versions are endless, so robots are kept off.
pub(crate) async fn robots(State(site): State<SharedSite>) -> Response {
    let text = format!(
        "User-agent: *\nDisallow: {}\nDisallow: {}\n",
        site.addresses.to("/affected-by/"),
        site.addresses.to("/search"),
    );
    ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response()
}

/// The egg with its needle.
const ICON: &str = r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 28 28"><path fill="#5a60c8" fill-rule="evenodd" d="M14 1c5.2 0 10 7.6 10 14.6S19.6 27 14 27 4 22.6 4 15.6 8.800 1 14 1Zm5.300 6.100-1.100-.9-9.500 13.700-.6 2.600 2.200-1.400zm-1.900 1.500.500.400-1.300 1.900-.5-.4z"/></svg>"##;

/// `/favicon.svg`.
pub(crate) async fn favicon() -> Response {
    (
        [(header::CONTENT_TYPE, "image/svg+xml"), (header::CACHE_CONTROL, "public, max-age=86400")],
        ICON,
    )
        .into_response()
}
