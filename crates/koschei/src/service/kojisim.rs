//! Runs the simulated Koji, and tells on standard output what happens in it.

use std::process::ExitCode;

use crate::{command_line::KojisimOptions, failure::Failure, logging};

/// Runs it until asked to stop.
pub(crate) fn run(options: KojisimOptions) -> Result<ExitCode, Failure> {
    logging::start(&options.log);
    Err(Failure::usage("kojisim cannot be run yet"))
}
