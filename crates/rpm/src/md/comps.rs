//! Groups of packages: the comps file.

use std::io::Read;

use super::Error;
use super::xml::{Event, Scanner};

/// How large the file may be when decompressed: about ten times Fedora's.
pub const LIMIT: u64 = 16 << 20;

/// All groups of a repository.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Comps {
    /// In the order of the file.
    pub groups: Vec<Group>,
}

/// One group.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Group {
    /// `build`, `core`, …
    pub id: String,
    /// For people.
    pub name: String,
    /// Its packages, in the order of the file.
    pub packages: Vec<Member>,
}

/// A package of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The package's name.
    pub name: String,
    /// How strongly it belongs to the group.
    pub kind: MemberKind,
}

/// How strongly a package belongs to a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MemberKind {
    /// Always installed with the group.
    #[default]
    Mandatory,
    /// Installed with the group unless asked otherwise.
    Default,
    /// Installed only when asked for.
    Optional,
    /// Installed when another package is there.
    Conditional,
}

impl MemberKind {
    /// As the attribute `type` says it.
    pub fn as_str(self) -> &'static str {
        match self {
            MemberKind::Mandatory => "mandatory",
            MemberKind::Default => "default",
            MemberKind::Optional => "optional",
            MemberKind::Conditional => "conditional",
        }
    }

    fn from_str(text: &str) -> Self {
        match text {
            "default" => MemberKind::Default,
            "optional" => MemberKind::Optional,
            "conditional" => MemberKind::Conditional,
            _ => MemberKind::Mandatory,
        }
    }
}

impl Comps {
    /// Reads a comps file.
    pub fn read(reader: impl Read) -> Result<Self, Error> {
        let mut scanner = Scanner::new(reader, "comps.xml", LIMIT)?;
        let mut comps = Comps::default();
        let mut in_group = false;
        let mut seen_root = false;
        let mut text = String::new();
        loop {
            let mut element = "";
            let mut kind = MemberKind::default();
            let mut translated = false;
            match scanner.next()? {
                Event::Eof => break,
                Event::End("group") => in_group = false,
                Event::Start(start) => {
                    for (key, value) in start.attributes() {
                        match key {
                            "type" => kind = MemberKind::from_str(&value),
                            "xml:lang" => translated = true,
                            _ => {}
                        }
                    }
                    element = match (start.local_name(), in_group) {
                        ("comps", _) => "comps",
                        ("group", _) => "group",
                        ("id", true) => "id",
                        ("name", true) => "name",
                        ("packagereq", true) => "packagereq",
                        _ => "",
                    };
                }
                _ => {}
            }
            match element {
                "comps" => seen_root = true,
                "group" => {
                    comps.groups.push(Group::default());
                    in_group = true;
                }
                "id" | "name" | "packagereq" => {
                    scanner.text(&mut text)?;
                    let value = text.trim();
                    let Some(group) = comps.groups.last_mut() else { continue };
                    match element {
                        "id" => group.id = value.to_owned(),
                        "name" if !translated => group.name = value.to_owned(),
                        "packagereq" => {
                            group.packages.push(Member { name: value.to_owned(), kind })
                        }
                        _ => {}
                    }
                }
                _ => {}
            }
        }
        if !seen_root {
            return Err(scanner.malformed("there is no element comps"));
        }
        Ok(comps)
    }

    /// The group with this id.
    pub fn group(&self, id: &str) -> Option<&Group> {
        self.groups.iter().find(|group| group.id == id)
    }
}
