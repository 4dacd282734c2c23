//! `/search?q=`: packages by name.

use askama::Template;
use axum::Json;
use axum::extract::State;
use axum::response::Response;
use koschei_db::pages::{self as db, PackageSet};
use serde::Serialize;

use crate::error::Error;
use crate::pages::narrowing;
use crate::pages::packages::{Table, table};
use crate::parts::{Mark, Name};
use crate::request::Ask;
use crate::site::{Frame, Section, SharedSite, Tabs};
use crate::text;

#[derive(Template)]
#[template(path = "search.html")]
struct Search<'a> {
    frame: &'a Frame,
    query: &'a str,
    table: &'a Table,
}

/// The SQL pattern of a search: any part of the name, `*` for any run of characters, everything else as it is.
fn pattern(query: &str) -> String {
    let mut pattern = String::from("%");
    for c in query.chars() {
        match c {
            '*' => pattern.push('%'),
            '%' | '_' | '\\' => {
                pattern.push('\\');
                pattern.push(c);
            }
            c => pattern.push(c),
        }
    }
    pattern.push('%');
    pattern
}

/// The page.
pub(crate) async fn search(State(site): State<SharedSite>, ask: Ask) -> Result<Response, Error> {
    let query = ask.value("q").unwrap_or_default().trim().to_owned();
    if query.is_empty() {
        return Ok(crate::frame::redirect(&site.addresses.to("/")));
    }
    if query.chars().count() > 200 {
        return Err(Error::bad_request(
            "No package has such a name",
            "Names of packages are shorter than 200 characters.",
        ));
    }
    let selection = site.selection(&ask).await?;
    let mut frame = site
        .frame(
            &ask,
            &selection,
            Section::Packages,
            format!("Search for {query}"),
            Tabs::SamePage { all: Some("All") },
        )
        .await?;
    frame.search.clone_from(&query);
    frame.live = None;
    let set = PackageSet::Like(pattern(&query));
    let mut table = table(&site, &ask, &frame, &selection, set, false).await?;
    if table.total == 0 {
        let untracked = ask.flag("untracked");
        let mut ways = Vec::new();
        if table.filtered {
            let with = narrowing::without(&ask, &narrowing::ALL);
            ways.push((
                "Search without the filters".to_owned(),
                format!("{}{with}", frame.addresses.to("/search")),
            ));
        }
        if !untracked {
            let with =
                format!("{}{}", frame.addresses.to("/search"), ask.with("untracked", Some("1")));
            ways.push(("Search untracked packages, too".to_owned(), with));
        }
        ways.push(("All packages".to_owned(), frame.addresses.to("/packages")));
        let kind = if untracked { "" } else { "tracked " };
        let place = match selection.chosen.as_slice() {
            [one] => format!(" in {}", one.display_name),
            _ => String::new(),
        };
        let in_state = if table.filtered { " and matches the filters" } else { "" };
        table.empty = Some((
            format!("No {kind}package{place} has \u{201c}{query}\u{201d} in its name{in_state}"),
            ways,
        ));
    }
    super::page(&Search { frame: &frame, query: &query, table: &table })
}

/// A package that may be meant.
#[derive(Serialize)]
pub(crate) struct Suggestion {
    name: String,
    href: String,
}

/// `/suggest?q=`: packages for what is being typed, for our own script.
pub(crate) async fn suggest(
    State(site): State<SharedSite>,
    ask: Ask,
) -> Result<Json<Vec<Suggestion>>, Error> {
    let query = ask.value("q").unwrap_or_default().trim();
    if query.is_empty() || query.chars().count() > 200 {
        return Ok(Json(Vec::new()));
    }
    let names = db::suggested_names(&site.pool, &pattern(query), query, 10).await?;
    let kept = ask.value("collection").filter(|collection| !collection.is_empty());
    let suggestions = names.into_iter().map(|name| Suggestion {
        href: match kept {
            Some(collection) => site.addresses.package(&name, collection),
            None => site.addresses.package_anywhere(&name),
        },
        name,
    });
    Ok(Json(suggestions.collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_star_is_special() {
        assert_eq!(pattern("lib*.so"), "%lib%.so%");
        assert_eq!(pattern("100%_\\"), "%100\\%\\_\\\\%");
    }
}
