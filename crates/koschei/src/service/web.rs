//! Serves the web interface.

use std::{io, process::ExitCode};

use koschei_backend::Stop;
use koschei_core::config::Config;
use koschei_db::Pool;
use koschei_web::{State, WebConfig};
use tokio::net::TcpListener;

use super::supervisor;
use crate::failure::Failure;

/// Serves pages until asked to stop.
pub(super) async fn serve(config: &Config, pool: Pool, stop: Stop) -> Result<ExitCode, Failure> {
    let settings = WebConfig::try_from(config).map_err(|error| {
        Failure::usage(format_args!("web cannot use the configuration: {error}"))
    })?;
    let address = &config.frontend.listen;
    let listener = TcpListener::bind(address).await.map_err(|error| {
        let remedy = match error.kind() {
            io::ErrorKind::AddrInUse => "another program uses it; set frontend.listen",
            _ => "set frontend.listen to an address and port of this machine",
        };
        Failure::new(format_args!("web cannot listen on {address} ({error}): {remedy}"))
    })?;
    tracing::info!(%address, "web serves pages");
    supervisor::works();
    let state = State { pool, config: settings };
    let stopping = async move {
        stop.requested().await;
        supervisor::ends();
    };
    let ending = tokio::select! {
        ending = koschei_web::serve(listener, state, stopping) => ending,
        () = supervisor::lives() => Ok(()),
    };
    ending.map_err(|error| Failure::new(format_args!("web ended: {error}")))?;
    Ok(ExitCode::SUCCESS)
}
