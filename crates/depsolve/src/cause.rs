//! Root causes: what makes packages uninstallable, the same for all that share it.
//!
//! One update that drops a library breaks a hundred packages, each with a chain of its own. Whoever mends them wants to
//! see one thing with a hundred packages behind it, not a hundred chains. So each problem is reduced to its
//! [`Cause`], and [`group_by_cause`] turns problems of many requests into a list of causes, the worst first.

use std::collections::BTreeMap;
use std::fmt;

use crate::problem::{Problem, Statement};

/// What is at the bottom of a problem. Displayed as a phrase that can follow “because”.
///
/// The cause of a chain is the first thing in it that nothing provides: somebody has to bring it back, or stop
/// requiring it. When nothing is missing, it is the first pair of packages that exclude each other, by name, whatever
/// their versions. Chains tell the candidates that policy prefers first, so the first thing missing is what
/// the preferred one lacks.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize),
    serde(tag = "kind", rename_all = "kebab-case")
)]
pub enum Cause {
    /// Nothing provides a capability.
    Missing {
        /// The capability with its version.
        capability: String,
    },
    /// Two packages exclude each other, or two versions of one package.
    Conflict {
        /// Name of one of them, the lesser by bytes.
        one: String,
        /// Name of the other.
        other: String,
    },
    /// A capability whose providers cannot be installed, for a reason that is not told.
    Uninstallable {
        /// The capability.
        capability: String,
    },
    /// None of these.
    Other {
        /// What there is to say.
        line: String,
    },
}

impl Cause {
    /// Two packages that exclude each other, by name.
    pub fn conflict(one: &str, other: &str) -> Self {
        let (one, other) = if one <= other { (one, other) } else { (other, one) };
        Cause::Conflict { one: one.to_owned(), other: other.to_owned() }
    }

    pub(crate) fn of(problem: &Problem) -> Self {
        let chain = match problem {
            Problem::NotFound { relation } => {
                return Cause::Missing { capability: relation.clone() };
            }
            Problem::GaveUp(reason) => return Cause::Other { line: reason.to_string() },
            Problem::Conflict(conflict) => &conflict.chain,
        };
        let says = || chain.iter().map(|link| &link.says);
        let missing = says().find_map(|statement| match statement {
            Statement::Requested { relation, missing: true }
            | Statement::Requires { relation, missing: true, .. } => {
                Some(Cause::Missing { capability: relation.clone() })
            }
            _ => None,
        });
        let conflict = || {
            says().find_map(|statement| match statement {
                Statement::Conflicts { package, with: Some(other), .. }
                | Statement::Obsoletes { package, obsoleted: other, .. }
                | Statement::SameName { package, other } => {
                    Some(Cause::conflict(&package.name, &other.name))
                }
                _ => None,
            })
        };
        let of_one = || {
            let found = says().find(|statement| {
                matches!(
                    statement,
                    Statement::InferiorArch { .. } | Statement::Conflicts { with: None, .. }
                )
            });
            found.map(|statement| Cause::Other { line: statement.to_string() })
        };
        let uninstallable = || {
            let found = says().find_map(|statement| match statement {
                Statement::Requires { relation, .. } => Some(relation.clone()),
                _ => None,
            });
            found.map(|capability| Cause::Uninstallable { capability })
        };
        missing
            .or_else(conflict)
            .or_else(of_one)
            .or_else(uninstallable)
            .unwrap_or_else(Cause::requests)
    }

    /// Nothing but what was asked for takes part.
    pub fn requests() -> Self {
        Cause::Other { line: "the requests contradict each other".to_owned() }
    }

    /// The kind in a word or two, as a heading.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Missing { .. } => "Missing",
            Self::Conflict { .. } => "Conflict",
            Self::Uninstallable { .. } => "Not installable",
            Self::Other { .. } => "Other",
        }
    }
}

impl Cause {
    /// The phrase in pieces, words and names by turns, for those who show names differently.
    pub fn pieces(&self) -> [&str; 5] {
        match self {
            Self::Missing { capability } => ["nothing provides ", capability, "", "", ""],
            Self::Conflict { one, other } if one == other => {
                ["two packages named ", one, " cannot be installed together", "", ""]
            }
            Self::Conflict { one, other } => {
                ["", one, " and ", other, " cannot be installed together"]
            }
            Self::Uninstallable { capability } => {
                ["no provider of ", capability, " can be installed", "", ""]
            }
            Self::Other { line } => [line, "", "", "", ""],
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.pieces().into_iter().try_for_each(|piece| f.write_str(piece))
    }
}

/// A root cause and whom it affects.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Group<K> {
    /// The cause.
    pub cause: Cause,
    /// Whom it affects, in the order in which they were given.
    pub affected: Vec<K>,
}

/// Groups whatever has problems, such as source packages, by root cause: the cause that affects most comes first, equal
/// ones in the order of [`Cause`]. Who has several problems is in several groups, but only once in each, provided that
/// the problems of one come one after the other.
///
/// ```
/// use depsolve::{Cause, Problem, group_by_cause};
///
/// let missing = |relation: &str| Problem::NotFound { relation: relation.to_owned() };
/// let problems = [
///     ("vim", missing("libacl-devel")),
///     ("emacs", missing("gtk3-devel")),
///     ("geany", missing("gtk3-devel")),
/// ];
/// let groups = group_by_cause(problems.iter().map(|(name, problem)| (*name, problem.cause())));
/// assert_eq!(groups[0].cause, Cause::Missing { capability: "gtk3-devel".to_owned() });
/// assert_eq!(groups[0].affected, ["emacs", "geany"]);
/// assert_eq!(groups[1].affected, ["vim"]);
/// ```
pub fn group_by_cause<K: PartialEq>(
    problems: impl IntoIterator<Item = (K, Cause)>,
) -> Vec<Group<K>> {
    let mut groups: BTreeMap<Cause, Vec<K>> = BTreeMap::new();
    for (who, cause) in problems {
        let affected = groups.entry(cause).or_default();
        if affected.last() != Some(&who) {
            affected.push(who);
        }
    }
    let mut groups: Vec<Group<K>> =
        groups.into_iter().map(|(cause, affected)| Group { cause, affected }).collect();
    groups.sort_by_key(|group| std::cmp::Reverse(group.affected.len()));
    groups
}
