//! Priorities in SQL, and what the scheduler sets aside.

use chrono::TimeDelta;
use koschei_core::config::Priorities;
use koschei_core::priorities::Weights;
use koschei_core::states::PackageState;
use koschei_db::scheduling::{self, Candidate};

use crate::world::{World, hour};

async fn candidates(world: &World, now: i64) -> Vec<Candidate> {
    let mut conn = world.connection().await;
    scheduling::candidates(&mut conn, &Priorities::default(), hour(now), 100, &[], &[])
        .await
        .unwrap()
}

/// A package that is ready to be built, last built at hour 0.
async fn ready(world: &World, name: &str) -> i32 {
    let package = world.package(name).await;
    world.build(package, 0, 3).await;
    world.execute("UPDATE package SET resolved = true WHERE id = $1", package).await;
    package
}

#[tokio::test]
async fn the_formula_in_sql_is_the_one_of_the_rules() {
    let world = World::new().await;
    world
        .execute("UPDATE collection SET priority_coefficient = 0.7 WHERE id = $1", world.collection)
        .await;
    let parameters =
        Priorities { build_threshold: -1e9, t0: 5.0, t1: 100.0, ..Priorities::default() };
    let mut expected = Vec::new();
    for (index, minutes) in
        [-60, 0, 1, 359, 360, 361, 6000, 10_080, 500_000].into_iter().enumerate()
    {
        let index = i32::try_from(index).unwrap();
        let package = ready(&world, &format!("package{index}")).await;
        let weights =
            Weights { static_: index, manual: -3 * index, build: 200 * index, dependency: 85 };
        sqlx::query(
            "UPDATE package SET static_priority = $2, manual_priority = $3, build_priority = $4,
                    dependency_priority = $5 WHERE id = $1",
        )
        .bind(package)
        .bind(weights.static_)
        .bind(weights.manual)
        .bind(weights.build)
        .bind(weights.dependency)
        .execute(world.database.pool())
        .await
        .unwrap();
        let started = hour(0) - TimeDelta::minutes(minutes);
        sqlx::query("UPDATE build SET started = $2 WHERE package_id = $1")
            .bind(package)
            .bind(started)
            .execute(world.database.pool())
            .await
            .unwrap();
        expected.push((package, parameters.current(&weights, minutes as f64 / 60.0, 0.7)));
    }
    expected.sort_by(|a, b| b.1.total_cmp(&a.1));
    let mut conn = world.connection().await;
    let found =
        scheduling::candidates(&mut conn, &parameters, hour(0), 100, &[], &[]).await.unwrap();
    assert_eq!(found.len(), expected.len());
    for (candidate, (package, priority)) in found.iter().zip(expected) {
        assert_eq!(candidate.package_id, package);
        assert!((candidate.priority - priority).abs() < 1e-6, "{} {priority}", candidate.priority);
    }
}

#[tokio::test]
async fn a_week_after_the_last_build_it_is_time_again() {
    let world = World::new().await;
    let package = ready(&world, "zlib").await;
    assert!(candidates(&world, 167).await.is_empty());
    let found = candidates(&world, 169).await;
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].package_id, found[0].release.as_str()), (package, "0"));
}

#[tokio::test]
async fn each_reason_keeps_a_package_from_being_built() {
    for statement in [
        "UPDATE package SET blocked = true WHERE id = $1",
        "UPDATE package SET tracked = false WHERE id = $1",
        "UPDATE package SET resolved = false WHERE id = $1",
        "UPDATE package SET resolved = NULL WHERE id = $1",
        "UPDATE package SET scheduler_skip_reason = 2 WHERE id = $1",
        "UPDATE package SET not_before = timestamp '2026-11-01' + interval '1001 hours' WHERE id = $1",
        "UPDATE build SET state = 2 WHERE package_id = $1",
        "DELETE FROM build WHERE package_id = $1",
        "UPDATE collection SET latest_repo_resolved = false FROM package
          WHERE package.id = $1 AND collection.id = collection_id",
        "UPDATE collection SET latest_repo_resolved = NULL, latest_repo_id = NULL FROM package
          WHERE package.id = $1 AND collection.id = collection_id",
    ] {
        let world = World::new().await;
        let package = ready(&world, "zlib").await;
        world.execute(statement, package).await;
        assert!(candidates(&world, 1000).await.is_empty(), "{statement}");
    }
    let world = World::new().await;
    let package = ready(&world, "zlib").await;
    world
        .execute(
            "UPDATE package SET resolved = NULL, skip_resolution = true WHERE id = $1",
            package,
        )
        .await;
    assert_eq!(candidates(&world, 1000).await.len(), 1, "it need not be resolved");
    let passed = "UPDATE package SET not_before = timestamp '2026-11-01' + interval '999 hours' WHERE id = $1";
    world.execute(passed, package).await;
    assert_eq!(candidates(&world, 1000).await.len(), 1, "it waited long enough");
}

#[tokio::test]
async fn a_running_build_after_a_complete_one_is_a_reason_too() {
    let world = World::new().await;
    let package = ready(&world, "zlib").await;
    world.build(package, 1, 2).await;
    assert!(candidates(&world, 1000).await.is_empty());
}

#[tokio::test]
async fn the_most_urgent_come_first_and_some_are_left_out() {
    let world = World::new().await;
    let (low, high) = (ready(&world, "low").await, ready(&world, "high").await);
    world.execute("UPDATE package SET manual_priority = 500 WHERE id = $1", high).await;
    let ids =
        |found: Vec<Candidate>| found.iter().map(|found| found.package_id).collect::<Vec<_>>();
    assert_eq!(ids(candidates(&world, 200).await), [high, low]);
    let mut conn = world.connection().await;
    let parameters = Priorities::default();
    let one = scheduling::candidates(&mut conn, &parameters, hour(200), 1, &[], &[]).await.unwrap();
    assert_eq!(ids(one), [high]);
    let other =
        scheduling::candidates(&mut conn, &parameters, hour(200), 9, &[high], &[]).await.unwrap();
    assert_eq!(ids(other), [low]);
    let except = [world.collection];
    let none = scheduling::candidates(&mut conn, &parameters, hour(200), 9, &[], &except).await;
    assert!(none.unwrap().is_empty());
}

#[tokio::test]
async fn a_package_without_an_architecture_is_set_aside_until_it_is_taken_back() {
    let world = World::new().await;
    let package = ready(&world, "zlib").await;
    let mut conn = world.connection().await;
    scheduling::set_aside(&mut conn, package, "tag s390x").await.unwrap();
    assert!(candidates(&world, 200).await.is_empty());
    let aside = scheduling::without_architecture(&mut conn).await.unwrap();
    assert_eq!((aside[0].package_id, aside[0].basis.as_deref()), (package, Some("tag s390x")));
    scheduling::take_back(&mut conn, &[package]).await.unwrap();
    assert_eq!(candidates(&world, 200).await.len(), 1);
}

#[tokio::test]
async fn a_package_without_source_is_forgotten_until_a_build_of_it_is_inserted() {
    let world = World::new().await;
    let package = ready(&world, "zlib").await;
    let last =
        world.number("SELECT last_build_id::bigint FROM package WHERE id = $1", package).await;
    let last = i32::try_from(last.unwrap()).unwrap();
    let mut conn = world.connection().await;
    scheduling::forget_without_srpm(&mut conn, package, last + 1).await.unwrap();
    assert_eq!(world.state(package).await, PackageState::Ok, "there is a newer build already");
    scheduling::forget_without_srpm(&mut conn, package, last).await.unwrap();
    assert_eq!(world.state(package).await, PackageState::Unknown);
    let row = "SELECT (count(*) FILTER (WHERE scheduler_skip_reason = 1 AND resolved IS NULL
                         AND last_build_id IS NULL AND last_complete_build_id IS NULL)) FROM package WHERE id = $1";
    assert_eq!(world.number(row, package).await, Some(1));
    let marks = "SELECT count(*) FROM build WHERE package_id = $1 AND last_complete";
    assert_eq!(world.number(marks, package).await, Some(0));
    world.build(package, 5, 3).await;
    assert_eq!(world.state(package).await, PackageState::Ok);
}

#[tokio::test]
async fn what_operators_suspend_or_hold_is_no_candidate_until_it_ends() {
    use koschei_db::administration::{self, Actor};
    use koschei_db::suspensions;

    let world = World::new().await;
    let (one, other) = (ready(&world, "one").await, ready(&world, "other").await);
    let mut conn = world.connection().await;
    let me = Actor::administrator("me");
    administration::add_group(&mut conn, &me, None, "quiet", &["one".to_owned()], &[])
        .await
        .unwrap();
    // Long after the builds, so that time alone makes them candidates; and before what is suspended ends.
    let begin = 24 * 365 * 10;
    let ids = async |hours: i64| -> Vec<i32> {
        let mut ids: Vec<i32> =
            candidates(&world, hours).await.iter().map(|candidate| candidate.package_id).collect();
        ids.sort_unstable();
        ids
    };
    let both = vec![one, other];
    assert_eq!(ids(begin).await, both);

    administration::suspend(&mut conn, &me, Some("f40"), Some(hour(begin + 5)), "outage")
        .await
        .unwrap();
    assert!(ids(begin).await.is_empty());
    assert_eq!(ids(begin + 5).await, both, "it ends by itself");
    // Said again, it counts instead of what was said before.
    administration::suspend(&mut conn, &me, Some("f40"), None, "longer").await.unwrap();
    assert!(ids(begin + 5).await.is_empty());
    let told = suspensions::suspensions(&mut conn).await.unwrap();
    assert_eq!((told.len(), told[0].reason.as_str()), (1, "longer"));
    administration::suspend(&mut conn, &me, None, None, "everything").await.unwrap();
    assert!(administration::resume(&mut conn, &me, Some("f40")).await.unwrap());
    assert!(!administration::resume(&mut conn, &me, Some("f40")).await.unwrap());
    assert!(ids(begin).await.is_empty(), "everything is still suspended");
    assert!(administration::resume(&mut conn, &me, None).await.unwrap());
    assert_eq!(ids(begin).await, both);

    let quiet = "quiet".into();
    administration::hold(&mut conn, &me, &quiet, hour(begin + 5), "rebase").await.unwrap();
    assert_eq!(ids(begin).await, [other]);
    assert_eq!(ids(begin + 5).await, both);
    assert_eq!(suspensions::holds(&mut conn).await.unwrap()[0].reason, "rebase");
    assert!(administration::release(&mut conn, &me, &quiet).await.unwrap());
    assert!(!administration::release(&mut conn, &me, &quiet).await.unwrap());
    assert_eq!(ids(begin).await, both);

    // What has ended is not told of.
    sqlx::raw_sql(
        "INSERT INTO suspension (until, reason) VALUES ('2020-01-01', 'over');
         INSERT INTO hold (group_id, until) SELECT id, '2020-01-01' FROM package_group",
    )
    .execute(&mut conn)
    .await
    .unwrap();
    assert!(suspensions::suspensions(&mut conn).await.unwrap().is_empty());
    assert!(suspensions::holds(&mut conn).await.unwrap().is_empty());
    assert!(!administration::resume(&mut conn, &me, None).await.unwrap());
}
