//! Random repositories with every kind of relation, and random requests.
//!
//! They are small, so that packages have much to do with each other, and each has its own mixture of features, so that
//! now and then a few of them are alone together.

#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use rpm::md::{Package, Requirement};
use rpm::{Dep, Nevra, Relation};

use crate::notation::Case;

/// splitmix64: the same numbers everywhere.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    pub(crate) fn chance(&mut self, percent: u64) -> bool {
        self.next() % 100 < percent
    }

    pub(crate) fn pick<'a>(&mut self, all: &[&'a str]) -> &'a str {
        all[self.below(all.len())]
    }
}

const VERSIONS: &[&str] = &["1", "2", "1.1", "2~rc1", "2^git1", "10", "1:1", "1:0.5"];
const RELEASES: &[&str] = &["1", "1", "1", "2", "2", "1.fc40", "0~rc1", "1^git2"];
/// Versions of provides that are hashes to libsolv's policy, or nearly.
const HASHES: &[&str] = &["0a1b", "12345", "beef", "0a1B", "fee", "1:beef", "beef-1"];
const PATHS: &[&str] = &["/etc/a", "/usr/bin/b", "/usr/share/c", "/opt/d"];

/// Which architectures packages of a machine's repository may have, with one that it cannot run.
const MACHINES: &[(&str, &[&str])] = &[
    ("x86_64", &["i686", "x86_64"]),
    ("x86_64", &["i686", "x86_64", "i386"]),
    ("x86_64", &["i586", "i686", "x86_64", "ppc64le"]),
    ("i686", &["i686", "i586", "x86_64", "i386"]),
    ("s390x", &["s390", "s390x"]),
    ("aarch64", &["aarch64", "armv7hl"]),
    ("ppc64le", &["ppc64le", "ppc64"]),
];

/// Which kinds of relations a case has.
struct Features {
    names: usize,
    machine: Option<(&'static str, &'static [&'static str])>,
    versions: bool,
    rich: bool,
    conditions: bool,
    weak: bool,
    conflicts: bool,
    obsoletes: bool,
    files: bool,
    common_provides: bool,
    /// Much is required and much is forbidden, so that there are dead ends.
    tense: bool,
}

/// Makes one case from one seed.
pub(crate) struct Generator {
    random: Random,
    features: Features,
}

impl Generator {
    pub(crate) fn new(seed: u64) -> Self {
        let mut random = Random(seed);
        let names = if random.chance(10) { 15 + random.below(25) } else { 3 + random.below(12) };
        let machine = random.chance(25).then(|| MACHINES[random.below(MACHINES.len())]);
        let features = Features {
            names,
            machine,
            versions: random.chance(60),
            rich: random.chance(50),
            conditions: random.chance(60),
            weak: random.chance(60),
            conflicts: random.chance(60),
            obsoletes: random.chance(30),
            files: random.chance(20),
            common_provides: random.chance(15),
            tense: random.chance(30),
        };
        Generator { random, features }
    }

    /// The same for a machine of one architecture.
    pub(crate) fn of_arch(seed: u64, arch: &str) -> Self {
        let mut generator = Generator::new(seed);
        let of_arch: Vec<_> = MACHINES.iter().filter(|machine| machine.0 == arch).collect();
        generator.features.machine = Some(*of_arch[generator.random.below(of_arch.len())]);
        generator
    }

    fn own_name(&self, n: usize) -> String {
        let letter = char::from(b'a' + (n % 26) as u8);
        if n < 26 { letter.to_string() } else { format!("{letter}{}", n / 26) }
    }

    fn name(&mut self) -> String {
        let n = self.random.below(self.features.names + 2);
        match n.checked_sub(self.features.names) {
            None => self.own_name(n),
            Some(n) => format!("virtual{n}"),
        }
    }

    fn relation(&mut self) -> Relation {
        if self.random.chance(1) {
            return "rpmlib(Test) <= 1".parse().unwrap();
        }
        let is_path = self.features.files && self.random.chance(15);
        let name = if is_path { self.random.pick(PATHS).to_owned() } else { self.name() };
        // Nobody asks for a version of a file, but it can be written.
        if self.random.chance(if is_path { 90 } else { 65 }) {
            return Relation::any(name);
        }
        let op = self.random.pick(&["<", "<=", "=", ">=", ">"]);
        let mut version = self.random.pick(VERSIONS).to_owned();
        if self.random.chance(30) {
            version = format!("{version}-{}", self.random.pick(RELEASES));
        }
        format!("{name} {op} {version}").parse().unwrap()
    }

    fn dep(&mut self, depth: usize) -> Dep {
        if !self.features.rich || depth > 3 || self.random.chance(if depth == 0 { 60 } else { 65 })
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
        let release = self.random.pick(RELEASES);
        let nevra = Nevra::new(name, epoch.parse().unwrap(), version, release, arch);
        let mut package = Package { nevra, ..Package::default() };
        if self.random.chance(20) {
            // As packages do that rpm has built.
            let own = format!("{name} = {evr}-{release}");
            package.provides.push(own.parse().unwrap());
        }
        while self.random.chance(25) {
            let mut provide = self.relation();
            if self.random.chance(50) || provide.name.starts_with("rpmlib(") {
                provide.name = format!("virtual{}", self.random.below(2));
            }
            package.provides.push(provide);
        }
        if self.features.common_provides && self.random.chance(60) {
            // What candidates are ordered by.
            let versions = if self.random.chance(30) { HASHES } else { VERSIONS };
            let (op, version) =
                (self.random.pick(&["=", "=", "<=", "<"]), self.random.pick(versions));
            package.provides.push(format!("virtual0 {op} {version}").parse().unwrap());
            if self.random.chance(40) {
                let version = self.random.pick(VERSIONS);
                package.provides.push(format!("abi {op} {version}").parse().unwrap());
            }
        }
        let percent = if self.features.tense { 75 } else { 55 };
        for dep in self.deps(percent, 4) {
            let pre = self.random.chance(10);
            package.requires.push(Requirement { dep, pre });
        }
        if self.features.conflicts {
            let percent = if self.features.tense { 45 } else { 25 };
            package.conflicts = self.deps(percent, 2);
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
            // A listed difference (crate documentation).
            package.recommends.retain(|dep| !names_system_among_others(dep));
            package.suggests.retain(|dep| !names_system_among_others(dep));
            package.supplements = self.deps(20, 2);
            package.enhances = self.deps(15, 2);
        }
        if self.features.files {
            for path in PATHS {
                if self.random.chance(15) {
                    package.files.push((*path).to_owned());
                }
            }
        }
        package
    }

    pub(crate) fn case(&mut self) -> Case {
        let mut packages = Vec::new();
        for n in 0..self.features.names {
            let name = self.own_name(n);
            let count = if self.features.versions { 1 + self.random.below(3) } else { 1 };
            for _ in 0..count {
                let evr = if self.features.versions { self.random.pick(VERSIONS) } else { "1" };
                if let Some((_, archs)) = self.features.machine {
                    let archs: Vec<&str> = match self.random.below(5) {
                        0 => vec!["noarch"],
                        1 | 2 => vec![self.random.pick(archs)],
                        _ => archs.to_vec(),
                    };
                    let release = self.random.pick(RELEASES);
                    for arch in archs {
                        let mut package = self.package(&name, evr, arch);
                        if self.features.machine.is_some() && self.random.chance(70) {
                            // The halves of a multilib package are of one build.
                            release.clone_into(&mut package.nevra.release);
                            package.provides.retain(|provide| provide.name != name);
                        }
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
            group.push(if self.features.files && self.random.chance(15) {
                self.random.pick(PATHS).to_owned()
            } else {
                self.name()
            });
        }
        let mut requires = vec![self.dep(0)];
        requires.extend(self.deps(60, 4));
        // The proof for paths within rich requests knows of no versions.
        requires.retain(|dep| !names_version_of_path(dep));
        let arch = self.features.machine.map_or("x86_64", |(machine, _)| machine).to_owned();
        Case { arch, packages, group, requires, weak: self.random.chance(75) }
    }
}

fn names_version_of_path(dep: &Dep) -> bool {
    let mut found = false;
    dep.for_each_relation(&mut |relation| {
        found |= relation.name.starts_with('/') && relation.constraint.is_some();
    });
    found
}

fn names_system_among_others(dep: &Dep) -> bool {
    let mut found = false;
    dep.for_each_relation(&mut |relation| found |= relation.name.starts_with("rpmlib("));
    found && matches!(dep, Dep::Rich(_))
}
