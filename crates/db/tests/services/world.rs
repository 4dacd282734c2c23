//! A small world to begin with: one collection with a few packages.

use chrono::{DateTime, TimeDelta, TimeZone, Utc};
use koschei_core::states::PackageState;
use koschei_db::PgConnection;
use koschei_db::testing::{self, Database};

pub(crate) struct World {
    pub(crate) database: Database,
    pub(crate) collection: i32,
}

/// So many hours after an arbitrary midnight.
pub(crate) fn hour(hours: i64) -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 11, 1, 0, 0, 0).unwrap() + TimeDelta::hours(hours)
}

impl World {
    pub(crate) async fn new() -> Self {
        let database = testing::database().await;
        let collection = sqlx::query_scalar(
            "INSERT INTO collection (name, display_name, target, dest_tag, build_tag,
                                     latest_repo_id, latest_repo_resolved)
             VALUES ('f40', 'Fedora 40', 'f40', 'f40', 'f40-build', 100, true) RETURNING id",
        )
        .fetch_one(database.pool())
        .await
        .unwrap();
        Self { database, collection }
    }

    pub(crate) async fn connection(&self) -> PgConnection {
        self.database.connection().await
    }

    /// A tracked package without builds.
    pub(crate) async fn package(&self, name: &str) -> i32 {
        sqlx::query_scalar(
            "WITH base AS (INSERT INTO base_package (name) VALUES ($1)
                           ON CONFLICT (name) DO UPDATE SET name = excluded.name RETURNING id)
             INSERT INTO package (base_id, name, collection_id, tracked)
             SELECT id, $1, $2, true FROM base RETURNING id",
        )
        .bind(name)
        .bind(self.collection)
        .fetch_one(self.database.pool())
        .await
        .unwrap()
    }

    /// A build of version 1-`hours`, started so many hours after midnight, in repo 100, with its id as task id.
    pub(crate) async fn build(&self, package: i32, hours: i64, state: i32) -> i32 {
        sqlx::query_scalar(
            "INSERT INTO build (package_id, state, task_id, started, finished, version, release, repo_id, last_complete)
             VALUES ($1, $2, currval('build_id_seq')::int, $3, CASE WHEN $2 <> 2 THEN $3 END, '1', $4, 100, false)
             RETURNING id",
        )
        .bind(package)
        .bind(state)
        .bind(hour(hours))
        .bind(hours.to_string())
        .fetch_one(self.database.pool())
        .await
        .unwrap()
    }

    pub(crate) async fn execute(&self, statement: &'static str, id: i32) {
        sqlx::query(statement).bind(id).execute(self.database.pool()).await.unwrap();
    }

    /// One number of one row.
    pub(crate) async fn number(&self, query: &'static str, id: i32) -> Option<i64> {
        sqlx::query_scalar(query).bind(id).fetch_one(self.database.pool()).await.unwrap()
    }

    /// Text of several rows.
    pub(crate) async fn texts(&self, query: &'static str, id: i32) -> Vec<String> {
        sqlx::query_scalar(query).bind(id).fetch_all(self.database.pool()).await.unwrap()
    }

    pub(crate) async fn state(&self, package: i32) -> PackageState {
        let mut conn = self.connection().await;
        koschei_db::packages::lock(&mut conn, &[package]).await.unwrap().get(package).unwrap().state
    }

    /// Packages in the table `dependency`, by name, all of version 1-1 and x86_64.
    pub(crate) async fn dependency(&self, name: &str, release: &str) -> i32 {
        let nevra = rpm::Nevra::new(name, 0, "1", release, "x86_64");
        let mut conn = self.connection().await;
        koschei_db::resolution::intern(&mut conn, &[&nevra]).await.unwrap()[0]
    }
}
