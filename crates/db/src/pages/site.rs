//! What every page shows around its content: collections, notices, how busy Koschei is.

use chrono::{DateTime, Utc};

use super::{Database, GOING};

/// A collection, as pages need it.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct CollectionRow {
    /// Row id.
    pub id: i32,
    /// Short name, as in addresses: `f40`.
    pub name: String,
    /// Name for people: `Fedora 40`.
    pub display_name: String,
    /// Packages and builds live on the secondary Koji.
    pub secondary_mode: bool,
    /// Koji target that scratch builds are submitted for.
    pub target: String,
    /// Koji tag that holds the collection's packages.
    pub dest_tag: String,
    /// Koji tag whose repositories are resolved.
    pub build_tag: String,
    /// Bugzilla product, for links.
    pub bugzilla_product: Option<String>,
    /// Bugzilla version, for links.
    pub bugzilla_version: Option<String>,
    /// Factor of the dynamic priority.
    pub priority_coefficient: f64,
    /// Koji group that is in every buildroot.
    pub build_group: String,
    /// Newest Koji repo that was looked at.
    pub latest_repo_id: Option<i32>,
    /// When it was first seen; `None` when that is not known.
    pub latest_repo_seen: Option<DateTime<Utc>>,
    /// Whether the build group can be installed from it.
    pub latest_repo_resolved: Option<bool>,
    /// Whether real builds of untracked packages are registered.
    pub poll_untracked: bool,
}

/// All collections in the order in which people see them.
pub async fn collections(db: impl Database<'_>) -> crate::Result<Vec<CollectionRow>> {
    sqlx::query_as(
        r#"SELECT id, name, display_name, secondary_mode, target, dest_tag, build_tag,
                  bugzilla_product, bugzilla_version, priority_coefficient, build_group,
                  latest_repo_id, latest_repo_seen AT TIME ZONE 'UTC' AS latest_repo_seen,
                  latest_repo_resolved, poll_untracked
           FROM collection ORDER BY "order" DESC, name COLLATE "C" DESC"#,
    )
    .fetch_all(db)
    .await
    .map_err(Into::into)
}

/// The notice that administrators put on every page; `None` when there is none.
pub async fn admin_notice(db: impl Database<'_>) -> crate::Result<Option<String>> {
    sqlx::query_scalar("SELECT content FROM admin_notice WHERE key = 'global_notice'")
        .fetch_optional(db)
        .await
        .map_err(Into::into)
}

/// Why the build group cannot be installed: `(collection id, problem)` for these collections.
pub async fn buildroot_problems(
    db: impl Database<'_>,
    collections: &[i32],
) -> crate::Result<Vec<(i32, String)>> {
    sqlx::query_as(
        "SELECT collection_id, problem FROM buildroot_problem
         WHERE collection_id = ANY($1) ORDER BY collection_id, id",
    )
    .bind(collections)
    .fetch_all(db)
    .await
    .map_err(Into::into)
}

/// Number of running scratch builds per collection id; collections without any are left out.
pub async fn running_builds(db: impl Database<'_>) -> crate::Result<Vec<(i32, i64)>> {
    sqlx::query_as(
        "SELECT p.collection_id, count(*) FROM build b JOIN package p ON p.id = b.package_id
         WHERE b.state = 2 GROUP BY p.collection_id",
    )
    .fetch_all(db)
    .await
    .map_err(Into::into)
}

/// Number of packages per collection id whose current priority has reached the threshold.
///
/// `a` and `b` are the coefficients of the time priority, `threshold` the build threshold
/// (spec/services.md, section 2). The statement looks at every tracked package: keep its answer
/// for a while.
pub async fn waiting_packages(
    db: impl Database<'_>,
    a: f64,
    b: f64,
    threshold: f64,
) -> crate::Result<Vec<(i32, i64)>> {
    let sql = format!(
        "SELECT p.collection_id, count(*)
         FROM package p
         JOIN collection c ON c.id = p.collection_id AND c.latest_repo_resolved
         WHERE p.tracked AND NOT p.blocked AND p.last_build_id = p.last_complete_build_id
           AND (p.resolved OR (p.resolved IS NULL AND p.skip_resolution))
           AND p.scheduler_skip_reason IS NULL
           AND (p.not_before IS NULL OR p.not_before <= clock_timestamp() AT TIME ZONE 'UTC')
           AND p.manual_priority::float8 + p.static_priority + c.priority_coefficient
               * (p.dependency_priority::float8 + p.build_priority + greatest(-30::float8,
                  $1 * log(greatest(1e-6::float8, extract(epoch FROM clock_timestamp()
                      AT TIME ZONE 'UTC' - p.last_build_started)::float8 / 3600)) + $2)) >= $3
           AND {GOING}
         GROUP BY p.collection_id",
    );
    sqlx::query_as(sqlx::AssertSqlSafe(sql))
        .bind(a)
        .bind(b)
        .bind(threshold)
        .fetch_all(db)
        .await
        .map_err(Into::into)
}

/// A named bundle of collections, for the page of collections.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct CollectionGroup {
    /// Short name.
    pub name: String,
    /// Name for people.
    pub display_name: String,
    /// Ids of its collections.
    pub collection_ids: Vec<i32>,
}

/// All collection groups that have collections, by name.
pub async fn collection_groups(db: impl Database<'_>) -> crate::Result<Vec<CollectionGroup>> {
    sqlx::query_as(
        r#"SELECT g.name, g.display_name, array_agg(r.collection_id) AS collection_ids
         FROM collection_group g JOIN collection_group_relation r ON r.group_id = g.id
         GROUP BY g.id ORDER BY g.display_name COLLATE "C", g.name COLLATE "C""#,
    )
    .fetch_all(db)
    .await
    .map_err(Into::into)
}

/// What is committed, as a text that is the same for two statements only if they see the same: PostgreSQL's snapshot,
/// which names the transactions that can be seen, and when this server was started, as another one may have had other
/// transactions with these numbers. `None` on a standby, whose snapshots do not name the running transactions.
pub async fn snapshot(db: impl Database<'_>) -> crate::Result<Option<String>> {
    sqlx::query_scalar(
        "SELECT CASE WHEN NOT pg_is_in_recovery()
                THEN pg_current_snapshot()::text || ' ' || extract(epoch FROM pg_postmaster_start_time())::text END",
    )
    .fetch_one(db)
    .await
    .map_err(Into::into)
}
