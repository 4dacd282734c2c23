//! What can go wrong with the database, and whether trying again helps.
//!
//! PostgreSQL may restart, fail over or be away for a minute; none of that may lose data or need a person. So every
//! error says whether it is of that kind ([`Error::is_transient`]), and the services only have to repeat their step.

/// The result of everything in this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// Why something in the database could not be done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The server could not be reached, or it refused us.
    #[error("cannot connect to {address}: {source}")]
    Connect {
        /// Where the server was looked for, without the password.
        address: String,
        /// What the driver said.
        source: sqlx::Error,
    },

    /// `db_url` is not the address of a PostgreSQL database.
    #[error("the database address (db_url) is not valid: {reason}")]
    Address {
        /// What is wrong with it.
        reason: String,
    },

    /// A statement failed.
    #[error("database: {0}")]
    Statement(#[source] sqlx::Error),

    /// The schema is not the one that this version needs.
    #[error(transparent)]
    Schema(#[from] crate::schema::SchemaError),

    /// A value in the database does not have the form that it must have.
    #[error("{what} in the database is broken: {reason}")]
    Corrupt {
        /// Which value.
        what: String,
        /// What is wrong with it.
        reason: String,
    },

    /// The connection that held an advisory lock is gone, and the lock with it.
    #[error("the lock {lock} was lost: its connection to the database has ended")]
    LockLost {
        /// Which lock.
        lock: String,
    },
}

impl Error {
    /// Whether the same thing may succeed when it is tried again later: the server is away or starting, a connection
    /// broke, or two transactions got into each other's way.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Connect { source, .. } => is_transient(source),
            Self::Statement(error) => is_transient(error),
            Self::LockLost { .. } => true,
            Self::Address { .. } | Self::Schema(_) | Self::Corrupt { .. } => false,
        }
    }

    /// Whether two transactions got into each other's way: what was rolled back may be begun anew at once.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        match self {
            Self::Statement(sqlx::Error::Database(error)) => {
                error.code().is_some_and(|code| code.starts_with("40"))
            }
            _ => false,
        }
    }

    /// The name of the constraint that a statement violated, if that is what happened.
    #[must_use]
    pub fn violated_constraint(&self) -> Option<&str> {
        match self {
            Self::Statement(sqlx::Error::Database(error)) => error.constraint(),
            _ => None,
        }
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        Self::Statement(error)
    }
}

fn is_transient(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => true,
        // What is left of a connection whose server went away in the middle of an answer.
        sqlx::Error::Protocol(_) => true,
        sqlx::Error::Database(error) => error.code().is_some_and(|code| is_transient_state(&code)),
        _ => false,
    }
}

/// SQLSTATE classes and codes (PostgreSQL manual, appendix A) after which the same statement may succeed.
fn is_transient_state(code: &str) -> bool {
    match code.get(..2) {
        // Connection exception; transaction rollback (serialisation, deadlock); insufficient resources (connections,
        // memory, disk); system error.
        Some("08" | "40" | "53" | "58") => true,
        // Operator intervention (shutdown, crash, starting up), but not a dropped database.
        Some("57") => code != "57P04",
        // A lock that was not available in time; an idle transaction or a standby conflict that was ended.
        _ => matches!(code, "55P03" | "25P03" | "25006"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restarting_server_and_a_deadlock_are_transient_and_a_broken_rule_is_not() {
        for code in
            ["08006", "40P01", "40001", "53300", "57P01", "57P03", "55P03", "53100", "58030"]
        {
            assert!(is_transient_state(code), "{code}");
        }
        for code in ["23505", "23514", "42P01", "42601", "28P01", "3D000", "57P04", ""] {
            assert!(!is_transient_state(code), "{code}");
        }
        assert!(is_transient(&sqlx::Error::PoolTimedOut));
        assert!(!is_transient(&sqlx::Error::RowNotFound));
    }
}
