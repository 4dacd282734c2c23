//! The services of Koschei.
//!
//! Each is a reconciler: [`polling`], [`repo_resolver`], [`build_resolver`] and [`scheduler`] have a function `step`
//! that looks at Koji and at the database, does what is due, and may be repeated at any time, by any number of
//! processes, with no harm. The [`driver`] repeats it: at intervals, when somebody wakes the service, and after trouble
//! with growing pauses. What the steps need is in the [`Context`].
//!
//! Between them:
//!
//! * [`adoption`] finds builds of ours that Koji has and the database lost;
//! * [`finishing`] brings the end of a scratch build into the database, [`real_builds`] builds made by packagers;
//! * [`watcher`] hears of all that on the message bus and looks at once, [`publisher`] tells others of changed states;
//! * [`monitoring`] answers whoever asks how the service is;
//! * [`choice`] says for which architectures a package is built, [`submission`] sends one build to Koji;
//! * [`repositories`] fetches repos and keeps them, [`resolving`] makes install sets from them.

pub mod adoption;
pub mod build_resolver;
pub mod choice;
mod context;
pub mod driver;
mod error;
pub mod finishing;
mod hub;
mod mirroring;
pub mod monitoring;
pub mod polling;
mod progress;
pub mod publisher;
pub mod real_builds;
pub mod repo_resolver;
pub mod repositories;
pub mod resolving;
pub mod scheduler;
mod stop;
pub mod submission;
mod vitals;
pub mod watcher;

pub use context::Context;
pub use driver::{Outcome, Service};
pub use error::{Error, Result};
pub use stop::{Stop, Stopper};
pub use vitals::{Received, Signs, Vitals};
