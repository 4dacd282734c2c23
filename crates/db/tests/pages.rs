//! What pages read, over little worlds made by hand: states, orders, times, and the rules of spec/web.md.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test ends that way")]

use std::collections::HashMap;

use chrono::{DateTime, TimeZone as _, Utc};
use koschei_core::states::PackageState;
use koschei_db::pages::{
    self, Changed, DependencyInterval, Filter, Order, OrderKey, PackageSet, Scope,
};
use koschei_db::testing::{self, Database};

async fn execute(database: &Database, statement: &'static str) {
    sqlx::raw_sql(statement).execute(database.pool()).await.unwrap();
}

fn noon(day: u32) -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 11, day, 12, 0, 0).unwrap()
}

/// Two collections, and in the first a package for every state. Builds are at noon of the day that ends their task id.
async fn world() -> Database {
    let database = testing::database().await;
    execute(
        &database,
        r#"
        INSERT INTO collection (id, "order", name, display_name, target, dest_tag, build_tag, latest_repo_id,
            latest_repo_resolved) VALUES
            (1, 100, 'f46', 'Rawhide', 'f46', 'f46', 'f46-build', 77, true),
            (2, 90, 'f45', 'Fedora 45', 'f45', 'f45', 'f45-build', 66, false),
            (3, 100, 'g46', 'Other', 'g46', 'g46', 'g46-build', NULL, NULL);
        INSERT INTO base_package (id, name) VALUES (1, 'ok'), (2, 'failing'), (3, 'unresolved'), (4, 'unknown'),
            (5, 'untracked'), (6, 'blocked'), (7, 'Zope'), (8, 'running');
        INSERT INTO package (id, base_id, name, collection_id, tracked, blocked, resolved)
            SELECT id, id, name, 1, name <> 'untracked', name = 'blocked', CASE name WHEN 'unresolved' THEN false
                WHEN 'unknown' THEN NULL WHEN 'untracked' THEN NULL ELSE true END FROM base_package;
        INSERT INTO package (id, base_id, name, collection_id, tracked, blocked, resolved) VALUES
            (21, 1, 'ok', 2, true, false, true), (22, 2, 'failing', 2, true, false, true),
            (25, 5, 'untracked', 2, true, false, NULL), (26, 6, 'blocked', 2, false, true, NULL);
        INSERT INTO build (id, package_id, state, task_id, started, finished, version, release, repo_id, last_complete)
            SELECT task, package, state, task, timestamp '2026-11-01 12:00' + (task % 100 - 1) * interval '1 day',
                   CASE WHEN state <> 2 THEN timestamp '2026-11-01 12:10' + (task % 100 - 1) * interval '1 day' END,
                   '1', '1', 70, false
            FROM (VALUES (1, 103, 5), (1, 105, 3), (1, 107, 3), (2, 203, 3), (2, 205, 5), (2, 207, 5),
                         (3, 303, 3), (7, 704, 3), (8, 803, 3), (8, 809, 2), (21, 2103, 5), (22, 2203, 5), (25, 2503, 3))
                v (package, task, state);
        INSERT INTO koji_task (build_id, task_id, arch, state, started) VALUES
            (207, 2071, 'x86_64', 5, '2026-11-07 12:00'), (207, 2072, 'aarch64', 5, '2026-11-07 12:00'),
            (207, 2073, 's390x', 2, '2026-11-07 12:00'), (205, 2051, 'ppc64le', 5, '2026-11-05 12:00');
        INSERT INTO resolution_change (id, resolved, "timestamp", package_id) VALUES
            (1, true, '2026-11-02 12:00', 3), (2, false, '2026-11-04 12:00', 3), (3, false, '2026-11-06 12:00', 3);
        INSERT INTO resolution_problem (resolution_id, problem) VALUES
            (2, 'older'), (3, 'b needs c'), (3, 'a needs b');
        UPDATE package SET resolved = NULL WHERE name = 'unresolved';
        UPDATE package SET resolved = false WHERE name = 'unresolved';
        "#,
    )
    .await;
    database
}

fn by(key: OrderKey) -> Order {
    Order { key, reversed: false }
}

fn reversed(key: OrderKey) -> Order {
    Order { key, reversed: true }
}

async fn listed(
    database: &Database,
    untracked: bool,
    filter: Filter,
    order: &[Order],
) -> Vec<String> {
    pages::package_list(
        database.pool(),
        1,
        &Scope { untracked, filter, time: (177.0, -138.0), ..Scope::default() },
        order,
        100,
        0,
    )
    .await
    .unwrap()
    .into_iter()
    .map(|package| package.name)
    .collect()
}

#[tokio::test]
async fn the_usual_order_is_running_then_state_then_name_and_blocked_packages_are_not_listed() {
    let database = world().await;
    let usual = [by(OrderKey::Running), by(OrderKey::State), by(OrderKey::Name)];
    assert_eq!(
        listed(&database, false, Filter::Any, &usual).await,
        ["running", "unresolved", "failing", "Zope", "ok", "unknown"]
    );
    assert_eq!(
        listed(&database, true, Filter::Any, &usual).await,
        ["running", "unresolved", "failing", "Zope", "ok", "unknown", "untracked"]
    );
    let total = async |untracked, filter| {
        let scope = Scope { untracked, filter, ..Scope::default() };
        pages::package_total(database.pool(), &[1], &scope).await
    };
    assert_eq!(total(false, Filter::Any).await.unwrap(), 6);
    assert_eq!(total(true, Filter::Any).await.unwrap(), 7);
}

#[tokio::test]
async fn every_column_orders_and_names_are_ordered_by_bytes() {
    let database = world().await;
    let order = async |order: Order| listed(&database, false, Filter::Any, &[order]).await;
    assert_eq!(
        order(by(OrderKey::Name)).await,
        ["Zope", "failing", "ok", "running", "unknown", "unresolved"]
    );
    assert_eq!(
        order(reversed(OrderKey::Name)).await.first().map(String::as_str),
        Some("unresolved")
    );
    assert_eq!(
        order(by(OrderKey::TaskId)).await,
        ["ok", "failing", "unresolved", "Zope", "running", "unknown"]
    );
    assert_eq!(
        order(by(OrderKey::Started)).await,
        ["unresolved", "Zope", "failing", "ok", "running", "unknown"]
    );
    // Only what can be scheduled has a priority; among those the one that waits longest has the highest.
    assert_eq!(
        order(by(OrderKey::CurrentPriority)).await,
        ["Zope", "failing", "ok", "running", "unknown", "unresolved"]
    );
    let back = order(reversed(OrderKey::CurrentPriority)).await;
    assert_eq!(
        back.last().map(String::as_str),
        Some("unresolved"),
        "without one: last all the same"
    );
    assert_eq!(
        order(reversed(OrderKey::Running)).await.last().map(String::as_str),
        Some("running")
    );
}

#[tokio::test]
async fn a_filter_by_state_agrees_with_the_state_of_each_package() {
    let database = world().await;
    for state in PackageState::ALL {
        let found = listed(&database, false, Filter::State(state), &[by(OrderKey::Name)]).await;
        let expected: &[&str] = match state {
            PackageState::Ok => &["Zope", "ok", "running"],
            PackageState::Failing => &["failing"],
            PackageState::Unresolved => &["unresolved"],
            PackageState::Unknown => &["unknown"],
            PackageState::Untracked => &["untracked"],
            PackageState::Blocked => &[],
        };
        assert_eq!(found, expected, "{state}");
    }
    assert_eq!(listed(&database, false, Filter::Running, &[]).await, ["running"]);
    let counts = pages::counts(database.pool(), &[1]).await.unwrap();
    let [counts] = counts.as_slice() else { panic!("one collection") };
    assert_eq!(
        [
            counts.ok,
            counts.failing,
            counts.unresolved,
            counts.unknown,
            counts.untracked,
            counts.blocked
        ],
        [3, 1, 1, 1, 1, 1]
    );
    assert_eq!((counts.running, counts.tracked(), counts.listed()), (1, 6, 7));
}

#[tokio::test]
async fn a_row_says_since_when_and_why() {
    let database = world().await;
    let rows = pages::package_list(
        database.pool(),
        1,
        &Scope { untracked: true, ..Scope::default() },
        &[by(OrderKey::Name)],
        100,
        0,
    )
    .await
    .unwrap();
    let row = |name: &str| rows.iter().find(|row| row.name == name).unwrap();
    // Failing since the first failure after the last good build, not since the last failure.
    assert_eq!(row("failing").since, Some(noon(5)));
    assert_eq!(row("failing").failed_arches, ["aarch64", "x86_64"]);
    assert_eq!(row("failing").task_id, Some(207));
    assert_eq!(row("ok").since, Some(noon(5)));
    assert!(row("ok").failed_arches.is_empty());
    assert_eq!(row("running").since, Some(noon(3)));
    assert_eq!(
        (row("running").last_build_id, row("running").last_complete_build_id),
        (Some(809), Some(803))
    );
    // Unresolved since the first failure to resolve; the newest entry tells the problems.
    assert_eq!(row("unresolved").since, Some(noon(4)));
    assert_eq!(row("unresolved").problem.as_deref(), Some("a needs b"));
    assert_eq!(row("unresolved").problem_count, 2);
    assert_eq!((row("unknown").since, row("unknown").task_id), (None, None));
}

#[tokio::test]
async fn lists_are_narrowed_and_ordered_by_when_the_state_began() {
    let database = world().await;
    let names = async |changed, order| {
        let scope = Scope { changed, ..Scope::default() };
        let listed =
            pages::package_list(database.pool(), 1, &scope, &[order], 100, 0).await.unwrap();
        let counts = pages::counts_of(database.pool(), 1, &scope).await.unwrap();
        assert_eq!(counts.tracked(), listed.len() as i64, "{changed:?}");
        let total = pages::package_total(database.pool(), &[1], &scope).await.unwrap();
        assert_eq!(total, listed.len() as i64, "{changed:?}");
        listed.into_iter().map(|package| package.name).collect::<Vec<_>>()
    };
    assert_eq!(
        names(Changed::AnyTime, by(OrderKey::Since)).await,
        ["failing", "ok", "Zope", "unresolved", "running", "unknown"]
    );
    assert_eq!(
        names(Changed::AnyTime, reversed(OrderKey::Since)).await,
        ["running", "Zope", "unresolved", "failing", "ok", "unknown"]
    );
    assert_eq!(names(Changed::Since(noon(5)), by(OrderKey::Name)).await, ["failing", "ok"]);
    assert_eq!(names(Changed::Before(noon(4)), by(OrderKey::Name)).await, ["running"]);
    // A repo in which it resolves again: it is ok since then, whatever the builds say.
    execute(
        &database,
        "UPDATE package SET resolved = true WHERE name = 'unresolved';
         INSERT INTO resolution_change (id, resolved, \"timestamp\", package_id)
           SELECT 99, true, state_since, id FROM package WHERE name = 'unresolved';",
    )
    .await;
    let today = Utc::now() - chrono::TimeDelta::hours(1);
    assert_eq!(names(Changed::Since(today), by(OrderKey::Name)).await, ["unresolved"]);
    // And unresolved again since a moment ago.
    execute(&database, "UPDATE package SET resolved = false WHERE name = 'unresolved'").await;
    assert_eq!(names(Changed::Since(today), by(OrderKey::Name)).await, ["unresolved"]);
    // A build that is registered late moves when the state began, although the state stays; an untagged one, too.
    let since = async || {
        let scope = Scope { set: PackageSet::Like("failing".to_owned()), ..Scope::default() };
        let listed = pages::package_list(database.pool(), 1, &scope, &[], 1, 0).await.unwrap();
        listed[0].since
    };
    execute(
        &database,
        "INSERT INTO build (id, package_id, state, task_id, started, version, release, repo_id, last_complete)
           VALUES (999, 2, 5, 999, '2026-11-04 12:00', '1', '1', 70, false)",
    )
    .await;
    assert_eq!(since().await, Some(noon(4)));
    execute(&database, "UPDATE build SET untagged = true WHERE id IN (205, 999)").await;
    assert_eq!(since().await, Some(noon(7)));
    // What cannot be scheduled has no priority to be narrowed by.
    let scope = Scope { priority: Some(-1e9), time: (177.0, -138.0), ..Scope::default() };
    let due = pages::package_list(database.pool(), 1, &scope, &[by(OrderKey::Name)], 100, 0).await;
    let due: Vec<String> = due.unwrap().into_iter().map(|package| package.name).collect();
    assert_eq!(due, ["Zope", "failing", "ok"]);
    assert_eq!(pages::counts_of(database.pool(), 1, &scope).await.unwrap().tracked(), 3);
    // Nothing is due where operators stopped it, until the time comes.
    let count = async || pages::package_total(database.pool(), &[1], &scope).await.unwrap();
    execute(
        &database,
        "INSERT INTO package_group (id, namespace, name) VALUES (7, NULL, 'held');
         INSERT INTO package_group_relation (group_id, base_id) SELECT 7, base_id FROM package WHERE id = 2;
         INSERT INTO hold (group_id, until) VALUES (7, timezone('UTC', now()) + interval '1 day')",
    )
    .await;
    assert_eq!(count().await, 2);
    execute(&database, "UPDATE hold SET until = timezone('UTC', now()) - interval '1 minute'")
        .await;
    assert_eq!(count().await, 3);
    execute(&database, "INSERT INTO suspension (collection_id, reason) VALUES (2, 'f')").await;
    assert_eq!(count().await, 3, "of another collection");
    execute(&database, "UPDATE suspension SET collection_id = 1").await;
    assert_eq!(count().await, 0);
    execute(&database, "UPDATE suspension SET collection_id = NULL").await;
    assert_eq!(count().await, 0);
    execute(
        &database,
        "UPDATE suspension SET until = timezone('UTC', now()) - interval '1 minute'",
    )
    .await;
    assert_eq!(count().await, 3);
}

#[tokio::test]
async fn searches_take_any_case_and_groups_their_members() {
    let database = world().await;
    execute(
        &database,
        "INSERT INTO package_group (id, namespace, name) VALUES (1, NULL, 'g'), (2, 'me', 'g');
         INSERT INTO package_group_relation VALUES (1, 2), (1, 6), (2, 1);
         INSERT INTO \"user\" (id, name) VALUES (1, 'me'), (2, 'Ann'); INSERT INTO group_acl VALUES (1, 1), (1, 2);",
    )
    .await;
    let like = PackageSet::Like("%zOp%".to_owned());
    let like = Scope { set: like, ..Scope::default() };
    assert_eq!(pages::package_total(database.pool(), &[1], &like).await.unwrap(), 1);
    let group = Scope { set: PackageSet::Group(1), untracked: true, ..Scope::default() };
    assert_eq!(pages::package_total(database.pool(), &[1, 2], &group).await.unwrap(), 1);
    let groups = pages::groups(database.pool()).await.unwrap();
    let groups: Vec<(&str, i64)> =
        groups.iter().map(|group| (group.name.as_str(), group.packages)).collect();
    assert_eq!(
        groups,
        [("g", 1)],
        "a user's group is not listed, a package blocked everywhere not counted"
    );
    let group = pages::group(database.pool(), None, "g").await.unwrap().unwrap();
    assert_eq!((group.id, group.packages), (1, 1));
    assert_eq!(group.owners.len(), 2);
    assert_eq!(pages::group(database.pool(), Some("me"), "g").await.unwrap().unwrap().id, 2);
    assert!(pages::group(database.pool(), Some("you"), "g").await.unwrap().is_none());
    let names = pages::package_groups(database.pool(), &[1, 2]).await.unwrap();
    assert_eq!(names.len(), 1, "groups of users are theirs");
}

#[tokio::test]
async fn several_collections_show_failing_ones_first_and_leave_blocked_cells_empty() {
    let database = world().await;
    let usual = [by(OrderKey::Running), by(OrderKey::Failing), by(OrderKey::Name)];
    let (rows, total) =
        pages::matrix(database.pool(), &[1, 2], &Scope::default(), &usual, 100, 0).await.unwrap();
    assert_eq!(total, 7);
    let names: Vec<&str> = rows.iter().map(|row| row.name.as_str()).collect();
    // `ok` fails in the other collection; `untracked` is tracked there.
    assert_eq!(names, ["running", "failing", "ok", "unresolved", "Zope", "unknown", "untracked"]);
    let cells = |name: &str| {
        let row = rows.iter().find(|row| row.name == name).unwrap();
        let mut cells: Vec<(i32, bool)> =
            row.cells.iter().map(|cell| (cell.collection_id, cell.tracked)).collect();
        cells.sort_unstable();
        cells
    };
    assert_eq!(cells("untracked"), [(1, false), (2, true)]);
    assert_eq!(cells("Zope"), [(1, true)]);
    let by_state = [by(OrderKey::StateIn(2))];
    let (rows, total) =
        pages::matrix(database.pool(), &[1, 2], &Scope::default(), &by_state, 3, 0).await.unwrap();
    let names: Vec<&str> = rows.iter().map(|row| row.name.as_str()).collect();
    assert_eq!(
        names,
        ["failing", "ok", "untracked"],
        "those that are not in the collection come last"
    );
    let (next, _) =
        pages::matrix(database.pool(), &[1, 2], &Scope::default(), &by_state, 3, 3).await.unwrap();
    assert_eq!((rows.len(), total), (3, 7));
    assert!(next.iter().all(|row| !names.contains(&row.name.as_str())), "pages do not overlap");
}

#[tokio::test]
async fn a_package_knows_its_turn_and_its_history() {
    let database = world().await;
    let rows = pages::package(database.pool(), "failing").await.unwrap();
    assert_eq!(rows.len(), 2);
    let row = rows.iter().find(|row| row.collection_id == 1).unwrap();
    assert_eq!((row.since, row.last_task_id), (Some(noon(5)), Some(207)));
    assert!(pages::package(database.pool(), "nothing").await.unwrap().is_empty());

    let trouble = pages::trouble(database.pool(), 2).await.unwrap();
    let ids = |build: Option<pages::BuildOutcome>| build.map(|build| build.id);
    assert_eq!(
        (ids(trouble.before), ids(trouble.first), ids(trouble.last)),
        (Some(203), Some(205), Some(207))
    );
    let trouble = pages::trouble(database.pool(), 8).await.unwrap();
    assert_eq!(
        (ids(trouble.before), ids(trouble.first), ids(trouble.last)),
        (None, Some(803), Some(803))
    );
    let trouble = pages::trouble(database.pool(), 4).await.unwrap();
    assert_eq!((ids(trouble.before), ids(trouble.first), ids(trouble.last)), (None, None, None));

    let history = pages::history_builds(database.pool(), 2, None, 2).await.unwrap();
    let shown: Vec<(i32, Option<i32>)> =
        history.iter().map(|build| (build.id, build.previous_state)).collect();
    assert_eq!(shown, [(207, Some(5)), (205, Some(3))]);
    let older = pages::history_builds(database.pool(), 2, Some((noon(5), 0)), 2).await.unwrap();
    assert_eq!(older.iter().map(|build| build.id).collect::<Vec<_>>(), [203]);
    let at_once = pages::history_builds(database.pool(), 2, Some((noon(5), 206)), 2).await.unwrap();
    assert_eq!(at_once.iter().map(|build| build.id).collect::<Vec<_>>(), [205, 203]);
    let changes = pages::history_resolutions(database.pool(), 3, None, 10).await.unwrap();
    let shown: Vec<(DateTime<Utc>, bool, Option<bool>, usize)> = changes
        .iter()
        .map(|change| (change.at, change.resolved, change.previous_resolved, change.problems.len()))
        .collect();
    assert_eq!(
        shown,
        [
            (noon(6), false, Some(false), 2),
            (noon(4), false, Some(true), 1),
            (noon(2), true, None, 0)
        ]
    );
    assert_eq!(changes.first().unwrap().problems, ["a needs b", "b needs c"]);
}

#[tokio::test]
async fn untagged_builds_do_not_make_a_state() {
    let database = world().await;
    execute(&database, "UPDATE build SET untagged = true WHERE id IN (205, 207)").await;
    let rows = pages::package(database.pool(), "failing").await.unwrap();
    let row = rows.iter().find(|row| row.collection_id == 1).unwrap();
    assert_eq!((row.last_complete_build_id, row.since), (Some(203), Some(noon(3))));
}

#[tokio::test]
async fn what_turned_lately_is_told_once_with_its_reason() {
    let database = world().await;
    let turned = async |good, day| {
        let (rows, total) =
            pages::turned(database.pool(), &[1], good, noon(day), 10).await.unwrap();
        assert_eq!(total, rows.len() as i64);
        rows.into_iter().map(|row| (row.name, row.at)).collect::<Vec<_>>()
    };
    let named = |name: &str, day| (name.to_owned(), noon(day));
    assert_eq!(turned(false, 1).await, [named("failing", 5), named("unresolved", 4)]);
    assert_eq!(turned(false, 5).await, [named("failing", 5)]);
    // It failed again on the 7th, but turned on the 5th.
    assert_eq!(turned(false, 6).await, []);
    assert_eq!(turned(true, 1).await, [named("ok", 5)]);
    let (rows, total) = pages::turned(database.pool(), &[1, 2], false, noon(1), 1).await.unwrap();
    assert_eq!((rows.len(), total), (1, 2), "at most so many, and how many there are");
    let (rows, _) = pages::turned(database.pool(), &[1], false, noon(1), 10).await.unwrap();
    assert_eq!(rows.first().unwrap().failed_arches, ["ppc64le"]);
    assert_eq!(rows.last().unwrap().problem.as_deref(), Some("a needs b"));
}

async fn changes(database: &Database) {
    execute(
        database,
        "INSERT INTO dependency (id, name, epoch, version, release, arch) VALUES
            (1, 'gcc', 0, '15.1', '1', 'x86_64'), (2, 'gcc', 0, '15.2', '1', 'x86_64'),
            (3, 'gcc', 0, '15.10', '1', 'x86_64'), (4, 'gcc', 1, '1.0', '1', 'x86_64'), (5, 'zlib', 0, '1', '1', 'x86_64');
         INSERT INTO applied_change (build_id, prev_dep_id, curr_dep_id, distance) VALUES
            (205, 1, 2, 1), (205, NULL, 5, 2), (205, 5, NULL, NULL), (207, 2, 3, NULL),
            (105, 1, 2, 2), (704, 1, 2, 1), (2103, 1, 2, 1);",
    )
    .await;
}

fn interval(from: (i32, &str), to: (i32, &str)) -> DependencyInterval {
    let side = |(epoch, version): (i32, &str)| (epoch, version.to_owned(), "1".to_owned());
    DependencyInterval { name: "gcc".to_owned(), from: side(from), to: side(to) }
}

#[tokio::test]
async fn affected_by_takes_builds_that_failed_after_a_good_one_with_a_change_that_overlaps() {
    let database = world().await;
    changes(&database).await;
    let hits = async |collection, from, to| {
        let (rows, total) =
            pages::affected_by(database.pool(), collection, &interval(from, to), 50).await.unwrap();
        assert_eq!(total, rows.len() as i64);
        rows.into_iter().map(|row| row.build_id).collect::<Vec<_>>()
    };
    // The very change; 207 failed after a failure, 105 and 704 did not fail.
    assert_eq!(hits(1, (0, "15.1"), (0, "15.2")).await, [205]);
    // One side strictly inside.
    assert_eq!(hits(1, (0, "15.0"), (0, "15.2")).await, [205]);
    assert_eq!(hits(1, (0, "15.1"), (0, "15.10")).await, [205]);
    // It goes across the whole interval.
    assert_eq!(hits(1, (0, "15.1.1"), (0, "15.1.2")).await, [205]);
    // Beside it: 15.2 to 15.10 by RPM's order, and a higher epoch.
    assert_eq!(hits(1, (0, "15.2"), (0, "15.10")).await, Vec::<i32>::new());
    assert_eq!(hits(1, (1, "0"), (1, "2")).await, Vec::<i32>::new());
    // The first build of a package has no good one before it.
    assert_eq!(hits(2, (0, "15.1"), (0, "15.2")).await, Vec::<i32>::new());
    execute(&database, "UPDATE package SET tracked = false WHERE id = 2").await;
    assert_eq!(hits(1, (0, "15.1"), (0, "15.2")).await, Vec::<i32>::new());
}

#[tokio::test]
async fn culprits_are_counted_over_other_packages_of_the_collection() {
    let database = world().await;
    changes(&database).await;
    let counts = pages::culprit_counts(database.pool(), 205, 40, 100).await.unwrap();
    let gcc = counts.iter().find(|count| count.curr_id == Some(2)).unwrap();
    // `ok` and `Zope` were built with it and did not break; the package itself and other collections do not count.
    assert_eq!((gcc.packages, gcc.broke, gcc.cut), (2, 0, false));
    assert_eq!(counts.len(), 2, "what vanished cannot be found by its new side");
    execute(
        &database,
        "UPDATE build SET state = 3 WHERE id = 103; UPDATE build SET state = 5 WHERE id = 105",
    )
    .await;
    let counts = pages::culprit_counts(database.pool(), 205, 40, 100).await.unwrap();
    let gcc = counts.iter().find(|count| count.curr_id == Some(2)).unwrap();
    assert_eq!((gcc.packages, gcc.broke), (2, 1));
    let counts = pages::culprit_counts(database.pool(), 205, 40, 1).await.unwrap();
    assert!(counts.iter().find(|count| count.curr_id == Some(2)).unwrap().cut);
}

#[tokio::test]
async fn changes_of_a_build_come_nearest_first_and_say_how_many_there_are() {
    let database = world().await;
    changes(&database).await;
    let rows = pages::applied_changes(database.pool(), &[207, 205], 2).await.unwrap();
    let shown: Vec<(i32, i64, &str, Option<i32>)> = rows
        .iter()
        .map(|row| (row.owner_id, row.owner_total, row.name.as_str(), row.distance))
        .collect();
    assert_eq!(shown, [(207, 1, "gcc", None), (205, 3, "gcc", Some(1)), (205, 3, "zlib", Some(2))]);
    execute(
        &database,
        "INSERT INTO unapplied_change (package_id, prev_dep_id, curr_dep_id, distance)
         VALUES (1, 5, NULL, NULL), (1, 2, 3, 4)",
    )
    .await;
    let rows = pages::unapplied_changes(database.pool(), 1, 10).await.unwrap();
    let names: Vec<&str> = rows.iter().map(|row| row.name.as_str()).collect();
    assert_eq!(names, ["gcc", "zlib"]);
    assert_eq!(rows.first().unwrap().owner_total, 2);
}

#[tokio::test]
async fn a_build_knows_its_package_its_tasks_and_the_build_before() {
    let database = world().await;
    let build = pages::build(database.pool(), 207).await.unwrap().unwrap();
    assert_eq!(
        (build.name.as_str(), build.collection_id, build.previous_state),
        ("failing", 1, Some(5))
    );
    assert_eq!((build.started, build.evr.version.as_deref()), (noon(7), Some("1")));
    assert!(pages::build(database.pool(), 1).await.unwrap().is_none());
    let tasks = pages::tasks_of(database.pool(), &[205, 207]).await.unwrap();
    let arches: Vec<&str> = tasks.iter().map(|task| task.arch.as_str()).collect();
    assert_eq!(arches, ["ppc64le", "aarch64", "s390x", "x86_64"]);
}

#[tokio::test]
async fn root_causes_come_from_the_newest_entry_of_each_unresolved_package() {
    let database = world().await;
    let unresolved = pages::unresolved_packages(database.pool(), &[1, 2]).await.unwrap();
    let [package] = unresolved.as_slice() else { panic!("one package is unresolved") };
    assert_eq!((package.name.as_str(), package.since), ("unresolved", Some(noon(4))));
    assert_eq!(package.problems, ["a needs b", "b needs c"]);
}

#[tokio::test]
async fn what_stands_around_every_page() {
    let database = world().await;
    let collections = pages::collections(database.pool()).await.unwrap();
    let names: Vec<&str> = collections.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(names, ["g46", "f46", "f45"], "by order, then by name, both descending");
    assert_eq!(pages::admin_notice(database.pool()).await.unwrap(), None);
    execute(
        &database,
        "INSERT INTO admin_notice VALUES ('global_notice', 'Down on Saturday'), ('else', 'x');
         INSERT INTO buildroot_problem (collection_id, problem) VALUES (2, 'first'), (2, 'second'), (1, 'other');
         INSERT INTO collection_group (name, display_name) VALUES ('all', 'All'), ('none', 'None');
         INSERT INTO collection_group_relation VALUES (1, 1), (1, 2)",
    )
    .await;
    assert_eq!(
        pages::admin_notice(database.pool()).await.unwrap().as_deref(),
        Some("Down on Saturday")
    );
    let problems = pages::buildroot_problems(database.pool(), &[2]).await.unwrap();
    assert_eq!(problems, [(2, "first".to_owned()), (2, "second".to_owned())]);
    assert_eq!(pages::running_builds(database.pool()).await.unwrap(), [(1, 1)]);
    let groups = pages::collection_groups(database.pool()).await.unwrap();
    let [group] = groups.as_slice() else { panic!("a group without collections is not shown") };
    assert_eq!(group.display_name, "All");
    // Built weeks ago, so all that can be scheduled wait: ok, failing and Zope; not those of the broken buildroot.
    assert_eq!(
        pages::waiting_packages(database.pool(), 177.0, -138.0, 20.0).await.unwrap(),
        [(1, 3)]
    );
    assert_eq!(pages::waiting_packages(database.pool(), 177.0, -138.0, 1e9).await.unwrap(), []);
}

#[tokio::test]
async fn names_that_look_alike_are_suggested() {
    let database = world().await;
    let names = pages::similar_names(database.pool(), "unresolvd", 5).await.unwrap();
    assert_eq!(names.first().map(String::as_str), Some("unresolved"));
    assert!(pages::similar_names(database.pool(), "%", 5).await.unwrap().is_empty());
}

#[tokio::test]
async fn statistics_are_what_polling_wrote() {
    let database = world().await;
    assert!(pages::totals(database.pool()).await.unwrap().is_none());
    execute(
        &database,
        "INSERT INTO scalar_stats VALUES ('2026-11-07 12:00', 8, 7, 1, 13, 3, 10);
         INSERT INTO resource_consumption_stats VALUES ('b', 'x86_64', NULL, NULL), ('b', 's390x', '1 hour', 0.25),
            ('a', 'x86_64', '3 hours', 0.75)",
    )
    .await;
    let totals = pages::totals(database.pool()).await.unwrap().unwrap();
    assert_eq!((totals.refresh_time, totals.packages, totals.scratch_builds), (noon(7), 8, 10));
    let rows = pages::resource_use(database.pool(), 10, 0).await.unwrap();
    let shown: Vec<(&str, Option<f64>)> =
        rows.iter().map(|row| (row.name.as_str(), row.seconds)).collect();
    assert_eq!(shown, [("a", Some(10800.0)), ("b", Some(3600.0)), ("b", None)], "none comes last");
    assert_eq!(pages::resource_use(database.pool(), 10, 2).await.unwrap().len(), 1);
    assert_eq!(pages::resource_use_count(database.pool()).await.unwrap(), 3);
}

#[tokio::test]
async fn programs_get_every_package_ordered_by_bytes() {
    let database = world().await;
    let all = pages::api_packages(database.pool(), None, None).await.unwrap();
    let names: Vec<(&str, &str)> =
        all.iter().map(|row| (row.name.as_str(), row.collection.as_str())).collect();
    assert_eq!(names.len(), 12, "blocked and untracked ones, too");
    assert_eq!(names.first(), Some(&("Zope", "f46")));
    assert_eq!(
        names.get(1..5).unwrap(),
        [("blocked", "f46"), ("blocked", "f45"), ("failing", "f46"), ("failing", "f45")]
    );
    // The long list has the same in the same order.
    let ids = HashMap::from([("f46", 1), ("f45", 2)]);
    let bulk = pages::packages_in_bulk(database.pool(), None).await.unwrap();
    let told = |task: Option<i32>, version: Option<&str>, finished| {
        task.map(|task| (task, version.map(str::to_owned), finished))
    };
    let listed: Vec<_> = all
        .iter()
        .map(|row| {
            let build = &row.last_complete_build;
            let build = told(build.task_id, build.version.as_deref(), build.time_finished);
            (row.name.as_str(), ids[row.collection.as_str()], row.tracked, row.resolved, build)
        })
        .collect();
    let sorted = bulk.sorted(&[1, 2]).unwrap();
    let sorted: Vec<_> = sorted
        .iter()
        .map(|row| {
            let build = row
                .last_complete_build
                .and_then(|build| told(Some(build.task_id), build.version, build.time_finished));
            (row.name, row.collection_id, row.tracked, row.resolved, build)
        })
        .collect();
    assert_eq!(sorted, listed);
    let bulk = pages::packages_in_bulk(database.pool(), Some(&[2])).await.unwrap();
    let of_second = listed.iter().filter(|row| row.1 == 2).count();
    assert_eq!(bulk.sorted(&[1, 2]).unwrap().len(), of_second);
    let one =
        pages::api_packages(database.pool(), Some(&[2]), Some(&["ok".to_owned()])).await.unwrap();
    assert_eq!(one.len(), 1);
    assert_eq!(one.first().unwrap().last_complete_build.task_id, Some(2103));
    let differences = pages::api_difference(database.pool(), 1, 2).await.unwrap();
    let names: Vec<&str> = differences.iter().map(|row| row.name.as_str()).collect();
    assert_eq!(
        names,
        ["blocked", "ok", "untracked"],
        "some column differs; the word may still be the same"
    );
}
