//! What a client needs to know: where the hub is, how to log in, how patient to be.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// A password or key. It is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Keeps a text from being shown.
    pub fn new(text: impl Into<String>) -> Secret {
        Secret(text.into())
    }

    /// The text itself, for the one place that sends it.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

/// How to log in.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Login {
    /// Not at all: only calls that anybody may make.
    #[default]
    Anonymous,
    /// By user name and password.
    Password {
        /// The user's name.
        user: String,
        /// The password.
        password: Secret,
    },
    /// By a client certificate.
    Certificate {
        /// PEM file with the certificate and its key.
        cert: PathBuf,
    },
    /// By GSSAPI (Kerberos). What is not said is as the Kerberos library has it by default.
    Gssapi {
        /// The principal; none takes the first of the keytab or that of the credential cache.
        principal: Option<String>,
        /// The keytab that tickets are got with; none uses tickets that somebody else gets.
        keytab: Option<PathBuf>,
        /// The credential cache, as Kerberos names it (`FILE:/path`, a plain path, `KEYRING:...`). Tickets from a keytab
        /// stay in the memory of the process if none is named.
        ccache: Option<String>,
    },
}

/// How patient a client is. The defaults suit a service that has to outlive every outage.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SessionOptions {
    /// After so long without a byte an attempt is given up.
    pub timeout: Duration,
    /// How often a call is repeated when the hub cannot be reached.
    pub max_retries: u32,
    /// The pause between attempts; the first repetition comes at once.
    pub retry_interval: Duration,
    /// Whether calls of anonymous sessions are repeated as well.
    pub anon_retry: bool,
    /// Whether to wait, without limit, for a hub that says that it is offline.
    pub offline_retry: bool,
    /// The pause while it is offline.
    pub offline_retry_interval: Duration,
    /// After so long a call is not repeated any more, however often it may be: a hub that takes calls and never answers
    /// them costs `timeout` for each attempt. None sets no limit.
    pub give_up_after: Option<Duration>,
    /// A call that has not been answered for so long is waited for only as long as the hub gives signs of life: it is asked
    /// for one, again and again, and has the same time to answer that. A hub may need long for a long list; one that takes
    /// calls and answers none is not worth `timeout`. None never asks.
    pub sign_of_life_after: Option<Duration>,
}

impl Default for SessionOptions {
    fn default() -> SessionOptions {
        SessionOptions {
            timeout: Duration::from_secs(3600),
            max_retries: 1000,
            retry_interval: Duration::from_secs(20),
            anon_retry: true,
            offline_retry: true,
            offline_retry_interval: Duration::from_secs(120),
            give_up_after: None,
            sign_of_life_after: None,
        }
    }
}

/// Everything about one hub.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ClientConfig {
    /// The hub's address, such as `https://koji.example.org/kojihub`.
    pub server: String,
    /// Where its files are.
    pub topurl: String,
    /// Where people look at it.
    pub weburl: String,
    /// How to log in.
    pub login: Login,
    /// PEM file with the authorities that vouch for the hub; none takes the system's.
    pub server_ca: Option<PathBuf>,
    /// How patient to be.
    pub session: SessionOptions,
    /// How many calls at most go into one multicall.
    pub multicall_chunk_size: usize,
    /// How many anonymous requests at most are under way at once.
    pub parallel_requests: usize,
}

impl ClientConfig {
    /// A hub at this address, without login, with everything else as usual.
    pub fn anonymous(server: impl Into<String>) -> ClientConfig {
        ClientConfig {
            server: server.into(),
            topurl: String::new(),
            weburl: String::new(),
            login: Login::Anonymous,
            server_ca: None,
            session: SessionOptions::default(),
            multicall_chunk_size: 100,
            parallel_requests: 4,
        }
    }
}
