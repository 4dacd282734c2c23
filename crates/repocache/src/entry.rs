//! One repository in the cache: a directory, and who may do what with it.
//!
//! | file | what |
//! | --- | --- |
//! | `about` | the format of the entry and the address of the repository; written last: without it the entry is not whole |
//! | `repomd.xml`, `primary`, `filelists` | as they were fetched |
//! | `universe-ARCH`, `paths-ARCH` | what was made of them for an architecture; the paths that it can tell the owner of |
//! | `used` | locked, shared, by everyone who uses the entry; its time of modification is that of the last use |
//! | `lock` | locked by the one who is preparing something |
//! | `*.part` | what is not whole yet |
//!
//! Locks are those of the kernel (flock), which end with their process, however it ends. So whoever has the lock of an
//! entry knows that no one else is writing there, and that a `*.part` was left by someone who died.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use tracing::debug;

use crate::{Cancel, Error, GLANCE};

/// The format of an entry; the number changes with the meaning of its files.
const FORMAT: &str = "repocache 1";
/// How the names of entries begin.
const ENTRY: &str = "repo-";
/// How the names of directories begin that are on their way out.
const TRASH: &str = "tmp-";
/// What ends the name of a file that is not whole.
pub(crate) const PART: &str = "part";

const ABOUT: &str = "about";
const USED: &str = "used";
const LOCK: &str = "lock";

/// An entry that cannot go away as long as this value lives.
#[derive(Debug)]
pub(crate) struct Entry {
    directory: PathBuf,
    used: File,
}

/// Proof that nobody else prepares the entry.
#[derive(Debug)]
pub(crate) struct Preparing(#[expect(dead_code, reason = "the lock ends with the file")] File);

impl Entry {
    /// Enters the entry of this name, which is made if need be, and notes that it is in use.
    pub(crate) fn enter(parent: &Path, name: &str, cancel: &Cancel) -> Result<Self, Error> {
        let directory = parent.join(name);
        let cache = |source| Error::Cache { path: directory.clone(), source };
        loop {
            fs::create_dir_all(&directory).map_err(cache)?;
            let used = match open_lock(&directory.join(USED)) {
                // Removed since the line above.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                other => other.map_err(cache)?,
            };
            wait(cancel, &directory, || used.try_lock_shared())?;
            let entry = Self { directory: directory.clone(), used };
            // Whoever removes an entry holds its lock until the directory has another name.
            if entry.is_there() {
                return Ok(entry);
            }
        }
    }

    /// Enters an entry that is there, if nobody uses it, to the exclusion of everyone.
    fn seize(directory: &Path) -> io::Result<Option<Self>> {
        let entry =
            Self { directory: directory.to_owned(), used: open_lock(&directory.join(USED))? };
        match entry.used.try_lock() {
            Ok(()) => Ok(entry.is_there().then_some(entry)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    fn is_there(&self) -> bool {
        let id = |data: fs::Metadata| (data.dev(), data.ino());
        match (self.used.metadata(), fs::metadata(self.path(USED))) {
            (Ok(ours), Ok(theirs)) => id(ours) == id(theirs),
            _ => false,
        }
    }

    /// A file of the entry.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Waits until nobody else prepares the entry, and clears away what one left who died.
    pub(crate) fn prepare(&self, cancel: &Cancel) -> Result<Preparing, Error> {
        let cache = |source| Error::Cache { path: self.directory.clone(), source };
        let lock = open_lock(&self.path(LOCK)).map_err(cache)?;
        wait(cancel, &self.directory, || lock.try_lock())?;
        self.sweep(|name| name.ends_with(".part")).map_err(cache)?;
        Ok(Preparing(lock))
    }

    /// Notes that it was used just now.
    pub(crate) fn touch(&self) {
        if let Err(error) = self.used.set_modified(SystemTime::now()) {
            debug!("cannot note the use of {}: {error}", self.directory.display());
        }
    }

    /// The address of the repository, if the entry is whole and of the present format.
    pub(crate) fn url(&self) -> Option<String> {
        url_of(&self.directory)
    }

    /// Declares the entry whole.
    pub(crate) fn complete(&self, _: &Preparing, url: &str) -> Result<(), Error> {
        self.write(ABOUT, |file| write!(file, "{FORMAT}\n{url}\n"))
            .map_err(|source| Error::Cache { path: self.directory.clone(), source })
    }

    /// Throws away everything that is there.
    pub(crate) fn wipe(&self, _: &Preparing) -> Result<(), Error> {
        let cache = |source| Error::Cache { path: self.directory.clone(), source };
        // The one first that declares it whole.
        self.sweep(|name| name == ABOUT).map_err(cache)?;
        self.sweep(|name| name != USED && name != LOCK).map_err(cache)
    }

    fn sweep(&self, which: impl Fn(&str) -> bool) -> io::Result<()> {
        for file in fs::read_dir(&self.directory)? {
            let file = file?;
            if which(&file.file_name().to_string_lossy()) {
                remove_any(&file.path())?;
            }
        }
        Ok(())
    }

    /// Writes a file that appears when it is whole. Only one who prepares writes.
    pub(crate) fn write(
        &self,
        name: &str,
        write: impl FnOnce(&mut BufWriter<&File>) -> io::Result<()>,
    ) -> io::Result<()> {
        let part = self.path(&format!("{name}.{PART}"));
        let written = File::create(&part).and_then(|file| {
            let mut writer = BufWriter::new(&file);
            write(&mut writer)?;
            writer.flush()?;
            drop(writer);
            fs::rename(&part, self.path(name))
        });
        if written.is_err() {
            let _ = fs::remove_file(&part);
        }
        written
    }

    /// Leaves an entry that came to nothing, and removes it if nobody else is in it.
    pub(crate) fn abandon(self) {
        // The lock that we share becomes ours alone, unless somebody shares it.
        if self.url().is_none()
            && self.used.try_lock().is_ok()
            && self.is_there()
            && let Err(error) = self.remove()
        {
            debug!("what came to nothing cannot be removed: {error}");
        }
    }

    /// Removes an entry that was seized. It is out of the way first, so that nobody finds half of it.
    fn remove(self) -> io::Result<()> {
        static TURN: AtomicU64 = AtomicU64::new(0);
        let Some(parent) = self.directory.parent() else { return Ok(()) };
        let turn = TURN.fetch_add(1, Ordering::Relaxed);
        let trash = parent.join(format!("{TRASH}{}-{turn}", std::process::id()));
        fs::rename(&self.directory, &trash)?;
        // Others may see to it, too.
        remove_any(&trash)
    }
}

/// An entry as it is found from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The name of its directory.
    pub name: String,
    /// The address of its repository; none if it was not prepared to its end, or in another format.
    pub url: Option<String>,
    /// How much room it takes, in bytes.
    pub bytes: u64,
    /// When it was used last.
    pub used: SystemTime,
    /// Whether some process uses it, or is preparing it, at this moment.
    pub in_use: bool,
}

/// Everything in a cache directory, the least recently used first. What nobody will ever use, because those who were
/// preparing or removing it died, is removed.
pub(crate) fn look_through(parent: &Path) -> io::Result<Vec<Found>> {
    let mut found = Vec::new();
    let entries = match fs::read_dir(parent) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(found),
        other => other?,
    };
    for entry in entries {
        let entry = entry?;
        let (path, name) = (entry.path(), entry.file_name());
        let name = name.to_string_lossy().into_owned();
        if name.starts_with(TRASH) {
            let _ = remove_any(&path);
        } else if name.starts_with(ENTRY) {
            found.extend(look_at(&path, name));
        }
    }
    found.sort_by(|a, b| (a.used, &a.name).cmp(&(b.used, &b.name)));
    Ok(found)
}

fn look_at(directory: &Path, name: String) -> Option<Found> {
    let seized = match Entry::seize(directory) {
        Ok(seized) => seized,
        Err(error) => {
            debug!("cannot look at {}: {error}", directory.display());
            return None;
        }
    };
    let url = url_of(directory);
    let in_use = seized.is_none();
    match seized {
        Some(entry) if url.is_none() => {
            debug!("{} was never prepared to its end, or in another format", directory.display());
            if let Err(error) = entry.remove() {
                debug!("it cannot be removed: {error}");
            }
            return None;
        }
        Some(entry) => entry.sweep(|name| name.ends_with(".part")).unwrap_or_default(),
        None => {}
    }
    let mut bytes = 0;
    for file in fs::read_dir(directory).ok()?.flatten() {
        bytes += file.metadata().map_or(0, |data| data.len());
    }
    let used = fs::metadata(directory.join(USED)).and_then(|data| data.modified()).ok()?;
    Some(Found { name, url, bytes, used, in_use })
}

/// Removes an entry unless somebody uses it.
pub(crate) fn remove_unused(parent: &Path, name: &str) -> io::Result<bool> {
    let directory = parent.join(name);
    if !directory.exists() {
        return Ok(false);
    }
    let Some(entry) = Entry::seize(&directory)? else { return Ok(false) };
    entry.remove()?;
    Ok(true)
}

fn url_of(directory: &Path) -> Option<String> {
    let about = fs::read_to_string(directory.join(ABOUT)).ok()?;
    let mut lines = about.lines();
    (lines.next()? == FORMAT).then_some(())?;
    let url = lines.next()?.to_owned();
    let whole = ["repomd.xml", "primary"].iter().all(|name| directory.join(name).is_file());
    whole.then_some(url)
}

/// The name of the entry for the repository at an address: its last parts for people, a checksum to be unique.
pub(crate) fn name(url: &str) -> String {
    let mut parts: Vec<String> = url
        .trim_end_matches('/')
        .rsplit('/')
        .take(3)
        .map(|part| {
            let plain =
                |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '_' };
            part.chars().map(plain).take(60).collect()
        })
        .collect();
    parts.reverse();
    let checksum = rpm::md::Checksum::sha256(url.as_bytes()).value;
    format!("{ENTRY}{}-{}", parts.join("-"), checksum.get(..12).unwrap_or_default())
}

/// Opens a file to be locked. It may belong to another user; for locking, reading it is enough.
pub(crate) fn open_lock(path: &Path) -> io::Result<File> {
    match OpenOptions::new().append(true).create(true).open(path) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => File::open(path),
        result => result,
    }
}

/// Waits for a lock, as long as somebody waits for us.
pub(crate) fn wait(
    cancel: &Cancel,
    path: &Path,
    mut try_lock: impl FnMut() -> Result<(), TryLockError>,
) -> Result<(), Error> {
    let mut told = false;
    loop {
        match try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(source)) => {
                return Err(Error::Cache { path: path.to_owned(), source });
            }
        }
        if cancel.is_canceled() {
            return Err(Error::Canceled { url: path.display().to_string() });
        }
        if !told {
            debug!("another process is preparing {}; waiting", path.display());
            told = true;
        }
        std::thread::sleep(GLANCE);
    }
}

fn remove_any(path: &Path) -> io::Result<()> {
    let is_directory = fs::symlink_metadata(path).is_ok_and(|data| data.is_dir());
    let removed = if is_directory { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    match removed {
        // Somebody else was faster.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_readable_and_unique() {
        let one = name("https://koji.example.org/kojifiles/repos/f40-build/12/x86_64/");
        assert!(one.starts_with("repo-f40-build-12-x86_64-"), "{one}");
        assert_ne!(one, name("https://other.example.org/repos/f40-build/12/x86_64"));
        assert!(!name("http://x/../../..").contains('/'));
    }
}
