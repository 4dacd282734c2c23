//! The files of a repository: what is read can be written and is read back equal; what is refused is refused in
//! one sentence with file and line.

use std::io::Read;

use rpm::md::comps::Comps;
use rpm::md::repomd::Repomd;
use rpm::md::{self, Error, Package, write};
use rpm::{Constraint, Dep};

use super::is_clear;

/// Malformed data names file and line, and no data is worth another try.
fn refused(error: &Error, file: &str) {
    is_clear(error);
    assert!(!error.is_transient(), "{error}: the bytes will be the same tomorrow");
    let text = error.to_string();
    assert!(text.starts_with(&format!("{file}, line ")), "without file and line: {text}");
    assert!(!text.starts_with(&format!("{file}, line 0")), "lines count from 1: {text}");
}

/// Packages up to the first error.
fn packages(data: &[u8]) -> (Vec<Package>, Option<Error>) {
    let mut packages = Vec::new();
    let reader = match md::primary::Reader::new(data) {
        Ok(reader) => reader,
        Err(error) => return (packages, Some(error)),
    };
    for package in reader {
        match package {
            Ok(package) => packages.push(package),
            Err(error) => return (packages, Some(error)),
        }
    }
    (packages, None)
}

/// `primary.xml`
pub(crate) fn primary(data: &[u8]) {
    let (read, error) = packages(data);
    if let Some(error) = error {
        refused(&error, "primary.xml");
    }
    let rewrite = |before: &[Package]| {
        let written = write::complete_primary_xml(before);
        let (after, error) = packages(written.as_bytes());
        assert!(error.is_none(), "what was written is refused: {error:?}\n{written}");
        after
    };
    let again = rewrite(&read);
    let expected: Vec<Package> = read.into_iter().map(as_written).collect();
    if can_be_written(&expected) {
        assert_eq!(again, expected);
    }
    assert_eq!(rewrite(&again), again);
}

/// Whether there are only characters that XML can hold; others are written as U+FFFD.
fn can_be_written(what: &impl std::fmt::Debug) -> bool {
    let shown = format!("{what:?}");
    !shown.contains("\\u{") && !shown.contains("\\0")
}

/// What writing adds: a location and a key for those that have none, an epoch for every version.
fn as_written(mut package: Package) -> Package {
    if package.location.is_empty() {
        package.location = package.nevra.file_name();
    }
    if package.checksum.value.is_empty() {
        package.checksum = md::Checksum::sha256(package.nevra.to_string().as_bytes());
    }
    let with_epoch = |constraint: &mut Option<Constraint>| {
        if let Some(constraint) = constraint {
            constraint.epoch.get_or_insert(0);
        }
    };
    for relation in package.provides.iter_mut().chain(&mut package.obsoletes) {
        with_epoch(&mut relation.constraint);
    }
    let deps = package
        .conflicts
        .iter_mut()
        .chain(&mut package.recommends)
        .chain(&mut package.suggests)
        .chain(&mut package.supplements)
        .chain(&mut package.enhances)
        .chain(package.requires.iter_mut().map(|requirement| &mut requirement.dep));
    for dep in deps {
        if let Dep::Relation(relation) = dep {
            with_epoch(&mut relation.constraint);
        }
    }
    package
}

/// `filelists.xml`
pub(crate) fn filelists(data: &[u8]) {
    let read = |data: &[u8]| {
        let mut found: Vec<(String, String)> = Vec::new();
        let result = md::filelists::read(data, |package, path| {
            found.push((package.to_owned(), path.to_owned()));
        });
        (found, result)
    };
    let (found, result) = read(data);
    if let Err(error) = result {
        refused(&error, "filelists.xml");
    }
    // One package for each path, so that order and repetition survive. An empty key would be made up.
    let packages: Vec<Package> = found
        .iter()
        .filter(|(key, _)| !key.is_empty())
        .map(|(key, path)| Package {
            checksum: md::Checksum { value: key.clone(), ..md::Checksum::default() },
            files: vec![path.clone()],
            ..Package::default()
        })
        .collect();
    let written = write::filelists_xml(&packages);
    let (again, result) = read(written.as_bytes());
    result.unwrap_or_else(|error| panic!("what was written is refused: {error}\n{written}"));
    let kept: Vec<_> = found.into_iter().filter(|(key, _)| !key.is_empty()).collect();
    if can_be_written(&kept) {
        assert_eq!(again, kept, "{written}");
    }
}

/// `repomd.xml`
pub(crate) fn repomd(data: &[u8]) {
    match Repomd::read(data) {
        Ok(repomd) => {
            let written = write::repomd_xml(&repomd);
            let again = Repomd::read(written.as_bytes())
                .unwrap_or_else(|error| panic!("what was written is refused: {error}\n{written}"));
            if can_be_written(&repomd) {
                assert_eq!(again, repomd, "{written}");
            }
            for file in &repomd.files {
                if let Some(checksum) = &file.checksum {
                    let _ = checksum.matches(data);
                }
            }
        }
        Err(error) => refused(&error, "repomd.xml"),
    }
}

/// A comps file.
pub(crate) fn comps(data: &[u8]) {
    match Comps::read(data) {
        Ok(comps) => {
            let written = write::comps_xml(&comps);
            let again = Comps::read(written.as_bytes())
                .unwrap_or_else(|error| panic!("what was written is refused: {error}\n{written}"));
            if can_be_written(&comps) {
                assert_eq!(again, comps, "{written}");
            }
        }
        Err(error) => refused(&error, "comps.xml"),
    }
}

/// Anything compressed: no more comes out than is allowed, and damage is an error that does not go away.
pub(crate) fn decompress(data: &[u8]) {
    const LIMIT: u64 = 1 << 20;
    let result = md::decompress::open(data, LIMIT).and_then(|mut plain| {
        let mut total = 0;
        let mut buffer = [0; 8192];
        loop {
            let n = plain.read(&mut buffer)?;
            if n == 0 {
                return Ok(total);
            }
            total += n as u64;
            assert!(total <= LIMIT, "{total} bytes came out");
        }
    });
    if let Err(source) = result {
        let error = Error::Io { file: "a file".to_owned(), source };
        is_clear(&error);
        assert!(!error.is_transient(), "{error}: the bytes will be the same tomorrow");
    }
}
