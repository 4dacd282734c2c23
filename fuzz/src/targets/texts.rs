//! Versions, names of packages, and relations: whatever is understood prints and parses back equal, and the order of
//! versions is an order.

use std::cmp::Ordering;

use rpm::{Dep, Evr, Nevra, Relation, rpmvercmp};

use super::is_clear;

/// Each line is a version, and perhaps the name of a package.
pub(crate) fn evr(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let lines: Vec<&str> = text.split('\n').take(6).collect();
    laws("rpmvercmp", &lines, |a, b| rpmvercmp(a, b));
    let mut evrs = Vec::new();
    for line in &lines {
        match line.parse::<Evr>() {
            Ok(evr) => {
                let again: Evr = evr.to_string().parse().expect("what prints is a version");
                assert_eq!(again, evr, "{line:?} prints as {evr}");
                assert_eq!(again.epoch, evr.epoch, "{line:?} prints as {evr}");
                evrs.push(evr);
            }
            Err(error) => is_clear(&error),
        }
        match line.parse::<Nevra>() {
            Ok(nevra) => {
                if nevra.epoch == 0 {
                    assert_eq!(Nevra::from_nvra(&nevra.file_name()).as_ref(), Ok(&nevra));
                }
                let _ = (nevra.to_string(), nevra.nvr(), nevra.is_source());
            }
            Err(error) => is_clear(&error),
        }
    }
    laws("Evr", &evrs, Ord::cmp);
}

/// The laws of an order over all pairs and triples.
fn laws<T: std::fmt::Debug>(what: &str, all: &[T], compare: impl Fn(&T, &T) -> Ordering) {
    for a in all {
        assert_eq!(compare(a, a), Ordering::Equal, "{what}: {a:?} is not equal to itself");
        for b in all {
            let order = compare(a, b);
            assert_eq!(compare(b, a), order.reverse(), "{what}: {a:?} and {b:?}");
            for c in all {
                if order != Ordering::Greater && compare(b, c) != Ordering::Greater {
                    let through = order.then(compare(b, c));
                    assert_eq!(compare(a, c), through, "{what}: {a:?}, {b:?}, {c:?}");
                }
            }
        }
    }
}

/// Each line is a relation, simple or rich.
pub(crate) fn relation(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut simple: Vec<Relation> = Vec::new();
    for line in text.split('\n').take(6) {
        match line.parse::<Dep>() {
            Ok(dep) => {
                let printed = dep.to_string();
                let again: Dep =
                    printed.parse().unwrap_or_else(|error| panic!("{line:?}: {error}"));
                assert_eq!(again, dep, "{line:?} prints as {printed:?}");
                assert_eq!(again.to_string(), printed);
                dep.for_each_relation(&mut |relation| {
                    if simple.len() < 12 {
                        simple.push(relation.clone());
                    }
                });
            }
            Err(error) => is_clear(&error),
        }
    }
    for a in &simple {
        // `< 1` and `> 1` are ranges, too: everything but an empty one has something in common with itself.
        assert!(a.overlaps(a), "{a} does not overlap with itself");
        for b in &simple {
            assert_eq!(a.overlaps(b), b.overlaps(a), "{a} and {b}");
        }
    }
}
