//! The sentences: what a person would say first, and what to do next.

use koschei_core::states::{BuildState, PackageState};
use koschei_db::pages::{ChangeRow, Trouble};

use super::Maker;
use super::evidence::{Blame, Explained};
use crate::evr::Change;
use crate::pages::build::TaskLine;
use crate::parts::Moment;
use crate::problems::Cause;
use crate::text;

/// What was found out about the package, for the sentences.
pub(super) struct Findings<'a> {
    pub(super) state: PackageState,
    pub(super) trouble: &'a Trouble,
    /// Failed tasks of the last complete build.
    pub(super) failed: &'a [TaskLine],
    /// How many tasks it has.
    pub(super) tasks: usize,
    pub(super) explained: &'a [Explained],
    /// How many problems there are, explained or not.
    pub(super) problems: usize,
    /// Changes of the build that began to fail.
    pub(super) changes: &'a [ChangeRow],
    pub(super) blame: &'a Blame,
}

/// The sentence of the verdict, in pieces, so that the template can put a time and a link into it.
#[derive(Default)]
pub(super) struct Say {
    pub(super) before: String,
    pub(super) since: Option<Moment>,
    pub(super) after: String,
    pub(super) link: Option<(String, String)>,
    pub(super) end: String,
}

/// Something to do, with a link and a command where there are any.
#[derive(Default)]
pub(super) struct Step {
    pub(super) text: String,
    pub(super) link: Option<(String, String)>,
    pub(super) after: String,
    pub(super) code: Option<String>,
}

impl Step {
    fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }
}

impl Say {
    fn plain(text: impl Into<String>) -> Self {
        Self { before: text.into(), ..Self::default() }
    }
}

impl Maker<'_> {
    /// The sentence under the heading.
    pub(super) fn say(&self, found: &Findings<'_>) -> Say {
        let package = self.package;
        match found.state {
            PackageState::Failing => self.say_failing(found),
            PackageState::Unresolved => self.say_unresolved(found.explained, found.problems),
            PackageState::Ok if package.since.is_some() => self.say_since("Builds since ", "."),
            PackageState::Ok => Say::plain("Builds."),
            PackageState::Unknown if package.last_build_id.is_some() => {
                Say::plain("Not known yet: its first build is running.")
            }
            PackageState::Unknown => Say::plain("Not tried yet: no build of it is known."),
            PackageState::Untracked => Say::plain(
                "Not watched, because nobody asked for it. Packages that are tracked are resolved and built.",
            ),
            PackageState::Blocked => Say::plain(format!(
                "Not watched, because Koji blocks it in {}. It is watched again when it is unblocked there.",
                self.collection.dest_tag
            )),
        }
    }

    /// A sentence about how long the state lasts.
    fn say_since(&self, before: &str, end: &str) -> Say {
        let clock = &self.frame.clock;
        match self.package.since {
            Some(since) => Say {
                before: before.to_owned(),
                since: Some(Moment::long(clock, since)),
                after: format!(" ({}){end}", clock.age(since)),
                ..Say::default()
            },
            None => Say::plain(format!("{}{end}", before.trim_end().trim_end_matches(" since"))),
        }
    }

    fn say_failing(&self, found: &Findings<'_>) -> Say {
        let place = match found.failed {
            [] => ".".to_owned(),
            [one] if one.arch == "noarch" => ".".to_owned(),
            failed if failed.len() == found.tasks && found.tasks > 1 => {
                format!(", on all {} architectures.", number(found.tasks))
            }
            failed => {
                let arches: Vec<String> = failed.iter().map(|task| task.arch.clone()).collect();
                format!(", on {}.", text::enumeration(&arches))
            }
        };
        let mut say = self.say_since("Fails since ", &place);
        let total = found.changes.first().map_or(0, |change| change.owner_total);
        let since = self.compared_since(found.trouble);
        match (found.blame, &found.trouble.before, &found.trouble.compared) {
            (Blame::Likely(change), ..) => {
                say.after.push_str(" The likely cause is ");
                self.name_change(&mut say, change, ".");
            }
            (Blame::Left(change), ..) => {
                say.after.push_str(" The likely cause is ");
                self.name_change(
                    &mut say,
                    change,
                    "; with everything else that changed other packages build.",
                );
            }
            (Blame::Only(change, packages), ..) => {
                say.after.push_str(&format!(" Since {since} nothing changed but "));
                let end = match packages {
                    1 => ".".to_owned(),
                    2 => ", with another package of the same update.".to_owned(),
                    more => format!(", with {} other packages of the same update.", number(more - 1)),
                };
                self.name_change(&mut say, change, &end);
            }
            (Blame::Among(several), ..) => say.after.push_str(&format!(
                " The likely cause is among {} changes that other packages broke with, too.",
                number(*several)
            )),
            (_, None, _) => say.after.push_str(" No build that succeeded is known."),
            _ if total > 0 => say.after.push_str(&format!(
                " Since {since} {} changed; none of them stands out.",
                if total == 1 { "1 dependency".to_owned() } else { format!("{} dependencies", text::count(total)) }
            )),
            // Compared with the last good build itself, and nothing was found.
            (_, Some(before), Some(compared)) if compared.id == before.id => say.after.push_str(
                " No dependency changed since the last good build; look at the package itself or the builder.",
            ),
            // Nothing to compare with, or an older build, since which something may have come and gone.
            _ => say.after.push_str(" Which dependencies changed before it began is not known."),
        }
        say
    }

    /// The build that the first bad one was compared with, for sentences that begin with "Since".
    pub(super) fn compared_since(&self, trouble: &Trouble) -> String {
        match (&trouble.before, &trouble.compared) {
            (Some(before), Some(compared)) if compared.id == before.id => {
                "the last good build".to_owned()
            }
            (_, Some(compared)) => {
                format!("the build of {}", self.frame.clock.long(compared.started))
            }
            (_, None) => "an earlier build".to_owned(),
        }
    }

    /// Ends a sentence with a change, as a link where there is somewhere to go.
    fn name_change(&self, say: &mut Say, change: &ChangeRow, end: &str) {
        match Change::new(change).interval {
            Some(interval) => {
                say.link = Some((Change::sentence(change), self.affected(&change.name, &interval)));
                end.clone_into(&mut say.end);
            }
            None => say.after.push_str(&format!("{}{end}", Change::sentence(change))),
        }
    }

    fn say_unresolved(&self, explained: &[Explained], problems: usize) -> Say {
        let because = match explained {
            [] => ".".to_owned(),
            [one, ..] => {
                let sentence = match one.problem.cause {
                    Cause::Other { .. } => ".".to_owned(),
                    _ => format!(", because {}.", one.problem.cause),
                };
                match problems.saturating_sub(1) {
                    0 => sentence,
                    1 => format!("{sentence} There is 1 problem more."),
                    others => format!("{sentence} There are {others} problems more."),
                }
            }
        };
        self.say_since("Cannot be built since ", &because)
    }

    /// With what the state was found out: the second line, always.
    pub(super) fn checked(&self, state: PackageState, trouble: &Trouble) -> String {
        let clock = &self.frame.clock;
        let package = self.package;
        let last = trouble.last.as_ref().map(|last| {
            let kind = if last.real { "official build" } else { "build" };
            match last.repo_id {
                Some(repo) => {
                    format!("{kind} of {} with Koji repo {repo}", clock.long(last.started))
                }
                None => format!("{kind} of {}", clock.long(last.started)),
            }
        });
        let outcome =
            match trouble.last.as_ref().and_then(|last| BuildState::from_number(last.state)) {
                Some(BuildState::Failed) => "failed",
                _ => "was ok",
            };
        let resolution = match package.resolved_repo_id {
            Some(repo) if package.resolved.is_some() && package.tracked && !package.blocked => {
                format!("Dependencies checked with Koji repo {repo}.")
            }
            _ => String::new(),
        };
        match (state, last) {
            (PackageState::Unresolved, Some(last)) => {
                format!("{resolution} The last {last} {outcome}.")
            }
            (PackageState::Blocked | PackageState::Untracked, Some(last)) => {
                format!("The last {last} {outcome}.")
            }
            (_, Some(last)) => format!("Last tried: {last}. {resolution}"),
            (_, None) => resolution,
        }
        .trim()
        .to_owned()
    }

    /// What to do next.
    pub(super) fn steps(&self, found: &Findings<'_>, bug: Option<&str>) -> Vec<Step> {
        match found.state {
            PackageState::Failing => self.steps_failing(found, bug),
            PackageState::Unresolved => self.steps_unresolved(found.explained),
            _ => Vec::new(),
        }
    }

    /// The buttons of the verdict: for somebody who was told that the package is broken, and wants to do something.
    pub(super) fn ways(&self, found: &Findings<'_>, bug: Option<&str>) -> Vec<(String, String)> {
        let mut ways = Vec::new();
        match found.state {
            PackageState::Failing => {
                ways.extend(first_log(found).map(|(_, log)| ("Read build.log".to_owned(), log)));
                ways.push(("What to do next".to_owned(), "#next".to_owned()));
            }
            PackageState::Unresolved => {
                ways.push(("What would fix it".to_owned(), "#next".to_owned()));
            }
            _ => return ways,
        }
        ways.extend(bug.map(|bug| ("File a bug".to_owned(), bug.to_owned())));
        ways
    }

    /// How to have it built earlier than it would be, for those who can log in.
    fn sooner(&self) -> Option<Step> {
        self.frame.way_in.as_ref()?;
        let name = crate::address::encode(&self.package.name);
        let collection = crate::address::encode(&self.collection.name);
        Some(Step {
            text: "To have it built sooner, ".to_owned(),
            link: Some((
                "raise its priority".to_owned(),
                self.frame.addresses.to(&format!("/package/{name}/edit?collection={collection}")),
            )),
            after: ".".to_owned(),
            code: None,
        })
    }

    fn steps_failing(&self, found: &Findings<'_>, bug: Option<&str>) -> Vec<Step> {
        let name = &self.package.name;
        let mut steps = Vec::new();
        let log = first_log(found);
        if log.is_some() {
            let others = if found.failed.len() > 1 {
                ". It fails on other architectures, too; begin with any of them."
            } else {
                "."
            };
            steps.push(Step {
                text: "Read the ".to_owned(),
                link: log,
                after: others.to_owned(),
                code: None,
            });
        }
        let version = found
            .trouble
            .last
            .as_ref()
            .and_then(|last| last.version.as_deref().zip(last.release.as_deref()));
        if let Some((version, release)) = version {
            steps.push(Step {
                code: Some(format!(
                    "koji build --scratch {} {name}-{version}-{release}.src.rpm",
                    self.collection.target
                )),
                ..Step::new(
                    "Try a fix the way Koschei does, with a scratch build in the same target:",
                )
            });
        }
        if let Blame::Likely(change) = found.blame
            && let Some(interval) = Change::new(change).interval
        {
            steps.push(Step {
                text: "See how ".to_owned(),
                link: Some((
                    format!("other packages that broke with {}", change.name),
                    self.affected(&change.name, &interval),
                )),
                after: " fare, and how those that build again were fixed.".to_owned(),
                code: None,
            });
        }
        if let Some(bug) = bug {
            steps.push(Step {
                link: Some(("File a bug".to_owned(), bug.to_owned())),
                after: " if somebody else has to mend it; the form is filled in.".to_owned(),
                ..Step::default()
            });
        }
        steps.push(Step::new(format!(
            "A fix needs no rebuild request: Koschei builds {name} again when it or one of its dependencies changes."
        )));
        steps.extend(self.sooner());
        steps
    }

    fn steps_unresolved(&self, explained: &[Explained]) -> Vec<Step> {
        let name = &self.package.name;
        let mut steps: Vec<Step> = explained
            .iter()
            .take(3)
            .filter_map(|one| match &one.problem.cause {
                Cause::Missing { capability } => Some(Step {
                    code: Some(capability.clone()),
                    ..Step::new(match one.problem.chain.last() {
                        Some(step) => format!(
                            "Bring back a provider of what {} needs, or change what it needs:",
                            step.package
                        ),
                        None => format!("Bring back a provider, or change what {name} needs:"),
                    })
                }),
                Cause::Conflict { one, other } => Some(Step::new(format!(
                    "Make {one} and {other} installable together, or need only one of them."
                ))),
                Cause::Uninstallable { .. } | Cause::Other { .. } => None,
            })
            .collect();
        steps.push(Step::new(format!(
            "Koschei looks at {name} again with each new Koji repo, and builds it as soon as its dependencies can be \
             installed."
        )));
        steps
    }
}

/// The log to begin with.
fn first_log(found: &Findings<'_>) -> Option<(String, String)> {
    found
        .failed
        .iter()
        .find_map(|task| task.log.clone().map(|log| (format!("build.log of {}", task.arch), log)))
}

/// Small numbers as words.
fn number(number: usize) -> String {
    const WORDS: [&str; 8] = ["two", "three", "four", "five", "six", "seven", "eight", "nine"];
    match number.checked_sub(2).and_then(|at| WORDS.get(at)) {
        Some(word) => (*word).to_owned(),
        None => number.to_string(),
    }
}
