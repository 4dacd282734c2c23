//! Creating the schema, bringing it up to date, and seeing that it is.
//!
//! A database is in one of six states ([`Status`]). Services start only on a current one ([`check_current`]);
//! `create-db` makes an empty one current ([`create`]); `alembic upgrade head` brings an older one of ours, or one made
//! by the original software at its newest revision, up to date in place ([`upgrade`]). What was done is recorded in the
//! table `koschei_migration`; `alembic_version` stays as the original software left it, and so it can be started
//! again: that is the way back.

mod adoption;
mod migrations;

use std::collections::BTreeSet;

use sqlx::postgres::PgConnection;
use sqlx::{Connection as _, Executor as _};

pub use adoption::tags_in_notice;
pub use migrations::{MIGRATIONS, Migration};

use crate::error::{Error, Result};
use crate::locks::UpgradeLock;

/// The newest revision of the original software's schema: what we create, and the only one that we take over.
pub const BASELINE_REVISION: &str = "c3e9459e893f";

const BASELINE: &str = include_str!("../../schema/baseline.sql");

/// The tables of the baseline besides `alembic_version`. A database that lacks one of them is not Koschei's.
const BASELINE_TABLES: [&str; 26] = [
    "admin_notice",
    "applied_change",
    "base_package",
    "build",
    "build_group",
    "buildroot_problem",
    "collection",
    "collection_group",
    "collection_group_relation",
    "copr_rebuild",
    "copr_rebuild_request",
    "copr_resolution_change",
    "dependency",
    "group_acl",
    "koji_task",
    "log_entry",
    "package",
    "package_group",
    "package_group_relation",
    "repo_mapping",
    "resolution_change",
    "resolution_problem",
    "resource_consumption_stats",
    "scalar_stats",
    "unapplied_change",
    "user",
];

/// In which state the schema of a database is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// There are no tables.
    Empty,
    /// There are tables, but not Koschei's; some of their names.
    Foreign(Vec<String>),
    /// Made by the original software at an older revision.
    OlderRevision(String),
    /// Koschei's, but migrations are missing. With none applied it was made by the original software.
    Behind {
        /// How many of our migrations were applied.
        applied: usize,
        /// How many there are.
        known: usize,
    },
    /// As this version needs it.
    Current,
    /// Used by a newer version of this software.
    Newer {
        /// The name of the newest migration applied.
        newest: String,
    },
}

/// Why the schema cannot be used, created or upgraded, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SchemaError {
    /// [`Status::Empty`].
    #[error("the database is empty: create the schema with `koschei-admin create-db`")]
    Empty,
    /// [`Status::Foreign`].
    #[error(
        "the database holds tables that are not Koschei's ({}): configure a database of Koschei's own",
        .0.join(", ")
    )]
    Foreign(Vec<String>),
    /// [`Status::OlderRevision`].
    #[error(
        "the database was made by the original Koschei at its schema revision {0}, but only the newest, \
         {BASELINE_REVISION}, can be taken over: run `alembic upgrade head` with the original software first"
    )]
    OlderRevision(String),
    /// [`Status::Behind`].
    #[error(
        "the database schema is not up to date ({applied} of {known} migrations are applied): stop the services and \
         run `koschei-admin alembic upgrade head`"
    )]
    Behind {
        /// How many of our migrations were applied.
        applied: usize,
        /// How many there are.
        known: usize,
    },
    /// [`Status::Newer`].
    #[error(
        "the database schema is newer than this version of Koschei (it has the migration \"{newest}\"): install the \
         newer version"
    )]
    Newer {
        /// The name of the newest migration applied.
        newest: String,
    },
    /// An upgrade was asked for while services hold the database.
    #[error(
        "services of Koschei are running on this database ({}): stop them before changing its schema",
        .0.join(", ")
    )]
    InUse(Vec<String>),
    /// A service wanted to start while the schema was being changed.
    #[error("the schema of the database is being changed right now: start again when that is done")]
    BeingChanged,
    /// A migration failed; it was rolled back.
    #[error("migration {number} ({name}) failed and was rolled back: {reason}")]
    Failed {
        /// Its number.
        number: i32,
        /// Its name.
        name: &'static str,
        /// What PostgreSQL said.
        reason: String,
    },
    /// A database of the original software holds times that are yet to come.
    #[error(
        "the newest build of this database was started at {newest} if its times are {zone}, and that has not come yet: \
         say with --time-zone in which time zone the hosts of the original software were; nothing was changed"
    )]
    NotComeYet {
        /// The newest time.
        newest: String,
        /// The time zone that was assumed.
        zone: String,
    },
    /// PostgreSQL knows no such time zone.
    #[error(
        "there is no time zone {0}: give a name such as UTC, Europe/Prague or America/New_York"
    )]
    NoSuchZone(String),
    /// A time zone was given, but the database is ours already.
    #[error(
        "a time zone counts only when a database of the original software is taken over, and this one has been: leave \
         out --time-zone"
    )]
    NothingToTakeOver,
    /// The role named by `unpriv_db_username` does not exist.
    #[error(
        "there is no database role {0} (unpriv_db_username): create it with `CREATE ROLE`, or correct the name"
    )]
    NoSuchRole(String),
}

/// Finds out in which state the schema is.
///
/// # Errors
/// When the database cannot be asked.
pub async fn status(connection: &mut PgConnection) -> Result<Status> {
    let tables: BTreeSet<String> = sqlx::query_scalar(
        "SELECT c.relname::text FROM pg_class c
         WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
           AND NOT EXISTS (SELECT FROM pg_depend d
                           WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')",
    )
    .fetch_all(&mut *connection)
    .await?
    .into_iter()
    .collect();
    if tables.is_empty() {
        return Ok(Status::Empty);
    }
    let revision: Option<String> = if tables.contains("alembic_version") {
        sqlx::query_scalar("SELECT version_num FROM alembic_version LIMIT 1")
            .fetch_optional(&mut *connection)
            .await?
    } else {
        None
    };
    // What every revision of the original software has had.
    let is_koscheis = ["build", "collection", "package"].iter().all(|name| tables.contains(*name));
    match revision {
        Some(revision) if is_koscheis && revision != BASELINE_REVISION => {
            return Ok(Status::OlderRevision(revision));
        }
        Some(_) if BASELINE_TABLES.iter().all(|name| tables.contains(*name)) => {}
        _ => {
            let ours: BTreeSet<String> = BASELINE_TABLES.iter().map(ToString::to_string).collect();
            let mut foreign: Vec<String> = tables.difference(&ours).take(5).cloned().collect();
            if foreign.is_empty() {
                foreign = tables.into_iter().take(5).collect();
            }
            return Ok(Status::Foreign(foreign));
        }
    }
    let applied: Vec<(i32, String)> = if tables.contains("koschei_migration") {
        sqlx::query_as("SELECT number, name FROM koschei_migration ORDER BY number")
            .fetch_all(connection)
            .await?
    } else {
        Vec::new()
    };
    let known = MIGRATIONS.len();
    Ok(match applied.get(known..).and_then(<[_]>::last) {
        Some((_, newest)) => Status::Newer { newest: newest.clone() },
        None if applied.len() == known && tables.contains("koschei_migration") => Status::Current,
        None => Status::Behind { applied: applied.len(), known },
    })
}

/// Refuses everything but a schema that is as this version needs it. Services call it before they start.
///
/// # Errors
/// [`SchemaError`], saying what to do.
pub async fn check_current(connection: &mut PgConnection) -> Result<()> {
    let refused = match status(connection).await? {
        Status::Current => return Ok(()),
        Status::Empty => SchemaError::Empty,
        Status::Foreign(tables) => SchemaError::Foreign(tables),
        Status::OlderRevision(revision) => SchemaError::OlderRevision(revision),
        Status::Behind { applied, known } => SchemaError::Behind { applied, known },
        Status::Newer { newest } => SchemaError::Newer { newest },
    };
    Err(refused.into())
}

/// Refuses what [`check_current`] refuses, except for migrations that are missing.
async fn check_ours(connection: &mut PgConnection) -> Result<()> {
    match check_current(connection).await {
        Err(Error::Schema(SchemaError::Behind { .. })) => Ok(()),
        outcome => outcome,
    }
}

/// Creates the schema in an empty database, and accepts one that is up to date: `create-db`. All or nothing.
/// `unprivileged` (`unpriv_db_username`) is granted what services and web need.
///
/// # Errors
/// [`SchemaError`] for every database that is neither empty nor current.
pub async fn create(connection: &mut PgConnection, unprivileged: Option<&str>) -> Result<()> {
    let mut transaction = connection.begin().await?;
    lock_out_others(&mut transaction).await?;
    if status(&mut transaction).await? == Status::Empty {
        create_baseline_in(&mut transaction).await?;
        for migration in MIGRATIONS {
            apply(migration, &mut transaction).await?;
        }
        record_table(&mut transaction).await?;
    }
    check_current(&mut transaction).await?;
    grant(&mut transaction, unprivileged).await?;
    transaction.commit().await?;
    Ok(())
}

/// Brings the schema up to date, one transaction per migration: `alembic upgrade head`. A database made by the original
/// software at its newest revision is taken over in place. Gives the migrations that were applied.
///
/// # Errors
/// [`SchemaError::InUse`] while services run, and for every database that is not Koschei's.
pub async fn upgrade(
    connection: &mut PgConnection,
    unprivileged: Option<&str>,
) -> Result<Vec<&'static Migration>> {
    upgrade_from_zone(connection, unprivileged, None).await
}

/// As [`upgrade`], for a database of the original software whose hosts were in this time zone: it wrote their local times,
/// and ours are UTC. Without a time zone its times are taken for UTC.
///
/// # Errors
/// As [`upgrade`]; and when the newest build would have been started in the future, there is no such time zone, or the
/// database is not one of the original software.
pub async fn upgrade_from_zone(
    connection: &mut PgConnection,
    unprivileged: Option<&str>,
    zone: Option<&str>,
) -> Result<Vec<&'static Migration>> {
    let lock = UpgradeLock::acquire(connection).await?;
    let outcome = upgrade_locked(connection, unprivileged, zone).await;
    lock.release(connection).await?;
    outcome
}

async fn upgrade_locked(
    connection: &mut PgConnection,
    unprivileged: Option<&str>,
    zone: Option<&str>,
) -> Result<Vec<&'static Migration>> {
    let mut done: Vec<&'static Migration> = Vec::new();
    loop {
        let mut transaction = connection.begin().await?;
        lock_out_others(&mut transaction).await?;
        let next = match status(&mut transaction).await? {
            Status::Behind { applied: 0, .. } => {
                adoption::take_over_times(&mut transaction, zone).await?;
                MIGRATIONS.first()
            }
            _ if zone.is_some() && done.is_empty() => {
                check_ours(&mut transaction).await?;
                return Err(SchemaError::NothingToTakeOver.into());
            }
            Status::Behind { applied, .. } => MIGRATIONS.get(applied),
            _ => {
                check_current(&mut transaction).await?;
                None
            }
        };
        record_table(&mut transaction).await?;
        if let Some(migration) = next {
            apply(migration, &mut transaction).await?;
        }
        grant(&mut transaction, unprivileged).await?;
        transaction.commit().await?;
        match next {
            Some(migration) => done.push(migration),
            None => return Ok(done),
        }
    }
}

/// Creates the schema if there is none and brings it up to date if it is ours: what the demo does at its start.
///
/// # Errors
/// As [`create`] and [`upgrade`].
pub async fn create_or_upgrade(connection: &mut PgConnection) -> Result<()> {
    match status(connection).await? {
        Status::Current => Ok(()),
        Status::Empty => create(connection, None).await,
        _ => upgrade(connection, None).await.map(drop),
    }
}

/// Creates the schema as the original software makes it, without any of our migrations: for tests of taking over.
///
/// # Errors
/// When the database is not empty.
pub async fn create_baseline(connection: &mut PgConnection) -> Result<()> {
    let mut transaction = connection.begin().await?;
    create_baseline_in(&mut transaction).await?;
    transaction.commit().await?;
    Ok(())
}

async fn create_baseline_in(connection: &mut PgConnection) -> Result<()> {
    connection.execute(sqlx::raw_sql(BASELINE)).await?;
    Ok(())
}

/// Two operators, or two demos, that create or upgrade at once take turns.
async fn lock_out_others(transaction: &mut PgConnection) -> Result<()> {
    let key = i64::from_be_bytes(*b"koschei\0");
    sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(key).execute(transaction).await?;
    Ok(())
}

async fn record_table(transaction: &mut PgConnection) -> Result<()> {
    transaction
        .execute(
            "CREATE TABLE IF NOT EXISTS koschei_migration (
                number integer PRIMARY KEY,
                name varchar NOT NULL,
                applied timestamp NOT NULL DEFAULT clock_timestamp()
            )",
        )
        .await?;
    Ok(())
}

async fn apply(migration: &'static Migration, transaction: &mut PgConnection) -> Result<()> {
    record_table(transaction).await?;
    let failed = |error: sqlx::Error| match error {
        sqlx::Error::Database(reason) => Error::Schema(SchemaError::Failed {
            number: migration.number,
            name: migration.name,
            reason: reason.message().to_owned(),
        }),
        other => Error::Statement(other),
    };
    transaction.execute(sqlx::raw_sql(migration.sql)).await.map_err(failed)?;
    sqlx::query("INSERT INTO koschei_migration (number, name) VALUES ($1, $2)")
        .bind(migration.number)
        .bind(migration.name)
        .execute(transaction)
        .await?;
    Ok(())
}

/// Gives the unprivileged role what services and web need, on all tables and sequences, new ones included.
async fn grant(transaction: &mut PgConnection, role: Option<&str>) -> Result<()> {
    let Some(role) = role else { return Ok(()) };
    // The name cannot be a parameter of GRANT, so the server quotes it.
    let quoted: Option<String> =
        sqlx::query_scalar("SELECT quote_ident(rolname) FROM pg_roles WHERE rolname = $1")
            .bind(role)
            .fetch_optional(&mut *transaction)
            .await?;
    let quoted = quoted.ok_or_else(|| SchemaError::NoSuchRole(role.to_owned()))?;
    let statements = format!(
        "GRANT USAGE ON SCHEMA public TO {quoted};
         GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {quoted};
         GRANT SELECT, USAGE ON ALL SEQUENCES IN SCHEMA public TO {quoted};"
    );
    transaction.execute(sqlx::raw_sql(sqlx::AssertSqlSafe(statements))).await?;
    Ok(())
}
