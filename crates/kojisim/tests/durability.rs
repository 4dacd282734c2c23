//! Killed at any moment, the hub goes on where it was: what was answered is there, no task is lost or doubled, ids are
//! never given twice. And the same seed tells the same story.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "functions that tests share say what they expect, as the test does"
)]

mod common;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use common::{Login, call, keywords, login, members};
use koji::xmlrpc::Value;
use kojisim::{Clock, News, Options, Sim};

/// The example `hub_to_be_killed`, which `cargo test` builds along with the tests.
fn example() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let example = test.parent().unwrap().parent().unwrap().join("examples/hub_to_be_killed");
    assert!(
        example.exists(),
        "{} is missing: run `cargo build -p kojisim --examples`",
        example.display()
    );
    example
}

struct Hub {
    process: Child,
    address: SocketAddr,
}

impl Hub {
    fn start(directory: &std::path::Path) -> Hub {
        let file = directory.join("address");
        let _ = std::fs::remove_file(&file);
        let process = Command::new(example())
            .arg(directory)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut hub = Hub { process, address: SocketAddr::from(([127, 0, 0, 1], 0)) };
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            if let Ok(text) = std::fs::read_to_string(&file) {
                hub.address = text.parse().unwrap();
                return hub;
            }
            assert!(Instant::now() < deadline, "the hub did not start");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// kill -9.
    fn kill(self) {
        drop(self);
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn submit(address: SocketAddr, login: &Login, callnum: i64) -> std::io::Result<i64> {
    let source = "../packages/zlib/2.1.7/3.by2/src/zlib-2.1.7-3.by2.src.rpm";
    let opts = members([("scratch", true.into()), ("arch_override", "x86_64".into())]);
    let task =
        call(address, Some((login, callnum)), "build", vec![source.into(), "buyan2".into(), opts])?;
    Ok(task.unwrap().as_int().unwrap())
}

fn builds(address: SocketAddr, user: i64) -> Vec<(i64, i64)> {
    let opts = members([("owner", user.into()), ("method", "build".into())]);
    let tasks = call(address, None, "listTasks", vec![opts, members([("order", "id".into())])])
        .unwrap()
        .unwrap();
    let number = |task: &Value, name: &str| task.get(name).and_then(Value::as_int).unwrap();
    tasks
        .as_array()
        .unwrap()
        .iter()
        .map(|task| (number(task, "id"), number(task, "state")))
        .collect()
}

#[test]
fn a_hub_that_is_killed_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let mut answered = BTreeSet::new();
    let mut user = 0;
    for round in 0..6_u32 {
        // At most one submission of each round was cut off before its answer came.
        let unanswered = round as usize;
        let hub = Hub::start(directory.path());
        let login = login(hub.address, "koschei").unwrap();
        let me = call(hub.address, Some((&login, 0)), "getLoggedInUser", vec![]).unwrap().unwrap();
        user = me.get("id").and_then(Value::as_int).unwrap();
        // All that was answered before the kill is there, once.
        let known: BTreeSet<i64> =
            builds(hub.address, user).into_iter().map(|(id, _)| id).collect();
        assert!(known.is_superset(&answered), "lost: {:?}", answered.difference(&known));
        assert!(known.len() <= answered.len() + unanswered, "doubled: {known:?} {answered:?}");
        let newest = known.last().copied().unwrap_or(0);

        let address = hub.address;
        let count = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&count);
        let submitter = std::thread::spawn(move || {
            let mut tasks = Vec::new();
            for callnum in 1.. {
                match submit(address, &login, callnum) {
                    Ok(task) => {
                        tasks.push(task);
                        counted.fetch_add(1, Ordering::SeqCst);
                    }
                    Err(_) => break,
                }
            }
            tasks
        });
        // The moment of the kill is the point of this test, so it is a time and not a condition.
        std::thread::sleep(Duration::from_millis(40 + 37 * u64::from(round)));
        // Only a machine that is so busy that no answer ever came in time gets more of it, in the end.
        while round == 5 && answered.is_empty() && count.load(Ordering::SeqCst) == 0 {
            std::thread::sleep(Duration::from_millis(5));
        }
        hub.kill();
        let tasks = submitter.join().unwrap();
        assert!(tasks.iter().all(|task| *task > newest), "an id was given twice");
        answered.extend(tasks);
    }
    assert!(!answered.is_empty());

    // Every one of them comes to its end.
    let hub = Hub::start(directory.path());
    let deadline = Instant::now() + Duration::from_secs(240);
    loop {
        let builds = builds(hub.address, user);
        assert!(builds.iter().all(|(_, state)| *state != 5), "{builds:?}");
        if builds.iter().all(|(_, state)| *state == 2) {
            break;
        }
        assert!(Instant::now() < deadline, "unfinished: {builds:?}");
        std::thread::sleep(Duration::from_millis(100));
    }
    let children = keywords([("request", true.into())]);
    for task in &answered {
        let children =
            call(hub.address, None, "getTaskChildren", vec![(*task).into(), children.clone()]);
        let children = children.unwrap().unwrap();
        assert_eq!(children.as_array().unwrap().len(), 2, "one SRPM and one x86_64");
    }
    hub.kill();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_hub_leaves_its_directory_to_the_next() {
    let directory = tempfile::tempdir().unwrap();
    let first = Sim::start(Options::for_tests(directory.path())).await.unwrap();
    let address = first.address();
    let second = Sim::start(Options::for_tests(directory.path())).await;
    assert!(second.unwrap_err().to_string().contains("is in use by another simulated Koji"));
    // A client that keeps its connection open does not keep the directory.
    let idle = std::net::TcpStream::connect(address).unwrap();
    let task = first.push(&kojisim::Push::of("nano")).unwrap();
    first.stop().await;
    let second = Sim::start(Options::for_tests(directory.path())).await.unwrap();
    assert_eq!(second.wait_for_task(task).await, Some(2));
    drop(idle);
    second.stop().await;
}

async fn story(seed: u64, seconds: f64, step: f64) -> Vec<News> {
    let directory = tempfile::tempdir().unwrap();
    let options = Options { seed, clock: Clock::Manual(1.8e9), ..Options::new(directory.path()) };
    let sim = Sim::start(options).await.unwrap();
    let mut heard = sim.news();
    let mut story = Vec::new();
    let mut passed = 0.0;
    while passed < seconds {
        sim.advance(Duration::from_secs_f64(step));
        passed += step;
        while let Ok(news) = heard.try_recv() {
            story.push(news);
        }
    }
    sim.stop().await;
    story
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_seed_tells_the_same_story() {
    let once = story(7, 700.0, 700.0).await;
    let again = story(7, 700.0, 3.5).await;
    assert_eq!(once.len(), again.len());
    for (one, other) in once.iter().zip(&again) {
        assert_eq!(one.words, other.words);
        assert!((one.at - other.at).abs() < 1e-3, "{one:?} {other:?}");
    }
    let other = story(8, 700.0, 700.0).await;
    assert_ne!(
        once.iter().map(|news| &news.words).collect::<Vec<_>>(),
        other.iter().map(|news| &news.words).collect::<Vec<_>>()
    );
}
