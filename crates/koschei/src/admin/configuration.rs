//! `config check`, `config show`.

use std::process::ExitCode;

use clap::Subcommand;

use crate::{configuration::Configuration, failure::Failure};

/// `config ...`
#[derive(Debug, Subcommand)]
pub(super) enum Config {
    /// Say whether the configuration is valid
    Check,
    /// Print the merged configuration, with asterisks for secrets
    Show,
}

/// Everything that can be wrong was found when it was read.
pub(super) fn run(command: &Config, configuration: &Configuration) -> Result<ExitCode, Failure> {
    for warning in &configuration.warnings {
        eprintln!("{}: {warning}", crate::command_line::PROGRAM);
    }
    match command {
        Config::Check => {
            let files: Vec<String> =
                configuration.files.iter().map(|file| file.display().to_string()).collect();
            if files.is_empty() {
                println!("The configuration is valid: no file, the defaults hold");
            } else {
                println!("The configuration is valid: {}", files.join(", "));
            }
        }
        Config::Show => {
            let text = toml::to_string(&configuration.config).map_err(|error| {
                Failure::new(format_args!("the configuration cannot be printed: {error}"))
            })?;
            print!("{text}");
        }
    }
    Ok(ExitCode::SUCCESS)
}
