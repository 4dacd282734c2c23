//! Answers for people: by root cause, the one that breaks most first.

use std::collections::HashMap;
use std::fmt::Write;

use depsolve::{Cause, Group, Problem, group_by_cause};

use super::progress::thousands;
use super::sources::Source;

/// Names are wrapped at this column; problems are not, so that they can be searched for and copied.
const WIDTH: usize = 80;

/// A source package that cannot be built: its number, and why.
#[derive(Debug)]
pub(super) struct Broken {
    pub(super) source: usize,
    pub(super) problems: Vec<Problem>,
}

/// How many of something: `1 source package`, `2,653 source packages`.
pub(super) fn count(number: usize, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {what}{plural}", thousands(number as u64))
}

/// Source packages by root cause.
pub(super) fn groups(broken: &[Broken]) -> Vec<Group<usize>> {
    group_by_cause(
        broken
            .iter()
            .flat_map(|one| one.problems.iter().map(|problem| (one.source, problem.cause()))),
    )
}

/// What source packages are called: by name, and with the version where a name occurs more than once.
#[derive(Debug)]
pub(super) struct Titles<'s> {
    sources: &'s [Source],
    occurs: HashMap<&'s str, usize>,
}

impl<'s> Titles<'s> {
    pub(super) fn new(sources: &'s [Source]) -> Self {
        let mut occurs = HashMap::new();
        for source in sources {
            *occurs.entry(source.name.as_str()).or_default() += 1;
        }
        Self { sources, occurs }
    }

    pub(super) fn of(&self, source: usize) -> String {
        let source = &self.sources[source];
        match &source.evr {
            Some(evr) if self.occurs.get(source.name.as_str()).is_some_and(|n| *n > 1) => {
                format!("{}-{}", source.name, evr.strip_prefix("0:").unwrap_or(evr))
            }
            _ => source.name.clone(),
        }
    }

    /// The names of some, wrapped and indented.
    pub(super) fn wrapped(&self, out: &mut String, sources: impl IntoIterator<Item = usize>) {
        const INDENT: &str = "    ";
        let mut column = 0;
        for source in sources {
            let title = self.of(source);
            let length = title.chars().count();
            if column > 0 && column + 1 + length > WIDTH {
                out.push('\n');
                column = 0;
            }
            let gap = if column == 0 { INDENT } else { " " };
            column += gap.len() + length;
            out.push_str(gap);
            out.push_str(&title);
        }
        out.push('\n');
    }
}

/// The groups, each with its source packages and, where the cause alone does not tell all, one chain as an example.
pub(super) fn broken(out: &mut String, titles: &Titles<'_>, broken: &[Broken]) {
    let problems: HashMap<usize, &[Problem]> =
        broken.iter().map(|one| (one.source, one.problems.as_slice())).collect();
    for group in groups(broken) {
        let cause = &group.cause;
        let _ = writeln!(out, "{}: {cause}", count(group.affected.len(), "source package"));
        titles.wrapped(out, group.affected.iter().copied());
        example(out, titles, &problems, &group.affected, cause);
        out.push('\n');
    }
}

/// The shortest chain that leads to a cause.
fn example(
    out: &mut String,
    titles: &Titles<'_>,
    problems: &HashMap<usize, &[Problem]>,
    affected: &[usize],
    cause: &Cause,
) {
    let all = affected.iter().filter_map(|source| Some((*source, *problems.get(source)?)));
    let chains = all.flat_map(|(source, problems)| {
        let these = problems.iter().filter(|problem| problem.cause() == *cause);
        these.map(move |problem| (source, problem.to_string()))
    });
    let Some((source, text)) = chains.min_by_key(|(_, text)| text.lines().count()) else { return };
    let Some(chain) = text.strip_prefix("Problem: ") else { return };
    let one_of_many =
        if affected.len() > 1 { format!(" for {}", titles.of(source)) } else { String::new() };
    let _ = writeln!(out, "  because{one_of_many}");
    for line in chain.lines() {
        let _ = writeln!(out, "    {}", line.trim_start_matches(" - "));
    }
}
