//! Which architectures a machine can run, and which it prefers: libsolv's policies.

/// How much an architecture is liked: 0 not at all, [`NOARCH`] for `noarch`, else the smaller the better.
pub(crate) type Score = u8;

/// The score of packages that run everywhere.
pub(crate) const NOARCH: Score = 1;

/// What a machine of one architecture can run, best first.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ArchPolicy {
    runs: &'static [&'static str],
}

/// The machines whose policies are known, best architecture first, as libsolv has them for every distribution. (Where it
/// is built for Fedora, x86_64 runs `athlon` as well, which no repository has had for many years.)
const POLICIES: [&[&str]; 5] = [
    &["x86_64", "i686", "i586", "i486", "i386"],
    &["aarch64"],
    &["ppc64le"],
    &["s390x", "s390"],
    &["i686", "i586", "i486", "i386"],
];

/// The architectures of machines that packages can be resolved for.
pub const ARCHITECTURES: [&str; 5] = ["x86_64", "aarch64", "ppc64le", "s390x", "i686"];

impl ArchPolicy {
    /// Nothing for a machine whose policy is not known.
    pub(crate) fn new(arch: &str) -> Option<Self> {
        let runs = POLICIES.iter().find(|runs| runs.first() == Some(&arch))?;
        Some(ArchPolicy { runs })
    }

    /// 0 for what the machine cannot run.
    pub(crate) fn score(&self, arch: &str) -> Score {
        if arch == "noarch" {
            return NOARCH;
        }
        match self.runs.iter().position(|runs| *runs == arch) {
            Some(position) => NOARCH + 1 + position as Score,
            None => 0,
        }
    }
}

/// Packages of one name exclude each other when their colours have a bit in common: 64-bit and 32-bit builds of one
/// package may be installed together, `noarch` goes with neither.
pub(crate) fn colour(arch: &str) -> u8 {
    if arch == "noarch" {
        3
    } else if arch == "s390x" || arch.contains("64") {
        2
    } else {
        1
    }
}
