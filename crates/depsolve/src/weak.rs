//! Weak dependencies: what is installed if nothing speaks against it.

use crate::policy::Mode;
use crate::rich::{Literal, Met, package_of, positive};
use crate::solver::Solver;
use crate::universe::RICH;
use crate::walk::ONE;

/// What installed packages recommend, in the order in which they were installed, but for what is settled. Kept up while
/// decisions are only added: what is satisfied, or impossible, stays so. (A rich recommendation may begin to say
/// something at any time, and is always kept.)
#[derive(Debug, Default)]
pub(crate) struct Pending {
    /// As in [`crate::walk::Walk::wanted`].
    wanted: Vec<u32>,
    /// How many of [`Solver::recommenders`] are in it.
    recommenders: usize,
    /// Whether no decision was taken back since.
    current: bool,
}

impl Pending {
    /// To be called when decisions are taken back.
    pub(crate) fn forget(&mut self) {
        self.current = false;
    }
}

impl Solver<'_> {
    /// Installs what supplements or is recommended by installed packages. Returns the level, and whether anything was
    /// tried, so that dependencies have to be looked at again.
    pub(crate) fn decide_weak(&mut self, mut level: i32) -> (i32, bool) {
        self.collect_recommended();
        self.collect_supplementing();
        for i in 0..self.supplements.len() {
            self.add_candidate(self.supplements[i]);
        }
        match self.candidates.as_slice() {
            [] => return (level, false),
            [only] => {
                let only = *only;
                self.in_candidates[only as usize] = false;
                return (self.decide(level, positive(only)), true);
            }
            _ => {}
        }
        for i in 0..self.candidates.len() {
            self.in_candidates[self.candidates[i] as usize] = false;
        }
        // The best versions of all together are the only ones that are considered.
        self.filter(Mode::Recommend);
        let mut best = std::mem::take(&mut self.best);
        std::mem::swap(&mut best, &mut self.candidates);
        for p in &best {
            self.in_candidates[*p as usize] = true;
        }
        let mut supplements = std::mem::take(&mut self.supplements);
        supplements.retain(|p| self.in_candidates[*p as usize]);
        if supplements.len() > 1 {
            self.order(&mut supplements);
        }
        let known = self.trail.len();
        let mut interrupted = false;
        for p in &supplements {
            if self.decision[*p as usize] != 0 {
                continue;
            }
            let before = level;
            level = self.decide(level, positive(*p));
            if level <= before {
                interrupted = true;
                break;
            }
        }
        self.supplements = supplements;
        if !interrupted && self.trail.len() >= known {
            level = self.install_recommended(level, known);
        }
        for p in &best {
            self.in_candidates[*p as usize] = false;
        }
        self.best = best;
        (level, true)
    }

    fn add_candidate(&mut self, package: u32) {
        if !std::mem::replace(&mut self.in_candidates[package as usize], true) {
            self.candidates.push(package);
        }
    }

    /// Undecided candidates of everything that is recommended and not satisfied.
    fn collect_recommended(&mut self) {
        let universe = self.universe;
        self.candidates.clear();
        let mut pending = std::mem::take(&mut self.pending);
        if !pending.current {
            pending.current = true;
            pending.recommenders = 0;
            pending.wanted.clear();
        }
        for recommender in &self.recommenders[pending.recommenders..] {
            pending.wanted.extend_from_slice(universe.walk.wanted.row(*recommender));
        }
        pending.recommenders = self.recommenders.len();
        pending.wanted.retain(|wanted| {
            if wanted & RICH != 0 {
                for block in universe.rich_blocks.row(wanted & !RICH) {
                    self.add_block(*block, false);
                }
                return true;
            }
            if wanted & ONE != 0 {
                let only = wanted & !ONE;
                let undecided = self.decision[only as usize] == 0;
                if undecided {
                    self.add_candidate(only);
                }
                return undecided;
            }
            if self.any_installed(*wanted) {
                return false;
            }
            let mut possible = false;
            for p in universe.lists.row(*wanted) {
                if self.decision[*p as usize] == 0 {
                    possible = true;
                    self.add_candidate(*p);
                }
            }
            possible
        });
        self.pending = pending;
    }

    fn any_installed(&self, list: u32) -> bool {
        self.universe.lists.row(list).iter().any(|p| self.decision[*p as usize] > 0)
    }

    /// Adds the undecided candidates of one clause of a rich recommendation, unless its condition does not hold or it
    /// is satisfied. With `chosen`, only those among the best versions, and without regard to repetition.
    fn add_block(&mut self, block: u32, chosen: bool) {
        let literals = self.universe.blocks.row(block);
        let holds = literals.iter().all(|literal| {
            let literal = *literal as Literal;
            let decided = self.decision[package_of(literal) as usize];
            if literal < 0 { decided > 0 } else { decided <= 0 }
        });
        if !holds {
            return;
        }
        for literal in literals {
            let literal = *literal as Literal;
            let package = package_of(literal);
            if literal < 0 || self.decision[package as usize] != 0 {
                continue;
            }
            if !chosen {
                self.add_candidate(package);
            } else if self.in_candidates[package as usize] && !self.candidates.contains(&package) {
                self.candidates.push(package);
            }
        }
    }

    fn collect_supplementing(&mut self) {
        let universe = self.universe;
        let mut found = std::mem::take(&mut self.supplements);
        found.clear();
        for p in &universe.supplementing {
            if self.wishes.get() > self.limits.wishes {
                break;
            }
            // A supplement that holds only because something is absent installs nothing.
            if self.decision[*p as usize] == 0
                && self.supplements(*p) == Met::ByPresence
                && !self.other_arch_installed(*p)
            {
                found.push(*p);
            }
        }
        self.supplements = found;
    }

    /// Whether the same package is installed for another architecture.
    fn other_arch_installed(&self, package: u32) -> bool {
        let arch = &self.universe.arch;
        self.universe.same_name(package).any(|other| {
            self.decision[other as usize] > 0 && arch[other as usize] != arch[package as usize]
        })
    }

    /// Goes through what was recommended before, in the order in which its recommenders were installed.
    fn install_recommended(&mut self, mut level: i32, known: usize) -> i32 {
        let universe = self.universe;
        let pending = std::mem::take(&mut self.pending);
        // What is taken back meanwhile ends this; and then nothing of it is known any more.
        self.pending.current = true;
        for (i, wanted) in pending.wanted.iter().enumerate() {
            if let Some(later) = pending.wanted.get(i + 4)
                && later & (RICH | ONE) == ONE
            {
                universe.walk.announce(later & !ONE);
            }
            self.candidates.clear();
            if wanted & RICH != 0 {
                for block in universe.rich_blocks.row(wanted & !RICH) {
                    self.add_block(*block, true);
                }
            } else if wanted & ONE != 0 {
                let only = wanted & !ONE;
                if self.decision[only as usize] == 0 && self.in_candidates[only as usize] {
                    self.candidates.push(only);
                }
            } else if !self.any_installed(*wanted) {
                for p in universe.lists.row(*wanted) {
                    if self.decision[*p as usize] == 0 && self.in_candidates[*p as usize] {
                        self.candidates.push(*p);
                    }
                }
            }
            if self.candidates.is_empty() {
                continue;
            }
            if self.candidates.len() > 1 {
                self.filter(Mode::Choose);
            }
            if self.candidates.len() > 1 {
                self.open_branch(level);
            }
            let before = level;
            level = self.decide(level, positive(self.candidates[0]));
            if level <= before || self.trail.len() < known {
                break;
            }
        }
        let current = self.pending.current;
        self.pending = Pending { current, ..pending };
        level
    }
}
