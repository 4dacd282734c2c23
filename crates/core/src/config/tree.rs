//! Values with the place they came from: what every syntax is read into and what layers are merged as.

use std::{collections::BTreeMap, fmt, sync::Arc};

use super::Config;

/// Where a value was set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// A file's path, or words for what is not a file.
    pub source: Arc<str>,
    /// Line in the file, from 1.
    pub line: Option<usize>,
}

impl Origin {
    /// The origin of what nobody set.
    #[must_use]
    pub fn built_in() -> Self {
        Self { source: Arc::from("built-in defaults"), line: None }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}, line {line}", self.source),
            None => f.write_str(&self.source),
        }
    }
}

/// A value of any syntax.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Null,
    Boolean(bool),
    Integer(i64),
    Float(f64),
    Text(String),
    /// From the environment: its type follows from where it is put.
    Untyped(String),
    /// An entry of a list that is not to be looked at.
    LeftOut,
    List(Vec<Node>),
    Table(BTreeMap<String, Node>),
}

/// A value and where it was set.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    pub(super) value: Value,
    pub(super) origin: Origin,
}

impl Node {
    /// An empty table that nobody wrote.
    pub(super) fn table() -> Self {
        Self { value: Value::Table(BTreeMap::new()), origin: Origin::built_in() }
    }

    pub(super) fn is_empty(&self) -> bool {
        match &self.value {
            Value::Null => true,
            Value::Table(table) => table.is_empty(),
            _ => false,
        }
    }

    pub(super) fn get(&self, key: &str) -> Option<&Node> {
        match &self.value {
            Value::Table(table) => table.get(key),
            _ => None,
        }
    }

    pub(super) fn get_mut(&mut self, key: &str) -> Option<&mut Node> {
        match &mut self.value {
            Value::Table(table) => table.get_mut(key),
            _ => None,
        }
    }

    pub(super) fn remove(&mut self, key: &str) -> Option<Node> {
        match &mut self.value {
            Value::Table(table) => table.remove(key),
            _ => None,
        }
    }

    /// Puts a later layer on top: tables merge, everything else is replaced.
    pub(super) fn merge(&mut self, later: Node) {
        match (&mut self.value, later.value) {
            (Value::Table(mine), Value::Table(theirs)) => {
                self.origin = later.origin;
                for (key, node) in theirs {
                    match mine.get_mut(&key) {
                        Some(below) => below.merge(node),
                        None => {
                            mine.insert(key, node);
                        }
                    }
                }
            }
            (mine, value) => {
                *mine = value;
                self.origin = later.origin;
            }
        }
    }

    pub(super) fn from_json(value: serde_json::Value, origin: &Origin) -> Self {
        let value = match value {
            serde_json::Value::Null => Value::Null,
            serde_json::Value::Bool(b) => Value::Boolean(b),
            serde_json::Value::Number(n) => match n.as_i64() {
                Some(i) => Value::Integer(i),
                None => Value::Float(n.as_f64().unwrap_or(f64::NAN)),
            },
            serde_json::Value::String(s) => Value::Text(s),
            serde_json::Value::Array(a) => {
                Value::List(a.into_iter().map(|v| Self::from_json(v, origin)).collect())
            }
            serde_json::Value::Object(o) => {
                Value::Table(o.into_iter().map(|(k, v)| (k, Self::from_json(v, origin))).collect())
            }
        };
        Self { value, origin: origin.clone() }
    }
}

/// The built-in defaults as the first layer.
pub(super) fn defaults() -> Node {
    // A struct of plain values always has a JSON form; if not, the tests below fail on an empty tree.
    let json = serde_json::to_value(Config::default()).unwrap_or_default();
    Node::from_json(json, &Origin::built_in())
}
