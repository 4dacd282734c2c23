//! Open requirements, and the order in which they are decided.

use crate::policy::Mode;
use crate::rich::{Literal, package_of};
use crate::solver::{Solver, Status};

/// A choice that is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Choice {
    /// Where it stands in the order of decisions: a package's clause, a job or a learnt clause.
    pub(crate) key: u64,
    /// The clause it comes from, as in [`Universe::clauses`](crate::Universe), or the job or learnt clause.
    clause: u32,
}

/// The choices that may still be open, in the order of decisions. Kept up while decisions are only added: what is
/// satisfied stays so, and only what is new has to be put in its place.
#[derive(Debug, Default)]
pub(crate) struct Open {
    choices: Vec<Choice>,
    /// How many of [`Solver::choices`] are in it.
    known: usize,
    /// Whether no decision was taken back since.
    current: bool,
}

impl Open {
    /// To be called when decisions are taken back.
    pub(crate) fn forget(&mut self) {
        self.current = false;
    }
}

impl Solver<'_> {
    /// Decides the open clauses in libsolv's order: by package descending, then by list; jobs after them, learnt clauses
    /// last; cyclically. A first pass takes only those where policy leaves one candidate.
    pub(crate) fn decide_dependencies(&mut self, mut level: i32) -> i32 {
        let first_level = level;
        let mut position = 0u64;
        let mut postponed: Option<u64> = None;
        let mut postponing = true;
        loop {
            self.update_open();
            let split = self.open.choices.partition_point(|choice| choice.key < position);
            let count = self.open.choices.len();
            let mut taken = None;
            for i in (split..count).chain(0..split) {
                let choice = self.open.choices[i];
                if !self.is_open(choice) {
                    continue;
                }
                self.choice_candidates(choice);
                if postponing {
                    self.filter(Mode::ChooseUnordered);
                    if self.candidates.len() > 1 {
                        postponed.get_or_insert(choice.key);
                        continue;
                    }
                }
                taken = Some(choice);
                break;
            }
            let Some(choice) = taken else {
                if let Some(first) = postponed
                    && postponing
                {
                    postponing = false;
                    position = first;
                    continue;
                }
                return level;
            };
            level = self.select_and_install(level);
            if level < first_level {
                return level;
            }
            position = choice.key + 1;
        }
    }

    /// Brings `self.open` up to date.
    fn update_open(&mut self) {
        let mut open = std::mem::take(&mut self.open);
        if !open.current {
            open.current = true;
            open.known = 0;
            open.choices.clear();
            let after = self.universe.len() as u64 + 1;
            let several = self
                .several
                .iter()
                .map(|id| Choice { key: (after + u64::from(*id)) << 32, clause: *id });
            open.choices.extend(several);
        }
        if open.known < self.choices.len() {
            open.choices.extend_from_slice(&self.choices[open.known..]);
            open.known = self.choices.len();
            open.choices.retain(|choice| self.is_open(*choice) || self.is_dynamic(*choice));
            open.choices.sort_unstable();
            open.choices.dedup();
        }
        self.open = open;
    }

    /// Whether a choice still has to be made.
    fn is_open(&self, choice: Choice) -> bool {
        let universe = self.universe;
        if self.is_dynamic(choice) {
            return self.status(choice.clause) == Status::Open
                && !self.dynamic.row(choice.clause).iter().any(|literal| {
                    let literal = *literal as Literal;
                    literal < 0 && self.decision[package_of(literal) as usize] <= 0
                });
        }
        let clause = choice.clause;
        let lists = universe.clause_lists.len() as u32;
        if clause < lists {
            !self.satisfied(clause)
        } else {
            self.status_of(universe.general.row(clause - lists)) == Status::Open
        }
    }

    /// The choice of a package's clause, which is the one with this index; highest package first.
    pub(crate) fn choice(&self, package: u32, index: u32, clause: u32) -> Choice {
        let from_the_last = self.universe.len() as u32 - package;
        Choice { key: u64::from(from_the_last) << 32 | u64::from(index), clause }
    }

    /// Whether it comes from a job or a learnt clause.
    fn is_dynamic(&self, choice: Choice) -> bool {
        choice.key >> 32 > self.universe.len() as u64
    }

    fn choice_candidates(&mut self, choice: Choice) {
        self.whole_list = None;
        if self.is_dynamic(choice) {
            self.job_candidates(choice.clause);
            return;
        }
        self.candidates.clear();
        let universe = self.universe;
        let lists = universe.clause_lists.len() as u32;
        let clause = choice.clause;
        let decision = &self.decision;
        if clause < lists {
            let members = universe.clause_lists.row(clause);
            self.candidates.extend(members.iter().copied().filter(|p| decision[*p as usize] == 0));
            if self.candidates.len() == members.len() {
                self.whole_list = Some(clause);
            }
        } else {
            let literals = universe.general.row(clause - lists).iter();
            self.candidates.extend(
                literals
                    .filter(|literal| (**literal as Literal) > 0)
                    .map(|literal| package_of(*literal as Literal))
                    .filter(|p| decision[*p as usize] == 0),
            );
        }
    }

    /// The undecided candidates of an unsatisfied job, or nothing.
    pub(crate) fn job_candidates(&mut self, job: u32) {
        let Solver { candidates, dynamic, decision, whole_list, .. } = self;
        candidates.clear();
        *whole_list = None;
        for literal in dynamic.row(job) {
            let literal = *literal as Literal;
            let package = package_of(literal);
            let decided = decision[package as usize];
            if (literal < 0 && decided <= 0) || (literal > 0 && decided > 0) {
                candidates.clear();
                return;
            }
            if decided == 0 {
                candidates.push(package);
            }
        }
    }
}
