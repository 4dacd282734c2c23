//! A hub that takes calls and does not answer them, from the beginning or from any call on: no step waits for it for longer
//! than for a sign of life, and nothing is lost or done twice.

use std::time::{Duration, Instant};

use kojisim::{Ending, Mishap};
use koschei_backend::driver::Outcome;
use koschei_backend::{Context, Error, Stop, polling, scheduler, submission};
use koschei_core::config::FreeForm;
use koschei_db::entities;
use koschei_db::locks::SchedulerLock;

use crate::gate::{Gate, Passage};
use crate::world::{LONG, RUNNING, World, clean};

/// How long a sign of life may take here.
const PATIENCE: Duration = Duration::from_secs(3);

/// What a step may take that meets silence, on a machine that does other things as well. One call may take ten minutes.
const SOON: Duration = Duration::from_secs(120);

/// The services as production has them, but for their patience, before a gate to Koji.
async fn behind_a_gate(world: &World) -> (Gate, Context) {
    let gate = Gate::before(world.sim.address()).await;
    let mut config = world.config.clone();
    config.koji_config.server = format!("http://{}/kojihub", gate.address());
    config.koji_config.session_opts = FreeForm::default();
    let ctx = Context::with_patience(config, world.db.clone(), Stop::never(), PATIENCE).unwrap();
    (gate, ctx)
}

/// What went wrong in a step.
fn said(result: Result<Outcome, Error>) -> String {
    let errors = match result {
        Ok(outcome) => outcome.failures.into_iter().map(|(_, error)| error).collect(),
        Err(error) => vec![error],
    };
    assert!(errors.iter().all(Error::is_transient), "{errors:?}");
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_that_is_to_be_cancelled_waits_when_the_hub_falls_silent_at_that() {
    let world = World::settled().await;
    let (gate, ctx) = behind_a_gate(&world).await;
    world.sim.hold_builds(true);
    let task = world.submit(&["zlib"]).await[0];
    world.until_repos_are_known().await;
    world.execute("UPDATE build SET cancel_requested = true WHERE state = 2").await;
    gate.fall_silent_at("cancelTask");
    let begun = Instant::now();
    let said = said(polling::builds_step(&ctx).await);
    assert!(gate.is_silent());
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
    assert!(said.contains("answered nothing for"), "{said}");
    assert_eq!(world.number(RUNNING).await, 1, "nobody knows whether it was cancelled");
    gate.set(Passage::Open);
    clean(polling::builds_step(&world.ctx).await.unwrap());
    assert_eq!(world.sim.task_state(task), Some(3));
    assert_eq!(world.number(RUNNING).await, 0);
    world.check_tasks().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_submission_at_which_the_hub_falls_silent_is_looked_for_and_not_repeated() {
    let world = World::settled().await;
    let (gate, ctx) = behind_a_gate(&world).await;
    world.sim.hold_builds(true);
    world.calm().await;
    world.make_urgent(&["zlib", "xz"]).await;
    gate.fall_silent_at("<methodName>build<");
    let begun = Instant::now();
    let said = said(scheduler::step(&ctx).await);
    assert!(gate.is_silent());
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
    assert!(said.contains("answered nothing for"), "{said}");
    assert_eq!(world.scratch_tasks().await.len(), 1, "it arrived");
    gate.set(Passage::Open);
    assert_eq!(clean(scheduler::step(&world.ctx).await.unwrap()).done, 1, "the other one");
    assert_eq!(world.number(RUNNING).await, 2);
    world.check_tasks().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_silent_hub_may_still_do_is_waited_for_when_it_speaks_again() {
    let world = World::settled().await;
    let (gate, ctx) = behind_a_gate(&world).await;
    world.sim.hold_builds(true);
    world.calm().await;
    world.make_urgent(&["zlib"]).await;
    // The hub has taken the request, as far as we know, and will come to it later: here it refuses it late.
    world.sim.mishap(Some("build"), Mishap::Status(502));
    gate.fall_silent_at("<methodName>build<");
    let stuck = tokio::spawn({
        let ctx = ctx.clone();
        async move { scheduler::step(&ctx).await }
    });
    let long_ago = "UPDATE submission SET begun = begun - interval '1 minute'";
    let begun = Instant::now();
    while !gate.is_silent() {
        assert!(begun.elapsed() < LONG, "nothing is submitted");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    world.execute(long_ago).await;
    said(stuck.await.unwrap());
    assert!(world.scratch_tasks().await.is_empty());

    // It counts from the moment in which nobody waited any longer.
    assert_eq!(clean(scheduler::step(&world.ctx).await.unwrap()).done, 0, "it may still come");
    // Who has met the silence itself waits from the moment in which it was over.
    said(scheduler::step(&ctx).await);
    gate.set(Passage::Open);
    world.execute(long_ago).await;
    let deadline = Instant::now() + LONG;
    let outcome = loop {
        assert!(Instant::now() < deadline, "the hub is left alone for ever");
        match scheduler::step(&ctx).await {
            Ok(outcome) => break outcome,
            Err(error) => assert!(error.is_transient(), "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    };
    assert_eq!(clean(outcome).done, 0, "it may still come");
    // Others find out that it never came.
    assert_eq!(clean(scheduler::step(&world.ctx).await.unwrap()).done, 1);
    assert_eq!(world.scratch_tasks().await.len(), 1);
    world.check_tasks().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_that_does_not_answer_is_not_asked_for_a_build_at_all() {
    let world = World::settled().await;
    let (gate, ctx) = behind_a_gate(&world).await;
    let lock = SchedulerLock::try_acquire(&world.db).await.unwrap().unwrap();
    let mut conn = world.connection().await;
    let package = world.package(&mut conn, "zlib").await;
    let collection = entities::collection(&mut *conn, world.collection).await.unwrap().unwrap();
    drop(conn);
    gate.set(Passage::Silent);
    let begun = Instant::now();
    let arches = ["x86_64".to_owned()];
    let submitted = submission::submit(&ctx, &lock, &collection, package, "zlib", &arches).await;
    let said = submitted.unwrap_err().to_string();
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
    assert!(said.contains("does not answer"), "{said}");
    assert_eq!(
        world.number("SELECT count(*) FROM submission").await,
        0,
        "and nothing waits for it"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn whose_a_lost_build_is_can_be_asked_later() {
    let world = World::settled().await;
    let (gate, ctx) = behind_a_gate(&world).await;
    world.sim.hold_builds(true);
    world.calm().await;
    world.make_urgent(&["zlib"]).await;
    let by_repo = world.other(|config| config.koji_config.build_from_repo_id = true);
    assert_eq!(clean(scheduler::step(&by_repo).await.unwrap()).done, 1);
    world.execute("DELETE FROM build WHERE state = 2").await;
    gate.fall_silent_at("repoInfo");
    let begun = Instant::now();
    let said = said(polling::builds_step(&ctx).await);
    assert!(gate.is_silent());
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
    assert!(said.contains("answered nothing for"), "{said}");
    let none = "SELECT count(*) FROM task_without_build";
    assert_eq!(world.number(none).await, 0, "no verdict");
    gate.set(Passage::Open);
    clean(polling::builds_step(&world.ctx).await.unwrap());
    assert_eq!(world.number(RUNNING).await, 1);
    world.check_tasks().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_a_build_is_stored_when_the_hub_speaks_again() {
    let world = World::settled().await;
    world.sim.hold_builds(true);
    let task = world.submit(&["zlib"]).await[0];
    world.until_repos_are_known().await;
    world.sim.finish_task(task, Ending::Fault(1005, "error building package".into()));
    world.sim.hold_builds(false);
    world.sim.wait_for_task(task).await;
    for words in ["getTaskInfo", "getTaskResult", "getTaskChildren"] {
        let (gate, ctx) = behind_a_gate(&world).await;
        gate.fall_silent_at(words);
        let begun = Instant::now();
        said(polling::builds_step(&ctx).await);
        assert!(gate.is_silent(), "{words}");
        assert!(begun.elapsed() < SOON, "{words}: {:?}", begun.elapsed());
        assert_eq!(world.number(RUNNING).await, 1, "{words}");
    }
    clean(polling::builds_step(&world.ctx).await.unwrap());
    assert_eq!(world.state("zlib").await, "failing");
}
