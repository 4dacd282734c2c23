//! How fast a whole repository is resolved.
//!
//! `bench REPO [--noweak] [--threads N]`, where REPO has `binary/`, `source/` and `build-group.txt` as in the
//! test data. Prints the time for loading, and for each source package with distances: mean and the slowest.

use std::fs::File;
use std::hash::{Hash, Hasher};
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

fn open(directory: &Path, kind: &str) -> Result<File, Failure> {
    let repomd = Repomd::read(File::open(directory.join("repodata/repomd.xml"))?)?;
    let file = repomd.get(kind).ok_or_else(|| format!("{} has no {kind}", directory.display()))?;
    Ok(File::open(directory.join(&file.location))?)
}

fn hash(resolution: &Resolution) -> u64 {
    let mut hasher = std::hash::DefaultHasher::new();
    for install in &resolution.installs {
        (install.package, install.distance).hash(&mut hasher);
    }
    for problem in &resolution.problems {
        problem.to_string().hash(&mut hasher);
    }
    hasher.finish()
}

fn main() -> Result<(), Failure> {
    let mut repo = None;
    let mut weak_deps = true;
    let mut threads = 1;
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--noweak" => weak_deps = false,
            "--threads" => threads = arguments.next().ok_or("--threads needs a number")?.parse()?,
            _ => repo = Some(PathBuf::from(argument)),
        }
    }
    let repo = repo.ok_or("usage: bench REPO [--noweak] [--threads N]")?;
    let group = std::fs::read_to_string(repo.join("build-group.txt"))?;
    let build_group: Vec<String> = group.split_whitespace().map(str::to_owned).collect();
    let mut sources = Vec::new();
    for package in primary::Reader::new(open(&repo.join("source"), "primary")?)? {
        let package = package?;
        sources.push(Source {
            name: package.nevra.name,
            build_requires: package
                .requires
                .into_iter()
                .map(|requirement| requirement.dep)
                .collect(),
        });
    }
    let mut paths = Vec::new();
    for dep in sources.iter().flat_map(|source| &source.build_requires) {
        dep.for_each_relation(&mut |relation| {
            if relation.name.starts_with('/') {
                paths.push(relation.name.clone());
            }
        });
    }

    let start = Instant::now();
    let binary = repo.join("binary");
    let universe = Universe::load(
        open(&binary, "primary")?,
        Some(open(&binary, "filelists")?),
        "x86_64",
        paths,
    )?;
    println!("loaded {} packages from XML in {:.2?}", universe.len(), start.elapsed());

    rayon::ThreadPoolBuilder::new().num_threads(threads).build_global()?;
    for round in ["first round", "second round"] {
        let start = Instant::now();
        let times: Vec<(Duration, &str, bool, u64)> = sources
            .par_iter()
            .map_init(
                || (Solver::new(&universe), Resolution::default()),
                |(solver, resolution), source| {
                    let start = Instant::now();
                    solver.resolve_into(
                        &Request {
                            build_group: &build_group,
                            build_requires: &source.build_requires,
                            weak_deps,
                        },
                        resolution,
                    );
                    (start.elapsed(), source.name.as_str(), resolution.resolved(), hash(resolution))
                },
            )
            .collect();
        let wall = start.elapsed();
        let answers = times.iter().fold(0u64, |all, (_, _, _, one)| all.rotate_left(5) ^ one);
        println!("answers {answers:016x}");
        let sum: Duration = times.iter().map(|(time, _, _, _)| time).sum();
        let resolved = times.iter().filter(|(_, _, resolved, _)| *resolved).count();
        let mut sorted: Vec<(Duration, &str)> =
            times.iter().map(|(time, name, _, _)| (*time, *name)).collect();
        sorted.sort();
        let at = |share: f64| sorted[((sorted.len() - 1) as f64 * share) as usize].0;
        println!(
            "{round}, {threads} threads: {} sources ({resolved} resolved) in {wall:.2?}; {:.2?} per source; p50 {:.2?}, p99 {:.2?}, slowest {:.2?} ({})",
            times.len(),
            sum / times.len() as u32,
            at(0.5),
            at(0.99),
            at(1.0),
            sorted.last().map_or("", |(_, name)| name),
        );
    }
    Ok(())
}
