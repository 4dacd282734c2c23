//! Whether a step still gets somewhere.
//!
//! Everything that a step waits for has a limit of its own: a request to Koji the session's timeout, a download its
//! slowest speed, a new connection to the database a few seconds. Only statements have none, because the driver of the
//! database knows no keepalive: when the server vanishes without a word after it took a statement, nothing ever comes
//! back. So whoever works in the database holds its connection by a guard that knows since when; between two questions
//! to Koji that is moments, and after [`DATABASE_LIMIT`] the answer will not come any more. The same guards tell that a
//! step moves at all, which is what the watchdog is fed with.

use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use koschei_db::PgConnection;
use sqlx::pool::PoolConnection;
use sqlx::{Postgres, Transaction};
use tokio::time::Instant;

use crate::error::Error;

/// How long one piece of work in the database may take.
pub(crate) const DATABASE_LIMIT: Duration = Duration::from_secs(10 * 60);

/// The movements of the steps that share a context. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Progress(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// How long one piece of work in the database may take.
    database: Duration,
    /// How long a step may do nothing that is noted here.
    anything: Duration,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    moved: Instant,
    /// Work in the database that is under way: since when, by number.
    held: BTreeMap<u64, Instant>,
    next: u64,
}

impl Progress {
    /// Progress with these limits: of one piece of work in the database, and of anything that a step may do.
    pub(crate) fn new(database: Duration, anything: Duration) -> Self {
        let state = State { moved: Instant::now(), held: BTreeMap::new(), next: 0 };
        Self(Arc::new(Inner { database, anything, state: Mutex::new(state) }))
    }

    /// New progress with another limit for work in the database.
    pub(crate) fn with_database_limit(&self, limit: Duration) -> Self {
        Self::new(limit, self.0.anything)
    }

    /// New progress with the same limits.
    pub(crate) fn anew(&self) -> Self {
        Self::new(self.0.database, self.0.anything)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that the step moves.
    pub(crate) fn note(&self) {
        self.state().moved = Instant::now();
    }

    /// Awaits something that may take long and ends by itself: as long as it lasts, the step moves.
    pub(crate) async fn during<T>(&self, work: impl Future<Output = T>) -> T {
        let mut work = std::pin::pin!(work);
        loop {
            let done = tokio::time::timeout(self.0.anything / 4, &mut work).await;
            self.note();
            if let Ok(done) = done {
                return done;
            }
        }
    }

    /// Begins a piece of work in the database.
    pub(crate) fn hold<T>(&self, inner: T) -> Held<T> {
        let mut state = self.state();
        let now = Instant::now();
        state.moved = now;
        let number = state.next;
        state.next += 1;
        state.held.insert(number, now);
        drop(state);
        Held { inner, holding: Holding { progress: self.clone(), number } }
    }

    /// What the step is stuck with, if it is; else the earliest time at which it could be.
    fn stuck(&self) -> Result<Instant, Error> {
        let state = self.state();
        let now = Instant::now();
        let of_database = state.held.values().min().map(|since| *since + self.0.database);
        let of_anything = state.moved + self.0.anything;
        if of_database.is_some_and(|limit| limit <= now) {
            return Err(Error::Stuck(format!(
                "the database has not answered for {} seconds; its connection is given up",
                self.0.database.as_secs()
            )));
        }
        if of_anything <= now {
            return Err(Error::Stuck(format!(
                "nothing has moved for {} seconds; the step is given up",
                self.0.anything.as_secs()
            )));
        }
        // A piece of work may begin at any moment.
        Ok(of_database.unwrap_or(now + self.0.database).min(of_anything))
    }

    /// Whether the step is stuck.
    pub(crate) fn is_stuck(&self) -> bool {
        self.stuck().is_err()
    }

    /// Waits until the step is stuck, for ever if it never is. What it is stuck with.
    pub(crate) async fn until_stuck(&self) -> Error {
        loop {
            match self.stuck() {
                Ok(earliest) => tokio::time::sleep_until(earliest).await,
                Err(error) => return error,
            }
        }
    }
}

/// A connection or a transaction for a piece of work in the database. Nothing else is waited for while it is held.
#[derive(Debug)]
pub(crate) struct Held<T> {
    inner: T,
    holding: Holding,
}

impl<T> Held<T> {
    /// The same piece of work with something else in its hands.
    pub(crate) fn with<U>(self, inner: U) -> Held<U> {
        Held { inner, holding: self.holding }
    }

    /// What is held, and what notes that it is until it is dropped.
    pub(crate) fn into_parts(self) -> (T, Holding) {
        (self.inner, self.holding)
    }
}

impl Deref for Held<PoolConnection<Postgres>> {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.inner
    }
}

impl DerefMut for Held<PoolConnection<Postgres>> {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.inner
    }
}

impl Deref for Held<Transaction<'static, Postgres>> {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.inner
    }
}

impl DerefMut for Held<Transaction<'static, Postgres>> {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.inner
    }
}

/// Notes, when dropped, that a piece of work in the database is over.
#[derive(Debug)]
pub(crate) struct Holding {
    progress: Progress,
    number: u64,
}

impl Drop for Holding {
    fn drop(&mut self) {
        let mut state = self.progress.state();
        state.held.remove(&self.number);
        state.moved = Instant::now();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);
    const MOMENT: Duration = Duration::from_millis(50);

    #[tokio::test]
    async fn work_in_the_database_that_does_not_end_is_given_up() {
        let progress = Progress::new(MOMENT, HOUR);
        drop(progress.hold(()));
        tokio::time::sleep(2 * MOMENT).await;
        assert!(!progress.is_stuck(), "what has ended is never too long");
        let _long = progress.hold(());
        let other = progress.hold(());
        tokio::time::sleep(MOMENT).await;
        // Something else of the step ends meanwhile; that does not help.
        drop(other);
        let error = progress.until_stuck().await;
        assert!(error.is_transient() && error.to_string().contains("database"), "{error}");
        assert!(progress.is_stuck());
    }

    #[tokio::test]
    async fn a_step_that_does_nothing_at_all_is_stuck_until_it_moves() {
        let progress = Progress::new(HOUR, MOMENT);
        let error = progress.until_stuck().await;
        assert!(error.to_string().contains("nothing has moved"), "{error}");
        let patient = Progress::new(HOUR, HOUR);
        assert!(!patient.is_stuck());
        progress.note();
        progress.until_stuck().await;
    }

    #[tokio::test]
    async fn what_lasts_long_moves_as_long_as_it_lasts() {
        let progress = Progress::new(HOUR, 20 * MOMENT);
        tokio::select! {
            error = progress.until_stuck() => panic!("{error}"),
            () = progress.during(tokio::time::sleep(50 * MOMENT)) => {}
        }
    }

    #[tokio::test]
    async fn work_that_begins_while_somebody_watches_is_watched_as_well() {
        let progress = Progress::new(MOMENT, HOUR);
        let watching = tokio::spawn({
            let progress = progress.clone();
            async move { progress.until_stuck().await }
        });
        tokio::task::yield_now().await;
        let _long = progress.hold(());
        assert!(watching.await.unwrap().to_string().contains("database"));
    }
}
