//! Receiving messages, one after the other, each answered when its effect is safe.

use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream, SelectAll};
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicNackOptions, BasicQosOptions, QueueBindOptions,
    QueueDeclareOptions,
};
use lapin::types::FieldTable;
use lapin::{Channel, Connection};

use crate::config::Config;
use crate::connection::{arguments, open, within};
use crate::error::Error;

/// The largest body that is looked at, in bytes. RabbitMQ's own limit is 16 MiB by default.
const LARGEST_BODY: usize = 16 << 20;

/// A connection on which messages come in.
pub struct Consumer {
    broker: String,
    // Dropped, it closes the channel, and what was not answered is delivered again.
    _connection: Connection,
    _channel: Channel,
    deliveries: Deliveries,
}

/// What comes from all queues; nothing where one of them ends.
type Deliveries = SelectAll<BoxStream<'static, Option<lapin::Result<lapin::message::Delivery>>>>;

impl std::fmt::Debug for Consumer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Consumer({})", self.broker)
    }
}

/// A message that was received. Dropped without an answer it comes again, once the connection has ended.
#[derive(Debug)]
pub struct Delivery {
    /// The routing key: the topic with whatever prefix its sender puts before it.
    pub topic: String,
    /// The sender's name for the message.
    pub id: Option<String>,
    /// Whether it was delivered before, to somebody who did not answer.
    pub redelivered: bool,
    body: Vec<u8>,
    broker: String,
    acker: lapin::Acker,
}

impl Consumer {
    /// Connects to the broker, declares queues and bindings, and begins to listen. `name` is how the broker's
    /// administrators see the connection.
    ///
    /// # Errors
    /// When the broker is away, does not let us in, or refuses a declaration.
    pub async fn connect(config: &Config, name: &str) -> Result<Self, Error> {
        let connection = open(config, name).await?;
        let listening = listen(config, &connection);
        let (channel, deliveries) = within(config, "declare the queues", listening).await??;
        let broker = config.amqp_url.to_string();
        Ok(Self { broker, _connection: connection, _channel: channel, deliveries })
    }

    /// Waits for the next message. May be given up at any time without losing one.
    ///
    /// # Errors
    /// When the connection is lost, or a queue was deleted.
    pub async fn next(&mut self) -> Result<Delivery, Error> {
        let lost = |reason: String| Error::Lost { broker: self.broker.clone(), reason };
        match self.deliveries.next().await.flatten() {
            Some(Ok(delivery)) => Ok(Delivery {
                topic: delivery.routing_key.to_string(),
                id: delivery.properties.message_id().as_ref().map(ToString::to_string),
                redelivered: delivery.redelivered,
                broker: self.broker.clone(),
                acker: delivery.acker,
                body: delivery.data,
            }),
            Some(Err(error)) => Err(lost(error.to_string())),
            None => Err(lost("the broker ended the subscription".to_owned())),
        }
    }
}

async fn listen(config: &Config, connection: &Connection) -> Result<(Channel, Deliveries), Error> {
    let broker = &config.amqp_url;
    let refused = |what: String| move |source| Error::refused(broker, what, source);
    let channel = connection.create_channel().await;
    let channel = channel.map_err(|source| Error::connect(broker, source))?;
    channel
        .basic_qos(config.qos.prefetch_count, BasicQosOptions::default())
        .await
        .map_err(refused(format!("a prefetch count of {}", config.qos.prefetch_count)))?;
    let mut deliveries = SelectAll::new();
    for (name, queue) in &config.queues {
        let options = QueueDeclareOptions {
            passive: queue.passive.unwrap_or(config.passive_declares),
            durable: queue.durable,
            exclusive: queue.exclusive,
            auto_delete: queue.auto_delete,
            ..QueueDeclareOptions::default()
        };
        let declared = channel
            .queue_declare(name.as_str().into(), options, arguments(&queue.arguments))
            .await
            .map_err(refused(format!("the queue {name:?}")))?;
        // A queue without a name has got one.
        let called = declared.name().clone();
        for binding in config.bindings.iter().filter(|binding| binding.queue == *name) {
            for key in &binding.routing_keys {
                let exchange = &binding.exchange;
                channel
                    .queue_bind(
                        called.clone(),
                        exchange.as_str().into(),
                        key.as_str().into(),
                        QueueBindOptions::default(),
                        FieldTable::default(),
                    )
                    .await
                    .map_err(refused(format!("the binding of {key} of {exchange} to {called}")))?;
            }
        }
        let consumer = channel
            .basic_consume(
                called.clone(),
                "".into(),
                BasicConsumeOptions::default(),
                FieldTable::default(),
            )
            .await
            .map_err(refused(format!("to deliver from the queue {called}")))?;
        // That one queue ends must not go unnoticed among the others.
        let end = stream::once(std::future::ready(None));
        deliveries.push(consumer.map(Some).chain(end).boxed());
    }
    Ok((channel, deliveries))
}

impl Delivery {
    /// The body as the JSON object that it has to be.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn body(&self) -> Result<serde_json::Map<String, serde_json::Value>, String> {
        if self.body.len() > LARGEST_BODY {
            return Err(format!("the body has {} bytes, which is absurd", self.body.len()));
        }
        serde_json::from_slice(&self.body)
            .map_err(|error| format!("the body is no JSON object: {error}"))
    }

    /// Says that the effect of the message is safe: the broker forgets it. Nobody confirms that: an answer that is lost
    /// with the connection means that the message comes again.
    ///
    /// # Errors
    /// When the connection is known to be lost.
    pub async fn done(self) -> Result<(), Error> {
        let answer = self.acker.ack(BasicAckOptions::default()).await;
        self.answered(answer)
    }

    /// Says that nobody will ever be able to do anything with the message: the broker drops it, or keeps it elsewhere if
    /// it was told to.
    ///
    /// # Errors
    /// When the connection is known to be lost.
    pub async fn refuse(self) -> Result<(), Error> {
        let options = BasicNackOptions { requeue: false, ..BasicNackOptions::default() };
        let answer = self.acker.nack(options).await;
        self.answered(answer)
    }

    fn answered<T>(self, answer: lapin::Result<T>) -> Result<(), Error> {
        answer
            .map(drop)
            .map_err(|error| Error::Lost { broker: self.broker, reason: error.to_string() })
    }
}
