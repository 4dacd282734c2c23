//! A disk without room, for any user on any machine: a small library (`full_disk.c`) stands between a process and the
//! system, and refuses what a full disk would refuse.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use kojisim::Ending;
use koschei_backend::driver::{self, Outcome};
use koschei_backend::{Error, Service, build_resolver, polling, repo_resolver, scheduler};
use koschei_db::testing;

use crate::world::{LONG, RUNNING, World, clean};

const SOURCE: &str = include_str!("full_disk.c");

/// The library, made once.
pub(crate) fn library() -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let source = directory.path().join("full_disk.c");
        std::fs::write(&source, SOURCE).unwrap();
        let made = directory.path().join("full_disk.so");
        let output = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o"])
            .args([&made, &source])
            .output()
            .expect("cc, the C compiler, is missing (Rust needs it as well)");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        // Others may be at the same.
        let library = Path::new(env!("CARGO_TARGET_TMPDIR")).join("full_disk.so");
        std::fs::rename(made, &library).unwrap();
        library
    })
}

/// The environment of a process for which a directory has so much room, in bytes.
pub(crate) fn environment(directory: &str, room: u64) -> [(&'static str, String); 3] {
    [
        ("LD_PRELOAD", library().display().to_string()),
        ("FULL_DISK_DIRECTORY", directory.to_owned()),
        ("FULL_DISK_ROOM", room.to_string()),
    ]
}

/// What a step says that cannot write; nobody has to do anything but to make room.
#[track_caller]
fn refused(service: Service, result: Result<Outcome, Error>) {
    let error = result.expect_err("there is no room");
    assert!(error.is_transient(), "{service}: {error}");
    assert!(error.to_string().contains("No space left on device"), "{service}: {error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn with_the_disk_of_the_database_full_every_service_says_so_and_goes_on_later() {
    let directory = testing::temporary_directory();
    // Where the database server's user can look.
    let outside = tempfile::tempdir().unwrap();
    std::fs::set_permissions(outside.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .unwrap();
    let here = outside.path().join("full_disk.so");
    std::fs::copy(library(), &here).unwrap();
    let full = outside.path().join("full");
    let is_full = |now: bool| match now {
        true => std::fs::write(&full, "").unwrap(),
        false => std::fs::remove_file(&full).unwrap(),
    };
    let (mut cluster, database) = testing::cluster_with(|options| {
        options.directory = directory.clone();
        for (name, value) in
            [("LD_PRELOAD", &here), ("FULL_DISK_DIRECTORY", &directory), ("FULL_DISK_WHILE", &full)]
        {
            options.environment.push((name.to_owned(), value.display().to_string()));
        }
    })
    .await;
    let database = database.publishing(true);
    let world = World::on(koschei_db::connect(&database).await.unwrap()).await;
    let step = async |service: Service| driver::once(service, &world.ctx).await;

    is_full(true);
    refused(Service::Polling, step(Service::Polling).await);
    let all = "SELECT (SELECT count(*) FROM package) + (SELECT count(*) FROM build)";
    assert_eq!(world.number(all).await, 0, "nothing half");
    is_full(false);
    clean(polling::step(&world.ctx).await.unwrap());
    world.execute("UPDATE package SET tracked = true").await;

    let concluded = "SELECT (SELECT count(*) FROM package WHERE resolved_repo_id IS NOT NULL)
                          + (SELECT count(*) FROM build WHERE deps_resolved IS NOT NULL)";
    is_full(true);
    for service in [Service::RepoResolver, Service::BuildResolver] {
        refused(service, step(service).await);
        assert_eq!(world.number(concluded).await, 0, "{service}");
    }
    is_full(false);
    clean(build_resolver::step(&world.ctx).await.unwrap());
    clean(repo_resolver::step(&world.ctx).await.unwrap());

    // Nothing is asked of Koji that could not be written down.
    world.calm().await;
    world.make_urgent(&["zlib", "xz"]).await;
    is_full(true);
    refused(Service::Scheduler, step(Service::Scheduler).await);
    assert!(world.scratch_tasks().await.is_empty());
    is_full(false);
    let tasks = world.submit(&["zlib"]).await;
    world.until_repos_are_known().await;
    world.sim.finish_task(tasks[0], Ending::Fault(1005, "error building package".into()));
    world.sim.wait_for_task(tasks[0]).await;

    // At last there is no room for the server's own log of changes, and it ends.
    is_full(true);
    let changes = "SELECT pg_logical_emit_message(true, 'full', repeat('x', 100000))";
    let deadline = Instant::now() + LONG;
    while cluster.server_process().is_some() {
        assert!(Instant::now() < deadline, "the server does not mind");
        for statement in [changes, "SELECT pg_switch_wal()"] {
            let _ = sqlx::query(statement).execute(&world.db).await;
        }
    }
    for service in Service::ALL {
        let error = step(service).await.expect_err("there is no database");
        assert!(error.is_transient(), "{service}: {error}");
    }
    is_full(false);
    cluster.restart().await.unwrap();
    let deadline = Instant::now() + LONG;
    while let Err(error) = step(Service::Polling).await {
        assert!(Instant::now() < deadline && error.is_transient(), "{error}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(world.number(RUNNING).await, 0);
    assert_eq!(world.state("zlib").await, "failing");
    let told = "SELECT body->>'old' || ' ' || (body->>'new') FROM outbox
                 WHERE body->>'name' = 'zlib' ORDER BY id DESC LIMIT 1";
    assert_eq!(world.texts(told).await, ["ok failing"]);
    world.calm().await;
    clean(scheduler::step(&world.ctx).await.unwrap());
    clean(build_resolver::step(&world.ctx).await.unwrap());
    clean(repo_resolver::step(&world.ctx).await.unwrap());
    let behind = "SELECT count(*) FROM package WHERE resolved_repo_id IS NULL AND NOT blocked";
    assert_eq!(world.number(behind).await, 0);
    world.check_tasks().await;
}
