//! BuildRequires of source packages. They never change, so they are asked of Koji once and kept for both resolvers.

use std::collections::HashMap;

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
