//! Metadata written and read back, read from the real thing, and refused when it is broken.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail")]

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::Command;

use rpm::md::comps::{Comps, Group, Member, MemberKind};
use rpm::md::repomd::Repomd;
use rpm::md::write::{Compression, Repository};
use rpm::md::{self, Package, filelists, primary};
use rpm::{Nevra, Relation};

fn sample() -> Vec<Package> {
    let bash = Package {
        nevra: Nevra::new("bash", 0, "5.2", "1.fc40", "x86_64"),
        summary: "The <GNU> shell & friends".to_owned(),
        url: "https://example.org/?a=1&b=2".to_owned(),
        license: "GPL-3.0-or-later".to_owned(),
        source_rpm: Some("bash-5.2-1.fc40.src.rpm".to_owned()),
        location: "Packages/b/bash-5.2-1.fc40.x86_64.rpm".to_owned(),
        build_time: 1_700_000_000,
        provides: vec![
            "bash = 5.2-1.fc40".parse().unwrap(),
            "config(bash) = 5.2-1.fc40".parse().unwrap(),
            Relation::any("/bin/sh"),
        ],
        requires: vec![
            Relation::any("libc.so.6()(64bit)").into(),
            md::Requirement { dep: "filesystem >= 3".parse().unwrap(), pre: true },
        ],
        conflicts: vec!["oldsh < 1:2~rc1".parse().unwrap()],
        obsoletes: vec!["bash-static <= 4".parse().unwrap()],
        recommends: vec!["(bash-completion or (bash-doc if man-db))".parse().unwrap()],
        suggests: vec![Relation::any("emacs").into()],
        supplements: vec!["(a and b)".parse().unwrap()],
        enhances: vec![Relation::any("vim").into()],
        files: vec![
            "/etc/bashrc".to_owned(),
            "/usr/bin/bash".to_owned(),
            "/usr/share/doc/bash".to_owned(),
        ],
        ..Package::default()
    };
    let source =
        Package { nevra: Nevra::new("bash", 0, "5.2", "1.fc40", "src"), ..Package::default() };
    vec![bash, source]
}

fn shared_data() -> PathBuf {
    let data = std::env::var_os("KOSCHEI_DATA").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"),
        PathBuf::from,
    );
    assert!(
        data.join("repos").is_dir(),
        "{} has no directory repos; set KOSCHEI_DATA to the directory of the test data",
        data.display()
    );
    data
}

fn open(directory: &std::path::Path, repomd: &Repomd, kind: &str) -> File {
    File::open(directory.join(&repomd.get(kind).unwrap().location)).unwrap()
}

#[test]
fn what_is_written_is_read_back() {
    for compression in [Compression::Gzip, Compression::Zstd] {
        let directory = tempfile::tempdir().unwrap();
        let packages = sample();
        let group = Group {
            id: "build".to_owned(),
            name: "Buildroot".to_owned(),
            packages: vec![
                Member { name: "bash".to_owned(), kind: MemberKind::Mandatory },
                Member { name: "vim".to_owned(), kind: MemberKind::Optional },
            ],
        };
        let comps = Comps { groups: vec![group] };
        let written = Repository::new(&packages)
            .comps(&comps)
            .compression(compression)
            .timestamp(1_700_000_000)
            .write(directory.path())
            .unwrap();
        let repomd =
            Repomd::read(File::open(directory.path().join("repodata/repomd.xml")).unwrap())
                .unwrap();
        assert_eq!(repomd, written);
        for file in &repomd.files {
            let path = directory.path().join(&file.location);
            assert_eq!(fs::metadata(&path).unwrap().len(), file.size.unwrap());
            assert!(file.checksum.as_ref().unwrap().matches(File::open(&path).unwrap()).unwrap());
            let plain = md::decompress::open(File::open(&path).unwrap(), 1 << 20).unwrap();
            assert!(file.open_checksum.as_ref().unwrap().matches(plain).unwrap());
        }

        let read: Vec<Package> = primary::Reader::new(open(directory.path(), &repomd, "primary"))
            .unwrap()
            .map(Result::unwrap)
            .collect();
        let mut expected = packages.clone();
        for (expected, read) in expected.iter_mut().zip(&read) {
            expected.checksum = read.checksum.clone();
            // rpm-md cannot tell no epoch from epoch 0.
            for relation in expected.provides.iter_mut().chain(&mut expected.obsoletes) {
                if let Some(constraint) = &mut relation.constraint {
                    constraint.epoch.get_or_insert(0);
                }
            }
            for requirement in &mut expected.requires {
                if let rpm::Dep::Relation(Relation { constraint: Some(constraint), .. }) =
                    &mut requirement.dep
                {
                    constraint.epoch.get_or_insert(0);
                }
            }
            expected.files.retain(|path| md::is_primary_path(path));
            if expected.location.is_empty() {
                expected.location = expected.nevra.file_name();
            }
        }
        assert_eq!(read, expected);

        let mut paths = Vec::new();
        filelists::read(open(directory.path(), &repomd, "filelists"), |package, path| {
            assert_eq!(package, read[0].checksum.value);
            paths.push(path.to_owned());
        })
        .unwrap();
        assert_eq!(paths, packages[0].files);

        assert_eq!(Comps::read(open(directory.path(), &repomd, "group")).unwrap(), comps);
    }
}

#[test]
fn writing_again_replaces_the_whole() {
    let directory = tempfile::tempdir().unwrap();
    let packages = sample();
    Repository::new(&packages).write(directory.path()).unwrap();
    let second = Repository::new(&packages[..1]).write(directory.path()).unwrap();
    let mut found: Vec<String> = fs::read_dir(directory.path().join("repodata"))
        .unwrap()
        .map(|entry| format!("repodata/{}", entry.unwrap().file_name().to_str().unwrap()))
        .collect();
    found.sort();
    let mut expected: Vec<String> = second.files.into_iter().map(|file| file.location).collect();
    expected.push("repodata/repomd.xml".to_owned());
    expected.sort();
    assert_eq!(found, expected);
    assert_eq!(
        fs::read_dir(directory.path()).unwrap().count(),
        1,
        "nothing but repodata is left behind"
    );
}

/// libsolv, which dnf uses, is the judge of what we write.
#[test]
fn libsolv_understands_what_is_written() {
    let directory = tempfile::tempdir().unwrap();
    let packages = sample();
    let repomd = Repository::new(&packages).write(directory.path()).unwrap();
    let script = r#"
import solv, sys
pool = solv.Pool()
pool.setdisttype(solv.Pool.DISTTYPE_RPM)
pool.setarch("x86_64")
repo = pool.add_repo("r")
assert repo.add_rpmmd(solv.xfopen(sys.argv[1]), None)
assert repo.add_rpmmd(solv.xfopen(sys.argv[2]), "FL", solv.Repo.REPO_EXTEND_SOLVABLES)
for s in repo.solvables:
    print(s, s.lookup_str(solv.SOLVABLE_SUMMARY))
    for key in ("PROVIDES", "REQUIRES", "CONFLICTS", "OBSOLETES", "RECOMMENDS", "SUGGESTS", "SUPPLEMENTS", "ENHANCES"):
        for dep in s.lookup_deparray(getattr(solv, "SOLVABLE_" + key), 0):
            print(key.lower(), dep)
print(*sorted(m.str for s in repo.solvables for m in [*pool.Dataiterator(solv.SOLVABLE_FILELIST, None, solv.Dataiterator.SEARCH_FILES)]))
"#;
    let output = Command::new("/usr/bin/python3")
        .args(["-c", script])
        .arg(directory.path().join(&repomd.get("primary").unwrap().location))
        .arg(directory.path().join(&repomd.get("filelists").unwrap().location))
        .output()
        .expect("/usr/bin/python3 is needed: apt-get install python3");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        !errors.contains("ModuleNotFoundError"),
        "the Debian package is missing: apt-get install python3-solv"
    );
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{errors}");
    for line in [
        "bash-5.2-1.fc40.x86_64 The <GNU> shell & friends",
        "provides bash = 5.2-1.fc40",
        "provides /bin/sh",
        "requires libc.so.6()(64bit)",
        "requires filesystem >= 3",
        "conflicts oldsh < 1:2~rc1",
        "obsoletes bash-static <= 4",
        "recommends (bash-completion or (bash-doc if man-db))",
        "suggests emacs",
        "supplements (a and b)",
        "enhances vim",
        "bash-5.2-1.fc40.src",
    ] {
        assert!(
            text.lines().any(|found| found.trim_end() == line),
            "no line “{line}” in:\n{text}\n{errors}"
        );
    }
    assert!(text.contains("/usr/share/doc/bash"), "{text}");
}

#[test]
fn a_real_primary_has_what_its_header_says() {
    let repodata = shared_data().join("repos/rhel7/binary/repodata");
    let repomd = Repomd::read(File::open(repodata.join("repomd.xml")).unwrap()).unwrap();
    let primary_file = repomd.get("primary").unwrap();
    let path = repodata.parent().unwrap().join(&primary_file.location);
    assert!(primary_file.checksum.as_ref().unwrap().matches(File::open(&path).unwrap()).unwrap());
    let packages: Vec<Package> =
        primary::Reader::new(File::open(&path).unwrap()).unwrap().map(Result::unwrap).collect();
    assert_eq!(packages.len(), 9251);
    assert_eq!(packages.iter().filter(|package| package.nevra.arch == "i686").count(), 2034);
    let first = &packages[0];
    assert_eq!(first.nevra.to_string(), "389-ds-base-0:1.3.5.10-7.el7.x86_64");
    assert_eq!(first.source_rpm.as_deref(), Some("389-ds-base-1.3.5.10-7.el7.src.rpm"));
    assert_eq!(first.provides[1].to_string(), "389-ds-base(x86-64) = 0:1.3.5.10-7.el7");
    assert!(first.requires[0].pre);
    assert_eq!(first.requires[0].dep.to_string(), "/bin/sh");
    assert_eq!(first.size.installed, 5_444_791);
    assert_eq!(first.build_time, 1_470_679_741);
}

fn read_primary(text: &[u8]) -> Result<Vec<Package>, md::Error> {
    primary::Reader::new(text)?.collect()
}

#[test]
fn broken_metadata_is_refused_with_file_and_line() {
    let cases: &[(&[u8], &str)] = &[
        (b"", "primary.xml, line 1: there is no element metadata"),
        (b"<html>\n</html>", "primary.xml, line 2: there is no element metadata"),
        (b"<metadata>\n<package>\n<name>a</name>", "primary.xml, line 3"),
        (b"<metadata>\n<package>\n<arch>noarch</arch></package></metadata>", "without name or architecture"),
        (
            b"<metadata><package><name>a</name>\n<format><requires>\n<entry name='b' flags='ALMOST' ver='1'/>",
            "primary.xml, line 3: package a: “ALMOST” is none of LT, LE, EQ, GE and GT",
        ),
        (b"<metadata><package><version epoch='-1'/>", "“-1” is not an epoch"),
        (b"<metadata><package><name>a&nosuch;b</name>", "an unknown entity"),
        (b"<metadata>\n\n<package><name>\xff\xfe</name>", "primary.xml, line 3"),
        (b"<metadata></package></metadata>", "primary.xml, line 1"),
    ];
    for (text, expected) in cases {
        let error = read_primary(text).expect_err(&String::from_utf8_lossy(text));
        assert!(error.to_string().contains(expected), "{error} does not say {expected}");
        assert!(!error.is_transient(), "{error}");
    }
}

#[test]
fn relations_that_are_not_understood_are_left_out_and_told() {
    let text = "<metadata><package><name>a</name><arch>src</arch><format>
        <provides><entry name='a'/><entry name='(b or c)'/></provides>
        <requires>
            <entry name='gcc'/><entry name='(clang foo llvm)'/>
            <entry name='(make)'/><entry name='(clang'/>
        </requires></format></package>
        <package><name>z</name><arch>src</arch></package></metadata>";
    let mut reader = primary::Reader::new(text.as_bytes()).unwrap();
    let package = reader.next().unwrap().unwrap();
    let requires: Vec<String> = package.requires.iter().map(|one| one.dep.to_string()).collect();
    assert_eq!(requires, ["gcc", "make"]);
    assert_eq!(package.provides, [Relation::any("a")]);
    let told: Vec<_> = reader
        .not_understood()
        .iter()
        .map(|one| (one.text.as_str(), one.error.text.as_str(), one.required_after))
        .collect();
    assert_eq!(
        told,
        [
            ("(b or c)", "(b or c)", None),
            ("(clang foo llvm)", "(clang foo llvm)", Some(1)),
            ("(clang", "(clang", Some(2)),
        ]
    );
    assert_eq!(reader.next().unwrap().unwrap().nevra.name, "z");
    assert_eq!(reader.not_understood(), [], "they were those of the package before");
}

#[test]
fn deep_nesting_is_refused() {
    let text = "<metadata>".to_owned() + &"<a>".repeat(100_000);
    let error = read_primary(text.as_bytes()).unwrap_err();
    assert!(error.to_string().contains("nested too deeply"), "{error}");
}

#[test]
fn a_decompression_bomb_is_refused() {
    // Four megabytes of zeros in four kilobytes.
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    std::io::Write::write_all(&mut encoder, &vec![0; 4 << 20]).unwrap();
    let bomb = encoder.finish().unwrap();
    let mut reader = md::decompress::open(bomb.as_slice(), 1 << 20).unwrap();
    let error = std::io::copy(&mut reader, &mut std::io::sink()).unwrap_err();
    assert_eq!(error.to_string(), "it decompresses to more than 1048576 bytes, which is the limit");
}

#[test]
fn a_token_without_end_is_refused() {
    let text = b"<metadata><package><name>".to_vec();
    let endless = std::io::Read::chain(text.as_slice(), std::io::repeat(b'a'));
    let error = primary::Reader::new(endless).unwrap().next().unwrap().unwrap_err();
    assert!(error.to_string().contains("a tag or text of more than"), "{error}");
}

#[test]
fn every_compression_is_recognised() {
    let text = b"<metadata></metadata>";
    let gz = {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut encoder, text).unwrap();
        encoder.finish().unwrap()
    };
    let zst = zstd::stream::encode_all(text.as_slice(), 1).unwrap();
    let xz = {
        let mut out = Vec::new();
        let mut encoder = liblzma::write::XzEncoder::new(&mut out, 1);
        std::io::Write::write_all(&mut encoder, text).unwrap();
        encoder.finish().unwrap();
        out
    };
    let bz2 = {
        let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
        std::io::Write::write_all(&mut encoder, text).unwrap();
        encoder.finish().unwrap()
    };
    for compressed in [text.to_vec(), gz, zst, xz, bz2] {
        assert_eq!(read_primary(&compressed).unwrap(), []);
    }
}

#[test]
fn old_and_new_checksums_are_verified() {
    // As md5sum and its relatives compute them for the three bytes "rpm".
    for (kind, value) in [
        ("md5", "455385f5d8493917cb83541909b7cfa9"),
        ("sha", "d839ee45896e6fd6af263edfd34014da50964f0b"),
        ("sha1", "d839ee45896e6fd6af263edfd34014da50964f0b"),
        ("sha256", "9e7ab438597fee20e16e8e441bed0ce966bd59e0fb993fa7c94be31fb1384d88"),
        (
            "sha512",
            "5b65370143df56973421ad6a5ff549e7ef1a5bec8e161cac4faaf2a1da3b03a0d364aa8be9160b2b9dd4e92846c7ef5fe256f7e6ab5de2d3a9e63cc96597407d",
        ),
    ] {
        let checksum = md::Checksum { kind: kind.to_owned(), value: value.to_owned() };
        assert!(checksum.matches(b"rpm".as_slice()).unwrap(), "{kind}");
        assert!(!checksum.matches(b"rqm".as_slice()).unwrap(), "{kind}");
        let capital = md::Checksum { kind: kind.to_uppercase(), value: value.to_uppercase() };
        assert!(capital.matches(b"rpm".as_slice()).unwrap(), "{capital}");
        assert!(!capital.matches(b"rqm".as_slice()).unwrap(), "{capital}");
    }
    let unknown = md::Checksum { kind: "crc32".to_owned(), value: String::new() };
    let error = unknown.matches(b"rpm".as_slice()).unwrap_err();
    assert_eq!(error.to_string(), "checksums of type crc32 are not supported");
    let refused = |checksum: md::Checksum| checksum.verifier().unwrap_err().to_string();
    assert_eq!(refused(unknown), "its checksum is of the unknown kind crc32");
    let unnamed = md::Checksum { kind: String::new(), value: "0".repeat(64) };
    assert_eq!(refused(unnamed), "the kind of its checksum is not told");
}

#[test]
fn what_xml_cannot_hold_bare_is_written_so_that_it_arrives() {
    let package = Package {
        nevra: Nevra::new("a\n<b>", 0, "1", "1", "noarch"),
        checksum: md::Checksum { kind: "\"".to_owned(), value: "<&".to_owned() },
        requires: vec![Relation::any("tab\tand 'quote'").into()],
        url: "bell \u{7}".to_owned(),
        location: "x".to_owned(),
        ..Package::default()
    };
    let written = md::write::complete_primary_xml(std::slice::from_ref(&package));
    let expected = Package { url: "bell \u{fffd}".to_owned(), ..package };
    assert_eq!(read_primary(written.as_bytes()).unwrap(), [expected]);
}

#[test]
fn damaged_compression_is_refused_with_file_and_line() {
    let text = "<metadata>\n".to_owned() + &"<package/>\n".repeat(10_000);
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut encoder, text.as_bytes()).unwrap();
    let mut gz = encoder.finish().unwrap();
    gz.truncate(gz.len() - 12);
    // A frame that asks for a window of 2 GiB.
    let zst = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xa8, 0x01, 0x00, 0x00].to_vec();
    for (damaged, begin) in [(gz, "primary.xml, line "), (zst, "primary.xml, line 1: ")] {
        let error = read_primary(&damaged).unwrap_err();
        assert!(error.to_string().starts_with(begin), "{error}");
        assert!(!error.is_transient(), "{error}");
    }
}

#[test]
fn an_error_stays_short_whatever_is_quoted() {
    let name = "n".repeat(1 << 20);
    let text =
        format!("<metadata><package><name>{name}</name><requires><entry name='a' flags='{name}'/>");
    let error = read_primary(text.as_bytes()).unwrap_err().to_string();
    assert!(error.ends_with("is none of LT, LE, EQ, GE and GT"), "{error}");
    assert!(error.len() < 500, "{error}");
    let error = read_primary(format!("<metadata></{name}>").as_bytes()).unwrap_err().to_string();
    assert!(error.len() < 500, "{error}");
}

#[test]
fn an_error_of_the_source_may_go_away() {
    struct Broken;
    impl std::io::Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::ConnectionReset.into())
        }
    }
    let gzip = [0x1f_u8, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3];
    let broken = std::io::Read::chain(gzip.as_slice(), Broken);
    let error = primary::Reader::new(broken).unwrap().next().unwrap().unwrap_err();
    assert!(error.is_transient(), "{error}");
}

#[test]
fn order_prefixes_and_unknown_elements_do_not_matter() {
    let usual = br#"<?xml version="1.0"?>
<metadata xmlns="http://linux.duke.edu/metadata/common" xmlns:rpm="http://linux.duke.edu/metadata/rpm" packages="1">
<package type="rpm"><name>a</name><arch>noarch</arch><version epoch="1" ver="2" rel="3"/>
<checksum type="sha256" pkgid="YES">abc</checksum><summary>s</summary><location href="a.rpm"/>
<format><rpm:license>MIT</rpm:license>
<rpm:provides><rpm:entry name="a" flags="EQ" epoch="1" ver="2" rel="3"/></rpm:provides>
<rpm:requires><rpm:entry name="b"/></rpm:requires><file>/etc/a</file></format></package></metadata>"#;
    let unusual = br#"<?xml version="1.0"?>
<c:metadata xmlns:c="http://linux.duke.edu/metadata/common" xmlns:r="http://linux.duke.edu/metadata/rpm" packages="9">
<!-- a comment --><c:news><c:name>not a package</c:name></c:news>
<c:package news="1"><c:format><c:file>/etc/a</c:file>
<r:changes><r:name>x</r:name><r:entry name="y"/><c:arch>z</c:arch><r:requires><r:entry name="q"/></r:requires></r:changes>
<r:requires><r:entry news="1" name="b"/><r:news/></r:requires>
<r:provides><r:entry rel="3" ver="2" epoch="1" flags="EQ" name="a"></r:entry></r:provides>
<r:license>M&#x49;T</r:license></c:format>
<c:location href="a.rpm"></c:location><c:summary><![CDATA[s]]></c:summary>
<c:checksum pkgid="YES" type="sha256">abc</c:checksum><c:version rel="3" ver="2" epoch="1"></c:version>
<c:arch>noarch</c:arch><c:name>a</c:name></c:package></c:metadata>"#;
    let read = read_primary(usual).unwrap();
    assert_eq!(read.len(), 1);
    assert_eq!(read, read_primary(unusual).unwrap());
}

#[test]
fn a_package_without_name_or_architecture_is_an_error_with_file_and_line() {
    for package in ["<name>a</name>", "<arch>noarch</arch>", "<name/><arch>noarch</arch>", ""] {
        let text = format!(
            "<metadata>\n<package>\n<x><name>n</name><arch>n</arch></x>{package}</package></metadata>"
        );
        let error = read_primary(text.as_bytes()).unwrap_err();
        assert!(matches!(error, md::Error::Malformed { .. }) && !error.is_transient());
        let said = error.to_string();
        assert!(
            said.starts_with("primary.xml, line 3: ") && said.contains("without name or arch"),
            "{said}"
        );
    }
}
