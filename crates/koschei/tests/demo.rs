//! `koschei demo` as a newcomer meets it: started by one command, looked at with a real browser, interrupted, killed,
//! started again.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests say what they expect"
)]

mod support;

use std::{
    collections::BTreeMap,
    net::TcpListener,
    path::Path,
    sync::LazyLock,
    time::{Duration, Instant},
};

use koschei_db::{Address, DatabaseConfig, Pool};
use support::{
    accounts,
    browser::Browser,
    demo::{Demo, is_alive, processes_of},
    installation::{free_port, get},
    koschei,
};

/// What issue and README promise for "built" to "there is something to see": a minute, of a machine that has nothing else
/// to do. When the test begins while others use the processors, it gets the share of them that is left.
static PROMISE: LazyLock<Duration> = LazyLock::new(|| {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap();
    let load: f64 = load.split(' ').next().unwrap().parse().unwrap();
    let processors = std::thread::available_parallelism().unwrap().get() as f64;
    Duration::from_secs(60).mul_f64((load / processors).max(1.0))
});

/// Long enough for a loaded machine, where nothing is promised.
const PATIENCE: Duration = Duration::from_secs(240);

/// A demo keeps a small machine busy; two at a time would prove nothing about the time that one takes.
static ONE_AT_A_TIME: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// The demo's database, as its services reach it.
async fn database_of(directory: &Path) -> Pool {
    let text = std::fs::read_to_string(directory.join("koschei.toml")).unwrap();
    let configuration: toml::Table = text.parse().unwrap();
    let value = |key: &str| configuration["database_config"][key].as_str().unwrap().to_owned();
    let address = Address::Parts {
        host: value("host"),
        port: 5432,
        database: value("database"),
        username: Some(value("username")),
        password: None,
    };
    koschei_db::connect(&DatabaseConfig::new(address, "koschei-test")).await.unwrap()
}

/// The address of the demo's hub.
fn hub_of(directory: &Path) -> String {
    let text = std::fs::read_to_string(directory.join("koschei.toml")).unwrap();
    let configuration: toml::Table = text.parse().unwrap();
    configuration["koji_config"]["server"].as_str().unwrap().to_owned()
}

/// An operator wants several packages built at once.
fn hurry(directory: &Path) {
    let packages =
        ["nano", "less", "zlib", "grep", "sed", "patch", "curl", "libyaml", "tar", "gzip"];
    let output = koschei(&directory.join("koschei.toml"))
        .args(["admin", "--collection", "buyan2", "set-priority"])
        .args(packages)
        .arg("10000")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", support::stderr(&output));
}

#[test]
fn a_newcomer_sees_a_package_turn_red_with_its_culprit_and_green_again() {
    let _turn = ONE_AT_A_TIME.blocking_lock();
    let directory = tempfile::tempdir().unwrap();
    let started = Instant::now();
    let mut demo = Demo::start(directory.path(), &["--speed", "3"]);
    demo.wait_for("Open ", *PROMISE);
    let browser = Browser::start(1280, 1000);

    // Within a minute: packages with states, a running scratch build, a change of a dependency.
    let left = PROMISE.saturating_sub(started.elapsed());
    browser.wait(&demo.page("/packages?collection=buyan2"), left, "packages with states", |page| {
        page.texts("table .st").iter().filter(|word| *word == "ok").count() > 10
    });
    let left = PROMISE.saturating_sub(started.elapsed());
    browser.wait(&demo.page("/packages?collection=buyan2"), left, "a running build", |page| {
        page.texts("table .st").iter().any(|word| word == "running")
    });
    let left = PROMISE.saturating_sub(started.elapsed());
    let package = demo.page("/package/python-pyyaml?collection=buyan2");
    browser
        .wait(&package, left, "a dependency change", |page| page.text().contains("libyaml-devel"));

    // The package turns red, and the page names the change that did it, before all others.
    let red = browser.wait(&package, PATIENCE, "the failure and its culprit", |page| {
        let suspects = page.text();
        page.texts("h1").concat().contains("failing")
            && suspects.split("Likely culprits").nth(1).is_some_and(|list| {
                let first = list.find(": ").and_then(|colon| list.get(colon + 2..));
                first.is_some_and(|first| first.starts_with("libyaml"))
                    && !list.contains("Unlikely: libyaml")
            })
    });
    assert!(red.contains("0.2.5") && red.contains("0.2.6"), "from which to which version: {red}");
    demo.wait_for("python-pyyaml turned failing in Buyan 2; libyaml", PATIENCE);

    // Its packager pushes a fix, and it is green again.
    browser.wait(&package, PATIENCE, "python-pyyaml ok again", |page| {
        page.texts("h1").concat().contains("ok")
    });
    demo.wait_for("python-pyyaml builds again in Buyan 2", PATIENCE);

    // The page is good on a phone, too: nothing makes it scroll sideways.
    let phone = Browser::start(500, 900);
    for path in ["/", "/packages", "/package/python-pyyaml?collection=buyan2"] {
        phone.open(&demo.page(path));
        let overflow = phone.evaluate(
            "return document.documentElement.scrollWidth - document.documentElement.clientWidth",
        );
        assert_eq!(overflow.as_i64(), Some(0), "{path} is too wide");
    }

    // Ctrl-C ends it within seconds, and leaves nothing running.
    let family = demo.family();
    let asked = Instant::now();
    let status = demo.interrupt();
    assert!(status.success(), "{status}");
    assert!(asked.elapsed() < PROMISE.mul_f64(0.25), "it took {:?}", asked.elapsed());
    assert!(demo.said().contains("Stopped."), "{}", demo.said());
    let left: Vec<i32> = family.into_iter().filter(|pid| is_alive(*pid)).collect();
    assert!(left.is_empty(), "still running: {left:?}");
    assert_eq!(processes_of(directory.path()), BTreeMap::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn after_kill_9_at_any_moment_it_goes_on_and_no_build_is_lost_or_doubled() {
    let _turn = ONE_AT_A_TIME.lock().await;
    let directory = tempfile::tempdir().unwrap();
    // In the first moments, while it sets itself up; then in the middle of life, with builds being submitted.
    for moment in [800, 2500] {
        let mut demo = Demo::start(directory.path(), &["--speed", "4"]);
        std::thread::sleep(Duration::from_millis(moment));
        demo.assert_alive();
        demo.kill_everything();
    }
    for moment in [300, 900, 1600, 2700] {
        let mut demo = Demo::start(directory.path(), &["--speed", "4"]);
        demo.wait_for("Open ", PATIENCE);
        hurry(directory.path());
        std::thread::sleep(Duration::from_millis(moment));
        demo.assert_alive();
        demo.kill_everything();
    }
    // Only the parent: everything else must go by itself.
    let mut demo = Demo::start(directory.path(), &["--speed", "4"]);
    demo.wait_for("Open ", PATIENCE);
    demo.kill_parent();
    let deadline = Instant::now() + PATIENCE;
    while !processes_of(directory.path()).is_empty() {
        assert!(Instant::now() < deadline, "left over: {:?}", processes_of(directory.path()));
        std::thread::sleep(Duration::from_millis(100));
    }

    let mut demo = Demo::start(directory.path(), &["--speed", "4"]);
    demo.wait_for("Open ", PATIENCE);
    let pool = database_of(directory.path()).await;
    let hub = hub_of(directory.path());
    // Each of our tasks in the hub has one row, or is finished in a way that leaves none (canceled).
    let deadline = Instant::now() + PATIENCE;
    loop {
        let submitted = accounts::submitted(&hub).await.unwrap();
        let recorded = accounts::recorded(&pool).await;
        assert!(recorded.values().all(|count| *count == 1), "a task has two rows: {recorded:?}");
        assert_eq!(accounts::running_twice(&pool).await, Vec::<String>::new());
        let lost: Vec<_> = submitted
            .iter()
            .filter(|(task, (_, state))| {
                !recorded.contains_key(task) && *state != koji::types::TaskState::Canceled
            })
            .collect();
        if lost.is_empty() {
            assert!(!submitted.is_empty(), "there were builds to lose");
            break;
        }
        assert!(Instant::now() < deadline, "lost: {lost:?}\n{}", demo.said());
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    // And it lives: builds begin and end.
    let finished = "SELECT count(*) FROM build WHERE NOT \"real\" AND state <> 2";
    let before: i64 = sqlx::query_scalar(finished).fetch_one(&pool).await.unwrap();
    hurry(directory.path());
    let deadline = Instant::now() + PATIENCE;
    while sqlx::query_scalar::<_, i64>(finished).fetch_one(&pool).await.unwrap() <= before {
        assert!(Instant::now() < deadline, "nothing is built any more\n{}", demo.said());
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    demo.assert_alive();
}

#[test]
fn what_stands_in_the_way_is_one_clear_sentence() {
    let _turn = ONE_AT_A_TIME.blocking_lock();
    // A port that is taken.
    let directory = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let mut demo = Demo::start_on(directory.path(), port, &[]);
    assert_eq!(
        demo.refusal(),
        format!("koschei: port {port} is taken by another program: choose another one with --port")
    );
    drop(taken);

    // Another demo in the same directory.
    let first = Demo::start(directory.path(), &[]);
    let deadline = Instant::now() + PATIENCE;
    while first.said().is_empty() {
        assert!(Instant::now() < deadline);
        std::thread::sleep(Duration::from_millis(50));
    }
    let mut second = Demo::start_on(directory.path(), free_port(), &[]);
    let said = second.refusal();
    assert!(
        said.starts_with(&format!("koschei: another demo (process {}) is running in ", first.id())),
        "{said}"
    );
    drop(first);

    // A directory with something else in it.
    let other = tempfile::tempdir().unwrap();
    std::fs::write(other.path().join("letter.txt"), "Dear").unwrap();
    let said = Demo::start_on(other.path(), free_port(), &["--fresh"]).refusal();
    assert!(said.contains("holds other files"), "{said}");
    assert!(other.path().join("letter.txt").exists());

    // A directory that cannot be made.
    let said = Demo::start_on(&other.path().join("letter.txt/demo"), free_port(), &[]).refusal();
    assert!(said.starts_with("koschei: cannot create "), "{said}");

    // No PostgreSQL, and no room; both need a mount namespace.
    let elsewhere = tempfile::tempdir().unwrap();
    let full = tempfile::tempdir().unwrap();
    let why = "unshare --mount is not allowed here: run this test as root or where users may make namespaces";
    let mut without = Demo::start_without_postgresql(elsewhere.path()).expect(why);
    let mut crowded = Demo::start_on_full_disk(full.path()).expect(why);
    let said = without.refusal();
    assert!(said.contains("PostgreSQL") && said.contains("install"), "{said}");
    let said = crowded.refusal();
    assert!(said.starts_with("koschei: the disk is full: the demo needs 400 MB in "), "{said}");
}

#[test]
fn one_process_that_dies_is_started_again() {
    let _turn = ONE_AT_A_TIME.blocking_lock();
    let directory = tempfile::tempdir().unwrap();
    let mut demo = Demo::start(directory.path(), &["--speed", "4"]);
    demo.wait_for("Open ", PATIENCE);
    let processes = processes_of(directory.path());
    let (pid, _) = processes
        .iter()
        .find(|(_, words)| words.iter().any(|word| word == "web"))
        .unwrap_or_else(|| panic!("the web interface is a process: {processes:?}"));
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(*pid), nix::sys::signal::Signal::SIGKILL)
        .unwrap();
    demo.wait_for("web has ended", PATIENCE);
    let deadline = Instant::now() + PATIENCE;
    while get(&demo.page("/")).is_none() {
        assert!(Instant::now() < deadline, "the page does not come back\n{}", demo.said());
        std::thread::sleep(Duration::from_millis(100));
    }
    demo.assert_alive();
}
