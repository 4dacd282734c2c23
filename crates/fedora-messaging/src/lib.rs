//! The message bus of the Fedora ecosystem, as programs in Python know it from the library `fedora-messaging`: AMQP 0.9.1
//! with a convention for topics, headers and bodies, and a configuration file of its own that all programs of a host
//! share.
//!
//! * [`Config`] is that file;
//! * [`Publisher`] sends a [`Message`] and waits until the broker has taken it;
//! * [`Consumer`] declares queues and bindings as the configuration wants them and gives one [`Delivery`] after the other;
//!   each is answered once its effect is safe.
//!
//! Neither reconnects by itself: after an [`Error`] that [`is_transient`](Error::is_transient), the owner opens a new one
//! after a pause of its choice. What was published without confirmation has to be published again; what was delivered
//! without an answer will be delivered again.

mod config;
mod connection;
mod consumer;
mod error;
mod message;
mod publisher;
#[cfg(feature = "testing")]
pub mod testing;

pub use config::{Binding, Config, Exchange, Queue, Tls};
pub use consumer::{Consumer, Delivery};
pub use error::{ConfigError, Error};
pub use message::{Message, Severity};
pub use publisher::Publisher;
