//! Notifications.

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
    sqlx::query("SELECT pg_notify('koschei_wake', 'repo_resolver') FROM generate_series(1, 3)")
        .execute(&mut conn)
        .await
        .unwrap();
    for _ in 0..3 {
        wake(&mut conn, Sleeper::RepoResolver).await.unwrap();
    }
    alarm.ring().await.unwrap();
    let again = tokio::time::timeout(std::time::Duration::from_millis(200), alarm.ring()).await;
    assert!(again.is_err(), "all of them were one");
}
