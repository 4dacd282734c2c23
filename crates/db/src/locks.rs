//! Locks between processes: PostgreSQL advisory locks as guards.
//!
//! Some work must not be done by two processes at once. Each lock is a type of its own, so that a function that needs
//! one says so in its signature. A lock lives on a connection of its own, outside the pool, and ends with it: when the
//! guard is dropped, when the process dies, when the machine does (the server notices within two minutes). A lock that
//! is taken is not waited for; its holder is at work, and there will be a next turn.
//!
//! Keys are two integers, as in the original software: (1, collection id), (2, repo id). (3, 0) is the scheduler's, and
//! (4, 0) is held by every running service, shared, so that nobody changes the schema under them; (5, 0) is the
//! publisher's.

use std::fmt;
use std::time::Duration;

use sqlx::Connection as _;
use sqlx::postgres::PgConnection;

use crate::connection::{Pool, connect_single, within};
use crate::error::{Error, Result};
use crate::schema::SchemaError;

/// How long the server may take for the small things that are asked of it here; it is none of them that it waits for.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);

/// The resolution of one collection's newest repository.
#[derive(Debug)]
pub struct RepoResolverLock(Held);

/// The resolution of builds made in one repository.
#[derive(Debug)]
pub struct BuildResolverLock(Held);

/// A round of the scheduler: whoever submits builds to Koji holds it.
#[derive(Debug)]
pub struct SchedulerLock(Held);

/// The sending of messages, one after the other: whoever takes them out of the outbox holds it.
#[derive(Debug)]
pub struct PublisherLock(Held);

/// A service is running: held, shared, for as long as it does.
#[derive(Debug)]
pub struct ServiceLock(Held);

impl RepoResolverLock {
    /// Takes the lock of a collection, or gives `None` when another process has it.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn try_acquire(pool: &Pool, collection_id: i32) -> Result<Option<Self>> {
        Ok(Held::try_acquire(pool, Key(1, collection_id), Mode::Exclusive).await?.map(Self))
    }
}

impl BuildResolverLock {
    /// Takes the lock of a repository, or gives `None` when another process has it.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn try_acquire(pool: &Pool, repo_id: i32) -> Result<Option<Self>> {
        Ok(Held::try_acquire(pool, Key(2, repo_id), Mode::Exclusive).await?.map(Self))
    }
}

impl SchedulerLock {
    /// Takes the scheduler's lock, or gives `None` when another process has it.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn try_acquire(pool: &Pool) -> Result<Option<Self>> {
        Ok(Held::try_acquire(pool, SCHEDULER, Mode::Exclusive).await?.map(Self))
    }
}

impl PublisherLock {
    /// Takes the publisher's lock, or gives `None` when another process has it.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn try_acquire(pool: &Pool) -> Result<Option<Self>> {
        Ok(Held::try_acquire(pool, PUBLISHER, Mode::Exclusive).await?.map(Self))
    }
}

impl ServiceLock {
    /// Says that a service runs on this database. Services take it at their start, before
    /// [`check_current`](crate::schema::check_current), and hold it until their end.
    ///
    /// # Errors
    /// [`SchemaError::BeingChanged`] while the schema is being changed.
    pub async fn acquire(pool: &Pool) -> Result<Self> {
        match Held::try_acquire(pool, SERVICES, Mode::Shared).await? {
            Some(held) => Ok(Self(held)),
            None => Err(SchemaError::BeingChanged.into()),
        }
    }
}

/// The services that run on this database, as `koschei-polling`, or `koschei-polling on 10.1.2.3` where the database knows
/// another host and may tell.
///
/// # Errors
/// When the database cannot be asked.
pub async fn running_services(connection: &mut PgConnection) -> Result<Vec<String>> {
    Ok(sqlx::query_scalar(
        "SELECT coalesce(nullif(session.application_name, ''), 'a service')
                || coalesce(' on ' || host(session.client_addr), '') AS service
           FROM pg_locks AS held LEFT JOIN pg_stat_activity AS session ON session.pid = held.pid
          WHERE held.locktype = 'advisory' AND held.granted AND held.mode = 'ShareLock'
            AND held.database = (SELECT oid FROM pg_database WHERE datname = current_database())
            AND held.classid = $1::integer::oid AND held.objid = $2::integer::oid AND held.objsubid = 2
          ORDER BY service",
    )
    .bind(SERVICES.0)
    .bind(SERVICES.1)
    .fetch_all(connection)
    .await?)
}

macro_rules! lock_methods {
    ($($lock:ty),*) => {$(
        impl $lock {
            /// Sees that the lock is still held. After an outage of the database it is not: take it anew.
            ///
            /// # Errors
            /// [`Error::LockLost`].
            pub async fn check(&mut self) -> Result<()> {
                self.0.check().await
            }

            /// Gives the lock back and waits until the server has taken it. Dropping the guard gives it back as well,
            /// a moment later.
            pub async fn release(mut self) {
                // The end of a connection gives a lock back as well, but only a moment after the client has gone; whoever
                // tries in that moment would lose a turn. Whatever goes wrong here ends the connection.
                let unlock = sqlx::query("SELECT pg_advisory_unlock_all()");
                let _ = within(ANSWER_LIMIT, unlock.execute(&mut self.0.connection)).await;
                let _ = within(ANSWER_LIMIT, self.0.connection.close()).await;
            }
        }
    )*};
}

lock_methods!(RepoResolverLock, BuildResolverLock, SchedulerLock, PublisherLock, ServiceLock);

const SCHEDULER: Key = Key(3, 0);
const SERVICES: Key = Key(4, 0);
const PUBLISHER: Key = Key(5, 0);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Key(i32, i32);

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self(1, collection) => write!(f, "of repo-resolver for collection {collection}"),
            Self(2, repo) => write!(f, "of build-resolver for repo {repo}"),
            SCHEDULER => f.write_str("of the scheduler"),
            PUBLISHER => f.write_str("of the publisher"),
            _ => f.write_str("of a running service"),
        }
    }
}

#[derive(Clone, Copy)]
enum Mode {
    Exclusive,
    Shared,
}

/// A lock and the connection that it lives on.
#[derive(Debug)]
struct Held {
    key: Key,
    connection: PgConnection,
}

impl Held {
    async fn try_acquire(pool: &Pool, key: Key, mode: Mode) -> Result<Option<Self>> {
        let options = pool.connect_options();
        let limit = pool.options().get_acquire_timeout();
        let mut connection = connect_single(&options, limit).await?;
        // A host that vanished keeps nobody waiting for hours. (Has no effect, and does no harm, on a Unix socket.)
        let keepalive = sqlx::query(
            "SELECT set_config('tcp_keepalives_idle', '60', false),
                    set_config('tcp_keepalives_interval', '10', false),
                    set_config('tcp_keepalives_count', '6', false)",
        );
        within(ANSWER_LIMIT, keepalive.execute(&mut connection)).await?;
        let statement = match mode {
            Mode::Exclusive => "SELECT pg_try_advisory_lock($1, $2)",
            Mode::Shared => "SELECT pg_try_advisory_lock_shared($1, $2)",
        };
        let take = sqlx::query_scalar(statement).bind(key.0).bind(key.1);
        let taken: bool = within(ANSWER_LIMIT, take.fetch_one(&mut connection)).await?;
        Ok(taken.then_some(Self { key, connection }))
    }

    async fn check(&mut self) -> Result<()> {
        within(ANSWER_LIMIT, self.connection.ping())
            .await
            .map_err(|_| Error::LockLost { lock: self.key.to_string() })
    }
}

/// No service runs, and none may start: held by whoever changes the schema, on the connection that does it.
pub(crate) struct UpgradeLock(());

impl UpgradeLock {
    pub(crate) async fn acquire(connection: &mut PgConnection) -> Result<Self> {
        let taken: bool = sqlx::query_scalar("SELECT pg_try_advisory_lock($1, $2)")
            .bind(SERVICES.0)
            .bind(SERVICES.1)
            .fetch_one(&mut *connection)
            .await?;
        if taken {
            return Ok(Self(()));
        }
        let running = running_services(connection).await?;
        Err(if running.is_empty() {
            SchemaError::BeingChanged
        } else {
            SchemaError::InUse(running)
        }
        .into())
    }

    pub(crate) async fn release(self, connection: &mut PgConnection) -> Result<()> {
        sqlx::query("SELECT pg_advisory_unlock($1, $2)")
            .bind(SERVICES.0)
            .bind(SERVICES.1)
            .execute(connection)
            .await?;
        Ok(())
    }
}
