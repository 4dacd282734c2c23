//! Login by OpenID Connect: the authorization code flow of a confidential client, with PKCE.
//!
//! The reader is sent to the provider and comes back with a code, which we exchange for an ID token over a connection of
//! our own. That connection is encrypted and the provider's certificate is checked, which stands for checking the
//! token's signature (OpenID Connect Core 1.0, section 3.1.3.7, number 6); everything else that section asks for is
//! checked here. What belongs to one attempt (state, nonce, verifier, where to go afterwards) waits in a signed cookie of the
//! browser that began it.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use chrono::{DateTime, TimeDelta, Utc};
use curl::easy::{Easy, List};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::session::{Signer, random_word};
use crate::address::{encode, query};

/// Name of the cookie of an attempt.
pub(crate) const ATTEMPT_COOKIE: &str = "koschei_login";
/// How long somebody may take to log in at the provider.
pub(crate) const ATTEMPT_LASTS: TimeDelta = TimeDelta::minutes(15);
/// Clocks may differ by this.
const CLOCKS: i64 = 60;
/// How long the provider may take for an answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// Larger answers are none.
const LARGEST: usize = 1 << 20;

/// What we have to know of a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Oidc {
    /// Its address, which is also its name.
    pub issuer: String,
    /// What it calls us.
    pub client_id: String,
    /// What proves that we are that; none for a client that is not asked for it.
    pub client_secret: Option<String>,
    /// The claim that holds the name of the user.
    pub claim: String,
    /// What we ask to know.
    pub scopes: Vec<String>,
    /// Our own address to which it sends people back.
    pub redirect_uri: String,
}

/// Why nobody was logged in.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The provider could not be asked; later it may answer.
    #[error("{0}")]
    Away(String),
    /// The provider refused.
    #[error("{0}")]
    Refused(String),
    /// What it said does not fit what was asked, or is not allowed.
    #[error("{0}")]
    Wrong(String),
}

/// One attempt of a browser to log in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Attempt {
    state: String,
    nonce: String,
    verifier: String,
    until: i64,
    /// The path to go to afterwards.
    pub(crate) next: String,
}

impl Attempt {
    /// A new attempt.
    pub(crate) fn begin(next: &str, now: DateTime<Utc>) -> Self {
        Self {
            state: random_word(),
            nonce: random_word(),
            // 43 characters are the fewest allowed (RFC 7636, section 4.1).
            verifier: format!("{}{}", random_word(), random_word()),
            until: (now + ATTEMPT_LASTS).timestamp(),
            next: next.to_owned(),
        }
    }

    /// The value of its cookie.
    pub(crate) fn seal(&self, signer: &Signer) -> Result<String, serde_json::Error> {
        Ok(signer.seal(ATTEMPT_COOKIE, &serde_json::to_string(self)?))
    }

    /// The attempt of a cookie that comes back with this state, if it is not too old.
    pub(crate) fn open(
        signer: &Signer,
        cookie: &str,
        state: &str,
        now: DateTime<Utc>,
    ) -> Option<Self> {
        let attempt: Self = serde_json::from_str(&signer.open(ATTEMPT_COOKIE, cookie)?).ok()?;
        (attempt.state == state && attempt.until > now.timestamp()).then_some(attempt)
    }
}

/// What a provider publishes about itself (OpenID Connect Discovery 1.0).
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Provider {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    userinfo_endpoint: Option<String>,
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
}

/// The answer to a code.
#[derive(Deserialize)]
struct Tokens {
    access_token: String,
    id_token: String,
}

/// Whether an address is safe to send secrets to: encrypted, or on this machine.
pub(crate) fn is_safe(address: &str) -> bool {
    match address.split_once("://") {
        Some(("https", rest)) => !rest.is_empty(),
        Some(("http", rest)) => {
            let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
            ["localhost", "127.0.0.1", "[::1]"].iter().any(|own| {
                host.strip_prefix(own).is_some_and(|port| {
                    port.is_empty()
                        || port.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok())
                })
            })
        }
        _ => false,
    }
}

impl Oidc {
    /// Asks the provider where its parts are.
    pub(crate) fn discover(&self) -> Result<Provider, Error> {
        let issuer = self.issuer.trim_end_matches('/');
        let answer = ask(&format!("{issuer}/.well-known/openid-configuration"), None, &[])?;
        let provider: Provider = read(&answer, "its description")?;
        if provider.issuer.trim_end_matches('/') != issuer {
            return Err(Error::Wrong(format!(
                "the provider at {} calls itself {}",
                self.issuer, provider.issuer
            )));
        }
        let addresses = [&provider.authorization_endpoint, &provider.token_endpoint];
        let unsafe_one = addresses
            .into_iter()
            .chain(&provider.userinfo_endpoint)
            .find(|address| !is_safe(address))
            .cloned();
        match unsafe_one {
            Some(address) => Err(Error::Wrong(format!("{address} is not encrypted"))),
            None => Ok(provider),
        }
    }

    /// Where to send somebody who wants to log in.
    pub(crate) fn login_address(&self, provider: &Provider, attempt: &Attempt) -> String {
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(attempt.verifier.as_bytes()));
        let endpoint = &provider.authorization_endpoint;
        let query = query(&[
            ("response_type", "code"),
            ("client_id", &self.client_id),
            ("redirect_uri", &self.redirect_uri),
            ("scope", &self.scopes.join(" ")),
            ("state", &attempt.state),
            ("nonce", &attempt.nonce),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ]);
        match endpoint.contains('?') {
            true => format!("{endpoint}&{}", query.trim_start_matches('?')),
            false => format!("{endpoint}{query}"),
        }
    }

    /// The name of whoever came back with this code.
    pub(crate) fn name(
        &self,
        provider: &Provider,
        attempt: &Attempt,
        code: &str,
        now: DateTime<Utc>,
    ) -> Result<String, Error> {
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", self.redirect_uri.as_str()),
            ("client_id", self.client_id.as_str()),
            ("code_verifier", attempt.verifier.as_str()),
        ];
        let mut headers = Vec::new();
        if let Some(secret) = self.client_secret.as_deref() {
            // In the header, unless the provider names its methods and this is none of them (the default is the header).
            let methods = provider.token_endpoint_auth_methods_supported.as_deref();
            let basic =
                methods.is_none_or(|all| all.iter().any(|one| one == "client_secret_basic"));
            if basic {
                let pair = format!("{}:{}", encode(&self.client_id), encode(secret));
                headers.push(format!("Authorization: Basic {}", STANDARD.encode(pair)));
            } else {
                form.push(("client_secret", secret));
            }
        }
        let form = query(&form);
        let answer = ask(&provider.token_endpoint, Some(form.trim_start_matches('?')), &headers)?;
        let tokens: Tokens = read(&answer, "its tokens")?;
        let claims = claims(&tokens.id_token)?;
        let subject = self.check(&claims, attempt, now)?;
        if let Some(name) = self.claimed(&claims) {
            return Ok(name);
        }
        let Some(userinfo) = &provider.userinfo_endpoint else {
            return Err(self.nameless());
        };
        let bearer = format!("Authorization: Bearer {}", tokens.access_token);
        let info: serde_json::Value =
            read(&ask(userinfo, None, &[bearer])?, "what it knows of the user")?;
        if info.get("sub").and_then(|sub| sub.as_str()) != Some(subject) {
            return Err(Error::Wrong("the provider told about somebody else".to_owned()));
        }
        self.claimed(&info).ok_or_else(|| self.nameless())
    }

    fn nameless(&self) -> Error {
        Error::Wrong(format!("the provider did not tell the claim {}", self.claim))
    }

    fn claimed(&self, claims: &serde_json::Value) -> Option<String> {
        claims.get(&self.claim)?.as_str().map(str::to_owned)
    }

    /// Checks an ID token (OpenID Connect Core 1.0, section 3.1.3.7). Gives its subject.
    fn check<'a>(
        &self,
        claims: &'a serde_json::Value,
        attempt: &Attempt,
        now: DateTime<Utc>,
    ) -> Result<&'a str, Error> {
        let text = |name: &str| claims.get(name).and_then(|value| value.as_str());
        let wrong = |what: &str| Err(Error::Wrong(format!("the ID token has {what}")));
        if text("iss").map(|issuer| issuer.trim_end_matches('/'))
            != Some(self.issuer.trim_end_matches('/'))
        {
            return wrong("another issuer");
        }
        let for_us = match claims.get("aud") {
            Some(serde_json::Value::String(one)) => *one == self.client_id,
            Some(serde_json::Value::Array(all)) => {
                all.iter().any(|one| one.as_str() == Some(&self.client_id))
                    && (all.len() == 1 || text("azp") == Some(&self.client_id))
            }
            _ => false,
        };
        if !for_us || text("azp").is_some_and(|party| party != self.client_id) {
            return wrong("another audience");
        }
        let expires = claims.get("exp").and_then(serde_json::Value::as_f64);
        if expires.is_none_or(|expires| expires + CLOCKS as f64 <= now.timestamp() as f64) {
            return wrong("expired");
        }
        if text("nonce") != Some(&attempt.nonce) {
            return wrong("another nonce");
        }
        match text("sub") {
            Some(subject) => Ok(subject),
            None => wrong("no subject"),
        }
    }
}

/// The claims of a token, which is three parts between dots (RFC 7519).
fn claims(token: &str) -> Result<serde_json::Value, Error> {
    let mut parts = token.split('.');
    let content = (parts.next(), parts.next(), parts.next(), parts.next());
    let claims = match content {
        (Some(_), Some(claims), Some(_), None) => URL_SAFE_NO_PAD.decode(claims).ok(),
        _ => None,
    };
    read(&claims.unwrap_or_default(), "its ID token")
}

fn read<T: serde::de::DeserializeOwned>(answer: &[u8], what: &str) -> Result<T, Error> {
    serde_json::from_slice(answer).map_err(|error| {
        Error::Wrong(format!("the provider sent {what} in a form that is none: {error}"))
    })
}

/// One request to the provider: a form, or else a question. Blocks.
fn ask(address: &str, form: Option<&str>, headers: &[String]) -> Result<Vec<u8>, Error> {
    let away = |error: curl::Error| Error::Away(format!("{address}: {error}"));
    let mut easy = Easy::new();
    let mut list = List::new();
    list.append("Accept: application/json").map_err(away)?;
    for header in headers {
        list.append(header).map_err(away)?;
    }
    easy.url(address).map_err(away)?;
    easy.timeout(PATIENCE).map_err(away)?;
    easy.http_headers(list).map_err(away)?;
    if let Some(form) = form {
        easy.post(true).map_err(away)?;
        easy.post_fields_copy(form.as_bytes()).map_err(away)?;
    }
    let mut answer = Vec::new();
    {
        let mut transfer = easy.transfer();
        transfer
            .write_function(|bytes| {
                // Fewer bytes than there are end the transfer.
                if answer.len() + bytes.len() > LARGEST {
                    return Ok(0);
                }
                answer.extend_from_slice(bytes);
                Ok(bytes.len())
            })
            .map_err(away)?;
        transfer.perform().map_err(away)?;
    }
    match easy.response_code().map_err(away)? {
        200 => Ok(answer),
        code @ 400..=499 => {
            #[derive(Deserialize)]
            struct Refusal {
                error: String,
            }
            let reason = serde_json::from_slice::<Refusal>(&answer).map(|refusal| refusal.error);
            Err(Error::Refused(format!(
                "{address}: {}",
                reason.unwrap_or_else(|_| code.to_string())
            )))
        }
        code => Err(Error::Away(format!("{address} answers with {code}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn provider() -> Oidc {
        Oidc {
            issuer: "https://id.example.org/openidc/".to_owned(),
            client_id: "koschei".to_owned(),
            client_secret: None,
            claim: "nickname".to_owned(),
            scopes: vec!["openid".to_owned()],
            redirect_uri: "https://koschei.example.org/login/oidc".to_owned(),
        }
    }

    #[test]
    fn an_id_token_has_to_be_the_one_that_was_asked_for() {
        let now: DateTime<Utc> = "2026-11-22T12:00:00Z".parse().expect("a time");
        let attempt = Attempt::begin("/", now);
        let right = serde_json::json!({
            "iss": "https://id.example.org/openidc", "aud": "koschei", "exp": now.timestamp() + 600,
            "nonce": attempt.nonce, "sub": "1234",
        });
        assert!(matches!(provider().check(&right, &attempt, now), Ok("1234")));
        let mut several = right.clone();
        several["aud"] = serde_json::json!(["koschei", "other"]);
        assert!(provider().check(&several, &attempt, now).is_err(), "for whom?");
        several["azp"] = "koschei".into();
        assert!(provider().check(&several, &attempt, now).is_ok());
        for (claim, value) in [
            ("iss", "https://evil.example".into()),
            ("aud", "other".into()),
            ("aud", serde_json::json!(["other"])),
            ("azp", "other".into()),
            ("exp", (now.timestamp() - 61).into()),
            ("exp", "never".into()),
            ("nonce", "x".into()),
            ("nonce", serde_json::Value::Null),
            ("sub", serde_json::Value::Null),
        ] {
            let mut wrong = right.clone();
            wrong[claim] = value;
            assert!(provider().check(&wrong, &attempt, now).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_attempt_ends_in_the_browser_that_began_it_and_soon() {
        let now: DateTime<Utc> = "2026-11-22T12:00:00Z".parse().expect("a time");
        let signer = Signer::new(Some("secret"));
        let attempt = Attempt::begin("/package/a", now);
        let cookie = attempt.seal(&signer).expect("JSON");
        let open = |cookie: &str, state: &str, minutes| {
            Attempt::open(&signer, cookie, state, now + TimeDelta::minutes(minutes))
        };
        assert_eq!(open(&cookie, &attempt.state, 14), Some(attempt.clone()));
        assert_eq!(open(&cookie, &attempt.state, 16), None);
        assert_eq!(open(&cookie, "other", 1), None);
        assert_eq!(open("", &attempt.state, 1), None);
    }

    #[test]
    fn secrets_go_over_encrypted_connections_only() {
        for good in [
            "https://id.example.org/x",
            "http://127.0.0.1:9/",
            "http://localhost/a",
            "http://[::1]:1/",
        ] {
            assert!(is_safe(good), "{good}");
        }
        for bad in [
            "http://id.example.org/",
            "http://127.0.0.1.example.org/",
            "http://localhost:x@evil.example/",
            "ftp://localhost/",
            "https://",
            "",
        ] {
            assert!(!is_safe(bad), "{bad}");
        }
    }
}
