//! Fresh databases for tests, on a real PostgreSQL.
//!
//! A test binary has one private cluster, started by the first test that needs it and removed when the process ends. Its
//! template database has the schema; each test gets a copy, which takes a fraction of a second. The databases sort text
//! as a person would and not by bytes, as many installations do, so that a statement that forgets `COLLATE "C"` is found
//! out here and not there.
//!
//! This module is for tests, so it panics, with a plain sentence, when something is missing.
#![allow(clippy::expect_used, clippy::panic, reason = "used by tests only, which end that way")]

mod filled;

use std::ops::Deref;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use chrono::{TimeDelta, Utc};
use sqlx::Connection as _;
use sqlx::postgres::PgConnection;

use crate::cluster::{Cluster, Options};
use crate::connection::{Address, DatabaseConfig, Pool, connect, connect_one};
use crate::schema;

pub use filled::Filled;

/// A database of one test. Use it as a [`Pool`].
#[derive(Debug, Clone)]
pub struct Database {
    pool: Pool,
    config: DatabaseConfig,
}

impl Database {
    /// The pool, for code under test.
    #[must_use]
    pub fn pool(&self) -> &Pool {
        &self.pool
    }

    /// The configuration with which others, services for instance, can connect to it.
    #[must_use]
    pub fn config(&self) -> &DatabaseConfig {
        &self.config
    }

    /// A connection of its own, outside the pool.
    pub async fn connection(&self) -> PgConnection {
        connect_one(&self.config).await.expect("the test cluster answers")
    }

    /// Returns once some session of this database waits for a lock: for tests of transactions that meet.
    pub async fn until_somebody_waits(&self) {
        let mut connection = self.connection().await;
        let deadline = Instant::now() + Duration::from_secs(60);
        while Instant::now() < deadline {
            let waits: bool = sqlx::query_scalar(
                "SELECT EXISTS (SELECT FROM pg_stat_activity
                                WHERE datname = current_database() AND wait_event_type = 'Lock')",
            )
            .fetch_one(&mut connection)
            .await
            .expect("the test cluster answers");
            if waits {
                return;
            }
            tokio::task::yield_now().await;
        }
        panic!("nobody waited for a lock within a minute");
    }
}

impl Deref for Database {
    type Target = Pool;

    fn deref(&self) -> &Pool {
        &self.pool
    }
}

/// A fresh database with the current schema.
pub async fn database() -> Database {
    new_database(TEMPLATE).await
}

/// A fresh database without any schema.
pub async fn empty_database() -> Database {
    new_database(EMPTY_TEMPLATE).await
}

/// A fresh database as the original software leaves it at its newest revision: its schema without our migrations, filled
/// by `tools/populate.py` of the shared material in the proportions of a Fedora installation, with so many base
/// packages in each of four collections. The newest builds are of yesterday.
pub async fn original_database(base_packages: u32) -> Database {
    let database = empty_database().await;
    schema::create_baseline(&mut database.connection().await)
        .await
        .unwrap_or_else(|error| panic!("{error}"));
    let config = database.config().clone();
    tokio::task::spawn_blocking(move || populate(&config, base_packages))
        .await
        .expect("the database is filled");
    database
}

/// Fills a baseline database with test data.
pub fn populate(config: &DatabaseConfig, base_packages: u32) {
    let data = std::env::var_os("KOSCHEI_DATA").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"),
        PathBuf::from,
    );
    let script = data.join("../tools/populate.py");
    assert!(
        script.exists(),
        "this fills a database with {}, which is not there: set KOSCHEI_DATA to the directory shared/data",
        script.display()
    );
    let Address::Parts { host, port, database, username, .. } = &config.address else {
        panic!("test databases are given by their parts");
    };
    let user = username.as_deref().unwrap_or_default();
    let output = Command::new(python())
        .arg(script)
        .env("NB", base_packages.to_string())
        .env("ANCHOR", (Utc::now() - TimeDelta::days(1)).format("%Y-%m-%d %H:%M:%S").to_string())
        .env("KOSCHEI_DSN", format!("host={host} port={port} dbname={database} user={user}"))
        .output()
        .expect("Python starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// The Python that has psycopg2: the first in PATH, or the system's.
fn python() -> &'static str {
    ["python3", "/usr/bin/python3"]
        .into_iter()
        .find(|python| {
            let output = Command::new(python).args(["-c", "import psycopg2"]).output();
            output.is_ok_and(|output| output.status.success())
        })
        .expect("Python's psycopg2 is missing: install it with `apt-get install python3-psycopg2`")
}

/// A private cluster of the test's own, with a database `koschei` that has the current schema: for tests in which the
/// database goes away ([`Cluster::stop`], [`Cluster::restart`]).
pub async fn cluster() -> (Cluster, DatabaseConfig) {
    cluster_with(|_| ()).await
}

/// The same with other options.
pub async fn cluster_with(change: impl FnOnce(&mut Options)) -> (Cluster, DatabaseConfig) {
    let mut options = Options::ephemeral(temporary_directory());
    change(&mut options);
    let cluster = Cluster::start(options).await.unwrap_or_else(|error| panic!("{error}"));
    cluster.create_database("koschei").await.expect("a new cluster takes a database");
    let config = cluster.config("koschei", "koschei-test");
    let mut connection = connect_one(&config).await.expect("the test cluster answers");
    schema::create(&mut connection, None).await.unwrap_or_else(|error| panic!("{error}"));
    (cluster, config)
}

/// A new directory for a cluster, which it removes itself.
#[must_use]
pub fn temporary_directory() -> PathBuf {
    tempfile::Builder::new()
        .prefix("koschei-test-")
        .tempdir()
        .expect("a temporary directory can be made")
        .keep()
}

const TEMPLATE: &str = "koschei_template";
const EMPTY_TEMPLATE: &str = "koschei_empty";

async fn new_database(template: &'static str) -> Database {
    static COUNT: AtomicU32 = AtomicU32::new(1);
    let cluster = shared_cluster().await;
    let name = format!("test_{}", COUNT.fetch_add(1, Ordering::Relaxed));
    let mut connection = administrator(cluster, "postgres").await;
    let statement = format!("CREATE DATABASE {name} TEMPLATE {template}");
    sqlx::query(sqlx::AssertSqlSafe(statement))
        .execute(&mut connection)
        .await
        .unwrap_or_else(|error| panic!("cannot create a test database: {error}"));
    let _ = connection.close().await;
    let config = cluster.config(&name, "koschei-test");
    let pool = connect(&config).await.unwrap_or_else(|error| panic!("{error}"));
    Database { pool, config }
}

async fn administrator(cluster: &Cluster, database: &str) -> PgConnection {
    connect_one(&cluster.config(database, "koschei-test")).await.expect("the test cluster answers")
}

/// The cluster of this process. Never dropped: the system closes its pipe when the process ends, and that ends it.
async fn shared_cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    tokio::task::spawn_blocking(|| CLUSTER.get_or_init(start_with_templates))
        .await
        .expect("the test cluster starts")
}

fn start_with_templates() -> Cluster {
    let cluster = Cluster::start_blocking(Options::ephemeral(temporary_directory()))
        .unwrap_or_else(|error| panic!("the tests need a PostgreSQL: {error}"));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime can be made");
    runtime.block_on(async {
        let mut connection = administrator(&cluster, "postgres").await;
        for name in [EMPTY_TEMPLATE, TEMPLATE] {
            let statement = format!(
                "CREATE DATABASE {name} TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'en-US'"
            );
            sqlx::query(sqlx::AssertSqlSafe(statement))
                .execute(&mut connection)
                .await
                .unwrap_or_else(|error| panic!("cannot create a template database: {error}"));
        }
        let _ = connection.close().await;
        let mut connection = administrator(&cluster, TEMPLATE).await;
        schema::create(&mut connection, None).await.unwrap_or_else(|error| panic!("{error}"));
        // A database that somebody is connected to cannot be copied.
        let _ = connection.close().await;
    });
    cluster
}
