//! The two data structures that everything here is made of: rows of numbers stored back to back, and interned
//! things. Both are plain arrays, quick to build, to save and to load.

use std::hash::{BuildHasherDefault, Hasher};
use std::panic::resume_unwind;
use std::thread::{self, ScopedJoinHandle};

/// Rows of numbers, stored back to back. Row `i` is `data[offsets[i]..offsets[i + 1]]`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Rows {
    pub(crate) offsets: Vec<u32>,
    pub(crate) data: Vec<u32>,
}

impl Rows {
    pub(crate) fn new() -> Self {
        Rows { offsets: vec![0], data: Vec::new() }
    }

    #[inline]
    pub(crate) fn row(&self, i: u32) -> &[u32] {
        let i = i as usize;
        &self.data[self.offsets[i] as usize..self.offsets[i + 1] as usize]
    }

    /// Asks the processor for a row that will be needed soon.
    #[inline]
    pub(crate) fn announce(&self, i: u32) {
        if let Some(first) = self.data.get(self.offsets[i as usize] as usize) {
            prefetch(first);
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.offsets.len().saturating_sub(1)
    }

    pub(crate) fn push(&mut self, row: impl IntoIterator<Item = u32>) {
        self.data.extend(row);
        self.end_row();
    }

    pub(crate) fn end_row(&mut self) {
        self.offsets.push(self.data.len() as u32);
    }

    /// From pairs (row, value); values keep their order within a row.
    pub(crate) fn from_pairs(rows: usize, pairs: &[(u32, u32)]) -> Self {
        let mut offsets = vec![0u32; rows + 1];
        for (row, _) in pairs {
            offsets[*row as usize + 1] += 1;
        }
        for i in 0..rows {
            offsets[i + 1] += offsets[i];
        }
        let mut next = offsets.clone();
        let mut data = vec![0u32; pairs.len()];
        for (row, value) in pairs {
            let place = &mut next[*row as usize];
            data[*place as usize] = *value;
            *place += 1;
        }
        Rows { offsets, data }
    }

    /// Value to rows that contain it.
    pub(crate) fn inverted(&self, values: usize) -> Self {
        let mut offsets = vec![0u32; values + 1];
        for value in &self.data {
            offsets[*value as usize + 1] += 1;
        }
        for i in 0..values {
            offsets[i + 1] += offsets[i];
        }
        let mut next = offsets.clone();
        let mut data = vec![0u32; self.data.len()];
        for row in 0..self.len() as u32 {
            for value in self.row(row) {
                let place = &mut next[*value as usize];
                data[*place as usize] = row;
                *place += 1;
            }
        }
        Rows { offsets, data }
    }
}

/// A fast hash for short keys (the multiplication of rustc's FxHash); the keys come from repositories that we
/// have chosen to load, and a repository made to collide only hurts itself.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct FastHasher(u64);

const SEED: u64 = 0x51_7c_c1_b7_27_22_0a_95;

impl FastHasher {
    #[inline]
    fn add(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(SEED);
    }
}

impl Hasher for FastHasher {
    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        let mut chunks = bytes.chunks_exact(8);
        for chunk in &mut chunks {
            let mut word = [0; 8];
            word.copy_from_slice(chunk);
            self.add(u64::from_le_bytes(word));
        }
        let rest = chunks.remainder();
        if !rest.is_empty() {
            let mut word = [0; 8];
            word[..rest.len()].copy_from_slice(rest);
            self.add(u64::from_le_bytes(word) ^ ((rest.len() as u64) << 56));
        }
    }

    #[inline]
    fn write_u32(&mut self, n: u32) {
        self.add(u64::from(n));
    }

    #[inline]
    fn write_u64(&mut self, n: u64) {
        self.add(n);
    }

    #[inline]
    fn write_usize(&mut self, n: usize) {
        self.add(n as u64);
    }

    #[inline]
    fn finish(&self) -> u64 {
        // The high bits are the good ones.
        self.0 ^ (self.0 >> 32)
    }
}

pub(crate) type FastMap<K, V> = std::collections::HashMap<K, V, BuildHasherDefault<FastHasher>>;

fn hash_words(words: &[u32]) -> u64 {
    let mut hasher = FastHasher::default();
    for word in words {
        hasher.write_u32(*word);
    }
    hasher.finish()
}

fn hash_bytes(bytes: &[u8]) -> u64 {
    let mut hasher = FastHasher::default();
    hasher.write(bytes);
    hasher.finish()
}

/// Open addressing from hashes to numbers; whoever owns the things compares them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Table {
    slots: Vec<u32>,
    used: usize,
}

const FREE: u32 = u32::MAX;

impl Table {
    /// The thing with this hash for which `same` holds, or the free slot where it belongs.
    fn find(&self, hash: u64, same: impl Fn(u32) -> bool) -> Result<u32, usize> {
        if self.slots.is_empty() {
            return Err(0);
        }
        let mask = self.slots.len() - 1;
        let mut slot = hash as usize & mask;
        loop {
            match self.slots[slot] {
                FREE => return Err(slot),
                id if same(id) => return Ok(id),
                _ => slot = (slot + 1) & mask,
            }
        }
    }

    /// Whether a new thing can be put in without growing first.
    fn has_room(&self) -> bool {
        (self.used + 1) * 2 <= self.slots.len()
    }

    fn rebuild(&mut self, things: usize, hash: impl Fn(u32) -> u64) {
        // Room for as many again.
        self.rebuild_with(0..things as u32, things * 4, hash);
    }

    fn rebuild_with(
        &mut self,
        things: impl Iterator<Item = u32>,
        slots: usize,
        hash: impl Fn(u32) -> u64,
    ) {
        let size = slots.next_power_of_two().max(16);
        self.slots = vec![FREE; size];
        self.used = 0;
        for id in things {
            let mut slot = hash(id) as usize & (size - 1);
            while self.slots[slot] != FREE {
                slot = (slot + 1) & (size - 1);
            }
            self.slots[slot] = id;
            self.used += 1;
        }
    }
}

/// Interned strings: each distinct one is stored once and named by a number.
#[derive(Debug, Clone, Default)]
pub(crate) struct Strings {
    pub(crate) text: String,
    /// Where each string ends; the next one begins there.
    pub(crate) ends: Vec<u32>,
    table: Table,
}

impl Strings {
    pub(crate) fn get(&self, id: u32) -> &str {
        let id = id as usize;
        let start = if id == 0 { 0 } else { self.ends[id - 1] as usize };
        &self.text[start..self.ends[id] as usize]
    }

    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(crate) fn find(&self, text: &str) -> Option<u32> {
        self.find_hashed(text, hash_bytes(text.as_bytes()))
    }

    /// The same, by the hash that [`Strings::announce`] returned.
    pub(crate) fn find_hashed(&self, text: &str, hash: u64) -> Option<u32> {
        self.table.find(hash, |id| self.get(id) == text).ok()
    }

    /// Asks the processor for what [`Strings::find_hashed`] will look at first. Returns the hash.
    pub(crate) fn announce(&self, text: &str) -> u64 {
        let hash = hash_bytes(text.as_bytes());
        if let Some(slot) = self.first_slot(hash) {
            prefetch(slot);
        }
        hash
    }

    /// Asks the processor for what [`Strings::find_hashed`] will look at next, when the first is there. Returns the
    /// string that it will probably find.
    pub(crate) fn announce_ends(&self, hash: u64) -> Option<u32> {
        let id = *self.first_slot(hash)?;
        prefetch(self.ends.get(id as usize)?);
        Some(id)
    }

    /// Asks the processor for a string, when its ends are there.
    pub(crate) fn announce_text(&self, id: u32) {
        if let Some(first) = self.get(id).as_bytes().first() {
            prefetch(first);
        }
    }

    fn first_slot(&self, hash: u64) -> Option<&u32> {
        let mask = self.table.slots.len().wrapping_sub(1);
        self.table.slots.get(hash as usize & mask)
    }

    pub(crate) fn intern(&mut self, text: &str) -> u32 {
        if !self.table.has_room() {
            self.index();
        }
        match self.table.find(hash_bytes(text.as_bytes()), |id| self.get(id) == text) {
            Ok(id) => id,
            Err(slot) => {
                let id = self.ends.len() as u32;
                self.text.push_str(text);
                self.ends.push(self.text.len() as u32);
                self.table.slots[slot] = id;
                self.table.used += 1;
                id
            }
        }
    }

    /// Makes [`Strings::find`] find only some strings, which is quicker.
    pub(crate) fn index_only(&mut self, wanted: Table) {
        self.table = wanted;
    }

    /// What [`Strings::index_only`] needs for some strings.
    pub(crate) fn table_of(&self, wanted: impl Iterator<Item = u32> + Clone) -> Table {
        let mut table = Table::default();
        // Nothing will be added, so it may be small.
        let slots = wanted.clone().count() * 2;
        table.rebuild_with(wanted, slots, |id| hash_bytes(self.get(id).as_bytes()));
        table
    }

    /// Makes [`Strings::find`] work after `text` and `ends` were filled in from outside.
    pub(crate) fn index(&mut self) {
        let mut table = std::mem::take(&mut self.table);
        table.rebuild(self.ends.len(), |id| hash_bytes(self.get(id).as_bytes()));
        self.table = table;
    }
}

/// Interned rows: each distinct list of numbers is stored once.
#[derive(Debug, Clone, Default)]
pub(crate) struct RowSet {
    pub(crate) rows: Rows,
    table: Table,
}

impl RowSet {
    pub(crate) fn new() -> Self {
        RowSet { rows: Rows::new(), table: Table::default() }
    }

    pub(crate) fn intern(&mut self, row: &[u32]) -> u32 {
        if !self.table.has_room() {
            let mut table = std::mem::take(&mut self.table);
            table.rebuild(self.rows.len(), |id| hash_words(self.rows.row(id)));
            self.table = table;
        }
        match self.table.find(hash_words(row), |id| self.rows.row(id) == row) {
            Ok(id) => id,
            Err(slot) => {
                let id = self.rows.len() as u32;
                self.rows.push(row.iter().copied());
                self.table.slots[slot] = id;
                self.table.used += 1;
                id
            }
        }
    }
}

/// Packages, one bit for each, to be had again in ascending order; and one bit for each word that is not empty, since most
/// are.
#[derive(Debug)]
pub(crate) struct PackageSet {
    words: Vec<u64>,
    used: Vec<u64>,
}

impl PackageSet {
    /// An empty set of packages below a number.
    pub(crate) fn new(packages: usize) -> Self {
        let words = packages.div_ceil(64);
        PackageSet { words: vec![0; words], used: vec![0; words.div_ceil(64)] }
    }

    #[inline]
    pub(crate) fn insert(&mut self, package: u32) {
        let word = package as usize / 64;
        self.words[word] |= 1 << (package % 64);
        self.used[word / 64] |= 1 << (word % 64);
    }

    /// Takes all out, the lowest first.
    #[inline]
    pub(crate) fn drain(&mut self, mut each: impl FnMut(u32)) {
        for (i, used) in self.used.iter_mut().enumerate() {
            for_each_bit(std::mem::take(used), i, |word| {
                for_each_bit(std::mem::take(&mut self.words[word]), word, |package| {
                    each(package as u32)
                });
            });
        }
    }
}

#[inline]
fn for_each_bit(mut bits: u64, word: usize, mut each: impl FnMut(usize)) {
    while bits != 0 {
        each(word * 64 + bits.trailing_zeros() as usize);
        bits &= bits - 1;
    }
}

/// Asks the processor for the line of memory with this in it, which will be needed soon, and waits for nothing.
#[inline]
pub(crate) fn prefetch<T>(soon: &T) {
    #[cfg(target_arch = "x86_64")]
    #[expect(
        unsafe_code,
        reason = "an intrinsic; a hint about memory that is borrowed here changes nothing"
    )]
    // SAFETY: the processor may do with it what it likes, and the address is valid.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(soon).cast());
    }
    // Elsewhere there is no such intrinsic in stable Rust; to read it is the next best.
    #[cfg(not(target_arch = "x86_64"))]
    std::hint::black_box(std::ptr::from_ref(soon));
}

/// Does two things at once; one after the other if there cannot be another thread.
pub(crate) fn both<A: Send, B>(there: impl Fn() -> A + Sync, here: impl FnOnce() -> B) -> (A, B) {
    thread::scope(|scope| {
        let thread = thread::Builder::new().spawn_scoped(scope, &there);
        let here = here();
        let there = match thread.map(ScopedJoinHandle::join) {
            Ok(Ok(there)) => there,
            Ok(Err(panic)) => resume_unwind(panic),
            Err(_) => there(),
        };
        (there, here)
    })
}
