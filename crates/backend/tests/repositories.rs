//! Repositories come over HTTP, verified, and stay on disk.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect")]

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use koschei_backend::Error;
use koschei_backend::repositories::{Repositories, RepositoryError};
use koschei_core::config::Config;
use rpm::Nevra;
use rpm::md::{Package, write::Repository};

/// A web server for a directory, which notes what it is asked for.
struct Server {
    url: String,
    asked: Arc<Mutex<Vec<String>>>,
    /// When set, every answer has this status.
    status: Arc<Mutex<Option<u16>>>,
}

impl Server {
    fn start(directory: &Path) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = Self { url, asked: Arc::default(), status: Arc::default() };
        let (asked, status) = (Arc::clone(&server.asked), Arc::clone(&server.status));
        let directory = directory.to_owned();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let status = *status.lock().unwrap();
                answer(stream, &directory, &asked, status);
            }
        });
        server
    }

    /// The names of the files asked for since the last time, without the checksums in front.
    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.asked.lock().unwrap())
            .iter()
            .map(|path| path.rsplit(['/', '-']).next().unwrap().to_owned())
            .collect()
    }

    fn answer_with(&self, status: Option<u16>) {
        *self.status.lock().unwrap() = status;
    }
}

fn answer(
    mut stream: TcpStream,
    directory: &Path,
    asked: &Mutex<Vec<String>>,
    status: Option<u16>,
) {
    let mut request = String::new();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    reader.read_line(&mut request).unwrap();
    let mut header = String::new();
    while reader.read_line(&mut header).unwrap() > 2 {
        header.clear();
    }
    let path = request.split(' ').nth(1).unwrap().trim_start_matches('/').to_owned();
    let (status, body) = match (status, std::fs::read(directory.join(&path))) {
        (Some(status), _) => (status, b"sorry".to_vec()),
        (None, Ok(body)) => (200, body),
        (None, Err(_)) => (404, b"no such file".to_vec()),
    };
    asked.lock().unwrap().push(path);
    let length = body.len();
    let head =
        format!("HTTP/1.1 {status} X\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body));
}

struct World {
    files: tempfile::TempDir,
    cache: tempfile::TempDir,
    server: Server,
}

impl World {
    fn new() -> Self {
        let files = tempfile::tempdir().unwrap();
        let packages: Vec<Package> = ["bash", "gcc"]
            .into_iter()
            .map(|name| Package {
                nevra: Nevra::new(name, 0, "1", "1", "x86_64"),
                files: vec![format!("/opt/{name}/tool")],
                ..Package::default()
            })
            .collect();
        Repository::new(&packages).write(files.path()).unwrap();
        let server = Server::start(files.path());
        Self { files, cache: tempfile::tempdir().unwrap(), server }
    }

    /// As after a start of the process.
    fn repositories(&self) -> Repositories {
        let mut config = Config::default();
        config.directories.cachedir = self.cache.path().to_str().unwrap().to_owned();
        Repositories::new(&config).unwrap()
    }

    /// The directories in the cache.
    fn kept(&self) -> Vec<PathBuf> {
        std::fs::read_dir(self.cache.path().join("repodata")).map_or_else(
            |_| Vec::new(),
            |entries| {
                entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()).collect()
            },
        )
    }

    /// How many packages the universe has.
    async fn load(
        &self,
        repositories: &Repositories,
        paths: &[&str],
    ) -> Result<usize, RepositoryError> {
        let paths: BTreeSet<String> = paths.iter().map(|path| (*path).to_owned()).collect();
        match repositories.universe(&self.server.url, &paths).await {
            Ok(universe) => Ok(universe.len()),
            Err(Error::Repository(error)) => Err(error),
            Err(error) => panic!("{error}"),
        }
    }

    /// The file on the server with the metadata of this kind.
    fn file(&self, kind: &str) -> PathBuf {
        std::fs::read_dir(self.files.path().join("repodata"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .find(|path| path.to_str().unwrap().contains(kind))
            .unwrap()
    }
}

#[tokio::test]
async fn a_repository_is_fetched_once_for_all_processes() {
    let world = World::new();
    let repositories = world.repositories();
    assert_eq!(world.load(&repositories, &[]).await.unwrap(), 2);
    let asked = world.server.asked();
    assert_eq!(asked.len(), 2, "file lists are not needed: {asked:?}");
    assert!(asked[0] == "repomd.xml" && asked[1].starts_with("primary.xml"), "{asked:?}");
    assert_eq!(world.load(&repositories, &[]).await.unwrap(), 2);
    world.server.answer_with(Some(404));
    assert_eq!(world.load(&world.repositories(), &[]).await.unwrap(), 2, "from the disk");
    assert!(world.server.asked().is_empty());
}

#[tokio::test]
async fn file_lists_are_fetched_when_a_path_is_asked_for() {
    let world = World::new();
    let repositories = world.repositories();
    world.load(&repositories, &[]).await.unwrap();
    world.server.asked();
    world.load(&repositories, &["/opt/gcc/tool"]).await.unwrap();
    let asked = world.server.asked();
    assert!(asked.len() == 1 && asked[0].starts_with("filelists.xml"), "{asked:?}");
    world.load(&world.repositories(), &["/opt/gcc/tool"]).await.unwrap();
    world.load(&world.repositories(), &["/opt/bash/tool"]).await.unwrap();
    assert!(world.server.asked().is_empty(), "they are there now");
}

#[tokio::test]
async fn a_damaged_file_is_refused_and_fetched_again() {
    let world = World::new();
    let repositories = world.repositories();
    let path = world.file("primary");
    let good = std::fs::read(&path).unwrap();
    let mut changed = good.clone();
    changed[good.len() / 2] ^= 1;
    let mut longer = good.clone();
    longer.push(0);
    for (bytes, complaint) in
        [(changed, "checksum"), (good[..good.len() - 1].to_vec(), "bytes came"), (longer, "longer")]
    {
        std::fs::write(&path, bytes).unwrap();
        let error = world.load(&repositories, &[]).await.unwrap_err();
        assert!(error.to_string().contains(complaint), "{error}");
        assert!(error.is_transient() && !error.is_gone());
        assert_eq!(world.kept(), [""; 0].map(PathBuf::from), "nothing is left behind");
    }
    std::fs::write(&path, good).unwrap();
    assert_eq!(world.load(&repositories, &[]).await.unwrap(), 2);
}

#[tokio::test]
async fn what_is_damaged_on_disk_is_made_anew() {
    let world = World::new();
    world.load(&world.repositories(), &[]).await.unwrap();
    let directory = world.kept().remove(0);
    std::fs::write(directory.join("universe-x86_64"), b"half of it").unwrap();
    world.server.asked();
    assert_eq!(world.load(&world.repositories(), &[]).await.unwrap(), 2);
    assert!(world.server.asked().is_empty());
    std::fs::write(directory.join("universe-x86_64"), b"").unwrap();
    std::fs::write(directory.join("primary"), b"<meta").unwrap();
    assert_eq!(world.load(&world.repositories(), &[]).await.unwrap(), 2, "fetched again");
    assert_eq!(world.server.asked().len(), 2);
}

#[tokio::test]
async fn a_repository_without_an_index_is_gone_and_a_server_in_trouble_is_not() {
    let world = World::new();
    let repositories = world.repositories();
    world.server.answer_with(Some(403));
    let error = world.load(&repositories, &[]).await.unwrap_err();
    assert!(error.is_transient() && !error.is_gone(), "{error}");
    world.server.answer_with(None);
    std::fs::remove_file(world.file("primary")).unwrap();
    let error = world.load(&repositories, &[]).await.unwrap_err();
    assert!(error.is_transient() && !error.is_gone(), "only a part of it is missing: {error}");
    std::fs::remove_dir_all(world.files.path().join("repodata")).unwrap();
    let error = world.load(&repositories, &[]).await.unwrap_err();
    assert!(error.is_gone() && !error.is_transient(), "{error}");
    assert!(world.kept().is_empty());
}

#[tokio::test]
async fn two_processes_that_fetch_the_same_do_not_hinder_each_other() {
    let world = World::new();
    let (one, two) = (world.repositories(), world.repositories());
    let (a, b) = tokio::join!(world.load(&one, &[]), world.load(&two, &[]));
    assert_eq!((a.unwrap(), b.unwrap()), (2, 2));
    assert_eq!(world.kept().len(), 1);
}

#[tokio::test]
async fn a_repository_that_was_made_to_take_all_memory_is_refused_for_good() {
    let world = World::new();
    let packages: Vec<Package> = (0..6000)
        .map(|version| Package {
            nevra: Nevra::new("kernel", 0, version.to_string(), "1", "x86_64"),
            ..Package::default()
        })
        .collect();
    Repository::new(&packages).write(world.files.path()).unwrap();
    let error = world.load(&world.repositories(), &[]).await.unwrap_err();
    assert!(matches!(error, RepositoryError::Unusable { .. }), "{error}");
    assert!(error.to_string().contains("pairs of packages that exclude each other"), "{error}");
    assert!(!error.is_transient() && !error.is_gone());
}
