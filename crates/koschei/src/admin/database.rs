//! `create-db`, `alembic upgrade head`, `db upgrade`, `db status`, `psql`.

use std::{
    ffi::OsString,
    io::{IsTerminal, stdin},
    os::unix::process::CommandExt,
    process::{Command, ExitCode},
};

use clap::{Args, Subcommand};
use koschei_core::config::{Config, Secret};
use koschei_db::schema::{self, Status};

use super::Session;
use crate::failure::Failure;

/// `alembic upgrade head`: the name is that of the tool which did this in the original.
#[derive(Debug, Subcommand)]
pub(super) enum Alembic {
    /// Bring the schema up to date
    Upgrade {
        /// The newest revision is the only one that can be asked for
        #[arg(value_parser = ["head"])]
        revision: String,
        #[command(flatten)]
        options: TakeOver,
    },
}

impl Alembic {
    pub(super) async fn run(self, session: &mut Session) -> Result<String, Failure> {
        let Self::Upgrade { revision: _, options } = self;
        upgrade(session, options).await
    }
}

/// What has to be known when a database of the original software is taken over.
#[derive(Debug, Args)]
pub(super) struct TakeOver {
    /// Time zone of the hosts of the original software, which wrote their local times [default: UTC]
    #[arg(long, value_name = "ZONE")]
    time_zone: Option<String>,
}

/// `db upgrade`, `db status`
#[derive(Debug, Subcommand)]
pub(super) enum Schema {
    /// Bring the schema up to date
    Upgrade(TakeOver),
    /// Say whether the schema is up to date
    Status,
}

impl Schema {
    pub(super) async fn run(self, session: &mut Session) -> Result<String, Failure> {
        match self {
            Self::Upgrade(options) => upgrade(session, options).await,
            Self::Status => {
                let status = schema::status(&mut session.connection).await.map_err(Failure::new)?;
                if status == Status::Current {
                    return Ok("The schema is up to date".to_owned());
                }
                // The sentence about what to do is the one that services would give.
                match schema::check_current(&mut session.connection).await {
                    Ok(()) => Ok("The schema is up to date".to_owned()),
                    Err(error) => Err(Failure::new(error)),
                }
            }
        }
    }
}

/// `create-db`
pub(super) async fn create(session: &mut Session) -> Result<String, Failure> {
    let role = session.config.unpriv_db_username.as_deref();
    let connection = &mut session.connection;
    let before = schema::status(connection).await.map_err(Failure::new)?;
    if before == Status::Current {
        return Ok("The schema is there already and up to date".to_owned());
    }
    schema::create(connection, role).await.map_err(Failure::new)?;
    Ok("The schema was created".to_owned())
}

async fn upgrade(session: &mut Session, options: TakeOver) -> Result<String, Failure> {
    let role = session.config.unpriv_db_username.as_deref();
    let connection = &mut session.connection;
    let before = schema::status(connection).await.map_err(Failure::new)?;
    let is_taken_over = matches!(before, Status::Behind { applied: 0, .. });
    let mut zone = options.time_zone;
    if zone.is_none() && is_taken_over && stdin().is_terminal() {
        zone = ask_for_zone()?;
    }
    let done =
        schema::upgrade_from_zone(connection, role, zone.as_deref()).await.map_err(Failure::new)?;
    if done.is_empty() {
        return Ok("Nothing to do: the schema is up to date".to_owned());
    }
    let steps: Vec<String> =
        done.iter().map(|step| format!("{}. {}", step.number, step.name)).collect();
    let mut said = format!("The schema is up to date now. Done: {}", steps.join("; "));
    if is_taken_over {
        let zone = zone.as_deref().unwrap_or("UTC");
        said.push_str(&format!(
            "\nThe database of the original software was taken over; its times were {zone}"
        ));
        let tags = schema::tags_in_notice(connection).await.map_err(Failure::new)?;
        if !tags.is_empty() {
            said.push_str(&format!(
                "\nThe notice holds HTML, which is shown as it is from now on: {}. Set it anew with koschei-admin set-notice",
                tags.join(" ")
            ));
        }
    }
    Ok(said)
}

/// Asks the person at the terminal where the original software ran; nothing when they just press return.
fn ask_for_zone() -> Result<Option<String>, Failure> {
    eprint!("In which time zone were the hosts of the original software? [UTC] ");
    let mut answer = String::new();
    stdin()
        .read_line(&mut answer)
        .map_err(|error| Failure::new(format_args!("the answer cannot be read: {error}")))?;
    Ok(Some(answer.trim().to_owned()).filter(|zone| !zone.is_empty()))
}

/// `psql [ARGS]`
#[derive(Debug, Args)]
pub(super) struct Psql {
    /// Arguments for psql
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGS")]
    arguments: Vec<OsString>,
}

impl Psql {
    /// Becomes psql. The password travels in the environment, where other users cannot see it.
    pub(super) fn run(self, config: &Config) -> Result<ExitCode, Failure> {
        let mut psql = Command::new("psql");
        match config.database_url() {
            // libpq knows nothing of drivers, and takes the whole address as the name of a database.
            Some(url) => {
                let plain = url
                    .split_once("://")
                    .map_or_else(|| url.to_owned(), |(_, rest)| format!("postgresql://{rest}"));
                let (address, password) = without_password(&plain);
                psql.env("PGDATABASE", "").arg(format!("--dbname={address}"));
                if let Some(password) = password {
                    psql.env("PGPASSWORD", password);
                }
            }
            None => {
                let parts = &config.database_config;
                psql.env("PGHOST", &parts.host)
                    .env("PGPORT", parts.port.to_string())
                    .env("PGDATABASE", &parts.database);
                if let Some(username) = &parts.username {
                    psql.env("PGUSER", username);
                }
                if let Some(password) = &parts.password {
                    psql.env("PGPASSWORD", Secret::reveal(password));
                }
            }
        }
        let error = psql.args(&self.arguments).exec();
        Err(Failure::new(format_args!(
            "psql cannot be started ({error}): install PostgreSQL's client programs"
        )))
    }
}

/// The address without its password, and the password as it was meant.
fn without_password(url: &str) -> (String, Option<String>) {
    let Some((scheme, rest)) = url.split_once("://") else { return (url.to_owned(), None) };
    let authority = rest.split(['/', '?']).next().unwrap_or(rest);
    let Some((login, host)) = authority.rsplit_once('@') else { return (url.to_owned(), None) };
    let Some((user, password)) = login.split_once(':') else { return (url.to_owned(), None) };
    let after = rest.get(authority.len()..).unwrap_or_default();
    (format!("{scheme}://{user}@{host}{after}"), Some(percent_decoded(password)))
}

fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let code = match rest {
            [b'%', high, low, ..] => std::str::from_utf8(&[*high, *low])
                .ok()
                .and_then(|digits| u8::from_str_radix(digits, 16).ok()),
            _ => None,
        };
        match code {
            Some(byte) => {
                bytes.push(byte);
                rest = rest.get(3..).unwrap_or_default();
            }
            None => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_password_leaves_the_address() {
        assert_eq!(
            without_password("postgresql://k:p%40ss@db:5433/koschei?sslmode=require"),
            ("postgresql://k@db:5433/koschei?sslmode=require".to_owned(), Some("p@ss".to_owned()))
        );
        assert_eq!(
            without_password("postgresql://db/koschei"),
            ("postgresql://db/koschei".to_owned(), None)
        );
        assert_eq!(percent_decoded("100%"), "100%");
    }
}
