//! What the system tests share: running the real executable.
#![allow(dead_code, reason = "each test binary uses a part of it")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests say what they expect"
)]

pub(crate) mod accounts;
pub(crate) mod browser;
pub(crate) mod demo;
pub(crate) mod installation;

use std::{
    path::Path,
    process::{Command, Output, Stdio},
};

use koschei_db::{Address, DatabaseConfig};

/// The real executable, untouched by the configuration of the machine and of whoever runs the tests.
pub(crate) fn koschei(configuration: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_koschei"));
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with("KOSCHEI_")) {
            command.env_remove(name);
        }
    }
    command.env("KOSCHEI_CONFIG", configuration).stdin(Stdio::null());
    command
}

/// The section of a configuration file that names a test database.
pub(crate) fn database_section(database: &DatabaseConfig) -> String {
    let Address::Parts { host, port, database, username, .. } = &database.address else {
        panic!("test databases are on a socket")
    };
    format!(
        "[database_config]\nhost = {host:?}\nport = {port}\ndatabase = {database:?}\nusername = {:?}\n",
        username.as_deref().unwrap_or_default()
    )
}

/// What a command wrote to standard output, without the last newline.
pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
}

/// What a command wrote to standard error, without the last newline.
pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).trim_end().to_owned()
}
