//! What polling finds: packages, real builds, what is tagged and untagged, statistics.

use chrono::{DateTime, Utc};
use koji::calls;
use kojisim::{Mishap, Push};
use koschei_backend::polling;

use crate::world::{TAG, World, clean};

#[tokio::test(flavor = "multi_thread")]
async fn packages_and_real_builds_are_registered_and_a_second_turn_finds_nothing_new() {
    let world = World::empty().await;
    clean(polling::step(&world.ctx).await.unwrap());
    let listed =
        world.number("SELECT count(*) FROM package WHERE NOT tracked AND NOT blocked").await;
    assert!(listed > 50, "{listed}");
    let builds = "SELECT count(*) FROM build WHERE \"real\" AND state = 3 AND repo_id IS NOT NULL
                    AND finished > started AND last_complete";
    assert_eq!(world.number(builds).await, listed, "one for each package");
    let tasks =
        "SELECT count(DISTINCT build_id) FROM koji_task WHERE state = 2 AND finished >= started";
    assert_eq!(world.number(tasks).await, listed);
    let epoch =
        "SELECT epoch::bigint FROM build JOIN package ON package.id = package_id WHERE name = 'xz'";
    assert_eq!(world.number(epoch).await, 1);
    let statistics = "SELECT real_builds::bigint FROM scalar_stats";
    assert_eq!(world.number(statistics).await, listed);

    let ids = "SELECT sum(id) FROM build";
    let before = world.number(ids).await;
    assert_eq!(clean(polling::step(&world.ctx).await.unwrap()).done, 0);
    assert_eq!(world.number(ids).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn untracked_packages_are_left_out_when_the_collection_says_so() {
    let world = World::empty().await;
    world.execute("UPDATE collection SET poll_untracked = false").await;
    clean(polling::step(&world.ctx).await.unwrap());
    assert_eq!(world.number("SELECT count(*) FROM build").await, 0);
    world.execute("UPDATE package SET tracked = true WHERE name IN ('zlib', 'xz')").await;
    clean(polling::step(&world.ctx).await.unwrap());
    assert_eq!(world.number("SELECT count(*) FROM build").await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_register_everything_once() {
    let world = World::empty().await;
    let other = world.other(|config| config.real_builds_insert_chunk = 7);
    let (one, two) = tokio::join!(polling::step(&world.ctx), polling::step(&other));
    clean(one.unwrap());
    clean(two.unwrap());
    let twice = "SELECT count(*) FROM (SELECT FROM build GROUP BY package_id, task_id HAVING count(*) > 1) AS twice";
    assert_eq!(world.number(twice).await, 0);
    let without = "SELECT count(*) FROM package WHERE last_build_id IS NULL AND NOT blocked";
    assert_eq!(world.number(without).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_becomes_a_build_and_resets_what_was_urgent() {
    let world = World::settled().await;
    world.make_urgent(&["zlib"]).await;
    world.push(&Push::of("zlib").version("2.2.0")).await;
    clean(polling::step(&world.ctx).await.unwrap());
    let last = "SELECT version || '-' || release || ' ' || manual_priority FROM package
                  JOIN build ON build.id = last_build_id WHERE name = 'zlib'";
    assert_eq!(world.texts(last).await, ["2.2.0-1.by2 0"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_untagged_in_koji_is_marked_and_comes_back() {
    let world = World::settled().await;
    world.push(&Push::of("zlib").version("2.2.0")).await;
    clean(polling::step(&world.ctx).await.unwrap());
    world.execute("UPDATE build SET state = 5 WHERE version = '2.2.0'").await;
    assert_eq!(world.state("zlib").await, "failing");

    assert!(world.sim.set_tagged("zlib-2.2.0-1.by2", TAG, false));
    clean(polling::step(&world.ctx).await.unwrap());
    assert_eq!(world.texts("SELECT version FROM build WHERE untagged").await, ["2.2.0"]);
    assert_eq!(world.state("zlib").await, "ok");

    assert!(world.sim.set_tagged("zlib-2.2.0-1.by2", TAG, true));
    clean(polling::step(&world.ctx).await.unwrap());
    assert!(world.texts("SELECT version FROM build WHERE untagged").await.is_empty());
    assert_eq!(world.state("zlib").await, "failing");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_untagged_because_of_trouble_of_the_hub() {
    let world = World::settled().await;
    // As after branching: the latest build in the tag is not known here, and the last build is newer.
    world.execute("UPDATE build SET version = '9', started = started + interval '1 hour' FROM package WHERE package.id = package_id AND name = 'zlib'").await;
    world.execute("UPDATE build SET task_id = -task_id FROM package WHERE package.id = package_id AND name = 'zlib'").await;
    let trouble = Mishap::Fault(1, "<class 'psycopg2.OperationalError'>".into());
    world.sim.mishap(Some("getTaskInfo"), trouble);
    clean(polling::step(&world.ctx).await.unwrap());
    assert!(world.texts("SELECT version FROM build WHERE untagged").await.is_empty());
    clean(polling::step(&world.ctx).await.unwrap());
    assert_eq!(world.texts("SELECT version FROM build WHERE untagged").await.len(), 1);
    assert_eq!(world.state("zlib").await, "ok");
}

#[tokio::test(flavor = "multi_thread")]
async fn blocked_packages_are_blocked_and_come_back() {
    let world = World::settled().await;
    assert!(world.sim.set_blocked("zlib", TAG, true));
    clean(polling::step(&world.ctx).await.unwrap());
    assert_eq!(world.state("zlib").await, "blocked");
    assert!(world.sim.set_blocked("zlib", TAG, false));
    clean(polling::step(&world.ctx).await.unwrap());
    assert_eq!(world.state("zlib").await, "ok");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_bad_collection_does_not_stop_the_others() {
    let world = World::empty().await;
    world
        .execute(
            "INSERT INTO collection (name, display_name, target, dest_tag, build_tag, \"order\")
             VALUES ('bad', 'Bad', 'bad', 'bad', 'bad-build', 1000)",
        )
        .await;
    let outcome = polling::step(&world.ctx).await.unwrap();
    let about: Vec<&str> = outcome.failures.iter().map(|(about, _)| about.as_str()).collect();
    assert_eq!(about, ["bad", "bad"], "package list and builds");
    assert!(outcome.failures[0].1.to_string().contains("bad"), "{}", outcome.failures[0].1);
    assert!(world.number("SELECT count(*) FROM build").await > 50);
}

#[tokio::test(flavor = "multi_thread")]
async fn imported_builds_are_left_out_and_asked_for_once() {
    let world = World::settled().await;
    let other_task = world.sim.new_repo(crate::world::BUILD_TAG).unwrap();
    world.sim.wait_for_task(other_task).await;
    let last = "SELECT name || ' ' || version FROM package JOIN build ON build.id = last_build_id
                 WHERE name IN ('zlib', 'xz', 'sed') ORDER BY name COLLATE \"C\"";
    let before = world.texts(last).await;
    // Without a task; with one that Koji has forgotten; and with one of which no part names a repo.
    for (name, task) in [("zlib", None), ("xz", Some(999_999)), ("sed", Some(other_task))] {
        world.push(&Push::of(name).version("99")).await;
        assert!(world.sim.set_task_of(&format!("{name}-99-1.by2"), task), "{name}");
    }
    clean(polling::step(&world.ctx).await.unwrap());
    assert_eq!(world.texts(last).await, before);
    assert_eq!(world.number("SELECT count(*) FROM build WHERE version = '99'").await, 0);
    let skipped = "SELECT task_id::bigint FROM skipped_real_build ORDER BY task_id";
    let skipped: Vec<i64> = sqlx::query_scalar(skipped).fetch_all(&world.db).await.unwrap();
    assert_eq!(skipped, [other_task, 999_999]);
    // Whoever asked about them again would meet this.
    world.sim.mishap(Some("getTaskInfo"), Mishap::Fault(1014, "asked again".into()));
    clean(polling::step(&world.ctx).await.unwrap());
    world.sim.forget_mishaps();
    assert_eq!(world.state("sed").await, "ok");

    // The next one that is made in Koji counts.
    world.push(&Push::of("sed").version("100")).await;
    clean(polling::step(&world.ctx).await.unwrap());
    assert_eq!(world.number("SELECT count(*) FROM build WHERE version = '100'").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_build_began_and_ended_with_its_task() {
    let world = World::settled().await;
    world.push(&Push::of("zlib").version("2.2.0")).await;
    clean(polling::step(&world.ctx).await.unwrap());
    let (task, started, finished): (i32, DateTime<Utc>, DateTime<Utc>) = sqlx::query_as(
        "SELECT task_id, started AT TIME ZONE 'UTC', finished AT TIME ZONE 'UTC' FROM build
          WHERE version = '2.2.0'",
    )
    .fetch_one(&world.db)
    .await
    .unwrap();
    let task = world.koji().await.call(calls::get_task_info(task.into())).await.unwrap().unwrap();
    assert_eq!(started, task.created());
    assert_eq!(Some(finished), task.completed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_package_that_koji_lists_without_any_build_is_left_alone() {
    let world = World::settled().await;
    let everything =
        "SELECT string_agg(concat_ws(' ', id, state, untagged), ',' ORDER BY id) FROM build";
    let before = world.texts(everything).await;
    let what =
        calls::ListTagged { inherit: true, package: Some("zlib"), ..calls::ListTagged::default() };
    for build in world.koji().await.call(calls::list_tagged(TAG, what.clone())).await.unwrap() {
        assert!(world.sim.set_tagged(&build.nvr, &build.tag_name, false));
    }
    // Older ones may have come to light.
    for build in world.koji().await.call(calls::list_tagged(TAG, what.clone())).await.unwrap() {
        assert!(world.sim.set_tagged(&build.nvr, &build.tag_name, false));
    }
    assert!(world.koji().await.call(calls::list_tagged(TAG, what)).await.unwrap().is_empty());
    clean(polling::step(&world.ctx).await.unwrap());
    assert_eq!(world.texts(everything).await, before);
    assert_eq!(world.state("zlib").await, "ok");
}
