//! A repository at one moment: its index, and files that belong to this index and to no other.
//!
//! The index says of each file how long it is and what its checksum is; files are usually called by their checksum. So
//! what fits the index was there when the index was, and a repository that is replaced while it is being fetched shows
//! itself by a file that is missing or does not fit. Then the index is looked at again: if it is another one,
//! everything begins anew; if not, the repository is damaged.

use std::io::Cursor;
use std::path::{Path, PathBuf};

use rpm::md::repomd::{MetadataFile, Repomd};
use tracing::info;

use crate::transfer::Connection;
use crate::{Cancel, Error, Options};

/// How often a repository that changes is begun anew.
const GENERATIONS: usize = 3;

/// One kind of metadata.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// The packages and their relations; every repository has it.
    Primary,
    /// The paths of all packages.
    Filelists,
    /// The groups: a comps file.
    Group,
}

impl Kind {
    /// The names under which an index may list it; the first that can be read is taken. createrepo of old wrote a plain
    /// `group` and a compressed `group_gz` beside it.
    fn names(self) -> &'static [&'static str] {
        match self {
            Self::Primary => &["primary"],
            Self::Filelists => &["filelists"],
            Self::Group => &["group_zst", "group_xz", "group_gz", "group"],
        }
    }

    /// How the file is called on disk, whatever its compression.
    pub fn file_name(self) -> &'static str {
        match self {
            Self::Primary => "primary",
            Self::Filelists => "filelists",
            Self::Group => "group",
        }
    }
}

/// Fetches repositories over http and https, and from `file:` addresses.
///
/// Proxies are taken from the environment, as every program does (`http_proxy`, `https_proxy`, `no_proxy`).
///
/// ```no_run
/// use repocache::{Downloader, Kind};
/// let directory = std::path::Path::new("/tmp/f40");
/// let downloader = Downloader::default();
/// let snapshot =
///     downloader.snapshot("https://repos.example.org/f40/x86_64", &[Kind::Primary], directory)?;
/// assert_eq!(snapshot.path(Kind::Primary), Some(directory.join("primary")));
/// # Ok::<(), repocache::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Downloader {
    options: Options,
    cancel: Cancel,
}

/// A repository at one moment, on disk.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// Its address, without a slash in the end.
    pub url: String,
    /// The index, as it was.
    pub index: Vec<u8>,
    /// What the index says.
    pub repomd: Repomd,
    directory: PathBuf,
    fetched: Vec<Kind>,
}

impl Snapshot {
    /// Where the file of this kind is; none if it was not asked for, or the repository has none. It may be compressed
    /// in any way that [`rpm::md::decompress`] knows.
    pub fn path(&self, kind: Kind) -> Option<PathBuf> {
        self.fetched.contains(&kind).then(|| self.directory.join(kind.file_name()))
    }
}

impl Downloader {
    /// Whoever holds a clone of `cancel` can call it off.
    pub fn new(cancel: impl Into<Cancel>) -> Self {
        Self::with_options(Options::default(), cancel)
    }

    /// With options of one's own.
    pub fn with_options(options: Options, cancel: impl Into<Cancel>) -> Self {
        Self { options, cancel: cancel.into() }
    }

    /// Fetches the index and the files of these kinds into a directory, which must be there and be nobody else's. A
    /// kind that the repository does not have is left out, except for [`Kind::Primary`], without which it is none.
    ///
    /// # Errors
    /// [`Error`]; [`Error::Gone`] if there is no index at the address. Then the directory has no file that it did not have
    /// before.
    pub fn snapshot(&self, url: &str, kinds: &[Kind], directory: &Path) -> Result<Snapshot, Error> {
        let url = url.trim_end_matches('/');
        let mut connection = Connection::new(&self.options, &self.cancel);
        info!(url, "fetching the repository");
        let mut index = self.index(&mut connection, url)?;
        for _ in 0..GENERATIONS {
            match fetch(&mut connection, url, &index, kinds, directory) {
                Ok(fetched) => {
                    let (index, repomd) = index;
                    return Ok(Snapshot {
                        url: url.to_owned(),
                        index,
                        repomd,
                        directory: directory.to_owned(),
                        fetched,
                    });
                }
                Err(error) => {
                    for kind in kinds {
                        let _ = std::fs::remove_file(directory.join(kind.file_name()));
                    }
                    index = self.changed(&mut connection, url, &index.0, error)?;
                }
            }
        }
        Err(Error::Changing { url: url.to_owned() })
    }

    /// Fetches one more file of a repository whose index was fetched before. False if it has none of this kind.
    ///
    /// # Errors
    /// [`Error::Changing`] if the repository has another index now.
    pub fn more(
        &self,
        url: &str,
        index: &[u8],
        kind: Kind,
        directory: &Path,
    ) -> Result<bool, Error> {
        let url = url.trim_end_matches('/');
        let mut connection = Connection::new(&self.options, &self.cancel);
        let repomd = parse(url, index)?;
        let Some(file) = listed(&repomd, kind, url)? else { return Ok(false) };
        match fetch_file(&mut connection, url, file, kind, directory) {
            Ok(()) => Ok(true),
            Err(error) => {
                self.changed(&mut connection, url, index, error)?;
                Err(Error::Changing { url: url.to_owned() })
            }
        }
    }

    fn index(
        &self,
        connection: &mut Connection<'_>,
        url: &str,
    ) -> Result<(Vec<u8>, Repomd), Error> {
        let index = connection.index(&index_url(url)).map_err(|error| match error {
            Error::Gone { .. } => Error::Gone { url: url.to_owned() },
            other => other,
        })?;
        let repomd = parse(url, &index)?;
        Ok((index, repomd))
    }

    /// Whether an error comes from the index being no longer that of the repository: then the new one, else the error.
    fn changed(
        &self,
        connection: &mut Connection<'_>,
        url: &str,
        index: &[u8],
        error: Error,
    ) -> Result<(Vec<u8>, Repomd), Error> {
        let doubtful = matches!(error, Error::Gone { .. } | Error::Damaged { .. });
        if !doubtful {
            return Err(error);
        }
        let new = self.index(connection, url)?;
        if new.0 != index {
            info!(url, "the repository was replaced meanwhile: {error}");
            return Ok(new);
        }
        Err(match error {
            // The index is there and the file is not: the repo is just being made or deleted.
            Error::Gone { url } => Error::Unreachable { url, reason: "it is not there".into() },
            other => other,
        })
    }
}

fn index_url(url: &str) -> String {
    format!("{url}/repodata/repomd.xml")
}

fn parse(url: &str, index: &[u8]) -> Result<Repomd, Error> {
    Repomd::read(Cursor::new(index))
        .map_err(|error| Error::Damaged { url: index_url(url), reason: error.to_string() })
}

/// Fetches the files of these kinds; those that there are.
fn fetch(
    connection: &mut Connection<'_>,
    url: &str,
    (_, repomd): &(Vec<u8>, Repomd),
    kinds: &[Kind],
    directory: &Path,
) -> Result<Vec<Kind>, Error> {
    let mut fetched = Vec::new();
    for kind in kinds {
        if let Some(file) = listed(repomd, *kind, url)? {
            fetch_file(connection, url, file, *kind, directory)?;
            fetched.push(*kind);
        }
    }
    Ok(fetched)
}

fn fetch_file(
    connection: &mut Connection<'_>,
    url: &str,
    file: &MetadataFile,
    kind: Kind,
    directory: &Path,
) -> Result<(), Error> {
    let address = format!("{url}/{}", file.location);
    connection.file(&address, &directory.join(kind.file_name()), file)
}

/// What the index of the repository at `url` says about a kind; none if it has none of that kind. Files in zchunk are
/// passed over: the same stands beside them in another compression, as createrepo_c and Koji always do.
///
/// # Errors
/// [`Error::Unusable`] if there is nothing but zchunk, and [`Error::Damaged`] if even primary metadata are missing.
pub fn listed<'a>(
    repomd: &'a Repomd,
    kind: Kind,
    url: &str,
) -> Result<Option<&'a MetadataFile>, Error> {
    let mut only_zchunk = false;
    for name in kind.names() {
        for file in repomd.files.iter().filter(|file| file.kind == *name) {
            if !file.location.ends_with(".zck") {
                return Ok(Some(file));
            }
            only_zchunk = true;
        }
    }
    let name = kind.file_name();
    only_zchunk |= repomd.get(&format!("{name}_zck")).is_some();
    if only_zchunk {
        return Err(Error::Unusable {
            url: url.to_owned(),
            reason: format!(
                "its {name} metadata are there in zchunk only; createrepo_c writes them in another compression too"
            ),
        });
    }
    if kind == Kind::Primary {
        return Err(Error::Damaged {
            url: index_url(url),
            reason: "it lists no primary metadata".into(),
        });
    }
    Ok(None)
}
