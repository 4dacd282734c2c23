//! Where a private PostgreSQL lives, and as whom it runs.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::unistd::{Gid, Uid, User, geteuid};

use super::error::ClusterError;
use super::{Options, PORT};

/// The longest path that the system accepts for a Unix socket (`sun_path` of 108 bytes, one for the end).
const LONGEST_SOCKET: usize = 107;

/// The user as whom the server runs.
#[derive(Debug, Clone)]
pub(super) struct ServerUser {
    name: String,
    uid: Uid,
    gid: Gid,
    /// Whether we are root and have to become this user.
    change: bool,
}

impl ServerUser {
    /// Ourselves; or, when we are root, whoever owns the data already, else `postgres`, else `nobody`.
    fn choose(data: &Path) -> Result<Self, ClusterError> {
        if !geteuid().is_root() {
            let uid = geteuid();
            return Ok(Self {
                name: uid.to_string(),
                uid,
                gid: nix::unistd::getegid(),
                change: false,
            });
        }
        let owner = fs::metadata(data).ok().map(|metadata| Uid::from_raw(metadata.uid()));
        let owner = owner.filter(|owner| !owner.is_root()).map(User::from_uid);
        let candidates =
            owner.into_iter().chain([User::from_name("postgres"), User::from_name("nobody")]);
        let user = candidates.flatten().flatten().next().ok_or(ClusterError::NoUser)?;
        Ok(Self { name: user.name, uid: user.uid, gid: user.gid, change: true })
    }

    /// Makes a program run as this user, in a directory that it can enter, untouched by our environment's settings for
    /// PostgreSQL, and with messages in English.
    pub(super) fn apply_to(&self, command: &mut Command, directory: &Path) {
        for (name, _) in std::env::vars_os() {
            if name.to_str().is_some_and(|name| name.starts_with("PG") || name.starts_with("LC_")) {
                command.env_remove(name);
            }
        }
        command.env("LC_ALL", "C").current_dir(directory);
        if self.change {
            command.uid(self.uid.as_raw()).gid(self.gid.as_raw());
        }
    }

    /// Gives a file or directory to this user.
    fn own(&self, path: &Path) -> Result<(), ClusterError> {
        if self.change {
            std::os::unix::fs::chown(path, Some(self.uid.as_raw()), Some(self.gid.as_raw()))
                .map_err(ClusterError::io("give away", path))?;
        }
        Ok(())
    }

    /// Sees that this user can get to a directory.
    fn check_can_reach(&self, directory: &Path) -> Result<(), ClusterError> {
        if !self.change {
            return Ok(());
        }
        for ancestor in directory.ancestors().skip(1) {
            let metadata = fs::metadata(ancestor).map_err(ClusterError::io("look at", ancestor))?;
            let right_to_enter = if metadata.uid() == self.uid.as_raw() {
                0o100
            } else if metadata.gid() == self.gid.as_raw() {
                0o010
            } else {
                0o001
            };
            if metadata.mode() & right_to_enter == 0 {
                return Err(ClusterError::Unreachable {
                    user: self.name.clone(),
                    obstacle: ancestor.to_owned(),
                });
            }
        }
        Ok(())
    }
}

/// The directories of a cluster and its user.
#[derive(Debug, Clone)]
pub(super) struct Place {
    /// Everything is below it; an absolute path without symbolic links.
    pub(super) directory: PathBuf,
    /// Where the socket is: below the directory, unless that path would be too long.
    pub(super) socket_directory: PathBuf,
    /// As whom the server runs.
    pub(super) user: ServerUser,
}

impl Place {
    /// Makes the directories and takes them into use. The lock is held as long as the file is open.
    pub(super) fn take(options: &Options) -> Result<(Self, File), ClusterError> {
        let wanted = &options.directory;
        fs::create_dir_all(wanted).map_err(ClusterError::io("create", wanted))?;
        let directory = wanted.canonicalize().map_err(ClusterError::io("look at", wanted))?;
        let lock_path = directory.join("lock");
        if !lock_path.exists() && !is_empty(&directory)? {
            return Err(ClusterError::NotACluster { directory });
        }
        let lock = take_lock(&lock_path, &directory)?;

        let user = ServerUser::choose(&directory.join("data"))?;
        user.check_can_reach(&directory)?;
        user.own(&directory)?;
        fs::set_permissions(&directory, fs::Permissions::from_mode(0o700))
            .map_err(ClusterError::io("close", &directory))?;
        let socket_directory = choose_socket_directory(options, &directory)?;
        make_private_directory(&socket_directory, &user)?;
        let place = Self { directory, socket_directory, user };
        place.renew_log()?;
        Ok((place, lock))
    }

    pub(super) fn data(&self) -> PathBuf {
        self.directory.join("data")
    }

    pub(super) fn log(&self) -> PathBuf {
        self.directory.join("postgresql.log")
    }

    pub(super) fn socket(&self) -> PathBuf {
        self.socket_directory.join(format!(".s.PGSQL.{PORT}"))
    }

    /// The major version that made the data, or `None` when there is no data yet.
    pub(super) fn data_version(&self) -> Result<Option<String>, ClusterError> {
        let path = self.data().join("PG_VERSION");
        match fs::read_to_string(&path) {
            Ok(version) => Ok(Some(version.trim().to_owned())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(ClusterError::io("read", &path)(error)),
        }
    }

    /// Removes what a killed server left behind. Called when nothing runs in the data directory any more; the server
    /// itself would be afraid of any process that has the old one's number by now.
    pub(super) fn clear_stale_files(&self) -> Result<(), ClusterError> {
        let mut stale = vec![self.data().join("postmaster.pid")];
        if self.socket_directory.starts_with(&self.directory) {
            stale.push(self.socket());
            stale.push(self.socket().with_extension(format!("{PORT}.lock")));
        }
        for path in stale {
            match fs::remove_file(&path) {
                Ok(()) => (),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => (),
                Err(error) => return Err(ClusterError::io("remove", &path)(error)),
            }
        }
        Ok(())
    }

    /// Whether there is too little space left even for a server that has its data already.
    pub(super) fn is_full(&self) -> bool {
        nix::sys::statvfs::statvfs(&self.directory).is_ok_and(|system| {
            let free = system.blocks_available().saturating_mul(system.fragment_size());
            free < 1024 * 1024
        })
    }

    /// Each start has a log of its own; the one before is kept.
    fn renew_log(&self) -> Result<(), ClusterError> {
        let log = self.log();
        if log.exists() {
            let old = self.directory.join("postgresql.log.old");
            fs::rename(&log, &old).map_err(ClusterError::io("rename", &log))?;
        }
        File::create(&log).map_err(ClusterError::io("create", &log))?;
        self.user.own(&log)
    }
}

fn is_empty(directory: &Path) -> Result<bool, ClusterError> {
    let mut entries = fs::read_dir(directory).map_err(ClusterError::io("read", directory))?;
    Ok(entries.next().is_none())
}

fn take_lock(path: &Path, directory: &Path) -> Result<File, ClusterError> {
    let mut lock = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .map_err(ClusterError::io("open", path))?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            let _ = lock.read_to_string(&mut holder);
            return Err(ClusterError::Busy {
                directory: directory.to_owned(),
                process: holder.trim().parse().ok(),
            });
        }
        Err(TryLockError::Error(error)) => return Err(ClusterError::io("lock", path)(error)),
    }
    lock.set_len(0)
        .and_then(|()| writeln!(lock, "{}", std::process::id()))
        .map_err(ClusterError::io("write", path))?;
    Ok(lock)
}

/// Below the cluster's directory if the system can take a path of that length, else in a short place whose name follows
/// from the directory's.
fn choose_socket_directory(options: &Options, directory: &Path) -> Result<PathBuf, ClusterError> {
    let name = format!(".s.PGSQL.{PORT}");
    let fits = |candidate: &PathBuf| candidate.join(&name).as_os_str().len() <= LONGEST_SOCKET;
    if let Some(wanted) = &options.socket_directory {
        return if fits(wanted) {
            Ok(wanted.clone())
        } else {
            Err(ClusterError::Socket {
                reason: format!("the path {} is too long for a socket", wanted.display()),
            })
        };
    }
    let mut hasher = DefaultHasher::new();
    directory.hash(&mut hasher);
    let short = format!("koschei-{:016x}", hasher.finish());
    [directory.join("socket"), std::env::temp_dir().join(&short), Path::new("/tmp").join(&short)]
        .into_iter()
        .find(fits)
        .ok_or_else(|| ClusterError::Socket {
            reason: format!("the path {} is too long for one", directory.display()),
        })
}

/// A directory that only the server's user can enter. One that is there already must be that user's.
fn make_private_directory(path: &Path, user: &ServerUser) -> Result<(), ClusterError> {
    match fs::DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => user.own(path),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            let metadata = fs::symlink_metadata(path).map_err(ClusterError::io("look at", path))?;
            let is_ours = metadata.is_dir()
                && metadata.uid() == user.uid.as_raw()
                && metadata.mode() & 0o077 == 0;
            if is_ours {
                Ok(())
            } else {
                Err(ClusterError::Socket {
                    reason: format!(
                        "{} exists and is not a private directory of the user {}",
                        path.display(),
                        user.name
                    ),
                })
            }
        }
        Err(error) => Err(ClusterError::io("create", path)(error)),
    }
}
