//! `/package/NAME`: is it buildable, since when, why not, what changed, what to do next, history.
//!
//! `verdict` makes the sentences, `evidence` what stands below them, `schedule` the column beside, `history` the
//! time line.

mod evidence;
mod history;
mod schedule;
mod verdict;

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use chrono::{DateTime, Utc};
use koschei_core::states::PackageState;
use koschei_db::pages::{
    self as db, ChangeRow, CollectionRow, HistoryBuild, HistoryResolution, PackageRow, Trouble,
};

use self::evidence::{Changed, Explained, Suspect};
use self::history::Event;
use self::schedule::Priority;
pub(super) use self::schedule::package_value;
use self::verdict::{Findings, Say, Step};
use crate::error::Error;
use crate::pages::build::TaskLine;
use crate::pages::packages::{GroupLink, group_links};
use crate::parts::{Mark, Name};
use crate::request::{Ask, Selection};
use crate::site::{Frame, Section, SharedSite, Site, Tabs};
use crate::suspended::{self, Stopped};
use crate::text;

/// Changes that are read at most; the build's page has all.
const CHANGES: i64 = 60;
/// Changes of each build in the history.
const HISTORY_CHANGES: i64 = 8;
/// Suspects that are judged.
const JUDGED: i64 = 30;
/// Builds with the same change that are looked at.
const SAMPLE: i64 = 150;

#[derive(Template)]
#[template(path = "package.html")]
struct Page<'a> {
    frame: &'a Frame,
    package: &'a PackageRow,
    collection: &'a CollectionRow,
    state: PackageState,
    running: bool,
    say: Say,
    checked: String,
    problems: Vec<Explained>,
    /// Further problems: a summary, and their texts.
    more_problems: Option<(String, Vec<String>)>,
    tasks: Vec<TaskLine>,
    failed_build: Option<(i32, String)>,
    suspects: Vec<Suspect>,
    suspects_of: String,
    changed: Option<Changed>,
    steps: Vec<Step>,
    /// Where to go from the verdict, the most useful first.
    ways: Vec<(String, String)>,
    reasons: Vec<String>,
    facts: Vec<(&'static str, String)>,
    priority: Option<Priority>,
    groups: Vec<GroupLink>,
    links: Vec<(String, String)>,
    bug: Option<String>,
    history: Vec<Event>,
    older: Option<String>,
    newer: bool,
}

/// The page.
pub(crate) async fn package(
    State(site): State<SharedSite>,
    Path(name): Path<String>,
    ask: Ask,
) -> Result<Response, Error> {
    let (selection, rows) = tokio::try_join!(site.selection(&ask), async {
        Ok(db::package(&site.pool, &name).await?)
    },)?;
    if rows.is_empty() {
        return Err(unknown(&site, &name).await?);
    }
    let states: Vec<(i32, PackageState)> =
        rows.iter().map(|row| (row.collection_id, state_of(row))).collect();
    // The first chosen collection that has the package; blocked ones only when nothing else is there.
    let package = selection
        .chosen
        .iter()
        .filter_map(|collection| rows.iter().find(|row| row.collection_id == collection.id))
        .min_by_key(|row| !selection.named && row.blocked);
    let Some(package) = package else {
        let elsewhere = rows
            .iter()
            .filter_map(|row| selection.by_id(row.collection_id))
            .map(|one| {
                (
                    format!("{name} in {}", one.display_name),
                    site.addresses.package(&name, &one.name),
                )
            })
            .collect();
        return Err(Error::NotFound {
            title: format!(
                "{name} is not in {}",
                selection.one().map_or("this collection", |one| one.display_name.as_str())
            ),
            advice: "The package is known in other collections.".to_owned(),
            similar: elsewhere,
            search: name,
        });
    };
    let selection = selection.only(package.collection_id);
    let Some(collection) = selection.by_id(package.collection_id).cloned() else {
        // The collection was deleted between two statements.
        return Err(Error::not_found("This collection is gone", "It was deleted a moment ago."));
    };
    let seen = Seen::read(&ask)?;
    let limit = i64::from(site.config.builds_per_page.max(1));
    let (mut frame, trouble, unapplied, builds, resolutions, groups, stopped) = tokio::try_join!(
        site.frame(
            &ask,
            &selection,
            Section::Packages,
            format!("{} is {} in {}", package.name, state_of(package), collection.display_name),
            Tabs::Package { name: &package.name, states: &states },
        ),
        async { Ok(db::trouble(&site.pool, package.id).await?) },
        async { Ok(db::unapplied_changes(&site.pool, package.id, CHANGES).await?) },
        async {
            let before = seen.map(|seen| (seen.at, seen.build));
            Ok(db::history_builds(&site.pool, package.id, before, limit + 1).await?)
        },
        async {
            let before = seen.map(|seen| (seen.at, seen.resolution));
            Ok(db::history_resolutions(&site.pool, package.id, before, limit + 1).await?)
        },
        async { Ok(db::package_groups(&site.pool, &[package.base_id]).await?) },
        async { Ok(suspended::of_package(&site.pool, package.base_id).await?) },
    )?;
    frame.notices.extend(stopped.holds(&frame.clock));
    let feed = format!("/feeds/package/{}", crate::address::encode(&package.name));
    frame.feed = Some(frame.addresses.to(&feed));
    let made = Maker { site: &site, frame: &frame, package, collection: &collection };
    let page = made
        .page(
            &ask,
            trouble,
            unapplied,
            builds,
            resolutions,
            limit,
            seen.is_some(),
            &selection,
            &stopped,
        )
        .await?;
    let page = Page { groups: group_links(&frame, &groups, package.base_id), ..page };
    super::page(&page)
}

fn state_of(row: &PackageRow) -> PackageState {
    super::state(row.blocked, row.tracked, row.resolved, row.last_complete_build_state)
}

/// The answer for a name that no collection knows, with names that look like it.
pub(super) async fn unknown(site: &Site, name: &str) -> Result<Error, Error> {
    let similar = db::similar_names(&site.pool, name, 6).await?;
    Ok(Error::NotFound {
        title: format!("No package is called {name}"),
        advice: "The name is not known in any collection. A new package appears here after its first build in Koji."
            .to_owned(),
        similar: similar
            .into_iter()
            .map(|name| {
                let href = site.addresses.package_anywhere(&name);
                (name, href)
            })
            .collect(),
        search: name.to_owned(),
    })
}

/// Reads `last_seen_ts`: seconds since 1970, with up to six digits behind the point.
pub(crate) fn last_seen(ask: &Ask) -> Result<Option<DateTime<Utc>>, Error> {
    let Some(text) = ask.value("last_seen_ts").filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    let micros = format!("{fraction:0<6}");
    seconds
        .parse::<i64>()
        .ok()
        .zip(micros.get(..6).and_then(|micros| micros.parse::<u32>().ok()))
        .and_then(|(seconds, micros)| DateTime::from_timestamp(seconds, micros * 1000))
        .filter(|time| (1..=9999).contains(&chrono::Datelike::year(time)))
        .map(Some)
        .ok_or_else(|| {
            Error::bad_request(
                "The time of the history is not a time",
                "Leave out the parameter \u{201c}last_seen_ts\u{201d} to see the newest entries.",
            )
        })
}

/// Reads the id of what was seen last of those things that happened at the time of [`last_seen`].
pub(crate) fn last_seen_id(ask: &Ask, name: &str) -> Result<Option<i32>, Error> {
    match ask.value(name).filter(|text| !text.is_empty()) {
        None => Ok(None),
        Some(text) => text.parse().map(Some).map_err(|_| {
            Error::bad_request(
                "What was seen last of the history is not a number",
                format!("Leave out the parameter \u{201c}{name}\u{201d}, or give the number of an entry."),
            )
        }),
    }
}

/// Where the part of the history before this one ended: with what happened at this time, of builds and changes of
/// resolution those with smaller ids than these are still to be shown.
#[derive(Clone, Copy)]
struct Seen {
    at: DateTime<Utc>,
    build: i32,
    resolution: i32,
}

impl Seen {
    /// Reads `last_seen_ts` with `last_seen_id` (a build) or `last_seen_change` (of resolution); with none of these two, all
    /// that happened at that time was seen. At the same time builds stand above changes of resolution.
    fn read(ask: &Ask) -> Result<Option<Self>, Error> {
        let build = last_seen_id(ask, LAST_BUILD)?;
        let resolution = last_seen_id(ask, LAST_CHANGE)?;
        Ok(last_seen(ask)?.map(|at| match (build, resolution) {
            (Some(build), None) => Self { at, build, resolution: i32::MAX },
            (_, resolution) => Self { at, build: 0, resolution: resolution.unwrap_or(0) },
        }))
    }
}

/// Parameter with the id of the last build that was seen.
pub(crate) const LAST_BUILD: &str = "last_seen_id";
/// Parameter with the id of the last change of resolution that was seen.
const LAST_CHANGE: &str = "last_seen_change";

/// A time as [`last_seen`] reads it.
pub(crate) fn seen(time: DateTime<Utc>) -> String {
    format!("{}.{:06}", time.timestamp(), time.timestamp_subsec_micros())
}

/// A reason as a part of a sentence.
fn lower(text: &str) -> String {
    let mut text = text.to_owned();
    if let Some(first) = text.get_mut(..1) {
        first.make_ascii_lowercase();
    }
    text
}

/// Everything that the parts of the page are made from.
struct Maker<'a> {
    site: &'a Site,
    frame: &'a Frame,
    package: &'a PackageRow,
    collection: &'a CollectionRow,
}

impl<'a> Maker<'a> {
    #[allow(clippy::too_many_arguments, reason = "the pieces that were read at once")]
    async fn page(
        &self,
        ask: &Ask,
        trouble: Trouble,
        unapplied: Vec<ChangeRow>,
        builds: Vec<HistoryBuild>,
        resolutions: Vec<HistoryResolution>,
        limit: i64,
        older_part: bool,
        selection: &Selection,
        stopped: &Stopped,
    ) -> Result<Page<'a>, Error> {
        let package = self.package;
        let state = state_of(package);
        let running = package.last_build_id != package.last_complete_build_id;
        let (history_builds, history_resolutions, older) =
            self.cut(ask, builds, resolutions, limit);
        let ids: Vec<i32> = history_builds.iter().map(|build| build.id).collect();
        let with_last: Vec<i32> =
            ids.iter().copied().chain(trouble.last.as_ref().map(|last| last.id)).collect();
        let failing = state == PackageState::Failing;
        let broke = trouble.first.as_ref().filter(|_| failing).map(|build| build.id);
        let (tasks, history_changes, broke_changes, counts, problems, unresolved) = tokio::try_join!(
            db::tasks_of(&self.site.pool, &with_last),
            db::applied_changes(&self.site.pool, &ids, HISTORY_CHANGES),
            async {
                match broke {
                    Some(build) => db::applied_changes(&self.site.pool, &[build], CHANGES).await,
                    None => Ok(Vec::new()),
                }
            },
            async {
                match broke {
                    Some(build) => db::culprit_counts(&self.site.pool, build, JUDGED, SAMPLE).await,
                    None => Ok(Vec::new()),
                }
            },
            async {
                if state == PackageState::Unresolved {
                    let newest =
                        db::history_resolutions(&self.site.pool, package.id, None, 1).await?;
                    Ok(newest.into_iter().next().map(|newest| newest.problems).unwrap_or_default())
                } else {
                    Ok(Vec::new())
                }
            },
            async {
                if state == PackageState::Unresolved {
                    self.site.unresolved(&[package.collection_id]).await
                } else {
                    Ok(std::sync::Arc::default())
                }
            },
        )?;
        let explained = self.explain(&problems, &unresolved, selection);
        let more_problems = self.more_problems(&problems);
        let (suspects, blame) = self.suspects(&broke_changes, &counts);
        let last_build = trouble.last.as_ref().filter(|_| failing).map(|last| last.id);
        let of_last = || tasks.iter().filter(|task| Some(task.build_id) == last_build);
        let failed: Vec<TaskLine> = of_last()
            .filter(|task| task.state == 5)
            .map(|task| TaskLine::new(self.site, self.frame, task, None))
            .collect();
        let all_tasks = of_last().count();
        let mut reasons: Vec<String> =
            self.reasons().iter().map(|reason| lower(reason.text())).collect();
        reasons.extend(stopped.sentences(self.collection.id, &self.frame.clock));
        let suspects_of = format!(
            "of {} since {}",
            text::plural(broke_changes.first().map_or(0, |change| change.owner_total), "change"),
            self.compared_since(&trouble)
        );
        let found = Findings {
            state,
            trouble: &trouble,
            failed: &failed,
            tasks: all_tasks,
            explained: &explained,
            problems: problems.len(),
            changes: &broke_changes,
            blame: &blame,
        };
        let bug = super::bug_report::is_possible(package, self.collection).then(|| {
            let collection = crate::address::encode(&self.collection.name);
            let name = crate::address::encode(&package.name);
            self.frame.addresses.to(&format!("/bugreport/{name}?collection={collection}"))
        });
        let (say, steps) = (self.say(&found), self.steps(&found, bug.as_deref()));
        let ways = self.ways(&found, bug.as_deref());
        Ok(Page {
            say,
            steps,
            checked: self.checked(state, &trouble),
            failed_build: trouble
                .last
                .as_ref()
                .filter(|_| failing)
                .map(|last| (last.task_id, self.frame.addresses.build(last.id))),
            changed: self.changed(state, &trouble, broke_changes, unapplied.clone()),
            history: self.history(history_builds, history_resolutions, &tasks, &history_changes),
            facts: self.facts(&unapplied),
            priority: self.priority().filter(|_| reasons.is_empty()),
            links: self.links(),
            bug,
            ways,
            frame: self.frame,
            package,
            collection: self.collection,
            state,
            running,
            problems: explained,
            more_problems,
            tasks: failed,
            suspects,
            suspects_of,
            reasons,
            groups: Vec::new(),
            older,
            newer: older_part,
        })
    }
}
