//! What can go wrong between us and a hub, as a closed set, and whether trying again helps.
//!
//! The text of an error names the hub, the call and the fault. Parameters, keys and passwords never appear in it.

use thiserror::Error;

use crate::xmlrpc::Fault;

/// Why a call has no result.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum Error {
    /// The hub refused the call.
    #[error("{hub}: {call}: {kind} ({code}): {}", summary(text))]
    Fault {
        /// The hub's address.
        hub: String,
        /// The method.
        call: String,
        /// The fault's class.
        kind: FaultKind,
        /// Its number.
        code: i64,
        /// What the hub says.
        text: String,
    },

    /// The hub says that it executed this very call before (fault 1009): an earlier attempt took effect, and only its
    /// answer was lost. What it did must be looked up (a build: `listTasks`), never asked for again.
    #[error(
        "{hub}: {call}: an earlier attempt took effect but its answer was lost; look up what it did"
    )]
    TookEffect {
        /// The hub's address.
        hub: String,
        /// The method.
        call: String,
    },

    /// It is not known whether the call took effect, and repeating it could do it twice. What there is must be looked up
    /// (a build: `listTasks`) before it is asked for again.
    #[error(
        "{hub}: {call}: no answer, so it is unknown whether it took effect: {reason}; look it up before asking again"
    )]
    Unconfirmed {
        /// The hub's address.
        hub: String,
        /// The method.
        call: String,
        /// What happened to the last attempt.
        reason: String,
    },

    /// The hub could not be reached, did not answer in time, or something between us and it answered instead.
    #[error("{hub}: {call}: {reason}{}", tried(*tries))]
    Unreachable {
        /// The hub's address.
        hub: String,
        /// The method.
        call: String,
        /// What happened to the last attempt.
        reason: String,
        /// How often it was tried.
        tries: u32,
    },

    /// Something that only a person can put right: a certificate that does not fit, a file that is not there, a login that
    /// is refused.
    #[error("{hub}: {call}: {reason}")]
    Setup {
        /// The hub's address.
        hub: String,
        /// The method.
        call: String,
        /// What is wrong, and with what.
        reason: String,
    },

    /// The hub answered with something of another shape than this program knows.
    #[error("{hub}: {call}: unexpected answer: {problem}")]
    Unexpected {
        /// The hub's address.
        hub: String,
        /// The method.
        call: String,
        /// What is unexpected, and where.
        problem: String,
    },
}

/// What a fault says, without the traceback that hubs and builders send of an exception that they did not expect: the
/// exception itself comes after it, not indented.
fn summary(text: &str) -> &str {
    let mut lines = text.trim().lines();
    match lines.next() {
        Some(first) if first.starts_with("Traceback (") => lines
            .find(|line| !line.is_empty() && !line.starts_with(char::is_whitespace))
            .unwrap_or(first),
        _ => text.trim(),
    }
}

fn tried(tries: u32) -> String {
    if tries > 1 { format!(" (tried {tries} times)") } else { String::new() }
}

impl Error {
    pub(crate) fn of_fault(hub: &str, call: &str, fault: Fault) -> Error {
        let (hub, call) = (hub.to_owned(), call.to_owned());
        match FaultKind::of(fault.code) {
            FaultKind::RetryError => Error::TookEffect { hub, call },
            kind => Error::Fault { hub, call, kind, code: fault.code, text: fault.text },
        }
    }

    /// The fault's class, if the hub refused the call.
    pub fn fault_kind(&self) -> Option<FaultKind> {
        match self {
            Error::Fault { kind, .. } => Some(*kind),
            Error::TookEffect { .. } => Some(FaultKind::RetryError),
            _ => None,
        }
    }

    /// Whether the same call may succeed later without anybody doing anything, and can be repeated without harm. It says
    /// nothing about what was asked for: a hub that is away is no verdict on a build.
    pub fn is_transient(&self) -> bool {
        match self {
            Error::Unreachable { .. } => true,
            Error::Fault { kind, .. } => kind.is_transient(),
            Error::TookEffect { .. }
            | Error::Unconfirmed { .. }
            | Error::Setup { .. }
            | Error::Unexpected { .. } => false,
        }
    }

    /// Whether the call took effect, or may have: what it did must be looked up before it is asked for again. An answer
    /// that cannot be read is an answer: the call was executed.
    pub fn may_have_taken_effect(&self) -> bool {
        matches!(
            self,
            Error::TookEffect { .. } | Error::Unconfirmed { .. } | Error::Unexpected { .. }
        )
    }
}

macro_rules! fault_kinds {
    ($($(#[$about:meta])* $kind:ident = $code:literal,)*) => {
        /// The classes of Koji's faults. All but the first derive from GenericError.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        pub enum FaultKind {
            $($(#[$about])* $kind,)*
            /// A number that this program does not know.
            Unlisted,
        }

        impl FaultKind {
            /// The class of a fault with this number.
            pub fn of(code: i64) -> FaultKind {
                match code {
                    $($code => FaultKind::$kind,)*
                    _ => FaultKind::Unlisted,
                }
            }
        }

        impl std::fmt::Display for FaultKind {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(match self {
                    $(FaultKind::$kind => stringify!($kind),)*
                    FaultKind::Unlisted => "unlisted fault",
                })
            }
        }
    };
}

fault_kinds! {
    /// An exception that the hub, or a builder, did not expect.
    UnexpectedException = 1,
    /// Anything that has no number of its own.
    GenericError = 1000,
    /// Something is locked.
    LockError = 1001,
    /// Not logged in, or not any more.
    AuthError = 1002,
    /// Something with a tag.
    TagError = 1003,
    /// Not allowed.
    ActionNotAllowed = 1004,
    /// A build failed.
    BuildError = 1005,
    /// Another session of the user is exclusive.
    AuthLockError = 1006,
    /// The session has expired.
    AuthExpired = 1007,
    /// The session's call numbers are out of order.
    SequenceError = 1008,
    /// This call of the session took effect before.
    RetryError = 1009,
    /// A build failed before it began.
    PreBuildError = 1010,
    /// A build failed after it was made.
    PostBuildError = 1011,
    /// A buildroot could not be made.
    BuildrootError = 1012,
    /// The call is no more.
    FunctionDeprecated = 1013,
    /// The hub is away for a while.
    ServerOffline = 1014,
    /// A live CD failed.
    LiveCDError = 1015,
    /// A plugin failed.
    PluginError = 1016,
    /// A plugin's callback failed.
    CallbackError = 1017,
    /// An appliance failed.
    ApplianceError = 1018,
    /// The parameters do not fit the call.
    ParameterError = 1019,
    /// An import failed.
    ImportError = 1020,
    /// The hub's configuration.
    ConfigurationError = 1021,
    /// A live medium failed.
    LiveMediaError = 1022,
    /// Kerberos.
    GSSAPIAuthError = 1023,
    /// A name is not allowed.
    NameValidationError = 1024,
}

impl FaultKind {
    /// Whether a call refused with this may succeed later by itself: the hub is away or locked, or the session is lost.
    /// An unexpected exception is not among them: it mostly comes from what was asked (an RPM named without architecture,
    /// for one), and one such call among many must not hold up the others. An outage of the hub's database is 1014.
    pub fn is_transient(self) -> bool {
        matches!(
            self,
            FaultKind::LockError
                | FaultKind::AuthError
                | FaultKind::AuthLockError
                | FaultKind::AuthExpired
                | FaultKind::SequenceError
                | FaultKind::ServerOffline
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_traceback_the_exception_is_shown() {
        let told =
            |text: &str| Error::of_fault("http://hub", "getTag", Fault::new(1, text)).to_string();
        let before = "http://hub: getTag: UnexpectedException (1)";
        let traceback = "Traceback (most recent call last):\n  File \"auth.py\", line 2, in f\n    \
                         insert.execute()\n    ^^^^^^\nUniqueViolation: duplicate key\nDETAIL:  x\n";
        assert_eq!(told(traceback), format!("{before}: UniqueViolation: duplicate key"));
        assert_eq!(told("<class 'X'>: msg"), format!("{before}: <class 'X'>: msg"));
        assert_eq!(
            told("Traceback (most recent call last):\n"),
            format!("{before}: Traceback (most recent call last):")
        );
    }
}
