//! `/`: how the packages of a collection are, what changed in the last day, and what breaks most.

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use chrono::{TimeDelta, Utc};
use koschei_core::states::PackageState;
use koschei_db::pages::{self as db, CollectionRow, Counts, Turned};

use crate::config::Frontpage;
use crate::error::Error;
use crate::pages::broken::{self, Grouped};
use crate::parts::{Mark, Moment, Name};
use crate::problems::Problem;
use crate::request::{Ask, Selection};
use crate::site::{Frame, Section, SharedSite, Tabs};
use crate::text;
use crate::trend::Chart;

/// Rows of the lists of what turned.
const TURNED: i64 = 8;
/// Rows of the list of root causes.
const CAUSES: usize = 5;

#[derive(Template)]
#[template(path = "front.html")]
struct Front<'a> {
    frame: &'a Frame,
    title: String,
    lede: String,
    summaries: Vec<Summary>,
    red: Vec<TurnedLine>,
    red_total: i64,
    green: Vec<TurnedLine>,
    green_total: i64,
    several: bool,
    causes: &'a [Grouped],
    causes_total: usize,
    causes_href: String,
    /// Where all that turned are listed, red ones first; for one collection.
    turned_href: Option<String>,
    chart: Option<Chart>,
}

/// The packages of one collection by state.
struct Summary {
    id: String,
    collection: CollectionRow,
    note: String,
    packages_href: String,
    label: String,
    segments: Vec<Segment>,
    keys: Vec<Key>,
    width: u32,
}

struct Segment {
    class: &'static str,
    x: u32,
    width: u32,
}

struct Key {
    href: String,
    count: String,
    mark: Mark,
    share: Option<String>,
}

struct TurnedLine {
    name: String,
    href: String,
    mark: Mark,
    why: String,
    at: Moment,
    collection: Option<String>,
}

/// The page.
pub(crate) async fn front(State(site): State<SharedSite>, ask: Ask) -> Result<Response, Error> {
    match site.config.frontpage {
        Frontpage::PackageList => {}
        // Where nobody can log in, and for those who have, there is something to see.
        Frontpage::Login if ask.visitor.is_none() && site.config.login.is_possible() => {
            return Ok(crate::frame::redirect(&site.login_address(&ask.here())));
        }
        Frontpage::Login => {}
        Frontpage::CollectionList => {
            return super::collections::collections(State(site), ask).await;
        }
        Frontpage::GroupsOverview => return super::groups::groups(State(site), ask).await,
        Frontpage::Statistics => return super::stats::stats(State(site), ask).await,
    }
    let mut selection = site.selection(&ask).await?;
    // Without any word about collections, the first; with an empty one, all.
    if ask.value("collection").is_none()
        && let Some(first) = selection.one().map(|first| first.id)
    {
        selection = selection.only(first);
    }
    let title = match selection.chosen.as_slice() {
        [one] => one.display_name.clone(),
        [] => "Koschei".to_owned(),
        several => format!("{} collections", several.len()),
    };
    let ids = selection.ids();
    let since = Utc::now() - TimeDelta::hours(24);
    let (mut frame, counts, (red, red_total), (green, green_total), unresolved) = tokio::try_join!(
        site.frame(
            &ask,
            &selection,
            Section::None,
            format!("{title}: package summary"),
            Tabs::SamePage { all: Some("All") },
        ),
        async { Ok(db::counts(&site.pool, &ids).await?) },
        async { Ok(db::turned(&site.pool, &ids, false, since, TURNED).await?) },
        async { Ok(db::turned(&site.pool, &ids, true, since, TURNED).await?) },
        async { Ok(site.unresolved(&ids).await?) },
    )?;
    if let [one] = selection.chosen.as_slice() {
        let name = crate::address::encode(&one.name);
        frame.feed = Some(frame.addresses.to(&format!("/feeds/collection/{name}")));
    }
    let chart = match selection.chosen.as_slice() {
        [one] => Chart::new(&site.trend(one.id).await?),
        _ => None,
    };
    let causes = broken::group(&frame, &selection, &unresolved);
    let summaries: Vec<Summary> = selection
        .chosen
        .iter()
        .map(|collection| {
            let counts = counts
                .iter()
                .find(|counts| counts.collection_id == collection.id)
                .copied()
                .unwrap_or_default();
            summary(&frame, collection, &counts)
        })
        .collect();
    let several = selection.chosen.len() > 1;
    let page = Front {
        lede: lede(&selection, &counts, red_total, green_total),
        title,
        summaries,
        red: turned_lines(&frame, &selection, red, several),
        red_total,
        green: turned_lines(&frame, &selection, green, several),
        green_total,
        several,
        causes_total: causes.len(),
        causes: causes.get(..CAUSES.min(causes.len())).unwrap_or_default(),
        causes_href: broken::address(&frame, &selection),
        turned_href: selection.one().filter(|_| !several).map(|one| {
            let name = crate::address::encode(&one.name);
            frame.addresses.to(&format!("/packages?collection={name}&since=1d&order_by=state"))
        }),
        chart,
        frame: &frame,
    };
    super::page(&page)
}

fn lede(selection: &Selection, counts: &[Counts], red: i64, green: i64) -> String {
    if selection.all.is_empty() {
        return "There is no collection yet. An administrator creates one with koschei-admin create-collection."
            .to_owned();
    }
    let tracked: i64 = counts.iter().map(Counts::tracked).sum();
    let ok: i64 = counts.iter().map(|counts| counts.ok).sum();
    if tracked == 0 {
        return "No package is tracked here yet.".to_owned();
    }
    let turned = match (red, green) {
        (0, 0) => "In the last 24 hours none turned red or green.".to_owned(),
        (red, 0) => format!("In the last 24 hours {} turned red.", text::count(red)),
        (0, green) => format!("In the last 24 hours {} turned green.", text::count(green)),
        (red, green) => format!(
            "In the last 24 hours {} turned red and {} turned green.",
            text::count(red),
            text::count(green)
        ),
    };
    format!("{} of the tracked packages build. {turned}", text::percent(ok, tracked))
}

fn summary(frame: &Frame, collection: &CollectionRow, counts: &Counts) -> Summary {
    let list = |extra: &str| {
        frame.addresses.to(&format!(
            "/packages?collection={}{extra}",
            crate::address::encode(&collection.name)
        ))
    };
    let states = [
        (PackageState::Ok, counts.ok, "f-ok"),
        (PackageState::Failing, counts.failing, "f-failing"),
        (PackageState::Unresolved, counts.unresolved, "f-unresolved"),
        (PackageState::Unknown, counts.unknown, "f-quiet"),
        (PackageState::Untracked, counts.untracked, "f-quiet"),
    ];
    let listed = counts.listed();
    let mut segments = Vec::new();
    let mut x = 0;
    for (_, count, class) in states.iter().filter(|(_, count, _)| *count > 0) {
        // In thousandths, small ones still visible; `listed` is not 0 where a count is not.
        let width = u32::try_from(count * 1000 / listed.max(1)).unwrap_or(1000).max(4);
        segments.push(Segment { class, x, width });
        x += width + 2;
    }
    let mut keys: Vec<Key> = states
        .iter()
        .filter(|(state, count, _)| {
            *count > 0 || !matches!(state, PackageState::Unknown | PackageState::Untracked)
        })
        .map(|(state, count, _)| Key {
            href: match state {
                PackageState::Untracked => list("&state=untracked&untracked=1"),
                state => list(&format!("&state={state}")),
            },
            count: text::count(*count),
            mark: Mark::state(*state),
            share: Some(text::percent(*count, listed)),
        })
        .collect();
    keys.push(Key {
        href: list("&running=1"),
        count: text::count(counts.running),
        mark: Mark::running(),
        share: None,
    });
    let label = states
        .iter()
        .filter(|(_, count, _)| *count > 0)
        .map(|(state, count, _)| format!("{} {state}", text::percent(*count, listed)))
        .collect::<Vec<_>>()
        .join(", ");
    let note = if counts.blocked > 0 {
        format!(
            "{}; {} blocked {} not counted",
            text::plural(listed, "package"),
            text::count(counts.blocked),
            if counts.blocked == 1 { "one is" } else { "ones are" }
        )
    } else {
        text::plural(listed, "package")
    };
    Summary {
        id: format!("sum-{}", collection.id),
        collection: collection.clone(),
        note,
        packages_href: list(""),
        label,
        segments,
        keys,
        width: x.max(2) - 2,
    }
}

fn turned_lines(
    frame: &Frame,
    selection: &Selection,
    turned: Vec<Turned>,
    several: bool,
) -> Vec<TurnedLine> {
    turned
        .into_iter()
        .map(|turned| {
            let state =
                super::state(false, true, turned.resolved, turned.last_complete_build_state);
            let collection = selection.by_id(turned.collection_id);
            let why = why(&turned);
            TurnedLine {
                href: frame
                    .addresses
                    .package(&turned.name, collection.map_or("", |one| one.name.as_str())),
                name: turned.name,
                mark: Mark::state(state),
                why,
                at: Moment::short(&frame.clock, turned.at),
                collection: collection.filter(|_| several).map(|one| one.display_name.clone()),
            }
        })
        .collect()
}

/// What goes with a turn: the problem, the architectures, the packager's build, the nearest change.
pub(super) fn why(turned: &Turned) -> String {
    if let Some(problem) = &turned.problem {
        return Problem::read(problem).cause.to_string();
    }
    if let Some(build) = &turned.version_release {
        return format!("official build {build}");
    }
    let mut parts = Vec::new();
    if let Some(change) = &turned.change {
        parts.push(match turned.change_count - 1 {
            0 => change.clone(),
            others => format!("{change} and {}", text::plural(others, "other change")),
        });
    }
    if !turned.failed_arches.is_empty() {
        parts.push(format!("on {}", text::enumeration(&turned.failed_arches)));
    }
    if turned.build_id.is_none() && turned.resolved == Some(true) {
        return "dependencies install again".to_owned();
    }
    parts.join("; ")
}
