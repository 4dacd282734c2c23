//! Results of resolving packages, stored as one would who thinks of one package at a time: a statement for every row.
//! The judge of [`koschei_db::resolution::store_packages`], and what it is measured against; the original software
//! stores in this way.

use std::collections::BTreeSet;

use chrono::NaiveDateTime;
use koschei_db::PgConnection;
use koschei_db::resolution::PackageResolution;
use sqlx::Row as _;

/// What came of one result.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fate {
    /// It was dropped: somebody built or decided something meanwhile.
    Dropped(String),
    /// It was stored, and this is to be published: name, old and new word.
    Published(String, &'static str, &'static str),
    /// It was stored, and nobody has to know.
    Stored,
}

fn word(
    blocked: bool,
    tracked: bool,
    resolved: Option<bool>,
    build_state: Option<i32>,
) -> &'static str {
    match (blocked, tracked, resolved, build_state) {
        (true, ..) | (_, false, ..) => "ignored",
        (_, _, Some(false), _) => "unresolved",
        (.., Some(3)) => "ok",
        (.., Some(5)) => "failing",
        _ => "ignored",
    }
}

/// Stores one result.
pub(crate) async fn store(
    conn: &mut PgConnection,
    repo_id: i32,
    result: &PackageResolution,
) -> sqlx::Result<Fate> {
    let id = result.package_id;
    let package = sqlx::query(
        "SELECT name, last_build_id, skip_resolution, resolved, tracked, blocked, last_complete_build_state
           FROM package WHERE id = $1 FOR UPDATE",
    )
    .bind(id)
    .fetch_one(&mut *conn)
    .await?;
    let name: String = package.get("name");
    let last_build_id: Option<i32> = package.get("last_build_id");
    let mut previous: Option<i32> = None;
    if let Some(last) = last_build_id {
        let (state, deps_resolved, started): (i32, Option<bool>, NaiveDateTime) =
            sqlx::query_as("SELECT state, deps_resolved, started FROM build WHERE id = $1")
                .bind(last)
                .fetch_one(&mut *conn)
                .await?;
        if state == 3 || state == 5 {
            previous = match deps_resolved {
                None => None,
                Some(true) => Some(last),
                Some(false) => sqlx::query_scalar(
                    "SELECT id FROM build WHERE package_id = $1 AND deps_resolved AND started < $2
                          ORDER BY started DESC, id DESC LIMIT 1",
                )
                .bind(id)
                .bind(started)
                .fetch_optional(&mut *conn)
                .await?,
            };
        }
    }
    if last_build_id != result.last_build_id
        || previous != result.previous_build_id
        || package.get("skip_resolution")
    {
        return Ok(Fate::Dropped(name));
    }
    let resolved = result.problems.is_empty();
    sqlx::query(
        "UPDATE package SET resolved = $2, dependency_priority = $3, resolved_repo_id = $4 WHERE id = $1",
    )
    .bind(id)
    .bind(resolved)
    .bind(result.dependency_priority)
    .bind(repo_id)
    .execute(&mut *conn)
    .await?;
    sqlx::query("DELETE FROM unapplied_change WHERE package_id = $1")
        .bind(id)
        .execute(&mut *conn)
        .await?;
    for change in &result.changes {
        sqlx::query(
            "INSERT INTO unapplied_change (package_id, prev_dep_id, curr_dep_id, distance)
             VALUES ($1, $2, $3, $4)",
        )
        .bind(id)
        .bind(change.prev)
        .bind(change.curr)
        .bind(change.distance.map(i32::from))
        .execute(&mut *conn)
        .await?;
    }
    let mut is_news = result.previously_resolved != Some(resolved);
    if !is_news && !resolved {
        let newest: Option<i32> = sqlx::query_scalar(
            "SELECT id FROM resolution_change WHERE package_id = $1 ORDER BY timestamp DESC, id DESC LIMIT 1",
        )
        .bind(id)
        .fetch_optional(&mut *conn)
        .await?;
        let problems: Vec<String> =
            sqlx::query_scalar("SELECT problem FROM resolution_problem WHERE resolution_id = $1")
                .bind(newest)
                .fetch_all(&mut *conn)
                .await?;
        is_news = problems.into_iter().collect::<BTreeSet<_>>() != result.problems;
    }
    if is_news {
        let entry: i32 = sqlx::query_scalar(
            "INSERT INTO resolution_change (package_id, resolved) VALUES ($1, $2) RETURNING id",
        )
        .bind(id)
        .bind(resolved)
        .fetch_one(&mut *conn)
        .await?;
        for problem in &result.problems {
            sqlx::query("INSERT INTO resolution_problem (resolution_id, problem) VALUES ($1, $2)")
                .bind(entry)
                .bind(problem)
                .execute(&mut *conn)
                .await?;
        }
    }
    let (tracked, blocked) = (package.get("tracked"), package.get("blocked"));
    let state = package.get("last_complete_build_state");
    let old = word(blocked, tracked, package.get("resolved"), state);
    let new = word(blocked, tracked, Some(resolved), state);
    Ok(if old == new { Fate::Stored } else { Fate::Published(name, old, new) })
}
