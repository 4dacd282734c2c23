//! Logins and call numbers, by the rules of spec koji.md, "Sessions".

use serde_json::{Value, json};

use super::arguments::{Answer, Arguments, Fault, Signature};
use crate::engine::Engine;
use crate::rows::Session;

/// What a request says about who sends it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Credentials {
    pub(crate) session: Option<(i64, String)>,
    pub(crate) callnum: Option<i64>,
    /// The certificate's user, where the server in front checks certificates.
    pub(crate) certificate_user: Option<String>,
}

/// Methods that may be repeated with the number of the last committed call.
const REPEATABLE: [&str; 8] = [
    "host.taskWait",
    "host.taskUnwait",
    "host.taskSetWait",
    "host.updateHost",
    "host.setBuildRootState",
    "repoExpire",
    "repoDelete",
    "repoProblem",
];

/// A session lives this long without renewal: Koji's SessionRenewalTimeout.
const RENEWAL_SECONDS: f64 = 1_440.0 * 60.0;

fn invalid() -> Fault {
    Fault::new(1002, "Invalid session or bad credentials")
}

impl Engine {
    /// The session that a request belongs to, after all checks. `None`: it came without one.
    pub(super) fn find_session(
        &mut self,
        credentials: &Credentials,
        method: &str,
    ) -> Result<Option<Session>, Fault> {
        let Some((id, key)) = &credentials.session else { return Ok(None) };
        let session = self
            .store
            .sessions
            .get(*id)
            .filter(|session| !session.closed && session.key == *key)
            .cloned()
            .ok_or_else(invalid)?;
        let is_login = matches!(method, "login" | "sslLogin");
        let expired = session.expired || self.now - session.renewed_ts > RENEWAL_SECONDS;
        if expired && !is_login {
            return Err(Fault::new(1007, format!("session \"{id}\" has expired")));
        }
        if let (Some(callnum), Some(last)) = (credentials.callnum, session.callnum) {
            if last > callnum {
                return Err(Fault::new(1008, format!("{last} > {callnum} (session {id})")));
            }
            if last == callnum && !REPEATABLE.contains(&method) {
                let text =
                    format!("unable to retry call {callnum} (method {method}) for session {id}");
                return Err(Fault::new(1009, text));
            }
        }
        if self.store.users.get(session.user).is_none_or(|user| user.blocked) {
            let name = self.user_name(session.user);
            return Err(Fault::new(1002, format!("logins by {name} are not allowed")));
        }
        let locked = self.store.sessions.all().any(|other| {
            other.user == session.user && other.exclusive && !other.closed && other.id != session.id
        });
        if locked && !matches!(method, "exclusiveSession" | "login" | "sslLogin" | "logout") {
            return Err(Fault::new(1006, "User locked by another session"));
        }
        Ok(Some(session))
    }

    /// `login` and `sslLogin`: a new session, or a new key for an expired one.
    pub(super) fn log_in(
        &mut self,
        method: &str,
        params: Vec<Value>,
        session: Option<Session>,
        credentials: &Credentials,
    ) -> Answer {
        let signature = if method == "login" {
            Signature { python: "login", parameters: "user password opts? renew? exclusive?" }
        } else {
            Signature {
                python: "sslLogin",
                parameters: "proxyuser? proxyauthtype? renew? exclusive?",
            }
        };
        let arguments = Arguments::bind(signature, params)?;
        let renew = arguments.truth("renew");
        if let Some(session) = &session {
            let expired = session.expired || self.now - session.renewed_ts > RENEWAL_SECONDS;
            if !renew || !expired {
                return Err(Fault::new(1002, "Already logged in"));
            }
        }
        let (user, authtype) = if method == "login" {
            let (name, password) = (arguments.text("user")?, arguments.text("password")?);
            let user = self.store.users.find(|user| user.name == name).cloned();
            let user = user
                .filter(|user| user.password.as_deref() == Some(password))
                .ok_or_else(|| Fault::new(1002, "invalid username or password"))?;
            (user, 0)
        } else {
            let name = credentials
                .certificate_user
                .as_ref()
                .ok_or_else(|| Fault::new(1002, "could not verify client: None"))?;
            let user = self.store.users.find(|user| user.name == *name).cloned();
            (user.ok_or_else(|| Fault::new(1002, format!("invalid user {name}")))?, 2)
        };
        if user.blocked {
            return Err(Fault::new(1002, format!("logins by {} are not allowed", user.name)));
        }
        let key = format!("{}-{}", user.id, random_key());
        let now = self.now;
        let id = match session {
            Some(session) => {
                let new_key = key.clone();
                self.store.sessions.change(session.id, |row| {
                    row.key = new_key;
                    row.expired = false;
                    row.renewed_ts = now;
                });
                session.id
            }
            None => {
                let id = self.store.sessions.new_id();
                let session = Session {
                    id,
                    key: key.clone(),
                    user: user.id,
                    authtype,
                    callnum: None,
                    renewed_ts: now,
                    expired: false,
                    exclusive: false,
                    closed: false,
                };
                self.store.sessions.put(id, session);
                self.forget_old_sessions();
                id
            }
        };
        if arguments.truth("exclusive") {
            self.store.sessions.change(id, |row| row.exclusive = true);
        }
        Ok(json!({"session-id": id, "session-key": key, "header-auth": true}))
    }

    /// Closed sessions are only kept for a while.
    fn forget_old_sessions(&mut self) {
        let closed: Vec<i64> = self
            .store
            .sessions
            .all()
            .filter(|session| session.closed)
            .map(|session| session.id)
            .collect();
        for id in closed.iter().take(closed.len().saturating_sub(100)) {
            self.store.sessions.remove(*id);
        }
    }
}

/// Twenty letters and digits that nobody can guess: the standard library's hash keys come from the operating system's
/// randomness. Not part of the seeded world.
fn random_key() -> String {
    use std::hash::{BuildHasher, Hasher, RandomState};
    const LETTERS: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    (0..20)
        .map(|_| {
            let number = RandomState::new().build_hasher().finish();
            char::from(LETTERS[(number % LETTERS.len() as u64) as usize])
        })
        .collect()
}
