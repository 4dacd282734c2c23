//! The two processes that are measured from outside: the hub, and a service with nothing else in it.
//!
//! Both are this program under another name. They read a command a line and answer each with one line.

use std::io::{BufRead, BufReader, Write, stdin, stdout};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use kojisim::{KOSCHEI_USER, Options, Script, Sim};
use koschei_backend::{Context, Stop, repo_resolver};
use koschei_core::config::{Config, FreeForm, LoginMethod};
use koschei_db::{Address, DatabaseConfig};

/// A process of ours that answers commands.
pub(crate) struct Worker {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Worker {
    /// Starts this program under a role, and waits for its first line.
    pub(crate) fn start(arguments: &[&str]) -> (Worker, String) {
        let program = std::env::current_exe().expect("a program knows where it is");
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a program can start itself");
        let input = child.stdin.take().expect("it was asked for");
        let output = BufReader::new(child.stdout.take().expect("it was asked for"));
        let mut worker = Worker { child, input, output };
        let first = worker.line();
        (worker, first)
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        let read = self.output.read_line(&mut line).expect("its output can be read");
        assert!(read > 0, "a process of the benchmark ended; its words stand above");
        line.trim_end().to_owned()
    }

    /// Gives a command and waits for the answer.
    pub(crate) fn ask(&mut self, command: &str) -> String {
        writeln!(self.input, "{command}").expect("it reads");
        self.line()
    }

    /// An answer that is a number.
    pub(crate) fn number(&mut self, command: &str) -> u64 {
        self.ask(command).parse().expect("the answer is a number")
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn answer(text: impl std::fmt::Display) {
    let mut output = stdout();
    writeln!(output, "{text}").and_then(|()| output.flush()).expect("somebody listens");
}

/// The hub: `serve DIRECTORY REPOSITORIES`.
pub(crate) async fn serve(directory: &str, repositories: &str) {
    let options = Options {
        world: Some(PathBuf::from(repositories)),
        script: Script::None,
        ..Options::new(directory)
    };
    let sim = Sim::start(options).await.unwrap_or_else(|error| panic!("{error}"));
    answer(format_args!("{} {} {}", sim.url(), sim.topurl(), sim.weburl()));
    let (sender, mut receiver) = tokio::sync::mpsc::channel(1);
    std::thread::spawn(move || {
        for line in stdin().lock().lines() {
            if line.map(|line| sender.blocking_send(line)).is_err() {
                break;
            }
        }
    });
    while let Some(line) = receiver.recv().await {
        let mut words = line.split(' ').map(str::to_owned);
        let command = words.next().unwrap_or_default();
        let names: Vec<String> = words.collect();
        let tasks = || names.iter().map(|task| task.parse().expect("a task is a number"));
        match command.as_str() {
            "rebuild" => answer(sim.rebuild(&names)),
            "untag" => answer(sim.untag_sources(&names)),
            "scratch" => {
                let tasks = sim.scratch_builds(&names);
                answer(tasks.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "));
            }
            "close" => {
                answer(format_args!("{:?}", sim.end_tasks(&tasks().collect::<Vec<_>>(), true)))
            }
            "fail" => {
                answer(format_args!("{:?}", sim.end_tasks(&tasks().collect::<Vec<_>>(), false)))
            }
            "repo" => {
                let task = sim.new_repo(&names[0]).expect("there is such a tag");
                while !matches!(sim.task_state(task), Some(2 | 3 | 5)) {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                answer(sim.latest_repo(&names[0]).expect("there is a repo"));
            }
            "spent" => answer(sim.time_spent().as_micros()),
            other => panic!("the hub does not understand {other:?}"),
        }
    }
}

/// The configuration of all services that are measured.
pub(crate) fn config(hub: &str, cache: &str) -> Config {
    let mut addresses = hub.split(' ').map(str::to_owned);
    let mut config = Config::default();
    config.directories.cachedir = cache.to_owned();
    let koji = &mut config.koji_config;
    koji.server = addresses.next().unwrap_or_default();
    koji.topurl = addresses.next().unwrap_or_default();
    koji.weburl = addresses.next().unwrap_or_default();
    koji.login_method = LoginMethod::Login;
    koji.login_args = FreeForm::from_iter([("user", KOSCHEI_USER), ("password", KOSCHEI_USER)]);
    koji.build_arches = vec!["x86_64".into()];
    config
}

/// What a service has to start with.
pub(crate) async fn context(hub: &str, database: &str, cache: &str) -> Context {
    let address = Address::Url(database.to_owned());
    let database =
        DatabaseConfig { publishing: true, ..DatabaseConfig::new(address, "koschei-bench") };
    let pool = koschei_db::connect(&database).await.unwrap_or_else(|error| panic!("{error}"));
    Context::new(config(hub, cache), pool, Stop::never()).unwrap_or_else(|error| panic!("{error}"))
}

/// A repo-resolver: `resolve HUB DATABASE CACHE`. Each command is answered with the milliseconds of a step, those of
/// the processor, and the most memory that the process ever had, in KiB.
pub(crate) async fn resolve(hub: &str, database: &str, cache: &str) {
    let ctx = context(hub, database, cache).await;
    answer("ready");
    for line in stdin().lock().lines() {
        if line.is_err() {
            break;
        }
        let (begun, processor) = (Instant::now(), processor_time());
        let outcome = repo_resolver::step(&ctx).await.unwrap_or_else(|error| panic!("{error}"));
        answer(format_args!(
            "{} {} {} {}",
            outcome.done,
            begun.elapsed().as_millis(),
            (processor_time() - processor).as_millis(),
            peak_memory()
        ));
    }
}

/// The processor's time that this process has taken so far.
pub(crate) fn processor_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("this is Linux");
    let numbers: Vec<&str> =
        stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks: u64 = numbers[11..=12].iter().map(|number| number.parse::<u64>().unwrap_or(0)).sum();
    // A tick is a hundredth of a second wherever Linux runs.
    Duration::from_millis(ticks * 10)
}

fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("this is Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}
