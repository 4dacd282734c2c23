//! The rules of Koschei: states, priorities, architectures, configuration.
//!
//! Everything here is a pure function of what it is given: no clock, no network, no database. Services ask Koji and the
//! database, then ask these rules; pages and tests ask the same ones.
//!
//! * [`states`]: the words for packages, collections and builds.
//! * [`priorities`] and [`scheduling`]: what is built next, and why something is not.
//! * [`architectures`], [`requirements`], [`sources`], [`tasks`]: Koji's answers, and what they mean.
//! * [`versions`], [`changes`]: comparing builds and install sets.
//! * [`freshness`]: why what is known of a collection may be stale.
//! * [`config`]: what an operator may set.

pub mod architectures;
pub mod changes;
pub mod config;
pub mod freshness;
pub mod priorities;
pub mod requirements;
pub mod scheduling;
pub mod sources;
pub mod states;
pub mod tasks;
pub mod versions;
