//! `add-group`.

use clap::Args;
use koschei_db::administration;

use super::Session;
use crate::failure::Failure;

/// `add-group [NAMESPACE/]GROUP [PKG...] [-m MAINTAINER...]`
#[derive(Debug, Args)]
pub(super) struct AddGroup {
    /// Name of the group, global or in a user's namespace
    #[arg(value_name = "[NAMESPACE/]GROUP")]
    group: String,
    /// Packages of the group
    #[arg(value_name = "PACKAGE")]
    packages: Vec<String>,
    /// People who may edit it
    #[arg(short, long = "maintainers", visible_alias = "maintainer", num_args = 1.., value_name = "USER")]
    maintainers: Vec<String>,
}

impl AddGroup {
    pub(super) async fn run(self, session: &mut Session) -> Result<String, Failure> {
        let (namespace, name) = match self.group.split_once('/') {
            Some((namespace, name)) => (Some(namespace), name),
            None => (None, self.group.as_str()),
        };
        for part in namespace.iter().chain([&name]) {
            if !is_name(part) {
                return Err(Failure::usage(format_args!(
                    "{part:?} cannot be a name: letters, digits and . + _ - are allowed"
                )));
            }
        }
        administration::add_group(
            &mut session.connection,
            &session.actor,
            namespace,
            name,
            &self.packages,
            &self.maintainers,
        )
        .await
        .map_err(Failure::new)?;
        Ok(match self.packages.len() {
            0 => format!("Group {} created, without packages", self.group),
            1 => format!("Group {} created with 1 package", self.group),
            count => format!("Group {} created with {count} packages", self.group),
        })
    }
}

/// Names of packages and groups, as in spec/web.md.
fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || ".+_-".contains(c))
}
