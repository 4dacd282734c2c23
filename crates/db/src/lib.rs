//! Koschei's PostgreSQL database: everything that Koschei concluded, and every line of SQL.
//!
//! The schema starts from that of the original implementation (`schema/baseline.sql`), so that an existing installation
//! can be taken over in place; our own migrations come on top ([`schema`]). Everything above this crate calls
//! functions and gets structs; no SQL stands anywhere else.
//!
//! Where to look:
//!
//! * [`connect`] opens a pool; every connection works in UTC and carries the name of its service.
//! * [`schema`] creates, upgrades and checks the schema.
//! * [`entities`] has a struct per table and plain look-ups; the other modules each hold the statements of one concern.
//! * [`locks`] has the advisory locks as guards; [`dependency_keys`] the packed install sets of builds.
//! * [`cluster`] runs a private PostgreSQL for the demo and the tests, [`testing`] hands out fresh databases in it.
//!
//! Times are naive UTC timestamps in the tables and [`chrono::DateTime`]`<Utc>` here: select them with
//! `AT TIME ZONE 'UTC'`; binding needs nothing, because the sessions' time zone is UTC.

mod connection;
mod error;
mod references;

pub mod administration;
pub mod builds;
pub mod clocks;
pub mod cluster;
pub mod dependency_keys;
pub mod entities;
pub mod figures;
pub mod forms;
pub mod freshness;
pub mod locks;
pub mod news;
pub mod outbox;
pub mod packages;
pub mod pages;
pub mod repo_mapping;
pub mod resolution;
pub mod scheduling;
pub mod schema;
pub mod statistics;
pub mod submissions;
pub mod suspensions;
pub mod testing;
pub mod wake;

pub use connection::{
    Address, DatabaseConfig, Pool, begin, connect, connect_lazy, connect_one, server,
};
pub use error::{Error, Result};
pub use sqlx::postgres::{PgConnection, PgExecutor};
