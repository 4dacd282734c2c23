//! Packages of an inferior architecture without a better half.
//!
//! libsolv forbids them only when a better package of the same name is within reach of the request; so what may be
//! installed depends on everything that the request can lead to. Repositories of one architecture have no orphans, and
//! multilib ones should have none.

use crate::rich::{self, positive};
use crate::solver::Solver;
use crate::universe::{ENHANCES, SUPPLEMENTS};

impl Solver<'_> {
    /// An orphan of inferior architecture is excluded when a better package of its name is within reach of the request.
    pub(crate) fn exclude_orphans(&mut self) {
        let universe = self.universe;
        if universe.orphans.is_empty() {
            return;
        }
        let mut known = std::mem::take(&mut self.reach);
        known.clear();
        known.resize(universe.len(), false);
        self.found.clear();
        self.found.extend(&self.asked);
        loop {
            while let Some(package) = self.found.pop() {
                if !std::mem::replace(&mut known[package as usize], true) {
                    let next = universe.reach.row(package).iter().copied();
                    self.found.extend(next.filter(|p| !known[*p as usize]));
                }
            }
            let any_known = |list: u32| universe.lists.row(list).iter().any(|p| known[*p as usize]);
            for package in 0..universe.len() as u32 {
                let weak = universe.has(package, SUPPLEMENTS) || universe.has(package, ENHANCES);
                if weak && !known[package as usize] {
                    let supplements = universe.supplements.row(package).iter();
                    let mut deps = supplements.chain(universe.enhances.row(package));
                    if deps.any(|dep| rich::possible(universe.compiled.row(*dep), &any_known)) {
                        self.found.push(package);
                    }
                }
            }
            if self.found.is_empty() {
                break;
            }
        }
        for (i, orphan) in universe.orphans.iter().enumerate() {
            let betters = universe.orphan_betters.row(i as u32);
            if self.decision[*orphan as usize] == 0 && betters.iter().any(|p| known[*p as usize]) {
                self.assign(-positive(*orphan), 1, None);
            }
        }
        self.reach = known;
    }
}
