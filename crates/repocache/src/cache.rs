//! The cache: repositories on disk, shared by all processes of a machine.
//!
//! Koji never changes a repo once it is there, so what was fetched stays right. What one process prepares, the others
//! wait for and use. What is damaged, or in the format of another version, is thrown away and made anew from what is
//! still good.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use depsolve::{Loader, Universe};
use rpm::md::{self, checksum::Hasher, repomd::Repomd};
use tracing::{debug, warn};

use crate::entry::{self, Entry, Found, Preparing};
use crate::{Cancel, Downloader, Error, Kind, Options};

/// What is locked by one who makes room.
const ROOM: &str = "lock";

/// Repositories on disk.
#[derive(Debug, Clone)]
pub struct Cache {
    directory: PathBuf,
    capacity: usize,
    options: Options,
}

/// A universe from the cache. Its entry is not removed as long as this value lives.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The packages.
    pub universe: Arc<Universe>,
    /// The paths that it can tell the owner of.
    pub paths: Arc<BTreeSet<String>>,
    #[expect(dead_code, reason = "held, not read: it keeps the entry in use")]
    entry: Arc<Entry>,
}

/// What was cleared away, and what was not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cleared {
    /// These are gone.
    pub removed: Vec<Found>,
    /// These are in use and stay.
    pub in_use: Vec<Found>,
}

impl Cache {
    /// A cache in this directory, which is made when it is needed. More than `capacity` repositories are there only if all
    /// of them are in use.
    pub fn new(directory: impl Into<PathBuf>, capacity: usize, options: Options) -> Self {
        Self { directory: directory.into(), capacity: capacity.max(1), options }
    }

    /// The universe of the repository at an address, for machines of an architecture. `paths` are the files that
    /// requests will ask for by name. Fetches what is missing, after waiting for others who are fetching it.
    ///
    /// # Errors
    /// [`Error`]; [`Error::Gone`] when there is no repository at the address (and none in the cache).
    pub fn universe(
        &self,
        url: &str,
        arch: &str,
        paths: &BTreeSet<String>,
        cancel: &Cancel,
    ) -> Result<Loaded, Error> {
        let url = url.trim_end_matches('/');
        let entry = Entry::enter(&self.directory, &entry::name(url), cancel)?;
        let wanted = Wanted { url, arch, paths, cancel };
        let (universe, paths) = match self.load(&entry, wanted) {
            Ok(loaded) => loaded,
            Err(error) => {
                entry.abandon();
                return Err(error);
            }
        };
        entry.touch();
        Ok(Loaded { universe: Arc::new(universe), paths: Arc::new(paths), entry: Arc::new(entry) })
    }

    /// What there is, the least recently used first.
    ///
    /// # Errors
    /// [`Error::Cache`]
    pub fn list(&self) -> Result<Vec<Found>, Error> {
        entry::look_through(&self.directory).map_err(|source| self.unusable(source))
    }

    /// Removes everything that nobody uses at this moment, or, with addresses, those repositories.
    ///
    /// # Errors
    /// [`Error::Cache`]
    pub fn clear(&self, only: Option<&[String]>) -> Result<Cleared, Error> {
        let mut cleared = Cleared::default();
        for found in self.list()? {
            let meant = only.is_none_or(|only| {
                only.iter().any(|url| found.url.as_deref() == Some(url.trim_end_matches('/')))
            });
            if !meant {
                continue;
            }
            let removed = entry::remove_unused(&self.directory, &found.name)
                .map_err(|source| self.unusable(source))?;
            let list = if removed { &mut cleared.removed } else { &mut cleared.in_use };
            list.push(found);
        }
        Ok(cleared)
    }

    fn unusable(&self, source: io::Error) -> Error {
        Error::Cache { path: self.directory.clone(), source }
    }

    fn load(&self, entry: &Entry, wanted: Wanted<'_>) -> Result<Prepared, Error> {
        if let Some(prepared) = wanted.ready(entry) {
            return Ok(prepared);
        }
        let preparing = entry.prepare(wanted.cancel)?;
        // Somebody else may have prepared it while we waited.
        if let Some(prepared) = wanted.ready(entry) {
            return Ok(prepared);
        }
        if entry.url().as_deref() == Some(wanted.url) {
            match self.make(entry, &preparing, wanted) {
                Err(error @ (Error::Damaged { .. } | Error::Changing { .. })) => {
                    warn!("{error}; fetching all of it again");
                }
                result => return result,
            }
        }
        entry.wipe(&preparing)?;
        self.make_room(wanted.cancel);
        self.fetch(entry, &preparing, wanted)?;
        let made = self.make(entry, &preparing, wanted);
        if matches!(made, Err(Error::Damaged { .. } | Error::Changing { .. })) {
            entry.wipe(&preparing)?;
        }
        made
    }

    /// Fetches index and primary metadata.
    fn fetch(&self, entry: &Entry, preparing: &Preparing, wanted: Wanted<'_>) -> Result<(), Error> {
        let downloader = Downloader::with_options(self.options.clone(), wanted.cancel.clone());
        let snapshot = downloader.snapshot(wanted.url, &[Kind::Primary], entry.directory())?;
        entry
            .write("repomd.xml", |file| file.write_all(&snapshot.index))
            .map_err(|source| Error::Cache { path: entry.path("repomd.xml"), source })?;
        entry.complete(preparing, wanted.url)
    }

    /// Makes the universe from the metadata, and keeps it.
    fn make(&self, entry: &Entry, _: &Preparing, wanted: Wanted<'_>) -> Result<Prepared, Error> {
        // What others asked for stays known, so that two processes do not take turns in making it anew.
        let paths: BTreeSet<String> =
            wanted.known_paths(entry).unwrap_or_default().union(wanted.paths).cloned().collect();
        let universe = self.read_metadata(entry, wanted, &paths)?;
        // In this order: whoever finds the new paths finds the new universe.
        let kept = entry.write(&wanted.image(), |file| universe.save(file)).and_then(|()| {
            entry.write(&wanted.paths_file(), |file| {
                paths.iter().try_for_each(|path| writeln!(file, "{path}"))
            })
        });
        if let Err(error) = kept {
            // It costs time at the next start, and nothing else.
            warn!(url = wanted.url, "the prepared repository cannot be kept on disk: {error}");
        }
        Ok((universe, paths))
    }

    fn read_metadata(
        &self,
        entry: &Entry,
        wanted: Wanted<'_>,
        paths: &BTreeSet<String>,
    ) -> Result<Universe, Error> {
        let path = entry.path("repomd.xml");
        let index = fs::read(&path).map_err(|source| Error::Cache { path, source })?;
        let damaged = |reason: String| Error::Damaged { url: wanted.url.to_owned(), reason };
        let repomd = Repomd::read(index.as_slice()).map_err(|error| damaged(error.to_string()))?;
        let mut loader = Loader::new(wanted.arch, paths.iter().cloned());
        verified(entry, wanted.url, &repomd, Kind::Primary, |file| loader.primary(file))?;
        if loader.needs_filelists() {
            if !entry.path(Kind::Filelists.file_name()).exists() {
                let downloader =
                    Downloader::with_options(self.options.clone(), wanted.cancel.clone());
                let there =
                    downloader.more(wanted.url, &index, Kind::Filelists, entry.directory())?;
                if !there {
                    return Err(damaged(
                        "its index lists no filelists metadata, and paths are asked for that only they can tell"
                            .into(),
                    ));
                }
            }
            verified(entry, wanted.url, &repomd, Kind::Filelists, |file| loader.filelists(file))?;
        }
        loader.finish().map_err(|error| Error::Unusable {
            url: wanted.url.to_owned(),
            reason: error.to_string(),
        })
    }

    /// Removes the repositories that were not used for the longest time, so that there are not more than the capacity
    /// allows. Those in use stay.
    fn make_room(&self, cancel: &Cancel) {
        let room = entry::open_lock(&self.directory.join(ROOM))
            .map_err(|source| self.unusable(source))
            .and_then(|lock| {
                // Two who make room at the same time would make twice as much.
                entry::wait(cancel, &self.directory, || lock.try_lock())?;
                let all = self.list()?;
                let mut surplus = all.len().saturating_sub(self.capacity);
                for found in all {
                    if surplus == 0 {
                        break;
                    }
                    if entry::remove_unused(&self.directory, &found.name).unwrap_or(false) {
                        debug!("making room: {} goes", found.name);
                        surplus -= 1;
                    }
                }
                Ok(())
            });
        if let Err(error) = room {
            debug!("no room can be made: {error}");
        }
    }
}

type Prepared = (Universe, BTreeSet<String>);

/// What somebody waits for.
#[derive(Clone, Copy)]
struct Wanted<'a> {
    url: &'a str,
    arch: &'a str,
    paths: &'a BTreeSet<String>,
    cancel: &'a Cancel,
}

impl Wanted<'_> {
    fn image(&self) -> String {
        format!("universe-{}", self.arch)
    }

    fn paths_file(&self) -> String {
        format!("paths-{}", self.arch)
    }

    /// The paths that the universe on disk can tell the owner of; none if there is no such universe.
    fn known_paths(&self, entry: &Entry) -> Option<BTreeSet<String>> {
        let text = fs::read_to_string(entry.path(&self.paths_file())).ok()?;
        Some(text.lines().map(str::to_owned).collect())
    }

    /// What is wanted, if it is on disk.
    fn ready(&self, entry: &Entry) -> Option<Prepared> {
        if entry.url().as_deref() != Some(self.url) {
            return None;
        }
        let known = self.known_paths(entry)?;
        if !self.paths.is_subset(&known) {
            return None;
        }
        let file = File::open(entry.path(&self.image())).ok()?;
        match Universe::open(BufReader::new(file)) {
            Ok(universe) => Some((universe, known)),
            Err(error) => {
                debug!(url = self.url, "{error}; making it anew");
                None
            }
        }
    }
}

/// Reads a metadata file, and makes sure that it is what the index says, since disks forget and processes are killed.
fn verified(
    entry: &Entry,
    url: &str,
    repomd: &Repomd,
    kind: Kind,
    read: impl FnOnce(&mut Verified) -> Result<(), md::Error>,
) -> Result<(), Error> {
    let name = kind.file_name();
    let path = entry.path(name);
    let file = File::open(&path).map_err(|source| missing(&path, url, name, source))?;
    let expected =
        crate::snapshot::listed(repomd, kind, url)?.and_then(|file| file.checksum.as_ref());
    let mut file = Verified { file, hasher: expected.and_then(md::Checksum::hasher) };
    let result = read(&mut file);
    let damaged =
        |reason: String| Error::Damaged { url: format!("{url} ({name} metadata)"), reason };
    // What is behind the end of the document belongs to the checksum, too.
    io::copy(&mut file, &mut io::sink())
        .map_err(|source| Error::Cache { path: path.clone(), source })?;
    if let (Some(expected), Some(hasher)) = (expected, file.hasher)
        && !hasher.finish().value.eq_ignore_ascii_case(&expected.value)
    {
        return Err(damaged("what was kept of it has another checksum than it had".into()));
    }
    result.map_err(|error| damaged(error.to_string()))
}

fn missing(path: &Path, url: &str, name: &str, source: io::Error) -> Error {
    if source.kind() == io::ErrorKind::NotFound {
        let reason = "what was kept of it is not there any more".to_owned();
        return Error::Damaged { url: format!("{url} ({name} metadata)"), reason };
    }
    Error::Cache { path: path.to_owned(), source }
}

/// A file, and the checksum of what was read of it.
struct Verified {
    file: File,
    hasher: Option<Hasher>,
}

impl Read for Verified {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(buffer)?;
        if let Some(hasher) = &mut self.hasher {
            hasher.update(&buffer[..count]);
        }
        Ok(count)
    }
}
