//! Bad days: the database gone, the hub gone, services killed. Everything recovers by itself.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests say what they expect"
)]

mod support;

use std::{net::SocketAddr, path::Path, time::Duration};

use kojisim::{Mishap, Options, Push, Sim};
use koschei_db::{Pool, testing};
use support::{
    accounts,
    installation::{Installation, SERVICES, free_port},
    koschei, stdout,
};

/// How long something is away.
const OUTAGE: Duration = Duration::from_secs(30);

const TRACKED: [&str; 4] = ["python-pyyaml", "libyaml", "nano", "less"];

async fn begin(koji: &Sim, pool: &Pool, database: &koschei_db::DatabaseConfig) -> Installation {
    let mut installation = Installation::new(koji, database);
    installation.admin(&[
        "create-collection",
        "buyan2",
        "-d",
        "Buyan 2",
        "-t",
        "buyan2",
        "--dest-tag",
        "buyan2",
    ]);
    installation.start(&SERVICES);
    let known = || async {
        let count: i64 = sqlx::query_scalar("SELECT count(*) FROM package WHERE name = ANY($1)")
            .bind(TRACKED.map(str::to_owned).to_vec())
            .fetch_one(pool)
            .await
            .unwrap();
        count == TRACKED.len() as i64
    };
    installation.wait("polling finds packages", known).await;
    let mut track = vec!["add-pkg"];
    track.extend(TRACKED);
    track.extend(["-c", "buyan2"]);
    installation.admin(&track);
    for package in TRACKED {
        installation.wait_for_state(package, "buyan2", "ok").await;
    }
    let processed = || async {
        let waiting: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM build JOIN package ON package.id = package_id
              WHERE tracked AND (deps_resolved IS NULL OR resolved IS NULL)",
        )
        .fetch_one(pool)
        .await
        .unwrap();
        waiting == 0
    };
    installation.wait("both resolvers have looked at everything", processed).await;
    installation
}

/// A new libyaml, which breaks python-pyyaml, and a repo with it.
async fn break_pyyaml(koji: &Sim) {
    let push = Push::of("libyaml").version("0.2.6").breaking("python-pyyaml", "error: no");
    assert_eq!(koji.wait_for_task(koji.push(&push).unwrap()).await, Some(2));
    let repo = koji.new_repo("buyan2-build").unwrap();
    assert_eq!(koji.wait_for_task(repo).await, Some(2));
}

/// Each task of ours in the hub has exactly one row, and no row is without a task.
async fn all_accounted_for(installation: &mut Installation, koji: &Sim, pool: &Pool) {
    let same = || async {
        let submitted = accounts::submitted(&koji.url()).await.unwrap();
        let recorded = accounts::recorded(pool).await;
        recorded.values().all(|count| *count == 1)
            && recorded.keys().eq(submitted.keys())
            && accounts::running_twice(pool).await.is_empty()
    };
    installation.wait("every task has one row", same).await;
}

/// Both at once, in two installations, because there is nothing to do but to wait.
#[tokio::test(flavor = "multi_thread")]
async fn the_database_or_the_hub_goes_away_for_half_a_minute_and_comes_back() {
    tokio::join!(the_database_goes_away(), the_hub_goes_away());
}

async fn the_database_goes_away() {
    let directory = tempfile::tempdir().unwrap();
    let koji = Sim::start(Options::for_tests(directory.path())).await.unwrap();
    let (mut cluster, database) = testing::cluster().await;
    let pool = koschei_db::connect(&database).await.unwrap();
    let mut installation = begin(&koji, &pool, &database).await;

    cluster.stop().await.unwrap();
    // What happens in Koji meanwhile is found afterwards.
    break_pyyaml(&koji).await;
    tokio::time::sleep(OUTAGE).await;
    installation.assert_all_alive();
    cluster.restart().await.unwrap();

    // Every service says again that it runs, so that nobody changes the schema under it.
    let locks = || async {
        let held: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND classid = 4 AND objid = 0
                AND mode = 'ShareLock' AND granted",
        )
        .fetch_one(&pool)
        .await
        .unwrap_or(0);
        held == SERVICES.len() as i64
    };
    installation.wait("every service has its lock again", locks).await;
    installation.wait_for_state("python-pyyaml", "buyan2", "failing").await;
    all_accounted_for(&mut installation, &koji, &pool).await;
}

async fn the_hub_goes_away() {
    let directory = tempfile::tempdir().unwrap();
    // While it is away nobody else may get its port.
    let listen = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let options = Options { listen, ..Options::for_tests(directory.path()) };
    let koji = Sim::start(options.clone()).await.unwrap();
    let database = testing::database().await;
    let mut installation = begin(&koji, database.pool(), database.config()).await;
    let configuration = installation.configuration();
    break_pyyaml(&koji).await;

    // First it says that it is offline, then nothing listens any more.
    koji.set_offline(Some("Server disabled for maintenance"));
    tokio::time::sleep(OUTAGE / 2).await;
    koji.stop().await;
    tokio::time::sleep(OUTAGE / 2).await;
    installation.assert_all_alive();
    let status = installation.admin(&["status"]);
    assert!(status.contains("buyan2 (Buyan 2): repo ") && status.contains("since "), "{status}");
    assert!(status.contains("getRepo"), "it says that Koji is away: {status}");
    let koji = Sim::start(options).await.unwrap();

    installation.wait_for_state("python-pyyaml", "buyan2", "failing").await;
    all_accounted_for(&mut installation, &koji, database.pool()).await;
    let up_to_date = || async { installation_status(&configuration).contains("    up to date") };
    installation.wait("the collection is up to date", up_to_date).await;
}

fn installation_status(configuration: &Path) -> String {
    stdout(&koschei(configuration).args(["admin", "status"]).output().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_hub_takes_a_build_and_its_answer_is_lost() {
    let directory = tempfile::tempdir().unwrap();
    let koji = Sim::start(Options::for_tests(directory.path())).await.unwrap();
    let database = testing::database().await;
    let mut installation = begin(&koji, database.pool(), database.config()).await;

    koji.mishap(Some("build"), Mishap::CutAnswer);
    installation.admin(&["-c", "buyan2", "set-priority", "nano", "10000"]);
    let tested = || async {
        let count: i64 = sqlx::query_scalar(
            r#"SELECT count(*) FROM build JOIN package ON package.id = package_id
                WHERE package.name = 'nano' AND NOT "real" AND state = 3"#,
        )
        .fetch_one(database.pool())
        .await
        .unwrap();
        count == 1
    };
    installation.wait("nano was built once", tested).await;
    all_accounted_for(&mut installation, &koji, database.pool()).await;
    let of_nano = accounts::submitted(&koji.url())
        .await
        .unwrap()
        .values()
        .filter(|(source, _)| source.contains("/packages/nano/"))
        .count();
    assert_eq!(of_nano, 1, "nano was asked for once, although nobody heard the answer");
}

#[tokio::test(flavor = "multi_thread")]
async fn services_are_killed_while_they_submit_and_record() {
    let directory = tempfile::tempdir().unwrap();
    let koji = Sim::start(Options::for_tests(directory.path())).await.unwrap();
    let database = testing::database().await;
    let mut installation = begin(&koji, database.pool(), database.config()).await;
    let others: Vec<String> = sqlx::query_scalar(
        "SELECT name FROM package WHERE NOT tracked AND NOT blocked ORDER BY name COLLATE \"C\"",
    )
    .fetch_all(database.pool())
    .await
    .unwrap();
    assert!(others.len() > 20, "a small distribution has more packages than {}", others.len());

    // Everything is to be built at once, and whoever does it is killed again and again, a little later each time.
    let mut track = vec!["add-pkg", "-c", "buyan2"];
    track.extend(others.iter().map(String::as_str));
    installation.admin(&track);
    let mut hurry = vec!["set-priority", "-c", "buyan2"];
    hurry.extend(others.iter().map(String::as_str));
    hurry.push("10000");
    installation.admin(&hurry);
    for round in 0..8 {
        tokio::time::sleep(Duration::from_millis(150 + 170 * round)).await;
        let victims =
            if round % 2 == 0 { ["scheduler", "polling"] } else { ["polling", "scheduler"] };
        for victim in victims {
            installation.kill(victim);
        }
        assert_eq!(accounts::running_twice(database.pool()).await, Vec::<String>::new());
        installation.start(&["polling", "scheduler"]);
    }

    let all_built = || async {
        let waiting: i64 = sqlx::query_scalar(
            r#"SELECT count(*) FROM package
                WHERE tracked AND NOT EXISTS (SELECT FROM build WHERE package_id = package.id
                                                 AND NOT "real" AND state <> 2)
                  AND name <> ALL($1)"#,
        )
        .bind(TRACKED.map(str::to_owned).to_vec())
        .fetch_one(database.pool())
        .await
        .unwrap();
        waiting == 0
    };
    installation.wait("everything was built", all_built).await;
    all_accounted_for(&mut installation, &koji, database.pool()).await;
}
