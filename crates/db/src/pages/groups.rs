//! Groups of packages.

use super::Database;

/// A group in the list of groups.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct GroupRow {
    /// Row id.
    pub id: i32,
    /// User whose group it is; `None` for a global group.
    pub namespace: Option<String>,
    /// Name.
    pub name: String,
    /// Packages that are not blocked everywhere.
    pub packages: i64,
}

/// The global groups, by name.
pub async fn groups(db: impl Database<'_>) -> crate::Result<Vec<GroupRow>> {
    sqlx::query_as(
        r#"SELECT g.id, g.namespace, g.name,
                  count(b.id) FILTER (WHERE NOT b.all_blocked) AS packages
           FROM package_group g
           LEFT JOIN package_group_relation r ON r.group_id = g.id
           LEFT JOIN base_package b ON b.id = r.base_id
           WHERE g.namespace IS NULL
           GROUP BY g.id ORDER BY g.name COLLATE "C""#,
    )
    .fetch_all(db)
    .await
    .map_err(Into::into)
}

/// A group with its owners.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct GroupPage {
    /// Row id.
    pub id: i32,
    /// User whose group it is; `None` for a global group.
    pub namespace: Option<String>,
    /// Name.
    pub name: String,
    /// Users who may edit it, by name.
    pub owners: Vec<String>,
    /// Packages that are not blocked everywhere.
    pub packages: i64,
}

/// The group with this name; a `namespace` of `None` means a global group.
pub async fn group(
    db: impl Database<'_>,
    namespace: Option<&str>,
    name: &str,
) -> crate::Result<Option<GroupPage>> {
    sqlx::query_as(
        r#"SELECT g.id, g.namespace, g.name,
                  ARRAY(SELECT u.name FROM group_acl a JOIN "user" u ON u.id = a.user_id
                        WHERE a.group_id = g.id ORDER BY u.name COLLATE "C") AS owners,
                  (SELECT count(*) FROM package_group_relation r
                   JOIN base_package b ON b.id = r.base_id AND NOT b.all_blocked
                   WHERE r.group_id = g.id) AS packages
           FROM package_group g
           WHERE g.namespace IS NOT DISTINCT FROM $1 AND g.name = $2
           ORDER BY g.id LIMIT 1"#,
    )
    .bind(namespace)
    .bind(name)
    .fetch_optional(db)
    .await
    .map_err(Into::into)
}

/// A group in short.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct GroupChoice {
    /// Row id.
    pub id: i32,
    /// User whose group it is; `None` for a global group.
    pub namespace: Option<String>,
    /// Name.
    pub name: String,
}

impl std::fmt::Display for GroupChoice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(f, "{namespace}/{}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

/// The groups that somebody may change, global ones first: those they own, and for administrators all global ones.
pub async fn editable_groups(
    db: impl Database<'_>,
    user_id: i32,
    admin: bool,
) -> crate::Result<Vec<GroupChoice>> {
    sqlx::query_as(
        r#"SELECT g.id, g.namespace, g.name FROM package_group g
           WHERE EXISTS (SELECT FROM group_acl a WHERE a.group_id = g.id AND a.user_id = $1)
              OR ($2 AND g.namespace IS NULL)
           ORDER BY g.namespace COLLATE "C" NULLS FIRST, g.name COLLATE "C""#,
    )
    .bind(user_id)
    .bind(admin)
    .fetch_all(db)
    .await
    .map_err(Into::into)
}

/// The groups that somebody owns, also global ones, by name.
pub async fn groups_of(db: impl Database<'_>, user: &str) -> crate::Result<Vec<GroupRow>> {
    sqlx::query_as(
        r#"SELECT g.id, g.namespace, g.name,
                  count(b.id) FILTER (WHERE NOT b.all_blocked) AS packages
           FROM "user" u
           JOIN group_acl a ON a.user_id = u.id
           JOIN package_group g ON g.id = a.group_id
           LEFT JOIN package_group_relation r ON r.group_id = g.id
           LEFT JOIN base_package b ON b.id = r.base_id
           WHERE u.name = $1
           GROUP BY g.id ORDER BY g.namespace COLLATE "C" NULLS FIRST, g.name COLLATE "C""#,
    )
    .bind(user)
    .fetch_all(db)
    .await
    .map_err(Into::into)
}

/// Ids of the base packages in these groups.
pub async fn packages_of_groups(db: impl Database<'_>, groups: &[i32]) -> crate::Result<Vec<i32>> {
    sqlx::query_scalar(
        "SELECT DISTINCT base_id FROM package_group_relation WHERE group_id = ANY($1)",
    )
    .bind(groups)
    .fetch_all(db)
    .await
    .map_err(Into::into)
}
