//! `/build/ID`: one build with its tasks, logs, and the dependencies that changed with it.

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use koschei_core::states::BuildState;
use koschei_db::forms as db_forms;
use koschei_db::pages::{self as db, BuildRow, CollectionRow, TaskRow};

use crate::error::Error;
use crate::forms::{self, Form};
use crate::parts::{Changes, Mark, Moment, Name};
use crate::request::Ask;
use crate::site::{Frame, Section, SharedSite, Site, Tabs};
use crate::text;

/// Changes that are listed, of a build that has more than anybody reads.
const CHANGES: i64 = 200;
/// Changes before the rest is folded away.
const NEAREST: usize = 10;

/// A task of a build, with its links.
pub(crate) struct TaskLine {
    pub(crate) arch: String,
    pub(crate) task_id: i32,
    pub(crate) href: String,
    pub(crate) mark: Mark,
    pub(crate) log: Option<String>,
    pub(crate) root_log: Option<String>,
    pub(crate) started: Moment,
    pub(crate) took: String,
}

/// Where the files of a real build lie.
pub(crate) struct RealBuild<'a> {
    pub(crate) name: &'a str,
    pub(crate) version: &'a str,
    pub(crate) release: &'a str,
}

impl TaskLine {
    /// A task of a scratch build, or of this real build.
    pub(crate) fn new(
        site: &Site,
        frame: &Frame,
        task: &TaskRow,
        real: Option<&RealBuild<'_>>,
    ) -> Self {
        let config = &site.config;
        let base = match real {
            // Koji keeps the logs of a tagged build with its packages, for ever.
            Some(real) => format!(
                "{}/packages/{}/{}/{}/data/logs/{}",
                config.secondary_topurl, real.name, real.version, real.release, task.arch
            ),
            // And those of a scratch build in a directory named after the task, until it cleans up.
            None => format!(
                "{}/work/tasks/{}/{}",
                config.koji_topurl,
                task.task_id % 10_000,
                task.task_id
            ),
        };
        // A task that nobody has taken, or that was canceled, has written nothing.
        let logs = matches!(task.state, 1 | 2 | 5);
        Self {
            arch: task.arch.clone(),
            task_id: task.task_id,
            href: task_address(site, task.task_id, real.is_some()),
            mark: Mark::task(task.state),
            log: logs.then(|| format!("{base}/build.log")),
            root_log: logs.then(|| format!("{base}/root.log")),
            started: Moment::short(&frame.clock, task.started),
            took: task
                .finished
                .map(|finished| text::duration(finished - task.started))
                .unwrap_or_default(),
        }
    }
}

/// A task in Koji's web interface.
fn task_address(site: &Site, task: i32, real: bool) -> String {
    let weburl = if real { &site.config.secondary_weburl } else { &site.config.koji_weburl };
    format!("{weburl}/taskinfo?taskID={task}")
}

#[derive(Template)]
#[template(path = "build.html")]
struct Page<'a> {
    frame: &'a Frame,
    build: &'a BuildRow,
    collection: &'a CollectionRow,
    state: Option<BuildState>,
    say: String,
    package_href: String,
    task_href: String,
    evr: String,
    facts: Vec<(&'static str, String)>,
    tasks: Vec<TaskLine>,
    near: Option<Changes>,
    far: Option<(Changes, String)>,
    total: i64,
    /// The build that it was compared with, and its address.
    compared: Option<(i32, String)>,
    no_changes: &'static str,
    /// Address of the form that cancels it, for those who may.
    cancel: Option<String>,
}

/// No build has this number.
fn unknown_build(id: &str) -> Error {
    Error::not_found(
        format!("There is no build {id}"),
        "Builds are removed after a time. The page of the package shows those that are left.",
    )
}

/// The build with this number.
pub(crate) async fn find(site: &Site, id: &str) -> Result<BuildRow, Error> {
    let unknown = || unknown_build(id);
    let number: i32 = id.parse().map_err(|_| unknown())?;
    db::build(&site.pool, number).await?.ok_or_else(unknown)
}

/// `/build/ID/cancel`: an administrator wants a build cancelled. The polling service does it.
pub(crate) async fn cancel(
    State(site): State<SharedSite>,
    Path(id): Path<String>,
    form: Form,
) -> Result<Response, Error> {
    if !form.visitor.admin {
        return Err(Error::Forbidden {
            title: "Only administrators cancel builds".to_owned(),
            advice: "Nothing was changed. Ask one of them, or wait until the build ends."
                .to_owned(),
        });
    }
    let build = find(&site, &id).await?;
    let mut connection = site.pool.acquire().await.map_err(koschei_db::Error::from)?;
    let requested = match db_forms::cancel_build(&mut connection, &form.actor(), build.id).await {
        Ok(requested) => requested,
        Err(error) => {
            return Err(Error::bad_request("Nothing was changed", forms::mistake(error)?));
        }
    };
    if !requested && BuildState::from_number(build.state) != Some(BuildState::Running) {
        return Err(Error::bad_request(
            "This build is over",
            "Nothing was changed: only a running build can be cancelled.",
        ));
    }
    let said = if requested {
        "The build will be cancelled in Koji within the next minutes, and then it is gone from here. The next one waits for \
         six hours, unless somebody raises the manual priority of the package."
    } else {
        "Somebody had asked for that already."
    };
    Ok(form.done(&site, &format!("/build/{}", build.id), said))
}

/// The page.
pub(crate) async fn build(
    State(site): State<SharedSite>,
    Path(id): Path<String>,
    ask: Ask,
) -> Result<Response, Error> {
    let (selection, build) = tokio::try_join!(
        async { site.selection(&Ask { pairs: Vec::new(), ..ask.clone() }).await },
        find(&site, &id),
    )?;
    let selection = selection.only(build.collection_id);
    let Some(collection) = selection.by_id(build.collection_id).cloned() else {
        return Err(unknown_build(&id));
    };
    let state = BuildState::from_number(build.state);
    let (mut frame, tasks, changes) = tokio::try_join!(
        site.frame(
            &ask,
            &selection,
            Section::Packages,
            format!("Build {} of {}", build.task_id, build.name),
            Tabs::None,
        ),
        async { Ok(db::tasks_of(&site.pool, &[build.id]).await?) },
        async { Ok(db::applied_changes(&site.pool, &[build.id], CHANGES).await?) },
    )?;
    if state != Some(BuildState::Running) && build.deps_resolved.is_some() {
        // Nothing of it changes any more.
        frame.live = None;
    }
    let total = changes.first().map_or(0, |change| change.owner_total);
    let (near, far) = changes.split_at(NEAREST.min(changes.len()));
    let table = |caption, rows| Changes::new(caption, rows, &frame.addresses, &collection.name);
    let version = build.evr.version.as_deref().zip(build.evr.release.as_deref());
    let real = version.filter(|_| build.real).map(|(version, release)| RealBuild {
        name: &build.name,
        version,
        release,
    });
    let page = Page {
        say: say(&frame, &build, state),
        package_href: frame.addresses.package(&build.name, &collection.name),
        task_href: task_address(&site, build.task_id, build.real),
        evr: version
            .map(|(version, release)| crate::evr::evr(build.evr.epoch, version, release))
            .unwrap_or_default(),
        facts: facts(&frame, &build),
        tasks: tasks.iter().map(|task| TaskLine::new(&site, &frame, task, real.as_ref())).collect(),
        near: (!near.is_empty()).then(|| table("Changed dependencies, nearest first", near)),
        far: (!far.is_empty()).then(|| {
            let left = total - NEAREST as i64;
            let summary = if total > changes.len() as i64 {
                format!("{} of {} more, farther away", far.len(), text::count(left))
            } else {
                format!("{} more, farther away", text::count(left))
            };
            (table("More changed dependencies", far), summary)
        }),
        total,
        compared: build
            .compared_task_id
            .zip(build.compared_id)
            .map(|(task, id)| (task, frame.addresses.build(id))),
        no_changes: no_changes(&build, state),
        cancel: ask
            .visitor
            .as_ref()
            .filter(|visitor| visitor.admin && state == Some(BuildState::Running))
            .filter(|_| !build.cancel_requested)
            .map(|_| format!("{}/cancel", frame.addresses.build(build.id))),
        state,
        build: &build,
        collection: &collection,
        frame: &frame,
    };
    super::page(&page)
}

/// What is true where no change is listed.
fn no_changes(build: &BuildRow, state: Option<BuildState>) -> &'static str {
    match build.deps_resolved {
        Some(true) if build.compared_id.is_some() => "No dependency changed.",
        Some(true) if build.comparable => {
            "What changed is not known: a build that was started later was looked at first, and what was installed for \
             the build before this one is no longer stored."
        }
        Some(true) => {
            "There is nothing to compare it with: it is the first build of the package whose dependencies are known."
        }
        Some(false) => {
            "What changed is not known: when its dependencies were looked at, they could not be installed from its Koji \
             repo, or that repo was gone."
        }
        None if build.repo_id.is_none() && state != Some(BuildState::Running) => {
            "What changed is not known: nothing says with which Koji repo it was built."
        }
        None => "Its dependencies have not been looked at yet.",
    }
}

fn say(frame: &Frame, build: &BuildRow, state: Option<BuildState>) -> String {
    let clock = &frame.clock;
    let who =
        if build.real { "An official build by a packager" } else { "A scratch build by Koschei" };
    let took = build.finished.map(|finished| text::duration(finished - build.started));
    let turned = match (state, build.previous_state.and_then(BuildState::from_number)) {
        (Some(BuildState::Failed), Some(BuildState::Complete)) => " The build before it succeeded.",
        (Some(BuildState::Failed), Some(BuildState::Failed)) => " The build before it failed, too.",
        (Some(BuildState::Complete), Some(BuildState::Failed)) => " The build before it failed.",
        _ => "",
    };
    match (state, took) {
        (Some(BuildState::Running), _) if build.cancel_requested => {
            format!(
                "{who}, running since {}; its cancellation was requested.",
                clock.long(build.started)
            )
        }
        (Some(BuildState::Running), _) => {
            format!(
                "{who}, running since {} ({}).",
                clock.long(build.started),
                clock.age(build.started)
            )
        }
        (Some(BuildState::Failed), Some(took)) => {
            format!("{who}. It failed after {took}.{turned}")
        }
        (_, Some(took)) => format!("{who}. It took {took}.{turned}"),
        (_, None) => format!("{who}.{turned}"),
    }
}

fn facts(frame: &Frame, build: &BuildRow) -> Vec<(&'static str, String)> {
    let mut facts = vec![("Started", frame.clock.short(build.started))];
    if let Some(finished) = build.finished {
        facts.push(("Finished", frame.clock.short(finished)));
    }
    if let Some(repo) = build.repo_id {
        facts.push(("Koji repo", repo.to_string()));
    }
    facts.push(("Kind", if build.real { "official build" } else { "scratch build" }.to_owned()));
    if build.untagged {
        facts.push(("Tagged", "no, taken out of the tag".to_owned()));
    }
    facts
}
