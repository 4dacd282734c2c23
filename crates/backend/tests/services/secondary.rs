//! Secondary mode: repos, source packages and real builds come from another Koji, builds are made on the primary one. The
//! mirrors of repos, which a plugin asks for, are prepared by the test.

use koji::calls;
use kojisim::{Ending, Options, Push, Sim};
use koschei_backend::{Context, Stop, build_resolver, polling, repo_resolver, scheduler};
use koschei_core::config::SecondaryKojiConfig;

use crate::gate::{Gate, Passage};
use crate::world::{BUILD_TAG, TAG, World, clean};

/// Two hubs of the same distribution. The repos of the primary one have other numbers.
struct Two {
    /// Its hub is the primary one.
    world: World,
    secondary: Sim,
    _directory: tempfile::TempDir,
}

impl Two {
    async fn new() -> Self {
        let mut world = World::empty().await;
        let directory = tempfile::tempdir().unwrap();
        let secondary = Sim::start(Options::for_tests(directory.path())).await.unwrap();
        for _ in 0..5 {
            world.new_repo().await;
        }
        let mut koji = world.config.koji_config.clone();
        koji.server = secondary.url();
        koji.topurl = secondary.topurl();
        koji.weburl = secondary.weburl();
        world.config.secondary_koji_config = Some(SecondaryKojiConfig { koji, repo_url: None });
        world.ctx = Context::new(world.config.clone(), world.db.clone(), Stop::never()).unwrap();
        world.execute("UPDATE collection SET secondary_mode = true").await;
        Self { world, secondary, _directory: directory }
    }

    /// Everything is registered, tracked and resolved in a repo that is mirrored.
    async fn settled() -> Self {
        let two = Self::new().await;
        let repo = two.secondary.latest_repo(BUILD_TAG).unwrap();
        two.mirror(repo).await;
        two.world.settle().await;
        two
    }

    /// Mirrors a repo of the secondary Koji on the primary one, as the plugin would. Returns the mirror.
    async fn mirror(&self, repo: i64) -> i64 {
        let task = self.world.sim.new_repo(BUILD_TAG).unwrap();
        self.map(repo, task).await;
        assert_eq!(self.world.sim.wait_for_task(task).await, Some(2));
        self.world.sim.latest_repo(BUILD_TAG).unwrap()
    }

    async fn map(&self, repo: i64, task: i64) {
        sqlx::query("INSERT INTO repo_mapping (secondary_id, task_id) VALUES ($1, $2)")
            .bind(i32::try_from(repo).unwrap())
            .bind(i32::try_from(task).unwrap())
            .execute(&self.world.db)
            .await
            .unwrap();
    }

    async fn push(&self, push: &Push) -> i64 {
        let task = self.secondary.push(push).unwrap();
        assert_eq!(self.secondary.wait_for_task(task).await, Some(2));
        self.new_repo().await
    }

    async fn new_repo(&self) -> i64 {
        let task = self.secondary.new_repo(BUILD_TAG).unwrap();
        assert_eq!(self.secondary.wait_for_task(task).await, Some(2));
        self.secondary.latest_repo(BUILD_TAG).unwrap()
    }

    async fn latest_repo(&self) -> i64 {
        self.world.number("SELECT coalesce(latest_repo_id, 0)::bigint FROM collection").await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn packages_and_real_builds_are_those_of_the_secondary_koji() {
    let two = Two::settled().await;
    let last = "SELECT version FROM build JOIN package ON package.last_build_id = build.id WHERE name = $1";
    let version = async |name: &str| -> String {
        sqlx::query_scalar(last).bind(name).fetch_one(&two.world.db).await.unwrap()
    };
    let before = version("xz").await;
    two.push(&Push::of("zlib").version("2.2.0")).await;
    two.world.push(&Push::of("xz").version("99")).await;
    clean(polling::step(&two.world.ctx).await.unwrap());
    assert_eq!(version("zlib").await, "2.2.0");
    assert_eq!(
        version("xz").await,
        before,
        "what is built on the primary Koji is not the collection's"
    );
    clean(build_resolver::step(&two.world.ctx).await.unwrap());
    let unresolved = "SELECT count(*) FROM build WHERE deps_resolved IS DISTINCT FROM true";
    assert_eq!(two.world.number(unresolved).await, 0, "resolved in the secondary Koji's repos");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repo_counts_once_it_is_mirrored_and_its_task_is_done() {
    let two = Two::settled().await;
    let first = two.latest_repo().await;
    let repo = two.push(&Push::of("zlib").version("2.2.0")).await;
    let resolve = async || {
        clean(repo_resolver::step(&two.world.ctx).await.unwrap());
        two.latest_repo().await
    };
    assert_eq!(resolve().await, first, "nobody asked for a mirror yet");
    let why = two.world.texts("SELECT trouble FROM collection_freshness").await;
    assert!(why[0].contains("not mirrored"), "{why:?}");

    // A mirror that failed is forgotten, so that it is asked for again.
    let task = two.world.sim.new_repo(BUILD_TAG).unwrap();
    two.world.sim.hold_task(task, true);
    two.map(repo, task).await;
    assert_eq!(resolve().await, first, "the task is not done");
    two.world.sim.finish_task(task, Ending::Fault(1000, "no space left".into()));
    two.world.sim.wait_for_task(task).await;
    let open = "SELECT count(*) FROM repo_mapping WHERE primary_id IS NULL";
    assert_eq!(two.world.number(open).await, 1);
    assert_eq!(resolve().await, first);
    assert_eq!(two.world.number(open).await, 0);

    // One that was canceled as well.
    two.world.sim.hold_builds(true);
    let task = two.world.submit(&["zlib"]).await[0];
    two.world.koji().await.call(calls::cancel_task(task)).await.unwrap();
    two.map(repo, task).await;
    assert_eq!(two.world.number(open).await, 1);
    assert_eq!(resolve().await, first);
    assert_eq!(two.world.number(open).await, 0);

    let mirror = two.mirror(repo).await;
    assert_eq!(resolve().await, repo);
    let primary = "SELECT primary_id::bigint FROM repo_mapping ORDER BY secondary_id DESC LIMIT 1";
    assert_eq!(two.world.number(primary).await, mirror);
    assert_eq!(
        two.world.number("SELECT count(*) FROM collection_freshness WHERE trouble IS NULL").await,
        1
    );
    let changed = "SELECT count(DISTINCT package_id) FROM unapplied_change
                     JOIN dependency ON dependency.id = curr_dep_id WHERE version = '2.2.0'";
    assert!(two.world.number(changed).await > 0, "of the secondary Koji's repo");
}

#[tokio::test(flavor = "multi_thread")]
async fn builds_are_made_on_the_primary_koji_and_their_repo_is_told_as_the_secondary_one() {
    let two = Two::settled().await;
    let world = &two.world;
    let repo = two.latest_repo().await;
    let mirror = world.number("SELECT primary_id::bigint FROM repo_mapping").await;
    assert_ne!(repo, mirror);
    world.sim.hold_builds(true);

    // By the newest repo of the primary Koji, which is the mirror.
    let task = world.submit(&["zlib"]).await[0];
    world.until_repos_are_known().await;
    let known = "SELECT repo_id::bigint FROM build WHERE state = 2";
    assert_eq!(world.number(known).await, repo);
    world.sim.hold_builds(false);
    assert_eq!(world.sim.wait_for_task(task).await, Some(2));
    clean(polling::builds_step(&world.ctx).await.unwrap());
    assert_eq!(world.state("zlib").await, "ok");
    clean(build_resolver::step(&world.ctx).await.unwrap());
    let resolved = "SELECT count(*) FROM build WHERE NOT \"real\" AND deps_resolved";
    assert_eq!(world.number(resolved).await, 1);

    // By number.
    world.sim.hold_builds(true);
    let ctx = world.other(|config| config.koji_config.build_from_repo_id = true);
    world.calm().await;
    world.make_urgent(&["xz"]).await;
    assert_eq!(clean(scheduler::step(&ctx).await.unwrap()).done, 1);
    let request = world.scratch_tasks().await[0].build_request().unwrap();
    assert_eq!((request.target.clone(), request.repo_id()), (None, Some(mirror)));
    assert_eq!(world.number(known).await, repo);
    world.check_tasks().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_in_a_repo_that_mirrors_none_is_deleted_at_its_end() {
    let two = Two::settled().await;
    let world = &two.world;
    // Newer than the mirror, and of nothing.
    world.new_repo().await;
    let task = world.submit(&["zlib"]).await[0];
    assert_eq!(world.sim.wait_for_task(task).await, Some(2));
    clean(polling::builds_step(&world.ctx).await.unwrap());
    assert_eq!(world.number("SELECT count(*) FROM build WHERE NOT \"real\"").await, 0);
    world.check_tasks().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_koji_is_asked_for_its_own_and_the_secondary_one_never_by_name() {
    let two = Two::new().await;
    let (primary, secondary) =
        (Gate::before(two.world.sim.address()).await, Gate::before(two.secondary.address()).await);
    let ctx = two.world.other(|config| {
        let through = |gate: &Gate, koji: &mut koschei_core::config::KojiConfig| {
            koji.server = format!("http://{}/kojihub", gate.address());
            koji.topurl = format!("http://{}/kojifiles", gate.address());
        };
        through(&primary, &mut config.koji_config);
        let other = config.secondary_koji_config.as_mut().unwrap();
        through(&secondary, &mut other.koji);
        other.koji.srpm_relative_path_root = "../secondary".into();
    });
    let world = &two.world;
    let repo = two.secondary.latest_repo(BUILD_TAG).unwrap();
    two.mirror(repo).await;
    clean(polling::step(&ctx).await.unwrap());
    world.execute("UPDATE package SET tracked = true").await;
    clean(build_resolver::step(&ctx).await.unwrap());
    clean(repo_resolver::step(&ctx).await.unwrap());
    // One build that is cancelled, one that fails.
    world.sim.hold_builds(true);
    world.calm().await;
    world.make_urgent(&["zlib", "xz"]).await;
    assert_eq!(clean(scheduler::step(&ctx).await.unwrap()).done, 2);
    world.until_repos_are_known().await;
    world
        .execute(
            "UPDATE build SET cancel_requested = true FROM package
              WHERE package.id = package_id AND name = 'xz' AND state = 2",
        )
        .await;
    for task in world.scratch_tasks().await {
        // As it stands in the configuration of the Koji that has the source.
        let source = task.build_request().unwrap().source;
        assert!(source.starts_with("../secondary/packages/"), "{source}");
        if source.contains("/zlib/") {
            world.sim.finish_task(task.id, Ending::Fault(1005, "error building package".into()));
            world.sim.wait_for_task(task.id).await;
        }
    }
    clean(polling::step(&ctx).await.unwrap());
    assert_eq!(world.state("zlib").await, "failing");

    let methods = |gate: &Gate| -> Vec<String> {
        gate.asked().into_iter().filter(|method| method != "multiCall").collect()
    };
    let of_builds_and_mirrors = [
        "build",
        "cancelTask",
        "getBuildConfig",
        "getBuildTarget",
        "getChannel",
        "getLoggedInUser",
        "getTaskChildren",
        "getTaskInfo",
        "getTaskResult",
        "listHosts",
        "listTasks",
        "login",
    ];
    assert_eq!(methods(&primary), of_builds_and_mirrors);
    let of_what_is_built = [
        "files",
        "getLoggedInUser",
        "getRPMDeps",
        "getRPMHeaders",
        "getRepo",
        "getTagGroups",
        "getTaskChildren",
        "getTaskInfo",
        "listPackages",
        "listRPMs",
        "listTagged",
        "repoInfo",
    ];
    assert_eq!(methods(&secondary), of_what_is_built);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secondary_koji_that_is_away_keeps_back_only_its_own_collections() {
    let two = Two::settled().await;
    let world = &two.world;
    world
        .execute(
            "INSERT INTO collection (name, display_name, target, dest_tag, build_tag, \"order\")
             VALUES ('primary', 'Primary', 'buyan2', 'buyan2', 'buyan2-build', 1)",
        )
        .await;
    let blocked = world.number("SELECT count(*) FROM package WHERE blocked").await;
    let url = two.secondary.url();
    let its = |text: &str| text.contains(&url) || text.contains("secondary Koji is away");
    two.secondary.stop().await;
    for (name, outcome) in [
        ("polling", polling::step(&world.ctx).await.unwrap()),
        ("repo-resolver", repo_resolver::step(&world.ctx).await.unwrap()),
        ("build-resolver", build_resolver::step(&world.ctx).await.unwrap()),
        ("scheduler", scheduler::step(&world.ctx).await.unwrap()),
    ] {
        for (about, error) in &outcome.failures {
            assert!(error.is_transient(), "{name}: {about}: {error}");
            assert!(its(&error.to_string()), "{name}: {about}: {error}");
            assert!(about.contains("buyan2"), "{name}: {about}: {error}");
        }
    }
    let polled = "SELECT count(*) FROM build JOIN package ON package.id = package_id
                    JOIN collection ON collection.id = collection_id WHERE collection.name = 'primary'";
    assert!(world.number(polled).await > 50, "the other collection has its builds");
    let resolved =
        "SELECT count(*) FROM collection WHERE name = 'primary' AND latest_repo_resolved";
    assert_eq!(world.number(resolved).await, 1);
    assert_eq!(
        world.number("SELECT count(*) FROM package WHERE blocked AND tracked").await,
        blocked
    );
    let why =
        "SELECT trouble FROM collection_freshness JOIN collection ON collection.id = collection_id
                WHERE secondary_mode";
    let why = world.texts(why).await;
    assert!(its(&why[0]), "{why:?}");
    let tag = world.koji().await.call(calls::get_tag(TAG)).await.unwrap();
    assert!(tag.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_primary_koji_that_takes_calls_and_never_answers_holds_up_nobody_else() {
    let two = Two::settled().await;
    let world = &two.world;
    let gate = Gate::before(world.sim.address()).await;
    let ctx = world.other(|config| {
        config.koji_config.server = format!("http://{}/kojihub", gate.address());
        let patience = [("timeout", serde_json::Value::from(2)), ("max_retries", 100.into())];
        config.koji_config.session_opts = koschei_core::config::FreeForm::from_iter(patience);
    });
    world.submit(&["xz"]).await;
    let task = two.secondary.push(&Push::of("zlib").version("2.2.0")).unwrap();
    assert_eq!(two.secondary.wait_for_task(task).await, Some(2));
    world.execute("UPDATE package SET resolved = NULL WHERE name = 'grep'").await;
    world
        .execute(
            "INSERT INTO collection (name, display_name, target, dest_tag, build_tag, \"order\")
             VALUES ('primary', 'Primary', 'buyan2', 'buyan2', 'buyan2-build', 1)",
        )
        .await;
    world.make_urgent(&["sed"]).await;

    gate.set(Passage::Silent);
    let begun = std::time::Instant::now();
    let mut said = Vec::new();
    for result in [
        polling::step(&ctx).await,
        build_resolver::step(&ctx).await,
        repo_resolver::step(&ctx).await,
        scheduler::step(&ctx).await,
    ] {
        match result {
            Ok(outcome) => said.extend(outcome.failures.into_iter().map(|(_, error)| error)),
            Err(error) => said.push(error),
        }
    }
    // Without a limit of its own each call would be made a hundred times.
    assert!(begun.elapsed().as_secs() < 60, "{:?}", begun.elapsed());
    assert!(said.len() >= 4, "{said:?}");
    for error in said {
        assert!(error.is_transient(), "{error}");
        assert!(error.to_string().contains("primary Koji does not answer"), "{error}");
    }
    let registered = "SELECT count(*) FROM build WHERE version = '2.2.0' AND deps_resolved";
    assert_eq!(world.number(registered).await, 1, "the secondary Koji answers");
    assert_eq!(
        world.number("SELECT count(*) FROM package WHERE name = 'grep' AND resolved").await,
        1
    );
    assert_eq!(world.number("SELECT count(*) FROM build WHERE state = 2").await, 1, "no verdict");

    gate.set(Passage::Open);
    let deadline = std::time::Instant::now() + crate::world::LONG;
    world.builds_end().await;
    while world.number("SELECT count(*) FROM build WHERE state = 2").await > 0 {
        assert!(std::time::Instant::now() < deadline, "it is left alone for ever");
        polling::builds_step(&ctx).await.unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
    world.check_tasks().await;
}
