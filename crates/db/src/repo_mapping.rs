//! Secondary mode: which repo of the primary Koji mirrors which repo of the secondary one.

use sqlx::FromRow;
use sqlx::postgres::PgConnection;

use crate::error::{Error, Result};

/// A repo of the secondary Koji and its mirror.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromRow)]
pub struct RepoMapping {
    /// The repo of the secondary Koji.
    pub secondary_id: i32,
    /// The repo of the primary Koji, once its number is known.
    pub primary_id: Option<i32>,
    /// The newRepo task on the primary Koji.
    pub task_id: i32,
}

/// Mappings of which the primary repo is not known yet.
pub async fn open(conn: &mut PgConnection) -> Result<Vec<RepoMapping>> {
    sqlx::query_as(
        "SELECT secondary_id, primary_id, task_id FROM repo_mapping WHERE primary_id IS NULL
          ORDER BY secondary_id",
    )
    .fetch_all(conn)
    .await
    .map_err(Error::Statement)
}

/// The mapping of a repo of the secondary Koji.
pub async fn of_secondary(
    conn: &mut PgConnection,
    secondary_id: i32,
) -> Result<Option<RepoMapping>> {
    sqlx::query_as(
        "SELECT secondary_id, primary_id, task_id FROM repo_mapping WHERE secondary_id = $1",
    )
    .bind(secondary_id)
    .fetch_optional(conn)
    .await
    .map_err(Error::Statement)
}

/// The newest mapping to a repo of the primary Koji.
pub async fn of_primary(conn: &mut PgConnection, primary_id: i32) -> Result<Option<RepoMapping>> {
    sqlx::query_as(
        "SELECT secondary_id, primary_id, task_id FROM repo_mapping WHERE primary_id = $1
          ORDER BY secondary_id DESC LIMIT 1",
    )
    .bind(primary_id)
    .fetch_optional(conn)
    .await
    .map_err(Error::Statement)
}

/// Notes which repo the newRepo task made.
pub async fn complete(conn: &mut PgConnection, secondary_id: i32, primary_id: i32) -> Result<()> {
    sqlx::query(
        "UPDATE repo_mapping SET primary_id = $2 WHERE secondary_id = $1 AND primary_id IS NULL",
    )
    .bind(secondary_id)
    .bind(primary_id)
    .execute(conn)
    .await
    .map_err(Error::Statement)?;
    Ok(())
}

/// Forgets a mapping whose newRepo task made nothing.
pub async fn forget(conn: &mut PgConnection, secondary_id: i32) -> Result<()> {
    sqlx::query("DELETE FROM repo_mapping WHERE secondary_id = $1 AND primary_id IS NULL")
        .bind(secondary_id)
        .execute(conn)
        .await
        .map_err(Error::Statement)?;
    Ok(())
}
