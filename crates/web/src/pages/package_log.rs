//! `/package/NAME/log`: what people and services did to a package.

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use koschei_db::pages::{self as db, Deed};

use crate::error::Error;
use crate::pages::packages::{PageLink, page_links};
use crate::parts::{Moment, Name};
use crate::request::Ask;
use crate::site::{Frame, Section, SharedSite, Tabs};
use crate::text;

/// Entries on a page.
const PER_PAGE: i64 = 50;

struct Line {
    at: Moment,
    who: String,
    message: String,
}

impl Line {
    fn new(frame: &Frame, deed: Deed) -> Self {
        let how = match deed.environment.as_str() {
            "admin" => " with koschei-admin",
            _ => "",
        };
        Self {
            at: Moment::short(&frame.clock, deed.at),
            who: match deed.user {
                Some(user) => format!("{user}{how}"),
                None => "Koschei".to_owned(),
            },
            message: deed.message,
        }
    }
}

#[derive(Template)]
#[template(path = "package_log.html")]
struct Page<'a> {
    frame: &'a Frame,
    name: &'a str,
    back: String,
    total: i64,
    lines: Vec<Line>,
    pages: Vec<PageLink>,
}

/// The page.
pub(crate) async fn package_log(
    State(site): State<SharedSite>,
    Path(name): Path<String>,
    ask: Ask,
) -> Result<Response, Error> {
    let rows = db::package(&site.pool, &name).await?;
    let Some(package) = rows.first() else {
        return Err(super::package::unknown(&site, &name).await?);
    };
    let page = ask.page()?;
    let selection = site.selection(&Ask::default()).await?;
    let offset = i64::from(page - 1) * PER_PAGE;
    let (mut frame, (deeds, total)) = tokio::try_join!(
        site.frame(
            &ask,
            &selection,
            Section::Packages,
            format!("What people changed of {name}"),
            Tabs::Elsewhere
        ),
        async { Ok(db::deeds(&site.pool, package.base_id, PER_PAGE, offset).await?) },
    )?;
    frame.live = None;
    let pages = u32::try_from(total.div_euclid(PER_PAGE) + i64::from(total % PER_PAGE > 0))
        .unwrap_or(u32::MAX)
        .max(1);
    if page > pages {
        return Err(Error::no_such_page(page, pages));
    }
    super::page(&Page {
        name: &package.name,
        back: frame.addresses.package_anywhere(&package.name),
        total,
        lines: deeds.into_iter().map(|deed| Line::new(&frame, deed)).collect(),
        pages: page_links(&ask, &frame, page, pages),
        frame: &frame,
    })
}
