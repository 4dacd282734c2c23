//! Serves the web interface.

use std::process::ExitCode;

use koschei_backend::Stop;
use koschei_core::config::Config;
use koschei_db::Pool;

use crate::failure::Failure;

/// Serves pages until asked to stop.
pub(super) async fn serve(_: &Config, _: Pool, _: Stop) -> Result<ExitCode, Failure> {
    Err(Failure::usage("web cannot be run yet"))
}
