//! What can go wrong with the bus.

use std::path::{Path, PathBuf};

use lapin::ErrorKind;
use lapin::protocol::{AMQPErrorKind, AMQPHardError, AMQPSoftError};

/// Something is wrong with the configuration file, or with a file that it names.
#[derive(Debug, thiserror::Error)]
#[error("{}{}: {reason}", path.display(), line.map(|line| format!(", line {line}")).unwrap_or_default())]
pub struct ConfigError {
    path: PathBuf,
    line: Option<usize>,
    reason: String,
}

impl ConfigError {
    pub(crate) fn new(path: &Path, reason: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line: None, reason: reason.into() }
    }

    pub(crate) fn at(path: &Path, line: Option<usize>, reason: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, reason: reason.into() }
    }
}

/// Why the bus cannot be used at the moment, or at all.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// There is no way to the broker, or it does not let us in.
    #[error("cannot connect to the message broker {broker}: {source}")]
    Connect {
        /// Host and port.
        broker: String,
        /// What the client says.
        source: Box<lapin::Error>,
    },
    /// The broker did not answer in time.
    #[error("the message broker {broker} did not {what} within {seconds} s")]
    Slow {
        /// Host and port.
        broker: String,
        /// What it was to do.
        what: &'static str,
        /// How long it was waited for.
        seconds: u64,
    },
    /// The broker refuses what the configuration asks for.
    #[error("the message broker {broker} refuses {what}: {source}")]
    Refused {
        /// Host and port.
        broker: String,
        /// What was asked for, such as "queue koschei".
        what: String,
        /// What the client says.
        source: Box<lapin::Error>,
    },
    /// A message was not taken.
    #[error("the message broker {broker} does not take messages: {reason}")]
    NotTaken {
        /// Host and port.
        broker: String,
        /// Its reason.
        reason: String,
    },
    /// The message is not one that can be sent, now or ever.
    #[error("a message cannot be sent: its {what} has more than 255 bytes: {text}")]
    Unsendable {
        /// Which part of it.
        what: &'static str,
        /// That part.
        text: String,
    },
    /// The connection is lost.
    #[error("the connection to the message broker {broker} is lost: {reason}")]
    Lost {
        /// Host and port.
        broker: String,
        /// How it ended.
        reason: String,
    },
}

impl Error {
    /// Whether trying again after a while may help without anybody changing anything. A broker that refuses an account or
    /// a declaration is not changed by asking again, but it may be by its administrator.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Config(_) | Self::Unsendable { .. } => false,
            Self::Connect { source, .. } | Self::Refused { source, .. } => !is_refusal(source),
            Self::Slow { .. } | Self::NotTaken { .. } | Self::Lost { .. } => true,
        }
    }
}

impl Error {
    pub(crate) fn connect(broker: &impl ToString, source: lapin::Error) -> Self {
        Self::Connect { broker: broker.to_string(), source: Box::new(source) }
    }

    pub(crate) fn refused(broker: &impl ToString, what: String, source: lapin::Error) -> Self {
        Self::Refused { broker: broker.to_string(), what, source: Box::new(source) }
    }
}

/// Whether the broker understood and said no.
fn is_refusal(error: &lapin::Error) -> bool {
    let ErrorKind::ProtocolError(error) = error.kind() else { return false };
    matches!(
        error.kind(),
        AMQPErrorKind::Soft(
            AMQPSoftError::ACCESSREFUSED
                | AMQPSoftError::NOTFOUND
                | AMQPSoftError::PRECONDITIONFAILED
        ) | AMQPErrorKind::Hard(AMQPHardError::NOTALLOWED)
    )
}
