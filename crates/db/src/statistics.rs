//! The statistics tables, recomputed by polling.
//!
//! They are plain tables that are emptied and filled in one transaction, so that readers always see a whole set.

use sqlx::postgres::PgConnection;

use crate::error::{Error, Result};

/// Recomputes the statistics tables. To be called inside a transaction.
///
/// `resource_consumption_stats` sums, per package name and architecture, how long subtasks ran, with the share in the
/// time of all; `scalar_stats` is one row of counts.
pub async fn refresh(conn: &mut PgConnection) -> Result<()> {
    // Two processes of polling would insert the same keys; the second waits here and then does it again.
    for statement in [
        "LOCK TABLE scalar_stats, resource_consumption_stats IN SHARE ROW EXCLUSIVE MODE",
        "DELETE FROM scalar_stats",
        "INSERT INTO scalar_stats (refresh_time, packages, tracked_packages, blocked_packages,
                                   builds, real_builds, scratch_builds)
         SELECT now() AT TIME ZONE 'UTC', packages, tracked, blocked, real_builds + scratch_builds,
                real_builds, scratch_builds
           FROM (SELECT count(*) AS packages, count(*) FILTER (WHERE tracked) AS tracked,
                        count(*) FILTER (WHERE blocked) AS blocked FROM package) AS packages,
                (SELECT count(*) FILTER (WHERE \"real\") AS real_builds,
                        count(*) FILTER (WHERE NOT \"real\") AS scratch_builds FROM build) AS builds",
        "DELETE FROM resource_consumption_stats",
        "INSERT INTO resource_consumption_stats (name, arch, time, time_percentage)
         SELECT name, arch, make_interval(secs => seconds),
                CASE WHEN sum(seconds) OVER () > 0 THEN seconds / sum(seconds) OVER () END
           FROM (SELECT package.name, koji_task.arch,
                        sum(extract(epoch FROM koji_task.finished - koji_task.started)::float8) AS seconds
                   FROM koji_task
                   JOIN build ON build.id = koji_task.build_id
                   JOIN package ON package.id = build.package_id
                  WHERE koji_task.finished IS NOT NULL
                  GROUP BY package.name, koji_task.arch) AS spent",
    ] {
        sqlx::query(statement).execute(&mut *conn).await.map_err(Error::Statement)?;
    }
    Ok(())
}
