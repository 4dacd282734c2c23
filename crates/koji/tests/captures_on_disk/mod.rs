//! The recorded traffic of a real client with a real hub, which is not part of this repository.

use std::path::{Path, PathBuf};

/// One request and its answer.
pub(crate) struct Capture {
    pub(crate) name: String,
    pub(crate) method: String,
    pub(crate) http: u16,
    /// `ok`, `fault CODE: text`, or what else was answered.
    pub(crate) result: String,
    pub(crate) request: Vec<u8>,
    pub(crate) response: Vec<u8>,
}

impl Capture {
    /// The fault's code, if the answer was one.
    pub(crate) fn fault_code(&self) -> Option<i64> {
        self.result.strip_prefix("fault ")?.split_once(':')?.0.parse().ok()
    }
}

fn directory() -> PathBuf {
    let data = std::env::var_os("KOSCHEI_DATA").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"),
        PathBuf::from,
    );
    let captures = data.join("koji-captures");
    assert!(
        captures.join("INDEX.tsv").is_file(),
        "the recorded Koji traffic is not at {}: set KOSCHEI_DATA to the directory that has koji-captures",
        captures.display()
    );
    captures
}

/// All of them.
pub(crate) fn captures() -> Vec<Capture> {
    let directory = directory();
    let index = std::fs::read_to_string(directory.join("INDEX.tsv")).unwrap();
    let body = |name: &str, kind: &str| {
        std::fs::read(directory.join(format!("{name}.{kind}.xml"))).unwrap_or_default()
    };
    let rows = index.lines().skip(1).map(|line| {
        let columns: Vec<&str> = line.split('\t').collect();
        let [name, method, _, http, result, ..] = columns[..] else { panic!("{line}") };
        Capture {
            name: name.to_owned(),
            method: method.to_owned(),
            http: http.parse().unwrap(),
            result: result.to_owned(),
            request: body(name, "request"),
            response: body(name, "response"),
        }
    });
    rows.collect()
}
