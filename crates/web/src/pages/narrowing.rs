//! How a table of packages is narrowed: by state, running builds, when the state began, priority and group. All of it
//! stands in the address; the chips above a table are links to other addresses.

use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, Utc};
use koschei_core::states::PackageState;
use koschei_db::pages::{Changed, Counts, Filter, GroupPage, PackageSet, Scope};

use crate::error::Error;
use crate::pages::groups;
use crate::parts::Mark;
use crate::request::Ask;
use crate::site::{Frame, Site};
use crate::text::{self, Clock};

/// Parameters that narrow a table, whatever it is about.
pub(crate) const ALL: [&str; 7] =
    ["state", "running", "since", "longer", "priority", "untracked", "group"];

/// Parameters of the first row of chips, of which one choice holds.
const OF_STATE: [&str; 4] = ["state", "running", "priority", "untracked"];

/// Groups that are offered; the page of groups has all.
const GROUPS: usize = 6;

/// Choices of when the state began: parameter, value, words.
const SPANS: [(&str, &str, &str); 4] = [
    ("since", "1d", "last day"),
    ("since", "7d", "last week"),
    ("since", "30d", "last month"),
    ("longer", "365d", "over a year ago"),
];

/// A row of filters above a table.
pub(crate) struct Row {
    pub(crate) label: &'static str,
    pub(crate) chips: Vec<Chip>,
}

/// A filter above a table.
pub(crate) struct Chip {
    pub(crate) mark: Option<Mark>,
    pub(crate) label: String,
    pub(crate) count: Option<String>,
    pub(crate) href: String,
    pub(crate) current: bool,
}

/// What a table is narrowed to.
pub(crate) struct Narrowing {
    pub(crate) scope: Scope,
    now: DateTime<Utc>,
    threshold: f64,
}

/// The query of a request without some parameters, and from the first page on.
pub(crate) fn without(ask: &Ask, names: &[&str]) -> String {
    let mut bare = ask.clone();
    bare.pairs.retain(|(key, _)| !names.contains(&key.as_str()));
    bare.with("page", None)
}

fn filter(ask: &Ask) -> Filter {
    if ask.flag("running") {
        return Filter::Running;
    }
    let state = ask.value("state").unwrap_or_default();
    PackageState::ALL
        .into_iter()
        .find(|known| known.word() == state && *known != PackageState::Blocked)
        .map_or(Filter::Any, Filter::State)
}

/// Reads a span back from now (`12h`, `7d`) or a day (`2026-11-20`).
fn time(text: &str, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let number = |digits: &str| digits.parse::<u16>().ok().map(i64::from);
    if let Some(days) = text.strip_suffix('d') {
        return now.checked_sub_signed(TimeDelta::days(number(days)?));
    }
    if let Some(hours) = text.strip_suffix('h') {
        return now.checked_sub_signed(TimeDelta::hours(number(hours)?));
    }
    let day = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
    (1..=9999)
        .contains(&chrono::Datelike::year(&day))
        .then(|| day.and_time(NaiveTime::MIN).and_utc())
}

/// The parameters `since` and `longer`.
fn changed(ask: &Ask, now: DateTime<Utc>) -> Result<Changed, Error> {
    for (name, kind) in
        [("since", Changed::Since as fn(_) -> _), ("longer", Changed::Before as fn(_) -> _)]
    {
        if let Some(text) = ask.value(name).map(str::trim).filter(|text| !text.is_empty()) {
            return time(text, now).map(kind).ok_or_else(|| {
                Error::bad_request(
                    "The time of the change is none",
                    format!(
                        "Write days or hours back from now, as in {name}=7d or {name}=12h, or a day, as in \
                         {name}=2026-11-20."
                    ),
                )
            });
        }
    }
    Ok(Changed::AnyTime)
}

/// The parameter `priority`.
fn priority(ask: &Ask) -> Result<Option<f64>, Error> {
    match ask.value("priority").map(str::trim) {
        None | Some("") => Ok(None),
        Some(text) => match text.parse::<f64>() {
            Ok(least) if least.is_finite() => Ok(Some(least)),
            _ => Err(Error::bad_request(
                "The priority is not a number",
                "Leave out the parameter \u{201c}priority\u{201d}, or give the lowest one to be shown.",
            )),
        },
    }
}

impl Narrowing {
    /// What the address says.
    pub(crate) fn read(
        site: &Site,
        ask: &Ask,
        now: DateTime<Utc>,
        set: PackageSet,
    ) -> Result<Self, Error> {
        let scope = Scope {
            set,
            untracked: ask.flag("untracked"),
            filter: filter(ask),
            changed: changed(ask, now)?,
            priority: priority(ask)?,
            time: site.config.priorities.time_coefficients(),
        };
        Ok(Self { scope, now, threshold: site.config.priorities.build_threshold })
    }

    /// Whether it leaves packages out that are tracked.
    pub(crate) fn is_any(&self) -> bool {
        let scope = &self.scope;
        scope.filter != Filter::Any || scope.changed != Changed::AnyTime || scope.priority.is_some()
    }

    /// How many packages there are, where the counts by state tell it.
    pub(crate) fn counted(&self, counts: &Counts) -> Option<i64> {
        let untracked = self.scope.untracked;
        match self.scope.filter {
            Filter::Any if untracked => Some(counts.listed()),
            Filter::Any => Some(counts.tracked()),
            Filter::State(PackageState::Ok) => Some(counts.ok),
            Filter::State(PackageState::Failing) => Some(counts.failing),
            Filter::State(PackageState::Unresolved) => Some(counts.unresolved),
            Filter::State(PackageState::Unknown) => Some(counts.unknown),
            Filter::State(PackageState::Untracked) => Some(counts.untracked),
            Filter::State(PackageState::Blocked) => Some(0),
            Filter::Running if untracked => None,
            Filter::Running => Some(counts.running),
        }
    }

    /// The rows of chips, with numbers where they are known.
    pub(crate) fn rows(&self, ask: &Ask, frame: &Frame, counts: Option<&Counts>) -> Vec<Row> {
        vec![self.states(ask, frame, counts), self.spans(ask, frame)]
    }

    fn states(&self, ask: &Ask, frame: &Frame, counts: Option<&Counts>) -> Row {
        let path = frame.addresses.to(&ask.path);
        let bare = Ask { pairs: kept(ask, &OF_STATE), ..Ask::default() };
        let here = |name: &str, value: Option<&str>| format!("{path}{}", bare.with(name, value));
        let Scope { filter, untracked, priority, .. } = self.scope;
        let count = |number: fn(&Counts) -> i64| counts.map(|counts| text::count(number(counts)));
        let mut chips = vec![Chip {
            mark: None,
            label: "All".to_owned(),
            count: count(Counts::tracked),
            href: here("state", None),
            current: filter == Filter::Any && !untracked && priority.is_none(),
        }];
        for (state, number) in [
            (PackageState::Ok, counts.map(|counts| counts.ok)),
            (PackageState::Failing, counts.map(|counts| counts.failing)),
            (PackageState::Unresolved, counts.map(|counts| counts.unresolved)),
            (PackageState::Unknown, counts.map(|counts| counts.unknown)),
        ] {
            chips.push(Chip {
                mark: Some(Mark::state(state)),
                label: String::new(),
                count: number.map(text::count),
                href: here("state", Some(state.word())),
                current: filter == Filter::State(state),
            });
        }
        chips.push(Chip {
            mark: Some(Mark::running()),
            label: String::new(),
            count: count(|counts| counts.running),
            href: here("running", Some("1")),
            current: filter == Filter::Running,
        });
        let threshold = format!("{}", self.threshold);
        chips.push(Chip {
            mark: None,
            label: match priority.filter(|least| *least != self.threshold) {
                Some(least) => format!("priority from {least}"),
                None => "due for a build".to_owned(),
            },
            count: None,
            href: match priority {
                Some(least) => here("priority", Some(&least.to_string())),
                None => here("priority", Some(&threshold)),
            },
            current: priority.is_some(),
        });
        if counts.is_none_or(|counts| counts.untracked > 0) {
            chips.push(Chip {
                mark: None,
                label: "with untracked".to_owned(),
                count: count(Counts::listed),
                href: here("untracked", Some("1")),
                current: untracked && filter == Filter::Any,
            });
        }
        if filter == Filter::State(PackageState::Untracked) {
            chips.push(Chip {
                mark: Some(Mark::state(PackageState::Untracked)),
                label: String::new(),
                count: count(|counts| counts.untracked),
                href: here("state", Some("untracked")),
                current: true,
            });
        }
        Row { label: "State", chips }
    }

    fn spans(&self, ask: &Ask, frame: &Frame) -> Row {
        let path = frame.addresses.to(&ask.path);
        let bare = Ask { pairs: kept(ask, &["since", "longer"]), ..Ask::default() };
        let chip =
            |label: String, href, current| Chip { mark: None, label, count: None, href, current };
        let any = self.scope.changed == Changed::AnyTime;
        let mut chips =
            vec![chip("any time".to_owned(), format!("{path}{}", bare.with("since", None)), any)];
        for (name, value, words) in SPANS {
            let current = !any && ask.value(name) == Some(value);
            let href = format!("{path}{}", bare.with(name, Some(value)));
            chips.push(chip(words.to_owned(), href, current));
        }
        if !any && !chips.iter().any(|chip| chip.current) {
            let clock = Clock { now: self.now };
            let words = match self.scope.changed {
                Changed::Since(time) => format!("since {}", clock.long(time)),
                Changed::Before(time) => format!("before {}", clock.long(time)),
                Changed::AnyTime => String::new(),
            };
            chips.push(chip(words, format!("{path}{}", ask.with("page", None)), true));
        }
        Row { label: "Changed", chips }
    }

    /// That there is nothing of this kind, as a sentence without its stop.
    pub(crate) fn nothing(&self, what: &str, place: &str) -> String {
        let clock = Clock { now: self.now };
        let due = if self.scope.priority.is_some() { " and has such a priority" } else { "" };
        match (self.scope.filter, self.scope.changed) {
            (Filter::State(state), Changed::AnyTime) => {
                format!("No {what} is {state} in {place}{due}")
            }
            (Filter::State(state), Changed::Since(time)) => {
                format!("No {what} turned {state} in {place} since {}{due}", clock.long(time))
            }
            (Filter::State(state), Changed::Before(time)) => {
                format!("No {what} is {state} in {place} since before {}{due}", clock.long(time))
            }
            (Filter::Running, Changed::AnyTime) => {
                format!("No build of a {what} is running in {place}{due}")
            }
            (Filter::Any, Changed::AnyTime) if !due.is_empty() => {
                format!("No {what} in {place} has such a priority")
            }
            (Filter::Any, Changed::AnyTime) if self.scope.untracked => {
                format!("There is no {what} in {place}")
            }
            (Filter::Any, Changed::AnyTime) => format!("No {what} is tracked in {place}"),
            (Filter::Any | Filter::Running, Changed::Since(time)) => {
                format!("No such {what} in {place} changed its state since {}", clock.long(time))
            }
            (Filter::Any | Filter::Running, Changed::Before(time)) => {
                format!("Every such {what} in {place} changed its state since {}", clock.long(time))
            }
        }
    }
}

/// The parameters of a request but for some.
fn kept(ask: &Ask, but: &[&str]) -> Vec<(String, String)> {
    ask.pairs.iter().filter(|(key, _)| !but.contains(&key.as_str())).cloned().collect()
}

/// The group that the parameter `group` names, if it names one.
pub(crate) async fn group(site: &Site, ask: &Ask) -> Result<Option<GroupPage>, Error> {
    match ask.value("group").map(str::trim).filter(|group| !group.is_empty()) {
        Some(name) => groups::find_named(site, name).await.map(Some),
        None => Ok(None),
    }
}

/// The row of groups: the largest global ones, and the one that was chosen. `None` where there is no group at all.
pub(crate) async fn groups(site: &Site, ask: &Ask, frame: &Frame) -> Result<Option<Row>, Error> {
    let chosen = ask.value("group").map(str::trim).filter(|group| !group.is_empty());
    let known = site.groups().await?;
    if known.is_empty() && chosen.is_none() {
        return Ok(None);
    }
    let path = frame.addresses.to(&ask.path);
    let bare = Ask { pairs: kept(ask, &["group"]), ..Ask::default() };
    let mut largest: Vec<_> = known.iter().collect();
    largest.sort_by_key(|group| std::cmp::Reverse(group.packages));
    let mut names: Vec<&str> =
        largest.iter().take(GROUPS).map(|group| group.name.as_str()).collect();
    if let Some(chosen) = chosen
        && !names.contains(&chosen)
    {
        names.insert(0, chosen);
    }
    let chip = |label: &str, query: String, current| Chip {
        mark: None,
        label: label.to_owned(),
        count: None,
        href: format!("{path}{query}"),
        current,
    };
    let mut chips = vec![chip("any", bare.with("group", None), chosen.is_none())];
    chips.extend(
        names.iter().map(|name| chip(name, bare.with("group", Some(name)), chosen == Some(*name))),
    );
    if known.len() > GROUPS {
        chips.push(Chip {
            mark: None,
            label: "more\u{2026}".to_owned(),
            count: None,
            href: frame.addresses.to("/groups"),
            current: false,
        });
    }
    Ok(Some(Row { label: "Group", chips }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_spans_back_from_now_or_days() {
        let now: DateTime<Utc> = "2026-11-22T13:00:00Z".parse().expect("a time");
        let read = |text| time(text, now).map(|time| time.to_rfc3339());
        assert_eq!(read("7d").as_deref(), Some("2026-11-15T13:00:00+00:00"));
        assert_eq!(read("12h").as_deref(), Some("2026-11-22T01:00:00+00:00"));
        assert_eq!(read("2026-11-20").as_deref(), Some("2026-11-20T00:00:00+00:00"));
        for wrong in ["", "d", "-1d", "70000d", "2026-13-01", "now", "+99999-01-01", "1w"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
