//! Statements of the resolvers: what to resolve, and what came out of it.
//!
//! Install sets are kept as packed lists of ids of the table `dependency` ([`crate::dependency_keys`]); rows of that
//! table are shared by everybody and never change, so they are inserted outside of the big transactions.

use std::collections::{BTreeSet, HashMap};

use koschei_core::changes::{self, Change, Entry};
use koschei_core::states::CollectionState;
use rpm::Nevra;
use sqlx::FromRow;
use sqlx::postgres::PgConnection;

use crate::builds;
use crate::dependency_keys;
use crate::error::{Error, Result};
use crate::packages::{self, StateChange};
use crate::wake::{Sleeper, wake};

/// Ids of packages in the table `dependency`, in the order asked for; unknown ones are added.
///
/// To be called outside of long transactions: two processes that add the same package wait for each other.
pub async fn intern(conn: &mut PgConnection, packages: &[&Nevra]) -> Result<Vec<i32>> {
    let names: Vec<&str> = packages.iter().map(|package| package.name.as_str()).collect();
    let epochs: Vec<i32> =
        packages.iter().map(|package| i32::try_from(package.epoch).unwrap_or(i32::MAX)).collect();
    let versions: Vec<&str> = packages.iter().map(|package| package.version.as_str()).collect();
    let releases: Vec<&str> = packages.iter().map(|package| package.release.as_str()).collect();
    let arches: Vec<&str> = packages.iter().map(|package| package.arch.as_str()).collect();
    for attempt in 0..2 {
        let found: Vec<(i64, i32)> = sqlx::query_as(
            "SELECT wanted.position, known.id
               FROM unnest($1::text[], $2::integer[], $3::text[], $4::text[], $5::text[]) WITH ORDINALITY
                    AS wanted(name, epoch, version, release, arch, position)
               JOIN dependency AS known ON known.name = wanted.name AND known.epoch = wanted.epoch
                AND known.version = wanted.version AND known.release = wanted.release AND known.arch = wanted.arch",
        )
        .bind(&names)
        .bind(&epochs)
        .bind(&versions)
        .bind(&releases)
        .bind(&arches)
        .fetch_all(&mut *conn)
        .await
        .map_err(Error::Statement)?;
        let mut ids = vec![0; packages.len()];
        for (position, id) in found {
            if let Some(slot) = usize::try_from(position - 1).ok().and_then(|at| ids.get_mut(at)) {
                *slot = id;
            }
        }
        if !ids.contains(&0) {
            return Ok(ids);
        }
        if attempt == 0 {
            // Conflicts consume ids of the sequence, so only what is missing is inserted.
            let missing: Vec<usize> =
                (0..ids.len()).filter(|at| ids.get(*at) == Some(&0)).collect();
            fn pick<T: Copy>(from: &[T], at: &[usize]) -> Vec<T> {
                at.iter().filter_map(|at| from.get(*at).copied()).collect()
            }
            sqlx::query(
                "INSERT INTO dependency (name, epoch, version, release, arch)
                 SELECT DISTINCT * FROM unnest($1::text[], $2::integer[], $3::text[], $4::text[], $5::text[])
                  ORDER BY 1, 2, 3, 4, 5
                 ON CONFLICT DO NOTHING",
            )
            .bind(pick(&names, &missing))
            .bind(pick(&epochs, &missing))
            .bind(pick(&versions, &missing))
            .bind(pick(&releases, &missing))
            .bind(pick(&arches, &missing))
            .execute(&mut *conn)
            .await
            .map_err(Error::Statement)?;
        }
    }
    Err(Error::Corrupt {
        what: "the table dependency".into(),
        reason: "a package that was just added cannot be found".into(),
    })
}

/// Names and architectures of packages of the table `dependency`.
pub async fn names_of(
    conn: &mut PgConnection,
    ids: &[i32],
) -> Result<HashMap<i32, (String, String)>> {
    let rows: Vec<(i32, String, String)> =
        sqlx::query_as("SELECT id, name, arch FROM dependency WHERE id = ANY($1)")
            .bind(ids)
            .fetch_all(conn)
            .await
            .map_err(Error::Statement)?;
    Ok(rows.into_iter().map(|(id, name, arch)| (id, (name, arch))).collect())
}

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

/// A change of a collection's state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CollectionChange {
    /// The collection.
    pub collection_id: i32,
    /// The state before.
    pub old: CollectionState,
    /// The state now.
    pub new: CollectionState,
    /// The repo that is the reason.
    pub repo_id: i32,
}

/// Stores whether the build group of a collection can be installed from its newest repo, and announces the change.
/// `None` when the collection is gone or has a newer repo already.
pub async fn set_latest_repo(
    conn: &mut PgConnection,
    collection_id: i32,
    repo_id: i32,
    problems: &[String],
) -> Result<Option<CollectionChange>> {
    let row: Option<(Option<i32>, Option<bool>)> = sqlx::query_as(
        "SELECT latest_repo_id, latest_repo_resolved FROM collection WHERE id = $1 FOR NO KEY UPDATE",
    )
    .bind(collection_id)
    .fetch_optional(&mut *conn)
    .await
    .map_err(Error::Statement)?;
    let Some((latest, resolved)) = row else { return Ok(None) };
    if latest.is_some_and(|latest| latest >= repo_id) {
        return Ok(None);
    }
    sqlx::query("DELETE FROM buildroot_problem WHERE collection_id = $1")
        .bind(collection_id)
        .execute(&mut *conn)
        .await
        .map_err(Error::Statement)?;
    sqlx::query(
        "INSERT INTO buildroot_problem (collection_id, problem)
         SELECT $1, problem FROM unnest($2::text[]) AS news(problem)",
    )
    .bind(collection_id)
    .bind(problems)
    .execute(&mut *conn)
    .await
    .map_err(Error::Statement)?;
    sqlx::query(
        "UPDATE collection SET latest_repo_id = $2, latest_repo_resolved = $3 WHERE id = $1",
    )
    .bind(collection_id)
    .bind(repo_id)
    .bind(problems.is_empty())
    .execute(&mut *conn)
    .await
    .map_err(Error::Statement)?;
    let change = CollectionChange {
        collection_id,
        old: CollectionState::of(resolved),
        new: CollectionState::of(Some(problems.is_empty())),
        repo_id,
    };
    publish(conn, &change).await?;
    wake(conn, Sleeper::Scheduler).await?;
    Ok(Some(change))
}

/// The single place through which every change of a collection's state passes, inside the transaction that makes it.
async fn publish(_conn: &mut PgConnection, change: &CollectionChange) -> Result<()> {
    if change.old != change.new {
        tracing::info!(
            collection_id = change.collection_id,
            repo = change.repo_id,
            "state of the collection changes from {} to {}",
            change.old,
            change.new
        );
    }
    Ok(())
}

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
            AND (package.resolved IS NULL OR package.resolved_repo_id IS DISTINCT FROM $2)
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

/// Replaces the unapplied changes of packages.
async fn replace_unapplied(
    conn: &mut PgConnection,
    ids: &[i32],
    results: &[&PackageResolution],
) -> Result<()> {
    sqlx::query("DELETE FROM unapplied_change WHERE package_id = ANY($1)")
        .bind(ids)
        .execute(&mut *conn)
        .await
        .map_err(Error::Statement)?;
    let changes: Vec<(i32, &Change)> = results
        .iter()
        .flat_map(|result| result.changes.iter().map(|change| (result.package_id, change)))
        .collect();
    if changes.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "INSERT INTO unapplied_change (package_id, prev_dep_id, curr_dep_id, distance)
         SELECT * FROM unnest($1::integer[], $2::integer[], $3::integer[], $4::integer[])",
    )
    .bind(changes.iter().map(|(id, _)| *id).collect::<Vec<_>>())
    .bind(changes.iter().map(|(_, change)| change.prev).collect::<Vec<_>>())
    .bind(changes.iter().map(|(_, change)| change.curr).collect::<Vec<_>>())
    .bind(changes.iter().map(|(_, change)| change.distance.map(i32::from)).collect::<Vec<_>>())
    .execute(conn)
    .await
    .map_err(Error::Statement)?;
    Ok(())
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

/// The builds of a collection whose dependencies were not resolved yet, by repo; of each package in the order in which
/// they were started.
pub async fn builds_to_resolve(
    conn: &mut PgConnection,
    collection_id: i32,
) -> Result<Vec<BuildToResolve>> {
    sqlx::query_as(
        "SELECT build.id, build.package_id, package.name, package.collection_id, build.repo_id,
                build.version, build.release
           FROM build JOIN package ON package.id = build.package_id
          WHERE build.deps_resolved IS NULL AND build.repo_id IS NOT NULL
            AND build.version IS NOT NULL AND build.release IS NOT NULL
            AND package.collection_id = $1
          ORDER BY build.repo_id, build.started, build.id",
    )
    .bind(collection_id)
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

/// Stores install sets and applied changes of builds whose rows are locked, and drops the previous install sets.
async fn store_install_sets(
    conn: &mut PgConnection,
    resolved: &[(i32, &[Installed])],
) -> Result<()> {
    let ids: Vec<i32> = resolved.iter().map(|(id, _)| *id).collect();
    let previous: Vec<(i32, i32, Option<Vec<u8>>)> = sqlx::query_as(
        "SELECT build.id, previous.id, previous.dependency_keys
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
    .bind(previous.iter().map(|(_, previous_id, _)| *previous_id).collect::<Vec<_>>())
    .execute(conn)
    .await
    .map_err(Error::Statement)?;
    Ok(())
}

/// The changes of builds against earlier install sets, given as (build, earlier build, its packed set).
async fn applied_changes(
    conn: &mut PgConnection,
    resolved: &[(i32, &[Installed])],
    previous: &[(i32, i32, Option<Vec<u8>>)],
) -> Result<Vec<(i32, Change)>> {
    let mut compared = Vec::new();
    for (build_id, previous_id, keys) in previous {
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
