//! The time line: builds and changes of resolution, newest first.

use chrono::{DateTime, Utc};
use koschei_core::states::{BuildState, PackageState};
use koschei_db::pages::{ChangeRow, HistoryBuild, HistoryResolution, TaskRow};

use super::Maker;
use crate::pages::build::TaskLine;
use crate::parts::{ChangeList, Icon, Moment};
use crate::problems::{self, Problem};
use crate::request::Ask;
use crate::text;

pub(super) struct Event {
    pub(super) moment: Moment,
    pub(super) icon: Icon,
    pub(super) word: &'static str,
    pub(super) turned: bool,
    pub(super) text: String,
    pub(super) link: Option<(String, String)>,
    pub(super) meta: String,
    pub(super) tasks: Vec<TaskLine>,
    pub(super) changes: Option<(String, ChangeList)>,
    pub(super) problems: Vec<String>,
    pub(super) at: DateTime<Utc>,
    /// Something to tell it by from its neighbours.
    pub(super) key: i64,
    /// A finished scratch build that says no more than that it ended as it did.
    plain: bool,
    /// The equal neighbours that it stands for; empty for an entry of its own.
    pub(super) run: Vec<Event>,
}

/// So many equal neighbours are told as one.
const RUN: usize = 3;

impl Maker<'_> {
    /// The newest `limit` entries of both kinds, and the address of the older ones.
    pub(super) fn cut(
        &self,
        ask: &Ask,
        builds: Vec<HistoryBuild>,
        resolutions: Vec<HistoryResolution>,
        limit: i64,
    ) -> (Vec<HistoryBuild>, Vec<HistoryResolution>, Option<String>) {
        // In the order of the history; of what happened at the same time, builds first.
        let places = builds.iter().map(|build| (build.started, Some(build.id), i32::MAX));
        let mut places: Vec<(DateTime<Utc>, Option<i32>, i32)> =
            places.chain(resolutions.iter().map(|change| (change.at, None, change.id))).collect();
        places.sort_unstable_by(|one, other| other.cmp(one));
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        if places.len() <= limit {
            return (builds, resolutions, None);
        }
        let Some(oldest) = limit.checked_sub(1).and_then(|last| places.get(last)).copied() else {
            return (builds, resolutions, None);
        };
        let (time, build, change) = oldest;
        let last = match build {
            Some(build) => (super::LAST_BUILD, build),
            None => (super::LAST_CHANGE, change),
        };
        let others = ["last_seen_ts", super::LAST_BUILD, super::LAST_CHANGE];
        let pairs = ask.pairs.iter().filter(|(name, _)| !others.contains(&name.as_str())).cloned();
        let pairs = pairs.chain([("last_seen_ts".to_owned(), super::seen(time))]).collect();
        let query = Ask { pairs, ..Ask::default() }.with(last.0, Some(&last.1.to_string()));
        let older = format!("{}{query}#h-his", self.frame.addresses.to(&ask.path));
        (
            builds
                .into_iter()
                .filter(|build| (build.started, Some(build.id), i32::MAX) >= oldest)
                .collect(),
            resolutions
                .into_iter()
                .filter(|change| (change.at, None, change.id) >= oldest)
                .collect(),
            Some(older),
        )
    }

    pub(super) fn history(
        &self,
        builds: Vec<HistoryBuild>,
        resolutions: Vec<HistoryResolution>,
        tasks: &[TaskRow],
        changes: &[ChangeRow],
    ) -> Vec<Event> {
        let mut events: Vec<Event> = builds
            .into_iter()
            .map(|build| self.build_event(build, tasks, changes))
            .chain(resolutions.into_iter().map(|change| self.resolution_event(change)))
            .collect();
        events.sort_by_key(|event| std::cmp::Reverse(event.at));
        self.fold(events)
    }

    /// Equal neighbours become one entry; what happened last stays as it is.
    fn fold(&self, events: Vec<Event>) -> Vec<Event> {
        let mut folded: Vec<Event> = Vec::new();
        let mut run: Vec<Event> = Vec::new();
        for (position, event) in events.into_iter().enumerate() {
            let goes_on = run.last().is_some_and(|last| {
                last.plain && event.plain && (last.word, last.turned) == (event.word, event.turned)
            });
            if position == 1 || !goes_on {
                folded.extend(self.together(std::mem::take(&mut run)));
            }
            run.push(event);
        }
        folded.extend(self.together(run));
        folded
    }

    fn together(&self, run: Vec<Event>) -> Vec<Event> {
        match (run.first(), run.last()) {
            (Some(newest), Some(oldest)) if run.len() >= RUN => vec![Event {
                moment: Moment::days(&self.frame.clock, oldest.at, newest.at),
                icon: newest.icon,
                word: newest.word,
                turned: false,
                text: format!(": {} scratch builds", text::count(run.len() as i64)),
                link: None,
                meta: String::new(),
                tasks: Vec::new(),
                changes: None,
                problems: Vec::new(),
                at: newest.at,
                key: newest.key,
                plain: false,
                run,
            }],
            _ => run,
        }
    }

    pub(super) fn build_event(
        &self,
        build: HistoryBuild,
        tasks: &[TaskRow],
        changes: &[ChangeRow],
    ) -> Event {
        let state = BuildState::from_number(build.state);
        let previous = build.previous_state.and_then(BuildState::from_number);
        let turned = matches!(
            (state, previous),
            (Some(BuildState::Failed), Some(BuildState::Complete))
                | (Some(BuildState::Complete), Some(BuildState::Failed))
        );
        let word = match state {
            Some(BuildState::Running) => "running",
            Some(BuildState::Complete) => "ok",
            Some(BuildState::Failed) => "failing",
            None => "unknown",
        };
        let version = build.evr.version.as_deref().zip(build.evr.release.as_deref());
        let label = match (build.real, version) {
            (true, Some((version, release))) => {
                format!("{}-{}", self.package.name, crate::evr::evr(None, version, release))
            }
            _ => build.task_id.to_string(),
        };
        let mut meta = Vec::new();
        if let (false, Some((version, release))) = (build.real, version) {
            meta.push(crate::evr::evr(build.evr.epoch, version, release));
        }
        if let Some(repo) = build.repo_id {
            meta.push(format!("repo {repo}"));
        }
        if let Some(finished) = build.finished {
            meta.push(text::duration(finished - build.started));
        }
        if build.untagged {
            meta.push("untagged since".to_owned());
        }
        if build.deps_resolved == Some(false) {
            meta.push("its dependencies could not be resolved afterwards".to_owned());
        }
        let rows: Vec<ChangeRow> =
            changes.iter().filter(|change| change.owner_id == build.id).cloned().collect();
        let href = self.frame.addresses.build(build.id);
        let list = rows.first().map(|first| {
            let total = first.owner_total;
            let summary = if total == 1 {
                "1 dependency change".to_owned()
            } else {
                format!("{} dependency changes", text::count(total))
            };
            let list = ChangeList::new(
                &rows,
                total,
                href.clone(),
                &self.frame.addresses,
                &self.collection.name,
            );
            (summary, list)
        });
        let shown = match state {
            // What is going on, or what broke; all tasks of a good build are good.
            Some(BuildState::Running) => None,
            Some(BuildState::Failed) => Some(5),
            _ => Some(-1),
        };
        Event {
            moment: Moment::short(&self.frame.clock, build.started),
            icon: Icon::build(state),
            word,
            turned,
            text: if build.real { ": official build " } else { ": scratch build " }.to_owned(),
            link: Some((label, href)),
            meta: meta.join(" \u{b7} "),
            tasks: tasks
                .iter()
                .filter(|task| task.build_id == build.id)
                .filter(|task| shown.is_none_or(|state| task.state == state))
                .map(|task| TaskLine::new(self.site, self.frame, task, None))
                .collect(),
            changes: list,
            problems: Vec::new(),
            at: build.started,
            key: i64::from(build.id),
            plain: !build.real
                && !build.untagged
                && !turned
                && matches!(state, Some(BuildState::Complete | BuildState::Failed)),
            run: Vec::new(),
        }
    }

    pub(super) fn resolution_event(&self, change: HistoryResolution) -> Event {
        let state = if change.resolved { PackageState::Ok } else { PackageState::Unresolved };
        let (word, turned, text) = match (change.resolved, change.previous_resolved) {
            (true, Some(false)) => {
                ("resolved again", true, ": all build dependencies can be installed".to_owned())
            }
            (true, _) => {
                ("resolved", false, ": all build dependencies can be installed".to_owned())
            }
            (false, previous) => {
                let first =
                    change.problems.first().map(|text| Problem::read(text).cause.to_string());
                let others = change.problems.len().saturating_sub(1) as i64;
                let mut text = first.map(|first| format!(": {first}")).unwrap_or_default();
                if others > 0 {
                    text.push_str(&format!(" and {}", text::plural(others, "other problem")));
                }
                match previous {
                    Some(false) => ("unresolved", false, format!(", for another reason{text}")),
                    _ => ("unresolved", true, text),
                }
            }
        };
        Event {
            moment: Moment::short(&self.frame.clock, change.at),
            icon: Icon::state(state),
            word,
            turned,
            text,
            link: None,
            meta: String::new(),
            tasks: Vec::new(),
            changes: None,
            problems: problems::first(&change.problems, 10),
            at: change.at,
            key: i64::from(change.id),
            plain: false,
            run: Vec::new(),
        }
    }
}
