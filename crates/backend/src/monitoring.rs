//! What monitoring asks a service: whether it is well (`/health`) and numbers in the form of Prometheus (`/metrics`).
//!
//! Off unless the configuration names a port, and never reachable from other hosts: there is no login. Whoever wants it
//! elsewhere puts a proxy before it.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use chrono::{DateTime, Utc};
use koschei_core::freshness::{Facts, reasons};
use koschei_db::figures::{self, Figures};
use koschei_db::freshness::{self, Freshness};
use tokio::net::TcpListener;
use tracing::{debug, info, warn};

use crate::context::Context;
use crate::driver::memory_in_kib;
use crate::error::Result;
use crate::vitals::{Received, Signs};

/// How long to wait before the port is tried again when it is taken.
const PAUSE: Duration = Duration::from_secs(30);

/// How long the database may take for its figures. Without them there are still those of the process.
const PATIENCE: Duration = Duration::from_secs(5);

/// Answers on a port of this host until the service ends; never returns.
pub async fn serve(ctx: &Context, service: &str, port: u16) {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    loop {
        match TcpListener::bind(address).await {
            Ok(listener) => {
                info!("answers to monitoring on http://{address}/metrics and /health");
                if let Err(error) = serve_on(ctx, service, listener).await {
                    warn!("monitoring on {address} ended: {error}");
                }
            }
            Err(error) => warn!("cannot answer to monitoring on {address}: {error}"),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Answers on a listener.
///
/// # Errors
/// When the listener breaks.
pub async fn serve_on(ctx: &Context, service: &str, listener: TcpListener) -> std::io::Result<()> {
    let asked = Asked { ctx: ctx.clone(), service: service.to_owned(), started: Utc::now() };
    let router = Router::new()
        .route("/health", get(health))
        .route("/metrics", get(metrics))
        .with_state(asked);
    axum::serve(listener, router).await
}

#[derive(Debug, Clone)]
struct Asked {
    ctx: Context,
    service: String,
    started: DateTime<Utc>,
}

/// 200 while the service works, 503 while its step fails as a whole or is stuck; in both cases with the status line.
/// That restarting helps is not said: the service itself tries again.
async fn health(State(asked): State<Asked>) -> impl IntoResponse {
    let signs = asked.ctx.vitals.now();
    let well = signs.failure.is_none() && !asked.ctx.progress.is_stuck();
    let status = if well { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let kind = [(header::CONTENT_TYPE, "text/plain; charset=utf-8")];
    (status, kind, format!("{}: {}\n", asked.service, signs.line()))
}

async fn metrics(State(asked): State<Asked>) -> impl IntoResponse {
    let known = tokio::time::timeout(PATIENCE, from_database(&asked.ctx)).await;
    let known = match known {
        Ok(Ok(known)) => Some(known),
        Ok(Err(error)) => {
            debug!("no figures from the database: {error}");
            None
        }
        Err(_) => None,
    };
    let mut page = Page::default();
    of_process(&mut page, &asked, &asked.ctx.vitals.now());
    page.metric("koschei_database_up", "gauge", "Whether the database told its figures in time.");
    page.sample("koschei_database_up", &[], f64::from(u8::from(known.is_some())));
    if let Some((figures, collections)) = known {
        of_database(&mut page, &figures);
        of_collections(&mut page, &collections, Utc::now());
    }
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], page.0)
}

async fn from_database(ctx: &Context) -> Result<(Figures, Vec<Freshness>)> {
    let mut conn = ctx.db.acquire().await.map_err(koschei_db::Error::from)?;
    Ok((figures::now(&mut conn).await?, freshness::of_all(&mut conn).await?))
}

/// A page in the form of Prometheus.
#[derive(Debug, Default)]
struct Page(String);

impl Page {
    fn metric(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        self.0.push_str(name);
        for (place, (label, text)) in labels.iter().enumerate() {
            let text = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            let _ = write!(self.0, "{}{label}=\"{text}\"", if place == 0 { '{' } else { ',' });
        }
        let _ = writeln!(self.0, "{} {value}", if labels.is_empty() { "" } else { "}" });
    }

    /// A metric with one sample.
    fn single(&mut self, name: &str, kind: &str, help: &str, value: f64) {
        self.metric(name, kind, help);
        self.sample(name, &[], value);
    }
}

fn seconds(time: DateTime<Utc>) -> f64 {
    time.timestamp_millis() as f64 / 1000.0
}

fn of_process(page: &mut Page, asked: &Asked, signs: &Signs) {
    let version = env!("CARGO_PKG_VERSION");
    page.metric("koschei_service_info", "gauge", "Which service answers, always 1.");
    page.sample("koschei_service_info", &[("service", &asked.service), ("version", version)], 1.0);
    page.single(
        "process_start_time_seconds",
        "gauge",
        "When the service began, in seconds since 1970.",
        seconds(asked.started),
    );
    if let Some((virtual_memory, resident)) = memory_in_kib() {
        let bytes = |kib: u64| kib as f64 * 1024.0;
        let help = "Memory in use.";
        page.single("process_resident_memory_bytes", "gauge", help, bytes(resident));
        page.single("process_virtual_memory_bytes", "gauge", help, bytes(virtual_memory));
    }
    page.metric("koschei_steps_total", "counter", "Steps, by how they went.");
    for (result, count) in [
        ("clean", signs.steps_clean),
        ("partial", signs.steps_partial),
        ("failed", signs.steps_failed),
    ] {
        page.sample("koschei_steps_total", &[("result", result)], count as f64);
    }
    let help = "Time spent in steps.";
    page.single("koschei_step_seconds_total", "counter", help, signs.step_seconds);
    let help = "Builds finished, packages resolved, builds submitted.";
    page.single("koschei_done_total", "counter", help, signs.done as f64);
    if let Some(last) = signs.last_success {
        page.single(
            "koschei_last_success_timestamp_seconds",
            "gauge",
            "When a step last did at least a part of its work.",
            seconds(last),
        );
    }
    let help = "Whether the last step failed as a whole, or is stuck.";
    let down = signs.failure.is_some() || asked.ctx.progress.is_stuck();
    page.single("koschei_in_trouble", "gauge", help, f64::from(u8::from(down)));
    page.metric("koschei_trouble", "gauge", "What the last step could not do, always 1.");
    for about in signs.troubles.keys() {
        page.sample("koschei_trouble", &[("about", about)], 1.0);
    }
    if let Some(listens) = signs.listens {
        let help = "Whether the watcher listens to the message bus.";
        page.single("koschei_listens", "gauge", help, f64::from(u8::from(listens)));
        let name = "koschei_messages_received_total";
        page.metric(name, "counter", "Messages of the bus, by what became of them.");
        for what in Received::ALL {
            let count = signs.messages.get(&what).copied().unwrap_or(0);
            page.sample(name, &[("result", what.word())], count as f64);
        }
    }
    let name = "koschei_messages_published_total";
    page.metric(name, "counter", "Messages of ours, by what became of them.");
    page.sample(name, &[("result", "sent")], signs.published as f64);
    page.sample(name, &[("result", "dropped")], signs.unsendable as f64);
}

fn of_database(page: &mut Page, figures: &Figures) {
    page.metric("koschei_packages", "gauge", "Packages, by collection and state.");
    for count in &figures.packages {
        let labels = [("collection", &*count.collection), ("state", count.state.word())];
        page.sample("koschei_packages", &labels, count.packages as f64);
    }
    let help = "Scratch builds that run in Koji.";
    page.single("koschei_running_builds", "gauge", help, figures.running_builds as f64);
    let help = "Messages that wait to be sent.";
    page.single("koschei_outbox_messages", "gauge", help, figures.outbox as f64);
    let help = "How long the oldest message has waited.";
    page.single("koschei_outbox_age_seconds", "gauge", help, figures.outbox_age);
}

/// One number of a collection, if it is known.
type Number = fn(&Freshness) -> Option<f64>;

fn of_collections(page: &mut Page, collections: &[Freshness], now: DateTime<Utc>) {
    let numbers: [(&str, &str, Number); 7] = [
        ("repo_id", "The repo that is resolved.", |fresh| fresh.repo_id.map(f64::from)),
        ("repo_resolved", "Whether the build group can be installed from it.", |fresh| {
            fresh.resolved.map(|resolved| f64::from(u8::from(resolved)))
        }),
        ("repo_since_timestamp_seconds", "Since when it is the resolved one.", |fresh| {
            fresh.since.map(seconds)
        }),
        ("repo_made_timestamp_seconds", "When Koji made its newest repo.", |fresh| {
            fresh.repo_made.map(seconds)
        }),
        ("looked_timestamp_seconds", "When Koji last told of its newest repo.", |fresh| {
            fresh.looked.map(seconds)
        }),
        ("trouble_since_timestamp_seconds", "Since when trouble keeps it back.", |fresh| {
            fresh.trouble_since.map(seconds)
        }),
        ("waiting_packages", "Packages still to be resolved in this repo.", |fresh| {
            Some(fresh.waiting as f64)
        }),
    ];
    for (name, help, number) in numbers {
        let name = format!("koschei_collection_{name}");
        page.metric(&name, "gauge", help);
        for fresh in collections {
            if let Some(value) = number(fresh) {
                page.sample(&name, &[("collection", &fresh.name)], value);
            }
        }
    }
    let name = "koschei_collection_stale";
    page.metric(name, "gauge", "Why a collection may be stale, 1 for each reason that holds.");
    for fresh in collections {
        for reason in reasons(&facts(fresh), now) {
            page.sample(name, &[("collection", &fresh.name), ("reason", reason.word())], 1.0);
        }
    }
}

fn facts(fresh: &Freshness) -> Facts<'_> {
    Facts {
        resolved: fresh.resolved,
        problem: fresh.problem.as_deref(),
        looked: fresh.looked,
        repo_made: fresh.repo_made,
        trouble: fresh.trouble.as_deref().zip(fresh.trouble_since),
        waiting: fresh.waiting,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_escaped_as_prometheus_wants_it() {
        let mut page = Page::default();
        page.sample("m", &[("a", "x\"y\\z\nw"), ("b", "")], 1.5);
        page.sample("n", &[], 0.0);
        assert_eq!(page.0, "m{a=\"x\\\"y\\\\z\\nw\",b=\"\"} 1.5\nn 0\n");
    }
}
