//! What the repository says, one clause at a time, with the relations that say it.
//!
//! The solver's clauses leave out packages that can never be installed, and do not tell where they come from. For
//! explaining, the few that matter are made again from the relations, in full.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use rpm::{Dep, Nevra, Relation};

use crate::arch::{NOARCH, colour};
use crate::offers::NONE;
use crate::problem::Statement;
use crate::rich::{self, Literal, Normal, package_of, positive};
use crate::solver::JobSource;
use crate::universe::{INFERIOR, NEVER, Universe};
use crate::{PackageId, PackageRef};

/// A clause in full: one of its literals must hold. Ascending, so that what must not be installed comes first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fact {
    pub(crate) literals: Vec<Literal>,
    pub(crate) origin: Origin,
}

/// Where a clause comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// It was asked for.
    Request(JobSource),
    /// Packages say so by their relations; [`Relations::statements`] finds out which.
    Repository,
    /// It is an inferior architecture's, and something better is within reach of the request.
    Orphan,
}

impl Fact {
    fn of_repository(literals: Vec<Literal>) -> Self {
        Fact { literals, origin: Origin::Repository }
    }

    /// Two packages exclude each other.
    pub(crate) fn pair(a: u32, b: u32) -> Self {
        Fact::of_repository(vec![-positive(a.max(b)), -positive(a.min(b))])
    }

    /// The packages of which one must be installed.
    pub(crate) fn candidates(&self) -> impl Iterator<Item = u32> + '_ {
        self.literals.iter().filter(|literal| **literal > 0).map(|literal| package_of(*literal))
    }

    /// The packages that all have to be installed for the fact to matter.
    pub(crate) fn conditions(&self) -> impl Iterator<Item = u32> + '_ {
        self.literals.iter().filter(|literal| **literal < 0).map(|literal| package_of(*literal))
    }
}

/// Which relation of which package.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    Requires(u32),
    Conflicts(u32),
    Inferior,
}

/// By dependency, and whether it is of one or of its opposite; nothing for those that need no clauses of their own.
type Normals = HashMap<(u32, bool), Option<Rc<Normal>>>;

/// The relations of a repository, made into facts. Normal forms of rich ones are kept, since a chain asks for the same ones
/// again and again.
pub(crate) struct Relations<'u> {
    pub(crate) universe: &'u Universe,
    normals: RefCell<Normals>,
}

impl<'u> Relations<'u> {
    pub(crate) fn new(universe: &'u Universe) -> Self {
        Relations { universe, normals: RefCell::default() }
    }

    /// What a package demands: its requirements, its rich conflicts (of which some ask for packages) and those with the system
    /// itself, and the better half that an inferior architecture needs; in the order of the repository.
    fn demands(&self, package: u32) -> impl Iterator<Item = (Source, Fact)> + '_ {
        let universe = self.universe;
        let requires = universe.requires.row(package).iter().flat_map(move |dep| {
            self.clauses_of(package, *dep, false)
                .into_iter()
                .map(|literals| (Source::Requires(*dep), Fact::of_repository(literals)))
        });
        let conflicts = universe.conflict_deps.row(package).iter().flat_map(move |dep| {
            let clauses = match self.normal(*dep, true) {
                Some(_) => self.clauses_of(package, *dep, true),
                None if universe.dep_lists[*dep as usize] == NONE => vec![vec![-positive(package)]],
                None => Vec::new(),
            };
            clauses
                .into_iter()
                .map(|literals| (Source::Conflicts(*dep), Fact::of_repository(literals)))
        });
        let inferior =
            universe.has(package, INFERIOR) && universe.orphans.binary_search(&package).is_err();
        let inferior = inferior.then(|| {
            let same: Vec<u32> = universe.same_name(package).collect();
            let scores = same.iter().map(|other| universe.arch_score[*other as usize]);
            let best = scores.filter(|score| *score != NOARCH).min().unwrap_or(NOARCH);
            let better = universe.better_halves(package, &same, best);
            let mut literals: Vec<Literal> = better.into_iter().map(positive).collect();
            literals.insert(0, -positive(package));
            (Source::Inferior, Fact::of_repository(literals))
        });
        requires.chain(conflicts).chain(inferior)
    }

    /// The clauses of one requirement, or of one rich conflict.
    fn clauses_of(&self, package: u32, dep: u32, is_conflict: bool) -> Vec<Vec<Literal>> {
        let universe = self.universe;
        let own = positive(package);
        let Some(normal) = self.normal(dep, is_conflict) else {
            let list = universe.dep_lists[dep as usize];
            if list == NONE || universe.lists.row(list).binary_search(&package).is_ok() {
                return Vec::new();
            }
            let mut literals = vec![-own];
            literals.extend(universe.lists.row(list).iter().map(|provider| positive(*provider)));
            return vec![literals];
        };
        match &*normal {
            // Too many are refused when they are loaded.
            Normal::Always | Normal::TooMany => Vec::new(),
            Normal::Never => vec![vec![-own]],
            Normal::Blocks(blocks) => {
                let clauses = blocks.iter().cloned();
                clauses
                    .filter_map(|block| rich::clause_of_package(package, block, is_conflict))
                    .collect()
            }
        }
    }

    /// The normal form of a dependency or of its opposite, if it is one that needs clauses of its own.
    fn normal(&self, dep: u32, is_conflict: bool) -> Option<Rc<Normal>> {
        let mut normals = self.normals.borrow_mut();
        let normal = normals.entry((dep, is_conflict)).or_insert_with(|| {
            let strings = &self.universe.offers.strings;
            let text = strings.get(self.universe.dep_texts[dep as usize]);
            let dep: Dep = text.starts_with('(').then(|| text.parse().ok()).flatten()?;
            let make = if is_conflict { rich::inverted_clauses } else { rich::clauses };
            rich::is_complex(&dep).then(|| Rc::new(make(&self.universe.offers, &dep)))
        });
        normal.clone()
    }

    /// The demands of a package that can never be met, because all candidates can never be installed.
    pub(crate) fn hopeless(&self, package: u32) -> impl Iterator<Item = Fact> + '_ {
        self.demands(package).map(|(_, fact)| fact).filter(move |fact| {
            fact.conditions().all(|condition| condition == package)
                && fact.candidates().all(|candidate| self.universe.has(candidate, NEVER))
        })
    }

    /// The demand of a package of which these candidates are left, without those that can never be installed.
    pub(crate) fn demand(&self, package: u32, left: &[u32]) -> Option<Fact> {
        self.demands(package).map(|(_, fact)| fact).find(|fact| {
            fact.conditions().all(|condition| condition == package)
                && fact
                    .candidates()
                    .filter(|candidate| !self.universe.has(*candidate, NEVER))
                    .eq(left.iter().copied())
        })
    }

    /// Everything in the repository that comes to this fact.
    pub(crate) fn statements(&self, fact: &Fact) -> Vec<Statement> {
        let universe = self.universe;
        let mut found = Vec::new();
        if let [a, b] = fact.literals.as_slice()
            && *b < 0
        {
            // The greater package has the smaller literal.
            let (a, b) = (package_of(*a), package_of(*b));
            for (from, to) in [(a, b), (b, a)] {
                self.exclusions(from, to, &mut found);
            }
            if universe.names[a as usize] == universe.names[b as usize]
                && share_colour(universe, a, b)
            {
                let (package, other) = (name(universe, a), name(universe, b));
                found.push(Statement::SameName { package, other });
            }
        }
        for owner in fact.conditions() {
            for (source, _) in self.demands(owner).filter(|(_, demand)| demand == fact) {
                let package = name(universe, owner);
                found.push(match source {
                    Source::Requires(dep) => Statement::Requires {
                        package,
                        relation: text(universe, dep),
                        missing: fact.literals.len() == 1,
                    },
                    Source::Conflicts(dep) => {
                        let with = fact.conditions().find(|other| *other != owner);
                        let with = with.map(|other| name(universe, other));
                        Statement::Conflicts { package, relation: text(universe, dep), with }
                    }
                    Source::Inferior => Statement::InferiorArch { package },
                });
            }
        }
        let mut distinct: Vec<Statement> = Vec::with_capacity(found.len());
        for statement in found {
            if !distinct.contains(&statement) {
                distinct.push(statement);
            }
        }
        distinct
    }

    /// By which simple conflicts and obsoletes one package excludes another.
    fn exclusions(&self, from: u32, to: u32, into: &mut Vec<Statement>) {
        let universe = self.universe;
        for dep in universe.conflict_deps.row(from) {
            let list = universe.dep_lists[*dep as usize];
            let is_meant = list != NONE && universe.lists.row(list).binary_search(&to).is_ok();
            if is_meant && self.normal(*dep, true).is_none() {
                into.push(Statement::Conflicts {
                    package: name(universe, from),
                    relation: text(universe, *dep),
                    with: Some(name(universe, to)),
                });
            }
        }
        for dep in universe.obsolete_deps.row(from) {
            let relation = text(universe, *dep);
            if relation.parse().is_ok_and(|relation: Relation| universe.is_named(to, &relation)) {
                into.push(Statement::Obsoletes {
                    package: name(universe, from),
                    relation,
                    obsoleted: name(universe, to),
                });
            }
        }
    }
}

/// A clause of the universe with several negative literals; it is complete as it is.
pub(crate) fn general(universe: &Universe, id: u32) -> Fact {
    let literals = universe.general.row(id).iter().map(|literal| *literal as Literal);
    Fact::of_repository(literals.collect())
}

fn share_colour(universe: &Universe, a: u32, b: u32) -> bool {
    let colour = |package: u32| colour(&universe.archs[universe.arch[package as usize] as usize]);
    colour(a) & colour(b) != 0
}

pub(crate) fn name(universe: &Universe, package: u32) -> Nevra {
    let PackageRef { name, evr, arch } = universe.package(PackageId(package));
    Nevra::new(name, evr.epoch, evr.version, evr.release, arch)
}

fn text(universe: &Universe, dep: u32) -> String {
    universe.offers.strings.get(universe.dep_texts[dep as usize]).to_owned()
}
