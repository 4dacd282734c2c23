//! Opening a connection: address, certificates, name.

use std::path::Path;
use std::time::Duration;

use lapin::runtime::default_runtime;
use lapin::tcp::{OwnedIdentity, OwnedTLSConfig};
use lapin::types::{AMQPValue, FieldArray, FieldTable, ShortString};
use lapin::uri::SASLMechanism;
use lapin::{Connection, ConnectionProperties};

use crate::config::Config;
use crate::error::{ConfigError, Error};

/// How long the broker may take for anything before it counts as away.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Opens a connection under the name by which administrators of the broker see it.
pub(crate) async fn open(config: &Config, name: &str) -> Result<Connection, Error> {
    let mut uri = config.amqp_url.0.clone();
    let mut tls = OwnedTLSConfig::default();
    if config.amqp_url.is_encrypted() {
        if let Some(path) = &config.tls.ca_cert {
            let bytes = read(path, "ca_cert")?;
            let text = String::from_utf8(bytes);
            tls.cert_chain =
                Some(text.map_err(|_| ConfigError::new(path, "tls.ca_cert is no PEM file"))?);
        }
        if let (Some(key), Some(certificate)) = (&config.tls.keyfile, &config.tls.certfile) {
            tls.identity = Some(OwnedIdentity::PKCS8 {
                pem: read(certificate, "certfile")?,
                key: read(key, "keyfile")?,
            });
            // The certificate says who we are.
            uri.query.auth_mechanism = Some(SASLMechanism::External);
        }
    }
    let mut properties = ConnectionProperties::default().with_connection_name(name.into());
    for (key, value) in &config.client_properties {
        properties = properties.with_client_property(key.as_str().into(), value.as_str().into());
    }
    let opening = async {
        Connection::connect_uri_with_config(uri, properties, tls, default_runtime()?).await
    };
    within(config, "let us in", opening)
        .await?
        .map_err(|source| Error::connect(&config.amqp_url, source))
}

/// Waits for the broker, but not for ever.
pub(crate) async fn within<T>(
    config: &Config,
    what: &'static str,
    answer: impl Future<Output = T>,
) -> Result<T, Error> {
    tokio::time::timeout(PATIENCE, answer).await.map_err(|_| Error::Slow {
        broker: config.amqp_url.to_string(),
        what,
        seconds: PATIENCE.as_secs(),
    })
}

fn read(path: &Path, key: &str) -> Result<Vec<u8>, ConfigError> {
    std::fs::read(path)
        .map_err(|error| ConfigError::new(path, format!("cannot be read, as tls.{key}: {error}")))
}

/// Arguments of a declaration in the broker's types.
pub(crate) fn arguments(table: &toml::Table) -> FieldTable {
    let mut fields = FieldTable::default();
    for (key, value) in table {
        // Longer ones were refused with the configuration, but for those within tables.
        if let Ok(key) = ShortString::try_new(key.as_str()) {
            fields.insert(key, field(value));
        }
    }
    fields
}

fn field(value: &toml::Value) -> AMQPValue {
    match value {
        toml::Value::String(text) => AMQPValue::LongString(text.as_str().into()),
        toml::Value::Integer(number) => AMQPValue::LongLongInt(*number),
        toml::Value::Float(number) => AMQPValue::Double(*number),
        toml::Value::Boolean(flag) => AMQPValue::Boolean(*flag),
        toml::Value::Datetime(time) => AMQPValue::LongString(time.to_string().into()),
        toml::Value::Array(values) => {
            AMQPValue::FieldArray(FieldArray::from(values.iter().map(field).collect::<Vec<_>>()))
        }
        toml::Value::Table(table) => AMQPValue::FieldTable(arguments(table)),
    }
}
