//! The log: one line an event on standard error, with named values, where systemd's journal takes it up.

use std::io::{IsTerminal, stderr};

use tracing_subscriber::EnvFilter;

use crate::command_line::LogOptions;

/// Directives in the form of `tracing_subscriber`, instead of what the options say.
const FILTER_VARIABLE: &str = "KOSCHEI_LOG";

/// Starts the log. Only the first call in a process does anything.
pub(crate) fn start(options: &LogOptions) {
    // sqlx tells every statement at level debug, and slow ones as warnings.
    start_with(options, "info", "warn");
}

/// Starts the log of a command that a person has typed and that says itself what it did: that a statement was slow is no
/// news to whoever waited for it.
pub(crate) fn start_for_a_person(options: &LogOptions) {
    start_with(options, "warn", "error");
}

fn start_with(options: &LogOptions, usual: &str, statements: &str) {
    let level = if options.debug { "debug" } else { usual };
    let statements = if options.debug_sql { "debug" } else { statements };
    // hyper and others tell far more than anybody wants.
    let usual = format!("{level},sqlx={statements},hyper=info,h2=info");
    let filter = std::env::var(FILTER_VARIABLE)
        .ok()
        .and_then(|directives| EnvFilter::try_new(directives).ok())
        .unwrap_or_else(|| EnvFilter::new(usual));
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(stderr)
        .with_ansi(stderr().is_terminal());
    // The journal has its own time; elsewhere each line needs one.
    let _ = if std::env::var_os("JOURNAL_STREAM").is_some() {
        log.without_time().try_init()
    } else {
        log.try_init()
    };
}

/// For a process that speaks in sentences: only what the filter variable asks for, or nothing but errors.
pub(crate) fn quietly() {
    let filter = EnvFilter::try_from_env(FILTER_VARIABLE).unwrap_or_else(|_| EnvFilter::new("off"));
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_writer(stderr).try_init();
}
