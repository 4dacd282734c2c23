//! Where PostgreSQL's server programs are.
//!
//! Distributions keep them out of PATH: Debian in `/usr/lib/postgresql/VERSION/bin`, the PostgreSQL project's own
//! packages for Fedora in `/usr/pgsql-VERSION/bin`; Fedora itself has them in `/usr/bin`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The programs of one installed version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Programs {
    directory: PathBuf,
}

impl Programs {
    /// All installations, best first: PATH, then the newest.
    pub(super) fn installed() -> Vec<Self> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let mut directories: Vec<PathBuf> = std::env::split_paths(&path).collect();
        directories.extend(newest_first("/usr/lib/postgresql", ""));
        directories.extend(newest_first("/usr", "pgsql-"));
        Self::among(directories)
    }

    fn among(directories: Vec<PathBuf>) -> Vec<Self> {
        directories
            .into_iter()
            .map(|directory| Self { directory })
            .filter(|programs| {
                ["initdb", "pg_ctl", "postgres"].iter().all(|name| programs.path(name).is_file())
            })
            .collect()
    }

    /// The path of a program.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// The major version, as it stands in `PG_VERSION` of a data directory.
    pub(super) fn major_version(&self) -> Option<String> {
        let output = Command::new(self.path("postgres")).arg("--version").output().ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        // "postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)", "postgres (PostgreSQL) 17beta1"
        let version = text.split_whitespace().nth(2)?;
        let major: String = version.chars().take_while(char::is_ascii_digit).collect();
        (!major.is_empty()).then_some(major)
    }
}

/// `parent/PREFIXnumber/bin`, highest number first.
fn newest_first(parent: &str, prefix: &str) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(Path::new(parent)) else { return Vec::new() };
    let mut versions: Vec<(u32, PathBuf)> = entries
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name();
            let version = name.to_str()?.strip_prefix(prefix)?.parse().ok()?;
            Some((version, entry.path().join("bin")))
        })
        .collect();
    versions.sort_by(|a, b| b.cmp(a));
    versions.into_iter().map(|(_, directory)| directory).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_counts_only_when_all_three_programs_are_there() {
        let directory = tempfile::tempdir().unwrap();
        let complete = directory.path().join("complete");
        let partial = directory.path().join("partial");
        for (place, names) in
            [(&complete, &["initdb", "pg_ctl", "postgres"][..]), (&partial, &["initdb"][..])]
        {
            fs::create_dir(place).unwrap();
            for name in names {
                fs::write(place.join(name), "").unwrap();
            }
        }
        let found = Programs::among(vec![partial, complete.clone()]);
        assert_eq!(found, [Programs { directory: complete }]);
    }

    #[test]
    fn versions_are_ordered_as_numbers() {
        let directory = tempfile::tempdir().unwrap();
        for name in ["pgsql-9", "pgsql-17", "pgsql-15", "pgsql-old", "other"] {
            fs::create_dir(directory.path().join(name)).unwrap();
        }
        let found = newest_first(directory.path().to_str().unwrap(), "pgsql-");
        let expected: Vec<PathBuf> = ["pgsql-17", "pgsql-15", "pgsql-9"]
            .iter()
            .map(|name| directory.path().join(name).join("bin"))
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn the_installed_postgresql_says_its_version() {
        let programs = Programs::installed();
        let first = programs.first().expect("PostgreSQL is needed: apt-get install postgresql");
        let version: u32 = first.major_version().unwrap().parse().unwrap();
        assert!(version >= 13, "{version}");
    }
}
