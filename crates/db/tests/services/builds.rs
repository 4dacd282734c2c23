//! New, finished, untagged and adopted builds.

use koschei_core::states::{BuildState, PackageState};
use koschei_db::builds::{
    self, Ending, Progress, RealBuild, ScratchBuild, Subtask, TaggedVersion, Untagged,
};
use koschei_db::submissions;

use crate::world::{World, hour};

fn subtask(task_id: i32, state: i32) -> Subtask {
    Subtask {
        task_id,
        arch: "x86_64".into(),
        state,
        started: hour(1),
        finished: (state == 2).then(|| hour(2)),
    }
}

fn scratch(package_id: i32, task_id: i32) -> ScratchBuild {
    ScratchBuild {
        package_id,
        task_id,
        started: hour(10),
        epoch: Some(1),
        version: "1".into(),
        release: "2".into(),
        repo_id: None,
    }
}

fn ending(state: BuildState) -> Ending {
    Ending {
        state,
        started: hour(11),
        finished: hour(12),
        repo_id: 100,
        subtasks: vec![subtask(71, 2)],
    }
}

#[tokio::test]
async fn a_submitted_build_resets_what_led_to_it() {
    let world = World::new().await;
    let package = world.package("zlib").await;
    world
        .execute(
            "UPDATE package SET manual_priority = 500, dependency_priority = 7, scheduler_skip_reason = 2
              WHERE id = $1",
            package,
        )
        .await;
    let mut conn = world.connection().await;
    let id = builds::insert_scratch(&mut conn, &scratch(package, 70)).await.unwrap().unwrap();
    let row = "SELECT manual_priority * 100 + dependency_priority + coalesce(scheduler_skip_reason, 0)::bigint
                 FROM package WHERE id = $1";
    assert_eq!(
        world.number(row, package).await,
        Some(7),
        "dependency priority stays until the end"
    );
    assert_eq!(builds::count_running(&mut conn).await.unwrap(), 1);
    let running = builds::running(&mut conn, None).await.unwrap();
    assert_eq!((running[0].id, running[0].name.as_str(), running[0].task_id), (id, "zlib", 70));
    assert_eq!(running[0].started, hour(10));
    assert!(builds::running(&mut conn, Some(71)).await.unwrap().is_empty());
    assert_eq!(builds::newest_scratch_start(&mut conn).await.unwrap(), Some(hour(10)));
    assert_eq!(builds::insert_scratch(&mut conn, &scratch(-1, 72)).await.unwrap(), None);
}

#[tokio::test]
async fn a_task_becomes_one_build_whoever_records_it() {
    let world = World::new().await;
    let package = world.package("zlib").await;
    let mut conn = world.connection().await;
    assert!(submissions::begin(&mut conn, package).await.unwrap());
    assert_eq!(submissions::begun(&mut conn).await.unwrap(), [package]);
    let one = builds::insert_scratch(&mut conn, &scratch(package, 70)).await.unwrap();
    assert!(submissions::begun(&mut conn).await.unwrap().is_empty());
    let two = builds::insert_scratch(&mut conn, &scratch(package, 70)).await.unwrap();
    assert!(one.is_some() && one == two);
    let builds = "SELECT count(*) FROM build WHERE package_id = $1";
    assert_eq!(world.number(builds, package).await, Some(1));
    assert!(!submissions::begin(&mut conn, package + 1000).await.unwrap(), "no such package");
}

#[tokio::test]
async fn a_submission_without_a_trace_is_settled_after_a_while_and_when_the_clock_was_put_back() {
    let world = World::new().await;
    let package = world.package("zlib").await;
    let mut conn = world.connection().await;
    assert!(submissions::begin(&mut conn, package).await.unwrap());
    for (begun, settled) in [
        ("0", vec![]),
        ("-20 seconds", vec![]),
        ("-40 seconds", vec![package]),
        ("20 seconds", vec![]),
        ("3 days", vec![package]),
    ] {
        sqlx::query("UPDATE submission SET begun = clock_timestamp() AT TIME ZONE 'UTC' + $1::text::interval")
            .bind(begun)
            .execute(&mut conn)
            .await
            .unwrap();
        assert_eq!(submissions::settled(&mut conn).await.unwrap(), settled, "{begun}");
    }
}

#[tokio::test]
async fn subtasks_and_repo_are_stored_as_they_become_known() {
    let world = World::new().await;
    let package = world.package("zlib").await;
    let mut conn = world.connection().await;
    let id = builds::insert_scratch(&mut conn, &scratch(package, 70)).await.unwrap().unwrap();
    for (repo_id, state) in [(None, 1), (Some(100), 1), (Some(999), 2)] {
        let progress = Progress { build_id: id, repo_id, subtasks: vec![subtask(71, state)] };
        builds::store_progress(&mut conn, &[progress]).await.unwrap();
    }
    let repo = "SELECT repo_id::bigint FROM build WHERE id = $1";
    assert_eq!(world.number(repo, id).await, Some(100), "the repo that was known first");
    let states = "SELECT state::text FROM koji_task WHERE build_id = $1";
    assert_eq!(world.texts(states, id).await, ["2"], "one row, brought up to date");
}

#[tokio::test]
async fn a_build_is_finished_once_and_its_package_is_told_about() {
    let world = World::new().await;
    let package = world.package("zlib").await;
    world.build(package, 1, 3).await;
    assert_eq!(world.state(package).await, PackageState::Ok);
    let mut conn = world.connection().await;
    let id = builds::insert_scratch(&mut conn, &scratch(package, 70)).await.unwrap().unwrap();
    let locked = builds::lock_running(&mut conn, id).await.unwrap().unwrap();
    let changes = locked
        .finish(&mut conn, &ending(BuildState::Failed), |previous| {
            assert_eq!(previous, Some(BuildState::Complete));
            200
        })
        .await
        .unwrap();
    assert_eq!(changes.len(), 1, "ok -> failing");
    assert_eq!(world.state(package).await, PackageState::Failing);
    let priority = "SELECT build_priority::bigint FROM package WHERE id = $1";
    assert_eq!(world.number(priority, package).await, Some(200));
    let started = "SELECT extract(epoch FROM started)::bigint FROM build WHERE id = $1";
    assert_eq!(world.number(started, id).await, Some(hour(11).timestamp()), "Koji's time counts");
    assert!(builds::lock_running(&mut conn, id).await.unwrap().is_none(), "another one was first");
}

#[tokio::test]
async fn the_previous_build_is_one_of_the_same_package() {
    let world = World::new().await;
    let (package, other) = (world.package("zlib").await, world.package("other").await);
    world.build(other, 10, 5).await;
    let mut conn = world.connection().await;
    let id = builds::insert_scratch(&mut conn, &scratch(package, 70)).await.unwrap().unwrap();
    let locked = builds::lock_running(&mut conn, id).await.unwrap().unwrap();
    let mut asked = None;
    locked
        .finish(&mut conn, &ending(BuildState::Failed), |previous| {
            asked = Some(previous);
            0
        })
        .await
        .unwrap();
    assert_eq!(asked, Some(None));
}

#[tokio::test]
async fn a_deleted_build_leaves_the_reason_why_its_task_has_none() {
    let world = World::new().await;
    let package = world.package("zlib").await;
    let before = world.build(package, 1, 3).await;
    let mut conn = world.connection().await;
    let id = builds::insert_scratch(&mut conn, &scratch(package, 70)).await.unwrap().unwrap();
    let locked = builds::lock_running(&mut conn, id).await.unwrap().unwrap();
    locked.delete(&mut conn, "it was canceled", false).await.unwrap();
    let last = "SELECT last_build_id::bigint FROM package WHERE id = $1";
    assert_eq!(world.number(last, package).await, Some(before.into()));
    assert_eq!(builds::unknown_scratch_tasks(&mut conn, &[70, 71]).await.unwrap(), [71]);
    assert!(builds::lock_running(&mut conn, id).await.unwrap().is_none());
}

#[tokio::test]
async fn trouble_of_koji_lets_the_next_build_wait_longer_each_time_and_a_verdict_ends_that() {
    let world = World::new().await;
    let package = world.package("zlib").await;
    let mut conn = world.connection().await;
    let minutes =
        "SELECT round(extract(epoch FROM not_before - timezone('UTC', now())) / 60)::bigint
                     FROM package WHERE id = $1";
    for (task, pause) in [(70, 5), (71, 10), (72, 20)] {
        let id = builds::insert_scratch(&mut conn, &scratch(package, task)).await.unwrap().unwrap();
        let locked = builds::lock_running(&mut conn, id).await.unwrap().unwrap();
        locked.delete(&mut conn, "the builder died", true).await.unwrap();
        assert_eq!(world.number(minutes, package).await, Some(pause));
    }
    let id = builds::insert_scratch(&mut conn, &scratch(package, 73)).await.unwrap().unwrap();
    let locked = builds::lock_running(&mut conn, id).await.unwrap().unwrap();
    locked.finish(&mut conn, &ending(BuildState::Complete), |_| 0).await.unwrap();
    assert_eq!(world.number(minutes, package).await, None);
    let id = builds::insert_scratch(&mut conn, &scratch(package, 74)).await.unwrap().unwrap();
    let locked = builds::lock_running(&mut conn, id).await.unwrap().unwrap();
    locked.delete(&mut conn, "the builder died", true).await.unwrap();
    assert_eq!(world.number(minutes, package).await, Some(5), "from the beginning");
}

#[tokio::test]
async fn since_when_koji_does_not_tell_counts_from_the_first_time() {
    let world = World::new().await;
    let package = world.package("zlib").await;
    let mut conn = world.connection().await;
    let id = builds::insert_scratch(&mut conn, &scratch(package, 70)).await.unwrap().unwrap();
    let since = async |conn: &mut koschei_db::PgConnection| {
        builds::running(conn, None).await.unwrap()[0].untold_since
    };
    assert_eq!(since(&mut conn).await, None);
    builds::note_untold(&mut conn, &[id], &[], hour(1)).await.unwrap();
    builds::note_untold(&mut conn, &[id], &[], hour(2)).await.unwrap();
    assert_eq!(since(&mut conn).await, Some(hour(1)));
    builds::note_untold(&mut conn, &[id], &[], hour(-50)).await.unwrap();
    assert_eq!(since(&mut conn).await, Some(hour(-50)), "the clock was put back");
    builds::note_untold(&mut conn, &[], &[id], hour(3)).await.unwrap();
    assert_eq!(since(&mut conn).await, None);
}

#[tokio::test]
async fn two_processes_finish_a_build_one_after_the_other() {
    let world = World::new().await;
    let package = world.package("zlib").await;
    let mut conn = world.connection().await;
    let id = builds::insert_scratch(&mut conn, &scratch(package, 70)).await.unwrap().unwrap();
    let mut first = world.database.pool().begin().await.unwrap();
    let locked = builds::lock_running(&mut first, id).await.unwrap().unwrap();
    let mut second = world.database.pool().begin().await.unwrap();
    let waiting =
        tokio::spawn(async move { builds::lock_running(&mut second, id).await.unwrap().is_none() });
    world.wait_for_a_blocked_session().await;
    locked.finish(&mut first, &ending(BuildState::Complete), |_| 0).await.unwrap();
    first.commit().await.unwrap();
    assert!(waiting.await.unwrap(), "the second finds that nothing is left to do");
}

impl World {
    /// Waits until some session waits for a lock.
    async fn wait_for_a_blocked_session(&self) {
        loop {
            let blocked = self
                .number(
                    "SELECT count(*) FROM pg_stat_activity
                      WHERE datname = current_database() AND wait_event_type = 'Lock' AND $1 = $1",
                    0,
                )
                .await;
            if blocked != Some(0) {
                return;
            }
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn unknown_tasks_are_those_without_a_scratch_build_and_without_a_reason() {
    let world = World::new().await;
    let package = world.package("zlib").await;
    let mut conn = world.connection().await;
    builds::insert_scratch(&mut conn, &scratch(package, 70)).await.unwrap();
    builds::remember_task_without_build(&mut conn, 71, "not ours").await.unwrap();
    builds::remember_task_without_build(&mut conn, 71, "still not ours").await.unwrap();
    builds::register_real(&mut conn, &[real(package, 72, "5")]).await.unwrap();
    // A real build of the secondary Koji may have the same number.
    assert_eq!(builds::unknown_scratch_tasks(&mut conn, &[70, 71, 72]).await.unwrap(), [72]);
}

#[tokio::test]
async fn tasks_are_adopted_by_tracked_packages_only_with_the_epoch_that_is_known() {
    let world = World::new().await;
    let (tracked, untracked) = (world.package("zlib").await, world.package("xz").await);
    world.execute("UPDATE package SET tracked = false WHERE id = $1", untracked).await;
    let mut conn = world.connection().await;
    let names = ["zlib".to_owned(), "xz".to_owned()];
    let candidates = builds::adoption_candidates(&mut conn, &names).await.unwrap();
    assert_eq!(candidates.len(), 1);
    assert_eq!(
        (candidates[0].package_id, candidates[0].build_tag.as_str()),
        (tracked, "f40-build")
    );
    builds::insert_scratch(&mut conn, &scratch(tracked, 70)).await.unwrap();
    assert_eq!(builds::epoch_of(&mut conn, tracked, "1", "2").await.unwrap(), Some(1));
    assert_eq!(builds::epoch_of(&mut conn, tracked, "1", "3").await.unwrap(), None);
}

fn real(package_id: i32, task_id: i32, release: &str) -> RealBuild {
    RealBuild {
        package_id,
        task_id,
        repo_id: 99,
        started: hour(20),
        finished: hour(21),
        epoch: None,
        version: "1".into(),
        release: release.into(),
        subtasks: vec![subtask(task_id + 1, 2)],
    }
}

#[tokio::test]
async fn real_builds_are_registered_once_with_their_subtasks() {
    let world = World::new().await;
    let (zlib, xz) = (world.package("zlib").await, world.package("xz").await);
    world
        .execute(
            "UPDATE package SET manual_priority = 9, scheduler_skip_reason = 1 WHERE id = $1",
            zlib,
        )
        .await;
    let mut conn = world.connection().await;
    let builds = [real(xz, 80, "1"), real(zlib, 70, "1"), real(zlib, 70, "1")];
    let registered = builds::register_real(&mut conn, &builds).await.unwrap();
    assert_eq!(registered, [zlib, xz]);
    assert!(builds::register_real(&mut conn, &builds).await.unwrap().is_empty(), "known");
    assert_eq!(world.state(zlib).await, PackageState::Ok);
    let reset = "SELECT manual_priority + coalesce(scheduler_skip_reason, 0)::bigint FROM package WHERE id = $1";
    assert_eq!(world.number(reset, zlib).await, Some(0));
    let tasks = "SELECT koji_task.task_id::text FROM koji_task JOIN build ON build.id = build_id WHERE package_id = $1";
    assert_eq!(world.texts(tasks, zlib).await, ["71"]);
    assert_eq!(
        builds::known_tasks(&mut conn, world.collection, &[70, 71, 80]).await.unwrap(),
        [70, 80]
    );
    builds::skip_tasks(&mut conn, world.collection, &[90, 90]).await.unwrap();
    builds::skip_tasks(&mut conn, world.collection, &[90]).await.unwrap();
    assert_eq!(builds::known_tasks(&mut conn, world.collection, &[90, 91]).await.unwrap(), [90]);
}

#[tokio::test]
async fn real_builds_are_polled_for_tracked_packages_or_for_all() {
    let world = World::new().await;
    let (zlib, xz) = (world.package("zlib").await, world.package("xz").await);
    world.execute("UPDATE package SET tracked = false WHERE id = $1", xz).await;
    let build = world.build(zlib, 3, 3).await;
    let mut conn = world.connection().await;
    let all = builds::last_builds(&mut conn, world.collection, None).await.unwrap();
    assert_eq!(all.len(), 2);
    assert_eq!((all[0].build_id, all[0].release.as_deref()), (Some(build), Some("3")));
    assert_eq!((all[1].build_id, all[1].package_id), (None, xz));
    let names = ["xz".to_owned()];
    let one = builds::last_builds(&mut conn, world.collection, Some(&names)).await.unwrap();
    assert_eq!(one.len(), 1);
    world
        .execute("UPDATE collection SET poll_untracked = false WHERE id = $1", world.collection)
        .await;
    let tracked = builds::last_builds(&mut conn, world.collection, None).await.unwrap();
    assert_eq!(tracked.iter().map(|last| last.package_id).collect::<Vec<_>>(), [zlib]);
}

fn untagged(package_id: i32, release: &str, last: i32) -> [Untagged; 1] {
    [Untagged { latest: latest(package_id, release), last }]
}

#[tokio::test]
async fn a_build_that_koji_could_not_speak_of_is_not_untagged() {
    let world = World::new().await;
    let package = world.package("zlib").await;
    world.build(package, 1, 3).await;
    let seen = world.build(package, 2, 3).await;
    let mut conn = world.connection().await;
    // Registered by somebody else after Koji was asked.
    let newer = world.build(package, 3, 3).await;
    assert_eq!(builds::mark_untagged(&mut conn, &untagged(package, "1", seen)).await.unwrap(), 0);
    let last = "SELECT last_build_id::bigint FROM package WHERE id = $1";
    assert_eq!(world.number(last, package).await, Some(newer.into()));
    assert_eq!(builds::mark_untagged(&mut conn, &untagged(package, "1", newer)).await.unwrap(), 2);
}

#[tokio::test]
async fn a_package_is_resolved_again_when_its_last_builds_change() {
    let world = World::new().await;
    let package = world.package("zlib").await;
    world.build(package, 1, 3).await;
    let mut conn = world.connection().await;
    let seen = "SELECT resolved_repo_id::bigint FROM package WHERE id = $1";
    let resolved = "UPDATE package SET resolved_repo_id = 100 WHERE id = $1";

    world.execute(resolved, package).await;
    builds::register_real(&mut conn, &[real(package, 72, "5")]).await.unwrap();
    assert_eq!(world.number(seen, package).await, None, "another source package");

    world.execute(resolved, package).await;
    let last = "SELECT last_build_id::bigint FROM package WHERE id = $1";
    let last = i32::try_from(world.number(last, package).await.unwrap()).unwrap();
    builds::mark_untagged(&mut conn, &untagged(package, "1", last)).await.unwrap();
    assert_eq!(world.number(seen, package).await, None, "the one before again");

    world.execute(resolved, package).await;
    let back = [latest(package, "5")];
    builds::clear_untagged(&mut conn, world.collection, &back).await.unwrap();
    assert_eq!(world.number(seen, package).await, None, "and the new one again");

    let id = builds::insert_scratch(&mut conn, &scratch(package, 70)).await.unwrap().unwrap();
    world.execute(resolved, package).await;
    let locked = builds::lock_running(&mut conn, id).await.unwrap().unwrap();
    locked.delete(&mut conn, "it was canceled", false).await.unwrap();
    assert_eq!(world.number(seen, package).await, None, "nothing was compared while it ran");
}

fn latest(package_id: i32, release: &str) -> TaggedVersion {
    TaggedVersion { package_id, epoch: Some(0), version: "1".into(), release: release.into() }
}

#[tokio::test]
async fn what_was_started_after_the_latest_tagged_build_is_untagged_and_comes_back() {
    let world = World::new().await;
    let package = world.package("zlib").await;
    let first = world.build(package, 1, 3).await;
    world.build(package, 2, 5).await;
    let running = world.build(package, 3, 2).await;
    assert_eq!(world.state(package).await, PackageState::Failing);
    let mut conn = world.connection().await;
    let versions = [latest(package, "1"), latest(package, "9")];
    let known = builds::packages_with_version(&mut conn, &versions).await.unwrap();
    assert_eq!(known, [package]);
    assert_eq!(
        builds::mark_untagged(&mut conn, &untagged(package, "1", running)).await.unwrap(),
        2
    );
    assert_eq!(world.state(package).await, PackageState::Ok);
    let last = "SELECT last_build_id::bigint FROM package WHERE id = $1";
    assert_eq!(world.number(last, package).await, Some(first.into()));

    let second = [latest(package, "2")];
    let retagged = builds::clear_untagged(&mut conn, world.collection, &second).await.unwrap();
    assert_eq!(retagged, [package]);
    assert_eq!(world.state(package).await, PackageState::Failing);
    let marks = "SELECT count(*) FROM build WHERE package_id = $1 AND untagged";
    assert_eq!(world.number(marks, package).await, Some(1), "the one of exactly that version");
    let again = builds::clear_untagged(&mut conn, world.collection, &second).await.unwrap();
    assert!(again.is_empty());
}

#[tokio::test]
async fn without_a_build_of_the_latest_version_all_are_untagged() {
    let world = World::new().await;
    let (package, other) = (world.package("zlib").await, world.package("other").await);
    world.build(package, 1, 3).await;
    let last = world.build(package, 2, 3).await;
    world.build(other, 2, 3).await;
    world.execute("UPDATE package SET scheduler_skip_reason = 2 WHERE id = $1", package).await;
    let mut conn = world.connection().await;
    assert_eq!(builds::mark_untagged(&mut conn, &untagged(package, "9", last)).await.unwrap(), 2);
    assert_eq!(world.state(package).await, PackageState::Unknown);
    assert_eq!(world.state(other).await, PackageState::Ok);
    let reason = "SELECT count(scheduler_skip_reason) FROM package WHERE id = $1";
    assert_eq!(world.number(reason, package).await, Some(0), "its tagging changed");
}
