//! The hub's methods: finding the one that is called, sessions, multiCall, and the commit before the answer.

mod answers;
pub(crate) mod arguments;
mod builds;
mod changes;
mod queries;
mod rpms;
mod sessions;
mod table;
mod tags;
mod tasks;

use serde_json::{Value, json};

pub(crate) use answers::{repo_info, time_text};
use arguments::{Answer, Arguments, Fault};
pub(crate) use sessions::Credentials;

use crate::engine::Engine;
use crate::rows::Session;

/// One call being answered.
pub(crate) struct Call<'e> {
    pub(crate) engine: &'e mut Engine,
    /// The caller's session, if any.
    pub(crate) session: Option<Session>,
    pub(crate) arguments: Arguments,
}

impl Call<'_> {
    /// The caller's user id; nobody is refused.
    fn user(&self) -> Result<i64, Fault> {
        let nobody = || Fault::not_allowed("you must be logged in for this operation");
        self.session.as_ref().map(|session| session.user).ok_or_else(nobody)
    }

    fn has_permission(&self, permission: &str) -> bool {
        self.session
            .as_ref()
            .and_then(|session| self.engine.store.users.get(session.user))
            .is_some_and(|user| {
                user.permissions.contains("admin") || user.permissions.contains(permission)
            })
    }

    fn assert_permission(&self, permission: &str) -> Result<i64, Fault> {
        let user = self.user()?;
        if self.has_permission(permission) {
            return Ok(user);
        }
        let name = self.engine.user_name(user);
        Err(Fault::not_allowed(format!("{permission} permission required (logged in as {name})")))
    }
}

impl Engine {
    /// Answers one request: session, method, and everything durable before the answer is given.
    pub(crate) fn answer(
        &mut self,
        method: &str,
        params: Vec<Value>,
        credentials: &Credentials,
    ) -> Answer {
        let told = self.told();
        let savepoint = self.store.savepoint();
        let mut result = self.find_session(credentials, method).and_then(|session| {
            self.dispatch(method, params, session.clone(), credentials, 0)
                .map(|value| (value, session))
        });
        // Renewing a session is no call of the session: its number is not kept.
        let is_login = matches!(method, "login" | "sslLogin");
        if let Ok((_, Some(session))) = &result
            && !is_login
            && self.store.is_changed()
            && let Some(callnum) = credentials.callnum
        {
            self.store.sessions.change(session.id, |row| row.callnum = Some(callnum));
        }
        if result.is_err() {
            self.store.rollback(savepoint);
            self.untell(told);
            self.find_active();
        }
        if let Err(error) = self.commit() {
            tracing::error!("{error}");
            // 1014 promises that nothing was executed.
            self.store.rollback(savepoint);
            self.untell(told);
            self.find_active();
            result = Err(Fault::new(1014, "database outage"));
        }
        result.map(|(value, _)| value)
    }

    fn dispatch(
        &mut self,
        method: &str,
        mut params: Vec<Value>,
        session: Option<Session>,
        credentials: &Credentials,
        depth: usize,
    ) -> Answer {
        match method {
            "multiCall" | "system.multicall" => {
                let calls = match (params.pop(), params.is_empty()) {
                    (Some(Value::Array(calls)), true) => calls,
                    _ => return Err(Fault::parameter("multiCall() takes one list of calls")),
                };
                if depth > 3 {
                    return Err(Fault::generic("multiCall is nested too deeply"));
                }
                Ok(Value::Array(
                    calls
                        .into_iter()
                        .map(|call| self.one_of_many(call, session.clone(), credentials, depth))
                        .collect(),
                ))
            }
            "echo" => {
                let marked = params.last().and_then(|last| last.get("__starstar")).is_some();
                if marked && let Some(Value::Object(last)) = params.last() {
                    let name =
                        last.keys().find(|name| *name != "__starstar").cloned().unwrap_or_default();
                    let text =
                        format!("RootExports.echo() got an unexpected keyword argument '{name}'");
                    return Err(Fault::parameter(text));
                }
                Ok(Value::Array(params))
            }
            "login" | "sslLogin" => self.log_in(method, params, session, credentials),
            _ => {
                let Some(entry) = table::find(method) else {
                    return Err(Fault::generic(format!("Invalid method: {method}")));
                };
                let arguments = Arguments::bind(entry.signature, params)?;
                (entry.run)(&mut Call { engine: self, session, arguments })
            }
        }
    }

    /// A call inside a multiCall: what a failing one did is taken back, the others stay.
    fn one_of_many(
        &mut self,
        call: Value,
        session: Option<Session>,
        credentials: &Credentials,
        depth: usize,
    ) -> Value {
        let savepoint = self.store.savepoint();
        let told = self.told();
        let answer = match call {
            Value::Object(mut call) => match (call.remove("methodName"), call.remove("params")) {
                (Some(Value::String(method)), Some(Value::Array(params))) => {
                    self.dispatch(&method, params, session, credentials, depth + 1)
                }
                _ => Err(Fault::new(1, "<class 'KeyError'>: 'methodName'")),
            },
            _ => Err(Fault::new(1, "<class 'TypeError'>: a call must be a struct")),
        };
        match answer {
            Ok(value) => json!([value]),
            Err(Fault { code, text }) => {
                self.store.rollback(savepoint);
                self.untell(told);
                self.find_active();
                let last = format!("koji fault {code}: {text}\n");
                json!({"faultCode": code, "faultString": text, "traceback": ["Traceback (most recent call last):\n", last]})
            }
        }
    }
}
