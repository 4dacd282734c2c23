//! The secondary Koji, which may be away while everything else works.
//!
//! Collections of the primary Koji must not wait for it. So before it is asked for anything it is asked for a sign of life,
//! with little patience; when there is none, its collections have to do without, and it is left alone for a while, longer
//! each time.

use std::sync::Arc;
use std::time::Duration;

use koji::ClientConfig;
use koji::calls;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::error::{Error, Result};

/// How long it may take to give a sign of life.
const PATIENCE: Duration = Duration::from_secs(15);

/// How long a sign of life counts.
const COUNTS: Duration = Duration::from_secs(10);

/// How long it is left alone after the first failure; twice as long after each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(5);

/// How long it is left alone at most.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// The secondary Koji. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Secondary {
    client: koji::Client,
    /// For the sign of life.
    impatient: koji::Client,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
enum State {
    Unknown,
    Answered(Instant),
    Away { until: Instant, failures: u32, why: String },
}

impl Secondary {
    pub(crate) fn new(config: ClientConfig) -> Self {
        let mut impatient = config.clone();
        impatient.session.timeout = impatient.session.timeout.min(PATIENCE);
        impatient.session.max_retries = 0;
        Self {
            client: koji::Client::new(config),
            impatient: koji::Client::new(impatient),
            state: Arc::new(Mutex::new(State::Unknown)),
        }
    }

    /// Its client, if it answers.
    pub(crate) async fn client(&self) -> Result<&koji::Client> {
        let mut state = self.state.lock().await;
        let now = Instant::now();
        let failures = match &*state {
            State::Answered(at) if now < *at + COUNTS => return Ok(&self.client),
            State::Away { until, why, .. } if now < *until => return Err(away(why)),
            State::Away { failures, .. } => *failures,
            State::Unknown | State::Answered(_) => 0,
        };
        let sign = self.impatient.call(calls::get_logged_in_user());
        let why = match tokio::time::timeout(PATIENCE, sign).await {
            Ok(Err(error)) if error.is_transient() => error.to_string(),
            Err(_) => {
                let hub = &self.impatient.config().server;
                format!("{hub}: no answer within {} seconds", PATIENCE.as_secs())
            }
            // Whatever it says, it is there.
            Ok(_) => {
                *state = State::Answered(Instant::now());
                return Ok(&self.client);
            }
        };
        let pause = FIRST_PAUSE.saturating_mul(2u32.saturating_pow(failures)).min(LONGEST_PAUSE);
        let error = away(&why);
        *state = State::Away { until: Instant::now() + pause, failures: failures + 1, why };
        Err(error)
    }
}

fn away(why: &str) -> Error {
    Error::Away(format!("the secondary Koji is away, and its collections wait: {why}"))
}
