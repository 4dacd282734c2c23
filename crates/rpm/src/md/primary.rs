//! `primary.xml`: the packages of a repository, streamed one by one.

use std::borrow::Cow;
use std::io::Read;

use super::xml::{Event, Scanner, Tag, shown_name};
use super::{Error, Package, Requirement};
use crate::{Constraint, Dep, Op, ParseError, Relation};

/// How many relations or files one package may list; the largest real ones have some ten thousand.
const MAX_ENTRIES: usize = 1_000_000;

/// How many bytes of XML one package may take; the largest real ones take a few.
const MAX_PACKAGE: u64 = 64 << 20;

/// How large the file may be when decompressed: about twenty times Fedora's.
pub const LIMIT: u64 = 4 << 30;

/// An iterator over the packages of `primary.xml` (plain or compressed), in the order of the file.
///
/// After an error the iterator ends. What a package wants or offers in words that are not understood is left out of it, as
/// libsolv leaves it out; [`Reader::not_understood`] tells it to those who have to know.
pub struct Reader<'a> {
    scanner: Scanner<'a>,
    text: String,
    not_understood: Vec<NotUnderstood>,
    seen_root: bool,
    done: bool,
}

/// A relation of a package that was left out because it is not understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotUnderstood {
    /// The relation as it is written.
    pub text: String,
    /// What is wrong with it.
    pub error: ParseError,
    /// For something that the package requires: how many of [`Package::requires`] stand before it.
    pub required_after: Option<usize>,
}

impl<'a> Reader<'a> {
    /// Begins to read.
    pub fn new(reader: impl Read + 'a) -> Result<Self, Error> {
        Ok(Self::over(Scanner::new(reader, "primary.xml", LIMIT)?))
    }

    /// Lets `read` go through the packages, while another thread decompresses the file.
    ///
    /// # Errors
    /// Those of `read`, and [`Error::Io`] if there cannot be another thread.
    pub fn in_two_threads<T>(
        reader: impl Read + Send,
        read: impl FnOnce(&mut Reader<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        Scanner::in_two_threads(reader, "primary.xml", LIMIT, |scanner| {
            read(&mut Reader::over(scanner))
        })
    }

    fn over(scanner: Scanner<'a>) -> Self {
        Reader {
            scanner,
            text: String::new(),
            not_understood: Vec::new(),
            seen_root: false,
            done: false,
        }
    }

    /// Relations that were left out of the last package that was read.
    pub fn not_understood(&self) -> &[NotUnderstood] {
        &self.not_understood
    }

    /// The line that has been reached, counted from 1.
    pub fn line(&self) -> u64 {
        self.scanner.line()
    }

    fn next_package(&mut self) -> Result<Option<Package>, Error> {
        loop {
            let is_package = match self.scanner.next()? {
                Event::Eof => {
                    if !self.seen_root {
                        return Err(self.scanner.malformed("there is no element metadata"));
                    }
                    return Ok(None);
                }
                Event::Start(start) => match start.local_name() {
                    "metadata" => {
                        self.seen_root = true;
                        false
                    }
                    "package" => true,
                    _ => false,
                },
                _ => false,
            };
            if is_package {
                return self.package().map(Some);
            }
        }
    }

    fn package(&mut self) -> Result<Package, Error> {
        let mut package = Package::default();
        self.not_understood.clear();
        let mut list = List::None;
        let mut entries = 0usize;
        let start = self.scanner.bytes();
        loop {
            // The event borrows the scanner, so what needs the scanner again waits until the event is gone.
            let mut fail = None;
            let mut wanted = Text::None;
            let mut end = false;
            match self.scanner.next()? {
                Event::Eof => return Err(self.scanner.malformed("the file ends within a package")),
                Event::End("package") => end = true,
                Event::End(name) => {
                    if List::of(name) == list {
                        list = List::None;
                    }
                }
                Event::Start(start) => {
                    let name = start.local_name();
                    if name == "entry" {
                        entries += 1;
                        fail = entry(&start, list, &mut package, &mut self.not_understood).err();
                    } else {
                        let opened = List::of(name);
                        if opened != List::None {
                            list = opened;
                        } else {
                            match element(&start, name, &mut package) {
                                Ok(text) => wanted = text,
                                Err(reason) => fail = Some(reason),
                            }
                        }
                    }
                }
            }
            if let Some(reason) = fail {
                let reason = if package.nevra.name.is_empty() {
                    reason
                } else {
                    format!("package {}: {reason}", shown_name(&package.nevra.name))
                };
                return Err(self.scanner.malformed(reason));
            }
            if end {
                break;
            }
            if wanted == Text::Skip {
                self.scanner.skip()?;
            } else if wanted != Text::None {
                entries += 1;
                self.scanner.text(&mut self.text)?;
                let text = &self.text;
                match wanted {
                    Text::Name => package.nevra.name = text.clone(),
                    Text::Arch => package.nevra.arch = text.clone(),
                    Text::Checksum => package.checksum.value = text.clone(),
                    Text::Summary => package.summary = text.clone(),
                    Text::Url => package.url = text.clone(),
                    Text::License => package.license = text.clone(),
                    Text::Vendor => package.vendor = text.clone(),
                    Text::SourceRpm => {
                        package.source_rpm = (!text.is_empty()).then(|| text.clone());
                    }
                    Text::File => package.files.push(text.clone()),
                    Text::None | Text::Skip => {}
                }
            }
            if entries > MAX_ENTRIES {
                return Err(self.scanner.malformed(format!(
                    "package {}: more than {MAX_ENTRIES} relations and files",
                    shown_name(&package.nevra.name)
                )));
            }
            if self.scanner.bytes() - start > MAX_PACKAGE {
                return Err(self.scanner.malformed(format!(
                    "package {}: more than {MAX_PACKAGE} bytes",
                    shown_name(&package.nevra.name)
                )));
            }
        }
        if package.nevra.name.is_empty() || package.nevra.arch.is_empty() {
            return Err(self.scanner.malformed("a package without name or architecture"));
        }
        Ok(package)
    }
}

impl Iterator for Reader<'_> {
    type Item = Result<Package, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let next = self.next_package().transpose();
        self.done = !matches!(next, Some(Ok(_)));
        next
    }
}

/// Which element's text is wanted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Text {
    None,
    Skip,
    Name,
    Arch,
    Checksum,
    Summary,
    Url,
    License,
    Vendor,
    SourceRpm,
    File,
}

/// Which list of relations is open.
#[derive(Clone, Copy, PartialEq, Eq)]
enum List {
    None,
    Provides,
    Requires,
    Conflicts,
    Obsoletes,
    Recommends,
    Suggests,
    Supplements,
    Enhances,
}

impl List {
    fn of(name: &str) -> List {
        match name {
            "provides" => List::Provides,
            "requires" => List::Requires,
            "conflicts" => List::Conflicts,
            "obsoletes" => List::Obsoletes,
            "recommends" => List::Recommends,
            "suggests" => List::Suggests,
            "supplements" => List::Supplements,
            "enhances" => List::Enhances,
            _ => List::None,
        }
    }
}

fn element(start: &Tag<'_>, name: &str, package: &mut Package) -> Result<Text, String> {
    let number = |value: &str| value.parse().unwrap_or(0);
    Ok(match name {
        "name" => Text::Name,
        "arch" => Text::Arch,
        "summary" => Text::Summary,
        "url" => Text::Url,
        "license" => Text::License,
        "vendor" => Text::Vendor,
        "sourcerpm" => Text::SourceRpm,
        "file" => Text::File,
        "checksum" => {
            for (key, value) in start.attributes() {
                if key == "type" {
                    package.checksum.kind = value.into_owned();
                }
            }
            Text::Checksum
        }
        "version" => {
            for (key, value) in start.attributes() {
                match key {
                    "epoch" => package.nevra.epoch = epoch(&value)?.unwrap_or(0),
                    "ver" => package.nevra.version = value.into_owned(),
                    "rel" => package.nevra.release = value.into_owned(),
                    _ => {}
                }
            }
            Text::None
        }
        "time" => {
            for (key, value) in start.attributes() {
                match key {
                    "build" => package.build_time = value.parse().unwrap_or(0),
                    "file" => package.file_time = value.parse().unwrap_or(0),
                    _ => {}
                }
            }
            Text::None
        }
        "size" => {
            for (key, value) in start.attributes() {
                match key {
                    "package" => package.size.package = number(&value),
                    "installed" => package.size.installed = number(&value),
                    "archive" => package.size.archive = number(&value),
                    _ => {}
                }
            }
            Text::None
        }
        "location" => {
            for (key, value) in start.attributes() {
                if key == "href" {
                    package.location = value.into_owned();
                }
            }
            Text::None
        }
        "format" => Text::None,
        // Whatever stands within something that we do not know says nothing that we know.
        _ => Text::Skip,
    })
}

fn epoch(text: &str) -> Result<Option<u32>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_| format!("“{}” is not an epoch", shown_name(text)))
}

fn entry(
    start: &Tag<'_>,
    list: List,
    package: &mut Package,
    not_understood: &mut Vec<NotUnderstood>,
) -> Result<(), String> {
    if list == List::None {
        return Ok(());
    }
    let mut name = Cow::Borrowed("");
    let mut op = None;
    let mut constraint_epoch = None;
    let mut version = String::new();
    let mut release = None;
    let mut pre = false;
    for (key, value) in start.attributes() {
        match key {
            "name" => name = Cow::Owned(value.into_owned()),
            "flags" => {
                op = Some(Op::from_flags(&value).ok_or_else(|| {
                    format!("“{}” is none of LT, LE, EQ, GE and GT", shown_name(&value))
                })?);
            }
            "epoch" => constraint_epoch = epoch(&value)?,
            "ver" => version = value.into_owned(),
            "rel" => release = Some(value.into_owned()),
            "pre" => pre = value.starts_with('1'),
            _ => {}
        }
    }
    if name.is_empty() {
        return Err("a relation without a name".to_owned());
    }
    let dep = if op.is_none() && name.starts_with('(') {
        let parsed = name.parse::<Dep>().and_then(|dep| match (list, &dep) {
            // rpmbuild refuses them.
            (List::Provides | List::Obsoletes, Dep::Rich(_)) => Err(ParseError::new(
                &name,
                "a relation",
                "packages cannot provide or obsolete what is written with operators",
            )),
            _ => Ok(dep),
        });
        match parsed {
            Ok(dep) => dep,
            // Whatever wrote this knows operators that we do not; libsolv leaves such an entry out as well.
            Err(error) => {
                let required_after = (list == List::Requires).then_some(package.requires.len());
                let text = name.into_owned();
                not_understood.push(NotUnderstood { text, error, required_after });
                return Ok(());
            }
        }
    } else {
        let constraint = op.map(|op| Constraint { op, epoch: constraint_epoch, version, release });
        Dep::Relation(Relation { name: name.into_owned(), constraint })
    };
    match list {
        List::Requires => package.requires.push(Requirement { dep, pre }),
        List::Conflicts => package.conflicts.push(dep),
        List::Recommends => package.recommends.push(dep),
        List::Suggests => package.suggests.push(dep),
        List::Supplements => package.supplements.push(dep),
        List::Enhances => package.enhances.push(dep),
        // In these two there are none but simple ones.
        List::Provides => {
            if let Dep::Relation(relation) = dep {
                package.provides.push(relation);
            }
        }
        List::Obsoletes => {
            if let Dep::Relation(relation) = dep {
                package.obsoletes.push(relation);
            }
        }
        List::None => {}
    }
    Ok(())
}
