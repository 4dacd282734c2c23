//! Who somebody is: logging in and out, and what follows from it.
//!
//! There are three ways to a name, of which an installation uses one: OpenID Connect (`oidc`), a reverse proxy that knows
//! its users (`proxy`), and, for development on one machine, a name from the configuration. Each ends in the same place:
//! the user is registered, and the browser keeps a signed session (`session`).

mod oidc;
mod proxy;
mod session;

use std::sync::Arc;
use std::time::{Duration, Instant};

use askama::Template;
use axum::Router;
use axum::extract::{Extension, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::Response;
use axum::routing::get;
use chrono::{DateTime, Utc};
use koschei_db::entities;
use regex::Regex;

pub use self::oidc::Oidc;
pub(crate) use self::oidc::is_safe;
pub use self::proxy::Network;
pub(crate) use self::proxy::Way;
pub(crate) use self::session::{SAID_COOKIE, Signer, set_cookie};

use self::oidc::{ATTEMPT_COOKIE, ATTEMPT_LASTS, Attempt, Provider};
use self::session::{SESSION_COOKIE, Session, session_cookie};
use crate::error::Error;
use crate::forms::Form;
use crate::request::{Ask, cookie, own_path};
use crate::site::{Frame, Section, SharedSite, Site};

/// How people log in.
#[derive(Debug, Clone)]
pub struct Login {
    /// Signs sessions; without one they end with the process.
    pub secret: Option<String>,
    /// Proxies that are believed.
    pub proxies: Vec<Network>,
    /// Header in which a proxy hands on the identity.
    pub header: HeaderName,
    /// What of the identity is the name: the first group of a match of the whole.
    pub name: Regex,
    /// OpenID Connect; it goes before the header.
    pub oidc: Option<Oidc>,
    /// A name that everybody at this very machine gets without asking.
    pub bypass: Option<String>,
}

impl Login {
    /// Whether there is any way to log in. Without one no page offers it.
    pub(crate) fn is_possible(&self) -> bool {
        self.oidc.is_some() || !self.proxies.is_empty() || self.bypass.is_some()
    }

    /// The name in an identity.
    fn name_in<'a>(&self, identity: &'a str) -> Option<&'a str> {
        let found = self.name.captures(identity)?;
        let whole = found.get(0).is_some_and(|all| all.len() == identity.len());
        found.get(1).filter(|_| whole).map(|name| name.as_str())
    }
}

/// A pattern that matches only as a whole.
pub(crate) fn whole(pattern: &str) -> Result<Regex, String> {
    // The last line says what is wrong; those before it show the pattern with what is put around it.
    let reason = |error: regex::Error| {
        let text = error.to_string();
        text.lines()
            .last()
            .map(|line| line.trim_start_matches("error: ").to_owned())
            .unwrap_or(text)
    };
    let regex = Regex::new(&format!(r"\A(?:{pattern})\z")).map_err(reason)?;
    if regex.captures_len() < 2 {
        return Err("it needs a group in brackets for the name".to_owned());
    }
    Ok(regex)
}

/// Somebody who is logged in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Visitor {
    /// Row id.
    pub(crate) id: i32,
    /// Name.
    pub(crate) name: String,
    /// Whether they may do everything.
    pub(crate) admin: bool,
    session: Session,
    /// What their forms bring along.
    pub(crate) token: String,
}

impl Visitor {
    /// Whether a form with this token was sent by themselves.
    pub(crate) fn accepts(&self, signer: &Signer, token: &str) -> bool {
        self.session.accepts(signer, token)
    }
}

/// Who sent a request, if they are logged in.
pub(crate) async fn visitor(site: &Site, headers: &HeaderMap) -> Result<Option<Visitor>, Error> {
    let session = cookie(headers, SESSION_COOKIE)
        .and_then(|cookie| Session::open(&site.signer, cookie, Utc::now()));
    let Some(session) = session else {
        return Ok(None);
    };
    let user = entities::user(&site.pool, &session.name).await?;
    Ok(user.map(|user| Visitor {
        id: user.id,
        name: user.name,
        admin: user.admin,
        token: session.token(&site.signer),
        session,
    }))
}

pub(crate) fn routes() -> Router<SharedSite> {
    Router::new()
        .route("/login", get(login))
        .route("/login/oidc", get(back))
        .route("/logout", get(ask_to_log_out).post(log_out))
}

/// The provider's description of itself, asked for anew after a time.
#[derive(Debug, Default)]
pub(crate) struct Providers {
    known: tokio::sync::Mutex<Option<(Instant, Arc<Provider>)>>,
}

impl Providers {
    async fn get(&self, oidc: &Oidc) -> Result<Arc<Provider>, Error> {
        let mut known = self.known.lock().await;
        if let Some((since, provider)) = known.as_ref()
            && since.elapsed() < Duration::from_secs(3600)
        {
            return Ok(provider.clone());
        }
        let asked = oidc.clone();
        let provider = Arc::new(blocking(move || asked.discover()).await?);
        *known = Some((Instant::now(), provider.clone()));
        Ok(provider)
    }
}

/// Asks the provider on a thread that may wait.
async fn blocking<T: Send + 'static>(
    ask: impl FnOnce() -> Result<T, oidc::Error> + Send + 'static,
) -> Result<T, Error> {
    let answer = tokio::task::spawn_blocking(ask).await.map_err(|error| {
        tracing::error!(%error, "asking the login provider ended early");
        away()
    })?;
    answer.map_err(|error| {
        tracing::warn!(%error, "nobody was logged in");
        match error {
            oidc::Error::Away(_) => away(),
            oidc::Error::Refused(_) | oidc::Error::Wrong(_) => Error::Forbidden {
                title: "The login did not succeed".to_owned(),
                advice: format!(
                    "What the login provider answered cannot be accepted: {error}. Try it again; if it happens \
                     once more, tell the administrators."
                ),
            },
        }
    })
}

fn away() -> Error {
    Error::Away {
        title: "The login provider does not answer".to_owned(),
        advice: "Nobody can log in at the moment; everything else works. Try it in a minute."
            .to_owned(),
    }
}

/// Where to go after a login: a path of this site, without the prefix.
fn next(site: &Site, ask: &Ask) -> String {
    let next = ask.value("next").and_then(own_path).unwrap_or("/");
    let prefix = site.config.path_prefix.as_str();
    let inside =
        next.strip_prefix(prefix).filter(|rest| !prefix.is_empty() && rest.starts_with('/'));
    inside.and_then(own_path).unwrap_or(next).to_owned()
}

/// `/login?next=`.
async fn login(
    State(site): State<SharedSite>,
    Extension(way): Extension<Way>,
    headers: HeaderMap,
    ask: Ask,
) -> Result<Response, Error> {
    site.count(&way, None)?;
    let next = next(&site, &ask);
    let login = &site.config.login;
    if let Some(name) = login.bypass.as_deref().filter(|_| way.local) {
        return enter(&site, way, name, &next, true).await;
    }
    if let Some(oidc) = &login.oidc {
        let provider = site.providers.get(oidc).await?;
        let attempt = Attempt::begin(&next, Utc::now());
        let mut response = crate::frame::redirect(&oidc.login_address(&provider, &attempt));
        let path = site.addresses.to("/login");
        let sealed = attempt.seal(&site.signer)?;
        let secure = site.is_secure(&way);
        add_cookie(
            &mut response,
            &set_cookie(ATTEMPT_COOKIE, &sealed, &path, Some(ATTEMPT_LASTS), secure),
        );
        return Ok(response);
    }
    if !way.trusted {
        return Err(Error::Unauthorized {
            title: "Nobody can log in this way".to_owned(),
            advice: if login.is_possible() {
                "The request did not come through the server that knows who you are. Use the official address of \
                 this site."
            } else {
                "This installation has no login set up; its administrators can change that in the configuration."
            }
            .to_owned(),
            way_in: None,
        });
    }
    let Some(identity) = proxy::identity(&headers, &login.header) else {
        return Err(Error::Unauthorized {
            title: "Your identity is not known".to_owned(),
            advice: "The server in front of this site did not say who you are. Log in there and try again.".to_owned(),
            way_in: None,
        });
    };
    let Some(name) = login.name_in(identity) else {
        tracing::warn!(identity, "an identity does not match frontend.auth.user_re");
        return Err(Error::Forbidden {
            title: "Your identity has no name here".to_owned(),
            advice: format!(
                "You are known as {identity}, which is not the form of identity that this site accepts."
            ),
        });
    };
    enter(&site, way, name, &next, false).await
}

/// `/login/oidc`: back from the provider.
async fn back(
    State(site): State<SharedSite>,
    Extension(way): Extension<Way>,
    headers: HeaderMap,
    ask: Ask,
) -> Result<Response, Error> {
    site.count(&way, None)?;
    let Some(oidc) = &site.config.login.oidc else {
        return Err(Error::not_found(
            "There is no page at this address",
            "People log in another way here.",
        ));
    };
    let now: DateTime<Utc> = Utc::now();
    let attempt = cookie(&headers, ATTEMPT_COOKIE)
        .zip(ask.value("state"))
        .and_then(|(cookie, state)| Attempt::open(&site.signer, cookie, state, now));
    let Some(attempt) = attempt else {
        return Err(Error::Unauthorized {
            title: "This login was not begun here, or too long ago".to_owned(),
            advice: "Log in again. Cookies have to be allowed.".to_owned(),
            way_in: Some(site.login_address("/")),
        });
    };
    if let Some(error) = ask.value("error") {
        return Err(Error::Unauthorized {
            title: "The login was cancelled".to_owned(),
            advice: match error {
                "access_denied" => "You or the login provider refused it.".to_owned(),
                other => format!("The login provider refused it ({other})."),
            },
            way_in: Some(site.login_address(&attempt.next)),
        });
    }
    let Some(code) = ask.value("code").map(str::to_owned) else {
        return Err(Error::bad_request(
            "This login is not complete",
            "The login provider sent you back without a code. Log in again.",
        ));
    };
    let provider = site.providers.get(oidc).await?;
    let (asked, of) = (oidc.clone(), attempt.clone());
    let name = blocking(move || asked.name(&provider, &of, &code, now)).await?;
    let mut response = enter(&site, way, &name, &attempt.next, false).await?;
    let path = site.addresses.to("/login");
    let secure = site.is_secure(&way);
    add_cookie(&mut response, &set_cookie(ATTEMPT_COOKIE, "", &path, None, secure));
    Ok(response)
}

/// Registers whoever logged in, begins their session, and goes on.
async fn enter(
    site: &Site,
    way: Way,
    name: &str,
    next: &str,
    new_ones_are_admins: bool,
) -> Result<Response, Error> {
    // Such a name could not be told apart from another one by people, or not be stored.
    if name.is_empty()
        || name.chars().count() > 200
        || name != name.trim()
        || name.chars().any(char::is_control)
    {
        return Err(Error::Forbidden {
            title: "Your name cannot be used here".to_owned(),
            advice: "It is empty, too long, or has characters in it that no name has.".to_owned(),
        });
    }
    let mut connection = site.pool.acquire().await.map_err(koschei_db::Error::from)?;
    let user = if new_ones_are_admins {
        entities::ensure_user_as(&mut connection, name, true).await?
    } else {
        entities::ensure_user(&mut connection, name).await?
    };
    let session = Session::begin(&user.name, Utc::now());
    let mut response = crate::frame::redirect(&site.addresses.to(next));
    let secure = site.is_secure(&way);
    let cookie = session_cookie(&session, &site.signer, &site.addresses.to("/"), secure);
    add_cookie(&mut response, &cookie);
    tracing::info!(user = %user.name, "logged in");
    Ok(response)
}

#[derive(Template)]
#[template(path = "logout.html")]
struct LogoutPage<'a> {
    frame: &'a Frame,
}

/// GET of `/logout`: asks, because any page could lead somebody here.
async fn ask_to_log_out(State(site): State<SharedSite>, ask: Ask) -> Result<Response, Error> {
    if ask.visitor.is_none() {
        return Ok(crate::frame::redirect(&site.addresses.to("/")));
    }
    let mut frame = site.bare_frame(&ask, "Log out".to_owned());
    frame.section = Section::None;
    crate::pages::page(&LogoutPage { frame: &frame })
}

/// POST of `/logout`.
async fn log_out(
    State(site): State<SharedSite>,
    Extension(way): Extension<Way>,
    form: Form,
) -> Response {
    let mut response = form.done(&site, "/", "You are logged out.");
    let secure = site.is_secure(&way);
    let cookie = set_cookie(SESSION_COOKIE, "", &site.addresses.to("/"), None, secure);
    add_cookie(&mut response, &cookie);
    response
}

/// Adds a cookie to an answer.
pub(crate) fn add_cookie(response: &mut Response, cookie: &str) {
    if let Ok(value) = HeaderValue::from_str(cookie) {
        response.headers_mut().append(header::SET_COOKIE, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(pattern: &str) -> Login {
        Login { name: whole(pattern).expect("a pattern"), ..Login::default() }
    }

    #[test]
    fn the_name_is_the_first_group_of_a_match_of_the_whole_identity() {
        let fedora = login(r"(.+)@FEDORAPROJECT\.ORG");
        assert_eq!(fedora.name_in("mizdebsk@FEDORAPROJECT.ORG"), Some("mizdebsk"));
        assert_eq!(fedora.name_in("mizdebsk@FEDORAPROJECT.ORG.evil.example"), None);
        assert_eq!(fedora.name_in("mizdebsk"), None);
        // Each alternative as a whole, as Python's fullmatch does it.
        let either = login("a|(b+)");
        assert_eq!(either.name_in("bb"), Some("bb"));
        assert_eq!(either.name_in("ab"), None);
        assert_eq!(either.name_in("a"), None, "no group");
        assert!(whole("no group").is_err() && whole("(").is_err());
    }

    #[test]
    fn login_is_offered_where_it_can_work() {
        assert!(!Login::default().is_possible());
        assert!(Login { bypass: Some("me".to_owned()), ..Login::default() }.is_possible());
    }
}
