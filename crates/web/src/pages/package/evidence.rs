//! What stands below the verdict: problems explained, suspects, changed dependencies.

use std::collections::HashMap;

use koschei_core::states::{BuildState, PackageState};
use koschei_db::pages::{ChangeRow, CulpritCount, Trouble, UnresolvedPackage};

use super::Maker;
use crate::culprits::{self, Judgement, Likelihood};
use crate::evr::Change;
use crate::pages::broken;
use crate::parts::Changes;
use crate::problems::{self, Problem};
use crate::request::Selection;
use crate::text;

/// Changes that are shown before the rest is folded away.
const NEAREST: usize = 8;
/// Problems that are explained; the others are told in the solver's words.
const EXPLAINED: usize = 10;
/// Suspects that are shown.
const SUSPECTS: usize = 4;

/// What may be said about the cause of a failure.
pub(super) enum Blame {
    /// Other packages broke with this change, and with no other one as much.
    Likely(ChangeRow),
    /// Other packages broke with so many changes that came together.
    Among(usize),
    /// Other packages build with everything else that changed.
    Left(ChangeRow),
    /// Nothing but this update changed; the number of its packages.
    Only(ChangeRow, usize),
    /// Nothing stands out.
    Open,
}

/// A problem of the resolution, explained as far as it is understood.
pub(super) struct Explained {
    pub(super) problem: Problem,
    /// How many packages wait for the same, and where they are listed.
    pub(super) others: Option<(String, String)>,
}

pub(super) struct Suspect {
    pub(super) word: &'static str,
    pub(super) name: String,
    pub(super) href: Option<String>,
    pub(super) versions: String,
    /// Packages of the same update.
    pub(super) also: String,
    pub(super) part: Option<usize>,
    pub(super) counts: String,
}

pub(super) struct Changed {
    pub(super) heading: &'static str,
    /// The two builds that were compared.
    pub(super) note: Option<Compared>,
    pub(super) near: Changes,
    pub(super) far: Option<(Changes, String)>,
    pub(super) left_out: Option<(String, String)>,
}

/// The two builds whose dependencies differ, each with its address.
pub(super) struct Compared {
    pub(super) before: (i32, String),
    /// How that one ended.
    pub(super) word: &'static str,
    pub(super) first: (i32, String),
}

impl Maker<'_> {
    /// The problems that are not explained: a summary, and their texts.
    pub(super) fn more_problems(&self, problems: &[String]) -> Option<(String, Vec<String>)> {
        let others = problems.get(EXPLAINED..).filter(|others| !others.is_empty())?;
        let summary = text::plural(others.len() as i64, "more problem");
        Some((format!("{summary}, as the solver said it"), problems::first(others, 50)))
    }

    pub(super) fn explain(
        &self,
        problems: &[String],
        unresolved: &[UnresolvedPackage],
        selection: &Selection,
    ) -> Vec<Explained> {
        problems
            .iter()
            .take(EXPLAINED)
            .map(|text| {
                let problem = Problem::read(text);
                let others = unresolved
                    .iter()
                    .filter(|other| other.package_id != self.package.id)
                    .filter(|other| {
                        other.problems.iter().any(|text| Problem::read(text).cause == problem.cause)
                    })
                    .count();
                let others = (others > 0).then(|| {
                    let anchor = crate::assets::fingerprint(problem.cause.to_string().as_bytes());
                    (
                        format!(
                            "{} for the same.",
                            if others == 1 {
                                "1 other package waits".to_owned()
                            } else {
                                format!("{} other packages wait", text::count(others as i64))
                            }
                        ),
                        format!("{}#c{anchor}", broken::address(self.frame, selection)),
                    )
                });
                Explained { problem, others }
            })
            .collect()
    }

    /// Suspects, the most likely first, and what may be said about the cause.
    ///
    /// Packages of one update come with the same versions; they are one suspect, named after the one with which most broke.
    pub(super) fn suspects(
        &self,
        changes: &[ChangeRow],
        counts: &[CulpritCount],
    ) -> (Vec<Suspect>, Blame) {
        let counts: HashMap<(Option<i32>, Option<i32>), &CulpritCount> =
            counts.iter().map(|count| ((count.prev_id, count.curr_id), count)).collect();
        let mut judged: Vec<(&ChangeRow, &CulpritCount, Judgement, Vec<String>)> = changes
            .iter()
            .filter_map(|change| {
                let count = *counts.get(&(change.prev_id, change.curr_id))?;
                Some((change, count, culprits::judge(count, change.distance), Vec::new()))
            })
            .collect();
        let judged_count = judged.len();
        judged.sort_by(|one, other| one.2.order(&other.2));
        let mut merged: Vec<(&ChangeRow, &CulpritCount, Judgement, Vec<String>)> = Vec::new();
        for (change, count, judgement, _) in judged {
            let same = merged.iter_mut().find(|(kept, ..)| versions(kept) == versions(change));
            match same {
                Some(kept) => kept.3.push(change.name.clone()),
                None => merged.push((change, count, judgement, Vec::new())),
            }
        }
        let total = changes.first().map_or(0, |change| change.owner_total);
        let blame = match merged.first() {
            Some((change, .., also))
                if merged.len() == 1 && i64::try_from(also.len() + 1) == Ok(total) =>
            {
                Blame::Only((*change).clone(), also.len() + 1)
            }
            Some((change, count, judgement, _))
                if judgement.likelihood == Likelihood::VeryLikely =>
            {
                // Changes that the same packages saw cannot be told apart.
                let alike = merged
                    .iter()
                    .filter(|(_, other, ..)| {
                        (other.packages, other.broke) == (count.packages, count.broke)
                    })
                    .count();
                if alike == 1 { Blame::Likely((*change).clone()) } else { Blame::Among(alike) }
            }
            // The first is the most likely one, so that the second tells about all others, if all were judged.
            Some((change, _, judgement, _))
                if i64::try_from(judged_count) == Ok(total)
                    && judgement.likelihood == Likelihood::Possible
                    && merged.get(1).is_some_and(|(_, _, second, _)| {
                        second.likelihood == Likelihood::Unlikely
                    }) =>
            {
                Blame::Left((*change).clone())
            }
            _ => Blame::Open,
        };
        let suspects = merged
            .iter()
            // Nobody else saw the change and it is far away: the table of changes has it.
            .filter(|(change, count, ..)| count.packages > 0 || change.distance == Some(1))
            .take(SUSPECTS)
            .map(|(change, count, judgement, also)| Suspect {
                word: judgement.likelihood.word(),
                href: Change::new(change)
                    .interval
                    .map(|interval| self.affected(&change.name, &interval)),
                versions: versions(change),
                also: match also.as_slice() {
                    [] => String::new(),
                    few if few.len() <= 3 => format!("with {}", text::enumeration(few)),
                    many => format!("with {} others of the same update", many.len()),
                },
                part: (count.packages > 0)
                    .then(|| usize::try_from(count.broke * 1000 / count.packages).unwrap_or(0)),
                counts: counted(count),
                name: change.name.clone(),
            })
            .collect();
        (suspects, blame)
    }

    pub(super) fn affected(&self, name: &str, interval: &str) -> String {
        self.frame.addresses.to(&format!(
            "/affected-by/{}{interval}&collection={}",
            crate::address::encode(name),
            crate::address::encode(&self.collection.name)
        ))
    }

    pub(super) fn changed(
        &self,
        state: PackageState,
        trouble: &Trouble,
        broke: Vec<ChangeRow>,
        unapplied: Vec<ChangeRow>,
    ) -> Option<Changed> {
        let failing = state == PackageState::Failing && !broke.is_empty();
        let (rows, heading, all) = if failing {
            let build = trouble.first.as_ref().map(|first| self.frame.addresses.build(first.id));
            (broke, "What changed when it began to fail", build)
        } else if unapplied.is_empty() {
            return None;
        } else {
            (unapplied, "What changed since the last build", None)
        };
        let total = rows.first().map_or(0, |row| row.owner_total);
        let note = match (failing, &trouble.compared, &trouble.first) {
            (true, Some(before), Some(first)) => Some(Compared {
                before: (before.task_id, self.frame.addresses.build(before.id)),
                word: match BuildState::from_number(before.state) {
                    Some(BuildState::Complete) => "ok",
                    Some(BuildState::Failed) => "failing",
                    _ => "running",
                },
                first: (first.task_id, self.frame.addresses.build(first.id)),
            }),
            _ => None,
        };
        let (near, far) = rows.split_at(NEAREST.min(rows.len()));
        let table = |caption, rows| {
            Changes::new(caption, rows, &self.frame.addresses, &self.collection.name)
        };
        let left_out = total - i64::try_from(rows.len()).unwrap_or(total);
        Some(Changed {
            heading,
            note,
            near: table("Changed dependencies, nearest first", near),
            far: (!far.is_empty()).then(|| {
                (
                    table("More changed dependencies", far),
                    format!("{} more, farther away", far.len()),
                )
            }),
            left_out: all
                .filter(|_| left_out > 0)
                .map(|all| (format!("all {} changes", text::count(total)), all)),
        })
    }
}

fn versions(change: &ChangeRow) -> String {
    let sentence = Change::sentence(change);
    sentence.strip_prefix(&change.name).map(str::trim).unwrap_or_default().to_owned()
}

fn counted(count: &CulpritCount) -> String {
    match (count.packages, count.broke) {
        (0, _) => "no other package was built with it yet".to_owned(),
        (1, 0) => "the one other package built with it did not break".to_owned(),
        (1, _) => "the one other package built with it broke, too".to_owned(),
        (packages, broke) => {
            let of = if count.cut {
                format!("{} other packages looked at", text::count(packages))
            } else {
                format!("{} other packages built with it", text::count(packages))
            };
            match broke {
                0 => format!("none of {of} broke"),
                broke => format!("{} of {of} broke, too", text::count(broke)),
            }
        }
    }
}
