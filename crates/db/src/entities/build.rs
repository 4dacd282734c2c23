//! Builds and their tasks per architecture.

use chrono::{DateTime, Utc};
use koschei_core::states::BuildState;
use sqlx::postgres::{PgExecutor, PgRow};
use sqlx::{FromRow, Row as _};

use crate::dependency_keys;
use crate::error::{Error, Result};

/// A scratch build, or a real build of a packager.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Build {
    /// Its id, as in `/build/ID`.
    pub id: i32,
    /// Its package.
    pub package_id: i32,
    /// Running, complete or failed.
    pub state: BuildState,
    /// Koji's task.
    pub task_id: i32,
    /// When Koji took it on; until that is known, when it was submitted.
    pub started: DateTime<Utc>,
    /// When it finished.
    pub finished: Option<DateTime<Utc>>,
    /// `None` equals 0.
    pub epoch: Option<i32>,
    /// Of the source package.
    pub version: Option<String>,
    /// Of the source package.
    pub release: Option<String>,
    /// The repository of its buildroot, as soon as it is known.
    pub repo_id: Option<i32>,
    /// Whether it is its package's last complete build; kept by triggers.
    pub last_complete: bool,
    /// Whether somebody wants it cancelled.
    pub cancel_requested: bool,
    /// Whether its dependencies could be installed in its repository; `None` until build-resolver looked.
    pub deps_resolved: Option<bool>,
    /// Whether a packager made it.
    pub real: bool,
    /// Whether it no longer counts, because it or a build after it was untagged.
    pub untagged: bool,
}

impl FromRow<'_, PgRow> for Build {
    fn from_row(row: &PgRow) -> sqlx::Result<Self> {
        let state: i32 = row.try_get("state")?;
        let state = BuildState::from_number(state).ok_or_else(|| sqlx::Error::ColumnDecode {
            index: "state".into(),
            source: format!("{state} is not the state of a build").into(),
        })?;
        Ok(Self {
            id: row.try_get("id")?,
            package_id: row.try_get("package_id")?,
            state,
            task_id: row.try_get("task_id")?,
            started: row.try_get("started")?,
            finished: row.try_get("finished")?,
            epoch: row.try_get("epoch")?,
            version: row.try_get("version")?,
            release: row.try_get("release")?,
            repo_id: row.try_get("repo_id")?,
            last_complete: row.try_get("last_complete")?,
            cancel_requested: row.try_get("cancel_requested")?,
            deps_resolved: row.try_get("deps_resolved")?,
            real: row.try_get("real")?,
            untagged: row.try_get("untagged")?,
        })
    }
}

/// One architecture's part of a build: a `buildArch` task of Koji.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct KojiTask {
    /// Its id.
    pub id: i32,
    /// Its build.
    pub build_id: i32,
    /// Koji's task.
    pub task_id: i32,
    /// Its architecture.
    pub arch: String,
    /// Koji's number: 0 free, 1 open, 2 closed, 3 canceled, 4 assigned, 5 failed.
    pub state: i32,
    /// When Koji took it on.
    pub started: DateTime<Utc>,
    /// When it finished.
    pub finished: Option<DateTime<Utc>>,
}

macro_rules! select_build {
    ($rest:literal) => {
        concat!(
            "SELECT id, package_id, state, task_id, started AT TIME ZONE 'UTC' AS started,
                    finished AT TIME ZONE 'UTC' AS finished, epoch, version, release, repo_id, last_complete,
                    cancel_requested, deps_resolved, \"real\", untagged
             FROM build WHERE package_id IS NOT NULL AND ",
            $rest
        )
    };
}

/// The build with this id.
///
/// # Errors
/// When the database cannot be asked.
pub async fn build(executor: impl PgExecutor<'_>, id: i32) -> Result<Option<Build>> {
    Ok(sqlx::query_as(select_build!("id = $1")).bind(id).fetch_optional(executor).await?)
}

/// The build that a Koji task made, in whatever collection; of several the newest.
///
/// # Errors
/// When the database cannot be asked.
pub async fn build_by_task(executor: impl PgExecutor<'_>, task_id: i32) -> Result<Option<Build>> {
    let statement = select_build!("task_id = $1 ORDER BY id DESC LIMIT 1");
    Ok(sqlx::query_as(statement).bind(task_id).fetch_optional(executor).await?)
}

/// The builds of a package, newest first.
///
/// # Errors
/// When the database cannot be asked.
pub async fn builds_of(executor: impl PgExecutor<'_>, package_id: i32) -> Result<Vec<Build>> {
    let statement = select_build!("package_id = $1 ORDER BY build.started DESC, id DESC");
    Ok(sqlx::query_as(statement).bind(package_id).fetch_all(executor).await?)
}

/// The tasks of a build, by architecture.
///
/// # Errors
/// When the database cannot be asked.
pub async fn tasks_of(executor: impl PgExecutor<'_>, build_id: i32) -> Result<Vec<KojiTask>> {
    Ok(sqlx::query_as(
        "SELECT id, build_id, task_id, arch, state, started AT TIME ZONE 'UTC' AS started,
                finished AT TIME ZONE 'UTC' AS finished
         FROM koji_task WHERE build_id = $1 ORDER BY arch COLLATE \"C\", id",
    )
    .bind(build_id)
    .fetch_all(executor)
    .await?)
}

/// The ids of the packages that were in a build's buildroot, ascending; `None` when they are not stored (any more).
///
/// # Errors
/// When the database cannot be asked, or the list is damaged.
pub async fn dependencies_of(
    executor: impl PgExecutor<'_>,
    build_id: i32,
) -> Result<Option<Vec<i32>>> {
    let packed: Option<Vec<u8>> =
        sqlx::query_scalar("SELECT dependency_keys FROM build WHERE id = $1")
            .bind(build_id)
            .fetch_optional(executor)
            .await?
            .flatten();
    packed.map(|packed| dependency_keys::decode(&packed)).transpose().map_err(|error| {
        Error::Corrupt {
            what: format!("the list of dependencies of build {build_id}"),
            reason: error.to_string(),
        }
    })
}
