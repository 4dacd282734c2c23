//! Deleting what is old: builds that are not the last ones, and the history of resolution.
//!
//! It goes through the tables in batches of some thousand rows, each a transaction of a fraction of a second, so that it
//! may take as long as it takes, blocks nobody, and may be interrupted at any time. Rows that somebody else has locked at
//! the moment are left for the next time. Locks are taken in the order of the services: builds by id, packages by id.

use chrono::{DateTime, Months, Utc};
use sqlx::Connection as _;
use sqlx::postgres::PgConnection;

use super::{Actor, Result, log};

/// How many rows are looked at in a transaction.
const BATCH: i64 = 5000;

/// The fewest months that may be kept.
pub const FEWEST_MONTHS: u32 = 2;

/// What was deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cleaned {
    /// How many builds.
    pub builds: u64,
    /// How many changes of resolution.
    pub resolution_changes: u64,
    /// Whether it was interrupted before it was through.
    pub interrupted: bool,
}

/// The time before which everything is old.
#[must_use]
pub fn months_ago(now: DateTime<Utc>, months: u32) -> DateTime<Utc> {
    now.checked_sub_months(Months::new(months)).unwrap_or(DateTime::<Utc>::MIN_UTC)
}

/// Deletes the builds that were started before a time and are neither running nor the last or last complete ones of their
/// packages, and the changes of resolution before it, except that which tells why a package is unresolved now.
///
/// `go_on` is asked before each batch, with what was deleted so far.
///
/// # Errors
/// When the database cannot be asked. What was deleted before that stays deleted.
pub async fn clean_up(
    conn: &mut PgConnection,
    actor: &Actor,
    before: DateTime<Utc>,
    mut go_on: impl FnMut(&Cleaned) -> bool,
) -> Result<Cleaned> {
    let mut cleaned = Cleaned::default();
    let mut after = Some(0);
    while let Some(id) = after {
        if !go_on(&cleaned) {
            cleaned.interrupted = true;
            break;
        }
        let (deleted, next) = delete_builds(conn, before, id).await?;
        cleaned.builds += deleted;
        after = next;
    }
    let mut after = if cleaned.interrupted { None } else { Some(0) };
    while let Some(id) = after {
        if !go_on(&cleaned) {
            cleaned.interrupted = true;
            break;
        }
        let (deleted, next) = delete_resolution_changes(conn, before, id).await?;
        cleaned.resolution_changes += deleted;
        after = next;
    }
    let mut transaction = conn.begin().await?;
    let message = format!(
        "Cleanup{}: deleted {} builds and {} resolution changes from before {}",
        if cleaned.interrupted { ", interrupted" } else { "" },
        cleaned.builds,
        cleaned.resolution_changes,
        before.format("%Y-%m-%d %H:%M"),
    );
    log(&mut transaction, actor, &message).await?;
    transaction.commit().await?;
    Ok(cleaned)
}

/// Deletes old ones among the next builds by id. How many, and after which id to go on.
async fn delete_builds(
    conn: &mut PgConnection,
    before: DateTime<Utc>,
    after: i32,
) -> Result<(u64, Option<i32>)> {
    let mut transaction = conn.begin().await?;
    // Packages without last builds that wait for their source package come back with the newest one that they have.
    let candidates: Vec<(i32, bool)> = sqlx::query_as(
        "SELECT build.id,
                build.started < $2 AND build.state <> 2 AND NOT build.last_complete
                AND NOT EXISTS (SELECT FROM package WHERE package.last_build_id = build.id)
                AND NOT EXISTS (
                    SELECT FROM package
                     WHERE package.id = build.package_id AND package.scheduler_skip_reason = 1
                       AND build.id = (SELECT newest.id FROM build AS newest
                                        WHERE newest.package_id = package.id AND NOT newest.untagged
                                        ORDER BY newest.started DESC, newest.id DESC LIMIT 1))
           FROM (SELECT * FROM build WHERE id > $1 ORDER BY id LIMIT $3) AS build ORDER BY build.id",
    )
    .bind(after)
    .bind(before)
    .bind(BATCH)
    .fetch_all(&mut *transaction)
    .await?;
    let next = candidates.last().map(|(id, _)| *id);
    let old: Vec<i32> = candidates.iter().filter(|(_, old)| *old).map(|(id, _)| *id).collect();
    if old.is_empty() {
        return Ok((0, next));
    }
    // Whoever makes one of these a last build now, by untagging newer ones, holds its package.
    let builds: Vec<i32> = sqlx::query_scalar(
        "SELECT id FROM build WHERE id = ANY($1) ORDER BY id FOR UPDATE SKIP LOCKED",
    )
    .bind(&old)
    .fetch_all(&mut *transaction)
    .await?;
    let packages: Vec<i32> = sqlx::query_scalar(
        "SELECT id FROM package WHERE id IN (SELECT package_id FROM build WHERE id = ANY($1))
          ORDER BY id FOR NO KEY UPDATE SKIP LOCKED",
    )
    .bind(&builds)
    .fetch_all(&mut *transaction)
    .await?;
    let builds: Vec<i32> = sqlx::query_scalar(
        "SELECT build.id FROM build LEFT JOIN package ON package.id = build.package_id
          WHERE build.id = ANY($1) AND (build.package_id IS NULL OR package.id = ANY($2))
            AND NOT build.last_complete AND package.last_build_id IS DISTINCT FROM build.id
            AND package.last_complete_build_id IS DISTINCT FROM build.id",
    )
    .bind(&builds)
    .bind(&packages)
    .fetch_all(&mut *transaction)
    .await?;
    // What hangs on them goes first and at once, so that the cascade finds nothing to do for each of them.
    let mut deleted = 0;
    for statement in [
        "DELETE FROM applied_change WHERE build_id = ANY($1)",
        "DELETE FROM koji_task WHERE build_id = ANY($1)",
        "DELETE FROM build WHERE id = ANY($1)",
    ] {
        deleted =
            sqlx::query(statement).bind(&builds).execute(&mut *transaction).await?.rows_affected();
    }
    transaction.commit().await?;
    Ok((deleted, next))
}

/// Deletes old ones among the next changes of resolution by id. How many, and after which id to go on.
async fn delete_resolution_changes(
    conn: &mut PgConnection,
    before: DateTime<Utc>,
    after: i32,
) -> Result<(u64, Option<i32>)> {
    let mut transaction = conn.begin().await?;
    let next: Option<i32> = sqlx::query_scalar(
        "SELECT max(id) FROM (SELECT id FROM resolution_change WHERE id > $1 ORDER BY id LIMIT $2) AS batch",
    )
    .bind(after)
    .bind(BATCH)
    .fetch_one(&mut *transaction)
    .await?;
    let Some(last) = next else { return Ok((0, None)) };
    let deleted = sqlx::query(
        "DELETE FROM resolution_change WHERE id IN (
            SELECT change.id FROM resolution_change AS change
             WHERE change.id > $1 AND change.id <= $2 AND change.\"timestamp\" < $3
               AND NOT EXISTS (
                   SELECT FROM package
                    WHERE package.id = change.package_id AND package.resolved = false
                      AND change.id = (SELECT newest.id FROM resolution_change AS newest
                                        WHERE newest.package_id = package.id
                                        ORDER BY newest.\"timestamp\" DESC, newest.id DESC LIMIT 1))
             ORDER BY change.id FOR UPDATE SKIP LOCKED)",
    )
    .bind(after)
    .bind(last)
    .bind(before)
    .execute(&mut *transaction)
    .await?;
    transaction.commit().await?;
    Ok((deleted.rows_affected(), next))
}
