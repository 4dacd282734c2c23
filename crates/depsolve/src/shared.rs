//! What a request shares with the last one stays decided.
//!
//! Source packages ask for the same things again and again: debhelper, gcc, python3-devel. What follows from requests with
//! one candidate is the same in whatever order they are decided, as long as nothing contradicts. So they are decided
//! one after the other, those that were asked for most often first, and the next request takes back only what comes after
//! those that it asks for as well.
//!
//! Where a contradiction is met, its order decides what is learnt from it, and so which of several answers is found. Then
//! everything is taken back, and the search begins anew in libsolv's order. The same holds where weak dependencies are
//! followed, as with the build group (see `jobs`).

use std::cmp::Reverse;

use crate::rich::{Literal, positive};
use crate::solver::{Solver, UNSOLVABLE};

/// Requests with one candidate that are decided, and how often each package was one.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    /// Whether the present search makes use of this at all.
    pub(crate) active: bool,
    /// Whether it met a contradiction.
    pub(crate) contradicted: bool,
    /// The package, and how long the trail was before it was decided.
    decided: Vec<(u32, u32)>,
    /// How long the trail was after them.
    end: usize,
    /// By package.
    asked: Vec<u32>,
    wanted: Vec<bool>,
    /// Scratch: the packages of the present request.
    units: Vec<u32>,
}

impl Shared {
    pub(crate) fn new(packages: usize) -> Self {
        Shared { asked: vec![0; packages], wanted: vec![false; packages], ..Shared::default() }
    }

    /// How much of the trail may stay for the next request, if the build group has decided this much.
    pub(crate) fn end(&self, base: usize) -> usize {
        if self.active && !self.contradicted && !self.decided.is_empty() { self.end } else { base }
    }

    /// To be called when the trail does not belong to the present build group any more.
    pub(crate) fn forget(&mut self) {
        self.active = false;
        self.decided.clear();
    }
}

impl Solver<'_> {
    /// As [`Solver::decide_units`], for what comes after the build group; keeps what the last request has decided.
    pub(crate) fn decide_shared_units(&mut self) -> i32 {
        let mut units = std::mem::take(&mut self.shared.units);
        units.clear();
        for job in self.base.jobs as u32..self.jobs as u32 {
            if let [only] = self.dynamic.row(job)
                && (*only as Literal) > 0
            {
                units.push(only - 1);
            }
        }
        let Shared { wanted, asked, decided, .. } = &mut self.shared;
        for unit in &units {
            wanted[*unit as usize] = true;
            asked[*unit as usize] = asked[*unit as usize].saturating_add(1);
        }
        units.sort_unstable_by_key(|unit| (Reverse(asked[*unit as usize]), *unit));
        let kept = decided.iter().take_while(|(unit, _)| wanted[*unit as usize]).count();
        let end = decided.get(kept).map(|(_, start)| *start as usize);
        decided.truncate(kept);
        for unit in &units {
            wanted[*unit as usize] = false;
        }
        if let Some(end) = end {
            self.undo_to(end);
            self.forget_places();
        }
        // What follows from other jobs does not hold for the next request.
        self.forget_watches(kept > 0);
        let mut level = 1;
        for unit in &units {
            let before = self.trail.len();
            match self.decision[*unit as usize] {
                0 => self.assign(positive(*unit), 1, None),
                1.. => continue,
                _ => level = UNSOLVABLE,
            }
            if level < 0 || self.propagate(1).is_some() {
                level = UNSOLVABLE;
                break;
            }
            self.shared.decided.push((*unit, before as u32));
        }
        self.shared.end = self.trail.len();
        self.shared.units = units;
        if level > 0 {
            // Those that are left.
            self.watch_jobs();
            level = self.decide_watched_units(self.base.jobs);
        }
        self.shared.contradicted = level < 0;
        level
    }

    /// After a search that met a contradiction: takes back what it decided, so that the next one begins with the build
    /// group. Returns whether there was one.
    pub(crate) fn begins_anew(&mut self) -> bool {
        let contradicted = self.shared.active && self.shared.contradicted;
        if contradicted {
            self.undo_to(self.base.trail);
            self.forget_places();
            self.branches.clear();
            self.branch_candidates.clear();
            self.shared.forget();
        }
        contradicted
    }
}
