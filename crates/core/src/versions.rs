//! Which of two builds is newer: comparison of epoch, version and release as the database and Koji give them.

use std::cmp::Ordering;

use rpm::EvrRef;

/// Epoch, version and release of a build. No epoch equals epoch 0.
#[derive(Debug, Clone, Copy)]
pub struct BuildVersion<'a> {
    /// Epoch; negative ones do not exist and count as 0.
    pub epoch: Option<i64>,
    /// Version.
    pub version: &'a str,
    /// Release.
    pub release: &'a str,
}

impl BuildVersion<'_> {
    fn evr(&self) -> EvrRef<'_> {
        let epoch = u32::try_from(self.epoch.unwrap_or(0)).unwrap_or(0);
        EvrRef { epoch, version: self.version, release: self.release }
    }
}

/// RPM's order of the two versions.
pub fn compare(a: BuildVersion<'_>, b: BuildVersion<'_>) -> Ordering {
    a.evr().cmp(&b.evr())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version<'a>(epoch: Option<i64>, version: &'a str, release: &'a str) -> BuildVersion<'a> {
        BuildVersion { epoch, version, release }
    }

    #[test]
    fn order_is_that_of_rpm() {
        use Ordering::{Equal, Greater, Less};
        for (a, b, order) in [
            (version(None, "1", "1"), version(Some(0), "1", "1"), Equal),
            (version(None, "1", "2"), version(None, "1", "10"), Less),
            (version(Some(1), "1", "1"), version(None, "2", "1"), Greater),
            (version(None, "1~rc1", "1"), version(None, "1", "1"), Less),
        ] {
            assert_eq!(compare(a, b), order, "{a:?} {b:?}");
        }
    }
}
