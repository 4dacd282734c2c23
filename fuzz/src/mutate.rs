//! Mutations of inputs, the same for the same seed: what `make test` can do without knowing what code an input reaches.

/// Random numbers that are the same on every machine (SplitMix64).
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// Begins anew.
    pub fn new(seed: u64) -> Self {
        Random(seed)
    }

    /// The next number.
    pub fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`; 0 when that is 0.
    pub fn below(&mut self, bound: usize) -> usize {
        if bound == 0 { 0 } else { (self.word() % bound as u64) as usize }
    }

    /// One of them.
    pub fn one<'a, T>(&mut self, of: &'a [T]) -> Option<&'a T> {
        of.get(self.below(of.len()))
    }
}

/// Inputs do not grow beyond this.
const LONGEST: usize = 64 * 1024;

/// Numbers at which things tend to go wrong.
const NUMBERS: [&str; 10] = [
    "0",
    "-1",
    "1",
    "255",
    "65536",
    "2147483648",
    "4294967295",
    "4294967296",
    "1000000000",
    "18446744073709551616",
];

/// Another input, made from one or two others.
pub fn mutate(seeds: &[Vec<u8>], words: &[&str], random: &mut Random) -> Vec<u8> {
    let mut data = random.one(seeds).cloned().unwrap_or_default();
    for _ in 0..=random.below(5) {
        step(&mut data, seeds, words, random);
        data.truncate(LONGEST);
    }
    data
}

fn step(data: &mut Vec<u8>, seeds: &[Vec<u8>], words: &[&str], random: &mut Random) {
    let at = random.below(data.len() + 1);
    let to = at + random.below((data.len() - at).min(200) + 1);
    match random.below(10) {
        0 => {
            if let Some(byte) = data.get_mut(at) {
                *byte ^= 1 << random.below(8);
            }
        }
        1 => {
            if let Some(byte) = data.get_mut(at) {
                *byte = *random.one(&[0, 1, 9, 10, 32, 0x7f, 0x80, 0xc3, 0xff]).unwrap();
            }
        }
        2 => drop(data.drain(at..to)),
        3 => {
            let copy = data[at..to].to_vec();
            let place = random.below(data.len() + 1);
            data.splice(place..place, copy);
        }
        4 => data.truncate(at),
        5 | 6 => {
            if let Some(word) = random.one(words) {
                data.splice(at..at, word.bytes());
            }
        }
        7 => {
            // A word many times: nesting and repetition.
            if let Some(word) = random.one(words) {
                let many = word.repeat(1 + random.below(100));
                data.splice(at..at, many.bytes());
            }
        }
        8 => {
            if let Some(other) = random.one(seeds) {
                let from = random.below(other.len() + 1);
                let until = from + random.below(other.len() - from + 1);
                data.splice(at..to, other[from..until].iter().copied());
            }
        }
        _ => {
            let digit = |byte: &u8| byte.is_ascii_digit();
            if let Some(start) = data[at..].iter().position(digit).map(|i| at + i) {
                let end =
                    data[start..].iter().position(|b| !digit(b)).map_or(data.len(), |i| start + i);
                data.splice(start..end, random.one(&NUMBERS).unwrap().bytes());
            }
        }
    }
}
