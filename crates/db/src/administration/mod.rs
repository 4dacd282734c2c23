//! What administrators change: notices, collections, tracking, priorities, groups, people.
//!
//! Each function is one transaction that either does all of it, with an entry in the audit log, or nothing: a mistake
//! is found before anything is written. What changes nothing is not logged. Spec: spec/admin.md.

mod branching;
mod cleaning;
mod collections;
mod groups;
mod packages;
mod people;
mod suspending;

use std::collections::BTreeSet;

use sqlx::{Connection as _, postgres::PgConnection};

pub use branching::{Branch, Copied, Fork, branch_collection, fork_collection};
pub use cleaning::{Cleaned, FEWEST_MONTHS, clean_up, months_ago};
pub use collections::{
    CollectionChanges, CollectionGroupChanges, create_collection, create_collection_group,
    delete_collection, delete_collection_group, edit_collection, edit_collection_group,
};
pub use groups::{
    Content, GroupChanges, GroupEdited, add_group, create_group, delete_group, edit_group,
    names_that_match, track_group,
};
pub use packages::{Priority, set_arch_override, set_arch_override_of_group, set_priority, track};
pub use people::set_admin;
pub use suspending::{hold, release, resume, suspend};

pub use crate::entities::NewCollection;
use crate::{
    entities::{self, Environment, Package},
    error::Error as DatabaseError,
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
    /// A collection has packages, and nobody said that they may go.
    #[error(
        "collection {name} has {packages} packages, which would be deleted with the whole history of their builds, for \
         good: say --force if that is meant; nothing was changed"
    )]
    HasPackages {
        /// The collection.
        name: String,
        /// How many.
        packages: i64,
    },
    /// Names that are no collections.
    #[error("there {} called {}; nothing was changed", if .0.len() == 1 { "is no collection" } else { "are no collections" }, .0.join(", "))]
    NoCollections(Vec<String>),
    /// No group of collections has this name.
    #[error("there is no group of collections {0}")]
    NoCollectionGroup(String),
    /// A group of collections has this name already.
    #[error("there is a group of collections {0} already")]
    CollectionGroupExists(String),
    /// Names that are no packages.
    #[error("there {} called {}{}; nothing was changed", if .names.len() == 1 { "is no package" } else { "are no packages" }, .names.join(", "), .collection.as_ref().map(|c| format!(" in collection {c}")).unwrap_or_default())]
    NoPackages {
        /// The names.
        names: Vec<String>,
        /// Where they were looked for; none is anywhere.
        collection: Option<String>,
    },
    /// No group of packages has this name.
    #[error("there is no group {0}")]
    NoGroup(String),
    /// A regular expression that PostgreSQL does not understand.
    #[error("{pattern:?} is no regular expression: {reason}")]
    Pattern {
        /// What was given.
        pattern: String,
        /// What is wrong with it.
        reason: String,
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

/// Writes down something that was done outside the database to a package.
///
/// # Errors
/// When the database cannot be asked.
pub async fn note_about(
    conn: &mut PgConnection,
    actor: &Actor,
    message: &str,
    base_id: i32,
) -> Result<()> {
    let mut transaction = conn.begin().await?;
    let user = entities::ensure_user(&mut transaction, &actor.name).await?;
    entities::log(&mut *transaction, Some(user.id), actor.environment, message, Some(base_id))
        .await?;
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
