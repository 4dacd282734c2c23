//! What administrators change: notices, collections, tracking, priorities, groups.
//!
//! Each function is one transaction that either does all of it, with an entry in the audit log, or nothing: a mistake
//! is found before anything is written. Spec: spec/admin.md.

use std::collections::BTreeSet;

use sqlx::{Connection as _, postgres::PgConnection};

pub use crate::entities::NewCollection;
use crate::{
    entities::{self, Environment, GroupName, Package},
    error::Error as DatabaseError,
    packages,
    wake::{Sleeper, wake},
};

/// Who does it and from where, for the audit log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// Name of the user; one who is not known yet becomes known.
    pub name: String,
    /// Where they do it.
    pub environment: Environment,
}

impl Actor {
    /// Somebody with `koschei-admin`.
    pub fn administrator(name: impl Into<String>) -> Self {
        Self { name: name.into(), environment: Environment::Admin }
    }

    /// Somebody with a browser.
    pub fn visitor(name: impl Into<String>) -> Self {
        Self { name: name.into(), environment: Environment::Frontend }
    }
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

/// Sets the announcement that every page shows.
///
/// # Errors
/// When the database cannot be asked.
pub async fn set_notice(conn: &mut PgConnection, actor: &Actor, text: &str) -> Result<()> {
    let mut transaction = conn.begin().await?;
    entities::set_notice(&mut *transaction, text).await?;
    log(&mut transaction, actor, &format!("Notice set: {text}")).await?;
    transaction.commit().await?;
    Ok(())
}

/// Takes the announcement away. Whether there was one.
///
/// # Errors
/// When the database cannot be asked.
pub async fn clear_notice(conn: &mut PgConnection, actor: &Actor) -> Result<bool> {
    let mut transaction = conn.begin().await?;
    let was_there = entities::clear_notice(&mut *transaction).await?;
    if was_there {
        log(&mut transaction, actor, "Notice cleared").await?;
    }
    transaction.commit().await?;
    Ok(was_there)
}

/// Writes down something that was done outside the database.
///
/// # Errors
/// When the database cannot be asked.
pub async fn note(conn: &mut PgConnection, actor: &Actor, message: &str) -> Result<()> {
    let mut transaction = conn.begin().await?;
    log(&mut transaction, actor, message).await?;
    transaction.commit().await?;
    Ok(())
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
    let id = entities::create_collection(&mut *transaction, new).await?;
    let id = id.ok_or_else(|| Error::CollectionExists(new.name.clone()))?;
    log(&mut transaction, actor, &format!("Collection {} created", new.name)).await?;
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
    let changed: BTreeSet<i32> = sqlx::query_scalar(
        "UPDATE package SET tracked = true WHERE id = ANY($1) AND NOT tracked RETURNING id",
    )
    .bind(&ids)
    .fetch_all(&mut *transaction)
    .await?
    .into_iter()
    .collect();
    locked.announce(&mut transaction).await?;
    let tracked: Vec<&Package> =
        found.iter().filter(|package| changed.contains(&package.id)).collect();
    log_packages(&mut transaction, actor, tracked.iter().copied(), |name| {
        format!("Package {name} ({collection}): tracked")
    })
    .await?;
    let tracked = tracked.into_iter().map(|package| package.name.clone()).collect();
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
    log_packages(&mut transaction, actor, &found, |name| {
        format!("Package {name} ({collection}): {word} priority set to {value}")
    })
    .await?;
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
    let group = GroupName { namespace: namespace.map(str::to_owned), name: name.to_owned() };
    let id = entities::create_group(&mut *transaction, &group)
        .await?
        .ok_or_else(|| Error::GroupExists(group.to_string()))?;
    let missing = entities::set_group_packages(&mut transaction, id, package_names).await?;
    if !missing.is_empty() {
        return Err(Error::NoPackages { names: missing, collection: None });
    }
    entities::set_group_owners(&mut transaction, id, maintainers).await?;
    log(&mut transaction, actor, &format!("Group {group} created")).await?;
    transaction.commit().await?;
    Ok(())
}

/// The packages of a collection with these names, each once.
async fn find_packages(
    conn: &mut PgConnection,
    collection: &str,
    names: &[String],
) -> Result<Vec<Package>> {
    let known = entities::collection_by_name(&mut *conn, collection).await?;
    let known = known.ok_or_else(|| Error::NoCollection(collection.to_owned()))?;
    let found = entities::packages_by_name(&mut *conn, known.id, names).await?;
    let missing = missing(names, found.iter().map(|package| package.name.as_str()));
    if missing.is_empty() {
        Ok(found)
    } else {
        Err(Error::NoPackages { names: missing, collection: Some(collection.to_owned()) })
    }
}

fn missing<'a>(wanted: &[String], found: impl Iterator<Item = &'a str>) -> Vec<String> {
    let found: BTreeSet<&str> = found.collect();
    let mut missing: Vec<String> =
        wanted.iter().filter(|name| !found.contains(name.as_str())).cloned().collect();
    missing.sort();
    missing.dedup();
    missing
}

/// Writes to the audit log what somebody did.
pub(crate) async fn log(conn: &mut PgConnection, actor: &Actor, message: &str) -> Result<()> {
    let user = entities::ensure_user(conn, &actor.name).await?;
    Ok(entities::log(conn, Some(user.id), actor.environment, message, None).await?)
}

/// Writes to the audit log what somebody did to each of these packages.
pub(crate) async fn log_packages<'a>(
    conn: &mut PgConnection,
    actor: &Actor,
    packages: impl IntoIterator<Item = &'a Package>,
    message: impl Fn(&str) -> String,
) -> Result<()> {
    let user = entities::ensure_user(conn, &actor.name).await?;
    let entries: Vec<(String, i32)> =
        packages.into_iter().map(|package| (message(&package.name), package.base_id)).collect();
    Ok(entities::log_all(conn, Some(user.id), actor.environment, &entries).await?)
}
