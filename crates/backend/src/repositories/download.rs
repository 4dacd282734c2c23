//! Fetching one file: bounded, verified, and written as it comes.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use curl::easy::{Easy2, Handler, WriteError};
use rpm::md::{checksum::Hasher, repomd::MetadataFile};

use super::RepositoryError;

/// An index is a few kilobytes.
const INDEX_LIMIT: u64 = 16 << 20;
/// The file lists of the biggest distributions are a tenth of this.
const FILE_LIMIT: u64 = 2 << 30;

/// Fetches files, until its caller has gone.
#[derive(Debug, Clone)]
pub struct Downloader {
    canceled: Arc<AtomicBool>,
}

impl Downloader {
    /// Transfers are given up when `canceled` becomes true.
    pub fn new(canceled: Arc<AtomicBool>) -> Self {
        Self { canceled }
    }

    /// Fetches a file and verifies it against what the index says about it. Without an entry of the index it is the
    /// index itself, which nothing vouches for.
    ///
    /// # Errors
    /// [`RepositoryError`]; [`RepositoryError::Gone`] when there is no such file.
    pub fn fetch(
        &self,
        url: &str,
        to: &Path,
        expected: Option<&MetadataFile>,
    ) -> Result<(), RepositoryError> {
        let file = File::create(to)
            .map_err(|source| RepositoryError::Cache { path: to.to_owned(), source })?;
        self.fetch_into(url, file, to, expected)
    }

    /// The same into a file that is open and empty; `name` is what errors call it.
    ///
    /// # Errors
    /// As [`fetch`](Self::fetch).
    pub fn fetch_into(
        &self,
        url: &str,
        file: File,
        name: &Path,
        expected: Option<&MetadataFile>,
    ) -> Result<(), RepositoryError> {
        let cache = |source| RepositoryError::Cache { path: name.to_owned(), source };
        let unreachable =
            |reason: String| RepositoryError::Unreachable { url: url.to_owned(), reason };
        let damaged = |reason: String| RepositoryError::Damaged { url: url.to_owned(), reason };
        let checksum = expected.and_then(|file| file.checksum.as_ref());
        let hasher = match checksum {
            None => None,
            Some(checksum) => Some(checksum.hasher().ok_or_else(|| {
                damaged(format!("its checksum is of the unknown kind {}", checksum.kind))
            })?),
        };
        let size = expected.and_then(|file| file.size);
        let sink = Sink {
            file,
            hasher,
            written: 0,
            limit: match (expected, size) {
                (None, _) => INDEX_LIMIT,
                (Some(_), Some(size)) => size.min(FILE_LIMIT),
                (Some(_), None) => FILE_LIMIT,
            },
            failure: None,
            too_long: false,
            canceled: Arc::clone(&self.canceled),
        };
        let mut transfer = Easy2::new(sink);
        let configured = configure(&mut transfer, url);
        let result = configured.and_then(|()| transfer.perform());
        let status = transfer.response_code().unwrap_or(0);
        let sink = transfer.get_mut();
        if let Some(source) = sink.failure.take() {
            return Err(cache(source));
        }
        if sink.too_long {
            return Err(damaged("it is longer than it should be".into()));
        }
        match (status, result) {
            (404 | 410, _) => return Err(RepositoryError::Gone { url: url.to_owned() }),
            (300.., _) => return Err(unreachable(format!("HTTP status {status}"))),
            (_, Err(error)) if error.is_file_couldnt_read_file() => {
                return Err(RepositoryError::Gone { url: url.to_owned() });
            }
            (_, Err(error)) => return Err(unreachable(error.to_string())),
            (_, Ok(())) => {}
        }
        if size.is_some_and(|size| size != sink.written) {
            return Err(damaged(format!("{} bytes came instead of {size:?}", sink.written)));
        }
        if let (Some(hasher), Some(checksum)) = (sink.hasher.take(), checksum)
            && !hasher.finish().value.eq_ignore_ascii_case(&checksum.value)
        {
            return Err(damaged("its checksum is not what the index says".into()));
        }
        sink.file.flush().map_err(cache)
    }
}

fn configure(transfer: &mut Easy2<Sink>, url: &str) -> Result<(), curl::Error> {
    transfer.url(url)?;
    transfer.useragent(concat!("koschei/", env!("CARGO_PKG_VERSION")))?;
    // The pages that tell of errors are not wanted.
    transfer.fail_on_error(true)?;
    transfer.follow_location(true)?;
    transfer.max_redirections(10)?;
    transfer.connect_timeout(Duration::from_secs(30))?;
    transfer.low_speed_limit(1000)?;
    transfer.low_speed_time(Duration::from_secs(60))?;
    transfer.signal(false)?;
    transfer.progress(true)
}

/// Where the bytes of a transfer go.
struct Sink {
    file: File,
    hasher: Option<Hasher>,
    written: u64,
    limit: u64,
    failure: Option<std::io::Error>,
    too_long: bool,
    canceled: Arc<AtomicBool>,
}

impl Handler for Sink {
    fn write(&mut self, data: &[u8]) -> Result<usize, WriteError> {
        self.written += data.len() as u64;
        if self.written > self.limit {
            self.too_long = true;
            return Ok(0);
        }
        if let Err(error) = self.file.write_all(data) {
            self.failure = Some(error);
            return Ok(0);
        }
        if let Some(hasher) = &mut self.hasher {
            hasher.update(data);
        }
        Ok(data.len())
    }

    fn progress(&mut self, _: f64, _: f64, _: f64, _: f64) -> bool {
        !self.canceled.load(Ordering::Relaxed)
    }
}
