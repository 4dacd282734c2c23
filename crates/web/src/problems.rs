//! Reading what the solver says: the root cause of a problem, and the chain that leads to it.
//!
//! Problems are stored as text in the words of dnf (spec/services.md, section 5), so they are read back here. A line that
//! is not understood never hides anything: the text itself is always on the page.

/// What makes packages uninstallable, the same for all packages that share it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Cause {
    /// Nothing provides a capability.
    Missing {
        /// The capability with its version constraint.
        capability: String,
    },
    /// Two packages exclude each other.
    Conflict {
        /// Name of one of them, the lesser by bytes.
        one: String,
        /// Name of the other.
        other: String,
    },
    /// A capability whose providers cannot be installed, for a reason that the text does not tell.
    Uninstallable {
        /// The capability.
        capability: String,
    },
    /// None of the known forms; the first line of the text.
    Other {
        /// That line.
        line: String,
    },
}

/// A step of a chain: a package needs something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Step {
    /// Name of the package that needs it, without version; the text as it is if it has no version.
    pub(crate) package: String,
    /// Its version, release and architecture.
    pub(crate) version: String,
    /// What it needs.
    pub(crate) needs: String,
}

/// A problem, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    /// Its root cause.
    pub(crate) cause: Cause,
    /// From the package that is to be built down to the one that cannot have what it needs.
    pub(crate) chain: Vec<Step>,
    /// The solver's own words.
    pub(crate) text: String,
}

/// Most steps that still explain something.
const LONGEST_CHAIN: usize = 6;

enum Line<'a> {
    Requires { package: &'a str, capability: &'a str },
    Nothing { capability: &'a str, needed_by: Option<&'a str> },
    Conflict { package: &'a str, with: &'a str },
    Unimportant,
    Unknown,
}

fn line(text: &str) -> Line<'_> {
    let text = text.trim();
    let text =
        text.strip_prefix("Problem:").or_else(|| text.strip_prefix("- ")).unwrap_or(text).trim();
    // `Problem 1: ` when there are several.
    let text = match text.strip_prefix("Problem ").and_then(|rest| rest.split_once(": ")) {
        Some((number, rest)) if number.bytes().all(|byte| byte.is_ascii_digit()) => rest,
        _ => text,
    };
    if let Some(capability) = text.strip_prefix("No package found for: ") {
        return Line::Nothing { capability, needed_by: None };
    }
    if text == "conflicting requests" || text.is_empty() {
        return Line::Unimportant;
    }
    if let Some(rest) = text.strip_prefix("nothing provides requested ") {
        return Line::Nothing { capability: rest, needed_by: None };
    }
    if let Some(rest) = text.strip_prefix("nothing provides ") {
        return match rest.rsplit_once(" needed by ") {
            Some((capability, package)) => Line::Nothing {
                capability,
                needed_by: Some(
                    package.split_once(" from ").map_or(package, |(package, _)| package),
                ),
            },
            None => Line::Nothing { capability: rest, needed_by: None },
        };
    }
    if let Some((one, other)) =
        text.strip_prefix("cannot install both ").and_then(|rest| rest.split_once(" and "))
    {
        return Line::Conflict { package: first_word(one), with: first_word(other) };
    }
    if let Some(rest) = text.strip_prefix("package ") {
        let (package, rest) = rest.split_once(' ').unwrap_or((rest, ""));
        // `from REPO` may follow the package.
        let rest = match rest.strip_prefix("from ").and_then(|rest| rest.split_once(' ')) {
            Some((_, rest)) => rest,
            None => rest,
        };
        if let Some(capability) = rest.strip_prefix("requires ") {
            let capability = capability
                .strip_suffix(", but none of the providers can be installed")
                .unwrap_or(capability);
            return Line::Requires { package, capability };
        }
        for verb in ["conflicts with ", "obsoletes "] {
            if let Some(rest) = rest.strip_prefix(verb) {
                let with = match rest.rsplit_once(" provided by ") {
                    Some((_, provider)) => first_word(provider),
                    None => rest,
                };
                return Line::Conflict { package, with };
            }
        }
    }
    Line::Unknown
}

fn first_word(text: &str) -> &str {
    text.split(' ').next().unwrap_or(text)
}

/// Cuts `name-[epoch:]version-release.arch` into the name and the rest; a text without two hyphens is all name.
pub(crate) fn split_package(text: &str) -> (&str, &str) {
    let mut hyphens = text.rmatch_indices('-').map(|(at, _)| at);
    match (hyphens.next(), hyphens.next()) {
        (Some(_), Some(at)) if at > 0 && text.len() > at + 1 => {
            (text.get(..at).unwrap_or(text), text.get(at + 1..).unwrap_or(""))
        }
        _ => (text, ""),
    }
}

impl Problem {
    /// Reads the text of one problem.
    pub(crate) fn read(text: &str) -> Self {
        let mut steps: Vec<(usize, Step)> = Vec::new();
        let mut root: Option<(usize, Cause)> = None;
        let mut needed_by: Option<Step> = None;
        let mut conflict: Option<(usize, Cause)> = None;
        for (position, one) in text.lines().enumerate() {
            match line(one) {
                Line::Requires { package, capability } => {
                    let (name, version) = split_package(package);
                    steps.push((
                        position,
                        Step {
                            package: name.to_owned(),
                            version: version.to_owned(),
                            needs: capability.to_owned(),
                        },
                    ));
                }
                Line::Nothing { capability, needed_by: by } if root.is_none() => {
                    root = Some((position, Cause::Missing { capability: capability.to_owned() }));
                    needed_by = by.map(|package| {
                        let (name, version) = split_package(package);
                        Step {
                            package: name.to_owned(),
                            version: version.to_owned(),
                            needs: capability.to_owned(),
                        }
                    });
                }
                Line::Conflict { package, with } if conflict.is_none() => {
                    let (one, other) = (split_package(package).0, split_package(with).0);
                    let (one, other) = if one <= other { (one, other) } else { (other, one) };
                    conflict = Some((
                        position,
                        Cause::Conflict { one: one.to_owned(), other: other.to_owned() },
                    ));
                }
                Line::Nothing { .. }
                | Line::Conflict { .. }
                | Line::Unimportant
                | Line::Unknown => {}
            }
        }
        let (at, cause) = match root.or(conflict) {
            Some(found) => found,
            None => match steps.last() {
                Some((position, step)) => {
                    (*position, Cause::Uninstallable { capability: step.needs.clone() })
                }
                None => {
                    let line = text.lines().map(str::trim).find(|line| !line.is_empty());
                    (
                        0,
                        Cause::Other {
                            line: line.unwrap_or("The solver gave no reason").to_owned(),
                        },
                    )
                }
            },
        };
        // The solver tells the chain from the top or from the bottom; the root cause stands at the bottom.
        let bottom_first = steps.first().is_some_and(|(position, _)| *position > at);
        let mut chain: Vec<Step> = steps.into_iter().map(|(_, step)| step).collect();
        if bottom_first {
            chain.reverse();
        }
        chain.extend(needed_by);
        if chain.len() > LONGEST_CHAIN {
            chain.clear();
        }
        Self { cause, chain, text: text.to_owned() }
    }
}

impl Cause {
    /// The kind in a word or two, as a heading.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Missing { .. } => "Missing",
            Self::Conflict { .. } => "Conflict",
            Self::Uninstallable { .. } => "Not installable",
            Self::Other { .. } => "Other",
        }
    }

    /// The kind in addresses.
    pub(crate) fn slug(&self) -> &'static str {
        match self {
            Self::Missing { .. } => "missing",
            Self::Conflict { .. } => "conflict",
            Self::Uninstallable { .. } => "uninstallable",
            Self::Other { .. } => "other",
        }
    }

    /// The sentence in pieces: text before, code, text between, code, text after.
    pub(crate) fn sentence(&self) -> [&str; 5] {
        match self {
            Self::Missing { capability } => ["Nothing provides ", capability, "", "", "."],
            Self::Conflict { one, other } => {
                ["", one, " and ", other, " cannot be installed together."]
            }
            Self::Uninstallable { capability } => {
                ["No provider of ", capability, " can be installed", "", "."]
            }
            Self::Other { line } => [line, "", "", "", ""],
        }
    }

    /// The sentence without its full stop, in lower case at its beginning: for tables.
    pub(crate) fn brief(&self) -> String {
        match self {
            Self::Missing { capability } => format!("nothing provides {capability}"),
            Self::Conflict { one, other } => format!("{one} conflicts with {other}"),
            Self::Uninstallable { capability } => {
                format!("no provider of {capability} can be installed")
            }
            Self::Other { line } => line.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_build_requirement_is_its_own_cause() {
        let problem = Problem::read("No package found for: corosynclib-devel >= 1.99.9");
        assert_eq!(
            problem.cause,
            Cause::Missing { capability: "corosynclib-devel >= 1.99.9".to_owned() }
        );
        assert!(problem.chain.is_empty());
    }

    #[test]
    fn a_chain_goes_from_what_is_built_to_what_is_missing() {
        let problem = Problem::read(
            "Problem: package rust-sequoia-openpgp-devel-2.1.0-1.fc46.noarch requires crate(nettle) >= 7.5, \
             but none of the providers can be installed\n - conflicting requests\n - nothing provides \
             (crate(gmp) >= 2 with crate(gmp) < 3) needed by rust-nettle-devel-7.5.0-1.fc46.noarch from build",
        );
        assert_eq!(
            problem.cause,
            Cause::Missing { capability: "(crate(gmp) >= 2 with crate(gmp) < 3)".to_owned() }
        );
        let chain: Vec<(&str, &str)> =
            problem.chain.iter().map(|step| (step.package.as_str(), step.needs.as_str())).collect();
        assert_eq!(
            chain,
            [
                ("rust-sequoia-openpgp-devel", "crate(nettle) >= 7.5"),
                ("rust-nettle-devel", "(crate(gmp) >= 2 with crate(gmp) < 3)"),
            ]
        );
        assert_eq!(problem.chain[1].version, "7.5.0-1.fc46.noarch");
    }

    /// From `data/golden/debian-bookworm-3000-weak`, source package multiboot, shortened.
    #[test]
    fn a_conflict_told_from_the_bottom_is_turned_round() {
        let problem = Problem::read(
            "Problem: package libc6-i386-2.36-9+deb12u14.x86_64 conflicts with libc6-x32 provided by \
             libc6-x32-2.36-9+deb12u14.x86_64\n - package libc6-dev-x32-2.36-9+deb12u14.x86_64 requires \
             libc6-x32 = 2.36-9+deb12u14, but none of the providers can be installed\n - package \
             gcc-12-multilib-12.2.0-14+deb12u1.x86_64 requires libc6-dev-x32 >= 2.23-1~, but none of the \
             providers can be installed\n - conflicting requests",
        );
        assert_eq!(
            problem.cause,
            Cause::Conflict { one: "libc6-i386".to_owned(), other: "libc6-x32".to_owned() }
        );
        let chain: Vec<&str> = problem.chain.iter().map(|step| step.package.as_str()).collect();
        assert_eq!(chain, ["gcc-12-multilib", "libc6-dev-x32"]);
    }

    #[test]
    fn the_same_conflict_is_the_same_cause_whoever_is_named_first() {
        let one = Problem::read("Problem: package a-1-1.x conflicts with b provided by b-2-1.x");
        let other = Problem::read("Problem: package b-2-1.x conflicts with a provided by a-1-1.x");
        assert_eq!(one.cause, other.cause);
    }

    #[test]
    fn what_is_not_understood_is_kept_as_it_is() {
        for text in ["", "<script>alert(1)</script>", "Problem: something new", "package "] {
            let problem = Problem::read(text);
            assert!(matches!(problem.cause, Cause::Other { .. }), "{text}");
            assert_eq!(problem.text, text);
        }
    }

    #[test]
    fn names_are_cut_from_the_right() {
        assert_eq!(
            split_package("gcc-c++-16.2.1-3.fc46.x86_64"),
            ("gcc-c++", "16.2.1-3.fc46.x86_64")
        );
        assert_eq!(
            split_package("gcc-multilib-4:12.2.0-3.x86_64"),
            ("gcc-multilib", "4:12.2.0-3.x86_64")
        );
        assert_eq!(split_package("bash"), ("bash", ""));
        assert_eq!(split_package("-1-2"), ("-1-2", ""));
    }
}
