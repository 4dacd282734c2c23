//! Brings what Koji knows about running scratch builds into the database: their subtasks, their repo, and their end
//! (spec/services.md, "finishing a build").
//!
//! Koji is asked first and without holding anything; then each build that ended is locked, then its package, and what
//! was learnt is stored in one transaction. If another process was first, nothing is left to do.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use koji::FaultKind;
use koji::calls::{self, Call};
use koji::types::{Task, TaskId, TaskOutcome};
use koschei_core::states::BuildState;
use koschei_core::tasks::{self, Blame, Standing, standing};
use koschei_db::builds::{self, Ending, Progress, RunningBuild, Subtask};
use tracing::{Instrument, info, info_span, warn};

use crate::context::Context;
use crate::error::{Error, Result, stored_id};
use crate::mirroring;
use crate::resolving::{acquire, begin, commit};

/// What is to be done with a build.
enum Verdict {
    /// It goes on.
    Running,
    /// It ended like this.
    Ended(BuildState),
    /// It never was, for this reason.
    Delete(String),
    /// It is to be cancelled and then deleted, for this reason.
    Cancel(String),
}

/// Looks at running builds in Koji and stores what became of them. Returns how many ended.
///
/// # Errors
/// When Koji or the database is away; what was stored until then stays.
pub async fn update(ctx: &Context, running: Vec<RunningBuild>) -> Result<usize> {
    let now = Utc::now();
    let infos =
        ask(ctx, running.iter().map(|build| calls::get_task_info(build.task_id.into())).collect())
            .await?;
    let mut looked_at = Vec::with_capacity(running.len());
    for (build, info) in running.into_iter().zip(infos) {
        // A fault for this one task was logged; the others go on.
        if let Some(info) = info {
            looked_at.push((build, info));
        }
    }
    let results = ask_results(ctx, &looked_at).await?;
    let mut verdicts = Vec::with_capacity(looked_at.len());
    for (build, task) in looked_at {
        match verdict(ctx, &build, task.as_ref(), &results, now) {
            Some(verdict) => verdicts.push((build, task, verdict)),
            None => continue,
        }
    }
    let children = ask_children(ctx, &verdicts).await?;
    // Last, because a hub that is slow to cancel must not keep back what is known of the others.
    verdicts.sort_by_key(|(_, _, verdict)| matches!(verdict, Verdict::Cancel(_)));

    let mut progress = Vec::new();
    let mut ended = 0;
    for (build, task, verdict) in verdicts {
        if matches!(verdict, Verdict::Cancel(_)) {
            store_progress(ctx, &mut progress).await?;
        }
        let span = info_span!(
            "build",
            build = build.id,
            task = build.task_id,
            package = build.name,
            collection = build.collection
        );
        let parts = children.get(&build.task_id);
        let result = async {
            match verdict {
                Verdict::Running => {
                    let Some(parts) = parts else { return Ok(()) };
                    progress.push(progress_of(ctx, &build, parts, now).await?);
                }
                Verdict::Ended(state) => {
                    // Without an answer about its parts nothing is known of its repo; it is asked again.
                    let (Some(task), Some(parts)) = (task, parts) else { return Ok(()) };
                    end(ctx, &build, &task, parts, state, now).await?;
                    ended += 1;
                }
                Verdict::Delete(why) => {
                    delete(ctx, &build, &why).await?;
                    ended += 1;
                }
                Verdict::Cancel(why) => {
                    cancel(ctx, &build, &why).await?;
                    ended += 1;
                }
            }
            Ok::<(), Error>(())
        }
        .instrument(span.clone())
        .await;
        match result {
            Ok(()) => {}
            Err(error) if error.is_transient() => return Err(error),
            // One build that Koji stumbles over must not hold up the others.
            Err(error) => span.in_scope(|| warn!("the build cannot be looked at: {error}")),
        }
    }
    store_progress(ctx, &mut progress).await?;
    Ok(ended)
}

/// Stores what became known about running builds.
async fn store_progress(ctx: &Context, progress: &mut Vec<Progress>) -> Result<()> {
    if !progress.is_empty() {
        let mut transaction = begin(ctx).await?;
        builds::store_progress(&mut transaction, progress).await?;
        commit(transaction).await?;
        progress.clear();
    }
    Ok(())
}

/// Asks the primary Koji many things at once. What it refuses for one of them is logged and left out.
async fn ask<T>(ctx: &Context, calls: Vec<Call<T>>) -> Result<Vec<Option<T>>> {
    let mut answers = Vec::new();
    for answer in ctx.primary.multicall(calls).all().await? {
        match answer {
            Ok(answer) => answers.push(Some(answer)),
            Err(error) if error.is_transient() => return Err(error.into()),
            Err(error) => {
                warn!("{error}");
                answers.push(None);
            }
        }
    }
    Ok(answers)
}

/// The results of the tasks that failed.
async fn ask_results(
    ctx: &Context,
    builds: &[(RunningBuild, Option<Task>)],
) -> Result<HashMap<TaskId, TaskOutcome>> {
    let failed: Vec<TaskId> = builds
        .iter()
        .filter_map(|(_, task)| task.as_ref())
        .filter(|task| standing(task.state) == Standing::Failed)
        .map(|task| task.id)
        .collect();
    let results =
        ask(ctx, failed.iter().map(|task| calls::get_task_result(*task)).collect()).await?;
    Ok(failed.into_iter().zip(results).filter_map(|(id, result)| Some((id, result?))).collect())
}

/// The parts of all builds whose parts matter.
async fn ask_children(
    ctx: &Context,
    verdicts: &[(RunningBuild, Option<Task>, Verdict)],
) -> Result<HashMap<i32, Vec<Task>>> {
    let wanted: Vec<i32> = verdicts
        .iter()
        .filter(|(_, _, verdict)| matches!(verdict, Verdict::Running | Verdict::Ended(_)))
        .map(|(build, _, _)| build.task_id)
        .collect();
    let parts =
        ask(ctx, wanted.iter().map(|task| calls::get_task_children((*task).into())).collect())
            .await?;
    Ok(wanted.into_iter().zip(parts).filter_map(|(id, parts)| Some((id, parts?))).collect())
}

/// What is to be done with a build; `None` when Koji did not tell, so that it is asked again at the next turn.
fn verdict(
    ctx: &Context,
    build: &RunningBuild,
    task: Option<&Task>,
    results: &HashMap<TaskId, TaskOutcome>,
    now: DateTime<Utc>,
) -> Option<Verdict> {
    let Some(task) = task else {
        return Some(Verdict::Delete("Koji does not know the task".into()));
    };
    Some(match standing(task.state) {
        Standing::Closed => Verdict::Ended(BuildState::Complete),
        Standing::Canceled => Verdict::Delete("it was canceled".into()),
        Standing::Failed => match results.get(&task.id)? {
            TaskOutcome::Closed(_) => Verdict::Ended(BuildState::Failed),
            TaskOutcome::Failed(fault) => match tasks::blame(fault.code) {
                Blame::Package => Verdict::Ended(BuildState::Failed),
                Blame::Infrastructure => {
                    let text: String = fault.text.chars().take(200).collect();
                    Verdict::Delete(format!(
                        "Koji had a problem of its own ({}): {text}",
                        fault.code
                    ))
                }
            },
        },
        Standing::Running if build.cancel_requested => {
            Verdict::Cancel("somebody asked for it".into())
        }
        Standing::Running => {
            let timeout = ctx.config.koji_config.task_timeout();
            let limit = TimeDelta::from_std(timeout).unwrap_or(TimeDelta::MAX);
            if now - build.started > limit {
                Verdict::Cancel(format!("it ran for more than {} hours", timeout.as_secs() / 3600))
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

async fn end(
    ctx: &Context,
    build: &RunningBuild,
    task: &Task,
    parts: &[Task],
    state: BuildState,
    now: DateTime<Utc>,
) -> Result<()> {
    // A build of a certain repo that failed before any of its parts began was not made in that repo either.
    let repo =
        if tasks::repo_id(parts).is_some() { repo_id(ctx, build, parts).await? } else { None };
    let Some(repo_id) = repo else {
        return delete(ctx, build, "Koji does not say in which repo it was made").await;
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
        return Ok(());
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
    Ok(())
}

async fn delete(ctx: &Context, build: &RunningBuild, why: &str) -> Result<()> {
    let mut transaction = begin(ctx).await?;
    let Some(locked) = builds::lock_running(&mut transaction, build.id).await? else {
        return Ok(());
    };
    locked.delete(&mut transaction, why).await?;
    commit(transaction).await?;
    info!("the build is deleted: {why}");
    Ok(())
}

async fn cancel(ctx: &Context, build: &RunningBuild, why: &str) -> Result<()> {
    match ctx.primary.call(calls::cancel_task(build.task_id.into())).await {
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
        Err(error) => return Err(error.into()),
    }
    delete(ctx, build, &format!("it was cancelled, because {why}")).await
}

/// Looks at all running builds.
pub(crate) async fn update_all(ctx: &Context) -> Result<usize> {
    let mut conn = acquire(ctx).await?;
    let running = builds::running(&mut conn, None).await?;
    drop(conn);
    if running.is_empty() { Ok(0) } else { update(ctx, running).await }
}
