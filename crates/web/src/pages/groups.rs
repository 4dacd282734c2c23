//! `/groups` and `/groups/[NAMESPACE/]NAME`: groups of packages.

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use koschei_db::pages::{self as db, GroupPage, PackageSet};

use crate::error::Error;
use crate::pages::packages::{Table, table};
use crate::parts::{Mark, Name};
use crate::request::Ask;
use crate::site::{Frame, Section, SharedSite, Site, Tabs};
use crate::text;

struct Line {
    name: String,
    href: String,
    packages: String,
}

#[derive(Template)]
#[template(path = "groups.html")]
struct Groups<'a> {
    frame: &'a Frame,
    lines: Vec<Line>,
}

/// All global groups.
pub(crate) async fn groups(State(site): State<SharedSite>, ask: Ask) -> Result<Response, Error> {
    let selection = site.selection(&ask).await?;
    let (mut frame, groups) = tokio::try_join!(
        site.frame(&ask, &selection, Section::Groups, "Groups".to_owned(), Tabs::Elsewhere),
        async { Ok(db::groups(&site.pool).await?) },
    )?;
    frame.live = None;
    let lines = groups
        .into_iter()
        .map(|group| Line {
            href: frame.addresses.group(group.namespace.as_deref(), &group.name),
            name: group.name,
            packages: text::count(group.packages),
        })
        .collect();
    super::page(&Groups { frame: &frame, lines })
}

#[derive(Template)]
#[template(path = "group.html")]
struct Page<'a> {
    frame: &'a Frame,
    group: &'a GroupPage,
    title: &'a str,
    owners: String,
    table: &'a Table,
}

/// A global group.
pub(crate) async fn global_group(
    State(site): State<SharedSite>,
    Path(name): Path<String>,
    ask: Ask,
) -> Result<Response, Error> {
    group(&site, &ask, None, &name).await
}

/// A group of a user.
pub(crate) async fn user_group(
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
    let title = match namespace {
        Some(namespace) => format!("{namespace}/{name}"),
        None => name.to_owned(),
    };
    let (selection, group) = tokio::try_join!(site.selection(ask), async {
        Ok(db::group(&site.pool, namespace, name).await?)
    },)?;
    let Some(group) = group else {
        return Err(Error::not_found(
            format!("No group is called {title}"),
            "The page of groups lists all global ones.",
        ));
    };
    let frame = site
        .frame(ask, &selection, Section::Groups, title.clone(), Tabs::SamePage { all: Some("All") })
        .await?;
    let table =
        table(site, ask, &frame, &selection, PackageSet::Group(group.id), None, false).await?;
    super::page(&Page {
        owners: text::enumeration(&group.owners),
        group: &group,
        title: &title,
        table: &table,
        frame: &frame,
    })
}
