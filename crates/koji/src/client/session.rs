//! Logging in, and what a session puts into each request.
//!
//! A session counts its calls. The hub refuses a number that it has stored before (fault 1009), which is what keeps a
//! repeated request from being executed twice; so a repetition carries the number of its first attempt.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

use super::http::{Failure, FailureKind, Http, Proof, Request};
use super::{Attempt, Outcome, read_answer};
use crate::config::{ClientConfig, Login, Secret};
use crate::xmlrpc::{MethodCall, encode_call, from_value};

/// A login is quick or does not come.
const LOGIN_TIMEOUT: Duration = Duration::from_secs(60);

/// A session that the hub knows.
pub(super) struct Session {
    id: i64,
    key: Secret,
    /// Whether the hub reads the session from headers (1.31 and newer), or from the address's query.
    in_headers: bool,
    next_call: i64,
}

/// What a login is answered with.
#[derive(Deserialize)]
struct LoginAnswer {
    #[serde(rename = "session-id")]
    id: i64,
    #[serde(rename = "session-key")]
    key: String,
    #[serde(rename = "header-auth", default)]
    header_auth: bool,
}

impl Session {
    /// The number for a new call.
    pub(super) fn number_call(&mut self) -> i64 {
        let number = self.next_call;
        self.next_call += 1;
        number
    }

    /// The address and headers of a request of this session.
    pub(super) fn request(&self, server: &str, number: i64) -> (String, Vec<String>) {
        let (id, key) = (self.id, self.key.reveal());
        if self.in_headers {
            let headers = vec![
                format!("Koji-Session-Id: {id}"),
                format!("Koji-Session-Key: {key}"),
                format!("Koji-Session-Callnum: {number}"),
                // Hubs from 1.31 to 1.34 look for the number under this name.
                format!("Koji-Callnum: {number}"),
            ];
            (server.to_owned(), headers)
        } else {
            let key = percent_encoded(key);
            (format!("{server}?session-id={id}&session-key={key}&callnum={number}"), Vec::new())
        }
    }
}

/// The call that logs in, where it is sent, and what proves us.
fn login_call(config: &ClientConfig) -> Option<(MethodCall, String, Proof)> {
    let server = config.server.as_str();
    match &config.login {
        Login::Anonymous => None,
        Login::Password { user, password } => {
            let params = vec![user.as_str().into(), password.reveal().into()];
            Some((MethodCall::new("login", params), server.to_owned(), Proof::None))
        }
        Login::Certificate { cert } => Some((
            MethodCall::new("sslLogin", Vec::new()),
            format!("{server}/ssllogin"),
            Proof::Certificate(cert.clone()),
        )),
        Login::Gssapi { .. } => Some((
            MethodCall::new("sslLogin", Vec::new()),
            format!("{server}/ssllogin"),
            Proof::Negotiate,
        )),
    }
}

/// What keeps a login from being tried at all: a file that is missing, an environment that is not set.
fn obstacle(login: &Login) -> Option<String> {
    match login {
        Login::Certificate { cert } => std::fs::metadata(cert).err().map(|error| {
            format!("the client certificate {} cannot be read: {error}", cert.display())
        }),
        Login::Gssapi { .. } => login
            .environment()
            .into_iter()
            .find(|(name, value)| std::env::var_os(name).is_none_or(|set| set != value.as_str()))
            .map(|(name, value)| {
                format!("for this Kerberos login the environment must have {name}={value}")
            }),
        Login::Anonymous | Login::Password { .. } => None,
    }
}

/// Logs in, once. A session made anew counts from 0 and knows nothing of the calls of an older one.
pub(super) async fn log_in(http: &Http, config: &ClientConfig) -> Result<Session, Attempt> {
    let Some((call, url, proof)) = login_call(config) else {
        return Err(Attempt::Setup("no login is configured".to_owned()));
    };
    if let Some(obstacle) = obstacle(&config.login) {
        return Err(Attempt::Setup(obstacle));
    }
    let request = Request {
        url,
        headers: Vec::new(),
        body: Arc::new(encode_call(&call)),
        proof,
        timeout: LOGIN_TIMEOUT.min(config.session.timeout),
        // Neither the certificate nor Kerberos should linger on a connection that other calls use.
        fresh_connection: true,
    };
    match http.exchange(request).await {
        Ok(answer) if matches!(answer.status, 401 | 403) => {
            Err(Attempt::Setup(refusal(&config.login, answer.status)))
        }
        exchanged => match read_answer(exchanged) {
            Outcome::Value(value) => match from_value::<LoginAnswer>(value) {
                Ok(answer) => Ok(Session {
                    id: answer.id,
                    key: Secret::new(answer.key),
                    in_headers: answer.header_auth,
                    next_call: 0,
                }),
                Err(problem) => Err(Attempt::Unexpected(problem.to_string())),
            },
            Outcome::Fault(fault) => Err(Attempt::Fault(fault)),
            Outcome::Failed(failure) => Err(Attempt::Failed(explained(&config.login, failure))),
        },
    }
}

/// A failed login that a person has to look into says with what it was tried.
fn explained(login: &Login, failure: Failure) -> Failure {
    match login {
        Login::Certificate { cert } if failure.kind == FailureKind::Setup => {
            let reason = format!("{} (logging in with {})", failure.reason, cert.display());
            Failure { reason, ..failure }
        }
        _ => failure,
    }
}

fn refusal(login: &Login, status: u32) -> String {
    match login {
        Login::Certificate { cert } => {
            format!(
                "the hub's web server does not accept the certificate {} (HTTP {status})",
                cert.display()
            )
        }
        Login::Gssapi { .. } => {
            format!(
                "the hub's web server does not accept our Kerberos ticket, or there is none (HTTP {status})"
            )
        }
        _ => format!("the hub's web server refuses the login (HTTP {status})"),
    }
}

fn percent_encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        })
        .collect()
}
