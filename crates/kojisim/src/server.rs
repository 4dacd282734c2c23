//! HTTP: the hub at /kojihub, files at /kojifiles, a page or two for people at /koji.

use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Query, Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use koji::xmlrpc::{self, Limits};

use crate::hub::Credentials;
use crate::hub::arguments::Fault;
use crate::pages;
use crate::sim::Shared;
use crate::weather::Mishap;
use crate::wire::{from_wire, to_wire};

/// The whole site.
pub(crate) fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/kojihub", any(hub))
        .route("/kojihub/", any(hub))
        .route("/kojihub/ssllogin", any(hub))
        .route("/kojifiles/{*path}", get(file))
        .route("/koji", get(pages::overview))
        .route("/koji/", get(pages::overview))
        .route("/koji/taskinfo", get(pages::task))
        .route("/koji/buildinfo", get(pages::build))
        .with_state(shared)
}

fn refuse(status: StatusCode, text: impl Into<String>) -> Response {
    (status, [(header::CONTENT_TYPE, "text/plain")], text.into()).into_response()
}

async fn hub(
    State(shared): State<Arc<Shared>>,
    Query(query): Query<HashMap<String, String>>,
    request: Request,
) -> Response {
    if request.method() != Method::POST {
        let text =
            "Method Not Allowed\nThis is an XML-RPC server. Only POST requests are accepted.\n";
        let mut response = refuse(StatusCode::METHOD_NOT_ALLOWED, text);
        response.headers_mut().insert(header::ALLOW, header::HeaderValue::from_static("POST"));
        return response;
    }
    let (parts, body) = request.into_parts();
    if !parts.headers.contains_key(header::CONTENT_LENGTH) {
        return refuse(StatusCode::LENGTH_REQUIRED, "Length Required\n");
    }
    let Ok(body) = to_bytes(body, Limits::REQUEST.bytes).await else {
        return refuse(StatusCode::BAD_REQUEST, "Invalid request: Request too long\n");
    };
    if body.is_empty() {
        return refuse(StatusCode::BAD_REQUEST, "Invalid request: Empty request\n");
    }
    let begun = Instant::now();
    let call = match xmlrpc::decode_call(&body, Limits::REQUEST) {
        Ok(call) => call,
        Err(error) => {
            return refuse(StatusCode::BAD_REQUEST, format!("Invalid request: {error}\n"));
        }
    };
    let mishap = shared.weather.mishap(&call.method);
    match &mishap {
        Some(Mishap::Status(status)) => {
            let status = StatusCode::from_u16(*status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            return (status, [(header::CONTENT_TYPE, "text/html")], format!("<h1>{status}</h1>\n"))
                .into_response();
        }
        Some(Mishap::Delay(time)) => tokio::time::sleep(*time).await,
        _ => {}
    }
    let within = faults_within(&shared, &call);
    let answer = match (&mishap, shared.weather.offline()) {
        (_, Some(reason)) => Err(xmlrpc::Fault::new(1014, reason)),
        (Some(Mishap::Fault(code, text)), _) => Err(xmlrpc::Fault::new(*code, text.clone())),
        _ => match credentials(&parts.headers, &query) {
            Ok(credentials) => execute(shared.clone(), call, credentials).await,
            Err(fault) => Err(xmlrpc::Fault::new(fault.code, fault.text)),
        },
    };
    let answer = answer.map(|answer| with_faults(answer, within));
    let body = Bytes::from(xmlrpc::encode_response(&answer));
    let spent = u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX);
    shared.spent.fetch_add(spent, Ordering::Relaxed);
    let content_type = match mishap {
        Some(Mishap::WrongContentType) => "text/html",
        _ => "text/xml",
    };
    let length = body.len();
    let body = if matches!(mishap, Some(Mishap::CutAnswer)) {
        let half = body.slice(..length / 2);
        let broken = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
        Body::from_stream(futures_util::stream::iter([Ok(half), Err(broken)]))
    } else {
        Body::from(body)
    };
    (
        [
            (header::CONTENT_TYPE.as_str(), content_type.to_owned()),
            (header::CONTENT_LENGTH.as_str(), length.to_string()),
            ("Koji-Version", crate::KOJI_VERSION.to_owned()),
        ],
        body,
    )
        .into_response()
}

/// Which calls of a multiCall are to be refused, by their place.
fn faults_within(shared: &Shared, call: &xmlrpc::MethodCall) -> Vec<(usize, xmlrpc::Fault)> {
    let (true, Some(xmlrpc::Value::Array(calls))) =
        (call.method == "multiCall", call.params.first())
    else {
        return Vec::new();
    };
    let fault = |call: &xmlrpc::Value| {
        let (code, text) = shared.weather.fault_within(call.get("methodName")?.as_str()?)?;
        Some(xmlrpc::Fault::new(code, text))
    };
    calls.iter().enumerate().filter_map(|(place, call)| Some((place, fault(call)?))).collect()
}

/// The answer of a multiCall in which some calls are refused.
fn with_faults(answer: xmlrpc::Value, faults: Vec<(usize, xmlrpc::Fault)>) -> xmlrpc::Value {
    let xmlrpc::Value::Array(mut answers) = answer else { return answer };
    for (place, fault) in faults {
        if let Some(answer) = answers.get_mut(place) {
            let refused =
                xmlrpc::Struct::new().with("faultCode", fault.code).with("faultString", fault.text);
            *answer = xmlrpc::Value::Struct(refused);
        }
    }
    xmlrpc::Value::Array(answers)
}

/// Runs a call under the engine's lock, on a thread that may wait.
async fn execute(
    shared: Arc<Shared>,
    call: xmlrpc::MethodCall,
    credentials: Credentials,
) -> xmlrpc::Response {
    let worker = tokio::task::spawn_blocking(move || {
        let params = call.params.into_iter().map(from_wire).collect();
        let answer = shared.with_engine(|engine| engine.answer(&call.method, params, &credentials));
        answer.map(to_wire).map_err(|Fault { code, text }| xmlrpc::Fault::new(code, text))
    });
    match worker.await {
        Ok(answer) => answer,
        Err(error) => Err(xmlrpc::Fault::new(1, format!("<class 'RuntimeError'>: {error}"))),
    }
}

/// Session headers, or the older form in the query.
fn credentials(headers: &HeaderMap, query: &HashMap<String, String>) -> Result<Credentials, Fault> {
    let header =
        |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let not_a_number = |text: &str| {
        Fault::new(
            1,
            format!(
                "Traceback (most recent call last):\n  File \"/usr/share/koji/kojihub/auth.py\", line 88, in __init__\n\
                 ValueError: invalid literal for int() with base 10: '{text}'\n"
            ),
        )
    };
    let number = |text: String| text.trim().parse::<i64>().map_err(|_| not_a_number(&text));
    let (id, key, callnum) = if let Some(id) = header("Koji-Session-Id") {
        let key = header("Koji-Session-Key")
            .ok_or_else(|| Fault::new(1, "<class 'KeyError'>: 'HTTP_KOJI_SESSION_KEY'"))?;
        (id, key, header("Koji-Session-Callnum"))
    } else if let Some(id) = query.get("session-id") {
        let key = query
            .get("session-key")
            .ok_or_else(|| Fault::new(1002, "'session-key' not specified in session args"))?;
        (id.clone(), key.clone(), query.get("callnum").cloned())
    } else {
        return Ok(Credentials::default());
    };
    Ok(Credentials {
        session: Some((number(id)?, key)),
        callnum: callnum.map(number).transpose()?,
        certificate_user: None,
    })
}

/// A file under topurl. Paths cannot leave the directory.
async fn file(
    State(shared): State<Arc<Shared>>,
    axum::extract::Path(path): axum::extract::Path<String>,
) -> Response {
    let Some(path) = safe(&shared.topdir, &path) else {
        return refuse(StatusCode::NOT_FOUND, "Not Found\n");
    };
    match tokio::fs::read(&path).await {
        Ok(bytes) => {
            let kind = match path.extension().and_then(|extension| extension.to_str()) {
                Some("xml") => "text/xml",
                Some("log" | "txt") => "text/plain; charset=utf-8",
                Some("gz") => "application/x-gzip",
                _ => "application/octet-stream",
            };
            ([(header::CONTENT_TYPE, kind)], bytes).into_response()
        }
        Err(_) => refuse(StatusCode::NOT_FOUND, "Not Found\n"),
    }
}

fn safe(topdir: &Path, path: &str) -> Option<PathBuf> {
    let relative = Path::new(path);
    let plain = relative.components().all(|component| matches!(component, Component::Normal(_)));
    plain.then(|| topdir.join(relative))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_outside_of_the_directory_are_not_served() {
        let top = Path::new("/top");
        assert_eq!(safe(top, "repos/a/1"), Some(PathBuf::from("/top/repos/a/1")));
        for path in ["../etc/passwd", "repos/../../etc/passwd", "/etc/passwd"] {
            assert_eq!(safe(top, path), None, "{path}");
        }
    }
}
