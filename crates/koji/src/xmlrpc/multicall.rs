//! `multiCall`: many calls in one request, and their answers in one.
//!
//! The request has one parameter, an array of {methodName, params}; keywords stay inside the params. The result has one
//! entry per call in the same order: an array of one value, or a struct with a fault.

use thiserror::Error;

use super::encode::members_of;
use super::{MethodCall, Response, Struct, Value, decode};

/// The name under which Koji's client calls it.
const MULTICALL: &str = "multiCall";

/// Why a multicall, or the answer to one, cannot be taken apart.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error("malformed multicall: {0}")]
pub struct Malformed(pub(crate) String);

/// Whether this method takes many calls at once: `multiCall` or its alias `system.multicall`.
pub fn is_multicall(method: &str) -> bool {
    matches!(method, MULTICALL | "system.multicall")
}

/// The request that carries these calls.
pub fn multicall(calls: impl IntoIterator<Item = MethodCall>) -> MethodCall {
    let entry = |call: MethodCall| {
        Value::Struct(Struct::from([
            ("methodName", call.method.into()),
            ("params", Value::Array(call.params)),
        ]))
    };
    MethodCall::new(MULTICALL, vec![Value::Array(calls.into_iter().map(entry).collect())])
}

/// The calls that a multicall request carries: a hub's side. Each entry may be malformed on its own.
pub fn calls_of_multicall(
    call: &MethodCall,
) -> Result<Vec<Result<MethodCall, Malformed>>, Malformed> {
    match call.params.as_slice() {
        [Value::Array(entries)] => Ok(entries.iter().map(call_of_entry).collect()),
        _ => Err(Malformed("its parameter must be one array".to_owned())),
    }
}

fn call_of_entry(entry: &Value) -> Result<MethodCall, Malformed> {
    let member = |name: &str| {
        entry.get(name).ok_or_else(|| Malformed(format!("an entry lacks the member '{name}'")))
    };
    match (member("methodName")?, member("params")?) {
        (Value::String(method), Value::Array(params)) => {
            Ok(MethodCall::new(method, params.clone()))
        }
        _ => Err(Malformed("methodName must be a string and params an array".to_owned())),
    }
}

/// The entry of a multicall's result for the answer of one call: a hub's side. A real hub adds a `traceback` to faults:
/// an array of its lines, which nobody reads; here it is empty.
pub fn entry_of_answer(answer: Response) -> Value {
    match answer {
        Ok(value) => Value::Array(vec![value]),
        Err(fault) => Value::Struct(members_of(&fault).with("traceback", Value::Array(Vec::new()))),
    }
}

/// The answers in a multicall's result, one per call.
pub fn answers(result: Value, calls: usize) -> Result<Vec<Response>, Malformed> {
    let Value::Array(entries) = result else {
        return Err(Malformed(format!("its result is a {}, not an array", result.kind())));
    };
    if entries.len() != calls {
        return Err(Malformed(format!("{calls} calls, but {} answers", entries.len())));
    }
    entries.into_iter().map(answer_of_entry).collect()
}

fn answer_of_entry(entry: Value) -> Result<Response, Malformed> {
    match entry {
        Value::Array(mut values) if values.len() == 1 => Ok(Ok(values.pop().unwrap_or_default())),
        Value::Struct(_) => decode::fault(&entry).map(Err).ok_or_else(|| {
            Malformed("a fault among the answers lacks its code or text".to_owned())
        }),
        other => Err(Malformed(format!(
            "an answer is a {} of another shape than expected",
            other.kind()
        ))),
    }
}
