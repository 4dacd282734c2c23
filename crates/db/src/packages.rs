//! Statements of the services about packages: registering, blocking, priorities; and the one way by which a package's
//! message word changes.
//!
//! Whatever may change the state of packages first locks their rows with [`lock`] and, before it commits, calls
//! [`LockedPackages::announce`]. That compares the words before and after, so no change goes unnoticed, whatever caused
//! it (spec/services.md, "messages of state"). Rows are locked in the order build, package; packages by id.

use std::collections::BTreeMap;

use koschei_core::states::{BuildState, MessageWord, PackageFacts, PackageState};
use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{FromRow, Row};

use crate::error::{Error, Result};
use crate::outbox;
use crate::wake::{Sleeper, wake};

/// A package whose row is locked by the running transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockedPackage {
    /// Its id.
    pub id: i32,
    /// Its name.
    pub name: String,
    /// Its collection.
    pub collection_id: i32,
    /// Its state when the lock was taken.
    pub state: PackageState,
    /// Whether its dependencies could be installed.
    pub resolved: Option<bool>,
    /// Whether its dependencies are not to be resolved.
    pub skip_resolution: bool,
    /// Its last build that is not untagged.
    pub last_build_id: Option<i32>,
    /// Its last such build that is not running.
    pub last_complete_build_id: Option<i32>,
}

impl FromRow<'_, PgRow> for LockedPackage {
    fn from_row(row: &PgRow) -> sqlx::Result<Self> {
        let state: Option<i32> = row.try_get("last_complete_build_state")?;
        let resolved = row.try_get("resolved")?;
        let facts = PackageFacts {
            blocked: row.try_get("blocked")?,
            tracked: row.try_get("tracked")?,
            resolved,
            last_complete_build: state.and_then(BuildState::from_number),
        };
        Ok(Self {
            id: row.try_get("id")?,
            name: row.try_get("name")?,
            collection_id: row.try_get("collection_id")?,
            state: PackageState::of(facts),
            resolved,
            skip_resolution: row.try_get("skip_resolution")?,
            last_build_id: row.try_get("last_build_id")?,
            last_complete_build_id: row.try_get("last_complete_build_id")?,
        })
    }
}

/// Packages under lock, with their states as they were when it was taken.
#[must_use = "state changes are lost unless they are announced"]
#[derive(Debug)]
pub struct LockedPackages {
    packages: BTreeMap<i32, LockedPackage>,
}

/// A change of the word by which messages tell the state of a package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateChange {
    /// The package.
    pub package_id: i32,
    /// Its name.
    pub name: String,
    /// Its collection.
    pub collection_id: i32,
    /// The word before.
    pub old: MessageWord,
    /// The word now.
    pub new: MessageWord,
}

/// Locks packages in the order of their ids, for the rest of the transaction. Those that are gone are left out.
///
/// Their keys stay free: others may refer to them with new rows (which does not touch them), but not change them.
pub async fn lock(conn: &mut PgConnection, ids: &[i32]) -> Result<LockedPackages> {
    let rows: Vec<LockedPackage> = sqlx::query_as(
        "SELECT id, name, collection_id, blocked, tracked, resolved, skip_resolution,
                last_build_id, last_complete_build_id, last_complete_build_state
           FROM package WHERE id = ANY($1) ORDER BY id FOR NO KEY UPDATE",
    )
    .bind(ids)
    .fetch_all(conn)
    .await
    .map_err(Error::Statement)?;
    Ok(LockedPackages { packages: rows.into_iter().map(|row| (row.id, row)).collect() })
}

impl LockedPackages {
    /// The package with this id, as it was when it was locked.
    pub fn get(&self, id: i32) -> Option<&LockedPackage> {
        self.packages.get(&id)
    }

    /// The packages, by id.
    pub fn iter(&self) -> impl Iterator<Item = &LockedPackage> {
        self.packages.values()
    }

    /// The ids, ascending.
    pub fn ids(&self) -> Vec<i32> {
        self.packages.keys().copied().collect()
    }

    /// Publishes every change of a message word since the lock was taken. To be called before the commit.
    pub async fn announce(self, conn: &mut PgConnection) -> Result<Vec<StateChange>> {
        let now: Vec<LockedPackage> = sqlx::query_as(
            "SELECT id, name, collection_id, blocked, tracked, resolved, skip_resolution,
                    last_build_id, last_complete_build_id, last_complete_build_state
               FROM package WHERE id = ANY($1) ORDER BY id",
        )
        .bind(self.ids())
        .fetch_all(&mut *conn)
        .await
        .map_err(Error::Statement)?;
        let changes: Vec<StateChange> = now
            .into_iter()
            .filter_map(|now| {
                let old = self.packages.get(&now.id)?.state.message_word();
                let new = now.state.message_word();
                (old != new).then_some(StateChange {
                    package_id: now.id,
                    name: now.name,
                    collection_id: now.collection_id,
                    old,
                    new,
                })
            })
            .collect();
        publish(conn, &changes).await?;
        Ok(changes)
    }
}

/// The single place through which every change of a package's message word passes, inside the transaction that makes
/// it, and from there to the outbox.
async fn publish(conn: &mut PgConnection, changes: &[StateChange]) -> Result<()> {
    for change in changes {
        tracing::info!(
            package = %change.name,
            collection_id = change.collection_id,
            "state changes from {} to {}",
            change.old,
            change.new
        );
    }
    outbox::put_package_changes(conn, changes).await
}

/// What changed in a collection's package list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PackageListChanges {
    /// Names that were not known before.
    pub added: Vec<String>,
    /// Names that became blocked.
    pub blocked: Vec<String>,
    /// Names that are blocked no longer.
    pub unblocked: Vec<String>,
}

/// Brings the packages of a collection in line with Koji's list, given as names with their blocked flags.
///
/// Unknown names become untracked packages. A known package is blocked when the list says so, or does not have it.
pub async fn refresh_list(
    conn: &mut PgConnection,
    collection_id: i32,
    names: &[String],
    blocked: &[bool],
) -> Result<PackageListChanges> {
    let differences: Vec<(Option<i32>, String, bool)> = sqlx::query_as(
        "SELECT known.id, COALESCE(listed.name, known.name), COALESCE(listed.blocked, true)
           FROM (SELECT name, bool_and(blocked) AS blocked
                   FROM unnest($2::text[], $3::boolean[]) AS entry(name, blocked) GROUP BY name) AS listed
           FULL JOIN (SELECT id, name, blocked FROM package WHERE collection_id = $1) AS known
             ON known.name = listed.name
          WHERE known.id IS NULL OR known.blocked <> COALESCE(listed.blocked, true)
          ORDER BY 2",
    )
    .bind(collection_id)
    .bind(names)
    .bind(blocked)
    .fetch_all(&mut *conn)
    .await
    .map_err(Error::Statement)?;

    let mut changes = PackageListChanges::default();
    let mut added_blocked = Vec::new();
    let (mut block, mut unblock) = (Vec::new(), Vec::new());
    for (id, name, blocked) in differences {
        match id {
            None => {
                changes.added.push(name);
                added_blocked.push(blocked);
            }
            Some(id) if blocked => {
                block.push(id);
                changes.blocked.push(name);
            }
            Some(id) => {
                unblock.push(id);
                changes.unblocked.push(name);
            }
        }
    }
    if !changes.added.is_empty() {
        add(conn, collection_id, &changes.added, &added_blocked).await?;
    }
    let ids: Vec<i32> = block.iter().chain(&unblock).copied().collect();
    if !ids.is_empty() {
        let locked = lock(conn, &ids).await?;
        sqlx::query("UPDATE package SET blocked = (id = ANY($2)) WHERE id = ANY($1)")
            .bind(&ids)
            .bind(&block)
            .execute(&mut *conn)
            .await
            .map_err(Error::Statement)?;
        locked.announce(conn).await?;
        wake(conn, Sleeper::RepoResolver).await?;
    }
    Ok(changes)
}

/// Adds untracked packages, with their base packages where those are missing. Names come in ascending order.
async fn add(
    conn: &mut PgConnection,
    collection_id: i32,
    names: &[String],
    blocked: &[bool],
) -> Result<()> {
    // The conflict clauses are for other processes that add the same; the anti-joins keep the sequences from running
    // away, because a conflict consumes an id.
    sqlx::query(
        "INSERT INTO base_package (name)
         SELECT entry.name FROM unnest($1::text[]) AS entry(name)
          WHERE NOT EXISTS (SELECT 1 FROM base_package AS base WHERE base.name = entry.name)
          ORDER BY entry.name
         ON CONFLICT (name) DO NOTHING",
    )
    .bind(names)
    .execute(&mut *conn)
    .await
    .map_err(Error::Statement)?;
    sqlx::query(
        "INSERT INTO package (base_id, name, collection_id, tracked, blocked)
         SELECT base.id, base.name, $1, false, entry.blocked
           FROM unnest($2::text[], $3::boolean[]) AS entry(name, blocked)
           JOIN base_package AS base ON base.name = entry.name
          ORDER BY base.id
         ON CONFLICT (base_id, collection_id) DO NOTHING",
    )
    .bind(collection_id)
    .bind(names)
    .bind(blocked)
    .execute(conn)
    .await
    .map_err(Error::Statement)?;
    Ok(())
}

/// Lets the repo-resolver look at packages again, because their last builds changed: it may be another source package
/// that has to be resolved, and another build that it is compared with.
pub(crate) async fn resolve_again(conn: &mut PgConnection, ids: &[i32]) -> Result<()> {
    sqlx::query(
        "UPDATE package SET resolved_repo_id = NULL WHERE id = ANY($1) AND resolved_repo_id IS NOT NULL",
    )
    .bind(ids)
    .execute(&mut *conn)
    .await
    .map_err(Error::Statement)?;
    wake(conn, Sleeper::RepoResolver).await
}

/// Resets what made a rebuild of these packages urgent, because a build of them was registered or finished; also what
/// the scheduler had against them, because that was about an earlier build.
pub async fn reset_priorities(conn: &mut PgConnection, ids: &[i32]) -> Result<()> {
    sqlx::query(
        "UPDATE package
            SET manual_priority = 0, dependency_priority = 0, build_priority = 0,
                scheduler_skip_reason = NULL, scheduler_skip_basis = NULL,
                fault_streak = 0, not_before = NULL
          WHERE id = ANY($1)",
    )
    .bind(ids)
    .execute(&mut *conn)
    .await
    .map_err(Error::Statement)?;
    sqlx::query("DELETE FROM unapplied_change WHERE package_id = ANY($1)")
        .bind(ids)
        .execute(conn)
        .await
        .map_err(Error::Statement)?;
    Ok(())
}
