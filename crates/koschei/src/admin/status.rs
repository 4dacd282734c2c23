//! `status`: what is suspended, how fresh each collection is, and why it may be stale.

use chrono::{DateTime, Utc};
use koschei_core::freshness::{Facts, reasons};
use koschei_db::freshness::{self, Freshness};
use koschei_db::suspensions;

use super::{Session, suspending};
use crate::failure::Failure;

pub(super) async fn run(session: &mut Session) -> Result<String, Failure> {
    let collections = freshness::of_all(&mut session.connection).await.map_err(Failure::new)?;
    let suspended =
        suspensions::suspensions(&mut session.connection).await.map_err(Failure::new)?;
    let held = suspensions::holds(&mut session.connection).await.map_err(Failure::new)?;
    let mut parts = suspending::describe(&suspended, &held);
    let now = Utc::now();
    parts.extend(collections.iter().map(|fresh| describe(fresh, now)));
    if collections.is_empty() {
        parts.push("There are no collections".to_owned());
    }
    Ok(parts.join("\n"))
}

/// A few lines about one collection.
fn describe(fresh: &Freshness, now: DateTime<Utc>) -> String {
    let time = |time: DateTime<Utc>| time.format("%Y-%m-%d %H:%M UTC").to_string();
    let repo = match (fresh.repo_id, fresh.since) {
        (None, _) => "no repo was resolved yet".to_owned(),
        (Some(repo), None) => format!("repo {repo}"),
        (Some(repo), Some(since)) => format!("repo {repo} since {}", time(since)),
    };
    let looked = match fresh.looked {
        Some(looked) => format!(", Koji was asked for a newer one at {}", time(looked)),
        None => String::new(),
    };
    let mut lines = vec![format!("{} ({}): {repo}{looked}", fresh.name, fresh.display_name)];
    let facts = Facts {
        resolved: fresh.resolved,
        problem: fresh.problem.as_deref(),
        looked: fresh.looked,
        repo_made: fresh.repo_made,
        trouble: fresh.trouble.as_deref().zip(fresh.trouble_since),
        waiting: fresh.waiting,
    };
    let stale = reasons(&facts, now);
    if stale.is_empty() {
        lines.push("    up to date".to_owned());
    }
    lines.extend(stale.iter().map(|reason| format!("    {reason}")));
    lines.join("\n")
}
