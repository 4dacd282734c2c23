//! Ten processes of each service on one database and one hub: no work is done twice, and none is lost, whoever is stopped
//! or killed meanwhile.

use std::time::Instant;

use futures_util::future::join_all;
use kojisim::Push;
use koschei_backend::driver::{self, Ended};
use koschei_backend::{Service, build_resolver, polling, repo_resolver, scheduler};
use koschei_db::locks::{BuildResolverLock, RepoResolverLock, SchedulerLock};
use koschei_db::testing;

use crate::world::{LONG, World, clean};

const TEN: usize = 10;

#[tokio::test(flavor = "multi_thread")]
async fn ten_processes_of_each_service_do_everything_once() {
    let world = World::empty().await;
    let ten =
        world.processes(world.database(), TEN, |config| config.koji_config.max_builds = 7).await;
    let ten: Vec<_> = ten.into_iter().map(|(ctx, _)| ctx).collect();

    // Real builds: one row for each.
    for outcome in join_all(ten.iter().map(polling::step)).await {
        clean(outcome.unwrap());
    }
    let listed = world.number("SELECT count(*) FROM package WHERE NOT blocked").await;
    assert_eq!(world.number("SELECT count(*) FROM build").await, listed);
    let twice = "SELECT count(*) FROM (SELECT FROM build GROUP BY package_id, task_id HAVING count(*) > 1) AS twice";
    assert_eq!(world.number(twice).await, 0);
    let parts = "SELECT count(*) FROM (SELECT FROM koji_task GROUP BY build_id, task_id HAVING count(*) > 1) AS twice";
    assert_eq!(world.number(parts).await, 0);
    world.execute("UPDATE package SET tracked = true").await;

    // Install sets, and packages in the newest repo: the work of all together is the work that there is.
    let mut done = 0;
    for outcome in join_all(ten.iter().map(build_resolver::step)).await {
        done += clean(outcome.unwrap()).done;
    }
    assert_eq!(done as i64, listed);
    let mut done = 0;
    for outcome in join_all(ten.iter().map(repo_resolver::step)).await {
        done += clean(outcome.unwrap()).done;
    }
    assert_eq!(done as i64, listed);
    assert_eq!(world.number("SELECT count(*) FROM resolution_change").await, listed);

    // Submissions: never more than may run, each package once.
    world.sim.hold_builds(true);
    world.execute("UPDATE package SET manual_priority = 100000").await;
    let mut done = 0;
    for outcome in join_all(ten.iter().map(scheduler::step)).await {
        done += clean(outcome.unwrap()).done;
    }
    assert_eq!(done, 7);
    assert_eq!(world.scratch_tasks().await.len(), 7);
    assert_eq!(
        world.number("SELECT count(DISTINCT package_id) FROM build WHERE state = 2").await,
        7
    );

    // Their ends.
    world.sim.hold_builds(false);
    world.builds_end().await;
    let mut done = 0;
    for outcome in join_all(ten.iter().map(polling::builds_step)).await {
        done += clean(outcome.unwrap()).done;
    }
    assert_eq!(done, 7);
    assert_eq!(world.number(parts).await, 0);
    world.check_tasks().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_of_each_go_on_while_some_are_killed() {
    // Forty services need more connections than the other tests leave.
    let (_cluster, database) = testing::cluster().await;
    let db = koschei_db::connect(&database).await.unwrap();
    let world = World::on(db).await;
    world.settle().await;
    world.push(&Push::of("zlib").version("2.2.0")).await;
    let packages = world.number("SELECT count(*) FROM package WHERE NOT blocked").await;
    let max_builds = 12;

    let start = async |service: Service, count: usize| {
        let processes = world.processes(&database, count, |config| {
            config.koji_config.max_builds = max_builds;
            config.koji_config.load_threshold = 1.0;
            config.dependency.persist_chunk_size = 7;
            let services = &mut config.services;
            for service in [
                &mut services.polling,
                &mut services.repo_resolver,
                &mut services.build_resolver,
                &mut services.scheduler,
            ] {
                service.interval = 1.0;
            }
        });
        processes
            .await
            .into_iter()
            .map(|(ctx, stopper)| {
                (tokio::spawn(async move { driver::run(service, &ctx).await }), stopper)
            })
            .collect::<Vec<_>>()
    };
    let mut running = Vec::new();
    for service in Service::ALL {
        for process in start(service, TEN).await {
            running.push((service, process));
        }
    }
    world.execute("UPDATE package SET manual_priority = 100000").await;

    let built = "SELECT count(DISTINCT package_id) FROM build WHERE NOT \"real\" AND state <> 2";
    let deadline = Instant::now() + LONG;
    let mut victim = 0;
    loop {
        let now = world.number(built).await;
        let at_once = world.number("SELECT count(*) FROM build WHERE state = 2").await;
        assert!(at_once <= i64::from(max_builds), "{at_once} builds run at once");
        if now == packages {
            break;
        }
        assert!(Instant::now() < deadline, "only {now} of {packages} packages are built");
        // One process dies wherever it is, and another one is started in its place.
        victim = (victim + 7) % running.len();
        let (service, (task, _)) = running.swap_remove(victim);
        task.abort();
        running.push((service, start(service, 1).await.remove(0)));
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    for (_, (_, stopper)) in &running {
        stopper.stop();
    }
    for (_, (task, _)) in running {
        assert_eq!(task.await.unwrap(), Ended::Stopped);
    }

    // What was broken off at the end is done by whoever is next. (A submission of which Koji never heard is waited for, in
    // case that it is still on its way.)
    world.calm().await;
    world.execute("UPDATE submission SET begun = begun - interval '1 minute'").await;
    for _ in 0..3 {
        clean(scheduler::step(&world.ctx).await.unwrap());
        world.builds_end().await;
        clean(polling::step(&world.ctx).await.unwrap());
        clean(build_resolver::step(&world.ctx).await.unwrap());
        clean(repo_resolver::step(&world.ctx).await.unwrap());
    }
    world.check_tasks().await;
    let twice = "SELECT count(*) FROM (SELECT FROM build GROUP BY package_id, task_id HAVING count(*) > 1) AS twice";
    assert_eq!(world.number(twice).await, 0);
    assert_eq!(world.number("SELECT count(*) FROM build WHERE deps_resolved IS NULL").await, 0);
    assert_eq!(world.number("SELECT count(*) FROM submission").await, 0);
    let behind = "SELECT count(*) FROM package, collection
                   WHERE resolved_repo_id IS DISTINCT FROM latest_repo_id AND NOT blocked";
    assert_eq!(world.number(behind).await, 0);
    let history = "SELECT count(*) FROM (SELECT FROM resolution_change GROUP BY package_id HAVING count(*) > 1) AS more";
    assert_eq!(world.number(history).await, 0, "nothing changed, whatever was interrupted");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_process_has_locked_is_left_to_it_and_not_waited_for() {
    let world = World::settled().await;
    world.push(&Push::of("zlib").version("2.2.0")).await;
    clean(polling::step(&world.ctx).await.unwrap());
    world.make_urgent(&["xz"]).await;
    let repo = "SELECT repo_id::bigint FROM build WHERE version = '2.2.0'";
    let repo = i32::try_from(world.number(repo).await).unwrap();
    let of_collection = RepoResolverLock::try_acquire(&world.db, world.collection).await.unwrap();
    let of_repo = BuildResolverLock::try_acquire(&world.db, repo).await.unwrap();
    let of_scheduler = SchedulerLock::try_acquire(&world.db).await.unwrap();
    assert_eq!(clean(repo_resolver::step(&world.ctx).await.unwrap()).done, 0);
    assert_eq!(clean(build_resolver::step(&world.ctx).await.unwrap()).done, 0);
    assert_eq!(clean(scheduler::step(&world.ctx).await.unwrap()).done, 0);
    of_collection.unwrap().release().await;
    of_repo.unwrap().release().await;
    of_scheduler.unwrap().release().await;
    assert!(clean(repo_resolver::step(&world.ctx).await.unwrap()).done > 0);
    assert_eq!(clean(build_resolver::step(&world.ctx).await.unwrap()).done, 1);
    assert!(clean(scheduler::step(&world.ctx).await.unwrap()).done > 0);
}
