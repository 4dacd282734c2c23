//! Repositories: fetched once, verified, kept on disk and in memory.

use koschei_core::config::Config;

use crate::error::Result;

/// Repositories, fetched and kept. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Repositories {}

/// Why a repository cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RepositoryError {
    /// It was deleted.
    #[error("the repository {url} is gone")]
    Gone {
        /// Its address.
        url: String,
    },
}

impl RepositoryError {
    /// Whether the same thing may succeed later.
    pub fn is_transient(&self) -> bool {
        false
    }
}

impl Repositories {
    /// Keeps repositories below the configured cache directory.
    ///
    /// # Errors
    /// When the directory cannot be used.
    pub fn new(_config: &Config) -> Result<Self> {
        Ok(Self {})
    }
}
