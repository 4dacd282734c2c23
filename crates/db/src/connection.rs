//! Connections: one pool per process, every session in UTC and with the name of its service.
//!
//! The tables hold timestamps without zone that mean UTC. A session in another zone would shift every comparison with
//! `now()` and every conversion, whatever the server's, database's or role's default is; so the zone is part of the
//! start of each connection and not left to a setting.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions};
use sqlx::{Connection as _, Postgres, Transaction};

use crate::error::{Error, Result};
use crate::outbox;

/// A pool of connections; cheap to clone.
pub type Pool = PgPool;

/// Which database to use, and how.
#[derive(Clone)]
pub struct DatabaseConfig {
    /// Where the database is.
    pub address: Address,
    /// The name under which the connections show in `pg_stat_activity`, such as `koschei-polling`.
    pub application_name: String,
    /// How many connections the pool may open at most.
    pub max_connections: u32,
    /// How long to wait for a connection before giving up with a transient error.
    pub acquire_timeout: Duration,
    /// Whether changes of state made on these connections are told on the message bus.
    pub publishing: bool,
}

/// Where a database is.
#[derive(Clone)]
pub enum Address {
    /// A URL as in `db_url`: `postgresql://user:password@host:port/database`. SQLAlchemy's form with a driver
    /// (`postgresql+psycopg2://`) is understood as well.
    Url(String),
    /// The parts, as in `database_config`.
    Parts {
        /// Host name, address, or the directory of a Unix socket.
        host: String,
        /// Port; for a socket, the number in its name.
        port: u16,
        /// Name of the database.
        database: String,
        /// User; without one, libpq's defaults hold.
        username: Option<String>,
        /// Password, if the server asks for one.
        password: Option<String>,
    },
}

impl fmt::Debug for DatabaseConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DatabaseConfig({self})")
    }
}

/// The address without the password, as it may stand in messages and logs.
impl fmt::Display for DatabaseConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.options() {
            Ok(options) => f.write_str(&describe(&options)),
            Err(_) => f.write_str("an unreadable database address"),
        }
    }
}

impl DatabaseConfig {
    /// A configuration with the usual limits: at most ten connections, half a minute of patience.
    pub fn new(address: Address, application_name: impl Into<String>) -> Self {
        Self {
            address,
            application_name: application_name.into(),
            max_connections: 10,
            acquire_timeout: Duration::from_secs(30),
            publishing: false,
        }
    }

    /// The database that the configuration file names. Without a role, the operating system's user is meant.
    #[must_use]
    pub fn from_settings(
        settings: &koschei_core::config::DatabaseConfig,
        application_name: impl Into<String>,
    ) -> Self {
        let address = match &settings.db_url {
            Some(url) => Address::Url(url.reveal().to_owned()),
            None => Address::Parts {
                host: settings.host.clone(),
                port: settings.port,
                database: settings.database.clone(),
                username: settings.username.clone(),
                password: settings.password.as_ref().map(|password| password.reveal().to_owned()),
            },
        };
        Self::new(address, application_name)
    }

    /// The same database, with changes of state told on the message bus or not.
    #[must_use]
    pub fn publishing(mut self, publishing: bool) -> Self {
        self.publishing = publishing;
        self
    }

    /// The same database under the name of another service.
    #[must_use]
    pub fn with_application_name(mut self, name: impl Into<String>) -> Self {
        self.application_name = name.into();
        self
    }

    /// The driver's options for this database.
    ///
    /// # Errors
    /// When the URL cannot be understood.
    pub fn options(&self) -> Result<PgConnectOptions> {
        let options = match &self.address {
            Address::Url(url) => parse_url(url)?,
            Address::Parts { host, port, database, username, password } => {
                let mut options = PgConnectOptions::new().host(host).port(*port).database(database);
                if let Some(username) = username {
                    options = options.username(username);
                }
                if let Some(password) = password {
                    options = options.password(password);
                }
                options
            }
        };
        let options = options.application_name(&self.application_name);
        Ok(if self.publishing { options.options([(outbox::SETTING, "on")]) } else { options })
    }
}

/// Opens a pool and sees that the database answers. Every session's time zone is UTC.
///
/// # Errors
/// [`Error::Connect`], transient when the server may come (back) later.
pub async fn connect(config: &DatabaseConfig) -> Result<Pool> {
    let options = config.options()?;
    // The pool would repeat a refused connection until its patience ends; asking once by hand gives the reason at once.
    let address = describe(&options);
    match within(config.acquire_timeout, PgConnection::connect_with(&options)).await {
        Ok(connection) => drop(connection.close().await),
        Err(source) => return Err(Error::Connect { address, source }),
    }
    Ok(pool_options(config).connect_lazy_with(options))
}

/// Opens a pool without asking whether the database answers: for a process that is to come up before it.
///
/// # Errors
/// When the address cannot be understood.
pub fn connect_lazy(config: &DatabaseConfig) -> Result<Pool> {
    Ok(pool_options(config).connect_lazy_with(config.options()?))
}

fn pool_options(config: &DatabaseConfig) -> PgPoolOptions {
    // Connections are pinged before use (the driver's default), so a restarted server costs at most one failed step.
    PgPoolOptions::new()
        .max_connections(config.max_connections)
        .acquire_timeout(config.acquire_timeout)
}

/// Opens a single connection: for a process that does one thing and ends.
///
/// # Errors
/// As [`connect`].
pub async fn connect_one(config: &DatabaseConfig) -> Result<PgConnection> {
    connect_single(&config.options()?, config.acquire_timeout).await
}

/// The version of the server, and what time it is there.
///
/// # Errors
/// When the database cannot be asked.
pub async fn server(connection: &mut PgConnection) -> Result<(String, DateTime<Utc>)> {
    Ok(sqlx::query_as("SELECT current_setting('server_version'), clock_timestamp()")
        .fetch_one(connection)
        .await?)
}

/// Begins a transaction on a connection of the pool.
///
/// Whoever waits for it may go away at any moment: a step is broken off, a client hangs up. The database's driver then
/// forgets that it has sent BEGIN, and gives the connection back to the pool inside a transaction that nobody will ever
/// commit, nor roll back; what others write on that connection is lost, and its locks stay. So a task of its own begins
/// it and always comes to an end. A transaction that nobody wants any more by then is dropped whole, which rolls it back.
///
/// # Errors
/// When no connection can be had.
pub async fn begin(pool: &Pool) -> Result<Transaction<'static, Postgres>> {
    let pool = pool.clone();
    let begun = tokio::spawn(async move { pool.begin().await }).await;
    begun
        .unwrap_or_else(|error| Err(sqlx::Error::Io(std::io::Error::other(error))))
        .map_err(Error::from)
}

/// A connection of its own, outside the pool: for locks and for statements that belong to no pool.
pub(crate) async fn connect_single(
    options: &PgConnectOptions,
    limit: Duration,
) -> Result<PgConnection> {
    within(limit, PgConnection::connect_with(options))
        .await
        .map_err(|source| Error::Connect { address: describe(options), source })
}

/// Gives up on an answer of the server that does not come in time, as if the connection had broken. A server that vanishes
/// without a word, with its machine or behind a firewall, would otherwise be waited for until the system's TCP gives up:
/// a quarter of an hour, or never when nothing is left to be sent.
pub(crate) async fn within<T>(
    limit: Duration,
    answer: impl Future<Output = sqlx::Result<T>>,
) -> sqlx::Result<T> {
    tokio::time::timeout(limit, answer).await.unwrap_or_else(|_| {
        Err(sqlx::Error::Io(std::io::Error::new(
            std::io::ErrorKind::TimedOut,
            format!("the server did not answer within {} seconds", limit.as_secs_f32()),
        )))
    })
}

fn parse_url(url: &str) -> Result<PgConnectOptions> {
    let Some((scheme, rest)) = url.split_once("://") else {
        return Err(Error::Address { reason: "it has no scheme, such as postgresql://".into() });
    };
    let (dialect, _driver) = scheme.split_once('+').unwrap_or((scheme, ""));
    if !matches!(dialect, "postgresql" | "postgres") {
        return Err(Error::Address {
            reason: format!("its scheme is {scheme}, but Koschei needs PostgreSQL"),
        });
    }
    // The driver's own error may quote the URL, and with it the password.
    PgConnectOptions::from_str(&format!("postgresql://{rest}")).map_err(|_| Error::Address {
        reason: "it is not of the form postgresql://user:password@host:port/database".into(),
    })
}

fn describe(options: &PgConnectOptions) -> String {
    let place = match options.get_socket() {
        Some(socket) => socket.display().to_string(),
        None => options.get_host().to_owned(),
    };
    let database = options.get_database().unwrap_or_else(|| options.get_username());
    format!(
        "the PostgreSQL database {database} as {} on {place}, port {}",
        options.get_username(),
        options.get_port()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(url: &str) -> DatabaseConfig {
        DatabaseConfig::new(Address::Url(url.into()), "koschei-test")
    }

    #[test]
    fn an_address_is_shown_without_its_password() {
        let config = url("postgresql+psycopg2://koschei:s3cret@db.example.org:5433/koschei");
        let shown = format!("{config} {config:?}");
        assert!(!shown.contains("s3cret"), "{shown}");
        assert_eq!(
            config.to_string(),
            "the PostgreSQL database koschei as koschei on db.example.org, port 5433"
        );
    }

    #[test]
    fn a_wrong_address_is_one_plain_sentence_without_the_password() {
        for wrong in ["mysql://u:s3cret@h/d", "koschei", "postgresql://u:s3cret@h:port/d"] {
            let error = url(wrong).options().unwrap_err();
            assert!(!error.is_transient());
            let text = error.to_string();
            assert!(text.starts_with("the database address (db_url) is not valid: "), "{text}");
            assert!(!text.contains("s3cret"), "{text}");
        }
    }

    #[tokio::test]
    async fn a_server_that_is_not_there_is_named_and_may_come_later() {
        let directory = tempfile::tempdir().unwrap();
        let config = DatabaseConfig::new(
            Address::Parts {
                host: directory.path().display().to_string(),
                port: 5432,
                database: "koschei".into(),
                username: Some("koschei".into()),
                password: None,
            },
            "koschei-test",
        );
        let error = connect(&config).await.unwrap_err();
        assert!(error.is_transient(), "{error:?}");
        assert!(
            error.to_string().contains("the PostgreSQL database koschei as koschei"),
            "{error}"
        );
    }
}
