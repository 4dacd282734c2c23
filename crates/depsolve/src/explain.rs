//! Why there is no solution.
//!
//! When a clause fails at level 1, nothing was chosen: everything on the trail follows from the jobs alone. Walking the
//! trail back from the failed clause, along the reasons of its literals, collects the clauses that together cannot
//! be met; each becomes a link of the chain, told with the relation that it came from. Learnt clauses are
//! replaced by what they were learnt from. Packages that can never be installed have no reason on the trail; theirs is
//! found here, since it follows from the repository alone.

use std::collections::HashSet;

use rpm::{Dep, Nevra};

use crate::offers::NONE;
use crate::problem::{Conflict, Extent, Link, Problem, Statement};
use crate::rich::{self, Literal, Normal, package_of, positive};
use crate::solver::{Clause, JobSource, Request, Solver};
use crate::universe::{INFERIOR, NEVER, Universe};
use crate::{PackageId, PackageRef};

impl Solver<'_> {
    pub(crate) fn explain(&self, request: &Request<'_>) -> Problem {
        if let Some(gave_up) = self.gave_up {
            return Problem::GaveUp(gave_up);
        }
        let mut explanation = Explanation {
            solver: self,
            seen: HashSet::new(),
            told: HashSet::new(),
            chain: Vec::new(),
            requests: Vec::new(),
            never: Vec::new(),
        };
        if let Some(conflict) = self.conflict {
            explanation.add(conflict);
        }
        for (literal, why) in self.trail.iter().zip(&self.why).rev() {
            if explanation.seen.contains(&package_of(*literal))
                && let Some(why) = why
            {
                explanation.add(*why);
            }
        }
        explanation.finish(request)
    }
}

struct Explanation<'a> {
    solver: &'a Solver<'a>,
    /// Packages whose decision needs a reason.
    seen: HashSet<u32>,
    told: HashSet<ClauseKey>,
    chain: Vec<Told>,
    requests: Vec<JobSource>,
    /// Packages that take part and can never be installed.
    never: Vec<u32>,
}

/// Nobody reads more links than this, and a repository may be made of nothing but impossible packages.
const MAX_LINKS: usize = 200;

type ClauseKey = (u8, u32, u32);

enum Told {
    Reasons(Vec<Statement>),
    Requests,
}

fn key(clause: Clause) -> ClauseKey {
    match clause {
        Clause::Pair(a, b) => (0, a.min(b), a.max(b)),
        Clause::List { package, list } => (1, package, list),
        Clause::Single { package, only } => (4, package, only),
        Clause::General(id) => (2, id, 0),
        Clause::Dynamic(id) => (3, id, 0),
    }
}

impl Explanation<'_> {
    fn add(&mut self, clause: Clause) {
        if !self.told.insert(key(clause)) {
            return;
        }
        let solver = self.solver;
        if let Clause::Dynamic(id) = clause
            && id as usize >= solver.jobs
        {
            // Learnt: tell what it was learnt from instead.
            let learnt = id as usize - solver.jobs;
            let start = learnt.checked_sub(1).map_or(0, |before| solver.derived_ends[before]);
            for i in start..solver.derived_ends[learnt] {
                self.add(solver.derived[i]);
            }
            return;
        }
        solver.for_each_literal(clause, |literal| {
            let package = package_of(literal);
            let orphan = solver.decision[package as usize] == -1
                && solver.universe.orphans.binary_search(&package).is_ok();
            if solver.universe.has(package, NEVER) || orphan {
                self.never.push(package);
            } else {
                self.seen.insert(package);
            }
        });
        match clause {
            Clause::Dynamic(job) => {
                if !self.chain.iter().any(|link| matches!(link, Told::Requests)) {
                    self.chain.push(Told::Requests);
                }
                self.requests.push(solver.sources[job as usize]);
            }
            Clause::Pair(a, b) => self.chain.push(Told::Reasons(pair(solver.universe, a, b))),
            Clause::Single { package, only } => self.add_requirement(package, &[only]),
            Clause::List { package, list } => {
                self.add_requirement(package, solver.universe.clause_lists.row(list));
            }
            Clause::General(id) => {
                let literals: Vec<Literal> =
                    solver.universe.general.row(id).iter().map(|l| *l as Literal).collect();
                self.chain.push(Told::Reasons(vec![general(solver.universe, &literals)]));
            }
        }
    }

    fn add_requirement(&mut self, package: u32, members: &[u32]) {
        let universe = self.solver.universe;
        self.chain.push(Told::Reasons(vec![requirement(universe, package, members)]));
        // Providers that were left out of the list because they can never be installed take part, too.
        self.never.extend(never_providers(universe, package, members));
    }

    fn finish(mut self, request: &Request<'_>) -> Problem {
        let universe = self.solver.universe;
        let mut sources = std::mem::take(&mut self.requests);
        sources.dedup();
        let mut requests: Vec<String> = Vec::new();
        for source in sources {
            let text = match source {
                JobSource::BuildGroup(i) => request.build_group[i].clone(),
                JobSource::BuildRequires(i) => request.build_requires[i].to_string(),
                JobSource::Learnt => continue,
            };
            if !requests.contains(&text) {
                requests.push(text);
            }
        }
        let mut chain = Vec::new();
        for link in self.chain {
            match link {
                Told::Reasons(reasons) => chain.extend(reasons),
                Told::Requests => {
                    chain.extend(
                        std::mem::take(&mut requests)
                            .into_iter()
                            .map(|relation| Statement::Requested { relation, missing: false }),
                    );
                }
            }
        }
        chain.extend(never_reasons(universe, &self.never));
        let mut unique: Vec<Statement> = Vec::new();
        for reason in chain {
            if !unique.contains(&reason) {
                unique.push(reason);
            }
        }
        let chain = unique
            .into_iter()
            .map(|says| Link { says, also: Vec::new(), beside: Vec::new(), candidates: Vec::new() })
            .collect();
        Problem::Conflict(Conflict { chain, extent: Extent::Minimal })
    }
}

/// A package in dnf's notation: `name-[epoch:]version-release.arch`.
fn name(universe: &Universe, package: u32) -> Nevra {
    let PackageRef { name, evr, arch } = universe.package(PackageId(package));
    Nevra::new(name, evr.epoch, evr.version, evr.release, arch)
}

fn dep_text(universe: &Universe, dep: u32) -> String {
    universe.offers.strings.get(universe.dep_texts[dep as usize]).to_owned()
}

/// Every reason why two packages exclude each other.
fn pair(universe: &Universe, a: u32, b: u32) -> Vec<Statement> {
    let mut reasons = Vec::new();
    for (from, to) in [(a, b), (b, a)] {
        for dep in universe.conflict_deps.row(from) {
            let list = universe.dep_lists[*dep as usize];
            if list != NONE && universe.lists.row(list).binary_search(&to).is_ok() {
                reasons.push(Statement::Conflicts {
                    package: name(universe, from),
                    relation: dep_text(universe, *dep),
                    with: Some(name(universe, to)),
                });
            }
        }
        if universe.obsoletes.row(from).binary_search(&to).is_ok() {
            for dep in universe.obsolete_deps.row(from) {
                let list = universe.dep_lists[*dep as usize];
                if list != NONE && universe.lists.row(list).binary_search(&to).is_ok() {
                    reasons.push(Statement::Obsoletes {
                        package: name(universe, from),
                        relation: dep_text(universe, *dep),
                        obsoleted: name(universe, to),
                    });
                }
            }
        }
    }
    if universe.names[a as usize] == universe.names[b as usize] {
        reasons.push(Statement::SameName { package: name(universe, a), other: name(universe, b) });
    }
    if reasons.is_empty() {
        // A rich requirement of the one that forbids the other.
        reasons.push(general(universe, &[-positive(a), -positive(b)]));
    }
    reasons
}

/// The requirement of a package that a list of candidates comes from.
fn requirement(universe: &Universe, package: u32, members: &[u32]) -> Statement {
    let needed_by = name(universe, package);
    match required_dep(universe, package, members) {
        Some(dep) => Statement::Requires {
            package: needed_by,
            relation: dep_text(universe, dep),
            missing: false,
        },
        None if universe.has(package, INFERIOR) => Statement::InferiorArch { package: needed_by },
        None => {
            let mut literals: Vec<Literal> = members.iter().map(|p| positive(*p)).collect();
            literals.insert(0, -positive(package));
            general(universe, &literals)
        }
    }
}

/// The simple requirement whose providers, without those that can never be installed, are these.
fn required_dep(universe: &Universe, package: u32, members: &[u32]) -> Option<u32> {
    universe.requires.row(package).iter().copied().find(|dep| {
        let list = universe.dep_lists[*dep as usize];
        list != NONE
            && list != 0
            && !is_complex(universe, *dep)
            && universe
                .lists
                .row(list)
                .iter()
                .filter(|p| !universe.has(**p, NEVER))
                .eq(members.iter())
    })
}

fn never_providers(universe: &Universe, package: u32, members: &[u32]) -> Vec<u32> {
    let Some(dep) = required_dep(universe, package, members) else { return Vec::new() };
    let list = universe.dep_lists[dep as usize];
    universe.lists.row(list).iter().copied().filter(|p| universe.has(*p, NEVER)).collect()
}

fn parsed(universe: &Universe, dep: u32) -> Option<Dep> {
    let text = universe.offers.strings.get(universe.dep_texts[dep as usize]);
    text.starts_with('(').then(|| text.parse().ok()).flatten()
}

fn is_complex(universe: &Universe, dep: u32) -> bool {
    parsed(universe, dep).is_some_and(|dep| rich::is_complex(&dep))
}

/// Which rich requirement or conflict a clause comes from.
fn general(universe: &Universe, literals: &[Literal]) -> Statement {
    let mut wanted = literals.to_vec();
    wanted.sort_unstable();
    let owners = literals.iter().filter(|l| **l < 0).map(|l| package_of(*l));
    for owner in owners.clone() {
        let same = |blocks: Normal| {
            let Normal::Blocks(blocks) = blocks else { return false };
            blocks.into_iter().any(|mut block| {
                block.push(-positive(owner));
                block.retain(|l| *l < 0 || !universe.has(package_of(*l), NEVER));
                block.sort_unstable();
                block.dedup();
                block == wanted
                    || block.iter().filter(|l| **l < 0).eq(wanted.iter().filter(|l| **l < 0))
            })
        };
        for dep in universe.requires.row(owner) {
            if let Some(rich) = parsed(universe, *dep)
                && same(rich::clauses(&universe.offers, &rich))
            {
                return Statement::Requires {
                    relation: dep_text(universe, *dep),
                    package: name(universe, owner),
                    missing: false,
                };
            }
        }
        for dep in universe.conflict_deps.row(owner) {
            if let Some(rich) = parsed(universe, *dep)
                && same(rich::inverted_clauses(&universe.offers, &rich))
            {
                let other = owners.clone().find(|other| *other != owner);
                return Statement::Conflicts {
                    package: name(universe, owner),
                    relation: dep_text(universe, *dep),
                    with: other.map(|other| name(universe, other)),
                };
            }
        }
    }
    Statement::InferiorArch {
        package: literals.first().map_or_else(Nevra::default, |l| name(universe, package_of(*l))),
    }
}

/// Why packages can never be installed: for each the first of its requirements that can never be met, and the same for
/// that requirement's providers, down to something that nothing provides.
fn never_reasons(universe: &Universe, packages: &[u32]) -> Vec<Statement> {
    // Everything that may take part, nearest first.
    let mut all: Vec<u32> = Vec::new();
    let mut known: HashSet<u32> = HashSet::new();
    let mut queue: Vec<u32> = packages.to_vec();
    while let Some(package) = queue.pop() {
        if all.len() < MAX_LINKS && known.insert(package) {
            all.push(package);
            for dep in universe.requires.row(package) {
                if let Some(providers) = hopeless(universe, package, *dep) {
                    queue.extend(providers);
                }
            }
        }
    }
    // A reason may only rest on packages whose reason is already known, or circles would explain themselves.
    let mut grounded: HashSet<u32> = HashSet::new();
    let mut reason_of: Vec<(u32, Option<u32>)> = Vec::new();
    loop {
        let mut progress = false;
        let mut new = Vec::new();
        for package in &all {
            if grounded.contains(package) {
                continue;
            }
            let deps = universe.requires.row(*package).iter().copied();
            let dep = deps.clone().find(|dep| {
                hopeless(universe, *package, *dep)
                    .is_some_and(|providers| providers.iter().all(|p| grounded.contains(p)))
            });
            let own_fault = !deps.clone().any(|dep| hopeless(universe, *package, dep).is_some());
            if dep.is_some() || own_fault {
                new.push(*package);
                reason_of.push((*package, dep));
                progress = true;
            }
        }
        grounded.extend(new);
        if !progress {
            break;
        }
    }
    let mut reasons = Vec::new();
    let mut told: HashSet<u32> = HashSet::new();
    let mut queue: Vec<u32> = packages.to_vec();
    let mut next = 0;
    while next < queue.len() {
        let package = queue[next];
        next += 1;
        if reasons.len() >= MAX_LINKS || !told.insert(package) {
            continue;
        }
        let needed_by = name(universe, package);
        match reason_of.iter().find(|(p, _)| *p == package).and_then(|(_, dep)| *dep) {
            Some(dep) => {
                let relation = dep_text(universe, dep);
                let providers = hopeless(universe, package, dep).unwrap_or_default();
                if providers.is_empty() {
                    reasons.push(Statement::Requires {
                        relation,
                        package: needed_by,
                        missing: true,
                    });
                } else {
                    reasons.push(Statement::Requires {
                        relation,
                        package: needed_by,
                        missing: false,
                    });
                    queue.extend(providers);
                }
            }
            None if universe.has(package, INFERIOR) => {
                reasons.push(Statement::InferiorArch { package: needed_by });
            }
            None => reasons.push(Statement::InferiorArch { package: needed_by }),
        }
    }
    reasons
}

/// The providers of a requirement that can never be met; none of them can ever be installed.
fn hopeless(universe: &Universe, package: u32, dep: u32) -> Option<Vec<u32>> {
    if let Some(rich) = parsed(universe, dep)
        && rich::is_complex(&rich)
    {
        let Normal::Blocks(blocks) = rich::clauses(&universe.offers, &rich) else {
            let never = rich::clauses(&universe.offers, &rich) == Normal::Never;
            return never.then(Vec::new);
        };
        let own = positive(package);
        return blocks
            .into_iter()
            .find(|block| {
                block.iter().all(|l| {
                    *l == -own || (*l > 0 && *l != own && universe.has(package_of(*l), NEVER))
                })
            })
            .map(|block| block.into_iter().filter(|l| *l > 0).map(package_of).collect());
    }
    let list = universe.dep_lists[dep as usize];
    if list == NONE {
        return None;
    }
    let providers = universe.lists.row(list);
    (!providers.contains(&package) && providers.iter().all(|p| universe.has(*p, NEVER)))
        .then(|| providers.to_vec())
}
