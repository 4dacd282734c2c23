//! Builds in the repo that they were made in: which are to be resolved, their install sets, and what changed between
//! two of them.

use std::collections::BTreeSet;

use koschei_core::changes::{self, Change, Entry};
use sqlx::FromRow;
use sqlx::postgres::PgConnection;

use super::interning::names_of;
use crate::builds;
use crate::dependency_keys;
use crate::error::{Error, Result};
use crate::packages;
use crate::wake::{Sleeper, wake};

/// A build whose dependencies were not resolved yet.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct BuildToResolve {
    /// Its id.
    pub id: i32,
    /// Its package.
    pub package_id: i32,
    /// The package's name.
    pub name: String,
    /// Its collection.
    pub collection_id: i32,
    /// Its repo.
    pub repo_id: i32,
    /// Its version.
    pub version: String,
    /// Its release.
    pub release: String,
}

/// The builds of a collection whose dependencies were not resolved yet, by repo, or those made in one repo; of each
/// package in the order in which they were started.
pub async fn builds_to_resolve(
    conn: &mut PgConnection,
    collection_id: i32,
    repo_id: Option<i32>,
) -> Result<Vec<BuildToResolve>> {
    sqlx::query_as(
        "SELECT build.id, build.package_id, package.name, package.collection_id, build.repo_id,
                build.version, build.release
           FROM build JOIN package ON package.id = build.package_id
          WHERE build.deps_resolved IS NULL AND build.repo_id IS NOT NULL
            AND build.version IS NOT NULL AND build.release IS NOT NULL
            AND package.collection_id = $1 AND ($2::integer IS NULL OR build.repo_id = $2)
          ORDER BY build.repo_id, build.started, build.id",
    )
    .bind(collection_id)
    .bind(repo_id)
    .fetch_all(conn)
    .await
    .map_err(Error::Statement)
}

/// A package of an install set: its id in the table `dependency`, and its distance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Installed {
    /// Its id.
    pub id: i32,
    /// Hops from the source package; `None` when it is far away.
    pub distance: Option<u8>,
}

/// What came out of resolving a build in its repo: the install set, by ascending ids, or `None`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildResolution {
    /// The build.
    pub build_id: i32,
    /// Its install set; `None` when it cannot be installed, or its repo or build group is gone.
    pub installs: Option<Vec<Installed>>,
}

/// Locks builds, with all others of their packages, and then the packages; tells which still wait for their resolution.
async fn lock_unresolved(
    conn: &mut PgConnection,
    ids: &[i32],
) -> Result<(Vec<i32>, packages::LockedPackages)> {
    let package_ids: Vec<i32> = sqlx::query_scalar(
        "SELECT DISTINCT package_id FROM build
          WHERE id = ANY($1) AND deps_resolved IS NULL AND package_id IS NOT NULL",
    )
    .bind(ids)
    .fetch_all(&mut *conn)
    .await
    .map_err(Error::Statement)?;
    builds::lock_builds_of(conn, &package_ids).await?;
    let waiting: Vec<i32> = sqlx::query_scalar(
        "SELECT id FROM build WHERE id = ANY($1) AND package_id = ANY($2) AND deps_resolved IS NULL ORDER BY id",
    )
    .bind(ids)
    .bind(&package_ids)
    .fetch_all(&mut *conn)
    .await
    .map_err(Error::Statement)?;
    let locked = packages::lock(conn, &package_ids).await?;
    Ok((waiting, locked))
}

/// Stores results for builds, at most one of each package: install sets, applied changes against the previous build
/// that was resolved, and the priority of packages whose last build cannot be compared.
///
/// Returns how many builds were stored; others are gone or were stored by somebody else.
pub async fn store_builds(
    conn: &mut PgConnection,
    results: &[BuildResolution],
    newly_added: i32,
) -> Result<usize> {
    let ids: Vec<i32> = results.iter().map(|result| result.build_id).collect();
    let (waiting, locked) = lock_unresolved(conn, &ids).await?;
    let waits = |result: &&BuildResolution| waiting.binary_search(&result.build_id).is_ok();

    let unresolved: Vec<i32> = results
        .iter()
        .filter(waits)
        .filter(|result| result.installs.is_none())
        .map(|result| result.build_id)
        .collect();
    if !unresolved.is_empty() {
        sqlx::query("UPDATE build SET deps_resolved = false WHERE id = ANY($1)")
            .bind(&unresolved)
            .execute(&mut *conn)
            .await
            .map_err(Error::Statement)?;
        sqlx::query("UPDATE package SET build_priority = $2 WHERE last_build_id = ANY($1)")
            .bind(&unresolved)
            .bind(newly_added)
            .execute(&mut *conn)
            .await
            .map_err(Error::Statement)?;
    }

    let resolved: Vec<(i32, &[Installed])> = results
        .iter()
        .filter(waits)
        .filter_map(|result| Some((result.build_id, result.installs.as_deref()?)))
        .collect();
    if !resolved.is_empty() {
        store_install_sets(conn, &resolved).await?;
    }
    compare_again(conn, &locked.ids()).await?;
    locked.announce(conn).await?;
    wake(conn, Sleeper::Scheduler).await?;
    Ok(waiting.len())
}

/// Lets the repo-resolver look again at locked packages whose last build became comparable after they were resolved in
/// the newest repo: without a build to compare with, no unapplied changes could be told.
pub(crate) async fn compare_again(conn: &mut PgConnection, package_ids: &[i32]) -> Result<()> {
    let updated = sqlx::query(
        "UPDATE package SET resolved_repo_id = NULL
           FROM build, collection
          WHERE package.id = ANY($1) AND build.id = package.last_build_id
            AND collection.id = package.collection_id
            AND build.state IN (3, 5) AND build.deps_resolved IS NOT NULL
            AND package.resolved_repo_id = collection.latest_repo_id
            AND build.repo_id <> collection.latest_repo_id",
    )
    .bind(package_ids)
    .execute(&mut *conn)
    .await
    .map_err(Error::Statement)?;
    if updated.rows_affected() > 0 {
        wake(conn, Sleeper::RepoResolver).await?;
    }
    Ok(())
}

/// A build, an earlier one, its packed set, and whether the first one still runs.
type Previous = (i32, i32, Option<Vec<u8>>, bool);

/// Stores install sets and applied changes of builds whose rows are locked, and drops the previous install sets; of a build
/// that still runs when it ends ([`drop_earlier_sets`]), because it may be deleted instead, and then the one before is again
/// what packages are compared with.
async fn store_install_sets(
    conn: &mut PgConnection,
    resolved: &[(i32, &[Installed])],
) -> Result<()> {
    let ids: Vec<i32> = resolved.iter().map(|(id, _)| *id).collect();
    let previous: Vec<Previous> = sqlx::query_as(
        "SELECT build.id, previous.id, previous.dependency_keys, build.state = 2
           FROM build CROSS JOIN LATERAL (
                SELECT id, dependency_keys FROM build AS earlier
                 WHERE earlier.package_id = build.package_id AND earlier.started < build.started
                   AND earlier.deps_resolved
                 ORDER BY earlier.started DESC, earlier.id DESC LIMIT 1) AS previous
          WHERE build.id = ANY($1)",
    )
    .bind(&ids)
    .fetch_all(&mut *conn)
    .await
    .map_err(Error::Statement)?;
    let applied = applied_changes(conn, resolved, &previous).await?;
    sqlx::query(
        "INSERT INTO applied_change (build_id, prev_dep_id, curr_dep_id, distance)
         SELECT * FROM unnest($1::integer[], $2::integer[], $3::integer[], $4::integer[])",
    )
    .bind(applied.iter().map(|(id, _)| *id).collect::<Vec<_>>())
    .bind(applied.iter().map(|(_, change)| change.prev).collect::<Vec<_>>())
    .bind(applied.iter().map(|(_, change)| change.curr).collect::<Vec<_>>())
    .bind(applied.iter().map(|(_, change)| change.distance.map(i32::from)).collect::<Vec<_>>())
    .execute(&mut *conn)
    .await
    .map_err(Error::Statement)?;
    let mut packed = Vec::with_capacity(resolved.len());
    for (_, installs) in resolved {
        let ids: Vec<i32> = installs.iter().map(|installed| installed.id).collect();
        packed.push(dependency_keys::encode(&ids)?);
    }
    sqlx::query(
        "UPDATE build SET deps_resolved = true, dependency_keys = news.keys
           FROM unnest($1::integer[], $2::bytea[]) AS news(id, keys) WHERE build.id = news.id",
    )
    .bind(&ids)
    .bind(packed)
    .execute(&mut *conn)
    .await
    .map_err(Error::Statement)?;
    sqlx::query(
        "UPDATE build SET dependency_keys = NULL WHERE id = ANY($1) AND dependency_keys IS NOT NULL",
    )
    .bind(
        previous
            .iter()
            .filter(|(.., runs)| !runs)
            .map(|(_, previous_id, ..)| *previous_id)
            .collect::<Vec<_>>(),
    )
    .execute(conn)
    .await
    .map_err(Error::Statement)?;
    Ok(())
}

/// Drops the install sets of builds of a locked package that were started before a build that has just ended, if it has one
/// itself.
pub(crate) async fn drop_earlier_sets(conn: &mut PgConnection, build_id: i32) -> Result<()> {
    sqlx::query(
        "UPDATE build SET dependency_keys = NULL
           FROM build AS ended
          WHERE ended.id = $1 AND ended.deps_resolved AND build.package_id = ended.package_id
            AND build.started < ended.started AND build.dependency_keys IS NOT NULL",
    )
    .bind(build_id)
    .execute(conn)
    .await
    .map_err(Error::Statement)?;
    Ok(())
}

/// The changes of builds against earlier install sets.
async fn applied_changes(
    conn: &mut PgConnection,
    resolved: &[(i32, &[Installed])],
    previous: &[Previous],
) -> Result<Vec<(i32, Change)>> {
    let mut compared = Vec::new();
    for (build_id, previous_id, keys, _) in previous {
        let Some((_, installs)) = resolved.iter().find(|(id, _)| id == build_id) else { continue };
        let Some(keys) = keys else { continue };
        // A set that cannot be read counts as not stored; what follows from it is one build without changes.
        match dependency_keys::decode(keys) {
            Ok(keys) => {
                let ids: Vec<i32> = installs.iter().map(|installed| installed.id).collect();
                compared.push((*build_id, *installs, changes::difference(&keys, &ids)));
            }
            Err(error) => {
                tracing::warn!(
                    build = previous_id,
                    "the install set of the build is unusable: {error}"
                );
            }
        }
    }
    let ids: BTreeSet<i32> = compared
        .iter()
        .flat_map(|(_, _, difference)| difference.old.iter().chain(&difference.new))
        .copied()
        .collect();
    let names = names_of(conn, &ids.into_iter().collect::<Vec<_>>()).await?;
    let entry = |id: &i32, distance| {
        let (name, arch) = names.get(id)?;
        Some(Entry { id: *id, name, arch, distance })
    };
    let mut applied = Vec::new();
    for (build_id, installs, difference) in &compared {
        let distance = |id: &i32| {
            let at = installs.binary_search_by_key(id, |installed| installed.id).ok()?;
            installs.get(at)?.distance
        };
        let old: Vec<Entry<'_>> = difference.old.iter().filter_map(|id| entry(id, None)).collect();
        let new: Vec<Entry<'_>> =
            difference.new.iter().filter_map(|id| entry(id, distance(id))).collect();
        applied.extend(changes::pair_up(&old, &new).into_iter().map(|change| (*build_id, change)));
    }
    Ok(applied)
}
