//! Finds and reads the configuration files; what they mean is decided in `koschei_core::config`.

use std::{
    env, fs,
    io::{self, Read},
    path::{Path, PathBuf},
};

use koschei_core::config::{self, Config, Loaded, Source};

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
    pub(crate) config: Config,
    pub(crate) files: Vec<PathBuf>,
    pub(crate) warnings: Vec<String>,
}

/// Reads the files that count for `reader`, in order, and merges them with the environment.
pub(crate) fn read(reader: Reader) -> Result<Configuration, Failure> {
    let (loaded, files) = load(reader)?;
    Ok(Configuration { config: loaded.config, files, warnings: loaded.warnings })
}

/// The same, with the place of each value, and the files that were read.
pub(crate) fn load(reader: Reader) -> Result<(Loaded, Vec<PathBuf>), Failure> {
    let mut sources = Vec::new();
    let mut files = Vec::new();
    for (path, required) in paths(reader) {
        match read_file(&path) {
            Ok(text) => {
                sources.push(Source { name: path.display().to_string(), text });
                files.push(path);
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound && !required => {}
            Err(error) => {
                return Err(Failure::usage(format_args!(
                    "the configuration file {} cannot be read: {error}",
                    path.display()
                )));
            }
        }
    }
    let environment = env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let loaded = config::parse(&sources, environment).map_err(Failure::usage)?;
    Ok((loaded, files))
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
