//! `/package/NAME`: is it buildable, since when, why not, what changed, what to do next, history.

use std::collections::HashMap;

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use chrono::{DateTime, Utc};
use koschei_core::scheduling::{SchedulingFacts, SkipReason};
use koschei_core::states::{BuildState, PackageState};
use koschei_core::{priorities, scheduling};
use koschei_db::pages::{
    self as db, ChangeRow, CollectionRow, CulpritCount, HistoryBuild, HistoryResolution,
    PackageRow, TaskRow, Trouble,
};

use crate::culprits::{self, Judgement, Likelihood};
use crate::error::Error;
use crate::evr::Change;
use crate::pages::build::TaskLine;
use crate::pages::packages::{GroupLink, group_links};
use crate::parts::{ChangeList, Changes, Icon, Mark, Moment, Name};
use crate::problems::{Cause, Problem};
use crate::request::{Ask, Selection};
use crate::site::{Frame, Section, SharedSite, Site, Tabs};
use crate::text;

/// Changes that are shown before the rest is folded away.
const NEAREST: usize = 8;
/// Changes that are read at most; the build's page has all.
const CHANGES: i64 = 60;
/// Changes of each build in the history.
const HISTORY_CHANGES: i64 = 8;
/// Suspects that are judged, and shown.
const JUDGED: i64 = 40;
const SUSPECTS: usize = 4;
/// Builds with the same change that are looked at.
const SAMPLE: i64 = 400;

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
    tasks: Vec<TaskLine>,
    failed_build: Option<(i32, String)>,
    suspects: Vec<Suspect>,
    suspects_of: i64,
    changed: Option<Changed>,
    steps: Vec<Step>,
    reasons: Vec<&'static str>,
    facts: Vec<(&'static str, String)>,
    priority: Option<Priority>,
    groups: Vec<GroupLink>,
    links: Vec<(String, String)>,
    history: Vec<Event>,
    older: Option<String>,
    newer: bool,
}

/// The sentence of the verdict, in pieces, so that the template can put a time and a link into it.
struct Say {
    before: String,
    since: Option<Moment>,
    after: String,
    link: Option<(String, String)>,
    end: String,
}

impl Say {
    fn plain(text: impl Into<String>) -> Self {
        Self {
            before: text.into(),
            since: None,
            after: String::new(),
            link: None,
            end: String::new(),
        }
    }
}

/// A problem of the resolution, explained as far as it is understood.
struct Explained {
    problem: Problem,
    /// How many packages wait for the same, and where they are listed.
    others: Option<(String, String)>,
}

struct Suspect {
    word: &'static str,
    name: String,
    href: Option<String>,
    versions: String,
    part: Option<usize>,
    counts: String,
}

struct Changed {
    heading: &'static str,
    note: Option<(String, String, String, String)>,
    near: Changes,
    far: Option<(Changes, String)>,
    left_out: Option<(String, String)>,
}

struct Step {
    text: String,
    link: Option<(String, String)>,
    after: String,
    code: Option<String>,
}

struct Priority {
    current: String,
    parts: Vec<(&'static str, String)>,
    note: String,
}

struct Event {
    moment: Moment,
    icon: Icon,
    word: &'static str,
    turned: bool,
    text: String,
    link: Option<(String, String)>,
    meta: String,
    tasks: Vec<TaskLine>,
    changes: Option<(String, ChangeList)>,
    problems: Vec<String>,
    at: DateTime<Utc>,
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
    let before = last_seen(&ask)?;
    let limit = i64::from(site.config.builds_per_page.max(1));
    let (frame, trouble, unapplied, builds, resolutions, groups) = tokio::try_join!(
        site.frame(
            &ask,
            &selection,
            Section::Packages,
            format!("{} is {} in {}", package.name, state_of(package), collection.display_name),
            Tabs::Package { name: &package.name, states: &states },
        ),
        async { Ok(db::trouble(&site.pool, package.id).await?) },
        async { Ok(db::unapplied_changes(&site.pool, package.id, CHANGES).await?) },
        async { Ok(db::history_builds(&site.pool, package.id, before, limit + 1).await?) },
        async { Ok(db::history_resolutions(&site.pool, package.id, before, limit + 1).await?) },
        async { Ok(db::package_groups(&site.pool, &[package.base_id]).await?) },
    )?;
    let made = Maker { site: &site, frame: &frame, package, collection: &collection };
    let page = made
        .page(&ask, trouble, unapplied, builds, resolutions, limit, before.is_some(), &selection)
        .await?;
    let page = Page { groups: group_links(&frame, &groups, package.base_id), ..page };
    super::page(&page)
}

fn state_of(row: &PackageRow) -> PackageState {
    super::state(row.blocked, row.tracked, row.resolved, row.last_complete_build_state)
}

/// The answer for a name that no collection knows, with names that look like it.
async fn unknown(site: &Site, name: &str) -> Result<Error, Error> {
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
fn last_seen(ask: &Ask) -> Result<Option<DateTime<Utc>>, Error> {
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
    ) -> Result<Page<'a>, Error> {
        let package = self.package;
        let state = state_of(package);
        let running = package.last_build_id != package.last_complete_build_id;
        let (history_builds, history_resolutions, older) =
            self.cut(ask, builds, resolutions, limit);
        let mut ids: Vec<i32> = history_builds.iter().map(|build| build.id).collect();
        if let Some(last) = &trouble.last {
            ids.push(last.id);
        }
        let failing = state == PackageState::Failing;
        let broke = trouble.first.as_ref().filter(|_| failing).map(|build| build.id);
        let (tasks, history_changes, broke_changes, counts, problems, unresolved) = tokio::try_join!(
            db::tasks_of(&self.site.pool, &ids),
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
                    db::unresolved_packages(&self.site.pool, &[package.collection_id]).await
                } else {
                    Ok(Vec::new())
                }
            },
        )?;
        let explained = self.explain(problems, &unresolved, selection);
        let (suspects, best) = self.suspects(&broke_changes, &counts);
        let failed: Vec<TaskLine> = trouble
            .last
            .as_ref()
            .filter(|_| failing)
            .map(|last| {
                tasks
                    .iter()
                    .filter(|task| task.build_id == last.id && task.state == 5)
                    .map(|task| TaskLine::new(self.site, self.frame, task, None))
                    .collect()
            })
            .unwrap_or_default();
        let reasons = self.reasons();
        let suspects_of = broke_changes.first().map_or(0, |change| change.owner_total);
        Ok(Page {
            say: self.say(
                state,
                &trouble,
                &failed,
                &explained,
                suspects_of,
                best.as_ref(),
                &suspects,
                &broke_changes,
            ),
            checked: self.checked(state, &trouble),
            steps: self.steps(state, &trouble, &failed, &explained, best.is_some()),
            failed_build: trouble
                .last
                .as_ref()
                .filter(|_| failing)
                .map(|last| (last.task_id, self.frame.addresses.build(last.id))),
            changed: self.changed(state, &trouble, broke_changes, unapplied.clone()),
            history: self.history(history_builds, history_resolutions, &tasks, &history_changes),
            facts: self.facts(&unapplied),
            priority: self.priority(&reasons),
            links: self.links(),
            frame: self.frame,
            package,
            collection: self.collection,
            state,
            running,
            problems: explained,
            tasks: failed,
            suspects,
            suspects_of,
            reasons: reasons.iter().map(|reason| reason.text()).collect(),
            groups: Vec::new(),
            older,
            newer: older_part,
        })
    }

    /// The newest `limit` entries of both kinds, and the address of the older ones.
    fn cut(
        &self,
        ask: &Ask,
        builds: Vec<HistoryBuild>,
        resolutions: Vec<HistoryResolution>,
        limit: i64,
    ) -> (Vec<HistoryBuild>, Vec<HistoryResolution>, Option<String>) {
        let mut times: Vec<DateTime<Utc>> = builds
            .iter()
            .map(|build| build.started)
            .chain(resolutions.iter().map(|change| change.at))
            .collect();
        times.sort_unstable_by(|one, other| other.cmp(one));
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        if times.len() <= limit {
            return (builds, resolutions, None);
        }
        let Some(oldest) = limit.checked_sub(1).and_then(|last| times.get(last)).copied() else {
            return (builds, resolutions, None);
        };
        let seen = format!("{}.{:06}", oldest.timestamp(), oldest.timestamp_subsec_micros());
        let query = ask.with("last_seen_ts", Some(&seen));
        let older = format!("{}{query}#h-his", self.frame.addresses.to(&ask.path));
        (
            builds.into_iter().filter(|build| build.started >= oldest).collect(),
            resolutions.into_iter().filter(|change| change.at >= oldest).collect(),
            Some(older),
        )
    }

    fn reasons(&self) -> Vec<scheduling::Reason> {
        let package = self.package;
        scheduling::reasons(&SchedulingFacts {
            blocked: package.blocked,
            tracked: package.tracked,
            resolved: package.resolved,
            skip_resolution: package.skip_resolution,
            last_build_id: package.last_build_id,
            last_complete_build_id: package.last_complete_build_id,
            skip_reason: package.scheduler_skip_reason.and_then(SkipReason::from_number),
            build_group_resolved: self.collection.latest_repo_resolved,
        })
    }

    fn explain(
        &self,
        problems: Vec<String>,
        unresolved: &[db::UnresolvedPackage],
        selection: &Selection,
    ) -> Vec<Explained> {
        problems
            .iter()
            .map(|text| {
                let problem = Problem::read(text);
                let others = unresolved
                    .iter()
                    .filter(|other| other.package_id != self.package.id)
                    .filter(|other| {
                        other.problems.iter().any(|text| Problem::read(text).cause == problem.cause)
                    })
                    .count();
                let others = (others > 0).then(|| {
                    let anchor = crate::assets::fingerprint(problem.cause.brief().as_bytes());
                    (
                        format!(
                            "{} for the same.",
                            if others == 1 {
                                "1 other package waits".to_owned()
                            } else {
                                format!("{} other packages wait", text::count(others as i64))
                            }
                        ),
                        format!("{}#c{anchor}", super::broken::address(self.frame, selection)),
                    )
                });
                Explained { problem, others }
            })
            .collect()
    }

    /// Suspects by likelihood; and the one that may be called the likely cause.
    fn suspects(
        &self,
        changes: &[ChangeRow],
        counts: &[CulpritCount],
    ) -> (Vec<Suspect>, Option<ChangeRow>) {
        let counts: HashMap<(Option<i32>, Option<i32>), &CulpritCount> =
            counts.iter().map(|count| ((count.prev_id, count.curr_id), count)).collect();
        let mut judged: Vec<(&ChangeRow, &CulpritCount, Judgement)> = changes
            .iter()
            .filter_map(|change| {
                let count = *counts.get(&(change.prev_id, change.curr_id))?;
                Some((change, count, culprits::judge(count, change.distance)))
            })
            .collect();
        judged.sort_by(|one, other| one.2.order(&other.2));
        let best = judged
            .first()
            .filter(|(_, _, judgement)| judgement.likelihood == Likelihood::VeryLikely)
            .map(|(change, _, _)| (*change).clone());
        let suspects = judged
            .iter()
            // Nobody else saw the change and it is far away: the table of changes has it.
            .filter(|(change, count, _)| count.packages > 0 || change.distance == Some(1))
            .take(SUSPECTS)
            .map(|(change, count, judgement)| {
                let shown = Change::new(change);
                Suspect {
                    word: judgement.likelihood.word(),
                    href: shown
                        .interval
                        .as_ref()
                        .map(|interval| self.affected(&change.name, interval)),
                    versions: versions(change),
                    part: (count.packages > 0)
                        .then(|| usize::try_from(count.broke * 1000 / count.packages).unwrap_or(0)),
                    counts: counted(count),
                    name: change.name.clone(),
                }
            })
            .collect();
        (suspects, best)
    }

    fn affected(&self, name: &str, interval: &str) -> String {
        self.frame.addresses.to(&format!(
            "/affected-by/{}{interval}&collection={}",
            crate::address::encode(name),
            crate::address::encode(&self.collection.name)
        ))
    }

    #[allow(clippy::too_many_arguments, reason = "what the sentence is made of")]
    fn say(
        &self,
        state: PackageState,
        trouble: &Trouble,
        failed: &[TaskLine],
        explained: &[Explained],
        changes: i64,
        best: Option<&ChangeRow>,
        suspects: &[Suspect],
        rows: &[ChangeRow],
    ) -> Say {
        let clock = &self.frame.clock;
        let since = self.package.since.map(|time| Moment::long(clock, time));
        let age = |end: &str| match self.package.since {
            Some(time) => format!(" ({}){end}", clock.age(time)),
            None => end.to_owned(),
        };
        match state {
            PackageState::Failing => {
                let arches: Vec<String> = failed.iter().map(|task| task.arch.clone()).collect();
                let place = match arches.as_slice() {
                    [] => ".".to_owned(),
                    [one] if one == "noarch" => ".".to_owned(),
                    arches => format!(", on {}.", text::enumeration(arches)),
                };
                let mut say = Say {
                    before: "Fails since ".to_owned(),
                    since,
                    after: age(&place),
                    link: None,
                    end: String::new(),
                };
                let first_known = trouble.before.is_some();
                if let Some(best) = best {
                    say.after.push_str(" The likely cause is ");
                    let href = Change::new(best)
                        .interval
                        .map(|interval| self.affected(&best.name, &interval));
                    match href {
                        Some(href) => {
                            say.link = Some((Change::sentence(best), href));
                            ".".clone_into(&mut say.end);
                        }
                        None => say.after.push_str(&format!("{}.", Change::sentence(best))),
                    }
                } else if !first_known {
                    say.after.push_str(" No build that succeeded is known.");
                } else if trouble
                    .first
                    .as_ref()
                    .is_some_and(|first| first.deps_resolved != Some(true))
                {
                    say.after.push_str(" Which dependencies changed before it began is not known.");
                } else if changes == 0 {
                    say.after.push_str(
                        " No dependency changed since the last good build; look at the package itself or the builder.",
                    );
                } else if let ([only], 1) = (rows, changes) {
                    say.after.push_str(&format!(
                        " The only dependency that changed is {}.",
                        Change::sentence(only)
                    ));
                } else {
                    let suspects = if suspects.is_empty() {
                        "none stands out"
                    } else {
                        "none is proven guilty"
                    };
                    say.after.push_str(&format!(
                        " Since the last good build {} changed; {suspects}.",
                        text::plural(changes, "dependency").replace("dependencys", "dependencies")
                    ));
                }
                say
            }
            PackageState::Unresolved => {
                let because = match explained {
                    [] => ".".to_owned(),
                    [one, others @ ..] => {
                        let [a, b, c, d, e] = one.problem.cause.sentence();
                        let sentence = format!("{a}{b}{c}{d}{e}");
                        let sentence = match one.problem.cause {
                            Cause::Other { .. } => ".".to_owned(),
                            _ => format!(", because {}", lower_first(&sentence)),
                        };
                        match others.len() {
                            0 => sentence,
                            others => format!(
                                "{sentence} There {} {} more.",
                                if others == 1 { "is" } else { "are" },
                                text::plural(others as i64, "problem")
                            ),
                        }
                    }
                };
                Say {
                    before: "Cannot be built since ".to_owned(),
                    since,
                    after: age(&because),
                    link: None,
                    end: String::new(),
                }
            }
            PackageState::Ok => match since {
                Some(since) => Say {
                    before: "Builds since ".to_owned(),
                    since: Some(since),
                    after: age("."),
                    link: None,
                    end: String::new(),
                },
                None => Say::plain("Builds."),
            },
            PackageState::Unknown => match self.package.last_build_id {
                Some(_) => Say::plain("Not known yet: its first build is running."),
                None => Say::plain("Not tried yet: no build of it is known."),
            },
            PackageState::Untracked => Say::plain(
                "Not watched, because nobody asked for it. Packages that are tracked are resolved and built.",
            ),
            PackageState::Blocked => Say::plain(format!(
                "Not watched, because Koji blocks it in {}. It is watched again when it is unblocked there.",
                self.collection.dest_tag
            )),
        }
    }

    /// With what the state was found out.
    fn checked(&self, state: PackageState, trouble: &Trouble) -> String {
        let clock = &self.frame.clock;
        let last = trouble.last.as_ref().map(|last| {
            let kind = if last.real { "official build" } else { "build" };
            match last.repo_id {
                Some(repo) => {
                    format!("{kind} of {} with Koji repo {repo}", clock.long(last.started))
                }
                None => format!("{kind} of {}", clock.long(last.started)),
            }
        });
        let outcome =
            match trouble.last.as_ref().and_then(|last| BuildState::from_number(last.state)) {
                Some(BuildState::Failed) => "failed",
                _ => "was ok",
            };
        let resolution = match self.collection.latest_repo_id {
            Some(repo)
                if self.package.resolved.is_some()
                    && self.package.tracked
                    && !self.package.blocked =>
            {
                format!("Dependencies checked with Koji repo {repo}.")
            }
            _ => String::new(),
        };
        match (state, last) {
            (PackageState::Unresolved, Some(last)) => {
                format!("{resolution} The last {last} {outcome}.")
            }
            (PackageState::Unresolved | PackageState::Blocked | PackageState::Untracked, None) => {
                resolution
            }
            (PackageState::Blocked | PackageState::Untracked, Some(last)) => {
                format!("The last {last} {outcome}.")
            }
            (_, Some(last)) => format!("Last tried: {last}. {resolution}"),
            (_, None) => resolution,
        }
        .trim()
        .to_owned()
    }

    fn steps(
        &self,
        state: PackageState,
        trouble: &Trouble,
        failed: &[TaskLine],
        explained: &[Explained],
        culprit: bool,
    ) -> Vec<Step> {
        let plain = |text: String| Step { text, link: None, after: String::new(), code: None };
        let name = &self.package.name;
        match state {
            PackageState::Failing => {
                let mut steps = Vec::new();
                if let Some((arch, log)) = failed
                    .iter()
                    .find_map(|task| task.log.clone().map(|log| (task.arch.clone(), log)))
                {
                    let others = match failed.len() {
                        1 => String::new(),
                        _ => " It fails on other architectures, too; begin with any of them."
                            .to_owned(),
                    };
                    steps.push(Step {
                        text: "Read the ".to_owned(),
                        link: Some((format!("build.log of {arch}"), log)),
                        after: format!(".{others}"),
                        code: None,
                    });
                }
                if let Some(last) = &trouble.last {
                    steps.push(Step {
                        text: "Build it again yourself, in the same target:".to_owned(),
                        link: None,
                        after: String::new(),
                        code: Some(format!(
                            "koji build --scratch {} {name}-VERSION-RELEASE.src.rpm",
                            self.collection.target
                        ))
                        .filter(|_| !last.real),
                    });
                    if last.real {
                        steps.pop();
                    }
                }
                if culprit {
                    steps.push(plain(
                        "See how the other packages that broke with the likely cause were fixed; its name above leads \
                         to them."
                            .to_owned(),
                    ));
                }
                steps.push(plain(format!(
                    "A fix needs no rebuild request: Koschei builds {name} again when it or one of its dependencies \
                     changes."
                )));
                steps
            }
            PackageState::Unresolved => {
                let mut steps: Vec<Step> = explained
                    .iter()
                    .take(3)
                    .filter_map(|one| match &one.problem.cause {
                        Cause::Missing { capability } => Some(Step {
                            text: match one.problem.chain.last() {
                                Some(step) => format!(
                                    "Bring back a provider of what {} needs, or change what it needs:",
                                    step.package
                                ),
                                None => format!("Bring back a provider, or change what {name} needs:"),
                            },
                            link: None,
                            after: String::new(),
                            code: Some(capability.clone()),
                        }),
                        Cause::Conflict { one, other } => Some(plain(format!(
                            "Make {one} and {other} installable together, or need only one of them."
                        ))),
                        _ => None,
                    })
                    .collect();
                steps.push(plain(format!(
                    "Koschei looks at {name} again with each new Koji repo, and builds it as soon as its dependencies \
                     can be installed."
                )));
                steps
            }
            _ => Vec::new(),
        }
    }

    fn changed(
        &self,
        state: PackageState,
        trouble: &Trouble,
        broke: Vec<ChangeRow>,
        unapplied: Vec<ChangeRow>,
    ) -> Option<Changed> {
        let failing = state == PackageState::Failing && !broke.is_empty();
        let (rows, heading, all) = if failing {
            let build = trouble.first.as_ref().map(|first| self.frame.addresses.build(first.id));
            (broke, "What changed when it began to fail", build)
        } else if unapplied.is_empty() {
            return None;
        } else {
            (unapplied, "What changed since the last build", None)
        };
        let total = rows.first().map_or(0, |row| row.owner_total);
        let note = match (failing, &trouble.before, &trouble.first) {
            (true, Some(before), Some(first)) => Some((
                before.task_id.to_string(),
                self.frame.addresses.build(before.id),
                first.task_id.to_string(),
                self.frame.addresses.build(first.id),
            )),
            _ => None,
        };
        let (near, far) = rows.split_at(NEAREST.min(rows.len()));
        let table = |caption, rows| {
            Changes::new(caption, rows, &self.frame.addresses, &self.collection.name)
        };
        let left_out = total - i64::try_from(rows.len()).unwrap_or(total);
        Some(Changed {
            heading,
            note,
            near: table("Changed dependencies, nearest first", near),
            far: (!far.is_empty()).then(|| {
                (
                    table("More changed dependencies", far),
                    format!("{} more, farther away", far.len()),
                )
            }),
            left_out: all
                .filter(|_| left_out > 0)
                .map(|all| (format!("all {} changes", text::count(total)), all)),
        })
    }

    fn facts(&self, unapplied: &[ChangeRow]) -> Vec<(&'static str, String)> {
        let package = self.package;
        let mut facts = vec![("Tracked", if package.tracked { "yes" } else { "no" }.to_owned())];
        let waiting = unapplied.first().map_or(0, |change| change.owner_total);
        facts.push(("Changes waiting", text::count(waiting)));
        if let Some(arches) =
            package.arch_override.as_deref().filter(|arches| !arches.trim().is_empty())
        {
            facts.push(match arches.strip_prefix('^') {
                Some(arches) => ("Not built for", arches.trim().to_owned()),
                None => ("Built only for", arches.to_owned()),
            });
        }
        if package.skip_resolution {
            facts.push(("Dependencies", "not resolved, on request".to_owned()));
        }
        facts
    }

    fn priority(&self, reasons: &[scheduling::Reason]) -> Option<Priority> {
        let started = self.package.last_started.filter(|_| reasons.is_empty())?;
        let package = self.package;
        let weights = priorities::Weights {
            static_: package.static_priority,
            manual: package.manual_priority,
            build: package.build_priority,
            dependency: package.dependency_priority,
        };
        let parameters = &self.site.config.priorities;
        let hours = (self.frame.clock.now - started).num_seconds() as f64 / 3600.0;
        let coefficient = self.collection.priority_coefficient;
        let current = parameters.current(&weights, hours, coefficient);
        let mut parts = vec![("By time", text::count(parameters.time(hours).floor() as i64))];
        for (name, value) in [
            ("By changed dependencies", package.dependency_priority),
            ("By its last builds", package.build_priority),
            ("Set by hand", package.manual_priority),
            ("Set by administrators", package.static_priority),
        ] {
            if value != 0 {
                parts.push((name, text::count(i64::from(value))));
            }
        }
        if coefficient != 1.0 {
            parts.push(("Factor of the collection", format!("{coefficient}")));
        }
        let threshold = parameters.build_threshold;
        let note = if current >= threshold {
            "High enough: it is built as soon as there is room in Koji.".to_owned()
        } else {
            format!("It is built when its priority reaches {}.", text::count(threshold as i64))
        };
        Some(Priority { current: text::count(current.floor() as i64), parts, note })
    }

    fn links(&self) -> Vec<(String, String)> {
        self.site
            .config
            .links
            .iter()
            .filter_map(|link| {
                let address =
                    link.address(|key| package_value(key, self.package, self.collection))?;
                Some((link.name.clone(), address))
            })
            .collect()
    }

    fn history(
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
        events.sort_by(|one, other| other.at.cmp(&one.at));
        events
    }

    fn build_event(&self, build: HistoryBuild, tasks: &[TaskRow], changes: &[ChangeRow]) -> Event {
        let state = BuildState::from_number(build.state);
        let previous = build.previous_state.and_then(BuildState::from_number);
        let turned = match (state, previous) {
            (Some(BuildState::Failed), Some(BuildState::Complete)) => true,
            (Some(BuildState::Complete), Some(BuildState::Failed)) => true,
            _ => false,
        };
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
        }
    }

    fn resolution_event(&self, change: HistoryResolution) -> Event {
        let state = if change.resolved { PackageState::Ok } else { PackageState::Unresolved };
        let (word, turned, text) = match (change.resolved, change.previous_resolved) {
            (true, Some(false)) => {
                ("resolved again", true, ": all build dependencies can be installed".to_owned())
            }
            (true, _) => {
                ("resolved", false, ": all build dependencies can be installed".to_owned())
            }
            (false, previous) => {
                let first = change.problems.first().map(|text| Problem::read(text).cause.brief());
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
            problems: change.problems,
            at: change.at,
        }
    }
}

/// A value for the placeholders of links.
fn package_value(key: &str, package: &PackageRow, collection: &CollectionRow) -> Option<String> {
    match key {
        "package.name" | "name" => Some(package.name.clone()),
        "package.collection.name" | "collection.name" => Some(collection.name.clone()),
        "package.collection.display_name" | "collection.display_name" => {
            Some(collection.display_name.clone())
        }
        "package.collection.target" | "collection.target" => Some(collection.target.clone()),
        "package.collection.dest_tag" | "collection.dest_tag" => Some(collection.dest_tag.clone()),
        "package.collection.build_tag" | "collection.build_tag" => {
            Some(collection.build_tag.clone())
        }
        "package.collection.bugzilla_product" | "collection.bugzilla_product" => {
            collection.bugzilla_product.clone()
        }
        "package.collection.bugzilla_version" | "collection.bugzilla_version" => {
            collection.bugzilla_version.clone()
        }
        _ => None,
    }
}

fn lower_first(sentence: &str) -> String {
    let mut chars = sentence.chars();
    match chars.next() {
        // Only words of ours; a package's name keeps its case.
        Some('N') => format!("n{}", chars.as_str()),
        _ => sentence.to_owned(),
    }
}

fn versions(change: &ChangeRow) -> String {
    let sentence = Change::sentence(change);
    sentence.strip_prefix(&change.name).map(str::trim).unwrap_or_default().to_owned()
}

fn counted(count: &CulpritCount) -> String {
    match (count.packages, count.broke) {
        (0, _) => "no other package was built with it yet".to_owned(),
        (1, 0) => "the one other package built with it did not break".to_owned(),
        (1, _) => "the one other package built with it broke, too".to_owned(),
        (packages, broke) => {
            let of = if count.cut {
                format!("{} other packages looked at", text::count(packages))
            } else {
                format!("{} other packages built with it", text::count(packages))
            };
            match broke {
                0 => format!("none of {of} broke"),
                broke => format!("{} of {of} broke, too", text::count(broke)),
            }
        }
    }
}
