//! Which builds a package's row calls its last ones, whatever happens to builds, and at once.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test ends that way")]

use koschei_db::testing::{self, Database};

struct World {
    database: Database,
    package: i32,
}

/// A package's last build, last complete build and the latter's state; and which builds carry the mark.
type LastBuilds = (Option<i32>, Option<i32>, Option<i32>, Vec<i32>);

impl World {
    async fn new() -> Self {
        let database = testing::database().await;
        let package: i32 = sqlx::query_scalar(
            "WITH c AS (INSERT INTO collection (name, display_name, target, dest_tag, build_tag)
                        VALUES ('f40', 'Fedora 40', 'f40', 'f40', 'f40-build') RETURNING id),
                  b AS (INSERT INTO base_package (name) VALUES ('rnv') RETURNING id)
             INSERT INTO package (base_id, name, collection_id, tracked)
             SELECT b.id, 'rnv', c.id, true FROM b, c RETURNING id",
        )
        .fetch_one(database.pool())
        .await
        .unwrap();
        Self { database, package }
    }

    /// A build that started so many hours after an arbitrary midnight.
    async fn build(&self, hour: i32, state: i32) -> i32 {
        sqlx::query_scalar(BUILD)
            .bind(self.package)
            .bind(hour)
            .bind(state)
            .fetch_one(self.database.pool())
            .await
            .unwrap()
    }

    async fn execute(&self, statement: &'static str, id: i32) {
        sqlx::query(statement).bind(id).execute(self.database.pool()).await.unwrap();
    }

    async fn last(&self) -> LastBuilds {
        let (started_is_right,): (bool,) = sqlx::query_as(
            "SELECT last_build_started IS NOT DISTINCT FROM
                    (SELECT started FROM build WHERE id = package.last_build_id)
             FROM package WHERE id = $1",
        )
        .bind(self.package)
        .fetch_one(self.database.pool())
        .await
        .unwrap();
        assert!(started_is_right);
        sqlx::query_as(
            "SELECT last_build_id, last_complete_build_id, last_complete_build_state,
                    ARRAY(SELECT id FROM build WHERE package_id = package.id AND last_complete ORDER BY id)
             FROM package WHERE id = $1",
        )
        .bind(self.package)
        .fetch_one(self.database.pool())
        .await
        .unwrap()
    }
}

const BUILD: &str = "INSERT INTO build (package_id, state, task_id, started, version, release, repo_id, last_complete)
     VALUES ($1, $3, 7, timestamp '2026-11-01' + $2 * interval '1 hour', '1', '1', 5, false) RETURNING id";

#[tokio::test]
async fn the_newest_build_that_is_not_untagged_is_the_last_one() {
    let world = World::new().await;
    assert_eq!(world.last().await, (None, None, None, vec![]));
    let first = world.build(1, 3).await;
    assert_eq!(world.last().await, (Some(first), Some(first), Some(3), vec![first]));
    let running = world.build(2, 2).await;
    assert_eq!(world.last().await, (Some(running), Some(first), Some(3), vec![first]));
    let older = world.build(0, 5).await;
    assert_eq!(world.last().await, (Some(running), Some(first), Some(3), vec![first]));
    world.execute("UPDATE build SET state = 5 WHERE id = $1", running).await;
    assert_eq!(world.last().await, (Some(running), Some(running), Some(5), vec![running]));
    world.execute("UPDATE build SET untagged = true WHERE id = $1", running).await;
    world.execute("UPDATE build SET untagged = true WHERE id = $1", first).await;
    assert_eq!(world.last().await, (Some(older), Some(older), Some(5), vec![older]));
    world.execute("UPDATE build SET untagged = false WHERE id = $1", first).await;
    assert_eq!(world.last().await, (Some(first), Some(first), Some(3), vec![first]));
}

#[tokio::test]
async fn a_build_whose_start_becomes_known_better_is_placed_anew() {
    let world = World::new().await;
    let first = world.build(1, 3).await;
    let second = world.build(2, 5).await;
    let earlier = "UPDATE build SET started = started - interval '90 minutes' WHERE id = $1";
    world.execute(earlier, second).await;
    assert_eq!(world.last().await, (Some(first), Some(first), Some(3), vec![first]));
    // Together with the state, as at the end of a scratch build.
    let running = world.build(3, 2).await;
    let end = "UPDATE build SET state = 5, started = started - interval '1 hour' WHERE id = $1";
    world.execute(end, running).await;
    assert_eq!(world.last().await, (Some(running), Some(running), Some(5), vec![running]));
}

#[tokio::test]
async fn a_last_complete_build_can_be_deleted() {
    let world = World::new().await;
    let first = world.build(1, 3).await;
    let second = world.build(2, 5).await;
    let running = world.build(3, 2).await;
    world.execute("DELETE FROM build WHERE id = $1", second).await;
    assert_eq!(world.last().await, (Some(running), Some(first), Some(3), vec![first]));
    world.execute("DELETE FROM build WHERE id = $1", first).await;
    assert_eq!(world.last().await, (Some(running), None, None, vec![]));
    world.execute("DELETE FROM build WHERE id = $1", running).await;
    assert_eq!(world.last().await, (None, None, None, vec![]));
}

#[tokio::test]
async fn deleting_an_old_build_does_not_bring_back_a_package_that_was_put_aside() {
    let world = World::new().await;
    let first = world.build(1, 3).await;
    let second = world.build(2, 3).await;
    world
        .execute(
            "UPDATE package SET last_build_id = NULL, last_build_started = NULL, last_complete_build_id = NULL,
                    last_complete_build_state = NULL, scheduler_skip_reason = 1 WHERE id = $1",
            world.package,
        )
        .await;
    world
        .execute("UPDATE build SET last_complete = false WHERE package_id = $1", world.package)
        .await;
    world.execute("DELETE FROM build WHERE id = $1", first).await;
    assert_eq!(world.last().await, (None, None, None, vec![]));
    let third = world.build(3, 3).await;
    assert_eq!(world.last().await, (Some(third), Some(third), Some(3), vec![third]));
    assert!(second < third);
}

#[tokio::test]
async fn of_two_builds_registered_at_once_the_newer_wins_whoever_commits_last() {
    let world = World::new().await;
    let mut one = world.database.begin().await.unwrap();
    let newer: i32 = sqlx::query_scalar(BUILD)
        .bind(world.package)
        .bind(10)
        .bind(3)
        .fetch_one(&mut *one)
        .await
        .unwrap();
    // The second waits for the first, and must not go by what it saw before it waited.
    let pool = world.database.pool().clone();
    let package = world.package;
    let second = tokio::spawn(async move {
        sqlx::query_scalar::<_, i32>(BUILD).bind(package).bind(9).bind(5).fetch_one(&pool).await
    });
    world.database.until_somebody_waits().await;
    one.commit().await.unwrap();
    second.await.unwrap().unwrap();
    assert_eq!(world.last().await, (Some(newer), Some(newer), Some(3), vec![newer]));
}
