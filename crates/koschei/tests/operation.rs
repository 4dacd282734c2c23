//! What an operator does before anything runs, by the real executable: configure, install, put httpd in front, let systemd
//! watch, and follow the handbook.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests say what they expect"
)]

#[path = "operation/configuration.rs"]
mod configuration;
#[path = "operation/handbook.rs"]
mod handbook;
#[path = "operation/httpd.rs"]
mod httpd;
#[path = "operation/install.rs"]
mod install;
#[path = "operation/supervision.rs"]
mod supervision;
mod support;
