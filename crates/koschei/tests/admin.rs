//! `koschei admin`, by the real executable on a real PostgreSQL: the procedures of the operators work as written, and a
//! mistake is one line, a status that is not 0, and no change.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests say what they expect"
)]

mod support;

#[path = "admin/adopted.rs"]
mod adopted;
#[path = "admin/collections.rs"]
mod collections;
#[path = "admin/groups.rs"]
mod groups;
#[path = "admin/operator.rs"]
mod operator;
#[path = "admin/packages.rs"]
mod packages;
#[path = "admin/procedures.rs"]
mod procedures;
#[path = "admin/selfcheck.rs"]
mod selfcheck;
#[path = "admin/suspending.rs"]
mod suspending;

use std::fs;

use koschei_db::testing::{database, empty_database};
use operator::Operator;
use support::{koschei, stderr, stdout};

#[tokio::test]
async fn the_schema_is_created_brought_up_to_date_and_asked_about() {
    let operator = Operator::with(empty_database().await).await;
    let said = operator.fails(&["koschei-admin", "db", "status"]);
    assert!(said.contains("create-db"), "{said}");
    let said = operator.fails(&["koschei-admin", "set-notice", "x"]);
    assert!(said.contains("create-db"), "{said}");
    assert_eq!(operator.succeeds(&["koschei-admin", "create-db"]), "The schema was created");
    assert_eq!(
        operator.succeeds(&["koschei-admin", "create-db"]),
        "The schema is there already and up to date"
    );
    assert_eq!(
        operator.succeeds(&["koschei-admin", "alembic", "upgrade", "head"]),
        "Nothing to do: the schema is up to date"
    );
    assert_eq!(
        operator.succeeds(&["koschei-admin", "db", "upgrade"]),
        "Nothing to do: the schema is up to date"
    );
    assert_eq!(operator.succeeds(&["koschei-admin", "db", "status"]), "The schema is up to date");
}

#[tokio::test]
async fn an_announcement_is_set_and_cleared() {
    let operator = Operator::with(database().await).await;
    let text = "Koschei operation is currently suspended due to scheduled Koji outage";
    operator.succeeds(&["koschei-admin", "set-notice", text]);
    let notice = "SELECT content FROM admin_notice WHERE key = 'global_notice'";
    assert_eq!(operator.texts(notice).await, [text]);
    let other =
        "Sumbitting scratch builds by Koschei is currently disabled due to Fedora 23 mass rebuild";
    operator.succeeds(&["koschei-admin", "set-notice", other]);
    assert_eq!(operator.texts(notice).await, [other]);
    assert_eq!(operator.succeeds(&["koschei-admin", "clear-notice"]), "Notice cleared");
    assert!(operator.texts(notice).await.is_empty());
    assert_eq!(operator.succeeds(&["koschei-admin", "clear-notice"]), "There was no notice");
    assert_eq!(
        operator.log().await,
        [
            format!("mizdebsk admin: Notice set: {text}"),
            format!("mizdebsk admin: Notice set: {other}"),
            "mizdebsk admin: Notice cleared".to_owned(),
        ]
    );
}

#[tokio::test]
async fn groups_are_added_empty_and_with_packages() {
    let operator = Operator::with_packages().await;
    operator.succeeds(&["koschei-admin", "add-group", "mynewgroup"]);
    let said = operator.fails(&["koschei-admin", "add-group", "mynewgroup", "pkg1"]);
    assert!(said.contains("there is a group mynewgroup already"), "{said}");
    operator.succeeds(&["koschei-admin", "add-group", "other", "pkg1", "pkg2", "pkg3"]);
    operator.succeeds(&[
        "koschei-admin",
        "add-group",
        "alice/mynewgroup",
        "pkg1",
        "-m",
        "alice",
        "bob",
    ]);
    let members =
        "SELECT coalesce(namespace || '/', '') || package_group.name || ' ' || base_package.name
                     FROM package_group
                     JOIN package_group_relation ON group_id = package_group.id
                     JOIN base_package ON base_package.id = base_id ORDER BY 1";
    assert_eq!(
        operator.texts(members).await,
        ["alice/mynewgroup pkg1", "other pkg1", "other pkg2", "other pkg3"]
    );
    let owners =
        r#"SELECT "user".name FROM group_acl JOIN "user" ON "user".id = user_id ORDER BY 1"#;
    assert_eq!(operator.texts(owners).await, ["alice", "bob"]);

    let said = operator.fails(&["koschei-admin", "add-group", "third", "pkg1", "nope", "nada"]);
    assert!(said.contains("no packages called nada, nope; nothing was changed"), "{said}");
    assert_eq!(operator.number("SELECT count(*) FROM package_group WHERE name = 'third'").await, 0);
}

#[tokio::test]
async fn a_static_priority_is_set_as_the_procedure_says() {
    let operator = Operator::with_packages().await;
    operator.succeeds(&[
        "koschei-admin",
        "--collection",
        "f27",
        "set-priority",
        "--static",
        "foo",
        "100",
    ]);
    let priorities = "SELECT name || ' ' || static_priority || ' ' || manual_priority FROM package
                       WHERE static_priority <> 0 OR manual_priority <> 0 ORDER BY 1";
    assert_eq!(operator.texts(priorities).await, ["foo 100 0"]);
    operator.succeeds(&[
        "koschei-admin",
        "set-priority",
        "bar",
        "baz",
        "-50",
        "--collection",
        "f27",
    ]);
    assert_eq!(operator.texts(priorities).await, ["bar 0 -50", "baz 0 -50", "foo 100 0"]);
    assert_eq!(
        operator.log().await.first().map(String::as_str),
        Some("mizdebsk admin: Package foo (f27): static priority set to 100")
    );

    let said = operator.fails(&["koschei-admin", "set-priority", "foo", "1"]);
    assert!(said.contains("--collection"), "{said}");
    let said = operator.fails(&["koschei-admin", "-c", "f99", "set-priority", "foo", "1"]);
    assert!(said.contains("there is no collection f99"), "{said}");
    let said = operator.fails(&["koschei-admin", "-c", "f27", "set-priority", "foo", "pkg1", "1"]);
    assert!(said.contains("no package called pkg1 in collection f27"), "{said}");
    assert_eq!(operator.texts(priorities).await, ["bar 0 -50", "baz 0 -50", "foo 100 0"]);
}

#[tokio::test]
async fn packages_are_tracked_all_or_none() {
    let operator = Operator::with_packages().await;
    let tracked = "SELECT name FROM package WHERE tracked ORDER BY 1";
    let said = operator.fails(&["koschei-admin", "add-pkg", "foo", "nope", "-c", "f27"]);
    assert!(
        said.contains("no package called nope in collection f27; nothing was changed"),
        "{said}"
    );
    assert!(operator.texts(tracked).await.is_empty());
    operator.succeeds(&["koschei-admin", "add-pkg", "foo", "bar", "foo", "-c", "f27"]);
    assert_eq!(operator.texts(tracked).await, ["bar", "foo"]);
    assert_eq!(operator.log().await.len(), 2);
    assert_eq!(
        operator.succeeds(&["koschei-admin", "add-pkg", "foo", "-c", "f27"]),
        "Nothing to do: tracked in f27 already"
    );
    assert_eq!(operator.log().await.len(), 2, "what changes nothing is not logged");
}

#[tokio::test]
async fn the_cache_of_repositories_is_listed_and_cleared() {
    let operator = Operator::with(database().await).await;
    let cachedir = operator.directory.path().join("cache");
    let configured = fs::read_to_string(operator.configuration()).unwrap();
    fs::write(
        operator.configuration(),
        format!("{configured}[directories]\ncachedir = {cachedir:?}\n"),
    )
    .unwrap();
    let list = ["koschei-admin", "cache", "list"];
    let clear = ["koschei-admin", "cache", "clear"];
    let kept = cachedir.join("repodata");
    assert_eq!(operator.succeeds(&list), format!("No repositories are kept in {}", kept.display()));
    assert_eq!(operator.succeeds(&clear), format!("Nothing was removed from {}", kept.display()));
    assert!(!cachedir.exists() && operator.log().await.is_empty(), "looking changes nothing");

    let packages = [rpm::md::Package {
        nevra: rpm::Nevra::new("bash", 0, "1", "1", "x86_64"),
        ..Default::default()
    }];
    let cache = repocache::Cache::new(&kept, 100, repocache::Options::default());
    let load = |name: &str| {
        let repository = operator.directory.path().join(name);
        rpm::md::write::Repository::new(&packages).write(&repository).unwrap();
        let url = format!("file://{}", repository.display());
        let none = std::collections::BTreeSet::new();
        (cache.universe(&url, "x86_64", &none, &repocache::Cancel::default()).unwrap(), url)
    };
    let (in_use, used_url) = load("one");
    let url = load("two").1;
    let said = operator.succeeds(&list);
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines.len(), 4, "{said}");
    assert!(lines[0].starts_with("LAST USED (UTC)"), "{said}");
    assert!(lines[1].contains("in use") && lines[1].ends_with(&used_url), "{said}");
    assert!(!lines[2].contains("in use") && lines[2].ends_with(&url), "{said}");
    assert!(
        lines[3].starts_with("2 repositories, ") && lines[3].ends_with("room for 100"),
        "{said}"
    );

    let said = operator.fails(&["koschei-admin", "cache", "clear", &url, "http://no/where"]);
    assert!(said.contains("no repository http://no/where in the cache"), "{said}");
    assert!(said.contains("nothing was changed"), "{said}");
    assert_eq!(cache.list().unwrap().len(), 2);

    let said = operator.succeeds(&clear);
    assert!(said.contains("1 repository removed"), "{said}");
    assert!(said.ends_with(&format!("In use, and therefore still there: {used_url}")), "{said}");
    assert_eq!(cache.list().unwrap().len(), 1);
    drop(in_use);
    let said = operator.succeeds(&["koschei-admin", "cache", "clear", &used_url]);
    assert!(said.contains("1 repository removed") && !said.contains("In use"), "{said}");
    assert!(cache.list().unwrap().is_empty());
    let log = operator.log().await;
    assert_eq!(log.len(), 2, "{log:?}");
    assert!(log[0].starts_with("mizdebsk admin: Cache of repositories on "), "{log:?}");
}

#[tokio::test]
async fn psql_talks_to_the_configured_database() {
    let operator = Operator::with_packages().await;
    let said =
        operator.succeeds(&["koschei-admin", "psql", "-At", "-c", "SELECT name FROM collection"]);
    assert_eq!(said, "f27");
    // -c is psql's here, and not the collection.
    let said = operator.types_line("koschei-admin psql -c 'SELECT 6 * 7 AS answer'");
    assert!(said.contains("42"), "{said}");
}

#[test]
fn a_mistake_in_the_configuration_is_told_before_anything_starts() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("koschei.toml");
    fs::write(&file, "[koji_config]\nmax_bilds = 3\n").unwrap();
    for line in [["admin", "clear-notice"], ["scheduler", "--once"], ["web", "--debug"]] {
        let output = koschei(&file).args(line).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        assert_eq!(
            stderr(&output),
            format!(
                "koschei: {}, line 2: there is no setting called koji_config.max_bilds \
                 (did you mean koji_config.max_builds?)",
                file.display()
            )
        );
    }
    let missing = directory.path().join("none.toml");
    let output = koschei(&missing).args(["admin", "config", "check"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("none.toml cannot be read"), "{}", stderr(&output));
}

#[test]
fn the_configuration_is_checked_and_shown_without_secrets() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("koschei.toml");
    fs::write(&file, "version = 1\n[database_config]\npassword = 'hunter2'\n").unwrap();
    let output = koschei(&file).args(["admin", "config", "check"]).output().unwrap();
    assert!(output.status.success());
    assert!(stdout(&output).starts_with("The configuration is valid: "), "{}", stdout(&output));
    assert!(stderr(&output).contains("ignored: version"), "{}", stderr(&output));
    let output = koschei(&file)
        .env("KOSCHEI__KOJI_CONFIG__MAX_BUILDS", "7")
        .args(["admin", "config", "show"])
        .output()
        .unwrap();
    let shown = stdout(&output);
    assert!(
        shown.contains("max_builds = 7") && shown.contains("password = \"********\""),
        "{shown}"
    );
    assert!(!shown.contains("hunter2"), "{shown}");
}

#[test]
fn watcher_without_the_bus_ends_with_one_sentence_and_status_2() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("koschei.toml");
    fs::write(&file, "").unwrap();
    let output = koschei(&file).arg("watcher").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(
        stderr(&output),
        "koschei: watcher needs the plugin fedmsg, which is not among the plugins of the configuration"
    );
}

#[tokio::test]
async fn a_service_refuses_a_schema_that_is_not_current_and_says_what_to_do() {
    let operator = Operator::with(empty_database().await).await;
    let output = koschei(&operator.configuration()).args(["polling", "--once"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        stderr(&output),
        "koschei: the database is empty: create the schema with `koschei-admin create-db`"
    );
}

#[tokio::test]
async fn the_schema_is_not_changed_under_services_nor_do_they_start_while_it_is_changed() {
    let operator = Operator::with(empty_database().await).await;
    let mut connection = operator.database.connection().await;
    koschei_db::schema::create_baseline(&mut connection).await.unwrap();
    let upgrade = ["koschei-admin", "alembic", "upgrade", "head"];
    let said = koschei(&operator.configuration()).args(["scheduler", "--once"]).output().unwrap();
    assert!(
        stderr(&said).ends_with("stop the services and run `koschei-admin alembic upgrade head`"),
        "{}",
        stderr(&said)
    );
    // As a service holds it.
    let running = koschei_db::locks::ServiceLock::acquire(operator.database.pool()).await.unwrap();
    assert_eq!(
        operator.fails(&upgrade),
        "koschei: services of Koschei are running on this database (koschei-test): stop them before changing its schema"
    );
    assert!(operator.fails(&["koschei-admin", "db", "status"]).contains("0 of "));
    running.release().await;
    // As an upgrade holds it.
    sqlx::query("SELECT pg_advisory_lock(4, 0)").execute(&mut connection).await.unwrap();
    let changing = "koschei: the schema of the database is being changed right now: start again when that is done";
    assert_eq!(operator.fails(&upgrade), changing);
    for service in ["polling", "web"] {
        let output = koschei(&operator.configuration()).args([service, "--once"]).output().unwrap();
        assert_eq!((output.status.code(), stderr(&output).as_str()), (Some(1), changing));
    }
    sqlx::query("SELECT pg_advisory_unlock(4, 0)").execute(&mut connection).await.unwrap();
    operator.succeeds(&upgrade);
    let output = koschei(&operator.configuration()).args(["build-resolver", "--once"]).output();
    assert!(output.unwrap().status.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn status_says_how_fresh_each_collection_is_and_why_it_may_be_stale() {
    let operator = Operator::with_packages().await;
    assert_eq!(
        operator.succeeds(&["koschei-admin", "status"]),
        "f27 (Fedora 27): no repo was resolved yet\n    \
         repo-resolver has not looked at it yet: is the service running?"
    );
    sqlx::raw_sql(
        "UPDATE collection SET latest_repo_id = 7, latest_repo_resolved = false;
         UPDATE collection SET latest_repo_seen = '2026-11-01 10:00';
         INSERT INTO buildroot_problem (collection_id, problem)
         SELECT id, 'nothing provides bash' FROM collection;
         INSERT INTO collection_freshness (collection_id, looked, trouble, trouble_since)
         SELECT id, '2026-11-01 11:00', 'the hub is away', '2026-11-01 11:30' FROM collection",
    )
    .execute(operator.database.pool())
    .await
    .unwrap();
    assert_eq!(
        operator.succeeds(&["koschei-admin", "status"]),
        "f27 (Fedora 27): repo 7 since 2026-11-01 10:00 UTC, Koji was asked for a newer one at 2026-11-01 11:00 UTC\n    \
         since 2026-11-01 11:30 UTC: the hub is away\n    \
         the build group cannot be installed, so no package is resolved: nothing provides bash"
    );
}
