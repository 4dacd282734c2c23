//! Between the wire's values and the JSON that the hub thinks in. The two have the same shapes.

use koji::xmlrpc::{Struct, Value as Wire};
use serde_json::Value;

pub(crate) fn from_wire(value: Wire) -> Value {
    match value {
        Wire::Nil => Value::Null,
        Wire::Bool(value) => Value::Bool(value),
        Wire::Int(value) => Value::from(value),
        Wire::Double(value) => Value::from(value),
        Wire::String(text) => Value::String(text),
        Wire::Array(values) => Value::Array(values.into_iter().map(from_wire).collect()),
        Wire::Struct(members) => Value::Object(
            members.into_iter().map(|(name, value)| (name, from_wire(value))).collect(),
        ),
    }
}

pub(crate) fn to_wire(value: Value) -> Wire {
    match value {
        Value::Null => Wire::Nil,
        Value::Bool(value) => Wire::Bool(value),
        Value::Number(number) => match number.as_i64() {
            Some(number) => Wire::Int(number),
            None => Wire::Double(number.as_f64().unwrap_or_default()),
        },
        Value::String(text) => Wire::String(text),
        Value::Array(values) => Wire::Array(values.into_iter().map(to_wire).collect()),
        Value::Object(members) => Wire::Struct(
            members.into_iter().map(|(name, value)| (name, to_wire(value))).collect::<Struct>(),
        ),
    }
}
