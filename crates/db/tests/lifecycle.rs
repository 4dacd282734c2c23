//! Creating, taking over, upgrading and refusing databases.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test ends that way")]

use koschei_db::locks::ServiceLock;
use koschei_db::schema::{self, MIGRATIONS, SchemaError, Status};
use koschei_db::testing::{self, Database};
use koschei_db::{Error, PgConnection};

async fn execute(connection: &mut PgConnection, statements: &'static str) {
    sqlx::raw_sql(statements).execute(connection).await.unwrap();
}

async fn status(connection: &mut PgConnection) -> Status {
    schema::status(connection).await.unwrap()
}

/// The sentence with which services, `create-db` and `upgrade` refuse a database; it is the same for all three.
async fn refusal(connection: &mut PgConnection) -> String {
    let service = schema::check_current(connection).await.unwrap_err().to_string();
    let create = schema::create(connection, None).await.unwrap_err().to_string();
    let upgrade = schema::upgrade(connection, None).await.unwrap_err().to_string();
    assert_eq!(service, create);
    assert_eq!(service, upgrade);
    service
}

async fn empty() -> (Database, PgConnection) {
    let database = testing::empty_database().await;
    let connection = database.connection().await;
    (database, connection)
}

#[tokio::test]
async fn an_empty_database_is_created_once_and_then_accepted() {
    let (_database, mut connection) = empty().await;
    assert_eq!(status(&mut connection).await, Status::Empty);
    for refused in [
        schema::check_current(&mut connection).await.unwrap_err(),
        schema::upgrade(&mut connection, None).await.unwrap_err(),
    ] {
        assert_eq!(
            refused.to_string(),
            "the database is empty: create the schema with `koschei-admin create-db`"
        );
        assert!(!refused.is_transient());
    }
    // The refused upgrade has left nothing behind.
    assert_eq!(status(&mut connection).await, Status::Empty);

    schema::create(&mut connection, None).await.unwrap();
    assert_eq!(status(&mut connection).await, Status::Current);
    execute(&mut connection, "INSERT INTO admin_notice VALUES ('global_notice', 'kept')").await;
    schema::create(&mut connection, None).await.unwrap();
    schema::create_or_upgrade(&mut connection).await.unwrap();
    schema::check_current(&mut connection).await.unwrap();
    assert!(schema::upgrade(&mut connection, None).await.unwrap().is_empty());
    let kept: String = sqlx::query_scalar("SELECT content FROM admin_notice")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert_eq!(kept, "kept");
}

#[tokio::test]
async fn somebody_elses_database_is_refused_and_left_alone() {
    let (_database, mut connection) = empty().await;
    execute(
        &mut connection,
        "CREATE TABLE wp_posts (id int); CREATE VIEW package AS SELECT 1 AS one",
    )
    .await;
    assert_eq!(
        refusal(&mut connection).await,
        "the database holds tables that are not Koschei's (wp_posts): configure a database of Koschei's own"
    );
    // Another software that uses Alembic.
    execute(
        &mut connection,
        "CREATE TABLE alembic_version (version_num varchar(32)); INSERT INTO alembic_version VALUES ('c3e9459e893f')",
    )
    .await;
    assert!(matches!(status(&mut connection).await, Status::Foreign(_)));
    let tables: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace",
    )
    .fetch_one(&mut connection)
    .await
    .unwrap();
    assert_eq!(tables, 3);
}

#[tokio::test]
async fn the_original_softwares_database_is_taken_over_in_place() {
    let (_database, mut connection) = empty().await;
    schema::create_baseline(&mut connection).await.unwrap();
    assert_eq!(
        status(&mut connection).await,
        Status::Behind { applied: 0, known: MIGRATIONS.len() }
    );
    let refused = schema::check_current(&mut connection).await.unwrap_err().to_string();
    assert_eq!(
        refused,
        format!(
            "the database schema is not up to date (0 of {} migrations are applied): stop the services and run \
             `koschei-admin alembic upgrade head`",
            MIGRATIONS.len()
        )
    );
    let applied = schema::upgrade(&mut connection, None).await.unwrap();
    assert_eq!(applied.len(), MIGRATIONS.len());
    assert_eq!(status(&mut connection).await, Status::Current);
    // The way back: the original software finds its stamp as it left it.
    let stamp: String = sqlx::query_scalar("SELECT version_num FROM alembic_version")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert_eq!(stamp, schema::BASELINE_REVISION);
    let recorded: Vec<(i32, String)> =
        sqlx::query_as("SELECT number, name FROM koschei_migration ORDER BY number")
            .fetch_all(&mut connection)
            .await
            .unwrap();
    let expected: Vec<(i32, String)> =
        MIGRATIONS.iter().map(|migration| (migration.number, migration.name.to_owned())).collect();
    assert_eq!(recorded, expected);
}

#[tokio::test]
async fn an_older_revision_is_sent_to_the_original_software_first() {
    let (_database, mut connection) = empty().await;
    schema::create_baseline(&mut connection).await.unwrap();
    execute(&mut connection, "UPDATE alembic_version SET version_num = '0123456789ab'").await;
    assert_eq!(
        refusal(&mut connection).await,
        "the database was made by the original Koschei at its schema revision 0123456789ab, but only the newest, \
         c3e9459e893f, can be taken over: run `alembic upgrade head` with the original software first"
    );
}

#[tokio::test]
async fn a_newer_schema_is_left_to_the_newer_software() {
    let (_database, mut connection) = empty().await;
    schema::create(&mut connection, None).await.unwrap();
    execute(
        &mut connection,
        "INSERT INTO koschei_migration (number, name) VALUES (9999, 'from the future')",
    )
    .await;
    assert_eq!(
        refusal(&mut connection).await,
        "the database schema is newer than this version of Koschei (it has the migration \"from the future\"): \
         install the newer version"
    );
}

#[tokio::test]
async fn the_schema_is_not_changed_while_a_service_runs_nor_a_service_started_meanwhile() {
    let (database, mut connection) = empty().await;
    schema::create_baseline(&mut connection).await.unwrap();
    let one = ServiceLock::acquire(database.pool()).await.unwrap();
    let other = ServiceLock::acquire(database.pool()).await.unwrap();
    one.release().await;
    let refused = schema::upgrade(&mut connection, None).await.unwrap_err();
    let Error::Schema(SchemaError::InUse(running)) = &refused else { panic!("{refused}") };
    assert_eq!(running.len(), 1, "{running:?}");
    assert!(refused.to_string().contains(&running[0]), "{refused}");
    assert!(matches!(status(&mut connection).await, Status::Behind { applied: 0, .. }));
    other.release().await;

    // Held as an upgrade holds it.
    execute(&mut connection, "SELECT pg_advisory_lock(4, 0)").await;
    let refused = ServiceLock::acquire(database.pool()).await.unwrap_err();
    assert!(matches!(refused, Error::Schema(SchemaError::BeingChanged)), "{refused}");
    let mut other = database.connection().await;
    let refused = schema::upgrade(&mut other, None).await.unwrap_err();
    assert!(matches!(refused, Error::Schema(SchemaError::BeingChanged)), "{refused}");
    execute(&mut connection, "SELECT pg_advisory_unlock(4, 0)").await;

    schema::upgrade(&mut connection, None).await.unwrap();
    ServiceLock::acquire(database.pool()).await.unwrap();
}

#[tokio::test]
async fn a_migration_that_fails_is_rolled_back_and_named_and_those_before_it_stay() {
    let (_database, mut connection) = empty().await;
    schema::create_baseline(&mut connection).await.unwrap();
    // What migration 3 wants to replace is gone.
    execute(
        &mut connection,
        "ALTER TABLE package DROP CONSTRAINT fkey_package_last_complete_build_id",
    )
    .await;
    let error = schema::upgrade(&mut connection, None).await.unwrap_err().to_string();
    assert!(
        error.starts_with("migration 3 (last builds under concurrency and deletion) failed"),
        "{error}"
    );
    assert_eq!(
        status(&mut connection).await,
        Status::Behind { applied: 2, known: MIGRATIONS.len() }
    );
    execute(
        &mut connection,
        "ALTER TABLE package ADD CONSTRAINT fkey_package_last_complete_build_id
            FOREIGN KEY (last_complete_build_id) REFERENCES build",
    )
    .await;
    assert_eq!(schema::upgrade(&mut connection, None).await.unwrap().len(), MIGRATIONS.len() - 2);
}

#[tokio::test]
async fn two_that_create_at_once_take_turns() {
    let (database, mut connection) = empty().await;
    let mut other = database.connection().await;
    let (one, two) =
        tokio::join!(schema::create(&mut connection, None), schema::create(&mut other, None));
    one.unwrap();
    two.unwrap();
    assert_eq!(status(&mut connection).await, Status::Current);
}

#[tokio::test]
async fn the_unprivileged_role_gets_what_services_need_and_no_more() {
    let (_database, mut connection) = empty().await;
    let refused =
        schema::create(&mut connection, Some("koschei web")).await.unwrap_err().to_string();
    assert!(
        refused.starts_with("there is no database role koschei web (unpriv_db_username)"),
        "{refused}"
    );
    assert_eq!(status(&mut connection).await, Status::Empty);

    // A name that needs quotes.
    execute(&mut connection, "CREATE ROLE \"koschei web\"").await;
    schema::create(&mut connection, Some("koschei web")).await.unwrap();
    execute(&mut connection, "SET ROLE \"koschei web\"").await;
    execute(
        &mut connection,
        "INSERT INTO base_package (name) VALUES ('rnv');
         UPDATE base_package SET name = 'ed';
         DELETE FROM base_package;
         SELECT * FROM build_requires",
    )
    .await;
    for forbidden in ["CREATE TABLE t ()", "DROP TABLE package", "TRUNCATE package"] {
        let error = sqlx::raw_sql(forbidden).execute(&mut connection).await.unwrap_err();
        let code = error.as_database_error().unwrap().code().unwrap().into_owned();
        assert_eq!(code, "42501", "{forbidden}: {error}");
    }
}

/// A database of the original software with one build, started so many hours from now by the clock on its wall.
async fn with_build(hours: i32) -> (Database, PgConnection) {
    let (database, mut connection) = empty().await;
    schema::create_baseline(&mut connection).await.unwrap();
    sqlx::query(
        "INSERT INTO build (state, task_id, started, finished, version, release, repo_id, last_complete)
         VALUES (3, 1, timezone('UTC', now()) + $1 * interval '1 hour', '2026-07-01 12:00', '1', '1', 1, false)",
    )
    .bind(hours)
    .execute(&mut connection)
    .await
    .unwrap();
    execute(
        &mut connection,
        "INSERT INTO koji_task (build_id, task_id, arch, state, started) VALUES (1, 2, 'noarch', 2, '2026-07-01 11:00');
         INSERT INTO log_entry (environment, message, \"timestamp\") VALUES ('backend', 'x', '2026-12-01 00:30')",
    )
    .await;
    (database, connection)
}

#[tokio::test]
async fn local_times_of_the_original_software_become_utc_once() {
    let (_database, mut connection) = with_build(-5).await;
    for (zone, expected) in [
        (
            "Middle/Earth",
            "there is no time zone Middle/Earth: give a name such as UTC, Europe/Prague or America/New_York",
        ),
        ("", "there is no time zone : give a name such as UTC, Europe/Prague or America/New_York"),
    ] {
        let refused =
            schema::upgrade_from_zone(&mut connection, None, Some(zone)).await.unwrap_err();
        assert_eq!(refused.to_string(), expected);
    }
    assert_eq!(
        status(&mut connection).await,
        Status::Behind { applied: 0, known: MIGRATIONS.len() }
    );
    schema::upgrade_from_zone(&mut connection, None, Some("Europe/Prague")).await.unwrap();
    let times: Vec<String> = sqlx::query_scalar(
        "SELECT finished::text FROM build UNION ALL SELECT started::text FROM koji_task
         UNION ALL SELECT \"timestamp\"::text FROM log_entry",
    )
    .fetch_all(&mut connection)
    .await
    .unwrap();
    // Prague is two hours ahead in summer, one in winter.
    assert_eq!(times, ["2026-07-01 10:00:00", "2026-07-01 09:00:00", "2026-11-30 23:30:00"]);
    let again =
        schema::upgrade_from_zone(&mut connection, None, Some("Europe/Prague")).await.unwrap_err();
    assert!(matches!(again, Error::Schema(SchemaError::NothingToTakeOver)), "{again}");
    assert!(schema::upgrade(&mut connection, None).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_newest_build_in_the_future_is_not_guessed_about() {
    let (_database, mut connection) = with_build(2).await;
    let refused = schema::upgrade(&mut connection, None).await.unwrap_err().to_string();
    assert!(refused.starts_with("the newest build of this database was started at "), "{refused}");
    assert!(
        refused.contains(" if its times are UTC, and that has not come yet: say with --time-zone"),
        "{refused}"
    );
    assert_eq!(
        status(&mut connection).await,
        Status::Behind { applied: 0, known: MIGRATIONS.len() }
    );
    // Five hours ahead of UTC, all year: it was started three hours ago.
    schema::upgrade_from_zone(&mut connection, None, Some("Asia/Karachi")).await.unwrap();
    let past: bool = sqlx::query_scalar(
        "SELECT started BETWEEN timezone('UTC', now()) - interval '4 hours' AND timezone('UTC', now()) - interval '2 hours'
           FROM build",
    )
    .fetch_one(&mut connection)
    .await
    .unwrap();
    assert!(past);
}

#[tokio::test]
async fn html_in_an_old_notice_is_found() {
    let (_database, mut connection) = empty().await;
    schema::create_baseline(&mut connection).await.unwrap();
    assert!(schema::tags_in_notice(&mut connection).await.unwrap().is_empty());
    execute(
        &mut connection,
        "INSERT INTO admin_notice VALUES ('global_notice', 'f27 < f28, <b>see</b> <a href=\"https://x.org\">x</a><br/> <b>now</b>')",
    )
    .await;
    assert_eq!(
        schema::tags_in_notice(&mut connection).await.unwrap(),
        ["</a>", "</b>", "<a href=\"https://x.org\">", "<b>", "<br/>"]
    );
}
