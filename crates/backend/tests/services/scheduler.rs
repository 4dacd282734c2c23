//! Which builds are submitted, how, and what keeps a package from it.

use koji::calls;
use koji::types::BuildRequest;
use koji::xmlrpc::Struct;
use kojisim::{Mishap, Push};
use koschei_backend::{polling, repo_resolver, scheduler};

use crate::world::{RUNNING, TAG, World, clean};

#[tokio::test(flavor = "multi_thread")]
async fn a_build_is_submitted_as_koji_wants_it() {
    let world = World::settled().await;
    world.sim.hold_builds(true);
    let task = world.submit(&["xz"]).await[0];
    let task = world.koji().await.call(calls::get_task_info(task)).await.unwrap().unwrap();
    let request = task.build_request().unwrap();
    let srpm = world.texts("SELECT version || '/' || release FROM build JOIN package ON package.id = package_id WHERE name = 'xz' AND state = 2").await;
    assert!(
        request.source.starts_with(&format!("../packages/xz/{}/src/xz-", srpm[0])),
        "{}",
        request.source
    );
    assert_eq!(request.target.as_deref(), Some(TAG));
    assert!(request.is_scratch());
    let arches = request.options.get("arch_override").unwrap().as_str().unwrap();
    let mut arches: Vec<&str> = arches.split(' ').collect();
    arches.sort();
    assert_eq!(arches, ["aarch64", "x86_64"], "of the tag, limited to the configured ones");
    assert_eq!(task.priority, Some(20 + 30));
    let row =
        "SELECT epoch * 1000 + manual_priority FROM build JOIN package ON package.id = package_id
                WHERE state = 2 AND name = 'xz'";
    let row: i32 = sqlx::query_scalar(row).fetch_one(&world.db).await.unwrap();
    assert_eq!(row, 1000, "the epoch of the SRPM, and the manual priority reset");
    world.check_tasks().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_noarch_build_goes_anywhere_and_configured_options_are_passed_on() {
    let world = World::settled().await;
    world.sim.hold_builds(true);
    world.calm().await;
    world.make_urgent(&["setup"]).await;
    let ctx = world.other(|config| {
        config.koji_config.build_opts =
            koschei_core::config::FreeForm::from_iter([("custom_user_metadata", "by Koschei")]);
    });
    clean(scheduler::step(&ctx).await.unwrap());
    let request = world.scratch_tasks().await[0].build_request().unwrap();
    assert!(request.options.get("arch_override").is_none());
    assert_eq!(request.options.get("custom_user_metadata").unwrap().as_str(), Some("by Koschei"));
}

#[tokio::test(flavor = "multi_thread")]
async fn with_build_from_repo_id_the_newest_repo_is_named() {
    let world = World::settled().await;
    world.sim.hold_builds(true);
    world.calm().await;
    world.make_urgent(&["xz"]).await;
    let ctx = world.other(|config| config.koji_config.build_from_repo_id = true);
    clean(scheduler::step(&ctx).await.unwrap());
    let request = world.scratch_tasks().await[0].build_request().unwrap();
    let repo = world.number("SELECT latest_repo_id::bigint FROM collection").await;
    assert_eq!((request.target.clone(), request.repo_id()), (None, Some(repo)));
    assert_eq!(world.number("SELECT repo_id::bigint FROM build WHERE state = 2").await, repo);
}

#[tokio::test(flavor = "multi_thread")]
async fn as_many_as_fit_are_submitted_most_urgent_first_and_never_more() {
    let world = World::settled().await;
    world.sim.hold_builds(true);
    world.execute("UPDATE package SET manual_priority = 100000 * id").await;
    let urgent = "SELECT name FROM (SELECT * FROM package WHERE NOT blocked ORDER BY id DESC LIMIT 4) AS last ORDER BY id";
    let urgent = world.texts(urgent).await;
    let (one, two) = (
        world.other(|config| config.koji_config.max_builds = 4),
        world.other(|config| config.koji_config.max_builds = 4),
    );
    let (a, b) = tokio::join!(scheduler::step(&one), scheduler::step(&two));
    assert_eq!(clean(a.unwrap()).done + clean(b.unwrap()).done, 4, "two processes, one round");
    let built =
        "SELECT name FROM package WHERE last_build_id <> last_complete_build_id ORDER BY id";
    assert_eq!(world.texts(built).await, urgent);
    assert_eq!(clean(scheduler::step(&one).await.unwrap()).done, 0);
    assert_eq!(world.number(RUNNING).await, 4);
    world.check_tasks().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_submitted_while_koji_is_busy() {
    let world = World::settled().await;
    world.sim.hold_builds(true);
    world.calm().await;
    world.make_urgent(&["zlib"]).await;
    for host in ["builder-a64-01.buyan.example", "builder-a64-02.buyan.example"] {
        assert!(world.sim.set_host_load(host, 100.0));
    }
    assert_eq!(clean(scheduler::step(&world.ctx).await.unwrap()).done, 0);
    world.make_urgent(&["setup"]).await;
    world.execute("UPDATE package SET manual_priority = 20000 WHERE name = 'setup'").await;
    assert_eq!(
        clean(scheduler::step(&world.ctx).await.unwrap()).done,
        1,
        "noarch goes to the idle ones"
    );
    let ctx = world.other(|config| config.koji_config.load_threshold = 1.0);
    assert_eq!(clean(scheduler::step(&ctx).await.unwrap()).done, 1, "or nobody asks");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_package_without_an_allowed_architecture_waits_until_that_changes() {
    let world = World::settled().await;
    world.sim.hold_builds(true);
    world.calm().await;
    world.make_urgent(&["zlib", "xz"]).await;
    world.execute("UPDATE package SET arch_override = 's390x' WHERE name = 'zlib'").await;
    world.execute("UPDATE package SET manual_priority = 20000 WHERE name = 'zlib'").await;
    let reason = "SELECT coalesce(scheduler_skip_reason, 0) * 100000::bigint + manual_priority FROM package WHERE name = 'zlib'";
    assert_eq!(clean(scheduler::step(&world.ctx).await.unwrap()).done, 1, "on to the next");
    assert_eq!(world.number(reason).await, 220_000, "reason 2, and the priority stays");
    assert_eq!(clean(scheduler::step(&world.ctx).await.unwrap()).done, 0);
    assert_eq!(world.number(reason).await, 220_000);
    world.execute("UPDATE package SET arch_override = '^aarch64' WHERE name = 'zlib'").await;
    assert_eq!(clean(scheduler::step(&world.ctx).await.unwrap()).done, 1);
    let request = world.scratch_tasks().await[0].build_request().unwrap();
    assert_eq!(request.options.get("arch_override").unwrap().as_str(), Some("x86_64"));
}

#[tokio::test(flavor = "multi_thread")]
async fn other_architectures_in_the_configuration_are_another_chance() {
    let world = World::settled().await;
    world.sim.hold_builds(true);
    world.calm().await;
    world.make_urgent(&["zlib"]).await;
    let none = world.other(|config| config.koji_config.build_arches = vec!["s390x".into()]);
    assert_eq!(clean(scheduler::step(&none).await.unwrap()).done, 0);
    assert_eq!(
        world.number("SELECT count(*) FROM package WHERE scheduler_skip_reason = 2").await,
        1
    );
    assert_eq!(clean(scheduler::step(&world.ctx).await.unwrap()).done, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_package_without_source_is_set_aside_until_it_has_a_new_build() {
    let world = World::settled().await;
    world.sim.hold_builds(false);
    world.calm().await;
    world.make_urgent(&["zlib", "xz"]).await;
    world
        .execute(
            "UPDATE package SET manual_priority = 20000 WHERE name = 'zlib';
             ",
        )
        .await;
    world
        .execute(
            "UPDATE build SET version = '0.0' FROM package WHERE package.last_build_id = build.id AND name = 'zlib'",
        )
        .await;
    assert_eq!(clean(scheduler::step(&world.ctx).await.unwrap()).done, 1, "on to the next");
    assert_eq!(world.state("zlib").await, "unknown");
    assert_eq!(
        world.number("SELECT scheduler_skip_reason::bigint FROM package WHERE name = 'zlib'").await,
        1
    );
    world.push(&Push::of("zlib").version("2.2.0")).await;
    clean(polling::step(&world.ctx).await.unwrap());
    clean(repo_resolver::step(&world.ctx).await.unwrap());
    assert_eq!(world.state("zlib").await, "ok");
    world.calm().await;
    world.make_urgent(&["zlib"]).await;
    assert_eq!(clean(scheduler::step(&world.ctx).await.unwrap()).done, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_package_that_is_tagged_nowhere_is_set_aside_until_it_is_tagged_again() {
    let world = World::settled().await;
    world.sim.hold_builds(true);
    let what =
        calls::ListTagged { inherit: true, package: Some("zlib"), ..calls::ListTagged::default() };
    let mut untagged = Vec::new();
    loop {
        let tagged = world.koji().await.call(calls::list_tagged(TAG, what.clone())).await.unwrap();
        let Some(build) = tagged.into_iter().next() else { break };
        let tag = build.tag_name.clone();
        assert!(!untagged.contains(&(build.nvr.clone(), tag.clone())), "{build:?}");
        world.sim.set_tagged(&build.nvr, &tag, false);
        untagged.push((build.nvr, tag));
    }
    assert!(!untagged.is_empty());
    world.calm().await;
    world.make_urgent(&["zlib"]).await;
    let reason =
        "SELECT coalesce(scheduler_skip_reason, 0)::bigint FROM package WHERE name = 'zlib'";
    assert_eq!(clean(scheduler::step(&world.ctx).await.unwrap()).done, 0);
    assert_eq!(world.number(reason).await, 1);
    assert_eq!(world.state("zlib").await, "unknown");
    clean(polling::step(&world.ctx).await.unwrap());
    assert_eq!(world.number(reason).await, 1, "it is still tagged nowhere");
    for (nvr, tag) in untagged.iter().rev() {
        world.sim.set_tagged(nvr, tag, true);
    }
    clean(polling::step(&world.ctx).await.unwrap());
    assert_eq!(world.number(reason).await, 0);
    clean(repo_resolver::step(&world.ctx).await.unwrap());
    assert_eq!(world.state("zlib").await, "ok");
    world.make_urgent(&["zlib"]).await;
    assert_eq!(clean(scheduler::step(&world.ctx).await.unwrap()).done, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_whose_submission_was_not_answered_is_adopted_and_not_made_twice() {
    let world = World::settled().await;
    world.sim.hold_builds(true);
    for mishap in [Mishap::CutAnswer, Mishap::WrongContentType] {
        world.calm().await;
        world.make_urgent(&["zlib", "xz"]).await;
        let tasks = world.scratch_tasks().await.len();
        world.sim.mishap(Some("build"), mishap.clone());
        let mut done = 0;
        for _ in 0..3 {
            match scheduler::step(&world.ctx).await {
                Ok(outcome) => done += outcome.done,
                Err(error) => assert!(error.to_string().contains("build"), "{error}"),
            }
        }
        assert!(done >= 1, "{mishap:?}");
        assert_eq!(world.scratch_tasks().await.len(), tasks + 2, "{mishap:?}");
        world.check_tasks().await;
        assert_eq!(world.number(RUNNING).await, 2);
        world.execute("UPDATE build SET cancel_requested = true WHERE state = 2").await;
        clean(polling::builds_step(&world.ctx).await.unwrap());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_process_left_is_adopted_by_the_next_one_before_it_submits() {
    let world = World::settled().await;
    world.sim.hold_builds(true);
    world.calm().await;
    // It runs since long ago, and has nothing to adopt of its own.
    let other = world.other(|_| {});
    assert_eq!(clean(scheduler::step(&other).await.unwrap()).done, 0);
    world.make_urgent(&["zlib"]).await;
    world.sim.mishap(Some("build"), Mishap::CutAnswer);
    assert!(scheduler::step(&world.ctx).await.is_err());
    assert_eq!(world.scratch_tasks().await.len(), 1);
    clean(scheduler::step(&other).await.unwrap());
    assert_eq!(world.scratch_tasks().await.len(), 1);
    assert_eq!(world.number(RUNNING).await, 1);
    world.check_tasks().await;
    assert_eq!(world.number("SELECT count(*) FROM submission").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_package_waits_while_a_build_of_it_may_be_on_its_way() {
    let world = World::settled().await;
    world.sim.hold_builds(true);
    world.calm().await;
    world.make_urgent(&["zlib", "xz"]).await;
    world.execute("INSERT INTO submission SELECT id FROM package WHERE name = 'zlib'").await;
    assert_eq!(clean(scheduler::step(&world.ctx).await.unwrap()).done, 1, "the other one");
    world.execute("UPDATE submission SET begun = begun - interval '1 minute'").await;
    assert_eq!(clean(scheduler::step(&world.ctx).await.unwrap()).done, 1);
    assert_eq!(world.number("SELECT count(*) FROM submission").await, 0);
    world.check_tasks().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_submission_leaves_nothing_behind() {
    let world = World::settled().await;
    world.sim.hold_builds(true);
    world.calm().await;
    world.make_urgent(&["zlib"]).await;
    world.sim.mishap(Some("build"), Mishap::Fault(1004, "policy violation (build)".into()));
    let outcome = scheduler::step(&world.ctx).await.unwrap();
    assert_eq!((outcome.done, outcome.failures.len()), (0, 1));
    assert_eq!(world.number("SELECT count(*) FROM submission").await, 0);
    assert_eq!(clean(scheduler::step(&world.ctx).await.unwrap()).done, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_crash_left_in_koji_is_adopted_at_the_next_start() {
    let world = World::settled().await;
    world.sim.hold_builds(true);
    world.calm().await;
    // What the scheduler sends, without what it writes.
    let srpm = world.texts("SELECT version || '/' || release || '/src/xz-' || version || '-' || release || '.src.rpm' FROM build JOIN package ON package.id = package_id WHERE name = 'xz'").await;
    let koji = world.koji().await;
    let submit = |source: String, target: Option<&str>, options: Struct| {
        let request = BuildRequest { source, target: target.map(str::to_owned), options };
        koji.call(calls::build(&request, Some(30)))
    };
    let scratch = || Struct::new().with("scratch", true);
    let ours = format!("../packages/xz/{}", srpm[0]);
    let by_target = submit(ours.clone(), Some(TAG), scratch()).await.unwrap();
    let repo = world.number("SELECT latest_repo_id::bigint FROM collection").await;
    let by_repo = submit(ours.clone(), None, scratch().with("repo_id", repo)).await.unwrap();
    submit(ours.clone(), Some("buyan1"), scratch()).await.unwrap();
    submit("git+https://src.buyan.example/rpms/xz#abc".into(), Some(TAG), scratch()).await.unwrap();
    submit("../packages/nothing/1/1/src/nothing-1-1.src.rpm".into(), Some(TAG), scratch())
        .await
        .unwrap();

    let started_again = world.other(|_| {});
    clean(scheduler::step(&started_again).await.unwrap());
    let mut adopted: Vec<i32> =
        sqlx::query_scalar("SELECT task_id FROM build WHERE state = 2 AND epoch = 1")
            .fetch_all(&world.db)
            .await
            .unwrap();
    adopted.sort_unstable();
    assert_eq!(adopted, [by_target, by_repo].map(|id| i32::try_from(id).unwrap()));
    assert_eq!(world.number("SELECT count(*) FROM task_without_build").await, 3);
    world.check_tasks().await;
    assert_eq!(
        world
            .number("SELECT repo_id::bigint FROM build WHERE state = 2 AND repo_id IS NOT NULL")
            .await,
        repo
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn polling_adopts_as_well() {
    let world = World::settled().await;
    world.sim.hold_builds(true);
    let task = world.submit(&["zlib"]).await[0];
    world.execute("DELETE FROM build WHERE state = 2").await;
    clean(polling::builds_step(&world.ctx).await.unwrap());
    assert_eq!(world.number("SELECT task_id::bigint FROM build WHERE state = 2").await, task);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_package_that_koji_stumbles_over_does_not_stop_the_others() {
    let world = World::settled().await;
    world.sim.hold_builds(true);
    world.calm().await;
    world.make_urgent(&["zlib", "xz"]).await;
    let trouble = Mishap::Fault(1, "<class 'KeyError'>: 'header'".into());
    world.sim.mishap(Some("getRPMHeaders"), trouble);
    let outcome = scheduler::step(&world.ctx).await.unwrap();
    assert_eq!((outcome.done, outcome.failures.len()), (1, 1), "{:?}", outcome.failures);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collection_with_a_missing_tag_does_not_stop_the_others() {
    let world = World::settled().await;
    world.sim.hold_builds(true);
    world.calm().await;
    world
        .execute(
            "WITH other AS (
                 INSERT INTO collection (name, display_name, target, dest_tag, build_tag, latest_repo_id, latest_repo_resolved)
                 VALUES ('bad', 'Bad', 'bad', 'bad', 'bad-build', 1, true) RETURNING id
             ), packages AS (
                 INSERT INTO package (base_id, name, collection_id, tracked, resolved, manual_priority)
                 SELECT base_package.id, base_package.name, other.id, true, true, 90000
                   FROM base_package, other WHERE base_package.name IN ('xz', 'sed') RETURNING id, name
             )
             INSERT INTO build (package_id, state, task_id, started, version, release, repo_id, last_complete, \"real\")
             SELECT packages.id, 3, 0, now(), build.version, build.release, 1, false, true
               FROM packages JOIN package ON package.name = packages.name JOIN build ON build.id = package.last_build_id",
        )
        .await;
    world.make_urgent(&["zlib"]).await;
    let outcome = scheduler::step(&world.ctx).await.unwrap();
    assert_eq!(outcome.done, 1);
    assert_eq!(outcome.failures.len(), 1, "{:?}", outcome.failures);
    assert!(outcome.failures[0].0.ends_with("in bad"));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_submitted_for_a_target_that_is_gone() {
    let world = World::settled().await;
    world.calm().await;
    world.make_urgent(&["zlib", "xz"]).await;
    world.execute("UPDATE collection SET target = 'gone'").await;
    let outcome = scheduler::step(&world.ctx).await.unwrap();
    assert_eq!((outcome.done, outcome.failures.len()), (0, 1), "told once, not for each package");
    assert!(outcome.failures[0].1.to_string().contains("no build target gone"));
    assert!(world.scratch_tasks().await.is_empty());
    world.execute("UPDATE collection SET target = 'buyan2'").await;
    assert_eq!(clean(scheduler::step(&world.ctx).await.unwrap()).done, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_most_urgent_package_has_to_wait_for_builders_the_round_ends() {
    let world = World::settled().await;
    world.sim.hold_builds(true);
    world.calm().await;
    world.make_urgent(&["zlib", "setup"]).await;
    world.execute("UPDATE package SET manual_priority = 20000 WHERE name = 'zlib'").await;
    for host in ["builder-a64-01.buyan.example", "builder-a64-02.buyan.example"] {
        assert!(world.sim.set_host_load(host, 100.0));
    }
    let outcome = clean(scheduler::step(&world.ctx).await.unwrap());
    assert_eq!(outcome.done, 0, "although setup could be built anywhere");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_built_is_the_latest_build_in_the_tag_also_if_it_is_not_known_yet() {
    let world = World::settled().await;
    world.push(&Push::of("zlib").version("2.2.0")).await;
    world.sim.hold_builds(true);
    let task = world.submit(&["zlib"]).await[0];
    let task = world.koji().await.call(calls::get_task_info(task)).await.unwrap().unwrap();
    let source = task.build_request().unwrap().source;
    assert!(source.contains("/zlib/2.2.0/"), "{source}");
    let version = "SELECT version FROM build WHERE state = 2";
    assert_eq!(world.texts(version).await, ["2.2.0"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_inherited_belongs_to_the_tag() {
    let world = World::empty().await;
    // It has no package and no build of its own.
    world.execute("UPDATE collection SET dest_tag = 'buyan2-build'").await;
    world.settle().await;
    let here =
        "SELECT count(*) FROM package WHERE NOT blocked AND last_complete_build_id IS NOT NULL";
    assert!(world.number(here).await > 50);
    world.sim.hold_builds(true);
    world.submit(&["zlib"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_build_that_could_be_of_two_collections_is_nobodys() {
    let world = World::settled().await;
    world.sim.hold_builds(true);
    let task = world.submit(&["zlib"]).await[0];
    world.execute("DELETE FROM build WHERE state = 2").await;
    world
        .execute(
            "WITH other AS (
                 INSERT INTO collection (name, display_name, target, dest_tag, build_tag)
                 VALUES ('twin', 'Twin', 'buyan2', 'buyan2', 'buyan2-build') RETURNING id
             )
             INSERT INTO package (base_id, name, collection_id, tracked)
             SELECT base_package.id, base_package.name, other.id, true
               FROM base_package, other WHERE base_package.name = 'zlib'",
        )
        .await;
    clean(polling::builds_step(&world.ctx).await.unwrap());
    assert_eq!(world.number(RUNNING).await, 0);
    let reasons = "SELECT task_id || ' ' || reason FROM task_without_build";
    let reasons = world.texts(reasons).await;
    assert_eq!(reasons.len(), 1);
    assert!(
        reasons[0].starts_with(&format!("{task} it belongs to no tracked package of exactly one"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_be_on_its_way_to_koji_takes_its_place_among_the_builds_that_may_run() {
    let world = World::settled().await;
    world.sim.hold_builds(true);
    world.calm().await;
    world.make_urgent(&["xz", "sed", "grep"]).await;
    world.execute("INSERT INTO submission SELECT id FROM package WHERE name = 'zlib'").await;
    let ctx = world.other(|config| config.koji_config.max_builds = 3);
    assert_eq!(clean(scheduler::step(&ctx).await.unwrap()).done, 2, "the third may still arrive");
    world.execute("UPDATE submission SET begun = begun - interval '1 minute'").await;
    assert_eq!(clean(scheduler::step(&ctx).await.unwrap()).done, 1, "it never did");
    assert_eq!(world.number(RUNNING).await, 3);
}
