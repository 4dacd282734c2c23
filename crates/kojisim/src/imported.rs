//! A world taken from rpm-md: real distributions, for measuring and for whoever wants to see their own.
//!
//! The directory has `binary/` and `source/`, repositories both, and `build-group.txt`, one package a line. Each source
//! package becomes one of the world with the BuildRequires of its SRPM; the binary packages are kept as they are
//! written and are what the repos of the one release consist of, in the order of the file (to the resolver it has a
//! meaning). When a source package is built again, its binary packages appear with a newer release, and so do the
//! relations by which they name each other exactly; without a build in the tag they are not there.
//!
//! Nothing happens in such a world by itself. What the binary packages were linked with is not known, so that a soname
//! never changes; everything else of the hub works as in any world.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::File;
use std::path::Path;

use rpm::md;
use rpm::md::primary::Reader;
use rpm::md::repomd::Repomd;
use rpm::{Dep, Relation};

use crate::rows::Build;
use crate::world::{Channel, Distribution, Host, Release, Source, User, World, WorldError};

/// The binary packages of a distribution, in the order of its repository.
#[derive(Debug)]
pub(crate) struct Imported {
    binaries: Vec<Binary>,
}

#[derive(Debug)]
struct Binary {
    package: md::Package,
    /// Name, version and release of the source package.
    source: String,
    source_version: String,
    source_release: String,
}

impl World {
    /// A world of the packages of the repositories in a directory; its one release has the directory's name.
    ///
    /// # Errors
    /// [`WorldError`], when something is missing or cannot be read.
    pub fn from_repositories(directory: &Path) -> Result<World, WorldError> {
        let name = directory
            .file_name()
            .map_or_else(|| "imported".to_owned(), |name| name.to_string_lossy().into_owned());
        let mut sources = BTreeMap::new();
        for package in packages(&directory.join("source"))? {
            let nevra = package.nevra;
            let source = Source {
                owner: "packager".to_owned(),
                version: nevra.version,
                release: nevra.release,
                epoch: (nevra.epoch != 0).then_some(i64::from(nevra.epoch)),
                abi: String::new(),
                summary: package.summary,
                build_requires: package.requires.iter().map(|one| one.dep.to_string()).collect(),
                noarch: false,
                exclusive_arch: Vec::new(),
                blocked: false,
                may_bump: false,
                seconds: 5.0,
                packages: BTreeMap::new(),
            };
            sources.insert(nevra.name, source);
        }
        let mut binaries = Vec::new();
        for package in packages(&directory.join("binary"))? {
            let file = package.source_rpm.as_deref().unwrap_or_default();
            let parts = file.strip_suffix(".src.rpm").and_then(|nvr| {
                let (name, release) = nvr.rsplit_once('-')?;
                let (name, version) = name.rsplit_once('-')?;
                Some((name.to_owned(), version.to_owned(), release.to_owned()))
            });
            let known = parts.filter(|(name, _, _)| sources.contains_key(name));
            let (source, source_version, source_release) = known.ok_or_else(|| {
                let reason = format!(
                    "binary package {} comes from {file:?}, which is not among the source packages",
                    package.nevra
                );
                WorldError::Sense { name: directory.display().to_string(), reason }
            })?;
            binaries.push(Binary { package, source, source_version, source_release });
        }
        let group_file = directory.join("build-group.txt");
        let group = std::fs::read_to_string(&group_file)
            .map_err(|source| WorldError::Read { path: group_file, source })?;
        let group: Vec<String> = group.split_whitespace().map(str::to_owned).collect();
        let user = |name: &str, permissions: &[&str]| User {
            name: name.to_owned(),
            password: Some(name.to_owned()),
            blocked: false,
            permissions: permissions.iter().map(|&one| one.to_owned()).collect::<BTreeSet<_>>(),
        };
        let channel = |name: &str| Channel { name: name.to_owned() };
        let host = |number: usize| Host {
            name: format!("builder-{number:02}.{name}.example"),
            arches: "x86_64 i386".to_owned(),
            capacity: 100.0,
            channels: vec!["default".to_owned(), "createrepo".to_owned()],
            enabled: true,
        };
        Ok(World {
            distribution: Distribution {
                name: name.clone(),
                scm: format!("git+https://src.{name}.example/rpms"),
            },
            users: vec![
                user("kojiadmin", &["admin"]),
                user("kojira", &["repo"]),
                user(crate::KOSCHEI_USER, &["build-from-repo-id", "regen-repo"]),
                user("packager", &[]),
            ],
            channels: vec![channel("default"), channel("createrepo")],
            hosts: (1..=4).map(host).collect(),
            releases: vec![Release {
                tag: name.clone(),
                dist: String::new(),
                arches: "x86_64".to_owned(),
            }],
            groups: BTreeMap::from([
                ("build".to_owned(), group.clone()),
                ("srpm-build".to_owned(), group),
            ]),
            sources,
            imported: Some(Imported { binaries }.into()),
        })
    }
}

/// The packages of a repository, in the order of the file.
fn packages(repository: &Path) -> Result<Vec<md::Package>, WorldError> {
    let open = |path: &Path| {
        File::open(path).map_err(|source| WorldError::Read { path: path.to_path_buf(), source })
    };
    let syntax = |path: &Path, reason: String| WorldError::Syntax {
        name: path.display().to_string(),
        reason,
    };
    let index = repository.join("repodata/repomd.xml");
    let repomd = Repomd::read(open(&index)?).map_err(|error| syntax(&index, error.to_string()))?;
    let primary = repomd
        .get("primary")
        .ok_or_else(|| syntax(&index, "it names no primary metadata".to_owned()))?;
    let path = repository.join(&primary.location);
    Reader::new(open(&path)?)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| syntax(&path, error.to_string()))
}

impl Imported {
    /// The packages of a repo in which these are the builds, by source package, each with the id of its build.
    pub(crate) fn packages(&self, tagged: &HashMap<&str, &Build>) -> Vec<(md::Package, i64)> {
        // New releases by the package's name, for the relations among the packages of one source.
        let mut renewed: HashMap<(&str, &str), (&str, String)> = HashMap::new();
        for binary in &self.binaries {
            if let Some(build) = tagged.get(binary.source.as_str())
                && let Some(release) = binary.release_in(build)
            {
                let nevra = &binary.package.nevra;
                renewed.insert((&binary.source, &nevra.name), (&nevra.release, release));
            }
        }
        let mut packages = Vec::with_capacity(self.binaries.len());
        for binary in &self.binaries {
            let Some(build) = tagged.get(binary.source.as_str()) else { continue };
            let mut package = binary.package.clone();
            if let Some(release) = binary.release_in(build) {
                package.source_rpm = Some(format!("{}.src.rpm", build.nvr()));
                package.nevra.release = release;
                let renew = |relation: &mut Relation| {
                    let new = renewed.get(&(binary.source.as_str(), relation.name.as_str()));
                    if let (Some((old, new)), Some(constraint)) = (new, &mut relation.constraint)
                        && constraint.release.as_deref() == Some(*old)
                    {
                        constraint.release = Some(new.clone());
                    }
                };
                package.provides.iter_mut().for_each(renew);
                for requirement in &mut package.requires {
                    if let Dep::Relation(relation) = &mut requirement.dep {
                        renew(relation);
                    }
                }
                package.location = format!(
                    "toplink/packages/{}/{}/{}/{}",
                    build.name,
                    build.version,
                    build.release,
                    package.nevra.file_name()
                );
                package.checksum = md::Checksum::sha256(package.location.as_bytes());
            }
            packages.push((package, build.id));
        }
        packages
    }
}

impl Binary {
    /// The release that it has in a build; `None` in the one it was imported with.
    fn release_in(&self, build: &Build) -> Option<String> {
        let imported = build.version == self.source_version && build.release == self.source_release;
        // Revisions are numbered in the order in which they were made, so what is built later is newer.
        (!imported).then(|| format!("{}.{}", self.package.nevra.release, build.revision))
    }
}
