//! Finds and reads the configuration files; what they mean is decided in `koschei_core::config`.

use std::{
    env, fs,
    io::{self, Read},
    path::{Path, PathBuf},
};

use koschei_core::config::{self, ConfigError, Loaded, Plugin, Source};
use koschei_web::WebConfig;

use crate::failure::Failure;

/// Replaces the list of files, separated by colons.
pub(crate) const FILES_VARIABLE: &str = "KOSCHEI_CONFIG";

/// No configuration is larger; reading goes no further.
const LARGEST_FILE: u64 = 4 << 20;

/// Who reads it: that decides which files count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reader {
    /// A service.
    Backend,
    /// The web interface.
    Frontend,
    /// An administrator's command.
    Admin,
}

/// A valid configuration and where it came from.
#[derive(Debug)]
pub(crate) struct Configuration {
    pub(crate) loaded: Loaded,
    pub(crate) files: Vec<PathBuf>,
}

/// Reads the files that count for `reader`, in order, and merges them with the environment. Refuses what that reader could
/// not use.
pub(crate) fn read(reader: Reader) -> Result<Configuration, Failure> {
    let configuration = load(reader)?;
    match unusable(reader, &configuration.loaded).into_iter().next() {
        Some(mistake) => Err(Failure::usage(mistake.sentence)),
        None => Ok(configuration),
    }
}

/// The same for somebody who only looks at it.
pub(crate) fn load(reader: Reader) -> Result<Configuration, Failure> {
    let gathered = gather(reader);
    if let Some(problem) = gathered.problems.into_iter().next() {
        return Err(Failure::usage(problem));
    }
    let loaded = config::parse(&gathered.sources, environment()).map_err(Failure::usage)?;
    Ok(Configuration { loaded, files: gathered.files })
}

/// Everything that whoever reads these files would refuse, one thing after the other; else what they say.
pub(crate) fn check(reader: Reader) -> Result<Configuration, Vec<String>> {
    let gathered = gather(reader);
    let (mistakes, left) = config::parse_all(&gathered.sources, environment());
    let keys: Vec<&str> = mistakes.iter().filter_map(ConfigError::key).collect();
    let mut sentences = gathered.problems;
    sentences.extend(mistakes.iter().map(ToString::to_string));
    if let Some(loaded) = &left {
        // What is missing because it was wrong is told already.
        let follows = |mistake: &Unusable| {
            keys.iter().any(|key| key.starts_with(mistake.key) || mistake.key.starts_with(key))
        };
        let others = unusable(reader, loaded);
        let others = others.into_iter().filter(|mistake| !follows(mistake));
        sentences.extend(others.map(|mistake| mistake.sentence));
        // Services read it when they send or receive messages.
        if reader == Reader::Backend
            && loaded.config.has_plugin(Plugin::Fedmsg)
            && let Err(error) = fedora_messaging::Config::load()
        {
            sentences.push(error.to_string());
        }
    }
    match left {
        Some(loaded) if sentences.is_empty() => Ok(Configuration { loaded, files: gathered.files }),
        _ => Err(sentences),
    }
}

/// A setting that is valid by itself, but cannot be used.
struct Unusable {
    key: &'static str,
    sentence: String,
}

/// What a reader would find out only when it uses its configuration.
fn unusable(reader: Reader, loaded: &Loaded) -> Vec<Unusable> {
    let config = &loaded.config;
    let mut found = Vec::new();
    let mut refuse = |key: &'static str, problem: &dyn std::fmt::Display| {
        found.push(Unusable { key, sentence: format!("{}: {problem}", loaded.origin(key)) });
    };
    if let Err(error) = crate::database::configured(config, "koschei").options() {
        let key = if config.db_url.is_some() { "db_url" } else { "database_config.db_url" };
        refuse(key, &error);
    }
    if reader == Reader::Frontend
        && let Err(error) = WebConfig::try_from(config)
    {
        refuse(error.key(), &error);
    }
    found
}

/// What the files say, and which of them cannot be read.
struct Gathered {
    sources: Vec<Source>,
    files: Vec<PathBuf>,
    problems: Vec<String>,
}

fn gather(reader: Reader) -> Gathered {
    let mut gathered = Gathered { sources: Vec::new(), files: Vec::new(), problems: Vec::new() };
    for (path, required) in paths(reader) {
        match read_file(&path) {
            Ok(text) => {
                gathered.sources.push(Source { name: path.display().to_string(), text });
                gathered.files.push(path);
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound && !required => {}
            Err(error) => {
                let remedy = match error.kind() {
                    io::ErrorKind::PermissionDenied => ": run this as user koschei or as root",
                    _ => "",
                };
                gathered.problems.push(format!(
                    "the configuration file {} cannot be read: {error}{remedy}",
                    path.display()
                ));
            }
        }
    }
    gathered
}

fn environment() -> impl Iterator<Item = (String, String)> {
    env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

/// The files in order, each with whether it must exist.
fn paths(reader: Reader) -> Vec<(PathBuf, bool)> {
    if let Some(list) = env::var_os(FILES_VARIABLE).filter(|list| !list.is_empty()) {
        return env::split_paths(&list)
            .filter(|path| !path.as_os_str().is_empty())
            .map(|path| (path, true))
            .collect();
    }
    let own = match reader {
        Reader::Backend => ["/etc/koschei/config-backend.cfg"].as_slice(),
        Reader::Frontend => &["/etc/koschei/config-frontend.cfg"],
        Reader::Admin => &["/etc/koschei/config-backend.cfg", "/etc/koschei/config-admin.cfg"],
    };
    // The defaults are built in as well, so an executable that was never installed works without the first.
    ["/usr/share/koschei/config.cfg", "/etc/koschei/config.cfg"]
        .iter()
        .chain(own)
        .map(|path| (PathBuf::from(path), false))
        .collect()
}

/// The text of a configuration file.
pub(crate) fn read_file(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    let read = fs::File::open(path)?.take(LARGEST_FILE + 1).read_to_string(&mut text)?;
    if read as u64 > LARGEST_FILE {
        return Err(io::Error::other("it is larger than 4 MiB"));
    }
    Ok(text)
}
