//! What relations and explanations mean, written down as plainly as possible: by looking at sets of installed packages,
//! without any of the solver's machinery.

#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::collections::BTreeSet;

use depsolve::Link;
use rpm::md::Package;
use rpm::{Dep, Nevra, Op, Relation, Rich};

/// Whether a package is what a dependency asks for, or one of several packages that it asks for.
pub(crate) fn provides(package: &Package, dep: &Dep) -> bool {
    match dep {
        Dep::Relation(relation) => {
            is_named(package, relation)
                || package.provides.iter().any(|provide| provide.overlaps(relation))
                || package.files.contains(&relation.name)
        }
        Dep::Rich(Rich::With(all)) => all.iter().all(|dep| provides(package, dep)),
        Dep::Rich(Rich::Without(a, b)) => provides(package, a) && !provides(package, b),
        Dep::Rich(Rich::Or(all) | Rich::And(all)) => all.iter().any(|dep| provides(package, dep)),
        Dep::Rich(
            Rich::If { then, condition: _, otherwise }
            | Rich::Unless { then, condition: _, otherwise },
        ) => {
            provides(package, then)
                || otherwise.as_ref().is_some_and(|otherwise| provides(package, otherwise))
        }
    }
}

/// Whether a relation names the package itself; obsoletes look at nothing else.
pub(crate) fn is_named(package: &Package, relation: &Relation) -> bool {
    let nevra = &package.nevra;
    let evr = format!("{}:{}-{}", nevra.epoch, nevra.version, nevra.release);
    Relation::versioned(&nevra.name, Op::Eq, &evr).unwrap().overlaps(relation)
}

/// Whether installed packages meet a dependency.
pub(crate) fn holds(installed: &[&Package], dep: &Dep) -> bool {
    match dep {
        Dep::Rich(Rich::And(all)) => all.iter().all(|dep| holds(installed, dep)),
        Dep::Rich(Rich::Or(all)) => all.iter().any(|dep| holds(installed, dep)),
        Dep::Rich(Rich::If { then, condition, otherwise }) => {
            if holds(installed, condition) {
                holds(installed, then)
            } else {
                otherwise.as_ref().is_none_or(|otherwise| holds(installed, otherwise))
            }
        }
        Dep::Rich(Rich::Unless { then, condition, otherwise }) => {
            if holds(installed, condition) {
                otherwise.as_ref().is_some_and(|otherwise| holds(installed, otherwise))
            } else {
                holds(installed, then)
            }
        }
        _ => means_system(dep) || installed.iter().any(|package| provides(package, dep)),
    }
}

/// What rpm itself understands, whatever is installed.
fn is_system(relation: &Relation) -> bool {
    relation.name.starts_with("rpmlib(") && relation.constraint.is_some()
}

/// Whether the system itself is what a choice among packages asks for.
fn means_system(dep: &Dep) -> bool {
    match dep {
        Dep::Relation(relation) => is_system(relation),
        Dep::Rich(Rich::Or(all)) => all.iter().any(means_system),
        Dep::Rich(Rich::With(all)) => all.iter().all(means_system),
        Dep::Rich(Rich::Without(a, b)) => means_system(a) && !means_system(b),
        // As operands of these.
        Dep::Rich(Rich::And(all)) => all.iter().any(means_system),
        Dep::Rich(
            Rich::If { then, condition: _, otherwise }
            | Rich::Unless { then, condition: _, otherwise },
        ) => means_system(then) || otherwise.as_ref().is_some_and(|dep| means_system(dep)),
    }
}

/// A link as a clause: whether it is followed when exactly these packages are installed.
pub(crate) fn is_followed(link: &Link, installed: impl Fn(&Nevra) -> bool) -> bool {
    conditions(link).any(|package| !installed(package)) || candidates(link).any(installed)
}

/// The packages that all have to be installed for a link to matter.
fn conditions(link: &Link) -> impl Iterator<Item = &Nevra> {
    link.says.package().into_iter().chain(&link.beside)
}

fn candidates(link: &Link) -> impl Iterator<Item = &Nevra> {
    link.candidates.iter().map(|candidate| &candidate.package)
}

/// Whether the links of a chain cannot be followed together, but could without any one of them; found out by trying
/// all sets of packages.
pub(crate) fn is_minimal(chain: &[Link]) -> bool {
    let packages: BTreeSet<&Nevra> =
        chain.iter().flat_map(|link| conditions(link).chain(candidates(link))).collect();
    let packages: Vec<&Nevra> = packages.into_iter().collect();
    assert!(packages.len() <= 20, "too many to try");
    let bits = |some: &mut dyn Iterator<Item = &Nevra>| -> u32 {
        some.map(|package| 1 << packages.binary_search(&package).unwrap()).fold(0, |a, b| a | b)
    };
    let mut links: Vec<(u32, u32)> = chain
        .iter()
        .map(|link| (bits(&mut conditions(link)), bits(&mut candidates(link))))
        .collect();
    let can_be_followed = |links: &[(u32, u32)]| {
        (0u32..1 << packages.len()).any(|installed| {
            links.iter().all(|(conditions, candidates)| {
                installed & conditions != *conditions || installed & candidates != 0
            })
        })
    };
    !can_be_followed(&links)
        && (0..links.len()).all(|place| {
            let link = links.remove(place);
            let needed = can_be_followed(&links);
            links.insert(place, link);
            needed
        })
}
