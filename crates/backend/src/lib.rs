//! The services of Koschei.
