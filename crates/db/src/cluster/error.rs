//! Why a private PostgreSQL could not be started: one sentence each, with what to do.

use std::io;
use std::path::{Path, PathBuf};

/// Why the private PostgreSQL could not be started.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// No PostgreSQL server programs were found.
    #[error(
        "PostgreSQL's server programs are not installed (looked in PATH, /usr/lib/postgresql and /usr/pgsql-*): \
         install them with `apt-get install postgresql` (Debian) or `dnf install postgresql-server` (Fedora)"
    )]
    NotInstalled,

    /// The data was made by a version of PostgreSQL that is not here.
    #[error(
        "the data in {} was made by PostgreSQL {version}, which is not installed: install that version, or start \
         over in another directory", .directory.display()
    )]
    OtherVersion {
        /// The cluster's directory.
        directory: PathBuf,
        /// The major version that made it.
        version: String,
    },

    /// Another process runs its PostgreSQL in this directory.
    #[error(
        "{} is in use by another running Koschei{}: stop that one, or use another directory",
        .directory.display(),
        .process.map_or_else(String::new, |process| format!(" (process {process})"))
    )]
    Busy {
        /// The cluster's directory.
        directory: PathBuf,
        /// The process that holds it, if it said so.
        process: Option<u32>,
    },

    /// The directory holds something else.
    #[error(
        "{} holds other files: give PostgreSQL a new or empty directory", .directory.display()
    )]
    NotACluster {
        /// The directory.
        directory: PathBuf,
    },

    /// The user as whom the server has to run cannot get to its directory.
    #[error(
        "PostgreSQL refuses to run as root and would run as {user}, but {user} cannot enter {}: use a directory \
         elsewhere", .obstacle.display()
    )]
    Unreachable {
        /// The user.
        user: String,
        /// The directory on the way that is closed to it.
        obstacle: PathBuf,
    },

    /// We are root, and there is no other user to run the server.
    #[error(
        "PostgreSQL refuses to run as root, and this machine has neither a user postgres nor a user nobody: create one"
    )]
    NoUser,

    /// There is no space left.
    #[error("the disk is full: PostgreSQL needs about 100 MB in {}", .directory.display())]
    DiskFull {
        /// The cluster's directory.
        directory: PathBuf,
    },

    /// Another server listens on the socket.
    #[error(
        "the socket {} is taken by another PostgreSQL server: stop that one, or use another directory",
        .socket.display()
    )]
    SocketTaken {
        /// The socket.
        socket: PathBuf,
    },

    /// The directory of the socket exists and is not ours, or every possible path is too long.
    #[error("no place for PostgreSQL's socket: {reason}")]
    Socket {
        /// What is in the way.
        reason: String,
    },

    /// Something about files.
    #[error("cannot {action} {}: {source}", .path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },

    /// The server, or a program of it, failed for another reason.
    #[error("PostgreSQL could not be started: {reason} (see {})", .log.display())]
    Failed {
        /// Its own words.
        reason: String,
        /// Where it says more.
        log: PathBuf,
    },

    /// A server from before is still in the directory and does not end.
    #[error(
        "a PostgreSQL server from before (process {process}) does not end: stop it with `kill -9 {process}`"
    )]
    LeftOver {
        /// The process.
        process: u32,
    },
}

impl ClusterError {
    /// What the system says about a file, as one of our sentences.
    pub(super) fn io(
        action: &'static str,
        path: &Path,
    ) -> impl FnOnce(io::Error) -> ClusterError + use<> {
        let path = path.to_owned();
        move |source| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Self::DiskFull { directory: path }
            }
            _ => Self::Io { action, path, source },
        }
    }

    /// What PostgreSQL's programs print, as one of our sentences. Their messages are in English, because they are
    /// started in the C locale.
    pub(super) fn from_output(output: &str, directory: &Path, socket: &Path, log: &Path) -> Self {
        let full = ["No space left on device", "Check free disk space", "Disk quota exceeded"];
        if full.iter().any(|words| output.contains(words)) {
            return Self::DiskFull { directory: directory.to_owned() };
        }
        if output.contains(".s.PGSQL.") && output.contains("already exists")
            || output.contains("Address already in use")
        {
            return Self::SocketTaken { socket: socket.to_owned() };
        }
        let reason = output
            .lines()
            .rev()
            .find_map(|line| {
                ["FATAL:", "PANIC:", "initdb: error:", "pg_ctl:"]
                    .iter()
                    .find_map(|mark| line.split_once(mark))
            })
            .map_or_else(
                || output.lines().last().unwrap_or("it gave no reason").trim().to_owned(),
                |(_, reason)| reason.trim().to_owned(),
            );
        Self::Failed { reason, log: log.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn explain(output: &str) -> String {
        ClusterError::from_output(
            output,
            Path::new("/data"),
            Path::new("/data/socket/.s.PGSQL.5432"),
            Path::new("/data/postgresql.log"),
        )
        .to_string()
    }

    #[test]
    fn a_full_disk_is_told_from_what_postgresql_says_about_it() {
        // Printed by PostgreSQL 15's initdb on file systems of 20 MB.
        for output in [
            "2026-11-22 15:58:53.612 UTC [3582] FATAL:  could not extend file \"base/1/2691\": No space left on device\n\
             2026-11-22 15:58:53.612 UTC [3582] HINT:  Check free disk space.\n\
             2026-11-22 15:58:53.612 UTC [3582] PANIC:  cannot abort transaction 1, it was already committed\n\
             Aborted\nchild process exited with exit code 134\n",
            "2026-11-22 15:59:12.656 UTC [4225] FATAL:  could not extend file \"base/1/2691\": wrote only 4096 of 8192 \
             bytes at block 20\n2026-11-22 15:59:12.656 UTC [4225] HINT:  Check free disk space.\n",
        ] {
            assert_eq!(explain(output), "the disk is full: PostgreSQL needs about 100 MB in /data");
        }
    }

    #[test]
    fn any_other_reason_is_given_in_postgresqls_own_words() {
        let output = "pg_ctl: could not start server\nExamine the log output.\n\
             2026-11-22 16:00:00.000 UTC [1] FATAL:  data directory \"/data/data\" has invalid permissions\n\
             2026-11-22 16:00:00.000 UTC [1] DETAIL:  Permissions should be u=rwx (0700).\n";
        assert_eq!(
            explain(output),
            "PostgreSQL could not be started: data directory \"/data/data\" has invalid permissions \
             (see /data/postgresql.log)"
        );
    }
}
