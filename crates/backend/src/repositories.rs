//! Repositories: fetched once, verified, and kept on disk and in memory as universes.
//!
//! Koji never changes a repo once it is there, so what was fetched stays right. Below the cache directory there is one
//! directory for each repo, which appears with a rename when it is complete: `repomd.xml`, the primary metadata, the
//! file lists if something asked for a path that only they can tell, and the universe in its own format. Several
//! processes may share the cache directory; whatever one of them finds missing or damaged is fetched again.

mod download;
mod keeping;

use std::collections::BTreeSet;
use std::io::{BufReader, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use depsolve::{Loader, Universe};
use koschei_core::config::Config;
use rpm::md::{self, repomd::Repomd};
use tracing::{debug, info};

pub use self::download::Downloader;
use crate::error::{Error, Result};

/// How many universes stay in memory: those of the collections that are worked on at the same time. Others come back
/// from the disk in milliseconds.
const KEPT_IN_MEMORY: usize = 2;

/// Why a repository cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RepositoryError {
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
    /// It is what it should be, but no repository that can be worked with.
    #[error("the repository {url} cannot be used: {reason}")]
    Unusable {
        /// Its address.
        url: String,
        /// Why.
        reason: String,
    },
    /// The cache directory cannot be used.
    #[error("the cache of repositories at {path}: {source}")]
    Cache {
        /// Where.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

impl RepositoryError {
    /// Whether the same thing may succeed later. A damaged file may come from a proxy or a copy under way.
    pub fn is_transient(&self) -> bool {
        !matches!(self, Self::Gone { .. } | Self::Unusable { .. })
    }

    /// Whether the repository does not exist (any more).
    pub fn is_gone(&self) -> bool {
        matches!(self, Self::Gone { .. })
    }
}

/// Repositories, fetched and kept. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Repositories(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    directory: PathBuf,
    /// How many repos stay on disk.
    capacity: usize,
    /// The architecture that packages are resolved for.
    arch: String,
    /// Newest last.
    memory: Mutex<Vec<Kept>>,
    /// One load at a time: the second of two for the same repo finds what the first one brought.
    loading: tokio::sync::Mutex<()>,
}

/// A universe, with the paths that it can tell the owner of.
#[derive(Debug, Clone)]
struct Kept {
    url: String,
    paths: Arc<BTreeSet<String>>,
    universe: Arc<Universe>,
}

impl Repositories {
    /// Keeps repositories below the configured cache directory. Nothing is written yet.
    ///
    /// # Errors
    /// None so far; a directory that cannot be used shows when it is needed.
    pub fn new(config: &Config) -> Result<Self> {
        Ok(Self(Arc::new(Inner {
            directory: Path::new(&config.directories.cachedir).join("repodata"),
            capacity: config.dependency.cache_l2_capacity.max(1),
            arch: config.dependency.resolve_for_arch.clone(),
            memory: Mutex::new(Vec::new()),
            loading: tokio::sync::Mutex::new(()),
        })))
    }

    /// The universe of the repository at an address. `paths` are the files that requests will ask for by name.
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
        let work = Load {
            inner: Arc::clone(&self.0),
            url: url.trim_end_matches('/').to_owned(),
            paths: paths.clone(),
            canceled: Arc::new(AtomicBool::new(false)),
        };
        let _cancel = CancelOnDrop(Arc::clone(&work.canceled));
        let kept = tokio::task::spawn_blocking(move || work.run())
            .await
            .map_err(|error| Error::Thread(error.to_string()))??;
        let universe = Arc::clone(&kept.universe);
        self.remember(Kept { url: url.to_owned(), ..kept });
        Ok(universe)
    }

    fn remembered(&self, url: &str, paths: &BTreeSet<String>) -> Option<Arc<Universe>> {
        let mut memory = self.0.memory.lock().unwrap_or_else(PoisonError::into_inner);
        let at = memory.iter().position(|kept| kept.url == url && paths.is_subset(&kept.paths))?;
        let kept = memory.remove(at);
        let universe = Arc::clone(&kept.universe);
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

struct CancelOnDrop(Arc<AtomicBool>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Loading one universe, on a thread of its own.
struct Load {
    inner: Arc<Inner>,
    url: String,
    paths: BTreeSet<String>,
    canceled: Arc<AtomicBool>,
}

impl Load {
    fn run(self) -> Result<Kept, RepositoryError> {
        let directory = self.inner.directory.join(keeping::directory_name(&self.url));
        let downloader = Downloader::new(Arc::clone(&self.canceled));
        if !directory.join("repomd.xml").exists() {
            self.fetch(&downloader, &directory)?;
        }
        keeping::touch(&directory);
        match self.load(&downloader, &directory) {
            Err(error @ RepositoryError::Damaged { .. }) => {
                // Fetched again at the next attempt.
                keeping::remove(&directory);
                Err(error)
            }
            result => result,
        }
    }

    /// Fetches index and primary metadata into a new directory, which appears when all is there.
    fn fetch(&self, downloader: &Downloader, directory: &Path) -> Result<(), RepositoryError> {
        let cache = |source| RepositoryError::Cache { path: directory.to_owned(), source };
        std::fs::create_dir_all(&self.inner.directory).map_err(cache)?;
        let temporary = tempfile::Builder::new()
            .prefix(keeping::TEMPORARY)
            .tempdir_in(&self.inner.directory)
            .map_err(cache)?;
        info!(url = self.url, "fetching the repository");
        let index_url = format!("{}/repodata/repomd.xml", self.url);
        let index = temporary.path().join("repomd.xml");
        downloader.fetch(&index_url, &index, None).map_err(|error| match error {
            RepositoryError::Gone { .. } => RepositoryError::Gone { url: self.url.clone() },
            other => other,
        })?;
        let repomd = read_index(&index, &index_url)?;
        self.fetch_metadata(downloader, &repomd, "primary", &temporary.path().join("primary"))?;
        match std::fs::rename(temporary.path(), directory) {
            Ok(()) => {
                // The name of the temporary directory is no more; there is nothing to remove.
                let _ = temporary.keep();
            }
            // Another process was faster.
            Err(_) if directory.join("repomd.xml").exists() => {}
            Err(source) => return Err(cache(source)),
        }
        keeping::evict(&self.inner.directory, self.inner.capacity, directory);
        Ok(())
    }

    /// Fetches one metadata file of the index, verified.
    fn fetch_metadata(
        &self,
        downloader: &Downloader,
        repomd: &Repomd,
        kind: &str,
        to: &Path,
    ) -> Result<(), RepositoryError> {
        let Some(file) = repomd.get(kind) else {
            return Err(RepositoryError::Damaged {
                url: format!("{}/repodata/repomd.xml", self.url),
                reason: format!("it lists no {kind} metadata"),
            });
        };
        let url = format!("{}/{}", self.url, file.location);
        match downloader.fetch(&url, to, Some(file)) {
            // The index is there and the file is not: the repo is just being made or deleted.
            Err(RepositoryError::Gone { url }) => {
                Err(RepositoryError::Unreachable { url, reason: "it is not there".into() })
            }
            result => result,
        }
    }

    fn load(&self, downloader: &Downloader, directory: &Path) -> Result<Kept, RepositoryError> {
        let image = directory.join(format!("universe-{}", self.inner.arch));
        let paths_file = directory.join(format!("paths-{}", self.inner.arch));
        let known: BTreeSet<String> = std::fs::read_to_string(&paths_file)
            .map(|text| text.lines().map(str::to_owned).collect())
            .unwrap_or_default();
        if self.paths.is_subset(&known) && paths_file.exists() {
            match std::fs::File::open(&image).map(BufReader::new).map(Universe::open) {
                Ok(Ok(universe)) => {
                    return Ok(Kept {
                        url: self.url.clone(),
                        paths: Arc::new(known),
                        universe: Arc::new(universe),
                    });
                }
                Ok(Err(error)) => debug!(url = self.url, "{error}; making it anew"),
                Err(error) => debug!(url = self.url, "no universe on disk: {error}"),
            }
        }
        // What others asked for stays known, so that two processes do not take turns in making it anew.
        let paths: BTreeSet<String> = known.union(&self.paths).cloned().collect();
        let universe = self.read_metadata(downloader, directory, &paths)?;
        let saved = keeping::write_whole(&image, |file| universe.save(file)).and_then(|()| {
            let lines: String = paths.iter().flat_map(|path| [path.as_str(), "\n"]).collect();
            keeping::write_whole(&paths_file, |file| file.write_all(lines.as_bytes()))
        });
        if let Err(error) = saved {
            // It costs time at the next start, and nothing else.
            debug!(url = self.url, "the universe cannot be kept on disk: {error}");
        }
        Ok(Kept { url: self.url.clone(), paths: Arc::new(paths), universe: Arc::new(universe) })
    }

    /// Makes the universe from the repository's metadata.
    fn read_metadata(
        &self,
        downloader: &Downloader,
        directory: &Path,
        paths: &BTreeSet<String>,
    ) -> Result<Universe, RepositoryError> {
        let open = |name: &str| {
            let path = directory.join(name);
            std::fs::File::open(&path)
                .map(BufReader::new)
                .map_err(|source| RepositoryError::Cache { path, source })
        };
        let mut loader = Loader::new(&self.inner.arch, paths.iter().cloned());
        loader.primary(open("primary")?).map_err(|error| self.unreadable("primary", error))?;
        if loader.needs_filelists() {
            let file = directory.join("filelists");
            if !file.exists() {
                let index = directory.join("repomd.xml");
                let repomd = read_index(&index, &self.url)?;
                let temporary = file.with_extension("part");
                self.fetch_metadata(downloader, &repomd, "filelists", &temporary)?;
                std::fs::rename(&temporary, &file)
                    .map_err(|source| RepositoryError::Cache { path: file.clone(), source })?;
            }
            loader
                .filelists(open("filelists")?)
                .map_err(|error| self.unreadable("filelists", error))?;
        }
        loader.finish().map_err(|error| RepositoryError::Unusable {
            url: self.url.clone(),
            reason: error.to_string(),
        })
    }

    fn unreadable(&self, kind: &str, error: md::Error) -> RepositoryError {
        RepositoryError::Damaged {
            url: format!("{} ({kind} metadata)", self.url),
            reason: error.to_string(),
        }
    }
}

fn read_index(path: &Path, url: &str) -> Result<Repomd, RepositoryError> {
    let file = std::fs::File::open(path)
        .map_err(|source| RepositoryError::Cache { path: path.to_owned(), source })?;
    Repomd::read(BufReader::new(file)).map_err(|error| RepositoryError::Damaged {
        url: url.to_owned(),
        reason: error.to_string(),
    })
}
