//! Delta debugging: the smallest case that still shows a difference.

#![allow(dead_code, reason = "each test file uses its part")]

use std::collections::HashSet;

use rpm::md::Package;
use rpm::{Dep, Rich};

use crate::notation::Case;

/// Makes a case smaller as long as `differs` holds: packages by halves, quarters and so on, then single relations, then
/// what is within them.
pub(crate) fn shrink(mut case: Case, mut differs: impl FnMut(&Case) -> bool) -> Case {
    let mut differs = |case: &Case| is_repository(case) && differs(case);
    let mut size = case.packages.len() / 2;
    while size > 1 {
        let mut start = 0;
        while start < case.packages.len() {
            let mut next = case.clone();
            next.packages.drain(start..(start + size).min(case.packages.len()));
            if differs(&next) {
                case = next;
            } else {
                start += size;
            }
        }
        size /= 2;
    }
    // Every case that is one step smaller, round and round until none of them differs.
    let mut step = 0;
    let mut since = 0;
    loop {
        let all = smaller(&case);
        if since >= all.len() {
            return case;
        }
        step %= all.len();
        let next = &all[step];
        if differs(next) {
            // What was at this place is gone, so that the next one is there now.
            case = next.clone();
            since = 0;
        } else {
            step += 1;
            since += 1;
        }
    }
}

/// The same name, version and architecture twice is none.
fn is_repository(case: &Case) -> bool {
    let mut known = HashSet::new();
    case.packages.iter().all(|package| known.insert(&package.nevra))
}

fn smaller(case: &Case) -> Vec<Case> {
    let mut all = Vec::new();
    let mut add = |change: &dyn Fn(&mut Case)| {
        let mut next = case.clone();
        change(&mut next);
        all.push(next);
    };
    for i in 0..case.packages.len() {
        add(&|next| {
            next.packages.remove(i);
        });
    }
    for i in 0..case.group.len() {
        add(&|next| {
            next.group.remove(i);
        });
    }
    for i in 0..case.requires.len() {
        add(&|next| {
            next.requires.remove(i);
        });
        for dep in simpler(&case.requires[i]) {
            add(&|next| next.requires[i] = dep.clone());
        }
    }
    if case.weak {
        add(&|next| next.weak = false);
    }
    for (i, package) in case.packages.iter().enumerate() {
        smaller_package(i, package, &mut add);
    }
    all
}

/// Takes a change of a case and keeps the changed case.
type Add<'a> = dyn FnMut(&dyn Fn(&mut Case)) + 'a;

fn smaller_package(i: usize, package: &Package, add: &mut Add<'_>) {
    macro_rules! without_each {
        ($field:ident) => {
            for j in 0..package.$field.len() {
                add(&|next| {
                    next.packages[i].$field.remove(j);
                });
            }
        };
    }
    macro_rules! simpler_each {
        ($field:ident) => {
            without_each!($field);
            for (j, dep) in package.$field.iter().enumerate() {
                for dep in simpler(dep) {
                    add(&|next| next.packages[i].$field[j] = dep.clone());
                }
            }
        };
    }
    without_each!(provides);
    without_each!(requires);
    without_each!(obsoletes);
    without_each!(files);
    simpler_each!(conflicts);
    simpler_each!(recommends);
    simpler_each!(suggests);
    simpler_each!(supplements);
    simpler_each!(enhances);
    for (j, requirement) in package.requires.iter().enumerate() {
        for dep in simpler(&requirement.dep) {
            add(&|next| next.packages[i].requires[j].dep = dep.clone());
        }
        if requirement.pre {
            add(&|next| next.packages[i].requires[j].pre = false);
        }
    }
    for (j, provide) in package.provides.iter().enumerate() {
        if provide.constraint.is_some() {
            add(&|next| next.packages[i].provides[j].constraint = None);
        }
    }
    for (j, relation) in package.obsoletes.iter().enumerate() {
        if relation.constraint.is_some() {
            add(&|next| next.packages[i].obsoletes[j].constraint = None);
        }
    }
    let nevra = &package.nevra;
    if (nevra.epoch, &*nevra.version) != (0, "1") {
        add(&|next| {
            let nevra = &mut next.packages[i].nevra;
            (nevra.epoch, nevra.version) = (0, "1".to_owned());
        });
    }
    if nevra.release != "1" {
        add(&|next| next.packages[i].nevra.release = "1".to_owned());
    }
    if nevra.arch != "noarch" {
        add(&|next| next.packages[i].nevra.arch = "noarch".to_owned());
    }
}

/// What is left of a dependency when one thing within it is taken away.
fn simpler(dep: &Dep) -> Vec<Dep> {
    let mut all = Vec::new();
    match dep {
        Dep::Relation(relation) => {
            if relation.constraint.is_some() {
                all.push(Dep::Relation(rpm::Relation::any(relation.name.clone())));
            }
        }
        Dep::Rich(Rich::And(parts) | Rich::Or(parts) | Rich::With(parts)) => {
            all.extend(parts.iter().cloned());
            let join = |parts: Vec<Dep>| {
                Dep::Rich(match dep {
                    Dep::Rich(Rich::And(_)) => Rich::And(parts),
                    Dep::Rich(Rich::Or(_)) => Rich::Or(parts),
                    _ => Rich::With(parts),
                })
            };
            for i in 0..parts.len() {
                if parts.len() > 2 {
                    let mut fewer = parts.clone();
                    fewer.remove(i);
                    all.push(join(fewer));
                }
                for part in simpler(&parts[i]) {
                    let mut changed = parts.clone();
                    changed[i] = part;
                    all.push(join(changed));
                }
            }
        }
        Dep::Rich(Rich::Without(a, b)) => {
            all.push((**a).clone());
            let without =
                |a: &Dep, b: &Dep| Rich::Without(Box::new(a.clone()), Box::new(b.clone()));
            all.extend(simpler(a).iter().map(|a| Dep::Rich(without(a, b))));
            all.extend(simpler(b).iter().map(|b| Dep::Rich(without(a, b))));
        }
        Dep::Rich(
            rich @ (Rich::If { then, condition, otherwise }
            | Rich::Unless { then, condition, otherwise }),
        ) => {
            let join = |then: &Dep, condition: &Dep, otherwise: Option<&Dep>| {
                let (then, condition) = (Box::new(then.clone()), Box::new(condition.clone()));
                let otherwise = otherwise.cloned().map(Box::new);
                Dep::Rich(if matches!(rich, Rich::If { .. }) {
                    Rich::If { then, condition, otherwise }
                } else {
                    Rich::Unless { then, condition, otherwise }
                })
            };
            all.push((**then).clone());
            all.push((**condition).clone());
            let last = otherwise.as_deref();
            all.extend(simpler(then).iter().map(|then| join(then, condition, last)));
            all.extend(simpler(condition).iter().map(|condition| join(then, condition, last)));
            if let Some(otherwise) = last {
                all.push(otherwise.clone());
                all.push(join(then, condition, None));
                all.extend(simpler(otherwise).iter().map(|last| join(then, condition, Some(last))));
            }
        }
    }
    all
}
