//! What the statements of the services do to a real PostgreSQL.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests say what they expect"
)]

mod builds;
mod clocks;
mod locks;
mod one_by_one;
mod packages;
mod persisting;
mod resolution;
mod scheduling;
mod statistics;
mod wake;
mod world;
