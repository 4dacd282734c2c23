//! Taking over a database of the original software: its times, and what its notice holds.
//!
//! The original wrote the local time of its hosts; ours are UTC. Which time zone that was, only its operators know.

use sqlx::postgres::PgConnection;

use super::SchemaError;
use crate::error::Result;

/// Columns with times, by table.
const TIMES: &[(&str, &[&str])] = &[
    ("build", &["started", "finished"]),
    ("koji_task", &["started", "finished"]),
    ("resolution_change", &["timestamp"]),
    ("log_entry", &["timestamp"]),
    ("copr_rebuild_request", &["timestamp"]),
    ("scalar_stats", &["refresh_time"]),
];

/// Makes all times UTC, and refuses to when that puts the newest build into the future.
pub(super) async fn take_over_times(
    transaction: &mut PgConnection,
    zone: Option<&str>,
) -> Result<()> {
    let zone = zone.unwrap_or("UTC");
    let exists: bool = sqlx::query_scalar(
        "SELECT EXISTS (SELECT FROM pg_timezone_names WHERE lower(name) = lower($1))",
    )
    .bind(zone)
    .fetch_one(&mut *transaction)
    .await?;
    if !exists {
        return Err(SchemaError::NoSuchZone(zone.to_owned()).into());
    }
    // Two clocks may differ a little.
    let newest: Option<String> = sqlx::query_scalar(
        "SELECT to_char(newest, 'YYYY-MM-DD HH24:MI') FROM (SELECT max(started) AS newest FROM build) AS builds
          WHERE newest AT TIME ZONE $1 > clock_timestamp() + interval '5 minutes'",
    )
    .bind(zone)
    .fetch_optional(&mut *transaction)
    .await?;
    if let Some(newest) = newest {
        return Err(SchemaError::NotComeYet { newest, zone: zone.to_owned() }.into());
    }
    if zone.eq_ignore_ascii_case("UTC") {
        return Ok(());
    }
    for (table, columns) in TIMES {
        let set: Vec<String> = columns
            .iter()
            .map(|column| format!("\"{column}\" = \"{column}\" AT TIME ZONE $1 AT TIME ZONE 'UTC'"))
            .collect();
        let statement = format!("UPDATE \"{table}\" SET {}", set.join(", "));
        sqlx::query(sqlx::AssertSqlSafe(statement)).bind(zone).execute(&mut *transaction).await?;
    }
    Ok(())
}

/// The HTML tags in the notice, which would be shown as they are: notices are text.
///
/// # Errors
/// When the database cannot be asked.
pub async fn tags_in_notice(connection: &mut PgConnection) -> Result<Vec<String>> {
    Ok(sqlx::query_scalar(
        "SELECT DISTINCT tag[1] COLLATE \"C\"
           FROM admin_notice, regexp_matches(content, '</?[a-zA-Z][^<>]*>', 'g') AS tag
          WHERE key = 'global_notice' ORDER BY 1",
    )
    .fetch_all(connection)
    .await?)
}
