//! The demo's directory: where it is, whether it is ours, free and large enough.

use std::{
    env,
    fs::{self, File, TryLockError},
    io::{self, Read, Seek, Write},
    path::{Path, PathBuf},
};

use crate::failure::Failure;

/// What says that a directory is the demo's; also what its process holds locked.
const MARK: &str = "koschei-demo.lock";

/// A new PostgreSQL cluster, the packages of the simulated Koji and some hours of logs.
const BYTES_NEEDED: u64 = 400 << 20;

/// A directory that is ours alone for as long as this lives.
#[derive(Debug)]
pub(super) struct Place {
    directory: PathBuf,
    _lock: File,
}

impl Place {
    /// Takes the directory, creating it if needed; with `fresh` everything from before is thrown away.
    pub(super) fn take(chosen: Option<&Path>, fresh: bool) -> Result<Self, Failure> {
        let directory = match chosen {
            Some(directory) => directory.to_owned(),
            None => usual_directory()?,
        };
        create(&directory)?;
        // Others are started with paths in it, from wherever.
        let directory =
            directory.canonicalize().map_err(|error| cannot("use", &directory, &error))?;
        let mark = directory.join(MARK);
        let is_ours = mark.exists();
        if !is_ours && fs::read_dir(&directory).is_ok_and(|mut entries| entries.next().is_some()) {
            return Err(Failure::new(format_args!(
                "{} holds other files: give the demo a new or empty directory with --dir",
                directory.display()
            )));
        }
        let mut lock = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&mark)
            .map_err(|error| cannot("write to", &directory, &error))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                let _ = lock.read_to_string(&mut holder);
                let holder = holder.trim();
                let process =
                    if holder.is_empty() { String::new() } else { format!(" (process {holder})") };
                return Err(Failure::new(format_args!(
                    "another demo{process} is running in {}: open its page, stop it, or choose another directory \
                     with --dir",
                    directory.display()
                )));
            }
            Err(TryLockError::Error(error)) => return Err(cannot("lock", &mark, &error)),
        }
        if fresh {
            empty(&directory)?;
        }
        enough_space(&directory)?;
        let note = |lock: &mut File| {
            lock.set_len(0)?;
            lock.rewind()?;
            writeln!(lock, "{}", std::process::id())
        };
        note(&mut lock).map_err(|error| cannot("write to", &mark, &error))?;
        let place = Self { directory, _lock: lock };
        create(&place.logs())?;
        Ok(place)
    }

    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// The private PostgreSQL.
    pub(super) fn database(&self) -> PathBuf {
        self.directory.join("postgresql")
    }

    /// The simulated Koji.
    pub(super) fn koji(&self) -> PathBuf {
        self.directory.join("koji")
    }

    /// What can be fetched again.
    pub(super) fn cache(&self) -> PathBuf {
        self.directory.join("cache")
    }

    pub(super) fn logs(&self) -> PathBuf {
        self.directory.join("logs")
    }

    /// The configuration that the services are given.
    pub(super) fn configuration(&self) -> PathBuf {
        self.directory.join("koschei.toml")
    }

    /// Says that collections, groups and tracked packages were set up.
    pub(super) fn set_up(&self) -> PathBuf {
        self.directory.join("set-up")
    }
}

/// Root's own directory is closed to the user that PostgreSQL runs as, so root's demo lives with the system's data.
fn usual_directory() -> Result<PathBuf, Failure> {
    if nix::unistd::geteuid().is_root() {
        return Ok(PathBuf::from("/var/lib/koschei-demo"));
    }
    let absolute =
        |variable: &str| env::var_os(variable).map(PathBuf::from).filter(|p| p.is_absolute());
    absolute("XDG_DATA_HOME")
        .or_else(|| Some(absolute("HOME")?.join(".local/share")))
        .map(|data| data.join("koschei-demo"))
        .ok_or_else(|| {
            Failure::usage("HOME is not set: say where the demo keeps its data with --dir")
        })
}

fn create(directory: &Path) -> Result<(), Failure> {
    fs::create_dir_all(directory).map_err(|error| cannot("create", directory, &error))
}

/// Removes everything but the mark.
fn empty(directory: &Path) -> Result<(), Failure> {
    let entries = fs::read_dir(directory).map_err(|error| cannot("read", directory, &error))?;
    for entry in entries {
        let entry = entry.map_err(|error| cannot("read", directory, &error))?;
        if entry.file_name() == MARK {
            continue;
        }
        let path = entry.path();
        let is_directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
        let removed = if is_directory { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        removed.map_err(|error| cannot("remove", &path, &error))?;
    }
    Ok(())
}

fn enough_space(directory: &Path) -> Result<(), Failure> {
    let Ok(disk) = nix::sys::statvfs::statvfs(directory) else { return Ok(()) };
    let free = disk.blocks_available().saturating_mul(disk.fragment_size());
    // What an earlier run has written is not needed again.
    let needed = if directory.join("set-up").exists() { BYTES_NEEDED / 8 } else { BYTES_NEEDED };
    if free < needed {
        return Err(Failure::new(format_args!(
            "the disk is full: the demo needs {} MB in {}, and {} MB are free; free some, or choose another \
             directory with --dir",
            needed >> 20,
            directory.display(),
            free >> 20
        )));
    }
    Ok(())
}

fn cannot(action: &str, path: &Path, error: &io::Error) -> Failure {
    Failure::new(format_args!(
        "cannot {action} {} ({error}): choose another directory with --dir",
        path.display()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sentence(result: Result<Place, Failure>) -> String {
        result.expect_err("a refusal").to_string()
    }

    #[test]
    fn a_directory_with_other_files_is_left_alone_even_with_fresh() {
        let directory = tempfile::tempdir().unwrap();
        let precious = directory.path().join("thesis.tex");
        fs::write(&precious, "x").unwrap();
        let said = sentence(Place::take(Some(directory.path()), true));
        assert!(said.contains("holds other files"), "{said}");
        assert!(precious.exists());
    }

    #[test]
    fn a_second_demo_in_the_directory_is_told_who_is_there() {
        let directory = tempfile::tempdir().unwrap();
        let first = Place::take(Some(directory.path()), false).unwrap();
        let said = sentence(Place::take(Some(directory.path()), true));
        assert!(said.contains(&format!("another demo (process {})", std::process::id())), "{said}");
        drop(first);
        Place::take(Some(directory.path()), false).unwrap();
    }

    #[test]
    fn fresh_throws_away_what_an_earlier_demo_left() {
        let directory = tempfile::tempdir().unwrap();
        let place = Place::take(Some(directory.path()), false).unwrap();
        fs::write(place.set_up(), "").unwrap();
        fs::create_dir_all(place.koji().join("repos")).unwrap();
        drop(place);
        let place = Place::take(Some(directory.path()), false).unwrap();
        assert!(place.set_up().exists());
        drop(place);
        let place = Place::take(Some(directory.path()), true).unwrap();
        assert!(!place.set_up().exists() && !place.koji().exists());
    }
}
