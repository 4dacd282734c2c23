//! `koschei depcheck`: which source packages cannot be built from some repositories, and why.
//!
//! The resolver without the rest of Koschei: no configuration, no database, no Koji; two repositories are enough. With an
//! overlay or a removal it answers what a change would break before it is made.
//!
//! Everything that can be wrong is found before the first line of the answer is printed.

mod build_group;
mod builds;
mod json;
mod options;
mod output;
mod plain;
mod progress;
mod queue;
mod repository;
mod sources;
mod temporary;
mod text;
mod what_if;
mod world;

use std::panic::resume_unwind;
use std::process::ExitCode;

use depsolve::{ARCHITECTURES, Request};
use rpm::{Dep, Relation};

pub(crate) use self::options::DepcheckOptions;
use self::options::{Format, OverlayMode};
use self::output::{End, Output};
use self::progress::Progress;
use self::repository::Repository;
use self::sources::{Source, Sources};
use self::world::{Change, Offers, Removal};
use crate::command_line::PROGRAM;
use crate::{failure::Failure, logging};

/// What shells report of a process that wrote when nobody read any more.
const NOBODY_READS: u8 = 128 + 13;

/// Something newly broken, or broken at all.
const PROBLEMS: u8 = 1;

/// What to find out.
#[derive(Clone, Copy)]
struct Question<'q> {
    sources: &'q [Source],
    build_group: &'q [String],
    weak_deps: bool,
    format: Format,
    install_sets: bool,
    threads: usize,
    progress: &'q Progress,
}

impl<'q> Question<'q> {
    fn request(&self, source: usize) -> Request<'q> {
        Request { build_requires: &self.sources[source].build_requires, ..self.request_for_group() }
    }

    fn request_for_group(&self) -> Request<'q> {
        Request { build_group: self.build_group, build_requires: &[], weak_deps: self.weak_deps }
    }
}

/// Answers.
pub(crate) fn run(options: &DepcheckOptions) -> Result<ExitCode, Failure> {
    logging::quietly();
    temporary::remove_when_interrupted();
    let progress = Progress::start();
    match answer(options, &progress) {
        Ok(0) => Ok(ExitCode::SUCCESS),
        Ok(_) => Ok(ExitCode::from(PROBLEMS)),
        Err(End::Failure(failure)) => Err(failure),
        Err(End::NobodyReads) => Ok(ExitCode::from(NOBODY_READS)),
    }
}

/// Tells how many source packages are (newly) broken.
fn answer(options: &DepcheckOptions, progress: &Progress) -> Result<usize, End> {
    check_arch(&options.arch)?;
    let threads = options
        .threads
        .map_or_else(|| std::thread::available_parallelism().map_or(1, usize::from), usize::from);
    let change = Change { mode: options.overlay_mode, remove: Removal::new(&options.remove)? };
    let what_if = !options.overlay.is_empty() || !change.remove.is_empty();
    if !what_if && options.overlay_mode != OverlayMode::Newer {
        return Err(Failure::usage(
            "--overlay-mode says how to apply an --overlay, and there is none",
        )
        .into());
    }
    if options.install_sets && options.format == Format::Text {
        return Err(Failure::usage("--install-sets needs --format json or jsonl").into());
    }

    // The indexes of everything first: a mistake in the last argument should not show after a long download.
    let binary = options
        .binary
        .iter()
        .map(|name| Repository::open(name, progress))
        .collect::<Result<Vec<_>, _>>()?;
    let build_group = match &options.build_group {
        Some(group) => build_group::read(group, &binary, progress)?,
        None => Vec::new(),
    };
    let sources = Sources::open(&options.source, progress)?;
    let offers = Offers::open(binary, &options.overlay, &options.arch, progress)?;

    progress.begin("Reading the repositories", 0);
    let (sources, (before, after)) = both(
        threads,
        || sources.read(),
        || both(threads, || offers.before(), || what_if.then(|| offers.after(&change)).transpose()),
    );
    let (mut sources, before, after) = (sources?, before?, after?);
    sources.retain(|source| !change.remove.takes_source(&source.name));
    for warning in after.as_ref().unwrap_or(&before).warnings() {
        warn(progress, &warning);
    }
    let mut paths = sources::paths(&sources);
    paths.extend(build_group.iter().filter(|name| name.starts_with('/')).map(String::as_str));
    progress.begin("Preparing", 0);
    let (before, after) = both(
        threads,
        || offers.finish(before, &paths, progress),
        || after.map(|after| offers.finish(after, &paths, progress)).transpose(),
    );
    let (before, after) = (before?, after?);
    drop(offers);

    let question = Question {
        sources: &sources,
        build_group: &build_group,
        weak_deps: !options.ignore_weak_deps,
        format: options.format,
        install_sets: options.install_sets,
        threads,
        progress,
    };
    let group: Vec<Dep> =
        build_group.iter().map(|name| Relation::any(name.as_str()).into()).collect();
    for name in text::not_found(&before, &group) {
        warn(
            progress,
            &format!("nothing provides {name} of the build group; it is left out, as Koji does"),
        );
    }
    let mut output = Output::new(progress);
    let broken = match &after {
        None => plain::ask(&question, &before, &mut output)?,
        Some(after) => what_if::ask(&question, &before, after, &mut output)?,
    };
    output.finish()?;
    Ok(broken)
}

fn check_arch(arch: &str) -> Result<(), Failure> {
    if ARCHITECTURES.contains(&arch) {
        return Ok(());
    }
    Err(Failure::usage(format_args!(
        "--arch {arch}: the architecture is not known; known are {}",
        ARCHITECTURES.join(", ")
    )))
}

fn warn(progress: &Progress, warning: &str) {
    progress.aside(|| eprintln!("{PROGRAM}: warning: {warning}"));
}

/// Does two things at the same time, if there is more than one thread.
fn both<A: Send, B: Send>(
    threads: usize,
    one: impl FnOnce() -> A + Send,
    other: impl FnOnce() -> B + Send,
) -> (A, B) {
    if threads < 2 {
        return (one(), other());
    }
    std::thread::scope(|scope| {
        let one = scope.spawn(one);
        let other = other();
        (one.join().unwrap_or_else(|panic| resume_unwind(panic)), other)
    })
}
