//! What follows from an exclusion: who required the package and nothing else cannot be installed either, and of two
//! candidates the other one must be.
//!
//! Several such conclusions may come from one exclusion, and then their order matters: a later one may find that an
//! earlier one has contradicted it, or said it for another reason, and so decides what is learnt. It is the order in
//! which libsolv's clauses have come to watch the package (see `watch`). Those of requirements are not watched here;
//! where they would have been is found from the trail, when somebody needs to know.

use crate::offers::NONE;
use crate::rich::{package_of, positive};
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
    /// It came to watch the package later: the negative time of that, and its order among those of the same time.
    Later(i64, i64, i64),
    /// It has from the beginning: the negative package that requires it, and which of its clauses this is.
    Home(i64, usize),
    /// It is about an inferior architecture; libsolv has these after all requests.
    Inferior(u32),
}

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
        if watched {
            let conflict = self.look_at_watches(failed, Since::Later, level);
            if conflict.is_some() {
                return conflict;
            }
        }
        let singles = universe.only_for.row(package);
        let mut lists = universe.in_clause_lists.row(package).iter();
        if lists.any(|list| self.may_follow(*list, singles)) {
            let conflict = self.follow_in_order(package, level);
            if conflict.is_some() {
                return conflict;
            }
        } else {
            for requirer in singles {
                let conflict = self.follow_single(*requirer, package, level);
                if conflict.is_some() {
                    return conflict;
                }
            }
        }
        if watched { self.look_at_watches(failed, Since::Beginning, level) } else { None }
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

    /// Draws the conclusions from lists, and from what requires nothing else than this package.
    #[inline(never)]
    fn follow_in_order(&mut self, package: u32, level: i32) -> Option<Clause> {
        let universe = self.universe;
        let only_for = universe.only_for.row(package);
        let mut due = std::mem::take(&mut self.exclude.due);
        due.clear();
        let singles = only_for.iter();
        due.extend(
            singles
                .filter(|requirer| self.decision[**requirer as usize] >= 0)
                .map(|requirer| Due { place: Place::Inferior(0), requirer: *requirer, list: NONE }),
        );
        let lists = universe.in_clause_lists.row(package).iter();
        for list in lists.filter(|list| self.may_follow(**list, only_for)) {
            let requirers = universe.requirers.row(*list).iter();
            let is_active = self.is_active(*list);
            let matters = |requirer: &&u32| {
                let decided = self.decision[**requirer as usize];
                decided > 0 || (decided == 0 && !is_active)
            };
            due.extend(requirers.filter(matters).map(|requirer| Due {
                place: Place::Inferior(0),
                requirer: *requirer,
                list: *list,
            }));
        }
        if due.len() > 1 {
            self.find_places();
            let quick = due.len() > MOST_DUE;
            for one in &mut due {
                one.place = self.place_of(package, one, quick);
            }
            due.sort_unstable_by_key(|one| one.place);
        }
        let mut conflict = None;
        for one in &due {
            conflict = if one.list == NONE {
                self.follow_single(one.requirer, package, level)
            } else {
                self.follow_list(one.requirer, one.list, package, level)
            };
            if conflict.is_some() {
                break;
            }
        }
        self.exclude.due = due;
        conflict
    }

    fn follow_list(
        &mut self,
        requirer: u32,
        list: u32,
        package: u32,
        level: i32,
    ) -> Option<Clause> {
        let members = self.universe.clause_lists.row(list);
        let is_active = self.is_active(list);
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
        if excluded_or_waiting < enough
            || (excluded < enough && !self.is_watched(members, package, is_active))
        {
            return None;
        }
        let clause = Clause::List { package: requirer, list };
        let decided = self.decision[requirer as usize];
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

    /// Whether a list watches a member whose exclusion is being followed up, while that of others still waits: libsolv
    /// looks at the first member that it has not seen excluded yet, and when the requirer is installed at the next one, too.
    fn is_watched(&self, members: &[u32], package: u32, is_active: bool) -> bool {
        let waiting = &self.trail[self.head..];
        let unseen = members.iter().filter(|member| {
            **member == package
                || self.decision[**member as usize] == 0
                || waiting.iter().any(|decided| decided.literal == -positive(**member))
        });
        unseen.take(1 + usize::from(is_active)).any(|member| *member == package)
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
        if list == NONE && universe.is_bound(requirer, package) {
            return Place::Inferior(requirer);
        }
        let clause = if list == NONE { SINGLE | package } else { list };
        let clauses = if quick { &[] } else { universe.clauses.row(requirer) };
        let index = clauses.iter().position(|c| *c == clause).unwrap_or(clauses.len());
        let since = if list == NONE {
            None
        } else if quick || universe.clause_lists.row(list).len() > MOST_MEMBERS {
            self.watched_about_since(requirer, list, package)
        } else {
            self.watched_since(requirer, list, package)
        };
        match since {
            None => Place::Home(backwards, index),
            // Each move turns the order round: who moves first is looked at last.
            Some((time, moves)) if moves % 2 == 0 => {
                Place::Later(-i64::from(time), backwards, index as i64)
            }
            Some((time, _)) => Place::Later(-i64::from(time), -backwards, -(index as i64)),
        }
    }

    /// As [`Solver::watched_since`], but as if nothing but the requirer's installation had moved it.
    fn watched_about_since(&self, requirer: u32, list: u32, package: u32) -> Option<(u32, u32)> {
        let is_first = self.universe.clause_lists.row(list).first() == Some(&package);
        let is_installed = self.decision[requirer as usize] > 0;
        let time = if is_installed { self.exclude.places[requirer as usize] } else { 0 };
        (!is_first).then_some((time, 1))
    }

    /// Since when libsolv's clause of a requirer and a list would have watched a member, as a place in the trail, and after
    /// how many moves; `None` if it has from the beginning, when it watches the requirer and the first member.
    fn watched_since(&mut self, requirer: u32, list: u32, package: u32) -> Option<(u32, u32)> {
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
        let mut since = [None; 2];
        for (time, decided) in &events {
            let which = usize::from(*decided == requirer || watched[1] == *decided);
            if which == 0 && watched[0] != *decided {
                continue;
            }
            let other = watched[1 - which];
            let mut free = members.iter().zip(&fails_from);
            if let Some((next, _)) = free.find(|(m, from)| **m != other && *from > time) {
                watched[which] = *next;
                since[which] = Some((*time, since[which].map_or(1, |(_, moves)| moves + 1)));
            }
        }
        self.exclude.events = events;
        self.exclude.fails_from = fails_from;
        since[usize::from(watched[1] == package)]
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
