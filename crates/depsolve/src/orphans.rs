//! Packages of an inferior architecture where not all have a better half.
//!
//! libsolv calls an architecture inferior only when a package of the same name and a better one is within reach of the
//! request; so what may be installed depends on everything that the request can lead to. Repositories of one
//! architecture have no orphans, and multilib ones should have none.

use crate::arch::NOARCH;
use crate::rich::positive;
use crate::solver::{JobSource, Solver};

impl Solver<'_> {
    /// Adds what is said about packages of architectures that are inferior for this request: each needs a package of the best
    /// one and of the same EVR beside it, and is excluded where there is none.
    pub(crate) fn bind_orphans(&mut self) {
        let universe = self.universe;
        if universe.orphans.is_empty() {
            return;
        }
        let mut known = std::mem::take(&mut self.reach);
        known.clear();
        known.resize(universe.len(), false);
        self.found.clear();
        self.found.extend(&self.asked);
        self.found.extend(universe.hopes.free());
        let mut needed = universe.hopes.nothing_known();
        while let Some(package) = self.found.pop() {
            if !std::mem::replace(&mut known[package as usize], true) {
                let next = universe.reach.row(package).iter().copied();
                self.found.extend(next.filter(|p| !known[*p as usize]));
                universe.hopes.raise(&mut needed, package, &mut self.found);
            }
        }
        // Name by name, as their first packages come in the repository.
        let mut order: Vec<(u32, u32)> = Vec::new();
        for i in 0..universe.orphans.len() as u32 {
            let mut same = universe.orphan_names.row(i).iter();
            order.extend(same.find(|p| known[**p as usize]).map(|first| (*first, i)));
        }
        order.sort_unstable();
        for (_, i) in order {
            let orphan = universe.orphans[i as usize];
            let score = |package: u32| universe.arch_score[package as usize];
            let same = universe.orphan_names.row(i).iter().copied();
            let reached = same.clone().filter(|p| known[*p as usize] && score(*p) != NOARCH);
            let Some(best) = reached.map(score).min().filter(|best| *best < score(orphan)) else {
                continue;
            };
            let same: Vec<u32> = same.collect();
            let better = universe.better_halves(orphan, &same, best);
            let literals = std::iter::once(-positive(orphan));
            let literals = literals.chain(better.into_iter().map(positive));
            self.add_clause(literals, JobSource::Inferior(orphan));
        }
        self.jobs = self.sources.len();
        self.reach = known;
    }
}
