//! Sending messages, one after the other, each confirmed by the broker.

use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::{Channel, Confirmation, Connection};

use crate::config::Config;
use crate::connection::{open, within};
use crate::error::Error;
use crate::message::Message;

/// A connection on which messages are sent.
#[derive(Debug)]
pub struct Publisher {
    config: Config,
    // Dropped, it closes the channel.
    _connection: Connection,
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
        Ok(Self { config: config.clone(), _connection: connection, channel })
    }

    /// Sends a message and waits until the broker has taken it. A message that no queue wants counts as taken, as with
    /// every publisher.
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
        match within(&self.config, "confirm a message", sending).await? {
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
}
