//! XML-RPC as Koji speaks it: values, calls, answers, and their XML in both directions.
//!
//! Koji's dialect is the standard plus `nil` and `i8`. This module knows nothing of sessions or HTTP, so that a client and
//! a hub use the same code. `dateTime.iso8601` and `base64`, which no call of Koji sends, are read as the text they hold.

mod bridge;
mod decode;
mod encode;
mod multicall;
mod structure;

use std::fmt;

pub use bridge::{Unexpected, from_value, to_value};
pub use decode::{DecodeError, Limits, decode_call, decode_response};
pub use encode::{encode_call, encode_response};
pub use multicall::{
    Malformed, answers, calls_of_multicall, entry_of_answer, is_multicall, multicall,
};
pub use structure::Struct;

/// One value on the wire.
#[derive(Clone, PartialEq, Debug, Default)]
pub enum Value {
    /// `<nil/>`: no value. Almost any field of Koji may be nil.
    #[default]
    Nil,
    /// `<boolean>`.
    Bool(bool),
    /// `<int>` when it fits 32 bits, else `<i8>`.
    Int(i64),
    /// `<double>`; times named `*_ts` are seconds since 1970 of this type.
    Double(f64),
    /// `<string>`, and text without any type.
    String(String),
    /// `<array>`.
    Array(Vec<Value>),
    /// `<struct>`.
    Struct(Struct),
}

impl Value {
    /// The name of the type, for messages about a value that is of another type than expected.
    pub fn kind(&self) -> &'static str {
        match self {
            Value::Nil => "nil",
            Value::Bool(_) => "boolean",
            Value::Int(_) => "int",
            Value::Double(_) => "double",
            Value::String(_) => "string",
            Value::Array(_) => "array",
            Value::Struct(_) => "struct",
        }
    }

    /// Whether this is nil.
    pub fn is_nil(&self) -> bool {
        matches!(self, Value::Nil)
    }

    /// The boolean, if this is one.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Value::Bool(value) => Some(*value),
            _ => None,
        }
    }

    /// The number, if this is an int.
    pub fn as_int(&self) -> Option<i64> {
        match self {
            Value::Int(value) => Some(*value),
            _ => None,
        }
    }

    /// The number, if this is a double or an int.
    pub fn as_double(&self) -> Option<f64> {
        match self {
            Value::Double(value) => Some(*value),
            Value::Int(value) => Some(*value as f64),
            _ => None,
        }
    }

    /// The text, if this is a string.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::String(value) => Some(value),
            _ => None,
        }
    }

    /// The elements, if this is an array.
    pub fn as_array(&self) -> Option<&[Value]> {
        match self {
            Value::Array(values) => Some(values),
            _ => None,
        }
    }

    /// The members, if this is a struct.
    pub fn as_struct(&self) -> Option<&Struct> {
        match self {
            Value::Struct(members) => Some(members),
            _ => None,
        }
    }

    /// The member `name`, if this is a struct that has it.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.as_struct()?.get(name)
    }
}

macro_rules! value_from {
    ($($from:ty => |$value:ident| $to:expr),* $(,)?) => {
        $(impl From<$from> for Value {
            fn from($value: $from) -> Value {
                $to
            }
        })*
    };
}

value_from! {
    bool => |value| Value::Bool(value),
    i32 => |value| Value::Int(value.into()),
    i64 => |value| Value::Int(value),
    u32 => |value| Value::Int(value.into()),
    f64 => |value| Value::Double(value),
    &str => |value| Value::String(value.to_owned()),
    String => |value| Value::String(value),
    Struct => |value| Value::Struct(value),
}

impl<T: Into<Value>> From<Vec<T>> for Value {
    fn from(values: Vec<T>) -> Value {
        Value::Array(values.into_iter().map(Into::into).collect())
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Value {
        value.map_or(Value::Nil, Into::into)
    }
}

/// A call: the method's name and its positional parameters.
///
/// Keyword arguments travel as one last parameter: a struct with the keywords and the member `__starstar` = true.
/// `Debug` shows only how many parameters there are, because those of a login are secret.
#[derive(Clone, PartialEq)]
pub struct MethodCall {
    /// Such as `getTaskInfo`.
    pub method: String,
    /// As on the wire: keywords, if any, are still in the last parameter.
    pub params: Vec<Value>,
}

/// The member that marks a last parameter as keyword arguments.
const KEYWORDS_MARK: &str = "__starstar";

impl MethodCall {
    /// A call with positional parameters only.
    pub fn new(method: impl Into<String>, params: Vec<Value>) -> MethodCall {
        MethodCall { method: method.into(), params }
    }

    /// The same call with keyword arguments appended (none: nothing is appended).
    #[must_use]
    pub fn with_keywords(mut self, keywords: Struct) -> MethodCall {
        if !keywords.is_empty() {
            self.params.push(Value::Struct(keywords.with(KEYWORDS_MARK, true)));
        }
        self
    }

    /// Positional parameters and keyword arguments, as a hub takes them apart.
    ///
    /// Only a last parameter that is a struct with a true `__starstar` is keywords; the mark is taken out.
    pub fn arguments(&self) -> (Vec<Value>, Struct) {
        split_keywords(self.params.clone())
    }
}

/// Takes keyword arguments, if there are any, out of a list of parameters: see [`MethodCall::arguments`].
///
/// The requests of stored tasks hold them in the same form.
pub fn split_keywords(mut params: Vec<Value>) -> (Vec<Value>, Struct) {
    match params.pop() {
        None => (params, Struct::default()),
        Some(Value::Struct(mut last)) if last.get(KEYWORDS_MARK).is_some_and(is_true) => {
            last.remove(KEYWORDS_MARK);
            (params, last)
        }
        Some(last) => {
            params.push(last);
            (params, Struct::default())
        }
    }
}

/// True as Python sees it, for the two types that `__starstar` is sent as.
fn is_true(value: &Value) -> bool {
    match value {
        Value::Bool(value) => *value,
        Value::Int(value) => *value != 0,
        _ => false,
    }
}

impl fmt::Debug for MethodCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({} parameters)", self.method, self.params.len())
    }
}

/// The hub's refusal of a call, or what a failed task left as its result.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fault {
    /// Koji's number of the exception's class, such as 1000 (GenericError).
    pub code: i64,
    /// The exception's text; for code 1 it may be a traceback of many lines.
    pub text: String,
}

impl Fault {
    /// A fault with this code and text.
    pub fn new(code: i64, text: impl Into<String>) -> Fault {
        Fault { code, text: text.into() }
    }
}

/// What a call was answered with.
pub type Response = Result<Value, Fault>;
