//! Stylesheets and scripts, under addresses that name their content, so that browsers may keep them for ever.

use axum::extract::{Path, State};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};

use crate::error::Error;
use crate::site::SharedSite;

const STYLE: &str = include_str!("../assets/style.css");
const FORMS: &str = include_str!("../assets/forms.css");
const SCRIPT: &str = include_str!("../assets/live.js");
const FIND: &str = include_str!("../assets/find.js");

/// Names of the assets of this build.
#[derive(Debug, Clone)]
pub(crate) struct Assets {
    style_sheet: String,
    forms_sheet: String,
    /// File name of the stylesheet.
    pub(crate) style: String,
    /// File name of what pages with forms need besides.
    pub(crate) forms: String,
    /// File name of the script that keeps a page up to date.
    pub(crate) script: String,
    /// File name of the script that suggests packages.
    pub(crate) find: String,
}

impl Assets {
    /// Names after the content.
    pub(crate) fn new() -> Self {
        let (style_sheet, forms_sheet) = (compact(STYLE), compact(FORMS));
        Self {
            style: format!("style.{}.css", fingerprint(style_sheet.as_bytes())),
            forms: format!("forms.{}.css", fingerprint(forms_sheet.as_bytes())),
            script: format!("live.{}.js", fingerprint(SCRIPT.as_bytes())),
            find: format!("find.{}.js", fingerprint(FIND.as_bytes())),
            style_sheet,
            forms_sheet,
        }
    }
}

/// A stylesheet without what only its authors read: comments and ends of lines. It has neither in its values.
fn compact(sheet: &str) -> String {
    let mut compact = String::with_capacity(sheet.len());
    let mut rest = sheet;
    while let Some((before, after)) = rest.split_once("/*") {
        compact.push_str(before);
        rest = after.split_once("*/").map_or("", |(_, after)| after);
    }
    compact.push_str(rest);
    compact.replace('\n', "")
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
        (site.assets.style_sheet.clone(), "text/css; charset=utf-8")
    } else if name == site.assets.forms {
        (site.assets.forms_sheet.clone(), "text/css; charset=utf-8")
    } else if name == site.assets.find {
        (FIND.to_owned(), "text/javascript; charset=utf-8")
    } else if name == site.assets.script {
        (SCRIPT.to_owned(), "text/javascript; charset=utf-8")
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_lines_are_for_authors() {
        assert_eq!(
            compact("/* a\n b */\n:root{\ncolor:red;\n}\n/* c */a{b:c}\n"),
            ":root{color:red;}a{b:c}"
        );
        for sheet in [STYLE, FORMS] {
            let compact = compact(sheet);
            assert_eq!(compact.matches('{').count(), sheet.matches('{').count());
            assert!(!compact.contains("/*"));
        }
    }
}
