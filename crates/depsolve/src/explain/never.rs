//! Why packages can never be installed, whatever is asked for.
//!
//! Which ones was found when the repository was loaded. The reasons are found when somebody asks for the first time, for
//! all of them together: each gets a requirement that nothing provides, or whose providers can all never be
//! installed for reasons found *before* its own. So reasons never go in circles, and following them ends at something
//! that is missing.

use crate::arrays::{RowSet, Rows};
use crate::explain::facts::{Fact, Relations};
use crate::offers::NONE;
use crate::universe::{NEVER, Universe};

/// The reason of each package that can never be installed.
#[derive(Debug, Clone, Default)]
pub(crate) struct NeverReasons {
    /// The packages, ascending.
    packages: Vec<u32>,
    /// Beside them: which of [`Relations::hopeless`] it is.
    which: Vec<u32>,
}

impl NeverReasons {
    pub(crate) fn new(universe: &Universe) -> Self {
        let packages: Vec<u32> =
            (0..universe.len() as u32).filter(|package| universe.has(*package, NEVER)).collect();
        // Requirements of these packages: whose, and the list of providers, all of which are such packages as well.
        let mut lists = RowSet::new();
        let mut requirements: Vec<(u32, u32)> = Vec::new();
        let mut ends: Vec<usize> = Vec::new();
        let mut providers = Vec::new();
        let relations = Relations::new(universe);
        for package in &packages {
            for fact in relations.hopeless(*package) {
                providers.clear();
                providers.extend(fact.candidates());
                requirements.push((*package, lists.intern(&providers)));
            }
            ends.push(requirements.len());
        }
        let lists = lists.rows;
        let found = distances_from_missing(universe.len(), &lists, &requirements);
        let mut start = 0;
        let which = packages
            .iter()
            .zip(ends)
            .map(|(package, end)| {
                let own = found[*package as usize];
                let mut all = requirements[start..end].iter();
                start = end;
                let place = all.position(|(_, list)| {
                    lists.row(*list).iter().all(|provider| found[*provider as usize] < own)
                });
                place.map_or(NONE, |place| place as u32)
            })
            .collect();
        NeverReasons { packages, which }
    }

    /// Why a package can never be installed.
    pub(crate) fn of(&self, relations: &Relations<'_>, package: u32) -> Option<Fact> {
        let place = self.packages.binary_search(&package).ok()?;
        relations.hopeless(package).nth(self.which[place] as usize)
    }
}

/// For each package how many requirements lie between it and something missing, at least; [`NONE`] if nothing is.
fn distances_from_missing(packages: usize, lists: &Rows, requirements: &[(u32, u32)]) -> Vec<u32> {
    let pairs: Vec<(u32, u32)> =
        requirements.iter().map(|(package, list)| (*list, *package)).collect();
    let requirers = Rows::from_pairs(lists.len(), &pairs);
    let in_lists = lists.inverted(packages);
    let mut left: Vec<usize> = (0..lists.len() as u32).map(|list| lists.row(list).len()).collect();
    let mut distance = vec![NONE; packages];
    let mut queue: Vec<u32> = Vec::new();
    let add = |requirers: &[u32], at: u32, queue: &mut Vec<u32>, distance: &mut Vec<u32>| {
        for package in requirers {
            if distance[*package as usize] == NONE {
                distance[*package as usize] = at;
                queue.push(*package);
            }
        }
    };
    for list in 0..lists.len() as u32 {
        if lists.row(list).is_empty() {
            add(requirers.row(list), 0, &mut queue, &mut distance);
        }
    }
    let mut next = 0;
    while next < queue.len() {
        let package = queue[next];
        next += 1;
        for list in in_lists.row(package) {
            left[*list as usize] -= 1;
            if left[*list as usize] == 0 {
                let at = distance[package as usize] + 1;
                add(requirers.row(*list), at, &mut queue, &mut distance);
            }
        }
    }
    distance
}
