//! What people and programs see of Koschei over HTTP.
//!
//! Everything is read from the database and rendered on the server; nothing here talks to Koji, and nothing needs
//! JavaScript. A request takes one way through the crate:
//!
//! 1. `frame` wraps the router: it strips the path prefix, turns errors into pages, adds the
//!    security headers and the entity tag.
//! 2. `request` reads the query, the cookie of the theme, and the selection of collections.
//! 3. A module of `pages` asks `koschei_db::pages` for what it shows and fills a template.
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
mod frame;
mod kept;
mod pages;
mod parts;
mod problems;
mod request;
mod site;
mod text;

use std::future::Future;
use std::sync::Arc;

use axum::Router;

pub use config::{Frontpage, Link, WebConfig};

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
    let site = Arc::new(site::Site::new(state));
    frame::wrap(pages::routes().merge(api::routes()).merge(badge::routes()), site)
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
    axum::serve(listener, router(state)).with_graceful_shutdown(shutdown).await
}
