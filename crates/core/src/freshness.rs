//! Why what is known of a collection may be stale, in the words that operators read.

use std::fmt;

use chrono::{DateTime, TimeDelta, Utc};

/// Without a look at Koji for so long, the repo-resolver is not at work.
const LOOKS_EVERY: TimeDelta = TimeDelta::minutes(15);

/// A repo of this age is worth a word: something keeps Koji from making newer ones, or nobody changes anything.
const OLD: TimeDelta = TimeDelta::hours(24);

/// What is known of a collection's newest repo.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Facts<'a> {
    /// Whether the build group can be installed from the repo that was resolved last; `None` when there was none.
    pub resolved: Option<bool>,
    /// One problem of the build group.
    pub problem: Option<&'a str>,
    /// The last time that Koji told which repo is the newest.
    pub looked: Option<DateTime<Utc>>,
    /// When Koji made that one.
    pub repo_made: Option<DateTime<Utc>>,
    /// What keeps the repo-resolver from being up to date, and since when.
    pub trouble: Option<(&'a str, DateTime<Utc>)>,
    /// How many packages are still to be resolved in the repo.
    pub waiting: i64,
}

/// A reason why a collection may be stale.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stale {
    /// No service has looked at it.
    NeverLooked,
    /// No service looks at it any more.
    NotLooking {
        /// Since then.
        since: DateTime<Utc>,
    },
    /// Something goes wrong: Koji is away, the tag is gone, a repo cannot be fetched.
    Trouble {
        /// What.
        what: String,
        /// Since then.
        since: DateTime<Utc>,
    },
    /// The build group cannot be installed, so no package is resolved in the newest repo.
    BuildGroupBroken {
        /// One problem of it.
        problem: Option<String>,
    },
    /// Packages are still to be resolved in the newest repo.
    Waiting {
        /// So many.
        packages: i64,
    },
    /// Koji has made no newer repo for long.
    OldRepo {
        /// Since then.
        made: DateTime<Utc>,
    },
}

/// Every reason why a collection may be stale, what weighs most first; none when it is up to date.
pub fn reasons(facts: &Facts<'_>, now: DateTime<Utc>) -> Vec<Stale> {
    let mut reasons = Vec::new();
    match (facts.trouble, facts.looked) {
        (Some((what, since)), _) => reasons.push(Stale::Trouble { what: what.to_owned(), since }),
        (None, None) => reasons.push(Stale::NeverLooked),
        (None, Some(looked)) if now - looked > LOOKS_EVERY => {
            reasons.push(Stale::NotLooking { since: looked });
        }
        (None, Some(_)) => {}
    }
    if facts.resolved == Some(false) {
        let problem = facts.problem.map(str::to_owned);
        reasons.push(Stale::BuildGroupBroken { problem });
    }
    if facts.waiting > 0 {
        reasons.push(Stale::Waiting { packages: facts.waiting });
    }
    if let Some(made) = facts.repo_made.filter(|made| now - *made > OLD) {
        reasons.push(Stale::OldRepo { made });
    }
    reasons
}

impl Stale {
    /// The reason in one word, for monitoring.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::NeverLooked => "never_looked",
            Self::NotLooking { .. } => "not_looking",
            Self::Trouble { .. } => "trouble",
            Self::BuildGroupBroken { .. } => "build_group_broken",
            Self::Waiting { .. } => "waiting",
            Self::OldRepo { .. } => "old_repo",
        }
    }
}

impl fmt::Display for Stale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = |time: &DateTime<Utc>| time.format("%Y-%m-%d %H:%M UTC").to_string();
        match self {
            Self::NeverLooked => {
                f.write_str("repo-resolver has not looked at it yet: is the service running?")
            }
            Self::NotLooking { since } => write!(
                f,
                "repo-resolver has not looked at it since {}: is the service running?",
                time(since)
            ),
            Self::Trouble { what, since } => write!(f, "since {}: {what}", time(since)),
            Self::BuildGroupBroken { problem: Some(problem) } => write!(
                f,
                "the build group cannot be installed, so no package is resolved: {problem}"
            ),
            Self::BuildGroupBroken { problem: None } => {
                f.write_str("the build group cannot be installed, so no package is resolved")
            }
            Self::Waiting { packages: 1 } => {
                f.write_str("1 package is still to be resolved in this repo")
            }
            Self::Waiting { packages } => {
                write!(f, "{packages} packages are still to be resolved in this repo")
            }
            Self::OldRepo { made } => {
                write!(f, "Koji has made no newer repo since {}", time(made))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeZone;

    fn at(hour: u32, minute: u32) -> DateTime<Utc> {
        Utc.with_ymd_and_hms(2026, 11, 2, hour, minute, 0).unwrap()
    }

    fn fresh() -> Facts<'static> {
        Facts {
            resolved: Some(true),
            looked: Some(at(11, 58)),
            repo_made: Some(at(9, 0)),
            ..Facts::default()
        }
    }

    fn texts(facts: &Facts<'_>) -> Vec<String> {
        reasons(facts, at(12, 0)).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_collection_that_is_up_to_date_has_no_reason() {
        assert_eq!(texts(&fresh()), [""; 0]);
    }

    #[test]
    fn each_reason_is_a_sentence() {
        assert_eq!(
            texts(&Facts { looked: None, resolved: None, repo_made: None, ..fresh() }),
            ["repo-resolver has not looked at it yet: is the service running?"]
        );
        assert_eq!(
            texts(&Facts { looked: Some(at(11, 30)), ..fresh() }),
            [
                "repo-resolver has not looked at it since 2026-11-02 11:30 UTC: is the service running?"
            ]
        );
        assert_eq!(
            texts(&Facts {
                trouble: Some(("the hub is away", at(10, 0))),
                looked: None,
                ..fresh()
            }),
            ["since 2026-11-02 10:00 UTC: the hub is away"]
        );
        assert_eq!(
            texts(&Facts { resolved: Some(false), problem: Some("nothing provides x"), ..fresh() }),
            ["the build group cannot be installed, so no package is resolved: nothing provides x"]
        );
        assert_eq!(
            texts(&Facts { waiting: 3, ..fresh() }),
            ["3 packages are still to be resolved in this repo"]
        );
        let yesterday = at(12, 0) - TimeDelta::hours(25);
        assert_eq!(
            texts(&Facts { repo_made: Some(yesterday), ..fresh() }),
            ["Koji has made no newer repo since 2026-11-01 11:00 UTC"]
        );
    }
}
