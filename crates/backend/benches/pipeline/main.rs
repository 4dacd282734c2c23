//! What the services need with a whole distribution behind them: `make bench-pipeline`.
//!
//! The database is the one of 96,000 packages that a script fills (given as an argument), with one more collection: the
//! source packages of a real archive, all of them tracked. A simulated Koji in a process of its own has that archive as
//! its world and serves its repositories. The repo-resolver runs in a process of its own, too, so that its memory can be
//! told. Whatever is measured ends with its commits; the counts beside the times show that the work was done.
//!
//! Times "beside Koji's" leave out what the simulated hub needed to answer. Everything runs on this machine, the
//! database server included, so that all of them share its processors.
//!
//! `pipeline DIRECTORY REPOSITORIES`: where to keep everything (the filled database is kept for the next run), and the
//! archive's repositories.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a benchmark that cannot go on says why and ends"
)]

#[path = "../../../db/tests/services/one_by_one.rs"]
mod one_by_one;
mod scenes;
mod workers;

fn main() {
    // Cargo adds an option of its own.
    let arguments: Vec<String> =
        std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        match words[..] {
            ["serve", directory, repositories] => workers::serve(directory, repositories).await,
            ["resolve", hub, database, cache] => workers::resolve(hub, database, cache).await,
            [directory, repositories] => scenes::measure(directory, repositories).await,
            _ => println!(
                "This benchmark has to know where to find what: run make bench-pipeline, which does."
            ),
        }
    });
    // Threads that wait for input would keep it from ending.
    runtime.shutdown_background();
}
