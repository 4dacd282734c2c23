//! What every step needs: configuration, database, Koji, repositories.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use koschei_core::config::{Config, KojiConfig};
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
        let primary = koji::Client::new(config.koji_config.client_config()?);
        let secondary = match &config.secondary_koji_config {
            None => None,
            Some(secondary) => {
                // The secondary Koji is only ever read.
                Some(koji::Client::new(secondary.koji.anonymous_client_config()?))
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
