//! A bare XML-RPC client: one connection for each call, nothing repeated, nothing hidden.

#![allow(dead_code, reason = "each test file uses its own part")]

pub(crate) mod shapes;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use koji::xmlrpc::{self, Limits, MethodCall, Struct, Value};

/// An HTTP answer.
pub(crate) struct Http {
    pub(crate) status: u16,
    pub(crate) headers: String,
    pub(crate) body: Vec<u8>,
}

/// Sends a request as it is.
pub(crate) fn http(address: SocketAddr, head: &str, body: &[u8]) -> std::io::Result<Http> {
    let mut stream = TcpStream::connect(address)?;
    let request = format!(
        "{head}\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(request.as_bytes())?;
    stream.write_all(body)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n");
    let end = end.ok_or_else(|| std::io::Error::from(std::io::ErrorKind::UnexpectedEof))?;
    let headers = String::from_utf8_lossy(&answer[..end]).into_owned();
    let status = headers.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    let body = answer[end + 4..].to_vec();
    let length = headers.lines().find_map(|line| {
        line.to_lowercase()
            .strip_prefix("content-length:")
            .and_then(|text| text.trim().parse().ok())
    });
    if length.is_some_and(|length: usize| length != body.len()) {
        return Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof));
    }
    Ok(Http { status, headers, body })
}

/// A session, or none.
#[derive(Clone, Default)]
pub(crate) struct Login {
    pub(crate) id: i64,
    pub(crate) key: String,
}

/// One call; the outer error is of the network, the inner one a fault.
pub(crate) fn call(
    address: SocketAddr,
    login: Option<(&Login, i64)>,
    method: &str,
    params: Vec<Value>,
) -> std::io::Result<xmlrpc::Response> {
    let mut head = "POST /kojihub HTTP/1.1\r\nContent-Type: text/xml".to_owned();
    if let Some((login, callnum)) = login {
        head.push_str(&format!(
            "\r\nKoji-Session-Id: {}\r\nKoji-Session-Key: {}\r\nKoji-Session-Callnum: {callnum}",
            login.id, login.key
        ));
    }
    let body = xmlrpc::encode_call(&MethodCall::new(method, params));
    let answer = http(address, &head, &body)?;
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
    Ok(xmlrpc::decode_response(&answer.body, Limits::RESPONSE).unwrap())
}

/// Logs in by password, which is the user's name in Buyan.
pub(crate) fn login(address: SocketAddr, user: &str) -> std::io::Result<Login> {
    let answer = call(address, None, "login", vec![user.into(), user.into()])?.unwrap();
    let id = answer.get("session-id").and_then(Value::as_int).unwrap();
    let key = answer.get("session-key").and_then(Value::as_str).unwrap().to_owned();
    Ok(Login { id, key })
}

/// A struct.
pub(crate) fn members<const N: usize>(members: [(&str, Value); N]) -> Value {
    Value::Struct(Struct::from(members))
}

/// Keyword arguments.
pub(crate) fn keywords<const N: usize>(members: [(&str, Value); N]) -> Value {
    Value::Struct(Struct::from(members).with("__starstar", true))
}
