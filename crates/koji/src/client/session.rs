//! Logging in, and what a session puts into each request.
//!
//! A session counts its calls. The hub refuses a number that it has stored before (fault 1009), which is what keeps a
//! repeated request from being executed twice; so a repetition carries the number of its first attempt.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

use super::http::{Failure, FailureKind, Http, Proof, Request};
use super::kerberos::{Credentials, NoToken};
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

/// What a client logs in with.
#[derive(Debug)]
pub(super) struct Identity {
    kerberos: Option<Arc<Credentials>>,
}

impl Identity {
    pub(super) fn new(login: &Login) -> Identity {
        let kerberos = match login {
            Login::Gssapi { principal, keytab, ccache } => {
                Some(Credentials::new(principal.as_deref(), keytab.as_ref(), ccache.as_deref()))
            }
            _ => None,
        };
        Identity { kerberos: kerberos.map(Arc::new) }
    }
}

/// The call that logs in, where it is sent, and what proves us.
async fn login_call(
    config: &ClientConfig,
    identity: &Identity,
) -> Result<(MethodCall, String, Proof), Attempt> {
    let server = config.server.as_str();
    let with_proof =
        |proof| (MethodCall::new("sslLogin", Vec::new()), format!("{server}/ssllogin"), proof);
    match &config.login {
        Login::Anonymous => Err(Attempt::Setup("no login is configured".to_owned())),
        Login::Password { user, password } => {
            let params = vec![user.as_str().into(), password.reveal().into()];
            Ok((MethodCall::new("login", params), server.to_owned(), Proof::None))
        }
        Login::Certificate { cert } => match std::fs::metadata(cert) {
            Ok(_) => Ok(with_proof(Proof::Certificate(cert.clone()))),
            Err(error) => Err(Attempt::Setup(format!(
                "the client certificate {} cannot be read: {error}",
                cert.display()
            ))),
        },
        Login::Gssapi { .. } => {
            let authorization = kerberos_authorization(server, identity).await?;
            Ok(with_proof(Proof::Authorization(authorization)))
        }
    }
}

/// Asks Kerberos for a token for the hub's web server; on a thread of its own, because that may wait.
async fn kerberos_authorization(server: &str, identity: &Identity) -> Result<Secret, Attempt> {
    let (Some(credentials), Some(host)) = (&identity.kerberos, host_of(server)) else {
        return Err(Attempt::Setup("the hub's address names no host".to_owned()));
    };
    let (credentials, host) = (Arc::clone(credentials), host.to_owned());
    let asked = tokio::task::spawn_blocking(move || credentials.authorization(&host)).await;
    match asked {
        Ok(Ok(value)) => Ok(Secret::new(value)),
        Ok(Err(NoToken { reason, is_transient: true })) => {
            Err(Attempt::Failed(Failure { reason, kind: FailureKind::NotSent }))
        }
        Ok(Err(NoToken { reason, .. })) => Err(Attempt::Setup(reason)),
        Err(error) => Err(Attempt::Failed(Failure {
            reason: format!("asking Kerberos was stopped: {error}"),
            kind: FailureKind::NotSent,
        })),
    }
}

/// The host in an address.
fn host_of(address: &str) -> Option<&str> {
    let (_, rest) = address.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let host = authority.rsplit('@').next()?;
    let host = match host.strip_prefix('[') {
        Some(literal) => literal.split(']').next()?,
        None => host.split(':').next()?,
    };
    (!host.is_empty()).then_some(host)
}

/// Logs in, once. A session made anew counts from 0 and knows nothing of the calls of an older one.
pub(super) async fn log_in(
    http: &Http,
    config: &ClientConfig,
    identity: &Identity,
) -> Result<Session, Attempt> {
    let (call, url, proof) = login_call(config, identity).await?;
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
            format!("the hub's web server does not accept our Kerberos ticket (HTTP {status})")
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

#[cfg(test)]
mod tests {
    use super::host_of;

    #[test]
    fn the_host_of_an_address_is_what_kerberos_is_asked_about() {
        for (address, host) in [
            ("https://koji.example.org/kojihub", Some("koji.example.org")),
            ("https://koji.example.org:8443/kojihub", Some("koji.example.org")),
            ("https://me:word@koji.example.org", Some("koji.example.org")),
            ("https://[::1]:8443/kojihub", Some("::1")),
            ("koji.example.org", None),
            ("https:///kojihub", None),
        ] {
            assert_eq!(host_of(address), host, "{address}");
        }
    }
}
