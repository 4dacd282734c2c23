//! Repositories that were made to hurt: what would take memory or time by the square is refused with one clear sentence.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail")]

use depsolve::{LoadError, Loader, Request, Solver, Universe};
use rpm::md::Package;
use rpm::{Dep, Nevra, Relation};

fn package(name: &str, version: usize) -> Package {
    Package { nevra: Nevra::new(name, 0, version.to_string(), "1", "x86_64"), ..Package::default() }
}

fn dep(text: &str) -> Dep {
    text.parse().unwrap()
}

fn relation(text: &str) -> Relation {
    text.parse().unwrap()
}

/// The sentence with which a repository is refused.
fn refusal(packages: impl IntoIterator<Item = Package>) -> String {
    let error = Universe::from_packages(packages, "x86_64", []).expect_err("it must be refused");
    assert!(matches!(error, LoadError::TooEntangled { .. }), "{error}");
    assert!(!error.is_transient(), "it will be the same tomorrow");
    error.to_string()
}

#[test]
fn tens_of_thousands_of_versions_of_one_name_are_refused() {
    let refusal = refusal((0..50_000).map(|version| package("kernel", version)));
    assert!(
        refusal.starts_with(
            "the packages of the repository have too much to do with each other: \
             there are more than 16777216 pairs of packages that exclude each other (counted up to kernel-0:"
        ),
        "{refusal}"
    );
    assert!(refusal.ends_with("it has to offer fewer versions of each package"), "{refusal}");
}

#[test]
fn a_thousand_versions_of_one_name_are_fine() {
    let packages = (0..1000).map(|version| package("kernel", version));
    let universe = Universe::from_packages(packages, "x86_64", []).unwrap();
    let build_requires = [dep("kernel < 500")];
    let resolution = Solver::new(&universe).resolve(&Request {
        build_group: &[],
        build_requires: &build_requires,
        weak_deps: true,
    });
    assert_eq!(
        universe.package(resolution.installs[0].package).to_string(),
        "kernel-0:499-1.x86_64"
    );
}

#[test]
fn everything_in_conflict_with_everything_is_refused() {
    let refusal = refusal((0..20_000).map(|i| Package {
        provides: vec![relation("anything")],
        conflicts: vec![dep("anything")],
        ..package(&format!("hermit{i}"), 1)
    }));
    assert!(refusal.contains("pairs of packages that exclude each other"), "{refusal}");
}

#[test]
fn everything_obsoleting_many_versions_is_refused() {
    let old = (0..3000).map(|version| package("old", version));
    let new = (0..20_000)
        .map(|i| Package { obsoletes: vec![relation("old")], ..package(&format!("new{i}"), 1) });
    let refusal = refusal(old.chain(new));
    assert!(refusal.contains("pairs of packages that exclude each other"), "{refusal}");
}

#[test]
fn thousands_of_relations_with_thousands_of_providers_each_are_refused() {
    let refusal = refusal((0..7_000).map(|i| Package {
        provides: vec![relation(&format!("api = {i}"))],
        requires: vec![dep(&format!("api >= {i}")).into()],
        ..package(&format!("client{i}"), 1)
    }));
    assert!(refusal.contains("packages in lists of providers"), "{refusal}");
}

#[test]
fn thousands_of_packages_with_the_same_large_rich_requirement_are_refused() {
    let refusal = refusal((0..20_000).map(|i| {
        Package {
            provides: vec![relation(if i % 2 == 0 { "even" } else { "odd" })],
            requires: vec![dep("(even if (first and second))").into()],
            ..package(
                match i {
                    1 => "first".to_owned(),
                    3 => "second".to_owned(),
                    _ => format!("member{i}"),
                }
                .as_str(),
                1,
            )
        }
    }));
    assert!(refusal.contains("packages in rich dependencies"), "{refusal}");
}

#[test]
fn many_relations_on_a_name_with_many_provides_are_refused_even_if_nothing_fits() {
    let refusal = refusal((0..20_000).map(|i| Package {
        provides: vec![relation(&format!("api = {i}"))],
        requires: vec![dep(&format!("api > 1:{i}")).into()],
        ..package(&format!("client{i}"), 1)
    }));
    assert!(refusal.contains("67108864 provides to be compared"), "{refusal}");
}

/// Nested alternatives multiply: each `and` within an `or` makes as many clauses as both have together, and more.
#[test]
fn a_rich_dependency_with_millions_of_alternatives_is_refused() {
    let pairs = |name: char| {
        let pairs: Vec<String> = (0..9).map(|i| format!("({name}{i} and {name}{i}x)")).collect();
        format!("({})", pairs.join(" or "))
    };
    let absurd = format!("({} or {})", pairs('a'), pairs('b'));
    let mut packages = Vec::new();
    for name in ['a', 'b'] {
        for i in 0..9 {
            packages.push(package(&format!("{name}{i}"), 1));
            packages.push(package(&format!("{name}{i}x"), 1));
        }
    }
    let asked = dep(&absurd);
    let universe = Universe::from_packages(packages.clone(), "x86_64", []).unwrap();
    let resolution = Solver::new(&universe).resolve(&Request {
        build_group: &[],
        build_requires: std::slice::from_ref(&asked),
        weak_deps: true,
    });
    assert_eq!(
        resolution.problems[0].to_string(),
        "Problem: a rich request has too many alternatives, with more than 100000 packages; it was not looked at"
    );

    for field in 0..3 {
        let mut packages = packages.clone();
        let mut absurd = package("absurd", 1);
        match field {
            0 => absurd.requires.push(asked.clone().into()),
            1 => absurd.recommends.push(asked.clone()),
            _ => absurd.suggests.push(asked.clone()),
        }
        packages.push(absurd);
        let refusal = refusal(packages);
        assert!(
            refusal.contains(
                "there are more than 100000 packages in the alternatives of one rich dependency \
                 (counted up to (((a0 and a0x) or "
            ),
            "{refusal}"
        );
    }
}

/// `(a1 if (a2 if (a3 … else b) else b) else b)`: each condition counts twice, so the innermost 2⁶⁰ times.
fn conditions(depth: usize) -> Dep {
    let mut text = "base".to_owned();
    for i in 0..depth {
        text = format!("(a{i} if {text} else b{i})");
    }
    dep(&text)
}

#[test]
fn conditions_within_conditions_do_not_double_the_work_for_ever() {
    let packages = || vec![package("base", 1), package("a59", 1)];
    let universe = Universe::from_packages(packages(), "x86_64", []).unwrap();
    let asked = conditions(60);
    let resolution = Solver::new(&universe).resolve(&Request {
        build_group: &[],
        build_requires: std::slice::from_ref(&asked),
        weak_deps: true,
    });
    assert!(
        resolution.problems[0].to_string().contains("too many alternatives"),
        "{}",
        resolution.problems[0]
    );
    for field in 0..3 {
        let mut packages = packages();
        let mut absurd = package("absurd", 1);
        match field {
            0 => absurd.requires.push(asked.clone().into()),
            1 => absurd.conflicts.push(asked.clone()),
            _ => absurd.recommends.push(asked.clone()),
        }
        packages.push(absurd);
        let refusal = refusal(packages);
        assert!(refusal.contains("in the alternatives of one rich dependency"), "{refusal}");
    }
    // What a package supplements is not made into clauses, and looks at each condition once.
    let mut packages = packages();
    packages.push(Package { supplements: vec![asked], ..package("late", 1) });
    Universe::from_packages(packages, "x86_64", []).unwrap();
}

#[test]
fn many_packages_obsoleting_many_versions_that_are_not_there_are_refused() {
    let old = (0..4000).map(|version| package("old", version));
    let new = (0..20_000).map(|i| Package {
        obsoletes: vec![relation("old > 1:1")],
        ..package(&format!("new{i}"), 1)
    });
    let refusal = refusal(old.chain(new));
    assert!(refusal.contains("packages to be compared with what obsoletes"), "{refusal}");
}

/// Each obsoletes the next one, and all of them would do: only the first is left, whoever follows the chain to its end.
#[test]
fn a_long_chain_of_packages_that_obsolete_each_other_is_followed() {
    const LENGTH: usize = 30_000;
    let packages = (0..LENGTH).map(|i| Package {
        provides: vec![relation("service")],
        obsoletes: vec![relation(&format!("p{:05}", i + 1))],
        ..package(&format!("p{i:05}"), 1)
    });
    let universe = Universe::from_packages(packages, "x86_64", []).unwrap();
    let build_requires = [dep("service")];
    // As much as a thread has where nothing else is said.
    let thread = std::thread::Builder::new().stack_size(2 << 20);
    let installed = std::thread::scope(|scope| {
        let solve = || {
            let request =
                Request { build_group: &[], build_requires: &build_requires, weak_deps: false };
            let resolution = Solver::new(&universe).resolve(&request);
            resolution.installs.iter().map(|i| universe.package(i.package).to_string()).collect()
        };
        let running: std::thread::ScopedJoinHandle<'_, Vec<String>> =
            thread.spawn_scoped(scope, solve).unwrap();
        running.join().unwrap()
    });
    assert_eq!(installed, ["p00000-0:1-1.x86_64"]);
}

/// As trees they take many times the memory of their text, and one repository can have millions.
#[test]
fn rich_dependencies_count_with_all_that_they_name() {
    let mut xml = String::from(
        "<metadata xmlns=\"http://linux.duke.edu/metadata/common\" \
         xmlns:rpm=\"http://linux.duke.edu/metadata/rpm\" packages=\"1100\">",
    );
    for i in 0..1100 {
        xml += &format!(
            "<package type=\"rpm\"><name>p{i}</name><arch>noarch</arch>\
             <version epoch=\"0\" ver=\"1\" rel=\"1\"/><format><rpm:requires>\
             <rpm:entry name=\"(u{i}{})\"/></rpm:requires></format></package>\n",
            " or a".repeat(4090)
        );
    }
    xml += "</metadata>";
    let error = Loader::new("x86_64", []).primary(xml.as_bytes()).expect_err("it is too large");
    assert!(error.to_string().contains("more than 16777216 relations and files"), "{error}");
}
