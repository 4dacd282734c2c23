//! Submissions of scratch builds that were begun.
//!
//! Between the moment in which Koji takes a build and our commit, only this table tells that there may be one: a process
//! that dies there leaves its entry, and whoever has the scheduler's lock next finds it and asks Koji before anything
//! else is submitted. All functions belong under that lock.

use sqlx::postgres::PgConnection;

use crate::error::{Error, Result};

/// How long the package of a submission that left no trace waits: by then a request that was under way when its sender
/// died has reached Koji, or never will.
const WAIT_SECONDS: f64 = 30.0;

/// Notes that a build of the package is about to be submitted. To be committed before Koji is asked. `false` when the
/// package is gone.
pub async fn begin(conn: &mut PgConnection, package_id: i32) -> Result<bool> {
    let noted = sqlx::query(
        "INSERT INTO submission (package_id) SELECT id FROM package WHERE id = $1
         ON CONFLICT (package_id) DO UPDATE SET begun = excluded.begun",
    )
    .bind(package_id)
    .execute(conn)
    .await
    .map_err(Error::Statement)?;
    Ok(noted.rows_affected() > 0)
}

/// Notes that the submission came to its end: the build is recorded, or Koji surely has none.
pub async fn end(conn: &mut PgConnection, package_id: i32) -> Result<()> {
    sqlx::query("DELETE FROM submission WHERE package_id = $1")
        .bind(package_id)
        .execute(conn)
        .await
        .map_err(Error::Statement)?;
    Ok(())
}

/// The packages of submissions that did not come to their end.
pub async fn begun(conn: &mut PgConnection) -> Result<Vec<i32>> {
    sqlx::query_scalar("SELECT package_id FROM submission ORDER BY package_id")
        .fetch_all(conn)
        .await
        .map_err(Error::Statement)
}

/// Those of them that were begun so long ago that Koji has their builds by now, if it ever gets them. One that was begun in
/// the future was begun before the clock was put back.
pub async fn settled(conn: &mut PgConnection) -> Result<Vec<i32>> {
    sqlx::query_scalar(
        "SELECT package_id FROM submission
          WHERE begun NOT BETWEEN (clock_timestamp() AT TIME ZONE 'UTC') - make_interval(secs => $1)
                              AND (clock_timestamp() AT TIME ZONE 'UTC') + make_interval(secs => $1)
          ORDER BY package_id",
    )
    .bind(WAIT_SECONDS)
    .fetch_all(conn)
    .await
    .map_err(Error::Statement)
}

/// Forgets submissions of which Koji has no build.
pub async fn forget(conn: &mut PgConnection, package_ids: &[i32]) -> Result<()> {
    sqlx::query("DELETE FROM submission WHERE package_id = ANY($1)")
        .bind(package_ids)
        .execute(conn)
        .await
        .map_err(Error::Statement)?;
    Ok(())
}
