//! The services of Koschei.
//!
//! Each is a reconciler: [`polling`], [`repo_resolver`], [`build_resolver`] and [`scheduler`] have a function `step`
//! that looks at Koji and at the database, does what is due, and may be repeated at any time, by any number of
//! processes, with no harm. The [`driver`] repeats it: at intervals, when somebody wakes the service, and after trouble
//! with growing pauses. What the steps need is in the [`Context`].
//!
//!

pub mod build_resolver;
mod context;
pub mod driver;
mod error;
pub mod polling;
pub mod repo_resolver;
pub mod repositories;
pub mod scheduler;
mod stop;

pub use context::{Context, koji_client_config};
pub use driver::{Outcome, Service};
pub use error::{Error, Result};
pub use stop::{Stop, Stopper};
