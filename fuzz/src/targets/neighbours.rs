//! What else reads bytes from outside: Koji's answers, configuration, and lists packed into the database.

use koji::xmlrpc::{self, Limits, Value};
use koschei_core::config::{self, Source};
use koschei_db::dependency_keys;

use super::is_clear;

/// A call or an answer of XML-RPC.
pub(crate) fn xmlrpc(data: &[u8]) {
    match xmlrpc::decode_call(data, Limits::REQUEST) {
        Ok(call) => {
            let written = xmlrpc::encode_call(&call);
            let again = xmlrpc::decode_call(&written, Limits::RESPONSE)
                .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&written)));
            assert!(
                call.params.iter().any(has_nan)
                    || loses(&(&call.method, &call.params))
                    || again == call,
                "{call:?} becomes {again:?}"
            );
            let _ = xmlrpc::calls_of_multicall(&call);
            let _ = call.arguments();
        }
        Err(error) => is_clear(&error),
    }
    match xmlrpc::decode_response(data, Limits::RESPONSE) {
        Ok(response) => {
            let written = xmlrpc::encode_response(&response);
            let again = xmlrpc::decode_response(&written, Limits::RESPONSE)
                .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&written)));
            if let Ok(value) = &response {
                assert!(
                    has_nan(value) || loses(value) || again == response,
                    "{response:?} becomes {again:?}"
                );
                let _ = xmlrpc::answers(value.clone(), 2);
                let _ = xmlrpc::from_value::<koji::types::Build>(value.clone());
                let _ = xmlrpc::from_value::<Vec<koji::types::Task>>(value.clone());
            } else {
                assert!(loses(&response) || again == response, "{response:?} becomes {again:?}");
            }
        }
        Err(error) => is_clear(&error),
    }
}

/// Whether there are characters that XML cannot hold; they are sent as U+FFFD.
fn loses(what: &impl std::fmt::Debug) -> bool {
    let shown = format!("{what:?}");
    shown.contains("\\u{") || shown.contains("\\0")
}

/// Not a number is not equal to itself.
fn has_nan(value: &Value) -> bool {
    match value {
        Value::Double(number) => number.is_nan(),
        Value::Array(values) => values.iter().any(has_nan),
        Value::Struct(members) => members.iter().any(|(_, value)| has_nan(value)),
        _ => false,
    }
}

/// A configuration file.
pub(crate) fn config(data: &[u8]) {
    let text = String::from_utf8_lossy(data).into_owned();
    let source = Source { name: "koschei.toml".to_owned(), text };
    match config::parse(std::slice::from_ref(&source), []) {
        Ok(loaded) => {
            // The same file twice says the same.
            let twice = config::parse(&[source.clone(), source], []).expect("it was accepted once");
            assert_eq!(format!("{:?}", twice.config), format!("{:?}", loaded.config));
        }
        Err(error) => is_clear(&error),
    }
}

/// A packed list of ids, both as compressed bytes and as what they decompress to.
pub(crate) fn dependency_keys(data: &[u8]) {
    use std::io::Write as _;
    let check = |packed: &[u8]| match dependency_keys::decode(packed) {
        Ok(ids) => {
            assert!(ids.is_sorted_by(|a, b| a < b) && ids.first().is_none_or(|id| *id > 0));
            let again = dependency_keys::encode(&ids).expect("they are ids");
            assert_eq!(dependency_keys::decode(&again), Ok(ids));
        }
        Err(error) => is_clear(&error),
    };
    check(data);
    let mut packed = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(data).expect("memory has room");
    check(&packed.finish().expect("memory has room"));
}
