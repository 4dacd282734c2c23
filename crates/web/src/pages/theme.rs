//! `POST /theme`: light, dark, or what the system says, kept in a cookie.

use axum::extract::{Extension, Request, State};
use axum::response::Response;
use chrono::TimeDelta;

use crate::error::Error;
use crate::forms;
use crate::login::{Way, add_cookie, set_cookie};
use crate::request::{THEME_COOKIE, own_path, theme as known};
use crate::site::SharedSite;

/// Sets the theme and goes back to where the reader came from, on this site only. Anybody may do that.
pub(crate) async fn theme(
    State(site): State<SharedSite>,
    Extension(way): Extension<Way>,
    request: Request,
) -> Result<Response, Error> {
    site.count(&way, None)?;
    let (parts, body) = request.into_parts();
    let fields = forms::fields(&parts.headers, body).await?;
    let value = |name: &str| {
        fields
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
            .unwrap_or_default()
    };
    let next = own_path(value("next")).unwrap_or("/");
    let mut response = crate::frame::redirect(&site.addresses.to(next));
    let (theme, lasts) = match known(value("theme")) {
        Some(theme) => (theme, Some(TimeDelta::days(365))),
        None => ("", None),
    };
    let secure = site.is_secure(&way);
    let path = site.addresses.to("/");
    add_cookie(&mut response, &set_cookie(THEME_COOKIE, theme, &path, lasts, secure));
    Ok(response)
}
