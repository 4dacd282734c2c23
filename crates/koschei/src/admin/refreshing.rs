//! `refresh-group`, `refresh-user-group`, `refresh-distgit-group`: groups of packages that somebody else lists.

use std::collections::BTreeMap;
use std::time::Duration;

use clap::Args;
use curl::easy::Easy;
use koschei_db::administration::{self, Content, GroupChanges};

use super::{Session, groups};
use crate::failure::Failure;

/// No list is larger.
const LARGEST: usize = 256 << 20;

/// How long a server may take, all in all.
const LIMIT: Duration = Duration::from_secs(300);

/// `refresh-group GROUP REGEX`
#[derive(Debug, Args)]
pub(super) struct RefreshGroup {
    /// Name of the group
    #[arg(value_name = "[NAMESPACE/]GROUP")]
    group: String,
    /// Extended regular expression that matches somewhere in the names
    regex: String,
    /// Where the source packages are listed [default: refresh.source_packages_url of the configuration]
    #[arg(long, value_name = "URL", env = "KOSCHEI_SOURCES_URL")]
    url: Option<String>,
}

impl RefreshGroup {
    pub(super) async fn run(self, session: &mut Session) -> Result<String, Failure> {
        let group = groups::group_name(&self.group)?;
        let url = self.url.unwrap_or_else(|| session.config.refresh.source_packages_url.clone());
        let list = fetch(&url, LIMIT)?;
        let listed = source_names(&String::from_utf8_lossy(&list));
        if listed.is_empty() {
            return Err(Failure::new(format_args!("{url} lists no source packages")));
        }
        let names = administration::names_that_match(&mut session.connection, &listed, &self.regex)
            .await
            .map_err(Failure::new)?;
        if names.is_empty() {
            return Err(Failure::new(format_args!(
                "none of {} source packages at {url} matches {}; nothing was changed",
                listed.len(),
                self.regex
            )));
        }
        let changes =
            GroupChanges { content: Some(Content::And(names)), ..GroupChanges::default() };
        groups::edit(session, &group, &changes).await
    }
}

/// The names in a list of source packages, from `.../NAME-VERSION-RELEASE.src.rpm` in each line.
fn source_names(list: &str) -> Vec<String> {
    let mut names: Vec<String> = list
        .lines()
        .filter_map(|line| {
            let file = line.trim().rsplit('/').next()?;
            let (name_and_version, _release) = file.rsplit_once('-')?;
            let (name, _version) = name_and_version.rsplit_once('-')?;
            (!name.is_empty()).then(|| name.to_owned())
        })
        .collect();
    names.sort();
    names.dedup();
    names
}

/// What both commands about maintainers have in common.
#[derive(Debug, Args)]
struct Maintained {
    #[command(flatten)]
    group: groups::GroupOptions,
    /// Keep the packages that the group has
    #[arg(long)]
    append: bool,
    /// Where the maintainers are listed [default: refresh.maintainers_url of the configuration]
    #[arg(long, value_name = "URL", env = "KOSCHEI_MAINTAINERS_URL")]
    url: Option<String>,
}

/// `refresh-user-group GROUP USER`
#[derive(Debug, Args)]
pub(super) struct RefreshUserGroup {
    /// Name of the group
    #[arg(value_name = "[NAMESPACE/]GROUP")]
    group: String,
    /// The maintainer
    user: String,
    #[command(flatten)]
    options: Maintained,
}

impl RefreshUserGroup {
    pub(super) async fn run(self, session: &mut Session) -> Result<String, Failure> {
        self.options.refresh(session, &self.group, &self.user).await
    }
}

/// `refresh-distgit-group GROUP DISTGIT_GROUP`
#[derive(Debug, Args)]
pub(super) struct RefreshDistgitGroup {
    /// Name of the group
    #[arg(value_name = "[NAMESPACE/]GROUP")]
    group: String,
    /// The group of maintainers, without @
    distgit_group: String,
    #[command(flatten)]
    options: Maintained,
}

impl RefreshDistgitGroup {
    pub(super) async fn run(self, session: &mut Session) -> Result<String, Failure> {
        let maintainers = format!("@{}", self.distgit_group.trim_start_matches('@'));
        self.options.refresh(session, &self.group, &maintainers).await
    }
}

#[derive(serde::Deserialize)]
struct Listed {
    rpms: BTreeMap<String, Vec<String>>,
}

impl Maintained {
    async fn refresh(
        self,
        session: &mut Session,
        group: &str,
        maintainer: &str,
    ) -> Result<String, Failure> {
        let group = groups::group_name(group)?;
        let url = self.url.unwrap_or_else(|| session.config.refresh.maintainers_url.clone());
        let list: Listed = serde_json::from_slice(&fetch(&url, LIMIT)?).map_err(|error| {
            Failure::new(format_args!("{url} is no list of maintainers: {error}"))
        })?;
        let names: Vec<String> = list
            .rpms
            .into_iter()
            .filter(|(_, maintainers)| maintainers.iter().any(|one| one == maintainer))
            .map(|(name, _)| name)
            .collect();
        if names.is_empty() {
            return Err(Failure::new(format_args!(
                "{maintainer} maintains no package, says {url}; nothing was changed"
            )));
        }
        let content = if self.append { Content::And(names) } else { Content::Exactly(names) };
        let changes = self.group.changes(Some(content))?;
        groups::edit(session, &group, &changes).await
    }
}

/// Fetches a file within a time.
pub(super) fn fetch(url: &str, limit: Duration) -> Result<Vec<u8>, Failure> {
    let failed =
        |error: curl::Error| Failure::new(format_args!("{url} cannot be fetched: {error}"));
    let mut body = Vec::new();
    let mut handle = Easy::new();
    handle.url(url).map_err(failed)?;
    handle.follow_location(true).map_err(failed)?;
    handle.max_redirections(10).map_err(failed)?;
    handle.fail_on_error(true).map_err(failed)?;
    handle.accept_encoding("").map_err(failed)?;
    handle.timeout(limit).map_err(failed)?;
    handle.useragent(concat!("koschei/", env!("CARGO_PKG_VERSION"))).map_err(failed)?;
    let mut is_too_large = false;
    let outcome = {
        let mut transfer = handle.transfer();
        transfer
            .write_function(|data| {
                is_too_large = body.len() + data.len() > LARGEST;
                if is_too_large {
                    return Ok(0);
                }
                body.extend_from_slice(data);
                Ok(data.len())
            })
            .map_err(failed)?;
        transfer.perform()
    };
    if is_too_large {
        return Err(Failure::new(format_args!("{url} is larger than 256 MiB")));
    }
    outcome.map_err(failed)?;
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_what_stands_before_version_and_release() {
        let list = "toplink/packages/maven-resolver/1.9/2.fc42/src/maven-resolver-1.9-2.fc42.src.rpm\n\
                    rnv-1.7.11-15.fc28.src.rpm\n\nnonsense\na/rnv-1.7.12-1.fc28.src.rpm\n";
        assert_eq!(source_names(list), ["maven-resolver", "rnv"]);
    }
}
