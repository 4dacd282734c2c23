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
                || (relation.constraint.is_none() && package.files.contains(&relation.name))
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
        _ => installed.iter().any(|package| provides(package, dep)),
    }
}

/// A link as a clause: whether it is followed when exactly these packages are installed.
pub(crate) fn is_followed(link: &Link, installed: impl Fn(&Nevra) -> bool) -> bool {
    link.says.package().is_some_and(|package| !installed(package))
        || link.beside.iter().any(|package| !installed(package))
        || link.candidates.iter().any(|candidate| installed(&candidate.package))
}

/// Whether the links of a chain cannot be followed together, but could without any one of them.
pub(crate) fn is_minimal(chain: &[Link]) -> bool {
    let mut links: Vec<&Link> = chain.iter().collect();
    !can_be_followed(&links)
        && (0..links.len()).all(|place| {
            let link = links.remove(place);
            let needed = can_be_followed(&links);
            links.insert(place, link);
            needed
        })
}

/// Whether links can be followed together, found out by trying all sets of packages.
fn can_be_followed(links: &[&Link]) -> bool {
    let packages: Vec<&Nevra> = packages_of(links.iter().copied()).into_iter().collect();
    assert!(packages.len() < 20, "too many to try");
    (0u32..1 << packages.len()).any(|set| {
        let installed =
            |nevra: &Nevra| packages.binary_search(&nevra).is_ok_and(|i| set >> i & 1 == 1);
        links.iter().all(|link| is_followed(link, installed))
    })
}

fn packages_of<'a>(links: impl Iterator<Item = &'a Link>) -> BTreeSet<&'a Nevra> {
    links
        .flat_map(|link| {
            let candidates = link.candidates.iter().map(|candidate| &candidate.package);
            link.says.package().into_iter().chain(&link.beside).chain(candidates)
        })
        .collect()
}
