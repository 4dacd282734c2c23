//! Answers that are worth keeping for a moment, because many readers ask for them and finding them looks at many rows.
//!
//! How long an answer is kept follows from what it cost: all of them together take a small part of a processor, however
//! many readers there are. An answer that is a little too old is still given while a new one is being found, so that
//! nobody waits for it; one that is much too old is not.

use std::collections::HashMap;
use std::future::Future;
use std::hash::Hash;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Mutex;

/// Finding answers may take this part of the time: one in so many.
const SHARE: u32 = 40;
/// An answer is never kept for less than this.
const LEAST: Duration = Duration::from_secs(1);
/// Answers older than this are found anew while the reader waits.
const OLDEST: Duration = Duration::from_secs(30);
/// More questions than this are not kept apart.
const QUESTIONS: usize = 64;

/// Kept answers to questions.
#[derive(Debug)]
pub(crate) struct Kept<Q, A> {
    least: Duration,
    oldest: Duration,
    answers: Arc<Mutex<HashMap<Q, Answer<A>>>>,
}

#[derive(Debug)]
struct Answer<A> {
    value: Arc<A>,
    found: Instant,
    fresh_until: Instant,
    being_renewed: bool,
}

impl<Q, A> Default for Kept<Q, A> {
    fn default() -> Self {
        Self { least: LEAST, oldest: OLDEST, answers: Arc::default() }
    }
}

impl<Q, A> Kept<Q, A> {
    /// For answers that change slowly: they are kept at least so long, and given so long while they are found anew.
    pub(crate) fn for_long(least: Duration, oldest: Duration) -> Self {
        Self { least, oldest, answers: Arc::default() }
    }
}

impl<Q, A> Kept<Q, A>
where
    Q: Clone + Eq + Hash + Send + Sync + 'static,
    A: Send + Sync + 'static,
{
    /// The answer to a question, kept or found.
    pub(crate) async fn get<F, E>(&self, question: Q, find: F) -> Result<Arc<A>, E>
    where
        F: Future<Output = Result<A, E>> + Send + 'static,
        E: std::fmt::Display + Send,
    {
        let now = Instant::now();
        let mut answers = self.answers.lock().await;
        if let Some(answer) = answers.get_mut(&question) {
            let value = answer.value.clone();
            if answer.fresh_until > now || answer.being_renewed && answer.found + self.oldest > now
            {
                return Ok(value);
            }
            if answer.found + self.oldest > now {
                answer.being_renewed = true;
                let (answers, least) = (self.answers.clone(), self.least);
                tokio::spawn(async move {
                    let found = timed(find, least).await;
                    let mut answers = answers.lock().await;
                    match found {
                        Ok(answer) => {
                            answers.insert(question, answer);
                        }
                        Err(error) => {
                            // Whoever asks next tries again and is told.
                            tracing::warn!(%error, "a kept answer could not be renewed");
                            answers.remove(&question);
                        }
                    }
                });
                return Ok(value);
            }
        }
        // The lock is held, so that of many readers who ask at once only one looks.
        let answer = timed(find, self.least).await?;
        let value = answer.value.clone();
        if answers.len() >= QUESTIONS {
            answers.clear();
        }
        answers.insert(question, answer);
        Ok(value)
    }
}

async fn timed<A, E>(
    find: impl Future<Output = Result<A, E>>,
    least: Duration,
) -> Result<Answer<A>, E> {
    let begun = Instant::now();
    let value = find.await?;
    let found = Instant::now();
    Ok(Answer {
        value: Arc::new(value),
        found,
        fresh_until: found + ((found - begun) * SHARE).max(least),
        being_renewed: false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    #[tokio::test]
    async fn a_fresh_answer_is_not_found_twice_and_an_error_is_not_kept() {
        let kept: Kept<u8, u32> = Kept::default();
        let calls = Arc::new(AtomicU32::new(0));
        let find = || {
            let calls = calls.clone();
            async move { Ok::<_, String>(calls.fetch_add(1, Ordering::SeqCst)) }
        };
        assert_eq!(*kept.get(1, find()).await.expect("found"), 0);
        assert_eq!(*kept.get(1, find()).await.expect("kept"), 0);
        assert_eq!(*kept.get(2, find()).await.expect("another question"), 1);
        assert!(kept.get(3, async { Err::<u32, _>("away") }).await.is_err());
        assert_eq!(*kept.get(3, find()).await.expect("found"), 2);
    }

    #[tokio::test]
    async fn an_old_answer_is_given_while_a_new_one_is_found() {
        let kept: Kept<u8, u32> = Kept::default();
        assert_eq!(*kept.get(1, async { Ok::<_, String>(1) }).await.expect("found"), 1);
        if let Some(answer) = kept.answers.lock().await.get_mut(&1) {
            answer.fresh_until = Instant::now();
        }
        assert_eq!(*kept.get(1, async { Ok::<_, String>(2) }).await.expect("the old one"), 1);
        // The task that finds the new one runs as soon as this one waits.
        while kept.answers.lock().await.get(&1).is_some_and(|answer| answer.being_renewed) {
            tokio::task::yield_now().await;
        }
        assert_eq!(*kept.get(1, async { Ok::<_, String>(3) }).await.expect("the new one"), 2);
    }
}
