//! Messages that wait to be sent.
//!
//! A change of state and the message about it belong together: the message is written in the transaction that makes the
//! change, and a publisher sends it after the commit, takes it out once the broker has it, and sends it again if it
//! cannot know. So no message is lost, whatever crashes when; and since whoever changes a package holds its row until the
//! commit, the messages about one package have their numbers in the order of its changes.
//!
//! Messages are written only on connections of processes that are configured to publish
//! ([`DatabaseConfig::publishing`](crate::DatabaseConfig::publishing)): without a publisher nobody would take them out.

use sqlx::FromRow;
use sqlx::postgres::PgConnection;

use crate::error::{Error, Result};
use crate::packages::StateChange;
use crate::resolution::CollectionChange;
use crate::wake::{Sleeper, wake};

/// The setting of a session by which a process says that it publishes.
pub(crate) const SETTING: &str = "koschei.publishing";

/// The topic of changes of a package's state, after the name of the publishing software.
pub const PACKAGE_STATE_CHANGE: &str = "package.state.change";

/// The topic of changes of a collection's state.
pub const COLLECTION_STATE_CHANGE: &str = "collection.state.change";

/// A message that waits to be sent.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct Waiting {
    /// Its number; they are sent in this order.
    pub id: i64,
    /// A UUID, the same however often it is sent.
    pub message_id: String,
    /// The topic, after the name of the publishing software.
    pub topic: String,
    /// The body (spec/messages.md) but for the name of the Koji instance, as JSON.
    pub body: String,
}

/// Writes messages about changes of packages.
pub(crate) async fn put_package_changes(
    conn: &mut PgConnection,
    changes: &[StateChange],
) -> Result<()> {
    if changes.is_empty() {
        return Ok(());
    }
    let written = sqlx::query(
        "INSERT INTO outbox (topic, body)
         SELECT $4, json_build_object(
                    'name', package.name, 'old', change.old, 'new', change.new,
                    'repo', collection.name, 'collection', collection.name,
                    'collection_name', collection.display_name,
                    'groups', coalesce(
                        (SELECT json_agg(full_name ORDER BY full_name COLLATE \"C\")
                           FROM package_group_relation
                           JOIN package_group ON package_group.id = group_id
                          CROSS JOIN LATERAL
                                concat_ws('/', package_group.namespace, package_group.name) AS full_name
                          WHERE package_group_relation.base_id = package.base_id), '[]'))
           FROM unnest($1::integer[], $2::text[], $3::text[])
                WITH ORDINALITY AS change(package_id, old, new, number)
           JOIN package ON package.id = change.package_id
           JOIN collection ON collection.id = package.collection_id
          WHERE current_setting($5, true) = 'on'
          ORDER BY change.number",
    )
    .bind(changes.iter().map(|change| change.package_id).collect::<Vec<_>>())
    .bind(changes.iter().map(|change| change.old.to_string()).collect::<Vec<_>>())
    .bind(changes.iter().map(|change| change.new.to_string()).collect::<Vec<_>>())
    .bind(PACKAGE_STATE_CHANGE)
    .bind(SETTING)
    .execute(&mut *conn)
    .await
    .map_err(Error::Statement)?;
    wake_publisher(conn, written.rows_affected()).await
}

/// Writes a message about a change of a collection. `repo_id` is text in it, as consumers' schemas want it.
pub(crate) async fn put_collection_change(
    conn: &mut PgConnection,
    change: &CollectionChange,
) -> Result<()> {
    let written = sqlx::query(
        "INSERT INTO outbox (topic, body)
         SELECT $5, json_build_object(
                    'old', $2::text, 'new', $3::text, 'repo_id', $4::integer::text,
                    'collection', name, 'collection_name', display_name)
           FROM collection
          WHERE id = $1 AND current_setting($6, true) = 'on'",
    )
    .bind(change.collection_id)
    .bind(change.old.to_string())
    .bind(change.new.to_string())
    .bind(change.repo_id)
    .bind(COLLECTION_STATE_CHANGE)
    .bind(SETTING)
    .execute(&mut *conn)
    .await
    .map_err(Error::Statement)?;
    wake_publisher(conn, written.rows_affected()).await
}

async fn wake_publisher(conn: &mut PgConnection, written: u64) -> Result<()> {
    if written > 0 { wake(conn, Sleeper::Publisher).await } else { Ok(()) }
}

/// The messages that wait, oldest first.
pub async fn waiting(conn: &mut PgConnection, limit: i64) -> Result<Vec<Waiting>> {
    sqlx::query_as(
        "SELECT id, message_id::text AS message_id, topic, body::text AS body
           FROM outbox ORDER BY id LIMIT $1",
    )
    .bind(limit)
    .fetch_all(conn)
    .await
    .map_err(Error::Statement)
}

/// Takes out a message that the broker has; `false` when it was out already, because somebody else has sent it as well.
pub async fn sent(conn: &mut PgConnection, id: i64) -> Result<bool> {
    let gone = sqlx::query("DELETE FROM outbox WHERE id = $1")
        .bind(id)
        .execute(conn)
        .await
        .map_err(Error::Statement)?;
    Ok(gone.rows_affected() > 0)
}
