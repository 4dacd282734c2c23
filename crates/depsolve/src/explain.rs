//! Why there is no solution.
//!
//! When a clause fails at level 1, nothing was chosen: everything on the trail follows from the request alone. So
//!
//! 1. the trail is walked back from the failed clause, along the reasons of its literals. That collects
//!    clauses which together cannot be met; learnt ones are replaced by what they were learnt from. Packages that can
//!    never be installed are on no trail; their reasons (`never`) follow from the repository alone;
//! 2. each clause is made again in full from the relations that it comes from (`facts`), since people know those and not
//!    clauses;
//! 3. what turns out not to be needed is left out (`minimal`);
//! 4. the rest is told: who says it, what would do, and for each thing that would do, what forbids it.
//!
//! The first step finds an explanation, not the shortest: conclusions are drawn in the order of decisions, and what was
//! learnt may have been learnt in a roundabout way.

mod facts;
mod minimal;
mod never;

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};

use crate::problem::{Candidate, Conflict, Extent, Link, Problem, Statement};
use crate::rich::{Literal, package_of};
use crate::solver::{Clause, JobSource, Request, Solver};
use crate::universe::{NEVER, Universe};

use facts::{Fact, Origin, Relations};
pub(crate) use never::NeverReasons;

/// How many links a chain may have. Nobody reads more, and a repository may be made of nothing but impossible packages.
const MAX_LINKS: usize = 200;

/// How many other statements that say the same are told beside one: a package may lack ten thousand things.
const MAX_ALSO: usize = 20;

/// How many clauses are collected to find a chain in, and how many packages they may name.
const MAX_FACTS: usize = 4000;
const MAX_FACT_LITERALS: usize = 50_000;

impl Solver<'_> {
    /// Why the request that was just found to be impossible is.
    pub(crate) fn explain(&self, request: &Request<'_>) -> Problem {
        if let Some(gave_up) = self.gave_up {
            return Problem::GaveUp(gave_up);
        }
        let relations = Relations::new(self.universe);
        let mut facts = Facts {
            relations: &relations,
            all: Vec::new(),
            literals: 0,
            complete: true,
            end: None,
        };
        for step in self.proof() {
            match self.fact(&relations, step) {
                Some(fact) => facts.add(fact),
                None => facts.complete = false,
            }
        }
        facts.add_never();
        facts.reduce().tell(&relations, request)
    }

    /// Clauses that cannot all be met, the failed one first.
    fn proof(&self) -> Vec<Clause> {
        let mut proof = Proof {
            solver: self,
            steps: Vec::new(),
            told: HashSet::new(),
            rests_on: HashSet::new(),
        };
        if let Some(conflict) = self.conflict {
            proof.add(conflict);
        }
        for decided in self.trail.iter().rev() {
            if proof.rests_on.contains(&package_of(decided.literal))
                && let Some(why) = decided.why
            {
                proof.add(why);
            }
        }
        proof.steps
    }

    /// What a step of the proof says, in full.
    fn fact(&self, relations: &Relations<'_>, clause: Clause) -> Option<Fact> {
        let universe = self.universe;
        match clause {
            Clause::Pair(a, b) => Some(Fact::pair(a, b)),
            Clause::Single { package, only } => relations.demand(package, &[only]),
            Clause::List { package, list } => {
                relations.demand(package, universe.clause_lists.row(list))
            }
            Clause::General(id) => Some(facts::general(universe, id)),
            Clause::Dynamic(job) => Some(Fact {
                literals: self.dynamic.row(job).iter().map(|word| *word as Literal).collect(),
                origin: match self.sources[job as usize] {
                    JobSource::Inferior(_) => Origin::Orphan,
                    source => Origin::Request(source),
                },
            }),
        }
    }
}

struct Proof<'a> {
    solver: &'a Solver<'a>,
    steps: Vec<Clause>,
    told: HashSet<(u8, u32, u32)>,
    /// Packages whose decision needs a reason.
    rests_on: HashSet<u32>,
}

impl Proof<'_> {
    fn add(&mut self, clause: Clause) {
        let solver = self.solver;
        // What was learnt may have been learnt from what was learnt, thousands of times over.
        let mut waiting = vec![clause];
        while let Some(clause) = waiting.pop() {
            if !self.told.insert(key(clause)) {
                continue;
            }
            if let Clause::Dynamic(id) = clause
                && let Some(learnt) = (id as usize).checked_sub(solver.jobs)
            {
                let start = learnt.checked_sub(1).map_or(0, |before| solver.derived_ends[before]);
                waiting.extend(solver.derived[start..solver.derived_ends[learnt]].iter().rev());
                continue;
            }
            self.steps.push(clause);
            solver.for_each_literal(clause, |literal| {
                self.rests_on.insert(package_of(literal));
            });
        }
    }
}

/// Equal for equal clauses, whichever package of a pair is named first.
fn key(clause: Clause) -> (u8, u32, u32) {
    match clause {
        Clause::Pair(a, b) => (0, a.min(b), a.max(b)),
        Clause::Single { package, only } => (1, package, only),
        Clause::List { package, list } => (2, package, list),
        Clause::General(id) => (3, id, 0),
        Clause::Dynamic(id) => (4, id, 0),
    }
}

/// Facts that together cannot hold, in the order in which they are told.
struct Facts<'a> {
    relations: &'a Relations<'a>,
    all: Vec<Fact>,
    /// How many literals they have together.
    literals: usize,
    /// Whether nothing is missing from the proof.
    complete: bool,
    /// If something is: the last link of the first chain that was cut off.
    end: Option<Fact>,
}

impl Facts<'_> {
    fn add(&mut self, mut fact: Fact) {
        self.literals += fact.literals.len();
        if self.literals > MAX_FACT_LITERALS {
            // A link that names too many packages is told with some of them.
            fact.literals.truncate(MAX_LINKS);
            self.complete = false;
        }
        if self.all.len() < MAX_FACTS {
            self.all.push(fact);
        } else {
            self.complete = false;
        }
    }

    /// Adds why candidates can never be installed, and why the candidates for what those need cannot, and so on: each
    /// chain down to its end before the next.
    fn add_never(&mut self) {
        let universe = self.relations.universe;
        let reasons = universe.never_reasons();
        let mut told: HashSet<u32> = HashSet::new();
        let mut waiting: Vec<u32> = Vec::new();
        for i in 0..self.all.len() {
            waiting.extend(never_candidates(universe, &self.all[i]));
            while let Some(package) = waiting.pop() {
                if !told.insert(package) {
                    continue;
                }
                match reasons.of(self.relations, package) {
                    Some(fact) => {
                        let before = waiting.len();
                        waiting.extend(never_candidates(universe, &fact));
                        if self.complete {
                            self.add(fact);
                        } else if waiting.len() == before {
                            // What is at the bottom of it is worth more than what lies between.
                            self.end = Some(fact);
                            return;
                        }
                    }
                    None => self.complete = false,
                }
            }
            if !self.complete {
                return;
            }
        }
    }

    /// Leaves out what is not needed.
    fn reduce(self) -> Reduced {
        let Facts { mut all, complete, end, .. } = self;
        let minimal = if complete {
            let clauses: Vec<&[Literal]> =
                all.iter().map(|fact| fact.literals.as_slice()).collect();
            minimal::minimise(&clauses, minimal::EFFORT)
        } else {
            None
        };
        let extent = match minimal {
            Some(minimal) => {
                let mut place = 0;
                all.retain(|_| {
                    place += 1;
                    minimal.needed.binary_search(&(place - 1)).is_ok()
                });
                if minimal.proven { Extent::Minimal } else { Extent::Sufficient }
            }
            None => Extent::Partial,
        };
        Reduced { facts: all, extent, end }
    }
}

/// The candidates that can never be installed, the one that policy likes best last.
fn never_candidates(universe: &Universe, fact: &Fact) -> Vec<u32> {
    let mut packages: Vec<u32> = fact.candidates().filter(|p| universe.has(*p, NEVER)).collect();
    packages.sort_by_key(|package| {
        let i = *package as usize;
        Reverse((universe.arch_score[i], universe.name_rank[i], Reverse(universe.evr_rank[i])))
    });
    packages
}

/// An explanation as clauses.
struct Reduced {
    facts: Vec<Fact>,
    extent: Extent,
    end: Option<Fact>,
}

impl Reduced {
    /// Tells it in the words of relations.
    fn tell(self, relations: &Relations<'_>, request: &Request<'_>) -> Problem {
        let universe = relations.universe;
        let Reduced { mut facts, mut extent, end } = self;
        if facts.len() > MAX_LINKS {
            let end = end.or_else(|| facts.pop());
            facts.truncate(MAX_LINKS - 1);
            facts.extend(end);
            extent = Extent::Partial;
        } else {
            facts.extend(end);
        }
        let mut forbidden_by: HashMap<u32, Vec<usize>> = HashMap::new();
        for (place, fact) in facts.iter().enumerate() {
            for package in fact.conditions() {
                forbidden_by.entry(package).or_default().push(place);
            }
        }
        let chain = facts.iter().map(|fact| {
            let mut statements = match fact.origin {
                Origin::Request(source) => vec![Statement::Requested {
                    relation: relation(source, request),
                    missing: fact.literals.is_empty(),
                }],
                Origin::Orphan => fact
                    .conditions()
                    .map(|package| Statement::InferiorArch {
                        package: facts::name(universe, package),
                    })
                    .collect(),
                Origin::Repository => relations.statements(fact),
            }
            .into_iter();
            let says = statements.next()?;
            let conditions = fact.conditions().map(|package| facts::name(universe, package));
            let beside = conditions.filter(|package| Some(package) != says.package()).collect();
            let candidates = fact.candidates().map(|package| Candidate {
                package: facts::name(universe, package),
                ruled_out_by: forbidden_by.get(&package).cloned().unwrap_or_default(),
            });
            Some(Link {
                also: statements.take(MAX_ALSO).collect(),
                beside,
                candidates: candidates.collect(),
                says,
            })
        });
        let chain: Vec<Link> = chain.flatten().collect();
        Problem::Conflict(Conflict { chain, extent })
    }
}

fn relation(source: JobSource, request: &Request<'_>) -> String {
    match source {
        JobSource::BuildGroup(i) => request.build_group[i].clone(),
        JobSource::BuildRequires(i) => request.build_requires[i].to_string(),
        JobSource::Inferior(_) | JobSource::Learnt => String::new(),
    }
}
