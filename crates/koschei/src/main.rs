//! The one executable: every service, the web interface, the administrator's commands, the resolver by itself, the
//! demo, the simulated Koji.
//!
//! What it is asked to be stands in its first argument (`koschei polling`) or in the name it was started by
//! (`koschei-polling`). Everything below is a walk from the command line to the crate that does the work: read the
//! configuration, start the log, run, and turn whatever happened into one sentence and an exit status.

mod admin;
mod command_line;
mod configuration;
mod database;
mod demo;
mod depcheck;
mod failure;
mod logging;
mod manual;
mod service;

use std::process::ExitCode;

use clap::Parser;
use command_line::{Arguments, Command};
use failure::Failure;

fn main() -> ExitCode {
    let words = command_line::with_name_as_command(std::env::args_os());
    let outcome = match Arguments::try_parse_from(words) {
        Ok(arguments) => run(arguments),
        // Help that was asked for, or the version.
        Err(error) if !command_line::is_mistake(&error) => error.exit(),
        Err(error) => Err(Failure::usage(command_line::one_line(&error.to_string()))),
    };
    match outcome {
        Ok(status) => status,
        Err(failure) => {
            eprintln!("{}: {failure}", command_line::PROGRAM);
            ExitCode::from(failure.status())
        }
    }
}

fn run(arguments: Arguments) -> Result<ExitCode, Failure> {
    if let Some(parent) = arguments.die_with {
        service::die_with(parent)?;
    }
    match arguments.command {
        Command::Admin(command) => admin::run(command),
        Command::Demo(options) => demo::run(options),
        Command::Depcheck(options) => depcheck::run(&options),
        Command::Kojisim(options) => service::kojisim::run(options),
        Command::InstallManual { directory } => manual::install(&directory),
        Command::Polling(options) => service::run(service::Name::Polling, &options),
        Command::RepoResolver(options) => service::run(service::Name::RepoResolver, &options),
        Command::BuildResolver(options) => service::run(service::Name::BuildResolver, &options),
        Command::Scheduler(options) => service::run(service::Name::Scheduler, &options),
        Command::Watcher(options) => service::run(service::Name::Watcher, &options),
        Command::Web(options) => service::run(service::Name::Web, &options),
    }
}
