//! Statements of the scheduler: current priorities and what is next.
//!
//! The formula of `koschei_core::priorities` stands here once more, in SQL and double precision, because it has to run
//! over all packages at once; a test compares the two.

use chrono::{DateTime, Utc};
use koschei_core::config::Priorities;
use koschei_core::scheduling::SkipReason;
use sqlx::FromRow;
use sqlx::postgres::PgConnection;

use crate::builds;
use crate::error::{Error, Result};
use crate::packages;

/// A package that is to be built, with what the scheduler has to know about it.
#[derive(Debug, Clone, PartialEq, FromRow)]
pub struct Candidate {
    /// The package.
    pub package_id: i32,
    /// Its name.
    pub name: String,
    /// Its collection.
    pub collection_id: i32,
    /// Name of the collection.
    pub collection: String,
    /// Its current priority.
    pub priority: f64,
    /// Architectures set by hand.
    pub arch_override: Option<String>,
    /// Its last complete build, which is also the last one.
    pub last_complete_build_id: i32,
    /// Version of that build.
    pub version: String,
    /// Release of that build.
    pub release: String,
}

/// The packages whose current priority reaches the threshold, highest first.
///
/// `now` is the time that counts; `limit` how many are wanted at most; `except` and all
/// packages of `except_collections` are left out, as is what operators have suspended or hold at that time.
pub async fn candidates(
    conn: &mut PgConnection,
    parameters: &Priorities,
    now: DateTime<Utc>,
    limit: i64,
    except: &[i32],
    except_collections: &[i32],
) -> Result<Vec<Candidate>> {
    let (a, b) = parameters.time_coefficients();
    sqlx::query_as(
        // Only the number and the priority of every package go through the sort; the rest is looked up for the few that
        // are left. EXTRACT would compute in numeric, and so would the difference of two times. The server cannot know
        // how many packages meet a condition between two columns, and takes it for next to none; inside of coalesce() it
        // takes half, which is nearer to the truth, and joins accordingly (40 instead of 51 ms for 96,000 packages).
        "WITH going AS MATERIALIZED (
                 SELECT id, priority_coefficient FROM collection
                  WHERE latest_repo_resolved AND id <> ALL($7)
                    AND NOT EXISTS (
                        SELECT FROM suspension
                         WHERE (suspension.collection_id IS NULL OR suspension.collection_id = collection.id)
                           AND (until IS NULL OR until > $3::timestamptz AT TIME ZONE 'UTC')))
         SELECT package.id AS package_id, package.name, package.collection_id,
                collection.name AS collection, best.priority, package.arch_override,
                package.last_complete_build_id, build.version, build.release
           FROM (SELECT package.id,
                        package.manual_priority::float8 + package.static_priority
                        + (package.dependency_priority::float8 + package.build_priority
                           + greatest($1 * log(greatest(0.000001,
                                ($8 - date_part('epoch', package.last_build_started)) / 3600)) + $2, -30))
                        * going.priority_coefficient AS priority
                   FROM package
                   JOIN going ON going.id = package.collection_id
                  WHERE package.tracked AND NOT package.blocked
                    -- Looked up in a hash table, which is quicker here than a join.
                    AND package.base_id NOT IN (
                        SELECT member.base_id
                          FROM hold JOIN package_group_relation AS member ON member.group_id = hold.group_id
                         WHERE hold.until > $3::timestamptz AT TIME ZONE 'UTC')
                    AND coalesce(package.last_build_id = package.last_complete_build_id, false)
                    -- After a clock was put back, a build that runs may seem to have been started before the last one.
                    AND package.id NOT IN (
                        SELECT package_id FROM build WHERE state = 2 AND package_id IS NOT NULL)
                    AND coalesce(package.resolved, package.skip_resolution)
                    AND package.scheduler_skip_reason IS NULL
                    AND (package.not_before IS NULL
                         OR package.not_before <= $3::timestamptz AT TIME ZONE 'UTC')
                    AND package.id <> ALL($6)
                  ORDER BY priority DESC, package.id LIMIT $5) AS best
           JOIN package ON package.id = best.id
           JOIN collection ON collection.id = package.collection_id
           JOIN build ON build.id = package.last_complete_build_id
          WHERE best.priority >= $4
          ORDER BY best.priority DESC, package.id",
    )
    .bind(a)
    .bind(b)
    .bind(now)
    .bind(parameters.build_threshold)
    .bind(limit)
    .bind(except)
    .bind(except_collections)
    .bind(now.timestamp_micros() as f64 / 1e6)
    .fetch_all(conn)
    .await
    .map_err(Error::Statement)
}

/// A package of which somebody wants a build at once.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct Submittable {
    /// The package.
    pub package_id: i32,
    /// Its base package.
    pub base_id: i32,
    /// Its name.
    pub name: String,
    /// Its collection.
    pub collection_id: i32,
    /// Name of the collection.
    pub collection: String,
    /// Architectures set by hand.
    pub arch_override: Option<String>,
    /// Version of its last complete build; `None` without one.
    pub version: Option<String>,
    /// Release of that build.
    pub release: Option<String>,
    /// Whether a build of it is running.
    pub is_running: bool,
}

/// The packages of these names that are not blocked, in one collection or in all, as far as the build group of the
/// collection can be installed; by name, then as collections are shown.
pub async fn submittable(
    conn: &mut PgConnection,
    names: &[String],
    collection_id: Option<i32>,
) -> Result<Vec<Submittable>> {
    sqlx::query_as(
        "SELECT package.id AS package_id, package.base_id, package.name, package.collection_id,
                collection.name AS collection, package.arch_override, build.version, build.release,
                EXISTS (SELECT FROM build AS running
                         WHERE running.package_id = package.id AND running.state = 2) AS is_running
           FROM package
           JOIN collection ON collection.id = package.collection_id
           LEFT JOIN build ON build.id = package.last_complete_build_id
          WHERE package.name = ANY($1) AND NOT package.blocked AND collection.latest_repo_resolved
            AND ($2::integer IS NULL OR collection.id = $2)
          ORDER BY package.name COLLATE \"C\", collection.\"order\" DESC, collection.name COLLATE \"C\" DESC",
    )
    .bind(names)
    .bind(collection_id)
    .fetch_all(conn)
    .await
    .map_err(Error::Statement)
}

/// A package that the scheduler set aside because it may be built on no architecture.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct WithoutArchitecture {
    /// The package.
    pub package_id: i32,
    /// Its collection.
    pub collection_id: i32,
    /// Architectures set by hand.
    pub arch_override: Option<String>,
    /// Its last complete build.
    pub last_complete_build_id: Option<i32>,
    /// What the decision was based on.
    pub basis: Option<String>,
}

/// The packages that the scheduler set aside because they may be built on no architecture.
pub async fn without_architecture(conn: &mut PgConnection) -> Result<Vec<WithoutArchitecture>> {
    sqlx::query_as(
        "SELECT id AS package_id, collection_id, arch_override, last_complete_build_id,
                scheduler_skip_basis AS basis
           FROM package
          WHERE scheduler_skip_reason = 2 AND tracked AND NOT blocked
          ORDER BY id",
    )
    .fetch_all(conn)
    .await
    .map_err(Error::Statement)
}

/// Sets a package aside because it may be built on no architecture, until what the decision was based on changes.
pub async fn set_aside(conn: &mut PgConnection, package_id: i32, basis: &str) -> Result<()> {
    sqlx::query(
        "UPDATE package SET scheduler_skip_reason = $2, scheduler_skip_basis = $3 WHERE id = $1",
    )
    .bind(package_id)
    .bind(SkipReason::NoAllowedArchitecture.number())
    .bind(basis)
    .execute(conn)
    .await
    .map_err(Error::Statement)?;
    Ok(())
}

/// Takes back that packages were set aside.
pub async fn take_back(conn: &mut PgConnection, package_ids: &[i32]) -> Result<()> {
    sqlx::query(
        "UPDATE package SET scheduler_skip_reason = NULL, scheduler_skip_basis = NULL
          WHERE id = ANY($1) AND scheduler_skip_reason = $2",
    )
    .bind(package_ids)
    .bind(SkipReason::NoAllowedArchitecture.number())
    .execute(conn)
    .await
    .map_err(Error::Statement)?;
    Ok(())
}

/// Forgets what is known about a package for which Koji has no source package. It comes back when a build of it is
/// registered or its tagging changes.
///
/// Nothing happens when its last complete build is not `last_complete_build_id` any more.
pub async fn forget_without_srpm(
    conn: &mut PgConnection,
    package_id: i32,
    last_complete_build_id: i32,
) -> Result<()> {
    builds::lock_builds_of(conn, &[package_id]).await?;
    let locked = packages::lock(conn, &[package_id]).await?;
    let still = locked
        .get(package_id)
        .is_some_and(|package| package.last_complete_build_id == Some(last_complete_build_id));
    if still {
        sqlx::query(
            "UPDATE package
                SET last_build_id = NULL, last_build_started = NULL, last_complete_build_id = NULL,
                    last_complete_build_state = NULL, resolved = NULL, scheduler_skip_reason = $2, scheduler_skip_basis = NULL
              WHERE id = $1",
        )
        .bind(package_id)
        .bind(SkipReason::NoSrpm.number())
        .execute(&mut *conn)
        .await
        .map_err(Error::Statement)?;
        sqlx::query(
            "UPDATE build SET last_complete = false WHERE package_id = $1 AND last_complete",
        )
        .bind(package_id)
        .execute(&mut *conn)
        .await
        .map_err(Error::Statement)?;
    }
    locked.announce(conn).await?;
    Ok(())
}

/// A package that was set aside because Koji had no source package of it.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct WithoutSrpm {
    /// The package.
    pub package_id: i32,
    /// Its name.
    pub name: String,
    /// Version of the build that would be its last complete one.
    pub version: String,
    /// Release of that build.
    pub release: String,
}

/// The packages of a collection that were set aside because Koji had no source package of them, and that have a build
/// which they can come back with; restricted to one name if given.
pub async fn without_srpm(
    conn: &mut PgConnection,
    collection_id: i32,
    name: Option<&str>,
) -> Result<Vec<WithoutSrpm>> {
    sqlx::query_as(
        "SELECT package.id AS package_id, package.name, newest.version, newest.release
           FROM package
          CROSS JOIN LATERAL (
                SELECT version, release FROM build
                 WHERE build.package_id = package.id AND NOT untagged AND state IN (3, 5)
                 ORDER BY started DESC, id DESC LIMIT 1) AS newest
          WHERE package.collection_id = $1 AND package.scheduler_skip_reason = $2
            AND package.tracked AND NOT package.blocked AND ($3::text IS NULL OR package.name = $3)
            AND newest.version IS NOT NULL AND newest.release IS NOT NULL
          ORDER BY package.id",
    )
    .bind(collection_id)
    .bind(SkipReason::NoSrpm.number())
    .bind(name)
    .fetch_all(conn)
    .await
    .map_err(Error::Statement)
}

/// Brings back packages whose source package Koji has again, with the builds that they had.
pub async fn bring_back(conn: &mut PgConnection, package_ids: &[i32]) -> Result<()> {
    builds::lock_builds_of(conn, package_ids).await?;
    let locked = packages::lock(conn, package_ids).await?;
    let back: Vec<i32> = sqlx::query_scalar(
        "UPDATE package SET scheduler_skip_reason = NULL, scheduler_skip_basis = NULL
          WHERE id = ANY($1) AND scheduler_skip_reason = $2 RETURNING id",
    )
    .bind(package_ids)
    .bind(SkipReason::NoSrpm.number())
    .fetch_all(&mut *conn)
    .await
    .map_err(Error::Statement)?;
    sqlx::query("SELECT update_last_build(id) FROM unnest($1::integer[]) AS back(id)")
        .bind(&back)
        .execute(&mut *conn)
        .await
        .map_err(Error::Statement)?;
    packages::resolve_again(conn, &back).await?;
    locked.announce(conn).await?;
    Ok(())
}
