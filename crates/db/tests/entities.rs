//! The plain look-ups, each over a little data.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test ends that way")]

use chrono::{DateTime, TimeZone as _, Utc};
use koschei_core::states::{BuildState, PackageState};
use koschei_db::entities::{self, Environment, GroupName, NewCollection};
use koschei_db::testing::{self, Database};

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(ToString::to_string).collect()
}

async fn execute(database: &Database, statement: &'static str) {
    sqlx::raw_sql(statement).execute(database.pool()).await.unwrap();
}

fn noon(day: u32) -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 11, day, 12, 0, 0).unwrap()
}

#[tokio::test]
async fn collections_come_in_the_order_of_the_pages() {
    let database = testing::database().await;
    for (name, order) in [("b", 40), ("B", 40), ("rawhide", 100), ("a", 40)] {
        let new = NewCollection {
            order,
            priority_coefficient: 0.5,
            ..NewCollection::new(name, "A release", "target", "tag-build")
        };
        let id = entities::create_collection(database.pool(), &new).await.unwrap();
        let collection = entities::collection(database.pool(), id.unwrap()).await.unwrap().unwrap();
        assert_eq!((collection.name.as_str(), collection.order), (name, order));
        assert_eq!(collection.dest_tag, "tag-build");
        assert!(collection.poll_untracked);
    }
    let again = NewCollection::new("rawhide", "Another", "t", "t");
    assert_eq!(entities::create_collection(database.pool(), &again).await.unwrap(), None);
    let shown: Vec<String> = entities::collections(database.pool())
        .await
        .unwrap()
        .into_iter()
        .map(|collection| collection.name)
        .collect();
    assert_eq!(shown, ["rawhide", "b", "a", "B"]);
    let found = entities::collection_by_name(database.pool(), "rawhide").await.unwrap().unwrap();
    assert_eq!(found.display_name, "A release");
    assert_eq!(entities::collection_by_name(database.pool(), "f39").await.unwrap(), None);
}

#[tokio::test]
async fn a_group_of_collections_holds_exactly_what_it_was_given() {
    let database = testing::database().await;
    let mut ids = Vec::new();
    for name in ["f40", "f41", "f42"] {
        let new = NewCollection::new(name, name, name, name);
        ids.push(entities::create_collection(database.pool(), &new).await.unwrap().unwrap());
    }
    let mut connection = database.connection().await;
    for members in [&ids[..2], &ids[1..], &[]] {
        entities::set_collection_group(&mut connection, "stable", "Stable", members).await.unwrap();
        let groups = entities::collection_groups(&mut connection).await.unwrap();
        assert_eq!(groups.len(), 1);
        assert_eq!(groups[0].0.display_name, "Stable");
        assert_eq!(groups[0].1, members);
    }
}

#[tokio::test]
async fn packages_and_builds_are_found_as_they_are() {
    let database = testing::database().await;
    execute(
        &database,
        "INSERT INTO collection (name, display_name, target, dest_tag, build_tag) VALUES ('f40', 'F', 't', 't', 't');
         INSERT INTO base_package (name) VALUES ('rnv'), ('Bash'), ('alone');
         INSERT INTO package (base_id, name, collection_id, tracked, resolved, arch_override)
            VALUES (1, 'rnv', 1, true, true, '^s390x'), (2, 'Bash', 1, false, NULL, NULL);
         INSERT INTO build (package_id, state, task_id, started, finished, epoch, version, release, repo_id,
                            last_complete, deps_resolved, dependency_keys)
            VALUES (1, 5, 70, '2026-11-01 12:00', '2026-11-02 12:00', 1, '2.0', '3', 9, false, true,
                    '\\x789c63606060040000050002'),
                   (1, 2, 80, '2026-11-03 12:00', NULL, NULL, NULL, NULL, NULL, false, NULL, NULL);
         INSERT INTO koji_task (build_id, task_id, arch, state, started)
            VALUES (1, 72, 'x86_64', 5, '2026-11-01 12:00'), (1, 71, 'aarch64', 2, '2026-11-01 12:00');
         INSERT INTO resolution_change (package_id, resolved, \"timestamp\")
            VALUES (1, false, '2026-11-01 12:00'), (1, true, '2026-11-02 12:00');
         INSERT INTO resolution_problem (resolution_id, problem) VALUES (1, 'b'), (1, 'a');
         INSERT INTO dependency (name, epoch, version, release, arch) VALUES ('glibc', 0, '2.40', '1', 'x86_64');",
    )
    .await;
    let pool = database.pool();

    let bases =
        entities::base_packages(pool, &names(&["rnv", "Bash", "alone", "none"])).await.unwrap();
    let shown: Vec<(&str, bool)> =
        bases.iter().map(|base| (base.name.as_str(), base.all_blocked)).collect();
    assert_eq!(shown, [("Bash", false), ("alone", true), ("rnv", false)]);

    let found =
        entities::packages_by_name(pool, 1, &names(&["rnv", "Bash", "none"])).await.unwrap();
    assert_eq!(
        found.iter().map(|package| package.name.as_str()).collect::<Vec<_>>(),
        ["Bash", "rnv"]
    );
    assert_eq!(found[0].state(), PackageState::Untracked);
    assert_eq!(found[1].state(), PackageState::Failing);
    assert_eq!(found[1].arch_override.as_deref(), Some("^s390x"));
    assert_eq!((found[1].last_build_id, found[1].last_complete_build_id), (Some(2), Some(1)));
    assert_eq!(entities::package(pool, found[1].id).await.unwrap().as_ref(), Some(&found[1]));

    let builds = entities::builds_of(pool, 1).await.unwrap();
    assert_eq!(builds.iter().map(|build| build.id).collect::<Vec<_>>(), [2, 1]);
    assert_eq!(
        (builds[0].state, builds[0].finished, builds[0].epoch),
        (BuildState::Running, None, None)
    );
    assert_eq!((builds[1].started, builds[1].finished), (noon(1), Some(noon(2))));
    assert_eq!((builds[1].state, builds[1].last_complete), (BuildState::Failed, true));
    assert_eq!(entities::build(pool, 1).await.unwrap().as_ref(), Some(&builds[1]));
    assert_eq!(entities::build_by_task(pool, 80).await.unwrap().as_ref(), Some(&builds[0]));
    assert_eq!(entities::build_by_task(pool, 81).await.unwrap(), None);

    let tasks = entities::tasks_of(pool, 1).await.unwrap();
    let shown: Vec<(&str, i32, DateTime<Utc>)> =
        tasks.iter().map(|task| (task.arch.as_str(), task.task_id, task.started)).collect();
    assert_eq!(shown, [("aarch64", 71, noon(1)), ("x86_64", 72, noon(1))]);

    assert_eq!(entities::dependencies_of(pool, 1).await.unwrap(), Some(vec![1]));
    assert_eq!(entities::dependencies_of(pool, 2).await.unwrap(), None);
    let dependencies = entities::dependencies(pool, &[1, 99]).await.unwrap();
    assert_eq!(dependencies.len(), 1);
    assert_eq!((dependencies[0].name.as_str(), dependencies[0].epoch), ("glibc", 0));

    let changes = entities::resolution_changes_of(pool, 1).await.unwrap();
    assert_eq!(
        (changes[0].resolved, changes[0].timestamp, changes[0].problems.len()),
        (true, noon(2), 0)
    );
    assert_eq!(changes[1].problems, ["b", "a"]);
}

#[tokio::test]
async fn a_damaged_list_of_dependencies_names_its_build() {
    let database = testing::database().await;
    execute(
        &database,
        "INSERT INTO build (state, task_id, started, last_complete, dependency_keys)
         VALUES (2, 1, now(), false, '\\x00')",
    )
    .await;
    let error = entities::dependencies_of(database.pool(), 1).await.unwrap_err();
    assert!(!error.is_transient());
    let text = error.to_string();
    assert!(
        text.starts_with("the list of dependencies of build 1 in the database is broken"),
        "{text}"
    );
}

#[tokio::test]
async fn groups_are_global_or_in_a_namespace_and_hold_exactly_what_they_were_given() {
    let database = testing::database().await;
    execute(&database, "INSERT INTO base_package (name) VALUES ('ant'), ('maven'), ('Zope')").await;
    let mut connection = database.connection().await;
    let global = GroupName::from("java-sig");
    let mine = GroupName::from("me/java-sig");
    assert_eq!((global.to_string(), mine.to_string()), ("java-sig".into(), "me/java-sig".into()));
    assert_eq!(GroupName::from("/java-sig"), global);

    let id = entities::create_group(&mut connection, &global).await.unwrap().unwrap();
    assert_eq!(entities::create_group(&mut connection, &global).await.unwrap(), None);
    let other = entities::create_group(&mut connection, &mine).await.unwrap().unwrap();
    assert_eq!(entities::create_group(&mut connection, &mine).await.unwrap(), None);
    assert_eq!(entities::group(&mut connection, &global).await.unwrap().unwrap().id, id);
    assert_eq!(entities::group(&mut connection, &mine).await.unwrap().unwrap().id, other);
    assert_eq!(entities::group(&mut connection, &"none".into()).await.unwrap(), None);

    for (wanted, unknown, has) in [
        (&["maven", "ant", "ant"][..], &[][..], &["ant", "maven"][..]),
        (&["Zope", "nano", "maven", "ed"], &["ed", "nano"], &["ant", "maven"]),
        (&["Zope", "maven"], &[], &["Zope", "maven"]),
    ] {
        let refused =
            entities::set_group_packages(&mut connection, id, &names(wanted)).await.unwrap();
        assert_eq!(refused, unknown);
        assert_eq!(entities::group_packages(&mut connection, id).await.unwrap(), has);
    }
    for owners in [&["me", "you"][..], &["You", "me"], &[]] {
        entities::set_group_owners(&mut connection, id, &names(owners)).await.unwrap();
        let mut expected = names(owners);
        expected.sort();
        assert_eq!(entities::group_owners(&mut connection, id).await.unwrap(), expected);
    }
    assert!(entities::user(&mut connection, "You").await.unwrap().is_some());
}

#[tokio::test]
async fn users_are_registered_once_and_may_become_admins() {
    let database = testing::database().await;
    let mut connection = database.connection().await;
    assert_eq!(entities::user(&mut connection, "me").await.unwrap(), None);
    let me = entities::ensure_user(&mut connection, "me").await.unwrap();
    assert_eq!(entities::ensure_user(&mut connection, "me").await.unwrap(), me);
    assert!(!me.admin);
    entities::set_admin(&mut connection, "me", true).await.unwrap();
    entities::set_admin(&mut connection, "you", true).await.unwrap();
    entities::set_admin(&mut connection, "me", false).await.unwrap();
    let admins = entities::admins(&mut connection).await.unwrap();
    assert_eq!(admins.iter().map(|user| user.name.as_str()).collect::<Vec<_>>(), ["you"]);
}

#[tokio::test]
async fn the_notice_is_set_replaced_and_cleared() {
    let database = testing::database().await;
    assert_eq!(entities::notice(database.pool()).await.unwrap(), None);
    for text in ["Koji is down", "Koji is up <again>"] {
        entities::set_notice(database.pool(), text).await.unwrap();
        assert_eq!(entities::notice(database.pool()).await.unwrap().as_deref(), Some(text));
    }
    assert!(entities::clear_notice(database.pool()).await.unwrap());
    assert!(!entities::clear_notice(database.pool()).await.unwrap());
}

#[tokio::test]
async fn deeds_are_recorded_and_only_services_act_for_nobody() {
    let database = testing::database().await;
    execute(&database, "INSERT INTO base_package (name) VALUES ('rnv')").await;
    let mut connection = database.connection().await;
    let me = entities::ensure_user(&mut connection, "me").await.unwrap();
    let before = Utc::now();
    entities::log(&mut connection, Some(me.id), Environment::Admin, "tracked rnv", Some(1))
        .await
        .unwrap();
    entities::log(&mut connection, None, Environment::Backend, "merged", None).await.unwrap();
    let error =
        entities::log(&mut connection, None, Environment::Frontend, "x", None).await.unwrap_err();
    assert_eq!(error.violated_constraint(), Some("log_entry_user_id_check"));

    let all = entities::log_entries(&mut connection, None, 10).await.unwrap();
    assert_eq!(
        all.iter().map(|entry| entry.message.as_str()).collect::<Vec<_>>(),
        ["merged", "tracked rnv"]
    );
    let both = [("one".to_owned(), 1), ("two".to_owned(), 1)];
    entities::log_all(&mut connection, Some(me.id), Environment::Frontend, &both).await.unwrap();
    let newest = entities::log_entries(&mut connection, None, 2).await.unwrap();
    assert_eq!(
        newest.iter().map(|entry| entry.message.as_str()).collect::<Vec<_>>(),
        ["two", "one"]
    );
    sqlx::query("DELETE FROM log_entry WHERE environment = 'frontend'")
        .execute(&mut connection)
        .await
        .unwrap();
    let of_package = entities::log_entries(&mut connection, Some(1), 10).await.unwrap();
    assert_eq!(of_package.len(), 1);
    assert_eq!(
        (of_package[0].user_id, of_package[0].environment),
        (Some(me.id), Environment::Admin)
    );
    // The default of the column is the server's clock in the session's zone: UTC.
    let age = of_package[0].timestamp - before;
    assert!(age.num_seconds().abs() < 60, "{age}");
}
