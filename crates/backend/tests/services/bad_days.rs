//! The hub away, the database restarted, processes killed at any point, and the driver that carries on.

use std::future::Future;
use std::pin::pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use kojisim::Push;
use koschei_backend::driver::{self, Ended};
use koschei_backend::{
    Context, Service, Stopper, build_resolver, polling, repo_resolver, scheduler,
};
use koschei_db::testing;
use koschei_db::{Address, DatabaseConfig};

use crate::world::{LONG, World, clean};

const BLOCKED: &str = "SELECT count(*) FROM package WHERE blocked";

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_that_is_away_costs_time_and_nothing_else() {
    let world = World::settled().await;
    world.sim.hold_builds(true);
    world.submit(&["zlib"]).await;
    world.make_urgent(&["xz"]).await;
    let before = world.number("SELECT count(*) FROM build").await;
    let blocked = world.number(BLOCKED).await;
    for away in [0, 1] {
        if away == 0 {
            world.sim.set_offline(Some("Server disabled for maintenance"));
        } else {
            world.sim.drop_connections(LONG);
        }
        for (name, result) in [
            ("polling", polling::step(&world.ctx).await),
            ("repo-resolver", repo_resolver::step(&world.ctx).await),
            ("build-resolver", build_resolver::step(&world.ctx).await),
            ("scheduler", scheduler::step(&world.ctx).await),
        ] {
            match result {
                Err(error) => assert!(error.is_transient(), "{name}: {error}"),
                Ok(outcome) => {
                    for (about, error) in &outcome.failures {
                        assert!(error.is_transient(), "{name}: {about}: {error}");
                    }
                }
            }
        }
        world.sim.set_offline(None);
        world.sim.drop_connections(Duration::ZERO);
    }
    assert_eq!(world.number("SELECT count(*) FROM build").await, before);
    assert_eq!(
        world.number(BLOCKED).await,
        blocked,
        "a list that did not come is not an empty one"
    );
    assert_eq!(clean(scheduler::step(&world.ctx).await.unwrap()).done, 1);
    world.sim.hold_builds(false);
    world.builds_end().await;
    clean(polling::step(&world.ctx).await.unwrap());
    assert_eq!(world.number("SELECT count(*) FROM build WHERE state = 2").await, 0);
    world.check_tasks().await;
}

/// Polls a future so many times and then drops it, as a kill would end it. What it came to, if it came to its end.
pub(crate) async fn killed_after<F: Future>(polls: usize, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut left = polls;
    std::future::poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        future.as_mut().poll(context).map(Some)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_at_any_point_loses_nothing_and_doubles_nothing() {
    let world = World::settled().await;
    world.push(&Push::of("zlib").version("2.2.0")).await;
    world.calm().await;
    world.make_urgent(&["zlib", "xz", "bzip2", "grep"]).await;
    let mut polls = 1;
    let deadline = Instant::now() + LONG;
    loop {
        assert!(Instant::now() < deadline, "the steps never end, after {polls} polls");
        // Each time another process, which is killed a little later than the one before.
        let ctx = world.other(|config| {
            config.koji_config.max_builds = 3;
            config.dependency.persist_chunk_size = 5;
        });
        let mut ended = true;
        ended &= killed_after(polls, scheduler::step(&ctx)).await.is_some();
        ended &= killed_after(polls, polling::step(&ctx)).await.is_some();
        ended &= killed_after(polls, build_resolver::step(&ctx)).await.is_some();
        ended &= killed_after(polls, repo_resolver::step(&ctx)).await.is_some();
        let running = world.number("SELECT count(*) FROM build WHERE state = 2").await;
        assert!(running <= 3, "{running}");
        if ended {
            break;
        }
        polls += 1 + polls / 4;
    }
    for _ in 0..4 {
        clean(scheduler::step(&world.ctx).await.unwrap());
        world.builds_end().await;
        clean(polling::step(&world.ctx).await.unwrap());
        clean(build_resolver::step(&world.ctx).await.unwrap());
        clean(repo_resolver::step(&world.ctx).await.unwrap());
    }
    world.check_tasks().await;
    assert_eq!(world.number("SELECT count(*) FROM build WHERE state = 2").await, 0);
    assert_eq!(world.number("SELECT count(*) FROM build WHERE deps_resolved IS NULL").await, 0);
    let twice = "SELECT count(*) FROM (SELECT FROM build WHERE NOT \"real\" GROUP BY package_id
                   HAVING count(*) > 1) AS twice";
    assert_eq!(world.number(twice).await, 0, "no package was urgent twice");
    let behind = "SELECT count(*) FROM package, collection
                   WHERE resolved_repo_id IS DISTINCT FROM latest_repo_id AND NOT blocked";
    assert_eq!(world.number(behind).await, 0);
    let history = "SELECT count(*) FROM (SELECT FROM resolution_change GROUP BY package_id HAVING count(*) > 1) AS more";
    assert_eq!(world.number(history).await, 0, "nothing changed, whatever was interrupted");
    let locks = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database =
                  (SELECT oid FROM pg_database WHERE datname = current_database())";
    let deadline = Instant::now() + LONG;
    while world.number(locks).await > 0 {
        assert!(Instant::now() < deadline, "locks are left");
        tokio::task::yield_now().await;
    }
}

/// Runs all services until something is true, and then stops them.
async fn run_until(ctx: impl Fn() -> (Context, Stopper), mut reached: impl AsyncFnMut() -> bool) {
    let mut running = Vec::new();
    let mut stoppers = Vec::new();
    for service in Service::ALL {
        let (ctx, stopper) = ctx();
        stoppers.push(stopper);
        running.push(tokio::spawn(async move { driver::run(service, &ctx).await }));
    }
    let deadline = Instant::now() + LONG;
    while !reached().await {
        assert!(Instant::now() < deadline, "this takes too long");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let asked = Instant::now();
    for stopper in &stoppers {
        stopper.stop();
    }
    for service in running {
        assert_eq!(service.await.unwrap(), Ended::Stopped);
    }
    // Steps are broken off after six seconds; the rest is for a busy machine.
    assert!(asked.elapsed() < Duration::from_secs(30), "services end soon");
}

fn running_context(world: &World) -> (Context, Stopper) {
    let mut config = world.config.clone();
    config.services.polling.interval = 0.2;
    for service in [
        &mut config.services.repo_resolver,
        &mut config.services.build_resolver,
        &mut config.services.scheduler,
    ] {
        service.interval = 0.2;
    }
    let (stopper, stop) = Stopper::new();
    (Context::new(config, world.db.clone(), stop).unwrap(), stopper)
}

#[tokio::test(flavor = "multi_thread")]
async fn from_an_update_to_new_builds_without_anybody_looking() {
    let world = World::settled().await;
    world
        .push(
            &Push::of("xz").version("5.8.0").breaking("zstd", "error: liblzma is not what it was"),
        )
        .await;
    world.execute("UPDATE build SET started = started - interval '30 days', finished = finished - interval '30 days'").await;
    let done = "SELECT count(*) FROM package WHERE name = 'zstd' AND last_complete_build_state = 5
                  AND (SELECT deps_resolved FROM build WHERE id = last_complete_build_id)";
    run_until(|| running_context(&world), async || world.number(done).await == 1).await;
    assert_eq!(world.state("zstd").await, "failing");
    let culprit = "SELECT DISTINCT curr.name FROM applied_change AS change
                     JOIN package ON last_complete_build_id = change.build_id
                     JOIN dependency AS curr ON curr.id = curr_dep_id
                    WHERE package.name = 'zstd' AND curr.version = '5.8.0' AND distance = 1";
    assert_eq!(world.texts(culprit).await, ["xz-devel"]);
    world.check_tasks().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_restarted_in_the_middle_is_survived() {
    let (mut cluster, config) = testing::cluster().await;
    let db = koschei_db::connect(&config).await.unwrap();
    let world = World::on(db).await;
    world.settle().await;
    world.push(&Push::of("zlib").version("2.2.0")).await;
    world.execute("UPDATE package SET manual_priority = 5000 WHERE id % 10 = 0").await;
    let mut restarts = 3;
    let built = "SELECT count(*) FROM build WHERE NOT \"real\" AND state <> 2 AND deps_resolved";
    run_until(
        || running_context(&world),
        async || {
            if restarts > 0 {
                restarts -= 1;
                tokio::time::sleep(Duration::from_millis(300)).await;
                cluster.restart().await.unwrap();
                return false;
            }
            let built = sqlx::query_scalar::<_, i64>(built).fetch_one(&world.db).await;
            built.is_ok_and(|built| built >= 5)
        },
    )
    .await;
    world.builds_end().await;
    clean(polling::step(&world.ctx).await.unwrap());
    world.check_tasks().await;
    assert_eq!(
        world.number("SELECT count(*) FROM package WHERE resolved IS NULL AND NOT blocked").await,
        0
    );
}

/// Stands between a service and its database, and can let everything that is connected wait for ever, as when the machine
/// of the database vanishes without a word. What connects later gets through.
struct Firewall {
    directory: tempfile::TempDir,
    frozen: tokio::sync::watch::Sender<u32>,
}

impl Firewall {
    fn before(database: &DatabaseConfig) -> (Self, DatabaseConfig) {
        let Address::Parts { host, port, database: name, username, password } = &database.address
        else {
            panic!("test databases are on a socket")
        };
        let socket = format!(".s.PGSQL.{port}");
        let behind = std::path::Path::new(host).join(&socket);
        let directory = tempfile::tempdir().unwrap();
        let listener = tokio::net::UnixListener::bind(directory.path().join(&socket)).unwrap();
        let (frozen, winters) = tokio::sync::watch::channel(0);
        tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                let Ok(mut far) = tokio::net::UnixStream::connect(&behind).await else { continue };
                let mut winters = winters.clone();
                winters.mark_unchanged();
                tokio::spawn(async move {
                    tokio::select! {
                        _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
                        _ = winters.changed() => {
                            // Neither side hears of the other any more, nor that it is gone.
                            let _open = near;
                            drop(far);
                            std::future::pending::<()>().await;
                        }
                    }
                });
            }
        });
        let address = Address::Parts {
            host: directory.path().to_str().unwrap().to_owned(),
            port: *port,
            database: name.clone(),
            username: username.clone(),
            password: password.clone(),
        };
        let config =
            DatabaseConfig { address, acquire_timeout: Duration::from_secs(5), ..database.clone() };
        (Self { directory, frozen }, config)
    }

    fn freeze(&self) {
        self.frozen.send_modify(|winters| *winters += 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_vanishes_without_a_word_does_not_hang_a_service() {
    let world = World::settled().await;
    let (firewall, behind) = Firewall::before(world.database());
    let mut config = world.config.clone();
    config.services.polling.interval = 0.2;
    let (stopper, stop) = Stopper::new();
    let pool = koschei_db::connect(&behind).await.unwrap();
    let ctx = Context::new(config, pool, stop).unwrap();
    let ctx = ctx.with_database_limit(Duration::from_secs(3));
    let polling = tokio::spawn(async move { driver::run(Service::Polling, &ctx).await });

    // In the middle of a statement: it waits for a lock when its connection freezes.
    let mut blocker = world.db.begin().await.unwrap();
    sqlx::query("LOCK TABLE package IN ACCESS EXCLUSIVE MODE")
        .execute(&mut *blocker)
        .await
        .unwrap();
    world.database_handle().until_somebody_waits().await;
    firewall.freeze();
    blocker.rollback().await.unwrap();

    world.push(&Push::of("zlib").version("2.2.0")).await;
    let registered = "SELECT count(*) FROM build WHERE version = '2.2.0'";
    let deadline = Instant::now() + LONG;
    while world.number(registered).await == 0 {
        assert!(Instant::now() < deadline, "the service hangs");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    stopper.stop();
    assert_eq!(polling.await.unwrap(), Ended::Stopped);
    assert!(firewall.directory.path().exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_is_woken_when_there_is_work() {
    let world = World::settled().await;
    world.sim.hold_builds(true);
    let task = world.submit(&["zlib"]).await[0];
    let (mut ctx, stopper) = running_context(&world);
    let mut config = world.config.clone();
    config.services.polling.interval = 3600.0;
    ctx.config = config.into();
    let polling = tokio::spawn(async move { driver::run(Service::Polling, &ctx).await });
    // The first step sees a running build; after it, only a notification can bring the second one.
    let deadline = Instant::now() + LONG;
    while world.number("SELECT count(*) FROM build WHERE state = 2 AND repo_id IS NOT NULL").await
        == 0
    {
        assert!(Instant::now() < deadline, "polling does not learn the repo of the build");
        world.execute("SELECT pg_notify('koschei_wake', 'polling')").await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    world.execute("UPDATE build SET cancel_requested = true WHERE state = 2").await;
    world.execute("SELECT pg_notify('koschei_wake', 'polling')").await;
    while world.number("SELECT count(*) FROM build WHERE state = 2").await > 0 {
        assert!(Instant::now() < deadline, "nobody was woken");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(world.sim.task_state(task), Some(3));
    stopper.stop();
    assert_eq!(polling.await.unwrap(), Ended::Stopped);
}
