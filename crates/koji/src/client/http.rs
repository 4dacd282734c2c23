//! One HTTP exchange, by libcurl, because it does what the stock Apache layout of a hub needs (TLS 1.3 post-handshake
//! authentication, TLS 1.2 renegotiation). Transfers block, so they run on threads of their own; a transfer
//! whose caller has gone is cut off.
//!
//! What an exchange that fails says about the request decides everything above: was it surely not executed, or may it
//! have been?

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use curl::easy::{Easy2, Handler, HttpVersion, List, WriteError};

use crate::config::{ClientConfig, Secret};
use crate::xmlrpc::Limits;

/// A connection takes this long at most; only the answer may take longer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(60);

/// How a request proves who sends it, below HTTP's own headers.
#[derive(Clone, Debug)]
pub(super) enum Proof {
    /// Not at all.
    None,
    /// By a client certificate: PEM file with its key.
    Certificate(PathBuf),
    /// By the header `Authorization`.
    Authorization(Secret),
}

/// What is sent.
pub(super) struct Request {
    pub(super) url: String,
    /// Whole header lines.
    pub(super) headers: Vec<String>,
    pub(super) body: Arc<Vec<u8>>,
    pub(super) proof: Proof,
    pub(super) timeout: Duration,
    /// Whether to send it on a connection of its own. libcurl silently sends a request again when a connection that it
    /// kept turns out to be closed; for a call that must not be executed twice we have to know of every attempt.
    pub(super) fresh_connection: bool,
}

/// What came back, with any status.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u32,
    pub(super) content_type: String,
    pub(super) body: Vec<u8>,
}

/// Why nothing came back.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) reason: String,
    pub(super) kind: FailureKind,
}

/// What a failed exchange says about the request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum FailureKind {
    /// It cannot have been executed: there was no connection.
    NotSent,
    /// It may have been executed.
    MaybeSent,
    /// It may have been executed; and the connection was an old one, which servers close as they like.
    KeepAliveDropped,
    /// It may have been executed, and the hub gives no sign of life any more: another attempt would find the same.
    Silent,
    /// It cannot have been executed, and trying again is of no use until a person has changed something.
    Setup,
}

/// Connections to one hub. Each is used by one exchange at a time.
#[derive(Debug)]
pub(super) struct Http {
    server_ca: Option<PathBuf>,
    idle: Mutex<Vec<Easy2<Exchange>>>,
}

impl Http {
    pub(super) fn new(config: &ClientConfig) -> Http {
        Http { server_ca: config.server_ca.clone(), idle: Mutex::new(Vec::new()) }
    }

    /// Sends a request and waits for what comes back. When the future is dropped, the transfer is cut off within a second.
    pub(super) async fn exchange(&self, request: Request) -> Result<Answer, Failure> {
        let mut easy = self.take_idle().unwrap_or_else(|| Easy2::new(Exchange::default()));
        let gone = CallerGone(Arc::clone(&easy.get_ref().caller_gone));
        gone.0.store(false, Ordering::Relaxed);
        let server_ca = self.server_ca.clone();
        let transfer = tokio::task::spawn_blocking(move || {
            let result = transfer(&mut easy, &request, server_ca);
            (result, easy)
        });
        let joined = transfer.await;
        drop(gone);
        match joined {
            Ok((result, easy)) => {
                self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(easy);
                result
            }
            Err(error) => Err(Failure {
                reason: format!("the transfer was stopped: {error}"),
                kind: FailureKind::MaybeSent,
            }),
        }
    }

    fn take_idle(&self) -> Option<Easy2<Exchange>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }
}

/// Tells a transfer, when dropped, that nobody waits for it any more.
struct CallerGone(Arc<AtomicBool>);

impl Drop for CallerGone {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// What libcurl calls back into: it collects the body.
#[derive(Default, Debug)]
struct Exchange {
    body: Vec<u8>,
    too_long: bool,
    caller_gone: Arc<AtomicBool>,
}

impl Handler for Exchange {
    fn write(&mut self, data: &[u8]) -> Result<usize, WriteError> {
        if self.body.len() + data.len() > Limits::RESPONSE.bytes {
            self.too_long = true;
            return Ok(0);
        }
        self.body.extend_from_slice(data);
        Ok(data.len())
    }

    /// Called about once a second, also while nothing arrives.
    fn progress(&mut self, _: f64, _: f64, _: f64, _: f64) -> bool {
        !self.caller_gone.load(Ordering::Relaxed)
    }
}

fn transfer(
    easy: &mut Easy2<Exchange>,
    request: &Request,
    server_ca: Option<PathBuf>,
) -> Result<Answer, Failure> {
    let exchange = easy.get_mut();
    exchange.body = Vec::new();
    exchange.too_long = false;
    // Options go back to their defaults; connections stay.
    easy.reset();
    prepare(easy, request, server_ca).map_err(|error| Failure {
        reason: format!("libcurl does not take an option: {error}"),
        kind: FailureKind::Setup,
    })?;
    let performed = easy.perform();
    let body = std::mem::take(&mut easy.get_mut().body);
    match performed {
        Ok(()) => Ok(Answer {
            status: easy.response_code().unwrap_or(0),
            content_type: easy.content_type().ok().flatten().unwrap_or_default().to_owned(),
            body,
        }),
        Err(error) => Err(failure(easy, &error)),
    }
}

fn prepare(
    easy: &mut Easy2<Exchange>,
    request: &Request,
    server_ca: Option<PathBuf>,
) -> Result<(), curl::Error> {
    easy.url(&request.url)?;
    easy.signal(false)?;
    easy.progress(true)?;
    // Post-handshake authentication exists in HTTP/1.1 only.
    easy.http_version(HttpVersion::V11)?;
    easy.useragent(concat!("koschei/", env!("CARGO_PKG_VERSION")))?;
    easy.connect_timeout(CONNECT_TIMEOUT.min(request.timeout.max(Duration::from_secs(1))))?;
    // Less than one byte a second over the whole timeout: nothing comes any more.
    easy.low_speed_limit(1)?;
    easy.low_speed_time(request.timeout.max(Duration::from_secs(1)))?;
    // A peer that vanished without a word is noticed as well.
    easy.tcp_keepalive(true)?;
    easy.fresh_connect(request.fresh_connection)?;

    let mut headers = List::new();
    headers.append("Content-Type: text/xml")?;
    // Large bodies would otherwise wait for "100 Continue", which the usual hub never sends.
    headers.append("Expect:")?;
    for header in &request.headers {
        headers.append(header)?;
    }
    if let Proof::Authorization(value) = &request.proof {
        headers.append(&format!("Authorization: {}", value.reveal()))?;
    }
    easy.http_headers(headers)?;
    easy.post(true)?;
    easy.post_field_size(request.body.len() as u64)?;
    easy.post_fields_copy(&request.body)?;

    if let Some(authorities) = server_ca {
        easy.cainfo(authorities)?;
    }
    if let Proof::Certificate(file) = &request.proof {
        easy.ssl_cert(file)?;
        easy.ssl_key(file)?;
    }
    Ok(())
}

fn failure(easy: &Easy2<Exchange>, error: &curl::Error) -> Failure {
    let text = error.extra_description().unwrap_or(error.description()).to_owned();
    if easy.get_ref().too_long {
        let reason = format!("the answer is longer than {} bytes", Limits::RESPONSE.bytes);
        return Failure { reason, kind: FailureKind::MaybeSent };
    }
    let certificate = error.is_ssl_certproblem()
        || error.is_peer_failed_verification()
        || error.is_ssl_cacert()
        || error.is_ssl_cacert_badfile()
        || error.is_ssl_issuer_error()
        || is_alert_about_certificate(&text);
    let setup =
        error.is_unsupported_protocol() || error.is_url_malformed() || error.is_failed_init();
    // Zero as long as the request was not about to be sent.
    let sending = easy.pretransfer_time().is_ok_and(|time| !time.is_zero());
    let reused = easy.num_connects().is_ok_and(|connections| connections == 0);
    let kind = if certificate || setup {
        FailureKind::Setup
    } else if !sending {
        FailureKind::NotSent
    } else if reused && is_connection_lost(error) {
        FailureKind::KeepAliveDropped
    } else {
        FailureKind::MaybeSent
    };
    Failure { reason: text, kind }
}

/// Whether the server refused our certificate, or the lack of one. It may do so long after the handshake, when libcurl has
/// no code for it but that nothing more can be read; OpenSSL's words are all there is.
fn is_alert_about_certificate(text: &str) -> bool {
    text.contains("alert") && (text.contains("certificate") || text.contains("unknown ca"))
}

fn is_connection_lost(error: &curl::Error) -> bool {
    error.is_got_nothing()
        || error.is_recv_error()
        || error.is_send_error()
        || error.is_partial_file()
}
