//! Branching and forking copy exactly what they should, and leave the rest of the database alone.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test ends that way")]

use koschei_db::administration::{
    self, Actor, Branch, Copied, Error, Fork, branch_collection, fork_collection,
};
use koschei_db::testing::{self, Database};
use koschei_db::{PgConnection, schema};

/// Columns of a package that a copy does not have from its master: who it is, what follows from the builds that are
/// copied, and what is about the master's repos and builds in Koji.
const OF_PACKAGES: &[&str] = &[
    "id",
    "collection_id",
    "last_build_id",
    "last_build_started",
    "last_complete_build_id",
    "last_complete_build_state",
    "resolved_repo_id",
    "fault_streak",
    "not_before",
];

/// The same of a build. Only finished ones are copied, which nobody cancels or asks for.
const OF_BUILDS: &[&str] = &["id", "package_id", "cancel_requested", "untold_since"];

fn me() -> Actor {
    Actor::administrator("me")
}

fn branch() -> Branch {
    Branch {
        master: "rawhide".into(),
        new_name: "f44".into(),
        display_name: "Fedora 43".into(),
        target: "f44".into(),
        dest_tag: "f44-tag".into(),
        build_tag: "f44-build".into(),
        copy_build_tag: "f43-anew".into(),
        bugzilla_version: Some("43".into()),
    }
}

fn fork() -> Fork {
    Fork {
        master: "rawhide".into(),
        new_name: "side".into(),
        display_name: "A side tag".into(),
        target: "side-target".into(),
        dest_tag: "side-tag".into(),
        build_tag: "side-build".into(),
    }
}

/// A populated database, with everything in rawhide that could be copied wrongly.
async fn world() -> (Database, PgConnection) {
    let database = testing::original_database(150).await;
    let mut connection = database.connection().await;
    schema::upgrade(&mut connection, None).await.unwrap();
    sqlx::raw_sql(
        "-- A running build, of a package whose last complete build is old.
         UPDATE build SET started = started - interval '1 year'
          WHERE package_id = (SELECT id FROM package WHERE collection_id = 4 AND name = 'bash');
         INSERT INTO build (package_id, state, task_id, started, last_complete, version, release)
         SELECT id, 2, 77, timezone('UTC', now()), false, '1', '1' FROM package
          WHERE collection_id = 4 AND name = 'bash';
         -- A package without a source package in Koji: it has builds, and on purpose none is its last.
         UPDATE build SET last_complete = false
          WHERE package_id = (SELECT id FROM package WHERE collection_id = 4 AND name = 'gcc');
         UPDATE package SET last_build_id = NULL, last_build_started = NULL, last_complete_build_id = NULL,
                last_complete_build_state = NULL, resolved = NULL, scheduler_skip_reason = 1
          WHERE collection_id = 4 AND name = 'gcc';
         -- One whose newest build is untagged.
         UPDATE build SET untagged = true
          WHERE id = (SELECT last_build_id FROM package WHERE collection_id = 4 AND name = 'glibc');
         -- What the services remember.
         UPDATE package SET resolved_repo_id = 6400099, fault_streak = 3, not_before = now(),
                scheduler_skip_basis = 'why' WHERE collection_id = 4 AND name = 'perl';
         INSERT INTO skipped_real_build (collection_id, task_id) VALUES (4, 123), (3, 456);
         INSERT INTO buildroot_problem (collection_id, problem) VALUES (4, 'a problem');",
    )
    .execute(&mut connection)
    .await
    .unwrap();
    (database, connection)
}

/// The columns of a table except some, of which each must be there.
async fn columns(connection: &mut PgConnection, table: &str, except: &[&str]) -> String {
    let all: Vec<String> = sqlx::query_scalar(
        "SELECT column_name::text FROM information_schema.columns
          WHERE table_schema = 'public' AND table_name = $1 ORDER BY ordinal_position",
    )
    .bind(table)
    .fetch_all(connection)
    .await
    .unwrap();
    assert!(except.iter().all(|name| all.iter().any(|column| column == name)), "{table}: {all:?}");
    let kept: Vec<String> = all
        .iter()
        .filter(|column| !except.contains(&column.as_str()))
        .map(|column| format!("{table}.\"{column}\""))
        .collect();
    kept.join(", ")
}

/// Asserts that two queries give the same rows, and some at all.
async fn assert_same(connection: &mut PgConnection, what: &str, one: &str, other: &str) {
    let statement = format!(
        "SELECT (SELECT count(*) FROM ({one}) AS one),
                (SELECT count(*) FROM (({one}) EXCEPT ALL ({other})) AS more),
                (SELECT count(*) FROM (({other}) EXCEPT ALL ({one})) AS less)"
    );
    let (rows, more, less): (i64, i64, i64) =
        sqlx::query_as(sqlx::AssertSqlSafe(statement)).fetch_one(connection).await.unwrap();
    assert!(rows > 0, "{what}: nothing to compare");
    assert_eq!((more, less), (0, 0), "{what}: rows that the copy lacks, and that it has too many");
}

/// Asserts that the copy of a master has what it should have, given which builds that are.
async fn assert_copied(connection: &mut PgConnection, master: i32, copy: i32, builds: &str) {
    let package = columns(connection, "package", OF_PACKAGES).await;
    let of = |columns: &str, from: &str, collection: i32, which: &str| {
        format!(
            "SELECT {columns} FROM {from} WHERE package.collection_id = {collection} AND {which}"
        )
    };
    assert_same(
        connection,
        "packages",
        &of(&package, "package", master, "true"),
        &of(&package, "package", copy, "true"),
    )
    .await;
    let build = format!("package.name, {}", columns(connection, "build", OF_BUILDS).await);
    let task = columns(connection, "koji_task", &["id", "build_id"]).await;
    let task = format!("package.name, build.task_id AS build_task, {task}");
    let change = columns(connection, "applied_change", &["id", "build_id"]).await;
    let change = format!("package.name, build.task_id AS build_task, {change}");
    let from = "package JOIN build ON build.package_id = package.id";
    for (what, columns, from) in [
        ("builds", &build, from.to_owned()),
        ("tasks", &task, format!("{from} JOIN koji_task ON koji_task.build_id = build.id")),
        (
            "changes",
            &change,
            format!("{from} JOIN applied_change ON applied_change.build_id = build.id"),
        ),
    ] {
        let expected = of(columns, &from, master, builds);
        assert_same(connection, what, &expected, &of(columns, &from, copy, "true")).await;
    }
    let from = "package JOIN resolution_change ON resolution_change.package_id = package.id
                LEFT JOIN resolution_problem ON resolution_problem.resolution_id = resolution_change.id";
    let history = "package.name, resolution_change.resolved, resolution_change.\"timestamp\",
                   resolution_problem.problem";
    assert_same(
        connection,
        "resolution history",
        &of(history, from, master, "true"),
        &of(history, from, copy, "true"),
    )
    .await;
    let groups = |collection: i32| {
        format!("SELECT group_id FROM collection_group_relation WHERE collection_id = {collection}")
    };
    assert_same(connection, "collection groups", &groups(master), &groups(copy)).await;
    let skipped = |collection: i32| {
        format!("SELECT task_id FROM skipped_real_build WHERE collection_id = {collection}")
    };
    assert_same(connection, "builds that are not registered", &skipped(master), &skipped(copy))
        .await;

    // Last builds: newest finished one, of the package itself; of the same task as the master's last complete one.
    let wrong: Vec<String> = sqlx::query_scalar(
        "SELECT package.name
           FROM package
           JOIN package AS old ON old.base_id = package.base_id AND old.collection_id = $1
           LEFT JOIN build ON build.id = package.last_complete_build_id
           LEFT JOIN build AS old_build ON old_build.id = old.last_complete_build_id
          WHERE package.collection_id = $2
            AND (package.last_build_id IS DISTINCT FROM package.last_complete_build_id
                 OR build.task_id IS DISTINCT FROM old_build.task_id
                 OR build.state IS DISTINCT FROM package.last_complete_build_state
                 OR build.started IS DISTINCT FROM package.last_build_started
                 OR build.package_id <> package.id OR NOT build.last_complete)",
    )
    .bind(master)
    .bind(copy)
    .fetch_all(&mut *connection)
    .await
    .unwrap();
    assert!(wrong.is_empty(), "{wrong:?}");
    let nothing: i64 = sqlx::query_scalar(
        "SELECT (SELECT count(*) FROM unapplied_change JOIN package ON package.id = package_id
                  WHERE collection_id = $1)
              + (SELECT count(*) FROM package WHERE collection_id = $1
                    AND (resolved_repo_id IS NOT NULL OR fault_streak > 0 OR not_before IS NOT NULL))
              + (SELECT count(*) FROM buildroot_problem WHERE collection_id = $1)
              + (SELECT count(*) FROM collection WHERE id = $1
                    AND (latest_repo_id IS NOT NULL OR latest_repo_resolved IS NOT NULL))",
    )
    .bind(copy)
    .fetch_one(connection)
    .await
    .unwrap();
    assert_eq!(nothing, 0);
}

const OF_LAST_MONTH: &str =
    "build.state <> 2 AND (build.last_complete OR build.started > now() - interval '1 month')";
const LAST_COMPLETE: &str = "build.state <> 2 AND build.last_complete";

/// What there is of everything that existed before: a digest of each table without the rows that were added.
async fn digests(connection: &mut PgConnection, before: &[(String, i64)]) -> Vec<String> {
    let mut digests = Vec::new();
    for (table, newest) in before {
        let statement = format!(
            "SELECT '{table} ' || md5(coalesce(string_agg(t::text, E'\\n' ORDER BY id), ''))
               FROM (SELECT * FROM \"{table}\" WHERE id <= {newest}) AS t"
        );
        let digest: String = sqlx::query_scalar(sqlx::AssertSqlSafe(statement))
            .fetch_one(&mut *connection)
            .await
            .unwrap();
        digests.push(digest);
    }
    digests
}

/// The tables that copies go to, with their newest ids.
async fn newest(connection: &mut PgConnection) -> Vec<(String, i64)> {
    let mut newest = Vec::new();
    for table in [
        "base_package",
        "package",
        "build",
        "koji_task",
        "applied_change",
        "unapplied_change",
        "resolution_change",
        "resolution_problem",
        "dependency",
        "package_group",
        "log_entry",
    ] {
        let statement = format!("SELECT coalesce(max(id), 0)::bigint FROM \"{table}\"");
        let id: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(statement))
            .fetch_one(&mut *connection)
            .await
            .unwrap();
        newest.push((table.to_owned(), id));
    }
    newest
}

async fn collection(connection: &mut PgConnection, name: &str) -> String {
    sqlx::query_scalar(
        "SELECT concat_ws(' | ', id, name, display_name, target, dest_tag, build_tag, \"order\", secondary_mode,
                          priority_coefficient, bugzilla_product, bugzilla_version, poll_untracked, build_group,
                          latest_repo_id)
           FROM collection WHERE name = $1",
    )
    .bind(name)
    .fetch_one(connection)
    .await
    .unwrap()
}

async fn newest_log(connection: &mut PgConnection) -> String {
    sqlx::query_scalar("SELECT message FROM log_entry ORDER BY id DESC LIMIT 1")
        .fetch_one(connection)
        .await
        .unwrap()
}

fn assert_counted(copied: Copied, packages: u64) {
    assert_eq!(copied.packages, packages);
    assert!(copied.builds > 100, "{copied:?}");
}

#[tokio::test]
async fn a_branched_copy_takes_over_the_name_and_the_master_goes_on_unchanged() {
    let (_database, mut connection) = world().await;
    let before = newest(&mut connection).await;
    let untouched = digests(&mut connection, &before).await;
    let copied = branch_collection(&mut connection, &me(), &branch()).await.unwrap();
    assert_counted(copied, 150);
    assert_eq!(digests(&mut connection, &before).await, untouched);
    assert_eq!(
        collection(&mut connection, "f44").await,
        "4 | f44 | Fedora Rawhide | f44 | f44-tag | f44-build | 101 | f | 1 | Fedora | rawhide | t | build | 6400099"
    );
    assert_eq!(
        collection(&mut connection, "rawhide").await,
        format!(
            "{} | rawhide | Fedora 43 | rawhide | rawhide | f43-anew | 100 | f | 1 | Fedora | 43 | t | build",
            copied.collection_id
        )
    );
    assert_copied(&mut connection, 4, copied.collection_id, OF_LAST_MONTH).await;
    assert_eq!(newest_log(&mut connection).await, "Collection f44 branched from rawhide");

    // Once more on the same connection, with the master of the first time.
    let again = Branch { master: "f44".into(), new_name: "f45".into(), ..branch() };
    let copied = branch_collection(&mut connection, &me(), &again).await.unwrap();
    assert_copied(&mut connection, 4, copied.collection_id, OF_LAST_MONTH).await;
}

#[tokio::test]
async fn a_fork_has_the_last_complete_builds_and_the_master_is_not_touched() {
    let (_database, mut connection) = world().await;
    let before = newest(&mut connection).await;
    let untouched = digests(&mut connection, &before).await;
    let master = collection(&mut connection, "rawhide").await;
    let copied = fork_collection(&mut connection, &me(), &fork()).await.unwrap();
    assert_counted(copied, 150);
    assert_eq!(digests(&mut connection, &before).await, untouched);
    assert_eq!(collection(&mut connection, "rawhide").await, master);
    assert_eq!(
        collection(&mut connection, "side").await,
        format!(
            "{} | side | A side tag | side-target | side-tag | side-build | 100 | f | 1 | Fedora | rawhide | t | build",
            copied.collection_id
        )
    );
    assert_copied(&mut connection, 4, copied.collection_id, LAST_COMPLETE).await;
    assert_eq!(newest_log(&mut connection).await, "Collection side forked from rawhide");
}

async fn number(connection: &mut PgConnection, statement: &'static str) -> i64 {
    sqlx::query_scalar(statement).fetch_one(connection).await.unwrap()
}

#[tokio::test]
async fn the_next_build_in_a_fork_does_not_begin_the_state_anew() {
    let (_database, mut connection) = world().await;
    fork_collection(&mut connection, &me(), &fork()).await.unwrap();
    sqlx::raw_sql(
        "CREATE TEMPORARY TABLE was AS
         SELECT package.* FROM package JOIN collection ON collection.id = collection_id
          WHERE collection.name = 'side' AND last_complete_build_state IN (3, 5)",
    )
    .execute(&mut connection)
    .await
    .unwrap();
    let lost = "SELECT count(*) FROM was
                 WHERE state_since < package_state_since(id, resolved, last_complete_build_state)";
    assert!(number(&mut connection, lost).await > 20, "the history that is copied tells it of few");
    let build = "INSERT INTO build (package_id, state, task_id, started, last_complete, repo_id, version, release)
                 SELECT id, CASE WHEN $1 THEN last_complete_build_state ELSE 8 - last_complete_build_state END,
                        nextval('build_id_seq') + 1000000000, timezone('UTC', clock_timestamp()), false, 1, '1', '1'
                   FROM was";
    let moved = "SELECT count(*) FROM package JOIN was USING (id)
                  WHERE package.state_since IS DISTINCT FROM was.state_since";
    sqlx::query(build).bind(true).execute(&mut connection).await.unwrap();
    let built = "SELECT count(*) FROM package JOIN was USING (id)
                  WHERE package.last_complete_build_id = was.last_complete_build_id";
    assert_eq!(number(&mut connection, built).await, 0);
    assert_eq!(number(&mut connection, moved).await, 0);
    // Another outcome is another state, but of what is unresolved.
    sqlx::query(build).bind(false).execute(&mut connection).await.unwrap();
    let resolved = "SELECT count(*) FROM was WHERE resolved IS NOT FALSE";
    assert_eq!(number(&mut connection, moved).await, number(&mut connection, resolved).await);
    let unresolved = "SELECT count(*) FROM was WHERE resolved IS FALSE";
    assert!(number(&mut connection, unresolved).await > 0);
}

#[tokio::test]
async fn whoever_may_not_leave_out_checks_gets_the_same() {
    let (_database, mut connection) = world().await;
    sqlx::raw_sql(
        "CREATE ROLE plain; GRANT ALL ON ALL TABLES IN SCHEMA public TO plain;
         GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO plain; SET ROLE plain",
    )
    .execute(&mut connection)
    .await
    .unwrap();
    let refused = sqlx::raw_sql("SET session_replication_role = replica").execute(&mut connection);
    assert!(refused.await.is_err(), "the role is not as plain as this test needs it");
    let copied = branch_collection(&mut connection, &me(), &branch()).await.unwrap();
    assert_copied(&mut connection, 4, copied.collection_id, OF_LAST_MONTH).await;
}

#[tokio::test]
async fn a_mistake_changes_nothing() {
    let (_database, mut connection) = world().await;
    let before = newest(&mut connection).await;
    for (branch, expected) in [
        (Branch { master: "f99".into(), ..branch() }, "there is no collection f99"),
        (Branch { new_name: "f41".into(), ..branch() }, "there is a collection f41 already"),
    ] {
        let error = branch_collection(&mut connection, &me(), &branch).await.unwrap_err();
        assert_eq!(error.to_string(), expected);
    }
    let taken = Fork { new_name: "f41".into(), ..fork() };
    let error = fork_collection(&mut connection, &me(), &taken).await.unwrap_err();
    assert!(matches!(error, Error::CollectionExists(_)));
    assert_eq!(newest(&mut connection).await, before);
}

#[tokio::test]
async fn what_services_change_meanwhile_is_waited_for() {
    let (database, mut connection) = world().await;
    let mut service = database.connection().await;
    sqlx::raw_sql("BEGIN; UPDATE collection SET latest_repo_id = 6400100 WHERE id = 4")
        .execute(&mut service)
        .await
        .unwrap();
    let (actor, branch) = (me(), branch());
    let (copied, ()) = tokio::join!(branch_collection(&mut connection, &actor, &branch), async {
        database.until_somebody_waits().await;
        sqlx::raw_sql("COMMIT").execute(&mut service).await.unwrap();
    });
    let copied = copied.unwrap();
    let master = collection(&mut service, "f44").await;
    assert!(master.ends_with("6400100"), "{master}");
    assert_copied(&mut service, 4, copied.collection_id, OF_LAST_MONTH).await;
}

#[tokio::test]
async fn a_collection_with_packages_is_deleted_only_by_force_and_with_everything_in_it() {
    let (_database, mut connection) = world().await;
    let refused = administration::delete_collection(&mut connection, &me(), "rawhide", false).await;
    assert_eq!(
        refused.unwrap_err().to_string(),
        "collection rawhide has 150 packages, which would be deleted with the whole history of their builds, for \
         good: say --force if that is meant; nothing was changed"
    );
    let gone = administration::delete_collection(&mut connection, &me(), "rawhide", true).await;
    assert_eq!(gone.unwrap(), 150);
    let left: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM build JOIN package ON package.id = package_id WHERE collection_id = 4",
    )
    .fetch_one(&mut connection)
    .await
    .unwrap();
    assert_eq!(left, 0);
    assert_eq!(newest_log(&mut connection).await, "Collection rawhide deleted with 150 packages");
}

#[tokio::test]
async fn branching_forking_and_deleting_a_collection_tell_nobody_and_tracking_does() {
    let (_database, mut connection) = world().await;
    // As on the connections of a process that publishes.
    sqlx::query("SELECT set_config('koschei.publishing', 'on', false)")
        .execute(&mut connection)
        .await
        .unwrap();
    let told = "SELECT count(*) FROM outbox";
    administration::branch_collection(&mut connection, &me(), &branch()).await.unwrap();
    administration::fork_collection(&mut connection, &me(), &fork()).await.unwrap();
    administration::delete_collection(&mut connection, &me(), "side", true).await.unwrap();
    assert_eq!(number(&mut connection, told).await, 0);
    let names: Vec<String> = sqlx::query_scalar(
        "UPDATE package SET tracked = false
          WHERE id = (SELECT package.id FROM package JOIN collection ON collection.id = collection_id
                       WHERE collection.name = 'rawhide' AND tracked AND NOT blocked AND resolved
                         AND last_complete_build_state IS NOT NULL LIMIT 1)
         RETURNING name",
    )
    .fetch_all(&mut connection)
    .await
    .unwrap();
    assert_eq!(names.len(), 1);
    administration::track(&mut connection, &me(), "rawhide", &names).await.unwrap();
    assert_eq!(number(&mut connection, told).await, 1);
}
