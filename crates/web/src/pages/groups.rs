//! `/groups` and `/groups/[NAMESPACE/]NAME`: groups of packages.

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use koschei_db::pages::{self as db, GroupPage, GroupRow, PackageSet};
use serde::Deserialize;

use crate::error::Error;
use crate::login::Visitor;
use crate::pages::packages::{Table, table};
use crate::parts::{Mark, Name};
use crate::request::Ask;
use crate::site::{Frame, Section, SharedSite, Site, Tabs};
use crate::text;

/// A group in a list.
pub(crate) struct Line {
    pub(crate) name: String,
    pub(crate) href: String,
    pub(crate) packages: String,
}

/// Groups as lines of a list; those of users with their namespace.
pub(crate) fn lines(frame: &Frame, groups: Vec<GroupRow>) -> Vec<Line> {
    groups
        .into_iter()
        .map(|group| Line {
            href: frame.addresses.group(group.namespace.as_deref(), &group.name),
            name: match &group.namespace {
                Some(namespace) => format!("{namespace}/{}", group.name),
                None => group.name,
            },
            packages: text::count(group.packages),
        })
        .collect()
}

#[derive(Template)]
#[template(path = "groups.html")]
struct Groups<'a> {
    frame: &'a Frame,
    lines: Vec<Line>,
    mine: Vec<Line>,
}

/// All global groups, and those that the reader owns.
pub(crate) async fn groups(State(site): State<SharedSite>, ask: Ask) -> Result<Response, Error> {
    let selection = site.selection(&ask).await?;
    let (mut frame, groups, mine) = tokio::try_join!(
        site.frame(&ask, &selection, Section::Groups, "Groups".to_owned(), Tabs::Elsewhere),
        async { Ok(db::groups(&site.pool).await?) },
        async {
            match &ask.visitor {
                Some(visitor) => Ok(db::groups_of(&site.pool, &visitor.name).await?),
                None => Ok(Vec::new()),
            }
        },
    )?;
    frame.live = None;
    let (lines, mine) = (lines(&frame, groups), lines(&frame, mine));
    super::page(&Groups { frame: &frame, lines, mine })
}

#[derive(Template)]
#[template(path = "group.html")]
struct Page<'a> {
    frame: &'a Frame,
    group: &'a GroupPage,
    title: &'a str,
    owners: String,
    /// Address of the form, for those who may change it.
    edit: Option<String>,
    table: &'a Table,
}

/// Whether somebody may change a group: its owners and administrators.
pub(crate) fn may_edit(visitor: &Visitor, group: &GroupPage) -> bool {
    visitor.admin || group.owners.contains(&visitor.name)
}

/// A group as its address names it: a global one, or one of a user.
#[derive(Debug, Deserialize)]
pub(crate) struct Named {
    /// User whose group it is; the addresses of global groups have none.
    pub(crate) namespace: Option<String>,
    /// Name.
    pub(crate) name: String,
}

impl Named {
    /// The group of this name.
    pub(crate) async fn find(&self, site: &Site) -> Result<GroupPage, Error> {
        find(site, self.namespace.as_deref(), &self.name).await
    }
}

/// The group of this name.
pub(crate) async fn find(
    site: &Site,
    namespace: Option<&str>,
    name: &str,
) -> Result<GroupPage, Error> {
    db::group(&site.pool, namespace, name).await?.ok_or_else(|| {
        let title = match namespace {
            Some(namespace) => format!("{namespace}/{name}"),
            None => name.to_owned(),
        };
        Error::not_found(
            format!("No group is called {title}"),
            "The page of groups lists all global ones.",
        )
    })
}

/// The group that is written `NAME` or `NAMESPACE/NAME`.
pub(crate) async fn find_named(site: &Site, full_name: &str) -> Result<GroupPage, Error> {
    match full_name.split_once('/') {
        Some((namespace, name)) => find(site, Some(namespace), name).await,
        None => find(site, None, full_name).await,
    }
}

/// A group with its packages.
pub(crate) async fn group(
    State(site): State<SharedSite>,
    Path(named): Path<Named>,
    ask: Ask,
) -> Result<Response, Error> {
    let (selection, group) = tokio::try_join!(site.selection(&ask), named.find(&site))?;
    let Named { namespace, name } = &named;
    let title = match namespace {
        Some(namespace) => format!("{namespace}/{name}"),
        None => name.clone(),
    };
    let mut frame = site
        .frame(
            &ask,
            &selection,
            Section::Groups,
            title.clone(),
            Tabs::SamePage { all: Some("All") },
        )
        .await?;
    let name_part = match namespace {
        Some(namespace) => {
            format!("{}/{}", crate::address::encode(namespace), crate::address::encode(name))
        }
        None => crate::address::encode(name),
    };
    frame.feed = Some(frame.addresses.to(&format!("/feeds/group/{name_part}")));
    let table = table(&site, &ask, &frame, &selection, PackageSet::Group(group.id), false).await?;
    super::page(&Page {
        owners: text::enumeration(&group.owners),
        edit: ask
            .visitor
            .as_ref()
            .filter(|visitor| may_edit(visitor, &group))
            .map(|_| format!("{}/edit", frame.addresses.group(namespace.as_deref(), name))),
        group: &group,
        title: &title,
        table: &table,
        frame: &frame,
    })
}
