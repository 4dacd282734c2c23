//! What changed between two install sets (spec/services.md, section 1, "dependency change").
//!
//! Install sets are stored as sorted lists of ids, one id per NEVRA, so most of a comparison
//! needs no names: [`difference`] finds the few entries that only one side has, and [`pair_up`]
//! makes one change per name of them.

use std::collections::BTreeMap;

/// The ids that only the old and only the new install set contains.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Difference {
    /// In the old set only, ascending.
    pub old: Vec<i32>,
    /// In the new set only, ascending.
    pub new: Vec<i32>,
}

/// Compares two install sets, given as ascending ids.
///
/// An empty set stands for one that is not known, so nothing can be said about changes and the
/// difference is empty.
pub fn difference(old: &[i32], new: &[i32]) -> Difference {
    let mut result = Difference::default();
    if old.is_empty() || new.is_empty() {
        return result;
    }
    debug_assert!(old.is_sorted() && new.is_sorted(), "install sets are sorted");
    let (mut i, mut j) = (0, 0);
    loop {
        match (old.get(i), new.get(j)) {
            (Some(a), Some(b)) if a == b => {
                i += 1;
                j += 1;
            }
            (Some(a), Some(b)) if a < b => {
                result.old.push(*a);
                i += 1;
            }
            (_, Some(b)) => {
                result.new.push(*b);
                j += 1;
            }
            (Some(a), None) => {
                result.old.push(*a);
                i += 1;
            }
            (None, None) => return result,
        }
    }
}

/// A package that only one of two install sets contains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Its id in the table `dependency`.
    pub id: i32,
    /// Its name.
    pub name: &'a str,
    /// Its architecture.
    pub arch: &'a str,
    /// Its distance from the source package; of no meaning for an old entry.
    pub distance: Option<u8>,
}

/// One dependency change: at least one of the two ids is there, and they differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Change {
    /// What was there before; `None` when the name is new.
    pub prev: Option<i32>,
    /// What is there now; `None` when the name vanished.
    pub curr: Option<i32>,
    /// Distance in the new set; `None` when the name vanished or is far away.
    pub distance: Option<u8>,
}

/// Makes one change per name, ordered by name, of the entries that only one side has.
///
/// Where a name has several architectures, one row remains: a pair of the same architecture if
/// there is one, else the first architecture of each side.
pub fn pair_up(old: &[Entry<'_>], new: &[Entry<'_>]) -> Vec<Change> {
    let mut names: BTreeMap<&str, (Vec<&Entry<'_>>, Vec<&Entry<'_>>)> = BTreeMap::new();
    for entry in old {
        names.entry(entry.name).or_default().0.push(entry);
    }
    for entry in new {
        names.entry(entry.name).or_default().1.push(entry);
    }
    names
        .into_values()
        .map(|(mut old, mut new)| {
            old.sort_by_key(|entry| (entry.arch, entry.id));
            new.sort_by_key(|entry| (entry.arch, entry.id));
            let same_arch = new.iter().find_map(|new| {
                old.iter().find(|old| old.arch == new.arch).map(|old| (Some(*old), Some(*new)))
            });
            let (prev, curr) = same_arch.unwrap_or((old.first().copied(), new.first().copied()));
            Change {
                prev: prev.map(|entry| entry.id),
                curr: curr.map(|entry| entry.id),
                distance: curr.and_then(|entry| entry.distance),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn entry(
        id: i32,
        name: &'static str,
        arch: &'static str,
        distance: Option<u8>,
    ) -> Entry<'static> {
        Entry { id, name, arch, distance }
    }

    #[test]
    fn an_update_is_one_change_with_the_distance_of_the_new_set() {
        let changes =
            pair_up(&[entry(1, "zlib", "x86_64", Some(4))], &[entry(2, "zlib", "x86_64", Some(2))]);
        assert_eq!(changes, [Change { prev: Some(1), curr: Some(2), distance: Some(2) }]);
    }

    #[test]
    fn a_name_that_vanished_has_no_distance() {
        let changes = pair_up(&[entry(1, "zlib", "x86_64", Some(1))], &[]);
        assert_eq!(changes, [Change { prev: Some(1), curr: None, distance: None }]);
    }

    #[test]
    fn a_name_that_is_new_has_no_previous() {
        let changes = pair_up(&[], &[entry(2, "zlib-ng", "x86_64", None)]);
        assert_eq!(changes, [Change { prev: None, curr: Some(2), distance: None }]);
    }

    #[test]
    fn a_change_of_architecture_alone_counts() {
        let changes =
            pair_up(&[entry(1, "zlib", "noarch", None)], &[entry(2, "zlib", "x86_64", Some(1))]);
        assert_eq!(changes, [Change { prev: Some(1), curr: Some(2), distance: Some(1) }]);
    }

    #[test]
    fn of_several_architectures_one_row_remains_with_a_pair_of_one_architecture() {
        let changes = pair_up(
            &[entry(1, "glibc", "i686", None), entry(3, "glibc", "x86_64", None)],
            &[entry(4, "glibc", "x86_64", Some(1))],
        );
        assert_eq!(changes, [Change { prev: Some(3), curr: Some(4), distance: Some(1) }]);
    }

    #[test]
    fn nothing_is_said_about_a_set_that_is_not_known() {
        assert_eq!(difference(&[], &[1, 2]), Difference::default());
        assert_eq!(difference(&[1, 2], &[]), Difference::default());
    }

    proptest! {
        #[test]
        fn difference_is_that_of_sets(
            old in prop::collection::btree_set(1..60i32, 1..30),
            new in prop::collection::btree_set(1..60i32, 1..30),
        ) {
            let list = |set: &BTreeSet<i32>| set.iter().copied().collect::<Vec<_>>();
            let result = difference(&list(&old), &list(&new));
            prop_assert_eq!(result.old, old.difference(&new).copied().collect::<Vec<_>>());
            prop_assert_eq!(result.new, new.difference(&old).copied().collect::<Vec<_>>());
        }

        #[test]
        fn every_name_has_exactly_one_change(
            old in prop::collection::btree_set((0usize..5, 0usize..3), 0..10),
            new in prop::collection::btree_set((0usize..5, 0usize..3), 0..10),
        ) {
            const NAMES: [&str; 5] = ["a", "b", "c", "d", "e"];
            const ARCHES: [&str; 3] = ["i686", "noarch", "x86_64"];
            let entries = |set: &BTreeSet<(usize, usize)>, base: i32| {
                set.iter().zip(base..).map(|((name, arch), id)| Entry {
                    id, name: NAMES[*name], arch: ARCHES[*arch], distance: None,
                }).collect::<Vec<_>>()
            };
            let changes = pair_up(&entries(&old, 1), &entries(&new, 100));
            let names: BTreeSet<_> = old.iter().chain(&new).map(|(name, _)| name).collect();
            prop_assert_eq!(changes.len(), names.len());
            for change in changes {
                prop_assert!(change.prev.is_some() || change.curr.is_some());
                prop_assert_ne!(change.prev, change.curr);
            }
        }
    }
}
