//! `add-group`, `create-group`, `edit-group`, `delete-group`, `track-group`.

use std::fs::File;
use std::io::{Read, stdin};

use clap::Args;
use koschei_db::administration::{self, Content, GroupChanges};
use koschei_db::entities::GroupName;

use super::{Session, checked_name, counted};
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
        let group = group_name(&self.group)?;
        administration::add_group(
            &mut session.connection,
            &session.actor,
            group.namespace.as_deref(),
            &group.name,
            &self.packages,
            &self.maintainers,
        )
        .await
        .map_err(Failure::new)?;
        Ok(match self.packages.len() {
            0 => format!("Group {} created, without packages", self.group),
            count => format!("Group {} created with {}", self.group, counted(count, "package")),
        })
    }
}

/// What `create-group`, `edit-group` and the `refresh-` commands have in common.
#[derive(Debug, Args)]
pub(super) struct ContentOptions {
    /// Take the packages from a file, apart by white space; - is standard input
    #[arg(long, value_name = "FILE")]
    content_from_file: Option<String>,
    /// Keep the packages that the group has
    #[arg(long)]
    append: bool,
}

impl ContentOptions {
    /// What the group is to consist of, if that was said.
    fn content(&self) -> Result<Option<Content>, Failure> {
        let Some(file) = &self.content_from_file else { return Ok(None) };
        let names = read_names(file)?;
        Ok(Some(if self.append { Content::And(names) } else { Content::Exactly(names) }))
    }
}

/// No list of names is longer.
const LARGEST_LIST: u64 = 64 << 20;

fn read_names(file: &str) -> Result<Vec<String>, Failure> {
    let mut text = String::new();
    let read = if file == "-" {
        stdin().lock().take(LARGEST_LIST).read_to_string(&mut text)
    } else {
        File::open(file).and_then(|opened| opened.take(LARGEST_LIST).read_to_string(&mut text))
    };
    let name = if file == "-" { "standard input" } else { file };
    read.map_err(|error| Failure::usage(format_args!("{name} cannot be read: {error}")))?;
    let names: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
    if names.is_empty() {
        return Err(Failure::usage(format_args!("{name} names no packages; nothing was changed")));
    }
    Ok(names)
}

/// `create-group NAME`
#[derive(Debug, Args)]
pub(super) struct CreateGroup {
    /// Name of the group, global or in a user's namespace
    #[arg(value_name = "[NAMESPACE/]GROUP")]
    group: String,
    #[command(flatten)]
    content: ContentOptions,
}

impl CreateGroup {
    pub(super) async fn run(self, session: &mut Session) -> Result<String, Failure> {
        let group = group_name(&self.group)?;
        let (Content::Exactly(names) | Content::And(names)) =
            self.content.content()?.unwrap_or(Content::Exactly(Vec::new()));
        administration::create_group(&mut session.connection, &session.actor, &group, &names)
            .await
            .map_err(Failure::new)?;
        Ok(match names.len() {
            0 => format!("Group {group} created, without packages"),
            count => format!("Group {group} created with {}", counted(count, "package")),
        })
    }
}

/// What `edit-group` changes besides its content.
#[derive(Debug, Args)]
pub(super) struct GroupOptions {
    /// Another name, in the same namespace
    #[arg(long, value_name = "NAME")]
    new_name: Option<String>,
    /// Another namespace
    #[arg(long, value_name = "NAMESPACE", conflicts_with = "make_global")]
    new_namespace: Option<String>,
    /// No namespace: everybody's
    #[arg(long)]
    make_global: bool,
}

impl GroupOptions {
    pub(super) fn changes(self, content: Option<Content>) -> Result<GroupChanges, Failure> {
        for name in self.new_name.iter().chain(&self.new_namespace) {
            checked_name(name)?;
        }
        let namespace = if self.make_global { Some(None) } else { self.new_namespace.map(Some) };
        Ok(GroupChanges { name: self.new_name, namespace, content, owners: None })
    }
}

/// `edit-group NAME ...`
#[derive(Debug, Args)]
pub(super) struct EditGroup {
    /// Name of the group, global or in a user's namespace
    #[arg(value_name = "[NAMESPACE/]GROUP")]
    group: String,
    #[command(flatten)]
    options: GroupOptions,
    #[command(flatten)]
    content: ContentOptions,
}

impl EditGroup {
    pub(super) async fn run(self, session: &mut Session) -> Result<String, Failure> {
        let group = group_name(&self.group)?;
        let changes = self.options.changes(self.content.content()?)?;
        edit(session, &group, &changes).await
    }
}

/// Changes a group, and says how.
pub(super) async fn edit(
    session: &mut Session,
    group: &GroupName,
    changes: &GroupChanges,
) -> Result<String, Failure> {
    let edited =
        administration::edit_group(&mut session.connection, &session.actor, group, changes)
            .await
            .map_err(Failure::new)?;
    let mut done = Vec::new();
    if edited.name != *group {
        done.push(format!("called {} now", edited.name));
    }
    for (packages, what) in [(&edited.added, "added"), (&edited.removed, "removed")] {
        if !packages.is_empty() {
            done.push(format!("{} {what}", counted(packages.len(), "package")));
        }
    }
    Ok(if done.is_empty() {
        format!("Nothing to do: group {group} is like that")
    } else {
        format!("Group {group}: {}", done.join(", "))
    })
}

/// `delete-group NAME`
#[derive(Debug, Args)]
pub(super) struct DeleteGroup {
    /// Name of the group, global or in a user's namespace
    #[arg(value_name = "[NAMESPACE/]GROUP")]
    group: String,
}

impl DeleteGroup {
    pub(super) async fn run(self, session: &mut Session) -> Result<String, Failure> {
        let group = group_name(&self.group)?;
        administration::delete_group(&mut session.connection, &session.actor, &group)
            .await
            .map_err(Failure::new)?;
        Ok(format!("Group {group} deleted"))
    }
}

/// `track-group GROUP`
#[derive(Debug, Args)]
pub(super) struct TrackGroup {
    /// Name of a global group
    group: String,
}

impl TrackGroup {
    pub(super) async fn run(self, session: &mut Session) -> Result<String, Failure> {
        let group = group_name(&self.group)?;
        if group.namespace.is_some() {
            return Err(Failure::usage(format_args!(
                "{group} is not a global group; those of users are theirs to track"
            )));
        }
        let tracked = administration::track_group(&mut session.connection, &session.actor, &group)
            .await
            .map_err(Failure::new)?;
        if tracked.is_empty() {
            return Ok(format!("Nothing to do: the packages of {group} are tracked already"));
        }
        let names: Vec<String> =
            tracked.iter().map(|(name, collection)| format!("{name} ({collection})")).collect();
        Ok(format!("Tracked: {}", names.join(", ")))
    }
}

/// The name of a group as people write it.
pub(super) fn group_name(text: &str) -> Result<GroupName, Failure> {
    let (namespace, name) = match text.split_once('/') {
        Some((namespace, name)) => (Some(namespace), name),
        None => (None, text),
    };
    for part in namespace.iter().chain([&name]) {
        checked_name(part)?;
    }
    Ok(GroupName { namespace: namespace.map(str::to_owned), name: name.to_owned() })
}
