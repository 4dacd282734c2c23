//! The configuration: what an operator may set, with the defaults, and how several files become one.
//!
//! Files are read in order, tables merge recursively, everything else is replaced, later wins; then single values
//! may be set by environment variables such as `KOSCHEI__DATABASE_CONFIG__HOST`. The built-in defaults are the
//! first layer, so that every rule holds for them as well. Whatever is wrong (an unknown key, a wrong type, a
//! broken file) is an error that names the file, the line and the key, before anything starts.
//!
//! Nothing here touches a disk or the environment: the executable reads the files and passes their texts in.
//! Each section is a typed struct (`sections`); each syntax is one function from text to a tree: TOML, and the dict
//! literal of existing installations (`python`).

mod checks;
mod client;
mod convert;
mod deserialize;
mod environment;
mod python;
mod secret;
mod sections;
mod show;
mod syntax;
mod tree;
mod write;

pub use client::ClientProblem;
pub use convert::{Converted, convert};
pub use secret::{FreeForm, Secret};
pub use sections::*;
pub use tree::Origin;

use tree::{Node, Value};

/// One configuration file, already read.
#[derive(Debug, Clone)]
pub struct Source {
    /// What to call it in messages: its path.
    pub name: String,
    /// What is in it.
    pub text: String,
}

/// A configuration that is valid, and what is to be said about it.
#[derive(Debug)]
pub struct Loaded {
    /// The merged configuration.
    pub config: Config,
    /// Sentences for the operator, e.g. about keys of older installations that nothing uses any more.
    pub warnings: Vec<String>,
    /// What `config` was made of, with the place of each value.
    merged: Node,
}

/// What is wrong with a configuration. The text is one sentence that names the place and the key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The file could not be parsed at all.
    #[error("{origin}: {problem}")]
    Syntax {
        /// Where.
        origin: Origin,
        /// What the parser said.
        problem: String,
    },
    /// A key that means nothing.
    #[error("{origin}: there is no setting called {key}{}", .suggestion.as_ref().map(|s| format!(" (did you mean {s}?)")).unwrap_or_default())]
    UnknownKey {
        /// Where.
        origin: Origin,
        /// The whole key, e.g. `koji_config.max_bilds`.
        key: String,
        /// The nearest key that exists, if one is near.
        suggestion: Option<String>,
    },
    /// A value of the wrong type, or outside what is allowed.
    #[error("{origin}: {key} {problem}")]
    Value {
        /// Where.
        origin: Origin,
        /// The whole key.
        key: String,
        /// What is wrong, as the end of the sentence; never repeats the value, which may be secret.
        problem: String,
    },
}

impl ConfigError {
    /// The whole key, e.g. `koji_config.max_builds`; none when a file cannot be parsed at all.
    #[must_use]
    pub fn key(&self) -> Option<&str> {
        match self {
            Self::Syntax { .. } => None,
            Self::UnknownKey { key, .. } | Self::Value { key, .. } => Some(key),
        }
    }
}

impl Loaded {
    /// Where a setting was set; for one that nobody set, where its table was, and at last the built-in defaults.
    #[must_use]
    pub fn origin(&self, key: &str) -> Origin {
        checks::origin(&self.merged, key)
    }
}

/// Merges the built-in defaults, the files in order and the environment into one configuration.
///
/// `environment` may hold anything; only variables that begin with `KOSCHEI__` count.
///
/// # Errors
/// The first thing that is wrong, in the order of the files.
pub fn parse(
    sources: &[Source],
    environment: impl IntoIterator<Item = (String, String)>,
) -> Result<Loaded, ConfigError> {
    let mut warnings = Vec::new();
    let merged = merge(sources, environment, &mut warnings, &mut Err)?;
    Ok(Loaded { config: typed(merged.clone())?, warnings, merged })
}

/// Everything that is wrong: what [`parse`] would refuse first, then what it would refuse when that is mended, and so on;
/// nothing if it would accept them. And the configuration that is left when all of that is left out, if any is.
pub fn parse_all(
    sources: &[Source],
    environment: impl IntoIterator<Item = (String, String)>,
) -> (Vec<ConfigError>, Option<Loaded>) {
    let (mut found, mut warnings) = (Vec::new(), Vec::new());
    let merged = merge(sources, environment, &mut warnings, &mut |mistake| {
        found.push(mistake);
        Ok(())
    });
    let mut merged = match merged {
        Ok(merged) => merged,
        Err(mistake) => return (vec![mistake], None),
    };
    let (others, config) = checks::all_mistakes(&mut merged);
    found.extend(others);
    (found, config.map(|config| Loaded { config, warnings, merged }))
}

/// The tree of all layers. `refused` is told of each that cannot be read, and decides whether to go on without it.
fn merge(
    sources: &[Source],
    environment: impl IntoIterator<Item = (String, String)>,
    warnings: &mut Vec<String>,
    refused: &mut dyn FnMut(ConfigError) -> Result<(), ConfigError>,
) -> Result<Node, ConfigError> {
    let mut root = tree::defaults();
    let known = environment::known_keys(&root);
    let mut variables: Vec<(String, String)> =
        environment.into_iter().filter(|(name, _)| name.starts_with(environment::PREFIX)).collect();
    variables.sort();
    let mut ignored = Vec::new();
    let mut put = |layer: Result<Node, ConfigError>| {
        match layer {
            Ok(mut layer) => {
                collect_ignored(&mut layer, &mut ignored);
                root.merge(layer);
            }
            Err(mistake) => refused(mistake)?,
        }
        Ok(())
    };
    for source in sources {
        put(syntax::read(source, warnings))?;
    }
    for (name, value) in &variables {
        put(environment::layer(name, value, &known))?;
    }
    if !ignored.is_empty() {
        ignored.sort();
        ignored.dedup();
        warnings.push(format!(
            "settings of older versions that nothing uses any more are ignored: {}",
            ignored.join(", ")
        ));
    }
    Ok(root)
}

/// Turns the merged tree into the typed configuration and checks what types cannot say.
fn typed(root: Node) -> Result<Config, ConfigError> {
    let mut primary = root.clone();
    let secondary = primary.remove("secondary_koji_config");
    let mut config: Config = deserialize::from_node(&primary, &[])?;
    if let Some(mut own) = secondary.filter(|node| !node.is_empty()) {
        let path = ["secondary_koji_config"];
        let repo_url = own.remove("repo_url");
        let repo_url = match &repo_url {
            Some(node) => deserialize::from_node(node, &["secondary_koji_config", "repo_url"])?,
            None => None,
        };
        // It inherits whatever the primary says and it does not say itself.
        let mut merged = primary.get("koji_config").cloned().unwrap_or_else(Node::table);
        merged.merge(own);
        let koji = deserialize::from_node(&merged, &path)?;
        config.secondary_koji_config = Some(SecondaryKojiConfig { koji, repo_url });
    }
    checks::check(&config, &root)?;
    Ok(config)
}

/// Keys of older installations that are accepted and mean nothing here; an asterisk takes everything below.
const IGNORED: &[&str] = &[
    "logging",
    "caching",
    "alembic.alembic_ini",
    "version",
    "directories.templates",
    "directories.static_folder",
    "directories.static_url",
    "directories.datadir",
    "frontend.fedora_assets_url",
    "frontend.fedmenu_url",
    "frontend.fedmenu_data_url",
    "database_config.drivername",
];

/// Takes the ignored keys out of a layer and notes their names.
fn collect_ignored(layer: &mut Node, ignored: &mut Vec<String>) {
    for key in IGNORED {
        let removed = match key.split_once('.') {
            None => layer.remove(key).is_some(),
            Some((section, name)) => {
                layer.get_mut(section).is_some_and(|table| table.remove(name).is_some())
            }
        };
        if removed {
            ignored.push((*key).to_owned());
        }
    }
    // A section that only held ignored keys is no section of ours.
    if layer
        .get("alembic")
        .is_some_and(|node| matches!(&node.value, Value::Table(t) if t.is_empty()))
    {
        layer.remove("alembic");
    }
}

#[cfg(test)]
mod defaults;
#[cfg(test)]
mod tests;
