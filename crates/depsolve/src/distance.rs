//! How far a package is from what was asked for: hops over *all* providers of requirements, not only installed ones.

use rpm::Dep;

use crate::universe::Universe;
use crate::{Install, PackageId};

/// The farthest level that is told apart.
const LAST_LEVEL: u8 = 4;

#[derive(Debug)]
pub(crate) struct Distances {
    /// Per name (string number): the level where it was reached; 0 not.
    level_of: Vec<u8>,
    named: Vec<u32>,
    seen_list: Vec<bool>,
    lists: Vec<u32>,
    seen: Vec<bool>,
    reached: Vec<u32>,
    found: Vec<u32>,
}

impl Distances {
    pub(crate) fn new(universe: &Universe) -> Self {
        Distances {
            level_of: vec![0; universe.offers.strings.len()],
            named: Vec::new(),
            seen_list: vec![false; universe.lists.len()],
            lists: Vec::new(),
            seen: vec![false; universe.len()],
            reached: Vec::new(),
            found: Vec::new(),
        }
    }

    fn reach(&mut self, universe: &Universe, package: u32, level: u8) {
        if std::mem::replace(&mut self.seen[package as usize], true) {
            return;
        }
        self.reached.push(package);
        let name = universe.names[package as usize];
        if self.level_of[name as usize] == 0 {
            self.level_of[name as usize] = level;
            self.named.push(name);
        }
    }

    /// Fills in the distances of `installs`.
    pub(crate) fn measure(
        &mut self,
        universe: &Universe,
        build_requires: &[Dep],
        installs: &mut [Install],
    ) {
        for dep in build_requires {
            let mut found = std::mem::take(&mut self.found);
            found.clear();
            match dep {
                Dep::Relation(relation) => {
                    universe.offers.relation(relation, &mut found);
                }
                Dep::Rich(_) => found = universe.offers.potential(dep).0,
            }
            for package in &found {
                self.reach(universe, *package, 1);
            }
            self.found = found;
        }
        let mut from = 0;
        for level in 2..=LAST_LEVEL {
            let to = self.reached.len();
            for i in from..to {
                for list in universe.successors.row(self.reached[i]) {
                    if std::mem::replace(&mut self.seen_list[*list as usize], true) {
                        continue;
                    }
                    self.lists.push(*list);
                    for package in universe.lists.row(*list) {
                        self.reach(universe, *package, level);
                    }
                }
            }
            from = to;
        }
        // Distances belong to names. Where a name is installed for two architectures, the later one in the repository
        // carries the distance, as in the reference implementation.
        for install in installs.iter_mut().rev() {
            let PackageId(package) = install.package;
            let level = &mut self.level_of[universe.names[package as usize] as usize];
            install.distance = (*level > 0).then_some(*level);
            *level = 0;
        }
        for name in self.named.drain(..) {
            self.level_of[name as usize] = 0;
        }
        for list in self.lists.drain(..) {
            self.seen_list[list as usize] = false;
        }
        for package in self.reached.drain(..) {
            self.seen[package as usize] = false;
        }
    }
}
