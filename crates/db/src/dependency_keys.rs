//! The packed form of an install set in `build.dependency_keys`.
//!
//! A build keeps the ids (of the table `dependency`) of all packages that were in its buildroot: a few hundred numbers
//! in a few hundred bytes. They are sorted; each is stored as its difference from the one before, as four bytes, big
//! end first; and the whole is compressed as a zlib stream. The original software wrote this form, so it is fixed. The
//! compressed bytes of the same set may differ between implementations of zlib: compare decoded lists only.

use std::io::{Read as _, Write as _};

use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;

use crate::error::Error;

/// No buildroot has more packages than this; more is taken for damage rather than unpacked into memory.
const MOST_PACKAGES: usize = 1_000_000;

/// Why ids could not be packed, or a packed list not read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeysError {
    /// An id is 0 or negative.
    #[error("{0} is not the id of a dependency")]
    NotAnId(i32),
    /// An id stands there twice.
    #[error("the id {0} is repeated")]
    Repeated(i32),
    /// The bytes are not a complete zlib stream.
    #[error("the compressed list cannot be unpacked: {0}")]
    NotZlib(String),
    /// The unpacked bytes are no whole number of ids.
    #[error("the unpacked list has {0} bytes, which is not a multiple of 4")]
    Uneven(usize),
    /// The ids grow out of the range of the database's integers.
    #[error("the list has an id beyond 2147483647")]
    TooLarge,
    /// There are more ids than any buildroot has packages.
    #[error("the list has more than {MOST_PACKAGES} ids")]
    TooLong,
}

impl From<KeysError> for Error {
    fn from(error: KeysError) -> Self {
        Self::Corrupt { what: "a build's list of dependencies".into(), reason: error.to_string() }
    }
}

/// Packs a set of ids, given in any order.
///
/// # Errors
/// When an id is not positive, or repeated.
pub fn encode(ids: &[i32]) -> Result<Vec<u8>, KeysError> {
    let mut sorted = ids.to_vec();
    sorted.sort_unstable();
    let mut packed = ZlibEncoder::new(Vec::new(), Compression::new(6));
    let mut previous = 0;
    for id in sorted {
        if id <= 0 {
            return Err(KeysError::NotAnId(id));
        }
        if id == previous {
            return Err(KeysError::Repeated(id));
        }
        let difference: i32 = id - previous;
        packed.write_all(&difference.to_be_bytes()).map_err(not_zlib)?;
        previous = id;
    }
    packed.finish().map_err(not_zlib)
}

/// Unpacks a set of ids, ascending.
///
/// # Errors
/// When the bytes are damaged.
pub fn decode(packed: &[u8]) -> Result<Vec<i32>, KeysError> {
    let mut bytes = Vec::new();
    let limit = 4 * MOST_PACKAGES as u64;
    // One byte more than allowed tells "too long" from "just fits".
    ZlibDecoder::new(packed).take(limit + 1).read_to_end(&mut bytes).map_err(not_zlib)?;
    if bytes.len() as u64 > limit {
        return Err(KeysError::TooLong);
    }
    let (differences, rest) = bytes.as_chunks::<4>();
    if !rest.is_empty() {
        return Err(KeysError::Uneven(bytes.len()));
    }
    let mut previous: i32 = 0;
    differences
        .iter()
        .map(|difference| {
            let difference = u32::from_be_bytes(*difference);
            if difference == 0 {
                return Err(if previous == 0 {
                    KeysError::NotAnId(0)
                } else {
                    KeysError::Repeated(previous)
                });
            }
            previous = previous.checked_add_unsigned(difference).ok_or(KeysError::TooLarge)?;
            Ok(previous)
        })
        .collect()
}

#[expect(clippy::needless_pass_by_value, reason = "used as a function for map_err")]
fn not_zlib(error: std::io::Error) -> KeysError {
    KeysError::NotZlib(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn hex(text: &str) -> Vec<u8> {
        let digits: Vec<char> = text.chars().filter(|c| !c.is_whitespace()).collect();
        digits
            .chunks(2)
            .map(|pair| u8::from_str_radix(&pair.iter().collect::<String>(), 16).unwrap())
            .collect()
    }

    fn zlib(bytes: &[u8]) -> Vec<u8> {
        let mut packed = ZlibEncoder::new(Vec::new(), Compression::new(6));
        packed.write_all(bytes).unwrap();
        packed.finish().unwrap()
    }

    #[test]
    fn the_worked_examples_are_read() {
        // As Python's zlib module packs them, with which the original software writes.
        let example = hex("789c 63606060666060606260605467601470 0100 01790083");
        assert_eq!(decode(&example), Ok(vec![3, 5, 300, 70000]));
        assert_eq!(decode(&hex("789c030000000001")), Ok(vec![]));
        assert_eq!(decode(&hex("789c63606060040000050002")), Ok(vec![1]));
    }

    #[test]
    fn what_is_written_unpacks_to_the_documented_bytes() {
        let packed = encode(&[5, 3, 300, 70000]).unwrap();
        let mut bytes = Vec::new();
        ZlibDecoder::new(&packed[..]).read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes, hex("00000003 00000002 00000127 00011044"));
        // The header says "deflate, 32 KiB window, default level", as Python's zlib does.
        assert_eq!(packed[..2], [0x78, 0x9c]);
    }

    #[test]
    fn ids_that_no_dependency_can_have_are_refused() {
        assert_eq!(encode(&[3, 0]), Err(KeysError::NotAnId(0)));
        assert_eq!(encode(&[3, -7]), Err(KeysError::NotAnId(-7)));
        assert_eq!(encode(&[3, 9, 3]), Err(KeysError::Repeated(3)));
    }

    #[test]
    fn damaged_lists_are_refused() {
        assert!(matches!(decode(b""), Err(KeysError::NotZlib(_))));
        // A checksum that does not fit.
        let wrong = hex("789c 63606060666060606260605467601470 0100 01790084");
        assert!(matches!(decode(&wrong), Err(KeysError::NotZlib(_))));
        assert!(matches!(decode(b"garbage"), Err(KeysError::NotZlib(_))));
        let packed = encode(&[1, 2, 3]).unwrap();
        assert!(matches!(decode(&packed[..packed.len() - 1]), Err(KeysError::NotZlib(_))));
        assert_eq!(decode(&zlib(&[0, 0, 0, 1, 0])), Err(KeysError::Uneven(5)));
        assert_eq!(decode(&zlib(&[0, 0, 0, 0])), Err(KeysError::NotAnId(0)));
        assert_eq!(decode(&zlib(&[0, 0, 0, 4, 0, 0, 0, 0])), Err(KeysError::Repeated(4)));
        assert_eq!(decode(&zlib(&[0x80, 0, 0, 0])), Err(KeysError::TooLarge));
        assert_eq!(decode(&zlib(&vec![0; 4 * MOST_PACKAGES + 4])), Err(KeysError::TooLong));
    }

    proptest! {
        #[test]
        fn every_set_comes_back_sorted(ids in prop::collection::btree_set(1..=i32::MAX, 0..400)) {
            let sorted: Vec<i32> = ids.iter().copied().collect();
            let mut shuffled = sorted.clone();
            shuffled.reverse();
            prop_assert_eq!(decode(&encode(&shuffled).unwrap()), Ok(sorted));
        }
    }
}
