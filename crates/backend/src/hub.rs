//! A Koji, which may be away while everything else works.
//!
//! Collections of one Koji must not wait for the other, and no step may wait for a hub that takes calls and never answers
//! them. So before a hub is asked for anything it is asked for a sign of life, with little patience; when there is none,
//! its collections have to do without, and it is left alone for a while, longer each time.
//!
//! A hub may also fall silent in the middle of a call. So a call that takes long is waited for only as long as the hub gives
//! signs of life to others.
//!
//! The primary Koji is asked by everything, and says quickly enough that it is offline or cannot be reached. Of it only
//! silence counts.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use koji::calls;
use koji::types::User;
use koji::{ClientConfig, Login};
use tokio::sync::Mutex;
use tokio::time::Instant;
use tokio::time::error::Elapsed;

use crate::error::{Error, Result};

/// How long it may take to give a sign of life.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// When waiting took so much longer than that, it was us who stood still, and it says nothing about the hub.
const STOOD_STILL: Duration = Duration::from_secs(1);

/// How long a sign of life counts.
const COUNTS: Duration = Duration::from_secs(10);

/// How long it is left alone after the first failure; twice as long after each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(5);

/// After silence, everything that a hub had taken by then comes at once, in any order. So long it may take until that is over.
const AFTER_SILENCE: Duration = Duration::from_secs(30);

/// Which of the two it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Primary,
    Secondary,
}

impl Role {
    /// How long it is left alone at most.
    fn longest_pause(self) -> Duration {
        Duration::from_secs(match self {
            Self::Primary => 60,
            Self::Secondary => 300,
        })
    }

    fn away(self, why: &str) -> Error {
        Error::Away(match self {
            Self::Primary => format!("the primary Koji does not answer: {why}"),
            Self::Secondary => {
                format!("the secondary Koji is away, and its collections wait: {why}")
            }
        })
    }
}

/// A Koji. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Hub {
    role: Role,
    client: koji::Client,
    /// For the sign of life.
    impatient: koji::Client,
    patience: Duration,
    state: Arc<Mutex<State>>,
    /// When it was found to answer again after it had been away.
    back: Arc<std::sync::Mutex<Option<Instant>>>,
}

#[derive(Debug)]
enum State {
    Unknown,
    Answered(Instant),
    Away { until: Instant, failures: u32, why: String },
}

impl Hub {
    pub(crate) fn new(role: Role, mut config: ClientConfig, patience: Duration) -> Self {
        let patience = patience.min(config.session.timeout);
        let mut impatient = config.clone();
        config.session.sign_of_life_after = Some(patience);
        impatient.session.timeout = patience;
        impatient.session.max_retries = 0;
        impatient.login = Login::Anonymous;
        Self {
            role,
            client: koji::Client::new(config),
            impatient: koji::Client::new(impatient),
            patience,
            state: Arc::new(Mutex::new(State::Unknown)),
            back: Arc::default(),
        }
    }

    /// Whether what it was asked for before it fell silent, if it did, has been done by now or never will be.
    pub(crate) fn is_settled(&self) -> bool {
        let back = *self.back.lock().unwrap_or_else(PoisonError::into_inner);
        back.max(self.last_silence()).is_none_or(|since| since.elapsed() >= AFTER_SILENCE)
    }

    /// When a call was last given up, in the middle of which it had fallen silent.
    fn last_silence(&self) -> Option<Instant> {
        self.client.last_silence().map(Instant::from_std)
    }

    /// Its client, if it answers.
    pub(crate) async fn client(&self) -> Result<&koji::Client> {
        let mut state = self.state.lock().await;
        let now = Instant::now();
        let failures = match &*state {
            State::Answered(at) if now < *at + COUNTS && Some(*at) > self.last_silence() => {
                return Ok(&self.client);
            }
            State::Away { until, why, .. } if now < *until => return Err(self.role.away(why)),
            State::Away { failures, .. } => *failures,
            State::Unknown | State::Answered(_) => 0,
        };
        let (answer, took) = match self.sign_of_life().await {
            (_, took) if took > self.patience + STOOD_STILL => self.sign_of_life().await,
            sign => sign,
        };
        // libcurl may lose its patience a moment before we do.
        let silent = took + STOOD_STILL.min(self.patience / 10) >= self.patience;
        let why = match answer {
            Ok(Err(error)) if error.is_transient() && (silent || self.role == Role::Secondary) => {
                error.to_string()
            }
            Err(_) => {
                let hub = &self.impatient.config().server;
                format!("{hub}: no answer within {} seconds", self.patience.as_secs())
            }
            // Of the primary one, whatever is wrong shows with the next call.
            Ok(Err(error)) if error.is_transient() => {
                if failures > 0 {
                    *self.back.lock().unwrap_or_else(PoisonError::into_inner) =
                        Some(Instant::now());
                }
                *state = State::Unknown;
                return Ok(&self.client);
            }
            // Whatever it says, it is there.
            Ok(_) => {
                if failures > 0 {
                    *self.back.lock().unwrap_or_else(PoisonError::into_inner) =
                        Some(Instant::now());
                }
                *state = State::Answered(Instant::now());
                return Ok(&self.client);
            }
        };
        let pause = FIRST_PAUSE
            .saturating_mul(2u32.saturating_pow(failures))
            .min(self.role.longest_pause());
        let error = self.role.away(&why);
        *state = State::Away { until: Instant::now() + pause, failures: failures + 1, why };
        Err(error)
    }

    /// What it says when it is asked for a sign of life, and how long that took.
    async fn sign_of_life(&self) -> (Answer, Duration) {
        let begun = Instant::now();
        let sign = self.impatient.call(calls::get_logged_in_user());
        (tokio::time::timeout(self.patience, sign).await, begun.elapsed())
    }
}

/// An answer, or none in time.
type Answer = Result<Result<Option<User>, koji::Error>, Elapsed>;
