//! Notifications.

use std::time::Duration;

use koschei_db::wake::{Alarm, Sleeper, wake};

use crate::world::World;

#[tokio::test]
async fn a_service_is_woken_by_the_commit_and_by_its_own_name_only() {
    let world = World::new().await;
    let mut alarm = Alarm::set(world.database.pool(), Sleeper::Scheduler).await.unwrap();
    let mut transaction = world.database.pool().begin().await.unwrap();
    wake(&mut transaction, Sleeper::Scheduler).await.unwrap();
    transaction.rollback().await.unwrap();
    let mut conn = world.connection().await;
    wake(&mut conn, Sleeper::Polling).await.unwrap();
    // Notifications come in the order of the commits: had one of the two been for us, it would be first.
    sqlx::query("SELECT pg_notify('koschei_wake', 'scheduler')").execute(&mut conn).await.unwrap();
    alarm.ring().await.unwrap();
}

#[tokio::test]
async fn many_notifications_at_once_are_one_ring() {
    let world = World::new().await;
    let mut alarm = Alarm::set(world.database.pool(), Sleeper::RepoResolver).await.unwrap();
    let mut conn = world.connection().await;
    for _ in 0..10 {
        wake(&mut conn, Sleeper::RepoResolver).await.unwrap();
    }
    // All are committed. On a busy machine the server may still be about to send the last of them, together.
    let mut rings = 0;
    while tokio::time::timeout(Duration::from_millis(500), alarm.ring()).await.is_ok() {
        rings += 1;
    }
    assert!((1..=2).contains(&rings), "{rings}");
}
