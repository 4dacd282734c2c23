//! Canonical architectures, as Koji names directories of repos and tasks of builds by them.

/// The canonical architecture of an RPM architecture: `i686` is built in an `i386` repo.
pub fn canonical(arch: &str) -> &str {
    let is_ix86 = |arch: &str| {
        let bytes = arch.as_bytes();
        bytes.len() == 4 && bytes[0] == b'i' && bytes[2..] == *b"86"
    };
    match arch {
        "athlon" => "i386",
        "ia32e" => "x86_64",
        "ppc64le" => "ppc64le",
        _ if is_ix86(arch) => "i386",
        _ if arch.starts_with("ppc64") => "ppc64",
        _ if arch.starts_with("sparc64") => "sparc64",
        _ if arch.starts_with("sparc") => "sparc",
        _ if arch.starts_with("alpha") => "alpha",
        _ if arch.starts_with("arm") && arch[3..].contains('h') => "armhfp",
        _ if arch.starts_with("arm") => "arm",
        _ => arch,
    }
}

#[cfg(test)]
mod tests {
    use super::canonical;

    #[test]
    fn canonical_architectures_are_those_of_koji() {
        for (arch, expected) in [
            ("x86_64", "x86_64"),
            ("ia32e", "x86_64"),
            ("i386", "i386"),
            ("i486", "i386"),
            ("i586", "i386"),
            ("i686", "i386"),
            ("athlon", "i386"),
            ("armv7hl", "armhfp"),
            ("armv7hnl", "armhfp"),
            ("armhfp", "armhfp"),
            ("armv5tel", "arm"),
            ("aarch64", "aarch64"),
            ("ppc64", "ppc64"),
            ("ppc64p7", "ppc64"),
            ("ppc64le", "ppc64le"),
            ("ppc", "ppc"),
            ("s390x", "s390x"),
            ("sparc64v", "sparc64"),
            ("sparcv9", "sparc"),
            ("alphaev6", "alpha"),
            ("noarch", "noarch"),
            ("riscv64", "riscv64"),
            ("", ""),
        ] {
            assert_eq!(canonical(arch), expected, "{arch}");
        }
    }
}
