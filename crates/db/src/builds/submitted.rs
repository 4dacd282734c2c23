//! New scratch builds: submitted a moment ago, or found in Koji and adopted.

use chrono::{DateTime, Utc};
use sqlx::FromRow;
use sqlx::postgres::PgConnection;

use super::lock_builds_of;
use crate::error::{Error, Result};
use crate::packages;
use crate::submissions;
use crate::wake::{Sleeper, wake};

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
