//! Root causes: the unresolved packages with what the solver says about them.

use chrono::{DateTime, Utc};

use super::Database;

/// An unresolved package with its problems.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct UnresolvedPackage {
    /// Package.
    pub package_id: i32,
    /// Its name.
    pub name: String,
    /// Its collection.
    pub collection_id: i32,
    /// Since when it is unresolved.
    pub since: Option<DateTime<Utc>>,
    /// What the solver says, sorted.
    pub problems: Vec<String>,
}

/// Those of these packages that are unresolved; as [`unresolved_packages`] has them, and in no order.
pub async fn problems_of(
    db: impl Database<'_>,
    packages: &[i32],
) -> crate::Result<Vec<UnresolvedPackage>> {
    sqlx::query_as(
        r#"SELECT p.id AS package_id, p.name, p.collection_id,
                  p.state_since AT TIME ZONE 'UTC' AS since,
                  ARRAY(SELECT r.problem FROM resolution_problem r
                        WHERE r.resolution_id = (
                            SELECT c.id FROM resolution_change c WHERE c.package_id = p.id
                            ORDER BY c.timestamp DESC LIMIT 1)
                        ORDER BY r.problem COLLATE "C") AS problems
           FROM package p
           WHERE p.id = ANY($1) AND p.tracked AND NOT p.blocked AND p.resolved IS FALSE"#,
    )
    .bind(packages)
    .fetch_all(db)
    .await
    .map_err(Into::into)
}

/// All unresolved packages of these collections, by name.
pub async fn unresolved_packages(
    db: impl Database<'_>,
    collections: &[i32],
) -> crate::Result<Vec<UnresolvedPackage>> {
    sqlx::query_as(
        r#"SELECT p.id AS package_id, p.name, p.collection_id,
                  p.state_since AT TIME ZONE 'UTC' AS since,
                  ARRAY(SELECT r.problem FROM resolution_problem r
                        WHERE r.resolution_id = newest.id ORDER BY r.problem COLLATE "C") AS problems
           FROM package p
           LEFT JOIN LATERAL (
               SELECT c.id FROM resolution_change c WHERE c.package_id = p.id
               ORDER BY c.timestamp DESC LIMIT 1
           ) newest ON true
           WHERE p.collection_id = ANY($1) AND p.tracked AND NOT p.blocked AND p.resolved IS FALSE
           ORDER BY p.name COLLATE "C", p.collection_id"#,
    )
    .bind(collections)
    .fetch_all(db)
    .await
    .map_err(Into::into)
}
