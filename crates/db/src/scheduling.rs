//! Statements of the scheduler: current priorities and what is next.
