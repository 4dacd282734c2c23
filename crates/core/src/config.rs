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
    let mut root = tree::defaults();
    let known = environment::known_keys(&root);
    let mut ignored = Vec::new();
    let mut warnings = Vec::new();
    for source in sources {
        let mut layer = syntax::read(source, &mut warnings)?;
        collect_ignored(&mut layer, &mut ignored);
        root.merge(layer);
    }
    let mut variables: Vec<(String, String)> =
        environment.into_iter().filter(|(name, _)| name.starts_with(environment::PREFIX)).collect();
    variables.sort();
    for (name, value) in &variables {
        let mut layer = environment::layer(name, value, &known)?;
        collect_ignored(&mut layer, &mut ignored);
        root.merge(layer);
    }
    let merged = root.clone();
    let config = typed(root)?;
    if !ignored.is_empty() {
        ignored.sort();
        ignored.dedup();
        warnings.push(format!(
            "settings of older versions that nothing uses any more are ignored: {}",
            ignored.join(", ")
        ));
    }
    Ok(Loaded { config, warnings, merged })
}

/// Turns the merged tree into the typed configuration and checks what types cannot say.
fn typed(mut root: Node) -> Result<Config, ConfigError> {
    let secondary = root.remove("secondary_koji_config");
    let mut config: Config = deserialize::from_node(&root, &[])?;
    if let Some(mut own) = secondary.filter(|node| !node.is_empty()) {
        let path = ["secondary_koji_config"];
        let repo_url = own.remove("repo_url");
        let repo_url = match &repo_url {
            Some(node) => deserialize::from_node(node, &["secondary_koji_config", "repo_url"])?,
            None => None,
        };
        // It inherits whatever the primary says and it does not say itself.
        let mut merged = root.get("koji_config").cloned().unwrap_or_else(Node::table);
        merged.merge(own);
        let koji = deserialize::from_node(&merged, &path)?;
        config.secondary_koji_config = Some(SecondaryKojiConfig { koji, repo_url });
    }
    check(&config, &root)?;
    Ok(config)
}

/// Rules between values.
fn check(config: &Config, root: &Node) -> Result<(), ConfigError> {
    let refuse = |section: &str, key: &str, problem: &str| {
        let origin = root
            .get(section)
            .map(|table| table.get(key).unwrap_or(table).origin.clone())
            .unwrap_or_else(Origin::built_in);
        Err(ConfigError::Value {
            origin,
            key: format!("{section}.{key}"),
            problem: problem.to_owned(),
        })
    };
    let priorities = &config.priorities;
    if !(priorities.t0 > 0.0 && priorities.t0.is_finite()) {
        return refuse("priorities", "t0", "must be a number of hours above 0");
    }
    if !(priorities.t1 > priorities.t0 && priorities.t1.is_finite()) {
        return refuse("priorities", "t1", "must be more hours than priorities.t0");
    }
    if config.koji_config.multicall_chunk_size == 0 {
        return refuse("koji_config", "multicall_chunk_size", "must be at least 1");
    }
    if config.dependency.persist_chunk_size == 0 {
        return refuse("dependency", "persist_chunk_size", "must be at least 1");
    }
    // A prefix or an address that only looks like one would give pages whose links lead nowhere.
    let frontend = &config.frontend;
    if frontend
        .path_prefix
        .as_deref()
        .is_some_and(|path| !path.is_empty() && !path.starts_with('/'))
    {
        return refuse("frontend", "path_prefix", "must begin with a slash");
    }
    let web = |address: &str| address.starts_with("http://") || address.starts_with("https://");
    if frontend.external_url.as_deref().is_some_and(|address| !web(address)) {
        return refuse("frontend", "external_url", "must begin with http:// or https://");
    }
    if let Err(ClientProblem { key, problem }) = config.koji_config.client_config() {
        return refuse("koji_config", key, &problem);
    }
    for (name, service) in config.services.all() {
        if !(service.interval >= 0.0 && service.interval.is_finite()) {
            return refuse(
                "services",
                &format!("{name}.interval"),
                "must be a number of seconds, 0 or more",
            );
        }
    }
    Ok(())
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
