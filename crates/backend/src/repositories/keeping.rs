//! The directory where repositories are kept: names, atomic writing, and making room.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::time::{Duration, SystemTime};

use rpm::md::Checksum;
use tracing::debug;

/// How the names of directories begin that are not complete or about to go.
pub(super) const TEMPORARY: &str = "tmp-";

/// How old a temporary directory is that nobody works on any more.
const ABANDONED: Duration = Duration::from_secs(24 * 3600);

/// The name of the directory for the repository at an address: its last parts for people, a checksum to be unique.
pub(super) fn directory_name(url: &str) -> String {
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
    let checksum = Checksum::sha256(url.as_bytes()).value;
    format!("repo-{}-{}", parts.join("-"), checksum.get(..12).unwrap_or_default())
}

/// Writes a file that appears when it is whole.
pub(super) fn write_whole(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<&File>) -> io::Result<()>,
) -> io::Result<()> {
    let directory = path.parent().unwrap_or(Path::new("."));
    let temporary = tempfile::Builder::new().prefix(TEMPORARY).tempfile_in(directory)?;
    let mut writer = BufWriter::new(temporary.as_file());
    write(&mut writer)?;
    writer.flush()?;
    drop(writer);
    temporary.persist(path)?;
    Ok(())
}

/// Notes that a repository was used just now.
pub(super) fn touch(directory: &Path) {
    let used =
        File::create(directory.join("used")).and_then(|file| file.set_modified(SystemTime::now()));
    if let Err(error) = used {
        debug!("cannot note the use of {}: {error}", directory.display());
    }
}

/// Removes a repository. Whoever reads it goes on, because open files stay.
pub(super) fn remove(directory: &Path) {
    let Some(parent) = directory.parent() else { return };
    // Out of the way first, so that nobody finds half of it.
    let removed = tempfile::Builder::new().prefix(TEMPORARY).tempdir_in(parent).and_then(|trash| {
        fs::rename(directory, trash.path().join("repo"))?;
        trash.close()
    });
    if let Err(error) = removed {
        debug!("cannot remove {}: {error}", directory.display());
    }
}

/// Removes the repositories that were not used for the longest time, so that `capacity` remain; never `keep`.
pub(super) fn evict(parent: &Path, capacity: usize, keep: &Path) {
    let Ok(entries) = fs::read_dir(parent) else { return };
    let mut repositories = Vec::new();
    for entry in entries.flatten() {
        let path = entry.path();
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let changed = |path: &Path| fs::metadata(path).and_then(|data| data.modified());
        if name.starts_with(TEMPORARY) {
            let age = changed(&path).ok().and_then(|time| time.elapsed().ok());
            if age.is_some_and(|age| age > ABANDONED) {
                let _ = fs::remove_dir_all(&path);
            }
        } else if name.starts_with("repo-") && path != keep {
            let used = changed(&path.join("used")).unwrap_or(SystemTime::UNIX_EPOCH);
            repositories.push((used, path));
        }
    }
    repositories.sort();
    let surplus = (repositories.len() + 1).saturating_sub(capacity);
    for (_, path) in repositories.into_iter().take(surplus) {
        debug!("making room: {} goes", path.display());
        remove(&path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_readable_and_unique() {
        let one = directory_name("https://koji.example.org/kojifiles/repos/f40-build/12/x86_64/");
        assert!(one.starts_with("repo-f40-build-12-x86_64-"), "{one}");
        assert_ne!(one, directory_name("https://other.example.org/repos/f40-build/12/x86_64"));
        assert!(!directory_name("http://x/../../..").contains('/'));
    }

    #[test]
    fn the_repositories_used_last_stay() {
        let parent = tempfile::tempdir().unwrap();
        let repository = |number: u64| {
            let path = parent.path().join(format!("repo-{number}"));
            fs::create_dir(&path).unwrap();
            let used = File::create(path.join("used")).unwrap();
            used.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(number)).unwrap();
            path
        };
        let paths: Vec<_> = (1..=5).map(repository).collect();
        evict(parent.path(), 3, &paths[0]);
        let left: Vec<bool> = paths.iter().map(|path| path.exists()).collect();
        assert_eq!(left, [true, false, false, true, true]);
    }

    #[test]
    fn a_file_that_cannot_be_finished_never_appears() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        write_whole(&path, |file| file.write_all(b"old")).unwrap();
        let failed = write_whole(&path, |file| {
            file.write_all(b"new")?;
            Err(io::Error::other("disk full"))
        });
        assert!(failed.is_err());
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }
}
