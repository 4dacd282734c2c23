//! The world as its file describes it: the distribution before anything happens to it, and the script of its life.
//!
//! Both files are TOML, meant to be read and changed by people; `worlds/buyan.toml` and `worlds/buyan-life.toml` are
//! built in. Everything is checked when the world is loaded, so that later code need not ask again.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use serde::Deserialize;

use crate::control::Push;
use crate::imported::Imported;

/// What a world or script file can be refused for.
#[derive(Debug, thiserror::Error)]
pub enum WorldError {
    /// The file cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// It is not TOML, or has members that no world has.
    #[error("{name} is not a description of a world: {reason}")]
    Syntax {
        /// File name, or "the built-in world".
        name: String,
        /// With the place in the file.
        reason: String,
    },
    /// It contradicts itself.
    #[error("{name}: {reason}")]
    Sense {
        /// File name, or "the built-in world".
        name: String,
        /// What is wrong, naming the item.
        reason: String,
    },
}

/// A distribution.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct World {
    pub(crate) distribution: Distribution,
    #[serde(rename = "user")]
    pub(crate) users: Vec<User>,
    #[serde(rename = "channel")]
    pub(crate) channels: Vec<Channel>,
    #[serde(rename = "host")]
    pub(crate) hosts: Vec<Host>,
    #[serde(rename = "release")]
    pub(crate) releases: Vec<Release>,
    #[serde(rename = "group")]
    pub(crate) groups: BTreeMap<String, Vec<String>>,
    #[serde(rename = "source")]
    pub(crate) sources: BTreeMap<String, Source>,
    /// Its binary packages, if they were taken from elsewhere ([`crate::imported`]); the sources then tell none.
    #[serde(skip)]
    pub(crate) imported: Option<Arc<Imported>>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Distribution {
    pub(crate) name: String,
    /// Where packagers keep their sources; a build's source is `SCM/NAME#COMMIT`.
    pub(crate) scm: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct User {
    pub(crate) name: String,
    pub(crate) password: Option<String>,
    #[serde(default)]
    pub(crate) blocked: bool,
    #[serde(default)]
    pub(crate) permissions: BTreeSet<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Channel {
    pub(crate) name: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Host {
    pub(crate) name: String,
    pub(crate) arches: String,
    pub(crate) capacity: f64,
    pub(crate) channels: Vec<String>,
    #[serde(default = "yes")]
    pub(crate) enabled: bool,
}

/// A release: tag `TAG` for its builds, `TAG-build` for its buildroots, and a target `TAG` that joins them.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Release {
    pub(crate) tag: String,
    /// Ends the release of every build: `3.by2`.
    pub(crate) dist: String,
    pub(crate) arches: String,
}

/// A source package.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Source {
    pub(crate) owner: String,
    pub(crate) version: String,
    #[serde(default = "one")]
    pub(crate) release: String,
    pub(crate) epoch: Option<i64>,
    #[serde(default)]
    pub(crate) abi: String,
    pub(crate) summary: String,
    #[serde(default)]
    pub(crate) build_requires: Vec<String>,
    #[serde(default)]
    pub(crate) noarch: bool,
    #[serde(default)]
    pub(crate) exclusive_arch: Vec<String>,
    /// Koji refuses builds of it: blocked in the releases' tags.
    #[serde(default)]
    pub(crate) blocked: bool,
    /// Random life may bump its soname: nothing that a minimal buildroot needs may be linked with it.
    #[serde(default)]
    pub(crate) may_bump: bool,
    /// How long a build takes, at speed 1.
    #[serde(default = "usual_seconds")]
    pub(crate) seconds: f64,
    #[serde(rename = "package")]
    pub(crate) packages: BTreeMap<String, Binary>,
}

/// A binary package; `worlds/buyan.toml` explains the short forms.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Binary {
    pub(crate) noarch: bool,
    pub(crate) base: Option<String>,
    pub(crate) sonames: Vec<String>,
    pub(crate) links: Vec<String>,
    pub(crate) pkgconfig: Vec<String>,
    pub(crate) python: Vec<String>,
    pub(crate) perl: Vec<String>,
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

fn yes() -> bool {
    true
}

fn one() -> String {
    "1".to_owned()
}

fn usual_seconds() -> f64 {
    5.0
}

impl World {
    /// The built-in distribution, Buyan.
    pub fn buyan() -> Result<World, WorldError> {
        World::parse(include_str!("../worlds/buyan.toml"), "the built-in world")
    }

    /// Reads a world from a file, or from repositories in a directory ([`World::from_repositories`]).
    pub fn read(path: &std::path::Path) -> Result<World, WorldError> {
        if path.is_dir() {
            return World::from_repositories(path);
        }
        let text = std::fs::read_to_string(path)
            .map_err(|source| WorldError::Read { path: path.to_path_buf(), source })?;
        World::parse(&text, &path.display().to_string())
    }

    /// Reads a world from text; `name` is what errors call it.
    pub fn parse(text: &str, name: &str) -> Result<World, WorldError> {
        let world: World = toml::from_str(text).map_err(|error| WorldError::Syntax {
            name: name.to_owned(),
            reason: error.to_string(),
        })?;
        world.check().map_err(|reason| WorldError::Sense { name: name.to_owned(), reason })?;
        Ok(world)
    }

    fn check(&self) -> Result<(), String> {
        let users: BTreeSet<&str> = self.users.iter().map(|user| user.name.as_str()).collect();
        let channels: BTreeSet<&str> =
            self.channels.iter().map(|channel| channel.name.as_str()).collect();
        for needed in ["default", "createrepo"] {
            if !channels.contains(needed) {
                return Err(format!("there is no channel {needed}"));
            }
        }
        for needed in ["kojiadmin", "kojira"] {
            if !users.contains(needed) {
                return Err(format!("there is no user {needed}"));
            }
        }
        for host in &self.hosts {
            if let Some(channel) =
                host.channels.iter().find(|name| !channels.contains(name.as_str()))
            {
                return Err(format!(
                    "host {} is in channel {channel}, which does not exist",
                    host.name
                ));
            }
        }
        if self.releases.is_empty() {
            return Err("there is no release".to_owned());
        }
        let mut sonames = BTreeMap::new();
        let mut binaries = BTreeMap::new();
        for (name, source) in &self.sources {
            if !users.contains(source.owner.as_str()) {
                return Err(format!("{name} is owned by {}, who does not exist", source.owner));
            }
            for (package, binary) in &source.packages {
                if let Some(other) = binaries.insert(package.as_str(), name.as_str()) {
                    return Err(format!("package {package} comes from {other} and from {name}"));
                }
                for soname in &binary.sonames {
                    if let Some(other) = sonames.insert(soname.as_str(), name.as_str()) {
                        return Err(format!("{soname} comes from {other} and from {name}"));
                    }
                }
            }
        }
        for source in self.sources.values() {
            for (package, binary) in &source.packages {
                if let Some(soname) =
                    binary.links.iter().find(|name| !sonames.contains_key(name.as_str()))
                {
                    return Err(format!(
                        "{package} is linked with {soname}, which nobody provides"
                    ));
                }
                if let Some(base) =
                    binary.base.as_deref().filter(|base| !source.packages.contains_key(*base))
                {
                    return Err(format!(
                        "{package} has base {base}, which is not in the same source"
                    ));
                }
            }
        }
        Ok(())
    }

    /// Which source package provides a soname.
    pub(crate) fn source_of_soname(&self, soname: &str) -> Option<&str> {
        self.sources
            .iter()
            .find(|(_, source)| {
                source
                    .packages
                    .values()
                    .any(|binary| binary.sonames.iter().any(|name| name == soname))
            })
            .map(|(name, _)| name.as_str())
    }

    /// The source packages with a binary that is linked with one of this source's libraries.
    pub(crate) fn linked_with(&self, library: &str) -> Vec<&str> {
        let Some(library_source) = self.sources.get(library) else { return Vec::new() };
        let sonames: BTreeSet<&String> =
            library_source.packages.values().flat_map(|binary| &binary.sonames).collect();
        self.sources
            .iter()
            .filter(|(name, source)| {
                *name != library
                    && !source.blocked
                    && source
                        .packages
                        .values()
                        .flat_map(|binary| &binary.links)
                        .any(|link| sonames.contains(link))
            })
            .map(|(name, _)| name.as_str())
            .collect()
    }

    pub(crate) fn release(&self, tag: &str) -> Option<&Release> {
        self.releases.iter().find(|release| release.tag == tag)
    }
}

/// What happens in a world.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Life {
    /// Updates that were built and tagged shortly before the first start.
    #[serde(default, rename = "before")]
    pub(crate) befores: Vec<Before>,
    /// The told part of the story.
    #[serde(default, rename = "scene")]
    pub(crate) scenes: Vec<Scene>,
    /// What comes after it, for ever.
    pub(crate) whims: Option<Whims>,
}

/// An update of the recent past.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Before {
    pub(crate) hours_ago: f64,
    #[serde(flatten)]
    pub(crate) push: Push,
}

/// One event of the story.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Scene {
    /// Seconds after the first start, at speed 1.
    pub(crate) at: f64,
    /// One plain sentence for the watcher.
    pub(crate) words: String,
    #[serde(flatten)]
    pub(crate) push: Push,
}

/// Random life: how often, and in which proportions.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Whims {
    /// Seconds after the first start.
    pub(crate) from: f64,
    /// Seconds between two updates, in the mean.
    pub(crate) every: f64,
    /// Share of updates that break a package.
    pub(crate) breaking: f64,
    /// Share of updates that bump a soname.
    pub(crate) bumping: f64,
    /// No more packages than this are broken at a time.
    pub(crate) at_most_broken: usize,
    /// Seconds until somebody mends a broken package: from, to.
    pub(crate) mended_after: (f64, f64),
    /// What a compiler says; %{culprit} and %{victim} are replaced.
    pub(crate) complaints: Vec<String>,
}

impl Life {
    /// The story of Buyan.
    pub fn buyan() -> Result<Life, WorldError> {
        Life::parse(include_str!("../worlds/buyan-life.toml"), "the built-in script")
    }

    /// Reads a script from a file.
    pub fn read(path: &std::path::Path) -> Result<Life, WorldError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| WorldError::Read { path: path.to_path_buf(), source })?;
        Life::parse(&text, &path.display().to_string())
    }

    /// Reads a script from text; `name` is what errors call it.
    pub fn parse(text: &str, name: &str) -> Result<Life, WorldError> {
        toml::from_str(text).map_err(|error| WorldError::Syntax {
            name: name.to_owned(),
            reason: error.to_string(),
        })
    }

    /// Checks that every push names a source package of the world, and scenes are in order.
    pub(crate) fn check(&self, world: &World) -> Result<(), WorldError> {
        let wrong = |reason: String| WorldError::Sense { name: "the script".to_owned(), reason };
        let pushes = self
            .befores
            .iter()
            .map(|before| &before.push)
            .chain(self.scenes.iter().map(|scene| &scene.push));
        for push in pushes {
            for name in std::iter::once(&push.source).chain(push.breaks.keys()).chain(&push.adapts)
            {
                if !world.sources.contains_key(name) {
                    return Err(wrong(format!("there is no source package {name}")));
                }
            }
            if push.target.as_ref().is_some_and(|target| world.release(target).is_none()) {
                return Err(wrong(format!(
                    "{} is pushed to a release that does not exist",
                    push.source
                )));
            }
        }
        if self.scenes.windows(2).any(|pair| pair[0].at > pair[1].at) {
            return Err(wrong("the scenes are not in order of time".to_owned()));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_world_makes_sense() {
        let world = World::buyan().unwrap();
        assert!(world.sources.len() >= 60);
        assert!(world.sources.values().map(|source| source.packages.len()).sum::<usize>() >= 150);
        assert_eq!(world.source_of_soname("libxml2.so"), Some("libxml2"));
        assert_eq!(world.linked_with("libxml2"), ["libxslt", "perl-XML-LibXML", "python-lxml"]);
        Life::buyan().unwrap().check(&world).unwrap();
    }

    #[test]
    fn a_world_that_contradicts_itself_is_refused() {
        let text = include_str!("../worlds/buyan.toml");
        let broken =
            text.replace("links = [\"libc.so\", \"libyaml-0.so\"]", "links = [\"libnone.so\"]");
        let error = World::parse(&broken, "test.toml").unwrap_err().to_string();
        assert_eq!(
            error,
            "test.toml: python3-pyyaml is linked with libnone.so, which nobody provides"
        );
    }
}
