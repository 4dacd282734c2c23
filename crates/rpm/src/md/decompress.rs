//! Decompression by the first bytes, with a bound on what comes out and on the memory that it takes.

use std::io::{self, BufRead, BufReader, ErrorKind, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What a metadata file may decompress to where nothing else is said: eight times the largest one known (Fedora's
/// filelists). The readers of the single files have bounds of their own, see [`md`](crate::md#bounds).
pub const DEFAULT_LIMIT: u64 = 8 << 30;

/// How much memory xz may take; `xz -9` takes 65 MiB. A header of 24 bytes may ask for 4 GiB. (zstd refuses more than
/// 128 MiB on its own, gzip and bzip2 cannot ask for more than 4 MiB.)
const XZ_MEMORY: u64 = 128 << 20;

/// Opens a stream that may be plain, gz, xz, zst or bz2, whatever its name says.
///
/// Reading more than `limit` decompressed bytes fails, so that a small file cannot fill memory or time. An error of
/// `reader` is passed on as it is; that the data are damaged is always [`ErrorKind::InvalidData`] or
/// [`ErrorKind::UnexpectedEof`].
pub fn open<'a>(reader: impl Read + 'a, limit: u64) -> io::Result<Box<dyn Read + 'a>> {
    let failed = Arc::new(AtomicBool::new(false));
    let source = Source { inner: reader, failed: failed.clone() };
    let mut reader = BufReader::with_capacity(64 * 1024, source);
    // A pipe may give fewer bytes than a magic number has; one of two or more is enough to tell them apart.
    let head = reader.fill_buf()?;
    let plain: Box<dyn Read + 'a> = if head.starts_with(&[0x1f, 0x8b]) {
        Box::new(flate2::bufread::MultiGzDecoder::new(reader))
    } else if head.starts_with(&[0x28, 0xb5]) {
        Box::new(zstd::stream::read::Decoder::with_buffer(reader)?)
    } else if head.starts_with(&[0xfd, b'7']) {
        let stream =
            liblzma::stream::Stream::new_stream_decoder(XZ_MEMORY, liblzma::stream::CONCATENATED)?;
        Box::new(liblzma::bufread::XzDecoder::new_stream(reader, stream))
    } else if head.starts_with(b"BZ") {
        Box::new(bzip2::bufread::MultiBzDecoder::new(reader))
    } else {
        Box::new(reader)
    };
    Ok(Box::new(Limited { inner: plain, left: limit, limit, failed }))
}

/// What is decompressed; remembers whether an error was its own.
struct Source<R> {
    inner: R,
    failed: Arc<AtomicBool>,
}

impl<R: Read> Read for Source<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.inner.read(buffer).inspect_err(|error| {
            if error.kind() != ErrorKind::Interrupted {
                self.failed.store(true, Ordering::Relaxed);
            }
        })
    }
}

struct Limited<R> {
    inner: R,
    left: u64,
    limit: u64,
    failed: Arc<AtomicBool>,
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer).map_err(|error| self.damaged(error))?;
        match self.left.checked_sub(n as u64) {
            Some(left) => {
                self.left = left;
                Ok(n)
            }
            None => Err(io::Error::new(
                ErrorKind::InvalidData,
                format!("it decompresses to more than {} bytes, which is the limit", self.limit),
            )),
        }
    }
}

impl<R> Limited<R> {
    /// Decoders have their own ideas of what kind of error damage is.
    fn damaged(&self, error: io::Error) -> io::Error {
        match error.kind() {
            ErrorKind::Interrupted | ErrorKind::InvalidData | ErrorKind::UnexpectedEof => error,
            _ if self.failed.load(Ordering::Relaxed) => error,
            _ => io::Error::new(
                ErrorKind::InvalidData,
                format!("it cannot be decompressed: {error}"),
            ),
        }
    }
}
