//! Many questions, several threads, answers in order.
//!
//! Each thread takes a few questions at a time and answers them with tools of its own. Answers come out in the order of
//! the questions, and no thread runs so far ahead of whoever takes them that answers pile up in memory.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// How many questions a thread takes at a time.
const BLOCK: usize = 16;

/// How many blocks may be under way or wait to be taken.
const WINDOW: usize = 256;

struct Queue<T> {
    state: Mutex<State<T>>,
    /// Something has been answered, or nobody will answer any more.
    answered: Condvar,
    /// Something has been taken, or nobody takes any more.
    taken: Condvar,
}

struct State<T> {
    next_to_answer: usize,
    next_to_take: usize,
    answers: BTreeMap<usize, Vec<T>>,
    stopped: bool,
}

/// Answers `count` questions on `threads` threads, and hands the answers to `take` in order. `tools` makes what one thread
/// needs. When `take` fails, the rest is not asked.
pub(super) fn in_order<T: Send, Tools, E>(
    count: usize,
    threads: usize,
    tools: impl Fn() -> Tools + Sync,
    answer: impl Fn(&mut Tools, usize) -> T + Sync,
    mut take: impl FnMut(T) -> Result<(), E>,
) -> Result<(), E> {
    let blocks = count.div_ceil(BLOCK);
    let queue = Queue {
        state: Mutex::new(State {
            next_to_answer: 0,
            next_to_take: 0,
            answers: BTreeMap::new(),
            stopped: false,
        }),
        answered: Condvar::new(),
        taken: Condvar::new(),
    };
    std::thread::scope(|scope| {
        for _ in 0..threads.clamp(1, blocks.max(1)) {
            scope.spawn(|| {
                // A thread that breaks off must not be waited for.
                let _stop = StopOnPanic(&queue);
                let mut tools = tools();
                while let Some(block) = queue.next(blocks) {
                    let questions = block * BLOCK..((block + 1) * BLOCK).min(count);
                    let answers = questions.map(|i| answer(&mut tools, i)).collect();
                    queue.lock().answers.insert(block, answers);
                    queue.answered.notify_one();
                }
            });
        }
        let _stop = Stop(&queue);
        for block in 0..blocks {
            let Some(answers) = queue.take(block) else { break };
            for answer in answers {
                take(answer)?;
            }
        }
        Ok(())
    })
}

impl<T> Queue<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next block to answer.
    fn next(&self, blocks: usize) -> Option<usize> {
        let mut state = self.lock();
        loop {
            if state.stopped || state.next_to_answer == blocks {
                return None;
            }
            if state.next_to_answer < state.next_to_take + WINDOW {
                state.next_to_answer += 1;
                return Some(state.next_to_answer - 1);
            }
            state = self.taken.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The answers of a block, as soon as they are there.
    fn take(&self, block: usize) -> Option<Vec<T>> {
        let mut state = self.lock();
        loop {
            if let Some(answers) = state.answers.remove(&block) {
                state.next_to_take = block + 1;
                drop(state);
                self.taken.notify_all();
                return Some(answers);
            }
            if state.stopped {
                return None;
            }
            state = self.answered.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn stop(&self) {
        self.lock().stopped = true;
        self.answered.notify_all();
        self.taken.notify_all();
    }
}

struct Stop<'q, T>(&'q Queue<T>);

impl<T> Drop for Stop<'_, T> {
    fn drop(&mut self) {
        self.0.stop();
    }
}

struct StopOnPanic<'q, T>(&'q Queue<T>);

impl<T> Drop for StopOnPanic<'_, T> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.stop();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn answers_come_in_order_whatever_the_number_of_threads() {
        for (count, threads) in [(0, 3), (1, 1), (15, 4), (16, 1), (17, 2), (10_000, 5)] {
            let mut seen = Vec::new();
            let take = |i| {
                seen.push(i);
                Ok::<(), Infallible>(())
            };
            let Ok(()) = in_order(count, threads, || (), |(), i| i, take);
            assert_eq!(seen, (0..count).collect::<Vec<_>>());
        }
    }

    #[test]
    fn nobody_runs_ahead_and_nothing_is_asked_after_a_failure() {
        let asked = AtomicUsize::new(0);
        let mut taken = 0;
        let result = in_order(
            1_000_000,
            3,
            || (),
            |(), _| asked.fetch_add(1, Ordering::Relaxed),
            |_| {
                taken += 1;
                if taken == 100 { Err("enough") } else { Ok(()) }
            },
        );
        assert_eq!(result, Err("enough"));
        assert!(asked.load(Ordering::Relaxed) <= 100 + (WINDOW + 4) * BLOCK);
    }

    #[test]
    #[should_panic(expected = "a scoped thread panicked")]
    fn a_thread_that_breaks_off_is_no_end_of_the_work() {
        let answer = |(): &mut (), i| assert!(i != 5000, "a bug");
        let Ok(()) = in_order(10_000, 2, || (), answer, |()| Ok::<(), Infallible>(()));
    }
}
