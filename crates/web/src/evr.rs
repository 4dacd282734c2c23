//! How a changed dependency is shown: what was, what is, and where they differ.

use std::cmp::Ordering;

use koschei_db::pages::ChangeRow;

/// What happened to a dependency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    /// A newer version.
    Up,
    /// An older version.
    Down,
    /// Not there before.
    Added,
    /// Not there any more.
    Removed,
    /// The same version of another architecture.
    Same,
}

/// One side of a change, cut where it differs from the other side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Side {
    /// Equal beginning.
    pub(crate) head: String,
    /// The first segment that differs; empty when nothing does.
    pub(crate) differs: String,
    /// The rest.
    pub(crate) tail: String,
}

/// Distance of a change, as a box.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Distance {
    /// So many hops from the source package.
    Hops(i32),
    /// Part of every buildroot.
    Base,
    /// It vanished, so that there is no distance any more.
    Gone,
}

/// A changed dependency, ready to be shown.
#[derive(Debug, Clone)]
pub(crate) struct Change {
    /// Name of the dependency.
    pub(crate) name: String,
    /// Old side.
    pub(crate) from: Option<Side>,
    /// New side.
    pub(crate) to: Option<Side>,
    /// What happened.
    pub(crate) direction: Direction,
    /// How near it is.
    pub(crate) distance: Distance,
    /// Query of `/affected-by` for this change; changes with one side only have none.
    pub(crate) interval: Option<String>,
}

/// An EVR as text; an epoch of 0 is left out.
pub(crate) fn evr(epoch: Option<i32>, version: &str, release: &str) -> String {
    match epoch {
        None | Some(0) => format!("{version}-{release}"),
        Some(epoch) => format!("{epoch}:{version}-{release}"),
    }
}

/// Where two EVRs first differ: byte position of the segment's start in both. Segments are runs of
/// alphanumeric characters with `~` and `^` sticking to what follows.
fn difference(old: &str, new: &str) -> usize {
    let mut start = 0;
    for ((at, a), b) in old.char_indices().zip(new.chars()) {
        if a != b {
            return start;
        }
        if matches!(a, '.' | '-' | ':' | '_' | '+') {
            start = at + a.len_utf8();
        }
    }
    start
}

fn side(text: &str, at: usize) -> Side {
    let (head, rest) = text.split_at_checked(at).unwrap_or((text, ""));
    let end = rest.find(['.', '-', ':', '_', '+']).unwrap_or(rest.len());
    let (differs, tail) = rest.split_at(end);
    Side { head: head.to_owned(), differs: differs.to_owned(), tail: tail.to_owned() }
}

impl Change {
    /// From a row of the database.
    pub(crate) fn new(row: &ChangeRow) -> Self {
        let old = row.prev_version.as_deref().zip(row.prev_release.as_deref());
        let new = row.curr_version.as_deref().zip(row.curr_release.as_deref());
        let old_text = old.map(|(version, release)| evr(row.prev_epoch, version, release));
        let new_text = new.map(|(version, release)| evr(row.curr_epoch, version, release));
        let (from, to, direction) = match (&old_text, &new_text) {
            (Some(old), Some(new)) if old == new => {
                (Some(side(old, old.len())), Some(side(new, new.len())), Direction::Same)
            }
            (Some(a), Some(b)) => {
                let at = difference(a, b);
                let direction = match order(row) {
                    Ordering::Greater => Direction::Down,
                    Ordering::Less => Direction::Up,
                    Ordering::Equal => Direction::Same,
                };
                (Some(side(a, at)), Some(side(b, at)), direction)
            }
            (None, Some(new)) => (None, Some(side(new, new.len())), Direction::Added),
            (Some(old), None) => (Some(side(old, old.len())), None, Direction::Removed),
            (None, None) => (None, None, Direction::Same),
        };
        let distance = match (row.distance, &to) {
            (Some(hops), _) => Distance::Hops(hops),
            (None, Some(_)) => Distance::Base,
            (None, None) => Distance::Gone,
        };
        let interval =
            old.zip(new).map(|((old_version, old_release), (new_version, new_release))| {
                // The page wants the older end first, whichever way the change went.
                let (low, high) = (
                    (row.prev_epoch.unwrap_or(0).to_string(), old_version, old_release),
                    (row.curr_epoch.unwrap_or(0).to_string(), new_version, new_release),
                );
                let (low, high) =
                    if direction == Direction::Down { (high, low) } else { (low, high) };
                crate::address::query(&[
                    ("epoch1", &low.0),
                    ("version1", low.1),
                    ("release1", low.2),
                    ("epoch2", &high.0),
                    ("version2", high.1),
                    ("release2", high.2),
                ])
            });
        Self { name: row.name.clone(), from, to, direction, distance, interval }
    }

    /// Old and new version in a sentence: `2.14.6 → 2.15.1`, with releases where versions agree.
    pub(crate) fn sentence(row: &ChangeRow) -> String {
        let version = |epoch: Option<i32>, version: &str, release: &str, short: bool| {
            if short { version.to_owned() } else { evr(epoch, version, release) }
        };
        let old = row.prev_version.as_deref().zip(row.prev_release.as_deref());
        let new = row.curr_version.as_deref().zip(row.curr_release.as_deref());
        match (old, new) {
            (Some(old), Some(new)) => {
                let short =
                    old.0 != new.0 && row.prev_epoch.unwrap_or(0) == row.curr_epoch.unwrap_or(0);
                format!(
                    "{} {} \u{2192} {}",
                    row.name,
                    version(row.prev_epoch, old.0, old.1, short),
                    version(row.curr_epoch, new.0, new.1, short)
                )
            }
            (None, Some(new)) => format!("{} {} (new)", row.name, new.0),
            (Some(old), None) => format!("{} {} (gone)", row.name, old.0),
            (None, None) => row.name.clone(),
        }
    }
}

fn order(row: &ChangeRow) -> Ordering {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    row.prev_epoch
        .unwrap_or(0)
        .cmp(&row.curr_epoch.unwrap_or(0))
        .then_with(|| rpm::rpmvercmp(&text(&row.prev_version), &text(&row.curr_version)))
        .then_with(|| rpm::rpmvercmp(&text(&row.prev_release), &text(&row.curr_release)))
}

impl Direction {
    /// Arrow or sign.
    pub(crate) fn sign(self) -> &'static str {
        match self {
            Self::Up => "\u{2191}",
            Self::Down => "\u{2193}",
            Self::Added => "+",
            Self::Removed => "\u{2212}",
            Self::Same => "=",
        }
    }

    /// The word beside it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Same => "other arch",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(old: Option<(i32, &str, &str)>, new: Option<(i32, &str, &str)>) -> ChangeRow {
        ChangeRow {
            owner_id: 1,
            owner_total: 1,
            name: "foo".to_owned(),
            distance: Some(1),
            prev_id: old.map(|_| 1),
            prev_epoch: old.map(|side| side.0),
            prev_version: old.map(|side| side.1.to_owned()),
            prev_release: old.map(|side| side.2.to_owned()),
            curr_id: new.map(|_| 2),
            curr_epoch: new.map(|side| side.0),
            curr_version: new.map(|side| side.1.to_owned()),
            curr_release: new.map(|side| side.2.to_owned()),
        }
    }

    fn marked(side: &Side) -> String {
        format!("{}[{}]{}", side.head, side.differs, side.tail)
    }

    #[test]
    fn only_the_first_segment_that_differs_is_marked() {
        let cases = [
            (("2.14.6", "1.fc46"), ("2.15.1", "1.fc46"), "2.[14].6-1.fc46", "2.[15].1-1.fc46"),
            (("16.2.1", "2.fc46"), ("16.2.1", "3.fc46"), "16.2.1-[2].fc46", "16.2.1-[3].fc46"),
            (("3.15.0~rc3", "1"), ("3.15.0", "1"), "3.15.[0~rc3]-1", "3.15.[0]-1"),
            (("352", "1"), ("353", "1"), "[352]-1", "[353]-1"),
        ];
        for (old, new, from, to) in cases {
            let change = Change::new(&change(Some((0, old.0, old.1)), Some((0, new.0, new.1))));
            assert_eq!(change.from.as_ref().map(marked).as_deref(), Some(from));
            assert_eq!(change.to.as_ref().map(marked).as_deref(), Some(to));
            assert_eq!(change.direction, Direction::Up);
        }
    }

    #[test]
    fn a_downgrade_is_one_by_rpms_order_not_by_text() {
        let row = change(Some((0, "1.10", "1")), Some((0, "1.9", "1")));
        let shown = Change::new(&row);
        assert_eq!(shown.direction, Direction::Down);
        let interval = shown.interval.expect("both sides are there");
        assert!(interval.contains("version1=1.9") && interval.contains("version2=1.10"));
        assert_eq!(
            Change::new(&change(Some((0, "2", "1")), Some((1, "1", "1")))).direction,
            Direction::Up
        );
    }

    #[test]
    fn one_sided_changes_have_no_interval() {
        let added = Change::new(&change(None, Some((1, "5.8.2", "1"))));
        assert_eq!(added.direction, Direction::Added);
        assert_eq!(added.to.map(|side| side.head).as_deref(), Some("1:5.8.2-1"));
        assert_eq!(added.interval, None);
        let row = ChangeRow { distance: None, ..change(Some((0, "1", "1")), None) };
        assert_eq!(Change::new(&row).distance, Distance::Gone);
    }
}
