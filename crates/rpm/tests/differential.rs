//! rpm itself as judge of versions: random pairs, compared by rpm's Python module and by us.
//!
//! `RPM_PAIRS` says how many of each kind (100,000 unless told), `RPM_SEED` where to begin.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail")]

use std::io::{BufWriter, Read, Write};
use std::process::{Command, Stdio};

use rpm::{Evr, Relation, rpmvercmp};

/// Answers to many questions at once.
fn ask(questions: Vec<String>) -> Vec<i32> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/judge/judge.py");
    let mut process = Command::new("/usr/bin/python3")
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("/usr/bin/python3 is needed: apt-get install python3 python3-rpm");
    let count = questions.len();
    let mut stdin = BufWriter::new(process.stdin.take().unwrap());
    let asking = std::thread::spawn(move || {
        for question in questions {
            // A judge that has gone says on standard error why, and gives too few answers.
            if writeln!(stdin, "{question}").is_err() {
                break;
            }
        }
    });
    let mut answers = String::new();
    process.stdout.take().unwrap().read_to_string(&mut answers).unwrap();
    asking.join().unwrap();
    assert!(process.wait().unwrap().success(), "the judge failed; is python3-rpm installed?");
    let answers: Vec<i32> = answers.lines().map(|line| line.parse().unwrap()).collect();
    assert_eq!(answers.len(), count);
    answers
}

/// splitmix64: the same numbers everywhere.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % n as u64) as usize
    }

    /// One to eight pieces of which versions are made: numbers with and without zeros and beyond 64 bits, letters
    /// of both cases, everything that separates or sorts, letters that are none to rpm, and control characters.
    fn version(&mut self) -> Vec<&'static str> {
        const PIECES: [&str; 41] = [
            "0",
            "00",
            "1",
            "01",
            "2",
            "9",
            "10",
            "010",
            "11",
            "20240229",
            "18446744073709551617",
            ".",
            ".",
            ".",
            "..",
            "_",
            "+",
            "~",
            "~",
            "~~",
            "^",
            "^",
            "^^",
            "~^",
            "^~",
            "a",
            "b",
            "A",
            "Z",
            "rc",
            "git",
            "fc40",
            "el9",
            "é",
            "α",
            "٣",
            "\u{1}",
            "\u{7f}",
            "!",
            "%",
            "\u{fffd}",
        ];
        (0..1 + self.below(8)).map(|_| PIECES[self.below(PIECES.len())]).collect()
    }

    /// Two versions that are mostly nearly the same, since others differ in the first segment already.
    fn versions(&mut self) -> (String, String) {
        let a = self.version();
        let mut b = a.clone();
        match self.below(8) {
            0 => b = self.version(),
            1 => b.truncate(1 + self.below(b.len())),
            2 => b.extend(self.version()),
            _ => {
                for _ in 0..=self.below(2) {
                    let place = self.below(b.len());
                    b[place] = self.version()[0];
                }
            }
        }
        if self.below(2) == 0 { (a.concat(), b.concat()) } else { (b.concat(), a.concat()) }
    }

    fn epoch(&mut self) -> u32 {
        [0, 0, 0, 0, 1, 1, 2, u32::MAX][self.below(8)]
    }
}

/// Asks of many pairs; a pair is a question and our answer.
fn compare(mut pair: impl FnMut(&mut Random) -> (String, i32)) {
    let number = |variable: &str, default: u64| {
        std::env::var(variable).map_or(default, |text| text.parse().expect(variable))
    };
    let mut random = Random(number("RPM_SEED", 1));
    let (questions, ours): (Vec<String>, Vec<i32>) =
        (0..number("RPM_PAIRS", 100_000)).map(|_| pair(&mut random)).unzip();
    let theirs = ask(questions.clone());
    let differ = |i: &usize| theirs[*i] != ours[*i];
    let differences: Vec<String> = (0..ours.len())
        .filter(differ)
        .map(|i| format!("{:?}: rpm {}, ours {}", questions[i], theirs[i], ours[i]))
        .collect();
    let shown = differences.len().min(20);
    assert!(
        differences.is_empty(),
        "{} of {} differ:\n{}",
        differences.len(),
        ours.len(),
        differences[..shown].join("\n")
    );
    // Overlapping is 0 or 1, comparing -1, 0 or 1.
    for answer in [0, 1] {
        assert!(
            theirs.iter().filter(|other| **other == answer).count() > theirs.len() / 50,
            "pairs that are hardly ever {answer} prove nothing"
        );
    }
}

#[test]
fn versions_are_compared_as_by_rpm() {
    compare(|random| {
        let (a, b) = random.versions();
        (format!("version\t{a}\t{b}"), rpmvercmp(&a, &b) as i32)
    });
}

#[test]
fn epoch_version_and_release_are_compared_as_by_rpm() {
    compare(|random| {
        let (epoch, other_epoch) = (random.epoch(), random.epoch());
        let (a, mut b) = random.versions();
        if random.below(2) == 0 {
            b.clone_from(&a);
        }
        let (mut r, mut s) = random.versions();
        for release in [&mut r, &mut s] {
            if random.below(6) == 0 {
                release.clear();
            }
        }
        let (x, y) = (Evr::new(epoch, &*a, &*r), Evr::new(other_epoch, &*b, &*s));
        // No epoch is epoch 0.
        let spell = |evr: &Evr, random: &mut Random| {
            let epoch = match evr.epoch {
                0 if random.below(2) == 0 => "-".to_owned(),
                epoch => epoch.to_string(),
            };
            let release = if evr.release.is_empty() { "-" } else { &evr.release };
            format!("{epoch}\t{}\t{release}", evr.version)
        };
        (format!("evr\t{}\t{}", spell(&x, random), spell(&y, random)), x.cmp(&y) as i32)
    });
}

#[test]
fn ranges_overlap_as_in_rpm() {
    const OPS: [&str; 5] = ["<", "<=", "=", ">=", ">"];
    compare(|random| {
        let (a, mut b) = random.versions();
        if random.below(2) == 0 {
            b.clone_from(&a);
        }
        let (r, s) = random.versions();
        let mut spell = |version: &str, release: &str| {
            let epoch = match random.below(3) {
                0 => format!("{}:", random.epoch()),
                _ => String::new(),
            };
            let release = match random.below(3) {
                0 => String::new(),
                _ => format!("-{release}"),
            };
            format!("{} {epoch}{version}{release}", OPS[random.below(5)])
        };
        let (a, b) = (spell(&a, &r), spell(&b, &s));
        let relation = |range: &str| format!("name {range}").parse::<Relation>().unwrap();
        let ours = relation(&a).overlaps(&relation(&b));
        (format!("overlap\t{}\t{}", a.replace(' ', "\t"), b.replace(' ', "\t")), i32::from(ours))
    });
}
