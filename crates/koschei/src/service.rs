//! Starts one service: configuration, log, database, and then the crate that does the work.

use std::process::ExitCode;

use nix::{
    sys::{prctl, signal::Signal},
    unistd::getppid,
};

use crate::{
    command_line::{KojisimOptions, ServiceOptions},
    failure::Failure,
};

/// A service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Name {
    Polling,
    RepoResolver,
    BuildResolver,
    Scheduler,
    Watcher,
    Web,
}

impl Name {
    /// As people, systemd and the command line call it.
    fn text(self) -> &'static str {
        match self {
            Self::Polling => "polling",
            Self::RepoResolver => "repo-resolver",
            Self::BuildResolver => "build-resolver",
            Self::Scheduler => "scheduler",
            Self::Watcher => "watcher",
            Self::Web => "web",
        }
    }
}

/// Has the kernel kill this process when its parent dies, and ends at once when that has happened already.
pub(crate) fn die_with(parent: i32) -> Result<(), Failure> {
    prctl::set_pdeathsig(Signal::SIGKILL)
        .map_err(|error| Failure::new(format_args!("cannot be tied to the parent: {error}")))?;
    if getppid().as_raw() == parent {
        Ok(())
    } else {
        Err(Failure::new(format_args!("the process {parent} that started this one is gone")))
    }
}

pub(crate) fn run(name: Name, _: &ServiceOptions) -> Result<ExitCode, Failure> {
    Err(Failure::usage(format_args!("{} cannot be run yet", name.text())))
}

pub(crate) fn run_kojisim(_: KojisimOptions) -> Result<ExitCode, Failure> {
    Err(Failure::usage("kojisim cannot be run yet"))
}
