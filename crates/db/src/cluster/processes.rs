//! Server processes that were left over in a data directory, and how to end them.
//!
//! After `kill -9` of everything but the server, or of the server's main process alone, something of it may live on.
//! Process numbers alone cannot be trusted (a container that starts again gives out the same ones), so processes are
//! recognised by what they are: programs called `postgres` that work in the data directory.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::error::ClusterError;

/// How often to look whether a process that is not our child has ended.
const GLANCE: Duration = Duration::from_millis(20);

/// The server processes that work in a data directory.
pub(super) fn servers_in(data: &Path) -> Vec<u32> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries
        .flatten()
        .filter_map(|entry| {
            let process: u32 = entry.file_name().to_str()?.parse().ok()?;
            let works_here = fs::read_link(entry.path().join("cwd")).ok()? == data;
            let program = fs::read_link(entry.path().join("exe")).ok()?;
            let is_server = program.file_name()?.to_str()?.starts_with("postgres");
            (works_here && is_server).then_some(process)
        })
        .collect()
}

/// The main process according to the server's own file.
pub(super) fn main_process(data: &Path) -> Option<u32> {
    fs::read_to_string(data.join("postmaster.pid")).ok()?.lines().next()?.trim().parse().ok()
}

/// Ends whatever still runs in the data directory: politely, then firmly.
pub(super) fn end_servers_in(data: &Path) -> Result<(), ClusterError> {
    // SIGINT is the main process's fast shutdown; SIGQUIT ends without ado, and the data recovers from the log.
    for (signal, patience) in [
        (Signal::SIGINT, Duration::from_secs(30)),
        (Signal::SIGQUIT, Duration::from_secs(5)),
        (Signal::SIGKILL, Duration::from_secs(5)),
    ] {
        let servers = servers_in(data);
        let main = main_process(data).filter(|main| servers.contains(main));
        match main {
            Some(main) if signal == Signal::SIGINT => send(main, signal),
            // Without a main process the others only wait to be told.
            _ if signal == Signal::SIGINT => {
                servers.iter().for_each(|server| send(*server, Signal::SIGQUIT));
            }
            _ => servers.iter().for_each(|server| send(*server, signal)),
        }
        let deadline = Instant::now() + patience;
        while Instant::now() < deadline {
            if servers_in(data).is_empty() {
                return Ok(());
            }
            thread::sleep(GLANCE);
        }
    }
    match servers_in(data).first() {
        Some(process) => Err(ClusterError::LeftOver { process: *process }),
        None => Ok(()),
    }
}

fn send(process: u32, signal: Signal) {
    if let Ok(process) = i32::try_from(process) {
        // It may have ended meanwhile, which is what was wanted.
        let _ = kill(Pid::from_raw(process), signal);
    }
}
