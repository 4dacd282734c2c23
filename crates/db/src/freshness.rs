//! How fresh what is known of a collection is: which repo was resolved, since when, and why it may be stale.
//!
//! The repo-resolver notes when Koji last told which repo is the newest, and what keeps it from being up to date. People
//! and monitoring read all of it together.

use chrono::{DateTime, Utc};
use sqlx::FromRow;
use sqlx::postgres::PgConnection;

use crate::error::{Error, Result};

/// Looks are noted this often at most: a step comes every few seconds.
const GRAIN_SECONDS: f64 = 30.0;

/// Notes that Koji told which repo of a collection is the newest, and when it was made.
pub async fn note_look(
    conn: &mut PgConnection,
    collection_id: i32,
    repo_made: Option<DateTime<Utc>>,
) -> Result<()> {
    sqlx::query(
        "INSERT INTO collection_freshness AS known (collection_id, looked, repo_made)
         SELECT id, clock_timestamp() AT TIME ZONE 'UTC', $2 FROM collection WHERE id = $1
         ON CONFLICT (collection_id) DO UPDATE SET looked = excluded.looked, repo_made = excluded.repo_made
          WHERE known.repo_made IS DISTINCT FROM excluded.repo_made OR known.looked IS NULL
             OR known.looked < excluded.looked - make_interval(secs => $3)",
    )
    .bind(collection_id)
    .bind(repo_made)
    .bind(GRAIN_SECONDS)
    .execute(conn)
    .await
    .map_err(Error::Statement)?;
    Ok(())
}

/// Notes what keeps a collection from being up to date, or that nothing does. It counts from when it first was any.
pub async fn note_trouble(
    conn: &mut PgConnection,
    collection_id: i32,
    trouble: Option<&str>,
) -> Result<()> {
    sqlx::query(
        "INSERT INTO collection_freshness AS known (collection_id, trouble, trouble_since)
         SELECT id, $2, CASE WHEN $2 IS NOT NULL THEN clock_timestamp() AT TIME ZONE 'UTC' END
           FROM collection WHERE id = $1
         ON CONFLICT (collection_id) DO UPDATE
            SET trouble = excluded.trouble,
                trouble_since = CASE WHEN excluded.trouble IS NOT NULL
                                     THEN coalesce(known.trouble_since, excluded.trouble_since) END
          WHERE known.trouble IS DISTINCT FROM excluded.trouble",
    )
    .bind(collection_id)
    .bind(trouble)
    .execute(conn)
    .await
    .map_err(Error::Statement)?;
    Ok(())
}

/// How fresh a collection is.
#[derive(Debug, Clone, PartialEq, FromRow)]
pub struct Freshness {
    /// The collection.
    pub collection_id: i32,
    /// Its name.
    pub name: String,
    /// Its name as shown to people.
    pub display_name: String,
    /// The repo that is resolved.
    pub repo_id: Option<i32>,
    /// Whether the build group can be installed from it.
    pub resolved: Option<bool>,
    /// Since when it is the resolved one; `None` when that is not known.
    pub since: Option<DateTime<Utc>>,
    /// The last time that Koji told which repo is the newest.
    pub looked: Option<DateTime<Utc>>,
    /// When Koji made that one.
    pub repo_made: Option<DateTime<Utc>>,
    /// What keeps the repo-resolver from being up to date.
    pub trouble: Option<String>,
    /// Since when.
    pub trouble_since: Option<DateTime<Utc>>,
    /// One problem of the build group, when it cannot be installed.
    pub problem: Option<String>,
    /// How many packages still are to be resolved in the repo.
    pub waiting: i64,
}

/// How fresh all collections are, in the order in which people see them.
pub async fn of_all(conn: &mut PgConnection) -> Result<Vec<Freshness>> {
    sqlx::query_as(
        r#"SELECT collection.id AS collection_id, collection.name, collection.display_name,
                  collection.latest_repo_id AS repo_id, collection.latest_repo_resolved AS resolved,
                  collection.latest_repo_seen AT TIME ZONE 'UTC' AS since,
                  fresh.looked AT TIME ZONE 'UTC' AS looked, fresh.repo_made AT TIME ZONE 'UTC' AS repo_made,
                  fresh.trouble, fresh.trouble_since AT TIME ZONE 'UTC' AS trouble_since,
                  (SELECT problem FROM buildroot_problem WHERE collection_id = collection.id ORDER BY id LIMIT 1) AS problem,
                  (SELECT count(*) FROM package
                    WHERE package.collection_id = collection.id AND package.tracked AND NOT package.blocked
                      AND NOT package.skip_resolution AND package.last_complete_build_id IS NOT NULL
                      AND collection.latest_repo_resolved
                      AND (package.resolved IS NULL
                           OR package.resolved_repo_id IS DISTINCT FROM collection.latest_repo_id)) AS waiting
             FROM collection
             LEFT JOIN collection_freshness AS fresh ON fresh.collection_id = collection.id
            ORDER BY collection."order" DESC, collection.name COLLATE "C" DESC"#,
    )
    .fetch_all(conn)
    .await
    .map_err(Error::Statement)
}
