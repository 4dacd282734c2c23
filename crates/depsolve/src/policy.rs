//! Which of several candidates: dnf's policy, as libsolv implements it.
//!
//! First candidates are dropped: those of an inferior architecture, older versions of a name, packages that another
//! candidate obsoletes, and, if some are recommended or supplementing, the others. Then the rest is ordered: old versions
//! last, those with older versions of a common provide last, suggested and enhancing ones first. The first wins; the
//! order before all that is by name, so without any other reason the alphabet decides.

use std::cmp::Ordering;

use crate::arch::NOARCH;
use crate::rich::{self, Literal, Met, package_of};
use crate::solver::Solver;
use crate::universe::{ENHANCES, OLD, RECOMMENDED, SUGGESTED, SUPPLEMENTS, Universe};

/// How much of the policy is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Drop and order.
    Choose,
    /// Drop only.
    ChooseUnordered,
    /// Drop, but not those that are not recommended, and in any order.
    Recommend,
}

/// What a candidate (by its place among them) provides with a version; see [`Universe::versioned_provides`].
#[derive(Debug, Clone, Copy)]
struct Provide {
    name: u32,
    candidate: u32,
    version: u32,
    release: u32,
}

/// What the policy makes of a clause list of which all members may be installed, as far as nothing else matters; where
/// it begins among [`Scratch::ranked`], and how long it is. There it is twice: by name, and in order.
#[derive(Debug, Clone, Copy)]
struct Ranked {
    start: u32,
    length: u32,
}

/// Memory that is used again.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    /// By clause list; found out when somebody asks.
    ranked_of: Vec<Option<Ranked>>,
    ranked: Vec<u32>,
    provides: Vec<Provide>,
    spare: Vec<Provide>,
    cursors: Vec<usize>,
    badness: Vec<u32>,
    /// One bit for each name.
    names: Vec<u64>,
    front: Vec<u32>,
    back: Vec<u32>,
}

impl Solver<'_> {
    /// Applies the policy to `self.candidates`.
    pub(crate) fn filter(&mut self, mode: Mode) {
        if let Some(list) = self.whole_list.take()
            && mode != Mode::Recommend
        {
            self.filter_list(list, mode);
            return;
        }
        let universe = self.universe;
        let mut candidates = std::mem::take(&mut self.candidates);
        if candidates.len() > 1 {
            keep_best_arch(universe, &mut candidates);
        }
        let mut all_differ = || self.policy.all_differ(universe, &candidates);
        if candidates.len() > 1 && (mode != Mode::Recommend || !all_differ()) {
            keep_best_version(universe, &mut candidates);
        }
        if candidates.len() > 1 && mode != Mode::Recommend {
            let mut preferred = std::mem::take(&mut self.policy.front);
            preferred.clear();
            preferred.extend(candidates.iter().filter(|p| self.is_preferred(**p)));
            if !preferred.is_empty() {
                std::mem::swap(&mut candidates, &mut preferred);
            }
            self.policy.front = preferred;
            if candidates.len() > 1 && mode == Mode::Choose {
                self.order(&mut candidates);
            }
        }
        self.candidates = candidates;
    }

    /// Applies the policy to all members of a clause list.
    fn filter_list(&mut self, list: u32, mode: Mode) {
        let universe = self.universe;
        let mut scratch = std::mem::take(&mut self.policy);
        let (by_name, in_order) = scratch.ranked(universe, list);
        let mut candidates = std::mem::take(&mut self.candidates);
        candidates.clear();
        if by_name.len() > 1 {
            candidates.extend(by_name.iter().filter(|p| self.is_preferred(**p)));
        }
        if candidates.is_empty() {
            candidates.extend(if mode == Mode::Choose { in_order } else { by_name });
            if candidates.len() > 1 && mode == Mode::Choose {
                scratch
                    .partition(&mut candidates, |p| self.is_suggested(p) || self.is_enhancing(p));
            }
            self.policy = scratch;
        } else {
            self.policy = scratch;
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
        scratch.order_always(universe, candidates);
        scratch.partition(candidates, |p| self.is_suggested(p) || self.is_enhancing(p));
        self.policy = scratch;
    }

    /// Recommended by something installed, or supplementing it.
    pub(crate) fn is_preferred(&self, package: u32) -> bool {
        self.is_recommended(package) || self.supplements(package) != Met::No
    }

    fn is_recommended(&self, package: u32) -> bool {
        let universe = self.universe;
        universe.has(package, RECOMMENDED)
            && (self.any_counted(universe.walk.recommended.row(package))
                || self.in_active_block(universe.in_recommended_blocks.row(package)))
    }

    fn is_suggested(&self, package: u32) -> bool {
        let universe = self.universe;
        universe.has(package, SUGGESTED)
            && (self.any_counted(universe.walk.suggested.row(package))
                || self.in_active_block(universe.in_suggested_blocks.row(package)))
    }

    fn any_counted(&self, counters: &[u32]) -> bool {
        counters.iter().any(|counter| self.counters[*counter as usize] > 0)
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
        let looked_at = |more: usize| self.wishes.set(self.wishes.get() + more as u64);
        looked_at(deps.len());
        let installed = |list: u32| {
            let members = self.universe.lists.row(list);
            looked_at(members.len());
            members.iter().any(|p| self.decision[*p as usize] > 0)
        };
        deps.iter()
            .map(|dep| rich::evaluate(self.universe.compiled.row(*dep), &installed))
            .max()
            .unwrap_or(Met::No)
    }
}

fn keep_best_arch(universe: &Universe, candidates: &mut Vec<u32>) {
    if !universe.several_archs {
        return;
    }
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
    let mut places: Vec<(u32, usize)> = candidates.iter().copied().zip(0..).collect();
    places.sort_unstable();
    let mut search = Components {
        universe,
        candidates,
        places,
        low: vec![0; candidates.len()],
        stack: Vec::new(),
        first: 0,
        next: 1,
    };
    for i in 0..candidates.len() {
        if search.low[i] != 0 {
            continue;
        }
        search.first = search.next;
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
    /// Candidates, ascending, and where they are in `candidates`.
    places: Vec<(u32, usize)>,
    /// 0 not visited, -1 obsoleted, else the component.
    low: Vec<i32>,
    /// Visited, and in no closed component yet.
    stack: Vec<usize>,
    first: i32,
    next: i32,
}

/// A candidate that is being visited: a chain of them may be as long as a repository's author likes.
struct Visit {
    node: usize,
    index: i32,
    /// How many of what it obsoletes have been looked at.
    looked_at: usize,
    /// Where its component begins on the stack, if it is the first of one.
    start: usize,
}

impl Components<'_> {
    fn visit(&mut self, root: usize) {
        let universe = self.universe;
        let mut path = vec![self.enter(root)];
        while let Some(visit) = path.last_mut() {
            let node = visit.node;
            let obsoleted = universe.obsoletes.row(self.candidates[node]);
            if let Some(other) = obsoleted.get(visit.looked_at) {
                visit.looked_at += 1;
                let Ok(found) = self.places.binary_search_by_key(other, |(package, _)| *package)
                else {
                    continue;
                };
                let (_, i) = self.places[found];
                if i == node {
                    continue;
                }
                if self.low[i] != 0 {
                    self.reached(node, i);
                } else if universe.obsoletes.row(*other).is_empty() {
                    self.next += 1;
                    self.low[i] = -1;
                } else {
                    path.push(self.enter(i));
                }
                continue;
            }
            if self.low[node] == visit.index {
                // Only the component of the first node counts; the others are obsoleted by it.
                let component = if visit.index == self.first { visit.index } else { -1 };
                for member in self.stack.drain(visit.start..) {
                    self.low[member] = component;
                }
            }
            path.pop();
            if let Some(before) = path.last() {
                self.reached(before.node, node);
            }
        }
    }

    fn enter(&mut self, node: usize) -> Visit {
        let index = self.next;
        self.next += 1;
        self.low[node] = index;
        self.stack.push(node);
        Visit { node, index, looked_at: 0, start: self.stack.len() - 1 }
    }

    /// A candidate that has been visited is obsoleted by another one.
    fn reached(&mut self, by: usize, node: usize) {
        let low = self.low[node];
        if low < 0 {
            return;
        }
        if low < self.first {
            // A component found earlier is obsoleted by this one.
            for l in &mut self.low {
                if *l == low {
                    *l = -1;
                }
            }
        } else if low < self.low[by] {
            self.low[by] = low;
        }
    }
}

impl Scratch {
    /// The best members of a clause list, by name and in order.
    fn ranked(&mut self, universe: &Universe, list: u32) -> (&[u32], &[u32]) {
        if self.ranked_of.is_empty() {
            self.ranked_of.resize(universe.clause_lists.len(), None);
        }
        let Ranked { start, length } = match self.ranked_of[list as usize] {
            Some(ranked) => ranked,
            None => {
                let ranked = self.rank(universe, list);
                self.ranked_of[list as usize] = Some(ranked);
                ranked
            }
        };
        self.ranked[start as usize..][..2 * length as usize].split_at(length as usize)
    }

    fn rank(&mut self, universe: &Universe, list: u32) -> Ranked {
        let mut candidates = universe.clause_lists.row(list).to_vec();
        keep_best_arch(universe, &mut candidates);
        if candidates.len() > 1 {
            keep_best_version(universe, &mut candidates);
        }
        let ranked = Ranked { start: self.ranked.len() as u32, length: candidates.len() as u32 };
        self.ranked.extend_from_slice(&candidates);
        self.order_always(universe, &mut candidates);
        self.ranked.extend_from_slice(&candidates);
        ranked
    }

    /// Orders candidates, as far as it does not matter what is installed.
    fn order_always(&mut self, universe: &Universe, candidates: &mut Vec<u32>) {
        self.partition(candidates, |p| !universe.has(p, OLD));
        self.order_by_common_provides(universe, candidates);
    }

    /// Whether all candidates have different names and obsolete nothing, so that each is the best of its name.
    fn all_differ(&mut self, universe: &Universe, candidates: &[u32]) -> bool {
        let place = |p: &u32| {
            let rank = universe.name_rank[*p as usize];
            (rank as usize / 64, 1u64 << (rank % 64))
        };
        self.names.resize(universe.len().div_ceil(64), 0);
        let mut differ = true;
        for p in candidates {
            let (word, bit) = place(p);
            differ &= self.names[word] & bit == 0 && universe.obsoletes.row(*p).is_empty();
            self.names[word] |= bit;
        }
        for p in candidates {
            self.names[place(p).0] = 0;
        }
        differ
    }

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

    /// What several candidates provide with versions, by name and then by candidate. Each candidate's own are sorted
    /// already, and may be thousands: a kernel has one for each of its symbols.
    fn gather_provides(&mut self, universe: &Universe, candidates: &[u32]) {
        const WORDS: usize = 3;
        let row = |candidate: usize| universe.versioned_provides.row(candidates[candidate]);
        let provide = |candidate: usize, words: &[u32]| Provide {
            name: words[0],
            candidate: candidate as u32,
            version: words[1],
            release: words[2],
        };
        if candidates.len() > 8 {
            for i in 0..candidates.len() {
                self.provides.extend(row(i).chunks_exact(WORDS).map(|words| provide(i, words)));
            }
            self.provides.sort_unstable_by_key(|provide| (provide.name, provide.candidate));
            return;
        }
        self.cursors.clear();
        self.cursors.resize(candidates.len(), 0);
        loop {
            let names = self.cursors.iter().enumerate();
            let Some(name) = names.filter_map(|(i, at)| row(i).get(*at)).min().copied() else {
                return;
            };
            let start = self.provides.len();
            let mut several = 0;
            for (i, at) in self.cursors.iter_mut().enumerate() {
                let before = *at;
                while let Some(words) = row(i).get(*at..*at + WORDS)
                    && words[0] == name
                {
                    self.provides.push(provide(i, words));
                    *at += WORDS;
                }
                several += usize::from(*at > before);
            }
            if several < 2 {
                self.provides.truncate(start);
            }
        }
    }

    /// Candidates that provide an older version of something than others do go behind those.
    fn order_by_common_provides(&mut self, universe: &Universe, candidates: &mut [u32]) {
        self.provides.clear();
        let rows = candidates.iter().map(|p| universe.versioned_provides.row(*p));
        if rows.filter(|row| !row.is_empty()).count() < 2 {
            return;
        }
        self.gather_provides(universe, candidates);
        self.badness.clear();
        self.badness.resize(candidates.len(), 0);
        let mut any_bad = false;
        let mut start = 0;
        while start < self.provides.len() {
            let name = self.provides[start].name;
            let mut end = start + 1;
            while end < self.provides.len() && self.provides[end].name == name {
                end += 1;
            }
            let group = &mut self.provides[start..end];
            start = end;
            if group.len() < 2 {
                continue;
            }
            merge_sort(group, &mut self.spare, &|a, b| newest_first(*a, *b) > 0);
            let mut bad = 0;
            for i in 1..group.len() {
                if group[i].candidate != group[i - 1].candidate
                    && newest_first(group[i - 1], group[i]) == -1
                {
                    bad += 1;
                    any_bad = true;
                }
                self.badness[group[i].candidate as usize] += bad;
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
fn newest_first(a: Provide, b: Provide) -> i32 {
    match b.version.cmp(&a.version) {
        Ordering::Equal => {}
        order => return order as i32,
    }
    match (a.release >> 1, b.release >> 1) {
        (0, 0) => {}
        (_, 0) => return -2,
        (0, _) => return 2,
        (x, y) if x != y => return y.cmp(&x) as i32,
        _ => {}
    }
    // “less than” is older than the same version.
    match (a.release & 1, b.release & 1) {
        (0, 1) => -1,
        (1, 0) => 1,
        _ => 0,
    }
}
