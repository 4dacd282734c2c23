//! `/affected-by/DEP`: packages that a change of a dependency may have broken.

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use koschei_core::states::PackageState;
use koschei_db::pages::{self as db, DependencyInterval};

use crate::error::Error;
use crate::parts::{Mark, Moment, Name};
use crate::request::Ask;
use crate::site::{Frame, Section, SharedSite, Tabs};
use crate::text;

/// Rows that are listed.
const LISTED: i64 = 120;

struct Line {
    name: String,
    href: String,
    mark: Mark,
    change: String,
    distance: Option<i32>,
    task_id: i32,
    build_href: String,
    started: Moment,
}

#[derive(Template)]
#[template(path = "affected_by.html")]
struct Page<'a> {
    frame: &'a Frame,
    name: &'a str,
    lede: String,
    mended: String,
    lines: Vec<Line>,
    total: i64,
}

fn wrong(what: &str) -> Error {
    Error::bad_request(
        format!("{what} is missing or wrong"),
        "This address needs a dependency, exactly one collection, and two versions with epoch1, version1, release1, \
         epoch2, version2 and release2; epochs are whole numbers. Links on pages of packages and builds have them.",
    )
}

/// One end of the interval.
fn end(ask: &Ask, number: u8) -> Result<(i32, String, String), Error> {
    let value = |name: &str| {
        let key = format!("{name}{number}");
        ask.value(&key).map(str::to_owned).ok_or_else(|| wrong(&format!("The parameter {key}")))
    };
    let epoch = value("epoch")?;
    let epoch = epoch.trim().parse().map_err(|_| wrong(&format!("The parameter epoch{number}")))?;
    let (version, release) = (value("version")?, value("release")?);
    Ok((epoch, version, release))
}

/// The page.
pub(crate) async fn affected_by(
    State(site): State<SharedSite>,
    Path(name): Path<String>,
    ask: Ask,
) -> Result<Response, Error> {
    let selection = site.selection(&ask).await?;
    let interval =
        DependencyInterval { name: name.clone(), from: end(&ask, 1)?, to: end(&ask, 2)? };
    let [collection] = selection.chosen.as_slice() else {
        return Err(wrong("The collection"));
    };
    let collection = collection.clone();
    let (mut frame, (affected, total)) = tokio::try_join!(
        site.frame(
            &ask,
            &selection,
            Section::Packages,
            format!("Packages affected by {name}"),
            Tabs::SamePage { all: None },
        ),
        async { Ok(db::affected_by(&site.pool, collection.id, &interval, LISTED).await?) },
    )?;
    frame.live = None;
    let evr = |side: &(i32, String, String)| crate::evr::evr(Some(side.0), &side.1, &side.2);
    let lede = format!(
        "{} in {} failed after a good build, with a change of {name} between {} and {}.",
        match total {
            0 => "No build".to_owned(),
            total => text::plural(total, "build"),
        },
        collection.display_name,
        evr(&interval.from),
        evr(&interval.to),
    );
    let good = affected
        .iter()
        .filter(|one| {
            let now = super::state(false, true, one.resolved, one.last_complete_build_state);
            now == PackageState::Ok
        })
        .count();
    let lines: Vec<Line> = affected
        .into_iter()
        .map(|one| Line {
            href: frame.addresses.package(&one.name, &collection.name),
            mark: Mark::state(super::state(
                false,
                true,
                one.resolved,
                one.last_complete_build_state,
            )),
            change: format!(
                "{} \u{2192} {}",
                crate::evr::evr(one.prev_epoch, &one.prev_version, &one.prev_release),
                crate::evr::evr(one.curr_epoch, &one.curr_version, &one.curr_release)
            ),
            distance: one.distance,
            task_id: one.task_id,
            build_href: frame.addresses.build(one.build_id),
            started: Moment::short(&frame.clock, one.started),
            name: one.name,
        })
        .collect();
    let mended = match (good, total) {
        (0, _) => String::new(),
        // How those fare that are not listed is not known.
        _ if total > lines.len() as i64 => String::new(),
        (1, 1) => "It builds again; look at how it was mended.".to_owned(),
        (1, _) => "One of them builds again; look at how it was mended.".to_owned(),
        (good, _) => format!(
            "{} of them build again; look at how they were mended.",
            text::count(good as i64)
        ),
    };
    super::page(&Page { frame: &frame, name: &name, lede, mended, lines, total })
}
