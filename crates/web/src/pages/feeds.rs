//! `/feeds/...`: what turned red or green, as Atom (RFC 4287): of a collection, a group, everything in somebody's groups, or a
//! package.

use askama::Template;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use koschei_db::entities;
use koschei_db::pages::{self as db, Turned};

use crate::error::Error;
use crate::pages::front::why;
use crate::request::{Ask, Selection, unknown_collection};
use crate::site::{SharedSite, Site};

/// How far back a feed goes.
const DAYS: i64 = 14;
/// Entries of each colour.
const ENTRIES: i64 = 50;

pub(crate) fn routes() -> Router<SharedSite> {
    Router::new()
        .route("/feeds/collection/{name}", get(collection))
        .route("/feeds/group/{name}", get(global_group))
        .route("/feeds/group/{namespace}/{name}", get(user_group))
        .route("/feeds/user/{name}", get(user))
        .route("/feeds/package/{name}", get(package))
}

#[derive(Template)]
#[template(path = "feed.xml", escape = "html")]
struct Feed {
    id: String,
    title: String,
    page: String,
    updated: String,
    entries: Vec<Entry>,
}

struct Entry {
    id: String,
    title: String,
    page: String,
    updated: String,
    summary: String,
}

/// A text without the characters that XML cannot hold (XML 1.0, section 2.2).
fn clean(text: &str) -> String {
    text.chars()
        .filter(|c| !c.is_control() || matches!(c, '\n' | '\t'))
        .filter(|c| !matches!(c, '\u{fffe}' | '\u{ffff}'))
        .collect()
}

fn stamp(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// Makes a feed of what turned in the chosen collections; `page` is the page that it belongs to.
async fn feed(
    site: &Site,
    ask: &Ask,
    selection: &Selection,
    bases: Option<&[i32]>,
    title: String,
    page: &str,
) -> Result<Response, Error> {
    let since = Utc::now() - TimeDelta::days(DAYS);
    let ids = selection.ids();
    let ((red, _), (green, _)) = tokio::try_join!(
        db::turned_of(&site.pool, &ids, bases, false, since, ENTRIES),
        db::turned_of(&site.pool, &ids, bases, true, since, ENTRIES),
    )?;
    let mut all: Vec<Turned> = red.into_iter().chain(green).collect();
    all.sort_by_key(|turned| (std::cmp::Reverse(turned.at), turned.package_id));
    let updated = all.first().map_or(since, |newest| newest.at);
    let entries = all
        .into_iter()
        .filter_map(|turned| {
            let collection = selection.by_id(turned.collection_id)?;
            let state =
                super::state(false, true, turned.resolved, turned.last_complete_build_state);
            let page = site.absolute(&site.addresses.package(&turned.name, &collection.name));
            let reason = why(&turned);
            Some(Entry {
                id: format!("{page}#{}-{}", state.word(), turned.at.timestamp()),
                title: clean(&format!("{} is {state} in {}", turned.name, collection.display_name)),
                summary: clean(if reason.is_empty() { state.word() } else { &reason }),
                updated: stamp(turned.at),
                page,
            })
        })
        .collect();
    let feed = Feed {
        id: site.absolute(&site.addresses.to(&ask.here())),
        title: clean(&title),
        page: site.absolute(page),
        // Without an entry it changes once a day only, not with every look at it.
        updated: if updated == since {
            stamp(since.date_naive().and_time(chrono::NaiveTime::MIN).and_utc())
        } else {
            stamp(updated)
        },
        entries,
    };
    let kind = [(header::CONTENT_TYPE, "application/atom+xml; charset=utf-8")];
    Ok((kind, feed.render()?).into_response())
}

async fn collection(
    State(site): State<SharedSite>,
    Path(name): Path<String>,
    ask: Ask,
) -> Result<Response, Error> {
    let selection = site.selection(&Ask::default()).await?;
    let id = selection.all.iter().find(|one| one.name == name).map(|one| one.id);
    let selection = selection.only(id.ok_or_else(|| unknown_collection(&name))?);
    let title = selection.one().map_or(String::new(), |one| one.display_name.clone());
    let page = site.addresses.to(&format!("/?collection={}", crate::address::encode(&name)));
    feed(&site, &ask, &selection, None, format!("Koschei: {title}"), &page).await
}

async fn global_group(
    State(site): State<SharedSite>,
    Path(name): Path<String>,
    ask: Ask,
) -> Result<Response, Error> {
    group(&site, &ask, None, &name).await
}

async fn user_group(
    State(site): State<SharedSite>,
    Path((namespace, name)): Path<(String, String)>,
    ask: Ask,
) -> Result<Response, Error> {
    group(&site, &ask, Some(&namespace), &name).await
}

async fn group(
    site: &Site,
    ask: &Ask,
    namespace: Option<&str>,
    name: &str,
) -> Result<Response, Error> {
    let (selection, group) =
        tokio::try_join!(site.selection(ask), super::groups::find(site, namespace, name))?;
    let bases = db::packages_of_groups(&site.pool, &[group.id]).await?;
    let page = site.addresses.group(namespace, name);
    feed(site, ask, &selection, Some(&bases), format!("Koschei: group {name}"), &page).await
}

async fn user(
    State(site): State<SharedSite>,
    Path(name): Path<String>,
    ask: Ask,
) -> Result<Response, Error> {
    let selection = site.selection(&ask).await?;
    if entities::user(&site.pool, &name).await?.is_none() {
        return Err(Error::not_found(
            format!("Nobody is called {name}"),
            "People are known here once they have logged in or own a group.",
        ));
    }
    let groups: Vec<i32> =
        db::groups_of(&site.pool, &name).await?.into_iter().map(|group| group.id).collect();
    let bases = db::packages_of_groups(&site.pool, &groups).await?;
    let page = site.addresses.to(&format!("/user/{}", crate::address::encode(&name)));
    feed(&site, &ask, &selection, Some(&bases), format!("Koschei: groups of {name}"), &page).await
}

async fn package(
    State(site): State<SharedSite>,
    Path(name): Path<String>,
    ask: Ask,
) -> Result<Response, Error> {
    let selection = site.selection(&ask).await?;
    let rows = db::package(&site.pool, &name).await?;
    let Some(package) = rows.first() else {
        return Err(super::package::unknown(&site, &name).await?);
    };
    let page = site.addresses.package_anywhere(&name);
    feed(&site, &ask, &selection, Some(&[package.base_id]), format!("Koschei: {name}"), &page).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn xml_holds_no_control_characters() {
        assert_eq!(clean("a\u{0}\u{1b}[31mb\n\u{ffff}\u{fe}c"), "a[31mb\n\u{fe}c");
    }
}
