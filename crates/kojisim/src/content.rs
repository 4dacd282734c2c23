//! What is inside the packages: the dependencies of every RPM, computed from the world's description, the revision
//! that was built, and the buildroot that it was built in.
//!
//! A binary remembers the ABI of everything it was linked with. That is how a soname bump leaves dependents behind:
//! they go on asking for the old soname until they are built anew.

use std::collections::BTreeMap;

use crate::rows::Revision;
use crate::world::{Binary, Source, World};

/// A binary or source RPM with its dependencies as text (`name`, `name >= 1:2-3`, `(a or b)`).
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Rpm {
    pub(crate) name: String,
    pub(crate) epoch: Option<i64>,
    pub(crate) version: String,
    pub(crate) release: String,
    pub(crate) arch: String,
    pub(crate) summary: String,
    pub(crate) source_rpm: Option<String>,
    pub(crate) provides: Vec<String>,
    pub(crate) requires: Vec<String>,
    pub(crate) requires_pre: Vec<String>,
    pub(crate) recommends: Vec<String>,
    pub(crate) suggests: Vec<String>,
    pub(crate) supplements: Vec<String>,
    pub(crate) enhances: Vec<String>,
    pub(crate) conflicts: Vec<String>,
    pub(crate) obsoletes: Vec<String>,
    pub(crate) files: Vec<String>,
}

impl Rpm {
    /// `epoch:version-release`, the epoch only if there is one.
    pub(crate) fn evr(&self) -> String {
        evr(self.epoch, &self.version, &self.release)
    }

    pub(crate) fn file_name(&self) -> String {
        format!("{}-{}-{}.{}.rpm", self.name, self.version, self.release, self.arch)
    }
}

fn evr(epoch: Option<i64>, version: &str, release: &str) -> String {
    match epoch {
        Some(epoch) => format!("{epoch}:{version}-{release}"),
        None => format!("{version}-{release}"),
    }
}

/// What the contents of a build depend on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Built<'a> {
    pub(crate) revision: &'a Revision,
    /// With the dist suffix: `3.by2`.
    pub(crate) release: &'a str,
    /// ABIs of the buildroot by source package.
    pub(crate) abis: &'a BTreeMap<String, String>,
}

/// The architecture of RPMs built on a canonical architecture: `i386` builders make `i686` packages.
pub(crate) fn rpm_arch(canonical: &str) -> &str {
    if canonical == "i386" { "i686" } else { canonical }
}

fn isa(arch: &str) -> &'static str {
    match arch {
        "x86_64" => "(x86-64)",
        "aarch64" => "(aarch-64)",
        "i686" => "(x86-32)",
        "s390x" => "(s390-64)",
        "ppc64le" => "(ppc-64)",
        _ => "",
    }
}

fn bits(arch: &str) -> &'static str {
    if arch == "i686" { "" } else { "()(64bit)" }
}

/// The binary RPMs that a build makes on a canonical architecture, in order of name. `noarch` ones are among them.
pub(crate) fn binaries(world: &World, built: Built<'_>, canonical: &str) -> Vec<Rpm> {
    let Some(source) = world.sources.get(&built.revision.source) else { return Vec::new() };
    source
        .packages
        .iter()
        .map(|(name, binary)| {
            let arch = if source.noarch || binary.noarch { "noarch" } else { rpm_arch(canonical) };
            one_binary(world, built, source, name, binary, arch)
        })
        .collect()
}

/// One binary RPM of a build, `arch` being that of the RPM.
pub(crate) fn binary(world: &World, built: Built<'_>, name: &str, arch: &str) -> Option<Rpm> {
    let source = world.sources.get(&built.revision.source)?;
    Some(one_binary(world, built, source, name, source.packages.get(name)?, arch))
}

fn one_binary(
    world: &World,
    built: Built<'_>,
    source: &Source,
    name: &str,
    binary: &Binary,
    arch: &str,
) -> Rpm {
    let revision = built.revision;
    let evr = evr(revision.epoch, &revision.version, built.release);
    let isa = isa(arch);
    let fill = |text: &String| fill(text, built, &evr, isa);
    let abi_of = |source: &str| -> &str {
        if source == revision.source {
            &revision.abi
        } else {
            built.abis.get(source).map_or("", String::as_str)
        }
    };

    let mut provides = vec![format!("{name} = {evr}")];
    if !isa.is_empty() {
        provides.push(format!("{name}{isa} = {evr}"));
    }
    provides.extend(
        binary.sonames.iter().map(|soname| format!("{soname}.{}{}", revision.abi, bits(arch))),
    );
    provides.extend(
        binary.pkgconfig.iter().map(|module| format!("pkgconfig({module}) = {}", revision.version)),
    );
    let python = abi_of("python3");
    for module in &binary.python {
        provides.push(format!("python3dist({module}) = {}", revision.version));
        provides.push(format!("python{python}dist({module}) = {}", revision.version));
    }
    provides
        .extend(binary.perl.iter().map(|module| format!("perl({module}) = {}", revision.version)));
    provides.extend(binary.provides.iter().map(fill));

    let mut requires: Vec<String> = Vec::new();
    if let Some(base) = &binary.base {
        let base_isa =
            if source.packages.get(base).is_some_and(|base| base.noarch) { "" } else { isa };
        requires.push(format!("{base}{base_isa} = {evr}"));
    }
    for soname in &binary.links {
        let abi = world.source_of_soname(soname).map_or("", abi_of);
        requires.push(format!("{soname}.{abi}{}", bits(arch)));
    }
    if !binary.pkgconfig.is_empty() {
        requires.push("/usr/bin/pkg-config".to_owned());
    }
    if !binary.python.is_empty() {
        requires.push(format!("python(abi) = {python}"));
    }
    if !binary.perl.is_empty() {
        requires.push(format!("perl(:MODULE_COMPAT_{})", abi_of("perl")));
    }
    requires.extend(binary.requires.iter().map(fill));

    let all = |texts: &[String]| texts.iter().map(fill).collect::<Vec<_>>();
    Rpm {
        name: name.to_owned(),
        epoch: revision.epoch,
        version: revision.version.clone(),
        release: built.release.to_owned(),
        arch: arch.to_owned(),
        summary: source.summary.clone(),
        source_rpm: Some(source_rpm_name(revision, built.release)),
        provides,
        requires,
        requires_pre: all(&binary.requires_pre),
        recommends: all(&binary.recommends),
        suggests: all(&binary.suggests),
        supplements: all(&binary.supplements),
        enhances: all(&binary.enhances),
        conflicts: all(&binary.conflicts),
        obsoletes: all(&binary.obsoletes),
        files: binary.files.clone(),
    }
}

fn fill(text: &str, built: Built<'_>, evr: &str, isa: &str) -> String {
    let mut filled = text
        .replace("%{evr}", evr)
        .replace("%{version}", &built.revision.version)
        .replace("%{isa}", isa)
        .replace("%{abi}", &built.revision.abi);
    while let Some(start) = filled.find("%{abi:") {
        let Some(length) = filled[start..].find('}') else { break };
        let source = &filled[start + "%{abi:".len()..start + length];
        let abi = built.abis.get(source).cloned().unwrap_or_default();
        filled.replace_range(start..=start + length, &abi);
    }
    filled
}

/// `libxml2-2.12.8-2.by2.src.rpm`
pub(crate) fn source_rpm_name(revision: &Revision, release: &str) -> String {
    format!("{}-{}-{release}.src.rpm", revision.source, revision.version)
}

/// BuildRequires of a revision.
pub(crate) fn build_requires<'a>(world: &'a World, revision: &'a Revision) -> &'a [String] {
    match (&revision.build_requires, world.sources.get(&revision.source)) {
        (Some(changed), _) => changed,
        (None, Some(source)) => &source.build_requires,
        (None, None) => &[],
    }
}

/// The source RPM of a build.
pub(crate) fn source(world: &World, built: Built<'_>) -> Rpm {
    let revision = built.revision;
    Rpm {
        name: revision.source.clone(),
        epoch: revision.epoch,
        version: revision.version.clone(),
        release: built.release.to_owned(),
        arch: "src".to_owned(),
        summary: world
            .sources
            .get(&revision.source)
            .map(|source| source.summary.clone())
            .unwrap_or_default(),
        requires: build_requires(world, revision).to_vec(),
        ..Rpm::default()
    }
}

/// Headers that decide about architectures.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct ArchHeaders {
    pub(crate) build_archs: Vec<String>,
    pub(crate) exclusive_arch: Vec<String>,
    pub(crate) exclude_arch: Vec<String>,
}

/// BUILDARCHS, EXCLUSIVEARCH and EXCLUDEARCH of a source package.
pub(crate) fn arch_headers(world: &World, source: &str) -> ArchHeaders {
    let Some(source) = world.sources.get(source) else { return ArchHeaders::default() };
    let mut headers = ArchHeaders::default();
    if source.noarch {
        headers.build_archs.push("noarch".to_owned());
    }
    for arch in &source.exclusive_arch {
        if arch == "%{ix86}" {
            headers.exclusive_arch.extend(["i386", "i486", "i586", "i686"].map(str::to_owned));
        } else {
            headers.exclusive_arch.push(arch.clone());
        }
    }
    headers
}

/// A dependency as `getRPMDeps` and the RPM header have it: name, flags, version.
pub(crate) fn split_dependency(text: &str) -> (String, i64, String) {
    if text.starts_with('(') {
        return (text.to_owned(), 0, String::new());
    }
    let mut words = text.split_whitespace();
    let name = words.next().unwrap_or_default().to_owned();
    match (words.next(), words.next()) {
        (Some(operator), Some(version)) => {
            let flags = operator.chars().fold(0, |flags, sign| {
                flags
                    | match sign {
                        '<' => 2,
                        '>' => 4,
                        '=' => 8,
                        _ => 0,
                    }
            });
            (name, flags, version.to_owned())
        }
        _ => (name, 0, String::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn revision(source: &str, version: &str, abi: &str) -> Revision {
        Revision {
            id: 1,
            source: source.to_owned(),
            epoch: None,
            version: version.to_owned(),
            release: "2".to_owned(),
            abi: abi.to_owned(),
            build_requires: None,
            breaks: BTreeMap::new(),
            adapted: Default::default(),
            broken: None,
        }
    }

    #[test]
    fn a_library_provides_its_soname_for_the_word_size() {
        let world = World::buyan().unwrap();
        let revision = revision("libxml2", "2.12.8", "2");
        let abis = BTreeMap::from([
            ("glibc".to_owned(), "6".to_owned()),
            ("zlib".to_owned(), "1".to_owned()),
        ]);
        let built = Built { revision: &revision, release: "2.by2", abis: &abis };
        let wide = binary(&world, built, "libxml2", "x86_64").unwrap();
        assert_eq!(
            wide.provides,
            ["libxml2 = 2.12.8-2.by2", "libxml2(x86-64) = 2.12.8-2.by2", "libxml2.so.2()(64bit)"]
        );
        assert!(wide.requires.contains(&"libc.so.6()(64bit)".to_owned()));
        let narrow = binary(&world, built, "libxml2", "i686").unwrap();
        assert!(narrow.provides.contains(&"libxml2.so.2".to_owned()));
        assert!(narrow.requires.contains(&"libz.so.1".to_owned()));
    }

    #[test]
    fn a_module_requires_the_interpreter_it_was_built_with() {
        let world = World::buyan().unwrap();
        let revision = revision("python-requests", "2.32.3", "");
        let abis = BTreeMap::from([("python3".to_owned(), "3.13".to_owned())]);
        let built = Built { revision: &revision, release: "4.by2", abis: &abis };
        let module = &binaries(&world, built, "x86_64")[0];
        assert_eq!(module.arch, "noarch");
        assert_eq!(
            module.requires,
            [
                "python(abi) = 3.13",
                "(python3dist(urllib3) >= 1.21.1 with python3dist(urllib3) < 3)"
            ]
        );
    }

    #[test]
    fn dependencies_split_as_in_the_header() {
        let split = |text| split_dependency(text);
        assert_eq!(split("zlib-devel >= 1.3"), ("zlib-devel".to_owned(), 12, "1.3".to_owned()));
        assert_eq!(split("gcc"), ("gcc".to_owned(), 0, String::new()));
        assert_eq!(split("(gcc or clang)"), ("(gcc or clang)".to_owned(), 0, String::new()));
    }
}
