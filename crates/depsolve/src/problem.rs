//! Why something cannot be installed, as data and in dnf's words.

use std::fmt;

/// One reason why a request cannot be met.
///
/// Displayed in dnf's words: one line for a missing package, several for a conflict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// Nothing in the universe provides what was asked for: `No package found for: X`.
    NotFound {
        /// The relation as it was asked for.
        relation: String,
    },
    /// Everything asked for exists, but cannot be installed together. The chain goes from the clash back to what was
    /// asked for.
    Conflict {
        /// The links of the chain; displayed one a line, the first after `Problem: `, the others after ` - `.
        chain: Vec<Reason>,
    },
}

/// One link of the chain that explains a conflict. Packages are displayed as `name-[epoch:]version-release.arch`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// What was asked for cannot be had together.
    ConflictingRequests {
        /// The requests that take part.
        requests: Vec<String>,
    },
    /// A requirement that nothing in the repository meets.
    NothingProvides {
        /// The relation.
        relation: String,
        /// Who requires it; `None` for what was asked for itself.
        needed_by: Option<String>,
    },
    /// Candidates exist for a requirement, but none of them can be installed.
    NoneInstallable {
        /// The relation.
        relation: String,
        /// Who requires it.
        needed_by: String,
    },
    /// A package conflicts with something that another one provides.
    Conflicts {
        /// Who declares the conflict.
        package: String,
        /// The relation.
        relation: String,
        /// Who provides it; `None` when it is the package itself.
        provided_by: Option<String>,
    },
    /// A package obsoletes another one.
    Obsoletes {
        /// Who declares it.
        package: String,
        /// The relation.
        relation: String,
        /// Who is obsoleted.
        provided_by: String,
    },
    /// Two packages of one name.
    SameName {
        /// The one.
        package: String,
        /// The other.
        other: String,
    },
    /// A package of an inferior architecture that can only be installed beside its better half.
    InferiorArch {
        /// The package.
        package: String,
    },
    /// A package forbids itself: its own requirements or conflicts contradict each other.
    NotInstallable {
        /// The package.
        package: String,
    },
    /// The search was given up after a bound.
    TooHard {
        /// How many conflicts had been analysed by then.
        conflicts: u32,
    },
    /// The search was given up after a bound, when an answer was known that could still be improved.
    NotSettled {
        /// How many improvements had been made by then.
        improvements: u32,
    },
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::NotFound { relation } => write!(f, "No package found for: {relation}"),
            Problem::Conflict { chain } => {
                f.write_str("Problem: ")?;
                for (i, reason) in chain.iter().enumerate() {
                    if i > 0 {
                        f.write_str("\n - ")?;
                    }
                    write!(f, "{reason}")?;
                }
                Ok(())
            }
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::ConflictingRequests { .. } => write!(f, "conflicting requests"),
            Reason::NothingProvides { relation, needed_by: Some(package) } => {
                write!(f, "nothing provides {relation} needed by {package}")
            }
            Reason::NothingProvides { relation, needed_by: None } => {
                write!(f, "nothing provides requested {relation}")
            }
            Reason::NoneInstallable { relation, needed_by } => write!(
                f,
                "package {needed_by} requires {relation}, but none of the providers can be installed"
            ),
            Reason::Conflicts { package, relation, provided_by: Some(other) } => {
                write!(f, "package {package} conflicts with {relation} provided by {other}")
            }
            Reason::Conflicts { package, relation, provided_by: None } => {
                write!(f, "package {package} conflicts with {relation} provided by itself")
            }
            Reason::Obsoletes { package, relation, provided_by } => {
                write!(f, "package {package} obsoletes {relation} provided by {provided_by}")
            }
            Reason::SameName { package, other } => {
                write!(f, "cannot install both {package} and {other}")
            }
            Reason::InferiorArch { package } => write!(f, "{package} has inferior architecture"),
            Reason::NotInstallable { package } => {
                write!(f, "package {package} is not installable")
            }
            Reason::TooHard { conflicts } => {
                write!(
                    f,
                    "no answer was found after {conflicts} contradictions; the search was given up"
                )
            }
            Reason::NotSettled { improvements } => {
                write!(
                    f,
                    "the answer was still changing after {improvements} improvements; the search was given up"
                )
            }
        }
    }
}
