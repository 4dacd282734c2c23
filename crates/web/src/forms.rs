//! Forms: what is checked before any of them does anything, and how they end.
//!
//! A form counts only if somebody who is logged in sent it from a page of ours: it brings the token of their session. It
//! has a bounded size and comes in bounded numbers. It ends with a redirect, so that reloading does not repeat it, and a
//! sentence on the next page that says what was done; or with the same page, what was typed, and every mistake.

use std::collections::BTreeSet;

use axum::extract::{FromRequest, FromRequestParts as _, Request};
use axum::http::header;
use axum::response::Response;
use chrono::TimeDelta;
use koschei_db::administration::{self, Actor};

use crate::error::Error;
use crate::login::{SAID_COOKIE, Visitor, Way, add_cookie, set_cookie};
use crate::request::{Ask, own_path};
use crate::site::{SharedSite, Site};

/// Bytes that a form may have: the names of all packages of a large distribution fit.
pub(crate) const LARGEST: usize = 1 << 20;

/// A form of somebody who is logged in.
#[derive(Debug)]
pub(crate) struct Form {
    /// Who sent it.
    pub(crate) visitor: Visitor,
    way: Way,
    fields: Vec<(String, String)>,
}

impl FromRequest<SharedSite> for Form {
    type Rejection = Error;

    async fn from_request(request: Request, site: &SharedSite) -> Result<Self, Error> {
        let (mut parts, body) = request.into_parts();
        let Ok(ask) = Ask::from_request_parts(&mut parts, site).await;
        let way = parts.extensions.get::<Way>().copied().unwrap_or_default();
        site.count(&way, ask.visitor.as_ref())?;
        let fields = fields(&parts.headers, body).await?;
        let Some(visitor) = ask.visitor else {
            return Err(site.login_needed("/"));
        };
        let token = fields.iter().find(|(name, _)| name == "csrf_token");
        if !token.is_some_and(|(_, token)| visitor.accepts(&site.signer, token)) {
            return Err(Error::Forbidden {
                title: "This form does not belong to your login".to_owned(),
                advice: "You logged in again after you opened it, or it came from another site. Nothing was changed: \
                         open the form again and send it once more."
                    .to_owned(),
            });
        }
        Ok(Self { visitor, way, fields })
    }
}

/// The fields of a form, for whomever they come from.
pub(crate) async fn fields(
    headers: &axum::http::HeaderMap,
    body: axum::body::Body,
) -> Result<Vec<(String, String)>, Error> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let kind = kind.and_then(|kind| kind.split(';').next()).unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        return Err(Error::bad_request(
            "This is not a form",
            "Forms come as application/x-www-form-urlencoded, as browsers send them.",
        ));
    }
    let body = axum::body::to_bytes(body, LARGEST).await.map_err(|_| Error::TooLarge)?;
    let fields: Vec<(String, String)> = form_urlencoded::parse(&body).into_owned().collect();
    if fields.iter().any(|(name, value)| name.contains('\0') || value.contains('\0')) {
        return Err(Error::bad_request(
            "This form cannot be understood",
            "It has a character in it that no text has.",
        ));
    }
    Ok(fields)
}

impl Form {
    /// The first value of a field; `None` when the form has no such field.
    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The text of a field without white space around it; empty when the form has no such field.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.value(name).unwrap_or_default().trim()
    }

    /// All fields, in order.
    pub(crate) fn fields(&self) -> impl Iterator<Item = (&str, &str)> {
        self.fields.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Whether a box is checked; `None` when the form does not have the box. Browsers send nothing for an empty box, so
    /// a hidden field says that it is there.
    pub(crate) fn checked(&self, name: &str) -> Option<bool> {
        (self.value(&format!("{name}__present")) == Some("1")).then(|| self.value(name).is_some())
    }

    /// Who did it, for the audit log.
    pub(crate) fn actor(&self) -> Actor {
        Actor::visitor(&self.visitor.name)
    }

    /// Where the form wants to go on, on this site only.
    pub(crate) fn next<'a>(&'a self, otherwise: &'a str) -> &'a str {
        self.value("next").and_then(own_path).unwrap_or(otherwise)
    }

    /// The end of a form: on to a page of ours, given without the prefix, which says this.
    pub(crate) fn done(&self, site: &Site, next: &str, said: &str) -> Response {
        let mut response = crate::frame::redirect(&site.addresses.to(next));
        let sealed = site.signer.seal(SAID_COOKIE, said);
        let path = site.addresses.to("/");
        let secure = site.is_secure(&self.way);
        // Browsers keep about four thousand bytes.
        if sealed.len() < 3500 {
            let lasts = Some(TimeDelta::minutes(1));
            add_cookie(&mut response, &set_cookie(SAID_COOKIE, &sealed, &path, lasts, secure));
        }
        response
    }
}

/// Whoever may open the page of a form, or the way to log in.
pub(crate) fn visitor_of<'a>(site: &Site, ask: &'a Ask) -> Result<&'a Visitor, Error> {
    ask.visitor.as_ref().ok_or_else(|| site.login_needed(&ask.here()))
}

/// Names between white space or commas, each once, in order of their bytes; or those that are none.
pub(crate) fn names(text: &str) -> Result<Vec<String>, Vec<String>> {
    let all: BTreeSet<&str> = text
        .split(|c: char| c.is_whitespace() || c == ',')
        .filter(|name| !name.is_empty())
        .collect();
    let (names, wrong): (Vec<&str>, Vec<&str>) = all.into_iter().partition(|name| is_name(name));
    let owned = |names: Vec<&str>| names.into_iter().map(str::to_owned).collect();
    if wrong.is_empty() { Ok(owned(names)) } else { Err(owned(wrong)) }
}

/// Whether a text is a name of a package or group: `[A-Za-z0-9.+_-]+`, and not too long.
pub(crate) fn is_name(text: &str) -> bool {
    (1..=200).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".+_-".contains(&byte))
}

/// A list in a sentence, of which nobody reads more than a few.
pub(crate) fn few(names: &[String]) -> String {
    match names.get(..20) {
        Some(first) if names.len() > 20 => {
            format!("{} and {} more", first.join(", "), names.len() - first.len())
        }
        _ => crate::text::enumeration(names),
    }
}

/// What a reader is told of a mistake that the database found, as far as it is theirs.
pub(crate) fn mistake(error: administration::Error) -> Result<String, Error> {
    use administration::Error as Found;
    match error {
        Found::Database(error) => Err(error.into()),
        Found::NoPackages { names, collection } => Ok(format!(
            "{} {} not known{}.",
            few(&names),
            if names.len() == 1 { "is" } else { "are" },
            collection.map(|collection| format!(" in {collection}")).unwrap_or_default()
        )),
        other => {
            let text = other.to_string();
            let mut letters = text.chars();
            let first = letters.next().map(|letter| letter.to_uppercase().to_string());
            Ok(format!("{}{}.", first.unwrap_or_default(), letters.as_str()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stand_between_white_space_or_commas() {
        assert_eq!(
            names(" bash,\r\ngcc gcc\tlibsigc++20 , 389-ds-base").expect("names"),
            ["389-ds-base", "bash", "gcc", "libsigc++20"]
        );
        assert_eq!(names("  , ").expect("none"), [""; 0]);
        assert_eq!(names("a b/c <d> é").expect_err("wrong ones"), ["<d>", "b/c", "é"]);
        assert!(!is_name(&"x".repeat(201)) && !is_name(""));
    }

    #[test]
    fn of_many_names_a_few_are_told() {
        let many: Vec<String> = (0..30).map(|n| n.to_string()).collect();
        assert!(few(&many).ends_with("18, 19 and 10 more"));
        assert_eq!(few(&many[..2]), "0 and 1");
    }
}
