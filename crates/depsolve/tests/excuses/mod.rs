//! Where libsolv's answer is not ours: the listed classes, each with the reason why ours is right, and with a proof that
//! a difference belongs to it.
//!
//! A proof is a change of the case that, by the meaning of what is changed, must not change the answer, but changes
//! libsolv's to ours.

#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::collections::HashSet;

use depsolve::{Limits, LoadError};
use rpm::md::Package;
use rpm::{Dep, Relation, Rich};

use crate::definition::{holds, is_named, provides};
use crate::judge::{Answer, Judge};
use crate::notation::Case;

/// What we say to a case, in the judge's form.
pub(crate) fn ours(case: &Case) -> Answer {
    let (installs, problems) = case.solve();
    Answer { resolved: problems.is_empty(), installs, problems }
}

/// Whether we refuse a repository that libsolv would load: a rich dependency nested at random may have more
/// alternatives than anybody can have meant, which is an error with a sentence of its own, and no answer to compare.
pub(crate) fn is_refused(case: &Case) -> bool {
    matches!(case.load(), Err(LoadError::TooEntangled { .. }))
}

pub(crate) const REFUSED: &str = "refused, too many alternatives";

/// How two answers to one case compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Same,
    /// They differ, and ours is right, since the difference belongs to that class.
    Excused(&'static str),
    Different,
}

/// Compares our answer with libsolv's.
pub(crate) fn judge(judge: &mut Judge, case: &Case, ours: &Answer) -> (Answer, Verdict) {
    let theirs = judge.ask(case);
    let verdict = if theirs.agrees(ours) {
        Verdict::Same
    } else {
        excuse(judge, case, ours).map_or(Verdict::Different, Verdict::Excused)
    };
    (theirs, verdict)
}

const CONDITIONS: &str = "packages behind conditions";
const PATHS: &str = "paths within rich requests";
const BOUND: &str = "rich requests beyond our bound";

/// How many times as much as usual a rich request may amount to for a proof.
const HIGHER: usize = 100;

/// The class that a difference belongs to.
///
/// *Packages behind conditions.* A request or a weak dependency such as `(a if b else c)` can lead to b, but libsolv does
/// not see this: unless something else leads to b, it gives b no rules, and may install it without what it requires or
/// beside what it conflicts with, or without the better half that a package of an inferior architecture needs. Ours is right,
/// since such an answer is no installable set. Proof: b gets an Enhances that can never hold, which means nothing, but makes
/// libsolv see it.
///
/// *Paths within rich requests.* libsolv looks up a path within a rich request among provides only, but one that stands
/// alone among files as well. Ours is right, since parentheses do not change what a path means, and since
/// rpm itself finds it. Proof: owners of the path get a provide of the same name, as rpm treats them.
///
/// *Rich requests beyond our bound.* A request nested at random may have more alternatives than anybody can have meant.
/// We do not look at it, and say so. That is right, since alternatives multiply: no bound would be a request that takes all
/// memory. Proof: with a bound a hundred times as high our answer is libsolv's, or differs in a way that is proven itself.
fn excuse(judge: &mut Judge, case: &Case, ours: &Answer) -> Option<&'static str> {
    if !ours.problems.iter().any(|problem| problem.contains("too many alternatives")) {
        return excuse_within_bound(judge, case, ours);
    }
    let alternatives = Limits::default().alternatives * HIGHER;
    let (installs, problems) = case.solve_within(Limits { alternatives, ..Limits::default() });
    let higher = Answer { resolved: problems.is_empty(), installs, problems };
    let is_proven =
        judge.ask(case).agrees(&higher) || excuse_within_bound(judge, case, &higher).is_some();
    is_proven.then_some(BOUND)
}

fn excuse_within_bound(judge: &mut Judge, case: &Case, ours: &Answer) -> Option<&'static str> {
    if is_proven_by_conditions(judge, case, ours) {
        return Some(CONDITIONS);
    }
    let provided = with_paths_provided(case)?;
    if judge.ask(&provided).agrees(ours) {
        return Some(PATHS);
    }
    is_proven_by_conditions(judge, &provided, ours).then_some("both")
}

/// What libsolv sees needlessly can change its answer as well, so it is shown all and less: only what requests and forward
/// dependencies can lead to through conditions, and what one relation alone can.
fn is_proven_by_conditions(judge: &mut Judge, case: &Case, ours: &Answer) -> bool {
    let all = behind_conditions(case, true);
    let forward = behind_conditions(case, false);
    let alone: Vec<_> = all.iter().map(|relation| vec![relation.clone()]).collect();
    [forward, all].into_iter().chain(alone).any(|behind| {
        with_packages_seen(case, &behind).is_some_and(|seen| judge.ask(&seen).agrees(ours))
    })
}

/// The relations within conditions of requests and of weak dependencies, of the backward ones only if told.
fn behind_conditions(case: &Case, backward: bool) -> Vec<Relation> {
    let mut behind = Vec::new();
    case.requires.iter().for_each(|dep| conditional(dep, false, &mut behind));
    for package in &case.packages {
        for dep in package.recommends.iter().chain(&package.suggests) {
            conditional(dep, false, &mut behind);
        }
        // libsolv asks whether a backward dependency can hold at all, and takes every condition for possible.
        if !backward {
            continue;
        }
        for dep in package.supplements.iter().chain(&package.enhances) {
            conditional(dep, false, &mut behind);
        }
    }
    behind
}

/// Makes libsolv see what provides one of these; nothing if there is no such package.
fn with_packages_seen(case: &Case, behind: &[Relation]) -> Option<Case> {
    let never: Dep = "(nothing1 unless nothing2)".parse().unwrap();
    let mut seen = case.clone();
    let mut any = false;
    for package in &mut seen.packages {
        if behind.iter().any(|relation| provides(package, &Dep::Relation(relation.clone()))) {
            package.enhances.push(never.clone());
            any = true;
        }
    }
    any.then_some(seen)
}

/// The relations within conditions, and those that stand beside them.
fn conditional(dep: &Dep, within: bool, into: &mut Vec<Relation>) {
    match dep {
        Dep::Relation(relation) if within => into.push(relation.clone()),
        Dep::Relation(_) => {}
        Dep::Rich(Rich::And(all) | Rich::Or(all) | Rich::With(all)) => {
            all.iter().for_each(|dep| conditional(dep, within, into));
        }
        Dep::Rich(Rich::Without(a, b)) => {
            conditional(a, within, into);
            conditional(b, within, into);
        }
        Dep::Rich(
            Rich::If { then, condition, otherwise } | Rich::Unless { then, condition, otherwise },
        ) => {
            conditional(then, within, into);
            conditional(condition, true, into);
            if let Some(otherwise) = otherwise {
                conditional(otherwise, within, into);
            }
        }
    }
}

/// Owners of paths that occur within rich requests get provides of these names; nothing if there is no such path.
fn with_paths_provided(case: &Case) -> Option<Case> {
    let mut paths = Vec::new();
    for dep in case.requires.iter().filter(|dep| matches!(dep, Dep::Rich(_))) {
        dep.for_each_relation(&mut |relation| {
            if relation.name.starts_with('/') && relation.constraint.is_none() {
                paths.push(relation.name.clone());
            }
        });
    }
    // First as provides (of packages that the machine can run), and only then by path.
    let universe = case.universe();
    let run: HashSet<String> =
        universe.packages().map(|p| universe.package(p).to_string()).collect();
    paths.retain(|path| {
        let packages = case.packages.iter().filter(|p| run.contains(&p.nevra.to_string()));
        !packages.flat_map(|p| &p.provides).any(|provide| provide.name == *path)
    });
    let mut provided = case.clone();
    let mut any = false;
    for package in &mut provided.packages {
        for path in &paths {
            if package.files.contains(path) {
                package.provides.push(Relation::any(path));
                any = true;
            }
        }
    }
    any.then_some(provided)
}

/// Packages that are installed without something that they require or beside something that they conflict with:
/// the definition, without any of the solver's machinery.
pub(crate) fn inconsistent(case: &Case, installs: &[String]) -> Vec<String> {
    let installed: Vec<&Package> =
        case.packages.iter().filter(|p| installs.contains(&p.nevra.to_string())).collect();
    let is_consistent = |package: &Package| {
        package.requires.iter().all(|requirement| holds(&installed, &requirement.dep))
            && package.conflicts.iter().all(|dep| {
                let others: Vec<&Package> =
                    installed.iter().copied().filter(|p| p.nevra != package.nevra).collect();
                matches!(dep, Dep::Rich(_)) || !holds(&others, dep)
            })
            && package.obsoletes.iter().all(|relation| {
                installed
                    .iter()
                    .all(|other| other.nevra == package.nevra || !is_named(other, relation))
            })
    };
    let broken = installed.iter().filter(|package| !is_consistent(package));
    broken.map(|package| package.nevra.to_string()).collect()
}
