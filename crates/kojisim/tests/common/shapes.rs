//! What the recorded answers of a real hub look like, and whether ours look the same.

#![allow(dead_code, reason = "each test file uses its own part")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use koji::xmlrpc::{self, Limits, Response, Value};

pub(crate) fn captures() -> PathBuf {
    let data = std::env::var_os("KOSCHEI_DATA").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data")),
        PathBuf::from,
    );
    let captures = data.join("koji-captures");
    assert!(
        captures.is_dir(),
        "{} is missing: set KOSCHEI_DATA to the directory that holds koji-captures",
        captures.display()
    );
    captures
}

pub(crate) fn captured(name: &str) -> Response {
    let path = captures().join(format!("{name}.response.xml"));
    let body = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    xmlrpc::decode_response(&body, Limits::RESPONSE).unwrap()
}

/// The types that a place in an answer was seen with. Elements of arrays are all at the same place.
type Shape = BTreeMap<String, BTreeSet<&'static str>>;

fn shape_of(value: &Value, path: &str, shape: &mut Shape) {
    shape.entry(path.to_owned()).or_default().insert(value.kind());
    match value {
        Value::Array(values) => {
            values.iter().for_each(|value| shape_of(value, &format!("{path}[]"), shape))
        }
        Value::Struct(members) => {
            for (name, value) in members.iter() {
                shape_of(value, &format!("{path}.{name}"), shape);
            }
        }
        _ => {}
    }
}

/// Members that Koji leaves nil where there is nothing, whether or not a capture happens to show both.
const NILABLE: [&str; 25] = [
    "EPOCH",
    "awaited",
    "begin_event",
    "begin_ts",
    "buildroot_id",
    "completion_time",
    "completion_ts",
    "description",
    "end_event",
    "end_ts",
    "epoch",
    "extra",
    "host_id",
    "label",
    "parent",
    "result",
    "revoke_event",
    "revoke_ts",
    "source",
    "start_time",
    "start_ts",
    "task_id",
    "task_state",
    "update_ts",
    "waiting",
];

/// Members whose content is free: tag extras and requests.
const FREE: [&str; 3] = [".extra.", ".request[]", ".config_inheritance.extra."];

pub(crate) fn compare(name: &str, theirs: &Value, ours: &Value) {
    let wrong = differences(theirs, ours);
    assert!(wrong.is_empty(), "{name}:\n{}", wrong.join("\n"));
}

/// What is of another shape, one line each.
pub(crate) fn differences(theirs: &Value, ours: &Value) -> Vec<String> {
    let (mut expected, mut found) = (Shape::new(), Shape::new());
    shape_of(theirs, "", &mut expected);
    shape_of(ours, "", &mut found);
    let is_free = |path: &str| FREE.iter().any(|free| path.contains(free));
    let inside_nil = |path: &str, other: &Shape| {
        // What is inside of a member that is nil in all that the other side has.
        let mut path = path;
        while let Some(place) = path.rfind(['.', '[']) {
            path = &path[..place];
            if other
                .get(path)
                .is_some_and(|kinds| !kinds.contains("struct") && !kinds.contains("array"))
            {
                return true;
            }
            // Or of an array that is empty there.
            if path.ends_with(']') && !other.contains_key(path) {
                return true;
            }
        }
        false
    };
    let mut wrong = Vec::new();
    for (path, kinds) in &expected {
        match found.get(path) {
            None if is_free(path) || inside_nil(path, &found) => {}
            None if path.ends_with("[]") => {}
            None => wrong.push(format!("{path} is missing")),
            Some(ours) => {
                let nilable = path.rsplit('.').next().is_some_and(|last| NILABLE.contains(&last));
                for kind in ours {
                    if !kinds.contains(kind)
                        && !is_free(path)
                        && !(nilable && (*kind == "nil" || kinds.contains("nil")))
                    {
                        wrong.push(format!("{path} is {kind}, should be {kinds:?}"));
                    }
                }
            }
        }
    }
    for path in found.keys() {
        let new = !expected.contains_key(path) && !is_free(path) && !inside_nil(path, &expected);
        if new && !path.ends_with("[]") {
            wrong.push(format!("{path} is not in the real answer"));
        }
    }
    wrong
}
