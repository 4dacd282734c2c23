//! Where the answer goes: standard output, buffered, with the progress bar out of the way.

use std::io::{self, BufWriter, Stdout, Write};

use super::progress::Progress;
use crate::failure::Failure;

/// Why nothing more is to be done.
#[derive(Debug)]
pub(super) enum End {
    /// Something went wrong.
    Failure(Failure),
    /// Whoever read the answer has gone, as `head` does when it has seen enough.
    NobodyReads,
}

impl From<Failure> for End {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

/// How much is gathered before it is written.
const BUFFER: usize = 256 << 10;

/// Standard output.
#[derive(Debug)]
pub(super) struct Output<'p> {
    buffer: BufWriter<Stdout>,
    progress: &'p Progress,
}

impl<'p> Output<'p> {
    pub(super) fn new(progress: &'p Progress) -> Self {
        Self { buffer: BufWriter::with_capacity(BUFFER, io::stdout()), progress }
    }

    /// Writes some bytes.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), End> {
        if self.buffer.buffer().len() + bytes.len() <= BUFFER {
            return self.buffer.write_all(bytes).map_err(end);
        }
        let buffer = &mut self.buffer;
        self.progress.aside(|| buffer.write_all(bytes)).map_err(end)
    }

    /// Writes what is left.
    pub(super) fn finish(mut self) -> Result<(), End> {
        let buffer = &mut self.buffer;
        self.progress.aside(|| buffer.flush()).map_err(end)
    }
}

fn end(error: io::Error) -> End {
    if error.kind() == io::ErrorKind::BrokenPipe {
        return End::NobodyReads;
    }
    End::Failure(Failure::usage(format_args!("the answer cannot be written: {error}")))
}
