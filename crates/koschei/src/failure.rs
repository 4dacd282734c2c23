//! What a person sees when it did not work: one sentence, and a status for scripts and supervisors.

use std::fmt;

/// An end that was not wished for.
#[derive(Debug)]
pub(crate) struct Failure {
    sentence: String,
    status: u8,
}

impl Failure {
    /// Something went wrong; the sentence names the thing, the reason and what to do.
    pub(crate) fn new(sentence: impl fmt::Display) -> Self {
        Self { sentence: sentence.to_string(), status: 1 }
    }

    /// It was asked for wrongly, or is configured wrongly: trying again changes nothing.
    pub(crate) fn usage(sentence: impl fmt::Display) -> Self {
        Self { sentence: sentence.to_string(), status: 2 }
    }

    /// The exit status.
    pub(crate) fn status(&self) -> u8 {
        self.status
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentence)
    }
}
