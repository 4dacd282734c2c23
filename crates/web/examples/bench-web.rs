//! How fast the pages are on a database of Fedora's size: `make bench-web`.
//!
//!     bench-web [--dir DIR] [--packages NUMBER] [--seconds NUMBER] [ONLY...]
//!
//! The web interface runs in a process of its own, beside PostgreSQL and the load generator (wrk) on the same processors.
//! Every kind of page is asked for in three ways:
//!
//! * *anew*: one reader, and before each request something is committed, so that nothing that was remembered may be given
//!   again. What counts is the middle of many requests.
//! * *again*: one reader who asks as fast as they can, while nothing is committed.
//! * *32 readers* at once, while something is committed every second, as the services of an installation do.
//!
//! Pages of packages and builds, badges, searches and affected-by are different ones each time: some hundred are asked for
//! in turn. The figures of the original were measured on the same kind of database and machine; which pages, is not known.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a benchmark that cannot go on says why and ends"
)]

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use koschei_db::testing::Filled;
use koschei_db::{DatabaseConfig, PgConnection, Pool, connect, connect_one, schema, statistics};
use koschei_web::{State, WebConfig};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

/// A kind of page, the original's figures, and what is aimed at.
struct Kind {
    name: &'static str,
    addresses: Vec<String>,
    /// The original: middle of the times with one reader, milliseconds; requests in a second.
    original: (f64, f64),
    /// Milliseconds.
    aim: f64,
    /// So many times the original's requests in a second.
    times: f64,
}

/// What was measured of it.
struct Figures {
    anew: f64,
    again: f64,
    per_second: f64,
    slowest_hundredth: f64,
    bytes: usize,
    errors: u64,
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        if let [role, directory, database] = &words[..]
            && role == "serve"
        {
            serve(directory, database).await;
        } else {
            measure(words).await;
        }
    });
    runtime.shutdown_background();
}

/// The web interface, as `koschei web` runs it, on a port of this machine, which it tells; until its input ends.
async fn serve(directory: &str, database: &str) {
    let address = koschei_db::Address::Parts {
        host: directory.to_owned(),
        port: 5432,
        database: database.to_owned(),
        username: Some("koschei".to_owned()),
        password: None,
    };
    let pool = connect(&DatabaseConfig::new(address, "koschei-web")).await.unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("{}", listener.local_addr().unwrap());
    let state = State { pool, config: WebConfig::default() };
    let end = tokio::task::spawn_blocking(|| {
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
    });
    tokio::select! {
        ended = koschei_web::serve(listener, state, std::future::pending()) => ended.unwrap(),
        _ = end => {}
    }
}

async fn measure(words: Vec<String>) {
    let mut directory = PathBuf::from("target/bench-database");
    let (mut packages, mut seconds, mut only) = (24_000, 8, Vec::new());
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        let mut value = || words.next().unwrap_or_else(|| panic!("{word} needs a value"));
        match word.as_str() {
            "--dir" => directory = PathBuf::from(value()),
            "--packages" => packages = value().parse().expect("--packages takes a number"),
            "--seconds" => seconds = value().parse().expect("--seconds takes a number"),
            option if option.starts_with('-') => {
                panic!("there is no option {word}; there are --dir, --packages, --seconds")
            }
            _ => only.push(word),
        }
    }
    std::fs::create_dir_all(&directory).expect("the directory can be made");
    let directory = std::path::absolute(directory).expect("the directory has a path");
    let filled = Filled::start(&directory, packages).await;
    let config = filled.copy("bench_web").await;
    let mut connection = connect_one(&config).await.expect("the server answers");
    prepare(&mut connection).await;
    let pool = connect(&config).await.unwrap();
    let kinds = kinds(&pool).await;

    let mut web =
        Web::start(&filled.cluster().socket_directory().display().to_string(), "bench_web").await;
    println!("memory of the web process at its start: {} MB", web.memory("VmRSS"));
    println!();
    println!(
        "{:16} {:>9} | {:>8} {:>8} {:>6} {:>8} | {:>9} {:>8} {:>8} {:>8}",
        "", "bytes", "anew", "again", "aim", "original", "rps at 32", "aim", "original", "p99"
    );
    let mut missed = Vec::new();
    for kind in
        kinds.iter().filter(|kind| only.is_empty() || only.iter().any(|one| one == kind.name))
    {
        let figures = web.measure(kind, &directory, &mut connection, seconds).await;
        let aimed = kind.original.1 * kind.times;
        println!(
            "{:16} {:>9} | {:>5.1} ms {:>5.1} ms {:>6} {:>8} | {:>9.1} {:>8.1} {:>8} {:>5.0} ms{}",
            kind.name,
            figures.bytes,
            figures.anew,
            figures.again,
            kind.aim,
            kind.original.0,
            figures.per_second,
            aimed,
            kind.original.1,
            figures.slowest_hundredth,
            if figures.errors > 0 { format!(" {} ERRORS", figures.errors) } else { String::new() }
        );
        let mut miss = |what: &str, is: bool| {
            if is {
                missed.push(format!("{}: {what}", kind.name));
            }
        };
        miss("one reader, anew", figures.anew > kind.aim);
        miss("one reader, again", figures.again > kind.aim);
        miss("requests in a second", figures.per_second < aimed);
        miss("p99", figures.slowest_hundredth > 250.0);
        miss("errors", figures.errors > 0);
    }
    println!();
    let peak = web.memory("VmHWM");
    println!(
        "memory of the web process: {} MB now, {peak} MB at most, aim 150",
        web.memory("VmRSS")
    );
    if peak > 150 {
        missed.push("memory".to_owned());
    }
    println!("aim of p99: 250 ms. \"anew\" and \"again\" are the middle of many, with one reader.");
    if missed.is_empty() {
        println!("every aim was met");
    } else {
        println!("not met: {}", missed.join("; "));
    }
    web.end().await;
    pool.close().await;
}

/// The schema of today, statistics as polling makes them, and everything in order.
async fn prepare(connection: &mut PgConnection) {
    let begun = Instant::now();
    schema::upgrade(connection, None).await.unwrap_or_else(|error| panic!("{error}"));
    sqlx::raw_sql("BEGIN").execute(&mut *connection).await.unwrap();
    statistics::refresh(connection).await.unwrap();
    for statement in ["COMMIT", "VACUUM ANALYZE", "CHECKPOINT"] {
        sqlx::raw_sql(statement).execute(&mut *connection).await.unwrap();
    }
    println!("database prepared: {:.0} s", begun.elapsed().as_secs_f64());
}

/// Everything that is asked for.
async fn kinds(pool: &Pool) -> Vec<Kind> {
    let strings = async |statement: &'static str| -> Vec<String> {
        sqlx::query_scalar(statement).fetch_all(pool).await.unwrap()
    };
    let escaped = |text: &str| {
        text.bytes()
            .map(|byte| {
                if byte.is_ascii_alphanumeric() || b"-._".contains(&byte) {
                    char::from(byte).to_string()
                } else {
                    format!("%{byte:02X}")
                }
            })
            .collect::<String>()
    };
    let names = strings(
        "SELECT name FROM package WHERE collection_id = 4 AND tracked AND NOT blocked
          ORDER BY hashint4(id), id LIMIT 500",
    )
    .await;
    let builds = strings(
        "SELECT build.id::text FROM build JOIN package ON package.id = package_id
          WHERE collection_id = 4 AND last_complete ORDER BY hashint4(build.id), build.id LIMIT 500",
    )
    .await;
    // Links as they stand on pages of builds that failed.
    type Change = (String, i32, String, String, i32, String, String);
    let changes: Vec<Change> = sqlx::query_as(
        "SELECT old.name, old.epoch, old.version, old.release, new.epoch, new.version, new.release
           FROM (SELECT id FROM build WHERE state = 5 AND last_complete
                  ORDER BY hashint4(id), id LIMIT 500) AS build
          CROSS JOIN LATERAL (SELECT * FROM applied_change WHERE build_id = build.id
              AND prev_dep_id IS NOT NULL AND curr_dep_id IS NOT NULL
              ORDER BY hashint4(id), id LIMIT 1) AS change
           JOIN dependency AS old ON old.id = prev_dep_id
           JOIN dependency AS new ON new.id = curr_dep_id",
    )
    .fetch_all(pool)
    .await
    .unwrap();
    let kind =
        |name, addresses, original, aim, times| Kind { name, addresses, original, aim, times };
    let one = |address: &str| vec![address.to_owned()];
    let all = |prefix: &str, names: &[String], suffix: &str| {
        names.iter().map(|name| format!("{prefix}{}{suffix}", escaped(name))).collect::<Vec<_>>()
    };
    let words = names.iter().filter_map(|name| name.rsplit(['-', '_']).next()).take(100);
    let words: Vec<String> = words.map(str::to_owned).collect();
    let affected = changes
        .iter()
        .map(|(name, epoch1, version1, release1, epoch2, version2, release2)| {
            format!(
                "/affected-by/{}?collection=rawhide&epoch1={epoch1}&version1={}&release1={}&epoch2={epoch2}&version2={}&release2={}",
                escaped(name), escaped(version1), escaped(release1), escaped(version2), escaped(release2)
            )
        })
        .collect();
    vec![
        kind("/", one("/"), (197.0, 5.0), 10.0, 20.0),
        kind("packages", one("/packages?collection=rawhide"), (327.0, 3.0), 10.0, 20.0),
        kind("package", all("/package/", &names, "?collection=rawhide"), (25.0, 32.0), 10.0, 10.0),
        kind("build", all("/build/", &builds, ""), (11.0, 75.0), 10.0, 10.0),
        kind("groups", one("/groups"), (20.0, 48.0), 10.0, 20.0),
        kind("stats", one("/stats"), (69.0, 13.0), 10.0, 20.0),
        kind("search", all("/search?q=", &words, ""), (157.0, 6.0), 25.0, 20.0),
        kind("affected-by", affected, (1840.0, 0.5), 25.0, 20.0),
        kind(
            "API collection",
            one("/api/v1/packages?collection=rawhide"),
            (147.0, 6.5),
            50.0,
            20.0,
        ),
        kind("API all", one("/api/v1/packages"), (511.0, 1.7), 200.0, 20.0),
        kind("diff", one("/api/v1/collections/diff/rawhide/f42"), (380.0, 2.5), 25.0, 20.0),
        kind("badge", all("/badge/rawhide/", &names, ".svg"), (2.2, 386.0), 10.0, 10.0),
    ]
}

/// The process that is measured.
struct Web {
    process: Child,
    address: String,
}

impl Web {
    async fn start(directory: &str, database: &str) -> Self {
        let program = std::env::current_exe().expect("a program knows where it is");
        let mut process = Command::new(program)
            .args(["serve", directory, database])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("a program can start itself");
        let output = process.stdout.take().expect("it was asked for");
        let mut address = String::new();
        BufReader::new(output).read_line(&mut address).await.expect("it tells its address");
        Self { process, address: address.trim().to_owned() }
    }

    /// A figure of its memory, in MB.
    fn memory(&self, what: &str) -> u64 {
        let id = self.process.id().expect("it runs");
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).expect("this is Linux");
        let line = status.lines().find_map(|line| line.strip_prefix(what)).unwrap_or_default();
        let number = line.trim_start_matches(':').trim().trim_end_matches(" kB");
        number.parse::<u64>().unwrap_or(0) / 1024
    }

    async fn measure(
        &mut self,
        kind: &Kind,
        directory: &Path,
        connection: &mut PgConnection,
        seconds: u64,
    ) -> Figures {
        let mut reader = Reader::new(&self.address).await;
        let mut bytes = 0;
        // Warm up: what pages read is in memory, and every statement was seen before.
        for address in kind.addresses.iter().take(100) {
            bytes += reader.get(address).await;
        }
        let bytes = bytes / kind.addresses.len().min(100);
        let begun = Instant::now();
        let mut times = Vec::new();
        for address in kind.addresses.iter().cycle().take(500) {
            commit(connection).await;
            let asked = Instant::now();
            reader.get(address).await;
            times.push(asked.elapsed().as_secs_f64() * 1e3);
            if times.len() >= 20 && begun.elapsed() > Duration::from_secs(10) {
                break;
            }
        }
        times.sort_by(f64::total_cmp);
        let anew = times[times.len() / 2];
        let again = self.wrk(kind, directory, 1, seconds.div_ceil(2)).await;
        let committing = async {
            loop {
                commit(connection).await;
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        };
        let crowd = tokio::select! {
            crowd = self.wrk(kind, directory, 32, seconds) => crowd,
            () = committing => unreachable!("it goes on"),
        };
        Figures {
            anew,
            again: again.middle,
            per_second: crowd.per_second,
            slowest_hundredth: crowd.slowest_hundredth,
            bytes,
            errors: again.errors + crowd.errors,
        }
    }

    async fn wrk(&self, kind: &Kind, directory: &Path, readers: u32, seconds: u64) -> Load {
        let addresses = directory.join("addresses");
        std::fs::write(&addresses, kind.addresses.join("\n")).expect("the directory is ours");
        let script = directory.join("load.lua");
        std::fs::write(&script, SCRIPT).expect("the directory is ours");
        let output = Command::new("wrk")
            .args(["-t1", &format!("-c{readers}"), &format!("-d{seconds}s"), "--timeout", "30s"])
            .arg("-s")
            .arg(&script)
            .arg(format!("http://{}", self.address))
            .arg("--")
            .arg(&addresses)
            .output()
            .await
            .expect("wrk can be started: scripts/install-deps only wrk");
        let text = String::from_utf8_lossy(&output.stdout);
        let line = text.lines().find_map(|line| line.strip_prefix("RESULT "));
        let line = line.unwrap_or_else(|| {
            panic!("wrk says {text} {}", String::from_utf8_lossy(&output.stderr))
        });
        let numbers: Vec<f64> = line.split(' ').map(|number| number.parse().unwrap()).collect();
        let [requests, micros, middle, slowest, errors] = numbers[..] else { panic!("{line}") };
        Load {
            per_second: requests / (micros / 1e6),
            middle: middle / 1e3,
            slowest_hundredth: slowest / 1e3,
            errors: errors as u64,
        }
    }

    async fn end(mut self) {
        drop(self.process.stdin.take());
        let _ = self.process.wait().await;
    }
}

/// What wrk tells, in milliseconds.
struct Load {
    per_second: f64,
    middle: f64,
    slowest_hundredth: f64,
    errors: u64,
}

const SCRIPT: &str = r#"
local paths, at = {}, 0
function init(args)
    for line in io.lines(args[1]) do paths[#paths + 1] = wrk.format("GET", line) end
end
function request()
    at = at % #paths + 1
    return paths[at]
end
function done(summary, latency, requests)
    local e = summary.errors
    print(string.format("RESULT %d %d %d %d %d", summary.requests, summary.duration, latency:percentile(50),
        latency:percentile(99), e.connect + e.read + e.write + e.status + e.timeout))
end
"#;

/// Commits something, so that nothing that is remembered may be given again.
async fn commit(connection: &mut PgConnection) {
    sqlx::query("SELECT pg_current_xact_id()::text").execute(connection).await.unwrap();
}

/// Somebody who reads one page after the other.
struct Reader {
    stream: BufReader<TcpStream>,
}

impl Reader {
    async fn new(address: &str) -> Self {
        let stream = TcpStream::connect(address).await.expect("the web interface answers");
        stream.set_nodelay(true).unwrap();
        Self { stream: BufReader::with_capacity(1 << 16, stream) }
    }

    /// Reads a page; how many bytes it has.
    async fn get(&mut self, address: &str) -> usize {
        let request = format!("GET {address} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        self.stream.get_mut().write_all(request.as_bytes()).await.unwrap();
        let (mut line, mut length) = (String::new(), 0);
        self.stream.read_line(&mut line).await.unwrap();
        assert!(line.contains(" 200 "), "{address}: {line}");
        loop {
            line.clear();
            self.stream.read_line(&mut line).await.unwrap();
            let Some((name, value)) = line.trim().split_once(':') else { break };
            if name.eq_ignore_ascii_case("content-length") {
                length = value.trim().parse().unwrap();
            }
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).await.unwrap();
        length
    }
}
