//! What the readers of all metadata files share: a bounded XML stream that knows its line.

use std::borrow::Cow;
use std::io::{self, BufRead, BufReader, Read};

use quick_xml::Reader;
use quick_xml::XmlVersion;
use quick_xml::events::attributes::Attribute;
use quick_xml::events::{BytesRef, BytesStart, Event};

use super::{Error, decompress};

/// The longest single tag or text; real ones (descriptions) stay under 100 kB.
const MAX_TOKEN: usize = 16 << 20;

/// How deep elements may be nested; rpm-md needs five levels.
const MAX_DEPTH: usize = 32;

pub(super) struct Scanner<'a> {
    file: &'static str,
    reader: Reader<Counted<BufReader<Box<dyn Read + 'a>>>>,
    buffer: Vec<u8>,
    depth: usize,
}

impl<'a> Scanner<'a> {
    /// `file` is how errors call it.
    pub(super) fn new(reader: impl Read + 'a, file: &'static str) -> Result<Self, Error> {
        let plain = decompress::open(reader, decompress::DEFAULT_LIMIT)
            .map_err(|source| Error::Io { file: file.to_owned(), source })?;
        let counted =
            Counted { inner: BufReader::with_capacity(64 * 1024, plain), lines: 0, token: 0 };
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
            Err(quick_xml::Error::Io(source)) => Err(Error::Io {
                file: self.file.to_owned(),
                source: io::Error::new(source.kind(), source.to_string()),
            }),
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

    /// An error at the present line.
    pub(super) fn malformed(&self, reason: impl ToString) -> Error {
        malformed(self.file, self.reader.get_ref().lines + 1, reason)
    }
}

fn malformed(file: &str, line: u64, reason: impl ToString) -> Error {
    Error::Malformed { file: file.to_owned(), line, reason: reason.to_string() }
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
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("line {}: a tag or text of more than {MAX_TOKEN} bytes", self.lines + 1),
            ));
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
        self.inner.consume(n);
    }
}
