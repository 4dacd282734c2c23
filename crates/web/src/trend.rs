//! How many packages of a collection were failing and unresolved on each of the last days.
//!
//! Nobody counts them every day. But what a package is now is known, and so is everything that happened to it; so its
//! state on each day before follows by going back. Packages that are not tracked any more are left out on all days.

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use koschei_core::states::PackageState;
use koschei_db::pages::Turn;

/// Days that are shown.
pub(crate) const DAYS: i64 = 30;

/// The counts at the end of a day; of today, now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Day {
    /// The day.
    pub(crate) day: NaiveDate,
    /// Packages that failed.
    pub(crate) failing: i64,
    /// Packages whose dependencies could not be installed.
    pub(crate) unresolved: i64,
}

fn word(resolved: Option<bool>, built: Option<i32>) -> PackageState {
    crate::pages::state(false, true, resolved, built)
}

/// The state of a package at a time, from its turns in their order.
fn at(turns: &[Turn], time: DateTime<Utc>) -> PackageState {
    let Some(first) = turns.first() else {
        return PackageState::Unknown;
    };
    let done = || turns.iter().take_while(|turn| turn.at <= time);
    let to_come = || turns.iter().skip_while(|turn| turn.at <= time);
    let built = done().filter_map(|turn| turn.build).last().or(first.built_before);
    // Before the first look at a package nothing was known of its dependencies, and its builds alone tell how it was.
    let resolved = match done().filter_map(|turn| turn.became_resolved).last() {
        Some(resolved) => Some(resolved),
        None if to_come().any(|turn| turn.became_resolved.is_some()) => first.resolved_before,
        None => first.resolved,
    };
    word(resolved, built)
}

/// The counts of each day, oldest first, from how many there are now and what happened since.
pub(crate) fn days(now: DateTime<Utc>, failing: i64, unresolved: i64, turns: &[Turn]) -> Vec<Day> {
    let today = now.date_naive();
    let mut days: Vec<Day> = (0..DAYS)
        .rev()
        .map(|back| Day { day: today - TimeDelta::days(back), failing, unresolved })
        .collect();
    for turns in turns.chunk_by(|a, b| a.package_id == b.package_id) {
        let Some(first) = turns.first() else { continue };
        let current = word(first.resolved, first.built);
        for day in &mut days {
            if day.day == today {
                continue;
            }
            let end = (day.day + TimeDelta::days(1)).and_time(chrono::NaiveTime::MIN).and_utc();
            let then = at(turns, end);
            let differs = |state| i64::from(then == state) - i64::from(current == state);
            day.failing += differs(PackageState::Failing);
            day.unresolved += differs(PackageState::Unresolved);
        }
    }
    for day in &mut days {
        // What was counted a moment before or after the rest must not show as less than nothing.
        (day.failing, day.unresolved) = (day.failing.max(0), day.unresolved.max(0));
    }
    days
}

/// The picture: lines in a space of 1000 by 100 units that is stretched to the place there is, and what it says.
pub(crate) struct Chart {
    pub(crate) failing: String,
    pub(crate) unresolved: String,
    /// The highest value, and the middle of the scale.
    pub(crate) scale: [String; 2],
    pub(crate) first: String,
    pub(crate) last: String,
    pub(crate) says: String,
    pub(crate) days: Vec<Day>,
}

/// A round number that is not below this one.
fn round_up(number: i64) -> i64 {
    let mut step = 1;
    loop {
        for factor in [1, 2, 4, 5, 8] {
            if number <= step * factor * 2 {
                return step * factor * 2;
            }
        }
        step *= 10;
    }
}

impl Chart {
    /// A chart of these days; `None` when there is nothing to see on any of them.
    pub(crate) fn new(days: &[Day]) -> Option<Self> {
        let most = days.iter().map(|day| day.failing.max(day.unresolved)).max()?;
        let (first, last) = (days.first()?, days.last()?);
        if most == 0 {
            return None;
        }
        // With room above the highest line, where the scale says its highest value.
        let top = round_up(most + most / 5 + 1);
        let line = |value: fn(&Day) -> i64| {
            let points: Vec<String> = days
                .iter()
                .enumerate()
                .map(|(index, day)| {
                    let x = index * 1000 / (days.len() - 1).max(1);
                    let y = 100.0 - value(day) as f64 * 100.0 / top as f64;
                    format!("{}{x} {y:.1}", if index == 0 { "M" } else { "L" })
                })
                .collect();
            points.join("")
        };
        let went = |from: i64, to: i64| {
            let (from, to) = (crate::text::count(from), crate::text::count(to));
            if from == to { format!("is {to} again") } else { format!("went from {from} to {to}") }
        };
        Some(Self {
            failing: line(|day| day.failing),
            unresolved: line(|day| day.unresolved),
            scale: [crate::text::count(top), crate::text::count(top / 2)],
            first: first.day.format("%-d %b").to_string(),
            last: last.day.format("%-d %b").to_string(),
            says: format!(
                "In {} days failing {}; unresolved {}.",
                days.len(),
                went(first.failing, last.failing),
                went(first.unresolved, last.unresolved)
            ),
            days: days.to_vec(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> DateTime<Utc> {
        text.parse().expect("a time")
    }

    fn turn(package_id: i32, at: &str) -> Turn {
        Turn {
            package_id,
            resolved: Some(true),
            built: Some(5),
            built_before: Some(3),
            resolved_before: Some(true),
            at: time(at),
            build: None,
            became_resolved: None,
        }
    }

    #[test]
    fn the_past_follows_from_now_and_what_happened() {
        let now = time("2026-11-22T12:00:00Z");
        let build = |at, state| Turn { build: Some(state), ..turn(1, at) };
        let resolved = |at, outcome| Turn { became_resolved: Some(outcome), ..turn(1, at) };
        let turns = [
            // It failed on the 15th, could not be resolved from the 17th to the 19th, and fails again.
            build("2026-11-15T08:00:00Z", 5),
            resolved("2026-11-17T23:59:00Z", false),
            resolved("2026-11-19T00:01:00Z", true),
            build("2026-11-20T08:00:00Z", 3),
            build("2026-11-22T08:00:00Z", 5),
            // Another one is ok since today.
            Turn {
                built: Some(3),
                built_before: Some(5),
                build: Some(3),
                ..turn(2, "2026-11-22T09:00:00Z")
            },
        ];
        let days = days(now, 1, 0, &turns);
        let of = |day: u32| {
            let day = NaiveDate::from_ymd_opt(2026, 11, day).expect("a day");
            days.iter().find(|one| one.day == day).map(|one| (one.failing, one.unresolved))
        };
        assert_eq!(of(14), Some((1, 0)), "the other one");
        assert_eq!(of(15), Some((2, 0)));
        assert_eq!(of(17), Some((1, 1)));
        assert_eq!(of(18), Some((1, 1)));
        assert_eq!(of(19), Some((2, 0)));
        assert_eq!(of(20), Some((1, 0)));
        assert_eq!(of(22), Some((1, 0)));
        assert_eq!(days.len(), 30);
    }

    #[test]
    fn a_package_at_which_nobody_had_looked_was_not_unresolved() {
        let looked = Turn {
            built: Some(3),
            resolved_before: None,
            became_resolved: Some(true),
            ..turn(1, "2026-11-21T08:00:00Z")
        };
        let now = time("2026-11-22T12:00:00Z");
        let none = days(now, 0, 0, std::slice::from_ref(&looked));
        assert!(none.iter().all(|day| (day.failing, day.unresolved) == (0, 0)), "{none:?}");
        // What had been looked at was what had come out.
        let was = Turn { resolved_before: Some(false), ..looked };
        let counts: Vec<_> =
            days(now, 0, 0, &[was]).iter().rev().map(|day| day.unresolved).collect();
        assert_eq!(counts[..3], [0, 0, 1]);
        assert_eq!(counts[29], 1);
    }

    #[test]
    fn a_new_package_was_in_no_state_before() {
        let new = |at, became_resolved| Turn {
            built_before: None,
            resolved_before: None,
            became_resolved,
            ..turn(1, at)
        };
        let turns = [
            new("2026-11-20T08:00:00Z", Some(true)),
            Turn { build: Some(5), ..new("2026-11-21T08:00:00Z", None) },
        ];
        let days = days(time("2026-11-22T12:00:00Z"), 1, 0, &turns);
        let counts: Vec<_> = days.iter().rev().map(|day| (day.failing, day.unresolved)).collect();
        assert_eq!(counts[..4], [(1, 0), (1, 0), (0, 0), (0, 0)]);
        assert!(counts[4..].iter().all(|count| *count == (0, 0)));
    }

    #[test]
    fn a_chart_has_a_scale_of_round_numbers_and_says_what_it_shows() {
        let day = |day, failing| Day {
            day: NaiveDate::from_ymd_opt(2026, 11, day).expect("a day"),
            failing,
            unresolved: 3,
        };
        let chart = Chart::new(&[day(1, 0), day(2, 7), day(3, 9)]).expect("a chart");
        assert_eq!(chart.scale, ["16", "8"]);
        assert_eq!(chart.failing, "M0 100.0L500 56.2L1000 43.8");
        assert_eq!(chart.says, "In 3 days failing went from 0 to 9; unresolved is 3 again.");
        assert!(Chart::new(&[Day { unresolved: 0, ..day(1, 0) }]).is_none());
        assert_eq!([1, 3, 11, 1449, 20000].map(round_up), [2, 4, 16, 1600, 20000]);
    }
}
