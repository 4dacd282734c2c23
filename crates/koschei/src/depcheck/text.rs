//! Answers for people: by root cause, the one that breaks most first.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Write;

use depsolve::{Cause, Group, Problem, Request, Solver, Universe, group_by_cause};
use rpm::{Dep, Relation};

use super::progress::thousands;
use super::sources::Source;

/// Names are wrapped at this column; problems are not, so that they can be searched for and copied.
const WIDTH: usize = 80;

/// A source package that cannot be built: its number, and why.
#[derive(Debug)]
pub(super) struct Broken {
    pub(super) source: usize,
    /// None where nobody understands what it requires.
    pub(super) problems: Vec<Problem>,
}

/// How many of something: `1 source package`, `2,653 source packages`.
pub(super) fn count(number: usize, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {what}{plural}", thousands(number as u64))
}

/// Source packages by root cause.
pub(super) fn groups(
    universe: &Universe,
    sources: &[Source],
    broken: &[Broken],
) -> Vec<Group<usize>> {
    let absent = absent_names(universe, broken);
    group_by_cause(broken.iter().flat_map(|one| {
        let not_understood = sources[one.source].not_understood();
        let causes = not_understood.map(|line| Cause::Other { line });
        let causes = causes.chain(one.problems.iter().map(|problem| cause(&absent, problem)));
        causes.map(|cause| (one.source, cause))
    }))
}

/// The root cause of a problem. When nothing of that name is there in any version, it is one cause whichever version is
/// asked for.
fn cause(absent: &BTreeSet<String>, problem: &Problem) -> Cause {
    match problem.cause() {
        Cause::Missing { capability } => match capability.parse() {
            Ok(Dep::Relation(Relation { name, .. })) if absent.contains(&name) => {
                Cause::Missing { capability: name }
            }
            _ => Cause::Missing { capability },
        },
        other => other,
    }
}

/// Which of the names that are missing in some version are missing in all.
fn absent_names(universe: &Universe, broken: &[Broken]) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for problem in broken.iter().flat_map(|one| &one.problems) {
        if let Cause::Missing { capability } = problem.cause()
            && let Ok(Dep::Relation(relation)) = capability.parse()
        {
            names.insert(relation.name);
        }
    }
    let asked: Vec<Dep> = names.into_iter().map(|name| Relation::any(name).into()).collect();
    not_found(universe, &asked).collect()
}

/// What nothing provides.
pub(super) fn not_found(universe: &Universe, asked: &[Dep]) -> impl Iterator<Item = String> {
    let request = Request { build_group: &[], build_requires: asked, weak_deps: false };
    let problems = Solver::new(universe).resolve(&request).problems;
    problems.into_iter().filter_map(|problem| match problem {
        Problem::NotFound { relation } => Some(relation),
        _ => None,
    })
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

    /// The names of some, wrapped and indented; all of them, or as many as fit into a number of lines.
    pub(super) fn wrapped(&self, out: &mut String, sources: &[usize], lines: Option<usize>) {
        const INDENT: &str = "    ";
        let mut column = 0;
        let mut line = 1;
        for (i, source) in sources.iter().enumerate() {
            let title = self.of(*source);
            let length = title.chars().count();
            if column > 0 && column + 1 + length > WIDTH {
                out.push('\n');
                column = 0;
                line += 1;
            }
            if lines.is_some_and(|lines| line > lines) {
                let rest = thousands((sources.len() - i) as u64);
                let _ = writeln!(out, "{INDENT}and {rest} more, which --format jsonl names");
                return;
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
/// Tells how many groups there are.
pub(super) fn broken(
    out: &mut String,
    universe: &Universe,
    titles: &Titles<'_>,
    broken: &[Broken],
) -> usize {
    let problems: HashMap<usize, &[Problem]> =
        broken.iter().map(|one| (one.source, one.problems.as_slice())).collect();
    let groups = groups(universe, titles.sources, broken);
    for group in &groups {
        let cause = &group.cause;
        let _ = writeln!(out, "{}: {cause}", count(group.affected.len(), "source package"));
        titles.wrapped(out, &group.affected, None);
        example(out, titles, &problems, group);
        out.push('\n');
    }
    groups.len()
}

/// The shortest chain that leads to a cause.
fn example(
    out: &mut String,
    titles: &Titles<'_>,
    problems: &HashMap<usize, &[Problem]>,
    group: &Group<usize>,
) {
    let mut shortest: Option<(usize, String)> = None;
    for source in &group.affected {
        for problem in problems.get(source).into_iter().copied().flatten() {
            let fits = match (problem.cause(), &group.cause) {
                // The group may have been given the name alone.
                (Cause::Missing { capability: one }, Cause::Missing { capability: all }) => one
                    .strip_prefix(all.as_str())
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with(' ')),
                (one, all) => one == *all,
            };
            let text = problem.to_string();
            let longer =
                |(_, known): &(usize, String)| known.lines().count() > text.lines().count();
            if fits && shortest.as_ref().is_none_or(longer) {
                shortest = Some((*source, text));
            }
        }
    }
    let Some((source, text)) = shortest else { return };
    // A missing package has no chain.
    let Some(chain) = text.strip_prefix("Problem: ") else { return };
    if group.affected.len() > 1 {
        let _ = writeln!(out, "  for example {}:", titles.of(source));
    } else {
        let _ = writeln!(out, "  because");
    }
    for line in chain.lines() {
        let _ = writeln!(out, "    {}", line.strip_prefix(" - ").unwrap_or(line));
    }
}
