//! The service repo-resolver: can what is needed to build each package be installed from the newest repo, and what has
//! changed there since its last build?
//!
//! For each collection, under its lock: look for a newer repo; resolve its build group; then resolve every package that
//! was not yet resolved in it, and store the results chunk by chunk. A package remembers the repo in which it was
//! resolved, so an interrupted run goes on at the next turn, and so do packages whose result was dropped because a new
//! build of them appeared meanwhile.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use depsolve::Resolution;
use koji::calls;
use koji::types::{Repo, RepoState};
use koschei_core::sources::Nvr;
use koschei_db::entities::{self, Collection};
use koschei_db::locks::RepoResolverLock;
use koschei_db::resolution::{self, PackageResolution, PackageToResolve};
use koschei_db::{dependency_keys, packages::StateChange};
use tracing::{Instrument, debug, info, info_span};

use crate::context::Context;
use crate::driver::Outcome;
use crate::error::{Error, Result, stored_id};
use crate::mirroring;
use crate::resolving::{self, Job, KnownPackages, acquire, begin, commit};

/// One step: all collections.
///
/// # Errors
/// When the database is away. What goes wrong with one collection is part of the outcome.
pub async fn step(ctx: &Context) -> Result<Outcome> {
    let mut conn = acquire(ctx).await?;
    let collections = entities::collections(&mut *conn).await?;
    drop(conn);
    let mut outcome = Outcome::default();
    for collection in collections {
        if ctx.stop.is_requested() {
            break;
        }
        let span = info_span!("collection", name = collection.name);
        let result = resolve_collection(ctx, collection.id).instrument(span).await;
        outcome.take(&collection.name, result)?;
    }
    Ok(outcome)
}

/// Resolves what is due in one collection, unless another process is doing it. Returns how many packages were resolved.
async fn resolve_collection(ctx: &Context, collection_id: i32) -> Result<usize> {
    let Some(mut lock) = RepoResolverLock::try_acquire(&ctx.db, collection_id).await? else {
        return Ok(0);
    };
    // Read under the lock, because the last holder may have changed it.
    let mut conn = acquire(ctx).await?;
    let collection = entities::collection(&mut *conn, collection_id).await?;
    drop(conn);
    let result = match collection {
        Some(collection) => resolve_locked(ctx, &mut lock, &collection).await,
        None => Ok(0),
    };
    lock.release().await;
    result
}

async fn resolve_locked(
    ctx: &Context,
    lock: &mut RepoResolverLock,
    collection: &Collection,
) -> Result<usize> {
    if let Some(repo) = new_repo(ctx, collection).await? {
        return resolve_new_repo(ctx, lock, collection, &repo).await;
    }
    let (Some(repo_id), Some(true)) = (collection.latest_repo_id, collection.latest_repo_resolved)
    else {
        return Ok(0);
    };
    let packages = packages_to_resolve(ctx, collection, repo_id).await?;
    if packages.is_empty() {
        return Ok(0);
    }
    let koji = ctx.koji_of(collection.secondary_mode)?;
    let repo = koji.call(calls::repo_info(repo_id.into())).await?;
    let Some(repo) = repo.filter(|repo| repo.state.is_usable()) else {
        return Err(Error::Collection(format!(
            "repo {repo_id} of tag {} is gone, so {} packages wait for the next repo",
            collection.build_tag,
            packages.len()
        )));
    };
    let build_group = Arc::new(needed_build_group(ctx, collection, &repo).await?);
    resolve_packages(ctx, lock, collection, repo_id, &build_group, packages).await
}

/// The newest repo of the collection's build tag that can be used, if it is newer than the one that was resolved last.
async fn new_repo(ctx: &Context, collection: &Collection) -> Result<Option<Repo>> {
    let koji = ctx.koji_of(collection.secondary_mode)?;
    let newest = koji.call(calls::get_repo(&collection.build_tag, RepoState::Ready)).await?;
    let Some(repo) = newest else { return Ok(None) };
    if collection.latest_repo_id.is_some_and(|latest| repo.id <= i64::from(latest)) {
        return Ok(None);
    }
    if collection.secondary_mode
        && !mirroring::is_mirrored(ctx, stored_id("a repo id", repo.id)?).await?
    {
        debug!(repo = repo.id, "the repo waits until it is there on the primary Koji");
        return Ok(None);
    }
    Ok(Some(repo))
}

async fn needed_build_group(
    ctx: &Context,
    collection: &Collection,
    repo: &Repo,
) -> Result<Vec<String>> {
    resolving::build_group(ctx, collection, repo).await?.ok_or_else(|| {
        Error::Collection(format!(
            "tag {} has no group {:?} in repo {}, so nothing can be resolved; see the collection's build group",
            collection.build_tag, collection.build_group, repo.id
        ))
    })
}

async fn packages_to_resolve(
    ctx: &Context,
    collection: &Collection,
    repo_id: i32,
) -> Result<Vec<PackageToResolve>> {
    let mut conn = acquire(ctx).await?;
    Ok(resolution::packages_to_resolve(&mut conn, collection.id, repo_id).await?)
}

/// Resolves a repo for the first time: its build group, and, if that can be installed, all packages.
async fn resolve_new_repo(
    ctx: &Context,
    lock: &mut RepoResolverLock,
    collection: &Collection,
    repo: &Repo,
) -> Result<usize> {
    let repo_id = stored_id("a repo id", repo.id)?;
    info!(repo = repo_id, "a new repo is resolved");
    let build_group = Arc::new(needed_build_group(ctx, collection, repo).await?);
    let url = resolving::address_of(ctx, collection, repo_id);
    let paths = resolving::paths(&build_group, []);
    let universe = ctx.repositories.universe(&url, &paths).await?;
    let problems = resolving::resolve_build_group(ctx, &universe, &build_group).await?;
    drop(universe);

    lock.check().await?;
    let mut transaction = begin(ctx).await?;
    let change =
        resolution::set_latest_repo(&mut transaction, collection.id, repo_id, &problems).await?;
    commit(transaction).await?;
    if change.is_none() {
        return Ok(0);
    }
    if problems.is_empty() {
        info!(repo = repo_id, "the build group can be installed");
    } else {
        info!(repo = repo_id, "the build group cannot be installed: {}", problems.join("; "));
        return Ok(0);
    }
    let packages = packages_to_resolve(ctx, collection, repo_id).await?;
    resolve_packages(ctx, lock, collection, repo_id, &build_group, packages).await
}

/// Resolves packages in a repo whose build group can be installed, and stores the results chunk by chunk.
async fn resolve_packages(
    ctx: &Context,
    lock: &mut RepoResolverLock,
    collection: &Collection,
    repo_id: i32,
    build_group: &Arc<Vec<String>>,
    packages: Vec<PackageToResolve>,
) -> Result<usize> {
    if packages.is_empty() {
        return Ok(0);
    }
    let sources: Vec<Nvr> = packages
        .iter()
        .map(|package| Nvr {
            name: package.name.clone(),
            version: package.version.clone(),
            release: package.release.clone(),
        })
        .collect();
    let requires = resolving::build_requires(ctx, collection.secondary_mode, &sources).await?;
    let paths = resolving::paths(build_group, requires.values());
    let url = resolving::address_of(ctx, collection, repo_id);
    let universe = ctx.repositories.universe(&url, &paths).await?;
    let jobs: Vec<Job<PackageToResolve>> = packages
        .into_iter()
        .zip(&sources)
        .filter_map(|(package, source)| {
            Some(Job { key: package, requires: requires.get(&source.to_string())?.clone() })
        })
        .collect();
    drop(requires);

    let total = jobs.len();
    let mut progress = Progress::new(ctx, total);
    let mut results =
        resolving::resolve_all(ctx, Arc::clone(&universe), Arc::clone(build_group), jobs);
    let mut run = Run { ctx, repo_id, known: KnownPackages::new(universe) };
    let chunk_size = ctx.config.dependency.persist_chunk_size.max(1);
    let mut done = 0;
    loop {
        let chunk = results.chunk(chunk_size).await?;
        if chunk.is_empty() {
            break;
        }
        lock.check().await?;
        done += run.store(chunk).await?;
        progress.note(done);
        if ctx.stop.is_requested() {
            info!(
                repo = repo_id,
                "stopped after {done} of {total} packages; the rest follows at the next start"
            );
            return Ok(done);
        }
    }
    info!(repo = repo_id, "{done} of {total} packages were resolved");
    Ok(done)
}

/// One run over the packages of a collection.
struct Run<'a> {
    ctx: &'a Context,
    repo_id: i32,
    known: KnownPackages,
}

impl Run<'_> {
    /// Stores a chunk of results; how many were not dropped.
    async fn store(&mut self, chunk: Vec<(PackageToResolve, Resolution)>) -> Result<usize> {
        let mut conn = acquire(self.ctx).await?;
        self.known
            .learn(&mut conn, chunk.iter().map(|(_, result)| result.installs.as_slice()).collect())
            .await?;
        let mut compared = Vec::with_capacity(chunk.len());
        let mut old_names: BTreeSet<i32> = BTreeSet::new();
        for (package, result) in chunk {
            let current = self.known.installed(&result.installs);
            // A set that cannot be read counts as not stored.
            let previous = package
                .previous
                .as_deref()
                .and_then(|packed| dependency_keys::decode(packed).ok())
                .unwrap_or_default();
            let ids: Vec<i32> = current.iter().map(|installed| installed.id).collect();
            old_names.extend(koschei_core::changes::difference(&previous, &ids).old);
            compared.push((package, result, previous, current));
        }
        self.known.learn_names(&mut conn, old_names).await?;
        drop(conn);

        let priorities = &self.ctx.config.priorities;
        let results: Vec<PackageResolution> = compared
            .into_iter()
            .map(|(package, result, previous, current)| {
                let changes = if result.resolved() {
                    self.known.changes(&previous, &current)
                } else {
                    Vec::new()
                };
                PackageResolution {
                    package_id: package.id,
                    last_build_id: package.last_build_id,
                    previous_build_id: package.previous_build_id,
                    previously_resolved: package.resolved,
                    dependency_priority: priorities
                        .dependency(changes.iter().map(|change| change.distance)),
                    problems: result
                        .problems
                        .iter()
                        .map(ToString::to_string)
                        .collect::<BTreeSet<_>>(),
                    changes,
                }
            })
            .collect();
        let mut transaction = begin(self.ctx).await?;
        let stored = resolution::store_packages(&mut transaction, self.repo_id, &results).await?;
        commit(transaction).await?;
        for name in &stored.dropped {
            info!(
                package = name,
                "the result was dropped, because a build appeared or became comparable meanwhile"
            );
        }
        for StateChange { name, old, new, .. } in &stored.changes {
            debug!(package = name, repo = self.repo_id, "{old} -> {new}");
        }
        Ok(stored.stored)
    }
}

/// Tells how far a long run is, from time to time.
struct Progress {
    total: usize,
    interval: Duration,
    told: Instant,
    told_done: usize,
}

impl Progress {
    fn new(ctx: &Context, total: usize) -> Self {
        let interval = Duration::from_secs(ctx.config.dependency.perf_report_interval);
        Self { total, interval, told: Instant::now(), told_done: 0 }
    }

    fn note(&mut self, done: usize) {
        let passed = self.told.elapsed();
        if passed >= self.interval && done < self.total {
            let speed = (done - self.told_done) as f64 / passed.as_secs_f64() * 60.0;
            info!("{done} of {} packages are resolved, {speed:.0} per minute", self.total);
            self.told = Instant::now();
            self.told_done = done;
        }
    }
}
