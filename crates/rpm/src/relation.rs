//! Simple relations: `foo`, `foo >= 1:2.0-3`, and when a provided one satisfies a required one.
//!
//! A relation names a range of versions. A requirement is met when the provided range and the required range
//! have a version in common, where a release that one side does not tell fits every release of the other. That is
//! *matching*, and different from *comparing* two packages to find the newer one, where everything counts
//! ([`Evr`](crate::Evr)).

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use crate::evr::split_evr;
use crate::{ParseError, rpmvercmp};

/// How a version is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Op {
    /// `<`
    Lt,
    /// `<=`
    Le,
    /// `=`
    Eq,
    /// `>=`
    Ge,
    /// `>`
    Gt,
}

impl Op {
    /// The operator as people write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Op::Lt => "<",
            Op::Le => "<=",
            Op::Eq => "=",
            Op::Ge => ">=",
            Op::Gt => ">",
        }
    }

    /// The operator as rpm-md writes it: `LT`, `LE`, `EQ`, `GE`, `GT`.
    pub fn as_flags(self) -> &'static str {
        match self {
            Op::Lt => "LT",
            Op::Le => "LE",
            Op::Eq => "EQ",
            Op::Ge => "GE",
            Op::Gt => "GT",
        }
    }

    /// Reads rpm-md's spelling.
    pub fn from_flags(flags: &str) -> Option<Op> {
        Some(match flags {
            "LT" => Op::Lt,
            "LE" => Op::Le,
            "EQ" => Op::Eq,
            "GE" => Op::Ge,
            "GT" => Op::Gt,
            _ => return None,
        })
    }

    /// Whether smaller versions are within the range.
    pub fn less(self) -> bool {
        matches!(self, Op::Lt | Op::Le)
    }

    /// Whether the version itself is within the range.
    pub fn equal(self) -> bool {
        matches!(self, Op::Le | Op::Eq | Op::Ge)
    }

    /// Whether greater versions are within the range.
    pub fn greater(self) -> bool {
        matches!(self, Op::Ge | Op::Gt)
    }
}

impl FromStr for Op {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        Ok(match text {
            "<" => Op::Lt,
            "<=" | "=<" => Op::Le,
            "=" | "==" => Op::Eq,
            ">=" | "=>" => Op::Ge,
            ">" => Op::Gt,
            _ => return Err(ParseError::new(text, "a comparison", "known are <, <=, =, >= and >")),
        })
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A range of versions.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Constraint {
    /// How versions are compared with the one given.
    pub op: Op,
    /// Absent means 0.
    pub epoch: Option<u32>,
    /// Upstream's version.
    pub version: String,
    /// Absent means any.
    pub release: Option<String>,
}

/// A borrowed [`Constraint`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ConstraintRef<'a> {
    /// How versions are compared with the one given.
    pub op: Op,
    /// 0 when the relation tells none.
    pub epoch: u32,
    /// Upstream's version.
    pub version: &'a str,
    /// Absent means any.
    pub release: Option<&'a str>,
}

impl Constraint {
    /// The same, borrowed; an empty release counts as absent, as in rpm.
    pub fn as_ref(&self) -> ConstraintRef<'_> {
        ConstraintRef {
            op: self.op,
            epoch: self.epoch.unwrap_or(0),
            version: &self.version,
            release: self.release.as_deref().filter(|release| !release.is_empty()),
        }
    }
}

impl ConstraintRef<'_> {
    /// Whether the two ranges have a version in common (libsolv's `pool_intersect_evrs`).
    ///
    /// Symmetric. A release that only one side tells makes `=`, `<=` and `>=` of the other side match, but
    /// not `<` and `>`: `foo = 1.0` is met by `1.0-3`, `foo > 1.0` is not.
    pub fn overlaps(self, other: ConstraintRef<'_>) -> bool {
        if (self.op.less() && other.op.less()) || (self.op.greater() && other.op.greater()) {
            // Both go on for ever in the same direction.
            return true;
        }
        let order =
            self.epoch.cmp(&other.epoch).then_with(|| rpmvercmp(self.version, other.version));
        let order = match (order, self.release, other.release) {
            (Ordering::Equal, Some(mine), Some(theirs)) => rpmvercmp(mine, theirs),
            (Ordering::Equal, None, Some(_)) => return self.op.equal(),
            (Ordering::Equal, Some(_), None) => return other.op.equal(),
            (order, _, _) => order,
        };
        match order {
            Ordering::Less => self.op.greater() || other.op.less(),
            Ordering::Equal => self.op.equal() && other.op.equal(),
            Ordering::Greater => self.op.less() || other.op.greater(),
        }
    }
}

impl fmt::Display for Constraint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.op)?;
        if let Some(epoch) = self.epoch {
            write!(f, "{epoch}:")?;
        }
        f.write_str(&self.version)?;
        if let Some(release) = &self.release {
            write!(f, "-{release}")?;
        }
        Ok(())
    }
}

/// A name with or without a range of versions.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Relation {
    /// A package, a capability (`perl(Carp)`, `libc.so.6()(64bit)`) or a path.
    pub name: String,
    /// Absent: any version.
    pub constraint: Option<Constraint>,
}

impl Relation {
    /// A relation on any version.
    pub fn any(name: impl Into<String>) -> Self {
        Relation { name: name.into(), constraint: None }
    }

    /// A relation on a range of versions; `evr` as in `1:2.0-3`.
    pub fn versioned(name: impl Into<String>, op: Op, evr: &str) -> Result<Self, ParseError> {
        let (epoch, version, release) =
            split_evr(evr).map_err(|reason| ParseError::new(evr, "a version", reason))?;
        let constraint = Constraint {
            op,
            epoch,
            version: version.to_owned(),
            release: release.map(str::to_owned),
        };
        Ok(Relation { name: name.into(), constraint: Some(constraint) })
    }

    /// Whether something that satisfies the one can satisfy the other: same name, and the ranges overlap.
    ///
    /// No range at all overlaps with every range: an unversioned provide satisfies every versioned requirement
    /// (and every versioned conflict).
    pub fn overlaps(&self, other: &Relation) -> bool {
        if self.name != other.name {
            return false;
        }
        match (&self.constraint, &other.constraint) {
            (Some(mine), Some(theirs)) => mine.as_ref().overlaps(theirs.as_ref()),
            _ => true,
        }
    }
}

impl fmt::Display for Relation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        if let Some(constraint) = &self.constraint {
            write!(f, " {constraint}")?;
        }
        Ok(())
    }
}

impl FromStr for Relation {
    type Err = ParseError;

    /// `name` or `name OP [epoch:]version[-release]`, parts separated by spaces.
    fn from_str(text: &str) -> Result<Self, ParseError> {
        let mut words = text.split_ascii_whitespace();
        let fail = |reason: &str| ParseError::new(text, "a relation", reason);
        let name = words.next().ok_or_else(|| fail("it is empty"))?;
        let Some(op) = words.next() else {
            return Ok(Relation::any(name));
        };
        let op: Op = op.parse().map_err(|error: ParseError| fail(&error.to_string()))?;
        let evr = words.next().ok_or_else(|| fail("the version is missing"))?;
        if words.next().is_some() {
            return Err(fail("something follows the version"));
        }
        Relation::versioned(name, op, evr).map_err(|error| fail(&error.reason))
    }
}
