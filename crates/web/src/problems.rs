//! Reading what the solver says: the root cause of a problem, and the chain that leads to it.
//!
//! Problems are stored as text in the words of dnf (spec/services.md, section 5), some of them by the reference
//! implementation, so they are read back here. What comes out is the solver's own [`Cause`], the one that it names
//! itself before a problem becomes text. A line that is not understood never hides anything: the text itself is always
//! on the page.

pub(crate) use depsolve::Cause;

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
    Requires {
        package: &'a str,
        capability: &'a str,
    },
    Nothing {
        capability: &'a str,
        needed_by: Option<&'a str>,
    },
    Conflict {
        package: &'a str,
        with: &'a str,
    },
    /// A package that cannot be installed for a reason of its own.
    Alone {
        line: &'a str,
    },
    Unimportant,
    Unknown,
}

/// A line without what the solver puts before it: `Problem: `, `Problem 1: ` when there are several, ` - `.
fn bare(text: &str) -> &str {
    let text = text.trim();
    let text =
        text.strip_prefix("Problem:").or_else(|| text.strip_prefix("- ")).unwrap_or(text).trim();
    match text.strip_prefix("Problem ").and_then(|rest| rest.split_once(": ")) {
        Some((number, rest)) if number.bytes().all(|byte| byte.is_ascii_digit()) => rest,
        _ => text,
    }
}

fn line(text: &str) -> Line<'_> {
    let text = bare(text);
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
    if text.ends_with(" has inferior architecture") {
        return Line::Alone { line: text };
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
                    Some((_, "itself")) => return Line::Alone { line: text },
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
        let mut alone: Option<(usize, Cause)> = None;
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
                    conflict = Some((position, Cause::conflict(one, other)));
                }
                Line::Alone { line } if alone.is_none() => {
                    alone = Some((position, Cause::Other { line: line.to_owned() }));
                }
                Line::Nothing { .. }
                | Line::Conflict { .. }
                | Line::Alone { .. }
                | Line::Unimportant
                | Line::Unknown => {}
            }
        }
        let known = root.or(conflict).or(alone).or_else(|| {
            let (position, step) = steps.first()?;
            Some((*position, Cause::Uninstallable { capability: step.needs.clone() }))
        });
        let (at, cause) = known.unwrap_or_else(|| (0, other(text)));
        // The solver tells the chain from the top or from the bottom; the root cause stands at the bottom.
        let bottom_first = steps.first().is_some_and(|(position, _)| *position >= at);
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

/// The cause that a text without any of the known forms has: its first line.
fn other(text: &str) -> Cause {
    match text.lines().map(bare).find(|line| !line.is_empty()) {
        Some("conflicting requests") => Cause::requests(),
        Some(line) => Cause::Other { line: line.to_owned() },
        None => Cause::Other { line: "the solver gave no reason".to_owned() },
    }
}

/// The kind of a cause in addresses.
pub(crate) fn slug(cause: &Cause) -> &'static str {
    match cause {
        Cause::Missing { .. } => "missing",
        Cause::Conflict { .. } => "conflict",
        Cause::Uninstallable { .. } => "uninstallable",
        Cause::Other { .. } => "other",
    }
}

/// A cause as a sentence in pieces: text before, code, text between, code, text after.
pub(crate) fn sentence(cause: &Cause) -> [String; 5] {
    let mut pieces = cause.pieces().map(str::to_owned);
    // A line of the solver stays as it is.
    if matches!(cause, Cause::Other { .. }) {
        return pieces;
    }
    if let Some(first) = pieces[0].get_mut(..1) {
        first.make_ascii_uppercase();
    }
    let last = pieces.iter().rposition(|piece| !piece.is_empty()).unwrap_or(0);
    // The stop is text, also where the last piece is code.
    if let Some(text) = pieces.get_mut(last + last % 2) {
        text.push('.');
    }
    pieces
}

/// What a page tells of many problems in the solver's words: the first ones, and how many more there are. The API has all.
pub(crate) fn first(problems: &[String], most: usize) -> Vec<String> {
    const BYTES: usize = 20_000;
    let mut bytes = 0;
    let within = |problem: &&String| {
        bytes += problem.len();
        bytes <= BYTES
    };
    let mut told: Vec<String> = problems.iter().take(most).take_while(within).cloned().collect();
    match problems.len() - told.len() {
        0 => {}
        left if told.is_empty() => {
            // One alone is larger than a page should be.
            let text: String =
                problems.iter().take(1).flat_map(|one| one.chars()).take(BYTES / 4).collect();
            told.push(format!("{text}\u{2026}"));
            if left > 1 {
                told.push(format!("\u{2026} and {} more", left - 1));
            }
        }
        left => told.push(format!("\u{2026} and {left} more")),
    }
    told
}

#[cfg(test)]
mod tests {
    use depsolve::{Request, Solver, Universe};
    use rpm::md::Package;
    use rpm::{Dep, Nevra};

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

    /// The cause that the solver names is the cause that its words are read as.
    #[test]
    fn a_problem_of_our_own_solver_is_read_as_it_was_meant() {
        let package = |name: &str, version: &str, arch: &str| Package {
            nevra: Nevra::new(name, 0, version, "1", arch),
            ..Package::default()
        };
        let dep = |text: &str| -> Dep { text.parse().unwrap() };
        let requiring = |name: &str, what: &str| Package {
            requires: vec![dep(what).into()],
            ..package(name, "1", "noarch")
        };
        let packages = [
            package("plain", "1", "noarch"),
            package("ruby", "2", "noarch"),
            package("ruby", "3", "noarch"),
            requiring("lacking", "gone >= 2"),
            requiring("above", "lacking"),
            requiring("conditional", "(gone if plain)"),
            Package { conflicts: vec![dep("plain")], ..package("rival", "1", "noarch") },
            Package { obsoletes: vec!["plain".parse().unwrap()], ..package("heir", "1", "noarch") },
            Package {
                conflicts: vec![dep("(plain if gone)")],
                ..package("selfish", "1", "noarch")
            },
            Package { provides: vec!["old.so".parse().unwrap()], ..package("compat", "1", "i686") },
            package("compat", "2", "x86_64"),
        ];
        let universe = Universe::from_packages(packages, "x86_64", []).unwrap();
        let mut told = Vec::new();
        for requests in [
            &["gone", "plain"] as &[&str],
            &["above"],
            &["(plain and gone)"],
            &["plain", "rival"],
            &["plain", "heir"],
            &["ruby < 3", "ruby > 2"],
            &["conditional", "plain"],
            &["(plain unless plain)"],
            &["old.so", "compat > 1"],
            &["selfish"],
        ] {
            let build_requires: Vec<Dep> = requests.iter().map(|text| dep(text)).collect();
            let request =
                Request { build_group: &[], build_requires: &build_requires, weak_deps: true };
            for problem in Solver::new(&universe).resolve(&request).problems {
                assert_eq!(Problem::read(&problem.to_string()).cause, problem.cause(), "{problem}");
                told.push(sentence(&problem.cause()).concat());
            }
        }
        assert_eq!(
            told,
            [
                "Nothing provides gone.",
                "Nothing provides gone >= 2.",
                "Nothing provides (plain and gone).",
                "plain and rival cannot be installed together.",
                "heir and plain cannot be installed together.",
                "Two packages named ruby cannot be installed together.",
                "No provider of (gone if plain) can be installed.",
                "the requests contradict each other",
                "compat-1-1.i686 has inferior architecture",
                "package selfish-1-1.noarch conflicts with (plain if gone) provided by itself",
            ]
        );
    }

    #[test]
    fn a_search_that_was_given_up_is_told_in_its_own_words() {
        let reason = depsolve::GaveUp::Contradictions { contradictions: 20_000 };
        let problem = depsolve::Problem::GaveUp(reason);
        assert_eq!(Problem::read(&problem.to_string()).cause, problem.cause());
        assert_eq!(
            sentence(&problem.cause()).concat(),
            "no answer was found after 20000 contradictions; the search was given up"
        );
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
