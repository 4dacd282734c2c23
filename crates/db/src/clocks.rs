//! What was written by a clock that has been put back since.
//!
//! Whoever waits until a time that was reckoned with a clock ahead of the right one would wait for as long as that clock
//! was wrong. Each such wait has a longest length, so one that is longer gives itself away and begins anew.

use koschei_core::scheduling::longest_pause;
use sqlx::postgres::PgConnection;

use crate::error::{Error, Result};
use crate::packages;

/// Shortens waits that are longer than they can be: of packages after trouble of Koji, and for BuildRequires that Koji
/// refused to tell. Returns how many there were.
pub async fn shorten_waits(conn: &mut PgConnection) -> Result<u64> {
    let waiting: Vec<(i32, i32, f64)> = sqlx::query_as(
        "SELECT id, fault_streak,
                date_part('epoch', not_before - clock_timestamp() AT TIME ZONE 'UTC')
           FROM package WHERE not_before > clock_timestamp() AT TIME ZONE 'UTC' ORDER BY id",
    )
    .fetch_all(&mut *conn)
    .await
    .map_err(Error::Statement)?;
    let too_long: Vec<(i32, f64)> = waiting
        .into_iter()
        .filter_map(|(id, faults, wait)| {
            let pause = longest_pause(u32::try_from(faults).unwrap_or(0)).as_secs_f64();
            (wait > pause).then_some((id, pause))
        })
        .collect();
    if !too_long.is_empty() {
        let ids: Vec<i32> = too_long.iter().map(|(id, _)| *id).collect();
        let locked = packages::lock(conn, &ids).await?;
        sqlx::query(
            "UPDATE package
                SET not_before = least(not_before,
                        clock_timestamp() AT TIME ZONE 'UTC' + make_interval(secs => news.pause))
               FROM unnest($1::integer[], $2::float8[]) AS news(id, pause)
              WHERE package.id = news.id",
        )
        .bind(&ids)
        .bind(too_long.iter().map(|(_, pause)| *pause).collect::<Vec<_>>())
        .execute(&mut *conn)
        .await
        .map_err(Error::Statement)?;
        locked.announce(conn).await?;
    }
    // See `resolution::note_untold`.
    let untold = sqlx::query(
        "UPDATE untold_build_requires SET ask_again = clock_timestamp() AT TIME ZONE 'UTC'
          WHERE ask_again > clock_timestamp() AT TIME ZONE 'UTC' + interval '6 hours'",
    )
    .execute(conn)
    .await
    .map_err(Error::Statement)?;
    Ok(too_long.len() as u64 + untold.rows_affected())
}
