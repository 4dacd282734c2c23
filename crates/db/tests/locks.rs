//! Locks between processes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test ends that way")]

use koschei_db::locks::{BuildResolverLock, RepoResolverLock, SchedulerLock};
use koschei_db::{Error, testing};

#[tokio::test]
async fn a_taken_lock_is_not_waited_for_and_others_are_free() {
    let database = testing::database().await;
    let held = RepoResolverLock::try_acquire(&database, 7).await.unwrap().unwrap();
    assert!(RepoResolverLock::try_acquire(&database, 7).await.unwrap().is_none());
    // Another collection, a repo of the same number, and the scheduler.
    let other = RepoResolverLock::try_acquire(&database, 8).await.unwrap().unwrap();
    let build = BuildResolverLock::try_acquire(&database, 7).await.unwrap().unwrap();
    let scheduler = SchedulerLock::try_acquire(&database).await.unwrap().unwrap();
    assert!(BuildResolverLock::try_acquire(&database, 7).await.unwrap().is_none());
    assert!(SchedulerLock::try_acquire(&database).await.unwrap().is_none());
    held.release().await;
    assert!(RepoResolverLock::try_acquire(&database, 7).await.unwrap().is_some());
    drop((other, build, scheduler));
}

#[tokio::test]
async fn the_keys_are_those_of_the_original_software() {
    let database = testing::database().await;
    let _repo = RepoResolverLock::try_acquire(&database, 7).await.unwrap().unwrap();
    let _build = BuildResolverLock::try_acquire(&database, 9).await.unwrap().unwrap();
    let keys: Vec<(i32, i32)> = sqlx::query_as(
        "SELECT classid::integer, objid::integer FROM pg_locks
         WHERE locktype = 'advisory' AND objsubid = 2 AND granted
           AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) ORDER BY 1",
    )
    .fetch_all(database.pool())
    .await
    .unwrap();
    assert_eq!(keys, [(1, 7), (2, 9)]);
}

#[tokio::test]
async fn dropping_the_guard_gives_the_lock_back() {
    let database = testing::database().await;
    let held = SchedulerLock::try_acquire(&database).await.unwrap().unwrap();
    drop(held);
    // The server notices the closed connection by itself; pg_advisory_lock waits for just that.
    let mut connection = database.connection().await;
    sqlx::query("SELECT pg_advisory_lock(3, 0)").execute(&mut connection).await.unwrap();
}

#[tokio::test]
async fn a_guard_whose_connection_is_gone_says_so() {
    let database = testing::database().await;
    let mut held = SchedulerLock::try_acquire(&database).await.unwrap().unwrap();
    held.check().await.unwrap();
    sqlx::query(
        "SELECT pg_terminate_backend(pid, 60000) FROM pg_locks
         WHERE locktype = 'advisory' AND classid = 3
           AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
    )
    .execute(database.pool())
    .await
    .unwrap();
    let error = held.check().await.unwrap_err();
    assert!(matches!(error, Error::LockLost { .. }) && error.is_transient(), "{error}");
    assert_eq!(
        error.to_string(),
        "the lock of the scheduler was lost: its connection to the database has ended"
    );
    assert!(SchedulerLock::try_acquire(&database).await.unwrap().is_some());
}
