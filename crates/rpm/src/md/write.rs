//! Writing repositories: `repodata/` as createrepo_c makes it, in one atomic step.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write};
use std::path::Path;

use super::checksum::Hasher;
use super::comps::Comps;
use super::repomd::{MetadataFile, Repomd};
use super::{Checksum, Error, Package, is_primary_path};
use crate::{Dep, Relation};

/// How metadata files are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Compression {
    /// `.gz`, understood by everything.
    #[default]
    Gzip,
    /// `.zst`, smaller and faster.
    Zstd,
}

impl Compression {
    fn suffix(self) -> &'static str {
        match self {
            Compression::Gzip => "gz",
            Compression::Zstd => "zst",
        }
    }

    fn compress(self, bytes: &[u8]) -> io::Result<Vec<u8>> {
        match self {
            Compression::Gzip => {
                let mut encoder =
                    flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(6));
                encoder.write_all(bytes)?;
                encoder.finish()
            }
            Compression::Zstd => zstd::stream::encode_all(bytes, 9),
        }
    }
}

/// A repository to be written.
///
/// ```no_run
/// # fn main() -> Result<(), rpm::md::Error> {
/// use rpm::md::write::Repository;
/// let packages: Vec<rpm::md::Package> = Vec::new();
/// Repository::new(&packages).timestamp(1_700_000_000).write("repos/f40-build/1/x86_64".as_ref())?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Repository<'a> {
    packages: &'a [Package],
    comps: Option<&'a Comps>,
    compression: Compression,
    timestamp: u64,
}

impl<'a> Repository<'a> {
    /// A repository of these packages, in this order.
    pub fn new(packages: &'a [Package]) -> Self {
        Repository { packages, comps: None, compression: Compression::default(), timestamp: 0 }
    }

    /// With groups, too.
    pub fn comps(mut self, comps: &'a Comps) -> Self {
        self.comps = Some(comps);
        self
    }

    /// Compressed so; gz unless told.
    pub fn compression(mut self, compression: Compression) -> Self {
        self.compression = compression;
        self
    }

    /// Revision and time stamps, in seconds since 1970: the same input gives the same bytes.
    pub fn timestamp(mut self, timestamp: u64) -> Self {
        self.timestamp = timestamp;
        self
    }

    /// Writes `repodata/` in `directory`, which is created if need be, and tells what was written.
    ///
    /// The new `repodata/` is complete before it takes the place of an old one.
    pub fn write(self, directory: &Path) -> Result<Repomd, Error> {
        let io =
            |source| Error::Io { file: directory.join("repodata").display().to_string(), source };
        let staging = directory.join(".repodata.new");
        remove(&staging).map_err(io)?;
        fs::create_dir_all(&staging).map_err(io)?;

        let mut repomd = Repomd { revision: self.timestamp.to_string(), files: Vec::new() };
        let mut add = |kind: &str, name: &str, xml: String| -> Result<(), Error> {
            let compressed = self.compression.compress(xml.as_bytes()).map_err(io)?;
            let checksum = Checksum::sha256(&compressed);
            let file = format!("{}-{name}.xml.{}", checksum.value, self.compression.suffix());
            fs::write(staging.join(&file), &compressed).map_err(io)?;
            repomd.files.push(MetadataFile {
                kind: kind.to_owned(),
                location: format!("repodata/{file}"),
                checksum: Some(checksum),
                open_checksum: Some(Checksum::sha256(xml.as_bytes())),
                size: Some(compressed.len() as u64),
                open_size: Some(xml.len() as u64),
                timestamp: Some(self.timestamp),
            });
            Ok(())
        };
        let keys: Vec<Checksum> = self.packages.iter().map(package_checksum).collect();
        add("primary", "primary", primary(self.packages, &keys, is_primary_path))?;
        add("filelists", "filelists", filelists(self.packages, &keys))?;
        add("other", "other", other(self.packages, &keys))?;
        if let Some(comps) = self.comps {
            add("group", "comps", comps_xml(comps))?;
        }
        fs::write(staging.join("repomd.xml"), repomd_xml(&repomd)).map_err(io)?;

        let target = directory.join("repodata");
        let old = directory.join(".repodata.old");
        remove(&old).map_err(io)?;
        match fs::rename(&target, &old) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(io(error)),
            _ => {}
        }
        fs::rename(&staging, &target).map_err(io)?;
        remove(&old).map_err(io)?;
        Ok(repomd)
    }
}

fn remove(directory: &Path) -> io::Result<()> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The package's own checksum, or, for packages that exist only on paper, one of its name, which serves as
/// well as the key between the files.
fn package_checksum(package: &Package) -> Checksum {
    if !package.checksum.value.is_empty() {
        return package.checksum.clone();
    }
    let mut hasher = Hasher::sha256();
    hasher.update(package.nevra.to_string().as_bytes());
    hasher.finish()
}

/// A text as it stands between tags or quotation marks. White space other than a space is written as a reference, since
/// it would arrive as a space or a newline; what XML 1.0 cannot hold at all (most control characters) as U+FFFD,
/// since a file with one of them is refused whole by others.
fn escape(text: &str) -> Cow<'_, str> {
    let special =
        |c: char| c < ' ' || matches!(c, '<' | '>' | '&' | '\'' | '"' | '\u{fffe}' | '\u{ffff}');
    if !text.contains(special) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '\'' => escaped.push_str("&apos;"),
            '"' => escaped.push_str("&quot;"),
            '\t' => escaped.push_str("&#9;"),
            '\n' => escaped.push_str("&#10;"),
            '\r' => escaped.push_str("&#13;"),
            c if special(c) => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    Cow::Owned(escaped)
}

// Writing to a String cannot fail; `line!` keeps that in one place.
macro_rules! line {
    ($out:expr, $($arg:tt)*) => {{
        let _ = writeln!($out, $($arg)*);
    }};
}

/// A `primary.xml` that has all files of its packages, so that no file lists are needed beside it.
pub fn complete_primary_xml(packages: &[Package]) -> String {
    let keys: Vec<Checksum> = packages.iter().map(package_checksum).collect();
    primary(packages, &keys, |_| true)
}

/// A `filelists.xml` of these packages.
pub fn filelists_xml(packages: &[Package]) -> String {
    let keys: Vec<Checksum> = packages.iter().map(package_checksum).collect();
    filelists(packages, &keys)
}

/// `primary.xml` of these packages; `keys` are their checksums, `with_path` tells which files it has.
fn primary(packages: &[Package], keys: &[Checksum], with_path: impl Fn(&str) -> bool) -> String {
    let mut out = String::new();
    line!(out, r#"<?xml version="1.0" encoding="UTF-8"?>"#);
    line!(
        out,
        r#"<metadata xmlns="http://linux.duke.edu/metadata/common" xmlns:rpm="http://linux.duke.edu/metadata/rpm" packages="{}">"#,
        packages.len()
    );
    for (package, key) in packages.iter().zip(keys) {
        let nevra = &package.nevra;
        let location =
            if package.location.is_empty() { nevra.file_name() } else { package.location.clone() };
        line!(out, r#"<package type="rpm">"#);
        line!(out, "  <name>{}</name>", escape(nevra.name.as_str()));
        line!(out, "  <arch>{}</arch>", escape(nevra.arch.as_str()));
        line!(out, "  {}", version(package));
        line!(
            out,
            r#"  <checksum type="{}" pkgid="YES">{}</checksum>"#,
            escape(key.kind.as_str()),
            escape(key.value.as_str())
        );
        line!(out, "  <summary>{}</summary>", escape(package.summary.as_str()));
        line!(out, "  <description>{}</description>", escape(package.description.as_str()));
        line!(out, "  <packager></packager>");
        line!(out, "  <url>{}</url>", escape(package.url.as_str()));
        line!(out, r#"  <time file="{}" build="{}"/>"#, package.file_time, package.build_time);
        line!(
            out,
            r#"  <size package="{}" installed="{}" archive="{}"/>"#,
            package.size.package,
            package.size.installed,
            package.size.archive
        );
        line!(out, r#"  <location href="{}"/>"#, escape(location.as_str()));
        line!(out, "  <format>");
        line!(out, "    <rpm:license>{}</rpm:license>", escape(package.license.as_str()));
        line!(out, "    <rpm:vendor>{}</rpm:vendor>", escape(package.vendor.as_str()));
        line!(out, "    <rpm:group>Unspecified</rpm:group>");
        line!(out, "    <rpm:buildhost>localhost</rpm:buildhost>");
        line!(
            out,
            "    <rpm:sourcerpm>{}</rpm:sourcerpm>",
            escape(package.source_rpm.as_deref().unwrap_or(""))
        );
        line!(out, r#"    <rpm:header-range start="0" end="0"/>"#);
        relations(&mut out, "provides", package.provides.iter().map(|r| (Left(r), false)));
        relations(
            &mut out,
            "requires",
            package.requires.iter().map(|requirement| (dep(&requirement.dep), requirement.pre)),
        );
        relations(&mut out, "conflicts", package.conflicts.iter().map(|d| (dep(d), false)));
        relations(&mut out, "obsoletes", package.obsoletes.iter().map(|r| (Left(r), false)));
        relations(&mut out, "suggests", package.suggests.iter().map(|d| (dep(d), false)));
        relations(&mut out, "enhances", package.enhances.iter().map(|d| (dep(d), false)));
        relations(&mut out, "recommends", package.recommends.iter().map(|d| (dep(d), false)));
        relations(&mut out, "supplements", package.supplements.iter().map(|d| (dep(d), false)));
        for path in package.files.iter().filter(|path| with_path(path)) {
            line!(out, "    <file>{}</file>", escape(path.as_str()));
        }
        line!(out, "  </format>");
        line!(out, "</package>");
    }
    line!(out, "</metadata>");
    out
}

fn version(package: &Package) -> String {
    let nevra = &package.nevra;
    format!(
        r#"<version epoch="{}" ver="{}" rel="{}"/>"#,
        nevra.epoch,
        escape(nevra.version.as_str()),
        escape(nevra.release.as_str())
    )
}

use Entry::{Left, Right};

enum Entry<'a> {
    Left(&'a Relation),
    Right(String),
}

fn dep(dep: &Dep) -> Entry<'_> {
    match dep {
        Dep::Relation(relation) => Left(relation),
        Dep::Rich(rich) => Right(rich.to_string()),
    }
}

fn relations<'a>(out: &mut String, list: &str, entries: impl Iterator<Item = (Entry<'a>, bool)>) {
    let mut entries = entries.peekable();
    if entries.peek().is_none() {
        return;
    }
    line!(out, "    <rpm:{list}>");
    for (entry, pre) in entries {
        let mut attributes = String::new();
        match entry {
            Left(relation) => {
                let _ = write!(attributes, r#" name="{}""#, escape(relation.name.as_str()));
                if let Some(constraint) = &relation.constraint {
                    let _ = write!(
                        attributes,
                        r#" flags="{}" epoch="{}" ver="{}""#,
                        constraint.op.as_flags(),
                        constraint.epoch.unwrap_or(0),
                        escape(constraint.version.as_str())
                    );
                    if let Some(release) = &constraint.release {
                        let _ = write!(attributes, r#" rel="{}""#, escape(release.as_str()));
                    }
                }
            }
            Right(rich) => {
                let _ = write!(attributes, r#" name="{}""#, escape(rich.as_str()));
            }
        }
        if pre {
            attributes.push_str(r#" pre="1""#);
        }
        line!(out, "      <rpm:entry{attributes}/>");
    }
    line!(out, "    </rpm:{list}>");
}

/// `filelists.xml` or `other.xml`: what belongs to each package is written by `content`.
fn per_package(
    root: &str,
    packages: &[Package],
    keys: &[Checksum],
    content: impl Fn(&mut String, &Package),
) -> String {
    let mut out = String::new();
    line!(out, r#"<?xml version="1.0" encoding="UTF-8"?>"#);
    line!(
        out,
        r#"<{root} xmlns="http://linux.duke.edu/metadata/{}" packages="{}">"#,
        if root == "otherdata" { "other" } else { root },
        packages.len()
    );
    for (package, key) in packages.iter().zip(keys) {
        line!(
            out,
            r#"<package pkgid="{}" name="{}" arch="{}">"#,
            escape(key.value.as_str()),
            escape(package.nevra.name.as_str()),
            escape(package.nevra.arch.as_str())
        );
        line!(out, "  {}", version(package));
        content(&mut out, package);
        line!(out, "</package>");
    }
    line!(out, "</{root}>");
    out
}

fn filelists(packages: &[Package], keys: &[Checksum]) -> String {
    per_package("filelists", packages, keys, |out, package| {
        for path in &package.files {
            line!(out, "  <file>{}</file>", escape(path.as_str()));
        }
    })
}

fn other(packages: &[Package], keys: &[Checksum]) -> String {
    per_package("otherdata", packages, keys, |_, _| {})
}

/// A comps file, uncompressed.
pub fn comps_xml(comps: &Comps) -> String {
    let mut out = String::new();
    line!(out, r#"<?xml version="1.0" encoding="UTF-8"?>"#);
    line!(out, r#"<!DOCTYPE comps PUBLIC "-//Red Hat, Inc.//DTD Comps info//EN" "comps.dtd">"#);
    line!(out, "<comps>");
    for group in &comps.groups {
        line!(out, "  <group>");
        line!(out, "    <id>{}</id>", escape(group.id.as_str()));
        line!(out, "    <name>{}</name>", escape(group.name.as_str()));
        line!(out, "    <description></description>");
        line!(out, "    <default>false</default>");
        line!(out, "    <uservisible>true</uservisible>");
        line!(out, "    <packagelist>");
        for member in &group.packages {
            line!(
                out,
                r#"      <packagereq type="{}">{}</packagereq>"#,
                member.kind.as_str(),
                escape(member.name.as_str())
            );
        }
        line!(out, "    </packagelist>");
        line!(out, "  </group>");
    }
    line!(out, "</comps>");
    out
}

/// `repomd.xml` itself.
pub fn repomd_xml(repomd: &Repomd) -> String {
    let mut out = String::new();
    line!(out, r#"<?xml version="1.0" encoding="UTF-8"?>"#);
    line!(
        out,
        r#"<repomd xmlns="http://linux.duke.edu/metadata/repo" xmlns:rpm="http://linux.duke.edu/metadata/rpm">"#
    );
    line!(out, "  <revision>{}</revision>", escape(repomd.revision.as_str()));
    for file in &repomd.files {
        line!(out, r#"  <data type="{}">"#, escape(file.kind.as_str()));
        if let Some(checksum) = &file.checksum {
            line!(
                out,
                r#"    <checksum type="{}">{}</checksum>"#,
                escape(checksum.kind.as_str()),
                escape(checksum.value.as_str())
            );
        }
        if let Some(checksum) = &file.open_checksum {
            line!(
                out,
                r#"    <open-checksum type="{}">{}</open-checksum>"#,
                escape(checksum.kind.as_str()),
                escape(checksum.value.as_str())
            );
        }
        line!(out, r#"    <location href="{}"/>"#, escape(file.location.as_str()));
        for (name, value) in
            [("timestamp", file.timestamp), ("size", file.size), ("open-size", file.open_size)]
        {
            if let Some(value) = value {
                line!(out, "    <{name}>{value}</{name}>");
            }
        }
        line!(out, "  </data>");
    }
    line!(out, "</repomd>");
    out
}
