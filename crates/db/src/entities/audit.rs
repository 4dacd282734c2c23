//! What was done, by whom and from where: the table `log_entry`, which is only added to.

use chrono::{DateTime, Utc};
use sqlx::FromRow;
use sqlx::postgres::PgExecutor;

use crate::error::Result;

/// From where something was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "log_environment", rename_all = "lowercase")]
pub enum Environment {
    /// `koschei-admin`.
    Admin,
    /// A service; the only one that may act for nobody.
    Backend,
    /// The web frontend.
    Frontend,
}

/// One thing that was done.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct LogEntry {
    /// Its id.
    pub id: i32,
    /// Who did it; nobody when it was a service.
    pub user_id: Option<i32>,
    /// From where.
    pub environment: Environment,
    /// When.
    pub timestamp: DateTime<Utc>,
    /// What.
    pub message: String,
    /// To which base package, if to one.
    pub base_id: Option<i32>,
}

/// Records what was done. In the same transaction as the deed.
///
/// # Errors
/// When the database cannot be changed; also for an entry by nobody that is not a service's.
pub async fn log(
    executor: impl PgExecutor<'_>,
    user_id: Option<i32>,
    environment: Environment,
    message: &str,
    base_id: Option<i32>,
) -> Result<()> {
    sqlx::query(
        "INSERT INTO log_entry (user_id, environment, message, base_id) VALUES ($1, $2, $3, $4)",
    )
    .bind(user_id)
    .bind(environment)
    .bind(message)
    .bind(base_id)
    .execute(executor)
    .await?;
    Ok(())
}

/// Records things that were done at once to several base packages, given as messages with their base packages.
///
/// # Errors
/// As [`log`].
pub async fn log_all(
    executor: impl PgExecutor<'_>,
    user_id: Option<i32>,
    environment: Environment,
    entries: &[(String, i32)],
) -> Result<()> {
    sqlx::query(
        "INSERT INTO log_entry (user_id, environment, message, base_id)
         SELECT $1, $2, message, base_id FROM unnest($3::text[], $4::integer[]) AS entry(message, base_id)",
    )
    .bind(user_id)
    .bind(environment)
    .bind(entries.iter().map(|(message, _)| message.as_str()).collect::<Vec<_>>())
    .bind(entries.iter().map(|(_, base_id)| *base_id).collect::<Vec<_>>())
    .execute(executor)
    .await?;
    Ok(())
}

/// The newest entries, newest first; of one base package, or of all.
///
/// # Errors
/// When the database cannot be asked.
pub async fn log_entries(
    executor: impl PgExecutor<'_>,
    base_id: Option<i32>,
    at_most: u32,
) -> Result<Vec<LogEntry>> {
    Ok(sqlx::query_as(
        "SELECT id, user_id, environment, \"timestamp\" AT TIME ZONE 'UTC' AS \"timestamp\", message, base_id
         FROM log_entry WHERE $1::integer IS NULL OR base_id = $1 ORDER BY id DESC LIMIT $2",
    )
    .bind(base_id)
    .bind(i64::from(at_most))
    .fetch_all(executor)
    .await?)
}
