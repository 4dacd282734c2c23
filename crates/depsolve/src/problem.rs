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
    /// Everything asked for exists, but not together. The chain goes from what was asked for to the clash.
    Conflict {
        /// The links of the chain, each displayed as one line beginning with ` - `.
        chain: Vec<Reason>,
    },
}

/// One link of the chain that explains a conflict. Packages are displayed as `name-[epoch:]version-release.arch`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// What was asked for contradicts itself.
    ConflictingRequests,
    /// A requirement of what was asked for that nothing in the repository meets.
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
        /// Who requires it; `None` for what was asked for itself.
        needed_by: Option<String>,
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
    /// A package of an architecture that this system cannot run.
    NotInstallable {
        /// The package.
        package: String,
    },
    /// The search was given up after a bound.
    TooHard {
        /// How many conflicts had been analysed by then.
        conflicts: u32,
    },
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::NotFound { relation } => write!(f, "No package found for: {relation}"),
            Problem::Conflict { chain } => match chain.as_slice() {
                [only] => write!(f, "Problem: {only}"),
                several => {
                    // dnf names the first link in the headline when it is about a package.
                    write!(f, "Problem: ")?;
                    for (i, reason) in several.iter().enumerate() {
                        if i > 0 {
                            write!(f, "\n  - ")?;
                        }
                        write!(f, "{reason}")?;
                    }
                    Ok(())
                }
            },
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::ConflictingRequests => write!(f, "conflicting requests"),
            Reason::NothingProvides { relation, needed_by: Some(package) } => {
                write!(f, "nothing provides {relation} needed by {package}")
            }
            Reason::NothingProvides { relation, needed_by: None } => {
                write!(f, "nothing provides requested {relation}")
            }
            Reason::NoneInstallable { relation, needed_by: Some(package) } => write!(
                f,
                "package {package} requires {relation}, but none of the providers can be installed"
            ),
            Reason::NoneInstallable { relation, needed_by: None } => {
                write!(f, "none of the providers of {relation} can be installed")
            }
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
                write!(f, "package {package} does not have a compatible architecture")
            }
            Reason::TooHard { conflicts } => {
                write!(
                    f,
                    "no answer was found after {conflicts} contradictions; the search was given up"
                )
            }
        }
    }
}
