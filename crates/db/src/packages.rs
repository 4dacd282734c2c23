//! Statements of the services about packages: registering, tracking, blocking, priorities.
