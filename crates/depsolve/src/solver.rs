//! The solver: from a request to a set of packages.
//!
//! The main loop and the order of its decisions. What follows from a decision is in `propagate` and `exclude`, what is chosen
//! among several candidates in `policy`, weak dependencies in `weak`, and what is learnt from a dead end in
//! `learn`.

use std::cell::Cell;

use rpm::Dep;

use crate::arrays::{PackageSet, Rows};
use crate::branches::Branch;
use crate::choices::{Choice, Open};
use crate::distance::Distances;
use crate::jobs::Base;
pub(crate) use crate::jobs::JobSource;
use crate::policy::Mode;
use crate::rich::{Literal, MAX_LITERALS, package_of, positive};
use crate::shared::Shared;
use crate::universe::NEVER;
use crate::watch::Watches;
use crate::weak::Pending;
use crate::{GaveUp, PackageId, Problem, Universe};

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// Packages always present; entries that nothing provides are skipped.
    pub build_group: &'a [String],
    /// What the package to be built requires; an entry that nothing provides is a problem, unless it is rich.
    pub build_requires: &'a [Dep],
    /// Whether Recommends and Supplements are followed. (Among several candidates those that are recommended,
    /// supplementing, suggested or enhancing are preferred in any case.)
    pub weak_deps: bool,
}

/// The answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resolution {
    /// Why not; empty when it can be done.
    pub problems: Vec<Problem>,
    /// What would be installed, by package id; empty when it cannot be done.
    pub installs: Vec<Install>,
}

/// One package that would be installed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Install {
    /// Which one.
    pub package: PackageId,
    /// 1 for what a BuildRequires names, 2 for what those require, up to 4; `None` beyond.
    pub distance: Option<u8>,
}

impl Resolution {
    /// Whether the request can be met.
    pub fn resolved(&self) -> bool {
        self.problems.is_empty()
    }
}

/// A clause of the problem: at least one of its literals must hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Clause {
    /// Not both of these packages.
    Pair(u32, u32),
    /// Not this package, or that one, which is the only candidate for something that it requires.
    Single { package: u32, only: u32 },
    /// Not this package, or one of that list.
    List { package: u32, list: u32 },
    /// One of the universe's general clauses.
    General(u32),
    /// A job or a learnt clause.
    Dynamic(u32),
}

/// An entry of the trail.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Decided {
    pub(crate) literal: Literal,
    /// What it follows from; `None` is a free choice.
    pub(crate) why: Option<Clause>,
    /// How many choices were known when it was propagated.
    pub(crate) choices: u32,
}

/// Returned as a level when there is no solution.
pub(crate) const UNSOLVABLE: i32 = -1;

/// After how much effort the search for an answer is given up, with a [`Problem`] that says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Dead ends. Real repositories have at most a handful.
    pub conflicts: u32,
    /// Choices taken back for the sake of better ones after everything was decided. Real repositories need two or
    /// three. What has been found by then is an answer, but not dnf's, so it is not given.
    pub improvements: u32,
    /// Packages in all alternatives of one rich request; a request with more is not looked at. Nobody can have meant it.
    pub alternatives: usize,
    /// Supplements and Enhances that are looked at, and packages that could meet them, each as often as it happens. Real
    /// repositories need some ten thousand.
    pub wishes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            conflicts: 20_000,
            improvements: 10_000,
            alternatives: MAX_LITERALS,
            wishes: 1 << 28,
        }
    }
}

/// Solves one request after the other, reusing its memory. One for each thread; cheap to keep, dear to make.
#[derive(Debug)]
pub struct Solver<'u> {
    pub(crate) universe: &'u Universe,
    /// Per package: 0 undecided, level if installed, minus level if not.
    pub(crate) decision: Vec<i32>,
    /// Decisions in the order in which they were made.
    pub(crate) trail: Vec<Decided>,
    /// How much of the trail has been propagated.
    pub(crate) head: usize,
    /// What installed packages add to; see [`crate::walk`].
    pub(crate) counters: Vec<u32>,
    /// Per clause list: members excluded.
    pub(crate) excluded: Vec<u32>,
    /// Installed packages that recommend something, in the order of the trail.
    pub(crate) recommenders: Vec<u32>,
    pub(crate) choices: Vec<Choice>,
    pub(crate) open: Open,
    pub(crate) pending: Pending,

    /// Jobs and learnt clauses.
    pub(crate) dynamic: Rows,
    pub(crate) sources: Vec<JobSource>,
    /// Those with more than one literal.
    pub(crate) several: Vec<u32>,
    /// How many of each are jobs; the others are learnt.
    pub(crate) jobs: usize,
    pub(crate) jobs_of_several: usize,
    pub(crate) watches: Watches,
    pub(crate) base: Base,
    pub(crate) shared: Shared,

    pub(crate) branches: Vec<Branch>,
    pub(crate) branch_candidates: Vec<i32>,
    pub(crate) seen: Vec<bool>,
    pub(crate) learnt: u32,
    /// The clauses that each learnt clause was derived from, back to back.
    pub(crate) derived: Vec<Clause>,
    pub(crate) derived_ends: Vec<usize>,
    pub(crate) conflict: Option<Clause>,
    pub(crate) limits: Limits,
    /// Why the search was given up.
    pub(crate) gave_up: Option<GaveUp>,
    /// How much of [`Limits::wishes`] was used.
    pub(crate) wishes: Cell<u64>,

    // Scratch.
    pub(crate) candidates: Vec<u32>,
    /// The clause list of which `candidates` are all members, if there is one.
    pub(crate) whole_list: Option<u32>,
    pub(crate) best: Vec<u32>,
    pub(crate) learn_others: Vec<Literal>,
    pub(crate) learn_marked: Vec<u32>,
    pub(crate) supplements: Vec<u32>,
    pub(crate) in_candidates: Vec<bool>,
    pub(crate) policy: crate::policy::Scratch,
    pub(crate) exclude: crate::exclude::Scratch,
    pub(crate) found: Vec<u32>,
    pub(crate) hashes: Vec<u64>,
    /// Everything that may be installed for the sake of a job itself; kept only where there are orphans.
    pub(crate) asked: Vec<u32>,
    /// Everything that the BuildRequires name.
    pub(crate) named: Vec<u32>,
    distances: Distances,
    pub(crate) reach: Vec<bool>,
    installed: PackageSet,
}

impl<'u> Solver<'u> {
    /// A solver for this universe.
    pub fn new(universe: &'u Universe) -> Self {
        Self::with_limits(universe, Limits::default())
    }

    /// A solver that gives up sooner, or later, than others.
    pub fn with_limits(universe: &'u Universe, limits: Limits) -> Self {
        let packages = universe.len();
        let decision = (0..packages as u32)
            .map(|package| if universe.has(package, NEVER) { -1 } else { 0 })
            .collect();
        Solver {
            universe,
            decision,
            trail: Vec::new(),
            head: 0,
            counters: vec![0; universe.walk.counters as usize],
            excluded: vec![0; universe.clause_lists.len()],
            recommenders: Vec::new(),
            choices: Vec::new(),
            open: Open::default(),
            pending: Pending::default(),
            dynamic: Rows::new(),
            sources: Vec::new(),
            several: Vec::new(),
            jobs: 0,
            jobs_of_several: 0,
            watches: Watches::new(packages, universe.general.len()),
            base: Base::default(),
            shared: Shared::new(packages),
            branches: Vec::new(),
            branch_candidates: Vec::new(),
            seen: vec![false; packages],
            learnt: 0,
            derived: Vec::new(),
            derived_ends: Vec::new(),
            conflict: None,
            limits,
            gave_up: None,
            wishes: Cell::new(0),
            candidates: Vec::new(),
            whole_list: None,
            best: Vec::new(),
            learn_others: Vec::new(),
            learn_marked: Vec::new(),
            supplements: Vec::new(),
            in_candidates: vec![false; packages],
            policy: crate::policy::Scratch::default(),
            exclude: crate::exclude::Scratch::default(),
            found: Vec::new(),
            hashes: Vec::new(),
            asked: Vec::new(),
            named: Vec::new(),
            distances: Distances::new(universe),
            reach: Vec::new(),
            installed: PackageSet::new(packages),
        }
    }

    /// Which packages would be installed, and how far each is from the BuildRequires.
    pub fn resolve(&mut self, request: &Request<'_>) -> Resolution {
        let mut resolution = Resolution::default();
        self.resolve_into(request, &mut resolution);
        resolution
    }

    /// The same, into a resolution whose memory is used again.
    pub fn resolve_into(&mut self, request: &Request<'_>, resolution: &mut Resolution) {
        resolution.problems.clear();
        resolution.installs.clear();
        self.prepare(request, true);
        self.add_build_requires(request.build_requires, &mut resolution.problems);
        if resolution.problems.is_empty() {
            self.shared.active = self.base.decided;
            let mut solved = self.search(request.weak_deps);
            if self.begins_anew() {
                solved = self.search(request.weak_deps);
            }
            if !solved && self.base.decided {
                // Which contradiction is met first, and told, depends on the order of all decisions.
                self.prepare(request, false);
                self.add_build_requires(request.build_requires, &mut resolution.problems);
                solved = self.search(request.weak_deps);
            }
            if solved {
                self.collect(resolution);
            } else {
                let problem = self.explain(request);
                resolution.problems.push(problem);
            }
        }
        self.reset();
    }

    fn collect(&mut self, resolution: &mut Resolution) {
        for decided in self.trail.iter().filter(|decided| decided.literal > 0) {
            self.installed.insert(package_of(decided.literal));
        }
        let installs = &mut resolution.installs;
        self.distances.measure(self.universe, &self.named, &mut self.installed, installs);
    }

    /// The main loop. Returns whether there is a solution; it is then on the trail.
    fn search(&mut self, weak: bool) -> bool {
        let mut level = 0;
        let mut system_level = 1;
        let mut improvements = 0;
        loop {
            if level <= 0 {
                if level < 0 {
                    return false;
                }
                level = if self.shared.active {
                    self.decide_shared_units()
                } else if self.base.decided {
                    self.decide_units(self.base.jobs)
                } else {
                    self.decide_units(0)
                };
                if level < 0 {
                    return false;
                }
                system_level = level + 1;
            }
            if level < system_level {
                let before = level;
                level = self.decide_jobs(level);
                if level < before {
                    continue;
                }
                system_level = level + 1;
            }
            system_level = system_level.min(level);
            let before = level;
            level = self.decide_dependencies(level);
            if level < before {
                continue;
            }
            if weak {
                let (new_level, again) = self.decide_weak(level);
                level = new_level;
                if self.wishes.get() > self.limits.wishes {
                    self.gave_up = Some(GaveUp::Wishes { limit: self.limits.wishes });
                    return false;
                }
                if again {
                    continue;
                }
            }
            let Some((branch, candidate)) = self.find_improvement() else { return true };
            if improvements == self.limits.improvements {
                self.gave_up = Some(GaveUp::Improvements { improvements });
                return false;
            }
            improvements += 1;
            level = self.take_branch(branch, candidate);
        }
    }

    /// Jobs with one candidate are no decisions; they and what follows from them make level 1. `jobs`: how many are decided
    /// already.
    pub(crate) fn decide_units(&mut self, jobs: usize) -> i32 {
        self.forget_watches(false);
        self.watch_jobs();
        self.decide_watched_units(jobs)
    }

    /// The same, when they are watched already.
    pub(crate) fn decide_watched_units(&mut self, jobs: usize) -> i32 {
        for job in jobs as u32..self.jobs as u32 {
            match self.dynamic.row(job) {
                [] => {
                    self.conflict = Some(Clause::Dynamic(job));
                    return UNSOLVABLE;
                }
                [only] => {
                    let literal = *only as Literal;
                    let decided = self.decision[package_of(literal) as usize];
                    if decided == 0 {
                        self.assign(literal, 1, Some(Clause::Dynamic(job)));
                    } else if (decided > 0) != (literal > 0) {
                        self.conflict = Some(Clause::Dynamic(job));
                        return UNSOLVABLE;
                    }
                }
                _ => {}
            }
        }
        for i in 0..self.watches.decided_at_once.len() {
            // All candidates but one may be impossible from the start. Such jobs come after those with one candidate.
            let (_, job) = self.watches.decided_at_once[i];
            match self.status(job) {
                Status::Unit(literal) => self.assign(literal, 1, Some(Clause::Dynamic(job))),
                Status::Conflict => {
                    self.conflict = Some(Clause::Dynamic(job));
                    return UNSOLVABLE;
                }
                Status::Satisfied | Status::Open => {}
            }
        }
        if let Some(conflict) = self.propagate(1) {
            self.conflict = Some(conflict);
            return UNSOLVABLE;
        }
        1
    }

    /// Whether a member of a clause list is installed, and the installation has been followed up.
    #[inline]
    pub(crate) fn satisfied(&self, list: u32) -> bool {
        self.counters[list as usize] > 0
    }

    pub(crate) fn status(&self, clause: u32) -> Status {
        let literals = self.dynamic.row(clause);
        self.status_of(literals)
    }

    pub(crate) fn status_of(&self, literals: &[u32]) -> Status {
        let mut open = None;
        let mut several = false;
        for literal in literals {
            let literal = *literal as Literal;
            let decided = self.decision[package_of(literal) as usize];
            if decided == 0 {
                several |= open.is_some();
                open = Some(literal);
            } else if (decided > 0) == (literal > 0) {
                return Status::Satisfied;
            }
        }
        match open {
            None => Status::Conflict,
            Some(_) if several => Status::Open,
            Some(literal) => Status::Unit(literal),
        }
    }

    fn decide_jobs(&mut self, mut level: i32) -> i32 {
        let first_level = level;
        let mut job = 0;
        // Those with one candidate are decided.
        while job < self.jobs_of_several {
            self.job_candidates(self.several[job]);
            if self.candidates.is_empty() {
                job += 1;
                continue;
            }
            let before = level;
            level = self.select_and_install(level);
            if level > before {
                job += 1;
            } else if level == before {
                // Something was learnt; the same job again.
            } else if level < first_level {
                return level;
            } else {
                job = 0;
            }
        }
        level
    }

    /// Installs the best of `self.candidates`.
    pub(crate) fn select_and_install(&mut self, level: i32) -> i32 {
        if self.candidates.len() > 1 {
            self.filter(Mode::Choose);
        }
        if self.candidates.len() > 1 {
            self.open_branch(level);
        }
        self.decide(level, positive(self.candidates[0]))
    }

    /// Makes a free decision on a new level and everything that follows from it; learns from dead ends. Returns the
    /// level that is left.
    pub(crate) fn decide(&mut self, level: i32, literal: Literal) -> i32 {
        let mut level = level + 1;
        self.assign(literal, level, None);
        loop {
            let Some(conflict) = self.propagate(level) else { return level };
            if self.shared.active {
                self.shared.contradicted = true;
                return UNSOLVABLE;
            }
            if level == 1 {
                self.conflict = Some(conflict);
                return UNSOLVABLE;
            }
            if self.learnt >= self.limits.conflicts {
                self.gave_up = Some(GaveUp::Contradictions { contradictions: self.learnt });
                return UNSOLVABLE;
            }
            level = self.learn(level, conflict);
        }
    }

    /// Takes back everything above a level.
    pub(crate) fn revert(&mut self, level: i32) {
        self.undo_above(level);
        self.forget_places();
        while self.branches.last().is_some_and(|branch| branch.level >= level) {
            if let Some(branch) = self.branches.pop() {
                self.branch_candidates.truncate(branch.start);
            }
        }
    }
}

/// What a clause says under the present decisions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    Satisfied,
    /// No literal holds or can hold.
    Conflict,
    /// One literal is left, and must hold.
    Unit(Literal),
    Open,
}
