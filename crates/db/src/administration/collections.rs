//! Collections and the groups in which pages show them.

use sqlx::Connection as _;
use sqlx::postgres::PgConnection;

use super::{Actor, Error, NewCollection, Result, log, missing};
use crate::entities::{self, Collection};
use crate::wake::{Sleeper, wake};

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

/// What is to be different about a collection; `None` leaves it as it is.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct CollectionChanges {
    /// See [`Collection::name`].
    pub name: Option<String>,
    /// See [`Collection::display_name`].
    pub display_name: Option<String>,
    /// See [`Collection::order`].
    pub order: Option<i32>,
    /// See [`Collection::secondary_mode`].
    pub secondary_mode: Option<bool>,
    /// See [`Collection::target`].
    pub target: Option<String>,
    /// See [`Collection::dest_tag`].
    pub dest_tag: Option<String>,
    /// See [`Collection::build_tag`]; another one makes what is known about the newest repo void.
    pub build_tag: Option<String>,
    /// See [`Collection::bugzilla_product`]; an empty one takes it away.
    pub bugzilla_product: Option<String>,
    /// See [`Collection::bugzilla_version`]; an empty one takes it away.
    pub bugzilla_version: Option<String>,
    /// See [`Collection::priority_coefficient`].
    pub priority_coefficient: Option<f64>,
    /// See [`Collection::build_group`].
    pub build_group: Option<String>,
    /// See [`Collection::poll_untracked`].
    pub poll_untracked: Option<bool>,
}

/// Changes a collection. Whether anything is different now.
///
/// # Errors
/// When there is none of that name, or its new name is taken.
pub async fn edit_collection(
    conn: &mut PgConnection,
    actor: &Actor,
    name: &str,
    changes: &CollectionChanges,
) -> Result<bool> {
    let mut transaction = conn.begin().await?;
    let before = locked(&mut transaction, name).await?;
    if let Some(new_name) = changes.name.as_deref().filter(|new_name| *new_name != name)
        && entities::collection_by_name(&mut *transaction, new_name).await?.is_some()
    {
        return Err(Error::CollectionExists(new_name.to_owned()));
    }
    let after: Collection = sqlx::query_as(
        "UPDATE collection
            SET name = coalesce($2, name), display_name = coalesce($3, display_name),
                \"order\" = coalesce($4, \"order\"), secondary_mode = coalesce($5, secondary_mode),
                target = coalesce($6, target), dest_tag = coalesce($7, dest_tag),
                build_tag = coalesce($8, build_tag),
                bugzilla_product = nullif(coalesce($9, bugzilla_product), ''),
                bugzilla_version = nullif(coalesce($10, bugzilla_version), ''),
                priority_coefficient = coalesce($11, priority_coefficient),
                build_group = coalesce($12, build_group),
                poll_untracked = coalesce($13, poll_untracked)
          WHERE id = $1 RETURNING *",
    )
    .bind(before.id)
    .bind(&changes.name)
    .bind(&changes.display_name)
    .bind(changes.order)
    .bind(changes.secondary_mode)
    .bind(&changes.target)
    .bind(&changes.dest_tag)
    .bind(&changes.build_tag)
    .bind(&changes.bugzilla_product)
    .bind(&changes.bugzilla_version)
    .bind(changes.priority_coefficient)
    .bind(&changes.build_group)
    .bind(changes.poll_untracked)
    .fetch_one(&mut *transaction)
    .await?;
    if after == before {
        return Ok(false);
    }
    if (&before.build_tag, before.secondary_mode) != (&after.build_tag, after.secondary_mode) {
        // The newest repo of another tag, or of another Koji, may well be an older one.
        sqlx::query(
            "UPDATE collection SET latest_repo_id = NULL, latest_repo_resolved = NULL WHERE id = $1",
        )
        .bind(before.id)
        .execute(&mut *transaction)
        .await?;
        sqlx::query("DELETE FROM buildroot_problem WHERE collection_id = $1")
            .bind(before.id)
            .execute(&mut *transaction)
            .await?;
    }
    let renamed = match &after.name {
        new_name if new_name != name => format!(", and is called {new_name} now"),
        _ => String::new(),
    };
    log(&mut transaction, actor, &format!("Collection {name} modified{renamed}")).await?;
    for sleeper in [Sleeper::Polling, Sleeper::RepoResolver, Sleeper::Scheduler] {
        wake(&mut transaction, sleeper).await?;
    }
    transaction.commit().await?;
    Ok(true)
}

/// Deletes a collection with everything in it; how many packages that were.
///
/// # Errors
/// When there is none of that name, or it has packages and `force` is not given.
pub async fn delete_collection(
    conn: &mut PgConnection,
    actor: &Actor,
    name: &str,
    force: bool,
) -> Result<i64> {
    let mut transaction = conn.begin().await?;
    let collection = locked(&mut transaction, name).await?;
    let packages: i64 = sqlx::query_scalar("SELECT count(*) FROM package WHERE collection_id = $1")
        .bind(collection.id)
        .fetch_one(&mut *transaction)
        .await?;
    if packages > 0 && !force {
        return Err(Error::HasPackages { name: name.to_owned(), packages });
    }
    // What hangs on builds goes first and at once, so that the cascade finds nothing to do for each of them.
    for statement in [
        "DELETE FROM applied_change USING build JOIN package ON package.id = build.package_id
          WHERE applied_change.build_id = build.id AND package.collection_id = $1",
        "DELETE FROM koji_task USING build JOIN package ON package.id = build.package_id
          WHERE koji_task.build_id = build.id AND package.collection_id = $1",
        "DELETE FROM collection WHERE id = $1",
    ] {
        sqlx::query(statement).bind(collection.id).execute(&mut *transaction).await?;
    }
    let with = if packages > 0 { format!(" with {packages} packages") } else { String::new() };
    log(&mut transaction, actor, &format!("Collection {name} deleted{with}")).await?;
    transaction.commit().await?;
    Ok(packages)
}

/// The collection of this name, which nobody else changes until the end of the transaction.
pub(super) async fn locked(conn: &mut PgConnection, name: &str) -> Result<Collection> {
    sqlx::query_as("SELECT * FROM collection WHERE name = $1 FOR NO KEY UPDATE")
        .bind(name)
        .fetch_optional(conn)
        .await?
        .ok_or_else(|| Error::NoCollection(name.to_owned()))
}

/// What is to be different about a group of collections; `None` leaves it as it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CollectionGroupChanges {
    /// The name for people.
    pub display_name: Option<String>,
    /// Names of exactly the collections that it is to have.
    pub collections: Option<Vec<String>>,
}

/// Adds a group of collections.
///
/// # Errors
/// When there is one of that name, or a collection does not exist; then nothing is changed.
pub async fn create_collection_group(
    conn: &mut PgConnection,
    actor: &Actor,
    name: &str,
    display_name: &str,
    collections: &[String],
) -> Result<()> {
    let mut transaction = conn.begin().await?;
    let ids = collection_ids(&mut transaction, collections).await?;
    if collection_group(&mut transaction, name).await?.is_some() {
        return Err(Error::CollectionGroupExists(name.to_owned()));
    }
    entities::set_collection_group(&mut transaction, name, display_name, &ids).await?;
    log(&mut transaction, actor, &format!("Collection group {name} created")).await?;
    transaction.commit().await?;
    Ok(())
}

/// Changes a group of collections.
///
/// # Errors
/// When there is none of that name, or a collection does not exist; then nothing is changed.
pub async fn edit_collection_group(
    conn: &mut PgConnection,
    actor: &Actor,
    name: &str,
    changes: &CollectionGroupChanges,
) -> Result<()> {
    let mut transaction = conn.begin().await?;
    let (id, display_name) = collection_group(&mut transaction, name)
        .await?
        .ok_or_else(|| Error::NoCollectionGroup(name.to_owned()))?;
    let ids = match &changes.collections {
        Some(collections) => collection_ids(&mut transaction, collections).await?,
        None => {
            sqlx::query_scalar(
                "SELECT collection_id FROM collection_group_relation WHERE group_id = $1",
            )
            .bind(id)
            .fetch_all(&mut *transaction)
            .await?
        }
    };
    let display_name = changes.display_name.as_ref().unwrap_or(&display_name);
    entities::set_collection_group(&mut transaction, name, display_name, &ids).await?;
    log(&mut transaction, actor, &format!("Collection group {name} modified")).await?;
    transaction.commit().await?;
    Ok(())
}

/// Deletes a group of collections; the collections stay.
///
/// # Errors
/// When there is none of that name.
pub async fn delete_collection_group(
    conn: &mut PgConnection,
    actor: &Actor,
    name: &str,
) -> Result<()> {
    let mut transaction = conn.begin().await?;
    let (id, _) = collection_group(&mut transaction, name)
        .await?
        .ok_or_else(|| Error::NoCollectionGroup(name.to_owned()))?;
    sqlx::query("DELETE FROM collection_group WHERE id = $1")
        .bind(id)
        .execute(&mut *transaction)
        .await?;
    log(&mut transaction, actor, &format!("Collection group {name} deleted")).await?;
    transaction.commit().await?;
    Ok(())
}

/// Id and name for people of a group of collections, which nobody else changes until the end of the transaction.
async fn collection_group(conn: &mut PgConnection, name: &str) -> Result<Option<(i32, String)>> {
    let statement = "SELECT id, display_name FROM collection_group WHERE name = $1 FOR UPDATE";
    Ok(sqlx::query_as(statement).bind(name).fetch_optional(conn).await?)
}

async fn collection_ids(conn: &mut PgConnection, names: &[String]) -> Result<Vec<i32>> {
    let found: Vec<(i32, String)> =
        sqlx::query_as("SELECT id, name FROM collection WHERE name = ANY($1) ORDER BY id")
            .bind(names)
            .fetch_all(conn)
            .await?;
    let missing = missing(names, found.iter().map(|(_, name)| name.as_str()));
    if !missing.is_empty() {
        return Err(Error::NoCollections(missing));
    }
    Ok(found.into_iter().map(|(id, _)| id).collect())
}
