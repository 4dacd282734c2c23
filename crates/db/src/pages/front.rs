//! The front page: how many packages are in which state, and what changed lately.

use chrono::{DateTime, Utc};
use sqlx::QueryBuilder;

use super::Database;
use super::packages::{Scope, push_narrowing};

/// Packages of a collection by state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, sqlx::FromRow)]
pub struct Counts {
    /// Collection.
    pub collection_id: i32,
    /// Last complete build complete.
    pub ok: i64,
    /// Last complete build failed.
    pub failing: i64,
    /// Dependencies cannot be installed.
    pub unresolved: i64,
    /// Tracked, but never built.
    pub unknown: i64,
    /// Not tracked.
    pub untracked: i64,
    /// Blocked in Koji.
    pub blocked: i64,
    /// Tracked, with a running build, whatever the state.
    pub running: i64,
}

impl Counts {
    /// Tracked packages that are not blocked.
    pub fn tracked(&self) -> i64 {
        self.ok + self.failing + self.unresolved + self.unknown
    }

    /// All but blocked packages.
    pub fn listed(&self) -> i64 {
        self.tracked() + self.untracked
    }
}

/// Numbers of packages by state, for each of these collections that has any.
pub async fn counts(db: impl Database<'_>, collections: &[i32]) -> crate::Result<Vec<Counts>> {
    sqlx::query_as(
        "SELECT collection_id,
           count(*) FILTER (WHERE live AND resolved IS NOT FALSE AND built = 3) AS ok,
           count(*) FILTER (WHERE live AND resolved IS NOT FALSE AND built = 5) AS failing,
           count(*) FILTER (WHERE live AND resolved IS FALSE) AS unresolved,
           count(*) FILTER (WHERE live AND resolved IS NOT FALSE AND built IS NULL) AS unknown,
           count(*) FILTER (WHERE NOT blocked AND NOT tracked) AS untracked,
           count(*) FILTER (WHERE blocked) AS blocked,
           count(*) FILTER (WHERE live AND running) AS running
         FROM (SELECT collection_id, blocked, tracked, resolved, tracked AND NOT blocked AS live,
                      last_complete_build_state AS built,
                      last_build_id IS DISTINCT FROM last_complete_build_id AS running
               FROM package WHERE collection_id = ANY($1)) p
         GROUP BY collection_id",
    )
    .bind(collections)
    .fetch_all(db)
    .await
    .map_err(Into::into)
}

/// The same of one collection, of the packages of a scope, whatever its state and tracking are.
pub async fn counts_of(
    db: impl Database<'_>,
    collection: i32,
    scope: &Scope,
) -> crate::Result<Counts> {
    let mut sql = QueryBuilder::new(
        "SELECT coalesce(max(collection_id), 0) AS collection_id,
           count(*) FILTER (WHERE tracked AND resolved IS NOT FALSE AND built = 3) AS ok,
           count(*) FILTER (WHERE tracked AND resolved IS NOT FALSE AND built = 5) AS failing,
           count(*) FILTER (WHERE tracked AND resolved IS FALSE) AS unresolved,
           count(*) FILTER (WHERE tracked AND resolved IS NOT FALSE AND built IS NULL) AS unknown,
           count(*) FILTER (WHERE NOT tracked) AS untracked, 0::int8 AS blocked,
           count(*) FILTER (WHERE tracked AND running) AS running
         FROM (SELECT p.collection_id, p.tracked, p.resolved, p.last_complete_build_state AS built,
                      p.last_build_id IS DISTINCT FROM p.last_complete_build_id AS running
               FROM package p",
    );
    if scope.priority.is_some() {
        sql.push(" JOIN collection c ON c.id = p.collection_id");
    }
    sql.push(" WHERE p.collection_id = ").push_bind(collection).push(" AND NOT p.blocked");
    push_narrowing(&mut sql, scope);
    sql.push(") p");
    sql.build_query_as().fetch_one(db).await.map_err(Into::into)
}

/// A package whose state changed.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Turned {
    /// Package.
    pub package_id: i32,
    /// Its name.
    pub name: String,
    /// Its collection.
    pub collection_id: i32,
    /// When.
    pub at: DateTime<Utc>,
    /// Whether its dependencies can be installed, now.
    pub resolved: Option<bool>,
    /// State number of its last complete build.
    pub last_complete_build_state: Option<i32>,
    /// A problem of its resolution, when unresolved.
    pub problem: Option<String>,
    /// Architectures on which its last complete build failed.
    pub failed_arches: Vec<String>,
    /// The build that turned it; `None` when its dependencies did.
    pub build_id: Option<i32>,
    /// Whether that build is a real one.
    pub real: bool,
    /// Version and release of that build, when it is a real one.
    pub version_release: Option<String>,
    /// The nearest dependency that changed with that build.
    pub change: Option<String>,
    /// How many dependencies changed with that build.
    pub change_count: i64,
}

/// Packages of these collections that turned red (`good` false: failing or unresolved now, not
/// before) or green since `since`, newest first, at most `limit`; and how many there are.
///
/// A package counts when it is still what it turned into.
pub async fn turned(
    db: impl Database<'_>,
    collections: &[i32],
    good: bool,
    since: DateTime<Utc>,
    limit: i64,
) -> crate::Result<(Vec<Turned>, i64)> {
    turned_of(db, collections, None, good, since, limit).await
}

/// As [`turned`], of these base packages only.
pub async fn turned_of(
    db: impl Database<'_>,
    collections: &[i32],
    bases: Option<&[i32]>,
    good: bool,
    since: DateTime<Utc>,
    limit: i64,
) -> crate::Result<(Vec<Turned>, i64)> {
    #[derive(sqlx::FromRow)]
    struct Row {
        #[sqlx(flatten)]
        turned: Turned,
        total: i64,
    }
    // By resolution: the package is what the entry says, and the entry before said otherwise. By
    // build: the first build with the outcome of the last complete one after the newest with the
    // other outcome; a package that never had the other outcome did not turn.
    let rows: Vec<Row> = sqlx::query_as(
        r#"WITH by_resolution AS (
             SELECT p.id, max(c.timestamp) AS at, NULL::int AS build_id
             FROM resolution_change c JOIN package p ON p.id = c.package_id
             WHERE c.timestamp >= $3 AND p.collection_id = ANY($1)
               AND ($5::int[] IS NULL OR p.base_id = ANY($5))
               AND p.tracked AND NOT p.blocked
               AND c.resolved = $2 AND p.resolved = $2
               -- What failed before it became unresolved was red already.
               AND (CASE WHEN $2 THEN p.last_complete_build_state = 3
                         ELSE p.last_complete_build_state IS DISTINCT FROM 5 END)
               AND (SELECT o.resolved FROM resolution_change o
                    WHERE o.package_id = p.id AND o.timestamp < c.timestamp
                    ORDER BY o.timestamp DESC LIMIT 1) = NOT $2
             GROUP BY p.id
         ), by_build AS (
             SELECT p.id, first.started AS at, first.id AS build_id
             FROM build b JOIN package p ON p.last_complete_build_id = b.id
             JOIN LATERAL (
                 SELECT o.started FROM build o
                 WHERE o.package_id = p.id AND NOT o.untagged
                   AND o.state = CASE WHEN $2 THEN 5 ELSE 3 END AND o.started < b.started
                 ORDER BY o.started DESC LIMIT 1
             ) other ON true
             JOIN LATERAL (
                 SELECT f.id, f.started FROM build f
                 WHERE f.package_id = p.id AND NOT f.untagged AND f.state = b.state
                   AND f.started > other.started
                 ORDER BY f.started LIMIT 1
             ) first ON first.started >= $3
             WHERE b.started >= $3 AND b.last_complete AND p.collection_id = ANY($1)
               AND ($5::int[] IS NULL OR p.base_id = ANY($5))
               AND p.tracked AND NOT p.blocked AND p.resolved IS NOT FALSE
               AND b.state = CASE WHEN $2 THEN 3 ELSE 5 END
         ), found AS (
             SELECT DISTINCT ON (id) id, at, build_id
             FROM (SELECT * FROM by_resolution UNION ALL SELECT * FROM by_build) u
             ORDER BY id, at DESC
         ), shown AS (
             SELECT *, count(*) OVER () AS total FROM found ORDER BY at DESC, id LIMIT $4
         )
         SELECT p.id AS package_id, p.name, p.collection_id, s.at AT TIME ZONE 'UTC' AS at,
                p.resolved, p.last_complete_build_state, s.total, s.build_id,
                (SELECT min(r.problem COLLATE "C") FROM resolution_problem r
                 WHERE r.resolution_id = (SELECT c.id FROM resolution_change c
                     WHERE c.package_id = p.id ORDER BY c.timestamp DESC LIMIT 1)
                   AND p.resolved IS FALSE) AS problem,
                ARRAY(SELECT t.arch FROM koji_task t WHERE t.build_id = s.build_id
                      AND t.state = 5 ORDER BY t.arch COLLATE "C") AS failed_arches,
                coalesce(b.real, false) AS real,
                CASE WHEN b.real THEN b.version || '-' || b.release END AS version_release,
                (SELECT coalesce(new.name, old.name) || coalesce(' ' || new.version, '')
                 FROM applied_change a LEFT JOIN dependency new ON new.id = a.curr_dep_id
                     LEFT JOIN dependency old ON old.id = a.prev_dep_id
                 WHERE a.build_id = s.build_id
                 ORDER BY a.distance NULLS LAST, coalesce(new.name, old.name) COLLATE "C" LIMIT 1) AS change,
                (SELECT count(*) FROM applied_change a WHERE a.build_id = s.build_id)
                    AS change_count
         FROM shown s JOIN package p ON p.id = s.id LEFT JOIN build b ON b.id = s.build_id
         ORDER BY s.at DESC, s.id"#,
    )
    .bind(collections)
    .bind(good)
    .bind(since.naive_utc())
    .bind(limit)
    .bind(bases)
    .fetch_all(db)
    .await?;
    let total = rows.first().map_or(0, |row| row.total);
    Ok((rows.into_iter().map(|row| row.turned).collect(), total))
}

/// Something that may have changed the state of a package.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Turn {
    /// Package.
    pub package_id: i32,
    /// Whether its dependencies can be installed, now.
    pub resolved: Option<bool>,
    /// State number of its last complete build, now.
    pub built: Option<i32>,
    /// State number of its last complete build before the first turn.
    pub built_before: Option<i32>,
    /// Whether its dependencies could be installed before the first turn; `None` when nobody had looked, or it was forgotten.
    pub resolved_before: Option<bool>,
    /// When.
    pub at: DateTime<Utc>,
    /// State number of the build that ended; `None` when it was resolved anew.
    pub build: Option<i32>,
    /// What came out when it was resolved anew.
    pub became_resolved: Option<bool>,
}

/// Everything since a time that may have changed states of tracked packages of a collection, by package and time. Looks
/// at all of its packages: keep the answer for long.
pub async fn turns(
    db: impl Database<'_>,
    collection: i32,
    since: DateTime<Utc>,
) -> crate::Result<Vec<Turn>> {
    sqlx::query_as(
        r#"WITH p AS (
               SELECT id, resolved, last_complete_build_state AS built FROM package
               WHERE collection_id = $1 AND tracked AND NOT blocked
           ), turn AS (
               SELECT p.id, p.resolved, p.built, coalesce(b.finished, b.started) AS at, b.state AS build,
                      NULL::boolean AS became_resolved
               FROM p JOIN build b ON b.package_id = p.id AND b.started >= $2 AND b.state <> 2
                    AND NOT b.untagged
               UNION ALL
               SELECT p.id, p.resolved, p.built, c.timestamp, NULL, c.resolved
               FROM p JOIN resolution_change c ON c.package_id = p.id AND c.timestamp >= $2
           ), first AS (
               SELECT t.id, b.state, c.resolved FROM (SELECT DISTINCT id FROM turn) t
               LEFT JOIN LATERAL (
                   SELECT o.state FROM build o
                   WHERE o.package_id = t.id AND o.started < $2 AND o.state <> 2 AND NOT o.untagged
                   ORDER BY o.started DESC LIMIT 1) b ON true
               LEFT JOIN LATERAL (
                   SELECT o.resolved FROM resolution_change o
                   WHERE o.package_id = t.id AND o.timestamp < $2
                   ORDER BY o.timestamp DESC LIMIT 1) c ON true
           )
           SELECT turn.id AS package_id, turn.resolved, turn.built, first.state AS built_before,
                  first.resolved AS resolved_before,
                  turn.at AT TIME ZONE 'UTC' AS at, turn.build, turn.became_resolved
           FROM turn LEFT JOIN first ON first.id = turn.id ORDER BY turn.id, turn.at"#,
    )
    .bind(collection)
    .bind(since.naive_utc())
    .fetch_all(db)
    .await
    .map_err(Into::into)
}
