//! Epoch, version, release: what orders the builds of one package.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use crate::{ParseError, rpmvercmp};

/// Epoch, version and release of a package.
///
/// Ordered by RPM's rules, and equal when RPM says so: `1.0-1` equals `1.00-1`. Printed as
/// `[epoch:]version-release`, the epoch only when it is not 0.
#[derive(Debug, Clone, Default)]
pub struct Evr {
    /// 0 when the package has none.
    pub epoch: u32,
    /// Upstream's version; never contains `-` in a real package.
    pub version: String,
    /// The packager's release; empty when it is not known.
    pub release: String,
}

/// A borrowed [`Evr`].
#[derive(Debug, Clone, Copy)]
pub struct EvrRef<'a> {
    /// 0 when the package has none.
    pub epoch: u32,
    /// Upstream's version.
    pub version: &'a str,
    /// The packager's release; empty when it is not known.
    pub release: &'a str,
}

impl Evr {
    /// Puts an EVR together from its parts.
    pub fn new(epoch: u32, version: impl Into<String>, release: impl Into<String>) -> Self {
        Evr { epoch, version: version.into(), release: release.into() }
    }

    /// The same, borrowed.
    pub fn as_ref(&self) -> EvrRef<'_> {
        EvrRef { epoch: self.epoch, version: &self.version, release: &self.release }
    }
}

impl EvrRef<'_> {
    /// The same, owned.
    pub fn to_owned(self) -> Evr {
        Evr::new(self.epoch, self.version, self.release)
    }
}

impl Ord for EvrRef<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.epoch
            .cmp(&other.epoch)
            .then_with(|| rpmvercmp(self.version, other.version))
            // Any release is more than none, even one that says nothing but separators or begins with a tilde.
            .then_with(|| other.release.is_empty().cmp(&self.release.is_empty()))
            .then_with(|| rpmvercmp(self.release, other.release))
    }
}

impl PartialOrd for EvrRef<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for EvrRef<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for EvrRef<'_> {}

impl Ord for Evr {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_ref().cmp(&other.as_ref())
    }
}

impl PartialOrd for Evr {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Evr {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Evr {}

impl fmt::Display for EvrRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.epoch != 0 || begins_like_an_epoch(self.version) {
            write!(f, "{}:", self.epoch)?;
        }
        f.write_str(self.version)?;
        // A hyphen within the version would otherwise begin the release.
        if !self.release.is_empty() || self.version.contains('-') {
            write!(f, "-{}", self.release)?;
        }
        Ok(())
    }
}

/// A version such as `5:1` needs its epoch before it, even 0, or 5 would be read as one.
fn begins_like_an_epoch(version: &str) -> bool {
    version
        .split_once(':')
        .is_some_and(|(digits, _)| !digits.is_empty() && digits.bytes().all(|c| c.is_ascii_digit()))
}

impl fmt::Display for Evr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_ref().fmt(f)
    }
}

impl FromStr for Evr {
    type Err = ParseError;

    /// `[epoch:]version[-release]`; the release begins after the last `-`, as in libsolv.
    fn from_str(text: &str) -> Result<Self, ParseError> {
        let (epoch, version, release) =
            split_evr(text).map_err(|reason| ParseError::new(text, "a version", reason))?;
        Ok(Evr::new(epoch.unwrap_or(0), version, release.unwrap_or("")))
    }
}

/// Splits `[epoch:]version[-release]`, keeping apart what is absent and what is empty.
pub(crate) fn split_evr(text: &str) -> Result<(Option<u32>, &str, Option<&str>), &'static str> {
    if text.chars().any(char::is_whitespace) {
        return Err("a version has no spaces");
    }
    let (epoch, rest) = match text.split_once(':') {
        Some((digits, rest))
            if digits.bytes().all(|c| c.is_ascii_digit()) && !digits.is_empty() =>
        {
            (Some(digits.parse().map_err(|_| "the epoch is too large")?), rest)
        }
        // Whatever else a colon may mean, it does not end an epoch (libsolv sees it so, too).
        _ => (None, text),
    };
    let (version, release) = match rest.rsplit_once('-') {
        Some((version, release)) => (version, Some(release)),
        None => (rest, None),
    };
    if version.is_empty() {
        return Err("the version is empty");
    }
    Ok((epoch, version, release))
}
