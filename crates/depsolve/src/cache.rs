//! A universe on disk: its arrays, one after the other, behind a header with a checksum.
//!
//! Loading is reading and one pass over the numbers, which checks that every one of them points into the array that
//! it is about. So a damaged file is refused, and even one that was made on purpose cannot do worse than
//! describe a strange repository.

use std::hash::Hasher;
use std::io::{Read, Write};

use crate::Universe;
use crate::arrays::{FastHasher, Rows, both};
use crate::offers::NONE;
use crate::rich;
use crate::universe::{RICH, SINGLE};

/// The first bytes of every cache file; the number changes with the meaning of what follows.
const MAGIC: [u8; 16] = *b"koschei-univ.013";

/// No repository comes near.
const MAX_SIZE: u64 = 4 << 30;

/// Most are smaller; Debian's takes 20 MB.
const EXPECTED_SIZE: u64 = 64 << 20;

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

/// Every array of a universe, in the order of the file: once for writing, once for reading.
macro_rules! arrays {
    ($universe:expr, $file:ident, $($borrow:tt)*) => {{
        let u = $universe;
        $file.text($($borrow)* u.offers.strings.text)?;
        $file.words($($borrow)* u.offers.strings.ends)?;
        $file.evrs($($borrow)* u.offers.evrs)?;
        $file.rows($($borrow)* u.offers.provides)?;
        $file.words($($borrow)* u.offers.ranges)?;
        $file.words($($borrow)* u.offers.paths)?;
        $file.bytes($($borrow)* u.offers.related)?;
        $file.rows($($borrow)* u.offers.owners)?;
        $file.texts($($borrow)* u.archs)?;
        $file.words($($borrow)* u.names)?;
        $file.words($($borrow)* u.epochs)?;
        $file.words($($borrow)* u.versions)?;
        $file.words($($borrow)* u.releases)?;
        $file.bytes($($borrow)* u.arch)?;
        $file.bytes($($borrow)* u.arch_score)?;
        $file.words($($borrow)* u.name_rank)?;
        $file.words($($borrow)* u.evr_rank)?;
        $file.bytes($($borrow)* u.flags)?;
        $file.rows($($borrow)* u.lists)?;
        $file.words($($borrow)* u.dep_texts)?;
        $file.words($($borrow)* u.dep_lists)?;
        $file.rows($($borrow)* u.requires)?;
        $file.rows($($borrow)* u.successors)?;
        $file.rows($($borrow)* u.clauses)?;
        $file.rows($($borrow)* u.displaced)?;
        $file.rows($($borrow)* u.only_for)?;
        $file.rows($($borrow)* u.clause_lists)?;
        $file.rows($($borrow)* u.requirers)?;
        $file.rows($($borrow)* u.in_clause_lists)?;
        $file.rows($($borrow)* u.general)?;
        $file.words($($borrow)* u.general_place)?;
        $file.rows($($borrow)* u.general_negative)?;
        $file.rows($($borrow)* u.excludes)?;
        $file.rows($($borrow)* u.obsoletes)?;
        $file.rows($($borrow)* u.conflict_deps)?;
        $file.rows($($borrow)* u.obsolete_deps)?;
        $file.rows($($borrow)* u.recommends)?;
        $file.rows($($borrow)* u.suggests)?;
        $file.rows($($borrow)* u.in_recommended)?;
        $file.rows($($borrow)* u.in_suggested)?;
        $file.rows($($borrow)* u.rich_blocks)?;
        $file.rows($($borrow)* u.blocks)?;
        $file.rows($($borrow)* u.in_recommended_blocks)?;
        $file.rows($($borrow)* u.in_suggested_blocks)?;
        $file.rows($($borrow)* u.supplements)?;
        $file.rows($($borrow)* u.enhances)?;
        $file.rows($($borrow)* u.compiled)?;
        $file.words($($borrow)* u.supplementing)?;
        $file.words($($borrow)* u.orphans)?;
        $file.rows($($borrow)* u.orphan_names)?;
        $file.rows($($borrow)* u.reach)?;
        $file.rows($($borrow)* u.versioned_provides)?;
    }};
}

impl Universe {
    /// Writes the universe in its own format, which loads in milliseconds.
    pub fn save(&self, mut writer: impl Write) -> std::io::Result<()> {
        let mut file = Output { out: Vec::new() };
        file.all(self)?;
        writer.write_all(&header(&file.out))?;
        writer.write_all(&file.out)?;
        writer.flush()
    }

    /// Reads what [`Universe::save`] wrote; damage is detected by a checksum.
    pub fn open(mut reader: impl Read) -> Result<Self, CacheError> {
        let mut header = [0; 32];
        reader.read_exact(&mut header).map_err(too_short)?;
        let [length, sum] = [&header[16..24], &header[24..32]].map(|bytes| {
            let mut word = [0; 8];
            word.copy_from_slice(bytes);
            u64::from_le_bytes(word)
        });
        if header[..16] != MAGIC {
            return Err(CacheError::Unusable("it is of another kind or version"));
        }
        if length > MAX_SIZE {
            return Err(CacheError::Unusable("it is larger than any repository"));
        }
        // Memory grows with what is really there, not with what the header promises, beyond a few pages' bookkeeping.
        let mut data = Vec::with_capacity(length.min(EXPECTED_SIZE) as usize + 1);
        reader.take(length + 1).read_to_end(&mut data)?;
        if data.len() as u64 != length {
            return Err(CacheError::Unusable("it has the wrong length"));
        }
        let mut file = Input { rest: &data };
        let (found, universe) = both(|| checksum(&data), || file.all());
        if found != sum {
            return Err(CacheError::Unusable("its checksum is wrong"));
        }
        let mut universe = universe.ok_or(CacheError::Unusable("it ends in the middle"))?;
        if !file.rest.is_empty() {
            return Err(CacheError::Unusable("something follows its end"));
        }
        if !universe.is_sound() {
            return Err(CacheError::Unusable("its numbers contradict each other"));
        }
        universe.index();
        Ok(universe)
    }
}

/// What stands before the arrays: kind and version, length, checksum.
fn header(arrays: &[u8]) -> [u8; 32] {
    let mut header = [0; 32];
    header[..16].copy_from_slice(&MAGIC);
    header[16..24].copy_from_slice(&(arrays.len() as u64).to_le_bytes());
    header[24..].copy_from_slice(&checksum(arrays).to_le_bytes());
    header
}

/// A cache file of any arrays at all, with a checksum that fits. Only to test that even then nothing bad happens.
#[doc(hidden)]
pub fn sealed_cache(arrays: &[u8]) -> Vec<u8> {
    [header(arrays).as_slice(), arrays].concat()
}

fn too_short(error: std::io::Error) -> CacheError {
    if error.kind() == std::io::ErrorKind::UnexpectedEof {
        CacheError::Unusable("it is too short")
    } else {
        CacheError::Io(error)
    }
}

fn checksum(data: &[u8]) -> u64 {
    // Four at once, since each has to wait for its multiplications.
    let mut lanes = [FastHasher::default(); 4];
    let (blocks, _) = data.as_chunks::<32>();
    for block in blocks {
        let (words, _) = block.as_chunks::<8>();
        for (lane, word) in lanes.iter_mut().zip(words) {
            lane.write_u64(u64::from_le_bytes(*word));
        }
    }
    let mut hasher = FastHasher::default();
    for lane in lanes {
        hasher.write_u64(lane.finish());
    }
    hasher.write(&data[blocks.len() * 32..]);
    hasher.write_usize(data.len());
    hasher.finish()
}

struct Output {
    out: Vec<u8>,
}

impl Output {
    fn all(&mut self, universe: &Universe) -> std::io::Result<()> {
        let file = self;
        arrays!(universe, file, &);
        Ok(())
    }

    fn length(&mut self, length: usize) -> std::io::Result<()> {
        let length = u32::try_from(length)
            .map_err(|_| std::io::Error::other("the repository is too large for a cache file"))?;
        self.out.extend_from_slice(&length.to_le_bytes());
        Ok(())
    }

    fn bytes(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.length(bytes.len())?;
        self.out.extend_from_slice(bytes);
        Ok(())
    }

    fn words(&mut self, words: &[u32]) -> std::io::Result<()> {
        self.length(words.len())?;
        self.out.reserve(words.len() * 4);
        self.out.extend(words.iter().flat_map(|word| word.to_le_bytes()));
        Ok(())
    }

    fn text(&mut self, text: &str) -> std::io::Result<()> {
        self.bytes(text.as_bytes())
    }

    fn texts(&mut self, texts: &[String]) -> std::io::Result<()> {
        self.length(texts.len())?;
        texts.iter().try_for_each(|text| self.text(text))
    }

    fn evrs(&mut self, evrs: &[crate::offers::EvrWords]) -> std::io::Result<()> {
        self.length(evrs.len())?;
        for evr in evrs {
            for word in [evr.epoch, evr.version, evr.release] {
                self.out.extend_from_slice(&word.to_le_bytes());
            }
        }
        Ok(())
    }

    fn rows(&mut self, rows: &Rows) -> std::io::Result<()> {
        self.words(&rows.offsets)?;
        self.words(&rows.data)
    }
}

/// Reading gives nothing when the data end too early.
struct Input<'a> {
    rest: &'a [u8],
}

impl<'a> Input<'a> {
    fn all(&mut self) -> Option<Universe> {
        let mut universe = Universe::default();
        let file = self;
        arrays!(&mut universe, file, &mut);
        Some(universe)
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(taken)
    }

    fn length(&mut self) -> Option<usize> {
        let mut word = [0; 4];
        word.copy_from_slice(self.take(4)?);
        Some(u32::from_le_bytes(word) as usize)
    }

    fn bytes(&mut self, into: &mut Vec<u8>) -> Option<()> {
        let length = self.length()?;
        into.extend_from_slice(self.take(length)?);
        Some(())
    }

    fn words(&mut self, into: &mut Vec<u32>) -> Option<()> {
        let length = self.length()?;
        let bytes = self.take(length.checked_mul(4)?)?;
        into.extend(bytes.chunks_exact(4).map(|word| {
            let mut bytes = [0; 4];
            bytes.copy_from_slice(word);
            u32::from_le_bytes(bytes)
        }));
        Some(())
    }

    fn text(&mut self, into: &mut String) -> Option<()> {
        let length = self.length()?;
        into.push_str(std::str::from_utf8(self.take(length)?).ok()?);
        Some(())
    }

    fn texts(&mut self, into: &mut Vec<String>) -> Option<()> {
        for _ in 0..self.length()? {
            let mut text = String::new();
            self.text(&mut text)?;
            into.push(text);
        }
        Some(())
    }

    fn evrs(&mut self, into: &mut Vec<crate::offers::EvrWords>) -> Option<()> {
        for _ in 0..self.length()? {
            let [epoch, version, release] =
                [self.length()?, self.length()?, self.length()?].map(|word| word as u32);
            into.push(crate::offers::EvrWords { epoch, version, release });
        }
        Some(())
    }

    fn rows(&mut self, into: &mut Rows) -> Option<()> {
        self.words(&mut into.offsets)?;
        self.words(&mut into.data)
    }
}

impl Universe {
    /// Whether every number points into the array that it is about.
    fn is_sound(&self) -> bool {
        let packages = self.names.len();
        let strings = self.offers.strings.len();
        let lists = self.lists.len();
        let deps = self.dep_texts.len();
        let below =
            |words: &[u32], bound: usize| every(words.iter(), |word| (*word as usize) < bound);
        let rows = |rows: &Rows, count: usize, bound: usize| {
            well_formed(rows) && rows.len() == count && below(&rows.data, bound)
        };
        let literals = |rows: &Rows| {
            well_formed(rows)
                && every(rows.data.iter(), |literal| {
                    let literal = *literal as i32;
                    literal != 0 && literal.unsigned_abs() as usize <= packages
                })
        };
        let ranges = |words: &[u32]| {
            let evrs = self.offers.evrs.len();
            every(words.iter(), |range| *range == NONE || ((range >> 3) as usize) < evrs)
        };
        let wishes = |rows: &Rows| {
            well_formed(rows)
                && rows.len() == packages
                && every(rows.data.iter(), |wish| {
                    if wish & RICH != 0 {
                        ((wish & !RICH) as usize) < self.rich_blocks.len()
                    } else {
                        (*wish as usize) < lists
                    }
                })
        };
        let pairs = |rows: &Rows, first: usize, second: usize| {
            well_formed(rows)
                && rows.len() == packages
                && rows.offsets.iter().all(|offset| offset % 2 == 0)
                && rows
                    .data
                    .chunks_exact(2)
                    .all(|pair| (pair[0] as usize) < first && (pair[1] as usize) < second)
        };
        let clause_lists = self.clause_lists.len();
        let one_each = [
            self.epochs.len(),
            self.versions.len(),
            self.releases.len(),
            self.arch.len(),
            self.arch_score.len(),
            self.name_rank.len(),
            self.evr_rank.len(),
            self.flags.len(),
        ];

        let offers = || {
            let mut ends = self.offers.strings.ends.iter();
            let mut end = 0;
            let text = &self.offers.strings.text;
            ends.all(|next| {
                let grows = end <= *next && text.is_char_boundary(*next as usize);
                end = *next;
                grows
            }) && end as usize <= text.len()
                && self.offers.evrs.iter().all(|evr| {
                    (evr.version as usize) < strings
                        && (evr.release == NONE || (evr.release as usize) < strings)
                })
                && well_formed(&self.offers.provides)
                && self.offers.provides.len() <= strings
                && below(&self.offers.provides.data, packages)
                && self.offers.ranges.len() == self.offers.provides.data.len()
                && ranges(&self.offers.ranges)
                && below(&self.offers.paths, strings)
                && self.offers.related.len() == self.offers.paths.len()
                && rows(&self.offers.owners, self.offers.paths.len(), packages)
        };
        let others = || {
            one_each.iter().all(|length| *length == packages)
                && self.arch.iter().all(|arch| (*arch as usize) < self.archs.len())
                && self.arch_score.iter().all(|score| *score > 0)
                && below(&self.names, strings.min(self.offers.provides.len()))
                && below(&self.versions, strings)
                && below(&self.releases, strings)
                && rows(&self.lists, lists, packages)
                && below(&self.dep_texts, strings)
                && self.dep_lists.len() == deps
                && self.dep_lists.iter().all(|list| *list == NONE || (*list as usize) < lists)
                && rows(&self.requires, packages, deps)
                && well_formed(&self.successors)
                && self.successors.len() == packages
                && every(self.successors.data.iter(), |next| {
                    if next & SINGLE != 0 {
                        ((next & !SINGLE) as usize) < packages
                    } else {
                        (*next as usize) < lists
                    }
                })
                && below(&self.name_rank, packages)
                && well_formed(&self.clauses)
                && self.clauses.len() == packages
                && every(self.clauses.data.iter(), |clause| {
                    if clause & SINGLE != 0 {
                        ((clause & !SINGLE) as usize) < packages
                    } else {
                        (*clause as usize) < clause_lists + self.general.len()
                    }
                })
                && pairs(&self.displaced, usize::MAX, packages)
                && rows(&self.only_for, packages, packages)
                && rows(&self.clause_lists, clause_lists, packages)
                && rows(&self.requirers, clause_lists, packages)
                && rows(&self.in_clause_lists, packages, clause_lists)
                && literals(&self.general)
                && self.general_place.len() == self.general.len() * 2
                && self.general_place.chunks_exact(2).all(|place| {
                    place[0] == NONE
                        || ((place[0] as usize) < packages
                            && (place[1] as usize) < self.clauses.row(place[0]).len())
                })
                && rows(&self.general_negative, packages, self.general.len())
                && rows(&self.excludes, packages, packages)
                && rows(&self.obsoletes, packages, packages)
                && rows(&self.conflict_deps, packages, deps)
                && rows(&self.obsolete_deps, packages, deps)
                && wishes(&self.recommends)
                && wishes(&self.suggests)
                && rows(&self.in_recommended, packages, lists)
                && rows(&self.in_suggested, packages, lists)
                && rows(&self.rich_blocks, self.rich_blocks.len(), self.blocks.len())
                && literals(&self.blocks)
                && pairs(&self.in_recommended_blocks, packages, self.blocks.len())
                && pairs(&self.in_suggested_blocks, packages, self.blocks.len())
                && rows(&self.supplements, packages, self.compiled.len())
                && rows(&self.enhances, packages, self.compiled.len())
                && well_formed(&self.compiled)
                && (0..self.compiled.len() as u32)
                    .all(|code| rich::is_sound(self.compiled.row(code), lists))
                && below(&self.supplementing, packages)
                && below(&self.orphans, packages)
                && rows(&self.orphan_names, self.orphans.len(), packages)
                && rows(&self.reach, if self.orphans.is_empty() { 0 } else { packages }, packages)
                && well_formed(&self.versioned_provides)
                && self.versioned_provides.len() == packages
                && self.versioned_provides.offsets.iter().all(|offset| offset % 3 == 0)
        };
        let (offers, others) = both(offers, others);
        offers && others
    }
}

fn well_formed(rows: &Rows) -> bool {
    rows.offsets.first() == Some(&0)
        && rows.offsets.last().map(|last| *last as usize) == Some(rows.data.len())
        && every(rows.offsets.windows(2), |pair| pair[0] <= pair[1])
}

/// Like `all`, but looks at everything, which the processor can do to many items at once.
fn every<T>(items: impl Iterator<Item = T>, holds: impl Fn(T) -> bool) -> bool {
    items.fold(true, |all, item| all & holds(item))
}
