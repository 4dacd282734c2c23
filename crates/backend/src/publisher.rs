//! Sends the messages that the outbox holds (spec/messages.md, "Outgoing").
//!
//! It is no service of its own: every process that is configured to publish runs it beside its work, and the one that has
//! the publisher's lock sends for all, one message after the other, in the order in which they were written. A message
//! leaves the outbox once the broker has confirmed it; in between it may be sent twice, under the same id. With the
//! broker away messages wait in the database, and whoever can reach it first goes on. What can never be sent is told to
//! the log and dropped, so that the others do not wait behind it.

use std::time::Duration;

use fedora_messaging::{Config, Message, Publisher, Severity};
use koschei_db::locks::PublisherLock;
use koschei_db::outbox::{self, Waiting};
use koschei_db::wake::{Alarm, Sleeper};
use serde_json::Value;
use tracing::{Instrument, debug, error, info, info_span};

use crate::context::Context;
use crate::driver::{Outcome, Troubles};
use crate::error::Result;
use crate::resolving::acquire;

/// How often a process looks whether the one that sends is gone.
const TURN: Duration = Duration::from_secs(20);

/// How many messages are read at once.
const BATCH: i64 = 200;

/// The name by which receivers know the schemas of our messages, and their package.
const SCHEMAS: (&str, &str) = ("koschei", "koschei_messages");

/// How long a message that is on its way may take when the process is asked to stop.
const GRACE: Duration = Duration::from_secs(1);

/// Sends messages until asked to stop, whatever goes wrong meanwhile.
pub async fn run(ctx: &Context, bus: &Config) {
    // What the service beside it does says nothing about the publisher, and the other way round.
    let ctx = &ctx.with_own_progress();
    let mut troubles = Troubles::default();
    let work = async {
        while !ctx.stop.is_requested() {
            let sending = send_all(ctx, bus, &mut troubles, Until::Stopped);
            let result = tokio::select! {
                result = sending => result,
                stuck = ctx.progress.until_stuck() => Err(stuck),
            };
            let delay = match result {
                Ok(()) => TURN,
                Err(error) => troubles.note(Err(error)).unwrap_or(TURN),
            };
            tokio::select! {
                () = tokio::time::sleep(delay) => {}
                () = ctx.stop.requested() => {}
            }
            ctx.progress.note();
        }
    };
    let stopped = async {
        ctx.stop.requested().await;
        tokio::time::sleep(GRACE).await;
    };
    tokio::select! {
        () = work.instrument(info_span!("publisher")) => {}
        () = stopped => {}
    }
}

/// Sends what waits, for a process that does not stay; nothing when another process sends.
///
/// # Errors
/// When the broker or the database is away: the messages wait for the next process.
pub async fn once(ctx: &Context, bus: &Config) -> Result<()> {
    send_all(ctx, bus, &mut Troubles::default(), Until::Empty)
        .instrument(info_span!("publisher"))
        .await
}

/// When to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Until {
    Stopped,
    Empty,
}

/// Sends for as long as nothing goes wrong; at once done when another process sends.
async fn send_all(
    ctx: &Context,
    bus: &Config,
    troubles: &mut Troubles,
    until: Until,
) -> Result<()> {
    let Some(mut lock) = PublisherLock::try_acquire(&ctx.db).await? else { return Ok(()) };
    // Before the first look, so that nothing is missed between the two.
    let mut alarm = Alarm::set(&ctx.db, Sleeper::Publisher).await?;
    let publisher = Publisher::connect(bus, "koschei-publisher").await?;
    troubles.note(Ok(Outcome::default()));
    info!("sends messages to {}", bus.amqp_url);
    loop {
        ctx.progress.note();
        lock.check().await?;
        let mut conn = acquire(ctx).await?;
        let waiting = outbox::waiting(&mut conn, BATCH).await?;
        drop(conn);
        for message in &waiting {
            if ctx.stop.is_requested() {
                return Ok(());
            }
            if !send(ctx, &publisher, message).await? {
                // Somebody else sends: an outage of the database has ended our lock, and nobody told us.
                return Ok(());
            }
        }
        if !waiting.is_empty() {
            debug!("{} messages are sent", waiting.len());
            continue;
        }
        if until == Until::Empty {
            lock.release().await;
            return Ok(());
        }
        // The alarm is only faster than looking.
        tokio::select! {
            _ = tokio::time::timeout(TURN, alarm.ring()) => {}
            () = ctx.stop.requested() => return Ok(()),
        }
    }
}

/// Sends a message and takes it out; `false` when it was taken out already.
async fn send(ctx: &Context, publisher: &Publisher, waiting: &Waiting) -> Result<bool> {
    let dropped = match readable(ctx, waiting) {
        None => true,
        // A broker that is short of memory or disk may take its time, and says so.
        Some(message) => match ctx.progress.during(publisher.publish(&message)).await {
            Err(error @ fedora_messaging::Error::Unsendable { .. }) => {
                error!(id = waiting.message_id, "{error}; dropped");
                true
            }
            published => published.map(|()| false)?,
        },
    };
    ctx.vitals.note_published(!dropped);
    let mut conn = acquire(ctx).await?;
    Ok(outbox::sent(&mut conn, waiting.id).await?)
}

/// The message as the bus has it; nothing when the row is no message of ours, which only a person can have made.
fn readable(ctx: &Context, waiting: &Waiting) -> Option<Message> {
    let Waiting { message_id, topic, body, .. } = waiting;
    let Ok(Value::Object(mut body)) = serde_json::from_str(body) else {
        error!(id = message_id, "a message about {topic} in the outbox is no JSON object; dropped");
        return None;
    };
    body.insert("koji_instance".to_owned(), ctx.config.fedmsg.instance.clone().into());
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let (owner, package) = SCHEMAS;
    Some(Message {
        topic: format!("{}.{topic}", ctx.config.fedmsg_publisher.modname),
        schema: format!("{owner}.{topic}"),
        schema_package: package.to_owned(),
        severity: Severity::Info,
        packages: body.get("name").and_then(text).into_iter().collect(),
        groups: body
            .get("groups")
            .and_then(Value::as_array)
            .map(|groups| groups.iter().filter_map(text).collect())
            .unwrap_or_default(),
        users: Default::default(),
        id: message_id.clone(),
        body: Value::Object(body),
    })
}
