//! Groups of base packages, global or in somebody's namespace.

use std::fmt;

use sqlx::FromRow;
use sqlx::postgres::{PgConnection, PgExecutor};

use crate::error::Result;

/// The name of a group, `NAMESPACE/NAME`; without a namespace the group is global.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GroupName {
    /// The user in whose namespace it is.
    pub namespace: Option<String>,
    /// The name in the namespace.
    pub name: String,
}

impl fmt::Display for GroupName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(f, "{namespace}/{}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

impl From<&str> for GroupName {
    fn from(text: &str) -> Self {
        match text.split_once('/') {
            Some(("", name)) => Self { namespace: None, name: name.to_owned() },
            Some((namespace, name)) => {
                Self { namespace: Some(namespace.to_owned()), name: name.to_owned() }
            }
            None => Self { namespace: None, name: text.to_owned() },
        }
    }
}

/// A group of base packages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Its id.
    pub id: i32,
    /// Its name.
    pub name: GroupName,
}

#[derive(FromRow)]
struct GroupRow {
    id: i32,
    namespace: Option<String>,
    name: String,
}

impl From<GroupRow> for Group {
    fn from(row: GroupRow) -> Self {
        Self { id: row.id, name: GroupName { namespace: row.namespace, name: row.name } }
    }
}

/// The group of this name.
///
/// # Errors
/// When the database cannot be asked.
pub async fn group(executor: impl PgExecutor<'_>, name: &GroupName) -> Result<Option<Group>> {
    // "=" or "is null", each of which an index answers; IS NOT DISTINCT FROM is answered by none.
    let row: Option<GroupRow> = match &name.namespace {
        Some(namespace) => {
            sqlx::query_as(
                "SELECT id, namespace, name FROM package_group WHERE namespace = $1 AND name = $2",
            )
            .bind(namespace)
            .bind(&name.name)
            .fetch_optional(executor)
            .await?
        }
        None => sqlx::query_as(
            "SELECT id, namespace, name FROM package_group WHERE namespace IS NULL AND name = $1",
        )
        .bind(&name.name)
        .fetch_optional(executor)
        .await?,
    };
    Ok(row.map(Group::from))
}

/// Makes an empty group. Gives its id, or `None` when there is one of that name already.
///
/// # Errors
/// When the database cannot be changed.
pub async fn create_group(executor: impl PgExecutor<'_>, name: &GroupName) -> Result<Option<i32>> {
    Ok(sqlx::query_scalar(
        "INSERT INTO package_group (namespace, name) VALUES ($1, $2)
         ON CONFLICT DO NOTHING RETURNING id",
    )
    .bind(&name.namespace)
    .bind(&name.name)
    .fetch_optional(executor)
    .await?)
}

/// The names of a group's packages, sorted.
///
/// # Errors
/// When the database cannot be asked.
pub async fn group_packages(executor: impl PgExecutor<'_>, group_id: i32) -> Result<Vec<String>> {
    Ok(sqlx::query_scalar(
        "SELECT b.name FROM package_group_relation r JOIN base_package b ON b.id = r.base_id
         WHERE r.group_id = $1 ORDER BY b.name COLLATE \"C\"",
    )
    .bind(group_id)
    .fetch_all(executor)
    .await?)
}

/// The names of a group's owners, who may edit it, sorted.
///
/// # Errors
/// When the database cannot be asked.
pub async fn group_owners(executor: impl PgExecutor<'_>, group_id: i32) -> Result<Vec<String>> {
    Ok(sqlx::query_scalar(
        "SELECT u.name FROM group_acl a JOIN \"user\" u ON u.id = a.user_id
         WHERE a.group_id = $1 ORDER BY u.name COLLATE \"C\"",
    )
    .bind(group_id)
    .fetch_all(executor)
    .await?)
}

/// Makes a group consist of exactly these packages. Changes nothing when some names are unknown, and gives those.
///
/// # Errors
/// When the database cannot be changed.
pub async fn set_group_packages(
    connection: &mut PgConnection,
    group_id: i32,
    names: &[String],
) -> Result<Vec<String>> {
    let unknown: Vec<String> = sqlx::query_scalar(
        "SELECT DISTINCT n COLLATE \"C\" FROM unnest($1::text[]) AS n
         WHERE NOT EXISTS (SELECT FROM base_package WHERE name = n) ORDER BY 1",
    )
    .bind(names)
    .fetch_all(&mut *connection)
    .await?;
    if unknown.is_empty() {
        sqlx::query(
            "WITH wanted AS (SELECT id FROM base_package WHERE name = ANY ($2)),
                  gone AS (DELETE FROM package_group_relation
                           WHERE group_id = $1 AND base_id NOT IN (SELECT id FROM wanted))
             INSERT INTO package_group_relation (group_id, base_id)
             SELECT $1, id FROM wanted ORDER BY id ON CONFLICT DO NOTHING",
        )
        .bind(group_id)
        .bind(names)
        .execute(connection)
        .await?;
    }
    Ok(unknown)
}

/// Makes these people the owners of a group, and nobody else. People who never logged in get a row.
///
/// # Errors
/// When the database cannot be changed.
pub async fn set_group_owners(
    connection: &mut PgConnection,
    group_id: i32,
    names: &[String],
) -> Result<()> {
    sqlx::query(
        "INSERT INTO \"user\" (name)
         SELECT DISTINCT n FROM unnest($1::text[]) AS n
         WHERE NOT EXISTS (SELECT FROM \"user\" WHERE name = n) ORDER BY n
         ON CONFLICT (name) DO NOTHING",
    )
    .bind(names)
    .execute(&mut *connection)
    .await?;
    sqlx::query(
        "WITH wanted AS (SELECT id FROM \"user\" WHERE name = ANY ($2)),
              gone AS (DELETE FROM group_acl
                       WHERE group_id = $1 AND user_id NOT IN (SELECT id FROM wanted))
         INSERT INTO group_acl (group_id, user_id)
         SELECT $1, id FROM wanted ORDER BY id ON CONFLICT DO NOTHING",
    )
    .bind(group_id)
    .bind(names)
    .execute(connection)
    .await?;
    Ok(())
}
