//! Which architectures a machine can run, and which it prefers: libsolv's policies.

/// How much an architecture is liked: 0 not at all, [`NOARCH`] for `noarch`, else the smaller the better.
pub(crate) type Score = u8;

/// The score of packages that run everywhere.
pub(crate) const NOARCH: Score = 1;

/// What a machine of one architecture can run, best first.
#[derive(Debug, Clone)]
pub(crate) struct ArchPolicy {
    runs: Vec<String>,
}

impl ArchPolicy {
    pub(crate) fn new(arch: &str) -> Self {
        let others: &[&str] = match arch {
            "x86_64" | "amd64" | "ia32e" => &["athlon", "i686", "i586", "i486", "i386"],
            "athlon" => &["i686", "i586", "i486", "i386"],
            "i686" => &["i586", "i486", "i386"],
            "i586" => &["i486", "i386"],
            "i486" => &["i386"],
            "s390x" => &["s390"],
            "ppc64" => &["ppc"],
            _ => &[],
        };
        let best = if arch == "amd64" || arch == "ia32e" { "x86_64" } else { arch };
        let runs = std::iter::once(best).chain(others.iter().copied()).map(str::to_owned).collect();
        ArchPolicy { runs }
    }

    /// 0 for what the machine cannot run.
    pub(crate) fn score(&self, arch: &str) -> Score {
        if arch == "noarch" {
            return NOARCH;
        }
        match self.runs.iter().position(|runs| runs == arch) {
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
