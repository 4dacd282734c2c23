//! `create-collection`.

use clap::{ArgAction, Args, ValueEnum};
use koschei_core::config::Config;
use koschei_db::administration::{self, NewCollection};

use super::Session;
use crate::failure::Failure;

/// Which Koji a collection's repos and real builds come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Mode {
    Primary,
    Secondary,
}

/// `create-collection NAME -d DISPLAY -t TARGET ...`
#[derive(Debug, Args)]
pub(super) struct CreateCollection {
    /// Short name, as it stands in addresses
    name: String,
    /// Name shown to people
    #[arg(short, long, value_name = "NAME")]
    display_name: String,
    /// Koji's build target
    #[arg(short, long, value_name = "TARGET")]
    target: String,
    /// Tag where real builds end [default: the build tag]
    #[arg(long, value_name = "TAG")]
    dest_tag: Option<String>,
    /// Koji that repos and real builds come from
    #[arg(short, long, value_enum, default_value_t = Mode::Primary)]
    mode: Mode,
    /// What computed priorities are multiplied with
    #[arg(short, long, value_name = "COEFFICIENT", default_value_t = 1.0)]
    priority_coefficient: f64,
    /// Place in the order of collections, highest first
    #[arg(short, long, default_value_t = 100, allow_negative_numbers = true)]
    order: i32,
    /// Koji group that every buildroot has
    #[arg(long, value_name = "GROUP", default_value = "build")]
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
        let tags = ask_target(&session.config, self.mode, &self.target).await?;
        let dest_tag = self.dest_tag.unwrap_or_else(|| tags.build_tag_name.clone());
        let new = NewCollection {
            name: self.name,
            display_name: self.display_name,
            target: self.target,
            dest_tag,
            build_tag: tags.build_tag_name,
            secondary_mode: self.mode == Mode::Secondary,
            order: self.order,
            priority_coefficient: self.priority_coefficient,
            build_group: self.build_group,
            poll_untracked: self.poll_untracked,
            bugzilla_product: self.bugzilla_product,
            bugzilla_version: self.bugzilla_version,
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

/// The tags of a target, from the Koji of the collection, which is asked without login.
async fn ask_target(
    config: &Config,
    mode: Mode,
    target: &str,
) -> Result<koji::types::BuildTarget, Failure> {
    let koji = match (mode, &config.secondary_koji_config) {
        (Mode::Primary, _) => &config.koji_config,
        (Mode::Secondary, Some(secondary)) => &secondary.koji,
        (Mode::Secondary, None) => {
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
    client.call(koji::calls::get_build_target(target)).await.map_err(Failure::new)?.ok_or_else(
        || Failure::new(format_args!("Koji ({}) has no build target {target}", koji.server)),
    )
}
