//! Brings what Koji knows about running scratch builds into the database: their subtasks, their repo, and their end
//! (spec/services.md, "finishing a build").
//!
//! Koji is asked first and without holding anything; then each build that ended is locked, then its package, and what
//! was learnt is stored in one transaction. If another process was first, nothing is left to do.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::stream::{self, StreamExt as _};
use koji::FaultKind;
use koji::calls::{self, Call};
use koji::types::{Task, TaskId, TaskOutcome};
use koschei_core::states::BuildState;
use koschei_core::tasks::{self, Blame, Standing, standing};
use koschei_db::builds::{self, Ending, Progress, RunningBuild, Subtask};
use tracing::{Instrument, Span, info, info_span, warn};

use crate::context::Context;
use crate::error::{Result, stored_id};
use crate::mirroring;
use crate::resolving::{acquire, begin, commit};

/// How long Koji may refuse to tell what became of a build, before that counts as trouble of its own. Meanwhile the build
/// keeps its place among those that may run.
const PATIENCE: TimeDelta = TimeDelta::hours(1);

/// What is to be done with a build.
enum Verdict {
    /// It goes on.
    Running,
    /// It ended like this.
    Ended(BuildState),
    /// It never was, for this reason.
    Delete(Reason),
    /// It is to be cancelled and then deleted, for this reason.
    Cancel(Reason),
}

/// Why a build never was.
struct Reason {
    /// In words, for the log and for whoever asks about the task later.
    why: String,
    /// Whether that is trouble of Koji, so that the package's next build had better wait.
    trouble: bool,
}

impl Reason {
    fn trouble(why: impl Into<String>) -> Self {
        Self { why: why.into(), trouble: true }
    }

    fn wish(why: impl Into<String>) -> Self {
        Self { why: why.into(), trouble: false }
    }
}

/// An answer of Koji, or what it said instead.
type Told<T> = std::result::Result<T, String>;

/// Looks at running builds in Koji and stores what became of them. Returns how many ended.
///
/// # Errors
/// When Koji or the database is away; what was stored until then stays.
pub async fn update(ctx: &Context, running: Vec<RunningBuild>) -> Result<usize> {
    let now = Utc::now();
    let infos =
        ask(ctx, running.iter().map(|build| calls::get_task_info(build.task_id.into())).collect())
            .await?;
    let mut untold: Vec<(RunningBuild, String)> = Vec::new();
    let mut looked_at = Vec::with_capacity(running.len());
    for (build, info) in running.into_iter().zip(infos) {
        // What Koji refuses to tell of one task does not keep back the others.
        match info {
            Ok(info) => looked_at.push((build, info)),
            Err(said) => untold.push((build, said)),
        }
    }
    let results = ask_results(ctx, &looked_at).await?;
    let mut verdicts = Vec::with_capacity(looked_at.len());
    for (build, task) in looked_at {
        match verdict(ctx, &build, task.as_ref(), &results, now) {
            Ok(verdict) => verdicts.push((build, task, verdict)),
            Err(said) => untold.push((build, said)),
        }
    }
    let mut children = ask_children(ctx, &verdicts).await?;
    // Without an answer about its parts nothing is known of a build's repo.
    let (told, partly): (Vec<_>, Vec<_>) = verdicts
        .into_iter()
        .partition(|(build, ..)| !matches!(children.get(&build.task_id), Some(Err(_))));
    let mut verdicts = told;
    for (build, ..) in partly {
        let said = children.remove(&build.task_id).and_then(Result::err).unwrap_or_default();
        untold.push((build, said));
    }
    note_untold(ctx, &untold, &verdicts, now).await?;
    for (build, said) in untold {
        if build.untold_since.is_some_and(|since| now - since > PATIENCE) {
            let why = format!("Koji does not tell what became of it: {said}");
            verdicts.push((build, None, Verdict::Cancel(Reason::trouble(why))));
        }
    }
    // Last, because a hub that is slow to cancel must not keep back what is known of the others.
    let (cancelled, verdicts): (Vec<_>, Vec<_>) =
        verdicts.into_iter().partition(|(_, _, verdict)| matches!(verdict, Verdict::Cancel(_)));
    let (mut progress, mut ending) = (Vec::new(), Vec::new());
    for (build, task, verdict) in verdicts {
        let parts = children.get(&build.task_id).and_then(|parts| parts.as_ref().ok());
        match (verdict, parts) {
            (Verdict::Running, Some(parts)) => {
                let news = progress_of(ctx, &build, parts, now).instrument(span_of(&build)).await;
                progress.extend(unless_stumbled(&build, news)?);
            }
            (Verdict::Running, None) => {}
            (verdict, parts) => ending.push(conclude(ctx, build, task, verdict, parts, now)),
        }
    }
    if !progress.is_empty() {
        let mut transaction = begin(ctx).await?;
        builds::store_progress(&mut transaction, &progress).await?;
        commit(transaction).await?;
    }
    let mut ended = 0;
    let mut ending = stream::iter(ending).buffer_unordered(AT_ONCE);
    while let Some(result) = ending.next().await {
        ended += usize::from(result?);
    }
    drop(ending);
    for (build, task, verdict) in cancelled {
        ended += usize::from(conclude(ctx, build, task, verdict, None, now).await?);
    }
    Ok(ended)
}

/// So many builds are finished at the same time, each in a transaction of its own: the database server spends much of
/// each waiting for a disk, and has more than one processor.
const AT_ONCE: usize = 4;

fn span_of(build: &RunningBuild) -> Span {
    info_span!(
        "build",
        build = build.id,
        task = build.task_id,
        package = build.name,
        collection = build.collection
    )
}

/// One build that Koji stumbles over must not hold up the others.
fn unless_stumbled<T>(build: &RunningBuild, result: Result<T>) -> Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.is_transient() => Err(error),
        Err(error) => {
            span_of(build).in_scope(|| warn!("the build cannot be looked at: {error}"));
            Ok(None)
        }
    }
}

/// Stores the end of a build. Whether it was this process that did.
async fn conclude(
    ctx: &Context,
    build: RunningBuild,
    task: Option<Task>,
    verdict: Verdict,
    parts: Option<&Vec<Task>>,
    now: DateTime<Utc>,
) -> Result<bool> {
    let result = async {
        match verdict {
            Verdict::Running => Ok(false),
            Verdict::Ended(state) => {
                let (Some(task), Some(parts)) = (task, parts) else { return Ok(false) };
                end(ctx, &build, &task, parts, state, now).await
            }
            Verdict::Delete(why) => delete(ctx, &build, &why).await,
            Verdict::Cancel(why) => cancel(ctx, &build, why).await,
        }
    }
    .instrument(span_of(&build))
    .await;
    Ok(unless_stumbled(&build, result)?.unwrap_or(false))
}

/// Notes since when Koji refuses to tell about builds.
async fn note_untold(
    ctx: &Context,
    untold: &[(RunningBuild, String)],
    told: &[(RunningBuild, Option<Task>, Verdict)],
    now: DateTime<Utc>,
) -> Result<()> {
    // In the future: the clock was put back.
    let is_new = |build: &RunningBuild| build.untold_since.is_none_or(|since| since > now);
    let begun: Vec<i32> =
        untold.iter().filter(|(build, _)| is_new(build)).map(|(build, _)| build.id).collect();
    let over: Vec<i32> = told
        .iter()
        .filter(|(build, ..)| build.untold_since.is_some())
        .map(|(build, ..)| build.id)
        .collect();
    for (build, said) in untold {
        if build.untold_since.is_none() {
            warn!(
                build = build.id,
                task = build.task_id,
                package = build.name,
                "Koji does not tell what became of the build: {said}"
            );
        }
    }
    if !(begun.is_empty() && over.is_empty()) {
        let mut transaction = begin(ctx).await?;
        builds::note_untold(&mut transaction, &begun, &over, now).await?;
        commit(transaction).await?;
    }
    Ok(())
}

/// Asks the primary Koji many things at once. What it refuses for one of them is in the place of the answer.
async fn ask<T>(ctx: &Context, calls: Vec<Call<T>>) -> Result<Vec<Told<T>>> {
    let mut answers = Vec::new();
    for answer in ctx.koji_that_builds().await?.multicall(calls).all().await? {
        match answer {
            Ok(answer) => answers.push(Ok(answer)),
            Err(error) if error.is_transient() => return Err(error.into()),
            Err(error) => answers.push(Err(error.to_string())),
        }
    }
    Ok(answers)
}

/// The results of the tasks that failed.
async fn ask_results(
    ctx: &Context,
    builds: &[(RunningBuild, Option<Task>)],
) -> Result<HashMap<TaskId, Told<TaskOutcome>>> {
    let failed: Vec<TaskId> = builds
        .iter()
        .filter_map(|(_, task)| task.as_ref())
        .filter(|task| standing(task.state) == Standing::Failed)
        .map(|task| task.id)
        .collect();
    let results =
        ask(ctx, failed.iter().map(|task| calls::get_task_result(*task)).collect()).await?;
    Ok(failed.into_iter().zip(results).collect())
}

/// The parts of all builds whose parts matter.
async fn ask_children(
    ctx: &Context,
    verdicts: &[(RunningBuild, Option<Task>, Verdict)],
) -> Result<HashMap<i32, Told<Vec<Task>>>> {
    let wanted: Vec<i32> = verdicts
        .iter()
        .filter(|(_, _, verdict)| matches!(verdict, Verdict::Running | Verdict::Ended(_)))
        .map(|(build, _, _)| build.task_id)
        .collect();
    let parts =
        ask(ctx, wanted.iter().map(|task| calls::get_task_children((*task).into())).collect())
            .await?;
    Ok(wanted.into_iter().zip(parts).collect())
}

/// What is to be done with a build; or what Koji said instead of how it ended, so that it is asked again.
fn verdict(
    ctx: &Context,
    build: &RunningBuild,
    task: Option<&Task>,
    results: &HashMap<TaskId, Told<TaskOutcome>>,
    now: DateTime<Utc>,
) -> Told<Verdict> {
    let Some(task) = task else {
        return Ok(Verdict::Delete(Reason::trouble("Koji does not know the task")));
    };
    Ok(match standing(task.state) {
        Standing::Closed => Verdict::Ended(BuildState::Complete),
        Standing::Canceled if build.cancel_requested => {
            Verdict::Delete(Reason::wish("it was canceled"))
        }
        Standing::Canceled => Verdict::Delete(Reason::trouble("it was canceled")),
        Standing::Failed => match results.get(&task.id) {
            None => return Err("nothing".into()),
            Some(Err(said)) => return Err(said.clone()),
            Some(Ok(TaskOutcome::Closed(_))) => Verdict::Ended(BuildState::Failed),
            Some(Ok(TaskOutcome::Failed(fault))) => match tasks::blame(fault.code) {
                Blame::Package => Verdict::Ended(BuildState::Failed),
                Blame::Infrastructure => {
                    let text: String = fault.text.chars().take(200).collect();
                    Verdict::Delete(Reason::trouble(format!(
                        "Koji had a problem of its own ({}): {text}",
                        fault.code
                    )))
                }
            },
        },
        Standing::Running if build.cancel_requested => {
            Verdict::Cancel(Reason::wish("somebody asked for it"))
        }
        Standing::Running => {
            let timeout = ctx.config.koji_config.task_timeout();
            let limit = TimeDelta::from_std(timeout).unwrap_or(TimeDelta::MAX);
            // By the clock of Koji where ours has been put back since.
            if now - build.started.min(task.created()) > limit {
                Verdict::Cancel(Reason::trouble(format!(
                    "it ran for more than {} hours",
                    timeout.as_secs() / 3600
                )))
            } else {
                Verdict::Running
            }
        }
    })
}

/// The repo of a build as its collection counts them, from the build's parts.
async fn repo_id(ctx: &Context, build: &RunningBuild, parts: &[Task]) -> Result<Option<i32>> {
    if build.repo_id.is_some() {
        return Ok(build.repo_id);
    }
    let Some(repo_id) = tasks::repo_id(parts) else { return Ok(None) };
    let repo_id = stored_id("a repo id", repo_id)?;
    if build.secondary_mode {
        mirroring::secondary_repo(ctx, repo_id).await
    } else {
        Ok(Some(repo_id))
    }
}

/// Parts of a build for single architectures, as the database keeps them.
pub(crate) fn subtasks(parts: &[Task], now: DateTime<Utc>) -> Result<Vec<Subtask>> {
    tasks::arch_tasks(parts, now)
        .into_iter()
        .map(|part| {
            Ok(Subtask {
                task_id: stored_id("a task id", part.id)?,
                arch: part.arch,
                state: stored_id("a task state", part.state.into())?,
                started: part.started,
                finished: part.finished,
            })
        })
        .collect()
}

async fn progress_of(
    ctx: &Context,
    build: &RunningBuild,
    parts: &[Task],
    now: DateTime<Utc>,
) -> Result<Progress> {
    Ok(Progress {
        build_id: build.id,
        repo_id: repo_id(ctx, build, parts).await?,
        subtasks: subtasks(parts, now)?,
    })
}

/// Stores how a build ended. Whether it was this process that did.
async fn end(
    ctx: &Context,
    build: &RunningBuild,
    task: &Task,
    parts: &[Task],
    state: BuildState,
    now: DateTime<Utc>,
) -> Result<bool> {
    // A build of a certain repo that failed before any of its parts began was not made in that repo either.
    let repo =
        if tasks::repo_id(parts).is_some() { repo_id(ctx, build, parts).await? } else { None };
    let Some(repo_id) = repo else {
        let why = Reason::trouble("Koji does not say in which repo it was made");
        return delete(ctx, build, &why).await;
    };
    let ending = Ending {
        state,
        started: task.created(),
        finished: task.completed().unwrap_or(now),
        repo_id,
        subtasks: subtasks(parts, now)?,
    };
    let mut transaction = begin(ctx).await?;
    let Some(locked) = builds::lock_running(&mut transaction, build.id).await? else {
        return Ok(false);
    };
    let priorities = &ctx.config.priorities;
    locked
        .finish(&mut transaction, &ending, |previous| {
            priorities.after_build(
                state == BuildState::Failed,
                previous.map(|previous| previous == BuildState::Failed),
            )
        })
        .await?;
    commit(transaction).await?;
    info!(repo = repo_id, "the build is {state}");
    Ok(true)
}

async fn delete(ctx: &Context, build: &RunningBuild, reason: &Reason) -> Result<bool> {
    let mut transaction = begin(ctx).await?;
    let Some(locked) = builds::lock_running(&mut transaction, build.id).await? else {
        return Ok(false);
    };
    locked.delete(&mut transaction, &reason.why, reason.trouble).await?;
    commit(transaction).await?;
    info!("the build is deleted: {}", reason.why);
    Ok(true)
}

async fn cancel(ctx: &Context, build: &RunningBuild, mut reason: Reason) -> Result<bool> {
    match ctx.koji_that_builds().await?.call(calls::cancel_task(build.task_id.into())).await {
        Ok(()) => {}
        // It is not ours, or gone: nothing that could be cancelled.
        Err(error)
            if matches!(
                error.fault_kind(),
                Some(FaultKind::GenericError | FaultKind::ActionNotAllowed)
            ) =>
        {
            warn!("Koji does not cancel the build: {error}");
        }
        // A task that Koji stumbles over in every way is not waited for.
        Err(error) if build.untold_since.is_some() && !error.is_transient() => {
            warn!("Koji does not cancel the build: {error}");
        }
        Err(error) => return Err(error.into()),
    }
    reason.why = format!("it was cancelled, because {}", reason.why);
    delete(ctx, build, &reason).await
}

/// Looks at all running builds. Returns how many ended.
///
/// # Errors
/// As [`update`].
pub async fn update_all(ctx: &Context) -> Result<usize> {
    let mut conn = acquire(ctx).await?;
    let running = builds::running(&mut conn, None).await?;
    drop(conn);
    if running.is_empty() { Ok(0) } else { update(ctx, running).await }
}
