//! How fast whole repositories are loaded and resolved; the first half of `make bench-depsolve`.
//!
//! `bench REPO [--sample N --sample-file FILE] [--list FILE] [--threads N] [--rounds N] [--only-load]`, where REPO has
//! `binary/`, `source/` and `build-group.txt` as in the test data. Prints what loading takes, and for all source packages,
//! with distances, what resolving takes: on one thread and on N, with and without weak dependencies. The time of a source package is that
//! of its thread's clock on the wall, so on a busy machine the slowest ones tell about the machine.
//!
//! N evenly spread source packages are written to FILE, one JSON object a line, with our own times, for others
//! to be measured on the same work. `--list` writes what each source package took with weak dependencies (microseconds)
//! and how many packages it installs.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use depsolve::{Request, Resolution, Solver, Universe};
use rayon::prelude::*;
use rpm::Dep;
use rpm::md::primary;
use rpm::md::repomd::Repomd;

type Failure = Box<dyn std::error::Error>;

struct Source {
    name: String,
    build_requires: Vec<Dep>,
}

/// What one source package took.
struct Answer<'a> {
    time: Duration,
    name: &'a str,
    resolved: bool,
    installs: usize,
    /// Of packages and distances, to see whether two programs agree.
    hash: u64,
}

struct Options {
    repo: PathBuf,
    sample: usize,
    sample_file: Option<PathBuf>,
    list: Option<PathBuf>,
    threads: usize,
    rounds: usize,
    only_load: bool,
}

fn options() -> Result<Options, Failure> {
    let usage = "usage: bench REPO [--sample N --sample-file FILE] [--list FILE] [--threads N] [--rounds N] [--only-load]";
    let mut repo = None;
    let mut options = Options {
        repo: PathBuf::new(),
        sample: 100,
        sample_file: None,
        list: None,
        threads: std::thread::available_parallelism()?.get(),
        rounds: 3,
        only_load: false,
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or(usage);
        match argument.as_str() {
            "--sample" => options.sample = value()?.parse()?,
            "--sample-file" => options.sample_file = Some(value()?.into()),
            "--list" => options.list = Some(value()?.into()),
            "--threads" => options.threads = value()?.parse()?,
            "--rounds" => options.rounds = value()?.parse()?,
            "--only-load" => options.only_load = true,
            _ => repo = Some(PathBuf::from(argument)),
        }
    }
    options.repo = repo.ok_or(usage)?;
    Ok(options)
}

fn open(directory: &Path, kind: &str) -> Result<File, Failure> {
    let index = directory.join("repodata/repomd.xml");
    let repomd = File::open(&index).map_err(|error| format!("{}: {error}", index.display()))?;
    let repomd = Repomd::read(repomd)?;
    let file = repomd.get(kind).ok_or_else(|| format!("{} has no {kind}", directory.display()))?;
    Ok(File::open(directory.join(&file.location))?)
}

/// The most memory that this process ever had, in MB.
fn peak_memory() -> Result<u64, Failure> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()).ok_or("no VmHWM")?;
    Ok(kilobytes.parse::<u64>()? / 1024)
}

/// The processor's time that all threads of this process have had. Counted in hundredths of a second.
fn cpu_time() -> Result<f64, Failure> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    // The name of the program, in parentheses, may contain anything.
    let (_, fields) = stat.rsplit_once(')').ok_or("no /proc/self/stat")?;
    let ticks: Vec<f64> =
        fields.split_whitespace().skip(11).take(2).map(str::parse).collect::<Result<_, _>>()?;
    Ok(ticks.iter().sum::<f64>() / 100.0)
}

/// The paths that BuildRequires ask for.
fn paths(repo: &Path) -> Result<Vec<String>, Failure> {
    let mut paths = Vec::new();
    for package in primary::Reader::new(open(&repo.join("source"), "primary")?)? {
        for requirement in package?.requires {
            requirement.dep.for_each_relation(&mut |relation| {
                if relation.name.starts_with('/') {
                    paths.push(relation.name.clone());
                }
            });
        }
    }
    Ok(paths)
}

fn sources(repo: &Path) -> Result<Vec<Source>, Failure> {
    let mut sources = Vec::new();
    for package in primary::Reader::new(open(&repo.join("source"), "primary")?)? {
        let package = package?;
        let build_requires = package.requires.into_iter().map(|requirement| requirement.dep);
        sources.push(Source { name: package.nevra.name, build_requires: build_requires.collect() });
    }
    Ok(sources)
}

/// Loads the repository in every way, and prints what each takes.
fn load(repo: &Path) -> Result<Universe, Failure> {
    let paths = paths(repo)?;
    let binary = repo.join("binary");
    let before = peak_memory()?;
    let cpu = cpu_time()?;
    let start = Instant::now();
    let mut loader = depsolve::Loader::new("x86_64", paths.iter().cloned());
    loader.primary(open(&binary, "primary")?)?;
    let needs_filelists = loader.needs_filelists();
    let universe = loader.finish()?;
    let primary_only = start.elapsed();
    println!(
        "loading {} packages from XML, without file lists: {primary_only:.2?} ({:.2} s of CPU time); peak memory {} MB ({before} MB before)",
        universe.len(),
        cpu_time()? - cpu,
        peak_memory()?,
    );
    drop(universe);

    let cpu = cpu_time()?;
    let start = Instant::now();
    let mut loader = depsolve::Loader::new("x86_64", paths);
    loader.primary(open(&binary, "primary")?)?;
    loader.filelists(open(&binary, "filelists")?)?;
    let universe = loader.finish()?;
    println!(
        "loading from XML, with file lists: {:.2?} ({:.2} s of CPU time; needed here: {}); peak memory {} MB",
        start.elapsed(),
        cpu_time()? - cpu,
        if needs_filelists { "yes" } else { "no, so they are not read otherwise" },
        peak_memory()?,
    );

    let cache = std::env::temp_dir().join(format!("bench-depsolve-{}", std::process::id()));
    universe.save(BufWriter::new(File::create(&cache)?))?;
    let size = std::fs::metadata(&cache)?.len();
    let mut best = Duration::MAX;
    for _ in 0..5 {
        let start = Instant::now();
        Universe::open(File::open(&cache)?)?;
        best = best.min(start.elapsed());
    }
    std::fs::remove_file(&cache)?;
    println!("loading from its own cache ({:.1} MB): {best:.2?}", size as f64 / 1e6);
    Ok(universe)
}

/// Of packages, distances and the number of problems. A simple one, since the threads wait for it.
fn answer_hash(resolution: &Resolution) -> u64 {
    let mut hash = resolution.problems.len() as u64;
    for install in &resolution.installs {
        let word = u64::from(install.package.0) << 8 | u64::from(install.distance.unwrap_or(0));
        hash = (hash.rotate_left(5) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
    hash
}

/// Resolves everything several times; the answers of the quickest round and what it took. Each thread has its solver
/// from the beginning, as in a service.
fn resolve<'a>(
    universe: &Universe,
    sources: &'a [Source],
    build_group: &[String],
    weak_deps: bool,
    threads: usize,
    rounds: usize,
) -> Result<(Vec<Answer<'a>>, Duration), Failure> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build()?;
    let mut best: Option<(Vec<Answer<'a>>, Duration)> = None;
    // Solvers are dear to make: a few for each thread.
    let each_length = sources.len().div_ceil(threads * 8);
    for _ in 0..rounds {
        let start = Instant::now();
        let answers: Vec<Answer<'a>> = pool.install(|| {
            let each = |(solver, resolution): &mut (Solver<'_>, Resolution), source: &'a Source| {
                let start = Instant::now();
                let build_requires = &source.build_requires;
                solver
                    .resolve_into(&Request { build_group, build_requires, weak_deps }, resolution);
                let time = start.elapsed();
                Answer {
                    time,
                    name: &source.name,
                    resolved: resolution.resolved(),
                    installs: resolution.installs.len(),
                    hash: answer_hash(resolution),
                }
            };
            let init = || (Solver::new(universe), Resolution::default());
            sources.par_iter().with_min_len(each_length).map_init(init, each).collect()
        });
        let took = start.elapsed();
        if best.as_ref().is_none_or(|(_, best)| took < *best) {
            best = Some((answers, took));
        }
    }
    best.ok_or_else(|| "no rounds".into())
}

fn report(answers: &[Answer<'_>], took: Duration, threads: usize) {
    let sum: Duration = answers.iter().map(|answer| answer.time).sum();
    let mut sorted: Vec<(Duration, &str)> =
        answers.iter().map(|answer| (answer.time, answer.name)).collect();
    sorted.sort();
    let at = |share: f64| sorted[((sorted.len() - 1) as f64 * share) as usize].0;
    println!(
        "  koschei, {threads} thread{}: {:.1?} per source (p50 {:.1?}, p99 {:.1?}, slowest {:.2?}: {}); whole archive {took:.2?}",
        if threads == 1 { "" } else { "s" },
        sum / answers.len() as u32,
        at(0.5),
        at(0.99),
        at(1.0),
        sorted.last().map_or("", |(_, name)| name),
    );
}

fn main() -> Result<(), Failure> {
    let options = options()?;
    let group = std::fs::read_to_string(options.repo.join("build-group.txt"))?;
    let build_group: Vec<String> = group.split_whitespace().map(str::to_owned).collect();
    let universe = load(&options.repo)?;
    if options.only_load {
        return Ok(());
    }
    let sources = sources(&options.repo)?;
    let every = sources.len().div_ceil(options.sample.max(1));
    let sampled = |i: usize| i % every == every / 2;
    let mut samples: Vec<serde_json::Value> = Vec::new();
    for (i, source) in sources.iter().enumerate().filter(|(i, _)| sampled(*i)) {
        let texts: Vec<String> = source.build_requires.iter().map(ToString::to_string).collect();
        samples
            .push(serde_json::json!({ "index": i, "name": source.name, "build_requires": texts }));
    }
    for weak_deps in [true, false] {
        println!("{} weak dependencies:", if weak_deps { "with" } else { "without" });
        let mut counts = vec![1, options.threads];
        counts.dedup();
        for threads in counts {
            let (answers, took) =
                resolve(&universe, &sources, &build_group, weak_deps, threads, options.rounds)?;
            report(&answers, took, threads);
            if threads > 1 {
                continue;
            }
            let key = if weak_deps { "weak" } else { "noweak" };
            if let (Some(path), true) = (&options.list, weak_deps) {
                let mut file = BufWriter::new(File::create(path)?);
                for answer in &answers {
                    let time = answer.time.as_secs_f64() * 1e6;
                    writeln!(file, "{} {time:.1} {}", answer.name, answer.installs)?;
                }
                file.flush()?;
            }
            let of_sample = answers.iter().enumerate().filter(|(i, _)| sampled(*i));
            for ((_, answer), sample) in of_sample.zip(&mut samples) {
                sample[key] = serde_json::json!({
                    "seconds": answer.time.as_secs_f64(),
                    "resolved": answer.resolved,
                });
            }
            let all = answers.iter().fold(0u64, |all, answer| all.rotate_left(5) ^ answer.hash);
            let resolved = answers.iter().filter(|answer| answer.resolved).count();
            println!(
                "  {} sources, {resolved} of them resolved; answers {all:016x}",
                answers.len()
            );
        }
    }
    println!("peak memory with all solvers and source packages: {} MB", peak_memory()?);
    if let Some(path) = &options.sample_file {
        let mut file = BufWriter::new(File::create(path)?);
        for sample in &samples {
            writeln!(file, "{sample}")?;
        }
        file.flush()?;
    }
    Ok(())
}
