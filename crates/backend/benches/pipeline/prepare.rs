//! The database of 96,000 packages: filled once by the script, as the original software's schema wants it, taken over by
//! our migrations, and copied for each run.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use koschei_db::cluster::{Cluster, Options};
use koschei_db::{Address, DatabaseConfig, connect_one, schema};
use sqlx::AssertSqlSafe;

const FILLED: &str = "koschei_filled";
const COPY: &str = "koschei_bench";

/// A server with databases.
pub(crate) struct Server {
    /// None when somebody else's server is used.
    cluster: Option<Cluster>,
    socket: String,
}

impl Server {
    /// Starts a private one, or takes the one whose socket is in this directory.
    pub(crate) async fn start(directory: &Path, socket: Option<&str>) -> Server {
        if let Some(socket) = socket {
            return Server { cluster: None, socket: socket.to_owned() };
        }
        let mut cluster = Cluster::start(Options::durable(directory.join("postgresql")))
            .await
            .unwrap_or_else(|error| panic!("{error}"));
        let socket = cluster.socket_directory().display().to_string();
        let server = Server { cluster: None, socket: socket.clone() };
        // As somebody would set them who has 96,000 packages.
        for setting in ["shared_buffers = '1GB'", "max_wal_size = '4GB'", "work_mem = '16MB'"] {
            server.execute("postgres", &format!("ALTER SYSTEM SET {setting}")).await;
        }
        cluster.restart().await.unwrap_or_else(|error| panic!("{error}"));
        Server { cluster: Some(cluster), socket }
    }

    /// The address of a database, as in `db_url`.
    pub(crate) fn url(&self, database: &str) -> String {
        let socket = self.socket.replace('/', "%2F");
        format!("postgresql://koschei@{socket}/{database}")
    }

    async fn execute(&self, database: &str, statement: &str) {
        let config = DatabaseConfig::new(Address::Url(self.url(database)), "koschei-bench");
        let mut connection = connect_one(&config).await.unwrap_or_else(|error| panic!("{error}"));
        sqlx::raw_sql(AssertSqlSafe(statement.to_owned()))
            .execute(&mut connection)
            .await
            .unwrap_or_else(|error| panic!("{statement}: {error}"));
    }

    async fn has(&self, database: &str) -> bool {
        let config = DatabaseConfig::new(Address::Url(self.url("postgres")), "koschei-bench");
        let mut connection = connect_one(&config).await.unwrap_or_else(|error| panic!("{error}"));
        sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)")
            .bind(database)
            .fetch_one(&mut connection)
            .await
            .expect("the server answers")
    }

    /// A copy of the filled database with the current schema; its address.
    pub(crate) async fn copy(&self, populate: &str) -> String {
        if !self.has(FILLED).await {
            self.fill(populate).await;
        }
        let begun = Instant::now();
        self.execute("postgres", &format!("DROP DATABASE IF EXISTS {COPY}")).await;
        let copy = format!("CREATE DATABASE {COPY} TEMPLATE {FILLED} STRATEGY file_copy");
        self.execute("postgres", &copy).await;
        let config = DatabaseConfig::new(Address::Url(self.url(COPY)), "koschei-bench");
        let mut connection = connect_one(&config).await.unwrap_or_else(|error| panic!("{error}"));
        let migrations =
            schema::upgrade(&mut connection, None).await.unwrap_or_else(|error| panic!("{error}"));
        self.execute(COPY, "VACUUM ANALYZE").await;
        println!(
            "database copied, {} migrations applied: {:.0} s",
            migrations.len(),
            begun.elapsed().as_secs_f64()
        );
        self.url(COPY)
    }

    async fn fill(&self, populate: &str) {
        let begun = Instant::now();
        // Until it is complete it has another name.
        const PARTLY: &str = "koschei_filling";
        self.execute("postgres", &format!("DROP DATABASE IF EXISTS {PARTLY}")).await;
        let create = format!("CREATE DATABASE {PARTLY} TEMPLATE template0");
        self.execute("postgres", &create).await;
        let config = DatabaseConfig::new(Address::Url(self.url(PARTLY)), "koschei-bench");
        let mut connection = connect_one(&config).await.unwrap_or_else(|error| panic!("{error}"));
        schema::create_baseline(&mut connection).await.unwrap_or_else(|error| panic!("{error}"));
        drop(connection);
        let python =
            if Path::new("/usr/bin/python3").exists() { "/usr/bin/python3" } else { "python3" };
        let ended = Command::new(python)
            .arg(populate)
            .env("KOSCHEI_DSN", format!("host={} dbname={PARTLY} user=koschei", self.socket))
            .stdout(std::process::Stdio::null())
            .status()
            .expect("Python can be started");
        assert!(ended.success(), "{populate} cannot fill the database; its words stand above");
        self.execute("postgres", &format!("ALTER DATABASE {PARTLY} RENAME TO {FILLED}")).await;
        println!("database filled: {:.0} s (once)", begun.elapsed().as_secs_f64());
    }

    /// Keeps it running until here.
    pub(crate) fn end(self) {
        drop(self.cluster);
    }
}
