//! The grammar of XML 1.0 as far as it concerns one token: a tag, a text, a comment, …
//!
//! What is accepted is what the standard calls well-formed, with two exceptions. A document type may declare what it
//! likes: declarations are passed over with little more than a look at their quotes, and the entities and attributes
//! that they declare are not known. And names may have any prefix, declared or not, as XML 1.0 without its namespaces has
//! it.
//!
//! All functions begin to look at some place of the text and tell where they ended. Text that ends too early is
//! [`Stop::Incomplete`]: there may be more.

use std::ops::Range;

use super::pieces::is_allowed;

/// Why a token could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    /// The text ends within it.
    Incomplete,
    /// It is not XML, as is seen at this place.
    Wrong(usize, &'static str),
}

/// One token; ranges are of the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token {
    /// `<name …>` or `<name …/>`. The attributes are told apart from it.
    Start { name: Range<usize>, is_empty: bool },
    /// `</name>`
    End { name: Range<usize> },
    /// What stands between tags. Its references are known to be right; whether there are any is told.
    Text { text: Range<usize>, has_references: bool },
    /// `<![CDATA[…]]>`
    Literal { text: Range<usize> },
    /// `<?xml …?>`
    Declaration { encoding: Option<Range<usize>> },
    /// `<!DOCTYPE …>`
    DocumentType,
    /// A comment or a processing instruction.
    Other,
}

/// An attribute of a tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Attribute {
    pub(super) name: Range<usize>,
    pub(super) value: Range<usize>,
    /// Whether the value is to be taken as it stands there.
    pub(super) is_plain: bool,
}

type Found<T> = Result<(T, usize), Stop>;

/// The token at a place of the text. `is_last`: nothing follows the text, so that a token that could go on ends with it.
/// The attributes of a start tag are put into `attributes`.
#[inline]
pub(super) fn token(
    text: &str,
    from: usize,
    is_last: bool,
    attributes: &mut Vec<Attribute>,
) -> Found<Token> {
    let bytes = text.as_bytes();
    if byte(bytes, from)? != b'<' {
        return content(text, from, is_last);
    }
    match byte(bytes, from + 1)? {
        b'/' => {
            let name = name(text, from + 2)?;
            let end = expect(bytes, spaces(bytes, name), b'>', "an end tag that does not end")?;
            Ok((Token::End { name: from + 2..name }, end))
        }
        b'!' => {
            if starts(bytes, from, b"<!--")? {
                Ok((Token::Other, comment(bytes, from)?))
            } else if starts(bytes, from, b"<![CDATA[")? {
                let start = from + 9;
                let end = find(bytes, start, b"]]>")?;
                Ok((Token::Literal { text: start..end }, end + 3))
            } else if starts(bytes, from, b"<!DOCTYPE")? {
                Ok((Token::DocumentType, document_type(text, from)?))
            } else {
                Err(Stop::Wrong(from, "“<!” begins nothing that is known"))
            }
        }
        b'?' => instruction(text, from),
        _ => start_tag(text, from, attributes),
    }
}

#[inline]
fn byte(bytes: &[u8], at: usize) -> Result<u8, Stop> {
    bytes.get(at).copied().ok_or(Stop::Incomplete)
}

/// Whether the text goes on like that.
fn starts(bytes: &[u8], at: usize, with: &[u8]) -> Result<bool, Stop> {
    let rest = &bytes[at..];
    if rest.len() >= with.len() {
        Ok(rest.starts_with(with))
    } else if with.starts_with(rest) {
        Err(Stop::Incomplete)
    } else {
        Ok(false)
    }
}

fn find(bytes: &[u8], from: usize, what: &[u8]) -> Result<usize, Stop> {
    let rest = bytes.get(from..).ok_or(Stop::Incomplete)?;
    memchr::memmem::find(rest, what).map(|n| from + n).ok_or(Stop::Incomplete)
}

#[inline]
fn expect(bytes: &[u8], at: usize, what: u8, otherwise: &'static str) -> Result<usize, Stop> {
    if byte(bytes, at)? == what { Ok(at + 1) } else { Err(Stop::Wrong(at, otherwise)) }
}

#[inline]
pub(super) fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\n' | b'\t' | b'\r')
}

/// Where the white space from here on ends; there may be none.
#[inline]
fn spaces(bytes: &[u8], mut at: usize) -> usize {
    while bytes.get(at).is_some_and(|byte| is_space(*byte)) {
        at += 1;
    }
    at
}

/// What a byte is at the start of a name and within one. Bytes of characters beyond ASCII are looked at as characters.
const NO_NAME: u8 = 0;
const IN_NAME: u8 = 1;
const STARTS_NAME: u8 = 2;
const BEYOND: u8 = 3;

static NAMES: [u8; 256] = {
    let mut table = [NO_NAME; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = match byte as u8 {
            b'A'..=b'Z' | b'a'..=b'z' | b'_' | b':' => STARTS_NAME,
            b'0'..=b'9' | b'-' | b'.' => IN_NAME,
            0x80.. => BEYOND,
            _ => NO_NAME,
        };
        byte += 1;
    }
    table
};

/// Where the name that begins here ends.
#[inline]
fn name(text: &str, from: usize) -> Result<usize, Stop> {
    let bytes = text.as_bytes();
    match NAMES[usize::from(byte(bytes, from)?)] {
        STARTS_NAME => {}
        BEYOND if text[from..].starts_with(starts_name) => {}
        _ => {
            return Err(Stop::Wrong(
                from,
                "a name begins with a character that no name begins with",
            ));
        }
    }
    let mut at = from;
    loop {
        match NAMES[usize::from(byte(bytes, at)?)] {
            NO_NAME => return Ok(at),
            BEYOND => match text[at..].chars().next() {
                Some(c) if starts_name(c) || is_only_within_names(c) => at += c.len_utf8(),
                _ => return Ok(at),
            },
            _ => at += 1,
        }
    }
}

/// Characters beyond ASCII with which a name may begin (production 4).
fn starts_name(c: char) -> bool {
    matches!(c,
        '\u{c0}'..='\u{d6}' | '\u{d8}'..='\u{f6}' | '\u{f8}'..='\u{2ff}' | '\u{370}'..='\u{37d}'
        | '\u{37f}'..='\u{1fff}' | '\u{200c}'..='\u{200d}' | '\u{2070}'..='\u{218f}'
        | '\u{2c00}'..='\u{2fef}' | '\u{3001}'..='\u{d7ff}' | '\u{f900}'..='\u{fdcf}'
        | '\u{fdf0}'..='\u{fffd}' | '\u{10000}'..='\u{effff}')
}

/// Characters beyond ASCII that may stand elsewhere in a name (production 4a).
fn is_only_within_names(c: char) -> bool {
    matches!(c, '\u{b7}' | '\u{300}'..='\u{36f}' | '\u{203f}'..='\u{2040}')
}

/// Text up to the next tag.
#[inline]
fn content(text: &str, from: usize, is_last: bool) -> Found<Token> {
    let bytes = text.as_bytes();
    // Mostly there is nothing but indentation.
    let mut at = spaces(bytes, from);
    let mut has_references = false;
    loop {
        match memchr::memchr3(b'<', b'&', b']', bytes.get(at..).unwrap_or_default()) {
            None if is_last => {
                at = bytes.len();
                break;
            }
            None => return Err(Stop::Incomplete),
            Some(n) => at += n,
        }
        match bytes[at] {
            b'<' => break,
            b'&' => {
                has_references = true;
                (_, at) = reference(bytes, at)?;
            }
            _ if bytes[at..].starts_with(b"]]>") => {
                return Err(Stop::Wrong(at, "“]]>” stands where no CDATA section ends"));
            }
            _ => at += 1,
        }
    }
    Ok((Token::Text { text: from..at, has_references }, at))
}

/// A reference to a character, or to one of the five entities that XML has of itself.
pub(super) fn reference(bytes: &[u8], from: usize) -> Found<char> {
    let rest = &bytes[from + 1..];
    let is_part = |byte: &u8| NAMES[usize::from(*byte)] != NO_NAME || *byte == b'#';
    let length = rest.iter().position(|byte| !is_part(byte)).ok_or(Stop::Incomplete)?;
    if rest[length] != b';' || length == 0 {
        return Err(Stop::Wrong(from, "“&” begins no reference"));
    }
    let end = from + 1 + length + 1;
    let c = match &rest[..length] {
        b"lt" => '<',
        b"gt" => '>',
        b"amp" => '&',
        b"apos" => '\'',
        b"quot" => '"',
        [b'#', b'x', digits @ ..] => character(digits, 16, from)?,
        [b'#', digits @ ..] => character(digits, 10, from)?,
        _ => return Err(Stop::Wrong(from, "an unknown entity")),
    };
    Ok((c, end))
}

fn character(digits: &[u8], radix: u32, from: usize) -> Result<char, Stop> {
    let number = digits.iter().try_fold(0_u32, |number, digit| {
        number.checked_mul(radix)?.checked_add(char::from(*digit).to_digit(radix)?)
    });
    number
        .filter(|_| !digits.is_empty())
        .and_then(char::from_u32)
        .filter(|c| is_allowed(*c))
        .ok_or(Stop::Wrong(from, "a reference to a character that XML does not have"))
}

fn start_tag(text: &str, from: usize, attributes: &mut Vec<Attribute>) -> Found<Token> {
    /// Names of that many are compared with each other, of more they are sorted.
    const FEW: usize = 16;
    let bytes = text.as_bytes();
    attributes.clear();
    let name_end = name(text, from + 1)?;
    let name_range = from + 1..name_end;
    let mut at = name_end;
    let is_empty = loop {
        let next = spaces(bytes, at);
        match byte(bytes, next)? {
            b'>' => {
                at = next + 1;
                break false;
            }
            b'/' => {
                at = expect(bytes, next + 1, b'>', "“/” stands within a tag")?;
                break true;
            }
            _ if next == at => {
                return Err(Stop::Wrong(at, "there is no space before an attribute of a tag"));
            }
            _ => {}
        }
        let (attribute, end) = attribute(text, next)?;
        if attributes.len() >= MAX_ATTRIBUTES {
            return Err(Stop::Wrong(next, "a tag has more than 1000 attributes"));
        }
        if attributes.len() < FEW {
            let new = &bytes[attribute.name.clone()];
            if attributes.iter().any(|other| &bytes[other.name.clone()] == new) {
                return Err(Stop::Wrong(next, TWICE));
            }
        }
        attributes.push(attribute);
        at = end;
    };
    if attributes.len() > FEW {
        let mut names: Vec<&[u8]> =
            attributes.iter().map(|attribute| &bytes[attribute.name.clone()]).collect();
        names.sort_unstable();
        if names.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(Stop::Wrong(from, TWICE));
        }
    }
    Ok((Token::Start { name: name_range, is_empty }, at))
}

/// How many attributes a tag may have; those of rpm-md have six.
const MAX_ATTRIBUTES: usize = 1000;

const TWICE: &str = "a tag has the same attribute twice";

/// `name="value"`
#[inline]
fn attribute(text: &str, from: usize) -> Found<Attribute> {
    let bytes = text.as_bytes();
    let name = from..name(text, from)?;
    let equals = spaces(bytes, name.end);
    let start = expect(bytes, equals, b'=', "an attribute without a value")?;
    let start = spaces(bytes, start);
    let quote = byte(bytes, start)?;
    if quote != b'"' && quote != b'\'' {
        return Err(Stop::Wrong(start, "the value of an attribute is not in quotes"));
    }
    let start = start + 1;
    let mut at = start;
    let mut is_plain = true;
    loop {
        match byte(bytes, at)? {
            found if found == quote => break,
            b'<' => return Err(Stop::Wrong(at, "“<” stands in the value of an attribute")),
            b'&' => {
                is_plain = false;
                (_, at) = reference(bytes, at)?;
            }
            found => {
                // A tab or newline counts as a space.
                is_plain &= found >= b' ';
                at += 1;
            }
        }
    }
    Ok((Attribute { name, value: start..at, is_plain }, at + 1))
}

fn comment(bytes: &[u8], from: usize) -> Result<usize, Stop> {
    let end = find(bytes, from + 4, b"--")?;
    expect(bytes, end + 2, b'>', "“--” stands within a comment")
}

fn instruction(text: &str, from: usize) -> Found<Token> {
    let bytes = text.as_bytes();
    let end = name(text, from + 2)?;
    let target = &bytes[from + 2..end];
    if target == b"xml" {
        return declaration(text, end);
    }
    if target.eq_ignore_ascii_case(b"xml") {
        return Err(Stop::Wrong(from, "a processing instruction cannot have that name"));
    }
    if !is_space(byte(bytes, end)?) && !starts(bytes, end, b"?>")? {
        return Err(Stop::Wrong(end, "the name of a processing instruction does not end"));
    }
    Ok((Token::Other, find(bytes, end, b"?>")? + 2))
}

/// The rest of `<?xml version="1.0" encoding="UTF-8" standalone="no"?>`.
fn declaration(text: &str, from: usize) -> Found<Token> {
    let bytes = text.as_bytes();
    let wrong = |at| Stop::Wrong(at, "an XML declaration that is none");
    let mut encoding = None;
    // How many of the three were there; they have an order, and only the first has to be there.
    let mut seen = 0;
    let mut at = from;
    loop {
        let next = spaces(bytes, at);
        if byte(bytes, next)? == b'?' {
            let end = expect(bytes, next + 1, b'>', "an XML declaration that is none")?;
            return if seen == 0 {
                Err(wrong(from))
            } else {
                Ok((Token::Declaration { encoding }, end))
            };
        }
        if next == at {
            return Err(wrong(at));
        }
        let (attribute, end) = attribute(text, next)?;
        let value = &bytes[attribute.value.clone()];
        let place = match (&bytes[attribute.name], value) {
            (b"version", [b'1', b'.', digits @ ..])
                if !digits.is_empty() && digits.iter().all(u8::is_ascii_digit) =>
            {
                1
            }
            (b"version", _) => return Err(Stop::Wrong(next, "its version of XML is not 1.0")),
            (b"encoding", [first, ..]) if first.is_ascii_alphabetic() => {
                encoding = Some(attribute.value);
                2
            }
            (b"standalone", b"yes" | b"no") => 3,
            _ => return Err(wrong(next)),
        };
        if place <= seen || (seen == 0 && place != 1) {
            return Err(wrong(next));
        }
        seen = place;
        at = end;
    }
}

/// `<!DOCTYPE name PUBLIC "…" "…" [ … ]>`
fn document_type(text: &str, from: usize) -> Result<usize, Stop> {
    let bytes = text.as_bytes();
    let wrong = |at| Stop::Wrong(at, "a document type that is none");
    let some_spaces = |at| match spaces(bytes, at) {
        next if next > at => Ok(next),
        next => byte(bytes, next).and_then(|_| Err(wrong(at))),
    };
    let mut at = name(text, some_spaces(from + 9)?)?;
    let next = spaces(bytes, at);
    if !matches!(byte(bytes, next)?, b'[' | b'>') {
        at = some_spaces(at)?;
        if starts(bytes, at, b"PUBLIC")? {
            let start = some_spaces(at + 6)?;
            at = quoted(bytes, start)?;
            let allowed = |byte: &u8| {
                byte.is_ascii_alphanumeric() || b" \r\n-'()+,./:=?;!*#@$_%".contains(byte)
            };
            if !bytes[start + 1..at - 1].iter().all(allowed) {
                return Err(wrong(start));
            }
        } else if starts(bytes, at, b"SYSTEM")? {
            at += 6;
        } else {
            return Err(wrong(at));
        }
        at = quoted(bytes, some_spaces(at)?)?;
    }
    at = spaces(bytes, at);
    if byte(bytes, at)? == b'[' {
        at = spaces(bytes, declarations(text, at + 1)?);
    }
    expect(bytes, at, b'>', "a document type that is none")
}

/// Where the quotes that begin here end.
fn quoted(bytes: &[u8], from: usize) -> Result<usize, Stop> {
    match byte(bytes, from)? {
        quote @ (b'"' | b'\'') => Ok(find(bytes, from + 1, &[quote])? + 1),
        _ => Err(Stop::Wrong(from, "a document type that is none")),
    }
}

/// The declarations of a document type, up to the bracket that ends them.
fn declarations(text: &str, mut at: usize) -> Result<usize, Stop> {
    let bytes = text.as_bytes();
    loop {
        at = spaces(bytes, at);
        match byte(bytes, at)? {
            b']' => return Ok(at + 1),
            b'<' => {}
            b'%' => return Err(Stop::Wrong(at, "an unknown entity")),
            _ => return Err(Stop::Wrong(at, "a declaration that is none")),
        }
        if starts(bytes, at, b"<!--")? {
            at = comment(bytes, at)?;
        } else if starts(bytes, at, b"<?")? {
            match instruction(text, at)? {
                (Token::Other, end) => at = end,
                _ => return Err(Stop::Wrong(at, "an XML declaration within the document")),
            }
        } else {
            let known: [&[u8]; 4] = [b"<!ELEMENT", b"<!ATTLIST", b"<!ENTITY", b"<!NOTATION"];
            let mut is_known = false;
            for keyword in known {
                is_known |= starts(bytes, at, keyword)?;
            }
            if !is_known {
                return Err(Stop::Wrong(at, "a declaration that is none"));
            }
            at = loop {
                at += 1;
                match byte(bytes, at)? {
                    b'>' => break at + 1,
                    b'<' => return Err(Stop::Wrong(at, "a declaration that is none")),
                    b'"' | b'\'' => at = quoted(bytes, at)? - 1,
                    _ => {}
                }
            };
        }
    }
}
