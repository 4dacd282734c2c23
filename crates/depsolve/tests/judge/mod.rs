//! libsolv itself, behind a small script.

#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail")]

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use rpm::Dep;
use rpm::md::write;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::notation::Case;

#[derive(Serialize)]
struct Question<'a> {
    /// Nothing: the repository that was loaded.
    #[serde(skip_serializing_if = "Option::is_none")]
    primary: Option<String>,
    arch: &'a str,
    group: &'a [String],
    requires: Vec<String>,
    weak: bool,
}

#[derive(Serialize)]
struct Load<'a> {
    load: &'a Path,
    filelists: Option<&'a Path>,
    arch: &'a str,
}

#[derive(Deserialize)]
struct Loaded {
    packages: usize,
}

/// `installs` is empty when it is not resolved.
#[derive(Debug, Deserialize, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) resolved: bool,
    pub(crate) installs: Vec<String>,
    #[serde(default)]
    pub(crate) problems: Vec<String>,
}

impl Answer {
    /// Whether the verdict and the install set are the same. Problems are told in other words.
    pub(crate) fn agrees(&self, other: &Answer) -> bool {
        self.resolved == other.resolved && self.installs == other.installs
    }
}

/// A running libsolv.
pub(crate) struct Judge {
    process: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Judge {
    pub(crate) fn new() -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/judge/judge.py");
        let mut process = Command::new("/usr/bin/python3")
            .arg(script)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("/usr/bin/python3 is needed: apt-get install python3 python3-solv");
        let questions = process.stdin.take().unwrap();
        let answers = BufReader::new(process.stdout.take().unwrap());
        Judge { process, questions, answers }
    }

    /// What libsolv says to a case.
    pub(crate) fn ask(&mut self, case: &Case) -> Answer {
        let question = Question {
            primary: Some(write::complete_primary_xml(&case.packages)),
            arch: &case.arch,
            group: &case.group,
            requires: case.requires.iter().map(ToString::to_string).collect(),
            weak: case.weak,
        };
        self.exchange(&question)
    }

    /// Loads a repository once for many questions.
    pub(crate) fn load(&mut self, primary: &Path, filelists: Option<&Path>, arch: &str) {
        let loaded: Loaded = self.exchange(&Load { load: primary, filelists, arch });
        assert!(loaded.packages > 0, "{} has no packages", primary.display());
    }

    /// What libsolv says to a request to the loaded repository.
    pub(crate) fn ask_loaded(&mut self, group: &[String], requires: &[Dep], weak: bool) -> Answer {
        let requires = requires.iter().map(ToString::to_string).collect();
        self.exchange(&Question { primary: None, arch: "", group, requires, weak })
    }

    fn exchange<A: DeserializeOwned>(&mut self, question: &impl Serialize) -> A {
        let line = serde_json::to_string(question).unwrap();
        writeln!(self.questions, "{line}").expect("the judge has gone; is python3-solv installed?");
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("the judge says {line}: {error}"))
    }
}

impl Drop for Judge {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
