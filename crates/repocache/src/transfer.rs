//! Fetching one file: bounded, verified while it comes, gone on with where it broke off.
//!
//! An attempt that fails is followed by another one after a pause. Bytes that have come stay, and the rest is asked for
//! with a range; a server that sends everything again is welcome too. Whether the pieces fit is told by the checksum in
//! the end; if they do not, the file is fetched once more as a whole, past all proxies.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use curl::easy::{Easy2, Handler, List, WriteError};
use rpm::md::{checksum::Hasher, repomd::MetadataFile};
use tracing::{debug, warn};

use crate::entry::PART;
use crate::{Cancel, Error, GLANCE, Options};

/// An index is a few kilobytes.
const INDEX_LIMIT: u64 = 16 << 20;
/// The file lists of the biggest distributions are a tenth of this.
const FILE_LIMIT: u64 = 2 << 30;
/// An attempt that brought as much was worth it: the ones that failed before it are forgotten.
const PROGRESS: u64 = 1 << 20;
/// The longest pause between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// A connection, used for one file after the other.
pub(crate) struct Connection<'a> {
    options: &'a Options,
    cancel: &'a Cancel,
    easy: Easy2<Sink>,
    /// With which authorities the server's certificate is verified: those of the system, then those of the options, one
    /// file after the other.
    authorities: usize,
}

/// What one attempt came to, when it did not bring the file.
enum Setback {
    /// Trying again at once or soon makes no difference.
    Final(Error),
    /// Another attempt may succeed.
    Passing(Error),
}

impl<'a> Connection<'a> {
    pub(crate) fn new(options: &'a Options, cancel: &'a Cancel) -> Self {
        let nothing = Sink::new(Target::Memory(Vec::new()), None, 0, cancel.clone());
        Self { options, cancel, easy: Easy2::new(nothing), authorities: 0 }
    }

    /// Fetches the index of a repository, which nothing vouches for, into memory.
    pub(crate) fn index(&mut self, url: &str) -> Result<Vec<u8>, Error> {
        let sink = Sink::new(Target::Memory(Vec::new()), None, INDEX_LIMIT, self.cancel.clone());
        *self.easy.get_mut() = sink;
        self.attempts(url, Path::new(""), None)?;
        match &mut self.easy.get_mut().target {
            Target::Memory(bytes) => Ok(std::mem::take(bytes)),
            Target::File(_) => Ok(Vec::new()),
        }
    }

    /// Fetches a file and verifies it against what the index says about it. It appears under its name when it is whole.
    pub(crate) fn file(
        &mut self,
        url: &str,
        to: &Path,
        expected: &MetadataFile,
    ) -> Result<(), Error> {
        let partial = Partial(to.with_extension(PART));
        let cache = |source| Error::Cache { path: to.to_owned(), source };
        let file = File::create(&partial.0).map_err(cache)?;
        let hasher = match &expected.checksum {
            None => None,
            Some(checksum) => Some(checksum.verifier().map_err(|unknown| Error::Damaged {
                url: url.to_owned(),
                reason: unknown.to_string(),
            })?),
        };
        let limit = expected.size.unwrap_or(FILE_LIMIT).min(FILE_LIMIT);
        *self.easy.get_mut() = Sink::new(Target::File(file), hasher, limit, self.cancel.clone());
        let result = self.attempts(url, to, Some(expected));
        // The file is closed before it gets its name.
        self.easy.get_mut().target = Target::Memory(Vec::new());
        result?;
        std::fs::rename(&partial.0, to).map_err(cache)
    }

    fn attempts(
        &mut self,
        url: &str,
        to: &Path,
        expected: Option<&MetadataFile>,
    ) -> Result<(), Error> {
        let mut failed = 0;
        let mut whole_again = false;
        loop {
            let before = self.easy.get_ref().written;
            let setback = match self.attempt(url, to, whole_again) {
                Ok(()) => match self.easy.get_mut().verify(url, expected) {
                    Ok(()) => return Ok(()),
                    // A proxy may have given an old one, or pieces of two.
                    Err(error) if !whole_again => {
                        debug!("{error}; fetching it once more");
                        whole_again = true;
                        self.easy.get_mut().start_over(to)?;
                        continue;
                    }
                    Err(error) => return Err(error),
                },
                Err(setback) => setback,
            };
            let error = match setback {
                Setback::Final(error) => return Err(error),
                Setback::Passing(error) => error,
            };
            let sink = self.easy.get_mut();
            if sink.written >= before.saturating_add(PROGRESS) {
                failed = 0;
            }
            failed += 1;
            if failed >= self.options.attempts {
                return Err(error);
            }
            // Without a checksum nobody could tell whether the pieces fit.
            if sink.hasher.is_none() {
                sink.start_over(to)?;
            }
            let doublings = u32::try_from(failed - 1).unwrap_or(u32::MAX).min(16);
            let pause = self.options.pause.saturating_mul(1 << doublings).min(LONGEST_PAUSE);
            warn!("{error}; the next attempt is in {pause:?}");
            self.wait(pause, url)?;
        }
    }

    /// Waits, and looks now and then whether anybody still wants the file.
    fn wait(&self, pause: Duration, url: &str) -> Result<(), Error> {
        let end = Instant::now() + pause;
        loop {
            if self.cancel.is_canceled() {
                return Err(Error::Canceled { url: url.to_owned() });
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            std::thread::sleep(left.min(GLANCE));
        }
    }

    fn attempt(&mut self, url: &str, to: &Path, past_proxies: bool) -> Result<(), Setback> {
        let unreachable = |reason: String| Error::Unreachable { url: url.to_owned(), reason };
        let performed = loop {
            let performed = self.configure(url, past_proxies).and_then(|()| self.easy.perform());
            let Err(error) = &performed else { break performed };
            let unknown = error.is_peer_failed_verification() || error.is_ssl_cacert();
            if unknown && self.authorities < self.options.authorities.len() {
                self.authorities += 1;
                continue;
            }
            break performed;
        };
        let status = self.easy.response_code().unwrap_or(0);
        let sink = self.easy.get_mut();
        if let Some(source) = sink.failure.take() {
            return Err(Setback::Final(Error::Cache { path: to.to_owned(), source }));
        }
        if self.cancel.is_canceled() {
            return Err(Setback::Final(Error::Canceled { url: url.to_owned() }));
        }
        if sink.too_long || sink.misplaced || status == 416 {
            // It is for the verification to say what is wrong.
            return Ok(());
        }
        match (status, performed) {
            (404 | 410, _) => Err(Setback::Final(Error::Gone { url: url.to_owned() })),
            (408 | 425 | 429 | 500.., _) => {
                Err(Setback::Passing(unreachable(format!("HTTP status {status}"))))
            }
            (300.., _) => Err(Setback::Final(unreachable(format!("HTTP status {status}")))),
            (_, Err(error)) if error.is_file_couldnt_read_file() => {
                Err(Setback::Final(Error::Gone { url: url.to_owned() }))
            }
            (_, Err(error)) => {
                let never = error.is_url_malformed()
                    || error.is_unsupported_protocol()
                    || error.is_peer_failed_verification()
                    || error.is_ssl_cacert()
                    || error.is_ssl_cacert_badfile();
                let text = error.extra_description().unwrap_or(error.description()).to_owned();
                let error = unreachable(text);
                Err(if never { Setback::Final(error) } else { Setback::Passing(error) })
            }
            (_, Ok(())) => Ok(()),
        }
    }

    fn configure(&mut self, url: &str, past_proxies: bool) -> Result<(), curl::Error> {
        let easy = &mut self.easy;
        // Options go back to their defaults; connections stay.
        easy.reset();
        easy.url(url)?;
        easy.useragent(concat!("koschei/", env!("CARGO_PKG_VERSION")))?;
        // The pages that tell of errors are not wanted.
        easy.fail_on_error(true)?;
        easy.follow_location(true)?;
        easy.max_redirections(10)?;
        easy.connect_timeout(self.options.connect_timeout)?;
        easy.low_speed_limit(self.options.slowest)?;
        easy.low_speed_time(self.options.patience)?;
        easy.signal(false)?;
        easy.progress(true)?;
        if let Some(file) = self.authorities.checked_sub(1)
            && let Some(file) = self.options.authorities.get(file)
        {
            easy.cainfo(file)?;
        }
        let mut headers = List::new();
        if past_proxies {
            headers.append("Cache-Control: no-cache")?;
        }
        easy.http_headers(headers)?;
        let sink = easy.get_mut();
        sink.begin();
        let have = sink.written;
        if have > 0 {
            easy.range(&format!("{have}-"))?;
        }
        Ok(())
    }
}

/// The name of a file that is not whole yet. If it still has that name in the end, it is removed.
struct Partial(PathBuf);

impl Drop for Partial {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

enum Target {
    Memory(Vec<u8>),
    File(File),
}

/// Where the bytes of a transfer go.
struct Sink {
    target: Target,
    hasher: Option<Hasher>,
    written: u64,
    limit: u64,
    cancel: Cancel,
    /// Of the answer that is coming in.
    status: u32,
    /// Where the answer says that its bytes belong.
    starts_at: Option<u64>,
    /// Whether it was decided where the bytes of this answer go.
    placed: bool,
    misplaced: bool,
    too_long: bool,
    failure: Option<std::io::Error>,
}

impl Sink {
    fn new(target: Target, hasher: Option<Hasher>, limit: u64, cancel: Cancel) -> Self {
        Self {
            target,
            hasher,
            written: 0,
            limit,
            cancel,
            status: 0,
            starts_at: None,
            placed: false,
            misplaced: false,
            too_long: false,
            failure: None,
        }
    }

    /// Before an attempt: nothing is known of its answer.
    fn begin(&mut self) {
        self.status = 0;
        self.starts_at = None;
        self.placed = false;
        self.misplaced = false;
        self.too_long = false;
        self.failure = None;
    }

    /// Forgets what came.
    fn start_over(&mut self, path: &Path) -> Result<(), Error> {
        self.rewind().map_err(|source| Error::Cache { path: path.to_owned(), source })
    }

    fn rewind(&mut self) -> std::io::Result<()> {
        self.written = 0;
        self.hasher = self.hasher.take().map(|hasher| hasher.anew());
        match &mut self.target {
            Target::Memory(bytes) => bytes.clear(),
            Target::File(file) => {
                file.set_len(0)?;
                file.seek(SeekFrom::Start(0))?;
            }
        }
        Ok(())
    }

    /// Puts the bytes of an answer where they belong: behind those that are there, or, if the server sends everything,
    /// in their place.
    fn place(&mut self) -> std::io::Result<()> {
        self.placed = true;
        if self.written == 0 {
            self.misplaced = self.starts_at.is_some_and(|start| start != 0);
            return Ok(());
        }
        if self.status == 206 {
            self.misplaced = self.starts_at != Some(self.written);
            return Ok(());
        }
        self.rewind()
    }

    fn take(&mut self, data: &[u8]) -> std::io::Result<bool> {
        if !self.placed {
            self.place()?;
        }
        if self.misplaced {
            return Ok(false);
        }
        if self.written + data.len() as u64 > self.limit {
            self.too_long = true;
            return Ok(false);
        }
        match &mut self.target {
            Target::Memory(bytes) => bytes.extend_from_slice(data),
            Target::File(file) => file.write_all(data)?,
        }
        self.written += data.len() as u64;
        if let Some(hasher) = &mut self.hasher {
            hasher.update(data);
        }
        Ok(true)
    }

    /// Whether what came is what the index promised.
    fn verify(&mut self, url: &str, expected: Option<&MetadataFile>) -> Result<(), Error> {
        let damaged = |reason: String| Err(Error::Damaged { url: url.to_owned(), reason });
        if self.too_long {
            return damaged("it is longer than it should be".into());
        }
        if self.misplaced {
            return damaged("the server sent another part of it than it was asked for".into());
        }
        let Some(expected) = expected else { return Ok(()) };
        if let Some(size) = expected.size
            && size != self.written
        {
            return damaged(format!("{} bytes came instead of {size}", self.written));
        }
        if let (Some(hasher), Some(checksum)) = (&self.hasher, &expected.checksum)
            && !hasher.clone().finish().value.eq_ignore_ascii_case(&checksum.value)
        {
            return damaged("its checksum is not what the index says".into());
        }
        Ok(())
    }
}

impl Handler for Sink {
    fn header(&mut self, line: &[u8]) -> bool {
        let line = String::from_utf8_lossy(line);
        if line.starts_with("HTTP/") {
            // After a redirection or a proxy's greeting another answer begins.
            self.status =
                line.split(' ').nth(1).and_then(|status| status.trim().parse().ok()).unwrap_or(0);
            self.starts_at = None;
        } else if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-range")
        {
            self.starts_at = value
                .trim()
                .strip_prefix("bytes ")
                .and_then(|range| range.split('-').next())
                .and_then(|start| start.trim().parse().ok());
        }
        true
    }

    fn write(&mut self, data: &[u8]) -> Result<usize, WriteError> {
        match self.take(data) {
            Ok(true) => Ok(data.len()),
            Ok(false) => Ok(0),
            Err(error) => {
                self.failure = Some(error);
                Ok(0)
            }
        }
    }

    /// Called about once a second, also while nothing arrives.
    fn progress(&mut self, _: f64, _: f64, _: f64, _: f64) -> bool {
        !self.cancel.is_canceled()
    }
}
