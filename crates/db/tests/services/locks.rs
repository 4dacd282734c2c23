//! Advisory locks between the turns of services.

use koschei_db::locks::SchedulerLock;

use crate::world::World;

#[tokio::test]
async fn a_lock_that_was_given_back_can_be_taken_at_once() {
    let world = World::new().await;
    for turn in 0..50 {
        let lock = SchedulerLock::try_acquire(world.database.pool()).await.unwrap();
        lock.unwrap_or_else(|| panic!("not given back in turn {turn}")).release().await;
    }
}
