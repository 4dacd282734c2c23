//! A repository in a directory or at an address: its index, and its metadata as verified streams.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use repocache::{Downloader, Kind};
use rpm::md;
use rpm::md::checksum::{Checksum, Hasher};
use rpm::md::repomd::{MetadataFile, Repomd};

use super::progress::Progress;
use super::temporary::Temporary;
use crate::failure::Failure;

/// A repository whose index has been read.
#[derive(Debug)]
pub(super) struct Repository {
    /// As the person wrote it.
    name: String,
    place: Place,
    repomd: Repomd,
}

#[derive(Debug)]
enum Place {
    Directory(PathBuf),
    Address {
        /// The index as it came: what is fetched later has to fit it.
        index: Vec<u8>,
        /// Files without a name; nothing of them is left, however the program ends.
        fetched: Mutex<BTreeMap<Kind, Arc<File>>>,
    },
}

/// Whether somebody means an address and not a path.
pub(super) fn is_address(text: &str) -> bool {
    ["http://", "https://", "ftp://"].iter().any(|scheme| text.starts_with(scheme))
}

impl Repository {
    /// Reads the index of the repository that a person calls `name`.
    pub(super) fn open(name: &str, progress: &Progress) -> Result<Self, Failure> {
        if is_address(name) {
            return Self::open_address(name, progress);
        }
        let directory = Path::new(name.strip_prefix("file://").unwrap_or(name));
        let index = directory.join("repodata/repomd.xml");
        let file = File::open(&index).map_err(|error| not_a_repository(name, directory, &error))?;
        let repomd =
            Repomd::read(BufReader::new(file)).map_err(|error| unreadable(name, &error))?;
        let place = Place::Directory(directory.to_owned());
        Self::usable(Self { name: name.to_owned(), place, repomd })
    }

    fn open_address(name: &str, progress: &Progress) -> Result<Self, Failure> {
        progress.begin(&format!("Fetching {name}"), 0);
        let directory = Temporary::new()?;
        let snapshot = Downloader::default().snapshot(name, &[], directory.path());
        let snapshot = snapshot.map_err(|error| not_fetched(name, &error))?;
        let place = Place::Address { index: snapshot.index, fetched: Mutex::default() };
        Self::usable(Self { name: name.to_owned(), place, repomd: snapshot.repomd })
    }

    /// A repository has at least packages.
    fn usable(self) -> Result<Self, Failure> {
        self.entry(Kind::Primary)?;
        Ok(self)
    }

    /// As the person wrote it.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// What the index says about metadata of a kind; none if there are none.
    fn entry(&self, kind: Kind) -> Result<Option<&MetadataFile>, Failure> {
        let entry = repocache::listed(&self.repomd, kind, &self.name)
            .map_err(|error| not_fetched(&self.name, &error))?;
        if let Some(entry) = entry {
            self.hasher(kind, entry)?;
        }
        Ok(entry)
    }

    /// What computes the checksum that a file has to have; none where the index tells none.
    fn hasher(&self, kind: Kind, entry: &MetadataFile) -> Result<Option<Hasher>, Failure> {
        entry.checksum.as_ref().map(Checksum::verifier).transpose().map_err(|unknown| {
            Failure::usage(format_args!(
                "the {} metadata of the repository {} cannot be verified: {unknown}; the repository has to be made again \
                 (createrepo_c --checksum sha256)",
                kind.file_name(),
                self.name
            ))
        })
    }

    /// Fetches metadata of a kind, if it is elsewhere and was not fetched already. False if there are none of that kind.
    pub(super) fn fetch(&self, kind: Kind, progress: &Progress) -> Result<bool, Failure> {
        let Some(entry) = self.entry(kind)? else { return Ok(false) };
        let Place::Address { index, fetched } = &self.place else { return Ok(true) };
        // Whoever else wants it at the same time waits for it here.
        let mut fetched = fetched.lock().unwrap_or_else(PoisonError::into_inner);
        if fetched.contains_key(&kind) {
            return Ok(true);
        }
        let directory = Temporary::new()?;
        let path = directory.path().join(kind.file_name());
        progress.begin_bytes(&format!("Fetching {}", self.name), entry.size.unwrap_or(0));
        progress.watch(&path.with_extension("part"));
        let result = Downloader::default().more(&self.name, index, kind, directory.path());
        result.map_err(|error| not_fetched(&self.name, &error))?;
        let file = File::open(&path)
            .map_err(|source| not_fetched(&self.name, &repocache::Error::Cache { path, source }))?;
        fetched.insert(kind, Arc::new(file));
        Ok(true)
    }

    /// Reads metadata of a kind that there are, fetched before if they are elsewhere. What was read counts only when the
    /// file turns out to be the one that the index describes.
    pub(super) fn read<T>(
        &self,
        kind: Kind,
        read: impl FnOnce(&mut (dyn Read + Send)) -> Result<T, md::Error>,
    ) -> Result<T, Failure> {
        let missing = || {
            let kind = kind.file_name();
            Failure::usage(format_args!("the repository {} has no {kind} metadata", self.name))
        };
        let entry = self.entry(kind)?.ok_or_else(missing)?;
        let directory = match &self.place {
            Place::Directory(directory) => directory,
            // It was verified when it came.
            Place::Address { fetched, .. } => {
                let fetched = fetched.lock().unwrap_or_else(PoisonError::into_inner);
                let file = fetched.get(&kind).cloned();
                drop(fetched);
                let file = file.ok_or_else(missing)?;
                return read(&mut ReadAt::new(&file))
                    .map_err(|error| unreadable(&self.name, &error));
            }
        };
        let path = directory.join(&entry.location);
        let cannot = |error: &io::Error| {
            Failure::usage(format_args!("{} cannot be read: {error}", path.display()))
        };
        let damaged = |reason: &str| {
            Failure::usage(format_args!(
                "{} is not the file that its repomd.xml describes: {reason}; the repository has to be copied or made \
                 (createrepo_c) again",
                path.display()
            ))
        };
        let file = File::open(&path).map_err(|error| cannot(&error))?;
        let length = file.metadata().map_err(|error| cannot(&error))?.len();
        if let Some(size) = entry.size.filter(|size| *size != length) {
            let which = if length < size { "truncated" } else { "too long" };
            return Err(damaged(&format!("it is {which}, {length} bytes instead of {size}")));
        }
        let hasher = self.hasher(kind, entry)?;
        let mut verified = Verified { file, expected: entry.checksum.as_ref().zip(hasher) };
        let result = read(&mut verified);
        // Bytes that are not the right ones explain whatever was made of them.
        if !verified.finish().map_err(|error| cannot(&error))? {
            return Err(damaged("its checksum differs"));
        }
        result.map_err(|error| unreadable(&self.name, &error))
    }
}

fn not_a_repository(name: &str, directory: &Path, error: &io::Error) -> Failure {
    let sentence = if error.kind() != io::ErrorKind::NotFound && directory.is_dir() {
        format!("the repository {name} cannot be read: {error}")
    } else if directory.is_dir() && directory.join("repomd.xml").exists() {
        format!("{name} is only the index of a repository; name the directory above it")
    } else if directory.is_dir() {
        format!(
            "{name} is not a repository: it has no repodata/repomd.xml; with packages in it, “createrepo_c {name}” \
             makes it one"
        )
    } else if directory.exists() {
        format!(
            "{name} is a file; a repository is a directory with repodata/repomd.xml, or its address"
        )
    } else {
        format!("the directory {name} does not exist")
    };
    Failure::usage(sentence)
}

fn unreadable(name: &str, error: &md::Error) -> Failure {
    Failure::usage(format_args!("the repository {name} cannot be read: {error}"))
}

fn not_fetched(name: &str, error: &repocache::Error) -> Failure {
    use repocache::Error;
    match error {
        Error::Gone { .. } => Failure::usage(format_args!(
            "there is no repository at {name}: it has no repodata/repomd.xml; the address has to be the one that a \
             .repo file gives as baseurl"
        )),
        Error::Cache { path, source } => super::temporary::unusable(path, source),
        Error::Damaged { .. } => Failure::usage(format_args!(
            "{error}; the server has a broken copy, or something on the way changes it: try again later, or another mirror"
        )),
        Error::Unreachable { .. } => {
            Failure::usage(format_args!("{error}; check the address, or try again later"))
        }
        Error::Changing { .. } | Error::Unusable { .. } | Error::Canceled { .. } => {
            Failure::usage(error)
        }
    }
}

/// Reads a file from its beginning, whatever others do with it.
struct ReadAt<'f> {
    file: &'f File,
    position: u64,
}

impl<'f> ReadAt<'f> {
    fn new(file: &'f File) -> Self {
        Self { file, position: 0 }
    }
}

impl Read for ReadAt<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read_at(buffer, self.position)?;
        self.position += count as u64;
        Ok(count)
    }
}

/// Computes the checksum of what passes by.
struct Verified<'c> {
    file: File,
    expected: Option<(&'c Checksum, Hasher)>,
}

impl Verified<'_> {
    /// Reads what was left, and tells whether everything was as expected.
    fn finish(mut self) -> io::Result<bool> {
        io::copy(&mut self, &mut io::sink())?;
        Ok(self.expected.is_none_or(|(checksum, hasher)| {
            hasher.finish().value.eq_ignore_ascii_case(&checksum.value)
        }))
    }
}

impl Read for Verified<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(buffer)?;
        if let Some((_, hasher)) = &mut self.expected {
            hasher.update(&buffer[..count]);
        }
        Ok(count)
    }
}
