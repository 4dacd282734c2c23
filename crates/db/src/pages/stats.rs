//! Statistics, from the tables that polling refreshes.

use chrono::{DateTime, Utc};

use super::Database;

/// Totals over all collections.
#[derive(Debug, Clone, Copy, sqlx::FromRow)]
pub struct Totals {
    /// When they were counted.
    pub refresh_time: DateTime<Utc>,
    /// All packages.
    pub packages: i32,
    /// Tracked packages.
    pub tracked_packages: i32,
    /// Blocked packages.
    pub blocked_packages: i32,
    /// All builds.
    pub builds: i32,
    /// Builds made by packagers.
    pub real_builds: i32,
    /// Builds made by Koschei.
    pub scratch_builds: i32,
}

/// The newest totals; `None` before the first refresh.
pub async fn totals(db: impl Database<'_>) -> crate::Result<Option<Totals>> {
    sqlx::query_as(
        "SELECT refresh_time AT TIME ZONE 'UTC' AS refresh_time, packages, tracked_packages,
                blocked_packages, builds, real_builds, scratch_builds
         FROM scalar_stats ORDER BY scalar_stats.refresh_time DESC LIMIT 1",
    )
    .fetch_optional(db)
    .await
    .map_err(Into::into)
}

/// Builder time that packages of a name took on one architecture.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct ArchUse {
    /// Name of the package.
    pub name: String,
    /// Architecture.
    pub arch: String,
    /// Seconds; `None` when no task has ended.
    pub seconds: Option<f64>,
    /// Share of all tasks' time, 0 to 1.
    pub share: Option<f64>,
}

/// One page of builder time by package and architecture, largest first.
pub async fn resource_use(
    db: impl Database<'_>,
    limit: i64,
    offset: i64,
) -> crate::Result<Vec<ArchUse>> {
    sqlx::query_as(
        r#"SELECT name, arch, extract(epoch FROM "time")::float8 AS seconds,
                  time_percentage AS share
           FROM resource_consumption_stats
           ORDER BY "time" DESC NULLS LAST, name COLLATE "C", arch COLLATE "C" LIMIT $1 OFFSET $2"#,
    )
    .bind(limit)
    .bind(offset)
    .fetch_all(db)
    .await
    .map_err(Into::into)
}

/// How many rows `resource_use` has.
pub async fn resource_use_count(db: impl Database<'_>) -> crate::Result<i64> {
    sqlx::query_scalar("SELECT count(*) FROM resource_consumption_stats")
        .fetch_one(db)
        .await
        .map_err(Into::into)
}
