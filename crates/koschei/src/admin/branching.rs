//! `branch-collection`, `fork-collection`.

use clap::Args;
use koschei_db::administration::{self, Branch, Copied, Fork};

use super::collections::{build_tag, known};
use super::{Session, checked_name, counted, not_empty};
use crate::failure::Failure;

/// `branch-collection MASTER NEW -d DISPLAY -t TARGET [--dest-tag TAG] [--bugzilla-version VERSION]`
#[derive(Debug, Args)]
pub(super) struct BranchCollection {
    /// The collection that goes on under a new name; the branched copy takes over the one that it has
    master: String,
    /// The new name of the master
    new_name: String,
    /// Name of the copy, shown to people
    #[arg(short, long, value_name = "NAME", value_parser = not_empty)]
    display_name: String,
    /// Koji's build target for the master from now on
    #[arg(short, long, value_name = "TARGET", value_parser = not_empty)]
    target: String,
    /// Tag where real builds of the master end from now on [default: its build tag]
    #[arg(long, value_name = "TAG", value_parser = not_empty)]
    dest_tag: Option<String>,
    /// Bugzilla's version for the copy
    #[arg(long, value_name = "VERSION")]
    bugzilla_version: Option<String>,
}

impl BranchCollection {
    pub(super) async fn run(self, session: &mut Session) -> Result<String, Failure> {
        checked_name(&self.new_name)?;
        let master = known(session, &self.master).await?;
        let secondary = master.secondary_mode;
        let copy_build_tag = build_tag(&session.config, secondary, &master.target).await?;
        let build_tag = build_tag(&session.config, secondary, &self.target).await?;
        let branch = Branch {
            master: self.master,
            new_name: self.new_name,
            display_name: self.display_name,
            target: self.target,
            dest_tag: self.dest_tag.unwrap_or_else(|| build_tag.clone()),
            build_tag,
            copy_build_tag,
            bugzilla_version: self.bugzilla_version.filter(|version| !version.is_empty()),
        };
        let copied =
            administration::branch_collection(&mut session.connection, &session.actor, &branch)
                .await
                .map_err(Failure::new)?;
        Ok(format!(
            "Collection {} branched: {} ({}) has {}, built from {}; {} goes on, built from {}",
            branch.master,
            branch.master,
            branch.display_name,
            describe(copied),
            branch.copy_build_tag,
            branch.new_name,
            branch.build_tag,
        ))
    }
}

/// `fork-collection MASTER NEW -d DISPLAY -t TARGET [--dest-tag TAG]`
#[derive(Debug, Args)]
pub(super) struct ForkCollection {
    /// The collection that is copied, and stays as it is
    master: String,
    /// Name of the copy
    new_name: String,
    /// Name of the copy, shown to people
    #[arg(short, long, value_name = "NAME", value_parser = not_empty)]
    display_name: String,
    /// Koji's build target for the copy
    #[arg(short, long, value_name = "TARGET", value_parser = not_empty)]
    target: String,
    /// Tag where real builds of the copy end [default: its build tag]
    #[arg(long, value_name = "TAG", value_parser = not_empty)]
    dest_tag: Option<String>,
}

impl ForkCollection {
    pub(super) async fn run(self, session: &mut Session) -> Result<String, Failure> {
        checked_name(&self.new_name)?;
        let master = known(session, &self.master).await?;
        let build_tag = build_tag(&session.config, master.secondary_mode, &self.target).await?;
        let fork = Fork {
            master: self.master,
            new_name: self.new_name,
            display_name: self.display_name,
            target: self.target,
            dest_tag: self.dest_tag.unwrap_or_else(|| build_tag.clone()),
            build_tag,
        };
        let copied =
            administration::fork_collection(&mut session.connection, &session.actor, &fork)
                .await
                .map_err(Failure::new)?;
        Ok(format!(
            "Collection {} forked: {} ({}) has {}, built from {}",
            fork.master,
            fork.new_name,
            fork.display_name,
            describe(copied),
            fork.build_tag,
        ))
    }
}

fn describe(copied: Copied) -> String {
    format!("{} and {}", counted(copied.packages, "package"), counted(copied.builds, "build"))
}
