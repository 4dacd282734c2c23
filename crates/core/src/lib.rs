//! The rules of Koschei: states, priorities, architectures, configuration.

pub mod config;
