//! `POST /theme`: light, dark, or what the system says, kept in a cookie.

use axum::extract::{Form, State};
use axum::http::{HeaderValue, header};
use axum::response::Response;

use crate::request::{THEME_COOKIE, theme as known};
use crate::site::SharedSite;

/// Sets the theme and goes back to where the reader came from, on this site only.
pub(crate) async fn theme(
    State(site): State<SharedSite>,
    Form(fields): Form<Vec<(String, String)>>,
) -> Response {
    let value = |name: &str| {
        fields
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
            .unwrap_or_default()
    };
    let next = own_path(value("next")).unwrap_or("/");
    let mut response = crate::frame::redirect(&site.addresses.to(next));
    let path = format!("{}/", site.config.path_prefix);
    let cookie = match known(value("theme")) {
        Some(theme) => {
            format!("{THEME_COOKIE}={theme}; Path={path}; Max-Age=31536000; SameSite=Lax; HttpOnly")
        }
        None => format!("{THEME_COOKIE}=; Path={path}; Max-Age=0; SameSite=Lax; HttpOnly"),
    };
    if let Ok(cookie) = HeaderValue::from_str(&cookie) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    response
}

/// A path of this site: it begins with one slash, and nothing in it can lead elsewhere.
pub(crate) fn own_path(path: &str) -> Option<&str> {
    let inside = path.starts_with('/')
        && !path.starts_with("//")
        && !path.contains('\\')
        && path.bytes().all(|byte| (0x21..0x7f).contains(&byte));
    inside.then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_of_this_site_are_followed() {
        assert_eq!(own_path("/package/a?collection=b"), Some("/package/a?collection=b"));
        for wrong in [
            "",
            "//evil.example",
            "/\\evil.example",
            "https://evil.example",
            "/a\r\nSet-Cookie: b",
            "/a b",
        ] {
            assert_eq!(own_path(wrong), None, "{wrong}");
        }
    }
}
