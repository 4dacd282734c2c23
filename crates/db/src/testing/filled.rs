//! A database of Fedora's size, for whoever measures: filled once, copied for each run.

use std::path::Path;
use std::time::{Duration, Instant};

use sqlx::AssertSqlSafe;

use super::populate;
use crate::cluster::{Cluster, Options};
use crate::connection::{DatabaseConfig, connect_one};
use crate::{PgConnection, schema};

/// The database as the original software leaves it; it has this name only once it is full.
const ORIGINAL: &str = "original";

/// A private PostgreSQL with a database as the original software leaves it, filled by `tools/populate.py` of the shared
/// material.
#[derive(Debug)]
pub struct Filled {
    cluster: Cluster,
}

impl Filled {
    /// Starts the server of this directory, and fills its database if that was not done yet: so many packages in each of
    /// four collections. 24,000 are Fedora's, and take some minutes and 2 GB.
    pub async fn start(directory: &Path, packages: u32) -> Self {
        let directory = directory.join(packages.to_string());
        let mut cluster = Cluster::start(Options::durable(directory))
            .await
            .unwrap_or_else(|error| panic!("{error}"));
        let mut postgres = connect(&cluster, "postgres").await;
        if !exists(&mut postgres, ORIGINAL).await {
            println!(
                "filling a database with {packages} packages in each of four collections (once)"
            );
            // As somebody would set them who has so much in it.
            for setting in ["shared_buffers = '1GB'", "max_wal_size = '4GB'", "work_mem = '16MB'"] {
                execute(&mut postgres, &format!("ALTER SYSTEM SET {setting}")).await;
            }
            drop(postgres);
            cluster.restart().await.unwrap_or_else(|error| panic!("{error}"));
            fill(&cluster, packages).await;
        }
        Self { cluster }
    }

    /// The server.
    #[must_use]
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// A fresh copy of the filled database, under this name; one that was there is replaced.
    pub async fn copy(&self, name: &str) -> DatabaseConfig {
        let mut postgres = connect(&self.cluster, "postgres").await;
        execute(&mut postgres, &format!("DROP DATABASE IF EXISTS {name}")).await;
        let copy = format!("CREATE DATABASE {name} TEMPLATE {ORIGINAL} STRATEGY file_copy");
        execute(&mut postgres, &copy).await;
        // What copying left in memory must not be written while something is measured.
        execute(&mut postgres, "CHECKPOINT").await;
        self.cluster.config(name, "koschei-bench")
    }
}

async fn connect(cluster: &Cluster, database: &str) -> PgConnection {
    connect_one(&cluster.config(database, "koschei-bench")).await.expect("the server answers")
}

async fn execute(connection: &mut PgConnection, statement: &str) {
    sqlx::raw_sql(AssertSqlSafe(statement.to_owned()))
        .execute(connection)
        .await
        .unwrap_or_else(|error| panic!("{statement}: {error}"));
}

async fn exists(connection: &mut PgConnection, database: &str) -> bool {
    sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)")
        .bind(database)
        .fetch_one(connection)
        .await
        .expect("the server answers")
}

async fn fill(cluster: &Cluster, packages: u32) {
    let begun = Instant::now();
    let half = "being_filled";
    let mut postgres = connect(cluster, "postgres").await;
    execute(&mut postgres, &format!("DROP DATABASE IF EXISTS {half}")).await;
    execute(&mut postgres, &format!("CREATE DATABASE {half}")).await;
    let config = cluster.config(half, "koschei-bench");
    let mut connection = connect(cluster, half).await;
    schema::create_baseline(&mut connection).await.expect("the schema is created");
    drop(connection);
    tokio::task::spawn_blocking(move || populate(&config, packages)).await.expect("it is filled");
    // The server notices a moment later that nobody is connected any more.
    let rename = format!("ALTER DATABASE {half} RENAME TO {ORIGINAL}");
    for _ in 0..100 {
        if sqlx::raw_sql(AssertSqlSafe(rename.clone())).execute(&mut postgres).await.is_ok() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(exists(&mut postgres, ORIGINAL).await, "somebody else uses the new database");
    println!("filled: {:.0} s", begun.elapsed().as_secs_f64());
}
