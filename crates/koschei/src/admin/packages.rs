//! `add-pkg`, `set-priority`.

use clap::Args;
use koschei_db::administration::{self, Priority};

use super::Session;
use crate::failure::Failure;

/// `add-pkg NAME... -c COLLECTION`
#[derive(Debug, Args)]
pub(super) struct AddPkg {
    /// Names of packages that Koji knows in the collection
    #[arg(required = true, value_name = "PACKAGE")]
    names: Vec<String>,
}

impl AddPkg {
    pub(super) async fn run(self, session: &mut Session) -> Result<String, Failure> {
        let collection = session.collection()?;
        let tracked = administration::track(
            &mut session.connection,
            &session.actor,
            &collection,
            &self.names,
        )
        .await
        .map_err(Failure::new)?;
        Ok(match tracked.as_slice() {
            [] => format!("Nothing to do: tracked in {collection} already"),
            [one] => format!("Tracked in {collection}: {one}"),
            many => {
                format!("Tracked in {collection}: {} packages: {}", many.len(), many.join(", "))
            }
        })
    }
}

/// `set-priority [--static] --collection C NAME... VALUE`
#[derive(Debug, Args)]
#[command(allow_negative_numbers = true)]
pub(super) struct SetPriority {
    /// Set the static priority, which builds do not reset, instead of the manual one
    #[arg(long = "static")]
    permanent: bool,
    /// Names of packages
    #[arg(required = true, value_name = "PACKAGE")]
    names: Vec<String>,
    /// The priority
    #[arg(value_name = "VALUE")]
    value: i32,
}

impl SetPriority {
    pub(super) async fn run(self, session: &mut Session) -> Result<String, Failure> {
        let collection = session.collection()?;
        let (priority, word) = if self.permanent {
            (Priority::Static, "Static")
        } else {
            (Priority::Manual, "Manual")
        };
        administration::set_priority(
            &mut session.connection,
            &session.actor,
            &collection,
            &self.names,
            priority,
            self.value,
        )
        .await
        .map_err(Failure::new)?;
        Ok(format!("{word} priority of {} in {collection}: {}", self.names.join(", "), self.value))
    }
}
