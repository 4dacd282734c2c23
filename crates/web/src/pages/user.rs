//! `/user/NAME`: what belongs to somebody, for those who are logged in.

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use koschei_db::entities;
use koschei_db::pages as db;

use crate::error::Error;
use crate::forms::visitor_of;
use crate::pages::groups::{Line, lines};
use crate::parts::Name;
use crate::request::Ask;
use crate::site::{Frame, Section, SharedSite, Tabs};

#[derive(Template)]
#[template(path = "user.html")]
struct Page<'a> {
    frame: &'a Frame,
    name: &'a str,
    mine: bool,
    admin: bool,
    lines: Vec<Line>,
}

/// The page.
pub(crate) async fn user(
    State(site): State<SharedSite>,
    Path(name): Path<String>,
    ask: Ask,
) -> Result<Response, Error> {
    let visitor = visitor_of(&site, &ask)?;
    let selection = site.selection(&Ask::default()).await?;
    let (mut frame, user, groups) = tokio::try_join!(
        site.frame(&ask, &selection, Section::Groups, name.clone(), Tabs::Elsewhere),
        async { Ok(entities::user(&site.pool, &name).await?) },
        async { Ok(db::groups_of(&site.pool, &name).await?) },
    )?;
    frame.live = None;
    frame.feed = Some(site.addresses.to(&format!("/feeds/user/{}", crate::address::encode(&name))));
    let user = user.ok_or_else(|| {
        Error::not_found(
            format!("Nobody is called {name}"),
            "People are known here once they have logged in or own a group.",
        )
    })?;
    super::page(&Page {
        mine: visitor.name == user.name,
        admin: user.admin,
        lines: lines(&frame, groups),
        name: &user.name,
        frame: &frame,
    })
}
