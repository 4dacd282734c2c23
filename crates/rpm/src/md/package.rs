//! One package as rpm-md describes it.

use super::Checksum;
use crate::{Dep, Nevra, Relation};

/// Everything that primary and filelists say about one package.
///
/// `Package::default()` with a few fields set is a legal package, which keeps tests and simulators short.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Package {
    /// Name, epoch, version, release, architecture.
    pub nevra: Nevra,
    /// One line for people.
    pub summary: String,
    /// Some lines for people. Not filled in by the reader, which has no use for it.
    pub description: String,
    /// Project's page.
    pub url: String,
    /// Licence tag.
    pub license: String,
    /// Who built it, as a company.
    pub vendor: String,
    /// File name of the source package it was built from; `None` for source packages.
    pub source_rpm: Option<String>,
    /// Where the file is, relative to the repository.
    pub location: String,
    /// Of the whole file; also the key that joins primary and filelists.
    pub checksum: Checksum,
    /// Sizes of file, contents and archive.
    pub size: Sizes,
    /// Seconds since 1970.
    pub build_time: i64,
    /// Modification time of the file, seconds since 1970.
    pub file_time: i64,
    /// What it provides, itself (`name = EVR`) included.
    pub provides: Vec<Relation>,
    /// What it requires, in the order of the file.
    pub requires: Vec<Requirement>,
    /// What must not be installed beside it.
    pub conflicts: Vec<Dep>,
    /// Which packages (by name, not by provides) it replaces.
    pub obsoletes: Vec<Relation>,
    /// Weak: installed with it if possible.
    pub recommends: Vec<Dep>,
    /// Weak: preferred when there is a choice.
    pub suggests: Vec<Dep>,
    /// Weak, backwards: it is installed if possible when these are.
    pub supplements: Vec<Dep>,
    /// Weak, backwards: it is preferred when these are installed.
    pub enhances: Vec<Dep>,
    /// Paths. The reader of primary fills in those that primary tells, the writer needs all of them.
    pub files: Vec<String>,
}

/// A requirement with the mark that it must be met before scripts run, which changes nothing for solving.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requirement {
    /// What is required.
    pub dep: Dep,
    /// `pre="1"`: needed by an installation script.
    pub pre: bool,
}

impl From<Dep> for Requirement {
    fn from(dep: Dep) -> Self {
        Requirement { dep, pre: false }
    }
}

impl From<Relation> for Requirement {
    fn from(relation: Relation) -> Self {
        Requirement { dep: Dep::Relation(relation), pre: false }
    }
}

/// Sizes in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sizes {
    /// Of the package file.
    pub package: u64,
    /// Of the installed files.
    pub installed: u64,
    /// Of the uncompressed archive.
    pub archive: u64,
}

/// Whether createrepo lists a path in primary already, so that its absence there says that no package has it:
/// `/etc/…`, anything with `bin/` in it, `/usr/lib/sendmail`.
pub fn is_primary_path(path: &str) -> bool {
    path.starts_with("/etc/") || path.contains("bin/") || path == "/usr/lib/sendmail"
}
