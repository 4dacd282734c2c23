//! What people and programs see of Koschei over HTTP.
//!
//! Everything is read from the database and rendered on the server; nothing here talks to Koji, and nothing needs
//! JavaScript. A request takes one way through the crate:
//!
//! 1. `frame` wraps the router: it strips the path prefix, finds out who asks (`login`), turns errors into pages, adds the
//!    security headers and the entity tag.
//!    What is the same for everybody is given again while nothing is committed to the database (`remembered`).
//! 2. `request` reads the query, the cookie of the theme, and the selection of collections.
//! 3. A module of `pages` asks `koschei_db::pages` for what it shows and fills a template.
//!    What changes something first goes through `forms`, and to the database through `koschei_db::forms`.
//! 4. `site` adds what every page has around its content: tabs, freshness, notices.
//!
//! Words come from `koschei_core` (states, reasons) and `text` (times, counts), marks and tables from `parts`, HTML from
//! `templates/` and nowhere else. Every value is escaped by the templates.

mod address;
mod api;
mod assets;
mod badge;
mod config;
mod culprits;
mod error;
mod evr;
mod forms;
mod frame;
mod kept;
mod limits;
mod login;
mod packing;
mod pages;
mod parts;
mod problems;
mod remembered;
mod request;
mod site;
mod suspended;
mod text;
mod trend;

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;

pub use config::{ConfigError, Frontpage, Link, WebConfig};
pub use login::{Login, Network, Oidc};

/// What the router needs: a pool of connections and the settings.
#[derive(Debug, Clone)]
pub struct State {
    /// Connections to the database.
    pub pool: koschei_db::Pool,
    /// Settings.
    pub config: WebConfig,
}

/// The whole site as a service. It answers below the path prefix and, for proxies that strip it, at the root as well.
pub fn router(state: State) -> Router {
    let login = &state.config.login;
    if login.is_possible() && login.secret.is_none() {
        tracing::warn!(
            "neither frontend.secret_key nor flask.SECRET_KEY is set: logins end with this process, and other ones do not \
             know them"
        );
    }
    let site = Arc::new(site::Site::new(state));
    let routes = pages::routes().merge(api::routes()).merge(badge::routes()).merge(login::routes());
    frame::wrap(routes, site)
}

/// Serves the site until `shutdown` ends; requests under way are answered first.
///
/// # Errors
/// The listener broke.
pub async fn serve(
    listener: tokio::net::TcpListener,
    state: State,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let service = router(state).into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, service).with_graceful_shutdown(shutdown).await
}
