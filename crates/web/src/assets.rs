//! Stylesheet and script, under addresses that name their content, so that browsers may keep them for ever.

use axum::extract::{Path, State};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};

use crate::error::Error;
use crate::site::SharedSite;

const STYLE: &str = include_str!("../assets/style.css");
const SCRIPT: &str = include_str!("../assets/live.js");

/// Names of the assets of this build.
#[derive(Debug, Clone)]
pub(crate) struct Assets {
    /// File name of the stylesheet.
    pub(crate) style: String,
    /// File name of the script.
    pub(crate) script: String,
}

impl Assets {
    /// Names after the content.
    pub(crate) fn new() -> Self {
        Self {
            style: format!("style.{}.css", fingerprint(STYLE.as_bytes())),
            script: format!("live.{}.js", fingerprint(SCRIPT.as_bytes())),
        }
    }
}

/// A short name for content: the same content has the same name.
pub(crate) fn fingerprint(content: &[u8]) -> String {
    Sha256::digest(content).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// `/static/NAME`.
pub(crate) async fn asset(
    State(site): State<SharedSite>,
    Path(name): Path<String>,
) -> Result<Response, Error> {
    let (content, kind) = if name == site.assets.style {
        (STYLE, "text/css; charset=utf-8")
    } else if name == site.assets.script {
        (SCRIPT, "text/javascript; charset=utf-8")
    } else {
        return Err(Error::not_found(
            "There is no such file",
            "It may belong to an older version; reload the page that asked for it.",
        ));
    };
    let mut response = content.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(
        header::CACHE_CONTROL,
        HeaderValue::from_static("public, max-age=31536000, immutable"),
    );
    Ok(response)
}
