//! Waking services that wait: a notification saves the time until their next turn, and nothing else.
//!
//! A service that gets no notification finds its work at its next turn all the same, so nobody has to care whether one
//! was lost. Notifications are sent with the commit of the transaction that makes the work, never before.

use std::time::Duration;

use sqlx::postgres::{PgConnection, PgListener};

use crate::connection::{Pool, within};
use crate::error::{Error, Result};

/// The PostgreSQL channel of all notifications; the payload is the name of a service.
pub const CHANNEL: &str = "koschei_wake";

/// How long notifications are gathered.
const TOGETHER: Duration = Duration::from_millis(50);

/// How long the server may take to begin to notify.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);

/// Who can be woken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Sleeper {
    /// Somebody wants a build cancelled.
    Polling,
    /// There are packages to resolve.
    RepoResolver,
    /// There are builds to resolve.
    BuildResolver,
    /// A priority rose or a slot became free.
    Scheduler,
    /// There are messages to send.
    Publisher,
}

impl Sleeper {
    /// The name of the service, as in the configuration. Publishing is a part of every service.
    pub fn name(self) -> &'static str {
        match self {
            Self::Polling => "polling",
            Self::RepoResolver => "repo_resolver",
            Self::BuildResolver => "build_resolver",
            Self::Scheduler => "scheduler",
            Self::Publisher => "publisher",
        }
    }
}

/// Wakes a service once the running transaction is committed.
pub async fn wake(conn: &mut PgConnection, sleeper: Sleeper) -> Result<()> {
    sqlx::query("SELECT pg_notify($1, $2)")
        .bind(CHANNEL)
        .bind(sleeper.name())
        .execute(conn)
        .await
        .map_err(Error::Statement)?;
    Ok(())
}

/// A connection that waits for notifications to one service.
#[derive(Debug)]
pub struct Alarm {
    listener: PgListener,
    name: &'static str,
}

impl Alarm {
    /// Begins to listen. Takes one connection of the pool for good.
    pub async fn set(pool: &Pool, sleeper: Sleeper) -> Result<Self> {
        let mut listener = PgListener::connect_with(pool).await.map_err(Error::Statement)?;
        within(ANSWER_LIMIT, listener.listen(CHANNEL)).await.map_err(Error::Statement)?;
        Ok(Self { listener, name: sleeper.name() })
    }

    /// Waits until somebody wakes this service. Notifications that come shortly after count as the same one, so that a
    /// long transaction in many parts does not lead to as many steps. After an error the alarm has to be set anew.
    pub async fn ring(&mut self) -> Result<()> {
        self.first_ring().await?;
        let quiet = tokio::time::sleep(TOGETHER);
        tokio::pin!(quiet);
        loop {
            tokio::select! {
                () = &mut quiet => return Ok(()),
                ring = self.listener.try_recv() => {
                    if ring.map_err(Error::Statement)?.is_none() {
                        return Ok(());
                    }
                }
            }
        }
    }

    async fn first_ring(&mut self) -> Result<()> {
        loop {
            // `try_recv` tells about a lost connection with `None`: something may have been missed.
            match self.listener.try_recv().await.map_err(Error::Statement)? {
                Some(notification) if notification.payload() != self.name => {}
                Some(_) | None => return Ok(()),
            }
        }
    }
}
