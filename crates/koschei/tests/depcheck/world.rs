//! Small repositories in a directory, a web server for them, and the command.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rpm::md::comps::{Comps, Group, Member, MemberKind};
use rpm::md::repomd::Repomd;
use rpm::md::write::{Compression, Repository, repomd_xml};
use rpm::md::{self, Checksum, decompress};
use rpm::{Nevra, Relation};
use tempfile::TempDir;

use crate::support;

/// The command, which needs no configuration: the only one there is cannot be read.
pub(crate) fn depcheck() -> Command {
    let mut command = support::koschei(Path::new("/nonexistent/koschei.cfg"));
    command.arg("depcheck");
    command
}

/// A package under construction.
#[derive(Clone)]
pub(crate) struct Package(md::Package);

fn nevra(text: &str, arch: &str) -> Nevra {
    let (name, version) = text.split_once(' ').unwrap();
    let (version, release) = version.split_once('-').unwrap_or((version, "1"));
    Nevra::new(name, 0, version, release, arch)
}

/// A binary package, `name version[-release]`, built from a source package of the same name and version.
pub(crate) fn package(text: &str) -> Package {
    let nevra = nevra(text, "x86_64");
    let source_rpm = Nevra { arch: "src".into(), ..nevra.clone() }.file_name();
    let package = md::Package { nevra, source_rpm: Some(source_rpm), ..md::Package::default() };
    Package(package)
}

/// A source package.
pub(crate) fn source(text: &str) -> Package {
    Package(md::Package { nevra: nevra(text, "src"), ..md::Package::default() })
}

impl Package {
    pub(crate) fn requires(mut self, relation: &str) -> Self {
        self.0.requires.push(relation.parse::<Relation>().unwrap().into());
        self
    }

    /// What no tool of RPM's would write.
    pub(crate) fn requires_verbatim(mut self, name: &str) -> Self {
        self.0.requires.push(Relation::any(name).into());
        self
    }

    pub(crate) fn epoch(mut self, epoch: u32) -> Self {
        self.0.nevra.epoch = epoch;
        self
    }

    pub(crate) fn conflicts(mut self, relation: &str) -> Self {
        self.0.conflicts.push(relation.parse::<Relation>().unwrap().into());
        self
    }

    pub(crate) fn file(mut self, path: &str) -> Self {
        self.0.files.push(path.to_owned());
        self
    }

    /// Built from another source package.
    pub(crate) fn from(mut self, text: &str) -> Self {
        self.0.source_rpm = Some(nevra(text, "src").file_name());
        self
    }
}

/// A directory with a repository `binary` and one called `source`.
pub(crate) struct World(TempDir);

impl World {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn directory(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, packages: &[Package], compression: Compression) {
        let packages: Vec<md::Package> = packages.iter().map(|one| one.0.clone()).collect();
        Repository::new(&packages).compression(compression).write(&self.path(name)).unwrap();
    }

    pub(crate) fn repository(&self, name: &str, packages: &[Package]) -> PathBuf {
        self.write(name, packages, Compression::Gzip);
        self.path(name)
    }

    pub(crate) fn binary(&self, packages: &[Package]) {
        self.repository("binary", packages);
    }

    pub(crate) fn binary_with_group(
        &self,
        packages: &[Package],
        id: &str,
        mandatory: &[&str],
        optional: &[&str],
    ) {
        let member = |kind| move |name: &&str| Member { name: (*name).to_owned(), kind };
        let members = mandatory.iter().map(member(MemberKind::Mandatory));
        let packages: Vec<md::Package> = packages.iter().map(|one| one.0.clone()).collect();
        let group = Group {
            id: id.into(),
            packages: members.chain(optional.iter().map(member(MemberKind::Optional))).collect(),
            ..Group::default()
        };
        let comps = Comps { groups: vec![group] };
        Repository::new(&packages).comps(&comps).write(&self.path("binary")).unwrap();
    }

    pub(crate) fn source(&self, packages: &[Package]) {
        self.repository("source", packages);
    }

    /// The command for both repositories.
    pub(crate) fn depcheck(&self) -> Command {
        let mut command = depcheck();
        command.arg("--binary").arg(self.path("binary"));
        command.arg("--source").arg(self.path("source"));
        command
    }

    /// The file with metadata of a kind.
    pub(crate) fn file(&self, repository: &str, kind: &str) -> PathBuf {
        let directory = self.path(repository);
        let index = fs::read(directory.join("repodata/repomd.xml")).unwrap();
        directory.join(&Repomd::read(&index[..]).unwrap().get(kind).unwrap().location)
    }

    /// Compresses the metadata in another way: the writer of the house knows only gz and zst.
    pub(crate) fn compress_anew(&self, repository: &str, suffix: &str) {
        let directory = self.path(repository);
        let index = directory.join("repodata/repomd.xml");
        let mut repomd = Repomd::read(&fs::read(&index).unwrap()[..]).unwrap();
        for file in &mut repomd.files {
            let packed = fs::read(directory.join(&file.location)).unwrap();
            let mut plain = decompress::open(&packed[..], u64::MAX).unwrap();
            let mut packed = Vec::new();
            if suffix == "xz" {
                liblzma::read::XzEncoder::new(plain, 6).read_to_end(&mut packed).unwrap();
            } else {
                let mut encoder =
                    bzip2::write::BzEncoder::new(&mut packed, bzip2::Compression::best());
                std::io::copy(&mut plain, &mut encoder).unwrap();
                encoder.finish().unwrap();
            }
            file.location = format!("repodata/{}.xml.{suffix}", file.kind);
            fs::write(directory.join(&file.location), &packed).unwrap();
            file.size = Some(packed.len() as u64);
            file.checksum = Some(Checksum::sha256(&packed));
        }
        fs::write(index, repomd_xml(&repomd)).unwrap();
    }
}

/// A web server for a directory.
pub(crate) struct Server {
    address: String,
    /// What every answer is, instead of the file.
    pub(crate) instead: Arc<Mutex<Option<Instead>>>,
}

/// What a server in trouble does.
#[derive(Debug, Clone)]
pub(crate) enum Instead {
    /// Answers with this status.
    Status(u16),
    /// For addresses that contain this: sends half of the file and then nothing more, leaving the connection open, until
    /// the trouble is over.
    Hang(&'static str),
}

impl Server {
    pub(crate) fn start(directory: &Path) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let server = Self { address, instead: Arc::default() };
        let (directory, instead) = (directory.to_owned(), Arc::clone(&server.instead));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (directory, instead) = (directory.clone(), Arc::clone(&instead));
                std::thread::spawn(move || answer(stream, &directory, &instead));
            }
        });
        server
    }

    pub(crate) fn address(&self, path: &str) -> String {
        format!("{}/{path}", self.address)
    }
}

fn answer(mut stream: TcpStream, directory: &Path, trouble: &Mutex<Option<Instead>>) {
    let mut request = String::new();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let _ = reader.read_line(&mut request);
    let mut header = String::new();
    while reader.read_line(&mut header).is_ok_and(|length| length > 2) {
        header.clear();
    }
    let path = request.split(' ').nth(1).unwrap_or_default().trim_start_matches('/');
    let instead = trouble.lock().unwrap().clone();
    let (status, body) = match (&instead, fs::read(directory.join(path))) {
        (Some(Instead::Status(status)), _) => (*status, b"sorry".to_vec()),
        (_, Ok(body)) => (200, body),
        (_, Err(_)) => (404, b"no such file".to_vec()),
    };
    let head = format!(
        "HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    let hang = matches!(instead, Some(Instead::Hang(what)) if path.contains(what));
    let part = if hang { &body[..body.len() / 2] } else { &body[..] };
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(part));
    if hang {
        stream.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    }
    while hang && !matches!(stream.read(&mut [0]), Ok(0)) {
        if trouble.lock().unwrap().is_none() {
            let _ = stream.write_all(&body[part.len()..]);
            break;
        }
    }
}
