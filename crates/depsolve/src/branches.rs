//! Minimisation: decisions among several candidates are taken back when another candidate turns out to be better.

use crate::rich::{package_of, positive};
use crate::solver::Solver;

/// A decision among several candidates that may be taken back to try another one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Branch {
    /// Where its candidates begin in `branch_candidates`.
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) level: i32,
}

impl Solver<'_> {
    /// Remembers that any of `self.candidates` would have done.
    pub(crate) fn open_branch(&mut self, level: i32) {
        let start = self.branch_candidates.len();
        for (i, package) in self.candidates.iter().enumerate() {
            let literal = positive(*package);
            self.branch_candidates.push(if i == 0 { -literal } else { literal });
        }
        self.branches.push(Branch { start, end: self.branch_candidates.len(), level });
    }

    /// Minimisation: the earliest decision of which another candidate was installed later anyway, or would have been
    /// preferred with what is known now; as branch and place of that candidate.
    pub(crate) fn find_improvement(&self) -> Option<(usize, usize)> {
        for b in 0..self.branches.len() {
            let Branch { start, end, level } = self.branches[b];
            let candidates = start..end;
            let literals = &self.branch_candidates;
            let installed_later = candidates.clone().find(|i| {
                let literal = literals[*i];
                literal > 0 && self.decision[package_of(literal) as usize] > level
            });
            if let Some(i) = installed_later {
                return Some((b, i));
            }
            let without_reason = candidates.clone().any(|i| {
                let literal = -literals[i];
                literal > 0
                    && self.decision[package_of(literal) as usize] == level + 1
                    && !self.is_preferred(package_of(literal))
            });
            if without_reason
                && let Some(i) = candidates.into_iter().find(|i| {
                    let literal = literals[*i];
                    literal > 0 && self.is_preferred(package_of(literal))
                })
            {
                return Some((b, i));
            }
        }
        None
    }

    /// Takes a decision back, and everything after it, and decides for another candidate.
    pub(crate) fn take_branch(&mut self, b: usize, i: usize) -> i32 {
        let level = self.branches[b].level;
        let literal = self.branch_candidates[i];
        self.branch_candidates[i] = -literal;
        // The branch itself stays, so that its other candidates can still be tried.
        self.branches[b].level = 0;
        self.revert(level);
        self.branches[b].level = level;
        self.decide(level, literal)
    }
}
