//! From a repo and BuildRequires to install sets: what repo-resolver and build-resolver share.
//!
//! Resolving is work for the processor: it runs on the threads of rayon, each with a solver of its own over the shared
//! universe, and results stream back while they are stored. BuildRequires never change, so they are asked of Koji once
//! and kept in the database for both resolvers.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use depsolve::{Install, PackageId, Request, Resolution, Solver, Universe};
use koji::calls;
use koji::types::{DepType, Nvra, Repo};
use koschei_core::changes::{self, Change, Entry};
use koschei_core::requirements;
use koschei_core::sources::{Nvr, repo_url};
use koschei_db::PgConnection;
use koschei_db::entities::Collection;
use koschei_db::resolution::{self, Installed};
use rayon::prelude::*;
use rpm::{Dep, Nevra, Relation};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tracing::warn;

use crate::context::{Context, origin};
use crate::error::{Error, Result};

/// How many results may wait to be stored.
const RESULTS_WAITING: usize = 1000;

/// The address of a collection's repo.
pub(crate) fn address_of(ctx: &Context, collection: &Collection, repo_id: i32) -> String {
    let koji = ctx.koji_config_of(collection.secondary_mode);
    let arch = &ctx.config.dependency.repo_arch;
    repo_url(&koji.topurl, &collection.build_tag, repo_id.into(), arch)
}

/// The build group of a collection as it was when a repo was made; `None` when the tag had no such group.
///
/// # Errors
/// When Koji cannot tell, or does not know the tag.
pub(crate) async fn build_group(
    ctx: &Context,
    collection: &Collection,
    repo: &Repo,
) -> Result<Option<Vec<String>>> {
    let koji = ctx.koji_of(collection.secondary_mode)?;
    let groups =
        koji.call(calls::get_tag_groups(&collection.build_tag, Some(repo.create_event))).await?;
    Ok(requirements::build_group(&groups, &collection.build_group))
}

/// BuildRequires of source packages, by n-v-r: from the database, else from Koji, and then kept.
///
/// One that Koji does not know requires nothing; that is not kept, because it may become known. What Koji refuses to
/// tell is left out.
///
/// # Errors
/// When the database or Koji is away.
pub(crate) async fn build_requires(
    ctx: &Context,
    secondary_mode: bool,
    sources: &[Nvr],
) -> Result<HashMap<String, Vec<Dep>>> {
    let origin = origin(secondary_mode);
    let nvrs: Vec<String> = sources.iter().map(ToString::to_string).collect();
    let mut conn = acquire(ctx).await?;
    let kept = resolution::build_requires(&mut conn, origin, &nvrs).await?;
    drop(conn);
    let mut missing: Vec<&Nvr> = sources
        .iter()
        .zip(&nvrs)
        .filter(|(_, nvr)| !kept.contains_key(*nvr))
        .map(|(n, _)| n)
        .collect();
    missing.sort();
    missing.dedup();
    let mut requires: HashMap<String, Vec<Dep>> = HashMap::with_capacity(nvrs.len());
    for (nvr, relations) in kept {
        requires.insert(nvr, relations.iter().filter_map(|text| text.parse().ok()).collect());
    }
    if missing.is_empty() {
        return Ok(requires);
    }
    let koji = ctx.koji_of(secondary_mode)?;
    let mut answers = koji.multicall(missing.iter().map(|nvr| {
        let source = Nvra::source(&nvr.name, &nvr.version, &nvr.release);
        calls::get_rpm_deps(source, DepType::Require)
    }));
    let mut asked = missing.iter();
    while let Some(chunk) = answers.next_chunk().await {
        let mut keep = Vec::new();
        for answer in chunk? {
            let Some(nvr) = asked.next() else { break };
            match answer {
                Ok(dependencies) => {
                    let found = requirements::build_requires(&dependencies);
                    if !dependencies.is_empty() {
                        keep.push((nvr.to_string(), found.iter().map(Dep::to_string).collect()));
                    }
                    requires.insert(nvr.to_string(), found);
                }
                Err(error) if error.is_transient() => return Err(error.into()),
                Err(error) => warn!(source = %nvr, "BuildRequires cannot be told: {error}"),
            }
        }
        // Chunk by chunk, so that the first resolution of a distribution can be interrupted and goes on where it was.
        let mut conn = acquire(ctx).await?;
        resolution::keep_build_requires(&mut conn, origin, &keep).await?;
    }
    Ok(requires)
}

/// The files that a request for these requirements asks for by name.
pub(crate) fn paths<'a>(
    build_group: &[String],
    build_requires: impl IntoIterator<Item = &'a Vec<Dep>>,
) -> BTreeSet<String> {
    let mut paths: BTreeSet<String> =
        build_group.iter().filter(|entry| entry.starts_with('/')).cloned().collect();
    let mut visit = |relation: &Relation| {
        if relation.name.starts_with('/') && !paths.contains(&relation.name) {
            paths.insert(relation.name.clone());
        }
    };
    for requires in build_requires {
        for requirement in requires {
            requirement.for_each_relation(&mut visit);
        }
    }
    paths
}

/// Something to resolve: what it is for, and what it requires besides the build group.
#[derive(Debug)]
pub(crate) struct Job<K> {
    pub(crate) key: K,
    pub(crate) requires: Vec<Dep>,
}

/// Results that come from another thread, in any order. Dropping them ends the work.
#[derive(Debug)]
pub(crate) struct Results<T> {
    receiver: mpsc::Receiver<T>,
    /// Who makes them, until it is known how that ended.
    thread: Option<JoinHandle<()>>,
}

impl<T: Send + 'static> Results<T> {
    /// Starts the work that makes the results.
    fn of(work: impl FnOnce(mpsc::Sender<T>) + Send + 'static) -> Self {
        let (sender, receiver) = mpsc::channel(RESULTS_WAITING);
        Self { receiver, thread: Some(tokio::task::spawn_blocking(move || work(sender))) }
    }

    /// The next results, as many as `size` unless fewer are left; none when all were given.
    ///
    /// # Errors
    /// When the work broke off, after everything that it made was given: the rest is missing, not absent.
    pub(crate) async fn chunk(&mut self, size: usize) -> Result<Vec<T>> {
        let mut chunk = Vec::with_capacity(size);
        // What came by now may be little; a chunk is filled before the database is bothered.
        while chunk.len() < size
            && let Some(result) = self.receiver.recv().await
        {
            chunk.push(result);
        }
        if chunk.is_empty()
            && let Some(thread) = self.thread.take()
        {
            thread.await.map_err(|error| Error::Thread(format!("resolving: {error}")))?;
        }
        Ok(chunk)
    }
}

/// Resolves all jobs on as many threads as there are processors.
pub(crate) fn resolve_all<K: Send + 'static>(
    ctx: &Context,
    universe: Arc<Universe>,
    build_group: Arc<Vec<String>>,
    jobs: Vec<Job<K>>,
) -> Results<(K, Resolution)> {
    let weak_deps = !ctx.config.dependency.ignore_weak_deps;
    Results::of(move |sender| {
        let ended = AtomicBool::new(false);
        jobs.into_par_iter().for_each_init(
            || Solver::new(&universe),
            |solver, job| {
                if ended.load(Ordering::Relaxed) {
                    return;
                }
                let resolution = solver.resolve(&Request {
                    build_group: &build_group,
                    build_requires: &job.requires,
                    weak_deps,
                });
                if sender.blocking_send((job.key, resolution)).is_err() {
                    ended.store(true, Ordering::Relaxed);
                }
            },
        );
    })
}

/// Resolves the build group alone; the problems, as people read them.
///
/// # Errors
/// When the thread broke off.
pub(crate) async fn resolve_build_group(
    ctx: &Context,
    universe: &Arc<Universe>,
    build_group: &Arc<Vec<String>>,
) -> Result<Vec<String>> {
    let job = Job { key: (), requires: Vec::new() };
    let mut results = resolve_all(ctx, Arc::clone(universe), Arc::clone(build_group), vec![job]);
    match results.chunk(1).await?.first() {
        Some(((), resolution)) => Ok(resolution.problems.iter().map(ToString::to_string).collect()),
        None => Err(Error::Thread("the resolution of the build group has no result".into())),
    }
}

/// Packages of one universe as the database knows them, learnt as they are needed.
#[derive(Debug)]
pub(crate) struct KnownPackages {
    universe: Arc<Universe>,
    /// By package of the universe; 0 where it is not known yet.
    ids: Vec<i32>,
    /// Names and architectures, also of packages that are not in this universe.
    names: HashMap<i32, (String, String)>,
}

impl KnownPackages {
    pub(crate) fn new(universe: Arc<Universe>) -> Self {
        let ids = vec![0; universe.len()];
        Self { universe, ids, names: HashMap::new() }
    }

    /// Learns the ids of all packages in some install sets. To be called outside of transactions.
    pub(crate) async fn learn(
        &mut self,
        conn: &mut PgConnection,
        installs: Vec<&[Install]>,
    ) -> Result<()> {
        let unknown: BTreeSet<PackageId> = installs
            .into_iter()
            .flatten()
            .map(|install| install.package)
            .filter(|package| self.id(*package) == 0)
            .collect();
        if unknown.is_empty() {
            return Ok(());
        }
        let nevras: Vec<Nevra> = unknown
            .iter()
            .map(|package| {
                let package = self.universe.package(*package);
                Nevra::new(
                    package.name,
                    package.evr.epoch,
                    package.evr.version,
                    package.evr.release,
                    package.arch,
                )
            })
            .collect();
        let ids = resolution::intern(conn, &nevras.iter().collect::<Vec<_>>()).await?;
        for ((package, id), nevra) in unknown.into_iter().zip(ids).zip(nevras) {
            if let Some(slot) = self.ids.get_mut(package.0 as usize) {
                *slot = id;
            }
            self.names.insert(id, (nevra.name, nevra.arch));
        }
        Ok(())
    }

    fn id(&self, package: PackageId) -> i32 {
        self.ids.get(package.0 as usize).copied().unwrap_or(0)
    }

    /// An install set as the database keeps it, by ascending ids. Its packages must have been learnt.
    pub(crate) fn installed(&self, installs: &[Install]) -> Vec<Installed> {
        let mut installed: Vec<Installed> = installs
            .iter()
            .map(|install| Installed { id: self.id(install.package), distance: install.distance })
            .collect();
        installed.sort_by_key(|installed| (installed.id, installed.distance.unwrap_or(u8::MAX)));
        installed.dedup_by_key(|installed| installed.id);
        installed
    }

    /// Learns the names of packages that only earlier install sets have.
    pub(crate) async fn learn_names(
        &mut self,
        conn: &mut PgConnection,
        ids: BTreeSet<i32>,
    ) -> koschei_db::Result<()> {
        let unknown: BTreeSet<i32> =
            ids.into_iter().filter(|id| !self.names.contains_key(id)).collect();
        if !unknown.is_empty() {
            let unknown: Vec<i32> = unknown.into_iter().collect();
            self.names.extend(resolution::names_of(conn, &unknown).await?);
        }
        Ok(())
    }

    /// Changes from an earlier install set, given by ascending ids, to this one. The names of both must be known.
    pub(crate) fn changes(&self, previous: &[i32], current: &[Installed]) -> Vec<Change> {
        let ids: Vec<i32> = current.iter().map(|installed| installed.id).collect();
        let difference = changes::difference(previous, &ids);
        let entry = |id: &i32, distance| {
            let (name, arch) = self.names.get(id)?;
            Some(Entry { id: *id, name, arch, distance })
        };
        let old: Vec<Entry<'_>> = difference.old.iter().filter_map(|id| entry(id, None)).collect();
        let new: Vec<Entry<'_>> = difference
            .new
            .iter()
            .filter_map(|id| {
                let at = ids.binary_search(id).ok()?;
                entry(id, current.get(at)?.distance)
            })
            .collect();
        changes::pair_up(&old, &new)
    }
}

/// A connection of the pool.
pub(crate) async fn acquire(ctx: &Context) -> Result<sqlx::pool::PoolConnection<sqlx::Postgres>> {
    Ok(ctx.db.acquire().await.map_err(koschei_db::Error::from)?)
}

/// A transaction on a connection of the pool.
pub(crate) async fn begin(ctx: &Context) -> Result<sqlx::Transaction<'static, sqlx::Postgres>> {
    Ok(ctx.db.begin().await.map_err(koschei_db::Error::from)?)
}

/// Ends a transaction with all its effects.
pub(crate) async fn commit(transaction: sqlx::Transaction<'static, sqlx::Postgres>) -> Result<()> {
    Ok(transaction.commit().await.map_err(koschei_db::Error::from)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_that_breaks_off_is_not_taken_for_work_that_is_done() {
        let mut results = Results::of(|sender| {
            sender.blocking_send(1).unwrap();
            sender.blocking_send(2).unwrap();
            panic!("a bug of the solver");
        });
        assert_eq!(results.chunk(10).await.unwrap(), [1, 2], "what was made counts");
        let error = results.chunk(10).await.unwrap_err();
        assert!(matches!(error, Error::Thread(_)) && error.is_transient(), "{error}");

        let mut results = Results::of(|sender| sender.blocking_send(1).unwrap());
        assert_eq!(results.chunk(10).await.unwrap(), [1]);
        assert!(results.chunk(10).await.unwrap().is_empty());
    }
}
