//! The service build-resolver: with what was each build made, and what had changed since the one before?
//!
//! Every build with a repo, running ones too, is resolved in that repo with the BuildRequires of its own source
//! package. The builds of one repo are done together, under a lock on the repo; repos in the order of their ids.

use std::collections::HashMap;
use std::sync::Arc;

use depsolve::Resolution;
use koji::FaultKind;
use koji::calls;
use koji::types::RepoState;
use koschei_core::sources::Nvr;
use koschei_db::entities::{self, Collection};
use koschei_db::locks::BuildResolverLock;
use koschei_db::resolution::{self, BuildResolution, BuildToResolve};
use tracing::{Instrument, info, info_span};

use crate::context::{Context, primary_first};
use crate::driver::Outcome;
use crate::error::{Error, Result};
use crate::resolving::{self, Job, KnownPackages, Required, acquire, begin, commit};

/// One step: the builds of all collections.
///
/// # Errors
/// When the database is away. What goes wrong with one repo is part of the outcome.
pub async fn step(ctx: &Context) -> Result<Outcome> {
    let mut conn = acquire(ctx).await?;
    let collections = primary_first(entities::collections(&mut *conn).await?);
    drop(conn);
    let mut outcome = Outcome::default();
    for collection in &collections {
        let mut conn = acquire(ctx).await?;
        let builds = resolution::builds_to_resolve(&mut conn, collection.id, None).await?;
        drop(conn);
        for repo_id in builds.chunk_by(|a, b| a.repo_id == b.repo_id) {
            let Some(repo_id) = repo_id.first().map(|build| build.repo_id) else { continue };
            if ctx.stop.is_requested() {
                return Ok(outcome);
            }
            let about = format!("{}, repo {repo_id}", collection.name);
            let span = info_span!("repo", collection = collection.name, repo = repo_id);
            let result = resolve_repo(ctx, collection, repo_id).instrument(span).await;
            let refusal = result.as_ref().ok().and_then(|resolved| resolved.refusal.clone());
            outcome.take(&about, result.map(|resolved| resolved.done))?;
            if let Some(refusal) = refusal {
                outcome.failures.push((about, Error::Refused(refusal)));
            }
        }
    }
    Ok(outcome)
}

/// What came of the builds of a repo.
#[derive(Debug, Default)]
struct Resolved {
    done: usize,
    /// What Koji refuses to tell for now.
    refusal: Option<String>,
}

impl From<usize> for Resolved {
    fn from(done: usize) -> Self {
        Self { done, refusal: None }
    }
}

/// Resolves builds made in one repo, unless another process is at work on that repo.
async fn resolve_repo(ctx: &Context, collection: &Collection, repo_id: i32) -> Result<Resolved> {
    let Some(mut lock) = BuildResolverLock::try_acquire(&ctx.db, repo_id).await? else {
        return Ok(Resolved::default());
    };
    // Read under the lock, because the last holder may have done them.
    let mut conn = acquire(ctx).await?;
    let builds = resolution::builds_to_resolve(&mut conn, collection.id, Some(repo_id)).await?;
    drop(conn);
    let result = if builds.is_empty() {
        Ok(Resolved::default())
    } else {
        resolve_locked(ctx, &mut lock, collection, repo_id, &builds).await
    };
    lock.release().await;
    result
}

async fn resolve_locked(
    ctx: &Context,
    lock: &mut BuildResolverLock,
    collection: &Collection,
    repo_id: i32,
    builds: &[BuildToResolve],
) -> Result<Resolved> {
    // First, because builds that have to wait for these need nothing else to be fetched.
    let sources: Vec<Nvr> = builds.iter().map(source_of).collect();
    let requires = resolving::build_requires(ctx, collection.secondary_mode, &sources).await?;
    let refusal = requires.refusal().map(|error| error.to_string());
    if requires.of.is_empty() {
        return Ok(Resolved { done: 0, refusal });
    }
    let koji = ctx.koji_of(collection.secondary_mode).await?;
    let repo = koji.call(calls::repo_info(repo_id.into())).await?;
    let Some(repo) = repo.filter(|repo| repo.state.is_usable()) else {
        return give_up(ctx, builds, "the repo is gone").await;
    };
    let build_group = match resolving::build_group(ctx, collection, &repo).await {
        Ok(Some(group)) => Arc::new(group),
        Ok(None) => return give_up(ctx, builds, "the build group is gone").await,
        // The tag was deleted. Any other fault is trouble of the hub, and no verdict.
        Err(Error::Koji(error)) if error.fault_kind() == Some(FaultKind::GenericError) => {
            return give_up(ctx, builds, &format!("the build group cannot be told: {error}")).await;
        }
        Err(error) => return Err(error),
    };
    let paths = requires.paths(&build_group);
    let url = resolving::address_of(ctx, collection, repo_id);
    let universe = match ctx.universe(&url, &paths).await {
        Err(Error::Repository(error)) if error.is_gone() => {
            // Its state changes before its files go, so this is no repo that was deleted.
            if repo.state == RepoState::Ready {
                return Err(Error::Collection(format!(
                    "repo {repo_id} is ready, as Koji says, but there is none at {url}; see koji_config.topurl"
                )));
            }
            return give_up(ctx, builds, "the repo is gone").await;
        }
        // It would be the same every time.
        Err(Error::Repository(error)) if !error.is_transient() => {
            return give_up(ctx, builds, &error.to_string()).await;
        }
        result => result?,
    };
    let mut known = KnownPackages::new(Arc::clone(&universe));
    let mut done = 0;
    // Two builds of one package are compared with each other, so they cannot be stored together.
    for wave in waves(builds) {
        let mut jobs: Vec<Job<BuildToResolve>> = Vec::with_capacity(wave.len());
        let mut hopeless = Vec::new();
        for build in wave {
            match requires.of.get(&source_of(build).to_string()) {
                Some(Required::Known(requires)) => {
                    jobs.push(Job { key: build.clone(), requires: requires.clone() });
                }
                Some(Required::Unknown(problems)) => hopeless.push((build.clone(), problems)),
                // It waits for Koji to tell.
                None => {}
            }
        }
        for (build, problems) in hopeless {
            done += give_up::<usize>(ctx, &[build], &problems.join("; ")).await?;
        }
        let mut results =
            resolving::resolve_all(ctx, Arc::clone(&universe), Arc::clone(&build_group), jobs);
        let chunk_size = ctx.config.dependency.persist_chunk_size.max(1);
        loop {
            let chunk = results.chunk(chunk_size).await?;
            if chunk.is_empty() {
                break;
            }
            lock.check().await?;
            done += store(ctx, &mut known, chunk).await?;
            if ctx.stop.is_requested() {
                return Ok(done.into());
            }
        }
    }
    Ok(Resolved { done, refusal })
}

fn source_of(build: &BuildToResolve) -> Nvr {
    Nvr { name: build.name.clone(), version: build.version.clone(), release: build.release.clone() }
}

/// Splits builds, which are in the order of their starts, so that each part has at most one build of each package and
/// every build comes in a later part than earlier ones of its package.
fn waves(builds: &[BuildToResolve]) -> Vec<Vec<&BuildToResolve>> {
    let mut waves: Vec<Vec<&BuildToResolve>> = Vec::new();
    let mut seen: HashMap<i32, usize> = HashMap::new();
    for build in builds {
        let wave = seen.entry(build.package_id).and_modify(|wave| *wave += 1).or_insert(0);
        if let Some(members) = waves.get_mut(*wave) {
            members.push(build);
        } else {
            waves.push(vec![build]);
        }
    }
    waves
}

/// Notes that builds cannot be resolved any more.
async fn give_up<T: From<usize>>(ctx: &Context, builds: &[BuildToResolve], why: &str) -> Result<T> {
    info!("{} builds cannot be compared: {why}", builds.len());
    let mut done = 0;
    for wave in waves(builds) {
        let results: Vec<BuildResolution> = wave
            .iter()
            .map(|build| BuildResolution { build_id: build.id, installs: None })
            .collect();
        let mut transaction = begin(ctx).await?;
        let newly_added = ctx.config.priorities.newly_added;
        done += resolution::store_builds(&mut transaction, &results, newly_added).await?;
        commit(transaction).await?;
    }
    Ok(done.into())
}

/// Stores results of builds of different packages.
async fn store(
    ctx: &Context,
    known: &mut KnownPackages,
    chunk: Vec<(BuildToResolve, Resolution)>,
) -> Result<usize> {
    let mut conn = acquire(ctx).await?;
    known
        .learn(&mut conn, chunk.iter().map(|(_, result)| result.installs.as_slice()).collect())
        .await?;
    drop(conn);
    let results: Vec<BuildResolution> = chunk
        .iter()
        .map(|(build, result)| BuildResolution {
            build_id: build.id,
            installs: result.resolved().then(|| known.installed(&result.installs)),
        })
        .collect();
    let mut transaction = begin(ctx).await?;
    let newly_added = ctx.config.priorities.newly_added;
    let stored = resolution::store_builds(&mut transaction, &results, newly_added).await?;
    commit(transaction).await?;
    for (build, result) in &chunk {
        if result.resolved() {
            info!(
                package = build.name,
                build = build.id,
                "the build's {} packages are known",
                result.installs.len()
            );
        } else {
            let problems: Vec<String> = result.problems.iter().map(ToString::to_string).collect();
            info!(
                package = build.name,
                build = build.id,
                "the build cannot be resolved in its own repo: {}",
                problems.join("; ")
            );
        }
    }
    Ok(stored)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn builds_of_one_package_come_one_after_the_other() {
        let build = |id, package_id| BuildToResolve {
            id,
            package_id,
            name: String::new(),
            collection_id: 1,
            repo_id: 1,
            version: String::new(),
            release: String::new(),
        };
        let builds = [build(1, 7), build(2, 8), build(3, 7), build(4, 7), build(5, 9)];
        let ids: Vec<Vec<i32>> =
            waves(&builds).iter().map(|wave| wave.iter().map(|build| build.id).collect()).collect();
        assert_eq!(ids, [vec![1, 2, 5], vec![3], vec![4]]);
    }
}
