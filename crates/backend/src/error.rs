//! What can go wrong in a service, and whether trying again helps.

use crate::repositories::RepositoryError;

/// The result of what services do.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a step, or a part of it, could not be done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database.
    #[error(transparent)]
    Database(#[from] koschei_db::Error),
    /// Koji.
    #[error(transparent)]
    Koji(#[from] koji::Error),
    /// The message bus.
    #[error(transparent)]
    Bus(#[from] fedora_messaging::Error),
    /// The repository of a build tag.
    #[error(transparent)]
    Repository(#[from] RepositoryError),
    /// Something in Koji is not as it has to be; a person has to look at the collection.
    #[error("{0}")]
    Collection(String),
    /// Koji answered with something that cannot be stored.
    #[error("Koji answered with {what}, which is out of range: {value}")]
    OutOfRange {
        /// What it is.
        what: &'static str,
        /// Its value.
        value: i64,
    },
    /// The configuration does not fit.
    #[error("{0}")]
    Configuration(String),
    /// Koji refuses to tell something for now.
    #[error("{0}")]
    Refused(String),
    /// A Koji does not answer, and is left alone for a while.
    #[error("{0}")]
    Away(String),
    /// A step did not get anywhere any more.
    #[error("{0}")]
    Stuck(String),
    /// Work on another thread ended before its time; the step was stopped, or a bug was hit.
    #[error("work on another thread broke off: {0}")]
    Thread(String),
}

impl From<koschei_core::config::ClientProblem> for Error {
    fn from(problem: koschei_core::config::ClientProblem) -> Self {
        Self::Configuration(problem.to_string())
    }
}

impl Error {
    /// Whether the same thing may succeed later without anybody doing anything.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Database(error) => error.is_transient(),
            // A step that is repeated looks for what the lost call did before it asks again (see `adoption`).
            Self::Koji(koji::Error::TookEffect { .. } | koji::Error::Unconfirmed { .. }) => true,
            Self::Koji(error) => error.is_transient(),
            Self::Bus(error) => error.is_transient(),
            Self::Repository(error) => error.is_transient(),
            Self::Away(_) | Self::Stuck(_) | Self::Thread(_) => true,
            Self::Refused(_)
            | Self::Collection(_)
            | Self::OutOfRange { .. }
            | Self::Configuration(_) => false,
        }
    }

    /// Whether the database is the reason. Then nothing else of a step can be done either.
    pub fn is_database(&self) -> bool {
        matches!(self, Self::Database(_))
    }
}

/// An id of Koji as the database stores it.
pub(crate) fn stored_id(what: &'static str, value: i64) -> Result<i32> {
    i32::try_from(value).map_err(|_| Error::OutOfRange { what, value })
}
