//! Repositories of RPM packages: fetched over HTTP, verified, and kept on disk.
//!
//! [`Downloader`] brings the metadata of a repository as it was at one moment into a directory. [`Cache`] keeps
//! repositories, and the universes made of them, for all processes of a machine. Nothing here knows Koschei or its
//! configuration; everything blocks.

mod cache;
mod entry;
mod error;
mod snapshot;
mod transfer;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

pub use cache::{Cache, Cleared, Loaded};
pub use entry::Found;
pub use error::Error;
pub use snapshot::{Downloader, Kind, Snapshot, listed};

/// How often one who waits looks whether he is still wanted.
const GLANCE: Duration = Duration::from_millis(50);

/// How patiently files are fetched.
#[derive(Debug, Clone)]
pub struct Options {
    /// Authorities that vouch for servers besides those that the system knows: PEM files.
    pub authorities: Vec<PathBuf>,
    /// How often a file is tried to be fetched before it is given up; attempts that bring a good part of it are not
    /// counted.
    pub attempts: usize,
    /// The pause after the first attempt that failed; it doubles with each further one, up to a minute.
    pub pause: Duration,
    /// How long making a connection may take.
    pub connect_timeout: Duration,
    /// Bytes a second. A transfer that is slower over the time of `patience` has failed.
    pub slowest: u32,
    /// See `slowest`.
    pub patience: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            authorities: Vec::new(),
            attempts: 4,
            pause: Duration::from_secs(1),
            connect_timeout: Duration::from_secs(30),
            slowest: 1000,
            patience: Duration::from_secs(60),
        }
    }
}

/// Calls off what a thread is doing, from another one. Clones belong together.
#[derive(Debug, Clone, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl From<Arc<AtomicBool>> for Cancel {
    fn from(canceled: Arc<AtomicBool>) -> Self {
        Self(canceled)
    }
}

impl Cancel {
    /// Nobody waits for it any more. Whatever is under way ends within a second with [`Error::Canceled`].
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether it was called off.
    pub fn is_canceled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
