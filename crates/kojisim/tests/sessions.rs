//! Sessions, call numbers, multiCall and bad days, by the rules of the real hub.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "functions that tests share say what they expect, as the test does"
)]

mod common;

use std::net::SocketAddr;
use std::time::Duration;

use common::{Login, call, http, keywords, login, members};
use koji::xmlrpc::{self, Limits, MethodCall, Response, Value};
use kojisim::{Mishap, Options, Sim};

/// Runs a test's calls, which wait for the hub, beside the hub.
async fn with_hub(test: impl FnOnce(&Sim, SocketAddr) + Send + 'static) {
    let directory = tempfile::tempdir().unwrap();
    let sim = Sim::start(Options::for_tests(directory.path())).await.unwrap();
    let sim = tokio::task::spawn_blocking(move || {
        test(&sim, sim.address());
        sim
    })
    .await
    .unwrap();
    sim.stop().await;
}

fn fault(answer: Response) -> (i64, String) {
    let fault = answer.unwrap_err();
    (fault.code, fault.text)
}

/// A call that commits: a build of nothing, which fails later.
fn submit(address: SocketAddr, login: &Login, callnum: i64) -> Response {
    call(address, Some((login, callnum)), "build", vec!["x.src.rpm".into(), "buyan2".into()])
        .unwrap()
}

fn whoami(address: SocketAddr, login: &Login, callnum: i64) -> Response {
    call(address, Some((login, callnum)), "getLoggedInUser", vec![]).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn call_numbers_protect_what_was_committed() {
    with_hub(|_, address| {
        let login = login(address, "koschei").unwrap();
        let id = login.id;
        // Calls that only ask may be repeated freely.
        assert!(whoami(address, &login, 100).is_ok());
        assert!(whoami(address, &login, 100).is_ok());
        assert!(submit(address, &login, 100).is_ok());
        let expected = format!("unable to retry call 100 (method build) for session {id}");
        assert_eq!(fault(submit(address, &login, 100)), (1009, expected));
        assert_eq!(fault(whoami(address, &login, 99)), (1008, format!("100 > 99 (session {id})")));
        // A refused call does not use its number up.
        let refused = call(address, Some((&login, 105)), "createTag", vec!["mine".into()]).unwrap();
        assert_eq!(
            fault(refused),
            (1004, "tag permission required (logged in as koschei)".to_owned())
        );
        assert!(submit(address, &login, 105).is_ok());
        assert!(submit(address, &login, 200).is_ok());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_end_and_are_renewed() {
    with_hub(|sim, address| {
        let first = login(address, "koschei").unwrap();
        assert!(submit(address, &first, 2).is_ok());
        let again =
            call(address, Some((&first, 3)), "login", vec!["koschei".into(), "koschei".into()])
                .unwrap();
        assert_eq!(fault(again), (1002, "Already logged in".to_owned()));

        sim.expire_sessions("koschei");
        assert_eq!(
            fault(whoami(address, &first, 3)),
            (1007, format!("session \"{}\" has expired", first.id))
        );
        let renew = keywords([("renew", true.into()), ("exclusive", false.into())]);
        let answer = call(
            address,
            Some((&first, 3)),
            "login",
            vec!["koschei".into(), "koschei".into(), renew],
        )
        .unwrap()
        .unwrap();
        assert_eq!(answer.get("session-id").and_then(Value::as_int), Some(first.id));
        let renewed = Login {
            id: first.id,
            key: answer.get("session-key").and_then(Value::as_str).unwrap().to_owned(),
        };
        let gone = (1002, "Invalid session or bad credentials".to_owned());
        assert_eq!(fault(whoami(address, &first, 4)), gone);
        assert!(whoami(address, &renewed, 4).is_ok());
        // The stored number stays: a client that begins at 0 again is refused.
        assert_eq!(fault(whoami(address, &renewed, 0)).0, 1008);

        let out = call(address, Some((&renewed, 5)), "logout", vec![]).unwrap();
        assert_eq!(out, Ok(Value::Nil));
        assert_eq!(fault(whoami(address, &renewed, 6)), gone);

        let one = login(address, "koschei").unwrap();
        let other = login(address, "koschei").unwrap();
        assert!(call(address, Some((&one, 1)), "exclusiveSession", vec![]).unwrap().is_ok());
        assert_eq!(
            fault(whoami(address, &other, 1)),
            (1006, "User locked by another session".to_owned())
        );
        sim.close_sessions("koschei");
        assert_eq!(fault(whoami(address, &one, 2)), gone);
    })
    .await;
}

fn post(address: SocketAddr, path: &str, extra: &str, method: &str) -> Response {
    let body = xmlrpc::encode_call(&MethodCall::new(method, vec![]));
    let head = format!("POST {path} HTTP/1.1\r\nContent-Type: text/xml{extra}");
    let answer = http(address, &head, &body).unwrap();
    xmlrpc::decode_response(&answer.body, Limits::RESPONSE).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_come_in_headers_or_in_the_query() {
    with_hub(|_, address| {
        let Login { id, key } = login(address, "koschei").unwrap();
        let path = format!("/kojihub?session-id={id}&session-key={key}&callnum=0");
        let user = post(address, &path, "", "getLoggedInUser").unwrap();
        assert_eq!(user.get("name"), Some(&Value::from("koschei")));
        let half = post(address, "/kojihub?session-id=5", "", "getLoggedInUser");
        assert_eq!(fault(half), (1002, "'session-key' not specified in session args".to_owned()));
        let half =
            post(address, "/kojihub", &format!("\r\nKoji-Session-Id: {id}"), "getLoggedInUser");
        assert_eq!(fault(half).0, 1);
        let odd = format!("\r\nKoji-Session-Id: abc\r\nKoji-Session-Key: {key}");
        let (code, text) = fault(post(address, "/kojihub", &odd, "getLoggedInUser"));
        assert_eq!(code, 1);
        assert!(
            text.contains("ValueError: invalid literal for int() with base 10: 'abc'"),
            "{text}"
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn http_is_refused_as_by_the_real_hub() {
    with_hub(|_, address| {
        let answer = http(address, "GET /kojihub HTTP/1.1", b"").unwrap();
        assert_eq!(answer.status, 405);
        assert_eq!(
            String::from_utf8_lossy(&answer.body),
            "Method Not Allowed\nThis is an XML-RPC server. Only POST requests are accepted.\n"
        );
        let answer = http(address, "POST /kojihub HTTP/1.1", b"").unwrap();
        assert_eq!(
            (answer.status, &answer.body[..]),
            (400, &b"Invalid request: Empty request\n"[..])
        );
        for body in
            ["this is no XML", "<html></html>", "<!DOCTYPE a [<!ENTITY x 'y'>]><methodCall/>"]
        {
            let answer = http(address, "POST /kojihub HTTP/1.1", body.as_bytes()).unwrap();
            assert_eq!(answer.status, 400, "{body}");
            assert!(answer.body.starts_with(b"Invalid request: "), "{body}");
        }
        let body = xmlrpc::encode_call(&MethodCall::new("getAPIVersion", vec![]));
        let answer = http(address, "POST /kojihub HTTP/1.1", &body).unwrap();
        assert_eq!(answer.status, 200);
        let headers = answer.headers.to_lowercase();
        assert!(headers.contains("content-type: text/xml"), "{headers}");
        assert!(headers.contains("koji-version: 1.35.3"), "{headers}");
    })
    .await;
}

fn entry(method: &str, params: Vec<Value>) -> Value {
    members([("methodName", method.into()), ("params", Value::Array(params))])
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_multicall_a_failing_call_is_taken_back_alone() {
    with_hub(|_, address| {
        let admin = login(address, "kojiadmin").unwrap();
        let calls = vec![
            entry("createTag", vec!["one".into()]),
            // An entry of an inner multicall fails alone as well.
            entry(
                "multiCall",
                vec![Value::Array(vec![
                    entry("createTag", vec!["two".into()]),
                    entry("getTag", vec![]),
                ])],
            ),
            entry("createTag", vec!["one".into()]),
            entry("getTag", vec!["nosuchtag".into()]),
            entry("createTag", vec!["three".into()]),
        ];
        let answer = call(address, Some((&admin, 1)), "multiCall", vec![Value::Array(calls)])
            .unwrap()
            .unwrap();
        let entries = answer.as_array().unwrap();
        assert!(entries[0].as_array().is_some());
        assert_eq!(entries[2].get("faultCode").and_then(Value::as_int), Some(1000));
        assert!(entries[2].get("traceback").and_then(Value::as_array).is_some());
        assert_eq!(entries[3], Value::Array(vec![Value::Nil]));
        assert!(entries[4].as_array().is_some());
        let exists = |name: &str| {
            !call(address, None, "getTag", vec![name.into()]).unwrap().unwrap().is_nil()
        };
        assert!(exists("one") && exists("three"));
        // The whole request had one number.
        assert_eq!(fault(whoami(address, &admin, 0)).0, 1008);
        let empty = call(address, None, "multiCall", vec![Value::Array(vec![])]).unwrap();
        assert_eq!(empty, Ok(Value::Array(vec![])));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_days_come_when_asked_for() {
    with_hub(|sim, address| {
        let version = || call(address, None, "getAPIVersion", vec![]);
        sim.set_offline(Some("planned outage"));
        assert_eq!(fault(version().unwrap()), (1014, "planned outage".to_owned()));
        sim.set_offline(None);
        assert!(version().unwrap().is_ok());

        sim.drop_connections(Duration::from_secs(3600));
        assert!(version().is_err());
        sim.drop_connections(Duration::ZERO);
        assert!(version().unwrap().is_ok());

        sim.mishap(Some("getTag"), Mishap::Status(503));
        assert!(version().unwrap().is_ok(), "it waits for its method");
        let body = xmlrpc::encode_call(&MethodCall::new("getTag", vec!["buyan2".into()]));
        assert_eq!(http(address, "POST /kojihub HTTP/1.1", &body).unwrap().status, 503);
        assert_eq!(
            http(address, "POST /kojihub HTTP/1.1", &body).unwrap().status,
            200,
            "it happens once"
        );

        // The answer is lost, but the build is there, and the number is used up.
        let login = login(address, "koschei").unwrap();
        sim.mishap(Some("build"), Mishap::CutAnswer);
        let params = vec!["x.src.rpm".into(), "buyan2".into()];
        assert!(call(address, Some((&login, 1)), "build", params).is_err());
        assert_eq!(fault(submit(address, &login, 1)).0, 1009);

        sim.mishap(None, Mishap::Fault(1000, "a strange day".to_owned()));
        assert_eq!(fault(version().unwrap()), (1000, "a strange day".to_owned()));
    })
    .await;
}
