//! How a service is: what its steps did, how long they took, what is wrong at the moment. Whoever works notes it here; the
//! status line of systemd, the health page and the metrics are three ways to look at it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::driver::Outcome;
use crate::error::Result;

/// How a service is. Cheap to clone; all clones are the same one.
#[derive(Debug, Clone, Default)]
pub struct Vitals(Arc<Mutex<Signs>>);

/// What is known of a service since its start.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Signs {
    /// Steps that did all there was to do.
    pub steps_clean: u64,
    /// Steps that could not do a part of it.
    pub steps_partial: u64,
    /// Steps that failed as a whole.
    pub steps_failed: u64,
    /// The time spent in steps, in seconds.
    pub step_seconds: f64,
    /// How many things were done: builds finished, packages resolved, builds submitted.
    pub done: u64,
    /// When the last step ended, how long it took in seconds, and how much it did.
    pub last: Option<(DateTime<Utc>, f64, usize)>,
    /// When a step last did at least a part of its work.
    pub last_success: Option<DateTime<Utc>>,
    /// Why the last step failed as a whole, if it did.
    pub failure: Option<String>,
    /// What could not be done in the last step, by what it is about.
    pub troubles: BTreeMap<String, String>,
    /// Messages of the bus that came in, by what became of them.
    pub messages: BTreeMap<Received, u64>,
    /// Whether the watcher listens; `None` in services that do not.
    pub listens: Option<bool>,
    /// Messages that the broker has confirmed.
    pub published: u64,
    /// Messages that could never be sent.
    pub unsendable: u64,
}

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Received {
    /// What it told of was looked at.
    Followed,
    /// Koji did not answer; polling will find it.
    LeftToPolling,
    /// It does not concern us.
    NotForUs,
    /// It was dropped.
    NotUnderstood,
}

impl Received {
    /// All of them.
    pub const ALL: [Self; 4] =
        [Self::Followed, Self::LeftToPolling, Self::NotForUs, Self::NotUnderstood];

    /// The word in metrics.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Followed => "followed",
            Self::LeftToPolling => "left_to_polling",
            Self::NotForUs => "not_for_us",
            Self::NotUnderstood => "not_understood",
        }
    }
}

impl Vitals {
    fn signs(&self) -> MutexGuard<'_, Signs> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All of it, as it is now.
    #[must_use]
    pub fn now(&self) -> Signs {
        self.signs().clone()
    }

    /// Notes how a step went.
    pub(crate) fn note_step(&self, took: Duration, result: &Result<Outcome>) {
        let now = Utc::now();
        let mut signs = self.signs();
        signs.step_seconds += took.as_secs_f64();
        let done = match result {
            Ok(outcome) => {
                signs.failure = None;
                signs.last_success = Some(now);
                signs.troubles = outcome
                    .failures
                    .iter()
                    .map(|(about, error)| (about.clone(), error.to_string()))
                    .collect();
                match outcome.failures.is_empty() {
                    true => signs.steps_clean += 1,
                    false => signs.steps_partial += 1,
                }
                outcome.done
            }
            Err(error) => {
                signs.failure = Some(error.to_string());
                signs.steps_failed += 1;
                0
            }
        };
        signs.done += done as u64;
        signs.last = Some((now, took.as_secs_f64(), done));
    }

    /// Notes that the watcher listens, or why it does not.
    pub(crate) fn note_listening(&self, failure: Option<String>) {
        let mut signs = self.signs();
        signs.listens = Some(failure.is_none());
        signs.failure = failure;
    }

    /// Notes what became of a message. Returns how many of its kind there were.
    pub(crate) fn note_message(&self, what: Received) -> u64 {
        let mut signs = self.signs();
        let count = signs.messages.entry(what).or_default();
        *count += 1;
        *count
    }

    /// Notes that a message was sent, or that it never can be.
    pub(crate) fn note_published(&self, sendable: bool) {
        let mut signs = self.signs();
        if sendable {
            signs.published += 1;
        } else {
            signs.unsendable += 1;
        }
    }
}

impl Signs {
    /// One line for a person who asks systemd.
    #[must_use]
    pub fn line(&self) -> String {
        self.words().replace('\n', " ")
    }

    fn words(&self) -> String {
        let time = |time: &DateTime<Utc>| time.format("%H:%M:%S UTC").to_string();
        if let Some(failure) = &self.failure {
            return match &self.last_success {
                Some(last) => format!("In trouble, all was well at {}: {failure}", time(last)),
                None => format!("In trouble: {failure}"),
            };
        }
        if let Some(true) = self.listens {
            let count = |what| self.messages.get(&what).copied().unwrap_or(0);
            return format!(
                "Listens; {} messages were followed, {} left to polling, {} not understood",
                count(Received::Followed),
                count(Received::LeftToPolling),
                count(Received::NotUnderstood)
            );
        }
        let Some((ended, took, done)) = &self.last else { return "Begins".to_owned() };
        let mut line = format!("Last step at {}: {done} done in {took:.1} s", time(ended));
        if let Some((about, trouble)) = self.troubles.first_key_value() {
            let others = match self.troubles.len() - 1 {
                0 => String::new(),
                others => format!(", and {others} more"),
            };
            line.push_str(&format!("; trouble with {about}: {trouble}{others}"));
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;

    fn outcome(done: usize, failures: &[&str]) -> Result<Outcome> {
        let failures = failures
            .iter()
            .map(|about| ((*about).to_owned(), Error::Collection("no such\ntag".into())))
            .collect();
        Ok(Outcome { done, failures })
    }

    #[test]
    fn a_person_reads_one_line() {
        let vitals = Vitals::default();
        assert_eq!(vitals.now().line(), "Begins");
        vitals.note_step(Duration::from_millis(1234), &outcome(7, &[]));
        assert!(vitals.now().line().ends_with(": 7 done in 1.2 s"), "{}", vitals.now().line());
        vitals.note_step(Duration::ZERO, &outcome(0, &["f41", "f40"]));
        let line = vitals.now().line();
        assert!(line.ends_with("; trouble with f40: no such tag, and 1 more"), "{line}");
        vitals.note_step(Duration::ZERO, &Err(Error::Thread("Koji is away".into())));
        let line = vitals.now().line();
        assert!(line.starts_with("In trouble, all was well at "), "{line}");
        assert!(line.contains("Koji is away"), "{line}");
        vitals.note_step(Duration::ZERO, &outcome(1, &[]));
        let signs = vitals.now();
        assert!(signs.line().starts_with("Last step at "), "{}", signs.line());
        assert_eq!((signs.steps_clean, signs.steps_partial, signs.steps_failed), (2, 1, 1));
        assert_eq!(signs.done, 8);
    }

    #[test]
    fn the_watcher_tells_of_messages() {
        let vitals = Vitals::default();
        vitals.note_listening(Some("the broker is away".into()));
        assert_eq!(vitals.now().line(), "In trouble: the broker is away");
        vitals.note_listening(None);
        vitals.note_message(Received::Followed);
        assert_eq!(vitals.note_message(Received::Followed), 2);
        assert_eq!(
            vitals.now().line(),
            "Listens; 2 messages were followed, 0 left to polling, 0 not understood"
        );
    }
}
