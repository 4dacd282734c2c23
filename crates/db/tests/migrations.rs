//! Our migrations over data: what was in a database of the original software is there afterwards, unchanged.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test ends that way")]

use std::collections::BTreeMap;

use koschei_db::testing::{self, Database};
use koschei_db::{PgConnection, dependency_keys, schema};

async fn execute(connection: &mut PgConnection, statements: &'static str) {
    sqlx::raw_sql(statements).execute(connection).await.unwrap();
}

async fn names(connection: &mut PgConnection, statement: &'static str) -> Vec<String> {
    sqlx::query_scalar(statement).fetch_all(connection).await.unwrap()
}

async fn baseline() -> (Database, PgConnection) {
    let database = testing::empty_database().await;
    let mut connection = database.connection().await;
    schema::create_baseline(&mut connection).await.unwrap();
    (database, connection)
}

#[tokio::test]
async fn global_groups_of_one_name_become_one_with_the_packages_and_owners_of_all() {
    let (_database, mut connection) = baseline().await;
    execute(
        &mut connection,
        "INSERT INTO base_package (name) VALUES ('ant'), ('maven'), ('rnv');
         INSERT INTO \"user\" (name) VALUES ('me'), ('you');
         INSERT INTO package_group (namespace, name)
            VALUES (NULL, 'java'), (NULL, 'perl'), (NULL, 'java'), ('me', 'java'), (NULL, 'java');
         INSERT INTO package_group_relation VALUES (1, 1), (2, 3), (3, 1), (3, 2), (4, 3);
         INSERT INTO group_acl VALUES (1, 1), (5, 1), (5, 2);",
    )
    .await;
    schema::upgrade(&mut connection, None).await.unwrap();
    let groups = names(
        &mut connection,
        "SELECT format('%s: %s %s: %s %s', g.id, g.namespace, g.name,
            ARRAY(SELECT b.name FROM package_group_relation r JOIN base_package b ON b.id = r.base_id
                  WHERE r.group_id = g.id ORDER BY 1),
            ARRAY(SELECT u.name FROM group_acl a JOIN \"user\" u ON u.id = a.user_id
                  WHERE a.group_id = g.id ORDER BY 1))
         FROM package_group g ORDER BY g.id",
    )
    .await;
    assert_eq!(
        groups,
        ["1:  java: {ant,maven} {me,you}", "2:  perl: {rnv} {}", "4: me java: {rnv} {}"]
    );
    let log = names(&mut connection, "SELECT message FROM log_entry").await;
    assert_eq!(log, ["Group java existed 3 times; its packages and owners are together now"]);
    let again = sqlx::query("INSERT INTO package_group (name) VALUES ('java')")
        .execute(&mut connection)
        .await;
    assert!(again.is_err());
}

#[tokio::test]
async fn a_wrong_all_blocked_is_put_right() {
    let (_database, mut connection) = baseline().await;
    execute(
        &mut connection,
        "INSERT INTO collection (name, display_name, target, dest_tag, build_tag) VALUES ('f40', 'F', 't', 't', 't');
         INSERT INTO base_package (name) VALUES ('blocked'), ('free'), ('none');
         INSERT INTO package (base_id, name, collection_id, blocked) VALUES (1, 'blocked', 1, true), (2, 'free', 1, false);
         UPDATE base_package SET all_blocked = NOT all_blocked;",
    )
    .await;
    schema::upgrade(&mut connection, None).await.unwrap();
    let blocked =
        names(&mut connection, "SELECT name FROM base_package WHERE all_blocked ORDER BY 1").await;
    assert_eq!(blocked, ["blocked", "none"]);
}

/// A digest of the content of each table, over the columns of the baseline.
async fn digests(
    connection: &mut PgConnection,
    columns: &BTreeMap<String, String>,
) -> Vec<(String, i64, String)> {
    let mut digests = Vec::new();
    for (table, columns) in columns {
        let statement = format!(
            "SELECT '{table}', count(*), md5(coalesce(string_agg(t::text, E'\\n' ORDER BY t::text COLLATE \"C\"), ''))
             FROM (SELECT {columns} FROM \"{table}\") AS t"
        );
        let digest: (String, i64, String) = sqlx::query_as(sqlx::AssertSqlSafe(statement))
            .fetch_one(&mut *connection)
            .await
            .unwrap();
        digests.push(digest);
    }
    digests
}

#[tokio::test]
async fn a_database_of_the_original_software_is_taken_over_unchanged() {
    let database = testing::original_database(200).await;
    let mut connection = database.connection().await;
    let columns: BTreeMap<String, String> = sqlx::query_as::<_, (String, String)>(
        "SELECT table_name::text, string_agg(quote_ident(column_name), ', ' ORDER BY ordinal_position)
         FROM information_schema.columns WHERE table_schema = 'public' GROUP BY 1",
    )
    .fetch_all(&mut connection)
    .await
    .unwrap()
    .into_iter()
    .collect();
    assert_eq!(columns.len(), 27);
    let before = digests(&mut connection, &columns).await;
    let filled = before.iter().filter(|(_, rows, _)| *rows > 0).count();
    assert!(filled >= 17, "the test data is richer than this: {before:?}");

    schema::upgrade(&mut connection, None).await.unwrap();
    assert_eq!(digests(&mut connection, &columns).await, before);

    // The lists that Python packed are read, and name dependencies that exist.
    let packed: Vec<(i32, Vec<u8>)> =
        sqlx::query_as("SELECT id, dependency_keys FROM build WHERE dependency_keys IS NOT NULL")
            .fetch_all(&mut connection)
            .await
            .unwrap();
    assert!(packed.len() > 500);
    let mut ids: Vec<i32> = Vec::new();
    for (build, keys) in packed {
        let keys =
            dependency_keys::decode(&keys).unwrap_or_else(|error| panic!("build {build}: {error}"));
        assert!(keys.len() >= 160, "{}", keys.len());
        ids.extend(keys);
    }
    let unknown: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM unnest($1::integer[]) AS wanted(key)
         WHERE NOT EXISTS (SELECT FROM dependency WHERE id = key)",
    )
    .bind(ids)
    .fetch_one(&mut connection)
    .await
    .unwrap();
    assert_eq!(unknown, 0);

    let wrong: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM package LEFT JOIN build ON build.id = package.last_build_id
         WHERE package.last_build_started IS DISTINCT FROM build.started",
    )
    .fetch_one(&mut connection)
    .await
    .unwrap();
    assert_eq!(wrong, 0);

    let wrong: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM package
         WHERE state_since IS DISTINCT FROM package_state_since(id, resolved, last_complete_build_state)
            OR (state_since IS NULL) <> (last_complete_build_id IS NULL AND resolved IS NOT FALSE)",
    )
    .fetch_one(&mut connection)
    .await
    .unwrap();
    assert_eq!(wrong, 0);

    // Our function finds the same last builds as the data says.
    execute(&mut connection, "SELECT update_last_build(id) FROM package").await;
    assert_eq!(digests(&mut connection, &columns).await, before);
}

#[tokio::test]
async fn a_collection_knows_when_its_newest_repo_was_seen() {
    let (_database, mut connection) = baseline().await;
    execute(
        &mut connection,
        "INSERT INTO collection (name, display_name, target, dest_tag, build_tag, latest_repo_id, latest_repo_resolved)
            VALUES ('f40', 'Fedora 40', 't', 'd', 'b', 7, true)",
    )
    .await;
    schema::upgrade(&mut connection, None).await.unwrap();
    let seen =
        "SELECT coalesce((latest_repo_seen BETWEEN timezone('UTC', now()) - interval '1 hour'
                    AND timezone('UTC', clock_timestamp()))::text, 'unknown') FROM collection";
    assert_eq!(names(&mut connection, seen).await, ["unknown"]);
    execute(
        &mut connection,
        "UPDATE collection SET latest_repo_id = 7, latest_repo_resolved = false",
    )
    .await;
    assert_eq!(names(&mut connection, seen).await, ["unknown"], "the same repo as before");
    execute(&mut connection, "UPDATE collection SET latest_repo_id = 8").await;
    assert_eq!(names(&mut connection, seen).await, ["true"]);
    execute(
        &mut connection,
        "UPDATE collection SET latest_repo_id = NULL, latest_repo_resolved = NULL",
    )
    .await;
    assert_eq!(names(&mut connection, seen).await, ["unknown"]);
}

#[tokio::test]
async fn patience_with_koji_begins_with_nothing_held_against_anybody() {
    let (_database, mut connection) = baseline().await;
    sqlx::raw_sql(
        "INSERT INTO collection (name, display_name, target, dest_tag, build_tag)
         VALUES ('f40', 'Fedora 40', 't', 'd', 'b');
         INSERT INTO base_package (name) VALUES ('zlib');
         INSERT INTO package (base_id, name, collection_id)
         SELECT base_package.id, 'zlib', collection.id FROM base_package, collection;
         INSERT INTO build (package_id, state, task_id, started, last_complete)
         SELECT id, 2, 7, now(), false FROM package",
    )
    .execute(&mut connection)
    .await
    .unwrap();
    schema::upgrade(&mut connection, None).await.unwrap();
    let patience = "SELECT concat_ws(' ', fault_streak, not_before, untold_since)
                      FROM package JOIN build ON build.package_id = package.id";
    assert_eq!(names(&mut connection, patience).await, ["0"]);
    execute(&mut connection, "INSERT INTO collection_freshness SELECT id FROM collection").await;
    // What is only ours goes with what it is about.
    execute(&mut connection, "DELETE FROM collection").await;
    assert!(
        names(&mut connection, "SELECT looked::text FROM collection_freshness").await.is_empty()
    );
}

#[tokio::test]
async fn the_outbox_comes_empty_to_a_database_in_use_and_keeps_the_order_of_what_is_written() {
    let (_database, mut connection) = baseline().await;
    schema::upgrade(&mut connection, None).await.unwrap();
    // As the version before left it.
    execute(
        &mut connection,
        "DROP INDEX ix_build_failed, ix_build_last_complete_told;
         DROP TABLE outbox, suspension, hold;
         DROP FUNCTION note_state_since CASCADE;
         DROP FUNCTION package_state_since;
         ALTER TABLE package DROP COLUMN state_since;
         DELETE FROM koschei_migration WHERE number >= 11;
         INSERT INTO collection (name, display_name, target, dest_tag, build_tag)
         VALUES ('f40', 'Fedora 40', 't', 'd', 'b');",
    )
    .await;
    schema::upgrade(&mut connection, None).await.unwrap();
    assert_eq!(schema::status(&mut connection).await.unwrap(), schema::Status::Current);
    assert_eq!(names(&mut connection, "SELECT name FROM collection").await, ["f40"]);
    assert_eq!(names(&mut connection, "SELECT topic FROM outbox").await, [""; 0]);
    execute(
        &mut connection,
        "INSERT INTO outbox (topic, body) VALUES ('a', '{}'), ('b', '{}'), ('c', '{}')",
    )
    .await;
    let order = names(&mut connection, "SELECT topic FROM outbox ORDER BY id").await;
    assert_eq!(order, ["a", "b", "c"]);
    let different = names(&mut connection, "SELECT DISTINCT message_id::text FROM outbox").await;
    assert_eq!(different.len(), 3);
}

#[tokio::test]
async fn suspensions_go_with_what_they_are_about_and_there_is_one_of_each() {
    let (_database, mut connection) = baseline().await;
    execute(
        &mut connection,
        "INSERT INTO collection (name, display_name, target, dest_tag, build_tag)
            VALUES ('f40', 'Fedora 40', 't', 'd', 'b');
         INSERT INTO package_group (name) VALUES ('java')",
    )
    .await;
    schema::upgrade(&mut connection, None).await.unwrap();
    execute(
        &mut connection,
        "INSERT INTO suspension (collection_id, reason) VALUES (1, 'one'), (NULL, 'all');
         INSERT INTO hold (group_id, until) VALUES (1, '2030-01-01')",
    )
    .await;
    for again in ["(1, 'x')", "(NULL, 'x')"] {
        let statement = format!("INSERT INTO suspension (collection_id, reason) VALUES {again}");
        let refused = sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(&mut connection).await;
        assert!(refused.is_err(), "{again}");
    }
    execute(&mut connection, "DELETE FROM collection; DELETE FROM package_group").await;
    assert_eq!(names(&mut connection, "SELECT reason FROM suspension").await, ["all"]);
    assert!(names(&mut connection, "SELECT until::text FROM hold").await.is_empty());
}
