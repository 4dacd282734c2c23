//! The service watcher: what Koji tells on the message bus, seen at once instead of at the next round of polling
//! (spec/services.md, "watcher"; spec/messages.md, "Incoming").
//!
//! It is a faster way to what polling finds, and does nothing of its own: a message only says where to look. It is
//! acknowledged once what it led to is committed, so that a watcher that dies in the middle loses none.

use std::fmt;

use fedora_messaging::{Consumer, Delivery};
use koschei_core::config::Fedmsg;
use koschei_db::wake::{Sleeper, wake};
use koschei_db::{builds, entities};
use serde_json::{Map, Value};
use tracing::{Instrument, debug, info, info_span, warn};

use crate::context::Context;
use crate::driver::{Ended, Outcome, Troubles, feed_watchdog, over_limit, pause, tell_status};
use crate::error::Result;
use crate::resolving::{acquire, begin, commit};
use crate::vitals::Received;
use crate::{finishing, real_builds};

/// How often a message is tried when Koji does not answer. Then it is left to polling: the queue must not wait for a hub
/// that is away for hours, and least of all for one of several.
const ATTEMPTS: u32 = 5;

/// When nothing comes for so long, the queue is empty.
const MOMENT: std::time::Duration = std::time::Duration::from_secs(2);

/// Something that happened in Koji.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A task has another state.
    Task(i32),
    /// A build of this package was tagged or untagged, with whatever tag.
    Tagged(String),
    /// This build tag has a new repo.
    RepoDone(String),
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Task(id) => write!(f, "task {id} changed its state"),
            Self::Tagged(package) => write!(f, "a build of {package} was tagged or untagged"),
            Self::RepoDone(tag) => write!(f, "{tag} has a new repo"),
        }
    }
}

impl Event {
    /// What a message tells; nothing when it does not concern us.
    ///
    /// # Errors
    /// What is wrong with the message, in words.
    pub fn read(
        config: &Fedmsg,
        topic: &str,
        body: impl FnOnce() -> Result<Map<String, Value>, String>,
    ) -> Result<Option<Self>, String> {
        let suffix = topic.strip_prefix(&config.topic).and_then(|rest| rest.strip_prefix('.'));
        let Some(suffix @ ("task.state.change" | "tag" | "untag" | "repo.done")) = suffix else {
            return Ok(None);
        };
        let body = body()?;
        let text = |key: &str| match body.get(key) {
            Some(Value::String(text)) if !text.is_empty() => Ok(text.clone()),
            Some(other) => Err(format!("{key} is {other}, not a text")),
            None => Err(format!("{key} is missing")),
        };
        if text("instance")? != config.instance {
            return Ok(None);
        }
        Ok(match suffix {
            "task.state.change" if text("attribute")? == "state" => {
                let id = body.get("id").ok_or("id is missing")?;
                let number = id.as_i64().and_then(|id| i32::try_from(id).ok());
                Some(Self::Task(number.ok_or_else(|| format!("id is {id}, not a task id"))?))
            }
            "tag" | "untag" => Some(Self::Tagged(text("name")?)),
            "repo.done" => Some(Self::RepoDone(text("tag")?)),
            _ => None,
        })
    }

    /// Does what is due now. Returns how much was done.
    ///
    /// # Errors
    /// The first trouble; what is independent of it was done all the same.
    pub async fn follow(&self, ctx: &Context) -> Result<usize> {
        match self {
            Self::Task(id) => {
                let mut conn = acquire(ctx).await?;
                let running = builds::running(&mut conn, Some(*id)).await?;
                drop(conn);
                if running.is_empty() { Ok(0) } else { finishing::update(ctx, running).await }
            }
            Self::Tagged(package) => {
                let mut conn = acquire(ctx).await?;
                let collections = entities::collections(&mut *conn).await?;
                drop(conn);
                let mut result = Ok(0);
                for collection in collections {
                    let span = info_span!("of", collection = collection.name);
                    let followed = real_builds::follow_tag(ctx, &collection, Some(package));
                    result = match (result, followed.instrument(span).await) {
                        (Ok(sum), Ok(done)) => Ok(sum + done),
                        (Err(error), _) | (_, Err(error)) => Err(error),
                    };
                }
                result
            }
            Self::RepoDone(tag) => {
                let mut transaction = begin(ctx).await?;
                let collections = entities::collections(&mut *transaction).await?;
                let concerned =
                    collections.iter().filter(|collection| collection.build_tag == *tag);
                let count = concerned.count();
                if count > 0 {
                    wake(&mut transaction, Sleeper::RepoResolver).await?;
                }
                commit(transaction).await?;
                Ok(count)
            }
        }
    }
}

/// Listens until asked to stop.
pub async fn run(ctx: &Context, bus: &fedora_messaging::Config) -> Ended {
    let span = info_span!("service", name = "watcher");
    async {
        let _ = sd_notify::notify(&[sd_notify::NotifyState::Ready]);
        info!("watcher runs");
        let settings = &ctx.config.services.watcher;
        let ended = tokio::select! {
            ended = listen(ctx, bus) => ended,
            // Waiting for a message may take for ever; following one may not, and is broken off by itself.
            () = feed_watchdog(settings.watchdog, || true) => Ended::Stopped,
        };
        let _ = sd_notify::notify(&[sd_notify::NotifyState::Stopping]);
        info!("watcher ends");
        ended
    }
    .instrument(span)
    .await
}

/// Takes what waits in the queue, and ends when nothing has come for a moment. Returns how many messages were answered.
///
/// # Errors
/// When the broker or the database is away.
pub async fn once(ctx: &Context, bus: &fedora_messaging::Config) -> Result<usize> {
    let mut answered = 0;
    let mut consumer = Consumer::connect(bus, "koschei-watcher").await?;
    while let Ok(delivery) = tokio::time::timeout(MOMENT, consumer.next()).await {
        take(ctx, delivery?).await?;
        answered += 1;
    }
    Ok(answered)
}

/// Connects, and connects again, for as long as it is wanted.
async fn listen(ctx: &Context, bus: &fedora_messaging::Config) -> Ended {
    let mut troubles = Troubles::default();
    loop {
        let trouble = tokio::select! {
            ended = connect_and_take(ctx, bus, &mut troubles) => match ended {
                Ok(ended) => return ended,
                Err(error) => error,
            },
            () = ctx.stop.requested() => return Ended::Stopped,
        };
        ctx.vitals.note_listening(Some(trouble.to_string()));
        tell_status(ctx);
        let delay = troubles.note(Err(trouble)).unwrap_or_default();
        tokio::select! {
            () = tokio::time::sleep(delay) => {}
            () = ctx.stop.requested() => return Ended::Stopped,
        }
    }
}

async fn connect_and_take(
    ctx: &Context,
    bus: &fedora_messaging::Config,
    troubles: &mut Troubles,
) -> Result<Ended> {
    let mut consumer = Consumer::connect(bus, "koschei-watcher").await?;
    info!("listens to {}", bus.amqp_url);
    troubles.note(Ok(Outcome::default()));
    ctx.vitals.note_listening(None);
    loop {
        tell_status(ctx);
        let delivery = consumer.next().await?;
        take(ctx, delivery).await?;
        if over_limit(&ctx.config.services.watcher) {
            return Ok(Ended::OverLimit);
        }
    }
}

/// Does what a message asks for, and answers it.
async fn take(ctx: &Context, delivery: Delivery) -> Result<()> {
    let outcome = match Event::read(&ctx.config.fedmsg, &delivery.topic, || delivery.body()) {
        Ok(None) => Received::NotForUs,
        Ok(Some(event)) => {
            let span = info_span!("message", id = delivery.id, "{event}");
            match follow_patiently(ctx, &event).instrument(span).await? {
                true => Received::Followed,
                false => Received::LeftToPolling,
            }
        }
        Err(reason) => {
            let count = ctx.vitals.note_message(Received::NotUnderstood);
            warn!(
                topic = delivery.topic,
                id = delivery.id,
                "a message is not understood and dropped ({count} since the start): {reason}",
            );
            return Ok(delivery.refuse().await?);
        }
    };
    ctx.vitals.note_message(outcome);
    Ok(delivery.done().await?)
}

/// Follows an event, with a few attempts when Koji does not answer; `false` when it is left to polling.
///
/// # Errors
/// When the database is away. Then the message is not answered, and comes again.
async fn follow_patiently(ctx: &Context, event: &Event) -> Result<bool> {
    for attempt in 1.. {
        ctx.progress.note();
        let followed = tokio::select! {
            followed = event.follow(ctx) => followed,
            stuck = ctx.progress.until_stuck() => Err(stuck),
        };
        match followed {
            Ok(done) => {
                debug!("{event}: {done} things done");
                return Ok(true);
            }
            Err(error) if error.is_database() && error.is_transient() => return Err(error),
            Err(error) if error.is_transient() && attempt < ATTEMPTS => {
                debug!("{event}, but: {error}; trying again");
                tokio::time::sleep(pause(attempt)).await;
            }
            Err(error) => {
                warn!("{event}, which is left to polling: {error}");
                return Ok(false);
            }
        }
    }
    Ok(false)
}
