//! The solver: from a request to a set of packages.
//!
//! The main loop and the order of its decisions. What follows from a decision is in `propagate`, what is chosen
//! among several candidates in `policy`, weak dependencies in `weak`, and what is learnt from a dead end in
//! `learn`.

use rpm::Dep;

use crate::arrays::Rows;
use crate::distance::Distances;
use crate::offers::{MetBy, NONE};
use crate::policy::Mode;
use crate::rich::{self, Literal, Normal, package_of, positive};
use crate::universe::{ENHANCES, NEVER, SUPPLEMENTS};
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

/// A choice that is open: where it stands in the order of decisions, and which clause it comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Choice {
    pub(crate) key: u64,
}

/// A decision among several candidates that may be taken back to try another one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Branch {
    /// Where its candidates begin in `branch_candidates`.
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) level: i32,
}

/// What was asked for, to explain why it cannot be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum JobSource {
    BuildGroup(usize),
    BuildRequires(usize),
    Learnt,
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
}

impl Default for Limits {
    fn default() -> Self {
        Limits { conflicts: 20_000, improvements: 10_000 }
    }
}

/// Solves one request after the other, reusing its memory. One for each thread; cheap to keep, dear to make.
#[derive(Debug)]
pub struct Solver<'u> {
    pub(crate) universe: &'u Universe,
    /// Per package: 0 undecided, level if installed, minus level if not.
    pub(crate) decision: Vec<i32>,
    /// Decisions in the order in which they were made, and why: `None` is a free choice.
    pub(crate) trail: Vec<Literal>,
    pub(crate) why: Vec<Option<Clause>>,
    /// Beside the trail: how many choices were known when the entry was propagated.
    pub(crate) choice_marks: Vec<u32>,
    /// How much of the trail has been propagated.
    pub(crate) head: usize,
    /// Per clause list: members installed, members excluded, requirers installed.
    pub(crate) satisfied: Vec<u32>,
    pub(crate) excluded: Vec<u32>,
    pub(crate) active: Vec<u32>,
    /// Per provider list: how many installed packages recommend (suggest) it.
    pub(crate) recommended: Vec<u32>,
    /// Per provider list that something recommends: how many of its members are installed.
    pub(crate) recommended_installed: Vec<u32>,
    /// Installed packages that recommend something, in the order of the trail.
    pub(crate) recommenders: Vec<u32>,
    pub(crate) suggested: Vec<u32>,
    pub(crate) choices: Vec<Choice>,

    /// Jobs and learnt clauses, and in which of them a package occurs (a linked list for each package).
    pub(crate) dynamic: Rows,
    pub(crate) sources: Vec<JobSource>,
    /// Those with more than one literal.
    several: Vec<u32>,
    pub(crate) jobs: usize,
    pub(crate) occurs_first: Vec<u32>,
    pub(crate) occurs: Vec<(u32, u32)>,
    occurs_touched: Vec<u32>,

    pub(crate) branches: Vec<Branch>,
    pub(crate) branch_candidates: Vec<i32>,
    pub(crate) seen: Vec<bool>,
    pub(crate) learnt: u32,
    /// The clauses that each learnt clause was derived from, back to back.
    pub(crate) derived: Vec<Clause>,
    pub(crate) derived_ends: Vec<usize>,
    pub(crate) conflict: Option<Clause>,
    limits: Limits,
    /// Why the search was given up.
    pub(crate) gave_up: Option<GaveUp>,

    // Scratch.
    pub(crate) candidates: Vec<u32>,
    pub(crate) best: Vec<u32>,
    pub(crate) learn_others: Vec<Literal>,
    pub(crate) learn_marked: Vec<u32>,
    pub(crate) supplements: Vec<u32>,
    pub(crate) in_candidates: Vec<bool>,
    pub(crate) policy: crate::policy::Scratch,
    open: Vec<Choice>,
    found: Vec<u32>,
    /// Everything that may be installed for the sake of a job itself; kept only where there are orphans.
    asked: Vec<u32>,
    distances: Distances,
    reach: Vec<bool>,
}

impl<'u> Solver<'u> {
    /// A solver for this universe.
    pub fn new(universe: &'u Universe) -> Self {
        Self::with_limits(universe, Limits::default())
    }

    /// A solver that gives up sooner, or later, than others.
    pub fn with_limits(universe: &'u Universe, limits: Limits) -> Self {
        let packages = universe.len();
        let lists = universe.clause_lists.len();
        let decision = (0..packages as u32)
            .map(|package| if universe.has(package, NEVER) { -1 } else { 0 })
            .collect();
        Solver {
            universe,
            decision,
            trail: Vec::new(),
            why: Vec::new(),
            choice_marks: Vec::new(),
            head: 0,
            satisfied: vec![0; lists],
            excluded: vec![0; lists],
            active: vec![0; lists],
            recommended: vec![0; universe.lists.len()],
            recommended_installed: vec![0; universe.lists.len()],
            recommenders: Vec::new(),
            suggested: vec![0; universe.lists.len()],
            choices: Vec::new(),
            dynamic: Rows::new(),
            sources: Vec::new(),
            several: Vec::new(),
            jobs: 0,
            occurs_first: vec![NONE; packages],
            occurs: Vec::new(),
            occurs_touched: Vec::new(),
            branches: Vec::new(),
            branch_candidates: Vec::new(),
            seen: vec![false; packages],
            learnt: 0,
            derived: Vec::new(),
            derived_ends: Vec::new(),
            conflict: None,
            limits,
            gave_up: None,
            candidates: Vec::new(),
            best: Vec::new(),
            learn_others: Vec::new(),
            learn_marked: Vec::new(),
            supplements: Vec::new(),
            in_candidates: vec![false; packages],
            policy: crate::policy::Scratch::default(),
            open: Vec::new(),
            found: Vec::new(),
            asked: Vec::new(),
            distances: Distances::new(universe),
            reach: Vec::new(),
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
        self.add_jobs(request, &mut resolution.problems);
        if resolution.problems.is_empty() {
            if self.search(request.weak_deps) {
                self.collect(request, resolution);
            } else {
                let problem = self.explain(request);
                resolution.problems.push(problem);
            }
        }
        self.reset();
    }

    fn collect(&mut self, request: &Request<'_>, resolution: &mut Resolution) {
        let installed = self.trail.iter().filter(|literal| **literal > 0);
        resolution.installs.extend(
            installed.map(|literal| Install {
                package: PackageId(package_of(*literal)),
                distance: None,
            }),
        );
        resolution.installs.sort_unstable_by_key(|install| install.package);
        self.distances.measure(self.universe, request.build_requires, &mut resolution.installs);
    }

    fn add_jobs(&mut self, request: &Request<'_>, problems: &mut Vec<Problem>) {
        let universe = self.universe;
        for (i, entry) in request.build_group.iter().enumerate() {
            self.found.clear();
            universe.offers.providers(entry, None, &mut self.found);
            if !self.found.is_empty() {
                self.add_job(JobSource::BuildGroup(i));
            }
        }
        for (i, dep) in request.build_requires.iter().enumerate() {
            let source = JobSource::BuildRequires(i);
            match dep {
                Dep::Relation(relation) => {
                    self.found.clear();
                    let met = universe.offers.relation(relation, &mut self.found);
                    if !self.found.is_empty() {
                        self.add_job(source);
                    } else if met == MetBy::Packages {
                        problems.push(Problem::NotFound { relation: dep.to_string() });
                    }
                }
                Dep::Rich(_) => self.add_rich_job(dep, source),
            }
        }
        self.jobs = self.sources.len();
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
        let (found, _) = offers.potential(dep);
        if found.is_empty() {
            return;
        }
        if !self.universe.orphans.is_empty() {
            self.asked.extend(&found);
        }
        if !rich::is_complex(dep) {
            self.add_clause(found.into_iter().map(positive), source);
            return;
        }
        match rich::clauses(offers, dep) {
            Normal::Always => {}
            Normal::Never => self.add_clause([], source),
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

    /// Adds a job or a learnt clause and returns its number.
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
            for i in start..self.dynamic.data.len() {
                let package = package_of(self.dynamic.data[i] as Literal);
                let first = &mut self.occurs_first[package as usize];
                if *first == NONE {
                    self.occurs_touched.push(package);
                }
                self.occurs.push((id, *first));
                *first = self.occurs.len() as u32 - 1;
            }
        }
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
                level = self.decide_units();
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

    /// Jobs with one candidate are no decisions; they and what follows from them make level 1.
    fn decide_units(&mut self) -> i32 {
        self.exclude_orphans();
        for job in 0..self.jobs as u32 {
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
        for i in 0..self.several.len() {
            // All candidates but one may be impossible from the start. Such jobs come after those with one candidate.
            let job = self.several[i];
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

    /// An orphan of inferior architecture is excluded when a better package of its name is within reach of the request.
    fn exclude_orphans(&mut self) {
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

    /// The undecided candidates of an unsatisfied job, or nothing.
    fn job_candidates(&mut self, job: u32) {
        let Solver { candidates, dynamic, decision, .. } = self;
        candidates.clear();
        for literal in dynamic.row(job) {
            let literal = *literal as Literal;
            let package = package_of(literal);
            let decided = decision[package as usize];
            if (literal < 0 && decided <= 0) || (literal > 0 && decided > 0) {
                candidates.clear();
                return;
            }
            if decided == 0 {
                candidates.push(package);
            }
        }
    }

    fn decide_jobs(&mut self, mut level: i32) -> i32 {
        let first_level = level;
        let mut job = 0;
        while job < self.jobs as u32 {
            self.job_candidates(job);
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

    /// Decides the open clauses in libsolv's order: by package descending, then by list; jobs after them, learnt clauses
    /// last; cyclically. A first pass takes only those where policy leaves one candidate.
    fn decide_dependencies(&mut self, mut level: i32) -> i32 {
        let first_level = level;
        let mut position = 0u64;
        let mut postponed: Option<u64> = None;
        let mut postponing = true;
        loop {
            self.gather_open();
            let split = self.open.partition_point(|choice| choice.key < position);
            let count = self.open.len();
            let mut taken = None;
            for i in 0..count {
                let choice = self.open[(split + i) % count];
                self.choice_candidates(choice);
                if postponing {
                    self.filter(Mode::ChooseUnordered);
                    if self.candidates.len() > 1 {
                        postponed.get_or_insert(choice.key);
                        continue;
                    }
                }
                taken = Some(choice);
                break;
            }
            let Some(choice) = taken else {
                if let Some(first) = postponed
                    && postponing
                {
                    postponing = false;
                    position = first;
                    continue;
                }
                return level;
            };
            level = self.select_and_install(level);
            if level < first_level {
                return level;
            }
            position = choice.key + 1;
        }
    }

    fn gather_open(&mut self) {
        self.open.clear();
        let universe = self.universe;
        let lists = universe.clause_lists.len() as u32;
        for choice in &self.choices {
            let (package, index) = self.place(*choice);
            let clause = universe.clauses.row(package)[index as usize];
            if clause < lists {
                if self.satisfied[clause as usize] == 0 {
                    self.open.push(*choice);
                }
            } else if self.status_of(universe.general.row(clause - lists)) == Status::Open {
                self.open.push(*choice);
            }
        }
        for i in 0..self.several.len() {
            let id = self.several[i];
            if self.status(id) != Status::Open {
                continue;
            }
            let negative_open = self.dynamic.row(id).iter().any(|literal| {
                let literal = *literal as Literal;
                literal < 0 && self.decision[package_of(literal) as usize] <= 0
            });
            if !negative_open {
                self.open.push(Choice { key: (universe.len() as u64 + 1 + u64::from(id)) << 32 });
            }
        }
        self.open.sort_unstable();
        self.open.dedup();
    }

    /// The choice of a package's clause; highest package first.
    pub(crate) fn choice(&self, package: u32, index: u32) -> Choice {
        Choice { key: u64::from(self.universe.len() as u32 - package) << 32 | u64::from(index) }
    }

    fn place(&self, choice: Choice) -> (u32, u32) {
        (self.universe.len() as u32 - (choice.key >> 32) as u32, choice.key as u32)
    }

    fn choice_candidates(&mut self, choice: Choice) {
        self.candidates.clear();
        let universe = self.universe;
        let lists = universe.clause_lists.len() as u32;
        let row = (choice.key >> 32) as u32;
        if row > universe.len() as u32 {
            let id = row - universe.len() as u32 - 1;
            self.job_candidates(id);
            return;
        }
        let (package, index) = self.place(choice);
        let clause = universe.clauses.row(package)[index as usize];
        let decision = &self.decision;
        if clause < lists {
            let members = universe.clause_lists.row(clause).iter().copied();
            self.candidates.extend(members.filter(|p| decision[*p as usize] == 0));
        } else {
            let literals = universe.general.row(clause - lists).iter();
            self.candidates.extend(
                literals
                    .filter(|literal| (**literal as Literal) > 0)
                    .map(|literal| package_of(*literal as Literal))
                    .filter(|p| decision[*p as usize] == 0),
            );
        }
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

    pub(crate) fn open_branch(&mut self, level: i32) {
        let start = self.branch_candidates.len();
        for (i, package) in self.candidates.iter().enumerate() {
            let literal = positive(*package);
            self.branch_candidates.push(if i == 0 { -literal } else { literal });
        }
        self.branches.push(Branch { start, end: self.branch_candidates.len(), level });
    }

    /// Makes a free decision on a new level and everything that follows from it; learns from dead ends. Returns the
    /// level that is left.
    pub(crate) fn decide(&mut self, level: i32, literal: Literal) -> i32 {
        let mut level = level + 1;
        self.assign(literal, level, None);
        loop {
            let Some(conflict) = self.propagate(level) else { return level };
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
        while self.branches.last().is_some_and(|branch| branch.level >= level) {
            if let Some(branch) = self.branches.pop() {
                self.branch_candidates.truncate(branch.start);
            }
        }
    }

    /// Minimisation: the earliest decision of which another candidate was installed later anyway, or would have been
    /// preferred with what is known now; as branch and place of that candidate.
    fn find_improvement(&self) -> Option<(usize, usize)> {
        let mut found = None;
        for b in (0..self.branches.len()).rev() {
            let Branch { start, end, level } = self.branches[b];
            let mut preferred = None;
            let mut installed_later = false;
            for i in start..end {
                let literal = self.branch_candidates[i];
                if literal <= 0 {
                    continue;
                }
                let package = package_of(literal);
                if self.decision[package as usize] > level {
                    found = Some((b, i));
                    installed_later = true;
                    break;
                }
                if preferred.is_none() && self.is_preferred(package) {
                    preferred = Some(i);
                }
            }
            if let (Some(preferred), false) = (preferred, installed_later) {
                let chosen = (start..end).find(|i| {
                    let literal = -self.branch_candidates[*i];
                    literal > 0
                        && self.decision[package_of(literal) as usize] == level + 1
                        && !self.is_preferred(package_of(literal))
                });
                if chosen.is_some() {
                    found = Some((b, preferred));
                }
            }
        }
        found
    }

    /// Takes a decision back, and everything after it, and decides for another candidate.
    fn take_branch(&mut self, b: usize, i: usize) -> i32 {
        let level = self.branches[b].level;
        let literal = self.branch_candidates[i];
        self.branch_candidates[i] = -literal;
        // The branch itself stays, so that its other candidates can still be tried.
        self.branches[b].level = 0;
        self.revert(level);
        self.branches[b].level = level;
        self.decide(level, literal)
    }

    /// Takes everything back; costs only what was touched.
    fn reset(&mut self) {
        self.undo_above(0);
        self.branches.clear();
        self.branch_candidates.clear();
        self.dynamic.data.clear();
        self.dynamic.offsets.truncate(1);
        self.sources.clear();
        self.several.clear();
        self.jobs = 0;
        self.asked.clear();
        self.occurs.clear();
        for package in self.occurs_touched.drain(..) {
            self.occurs_first[package as usize] = NONE;
        }
        self.learnt = 0;
        self.derived.clear();
        self.derived_ends.clear();
        self.conflict = None;
        self.gave_up = None;
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
