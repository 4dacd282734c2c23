//! A small repository, and what is asked of it, from a few bytes: so that a change of one byte is a change of one
//! relation, and not of one letter somewhere in XML.

use rpm::md::{Package, Requirement};
use rpm::{Dep, Nevra, Op, Relation, Rich};

/// What is asked.
#[derive(Debug, Clone, Default)]
pub struct Question {
    /// The build group.
    pub group: Vec<String>,
    /// The BuildRequires.
    pub requires: Vec<Dep>,
    /// Whether weak dependencies are followed.
    pub weak: bool,
}

/// Takes numbers from the bytes; when they are used up, zeros.
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn next(&mut self) -> usize {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        usize::from(*first)
    }

    fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.next() % of.len()]
    }
}

const NAMES: [&str; 12] =
    ["a", "b", "c", "d", "e", "f", "g", "h", "lib", "api", "/usr/bin/tool", "/opt/tool"];
const EVRS: [&str; 8] = ["1-1", "2-1", "2-2", "1:1-1", "2~rc1-1", "2^git-1", "2", "0:2-1"];
const ARCHS: [&str; 4] = ["x86_64", "noarch", "i686", "x86_64"];
const OPS: [Op; 5] = [Op::Eq, Op::Ge, Op::Le, Op::Lt, Op::Gt];

/// Reads the bytes as up to 40 packages and up to four questions.
pub fn repository(data: &[u8]) -> (Vec<Package>, Vec<Question>) {
    let mut bytes = Bytes(data);
    let questions = (0..=bytes.next() % 4).map(|_| question(&mut bytes)).collect();
    let mut packages = Vec::new();
    while !bytes.0.is_empty() && packages.len() < 40 {
        packages.push(package(&mut bytes));
    }
    (packages, questions)
}

fn question(bytes: &mut Bytes<'_>) -> Question {
    let shape = bytes.next();
    Question {
        group: (0..shape % 3).map(|_| relation(bytes).to_string()).collect(),
        requires: (0..=(shape / 3) % 4).map(|_| dep(bytes, 0)).collect(),
        weak: shape & 0x80 != 0,
    }
}

fn package(bytes: &mut Bytes<'_>) -> Package {
    let evr: rpm::Evr = bytes.one(&EVRS).parse().expect("a version");
    let nevra =
        Nevra::new(bytes.one(&NAMES[..10]), evr.epoch, evr.version, evr.release, bytes.one(&ARCHS));
    let mut package = Package { nevra, ..Package::default() };
    for _ in 0..bytes.next() % 8 {
        match bytes.next() % 14 {
            0 | 1 | 12 => package.provides.push(relation(bytes)),
            2..=4 => {
                let dep = dep(bytes, 0);
                package.requires.push(Requirement { pre: bytes.next() % 2 == 1, dep });
            }
            5 => package.conflicts.push(dep(bytes, 0)),
            6 => package.obsoletes.push(relation(bytes)),
            7 | 13 => package.recommends.push(dep(bytes, 0)),
            8 => package.suggests.push(dep(bytes, 0)),
            9 => package.supplements.push(dep(bytes, 0)),
            10 => package.enhances.push(dep(bytes, 0)),
            _ => package.files.push(bytes.one(&NAMES[10..]).to_owned()),
        }
    }
    package
}

fn relation(bytes: &mut Bytes<'_>) -> Relation {
    let name = match bytes.next() {
        250.. => "rpmlib(Something)",
        n => NAMES[n % NAMES.len()],
    };
    match bytes.next() {
        n if n % 3 == 0 => {
            Relation::versioned(name, OPS[(n / 3) % 5], bytes.one(&EVRS)).expect("a relation")
        }
        _ => Relation::any(name),
    }
}

fn dep(bytes: &mut Bytes<'_>, depth: usize) -> Dep {
    let kind = bytes.next();
    if depth > 3 || kind < 160 {
        return Dep::Relation(relation(bytes));
    }
    let boxed = |bytes: &mut Bytes<'_>| Box::new(dep(bytes, depth + 1));
    let several = |bytes: &mut Bytes<'_>| {
        (0..2 + bytes.next() % 3).map(|_| dep(bytes, depth + 1)).collect::<Vec<_>>()
    };
    Dep::Rich(match kind % 8 {
        0 => Rich::And(several(bytes)),
        1 => Rich::Or(several(bytes)),
        2 => Rich::With(several(bytes)),
        3 => Rich::Without(boxed(bytes), boxed(bytes)),
        kind => {
            let (then, condition) = (boxed(bytes), boxed(bytes));
            let otherwise = (kind % 2 == 1).then(|| boxed(bytes));
            if kind < 6 {
                Rich::If { then, condition, otherwise }
            } else {
                Rich::Unless { then, condition, otherwise }
            }
        }
    })
}
