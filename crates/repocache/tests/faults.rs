//! Whatever a server does, a file is there whole and right, or not at all; and it is said why.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests say what they expect"
)]

mod support;

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use repocache::{Cancel, Downloader, Error, Kind, Options, Snapshot};
use rpm::md::primary;
use rpm::md::repomd::{MetadataFile, Repomd};
use rpm::md::{Checksum, write};
use support::{Server, Trouble, downloader, files, impatient, repository};

/// A repository on a server, and an empty directory for what is fetched.
struct World {
    repository: tempfile::TempDir,
    server: Server,
    into: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        let repository = repository(&["bash", "gcc"]);
        let server = Server::start(repository.path());
        Self { repository, server, into: tempfile::tempdir().unwrap() }
    }

    fn fetch(&self) -> Result<Snapshot, Error> {
        self.fetch_with(&downloader())
    }

    fn fetch_with(&self, downloader: &Downloader) -> Result<Snapshot, Error> {
        downloader.snapshot(&self.server.url, &[Kind::Primary], self.into.path())
    }

    /// How long the primary metadata are.
    fn length(&self) -> usize {
        let repodata = self.repository.path().join("repodata");
        let name = files(&repodata).into_iter().find(|name| name.contains("primary")).unwrap();
        usize::try_from(fs::metadata(repodata.join(name)).unwrap().len()).unwrap()
    }

    /// It came, whole.
    fn succeeds(&self) {
        let snapshot = self.fetch().unwrap();
        assert_eq!(names(&snapshot), ["bash", "gcc"]);
        assert_eq!(files(self.into.path()), ["primary"], "nothing else is left");
    }

    /// It did not come, and nothing is left of the attempt.
    fn fails(&self) -> Error {
        let error = self.fetch().unwrap_err();
        assert_eq!(files(self.into.path()), [""; 0], "something is left after: {error}");
        error
    }

    /// The requests for the primary metadata: from which byte on, and past proxies or not.
    fn primaries(&self) -> Vec<(Option<usize>, bool)> {
        let asked = self.server.asked();
        asked
            .iter()
            .filter(|asked| asked.name() == "primary")
            .map(|asked| (asked.from, asked.no_cache))
            .collect()
    }
}

fn names(snapshot: &Snapshot) -> Vec<String> {
    let file = fs::File::open(snapshot.path(Kind::Primary).unwrap()).unwrap();
    primary::Reader::new(file).unwrap().map(|package| package.unwrap().nevra.name).collect()
}

#[test]
fn a_transfer_that_is_cut_goes_on_where_it_was() {
    let world = World::new();
    world.server.trouble("primary", Trouble::CutAfter(100));
    world.server.trouble("primary", Trouble::CutAfter(200));
    world.succeeds();
    assert_eq!(world.primaries(), [(None, false), (Some(100), false), (Some(300), false)]);
}

#[test]
fn a_server_that_knows_no_ranges_sends_all_of_it_again() {
    let world = World::new();
    world.server.trouble("primary", Trouble::CutAfter(100));
    world.server.trouble("primary", Trouble::NoRanges);
    world.succeeds();
    assert_eq!(world.primaries(), [(None, false), (Some(100), false)]);
}

#[test]
fn a_part_that_was_not_asked_for_is_not_taken() {
    let world = World::new();
    world.server.trouble("primary", Trouble::CutAfter(100));
    world.server.trouble("primary", Trouble::WrongRange);
    world.succeeds();
    assert_eq!(world.primaries(), [(None, false), (Some(100), false), (None, true)]);
}

#[test]
fn pieces_that_do_not_fit_are_fetched_as_a_whole() {
    let world = World::new();
    // A part of a wrong file, then the rest of the right one.
    let length = world.length();
    world.server.trouble("primary", Trouble::Changed);
    world.server.trouble("primary", Trouble::None);
    world.succeeds();
    assert_eq!(world.primaries(), [(None, false), (None, true)], "{length}");
    // All of it had come when the connection broke, and there is no more to be had.
    world.server.trouble("primary", Trouble::CutAfter(length - 1));
    world.server.trouble("primary", Trouble::Changed);
    world.succeeds();
    assert_eq!(world.primaries(), [(None, false), (Some(length - 1), false), (None, true)]);
}

#[test]
fn a_server_that_cuts_for_ever_is_given_up() {
    let world = World::new();
    world.server.troubles("primary", &Trouble::CutAfter(10), 4);
    let error = world.fails();
    assert!(matches!(error, Error::Unreachable { .. }) && error.is_transient(), "{error}");
    assert_eq!(world.primaries().len(), 4, "as often as the options say");
    world.server.troubles("repomd", &Trouble::CutAfter(10), 4);
    assert!(matches!(world.fails(), Error::Unreachable { .. }));
    assert_eq!(world.server.asked().iter().map(|asked| asked.from).collect::<Vec<_>>(), [None; 4]);
}

#[test]
fn an_index_that_is_cut_is_fetched_from_its_beginning() {
    let world = World::new();
    world.server.trouble("repomd", Trouble::CutAfter(10));
    world.succeeds();
    let asked = world.server.asked();
    assert_eq!(asked.iter().map(|asked| asked.from).collect::<Vec<_>>(), [None; 3]);
}

#[test]
fn trouble_of_the_server_passes_and_refusals_do_not() {
    let world = World::new();
    for status in [500, 502, 503, 429] {
        world.server.trouble("repomd", Trouble::Status(status));
        world.server.trouble("primary", Trouble::Status(status));
        world.succeeds();
        assert_eq!(world.server.names(), ["repomd", "repomd", "primary", "primary"]);
    }
    world.server.troubles("primary", &Trouble::Status(503), 4);
    let error = world.fails();
    assert!(error.to_string().contains("HTTP status 503") && error.is_transient(), "{error}");
    assert_eq!(world.server.names().len(), 5);
    world.server.trouble("repomd", Trouble::Status(403));
    let error = world.fails();
    assert!(error.to_string().contains("HTTP status 403") && !error.is_gone(), "{error}");
    assert_eq!(world.server.names(), ["repomd"], "asking again is of no use");
}

#[test]
fn a_file_of_the_wrong_length_is_refused() {
    let world = World::new();
    let length = world.length();
    for (trouble, complaint) in [
        (Trouble::OnlyFirst(length - 1), format!("{} bytes came instead of {length}", length - 1)),
        (Trouble::OnlyFirst(0), format!("0 bytes came instead of {length}")),
        (Trouble::Longer(1), "longer than it should be".to_owned()),
        (Trouble::Endless, "longer than it should be".to_owned()),
    ] {
        // Twice, because a proxy might be to blame for the first.
        world.server.troubles("primary", &trouble, 2);
        let error = world.fails();
        assert!(matches!(error, Error::Damaged { .. }) && error.is_transient(), "{error}");
        assert!(error.to_string().contains(&complaint), "{error}");
        assert_eq!(world.primaries(), [(None, false), (None, true)]);
        world.server.trouble("primary", trouble);
        world.succeeds();
        world.server.asked();
    }
}

#[test]
fn an_index_without_end_is_refused() {
    let world = World::new();
    world.server.troubles("repomd", &Trouble::Endless, 2);
    let error = world.fails();
    assert!(error.to_string().contains("longer than it should be"), "{error}");
}

#[test]
fn a_wrong_checksum_is_refused() {
    let world = World::new();
    world.server.troubles("primary", &Trouble::Changed, 2);
    let error = world.fails();
    assert!(matches!(error, Error::Damaged { .. }), "{error}");
    assert!(error.to_string().contains("its checksum is not what the index says"), "{error}");
    // The index was looked at again, to see whether the repository had been replaced.
    assert_eq!(world.server.names(), ["repomd", "primary", "primary", "repomd"]);
}

#[test]
fn a_server_that_says_nothing_more_is_not_waited_for() {
    let world = World::new();
    world.server.trouble("primary", Trouble::StallAfter(50));
    world.succeeds();
    assert_eq!(world.primaries(), [(None, false), (Some(50), false)]);
}

#[test]
fn who_waits_no_more_ends_the_transfer() {
    let world = World::new();
    world.server.trouble("primary", Trouble::Hold);
    let cancel = Cancel::default();
    let patient = Downloader::with_options(Options::default(), cancel.clone());
    let begun = std::thread::scope(|scope| {
        let fetching = scope.spawn(|| world.fetch_with(&patient));
        world.server.wait_until_held(1);
        let begun = Instant::now();
        cancel.cancel();
        let error = fetching.join().unwrap().unwrap_err();
        assert!(matches!(error, Error::Canceled { .. }), "{error}");
        begun
    });
    assert!(begun.elapsed() < Duration::from_secs(30), "not after the patience of a minute");
    assert_eq!(files(world.into.path()), [""; 0]);
    world.server.release();
}

#[test]
fn without_an_index_the_repository_is_gone_without_a_file_it_is_not() {
    let world = World::new();
    world.server.trouble("primary", Trouble::Status(404));
    let error = world.fails();
    assert!(!error.is_gone() && error.is_transient(), "only a part of it is missing: {error}");
    assert!(error.to_string().contains("primary"), "{error}");
    world.server.asked();
    for status in [404, 410] {
        world.server.trouble("repomd", Trouble::Status(status));
        let error = world.fails();
        assert!(error.is_gone() && !error.is_transient(), "{error}");
        assert_eq!(error.to_string(), format!("the repository {} is gone", world.server.url));
        assert_eq!(world.server.names(), ["repomd"], "asking again is of no use");
    }
}

#[test]
fn a_repository_that_is_replaced_meanwhile_is_taken_as_it_is_then() {
    let world = World::new();
    let newer = repository(&["bash", "clang", "gcc"]);
    world.server.trouble("primary", Trouble::Replace(newer.path().to_owned()));
    let snapshot = world.fetch().unwrap();
    assert_eq!(names(&snapshot), ["bash", "clang", "gcc"]);
    assert_eq!(snapshot.index, fs::read(newer.path().join("repodata/repomd.xml")).unwrap());
    assert_eq!(files(world.into.path()), ["primary"]);
    assert_eq!(world.server.names(), ["repomd", "primary", "repomd", "primary"]);
}

#[test]
fn files_of_two_generations_are_never_mixed() {
    let world = World::new();
    let newer = repository(&["bash", "clang", "gcc"]);
    world.server.trouble("filelists", Trouble::Replace(newer.path().to_owned()));
    let kinds = [Kind::Primary, Kind::Filelists];
    let snapshot = downloader().snapshot(&world.server.url, &kinds, world.into.path()).unwrap();
    assert_eq!(names(&snapshot), ["bash", "clang", "gcc"]);
    let mut owners = 0;
    let lists = fs::File::open(snapshot.path(Kind::Filelists).unwrap()).unwrap();
    rpm::md::filelists::read(lists, |_, _| owners += 1).unwrap();
    assert_eq!(owners, 3);
}

#[test]
fn a_repository_that_never_stays_the_same_is_given_up() {
    let world = World::new();
    let generations: Vec<_> = ["a", "b", "c", "d"].map(|name| repository(&[name])).into();
    for generation in &generations {
        world.server.trouble("primary", Trouble::Replace(generation.path().to_owned()));
    }
    let error = world.fails();
    assert!(matches!(error, Error::Changing { .. }) && error.is_transient(), "{error}");
}

#[test]
fn what_is_fetched_later_belongs_to_the_same_index() {
    let world = World::new();
    let snapshot = world.fetch().unwrap();
    let more = |index: &[u8]| {
        downloader().more(&world.server.url, index, Kind::Filelists, world.into.path())
    };
    assert!(more(&snapshot.index).unwrap());
    assert_eq!(files(world.into.path()), ["filelists", "primary"]);
    fs::remove_file(world.into.path().join("filelists")).unwrap();
    let newer = repository(&["bash", "clang"]);
    world.server.trouble("filelists", Trouble::Replace(newer.path().to_owned()));
    let error = more(&snapshot.index).unwrap_err();
    assert!(matches!(error, Error::Changing { .. }), "{error}");
    assert_eq!(files(world.into.path()), ["primary"]);
    let none =
        downloader().more(&world.server.url, &snapshot.index, Kind::Group, world.into.path());
    assert!(!none.unwrap(), "it has no groups");
}

#[test]
fn redirections_are_followed() {
    let world = World::new();
    fs::rename(world.repository.path().join("repodata"), world.repository.path().join("old"))
        .unwrap();
    let index = fs::read(world.repository.path().join("old/repomd.xml")).unwrap();
    let repomd = Repomd::read(index.as_slice()).unwrap();
    let moved = repomd.get("primary").unwrap().location.replace("repodata", "/old");
    world.server.trouble("repomd", Trouble::Redirect("/old/repomd.xml".to_owned()));
    world.server.trouble("primary", Trouble::Redirect(moved.clone()));
    world.server.trouble("primary", Trouble::CutAfter(100));
    world.server.trouble("primary", Trouble::Redirect(moved));
    world.succeeds();
    let parts: Vec<_> = world.server.asked().iter().map(|asked| asked.from).collect();
    assert_eq!(parts, [None, None, None, None, Some(100), Some(100)]);
}

#[test]
fn a_full_disk_is_told_and_nothing_is_left() {
    let world = World::new();
    let cache = tempfile::tempdir().unwrap();
    // A process that may not write files of more than one block of 512 bytes.
    let output = Command::new("sh")
        .arg("-c")
        .arg("trap '' XFSZ; ulimit -f 1; exec \"$0\" \"$@\"")
        .arg(env!("CARGO_BIN_EXE_repocache"))
        .arg(cache.path())
        .arg(&world.server.url)
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert!(said.contains("File too large") && said.contains("primary"), "{said}");
    assert_eq!(support::tree(cache.path()), ["lock"], "nothing is left of the repository");
    assert_eq!(world.server.names(), ["repomd", "primary"], "trying again is of no use");
}

/// What the index says about some bytes.
fn listed(kind: &str, name: &str, bytes: &[u8]) -> MetadataFile {
    MetadataFile {
        kind: kind.to_owned(),
        location: format!("repodata/{name}"),
        checksum: Some(Checksum::sha256(bytes)),
        size: Some(bytes.len() as u64),
        ..MetadataFile::default()
    }
}

/// A repository with these files as its metadata: kind, name and content.
fn by_hand(directory: &Path, metadata: &[(&str, &str, Vec<u8>)]) {
    let repodata = directory.join("repodata");
    fs::create_dir_all(&repodata).unwrap();
    let mut repomd = Repomd { revision: "1".to_owned(), files: Vec::new() };
    for (kind, name, bytes) in metadata {
        fs::write(repodata.join(name), bytes).unwrap();
        repomd.files.push(listed(kind, name, bytes));
    }
    fs::write(repodata.join("repomd.xml"), write::repomd_xml(&repomd)).unwrap();
}

#[test]
fn every_compression_is_understood_and_zchunk_is_passed_over() {
    let xml = write::complete_primary_xml(&support::packages(&["bash", "gcc"])).into_bytes();
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gz.write_all(&xml).unwrap();
    let mut xz = liblzma::write::XzEncoder::new(Vec::new(), 1);
    xz.write_all(&xml).unwrap();
    let mut bz2 = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    bz2.write_all(&xml).unwrap();
    for (name, bytes) in [
        ("primary.xml", xml.clone()),
        ("primary.xml.gz", gz.finish().unwrap()),
        ("primary.xml.xz", xz.finish().unwrap()),
        ("primary.xml.zst", zstd::stream::encode_all(xml.as_slice(), 1).unwrap()),
        ("primary.xml.bz2", bz2.finish().unwrap()),
    ] {
        let world = World::new();
        let zchunk = b"\0ZCK1 of which we understand nothing".to_vec();
        by_hand(
            world.repository.path(),
            &[("primary_zck", "primary.xml.zck", zchunk.clone()), ("primary", name, bytes.clone())],
        );
        world.succeeds();
        // As some tools list it, under the same name.
        by_hand(
            world.repository.path(),
            &[("primary", "primary.xml.zck", zchunk.clone()), ("primary", name, bytes)],
        );
        world.succeeds();
        by_hand(world.repository.path(), &[("primary_zck", "primary.xml.zck", zchunk)]);
        fs::remove_file(world.into.path().join("primary")).unwrap();
        let error = world.fails();
        assert!(matches!(error, Error::Unusable { .. }) && !error.is_transient(), "{error}");
        assert!(error.to_string().contains("in zchunk only"), "{error}");
    }
}

#[test]
fn groups_are_found_under_both_of_their_names() {
    let world = World::new();
    let primary = write::complete_primary_xml(&support::packages(&["bash"])).into_bytes();
    let comps = b"<comps><group><id>build</id></group></comps>".to_vec();
    for kind in ["group", "group_gz"] {
        by_hand(
            world.repository.path(),
            &[("primary", "primary.xml", primary.clone()), (kind, "comps.xml", comps.clone())],
        );
        let kinds = [Kind::Primary, Kind::Group];
        let snapshot = downloader().snapshot(&world.server.url, &kinds, world.into.path()).unwrap();
        let file = fs::File::open(snapshot.path(Kind::Group).unwrap()).unwrap();
        assert!(rpm::md::comps::Comps::read(file).unwrap().group("build").is_some());
    }
}

#[test]
fn an_index_that_lists_no_packages_is_damaged() {
    let world = World::new();
    by_hand(world.repository.path(), &[]);
    let error = world.fails();
    assert!(error.to_string().contains("lists no primary metadata"), "{error}");
    fs::write(world.repository.path().join("repodata/repomd.xml"), "<html>maintenance</html>")
        .unwrap();
    let error = world.fails();
    assert!(matches!(error, Error::Damaged { .. }), "{error}");
    assert!(error.to_string().contains("repomd.xml, line 1"), "{error}");
}

#[test]
fn a_server_that_is_not_there_is_unreachable() {
    let nobody = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    let into = tempfile::tempdir().unwrap();
    for url in [nobody.as_str(), "gopher://example.org", "http://"] {
        let error = downloader().snapshot(url, &[Kind::Primary], into.path()).unwrap_err();
        assert!(matches!(error, Error::Unreachable { .. }), "{url}: {error}");
    }
    assert_eq!(files(into.path()), [""; 0]);
}

#[test]
fn proxies_of_the_environment_are_used() {
    let world = World::new();
    let cache = tempfile::tempdir().unwrap();
    let run = |variable: &str, value: &str| {
        Command::new(env!("CARGO_BIN_EXE_repocache"))
            .env_remove("no_proxy")
            .env_remove("NO_PROXY")
            .env(variable, value)
            .arg(cache.path())
            .arg("http://repository.invalid/f40")
            .output()
            .unwrap()
    };
    let repodata = world.repository.path().join("f40");
    fs::create_dir(&repodata).unwrap();
    fs::rename(world.repository.path().join("repodata"), repodata.join("repodata")).unwrap();
    let output = run("http_proxy", &world.server.url);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let asked = world.server.asked();
    assert_eq!(asked[0].target, "http://repository.invalid/f40/repodata/repomd.xml");
}

/// A web server with TLS for a directory; ends when dropped.
struct Tls {
    process: std::process::Child,
    url: String,
}

impl Tls {
    fn start(directory: &Path, certificate: &Path) -> Self {
        const PROGRAM: &str = "
import functools, http.server, ssl, sys
handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=sys.argv[1])
server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[2])
server.socket = context.wrap_socket(server.socket, server_side=True)
print(server.server_address[1], flush=True)
server.serve_forever()
";
        let mut process = Command::new("python3")
            .args(["-c", PROGRAM])
            .arg(directory)
            .arg(certificate)
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::null())
            .spawn()
            .expect("python3 is needed: scripts/install-deps test");
        let mut port = String::new();
        let said = process.stdout.as_mut().unwrap();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(said), &mut port).unwrap();
        Self { process, url: format!("https://localhost:{}", port.trim()) }
    }
}

impl Drop for Tls {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A certificate that vouches for itself, with its key.
fn certificate(path: &Path) {
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj"])
        .args(["/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout"])
        .arg(path.with_extension("key"))
        .arg("-out")
        .arg(path)
        .output()
        .expect("openssl is needed: scripts/install-deps test");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let mut both = fs::read(path).unwrap();
    both.extend(fs::read(path.with_extension("key")).unwrap());
    fs::write(path, both).unwrap();
}

#[test]
fn servers_prove_who_they_are_by_the_authorities_that_were_named() {
    let world = World::new();
    let keys = tempfile::tempdir().unwrap();
    let (ours, other) = (keys.path().join("ours.pem"), keys.path().join("other.pem"));
    certificate(&ours);
    certificate(&other);
    let server = Tls::start(world.repository.path(), &ours);
    let fetch = |authorities: &[&Path]| {
        let authorities = authorities.iter().map(|path| path.to_path_buf()).collect();
        let options = Options { authorities, ..impatient() };
        Downloader::with_options(options, Cancel::default()).snapshot(
            &server.url,
            &[Kind::Primary],
            world.into.path(),
        )
    };
    for authorities in [&[][..], &[other.as_path()]] {
        let error = fetch(authorities).unwrap_err();
        assert!(matches!(error, Error::Unreachable { .. }), "{error}");
        assert!(error.to_string().contains("certificate"), "{error}");
        assert_eq!(files(world.into.path()), [""; 0]);
    }
    assert_eq!(names(&fetch(&[&other, &ours]).unwrap()), ["bash", "gcc"]);
    let missing = keys.path().join("missing.pem");
    let error = fetch(&[&missing]).unwrap_err();
    assert!(error.to_string().contains("missing.pem"), "{error}");
}
