//! How far a package is from what was asked for: hops over *all* providers of requirements, not only installed ones.

use crate::arrays::{PackageSet, prefetch};
use crate::universe::{SINGLE, Universe};
use crate::{Install, PackageId};

/// The farthest level that is told apart.
const LAST_LEVEL: u8 = 4;

/// Beside the level: there are other packages of the same name.
const NAMESAKES: u8 = 0x80;

#[derive(Debug)]
pub(crate) struct Distances {
    /// Per package: the level where it was reached, 0 not; and [`NAMESAKES`].
    level_of: Vec<u8>,
    reached: Vec<u32>,
    seen_list: Vec<bool>,
    lists: Vec<u32>,
    /// Places of installed packages with namesakes.
    namesakes: Vec<usize>,
}

impl Distances {
    pub(crate) fn new(universe: &Universe) -> Self {
        Distances {
            level_of: (0..)
                .zip(&universe.namesake)
                .map(|(package, other)| if package == *other { 0 } else { NAMESAKES })
                .collect(),
            reached: Vec::new(),
            seen_list: vec![false; universe.lists.len()],
            lists: Vec::new(),
            namesakes: Vec::new(),
        }
    }

    #[inline]
    fn reach(&mut self, universe: &Universe, package: u32, level: u8) {
        let level_of = &mut self.level_of[package as usize];
        if *level_of & !NAMESAKES == 0 {
            *level_of |= level;
            self.reached.push(package);
            if level < LAST_LEVEL {
                prefetch(&universe.successors.offsets[package as usize]);
            }
        }
    }

    /// Appends packages, in ascending order, to `installs`, with their distances; `named` are the packages that the
    /// BuildRequires name.
    pub(crate) fn measure(
        &mut self,
        universe: &Universe,
        named: &[u32],
        packages: &mut PackageSet,
        installs: &mut Vec<Install>,
    ) {
        self.spread(universe, named);
        let Distances { level_of, namesakes, .. } = self;
        packages.drain(|package| {
            let level = level_of[package as usize];
            if level & NAMESAKES != 0 {
                namesakes.push(installs.len());
            }
            installs.push(Install {
                package: PackageId(package),
                distance: (level > 0).then_some(level),
            });
        });
        // Distances belong to names. Where a name is installed for two architectures, the later one in the repository
        // carries the distance, as in the reference implementation.
        while let Some(i) = self.namesakes.pop() {
            let PackageId(package) = installs[i].package;
            let level = self.take_level_of_name(universe, package);
            installs[i].distance = (level > 0).then_some(level);
        }
        for list in self.lists.drain(..) {
            self.seen_list[list as usize] = false;
        }
        for package in self.reached.drain(..) {
            self.level_of[package as usize] &= NAMESAKES;
        }
    }

    /// Finds everything that is near enough.
    fn spread(&mut self, universe: &Universe, named: &[u32]) {
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
    }

    /// The least level of all packages of a name, which none of them has any more.
    fn take_level_of_name(&mut self, universe: &Universe, package: u32) -> u8 {
        let mut level = 0u8;
        let mut other = package;
        loop {
            let theirs = std::mem::replace(&mut self.level_of[other as usize], NAMESAKES);
            let theirs = theirs & !NAMESAKES;
            // 0 becomes the greatest.
            if theirs.wrapping_sub(1) < level.wrapping_sub(1) {
                level = theirs;
            }
            other = universe.namesake[other as usize];
            if other == package {
                return level;
            }
        }
    }
}
