//! Repositories: universes in memory, above the cache on disk that all processes of a machine share ([`repocache`]).

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use depsolve::Universe;
use koschei_core::config::Config;
use repocache::{Cache, Cancel, Loaded, Options};

pub use repocache::{Downloader, Error as RepositoryError};

use crate::error::{Error, Result};

/// How many universes stay in memory: those of the collections that are worked on at the same time. Others come back
/// from the disk in milliseconds.
const KEPT_IN_MEMORY: usize = 2;

/// The cache of repositories below the configured cache directory. Nothing is written yet.
pub fn cache(config: &Config) -> Cache {
    let secondary = config.secondary_koji_config.as_ref().map(|secondary| &secondary.koji);
    let authorities: BTreeSet<PathBuf> = [Some(&config.koji_config), secondary]
        .into_iter()
        .flatten()
        .filter_map(|koji| koji.login_args.text("serverca").map(PathBuf::from))
        .collect();
    let authorities = authorities.into_iter().collect();
    Cache::new(
        Path::new(&config.directories.cachedir).join("repodata"),
        config.dependency.cache_l2_capacity,
        Options { authorities, ..Options::default() },
    )
}

/// Repositories, fetched and kept. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Repositories(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    cache: Cache,
    /// The architecture that packages are resolved for.
    arch: String,
    /// Newest last.
    memory: Mutex<Vec<Kept>>,
    /// One load at a time: the second of two for the same repo finds what the first one brought.
    loading: tokio::sync::Mutex<()>,
}

#[derive(Debug, Clone)]
struct Kept {
    url: String,
    loaded: Loaded,
}

impl Repositories {
    /// Keeps repositories below the configured cache directory. Nothing is written yet.
    ///
    /// # Errors
    /// None so far; a directory that cannot be used shows when it is needed.
    pub fn new(config: &Config) -> Result<Self> {
        Ok(Self(Arc::new(Inner {
            cache: cache(config),
            arch: config.dependency.resolve_for_arch.clone(),
            memory: Mutex::new(Vec::new()),
            loading: tokio::sync::Mutex::new(()),
        })))
    }

    /// The universe of the repository at an address. `paths` are the files that requests will ask for by name. When the
    /// future is dropped, whatever is under way is called off.
    ///
    /// # Errors
    /// [`RepositoryError`]; [`RepositoryError::Gone`] when there is no `repomd.xml` at the address.
    pub async fn universe(&self, url: &str, paths: &BTreeSet<String>) -> Result<Arc<Universe>> {
        if let Some(universe) = self.remembered(url, paths) {
            return Ok(universe);
        }
        let _one_at_a_time = self.0.loading.lock().await;
        if let Some(universe) = self.remembered(url, paths) {
            return Ok(universe);
        }
        let cancel = Cancel::default();
        let _call_off = CancelOnDrop(cancel.clone());
        let (inner, of, wanted) = (Arc::clone(&self.0), url.to_owned(), paths.clone());
        let load = move || inner.cache.universe(&of, &inner.arch, &wanted, &cancel);
        let loaded = tokio::task::spawn_blocking(load)
            .await
            .map_err(|error| Error::Thread(error.to_string()))??;
        let universe = Arc::clone(&loaded.universe);
        self.remember(Kept { url: url.to_owned(), loaded });
        Ok(universe)
    }

    fn remembered(&self, url: &str, paths: &BTreeSet<String>) -> Option<Arc<Universe>> {
        let mut memory = self.0.memory.lock().unwrap_or_else(PoisonError::into_inner);
        let at = memory
            .iter()
            .position(|kept| kept.url == url && paths.is_subset(&kept.loaded.paths))?;
        let kept = memory.remove(at);
        let universe = Arc::clone(&kept.loaded.universe);
        memory.push(kept);
        Some(universe)
    }

    fn remember(&self, kept: Kept) {
        let mut memory = self.0.memory.lock().unwrap_or_else(PoisonError::into_inner);
        memory.retain(|other| other.url != kept.url);
        memory.push(kept);
        while memory.len() > KEPT_IN_MEMORY {
            memory.remove(0);
        }
    }
}

struct CancelOnDrop(Cancel);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}
