//! Scratch builds from their submission to their end.

use chrono::{DateTime, Utc};
use koji::calls;
use kojisim::{Ending, Mishap};
use koschei_backend::{polling, scheduler};
use koschei_db::administration::{self, Actor};
use koschei_db::forms;

use crate::world::{RUNNING, World, clean};

async fn poll(world: &World) {
    clean(polling::builds_step(&world.ctx).await.unwrap());
}

const SCRATCH: &str = "SELECT count(*) FROM build WHERE NOT \"real\"";

#[tokio::test(flavor = "multi_thread")]
async fn a_build_that_succeeds_is_complete_with_its_parts() {
    let world = World::settled().await;
    let task = world.submit(&["zlib"]).await[0];
    assert_eq!(world.sim.wait_for_task(task).await, Some(2));
    poll(&world).await;
    let row = "SELECT count(*) FROM build WHERE NOT \"real\" AND state = 3 AND finished >= started
                 AND repo_id IS NOT NULL AND version = '2.1.7'";
    assert_eq!(world.number(row).await, 1);
    let arches = world.texts("SELECT arch FROM koji_task JOIN build ON build.id = build_id WHERE NOT \"real\" ORDER BY 1");
    assert_eq!(arches.await, ["aarch64", "x86_64"]);
    assert_eq!(world.state("zlib").await, "ok");
    world.check_tasks().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_that_fails_makes_the_package_failing_and_urgent_once() {
    let world = World::settled().await;
    let priority = "SELECT build_priority::bigint FROM package WHERE name = 'zlib'";
    world.end_zlib(Ending::Fault(1005, "error building package".into())).await;
    assert_eq!(world.state("zlib").await, "failing");
    assert_eq!(world.number(priority).await, 200);
    world.end_zlib(Ending::Fault(1000, "again".into())).await;
    assert_eq!(world.state("zlib").await, "failing");
    assert_eq!(world.number(priority).await, 0, "it had failed before");
}

#[tokio::test(flavor = "multi_thread")]
async fn trouble_of_the_builders_is_no_verdict_on_the_package() {
    let world = World::settled().await;
    for code in [1, 1001, 4711] {
        world.end_zlib(Ending::Fault(code, "Traceback (most recent call last)".into())).await;
        assert_eq!(world.number(SCRATCH).await, 0);
        assert_eq!(world.state("zlib").await, "ok");
        // It would not be tried again so soon.
        world.execute("UPDATE package SET not_before = NULL").await;
    }
    assert_eq!(world.number("SELECT count(*) FROM task_without_build").await, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_package_whose_builds_end_in_trouble_of_koji_is_not_submitted_at_every_round() {
    let world = World::settled().await;
    world.end_zlib(Ending::Fault(1, "Traceback (most recent call last)".into())).await;
    world.make_urgent(&["zlib", "xz"]).await;
    world.sim.hold_builds(true);
    assert_eq!(clean(scheduler::step(&world.ctx).await.unwrap()).done, 1, "the other one");
    assert_eq!(clean(scheduler::step(&world.ctx).await.unwrap()).done, 0);
    world.execute("UPDATE package SET not_before = not_before - interval '5 minutes'").await;
    assert_eq!(clean(scheduler::step(&world.ctx).await.unwrap()).done, 1, "it waited long enough");
    world.check_tasks().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_that_koji_cannot_tell_about_does_not_keep_its_place_for_ever() {
    for method in ["getTaskInfo", "getTaskResult", "getTaskChildren"] {
        let world = World::settled().await;
        world.sim.hold_builds(true);
        let task = world.submit(&["zlib"]).await[0];
        world.until_repos_are_known().await;
        world.sim.finish_task(task, Ending::Fault(1005, "error building package".into()));
        world.sim.hold_builds(false);
        world.sim.wait_for_task(task).await;
        let broken = || {
            world.sim.mishap(Some(method), Mishap::Fault(1, "<class 'pickle.Error'>".into()));
        };
        for _ in 0..2 {
            broken();
            poll(&world).await;
            assert_eq!(world.number(RUNNING).await, 1, "{method}: it may pass");
        }
        world.execute("UPDATE build SET untold_since = untold_since - interval '61 minutes'").await;
        broken();
        poll(&world).await;
        assert_eq!(world.number(SCRATCH).await, 0, "{method}: it lasts for an hour");
        assert_eq!(world.state("zlib").await, "ok", "and is no verdict");
        let why = world.texts("SELECT reason FROM task_without_build").await;
        assert!(why[0].contains("does not tell") && why[0].contains("pickle"), "{why:?}");
        world.check_tasks().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn patience_with_koji_begins_anew_when_it_told_in_between() {
    let world = World::settled().await;
    world.sim.hold_builds(true);
    world.submit(&["zlib"]).await;
    world.until_repos_are_known().await;
    let broken = || world.sim.mishap(Some("getTaskInfo"), Mishap::Fault(1, "KeyError".into()));
    let untold = "SELECT count(*) FROM build WHERE untold_since IS NOT NULL";
    broken();
    poll(&world).await;
    assert_eq!(world.number(untold).await, 1);
    world.execute("UPDATE build SET untold_since = untold_since - interval '61 minutes'").await;
    poll(&world).await;
    assert_eq!(world.number(untold).await, 0);
    broken();
    poll(&world).await;
    assert_eq!(world.number(RUNNING).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_koji_does_not_tell_at_the_moment_is_no_verdict() {
    let world = World::settled().await;
    world.sim.hold_builds(true);
    let task = world.submit(&["zlib"]).await[0];
    world.until_repos_are_known().await;
    world.sim.finish_task(task, Ending::Fault(1005, "error building package".into()));
    world.sim.hold_builds(false);
    world.sim.wait_for_task(task).await;
    for method in ["getTaskInfo", "getTaskResult", "getTaskChildren"] {
        let fault = Mishap::Fault(1, "<class 'psycopg2.OperationalError'>".into());
        world.sim.mishap(Some(method), fault);
        poll(&world).await;
        assert_eq!(world.number(RUNNING).await, 1, "{method} was not answered");
    }
    poll(&world).await;
    assert_eq!(world.state("zlib").await, "failing");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_that_failed_before_it_began_is_no_verdict() {
    let world = World::settled().await;
    let ctx = world.other(|config| config.koji_config.build_from_repo_id = true);
    world.calm().await;
    world.make_urgent(&["zlib"]).await;
    // Deleted since it was resolved.
    world.sim.delete_repo(world.number("SELECT latest_repo_id::bigint FROM collection").await);
    assert_eq!(clean(scheduler::step(&ctx).await.unwrap()).done, 1);
    world.builds_end().await;
    poll(&world).await;
    assert_eq!(world.number(RUNNING).await, 0);
    assert_eq!(world.state("zlib").await, "ok");
    assert_eq!(world.number(SCRATCH).await, 0);
    world.check_tasks().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_that_was_canceled_in_koji_never_was() {
    let world = World::settled().await;
    world.sim.hold_builds(true);
    let task = world.submit(&["zlib"]).await[0];
    world.koji().await.call(calls::cancel_task(task)).await.unwrap();
    poll(&world).await;
    assert_eq!(world.number(SCRATCH).await, 0);
    world.check_tasks().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_for_it_gets_a_build_cancelled() {
    let world = World::settled().await;
    world.sim.hold_builds(true);
    let task = world.submit(&["zlib"]).await[0];
    poll(&world).await;
    assert_eq!(world.number(RUNNING).await, 1);
    world.execute("UPDATE build SET cancel_requested = true WHERE state = 2").await;
    poll(&world).await;
    assert_eq!(world.sim.task_state(task), Some(3), "in Koji");
    assert_eq!(world.number(SCRATCH).await, 0, "and here");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_build_is_not_submitted_again_at_once_but_on_request() {
    let world = World::settled().await;
    world.sim.hold_builds(true);
    world.submit(&["zlib"]).await;
    poll(&world).await;
    // Urgent for reasons of its own, which the end of the build does not take away.
    world.execute("UPDATE package SET dependency_priority = 200000 WHERE name = 'zlib'").await;
    let build = world.number("SELECT id::bigint FROM build WHERE state = 2").await;
    let actor = Actor::administrator("root");
    let mut conn = world.db.acquire().await.unwrap();
    forms::cancel_build(&mut conn, &actor, build.try_into().unwrap()).await.unwrap();
    poll(&world).await;
    assert_eq!(world.number(SCRATCH).await, 0);
    assert_eq!(clean(scheduler::step(&world.ctx).await.unwrap()).done, 0);
    let names = ["zlib".to_owned()];
    let priority = administration::Priority::Manual;
    let collection: String = world.texts("SELECT name FROM collection").await.remove(0);
    administration::set_priority(&mut conn, &actor, &collection, &names, priority, 300)
        .await
        .unwrap();
    assert_eq!(clean(scheduler::step(&world.ctx).await.unwrap()).done, 1);
    world.check_tasks().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_that_takes_too_long_is_cancelled() {
    let world = World::settled().await;
    world.sim.hold_builds(true);
    let task = world.submit(&["zlib"]).await[0];
    world
        .execute(
            "UPDATE build SET started = started - interval '47 hours 59 minutes' WHERE state = 2",
        )
        .await;
    poll(&world).await;
    assert_eq!(world.number(RUNNING).await, 1);
    world
        .execute("UPDATE build SET started = started - interval '2 minutes' WHERE state = 2")
        .await;
    poll(&world).await;
    assert_eq!(world.sim.task_state(task), Some(3));
    assert_eq!(world.number(SCRATCH).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_that_koji_does_not_know_is_deleted() {
    let world = World::settled().await;
    world.sim.hold_builds(true);
    world.submit(&["zlib"]).await;
    world.execute("UPDATE build SET task_id = 999999 WHERE state = 2").await;
    let mut conn = world.connection().await;
    let running = koschei_db::builds::running(&mut conn, Some(999_999)).await.unwrap();
    koschei_backend::finishing::update(&world.ctx, running).await.unwrap();
    assert_eq!(world.number(SCRATCH).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_finish_a_build_once() {
    let world = World::settled().await;
    let names = ["zlib", "xz", "bzip2", "grep", "sed"];
    world.submit(&names).await;
    world.builds_end().await;
    let other = world.other(|_| {});
    let (one, two) = tokio::join!(polling::builds_step(&world.ctx), polling::builds_step(&other));
    clean(one.unwrap());
    clean(two.unwrap());
    assert_eq!(
        world.number("SELECT count(*) FROM build WHERE NOT \"real\" AND state = 3").await,
        5
    );
    let tasks = "SELECT count(*) FROM (SELECT FROM koji_task GROUP BY build_id, task_id HAVING count(*) > 1) AS twice";
    assert_eq!(world.number(tasks).await, 0);
    world.check_tasks().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_of_kojis_list_are_the_packages_as_results_and_no_verdict_while_asking() {
    let world = World::settled().await;
    // A session that is lost and a hub that is offline, as the result that a builder left behind.
    for code in [1002, 1007, 1009, 1014, 1012] {
        world.end_zlib(Ending::Fault(code, "a fault of the list".into())).await;
        assert_eq!(world.state("zlib").await, "failing", "{code}");
        world.end_zlib(Ending::Natural).await;
        assert_eq!(world.state("zlib").await, "ok", "{code}");
    }
    world.sim.hold_builds(true);
    let task = world.submit(&["zlib"]).await[0];
    world.until_repos_are_known().await;
    world.sim.finish_task(task, Ending::Fault(1005, "error building package".into()));
    world.sim.hold_builds(false);
    world.sim.wait_for_task(task).await;
    for code in [1014, 1002, 1006, 1007, 1008] {
        world.sim.mishap(Some("getTaskResult"), Mishap::Fault(code, "not now".into()));
        let outcome = polling::builds_step(&world.ctx).await.unwrap();
        assert_eq!(outcome.failures.len(), 1, "{code}");
        assert!(outcome.failures[0].1.is_transient(), "{code}: {:?}", outcome.failures);
        assert_eq!(world.number(RUNNING).await, 1, "{code}");
    }
    poll(&world).await;
    assert_eq!(world.state("zlib").await, "failing");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_began_and_ended_with_its_task_whatever_our_clock_said() {
    let world = World::settled().await;
    let task = world.submit(&["zlib"]).await[0];
    assert_eq!(world.sim.wait_for_task(task).await, Some(2));
    world
        .execute("UPDATE build SET started = started - interval '20 minutes' WHERE state = 2")
        .await;
    poll(&world).await;
    let (started, finished): (DateTime<Utc>, DateTime<Utc>) = sqlx::query_as(
        "SELECT started AT TIME ZONE 'UTC', finished AT TIME ZONE 'UTC' FROM build WHERE NOT \"real\"",
    )
    .fetch_one(&world.db)
    .await
    .unwrap();
    let task = world.koji().await.call(calls::get_task_info(task)).await.unwrap().unwrap();
    assert_eq!((started, Some(finished)), (task.created(), task.completed()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_that_seems_to_begin_in_the_future_still_has_its_time_limit() {
    let world = World::settled().await;
    world.sim.hold_builds(true);
    let task = world.submit(&["zlib"]).await[0];
    // The clock was put back by three days since.
    world.execute("UPDATE build SET started = started + interval '3 days' WHERE state = 2").await;
    let ctx = world.other(|config| config.koji_config.task_timeout = 0);
    clean(polling::builds_step(&ctx).await.unwrap());
    assert_eq!(world.sim.task_state(task), Some(3));
    assert_eq!(world.number(SCRATCH).await, 0);
}
