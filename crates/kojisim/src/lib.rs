//! A Koji hub and builders in miniature, for demonstrations and tests.
