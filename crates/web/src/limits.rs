//! How often somebody may send forms: enough for a person in a hurry, too little for a program that guesses or floods.
//!
//! Each process counts for itself and forgets when it ends; it is a brake, not a lock.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Forms that may come at once.
const AT_ONCE: u32 = 30;
/// After which another one may come.
const EACH: Duration = Duration::from_secs(2);
/// More people than this are not told apart.
const PEOPLE: usize = 20_000;

/// Counts what comes from whom.
#[derive(Debug, Default)]
pub(crate) struct Limits {
    /// When somebody will have made up for everything they sent.
    even: Mutex<HashMap<String, Instant>>,
}

impl Limits {
    /// Counts one form of somebody; if it was one too many, says how long to wait.
    pub(crate) fn count(&self, who: &str, now: Instant) -> Result<(), Duration> {
        let mut even = self.even.lock().unwrap_or_else(PoisonError::into_inner);
        if even.len() >= PEOPLE && !even.contains_key(who) {
            even.retain(|_, time| *time > now);
            if even.len() >= PEOPLE {
                even.clear();
            }
        }
        let time = even.get(who).copied().unwrap_or(now).max(now) + EACH;
        let ahead = time - now;
        match ahead.checked_sub(EACH * AT_ONCE) {
            Some(wait) if !wait.is_zero() => Err(wait),
            _ => {
                even.insert(who.to_owned(), time);
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_at_once_are_too_many_and_time_makes_up_for_it() {
        let limits = Limits::default();
        let now = Instant::now();
        for _ in 0..AT_ONCE {
            assert_eq!(limits.count("me", now), Ok(()));
        }
        assert_eq!(limits.count("me", now), Err(EACH));
        assert_eq!(limits.count("you", now), Ok(()), "others are not held up");
        assert_eq!(limits.count("me", now + EACH / 2), Err(EACH / 2));
        assert_eq!(limits.count("me", now + EACH), Ok(()));
        assert!(limits.count("me", now + EACH).is_err());
    }

    #[test]
    fn memory_is_bounded() {
        let limits = Limits::default();
        let now = Instant::now();
        for person in 0..PEOPLE + 10 {
            assert_eq!(limits.count(&person.to_string(), now), Ok(()));
        }
        let even = limits.even.lock().expect("nobody panicked");
        assert!(even.len() <= PEOPLE);
    }
}
