//! Binary packages that were seen in buildroots, each once.

use sqlx::FromRow;
use sqlx::postgres::PgExecutor;

use crate::error::Result;

/// A binary package. Rows never change and are never deleted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, FromRow)]
pub struct Dependency {
    /// Its id, as in install sets and changes.
    pub id: i32,
    /// Its name.
    pub name: String,
    /// 0 when it has none.
    pub epoch: i32,
    /// Its version.
    pub version: String,
    /// Its release.
    pub release: String,
    /// Its architecture.
    pub arch: String,
}

/// The dependencies with these ids, by id; unknown ones are left out.
///
/// # Errors
/// When the database cannot be asked.
pub async fn dependencies(executor: impl PgExecutor<'_>, ids: &[i32]) -> Result<Vec<Dependency>> {
    let statement = "SELECT id, name, COALESCE(epoch, 0) AS epoch, version, release, arch
                     FROM dependency WHERE id = ANY ($1) ORDER BY id";
    Ok(sqlx::query_as(statement).bind(ids).fetch_all(executor).await?)
}
