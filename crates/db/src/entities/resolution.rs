//! The moments at which a package became resolvable, or not, or for other reasons not.

use chrono::{DateTime, Utc};
use sqlx::FromRow;
use sqlx::postgres::PgExecutor;

use crate::error::Result;

/// An entry of a package's history.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct ResolutionChange {
    /// Its id.
    pub id: i32,
    /// The package.
    pub package_id: i32,
    /// Whether its dependencies could be installed from then on.
    pub resolved: bool,
    /// When.
    pub timestamp: DateTime<Utc>,
    /// Why not.
    pub problems: Vec<String>,
}

/// The changes of a package, newest first.
///
/// # Errors
/// When the database cannot be asked.
pub async fn resolution_changes_of(
    executor: impl PgExecutor<'_>,
    package_id: i32,
) -> Result<Vec<ResolutionChange>> {
    Ok(sqlx::query_as(
        "SELECT c.id, c.package_id, c.resolved, c.\"timestamp\" AT TIME ZONE 'UTC' AS \"timestamp\",
                ARRAY(SELECT problem::text FROM resolution_problem
                      WHERE resolution_id = c.id ORDER BY id) AS problems
         FROM resolution_change c WHERE c.package_id = $1 ORDER BY c.\"timestamp\" DESC, c.id DESC",
    )
    .bind(package_id)
    .fetch_all(executor)
    .await?)
}
