//! Weak dependencies: what packages wish for, and the indexes from package to those who wish for it.

use std::mem;

use rpm::Dep;

use super::relate::LISTED;
use super::relate::Normals;
use super::{Kind, LoadError, Loader, SYSTEM, check_pairs};
use crate::PackageId;
use crate::arrays::{FastMap, RowSet, Rows};
use crate::offers::MetBy;
use crate::rich::{self, Literal, Normal, package_of};
use crate::universe::{ENHANCES, RICH, SUPPLEMENTS, Universe};

impl Loader {
    pub(super) fn store_weak(
        &mut self,
        lists: &mut RowSet,
        normals: &mut Normals,
    ) -> Result<(), LoadError> {
        let count = self.universe.names.len();
        let mut rich_ids: FastMap<u32, u32> = FastMap::default();
        self.universe.rich_blocks = Rows::new();
        self.universe.blocks = Rows::new();
        let recommends = mem::take(&mut self.recommends);
        let suggests = mem::take(&mut self.suggests);
        let (recommends, in_lists, in_blocks) =
            self.forward(&recommends, &mut rich_ids, lists, normals)?;
        self.universe.recommends = recommends;
        self.universe.in_recommended = in_lists;
        self.universe.in_recommended_blocks = in_blocks;
        let (suggests, in_lists, in_blocks) =
            self.forward(&suggests, &mut rich_ids, lists, normals)?;
        self.universe.suggests = suggests;
        self.universe.in_suggested = in_lists;
        self.universe.in_suggested_blocks = in_blocks;

        let mut code = Vec::new();
        let mut compiled_ids: FastMap<u32, u32> = FastMap::default();
        let mut compiled = Rows::new();
        let mut backward = |deps: &Rows, universe: &Universe, all: &[Kind]| {
            let mut out = Rows::new();
            for package in 0..count as u32 {
                for dep in deps.row(package) {
                    let id = *compiled_ids.entry(*dep).or_insert_with(|| {
                        code.clear();
                        match &all[*dep as usize] {
                            Kind::Simple { .. } => match universe.dep_lists[*dep as usize] {
                                SYSTEM => rich::compile_leaf(0, MetBy::System, &mut code),
                                list => rich::compile_leaf(list, MetBy::Packages, &mut code),
                            },
                            Kind::Rich(rich) => {
                                let mut leaf = |dep: &Dep| {
                                    let (found, met) = universe.offers.potential(dep);
                                    (lists.intern(&found), met)
                                };
                                rich::compile(rich, &mut leaf, &mut code);
                            }
                        }
                        compiled.push(code.iter().copied());
                        compiled.len() as u32 - 1
                    });
                    out.data.push(id);
                    check_pairs(lists.rows.data.len(), LISTED, || {
                        universe.package(PackageId(package)).to_string()
                    })?;
                }
                out.end_row();
            }
            Ok::<Rows, LoadError>(out)
        };
        let supplements = backward(&self.supplements, &self.universe, &self.deps)?;
        let enhances = backward(&self.enhances, &self.universe, &self.deps)?;
        let universe = &mut self.universe;
        for package in 0..count as u32 {
            if !supplements.row(package).is_empty() {
                universe.flags[package as usize] |= SUPPLEMENTS;
                universe.supplementing.push(package);
            }
            if !enhances.row(package).is_empty() {
                universe.flags[package as usize] |= ENHANCES;
            }
        }
        universe.supplements = supplements;
        universe.enhances = enhances;
        universe.compiled = compiled;
        Ok(())
    }

    /// Recommends or Suggests: what each package names, and the indexes from package to what names it.
    fn forward(
        &mut self,
        deps: &Rows,
        rich_ids: &mut FastMap<u32, u32>,
        lists: &RowSet,
        normals: &mut Normals,
    ) -> Result<(Rows, Rows, Rows), LoadError> {
        let count = self.universe.names.len();
        let universe = &mut self.universe;
        let mut named = Rows::new();
        let mut in_lists = Vec::new();
        let mut in_blocks = Vec::new();
        let mut seen = vec![false; lists.rows.len()];
        for package in 0..count as u32 {
            for dep in deps.row(package) {
                if let Kind::Rich(rich) = &self.deps[*dep as usize]
                    && rich::is_complex(rich)
                {
                    let id = match rich_ids.get(dep) {
                        Some(id) => *id,
                        None => {
                            let normal = normals.clauses(&universe.offers, *dep, rich)?;
                            if let Normal::Blocks(blocks) = &*normal {
                                for block in blocks {
                                    universe.rich_blocks.data.push(universe.blocks.len() as u32);
                                    let literals = block.iter().map(|literal| *literal as u32);
                                    universe.blocks.push(literals);
                                }
                            }
                            universe.rich_blocks.end_row();
                            let id = universe.rich_blocks.len() as u32 - 1;
                            rich_ids.insert(*dep, id);
                            id
                        }
                    };
                    named.data.push(RICH | id);
                    for block in universe.rich_blocks.row(id) {
                        for literal in universe.blocks.row(*block) {
                            let literal = *literal as Literal;
                            if literal > 0 {
                                let member = package_of(literal);
                                in_blocks.push((member, package));
                                in_blocks.push((member, *block));
                            }
                        }
                    }
                    check_pairs(in_blocks.len(), "packages in rich weak dependencies", || {
                        universe.package(PackageId(package)).to_string()
                    })?;
                    continue;
                }
                let list = universe.dep_lists[*dep as usize];
                if list == SYSTEM || list == 0 {
                    continue;
                }
                named.data.push(list);
                if !mem::replace(&mut seen[list as usize], true) {
                    in_lists.extend(lists.rows.row(list).iter().map(|member| (*member, list)));
                }
            }
            named.end_row();
        }
        Ok((named, Rows::from_pairs(count, &in_lists), Rows::from_pairs(count, &in_blocks)))
    }
}
