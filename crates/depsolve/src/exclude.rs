//! What follows from an exclusion: who required the package and nothing else cannot be installed either, and of two
//! candidates the other one must be.
//!
//! Several such conclusions may come from one exclusion, and then their order matters: a later one may find that an
//! earlier one has contradicted it, or said it for another reason, and so decides what is learnt. It is the order in
//! which libsolv's clauses have come to watch the package (see `watch`). Those of requirements are not watched here;
//! where they would have been is found from the trail, when somebody needs to know.
//!
//! For example, wrapper requires one of library-1, library-2 and backup, and so its clause watches library-1 from the
//! beginning, and once wrapper is installed library-2 as well. Now library-3 is installed, which excludes library-1 and
//! library-2. When library-1 is followed up, library-2 has failed too, but has not been followed up yet: libsolv
//! lets the clause watch backup instead of library-1 and concludes nothing. Only when library-2 is followed up,
//! and what backup excludes may have been excluded meanwhile, is backup what the clause still watches besides, and is installed.

use crate::offers::NONE;
use crate::rich::{Literal, package_of, positive};
use crate::solver::{Clause, Solver};
use crate::universe::{NEVER, SINGLE};
use crate::watch::Since;

/// A requirement that may say something now: of whom, and the list, or `NONE` where the excluded package was the only
/// candidate.
#[derive(Debug, Clone, Copy)]
struct Due {
    place: Place,
    requirer: u32,
    list: u32,
}

/// Where a clause stands among those that watch the excluded package; the least is looked at first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    /// It came to watch the package later: the negative time of that, see [`Moved`], and its order among those of the same
    /// time.
    Later(i64, i64, i64),
    /// It has from the beginning: the negative package that requires it, and which of its clauses this is.
    Home(i64, usize),
}

/// Where nothing depends on it.
const UNKNOWN: Place = Place::Home(0, 0);

/// When a clause last came to watch a candidate, as a place in the trail, and how many times it has moved. What can
/// never be installed is known before there is a trail: the last package first, at -1 minus its number.
type Moved = (i64, u32);

/// Beyond this many members of a list, or requirements to be put in order, their order is not found out exactly. In real
/// repositories it hardly ever matters, and what it takes has to be bounded.
const MOST_MEMBERS: usize = 32;
const MOST_DUE: usize = 128;

/// Memory that is used again.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    due: Vec<Due>,
    /// Package to its place in the trail, if it is in it.
    places: Vec<u32>,
    /// How much of the trail is in that.
    known: usize,
    /// (place in the trail, package)
    events: Vec<(u32, u32)>,
    /// By member of a list: while which entry of the trail was followed up it was excluded.
    fails_from: Vec<u32>,
}

impl Solver<'_> {
    pub(crate) fn after_exclude(&mut self, package: u32, level: i32) -> Option<Clause> {
        let universe = self.universe;
        let failed = positive(package);
        let watched = self.watches.has(failed);
        let requirers = universe.only_for.row(package);
        let bound = if universe.any_inferior {
            let bound = |requirer: &&u32| universe.is_bound(**requirer, package);
            requirers.iter().rev().take_while(bound).count()
        } else {
            0
        };
        // libsolv has those that are bound to a better half after all requests.
        let (singles, bound) = requirers.split_at(requirers.len() - bound);
        if watched {
            let conflict = self.look_at_later(package, singles, level);
            if conflict.is_some() {
                return conflict;
            }
        }
        let mut lists = universe.in_clause_lists.row(package).iter();
        if lists.any(|list| self.may_follow(*list, singles)) {
            self.find_due(package, singles, false);
            let conflict = self.follow_due(package, level);
            if conflict.is_some() {
                return conflict;
            }
        } else {
            let conflict = self.follow_singles(singles, package, level);
            if conflict.is_some() {
                return conflict;
            }
        }
        if watched {
            let conflict = self.look_at_watches(failed, Since::Beginning, level);
            if conflict.is_some() {
                return conflict;
            }
        }
        self.follow_singles(bound, package, level)
    }

    /// Looks at what came to watch the package later: jobs, learnt and general clauses, and among them those requirements
    /// from which something may follow.
    #[inline(never)]
    fn look_at_later(&mut self, package: u32, singles: &[u32], level: i32) -> Option<Clause> {
        let failed = positive(package);
        let mut cursor = self.first_watch(failed, Since::Later);
        if cursor.is_at_end() {
            return None;
        }
        let mut lists = self.universe.in_clause_lists.row(package).iter();
        if lists.any(|list| self.may_follow(*list, singles)) {
            self.find_due(package, singles, true);
            let due = std::mem::take(&mut self.exclude.due);
            let mut conflict = None;
            for one in &due {
                let Place::Later(before, ..) = one.place else { break };
                let time = i32::try_from(-before).unwrap_or(i32::MAX);
                conflict = self
                    .look_at_list(failed, Since::Later, &mut cursor, time, level)
                    .or_else(|| self.follow_one(one, package, level));
                if conflict.is_some() {
                    break;
                }
            }
            self.exclude.due = due;
            if conflict.is_some() {
                return conflict;
            }
        }
        self.look_at_list(failed, Since::Later, &mut cursor, i32::MIN, level)
    }

    fn follow_singles(&mut self, requirers: &[u32], package: u32, level: i32) -> Option<Clause> {
        for requirer in requirers {
            let conflict = self.follow_single(*requirer, package, level);
            if conflict.is_some() {
                return conflict;
            }
        }
        None
    }

    /// Who requires this package, which is excluded, cannot be installed.
    #[inline(always)]
    fn follow_single(&mut self, requirer: u32, package: u32, level: i32) -> Option<Clause> {
        let decided = self.decision[requirer as usize];
        let clause = Clause::Single { package: requirer, only: package };
        if decided > 0 {
            return Some(clause);
        }
        if decided == 0 {
            self.assign(-positive(requirer), level, Some(clause));
        }
        None
    }

    /// Whether something may follow from a list of which a member was excluded, when these packages are excluded, too.
    #[inline]
    fn may_follow(&self, list: u32, singles: &[u32]) -> bool {
        if self.satisfied(list) {
            return false;
        }
        let members = self.universe.clause_lists.row(list);
        let excluded = self.excluded[list as usize] as usize;
        let enough = members.len() - usize::from(self.is_active(list));
        let waiting = self.trail.len() - self.head;
        if excluded + waiting + singles.len() < enough {
            return false;
        }
        let mut excluded_or_waiting = 0;
        for member in members {
            let decided = self.decision[*member as usize];
            if decided > 0 {
                return false;
            }
            excluded_or_waiting += usize::from(decided < 0 || singles.contains(member));
        }
        excluded_or_waiting >= enough
    }

    /// Whether somebody requires one of a list.
    fn is_active(&self, list: u32) -> bool {
        self.counters[(self.universe.walk.active + list) as usize] > 0
    }

    /// Finds the requirements from which something may follow, and what requires nothing else than this package, in the
    /// order in which libsolv looks at them. `order`: their places are needed even if there is one only.
    #[inline(never)]
    fn find_due(&mut self, package: u32, singles: &[u32], order: bool) {
        let universe = self.universe;
        let mut due = std::mem::take(&mut self.exclude.due);
        due.clear();
        due.extend(
            singles
                .iter()
                .filter(|requirer| self.decision[**requirer as usize] >= 0)
                .map(|requirer| Due { place: UNKNOWN, requirer: *requirer, list: NONE }),
        );
        let lists = universe.in_clause_lists.row(package).iter();
        for list in lists.filter(|list| self.may_follow(**list, singles)) {
            let requirers = universe.requirers.row(*list).iter();
            let is_active = self.is_active(*list);
            let matters = |requirer: &&u32| {
                let decided = self.decision[**requirer as usize];
                decided > 0 || (decided == 0 && !is_active)
            };
            due.extend(requirers.filter(matters).map(|requirer| Due {
                place: UNKNOWN,
                requirer: *requirer,
                list: *list,
            }));
        }
        if due.len() > 1 || order {
            self.find_places();
            let quick = due.len() > MOST_DUE;
            for one in &mut due {
                one.place = self.place_of(package, one, quick);
            }
            due.sort_unstable_by_key(|one| one.place);
        }
        self.exclude.due = due;
    }

    /// Draws the conclusions from what was found.
    fn follow_due(&mut self, package: u32, level: i32) -> Option<Clause> {
        let due = std::mem::take(&mut self.exclude.due);
        let conflict = due.iter().find_map(|one| self.follow_one(one, package, level));
        self.exclude.due = due;
        conflict
    }

    fn follow_one(&mut self, due: &Due, package: u32, level: i32) -> Option<Clause> {
        if due.list == NONE {
            self.follow_single(due.requirer, package, level)
        } else {
            self.follow_list(due.requirer, due.list, package, level)
        }
    }

    fn follow_list(
        &mut self,
        requirer: u32,
        list: u32,
        package: u32,
        level: i32,
    ) -> Option<Clause> {
        let members = self.universe.clause_lists.row(list);
        let decided = self.decision[requirer as usize];
        // Others may require the same, and have been followed up sooner.
        let is_active = decided > 0 && self.is_active(list) && !self.waits_itself(requirer);
        let enough = members.len() - usize::from(is_active);
        let excluded = self.excluded[list as usize] as usize;
        let mut open = NONE;
        let mut excluded_or_waiting = 0;
        for member in members {
            let decided = self.decision[*member as usize];
            if decided > 0 {
                return None;
            }
            if decided == 0 {
                open = *member;
            } else {
                excluded_or_waiting += 1;
            }
        }
        if excluded_or_waiting < enough {
            return None;
        }
        // Where everything has failed, whichever watch is looked at finds out.
        let is_free = open != NONE || decided == 0;
        if excluded < enough {
            let other = self.watched_beside(requirer, list, package, is_active);
            if other.is_none_or(|other| is_free && other != open) {
                return None;
            }
        }
        let clause = Clause::List { package: requirer, list };
        if decided > 0 {
            if open == NONE {
                return Some(clause);
            }
            if is_active {
                self.assign(positive(open), level, Some(clause));
            }
        } else if decided == 0 && open == NONE {
            self.assign(-positive(requirer), level, Some(clause));
        }
        None
    }

    /// Whether what follows from an installed package has not been drawn yet.
    fn waits_itself(&mut self, package: u32) -> bool {
        self.find_places();
        self.exclude.places[package as usize] as usize >= self.head
    }

    /// Whether a literal holds, and what follows from that has not been drawn yet.
    fn waits(&self, literal: Literal) -> bool {
        self.trail[self.head..].iter().any(|decided| decided.literal == literal)
    }

    /// What a list watches besides a member whose exclusion is being followed up, while that of others still waits: another
    /// member, or the requirer, which is [`NONE`] here; nothing if it does not watch that member. Only if it is what
    /// has to hold libsolv finds out now: otherwise it lets the list watch that instead, and finds out when the next member
    /// that it watches is followed up.
    fn watched_beside(
        &mut self,
        requirer: u32,
        list: u32,
        package: u32,
        is_active: bool,
    ) -> Option<u32> {
        let members = self.universe.clause_lists.row(list);
        let watched = if members.len() <= MOST_MEMBERS {
            self.find_places();
            self.watched_now(requirer, list, package, None).0
        } else {
            // About: the first one that has not been seen excluded yet, and when the requirer is installed the next one, too.
            let mut unseen = members.iter().copied().filter(|member| {
                *member == package
                    || self.decision[*member as usize] == 0
                    || self.waits(-positive(*member))
            });
            let first = unseen.next().unwrap_or(NONE);
            [first, if is_active { unseen.next().unwrap_or(NONE) } else { NONE }]
        };
        let which = watched.iter().position(|member| *member == package)?;
        Some(watched[1 - which])
    }

    /// Finds where every package is in the trail.
    fn find_places(&mut self) {
        let Scratch { places, known, .. } = &mut self.exclude;
        places.resize(self.decision.len(), NONE);
        for (place, decided) in (0..).zip(&self.trail).skip(*known) {
            places[package_of(decided.literal) as usize] = place;
        }
        *known = self.trail.len();
    }

    /// To be called when decisions were taken back.
    pub(crate) fn forget_places(&mut self) {
        self.exclude.known = self.exclude.known.min(self.trail.len());
    }

    /// `quick`: only about.
    fn place_of(&mut self, package: u32, due: &Due, quick: bool) -> Place {
        let universe = self.universe;
        let Due { requirer, list, .. } = *due;
        let backwards = -i64::from(requirer);
        let clause = if list == NONE { SINGLE | package } else { list };
        let clauses = if quick { &[] } else { universe.clauses.row(requirer) };
        let index = clauses.iter().position(|c| *c == clause).unwrap_or(clauses.len());
        let displaced = universe.displaced_by(requirer, clause);
        let displaced = displaced.map(|first| (-1 - i64::from(first), 1));
        let since = if list == NONE {
            displaced
        } else if quick || universe.clause_lists.row(list).len() > MOST_MEMBERS {
            self.watched_about_since(requirer, list, package, displaced)
        } else {
            self.watched_since(requirer, list, package, displaced)
        };
        match since {
            None => Place::Home(backwards, index),
            // Each move turns the order round: who moves first is looked at last.
            Some((time, moves)) if moves % 2 == 0 => Place::Later(-time, backwards, index as i64),
            Some((time, _)) => Place::Later(-time, -backwards, -(index as i64)),
        }
    }

    /// As [`Solver::watched_since`], but as if nothing but the requirer's installation had moved it.
    fn watched_about_since(
        &self,
        requirer: u32,
        list: u32,
        package: u32,
        displaced: Option<Moved>,
    ) -> Option<Moved> {
        if self.universe.clause_lists.row(list).first() == Some(&package) {
            return displaced;
        }
        let is_installed = self.decision[requirer as usize] > 0;
        let time = if is_installed { self.exclude.places[requirer as usize] } else { 0 };
        Some((i64::from(time), 1))
    }

    /// Since when libsolv's clause of a requirer and a list would have watched a member; `None` if it has from the
    /// beginning, when it watches the requirer and the first member. `displaced`: since when it has watched that one,
    /// if there had been another before.
    fn watched_since(
        &mut self,
        requirer: u32,
        list: u32,
        package: u32,
        displaced: Option<Moved>,
    ) -> Option<Moved> {
        let (watched, since) = self.watched_now(requirer, list, package, displaced);
        since[usize::from(watched[1] == package)]
    }

    /// The members that the clause of a requirer and a list watches, and since when, before it is looked at because of a
    /// member's exclusion. The second one is `NONE` as long as it watches the requirer.
    fn watched_now(
        &mut self,
        requirer: u32,
        list: u32,
        package: u32,
        displaced: Option<Moved>,
    ) -> ([u32; 2], [Option<Moved>; 2]) {
        let members = self.universe.clause_lists.row(list);
        let mut events = std::mem::take(&mut self.exclude.events);
        let mut fails_from = std::mem::take(&mut self.exclude.fails_from);
        events.clear();
        fails_from.clear();
        for member in members {
            let fails = self.decision[*member as usize] < 0;
            fails_from.push(if fails { self.decided_at(*member) } else { NONE });
            if fails && *member != package {
                events.push((self.exclude.places[*member as usize], *member));
            }
        }
        if self.decision[requirer as usize] > 0 {
            events.push((self.exclude.places[requirer as usize], requirer));
        }
        events.retain(|(place, _)| (*place as usize) < self.head);
        events.sort_unstable();
        let mut watched = [members.first().copied().unwrap_or(NONE), NONE];
        let mut since = [displaced, None];
        for (time, decided) in &events {
            let which = usize::from(*decided == requirer || watched[1] == *decided);
            if which == 0 && watched[0] != *decided {
                continue;
            }
            let other = watched[1 - which];
            let mut free = members.iter().zip(&fails_from);
            if let Some((next, _)) = free.find(|(m, from)| **m != other && *from > time) {
                watched[which] = *next;
                let moves = since[which].map_or(1, |(_, moves)| moves + 1);
                since[which] = Some((i64::from(*time), moves));
            }
        }
        self.exclude.events = events;
        self.exclude.fails_from = fails_from;
        (watched, since)
    }

    /// While which entry of the trail was followed up a package was decided.
    fn decided_at(&self, package: u32) -> u32 {
        let places = &self.exclude.places;
        let place = places[package as usize];
        let why = self.trail.get(place as usize).and_then(|decided| decided.why);
        let mut at = None;
        let mut add = |literal| {
            let other = package_of(literal);
            if other != package && !self.universe.has(other, NEVER) {
                at = at.max(Some(places[other as usize]));
            }
        };
        let literals = match why {
            Some(Clause::Pair(..) | Clause::Single { .. }) | None => 2,
            Some(Clause::List { list, .. }) => self.universe.clause_lists.row(list).len(),
            Some(Clause::General(id)) => self.universe.general.row(id).len(),
            Some(Clause::Dynamic(id)) => self.dynamic.row(id).len(),
        };
        if let Some(why) = why
            && literals <= MOST_MEMBERS
        {
            self.for_each_literal(why, &mut add);
        }
        at.unwrap_or(place)
    }
}
