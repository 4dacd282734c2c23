//! Koji's client against the simulated hub on its worst days: whatever goes wrong, every build that was asked for is there
//! once, and the client knows of it, or says that it has to be looked up.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "functions that tests share say what they expect, as the test does"
)]

use std::collections::BTreeSet;
use std::time::Duration;

use koji::types::{BuildRequest, TaskOutcome};
use koji::xmlrpc::Struct;
use koji::{Client, ClientConfig, Error, Login, Secret, SessionOptions, calls};
use kojisim::{Ending, KOSCHEI_USER, Mishap, Options, Sim};

struct Rig {
    sim: Sim,
    client: Client,
    /// Builds of the distribution's past.
    earlier: Vec<i64>,
    _directory: tempfile::TempDir,
}

async fn rig() -> Rig {
    let directory = tempfile::tempdir().unwrap();
    let sim = Sim::start(Options::for_tests(directory.path())).await.unwrap();
    sim.hold_builds(true);
    let session = SessionOptions {
        timeout: Duration::from_secs(60),
        max_retries: 100,
        retry_interval: Duration::from_millis(10),
        offline_retry_interval: Duration::from_millis(10),
        ..SessionOptions::default()
    };
    let login =
        Login::Password { user: KOSCHEI_USER.to_owned(), password: Secret::new(KOSCHEI_USER) };
    let client = Client::new(ClientConfig { login, session, ..ClientConfig::anonymous(sim.url()) });
    Rig { earlier: sim.tasks_of("build"), sim, client, _directory: directory }
}

/// The number tells the submissions apart, as Koschei's priority of a build does not.
fn request(number: usize) -> BuildRequest {
    BuildRequest {
        source: "../packages/zlib/2.1.7/3.by2/src/zlib-2.1.7-3.by2.src.rpm".to_owned(),
        target: Some("buyan2".to_owned()),
        options: Struct::new().with("scratch", true).with("number", number as i64),
    }
}

impl Rig {
    /// Submits a build and looks it up if the client says that it may be there: its task.
    async fn submit(&self, number: usize) -> Result<i64, Error> {
        match self.client.call(calls::build(&request(number), None)).await {
            Err(error) if error.may_have_taken_effect() => {
                let tasks = calls::list_tasks(calls::ListTasks {
                    method: Some("build"),
                    ..calls::ListTasks::default()
                });
                let tasks = self.client.call(tasks).await?;
                let found = tasks.iter().find(|task| {
                    let options = task.build_request().unwrap().options;
                    options.get("number").and_then(koji::xmlrpc::Value::as_int)
                        == Some(number as i64)
                });
                found.map(|task| task.id).ok_or(error)
            }
            answered => answered,
        }
    }

    /// Whether there is one task for each of so many submissions, and these are they.
    fn assert_once_each(&self, tasks: &[i64]) {
        let known: BTreeSet<i64> = tasks.iter().copied().collect();
        assert_eq!(known.len(), tasks.len(), "no two submissions are one build");
        let mut there = self.sim.tasks_of("build");
        there.retain(|task| !self.earlier.contains(task));
        assert_eq!(there, known.into_iter().collect::<Vec<_>>());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_mishap_leaves_every_build_there_once() {
    let slow = Mishap::Delay(Duration::from_millis(50));
    let mishaps = [
        Mishap::CutAnswer,
        Mishap::Status(500),
        Mishap::Status(502),
        Mishap::Status(503),
        Mishap::WrongContentType,
        slow,
        Mishap::Fault(1014, "database outage".to_owned()),
        Mishap::Fault(1007, "session has expired".to_owned()),
    ];
    let rig = rig().await;
    let mut tasks = Vec::new();
    for (number, mishap) in mishaps.iter().enumerate() {
        for times in 0..3 {
            // Alone, and several in a row.
            (0..=times).for_each(|_| rig.sim.mishap(Some("build"), mishap.clone()));
            let submitted = rig.submit(number * 3 + times).await;
            tasks.push(submitted.unwrap_or_else(|error| panic!("{mishap:?}: {error}")));
            rig.assert_once_each(&tasks);
        }
    }
    rig.sim.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_that_end_between_and_within_calls_lose_nothing() {
    let rig = rig().await;
    let mut tasks = Vec::new();
    for number in 0..12 {
        match number % 4 {
            0 => rig.sim.expire_sessions(KOSCHEI_USER),
            1 => rig.sim.close_sessions(KOSCHEI_USER),
            2 => {
                // The answer is lost, and the session with it: only looking it up can tell.
                rig.sim.mishap(Some("build"), Mishap::CutAnswer);
                rig.sim.mishap(Some("build"), Mishap::Fault(1002, "Invalid session".to_owned()));
            }
            _ => {
                // Not executed, and the session lost: nobody can tell that it was not, so it is looked up and is not there.
                rig.sim.mishap(Some("build"), Mishap::Status(502));
                rig.sim.mishap(Some("build"), Mishap::Fault(1002, "Invalid session".to_owned()));
                let error = rig.submit(1000 + number).await.unwrap_err();
                assert!(error.may_have_taken_effect() && !error.is_transient(), "{error}");
                rig.assert_once_each(&tasks);
            }
        }
        tasks.push(rig.submit(number).await.unwrap());
        rig.assert_once_each(&tasks);
    }
    rig.sim.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn outages_are_outlived_by_builds_and_by_reads() {
    let rig = rig().await;
    let mut tasks = vec![rig.submit(0).await.unwrap()];
    rig.sim.set_offline(Some("planned outage"));
    let back = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        rig.sim.set_offline(None);
    };
    let (task, target, ()) =
        tokio::join!(rig.submit(1), rig.client.call(calls::get_build_target("buyan2")), back);
    tasks.push(task.unwrap());
    assert_eq!(target.unwrap().unwrap().name, "buyan2");
    rig.assert_once_each(&tasks);

    rig.sim.drop_connections(Duration::from_millis(300));
    let (task, target) =
        tokio::join!(rig.submit(2), rig.client.call(calls::get_build_target("buyan2")));
    tasks.push(task.unwrap());
    assert_eq!(target.unwrap().unwrap().name, "buyan2");
    rig.assert_once_each(&tasks);
    rig.sim.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_multicall_through_a_storm_gives_each_result_once_and_in_order() {
    let rig = rig().await;
    let mut tasks = Vec::new();
    for number in 0..10 {
        tasks.push(rig.submit(number).await.unwrap());
    }
    let config = ClientConfig { multicall_chunk_size: 3, ..rig.client.config().clone() };
    let client = Client::new(config);
    rig.sim.mishap(Some("multiCall"), Mishap::CutAnswer);
    rig.sim.mishap(Some("multiCall"), Mishap::WrongContentType);
    let mut many = client.multicall(tasks.iter().map(|task| calls::get_task_info(*task)));
    let (mut given, mut refused) = (Vec::new(), 0);
    while let Some(chunk) = many.next_chunk().await {
        // Another outage between two chunks, and once a call that is refused within one.
        rig.sim.mishap(Some("multiCall"), Mishap::Status(503));
        if given.is_empty() {
            let fault = Mishap::Fault(1, "<class 'KeyError'>: 7".to_owned());
            rig.sim.mishap(Some("getTaskInfo"), fault);
        }
        for result in chunk.unwrap() {
            match result {
                Ok(task) => given.push(task.unwrap().id),
                Err(error) => {
                    assert!(!error.is_transient(), "{error}");
                    refused += 1;
                }
            }
        }
    }
    assert_eq!(refused, 1, "one is refused alone");
    let others: Vec<i64> = tasks.iter().copied().filter(|task| given.contains(task)).collect();
    assert_eq!((given.len(), given), (9, others));
    rig.sim.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tasks_end_as_they_are_told_and_cancelling_twice_is_cancelling() {
    let rig = rig().await;
    let broken = rig.submit(0).await.unwrap();
    let traceback = "Traceback (most recent call last):\nOSError: no space left on device\n";
    rig.sim.finish_task(broken, Ending::Fault(1, traceback.to_owned()));
    assert_eq!(rig.sim.wait_for_task(broken).await, Some(5));
    match rig.client.call(calls::get_task_result(broken)).await.unwrap() {
        TaskOutcome::Failed(fault) => assert_eq!((fault.code, fault.text.as_str()), (1, traceback)),
        other => panic!("{other:?}"),
    }

    let cancelled = rig.submit(1).await.unwrap();
    rig.sim.mishap(Some("cancelTask"), Mishap::CutAnswer);
    let first = rig.client.call(calls::cancel_task(cancelled)).await;
    assert!(first.is_err_and(|error| error.may_have_taken_effect()));
    rig.client.call(calls::cancel_task(cancelled)).await.unwrap();
    assert_eq!(rig.sim.task_state(cancelled), Some(3));
    let result = rig.client.call(calls::get_task_result(cancelled)).await.unwrap_err();
    assert!(result.to_string().contains("is canceled"), "{result}");

    // A repo whose builder died stays as it is; one that is deleted says so.
    let stuck = rig.sim.stuck_repo("buyan2-build").unwrap();
    let state = |repo| {
        let client = rig.client.clone();
        async move { client.call(calls::repo_info(repo)).await.unwrap().unwrap().state }
    };
    assert_eq!(state(stuck).await, koji::types::RepoState::Init);
    rig.sim.delete_repo(stuck);
    assert_eq!(state(stuck).await, koji::types::RepoState::Deleted);
    rig.sim.stop().await;
}
