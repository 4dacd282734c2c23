//! `set-admin`, `unset-admin`, `list-admins`.

use clap::Args;
use koschei_db::{administration, entities};

use super::Session;
use crate::failure::Failure;

/// `set-admin USER`, `unset-admin USER`
#[derive(Debug, Args)]
pub(super) struct Somebody {
    /// The name with which they log in
    user: String,
}

impl Somebody {
    pub(super) async fn run(self, admin: bool, session: &mut Session) -> Result<String, Failure> {
        let user = self.user.trim();
        if user.is_empty() {
            return Err(Failure::usage("the name is empty"));
        }
        if !admin
            && entities::user(&mut session.connection, user).await.map_err(Failure::new)?.is_none()
        {
            return Err(Failure::new(format_args!("there is no user {user}")));
        }
        let is_different =
            administration::set_admin(&mut session.connection, &session.actor, user, admin)
                .await
                .map_err(Failure::new)?;
        Ok(match (admin, is_different) {
            (true, true) => format!("{user} is an admin now"),
            (true, false) => format!("Nothing to do: {user} is an admin already"),
            (false, true) => format!("{user} is no admin any more"),
            (false, false) => format!("Nothing to do: {user} is no admin"),
        })
    }
}

pub(super) async fn list(session: &mut Session) -> Result<String, Failure> {
    let admins = entities::admins(&mut session.connection).await.map_err(Failure::new)?;
    let names: Vec<String> = admins.into_iter().map(|user| user.name).collect();
    Ok(if names.is_empty() { "There are no admins".to_owned() } else { names.join("\n") })
}
