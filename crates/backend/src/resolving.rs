//! From a repo and BuildRequires to install sets: what repo-resolver and build-resolver share.
//!
//! Resolving is work for the processor: it runs on the threads of rayon, each with a solver of its own over the shared
//! universe, and results stream back while they are stored. BuildRequires never change, so they are asked of Koji once
//! and kept in the database for both resolvers.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use depsolve::{Install, PackageId, Request, Resolution, Solver, Universe};
use koji::FaultKind;
use koji::calls;
use koji::types::{DepType, Nvra, Repo};
use koschei_core::changes::{self, Change, Entry};
use koschei_core::requirements;
use koschei_core::sources::{Nvr, repo_url};
use koschei_db::PgConnection;
use koschei_db::entities::Collection;
use koschei_db::resolution::{self, Installed, Untold};
use rayon::prelude::*;
use rpm::{Dep, Nevra, Relation};
use sqlx::pool::PoolConnection;
use sqlx::{Postgres, Transaction};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tracing::warn;

use crate::context::{Context, origin};
use crate::error::{Error, Result};
use crate::progress::Held;

/// How many results may wait to be stored.
const RESULTS_WAITING: usize = 1000;

/// How long one result may take. The solver has bounds of its own; this is for what nobody thought of.
const RESULT_LIMIT: Duration = Duration::from_secs(15 * 60);

/// After so many refusals by an exception that nobody foresaw, over some minutes, it is taken to be about the source
/// package and no passing trouble of the hub.
const REFUSALS: i32 = 4;

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
    let koji = ctx.koji_of(collection.secondary_mode).await?;
    let groups =
        koji.call(calls::get_tag_groups(&collection.build_tag, Some(repo.create_event))).await?;
    Ok(requirements::build_group(&groups, &collection.build_group))
}

/// What a source package requires to be built.
#[derive(Debug, Clone)]
pub(crate) enum Required {
    /// This.
    Known(Vec<Dep>),
    /// Nobody can tell, for these reasons: problems of the package, as people read them.
    Unknown(Vec<String>),
}

impl Required {
    /// What is required, from relations as texts. RPM does not build what it cannot understand, and neither do we.
    fn of(nvr: &str, texts: &[String]) -> Self {
        let (mut known, mut problems) = (Vec::with_capacity(texts.len()), Vec::new());
        for text in texts {
            match text.parse() {
                Ok(dependency) => known.push(dependency),
                Err(error) => {
                    problems.push(format!("BuildRequires of {nvr} cannot be understood: {error}"));
                }
            }
        }
        if problems.is_empty() { Self::Known(known) } else { Self::Unknown(problems) }
    }
}

/// What is known of the BuildRequires of some source packages.
#[derive(Debug, Default)]
pub(crate) struct BuildRequires {
    /// By n-v-r. Those that Koji refused to tell, for what may be a passing trouble, are absent.
    pub(crate) of: HashMap<String, Required>,
    /// What Koji said instead of those.
    refused: Vec<(String, String)>,
}

impl BuildRequires {
    /// What Koji refused to tell, if anything: packages of a collection wait for it.
    pub(crate) fn refusal(&self) -> Option<Error> {
        let (nvr, reason) = self.refused.first()?;
        let others = match self.refused.len() - 1 {
            0 => String::new(),
            others => format!(" and of {others} other source packages"),
        };
        Some(Error::Refused(format!(
            "Koji does not tell BuildRequires of {nvr}{others}, and is asked again later: {reason}"
        )))
    }

    /// The files that resolving these asks for by name, together with the build group.
    pub(crate) fn paths(&self, build_group: &[String]) -> BTreeSet<String> {
        paths(
            build_group,
            self.of.values().filter_map(|required| match required {
                Required::Known(requires) => Some(requires),
                Required::Unknown(_) => None,
            }),
        )
    }

    /// Takes note of a refusal.
    fn refuse(&mut self, untold: Untold) {
        let Untold { nvr, reason, is_final, .. } = untold;
        if is_final {
            let problem = format!("Koji does not tell BuildRequires of {nvr}: {reason}");
            self.of.insert(nvr, Required::Unknown(vec![problem]));
        } else {
            self.refused.push((nvr, reason));
        }
    }
}

/// BuildRequires of source packages: from the database, else from Koji, and then kept.
///
/// One that Koji does not know requires nothing; that is not kept, because it may become known. What Koji refuses to
/// tell is noted, so that it is not asked at every turn.
///
/// # Errors
/// When the database or Koji is away.
pub(crate) async fn build_requires(
    ctx: &Context,
    secondary_mode: bool,
    sources: &[Nvr],
) -> Result<BuildRequires> {
    let origin = origin(secondary_mode);
    let nvrs: Vec<String> = sources.iter().map(ToString::to_string).collect();
    let mut conn = acquire(ctx).await?;
    let kept = resolution::build_requires(&mut conn, origin, &nvrs).await?;
    let mut missing: Vec<(&String, &Nvr)> =
        nvrs.iter().zip(sources).filter(|(nvr, _)| !kept.contains_key(*nvr)).collect();
    missing.sort();
    missing.dedup();
    let names: Vec<String> = missing.iter().map(|(nvr, _)| (*nvr).clone()).collect();
    let untold = resolution::untold(&mut conn, origin, &names).await?;
    drop(conn);
    let mut requires = BuildRequires::default();
    for (nvr, texts) in kept {
        requires.of.insert(nvr.clone(), Required::of(&nvr, &texts));
    }
    let asked_before: HashSet<String> = untold.iter().map(|untold| untold.nvr.clone()).collect();
    for untold in untold {
        if !untold.due {
            missing.retain(|(nvr, _)| **nvr != untold.nvr);
            requires.refuse(untold);
        }
    }
    if missing.is_empty() {
        return Ok(requires);
    }
    let koji = ctx.koji_of(secondary_mode).await?;
    let mut answers = koji.multicall(missing.iter().map(|(_, nvr)| {
        let source = Nvra::source(&nvr.name, &nvr.version, &nvr.release);
        calls::get_rpm_deps(source, DepType::Require)
    }));
    let mut asked = missing.iter();
    while let Some(chunk) = answers.next_chunk().await {
        let (mut keep, mut refusals, mut told) = (Vec::new(), Vec::new(), Vec::new());
        for answer in chunk? {
            let Some((nvr, _)) = asked.next() else { break };
            match answer {
                Ok(dependencies) => {
                    let texts = requirements::build_requires(&dependencies);
                    requires.of.insert((*nvr).clone(), Required::of(nvr, &texts));
                    if asked_before.contains(*nvr) {
                        told.push((*nvr).clone());
                    }
                    if !dependencies.is_empty() {
                        keep.push(((*nvr).clone(), texts));
                    }
                }
                Err(error) if error.is_transient() => return Err(error.into()),
                Err(error) => {
                    // An exception that nobody foresaw may come from the hub's trouble with something else.
                    let passing = matches!(
                        error.fault_kind(),
                        Some(FaultKind::UnexpectedException | FaultKind::Unlisted)
                    );
                    warn!(source = *nvr, "BuildRequires cannot be told: {error}");
                    refusals.push(((*nvr).clone(), shorten(&error.to_string()), !passing));
                }
            }
        }
        // Chunk by chunk, so that the first resolution of a distribution can be interrupted and goes on where it was.
        let mut transaction = begin(ctx).await?;
        resolution::keep_build_requires(&mut transaction, origin, &keep).await?;
        resolution::forget_untold(&mut transaction, origin, &told).await?;
        let untold = resolution::note_untold(&mut transaction, origin, &refusals, REFUSALS).await?;
        commit(transaction).await?;
        for untold in untold {
            requires.refuse(untold);
        }
    }
    Ok(requires)
}

/// What a hub says may be long; people read the beginning.
fn shorten(text: &str) -> String {
    const SHOWN: usize = 300;
    let mut shown: String = text.chars().take(SHOWN).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown
}

/// The files that a request for these requirements asks for by name.
fn paths<'a>(
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
        while chunk.len() < size {
            match tokio::time::timeout(RESULT_LIMIT, self.receiver.recv()).await {
                Ok(Some(result)) => chunk.push(result),
                Ok(None) => break,
                Err(_) => {
                    return Err(Error::Thread(format!(
                        "resolving: nothing came out of it for {} minutes",
                        RESULT_LIMIT.as_secs() / 60
                    )));
                }
            }
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

/// A connection of the pool, for work in the database and nothing else.
pub(crate) async fn acquire(ctx: &Context) -> Result<Held<PoolConnection<Postgres>>> {
    let work = ctx.progress.hold(());
    let connection = ctx.db.acquire().await.map_err(koschei_db::Error::from)?;
    Ok(work.with(connection))
}

/// A transaction on a connection of the pool, for work in the database and nothing else.
pub(crate) async fn begin(ctx: &Context) -> Result<Held<Transaction<'static, Postgres>>> {
    let work = ctx.progress.hold(());
    Ok(work.with(koschei_db::begin(&ctx.db).await?))
}

/// Ends a transaction with all its effects.
pub(crate) async fn commit(transaction: Held<Transaction<'static, Postgres>>) -> Result<()> {
    let (transaction, _holding) = transaction.into_parts();
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
