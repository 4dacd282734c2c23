//! What every buildroot contains: from a file, or a group of the repositories' comps.

use std::fs;

use repocache::Kind;
use rpm::md::comps::{Comps, MemberKind};

use super::progress::Progress;
use super::repository::Repository;
use crate::failure::Failure;

/// No file of names is larger.
const LARGEST_FILE: u64 = 16 << 20;

/// The names of the group that a person asks for.
pub(super) fn read(
    wanted: &str,
    binary: &[Repository],
    progress: &Progress,
) -> Result<Vec<String>, Failure> {
    match wanted.strip_prefix("comps:") {
        Some(group) => from_comps(group, binary, progress),
        None => from_file(wanted),
    }
}

fn from_file(path: &str) -> Result<Vec<String>, Failure> {
    let cannot = |error: &dyn std::fmt::Display| {
        Failure::usage(format_args!(
            "the build group {path} cannot be read: {error}; --build-group takes a file of package names or \
             comps:GROUP"
        ))
    };
    let length = fs::metadata(path).map_err(|error| cannot(&error))?.len();
    if length > LARGEST_FILE {
        return Err(cannot(&"it is larger than 16 MiB"));
    }
    let text = fs::read_to_string(path).map_err(|error| cannot(&error))?;
    let mut names = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        for word in line.split('#').next().unwrap_or_default().split_whitespace() {
            if word.starts_with(['<', '>', '=']) {
                return Err(Failure::usage(format_args!(
                    "the build group {path}, line {number}: “{word}” is not a name; a build group has names without \
                     versions"
                )));
            }
            names.push(word.to_owned());
        }
    }
    if names.is_empty() {
        return Err(Failure::usage(format_args!("the build group {path} has no names in it")));
    }
    Ok(names)
}

fn from_comps(
    wanted: &str,
    binary: &[Repository],
    progress: &Progress,
) -> Result<Vec<String>, Failure> {
    let mut names: Vec<String> = Vec::new();
    let mut known: Vec<String> = Vec::new();
    let mut any = false;
    let mut found = false;
    for repository in binary {
        if !repository.fetch(Kind::Group, progress)? {
            continue;
        }
        any = true;
        let comps = repository.read(Kind::Group, |reader| Comps::read(reader))?;
        known.extend(comps.groups.iter().map(|group| group.id.clone()));
        let Some(group) = comps.group(wanted) else { continue };
        found = true;
        for member in &group.packages {
            let counts = matches!(member.kind, MemberKind::Mandatory | MemberKind::Default);
            if counts && !names.contains(&member.name) {
                names.push(member.name.clone());
            }
        }
    }
    if !any {
        return Err(Failure::usage(format_args!(
            "there is no group {wanted}: none of the binary repositories has groups (comps); name a file of package \
             names instead"
        )));
    }
    if !found {
        known.sort();
        known.dedup();
        return Err(Failure::usage(format_args!(
            "there is no group {wanted} in the binary repositories; they have {}",
            list(&known)
        )));
    }
    Ok(names)
}

/// Some names in a sentence.
fn list(names: &[String]) -> String {
    const SHOWN: usize = 20;
    match names.len() {
        0 => "none at all".to_owned(),
        n if n > SHOWN => format!("{} and {} others", names[..SHOWN].join(", "), n - SHOWN),
        _ => names.join(", "),
    }
}
