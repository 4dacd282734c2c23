//! Runs the simulated Koji, and tells on standard output what happens in it.

use std::{
    io::{Write, stdout},
    process::ExitCode,
};

use chrono::DateTime;
use kojisim::{News, Options, Script, Sim};
use koschei_backend::Stop;
use tokio::sync::broadcast::error::RecvError;

use crate::{command_line::KojisimOptions, failure::Failure, logging};

/// Runs it until asked to stop.
pub(crate) fn run(options: KojisimOptions) -> Result<ExitCode, Failure> {
    logging::start(&options.log);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(format_args!("kojisim cannot start: {error}")))?;
    let ending = runtime.block_on(simulate(options));
    runtime.shutdown_background();
    ending
}

async fn simulate(options: KojisimOptions) -> Result<ExitCode, Failure> {
    let stop = Stop::on_signals()
        .map_err(|error| Failure::new(format_args!("kojisim cannot catch signals: {error}")))?;
    let simulation = Sim::start(Options {
        listen: options.listen,
        world: options.world,
        script: options.script.map_or(Script::BuiltIn, Script::File),
        speed: options.speed,
        seed: options.seed,
        ..Options::new(options.dir)
    })
    .await
    .map_err(Failure::new)?;
    tracing::info!(hub = %simulation.url(), "kojisim runs");
    let mut news = simulation.news();
    loop {
        tokio::select! {
            item = news.recv() => match item {
                Ok(item) => tell(&item),
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => break,
            },
            () = stop.requested() => break,
        }
    }
    simulation.stop().await;
    Ok(ExitCode::SUCCESS)
}

/// One line with the time at which it happened. That nobody listens is no reason to stop.
fn tell(news: &News) {
    let when = DateTime::from_timestamp(news.at as i64, 0).unwrap_or_default();
    let _ = writeln!(stdout(), "{}  {}", when.format("%H:%M:%S"), news.words);
    let _ = stdout().flush();
}
