//! What the solver looks at when it installs a package, laid out in one place.
//!
//! Most of a solve is installing packages and taking that back. The rows of the [`Universe`] that this needs are
//! copied into one record for each package, so that an installation reads one or two lines of the processor's cache
//! instead of ten. The records say nothing new, and are not saved.
//!
//! A record also says which *counters* go up when its package is installed. There is one array of them, in four parts:
//! for each clause list how many of its members, and how many of its requirers, are installed; for each provider list
//! that is recommended, or suggested, how many installed packages do that.

use crate::arrays::{Rows, prefetch};
use crate::offers::NONE;
use crate::universe::{RICH, Universe};

/// What installing each package touches.
#[derive(Debug, Clone, Default)]
pub(crate) struct Walk {
    records: Vec<Record>,
    /// The parts of records that are too long.
    more: Vec<u32>,
    /// Where the counters of requirers begin.
    pub(crate) active: u32,
    /// How many counters there are.
    pub(crate) counters: u32,
    /// Package to the counters of what recommends it, and of what suggests it.
    pub(crate) recommended: Rows,
    pub(crate) suggested: Rows,
    /// [`Universe::recommends`], but with `ONE | package` for a list of one.
    pub(crate) wanted: Rows,
}

/// Marks a recommendation that one package can fulfil.
pub(crate) const ONE: u32 = 1 << 30;

/// As long as a line of the processor's cache: flags, where each part ends, and the parts themselves, or where they
/// begin in [`Walk::more`].
#[derive(Debug, Clone, Copy)]
#[repr(align(64))]
struct Record {
    flags: u32,
    ends: [u32; 3],
    parts: [u32; INLINE],
}

const INLINE: usize = 12;

/// The parts are elsewhere.
const ELSEWHERE: u32 = 4;
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
        let mut counters = active + clause_lists;
        let recommends =
            Weak::new(&universe.recommends, &universe.in_recommended, lists, &mut counters);
        let suggests = Weak::new(&universe.suggests, &universe.in_suggested, lists, &mut counters);
        let packages = universe.len();
        let mut records = Vec::with_capacity(packages);
        let mut more: Vec<u32> = Vec::new();
        for package in 0..packages as u32 {
            let start = more.len();
            let end = |more: &Vec<u32>| (more.len() - start) as u32;
            let mut record = Record { flags: 0, ends: [0; 3], parts: [0; INLINE] };
            if !universe.recommends.row(package).is_empty() {
                record.flags |= RECOMMENDS;
            }
            if !universe.general_negative.row(package).is_empty() {
                record.flags |= GENERAL;
            }
            more.extend_from_slice(universe.in_clause_lists.row(package));
            let clauses = universe.clauses.row(package);
            more.extend(clauses.iter().filter(|c| **c < clause_lists).map(|c| active + c));
            more.extend(recommends.counters(universe.recommends.row(package)));
            more.extend(suggests.counters(universe.suggests.row(package)));
            record.ends[0] = end(&more);
            more.extend_from_slice(universe.excludes.row(package));
            record.ends[1] = end(&more);
            more.extend_from_slice(clauses);
            record.ends[2] = end(&more);
            if let Some(parts) = record.parts.get_mut(..more.len() - start) {
                parts.copy_from_slice(&more[start..]);
                more.truncate(start);
            } else {
                record.flags |= ELSEWHERE;
                record.parts[0] = start as u32;
            }
            records.push(record);
        }
        more.shrink_to_fit();
        let mut wanted = universe.recommends.clone();
        for wish in &mut wanted.data {
            if *wish & RICH == 0
                && let [only] = universe.lists.row(*wish)
            {
                *wish = ONE | only;
            }
        }
        Walk {
            records,
            more,
            active,
            counters,
            recommended: recommends.members,
            suggested: suggests.members,
            wanted,
        }
    }

    /// Asks the processor for a record that will be needed soon.
    #[inline]
    pub(crate) fn announce(&self, package: u32) {
        prefetch(&self.records[package as usize]);
    }

    /// Asks the processor for the parts of a record that is there already.
    #[inline]
    pub(crate) fn announce_parts(&self, package: u32) {
        let record = &self.records[package as usize];
        if record.flags & ELSEWHERE != 0 {
            prefetch(&self.more[record.parts[0] as usize]);
        }
    }

    #[inline]
    fn parts<'a>(&'a self, record: &'a Record) -> &'a [u32] {
        if record.flags & ELSEWHERE == 0 {
            &record.parts
        } else {
            &self.more[record.parts[0] as usize..]
        }
    }

    #[inline]
    pub(crate) fn step(&self, package: u32) -> Step<'_> {
        let record = &self.records[package as usize];
        let parts = self.parts(record);
        let [counters, excludes, clauses] = record.ends.map(|n| n as usize);
        Step {
            flags: record.flags,
            counters: &parts[..counters],
            excludes: &parts[counters..excludes],
            clauses: &parts[excludes..clauses],
        }
    }

    /// Only the counters of a package, and whether it recommends anything, to take its installation back.
    #[inline]
    pub(crate) fn counters_of(&self, package: u32) -> (&[u32], bool) {
        let record = &self.records[package as usize];
        (&self.parts(record)[..record.ends[0] as usize], record.flags & RECOMMENDS != 0)
    }
}

/// The counters of one kind of weak dependencies.
struct Weak {
    /// List to its counter.
    counter_of: Vec<u32>,
    /// Package to the counters of lists that contain it.
    members: Rows,
}

impl Weak {
    /// Counters that are raised together are numbered together.
    fn new(named: &Rows, in_lists: &Rows, lists: u32, counters: &mut u32) -> Self {
        let mut counter_of = vec![NONE; lists as usize];
        for list in named.data.iter().filter(|wish| *wish & RICH == 0) {
            let counter = &mut counter_of[*list as usize];
            if *counter == NONE {
                *counter = *counters;
                *counters += 1;
            }
        }
        let mut members = in_lists.clone();
        for list in &mut members.data {
            let counter = &mut counter_of[*list as usize];
            if *counter == NONE {
                // Nothing names it; only a cache file made on purpose says so.
                *counter = *counters;
                *counters += 1;
            }
            *list = *counter;
        }
        Weak { counter_of, members }
    }

    fn counters(&self, wishes: &[u32]) -> impl Iterator<Item = u32> {
        wishes.iter().filter(|wish| *wish & RICH == 0).map(|list| self.counter_of[*list as usize])
    }
}
