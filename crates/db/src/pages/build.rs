//! One build: what it was, its tasks, and the dependencies that changed with it.

use chrono::{DateTime, Utc};

use super::Database;

/// A build with the package and the collection it belongs to.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct BuildRow {
    /// Row id, as in addresses.
    pub id: i32,
    /// Package.
    pub package_id: i32,
    /// Its name.
    pub name: String,
    /// Collection.
    pub collection_id: i32,
    /// State number.
    pub state: i32,
    /// Koji task.
    pub task_id: i32,
    /// Start.
    pub started: DateTime<Utc>,
    /// End; `None` while it runs.
    pub finished: Option<DateTime<Utc>>,
    /// EVR of what was built; known once the task is.
    #[sqlx(flatten)]
    pub evr: Evr,
    /// Koji repo it was built in.
    pub repo_id: Option<i32>,
    /// Somebody asked for its cancellation.
    pub cancel_requested: bool,
    /// Whether its dependencies could be installed in that repo; `None` when not looked at.
    pub deps_resolved: Option<bool>,
    /// Made by a packager in Koji, not by Koschei.
    pub real: bool,
    /// Taken out of the tag again.
    pub untagged: bool,
    /// It is the package's last complete build.
    pub last_complete: bool,
    /// State number of the complete build before it, if there is one.
    pub previous_state: Option<i32>,
    /// The build that its dependencies were compared with; `None` when they were compared with none.
    pub compared_id: Option<i32>,
    /// Koji task of that build.
    pub compared_task_id: Option<i32>,
    /// There is an earlier build whose dependencies were resolved.
    pub comparable: bool,
}

/// SQL for the build that the build with alias `b` was compared with, as column `id`: nothing when it was not compared.
///
/// The build-resolver compares with the newest earlier-started build that was resolved, while the install set of that
/// one is still stored, and drops that set then (spec/services.md, build-resolver). So a build that still has its set
/// was not compared with by anybody; and a build that has it although a later-started one was resolved came after that
/// one, when the set before it had been dropped already.
pub(crate) const COMPARED: &str = "
    SELECT e.id FROM build e
    WHERE e.package_id = b.package_id AND e.started < b.started AND e.deps_resolved
      AND e.dependency_keys IS NULL AND b.deps_resolved
      AND NOT (b.dependency_keys IS NOT NULL AND EXISTS (
          SELECT FROM build l
          WHERE l.package_id = b.package_id AND l.started > b.started AND l.deps_resolved))
    ORDER BY e.started DESC, e.id DESC LIMIT 1";

/// Epoch, version and release of a build.
#[derive(Debug, Clone, Default, PartialEq, Eq, sqlx::FromRow)]
pub struct Evr {
    /// Epoch; `None` counts as 0.
    pub epoch: Option<i32>,
    /// Version.
    pub version: Option<String>,
    /// Release.
    pub release: Option<String>,
}

/// The build with this id.
pub async fn build(db: impl Database<'_>, id: i32) -> crate::Result<Option<BuildRow>> {
    let sql = format!(
        "SELECT b.id, b.package_id, p.name, p.collection_id, b.state, b.task_id,
                b.started AT TIME ZONE 'UTC' AS started, b.finished AT TIME ZONE 'UTC' AS finished,
                b.epoch, b.version, b.release, b.repo_id, b.cancel_requested, b.deps_resolved,
                b.real, b.untagged, b.last_complete,
                (SELECT o.state FROM build o WHERE o.package_id = b.package_id
                   AND o.started < b.started AND o.state <> 2 AND NOT o.untagged
                 ORDER BY o.started DESC LIMIT 1) AS previous_state,
                compared.id AS compared_id, compared.task_id AS compared_task_id,
                EXISTS (SELECT FROM build e WHERE e.package_id = b.package_id
                        AND e.started < b.started AND e.deps_resolved) AS comparable
         FROM build b JOIN package p ON p.id = b.package_id
         LEFT JOIN build compared ON compared.id = ({COMPARED})
         WHERE b.id = $1"
    );
    sqlx::query_as(sqlx::AssertSqlSafe(sql)).bind(id).fetch_optional(db).await.map_err(Into::into)
}

/// A task of a build for one architecture.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct TaskRow {
    /// Build it belongs to.
    pub build_id: i32,
    /// Koji task.
    pub task_id: i32,
    /// Architecture, `noarch` included.
    pub arch: String,
    /// Koji's task state.
    pub state: i32,
    /// Start.
    pub started: DateTime<Utc>,
    /// End; `None` while it runs.
    pub finished: Option<DateTime<Utc>>,
}

/// Tasks of these builds, by build and architecture.
pub async fn tasks_of(db: impl Database<'_>, builds: &[i32]) -> crate::Result<Vec<TaskRow>> {
    sqlx::query_as(
        r#"SELECT build_id, task_id, arch, state, started AT TIME ZONE 'UTC' AS started,
                finished AT TIME ZONE 'UTC' AS finished
         FROM koji_task WHERE build_id = ANY($1) ORDER BY build_id, arch COLLATE "C", task_id"#,
    )
    .bind(builds)
    .fetch_all(db)
    .await
    .map_err(Into::into)
}

/// A changed dependency: at least one of the sides is there.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct ChangeRow {
    /// Build or package that the change belongs to.
    pub owner_id: i32,
    /// How many changes the owner has; rows may have been left out.
    pub owner_total: i64,
    /// Name of the dependency.
    pub name: String,
    /// Hops from the source package; `None` for the base buildroot and for what vanished.
    pub distance: Option<i32>,
    /// Row of the old side.
    pub prev_id: Option<i32>,
    /// Epoch of the old side.
    pub prev_epoch: Option<i32>,
    /// Version of the old side.
    pub prev_version: Option<String>,
    /// Release of the old side.
    pub prev_release: Option<String>,
    /// Row of the new side.
    pub curr_id: Option<i32>,
    /// Epoch of the new side.
    pub curr_epoch: Option<i32>,
    /// Version of the new side.
    pub curr_version: Option<String>,
    /// Release of the new side.
    pub curr_release: Option<String>,
}

/// Dependency changes of these builds against the build before, nearest first; at most
/// `limit_each` of each build.
pub async fn applied_changes(
    db: impl Database<'_>,
    builds: &[i32],
    limit_each: i64,
) -> crate::Result<Vec<ChangeRow>> {
    sqlx::query_as(
        r#"SELECT a.build_id AS owner_id, a.total AS owner_total, a.name, a.distance,
                  a.prev_id, a.prev_epoch, a.prev_version, a.prev_release,
                  a.curr_id, a.curr_epoch, a.curr_version, a.curr_release
           FROM unnest($1) WITH ORDINALITY wanted(id, position)
           JOIN LATERAL (
               SELECT a.build_id, count(*) OVER () AS total,
                      coalesce(new.name, old.name) AS name, a.distance,
                      old.id AS prev_id, old.epoch AS prev_epoch, old.version AS prev_version,
                      old.release AS prev_release, new.id AS curr_id, new.epoch AS curr_epoch,
                      new.version AS curr_version, new.release AS curr_release
               FROM applied_change a
               LEFT JOIN dependency old ON old.id = a.prev_dep_id
               LEFT JOIN dependency new ON new.id = a.curr_dep_id
               WHERE a.build_id = wanted.id
               ORDER BY a.distance NULLS LAST, coalesce(new.name, old.name) COLLATE "C", a.id
               LIMIT $2
           ) a ON true
           ORDER BY wanted.position, a.distance NULLS LAST, a.name COLLATE "C""#,
    )
    .bind(builds)
    .bind(limit_each)
    .fetch_all(db)
    .await
    .map_err(Into::into)
}

/// All dependency changes of these packages since their last builds, by package, nearest first.
pub async fn unapplied_changes_of(
    db: impl Database<'_>,
    packages: &[i32],
) -> crate::Result<Vec<ChangeRow>> {
    sqlx::query_as(
        r#"SELECT u.package_id AS owner_id, count(*) OVER (PARTITION BY u.package_id) AS owner_total,
                  coalesce(new.name, old.name) AS name, u.distance,
                  old.id AS prev_id, old.epoch AS prev_epoch, old.version AS prev_version,
                  old.release AS prev_release, new.id AS curr_id, new.epoch AS curr_epoch,
                  new.version AS curr_version, new.release AS curr_release
           FROM unapplied_change u
           LEFT JOIN dependency old ON old.id = u.prev_dep_id
           LEFT JOIN dependency new ON new.id = u.curr_dep_id
           WHERE u.package_id = ANY($1)
           ORDER BY u.package_id, u.distance NULLS LAST, coalesce(new.name, old.name) COLLATE "C", u.id"#,
    )
    .bind(packages)
    .fetch_all(db)
    .await
    .map_err(Into::into)
}

/// Dependency changes of a package since its last build, nearest first, at most `limit`.
pub async fn unapplied_changes(
    db: impl Database<'_>,
    package: i32,
    limit: i64,
) -> crate::Result<Vec<ChangeRow>> {
    sqlx::query_as(
        r#"SELECT u.package_id AS owner_id, count(*) OVER () AS owner_total,
                  coalesce(new.name, old.name) AS name, u.distance,
                  old.id AS prev_id, old.epoch AS prev_epoch, old.version AS prev_version,
                  old.release AS prev_release, new.id AS curr_id, new.epoch AS curr_epoch,
                  new.version AS curr_version, new.release AS curr_release
           FROM unapplied_change u
           LEFT JOIN dependency old ON old.id = u.prev_dep_id
           LEFT JOIN dependency new ON new.id = u.curr_dep_id
           WHERE u.package_id = $1
           ORDER BY u.distance NULLS LAST, coalesce(new.name, old.name) COLLATE "C", u.id
           LIMIT $2"#,
    )
    .bind(package)
    .bind(limit)
    .fetch_all(db)
    .await
    .map_err(Into::into)
}
