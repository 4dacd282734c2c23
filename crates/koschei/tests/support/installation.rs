//! A whole Koschei for a test: simulated Koji in the test's process, services as real processes, a real PostgreSQL.

use std::{
    future::Future,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use curl::easy::Easy;
use kojisim::Sim;
use koschei_db::DatabaseConfig;
use serde_json::Value;

use super::{database_section, koschei, stderr, stdout};

/// Long enough for a loaded machine; a test that waits so long has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(240);

/// Services that are processes of their own, as in production.
pub(crate) const SERVICES: [&str; 5] =
    ["polling", "repo-resolver", "build-resolver", "scheduler", "web"];

/// A running installation. Its processes are killed when it is dropped.
pub(crate) struct Installation {
    directory: tempfile::TempDir,
    port: u16,
    running: Vec<(&'static str, Child)>,
}

impl Installation {
    /// Configures one for this Koji and this database; nothing runs yet.
    pub(crate) fn new(koji: &Sim, database: &DatabaseConfig) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let port = free_port();
        let configuration = format!(
            "{database}\n\
             [koji_config]\nserver = {server:?}\ntopurl = {topurl:?}\nweburl = {weburl:?}\n\
             login_method = 'login'\nlogin_args = {{ user = 'koschei', password = 'koschei' }}\n\
             session_opts = {{ timeout = 20, retry_interval = 0.5, offline_retry_interval = 0.5 }}\n\
             build_arches = ['x86_64', 'aarch64']\nload_threshold = 1.0\n\
             [services]\npolling = {{ interval = 0.5 }}\nrepo_resolver = {{ interval = 0.5 }}\n\
             build_resolver = {{ interval = 0.5 }}\nscheduler = {{ interval = 0.5 }}\n\
             [directories]\ncachedir = {cache:?}\n\
             [frontend]\nlisten = '127.0.0.1:{port}'\n",
            database = database_section(database),
            server = koji.url(),
            topurl = koji.topurl(),
            weburl = koji.weburl(),
            cache = directory.path().join("cache"),
        );
        std::fs::write(directory.path().join("koschei.toml"), configuration).unwrap();
        Self { directory, port, running: Vec::new() }
    }

    pub(crate) fn configuration(&self) -> PathBuf {
        self.directory.path().join("koschei.toml")
    }

    /// Starts services.
    pub(crate) fn start(&mut self, services: &[&'static str]) {
        for name in services {
            let log = std::fs::File::options()
                .create(true)
                .append(true)
                .open(self.directory.path().join(format!("{name}.log")))
                .unwrap();
            let child = koschei(&self.configuration())
                .args([name, "--debug"])
                .stdout(Stdio::null())
                .stderr(log)
                .spawn()
                .unwrap();
            self.running.push((name, child));
        }
    }

    /// Kills a service as `kill -9` does.
    pub(crate) fn kill(&mut self, name: &str) {
        let place = self.running.iter().position(|(running, _)| *running == name).unwrap();
        let (_, mut child) = self.running.remove(place);
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Panics if a service has ended by itself.
    pub(crate) fn assert_all_alive(&mut self) {
        for (name, child) in &mut self.running {
            if let Some(status) = child.try_wait().unwrap() {
                panic!(
                    "{name} has ended ({status}); its log:\n{}",
                    log(self.directory.path(), name)
                );
            }
        }
    }

    /// Runs a command of the administrator, which must succeed.
    pub(crate) fn admin(&self, arguments: &[&str]) -> String {
        let output = koschei(&self.configuration()).arg("admin").args(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", stderr(&output));
        stdout(&output)
    }

    /// The address of a page.
    pub(crate) fn address(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// A page, or nothing while the web interface does not answer with one.
    pub(crate) fn page(&self, path: &str) -> Option<String> {
        get(&self.address(path))
    }

    /// The state of a package, from the JSON interface.
    pub(crate) fn state(&self, package: &str, collection: &str) -> Option<String> {
        let page =
            self.page(&format!("/api/v1/packages?name={package}&collection={collection}"))?;
        let list: Value = serde_json::from_str(&page).ok()?;
        Some(list.get(0)?.get("state")?.as_str()?.to_owned())
    }

    /// Waits until a package has a state.
    pub(crate) async fn wait_for_state(&mut self, package: &str, collection: &str, state: &str) {
        let what = format!("{package} is {state} in {collection}");
        let mut last = None;
        let deadline = Instant::now() + PATIENCE;
        while last.as_deref() != Some(state) {
            assert!(
                Instant::now() < deadline,
                "not within {PATIENCE:?}: {what} (it is {last:?}); the logs:\n{}",
                self.logs()
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
            self.assert_all_alive();
            last = self.state(package, collection);
        }
    }

    /// Waits until something holds.
    pub(crate) async fn wait<F: Future<Output = bool>>(
        &mut self,
        what: &str,
        mut holds: impl FnMut() -> F,
    ) {
        let deadline = Instant::now() + PATIENCE;
        while !holds().await {
            assert!(
                Instant::now() < deadline,
                "not within {PATIENCE:?}: {what}; the logs:\n{}",
                self.logs()
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
            self.assert_all_alive();
        }
    }

    /// The ends of all logs.
    pub(crate) fn logs(&self) -> String {
        let mut all = String::new();
        for name in SERVICES {
            all.push_str(&format!("--- {name}\n{}\n", log(self.directory.path(), name)));
        }
        all
    }
}

impl Drop for Installation {
    fn drop(&mut self) {
        for (_, child) in &mut self.running {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn log(directory: &Path, name: &str) -> String {
    let text = std::fs::read_to_string(directory.join(format!("{name}.log"))).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(25)..].join("\n")
}

/// A port that is free, and that nobody takes by chance: below those that the system gives to outgoing connections, from
/// a place that depends on the process, and no port twice.
pub(crate) fn free_port() -> u16 {
    const FIRST: u32 = 15_000;
    const COUNT: u32 = 15_000;
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let start = std::process::id().wrapping_mul(97);
    for _ in 0..COUNT {
        let place = start.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % COUNT;
        let port = u16::try_from(FIRST + place).unwrap();
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no port is free");
}

/// Fetches an address; nothing unless the answer is 200.
pub(crate) fn get(address: &str) -> Option<String> {
    let mut handle = Easy::new();
    handle.url(address).ok()?;
    handle.noproxy("*").ok()?;
    handle.timeout(Duration::from_secs(20)).ok()?;
    let mut body = Vec::new();
    {
        let mut transfer = handle.transfer();
        transfer
            .write_function(|data| {
                body.extend_from_slice(data);
                Ok(data.len())
            })
            .ok()?;
        transfer.perform().ok()?;
    }
    (handle.response_code().ok()? == 200).then(|| String::from_utf8_lossy(&body).into_owned())
}
