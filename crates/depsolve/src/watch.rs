//! Which clauses are looked at when a package is decided, and in which order.
//!
//! The lists and exclusions of the universe have their counters. Jobs, what was learnt, and general clauses (those with
//! several packages that must not be installed) are *watched*, as in every modern solver: a clause watches two
//! literals that do not fail yet. Only when one of them fails it is looked at, and then watches another one; if there is
//! none, the other literal must hold.
//!
//! The order in which this happens decides which of several contradictions is noticed, and so what is learnt. It is
//! libsolv's: a literal has first those clauses that came to watch it later, the last one first, and then those that
//! watched it from the beginning, in the order of the clauses. Watches stay where they are when decisions are taken
//! back.

use std::cmp::Reverse;

use crate::offers::NONE;
use crate::rich::{Literal, package_of};
use crate::solver::{Clause, Solver};

/// Marks a general clause; other numbers are those of jobs and learnt clauses.
const GENERAL: u32 = 1 << 31;

/// Which of a literal's two lists.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Since {
    /// Clauses that came to watch it later, the last one first.
    Later,
    /// Jobs that have watched it from the beginning.
    Beginning,
}

/// Lists of the clauses that watch each literal. A watch is a clause's number times two, plus which of its two it is.
#[derive(Debug, Default)]
pub(crate) struct Watches {
    /// By literal: the first of each list.
    heads: Vec<[u32; 2]>,
    /// By literal, one bit: whether it has had any. Most never do, and this stays in the processor's nearest cache.
    any: Vec<u64>,
    /// Literals that have any, so that they can be forgotten.
    touched: Vec<u32>,
    /// By watch, of jobs and learnt clauses, and of general clauses.
    dynamic: Vec<Watch>,
    general: Vec<Watch>,
    /// Watches of general clauses that are not where they were in the beginning.
    moved: Vec<u32>,
    /// Where the watches of general clauses have moved while the build group was decided, in the order to link them.
    base: Vec<(u32, Watch)>,
    /// Scratch: packages that fail from the beginning, and watches of them.
    failing: Vec<(Reverse<u32>, u32)>,
    /// Jobs of which at most one literal does not fail from the beginning, and a package that does; in the order in which
    /// they are decided.
    pub(crate) decided_at_once: Vec<(Reverse<u32>, u32)>,
}

/// The literal watched, since when, and the next watch of the same literal.
#[derive(Debug, Clone, Copy)]
struct Watch {
    literal: Literal,
    /// The place in the trail of what was followed up then. What fails before there is a trail does so one package after the
    /// other, the last one first, at -1 minus its number.
    since: i32,
    next: u32,
}

/// Where in the list of a literal one is: the watch before, if there is one, and the next to be looked at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cursor {
    before: u32,
    next: u32,
}

impl Cursor {
    pub(crate) fn is_at_end(self) -> bool {
        self.next == NONE
    }
}

/// A watch in no list. A general clause watches its first two literals in the beginning, where all are looked at in
/// the order of clauses anyway.
const AT_HOME: Watch = Watch { literal: 0, since: 0, next: NONE };

fn place(literal: Literal) -> usize {
    package_of(literal) as usize * 2 + usize::from(literal < 0)
}

impl Watches {
    pub(crate) fn new(packages: usize, general: usize) -> Self {
        Watches {
            heads: vec![[NONE; 2]; packages * 2],
            any: vec![0; (packages * 2).div_ceil(64)],
            general: vec![AT_HOME; general * 2],
            ..Watches::default()
        }
    }

    /// Makes the present state of general clauses the one to begin with.
    pub(crate) fn keep(&mut self) {
        self.base.clear();
        for place in &self.touched {
            let start = self.base.len();
            let mut watch = self.heads[*place as usize][Since::Later as usize];
            while watch != NONE {
                let linked = self.get(watch);
                if watch & GENERAL != 0 {
                    self.base.push((watch, linked));
                }
                watch = linked.next;
            }
            self.base[start..].reverse();
        }
    }

    /// Makes the state before any decision the one to begin with.
    pub(crate) fn forget_kept(&mut self) {
        self.base.clear();
    }

    fn forget_lists(&mut self) {
        for place in self.touched.drain(..) {
            self.heads[place as usize] = [NONE; 2];
            self.any[place as usize / 64] = 0;
        }
        self.dynamic.clear();
    }

    /// Without jobs.
    fn forget_jobs(&mut self) {
        self.forget_lists();
        for i in 0..self.moved.len() {
            let watch = self.moved[i];
            let Watch { literal, since, .. } = self.general[watch as usize];
            self.link(watch | GENERAL, literal, Since::Later, since);
        }
    }

    /// As in the beginning, without jobs.
    fn forget(&mut self) {
        self.forget_lists();
        for watch in self.moved.drain(..) {
            self.general[watch as usize] = AT_HOME;
        }
        for i in 0..self.base.len() {
            let (watch, Watch { literal, since, .. }) = self.base[i];
            self.link(watch, literal, Since::Later, since);
        }
    }

    /// Whether a literal may be watched.
    #[inline]
    pub(crate) fn has(&self, literal: Literal) -> bool {
        let place = place(literal);
        self.any[place / 64] & 1 << (place % 64) != 0
    }

    fn get(&self, watch: u32) -> Watch {
        if watch & GENERAL == 0 {
            self.dynamic[watch as usize]
        } else {
            self.general[(watch & !GENERAL) as usize]
        }
    }

    fn set_next(&mut self, watch: u32, next: u32) {
        if watch & GENERAL == 0 {
            self.dynamic[watch as usize].next = next;
        } else {
            self.general[(watch & !GENERAL) as usize].next = next;
        }
    }

    /// Puts a watch, which is in no list any more, at the beginning of a literal's list.
    fn link(&mut self, watch: u32, literal: Literal, list: Since, since: i32) {
        let place = place(literal);
        let heads = &mut self.heads[place];
        if *heads == [NONE; 2] {
            self.touched.push(place as u32);
            self.any[place / 64] |= 1 << (place % 64);
        }
        let next = std::mem::replace(&mut heads[list as usize], watch);
        let linked = Watch { literal, since, next };
        if watch & GENERAL == 0 {
            self.dynamic[watch as usize] = linked;
        } else {
            let watch = watch & !GENERAL;
            if self.general[watch as usize].literal == 0 {
                self.moved.push(watch);
            }
            self.general[watch as usize] = linked;
        }
    }
}

/// What became of a clause that was looked at.
enum Looked {
    /// It is satisfied, or its other literal has to hold; it watches what it did before.
    Stays,
    /// It watches another literal now.
    Moved,
    /// It cannot be satisfied any more.
    Contradiction(Clause),
}

impl Solver<'_> {
    /// Forgets what jobs and learnt clauses watched. `keep`: general clauses stay where they are, since what has been decided
    /// beyond the build group stays as well.
    pub(crate) fn forget_watches(&mut self, keep: bool) {
        if keep {
            self.watches.forget_jobs();
        } else {
            self.watches.forget();
        }
    }

    /// Makes all jobs watch their first two literals; those that fail from the beginning give their watch to others, in
    /// the order in which libsolv says so: the last package first.
    pub(crate) fn watch_jobs(&mut self) {
        self.watches.dynamic.resize(self.sources.len() * 2, AT_HOME);
        let mut failing = std::mem::take(&mut self.watches.failing);
        failing.clear();
        let mut decided_at_once = std::mem::take(&mut self.watches.decided_at_once);
        decided_at_once.clear();
        for i in (0..self.several.len()).rev() {
            let job = self.several[i];
            let literals = self.dynamic.row(job).iter().map(|literal| *literal as Literal);
            if literals.clone().filter(|literal| !self.fails(*literal)).nth(1).is_none() {
                let failing = literals.take(2).filter(|literal| self.fails(*literal));
                decided_at_once.push((Reverse(failing.map(package_of).max().unwrap_or(0)), job));
                continue;
            }
            for (which, literal) in (0..).zip(literals.take(2)) {
                let watch = job * 2 + which;
                if self.fails(literal) {
                    self.watches.dynamic[watch as usize].literal = literal;
                    failing.push((Reverse(package_of(literal)), watch));
                } else {
                    self.watches.link(watch, literal, Since::Beginning, 0);
                }
            }
        }
        decided_at_once.sort_unstable();
        self.watches.decided_at_once = decided_at_once;
        failing.sort_unstable();
        for (Reverse(failed), watch) in &failing {
            let other = self.other_watched(*watch);
            let literals = self.dynamic.row(watch / 2).iter().map(|literal| *literal as Literal);
            let mut free = literals.filter(|literal| *literal != other && !self.fails(*literal));
            if let Some(literal) = free.next() {
                self.watches.link(*watch, literal, Since::Later, -1 - *failed as i32);
            }
        }
        self.watches.failing = failing;
    }

    /// Watches a clause that was just learnt: its first literal, which has to hold now, and the one that failed last.
    pub(crate) fn watch_learnt(&mut self, clause: u32) {
        self.watches.dynamic.resize(self.sources.len() * 2, AT_HOME);
        if let [pivot, others @ ..] = self.dynamic.row(clause) {
            let (mut last, mut highest) = (None, 0);
            for literal in others {
                let literal = *literal as Literal;
                let level = self.decision[package_of(literal) as usize].abs();
                if level > highest {
                    (last, highest) = (Some(literal), level);
                }
            }
            if let Some(last) = last {
                let pivot = *pivot as Literal;
                let since = self.following();
                self.watches.link(clause * 2, pivot, Since::Later, since);
                self.watches.link(clause * 2 + 1, last, Since::Later, since);
            }
        }
    }

    /// The place in the trail of what is being followed up.
    fn following(&self) -> i32 {
        self.head as i32 - 1
    }

    fn fails(&self, literal: Literal) -> bool {
        let decided = self.decision[package_of(literal) as usize];
        decided != 0 && (decided > 0) != (literal > 0)
    }

    /// Looks at the clauses in one of the lists of a literal that just failed.
    #[inline]
    pub(crate) fn look_at_watches(
        &mut self,
        failed: Literal,
        since: Since,
        level: i32,
    ) -> Option<Clause> {
        let mut cursor = self.first_watch(failed, since);
        if cursor.is_at_end() {
            return None;
        }
        self.look_at_list(failed, since, &mut cursor, i32::MIN, level)
    }

    /// Before the first clause in one of the lists of a literal.
    pub(crate) fn first_watch(&self, literal: Literal, since: Since) -> Cursor {
        Cursor { before: NONE, next: self.watches.heads[place(literal)][since as usize] }
    }

    /// Looks at the clauses in one of the lists of a literal that just failed, as long as they have watched it since this time
    /// or later.
    pub(crate) fn look_at_list(
        &mut self,
        failed: Literal,
        list: Since,
        cursor: &mut Cursor,
        from: i32,
        level: i32,
    ) -> Option<Clause> {
        while cursor.next != NONE {
            let watch = cursor.next;
            let Watch { since, next, .. } = self.watches.get(watch);
            if since < from {
                break;
            }
            match self.look_at_watch(watch, level) {
                Looked::Stays => cursor.before = watch,
                Looked::Moved if cursor.before == NONE => {
                    self.watches.heads[place(failed)][list as usize] = next;
                }
                Looked::Moved => self.watches.set_next(cursor.before, next),
                Looked::Contradiction(clause) => return Some(clause),
            }
            cursor.next = next;
        }
        None
    }

    /// Looks at a general clause of which a negative literal just failed, if it is one that it has watched from the beginning.
    pub(crate) fn look_at_general(
        &mut self,
        clause: u32,
        failed: Literal,
        level: i32,
    ) -> Option<Clause> {
        for which in 0..2 {
            let watch = clause * 2 + which;
            if self.watches.general[watch as usize].literal == 0
                && self.universe.general.row(clause)[which as usize] as Literal == failed
                && let Looked::Contradiction(clause) = self.look_at_watch(watch | GENERAL, level)
            {
                return Some(clause);
            }
        }
        None
    }

    /// The literal that a clause watches besides this one.
    fn other_watched(&self, watch: u32) -> Literal {
        match self.watches.get(watch ^ 1).literal {
            0 => {
                let row = self.universe.general.row((watch & !GENERAL) / 2);
                row[(watch as usize & 1) ^ 1] as Literal
            }
            literal => literal,
        }
    }

    fn look_at_watch(&mut self, watch: u32, level: i32) -> Looked {
        let other = self.other_watched(watch);
        let decided = self.decision[package_of(other) as usize];
        if decided != 0 && (decided > 0) == (other > 0) {
            return Looked::Stays;
        }
        let number = (watch & !GENERAL) / 2;
        let (clause, literals) = if watch & GENERAL == 0 {
            (Clause::Dynamic(number), self.dynamic.row(number))
        } else {
            (Clause::General(number), self.universe.general.row(number))
        };
        let mut literals = literals.iter().map(|literal| *literal as Literal);
        match literals.find(|literal| *literal != other && !self.fails(*literal)) {
            Some(literal) => {
                let since = self.following();
                self.watches.link(watch, literal, Since::Later, since);
                Looked::Moved
            }
            None if decided != 0 => Looked::Contradiction(clause),
            None => {
                self.assign(other, level, Some(clause));
                Looked::Stays
            }
        }
    }
}
