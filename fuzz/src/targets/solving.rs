//! From a repository to answers: what is installed keeps every promise, what cannot be installed has a reason, and a
//! universe that was saved and loaded answers as before.

use depsolve::{PackageId, Request, Resolution, Solver, Universe};
use rpm::md::{self, Package};
use rpm::{Dep, Rich};

use super::is_clear;
use crate::repository::{Question, repository};

const ARCH: &str = "x86_64";

/// `primary.xml`, loaded, asked, and explained.
pub(crate) fn resolve(data: &[u8]) {
    let paths = ["/usr/bin/tool".to_owned(), "/a".to_owned()];
    let universe = match Universe::load(data, None::<&[u8]>, ARCH, paths) {
        Ok(universe) => universe,
        Err(error) => {
            is_clear(&error);
            assert!(!error.is_transient(), "{error}: the bytes will be the same tomorrow");
            return;
        }
    };
    let packages: Vec<Package> =
        md::primary::Reader::new(data).unwrap().map(Result::unwrap).collect();
    let mut questions = Vec::new();
    for (i, package) in packages.iter().take(8).enumerate() {
        let name = &package.nevra.name;
        questions.push(Question {
            group: vec![name.clone()],
            requires: package.requires.iter().take(20).map(|r| r.dep.clone()).collect(),
            weak: i % 2 == 0,
        });
        let recommended = package.recommends.iter().take(3).cloned();
        let suggested = package.suggests.iter().take(3).cloned();
        questions.push(Question {
            group: Vec::new(),
            requires: recommended.chain(suggested).collect(),
            weak: i % 2 == 1,
        });
    }
    ask(&universe, &packages, &questions);
}

/// A small repository, see [`crate::repository`].
pub(crate) fn solve(data: &[u8]) {
    let (packages, questions) = repository(data);
    // By way of XML, so that reader and writer are part of it.
    let written = md::write::complete_primary_xml(&packages);
    let paths = ["/usr/bin/tool".to_owned()];
    let universe = match Universe::load(written.as_bytes(), None::<&[u8]>, ARCH, paths.clone()) {
        Ok(universe) => universe,
        Err(error) => panic!("so small a repository is refused: {error}\n{written}"),
    };
    let direct = Universe::from_packages(packages.clone(), ARCH, paths).expect("as above");
    assert_eq!(saved(&direct), saved(&universe), "{written}");
    ask(&universe, &packages, &questions);
}

/// A cache file: as it is, and as the arrays of one with a checksum that fits.
pub(crate) fn cache(data: &[u8]) {
    // What was not made on purpose is found out by its checksum; that makes this half quick.
    let open = |file: &[u8]| match Universe::open(file) {
        Ok(universe) => Some(universe),
        Err(error) => {
            is_clear(&error);
            None
        }
    };
    if let Some(universe) = open(data) {
        assert!(saved(&universe) == data, "it is read, and saved as something else");
    }
    let file = depsolve::sealed_cache(data);
    let Some(universe) = open(&file) else { return };
    // What can be derived may be told otherwise by the file; it is derived, and from then on it is the same.
    let file = saved(&universe);
    let again = open(&file).expect("what was saved can be read");
    assert!(saved(&again) == file, "it is read, and saved as something else");
    let mut solver = Solver::new(&universe);
    let mut questions = Vec::new();
    for package in universe.packages().take(6) {
        questions.push(Dep::Relation(rpm::Relation::any(universe.package(package).name)));
    }
    questions.push("(a if b else lib)".parse().unwrap());
    questions.push("/usr/bin/tool".parse().unwrap());
    for question in &questions {
        for weak_deps in [true, false] {
            let build_requires = std::slice::from_ref(question);
            let request = Request { build_group: &["a".to_owned()], build_requires, weak_deps };
            told(&solver.resolve(&request));
        }
    }
}

fn saved(universe: &Universe) -> Vec<u8> {
    let mut file = Vec::new();
    universe.save(&mut file).unwrap();
    file
}

/// Every problem says something.
fn told(resolution: &Resolution) {
    for problem in &resolution.problems {
        assert!(!problem.to_string().trim().is_empty(), "{problem:?}");
    }
    for install in &resolution.installs {
        assert!(install.distance.is_none_or(|distance| (1..=4).contains(&distance)));
    }
}

/// Asks, and judges the answers by nothing but what the packages say.
fn ask(universe: &Universe, packages: &[Package], questions: &[Question]) {
    let runnable: Vec<&Package> = packages
        .iter()
        .filter(|package| {
            matches!(
                package.nevra.arch.as_str(),
                "x86_64" | "i686" | "i586" | "i486" | "i386" | "athlon" | "noarch"
            )
        })
        .collect();
    assert_eq!(runnable.len(), universe.len());
    for (id, package) in universe.packages().zip(&runnable) {
        assert_eq!(universe.package(id).to_string(), package.nevra.to_string());
    }
    let file = saved(universe);
    let loaded = Universe::open(file.as_slice()).expect("what was saved can be read");
    assert!(saved(&loaded) == file, "it is read, and saved as something else");
    let mut used = Solver::new(universe);
    for question in questions {
        let request = Request {
            build_group: &question.group,
            build_requires: &question.requires,
            weak_deps: question.weak,
        };
        let resolution = used.resolve(&request);
        told(&resolution);
        assert_eq!(used.resolve(&request), resolution, "asked again: {question:?}");
        assert_eq!(
            Solver::new(universe).resolve(&request),
            resolution,
            "a new solver: {question:?}"
        );
        assert_eq!(
            Solver::new(&loaded).resolve(&request),
            resolution,
            "from the cache: {question:?}"
        );
        if resolution.resolved() {
            Judge::new(universe, &runnable, &resolution).judge(question);
        } else {
            assert!(resolution.installs.is_empty(), "problems, and yet installed: {resolution:?}");
        }
    }
}

/// Whether a set of packages keeps the promises of each.
struct Judge<'a> {
    universe: &'a Universe,
    packages: &'a [&'a Package],
    installed: Vec<bool>,
}

impl<'a> Judge<'a> {
    fn new(universe: &'a Universe, packages: &'a [&'a Package], resolution: &Resolution) -> Self {
        let mut installed = vec![false; packages.len()];
        for install in &resolution.installs {
            let place = &mut installed[install.package.0 as usize];
            assert!(!*place, "{} twice", universe.package(install.package));
            *place = true;
        }
        Judge { universe, packages, installed }
    }

    fn set(&self) -> impl Iterator<Item = (usize, &'a Package)> + '_ {
        self.packages.iter().enumerate().filter(|(i, _)| self.installed[*i]).map(|(i, p)| (i, *p))
    }

    fn judge(&self, question: &Question) {
        for dep in &question.requires {
            // A rich one that nothing matches is skipped.
            let skipped = matches!(dep, Dep::Rich(_)) && self.universe.providers(dep).is_empty();
            assert!(skipped || self.holds(dep), "asked for and not there: {dep}; {self:?}");
        }
        for (i, package) in self.set() {
            let who = &package.nevra;
            for requirement in &package.requires {
                assert!(
                    self.holds(&requirement.dep),
                    "{who} requires {}; {self:?}",
                    requirement.dep
                );
            }
            for conflict in &package.conflicts {
                // A package may conflict with what it provides itself.
                if !self.universe.providers(conflict).contains(&PackageId(i as u32))
                    && !is_system(conflict)
                    && !self.mentions_itself(conflict, i)
                {
                    assert!(!self.holds(conflict), "{who} conflicts with {conflict}; {self:?}");
                }
            }
            for (j, other) in self.set().filter(|(j, _)| *j != i) {
                let that = &other.nevra;
                assert!(
                    that.name != who.name || colour(&that.arch) & colour(&who.arch) == 0,
                    "{who} and {that} (number {j}) are both installed; {self:?}"
                );
                for obsolete in &package.obsoletes {
                    let own = rpm::Relation::versioned(
                        that.name.as_str(),
                        rpm::Op::Eq,
                        &that.evr().to_string(),
                    );
                    if let Ok(own) = own {
                        assert!(!obsolete.overlaps(&own), "{who} obsoletes {that}; {self:?}");
                    }
                }
            }
        }
    }

    /// Whether this package, or the system, has to do with a dependency.
    fn mentions_itself(&self, dep: &Dep, package: usize) -> bool {
        let mut found = false;
        dep.for_each_relation(&mut |relation| {
            found |= relation.name.starts_with("rpmlib(");
            let providers = self.universe.providers(&Dep::Relation(relation.clone()));
            found |= providers.contains(&PackageId(package as u32));
        });
        found
    }

    /// What a dependency means, said in the words of rpm's manual.
    fn holds(&self, dep: &Dep) -> bool {
        match dep {
            Dep::Rich(Rich::And(all)) => all.iter().all(|dep| self.holds(dep)),
            Dep::Rich(Rich::Or(all)) => all.iter().any(|dep| self.holds(dep)),
            Dep::Rich(Rich::If { then, condition, otherwise }) => {
                if self.holds(condition) {
                    self.holds(then)
                } else {
                    otherwise.as_ref().is_none_or(|dep| self.holds(dep))
                }
            }
            Dep::Rich(Rich::Unless { then, condition, otherwise }) => {
                if self.holds(condition) {
                    otherwise.as_ref().is_some_and(|dep| self.holds(dep))
                } else {
                    self.holds(then)
                }
            }
            _ => {
                let providers = self.universe.providers(dep);
                providers.iter().any(|p| self.installed[p.0 as usize])
                    || (providers.is_empty() && is_system(dep))
            }
        }
    }
}

impl std::fmt::Debug for Judge<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("installed:")?;
        self.set().try_for_each(|(_, package)| write!(f, " {}", package.nevra))
    }
}

fn is_system(dep: &Dep) -> bool {
    matches!(dep, Dep::Relation(relation) if relation.name.starts_with("rpmlib(") && relation.constraint.is_some())
}

/// 64-bit and 32-bit builds of one package may be installed together, `noarch` goes with neither.
fn colour(arch: &str) -> u8 {
    match arch {
        "noarch" => 3,
        "x86_64" => 2,
        _ => 1,
    }
}
