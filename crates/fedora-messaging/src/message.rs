//! A message to be sent.

use std::collections::BTreeSet;

use chrono::{SecondsFormat, Utc};
use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable, MAX_SHORT_STRING_LENGTH, ShortString};
use serde_json::Value;

use crate::error::Error;

/// So many bytes of names are put into headers at most: all headers together have to fit into one frame of 128 KiB.
const NAMES_LIMIT: usize = 64 << 10;

/// How important a message is to people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Only who asks for everything wants to know.
    Debug = 10,
    /// Of interest; nobody has to act.
    Info = 20,
    /// People concerned should know.
    Warning = 30,
    /// Somebody should act soon.
    Error = 40,
}

/// A message to be sent. Its body has to satisfy the schema that it names; receivers check that.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// What it is about, from the general to the particular: `koschei.package.state.change`. The configuration may put a
    /// prefix before it.
    pub topic: String,
    /// The name under which receivers know the schema of the body.
    pub schema: String,
    /// The Python package that has the schema, in the spelling of module names: `koschei_messages`.
    pub schema_package: String,
    /// How important it is.
    pub severity: Severity,
    /// Packages that it concerns. Receivers can choose messages by them.
    pub packages: BTreeSet<String>,
    /// Groups that it concerns.
    pub groups: BTreeSet<String>,
    /// Users that it concerns.
    pub users: BTreeSet<String>,
    /// Identifies the message: a UUID. Sent again, a message keeps it, so that receivers can tell.
    pub id: String,
    /// The body.
    pub body: Value,
}

impl Message {
    /// The routing key with the prefix of the configuration.
    pub(crate) fn routing_key(&self, prefix: &str) -> Result<ShortString, Error> {
        let key = match prefix.trim_end_matches('.') {
            "" => self.topic.clone(),
            prefix => format!("{prefix}.{}", self.topic),
        };
        short("topic", &key)
    }

    /// Properties and headers in the ways of fedora-messaging.
    pub(crate) fn properties(&self, priority: Option<u8>) -> Result<BasicProperties, Error> {
        let mut headers = FieldTable::default();
        let mut set = |name: &str, value: AMQPValue| {
            headers.insert(name.into(), value);
        };
        let text = |value: &str| AMQPValue::LongString(value.into());
        set("fedora_messaging_schema", text(&self.schema));
        set("fedora_messaging_schema_package", text(&self.schema_package));
        set("fedora_messaging_severity", AMQPValue::LongInt(self.severity as i32));
        // As Python writes it: with +00:00, not with Z.
        let now = Utc::now().to_rfc3339_opts(SecondsFormat::Secs, false);
        set("sent-at", text(&now));
        set("priority", AMQPValue::LongInt(priority.unwrap_or(0).into()));
        // Names are in the body as well; the headers only let receivers choose. One that AMQP has no room for stays out.
        let mut room = NAMES_LIMIT;
        for (kind, names) in
            [("rpm", &self.packages), ("group", &self.groups), ("user", &self.users)]
        {
            for name in names {
                let header = format!("fedora_messaging_{kind}_{name}");
                if header.len() <= MAX_SHORT_STRING_LENGTH && header.len() <= room {
                    room -= header.len();
                    set(&header, AMQPValue::Boolean(true));
                }
            }
        }
        let properties = BasicProperties::default()
            .with_content_type("application/json".into())
            .with_content_encoding("utf-8".into())
            .with_delivery_mode(2)
            .with_message_id(short("id", &self.id)?)
            .with_headers(headers);
        Ok(match priority {
            Some(priority) => properties.with_priority(priority),
            None => properties,
        })
    }
}

/// Text for a place where AMQP has room for 255 bytes.
fn short(what: &'static str, text: &str) -> Result<ShortString, Error> {
    ShortString::try_new(text).map_err(|_| Error::Unsendable { what, text: text.to_owned() })
}
