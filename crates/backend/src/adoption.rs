//! Finds scratch builds of ours that Koji has and the database does not know: what a crash between Koji's answer and our
//! commit leaves, or an answer that was lost. Each of them becomes a build, or gets a recorded reason why not.
//!
//! This runs under the scheduler's lock, before anything is submitted and at every polling, so that no build is lost or
//! made twice.

use std::collections::HashMap;

use chrono::{TimeDelta, Utc};
use koji::calls::{self, ListTasks};
use koji::types::{Task, method};
use koschei_core::sources::Nvr;
use koschei_db::builds::{self, AdoptionCandidate, ScratchBuild};
use koschei_db::locks::SchedulerLock;
use koschei_db::submissions;
use tracing::{info, warn};

use crate::context::Context;
use crate::error::{Result, stored_id};
use crate::mirroring;
use crate::resolving::{acquire, begin, commit};

/// How many tasks are asked for at once.
const PAGE: i64 = 500;

/// Adopts all unknown builds of our Koji user. Returns how many became builds.
///
/// # Errors
/// When Koji or the database is away.
pub async fn adopt(ctx: &Context, _lock: &SchedulerLock) -> Result<usize> {
    let mut conn = acquire(ctx).await?;
    // Asked before Koji is: what is found there later may belong to the others.
    let mut settled = submissions::settled(&mut conn).await?;
    drop(conn);
    let unknown = unknown_tasks(ctx).await?;
    if !ctx.koji_is_settled() {
        // It has only just begun to answer again, and may still do what it took before.
        settled.clear();
    }
    let mut adopted = 0;
    if !unknown.is_empty() {
        let root_of = |secondary| &ctx.koji_config_of(secondary).srpm_relative_path_root;
        let sources: Vec<Option<Nvr>> = unknown
            .iter()
            .map(|(_, task)| {
                let request = task.build_request().filter(|request| request.is_scratch())?;
                Nvr::from_build_source(root_of(false), &request.source)
                    .or_else(|| Nvr::from_build_source(root_of(true), &request.source))
            })
            .collect();
        let names: Vec<String> = sources.iter().flatten().map(|nvr| nvr.name.clone()).collect();
        let mut conn = acquire(ctx).await?;
        let candidates = builds::adoption_candidates(&mut conn, &names).await?;
        drop(conn);
        let mut by_name: HashMap<String, Vec<AdoptionCandidate>> = HashMap::new();
        for candidate in candidates {
            by_name.entry(candidate.name.clone()).or_default().push(candidate);
        }
        for ((task_id, task), source) in unknown.iter().zip(sources) {
            let result = match source {
                None => Err("it is no scratch build of a source package in Koji"),
                Some(source) => match owner(ctx, task, by_name.get(&source.name)).await? {
                    Some(owner) => Ok((source, owner)),
                    None => Err("it belongs to no tracked package of exactly one collection"),
                },
            };
            match result {
                Ok((source, owner)) => {
                    adopted += record(ctx, *task_id, task, &source, &owner).await?
                }
                Err(why) => leave(ctx, *task_id, why).await?,
            }
        }
    }
    if !settled.is_empty() {
        let mut conn = acquire(ctx).await?;
        submissions::forget(&mut conn, &settled).await?;
    }
    ctx.adoption_done();
    Ok(adopted)
}

/// The build tasks of our Koji user that are neither in the database nor known to have no build there.
async fn unknown_tasks(ctx: &Context) -> Result<Vec<(i32, Task)>> {
    let koji = ctx.koji_that_builds().await?;
    let Some(user) = koji.call(calls::get_logged_in_user()).await? else {
        // Without a login nothing is ever submitted.
        return Ok(Vec::new());
    };
    let mut conn = acquire(ctx).await?;
    let newest = builds::newest_scratch_start(&mut conn).await?;
    drop(conn);
    // What was lost was submitted after the newest build that is known, give or take two clocks and other schedulers;
    // or, if that was just now, not longer ago than any build may run.
    let timeout =
        TimeDelta::from_std(ctx.config.koji_config.task_timeout()).unwrap_or(TimeDelta::days(2));
    let recently = Utc::now() - timeout;
    let since = newest.map_or(recently, |newest| recently.min(newest - TimeDelta::days(1)));
    let mut unknown = Vec::new();
    let mut offset = 0;
    loop {
        let page = koji
            .call(calls::list_tasks(ListTasks {
                owner: Some(user.id),
                method: Some(method::BUILD),
                states: &[],
                created_after: Some(since),
                limit: Some(PAGE),
                offset: Some(offset),
            }))
            .await?;
        let size = page.len();
        let mut tasks = HashMap::with_capacity(size);
        for task in page {
            tasks.insert(stored_id("a task id", task.id)?, task);
        }
        let ids: Vec<i32> = tasks.keys().copied().collect();
        let mut conn = acquire(ctx).await?;
        for id in builds::unknown_scratch_tasks(&mut conn, &ids).await? {
            unknown.extend(tasks.remove(&id).map(|task| (id, task)));
        }
        drop(conn);
        if (size as i64) < PAGE {
            return Ok(unknown);
        }
        offset += PAGE;
    }
}

/// The one package that a build can belong to, by its target or by its repo.
async fn owner(
    ctx: &Context,
    task: &Task,
    candidates: Option<&Vec<AdoptionCandidate>>,
) -> Result<Option<AdoptionCandidate>> {
    let (Some(candidates), Some(request)) = (candidates, task.build_request()) else {
        return Ok(None);
    };
    let fitting: Vec<&AdoptionCandidate> = if let Some(target) = &request.target {
        candidates.iter().filter(|candidate| candidate.target == *target).collect()
    } else if let Some(repo_id) = request.repo_id() {
        let koji = ctx.koji_that_builds().await?;
        let Some(repo) = koji.call(calls::repo_info(repo_id)).await? else {
            return Ok(None);
        };
        candidates
            .iter()
            .filter(|candidate| Some(&candidate.build_tag) == repo.tag_name.as_ref())
            .collect()
    } else {
        Vec::new()
    };
    Ok(match fitting.as_slice() {
        [one] => Some((*one).clone()),
        _ => None,
    })
}

async fn record(
    ctx: &Context,
    task_id: i32,
    task: &Task,
    source: &Nvr,
    owner: &AdoptionCandidate,
) -> Result<usize> {
    let repo_id = match task.build_request().and_then(|request| request.repo_id()) {
        None => None,
        Some(repo_id) => {
            let repo_id = stored_id("a repo id", repo_id)?;
            if owner.secondary_mode {
                mirroring::secondary_repo(ctx, repo_id).await?
            } else {
                Some(repo_id)
            }
        }
    };
    let mut transaction = begin(ctx).await?;
    let epoch =
        builds::epoch_of(&mut transaction, owner.package_id, &source.version, &source.release)
            .await?;
    let build = ScratchBuild {
        package_id: owner.package_id,
        task_id,
        started: task.created(),
        epoch,
        version: source.version.clone(),
        release: source.release.clone(),
        repo_id,
    };
    let inserted = builds::insert_scratch(&mut transaction, &build).await?;
    commit(transaction).await?;
    if let Some(build_id) = inserted {
        info!(
            package = owner.name,
            task = task_id,
            build = build_id,
            "the scratch build of {source}, which Koji has and we had lost, is adopted"
        );
    }
    Ok(usize::from(inserted.is_some()))
}

/// Records that a task is none of our builds, which also makes sure that it is said only once.
async fn leave(ctx: &Context, task_id: i32, why: &str) -> Result<()> {
    let mut conn = acquire(ctx).await?;
    builds::remember_task_without_build(&mut conn, task_id, why).await?;
    warn!(task = task_id, "a build of our Koji user is not ours: {why}");
    Ok(())
}
