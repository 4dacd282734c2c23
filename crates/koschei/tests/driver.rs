//! How a service behaves as a process: what it tells systemd and monitoring, what its log says, how it ends.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests say what they expect"
)]

mod support;

use std::{
    os::unix::net::UnixDatagram,
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use kojisim::{Options, Sim};
use koschei_db::testing::{self, Database};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use support::{
    database_section,
    installation::{PATIENCE, free_port, get},
    koschei, stderr,
};

/// A Koji, a database with one collection, and a configuration for both.
struct Place {
    directory: tempfile::TempDir,
    koji: Sim,
    database: Database,
}

impl Place {
    async fn new(services: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let koji = Sim::start(Options::for_tests(directory.path().join("koji"))).await.unwrap();
        let database = testing::database().await;
        let configuration = format!(
            "{database}\n\
             [koji_config]\nserver = {server:?}\ntopurl = {topurl:?}\nweburl = {weburl:?}\n\
             login_method = 'login'\nlogin_args = {{ user = 'koschei', password = 'koschei' }}\n\
             build_arches = ['x86_64', 'aarch64']\nload_threshold = 1.0\n\
             [directories]\ncachedir = {cache:?}\n\
             [services]\n{services}\n",
            database = database_section(database.config()),
            server = koji.url(),
            topurl = koji.topurl(),
            weburl = koji.weburl(),
            cache = directory.path().join("cache"),
        );
        std::fs::write(directory.path().join("koschei.toml"), configuration).unwrap();
        let place = Self { directory, koji, database };
        place.run(&["admin", "create-collection", "buyan2", "-d", "Buyan 2", "-t", "buyan2"]);
        place
    }

    fn configuration(&self) -> PathBuf {
        self.directory.path().join("koschei.toml")
    }

    /// Runs a command to its end, which must be a good one; its log.
    fn run(&self, arguments: &[&str]) -> String {
        let output = koschei(&self.configuration()).args(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", stderr(&output));
        stderr(&output)
    }
}

/// What a service tells systemd.
struct Supervisor(UnixDatagram, PathBuf);

impl Supervisor {
    fn new(directory: &Path) -> Self {
        let path = directory.join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(socket, path)
    }

    /// Waits until something is told that begins so.
    fn until(&self, beginning: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        let mut told = [0; 4096];
        while Instant::now() < deadline {
            let size = self.0.recv(&mut told).expect("systemd is told something");
            let text = String::from_utf8_lossy(&told[..size]);
            if let Some(line) = text.lines().find(|line| line.starts_with(beginning)) {
                return line.to_owned();
            }
        }
        panic!("systemd is not told {beginning}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_tells_how_it_is_until_it_is_asked_to_end() {
    let port = free_port();
    let place = Place::new(&format!(
        "repo_resolver = {{ interval = 0.2, watchdog = true, monitoring_port = {port} }}"
    ))
    .await;
    let systemd = Supervisor::new(place.directory.path());
    let mut service = koschei(&place.configuration())
        .arg("repo-resolver")
        .env("NOTIFY_SOCKET", &systemd.1)
        .env("WATCHDOG_USEC", "300000")
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    systemd.until("READY=1");
    let status = systemd.until("STATUS=Last step at ");
    assert!(status.contains(" done in "), "{status}");
    for _ in 0..3 {
        systemd.until("WATCHDOG=1");
    }
    let address = |page: &str| format!("http://127.0.0.1:{port}/{page}");
    let metrics = get(&address("metrics")).expect("monitoring is answered");
    assert!(metrics.contains("koschei_service_info{service=\"repo-resolver\""), "{metrics}");
    assert!(get(&address("health")).unwrap().starts_with("repo-resolver: Last step at "));

    let asked = Instant::now();
    kill(Pid::from_raw(service.id().try_into().unwrap()), Signal::SIGTERM).unwrap();
    systemd.until("STOPPING=1");
    assert!(service.wait().unwrap().success());
    // It is a matter of moments; the limit is that of the specification.
    assert!(asked.elapsed() < Duration::from_secs(10), "{:?}", asked.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_that_never_answers_neither_starves_the_watchdog_nor_delays_the_end() {
    let place = Place::new("polling = { watchdog = true }\nscheduler = { watchdog = true }").await;
    // It takes connections, and nobody reads what comes.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let text = std::fs::read_to_string(place.configuration()).unwrap();
    let text =
        text.replace(&place.koji.address().to_string(), &silent.local_addr().unwrap().to_string());
    std::fs::write(place.configuration(), text).unwrap();
    for name in ["polling", "scheduler"] {
        let systemd = Supervisor::new(place.directory.path());
        let mut service = koschei(&place.configuration())
            .arg(name)
            .env("NOTIFY_SOCKET", &systemd.1)
            .env("WATCHDOG_USEC", "300000")
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        systemd.until("READY=1");
        for _ in 0..5 {
            systemd.until("WATCHDOG=1");
        }
        let asked = Instant::now();
        kill(Pid::from_raw(service.id().try_into().unwrap()), Signal::SIGTERM).unwrap();
        assert!(service.wait().unwrap().success());
        assert!(asked.elapsed() < Duration::from_secs(10), "{name}: {:?}", asked.elapsed());
        std::fs::remove_file(&systemd.1).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_single_step_ends_well_or_says_what_is_wrong() {
    let place = Place::new("").await;
    for service in ["polling", "repo-resolver", "build-resolver", "scheduler"] {
        place.run(&[service, "--once"]);
    }
    let looked = "SELECT count(*) FROM collection_freshness WHERE looked IS NOT NULL";
    let looked: i64 = sqlx::query_scalar(looked).fetch_one(place.database.pool()).await.unwrap();
    assert_eq!(looked, 1, "each did its work");
    place.koji.set_offline(Some("Server disabled for maintenance"));
    let output = koschei(&place.configuration()).args(["scheduler", "--once"]).output().unwrap();
    assert!(!output.status.success());
    assert!(stderr(&output).contains("Server disabled for maintenance"), "{}", stderr(&output));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_needs_too_much_memory_ends_with_status_3() {
    for limit in ["memory_limit", "virtual_memory_limit"] {
        let place = Place::new(&format!("build_resolver = {{ {limit} = 1000 }}")).await;
        let output = koschei(&place.configuration()).arg("build-resolver").output().unwrap();
        assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
        assert!(stderr(&output).contains("KiB, is above the limit"), "{}", stderr(&output));
    }
}

/// The line of a log with these words.
fn line<'a>(log: &'a str, words: &str) -> &'a str {
    log.lines().find(|line| line.contains(words)).unwrap_or_else(|| panic!("{words} in\n{log}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn log_lines_say_in_fields_what_they_are_about() {
    let place = Place::new("").await;
    let log = place.run(&["polling", "--once"]);
    place.run(&["admin", "add-pkg", "-c", "buyan2", "nano"]);
    let registered = line(&log, "the real build nano-");
    for field in ["collection=\"buyan2\"", "package=\"nano\"", " task="] {
        assert!(registered.contains(field), "{field}: {registered}");
    }
    let log = place.run(&["repo-resolver", "--once"]);
    let resolved = line(&log, "a new repo is resolved");
    for field in ["collection=\"buyan2\"", " repo="] {
        assert!(resolved.contains(field), "{field}: {resolved}");
    }
    place.run(&["admin", "-c", "buyan2", "set-priority", "nano", "10000"]);
    let log = place.run(&["scheduler", "--once"]);
    let submitted = line(&log, "a scratch build of nano-");
    for field in ["collection=\"buyan2\"", "package=\"nano\"", " task=", " build="] {
        assert!(submitted.contains(field), "{field}: {submitted}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_resolution_tells_how_far_it_is() {
    let place = Place::new("").await;
    let mut text = std::fs::read_to_string(place.configuration()).unwrap();
    text.push_str("[dependency]\nperf_report_interval = 0\npersist_chunk_size = 1\n");
    std::fs::write(place.configuration(), text).unwrap();
    place.run(&["polling", "--once"]);
    place.run(&["admin", "add-pkg", "-c", "buyan2", "nano", "less", "zlib", "xz", "sed", "grep"]);
    let log = place.run(&["repo-resolver", "--once"]);
    let progress = line(&log, " of 6 packages are resolved, ");
    assert!(
        progress.contains(" per minute") && progress.contains("collection=\"buyan2\""),
        "{progress}"
    );
    assert!(log.contains("6 of 6 packages were resolved"), "{log}");
}
