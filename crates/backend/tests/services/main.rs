//! The services against a running hub (kojisim) and a real PostgreSQL: given a world, when a step runs, then what is in
//! the database and in Koji.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests say what they expect"
)]

mod bad_days;
mod build_resolver;
mod bus;
mod chaos;
mod dice;
mod full_disk;
mod gate;
mod messages;
mod monitoring;
mod polling;
mod processes;
mod repo_resolver;
mod running;
mod scheduler;
mod secondary;
mod silence;
mod together;
mod world;
