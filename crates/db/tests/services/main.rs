//! What the statements of the services do to a real PostgreSQL.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests say what they expect"
)]

mod builds;
mod locks;
mod packages;
mod resolution;
mod scheduling;
mod statistics;
mod wake;
mod world;
