//! `koschei admin`, also `koschei-admin`: what the operators do, in the words of their procedures.
//!
//! What was done is said on standard output and written to the audit log under the name of the operating system's
//! user. A mistake is one line on standard error, a status that is not 0, and nothing changed.

mod cache;
mod collections;
mod configuration;
mod database;
mod groups;
mod notices;
mod packages;
mod status;

use std::{env, process::ExitCode};

use clap::{Args, Subcommand};
use koschei_core::config::Config;
use koschei_db::{PgConnection, administration::Actor};

use crate::{command_line::LogOptions, configuration::Reader, failure::Failure, logging};

/// `koschei admin`.
#[derive(Debug, Args)]
pub(crate) struct Admin {
    /// Say more in the log
    #[arg(long, global = true)]
    debug: bool,
    /// Say every SQL statement in the log
    #[arg(long, global = true)]
    debug_sql: bool,
    /// The collection that a command is about
    #[arg(short, long, global = true, value_name = "NAME")]
    collection: Option<String>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Create the schema in an empty database
    CreateDb,
    /// Bring the schema up to date: alembic upgrade head
    #[command(subcommand)]
    Alembic(database::Alembic),
    /// The schema: db upgrade, db status
    #[command(subcommand)]
    Db(database::Schema),
    /// Run psql on the configured database
    Psql(database::Psql),
    /// Show an announcement in the web interface
    SetNotice(notices::SetNotice),
    /// Take the announcement away
    ClearNotice,
    /// Say how fresh each collection is, and why it may be stale
    Status,
    /// Add a collection
    CreateCollection(collections::CreateCollection),
    /// Track packages
    AddPkg(packages::AddPkg),
    /// Set the manual or the static priority of packages
    SetPriority(packages::SetPriority),
    /// Add a group of packages
    AddGroup(groups::AddGroup),
    /// The repositories that this machine keeps: cache list, cache clear
    #[command(subcommand)]
    Cache(cache::Cache),
    /// Check or show the configuration
    #[command(subcommand)]
    Config(configuration::Config),
}

/// What every command on the database works with.
struct Session {
    config: Config,
    connection: PgConnection,
    actor: Actor,
    collection: Option<String>,
}

impl Session {
    /// The collection named by `--collection`.
    fn collection(&self) -> Result<String, Failure> {
        self.collection.clone().ok_or_else(|| {
            Failure::usage("which collection is meant? Name it with --collection NAME")
        })
    }
}

/// Runs a command.
pub(crate) fn run(admin: Admin) -> Result<ExitCode, Failure> {
    logging::start_for_a_person(&LogOptions { debug: admin.debug, debug_sql: admin.debug_sql });
    let configuration = crate::configuration::read(Reader::Admin)?;
    let command = match admin.command {
        Command::Config(command) => return configuration::run(&command, &configuration),
        Command::Psql(command) => return command.run(&configuration.config),
        Command::Cache(cache::Cache::List) => {
            println!("{}", cache::list(&configuration.config)?);
            return Ok(ExitCode::SUCCESS);
        }
        command => command,
    };
    for warning in &configuration.warnings {
        tracing::warn!("{warning}");
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(format_args!("cannot start: {error}")))?;
    runtime.block_on(async {
        let address = crate::database::configured(&configuration.config, "koschei-admin");
        let connection = koschei_db::connect_one(&address).await.map_err(Failure::new)?;
        let mut session = Session {
            config: configuration.config,
            connection,
            actor: Actor::administrator(operator()),
            collection: admin.collection,
        };
        let done = execute(command, &mut session).await?;
        println!("{done}");
        Ok(ExitCode::SUCCESS)
    })
}

/// Does what a command says; the sentence about what was done.
async fn execute(command: Command, session: &mut Session) -> Result<String, Failure> {
    match command {
        Command::CreateDb => return database::create(session).await,
        Command::Alembic(command) => return command.run(session).await,
        Command::Db(command) => return command.run(session).await,
        _ => {}
    }
    // Everything else needs the tables as they are to be.
    koschei_db::schema::check_current(&mut session.connection).await.map_err(Failure::new)?;
    match command {
        Command::SetNotice(command) => command.run(session).await,
        Command::ClearNotice => notices::clear(session).await,
        Command::Status => status::run(session).await,
        Command::CreateCollection(command) => command.run(session).await,
        Command::AddPkg(command) => command.run(session).await,
        Command::SetPriority(command) => command.run(session).await,
        Command::AddGroup(command) => command.run(session).await,
        Command::Cache(cache::Cache::Clear { addresses }) => cache::clear(addresses, session).await,
        Command::CreateDb
        | Command::Alembic(_)
        | Command::Db(_)
        | Command::Psql(_)
        | Command::Cache(cache::Cache::List)
        | Command::Config(_) => Ok(String::new()),
    }
}

/// The operating system's user, the one behind sudo first.
fn operator() -> String {
    let by_sudo = env::var("SUDO_USER").ok().filter(|name| !name.is_empty());
    let by_id = || {
        let user = nix::unistd::User::from_uid(nix::unistd::getuid()).ok().flatten();
        user.map_or_else(|| nix::unistd::getuid().to_string(), |user| user.name)
    };
    by_sudo.unwrap_or_else(by_id)
}
