//! Koschei's PostgreSQL database.
