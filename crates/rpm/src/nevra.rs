//! Name, epoch, version, release, architecture: what names one binary package.

use std::fmt;
use std::str::FromStr;

use crate::{EvrRef, ParseError};

/// The full name of one package.
///
/// Unlike [`Evr`](crate::Evr), two of these are equal only when they are spelled alike: this is an identity,
/// not an order. Printed as `name-epoch:version-release.arch`, the epoch always present.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Nevra {
    /// The package's name.
    pub name: String,
    /// 0 when the package has none.
    pub epoch: u32,
    /// Upstream's version.
    pub version: String,
    /// The packager's release.
    pub release: String,
    /// `x86_64`, `noarch`, …; `src` or `nosrc` for a source package.
    pub arch: String,
}

impl Nevra {
    /// Puts a NEVRA together from its parts.
    pub fn new(
        name: impl Into<String>,
        epoch: u32,
        version: impl Into<String>,
        release: impl Into<String>,
        arch: impl Into<String>,
    ) -> Self {
        Nevra {
            name: name.into(),
            epoch,
            version: version.into(),
            release: release.into(),
            arch: arch.into(),
        }
    }

    /// The part that orders packages of one name.
    pub fn evr(&self) -> EvrRef<'_> {
        EvrRef { epoch: self.epoch, version: &self.version, release: &self.release }
    }

    /// Whether this is a source package.
    pub fn is_source(&self) -> bool {
        self.arch == "src" || self.arch == "nosrc"
    }

    /// `name-version-release`, as Koji names builds.
    pub fn nvr(&self) -> String {
        format!("{}-{}-{}", self.name, self.version, self.release)
    }

    /// `name-version-release.arch.rpm`, as files are named.
    pub fn file_name(&self) -> String {
        format!("{}-{}-{}.{}.rpm", self.name, self.version, self.release, self.arch)
    }

    /// Reads `name-version-release.arch`, with or without `.rpm` at its end; the epoch, which such a name does
    /// not tell, is 0 unless the version is written `epoch:version`.
    pub fn from_nvra(text: &str) -> Result<Self, ParseError> {
        let fail = |reason: &str| {
            ParseError::new(text, "a package name with version, release and arch", reason)
        };
        let trimmed = text.strip_suffix(".rpm").unwrap_or(text);
        let (nvr, arch) = trimmed.rsplit_once('.').ok_or_else(|| fail("it has no architecture"))?;
        let (nv, release) = nvr.rsplit_once('-').ok_or_else(|| fail("it has no release"))?;
        let (name, version) = nv.rsplit_once('-').ok_or_else(|| fail("it has no version"))?;
        let (epoch, version) = match version.split_once(':') {
            Some((epoch, version)) => {
                (epoch.parse().map_err(|_| fail("its epoch is not a number"))?, version)
            }
            None => (0, version),
        };
        if version.contains(':') {
            return Err(fail("its version has a colon in it"));
        }
        if name.is_empty() || version.is_empty() || release.is_empty() || arch.is_empty() {
            return Err(fail("one of its parts is empty"));
        }
        Ok(Nevra::new(name, epoch, version, release, arch))
    }
}

impl fmt::Display for Nevra {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}:{}-{}.{}", self.name, self.epoch, self.version, self.release, self.arch)
    }
}

impl FromStr for Nevra {
    type Err = ParseError;

    /// The same as [`Nevra::from_nvra`].
    fn from_str(text: &str) -> Result<Self, ParseError> {
        Nevra::from_nvra(text)
    }
}
