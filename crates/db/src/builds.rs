//! Statements of the services about builds: new, finished, untagged, adopted.
//!
//! Rows are locked in the order build, package. The trigger on `build` and the resolver touch older builds of the same
//! package, so whoever locks one build locks all builds of its package, by ascending ids, and only then the package: two
//! that meet at a package take turns at its first build. (`tests/concurrency.rs` lets them meet.)

use chrono::{DateTime, Utc};
use koschei_core::states::BuildState;
use sqlx::FromRow;
use sqlx::postgres::PgConnection;

use crate::error::{Error, Result};
use crate::packages::{self, LockedPackages, StateChange};
use crate::resolution;
use crate::submissions;
use crate::wake::{Sleeper, wake};

/// A scratch build that Koji has not finished, as far as we know.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct RunningBuild {
    /// Its id.
    pub id: i32,
    /// Its package.
    pub package_id: i32,
    /// The package's name.
    pub name: String,
    /// The package's collection.
    pub collection_id: i32,
    /// The collection's name.
    pub collection: String,
    /// Whether the collection's repos are those of the secondary Koji.
    pub secondary_mode: bool,
    /// Its task in the primary Koji.
    pub task_id: i32,
    /// When Koji got it, or when we submitted it.
    pub started: DateTime<Utc>,
    /// The repo it was built in, once known.
    pub repo_id: Option<i32>,
    /// Somebody asked to cancel it.
    pub cancel_requested: bool,
}

/// All running builds, or the one with a task id, oldest first.
pub async fn running(conn: &mut PgConnection, task_id: Option<i32>) -> Result<Vec<RunningBuild>> {
    sqlx::query_as(
        "SELECT build.id, package.id AS package_id, package.name, package.collection_id,
                collection.name AS collection, collection.secondary_mode, build.task_id,
                build.started AT TIME ZONE 'UTC' AS started, build.repo_id, build.cancel_requested
           FROM build
           JOIN package ON package.id = build.package_id
           JOIN collection ON collection.id = package.collection_id
          WHERE build.state = 2 AND ($1::integer IS NULL OR build.task_id = $1)
          ORDER BY build.id",
    )
    .bind(task_id)
    .fetch_all(conn)
    .await
    .map_err(Error::Statement)
}

/// How many builds are running.
pub async fn count_running(conn: &mut PgConnection) -> Result<i64> {
    sqlx::query_scalar("SELECT count(*) FROM build WHERE state = 2")
        .fetch_one(conn)
        .await
        .map_err(Error::Statement)
}

/// A subtask of a build that builds for one architecture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subtask {
    /// Its id in Koji.
    pub task_id: i32,
    /// The architecture it builds for.
    pub arch: String,
    /// Koji's number of its state.
    pub state: i32,
    /// When Koji created it.
    pub started: DateTime<Utc>,
    /// When it ended.
    pub finished: Option<DateTime<Utc>>,
}

/// What became known about a build that is still running.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// The build.
    pub build_id: i32,
    /// The repo it is built in, once known.
    pub repo_id: Option<i32>,
    /// Its subtasks so far.
    pub subtasks: Vec<Subtask>,
}

/// Stores subtasks and repo ids of running builds, so that their dependencies can be resolved before they end.
/// Builds that ended meanwhile are left alone.
pub async fn store_progress(conn: &mut PgConnection, progress: &[Progress]) -> Result<()> {
    let ids: Vec<i32> = progress.iter().map(|build| build.build_id).collect();
    let repo_ids: Vec<Option<i32>> = progress.iter().map(|build| build.repo_id).collect();
    let running: Vec<i32> = sqlx::query_scalar(
        "SELECT id FROM build WHERE id = ANY($1) AND state = 2 ORDER BY id FOR NO KEY UPDATE",
    )
    .bind(&ids)
    .fetch_all(&mut *conn)
    .await
    .map_err(Error::Statement)?;
    let updated = sqlx::query(
        "UPDATE build SET repo_id = news.repo_id
           FROM unnest($1::integer[], $2::integer[]) AS news(id, repo_id)
          WHERE build.id = news.id AND build.state = 2
            AND news.repo_id IS NOT NULL AND build.repo_id IS NULL",
    )
    .bind(&ids)
    .bind(&repo_ids)
    .execute(&mut *conn)
    .await
    .map_err(Error::Statement)?;
    let subtasks: Vec<(i32, &Subtask)> = progress
        .iter()
        .filter(|build| running.binary_search(&build.build_id).is_ok())
        .flat_map(|build| build.subtasks.iter().map(|subtask| (build.build_id, subtask)))
        .collect();
    store_subtasks(conn, &subtasks).await?;
    if updated.rows_affected() > 0 {
        wake(conn, Sleeper::BuildResolver).await?;
    }
    Ok(())
}

/// Inserts subtasks of builds whose rows are locked, or brings them up to date.
async fn store_subtasks(conn: &mut PgConnection, subtasks: &[(i32, &Subtask)]) -> Result<()> {
    if subtasks.is_empty() {
        return Ok(());
    }
    let build_ids: Vec<i32> = subtasks.iter().map(|(build_id, _)| *build_id).collect();
    let task_ids: Vec<i32> = subtasks.iter().map(|(_, subtask)| subtask.task_id).collect();
    let arches: Vec<&str> = subtasks.iter().map(|(_, subtask)| subtask.arch.as_str()).collect();
    let states: Vec<i32> = subtasks.iter().map(|(_, subtask)| subtask.state).collect();
    let started: Vec<DateTime<Utc>> = subtasks.iter().map(|(_, subtask)| subtask.started).collect();
    let finished: Vec<Option<DateTime<Utc>>> =
        subtasks.iter().map(|(_, subtask)| subtask.finished).collect();
    sqlx::query(
        "WITH news AS (
             SELECT * FROM unnest($1::integer[], $2::integer[], $3::text[], $4::integer[],
                                  $5::timestamptz[], $6::timestamptz[])
                        AS news(build_id, task_id, arch, state, started, finished)
         ), known AS (
             UPDATE koji_task SET state = news.state, started = news.started, finished = news.finished
               FROM news
              WHERE koji_task.build_id = news.build_id AND koji_task.task_id = news.task_id
          RETURNING koji_task.build_id, koji_task.task_id
         )
         INSERT INTO koji_task (build_id, task_id, arch, state, started, finished)
         SELECT build_id, task_id, arch, state, started, finished FROM news
          WHERE NOT EXISTS (SELECT 1 FROM known
                             WHERE known.build_id = news.build_id AND known.task_id = news.task_id)
          ORDER BY build_id, task_id",
    )
    .bind(build_ids)
    .bind(task_ids)
    .bind(arches)
    .bind(states)
    .bind(started)
    .bind(finished)
    .execute(conn)
    .await
    .map_err(Error::Statement)?;
    Ok(())
}

/// A running build and its package, both locked: nobody else can finish it.
#[must_use = "the rows stay locked until the transaction ends"]
#[derive(Debug)]
pub struct LockedBuild {
    build_id: i32,
    package_id: i32,
    task_id: i32,
    locked: LockedPackages,
}

/// Locks a running build, then its package. `None` when another process finished or deleted it first.
pub async fn lock_running(conn: &mut PgConnection, build_id: i32) -> Result<Option<LockedBuild>> {
    let package_id: Option<i32> = sqlx::query_scalar(
        "SELECT package_id FROM build WHERE id = $1 AND state = 2 AND package_id IS NOT NULL",
    )
    .bind(build_id)
    .fetch_optional(&mut *conn)
    .await
    .map_err(Error::Statement)?;
    let Some(package_id) = package_id else { return Ok(None) };
    lock_builds_of(conn, &[package_id]).await?;
    // Whoever was first has finished or deleted it by now.
    let task_id: Option<i32> =
        sqlx::query_scalar("SELECT task_id FROM build WHERE id = $1 AND state = 2")
            .bind(build_id)
            .fetch_optional(&mut *conn)
            .await
            .map_err(Error::Statement)?;
    let Some(task_id) = task_id else { return Ok(None) };
    let locked = packages::lock(conn, &[package_id]).await?;
    Ok(Some(LockedBuild { build_id, package_id, task_id, locked }))
}

/// How a build ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    /// Complete or failed.
    pub state: BuildState,
    /// When Koji got it.
    pub started: DateTime<Utc>,
    /// When it ended.
    pub finished: DateTime<Utc>,
    /// The repo it was built in.
    pub repo_id: i32,
    /// Its subtasks.
    pub subtasks: Vec<Subtask>,
}

impl LockedBuild {
    /// Stores how the build ended, resets the package's priorities and announces its new state.
    ///
    /// `failed_priority` becomes the build priority when the package started to fail with this build.
    pub async fn finish(
        self,
        conn: &mut PgConnection,
        ending: &Ending,
        failed_priority: impl FnOnce(Option<BuildState>) -> i32,
    ) -> Result<Vec<StateChange>> {
        let subtasks: Vec<_> =
            ending.subtasks.iter().map(|subtask| (self.build_id, subtask)).collect();
        store_subtasks(conn, &subtasks).await?;
        packages::reset_priorities(conn, &[self.package_id]).await?;
        sqlx::query(
            "UPDATE build SET state = $2, started = $3, finished = $4, repo_id = $5 WHERE id = $1",
        )
        .bind(self.build_id)
        .bind(ending.state.number())
        .bind(ending.started)
        .bind(ending.finished)
        .bind(ending.repo_id)
        .execute(&mut *conn)
        .await
        .map_err(Error::Statement)?;
        let previous: Option<i32> = sqlx::query_scalar(
            "SELECT state FROM build
              WHERE package_id = $1 AND id <> $2 AND state <> 2 AND started < $3
              ORDER BY started DESC, id DESC LIMIT 1",
        )
        .bind(self.package_id)
        .bind(self.build_id)
        .bind(ending.started)
        .fetch_optional(&mut *conn)
        .await
        .map_err(Error::Statement)?;
        let priority = failed_priority(previous.and_then(BuildState::from_number));
        if priority != 0 {
            sqlx::query("UPDATE package SET build_priority = $2 WHERE id = $1")
                .bind(self.package_id)
                .bind(priority)
                .execute(&mut *conn)
                .await
                .map_err(Error::Statement)?;
        }
        resolution::compare_again(conn, &[self.package_id]).await?;
        let changes = self.locked.announce(conn).await?;
        wake(conn, Sleeper::BuildResolver).await?;
        wake(conn, Sleeper::Scheduler).await?;
        Ok(changes)
    }

    /// Deletes the build, as if it had never been, and remembers why its task has no build.
    pub async fn delete(self, conn: &mut PgConnection, why: &str) -> Result<Vec<StateChange>> {
        sqlx::query("DELETE FROM build WHERE id = $1")
            .bind(self.build_id)
            .execute(&mut *conn)
            .await
            .map_err(Error::Statement)?;
        remember_task_without_build(conn, self.task_id, why).await?;
        // While it was running, the package had nothing to be compared with.
        packages::resolve_again(conn, &[self.package_id]).await?;
        let changes = self.locked.announce(conn).await?;
        wake(conn, Sleeper::Scheduler).await?;
        Ok(changes)
    }
}

/// Remembers why a task of ours has no build, so that it is not adopted (again).
pub async fn remember_task_without_build(
    conn: &mut PgConnection,
    task_id: i32,
    why: &str,
) -> Result<()> {
    sqlx::query(
        "INSERT INTO task_without_build (task_id, reason) VALUES ($1, $2)
         ON CONFLICT (task_id) DO UPDATE SET reason = excluded.reason",
    )
    .bind(task_id)
    .bind(why)
    .execute(conn)
    .await
    .map_err(Error::Statement)?;
    Ok(())
}

/// A scratch build that was just submitted, or that is adopted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScratchBuild {
    /// Its package.
    pub package_id: i32,
    /// Its task in the primary Koji.
    pub task_id: i32,
    /// When it was submitted.
    pub started: DateTime<Utc>,
    /// Epoch of the source package.
    pub epoch: Option<i32>,
    /// Version of the source package.
    pub version: String,
    /// Release of the source package.
    pub release: String,
    /// The repo, when it was submitted for a certain one.
    pub repo_id: Option<i32>,
}

/// Records a scratch build, resets the package's manual priority and clears what the scheduler had against it.
/// `None` when the package is gone. A build that was recorded before, by whoever adopted its task, stays as it is.
pub async fn insert_scratch(conn: &mut PgConnection, build: &ScratchBuild) -> Result<Option<i32>> {
    // The trigger may touch older builds of the package.
    lock_builds_of(conn, &[build.package_id]).await?;
    let locked = packages::lock(conn, &[build.package_id]).await?;
    if locked.get(build.package_id).is_none() {
        return Ok(None);
    }
    submissions::end(conn, build.package_id).await?;
    let recorded: Option<i32> = sqlx::query_scalar(
        "SELECT id FROM build WHERE package_id = $1 AND task_id = $2 AND NOT \"real\" ORDER BY id LIMIT 1",
    )
    .bind(build.package_id)
    .bind(build.task_id)
    .fetch_optional(&mut *conn)
    .await
    .map_err(Error::Statement)?;
    if recorded.is_some() {
        return Ok(recorded);
    }
    let id: i32 = sqlx::query_scalar(
        "INSERT INTO build (package_id, state, task_id, started, epoch, version, release, repo_id,
                            last_complete, \"real\")
         VALUES ($1, 2, $2, $3, $4, $5, $6, $7, false, false) RETURNING id",
    )
    .bind(build.package_id)
    .bind(build.task_id)
    .bind(build.started)
    .bind(build.epoch)
    .bind(&build.version)
    .bind(&build.release)
    .bind(build.repo_id)
    .fetch_one(&mut *conn)
    .await
    .map_err(Error::Statement)?;
    sqlx::query(
        "UPDATE package SET manual_priority = 0, scheduler_skip_reason = NULL, scheduler_skip_basis = NULL
          WHERE id = $1",
    )
    .bind(build.package_id)
    .execute(&mut *conn)
    .await
    .map_err(Error::Statement)?;
    locked.announce(conn).await?;
    if build.repo_id.is_some() {
        wake(conn, Sleeper::BuildResolver).await?;
    }
    Ok(Some(id))
}

/// Of these tasks of the primary Koji, those that have no scratch build and no recorded reason to have none.
pub async fn unknown_scratch_tasks(conn: &mut PgConnection, task_ids: &[i32]) -> Result<Vec<i32>> {
    sqlx::query_scalar(
        "SELECT task.id FROM unnest($1::integer[]) AS task(id)
          WHERE NOT EXISTS (SELECT 1 FROM build WHERE build.task_id = task.id AND NOT build.\"real\")
            AND NOT EXISTS (SELECT 1 FROM task_without_build AS reason WHERE reason.task_id = task.id)
          ORDER BY task.id",
    )
    .bind(task_ids)
    .fetch_all(conn)
    .await
    .map_err(Error::Statement)
}

/// When the newest scratch build was started.
pub async fn newest_scratch_start(conn: &mut PgConnection) -> Result<Option<DateTime<Utc>>> {
    sqlx::query_scalar("SELECT max(started) AT TIME ZONE 'UTC' FROM build WHERE NOT \"real\"")
        .fetch_one(conn)
        .await
        .map_err(Error::Statement)
}

/// A tracked package that a task of ours may belong to.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct AdoptionCandidate {
    /// The package.
    pub package_id: i32,
    /// Its name.
    pub name: String,
    /// Its collection.
    pub collection_id: i32,
    /// The collection's target.
    pub target: String,
    /// The collection's build tag.
    pub build_tag: String,
    /// Whether the collection's repos are those of the secondary Koji.
    pub secondary_mode: bool,
}

/// The tracked packages with one of these names, in all collections.
pub async fn adoption_candidates(
    conn: &mut PgConnection,
    names: &[String],
) -> Result<Vec<AdoptionCandidate>> {
    sqlx::query_as(
        "SELECT package.id AS package_id, package.name, collection.id AS collection_id,
                collection.target, collection.build_tag, collection.secondary_mode
           FROM package JOIN collection ON collection.id = package.collection_id
          WHERE package.name = ANY($1) AND package.tracked
          ORDER BY package.id",
    )
    .bind(names)
    .fetch_all(conn)
    .await
    .map_err(Error::Statement)
}

/// The epoch of the newest build of the package with this version and release; `None` when no such build is known or
/// it has none.
pub async fn epoch_of(
    conn: &mut PgConnection,
    package_id: i32,
    version: &str,
    release: &str,
) -> Result<Option<i32>> {
    let epoch: Option<Option<i32>> = sqlx::query_scalar(
        "SELECT epoch FROM build WHERE package_id = $1 AND version = $2 AND release = $3
          ORDER BY started DESC, id DESC LIMIT 1",
    )
    .bind(package_id)
    .bind(version)
    .bind(release)
    .fetch_optional(conn)
    .await
    .map_err(Error::Statement)?;
    Ok(epoch.flatten())
}

/// A package of a collection with the version of its last build.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct LastBuild {
    /// The package.
    pub package_id: i32,
    /// Its name.
    pub name: String,
    /// Its last build that is not untagged.
    pub build_id: Option<i32>,
    /// Epoch of that build.
    pub epoch: Option<i32>,
    /// Version of that build.
    pub version: Option<String>,
    /// Release of that build.
    pub release: Option<String>,
}

/// The packages of a collection whose real builds are polled: tracked ones, or all; restricted to `names` if given.
pub async fn last_builds(
    conn: &mut PgConnection,
    collection_id: i32,
    names: Option<&[String]>,
) -> Result<Vec<LastBuild>> {
    sqlx::query_as(
        "SELECT package.id AS package_id, package.name, build.id AS build_id,
                build.epoch, build.version, build.release
           FROM package
           JOIN collection ON collection.id = package.collection_id
           LEFT JOIN build ON build.id = package.last_build_id
          WHERE package.collection_id = $1 AND (package.tracked OR collection.poll_untracked)
            AND ($2::text[] IS NULL OR package.name = ANY($2))
          ORDER BY package.id",
    )
    .bind(collection_id)
    .bind(names)
    .fetch_all(conn)
    .await
    .map_err(Error::Statement)
}

/// Of these tasks, those that need no more attention in this collection: a real build has them, or they were skipped.
/// (In secondary mode a scratch build may have the same number, of another Koji.)
pub async fn known_tasks(
    conn: &mut PgConnection,
    collection_id: i32,
    task_ids: &[i32],
) -> Result<Vec<i32>> {
    sqlx::query_scalar(
        "SELECT build.task_id FROM build JOIN package ON package.id = build.package_id
          WHERE package.collection_id = $1 AND build.task_id = ANY($2) AND build.\"real\"
         UNION
         SELECT task_id FROM skipped_real_build WHERE collection_id = $1 AND task_id = ANY($2)
          ORDER BY 1",
    )
    .bind(collection_id)
    .bind(task_ids)
    .fetch_all(conn)
    .await
    .map_err(Error::Statement)
}

/// Remembers tasks of real builds that cannot be registered, so that Koji is not asked about them at every turn.
pub async fn skip_tasks(
    conn: &mut PgConnection,
    collection_id: i32,
    task_ids: &[i32],
) -> Result<()> {
    sqlx::query(
        "INSERT INTO skipped_real_build (collection_id, task_id)
         SELECT $1, task.id FROM unnest($2::integer[]) AS task(id) ORDER BY task.id
         ON CONFLICT DO NOTHING",
    )
    .bind(collection_id)
    .bind(task_ids)
    .execute(conn)
    .await
    .map_err(Error::Statement)?;
    Ok(())
}

/// A real build that is to be registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RealBuild {
    /// Its package.
    pub package_id: i32,
    /// Its task in the collection's own Koji.
    pub task_id: i32,
    /// Its repo.
    pub repo_id: i32,
    /// When Koji got the task.
    pub started: DateTime<Utc>,
    /// When the task ended.
    pub finished: DateTime<Utc>,
    /// Epoch.
    pub epoch: Option<i32>,
    /// Version.
    pub version: String,
    /// Release.
    pub release: String,
    /// Its subtasks.
    pub subtasks: Vec<Subtask>,
}

/// Locks all builds of packages, in the order of their ids.
pub(crate) async fn lock_builds_of(conn: &mut PgConnection, package_ids: &[i32]) -> Result<()> {
    sqlx::query("SELECT FROM build WHERE package_id = ANY($1) ORDER BY id FOR NO KEY UPDATE")
        .bind(package_ids)
        .execute(conn)
        .await
        .map_err(Error::Statement)?;
    Ok(())
}

/// Registers real builds, except those that are registered already. Returns the package ids of the new ones.
pub async fn register_real(conn: &mut PgConnection, builds: &[RealBuild]) -> Result<Vec<i32>> {
    let package_ids: Vec<i32> = builds.iter().map(|build| build.package_id).collect();
    lock_builds_of(conn, &package_ids).await?;
    let locked = packages::lock(conn, &package_ids).await?;
    let known: Vec<(i32, i32)> = sqlx::query_as(
        "SELECT build.package_id, build.task_id
           FROM unnest($1::integer[], $2::integer[]) AS news(package_id, task_id)
           JOIN build ON build.package_id = news.package_id AND build.task_id = news.task_id
                     AND build.\"real\"",
    )
    .bind(&package_ids)
    .bind(builds.iter().map(|build| build.task_id).collect::<Vec<_>>())
    .fetch_all(&mut *conn)
    .await
    .map_err(Error::Statement)?;
    let mut news: Vec<&RealBuild> = builds
        .iter()
        .filter(|build| locked.get(build.package_id).is_some())
        .filter(|build| !known.contains(&(build.package_id, build.task_id)))
        .collect();
    news.sort_by_key(|build| (build.package_id, build.task_id));
    news.dedup_by_key(|build| (build.package_id, build.task_id));
    if news.is_empty() {
        return Ok(Vec::new());
    }
    let rows: Vec<(i32, i32, i32)> = sqlx::query_as(
        "INSERT INTO build (package_id, task_id, repo_id, started, finished, epoch, version, release,
                            state, last_complete, \"real\")
         SELECT package_id, task_id, repo_id, started, finished, epoch, version, release, 3, false, true
           FROM unnest($1::integer[], $2::integer[], $3::integer[], $4::timestamptz[], $5::timestamptz[],
                       $6::integer[], $7::text[], $8::text[])
                AS news(package_id, task_id, repo_id, started, finished, epoch, version, release)
          ORDER BY package_id, task_id
         RETURNING id, package_id, task_id",
    )
    .bind(news.iter().map(|build| build.package_id).collect::<Vec<_>>())
    .bind(news.iter().map(|build| build.task_id).collect::<Vec<_>>())
    .bind(news.iter().map(|build| build.repo_id).collect::<Vec<_>>())
    .bind(news.iter().map(|build| build.started).collect::<Vec<_>>())
    .bind(news.iter().map(|build| build.finished).collect::<Vec<_>>())
    .bind(news.iter().map(|build| build.epoch).collect::<Vec<_>>())
    .bind(news.iter().map(|build| build.version.as_str()).collect::<Vec<_>>())
    .bind(news.iter().map(|build| build.release.as_str()).collect::<Vec<_>>())
    .fetch_all(&mut *conn)
    .await
    .map_err(Error::Statement)?;
    let subtasks: Vec<(i32, &Subtask)> = rows
        .iter()
        .filter_map(|(id, package_id, task_id)| {
            let build = news
                .binary_search_by_key(&(*package_id, *task_id), |build| {
                    (build.package_id, build.task_id)
                })
                .ok()?;
            Some(news[build].subtasks.iter().map(|subtask| (*id, subtask)))
        })
        .flatten()
        .collect();
    store_subtasks(conn, &subtasks).await?;
    let mut registered: Vec<i32> = news.iter().map(|build| build.package_id).collect();
    registered.dedup();
    packages::reset_priorities(conn, &registered).await?;
    packages::resolve_again(conn, &registered).await?;
    locked.announce(conn).await?;
    wake(conn, Sleeper::BuildResolver).await?;
    Ok(registered)
}

/// A version of a package that Koji names as the latest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaggedVersion {
    /// The package.
    pub package_id: i32,
    /// Epoch; none equals 0.
    pub epoch: Option<i32>,
    /// Version.
    pub version: String,
    /// Release.
    pub release: String,
}

/// Arrays of the columns of tagged versions, as statements want them.
fn columns(versions: &[TaggedVersion]) -> (Vec<i32>, Vec<i32>, Vec<&str>, Vec<&str>) {
    (
        versions.iter().map(|version| version.package_id).collect(),
        versions.iter().map(|version| version.epoch.unwrap_or(0)).collect(),
        versions.iter().map(|version| version.version.as_str()).collect(),
        versions.iter().map(|version| version.release.as_str()).collect(),
    )
}

/// Of these versions, the packages that have a build of exactly that version.
pub async fn packages_with_version(
    conn: &mut PgConnection,
    versions: &[TaggedVersion],
) -> Result<Vec<i32>> {
    let (package_ids, epochs, names, releases) = columns(versions);
    sqlx::query_scalar(
        "SELECT DISTINCT build.package_id
           FROM unnest($1::integer[], $2::integer[], $3::text[], $4::text[])
                AS latest(package_id, epoch, version, release)
           JOIN build ON build.package_id = latest.package_id AND build.version = latest.version
                     AND build.release = latest.release AND COALESCE(build.epoch, 0) = latest.epoch
          ORDER BY 1",
    )
    .bind(package_ids)
    .bind(epochs)
    .bind(names)
    .bind(releases)
    .fetch_all(conn)
    .await
    .map_err(Error::Statement)
}

/// A package whose last build is above what Koji names as the latest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Untagged {
    /// What Koji names as the latest.
    pub latest: TaggedVersion,
    /// The last build before Koji was asked.
    pub last: i32,
}

/// Marks as untagged every build that was started after the newest-started one of the version that Koji names as the
/// latest; all builds of the package when there is none of that version. Returns how many builds got the mark.
///
/// A package whose last build changed since Koji was asked is left alone: what Koji said was not about that one.
pub async fn mark_untagged(conn: &mut PgConnection, untagged: &[Untagged]) -> Result<u64> {
    let ids: Vec<i32> = untagged.iter().map(|package| package.latest.package_id).collect();
    lock_builds_of(conn, &ids).await?;
    let locked = packages::lock(conn, &ids).await?;
    let versions: Vec<TaggedVersion> = untagged
        .iter()
        .filter(|package| {
            let now = locked.get(package.latest.package_id).and_then(|now| now.last_build_id);
            now == Some(package.last)
        })
        .map(|package| package.latest.clone())
        .collect();
    let (package_ids, epochs, names, releases) = columns(&versions);
    let marked = sqlx::query(
        "UPDATE build SET untagged = true
           FROM (SELECT latest.package_id, max(build.started) AS started
                   FROM unnest($1::integer[], $2::integer[], $3::text[], $4::text[])
                        AS latest(package_id, epoch, version, release)
                   LEFT JOIN build ON build.package_id = latest.package_id
                         AND build.version = latest.version AND build.release = latest.release
                         AND COALESCE(build.epoch, 0) = latest.epoch
                  GROUP BY latest.package_id) AS latest
          WHERE build.package_id = latest.package_id AND NOT build.untagged
            AND (latest.started IS NULL OR build.started > latest.started)",
    )
    .bind(&package_ids)
    .bind(epochs)
    .bind(names)
    .bind(releases)
    .execute(&mut *conn)
    .await
    .map_err(Error::Statement)?
    .rows_affected();
    if !package_ids.is_empty() {
        after_tagging(conn, locked, &package_ids).await?;
    }
    Ok(marked)
}

/// Takes the mark from untagged builds of exactly the version that Koji names as the latest. Returns the packages.
pub async fn clear_untagged(
    conn: &mut PgConnection,
    collection_id: i32,
    versions: &[TaggedVersion],
) -> Result<Vec<i32>> {
    let (package_ids, epochs, names, releases) = columns(versions);
    // Found first and without locks, because at nearly every turn there are none.
    let found: Vec<(i32, i32)> = sqlx::query_as(
        "SELECT build.id, build.package_id
           FROM build
           JOIN package ON package.id = build.package_id
           JOIN unnest($2::integer[], $3::integer[], $4::text[], $5::text[])
                AS latest(package_id, epoch, version, release)
             ON build.package_id = latest.package_id AND build.version = latest.version
            AND build.release = latest.release AND COALESCE(build.epoch, 0) = latest.epoch
          WHERE build.untagged AND package.collection_id = $1",
    )
    .bind(collection_id)
    .bind(&package_ids)
    .bind(epochs)
    .bind(names)
    .bind(releases)
    .fetch_all(&mut *conn)
    .await
    .map_err(Error::Statement)?;
    if found.is_empty() {
        return Ok(Vec::new());
    }
    let build_ids: Vec<i32> = found.iter().map(|(id, _)| *id).collect();
    let mut package_ids: Vec<i32> = found.iter().map(|(_, id)| *id).collect();
    package_ids.sort_unstable();
    package_ids.dedup();
    lock_builds_of(conn, &package_ids).await?;
    let locked = packages::lock(conn, &package_ids).await?;
    sqlx::query("UPDATE build SET untagged = false WHERE id = ANY($1) AND untagged")
        .bind(&build_ids)
        .execute(&mut *conn)
        .await
        .map_err(Error::Statement)?;
    after_tagging(conn, locked, &package_ids).await?;
    Ok(package_ids)
}

/// What follows a change of tagging: the scheduler's reasons were about other builds, and states may have changed.
async fn after_tagging(
    conn: &mut PgConnection,
    locked: LockedPackages,
    package_ids: &[i32],
) -> Result<()> {
    sqlx::query(
        "UPDATE package SET scheduler_skip_reason = NULL, scheduler_skip_basis = NULL
          WHERE id = ANY($1) AND scheduler_skip_reason IS NOT NULL",
    )
    .bind(package_ids)
    .execute(&mut *conn)
    .await
    .map_err(Error::Statement)?;
    packages::resolve_again(conn, package_ids).await?;
    locked.announce(conn).await?;
    wake(conn, Sleeper::Scheduler).await?;
    Ok(())
}
