//! Cleaning up deletes what is old and nothing else, and blocks nobody.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test ends that way")]

use chrono::{DateTime, TimeDelta, Utc};
use koschei_db::administration::{Actor, Cleaned, clean_up, months_ago};
use koschei_db::testing::{self, Database};
use koschei_db::{PgConnection, schema};

fn me() -> Actor {
    Actor::administrator("me")
}

async fn world() -> (Database, PgConnection) {
    let database = testing::original_database(150).await;
    let mut connection = database.connection().await;
    schema::upgrade(&mut connection, None).await.unwrap();
    sqlx::raw_sql(
        "-- Everything of one package is old; a running build of another is old and not its last one.
         UPDATE build SET started = started - interval '2 years'
          WHERE package_id = (SELECT id FROM package WHERE collection_id = 1 AND name = 'bash');
         INSERT INTO build (package_id, state, task_id, started, last_complete)
         SELECT id, 2, 77, timezone('UTC', now()) - interval '2 years', false FROM package
          WHERE collection_id = 1 AND name = 'gcc';
         -- A package without a source package in Koji, with old builds.
         UPDATE build SET last_complete = false, started = started - interval '2 years'
          WHERE package_id = (SELECT id FROM package WHERE collection_id = 1 AND name = 'perl');
         UPDATE package SET last_build_id = NULL, last_build_started = NULL, last_complete_build_id = NULL,
                last_complete_build_state = NULL, resolved = NULL, scheduler_skip_reason = 1
          WHERE collection_id = 1 AND name = 'perl';
         UPDATE resolution_change SET \"timestamp\" = \"timestamp\" - interval '2 years';",
    )
    .execute(&mut connection)
    .await
    .unwrap();
    (database, connection)
}

async fn number(connection: &mut PgConnection, statement: &'static str) -> i64 {
    sqlx::query_scalar(statement).fetch_one(connection).await.unwrap()
}

fn two_months_ago() -> DateTime<Utc> {
    months_ago(Utc::now(), 2)
}

#[test]
fn months_are_those_of_the_calendar() {
    let now: DateTime<Utc> = "2026-08-31T12:00:00Z".parse().unwrap();
    assert_eq!(months_ago(now, 6).to_rfc3339(), "2026-02-28T12:00:00+00:00");
}

#[tokio::test]
async fn old_builds_and_resolution_changes_go_and_all_else_stays() {
    let (_database, mut connection) = world().await;
    sqlx::raw_sql(
        "CREATE TEMPORARY TABLE expected AS
         SELECT id, to_jsonb(build) AS was FROM build
          WHERE started >= timezone('UTC', now()) - interval '2 months' OR state = 2
             OR id IN (SELECT last_build_id FROM package WHERE last_build_id IS NOT NULL)
             OR id IN (SELECT last_complete_build_id FROM package WHERE last_complete_build_id IS NOT NULL)
             -- The build with which a package comes back.
             OR id = (SELECT id FROM build WHERE NOT untagged AND package_id =
                        (SELECT id FROM package WHERE collection_id = 1 AND name = 'perl')
                       ORDER BY started DESC, id DESC LIMIT 1);
         CREATE TEMPORARY TABLE packages AS SELECT id, to_jsonb(package) AS was FROM package;",
    )
    .execute(&mut connection)
    .await
    .unwrap();
    let builds = number(&mut connection, "SELECT count(*) FROM build").await;
    let expected = number(&mut connection, "SELECT count(*) FROM expected").await;
    let unresolved =
        number(&mut connection, "SELECT count(*) FROM package WHERE resolved = false").await;
    assert!(builds > 2 * expected && expected > 600 && unresolved > 0, "{builds} {expected}");

    let cleaned = clean_up(&mut connection, &me(), two_months_ago(), |_| true).await.unwrap();
    assert_eq!(cleaned.builds as i64, builds - expected);
    assert!(!cleaned.interrupted && cleaned.resolution_changes > 0, "{cleaned:?}");
    let different = "SELECT count(*) FROM build FULL JOIN expected USING (id) WHERE to_jsonb(build) IS DISTINCT FROM was";
    assert_eq!(number(&mut connection, different).await, 0);
    let different = "SELECT count(*) FROM package FULL JOIN packages USING (id) WHERE to_jsonb(package) IS DISTINCT FROM was";
    assert_eq!(number(&mut connection, different).await, 0);
    // All changes of resolution are old: what is left tells why packages are unresolved now.
    let left = "SELECT count(*) FROM resolution_change JOIN package ON package.id = package_id
                 WHERE package.resolved = false AND NOT resolution_change.resolved";
    assert_eq!(
        number(&mut connection, "SELECT count(*) FROM resolution_change").await,
        number(&mut connection, left).await
    );
    assert_eq!(number(&mut connection, left).await, unresolved);
    let message: String =
        sqlx::query_scalar("SELECT message FROM log_entry ORDER BY id DESC LIMIT 1")
            .fetch_one(&mut connection)
            .await
            .unwrap();
    let said = format!(
        "Cleanup: deleted {} builds and {} resolution changes from before ",
        cleaned.builds, cleaned.resolution_changes
    );
    assert!(message.starts_with(&said), "{message}");

    let again = clean_up(&mut connection, &me(), two_months_ago(), |_| true).await.unwrap();
    assert_eq!(again, Cleaned::default());
}

#[tokio::test]
async fn it_may_be_interrupted_and_goes_on_the_next_time() {
    let (_database, mut connection) = world().await;
    let mut asked = 0;
    let interrupted = clean_up(&mut connection, &me(), two_months_ago(), |_| {
        asked += 1;
        asked == 1
    })
    .await
    .unwrap();
    assert!(interrupted.interrupted && interrupted.builds > 0, "{interrupted:?}");
    assert_eq!(interrupted.resolution_changes, 0);
    let rest = clean_up(&mut connection, &me(), two_months_ago(), |_| true).await.unwrap();
    assert!(!rest.interrupted && rest.resolution_changes > 0, "{rest:?}");
}

#[tokio::test]
async fn what_services_have_locked_is_left_for_the_next_time() {
    let (database, mut connection) = world().await;
    let mut service = database.connection().await;
    let old = two_months_ago() - TimeDelta::days(1);
    // A package that a service changes, and a single build.
    sqlx::raw_sql("BEGIN").execute(&mut service).await.unwrap();
    let package: i32 = sqlx::query_scalar(
        "SELECT package.id FROM package JOIN build ON build.package_id = package.id
          WHERE build.started < $1 AND NOT last_complete AND state <> 2 AND last_build_id <> build.id
          ORDER BY 1 LIMIT 1 FOR NO KEY UPDATE OF package",
    )
    .bind(old)
    .fetch_one(&mut service)
    .await
    .unwrap();
    let build: i32 = sqlx::query_scalar(
        "SELECT build.id FROM package JOIN build ON build.package_id = package.id
          WHERE build.started < $1 AND NOT last_complete AND state <> 2 AND last_build_id <> build.id
            AND package.id <> $2 ORDER BY 1 DESC LIMIT 1 FOR UPDATE OF build",
    )
    .bind(old)
    .bind(package)
    .fetch_one(&mut service)
    .await
    .unwrap();
    let still = async |connection: &mut PgConnection| -> (i64, i64) {
        sqlx::query_as(
            "SELECT count(*) FILTER (WHERE package_id = $1 AND started < $3), count(*) FILTER (WHERE id = $2)
               FROM build",
        )
        .bind(package)
        .bind(build)
        .bind(old)
        .fetch_one(connection)
        .await
        .unwrap()
    };
    let before = still(&mut connection).await;
    let cleaned = clean_up(&mut connection, &me(), two_months_ago(), |_| true).await.unwrap();
    assert!(cleaned.builds > 100);
    assert_eq!(still(&mut connection).await, before);
    sqlx::raw_sql("ROLLBACK").execute(&mut service).await.unwrap();
    clean_up(&mut connection, &me(), two_months_ago(), |_| true).await.unwrap();
    let after = still(&mut connection).await;
    assert!(after.0 < before.0 && after.1 == 0, "{after:?}");
}
