//! Services that meet at one package: they take turns, and none is the victim of a deadlock.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test ends that way")]

use chrono::{DateTime, TimeZone as _, Utc};
use koschei_core::states::BuildState;
use koschei_db::builds::{self, Ending, RealBuild, TaggedVersion, Untagged};
use koschei_db::resolution::{self, BuildResolution, Installed};
use koschei_db::testing::{self, Database};
use koschei_db::{PgConnection, connect};
use sqlx::Connection as _;

fn hour(hour: u32) -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 11, 1, hour, 0, 0).unwrap()
}

/// A package with a complete build (1) and a running one (2).
async fn world() -> Database {
    let database = testing::database().await;
    sqlx::raw_sql(
        "INSERT INTO collection (name, display_name, target, dest_tag, build_tag) VALUES ('f40', 'F', 't', 't', 't');
         INSERT INTO base_package (name) VALUES ('rnv');
         INSERT INTO dependency (name, epoch, version, release, arch) VALUES ('glibc', 0, '2', '1', 'x86_64');
         INSERT INTO package (base_id, name, collection_id, tracked) VALUES (1, 'rnv', 1, true);
         INSERT INTO build (package_id, state, task_id, started, version, release, repo_id, last_complete, deps_resolved)
            VALUES (1, 3, 10, '2026-11-01 01:00', '1', '1', 5, false, true),
                   (1, 2, 20, '2026-11-01 02:00', '1', '1', 6, false, NULL);",
    )
    .execute(database.pool())
    .await
    .unwrap();
    database
}

fn real_build() -> RealBuild {
    RealBuild {
        package_id: 1,
        task_id: 30,
        repo_id: 7,
        started: hour(3),
        finished: hour(4),
        epoch: None,
        version: "2".into(),
        release: "1".into(),
        subtasks: Vec::new(),
    }
}

/// Does something in a transaction, in another process.
fn another_process<T: Send + 'static>(
    database: &Database,
    work: impl AsyncFnOnce(&mut PgConnection) -> koschei_db::Result<T> + Send + 'static,
) -> std::thread::JoinHandle<T> {
    let config = database.config().clone();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let pool = connect(&config).await.unwrap();
            let mut transaction = pool.begin().await.unwrap();
            let outcome = work(&mut transaction).await.unwrap();
            transaction.commit().await.unwrap();
            outcome
        })
    })
}

async fn last_builds(database: &Database) -> (Option<i32>, Option<i32>, Vec<i32>) {
    sqlx::query_as(
        "SELECT last_build_id, last_complete_build_id, ARRAY(SELECT id FROM build WHERE last_complete ORDER BY id)
         FROM package",
    )
    .fetch_one(database.pool())
    .await
    .unwrap()
}

#[tokio::test]
async fn a_build_finishes_while_a_real_one_of_its_package_is_registered() {
    let database = world().await;
    let mut connection = database.connection().await;
    let mut transaction = connection.begin().await.unwrap();
    let locked = builds::lock_running(&mut transaction, 2).await.unwrap().unwrap();
    let other =
        another_process(&database, async |conn| builds::register_real(conn, &[real_build()]).await);
    database.until_somebody_waits().await;
    let ending = Ending {
        state: BuildState::Complete,
        started: hour(2),
        finished: hour(3),
        repo_id: 6,
        subtasks: Vec::new(),
    };
    locked.finish(&mut transaction, &ending, |_| 0).await.unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(other.join().unwrap(), [1]);
    assert_eq!(last_builds(&database).await, (Some(3), Some(3), vec![3]));
}

#[tokio::test]
async fn a_build_is_resolved_while_a_real_one_of_its_package_is_registered() {
    let database = world().await;
    sqlx::query("UPDATE build SET dependency_keys = '\\x789c63606060040000050002' WHERE id = 1")
        .execute(database.pool())
        .await
        .unwrap();
    let mut connection = database.connection().await;
    let mut transaction = connection.begin().await.unwrap();
    // Registering has come as far as the first build of the package.
    sqlx::query("SELECT FROM build WHERE id = 1 FOR NO KEY UPDATE")
        .execute(&mut *transaction)
        .await
        .unwrap();
    let other = another_process(&database, async |conn| {
        let result = BuildResolution {
            build_id: 2,
            installs: Some(vec![Installed { id: 1, distance: Some(1) }]),
        };
        resolution::store_builds(conn, &[result], 3000).await
    });
    database.until_somebody_waits().await;
    let registered = builds::register_real(&mut transaction, &[real_build()]).await.unwrap();
    assert_eq!(registered, [1]);
    transaction.commit().await.unwrap();
    assert_eq!(other.join().unwrap(), 1);
    let keys: Vec<bool> =
        sqlx::query_scalar("SELECT dependency_keys IS NOT NULL FROM build ORDER BY id")
            .fetch_all(database.pool())
            .await
            .unwrap();
    // The second one still runs, so the first one keeps its set until that has ended.
    assert_eq!(keys, [true, true, false]);
    assert_eq!(last_builds(&database).await, (Some(3), Some(3), vec![3]));
}

#[tokio::test]
async fn tagging_changes_while_a_build_of_the_package_finishes() {
    let database = world().await;
    let mut connection = database.connection().await;
    let mut transaction = connection.begin().await.unwrap();
    sqlx::query("SELECT FROM build WHERE id = 1 FOR NO KEY UPDATE")
        .execute(&mut *transaction)
        .await
        .unwrap();
    let other = another_process(&database, async |conn| {
        let locked = builds::lock_running(conn, 2).await?.unwrap();
        locked.delete(conn, "canceled", false).await
    });
    database.until_somebody_waits().await;
    let latest =
        TaggedVersion { package_id: 1, epoch: None, version: "0".into(), release: "1".into() };
    let untagged = [Untagged { latest, last: 2 }];
    assert_eq!(builds::mark_untagged(&mut transaction, &untagged).await.unwrap(), 2);
    transaction.commit().await.unwrap();
    other.join().unwrap();
    assert_eq!(last_builds(&database).await, (None, None, vec![]));
}
