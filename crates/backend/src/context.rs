//! What every step needs: configuration, database, Koji, repositories.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use depsolve::Universe;
use koji::ClientConfig;
use koschei_core::config::{Config, KojiConfig};
use koschei_db::Pool;
use koschei_db::entities::Collection;
use koschei_db::resolution::Origin;

use crate::error::{Error, Result};
use crate::hub::{self, Hub, Role};
use crate::progress::{DATABASE_LIMIT, Progress};
use crate::repositories::Repositories;
use crate::stop::Stop;
use crate::vitals::Vitals;

/// How often at most a call to Koji is repeated within a step, and after which pause at most. The first repetition comes at
/// once, so a connection that was dropped costs nothing. A longer outage ends the step, so that the service can say what
/// it waits for, and the driver repeats the step for as long as it takes.
const RETRIES: u32 = 3;

/// See [`RETRIES`].
const RETRY_PAUSE: Duration = Duration::from_secs(5);

/// How long a hub may take for one call within a step, whatever the configuration allows: the longest lists of the largest
/// distribution come within a minute or two. After that the step does without.
const LONGEST_CALL: Duration = Duration::from_secs(10 * 60);

/// What every step needs. Cheap to clone; several services in one process share one.
#[derive(Debug, Clone)]
pub struct Context {
    /// The configuration.
    pub config: Arc<Config>,
    /// The database.
    pub db: Pool,
    /// The Koji that builds.
    primary: Hub,
    /// The Koji that repos, source packages and real builds of collections in secondary mode come from.
    secondary: Option<Hub>,
    /// Repositories, fetched and kept.
    pub repositories: Repositories,
    /// Whether to stop; long steps look at it between two pieces of work.
    pub stop: Stop,
    /// How the service is.
    pub vitals: Vitals,
    /// Whether the step gets somewhere.
    pub(crate) progress: Progress,
    /// Whether a submission may have been lost, so that tasks have to be adopted before anything is submitted.
    adoption_due: Arc<AtomicBool>,
}

impl Context {
    /// A context for this configuration and database.
    ///
    /// # Errors
    /// When the configuration of Koji does not fit together.
    pub fn new(config: Config, db: Pool, stop: Stop) -> Result<Self> {
        Self::with_patience(config, db, stop, hub::PATIENCE)
    }

    /// The same with other patience with a hub that gives no sign of life.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with_patience(config: Config, db: Pool, stop: Stop, patience: Duration) -> Result<Self> {
        let primary = for_steps(config.koji_config.client_config()?);
        // Nothing else in a step takes longer than one call to Koji, and the last attempt begins before it is given up;
        // but for downloads, see `universe`.
        let call = 2 * primary.session.timeout + RETRY_PAUSE * (RETRIES + 1);
        let progress = Progress::new(DATABASE_LIMIT, call + DATABASE_LIMIT);
        let primary = Hub::new(Role::Primary, primary, patience);
        let secondary = match &config.secondary_koji_config {
            None => None,
            Some(secondary) => {
                // The secondary Koji is only ever read.
                let config = for_steps(secondary.koji.anonymous_client_config()?);
                Some(Hub::new(Role::Secondary, config, patience))
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
            vitals: Vitals::default(),
            progress,
            adoption_due: Arc::new(AtomicBool::new(true)),
        })
    }

    /// The packages of a repository. To fetch it may take hours; it is given up when it comes too slowly.
    pub(crate) async fn universe(
        &self,
        url: &str,
        paths: &BTreeSet<String>,
    ) -> Result<Arc<Universe>> {
        self.progress.during(self.repositories.universe(url, paths)).await
    }

    /// The same with another limit for a piece of work in the database, after which its connection is given up.
    #[must_use]
    pub fn with_database_limit(mut self, limit: Duration) -> Self {
        self.progress = self.progress.with_database_limit(limit);
        self
    }

    /// The same for work of another kind beside the step: that it moves does not say that the step does.
    pub(crate) fn with_own_progress(&self) -> Self {
        Self { progress: self.progress.anew(), ..self.clone() }
    }

    /// The Koji that a collection's own tags, repos and real builds are in.
    ///
    /// # Errors
    /// When it does not answer, or when the collection is in secondary mode and no secondary Koji is configured.
    pub async fn koji_of(&self, secondary_mode: bool) -> Result<&koji::Client> {
        if secondary_mode {
            let secondary = self.secondary.as_ref().ok_or_else(|| {
                Error::Configuration(
                    "the collection is in secondary mode, but secondary_koji_config is empty"
                        .into(),
                )
            })?;
            secondary.client().await
        } else {
            self.koji_that_builds().await
        }
    }

    /// The Koji that builds, if it is not silent.
    ///
    /// # Errors
    /// When it takes calls and does not answer them.
    pub async fn koji_that_builds(&self) -> Result<&koji::Client> {
        self.primary.client().await
    }

    /// Whether the Koji that builds has done by now what it was asked for before it fell silent, if it did.
    pub(crate) fn koji_is_settled(&self) -> bool {
        self.primary.is_settled()
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

/// As patient as a step may be.
fn for_steps(mut config: ClientConfig) -> ClientConfig {
    let session = &mut config.session;
    session.max_retries = session.max_retries.min(RETRIES);
    session.retry_interval = session.retry_interval.min(RETRY_PAUSE);
    session.timeout = session.timeout.min(LONGEST_CALL);
    // A call that was waited for in vain is not made again at once.
    session.give_up_after = Some(session.timeout);
    session.offline_retry = false;
    config
}

/// Collections in the order in which a step works on them: those of the primary Koji first, because the others may have
/// to wait for theirs.
pub(crate) fn primary_first(mut collections: Vec<Collection>) -> Vec<Collection> {
    collections.sort_by_key(|collection| collection.secondary_mode);
    collections
}

/// Which Koji the source packages of a collection are in.
pub(crate) fn origin(secondary_mode: bool) -> Origin {
    if secondary_mode { Origin::Secondary } else { Origin::Primary }
}
