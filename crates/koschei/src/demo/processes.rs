//! The demo's child processes: each a `koschei` of its own, started again when it ends, gone when the demo is gone.
//!
//! They have a process group each, so that Ctrl-C in the terminal reaches only the demo, which then stops them in
//! order. They ask the kernel to be killed when the demo dies ([`crate::service::die_with`]), so that even after
//! `kill -9` nothing is left over.

use std::{
    env,
    ffi::OsString,
    fs::{self, File},
    io::{self, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::{
    process::{Child, ChildStdout, Command},
    sync::{mpsc, oneshot},
    task::JoinHandle,
    time::{sleep, timeout},
};

use crate::{command_line::PROGRAM, configuration::FILES_VARIABLE, failure::Failure};

/// How long a child may take to end when it is asked to; a step in progress is finished or rolled back.
const PATIENCE: Duration = Duration::from_secs(5);

/// A child that ran so long starts again at once.
const STEADY: Duration = Duration::from_secs(30);

/// Logs larger than this make room at the next start.
const LARGEST_LOG: u64 = 16 << 20;

/// What to start.
#[derive(Debug, Clone)]
pub(super) struct Program {
    /// Its name: of the subcommand, of the log, and for people.
    pub(super) name: &'static str,
    /// What follows the subcommand.
    pub(super) arguments: Vec<OsString>,
    /// The configuration it reads, if it reads one.
    pub(super) configuration: Option<PathBuf>,
    /// Where its log goes.
    pub(super) logs: PathBuf,
}

/// What befell a child.
#[derive(Debug)]
pub(super) enum Event {
    /// It ended, was not asked to, and is started again after a pause.
    Ended { name: &'static str, status: String, log: PathBuf, pause: Duration },
    /// It cannot work, and starting it again would not help.
    Hopeless(Failure),
}

/// A child that is kept running until it is stopped.
#[derive(Debug)]
pub(super) struct Keeper {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Keeper {
    /// Starts a program and keeps it running. `output` takes each of its incarnations' standard output, where wanted.
    pub(super) fn start(
        program: Program,
        events: mpsc::UnboundedSender<Event>,
        output: Option<mpsc::UnboundedSender<ChildStdout>>,
    ) -> Self {
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(keep(program, events, output, stopped));
        Self { stop, task }
    }

    /// Asks it to end, waits, and kills it when it takes too long.
    pub(super) async fn stop(self) {
        let _ = self.stop.send(());
        let _ = self.task.await;
    }
}

async fn keep(
    program: Program,
    events: mpsc::UnboundedSender<Event>,
    output: Option<mpsc::UnboundedSender<ChildStdout>>,
    mut stopped: oneshot::Receiver<()>,
) {
    let mut pause = Duration::from_millis(500);
    let mut failures = 0;
    loop {
        let since = Instant::now();
        let status = match program.spawn(output.is_some()) {
            Ok(mut child) => {
                if let (Some(sender), Some(stdout)) = (&output, child.stdout.take()) {
                    let _ = sender.send(stdout);
                }
                tokio::select! {
                    status = child.wait() => describe(status),
                    _ = &mut stopped => return end(child).await,
                }
            }
            Err(error) => {
                let _ = events.send(Event::Hopeless(Failure::new(format_args!(
                    "{} cannot be started: {error}",
                    program.name
                ))));
                return;
            }
        };
        if since.elapsed() > STEADY {
            pause = Duration::from_millis(500);
            failures = 0;
        }
        failures += 1;
        if failures > 8 {
            let _ = events.send(Event::Hopeless(Failure::new(format_args!(
                "{} does not stay up: {}",
                program.name,
                last_words(&program.log()).unwrap_or(status)
            ))));
            return;
        }
        let _ = events.send(Event::Ended { name: program.name, status, log: program.log(), pause });
        tokio::select! {
            () = sleep(pause) => {}
            _ = &mut stopped => return,
        }
        pause = (pause * 2).min(Duration::from_secs(15));
    }
}

impl Program {
    fn log(&self) -> PathBuf {
        self.logs.join(format!("{}.log", self.name))
    }

    fn spawn(&self, with_output: bool) -> io::Result<Child> {
        let log = open_log(&self.log())?;
        let mut command = Command::new(env::current_exe()?);
        command
            .arg("--die-with")
            .arg(std::process::id().to_string())
            .arg(self.name)
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(if with_output { Stdio::piped() } else { Stdio::from(log.try_clone()?) })
            .stderr(log)
            .process_group(0)
            .kill_on_drop(true);
        // What is set for the person's own Koschei is nothing to the demo's.
        for (name, _) in env::vars_os() {
            if name.to_str().is_some_and(|name| name.starts_with("KOSCHEI__")) {
                command.env_remove(name);
            }
        }
        if let Some(configuration) = &self.configuration {
            command.env(FILES_VARIABLE, configuration);
        }
        command.spawn()
    }
}

fn open_log(path: &Path) -> io::Result<File> {
    if fs::metadata(path).is_ok_and(|log| log.len() > LARGEST_LOG) {
        fs::rename(path, path.with_extension("log.old"))?;
    }
    File::options().create(true).append(true).open(path)
}

/// The sentence with which a child ended, from its log.
fn last_words(log: &Path) -> Option<String> {
    const TAIL: u64 = 4096;
    let mut file = File::open(log).ok()?;
    let start = file.metadata().ok()?.len().saturating_sub(TAIL);
    file.seek(SeekFrom::Start(start)).ok()?;
    let mut tail = Vec::new();
    file.take(TAIL).read_to_end(&mut tail).ok()?;
    let tail = String::from_utf8_lossy(&tail);
    let prefix = format!("{PROGRAM}: ");
    tail.lines().rev().find_map(|line| line.strip_prefix(&prefix)).map(str::to_owned)
}

/// Ends a child: first by asking.
async fn end(mut child: Child) {
    if let Some(id) = child.id().and_then(|id| i32::try_from(id).ok()) {
        let _ = kill(Pid::from_raw(id), Signal::SIGTERM);
    }
    if timeout(PATIENCE, child.wait()).await.is_err() {
        let _ = child.kill().await;
    }
}

fn describe(status: io::Result<ExitStatus>) -> String {
    match status {
        Ok(status) => status.to_string(),
        Err(error) => error.to_string(),
    }
}
