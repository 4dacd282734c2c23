//! What happens to every request and every answer: path prefix, errors as pages, security headers, entity tags.

use axum::Router;
use axum::body::{Body, HttpBody as _};
use axum::extract::{FromRequestParts, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header, uri};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};

use crate::assets::fingerprint;
use crate::error::{Error, Failed};
use crate::request::Ask;
use crate::site::SharedSite;

/// Path of a request as the reader sees it, without the prefix.
#[derive(Debug, Clone)]
pub(crate) struct OriginalPath(pub(crate) String);

/// Largest answer that gets an entity tag; larger ones are passed on as they come.
const LARGEST_TAGGED: usize = 64 << 20;

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

async fn finish(State(site): State<SharedSite>, request: Request, next: Next) -> Response {
    let method = request.method().clone();
    let if_none_match = request.headers().get(header::IF_NONE_MATCH).cloned();
    let (mut parts, body) = request.into_parts();
    let Ok(ask) = Ask::from_request_parts(&mut parts, &()).await;
    let mut response = if ask.is_impossible() {
        Error::bad_request(
            "This address cannot mean anything",
            "It has a character in it that no name has. Go on from the front page.",
        )
        .into_response()
    } else {
        next.run(Request::from_parts(parts, body)).await
    };
    if let Some(Failed(error)) = response.extensions_mut().remove::<Failed>() {
        response = failure(&site, &ask, &error).await;
    } else if response.status().is_client_error() {
        // What the framework refuses before we are asked: names that are not UTF-8, forms that are none.
        let error = Error::bad_request(
            "This request cannot be understood",
            "A part of it is not text in UTF-8, or not a form. Go on from the front page.",
        );
        response = failure(&site, &ask, &error).await;
    }
    if method == Method::GET && response.status() == StatusCode::OK {
        response = tagged(response, if_none_match.as_ref()).await;
    }
    secure(response.headers_mut());
    response
}

/// The answer for an error: JSON below `/api/`, a page elsewhere.
async fn failure(site: &SharedSite, ask: &Ask, error: &Error) -> Response {
    let status = error.status();
    if ask.path.starts_with("/api/") {
        let (title, advice) = error.words();
        let body = serde_json::json!({ "error": title, "advice": advice });
        return (status, axum::Json(body)).into_response();
    }
    let mut response = match site.error_page(ask, error).await {
        Ok(page) => (status, html(page)).into_response(),
        // The template of errors itself: nothing is left but plain words.
        Err(_) => (status, error.words().0).into_response(),
    };
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("30"));
    }
    response
}

/// An HTML answer.
pub(crate) fn html(page: String) -> Response {
    ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], page).into_response()
}

/// Adds an entity tag, and answers 304 when the reader has this very content already.
async fn tagged(response: Response, if_none_match: Option<&HeaderValue>) -> Response {
    if response.body().size_hint().lower() > LARGEST_TAGGED as u64 {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let content = match axum::body::to_bytes(body, LARGEST_TAGGED).await {
        Ok(content) => content,
        Err(error) => {
            tracing::error!(%error, "an answer could not be collected");
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        }
    };
    let tag = format!("W/\"{}\"", fingerprint(&content));
    if !parts.headers.contains_key(header::CACHE_CONTROL) {
        parts.headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    }
    let same = if_none_match
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.split(',').any(|candidate| candidate.trim() == tag));
    if let Ok(value) = HeaderValue::from_str(&tag) {
        parts.headers.insert(header::ETAG, value);
    }
    if same {
        parts.status = StatusCode::NOT_MODIFIED;
        parts.headers.remove(header::CONTENT_LENGTH);
        parts.headers.remove(header::CONTENT_TYPE);
        return Response::from_parts(parts, Body::empty());
    }
    Response::from_parts(parts, Body::from(content))
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
    headers.append(header::VARY, HeaderValue::from_static("Cookie"));
}
