//! XML to values. Lenient where other implementations differ (integer types, text without a type, order of elements
//! around values), strict about structure, and bounded: nothing read here can exhaust the stack, and entities are never
//! expanded.

use std::collections::HashSet;
use std::sync::Arc;

use quick_xml::Reader;
use quick_xml::events::{BytesRef, Event};
use thiserror::Error;

use super::{Fault, MethodCall, Response, Struct, Value};

/// What a body may be at most.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of the whole body.
    pub bytes: usize,
    /// How deep arrays and structs may be nested.
    pub depth: usize,
}

impl Limits {
    /// For a request: the limit of a hub (`MaxRequestLength`, 4 MiB by default).
    pub const REQUEST: Limits = Limits { bytes: 4 << 20, depth: 100 };
    /// For an answer: about seven times the list of all builds of a large distribution.
    pub const RESPONSE: Limits = Limits { bytes: 256 << 20, depth: 100 };
}

/// Why a body is not an XML-RPC call or answer. The text never quotes the body.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error("{problem} (at byte {position})")]
pub struct DecodeError {
    /// What is wrong.
    pub problem: String,
    /// Where reading stopped.
    pub position: u64,
}

/// Reads the body of a request.
pub fn decode_call(body: &[u8], limits: Limits) -> Result<MethodCall, DecodeError> {
    let mut parser = Parser::new(body, limits)?;
    parser.expect_start("methodCall")?;
    parser.expect_start("methodName")?;
    let method = parser.text_until_end()?.trim().to_owned();
    let mut params = Vec::new();
    match parser.next()? {
        Token::Start("params") => params = parser.params()?,
        Token::End => return parser.finish(MethodCall { method, params }),
        other => return Err(parser.error(format!("{other} where <params> should be"))),
    }
    parser.expect_end()?;
    parser.finish(MethodCall { method, params })
}

/// Reads the body of an answer: a value or a fault.
pub fn decode_response(body: &[u8], limits: Limits) -> Result<Response, DecodeError> {
    let mut parser = Parser::new(body, limits)?;
    parser.expect_start("methodResponse")?;
    let response = match parser.next()? {
        Token::Start("params") => {
            let mut params = parser.params()?;
            match (params.pop(), params.is_empty()) {
                (Some(value), true) => Ok(value),
                _ => return Err(parser.error("an answer must have exactly one value")),
            }
        }
        Token::Start("fault") => {
            parser.expect_start("value")?;
            let value = parser.value(0)?;
            parser.expect_end()?;
            Err(fault(&value).ok_or_else(|| parser.error("the fault lacks its code or text"))?)
        }
        other => return Err(parser.error(format!("{other} where <params> or <fault> should be"))),
    };
    parser.expect_end()?;
    parser.finish(response)
}

/// The fault that a struct with `faultCode` and `faultString` carries.
pub(super) fn fault(value: &Value) -> Option<Fault> {
    let code = value.get("faultCode")?.as_int()?;
    Some(Fault { code, text: value.get("faultString")?.as_str()?.to_owned() })
}

/// What matters of the XML: elements begin and end, and there is text between them.
enum Token {
    Start(&'static str),
    End,
}

impl std::fmt::Display for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Token::Start(UNKNOWN) => f.write_str(UNKNOWN),
            Token::Start(name) => write!(f, "<{name}>"),
            Token::End => f.write_str("the end of an element"),
        }
    }
}

/// A piece inside a `<value>` or another element that holds text.
enum Piece<'a> {
    Text(std::borrow::Cow<'a, str>),
    Character(char),
    Token(Token),
}

struct Parser<'a> {
    reader: Reader<&'a [u8]>,
    depth: usize,
    /// The names of members so far: the structs of a list have the same ones.
    names: HashSet<Arc<str>>,
    /// How many members the last struct had; the next one will mostly have as many.
    usual_members: usize,
}

impl<'a> Parser<'a> {
    fn new(body: &'a [u8], limits: Limits) -> Result<Self, DecodeError> {
        let problem = |problem: String| DecodeError { problem, position: 0 };
        if body.len() > limits.bytes {
            let (is, limit) = (body.len(), limits.bytes);
            return Err(problem(format!(
                "the body has {is} bytes, more than the limit of {limit}"
            )));
        }
        let text = std::str::from_utf8(body).map_err(|error| DecodeError {
            problem: "the body is not UTF-8".to_owned(),
            position: error.valid_up_to() as u64,
        })?;
        let mut reader = Reader::from_str(text);
        reader.config_mut().expand_empty_elements = true;
        Ok(Parser { reader, depth: limits.depth, names: HashSet::new(), usual_members: 0 })
    }

    fn error(&self, problem: impl Into<String>) -> DecodeError {
        DecodeError { problem: problem.into(), position: self.reader.buffer_position() }
    }

    fn piece(&mut self) -> Result<Piece<'a>, DecodeError> {
        loop {
            let event = match self.reader.read_event() {
                Ok(event) => event,
                // It quotes the document, which may say anything.
                Err(error) => {
                    let error: String = error.to_string().chars().take(300).collect();
                    return Err(self.error(format!("broken XML: {error}")));
                }
            };
            return match event {
                Event::Start(start) => {
                    Ok(Piece::Token(Token::Start(known_name(start.name().into_inner()))))
                }
                Event::End(_) => Ok(Piece::Token(Token::End)),
                Event::Text(text) => Ok(Piece::Text(text.xml10_content())),
                Event::CData(text) => Ok(Piece::Text(text.xml10_content())),
                Event::GeneralRef(reference) => self.character(&reference).map(Piece::Character),
                Event::DocType(_) => Err(self.error("a DOCTYPE is not allowed")),
                Event::Eof => Err(self.error("the body ends too early")),
                Event::Decl(_) | Event::PI(_) | Event::Comment(_) => continue,
                Event::Empty(_) => Err(self.error("an empty element came unexpanded")),
            };
        }
    }

    fn character(&self, reference: &BytesRef<'_>) -> Result<char, DecodeError> {
        match reference.resolve_char_ref() {
            Ok(Some(character)) => return Ok(character),
            Ok(None) => {}
            Err(error) => return Err(self.error(format!("broken character reference: {error}"))),
        }
        match reference.xml10_content().as_ref() {
            "lt" => Ok('<'),
            "gt" => Ok('>'),
            "amp" => Ok('&'),
            "apos" => Ok('\''),
            "quot" => Ok('"'),
            _ => Err(self.error("an entity that XML does not define")),
        }
    }

    /// The next beginning or end of an element; between them only white space may stand.
    fn next(&mut self) -> Result<Token, DecodeError> {
        loop {
            match self.piece()? {
                Piece::Token(token) => return Ok(token),
                Piece::Text(text) if text.trim().is_empty() => {}
                Piece::Text(_) | Piece::Character(_) => {
                    return Err(self.error("text between elements"));
                }
            }
        }
    }

    fn expect_start(&mut self, name: &str) -> Result<(), DecodeError> {
        match self.next()? {
            Token::Start(found) if found == name => Ok(()),
            other => Err(self.error(format!("{other} where <{name}> should be"))),
        }
    }

    fn expect_end(&mut self) -> Result<(), DecodeError> {
        match self.next()? {
            Token::End => Ok(()),
            other => Err(self.error(format!("{other} where an element should end"))),
        }
    }

    /// After the end of the outermost element only comments and white space may come.
    fn finish<T>(mut self, result: T) -> Result<T, DecodeError> {
        loop {
            match self.reader.read_event() {
                Ok(Event::Eof) => return Ok(result),
                Ok(Event::Text(text)) if text.xml10_content().trim().is_empty() => {}
                Ok(Event::Comment(_) | Event::PI(_)) => {}
                _ => return Err(self.error("something follows the end of the body")),
            }
        }
    }

    /// Text up to the end of the element that has begun.
    fn text_until_end(&mut self) -> Result<String, DecodeError> {
        let mut text = String::new();
        loop {
            match self.piece()? {
                // The common case, one piece, is taken over without a copy where it is owned.
                Piece::Text(piece) if text.is_empty() => text = piece.into_owned(),
                Piece::Text(piece) => text.push_str(&piece),
                Piece::Character(character) => text.push(character),
                Piece::Token(Token::End) => return Ok(text),
                Piece::Token(other) => {
                    return Err(self.error(format!("{other} where text should be")));
                }
            }
        }
    }

    /// The parameters, after `<params>`.
    fn params(&mut self) -> Result<Vec<Value>, DecodeError> {
        let mut params = Vec::new();
        loop {
            match self.next()? {
                Token::Start("param") => {
                    self.expect_start("value")?;
                    params.push(self.value(0)?);
                    self.expect_end()?;
                }
                Token::End => return Ok(params),
                other => return Err(self.error(format!("{other} where <param> should be"))),
            }
        }
    }

    /// One value, after `<value>`, to its end.
    fn value(&mut self, depth: usize) -> Result<Value, DecodeError> {
        if depth > self.depth {
            return Err(self.error(format!("values are nested deeper than {}", self.depth)));
        }
        let mut untyped = String::new();
        let kind = loop {
            match self.piece()? {
                Piece::Text(text) => untyped.push_str(&text),
                Piece::Character(character) => untyped.push(character),
                Piece::Token(Token::End) => return Ok(Value::String(untyped)),
                Piece::Token(Token::Start(kind)) if untyped.trim().is_empty() => break kind,
                Piece::Token(Token::Start(_)) => {
                    return Err(self.error("text before a typed value"));
                }
            }
        };
        let value = match kind {
            "array" => self.array(depth)?,
            "struct" => self.structure(depth)?,
            "string" | "dateTime.iso8601" => Value::String(self.text_until_end()?),
            "nil" => {
                self.text_until_end()?;
                Value::Nil
            }
            "int" | "i4" | "i8" | "i1" | "i2" | "biginteger" => {
                let text = self.text_until_end()?;
                let number = text
                    .trim()
                    .parse()
                    .map_err(|_| self.error("an int outside 64 bits, or none at all"))?;
                Value::Int(number)
            }
            "boolean" => match self.text_until_end()?.trim() {
                "0" => Value::Bool(false),
                "1" => Value::Bool(true),
                _ => return Err(self.error("a boolean that is neither 0 nor 1")),
            },
            "double" | "float" => {
                let text = self.text_until_end()?;
                Value::Double(
                    text.trim().parse().map_err(|_| self.error("a double that is no number"))?,
                )
            }
            "base64" => Value::String(self.text_until_end()?.split_ascii_whitespace().collect()),
            other => {
                let other = Token::Start(other);
                return Err(self.error(format!("{other} is no type of a value")));
            }
        };
        self.expect_end()?;
        Ok(value)
    }

    fn array(&mut self, depth: usize) -> Result<Value, DecodeError> {
        self.expect_start("data")?;
        let mut values = Vec::new();
        loop {
            match self.next()? {
                Token::Start("value") => values.push(self.value(depth + 1)?),
                Token::End => break,
                other => return Err(self.error(format!("{other} where <value> should be"))),
            }
        }
        self.expect_end()?;
        Ok(Value::Array(values))
    }

    fn member_name(&mut self) -> Result<Arc<str>, DecodeError> {
        let name = self.text_until_end()?;
        if let Some(known) = self.names.get(name.as_str()) {
            return Ok(Arc::clone(known));
        }
        let name: Arc<str> = name.into();
        self.names.insert(Arc::clone(&name));
        Ok(name)
    }

    fn structure(&mut self, depth: usize) -> Result<Value, DecodeError> {
        let mut members: Vec<(Arc<str>, Value)> = Vec::with_capacity(self.usual_members);
        loop {
            match self.next()? {
                Token::Start("member") => {
                    self.expect_start("name")?;
                    let name = self.member_name()?;
                    self.expect_start("value")?;
                    members.push((name, self.value(depth + 1)?));
                    self.expect_end()?;
                }
                Token::End => {
                    self.usual_members = members.len().min(USUAL_MEMBERS);
                    return Ok(Value::Struct(Struct::of(members)));
                }
                other => return Err(self.error(format!("{other} where <member> should be"))),
            }
        }
    }
}

/// No struct of Koji has more members that are worth making room for beforehand.
const USUAL_MEMBERS: usize = 32;

/// What stands for the name of an element that XML-RPC does not have.
const UNKNOWN: &str = "an unknown element";

/// The names of XML-RPC's elements.
const NAMES: [&str; 25] = [
    "value",
    "name",
    "member",
    "string",
    "int",
    "nil",
    "double",
    "boolean",
    "struct",
    "array",
    "data",
    "param",
    "i8",
    "i4",
    "i2",
    "i1",
    "biginteger",
    "float",
    "dateTime.iso8601",
    "base64",
    "params",
    "fault",
    "methodName",
    "methodCall",
    "methodResponse",
];

/// The element's name as a constant, so that nothing need be borrowed or copied from the body.
fn known_name(name: &str) -> &'static str {
    match NAMES.iter().find(|known| **known == name) {
        Some(known) => known,
        // The Java world writes `ex:nil`, with a prefix of its choice.
        None if name.ends_with(":nil") => "nil",
        None => UNKNOWN,
    }
}
