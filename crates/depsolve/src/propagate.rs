//! What follows from decisions: unit propagation over clauses that are never written down.
//!
//! Installing p adds to the counters of the lists that contain it, excludes what cannot be beside it, and looks at each
//! list that p requires. Excluding p looks at the lists that contain it. Undoing goes the same way back, so
//! a solve costs only what it touches.

use crate::offers::NONE;
use crate::rich::{Literal, package_of, positive};
use crate::solver::{Clause, Decided, Solver, Status};
use crate::universe::{SINGLE, Universe};
use crate::watch::Since;

impl Solver<'_> {
    /// Records a decision; its consequences wait for [`Solver::propagate`].
    #[inline]
    pub(crate) fn assign(&mut self, literal: Literal, level: i32, why: Option<Clause>) {
        self.decision[package_of(literal) as usize] = if literal > 0 { level } else { -level };
        self.universe.walk.announce(package_of(literal));
        self.trail.push(Decided { literal, why, choices: 0 });
    }

    /// Draws all conclusions; a clause that cannot be satisfied any more is returned.
    pub(crate) fn propagate(&mut self, level: i32) -> Option<Clause> {
        while self.head < self.trail.len() {
            let decided = &mut self.trail[self.head];
            decided.choices = self.choices.len() as u32;
            let literal = decided.literal;
            self.head += 1;
            if let Some(next) = self.trail.get(self.head + 1) {
                self.universe.walk.announce_parts(package_of(next.literal));
            }
            let package = package_of(literal);
            // All counters of this entry are raised before anything else, so that undoing can rely on it.
            if literal > 0 {
                let conflict = self.after_install(package, level);
                if conflict.is_some() {
                    return conflict;
                }
            } else {
                self.count_excluded(package);
                let conflict = self.after_exclude(package, level);
                if conflict.is_some() {
                    return conflict;
                }
            }
        }
        None
    }

    /// Returns whether the package was one of the recommenders.
    #[inline]
    fn uncount_installed(&mut self, package: u32) -> bool {
        let (counters, recommends) = self.universe.walk.counters_of(package);
        for counter in counters {
            self.counters[*counter as usize] -= 1;
        }
        recommends
    }

    fn count_excluded(&mut self, package: u32) {
        for list in self.universe.in_clause_lists.row(package) {
            self.excluded[*list as usize] += 1;
        }
    }

    fn uncount_excluded(&mut self, package: u32) {
        for list in self.universe.in_clause_lists.row(package) {
            self.excluded[*list as usize] -= 1;
        }
    }

    fn after_install(&mut self, package: u32, level: i32) -> Option<Clause> {
        let universe = self.universe;
        let step = universe.walk.step(package);
        for counter in step.counters {
            self.counters[*counter as usize] += 1;
        }
        if step.recommends() {
            self.recommenders.push(package);
        }
        // libsolv's order: clauses as rows of literals compared number by number. It decides which of several
        // contradictions is noticed, and so what is learnt. Lists, with one negative literal, come last.
        let failed = -positive(package);
        let watched = self.watches.has(failed);
        if watched {
            let conflict = self.look_at_watches(failed, Since::Later, level);
            if conflict.is_some() {
                return conflict;
            }
        }
        let all_general: &[u32] =
            if step.in_general() { universe.general_negative.row(package) } else { &[] };
        let mut general = all_general.iter().copied().peekable();
        for other in step.excludes {
            let before = |clause: &u32| is_before_pair(universe, *clause, package, *other);
            while let Some(clause) = general.next_if(before) {
                let conflict = self.look_at_general(clause, failed, level);
                if conflict.is_some() {
                    return conflict;
                }
            }
            let decided = self.decision[*other as usize];
            if decided > 0 {
                return Some(Clause::Pair(package, *other));
            }
            if decided == 0 {
                self.assign(-positive(*other), level, Some(Clause::Pair(package, *other)));
            }
        }
        for clause in general {
            let conflict = self.look_at_general(clause, failed, level);
            if conflict.is_some() {
                return conflict;
            }
        }
        let lists = universe.clause_lists.len() as u32;
        for (index, clause) in step.clauses.iter().enumerate() {
            if clause & SINGLE != 0 {
                let only = clause & !SINGLE;
                let decided = self.decision[only as usize];
                if decided <= 0 {
                    let clause = Clause::Single { package, only };
                    if decided < 0 {
                        return Some(clause);
                    }
                    self.assign(positive(only), level, Some(clause));
                }
                continue;
            }
            if *clause >= lists || self.satisfied(*clause) {
                continue;
            }
            let mut open = NONE;
            let mut several = false;
            let mut satisfied = false;
            for member in universe.clause_lists.row(*clause) {
                let decided = self.decision[*member as usize];
                if decided > 0 {
                    satisfied = true;
                    break;
                }
                if decided == 0 {
                    several |= open != NONE;
                    open = *member;
                }
            }
            if satisfied {
                continue;
            }
            let list = *clause;
            let clause = Clause::List { package, list };
            if several {
                let choice = self.choice(package, index as u32, list);
                self.choices.push(choice);
            } else if open == NONE {
                return Some(clause);
            } else if !self.is_left_for_later(list) {
                self.assign(positive(open), level, Some(clause));
            }
        }
        for clause in all_general {
            self.note_general_choice(*clause);
        }
        if watched { self.look_at_watches(failed, Since::Beginning, level) } else { None }
    }

    /// Remembers a general clause of which all negative literals have failed, and several others are left.
    fn note_general_choice(&mut self, clause: u32) {
        let literals = self.universe.general.row(clause);
        let all_installed = literals.iter().all(|literal| {
            let literal = *literal as Literal;
            literal > 0 || self.decision[package_of(literal) as usize] > 0
        });
        let place = &self.universe.general_place[clause as usize * 2..][..2];
        if all_installed && place[0] != NONE && self.status_of(literals) == Status::Open {
            let lists = self.universe.clause_lists.len() as u32;
            let choice = self.choice(place[0], place[1], lists + clause);
            self.choices.push(choice);
        }
    }

    /// Whether the only open member of a list is left to be found when another member's exclusion is propagated:
    /// libsolv looks at the first member that it has not seen excluded yet.
    fn is_left_for_later(&self, list: u32) -> bool {
        let members = self.universe.clause_lists.row(list);
        if self.excluded[list as usize] as usize + 1 >= members.len() {
            return false;
        }
        let waiting = &self.trail[self.head..];
        let first = members.iter().find(|member| {
            self.decision[**member as usize] == 0
                || waiting.iter().any(|decided| decided.literal == -positive(**member))
        });
        first.is_some_and(|member| self.decision[*member as usize] < 0)
    }

    /// Takes back all decisions above a level.
    pub(crate) fn undo_above(&mut self, level: i32) {
        while let Some(decided) = self.trail.last().copied()
            && self.decision[package_of(decided.literal) as usize].abs() > level
        {
            self.undo_last(decided);
        }
    }

    /// Takes back all decisions but the first ones, to begin with another request.
    pub(crate) fn undo_to(&mut self, decisions: usize) {
        // What was never propagated knows of no choices.
        if decisions < self.head {
            self.choices.truncate(self.trail[decisions].choices as usize);
        }
        let mut recommenders = self.recommenders.len();
        for i in decisions..self.trail.len() {
            if let Some(later) = self.trail.get(i + 4) {
                self.universe.walk.announce(package_of(later.literal));
                self.universe.walk.announce_parts(package_of(self.trail[i + 2].literal));
            }
            let literal = self.trail[i].literal;
            let package = package_of(literal);
            self.decision[package as usize] = 0;
            if i < self.head {
                if literal > 0 {
                    recommenders -= usize::from(self.uncount_installed(package));
                } else {
                    self.uncount_excluded(package);
                }
            }
        }
        self.recommenders.truncate(recommenders);
        self.trail.truncate(decisions);
        self.head = self.head.min(decisions);
        self.open.forget();
        self.pending.forget();
    }

    #[inline]
    fn undo_last(&mut self, last: Decided) {
        let package = package_of(last.literal);
        if let Some(before) = self.trail.len().checked_sub(4) {
            self.universe.walk.announce(package_of(self.trail[before].literal));
            self.universe.walk.announce_parts(package_of(self.trail[before + 2].literal));
        }
        self.decision[package as usize] = 0;
        self.trail.pop();
        if self.head > self.trail.len() {
            self.head = self.trail.len();
            self.choices.truncate(last.choices as usize);
            if last.literal > 0 {
                if self.uncount_installed(package) {
                    self.recommenders.pop();
                }
            } else {
                self.uncount_excluded(package);
            }
        }
        self.open.forget();
        self.pending.forget();
    }
}

/// Whether a clause of several packages comes before the one by which two exclude each other.
fn is_before_pair(universe: &Universe, clause: u32, a: u32, b: u32) -> bool {
    let pair = [-positive(a.max(b)), -positive(a.min(b))];
    universe.general.row(clause).iter().map(|literal| *literal as Literal).lt(pair)
}
