//! Decompression by the first bytes, with a bound on what comes out.

use std::io::{self, BufRead, BufReader, Read};

/// What a metadata file may decompress to by default: eight times the largest one known (Fedora's filelists).
pub const DEFAULT_LIMIT: u64 = 8 << 30;

/// Opens a stream that may be plain, gz, xz, zst or bz2, whatever its name says.
///
/// Reading more than `limit` decompressed bytes fails, so that a small file cannot fill memory or time.
pub fn open<'a>(reader: impl Read + 'a, limit: u64) -> io::Result<Box<dyn Read + 'a>> {
    let mut reader = BufReader::with_capacity(64 * 1024, reader);
    // A pipe may give fewer bytes than a magic number has; one of two or more is enough to tell them apart.
    let head = reader.fill_buf()?;
    let plain: Box<dyn Read + 'a> = if head.starts_with(&[0x1f, 0x8b]) {
        Box::new(flate2::bufread::MultiGzDecoder::new(reader))
    } else if head.starts_with(&[0x28, 0xb5]) {
        Box::new(zstd::stream::read::Decoder::with_buffer(reader)?)
    } else if head.starts_with(&[0xfd, b'7']) {
        Box::new(liblzma::bufread::XzDecoder::new_multi_decoder(reader))
    } else if head.starts_with(b"BZ") {
        Box::new(bzip2::bufread::MultiBzDecoder::new(reader))
    } else {
        Box::new(reader)
    };
    Ok(Box::new(Limited { inner: plain, left: limit, limit }))
}

struct Limited<R> {
    inner: R,
    left: u64,
    limit: u64,
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        match self.left.checked_sub(n as u64) {
            Some(left) => {
                self.left = left;
                Ok(n)
            }
            None => Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("it decompresses to more than {} bytes, which is the limit", self.limit),
            )),
        }
    }
}
