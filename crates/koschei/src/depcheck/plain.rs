//! The plain question: which source packages cannot be built, and why.

use std::fmt::Write;

use depsolve::{Request, Resolution, Solver, Universe};

use super::json::{self, Names, Object};
use super::options::Format;
use super::output::{End, Output};
use super::text::{self, Broken, Titles, count};
use super::{Question, queue};

/// Asks it. Tells how many cannot be built.
pub(super) fn ask(
    question: &Question<'_>,
    universe: &Universe,
    output: &mut Output<'_>,
) -> Result<usize, End> {
    let Question { sources, format, progress, .. } = *question;
    let names = question.install_sets.then(|| Names::new(universe));
    let installs = names.as_ref().map(|names| (universe, names));
    progress.begin("Resolving", sources.len() as u64);

    if format == Format::Json {
        output.write(b"{\"packages\": [\n")?;
    }
    let mut broken: Vec<Broken> = Vec::new();
    let mut next = 0;
    queue::in_order(
        sources.len(),
        question.threads,
        || (Solver::new(universe), Resolution::default()),
        |(solver, resolution), i| {
            if sources[i].not_understood.is_empty() {
                solver.resolve_into(&question.request(i), resolution);
            } else {
                *resolution = Resolution::default();
            }
            let mut line = Vec::new();
            if format != Format::Text {
                json::answer(&mut line, &sources[i], resolution, installs);
            }
            (line, std::mem::take(&mut resolution.problems))
        },
        |(line, problems)| {
            if !problems.is_empty() || !sources[next].not_understood.is_empty() {
                broken.push(Broken { source: next, problems });
            }
            next += 1;
            progress.advance(1);
            if format == Format::Text {
                return Ok(());
            }
            output.write(&line)?;
            let more = format == Format::Json && next < sources.len();
            output.write(if more { b",\n" } else { b"\n" })
        },
    )?;
    match format {
        Format::Jsonl => {}
        Format::Json => output.write(&summary_json(question, universe, &broken))?,
        Format::Text => output.write(report(question, universe, &broken).as_bytes())?,
    }
    Ok(broken.len())
}

fn summary_json(question: &Question<'_>, universe: &Universe, broken: &[Broken]) -> Vec<u8> {
    let titles = Titles::new(question.sources);
    let mut out = b"], ".to_vec();
    let mut rest = Vec::new();
    let mut object = Object::begin(&mut rest);
    json::causes(&mut object, "causes", text::groups(universe, question.sources, broken), &titles);
    let total = question.sources.len();
    object.number_or_null("resolved", Some((total - broken.len()) as u64));
    object.number_or_null("unresolved", Some(broken.len() as u64));
    object.end();
    // The object began before the packages.
    out.extend_from_slice(&rest[1..]);
    out.push(b'\n');
    out
}

fn report(question: &Question<'_>, universe: &Universe, broken: &[Broken]) -> String {
    let mut out = String::new();
    let total = question.sources.len();
    if let Some(problem) = buildroot_problem(question, universe) {
        let _ = writeln!(out, "The build group cannot be installed, so nothing can be built:");
        for line in problem.lines() {
            let _ = writeln!(
                out,
                "    {}",
                line.trim_start_matches("Problem: ").trim_start_matches(" - ")
            );
        }
        let _ = writeln!(out, "\n{}, none of which can be built", count(total, "source package"));
        return out;
    }
    let causes = text::broken(&mut out, universe, &Titles::new(question.sources), broken);
    let _ = match broken.len() {
        0 if total == 1 => writeln!(out, "The source package can be built"),
        0 => writeln!(out, "All {} can be built", count(total, "source package")),
        n => writeln!(
            out,
            "{}: {} can be built, {} cannot, for {}",
            count(total, "source package"),
            super::progress::thousands((total - n) as u64),
            super::progress::thousands(n as u64),
            count(causes, "root cause"),
        ),
    };
    out
}

/// Why not even the build group alone can be installed.
fn buildroot_problem(question: &Question<'_>, universe: &Universe) -> Option<String> {
    let request = Request { build_requires: &[], ..question.request_for_group() };
    let resolution = Solver::new(universe).resolve(&request);
    resolution.problems.first().map(ToString::to_string)
}
