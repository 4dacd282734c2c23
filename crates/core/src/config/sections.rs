//! One struct per section, with the keys and defaults that operators know from existing installations.
//!
//! The names of fields are the names of keys. Times are seconds, unless a comment says otherwise.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{FreeForm, Secret};

/// A table whose keys are not ours to name.
pub(super) struct FreeFormTable {
    pub(super) path: &'static str,
    pub(super) shown: Shown,
}

/// Which values of a table of free form may be seen by whoever sees the configuration.
#[derive(Debug, Clone, Copy)]
pub(super) enum Shown {
    All,
    /// Those of these keys; every other may be a secret.
    Only(&'static [&'static str]),
}

/// Tables below which any key may stand.
pub(super) const FREE_FORM: &[FreeFormTable] = &[
    FreeFormTable { path: "flask", shown: Shown::Only(&[]) },
    FreeFormTable {
        path: "koji_config.login_args",
        shown: Shown::Only(&["cert", "ca", "serverca", "principal", "keytab", "ccache", "user"]),
    },
    FreeFormTable {
        path: "koji_config.session_opts",
        shown: Shown::Only(&[
            "timeout",
            "max_retries",
            "retry_interval",
            "anon_retry",
            "offline_retry",
            "offline_retry_interval",
            "auth_timeout",
            "krb_rdns",
            "krb_canon_host",
            "krb_server_realm",
            "no_ssl_verify",
            "serverca",
        ]),
    },
    FreeFormTable { path: "koji_config.build_opts", shown: Shown::All },
    FreeFormTable { path: "osci.contact", shown: Shown::All },
    FreeFormTable { path: "osci.pipeline", shown: Shown::All },
    FreeFormTable { path: "osci.test", shown: Shown::All },
    FreeFormTable { path: "frontend.frontpage_kwargs", shown: Shown::All },
];

/// Everything that can be configured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Address of the whole database, instead of `database_config`.
    pub db_url: Option<Secret>,
    /// Role that every migration grants what services and web need, and no more.
    pub unpriv_db_username: Option<String>,
    /// User who is logged in without asking, for development on loopback only.
    pub bypass_login: Option<String>,
    /// Rows of real builds that one transaction inserts.
    pub real_builds_insert_chunk: usize,
    /// Integrations that are switched on.
    pub plugins: Vec<Plugin>,
    /// PostgreSQL.
    pub database_config: DatabaseConfig,
    /// Koji: where scratch builds are made, and, without a secondary one, everything else.
    pub koji_config: KojiConfig,
    /// A second, read-only Koji for repos, SRPMs and real builds; none in primary mode.
    #[serde(skip_deserializing)]
    pub secondary_koji_config: Option<SecondaryKojiConfig>,
    /// The resolver.
    pub dependency: Dependency,
    /// What makes a package due for a build.
    pub priorities: Priorities,
    /// How often each service works and what it may use.
    pub services: Services,
    /// The bus of Koji.
    pub fedmsg: Fedmsg,
    /// Messages of ours.
    #[serde(rename = "fedmsg-publisher")]
    pub fedmsg_publisher: FedmsgPublisher,
    /// Who maintains which package.
    pub pagure: Pagure,
    /// Lists that koschei-admin fills groups of packages from.
    pub refresh: Refresh,
    /// Rebuild requests in Copr.
    pub copr: Copr,
    /// Messages for OSCI.
    pub osci: Osci,
    /// Places on disk.
    pub directories: Directories,
    /// Kept under its old name for `SECRET_KEY`, which signs sessions.
    pub flask: FreeForm,
    /// The web interface.
    pub frontend: Frontend,
    /// Links of a package to other places.
    pub links: Vec<Link>,
    /// Where and how a bug is filed.
    pub bugreport: BugReport,
}

impl Config {
    /// The key that signs sessions, from `frontend.secret_key` or `flask.SECRET_KEY`.
    #[must_use]
    pub fn session_key(&self) -> Option<&str> {
        let own = self.frontend.secret_key.as_ref().map(Secret::reveal);
        own.or_else(|| self.flask.text("SECRET_KEY"))
    }

    /// Whether an integration is switched on.
    #[must_use]
    pub fn has_plugin(&self, plugin: Plugin) -> bool {
        self.plugins.contains(&plugin)
    }

    /// Address of the database: `db_url`, or what `database_config.db_url` says, if either is set.
    #[must_use]
    pub fn database_url(&self) -> Option<&str> {
        self.db_url.as_ref().or(self.database_config.db_url.as_ref()).map(Secret::reveal)
    }

    /// How to reach the database, with `db_url` put where the database crate looks for it.
    #[must_use]
    pub fn database(&self) -> DatabaseConfig {
        let mut database = self.database_config.clone();
        if self.db_url.is_some() {
            database.db_url.clone_from(&self.db_url);
        }
        database
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            db_url: None,
            unpriv_db_username: None,
            bypass_login: None,
            real_builds_insert_chunk: 50,
            plugins: Vec::new(),
            database_config: DatabaseConfig::default(),
            koji_config: KojiConfig::default(),
            secondary_koji_config: None,
            dependency: Dependency::default(),
            priorities: Priorities::default(),
            services: Services::default(),
            fedmsg: Fedmsg::default(),
            fedmsg_publisher: FedmsgPublisher::default(),
            pagure: Pagure::default(),
            refresh: Refresh::default(),
            copr: Copr::default(),
            osci: Osci::default(),
            directories: Directories::default(),
            flask: FreeForm::default(),
            frontend: Frontend::default(),
            links: Link::defaults(),
            bugreport: BugReport::default(),
        }
    }
}

/// An integration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Plugin {
    /// The bus.
    Fedmsg,
    /// Owners of packages.
    Pagure,
    /// Rebuild requests.
    Copr,
    /// Repositories of a secondary Koji, regenerated on the primary.
    RepoRegen,
    /// Operating system continuous integration.
    Osci,
}

/// How to reach PostgreSQL.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatabaseConfig {
    /// Host name, or the directory of a Unix socket.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Database.
    pub database: String,
    /// Role; none is the operating system's user.
    pub username: Option<String>,
    /// Password of the role.
    pub password: Option<Secret>,
    /// A `postgresql://` address instead of all of the above.
    pub db_url: Option<Secret>,
}

impl Default for DatabaseConfig {
    fn default() -> Self {
        Self {
            host: "localhost".to_owned(),
            port: 5432,
            database: "koschei".to_owned(),
            username: None,
            password: None,
            db_url: None,
        }
    }
}

/// How to prove to Koji who we are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LoginMethod {
    /// Not at all: anonymous, which can only read.
    Logout,
    /// By a TLS client certificate.
    SslLogin,
    /// By Kerberos.
    GssapiLogin,
    /// By user name and password.
    Login,
}

/// One Koji.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KojiConfig {
    /// Address of the hub, for XML-RPC.
    pub server: String,
    /// Address of its files: repositories, packages, logs.
    pub topurl: String,
    /// Address of its web interface, for links.
    pub weburl: String,
    /// What stands before an SRPM's path in the source of a build: the way from Koji's work directory to its top.
    pub srpm_relative_path_root: String,
    /// How to log in.
    pub login_method: LoginMethod,
    /// `cert`, `ca`, `serverca`; or `principal`, `keytab`, `ccache`; or `user`, `password`.
    pub login_args: FreeForm,
    /// `timeout`, `max_retries`, `retry_interval`, `offline_retry` and the like.
    pub session_opts: FreeForm,
    /// Scratch builds that may run at one time.
    pub max_builds: u32,
    /// Architectures that scratch builds may be made for.
    pub build_arches: Vec<String>,
    /// Options that each build gets.
    pub build_opts: FreeForm,
    /// Load of Koji above which nothing is submitted; 1 switches that off.
    pub load_threshold: f64,
    /// Priority of our tasks; higher is later.
    pub task_priority: i64,
    /// Seconds after which a running build is given up.
    pub task_timeout: u64,
    /// Calls in one multicall.
    pub multicall_chunk_size: usize,
    /// Build from the newest repo that was resolved, instead of by target.
    pub build_from_repo_id: bool,
}

impl KojiConfig {
    /// After how long a running build is given up.
    #[must_use]
    pub fn task_timeout(&self) -> Duration {
        Duration::from_secs(self.task_timeout)
    }
}

impl Default for KojiConfig {
    fn default() -> Self {
        Self {
            server: "https://koji.fedoraproject.org/kojihub".to_owned(),
            topurl: "https://kojipkgs.fedoraproject.org".to_owned(),
            weburl: "https://koji.fedoraproject.org/koji".to_owned(),
            srpm_relative_path_root: "..".to_owned(),
            login_method: LoginMethod::Logout,
            login_args: FreeForm::default(),
            session_opts: FreeForm::from_iter([
                ("timeout", serde_json::Value::from(3600)),
                ("max_retries", 1000.into()),
                ("anon_retry", true.into()),
                ("offline_retry", true.into()),
                ("offline_retry_interval", 120.into()),
            ]),
            max_builds: 30,
            build_arches: ["i386", "x86_64", "armhfp"].map(str::to_owned).to_vec(),
            build_opts: FreeForm::default(),
            load_threshold: 0.5,
            task_priority: 30,
            task_timeout: 172_800,
            multicall_chunk_size: 100,
            build_from_repo_id: false,
        }
    }
}

/// A read-only Koji for repos, SRPMs and real builds. What is not set is as in `koji_config`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SecondaryKojiConfig {
    /// Its hub and addresses.
    #[serde(flatten)]
    pub koji: KojiConfig,
    /// Address of a repository, with `{build_tag}`, `{repo_id}` and `{arch}`.
    pub repo_url: Option<String>,
}

/// The resolver.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dependency {
    /// Leave weak dependencies out.
    pub ignore_weak_deps: bool,
    /// Packages in one transaction.
    pub persist_chunk_size: usize,
    /// Seconds between two lines of progress in the log.
    pub perf_report_interval: u64,
    /// Repositories kept on disk.
    pub cache_l2_capacity: usize,
    /// Architecture whose packages may be installed.
    pub resolve_for_arch: String,
    /// Architecture whose repository is read.
    pub repo_arch: String,
    /// Accepted for compatibility; nothing uses it.
    pub dependency_cache_capacity: Option<u64>,
    /// Accepted for compatibility; nothing uses it.
    pub resolver_queue_size: Option<u64>,
}

impl Default for Dependency {
    fn default() -> Self {
        Self {
            ignore_weak_deps: false,
            persist_chunk_size: 150,
            perf_report_interval: 60,
            cache_l2_capacity: 100,
            resolve_for_arch: "x86_64".to_owned(),
            repo_arch: "x86_64".to_owned(),
            dependency_cache_capacity: None,
            resolver_queue_size: None,
        }
    }
}

/// What makes a package due for a build.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Priorities {
    /// Of a package whose last build cannot be compared.
    pub newly_added: i32,
    /// From here on a package is built.
    pub build_threshold: f64,
    /// Of a changed dependency at distance 1.
    pub package_update: f64,
    /// Of a package that just began to fail.
    pub failed_build_priority: i32,
    /// Hours after a build at which priority by time is 0.
    pub t0: f64,
    /// Hours after a build at which priority by time reaches the threshold.
    pub t1: f64,
}

impl Default for Priorities {
    fn default() -> Self {
        Self {
            newly_added: 3000,
            build_threshold: 256.0,
            package_update: 256.0,
            failed_build_priority: 200,
            t0: 6.0,
            t1: 168.0,
        }
    }
}

/// The services by name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Services {
    /// Everything that Koji could have told on the bus, and the lists of packages.
    pub polling: Service,
    /// The newest repo.
    pub repo_resolver: Service,
    /// Repos of builds.
    pub build_resolver: Service,
    /// New scratch builds.
    pub scheduler: Service,
    /// The bus.
    pub watcher: Service,
    /// Rebuild requests: what they change.
    pub copr_resolver: Service,
    /// Rebuild requests: builds.
    pub copr_scheduler: Service,
}

impl Services {
    /// All of them with their names.
    #[must_use]
    pub fn all(&self) -> [(&'static str, &Service); 7] {
        [
            ("polling", &self.polling),
            ("repo_resolver", &self.repo_resolver),
            ("build_resolver", &self.build_resolver),
            ("scheduler", &self.scheduler),
            ("watcher", &self.watcher),
            ("copr_resolver", &self.copr_resolver),
            ("copr_scheduler", &self.copr_scheduler),
        ]
    }
}

impl Default for Services {
    fn default() -> Self {
        let service = Service::default();
        Self {
            polling: Service { interval: 1200.0, ..service },
            repo_resolver: service,
            build_resolver: service,
            scheduler: service,
            watcher: Service { watchdog: true, ..service },
            copr_resolver: service,
            copr_scheduler: service,
        }
    }
}

/// One service.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Service {
    /// Seconds between two steps.
    pub interval: f64,
    /// Tell systemd that it is alive.
    pub watchdog: bool,
    /// Resident memory in KiB above which it ends with status 3, to be started anew.
    pub memory_limit: Option<u64>,
    /// The same for virtual memory.
    pub virtual_memory_limit: Option<u64>,
    /// Port of this host on which it answers to monitoring (`/metrics`, `/health`); it does not without one.
    pub monitoring_port: Option<u16>,
}

impl Service {
    /// The pause between two steps.
    #[must_use]
    pub fn interval(&self) -> Duration {
        Duration::try_from_secs_f64(self.interval).unwrap_or(Duration::from_secs(3))
    }
}

impl Default for Service {
    fn default() -> Self {
        Self {
            interval: 3.0,
            watchdog: false,
            memory_limit: None,
            virtual_memory_limit: None,
            monitoring_port: None,
        }
    }
}

/// The bus of Koji.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fedmsg {
    /// What the topics of Koji's messages begin with.
    pub topic: String,
    /// The Koji whose messages count.
    pub instance: String,
}

impl Default for Fedmsg {
    fn default() -> Self {
        Self { topic: "org.fedoraproject.prod.buildsys".to_owned(), instance: "primary".to_owned() }
    }
}

/// Messages of ours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FedmsgPublisher {
    /// Whether any are sent.
    pub enabled: bool,
    /// The part of the topic that says it is us.
    pub modname: String,
}

impl Default for FedmsgPublisher {
    fn default() -> Self {
        Self { enabled: false, modname: "koschei".to_owned() }
    }
}

/// Who maintains which package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pagure {
    /// JSON file with the maintainers of every package.
    pub owner_alias_url: String,
}

impl Default for Pagure {
    fn default() -> Self {
        Self {
            owner_alias_url: "https://src.fedoraproject.org/extras/pagure_owner_alias.json"
                .to_owned(),
        }
    }
}

/// Lists that `koschei-admin` fills groups of packages from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Refresh {
    /// The source packages of the newest distribution, the path of one in each line: refresh-group.
    pub source_packages_url: String,
    /// JSON file with the maintainers of every package: refresh-user-group, refresh-distgit-group.
    pub maintainers_url: String,
}

impl Default for Refresh {
    fn default() -> Self {
        Self {
            source_packages_url:
                "https://kojipkgs.fedoraproject.org/repos/rawhide/latest/src/pkglist".to_owned(),
            maintainers_url: "https://src.fedoraproject.org/extras/pagure_bz.json".to_owned(),
        }
    }
}

/// Rebuild requests in Copr.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Copr {
    /// Copr's web interface and API.
    pub frontend_url: String,
    /// Address of a build's log.
    pub build_log_url: Option<String>,
    /// Owner of the projects we make.
    pub copr_owner: String,
    /// Chroot that packages are built in.
    pub chroot_name: String,
    /// File with the API token.
    pub config_path: String,
    /// Leave out older packages that the user's repository replaces.
    pub overriding_by_exclusions: bool,
    /// Builds that may run at one time.
    pub max_builds: u32,
    /// Topic of Copr's messages.
    pub fedmsg_topic: String,
    /// Packages that a request builds unless it says otherwise.
    pub default_schedule_count: u32,
    /// What the names of our projects begin with.
    pub name_prefix: String,
    /// Only admins may make requests.
    pub require_admin: bool,
    /// Description of our projects.
    pub description: Option<String>,
    /// Instructions of our projects.
    pub instructions: Option<String>,
}

impl Default for Copr {
    fn default() -> Self {
        Self {
            frontend_url: "https://copr.fedorainfracloud.org/".to_owned(),
            build_log_url: None,
            copr_owner: "koschei".to_owned(),
            chroot_name: "custom-1-x86_64".to_owned(),
            config_path: "/etc/koschei/copr-config".to_owned(),
            overriding_by_exclusions: true,
            max_builds: 15,
            fedmsg_topic: "org.fedoraproject.prod.copr.build.end".to_owned(),
            default_schedule_count: 8,
            name_prefix: "k".to_owned(),
            require_admin: false,
            description: None,
            instructions: None,
        }
    }
}

/// Messages for OSCI.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Osci {
    /// Namespace of the topics.
    pub namespace: String,
    /// Type of the artifact that is one build.
    pub build_artifact_type: String,
    /// Type of the artifact that is several.
    pub build_group_artifact_type: String,
    /// Whom to ask, as the messages have it.
    pub contact: FreeForm,
    /// The pipeline, as the messages have it.
    pub pipeline: FreeForm,
    /// The test, as the messages have it.
    pub test: FreeForm,
}

impl Default for Osci {
    fn default() -> Self {
        Self {
            namespace: "osci".to_owned(),
            build_artifact_type: "koji-build".to_owned(),
            build_group_artifact_type: "koji-build-group".to_owned(),
            contact: FreeForm::default(),
            pipeline: FreeForm::default(),
            test: FreeForm::from_iter([
                ("type", "koschei"),
                ("category", "integration"),
                ("namespace", "koschei"),
            ]),
        }
    }
}

/// Places on disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Directories {
    /// What can be fetched again; repositories are in `repodata` below it.
    pub cachedir: String,
}

impl Default for Directories {
    fn default() -> Self {
        Self { cachedir: "/var/cache/koschei".to_owned() }
    }
}

/// What the root address shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Frontpage {
    /// Packages.
    PackageList,
    /// Collections.
    CollectionList,
    /// Groups.
    GroupsOverview,
    /// Statistics.
    Statistics,
    /// Login.
    Login,
}

/// The web interface.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Frontend {
    /// Address that people use, when it is not the one the requests name.
    pub external_url: Option<String>,
    /// Address and port to listen on.
    pub listen: String,
    /// Path below which everything lies, such as `/koschei`; the path of `external_url` if it is not set.
    pub path_prefix: Option<String>,
    /// What the root address shows.
    pub frontpage: Frontpage,
    /// Accepted for compatibility.
    pub frontpage_kwargs: FreeForm,
    /// Packages on a page.
    pub packages_per_page: u32,
    /// Entries of a package's history on a page.
    pub builds_per_page: u32,
    /// Signs sessions.
    pub secret_key: Option<Secret>,
    /// Who is who.
    pub auth: Auth,
}

impl Frontend {
    /// Path below which everything lies, without a slash at its end: `path_prefix`, else the path of
    /// `external_url`, else nothing.
    #[must_use]
    pub fn prefix(&self) -> &str {
        let path = self.path_prefix.as_deref().or_else(|| {
            let (_, rest) = self.external_url.as_deref()?.split_once("://")?;
            rest.find('/').and_then(|slash| rest.get(slash..))
        });
        path.unwrap_or_default().trim_end_matches('/')
    }
}

impl Default for Frontend {
    fn default() -> Self {
        Self {
            external_url: None,
            listen: "127.0.0.1:8080".to_owned(),
            path_prefix: None,
            frontpage: Frontpage::PackageList,
            frontpage_kwargs: FreeForm::default(),
            packages_per_page: 100,
            builds_per_page: 15,
            secret_key: None,
            auth: Auth::default(),
        }
    }
}

/// Who is who.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Auth {
    /// What of the identity is the user's name: its first group.
    pub user_re: String,
    /// Header in which the proxy hands on the identity.
    pub user_env: String,
    /// Addresses of proxies whose header counts.
    pub trusted_proxies: Vec<String>,
    /// `OpenID` Connect instead of a proxy.
    pub oidc: Oidc,
}

impl Default for Auth {
    fn default() -> Self {
        Self {
            user_re: "(.+)".to_owned(),
            user_env: "REMOTE_USER".to_owned(),
            trusted_proxies: Vec::new(),
            oidc: Oidc::default(),
        }
    }
}

/// `OpenID` Connect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Oidc {
    /// Address of the provider; none switches it off.
    pub issuer: Option<String>,
    /// What the provider calls us.
    pub client_id: Option<String>,
    /// What proves that we are that.
    pub client_secret: Option<Secret>,
    /// Claim that holds the user's name.
    pub claim: String,
    /// Scopes to ask for.
    pub scopes: Vec<String>,
}

impl Default for Oidc {
    fn default() -> Self {
        Self {
            issuer: None,
            client_id: None,
            client_secret: None,
            claim: "nickname".to_owned(),
            scopes: ["openid", "profile"].map(str::to_owned).to_vec(),
        }
    }
}

/// A link of a package to another place. One whose value is missing is not shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Link {
    /// What it says.
    pub name: String,
    /// Where it leads. In braces stand `{package.name}`, `{package.collection.name}`, `{package.collection.display_name}`,
    /// `{package.collection.target}`, `{package.collection.dest_tag}`, `{package.collection.build_tag}`,
    /// `{package.collection.bugzilla_product}`, `{package.collection.bugzilla_version}`.
    #[serde(deserialize_with = "address_with_placeholders")]
    pub url: String,
}

impl Link {
    /// What may stand in braces, with or without `package.` in front: the name of the package, and what is known of its
    /// collection.
    pub const PLACEHOLDERS: &[&str] = &[
        "name",
        "collection.name",
        "collection.display_name",
        "collection.target",
        "collection.dest_tag",
        "collection.build_tag",
        "collection.bugzilla_product",
        "collection.bugzilla_version",
    ];

    fn defaults() -> Vec<Self> {
        [
            ("Packages", "https://packages.fedoraproject.org/pkgs/{package.name}"),
            (
                "Bugzilla",
                "https://bugzilla.redhat.com/buglist.cgi\
                 ?product={package.collection.bugzilla_product}&component={package.name}",
            ),
            ("Bodhi", "https://bodhi.fedoraproject.org/updates?packages={package.name}"),
            ("Dist-git", "https://src.fedoraproject.org/rpms/{package.name}.git"),
            ("Koji", "https://koji.fedoraproject.org/koji/packageinfo?packageID={package.name}"),
        ]
        .map(|(name, url)| Self { name: name.to_owned(), url: url.to_owned() })
        .to_vec()
    }
}

/// An address whose placeholders all exist. A typo would otherwise make a link that is never shown, which nobody notices.
fn address_with_placeholders<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<String, D::Error> {
    use serde::de::Error as _;
    let url = String::deserialize(deserializer)?;
    let mut rest = url.as_str();
    while let Some((_, after)) = rest.split_once('{') {
        let Some((placeholder, after)) = after.split_once('}') else {
            return Err(D::Error::custom("has a brace { without its }"));
        };
        let short = placeholder.strip_prefix("package.").unwrap_or(placeholder);
        if !Link::PLACEHOLDERS.contains(&short) {
            let meant = super::deserialize::nearest(short, Link::PLACEHOLDERS.iter().copied());
            return Err(D::Error::custom(match meant {
                Some(meant) => format!(
                    "has the placeholder {{{placeholder}}}, which does not exist (did you mean {{package.{meant}}}?)"
                ),
                None => format!(
                    "has the placeholder {{{placeholder}}}, which does not exist; there are {}",
                    Link::PLACEHOLDERS
                        .iter()
                        .map(|name| format!("{{package.{name}}}"))
                        .collect::<Vec<_>>()
                        .join(", ")
                ),
            }));
        }
        rest = after;
    }
    Ok(url)
}

/// Where and how a bug is filed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BugReport {
    /// Address of the form, with `{query}` where the fields go.
    pub url: String,
    /// The fields.
    pub template: BugTemplate,
}

impl Default for BugReport {
    fn default() -> Self {
        Self {
            url: "https://bugzilla.redhat.com/enter_bug.cgi?{query}".to_owned(),
            template: BugTemplate::default(),
        }
    }
}

/// Fields of a new bug, with `{name}`, `{version}`, `{release}`, `{arch}`, `{package...}`, `{collection...}`, `{url}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BugTemplate {
    /// Bugzilla's product.
    pub product: String,
    /// Its component.
    pub component: String,
    /// The product's version.
    pub version: String,
    /// One line.
    pub short_desc: String,
    /// Address that the bug is about.
    pub bug_file_loc: String,
    /// The text.
    pub comment: String,
}

impl Default for BugTemplate {
    fn default() -> Self {
        Self {
            product: "{collection.bugzilla_product}".to_owned(),
            component: "{package.name}".to_owned(),
            version: "{collection.bugzilla_version}".to_owned(),
            short_desc: "{package.name}: FTBFS in {collection}".to_owned(),
            bug_file_loc: "{url}".to_owned(),
            comment: "\
Package {name} does not build from source in {collection}.

Version tried: {version}-{release}

To see it:
koji build --scratch {collection.target} {name}-{version}-{release}.{arch}.rpm

History of its builds and of its dependencies:
{url}
"
            .to_owned(),
        }
    }
}
