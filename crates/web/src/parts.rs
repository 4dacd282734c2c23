//! The small pieces that pages are made of: state marks, times, names, tables of changes. Each is a type with a template of
//! its own, so that there is one place that decides how it looks.

use std::borrow::Borrow;

use askama::Template;
use askama::filters::HtmlSafe;
use chrono::{DateTime, SecondsFormat, Utc};
use koschei_core::states::{BuildState, PackageState};
use koschei_db::pages::ChangeRow;

use crate::address::Addresses;
use crate::evr::{Change, Distance};
use crate::text::Clock;

/// A state: colour, shape and word.
#[derive(Debug, Clone, Copy, Template)]
#[template(path = "part/mark.html")]
pub(crate) struct Mark {
    class: &'static str,
    shape: &'static str,
    word: &'static str,
}

/// A state without its word, for places where the word stands beside it anyway.
#[derive(Debug, Clone, Copy, Template)]
#[template(path = "part/icon.html")]
pub(crate) struct Icon {
    /// Colour class.
    pub(crate) class: &'static str,
    /// Symbol.
    pub(crate) shape: &'static str,
}

/// The hidden field that proves that a form comes from us.
#[derive(Debug, Clone, Copy, Template)]
#[template(path = "part/token.html")]
pub(crate) struct Token<'a> {
    /// The token of the session.
    pub(crate) token: &'a str,
}

/// A point in time as a short text.
#[derive(Debug, Clone, Template)]
#[template(path = "part/moment.html")]
pub(crate) struct Moment {
    machine: String,
    text: String,
}

/// A name that may break after hyphens when it is long.
#[derive(Debug, Clone, Template)]
#[template(path = "part/name.html")]
pub(crate) struct Name<'a> {
    pieces: Vec<&'a str>,
}

/// A table of changed dependencies.
#[derive(Debug, Clone, Template)]
#[template(path = "part/changes.html")]
pub(crate) struct Changes {
    caption: &'static str,
    rows: Vec<ChangeLine>,
}

/// Changed dependencies as a short list inside the history.
#[derive(Debug, Clone, Template)]
#[template(path = "part/change_list.html")]
pub(crate) struct ChangeList {
    rows: Vec<ChangeLine>,
    more: i64,
    all: String,
}

/// One row: the change and where its name leads.
#[derive(Debug, Clone)]
struct ChangeLine {
    change: Change,
    href: Option<String>,
}

impl HtmlSafe for Mark {}
impl HtmlSafe for Icon {}
impl HtmlSafe for Token<'_> {}
impl HtmlSafe for Moment {}
impl HtmlSafe for Name<'_> {}
impl HtmlSafe for Changes {}
impl HtmlSafe for ChangeList {}

/// Colour class of a state.
pub(crate) fn class(state: impl Borrow<PackageState>) -> &'static str {
    match state.borrow() {
        PackageState::Ok => "ok",
        PackageState::Failing => "failing",
        PackageState::Unresolved => "unresolved",
        PackageState::Unknown | PackageState::Untracked | PackageState::Blocked => "",
    }
}

impl Mark {
    /// The state of a package.
    pub(crate) fn state(state: PackageState) -> Self {
        Self { class: class(state), shape: state.word(), word: state.word() }
    }

    /// A build is running.
    pub(crate) fn running() -> Self {
        Self { class: "running", shape: "running", word: "running" }
    }

    /// A build is running, beside a state.
    pub(crate) fn running_too() -> Self {
        Self { class: "too running", ..Self::running() }
    }

    /// The outcome of a build.
    pub(crate) fn build(state: Option<BuildState>) -> Self {
        match state {
            Some(BuildState::Running) => {
                Self { class: "running", shape: "running", word: "running" }
            }
            Some(BuildState::Complete) => Self { class: "ok", shape: "ok", word: "complete" },
            Some(BuildState::Failed) => Self { class: "failing", shape: "failing", word: "failed" },
            None => Self { class: "", shape: "unknown", word: "unknown" },
        }
    }

    /// The state of a Koji task, by Koji's number.
    pub(crate) fn task(state: i32) -> Self {
        match state {
            0 => Self { class: "", shape: "unknown", word: "waiting" },
            1 => Self { class: "running", shape: "running", word: "running" },
            2 => Self { class: "ok", shape: "ok", word: "complete" },
            3 => Self { class: "", shape: "blocked", word: "canceled" },
            4 => Self { class: "running", shape: "running", word: "assigned" },
            5 => Self { class: "failing", shape: "failing", word: "failed" },
            _ => Self { class: "", shape: "unknown", word: "unknown" },
        }
    }
}

impl Icon {
    /// The state of a package.
    pub(crate) fn state(state: PackageState) -> Self {
        Self { class: class(state), shape: state.word() }
    }

    /// The outcome of a build.
    pub(crate) fn build(state: Option<BuildState>) -> Self {
        let mark = Mark::build(state);
        Self { class: mark.class, shape: mark.shape }
    }
}

impl Moment {
    /// A span of days: `3 Sep to 2 Nov`; one of them when it is the same day. For machines it is its end.
    pub(crate) fn days(clock: &Clock, from: DateTime<Utc>, to: DateTime<Utc>) -> Self {
        let (first, last) = (clock.day(from), clock.day(to));
        let text = if first == last { last } else { format!("{first} to {last}") };
        Self { text, ..Self::short(clock, to) }
    }

    /// For tables.
    pub(crate) fn short(clock: &Clock, time: DateTime<Utc>) -> Self {
        Self { machine: machine(time), text: clock.short(time) }
    }

    /// For sentences.
    pub(crate) fn long(clock: &Clock, time: DateTime<Utc>) -> Self {
        Self { machine: machine(time), text: clock.long(time) }
    }
}

fn machine(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}

impl<'a> Name<'a> {
    /// A name of anything.
    pub(crate) fn new(name: &'a str) -> Self {
        Self { pieces: crate::text::pieces(name) }
    }
}

fn lines(rows: &[ChangeRow], addresses: &Addresses, collection: &str) -> Vec<ChangeLine> {
    rows.iter()
        .map(|row| {
            let change = Change::new(row);
            let href = change.interval.as_ref().map(|interval| {
                addresses.to(&format!(
                    "/affected-by/{}{interval}&collection={}",
                    crate::address::encode(&change.name),
                    crate::address::encode(collection)
                ))
            });
            ChangeLine { change, href }
        })
        .collect()
}

impl Changes {
    /// A table of these rows.
    pub(crate) fn new(
        caption: &'static str,
        rows: &[ChangeRow],
        addresses: &Addresses,
        collection: &str,
    ) -> Self {
        Self { caption, rows: lines(rows, addresses, collection) }
    }
}

impl ChangeList {
    /// A list of these rows of a build, which has `total` of them; the rest is on the build's page.
    pub(crate) fn new(
        rows: &[ChangeRow],
        total: i64,
        all: String,
        addresses: &Addresses,
        collection: &str,
    ) -> Self {
        let rows = lines(rows, addresses, collection);
        let more = total - i64::try_from(rows.len()).unwrap_or(total);
        Self { rows, more, all }
    }
}
