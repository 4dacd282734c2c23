//! Who a browser belongs to, kept in the browser itself: signed cookies, so that any number of web processes with the
//! same secret know the same people, and none of them has to remember anybody.
//!
//! Nothing in a cookie is believed before its signature was checked, and every kind of cookie is signed under its own
//! name, so that none can stand for another. Whether somebody still exists and is an administrator is asked of the
//! database at every request.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};

/// Name of the cookie of a session.
pub(crate) const SESSION_COOKIE: &str = "koschei_session";
/// Name of the cookie that brings a sentence to the next page.
pub(crate) const SAID_COOKIE: &str = "koschei_said";

/// How long a session lasts.
const LASTS: TimeDelta = TimeDelta::days(14);

/// Makes signatures and checks them.
#[derive(Clone)]
pub(crate) struct Signer {
    key: [u8; 32],
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Signer(..)")
    }
}

impl Signer {
    /// Signs with this secret; without one, with a random key that lasts as long as this process.
    pub(crate) fn new(secret: Option<&str>) -> Self {
        let key = match secret.filter(|secret| !secret.is_empty()) {
            Some(secret) => Sha256::digest(secret.as_bytes()).into(),
            None => random(),
        };
        Self { key }
    }

    fn mac(&self, purpose: &str, content: &[u8]) -> Option<Hmac<Sha256>> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).ok()?;
        mac.update(purpose.as_bytes());
        // No purpose has this byte in it, so that where it ends is part of what is signed.
        mac.update(&[0]);
        mac.update(content);
        Some(mac)
    }

    /// A signature alone.
    pub(crate) fn signature(&self, purpose: &str, content: &[u8]) -> String {
        self.mac(purpose, content)
            .map(|mac| URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
            .unwrap_or_default()
    }

    /// Whether a signature is right; takes the same time whatever is wrong with it.
    pub(crate) fn is_right(&self, purpose: &str, content: &[u8], signature: &str) -> bool {
        let Ok(signature) = URL_SAFE_NO_PAD.decode(signature) else {
            return false;
        };
        self.mac(purpose, content).is_some_and(|mac| mac.verify_slice(&signature).is_ok())
    }

    /// Content with its signature, in characters that a cookie may have.
    pub(crate) fn seal(&self, purpose: &str, content: &str) -> String {
        format!(
            "{}.{}",
            URL_SAFE_NO_PAD.encode(content),
            self.signature(purpose, content.as_bytes())
        )
    }

    /// Content whose signature is right.
    pub(crate) fn open(&self, purpose: &str, sealed: &str) -> Option<String> {
        let (content, signature) = sealed.split_once('.')?;
        let content = URL_SAFE_NO_PAD.decode(content).ok()?;
        self.is_right(purpose, &content, signature)
            .then(|| String::from_utf8(content).ok())
            .flatten()
    }
}

/// Bytes that nobody can guess.
pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    #[expect(
        clippy::expect_used,
        reason = "a machine without random numbers can keep nobody safe"
    )]
    getrandom::fill(&mut bytes).expect("the system gives random numbers");
    bytes
}

/// A random word for addresses and cookies.
pub(crate) fn random_word() -> String {
    URL_SAFE_NO_PAD.encode(random::<24>())
}

/// That somebody logged in with a browser.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Session {
    /// Who.
    pub(crate) name: String,
    /// Which of their logins, a random word: the forms of one session are no good in another.
    pub(crate) id: String,
    /// Until when it counts.
    until: DateTime<Utc>,
}

impl Session {
    /// A new session from now on.
    pub(crate) fn begin(name: &str, now: DateTime<Utc>) -> Self {
        Self { name: name.to_owned(), id: random_word(), until: now + LASTS }
    }

    /// The value of the cookie.
    pub(crate) fn seal(&self, signer: &Signer) -> String {
        signer
            .seal(SESSION_COOKIE, &format!("{}:{}:{}", self.until.timestamp(), self.id, self.name))
    }

    /// The session of a cookie, if we made it and it is not over.
    pub(crate) fn open(signer: &Signer, cookie: &str, now: DateTime<Utc>) -> Option<Self> {
        let content = signer.open(SESSION_COOKIE, cookie)?;
        let mut parts = content.splitn(3, ':');
        let until = DateTime::from_timestamp(parts.next()?.parse().ok()?, 0)?;
        let (id, name) = (parts.next()?.to_owned(), parts.next()?.to_owned());
        (until > now).then_some(Self { name, id, until })
    }

    /// What a form of this session has to bring along, which no other site can know.
    pub(crate) fn token(&self, signer: &Signer) -> String {
        signer.signature("form", self.id.as_bytes())
    }

    /// Whether a form brought the token of this session.
    pub(crate) fn accepts(&self, signer: &Signer, token: &str) -> bool {
        signer.is_right("form", self.id.as_bytes(), token)
    }
}

/// The text of a `Set-Cookie` header. Without a lifetime the cookie is removed.
pub(crate) fn set_cookie(
    name: &str,
    value: &str,
    path: &str,
    lifetime: Option<TimeDelta>,
    secure: bool,
) -> String {
    let seconds = lifetime.map_or(0, |lifetime| lifetime.num_seconds());
    let secure = if secure { "; Secure" } else { "" };
    format!("{name}={value}; Path={path}; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}")
}

/// The `Set-Cookie` header of a session that begins.
pub(crate) fn session_cookie(
    session: &Session,
    signer: &Signer,
    path: &str,
    secure: bool,
) -> String {
    set_cookie(SESSION_COOKIE, &session.seal(signer), path, Some(LASTS), secure)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> DateTime<Utc> {
        "2026-11-22T12:00:00Z".parse().expect("a time")
    }

    #[test]
    fn a_session_is_known_to_every_process_with_the_same_secret_and_to_no_other() {
        let (one, two) = (Signer::new(Some("secret")), Signer::new(Some("secret")));
        let session = Session::begin("a:b", now());
        let cookie = session.seal(&one);
        let opened = Session::open(&two, &cookie, now() + TimeDelta::days(13));
        assert_eq!(opened.as_ref(), Some(&session));
        assert!(two.is_right("form", session.id.as_bytes(), &session.token(&one)));
        assert_eq!(Session::open(&two, &cookie, now() + TimeDelta::days(15)), None, "it is over");
        assert_eq!(Session::open(&Signer::new(Some("other")), &cookie, now()), None);
        assert_eq!(Session::open(&Signer::new(None), &cookie, now()), None);
        assert_eq!(
            Session::open(
                &Signer::new(Some("")),
                &Signer::new(Some("")).seal(SESSION_COOKIE, "x"),
                now()
            ),
            None
        );
    }

    #[test]
    fn nothing_that_was_changed_is_believed() {
        let signer = Signer::new(Some("secret"));
        let cookie = Session::begin("mallory", now()).seal(&signer);
        let (content, signature) = cookie.split_once('.').expect("two parts");
        let forged = URL_SAFE_NO_PAD.encode("99999999999:x:admin");
        for wrong in [
            String::new(),
            ".".to_owned(),
            content.to_owned(),
            format!("{forged}.{signature}"),
            format!("{forged}."),
            format!("{content}.{}", signature.to_uppercase()),
            // A sentence for the next page, signed by us, is no session.
            signer.seal(SAID_COOKIE, "99999999999:x:admin"),
        ] {
            assert_eq!(Session::open(&signer, &wrong, now()), None, "{wrong}");
        }
    }

    #[test]
    fn a_form_of_one_session_is_no_good_in_another() {
        let signer = Signer::new(Some("secret"));
        let (mine, yours) = (Session::begin("me", now()), Session::begin("me", now()));
        assert!(mine.accepts(&signer, &mine.token(&signer)));
        assert!(!yours.accepts(&signer, &mine.token(&signer)));
        assert!(!mine.accepts(&signer, "") && !mine.accepts(&signer, "="));
    }
}
