//! Builds in the repos they were made in.

use kojisim::{Ending, Mishap, Push};
use koschei_backend::{build_resolver, polling, repo_resolver};

use crate::world::{World, clean};

#[tokio::test(flavor = "multi_thread")]
async fn real_builds_get_their_install_sets() {
    let world = World::empty().await;
    clean(polling::step(&world.ctx).await.unwrap());
    let builds = world.number("SELECT count(*) FROM build").await;
    let outcome = clean(build_resolver::step(&world.ctx).await.unwrap());
    assert_eq!(outcome.done as i64, builds);
    let resolved = "SELECT count(*) FROM build WHERE deps_resolved AND dependency_keys IS NOT NULL";
    assert_eq!(world.number(resolved).await, builds);
    assert_eq!(clean(build_resolver::step(&world.ctx).await.unwrap()).done, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changed_between_two_builds_is_history() {
    let world = World::settled().await;
    world.push(&Push::of("zlib").version("2.2.0")).await;
    world.push(&Push::of("gcc")).await;
    clean(polling::step(&world.ctx).await.unwrap());
    clean(build_resolver::step(&world.ctx).await.unwrap());
    let changes = world
        .texts(
            "SELECT prev.name || ' ' || prev.version || ' > ' || curr.version || ' @' || change.distance
               FROM applied_change AS change
               JOIN build ON build.id = change.build_id
               JOIN package ON package.last_build_id = build.id
               JOIN dependency AS prev ON prev.id = prev_dep_id
               JOIN dependency AS curr ON curr.id = curr_dep_id
              WHERE package.name = 'gcc' AND curr.version = '2.2.0' ORDER BY 1",
        )
        .await;
    assert_eq!(changes, ["zlib 2.1.7 > 2.2.0 @2", "zlib-devel 2.1.7 > 2.2.0 @1"]);
    let sets = "SELECT count(*) FROM build JOIN package ON package.id = package_id
                 WHERE name = 'gcc' AND dependency_keys IS NOT NULL";
    assert_eq!(world.number(sets).await, 1, "only the last one stays");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_build_is_resolved_before_it_ends() {
    let world = World::settled().await;
    world.sim.hold_builds(true);
    world.submit(&["zlib"]).await;
    world.until_repos_are_known().await;
    assert_eq!(clean(build_resolver::step(&world.ctx).await.unwrap()).done, 1);
    assert_eq!(
        world.number("SELECT count(*) FROM build WHERE state = 2 AND deps_resolved").await,
        1
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_build_that_comes_to_nothing_leaves_what_packages_are_compared_with() {
    let world = World::settled().await;
    world.push(&Push::of("zlib").version("2.2.0")).await;
    clean(repo_resolver::step(&world.ctx).await.unwrap());
    let changes =
        "SELECT concat_ws(' ', prev.version, curr.version, change.distance, dependency_priority)
                     FROM unapplied_change AS change JOIN package ON package.id = package_id
                     JOIN dependency AS prev ON prev.id = prev_dep_id
                     JOIN dependency AS curr ON curr.id = curr_dep_id
                    WHERE package.name = 'gcc' AND curr.name = 'zlib-devel'";
    let before = world.texts(changes).await;
    assert_eq!(before.len(), 1, "{before:?}");

    // Looked at while it runs, and then cancelled.
    world.sim.hold_builds(true);
    world.submit(&["gcc"]).await;
    world.until_repos_are_known().await;
    assert_eq!(clean(build_resolver::step(&world.ctx).await.unwrap()).done, 1);
    world.execute("UPDATE build SET cancel_requested = true WHERE state = 2").await;
    clean(polling::builds_step(&world.ctx).await.unwrap());
    clean(repo_resolver::step(&world.ctx).await.unwrap());
    assert_eq!(world.texts(changes).await, before);

    // One that ends takes its place.
    let task = world.submit(&["gcc"]).await[0];
    world.until_repos_are_known().await;
    clean(build_resolver::step(&world.ctx).await.unwrap());
    world.sim.finish_task(task, Ending::Natural);
    world.sim.hold_builds(false);
    world.sim.wait_for_task(task).await;
    clean(polling::builds_step(&world.ctx).await.unwrap());
    clean(repo_resolver::step(&world.ctx).await.unwrap());
    assert_eq!(world.texts(changes).await, [""; 0]);
    let sets = "SELECT \"real\"::text FROM build JOIN package ON package.id = package_id
                 WHERE name = 'gcc' AND dependency_keys IS NOT NULL";
    assert_eq!(world.texts(sets).await, ["false"], "only the last one stays");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_whose_repo_is_gone_makes_its_package_a_new_one() {
    let world = World::empty().await;
    clean(polling::step(&world.ctx).await.unwrap());
    world.push(&Push::of("zlib").version("2.2.0")).await;
    let repo = "SELECT repo_id::bigint FROM build WHERE version = '2.2.0'";
    clean(polling::step(&world.ctx).await.unwrap());
    world.sim.delete_repo(world.number(repo).await);
    let outcome = build_resolver::step(&world.ctx).await.unwrap();
    assert!(outcome.done > 0);
    let row = "SELECT build_priority::bigint FROM package JOIN build ON build.id = last_build_id
                WHERE name = 'zlib' AND deps_resolved = false";
    assert_eq!(world.number(row).await, 3000);
    clean(outcome);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repo_that_has_expired_can_still_be_used() {
    let world = World::empty().await;
    clean(polling::step(&world.ctx).await.unwrap());
    for repo in world.texts("SELECT DISTINCT repo_id::text FROM build").await {
        world.sim.expire_repo(repo.parse().unwrap());
    }
    clean(build_resolver::step(&world.ctx).await.unwrap());
    let without = "SELECT count(*) FROM build WHERE deps_resolved IS DISTINCT FROM true";
    assert_eq!(world.number(without).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repo_that_cannot_be_reached_is_tried_again_and_hinders_no_other() {
    let world = World::empty().await;
    clean(polling::step(&world.ctx).await.unwrap());
    let repos = "SELECT count(DISTINCT repo_id) FROM build WHERE deps_resolved IS NULL";
    assert!(world.number(repos).await >= 1);
    let wrong =
        world.other(|config| config.koji_config.topurl = "http://127.0.0.1:1/kojifiles".into());
    let outcome = build_resolver::step(&wrong).await.unwrap();
    assert_eq!(outcome.failures.len() as i64, world.number(repos).await);
    assert!(outcome.failures[0].1.is_transient(), "{:?}", outcome.failures);
    assert_eq!(world.number("SELECT count(*) FROM build WHERE deps_resolved IS NOT NULL").await, 0);
    clean(build_resolver::step(&world.ctx).await.unwrap());
    assert_eq!(world.number(repos).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn trouble_of_the_hub_and_a_wrong_address_are_no_verdict() {
    let world = World::empty().await;
    clean(polling::step(&world.ctx).await.unwrap());
    let decided = "SELECT count(*) FROM build WHERE deps_resolved = false";
    let broken = Mishap::Fault(1, "<class 'psycopg2.OperationalError'>".into());
    world.sim.mishap(Some("getTagGroups"), broken);
    let outcome = build_resolver::step(&world.ctx).await.unwrap();
    assert_eq!(outcome.failures.len(), 1, "{:?}", outcome.failures);
    assert_eq!(world.number(decided).await, 0);
    let nowhere = world.other(|config| config.koji_config.topurl.push_str("/nowhere"));
    let outcome = build_resolver::step(&nowhere).await.unwrap();
    assert!(outcome.failures.iter().all(|(_, error)| error.to_string().contains("topurl")));
    assert_eq!(world.number(decided).await, 0);
    clean(build_resolver::step(&world.ctx).await.unwrap());
    assert_eq!(world.number("SELECT count(*) FROM build WHERE deps_resolved IS NULL").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_resolve_every_build_once() {
    let world = World::empty().await;
    clean(polling::step(&world.ctx).await.unwrap());
    world.push(&Push::of("zlib").version("2.2.0")).await;
    clean(polling::step(&world.ctx).await.unwrap());
    let builds = world.number("SELECT count(*) FROM build").await;
    let other = world.other(|_| {});
    let (one, two) = tokio::join!(build_resolver::step(&world.ctx), build_resolver::step(&other));
    assert_eq!((clean(one.unwrap()).done + clean(two.unwrap()).done) as i64, builds);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_whose_requirements_koji_refuses_to_tell_does_not_keep_back_the_others() {
    let world = World::settled().await;
    world.push(&Push::of("zlib").version("2.2.0")).await;
    clean(polling::step(&world.ctx).await.unwrap());
    world.sim.mishap(Some("getRPMDeps"), Mishap::Fault(1, "<class 'KeyError'>".into()));
    let outcome = build_resolver::step(&world.ctx).await.unwrap();
    assert_eq!((outcome.done, outcome.failures.len()), (0, 1), "{:?}", outcome.failures);
    let waiting = "SELECT count(*) FROM build WHERE deps_resolved IS NULL";
    assert_eq!(world.number(waiting).await, 1, "it may pass");
    world.execute("UPDATE untold_build_requires SET ask_again = timezone('UTC', now())").await;
    world.sim.mishap(Some("getRPMDeps"), Mishap::Fault(1000, "invalid package".into()));
    assert_eq!(clean(build_resolver::step(&world.ctx).await.unwrap()).done, 1);
    assert_eq!(
        world.number("SELECT count(*) FROM build WHERE deps_resolved = false").await,
        1,
        "it cannot be compared"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_whose_build_group_is_gone_makes_its_package_a_new_one() {
    let world = World::settled().await;
    world.push(&Push::of("zlib").version("2.2.0")).await;
    clean(polling::step(&world.ctx).await.unwrap());
    world.execute("UPDATE collection SET build_group = 'gone'").await;
    assert_eq!(clean(build_resolver::step(&world.ctx).await.unwrap()).done, 1);
    let row = "SELECT build_priority::bigint FROM package JOIN build ON build.id = last_build_id
                WHERE name = 'zlib' AND deps_resolved = false";
    assert_eq!(world.number(row).await, 3000);
}
