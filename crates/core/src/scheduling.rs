//! Why a package cannot be scheduled (spec/services.md, section 2).
//!
//! A package without any of these reasons has a current priority; with one it has none, and
//! people are told which.

use std::fmt;
use std::time::Duration;

use chrono::{DateTime, Utc};

/// Why a package has no current priority.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reason {
    /// Koji blocks the package.
    Blocked,
    /// Koschei does not track the package.
    NotTracked,
    /// Its last build is still running.
    BuildRunning,
    /// Its dependencies cannot be installed.
    Unresolved,
    /// Its dependencies were not looked at yet.
    NotResolvedYet,
    /// The build group of the collection cannot be installed.
    BuildGroupUnresolved,
    /// The build group of the collection was not looked at yet.
    BuildGroupNotResolvedYet,
    /// No build of the package is known, so there is nothing to build again.
    NoKnownBuild,
    /// The scheduler found no source package in Koji.
    NoSrpm,
    /// The package can be built on none of the configured architectures.
    NoAllowedArchitecture,
    /// Its last builds ended with trouble of Koji, so the next one waits.
    KojiTrouble,
    /// Its last build was cancelled by hand, so the next one waits.
    Cancelled,
}

impl Reason {
    /// The text shown to people.
    pub fn text(self) -> &'static str {
        match self {
            Self::Blocked => "Package is blocked in Koji",
            Self::NotTracked => "Package is not tracked",
            Self::BuildRunning => "Package has a running build",
            Self::Unresolved => "Package dependencies cannot be resolved",
            Self::NotResolvedYet => "Package dependencies were not resolved yet",
            Self::BuildGroupUnresolved => "Build group of the collection cannot be resolved",
            Self::BuildGroupNotResolvedYet => "Build group of the collection was not resolved yet",
            Self::NoKnownBuild => "Package has no known build",
            Self::NoSrpm => "No source package was found in Koji",
            Self::NoAllowedArchitecture => "Package is built for no allowed architecture",
            Self::KojiTrouble => "Last builds ended with trouble of Koji, the next one waits",
            Self::Cancelled => {
                "Last build was cancelled, the next one waits unless the manual priority is raised"
            }
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

/// The reasons that only the scheduler finds out, with their numbers in the database
/// (`package.scheduler_skip_reason`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(i32)]
pub enum SkipReason {
    /// Koji knows no source package of the build to repeat.
    NoSrpm = 1,
    /// No architecture remains.
    NoAllowedArchitecture = 2,
}

impl SkipReason {
    /// The number in the database.
    pub fn number(self) -> i32 {
        self as i32
    }

    /// The reason with this number.
    pub fn from_number(number: i32) -> Option<Self> {
        match number {
            1 => Some(Self::NoSrpm),
            2 => Some(Self::NoAllowedArchitecture),
            _ => None,
        }
    }

    /// The same reason among all reasons.
    pub fn reason(self) -> Reason {
        match self {
            Self::NoSrpm => Reason::NoSrpm,
            Self::NoAllowedArchitecture => Reason::NoAllowedArchitecture,
        }
    }
}

/// What decides whether a package can be scheduled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SchedulingFacts {
    /// Koji blocks the package.
    pub blocked: bool,
    /// Koschei tracks the package.
    pub tracked: bool,
    /// Whether its dependencies can be installed; `None` when not known.
    pub resolved: Option<bool>,
    /// Somebody said that its dependencies need not be resolved first.
    pub skip_resolution: bool,
    /// Its last build that is not untagged.
    pub last_build_id: Option<i32>,
    /// Its last such build that is not running.
    pub last_complete_build_id: Option<i32>,
    /// What the scheduler found out, `package.scheduler_skip_reason`.
    pub skip_reason: Option<SkipReason>,
    /// Whether the collection's build group can be installed; `None` when not known.
    pub build_group_resolved: Option<bool>,
    /// Why the next build waits for a time, if it does.
    pub pause: Option<Pause>,
}

/// Why the next build of a package waits for a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pause {
    /// See [`pause_after_faults`].
    KojiTrouble,
    /// See [`PAUSE_AFTER_CANCEL`].
    Cancelled,
}

impl Pause {
    /// What `package.not_before` and `package.fault_streak` say at a time.
    pub fn at(
        now: DateTime<Utc>,
        not_before: Option<DateTime<Utc>>,
        fault_streak: i32,
    ) -> Option<Self> {
        not_before
            .filter(|time| *time > now)
            .map(|_| if fault_streak > 0 { Self::KojiTrouble } else { Self::Cancelled })
    }

    /// The same among all reasons.
    pub fn reason(self) -> Reason {
        match self {
            Self::KojiTrouble => Reason::KojiTrouble,
            Self::Cancelled => Reason::Cancelled,
        }
    }
}

/// Every reason why the package cannot be scheduled; empty when it can.
pub fn reasons(facts: &SchedulingFacts) -> Vec<Reason> {
    let mut reasons = Vec::new();
    if facts.blocked {
        reasons.push(Reason::Blocked);
    }
    if !facts.tracked {
        reasons.push(Reason::NotTracked);
    }
    match facts.last_build_id {
        None => reasons.push(Reason::NoKnownBuild),
        last if last != facts.last_complete_build_id => reasons.push(Reason::BuildRunning),
        Some(_) => {}
    }
    match facts.resolved {
        Some(true) => {}
        Some(false) => reasons.push(Reason::Unresolved),
        None if facts.skip_resolution => {}
        None => reasons.push(Reason::NotResolvedYet),
    }
    match facts.build_group_resolved {
        Some(true) => {}
        Some(false) => reasons.push(Reason::BuildGroupUnresolved),
        None => reasons.push(Reason::BuildGroupNotResolvedYet),
    }
    reasons.extend(facts.skip_reason.map(SkipReason::reason));
    reasons.extend(facts.pause.map(Pause::reason));
    reasons
}

/// How long the next build of a package waits after so many builds in a row that ended without a verdict on the
/// package, because Koji had problems of its own.
///
/// The specification is silent about it. Without a pause, the most urgent package would be submitted at every round for
/// as long as the trouble lasts, and for ever if it is the package that brings builders down. So: five minutes after the
/// first such build, twice as long after each further one, half a day at most; a build that ends with a verdict, or a
/// real build, ends it.
pub fn pause_after_faults(faults: u32) -> Duration {
    const FIRST: Duration = Duration::from_secs(5 * 60);
    const LONGEST: Duration = Duration::from_secs(12 * 3600);
    match faults {
        0 => Duration::ZERO,
        faults => FIRST.saturating_mul(2u32.saturating_pow(faults - 1)).min(LONGEST),
    }
}

/// How long the next build of a package waits after somebody had one cancelled.
///
/// The specification is silent about this, too. A cancelled build leaves nothing behind, so the package is as urgent as
/// before, and without a pause it would be submitted again at the next round, to the despair of whoever cancelled it. Six
/// hours are what passes by default until time alone counts for a package (`t0`). Whoever wants a build earlier raises the
/// manual priority, which ends the pause; so does a build that ends with a verdict, or a real build.
pub const PAUSE_AFTER_CANCEL: Duration = Duration::from_secs(6 * 3600);

/// The longest wait that a package can have, by how many builds in a row ended with trouble of Koji.
pub fn longest_pause(faults: u32) -> Duration {
    if faults == 0 { PAUSE_AFTER_CANCEL } else { pause_after_faults(faults) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FINE: SchedulingFacts = SchedulingFacts {
        blocked: false,
        tracked: true,
        resolved: Some(true),
        skip_resolution: false,
        last_build_id: Some(7),
        last_complete_build_id: Some(7),
        skip_reason: None,
        build_group_resolved: Some(true),
        pause: None,
    };

    #[test]
    fn a_package_that_is_fine_can_be_scheduled() {
        assert_eq!(reasons(&FINE), []);
    }

    #[test]
    fn each_reason_alone_is_told() {
        let cases = [
            (SchedulingFacts { blocked: true, ..FINE }, Reason::Blocked),
            (SchedulingFacts { tracked: false, ..FINE }, Reason::NotTracked),
            (SchedulingFacts { last_build_id: Some(8), ..FINE }, Reason::BuildRunning),
            (SchedulingFacts { last_complete_build_id: None, ..FINE }, Reason::BuildRunning),
            (SchedulingFacts { resolved: Some(false), ..FINE }, Reason::Unresolved),
            (SchedulingFacts { resolved: None, ..FINE }, Reason::NotResolvedYet),
            (
                SchedulingFacts { build_group_resolved: Some(false), ..FINE },
                Reason::BuildGroupUnresolved,
            ),
            (
                SchedulingFacts { build_group_resolved: None, ..FINE },
                Reason::BuildGroupNotResolvedYet,
            ),
            (
                SchedulingFacts { last_build_id: None, last_complete_build_id: None, ..FINE },
                Reason::NoKnownBuild,
            ),
            (SchedulingFacts { skip_reason: SkipReason::from_number(1), ..FINE }, Reason::NoSrpm),
            (
                SchedulingFacts { skip_reason: SkipReason::from_number(2), ..FINE },
                Reason::NoAllowedArchitecture,
            ),
            (SchedulingFacts { pause: Some(Pause::KojiTrouble), ..FINE }, Reason::KojiTrouble),
            (SchedulingFacts { pause: Some(Pause::Cancelled), ..FINE }, Reason::Cancelled),
        ];
        for (facts, reason) in cases {
            assert_eq!(reasons(&facts), [reason], "{facts:?}");
        }
    }

    #[test]
    fn the_pause_after_trouble_of_koji_doubles_up_to_half_a_day() {
        let minutes = |faults| pause_after_faults(faults).as_secs() / 60;
        assert_eq!([0, 1, 2, 3, 8, 9, u32::MAX].map(minutes), [0, 5, 10, 20, 640, 720, 720]);
    }

    #[test]
    fn a_pause_is_about_trouble_of_koji_if_there_was_any_and_about_a_cancelled_build_otherwise() {
        let now = DateTime::UNIX_EPOCH;
        let later = Some(now + chrono::TimeDelta::minutes(1));
        assert_eq!(Pause::at(now, later, 2), Some(Pause::KojiTrouble));
        assert_eq!(Pause::at(now, later, 0), Some(Pause::Cancelled));
        assert_eq!(Pause::at(now, Some(now), 0), None, "it is over");
        assert_eq!(Pause::at(now, None, 2), None);
    }

    #[test]
    fn skip_resolution_stands_in_for_a_resolution_that_is_not_known() {
        let facts = SchedulingFacts { resolved: None, skip_resolution: true, ..FINE };
        assert_eq!(reasons(&facts), []);
    }

    #[test]
    fn all_reasons_are_told_at_once() {
        let facts = SchedulingFacts { blocked: true, tracked: false, ..FINE };
        assert_eq!(reasons(&facts), [Reason::Blocked, Reason::NotTracked]);
    }
}
