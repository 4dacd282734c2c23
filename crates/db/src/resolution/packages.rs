//! Packages in the newest repo: which are to be resolved, and what came out of it.

use std::collections::{BTreeSet, HashMap, HashSet};

use koschei_core::changes::Change;
use sqlx::FromRow;
use sqlx::postgres::PgConnection;

use crate::error::{Error, Result};
use crate::packages::{self, StateChange};
use crate::references;
use crate::wake::{Sleeper, wake};

/// A package whose dependencies are to be resolved in the newest repo.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct PackageToResolve {
    /// Its id.
    pub id: i32,
    /// Its name.
    pub name: String,
    /// Whether its dependencies could be installed so far.
    pub resolved: Option<bool>,
    /// Its last build; a result counts only while it stays the last one.
    pub last_build_id: Option<i32>,
    /// Version of the last complete build, whose BuildRequires are resolved.
    pub version: String,
    /// Release of that build.
    pub release: String,
    /// The build to compare with; a result counts only while it stays that one.
    pub previous_build_id: Option<i32>,
    /// Install set to compare with, packed; `None` when there is none to compare with.
    pub previous: Option<Vec<u8>>,
}

/// The packages of a collection that are to be resolved in a repo and were not yet: tracked, not blocked, resolution
/// not skipped, with a last complete build.
///
/// Compared with: the last build, if it is finished and was resolved; if it could not be resolved, the newest
/// earlier-started build that was; if it was not looked at yet, nothing.
pub async fn packages_to_resolve(
    conn: &mut PgConnection,
    collection_id: i32,
    repo_id: i32,
) -> Result<Vec<PackageToResolve>> {
    sqlx::query_as(
        "SELECT package.id, package.name, package.resolved, package.last_build_id,
                complete.version, complete.release,
                CASE WHEN last.state IN (3, 5) AND last.deps_resolved THEN last.id
                     WHEN last.state IN (3, 5) AND NOT last.deps_resolved THEN earlier.id
                END AS previous_build_id,
                CASE WHEN last.state IN (3, 5) AND last.deps_resolved THEN last.dependency_keys
                     WHEN last.state IN (3, 5) AND NOT last.deps_resolved THEN earlier.dependency_keys
                END AS previous
           FROM package
           JOIN build AS complete ON complete.id = package.last_complete_build_id
           LEFT JOIN build AS last ON last.id = package.last_build_id
           LEFT JOIN LATERAL (
                SELECT id, dependency_keys FROM build
                 WHERE build.package_id = package.id AND build.started < last.started AND build.deps_resolved
                   AND NOT last.deps_resolved
                 ORDER BY build.started DESC, build.id DESC LIMIT 1) AS earlier ON true
          WHERE package.collection_id = $1 AND package.tracked AND NOT package.blocked
            AND NOT package.skip_resolution
            AND complete.version IS NOT NULL AND complete.release IS NOT NULL
            AND (package.resolved IS NULL OR package.resolved_repo_id IS DISTINCT FROM $2
                 -- Koji refused to tell what they require, and may be asked again.
                 OR package.name || '-' || complete.version || '-' || complete.release IN (
                    SELECT nvr FROM untold_build_requires AS untold JOIN collection
                        ON collection.id = $1 AND collection.secondary_mode = untold.secondary
                     WHERE ask_again <= clock_timestamp() AT TIME ZONE 'UTC'))
          ORDER BY package.id",
    )
    .bind(collection_id)
    .bind(repo_id)
    .fetch_all(conn)
    .await
    .map_err(Error::Statement)
}

/// What came out of resolving a package in the newest repo.
#[derive(Debug, Clone, PartialEq)]
pub struct PackageResolution {
    /// The package.
    pub package_id: i32,
    /// Its last build when it was resolved.
    pub last_build_id: Option<i32>,
    /// The build that it was compared with.
    pub previous_build_id: Option<i32>,
    /// What was known when it was resolved.
    pub previously_resolved: Option<bool>,
    /// Why it cannot be installed; empty when it can.
    pub problems: BTreeSet<String>,
    /// Unapplied changes; none for a package that cannot be installed.
    pub changes: Vec<Change>,
    /// Priority that follows from the changes.
    pub dependency_priority: i32,
}

/// What was stored of a chunk of results.
#[derive(Debug, Default)]
pub struct Stored {
    /// How many results were stored.
    pub stored: usize,
    /// Names of packages whose result was dropped, because a build came in between or became comparable, or because
    /// they are not resolved any more.
    pub dropped: Vec<String>,
    /// State changes that followed.
    pub changes: Vec<StateChange>,
}

/// Stores results for packages of one collection, in one go.
pub async fn store_packages(
    conn: &mut PgConnection,
    repo_id: i32,
    results: &[PackageResolution],
) -> Result<Stored> {
    let ids: Vec<i32> = results.iter().map(|result| result.package_id).collect();
    let locked = packages::lock(conn, &ids).await?;
    let compared = builds_to_compare(conn, &ids).await?;
    let mut stored = Stored::default();
    let mut kept: Vec<&PackageResolution> = Vec::with_capacity(results.len());
    for result in results {
        // A package that is gone needs no word; it was deleted with its collection or by hand.
        let Some(package) = locked.get(result.package_id) else { continue };
        let previous_build_id = compared.get(&result.package_id).copied();
        if package.last_build_id == result.last_build_id
            && previous_build_id == result.previous_build_id
            && !package.skip_resolution
        {
            kept.push(result);
        } else {
            stored.dropped.push(package.name.clone());
        }
    }
    stored.stored = kept.len();
    if kept.is_empty() {
        return Ok(stored);
    }
    let kept_ids: Vec<i32> = kept.iter().map(|result| result.package_id).collect();
    sqlx::query(
        "UPDATE package SET resolved = news.resolved, dependency_priority = news.priority,
                            resolved_repo_id = $4
           FROM unnest($1::integer[], $2::boolean[], $3::integer[]) AS news(id, resolved, priority)
          WHERE package.id = news.id",
    )
    .bind(&kept_ids)
    .bind(kept.iter().map(|result| result.problems.is_empty()).collect::<Vec<_>>())
    .bind(kept.iter().map(|result| result.dependency_priority).collect::<Vec<_>>())
    .bind(repo_id)
    .execute(&mut *conn)
    .await
    .map_err(Error::Statement)?;
    replace_unapplied(conn, &kept_ids, &kept).await?;
    add_history(conn, &kept).await?;
    stored.changes = locked.announce(conn).await?;
    wake(conn, Sleeper::Scheduler).await?;
    Ok(stored)
}

/// The builds that packages are to be compared with, by package, as in [`packages_to_resolve`].
///
/// The packages are locked. Where the build-resolver stores at the same time, it either has committed, and is seen
/// here, or it waits for the lock and then sees what is stored here.
async fn builds_to_compare(
    conn: &mut PgConnection,
    package_ids: &[i32],
) -> Result<HashMap<i32, i32>> {
    let rows: Vec<(i32, i32)> = sqlx::query_as(
        "SELECT package.id, previous.id
           FROM package
           JOIN build AS last ON last.id = package.last_build_id
          CROSS JOIN LATERAL (
                SELECT id FROM build
                 WHERE build.package_id = package.id AND build.deps_resolved
                   AND (build.id = last.id OR NOT last.deps_resolved AND build.started < last.started)
                 ORDER BY build.started DESC, build.id DESC LIMIT 1) AS previous
          WHERE package.id = ANY($1) AND last.state IN (3, 5)",
    )
    .bind(package_ids)
    .fetch_all(conn)
    .await
    .map_err(Error::Statement)?;
    Ok(rows.into_iter().collect())
}

/// A row of unapplied changes: package, previous and current dependency, distance.
type UnappliedChange = (i32, Option<i32>, Option<i32>, Option<i32>);

/// The same with its id in front.
type StoredChange = (i64, i32, Option<i32>, Option<i32>, Option<i32>);

/// Brings the unapplied changes of packages up to date. Most of them are those of the repo before, and stay: a row costs
/// four places in indexes, and three looks at other tables where PostgreSQL does not let us leave those out; by far the
/// most of what there is to store.
async fn replace_unapplied(
    conn: &mut PgConnection,
    ids: &[i32],
    results: &[&PackageResolution],
) -> Result<()> {
    let known: Vec<StoredChange> = sqlx::query_as(
        "SELECT id, package_id, prev_dep_id, curr_dep_id, distance FROM unapplied_change WHERE package_id = ANY($1)",
    )
    .bind(ids)
    .fetch_all(&mut *conn)
    .await
    .map_err(Error::Statement)?;
    let mut news: HashSet<UnappliedChange> = results
        .iter()
        .flat_map(|result| {
            result.changes.iter().map(|change| {
                (result.package_id, change.prev, change.curr, change.distance.map(i32::from))
            })
        })
        .collect();
    // Whatever stands there a second time goes as well.
    let gone: Vec<i64> = known
        .into_iter()
        .filter(|(_, package_id, prev, curr, distance)| {
            !news.remove(&(*package_id, *prev, *curr, *distance))
        })
        .map(|(id, ..)| id)
        .collect();
    if !gone.is_empty() {
        sqlx::query("DELETE FROM unapplied_change WHERE id = ANY($1)")
            .bind(&gone)
            .execute(&mut *conn)
            .await
            .map_err(Error::Statement)?;
    }
    if news.is_empty() {
        return Ok(());
    }
    // Neighbours in the indexes, and the same order each time.
    let mut news: Vec<UnappliedChange> = news.into_iter().collect();
    news.sort_unstable();
    let unchecked = hold_dependencies(conn, &news).await?
        && references::leave_out_checks(conn).await.map_err(Error::Statement)?;
    sqlx::query(
        "INSERT INTO unapplied_change (package_id, prev_dep_id, curr_dep_id, distance)
         SELECT * FROM unnest($1::integer[], $2::integer[], $3::integer[], $4::integer[])",
    )
    .bind(news.iter().map(|change| change.0).collect::<Vec<_>>())
    .bind(news.iter().map(|change| change.1).collect::<Vec<_>>())
    .bind(news.iter().map(|change| change.2).collect::<Vec<_>>())
    .bind(news.iter().map(|change| change.3).collect::<Vec<_>>())
    .execute(&mut *conn)
    .await
    .map_err(Error::Statement)?;
    if unchecked {
        references::check_again(conn).await.map_err(Error::Statement)?;
    }
    Ok(())
}

/// Sees to it that the dependencies of these changes stay until the transaction ends, as PostgreSQL does for each row; the
/// packages are locked. Whether all of them exist: if not, PostgreSQL says which.
async fn hold_dependencies(conn: &mut PgConnection, changes: &[UnappliedChange]) -> Result<bool> {
    let mut ids: Vec<i32> =
        changes.iter().flat_map(|change| [change.1, change.2]).flatten().collect();
    ids.sort_unstable();
    ids.dedup();
    let held: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM (SELECT FROM dependency WHERE id = ANY($1) FOR KEY SHARE) AS held",
    )
    .bind(&ids)
    .fetch_one(conn)
    .await
    .map_err(Error::Statement)?;
    Ok(usize::try_from(held) == Ok(ids.len()))
}

/// Adds a history entry where a package became resolvable or not, or stays unresolvable for other reasons than its
/// newest entry has.
async fn add_history(conn: &mut PgConnection, results: &[&PackageResolution]) -> Result<()> {
    let still_broken: Vec<i32> = results
        .iter()
        .filter(|result| !result.problems.is_empty() && result.previously_resolved == Some(false))
        .map(|result| result.package_id)
        .collect();
    let newest: Vec<(i32, Option<String>)> = sqlx::query_as(
        "SELECT newest.package_id, problem.problem
           FROM (SELECT DISTINCT ON (package_id) id, package_id FROM resolution_change
                  WHERE package_id = ANY($1) ORDER BY package_id, timestamp DESC, id DESC) AS newest
           LEFT JOIN resolution_problem AS problem ON problem.resolution_id = newest.id",
    )
    .bind(&still_broken)
    .fetch_all(&mut *conn)
    .await
    .map_err(Error::Statement)?;
    let mut known: HashMap<i32, BTreeSet<String>> = HashMap::new();
    for (package_id, problem) in newest {
        known.entry(package_id).or_default().extend(problem);
    }
    let entries: Vec<&&PackageResolution> = results
        .iter()
        .filter(|result| {
            let resolved = result.problems.is_empty();
            result.previously_resolved != Some(resolved)
                || (!resolved && known.get(&result.package_id) != Some(&result.problems))
        })
        .collect();
    if entries.is_empty() {
        return Ok(());
    }
    let rows: Vec<(i32, i32)> = sqlx::query_as(
        "INSERT INTO resolution_change (package_id, resolved)
         SELECT * FROM unnest($1::integer[], $2::boolean[]) RETURNING id, package_id",
    )
    .bind(entries.iter().map(|entry| entry.package_id).collect::<Vec<_>>())
    .bind(entries.iter().map(|entry| entry.problems.is_empty()).collect::<Vec<_>>())
    .fetch_all(&mut *conn)
    .await
    .map_err(Error::Statement)?;
    let ids: HashMap<i32, i32> = rows.into_iter().map(|(id, package)| (package, id)).collect();
    let problems: Vec<(i32, &str)> = entries
        .iter()
        .flat_map(|entry| {
            let id = ids.get(&entry.package_id).copied();
            entry.problems.iter().filter_map(move |problem| Some((id?, problem.as_str())))
        })
        .collect();
    sqlx::query(
        "INSERT INTO resolution_problem (resolution_id, problem)
         SELECT * FROM unnest($1::integer[], $2::text[])",
    )
    .bind(problems.iter().map(|(id, _)| *id).collect::<Vec<_>>())
    .bind(problems.iter().map(|(_, problem)| *problem).collect::<Vec<_>>())
    .execute(conn)
    .await
    .map_err(Error::Statement)?;
    Ok(())
}
