//! Checksums as rpm-md names them.
//!
//! They tell damage, not malice: whoever can change a repository can change its index as well. So sha1 (which old
//! versions of createrepo call `sha`) and md5 are as good as any here, and the repositories of old releases are
//! checked like new ones. New ones are written with sha256.

use std::fmt;
use std::io::{self, Read};

use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha224, Sha256, Sha384, Sha512};

use super::xml::shown_name;

/// A checksum of a known kind, in lower-case hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Checksum {
    /// `sha256`, `sha512`, … as in the attribute `type`.
    pub kind: String,
    /// Lower-case hexadecimal digits.
    pub value: String,
}

impl Default for Checksum {
    fn default() -> Self {
        Checksum { kind: "sha256".to_owned(), value: String::new() }
    }
}

impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind, self.value)
    }
}

impl Checksum {
    /// The sha256 of some bytes.
    pub fn sha256(bytes: &[u8]) -> Self {
        Checksum { kind: "sha256".to_owned(), value: hex(&Sha256::digest(bytes)) }
    }

    /// Something that computes a checksum of the same kind; `None` for kinds that are not known here.
    pub fn hasher(&self) -> Option<Hasher> {
        Hasher::new(&self.kind)
    }

    /// The same, for those who refuse what they cannot verify.
    pub fn verifier(&self) -> Result<Hasher, UnknownKind> {
        self.hasher().ok_or_else(|| UnknownKind { kind: self.kind.clone() })
    }

    /// Reads everything and tells whether it has this checksum.
    pub fn matches(&self, mut reader: impl Read) -> io::Result<bool> {
        let Some(mut hasher) = self.hasher() else {
            return Err(io::Error::new(
                io::ErrorKind::Unsupported,
                format!("checksums of type {} are not supported", self.kind),
            ));
        };
        let mut buffer = vec![0; 64 * 1024];
        loop {
            match reader.read(&mut buffer) {
                Ok(0) => break,
                Ok(n) => hasher.update(&buffer[..n]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(hasher.finish().value.eq_ignore_ascii_case(&self.value))
    }
}

/// A checksum that proves nothing, because nobody here knows how it is computed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownKind {
    /// As the index names it; empty where it names none.
    pub kind: String,
}

impl std::error::Error for UnknownKind {}

impl fmt::Display for UnknownKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.kind.is_empty() {
            f.write_str("the kind of its checksum is not told")
        } else {
            write!(f, "its checksum is of the unknown kind {}", shown_name(&self.kind))
        }
    }
}

/// Computes a [`Checksum`] piece by piece.
#[derive(Debug, Clone)]
pub struct Hasher(Kind);

#[derive(Debug, Clone)]
enum Kind {
    Md5(Md5),
    /// With its name: `sha` or `sha1`.
    Sha1(&'static str, Sha1),
    Sha224(Sha224),
    Sha256(Sha256),
    Sha384(Sha384),
    Sha512(Sha512),
}

impl Hasher {
    /// For the kind as rpm-md names it, in small or capital letters.
    pub fn new(kind: &str) -> Option<Self> {
        Some(Hasher(match kind.to_ascii_lowercase().as_str() {
            "md5" => Kind::Md5(Md5::new()),
            "sha" => Kind::Sha1("sha", Sha1::new()),
            "sha1" => Kind::Sha1("sha1", Sha1::new()),
            "sha224" => Kind::Sha224(Sha224::new()),
            "sha256" => Kind::Sha256(Sha256::new()),
            "sha384" => Kind::Sha384(Sha384::new()),
            "sha512" => Kind::Sha512(Sha512::new()),
            _ => return None,
        }))
    }

    /// A new one of the same kind.
    pub fn anew(&self) -> Self {
        Hasher(match &self.0 {
            Kind::Md5(_) => Kind::Md5(Md5::new()),
            Kind::Sha1(name, _) => Kind::Sha1(name, Sha1::new()),
            Kind::Sha224(_) => Kind::Sha224(Sha224::new()),
            Kind::Sha256(_) => Kind::Sha256(Sha256::new()),
            Kind::Sha384(_) => Kind::Sha384(Sha384::new()),
            Kind::Sha512(_) => Kind::Sha512(Sha512::new()),
        })
    }

    /// A new sha256.
    pub fn sha256() -> Self {
        Hasher(Kind::Sha256(Sha256::new()))
    }

    /// Adds some bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.0 {
            Kind::Md5(h) => h.update(bytes),
            Kind::Sha1(_, h) => h.update(bytes),
            Kind::Sha224(h) => h.update(bytes),
            Kind::Sha256(h) => h.update(bytes),
            Kind::Sha384(h) => h.update(bytes),
            Kind::Sha512(h) => h.update(bytes),
        }
    }

    /// The checksum of everything added.
    pub fn finish(self) -> Checksum {
        let (kind, value) = match self.0 {
            Kind::Md5(h) => ("md5", hex(&h.finalize())),
            Kind::Sha1(name, h) => (name, hex(&h.finalize())),
            Kind::Sha224(h) => ("sha224", hex(&h.finalize())),
            Kind::Sha256(h) => ("sha256", hex(&h.finalize())),
            Kind::Sha384(h) => ("sha384", hex(&h.finalize())),
            Kind::Sha512(h) => ("sha512", hex(&h.finalize())),
        };
        Checksum { kind: kind.to_owned(), value }
    }
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    text
}
