//! rpm-md: the files that describe a repository (what `createrepo_c` writes and dnf reads).
//!
//! `repodata/repomd.xml` lists the others with their checksums; `primary` has one entry for each package with all
//! its relations; `filelists` has all its files; a comps file has the groups. Everything is read as a stream, so that
//! memory does not depend on the size of the repository, and with bounds, because it comes from outside.
//!
//! | module | what |
//! | --- | --- |
//! | [`repomd`] | the index: which file is where, how big, which checksum |
//! | [`primary`] | packages one after the other |
//! | [`filelists`] | paths one after the other |
//! | [`comps`] | groups |
//! | [`write`](mod@write) | the other direction: a directory that dnf accepts |
//! | [`decompress`] | gz, xz, zst and bz2, told apart by their first bytes |
//! | [`checksum`] | sha256 and its relatives |
//!
//! # What is XML
//!
//! Readers accept what XML 1.0 calls well-formed and refuse what it does not, in UTF-8 and in no other encoding; expat
//! is the judge of that in tests. Two things are simpler than the standard. Entities other than XML's own five are
//! refused even where the document declares them, so nothing expands; and prefixes are not looked at: an element is what
//! its name without the prefix says.
//!
//! # Bounds
//!
//! Any bytes at all give packages or one error that names file and line. Whatever the bytes:
//!
//! | what | at most | real ones |
//! | --- | --- | --- |
//! | [`primary`] decompressed | 4 GiB | 0.2 GiB |
//! | [`filelists`] decompressed | 8 GiB | 1 GiB |
//! | [`comps`], [`repomd`] decompressed | 16 MiB | 2 MiB, 10 kB |
//! | memory of a decompressor | 128 MiB | 8 to 65 MiB |
//! | a tag or a text | 4 MiB | 100 kB |
//! | attributes of a tag | 1000 | 6 |
//! | elements within each other | 16 | 5 |
//! | relations and files of one package | 1,000,000 | 30,000 |
//! | XML of one package | 64 MiB | 2 MiB |
//! | files that `repomd.xml` lists | 1000 | 12 |
//! | parentheses within each other in a rich dependency | [64](crate::MAX_NESTING) | 4 |
//! | operands of a rich dependency | 4096 | 10 |
//!
//! Numbers that a file tells about itself (`packages="1000000000"`, sizes) are never believed: memory grows with what
//! is really there. A whole universe has bounds of its own, see `depsolve::LoadError`.

pub mod checksum;
pub mod comps;
pub mod decompress;
pub mod filelists;
mod package;
pub mod primary;
pub mod repomd;
pub mod write;
mod xml;

pub use checksum::Checksum;
pub use package::{Package, Requirement, Sizes, is_primary_path};

/// Why metadata could not be read or written.
///
/// Malformed data stays malformed; only [`Error::Io`] may go away by trying again.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The bytes could not be read or written, or could not be decompressed.
    #[error("{file}: {source}")]
    Io {
        /// Which kind of file: `primary.xml`, …
        file: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The bytes are not what they should be.
    #[error("{file}, line {line}: {reason}")]
    Malformed {
        /// Which kind of file: `primary.xml`, …
        file: String,
        /// Counted from 1 in the decompressed text.
        line: u64,
        /// What is wrong.
        reason: String,
    },
}

impl Error {
    /// Whether trying again may help.
    pub fn is_transient(&self) -> bool {
        match self {
            Error::Io { source, .. } => {
                use std::io::ErrorKind::{InvalidData, InvalidInput, UnexpectedEof, Unsupported};
                !matches!(source.kind(), InvalidData | InvalidInput | UnexpectedEof | Unsupported)
            }
            Error::Malformed { .. } => false,
        }
    }
}
