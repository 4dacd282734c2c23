//! What the readers of all metadata files share: a bounded XML stream that knows its line.

use std::borrow::Cow;
use std::io::{self, BufRead, BufReader, Read};

use quick_xml::Reader;
use quick_xml::XmlVersion;
use quick_xml::events::attributes::Attribute;
use quick_xml::events::{BytesRef, BytesStart, Event};

use super::{Error, decompress};

/// The longest single tag or text; real ones (descriptions) stay under 100 kB.
const MAX_TOKEN: usize = 4 << 20;

/// How deep elements may be nested; rpm-md needs five levels. Names of open elements are kept, which may be as long as
/// a token.
const MAX_DEPTH: usize = 16;

/// How much of a reason is shown, and of a name within one; what is quoted comes from outside.
const SHOWN: usize = 300;
const SHOWN_NAME: usize = 100;

pub(super) struct Scanner<'a> {
    file: &'static str,
    reader: Reader<Counted<BufReader<Box<dyn Read + 'a>>>>,
    buffer: Vec<u8>,
    depth: usize,
}

impl<'a> Scanner<'a> {
    /// `file` is how errors call it; `limit` is how many bytes it may have when decompressed.
    pub(super) fn new(
        reader: impl Read + 'a,
        file: &'static str,
        limit: u64,
    ) -> Result<Self, Error> {
        let plain = decompress::open(reader, limit).map_err(|error| unreadable(file, 1, &error))?;
        let counted = Counted {
            inner: BufReader::with_capacity(64 * 1024, plain),
            lines: 0,
            token: 0,
            bytes: 0,
        };
        let mut reader = Reader::from_reader(counted);
        reader.config_mut().expand_empty_elements = true;
        Ok(Scanner { file, reader, buffer: Vec::new(), depth: 0 })
    }

    /// The next event; whitespace, comments and declarations are left to the caller to skip.
    pub(super) fn next(&mut self) -> Result<Event<'_>, Error> {
        self.buffer.clear();
        self.reader.get_mut().token = 0;
        match self.reader.read_event_into(&mut self.buffer) {
            Ok(event) => {
                match event {
                    Event::Start(_) => {
                        self.depth += 1;
                        if self.depth > MAX_DEPTH {
                            let line = self.reader.get_ref().lines + 1;
                            return Err(malformed(
                                self.file,
                                line,
                                "elements are nested too deeply",
                            ));
                        }
                    }
                    Event::End(_) => self.depth = self.depth.saturating_sub(1),
                    Event::Eof if self.depth > 0 => {
                        let line = self.reader.get_ref().lines + 1;
                        return Err(malformed(self.file, line, "the file ends in the middle"));
                    }
                    _ => {}
                }
                Ok(event)
            }
            Err(quick_xml::Error::Io(source)) => {
                Err(unreadable(self.file, self.reader.get_ref().lines + 1, &source))
            }
            Err(error) => {
                let line = self.reader.get_ref().lines + 1;
                Err(malformed(self.file, line, error))
            }
        }
    }

    /// The text up to the end of the element that was just started; elements within it are ignored.
    pub(super) fn text(&mut self, into: &mut String) -> Result<(), Error> {
        into.clear();
        let depth = self.depth;
        while self.depth >= depth {
            if into.len() > MAX_TOKEN {
                return Err(self.malformed(TooLong));
            }
            let understood = match self.next()? {
                Event::Text(text) => {
                    into.push_str(&text.xml10_content());
                    true
                }
                Event::CData(text) => {
                    into.push_str(&text);
                    true
                }
                Event::GeneralRef(reference) => push_reference(&reference, into),
                _ => true,
            };
            if !understood {
                return Err(self.malformed("an unknown entity"));
            }
        }
        Ok(())
    }

    /// Skips to the end of the element that was just started.
    pub(super) fn skip(&mut self) -> Result<(), Error> {
        let depth = self.depth;
        while self.depth >= depth {
            self.next()?;
        }
        Ok(())
    }

    /// The line that has been reached, counted from 1.
    pub(super) fn line(&self) -> u64 {
        self.reader.get_ref().lines + 1
    }

    /// How many bytes of the decompressed file have been looked at.
    pub(super) fn bytes(&self) -> u64 {
        self.reader.get_ref().bytes
    }

    /// An error at the present line.
    pub(super) fn malformed(&self, reason: impl ToString) -> Error {
        malformed(self.file, self.reader.get_ref().lines + 1, reason)
    }
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

/// Calls `visit` with each attribute and its value. The callback says what is wrong with a value.
pub(super) fn attributes(
    element: &BytesStart<'_>,
    mut visit: impl FnMut(&str, Cow<'_, str>) -> Result<(), String>,
) -> Result<(), String> {
    for attribute in element.attributes().with_checks(false) {
        let attribute = attribute.map_err(|error| error.to_string())?;
        let value = value(&attribute)?;
        visit(attribute.key.as_ref(), value)?;
    }
    Ok(())
}

fn value<'a>(attribute: &Attribute<'a>) -> Result<Cow<'a, str>, String> {
    // Hardly any value needs work, and there are millions of them.
    if attribute.value.bytes().any(|c| c == b'&' || c < b' ') {
        attribute.normalized_value(XmlVersion::Implicit1_0).map_err(|error| error.to_string())
    } else {
        Ok(attribute.value.clone())
    }
}

fn push_reference(reference: &BytesRef<'_>, into: &mut String) -> bool {
    if let Ok(Some(c)) = reference.resolve_char_ref() {
        into.push(c);
        return true;
    }
    let text: &str = reference;
    into.push(match text {
        "lt" => '<',
        "gt" => '>',
        "amp" => '&',
        "apos" => '\'',
        "quot" => '"',
        _ => return false,
    });
    true
}

/// Counts lines, and refuses tokens without end.
struct Counted<R> {
    inner: R,
    lines: u64,
    token: usize,
    bytes: u64,
}

impl<R: BufRead> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let available = self.fill_buf()?;
        let n = available.len().min(buffer.len());
        buffer[..n].copy_from_slice(&available[..n]);
        self.consume(n);
        Ok(n)
    }
}

impl<R: BufRead> BufRead for Counted<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.token > MAX_TOKEN {
            return Err(io::Error::new(io::ErrorKind::InvalidData, TooLong.to_string()));
        }
        self.inner.fill_buf()
    }

    fn consume(&mut self, n: usize) {
        // The buffer still holds what is being consumed, since nothing was read in between.
        if let Ok(available) = self.inner.fill_buf() {
            let seen = &available[..n.min(available.len())];
            self.lines += seen.iter().filter(|c| **c == b'\n').count() as u64;
        }
        self.token = self.token.saturating_add(n);
        self.bytes = self.bytes.saturating_add(n as u64);
        self.inner.consume(n);
    }
}
