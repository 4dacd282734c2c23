//! BuildRequires of source packages. They never change, so they are asked of Koji once and kept for both resolvers.

use std::collections::HashMap;

use sqlx::FromRow;
use sqlx::postgres::PgConnection;

use crate::error::{Error, Result};

/// Which Koji a source package lies in; n-v-r are unique only within one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Origin {
    /// The primary Koji.
    Primary,
    /// The secondary Koji.
    Secondary,
}

/// BuildRequires that are known, by n-v-r of the source package. They never change.
pub async fn build_requires(
    conn: &mut PgConnection,
    origin: Origin,
    nvrs: &[String],
) -> Result<HashMap<String, Vec<String>>> {
    let rows: Vec<(String, Vec<String>)> = sqlx::query_as(
        "SELECT nvr, requires FROM build_requires WHERE secondary = $1 AND nvr = ANY($2)",
    )
    .bind(origin == Origin::Secondary)
    .bind(nvrs)
    .fetch_all(conn)
    .await
    .map_err(Error::Statement)?;
    Ok(rows.into_iter().collect())
}

/// A source package whose BuildRequires Koji refused to tell.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct Untold {
    /// Its n-v-r.
    pub nvr: String,
    /// What Koji said.
    pub reason: String,
    /// Whether that is about the source package, and no passing trouble of Koji.
    pub is_final: bool,
    /// How often it was asked.
    pub attempts: i32,
    /// Whether it is time to ask again.
    pub due: bool,
}

/// Of these source packages, those whose BuildRequires Koji refused to tell.
pub async fn untold(
    conn: &mut PgConnection,
    origin: Origin,
    nvrs: &[String],
) -> Result<Vec<Untold>> {
    sqlx::query_as(
        "SELECT nvr, reason, final AS is_final, attempts,
                ask_again <= clock_timestamp() AT TIME ZONE 'UTC' AS due
           FROM untold_build_requires WHERE secondary = $1 AND nvr = ANY($2)",
    )
    .bind(origin == Origin::Secondary)
    .bind(nvrs)
    .fetch_all(conn)
    .await
    .map_err(Error::Statement)
}

/// Notes that Koji refused to tell BuildRequires, given as n-v-r, what it said, and whether that is about the source
/// package. After so many attempts in vain whatever it said counts as being about the source package.
///
/// It is worth asking again after a minute, and twice as long after each further attempt, up to six hours. Returns what
/// is known now.
pub async fn note_untold(
    conn: &mut PgConnection,
    origin: Origin,
    refusals: &[(String, String, bool)],
    final_after: i32,
) -> Result<Vec<Untold>> {
    sqlx::query_as(
        "INSERT INTO untold_build_requires AS known (secondary, nvr, reason, final, attempts, ask_again)
         SELECT $1, news.nvr, news.reason, news.final OR 1 >= $5, 1,
                clock_timestamp() AT TIME ZONE 'UTC' + interval '1 minute'
           FROM unnest($2::text[], $3::text[], $4::boolean[]) AS news(nvr, reason, final)
          ORDER BY news.nvr
         ON CONFLICT (secondary, nvr) DO UPDATE
            SET reason = excluded.reason, final = excluded.final OR known.attempts + 1 >= $5,
                attempts = known.attempts + 1,
                ask_again = clock_timestamp() AT TIME ZONE 'UTC'
                            + least(interval '1 minute' * power(2, least(known.attempts, 20)), interval '6 hours')
      RETURNING nvr, reason, final AS is_final, attempts, false AS due",
    )
    .bind(origin == Origin::Secondary)
    .bind(refusals.iter().map(|(nvr, _, _)| nvr.as_str()).collect::<Vec<_>>())
    .bind(refusals.iter().map(|(_, reason, _)| reason.as_str()).collect::<Vec<_>>())
    .bind(refusals.iter().map(|(_, _, is_final)| *is_final).collect::<Vec<_>>())
    .bind(final_after)
    .fetch_all(conn)
    .await
    .map_err(Error::Statement)
}

/// Forgets that Koji refused to tell BuildRequires, because it told them.
pub async fn forget_untold(conn: &mut PgConnection, origin: Origin, nvrs: &[String]) -> Result<()> {
    sqlx::query("DELETE FROM untold_build_requires WHERE secondary = $1 AND nvr = ANY($2)")
        .bind(origin == Origin::Secondary)
        .bind(nvrs)
        .execute(conn)
        .await
        .map_err(Error::Statement)?;
    Ok(())
}

/// Keeps BuildRequires, given as n-v-r and relations.
pub async fn keep_build_requires(
    conn: &mut PgConnection,
    origin: Origin,
    requires: &[(String, Vec<String>)],
) -> Result<()> {
    // Lists of lists do not fit unnest(), so the relations travel as one text per source package.
    let nvrs: Vec<&str> = requires.iter().map(|(nvr, _)| nvr.as_str()).collect();
    let joined: Vec<String> = requires.iter().map(|(_, requires)| requires.join("\n")).collect();
    sqlx::query(
        "INSERT INTO build_requires (secondary, nvr, requires)
         SELECT DISTINCT ON (news.nvr) $1, news.nvr, string_to_array(news.requires, E'\\n')
           FROM unnest($2::text[], $3::text[]) AS news(nvr, requires)
          ORDER BY news.nvr
         ON CONFLICT DO NOTHING",
    )
    .bind(origin == Origin::Secondary)
    .bind(nvrs)
    .bind(joined)
    .execute(conn)
    .await
    .map_err(Error::Statement)?;
    Ok(())
}
