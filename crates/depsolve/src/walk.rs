//! What the solver looks at when it installs a package, laid out in one place.
//!
//! Most of a solve is installing packages and taking that back. The rows of the [`Universe`] that this needs are
//! copied into one record for each package, so that an installation reads one or two lines of the processor's cache
//! instead of ten. The records say nothing new, and are not saved.
//!
//! A record also says which *counters* go up when its package is installed. There is one array of them, in four parts:
//! for each clause list how many of its members, and how many of its requirers, are installed; for each provider list
//! how many installed packages recommend it, and suggest it.

use crate::universe::{RICH, Universe};

/// One record for each package, back to back: what it is, where its parts end, and the parts.
#[derive(Debug, Clone, Default)]
pub(crate) struct Walk {
    starts: Vec<u32>,
    data: Vec<u32>,
    /// Where the parts of the counters begin (the first begins at 0), and how many there are.
    pub(crate) active: u32,
    pub(crate) recommended: u32,
    pub(crate) suggested: u32,
    pub(crate) counters: u32,
}

/// Words before the parts.
const HEADER: usize = 4;

/// The package recommends something.
const RECOMMENDS: u32 = 1;
/// The package is a negative literal of a general clause.
const GENERAL: u32 = 2;

/// The record of one package.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Step<'a> {
    flags: u32,
    /// Counters that go up when the package is installed.
    pub(crate) counters: &'a [u32],
    /// Packages that cannot be installed beside it, descending.
    pub(crate) excludes: &'a [u32],
    /// Its clauses, as in [`Universe::clauses`].
    pub(crate) clauses: &'a [u32],
}

impl Step<'_> {
    #[inline]
    pub(crate) fn recommends(&self) -> bool {
        self.flags & RECOMMENDS != 0
    }

    #[inline]
    pub(crate) fn in_general(&self) -> bool {
        self.flags & GENERAL != 0
    }
}

impl Walk {
    pub(crate) fn new(universe: &Universe) -> Self {
        let clause_lists = universe.clause_lists.len() as u32;
        let lists = universe.lists.len() as u32;
        let active = clause_lists;
        let recommended = active + clause_lists;
        let suggested = recommended + lists;
        let packages = universe.len();
        let words = HEADER * packages
            + universe.in_clause_lists.data.len()
            + universe.clauses.data.len() * 2
            + universe.recommends.data.len()
            + universe.suggests.data.len()
            + universe.excludes.data.len();
        let mut starts = Vec::with_capacity(packages);
        let mut data = Vec::with_capacity(words);
        for package in 0..packages as u32 {
            let start = data.len();
            let end = |data: &Vec<u32>| (data.len() - start) as u32;
            starts.push(start as u32);
            let recommends = universe.recommends.row(package);
            let mut flags = 0;
            if !recommends.is_empty() {
                flags |= RECOMMENDS;
            }
            if !universe.general_negative.row(package).is_empty() {
                flags |= GENERAL;
            }
            data.extend([flags, 0, 0, 0]);
            data.extend_from_slice(universe.in_clause_lists.row(package));
            let clauses = universe.clauses.row(package);
            data.extend(clauses.iter().filter(|c| **c < clause_lists).map(|c| active + c));
            data.extend(plain(recommends).map(|list| recommended + list));
            data.extend(plain(universe.suggests.row(package)).map(|list| suggested + list));
            data[start + 1] = end(&data);
            data.extend_from_slice(universe.excludes.row(package));
            data[start + 2] = end(&data);
            data.extend_from_slice(clauses);
            data[start + 3] = end(&data);
        }
        data.shrink_to_fit();
        Walk { starts, data, active, recommended, suggested, counters: suggested + lists }
    }

    #[inline]
    pub(crate) fn step(&self, package: u32) -> Step<'_> {
        let record = &self.data[self.starts[package as usize] as usize..];
        let (header, _) = record.split_at(HEADER);
        let [counters, excludes, clauses] = [header[1], header[2], header[3]].map(|n| n as usize);
        Step {
            flags: header[0],
            counters: &record[HEADER..counters],
            excludes: &record[counters..excludes],
            clauses: &record[excludes..clauses],
        }
    }

    /// Only the counters of a package's record, to take its installation back.
    #[inline]
    pub(crate) fn counters_of(&self, package: u32) -> (&[u32], bool) {
        let record = &self.data[self.starts[package as usize] as usize..];
        (&record[HEADER..record[1] as usize], record[0] & RECOMMENDS != 0)
    }
}

/// Those of some recommendations that are lists.
fn plain(wanted: &[u32]) -> impl Iterator<Item = u32> {
    wanted.iter().copied().filter(|wanted| wanted & RICH == 0)
}
