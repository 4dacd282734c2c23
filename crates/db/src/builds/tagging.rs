//! What follows from what Koji names as the latest builds of a tag: builds that are untagged, and tagged again.

use sqlx::postgres::PgConnection;

use super::lock_builds_of;
use crate::error::{Error, Result};
use crate::packages::{self, LockedPackages};
use crate::wake::{Sleeper, wake};

/// A version of a package that Koji names as the latest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaggedVersion {
    /// The package.
    pub package_id: i32,
    /// Epoch; none equals 0.
    pub epoch: Option<i32>,
    /// Version.
    pub version: String,
    /// Release.
    pub release: String,
}

/// Arrays of the columns of tagged versions, as statements want them.
fn columns(versions: &[TaggedVersion]) -> (Vec<i32>, Vec<i32>, Vec<&str>, Vec<&str>) {
    (
        versions.iter().map(|version| version.package_id).collect(),
        versions.iter().map(|version| version.epoch.unwrap_or(0)).collect(),
        versions.iter().map(|version| version.version.as_str()).collect(),
        versions.iter().map(|version| version.release.as_str()).collect(),
    )
}

/// Of these versions, the packages that have a build of exactly that version.
pub async fn packages_with_version(
    conn: &mut PgConnection,
    versions: &[TaggedVersion],
) -> Result<Vec<i32>> {
    let (package_ids, epochs, names, releases) = columns(versions);
    sqlx::query_scalar(
        "SELECT DISTINCT build.package_id
           FROM unnest($1::integer[], $2::integer[], $3::text[], $4::text[])
                AS latest(package_id, epoch, version, release)
           JOIN build ON build.package_id = latest.package_id AND build.version = latest.version
                     AND build.release = latest.release AND COALESCE(build.epoch, 0) = latest.epoch
          ORDER BY 1",
    )
    .bind(package_ids)
    .bind(epochs)
    .bind(names)
    .bind(releases)
    .fetch_all(conn)
    .await
    .map_err(Error::Statement)
}

/// A package whose last build is above what Koji names as the latest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Untagged {
    /// What Koji names as the latest.
    pub latest: TaggedVersion,
    /// The last build before Koji was asked.
    pub last: i32,
}

/// Marks as untagged every build that was started after the newest-started one of the version that Koji names as the
/// latest; all builds of the package when there is none of that version. Returns how many builds got the mark.
///
/// A package whose last build changed since Koji was asked is left alone: what Koji said was not about that one.
pub async fn mark_untagged(conn: &mut PgConnection, untagged: &[Untagged]) -> Result<u64> {
    let ids: Vec<i32> = untagged.iter().map(|package| package.latest.package_id).collect();
    lock_builds_of(conn, &ids).await?;
    let locked = packages::lock(conn, &ids).await?;
    let versions: Vec<TaggedVersion> = untagged
        .iter()
        .filter(|package| {
            let now = locked.get(package.latest.package_id).and_then(|now| now.last_build_id);
            now == Some(package.last)
        })
        .map(|package| package.latest.clone())
        .collect();
    let (package_ids, epochs, names, releases) = columns(&versions);
    let marked = sqlx::query(
        "UPDATE build SET untagged = true
           FROM (SELECT latest.package_id, max(build.started) AS started
                   FROM unnest($1::integer[], $2::integer[], $3::text[], $4::text[])
                        AS latest(package_id, epoch, version, release)
                   LEFT JOIN build ON build.package_id = latest.package_id
                         AND build.version = latest.version AND build.release = latest.release
                         AND COALESCE(build.epoch, 0) = latest.epoch
                  GROUP BY latest.package_id) AS latest
          WHERE build.package_id = latest.package_id AND NOT build.untagged
            AND (latest.started IS NULL OR build.started > latest.started)",
    )
    .bind(&package_ids)
    .bind(epochs)
    .bind(names)
    .bind(releases)
    .execute(&mut *conn)
    .await
    .map_err(Error::Statement)?
    .rows_affected();
    if !package_ids.is_empty() {
        after_tagging(conn, locked, &package_ids).await?;
    }
    Ok(marked)
}

/// Takes the mark from untagged builds of exactly the version that Koji names as the latest. Returns the packages.
pub async fn clear_untagged(
    conn: &mut PgConnection,
    collection_id: i32,
    versions: &[TaggedVersion],
) -> Result<Vec<i32>> {
    let (package_ids, epochs, names, releases) = columns(versions);
    // Found first and without locks, because at nearly every turn there are none.
    let found: Vec<(i32, i32)> = sqlx::query_as(
        "SELECT build.id, build.package_id
           FROM build
           JOIN package ON package.id = build.package_id
           JOIN unnest($2::integer[], $3::integer[], $4::text[], $5::text[])
                AS latest(package_id, epoch, version, release)
             ON build.package_id = latest.package_id AND build.version = latest.version
            AND build.release = latest.release AND COALESCE(build.epoch, 0) = latest.epoch
          WHERE build.untagged AND package.collection_id = $1",
    )
    .bind(collection_id)
    .bind(&package_ids)
    .bind(epochs)
    .bind(names)
    .bind(releases)
    .fetch_all(&mut *conn)
    .await
    .map_err(Error::Statement)?;
    if found.is_empty() {
        return Ok(Vec::new());
    }
    let build_ids: Vec<i32> = found.iter().map(|(id, _)| *id).collect();
    let mut package_ids: Vec<i32> = found.iter().map(|(_, id)| *id).collect();
    package_ids.sort_unstable();
    package_ids.dedup();
    lock_builds_of(conn, &package_ids).await?;
    let locked = packages::lock(conn, &package_ids).await?;
    sqlx::query("UPDATE build SET untagged = false WHERE id = ANY($1) AND untagged")
        .bind(&build_ids)
        .execute(&mut *conn)
        .await
        .map_err(Error::Statement)?;
    after_tagging(conn, locked, &package_ids).await?;
    Ok(package_ids)
}

/// What follows a change of tagging: the scheduler's reasons were about other builds, and states may have changed.
async fn after_tagging(
    conn: &mut PgConnection,
    locked: LockedPackages,
    package_ids: &[i32],
) -> Result<()> {
    sqlx::query(
        "UPDATE package SET scheduler_skip_reason = NULL, scheduler_skip_basis = NULL
          WHERE id = ANY($1) AND scheduler_skip_reason IS NOT NULL",
    )
    .bind(package_ids)
    .execute(&mut *conn)
    .await
    .map_err(Error::Statement)?;
    packages::resolve_again(conn, package_ids).await?;
    locked.announce(conn).await?;
    wake(conn, Sleeper::Scheduler).await?;
    Ok(())
}
