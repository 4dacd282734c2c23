//! `repocache DIRECTORY URL [ARCH [PATH...]]`: loads a repository by way of a cache directory and says how many packages
//! it has. For measurements, and for tests in which processes meet each other in one cache, or die.
//!
//! `REPOCACHE_CAPACITY` is how many repositories may stay. With `REPOCACHE_HOLD` the process stays in the entry until
//! its standard input ends.

use std::collections::BTreeSet;
use std::io::Read;
use std::process::ExitCode;
use std::time::Instant;

use repocache::{Cache, Cancel, Options};

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let (Some(directory), Some(url)) = (arguments.next(), arguments.next()) else {
        eprintln!("usage: repocache DIRECTORY URL [ARCH [PATH...]]");
        return ExitCode::from(2);
    };
    let arch = arguments.next().unwrap_or_else(|| "x86_64".to_owned());
    let paths: BTreeSet<String> = arguments.collect();
    let capacity = std::env::var("REPOCACHE_CAPACITY")
        .ok()
        .and_then(|capacity| capacity.parse().ok())
        .unwrap_or(100);
    let begun = Instant::now();
    let cache = Cache::new(directory, capacity, Options::default());
    match cache.universe(&url, &arch, &paths, &Cancel::default()) {
        Ok(loaded) => {
            println!("{} packages in {} ms", loaded.universe.len(), begun.elapsed().as_millis());
            if std::env::var_os("REPOCACHE_HOLD").is_some() {
                let _ = std::io::stdin().read_to_end(&mut Vec::new());
            }
            drop(loaded);
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("repocache: {error}");
            ExitCode::FAILURE
        }
    }
}
