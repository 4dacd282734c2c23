//! Builds made by packagers: which are known, and registering those that are not.

use chrono::{DateTime, Utc};
use sqlx::FromRow;
use sqlx::postgres::PgConnection;

use super::lock_builds_of;
use super::running::{Subtask, store_subtasks};
use crate::error::{Error, Result};
use crate::packages;
use crate::wake::{Sleeper, wake};

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
