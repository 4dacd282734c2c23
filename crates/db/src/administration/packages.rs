//! Tracking, priorities and architectures of packages.

use std::collections::BTreeSet;

use sqlx::Connection as _;
use sqlx::postgres::PgConnection;

use super::{Actor, Error, Result, find_packages, log_packages};
use crate::entities::{self, GroupName, Package};
use crate::packages;
use crate::wake::{Sleeper, wake};

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
            // As with the form: who raises it wants a build in spite of one that was cancelled.
            let statement = "UPDATE package SET manual_priority = $2,
                    not_before = CASE WHEN $2 <= manual_priority OR fault_streak > 0 THEN not_before END
                 WHERE id = ANY($1)";
            ("manual", statement)
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

/// Sets the architectures that packages are built for, instead of those that Koji says, or takes that back with `None`:
/// of one package in all collections that have it, or in one. The collections in which that is different from before.
///
/// # Errors
/// When there is no such package or collection.
pub async fn set_arch_override(
    conn: &mut PgConnection,
    actor: &Actor,
    name: &str,
    collection: Option<&str>,
    arches: Option<&str>,
) -> Result<Vec<String>> {
    let mut transaction = conn.begin().await?;
    let found = match collection {
        Some(collection) => find_packages(&mut transaction, collection, &[name.to_owned()]).await?,
        None => {
            sqlx::query_as("SELECT * FROM package WHERE name = $1 ORDER BY id")
                .bind(name)
                .fetch_all(&mut *transaction)
                .await?
        }
    };
    if found.is_empty() {
        return Err(Error::NoPackages { names: vec![name.to_owned()], collection: None });
    }
    let changed = override_arches(&mut transaction, actor, found, arches).await?;
    transaction.commit().await?;
    Ok(changed.into_iter().map(|(_, collection)| collection).collect())
}

/// As [`set_arch_override`], for all packages of a group; names of package and collection for each that is different.
///
/// # Errors
/// When there is no such group or collection.
pub async fn set_arch_override_of_group(
    conn: &mut PgConnection,
    actor: &Actor,
    group: &GroupName,
    collection: Option<&str>,
    arches: Option<&str>,
) -> Result<Vec<(String, String)>> {
    let mut transaction = conn.begin().await?;
    if let Some(name) = collection
        && entities::collection_by_name(&mut *transaction, name).await?.is_none()
    {
        return Err(Error::NoCollection(name.to_owned()));
    }
    let group = entities::group(&mut *transaction, group)
        .await?
        .ok_or_else(|| Error::NoGroup(group.to_string()))?;
    let found: Vec<Package> = sqlx::query_as(
        "SELECT package.* FROM package
           JOIN package_group_relation AS member ON member.base_id = package.base_id
           JOIN collection ON collection.id = package.collection_id
          WHERE member.group_id = $1 AND ($2::text IS NULL OR collection.name = $2)
          ORDER BY package.name COLLATE \"C\", package.id",
    )
    .bind(group.id)
    .bind(collection)
    .fetch_all(&mut *transaction)
    .await?;
    let changed = override_arches(&mut transaction, actor, found, arches).await?;
    transaction.commit().await?;
    Ok(changed)
}

async fn override_arches(
    conn: &mut PgConnection,
    actor: &Actor,
    found: Vec<Package>,
    arches: Option<&str>,
) -> Result<Vec<(String, String)>> {
    let ids: Vec<i32> = found.iter().map(|package| package.id).collect();
    let locked = packages::lock(conn, &ids).await?;
    let changed: Vec<i32> = sqlx::query_scalar(
        "UPDATE package SET arch_override = $2
          WHERE id = ANY($1) AND arch_override IS DISTINCT FROM $2 RETURNING id",
    )
    .bind(&ids)
    .bind(arches)
    .fetch_all(&mut *conn)
    .await?;
    locked.announce(conn).await?;
    let mut done = Vec::new();
    let what = match arches {
        Some(arches) => format!("architectures set to {arches}"),
        None => "architectures no longer set".to_owned(),
    };
    let collections = entities::collections(&mut *conn).await?;
    for collection in &collections {
        let here: Vec<&Package> = found
            .iter()
            .filter(|package| {
                package.collection_id == collection.id && changed.contains(&package.id)
            })
            .collect();
        log_packages(conn, actor, here.iter().copied(), |name| {
            format!("Package {name} ({}): {what}", collection.name)
        })
        .await?;
        done.extend(here.iter().map(|package| (package.name.clone(), collection.name.clone())));
    }
    done.sort();
    wake(conn, Sleeper::Scheduler).await?;
    Ok(done)
}
