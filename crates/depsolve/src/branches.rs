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
        let mut found = None;
        for b in (0..self.branches.len()).rev() {
            let Branch { start, end, level } = self.branches[b];
            let mut preferred = None;
            let mut installed_later = false;
            for i in start..end {
                let literal = self.branch_candidates[i];
                if literal <= 0 {
                    continue;
                }
                let package = package_of(literal);
                if self.decision[package as usize] > level {
                    found = Some((b, i));
                    installed_later = true;
                    break;
                }
                if preferred.is_none() && self.is_preferred(package) {
                    preferred = Some(i);
                }
            }
            if let (Some(preferred), false) = (preferred, installed_later) {
                let chosen = (start..end).find(|i| {
                    let literal = -self.branch_candidates[*i];
                    literal > 0
                        && self.decision[package_of(literal) as usize] == level + 1
                        && !self.is_preferred(package_of(literal))
                });
                if chosen.is_some() {
                    found = Some((b, preferred));
                }
            }
        }
        found
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
