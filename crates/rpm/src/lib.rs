//! RPM versions, relations and repository metadata.
//!
//! The lowest floor of the house: what a version is and which of two is newer ([`rpmvercmp`], [`Evr`]),
//! what a package says about other packages ([`Relation`], [`Dep`]), and the files in which a repository
//! describes its packages ([`md`]). Nothing here knows a clock, a network or a configuration; files are
//! touched only by [`md::write`], in the directory that it is given.
//!
//! ```
//! use rpm::{Dep, Evr, Relation};
//!
//! let older: Evr = "1.0~rc1-1".parse()?;
//! let newer: Evr = "1.0-1".parse()?;
//! assert!(older < newer);
//!
//! let required: Relation = "foo >= 1:2.0".parse()?;
//! let provided: Relation = "foo = 1:2.0-3.fc40".parse()?;
//! assert!(provided.overlaps(&required));
//!
//! let rich: Dep = "(gcc or (clang if llvm-toolchain))".parse()?;
//! assert_eq!(rich.to_string(), "(gcc or (clang if llvm-toolchain))");
//! # Ok::<(), rpm::ParseError>(())
//! ```

mod evr;
pub mod md;
mod nevra;
mod relation;
mod rich;
mod vercmp;

pub use evr::{Evr, EvrRef};
pub use nevra::Nevra;
pub use relation::{Constraint, ConstraintRef, Op, Relation};
pub use rich::{Dep, MAX_NESTING, Rich};
pub use vercmp::rpmvercmp;

/// A text that is not what it should be: an EVR, a NEVRA, a relation.
///
/// Trying again never helps; the text itself has to change.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("“{text}” is not {expected}: {reason}")]
pub struct ParseError {
    /// The text, shortened if it is long.
    pub text: String,
    /// What it should have been, with article: “a relation”.
    pub expected: &'static str,
    /// What is wrong with it.
    pub reason: String,
}

impl ParseError {
    pub(crate) fn new(text: &str, expected: &'static str, reason: impl Into<String>) -> Self {
        const SHOWN: usize = 200;
        let text = if text.chars().count() > SHOWN {
            let head: String = text.chars().take(SHOWN).collect();
            format!("{head}…")
        } else {
            text.to_owned()
        };
        ParseError { text, expected, reason: reason.into() }
    }
}
