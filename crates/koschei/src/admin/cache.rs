//! `cache list`, `cache clear`: the repositories that this machine keeps.

use std::fmt::Write;

use chrono::{DateTime, Utc};
use clap::Subcommand;
use koschei_backend::repositories;
use koschei_core::config::Config;
use koschei_db::administration;
use repocache::{Cleared, Found};

use super::Session;
use crate::failure::Failure;

/// `cache ...`
#[derive(Debug, Subcommand)]
pub(super) enum Cache {
    /// Say which repositories are kept on this machine, the least recently used first
    List,
    /// Remove the repositories that nothing uses at this moment; they are fetched again when they are needed
    Clear {
        /// Only these, by their addresses as `cache list` says them
        #[arg(value_name = "ADDRESS")]
        addresses: Vec<String>,
    },
}

/// `cache list`; needs no database.
pub(super) fn list(config: &Config) -> Result<String, Failure> {
    let found = repositories::cache(config).list().map_err(Failure::new)?;
    let directory = directory(config);
    if found.is_empty() {
        return Ok(format!("No repositories are kept in {directory}"));
    }
    let mut text = format!("{:<20} {:>8}  {:<6}  REPOSITORY\n", "LAST USED (UTC)", "SIZE", "");
    for repository in &found {
        let used = DateTime::<Utc>::from(repository.used).format("%Y-%m-%d %H:%M:%S");
        let state = if repository.in_use { "in use" } else { "" };
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "{:<20} {:>8}  {state:<6}  {}",
            used.to_string(),
            size(repository.bytes),
            address(repository),
        );
    }
    let _ = write!(
        text,
        "{}, {}, in {directory}; there is room for {}",
        number(found.len()),
        size(found.iter().map(|repository| repository.bytes).sum()),
        config.dependency.cache_l2_capacity
    );
    Ok(text)
}

/// `cache clear [ADDRESS...]`
pub(super) async fn clear(
    addresses: Vec<String>,
    session: &mut Session,
) -> Result<String, Failure> {
    let cache = repositories::cache(&session.config);
    let there = cache.list().map_err(Failure::new)?;
    let known = |address: &String| {
        let address = address.trim_end_matches('/');
        there.iter().any(|repository| repository.url.as_deref() == Some(address))
    };
    if let Some(unknown) = addresses.iter().find(|address| !known(address)) {
        return Err(Failure::usage(format_args!(
            "there is no repository {unknown} in the cache; `koschei-admin cache list` says which there are; nothing \
             was changed"
        )));
    }
    let only = (!addresses.is_empty()).then_some(addresses.as_slice());
    let cleared = cache.clear(only).map_err(Failure::new)?;
    let done = sentence(&cleared, &directory(&session.config));
    if !cleared.removed.is_empty() {
        administration::note(&mut session.connection, &session.actor, &done)
            .await
            .map_err(Failure::new)?;
    }
    let busy: Vec<&str> = cleared.in_use.iter().map(address).collect();
    Ok(match busy.as_slice() {
        [] => done,
        [one] => format!("{done}. In use, and therefore still there: {one}"),
        several => format!("{done}. In use, and therefore still there: {}", several.join(", ")),
    })
}

fn sentence(cleared: &Cleared, directory: &str) -> String {
    if cleared.removed.is_empty() {
        return format!("Nothing was removed from {directory}");
    }
    let bytes = cleared.removed.iter().map(|repository| repository.bytes).sum();
    let host = nix::unistd::gethostname().unwrap_or_default();
    format!(
        "Cache of repositories on {}: {} removed from {directory}, {}",
        host.to_string_lossy(),
        number(cleared.removed.len()),
        size(bytes)
    )
}

fn address(repository: &Found) -> &str {
    repository.url.as_deref().unwrap_or("being fetched")
}

fn directory(config: &Config) -> String {
    format!("{}/repodata", config.directories.cachedir.trim_end_matches('/'))
}

fn number(count: usize) -> String {
    if count == 1 { "1 repository".to_owned() } else { format!("{count} repositories") }
}

fn size(bytes: u64) -> String {
    match bytes {
        0..1_000_000 => format!("{} kB", bytes.div_ceil(1000)),
        1_000_000..1_000_000_000 => format!("{} MB", bytes / 1_000_000),
        _ => format!("{}.{} GB", bytes / 1_000_000_000, bytes / 100_000_000 % 10),
    }
}
