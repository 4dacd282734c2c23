//! `base_package.all_blocked`: true when no collection has the package unblocked.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test ends that way")]

use koschei_db::testing::{self, Database};

async fn world() -> Database {
    let database = testing::database().await;
    for statement in [
        "INSERT INTO collection (name, display_name, target, dest_tag, build_tag)
         SELECT n, n, n, n, n FROM unnest(ARRAY['f40', 'f41']) AS n",
        "INSERT INTO base_package (name) VALUES ('rnv'), ('bash'), ('lonely')",
        "INSERT INTO package (base_id, name, collection_id, blocked)
         SELECT b.id, b.name, c.id, c.name = 'f41' FROM base_package b, collection c
         WHERE b.name <> 'lonely'",
    ] {
        sqlx::query(statement).execute(database.pool()).await.unwrap();
    }
    database
}

async fn all_blocked(database: &Database) -> Vec<String> {
    sqlx::query_scalar("SELECT name FROM base_package WHERE all_blocked ORDER BY name")
        .fetch_all(database.pool())
        .await
        .unwrap()
}

#[tokio::test]
async fn it_follows_inserting_blocking_and_deleting() {
    let database = world().await;
    assert_eq!(all_blocked(&database).await, ["lonely"]);
    for (statement, expected) in [
        (
            "UPDATE package SET blocked = true WHERE name = 'rnv' AND NOT blocked",
            &["lonely", "rnv"][..],
        ),
        ("UPDATE package SET blocked = true", &["bash", "lonely", "rnv"]),
        ("UPDATE package SET blocked = collection_id = 2 WHERE name = 'bash'", &["lonely", "rnv"]),
        ("DELETE FROM package WHERE name = 'bash' AND NOT blocked", &["bash", "lonely", "rnv"]),
        (
            "INSERT INTO package (base_id, name, collection_id)
             SELECT id, name, 1 FROM base_package WHERE name IN ('bash', 'lonely')",
            &["rnv"],
        ),
        ("DELETE FROM collection", &["bash", "lonely", "rnv"]),
    ] {
        sqlx::query(statement).execute(database.pool()).await.unwrap();
        assert_eq!(all_blocked(&database).await, expected, "{statement}");
    }
}

#[tokio::test]
async fn two_transactions_that_each_block_one_of_two_packages_block_them_all() {
    let database = world().await;
    let unblock = "UPDATE package SET blocked = false";
    sqlx::query(unblock).execute(database.pool()).await.unwrap();
    let block = "UPDATE package SET blocked = true WHERE name = 'rnv' AND collection_id = $1";
    let mut one = database.begin().await.unwrap();
    sqlx::query(block).bind(1).execute(&mut *one).await.unwrap();
    // The other waits for the first, and must not go by what it saw before it waited.
    let pool = database.pool().clone();
    let other = tokio::spawn(async move { sqlx::query(block).bind(2).execute(&pool).await });
    database.until_somebody_waits().await;
    one.commit().await.unwrap();
    other.await.unwrap().unwrap();
    assert_eq!(all_blocked(&database).await, ["lonely", "rnv"]);
}
