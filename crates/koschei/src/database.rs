//! From the configuration to the database.

use koschei_core::config::{Config, Plugin, Secret};
use koschei_db::{Address, DatabaseConfig};

/// The configured database, with connections named after who opens them.
pub(crate) fn configured(config: &Config, application_name: &str) -> DatabaseConfig {
    let address = match config.database_url() {
        Some(url) => Address::Url(url.to_owned()),
        None => {
            let parts = &config.database_config;
            Address::Parts {
                host: parts.host.clone(),
                port: parts.port,
                database: parts.database.clone(),
                username: parts.username.clone(),
                password: parts.password.as_ref().map(|secret| Secret::reveal(secret).to_owned()),
            }
        }
    };
    DatabaseConfig::new(address, application_name).publishing(publishes(config))
}

/// Whether changes of state are told on the message bus.
pub(crate) fn publishes(config: &Config) -> bool {
    config.has_plugin(Plugin::Fedmsg) && config.fedmsg_publisher.enabled
}
