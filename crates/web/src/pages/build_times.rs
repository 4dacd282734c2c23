//! `/package/NAME/times`: how long builds of a package take on each architecture, over time.

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use chrono::TimeDelta;
use koschei_core::states::BuildState;
use koschei_db::pages::{self as db, CollectionRow, TaskTime};

use crate::error::Error;
use crate::parts::{Mark, Moment, Name};
use crate::request::Ask;
use crate::site::{Frame, Section, SharedSite, Tabs};
use crate::text;

/// Builds that are looked at.
const BUILDS: i64 = 40;

/// One architecture: what it takes now, usually, and over time.
struct Arch {
    name: String,
    newest: String,
    usual: String,
    /// Bars from the oldest to the newest build: place, height and class, in a picture of 100 units' height.
    bars: Vec<(usize, u32, &'static str)>,
    /// Width of the picture.
    width: usize,
    label: String,
}

/// One build.
struct Line {
    mark: Mark,
    task_id: i32,
    href: String,
    started: Moment,
    /// In the order of the architectures; empty where it has none.
    took: Vec<String>,
}

#[derive(Template)]
#[template(path = "build_times.html")]
struct Page<'a> {
    frame: &'a Frame,
    name: &'a str,
    collection: &'a CollectionRow,
    back: String,
    arches: Vec<Arch>,
    lines: Vec<Line>,
}

fn took(seconds: f64) -> String {
    text::duration(TimeDelta::seconds(seconds as i64))
}

/// The middle one of several durations.
fn median(mut all: Vec<f64>) -> Option<f64> {
    all.sort_by(f64::total_cmp);
    all.get(all.len() / 2).copied()
}

/// Everything about one architecture, from the newest time to the oldest; `longest` is the longest of all.
fn arch(name: &str, times: &[TaskTime], longest: f64) -> Option<Arch> {
    let own: Vec<&TaskTime> = times.iter().filter(|time| time.arch == name).collect();
    // What failed ended early, so it does not tell what a build takes.
    let complete: Vec<f64> =
        own.iter().filter(|time| time.complete).map(|time| time.seconds).collect();
    let newest = took(own.first()?.seconds);
    let usual = median(complete).map(took);
    let bars: Vec<(usize, u32, &'static str)> = own
        .iter()
        .rev()
        .enumerate()
        .map(|(place, time)| {
            let height = (time.seconds / longest.max(1.0) * 100.0).clamp(1.0, 100.0) as u32;
            (place * 10, height, if time.complete { "f-quiet" } else { "f-failing" })
        })
        .collect();
    Some(Arch {
        label: match &usual {
            Some(usual) => format!(
                "{name}: {}, usually {usual}, last {newest}",
                text::plural(own.len() as i64, "build")
            ),
            None => format!(
                "{name}: {}, none complete, last {newest}",
                text::plural(own.len() as i64, "build")
            ),
        },
        name: name.to_owned(),
        newest,
        usual: usual.unwrap_or_else(|| "none complete".to_owned()),
        width: bars.len().max(12) * 10,
        bars,
    })
}

/// The page.
pub(crate) async fn build_times(
    State(site): State<SharedSite>,
    Path(name): Path<String>,
    ask: Ask,
) -> Result<Response, Error> {
    let selection = site.selection(&ask).await?;
    let rows = db::package(&site.pool, &name).await?;
    let found = selection.chosen.iter().find_map(|collection| {
        let row = rows.iter().find(|row| row.collection_id == collection.id)?;
        Some((row.clone(), collection.clone()))
    });
    let Some((package, collection)) = found else {
        return Err(super::package::unknown(&site, &name).await?);
    };
    let selection = selection.only(collection.id);
    let (mut frame, times) = tokio::try_join!(
        site.frame(
            &ask,
            &selection,
            Section::Packages,
            format!("How long builds of {name} take"),
            Tabs::None
        ),
        async { Ok(db::task_times(&site.pool, package.id, BUILDS).await?) },
    )?;
    frame.live = None;
    let mut names: Vec<&str> = times.iter().map(|time| time.arch.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    let longest = times.iter().map(|time| time.seconds).fold(0.0, f64::max);
    let lines = times
        .chunk_by(|a, b| a.build_id == b.build_id)
        .filter_map(|tasks| {
            let first = tasks.first()?;
            Some(Line {
                mark: Mark::build(BuildState::from_number(first.state)),
                task_id: first.task_id,
                href: frame.addresses.build(first.build_id),
                started: Moment::short(&frame.clock, first.started),
                took: names
                    .iter()
                    .map(|name| {
                        let own = tasks.iter().find(|time| time.arch == *name);
                        own.map(|time| took(time.seconds)).unwrap_or_default()
                    })
                    .collect(),
            })
        })
        .collect();
    super::page(&Page {
        name: &package.name,
        back: frame.addresses.package(&package.name, &collection.name),
        arches: names.iter().filter_map(|name| arch(name, &times, longest)).collect(),
        lines,
        collection: &collection,
        frame: &frame,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_usual_is_what_complete_builds_take() {
        let time = |seconds, complete| TaskTime {
            build_id: 1,
            task_id: 1,
            started: chrono::DateTime::UNIX_EPOCH,
            state: 3,
            arch: "x86_64".to_owned(),
            seconds,
            complete,
        };
        let times = [time(6.0, false), time(600.0, true), time(660.0, true), time(1200.0, true)];
        let arch = arch("x86_64", &times, 1200.0).expect("times");
        assert_eq!((arch.newest.as_str(), arch.usual.as_str()), ("6 s", "11 min"));
        let heights: Vec<u32> = arch.bars.iter().map(|(_, height, _)| *height).collect();
        assert_eq!(heights, [100, 55, 50, 1], "oldest first");
        assert_eq!(arch.bars.last().map(|bar| bar.2), Some("f-failing"));
        assert_eq!(median(Vec::new()), None);
    }
}
