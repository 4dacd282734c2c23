//! `cleanup`.

use std::io::{IsTerminal, stderr};

use chrono::Utc;
use clap::Args;
use koschei_backend::Stop;
use koschei_db::administration;

use super::{Session, counted};
use crate::failure::Failure;

/// `cleanup [--older-than MONTHS]`
#[derive(Debug, Args)]
pub(super) struct Cleanup {
    /// Delete what is older than so many months, at least 2
    #[arg(long, value_name = "MONTHS", default_value_t = 6, value_parser = months)]
    older_than: u32,
}

impl Cleanup {
    pub(super) async fn run(self, session: &mut Session) -> Result<String, Failure> {
        let stop = Stop::on_signals()
            .map_err(|error| Failure::new(format_args!("signals cannot be caught: {error}")))?;
        let before = administration::months_ago(Utc::now(), self.older_than);
        let is_watched = stderr().is_terminal();
        let cleaned =
            administration::clean_up(&mut session.connection, &session.actor, before, |so_far| {
                if is_watched {
                    eprint!("\r{} deleted", counted(so_far.builds, "build"));
                }
                !stop.is_requested()
            })
            .await
            .map_err(Failure::new)?;
        if is_watched {
            eprint!("\r\x1b[K");
        }
        let deleted = format!(
            "{} and {}",
            counted(cleaned.builds, "build"),
            counted(cleaned.resolution_changes, "resolution change")
        );
        if cleaned.interrupted {
            return Err(Failure::new(format_args!(
                "interrupted; {deleted} were deleted, run it again for the rest"
            )));
        }
        Ok(format!("Deleted {deleted} older than {} months", self.older_than))
    }
}

fn months(text: &str) -> Result<u32, String> {
    match text.parse::<u32>() {
        Ok(months) if (administration::FEWEST_MONTHS..=1200).contains(&months) => Ok(months),
        _ => Err(format!("at least {} months are kept", administration::FEWEST_MONTHS)),
    }
}
