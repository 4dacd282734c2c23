//! `repomd.xml`: the index of a repository.

use std::io::Read;

use super::xml::{Event, Scanner, shown_name};
use super::{Checksum, Error};

/// How large the file may be when decompressed; real ones have a few kilobytes.
pub const LIMIT: u64 = 16 << 20;

/// How many files an index may list; real ones list about a dozen.
const MAX_FILES: usize = 1000;

/// The index: which metadata files there are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Repomd {
    /// Changes with every generation; a number or a time in seconds since 1970.
    pub revision: String,
    /// One entry for each metadata file.
    pub files: Vec<MetadataFile>,
}

/// One metadata file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MetadataFile {
    /// `primary`, `filelists`, `group`, …
    pub kind: String,
    /// Relative to the repository (not to `repodata/`).
    pub location: String,
    /// Of the file as it is.
    pub checksum: Option<Checksum>,
    /// Of the decompressed file.
    pub open_checksum: Option<Checksum>,
    /// In bytes, as it is.
    pub size: Option<u64>,
    /// In bytes, decompressed.
    pub open_size: Option<u64>,
    /// Seconds since 1970.
    pub timestamp: Option<u64>,
}

impl Repomd {
    /// Reads `repomd.xml`.
    pub fn read(reader: impl Read) -> Result<Self, Error> {
        let mut scanner = Scanner::new(reader, "repomd.xml", LIMIT)?;
        let mut repomd = Repomd::default();
        let mut in_data = false;
        let mut seen_root = false;
        let mut text = String::new();
        loop {
            let mut element = Element::Other;
            match scanner.next()? {
                Event::Eof => break,
                Event::End("data") => in_data = false,
                Event::Start(start) => {
                    let mut kind = String::new();
                    let mut href = String::new();
                    for (key, value) in start.attributes() {
                        match key {
                            "type" => kind = value.into_owned(),
                            "href" => href = value.into_owned(),
                            _ => {}
                        }
                    }
                    element = match (start.local_name(), in_data) {
                        ("repomd", false) => Element::Root,
                        ("revision", false) => Element::Revision,
                        ("data", false) => Element::Data(kind),
                        ("location", true) => Element::Location(href),
                        ("checksum", true) => Element::Checksum(kind),
                        ("open-checksum", true) => Element::OpenChecksum(kind),
                        ("size", true) => Element::Size,
                        ("open-size", true) => Element::OpenSize,
                        ("timestamp", true) => Element::Timestamp,
                        _ => Element::Other,
                    };
                }
                _ => {}
            }
            match element {
                Element::Root => {
                    seen_root = true;
                    continue;
                }
                Element::Data(kind) => {
                    if repomd.files.len() >= MAX_FILES {
                        return Err(scanner.malformed("more files than any repository has"));
                    }
                    repomd.files.push(MetadataFile { kind, ..MetadataFile::default() });
                    in_data = true;
                    continue;
                }
                Element::Other => continue,
                Element::Revision => {
                    scanner.text(&mut text)?;
                    repomd.revision = text.trim().to_owned();
                    continue;
                }
                _ => {}
            }
            if !matches!(element, Element::Location(_)) {
                scanner.text(&mut text)?;
            }
            let value = text.trim();
            let Some(file) = repomd.files.last_mut() else { continue };
            match element {
                Element::Location(href) => file.location = href,
                Element::Checksum(kind) => {
                    file.checksum = Some(Checksum { kind, value: value.to_ascii_lowercase() });
                }
                Element::OpenChecksum(kind) => {
                    file.open_checksum = Some(Checksum { kind, value: value.to_ascii_lowercase() });
                }
                Element::Size => file.size = value.parse().ok(),
                Element::OpenSize => file.open_size = value.parse().ok(),
                // createrepo of old wrote fractions of seconds.
                Element::Timestamp => {
                    file.timestamp =
                        value.split('.').next().and_then(|seconds| seconds.parse().ok());
                }
                Element::Root | Element::Revision | Element::Data(_) | Element::Other => {}
            }
        }
        if !seen_root {
            return Err(scanner.malformed("there is no element repomd"));
        }
        if let Some(file) = repomd.files.iter().find(|file| file.location.is_empty()) {
            let reason = format!("the entry of type {} has no location", shown_name(&file.kind));
            return Err(scanner.malformed(reason));
        }
        Ok(repomd)
    }

    /// The file of one kind: `primary`, `filelists`, …
    pub fn get(&self, kind: &str) -> Option<&MetadataFile> {
        self.files.iter().find(|file| file.kind == kind)
    }
}

enum Element {
    Root,
    Revision,
    Data(String),
    Location(String),
    Checksum(String),
    OpenChecksum(String),
    Size,
    OpenSize,
    Timestamp,
    Other,
}
