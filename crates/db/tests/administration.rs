//! What administrators do is done wholly, with an entry in the audit log, or not at all.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test ends that way")]

use koschei_db::administration::{self, Actor, Error, NewCollection, Priority};
use koschei_db::entities::{self, GroupName};
use koschei_db::testing::{self, Database};
use koschei_db::{PgConnection, news};

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(ToString::to_string).collect()
}

fn me() -> Actor {
    Actor::administrator("me")
}

async fn world() -> (Database, PgConnection) {
    let database = testing::database().await;
    let mut connection = database.connection().await;
    let new = NewCollection::new("f40", "Fedora 40", "f40", "f40-build");
    administration::create_collection(&mut connection, &me(), &new).await.unwrap();
    sqlx::raw_sql(
        "INSERT INTO base_package (name) VALUES ('ant'), ('maven'), ('rnv');
         INSERT INTO package (base_id, name, collection_id, resolved, blocked)
            SELECT id, name, 1, name = 'maven', name = 'rnv' FROM base_package;",
    )
    .execute(&mut connection)
    .await
    .unwrap();
    (database, connection)
}

/// The newest entries of the audit log, oldest first.
async fn log(connection: &mut PgConnection, at_most: u32) -> Vec<String> {
    let mut entries = entities::log_entries(connection, None, at_most).await.unwrap();
    entries.reverse();
    entries.into_iter().map(|entry| entry.message).collect()
}

#[tokio::test]
async fn a_collection_is_created_once() {
    let (_database, mut connection) = world().await;
    assert_eq!(log(&mut connection, 9).await, ["Collection f40 created"]);
    let again = NewCollection::new("f40", "Other", "t", "t");
    let error =
        administration::create_collection(&mut connection, &me(), &again).await.unwrap_err();
    assert_eq!(error.to_string(), "there is a collection f40 already");
    assert_eq!(log(&mut connection, 9).await.len(), 1);
}

#[tokio::test]
async fn packages_are_tracked_all_or_none_and_only_changes_are_logged() {
    let (database, mut connection) = world().await;
    let wanted = names(&["ant", "nano", "maven", "ed", "ed"]);
    let error = administration::track(&mut connection, &me(), "f40", &wanted).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "there are no packages called ed, nano in collection f40; nothing was changed"
    );
    assert!(matches!(
        administration::track(&mut connection, &me(), "f39", &wanted).await,
        Err(Error::NoCollection(name)) if name == "f39"
    ));
    assert!(news::tracked_packages(database.pool()).await.unwrap().is_empty());
    assert_eq!(news::untracked_packages(database.pool()).await.unwrap().len(), 2);

    let tracked =
        administration::track(&mut connection, &me(), "f40", &names(&["maven", "ant", "ant"]))
            .await;
    assert_eq!(tracked.unwrap(), ["ant", "maven"]);
    let again =
        administration::track(&mut connection, &me(), "f40", &names(&["maven", "rnv"])).await;
    assert_eq!(again.unwrap(), ["rnv"]);
    assert_eq!(
        log(&mut connection, 3).await,
        [
            "Package ant (f40): tracked",
            "Package maven (f40): tracked",
            "Package rnv (f40): tracked"
        ]
    );
    let states: Vec<(String, &str)> = news::tracked_packages(database.pool())
        .await
        .unwrap()
        .into_iter()
        .map(|package| (package.name, package.state.word()))
        .collect();
    assert_eq!(
        states,
        [("ant".into(), "unresolved"), ("maven".into(), "unknown"), ("rnv".into(), "blocked")]
    );
}

#[tokio::test]
async fn each_priority_is_set_by_itself() {
    let (_database, mut connection) = world().await;
    for (priority, value) in [(Priority::Manual, -30), (Priority::Static, 7)] {
        let wanted = names(&["ant", "maven"]);
        administration::set_priority(&mut connection, &me(), "f40", &wanted, priority, value)
            .await
            .unwrap();
    }
    let all = entities::packages_by_name(&mut connection, 1, &names(&["ant", "maven", "rnv"]))
        .await
        .unwrap();
    let set: Vec<(i32, i32)> =
        all.iter().map(|package| (package.manual_priority, package.static_priority)).collect();
    assert_eq!(set, [(-30, 7), (-30, 7), (0, 0)]);
    assert_eq!(
        log(&mut connection, 2).await,
        [
            "Package ant (f40): static priority set to 7",
            "Package maven (f40): static priority set to 7"
        ]
    );
}

#[tokio::test]
async fn a_group_is_added_wholly_or_not_at_all() {
    let (_database, mut connection) = world().await;
    let packages = names(&["maven", "ant"]);
    let owners = names(&["you", "me"]);
    let error = administration::add_group(
        &mut connection,
        &me(),
        None,
        "java",
        &names(&["ant", "ed"]),
        &owners,
    )
    .await
    .unwrap_err();
    assert_eq!(error.to_string(), "there is no package called ed; nothing was changed");
    assert_eq!(entities::group(&mut connection, &"java".into()).await.unwrap(), None);

    for namespace in [None, Some("me")] {
        administration::add_group(&mut connection, &me(), namespace, "java", &packages, &owners)
            .await
            .unwrap();
        let again = administration::add_group(
            &mut connection,
            &me(),
            namespace,
            "java",
            &packages,
            &owners,
        )
        .await;
        assert!(matches!(again, Err(Error::GroupExists(_))));
        let name = GroupName { namespace: namespace.map(str::to_owned), name: "java".into() };
        let group = entities::group(&mut connection, &name).await.unwrap().unwrap();
        assert_eq!(
            entities::group_packages(&mut connection, group.id).await.unwrap(),
            ["ant", "maven"]
        );
        assert_eq!(entities::group_owners(&mut connection, group.id).await.unwrap(), ["me", "you"]);
    }
    assert_eq!(log(&mut connection, 2).await, ["Group java created", "Group me/java created"]);
}

#[tokio::test]
async fn the_notice_is_logged_and_clearing_nothing_is_not() {
    let (_database, mut connection) = world().await;
    assert!(!administration::clear_notice(&mut connection, &me()).await.unwrap());
    administration::set_notice(&mut connection, &me(), "Koji is down").await.unwrap();
    assert_eq!(entities::notice(&mut connection).await.unwrap().as_deref(), Some("Koji is down"));
    assert!(administration::clear_notice(&mut connection, &me()).await.unwrap());
    assert_eq!(entities::notice(&mut connection).await.unwrap(), None);
    assert_eq!(log(&mut connection, 2).await, ["Notice set: Koji is down", "Notice cleared"]);
}

#[tokio::test]
async fn the_news_tell_what_a_build_changed_and_why_a_package_is_unresolved() {
    let (database, mut connection) = world().await;
    sqlx::raw_sql(
        "UPDATE package SET tracked = true WHERE name <> 'rnv';
         INSERT INTO build (package_id, state, task_id, started, version, release, repo_id, last_complete, deps_resolved)
            VALUES (2, 5, 1, '2026-11-01', '1', '1', 1, false, NULL);
         INSERT INTO build (package_id, state, task_id, started, last_complete) VALUES (2, 2, 2, '2026-11-02', false);
         INSERT INTO dependency (name, epoch, version, release, arch)
            VALUES ('gcc', 0, '14', '1', 'x86_64'), ('gcc', 0, '15', '1', 'x86_64'), ('zlib', 0, '1', '1', 'x86_64');
         INSERT INTO applied_change (build_id, prev_dep_id, curr_dep_id, distance) VALUES (1, 3, NULL, NULL), (1, 1, 2, 2);
         INSERT INTO resolution_change (package_id, resolved) VALUES (1, true), (1, false);
         INSERT INTO resolution_problem (resolution_id, problem) VALUES (2, 'No package found for: zlib'), (2, 'another');",
    )
    .execute(&mut connection)
    .await
    .unwrap();
    let packages = news::tracked_packages(database.pool()).await.unwrap();
    let maven = &packages[1];
    assert_eq!(
        (maven.last_complete_build, maven.running_build, maven.collection.as_str()),
        (Some(1), Some(2), "Fedora 40")
    );
    assert_eq!(maven.state.word(), "failing");

    assert_eq!(news::changes_before_build(database.pool(), 1).await.unwrap(), None);
    sqlx::query("UPDATE build SET deps_resolved = true WHERE id = 1")
        .execute(&mut connection)
        .await
        .unwrap();
    // Resolved, but there is no build that it was compared with.
    assert_eq!(news::changes_before_build(database.pool(), 1).await.unwrap(), None);
    sqlx::query(
        "INSERT INTO build (package_id, state, task_id, started, version, release, repo_id, last_complete, deps_resolved)
            VALUES (2, 3, 3, '2026-10-01', '1', '1', 1, false, true)",
    )
    .execute(&mut connection)
    .await
    .unwrap();
    let changes = news::changes_before_build(database.pool(), 1).await.unwrap().unwrap();
    let told: Vec<(&str, Option<&str>, Option<&str>)> = changes
        .iter()
        .map(|change| (change.name.as_str(), change.before.as_deref(), change.now.as_deref()))
        .collect();
    assert_eq!(told, [("gcc", Some("14-1"), Some("15-1")), ("zlib", Some("1-1"), None)]);
    let problem = news::problem(database.pool(), 1).await.unwrap();
    assert_eq!(problem.as_deref(), Some("No package found for: zlib"));
    assert_eq!(news::problem(database.pool(), 2).await.unwrap(), None);
}
