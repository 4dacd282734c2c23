//! Directories for what is being fetched. They are gone when the program is, also when it is interrupted.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use nix::sys::signal::{SigSet, Signal, raise};
use tempfile::TempDir;

use crate::failure::Failure;

/// Those that are there.
static THERE: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

fn there() -> MutexGuard<'static, Vec<PathBuf>> {
    THERE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A directory of one's own, until it is dropped. Files in it that were opened can be read after that.
#[derive(Debug)]
pub(super) struct Temporary(Option<TempDir>);

impl Temporary {
    pub(super) fn new() -> Result<Self, Failure> {
        let parent = std::env::temp_dir();
        let mut there = there();
        let directory = tempfile::Builder::new()
            .prefix("koschei-depcheck-")
            .tempdir_in(&parent)
            .map_err(|source| unusable(&parent, &source))?;
        there.push(directory.path().to_owned());
        Ok(Self(Some(directory)))
    }

    pub(super) fn path(&self) -> &Path {
        self.0.as_ref().map_or(Path::new(""), TempDir::path)
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let mut there = there();
        there.retain(|path| path != self.path());
        drop(self.0.take());
    }
}

/// The sentence for a directory that nothing can be put into.
pub(super) fn unusable(path: &Path, error: &io::Error) -> Failure {
    Failure::usage(format_args!(
        "what is fetched cannot be kept at {}: {error}; make room, or name another directory with the variable TMPDIR",
        path.display()
    ))
}

/// Has the directories removed when the process is interrupted, asked to end, or has lost its terminal. To be called
/// before there is any other thread.
pub(super) fn remove_when_interrupted() {
    let mut signals = SigSet::empty();
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        signals.add(signal);
    }
    if signals.thread_block().is_err() {
        return;
    }
    std::thread::spawn(move || {
        let Ok(signal) = signals.wait() else { return };
        // Kept locked, so that no other directory appears.
        let there = there();
        for path in there.iter() {
            // Somebody may put a file into it at this moment.
            for _ in 0..10 {
                if fs::remove_dir_all(path).is_ok() {
                    break;
                }
            }
        }
        // The end that it would have been without all this.
        if signals.thread_unblock().and_then(|()| raise(signal)).is_err() {
            std::process::exit(128 + signal as i32);
        }
    });
}
