//! Sending messages, one after the other, each confirmed by the broker.
//!
//! A broker that is short of memory or disk stops reading from whoever publishes, and says so. What was sent by then is
//! on its way: giving up and sending it again would make one copy more of it with every attempt, which all arrive once the
//! broker reads again. So that is waited for, for as long as the connection lasts.

use std::pin::pin;

use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::{Channel, Confirmation, Connection};
use tracing::{info, warn};

use crate::config::Config;
use crate::connection::{PATIENCE, open, within};
use crate::error::Error;
use crate::message::Message;

/// A connection on which messages are sent.
#[derive(Debug)]
pub struct Publisher {
    config: Config,
    // Dropped, it closes the channel.
    connection: Connection,
    channel: Channel,
}

impl Publisher {
    /// Connects to the broker. `name` is how its administrators see the connection.
    ///
    /// # Errors
    /// When the broker is away or does not let us in.
    pub async fn connect(config: &Config, name: &str) -> Result<Self, Error> {
        let connection = open(config, name).await?;
        let prepared = within(config, "open a channel", async {
            let channel = connection.create_channel().await?;
            channel.confirm_select(ConfirmSelectOptions::default()).await?;
            Ok(channel)
        });
        let channel = prepared.await?.map_err(|source| Error::connect(&config.amqp_url, source))?;
        Ok(Self { config: config.clone(), connection, channel })
    }

    /// Sends a message and waits until the broker has taken it; for ever, when the broker says that it takes none for now. A
    /// message that no queue wants counts as taken, as with every publisher.
    ///
    /// # Errors
    /// When the broker does not take it or did not say so: the message may then have been sent or not, and is to be sent
    /// again, on a new connection.
    pub async fn publish(&self, message: &Message) -> Result<(), Error> {
        let broker = || self.config.amqp_url.to_string();
        let body = message.body.to_string();
        let key = message.routing_key(&self.config.topic_prefix)?;
        let properties = message.properties(self.config.publish_priority)?;
        let sending = async {
            self.channel
                .basic_publish(
                    self.config.publish_exchange.as_str().into(),
                    key,
                    BasicPublishOptions::default(),
                    body.as_bytes(),
                    properties,
                )
                .await?
                .await
        };
        match self.while_blocked(sending).await? {
            Ok(Confirmation::Ack(_)) => Ok(()),
            Ok(Confirmation::Nack(_) | Confirmation::NotRequested) => {
                Err(Error::NotTaken { broker: broker(), reason: "it says no".to_owned() })
            }
            Err(source) if self.channel.status().connected() => {
                Err(Error::NotTaken { broker: broker(), reason: source.to_string() })
            }
            Err(source) => Err(Error::Lost { broker: broker(), reason: source.to_string() }),
        }
    }

    /// Waits for a confirmation, with patience for a broker that says that it takes nothing for now.
    async fn while_blocked<T>(&self, answer: impl Future<Output = T>) -> Result<T, Error> {
        let mut answer = pin!(answer);
        let broker = &self.config.amqp_url;
        let mut blocked = false;
        loop {
            match tokio::time::timeout(PATIENCE, &mut answer).await {
                Ok(answer) => {
                    if blocked {
                        info!("the message broker {broker} takes messages again");
                    }
                    return Ok(answer);
                }
                Err(_) if self.connection.status().blocked() => {
                    if !blocked {
                        warn!(
                            "the message broker {broker} takes no messages for now, because it is short of \
                             memory or disk; they wait"
                        );
                    }
                    blocked = true;
                }
                Err(_) => {
                    return Err(Error::Slow {
                        broker: broker.to_string(),
                        what: "confirm a message",
                        seconds: PATIENCE.as_secs(),
                    });
                }
            }
        }
    }
}
