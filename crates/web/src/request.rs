//! What a request asks for: its query, its theme, its collections; and who sent it.

use std::convert::Infallible;

use axum::extract::{FromRequestParts, Query};
use axum::http::{HeaderMap, header, request::Parts};
use koschei_db::pages::CollectionRow;

use crate::error::Error;
use crate::frame::{Caller, OriginalPath};
use crate::login::Visitor;

/// Query and cookies of a request.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ask {
    /// Path without the prefix.
    pub(crate) path: String,
    /// The query, in order; names may repeat.
    pub(crate) pairs: Vec<(String, String)>,
    /// Theme chosen by the reader; `None` follows the system.
    pub(crate) theme: Option<&'static str>,
    /// Who asks, if they are logged in.
    pub(crate) visitor: Option<Visitor>,
    /// What a form that was just sent has to say.
    pub(crate) said: Option<String>,
}

impl<S: Send + Sync> FromRequestParts<S> for Ask {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        // Broken percent-encoding and text that is not UTF-8 count as no query at all.
        let pairs = Query::<Vec<(String, String)>>::from_request_parts(parts, state)
            .await
            .map_or_else(|_| Vec::new(), |query| query.0);
        let path = parts
            .extensions
            .get::<OriginalPath>()
            .map_or_else(|| parts.uri.path().to_owned(), |path| path.0.clone());
        let theme = cookie(&parts.headers, THEME_COOKIE).and_then(theme);
        let Caller { visitor, said } =
            parts.extensions.get::<Caller>().cloned().unwrap_or_default();
        Ok(Self { path, pairs, theme, visitor, said })
    }
}

/// The value of a cookie.
pub(crate) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|cookie| cookie.trim().split_once('='))
        .find(|(key, _)| *key == name)
        .map(|(_, value)| value)
}

/// A path of this site: it begins with one slash, and nothing in it can lead elsewhere.
pub(crate) fn own_path(path: &str) -> Option<&str> {
    let inside = path.starts_with('/')
        && !path.starts_with("//")
        && !path.contains('\\')
        && path.bytes().all(|byte| (0x21..0x7f).contains(&byte));
    inside.then_some(path)
}

/// Name of the cookie that holds the theme.
pub(crate) const THEME_COOKIE: &str = "theme";

/// A theme that a reader can choose; anything else follows the system.
pub(crate) fn theme(name: &str) -> Option<&'static str> {
    match name {
        "light" => Some("light"),
        "dark" => Some("dark"),
        _ => None,
    }
}

impl Ask {
    /// The first value of a parameter.
    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Path and query of this request, without the prefix, to come back to.
    pub(crate) fn here(&self) -> String {
        let pairs: Vec<(&str, &str)> =
            self.pairs.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        format!("{}{}", self.path, crate::address::query(&pairs))
    }

    /// Whether the request holds the one character that PostgreSQL cannot hold.
    pub(crate) fn is_impossible(&self) -> bool {
        self.path.contains("%00")
            || self.pairs.iter().any(|(key, value)| key.contains('\0') || value.contains('\0'))
    }

    /// Whether a parameter is set to something that means yes.
    pub(crate) fn flag(&self, name: &str) -> bool {
        self.value(name).is_some_and(|value| matches!(value, "1" | "true" | "True" | "on" | "yes"))
    }

    /// The parameter `page`, from 1.
    pub(crate) fn page(&self) -> Result<u32, Error> {
        match self.value("page").map(str::trim) {
            None | Some("") => Ok(1),
            Some(text) => match text.parse() {
                Ok(page) if page >= 1 => Ok(page),
                _ => Err(Error::bad_request(
                    "The page number is not a number",
                    "Leave out the parameter \u{201c}page\u{201d}, or count from 1.",
                )),
            },
        }
    }

    /// The query with one parameter set, or removed with `None`; a change of anything but the page goes back to the
    /// first page.
    pub(crate) fn with(&self, name: &str, value: Option<&str>) -> String {
        let mut pairs: Vec<(&str, &str)> = self
            .pairs
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()))
            .filter(|(key, _)| *key != name && *key != "page")
            .collect();
        if let Some(value) = value {
            pairs.push((name, value));
        }
        crate::address::query(&pairs)
    }
}

/// The collections of a request: all there are, and those it is about.
#[derive(Debug, Clone)]
pub(crate) struct Selection {
    /// All collections, in their order.
    pub(crate) all: Vec<CollectionRow>,
    /// Those that were chosen, in their order; all of them when none was named.
    pub(crate) chosen: Vec<CollectionRow>,
    /// Whether the request named any.
    pub(crate) named: bool,
}

impl Selection {
    /// Reads `?collection=a,b`, which may repeat.
    pub(crate) fn new(all: Vec<CollectionRow>, ask: &Ask) -> Result<Self, Error> {
        let names: Vec<&str> = ask
            .pairs
            .iter()
            .filter(|(key, _)| key == "collection")
            .flat_map(|(_, value)| value.split(','))
            .map(str::trim)
            .filter(|name| !name.is_empty())
            .collect();
        for name in &names {
            if !all.iter().any(|collection| collection.name == **name) {
                return Err(unknown_collection(name));
            }
        }
        let chosen = if names.is_empty() {
            all.clone()
        } else {
            all.iter().filter(|one| names.contains(&one.name.as_str())).cloned().collect()
        };
        Ok(Self { named: !names.is_empty(), all, chosen })
    }

    /// The collection for a page that is about one: the first of the chosen ones.
    pub(crate) fn one(&self) -> Option<&CollectionRow> {
        self.chosen.first()
    }

    /// Narrows the selection to one collection.
    pub(crate) fn only(mut self, id: i32) -> Self {
        self.chosen.retain(|collection| collection.id == id);
        self
    }

    /// Ids of the chosen collections.
    pub(crate) fn ids(&self) -> Vec<i32> {
        self.chosen.iter().map(|collection| collection.id).collect()
    }

    /// A collection by its id.
    pub(crate) fn by_id(&self, id: i32) -> Option<&CollectionRow> {
        self.all.iter().find(|collection| collection.id == id)
    }
}

/// Nothing is known about a collection of this name.
pub(crate) fn unknown_collection(name: &str) -> Error {
    Error::not_found(
        format!("No collection is called {name}"),
        "The page of collections lists all that exist.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(pairs: &[(&str, &str)]) -> Ask {
        Ask {
            pairs: pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect(),
            ..Ask::default()
        }
    }

    #[test]
    fn changing_a_parameter_goes_back_to_the_first_page() {
        let ask = ask(&[("collection", "f40"), ("order_by", "name"), ("page", "3")]);
        assert_eq!(ask.with("order_by", Some("-name")), "?collection=f40&order_by=-name");
        assert_eq!(ask.with("order_by", None), "?collection=f40");
        assert_eq!(ask.with("page", Some("4")), "?collection=f40&order_by=name&page=4");
    }

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

    #[test]
    fn pages_count_from_one() {
        assert!(matches!(ask(&[]).page(), Ok(1)));
        assert!(matches!(ask(&[("page", "7")]).page(), Ok(7)));
        for wrong in ["0", "-1", "x", "99999999999999"] {
            assert!(ask(&[("page", wrong)]).page().is_err(), "{wrong}");
        }
    }
}
