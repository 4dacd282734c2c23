//! What every step needs: configuration, database, Koji, repositories.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use koschei_core::config::{Config, KojiConfig, LoginMethod};
use koschei_db::Pool;
use koschei_db::resolution::Origin;

use crate::error::{Error, Result};
use crate::repositories::Repositories;
use crate::stop::Stop;

/// What every step needs. Cheap to clone; several services in one process share one.
#[derive(Debug, Clone)]
pub struct Context {
    /// The configuration.
    pub config: Arc<Config>,
    /// The database.
    pub db: Pool,
    /// The Koji that builds.
    pub primary: koji::Client,
    /// The Koji that repos, source packages and real builds of collections in secondary mode come from.
    pub secondary: Option<koji::Client>,
    /// Repositories, fetched and kept.
    pub repositories: Repositories,
    /// Whether to stop; long steps look at it between two pieces of work.
    pub stop: Stop,
    /// Whether a submission may have been lost, so that tasks have to be adopted before anything is submitted.
    adoption_due: Arc<AtomicBool>,
}

impl Context {
    /// A context for this configuration and database.
    ///
    /// # Errors
    /// When the configuration of Koji does not fit together.
    pub fn new(config: Config, db: Pool, stop: Stop) -> Result<Self> {
        let primary = koji::Client::new(koji_client_config(&config.koji_config)?);
        let secondary = match &config.secondary_koji_config {
            None => None,
            Some(secondary) => {
                // The secondary Koji is only ever read.
                let mut client = koji_client_config(&secondary.koji)?;
                client.login = koji::Login::Anonymous;
                Some(koji::Client::new(client))
            }
        };
        let repositories = Repositories::new(&config)?;
        Ok(Self {
            config: Arc::new(config),
            db,
            primary,
            secondary,
            repositories,
            stop,
            adoption_due: Arc::new(AtomicBool::new(true)),
        })
    }

    /// The Koji that a collection's own tags, repos and real builds are in.
    ///
    /// # Errors
    /// When the collection is in secondary mode and no secondary Koji is configured.
    pub fn koji_of(&self, secondary_mode: bool) -> Result<&koji::Client> {
        if secondary_mode {
            self.secondary.as_ref().ok_or_else(|| {
                Error::Configuration(
                    "the collection is in secondary mode, but secondary_koji_config is empty"
                        .into(),
                )
            })
        } else {
            Ok(&self.primary)
        }
    }

    /// The configuration of a collection's own Koji.
    pub(crate) fn koji_config_of(&self, secondary_mode: bool) -> &KojiConfig {
        match &self.config.secondary_koji_config {
            Some(secondary) if secondary_mode => &secondary.koji,
            _ => &self.config.koji_config,
        }
    }

    /// Says that a submission may have been lost.
    pub(crate) fn require_adoption(&self) {
        self.adoption_due.store(true, Ordering::SeqCst);
    }

    /// Says that all lost submissions were found.
    pub(crate) fn adoption_done(&self) {
        self.adoption_due.store(false, Ordering::SeqCst);
    }

    /// Whether a submission may have been lost.
    pub(crate) fn adoption_is_due(&self) -> bool {
        self.adoption_due.load(Ordering::SeqCst)
    }
}

/// Which Koji the source packages of a collection are in.
pub(crate) fn origin(secondary_mode: bool) -> Origin {
    if secondary_mode { Origin::Secondary } else { Origin::Primary }
}

/// How to reach and log in to a hub, from a section `koji_config`.
///
/// # Errors
/// When the login method lacks what it needs; the sentence names the key.
pub fn koji_client_config(config: &KojiConfig) -> Result<koji::ClientConfig> {
    let path = |key: &str| config.login_args.text(key).map(PathBuf::from);
    let needed =
        |key: &str| {
            config.login_args.text(key).map(str::to_owned).ok_or_else(|| {
                Error::Configuration(format!("koji_config.login_args.{key} is missing"))
            })
        };
    let login = match config.login_method {
        LoginMethod::Logout => koji::Login::Anonymous,
        LoginMethod::SslLogin => koji::Login::Certificate { cert: needed("cert")?.into() },
        LoginMethod::GssapiLogin => koji::Login::Gssapi {
            principal: config.login_args.text("principal").map(str::to_owned),
            keytab: path("keytab"),
            ccache: config.login_args.text("ccache").map(str::to_owned),
        },
        LoginMethod::Login => koji::Login::Password {
            user: needed("user")?,
            password: koji::Secret::new(needed("password")?),
        },
    };
    let defaults = koji::SessionOptions::default();
    let options = &config.session_opts;
    let seconds = |key: &str, default: Duration| {
        options
            .number(key)
            .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
            .unwrap_or(default)
    };
    let session = koji::SessionOptions {
        timeout: seconds("timeout", defaults.timeout),
        // Fractions and negative numbers of retries are rounded by the conversion, which saturates.
        max_retries: options.number("max_retries").map_or(defaults.max_retries, |n| n as u32),
        retry_interval: seconds("retry_interval", defaults.retry_interval),
        anon_retry: options.truth("anon_retry").unwrap_or(defaults.anon_retry),
        offline_retry: options.truth("offline_retry").unwrap_or(defaults.offline_retry),
        offline_retry_interval: seconds("offline_retry_interval", defaults.offline_retry_interval),
    };
    let mut client = koji::ClientConfig::anonymous(&config.server);
    client.topurl.clone_from(&config.topurl);
    client.weburl.clone_from(&config.weburl);
    client.login = login;
    client.server_ca = path("serverca");
    client.session = session;
    client.multicall_chunk_size = config.multicall_chunk_size;
    Ok(client)
}
