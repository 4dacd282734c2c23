//! Messages of the tests' own making.

use fedora_messaging::testing::Broker;
use fedora_messaging::{Message, Publisher, Severity};
use serde_json::Value;

/// Sends whatever a test wants to any topic.
pub(crate) struct Sender(Publisher);

impl Sender {
    pub(crate) async fn on(broker: &Broker) -> Self {
        Self(Publisher::connect(&broker.config(""), "test").await.unwrap())
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
        self.0.publish(&message).await.unwrap();
    }
}
