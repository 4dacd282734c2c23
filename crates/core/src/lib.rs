//! The rules of Koschei: states, priorities, architectures, configuration.
