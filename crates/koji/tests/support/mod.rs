//! A hub small enough to be read at one glance: it keeps the rules of sessions and call numbers, counts what it executes,
//! and misbehaves as told. One thread per connection, plain sockets, so that a test can break any of them at any point.

#![allow(dead_code, reason = "each test file uses its own part")]

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use koji::xmlrpc::{
    Fault, Limits, MethodCall, Response, Struct, Value, calls_of_multicall, decode_call,
    encode_response, entry_of_answer, is_multicall,
};
use koji::{Client, ClientConfig, Login, Secret, SessionOptions};

/// What happens to the next request instead of what should.
#[derive(Clone, Debug)]
pub(crate) enum Trouble {
    /// None: the request is answered.
    None,
    /// The connection is closed; the call is not executed.
    LostBefore,
    /// The call is executed, then the connection is closed without an answer.
    LostAfter,
    /// The call is executed, then the connection is closed in the middle of the answer.
    CutAfter,
    /// The call is executed and answered, then the connection is closed without a word.
    ClosedAfterAnswer,
    /// This fault; the call is not executed.
    Fault(i64, &'static str),
    /// This HTTP status, before (false) or after (true) the call is executed.
    Status(u16, bool),
    /// The call is executed, and something that is not XML-RPC is the answer.
    Garbage,
    /// The session is forgotten before the call comes.
    SessionForgotten,
    /// The call is executed, the answer is lost, and the session is forgotten.
    LostAfterAndSessionForgotten,
    /// The call is executed and answered after so long.
    Slow(Duration),
    /// Nothing comes back for so long, and then the end.
    Silence(Duration),
}

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) path: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) call: MethodCall,
    /// Which connection, counted from 0.
    pub(crate) connection: usize,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(header, _)| header.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    pub(crate) fn number(&self) -> Option<i64> {
        self.header("Koji-Session-Callnum").map(|number| number.parse().unwrap())
    }
}

#[derive(Default)]
pub(crate) struct State {
    pub(crate) troubles: VecDeque<Trouble>,
    pub(crate) seen: Vec<Seen>,
    /// Methods that changed something, in order.
    pub(crate) executed: Vec<String>,
    session: Option<(i64, String)>,
    stored_number: Option<i64>,
    sessions_made: i64,
    connections: usize,
    /// Whether logins are answered as by a hub before 1.31.
    pub(crate) old_logins: bool,
    /// Requests under way now, and the most there ever were.
    pub(crate) under_way: usize,
    pub(crate) most_under_way: usize,
    /// Clients that went away while they waited.
    pub(crate) gone: usize,
}

#[derive(Clone)]
pub(crate) struct Hub {
    pub(crate) url: String,
    state: Arc<Mutex<State>>,
}

impl Hub {
    pub(crate) fn start() -> Hub {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/kojihub", listener.local_addr().unwrap());
        let hub = Hub { url, state: Arc::default() };
        let accepting = hub.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let serving = accepting.clone();
                let connection = {
                    let mut state = serving.state();
                    state.connections += 1;
                    state.connections - 1
                };
                std::thread::spawn(move || serving.serve(stream.unwrap(), connection));
            }
        });
        hub
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub(crate) fn troubles(&self, troubles: impl IntoIterator<Item = Trouble>) {
        self.state().troubles.extend(troubles);
    }

    /// How often the hub executed this method.
    pub(crate) fn executed(&self, method: &str) -> usize {
        self.state().executed.iter().filter(|executed| *executed == method).count()
    }

    /// The requests for this method, in order.
    pub(crate) fn seen(&self, method: &str) -> Vec<Seen> {
        let state = self.state();
        state.seen.iter().filter(|seen| seen.call.method == method).cloned().collect()
    }

    pub(crate) fn config(&self) -> ClientConfig {
        let session = SessionOptions {
            timeout: Duration::from_secs(20),
            max_retries: 5,
            retry_interval: Duration::from_millis(10),
            anon_retry: true,
            offline_retry: true,
            offline_retry_interval: Duration::from_millis(10),
            give_up_after: None,
            sign_of_life_after: None,
        };
        ClientConfig { session, ..ClientConfig::anonymous(&self.url) }
    }

    pub(crate) fn anonymous(&self) -> Client {
        Client::new(self.config())
    }

    pub(crate) fn login() -> Login {
        Login::Password { user: "koschei".to_owned(), password: Secret::new("geheim") }
    }

    pub(crate) fn logged_in(&self) -> Client {
        Client::new(ClientConfig { login: Hub::login(), ..self.config() })
    }

    fn serve(&self, mut stream: TcpStream, connection: usize) {
        stream.set_nodelay(true).unwrap();
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        while let Some((path, headers, body)) = read_request(&mut reader) {
            let call = decode_call(&body, Limits::REQUEST).unwrap();
            let seen = Seen { path, headers, call, connection };
            let trouble = {
                let mut state = self.state();
                state.seen.push(seen.clone());
                state.under_way += 1;
                state.most_under_way = state.most_under_way.max(state.under_way);
                state.troubles.pop_front().unwrap_or(Trouble::None)
            };
            if let Trouble::Slow(duration) = trouble {
                std::thread::sleep(duration);
            }
            // Before the answer: who gets it may send the next request at once.
            self.state().under_way -= 1;
            if !self.react(&mut stream, &seen, trouble) {
                return;
            }
        }
    }

    /// Whether the connection stays.
    fn react(&self, stream: &mut TcpStream, seen: &Seen, trouble: Trouble) -> bool {
        match trouble {
            Trouble::None | Trouble::Slow(_) => {
                answer(stream, 200, "text/xml", &encode_response(&self.execute(seen)))
            }
            Trouble::LostBefore => false,
            Trouble::LostAfter => {
                let _ = self.execute(seen);
                false
            }
            Trouble::LostAfterAndSessionForgotten => {
                let _ = self.execute(seen);
                self.state().session = None;
                false
            }
            Trouble::CutAfter => {
                let body = encode_response(&self.execute(seen));
                let head = format!(
                    "HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: {}\r\n\r\n",
                    body.len()
                );
                stream.write_all(head.as_bytes()).unwrap();
                stream.write_all(&body[..body.len() / 2]).unwrap();
                false
            }
            Trouble::ClosedAfterAnswer => {
                let response = encode_response(&self.execute(seen));
                answer(stream, 200, "text/xml", &response);
                false
            }
            Trouble::Fault(code, text) => {
                let response = encode_response(&Err(Fault::new(code, text)));
                answer(stream, 200, "text/xml", &response)
            }
            Trouble::Status(status, executed) => {
                if executed {
                    let _ = self.execute(seen);
                }
                answer(stream, status, "text/html", b"<html>no</html>")
            }
            Trouble::Garbage => {
                let _ = self.execute(seen);
                answer(stream, 200, "text/html", b"<html><p>Welcome to the hotel</html>")
            }
            Trouble::SessionForgotten => {
                self.state().session = None;
                answer(stream, 200, "text/xml", &encode_response(&self.execute(seen)))
            }
            Trouble::Silence(duration) => {
                stream.set_read_timeout(Some(duration)).unwrap();
                // The client sends nothing more: what ends this is the time or the client's end of the connection.
                if let Ok(0) = stream.read(&mut [0]) {
                    self.state().gone += 1;
                }
                false
            }
        }
    }

    /// As a hub does: the session first, then the call's number, then the call.
    fn execute(&self, seen: &Seen) -> Response {
        let mut state = self.state();
        if matches!(seen.call.method.as_str(), "login" | "sslLogin") {
            state.sessions_made += 1;
            let (id, key) = (state.sessions_made, format!("key-{}", state.sessions_made));
            state.session = Some((id, key.clone()));
            state.stored_number = None;
            let mut answer = Struct::from([("session-id", id.into()), ("session-key", key.into())]);
            if !state.old_logins {
                answer.insert("header-auth", true);
            }
            return Ok(answer.into());
        }
        let session = match (seen.header("Koji-Session-Id"), seen.header("Koji-Session-Key")) {
            (Some(id), Some(key)) => Some((id.to_owned(), key.to_owned(), seen.number())),
            _ => session_of_query(&seen.path),
        };
        let mut number = None;
        if let Some((id, key, sent)) = session {
            let known = state
                .session
                .as_ref()
                .is_some_and(|(known, known_key)| known.to_string() == id && *known_key == key);
            if !known {
                return Err(Fault::new(1002, "Invalid session or bad credentials"));
            }
            let sent = sent.expect("a session's call without a number is not protected");
            match state.stored_number {
                Some(stored) if sent < stored => {
                    return Err(Fault::new(1008, format!("{stored} > {sent} (session {id})")));
                }
                Some(stored) if sent == stored => {
                    return Err(Fault::new(1009, format!("unable to retry call {sent}")));
                }
                _ => number = Some(sent),
            }
        }
        if is_multicall(&seen.call.method) {
            let calls = calls_of_multicall(&seen.call).unwrap();
            let answers = calls
                .into_iter()
                .map(|call| entry_of_answer(run(&mut state, &call.unwrap(), number)));
            return Ok(Value::Array(answers.collect()));
        }
        run(&mut state, &seen.call, number)
    }
}

/// Calls that change something store their number; others may be repeated freely.
fn run(state: &mut State, call: &MethodCall, number: Option<i64>) -> Response {
    match call.method.as_str() {
        "getLoggedInUser" if number.is_none() => Ok(Value::Nil),
        "getLoggedInUser" => Ok(Struct::from([
            ("id", 2.into()),
            ("name", "koschei".into()),
            ("status", 0.into()),
            ("usertype", 0.into()),
            ("krb_principals", Value::Array(vec![])),
        ])
        .into()),
        "getChannel" if call.params == ["broken".into()] => Err(Fault::new(1000, "no such thing")),
        "getChannel" => Ok(Value::Nil),
        "getTag" => Ok("not a tag at all".into()),
        "logout" => {
            state.session = None;
            Ok(Value::Nil)
        }
        method => {
            if number.is_none() {
                return Err(Fault::new(1004, "you must be logged in for this operation"));
            }
            state.executed.push(method.to_owned());
            state.stored_number = number;
            match method {
                "build" => Ok((100 + state.executed.len() as i64).into()),
                _ => Ok(Value::Nil),
            }
        }
    }
}

fn session_of_query(path: &str) -> Option<(String, String, Option<i64>)> {
    let (_, query) = path.split_once('?')?;
    let value = |name: &str| {
        let found = query.split('&').find_map(|pair| pair.strip_prefix(&format!("{name}=")));
        found.map(str::to_owned)
    };
    let number = value("callnum").map(|number| number.parse().unwrap());
    Some((value("session-id")?, value("session-key")?, number))
}

type RawRequest = (String, Vec<(String, String)>, Vec<u8>);

fn read_request(reader: &mut BufReader<TcpStream>) -> Option<RawRequest> {
    let mut line = String::new();
    if reader.read_line(&mut line).ok()? == 0 {
        return None;
    }
    let path = line.split_whitespace().nth(1)?.to_owned();
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        match line.trim_end().split_once(':') {
            Some((name, value)) => headers.push((name.to_owned(), value.trim().to_owned())),
            None => break,
        }
    }
    let length = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let mut body = vec![0; length?.1.parse().ok()?];
    reader.read_exact(&mut body).ok()?;
    Some((path, headers, body))
}

fn answer(stream: &mut TcpStream, status: u16, content_type: &str, body: &[u8]) -> bool {
    let head = format!(
        "HTTP/1.1 {status} Whatever\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).is_ok() && stream.write_all(body).is_ok()
}
