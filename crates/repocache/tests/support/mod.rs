//! A real web server that misbehaves when told to, and repositories for it.
#![allow(dead_code, reason = "each test file uses a part of it")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests say what they expect"
)]

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use repocache::{Cancel, Downloader, Options};
use rpm::Nevra;
use rpm::md::{Package, write::Repository};

/// What goes wrong with one answer.
#[derive(Clone)]
pub(crate) enum Trouble {
    /// Nothing.
    None,
    /// This status, and no file.
    Status(u16),
    /// The connection is closed after so many bytes of the file, though its whole length was announced.
    CutAfter(usize),
    /// Only so many bytes, and only they are announced.
    OnlyFirst(usize),
    /// So many bytes more than there are.
    Longer(usize),
    /// A byte in the middle is another one.
    Changed,
    /// After so many bytes nothing comes any more, but the connection stays.
    StallAfter(usize),
    /// The answer waits until [`Server::release`].
    Hold,
    /// A part is asked for, and the whole is sent.
    NoRanges,
    /// A part is asked for, and another part is sent.
    WrongRange,
    /// To another path.
    Redirect(String),
    /// Bytes without end, with no length announced.
    Endless,
    /// Before the answer, the directory takes the place of the one that is served.
    Replace(PathBuf),
}

/// One request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Asked {
    /// As it stands in the request.
    pub(crate) target: String,
    /// From which byte on, if only a part was asked for.
    pub(crate) from: Option<usize>,
    /// Whether proxies were told not to answer from memory.
    pub(crate) no_cache: bool,
}

impl Asked {
    /// The name of the file without the checksum in front.
    pub(crate) fn name(&self) -> &str {
        let name = self.target.rsplit(['/', '-']).next().unwrap();
        name.split(".xml").next().unwrap()
    }
}

struct State {
    directory: Mutex<PathBuf>,
    asked: Mutex<Vec<Asked>>,
    /// Requests for files with this text in their names have this trouble, each once.
    troubles: Mutex<VecDeque<(String, Trouble)>>,
    held: Mutex<usize>,
    released: Mutex<bool>,
    changed: Condvar,
}

/// A web server for a directory.
pub(crate) struct Server {
    pub(crate) url: String,
    state: Arc<State>,
}

impl Server {
    pub(crate) fn start(directory: &Path) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(State {
            directory: Mutex::new(directory.to_owned()),
            asked: Mutex::default(),
            troubles: Mutex::default(),
            held: Mutex::default(),
            released: Mutex::default(),
            changed: Condvar::new(),
        });
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = Arc::clone(&shared);
                // A client that goes away in the middle is part of the tests.
                std::thread::spawn(move || {
                    let _ = state.answer(stream);
                });
            }
        });
        Self { url, state }
    }

    /// The next request for a file with `name` in its path meets this trouble; several of one name come in their order.
    pub(crate) fn trouble(&self, name: &str, trouble: Trouble) {
        self.state.troubles.lock().unwrap().push_back((name.to_owned(), trouble));
    }

    /// As often as this.
    pub(crate) fn troubles(&self, name: &str, trouble: &Trouble, times: usize) {
        for _ in 0..times {
            self.trouble(name, trouble.clone());
        }
    }

    /// What was asked since the last time.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut *self.state.asked.lock().unwrap())
    }

    /// The names of the files that were asked for.
    pub(crate) fn names(&self) -> Vec<String> {
        self.asked().iter().map(|asked| asked.name().to_owned()).collect()
    }

    /// Waits until so many answers are held back.
    pub(crate) fn wait_until_held(&self, count: usize) {
        let held = self.state.held.lock().unwrap();
        let (_held, timeout) = self
            .state
            .changed
            .wait_timeout_while(held, Duration::from_secs(120), |held| *held < count)
            .unwrap();
        assert!(!timeout.timed_out(), "nobody asked for the file");
    }

    /// Lets the answers go that were held back.
    pub(crate) fn release(&self) {
        *self.state.released.lock().unwrap() = true;
        let _held = self.state.held.lock().unwrap();
        self.state.changed.notify_all();
    }
}

impl State {
    fn answer(&self, mut stream: TcpStream) -> std::io::Result<()> {
        let mut reader = BufReader::new(stream.try_clone()?);
        let mut request = String::new();
        reader.read_line(&mut request)?;
        let mut asked = Asked {
            target: request.split(' ').nth(1).unwrap_or_default().to_owned(),
            from: None,
            no_cache: false,
        };
        let mut header = String::new();
        while reader.read_line(&mut header)? > 2 {
            let line = header.trim().to_ascii_lowercase();
            if let Some(range) = line.strip_prefix("range: bytes=") {
                asked.from = range.trim_end_matches('-').parse().ok();
            }
            asked.no_cache |= line == "cache-control: no-cache";
            header.clear();
        }
        let trouble = {
            let mut troubles = self.troubles.lock().unwrap();
            let at = troubles.iter().position(|(name, _)| asked.target.contains(name.as_str()));
            at.and_then(|at| troubles.remove(at)).map_or(Trouble::None, |(_, trouble)| trouble)
        };
        if let Trouble::Replace(directory) = &trouble {
            directory.clone_into(&mut self.directory.lock().unwrap());
        }
        // A proxy is asked for whole addresses.
        let path = match asked.target.strip_prefix("http://") {
            Some(address) => address.split_once('/').map_or("", |(_, path)| path).to_owned(),
            None => asked.target.trim_start_matches('/').to_owned(),
        };
        let from = asked.from;
        self.asked.lock().unwrap().push(asked);
        if matches!(trouble, Trouble::Hold) {
            let mut held = self.held.lock().unwrap();
            *held += 1;
            self.changed.notify_all();
            while !*self.released.lock().unwrap() {
                held = self.changed.wait_timeout(held, Duration::from_millis(100)).unwrap().0;
            }
        }
        if let Trouble::Redirect(to) = &trouble {
            let head = format!(
                "HTTP/1.1 302 X\r\nLocation: {to}\r\nContent-Length: 4\r\nConnection: close\r\n\r\nhere"
            );
            return stream.write_all(head.as_bytes());
        }
        if let Trouble::Endless = trouble {
            stream.write_all(b"HTTP/1.1 200 X\r\nConnection: close\r\n\r\n")?;
            loop {
                stream.write_all(&[b' '; 65536])?;
            }
        }
        let file = std::fs::read(self.directory.lock().unwrap().join(&path));
        let (mut status, mut body) = match (&trouble, file) {
            (Trouble::Status(status), _) => (*status, b"sorry".to_vec()),
            (_, Ok(body)) => (200, body),
            (_, Err(_)) => (404, b"no such file".to_vec()),
        };
        let whole = body.len();
        let mut range = String::new();
        if let Some(mut from) = from
            && status == 200
            && !matches!(trouble, Trouble::NoRanges)
        {
            if matches!(trouble, Trouble::WrongRange) {
                from += 1;
            }
            if from >= body.len() {
                status = 416;
                body.clear();
            } else {
                status = 206;
                body.drain(..from);
                range = format!("Content-Range: bytes {from}-{}/{whole}\r\n", whole - 1);
            }
        }
        let mut length = body.len();
        match trouble {
            Trouble::CutAfter(bytes) | Trouble::StallAfter(bytes) => body.truncate(bytes),
            Trouble::OnlyFirst(bytes) => {
                body.truncate(bytes);
                length = body.len();
            }
            Trouble::Longer(bytes) => {
                body.resize(body.len() + bytes, 0);
                length = body.len();
            }
            Trouble::Changed => {
                let middle = body.len() / 2;
                body[middle] ^= 1;
            }
            _ => {}
        }
        let head = format!(
            "HTTP/1.1 {status} X\r\nContent-Length: {length}\r\n{range}Connection: close\r\n\r\n"
        );
        stream.write_all(head.as_bytes())?;
        stream.write_all(&body)?;
        if matches!(trouble, Trouble::StallAfter(_)) {
            // Until the client goes away.
            let _ = std::io::Read::read(&mut stream, &mut [0]);
        }
        Ok(())
    }
}

/// Packages with these names, each with a file that only the file lists tell of.
pub(crate) fn packages(names: &[&str]) -> Vec<Package> {
    names
        .iter()
        .map(|name| Package {
            nevra: Nevra::new(*name, 0, "1", "1", "x86_64"),
            files: vec![format!("/opt/{name}/tool")],
            // So long, and so irregular, that a cut in the middle is one.
            summary: (0..200).map(|number| format!("{name}{} ", number * 7919 % 1009)).collect(),
            ..Package::default()
        })
        .collect()
}

/// A repository with these packages, in a directory of its own.
pub(crate) fn repository(names: &[&str]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    Repository::new(&packages(names)).write(directory.path()).unwrap();
    directory
}

/// One that does not wait long.
pub(crate) fn impatient() -> Options {
    Options {
        pause: Duration::from_millis(1),
        patience: Duration::from_secs(1),
        ..Options::default()
    }
}

/// See [`impatient`].
pub(crate) fn downloader() -> Downloader {
    Downloader::with_options(impatient(), Cancel::default())
}

/// The names of the files in a directory, sorted.
pub(crate) fn files(directory: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(directory) else { return Vec::new() };
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Every file and directory below one, relative to it, sorted.
pub(crate) fn tree(directory: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for name in files(directory) {
        let path = directory.join(&name);
        if path.is_dir() {
            found.extend(tree(&path).into_iter().map(|below| format!("{name}/{below}")));
        }
        found.push(name);
    }
    found.sort();
    found
}
