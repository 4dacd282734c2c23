//! A private PostgreSQL on good days and bad ones.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test ends that way")]

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use koschei_db::cluster::{Cluster, ClusterError, Options};
use koschei_db::testing::temporary_directory;
use koschei_db::{DatabaseConfig, Pool, connect};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid};

/// A directory that is removed in the end, and that the server's user can pass through.
fn directory() -> tempfile::TempDir {
    let directory = tempfile::Builder::new().prefix("koschei-cluster-").tempdir().unwrap();
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o711)).unwrap();
    directory
}

/// A server that keeps its data but does not wait for the disk, as those of the demo do.
fn lasting(directory: &Path) -> Options {
    Options { durable: false, ..Options::durable(directory) }
}

async fn pool(cluster: &Cluster) -> Pool {
    connect(&cluster.config("postgres", "koschei-test")).await.unwrap()
}

async fn ask(pool: &Pool, question: &'static str) -> Result<String, sqlx::Error> {
    sqlx::query_scalar(question).fetch_one(pool).await
}

#[tokio::test]
async fn it_listens_on_its_socket_only_and_never_runs_as_root() {
    let cluster = Cluster::start(Options::ephemeral(temporary_directory())).await.unwrap();
    let pool = pool(&cluster).await;
    assert_eq!(ask(&pool, "SHOW listen_addresses").await.unwrap(), "");
    assert_eq!(ask(&pool, "SHOW fsync").await.unwrap(), "off");
    let process = cluster.server_process().unwrap();
    let user = fs::metadata(format!("/proc/{process}")).unwrap().uid();
    assert_ne!(user, 0);
    // Nobody else can come in through the socket.
    let socket_directory = fs::metadata(cluster.socket_directory()).unwrap();
    assert_eq!((socket_directory.uid(), socket_directory.mode() & 0o777), (user, 0o700));
}

#[tokio::test]
async fn as_root_it_says_which_directory_its_user_cannot_enter() {
    if !geteuid().is_root() {
        // Then the server runs as ourselves, and there is nothing in the way: the same call succeeds.
        let cluster = Cluster::start(Options::ephemeral(temporary_directory())).await.unwrap();
        assert!(cluster.server_process().is_some());
        return;
    }
    let closed = tempfile::tempdir().unwrap();
    fs::set_permissions(closed.path(), fs::Permissions::from_mode(0o700)).unwrap();
    let error = Cluster::start(lasting(&closed.path().join("inside"))).await.unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, ClusterError::Unreachable { .. }), "{text}");
    assert!(text.contains(&closed.path().display().to_string()), "{text}");
}

#[tokio::test]
async fn its_data_stays_and_the_demos_is_safe_from_a_crash_of_the_machine() {
    let directory = directory();
    let place = directory.path().join("postgresql");
    let cluster = Cluster::start(Options::durable(&place)).await.unwrap();
    assert!(cluster.create_database("koschei").await.unwrap());
    assert!(!cluster.create_database("koschei").await.unwrap());
    let first = pool(&cluster).await;
    assert_eq!(ask(&first, "SHOW fsync").await.unwrap(), "on");
    assert_eq!(ask(&first, "SHOW synchronous_commit").await.unwrap(), "on");
    drop(cluster);
    // Started again at once, while the old server may still be going down.
    let cluster = Cluster::start(Options::durable(&place)).await.unwrap();
    assert!(!cluster.create_database("koschei").await.unwrap());
    let second = pool(&cluster).await;
    // Whoever looked after the old server leaves the new one alone.
    assert_eq!(ask(&second, "SELECT 'here'").await.unwrap(), "here");
}

#[tokio::test]
async fn an_outage_is_transient_and_the_same_pool_goes_on_after_it() {
    let mut cluster = Cluster::start(Options::ephemeral(temporary_directory())).await.unwrap();
    let mut config = cluster.config("postgres", "koschei-test");
    // As long as it takes to see that nobody answers; a busy machine needs some of it to answer.
    config.acquire_timeout = std::time::Duration::from_secs(5);
    let pool = connect(&config).await.unwrap();
    assert_eq!(ask(&pool, "SELECT 'before'").await.unwrap(), "before");

    cluster.stop().await.unwrap();
    assert_eq!(cluster.server_process(), None);
    let error = koschei_db::Error::from(ask(&pool, "SELECT 'during'").await.unwrap_err());
    assert!(error.is_transient(), "{error:?}");

    cluster.restart().await.unwrap();
    assert_eq!(ask(&pool, "SELECT 'after'").await.unwrap(), "after");
    // A running one is restarted as well.
    let before = cluster.server_process();
    cluster.restart().await.unwrap();
    assert_ne!(cluster.server_process(), before);
    assert_eq!(ask(&pool, "SELECT 'again'").await.unwrap(), "again");
}

#[tokio::test]
async fn a_directory_in_use_is_refused_with_the_process_that_uses_it() {
    let directory = directory();
    let place = directory.path().join("postgresql");
    let _cluster = Cluster::start(lasting(&place)).await.unwrap();
    let error = Cluster::start(lasting(&place)).await.unwrap_err();
    let own = std::process::id();
    assert!(
        matches!(&error, ClusterError::Busy { process: Some(process), .. } if *process == own),
        "{error:?}"
    );
    assert_eq!(
        error.to_string(),
        format!(
            "{} is in use by another running Koschei (process {own}): stop that one, or use another directory",
            place.display()
        )
    );
}

#[tokio::test]
async fn a_directory_with_other_files_is_left_alone() {
    let directory = directory();
    fs::write(directory.path().join("thesis.txt"), "precious").unwrap();
    let before = fs::metadata(directory.path()).unwrap();
    let error = Cluster::start(lasting(directory.path())).await.unwrap_err();
    assert!(matches!(error, ClusterError::NotACluster { .. }), "{error}");
    let after = fs::metadata(directory.path()).unwrap();
    assert_eq!((before.uid(), before.mode()), (after.uid(), after.mode()));
}

#[tokio::test]
async fn a_long_path_gets_a_short_socket() {
    let directory = directory();
    let place = directory.path().join("a".repeat(60)).join("b".repeat(60));
    let cluster = Cluster::start(lasting(&place)).await.unwrap();
    assert!(!cluster.socket_directory().starts_with(&place));
    assert_eq!(ask(&pool(&cluster).await, "SELECT 'here'").await.unwrap(), "here");
    let socket_directory = cluster.socket_directory().to_owned();
    drop(cluster);
    // The same place each time.
    let mut again = Cluster::start(lasting(&place)).await.unwrap();
    assert_eq!(again.socket_directory(), socket_directory);
    again.stop().await.unwrap();
    fs::remove_dir_all(socket_directory).unwrap();
}

#[tokio::test]
async fn a_taken_socket_is_named() {
    let directory = directory();
    let sockets = directory.path().join("sockets");
    let options = |name: &str| Options {
        socket_directory: Some(sockets.clone()),
        ..lasting(&directory.path().join(name))
    };
    let _first = Cluster::start(options("first")).await.unwrap();
    let error = Cluster::start(options("second")).await.unwrap_err();
    assert!(matches!(error, ClusterError::SocketTaken { .. }), "{error}");
    assert!(error.to_string().contains(&sockets.join(".s.PGSQL.5432").display().to_string()));
}

#[tokio::test]
async fn data_of_a_version_that_is_not_installed_is_refused() {
    let directory = directory();
    let place = directory.path().join("postgresql");
    Cluster::start(lasting(&place)).await.unwrap().stop().await.unwrap();
    fs::write(place.join("data/PG_VERSION"), "9\n").unwrap();
    let error = Cluster::start(lasting(&place)).await.unwrap_err();
    assert!(
        error.to_string().contains("was made by PostgreSQL 9, which is not installed"),
        "{error}"
    );
}

#[tokio::test]
async fn a_server_killed_with_its_data_open_recovers() {
    let directory = directory();
    let place = directory.path().join("postgresql");
    let mut cluster = Cluster::start(lasting(&place)).await.unwrap();
    let first = pool(&cluster).await;
    ask(&first, "SELECT pg_current_xact_id()::text").await.unwrap();
    for statement in
        ["CREATE TABLE kept (word text)", "INSERT INTO kept VALUES ('yes')", "CHECKPOINT"]
    {
        sqlx::query(statement).execute(&first).await.unwrap();
    }
    send(cluster.server_process().unwrap(), Signal::SIGKILL);
    // In a container that starts again, the number in the stale file may be that of somebody else by then.
    fs::write(place.join("data/postmaster.pid"), format!("{}\n", std::process::id())).unwrap();
    cluster.restart().await.unwrap();
    assert_eq!(ask(&pool(&cluster).await, "SELECT word FROM kept").await.unwrap(), "yes");
}

#[tokio::test]
async fn it_dies_with_its_parent_even_by_kill_9() {
    let place = temporary_directory();
    let (mut parent, config) = parent_of_a_cluster(&place, Some(EPHEMERAL));
    let session = a_session_that_waits(&config).await;
    parent.kill().unwrap();
    parent.wait().unwrap();
    // The session ends because the server does.
    session.await.unwrap();
    until(|| !place.exists()).await;
}

#[tokio::test]
async fn a_server_that_outlived_everything_is_taken_over() {
    let directory = directory();
    let place = directory.path().join("postgresql");
    let (mut parent, config) = parent_of_a_cluster(&place, None);
    let orphan = fs::read_to_string(place.join("data/postmaster.pid")).unwrap();
    let orphan: u32 = orphan.lines().next().unwrap().parse().unwrap();
    // Whoever kills the whole tree gets the script as well, but not the server, which is nobody's child.
    send(only_child(parent.id()), Signal::SIGKILL);
    parent.kill().unwrap();
    parent.wait().unwrap();
    let session = a_session_that_waits(&config).await;

    let cluster = Cluster::start(lasting(&place)).await.unwrap();
    session.await.unwrap();
    assert_ne!(cluster.server_process(), Some(orphan));
    assert_eq!(ask(&pool(&cluster).await, "SELECT 'here'").await.unwrap(), "here");
}

/// A session that waits, and returns when its connection breaks.
async fn a_session_that_waits(config: &DatabaseConfig) -> tokio::task::JoinHandle<()> {
    let pool = connect(config).await.unwrap();
    let mut connection = pool.acquire().await.unwrap();
    tokio::spawn(async move {
        sqlx::query("SELECT pg_sleep(600)").execute(&mut *connection).await.unwrap_err();
    })
}

/// Tells the other process where to start its cluster.
const OTHER_PROCESS: &str = "KOSCHEI_TEST_CLUSTER";
/// Tells it to remove the directory in the end.
const EPHEMERAL: &str = "KOSCHEI_TEST_CLUSTER_IS_EPHEMERAL";

/// Another process, that starts a cluster and waits to be killed.
fn parent_of_a_cluster(place: &Path, kind: Option<&str>) -> (Child, DatabaseConfig) {
    let mut parent = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--nocapture", "it_is_started_outside_of_an_async_runtime"])
        .env(OTHER_PROCESS, place)
        .envs(kind.map(|kind| (kind, "1")))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = BufReader::new(parent.stdout.take().unwrap());
    let socket_directory = output
        .lines()
        .map_while(Result::ok)
        .find_map(|line| line.split_once("socket in ").map(|(_, place)| place.to_owned()))
        .expect("the other process starts its cluster");
    let address = koschei_db::Address::Parts {
        host: socket_directory,
        port: 5432,
        database: "postgres".into(),
        username: Some("koschei".into()),
        password: None,
    };
    (parent, DatabaseConfig::new(address, "koschei-test"))
}

#[test]
fn it_is_started_outside_of_an_async_runtime() {
    let options = match std::env::var_os(OTHER_PROCESS).map(PathBuf::from) {
        None => Options::ephemeral(temporary_directory()),
        Some(place) => {
            Options { ephemeral: std::env::var_os(EPHEMERAL).is_some(), ..lasting(&place) }
        }
    };
    let cluster = Cluster::start_blocking(options).unwrap();
    assert!(cluster.server_process().is_some());
    // As the other process of another test, this one waits to be killed.
    while std::env::var_os(OTHER_PROCESS).is_some() {
        println!("socket in {}", cluster.socket_directory().display());
        std::thread::park();
    }
}

fn only_child(parent: u32) -> u32 {
    let children: String = fs::read_dir(format!("/proc/{parent}/task"))
        .unwrap()
        .map(|task| fs::read_to_string(task.unwrap().path().join("children")).unwrap())
        .collect();
    children.trim().parse().unwrap()
}

fn send(process: u32, signal: Signal) {
    kill(Pid::from_raw(i32::try_from(process).unwrap()), signal).unwrap();
}

async fn until(condition: impl Fn() -> bool) {
    while !condition() {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}
