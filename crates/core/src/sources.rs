//! Where things lie below Koji's top directory and its address: repositories and source packages
//! (spec/koji.md, "Repos" and "build").

/// The source to name when submitting a build: `path` is that of the source package below Koji's top directory, `root`
/// is how to get there from Koji's directory `work` (`srpm_relative_path_root`).
pub fn build_source(root: &str, path: &str) -> String {
    format!("{}/{path}", root.trim_end_matches('/'))
}

/// Name, version and release of a source package.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Nvr {
    /// Name of the source package.
    pub name: String,
    /// Version.
    pub version: String,
    /// Release.
    pub release: String,
}

impl Nvr {
    /// Reads a source that [`build_source`] wrote, of whatever volume; `None` for anything else.
    pub fn from_build_source(root: &str, source: &str) -> Option<Self> {
        let path = source.strip_prefix(root.trim_end_matches('/'))?.strip_prefix('/')?;
        let path = match path.strip_prefix("vol/") {
            Some(rest) => rest.split_once('/')?.1,
            None => path,
        };
        let mut parts = path.strip_prefix("packages/")?.split('/');
        let (name, version, release) = (parts.next()?, parts.next()?, parts.next()?);
        if parts.next() != Some("src") || [name, version, release].contains(&"") {
            return None;
        }
        let nvr = Self { name: name.into(), version: version.into(), release: release.into() };
        (parts.next()? == format!("{nvr}.src.rpm") && parts.next().is_none()).then_some(nvr)
    }
}

impl std::fmt::Display for Nvr {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}-{}", self.name, self.version, self.release)
    }
}

/// Address of one generation of a build tag's repository, for one architecture; Koji's directories have the names of
/// canonical ones.
pub fn repo_url(topurl: &str, build_tag: &str, repo_id: i64, arch: &str) -> String {
    let (top, arch) = (topurl.trim_end_matches('/'), koji::arch::canonical(arch));
    format!("{top}/repos/{build_tag}/{repo_id}/{arch}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn nvr(name: &str, version: &str, release: &str) -> Nvr {
        Nvr { name: name.into(), version: version.into(), release: release.into() }
    }

    #[test]
    fn the_source_of_a_build_is_relative_to_the_work_directory() {
        let path = "packages/zlib/1.3.1/2.fc40/src/zlib-1.3.1-2.fc40.src.rpm";
        let source = "../packages/zlib/1.3.1/2.fc40/src/zlib-1.3.1-2.fc40.src.rpm";
        assert_eq!(build_source("..", path), source);
        assert_eq!(build_source("../", path), source);
        assert_eq!(Nvr::from_build_source("..", source), Some(nvr("zlib", "1.3.1", "2.fc40")));
    }

    #[test]
    fn other_volumes_have_a_directory_of_their_own() {
        let source = "../vol/archive/packages/zlib/1.3.1/2.fc40/src/zlib-1.3.1-2.fc40.src.rpm";
        assert_eq!(Nvr::from_build_source("..", source), Some(nvr("zlib", "1.3.1", "2.fc40")));
    }

    #[test]
    fn other_sources_are_not_ours() {
        for source in [
            "git+https://src.fedoraproject.org/rpms/zlib.git#abc",
            "cli-build/1700000000.1/zlib-1.3.1-2.fc40.src.rpm",
            "../packages/zlib/1.3.1/2.fc40/src/other-1.3.1-2.fc40.src.rpm",
            "../packages/zlib/1.3.1/2.fc40/x86_64/zlib-1.3.1-2.fc40.src.rpm",
            "../packages/zlib/1.3.1/2.fc40/src/zlib-1.3.1-2.fc40.src.rpm/more",
            "../packages///src/--.src.rpm",
            "",
        ] {
            assert_eq!(Nvr::from_build_source("..", source), None, "{source}");
        }
    }

    #[test]
    fn a_repo_has_an_address_per_architecture() {
        assert_eq!(
            repo_url("https://kojipkgs.example.org/", "f40-build", 123, "x86_64"),
            "https://kojipkgs.example.org/repos/f40-build/123/x86_64"
        );
        assert_eq!(repo_url("http://x", "t", 1, "i686"), "http://x/repos/t/1/i386");
        assert_eq!(repo_url("http://x", "t", 1, "armv7hl"), "http://x/repos/t/1/armhfp");
    }

    proptest! {
        #[test]
        fn what_is_submitted_is_recognised(
            name in "[a-z][a-z0-9+-]{0,10}", version in "[0-9][0-9.~^]{0,6}",
            release in "[0-9]{1,3}\\.fc40", volume in "(|vol/vol1/|vol/archive/)",
        ) {
            let nvr = nvr(&name, &version, &release);
            let path = format!("{volume}packages/{name}/{version}/{release}/src/{nvr}.src.rpm");
            prop_assert_eq!(Nvr::from_build_source("..", &build_source("..", &path)), Some(nvr));
        }
    }
}
