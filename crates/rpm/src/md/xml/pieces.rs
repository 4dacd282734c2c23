//! The text of a metadata file, piece by piece: decompressed, UTF-8, without characters that XML does not have, and with
//! line ends as XML wants them. Whoever looks at the text needs to look for none of that.
//!
//! The pieces may be made in another thread, which halves the time until a large file is read: decompression takes as
//! long as everything else.

use std::io::{self, Read};
use std::mem;
use std::sync::mpsc::{self, Receiver};
use std::thread::{Builder, Scope};

use crate::md::decompress;

/// How much is decompressed at once: it should stay in the processor's cache, and be worth a message.
const PIECE: usize = 64 << 10;
const PIECE_FROM_AFAR: usize = 256 << 10;

/// How many pieces may wait for whoever reads them.
const WAITING: usize = 4;

/// Why there is no more text.
#[derive(Debug)]
pub(super) enum Fault {
    /// It could not be read or decompressed.
    Unreadable(io::Error),
    /// What follows is not text.
    Wrong(String),
}

/// Where pieces come from.
pub(super) enum Pieces<'a> {
    Here(Box<Maker<'a>>),
    Afar(Receiver<Result<String, Fault>>),
}

impl<'a> Pieces<'a> {
    /// Makes pieces when they are asked for. `limit` is how many bytes there may be when decompressed.
    pub(super) fn here(reader: impl Read + 'a, limit: u64) -> io::Result<Self> {
        Ok(Pieces::Here(Box::new(Maker::new(reader, limit, PIECE)?)))
    }

    /// Makes pieces of some length, to see that it does not matter.
    #[cfg(test)]
    pub(super) fn of_size(reader: impl Read + 'a, size: usize) -> io::Result<Self> {
        Ok(Pieces::Here(Box::new(Maker::new(reader, u64::MAX, size)?)))
    }

    /// Makes pieces in a thread of its own, some of them ahead. It ends when the text or the pieces are not wanted any more.
    pub(super) fn afar<'scope>(
        scope: &'scope Scope<'scope, '_>,
        reader: impl Read + Send + 'scope,
        limit: u64,
    ) -> io::Result<Self> {
        let (sender, receiver) = mpsc::sync_channel(WAITING);
        Builder::new().name("decompression".to_owned()).spawn_scoped(scope, move || {
            match Maker::new(reader, limit, PIECE_FROM_AFAR) {
                Ok(mut maker) => {
                    while let Some(piece) = maker.next().transpose() {
                        if sender.send(piece).is_err() {
                            break;
                        }
                    }
                }
                // Whoever does not listen any more has a reason of its own to stop.
                Err(error) => drop(sender.send(Err(Fault::Unreadable(error)))),
            }
        })?;
        Ok(Pieces::Afar(receiver))
    }

    /// The next piece, which is not empty; none at the end. After a fault there is nothing more.
    pub(super) fn next(&mut self) -> Result<Option<String>, Fault> {
        match self {
            Pieces::Here(maker) => maker.next(),
            Pieces::Afar(receiver) => receiver.recv().ok().transpose(),
        }
    }
}

/// Makes pieces.
pub(super) struct Maker<'a> {
    reader: Box<dyn Read + 'a>,
    size: usize,
    /// The first bytes of a character whose others are still to come.
    begun: Vec<u8>,
    /// A carriage return was the last that was read; a newline after it is part of the same line end.
    returned: bool,
    /// What follows the last piece.
    fault: Option<Fault>,
    ended: bool,
}

impl<'a> Maker<'a> {
    fn new(reader: impl Read + 'a, limit: u64, size: usize) -> io::Result<Self> {
        let reader = decompress::open(reader, limit)?;
        Ok(Maker { reader, size, begun: Vec::new(), returned: false, fault: None, ended: false })
    }

    fn next(&mut self) -> Result<Option<String>, Fault> {
        // What was read may be only half a line end, or a part of a character.
        while !self.ended {
            if let Some(fault) = self.fault.take() {
                self.ended = true;
                return Err(fault);
            }
            let mut text = self.read();
            if self.returned || is_unusual(text.as_bytes()) {
                text = self.allowed(text);
                text = self.with_newlines(text);
            }
            if !text.is_empty() {
                return Ok(Some(text));
            }
        }
        Ok(None)
    }

    /// Reads until the piece is full; what is not whole is left for the next one.
    fn read(&mut self) -> String {
        let mut bytes = mem::take(&mut self.begun);
        let mut filled = bytes.len();
        bytes.resize(self.size, 0);
        while filled < bytes.len() {
            match self.reader.read(&mut bytes[filled..]) {
                Ok(0) => {
                    self.ended = true;
                    break;
                }
                Ok(n) => filled += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.fault = Some(Fault::Unreadable(error));
                    break;
                }
            }
        }
        bytes.truncate(filled);
        match String::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => {
                let valid = error.utf8_error().valid_up_to();
                let is_begun = error.utf8_error().error_len().is_none();
                let mut bytes = error.into_bytes();
                if is_begun && !self.ended && self.fault.is_none() {
                    self.begun = bytes[valid..].to_vec();
                } else {
                    self.fault = Some(Fault::Wrong("bytes that are not UTF-8".to_owned()));
                    self.ended = false;
                }
                bytes.truncate(valid);
                // Nothing is lost: that much was seen to be right.
                String::from_utf8(bytes).unwrap_or_default()
            }
        }
    }

    /// Ends the text before the first character that XML does not have.
    fn allowed(&mut self, mut text: String) -> String {
        if let Some((at, c)) = text.char_indices().find(|(_, c)| !is_allowed(*c)) {
            text.truncate(at);
            let reason = format!("the character U+{:04X}, which XML does not allow", u32::from(c));
            self.fault = Some(Fault::Wrong(reason));
            self.ended = false;
        }
        text
    }

    /// Makes a newline of every line end (section 2.11 of XML 1.0).
    fn with_newlines(&mut self, mut text: String) -> String {
        if text.is_empty() {
            return text;
        }
        if mem::replace(&mut self.returned, text.ends_with('\r')) && text.starts_with('\n') {
            text.remove(0);
        }
        if text.contains('\r') { text.replace("\r\n", "\n").replace('\r', "\n") } else { text }
    }
}

/// Characters that XML 1.0 has (production 2).
pub(super) fn is_allowed(c: char) -> bool {
    match c {
        '\t' | '\n' | '\r' => true,
        '\u{fffe}' | '\u{ffff}' => false,
        c => c >= ' ',
    }
}

/// Whether there may be something that XML forbids or changes: a control character, or a byte with which U+FFFE and
/// U+FFFF begin. Looks at everything, which the processor can do to many bytes at once.
fn is_unusual(bytes: &[u8]) -> bool {
    bytes.iter().fold(false, |any, byte| {
        any | (*byte < b' ' && *byte != b'\t' && *byte != b'\n') | (*byte == 0xef)
    })
}
