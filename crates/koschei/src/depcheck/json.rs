//! Answers as JSON: fields in the order of their names, a space after commas and colons.
//!
//! So one line per source package is, byte for byte, what other tools of this kind print, and two runs can be compared
//! with `diff`.

use depsolve::{Group, PackageId, PackageRef, Problem, Resolution, Universe};
use serde::Serialize;

use super::sources::Source;
use super::text::Titles;

/// What packages are called, and in which order they are printed.
#[derive(Debug)]
pub(super) struct Names {
    texts: Vec<String>,
    /// Place of each among all, by bytes.
    rank: Vec<u32>,
}

impl Names {
    pub(super) fn new(universe: &Universe) -> Self {
        let texts: Vec<String> =
            universe.packages().map(|id| universe.package(id).to_string()).collect();
        let mut order: Vec<u32> = (0..texts.len() as u32).collect();
        order.sort_unstable_by_key(|id| texts[*id as usize].as_str());
        let mut rank = vec![0; texts.len()];
        for (place, id) in (0..).zip(order) {
            rank[id as usize] = place;
        }
        Self { texts, rank }
    }

    pub(super) fn text(&self, PackageId(id): PackageId) -> &str {
        &self.texts[id as usize]
    }
}

/// An object under way.
pub(super) struct Object<'o> {
    out: &'o mut Vec<u8>,
    first: bool,
}

impl<'o> Object<'o> {
    pub(super) fn begin(out: &'o mut Vec<u8>) -> Self {
        out.push(b'{');
        Self { out, first: true }
    }

    fn key(&mut self, key: &str) {
        if !std::mem::take(&mut self.first) {
            self.out.extend(b", ");
        }
        string(self.out, key);
        self.out.extend(b": ");
    }

    pub(super) fn string(&mut self, key: &str, value: &str) -> &mut Self {
        self.key(key);
        string(self.out, value);
        self
    }

    pub(super) fn string_or_null(&mut self, key: &str, value: Option<&str>) -> &mut Self {
        self.key(key);
        match value {
            Some(value) => string(self.out, value),
            None => self.out.extend(b"null"),
        }
        self
    }

    pub(super) fn number_or_null(&mut self, key: &str, value: Option<u64>) -> &mut Self {
        self.key(key);
        number(self.out, value);
        self
    }

    pub(super) fn bool(&mut self, key: &str, value: bool) -> &mut Self {
        self.key(key);
        self.out.extend(if value { &b"true"[..] } else { b"false" });
        self
    }

    pub(super) fn list<T>(
        &mut self,
        key: &str,
        values: impl IntoIterator<Item = T>,
        mut write: impl FnMut(&mut Vec<u8>, T),
    ) -> &mut Self {
        self.key(key);
        self.out.push(b'[');
        for (i, value) in values.into_iter().enumerate() {
            if i > 0 {
                self.out.extend(b", ");
            }
            write(self.out, value);
        }
        self.out.push(b']');
        self
    }

    pub(super) fn strings<T: AsRef<str>>(
        &mut self,
        key: &str,
        values: impl IntoIterator<Item = T>,
    ) -> &mut Self {
        self.list(key, values, |out, value| string(out, value.as_ref()))
    }

    /// An object within.
    pub(super) fn object(&mut self, key: &str) -> Object<'_> {
        self.key(key);
        Object::begin(self.out)
    }

    pub(super) fn end(self) {
        self.out.push(b'}');
    }
}

fn string(out: &mut Vec<u8>, value: &str) {
    // Writing text to memory does not fail.
    let _ = value.serialize(&mut serde_json::Serializer::new(out));
}

fn number(out: &mut Vec<u8>, value: Option<u64>) {
    match value {
        Some(value) => out.extend(value.to_string().into_bytes()),
        None => out.extend(b"null"),
    }
}

/// The answer for one source package. `installs` when install sets are wanted.
pub(super) fn answer(
    out: &mut Vec<u8>,
    source: &Source,
    resolution: &Resolution,
    installs: Option<(&Universe, &Names)>,
) {
    let resolved = resolution.resolved() && source.not_understood.is_empty();
    let installs = installs.filter(|_| resolved);
    let mut object = Object::begin(out);
    object.strings("build_requires", source.build_requires_as_written());
    if let Some((universe, _)) = installs {
        distances(&mut object, universe, resolution);
    }
    object.string_or_null("evr", source.evr.as_deref());
    if let Some((_, names)) = installs {
        install_set(&mut object, names, resolution);
    }
    object.string("name", &source.name);
    let problems = resolution.problems.iter().map(Problem::to_string);
    object.strings("problems", source.not_understood().chain(problems));
    object.bool("resolved", resolved);
    object.end();
}

pub(super) fn install_set(object: &mut Object<'_>, names: &Names, resolution: &Resolution) {
    let mut ids: Vec<PackageId> =
        resolution.installs.iter().map(|install| install.package).collect();
    ids.sort_unstable_by_key(|PackageId(id)| names.rank[*id as usize]);
    object.strings("installs", ids.into_iter().map(|id| names.text(id)));
}

/// By name; by name and architecture where a name is installed for two.
pub(super) fn distances(object: &mut Object<'_>, universe: &Universe, resolution: &Resolution) {
    let mut entries: Vec<(PackageRef<'_>, Option<u8>)> = resolution
        .installs
        .iter()
        .map(|install| (universe.package(install.package), install.distance))
        .collect();
    entries.sort_unstable_by_key(|(package, _)| (package.name, package.arch));
    let same_name = |a: Option<&(PackageRef<'_>, Option<u8>)>, name| {
        a.is_some_and(|(package, _)| package.name == name)
    };
    let mut qualified = false;
    let mut keyed: Vec<(String, Option<u8>)> = Vec::new();
    let mut plain: Vec<(&str, Option<u8>)> = Vec::with_capacity(entries.len());
    for (i, (package, distance)) in entries.iter().enumerate() {
        let before = i.checked_sub(1).and_then(|before| entries.get(before));
        if same_name(before, package.name) || same_name(entries.get(i + 1), package.name) {
            qualified = true;
            keyed.push((format!("{}.{}", package.name, package.arch), *distance));
        } else {
            plain.push((package.name, *distance));
        }
    }
    if qualified {
        plain.extend(keyed.iter().map(|(key, distance)| (key.as_str(), *distance)));
        plain.sort_unstable_by_key(|(key, _)| *key);
    }
    let mut object = object.object("distances");
    for (key, distance) in plain {
        object.number_or_null(key, distance.map(u64::from));
    }
    object.end();
}

/// Broken source packages by root cause.
pub(super) fn causes(
    object: &mut Object<'_>,
    key: &str,
    groups: Vec<Group<usize>>,
    titles: &Titles<'_>,
) {
    object.list(key, groups, |out, group| {
        let mut object = Object::begin(out);
        object.string("cause", &group.cause.to_string());
        object.strings("packages", group.affected.iter().map(|source| titles.of(*source)));
        object.end();
    });
}
