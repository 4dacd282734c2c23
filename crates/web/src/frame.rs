//! What happens to every request and every answer: path prefix, who asks, errors as pages, security headers, entity tags.

use axum::Router;
use axum::body::{Body, HttpBody as _};
use axum::extract::{FromRequestParts, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header, uri};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};

use crate::error::{Error, Failed};
use crate::login::{self, SAID_COOKIE, Visitor, Way, add_cookie, set_cookie};
use crate::packing::Encoding;
use crate::remembered::{Answer, Question};
use crate::request::{Ask, cookie};
use crate::site::SharedSite;

/// Path of a request as the reader sees it, without the prefix.
#[derive(Debug, Clone)]
pub(crate) struct OriginalPath(pub(crate) String);

/// Who asks, and what the form that they sent just before has to say.
#[derive(Debug, Clone, Default)]
pub(crate) struct Caller {
    /// Who asks, if they are logged in.
    pub(crate) visitor: Option<Visitor>,
    /// What the form said.
    pub(crate) said: Option<String>,
}

/// Puts the frame around the routes.
pub(crate) fn wrap(routes: Router<SharedSite>, site: SharedSite) -> Router {
    let inside = routes
        .fallback(|| async {
            Error::not_found(
                "There is no page at this address",
                "Check the address, or look for a package by its name.",
            )
        })
        .method_not_allowed_fallback(|| async { Error::Method })
        .layer(middleware::from_fn_with_state(site.clone(), finish))
        .with_state(site.clone());
    // The prefix goes before routing, so this router has to stand around the one with the routes.
    Router::new().fallback_service(inside).layer(middleware::from_fn_with_state(site, strip_prefix))
}

/// Takes the path prefix away. A path without it is served all the same: some proxies strip it themselves.
async fn strip_prefix(
    State(site): State<SharedSite>,
    mut request: Request,
    next: Next,
) -> Response {
    let prefix = site.config.path_prefix.as_str();
    if !prefix.is_empty()
        && let Some(rest) = request.uri().path().strip_prefix(prefix)
    {
        if rest.is_empty() {
            return redirect(&site.addresses.to("/"));
        }
        if rest.starts_with('/') {
            let path_and_query = match request.uri().query() {
                Some(query) => format!("{rest}?{query}"),
                None => rest.to_owned(),
            };
            let mut parts = uri::Parts::default();
            parts.path_and_query = path_and_query.parse().ok();
            if let Ok(uri) = Uri::from_parts(parts) {
                *request.uri_mut() = uri;
            }
        }
    }
    let path = OriginalPath(request.uri().path().to_owned());
    request.extensions_mut().insert(path);
    next.run(request).await
}

/// A redirect that any later request follows anew.
pub(crate) fn redirect(to: &str) -> Response {
    match HeaderValue::from_str(to) {
        Ok(location) => (StatusCode::SEE_OTHER, [(header::LOCATION, location)]).into_response(),
        // An address that cannot stand in a header comes from a request only.
        Err(_) => Error::bad_request("This address is not valid", "Go on from the front page.")
            .into_response(),
    }
}

/// Answers a request. Who asks for the headers alone gets those of the whole answer, its tag among them.
async fn finish(site: State<SharedSite>, mut request: Request, next: Next) -> Response {
    if request.method() != Method::HEAD {
        return answer(site, request, next).await;
    }
    *request.method_mut() = Method::GET;
    let (mut parts, body) = answer(site, request, next).await.into_parts();
    if let Some(length) = body.size_hint().exact().filter(|_| parts.status == StatusCode::OK) {
        parts.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
    Response::from_parts(parts, Body::empty())
}

async fn answer(State(site): State<SharedSite>, request: Request, next: Next) -> Response {
    let method = request.method().clone();
    let if_none_match = request.headers().get(header::IF_NONE_MATCH).cloned();
    let encoding = Encoding::wanted(request.headers());
    let (mut parts, body) = request.into_parts();
    let way = Way::of(&parts, &site.config.login.proxies);
    parts.extensions.insert(way);
    let caller = caller(&site, &parts).await;
    if let Ok(caller) = &caller {
        parts.extensions.insert(caller.clone());
    }
    let (known, said) =
        caller.as_ref().map_or((false, false), |c| (c.visitor.is_some(), c.said.is_some()));
    let Ok(ask) = Ask::from_request_parts(&mut parts, &()).await;
    let question = Question {
        address: parts.uri.path_and_query().map_or_else(String::new, ToString::to_string),
        theme: ask.theme,
    };
    let mut response = if ask.is_impossible() {
        Error::bad_request(
            "This address cannot mean anything",
            "It has a character in it that no name has. Go on from the front page.",
        )
        .into_response()
    } else if let Err(error) = caller {
        error.into_response()
    } else if comes_from_elsewhere(&method, &parts.headers) {
        Error::Forbidden {
            title: "This form was sent by another site".to_owned(),
            advice: "Nothing was changed. Use the forms of this site.".to_owned(),
        }
        .into_response()
    } else if !known && !said && question.is_common(&method) {
        let find = async { for_everybody(next.run(Request::from_parts(parts, body)).await).await };
        match site.remembered.get(&site.pool, question, find).await {
            Ok(answer) => {
                let mut response = answer.response(if_none_match.as_ref(), encoding).await;
                secure(response.headers_mut());
                return response;
            }
            Err(response) => response,
        }
    } else {
        next.run(Request::from_parts(parts, body)).await
    };
    let reads = method == Method::GET;
    if let Some(Failed(error)) = response.extensions_mut().remove::<Failed>() {
        let allowed = response.headers_mut().remove(header::ALLOW);
        response = failure(&site, &ask, &error, reads).await;
        if let Some(allowed) = allowed {
            response.headers_mut().insert(header::ALLOW, allowed);
        }
    } else if response.status().is_client_error() && !is_html(&response) {
        // What the framework refuses before we are asked: names that are not UTF-8, for example.
        let error = Error::bad_request(
            "This request cannot be understood",
            "A part of it is not text in UTF-8, or not a form. Go on from the front page.",
        );
        response = failure(&site, &ask, &error, reads).await;
    }
    if known && !response.headers().contains_key(header::CACHE_CONTROL) {
        let value = HeaderValue::from_static("private, no-cache");
        response.headers_mut().insert(header::CACHE_CONTROL, value);
    }
    if said && method == Method::GET && is_html(&response) {
        // It has been told.
        let path = site.addresses.to("/");
        let cookie = set_cookie(SAID_COOKIE, "", &path, None, site.is_secure(&way));
        add_cookie(&mut response, &cookie);
    }
    if method == Method::GET && response.status() == StatusCode::OK {
        // A page of somebody who is logged in has their token in it, and may have what an attacker made them send: packed
        // together, its size would tell the one from the other (the attack called BREACH).
        let encoding = if known { Encoding::Plain } else { encoding };
        response = match Answer::of(response).await {
            Ok(answer) => answer.response(if_none_match.as_ref(), encoding).await,
            Err(response) => response,
        };
    }
    secure(response.headers_mut());
    response
}

/// An answer that the next reader may have as well.
#[allow(clippy::result_large_err, reason = "it is no error but the other kind of answer")]
async fn for_everybody(response: Response) -> Result<Answer, Response> {
    if response.headers().contains_key(header::SET_COOKIE) {
        return Err(response);
    }
    Answer::of(response).await
}

fn is_html(response: &Response) -> bool {
    response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"))
}

/// Who asks. What is the same for everybody does not ask the database for it.
async fn caller(site: &SharedSite, parts: &axum::http::request::Parts) -> Result<Caller, Error> {
    let path = parts.uri.path();
    if ["/static/", "/api/", "/badge/", "/favicon"].iter().any(|start| path.starts_with(start)) {
        return Ok(Caller::default());
    }
    let said = cookie(&parts.headers, SAID_COOKIE)
        .and_then(|sealed| site.signer.open(SAID_COOKIE, sealed));
    Ok(Caller { visitor: login::visitor(site, &parts.headers).await?, said })
}

/// Whether a browser says that a form was sent by a page of another site. Those that say nothing are caught by the token
/// of the form.
fn comes_from_elsewhere(method: &Method, headers: &HeaderMap) -> bool {
    let reads = matches!(*method, Method::GET | Method::OPTIONS);
    let from = headers.get("sec-fetch-site").map(HeaderValue::as_bytes);
    !reads && from.is_some_and(|from| !matches!(from, b"same-origin" | b"none"))
}

/// The answer for an error: JSON below `/api/`, a page elsewhere.
async fn failure(site: &SharedSite, ask: &Ask, error: &Error, reads: bool) -> Response {
    let status = error.status();
    if let (Error::LoginNeeded { way_in: Some(way_in) }, true) = (error, reads) {
        // Whoever wants to see a page for which one has to log in wants to log in.
        return redirect(way_in);
    }
    let mut response = if ask.path.starts_with("/api/") {
        let (title, advice) = error.words();
        let body = serde_json::json!({ "error": title, "advice": advice });
        (status, axum::Json(body)).into_response()
    } else {
        match site.error_page(ask, error).await {
            Ok(page) => (status, html(page)).into_response(),
            // The template of errors itself: nothing is left but plain words.
            Err(_) => (status, error.words().0).into_response(),
        }
    };
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(seconds) = error.retry_after() {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// An HTML answer.
pub(crate) fn html(page: String) -> Response {
    ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], page).into_response()
}

/// What browsers may do with our pages: nothing but show them, with our own style and script.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

fn secure(headers: &mut HeaderMap) {
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "same-origin"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (
            HeaderName::from_static("permissions-policy"),
            "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
        ),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.append(header::VARY, HeaderValue::from_static("Cookie, Accept-Encoding"));
}
