//! `koschei admin`, also `koschei-admin`: what the operators do, in the words of their procedures.
//!
//! What was done is said on standard output and written to the audit log under the name of the operating system's
//! user. A mistake is one line on standard error, a status that is not 0, and nothing changed.

mod branching;
mod cache;
mod cleaning;
mod collection_groups;
mod collections;
mod configuration;
mod database;
mod groups;
mod notices;
mod packages;
mod people;
mod refreshing;
mod selfcheck;
mod status;
mod submitting;
mod suspending;
pub(crate) mod words;

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
    /// The collection that a command is about; several times where it may be about several
    #[arg(short, long = "collection", global = true, value_name = "NAME")]
    collections: Vec<String>,
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
    /// Change a collection
    EditCollection(collections::EditCollection),
    /// Delete a collection
    DeleteCollection(collections::DeleteCollection),
    /// After a release was branched: copy a collection, and let it go on under a new name
    BranchCollection(branching::BranchCollection),
    /// Copy a collection with the last builds of its packages
    ForkCollection(branching::ForkCollection),
    /// Add a group of collections
    CreateCollectionGroup(collection_groups::CreateCollectionGroup),
    /// Change a group of collections
    EditCollectionGroup(collection_groups::EditCollectionGroup),
    /// Delete a group of collections; the collections stay
    DeleteCollectionGroup(collection_groups::DeleteCollectionGroup),
    /// Track packages
    AddPkg(packages::AddPkg),
    /// Track the packages of a global group in all collections
    TrackGroup(groups::TrackGroup),
    /// Set the manual or the static priority of packages
    SetPriority(packages::SetPriority),
    /// Set the architectures that a package, or those of a group, are built for
    SetArchOverride(packages::SetArchOverride),
    /// Submit scratch builds at once, whatever the priority, the limit and Koji's load
    SubmitBuild(submitting::SubmitBuild),
    /// Keep the scheduler from submitting builds, for an outage of Koji for instance
    Suspend(suspending::Suspend),
    /// Let the scheduler submit builds again
    Resume,
    /// Keep the scheduler from submitting builds of the packages of a group for a while
    Hold(suspending::HoldGroup),
    /// Let the scheduler submit builds of the packages of a group again
    Release(suspending::Release),
    /// Delete old builds and the old history of resolution
    Cleanup(cleaning::Cleanup),
    /// Add a group of packages
    AddGroup(groups::AddGroup),
    /// Add a group of packages, from a file
    CreateGroup(groups::CreateGroup),
    /// Change a group of packages
    EditGroup(groups::EditGroup),
    /// Delete a group of packages; the packages stay
    DeleteGroup(groups::DeleteGroup),
    /// Add to a group the source packages of the newest distribution whose names match
    RefreshGroup(refreshing::RefreshGroup),
    /// Make a group of the packages that somebody maintains
    RefreshUserGroup(refreshing::RefreshUserGroup),
    /// Make a group of the packages that a group of maintainers maintains
    RefreshDistgitGroup(refreshing::RefreshDistgitGroup),
    /// Let somebody do everything in the web interface
    SetAdmin(people::Somebody),
    /// Take that back
    UnsetAdmin(people::Somebody),
    /// List those who may do everything
    ListAdmins,
    /// The repositories that this machine keeps: cache list, cache clear
    #[command(subcommand)]
    Cache(cache::Cache),
    /// Check configuration, database, Koji, message bus and cache directory, and say what is wrong
    Selfcheck,
    /// Check, show or convert the configuration
    #[command(subcommand)]
    Config(configuration::Config),
}

/// What every command on the database works with.
struct Session {
    config: Config,
    connection: PgConnection,
    actor: Actor,
    /// Those named by `--collection`.
    collections: Vec<String>,
}

impl Session {
    /// The one collection named by `--collection`.
    fn collection(&self) -> Result<String, Failure> {
        self.collection_if_named()?.ok_or_else(|| {
            Failure::usage("which collection is meant? Name it with --collection NAME")
        })
    }

    /// The collection named by `--collection`, if one is.
    fn collection_if_named(&self) -> Result<Option<String>, Failure> {
        match self.collections.as_slice() {
            [] => Ok(None),
            [one] => Ok(Some(one.clone())),
            _ => Err(Failure::usage(format_args!(
                "one collection at a time, please: {} are named",
                self.collections.join(", ")
            ))),
        }
    }
}

/// A name that packages, groups and collections can have, as in spec/web.md.
fn checked_name(text: &str) -> Result<&str, Failure> {
    let is_name =
        !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || ".+_-".contains(c));
    if is_name {
        Ok(text)
    } else {
        Err(Failure::usage(format_args!(
            "{text:?} cannot be a name: letters, digits and . + _ - are allowed"
        )))
    }
}

/// What must not be empty: what people are shown, and what Koji calls its things.
fn not_empty(text: &str) -> Result<String, String> {
    match text.trim() {
        "" => Err("it must not be empty".to_owned()),
        text => Ok(text.to_owned()),
    }
}

/// A number of things, in words: `1 package`, `20 packages`.
fn counted(count: impl TryInto<u64>, what: &str) -> String {
    match count.try_into().unwrap_or(u64::MAX) {
        1 => format!("1 {what}"),
        count => format!("{count} {what}s"),
    }
}

/// Runs a command.
pub(crate) fn run(admin: Admin) -> Result<ExitCode, Failure> {
    logging::start_for_a_person(&LogOptions { debug: admin.debug, debug_sql: admin.debug_sql });
    let command = match admin.command {
        // What is wrong with a configuration must not keep anybody from looking at it.
        Command::Config(command) => return configuration::run(command),
        Command::Selfcheck => return selfcheck::run(),
        command => command,
    };
    let configuration = crate::configuration::read(Reader::Admin)?;
    let config = &configuration.loaded.config;
    let command = match command {
        Command::Psql(command) => return command.run(config),
        Command::Cache(cache::Cache::List) => {
            println!("{}", cache::list(config)?);
            return Ok(ExitCode::SUCCESS);
        }
        command => command,
    };
    // config check says these, and services do when they start; here they would stand before every answer.
    for warning in &configuration.loaded.warnings {
        tracing::debug!("{warning}");
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(format_args!("cannot start: {error}")))?;
    runtime.block_on(async {
        let address = crate::database::configured(config, "koschei-admin");
        let connection = koschei_db::connect_one(&address).await.map_err(Failure::new)?;
        let mut session = Session {
            config: config.clone(),
            connection,
            actor: Actor::administrator(operator()),
            collections: admin.collections,
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
        Command::EditCollection(command) => command.run(session).await,
        Command::DeleteCollection(command) => command.run(session).await,
        Command::BranchCollection(command) => command.run(session).await,
        Command::ForkCollection(command) => command.run(session).await,
        Command::CreateCollectionGroup(command) => command.run(session).await,
        Command::EditCollectionGroup(command) => command.run(session).await,
        Command::DeleteCollectionGroup(command) => command.run(session).await,
        Command::AddPkg(command) => command.run(session).await,
        Command::TrackGroup(command) => command.run(session).await,
        Command::SetPriority(command) => command.run(session).await,
        Command::SetArchOverride(command) => command.run(session).await,
        Command::SubmitBuild(command) => command.run(session).await,
        Command::Suspend(command) => command.run(session).await,
        Command::Resume => suspending::resume(session).await,
        Command::Hold(command) => command.run(session).await,
        Command::Release(command) => command.run(session).await,
        Command::Cleanup(command) => command.run(session).await,
        Command::AddGroup(command) => command.run(session).await,
        Command::CreateGroup(command) => command.run(session).await,
        Command::EditGroup(command) => command.run(session).await,
        Command::DeleteGroup(command) => command.run(session).await,
        Command::RefreshGroup(command) => command.run(session).await,
        Command::RefreshUserGroup(command) => command.run(session).await,
        Command::RefreshDistgitGroup(command) => command.run(session).await,
        Command::SetAdmin(command) => command.run(true, session).await,
        Command::UnsetAdmin(command) => command.run(false, session).await,
        Command::ListAdmins => people::list(session).await,
        Command::Cache(cache::Cache::Clear { addresses }) => cache::clear(addresses, session).await,
        Command::CreateDb
        | Command::Alembic(_)
        | Command::Db(_)
        | Command::Psql(_)
        | Command::Cache(cache::Cache::List)
        | Command::Selfcheck
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
