//! Which Supplements and Enhances could be met by the packages that a request can lead to.
//!
//! What can be reached grows, and with it what could be met, and with that what can be reached. To begin anew after each
//! package would be quadratic, and worse for nested dependencies. So each dependency is a tree in which what is
//! known spreads upward from the leaves: every leaf and every node is passed once.

use crate::arrays::Rows;
use crate::offers::NONE;
use crate::rich::{AND, IF, IF_ELSE, OR, SYSTEM, UNLESS, UNLESS_ELSE};
use crate::universe::Universe;

/// What packages supplement and enhance, for repositories that have orphans; elsewhere it is empty.
#[derive(Debug, Clone, Default)]
pub(crate) struct Hopes {
    /// Package to those of the lists that contain it that are asked for.
    lists: Rows,
    /// List to the leaves that ask for it.
    leaves: Rows,
    /// Node to the one above it; [`NONE`] for the roots, which are the dependencies and have their numbers.
    above: Vec<u32>,
    /// How many of the operands of a node have to be possible until it is.
    needed: Vec<u32>,
    /// Dependencies that nothing is needed for.
    free: Vec<u32>,
    /// Dependency to the packages that have it.
    packages: Rows,
}

impl Hopes {
    pub(crate) fn new(universe: &Universe) -> Self {
        let mut hopes = Hopes { lists: Rows::new(), leaves: Rows::new(), ..Hopes::default() };
        if universe.orphans.is_empty() {
            return hopes;
        }
        let roots = universe.compiled.len();
        hopes.above = vec![NONE; roots];
        hopes.needed = vec![0; roots];
        // (list, leaf)
        let mut asked: Vec<(u32, u32)> = Vec::new();
        for root in 0..roots as u32 {
            hopes.grow(&mut universe.compiled.row(root).iter().copied(), root, &mut asked);
        }
        hopes.leaves = Rows::from_pairs(universe.lists.len(), &asked);
        let mut members: Vec<(u32, u32)> = Vec::new();
        for list in 0..universe.lists.len() as u32 {
            if !hopes.leaves.row(list).is_empty() {
                members.extend(universe.lists.row(list).iter().map(|package| (*package, list)));
            }
        }
        hopes.lists = Rows::from_pairs(universe.len(), &members);
        let mut packages: Vec<(u32, u32)> = Vec::new();
        for package in 0..universe.len() as u32 {
            let deps =
                universe.supplements.row(package).iter().chain(universe.enhances.row(package));
            packages.extend(deps.map(|dep| (*dep, package)));
        }
        hopes.packages = Rows::from_pairs(roots, &packages);
        hopes
    }

    /// Makes a tree of what `rich::compile` wrote.
    fn grow(
        &mut self,
        code: &mut impl Iterator<Item = u32>,
        node: u32,
        asked: &mut Vec<(u32, u32)>,
    ) {
        let mut word = || code.next().unwrap_or_default();
        let (operands, needed) = match word() {
            AND => {
                let operands = word();
                (operands, operands)
            }
            OR => (word(), 1),
            // Whatever the condition, it may come to be met.
            IF | UNLESS => (2, 0),
            IF_ELSE | UNLESS_ELSE => (3, 0),
            SYSTEM => (0, 0),
            _ => {
                asked.push((word(), node));
                self.needed[node as usize] = 1;
                return;
            }
        };
        self.needed[node as usize] = needed;
        if needed == 0
            && let Some(root) = rise(&self.above, &mut self.needed, node)
        {
            self.free.push(root);
        }
        for _ in 0..operands {
            let operand = self.above.len() as u32;
            self.above.push(node);
            self.needed.push(0);
            self.grow(code, operand, asked);
        }
    }

    /// A state for [`Hopes::raise`] in which no package is known.
    pub(crate) fn nothing_known(&self) -> Vec<u32> {
        self.needed.clone()
    }

    /// The packages whose dependencies can be met whatever is known.
    pub(crate) fn free(&self) -> impl Iterator<Item = u32> {
        self.free.iter().flat_map(|dep| self.packages.row(*dep).iter().copied())
    }

    /// Makes a package known, and adds those packages that supplement or enhance something which thereby became possible.
    pub(crate) fn raise(&self, needed: &mut [u32], package: u32, into: &mut Vec<u32>) {
        for list in self.lists.row(package) {
            for leaf in self.leaves.row(*list) {
                // Another member of the list is known.
                if needed[*leaf as usize] == 0 {
                    break;
                }
                needed[*leaf as usize] = 0;
                if let Some(root) = rise(&self.above, needed, *leaf) {
                    into.extend(self.packages.row(root));
                }
            }
        }
    }
}

/// Goes up from a node that became possible; tells the root if that did, too.
fn rise(above: &[u32], needed: &mut [u32], mut node: u32) -> Option<u32> {
    loop {
        let next = above[node as usize];
        if next == NONE {
            return Some(node);
        }
        let left = &mut needed[next as usize];
        // It was possible before, or is not yet.
        if *left != 1 {
            *left = left.saturating_sub(1);
            return None;
        }
        *left = 0;
        node = next;
    }
}
