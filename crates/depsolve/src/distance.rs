//! How far a package is from what was asked for: hops over *all* providers of requirements, not only installed ones.

use crate::arrays::prefetch;
use crate::universe::{SINGLE, Universe};
use crate::{Install, PackageId};

/// The farthest level that is told apart.
const LAST_LEVEL: u8 = 4;

#[derive(Debug)]
pub(crate) struct Distances {
    /// Per package: the level where it was reached; 0 not.
    level_of: Vec<u8>,
    reached: Vec<u32>,
    seen_list: Vec<bool>,
    lists: Vec<u32>,
}

impl Distances {
    pub(crate) fn new(universe: &Universe) -> Self {
        Distances {
            level_of: vec![0; universe.len()],
            reached: Vec::new(),
            seen_list: vec![false; universe.lists.len()],
            lists: Vec::new(),
        }
    }

    #[inline]
    fn reach(&mut self, universe: &Universe, package: u32, level: u8) {
        let level_of = &mut self.level_of[package as usize];
        if *level_of == 0 {
            *level_of = level;
            self.reached.push(package);
            prefetch(&universe.successors.offsets[package as usize]);
        }
    }

    /// Fills in the distances of `installs`; `named` are the packages that the BuildRequires name.
    pub(crate) fn measure(&mut self, universe: &Universe, named: &[u32], installs: &mut [Install]) {
        for package in named {
            self.reach(universe, *package, 1);
        }
        let mut from = 0;
        for level in 2..=LAST_LEVEL {
            let to = self.reached.len();
            for i in from..to {
                if let Some(later) = self.reached.get(i + 6) {
                    universe.successors.announce(*later);
                }
                for next in universe.successors.row(self.reached[i]) {
                    if next & SINGLE != 0 {
                        self.reach(universe, next & !SINGLE, level);
                        continue;
                    }
                    if std::mem::replace(&mut self.seen_list[*next as usize], true) {
                        continue;
                    }
                    self.lists.push(*next);
                    for package in universe.lists.row(*next) {
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
            let mut level = std::mem::take(&mut self.level_of[package as usize]);
            let mut other = universe.namesake[package as usize];
            while other != package {
                let theirs = std::mem::take(&mut self.level_of[other as usize]);
                // 0 becomes the greatest.
                if theirs.wrapping_sub(1) < level.wrapping_sub(1) {
                    level = theirs;
                }
                other = universe.namesake[other as usize];
            }
            install.distance = (level > 0).then_some(level);
        }
        for list in self.lists.drain(..) {
            self.seen_list[list as usize] = false;
        }
        for package in self.reached.drain(..) {
            self.level_of[package as usize] = 0;
        }
    }
}
