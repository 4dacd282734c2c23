//! What systemd hears from a service, by the socket that it gives to its services.

use std::{
    fs,
    os::unix::net::UnixDatagram,
    path::Path,
    process::{Child, Stdio},
    time::{Duration, Instant},
};

use koschei_db::testing::database;

use super::support::{
    database_section,
    installation::{PATIENCE, free_port},
    koschei,
};

struct Supervised {
    socket: UnixDatagram,
    child: Child,
    heard: Vec<String>,
}

impl Drop for Supervised {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Supervised {
    /// Starts a service as systemd would whose unit has `WatchdogSec=1`.
    fn start(directory: &Path, service: &str, configuration: &str) -> Self {
        let file = directory.join("koschei.toml");
        fs::write(&file, configuration).unwrap();
        let path = directory.join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        let child = koschei(&file)
            .arg(service)
            .env("NOTIFY_SOCKET", &path)
            .env("WATCHDOG_USEC", "1000000")
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self { socket, child, heard: Vec::new() }
    }

    /// Listens until something was said so often; what was said before.
    fn hears(&mut self, what: &str, times: usize) -> &[String] {
        let deadline = Instant::now() + PATIENCE;
        let mut buffer = [0; 4096];
        while self.heard.iter().filter(|line| line.starts_with(what)).count() < times {
            assert!(Instant::now() < deadline, "{what} was not heard: {:?}", self.heard);
            if let Ok(length) = self.socket.recv(&mut buffer) {
                let said = String::from_utf8_lossy(&buffer[..length]).into_owned();
                self.heard.extend(said.lines().map(str::to_owned));
            }
        }
        &self.heard
    }

    fn asks_to_end(&self) {
        let id = nix::unistd::Pid::from_raw(i32::try_from(self.child.id()).unwrap());
        nix::sys::signal::kill(id, nix::sys::signal::Signal::SIGTERM).unwrap();
    }
}

#[tokio::test]
async fn the_web_interface_is_ready_when_it_listens_and_says_that_it_lives() {
    let database = database().await;
    let directory = tempfile::tempdir().unwrap();
    let port = free_port();
    let configuration =
        format!("{}[frontend]\nlisten = '127.0.0.1:{port}'\n", database_section(database.config()));
    let mut web = Supervised::start(directory.path(), "web", &configuration);
    web.hears("READY=1", 1);
    std::net::TcpStream::connect(("127.0.0.1", port)).expect("what is ready listens");
    let heard = web.hears("WATCHDOG=1", 3);
    assert!(!heard.iter().any(|line| line.starts_with("WATCHDOG_USEC")), "{heard:?}");
    web.asks_to_end();
    web.hears("STOPPING=1", 1);
    assert!(web.child.wait().unwrap().success());
}

#[tokio::test]
async fn a_service_that_waits_for_its_database_says_so_and_hangs_nobody() {
    let directory = tempfile::tempdir().unwrap();
    let nowhere = directory.path().join("nowhere");
    let configuration = format!("[database_config]\nhost = {nowhere:?}\n");
    let mut polling = Supervised::start(directory.path(), "polling", &configuration);
    polling.hears("READY=1", 1);
    let heard = polling.hears("STATUS=waits for the database: ", 1);
    // services.polling.watchdog is false: the unit's limit is not to be applied.
    assert!(heard.iter().any(|line| line == "WATCHDOG_USEC=0"), "{heard:?}");
    polling.asks_to_end();
    assert!(polling.child.wait().unwrap().success());
}

#[tokio::test]
async fn a_service_with_a_watchdog_feeds_it() {
    let database = database().await;
    let directory = tempfile::tempdir().unwrap();
    let configuration = format!(
        "{}[koji_config]\nserver = 'http://127.0.0.1:1/kojihub'\n[services.polling]\nwatchdog = true\n",
        database_section(database.config())
    );
    let mut polling = Supervised::start(directory.path(), "polling", &configuration);
    polling.hears("READY=1", 1);
    let heard = polling.hears("WATCHDOG=1", 3);
    assert!(!heard.iter().any(|line| line.starts_with("WATCHDOG_USEC")), "{heard:?}");
}
