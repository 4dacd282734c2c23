//! Why a repository cannot be had.

use std::path::PathBuf;

/// Why a repository cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It was deleted, or never was.
    #[error("the repository {url} is gone")]
    Gone {
        /// Its address.
        url: String,
    },
    /// It could not be reached, or only a part of it came.
    #[error("the repository file {url} cannot be fetched: {reason}")]
    Unreachable {
        /// The address of the file.
        url: String,
        /// What happened.
        reason: String,
    },
    /// What came is not what it should be.
    #[error("the repository file {url} is damaged: {reason}")]
    Damaged {
        /// The address of the file.
        url: String,
        /// What is wrong.
        reason: String,
    },
    /// Its index was another one every time that it was looked at.
    #[error("the repository {url} changes while it is being fetched; try again when that is over")]
    Changing {
        /// Its address.
        url: String,
    },
    /// It is what it should be, but no repository that can be worked with.
    #[error("the repository {url} cannot be used: {reason}")]
    Unusable {
        /// Its address.
        url: String,
        /// Why.
        reason: String,
    },
    /// The directory for it cannot be used.
    #[error("the cache of repositories at {path}: {source}")]
    Cache {
        /// Where.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Whoever wanted it wants it no more: see [`Cancel`](crate::Cancel).
    #[error(
        "the repository {url} was not fetched to its end, because nobody waits for it any more"
    )]
    Canceled {
        /// The address of the file.
        url: String,
    },
}

impl Error {
    /// Whether the same thing may succeed later. A damaged file may come from a proxy or a copy under way.
    pub fn is_transient(&self) -> bool {
        !matches!(self, Self::Gone { .. } | Self::Unusable { .. })
    }

    /// Whether the repository does not exist (any more).
    pub fn is_gone(&self) -> bool {
        matches!(self, Self::Gone { .. })
    }
}
