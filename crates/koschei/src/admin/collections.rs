//! `create-collection`, `edit-collection`, `delete-collection`.

use clap::{ArgAction, Args, ValueEnum};
use koschei_core::config::Config;
use koschei_db::administration::{self, CollectionChanges, NewCollection};
use koschei_db::entities::{self, Collection};

use super::{Session, checked_name, not_empty};
use crate::failure::Failure;

/// Which Koji a collection's repos and real builds come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Mode {
    Primary,
    Secondary,
}

/// `create-collection NAME -d DISPLAY -t TARGET ...`
#[derive(Debug, Args)]
pub(super) struct CreateCollection {
    /// Short name, as it stands in addresses
    name: String,
    /// Name shown to people
    #[arg(short, long, value_name = "NAME", value_parser = not_empty)]
    display_name: String,
    /// Koji's build target
    #[arg(short, long, value_name = "TARGET", value_parser = not_empty)]
    target: String,
    /// Tag where real builds end [default: the build tag]
    #[arg(long, value_name = "TAG", value_parser = not_empty)]
    dest_tag: Option<String>,
    /// Koji that repos and real builds come from
    #[arg(short, long, value_enum, default_value_t = Mode::Primary)]
    mode: Mode,
    /// What computed priorities are multiplied with
    #[arg(short, long, value_name = "COEFFICIENT", default_value_t = 1.0, value_parser = coefficient, allow_negative_numbers = true)]
    priority_coefficient: f64,
    /// Place in the order of collections, highest first
    #[arg(short, long, default_value_t = 100, allow_negative_numbers = true)]
    order: i32,
    /// Koji group that every buildroot has
    #[arg(long, value_name = "GROUP", default_value = "build", value_parser = not_empty)]
    build_group: String,
    /// Whether real builds of packages that are not tracked are registered
    #[arg(long, value_name = "true|false", default_value_t = true, action = ArgAction::Set)]
    poll_untracked: bool,
    /// Bugzilla's product
    #[arg(long, value_name = "PRODUCT")]
    bugzilla_product: Option<String>,
    /// Bugzilla's version
    #[arg(long, value_name = "VERSION")]
    bugzilla_version: Option<String>,
}

impl CreateCollection {
    pub(super) async fn run(self, session: &mut Session) -> Result<String, Failure> {
        checked_name(&self.name)?;
        let secondary = self.mode == Mode::Secondary;
        let build_tag = build_tag(&session.config, secondary, &self.target).await?;
        let dest_tag = self.dest_tag.unwrap_or_else(|| build_tag.clone());
        let new = NewCollection {
            name: self.name,
            display_name: self.display_name,
            target: self.target,
            dest_tag,
            build_tag,
            secondary_mode: secondary,
            order: self.order,
            priority_coefficient: self.priority_coefficient,
            build_group: self.build_group,
            poll_untracked: self.poll_untracked,
            bugzilla_product: self.bugzilla_product.filter(|text| !text.is_empty()),
            bugzilla_version: self.bugzilla_version.filter(|text| !text.is_empty()),
        };
        administration::create_collection(&mut session.connection, &session.actor, &new)
            .await
            .map_err(Failure::new)?;
        Ok(format!(
            "Collection {} created: {}, built from {}, real builds from {}",
            new.name, new.display_name, new.build_tag, new.dest_tag
        ))
    }
}

/// `edit-collection NAME ...`
#[derive(Debug, Args)]
pub(super) struct EditCollection {
    /// Its name
    name: String,
    /// Another short name
    #[arg(long, value_name = "NAME")]
    new_name: Option<String>,
    /// Name shown to people
    #[arg(short, long, value_name = "NAME", value_parser = not_empty)]
    display_name: Option<String>,
    /// Koji's build target
    #[arg(short, long, value_name = "TARGET", value_parser = not_empty)]
    target: Option<String>,
    /// Tag where real builds end
    #[arg(long, value_name = "TAG", value_parser = not_empty)]
    dest_tag: Option<String>,
    /// Koji that repos and real builds come from
    #[arg(short, long, value_enum)]
    mode: Option<Mode>,
    /// What computed priorities are multiplied with
    #[arg(short, long, value_name = "COEFFICIENT", value_parser = coefficient, allow_negative_numbers = true)]
    priority_coefficient: Option<f64>,
    /// Place in the order of collections, highest first
    #[arg(short, long, allow_negative_numbers = true)]
    order: Option<i32>,
    /// Koji group that every buildroot has
    #[arg(long, value_name = "GROUP", value_parser = not_empty)]
    build_group: Option<String>,
    /// Whether real builds of packages that are not tracked are registered
    #[arg(long, value_name = "true|false", action = ArgAction::Set)]
    poll_untracked: Option<bool>,
    /// Bugzilla's product; an empty one for none
    #[arg(long, value_name = "PRODUCT")]
    bugzilla_product: Option<String>,
    /// Bugzilla's version; an empty one for none
    #[arg(long, value_name = "VERSION")]
    bugzilla_version: Option<String>,
}

impl EditCollection {
    pub(super) async fn run(self, session: &mut Session) -> Result<String, Failure> {
        let before = known(session, &self.name).await?;
        if let Some(new_name) = &self.new_name {
            checked_name(new_name)?;
        }
        let secondary = self.mode.map(|mode| mode == Mode::Secondary);
        let is_moved = self.target.as_ref().is_some_and(|target| *target != before.target)
            || secondary.is_some_and(|secondary| secondary != before.secondary_mode);
        let build_tag = if is_moved {
            let target = self.target.as_ref().unwrap_or(&before.target);
            let secondary = secondary.unwrap_or(before.secondary_mode);
            Some(build_tag(&session.config, secondary, target).await?)
        } else {
            None
        };
        let new_name = self.new_name.clone().unwrap_or_else(|| self.name.clone());
        let changes = CollectionChanges {
            name: self.new_name,
            display_name: self.display_name,
            order: self.order,
            secondary_mode: secondary,
            target: self.target,
            dest_tag: self.dest_tag,
            build_tag: build_tag.clone(),
            bugzilla_product: self.bugzilla_product,
            bugzilla_version: self.bugzilla_version,
            priority_coefficient: self.priority_coefficient,
            build_group: self.build_group,
            poll_untracked: self.poll_untracked,
        };
        let is_different = administration::edit_collection(
            &mut session.connection,
            &session.actor,
            &self.name,
            &changes,
        )
        .await
        .map_err(Failure::new)?;
        Ok(match build_tag {
            _ if !is_different => format!("Nothing to do: collection {new_name} is like that"),
            Some(tag) => format!("Collection {new_name} changed, built from {tag}"),
            None => format!("Collection {new_name} changed"),
        })
    }
}

/// `delete-collection NAME [-f]`
#[derive(Debug, Args)]
pub(super) struct DeleteCollection {
    /// Its name
    name: String,
    /// Delete it with its packages and the history of all their builds
    #[arg(short, long)]
    force: bool,
}

impl DeleteCollection {
    pub(super) async fn run(self, session: &mut Session) -> Result<String, Failure> {
        let Self { name, force } = self;
        let packages = administration::delete_collection(
            &mut session.connection,
            &session.actor,
            &name,
            force,
        )
        .await
        .map_err(Failure::new)?;
        Ok(match packages {
            0 => format!("Collection {name} deleted"),
            1 => format!("Collection {name} deleted, with 1 package"),
            count => format!("Collection {name} deleted, with {count} packages"),
        })
    }
}

/// The collection of this name.
pub(super) async fn known(session: &mut Session, name: &str) -> Result<Collection, Failure> {
    let found = entities::collection_by_name(&mut session.connection, name).await;
    found
        .map_err(Failure::new)?
        .ok_or_else(|| Failure::new(administration::Error::NoCollection(name.to_owned())))
}

fn coefficient(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() && number >= 0.0 => Ok(number),
        _ => Err("a number that is not negative is needed".to_owned()),
    }
}

/// The build tag of a target, from the Koji of the collection, which is asked without login.
pub(super) async fn build_tag(
    config: &Config,
    secondary: bool,
    target: &str,
) -> Result<String, Failure> {
    let koji = match (secondary, &config.secondary_koji_config) {
        (false, _) => &config.koji_config,
        (true, Some(secondary)) => &secondary.koji,
        (true, None) => {
            return Err(Failure::usage(
                "no secondary Koji is configured (secondary_koji_config), so a collection cannot be \
                 in secondary mode",
            ));
        }
    };
    let mut patience = koji.anonymous_client_config().map_err(Failure::usage)?;
    // A person waits for the answer: one repetition is enough.
    patience.session.max_retries = 1;
    patience.session.offline_retry = false;
    let client = koji::Client::new(patience);
    let known = client.call(koji::calls::get_build_target(target)).await.map_err(Failure::new)?;
    known.map(|target| target.build_tag_name).ok_or_else(|| {
        Failure::new(format_args!("Koji ({}) has no build target {target}", koji.server))
    })
}
