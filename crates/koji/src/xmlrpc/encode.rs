//! Values to XML, laid out as Koji's own client and hub lay it out.

use super::{Fault, MethodCall, Response, Struct, Value};

/// The body of a request.
pub fn encode_call(call: &MethodCall) -> Vec<u8> {
    let mut xml = String::with_capacity(256);
    xml.push_str("<?xml version='1.0'?>\n<methodCall>\n<methodName>");
    push_text(&mut xml, &call.method);
    xml.push_str("</methodName>\n<params>\n");
    for param in &call.params {
        push_param(&mut xml, param);
    }
    xml.push_str("</params>\n</methodCall>\n");
    xml.into_bytes()
}

/// The body of an answer.
pub fn encode_response(response: &Response) -> Vec<u8> {
    let mut xml = String::with_capacity(256);
    xml.push_str("<?xml version='1.0'?>\n<methodResponse>\n");
    match response {
        Ok(value) => {
            xml.push_str("<params>\n");
            push_param(&mut xml, value);
            xml.push_str("</params>\n");
        }
        Err(fault) => {
            xml.push_str("<fault>\n");
            push_value(&mut xml, &Value::Struct(members_of(fault)));
            xml.push_str("</fault>\n");
        }
    }
    xml.push_str("</methodResponse>\n");
    xml.into_bytes()
}

/// A fault as the struct that carries it.
pub(super) fn members_of(fault: &Fault) -> Struct {
    Struct::from([("faultCode", fault.code.into()), ("faultString", fault.text.as_str().into())])
}

fn push_param(xml: &mut String, value: &Value) {
    xml.push_str("<param>\n");
    push_value(xml, value);
    xml.push_str("</param>\n");
}

fn push_value(xml: &mut String, value: &Value) {
    match value {
        // No newline after nil: Koji's serialiser does the same.
        Value::Nil => return xml.push_str("<value><nil/></value>"),
        Value::Bool(value) => {
            xml.push_str(if *value { "<value><boolean>1" } else { "<value><boolean>0" });
            xml.push_str("</boolean>");
        }
        Value::Int(value) => {
            let tag = if i32::try_from(*value).is_ok() { "int" } else { "i8" };
            xml.push_str(&format!("<value><{tag}>{value}</{tag}>"));
        }
        Value::Double(value) => {
            xml.push_str("<value><double>");
            xml.push_str(&double(*value));
            xml.push_str("</double>");
        }
        Value::String(text) => {
            xml.push_str("<value><string>");
            push_text(xml, text);
            xml.push_str("</string>");
        }
        Value::Array(values) => {
            xml.push_str("<value><array><data>\n");
            for value in values {
                push_value(xml, value);
            }
            xml.push_str("</data></array>");
        }
        Value::Struct(members) => {
            xml.push_str("<value><struct>\n");
            for (name, value) in members.iter() {
                xml.push_str("<member>\n<name>");
                push_text(xml, name);
                xml.push_str("</name>\n");
                push_value(xml, value);
                xml.push_str("</member>\n");
            }
            xml.push_str("</struct>");
        }
    }
    xml.push_str("</value>\n");
}

/// Escapes what XML needs escaped. A carriage return would arrive as a newline if it were sent bare; characters that XML
/// 1.0 cannot hold at all (most control characters) become U+FFFD, because a body with one of them is refused whole.
fn push_text(xml: &mut String, text: &str) {
    for character in text.chars() {
        match character {
            '&' => xml.push_str("&amp;"),
            '<' => xml.push_str("&lt;"),
            '>' => xml.push_str("&gt;"),
            '\r' => xml.push_str("&#13;"),
            '\t' | '\n' => xml.push(character),
            '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => xml.push('\u{fffd}'),
            _ => xml.push(character),
        }
    }
}

/// As Python's `repr`: the shortest digits that give the same number back, always with a point or an exponent.
fn double(value: f64) -> String {
    if !value.is_finite() {
        return if value.is_nan() {
            "nan"
        } else if value > 0.0 {
            "inf"
        } else {
            "-inf"
        }
        .to_owned();
    }
    let scientific = format!("{value:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..16).contains(&exponent) {
        let plain = value.to_string();
        if plain.contains('.') { plain } else { plain + ".0" }
    } else {
        let sign = if exponent < 0 { '-' } else { '+' };
        format!("{digits}e{sign}{:02}", exponent.abs())
    }
}
