//! What is going on, in a few small queries: for whoever tells it in words as it happens (the demo).

use koschei_core::states::{BuildState, PackageFacts, PackageState};
use sqlx::{FromRow, Row, postgres::PgRow};

use crate::{Pool, error::Result};

/// A tracked package as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackageNow {
    /// Its id.
    pub id: i32,
    /// Its name.
    pub name: String,
    /// The name of its collection, as shown to people.
    pub collection: String,
    /// Its state.
    pub state: PackageState,
    /// The build that its state comes from.
    pub last_complete_build: Option<i32>,
    /// A scratch build that is running.
    pub running_build: Option<i32>,
}

impl FromRow<'_, PgRow> for PackageNow {
    fn from_row(row: &PgRow) -> sqlx::Result<Self> {
        let state: Option<i32> = row.try_get("last_complete_build_state")?;
        Ok(Self {
            id: row.try_get("id")?,
            name: row.try_get("name")?,
            collection: row.try_get("display_name")?,
            state: PackageState::of(PackageFacts {
                blocked: row.try_get("blocked")?,
                tracked: true,
                resolved: row.try_get("resolved")?,
                last_complete_build: state.and_then(BuildState::from_number),
            }),
            last_complete_build: row.try_get("last_complete_build_id")?,
            running_build: row.try_get("running_build")?,
        })
    }
}

/// All tracked packages, by collection and name.
///
/// # Errors
/// When the database cannot be asked.
pub async fn tracked_packages(pool: &Pool) -> Result<Vec<PackageNow>> {
    Ok(sqlx::query_as(
        r#"SELECT package.id, package.name, collection.display_name, package.blocked, package.resolved,
                  package.last_complete_build_id, package.last_complete_build_state,
                  CASE WHEN build.state = 2 THEN build.id END AS running_build
             FROM package
             JOIN collection ON collection.id = package.collection_id
             LEFT JOIN build ON build.id = package.last_build_id
            WHERE package.tracked
            ORDER BY collection."order" DESC, collection.name, package.name COLLATE "C""#,
    )
    .fetch_all(pool)
    .await?)
}

/// Packages that Koji has and nobody tracks, each with the name of its collection and that shown to people.
///
/// # Errors
/// When the database cannot be asked.
pub async fn untracked_packages(pool: &Pool) -> Result<Vec<(String, String, String)>> {
    Ok(sqlx::query_as(
        r#"SELECT collection.name, collection.display_name, package.name
             FROM package JOIN collection ON collection.id = package.collection_id
            WHERE NOT package.tracked AND NOT package.blocked
            ORDER BY collection."order" DESC, collection.name, package.name COLLATE "C""#,
    )
    .fetch_all(pool)
    .await?)
}

/// A dependency that is another one than before.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct ChangedDependency {
    /// Its name.
    pub name: String,
    /// Version and release before; none when it is new.
    pub before: Option<String>,
    /// Version and release now; none when it is gone.
    pub now: Option<String>,
}

/// Which dependencies changed between a build and the one before, nearest first; none until that is known, and none
/// when the build was compared with no other.
///
/// # Errors
/// When the database cannot be asked.
pub async fn changes_before_build(
    pool: &Pool,
    build_id: i32,
) -> Result<Option<Vec<ChangedDependency>>> {
    let compared =
        format!("SELECT EXISTS ({}) FROM build b WHERE b.id = $1", crate::pages::COMPARED);
    let known: Option<bool> = sqlx::query_scalar(sqlx::AssertSqlSafe(compared))
        .bind(build_id)
        .fetch_optional(pool)
        .await?;
    if known != Some(true) {
        return Ok(None);
    }
    let changes = sqlx::query_as(
        r#"SELECT coalesce(curr.name, prev.name) AS name,
                  prev.version || '-' || prev.release AS before,
                  curr.version || '-' || curr.release AS now
             FROM applied_change AS change
             LEFT JOIN dependency AS prev ON prev.id = change.prev_dep_id
             LEFT JOIN dependency AS curr ON curr.id = change.curr_dep_id
            WHERE change.build_id = $1
            ORDER BY change.distance NULLS LAST, coalesce(curr.name, prev.name) COLLATE "C""#,
    )
    .bind(build_id)
    .fetch_all(pool)
    .await?;
    Ok(Some(changes))
}

/// Why a package cannot be installed for building: the first problem of its newest resolution change.
///
/// # Errors
/// When the database cannot be asked.
pub async fn problem(pool: &Pool, package_id: i32) -> Result<Option<String>> {
    Ok(sqlx::query_scalar(
        "SELECT problem FROM resolution_problem
          WHERE resolution_id = (SELECT max(id) FROM resolution_change WHERE package_id = $1)
          ORDER BY id LIMIT 1",
    )
    .bind(package_id)
    .fetch_optional(pool)
    .await?)
}
