//! The newest repo of a collection: whether its build group can be installed.

use koschei_core::states::CollectionState;
use sqlx::postgres::PgConnection;

use crate::error::{Error, Result};
use crate::outbox;
use crate::wake::{Sleeper, wake};

/// A change of a collection's state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CollectionChange {
    /// The collection.
    pub collection_id: i32,
    /// The state before.
    pub old: CollectionState,
    /// The state now.
    pub new: CollectionState,
    /// The repo that is the reason.
    pub repo_id: i32,
}

/// Stores whether the build group of a collection can be installed from its newest repo, and announces the change.
/// `None` when the collection is gone or has a newer repo already.
pub async fn set_latest_repo(
    conn: &mut PgConnection,
    collection_id: i32,
    repo_id: i32,
    problems: &[String],
) -> Result<Option<CollectionChange>> {
    let row: Option<(Option<i32>, Option<bool>)> = sqlx::query_as(
        "SELECT latest_repo_id, latest_repo_resolved FROM collection WHERE id = $1 FOR NO KEY UPDATE",
    )
    .bind(collection_id)
    .fetch_optional(&mut *conn)
    .await
    .map_err(Error::Statement)?;
    let Some((latest, resolved)) = row else { return Ok(None) };
    if latest.is_some_and(|latest| latest >= repo_id) {
        return Ok(None);
    }
    sqlx::query("DELETE FROM buildroot_problem WHERE collection_id = $1")
        .bind(collection_id)
        .execute(&mut *conn)
        .await
        .map_err(Error::Statement)?;
    sqlx::query(
        "INSERT INTO buildroot_problem (collection_id, problem)
         SELECT $1, problem FROM unnest($2::text[]) AS news(problem)",
    )
    .bind(collection_id)
    .bind(problems)
    .execute(&mut *conn)
    .await
    .map_err(Error::Statement)?;
    sqlx::query(
        "UPDATE collection SET latest_repo_id = $2, latest_repo_resolved = $3 WHERE id = $1",
    )
    .bind(collection_id)
    .bind(repo_id)
    .bind(problems.is_empty())
    .execute(&mut *conn)
    .await
    .map_err(Error::Statement)?;
    let change = CollectionChange {
        collection_id,
        old: CollectionState::of(resolved),
        new: CollectionState::of(Some(problems.is_empty())),
        repo_id,
    };
    publish(conn, &change).await?;
    wake(conn, Sleeper::Scheduler).await?;
    Ok(Some(change))
}

/// The single place through which every change of a collection's state passes, inside the transaction that makes it.
async fn publish(conn: &mut PgConnection, change: &CollectionChange) -> Result<()> {
    if change.old != change.new {
        tracing::info!(
            collection_id = change.collection_id,
            repo = change.repo_id,
            "state of the collection changes from {} to {}",
            change.old,
            change.new
        );
        outbox::put_collection_change(conn, change).await?;
    }
    Ok(())
}
