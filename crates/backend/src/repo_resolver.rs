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
use koschei_db::{dependency_keys, freshness, packages::StateChange};
use tokio::task::JoinSet;
use tracing::{Instrument, debug, info, info_span};

use crate::context::{Context, primary_first};
use crate::driver::Outcome;
use crate::error::{Error, Result, stored_id};
use crate::mirroring;
use crate::resolving::{self, BuildRequires, Job, KnownPackages, Required, acquire, begin, commit};

/// One step: all collections.
///
/// # Errors
/// When the database is away. What goes wrong with one collection is part of the outcome.
pub async fn step(ctx: &Context) -> Result<Outcome> {
    let mut conn = acquire(ctx).await?;
    let collections = primary_first(entities::collections(&mut *conn).await?);
    drop(conn);
    let mut outcome = Outcome::default();
    for collection in collections {
        if ctx.stop.is_requested() {
            break;
        }
        let span = info_span!("of", collection = collection.name);
        let result = resolve_collection(ctx, collection.id).instrument(span).await;
        let refusal = result.as_ref().ok().and_then(|resolved| resolved.refusal.clone());
        outcome.take(&collection.name, result.map(|resolved| resolved.done))?;
        if let Some(refusal) = refusal {
            outcome.failures.push((collection.name, Error::Refused(refusal)));
        }
    }
    Ok(outcome)
}

/// What came of a collection.
#[derive(Debug, Default)]
struct Resolved {
    /// How many packages were resolved.
    done: usize,
    /// What Koji refuses to tell for now, so that some of them wait.
    refusal: Option<String>,
    /// Why there is no newer repo to resolve, if that is worth a word.
    waits: Option<String>,
}

/// Resolves what is due in one collection, unless another process is doing it.
async fn resolve_collection(ctx: &Context, collection_id: i32) -> Result<Resolved> {
    let Some(mut lock) = RepoResolverLock::try_acquire(&ctx.db, collection_id).await? else {
        return Ok(Resolved::default());
    };
    // Read under the lock, because the last holder may have changed it.
    let mut conn = acquire(ctx).await?;
    let collection = entities::collection(&mut *conn, collection_id).await?;
    drop(conn);
    let result = match collection {
        Some(collection) => {
            let result = resolve_locked(ctx, &mut lock, &collection).await;
            note_freshness(ctx, &collection, &result).await?;
            result
        }
        None => Ok(Resolved::default()),
    };
    lock.release().await;
    result
}

/// Notes what keeps a collection from being up to date, for people and monitoring.
async fn note_freshness(
    ctx: &Context,
    collection: &Collection,
    result: &Result<Resolved>,
) -> Result<()> {
    let trouble = match result {
        Ok(resolved) => resolved.refusal.clone().or_else(|| resolved.waits.clone()),
        // Nothing can be noted either.
        Err(error) if error.is_database() => return Ok(()),
        Err(error) => Some(error.to_string()),
    };
    let mut conn = acquire(ctx).await?;
    freshness::note_trouble(&mut conn, collection.id, trouble.as_deref()).await?;
    Ok(())
}

async fn resolve_locked(
    ctx: &Context,
    lock: &mut RepoResolverLock,
    collection: &Collection,
) -> Result<Resolved> {
    let waits = match new_repo(ctx, collection).await? {
        Newest::New(repo) => return resolve_new_repo(ctx, lock, collection, &repo).await,
        Newest::Waits(why) => Some(why),
        Newest::Known => None,
    };
    let nothing = Ok(Resolved { waits: waits.clone(), ..Resolved::default() });
    let (Some(repo_id), Some(true)) = (collection.latest_repo_id, collection.latest_repo_resolved)
    else {
        return nothing;
    };
    let packages = packages_to_resolve(ctx, collection, repo_id).await?;
    if packages.is_empty() {
        return nothing;
    }
    let koji = ctx.koji_of(collection.secondary_mode).await?;
    let repo = koji.call(calls::repo_info(repo_id.into())).await?;
    let Some(repo) = repo.filter(|repo| repo.state.is_usable()) else {
        return Err(Error::Collection(format!(
            "repo {repo_id} of tag {} is gone, so {} packages wait for the next repo",
            collection.build_tag,
            packages.len()
        )));
    };
    let build_group = Arc::new(needed_build_group(ctx, collection, &repo).await?);
    let resolved = resolve_packages(ctx, lock, collection, repo_id, &build_group, packages).await?;
    Ok(Resolved { waits, ..resolved })
}

/// What Koji says about the newest repo of a collection's build tag.
enum Newest {
    /// It is newer than the one that was resolved last, and can be used.
    New(Box<Repo>),
    /// There is none that can be used, for this reason.
    Waits(String),
    /// It is the one that was resolved last.
    Known,
}

async fn new_repo(ctx: &Context, collection: &Collection) -> Result<Newest> {
    let koji = ctx.koji_of(collection.secondary_mode).await?;
    let newest = koji.call(calls::get_repo(&collection.build_tag, RepoState::Ready)).await?;
    let mut conn = acquire(ctx).await?;
    let made = newest.as_ref().and_then(Repo::created);
    freshness::note_look(&mut conn, collection.id, made).await?;
    drop(conn);
    let Some(repo) = newest else {
        return Ok(Newest::Waits(format!(
            "tag {} has no repo that is ready",
            collection.build_tag
        )));
    };
    if collection.latest_repo_id.is_some_and(|latest| repo.id <= i64::from(latest)) {
        return Ok(Newest::Known);
    }
    if collection.secondary_mode
        && !mirroring::is_mirrored(ctx, stored_id("a repo id", repo.id)?).await?
    {
        debug!(repo = repo.id, "the repo waits until it is there on the primary Koji");
        return Ok(Newest::Waits(format!(
            "repo {} is not mirrored on the primary Koji yet",
            repo.id
        )));
    }
    Ok(Newest::New(Box::new(repo)))
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
) -> Result<Resolved> {
    let repo_id = stored_id("a repo id", repo.id)?;
    info!(repo = repo_id, "a new repo is resolved");
    let build_group = Arc::new(needed_build_group(ctx, collection, repo).await?);
    let url = resolving::address_of(ctx, collection, repo_id);
    let paths = BuildRequires::default().paths(&build_group);
    let universe = ctx.universe(&url, &paths).await?;
    let problems = resolving::resolve_build_group(ctx, &universe, &build_group).await?;
    drop(universe);

    lock.check().await?;
    let mut transaction = begin(ctx).await?;
    let change =
        resolution::set_latest_repo(&mut transaction, collection.id, repo_id, &problems).await?;
    commit(transaction).await?;
    if change.is_none() {
        return Ok(Resolved::default());
    }
    if problems.is_empty() {
        info!(repo = repo_id, "the build group can be installed");
    } else {
        info!(repo = repo_id, "the build group cannot be installed: {}", problems.join("; "));
        return Ok(Resolved::default());
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
) -> Result<Resolved> {
    if packages.is_empty() {
        return Ok(Resolved::default());
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
    let refusal = requires.refusal().map(|error| error.to_string());
    let resolved = |done| Resolved { done, refusal, waits: None };
    if requires.of.is_empty() {
        return Ok(resolved(0));
    }
    let paths = requires.paths(build_group);
    let url = resolving::address_of(ctx, collection, repo_id);
    let universe = ctx.universe(&url, &paths).await?;
    let (mut jobs, mut hopeless) = (Vec::with_capacity(packages.len()), Vec::new());
    for (package, source) in packages.into_iter().zip(&sources) {
        match requires.of.get(&source.to_string()) {
            Some(Required::Known(requires)) => {
                jobs.push(Job { key: package, requires: requires.clone() });
            }
            Some(Required::Unknown(problems)) => hopeless.push((package, problems.clone())),
            // It waits for Koji to tell.
            None => {}
        }
    }
    drop(requires);

    let total = jobs.len() + hopeless.len();
    let mut progress = Progress::new(ctx, total);
    let mut results =
        resolving::resolve_all(ctx, Arc::clone(&universe), Arc::clone(build_group), jobs);
    let mut run =
        Run { ctx, repo_id, known: KnownPackages::new(universe), storing: JoinSet::new() };
    let chunk_size = ctx.config.dependency.persist_chunk_size.max(1);
    let stored: Result<usize> = async {
        let mut done = 0;
        for hopeless in hopeless.chunks(chunk_size) {
            lock.check().await?;
            done += run.store(unresolvable(hopeless)).await?;
        }
        loop {
            let chunk = results.chunk(chunk_size).await?;
            if chunk.is_empty() || ctx.stop.is_requested() {
                return Ok(done + run.stored().await?);
            }
            let compared = run.compare(chunk).await?;
            lock.check().await?;
            done += run.store(compared).await?;
            progress.note(done);
        }
    }
    .await;
    // After trouble with one chunk the others are taken back, before the collection's lock is.
    run.storing.shutdown().await;
    let done = stored?;
    if ctx.stop.is_requested() && done < total {
        info!(
            repo = repo_id,
            "stopped after {done} of {total} packages; the rest follows at the next start"
        );
    } else {
        info!(repo = repo_id, "{done} of {total} packages were resolved");
    }
    Ok(resolved(done))
}

/// So many chunks are stored at the same time, each in a transaction of its own; no two have a package in common. Most
/// of the work is the database server's, and one transaction keeps one of its processors busy.
fn chunks_at_once() -> usize {
    std::thread::available_parallelism().map_or(2, usize::from).clamp(2, 4)
}

/// One run over the packages of a collection.
struct Run<'a> {
    ctx: &'a Context,
    repo_id: i32,
    known: KnownPackages,
    /// Chunks on their way into the database.
    storing: JoinSet<Result<usize>>,
}

impl Run<'_> {
    /// Compares a chunk of results with the builds before.
    async fn compare(
        &mut self,
        chunk: Vec<(PackageToResolve, Resolution)>,
    ) -> Result<Vec<PackageResolution>> {
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
        Ok(compared
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
            .collect())
    }

    /// Begins to store a chunk, as soon as there are not too many on their way. How many results of earlier ones were
    /// stored meanwhile.
    async fn store(&mut self, results: Vec<PackageResolution>) -> Result<usize> {
        let mut done = 0;
        while self.storing.len() >= chunks_at_once() {
            done += self.next_stored().await?.unwrap_or(0);
        }
        let (ctx, repo_id) = (self.ctx.clone(), self.repo_id);
        let work = async move { store_results(&ctx, repo_id, &results).await };
        self.storing.spawn(work.in_current_span());
        Ok(done)
    }

    /// Waits for all chunks on their way; how many results were stored.
    async fn stored(&mut self) -> Result<usize> {
        let mut done = 0;
        while let Some(stored) = self.next_stored().await? {
            done += stored;
        }
        Ok(done)
    }

    async fn next_stored(&mut self) -> Result<Option<usize>> {
        match self.storing.join_next().await {
            None => Ok(None),
            Some(Ok(stored)) => Ok(Some(stored?)),
            Some(Err(error)) => Err(Error::Thread(format!("storing results: {error}"))),
        }
    }
}

/// Results for packages of which nobody can tell what they require: they cannot be resolved.
fn unresolvable(packages: &[(PackageToResolve, Vec<String>)]) -> Vec<PackageResolution> {
    packages
        .iter()
        .map(|(package, problems)| PackageResolution {
            package_id: package.id,
            last_build_id: package.last_build_id,
            previous_build_id: package.previous_build_id,
            previously_resolved: package.resolved,
            problems: problems.iter().cloned().collect(),
            changes: Vec::new(),
            dependency_priority: 0,
        })
        .collect()
}

/// Stores results in one transaction; how many were not dropped.
async fn store_results(
    ctx: &Context,
    repo_id: i32,
    results: &[PackageResolution],
) -> Result<usize> {
    let mut transaction = begin(ctx).await?;
    let stored = resolution::store_packages(&mut transaction, repo_id, results).await?;
    commit(transaction).await?;
    for name in &stored.dropped {
        info!(
            package = name,
            "the result was dropped, because a build appeared or became comparable meanwhile"
        );
    }
    for StateChange { name, old, new, .. } in &stored.changes {
        debug!(package = name, repo = repo_id, "{old} -> {new}");
    }
    Ok(stored.stored)
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
