//! From dependencies to clauses: which packages each package needs, excludes and wishes for, and every index that the
//! solver walks along.

use std::cell::Cell;
use std::mem;
use std::rc::Rc;

use rpm::Dep;

use super::{
    Kind, LoadError, Loader, MAX_COMPARISONS, MAX_EFFORT, SYSTEM, check_pairs, too_entangled,
};
use crate::PackageId;
use crate::arch::{NOARCH, Score, colour};
use crate::arrays::{FastMap, RowSet, Rows};
use crate::offers::{NONE, Offers};
use crate::rich::{self, Literal, Normal, package_of, positive};
use crate::universe::{INFERIOR, NEVER, SINGLE};

impl Loader {
    /// Turns dependencies into clauses, exclusions and the indexes over them.
    pub(super) fn relate(&mut self, lists: RowSet) -> Result<(), LoadError> {
        let count = self.universe.names.len() as u32;
        let by_name = self.by_name();
        let mut clauses = Clauses::new(lists, count);
        let mut obsoleted: Vec<(u32, u32)> = Vec::new();

        let mut normals = Normals::default();
        let mut compared = 0_usize;
        for package in 0..count {
            let at = || self.universe.package(PackageId(package)).to_string();
            for dep in self.universe.requires.row(package) {
                self.require(package, *dep, &mut normals, &mut clauses)?;
                clauses.check(at)?;
            }
            for dep in self.conflicts.row(package) {
                self.conflict(package, *dep, &mut normals, &mut clauses)?;
                clauses.check(at)?;
                check_pairs(clauses.excluded.len(), EXCLUDED, at)?;
            }
            for dep in self.obsoletes.row(package) {
                let more =
                    self.obsolete(package, *dep, &by_name, &mut clauses.excluded, &mut obsoleted);
                compared = compared.saturating_add(more);
                if compared > MAX_COMPARISONS {
                    let what = "packages to be compared with what obsoletes their names";
                    return Err(too_entangled(what, MAX_COMPARISONS, &at()));
                }
                check_pairs(clauses.excluded.len(), EXCLUDED, at)?;
            }
        }
        let Clauses { mut lists, mut required, general, mut excluded, mut never, .. } = clauses;
        self.exclude_same_name(&by_name, &mut excluded)?;
        self.bind_inferior(&by_name, &mut lists, &mut required);
        self.store_reach(&by_name, &lists.rows, &mut normals)?;
        find_never(&mut never, &required, &lists.rows, count);
        for (package, never) in never.iter().enumerate() {
            if *never {
                self.universe.flags[package] |= NEVER;
            }
        }

        self.store_clauses(&lists.rows, &required, general, &never);
        self.universe.excludes = symmetric(excluded, count);
        obsoleted.sort_unstable();
        obsoleted.dedup();
        self.universe.obsoletes = Rows::from_pairs(count as usize, &obsoleted);
        self.store_successors(&lists.rows);
        self.store_weak(&mut lists, &mut normals)?;
        self.universe.conflict_deps = mem::take(&mut self.conflicts);
        self.universe.obsolete_deps = mem::take(&mut self.obsoletes);
        self.universe.lists = lists.rows;
        Ok(())
    }

    fn require(
        &self,
        package: u32,
        dep: u32,
        normals: &mut Normals,
        clauses: &mut Clauses,
    ) -> Result<(), LoadError> {
        let list = match &self.deps[dep as usize] {
            Kind::Rich(rich) if rich::is_complex(rich) => {
                match &*normals.clauses(&self.universe.offers, dep, rich)? {
                    Normal::Always | Normal::TooMany => {}
                    Normal::Never => clauses.never[package as usize] = true,
                    Normal::Blocks(blocks) => {
                        for block in blocks.iter().cloned() {
                            clauses.add(package, block, false);
                        }
                    }
                }
                return Ok(());
            }
            _ => self.universe.dep_lists[dep as usize],
        };
        if list == SYSTEM {
            return Ok(());
        }
        let providers = clauses.lists.rows.row(list);
        if providers.is_empty() {
            clauses.never[package as usize] = true;
        } else if providers.binary_search(&package).is_err() {
            clauses.required.push((package, list));
        }
        Ok(())
    }

    fn conflict(
        &self,
        package: u32,
        dep: u32,
        normals: &mut Normals,
        clauses: &mut Clauses,
    ) -> Result<(), LoadError> {
        if let Kind::Rich(rich) = &self.deps[dep as usize]
            && rich::is_complex(rich)
        {
            match &*normals.inverted(&self.universe.offers, dep, rich)? {
                Normal::Always | Normal::TooMany => {}
                Normal::Never => clauses.never[package as usize] = true,
                Normal::Blocks(blocks) => {
                    for block in blocks.iter().cloned() {
                        clauses.add(package, block, true);
                    }
                }
            }
            return Ok(());
        }
        let list = self.universe.dep_lists[dep as usize];
        if list == SYSTEM {
            clauses.never[package as usize] = true;
        } else {
            // A package may conflict with what it provides itself.
            let others = clauses.lists.rows.row(list).iter().filter(|p| **p != package);
            clauses.excluded.extend(others.map(|p| (package, *p)));
        }
        Ok(())
    }

    /// Obsoletes look at names and versions of packages, not at what they provide. Tells how many were looked at.
    fn obsolete(
        &self,
        package: u32,
        dep: u32,
        by_name: &Rows,
        excluded: &mut Vec<(u32, u32)>,
        obsoleted: &mut Vec<(u32, u32)>,
    ) -> usize {
        let Kind::Simple { name, range } = self.deps[dep as usize] else { return 0 };
        let universe = &self.universe;
        let wanted = universe.offers.constraint(range);
        for other in by_name.row(name) {
            let is_meant =
                wanted.is_none_or(|wanted| universe.own_version(*other).overlaps(wanted));
            if *other != package && is_meant {
                excluded.push((package, *other));
                if universe.names[*other as usize] != universe.names[package as usize] {
                    obsoleted.push((package, *other));
                }
            }
        }
        by_name.row(name).len()
    }

    fn exclude_same_name(
        &self,
        by_name: &Rows,
        excluded: &mut Vec<(u32, u32)>,
    ) -> Result<(), LoadError> {
        let colours: Vec<u8> = self.universe.archs.iter().map(|arch| colour(arch)).collect();
        let colour = |package: u32| colours[self.universe.arch[package as usize] as usize];
        for name in 0..by_name.len() as u32 {
            let same = by_name.row(name);
            for (i, a) in same.iter().enumerate() {
                for b in &same[i + 1..] {
                    if colour(*a) & colour(*b) != 0 {
                        excluded.push((*a, *b));
                    }
                }
                check_pairs(excluded.len(), EXCLUDED, || {
                    self.universe.package(PackageId(*a)).to_string()
                })?;
            }
        }
        Ok(())
    }

    /// A package of an inferior architecture may be installed only beside the better one of identical EVR. Where
    /// one of a name has none, what is inferior depends on the request; see `orphans`.
    fn bind_inferior(
        &mut self,
        by_name: &Rows,
        lists: &mut RowSet,
        required: &mut Vec<(u32, u32)>,
    ) {
        for name in 0..by_name.len() as u32 {
            let same = by_name.row(name);
            let score = |package: u32| self.universe.arch_score[package as usize];
            let best: Option<Score> = same.iter().map(|p| score(*p)).filter(|s| *s != NOARCH).min();
            let Some(best) = best else { continue };
            let is_inferior = |p: &u32| score(*p) != NOARCH && score(*p) != best;
            let inferior: Vec<u32> = same.iter().copied().filter(is_inferior).collect();
            let halves: Vec<Vec<u32>> = inferior
                .iter()
                .map(|package| self.universe.better_halves(*package, same, best))
                .collect();
            // One that is noarch cannot stand beside it.
            let is_orphan = |better: &Vec<u32>| better.iter().all(|other| score(*other) == NOARCH);
            if halves.iter().any(is_orphan) {
                self.universe.orphans.extend(&inferior);
            } else {
                let bound = inferior.iter().zip(&halves);
                required.extend(bound.map(|(package, better)| (*package, lists.intern(better))));
            }
            for package in inferior {
                self.universe.flags[package as usize] |= INFERIOR;
            }
        }
    }

    /// Which packages each package can lead to, for requests that have to do with orphans. Repositories of one
    /// architecture have none, and multilib ones should have none.
    fn store_reach(
        &mut self,
        by_name: &Rows,
        lists: &Rows,
        normals: &mut Normals,
    ) -> Result<(), LoadError> {
        if self.universe.orphans.is_empty() {
            return Ok(());
        }
        let universe = &mut self.universe;
        universe.orphans.sort_unstable();
        universe.orphan_names = Rows::new();
        for orphan in &universe.orphans {
            let same = by_name.row(universe.names[*orphan as usize]);
            universe.orphan_names.push(same.iter().copied());
        }
        let mut pairs: Vec<(u32, u32)> = Vec::new();
        for package in 0..universe.names.len() as u32 {
            // The better half comes with its inferior one.
            let i = package as usize;
            pairs.extend(by_name.row(universe.names[i]).iter().filter_map(|other| {
                let j = *other as usize;
                let (mine, theirs) = (universe.arch_score[i], universe.arch_score[j]);
                (theirs != NOARCH && theirs < mine && universe.same_evr(package, *other))
                    .then_some((package, *other))
            }));
            let at = || universe.package(PackageId(package)).to_string();
            for dep in universe.requires.row(package) {
                check_pairs(pairs.len(), REACHED, at)?;
                match &self.deps[*dep as usize] {
                    Kind::Rich(rich) if rich::is_complex(rich) => {
                        let normal = normals.clauses(&universe.offers, *dep, rich)?;
                        if let Normal::Blocks(blocks) = &*normal {
                            for block in blocks {
                                let literals = block.iter().filter(|l| **l > 0);
                                if block.binary_search(&positive(package)).is_err() {
                                    pairs.extend(literals.map(|l| (package, package_of(*l))));
                                }
                            }
                        }
                    }
                    _ => {
                        let list = universe.dep_lists[*dep as usize];
                        if list != SYSTEM && lists.row(list).binary_search(&package).is_err() {
                            pairs.extend(lists.row(list).iter().map(|p| (package, *p)));
                        }
                    }
                }
            }
            for dep in self.recommends.row(package).iter().chain(self.suggests.row(package)) {
                check_pairs(pairs.len(), REACHED, at)?;
                match &self.deps[*dep as usize] {
                    Kind::Rich(rich) => {
                        let mut found = Vec::new();
                        rich::positive_packages(&universe.offers, rich, false, &mut found);
                        pairs.extend(found.into_iter().map(|p| (package, p)));
                    }
                    Kind::Simple { .. } => {
                        let list = universe.dep_lists[*dep as usize];
                        if list != SYSTEM {
                            pairs.extend(lists.row(list).iter().map(|p| (package, *p)));
                        }
                    }
                }
            }
            for dep in self.conflicts.row(package) {
                if let Kind::Rich(rich) = &self.deps[*dep as usize]
                    && rich::is_complex(rich)
                    && let Normal::Blocks(blocks) =
                        &*normals.inverted(&universe.offers, *dep, rich)?
                {
                    // A conflict with what holds whenever the package is there says nothing, and leads nowhere.
                    let own = positive(package);
                    let blocks = blocks.iter().filter(|block| block.binary_search(&own).is_err());
                    let literals = blocks.flatten().filter(|l| **l > 0);
                    pairs.extend(literals.map(|l| (package, package_of(*l))));
                }
            }
            check_pairs(pairs.len(), REACHED, at)?;
        }
        pairs.sort_unstable();
        pairs.dedup();
        universe.reach = Rows::from_pairs(universe.names.len(), &pairs);
        Ok(())
    }

    fn store_clauses(
        &mut self,
        lists: &Rows,
        required: &[(u32, u32)],
        mut general: Vec<Vec<Literal>>,
        never: &[bool],
    ) {
        let count = never.len();
        // Decisions are made in the order of lists compared number by number.
        let mut order: Vec<u32> = (0..lists.len() as u32).collect();
        order.sort_unstable_by(|a, b| lists.row(*a).cmp(lists.row(*b)));
        let mut rank = vec![0u32; lists.len()];
        for (i, list) in order.iter().enumerate() {
            rank[*list as usize] = i as u32;
        }

        let mut reduced = RowSet::new();
        let mut only_for = Vec::new();
        let mut reduced_of = vec![NONE; lists.len()];
        let mut members = Vec::new();
        for (_, list) in required {
            if reduced_of[*list as usize] == NONE {
                members.clear();
                members.extend(lists.row(*list).iter().copied().filter(|p| !never[*p as usize]));
                reduced_of[*list as usize] = match members.as_slice() {
                    [only] => SINGLE | only,
                    several => reduced.intern(several),
                };
            }
        }
        let mut rows: Vec<Vec<(u32, u32)>> = vec![Vec::new(); count];
        // (package, clause, first candidate)
        let mut displaced: Vec<(u32, u32, u32)> = Vec::new();
        for (package, list) in required {
            if !never[*package as usize] {
                let clause = reduced_of[*list as usize];
                rows[*package as usize].push((rank[*list as usize], clause));
                if let Some(first) = lists.row(*list).first()
                    && never[*first as usize]
                {
                    displaced.push((*package, clause, *first));
                }
            }
        }
        displaced.sort_unstable();
        displaced.dedup_by_key(|(package, clause, _)| (*package, *clause));
        general.retain(|clause| !clause.iter().any(|l| *l < 0 && never[package_of(*l) as usize]));
        // Where one goes on and the other ends, the end counts as 0.
        general.sort_unstable_by(|a, b| a.iter().chain(&[0]).cmp(b.iter().chain(&[0])));
        general.dedup();

        let universe = &mut self.universe;
        universe.displaced = Rows::new();
        let mut displaced = displaced.into_iter().peekable();
        for package in 0..count as u32 {
            while let Some((_, clause, first)) = displaced.next_if(|(of, ..)| *of == package) {
                universe.displaced.data.extend([clause, first]);
            }
            universe.displaced.end_row();
        }
        universe.general = Rows::new();
        universe.general_place = Vec::new();
        universe.clauses = Rows::new();
        let clause_lists = reduced.rows.len() as u32;
        let mut generals: Vec<Vec<u32>> = vec![Vec::new(); count];
        let mut negative = Vec::new();
        for clause in general {
            let id = universe.general.len() as u32;
            let negatives = clause.iter().take_while(|literal| **literal < 0);
            negative.extend(negatives.map(|literal| (package_of(*literal), id)));
            if let Some(first) = clause.first()
                && *first < 0
            {
                generals[package_of(*first) as usize].push(id);
            }
            universe.general.push(clause.into_iter().map(|literal| literal as u32));
        }
        universe.general_place = vec![NONE; universe.general.len() * 2];
        for package in 0..count {
            // Clauses with more negative literals come first, since a negative number is smaller than all others.
            for id in &generals[package] {
                let place = universe.clauses.data.len() as u32 - universe.clauses.offsets[package];
                universe.general_place[*id as usize * 2] = package as u32;
                universe.general_place[*id as usize * 2 + 1] = place;
                universe.clauses.data.push(clause_lists + id);
            }
            let row = &mut rows[package];
            row.sort_unstable();
            row.dedup_by_key(|(_, list)| *list);
            for (_, clause) in row.iter() {
                universe.clauses.data.push(*clause);
                if clause & SINGLE != 0 {
                    only_for.push((clause & !SINGLE, package as u32));
                }
            }
            universe.clauses.end_row();
        }
        universe.general_negative = Rows::from_pairs(count, &negative);
        only_for.sort_by_cached_key(|(only, package)| {
            let place = if universe.is_bound(*package, *only) {
                (2, 0, *package)
            } else {
                match universe.displaced_by(*package, SINGLE | *only) {
                    Some(first) => (0, first, *package),
                    None => (1, 0, !*package),
                }
            };
            (*only, place)
        });
        universe.only_for = Rows::from_pairs(count, &only_for);
        universe.clause_lists = reduced.rows;
        universe.in_clause_lists = universe.clause_lists.inverted(count);
        let mut requirers = Vec::new();
        for package in 0..count as u32 {
            for clause in universe.clauses.row(package) {
                if *clause < clause_lists {
                    requirers.push((*clause, package));
                }
            }
        }
        universe.requirers = Rows::from_pairs(clause_lists as usize, &requirers);
    }

    fn store_successors(&mut self, lists: &Rows) {
        let universe = &mut self.universe;
        universe.successors = Rows::new();
        let single = |list: u32| match lists.row(list) {
            [only] => SINGLE | only,
            _ => list,
        };
        let mut row = Vec::new();
        for package in 0..universe.names.len() as u32 {
            row.clear();
            row.extend(
                universe
                    .requires
                    .row(package)
                    .iter()
                    .map(|dep| universe.dep_lists[*dep as usize])
                    .filter(|list| *list != SYSTEM && *list != 0)
                    .map(single),
            );
            row.sort_unstable();
            row.dedup();
            universe.successors.push(row.iter().copied());
        }
    }
}

/// The normal forms of rich dependencies: each is made once, however many packages have it.
#[derive(Default)]
pub(super) struct Normals {
    /// By dependency, and whether it is of one or of its opposite.
    known: FastMap<(u32, bool), Rc<Normal>>,
    literals: usize,
    /// What they have cost together.
    effort: Cell<usize>,
}

impl Normals {
    /// The clauses of a dependency.
    pub(super) fn clauses(
        &mut self,
        offers: &Offers,
        dep: u32,
        rich: &Dep,
    ) -> Result<Rc<Normal>, LoadError> {
        self.get((dep, false), rich, |effort| rich::counted_clauses(offers, rich, effort))
    }

    /// The clauses of the opposite of a dependency, which a conflict asks for.
    fn inverted(&mut self, offers: &Offers, dep: u32, rich: &Dep) -> Result<Rc<Normal>, LoadError> {
        self.get((dep, true), rich, |effort| rich::counted_inverted_clauses(offers, rich, effort))
    }

    fn get(
        &mut self,
        key: (u32, bool),
        rich: &Dep,
        make: impl FnOnce(&Cell<usize>) -> Normal,
    ) -> Result<Rc<Normal>, LoadError> {
        if let Some(known) = self.known.get(&key) {
            return Ok(Rc::clone(known));
        }
        let normal = make(&self.effort);
        if self.effort.get() > MAX_EFFORT {
            let what = "alternatives to be looked at in rich dependencies";
            return Err(too_entangled(what, MAX_EFFORT, &rich.to_string()));
        }
        match &normal {
            Normal::TooMany => {
                let what = "packages in the alternatives of one rich dependency";
                return Err(too_entangled(what, rich::MAX_LITERALS, &rich.to_string()));
            }
            Normal::Blocks(blocks) => {
                self.literals += blocks.iter().map(Vec::len).sum::<usize>();
                check_pairs(self.literals, "packages in rich dependencies", || rich.to_string())?;
            }
            Normal::Never | Normal::Always => {}
        }
        let normal = Rc::new(normal);
        self.known.insert(key, Rc::clone(&normal));
        Ok(normal)
    }
}

/// What [`LoadError`] calls the pairs of packages that cannot be installed together.
const EXCLUDED: &str = "pairs of packages that exclude each other";

const REACHED: &str = "packages that others can lead to";
pub(super) const LISTED: &str = "packages in lists of providers";

/// What the requirements and conflicts of all packages come to.
struct Clauses {
    /// Lists of providers.
    lists: RowSet,
    /// Package and the list of which it requires one.
    required: Vec<(u32, u32)>,
    /// Clauses with several negative literals.
    general: Vec<Vec<Literal>>,
    /// How many of those were counted, and how many literals they have.
    counted: usize,
    literals: usize,
    /// Packages that cannot be installed together.
    excluded: Vec<(u32, u32)>,
    /// Packages that can never be installed, as far as is known.
    never: Vec<bool>,
}

impl Clauses {
    fn new(lists: RowSet, packages: u32) -> Self {
        Clauses {
            lists,
            required: Vec::new(),
            general: Vec::new(),
            counted: 0,
            literals: 0,
            excluded: Vec::new(),
            never: vec![false; packages as usize],
        }
    }

    /// Adds one clause of a rich requirement or conflict of a package.
    fn add(&mut self, package: u32, block: Vec<Literal>, is_conflict: bool) {
        let Some(clause) = rich::clause_of_package(package, block, is_conflict) else { return };
        match clause.as_slice() {
            [] => {}
            [only] => self.never[package_of(*only) as usize] = true,
            [a, b] if *b < 0 => self.excluded.push((package_of(*a), package_of(*b))),
            [_, rest @ ..] if rest[0] > 0 => {
                let members: Vec<u32> = rest.iter().map(|literal| package_of(*literal)).collect();
                self.required.push((package, self.lists.intern(&members)));
            }
            _ => self.general.push(clause),
        }
    }

    /// Refuses lists that are too long together, and too many literals in clauses with several negative ones.
    fn check(&mut self, at: impl Fn() -> String) -> Result<(), LoadError> {
        self.literals += self.general[self.counted..].iter().map(Vec::len).sum::<usize>();
        self.counted = self.general.len();
        check_pairs(self.literals, "packages in rich dependencies", &at)?;
        check_pairs(self.lists.rows.data.len(), LISTED, at)
    }
}

/// Finds the packages that can never be installed, whatever is asked for.
fn find_never(never: &mut [bool], required: &[(u32, u32)], lists: &Rows, count: u32) {
    let requirers = {
        let pairs: Vec<(u32, u32)> =
            required.iter().map(|(package, list)| (*list, *package)).collect();
        Rows::from_pairs(lists.len(), &pairs)
    };
    let in_lists = lists.inverted(count as usize);
    let mut left: Vec<u32> =
        (0..lists.len() as u32).map(|list| lists.row(list).len() as u32).collect();
    let mut queue: Vec<u32> = (0..count).filter(|package| never[*package as usize]).collect();
    while let Some(package) = queue.pop() {
        for list in in_lists.row(package) {
            let left = &mut left[*list as usize];
            *left -= 1;
            if *left == 0 {
                for requirer in requirers.row(*list) {
                    if !mem::replace(&mut never[*requirer as usize], true) {
                        queue.push(*requirer);
                    }
                }
            }
        }
    }
}

/// Both directions of a relation, each row descending and without repetition.
fn symmetric(mut pairs: Vec<(u32, u32)>, count: u32) -> Rows {
    let reversed: Vec<(u32, u32)> = pairs.iter().map(|(a, b)| (*b, *a)).collect();
    pairs.extend(reversed);
    pairs.sort_unstable_by(|a, b| a.0.cmp(&b.0).then(b.1.cmp(&a.1)));
    pairs.dedup();
    Rows::from_pairs(count as usize, &pairs)
}
