//! A struct for each table, and plain look-ups.
