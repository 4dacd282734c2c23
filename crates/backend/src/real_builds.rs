//! Registers builds made by packagers, and follows what is tagged (spec/services.md, "New real builds", "Untagged",
//! "Retagged").
//!
//! What Koji lists as the latest builds of a collection's destination tag is compared with what the database has: all of
//! it when polling, one package of it when a message says that something was tagged. The database is read first. The
//! other way round, a build that is registered by somebody else meanwhile would look like one that was untagged.

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};

use chrono::Utc;
use koji::calls::{self, ListTagged};
use koji::types::{Nvra, TaggedBuild, Task};
use koschei_core::tasks;
use koschei_core::versions::{BuildVersion, compare};
use koschei_db::builds::{self, LastBuild, RealBuild, TaggedVersion, Untagged};
use koschei_db::entities::Collection;
use koschei_db::scheduling;
use tracing::{debug, info, warn};

use crate::context::Context;
use crate::error::{Error, Result, stored_id};
use crate::finishing::subtasks;
use crate::resolving::{acquire, begin, commit};

/// A tagged build with the package that it belongs to.
#[derive(Clone, Copy)]
struct Tagged<'a> {
    package_id: i32,
    /// Its last build before Koji was asked.
    last_build_id: Option<i32>,
    build: &'a TaggedBuild,
}

/// Brings the builds of a collection in line with what Koji lists as the latest, or those of one package.
/// Returns how many builds were registered.
///
/// # Errors
/// When Koji or the database is away; what was stored until then stays.
pub async fn follow_tag(
    ctx: &Context,
    collection: &Collection,
    package: Option<&str>,
) -> Result<usize> {
    let names = package.map(|name| vec![name.to_owned()]);
    let mut conn = acquire(ctx).await?;
    let last = builds::last_builds(&mut conn, collection.id, names.as_deref()).await?;
    drop(conn);
    if last.is_empty() && package.is_some() {
        return Ok(0);
    }
    let koji = ctx.koji_of(collection.secondary_mode).await?;
    let what = ListTagged { latest: true, inherit: true, package, ..ListTagged::default() };
    let latest = koji.call(calls::list_tagged(&collection.dest_tag, what)).await?;
    let listed: HashMap<&str, &TaggedBuild> =
        latest.iter().map(|build| (build.package_name.as_str(), build)).collect();
    let (mut newer, mut older, mut versions) = (Vec::new(), Vec::new(), Vec::new());
    for package in &last {
        // A package that Koji lists without any build is not touched.
        let Some(build) = listed.get(package.name.as_str()) else { continue };
        let tagged =
            Tagged { package_id: package.package_id, last_build_id: package.build_id, build };
        versions.push(version_of(&tagged)?);
        match compare_with_last(build, package) {
            Ordering::Greater => newer.push(tagged),
            Ordering::Less => older.push(tagged),
            Ordering::Equal => {}
        }
    }
    let registered = register(ctx, collection, &newer).await?.count;
    untag(ctx, collection, &older).await?;
    retag(ctx, collection, &versions).await?;
    bring_back(ctx, collection, package, &listed).await?;
    Ok(registered)
}

/// How what is tagged compares with the last build that we know. Without one, whatever is tagged is newer.
fn compare_with_last(build: &TaggedBuild, package: &LastBuild) -> Ordering {
    let (Some(version), Some(release)) = (&package.version, &package.release) else {
        return Ordering::Greater;
    };
    compare(
        BuildVersion { epoch: build.epoch, version: &build.version, release: &build.release },
        BuildVersion { epoch: package.epoch.map(i64::from), version, release },
    )
}

fn version_of(tagged: &Tagged<'_>) -> Result<TaggedVersion> {
    Ok(TaggedVersion {
        package_id: tagged.package_id,
        epoch: tagged.build.epoch.map(|epoch| stored_id("an epoch", epoch)).transpose()?,
        version: tagged.build.version.clone(),
        release: tagged.build.release.clone(),
    })
}

/// What came of registering builds.
#[derive(Default)]
struct Registered {
    /// How many were registered.
    count: usize,
    /// Packages of builds that may be registered or not: Koji did not tell.
    undecided: Vec<i32>,
}

/// Registers those of the builds that Koji knows enough about and that are not registered yet.
async fn register(
    ctx: &Context,
    collection: &Collection,
    news: &[Tagged<'_>],
) -> Result<Registered> {
    let mut candidates = Vec::new();
    for tagged in news {
        // Imported builds have no task.
        let Some(task_id) = tagged.build.task_id else { continue };
        candidates.push((stored_id("a task id", task_id)?, tagged));
    }
    let mut registered = Registered::default();
    if candidates.is_empty() {
        return Ok(registered);
    }
    let task_ids: Vec<i32> = candidates.iter().map(|(task_id, _)| *task_id).collect();
    let mut conn = acquire(ctx).await?;
    let known: HashSet<i32> =
        builds::known_tasks(&mut conn, collection.id, &task_ids).await?.into_iter().collect();
    drop(conn);
    candidates.retain(|(task_id, _)| !known.contains(task_id));
    for chunk in candidates.chunks(ctx.config.real_builds_insert_chunk.max(1)) {
        register_chunk(ctx, collection, chunk, &mut registered).await?;
    }
    Ok(registered)
}

async fn register_chunk(
    ctx: &Context,
    collection: &Collection,
    chunk: &[(i32, &Tagged<'_>)],
    registered: &mut Registered,
) -> Result<()> {
    let koji = ctx.koji_of(collection.secondary_mode).await?;
    let ids = || chunk.iter().map(|(task_id, _)| i64::from(*task_id));
    let infos = koji.multicall(ids().map(calls::get_task_info)).all().await?;
    let children = koji.multicall(ids().map(calls::get_task_children)).all().await?;
    let (mut real, mut skipped) = (Vec::new(), Vec::new());
    for (((task_id, tagged), info), children) in chunk.iter().zip(infos).zip(children) {
        let nvr = &tagged.build.nvr;
        let (task, children) = match (info, children) {
            (Ok(task), Ok(children)) => (task, children),
            (Err(error), _) | (_, Err(error)) if error.is_transient() => return Err(error.into()),
            (Err(error), _) | (_, Err(error)) => {
                warn!(nvr, task = task_id, "Koji does not tell about the build: {error}");
                registered.undecided.push(tagged.package_id);
                continue;
            }
        };
        match (task, tasks::repo_id(&children)) {
            (Some(task), Some(repo_id)) => {
                real.push(real_build(tagged, *task_id, repo_id, &task, &children)?);
            }
            _ => {
                debug!(nvr, task = task_id, "the build was imported; it is left out");
                skipped.push(*task_id);
            }
        }
    }
    let mut transaction = begin(ctx).await?;
    builds::skip_tasks(&mut transaction, collection.id, &skipped).await?;
    let news = builds::register_real(&mut transaction, &real).await?;
    commit(transaction).await?;
    for (task_id, tagged) in chunk {
        if news.contains(&tagged.package_id) {
            let TaggedBuild { package_name, nvr, .. } = tagged.build;
            info!(package = package_name, task = task_id, "the real build {nvr} is registered");
        }
    }
    registered.count += news.len();
    Ok(())
}

fn real_build(
    tagged: &Tagged<'_>,
    task_id: i32,
    repo_id: i64,
    task: &Task,
    children: &[Task],
) -> Result<RealBuild> {
    let now = Utc::now();
    let TaggedVersion { package_id, epoch, version, release } = version_of(tagged)?;
    Ok(RealBuild {
        package_id,
        task_id,
        repo_id: stored_id("a repo id", repo_id)?,
        started: task.created(),
        finished: task.completed().unwrap_or(now),
        epoch,
        version,
        release,
        subtasks: subtasks(children, now)?,
    })
}

/// Handles packages whose last build is newer than what Koji names as the latest: something was untagged.
async fn untag(ctx: &Context, collection: &Collection, older: &[Tagged<'_>]) -> Result<()> {
    if older.is_empty() {
        return Ok(());
    }
    let versions: Vec<TaggedVersion> =
        older.iter().map(version_of).collect::<Result<_, Error>>()?;
    let mut conn = acquire(ctx).await?;
    let known: HashSet<i32> =
        builds::packages_with_version(&mut conn, &versions).await?.into_iter().collect();
    drop(conn);
    let absent: Vec<Tagged<'_>> =
        older.iter().filter(|tagged| !known.contains(&tagged.package_id)).copied().collect();
    let undecided = register(ctx, collection, &absent).await?.undecided;
    let untagged: Vec<Untagged> = older
        .iter()
        .zip(versions)
        .filter(|(tagged, _)| !undecided.contains(&tagged.package_id))
        .filter_map(|(tagged, latest)| Some(Untagged { latest, last: tagged.last_build_id? }))
        .collect();
    let mut transaction = begin(ctx).await?;
    let marked = builds::mark_untagged(&mut transaction, &untagged).await?;
    commit(transaction).await?;
    if marked > 0 {
        let names: Vec<&str> =
            older.iter().map(|tagged| tagged.build.package_name.as_str()).collect();
        info!("{marked} builds are marked as untagged, of {}", names.join(", "));
    }
    Ok(())
}

/// Takes the mark from untagged builds that are tagged again.
async fn retag(ctx: &Context, collection: &Collection, versions: &[TaggedVersion]) -> Result<()> {
    let mut transaction = begin(ctx).await?;
    let packages = builds::clear_untagged(&mut transaction, collection.id, versions).await?;
    commit(transaction).await?;
    if !packages.is_empty() {
        info!("builds of {} packages are tagged again", packages.len());
    }
    Ok(())
}

/// Brings back packages that the scheduler set aside for want of a source package, once Koji has what the scheduler
/// asks for: the headers of the last complete build's, and a source package of the latest tagged build.
async fn bring_back(
    ctx: &Context,
    collection: &Collection,
    package: Option<&str>,
    listed: &HashMap<&str, &TaggedBuild>,
) -> Result<()> {
    let mut conn = acquire(ctx).await?;
    let without = scheduling::without_srpm(&mut conn, collection.id, package).await?;
    drop(conn);
    let koji = ctx.koji_of(collection.secondary_mode).await?;
    let mut back = Vec::new();
    for package in &without {
        let Some(tagged) = listed.get(package.name.as_str()) else { continue };
        let source = Nvra::source(&package.name, &package.version, &package.release);
        let there = async {
            Ok::<_, koji::Error>(
                koji.call(calls::get_arch_headers(source)).await?.is_some()
                    && !koji.call(calls::list_rpms(tagged.build_id, "src")).await?.is_empty(),
            )
        };
        match there.await {
            Ok(true) => {
                info!(package = package.name, "Koji has a source package of it again");
                back.push(package.package_id);
            }
            Ok(false) => {}
            Err(error) if error.is_transient() => return Err(error.into()),
            Err(error) => warn!(package = package.name, "its source cannot be asked for: {error}"),
        }
    }
    if back.is_empty() {
        return Ok(());
    }
    let mut transaction = begin(ctx).await?;
    scheduling::bring_back(&mut transaction, &back).await?;
    commit(transaction).await
}
