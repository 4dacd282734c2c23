//! What is asked for, as clauses; and the build group, which is prepared once for many requests.
//!
//! The build group is the same for every source package of a distribution, and much of what is installed follows from
//! it alone. So its jobs stay where they are from one request to the next, and where it makes no difference what follows
//! from them stays decided, too. It does make a difference where weak dependencies are followed: they are installed in
//! the order in which their recommenders were, which depends on the whole request.

use rpm::Dep;

use crate::offers::MetBy;
use crate::rich::{self, Literal, Normal, package_of, positive};
use crate::solver::{Request, Solver};
use crate::{GaveUp, Problem, Universe};

/// What was asked for, to explain why it cannot be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum JobSource {
    BuildGroup(usize),
    BuildRequires(usize),
    /// Not asked for, but depending on what is: a package of an inferior architecture needs its better half.
    Inferior(u32),
    Learnt,
}

/// The build group that is prepared, and how much of the solver's state belongs to it.
#[derive(Debug, Default)]
pub(crate) struct Base {
    group: Vec<String>,
    /// Whether `group` is prepared at all.
    known: bool,
    /// Whether what follows from it is decided.
    pub(crate) decided: bool,
    /// Whether nothing follows from it but that it cannot be had.
    contradictory: bool,
    pub(crate) jobs: usize,
    pub(crate) several: usize,
    pub(crate) trail: usize,
    asked: usize,
}

impl Solver<'_> {
    /// Prepares the build group of a request, unless that is what the last one had. `ahead`: whether to decide what
    /// follows from it, if the order of decisions makes no difference.
    pub(crate) fn prepare(&mut self, request: &Request<'_>, ahead: bool) {
        let universe = self.universe;
        let ahead =
            ahead && universe.orphans.is_empty() && (!request.weak_deps || has_no_weak(universe));
        let decided = ahead && !self.base.contradictory;
        if self.base.known && self.base.decided == decided && self.base.group == request.build_group
        {
            return;
        }
        let mut group = std::mem::take(&mut self.base.group);
        self.base = Base::default();
        self.shared.forget();
        self.watches.forget_kept();
        self.reset();
        group.clear();
        group.extend_from_slice(request.build_group);
        self.add_group(request.build_group);
        self.base = Base {
            group,
            known: true,
            jobs: self.sources.len(),
            several: self.several.len(),
            asked: self.asked.len(),
            ..Base::default()
        };
        if ahead {
            self.jobs = self.sources.len();
            self.jobs_of_several = self.several.len();
            if self.decide_units(0) > 0 {
                self.base.trail = self.trail.len();
                self.base.decided = true;
                self.watches.keep();
            } else {
                self.base.contradictory = true;
                self.reset();
            }
        }
    }

    fn add_group(&mut self, build_group: &[String]) {
        for (i, entry) in build_group.iter().enumerate() {
            self.found.clear();
            self.universe.offers.providers(entry, None, &mut self.found);
            if !self.found.is_empty() {
                self.add_job(JobSource::BuildGroup(i));
            }
        }
    }

    /// Adds what the package to be built requires.
    pub(crate) fn add_build_requires(&mut self, requires: &[Dep], problems: &mut Vec<Problem>) {
        let universe = self.universe;
        let mut hashes = std::mem::take(&mut self.hashes);
        universe.offers.announce(requires, &mut self.found, &mut hashes);
        for (i, (dep, hash)) in requires.iter().zip(&hashes).enumerate() {
            let source = JobSource::BuildRequires(i);
            self.found.clear();
            match dep {
                Dep::Relation(relation) => {
                    let met = universe.offers.relation_hashed(relation, *hash, &mut self.found);
                    if !self.found.is_empty() {
                        self.add_job(source);
                    } else if met == MetBy::Packages {
                        problems.push(Problem::NotFound { relation: dep.to_string() });
                    }
                }
                Dep::Rich(_) => self.add_rich_job(dep, source),
            }
            self.named.extend_from_slice(&self.found);
        }
        self.hashes = hashes;
        self.jobs = self.sources.len();
        self.jobs_of_several = self.several.len();
        self.bind_orphans();
    }

    fn add_job(&mut self, source: JobSource) {
        let found = std::mem::take(&mut self.found);
        if !self.universe.orphans.is_empty() {
            self.asked.extend(&found);
        }
        self.add_clause(found.iter().map(|package| positive(*package)), source);
        self.found = found;
    }

    fn add_rich_job(&mut self, dep: &Dep, source: JobSource) {
        let offers = &self.universe.offers;
        let met = offers.potential_into(dep, &mut self.found);
        if self.found.is_empty() && met == MetBy::Packages {
            return;
        }
        if !rich::is_complex(dep) {
            if met == MetBy::Packages {
                self.add_job(source);
            }
            return;
        }
        if !self.universe.orphans.is_empty() {
            self.asked.extend(&self.found);
        }
        match rich::clauses_within(offers, dep, self.limits.alternatives) {
            Normal::Always => {}
            Normal::Never => self.add_clause([], source),
            Normal::TooMany => {
                self.gave_up = Some(GaveUp::Alternatives { limit: self.limits.alternatives });
                self.add_clause([], source);
            }
            Normal::Blocks(blocks) => {
                for block in blocks {
                    if !self.universe.orphans.is_empty() {
                        // A condition can lead to packages, too: one of (a if b else c) is b.
                        let leads_to = block.iter().filter(|literal| **literal > 0);
                        self.asked.extend(leads_to.map(|literal| package_of(*literal)));
                    }
                    self.add_clause(block, source);
                }
            }
        }
    }

    /// Adds a job or a learnt clause.
    pub(crate) fn add_clause(
        &mut self,
        literals: impl IntoIterator<Item = Literal>,
        source: JobSource,
    ) {
        let id = self.sources.len() as u32;
        let start = self.dynamic.data.len();
        self.dynamic.push(literals.into_iter().map(|literal| literal as u32));
        self.sources.push(source);
        if self.dynamic.data.len() - start > 1 {
            self.several.push(id);
        }
    }

    /// Takes everything back that neither belongs to the build group nor may be shared with the next request; costs only what
    /// was touched.
    pub(crate) fn reset(&mut self) {
        self.undo_to(self.shared.end(self.base.trail));
        self.forget_places();
        self.branches.clear();
        self.branch_candidates.clear();
        self.dynamic.offsets.truncate(self.base.jobs + 1);
        let end = self.dynamic.offsets.last().copied().unwrap_or(0);
        self.dynamic.data.truncate(end as usize);
        self.sources.truncate(self.base.jobs);
        self.several.truncate(self.base.several);
        self.jobs = self.base.jobs;
        self.jobs_of_several = self.base.several;
        self.asked.truncate(self.base.asked);
        self.named.clear();
        self.open.forget();
        self.pending.forget();
        self.learnt = 0;
        self.derived.clear();
        self.derived_ends.clear();
        self.conflict = None;
        self.gave_up = None;
        self.wishes.set(0);
    }
}

/// Whether no package of a universe wishes for another.
fn has_no_weak(universe: &Universe) -> bool {
    universe.recommends.data.is_empty() && universe.supplementing.is_empty()
}
