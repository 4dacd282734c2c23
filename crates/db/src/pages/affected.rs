//! Which packages a change of a dependency may have broken.

use chrono::{DateTime, Utc};

use super::Database;

/// An interval of EVRs of one dependency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DependencyInterval {
    /// Name of the dependency.
    pub name: String,
    /// Lower end: epoch, version, release.
    pub from: (i32, String, String),
    /// Upper end.
    pub to: (i32, String, String),
}

/// A build that failed after a good one, with a change of the dependency in the interval.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Affected {
    /// Package.
    pub name: String,
    /// Whether its dependencies can be installed, now.
    pub resolved: Option<bool>,
    /// State number of its last complete build, now.
    pub last_complete_build_state: Option<i32>,
    /// The failed build.
    pub build_id: i32,
    /// Its Koji task.
    pub task_id: i32,
    /// When it started.
    pub started: DateTime<Utc>,
    /// Distance of the dependency from the package.
    pub distance: Option<i32>,
    /// Old side of the change.
    pub prev_epoch: Option<i32>,
    /// Old side of the change.
    pub prev_version: String,
    /// Old side of the change.
    pub prev_release: String,
    /// New side of the change.
    pub curr_epoch: Option<i32>,
    /// New side of the change.
    pub curr_version: String,
    /// New side of the change.
    pub curr_release: String,
}

/// Packages of the collection whose build failed after a good one, with a change of the
/// dependency that overlaps the interval, by distance (none last), newest first; and how many.
///
/// A change overlaps when one of its sides lies strictly between the ends, or when it goes from
/// at or below the lower to at or above the upper end. The search starts from the few rows of
/// `dependency` with the name, compares EVRs there, and reaches builds by index.
pub async fn affected_by(
    db: impl Database<'_>,
    collection: i32,
    interval: &DependencyInterval,
    limit: i64,
) -> crate::Result<(Vec<Affected>, i64)> {
    #[derive(sqlx::FromRow)]
    struct Row {
        #[sqlx(flatten)]
        affected: Affected,
        total: i64,
    }
    let rows: Vec<Row> = sqlx::query_as(
        "WITH dep AS MATERIALIZED (
             SELECT id, epoch, version, release,
                    rpmvercmp_evr(epoch, version, release, $3, $4, $5) AS from_low,
                    rpmvercmp_evr(epoch, version, release, $6, $7, $8) AS from_high
             FROM dependency WHERE name = $2
         ), pair AS MATERIALIZED (
             SELECT old.id AS prev_id, new.id AS curr_id
             FROM dep new JOIN dep old ON old.id <> new.id
             WHERE (old.from_low > 0 AND old.from_high < 0)
                OR (new.from_low > 0 AND new.from_high < 0)
                OR (old.from_low <= 0 AND new.from_high >= 0)
         ), change AS MATERIALIZED (
             SELECT a.build_id, a.distance, a.prev_dep_id AS prev_id, a.curr_dep_id AS curr_id
             FROM (SELECT DISTINCT curr_id FROM pair) new
             JOIN applied_change a ON a.curr_dep_id = new.curr_id
             WHERE (a.prev_dep_id, a.curr_dep_id) IN (SELECT prev_id, curr_id FROM pair)
         ), hit AS (
             SELECT p.name, p.resolved, p.last_complete_build_state, b.id AS build_id, b.task_id,
                    b.started, c.distance, c.prev_id, c.curr_id
             FROM change c
             JOIN build b ON b.id = c.build_id AND b.state = 5
             JOIN package p ON p.id = b.package_id
                AND p.collection_id = $1 AND p.tracked AND NOT p.blocked
             WHERE coalesce((SELECT o.state FROM build o
                    WHERE o.package_id = b.package_id AND o.started < b.started
                    ORDER BY o.started DESC LIMIT 1), 5) <> 5
         ), shown AS (
             SELECT *, count(*) OVER () AS total FROM hit
             ORDER BY distance NULLS LAST, started DESC, build_id LIMIT $9
         )
         SELECT s.name, s.resolved, s.last_complete_build_state, s.build_id, s.task_id,
                s.started AT TIME ZONE 'UTC' AS started, s.distance, s.total,
                old.epoch AS prev_epoch, old.version AS prev_version, old.release AS prev_release,
                new.epoch AS curr_epoch, new.version AS curr_version, new.release AS curr_release
         FROM shown s JOIN dependency old ON old.id = s.prev_id
         JOIN dependency new ON new.id = s.curr_id
         ORDER BY s.distance NULLS LAST, s.started DESC, s.build_id",
    )
    .bind(collection)
    .bind(&interval.name)
    .bind(interval.from.0)
    .bind(&interval.from.1)
    .bind(&interval.from.2)
    .bind(interval.to.0)
    .bind(&interval.to.1)
    .bind(&interval.to.2)
    .bind(limit)
    .fetch_all(db)
    .await?;
    let total = rows.first().map_or(0, |row| row.total);
    Ok((rows.into_iter().map(|row| row.affected).collect(), total))
}
