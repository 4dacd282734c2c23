//! What if: everything is resolved twice, and what differs is told.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::fmt::Write;

use depsolve::{PackageId, Problem, Resolution, Solver, Universe};
use koschei_core::changes::{self, Change, Difference, Entry};

use super::json::{self, Names, Object};
use super::options::Format;
use super::output::{End, Output};
use super::progress::thousands;
use super::text::{self, Broken, Titles, count};
use super::{Question, queue};

/// Two universes whose packages can be compared.
struct Pair<'u> {
    before: &'u Universe,
    after: &'u Universe,
    names_before: Names,
    names_after: Names,
    /// Number of each package of `before`. A repository may have a package twice; both are the same one then.
    numbers_before: Vec<i32>,
    /// Number of each package of `after`: that of the package of the same name, version and architecture in `before`, or
    /// a greater one.
    numbers_after: Vec<i32>,
}

/// With more groups of source packages that change alike, nobody reads them.
const MOST_GROUPS: usize = 50;

/// How many lines of names such a group may have.
const MOST_LINES: usize = 10;

/// What was installed and what would be, without regard to distances.
type Row = (Option<i32>, Option<i32>);

/// What a change does to one source package.
enum Outcome {
    Same,
    /// It cannot be built either way.
    StillBroken,
    Broken(Vec<Problem>),
    Fixed,
    /// Other packages would be installed.
    Changed(Vec<Change>),
}

/// What a change does to all of them.
#[derive(Default)]
struct Effect {
    broken: Vec<Broken>,
    fixed: Vec<usize>,
    changed: Vec<(usize, Vec<Change>)>,
    still_broken: usize,
}

/// Asks it. Tells how many cannot be built any more.
pub(super) fn ask(
    question: &Question<'_>,
    before: &Universe,
    after: &Universe,
    output: &mut Output<'_>,
) -> Result<usize, End> {
    let Question { sources, format, progress, .. } = *question;
    let pair = Pair::new(before, after);
    progress.begin("Resolving", sources.len() as u64);

    let mut effect = Effect::default();
    let mut next = 0;
    let mut written = 0;
    if format == Format::Json {
        output.write(b"{\"changes\": [")?;
    }
    queue::in_order(
        sources.len(),
        question.threads,
        || {
            let solvers = (Solver::new(before), Solver::new(after));
            (solvers, Resolution::default(), Resolution::default())
        },
        |((solver_before, solver_after), old, new), i| {
            if !question.sources[i].not_understood.is_empty() {
                return (Vec::new(), Outcome::StillBroken);
            }
            let request = question.request(i);
            solver_before.resolve_into(&request, old);
            solver_after.resolve_into(&request, new);
            let outcome = pair.outcome(old, new);
            let mut line = Vec::new();
            if format != Format::Text {
                pair.json(&mut line, question, i, old, new, &outcome);
            }
            (line, outcome)
        },
        |(line, outcome)| {
            match outcome {
                Outcome::Same => {}
                Outcome::StillBroken => effect.still_broken += 1,
                Outcome::Broken(problems) => effect.broken.push(Broken { source: next, problems }),
                Outcome::Fixed => effect.fixed.push(next),
                // What it was stands in the line already.
                Outcome::Changed(changes) => effect
                    .changed
                    .push((next, if format == Format::Text { changes } else { Vec::new() })),
            }
            next += 1;
            progress.advance(1);
            if line.is_empty() {
                return Ok(());
            }
            if format == Format::Json {
                output.write(if written == 0 { b"\n" } else { b",\n" })?;
            }
            written += 1;
            output.write(&line)?;
            output.write(if format == Format::Jsonl { b"\n" } else { b"" })
        },
    )?;
    match format {
        Format::Jsonl => {}
        Format::Json => output.write(&summary_json(question, after, &effect))?,
        Format::Text => output.write(pair.report(question, &effect).as_bytes())?,
    }
    Ok(effect.broken.len())
}

impl<'u> Pair<'u> {
    fn new(before: &'u Universe, after: &'u Universe) -> Self {
        let names_before = Names::new(before);
        let names_after = Names::new(after);
        // Of packages with the same name, version and architecture all have the number of the first.
        let mut numbers: HashMap<&str, i32> = HashMap::new();
        let new = before.len() as i32;
        let numbers_before = before
            .packages()
            .map(|id| *numbers.entry(names_before.text(id)).or_insert(id.0 as i32))
            .collect();
        let numbers_after = after
            .packages()
            .map(|id| *numbers.entry(names_after.text(id)).or_insert(new + id.0 as i32))
            .collect();
        Self { before, after, names_before, names_after, numbers_before, numbers_after }
    }

    fn outcome(&self, old: &mut Resolution, new: &mut Resolution) -> Outcome {
        match (old.resolved(), new.resolved()) {
            (false, false) => Outcome::StillBroken,
            (true, false) => Outcome::Broken(std::mem::take(&mut new.problems)),
            (false, true) => Outcome::Fixed,
            (true, true) => {
                let changes = self.changes(old, new);
                if changes.is_empty() { Outcome::Same } else { Outcome::Changed(changes) }
            }
        }
    }

    fn changes(&self, old: &Resolution, new: &Resolution) -> Vec<Change> {
        let mut old_ids: Vec<i32> = old
            .installs
            .iter()
            .map(|install| self.numbers_before[install.package.0 as usize])
            .collect();
        old_ids.sort_unstable();
        let mut installed: Vec<(i32, Option<u8>)> = new
            .installs
            .iter()
            .map(|install| (self.numbers_after[install.package.0 as usize], install.distance))
            .collect();
        installed.sort_unstable();
        let new_ids: Vec<i32> = installed.iter().map(|(id, _)| *id).collect();
        let difference = if old_ids.is_empty() || new_ids.is_empty() {
            // Elsewhere an empty set is one that is not known; these are.
            Difference { old: old_ids, new: new_ids }
        } else {
            changes::difference(&old_ids, &new_ids)
        };
        let entry = |id: i32, distance| {
            let (universe, package) = self.find(id);
            let package = universe.package(package);
            Entry { id, name: package.name, arch: package.arch, distance }
        };
        let gone: Vec<Entry<'_>> = difference.old.iter().map(|id| entry(*id, None)).collect();
        let come: Vec<Entry<'_>> = difference
            .new
            .iter()
            .map(|id| {
                let at = installed.binary_search_by_key(id, |(id, _)| *id).ok();
                entry(*id, at.and_then(|at| installed[at].1))
            })
            .collect();
        changes::pair_up(&gone, &come)
    }

    fn find(&self, id: i32) -> (&'u Universe, PackageId) {
        let known = self.before.len() as i32;
        if id < known {
            (self.before, PackageId(id as u32))
        } else {
            (self.after, PackageId((id - known) as u32))
        }
    }

    fn text(&self, id: i32) -> &str {
        let known = self.before.len() as i32;
        if id < known {
            self.names_before.text(PackageId(id as u32))
        } else {
            self.names_after.text(PackageId((id - known) as u32))
        }
    }

    /// The object of one source package; nothing when nothing changes.
    fn json(
        &self,
        out: &mut Vec<u8>,
        question: &Question<'_>,
        i: usize,
        old: &Resolution,
        new: &Resolution,
        outcome: &Outcome,
    ) {
        let source = &question.sources[i];
        let (change, problems) = match outcome {
            Outcome::Same | Outcome::StillBroken => return,
            Outcome::Broken(problems) => ("broken", problems.as_slice()),
            Outcome::Fixed => ("fixed", old.problems.as_slice()),
            Outcome::Changed(_) => ("install set", &[][..]),
        };
        let mut object = Object::begin(out);
        object.string("change", change);
        let installs =
            question.install_sets && new.resolved() && !matches!(outcome, Outcome::Broken(_));
        if installs {
            json::distances(&mut object, self.after, new);
        }
        object.string_or_null("evr", source.evr.as_deref());
        if installs {
            json::install_set(&mut object, &self.names_after, new);
        }
        object.string("name", &source.name);
        if let Outcome::Changed(changes) = outcome {
            object.list("packages", changes, |out, change| {
                let mut object = Object::begin(out);
                object.number_or_null("distance", change.distance.map(u64::from));
                object.string_or_null("new", change.curr.map(|id| self.text(id)));
                object.string_or_null("old", change.prev.map(|id| self.text(id)));
                object.end();
            });
        } else {
            object.strings("problems", problems.iter().map(Problem::to_string));
        }
        object.end();
    }

    fn report(&self, question: &Question<'_>, effect: &Effect) -> String {
        let titles = Titles::new(question.sources);
        let mut out = String::new();
        if !effect.broken.is_empty() {
            let _ = writeln!(out, "NEWLY BROKEN\n");
            text::broken(&mut out, self.after, &titles, &effect.broken);
        }
        if !effect.fixed.is_empty() {
            let _ = writeln!(out, "NEWLY FIXED\n");
            titles.wrapped(&mut out, &effect.fixed, None);
            out.push('\n');
        }
        if !effect.changed.is_empty() {
            let _ = writeln!(out, "OTHER INSTALL SETS\n");
            self.report_changed(&mut out, &titles, &effect.changed);
        }
        let total = count(question.sources.len(), "source package");
        let [broken, fixed, changed] =
            [effect.broken.len(), effect.fixed.len(), effect.changed.len()];
        let _ = if broken + fixed + changed == 0 {
            writeln!(out, "{total}: nothing changes")
        } else {
            let [broken, fixed, changed] = [broken, fixed, changed].map(|n| thousands(n as u64));
            writeln!(
                out,
                "{total}: {broken} newly broken, {fixed} newly fixed, {changed} with other packages"
            )
        };
        if effect.still_broken > 0 {
            let _ = writeln!(
                out,
                "{} cannot be built either way",
                count(effect.still_broken, "source package")
            );
        }
        out
    }

    /// Source packages with the same changes together, most first; or, if hardly two have the same, the changes, each
    /// with the number of source packages that it reaches.
    fn report_changed(
        &self,
        out: &mut String,
        titles: &Titles<'_>,
        changed: &[(usize, Vec<Change>)],
    ) {
        let mut groups: HashMap<Vec<Row>, Vec<usize>> = HashMap::new();
        let mut reached: HashMap<Row, usize> = HashMap::new();
        for (source, changes) in changed {
            let rows: Vec<Row> = changes.iter().map(|change| (change.prev, change.curr)).collect();
            for row in &rows {
                *reached.entry(*row).or_default() += 1;
            }
            groups.entry(rows).or_default().push(*source);
        }
        if groups.len() > MOST_GROUPS {
            let mut reached: Vec<(usize, String)> =
                reached.into_iter().map(|(row, count)| (count, self.row(row))).collect();
            reached.sort_unstable_by(|(a, one), (b, other)| b.cmp(a).then_with(|| one.cmp(other)));
            let _ = writeln!(out, "source packages  with (--format jsonl tells which)");
            for (count, row) in reached {
                let _ = writeln!(out, "{:>15}  {row}", thousands(count as u64));
            }
            out.push('\n');
            return;
        }
        let mut groups: Vec<_> = groups.into_iter().collect();
        groups.sort_by_key(|(_, sources)| (Reverse(sources.len()), sources.first().copied()));
        for (rows, sources) in groups {
            let _ = writeln!(out, "{}:", count(sources.len(), "source package"));
            titles.wrapped(out, &sources, Some(MOST_LINES));
            let _ = writeln!(out, "  with");
            for row in rows {
                let _ = writeln!(out, "    {}", self.row(row));
            }
            out.push('\n');
        }
    }

    fn row(&self, (old, new): Row) -> String {
        let package = |id: i32| {
            let (universe, package) = self.find(id);
            universe.package(package)
        };
        match (old.map(package), new.map(package)) {
            (Some(old), Some(new)) => {
                let (from, to) = (old.evr.to_owned(), new.evr.to_owned());
                if old.arch == new.arch {
                    format!("{} {from} -> {to}", new.name)
                } else {
                    format!("{} {from}.{} -> {to}.{}", new.name, old.arch, new.arch)
                }
            }
            (Some(old), None) => format!("{} {} no more", old.name, old.evr.to_owned()),
            (None, Some(new)) => format!("{} {} in addition", new.name, new.evr.to_owned()),
            (None, None) => String::new(),
        }
    }
}

fn summary_json(question: &Question<'_>, after: &Universe, effect: &Effect) -> Vec<u8> {
    let titles = Titles::new(question.sources);
    let mut out = b"\n], ".to_vec();
    let mut rest = Vec::new();
    let mut object = Object::begin(&mut rest);
    json::causes(
        &mut object,
        "causes",
        text::groups(after, question.sources, &effect.broken),
        &titles,
    );
    object.number_or_null("newly_broken", Some(effect.broken.len() as u64));
    object.number_or_null("newly_fixed", Some(effect.fixed.len() as u64));
    object.number_or_null("other_install_sets", Some(effect.changed.len() as u64));
    object.number_or_null("still_broken", Some(effect.still_broken as u64));
    object.end();
    out.extend_from_slice(&rest[1..]);
    out.push(b'\n');
    out
}
