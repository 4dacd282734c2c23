//! The command line: what may be said, in the words that `--help` shows.

use std::{ffi::OsString, net::SocketAddr, path::PathBuf};

use clap::{Args, Parser, Subcommand, error::ErrorKind};

use crate::{admin, depcheck};

/// What error messages begin with.
pub(crate) const PROGRAM: &str = "koschei";

/// Commands that are also names of their own: `koschei-polling` is `koschei polling`.
const NAMES: &[&str] = &[
    "admin",
    "polling",
    "repo-resolver",
    "build-resolver",
    "scheduler",
    "watcher",
    "web",
    "depcheck",
    "demo",
    "kojisim",
];

/// Commands of the administrator that are also names of their own: `koschei-track-group` is `koschei admin track-group`.
pub(crate) const ADMIN_NAMES: &[&str] =
    &["track-group", "refresh-group", "refresh-user-group", "refresh-distgit-group", "selfcheck"];

/// Continuous integration for a whole RPM distribution.
#[derive(Debug, Parser)]
#[command(name = PROGRAM, bin_name = PROGRAM, version, disable_help_subcommand = true)]
pub(crate) struct Arguments {
    /// End at once when the process with this id, the one that started us, is gone.
    #[arg(long, hide = true, value_name = "PID")]
    pub(crate) die_with: Option<i32>,

    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Find in Koji whatever changed: builds, packages, tags
    Polling(ServiceOptions),
    /// Resolve all packages in the newest repo of each collection
    RepoResolver(ServiceOptions),
    /// Resolve finished builds in the repo they were made in
    BuildResolver(ServiceOptions),
    /// Submit scratch builds of the packages with the highest priority
    Scheduler(ServiceOptions),
    /// Listen to Koji's messages
    Watcher(ServiceOptions),
    /// Serve the web interface
    Web(ServiceOptions),
    /// Administer: database, collections, packages, groups, priorities, notices, configuration
    Admin(admin::Admin),
    Depcheck(depcheck::DepcheckOptions),
    /// Show everything at work on a small simulated distribution
    Demo(DemoOptions),
    /// Run the simulated Koji alone
    Kojisim(KojisimOptions),
    /// Write manual pages and completion for shells, each where it belongs, below a directory: for make install
    #[command(hide = true)]
    InstallManual {
        /// The directory that stands for /
        directory: PathBuf,
    },
}

/// How much the log says.
#[derive(Debug, Default, Clone, Args)]
pub(crate) struct LogOptions {
    /// Say more in the log
    #[arg(short, long)]
    pub(crate) debug: bool,
    /// Say every SQL statement in the log
    #[arg(short = 's', long)]
    pub(crate) debug_sql: bool,
}

/// Options of a service.
#[derive(Debug, Args)]
pub(crate) struct ServiceOptions {
    #[command(flatten)]
    pub(crate) log: LogOptions,
    /// Do one step and end
    #[arg(long)]
    pub(crate) once: bool,
}

/// Options of the demo.
#[derive(Debug, Args)]
pub(crate) struct DemoOptions {
    /// Where the demo keeps its data [default: koschei-demo in your data directory; for root in /var/lib]
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
    /// Port of the web interface
    #[arg(long, value_name = "PORT", default_value_t = 8080)]
    pub(crate) port: u16,
    /// Start over: throw away what an earlier demo left in the directory
    #[arg(long)]
    pub(crate) fresh: bool,
    /// How fast the simulated distribution lives
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0, value_parser = speed)]
    pub(crate) speed: f64,
    /// What its chances are drawn from
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    pub(crate) seed: u64,
}

/// Options of the simulated Koji.
#[derive(Debug, Args)]
pub(crate) struct KojisimOptions {
    #[command(flatten)]
    pub(crate) log: LogOptions,
    /// Where it keeps its state and its files
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: PathBuf,
    /// Address and port to listen on
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8081")]
    pub(crate) listen: SocketAddr,
    /// The distribution, as a file, or a directory of rpm-md with binary/, source/ and build-group.txt [default: the one built in]
    #[arg(long, value_name = "PATH")]
    pub(crate) world: Option<PathBuf>,
    /// What its packagers do, as a file [default: the story built in]
    #[arg(long, value_name = "FILE")]
    pub(crate) script: Option<PathBuf>,
    /// How fast it lives
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0, value_parser = speed)]
    pub(crate) speed: f64,
    /// What its chances are drawn from
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    pub(crate) seed: u64,
}

fn speed(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(factor) if (0.01..=1000.0).contains(&factor) => Ok(factor),
        _ => Err("a factor between 0.01 and 1000 is needed".to_owned()),
    }
}

/// Whether somebody made a mistake, and did not just ask what may be said.
pub(crate) fn is_mistake(error: &clap::Error) -> bool {
    !matches!(
        error.kind(),
        ErrorKind::DisplayHelp
            | ErrorKind::DisplayVersion
            | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
    )
}

/// What clap explains in several paragraphs, in one line: what is wrong, what may have been meant, and where to read more.
pub(crate) fn one_line(explanation: &str) -> String {
    let mut paragraphs = explanation.split("\n\n");
    let joined = |paragraph: &str| {
        paragraph
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty())
            .collect::<Vec<_>>()
            .join(" ")
    };
    let mut line = joined(paragraphs.next().unwrap_or_default());
    if let Some(rest) = line.strip_prefix("error: ") {
        line = rest.to_owned();
    }
    let mut command = PROGRAM.to_owned();
    for paragraph in paragraphs {
        let text = joined(paragraph);
        if let Some(tip) = text.strip_prefix("tip: ") {
            line.push_str(&format!("; {tip}"));
        } else if let Some(usage) = text.strip_prefix("Usage: ") {
            let words = usage.split(' ').take_while(|word| !word.starts_with(['[', '<', '-']));
            command = words.collect::<Vec<_>>().join(" ");
        }
    }
    format!("{line}; see {command} --help")
}

/// Lets the name the program was started by stand for its first argument.
pub(crate) fn with_name_as_command(arguments: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut arguments = arguments.into_iter();
    let started_as = arguments.next().unwrap_or_default();
    let mut all = vec![OsString::from(PROGRAM)];
    let name = PathBuf::from(started_as);
    let command = name
        .file_name()
        .and_then(|name| name.to_str())
        .and_then(|name| name.strip_prefix("koschei-"))
        .filter(|command| NAMES.contains(command) || ADMIN_NAMES.contains(command));
    if command.is_some_and(|command| ADMIN_NAMES.contains(&command)) {
        all.push(OsString::from("admin"));
    }
    all.extend(command.map(OsString::from));
    all.extend(arguments);
    let starts = all.get(1).is_some_and(|first| first == "admin");
    if starts { admin::words::in_order(all) } else { all }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn parse(line: &str) -> Result<Arguments, clap::Error> {
        let words = line.split(' ').map(OsString::from);
        Arguments::try_parse_from(with_name_as_command(words))
    }

    #[test]
    fn the_definition_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn the_name_stands_for_the_command() {
        let by_name = parse("/usr/bin/koschei-repo-resolver -d --once").unwrap();
        let Command::RepoResolver(options) = by_name.command else { panic!("{by_name:?}") };
        assert!(options.log.debug && options.once && !options.log.debug_sql);
        assert!(matches!(parse("koschei polling -s").unwrap().command, Command::Polling(_)));
        assert!(parse("koschei-nonsense").is_err());
    }

    #[test]
    fn every_name_is_a_command() {
        for name in NAMES {
            let known = Arguments::command().find_subcommand(name).is_some();
            assert!(known, "{name}");
        }
        let mut all = Arguments::command();
        let admin = all.find_subcommand_mut("admin").unwrap();
        for name in ADMIN_NAMES {
            assert!(admin.find_subcommand(name).is_some(), "{name}");
        }
        let by_name = parse("/usr/bin/koschei-track-group java").unwrap();
        assert!(matches!(by_name.command, Command::Admin(_)), "{by_name:?}");
    }

    #[test]
    fn a_mistake_is_one_line_that_says_where_to_read_more() {
        let said = |line: &str| {
            let error = parse(line).unwrap_err();
            assert!(is_mistake(&error), "{line}");
            one_line(&error.to_string())
        };
        assert_eq!(
            said("koschei-admin create-collection f27"),
            "the following required arguments were not provided: --display-name <NAME> --target <TARGET>; \
             see koschei admin create-collection --help"
        );
        assert_eq!(
            said("koschei-admin clear-cache"),
            "unrecognized subcommand 'clear-cache'; a similar subcommand exists: 'clear-notice'; see koschei admin --help"
        );
        assert_eq!(
            said("koschei-admin set-priority --statc foo 5"),
            "unexpected argument '--statc' found; a similar argument exists: '--static'; see koschei admin set-priority --help"
        );
        assert_eq!(
            said("koschei-admin alembic upgrade 1234"),
            "invalid value '1234' for '<REVISION>' [possible values: head]; see koschei --help"
        );
        assert!(said("koschei polling x").starts_with("unexpected argument 'x' found"));
        for answer in ["koschei --help", "koschei --version", "koschei-admin"] {
            assert!(!is_mistake(&parse(answer).unwrap_err()), "{answer}");
        }
    }

    #[test]
    fn a_speed_of_nothing_is_refused() {
        assert!(parse("koschei demo --speed 0").is_err());
        assert!(parse("koschei demo --speed nan").is_err());
        assert!(parse("koschei demo --speed 4").is_ok());
    }
}
