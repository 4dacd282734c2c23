//! Settings from environment variables: `KOSCHEI__SECTION__KEY=value`.
//!
//! Variables are written in capitals with underscores; the key they mean is found among the keys that exist, so
//! that `KOSCHEI__FEDMSG_PUBLISHER__ENABLED` is `fedmsg-publisher.enabled` and `KOSCHEI__FLASK__SECRET_KEY`
//! keeps its capitals. Below a free-form table the key is the variable's in lower case.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    ConfigError,
    deserialize::nearest,
    secret::FREE_FORM_WITH_CAPITALS,
    tree::{Node, Origin, Value},
};

/// What such a variable's name begins with.
pub(super) const PREFIX: &str = "KOSCHEI__";

/// The tree of keys that exist: the defaults, and the secondary Koji with the keys of the primary.
pub(super) fn known_keys(defaults: &Node) -> Node {
    let mut known = defaults.clone();
    let mut secondary = defaults.get("koji_config").cloned().unwrap_or_else(Node::table);
    if let Value::Table(table) = &mut secondary.value {
        table
            .insert("repo_url".to_owned(), Node { value: Value::Null, origin: Origin::built_in() });
    }
    if let Value::Table(table) = &mut known.value {
        table.insert("secondary_koji_config".to_owned(), secondary);
    }
    known
}

/// The layer that one variable makes.
pub(super) fn layer(name: &str, value: &str, known: &Node) -> Result<Node, ConfigError> {
    let origin =
        Origin { source: Arc::from(format!("environment variable {name}").as_str()), line: None };
    let mut keys = Vec::new();
    let mut place = Some(known);
    for part in name.trim_start_matches(PREFIX).split("__") {
        let wanted = part.to_lowercase();
        let key = match place.map(|node| &node.value) {
            Some(Value::Table(table)) => {
                let found = table.keys().find(|key| normal(key) == wanted);
                match found {
                    Some(key) => key.clone(),
                    None if is_free_form(&keys) => free_form_key(&keys, &wanted),
                    None => {
                        let whole = |last: &str| {
                            let mut path = keys.clone();
                            path.push(last.to_owned());
                            path.join(".")
                        };
                        return Err(ConfigError::UnknownKey {
                            origin,
                            suggestion: nearest(&wanted, table.keys().map(String::as_str))
                                .map(|near| whole(&near)),
                            key: whole(&wanted),
                        });
                    }
                }
            }
            _ => free_form_key(&keys, &wanted),
        };
        place = place.and_then(|node| node.get(&key));
        keys.push(key);
    }
    let mut node = Node { value: Value::Untyped(value.to_owned()), origin: origin.clone() };
    for key in keys.into_iter().rev() {
        node = Node { value: Value::Table(BTreeMap::from([(key, node)])), origin: origin.clone() };
    }
    Ok(node)
}

fn normal(key: &str) -> String {
    key.to_lowercase().replace('-', "_")
}

/// Whether any key may stand below this one.
fn is_free_form(path: &[String]) -> bool {
    let path = path.join(".");
    let path = path
        .strip_prefix("secondary_koji_config.")
        .map_or_else(|| path.clone(), |rest| format!("koji_config.{rest}"));
    super::sections::FREE_FORM
        .iter()
        .any(|free| path == free.path || path.starts_with(&format!("{}.", free.path)))
}

fn free_form_key(path: &[String], wanted: &str) -> String {
    if path.first().is_some_and(|section| FREE_FORM_WITH_CAPITALS.contains(&section.as_str())) {
        wanted.to_uppercase()
    } else {
        wanted.to_owned()
    }
}
