//! The service scheduler: submits scratch builds of the packages that need one most (spec/services.md, "scheduler").
//!
//! A round runs under a lock of its own, so that only one process submits at a time. It submits as many builds as fit
//! below `max_builds`, and ends early when Koji is busy.

use std::collections::HashMap;

use chrono::Utc;
use koji::calls;
use koschei_core::architectures::{architectures_to_ask, builders_load, load};
use koschei_db::builds;
use koschei_db::entities::{self, Collection};
use koschei_db::locks::SchedulerLock;
use koschei_db::scheduling::{self, Candidate};
use koschei_db::submissions;
use tracing::{debug, info};

use crate::adoption;
use crate::choice::{BuildTags, Buildable, Choice};
use crate::context::Context;
use crate::driver::Outcome;
use crate::error::{Error, Result};
use crate::resolving::{acquire, begin, commit};
use crate::submission::{Submitted, submit};

/// The channel of ordinary builders.
const CHANNEL: &str = "default";

/// How many candidates are looked at beyond those that fit, because some of them may have no source package.
const SPARE: i64 = 20;

/// One step: a round, unless another process has one.
///
/// # Errors
/// When the database or Koji is away. What goes wrong with one collection is part of the outcome.
pub async fn step(ctx: &Context) -> Result<Outcome> {
    let Some(mut lock) = SchedulerLock::try_acquire(&ctx.db).await? else {
        debug!("another process has the scheduler's lock");
        return Ok(Outcome::default());
    };
    let result = round(ctx, &mut lock).await;
    lock.release().await;
    result
}

async fn round(ctx: &Context, lock: &mut SchedulerLock) -> Result<Outcome> {
    let mut conn = acquire(ctx).await?;
    // Also those of processes that died, on whatever host.
    let mut begun = submissions::begun(&mut conn).await?;
    if ctx.adoption_is_due() || !begun.is_empty() {
        drop(conn);
        adoption::adopt(ctx, lock).await?;
        conn = acquire(ctx).await?;
        // Koji may still get a build of these.
        begun = submissions::begun(&mut conn).await?;
    }
    // They take their places among the builds that may run, in case that they arrive.
    let on_their_way = begun.len() as i64;
    let collections = entities::collections(&mut *conn).await?;
    drop(conn);
    let mut round = Round {
        ctx,
        collections: collections
            .into_iter()
            .map(|collection| (collection.id, collection))
            .collect(),
        koji: BuildTags::default(),
        outcome: Outcome::default(),
        except: begun,
        broken: Vec::new(),
        strikes: HashMap::new(),
    };
    round.take_back().await?;
    loop {
        let mut conn = acquire(ctx).await?;
        let running = builds::count_running(&mut conn).await?;
        let free = i64::from(ctx.config.koji_config.max_builds) - running - on_their_way;
        if free <= 0 {
            debug!("{running} builds are running, which is as many as may");
            break;
        }
        let candidates = scheduling::candidates(
            &mut conn,
            &ctx.config.priorities,
            Utc::now(),
            free + SPARE,
            &round.except,
            &round.broken,
        )
        .await?;
        drop(conn);
        if candidates.is_empty() || !round.submit_some(lock, free, candidates).await? {
            break;
        }
    }
    Ok(round.outcome)
}

/// After so many packages that went wrong it is the collection that something is wrong with.
const STRIKES: u32 = 3;

/// What a round knows and did.
struct Round<'a> {
    ctx: &'a Context,
    collections: HashMap<i32, Collection>,
    /// What Koji told about build tags and targets in this round.
    koji: BuildTags,
    outcome: Outcome,
    /// Packages that were looked at in this round, or of which a build may be on its way to Koji.
    except: Vec<i32>,
    /// Collections with which something is wrong in this round.
    broken: Vec<i32>,
    /// How many packages of a collection went wrong in this round.
    strikes: HashMap<i32, u32>,
}

/// What came of one candidate.
enum Tried {
    Submitted,
    SetAside,
    /// Koji is busy: the round ends.
    Busy,
}

impl Round<'_> {
    /// Submits the first `free` of the candidates that can be. Whether to look for more of them.
    async fn submit_some(
        &mut self,
        lock: &mut SchedulerLock,
        mut free: i64,
        candidates: Vec<Candidate>,
    ) -> Result<bool> {
        for candidate in candidates {
            if free <= 0 || self.ctx.stop.is_requested() {
                return Ok(false);
            }
            if self.broken.contains(&candidate.collection_id) {
                continue;
            }
            self.except.push(candidate.package_id);
            lock.check().await?;
            match self.try_candidate(lock, &candidate).await {
                Ok(Tried::Submitted) => {
                    self.outcome.done += 1;
                    free -= 1;
                }
                Ok(Tried::SetAside) => {}
                Ok(Tried::Busy) => return Ok(false),
                // Nothing more may be submitted before it is known what became of this one.
                Err(error) if self.ctx.adoption_is_due() => return Err(error),
                Err(error) if error.is_database() && error.is_transient() => return Err(error),
                Err(error) => {
                    // One package that Koji stumbles over must not keep back the others of its collection, now and in
                    // every round; and a Koji that is away, the secondary one perhaps, not the other collections.
                    let strikes = self.strikes.entry(candidate.collection_id).or_insert(0);
                    *strikes += 1;
                    if error.is_transient()
                        || matches!(error, Error::Collection(_) | Error::Configuration(_))
                        || *strikes >= STRIKES
                    {
                        self.broken.push(candidate.collection_id);
                    }
                    let about = format!("{} in {}", candidate.name, candidate.collection);
                    self.outcome.failures.push((about, error));
                }
            }
        }
        Ok(true)
    }

    async fn try_candidate(
        &mut self,
        lock: &SchedulerLock,
        candidate: &Candidate,
    ) -> Result<Tried> {
        let ctx = self.ctx;
        let Some(collection) = self.collections.get(&candidate.collection_id).cloned() else {
            // Made since the round began.
            return Ok(Tried::SetAside);
        };
        let build = Buildable {
            name: &candidate.name,
            version: &candidate.version,
            release: &candidate.release,
            arch_override: candidate.arch_override.as_deref(),
        };
        let choice = self.koji.choose(ctx, &collection, &build).await?;
        let (arches, tag_arches) = match choice {
            Choice::NoSrpm => return self.no_srpm(candidate).await,
            Choice::Of { arches, tag_arches } => (arches, tag_arches),
        };
        if arches.is_empty() {
            let basis = self.basis(
                candidate.last_complete_build_id,
                candidate.arch_override.as_deref(),
                &tag_arches,
            );
            let mut conn = acquire(ctx).await?;
            scheduling::set_aside(&mut conn, candidate.package_id, &basis).await?;
            info!(
                package = candidate.name,
                collection = collection.name,
                "set aside: it can be built on none of the allowed architectures"
            );
            return Ok(Tried::SetAside);
        }
        let threshold = ctx.config.koji_config.load_threshold;
        if threshold < 1.0 {
            let tag: Vec<&str> = tag_arches.iter().map(String::as_str).collect();
            let load = self.load(&arches, &tag).await?;
            if load > threshold {
                debug!(package = candidate.name, "Koji is busy: load {load:.2}");
                return Ok(Tried::Busy);
            }
        }
        info!(
            package = candidate.name,
            collection = collection.name,
            "to be built, priority {:.0}",
            candidate.priority
        );
        let submitted =
            submit(ctx, lock, &collection, candidate.package_id, &candidate.name, &arches).await?;
        match submitted {
            Submitted::Build { .. } => Ok(Tried::Submitted),
            Submitted::NoSrpm => self.no_srpm(candidate).await,
            Submitted::PackageGone => Ok(Tried::SetAside),
        }
    }

    async fn no_srpm(&self, candidate: &Candidate) -> Result<Tried> {
        let mut transaction = begin(self.ctx).await?;
        scheduling::forget_without_srpm(
            &mut transaction,
            candidate.package_id,
            candidate.last_complete_build_id,
        )
        .await?;
        commit(transaction).await?;
        info!(
            package = candidate.name,
            collection = candidate.collection,
            "set aside: Koji has no source package of {}-{}-{}",
            candidate.name,
            candidate.version,
            candidate.release
        );
        Ok(Tried::SetAside)
    }

    /// Load of the builders that a build for these architectures would wait for.
    async fn load(&self, arches: &[String], tag: &[&str]) -> Result<f64> {
        let primary = self.ctx.koji_that_builds().await?;
        let channel = primary.call(calls::get_channel(CHANNEL)).await?.ok_or_else(|| {
            Error::Configuration(format!("Koji has no channel {CHANNEL}, so its load is not known"))
        })?;
        let ask = architectures_to_ask(arches, tag);
        let hosts = ask.iter().map(|arch| calls::list_hosts(&[arch.as_str()], channel.id));
        let mut loads = Vec::with_capacity(ask.len());
        for hosts in primary.multicall(hosts).all().await? {
            loads.push(builders_load(&hosts?));
        }
        Ok(load(arches, loads))
    }

    /// What the decision that no architecture is allowed is based on.
    fn basis(
        &self,
        last_complete_build_id: i32,
        arch_override: Option<&str>,
        tag_arches: &[String],
    ) -> String {
        let configured = self.ctx.config.koji_config.build_arches.join(" ");
        format!(
            "build {last_complete_build_id}; override {:?}; configured {configured}; tag {}",
            arch_override.unwrap_or_default(),
            tag_arches.join(" ")
        )
    }

    /// Gives packages another chance that were set aside for reasons that hold no longer.
    async fn take_back(&mut self) -> Result<()> {
        let mut conn = acquire(self.ctx).await?;
        let packages = scheduling::without_architecture(&mut conn).await?;
        drop(conn);
        let mut changed = Vec::new();
        for package in packages {
            let Some(collection) = self.collections.get(&package.collection_id) else { continue };
            let (about, tag) = (collection.name.clone(), collection.build_tag.clone());
            let arches = match self.koji.arches(self.ctx, &tag).await {
                Ok(arches) => arches,
                Err(error) if error.is_transient() => return Err(error),
                Err(error) => {
                    if !self.broken.contains(&package.collection_id) {
                        self.broken.push(package.collection_id);
                        self.outcome.failures.push((about, error));
                    }
                    continue;
                }
            };
            let basis = package
                .last_complete_build_id
                .map(|build| self.basis(build, package.arch_override.as_deref(), &arches));
            if basis != package.basis {
                changed.push(package.package_id);
            }
        }
        if !changed.is_empty() {
            let mut conn = acquire(self.ctx).await?;
            scheduling::take_back(&mut conn, &changed).await?;
            info!("{} packages that were set aside are looked at again", changed.len());
        }
        Ok(())
    }
}
