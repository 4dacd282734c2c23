//! The configuration of the bus: a TOML file that all programs of a host share, with the defaults of `fedora-messaging`.
//!
//! A key that the file sets replaces the default as a whole, tables too: that is how the original reads it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use lapin::types::MAX_SHORT_STRING_LENGTH;
use lapin::uri::{AMQPScheme, AMQPUri};
use serde::Deserialize;

use crate::error::ConfigError;

/// Where the file is unless the environment says otherwise.
const PATH: &str = "/etc/fedora-messaging/config.toml";

/// The environment variable with another place.
const VARIABLE: &str = "FEDORA_MESSAGING_CONF";

/// How to reach the broker, what to declare there, and how to send.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The broker: `amqps://user:password@host:port/vhost`.
    pub amqp_url: AmqpUrl,
    /// What the client tells the broker about itself.
    pub client_properties: BTreeMap<String, String>,
    /// The exchange to which messages are sent.
    pub publish_exchange: String,
    /// Put before the topic of each message sent.
    pub topic_prefix: String,
    /// The priority of messages sent.
    pub publish_priority: Option<u8>,
    /// Whether exchanges and queues must be there already: they are looked for and not made.
    pub passive_declares: bool,
    /// Exchanges, by name. As in the original they are only described here: nobody declares them.
    pub exchanges: BTreeMap<String, Exchange>,
    /// Queues to listen to, by name; a queue without a name (`""`) gets one from the broker.
    pub queues: BTreeMap<String, Queue>,
    /// What goes from exchanges to queues.
    pub bindings: Vec<Binding>,
    /// How many messages the broker hands out at once.
    pub qos: Qos,
    /// Certificates.
    pub tls: Tls,
    /// For programs in Python.
    callback: Option<toml::Value>,
    monitoring: Option<toml::Value>,
    consumer_config: Option<toml::Value>,
    log_config: Option<toml::Value>,
}

/// The address of the broker. Its password is never printed.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct AmqpUrl(pub(crate) AMQPUri);

/// An exchange of the broker.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exchange {
    /// Such as `topic`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Whether it survives a restart of the broker.
    pub durable: bool,
    /// Whether it ends with its last queue.
    pub auto_delete: bool,
    /// For extensions of the broker.
    #[serde(default)]
    pub arguments: toml::Table,
}

/// A queue of the broker.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Queue {
    /// Whether it survives a restart of the broker.
    pub durable: bool,
    /// Whether it ends with its last consumer.
    pub auto_delete: bool,
    /// Whether it belongs to one connection.
    pub exclusive: bool,
    /// For extensions of the broker, such as `x-max-priority`.
    pub arguments: toml::Table,
    /// As `passive_declares`, for this queue alone.
    #[serde(default)]
    pub passive: Option<bool>,
}

/// What goes from an exchange to a queue.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Binding {
    /// The queue; the one without a name when missing.
    #[serde(default)]
    pub queue: String,
    /// The exchange.
    pub exchange: String,
    /// Topics, with `*` for one word and `#` for any number of them.
    pub routing_keys: Vec<String>,
}

/// How many messages the broker hands out before the first of them is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Qos {
    /// In messages.
    pub prefetch_count: u16,
    /// In bytes. RabbitMQ knows no limit in bytes and refuses other values than 0.
    pub prefetch_size: u32,
}

/// Certificates, as paths of PEM files.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tls {
    /// Certificates of authorities that the broker's may come from, besides those of the system.
    pub ca_cert: Option<PathBuf>,
    /// Our key. With a certificate it takes the place of name and password.
    pub keyfile: Option<PathBuf>,
    /// Our certificate.
    pub certfile: Option<PathBuf>,
}

impl Default for Qos {
    fn default() -> Self {
        Self { prefetch_count: 10, prefetch_size: 0 }
    }
}

impl std::fmt::Debug for AmqpUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "AmqpUrl({}://{self})", self.0.scheme)
    }
}

impl std::fmt::Display for AmqpUrl {
    /// Host and port.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.0.authority.host, self.0.authority.port)
    }
}

impl AmqpUrl {
    /// Whether the way to the broker is encrypted.
    #[must_use]
    pub fn is_encrypted(&self) -> bool {
        self.0.scheme == AMQPScheme::AMQPS
    }
}

impl std::str::FromStr for AmqpUrl {
    type Err = String;

    fn from_str(url: &str) -> Result<Self, String> {
        // The parser's own words may quote the URL, and with it the password.
        let mut uri = url.parse::<AMQPUri>().map_err(|_| {
            "it is not of the form amqps://user:password@host:port/vhost".to_owned()
        })?;
        if uri.vhost.is_empty() {
            uri.vhost = "/".to_owned();
        }
        Ok(Self(uri))
    }
}

impl<'de> Deserialize<'de> for AmqpUrl {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let url = String::deserialize(deserializer)?;
        url.parse().map_err(serde::de::Error::custom)
    }
}

impl Default for Config {
    fn default() -> Self {
        let topic = Exchange {
            kind: "topic".to_owned(),
            durable: true,
            auto_delete: false,
            arguments: toml::Table::new(),
        };
        let temporary = Queue {
            durable: false,
            auto_delete: true,
            exclusive: true,
            arguments: toml::Table::new(),
            passive: None,
        };
        Self {
            amqp_url: AmqpUrl::default(),
            client_properties: BTreeMap::new(),
            publish_exchange: "amq.topic".to_owned(),
            topic_prefix: String::new(),
            publish_priority: None,
            passive_declares: false,
            exchanges: BTreeMap::from([("amq.topic".to_owned(), topic)]),
            queues: BTreeMap::from([(String::new(), temporary)]),
            bindings: vec![Binding {
                queue: String::new(),
                exchange: "amq.topic".to_owned(),
                routing_keys: vec!["#".to_owned()],
            }],
            qos: Qos::default(),
            tls: Tls::default(),
            callback: None,
            monitoring: None,
            consumer_config: None,
            log_config: None,
        }
    }
}

impl Config {
    /// Reads the file that `FEDORA_MESSAGING_CONF` names, else `/etc/fedora-messaging/config.toml`. Without the file the
    /// defaults hold: a broker on this host.
    ///
    /// # Errors
    /// When the file cannot be read or understood.
    pub fn load() -> Result<Self, ConfigError> {
        Self::load_from(std::env::var_os(VARIABLE).map(PathBuf::from))
    }

    fn load_from(named: Option<PathBuf>) -> Result<Self, ConfigError> {
        let path = named.as_deref().unwrap_or(Path::new(PATH));
        match std::fs::read_to_string(path) {
            Ok(text) => Self::parse(&text, path),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && named.is_none() => {
                Ok(Self::default())
            }
            // The original takes the defaults here as well, and then talks to the wrong broker.
            Err(error) => Err(ConfigError::new(
                path,
                format!("the configuration of fedora-messaging cannot be read: {error}"),
            )),
        }
    }

    /// Reads a configuration; the path is only for what has to be said about it.
    ///
    /// # Errors
    /// When the text cannot be understood.
    pub fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        let mistake = |error: toml::de::Error| {
            let before = |span: std::ops::Range<usize>| text.get(..span.start).unwrap_or(text);
            let line = error.span().map(|span| before(span).matches('\n').count() + 1);
            ConfigError::at(path, line, error.message())
        };
        // The first level of keys is read without regard to case.
        let raw: toml::Table = text.parse().map_err(mistake)?;
        let config: Self = if raw.keys().any(|key| key.chars().any(char::is_uppercase)) {
            let lower: toml::Table =
                raw.into_iter().map(|(key, value)| (key.to_lowercase(), value)).collect();
            lower.try_into().map_err(mistake)?
        } else {
            toml::from_str(text).map_err(mistake)?
        };
        config.check(path)?;
        Ok(config)
    }

    fn check(&self, path: &Path) -> Result<(), ConfigError> {
        for binding in &self.bindings {
            if !self.queues.contains_key(&binding.queue) {
                let queue = &binding.queue;
                return Err(ConfigError::new(
                    path,
                    format!("a binding names the queue {queue:?}, which is not among the queues"),
                ));
            }
        }
        self.check_lengths(path)?;
        match (&self.tls.keyfile, &self.tls.certfile) {
            (Some(_), None) => Err(ConfigError::new(path, "tls has a keyfile but no certfile")),
            (None, Some(_)) => Err(ConfigError::new(path, "tls has a certfile but no keyfile")),
            _ => Ok(()),
        }
    }

    /// AMQP has room for 255 bytes in a name.
    fn check_lengths(&self, path: &Path) -> Result<(), ConfigError> {
        let bindings = self.bindings.iter();
        let names = [&self.publish_exchange, &self.topic_prefix]
            .into_iter()
            .chain(self.queues.keys())
            .chain(self.queues.values().flat_map(|queue| queue.arguments.keys()))
            .chain(self.client_properties.keys())
            .chain(bindings.clone().map(|binding| &binding.exchange))
            .chain(bindings.flat_map(|binding| &binding.routing_keys));
        match names.into_iter().find(|name| name.len() > MAX_SHORT_STRING_LENGTH) {
            Some(name) => {
                let reason =
                    format!("a name has more than {MAX_SHORT_STRING_LENGTH} bytes: {name}");
                Err(ConfigError::new(path, reason))
            }
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Config, String> {
        Config::parse(text, Path::new("bus.toml")).map_err(|error| error.to_string())
    }

    #[test]
    fn nothing_said_is_a_broker_on_this_host_and_everything_it_has() {
        let config = parse("").unwrap();
        assert_eq!(config, Config::default());
        assert_eq!(config.amqp_url.to_string(), "localhost:5672");
        assert_eq!(config.qos.prefetch_count, 10);
        assert_eq!(config.bindings[0].routing_keys, ["#"]);
    }

    /// The example that comes with the original, shortened.
    #[test]
    fn a_usual_file() {
        let config = parse(
            r##"
            amqp_url = "amqps://fedora:@rabbitmq.fedoraproject.org/%2Fpublic_pubsub"
            callback = "fedora_messaging.example:printer"
            passive_declares = true
            topic_prefix = "org.fedoraproject.prod"
            [tls]
            ca_cert = "/etc/fedora-messaging/cacert.pem"
            keyfile = "/etc/fedora-messaging/fedora-key.pem"
            certfile = "/etc/fedora-messaging/fedora-cert.pem"
            [client_properties]
            app = "Koschei"
            [exchanges."amq.topic"]
            type = "topic"
            durable = true
            auto_delete = false
            arguments = {}
            [queues.koschei]
            durable = true
            auto_delete = false
            exclusive = false
            arguments = { x-max-priority = 3 }
            [[bindings]]
            queue = "koschei"
            exchange = "amq.topic"
            routing_keys = ["org.fedoraproject.*.buildsys.#"]
            [qos]
            prefetch_size = 0
            prefetch_count = 25
            [log_config]
            version = 1
            "##,
        )
        .unwrap();
        assert!(config.amqp_url.is_encrypted());
        assert_eq!(config.amqp_url.to_string(), "rabbitmq.fedoraproject.org:5671");
        assert_eq!(config.amqp_url.0.vhost, "/public_pubsub");
        assert_eq!(config.qos.prefetch_count, 25);
        assert_eq!(config.queues.keys().collect::<Vec<_>>(), ["koschei"]);
        assert!(config.queues["koschei"].durable);
    }

    #[test]
    fn mistakes_name_file_line_and_key() {
        for (text, words) in [
            ("amqp_url = 'amqp://h'\nqueue = 3", vec!["bus.toml, line 2: ", "queue"]),
            ("[queues.a]\ndurable = true", vec!["bus.toml, line 1: ", "auto_delete"]),
            ("a = ", vec!["bus.toml, line 1: "]),
            ("bindings = [{queue='b', exchange='e', routing_keys=['#']}]", vec!["queue \"b\""]),
            ("[tls]\nkeyfile = 'k'", vec!["no certfile"]),
            ("qos = {prefetch_count = 100000}", vec!["line 1", "100000"]),
            (&format!("publish_exchange = '{}'", "x".repeat(256)), vec!["more than 255 bytes"]),
        ] {
            let error = parse(text).unwrap_err();
            for word in words {
                assert!(error.contains(word), "{text}: {error}");
            }
        }
    }

    #[test]
    fn a_wrong_address_is_told_without_its_password() {
        let error = parse("amqp_url = 'http://u:s3cret@h/'").unwrap_err();
        assert!(error.contains("amqps://user:password@host:port/vhost"), "{error}");
        assert!(!error.contains("s3cret"), "{error}");
        let config = parse("amqp_url = 'amqp://u:s3cret@h/'").unwrap();
        assert!(!format!("{config:?}").contains("s3cret"));
        assert_eq!(config.amqp_url.0.vhost, "/");
    }

    #[test]
    fn a_file_that_is_named_has_to_be_there() {
        let missing = Config::load_from(Some("/nowhere/bus.toml".into())).unwrap_err().to_string();
        assert!(missing.starts_with("/nowhere/bus.toml: the configuration of fedora-messaging"));
    }

    #[test]
    fn keys_of_the_first_level_may_be_written_in_capitals() {
        assert_eq!(parse("TOPIC_PREFIX = 'x'").unwrap().topic_prefix, "x");
    }
}
