//! `set-notice`, `clear-notice`.

use clap::Args;
use koschei_db::administration;

use super::Session;
use crate::failure::Failure;

/// `set-notice TEXT`
#[derive(Debug, Args)]
pub(super) struct SetNotice {
    /// What it says
    text: String,
}

impl SetNotice {
    pub(super) async fn run(self, session: &mut Session) -> Result<String, Failure> {
        let text = self.text.trim();
        if text.is_empty() {
            return Err(Failure::usage("the notice is empty; clear-notice takes one away"));
        }
        administration::set_notice(&mut session.connection, &session.actor, text)
            .await
            .map_err(Failure::new)?;
        Ok(format!("Notice set: {text}"))
    }
}

pub(super) async fn clear(session: &mut Session) -> Result<String, Failure> {
    let was_there = administration::clear_notice(&mut session.connection, &session.actor)
        .await
        .map_err(Failure::new)?;
    Ok(if was_there { "Notice cleared" } else { "There was no notice" }.to_owned())
}
