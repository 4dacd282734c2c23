//! Values to typed structures and back, through serde: a structure names the members it knows, everything else in the
//! hub's answer is passed over. A mismatch names the place, such as `[3].create_event: nil where an int should be`.

use std::fmt;
use std::sync::Arc;

use serde::de::{
    self, DeserializeOwned, DeserializeSeed, EnumAccess, IntoDeserializer, MapAccess, SeqAccess,
    VariantAccess, Visitor,
};
use serde::ser::{self, Serialize};
use serde::{Deserialize, Deserializer, Serializer, forward_to_deserialize_any};

use super::{Struct, Value};

/// The typed structure that a value holds.
pub fn from_value<T: DeserializeOwned>(value: Value) -> Result<T, Unexpected> {
    T::deserialize(value)
}

/// The value that carries a typed structure.
pub fn to_value<T: Serialize + ?Sized>(typed: &T) -> Result<Value, Unexpected> {
    typed.serialize(ToValue)
}

/// A value is not of the shape that its reader expects. The text names the place and the types, never the content.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unexpected {
    /// Members and indices from the outermost value inwards; empty for the value itself.
    pub place: String,
    /// What is there and what should be.
    pub problem: String,
}

impl Unexpected {
    fn new(problem: impl fmt::Display) -> Unexpected {
        Unexpected { place: String::new(), problem: problem.to_string() }
    }

    fn of(value: &Value, expected: &str) -> Unexpected {
        Unexpected::new(format_args!("{} where {expected} should be", value.kind()))
    }

    fn within(mut self, step: &str) -> Unexpected {
        let dot = if self.place.is_empty() || self.place.starts_with('[') { "" } else { "." };
        self.place = format!("{step}{dot}{}", self.place);
        self
    }
}

impl fmt::Display for Unexpected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.place.is_empty() {
            f.write_str(&self.problem)
        } else {
            write!(f, "{}: {}", self.place, self.problem)
        }
    }
}

impl std::error::Error for Unexpected {}

impl de::Error for Unexpected {
    fn custom<T: fmt::Display>(problem: T) -> Self {
        Unexpected::new(problem)
    }
}

impl ser::Error for Unexpected {
    fn custom<T: fmt::Display>(problem: T) -> Self {
        Unexpected::new(problem)
    }
}

macro_rules! numbers {
    ($($method:ident)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unexpected> {
            match self {
                Value::Int(value) => visitor.visit_i64(value),
                other => Err(Unexpected::of(&other, "an int")),
            }
        })*
    };
}

impl<'de> Deserializer<'de> for Value {
    type Error = Unexpected;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unexpected> {
        match self {
            Value::Nil => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(value),
            Value::Int(value) => visitor.visit_i64(value),
            Value::Double(value) => visitor.visit_f64(value),
            Value::String(value) => visitor.visit_string(value),
            Value::Array(values) => {
                visitor.visit_seq(Elements { values: values.into_iter(), next: 0 })
            }
            Value::Struct(members) => {
                visitor.visit_map(Members { members: members.into_members(), current: None })
            }
        }
    }

    numbers! {
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64
    }

    /// Some databases give booleans as numbers.
    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unexpected> {
        match self {
            Value::Bool(value) => visitor.visit_bool(value),
            Value::Int(value @ (0 | 1)) => visitor.visit_bool(value == 1),
            other => Err(Unexpected::of(&other, "a boolean")),
        }
    }

    /// A whole number may come as an int.
    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unexpected> {
        match self.as_double() {
            Some(value) => visitor.visit_f64(value),
            None => Err(Unexpected::of(&self, "a double")),
        }
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unexpected> {
        self.deserialize_f64(visitor)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unexpected> {
        match self {
            Value::String(value) => visitor.visit_string(value),
            other => Err(Unexpected::of(&other, "a string")),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unexpected> {
        self.deserialize_string(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unexpected> {
        match self {
            Value::Nil => visitor.visit_none(),
            other => visitor.visit_some(other),
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unexpected> {
        match self {
            Value::Array(_) => self.deserialize_any(visitor),
            other => Err(Unexpected::of(&other, "an array")),
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        _length: usize,
        visitor: V,
    ) -> Result<V::Value, Unexpected> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unexpected> {
        match self {
            Value::Struct(_) => self.deserialize_any(visitor),
            other => Err(Unexpected::of(&other, "a struct")),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _members: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Unexpected> {
        self.deserialize_map(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Unexpected> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Unexpected> {
        match self {
            Value::String(name) => visitor.visit_enum(Name(name)),
            other => Err(Unexpected::of(&other, "a string")),
        }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unexpected> {
        match self {
            Value::Nil => visitor.visit_unit(),
            other => Err(Unexpected::of(&other, "nil")),
        }
    }

    forward_to_deserialize_any! {
        i128 u128 char bytes byte_buf unit_struct tuple_struct identifier ignored_any
    }
}

struct Elements {
    values: std::vec::IntoIter<Value>,
    next: usize,
}

impl<'de> SeqAccess<'de> for Elements {
    type Error = Unexpected;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Unexpected> {
        let Some(value) = self.values.next() else { return Ok(None) };
        let index = self.next;
        self.next += 1;
        seed.deserialize(value).map(Some).map_err(|error| error.within(&format!("[{index}]")))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.values.len())
    }
}

struct Members {
    members: std::vec::IntoIter<(Arc<str>, Value)>,
    current: Option<(Arc<str>, Value)>,
}

impl<'de> MapAccess<'de> for Members {
    type Error = Unexpected;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Unexpected> {
        self.current = self.members.next();
        match &self.current {
            Some((name, _)) => {
                let name: de::value::StrDeserializer<'_, Unexpected> = (**name).into_deserializer();
                seed.deserialize(name).map(Some)
            }
            None => Ok(None),
        }
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(
        &mut self,
        seed: V,
    ) -> Result<V::Value, Unexpected> {
        let (name, value) = self.current.take().unwrap_or_default();
        seed.deserialize(value).map_err(|error| error.within(&name))
    }
}

/// A string as a variant without content.
struct Name(String);

impl<'de> EnumAccess<'de> for Name {
    type Error = Unexpected;
    type Variant = Name;

    fn variant_seed<V: DeserializeSeed<'de>>(
        self,
        seed: V,
    ) -> Result<(V::Value, Name), Unexpected> {
        let name: de::value::StrDeserializer<'_, Unexpected> = self.0.as_str().into_deserializer();
        let variant = seed.deserialize(name)?;
        Ok((variant, self))
    }
}

impl<'de> VariantAccess<'de> for Name {
    type Error = Unexpected;

    fn unit_variant(self) -> Result<(), Unexpected> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(
        self,
        _seed: T,
    ) -> Result<T::Value, Unexpected> {
        Err(Unexpected::new("a word has no content"))
    }

    fn tuple_variant<V: Visitor<'de>>(
        self,
        _length: usize,
        _visitor: V,
    ) -> Result<V::Value, Unexpected> {
        Err(Unexpected::new("a word has no content"))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _members: &'static [&'static str],
        _visitor: V,
    ) -> Result<V::Value, Unexpected> {
        Err(Unexpected::new("a word has no content"))
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(AnyValue)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value of XML-RPC")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Nil)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Nil)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        Value::deserialize(deserializer)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Int(value))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Value, E> {
        i64::try_from(value).map(Value::Int).map_err(E::custom)
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Double(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = elements.next_element()? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = entries.next_entry::<String, Value>()? {
            members.push(member);
        }
        Ok(Value::Struct(members.into_iter().collect()))
    }
}

impl<'de> Deserialize<'de> for Struct {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Struct, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::Struct(members) => Ok(members),
            other => Err(de::Error::custom(Unexpected::of(&other, "a struct"))),
        }
    }
}

impl Serialize for Struct {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Value::Nil => serializer.serialize_unit(),
            Value::Bool(value) => serializer.serialize_bool(*value),
            Value::Int(value) => serializer.serialize_i64(*value),
            Value::Double(value) => serializer.serialize_f64(*value),
            Value::String(value) => serializer.serialize_str(value),
            Value::Array(values) => serializer.collect_seq(values),
            Value::Struct(members) => members.serialize(serializer),
        }
    }
}

/// Builds a value out of a typed structure.
struct ToValue;

macro_rules! scalars {
    ($($method:ident($type:ty) => |$value:ident| $to:expr),* $(,)?) => {
        $(fn $method(self, $value: $type) -> Result<Value, Unexpected> {
            $to
        })*
    };
}

impl Serializer for ToValue {
    type Ok = Value;
    type Error = Unexpected;
    type SerializeSeq = ToArray;
    type SerializeTuple = ToArray;
    type SerializeTupleStruct = ToArray;
    type SerializeTupleVariant = ser::Impossible<Value, Unexpected>;
    type SerializeMap = ToStruct;
    type SerializeStruct = ToStruct;
    type SerializeStructVariant = ser::Impossible<Value, Unexpected>;

    scalars! {
        serialize_bool(bool) => |value| Ok(Value::Bool(value)),
        serialize_i8(i8) => |value| Ok(Value::Int(value.into())),
        serialize_i16(i16) => |value| Ok(Value::Int(value.into())),
        serialize_i32(i32) => |value| Ok(Value::Int(value.into())),
        serialize_i64(i64) => |value| Ok(Value::Int(value)),
        serialize_u8(u8) => |value| Ok(Value::Int(value.into())),
        serialize_u16(u16) => |value| Ok(Value::Int(value.into())),
        serialize_u32(u32) => |value| Ok(Value::Int(value.into())),
        serialize_u64(u64) => |value| i64::try_from(value).map(Value::Int).map_err(Unexpected::new),
        serialize_f32(f32) => |value| Ok(Value::Double(value.into())),
        serialize_f64(f64) => |value| Ok(Value::Double(value)),
        serialize_char(char) => |value| Ok(Value::String(value.into())),
        serialize_str(&str) => |value| Ok(Value::String(value.to_owned())),
        serialize_unit_struct(&'static str) => |_name| Ok(Value::Nil),
    }

    fn serialize_bytes(self, _value: &[u8]) -> Result<Value, Unexpected> {
        Err(Unexpected::new("Koji does not use base64"))
    }

    fn serialize_none(self) -> Result<Value, Unexpected> {
        Ok(Value::Nil)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<Value, Unexpected> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<Value, Unexpected> {
        Ok(Value::Nil)
    }

    fn serialize_unit_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
    ) -> Result<Value, Unexpected> {
        Ok(Value::String(variant.to_owned()))
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        value: &T,
    ) -> Result<Value, Unexpected> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        _index: u32,
        _variant: &'static str,
        _value: &T,
    ) -> Result<Value, Unexpected> {
        Err(Unexpected::new("an enumeration with content has no form on the wire"))
    }

    fn serialize_seq(self, _length: Option<usize>) -> Result<ToArray, Unexpected> {
        Ok(ToArray(Vec::new()))
    }

    fn serialize_tuple(self, _length: usize) -> Result<ToArray, Unexpected> {
        Ok(ToArray(Vec::new()))
    }

    fn serialize_tuple_struct(
        self,
        _name: &'static str,
        _length: usize,
    ) -> Result<ToArray, Unexpected> {
        Ok(ToArray(Vec::new()))
    }

    fn serialize_tuple_variant(
        self,
        _name: &'static str,
        _index: u32,
        _variant: &'static str,
        _length: usize,
    ) -> Result<Self::SerializeTupleVariant, Unexpected> {
        Err(Unexpected::new("an enumeration with content has no form on the wire"))
    }

    fn serialize_map(self, _length: Option<usize>) -> Result<ToStruct, Unexpected> {
        Ok(ToStruct::default())
    }

    fn serialize_struct(self, _name: &'static str, _length: usize) -> Result<ToStruct, Unexpected> {
        Ok(ToStruct::default())
    }

    fn serialize_struct_variant(
        self,
        _name: &'static str,
        _index: u32,
        _variant: &'static str,
        _length: usize,
    ) -> Result<Self::SerializeStructVariant, Unexpected> {
        Err(Unexpected::new("an enumeration with content has no form on the wire"))
    }
}

struct ToArray(Vec<Value>);

impl ser::SerializeSeq for ToArray {
    type Ok = Value;
    type Error = Unexpected;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Unexpected> {
        self.0.push(to_value(value)?);
        Ok(())
    }

    fn end(self) -> Result<Value, Unexpected> {
        Ok(Value::Array(self.0))
    }
}

impl ser::SerializeTuple for ToArray {
    type Ok = Value;
    type Error = Unexpected;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Unexpected> {
        ser::SerializeSeq::serialize_element(self, value)
    }

    fn end(self) -> Result<Value, Unexpected> {
        ser::SerializeSeq::end(self)
    }
}

impl ser::SerializeTupleStruct for ToArray {
    type Ok = Value;
    type Error = Unexpected;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Unexpected> {
        ser::SerializeSeq::serialize_element(self, value)
    }

    fn end(self) -> Result<Value, Unexpected> {
        ser::SerializeSeq::end(self)
    }
}

#[derive(Default)]
struct ToStruct {
    members: Vec<(String, Value)>,
    name: Option<String>,
}

impl ser::SerializeMap for ToStruct {
    type Ok = Value;
    type Error = Unexpected;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Unexpected> {
        match to_value(key)? {
            Value::String(name) => {
                self.name = Some(name);
                Ok(())
            }
            other => Err(Unexpected::of(&other, "the name of a member")),
        }
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Unexpected> {
        let name = self.name.take().unwrap_or_default();
        let value = to_value(value).map_err(|error| error.within(&name))?;
        self.members.push((name, value));
        Ok(())
    }

    fn end(self) -> Result<Value, Unexpected> {
        Ok(Value::Struct(self.members.into_iter().collect()))
    }
}

impl ser::SerializeStruct for ToStruct {
    type Ok = Value;
    type Error = Unexpected;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        name: &'static str,
        value: &T,
    ) -> Result<(), Unexpected> {
        let value = to_value(value).map_err(|error| error.within(name))?;
        self.members.push((name.to_owned(), value));
        Ok(())
    }

    fn end(self) -> Result<Value, Unexpected> {
        ser::SerializeMap::end(self)
    }
}
