//! From the merged tree to typed structs, keeping hold of the place for the error message.

use std::fmt;

use serde::de::{
    self, DeserializeSeed, Deserializer, EnumAccess, Expected, IntoDeserializer, MapAccess,
    SeqAccess, Unexpected, VariantAccess, Visitor,
};

use super::{
    ConfigError,
    syntax::read_toml_value,
    tree::{Node, Origin, Value},
};

/// Deserializes a node that stands at `path`.
pub(super) fn from_node<'de, T: de::Deserialize<'de>>(
    node: &'de Node,
    path: &[&str],
) -> Result<T, ConfigError> {
    T::deserialize(node).map_err(|mistake| {
        let mut keys: Vec<String> = path.iter().map(|key| (*key).to_owned()).collect();
        keys.extend(mistake.path.into_iter().rev());
        let key = keys.join(".");
        let origin = mistake.origin.unwrap_or_else(|| node.origin.clone());
        match mistake.problem {
            Problem::UnknownKey { suggestion } => {
                keys.pop();
                let suggestion = suggestion.map(|near| {
                    keys.push(near);
                    keys.join(".")
                });
                ConfigError::UnknownKey { origin, key, suggestion }
            }
            Problem::Other(problem) => ConfigError::Value { origin, key, problem },
        }
    })
}

/// The known key that was probably meant: at most two letters away.
pub(super) fn nearest<'a>(wrong: &str, known: impl Iterator<Item = &'a str>) -> Option<String> {
    known
        .map(|key| (edit_distance(wrong, key), key))
        .filter(|(distance, key)| *distance <= 2 && *distance < key.chars().count())
        .min()
        .map(|(_, key)| key.to_owned())
}

fn edit_distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (y, above) in b.iter().zip(row.iter_mut().skip(1)) {
            let cost = if x == *y { diagonal } else { 1 + diagonal.min(left).min(*above) };
            diagonal = *above;
            left = cost;
            *above = cost;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or(0)
}

/// What serde found wrong, and where, gathered on the way up.
#[derive(Debug)]
pub(super) struct Mistake {
    problem: Problem,
    /// Keys from the inside out.
    path: Vec<String>,
    origin: Option<Origin>,
}

#[derive(Debug)]
pub(super) enum Problem {
    UnknownKey { suggestion: Option<String> },
    Other(String),
}

impl Mistake {
    fn below(mut self, key: &str, origin: &Origin) -> Self {
        self.path.push(key.to_owned());
        self.origin.get_or_insert_with(|| origin.clone());
        self
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.problem {
            Problem::UnknownKey { .. } => f.write_str("is no known key"),
            Problem::Other(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for Mistake {}

impl de::Error for Mistake {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self { problem: Problem::Other(message.to_string()), path: Vec::new(), origin: None }
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::custom(format_args!("must be {}, not {}", words(expected), kind(found)))
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::custom(format_args!("must be {}; {} is not", words(expected), kind(found)))
    }

    fn unknown_variant(_: &str, expected: &'static [&'static str]) -> Self {
        Self::custom(format_args!("must be one of {}", expected.join(", ")))
    }

    fn missing_field(field: &'static str) -> Self {
        Self::custom(format_args!("lacks {field}"))
    }
}

/// serde's name for what it wants, in words for a person.
fn words(expected: &dyn Expected) -> String {
    let text = expected.to_string();
    match text.as_str() {
        "u16" => format!("a whole number from 0 to {}", u16::MAX),
        "u8" | "u32" | "u64" | "usize" => "a whole number that is not negative".to_owned(),
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number".to_owned(),
        "f32" | "f64" => "a number".to_owned(),
        "a boolean" => "true or false".to_owned(),
        "a string" | "string" => "text".to_owned(),
        "a sequence" => "a list".to_owned(),
        _ if text.contains("struct") || text.contains("map") => "a table".to_owned(),
        _ => text,
    }
}

/// What was found, without its value: it might be a password in the wrong place.
fn kind(found: Unexpected<'_>) -> &'static str {
    match found {
        Unexpected::Bool(_) => "true or false",
        Unexpected::Signed(_) | Unexpected::Unsigned(_) => "this whole number",
        Unexpected::Float(_) => "a number with a fraction",
        Unexpected::Str(_) | Unexpected::Char(_) => "text",
        Unexpected::Seq => "a list",
        Unexpected::Map => "a table",
        _ => "nothing",
    }
}

impl<'de> Node {
    fn visit<V: Visitor<'de>>(&'de self, visitor: V) -> Result<V::Value, Mistake> {
        match &self.value {
            Value::Null | Value::LeftOut => visitor.visit_unit(),
            Value::Boolean(truth) => visitor.visit_bool(*truth),
            Value::Integer(number) => visitor.visit_i64(*number),
            Value::Float(number) => visitor.visit_f64(*number),
            Value::Text(text) => visitor.visit_borrowed_str(text),
            Value::Untyped(text) => visitor.visit_borrowed_str(text),
            Value::List(items) => visitor.visit_seq(List { items: items.iter(), at: 0 }),
            Value::Table(table) => visitor.visit_map(Table { entries: table.iter(), next: None }),
        }
    }

    /// Reads a text from the environment as TOML would, and goes on with that.
    fn visit_guessed<V: Visitor<'de>>(&'de self, visitor: V) -> Result<V::Value, Mistake> {
        if let Value::Untyped(text) = &self.value
            && let Some(node) = read_toml_value(&self.origin.source, text)
        {
            return match node.value {
                Value::Boolean(truth) => visitor.visit_bool(truth),
                Value::Integer(number) => visitor.visit_i64(number),
                Value::Float(number) => visitor.visit_f64(number),
                Value::Text(text) => visitor.visit_string(text),
                Value::List(items) => {
                    let values: Vec<serde_json::Value> = items.into_iter().map(to_json).collect();
                    visitor
                        .visit_seq(de::value::SeqDeserializer::new(values.into_iter()))
                        .map_err(|error: serde_json::Error| de::Error::custom(error))
                }
                Value::Table(table) => {
                    let values = table.into_iter().map(|(key, node)| (key, to_json(node)));
                    visitor
                        .visit_map(de::value::MapDeserializer::new(values))
                        .map_err(|error: serde_json::Error| de::Error::custom(error))
                }
                Value::Null | Value::LeftOut | Value::Untyped(_) => self.visit(visitor),
            };
        }
        self.visit(visitor)
    }
}

fn to_json(node: Node) -> serde_json::Value {
    match node.value {
        Value::Null | Value::LeftOut => serde_json::Value::Null,
        Value::Boolean(truth) => truth.into(),
        Value::Integer(number) => number.into(),
        Value::Float(number) => number.into(),
        Value::Text(text) | Value::Untyped(text) => text.into(),
        Value::List(items) => items.into_iter().map(to_json).collect(),
        Value::Table(table) => table.into_iter().map(|(key, node)| (key, to_json(node))).collect(),
    }
}

macro_rules! guessed {
    ($($method:ident)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
            self.visit_guessed(visitor)
        })*
    };
}

macro_rules! plain {
    ($($method:ident)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
            self.visit(visitor)
        })*
    };
}

impl<'de> Deserializer<'de> for &'de Node {
    type Error = Mistake;

    guessed! {
        deserialize_any deserialize_bool
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64
        deserialize_f32 deserialize_f64 deserialize_map
    }

    plain! {
        deserialize_char deserialize_str deserialize_string deserialize_bytes
        deserialize_byte_buf deserialize_unit deserialize_identifier
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        match self.value {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    /// A list from the environment is a TOML list or words between commas or spaces.
    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        match &self.value {
            Value::Untyped(text) if !text.trim_start().starts_with('[') => {
                let words = text.split([',', ' ']).filter(|word| !word.is_empty());
                visitor.visit_seq(de::value::SeqDeserializer::new(words))
            }
            _ => self.visit_guessed(visitor),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Mistake> {
        if let Value::Table(table) = &self.value {
            for (key, node) in table {
                if !fields.contains(&key.as_str()) {
                    let suggestion = nearest(key, fields.iter().copied());
                    let problem = Problem::UnknownKey { suggestion };
                    return Err(Mistake { problem, path: Vec::new(), origin: None }
                        .below(key, &node.origin));
                }
            }
        }
        self.visit(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Mistake> {
        match &self.value {
            Value::Text(text) | Value::Untyped(text) => visitor.visit_enum(Word(text)),
            _ => self.visit(visitor),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Mistake> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Mistake> {
        self.visit(visitor)
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Mistake> {
        self.visit(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, Mistake> {
        self.visit(visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        visitor.visit_unit()
    }
}

struct List<'de> {
    items: std::slice::Iter<'de, Node>,
    at: usize,
}

impl<'de> SeqAccess<'de> for List<'de> {
    type Error = Mistake;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Mistake> {
        let node = loop {
            let Some(node) = self.items.next() else { return Ok(None) };
            self.at += 1;
            if node.value != Value::LeftOut {
                break node;
            }
        };
        seed.deserialize(node)
            .map(Some)
            .map_err(|mistake| mistake.below(&self.at.to_string(), &node.origin))
    }
}

struct Table<'de> {
    entries: std::collections::btree_map::Iter<'de, String, Node>,
    next: Option<(&'de str, &'de Node)>,
}

impl<'de> MapAccess<'de> for Table<'de> {
    type Error = Mistake;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Mistake> {
        let Some((key, node)) = self.entries.next() else { return Ok(None) };
        self.next = Some((key, node));
        let key: de::value::StrDeserializer<'_, Mistake> = key.as_str().into_deserializer();
        seed.deserialize(key).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Mistake> {
        match self.next.take() {
            Some((key, node)) => {
                seed.deserialize(node).map_err(|mistake| mistake.below(key, &node.origin))
            }
            None => Err(de::Error::custom("has a value without a key")),
        }
    }
}

/// A word that names a variant.
struct Word<'de>(&'de str);

impl<'de> EnumAccess<'de> for Word<'de> {
    type Error = Mistake;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Mistake> {
        let word: de::value::StrDeserializer<'_, Mistake> = self.0.into_deserializer();
        Ok((seed.deserialize(word)?, self))
    }
}

impl<'de> VariantAccess<'de> for Word<'de> {
    type Error = Mistake;

    fn unit_variant(self) -> Result<(), Mistake> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, _: T) -> Result<T::Value, Mistake> {
        Err(de::Error::custom("must be a single word"))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, _: V) -> Result<V::Value, Mistake> {
        Err(de::Error::custom("must be a single word"))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Mistake> {
        Err(de::Error::custom("must be a single word"))
    }
}
