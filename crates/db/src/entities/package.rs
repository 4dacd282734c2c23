//! Base packages, and packages: base packages in one collection.

use koschei_core::states::{BuildState, PackageFacts, PackageState};
use sqlx::postgres::{PgExecutor, PgRow};
use sqlx::{FromRow, Row as _};

use crate::error::Result;

/// A source package by name, independent of collections.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct BasePackage {
    /// Its id.
    pub id: i32,
    /// Its name.
    pub name: String,
    /// Whether every collection that has it blocks it; kept by triggers.
    pub all_blocked: bool,
}

/// A base package in one collection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Package {
    /// Its id.
    pub id: i32,
    /// Its base package.
    pub base_id: i32,
    /// Its name, the same as the base package's.
    pub name: String,
    /// Its collection.
    pub collection_id: i32,
    /// Architectures to build for instead of Koji's, separated by spaces; with `^` in front, those to leave out.
    pub arch_override: Option<String>,
    /// Whether its dependencies are not to be resolved.
    pub skip_resolution: bool,
    /// The newest build that is not untagged and not running; kept by triggers.
    pub last_complete_build_id: Option<i32>,
    /// That build's state.
    pub last_complete_build_state: Option<BuildState>,
    /// The newest build that is not untagged; kept by triggers.
    pub last_build_id: Option<i32>,
    /// Whether its dependencies can be installed; `None` when not known.
    pub resolved: Option<bool>,
    /// Set by admins, never reset.
    pub static_priority: i32,
    /// Set by people, reset when a build is submitted or finishes.
    pub manual_priority: i32,
    /// From the fate of its builds.
    pub build_priority: i32,
    /// From the changes of its dependencies.
    pub dependency_priority: i32,
    /// Whether Koschei takes care of it.
    pub tracked: bool,
    /// Whether Koji blocks it.
    pub blocked: bool,
    /// Why the scheduler put it aside: 1 no SRPM, 2 no allowed architecture.
    pub scheduler_skip_reason: Option<i32>,
}

impl Package {
    /// The word shown to people and machines.
    #[must_use]
    pub fn state(&self) -> PackageState {
        PackageState::of(PackageFacts {
            blocked: self.blocked,
            tracked: self.tracked,
            resolved: self.resolved,
            last_complete_build: self.last_complete_build_state,
        })
    }
}

impl FromRow<'_, PgRow> for Package {
    fn from_row(row: &PgRow) -> sqlx::Result<Self> {
        let state: Option<i32> = row.try_get("last_complete_build_state")?;
        Ok(Self {
            id: row.try_get("id")?,
            base_id: row.try_get("base_id")?,
            name: row.try_get("name")?,
            collection_id: row.try_get("collection_id")?,
            arch_override: row.try_get("arch_override")?,
            skip_resolution: row.try_get("skip_resolution")?,
            last_complete_build_id: row.try_get("last_complete_build_id")?,
            last_complete_build_state: state.and_then(BuildState::from_number),
            last_build_id: row.try_get("last_build_id")?,
            resolved: row.try_get("resolved")?,
            static_priority: row.try_get("static_priority")?,
            manual_priority: row.try_get("manual_priority")?,
            build_priority: row.try_get("build_priority")?,
            dependency_priority: row.try_get("dependency_priority")?,
            tracked: row.try_get("tracked")?,
            blocked: row.try_get("blocked")?,
            scheduler_skip_reason: row.try_get("scheduler_skip_reason")?,
        })
    }
}

/// The base packages of these names, by name; unknown names are left out.
///
/// # Errors
/// When the database cannot be asked.
pub async fn base_packages(
    executor: impl PgExecutor<'_>,
    names: &[String],
) -> Result<Vec<BasePackage>> {
    let statement = "SELECT id, name, all_blocked FROM base_package
                     WHERE name = ANY ($1) ORDER BY name COLLATE \"C\"";
    Ok(sqlx::query_as(statement).bind(names).fetch_all(executor).await?)
}

/// The package with this id.
///
/// # Errors
/// When the database cannot be asked.
pub async fn package(executor: impl PgExecutor<'_>, id: i32) -> Result<Option<Package>> {
    let statement = "SELECT * FROM package WHERE id = $1";
    Ok(sqlx::query_as(statement).bind(id).fetch_optional(executor).await?)
}

/// The packages of these names in a collection, by name; unknown names are left out.
///
/// # Errors
/// When the database cannot be asked.
pub async fn packages_by_name(
    executor: impl PgExecutor<'_>,
    collection_id: i32,
    names: &[String],
) -> Result<Vec<Package>> {
    let statement = "SELECT * FROM package WHERE collection_id = $1 AND name = ANY ($2)
                     ORDER BY name COLLATE \"C\"";
    Ok(sqlx::query_as(statement).bind(collection_id).bind(names).fetch_all(executor).await?)
}
