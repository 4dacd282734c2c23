//! Rich (boolean) dependencies: `(a or b)`, `(a if b else c)`, nested as deep as one likes up to
//! [`MAX_NESTING`].
//!
//! The grammar is that of rpm's manual, *Boolean Dependencies*, read as leniently as libsolv reads it: chains of
//! one operator need no parentheses (`(a or b or c)`), `if` and `unless` may have an `else`, and mixing operators
//! without parentheses is an error.

use std::fmt;
use std::str::FromStr;

use crate::{Op, ParseError, Relation};

/// How deep parentheses may be nested; real packages need three or four levels. A bound, because a repository is data
/// from outside and every walk over a dependency is recursive.
pub const MAX_NESTING: usize = 64;

/// How many operands and operators one rich dependency may have.
const MAX_TERMS: usize = 4096;

/// What a package or a person may ask for: a simple or a rich relation.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Dep {
    /// `foo >= 1`
    Relation(Relation),
    /// `(foo or bar)`
    Rich(Rich),
}

/// A boolean expression over relations.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Rich {
    /// All of them. At least two.
    And(Vec<Dep>),
    /// One of them. At least two.
    Or(Vec<Dep>),
    /// `(then if condition)`, `(then if condition else otherwise)`.
    If {
        /// What is wanted when the condition holds.
        then: Box<Dep>,
        /// What has to be installed for that.
        condition: Box<Dep>,
        /// What is wanted when it does not hold.
        otherwise: Option<Box<Dep>>,
    },
    /// `(then unless condition)`, `(then unless condition else otherwise)`.
    Unless {
        /// What is wanted when the condition does not hold.
        then: Box<Dep>,
        /// What must not be installed for that.
        condition: Box<Dep>,
        /// What is wanted when it does hold.
        otherwise: Option<Box<Dep>>,
    },
    /// All of them by one and the same package. At least two.
    With(Vec<Dep>),
    /// The first by a package that does not provide the second.
    Without(Box<Dep>, Box<Dep>),
}

impl Dep {
    /// Calls `visit` with every simple relation in it, from left to right.
    pub fn for_each_relation<'a>(&'a self, visit: &mut impl FnMut(&'a Relation)) {
        match self {
            Dep::Relation(relation) => visit(relation),
            Dep::Rich(Rich::And(all) | Rich::Or(all) | Rich::With(all)) => {
                for dep in all {
                    dep.for_each_relation(visit);
                }
            }
            Dep::Rich(Rich::Without(a, b)) => {
                a.for_each_relation(visit);
                b.for_each_relation(visit);
            }
            Dep::Rich(
                Rich::If { then, condition, otherwise }
                | Rich::Unless { then, condition, otherwise },
            ) => {
                then.for_each_relation(visit);
                condition.for_each_relation(visit);
                if let Some(otherwise) = otherwise {
                    otherwise.for_each_relation(visit);
                }
            }
        }
    }
}

impl From<Relation> for Dep {
    fn from(relation: Relation) -> Self {
        Dep::Relation(relation)
    }
}

impl From<Rich> for Dep {
    fn from(rich: Rich) -> Self {
        Dep::Rich(rich)
    }
}

impl fmt::Display for Dep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Dep::Relation(relation) => relation.fmt(f),
            Dep::Rich(rich) => rich.fmt(f),
        }
    }
}

impl fmt::Display for Rich {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fn chain(f: &mut fmt::Formatter<'_>, all: &[Dep], operator: &str) -> fmt::Result {
            for (i, dep) in all.iter().enumerate() {
                if i > 0 {
                    write!(f, " {operator} ")?;
                }
                dep.fmt(f)?;
            }
            Ok(())
        }
        f.write_str("(")?;
        match self {
            Rich::And(all) => chain(f, all, "and")?,
            Rich::Or(all) => chain(f, all, "or")?,
            Rich::With(all) => chain(f, all, "with")?,
            Rich::Without(a, b) => write!(f, "{a} without {b}")?,
            Rich::If { then, condition, otherwise } => {
                write!(f, "{then} if {condition}")?;
                if let Some(otherwise) = otherwise {
                    write!(f, " else {otherwise}")?;
                }
            }
            Rich::Unless { then, condition, otherwise } => {
                write!(f, "{then} unless {condition}")?;
                if let Some(otherwise) = otherwise {
                    write!(f, " else {otherwise}")?;
                }
            }
        }
        f.write_str(")")
    }
}

impl FromStr for Dep {
    type Err = ParseError;

    /// A text that begins with `(` is a rich dependency, every other one a simple relation.
    fn from_str(text: &str) -> Result<Self, ParseError> {
        let trimmed = text.trim();
        if !trimmed.starts_with('(') {
            return trimmed.parse().map(Dep::Relation);
        }
        parse_group(trimmed)
    }
}

/// Reads a text in parentheses. `(foo)` is legal and means `foo`.
fn parse_group(text: &str) -> Result<Dep, ParseError> {
    let fail = |reason: &str| ParseError::new(text, "a rich dependency", reason);
    if text.contains(|c: char| c.is_whitespace() && c != ' ') {
        return Err(fail("it has white space other than spaces"));
    }
    let mut parser = Parser { rest: text, terms: 0 };
    let dep = parser.group(0).map_err(fail)?;
    if parser.rest.is_empty() {
        Ok(dep)
    } else {
        Err(fail("something follows the closing parenthesis"))
    }
}

struct Parser<'a> {
    rest: &'a str,
    terms: usize,
}

impl<'a> Parser<'a> {
    fn skip_spaces(&mut self) {
        self.rest = self.rest.trim_start_matches(' ');
    }

    /// A word as libsolv cuts it: up to a space, a comma, or a closing parenthesis that it did not open itself
    /// (capabilities such as `libc.so.6()(64bit)` have parentheses of their own).
    fn word(&mut self) -> Result<&'a str, &'static str> {
        let mut open = 0usize;
        let end = self.rest.find(|c| match c {
            ' ' | ',' => true,
            '(' => {
                open += 1;
                false
            }
            ')' if open == 0 => true,
            ')' => {
                open -= 1;
                false
            }
            _ => false,
        });
        if open > 0 {
            return Err("a parenthesis within a name is not closed");
        }
        let (word, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = rest;
        Ok(word)
    }

    fn group(&mut self, depth: usize) -> Result<Dep, &'static str> {
        if depth >= MAX_NESTING {
            return Err("it is nested too deeply");
        }
        self.rest = self.rest.strip_prefix('(').ok_or("an opening parenthesis is missing")?;
        let first = self.operand(depth)?;
        let Some(operator) = self.operator()? else {
            return Ok(first);
        };
        match operator {
            "and" | "or" | "with" | "without" => {
                let mut all = vec![first, self.operand(depth)?];
                while let Some(next) = self.operator()? {
                    if next != operator {
                        return Err("different operators need parentheses");
                    }
                    all.push(self.operand(depth)?);
                }
                Ok(Dep::Rich(match operator {
                    "and" => Rich::And(all),
                    "or" => Rich::Or(all),
                    "with" => Rich::With(all),
                    _ => {
                        // A chain of `without` nests to the right.
                        if all.len() + depth > MAX_NESTING {
                            return Err("it is nested too deeply");
                        }
                        return fold_right(all, |a, b| Rich::Without(Box::new(a), Box::new(b)));
                    }
                }))
            }
            "if" | "unless" => {
                let mut all = vec![first, self.operand(depth)?];
                let mut otherwise = None;
                while let Some(next) = self.operator()? {
                    if otherwise.is_some() {
                        return Err("something follows the operand of else");
                    } else if next == "else" {
                        otherwise = Some(self.operand(depth)?);
                    } else if next == operator {
                        all.push(self.operand(depth)?);
                    } else {
                        return Err("different operators need parentheses");
                    }
                }
                if all.len() + depth > MAX_NESTING {
                    return Err("it is nested too deeply");
                }
                let mut otherwise = otherwise.map(Box::new);
                fold_right(all, |then, condition| {
                    let (then, condition) = (Box::new(then), Box::new(condition));
                    let otherwise = otherwise.take();
                    if operator == "if" {
                        Rich::If { then, condition, otherwise }
                    } else {
                        Rich::Unless { then, condition, otherwise }
                    }
                })
            }
            _ => Err("else without if or unless"),
        }
    }

    fn operand(&mut self, depth: usize) -> Result<Dep, &'static str> {
        self.terms += 1;
        if self.terms > MAX_TERMS {
            return Err("it has too many parts");
        }
        self.skip_spaces();
        if self.rest.starts_with('(') {
            return self.group(depth + 1);
        }
        let name = self.word()?;
        if name.is_empty() {
            return Err("an operand is missing");
        }
        self.skip_spaces();
        let end = self.rest.find(|c| !matches!(c, '<' | '=' | '>')).unwrap_or(self.rest.len());
        let (op, rest) = self.rest.split_at(end);
        if op.is_empty() {
            return Ok(Dep::Relation(Relation::any(name)));
        }
        let op: Op = op.parse().map_err(|_| "an operator is not one of <, <=, =, >= and >")?;
        self.rest = rest;
        self.skip_spaces();
        let evr = self.word()?;
        if evr.is_empty() {
            return Err("a version is missing");
        }
        Relation::versioned(name, op, evr).map(Dep::Relation).map_err(|_| "a version is malformed")
    }

    /// The next operator, or none at the closing parenthesis, which it consumes.
    fn operator(&mut self) -> Result<Option<&'a str>, &'static str> {
        self.skip_spaces();
        if let Some(rest) = self.rest.strip_prefix(')') {
            self.rest = rest;
            return Ok(None);
        }
        let end = self.rest.find([' ', ')']).ok_or("a closing parenthesis is missing")?;
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        match word {
            "and" | "or" | "if" | "unless" | "else" | "with" | "without" => Ok(Some(word)),
            _ => Err("known operators are and, or, if, unless, else, with and without"),
        }
    }
}

fn fold_right(all: Vec<Dep>, mut join: impl FnMut(Dep, Dep) -> Rich) -> Result<Dep, &'static str> {
    all.into_iter()
        .rev()
        .reduce(|right, left| Dep::Rich(join(left, right)))
        .ok_or("an operand is missing")
}
