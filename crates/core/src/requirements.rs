//! What has to be installed for a build: BuildRequires of the source package, and the build group
//! (spec/services.md, section 4).

use koji::types::{GroupPackageType, RpmDep, TagGroup};

/// BuildRequires from the hub's getRPMDeps of a source package, in the order given, as RPM writes them. Not all of them
/// need be relations that anybody can understand.
///
/// That RPM found a dependency while building means nothing here; anything flagged otherwise than by a comparison is a
/// feature of RPM itself (`rpmlib(...)`) and left out, as is what names nothing.
pub fn build_requires(dependencies: &[RpmDep]) -> Vec<String> {
    dependencies.iter().filter_map(build_require).collect()
}

fn build_require(dependency: &RpmDep) -> Option<String> {
    const COMPARISON: i64 = RpmDep::LESS | RpmDep::GREATER | RpmDep::EQUAL;
    let flags = dependency.flags & !RpmDep::FIND_REQUIRES;
    if flags & !COMPARISON != 0 || dependency.name.trim().is_empty() {
        return None;
    }
    let op =
        match (flags & RpmDep::LESS != 0, flags & RpmDep::GREATER != 0, flags & RpmDep::EQUAL != 0)
        {
            (false, false, false) => "",
            (true, false, false) => "<",
            (true, false, true) => "<=",
            (false, false, true) => "=",
            (false, true, true) => ">=",
            (false, true, false) => ">",
            // "less or greater" says nothing that RPM could write
            (true, true, _) => return None,
        };
    // They are kept one a line.
    let one_line = |text: &str| text.replace(['\n', '\r'], " ");
    let name = one_line(&dependency.name);
    Some(if op.is_empty() || dependency.version.is_empty() {
        name
    } else {
        format!("{name} {op} {}", one_line(&dependency.version))
    })
}

/// The packages of the build group, from the hub's getTagGroups; `None` when there is no such group.
///
/// Blocked packages do not count, nor optional and conditional ones.
pub fn build_group(groups: &[TagGroup], name: &str) -> Option<Vec<String>> {
    let group = groups.iter().find(|group| group.name == name && !group.blocked)?;
    Some(
        group
            .packagelist
            .iter()
            .filter(|package| !package.blocked)
            .filter(|package| {
                matches!(package.kind, GroupPackageType::Default | GroupPackageType::Mandatory)
            })
            .map(|package| package.package.clone())
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use koji::types::{DepType, GroupPackage};

    fn dependency(name: &str, flags: i64, version: &str) -> RpmDep {
        RpmDep { name: name.into(), version: version.into(), flags, kind: DepType::Require }
    }

    fn texts(dependencies: &[RpmDep]) -> Vec<String> {
        let texts = build_requires(dependencies);
        // What is kept is what is read again.
        for text in &texts {
            assert_eq!(text.parse::<rpm::Dep>().unwrap().to_string(), *text);
        }
        texts
    }

    #[test]
    fn comparisons_are_read_from_the_flags() {
        assert_eq!(
            texts(&[
                dependency("gcc", 0, ""),
                dependency("a", 2, "1"),
                dependency("b", 10, "1-2"),
                dependency("c", 8, "3:1-2"),
                dependency("d", 12, "1"),
                dependency("e", 4, "1"),
            ]),
            ["gcc", "a < 1", "b <= 1-2", "c = 3:1-2", "d >= 1", "e > 1"]
        );
    }

    #[test]
    fn what_rpm_found_itself_counts_and_what_rpm_needs_itself_does_not() {
        assert_eq!(
            texts(&[
                dependency("pkgconfig(zlib)", 0x1_0000, ""),
                dependency("pkgconfig(x)", 0x1_0000 | 12, "2"),
                dependency("rpmlib(CompressedFileNames)", 16_777_226, "3.0.4-1"),
                dependency("pre", 0x200, ""),
            ]),
            ["pkgconfig(zlib)", "pkgconfig(x) >= 2"]
        );
    }

    #[test]
    fn flags_without_a_version_and_strange_ones_compare_nothing() {
        assert_eq!(
            texts(&[
                dependency("a", 12, ""),
                dependency("b", 6, "1"),
                dependency("c", 14, "1"),
                dependency("d", 0, "1"),
                dependency("", 0, ""),
            ]),
            ["a", "d"]
        );
    }

    #[test]
    fn rich_dependencies_and_files_come_as_names() {
        assert_eq!(
            texts(&[dependency("(gcc or clang)", 0, ""), dependency("/usr/bin/perl", 0, "")]),
            ["(gcc or clang)", "/usr/bin/perl"]
        );
    }

    #[test]
    fn what_nobody_can_understand_is_not_left_out() {
        let texts =
            build_requires(&[dependency("(gcc or", 0, ""), dependency("two\nlines", 0, "")]);
        assert_eq!(texts, ["(gcc or", "two lines"]);
        for text in texts {
            assert!(text.parse::<rpm::Dep>().is_err(), "{text}");
        }
    }

    fn group(name: &str, packages: &[(&str, GroupPackageType, bool)]) -> TagGroup {
        TagGroup {
            group_id: 1,
            name: name.into(),
            display_name: None,
            description: None,
            tag_id: 1,
            exported: None,
            uservisible: None,
            is_default: None,
            biarchonly: None,
            langonly: None,
            blocked: false,
            packagelist: packages
                .iter()
                .map(|(package, kind, blocked)| GroupPackage {
                    package: (*package).into(),
                    kind: *kind,
                    blocked: *blocked,
                    tag_id: 1,
                    group_id: 1,
                    basearchonly: None,
                    requires: None,
                })
                .collect(),
            grouplist: Vec::new(),
        }
    }

    #[test]
    fn the_build_group_is_what_is_always_installed() {
        use GroupPackageType::{Conditional, Default, Mandatory, Optional};
        let groups = [
            group("srpm-build", &[("shadow-utils", Mandatory, false)]),
            group(
                "build",
                &[
                    ("bash", Mandatory, false),
                    ("gcc", Default, false),
                    ("vim", Optional, false),
                    ("emacs", Conditional, false),
                    ("java", Mandatory, true),
                ],
            ),
        ];
        assert_eq!(build_group(&groups, "build").unwrap(), ["bash", "gcc"]);
        assert_eq!(build_group(&groups, "other"), None);
        // A hub asked for what is blocked as well gives both entries of a name; the blocked group is none.
        let blocked = TagGroup { blocked: true, ..groups[1].clone() };
        assert_eq!(build_group(std::slice::from_ref(&blocked), "build"), None);
        assert_eq!(build_group(&[blocked, groups[1].clone()], "build").unwrap(), ["bash", "gcc"]);
        assert_eq!(build_group(&[group("build", &[])], "build").unwrap(), [""; 0]);
    }
}
