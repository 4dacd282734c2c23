//! What the readers of all metadata files share: a bounded XML stream that knows its line.
//!
//! Half a gigabyte of file lists has to be read in about a second, so this is a reader for just what rpm-md needs: it
//! tells elements, attributes and texts, accepts what XML 1.0 calls well-formed, refuses what it does not, and keeps
//! nothing that it was not asked for. [`pieces`] makes text of bytes, [`tokens`] knows the grammar of a tag, and here is what
//! concerns the document: elements end in the order in which they began, there is one root, and nothing is too long
//! or too deep.

mod pieces;
#[cfg(test)]
mod tests;
mod tokens;

use std::borrow::Cow;
use std::io::{self, Read};
use std::ops::Range;
use std::{mem, thread};

use self::pieces::{Fault, Pieces};
use self::tokens::{Attribute, Stop, Token};
use super::Error;

/// The longest single tag or text; real ones (descriptions) stay under 100 kB.
const MAX_TOKEN: usize = 4 << 20;

/// How deep elements may be nested; rpm-md needs five levels. Names of open elements are kept, which may be as long as
/// a token.
const MAX_DEPTH: usize = 16;

/// How much of a reason is shown, and of a name within one; what is quoted comes from outside.
const SHOWN: usize = 300;
const SHOWN_NAME: usize = 100;

/// What a document consists of, for those who do not care for texts.
pub(super) enum Event<'s> {
    /// An element begins.
    Start(Tag<'s>),
    /// The element of this name (without prefix) ends, also when it was one tag.
    End(&'s str),
    /// The document ends.
    Eof,
}

/// A tag with which an element begins.
pub(super) struct Tag<'s> {
    text: &'s str,
    name: Range<usize>,
    attributes: &'s [Attribute],
}

impl<'s> Tag<'s> {
    /// The name without its prefix.
    #[inline]
    pub(super) fn local_name(&self) -> &'s str {
        local(&self.text[self.name.clone()])
    }

    /// Names (with their prefixes) and values of the attributes.
    pub(super) fn attributes(&self) -> impl Iterator<Item = (&'s str, Cow<'s, str>)> {
        let text = self.text;
        self.attributes.iter().map(move |attribute| {
            let value = &text[attribute.value.clone()];
            let value = match attribute.is_plain {
                true => Cow::Borrowed(value),
                false => Cow::Owned(normalized(value)),
            };
            (&text[attribute.name.clone()], value)
        })
    }
}

#[inline]
fn local(name: &str) -> &str {
    match memchr::memchr(b':', name.as_bytes()) {
        Some(colon) => &name[colon + 1..],
        None => name,
    }
}

/// The value of an attribute as it is meant (section 3.3.3 of XML 1.0).
fn normalized(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    push_resolved(value, &mut out, |c| if c == '\n' || c == '\t' { ' ' } else { c });
    out
}

/// Appends a text whose references are known to be right; `map` is for the characters that stand there as they are.
fn push_resolved(text: &str, into: &mut String, map: impl Fn(char) -> char) {
    let mut rest = text;
    while let Some(at) = memchr::memchr(b'&', rest.as_bytes()) {
        into.extend(rest[..at].chars().map(&map));
        let Ok((c, end)) = tokens::reference(rest.as_bytes(), at) else { break };
        into.push(c);
        rest = &rest[end..];
    }
    into.extend(rest.chars().map(map));
}

pub(super) struct Scanner<'a> {
    file: &'static str,
    pieces: Pieces<'a>,
    /// Text from a little before the present place to the end of the last piece.
    window: String,
    at: usize,
    /// Of what stood before the window.
    lines_before: u64,
    bytes_before: u64,
    /// Nothing follows the window.
    is_last: bool,
    /// What follows the window instead of text.
    fault: Option<Fault>,
    attributes: Vec<Attribute>,
    /// Names of the open elements back to back, and which is where. That of the element that ended last is still
    /// there.
    names: String,
    open: Vec<Range<usize>>,
    closed: Range<usize>,
    /// The last tag was a whole element, the end of which was not told yet.
    ends: bool,
    stage: Stage,
}

/// How far the document is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Begin,
    BeforeRoot,
    AfterDocumentType,
    Root,
    AfterRoot,
}

/// A step through the document.
enum Step {
    Start { name: Range<usize> },
    End,
    Text { text: Range<usize>, has_references: bool },
    Other,
    Eof,
}

impl<'a> Scanner<'a> {
    /// `file` is how errors call it; `limit` is how many bytes it may have when decompressed.
    pub(super) fn new(
        reader: impl Read + 'a,
        file: &'static str,
        limit: u64,
    ) -> Result<Self, Error> {
        let pieces = Pieces::here(reader, limit).map_err(|error| unreadable(file, 1, &error))?;
        Ok(Self::over(pieces, file))
    }

    /// The same, decompressed in another thread while `read` does its work.
    pub(super) fn in_two_threads<T>(
        reader: impl Read + Send,
        file: &'static str,
        limit: u64,
        read: impl FnOnce(Scanner<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        thread::scope(|scope| {
            let pieces = Pieces::afar(scope, reader, limit);
            let pieces = pieces.map_err(|error| unreadable(file, 1, &error))?;
            read(Scanner::over(pieces, file))
        })
    }

    fn over(pieces: Pieces<'a>, file: &'static str) -> Self {
        Scanner {
            file,
            pieces,
            window: String::new(),
            at: 0,
            lines_before: 0,
            bytes_before: 0,
            is_last: false,
            fault: None,
            attributes: Vec::new(),
            names: String::new(),
            open: Vec::new(),
            closed: 0..0,
            ends: false,
            stage: Stage::Begin,
        }
    }

    /// The next tag, or the end. Texts, comments and declarations are passed over.
    #[inline]
    pub(super) fn next(&mut self) -> Result<Event<'_>, Error> {
        loop {
            match self.step()? {
                Step::Start { name } => {
                    let (text, attributes) = (self.window.as_str(), self.attributes.as_slice());
                    return Ok(Event::Start(Tag { text, name, attributes }));
                }
                Step::End => return Ok(Event::End(local(&self.names[self.closed.clone()]))),
                Step::Text { .. } | Step::Other => {}
                Step::Eof => return Ok(Event::Eof),
            }
        }
    }

    /// The text up to the end of the element that was just started; elements within it are ignored.
    pub(super) fn text(&mut self, into: &mut String) -> Result<(), Error> {
        into.clear();
        let depth = self.open.len();
        while self.open.len() >= depth {
            if let Step::Text { text, has_references } = self.step()? {
                let text = &self.window[text];
                if has_references {
                    push_resolved(text, into, |c| c);
                } else {
                    into.push_str(text);
                }
                if into.len() > MAX_TOKEN {
                    return Err(self.malformed(TooLong));
                }
            }
        }
        Ok(())
    }

    /// The same, without copying when it is short and simple. `buffer` is for when it is not.
    #[inline]
    pub(super) fn text_or<'s>(&'s mut self, buffer: &'s mut String) -> Result<&'s str, Error> {
        match self.simple_text() {
            Some(text) => Ok(&self.window[text]),
            None => {
                self.text(buffer)?;
                Ok(buffer)
            }
        }
    }

    /// The text of the element that was just started, if there is nothing else in it and the window has all of it.
    #[inline]
    fn simple_text(&mut self) -> Option<Range<usize>> {
        let bytes = self.window.as_bytes();
        let start = self.at;
        let length = memchr::memchr3(b'<', b'&', b']', bytes.get(start..)?)?;
        let name = self.names.get(self.open.last()?.clone())?.as_bytes();
        let tag = bytes.get(start + length..)?.strip_prefix(b"</")?;
        let is_simple = !self.ends && tag.starts_with(name) && tag.get(name.len()) == Some(&b'>');
        if !is_simple || length > MAX_TOKEN {
            return None;
        }
        self.at = start + length + name.len() + 3;
        self.close();
        Some(start..start + length)
    }

    /// Skips to the end of the element that was just started.
    pub(super) fn skip(&mut self) -> Result<(), Error> {
        let depth = self.open.len();
        while self.open.len() >= depth {
            self.step()?;
        }
        Ok(())
    }

    #[inline]
    fn step(&mut self) -> Result<Step, Error> {
        if self.ends {
            self.ends = false;
            self.close();
            return Ok(Step::End);
        }
        let (token, end) = loop {
            match tokens::token(&self.window, self.at, self.is_last, &mut self.attributes) {
                Ok((token, end)) if end - self.at <= MAX_TOKEN => break (token, end),
                Ok(_) => return Err(self.malformed(TooLong)),
                Err(Stop::Wrong(at, reason)) => return Err(self.malformed_at(at, reason)),
                Err(Stop::Incomplete) => {
                    if self.window.len() - self.at > MAX_TOKEN {
                        return Err(self.malformed_at(self.window.len(), TooLong));
                    }
                    if self.is_last {
                        if self.open.is_empty() && self.at == self.window.len() {
                            return Ok(Step::Eof);
                        }
                        let end = self.window.len();
                        return Err(self.malformed_at(end, "the file ends in the middle"));
                    }
                    self.read_on()?;
                }
            }
        };
        let start = mem::replace(&mut self.at, end);
        match token {
            Token::Start { name, is_empty } => {
                self.open(name.clone())?;
                self.ends = is_empty;
                Ok(Step::Start { name })
            }
            Token::End { name } => {
                let expected = self.open.last().map(|open| &self.names[open.clone()]);
                let found = &self.window[name];
                if expected != Some(found) {
                    let found = shown_name(found);
                    return Err(self.malformed(match expected.map(shown_name) {
                        Some(name) => format!("“</{found}>” stands where “</{name}>” should"),
                        None => format!("“</{found}>” ends what did not begin"),
                    }));
                }
                self.close();
                Ok(Step::End)
            }
            Token::Text { text, has_references } => {
                self.text_is_in_place(&text)?;
                Ok(Step::Text { text, has_references })
            }
            Token::Literal { text } => {
                if self.stage != Stage::Root {
                    return Err(self.malformed_at(start, OUTSIDE));
                }
                Ok(Step::Text { text, has_references: false })
            }
            other => {
                self.prologue(&other, start)?;
                Ok(Step::Other)
            }
        }
    }

    /// What stands before the root, or may stand anywhere.
    fn prologue(&mut self, token: &Token, start: usize) -> Result<(), Error> {
        match (token, self.stage) {
            (Token::Declaration { encoding }, Stage::Begin) => {
                if let Some(encoding) = encoding.clone()
                    && !self.window[encoding.clone()].eq_ignore_ascii_case("UTF-8")
                {
                    let encoding = shown_name(&self.window[encoding]);
                    let reason = format!("its encoding is {encoding}; it has to be UTF-8");
                    return Err(self.malformed_at(start, reason));
                }
                self.stage = Stage::BeforeRoot;
            }
            (Token::Declaration { .. }, _) => {
                let reason = "an XML declaration that is not at the beginning";
                return Err(self.malformed_at(start, reason));
            }
            (Token::DocumentType, Stage::Begin | Stage::BeforeRoot) => {
                self.stage = Stage::AfterDocumentType;
            }
            (Token::DocumentType, _) => {
                return Err(self.malformed_at(start, "a document type where none can be"));
            }
            (_, Stage::Begin) => self.stage = Stage::BeforeRoot,
            _ => {}
        }
        Ok(())
    }

    /// Outside of the root there is only white space.
    #[inline]
    fn text_is_in_place(&mut self, text: &Range<usize>) -> Result<(), Error> {
        if self.stage == Stage::Root {
            return Ok(());
        }
        let bytes = &self.window.as_bytes()[text.clone()];
        if let Some(other) = bytes.iter().position(|byte| !tokens::is_space(*byte)) {
            return Err(self.malformed_at(text.start + other, OUTSIDE));
        }
        if self.stage == Stage::Begin {
            self.stage = Stage::BeforeRoot;
        }
        Ok(())
    }

    fn open(&mut self, name: Range<usize>) -> Result<(), Error> {
        if self.open.is_empty() {
            if self.stage == Stage::AfterRoot {
                return Err(self.malformed("a second root element"));
            }
            self.stage = Stage::Root;
        } else if self.open.len() == MAX_DEPTH {
            return Err(self.malformed("elements are nested too deeply"));
        }
        let start = self.open.last().map_or(0, |open| open.end);
        self.names.truncate(start);
        self.names.push_str(&self.window[name]);
        self.open.push(start..self.names.len());
        Ok(())
    }

    #[inline]
    fn close(&mut self) {
        self.closed = self.open.pop().unwrap_or_default();
        if self.open.is_empty() {
            self.stage = Stage::AfterRoot;
        }
    }

    /// Takes the next piece of text into the window, and forgets what was read.
    #[cold]
    fn read_on(&mut self) -> Result<(), Error> {
        let (read, rest) = self.window.split_at(self.at);
        self.lines_before += newlines(read);
        self.bytes_before += read.len() as u64;
        // A token is looked at from its beginning again, which must not become quadratic.
        let enough = rest.len() * 2;
        self.window.drain(..self.at);
        self.at = 0;
        if let Some(fault) = self.fault.take() {
            return Err(self.faulty(fault));
        }
        let before = self.window.len();
        while self.window.len() <= enough {
            match self.pieces.next() {
                Ok(Some(piece)) => self.window.push_str(&piece),
                Ok(None) => {
                    self.is_last = true;
                    break;
                }
                Err(fault) if self.window.len() == before => return Err(self.faulty(fault)),
                Err(fault) => {
                    self.fault = Some(fault);
                    break;
                }
            }
        }
        if self.stage == Stage::Begin
            && self.bytes_before == 0
            && self.window.starts_with('\u{feff}')
        {
            self.at = '\u{feff}'.len_utf8();
        }
        Ok(())
    }

    fn faulty(&self, fault: Fault) -> Error {
        let line = self.line_of(self.window.len());
        match fault {
            Fault::Unreadable(error) => unreadable(self.file, line, &error),
            Fault::Wrong(reason) => malformed(self.file, line, reason),
        }
    }

    /// The line that has been reached, counted from 1.
    pub(super) fn line(&self) -> u64 {
        self.line_of(self.at)
    }

    fn line_of(&self, at: usize) -> u64 {
        self.lines_before + newlines(&self.window[..at]) + 1
    }

    /// How many bytes of the decompressed file have been looked at.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes_before + self.at as u64
    }

    /// An error at the present line.
    pub(super) fn malformed(&self, reason: impl ToString) -> Error {
        self.malformed_at(self.at, reason)
    }

    fn malformed_at(&self, at: usize, reason: impl ToString) -> Error {
        malformed(self.file, self.line_of(at), reason)
    }
}

const OUTSIDE: &str = "text outside of the root element";

fn newlines(text: &str) -> u64 {
    memchr::memchr_iter(b'\n', text.as_bytes()).count() as u64
}

fn malformed(file: &str, line: u64, reason: impl ToString) -> Error {
    Error::Malformed { file: file.to_owned(), line, reason: shown(&reason.to_string(), SHOWN) }
}

/// Damage of a compressed file is as permanent as any other, and has a line: the last that was understood.
fn unreadable(file: &str, line: u64, error: &io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => malformed(file, line, error),
        kind => {
            Error::Io { file: file.to_owned(), source: io::Error::new(kind, error.to_string()) }
        }
    }
}

/// A name from outside, fit to be part of a sentence.
pub(super) fn shown_name(name: &str) -> String {
    shown(name, SHOWN_NAME)
}

fn shown(text: &str, most: usize) -> String {
    let printable = |c: char| if c.is_control() { ' ' } else { c };
    let mut shown: String = text.chars().map(printable).take(most).collect();
    if text.chars().nth(most).is_some() {
        shown.push('…');
    }
    shown
}

struct TooLong;

impl std::fmt::Display for TooLong {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "a tag or text of more than {MAX_TOKEN} bytes")
    }
}
