//! Memory and time for inputs that were made to take too much of them, measured: how much memory was in use at most, by an
//! allocator that counts, and how much processor time the input took. (Decompressors written in C have bounds of their own
//! on memory; here it is seen that they refuse what asks for more.)

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail")]
#![allow(unsafe_code, reason = "an allocator cannot be written without")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::fmt::Write as _;
use std::io::{self, Read, Write as _};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use depsolve::{Request, Solver, Universe};
use nix::sys::resource::{UsageWho, getrusage};
use rpm::md::Package;
use rpm::md::comps::Comps;
use rpm::md::repomd::Repomd;
use rpm::md::{Error, primary};
use rpm::{Dep, Nevra, Relation};

struct Counting;

static NOW: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

fn took(size: usize) {
    PEAK.fetch_max(NOW.fetch_add(size, Relaxed) + size, Relaxed);
}

// SAFETY: everything is left to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        took(layout.size());
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size(), Relaxed);
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        took(size);
        NOW.fetch_sub(layout.size(), Relaxed);
        // SAFETY: the caller keeps the contract of `realloc`.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const MIB: usize = 1 << 20;

/// Does something alone; fails when it takes more memory or processor time than it may.
fn within<T>(memory: usize, seconds: u64, work: impl FnOnce() -> T) -> T {
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let time = || {
        let usage = getrusage(UsageWho::RUSAGE_THREAD).unwrap();
        let total = usage.user_time() + usage.system_time();
        Duration::new(total.tv_sec() as u64, total.tv_usec() as u32 * 1000)
    };
    let (start, before) = (time(), NOW.load(Relaxed));
    PEAK.store(before, Relaxed);
    let result = work();
    let (peak, spent) = (PEAK.load(Relaxed) - before, time() - start);
    assert!(peak <= memory, "{} MiB where {} are allowed", peak / MIB, memory / MIB);
    assert!(spent <= Duration::from_secs(seconds), "{spent:?} where {seconds} s are allowed");
    result
}

/// The same bytes again and again, up to a length, without holding them.
fn repeated(text: &'static str, length: u64) -> impl Read {
    struct Again(&'static [u8], usize);
    impl Read for Again {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let rest = &self.0[self.1..];
            let n = rest.len().min(buffer.len());
            buffer[..n].copy_from_slice(&rest[..n]);
            self.1 = (self.1 + n) % self.0.len();
            Ok(n)
        }
    }
    Again(text.as_bytes(), 0).take(length)
}

fn packages(reader: impl Read) -> Result<usize, Error> {
    let mut count = 0;
    for package in primary::Reader::new(reader)? {
        package?;
        count += 1;
    }
    Ok(count)
}

fn refused(result: Result<usize, Error>, reason: &str) {
    let error = result.expect_err("it must be refused");
    assert!(!error.is_transient(), "{error}");
    let text = error.to_string();
    assert!(text.starts_with("primary.xml, line "), "{text}");
    assert!(text.contains(reason), "{text} does not say {reason}");
}

/// 30 MB of one element after the other, in a compressed file that is much smaller.
fn bomb(compress: impl FnOnce(&mut dyn Read) -> Vec<u8>) -> Vec<u8> {
    let mut plain =
        io::Cursor::new("<metadata>").chain(repeated("<a>          </a>\n", 30_000_000));
    let bomb = compress(&mut plain);
    assert!(bomb.len() < 500_000, "a bomb of {} bytes is none", bomb.len());
    bomb
}

#[test]
fn a_bomb_takes_no_memory() {
    let gz = bomb(|plain| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        io::copy(plain, &mut encoder).unwrap();
        encoder.finish().unwrap()
    });
    let zst = bomb(|plain| zstd::stream::encode_all(plain, 1).unwrap());
    for bomb in [gz, zst] {
        within(MIB, 30, || refused(packages(bomb.as_slice()), "the file ends in the middle"));
    }
}

#[test]
fn a_slow_bomb_takes_no_memory_either() {
    let xz = {
        let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 0);
        io::copy(&mut repeated("          ", 6_000_000), &mut encoder).unwrap();
        encoder.finish().unwrap()
    };
    let bz2 = {
        let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
        io::copy(&mut repeated("          ", 6_000_000), &mut encoder).unwrap();
        encoder.finish().unwrap()
    };
    for bomb in [xz, bz2] {
        // A single text without end.
        within(32 * MIB, 30, || refused(packages(bomb.as_slice()), "more than 4194304 bytes"));
    }
}

#[test]
fn a_file_larger_than_any_is_refused_when_the_bound_is_reached() {
    let endless = |root: &'static str| {
        io::Cursor::new(root).chain(repeated("<unknown>  </unknown>\n", u64::MAX))
    };
    within(8 * MIB, 30, || {
        let error = Comps::read(endless("<comps>")).unwrap_err().to_string();
        assert!(
            error.ends_with("it decompresses to more than 16777216 bytes, which is the limit"),
            "{error}"
        );
        assert!(error.starts_with("comps.xml, line "), "{error}");
        let error = Repomd::read(endless("<repomd>")).unwrap_err().to_string();
        assert!(error.starts_with("repomd.xml, line "), "{error}");
    });
}

#[test]
fn a_window_of_gigabytes_is_refused() {
    // The header of a .xz file whose block asks for a dictionary of 4 GiB - 1.
    let mut block = vec![2, 0, 0x21, 1, 40, 0, 0, 0];
    block.extend(crc32(&block).to_le_bytes());
    let mut xz = b"\xfd7zXZ\0\0\x04".to_vec();
    xz.extend(crc32(&[0, 4]).to_le_bytes());
    xz.extend(block);
    xz.extend([1, 0, 0, b'a', 0, 0, 0, 0]);
    let zst = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xa8, 0x01, 0x00, 0x00].to_vec();
    for compressed in [xz, zst] {
        within(MIB, 5, || refused(packages(compressed.as_slice()), "it cannot be decompressed"));
    }
}

fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum()
}

#[test]
fn what_a_file_says_about_itself_is_not_believed() {
    let text = r#"<metadata packages="1000000000"><package><name>a</name><arch>noarch</arch></package></metadata>"#;
    within(MIB, 5, || assert_eq!(packages(text.as_bytes()).unwrap(), 1));
}

#[test]
fn a_billion_laughs_are_refused() {
    let mut text = "<!DOCTYPE metadata [<!ENTITY a0 \"ha\">".to_owned();
    for i in 1..30 {
        let _ = write!(text, "<!ENTITY a{i} \"&a{0};&a{0};&a{0};&a{0};\">", i - 1);
    }
    text.push_str("]>\n<metadata><package><name>&a29;</name>");
    within(MIB, 5, || refused(packages(text.as_bytes()), "an unknown entity"));
}

#[test]
fn a_million_elements_within_each_other_are_refused() {
    let text = || io::Cursor::new("<metadata>").chain(repeated("<a>", 3_000_000));
    within(MIB, 5, || refused(packages(text()), "elements are nested too deeply"));
    let parentheses = "(".repeat(1_000_000);
    within(16 * MIB, 5, || parentheses.parse::<rpm::Dep>().unwrap_err());
}

#[test]
fn one_package_takes_only_so_much() {
    let begin = "<metadata><package><name>a</name><arch>noarch</arch>";
    let text = |what: &'static str| io::Cursor::new(begin).chain(repeated(what, u64::MAX));
    within(16 * MIB, 60, || {
        refused(
            packages(text(
                "<x>                                                                              </x>",
            )),
            "more than 67108864 bytes",
        )
    });
    within(512 * MIB, 60, || {
        refused(packages(text("<file>/a</file>")), "more than 1000000 relations and files")
    });
    within(512 * MIB, 60, || {
        refused(
            packages(text("<file>/&amp;&amp;&amp;&amp;&amp;&amp;&amp;&amp;</file>")),
            "more than 1000000",
        )
    });
    // One text in many pieces.
    within(32 * MIB, 60, || {
        let text = io::Cursor::new(begin)
            .chain(io::Cursor::new("<file>"))
            .chain(repeated("aaaaaaaaaaaaaaaa&amp;", u64::MAX));
        refused(packages(text), "a tag or text of more than 4194304 bytes");
    });
}

#[test]
fn names_of_a_megabyte_are_names() {
    let name = "n".repeat(MIB);
    let text = format!(
        "<metadata><package><name>{name}</name><arch>noarch</arch><version ver='1' rel='1'/></package></metadata>"
    );
    within(64 * MIB, 10, || {
        let universe = Universe::load(text.as_bytes(), None::<&[u8]>, "x86_64", []).unwrap();
        let wanted = rpm::Dep::Relation(rpm::Relation::any(name.as_str()));
        let request = Request { build_group: &[], build_requires: &[wanted], weak_deps: true };
        assert!(Solver::new(&universe).resolve(&request).resolved());
    });
}

/// A `primary.xml` of packages that are alike but for a number, written as it is read.
fn alike(count: usize, body: impl Fn(usize, &mut String)) -> impl Read {
    struct Alike<F> {
        next: usize,
        count: usize,
        body: F,
        text: String,
        read: usize,
    }
    impl<F: Fn(usize, &mut String)> Read for Alike<F> {
        fn read(&mut self, mut buffer: &mut [u8]) -> io::Result<usize> {
            if self.read == self.text.len() && self.next < self.count {
                let (text, i) = (&mut self.text, self.next);
                text.clear();
                if i == 0 {
                    text.push_str("<metadata>\n");
                }
                let _ = write!(
                    text,
                    "<package><name>p{i}</name><arch>noarch</arch><version ver='{i}' rel='1'/><format>"
                );
                (self.body)(i, text);
                text.push_str("</format></package>\n");
                if i + 1 == self.count {
                    text.push_str("</metadata>");
                }
                (self.next, self.read) = (i + 1, 0);
            }
            let n = buffer.write(&self.text.as_bytes()[self.read..])?;
            self.read += n;
            Ok(n)
        }
    }
    Alike { next: 0, count, body, text: String::new(), read: 0 }
}

fn entangled(primary: impl Read + Send, reason: &str) {
    within(2048 * MIB, 60, || {
        let error =
            Universe::load(primary, None::<&[u8]>, "x86_64", []).expect_err("it must be refused");
        assert!(!error.is_transient());
        assert!(error.to_string().contains(reason), "{error} does not say {reason}");
    });
}

#[test]
fn a_hundred_thousand_providers_in_conflict_with_each_other_are_refused() {
    entangled(
        alike(100_000, |_, text| {
            text.push_str(
                "<provides><entry name='x'/></provides><conflicts><entry name='x'/></conflicts>",
            );
        }),
        "pairs of packages that exclude each other",
    );
}

#[test]
fn a_hundred_thousand_versions_asked_for_by_a_hundred_thousand_are_refused() {
    entangled(
        alike(100_000, |i, text| {
            let _ = write!(
                text,
                "<provides><entry name='x' flags='EQ' ver='{i}'/></provides>\
                 <requires><entry name='x' flags='GT' epoch='1' ver='{i}'/></requires>"
            );
        }),
        "provides to be compared with relations on their names",
    );
}

#[test]
fn long_versions_that_are_compared_often_are_refused() {
    let long = "1.".repeat(10_000);
    entangled(
        alike(2000, move |i, text| {
            let _ = write!(
                text,
                "<provides><entry name='x' flags='EQ' ver='{long}{i}'/></provides>\
                 <requires><entry name='x' flags='GT' ver='{long}{i}'/></requires>"
            );
        }),
        "provides to be compared with relations on their names",
    );
}

#[test]
fn rich_requirements_that_take_long_are_refused() {
    let mut nested = "base".to_owned();
    for i in 0..60 {
        nested = format!("(a{i} if {nested} else b{i})");
    }
    entangled(
        alike(1000, move |_, text| {
            let _ = write!(text, "<requires><entry name='{nested}'/></requires>");
        }),
        "in the alternatives of one rich dependency",
    );
}

#[test]
fn names_that_are_too_much_together_are_refused() {
    let long = "n".repeat(4_000_000);
    within(2048 * MIB, 60, || {
        let primary = alike(100, move |i, text| {
            let _ = write!(text, "<requires><entry name='{i}{long}'/></requires>");
        });
        let error = Universe::load(primary, None::<&[u8]>, "x86_64", []).unwrap_err().to_string();
        assert!(error.contains("names and paths of more than 268435456 bytes"), "{error}");
        assert!(error.starts_with("primary.xml, line "), "{error}");
    });
}

#[test]
fn a_long_chain_and_a_long_cycle_are_answered() {
    within(512 * MIB, 60, || {
        let count = 100_000;
        let primary = alike(count, |i, text| {
            let next = (i + 1) % 100_000;
            let _ = write!(text, "<requires><entry name='p{next}'/></requires>");
        });
        let universe = Universe::load(primary, None::<&[u8]>, "x86_64", []).unwrap();
        let wanted = ["p7".parse().unwrap()];
        let request = Request { build_group: &[], build_requires: &wanted, weak_deps: true };
        let resolution = Solver::new(&universe).resolve(&request);
        assert_eq!(resolution.installs.len(), count);
    });
}

/// Whether a package of an inferior architecture may be installed depends here on what a hundred thousand packages
/// supplement, each the next one.
#[test]
fn a_long_chain_of_supplements_is_followed_to_its_end() {
    const COUNT: usize = 100_000;
    // `tool` of version 1 is there for i686, of version 2 for x86_64. The second is out of reach when the chain has a gap.
    let resolved = |gap: usize| {
        let tool = |version: usize, arch: &str| Package {
            nevra: Nevra::new("tool", 0, version.to_string(), "1", arch),
            ..Package::default()
        };
        let chain = (0..COUNT).map(|i| {
            let next: Dep = match i {
                i if i == gap => "nothing".parse().unwrap(),
                i if i % 3 == 0 => format!("(p{0} and (p{0} or nothing))", i + 1).parse().unwrap(),
                i => format!("p{}", i + 1).parse().unwrap(),
            };
            Package {
                nevra: Nevra::new(format!("p{i}"), 0, "1", "1", "noarch"),
                supplements: vec![next],
                requires: if i == 0 { vec![Relation::any("new-tool").into()] } else { Vec::new() },
                ..Package::default()
            }
        });
        let new = Package { provides: vec![Relation::any("new-tool")], ..tool(2, "x86_64") };
        let packages = chain.chain([tool(1, "i686"), new]);
        let universe = Universe::from_packages(packages, "x86_64", []).unwrap();
        let wanted = [format!("p{}", COUNT - 1), "tool = 1".to_owned()];
        let wanted = wanted.map(|text| text.parse().unwrap());
        let request = Request { build_group: &[], build_requires: &wanted, weak_deps: false };
        Solver::new(&universe).resolve(&request).resolved()
    };
    within(1024 * MIB, 60, || {
        assert!(!resolved(COUNT), "tool-2 is within reach, so tool-1.i686 is inferior");
        assert!(resolved(7), "tool-2 is out of reach");
    });
}

#[test]
fn a_cache_that_promises_much_takes_little() {
    let mut file = Vec::new();
    Universe::from_packages([], "x86_64", []).unwrap().save(&mut file).unwrap();
    // Its length, and then, with a checksum that fits, each of its counts.
    file[16..24].copy_from_slice(&(4_u64 << 30).to_le_bytes());
    within(65 * MIB, 5, || Universe::open(file.as_slice()).unwrap_err());
    for at in (0..file.len() - 32).step_by(4) {
        let mut arrays = file[32..].to_vec();
        arrays[at..at + 4].copy_from_slice(&u32::MAX.to_le_bytes());
        within(MIB, 5, || Universe::open(depsolve::sealed_cache(&arrays).as_slice()).unwrap_err());
    }
}
