//! Suspending the scheduler, and holding the packages of a group.

use chrono::{DateTime, Utc};
use sqlx::Connection as _;
use sqlx::postgres::PgConnection;

use super::{Actor, Error, Result, log};
use crate::entities::{self, GroupName};
use crate::suspensions;
use crate::wake::{Sleeper, wake};

/// Keeps the scheduler from submitting builds in a collection, or in all, until a time, or until somebody resumes.
/// Builds that are running go on.
///
/// # Errors
/// When there is no such collection.
pub async fn suspend(
    conn: &mut PgConnection,
    actor: &Actor,
    collection: Option<&str>,
    until: Option<DateTime<Utc>>,
    reason: &str,
) -> Result<()> {
    let mut transaction = conn.begin().await?;
    let id = collection_id(&mut transaction, collection).await?;
    suspensions::suspend(&mut transaction, id, until, reason).await?;
    let message = format!("Submitting builds suspended{}{}: {reason}", of(collection), till(until));
    log(&mut transaction, actor, &message).await?;
    transaction.commit().await?;
    Ok(())
}

/// Lets the scheduler submit builds again: in a collection, or everywhere. Whether it was kept from it.
///
/// # Errors
/// When there is no such collection.
pub async fn resume(
    conn: &mut PgConnection,
    actor: &Actor,
    collection: Option<&str>,
) -> Result<bool> {
    let mut transaction = conn.begin().await?;
    let was_suspended = match collection_id(&mut transaction, collection).await? {
        Some(id) => suspensions::resume(&mut transaction, id).await?,
        None => suspensions::resume_all(&mut transaction).await?,
    };
    if was_suspended {
        let message = format!("Submitting builds resumed{}", of(collection));
        log(&mut transaction, actor, &message).await?;
        wake(&mut transaction, Sleeper::Scheduler).await?;
    }
    transaction.commit().await?;
    Ok(was_suspended)
}

/// Keeps the scheduler from submitting builds of the packages of a group until a time.
///
/// # Errors
/// When there is no such group.
pub async fn hold(
    conn: &mut PgConnection,
    actor: &Actor,
    group: &GroupName,
    until: DateTime<Utc>,
    reason: &str,
) -> Result<()> {
    let mut transaction = conn.begin().await?;
    let id = group_id(&mut transaction, group).await?;
    suspensions::hold(&mut transaction, id, until, reason).await?;
    let why = if reason.is_empty() { String::new() } else { format!(": {reason}") };
    let message = format!("Packages of group {group} held{}{why}", till(Some(until)));
    log(&mut transaction, actor, &message).await?;
    transaction.commit().await?;
    Ok(())
}

/// Lets the scheduler submit builds of the packages of a group again. Whether they were held.
///
/// # Errors
/// When there is no such group.
pub async fn release(conn: &mut PgConnection, actor: &Actor, group: &GroupName) -> Result<bool> {
    let mut transaction = conn.begin().await?;
    let id = group_id(&mut transaction, group).await?;
    let were_held = suspensions::release(&mut transaction, id).await?;
    if were_held {
        log(&mut transaction, actor, &format!("Packages of group {group} released")).await?;
        wake(&mut transaction, Sleeper::Scheduler).await?;
    }
    transaction.commit().await?;
    Ok(were_held)
}

async fn collection_id(conn: &mut PgConnection, name: Option<&str>) -> Result<Option<i32>> {
    let Some(name) = name else { return Ok(None) };
    let known = entities::collection_by_name(conn, name).await?;
    known.map(|known| Some(known.id)).ok_or_else(|| Error::NoCollection(name.to_owned()))
}

async fn group_id(conn: &mut PgConnection, name: &GroupName) -> Result<i32> {
    let known = entities::group(conn, name).await?;
    known.map(|known| known.id).ok_or_else(|| Error::NoGroup(name.to_string()))
}

fn of(collection: Option<&str>) -> String {
    collection.map(|name| format!(" in collection {name}")).unwrap_or_default()
}

fn till(until: Option<DateTime<Utc>>) -> String {
    until.map(|until| format!(" until {}", until.format("%Y-%m-%d %H:%M UTC"))).unwrap_or_default()
}
