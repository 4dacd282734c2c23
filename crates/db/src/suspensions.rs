//! When operators keep the scheduler from submitting builds: everywhere, in a collection, or of the packages of a group.
//!
//! What has a time ends by itself when it comes; until somebody removes them, rows that have ended stay and mean nothing.

use chrono::{DateTime, Utc};
use sqlx::postgres::{PgConnection, PgExecutor, PgRow};
use sqlx::{FromRow, Row as _};

use crate::entities::GroupName;
use crate::error::Result;

/// No builds are submitted in a collection, or in any.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct Suspension {
    /// The collection; none: all of them.
    pub collection_id: Option<i32>,
    /// Its short name and its name for people.
    pub collection: Option<String>,
    /// Its name for people.
    pub display_name: Option<String>,
    /// Since when.
    pub since: DateTime<Utc>,
    /// Until when; none: until somebody resumes.
    pub until: Option<DateTime<Utc>>,
    /// Why, for people.
    pub reason: String,
}

/// No builds of the packages of a group are submitted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// The group.
    pub group: GroupName,
    /// Since when.
    pub since: DateTime<Utc>,
    /// Until when.
    pub until: DateTime<Utc>,
    /// Why, for people; may be empty.
    pub reason: String,
}

/// What is suspended now, that of all collections first.
///
/// # Errors
/// When the database cannot be asked.
pub async fn suspensions(executor: impl PgExecutor<'_>) -> Result<Vec<Suspension>> {
    Ok(sqlx::query_as(
        "SELECT collection_id, collection.name AS collection, collection.display_name,
                since AT TIME ZONE 'UTC' AS since, until AT TIME ZONE 'UTC' AS until, reason
           FROM suspension LEFT JOIN collection ON collection.id = collection_id
          WHERE until IS NULL OR until > clock_timestamp() AT TIME ZONE 'UTC'
          ORDER BY collection_id IS NOT NULL, collection.\"order\" DESC, collection.name COLLATE \"C\" DESC",
    )
    .fetch_all(executor)
    .await?)
}

/// The groups whose packages are held now, by name.
///
/// # Errors
/// When the database cannot be asked.
pub async fn holds(executor: impl PgExecutor<'_>) -> Result<Vec<Hold>> {
    Ok(sqlx::query_as(
        "SELECT namespace, name, since AT TIME ZONE 'UTC' AS since, until AT TIME ZONE 'UTC' AS until, reason
           FROM hold JOIN package_group ON package_group.id = group_id
          WHERE until > clock_timestamp() AT TIME ZONE 'UTC'
          ORDER BY namespace COLLATE \"C\" NULLS FIRST, name COLLATE \"C\"",
    )
    .fetch_all(executor)
    .await?)
}

/// The groups of a package that are held now, by name.
///
/// # Errors
/// When the database cannot be asked.
pub async fn holds_of(executor: impl PgExecutor<'_>, base_id: i32) -> Result<Vec<Hold>> {
    Ok(sqlx::query_as(
        "SELECT namespace, name, since AT TIME ZONE 'UTC' AS since, until AT TIME ZONE 'UTC' AS until, reason
           FROM hold JOIN package_group ON package_group.id = hold.group_id
          WHERE until > clock_timestamp() AT TIME ZONE 'UTC'
            AND EXISTS (SELECT FROM package_group_relation AS member
                         WHERE member.group_id = hold.group_id AND member.base_id = $1)
          ORDER BY namespace COLLATE \"C\" NULLS FIRST, name COLLATE \"C\"",
    )
    .bind(base_id)
    .fetch_all(executor)
    .await?)
}

impl FromRow<'_, PgRow> for Hold {
    fn from_row(row: &PgRow) -> sqlx::Result<Self> {
        Ok(Self {
            group: GroupName { namespace: row.try_get("namespace")?, name: row.try_get("name")? },
            since: row.try_get("since")?,
            until: row.try_get("until")?,
            reason: row.try_get("reason")?,
        })
    }
}

/// Suspends a collection, or all; instead of what was said about the same before.
pub(crate) async fn suspend(
    connection: &mut PgConnection,
    collection_id: Option<i32>,
    until: Option<DateTime<Utc>>,
    reason: &str,
) -> Result<()> {
    sqlx::query("DELETE FROM suspension WHERE collection_id IS NOT DISTINCT FROM $1")
        .bind(collection_id)
        .execute(&mut *connection)
        .await?;
    sqlx::query("INSERT INTO suspension (collection_id, until, reason) VALUES ($1, $2, $3)")
        .bind(collection_id)
        .bind(until)
        .bind(reason)
        .execute(connection)
        .await?;
    Ok(())
}

/// Ends the suspension of a collection. Whether there was one that had not ended.
pub(crate) async fn resume(connection: &mut PgConnection, collection_id: i32) -> Result<bool> {
    let over: Vec<bool> = sqlx::query_scalar(
        "DELETE FROM suspension WHERE collection_id = $1
         RETURNING coalesce(until <= clock_timestamp() AT TIME ZONE 'UTC', false)",
    )
    .bind(collection_id)
    .fetch_all(connection)
    .await?;
    Ok(over.contains(&false))
}

/// Ends all suspensions. Whether there was one that had not ended.
pub(crate) async fn resume_all(connection: &mut PgConnection) -> Result<bool> {
    let over: Vec<bool> = sqlx::query_scalar(
        "DELETE FROM suspension RETURNING coalesce(until <= clock_timestamp() AT TIME ZONE 'UTC', false)",
    )
    .fetch_all(connection)
    .await?;
    Ok(over.contains(&false))
}

/// Holds the packages of a group, or changes until when.
pub(crate) async fn hold(
    connection: &mut PgConnection,
    group_id: i32,
    until: DateTime<Utc>,
    reason: &str,
) -> Result<()> {
    sqlx::query(
        "INSERT INTO hold (group_id, until, reason) VALUES ($1, $2, $3)
         ON CONFLICT (group_id) DO UPDATE
            SET since = excluded.since, until = excluded.until, reason = excluded.reason",
    )
    .bind(group_id)
    .bind(until)
    .bind(reason)
    .execute(connection)
    .await?;
    Ok(())
}

/// Holds the packages of a group no longer. Whether they were held.
pub(crate) async fn release(connection: &mut PgConnection, group_id: i32) -> Result<bool> {
    let held: Vec<bool> = sqlx::query_scalar(
        "DELETE FROM hold WHERE group_id = $1 RETURNING until > clock_timestamp() AT TIME ZONE 'UTC'",
    )
    .bind(group_id)
    .fetch_all(connection)
    .await?;
    Ok(held.contains(&true))
}
