//! The client: sends calls to a hub, through outages, and gives their typed results.
//!
//! Calls that only read are anonymous and go several at a time. Calls that need a login go one after the other through
//! one session, because its call numbers must grow. When an attempt is repeated, and when it must not be, stands here in
//! one place: [`Client::send`].

mod http;
mod kerberos;
mod multicall;
mod session;

use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Mutex, Semaphore};
use tokio::time::{sleep, timeout};
use tracing::{info, warn};

use self::http::{Answer, Failure, FailureKind, Http, Proof, Request};
pub use self::multicall::Multicall;
use self::session::{Identity, Session};
use crate::calls::{self, Access, Call};
use crate::config::{ClientConfig, Login};
use crate::error::{Error, FaultKind};
use crate::xmlrpc::{Fault, Limits, MethodCall, Value, decode_response, encode_call};

/// A session lost so often in a row within one call is not lost by chance.
const MAX_LOGINS_PER_CALL: u32 = 3;

/// While a hub cannot be reached, every so many attempts are worth a line in the log.
const ATTEMPTS_PER_WARNING: u32 = 15;

/// When waiting for a sign of life took so much longer than it may, it was us who stood still, and it says nothing about the
/// hub.
const STOOD_STILL: Duration = Duration::from_secs(1);

/// A client of one hub. Clones share its connections and its session.
#[derive(Clone, Debug)]
pub struct Client {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    config: ClientConfig,
    /// The address as messages show it.
    hub: String,
    http: Http,
    identity: Identity,
    anonymous: Semaphore,
    session: Mutex<Option<Session>>,
    /// When a call was last given up because the hub gave no sign of life.
    silence: std::sync::Mutex<Option<Instant>>,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Session")
    }
}

/// How one attempt ended, when not with an answer that is a value.
enum Attempt {
    Fault(Fault),
    Failed(Failure),
    Setup(String),
    Unexpected(String),
}

/// What one exchange brought.
enum Outcome {
    Value(Value),
    Fault(Fault),
    Failed(Failure),
}

impl Client {
    /// A client of this hub. Nothing is sent yet; it logs in when the first call needs it.
    pub fn new(config: ClientConfig) -> Client {
        let inner = Inner {
            hub: without_credentials(&config.server),
            http: Http::new(&config),
            identity: Identity::new(&config.login),
            anonymous: Semaphore::new(config.parallel_requests.max(1)),
            session: Mutex::new(None),
            silence: std::sync::Mutex::new(None),
            config,
        };
        Client { inner: Arc::new(inner) }
    }

    /// What it was made with.
    pub fn config(&self) -> &ClientConfig {
        &self.inner.config
    }

    /// When a call was last given up because the hub gave no sign of life
    /// ([`SessionOptions::sign_of_life_after`](crate::SessionOptions::sign_of_life_after)).
    pub fn last_silence(&self) -> Option<Instant> {
        *self.inner.silence.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a call and waits for its result, through outages as the session options say. The future may be dropped at
    /// any time: it stops waiting, and an attempt under way is cut off (the hub may execute it nevertheless).
    pub async fn call<T>(&self, call: Call<T>) -> Result<T, Error> {
        let value = self.send(&call.method, call.access).await?;
        (call.decode)(value).map_err(|problem| self.unexpected(&call.method, problem))
    }

    /// Sends many calls, `multicall_chunk_size` of them in one request. Results come chunk by chunk.
    pub fn multicall<T>(&self, calls: impl IntoIterator<Item = Call<T>>) -> Multicall<T> {
        Multicall::new(self.clone(), calls.into_iter().collect())
    }

    /// Ends the session, if there is one, without trying hard.
    pub async fn log_out(&self) {
        let Some(mut session) = self.inner.session.lock().await.take() else { return };
        let number = session.number_call();
        let call = encode_call(&MethodCall::new("logout", Vec::new()));
        let request = self.request(Some((&session, number)), Arc::new(call), Access::Session);
        if let Outcome::Failed(failure) = read_answer(self.inner.http.exchange(request).await) {
            info!(hub = self.inner.hub, "could not log out: {}", failure.reason);
        }
    }

    /// Sends a call until it is answered, or must not or need not be repeated.
    pub(crate) async fn send(&self, call: &MethodCall, access: Access) -> Result<Value, Error> {
        let inner = &*self.inner;
        if access == Access::Read || inner.config.login == Login::Anonymous {
            // The semaphore is never closed.
            let _permit = inner.anonymous.acquire().await;
            self.persist(call, access, None).await
        } else {
            // Held to the end: calls of a session are one after the other.
            let mut session = inner.session.lock().await;
            self.persist(call, access, Some(&mut session)).await
        }
    }

    async fn persist(
        &self,
        call: &MethodCall,
        access: Access,
        mut session: Option<&mut Option<Session>>,
    ) -> Result<Value, Error> {
        let options = &self.inner.config.session;
        let body = Arc::new(encode_call(call));
        // The number that the hub tells repetitions from new calls by; it belongs to one session.
        let mut number = None;
        // What happened to the last attempt that the hub may have executed.
        let mut uncertain: Option<String> = None;
        let mut tries = 0;
        let mut logins = 0;
        let mut keep_alive_dropped = false;
        let begun = Instant::now();
        loop {
            let attempt =
                match self.attempt(&body, access, session.as_deref_mut(), &mut number).await {
                    Ok(value) => {
                        if tries > 0 {
                            info!(
                                hub = self.inner.hub,
                                call = call.method,
                                "answered after {tries} failed attempts"
                            );
                        }
                        return Ok(value);
                    }
                    Err(attempt) => attempt,
                };
            match attempt {
                Attempt::Setup(reason) => return Err(self.setup(call, reason)),
                Attempt::Unexpected(problem) => return Err(self.unexpected(call, problem)),
                Attempt::Fault(fault) => match FaultKind::of(fault.code) {
                    FaultKind::ServerOffline if options.offline_retry => {
                        // Nothing was executed, and the hub knows what it is doing: wait without limit.
                        warn!(
                            hub = self.inner.hub,
                            call = call.method,
                            "the hub is offline: {}",
                            fault.text
                        );
                        sleep(options.offline_retry_interval).await;
                        tries = 0;
                    }
                    FaultKind::AuthError | FaultKind::AuthExpired | FaultKind::SequenceError
                        if number.is_some() =>
                    {
                        // The session is of no use any more. This attempt was not executed, but an earlier one may have
                        // been, and a new session cannot tell.
                        number = None;
                        if let Some(session) = session.as_deref_mut() {
                            *session = None;
                        }
                        if let (Access::Once, Some(reason)) = (access, uncertain) {
                            return Err(self.unconfirmed(call, reason));
                        }
                        uncertain = None;
                        logins += 1;
                        if logins > MAX_LOGINS_PER_CALL {
                            return Err(Error::of_fault(&self.inner.hub, &call.method, fault));
                        }
                        info!(
                            hub = self.inner.hub,
                            call = call.method,
                            "session lost, logging in anew: {}",
                            fault.text
                        );
                    }
                    FaultKind::AuthError | FaultKind::GSSAPIAuthError
                        if session.as_deref().is_some_and(Option::is_none) =>
                    {
                        return Err(self.setup(call, format!("login refused: {}", fault.text)));
                    }
                    // Raised before the hub looks at the call's number, so it tells nothing of an earlier attempt.
                    FaultKind::ServerOffline | FaultKind::UnexpectedException
                        if access == Access::Once && uncertain.is_some() =>
                    {
                        return Err(self.unconfirmed(call, uncertain.unwrap_or(fault.text)));
                    }
                    _ => return Err(Error::of_fault(&self.inner.hub, &call.method, fault)),
                },
                Attempt::Failed(failure) => {
                    let silent = failure.kind == FailureKind::Silent;
                    match failure.kind {
                        FailureKind::Setup => return Err(self.setup(call, failure.reason)),
                        FailureKind::NotSent => {}
                        FailureKind::MaybeSent | FailureKind::Silent => {
                            uncertain = Some(failure.reason.clone());
                        }
                        FailureKind::KeepAliveDropped => {
                            uncertain = Some(failure.reason.clone());
                            if !std::mem::replace(&mut keep_alive_dropped, true) {
                                continue;
                            }
                        }
                    }
                    tries += 1;
                    let may_retry = session.is_some() || options.anon_retry;
                    let patient = options.give_up_after.is_none_or(|limit| begun.elapsed() < limit);
                    if !may_retry || !patient || silent || tries > options.max_retries {
                        return Err(match (access, uncertain) {
                            (Access::Once, Some(reason)) => self.unconfirmed(call, reason),
                            _ => self.unreachable(call, failure.reason, tries),
                        });
                    }
                    if tries % ATTEMPTS_PER_WARNING == 1 {
                        warn!(
                            hub = self.inner.hub,
                            call = call.method,
                            tries,
                            "will try again: {}",
                            failure.reason
                        );
                    }
                    // The first repetition comes at once.
                    if tries > 1 {
                        sleep(options.retry_interval).await;
                    }
                }
            }
        }
    }

    /// One attempt, after a login if there is no session yet.
    async fn attempt(
        &self,
        body: &Arc<Vec<u8>>,
        access: Access,
        session: Option<&mut Option<Session>>,
        number: &mut Option<i64>,
    ) -> Result<Value, Attempt> {
        let inner = &*self.inner;
        let request = match session {
            None => self.request(None, Arc::clone(body), access),
            Some(session) => {
                let session = match session {
                    Some(session) => session,
                    None => session.insert(
                        session::log_in(&inner.http, &inner.config, &inner.identity).await?,
                    ),
                };
                let number = *number.get_or_insert_with(|| session.number_call());
                self.request(Some((session, number)), Arc::clone(body), access)
            }
        };
        match read_answer(self.exchange(request).await) {
            Outcome::Value(value) => Ok(value),
            Outcome::Fault(fault) => Err(Attempt::Fault(fault)),
            Outcome::Failed(failure) => Err(Attempt::Failed(failure)),
        }
    }

    /// One exchange, which is waited for as long as the hub is alive.
    async fn exchange(&self, request: Request) -> Result<Answer, Failure> {
        let exchange = self.inner.http.exchange(request);
        let Some(patience) = self.inner.config.session.sign_of_life_after else {
            return exchange.await;
        };
        tokio::select! {
            biased;
            exchanged = exchange => exchanged,
            () = self.until_silent(patience) => {
                *self.inner.silence.lock().unwrap_or_else(PoisonError::into_inner) =
                    Some(Instant::now());
                let seconds = 2 * patience.as_secs();
                let reason = format!("the hub has answered nothing for {seconds} seconds");
                Err(Failure { reason, kind: FailureKind::Silent })
            }
        }
    }

    /// Asks the hub for a sign of life after every such time, until it has as much time again and gives none.
    async fn until_silent(&self, patience: Duration) {
        let question = Arc::new(encode_call(&calls::get_logged_in_user().method));
        loop {
            sleep(patience).await;
            let request = Request {
                url: self.inner.config.server.clone(),
                headers: Vec::new(),
                body: Arc::clone(&question),
                proof: Proof::None,
                timeout: 2 * patience,
                fresh_connection: true,
            };
            let begun = Instant::now();
            // Whatever it says, it is there; and that it takes no connection the call itself will hear of.
            let sign = timeout(patience, self.inner.http.exchange(request)).await;
            if sign.is_err() && begun.elapsed() < patience + STOOD_STILL {
                return;
            }
        }
    }

    fn request(
        &self,
        session: Option<(&Session, i64)>,
        body: Arc<Vec<u8>>,
        access: Access,
    ) -> Request {
        let config = &self.inner.config;
        let (url, headers) = match session {
            Some((session, number)) => session.request(&config.server, number),
            None => (config.server.clone(), Vec::new()),
        };
        Request {
            url,
            headers,
            body,
            proof: Proof::None,
            timeout: config.session.timeout,
            fresh_connection: access == Access::Once,
        }
    }

    pub(crate) fn unexpected(&self, call: &MethodCall, problem: impl ToString) -> Error {
        let (hub, call) = self.names(call);
        Error::Unexpected { hub, call, problem: problem.to_string() }
    }

    fn setup(&self, call: &MethodCall, reason: String) -> Error {
        let (hub, call) = self.names(call);
        Error::Setup { hub, call, reason }
    }

    fn unconfirmed(&self, call: &MethodCall, reason: String) -> Error {
        let (hub, call) = self.names(call);
        Error::Unconfirmed { hub, call, reason }
    }

    fn unreachable(&self, call: &MethodCall, reason: String, tries: u32) -> Error {
        let (hub, call) = self.names(call);
        Error::Unreachable { hub, call, reason, tries }
    }

    fn names(&self, call: &MethodCall) -> (String, String) {
        (self.inner.hub.clone(), call.method.clone())
    }
}

/// Reads what an exchange brought. Whatever is not XML-RPC under status 200 comes from something between us and the hub,
/// or was cut off.
fn read_answer(exchanged: Result<Answer, Failure>) -> Outcome {
    let answer = match exchanged {
        Ok(answer) => answer,
        Err(failure) => return Outcome::Failed(failure),
    };
    if answer.status != 200 {
        let mut reason = status_line(&answer);
        let kind = match answer.status {
            300..=399 => {
                reason.push_str(": the hub has moved; set its new address");
                FailureKind::Setup
            }
            // Given before anything is executed; others may come from a proxy after that.
            400..=499 => FailureKind::NotSent,
            _ => FailureKind::MaybeSent,
        };
        return Outcome::Failed(Failure { reason, kind });
    }
    match decode_response(&answer.body, Limits::RESPONSE) {
        Ok(Ok(value)) => Outcome::Value(value),
        Ok(Err(fault)) => Outcome::Fault(fault),
        Err(problem) => {
            let kind = answer.content_type.split(';').next().unwrap_or_default().trim();
            let kind = if kind.is_empty() { "no content type" } else { kind };
            let reason = format!("the answer ({kind}) is not XML-RPC: {problem}");
            Outcome::Failed(Failure { reason, kind: FailureKind::MaybeSent })
        }
    }
}

/// An HTTP status that is not 200, with the hub's own words if it gives any.
fn status_line(answer: &Answer) -> String {
    let mut line = format!("HTTP status {}", answer.status);
    if answer.content_type.starts_with("text/plain") {
        let text = String::from_utf8_lossy(&answer.body);
        let text: String = text.lines().next().unwrap_or_default().chars().take(200).collect();
        if !text.trim().is_empty() {
            line = format!("{line}: {}", text.trim());
        }
    }
    line
}

/// The address without what may stand before an `@` in it.
fn without_credentials(address: &str) -> String {
    match (address.find("://"), address.find('@')) {
        (Some(scheme), Some(at)) if !address[scheme + 3..at].contains('/') => {
            format!("{}{}", &address[..scheme + 3], &address[at + 1..])
        }
        _ => address.to_owned(),
    }
}
