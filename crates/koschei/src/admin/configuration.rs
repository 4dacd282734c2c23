//! `config check`, `config show`, `config convert`.

use std::{path::PathBuf, process::ExitCode};

use clap::Subcommand;
use koschei_core::config::{self, Source};

use crate::{
    command_line::PROGRAM,
    configuration::{self, Configuration, Reader},
    failure::Failure,
};

/// `config ...`
#[derive(Debug, Subcommand)]
pub(super) enum Config {
    /// Say whether the configuration is valid: that of the services, of the web interface and of koschei-admin
    Check,
    /// Print the merged configuration, with asterisks for secrets
    Show,
    /// Print a file in the Python syntax of older versions as TOML
    Convert {
        /// The file, such as /etc/koschei/config-backend.cfg; it is not changed
        file: PathBuf,
    },
}

/// Runs a command.
pub(super) fn run(command: Config) -> Result<ExitCode, Failure> {
    match command {
        Config::Check => check()?,
        Config::Show => {
            let (loaded, _) = configuration::load(Reader::Admin)?;
            warn(&loaded.warnings);
            print!("{}", loaded.show());
        }
        Config::Convert { file } => {
            let text = configuration::read_file(&file).map_err(|error| {
                Failure::usage(format_args!("{} cannot be read: {error}", file.display()))
            })?;
            let source = Source { name: file.display().to_string(), text };
            let converted = config::convert(&source).map_err(Failure::usage)?;
            warn(&converted.warnings);
            print!("{}", converted.toml);
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Everything that can be wrong is found when it is read.
fn check() -> Result<(), Failure> {
    let mut checked: Vec<(&str, Configuration)> = Vec::new();
    for (whose, reader) in [
        (" of the services", Reader::Backend),
        (" of the web interface", Reader::Frontend),
        (" of koschei-admin", Reader::Admin),
    ] {
        let configuration = configuration::read(reader)?;
        if checked.iter().all(|(_, other)| other.files != configuration.files) {
            checked.push((whose, configuration));
        }
    }
    let mut warnings: Vec<String> =
        checked.iter().flat_map(|(_, configuration)| configuration.warnings.clone()).collect();
    warnings.sort();
    warnings.dedup();
    warn(&warnings);
    let several = checked.len() > 1;
    for (whose, configuration) in &checked {
        let files: Vec<String> =
            configuration.files.iter().map(|file| file.display().to_string()).collect();
        let files = if files.is_empty() {
            "no file, the defaults hold".to_owned()
        } else {
            files.join(", ")
        };
        println!("The configuration{} is valid: {files}", if several { whose } else { "" });
    }
    Ok(())
}

fn warn(warnings: &[String]) {
    for warning in warnings {
        eprintln!("{PROGRAM}: {warning}");
    }
}
