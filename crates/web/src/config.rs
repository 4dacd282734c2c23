//! What the web frontend has to know of the configuration, in the form in which pages use it.

use axum::http::HeaderName;
use koschei_core::config::{self, Auth, BugReport, Config, Priorities, Secret};

use crate::login::{Login, Network, Oidc, is_safe, whole};

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
    /// Where and how a bug is filed.
    pub bug_report: BugReport,
    /// Parameters of the priorities that pages show.
    pub priorities: Priorities,
    /// Architectures for which builds may be submitted.
    pub build_arches: Vec<String>,
    /// How people log in.
    pub login: Login,
}

/// A setting that cannot be used.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{key}: {problem}")]
pub struct ConfigError {
    key: &'static str,
    problem: String,
}

impl ConfigError {
    fn new(key: &'static str, problem: impl Into<String>) -> Self {
        Self { key, problem: problem.into() }
    }

    /// The setting.
    #[must_use]
    pub fn key(&self) -> &'static str {
        self.key
    }
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
    /// The login for those who are not logged in, and the summary for those who are.
    Login,
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
            bug_report: BugReport::default(),
            priorities: Priorities::default(),
            build_arches: config::KojiConfig::default().build_arches,
            login: Login::default(),
        }
    }
}

impl TryFrom<&Config> for WebConfig {
    type Error = ConfigError;

    fn try_from(config: &Config) -> Result<Self, ConfigError> {
        let site = |url: &str| url.trim_end_matches('/').to_owned();
        let koji = &config.koji_config;
        let secondary =
            config.secondary_koji_config.as_ref().map_or(koji, |secondary| &secondary.koji);
        let path_prefix = config.frontend.prefix().to_owned();
        let external_url = config.frontend.external_url.as_deref().and_then(origin);
        Ok(Self {
            login: login(config, external_url.as_deref(), &path_prefix)?,
            path_prefix,
            external_url,
            frontpage: match config.frontend.frontpage {
                config::Frontpage::PackageList => Frontpage::PackageList,
                config::Frontpage::Login => Frontpage::Login,
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
            bug_report: config.bugreport.clone(),
            priorities: config.priorities,
            build_arches: koji.build_arches.clone(),
        })
    }
}

impl Default for Login {
    fn default() -> Self {
        #[expect(clippy::expect_used, reason = "a constant, tested below")]
        let name = whole("(.+)").expect("a pattern");
        Self {
            secret: None,
            proxies: Vec::new(),
            header: HeaderName::from_static("remote_user"),
            name,
            oidc: None,
            bypass: None,
        }
    }
}

/// How people log in.
fn login(config: &Config, origin: Option<&str>, prefix: &str) -> Result<Login, ConfigError> {
    let auth = &config.frontend.auth;
    let proxies = auth.trusted_proxies.iter().map(|text| {
        text.parse::<Network>().map_err(|()| {
            ConfigError::new(
                "frontend.auth.trusted_proxies",
                format!("{text} is no address, and no network such as 10.1.0.0/16"),
            )
        })
    });
    Ok(Login {
        secret: config.session_key().map(str::to_owned),
        proxies: proxies.collect::<Result<_, _>>()?,
        header: HeaderName::from_bytes(auth.user_env.as_bytes()).map_err(|_| {
            let problem = format!("{} cannot be the name of a header", auth.user_env);
            ConfigError::new("frontend.auth.user_env", problem)
        })?,
        name: whole(&auth.user_re).map_err(|problem| {
            ConfigError::new(
                "frontend.auth.user_re",
                format!("{} cannot be used: {problem}", auth.user_re),
            )
        })?,
        oidc: oidc(auth, origin, prefix)?,
        bypass: config.bypass_login.clone().filter(|name| !name.is_empty()),
    })
}

/// The provider of OpenID Connect, if there is one.
fn oidc(auth: &Auth, origin: Option<&str>, prefix: &str) -> Result<Option<Oidc>, ConfigError> {
    let oidc = &auth.oidc;
    let Some(issuer) = oidc.issuer.clone() else {
        return Ok(None);
    };
    if !is_safe(&issuer) {
        let problem = format!("{issuer} must begin with https://, or be on this machine");
        return Err(ConfigError::new("frontend.auth.oidc.issuer", problem));
    }
    let client_id = oidc.client_id.clone().ok_or_else(|| {
        ConfigError::new("frontend.auth.oidc.client_id", "it is needed where there is an issuer")
    })?;
    let origin = origin.ok_or_else(|| {
        let problem = "it is needed for OpenID Connect, whose provider sends people back to it";
        ConfigError::new("frontend.external_url", problem)
    })?;
    if !oidc.scopes.iter().any(|scope| scope == "openid") {
        let problem = "the scope openid is missing, without which nothing is told about the user";
        return Err(ConfigError::new("frontend.auth.oidc.scopes", problem));
    }
    Ok(Some(Oidc {
        issuer,
        client_id,
        client_secret: oidc.client_secret.as_ref().map(Secret::reveal).map(str::to_owned),
        claim: oidc.claim.clone(),
        scopes: oidc.scopes.clone(),
        redirect_uri: format!("{origin}{prefix}/login/oidc"),
    }))
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
        let web = WebConfig::try_from(&config).expect("a configuration");
        assert_eq!(web.path_prefix, "/koschei");
        assert_eq!(web.external_url.as_deref(), Some("https://apps.example"));
        assert_eq!(web.koji_weburl, "https://koji.fedoraproject.org/koji");
    }

    #[test]
    fn logins_that_cannot_work_are_refused_with_the_key_that_is_wrong() {
        let problem = |change: fn(&mut config::Frontend)| {
            let mut config = Config::default();
            change(&mut config.frontend);
            WebConfig::try_from(&config).expect_err("refused").to_string()
        };
        assert_eq!(
            problem(|frontend| frontend.auth.trusted_proxies = vec!["proxy".to_owned()]),
            "frontend.auth.trusted_proxies: proxy is no address, and no network such as 10.1.0.0/16"
        );
        assert!(
            problem(|frontend| frontend.auth.user_re = "me".to_owned()).contains("user_re: me")
        );
        assert!(problem(|frontend| frontend.auth.user_env = "a b".to_owned()).contains("user_env"));
        let with_provider = |frontend: &mut config::Frontend| {
            frontend.auth.oidc.issuer = Some("https://id.example.org".to_owned());
            frontend.auth.oidc.client_id = Some("koschei".to_owned());
        };
        let mut config = Config::default();
        with_provider(&mut config.frontend);
        let error = WebConfig::try_from(&config).expect_err("refused");
        assert_eq!(error.key, "frontend.external_url");
        config.frontend.external_url = Some("https://apps.example/koschei/".to_owned());
        let web = WebConfig::try_from(&config).expect("a configuration");
        let provider = web.login.oidc.expect("a provider");
        assert_eq!(provider.redirect_uri, "https://apps.example/koschei/login/oidc");
        config.frontend.auth.oidc.issuer = Some("http://id.example.org".to_owned());
        assert_eq!(
            WebConfig::try_from(&config).expect_err("refused").key,
            "frontend.auth.oidc.issuer"
        );
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
