//! Which of several candidates: dnf's policy, as libsolv implements it.
//!
//! First candidates are dropped: those of an inferior architecture, older versions of a name, packages that another
//! candidate obsoletes, and, if some are recommended or supplementing, the others. Then the rest is ordered: old versions
//! last, those with older versions of a common provide last, suggested and enhancing ones first. The first wins; the
//! order before all that is by name, so without any other reason the alphabet decides.

use std::cmp::Ordering;

use rpm::rpmvercmp;

use crate::arch::NOARCH;
use crate::offers::NONE;
use crate::rich::{self, Literal, Met, package_of};
use crate::solver::Solver;
use crate::universe::{ENHANCES, OLD, SUPPLEMENTS, Universe};

/// How much of the policy is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Drop and order.
    Choose,
    /// Drop only.
    ChooseUnordered,
    /// Drop, but not those that are not recommended.
    Recommend,
}

/// Memory that is used again.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    /// (index of candidate, name, version with flag) of versioned provides.
    provides: Vec<(u32, u32, u32)>,
    spare: Vec<(u32, u32, u32)>,
    badness: Vec<u32>,
    front: Vec<u32>,
    back: Vec<u32>,
}

impl Solver<'_> {
    /// Applies the policy to `self.candidates`.
    pub(crate) fn filter(&mut self, mode: Mode) {
        let universe = self.universe;
        let mut candidates = std::mem::take(&mut self.candidates);
        if candidates.len() > 1 {
            keep_best_arch(universe, &mut candidates);
        }
        if candidates.len() > 1 {
            keep_best_version(universe, &mut candidates);
        }
        if candidates.len() > 1 && mode != Mode::Recommend {
            if candidates.iter().any(|p| self.is_preferred(*p)) {
                candidates.retain(|p| self.is_preferred(*p));
            }
            if candidates.len() > 1 && mode == Mode::Choose {
                self.order(&mut candidates);
            }
        }
        self.candidates = candidates;
    }

    /// Orders candidates; the first is the best.
    pub(crate) fn order(&mut self, candidates: &mut Vec<u32>) {
        let universe = self.universe;
        let mut scratch = std::mem::take(&mut self.policy);
        scratch.partition(candidates, |p| !universe.has(p, OLD));
        scratch.order_by_common_provides(universe, candidates);
        scratch.partition(candidates, |p| self.is_suggested(p) || self.is_enhancing(p));
        self.policy = scratch;
    }

    /// Recommended by something installed, or supplementing it.
    pub(crate) fn is_preferred(&self, package: u32) -> bool {
        self.is_recommended(package) || self.supplements(package) != Met::No
    }

    fn is_recommended(&self, package: u32) -> bool {
        let universe = self.universe;
        universe.in_recommended.row(package).iter().any(|list| self.recommended(*list))
            || self.in_active_block(universe.in_recommended_blocks.row(package))
    }

    fn is_suggested(&self, package: u32) -> bool {
        let universe = self.universe;
        universe.in_suggested.row(package).iter().any(|list| self.suggested(*list))
            || self.in_active_block(universe.in_suggested_blocks.row(package))
    }

    fn in_active_block(&self, pairs: &[u32]) -> bool {
        pairs.chunks_exact(2).any(|pair| {
            self.decision[pair[0] as usize] > 0
                && self.universe.blocks.row(pair[1]).iter().all(|literal| {
                    let literal = *literal as Literal;
                    literal > 0 || self.decision[package_of(literal) as usize] > 0
                })
        })
    }

    /// How the strongest of its Supplements is met.
    pub(crate) fn supplements(&self, package: u32) -> Met {
        if !self.universe.has(package, SUPPLEMENTS) {
            return Met::No;
        }
        self.best_met(self.universe.supplements.row(package))
    }

    fn is_enhancing(&self, package: u32) -> bool {
        self.universe.has(package, ENHANCES)
            && self.best_met(self.universe.enhances.row(package)) != Met::No
    }

    fn best_met(&self, deps: &[u32]) -> Met {
        let installed = |list: u32| {
            self.universe.lists.row(list).iter().any(|p| self.decision[*p as usize] > 0)
        };
        deps.iter()
            .map(|dep| rich::evaluate(self.universe.compiled.row(*dep), &installed))
            .max()
            .unwrap_or(Met::No)
    }
}

fn keep_best_arch(universe: &Universe, candidates: &mut Vec<u32>) {
    let score = |p: u32| universe.arch_score[p as usize];
    let best = candidates.iter().map(|p| score(*p)).filter(|s| *s != NOARCH).min();
    if let Some(best) = best {
        candidates.retain(|p| score(*p) == NOARCH || score(*p) == best);
    }
}

/// Keeps the best version of each name, in the order of names, and drops what others of them obsolete.
fn keep_best_version(universe: &Universe, candidates: &mut Vec<u32>) {
    let rank = |p: u32| universe.name_rank[p as usize];
    candidates.sort_unstable_by_key(|p| (rank(*p), *p));
    let mut kept = 0;
    let mut i = 0;
    while i < candidates.len() {
        let mut best = candidates[i];
        i += 1;
        while i < candidates.len() && rank(candidates[i]) == rank(best) {
            if universe.evr_rank[candidates[i] as usize] > universe.evr_rank[best as usize] {
                best = candidates[i];
            }
            i += 1;
        }
        candidates[kept] = best;
        kept += 1;
    }
    candidates.truncate(kept);
    if candidates.len() > 1 && candidates.iter().any(|p| !universe.obsoletes.row(*p).is_empty()) {
        drop_obsoleted(universe, candidates);
    }
}

/// A merge sort, halves first: the C library's, which libsolv uses. Which sort it is matters, since versions of which
/// some have no release are not in a total order.
fn merge_sort<T: Copy>(items: &mut [T], spare: &mut Vec<T>, after: &impl Fn(&T, &T) -> bool) {
    if items.len() < 2 {
        return;
    }
    let (left, right) = items.split_at_mut(items.len() / 2);
    merge_sort(left, spare, after);
    merge_sort(right, spare, after);
    spare.clear();
    spare.extend_from_slice(left);
    let (mut i, mut j, mut to) = (0, items.len() / 2, 0);
    while i < spare.len() && j < items.len() {
        if after(&spare[i], &items[j]) {
            items[to] = items[j];
            j += 1;
        } else {
            items[to] = spare[i];
            i += 1;
        }
        to += 1;
    }
    items[to..to + spare.len() - i].copy_from_slice(&spare[i..]);
}

fn drop_obsoleted(universe: &Universe, candidates: &mut Vec<u32>) {
    let obsoletes = |a: u32, b: u32| universe.obsoletes.row(a).binary_search(&b).is_ok();
    if let [a, b] = candidates.as_slice() {
        match (obsoletes(*a, *b), obsoletes(*b, *a)) {
            (true, false) => candidates.truncate(1),
            (false, true) => {
                candidates.remove(0);
            }
            _ => {}
        }
        return;
    }
    let mut search = Components {
        universe,
        candidates,
        low: vec![0; candidates.len()],
        stack: vec![0; candidates.len() + 1],
        on_stack: 0,
        first: 0,
        next: 1,
    };
    for i in 0..candidates.len() {
        if search.low[i] != 0 {
            continue;
        }
        search.first = search.next;
        search.on_stack = search.next as usize;
        search.visit(i);
    }
    let low = search.low;
    let mut i = 0;
    candidates.retain(|_| {
        i += 1;
        low[i - 1] >= 0
    });
}

/// Tarjan's strongly connected components over “obsoletes”: packages that obsolete each other in a circle all stay, a
/// package that is obsoleted from outside its circle goes.
struct Components<'a> {
    universe: &'a Universe,
    candidates: &'a [u32],
    /// 0 not visited, -1 obsoleted, else the component.
    low: Vec<i32>,
    stack: Vec<usize>,
    on_stack: usize,
    first: i32,
    next: i32,
}

impl Components<'_> {
    fn visit(&mut self, node: usize) {
        let index = self.next;
        self.next += 1;
        self.low[node] = index;
        let stack_start = self.on_stack;
        self.push(node);
        for other in self.universe.obsoletes.row(self.candidates[node]) {
            let Some(i) = self.candidates.iter().position(|p| p == other) else { continue };
            if i == node {
                continue;
            }
            if self.low[i] == 0 {
                if self.universe.obsoletes.row(*other).is_empty() {
                    self.next += 1;
                    self.low[i] = -1;
                    continue;
                }
                self.visit(i);
            }
            let low = self.low[i];
            if low < 0 {
                continue;
            }
            if low < self.first {
                // A component found earlier is obsoleted by this one.
                for l in &mut self.low {
                    if *l == low {
                        *l = -1;
                    }
                }
            } else if low < self.low[node] {
                self.low[node] = low;
            }
        }
        if self.low[node] == index {
            // Only the component of the first node counts; the others are obsoleted by it.
            let component = if index == self.first { index } else { -1 };
            for i in stack_start..self.on_stack {
                let member = self.stack[i];
                self.low[member] = component;
            }
            self.on_stack = stack_start;
        }
    }

    fn push(&mut self, node: usize) {
        if self.on_stack >= self.stack.len() {
            self.stack.resize(self.on_stack + 1, 0);
        }
        self.stack[self.on_stack] = node;
        self.on_stack += 1;
    }
}

impl Scratch {
    /// Brings what is good to the front; both parts keep their order.
    fn partition(&mut self, candidates: &mut Vec<u32>, good: impl Fn(u32) -> bool) {
        self.front.clear();
        self.back.clear();
        for p in candidates.iter() {
            if good(*p) { self.front.push(*p) } else { self.back.push(*p) }
        }
        candidates.clear();
        candidates.extend_from_slice(&self.front);
        candidates.extend_from_slice(&self.back);
    }

    /// Candidates that provide an older version of something than others do go behind those.
    fn order_by_common_provides(&mut self, universe: &Universe, candidates: &mut [u32]) {
        self.provides.clear();
        for (i, p) in candidates.iter().enumerate() {
            let row = universe.versioned_provides.row(*p);
            self.provides.extend(row.chunks_exact(2).map(|pair| (i as u32, pair[0], pair[1])));
        }
        if self.provides.len() < 2 {
            return;
        }
        let after = |a: &(u32, u32, u32), b: &(u32, u32, u32)| match a.1.cmp(&b.1) {
            Ordering::Equal => newest_first(universe, a.2, b.2) > 0,
            order => order == Ordering::Greater,
        };
        merge_sort(&mut self.provides, &mut self.spare, &after);
        self.badness.clear();
        self.badness.resize(candidates.len(), 0);
        let mut any_bad = false;
        let mut start = 0;
        while start < self.provides.len() {
            let name = self.provides[start].1;
            let mut end = start + 1;
            while end < self.provides.len() && self.provides[end].1 == name {
                end += 1;
            }
            let group = &self.provides[start..end];
            start = end;
            if group.len() < 2 {
                continue;
            }
            let mut bad = 0;
            for i in 1..group.len() {
                if group[i].0 != group[i - 1].0
                    && newest_first(universe, group[i - 1].2, group[i].2) == -1
                {
                    bad += 1;
                    any_bad = true;
                }
                self.badness[group[i].0 as usize] += bad;
            }
        }
        if any_bad {
            for i in 1..candidates.len() {
                let mut j = i;
                while j > 0 && self.badness[j - 1] > self.badness[j] {
                    self.badness.swap(j - 1, j);
                    candidates.swap(j - 1, j);
                    j -= 1;
                }
            }
        }
    }
}

/// -1 or 1 where versions differ, -2 or 2 where only one of them has a release.
fn newest_first(universe: &Universe, a: u32, b: u32) -> i32 {
    if a == b {
        return 0;
    }
    let strings = &universe.offers.strings;
    let (x, y) = (universe.offers.evrs[(b >> 1) as usize], universe.offers.evrs[(a >> 1) as usize]);
    let order = x
        .epoch
        .cmp(&y.epoch)
        .then_with(|| rpmvercmp(strings.get(x.version), strings.get(y.version)));
    let result = match (order, x.release, y.release) {
        (Ordering::Less, _, _) => -1,
        (Ordering::Greater, _, _) => 1,
        (Ordering::Equal, NONE, NONE) => 0,
        (Ordering::Equal, NONE, _) => -2,
        (Ordering::Equal, _, NONE) => 2,
        (Ordering::Equal, r, s) => rpmvercmp(strings.get(r), strings.get(s)) as i32,
    };
    if result == 0 {
        // “less than” is older than the same version.
        return match (a & 1 != 0, b & 1 != 0) {
            (false, false) => 0,
            (_, false) => 1,
            (false, true) => -1,
            (true, true) => 0,
        };
    }
    result
}
