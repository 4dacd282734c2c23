//! Why something cannot be installed, as data and in dnf's words.
//!
//! A [`Problem`] is displayed as dnf tells it. The same facts can be walked through: a conflict is a chain of [`Link`]s,
//! each of which says that something must hold, tells the packages that could make it hold, and for each of those
//! the links that forbid it.

use std::fmt;

use rpm::Nevra;

use crate::Cause;

/// One reason why a request cannot be met.
///
/// Displayed in dnf's words: one line for a missing package, several for a conflict.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize),
    serde(tag = "kind", rename_all = "kebab-case")
)]
pub enum Problem {
    /// Nothing in the universe provides what was asked for: `No package found for: X`.
    NotFound {
        /// The relation as it was asked for.
        relation: String,
    },
    /// Everything asked for exists, but cannot be installed together.
    Conflict(Conflict),
    /// The search was given up, so it is not known whether there is an answer.
    GaveUp(GaveUp),
}

/// Statements that cannot all be followed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "kebab-case"))]
pub struct Conflict {
    /// From the clash back to what was asked for, then why packages in it can never be installed. Displayed one
    /// statement a line, the first after `Problem: `, the others after ` - `.
    pub chain: Vec<Link>,
    /// Whether every link is needed.
    pub extent: Extent,
}

/// How much of an explanation a chain is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "kebab-case"))]
pub enum Extent {
    /// Its links together cannot be followed; without any one of them they could.
    Minimal,
    /// Its links together cannot be followed. Whether all of them are needed was not found out within bounds.
    Sufficient,
    /// The explanation is too long to be told; these links are a part of it.
    Partial,
}

/// Why a search was given up; see [`Limits`](crate::Limits).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize),
    serde(tag = "after", rename_all = "kebab-case")
)]
pub enum GaveUp {
    /// No answer was found.
    Contradictions {
        /// How many had been analysed by then.
        contradictions: u32,
    },
    /// An answer was known that could still be improved.
    Improvements {
        /// How many improvements had been made by then.
        improvements: u32,
    },
    /// A rich request has too many alternatives to be looked at at all.
    Alternatives {
        /// How many packages may be named in them.
        limit: usize,
    },
    /// Packages supplement and enhance others without end.
    Wishes {
        /// How many of these dependencies, and of the packages that could meet them, may be looked at.
        limit: u64,
    },
}

/// One link of the chain that explains a conflict: somebody says something, and so one of `candidates` has to be
/// installed, as long as all of `beside` are.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "kebab-case"))]
pub struct Link {
    /// Who says what.
    #[cfg_attr(feature = "serde", serde(flatten))]
    pub says: Statement,
    /// Statements that come to exactly the same: two packages may each conflict with the other.
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "Vec::is_empty"))]
    pub also: Vec<Statement>,
    /// The packages without which nobody would mind, besides the one that says it: the other side of a conflict, the
    /// condition of `(a if b)`.
    #[cfg_attr(feature = "serde", serde(serialize_with = "serialize::nevras"))]
    pub beside: Vec<Nevra>,
    /// The packages that would do, in the order of the repository; empty when nothing would.
    pub candidates: Vec<Candidate>,
}

/// A package that would meet a requirement, if it could be installed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "kebab-case"))]
pub struct Candidate {
    /// Which one.
    #[cfg_attr(feature = "serde", serde(serialize_with = "serialize::nevra"))]
    pub package: Nevra,
    /// The places in the chain of the links that forbid it: requirements of its own that cannot be met, other
    /// packages that exclude it. Never empty in a chain that is told in full.
    pub ruled_out_by: Vec<usize>,
}

/// What a package of the repository, or the request, says. Displayed in dnf's words, packages as
/// `name-[epoch:]version-release.arch`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize),
    serde(tag = "kind", rename_all = "kebab-case")
)]
pub enum Statement {
    /// It was asked for.
    Requested {
        /// The entry of the build group, or the BuildRequires.
        relation: String,
        /// Whether anything would do at all.
        missing: bool,
    },
    /// A package requires something.
    Requires {
        /// Who requires it.
        #[cfg_attr(feature = "serde", serde(serialize_with = "serialize::nevra"))]
        package: Nevra,
        /// What it requires.
        relation: String,
        /// Whether anything would do at all.
        missing: bool,
    },
    /// A package conflicts with something.
    Conflicts {
        /// Who declares the conflict.
        #[cfg_attr(feature = "serde", serde(serialize_with = "serialize::nevra"))]
        package: Nevra,
        /// With what.
        relation: String,
        /// Who provides it; `None` when it is the package itself.
        #[cfg_attr(feature = "serde", serde(serialize_with = "serialize::optional_nevra"))]
        with: Option<Nevra>,
    },
    /// A package obsoletes another one.
    Obsoletes {
        /// Who declares it.
        #[cfg_attr(feature = "serde", serde(serialize_with = "serialize::nevra"))]
        package: Nevra,
        /// What it obsoletes.
        relation: String,
        /// Who is obsoleted.
        #[cfg_attr(feature = "serde", serde(serialize_with = "serialize::nevra"))]
        obsoleted: Nevra,
    },
    /// Two packages of one name, which rpm does not install beside each other.
    SameName {
        /// The one.
        #[cfg_attr(feature = "serde", serde(serialize_with = "serialize::nevra"))]
        package: Nevra,
        /// The other.
        #[cfg_attr(feature = "serde", serde(serialize_with = "serialize::nevra"))]
        other: Nevra,
    },
    /// A package of an inferior architecture can only be installed beside its better half: the same package in the same
    /// version for the best architecture there is.
    InferiorArch {
        /// The package.
        #[cfg_attr(feature = "serde", serde(serialize_with = "serialize::nevra"))]
        package: Nevra,
    },
}

impl Problem {
    /// What is at the bottom of it, the same for all problems that would go away together; see [`Cause`].
    pub fn cause(&self) -> Cause {
        Cause::of(self)
    }

    /// The links of the chain; empty for problems that have none.
    pub fn chain(&self) -> &[Link] {
        match self {
            Problem::Conflict(conflict) => &conflict.chain,
            Problem::NotFound { .. } | Problem::GaveUp(_) => &[],
        }
    }
}

impl Link {
    /// Everything that is said by this link.
    pub fn statements(&self) -> impl Iterator<Item = &Statement> {
        std::iter::once(&self.says).chain(&self.also)
    }
}

impl Statement {
    /// The package that says it; `None` for what was asked for.
    pub fn package(&self) -> Option<&Nevra> {
        match self {
            Statement::Requested { .. } => None,
            Statement::Requires { package, .. }
            | Statement::Conflicts { package, .. }
            | Statement::Obsoletes { package, .. }
            | Statement::SameName { package, .. }
            | Statement::InferiorArch { package } => Some(package),
        }
    }

    /// The relation that it says it with, if it needs one.
    pub fn relation(&self) -> Option<&str> {
        match self {
            Statement::Requested { relation, .. }
            | Statement::Requires { relation, .. }
            | Statement::Conflicts { relation, .. }
            | Statement::Obsoletes { relation, .. } => Some(relation),
            Statement::SameName { .. } | Statement::InferiorArch { .. } => None,
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::NotFound { relation } => write!(f, "No package found for: {relation}"),
            Problem::GaveUp(reason) => write!(f, "Problem: {reason}"),
            Problem::Conflict(conflict) => conflict.fmt(f),
        }
    }
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Several requests are one line, and so are clauses that come from one rich relation.
        let mut lines: Vec<String> = Vec::new();
        let statements = self.chain.iter().flat_map(Link::statements).map(ToString::to_string);
        for line in statements {
            if !lines.contains(&line) {
                lines.push(line);
            }
        }
        match self.extent {
            Extent::Minimal => {}
            Extent::Sufficient => {
                lines.push("not all of this may matter; that was too hard to find out".to_owned());
            }
            Extent::Partial => lines.push("and more than can be told".to_owned()),
        }
        write!(f, "Problem: {}", lines.join("\n - "))
    }
}

impl fmt::Display for GaveUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            GaveUp::Contradictions { contradictions } => write!(
                f,
                "no answer was found after {contradictions} contradictions; the search was given up"
            ),
            GaveUp::Improvements { improvements } => write!(
                f,
                "the answer was still changing after {improvements} improvements; the search was given up"
            ),
            GaveUp::Alternatives { limit } => write!(
                f,
                "a rich request has too many alternatives, with more than {limit} packages; it was not looked at"
            ),
            GaveUp::Wishes { limit } => write!(
                f,
                "more than {limit} supplements and enhancements were looked at; the search was given up"
            ),
        }
    }
}

impl fmt::Display for Statement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Statement::Requested { relation, missing: true } => {
                write!(f, "nothing provides requested {relation}")
            }
            Statement::Requested { .. } => f.write_str("conflicting requests"),
            Statement::Requires { package, relation, missing: true } => {
                write!(f, "nothing provides {relation} needed by {}", Dnf(package))
            }
            Statement::Requires { package, relation, missing: false } => write!(
                f,
                "package {} requires {relation}, but none of the providers can be installed",
                Dnf(package)
            ),
            Statement::Conflicts { package, relation, with: Some(other) } => write!(
                f,
                "package {} conflicts with {relation} provided by {}",
                Dnf(package),
                Dnf(other)
            ),
            Statement::Conflicts { package, relation, with: None } => {
                write!(f, "package {} conflicts with {relation} provided by itself", Dnf(package))
            }
            Statement::Obsoletes { package, relation, obsoleted } => write!(
                f,
                "package {} obsoletes {relation} provided by {}",
                Dnf(package),
                Dnf(obsoleted)
            ),
            Statement::SameName { package, other } => {
                write!(f, "cannot install both {} and {}", Dnf(package), Dnf(other))
            }
            Statement::InferiorArch { package } => {
                write!(f, "{} has inferior architecture", Dnf(package))
            }
        }
    }
}

/// A package in dnf's notation: no epoch when it is 0.
struct Dnf<'a>(&'a Nevra);

impl fmt::Display for Dnf<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Dnf(nevra) = self;
        write!(f, "{}-{}.{}", nevra.name, nevra.evr(), nevra.arch)
    }
}

/// Packages are serialised as they are displayed, `name-epoch:version-release.arch`, the notation of install sets.
#[cfg(feature = "serde")]
mod serialize {
    use rpm::Nevra;
    use serde::Serializer;

    pub(super) fn nevra<S: Serializer>(nevra: &Nevra, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(nevra)
    }

    pub(super) fn nevras<S: Serializer>(all: &[Nevra], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(all.iter().map(ToString::to_string))
    }

    #[allow(clippy::ref_option, reason = "serde calls it with what the field is")]
    pub(super) fn optional_nevra<S: Serializer>(
        nevra: &Option<Nevra>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match nevra {
            Some(nevra) => serializer.collect_str(nevra),
            None => serializer.serialize_none(),
        }
    }
}
