//! libsolv itself as judge: thousands of random repositories with every kind of relation, and the same answers.
//!
//! `DEPSOLVE_CASES` says how many (5,000 unless told), `DEPSOLVE_SEED` where to begin. A difference is reduced to the
//! smallest repository that still shows it and printed in the notation of `tests/notation`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail")]

mod judge;
mod notation;

use judge::{Answer, Judge};
use notation::Case;
use rpm::md::Package;
use rpm::{Dep, Nevra, Relation, Rich};

fn ours(case: &Case) -> Answer {
    let (installs, problems) = case.solve();
    Answer { resolved: problems.is_empty(), installs, problems }
}

fn differs(judge: &mut Judge, case: &Case) -> bool {
    let (theirs, ours) = (judge.ask(case), ours(case));
    (theirs.resolved != ours.resolved || theirs.installs != ours.installs)
        && excuse(judge, case, &ours).is_none()
}

/// splitmix64: the same numbers everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.next() % 100 < percent
    }

    fn pick<'a>(&mut self, all: &[&'a str]) -> &'a str {
        all[self.below(all.len())]
    }
}

const VERSIONS: &[&str] = &["1", "2", "1.1", "2~rc1", "2^git1", "10", "1:1", "1:0.5"];

/// Which kinds of relations a case has.
struct Features {
    names: usize,
    versions: bool,
    multilib: bool,
    rich: bool,
    conditions: bool,
    weak: bool,
    conflicts: bool,
    obsoletes: bool,
    files: bool,
}

struct Generator {
    random: Random,
    features: Features,
}

impl Generator {
    fn new(seed: u64) -> Self {
        let mut random = Random(seed);
        let features = Features {
            names: 3 + random.below(12),
            versions: random.chance(60),
            multilib: random.chance(25),
            rich: random.chance(50),
            conditions: random.chance(60),
            weak: random.chance(60),
            conflicts: random.chance(60),
            obsoletes: random.chance(30),
            files: random.chance(20),
        };
        Generator { random, features }
    }

    fn name(&mut self) -> String {
        let n = self.random.below(self.features.names + 2);
        match n.checked_sub(self.features.names) {
            None => format!("{}", char::from(b'a' + n as u8)),
            Some(n) => format!("virtual{n}"),
        }
    }

    fn relation(&mut self) -> Relation {
        if self.features.files && self.random.chance(15) {
            let n = self.random.below(4);
            return Relation::any(["/etc/a", "/usr/bin/b", "/usr/share/c", "/opt/d"][n]);
        }
        let name = self.name();
        if self.random.chance(65) {
            return Relation::any(name);
        }
        let op = self.random.pick(&["<", "<=", "=", ">=", ">"]);
        let mut version = self.random.pick(VERSIONS).to_owned();
        if self.random.chance(30) {
            version += self.random.pick(&["-1", "-2"]);
        }
        format!("{name} {op} {version}").parse().unwrap()
    }

    fn dep(&mut self, depth: usize) -> Dep {
        if !self.features.rich || depth > 2 || self.random.chance(if depth == 0 { 60 } else { 65 })
        {
            return Dep::Relation(self.relation());
        }
        let (a, b, c) = (self.dep(depth + 1), self.dep(depth + 1), self.dep(depth + 1));
        let text = match self.random.below(if self.features.conditions { 10 } else { 4 }) {
            0 | 1 => format!("({a} or {b})"),
            2 => format!("({a} or {b} or {c})"),
            3 => format!("({a} and {b})"),
            4 => format!("({a} with {b})"),
            5 => format!("({a} without {b})"),
            6 => format!("({a} if {b})"),
            7 => format!("({a} if {b} else {c})"),
            8 => format!("({a} unless {b})"),
            _ => format!("({a} unless {b} else {c})"),
        };
        text.parse().unwrap()
    }

    fn deps(&mut self, percent: u64, most: usize) -> Vec<Dep> {
        let mut deps = Vec::new();
        while deps.len() < most && self.random.chance(percent) {
            deps.push(self.dep(0));
        }
        deps
    }

    fn package(&mut self, name: &str, evr: &str, arch: &str) -> Package {
        let (epoch, version) = evr.split_once(':').unwrap_or(("0", evr));
        let release = self.random.pick(&["1", "1", "2"]);
        let mut package = Package {
            nevra: Nevra::new(name, epoch.parse().unwrap(), version, release, arch),
            ..Package::default()
        };
        while self.random.chance(25) {
            let mut provide = self.relation();
            if self.random.chance(50) {
                provide.name = format!("virtual{}", self.random.below(2));
            }
            package.provides.push(provide);
        }
        package.requires = self.deps(55, 4).into_iter().map(Into::into).collect();
        if self.features.conflicts {
            package.conflicts = self.deps(25, 2);
        }
        if self.features.obsoletes {
            while self.random.chance(25) {
                let relation = self.relation();
                package.obsoletes.push(relation);
            }
        }
        if self.features.weak {
            package.recommends = self.deps(35, 3);
            package.suggests = self.deps(20, 2);
            package.supplements = self.deps(20, 2);
            package.enhances = self.deps(15, 2);
        }
        if self.features.files {
            for path in ["/etc/a", "/usr/bin/b", "/usr/share/c", "/opt/d"] {
                if self.random.chance(15) {
                    package.files.push(path.to_owned());
                }
            }
        }
        package
    }

    fn case(&mut self) -> Case {
        let mut packages = Vec::new();
        for n in 0..self.features.names {
            let name = format!("{}", char::from(b'a' + n as u8));
            let count = if self.features.versions { 1 + self.random.below(3) } else { 1 };
            for _ in 0..count {
                let evr = if self.features.versions { self.random.pick(VERSIONS) } else { "1" };
                if self.features.multilib {
                    let archs: &[&str] = match self.random.below(5) {
                        0 => &["noarch"],
                        1 => &["x86_64"],
                        2 => &["i686"],
                        _ => &["i686", "x86_64"],
                    };
                    for arch in archs {
                        let package = self.package(&name, evr, arch);
                        packages.push(package);
                    }
                } else {
                    let arch = self.random.pick(&["x86_64", "x86_64", "noarch"]);
                    let package = self.package(&name, evr, arch);
                    packages.push(package);
                }
            }
        }
        // The same name, version and architecture twice is no repository.
        let mut known = std::collections::HashSet::new();
        packages.retain(|package| known.insert(package.nevra.clone()));
        if self.random.chance(50) {
            // The order of the repository has a meaning of its own.
            for i in (1..packages.len()).rev() {
                let j = self.random.below(i + 1);
                packages.swap(i, j);
            }
        }
        let mut group = Vec::new();
        while self.random.chance(40) {
            group.push(self.name());
        }
        let mut requires = vec![self.dep(0)];
        requires.extend(self.deps(60, 4));
        Case { packages, group, requires, weak: self.random.chance(75) }
    }
}

/// Every case that is one step smaller.
fn smaller(case: &Case) -> Vec<Case> {
    let mut all = Vec::new();
    for i in 0..case.packages.len() {
        let mut next = case.clone();
        next.packages.remove(i);
        all.push(next);
    }
    for i in 0..case.group.len() {
        let mut next = case.clone();
        next.group.remove(i);
        all.push(next);
    }
    for i in 0..case.requires.len() {
        let mut next = case.clone();
        next.requires.remove(i);
        all.push(next);
    }
    for i in 0..case.packages.len() {
        macro_rules! without_each {
            ($field:ident) => {
                for j in 0..case.packages[i].$field.len() {
                    let mut next = case.clone();
                    next.packages[i].$field.remove(j);
                    all.push(next);
                }
            };
        }
        without_each!(provides);
        without_each!(requires);
        without_each!(conflicts);
        without_each!(obsoletes);
        without_each!(recommends);
        without_each!(suggests);
        without_each!(supplements);
        without_each!(enhances);
        without_each!(files);
    }
    all
}

fn reduce(judge: &mut Judge, mut case: Case) -> Case {
    'again: loop {
        for next in smaller(&case) {
            if differs(judge, &next) {
                case = next;
                continue 'again;
            }
        }
        return case;
    }
}

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).map_or(default, |text| text.parse().expect(variable))
}

#[test]
fn random_repositories_are_solved_as_by_libsolv() {
    let cases = number("DEPSOLVE_CASES", 5000);
    let first = number("DEPSOLVE_SEED", 1);
    let shown = number("DEPSOLVE_SHOWN", 5) as usize;
    let mut judge = Judge::new();
    let (mut resolved, mut failures, mut excused) = (0, Vec::new(), 0);
    for seed in first..first + cases {
        let case = Generator::new(seed).case();
        let theirs = judge.ask(&case);
        let ours = ours(&case);
        resolved += u64::from(theirs.resolved);
        assert_eq!(inconsistent(&case, &ours.installs), [""; 0], "seed {seed}:\n{case}{ours:?}");
        if theirs.resolved == ours.resolved && theirs.installs == ours.installs {
            continue;
        }
        if excuse(&mut judge, &case, &ours).is_some() {
            excused += 1;
            continue;
        }
        failures.push(seed);
        if failures.len() <= shown {
            let case = reduce(&mut judge, case);
            let theirs = judge.ask(&case);
            let ours = self::ours(&case);
            println!("seed {seed}:\n{}theirs: {theirs:?}\nours:   {ours:?}\n", case);
        }
    }
    println!("{cases} cases, {resolved} resolved, {} differ, {excused} excused", failures.len());
    assert!(
        resolved > cases / 4,
        "random repositories that can mostly not be solved prove nothing"
    );
    assert!(failures.is_empty(), "{} of {cases} differ: {failures:?}", failures.len());
}

/// Differences that are known, and why ours is right.
fn excuse(judge: &mut Judge, case: &Case, ours: &Answer) -> Option<&'static str> {
    let conditional = |dep: &Dep| {
        let text = dep.to_string();
        text.contains(" if ") || text.contains(" unless ")
    };
    let mut weak = case.packages.iter().flat_map(|p| p.recommends.iter().chain(&p.supplements));
    if case.requires.iter().any(conditional) || weak.any(conditional) {
        // libsolv does not see the packages that a job or a weak dependency can only lead to through a condition
        // (with `else`, or nested): it gives them no rules and installs them with broken requirements. A supplement
        // that never holds, but could, makes it see them; then it has to agree. It is shown those whose requirements
        // it breaks, until it breaks none; or else all, since an answer can be good by luck.
        let mut shown = case.clone();
        loop {
            let theirs = judge.ask(&shown);
            if theirs.resolved == ours.resolved && theirs.installs == ours.installs {
                return Some("packages behind conditions");
            }
            let broken = inconsistent(&shown, &theirs.installs);
            if !show(&mut shown, |package| broken.contains(&package.nevra.to_string())) {
                break;
            }
        }
        show(&mut shown, |_| true);
        let theirs = judge.ask(&shown);
        if theirs.resolved == ours.resolved && theirs.installs == ours.installs {
            return Some("packages behind conditions");
        }
    }
    let path_within = |dep: &Dep| matches!(dep, Dep::Rich(_)) && dep.to_string().contains('/');
    if case.requires.iter().any(path_within) {
        // libsolv looks for a path within a rich job among provides only; spelled alone it looks among files, too.
        return Some("paths within rich jobs");
    }
    None
}

/// Makes libsolv see these packages, whether or not anything leads to them. Returns whether any of them is new.
fn show(case: &mut Case, which: impl Fn(&Package) -> bool) -> bool {
    let never: Dep = "(nothing1 unless nothing2)".parse().unwrap();
    let mut any = false;
    for package in &mut case.packages {
        if which(package) && !package.enhances.contains(&never) {
            package.enhances.push(never.clone());
            any = true;
        }
    }
    any
}

/// Packages that are installed without something that they require or beside something that they conflict with:
/// the definition, without any of the solver's machinery.
fn inconsistent(case: &Case, installs: &[String]) -> Vec<String> {
    let installed: Vec<&Package> =
        case.packages.iter().filter(|p| installs.contains(&p.nevra.to_string())).collect();
    let is_consistent = |package: &Package| {
        package.requires.iter().all(|requirement| holds(&installed, &requirement.dep))
            && package.conflicts.iter().all(|dep| {
                let others: Vec<&Package> =
                    installed.iter().copied().filter(|p| p.nevra != package.nevra).collect();
                matches!(dep, Dep::Rich(_)) || !holds(&others, dep)
            })
            && package.obsoletes.iter().all(|relation| {
                installed.iter().all(|other| {
                    let bare = Package { nevra: other.nevra.clone(), ..Package::default() };
                    other.nevra == package.nevra
                        || !provides(&bare, &Dep::Relation(relation.clone()))
                })
            })
    };
    let broken = installed.iter().filter(|package| !is_consistent(package));
    broken.map(|package| package.nevra.to_string()).collect()
}

fn provides(package: &Package, dep: &Dep) -> bool {
    match dep {
        Dep::Relation(relation) => {
            let nevra = &package.nevra;
            let evr = format!("{}:{}-{}", nevra.epoch, nevra.version, nevra.release);
            let own = Relation::versioned(&nevra.name, rpm::Op::Eq, &evr).unwrap();
            own.overlaps(relation)
                || package.provides.iter().any(|provide| provide.overlaps(relation))
                || (relation.constraint.is_none() && package.files.contains(&relation.name))
        }
        Dep::Rich(Rich::With(all)) => all.iter().all(|dep| provides(package, dep)),
        Dep::Rich(Rich::Without(a, b)) => provides(package, a) && !provides(package, b),
        Dep::Rich(Rich::Or(all) | Rich::And(all)) => all.iter().any(|dep| provides(package, dep)),
        Dep::Rich(
            Rich::If { then, condition: _, otherwise }
            | Rich::Unless { then, condition: _, otherwise },
        ) => {
            provides(package, then)
                || otherwise.as_ref().is_some_and(|otherwise| provides(package, otherwise))
        }
    }
}

fn holds(installed: &[&Package], dep: &Dep) -> bool {
    match dep {
        Dep::Rich(Rich::And(all)) => all.iter().all(|dep| holds(installed, dep)),
        Dep::Rich(Rich::Or(all)) => all.iter().any(|dep| holds(installed, dep)),
        Dep::Rich(Rich::If { then, condition, otherwise }) => {
            if holds(installed, condition) {
                holds(installed, then)
            } else {
                otherwise.as_ref().is_none_or(|otherwise| holds(installed, otherwise))
            }
        }
        Dep::Rich(Rich::Unless { then, condition, otherwise }) => {
            if holds(installed, condition) {
                otherwise.as_ref().is_some_and(|otherwise| holds(installed, otherwise))
            } else {
                holds(installed, then)
            }
        }
        _ => installed.iter().any(|package| provides(package, dep)),
    }
}
