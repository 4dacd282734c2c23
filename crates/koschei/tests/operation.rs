//! What an operator does before anything runs, by the real executable: configure, install, put httpd in front, and follow
//! the handbook.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests say what they expect"
)]

#[path = "operation/configuration.rs"]
mod configuration;
mod support;
