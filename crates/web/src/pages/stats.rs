//! `/stats`: totals, and which packages take most of the builders' time.

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use chrono::TimeDelta;
use koschei_db::pages as db;

use crate::error::Error;
use crate::pages::packages::{PageLink, page_links};
use crate::parts::{Moment, Name};
use crate::request::Ask;
use crate::site::{Frame, Section, SharedSite, Tabs};
use crate::text;

/// Rows on a page.
const PER_PAGE: i64 = 20;

struct Line {
    name: String,
    href: String,
    arch: String,
    time: String,
    share: String,
}

struct Totals {
    at: Moment,
    packages: Vec<(&'static str, String)>,
    builds: Vec<(&'static str, String)>,
}

#[derive(Template)]
#[template(path = "stats.html")]
struct Page<'a> {
    frame: &'a Frame,
    totals: Option<Totals>,
    lines: Vec<Line>,
    pages: Vec<PageLink>,
}

/// The page.
pub(crate) async fn stats(State(site): State<SharedSite>, ask: Ask) -> Result<Response, Error> {
    let page = ask.page()?;
    let selection = site.selection(&Ask { pairs: Vec::new(), ..ask.clone() }).await?;
    let offset = i64::from(page - 1) * PER_PAGE;
    let (mut frame, totals, rows, count) = tokio::try_join!(
        site.frame(&ask, &selection, Section::Stats, "Statistics".to_owned(), Tabs::Elsewhere),
        async { Ok(db::totals(&site.pool).await?) },
        async { Ok(db::resource_use(&site.pool, PER_PAGE, offset).await?) },
        async { Ok(db::resource_use_count(&site.pool).await?) },
    )?;
    frame.live = None;
    let pages = u32::try_from((count + PER_PAGE - 1) / PER_PAGE).unwrap_or(u32::MAX).max(1);
    if page > pages {
        return Err(Error::no_such_page(page, pages));
    }
    let totals = totals.map(|totals| {
        let count = |number: i32| text::count(i64::from(number));
        let untracked = totals.packages - totals.tracked_packages;
        let active = totals.tracked_packages - totals.blocked_packages;
        Totals {
            at: Moment::short(&frame.clock, totals.refresh_time),
            packages: vec![
                ("All packages", count(totals.packages)),
                ("Tracked", count(totals.tracked_packages)),
                ("Untracked", count(untracked)),
                ("Blocked", count(totals.blocked_packages)),
                ("Active", count(active.max(0))),
            ],
            builds: vec![
                ("All builds", count(totals.builds)),
                ("Official", count(totals.real_builds)),
                ("Scratch", count(totals.scratch_builds)),
            ],
        }
    });
    let lines = rows
        .into_iter()
        .map(|row| Line {
            href: frame.addresses.package_anywhere(&row.name),
            name: row.name,
            arch: row.arch,
            time: row
                .seconds
                .map(|seconds| text::duration(TimeDelta::seconds(seconds as i64)))
                .unwrap_or_default(),
            share: row
                .share
                .map(|share| format!("{:.2}\u{a0}%", share.clamp(0.0, 1.0) * 100.0))
                .unwrap_or_default(),
        })
        .collect();
    super::page(&Page {
        totals,
        lines,
        pages: page_links(&ask, &frame, page, pages),
        frame: &frame,
    })
}
