//! Whatever people may enter, one package must not stop the scheduler or a page for all others.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test ends that way")]

use chrono::Utc;
use koschei_core::config::Priorities;
use koschei_db::pages::{self, Order, OrderKey, Scope};
use koschei_db::{scheduling, testing};

#[tokio::test]
async fn the_largest_priorities_add_up() {
    let database = testing::database().await;
    sqlx::raw_sql(
        "INSERT INTO collection (name, display_name, target, dest_tag, build_tag, latest_repo_id, latest_repo_resolved)
            VALUES ('f40', 'F', 't', 't', 't', 1, true);
         INSERT INTO base_package (name) VALUES ('rnv');
         INSERT INTO package (base_id, name, collection_id, tracked, resolved, manual_priority, static_priority,
                              dependency_priority, build_priority)
            VALUES (1, 'rnv', 1, true, true, 2147483647, 2147483647, 2147483647, 2147483647);
         INSERT INTO build (package_id, state, task_id, started, version, release, repo_id, last_complete)
            VALUES (1, 3, 10, '2026-11-01 01:00', '1', '1', 5, false);",
    )
    .execute(database.pool())
    .await
    .unwrap();
    let parameters = Priorities::default();
    let mut connection = database.connection().await;
    let found = scheduling::candidates(&mut connection, &parameters, Utc::now(), 10, &[], &[])
        .await
        .unwrap();
    assert!(found[0].priority > 4.0 * f64::from(i32::MAX));

    let time = parameters.time_coefficients();
    let order = [Order { key: OrderKey::CurrentPriority, reversed: false }];
    let listed =
        pages::package_list(database.pool(), 1, &Scope { time, ..Scope::default() }, &order, 10, 0)
            .await
            .unwrap();
    assert_eq!(listed.len(), 1);
    let waiting = pages::waiting_packages(database.pool(), time.0, time.1, 256.0).await.unwrap();
    assert_eq!(waiting, [(1, 1)]);
}
