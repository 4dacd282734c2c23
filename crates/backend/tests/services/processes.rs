//! Steps made by processes of their own, which can be killed as `kill -9` does it and for which the disk can be full.
//!
//! The test binary calls itself: with [`PLACE`] set, one of its tests is such a process and nothing else.

use std::io::Read as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use koschei_backend::{Context, Service, Stop, driver, repo_resolver};
use koschei_core::config::{self, Config, Source};
use koschei_db::{Address, DatabaseConfig};

use crate::full_disk;
use crate::world::{LONG, World, clean};

/// The directory with what a process has to know: `koschei.toml`.
const PLACE: &str = "KOSCHEI_TEST_PLACE";
/// The service of which it makes a step.
const SERVICE: &str = "KOSCHEI_TEST_SERVICE";
/// Set when it goes on until it is killed.
const FOR_EVER: &str = "KOSCHEI_TEST_FOR_EVER";
/// Set when changes of state are told.
const PUBLISHES: &str = "KOSCHEI_TEST_PUBLISHES";
/// What it says about its step begins with this.
const SAID: &str = "the step: ";

/// How much a process may write to disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Disk {
    /// As much as there is.
    Plenty,
    /// No file may be longer than so many KiB (RLIMIT_FSIZE): writing fails with EFBIG.
    ShortFiles(u64),
    /// There is room for so many KiB in the cache: writing fails with ENOSPC.
    Small(u64),
}

/// A process that makes one step.
pub(crate) struct Process {
    child: Child,
    service: Service,
    _place: tempfile::TempDir,
}

/// How a process ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// What it said about its step; nothing when it was killed.
    pub(crate) said: String,
    /// Whether nobody is needed: the step was made, or what hindered it will pass.
    pub(crate) fine: bool,
}

impl Process {
    /// Starts one with this configuration on this database.
    pub(crate) fn start(
        service: Service,
        config: &Config,
        database: &DatabaseConfig,
        disk: Disk,
    ) -> Self {
        Self::begin(service, config, database, disk, false)
    }

    /// Starts one that goes on making steps until it is killed.
    pub(crate) fn keep_going(service: Service, config: &Config, database: &DatabaseConfig) -> Self {
        Self::begin(service, config, database, Disk::Plenty, true)
    }

    fn begin(
        service: Service,
        config: &Config,
        database: &DatabaseConfig,
        disk: Disk,
        for_ever: bool,
    ) -> Self {
        let place = tempfile::tempdir().unwrap();
        std::fs::write(place.path().join("koschei.toml"), settings(config, database)).unwrap();
        let cache = &config.directories.cachedir;
        std::fs::create_dir_all(cache).unwrap();
        let mut command = match disk {
            Disk::Plenty => Command::new(std::env::current_exe().unwrap()),
            Disk::Small(kib) => {
                let mut command = Command::new(std::env::current_exe().unwrap());
                command.envs(full_disk::environment(cache, kib << 10));
                command
            }
            Disk::ShortFiles(kib) => {
                let mut shell = Command::new("sh");
                // In blocks of 512 bytes.
                let limit = format!("trap '' XFSZ; ulimit -f {}; exec \"$0\" \"$@\"", 2 * kib);
                shell.args(["-c", &limit]).arg(std::env::current_exe().unwrap());
                shell
            }
        };
        command
            .args(["--exact", "--nocapture", "--test-threads=1"])
            .arg("processes::a_step_of_a_process_of_its_own_is_like_any_other")
            .env(PLACE, place.path())
            .env(SERVICE, service.name())
            // It ends with whoever started it, however that ends.
            .stdin(Stdio::piped())
            // Not files, because these may be short. What it says fits into a pipe.
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        for (is_set, variable) in [(database.publishing, PUBLISHES), (for_ever, FOR_EVER)] {
            if is_set {
                command.env(variable, "1");
            }
        }
        Self { child: command.spawn().unwrap(), service, _place: place }
    }

    /// What it wrote, after its end.
    fn output(&mut self) -> String {
        let mut output = String::new();
        if let Some(stdout) = &mut self.child.stdout {
            let _ = stdout.read_to_string(&mut output);
        }
        if let Some(stderr) = &mut self.child.stderr {
            let _ = stderr.read_to_string(&mut output);
        }
        output
    }

    pub(crate) fn service(&self) -> Service {
        self.service
    }

    /// `kill -9`.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(crate) fn signal(&self, signal: &str) {
        let status = Command::new("kill").args([signal, &self.child.id().to_string()]).status();
        assert!(status.unwrap().success());
    }

    /// Fails when it has ended by itself.
    #[track_caller]
    pub(crate) fn assert_running(&mut self) {
        let status = self.child.try_wait().unwrap();
        if let Some(status) = status {
            let output = self.output();
            panic!("the {} has ended: {status}\n{output}", self.service);
        }
    }

    /// Waits for its end; kills it when it has not ended until then.
    pub(crate) async fn end(mut self, kill_after: Option<Duration>) -> Ended {
        let begun = Instant::now();
        let mut killed = false;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                killed &= status.signal() == Some(9);
                let output = self.output();
                let told =
                    output.lines().find_map(|line| line.split_once(SAID)).map(|(_, told)| told);
                let service = self.service;
                return Ended {
                    said: match told {
                        _ if killed => format!("{service}: killed after {:?}", kill_after.unwrap()),
                        Some(told) => format!("{service}: {told}"),
                        None => format!("{service}: {status}\n{output}"),
                    },
                    fine: killed || status.success(),
                };
            }
            if kill_after.is_some_and(|time| begun.elapsed() >= time) && !killed {
                self.child.kill().unwrap();
                killed = true;
            }
            assert!(begun.elapsed() < LONG, "the {} does not end", self.service);
            tokio::time::sleep(Duration::from_millis(if killed { 1 } else { 5 })).await;
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The part of a configuration that makes a difference here.
fn settings(config: &Config, database: &DatabaseConfig) -> String {
    let Address::Parts { host, port, database, username, .. } = &database.address else {
        panic!("test databases are on a socket")
    };
    let koji = &config.koji_config;
    format!(
        "real_builds_insert_chunk = {chunk}\n\
         [database_config]\nhost = {host:?}\nport = {port}\ndatabase = {database:?}\nusername = {user:?}\n\
         [koji_config]\nserver = {server:?}\ntopurl = {topurl:?}\nweburl = {weburl:?}\n\
         login_method = 'login'\nlogin_args = {{ user = 'koschei', password = 'koschei' }}\n\
         session_opts = {{ timeout = 10, max_retries = 1, retry_interval = 0.01, offline_retry = false }}\n\
         build_arches = {arches:?}\nload_threshold = {load:?}\nmax_builds = {max_builds}\n\
         [dependency]\npersist_chunk_size = {persist}\n\
         [directories]\ncachedir = {cache:?}\n\
         [services]\npolling = {{ interval = {polling:?} }}\nrepo_resolver = {{ interval = {others:?} }}\n\
         build_resolver = {{ interval = {others:?} }}\nscheduler = {{ interval = {others:?} }}\n",
        polling = config.services.polling.interval,
        others = config.services.scheduler.interval,
        chunk = config.real_builds_insert_chunk,
        user = username.as_deref().unwrap_or_default(),
        server = koji.server,
        topurl = koji.topurl,
        weburl = koji.weburl,
        arches = koji.build_arches,
        load = koji.load_threshold,
        max_builds = koji.max_builds,
        persist = config.dependency.persist_chunk_size,
        cache = config.directories.cachedir,
    )
}

/// What such a process does.
async fn make_a_step(place: &Path) {
    std::thread::spawn(|| {
        let _ = std::io::stdin().read(&mut [0]);
        std::process::exit(1);
    });
    let text = std::fs::read_to_string(place.join("koschei.toml")).unwrap();
    let source = Source { name: "koschei.toml".to_owned(), text };
    let config = config::parse(&[source], []).unwrap().config;
    let name = std::env::var(SERVICE).unwrap();
    let mut database = DatabaseConfig::from_settings(&config.database_config, &name)
        .publishing(std::env::var_os(PUBLISHES).is_some());
    database.max_connections = 4;
    database.acquire_timeout = Duration::from_secs(10);
    let step = async {
        let db = koschei_db::connect(&database).await?;
        let ctx = Context::new(config, db, Stop::never())?;
        let service = Service::from_name(&name).unwrap();
        if std::env::var_os(FOR_EVER).is_some() {
            panic!("{:?}", driver::run(service, &ctx).await);
        }
        driver::once(service, &ctx).await
    };
    match step.await {
        Ok(outcome) => {
            let mut said = format!("{} done", outcome.done);
            for (about, error) in &outcome.failures {
                said.push_str(&format!("; {about}: {error}"));
            }
            println!("{SAID}{}", said.replace('\n', " "));
        }
        Err(error) => {
            println!("{SAID}{}", error.to_string().replace('\n', " "));
            assert!(error.is_transient(), "{error}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_of_a_process_of_its_own_is_like_any_other() {
    if let Some(place) = std::env::var_os(PLACE) {
        return make_a_step(Path::new(&place)).await;
    }
    let world = World::empty().await;
    let start =
        |disk| Process::start(Service::Polling, &world.config, world.database(), disk).end(None);
    let ended = start(Disk::Plenty).await;
    assert!(ended.fine && ended.said.ends_with(" done"), "{}", ended.said);
    let listed = world.number("SELECT count(*) FROM package WHERE NOT blocked").await;
    assert_eq!(world.number("SELECT count(*) FROM build").await, listed);
    assert_eq!(start(Disk::Plenty).await.said, "polling: 0 done");
}

const BEHIND: &str = "SELECT count(*) FROM package WHERE tracked AND NOT blocked
                         AND (resolved_repo_id IS NULL OR resolved IS NULL)";

#[tokio::test(flavor = "multi_thread")]
async fn with_the_disk_full_everything_waits_and_nothing_is_concluded() {
    let world = World::empty().await;
    let before = Process::start(Service::Polling, &world.config, world.database(), Disk::Plenty);
    assert!(before.end(None).await.fine);
    world.execute("UPDATE package SET tracked = true").await;
    let packages = world.number(BEHIND).await;
    assert!(packages > 50);
    // From no room at all to nearly enough: for each file, and for all files together.
    let files = [0, 1, 4].map(Disk::ShortFiles);
    let together = [0, 4, 12, 24].map(Disk::Small);
    for disk in [&files[..], &together[..]].concat() {
        for service in [Service::RepoResolver, Service::BuildResolver] {
            let process = Process::start(service, &world.config, world.database(), disk);
            let ended = process.end(None).await;
            assert!(ended.fine, "{disk:?}: {}", ended.said);
            assert!(ended.said.contains("buyan2"), "it says so: {disk:?}: {}", ended.said);
            assert_eq!(world.number(BEHIND).await, packages, "{disk:?}: {}", ended.said);
            let looked_at = "SELECT count(*) FROM build WHERE deps_resolved IS NOT NULL";
            assert_eq!(world.number(looked_at).await, 0, "{disk:?}: {}", ended.said);
        }
    }
    // There is room again, and what was written half is in nobody's way.
    clean(repo_resolver::step(&world.ctx).await.unwrap());
    assert_eq!(world.number(BEHIND).await, 0);
}
