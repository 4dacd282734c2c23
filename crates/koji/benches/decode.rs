//! How long reading the two largest answers takes, and how much memory, beside the official client on the same bodies: the
//! builds of a tag (listTagged, one body), and the BuildRequires of all packages (getRPMDeps in multicalls of 100).
//!
//! `cargo bench -p koji`, or `make bench-koji`. Each reading is a process of its own, so that its peak of memory is its own.
//! Ours includes the body, which our client has in memory as a whole; the official client reads pieces.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "a measurement stops when something is wrong"
)]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use koji::calls::{self, ListTagged};
use koji::types::{DepType, RpmDep, RpmIdent, TaggedBuild};
use koji::xmlrpc::{Limits, Struct, Value, answers, decode_response, encode_response};

const PACKAGES: usize = 25_000;
const DEPENDENCIES_EACH: usize = 20;
const CALLS_PER_REQUEST: usize = 100;
const REPETITIONS: usize = 3;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["--read", kind, files @ ..] => read(kind, files),
        _ => compare(),
    }
}

// What is read

fn name_of(number: usize) -> String {
    format!(
        "{}-{}-{number}",
        ["lib", "python3", "perl", "rust"][number % 4],
        number * 7919 % 10_007
    )
}

fn tagged_builds() -> Value {
    let build = |number: usize| {
        let (name, id) = (name_of(number), number as i64 + 2_000_000);
        let (version, release) =
            (format!("{}.{}.1", number % 9, number % 31), format!("{}.fc44", number % 12));
        let time =
            format!("2026-03-{:02} 12:35:{:02}.{:06}+00:00", number % 28 + 1, number % 60, number);
        let nvr = format!("{name}-{version}-{release}");
        Struct::new()
            .with("build_id", id)
            .with("completion_time", time.as_str())
            .with("create_event", id + 5)
            .with("creation_event_id", id + 3)
            .with("creation_time", time.as_str())
            .with("draft", false)
            .with("epoch", if number.is_multiple_of(20) { Value::Int(1) } else { Value::Nil })
            .with("id", id)
            .with("name", name.as_str())
            .with("nvr", nvr)
            .with("owner_id", (number % 900) as i64)
            .with("owner_name", format!("packager{}", number % 900))
            .with("package_id", number as i64)
            .with("package_name", name)
            .with("promoter_id", Value::Nil)
            .with("promoter_name", Value::Nil)
            .with("promotion_time", Value::Nil)
            .with("release", release)
            .with("start_time", time)
            .with("state", 1)
            .with("tag_id", 77)
            .with("tag_name", "f44")
            .with("task_id", id * 40)
            .with("version", version)
            .with("volume_id", 0)
            .with("volume_name", "DEFAULT")
    };
    Value::Array((0..PACKAGES).map(|number| build(number).into()).collect())
}

fn dependencies(package: usize) -> Value {
    let dependency = |number: usize| {
        let place = package * DEPENDENCIES_EACH + number;
        let versioned = place.is_multiple_of(5);
        Struct::new()
            .with("name", format!("pkgconfig({})", name_of(place % 9_001)))
            .with(
                "version",
                if versioned { format!("{}.{}", place % 7, place % 13) } else { String::new() },
            )
            .with("flags", if versioned { 12 } else { 0 })
            .with("type", 0)
    };
    Value::Array((0..DEPENDENCIES_EACH).map(|number| dependency(number).into()).collect())
}

fn write(directory: &Path, name: &str, answer: Value) -> PathBuf {
    let path = directory.join(name);
    std::fs::write(&path, encode_response(&Ok(answer))).unwrap();
    path
}

// Reading

fn memory(name: &str) -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap()
}

fn decoded(path: &str) -> Value {
    decode_response(&std::fs::read(path).unwrap(), Limits::RESPONSE).unwrap().unwrap()
}

fn read(kind: &str, files: &[&str]) {
    let before = memory("VmRSS");
    let begin = Instant::now();
    let (entries, milliseconds) = if kind == "call" {
        let call = calls::list_tagged("f44", ListTagged::default());
        let builds: Vec<TaggedBuild> = call.result(decoded(files[0])).unwrap();
        (builds.len(), begin.elapsed())
    } else {
        let call = calls::get_rpm_deps(RpmIdent::Id(1), DepType::Require);
        let mut packages: Vec<Vec<RpmDep>> = Vec::new();
        for file in files {
            let results = answers(decoded(file), CALLS_PER_REQUEST).unwrap();
            packages
                .extend(results.into_iter().map(|result| call.result(result.unwrap()).unwrap()));
        }
        (packages.len(), begin.elapsed())
    };
    let peak = (memory("VmHWM") - before) / 1024.0;
    println!("{:.1} {peak:.1} {entries}", milliseconds.as_secs_f64() * 1000.0);
}

// Comparing

/// Milliseconds in the middle of several readings, and the highest peak of memory.
fn measure(command: impl Fn() -> Command) -> (f64, f64) {
    let mut times = Vec::new();
    let mut peak = 0.0_f64;
    for _ in 0..REPETITIONS {
        let output = command().output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let fields: Vec<f64> =
            text.split_whitespace().filter_map(|field| field.parse().ok()).collect();
        let [time, memory, entries] = fields[..] else {
            panic!("{text}{}", String::from_utf8_lossy(&output.stderr));
        };
        assert_eq!(entries as usize, PACKAGES);
        times.push(time);
        peak = peak.max(memory);
    }
    times.sort_by(f64::total_cmp);
    (times[REPETITIONS / 2], peak)
}

/// The official client, in an environment below the target directory; tests of the simulated hub use the same one.
fn official_client() -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("koji-client");
    let python = directory.join("bin/python");
    let done = directory.join("installed");
    if !done.exists() {
        let run = |program: &Path, arguments: &[&str]| {
            let status = Command::new(program).args(arguments).status().unwrap_or_else(|error| {
                panic!("cannot run {} ({error}); install python3 with venv", program.display())
            });
            assert!(
                status.success(),
                "{arguments:?} needs python3 with venv, and the Python package index"
            );
        };
        run(Path::new("python3"), &["-m", "venv", &directory.display().to_string()]);
        let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
        run(&python, &[&pip[..], &["--no-deps", "koji==1.36.1"]].concat());
        run(&python, &[&pip[..], &["defusedxml", "python-dateutil", "requests", "six"]].concat());
        std::fs::write(&done, "").unwrap();
    }
    python
}

fn compare() {
    let directory = tempfile::tempdir().unwrap();
    let tagged = vec![write(directory.path(), "listTagged.xml", tagged_builds())];
    let deps: Vec<PathBuf> = (0..PACKAGES / CALLS_PER_REQUEST)
        .map(|request| {
            let first = request * CALLS_PER_REQUEST;
            let entries = (first..first + CALLS_PER_REQUEST)
                .map(|package| Value::Array(vec![dependencies(package)]));
            let answer = Value::Array(entries.collect());
            write(directory.path(), &format!("getRPMDeps-{request}.xml"), answer)
        })
        .collect();
    let python = official_client();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/decode.py");
    let ours = std::env::current_exe().unwrap();
    println!("{:<44} {:>9} {:>11} {:>11}", "", "body", "ours", "official");
    for (what, kind, files) in [
        ("listTagged of 25,000 builds", "call", tagged),
        ("getRPMDeps of 25,000 packages, 20 each", "multicall", deps),
    ] {
        let bytes: u64 = files.iter().map(|file| file.metadata().unwrap().len()).sum();
        let (our_time, our_peak) = measure(|| {
            let mut command = Command::new(&ours);
            command.args(["--read", kind]).args(&files);
            command
        });
        let (their_time, their_peak) = measure(|| {
            let mut command = Command::new(&python);
            command.arg(&script).arg(kind).args(&files);
            command
        });
        let body = format!("{:.0} MB", bytes as f64 / 1e6);
        println!("{what:<44} {body:>9} {our_time:>8.0} ms {their_time:>8.0} ms");
        println!("{:<44} {:>9} {our_peak:>8.0} MB {their_peak:>8.0} MB", "    peak of memory", "");
    }
}
