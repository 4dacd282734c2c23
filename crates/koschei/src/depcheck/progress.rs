//! A bar on the terminal for as long as something takes; nothing at all where there is no terminal.

use std::fs;
use std::io::{IsTerminal, Write, stderr};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(100);

/// How long the bar is, in characters.
const BAR: usize = 24;

/// How much of what is done is shown: everything together stays within 80 columns.
const LABEL: usize = 28;

/// Shows how far the work is, until it is dropped.
#[derive(Debug)]
pub(super) struct Progress {
    shared: Arc<Shared>,
    painter: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    ended: Condvar,
    done: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    label: String,
    /// How much there is to do; 0 when nobody knows.
    total: u64,
    bytes: bool,
    /// A file that grows; its length is what is done.
    watched: Option<PathBuf>,
    /// What stands on the terminal.
    painted: String,
    ended: bool,
}

impl Progress {
    /// Shows something when standard error is a terminal.
    pub(super) fn start() -> Self {
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            ended: Condvar::new(),
            done: AtomicU64::new(0),
        });
        let wanted =
            stderr().is_terminal() && std::env::var_os("TERM").is_some_and(|t| t != "dumb");
        let painter = wanted.then(|| {
            let shared = Arc::clone(&shared);
            std::thread::spawn(move || shared.paint_until_the_end())
        });
        Self { shared, painter }
    }

    /// What is being done from now on, and how much of it there is; 0 when that is not known.
    pub(super) fn begin(&self, label: &str, total: u64) {
        self.set(label, total, false);
    }

    /// The same, counted in bytes.
    pub(super) fn begin_bytes(&self, label: &str, total: u64) {
        self.set(label, total, true);
    }

    fn set(&self, label: &str, total: u64, bytes: bool) {
        let mut state = self.shared.lock();
        state.label = shorten(label);
        (state.total, state.bytes, state.watched) = (total, bytes, None);
        self.shared.done.store(0, Ordering::Relaxed);
    }

    /// That much more is done.
    pub(super) fn advance(&self, by: u64) {
        self.shared.done.fetch_add(by, Ordering::Relaxed);
    }

    /// As much is done as this file is long.
    pub(super) fn watch(&self, path: &Path) {
        self.shared.lock().watched = Some(path.to_owned());
    }

    /// Does something that writes to the terminal, without the bar in its way.
    pub(super) fn aside<T>(&self, write: impl FnOnce() -> T) -> T {
        let mut state = self.shared.lock();
        state.wipe();
        write()
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.shared.lock().ended = true;
        self.shared.ended.notify_all();
        if let Some(painter) = self.painter.take() {
            let _ = painter.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn paint_until_the_end(&self) {
        let mut state = self.lock();
        while !state.ended {
            state = self.ended.wait_timeout(state, PAUSE).unwrap_or_else(PoisonError::into_inner).0;
            if !state.ended && !state.label.is_empty() {
                let done = match &state.watched {
                    Some(path) => fs::metadata(path).map_or(0, |data| data.len()),
                    None => self.done.load(Ordering::Relaxed),
                };
                let line = state.line(done);
                if line != state.painted {
                    let _ = write!(stderr(), "\r\x1b[K{line}");
                    let _ = stderr().flush();
                    state.painted = line;
                }
            }
        }
        state.wipe();
    }
}

impl State {
    fn wipe(&mut self) {
        if !std::mem::take(&mut self.painted).is_empty() {
            let _ = write!(stderr(), "\r\x1b[K");
            let _ = stderr().flush();
        }
    }

    fn line(&self, done: u64) -> String {
        let count = |n| if self.bytes { megabytes(n) } else { thousands(n) };
        match (self.total, done) {
            (0, 0) => format!("{} …", self.label),
            (0, _) => format!("{} … {}", self.label, count(done)),
            (total, _) => {
                let done = done.min(total);
                let filled = (u128::from(done) * BAR as u128 / u128::from(total)) as usize;
                let bar = "#".repeat(filled);
                let (done, total) = (count(done), count(total));
                format!("{} [{bar:.<BAR$}] {done} of {total}", self.label)
            }
        }
    }
}

/// The end of a long label tells more than its beginning: it is an address.
fn shorten(label: &str) -> String {
    let length = label.chars().count();
    if length <= LABEL {
        return label.to_owned();
    }
    let (word, rest) = label.split_once(' ').unwrap_or(("", label));
    let room = LABEL.saturating_sub(word.chars().count() + 2);
    let skip = rest.chars().count().saturating_sub(room);
    format!("{word} …{}", rest.chars().skip(skip).collect::<String>())
}

/// A number as people read it: 12,345.
pub(super) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn megabytes(bytes: u64) -> String {
    format!("{}.{} MB", bytes / 1_000_000, bytes / 100_000 % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_fits_a_terminal_and_says_how_far_it_is() {
        let label = shorten(
            "Fetching https://example.org/pub/fedora/linux/releases/x86_64/os/primary.xml.gz",
        );
        assert!(
            label.starts_with("Fetching …") && label.ends_with("/os/primary.xml.gz"),
            "{label}"
        );
        let state = State { label, total: 123_456_789, bytes: true, ..State::default() };
        let line = state.line(61_728_395);
        assert!(line.contains("[############............] 61.7 MB of 123.4 MB"), "{line}");
        assert!(line.chars().count() < 80, "{line}");
        let state = State { label: "Resolving".into(), total: 34_233, ..State::default() };
        assert_eq!(state.line(34_233), "Resolving [########################] 34,233 of 34,233");
        assert_eq!(State { label: "Reading".into(), ..State::default() }.line(0), "Reading …");
    }

    #[test]
    fn numbers_have_their_commas() {
        assert_eq!([0, 999, 1000, 1_234_567].map(thousands), ["0", "999", "1,000", "1,234,567"]);
    }
}
