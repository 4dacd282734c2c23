//! The source packages to be built, and what they require: from a repository or from a list.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, stdin};
use std::path::Path;

use repocache::Kind;
use rpm::md::{Package, decompress, primary};
use rpm::{Constraint, Dep, Nevra, Relation};
use serde::Deserialize;

use super::progress::Progress;
use super::repository::{Repository, is_address};
use crate::failure::Failure;

/// No list is larger, nor a line of it.
const LARGEST_LIST: u64 = 1 << 30;
const LONGEST_LINE: u64 = 16 << 20;

/// A source package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Source {
    pub(super) name: String,
    /// `epoch:version-release`, the epoch always present; a list may leave it out.
    pub(super) evr: Option<String>,
    pub(super) build_requires: Vec<Dep>,
    /// Those that nobody understands. With any, a package cannot be built, whatever the others are.
    pub(super) not_understood: Vec<NotUnderstood>,
}

/// A BuildRequires that nobody understands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NotUnderstood {
    /// How many of those that are understood stand before it.
    after: usize,
    /// As it is written.
    text: String,
    /// What is wrong with it.
    reason: String,
}

impl Source {
    /// What it requires, as it is written and in that order.
    pub(super) fn build_requires_as_written(&self) -> impl Iterator<Item = String> {
        let mut not_understood = self.not_understood.iter().peekable();
        let mut understood = self.build_requires.iter().enumerate().peekable();
        std::iter::from_fn(move || {
            let next = understood.peek().map_or(usize::MAX, |(i, _)| *i);
            match not_understood.next_if(|one| one.after <= next) {
                Some(one) => Some(one.text.clone()),
                None => understood.next().map(|(_, dep)| dep.to_string()),
            }
        })
    }

    /// What nobody understands, as problems of the package, in the words that the services have for it.
    pub(super) fn not_understood(&self) -> impl Iterator<Item = String> {
        let version =
            self.evr.as_deref().map(|evr| evr.split_once(':').map_or(evr, |(_, rest)| rest));
        let package =
            version.map_or_else(|| self.name.clone(), |version| format!("{}-{version}", self.name));
        self.not_understood.iter().map(move |one| {
            format!("BuildRequires of {package} cannot be understood: {}", one.reason)
        })
    }

    /// Adds a BuildRequires from its text, understood or not.
    fn require(&mut self, text: &str) {
        match dep(text) {
            Ok(dep) => self.build_requires.push(dep),
            Err(reason) => self.require_not_understood(text.to_owned(), reason),
        }
    }

    /// Adds one that a repository has.
    fn require_of_repository(&mut self, dep: Dep) {
        if !not_of_rpm(&dep) {
            return;
        }
        let dep = plain(dep);
        if is_ordinary(&dep) {
            self.build_requires.push(dep);
            return;
        }
        // RPM could not have written it: what it writes means the same when it is read again.
        let text = dep.to_string();
        let reason = match text.parse::<Dep>() {
            Ok(again) if again == dep => {
                self.build_requires.push(dep);
                return;
            }
            Ok(_) => format!("“{text}” is not a relation: its name or version has a space"),
            Err(error) => error.to_string(),
        };
        self.require_not_understood(text, reason);
    }

    fn require_not_understood(&mut self, text: String, reason: String) {
        let after = self.build_requires.len();
        self.not_understood.push(NotUnderstood { after, text, reason });
    }
}

/// Whether no character is in it of which a person could think that it does not belong to a name or a version.
fn is_ordinary(dep: &Dep) -> bool {
    let ordinary = |text: &str| !text.contains(char::is_whitespace);
    match dep {
        Dep::Rich(_) => true,
        Dep::Relation(Relation { name, constraint }) => {
            ordinary(name)
                && !name.starts_with('(')
                && constraint.as_ref().is_none_or(|Constraint { version, release, .. }| {
                    ordinary(version) && release.as_deref().is_none_or(ordinary)
                })
        }
    }
}

/// Where source packages come from.
#[derive(Debug)]
pub(super) enum Sources {
    Repository(Repository),
    /// Already read.
    List(Vec<Source>),
}

impl Sources {
    /// Finds out what a person means, and fetches or reads it.
    pub(super) fn open(name: &str, progress: &Progress) -> Result<Self, Failure> {
        let path = Path::new(name);
        if name == "-" {
            progress.begin("Reading the list of source packages", 0);
            return read_list("standard input", stdin().lock()).map(Self::List);
        }
        if !is_address(name) && path.exists() && !path.is_dir() {
            let cannot = |error| Failure::usage(format_args!("{name} cannot be read: {error}"));
            return read_list(name, File::open(path).map_err(cannot)?).map(Self::List);
        }
        if !is_address(name) && !name.starts_with("file://") && !path.exists() {
            return Err(Failure::usage(format_args!(
                "{name} does not exist; --source takes a directory with a repository of source packages, its address, \
                 or a file that lists them"
            )));
        }
        let repository = Repository::open(name, progress)?;
        repository.fetch(Kind::Primary, progress)?;
        Ok(Self::Repository(repository))
    }

    /// All of them, in their order.
    pub(super) fn read(self) -> Result<Vec<Source>, Failure> {
        let (sources, name) = match self {
            Self::List(sources) => (sources, None),
            Self::Repository(repository) => {
                let mut sources = Vec::new();
                repository.read(Kind::Primary, |reader| {
                    let mut reader = primary::Reader::new(reader)?;
                    while let Some(package) = reader.next() {
                        let package = package?;
                        if package.nevra.is_source() {
                            sources.push(of_repository(package, reader.not_understood()));
                        }
                    }
                    Ok(())
                })?;
                (sources, Some(repository.name().to_owned()))
            }
        };
        match name {
            Some(name) if sources.is_empty() => Err(Failure::usage(format_args!(
                "the repository {name} has no source packages; those of a distribution are in a repository of their own"
            ))),
            _ => Ok(sources),
        }
    }
}

fn of_repository(package: Package, not_understood: &[primary::NotUnderstood]) -> Source {
    let mut source = Source {
        evr: Some(evr(&package.nevra)),
        name: package.nevra.name,
        build_requires: Vec::with_capacity(package.requires.len()),
        not_understood: Vec::new(),
    };
    let required = not_understood.iter().filter_map(|one| one.required_after.map(|at| (at, one)));
    let mut not_understood = required.peekable();
    for (i, requirement) in package.requires.into_iter().enumerate() {
        while let Some((_, one)) = not_understood.next_if(|(at, _)| *at <= i) {
            source.require_not_understood(one.text.clone(), one.error.to_string());
        }
        source.require_of_repository(requirement.dep);
    }
    for (_, one) in not_understood {
        source.require_not_understood(one.text.clone(), one.error.to_string());
    }
    source
}

/// The files that source packages require by name.
pub(super) fn paths(sources: &[Source]) -> BTreeSet<&str> {
    let mut paths = BTreeSet::new();
    for dep in sources.iter().flat_map(|source| &source.build_requires) {
        dep.for_each_relation(&mut |relation| {
            if relation.name.starts_with('/') {
                paths.insert(relation.name.as_str());
            }
        });
    }
    paths
}

fn evr(nevra: &Nevra) -> String {
    format!("{}:{}-{}", nevra.epoch, nevra.version, nevra.release)
}

/// `rpmlib(...)` is a feature of RPM itself; Koji leaves it out of BuildRequires.
fn not_of_rpm(dep: &Dep) -> bool {
    !matches!(dep, Dep::Relation(relation) if relation.name.starts_with("rpmlib("))
}

/// As the spec file has it: rpm-md writes an epoch of 0 where there is none.
fn plain(mut dep: Dep) -> Dep {
    if let Dep::Relation(relation) = &mut dep
        && let Some(constraint) = &mut relation.constraint
    {
        constraint.epoch = constraint.epoch.filter(|epoch| *epoch != 0);
        constraint.release = constraint.release.take().filter(|release| !release.is_empty());
    }
    dep
}

/// A line of a list in JSON; other fields, such as those of an answer, mean nothing.
#[derive(Deserialize)]
struct Line {
    name: String,
    #[serde(default)]
    evr: Option<String>,
    build_requires: Vec<String>,
}

/// Reads a list, which may be compressed.
fn read_list(name: &str, reader: impl Read) -> Result<Vec<Source>, Failure> {
    let at = |number: usize, reason: String| {
        Failure::usage(format_args!("{name}, line {number}: {reason}"))
    };
    let plain = decompress::open(reader, LARGEST_LIST)
        .map_err(|error| Failure::usage(format_args!("{name} cannot be read: {error}")))?;
    let mut reader = BufReader::new(plain);
    let mut sources = Vec::new();
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        let read = reader
            .by_ref()
            .take(LONGEST_LINE)
            .read_until(b'\n', &mut line)
            .map_err(|error| at(number, error.to_string()))?;
        if read == 0 {
            break;
        }
        if read as u64 == LONGEST_LINE {
            return Err(at(number, "it is longer than 16 MiB".to_owned()));
        }
        let text = std::str::from_utf8(&line)
            .map_err(|_| {
                at(number, "it is not UTF-8; this is no list of source packages".to_owned())
            })?
            .trim();
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        let source = if text.starts_with('{') { json_line(text) } else { plain_line(text) };
        sources.push(source.map_err(|reason| at(number, reason))?);
    }
    if sources.is_empty() {
        return Err(Failure::usage(format_args!(
            "{name} lists no source packages; each has a line “name: requirement, requirement, …”"
        )));
    }
    Ok(sources)
}

fn json_line(text: &str) -> Result<Source, String> {
    let line: Line = serde_json::from_str(text).map_err(|error| {
        // The line number of the JSON parser is always 1.
        let error = error.to_string();
        let what = error.split(" at line ").next().unwrap_or_default();
        format!("it is not a JSON object with name, evr and build_requires: {what}")
    })?;
    // A program wrote it, and what it read nobody may understand: that is no reason to refuse all the others.
    let mut source = Source {
        name: line.name,
        evr: line.evr,
        build_requires: Vec::with_capacity(line.build_requires.len()),
        not_understood: Vec::new(),
    };
    line.build_requires.iter().for_each(|text| source.require(text));
    Ok(source)
}

fn plain_line(text: &str) -> Result<Source, String> {
    const FORM: &str =
        "a line has the form “name [[epoch:]version-release]: requirement, requirement, …”";
    // An epoch has a colon as well, but nothing that ends a word.
    let colon = text
        .match_indices(':')
        .map(|(at, _)| at)
        .find(|at| text[at + 1..].chars().next().is_none_or(char::is_whitespace))
        .ok_or_else(|| format!("there is no colon after the name; {FORM}"))?;
    let mut words = text[..colon].split_whitespace();
    let (Some(name), evr, None) = (words.next(), words.next(), words.next()) else {
        return Err(format!("before the colon there have to be one or two words; {FORM}"));
    };
    let evr = match evr {
        None => None,
        Some(text) => {
            let evr: rpm::Evr = text.parse().map_err(|error| format!("{error}"))?;
            Some(format!("{}:{}-{}", evr.epoch, evr.version, evr.release))
        }
    };
    let build_requires = split(&text[colon + 1..])
        .map(str::trim)
        .filter(|text| !text.is_empty())
        .map(dep)
        .collect::<Result<_, _>>()?;
    Ok(Source { name: name.to_owned(), evr, build_requires, not_understood: Vec::new() })
}

fn dep(text: &str) -> Result<Dep, String> {
    text.parse().map_err(|error: rpm::ParseError| error.to_string())
}

/// The parts between commas that stand in no parentheses.
fn split(text: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0usize;
    text.split(move |c| {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == ',' && depth == 0
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(text: &str) -> Result<Vec<Source>, String> {
        read_list("my.list", text.as_bytes()).map_err(|failure| failure.to_string())
    }

    fn requires(source: &Source) -> Vec<String> {
        source.build_requires.iter().map(Dep::to_string).collect()
    }

    #[test]
    fn a_list_is_written_by_hand_or_by_a_program() {
        let sources = list(
            "# mine\n\
             hello 2.12-1: gcc, make >= 1:4, (gcc or clang), perl(A,B)\n\
             \n\
             nothing:\n\
             {\"name\": \"bye\", \"evr\": \"0:1-1\", \"build_requires\": [\"a < 2\"], \"resolved\": true}\n",
        )
        .unwrap();
        assert_eq!(sources.len(), 3);
        assert_eq!(sources[0].evr.as_deref(), Some("0:2.12-1"));
        assert_eq!(requires(&sources[0]), ["gcc", "make >= 1:4", "(gcc or clang)", "perl(A,B)"]);
        assert_eq!(
            sources[1],
            Source {
                name: "nothing".into(),
                evr: None,
                build_requires: vec![],
                not_understood: vec![]
            }
        );
        assert_eq!(
            (sources[2].name.as_str(), requires(&sources[2])),
            ("bye", vec!["a < 2".into()])
        );
    }

    #[test]
    fn a_mistake_is_told_with_its_line() {
        for (text, complaint) in [
            ("a:\nhello gcc", "line 2: there is no colon"),
            ("a b c: gcc", "line 1: before the colon"),
            ("a: make >=", "line 1: “make >=” is not a relation"),
            ("a: (b or", "line 1:"),
            ("{\"name\": \"a\"}", "missing field `build_requires`"),
            ("{", "line 1: it is not a JSON object"),
            ("# nothing\n", "lists no source packages"),
        ] {
            let error = list(text).unwrap_err();
            assert!(error.starts_with("my.list") && error.contains(complaint), "{error}");
            assert!(!error.contains('\n'), "{error}");
        }
        let error = read_list("my.list", &b"a:\n\xff\xff"[..]).unwrap_err().to_string();
        assert!(error.contains("line 2: it is not UTF-8"), "{error}");
    }
}
