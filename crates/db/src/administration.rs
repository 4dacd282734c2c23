//! What administrators change: notices, collections, tracking, priorities, groups.
//!
//! Each function is one transaction that either does all of it, with an entry in the audit log, or nothing: a mistake
//! is found before anything is written. Spec: spec/admin.md.

use sqlx::{Connection as _, postgres::PgConnection};

use crate::{
    error::Error as DatabaseError,
    packages,
    wake::{Sleeper, wake},
};

/// Who does it, for the audit log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// Name of the user; one who is not known yet becomes known.
    pub name: String,
}

/// Why nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database could not be asked.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// No collection has this name.
    #[error("there is no collection {0}")]
    NoCollection(String),
    /// A collection has this name already.
    #[error("there is a collection {0} already")]
    CollectionExists(String),
    /// Names that are no packages.
    #[error("there {} called {}{}; nothing was changed", if .names.len() == 1 { "is no package" } else { "are no packages" }, .names.join(", "), .collection.as_ref().map(|c| format!(" in collection {c}")).unwrap_or_default())]
    NoPackages {
        /// The names.
        names: Vec<String>,
        /// Where they were looked for; none is anywhere.
        collection: Option<String>,
    },
    /// A group has this name already.
    #[error("there is a group {0} already")]
    GroupExists(String),
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error.into())
    }
}

/// The result of everything here.
pub type Result<T> = std::result::Result<T, Error>;

/// The key under which the one announcement is kept.
const NOTICE: &str = "global_notice";

/// Sets the announcement that every page shows.
///
/// # Errors
/// When the database cannot be asked.
pub async fn set_notice(conn: &mut PgConnection, actor: &Actor, text: &str) -> Result<()> {
    let mut transaction = conn.begin().await?;
    sqlx::query(
        "INSERT INTO admin_notice (key, content) VALUES ($1, $2)
         ON CONFLICT (key) DO UPDATE SET content = excluded.content",
    )
    .bind(NOTICE)
    .bind(text)
    .execute(&mut *transaction)
    .await?;
    log(&mut transaction, actor, &format!("Notice set: {text}"), None).await?;
    transaction.commit().await?;
    Ok(())
}

/// Takes the announcement away. Whether there was one.
///
/// # Errors
/// When the database cannot be asked.
pub async fn clear_notice(conn: &mut PgConnection, actor: &Actor) -> Result<bool> {
    let mut transaction = conn.begin().await?;
    let gone = sqlx::query("DELETE FROM admin_notice WHERE key = $1")
        .bind(NOTICE)
        .execute(&mut *transaction)
        .await?
        .rows_affected();
    if gone > 0 {
        log(&mut transaction, actor, "Notice cleared", None).await?;
    }
    transaction.commit().await?;
    Ok(gone > 0)
}

/// A collection that is to be.
#[derive(Debug, Clone)]
pub struct NewCollection {
    /// Short name, unique.
    pub name: String,
    /// Name shown to people.
    pub display_name: String,
    /// Koji's build target.
    pub target: String,
    /// Tag where real builds end, as the target says or as given.
    pub dest_tag: String,
    /// Tag whose repos are built from, as the target says.
    pub build_tag: String,
    /// Whether repos and real builds come from the secondary Koji.
    pub secondary_mode: bool,
    /// Place in the order, highest first.
    pub order: i32,
    /// What computed priorities are multiplied with.
    pub priority_coefficient: f64,
    /// Koji group that every buildroot has.
    pub build_group: String,
    /// Whether real builds of untracked packages are registered.
    pub poll_untracked: bool,
    /// Bugzilla's product.
    pub bugzilla_product: Option<String>,
    /// Bugzilla's version.
    pub bugzilla_version: Option<String>,
}

/// Adds a collection; its id.
///
/// # Errors
/// When its name is taken.
pub async fn create_collection(
    conn: &mut PgConnection,
    actor: &Actor,
    new: &NewCollection,
) -> Result<i32> {
    let mut transaction = conn.begin().await?;
    let id: Option<i32> = sqlx::query_scalar(
        r#"INSERT INTO collection (name, display_name, target, dest_tag, build_tag, secondary_mode, "order",
                                   priority_coefficient, build_group, poll_untracked,
                                   bugzilla_product, bugzilla_version)
           VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
           ON CONFLICT (name) DO NOTHING RETURNING id"#,
    )
    .bind(&new.name)
    .bind(&new.display_name)
    .bind(&new.target)
    .bind(&new.dest_tag)
    .bind(&new.build_tag)
    .bind(new.secondary_mode)
    .bind(new.order)
    .bind(new.priority_coefficient)
    .bind(&new.build_group)
    .bind(new.poll_untracked)
    .bind(&new.bugzilla_product)
    .bind(&new.bugzilla_version)
    .fetch_optional(&mut *transaction)
    .await?;
    let id = id.ok_or_else(|| Error::CollectionExists(new.name.clone()))?;
    log(&mut transaction, actor, &format!("Collection {} created", new.name), None).await?;
    transaction.commit().await?;
    Ok(id)
}

/// Tracks packages of a collection; the names of those that were not tracked before.
///
/// # Errors
/// When a name is no package of the collection; then nothing is changed.
pub async fn track(
    conn: &mut PgConnection,
    actor: &Actor,
    collection: &str,
    names: &[String],
) -> Result<Vec<String>> {
    let mut transaction = conn.begin().await?;
    let found = find_packages(&mut transaction, collection, names).await?;
    let ids: Vec<i32> = found.iter().map(|package| package.id).collect();
    let locked = packages::lock(&mut transaction, &ids).await?;
    let changed: Vec<i32> = sqlx::query_scalar(
        "UPDATE package SET tracked = true WHERE id = ANY($1) AND NOT tracked RETURNING id",
    )
    .bind(&ids)
    .fetch_all(&mut *transaction)
    .await?;
    locked.announce(&mut transaction).await?;
    let mut tracked = Vec::new();
    for package in found.iter().filter(|package| changed.contains(&package.id)) {
        let message = format!("Package {} ({collection}): tracked", package.name);
        log(&mut transaction, actor, &message, Some(package.base_id)).await?;
        tracked.push(package.name.clone());
    }
    wake(&mut transaction, Sleeper::RepoResolver).await?;
    transaction.commit().await?;
    Ok(tracked)
}

/// Which priority a person sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Priority {
    /// Reset by the next build.
    Manual,
    /// Kept.
    Static,
}

/// Sets a priority of packages of a collection.
///
/// # Errors
/// When a name is no package of the collection; then nothing is changed.
pub async fn set_priority(
    conn: &mut PgConnection,
    actor: &Actor,
    collection: &str,
    names: &[String],
    priority: Priority,
    value: i32,
) -> Result<()> {
    let mut transaction = conn.begin().await?;
    let found = find_packages(&mut transaction, collection, names).await?;
    let ids: Vec<i32> = found.iter().map(|package| package.id).collect();
    let locked = packages::lock(&mut transaction, &ids).await?;
    let (word, statement) = match priority {
        Priority::Manual => {
            ("manual", "UPDATE package SET manual_priority = $2 WHERE id = ANY($1)")
        }
        Priority::Static => {
            ("static", "UPDATE package SET static_priority = $2 WHERE id = ANY($1)")
        }
    };
    sqlx::query(statement).bind(&ids).bind(value).execute(&mut *transaction).await?;
    locked.announce(&mut transaction).await?;
    for package in &found {
        let message =
            format!("Package {} ({collection}): {word} priority set to {value}", package.name);
        log(&mut transaction, actor, &message, Some(package.base_id)).await?;
    }
    wake(&mut transaction, Sleeper::Scheduler).await?;
    transaction.commit().await?;
    Ok(())
}

/// Adds a group of packages, global or in a namespace, with the people who may edit it.
///
/// # Errors
/// When it exists, or a name is no package; then nothing is changed.
pub async fn add_group(
    conn: &mut PgConnection,
    actor: &Actor,
    namespace: Option<&str>,
    name: &str,
    package_names: &[String],
    maintainers: &[String],
) -> Result<()> {
    let mut transaction = conn.begin().await?;
    let full_name = namespace.map_or_else(|| name.to_owned(), |space| format!("{space}/{name}"));
    // The index does not know that two groups without namespace are in the same one.
    sqlx::query("LOCK TABLE package_group IN SHARE ROW EXCLUSIVE MODE")
        .execute(&mut *transaction)
        .await?;
    let exists: bool = sqlx::query_scalar(
        "SELECT EXISTS (SELECT FROM package_group
                         WHERE name = $1 AND namespace IS NOT DISTINCT FROM $2)",
    )
    .bind(name)
    .bind(namespace)
    .fetch_one(&mut *transaction)
    .await?;
    if exists {
        return Err(Error::GroupExists(full_name));
    }
    let found: Vec<(i32, String)> =
        sqlx::query_as("SELECT id, name FROM base_package WHERE name = ANY($1)")
            .bind(package_names)
            .fetch_all(&mut *transaction)
            .await?;
    let missing = missing(package_names, found.iter().map(|(_, name)| name.as_str()));
    if !missing.is_empty() {
        return Err(Error::NoPackages { names: missing, collection: None });
    }
    let id: i32 = sqlx::query_scalar(
        "INSERT INTO package_group (namespace, name) VALUES ($1, $2) RETURNING id",
    )
    .bind(namespace)
    .bind(name)
    .fetch_one(&mut *transaction)
    .await?;
    let base_ids: Vec<i32> = found.iter().map(|(id, _)| *id).collect();
    sqlx::query(
        "INSERT INTO package_group_relation (group_id, base_id)
         SELECT $1, base_id FROM unnest($2::int[]) AS base_id",
    )
    .bind(id)
    .bind(&base_ids)
    .execute(&mut *transaction)
    .await?;
    for maintainer in maintainers {
        let user = user(&mut transaction, maintainer).await?;
        sqlx::query(
            "INSERT INTO group_acl (group_id, user_id) VALUES ($1, $2) ON CONFLICT DO NOTHING",
        )
        .bind(id)
        .bind(user)
        .execute(&mut *transaction)
        .await?;
    }
    log(&mut transaction, actor, &format!("Group {full_name} created"), None).await?;
    transaction.commit().await?;
    Ok(())
}

#[derive(sqlx::FromRow)]
struct Found {
    id: i32,
    base_id: i32,
    name: String,
}

/// The packages of a collection with these names, each once.
async fn find_packages(
    conn: &mut PgConnection,
    collection: &str,
    names: &[String],
) -> Result<Vec<Found>> {
    let collection_id: Option<i32> =
        sqlx::query_scalar("SELECT id FROM collection WHERE name = $1")
            .bind(collection)
            .fetch_optional(&mut *conn)
            .await?;
    let collection_id = collection_id.ok_or_else(|| Error::NoCollection(collection.to_owned()))?;
    let found: Vec<Found> = sqlx::query_as(
        "SELECT id, base_id, name FROM package WHERE collection_id = $1 AND name = ANY($2)
          ORDER BY name COLLATE \"C\"",
    )
    .bind(collection_id)
    .bind(names)
    .fetch_all(&mut *conn)
    .await?;
    let missing = missing(names, found.iter().map(|package| package.name.as_str()));
    if missing.is_empty() {
        Ok(found)
    } else {
        Err(Error::NoPackages { names: missing, collection: Some(collection.to_owned()) })
    }
}

fn missing<'a>(wanted: &[String], found: impl Iterator<Item = &'a str>) -> Vec<String> {
    let found: std::collections::BTreeSet<&str> = found.collect();
    let mut missing: Vec<String> =
        wanted.iter().filter(|name| !found.contains(name.as_str())).cloned().collect();
    missing.sort();
    missing.dedup();
    missing
}

/// The id of a user, who is created when missing.
async fn user(conn: &mut PgConnection, name: &str) -> Result<i32> {
    sqlx::query(r#"INSERT INTO "user" (name) VALUES ($1) ON CONFLICT (name) DO NOTHING"#)
        .bind(name)
        .execute(&mut *conn)
        .await?;
    Ok(sqlx::query_scalar(r#"SELECT id FROM "user" WHERE name = $1"#)
        .bind(name)
        .fetch_one(conn)
        .await?)
}

/// Writes to the audit log what an administrator did.
async fn log(
    conn: &mut PgConnection,
    actor: &Actor,
    message: &str,
    base_id: Option<i32>,
) -> Result<()> {
    let user = user(conn, &actor.name).await?;
    sqlx::query(
        "INSERT INTO log_entry (user_id, environment, message, base_id)
         VALUES ($1, 'admin', $2, $3)",
    )
    .bind(user)
    .bind(message)
    .bind(base_id)
    .execute(conn)
    .await?;
    Ok(())
}
