//! `create-collection-group`, `edit-collection-group`, `delete-collection-group`.

use clap::Args;
use koschei_db::administration::{self, CollectionGroupChanges};

use super::{Session, checked_name, not_empty};
use crate::failure::Failure;

/// `create-collection-group NAME -d DISPLAY [-c COLLECTION...]`
#[derive(Debug, Args)]
pub(super) struct CreateCollectionGroup {
    /// Its short name
    name: String,
    /// Name shown to people
    #[arg(short, long, value_name = "NAME", value_parser = not_empty)]
    display_name: String,
    #[command(flatten)]
    contents: Contents,
}

/// `edit-collection-group NAME [-d DISPLAY] [-c COLLECTION...]`
#[derive(Debug, Args)]
pub(super) struct EditCollectionGroup {
    /// Its short name
    name: String,
    /// Name shown to people
    #[arg(short, long, value_name = "NAME", value_parser = not_empty)]
    display_name: Option<String>,
    #[command(flatten)]
    contents: Contents,
}

/// The collections of a group: what follows `-c`.
#[derive(Debug, Args)]
struct Contents {
    /// The collections of the group, instead of those that it has: also with --collection or --contents, one or several
    #[arg(value_name = "COLLECTION")]
    more: Vec<String>,
    /// As --collection
    #[arg(long, value_name = "COLLECTION", num_args = 0.., hide = true)]
    contents: Option<Vec<String>>,
}

impl Contents {
    /// All that were named; `None` when the command says nothing about them.
    fn names(self, session: &Session) -> Option<Vec<String>> {
        let is_said = self.contents.is_some() || !session.collections.is_empty();
        let mut names = session.collections.clone();
        names.extend(self.contents.into_iter().flatten());
        names.extend(self.more);
        let is_said = is_said || !names.is_empty();
        // An empty name stands for none.
        names.retain(|name| !name.is_empty());
        is_said.then_some(names)
    }
}

impl CreateCollectionGroup {
    pub(super) async fn run(self, session: &mut Session) -> Result<String, Failure> {
        checked_name(&self.name)?;
        let collections = self.contents.names(session).unwrap_or_default();
        administration::create_collection_group(
            &mut session.connection,
            &session.actor,
            &self.name,
            &self.display_name,
            &collections,
        )
        .await
        .map_err(Failure::new)?;
        Ok(match collections.as_slice() {
            [] => format!("Collection group {} created, without collections", self.name),
            names => format!("Collection group {} created: {}", self.name, names.join(", ")),
        })
    }
}

impl EditCollectionGroup {
    pub(super) async fn run(self, session: &mut Session) -> Result<String, Failure> {
        let changes = CollectionGroupChanges {
            collections: self.contents.names(session),
            display_name: self.display_name,
        };
        if changes == CollectionGroupChanges::default() {
            return Err(Failure::usage(
                "nothing is asked for: say --display-name, or --collection for each of its collections",
            ));
        }
        administration::edit_collection_group(
            &mut session.connection,
            &session.actor,
            &self.name,
            &changes,
        )
        .await
        .map_err(Failure::new)?;
        Ok(match changes.collections {
            Some(names) if names.is_empty() => {
                format!("Collection group {} changed: it has no collections", self.name)
            }
            Some(names) => format!("Collection group {} changed: {}", self.name, names.join(", ")),
            None => format!("Collection group {} changed", self.name),
        })
    }
}

/// `delete-collection-group NAME`
#[derive(Debug, Args)]
pub(super) struct DeleteCollectionGroup {
    /// Its short name
    name: String,
}

impl DeleteCollectionGroup {
    pub(super) async fn run(self, session: &mut Session) -> Result<String, Failure> {
        administration::delete_collection_group(
            &mut session.connection,
            &session.actor,
            &self.name,
        )
        .await
        .map_err(Failure::new)?;
        Ok(format!("Collection group {} deleted", self.name))
    }
}
