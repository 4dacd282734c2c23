//! Rich dependencies as clauses.
//!
//! A solver knows only clauses: “one of these must be installed, or one of those must not be”. A rich requirement
//! `(a if b)` of a package p is the clause ¬p ∨ ¬b ∨ a. This module turns any nesting of `and`, `or`, `if` and
//! `unless` into a conjunction of clauses, by the same steps as libsolv (so that the clauses come out in the
//! same order, on which decisions depend).

use std::cell::Cell;
use std::collections::HashSet;

use rpm::{Dep, Rich};

use crate::offers::{MetBy, Offers};

/// A literal: package number plus one, negative for “not installed”.
pub(crate) type Literal = i32;

pub(crate) fn positive(package: u32) -> Literal {
    package as i32 + 1
}

pub(crate) fn package_of(literal: Literal) -> u32 {
    literal.unsigned_abs() - 1
}

/// How many literals the normal form of one dependency may have. Nested alternatives multiply; a dependency beyond
/// this is one that nobody can have meant; a repository that has one is refused.
pub(crate) const MAX_LITERALS: usize = 100_000;

/// How many operands and literals may be looked at for each literal that the normal form of one dependency may have, which
/// is as absurd beyond this. Clauses that contradict themselves, or are there already, are no literals of the result, and yet take time; and a
/// condition with an alternative is looked at twice, the condition within it four times, and so on.
const EFFORT_PER_LITERAL: usize = 40;

/// Clauses, or the knowledge that it is never or always met, or that there are too many. Each clause is sorted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Normal {
    Never,
    Always,
    Blocks(Vec<Vec<Literal>>),
    TooMany,
}

/// Whether a dependency needs clauses of its own, because it is more than a choice among packages.
pub(crate) fn is_complex(dep: &Dep) -> bool {
    match dep {
        Dep::Rich(Rich::And(_) | Rich::If { .. } | Rich::Unless { .. }) => true,
        Dep::Rich(Rich::Or(all)) => all.iter().any(is_complex),
        _ => false,
    }
}

/// A conjunction of clauses that holds when the dependency is met.
pub(crate) fn clauses(offers: &Offers, dep: &Dep) -> Normal {
    clauses_within(offers, dep, MAX_LITERALS)
}

/// The same, of at most so many literals.
pub(crate) fn clauses_within(offers: &Offers, dep: &Dep, most: usize) -> Normal {
    Normalizer::new(offers, most).dep(dep, false)
}

/// The same; adds to `effort` how many operands, provides and literals were looked at.
pub(crate) fn counted_clauses(offers: &Offers, dep: &Dep, effort: &Cell<usize>) -> Normal {
    let normalizer = Normalizer::new(offers, MAX_LITERALS);
    let normal = normalizer.dep(dep, false);
    effort.set(effort.get().saturating_add(normalizer.effort.get()));
    normal
}

/// A conjunction of clauses that holds when the dependency is *not* met (for conflicts).
pub(crate) fn inverted_clauses(offers: &Offers, dep: &Dep) -> Normal {
    counted_inverted_clauses(offers, dep, &Cell::new(0))
}

/// The same; adds to `effort` how many operands, provides and literals were looked at.
pub(crate) fn counted_inverted_clauses(offers: &Offers, dep: &Dep, effort: &Cell<usize>) -> Normal {
    let normalizer = Normalizer::new(offers, MAX_LITERALS);
    let normal = invert(normalizer.dep(dep, true));
    effort.set(effort.get().saturating_add(normalizer.effort.get()));
    normal
}

/// The clause that one block of a package's rich requirement, or of the opposite of its rich conflict, comes to; `None` if
/// it always holds.
pub(crate) fn clause_of_package(
    package: u32,
    mut block: Vec<Literal>,
    is_conflict: bool,
) -> Option<Vec<Literal>> {
    let own = positive(package);
    if block.binary_search(&own).is_ok() {
        return None;
    }
    if block == [-own] {
        // It forbids itself. A conflict of a package with itself is none.
        return (!is_conflict).then_some(block);
    }
    if let Err(place) = block.binary_search(&-own) {
        block.insert(place, -own);
    }
    Some(block)
}

/// The packages that may be installed for the sake of a weak dependency.
pub(crate) fn positive_packages(offers: &Offers, dep: &Dep, negated: bool, into: &mut Vec<u32>) {
    match dep {
        Dep::Rich(Rich::And(all) | Rich::Or(all)) => {
            for dep in all {
                positive_packages(offers, dep, negated, into);
            }
        }
        Dep::Rich(
            Rich::If { then, condition, otherwise } | Rich::Unless { then, condition, otherwise },
        ) => {
            positive_packages(offers, then, negated, into);
            positive_packages(offers, condition, !negated, into);
            if let Some(otherwise) = otherwise {
                positive_packages(offers, otherwise, negated, into);
            }
        }
        _ if negated => {}
        _ => into.extend(offers.potential(dep).0),
    }
}

struct Normalizer<'a> {
    offers: &'a Offers,
    /// How many literals the result may have.
    most: usize,
    /// How much was looked at so far.
    effort: Cell<usize>,
}

/// `dnf` asks for the disjunctive form: blocks are alternatives whose literals must all hold.
impl<'a> Normalizer<'a> {
    fn new(offers: &'a Offers, most: usize) -> Self {
        Normalizer { offers, most, effort: Cell::new(0) }
    }

    /// Whether so much more may be looked at.
    fn affords(&self, more: usize) -> bool {
        let effort = self.effort.get().saturating_add(more);
        self.effort.set(effort);
        effort <= self.most.saturating_mul(EFFORT_PER_LITERAL)
    }

    fn dep(&self, dep: &Dep, dnf: bool) -> Normal {
        if !self.affords(1) {
            return Normal::TooMany;
        }
        if is_complex(dep) {
            match dep {
                Dep::Rich(Rich::If { then, condition, otherwise: None }) => {
                    return self.or(self.dep(then, dnf), invert(self.dep(condition, !dnf)), dnf);
                }
                Dep::Rich(Rich::Unless { then, condition, otherwise: None }) => {
                    return self.and(self.dep(then, dnf), invert(self.dep(condition, !dnf)), dnf);
                }
                // a if b else c: (a or not b) and (b or c)
                Dep::Rich(Rich::If { then, condition, otherwise: Some(otherwise) }) => {
                    let first =
                        self.or(self.dep(then, dnf), invert(self.dep(condition, !dnf)), dnf);
                    return self.and(
                        first,
                        self.or(self.dep(condition, dnf), self.dep(otherwise, dnf), dnf),
                        dnf,
                    );
                }
                // a unless b else c: (a and not b) or (b and c)
                Dep::Rich(Rich::Unless { then, condition, otherwise: Some(otherwise) }) => {
                    let first =
                        self.and(self.dep(then, dnf), invert(self.dep(condition, !dnf)), dnf);
                    return self.or(
                        first,
                        self.and(self.dep(condition, dnf), self.dep(otherwise, dnf), dnf),
                        dnf,
                    );
                }
                Dep::Rich(Rich::And(all)) => return self.chain(all, dnf, Self::and),
                Dep::Rich(Rich::Or(all)) => return self.chain(all, dnf, Self::or),
                _ => {}
            }
        }
        if !self.affords(self.offers.comparisons(dep)) {
            return Normal::TooMany;
        }
        let (packages, met) = self.offers.potential(dep);
        if met == MetBy::System {
            return Normal::Always;
        }
        if packages.is_empty() {
            return Normal::Never;
        }
        let literals = packages.into_iter().map(positive);
        Normal::Blocks(if dnf {
            literals.map(|literal| vec![literal]).collect()
        } else {
            vec![literals.collect()]
        })
    }

    /// Chains nest to the right.
    fn chain(
        &self,
        all: &[Dep],
        dnf: bool,
        join: impl Fn(&Self, Normal, Normal, bool) -> Normal,
    ) -> Normal {
        let mut rest: Option<Normal> = None;
        for dep in all.iter().rev() {
            let this = self.dep(dep, dnf);
            rest = Some(match rest {
                None => this,
                Some(rest) => join(self, this, rest, dnf),
            });
        }
        rest.unwrap_or(Normal::Always)
    }

    fn or(&self, a: Normal, b: Normal, dnf: bool) -> Normal {
        match (a, b) {
            (Normal::TooMany, _) | (_, Normal::TooMany) => Normal::TooMany,
            (Normal::Always, _) | (_, Normal::Always) => Normal::Always,
            (Normal::Never, b) => b,
            (a, Normal::Never) => a,
            (Normal::Blocks(a), Normal::Blocks(b)) => self.join_blocks(a, b, dnf, !dnf),
        }
    }

    fn and(&self, a: Normal, b: Normal, dnf: bool) -> Normal {
        match (a, b) {
            (Normal::TooMany, _) | (_, Normal::TooMany) => Normal::TooMany,
            (Normal::Never, _) | (_, Normal::Never) => Normal::Never,
            (Normal::Always, b) => b,
            (a, Normal::Always) => a,
            (Normal::Blocks(a), Normal::Blocks(b)) => self.join_blocks(a, b, dnf, dnf),
        }
    }

    fn join_blocks(
        &self,
        mut a: Vec<Vec<Literal>>,
        b: Vec<Vec<Literal>>,
        dnf: bool,
        distribute: bool,
    ) -> Normal {
        let literals = |blocks: &[Vec<Literal>]| blocks.iter().map(Vec::len).sum::<usize>();
        if !distribute {
            if literals(&a) + literals(&b) > self.most {
                return Normal::TooMany;
            }
            a.extend(b);
            return Normal::Blocks(a);
        }
        if !self.affords(literals(&a) * b.len() + literals(&b) * a.len()) {
            return Normal::TooMany;
        }
        let mut out = Vec::new();
        let mut known = HashSet::new();
        let mut total = 0;
        for x in &a {
            for y in &b {
                let mut block = x.clone();
                block.extend_from_slice(y);
                block.sort_unstable();
                block.dedup();
                let contradicts =
                    block.iter().take_while(|l| **l < 0).any(|l| block.binary_search(&-l).is_ok());
                if !contradicts && !known.contains(&block) {
                    total += block.len();
                    if total > self.most {
                        return Normal::TooMany;
                    }
                    known.insert(block.clone());
                    out.push(block);
                }
            }
        }
        if out.is_empty() {
            return if dnf { Normal::Never } else { Normal::Always };
        }
        Normal::Blocks(out)
    }
}

/// De Morgan: turns either form of a dependency into the other form of its opposite.
fn invert(normal: Normal) -> Normal {
    match normal {
        Normal::Never => Normal::Always,
        Normal::Always => Normal::Never,
        Normal::TooMany => Normal::TooMany,
        Normal::Blocks(mut blocks) => {
            for block in &mut blocks {
                for literal in block.iter_mut() {
                    *literal = -*literal;
                }
                block.reverse();
            }
            Normal::Blocks(blocks)
        }
    }
}

/// A dependency in a form that can be evaluated against what is installed, as words: for Supplements and Enhances,
/// which are asked again and again. Leaves are numbers of provider lists, and whether
/// the system itself meets them, too.
pub(crate) fn compile(dep: &Dep, leaf: &mut impl FnMut(&Dep) -> (u32, MetBy), into: &mut Vec<u32>) {
    match dep {
        Dep::Rich(Rich::And(all)) => {
            into.extend([AND, all.len() as u32]);
            all.iter().for_each(|dep| compile(dep, leaf, into));
        }
        Dep::Rich(Rich::Or(all)) => {
            into.extend([OR, all.len() as u32]);
            all.iter().for_each(|dep| compile(dep, leaf, into));
        }
        Dep::Rich(Rich::If { then, condition, otherwise }) => {
            into.push(if otherwise.is_some() { IF_ELSE } else { IF });
            compile(then, leaf, into);
            compile(condition, leaf, into);
            if let Some(otherwise) = otherwise {
                compile(otherwise, leaf, into);
            }
        }
        Dep::Rich(Rich::Unless { then, condition, otherwise }) => {
            into.push(if otherwise.is_some() { UNLESS_ELSE } else { UNLESS });
            compile(then, leaf, into);
            compile(condition, leaf, into);
            if let Some(otherwise) = otherwise {
                compile(otherwise, leaf, into);
            }
        }
        _ => {
            let (list, met) = leaf(dep);
            compile_leaf(list, met, into);
        }
    }
}

/// The words for one list.
pub(crate) fn compile_leaf(list: u32, met: MetBy, into: &mut Vec<u32>) {
    match met {
        MetBy::Packages => into.extend([LEAF, list]),
        MetBy::System => into.extend([OR, 2, SYSTEM, LEAF, list]),
    }
}

const LEAF: u32 = 0;
pub(crate) const AND: u32 = 1;
pub(crate) const OR: u32 = 2;
pub(crate) const IF: u32 = 3;
pub(crate) const IF_ELSE: u32 = 4;
pub(crate) const UNLESS: u32 = 5;
pub(crate) const UNLESS_ELSE: u32 = 6;
pub(crate) const SYSTEM: u32 = 7;

/// How a dependency is met by what is installed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Met {
    No,
    /// Only by what is absent, or by the system itself.
    ByAbsence,
    /// By something installed.
    ByPresence,
}

use Met::{ByAbsence, ByPresence, No};

/// Evaluates what [`compile`] made; `installed` tells whether a list has an installed member.
pub(crate) fn evaluate(code: &[u32], installed: &impl Fn(u32) -> bool) -> Met {
    let mut position = 0;
    step(code, &mut position, installed)
}

fn step(code: &[u32], position: &mut usize, installed: &impl Fn(u32) -> bool) -> Met {
    let word = |position: &mut usize| {
        *position += 1;
        code[*position - 1]
    };
    match word(position) {
        operator @ (AND | OR) => {
            let count = word(position);
            let mut met = step(code, position, installed);
            for _ in 1..count {
                let other = step(code, position, installed);
                met = match (operator, met, other) {
                    (AND, No, _) | (AND, _, No) => No,
                    (_, a, b) => a.max(b),
                };
            }
            met
        }
        operator @ (IF | UNLESS) => {
            let then = step(code, position, installed);
            let absent = step(code, position, installed) == No;
            match (operator, then, absent) {
                (IF, No, false) => No,
                (IF, No, true) => ByAbsence,
                (UNLESS, _, false) => No,
                (_, then, _) => then,
            }
        }
        operator @ (IF_ELSE | UNLESS_ELSE) => {
            let then = step(code, position, installed);
            let condition = step(code, position, installed);
            let otherwise = step(code, position, installed);
            let (when_met, when_not) =
                if operator == IF_ELSE { (then, otherwise) } else { (otherwise, then) };
            match (condition, when_met) {
                (No, _) => when_not,
                (_, No) => No,
                (ByPresence, _) => ByPresence,
                (ByAbsence, met) => met,
            }
        }
        SYSTEM => ByAbsence,
        _ => {
            let list = word(position);
            if installed(list) { ByPresence } else { No }
        }
    }
}

/// Whether words read from outside can be evaluated.
pub(crate) fn is_sound(code: &[u32], lists: usize) -> bool {
    let mut rest = code;
    // Every operand still owed; nesting is bounded by what the parser accepts, and by this.
    sound(&mut rest, lists, 0) && rest.is_empty()
}

fn sound(rest: &mut &[u32], lists: usize, depth: usize) -> bool {
    let mut word = || {
        let (first, others) = rest.split_first()?;
        *rest = others;
        Some(*first)
    };
    let operands = match word() {
        _ if depth > rpm::MAX_NESTING + 2 => return false,
        Some(SYSTEM) => return true,
        Some(LEAF) => return word().is_some_and(|list| (list as usize) < lists),
        Some(AND | OR) => match word() {
            Some(count) if count > 0 => count,
            _ => return false,
        },
        Some(IF | UNLESS) => 2,
        Some(IF_ELSE | UNLESS_ELSE) => 3,
        _ => return false,
    };
    (0..operands).all(|_| sound(rest, lists, depth + 1))
}
