//! Learning from dead ends.
//!
//! When a clause cannot be satisfied any more, the decisions that led there are resolved back along their reasons to
//! the first point where one literal of the present level implies the rest (the first unique implication point).
//! The clause found there forbids that combination for good; the search goes on at the level where it begins to say
//! something. What holds at level 1 holds always and is left out.

use crate::jobs::JobSource;
use crate::rich::{Literal, package_of, positive};
use crate::solver::{Clause, Solver};
use crate::universe::NEVER;

impl Solver<'_> {
    /// Calls `visit` with each literal of a clause.
    pub(crate) fn for_each_literal(&self, clause: Clause, mut visit: impl FnMut(Literal)) {
        match clause {
            Clause::Pair(a, b) => {
                visit(-positive(a));
                visit(-positive(b));
            }
            Clause::Single { package, only } => {
                visit(-positive(package));
                visit(positive(only));
            }
            Clause::List { package, list } => {
                visit(-positive(package));
                for member in self.universe.clause_lists.row(list) {
                    visit(positive(*member));
                }
            }
            Clause::General(id) => {
                for literal in self.universe.general.row(id) {
                    visit(*literal as Literal);
                }
            }
            Clause::Dynamic(id) => {
                for literal in self.dynamic.row(id) {
                    visit(*literal as Literal);
                }
            }
        }
    }

    /// Learns a clause from a conflict, goes back to the level where it says something, and follows it there. Returns
    /// that level.
    pub(crate) fn learn(&mut self, level: i32, conflict: Clause) -> i32 {
        self.learnt += 1;
        let mut others = std::mem::take(&mut self.learn_others);
        others.clear();
        let mut back_to = 1;
        let mut left = 0;
        let mut index = self.trail.len();
        let mut clause = conflict;
        let mut marked = std::mem::take(&mut self.learn_marked);
        marked.clear();
        let pivot = loop {
            self.derived.push(clause);
            let mut seen = std::mem::take(&mut self.seen);
            self.for_each_literal(clause, |literal| {
                let package = package_of(literal);
                let decided = self.decision[package as usize];
                if (decided > 0) == (literal > 0)
                    || seen[package as usize]
                    || self.universe.has(package, NEVER)
                {
                    return;
                }
                seen[package as usize] = true;
                marked.push(package);
                match decided.abs() {
                    1 => {}
                    at if at == level => left += 1,
                    at => {
                        others.push(literal);
                        back_to = back_to.max(at);
                    }
                }
            });
            let literal = loop {
                index -= 1;
                let literal = self.trail[index].literal;
                let package = package_of(literal);
                if seen[package as usize] && self.decision[package as usize].abs() == level {
                    break literal;
                }
            };
            self.seen = seen;
            left -= 1;
            if left == 0 {
                break -literal;
            }
            match self.trail[index].why {
                Some(why) => clause = why,
                // The decision itself is the last of its level, so `left` was 0 before.
                None => break -literal,
            }
        };
        for package in &marked {
            self.seen[*package as usize] = false;
        }
        self.learn_marked = marked;
        self.revert(back_to);
        let id = self.sources.len() as u32;
        self.add_clause(std::iter::once(pivot).chain(others.iter().copied()), JobSource::Learnt);
        self.watch_learnt(id);
        self.learn_others = others;
        self.derived_ends.push(self.derived.len());
        self.assign(pivot, back_to, Some(Clause::Dynamic(id)));
        back_to
    }
}
