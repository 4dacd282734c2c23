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
            let configuration = configuration::load(Reader::Admin)?;
            warn(&configuration.loaded.warnings);
            print!("{}", configuration.loaded.show());
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

/// What a configuration is called, after "The configuration".
pub(super) const READERS: [(&str, Reader); 3] = [
    (" of the services", Reader::Backend),
    (" of the web interface", Reader::Frontend),
    (" of koschei-admin", Reader::Admin),
];

/// The configurations of all who read one, each that is made of other files than those before; or everything that any of
/// them would refuse, each thing once.
pub(super) fn check_all() -> Result<Vec<(&'static str, Configuration)>, Vec<String>> {
    let mut checked: Vec<(&str, Configuration)> = Vec::new();
    let mut mistakes: Vec<String> = Vec::new();
    for (whose, reader) in READERS {
        match configuration::check(reader) {
            Ok(configuration)
                if checked.iter().all(|(_, other)| other.files != configuration.files) =>
            {
                checked.push((whose, configuration));
            }
            Ok(_) => {}
            Err(found) => {
                mistakes.extend(
                    found.into_iter().filter(|one| !mistakes.contains(one)).collect::<Vec<_>>(),
                );
            }
        }
    }
    if mistakes.is_empty() { Ok(checked) } else { Err(mistakes) }
}

/// Says everything that is wrong, a line each.
fn check() -> Result<(), Failure> {
    let checked = check_all().map_err(|mistakes| {
        let (last, others) =
            mistakes.split_last().map_or(("", &[][..]), |(last, others)| (last.as_str(), others));
        for mistake in others {
            eprintln!("{PROGRAM}: {mistake}");
        }
        Failure::usage(last)
    })?;
    let mut warnings: Vec<String> = checked
        .iter()
        .flat_map(|(_, configuration)| configuration.loaded.warnings.clone())
        .collect();
    warnings.sort();
    warnings.dedup();
    warn(&warnings);
    let several = checked.len() > 1;
    for (whose, configuration) in &checked {
        let whose = if several { whose } else { "" };
        println!("The configuration{whose} is valid: {}", files(configuration));
    }
    Ok(())
}

/// The files of a configuration.
pub(super) fn files(configuration: &Configuration) -> String {
    let files: Vec<String> =
        configuration.files.iter().map(|file| file.display().to_string()).collect();
    if files.is_empty() { "no file, the defaults hold".to_owned() } else { files.join(", ") }
}

fn warn(warnings: &[String]) {
    for warning in warnings {
        eprintln!("{PROGRAM}: {warning}");
    }
}
