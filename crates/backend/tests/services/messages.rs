//! Messages of the tests' own making.

use fedora_messaging::testing::Broker;
use fedora_messaging::{Config, Message, Publisher, Severity};
use serde_json::Value;
use tokio::sync::Mutex;

/// Sends whatever a test wants to any topic.
pub(crate) struct Sender {
    broker: Config,
    publisher: Mutex<Publisher>,
}

impl Sender {
    pub(crate) async fn on(broker: &Broker) -> Self {
        let broker = broker.config("");
        let publisher = Mutex::new(Publisher::connect(&broker, "test").await.unwrap());
        Self { broker, publisher }
    }

    pub(crate) async fn send(&self, topic: &str, body: Value) {
        let message = Message {
            topic: topic.to_owned(),
            schema: "test".to_owned(),
            schema_package: "test".to_owned(),
            severity: Severity::Debug,
            packages: Default::default(),
            groups: Default::default(),
            users: Default::default(),
            id: "test".to_owned(),
            body,
        };
        let mut publisher = self.publisher.lock().await;
        // A broker ends connections of which it has heard nothing, as after a pause of the whole machine.
        if publisher.publish(&message).await.is_err() {
            *publisher = Publisher::connect(&self.broker, "test").await.unwrap();
            publisher.publish(&message).await.unwrap();
        }
    }
}
