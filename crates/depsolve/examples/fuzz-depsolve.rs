//! The resolver against libsolv on random repositories, for as long as one likes, on all cores.
//!
//! ```text
//! make fuzz-depsolve ARGS="--count 1000000 --seed 1 --threads 2 --output DIR"
//! make fuzz-depsolve ARGS="--case FILE"
//! ```
//!
//! Each seed makes one repository and one request (`tests/random`). Without `--seed` the seeds are such that no
//! earlier run had. Each difference that belongs to no listed class (`tests/excuses`) is made as small as it gets and
//! written to a file of its own in DIR (`target/fuzz-depsolve` unless told) in the notation of the tests; `--case`
//! asks both for such a file again. Exit status 1 if there was a difference.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "as in a test")]

#[path = "../tests/definition/mod.rs"]
mod definition;
#[path = "../tests/excuses/mod.rs"]
mod excuses;
#[path = "../tests/judge/mod.rs"]
mod judge;
#[path = "../tests/notation/mod.rs"]
mod notation;
#[path = "../tests/random/mod.rs"]
mod random;
#[path = "../tests/shrink/mod.rs"]
mod shrink;

use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use excuses::{Verdict, inconsistent, ours};
use judge::{Answer, Judge};
use notation::Case;
use random::Generator;

const USAGE: &str =
    "options: --count NUMBER, --seed NUMBER, --threads NUMBER, --output DIR, --case FILE";

struct Options {
    count: u64,
    seed: u64,
    threads: usize,
    output: PathBuf,
    case: Option<PathBuf>,
}

fn options() -> Result<Options, String> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |d| d.as_secs());
    let mut options = Options {
        count: 1_000_000,
        seed: now * 1_000_000,
        threads: std::thread::available_parallelism().map_or(1, usize::from),
        output: PathBuf::from("target/fuzz-depsolve"),
        case: None,
    };
    let mut words = std::env::args().skip(1);
    while let Some(option) = words.next() {
        let value = words.next().ok_or_else(|| format!("{option}: a value is missing; {USAGE}"))?;
        let number = || {
            let plain = value.replace(['_', ','], "");
            plain.parse::<u64>().map_err(|_| format!("{option} {value}: not a number; {USAGE}"))
        };
        match option.as_str() {
            "--count" => options.count = number()?,
            "--seed" => options.seed = number()?,
            "--threads" => options.threads = number()?.clamp(1, 1024) as usize,
            "--output" => options.output = PathBuf::from(value),
            "--case" => options.case = Some(PathBuf::from(value)),
            _ => return Err(format!("{option}: unknown; {USAGE}")),
        }
    }
    Ok(options)
}

/// What was found so far.
#[derive(Default)]
struct Counts {
    resolved: u64,
    excused: BTreeMap<&'static str, u64>,
    different: Vec<u64>,
}

struct Run<'a> {
    options: &'a Options,
    next: AtomicU64,
    done: AtomicU64,
    finished: AtomicBool,
    counts: Mutex<Counts>,
}

impl Run<'_> {
    fn counts(&self) -> std::sync::MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self) {
        let mut judge = Judge::new();
        loop {
            let i = self.next.fetch_add(1, Ordering::Relaxed);
            if i >= self.options.count {
                return;
            }
            let seed = self.options.seed.wrapping_add(i);
            let case = Generator::new(seed).case();
            let (resolved, class) = look(&mut judge, &case);
            let mut counts = self.counts();
            counts.resolved += u64::from(resolved);
            match class {
                Verdict::Same => {}
                Verdict::Excused(class) => *counts.excused.entry(class).or_default() += 1,
                Verdict::Different => {
                    counts.different.push(seed);
                    drop(counts);
                    self.report(&mut judge, seed, case);
                }
            }
            self.done.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Makes a difference small and writes it down.
    fn report(&self, judge: &mut Judge, seed: u64, case: Case) {
        let case = shrink::shrink(case, |case| look(judge, case).1 == Verdict::Different);
        let text = format!("# seed {seed}\n{}{case}", answers(judge, &case));
        let file = self.options.output.join(format!("{seed}.case"));
        std::fs::create_dir_all(&self.options.output).expect("the output directory");
        std::fs::write(&file, &text).expect("the output file");
        eprintln!("\r\x1b[K{}:\n{text}", file.display());
    }

    fn progress(&self) {
        let (start, terminal) = (Instant::now(), std::io::stderr().is_terminal());
        let mut shown = start;
        while !self.finished.load(Ordering::Relaxed) {
            std::thread::park_timeout(Duration::from_millis(200));
            if shown.elapsed().as_secs() < if terminal { 1 } else { 30 } {
                continue;
            }
            shown = Instant::now();
            let (done, count) = (self.done.load(Ordering::Relaxed), self.options.count);
            let rate = done as f64 / start.elapsed().as_secs_f64();
            let left = (count.saturating_sub(done)) as f64 / rate.max(0.1) / 60.0;
            let line = format!(
                "{done} of {count} cases, {} differ, {rate:.0} a second, {left:.0} min left",
                self.counts().different.len()
            );
            if terminal {
                eprint!("\r\x1b[K{line}");
                let _ = std::io::stderr().flush();
            } else {
                eprintln!("{line}");
            }
        }
        if terminal {
            eprint!("\r\x1b[K");
        }
    }
}

/// Whether libsolv resolves a case, and how the answers compare. An answer of ours that breaks what a package says is
/// a difference, whatever libsolv says.
fn look(judge: &mut Judge, case: &Case) -> (bool, Verdict) {
    if excuses::is_refused(case) {
        return (false, Verdict::Excused(excuses::REFUSED));
    }
    let ours = ours(case);
    let (theirs, verdict) = excuses::judge(judge, case, &ours);
    if inconsistent(case, &ours.installs).is_empty() {
        (theirs.resolved, verdict)
    } else {
        (theirs.resolved, Verdict::Different)
    }
}

/// Both answers, as comments.
fn answers(judge: &mut Judge, case: &Case) -> String {
    let mut text = String::new();
    let mut add = |who: &str, answer: &Answer| {
        let what = if answer.resolved { &answer.installs } else { &answer.problems };
        let verdict = if answer.resolved { "installs" } else { "cannot:" };
        text += &format!("# {who} {verdict} {}\n", what.join(" ").replace('\n', " "));
    };
    let ours = ours(case);
    add("libsolv", &judge.ask(case));
    add("we:    ", &ours);
    let broken = inconsistent(case, &ours.installs);
    if !broken.is_empty() {
        text += &format!("# ours breaks what these say: {}\n", broken.join(" "));
    }
    text
}

fn main() -> ExitCode {
    let options = match options() {
        Ok(options) => options,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(2);
        }
    };
    if let Some(file) = &options.case {
        let text = match std::fs::read_to_string(file) {
            Ok(text) => text,
            Err(error) => {
                eprintln!("{}: {error}", file.display());
                return ExitCode::from(2);
            }
        };
        let case = Case::parse(&text);
        let mut judge = Judge::new();
        print!("{}", answers(&mut judge, &case));
        let verdict = look(&mut judge, &case).1;
        println!("# {verdict:?}");
        if verdict == Verdict::Different {
            let case = shrink::shrink(case, |case| look(&mut judge, case).1 == Verdict::Different);
            print!("# at its smallest:\n{}{case}", answers(&mut judge, &case));
        }
        return ExitCode::from(u8::from(verdict == Verdict::Different));
    }
    let run = Run {
        options: &options,
        next: AtomicU64::new(0),
        done: AtomicU64::new(0),
        finished: AtomicBool::new(false),
        counts: Mutex::default(),
    };
    let last = options.seed.wrapping_add(options.count).wrapping_sub(1);
    println!("seeds {} to {last} on {} threads", options.seed, options.threads);
    let start = Instant::now();
    std::thread::scope(|scope| {
        let progress = scope.spawn(|| run.progress());
        let workers: Vec<_> = (0..options.threads).map(|_| scope.spawn(|| run.work())).collect();
        for worker in workers {
            // A panic was told when it happened; the others go on.
            let _ = worker.join();
        }
        run.finished.store(true, Ordering::Relaxed);
        progress.thread().unpark();
    });
    let done = run.done.load(Ordering::Relaxed);
    let counts = run.counts();
    println!(
        "{done} cases in {:.0} s, {} resolved, {} differ; excused: {:?}",
        start.elapsed().as_secs_f64(),
        counts.resolved,
        counts.different.len(),
        counts.excused
    );
    if done < options.count {
        println!("{} cases were not finished: a thread broke off", options.count - done);
    }
    if !counts.different.is_empty() {
        println!("the differences are in {}", options.output.display());
    }
    ExitCode::from(u8::from(done < options.count || !counts.different.is_empty()))
}
