//! Scratch builds that Koji has not finished: what becomes known of them, and how they end.

use chrono::{DateTime, Utc};
use koschei_core::scheduling::pause_after_faults;
use koschei_core::states::BuildState;
use sqlx::FromRow;
use sqlx::postgres::PgConnection;

use super::lock_builds_of;
use crate::error::{Error, Result};
use crate::packages::{self, LockedPackages, StateChange};
use crate::resolution;
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
    /// Since when Koji does not tell what became of it; `None` when it did the last time.
    pub untold_since: Option<DateTime<Utc>>,
}

/// All running builds, or the one with a task id, oldest first.
pub async fn running(conn: &mut PgConnection, task_id: Option<i32>) -> Result<Vec<RunningBuild>> {
    sqlx::query_as(
        "SELECT build.id, package.id AS package_id, package.name, package.collection_id,
                collection.name AS collection, collection.secondary_mode, build.task_id,
                build.started AT TIME ZONE 'UTC' AS started, build.repo_id, build.cancel_requested,
                build.untold_since AT TIME ZONE 'UTC' AS untold_since
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

/// Notes that Koji does not tell (any more) what became of running builds; the first time counts. `untold` and `told`
/// are ids of builds.
pub async fn note_untold(
    conn: &mut PgConnection,
    untold: &[i32],
    told: &[i32],
    now: DateTime<Utc>,
) -> Result<()> {
    let mut ids: Vec<i32> = untold.iter().chain(told).copied().collect();
    ids.sort_unstable();
    sqlx::query("SELECT FROM build WHERE id = ANY($1) AND state = 2 ORDER BY id FOR NO KEY UPDATE")
        .bind(&ids)
        .execute(&mut *conn)
        .await
        .map_err(Error::Statement)?;
    sqlx::query(
        "UPDATE build SET untold_since = CASE WHEN id = ANY($1) THEN $3::timestamptz AT TIME ZONE 'UTC' END
          WHERE state = 2 AND (id = ANY($1)
                               AND coalesce(untold_since > $3::timestamptz AT TIME ZONE 'UTC', true)
                               OR id = ANY($2) AND untold_since IS NOT NULL)",
    )
    .bind(untold)
    .bind(told)
    .bind(now)
    .execute(conn)
    .await
    .map_err(Error::Statement)?;
    Ok(())
}

/// Inserts subtasks of builds whose rows are locked, or brings them up to date.
pub(super) async fn store_subtasks(
    conn: &mut PgConnection,
    subtasks: &[(i32, &Subtask)],
) -> Result<()> {
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
        resolution::drop_earlier_sets(conn, self.build_id).await?;
        resolution::compare_again(conn, &[self.package_id]).await?;
        let changes = self.locked.announce(conn).await?;
        wake(conn, Sleeper::BuildResolver).await?;
        wake(conn, Sleeper::Scheduler).await?;
        Ok(changes)
    }

    /// Deletes the build, as if it had never been, and remembers why its task has no build. When that was trouble of
    /// Koji, the package's next build waits for a while, longer each time in a row.
    pub async fn delete(
        self,
        conn: &mut PgConnection,
        why: &str,
        trouble_of_koji: bool,
    ) -> Result<Vec<StateChange>> {
        if trouble_of_koji {
            self.brake(conn).await?;
        }
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

    /// Lets the next build of the package wait ([`pause_after_faults`]).
    async fn brake(&self, conn: &mut PgConnection) -> Result<()> {
        let faults: i32 = sqlx::query_scalar(
            "UPDATE package SET fault_streak = fault_streak + 1 WHERE id = $1 RETURNING fault_streak",
        )
        .bind(self.package_id)
        .fetch_one(&mut *conn)
        .await
        .map_err(Error::Statement)?;
        let pause = pause_after_faults(u32::try_from(faults).unwrap_or(0));
        sqlx::query(
            "UPDATE package SET not_before = clock_timestamp() AT TIME ZONE 'UTC' + make_interval(secs => $2)
              WHERE id = $1",
        )
        .bind(self.package_id)
        .bind(pause.as_secs_f64())
        .execute(conn)
        .await
        .map_err(Error::Statement)?;
        Ok(())
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
