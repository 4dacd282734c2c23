//! libsolv itself, behind a small script.

#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail")]

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use rpm::md::write;
use serde::{Deserialize, Serialize};

use crate::notation::Case;

#[derive(Serialize)]
struct Question<'a> {
    primary: String,
    arch: &'a str,
    group: &'a [String],
    requires: Vec<String>,
    weak: bool,
}

/// `installs` is empty when it is not resolved.
#[derive(Debug, Deserialize, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) resolved: bool,
    pub(crate) installs: Vec<String>,
    #[serde(default)]
    pub(crate) problems: Vec<String>,
}

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

    pub(crate) fn ask(&mut self, case: &Case) -> Answer {
        let question = Question {
            primary: write::complete_primary_xml(&case.packages),
            arch: "x86_64",
            group: &case.group,
            requires: case.requires.iter().map(ToString::to_string).collect(),
            weak: case.weak,
        };
        let line = serde_json::to_string(&question).unwrap();
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
