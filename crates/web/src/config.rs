//! What the web frontend has to know of the configuration, in the form in which pages use it.

use koschei_core::config::{self, Config, Priorities};

/// Settings of the web frontend.
#[derive(Debug, Clone)]
pub struct WebConfig {
    /// Path below which everything lies, without a slash at its end; empty for the root.
    pub path_prefix: String,
    /// Scheme and host of the site, for addresses that are used elsewhere (badges, the API); `None` when not known.
    pub external_url: Option<String>,
    /// What `/` shows.
    pub frontpage: Frontpage,
    /// Rows of a table of packages.
    pub packages_per_page: u32,
    /// Entries of a package's history.
    pub builds_per_page: u32,
    /// Web pages of the Koji that runs scratch builds, without a slash at its end.
    pub koji_weburl: String,
    /// Files of the Koji that runs scratch builds, without a slash at its end.
    pub koji_topurl: String,
    /// Web pages of the Koji that real builds come from; the same in primary mode.
    pub secondary_weburl: String,
    /// Files of the Koji that real builds come from; the same in primary mode.
    pub secondary_topurl: String,
    /// Links of each package.
    pub links: Vec<Link>,
    /// Parameters of the priorities that pages show.
    pub priorities: Priorities,
}

/// What `/` shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Frontpage {
    /// Summary of the packages by state and what changed lately.
    #[default]
    PackageList,
    /// Collections.
    CollectionList,
    /// Groups.
    GroupsOverview,
    /// Statistics.
    Statistics,
}

/// A link of a package to a page elsewhere, with placeholders in braces such as `{package.name}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// What it is called.
    pub name: String,
    /// Address with placeholders.
    pub url: String,
}

impl Default for WebConfig {
    fn default() -> Self {
        let koji = "https://koji.fedoraproject.org/koji".to_owned();
        let files = "https://kojipkgs.fedoraproject.org".to_owned();
        Self {
            path_prefix: String::new(),
            external_url: None,
            frontpage: Frontpage::PackageList,
            packages_per_page: 100,
            builds_per_page: 15,
            koji_weburl: koji.clone(),
            koji_topurl: files.clone(),
            secondary_weburl: koji,
            secondary_topurl: files,
            links: Vec::new(),
            priorities: Priorities::default(),
        }
    }
}

impl From<&Config> for WebConfig {
    fn from(config: &Config) -> Self {
        let site = |url: &str| url.trim_end_matches('/').to_owned();
        let koji = &config.koji_config;
        let secondary =
            config.secondary_koji_config.as_ref().map_or(koji, |secondary| &secondary.koji);
        Self {
            path_prefix: config.frontend.prefix().to_owned(),
            external_url: config.frontend.external_url.as_deref().and_then(origin),
            frontpage: match config.frontend.frontpage {
                // Login has no page of its own before there is anybody to log in.
                config::Frontpage::PackageList | config::Frontpage::Login => Frontpage::PackageList,
                config::Frontpage::CollectionList => Frontpage::CollectionList,
                config::Frontpage::GroupsOverview => Frontpage::GroupsOverview,
                config::Frontpage::Statistics => Frontpage::Statistics,
            },
            packages_per_page: config.frontend.packages_per_page,
            builds_per_page: config.frontend.builds_per_page,
            koji_weburl: site(&koji.weburl),
            koji_topurl: site(&koji.topurl),
            secondary_weburl: site(&secondary.weburl),
            secondary_topurl: site(&secondary.topurl),
            links: config
                .links
                .iter()
                .map(|link| Link { name: link.name.clone(), url: link.url.clone() })
                .collect(),
            priorities: config.priorities,
        }
    }
}

/// Scheme and host of an address, without a path.
fn origin(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    let host = rest.split('/').next().filter(|host| !host.is_empty())?;
    Some(format!("{scheme}://{host}"))
}

impl Link {
    /// The address for a package; `None` when a value that it needs is missing.
    pub fn address(&self, value: impl Fn(&str) -> Option<String>) -> Option<String> {
        let mut address = String::new();
        let mut rest = self.url.as_str();
        while let Some(open) = rest.find('{') {
            let (before, after) = rest.split_at(open);
            address.push_str(before);
            let close = after.find('}')?;
            let key = after.get(1..close)?;
            address
                .push_str(&crate::address::encode(&value(key).filter(|value| !value.is_empty())?));
            rest = after.get(close + 1..)?;
        }
        address.push_str(rest);
        Some(address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_of_the_site_is_not_told_twice() {
        let mut config = Config::default();
        config.frontend.external_url = Some("https://apps.example/koschei/".to_owned());
        let web = WebConfig::from(&config);
        assert_eq!(web.path_prefix, "/koschei");
        assert_eq!(web.external_url.as_deref(), Some("https://apps.example"));
        assert_eq!(web.koji_weburl, "https://koji.fedoraproject.org/koji");
    }

    fn link(url: &str) -> Link {
        Link { name: "Bugs".to_owned(), url: url.to_owned() }
    }

    #[test]
    fn placeholders_are_filled_and_encoded() {
        let address = link("https://b.example/?product={p}&component={package.name}")
            .address(|key| Some(if key == "p" { "Fedora EPEL".into() } else { "gtk+".into() }));
        assert_eq!(
            address.as_deref(),
            Some("https://b.example/?product=Fedora%20EPEL&component=gtk%2B")
        );
    }

    #[test]
    fn a_link_whose_value_is_missing_does_not_exist() {
        assert_eq!(link("https://b.example/{x}").address(|_| None), None);
        assert_eq!(link("https://b.example/{x}").address(|_| Some(String::new())), None);
        assert_eq!(link("https://b.example/{x").address(|_| Some("y".into())), None);
    }
}
