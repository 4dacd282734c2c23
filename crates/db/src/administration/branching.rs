//! Branching and forking: a collection is copied with its packages and what is newest of their history.
//!
//! Everything is one transaction that looks at one moment of the database (repeatable read): services go on working, and
//! what they commit meanwhile belongs to the master alone. Only when they change the very rows that branching changes
//! does it start over. Each table is one statement over a temporary table that maps old ids to new ones.
//!
//! Most of the time would go into checking, for each copied change and each column of it, that what it refers to exists.
//! It does: the rows that are copied refer to the same dependencies, which nobody ever deletes, and to builds that were
//! copied a moment ago. PostgreSQL lets those leave such checks out whom it has trusted with the parameter
//! `session_replication_role`; for others it takes about twice as long.

use sqlx::Connection as _;
use sqlx::postgres::PgConnection;

use super::collections::locked;
use super::{Actor, Error, NewCollection, Result, log};
use crate::entities::{self, Collection};
use crate::references;
use crate::wake::{Sleeper, wake};

/// How often it is tried when services change the same rows.
const ATTEMPTS: u32 = 5;

/// A master that is to be branched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Branch {
    /// The master's name so far, which the copy takes over.
    pub master: String,
    /// What the master is called from then on.
    pub new_name: String,
    /// The copy's name for people.
    pub display_name: String,
    /// The target that the master gets.
    pub target: String,
    /// The destination tag that the master gets.
    pub dest_tag: String,
    /// The build tag of that target, as Koji says now.
    pub build_tag: String,
    /// The build tag of the target so far, which the copy keeps, as Koji says now.
    pub copy_build_tag: String,
    /// The copy's version in Bugzilla.
    pub bugzilla_version: Option<String>,
}

/// A master that is to be forked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fork {
    /// The master, which stays as it is.
    pub master: String,
    /// The copy's name.
    pub new_name: String,
    /// The copy's name for people.
    pub display_name: String,
    /// The copy's target.
    pub target: String,
    /// The copy's destination tag.
    pub dest_tag: String,
    /// The build tag of its target, as Koji says now.
    pub build_tag: String,
}

/// What was copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Copied {
    /// The new collection.
    pub collection_id: i32,
    /// How many packages.
    pub packages: u64,
    /// How many builds.
    pub builds: u64,
}

/// Branches a collection: a copy takes over the master's name, and the master goes on under a new one.
///
/// The copy has the master's settings, collection groups, packages, resolution history, and those finished builds that
/// are last complete ones or were started within the last month.
///
/// # Errors
/// When there is no such master, or the new name is taken; then nothing is changed.
pub async fn branch_collection(
    conn: &mut PgConnection,
    actor: &Actor,
    branch: &Branch,
) -> Result<Copied> {
    with_patience(async || try_branch(conn, actor, branch).await).await
}

/// Forks a collection: a copy gets the new name, and the master stays as it is.
///
/// Of builds, the copy has only the last complete ones.
///
/// # Errors
/// When there is no such master, or the new name is taken; then nothing is changed.
pub async fn fork_collection(
    conn: &mut PgConnection,
    actor: &Actor,
    fork: &Fork,
) -> Result<Copied> {
    with_patience(async || try_fork(conn, actor, fork).await).await
}

/// Starts over while others change the same rows.
async fn with_patience(mut attempt: impl AsyncFnMut() -> Result<Copied>) -> Result<Copied> {
    let mut attempts = 1;
    loop {
        match attempt().await {
            Err(Error::Database(error)) if error.is_conflict() && attempts < ATTEMPTS => {
                tracing::info!("services changed the collection meanwhile; starting over");
                attempts += 1;
            }
            outcome => return outcome,
        }
    }
}

async fn try_branch(conn: &mut PgConnection, actor: &Actor, branch: &Branch) -> Result<Copied> {
    let mut transaction = conn.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ").await?;
    let master = master(&mut transaction, &branch.master, &branch.new_name).await?;
    sqlx::query(
        "UPDATE collection
            SET name = $2, target = $3, dest_tag = $4, build_tag = $5, \"order\" = \"order\" + 1
          WHERE id = $1",
    )
    .bind(master.id)
    .bind(&branch.new_name)
    .bind(&branch.target)
    .bind(&branch.dest_tag)
    .bind(&branch.build_tag)
    .execute(&mut *transaction)
    .await?;
    let new = NewCollection {
        display_name: branch.display_name.clone(),
        build_tag: branch.copy_build_tag.clone(),
        bugzilla_version: branch.bugzilla_version.clone(),
        ..settings(&master)
    };
    let copied = copy(&mut transaction, &master, &new, Builds::OfLastMonth).await?;
    let message = format!("Collection {} branched from {}", branch.new_name, branch.master);
    log(&mut transaction, actor, &message).await?;
    transaction.commit().await?;
    Ok(copied)
}

async fn try_fork(conn: &mut PgConnection, actor: &Actor, fork: &Fork) -> Result<Copied> {
    let mut transaction = conn.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ").await?;
    let master = master(&mut transaction, &fork.master, &fork.new_name).await?;
    let new = NewCollection {
        name: fork.new_name.clone(),
        display_name: fork.display_name.clone(),
        target: fork.target.clone(),
        dest_tag: fork.dest_tag.clone(),
        build_tag: fork.build_tag.clone(),
        ..settings(&master)
    };
    let copied = copy(&mut transaction, &master, &new, Builds::LastComplete).await?;
    let message = format!("Collection {} forked from {}", fork.new_name, fork.master);
    log(&mut transaction, actor, &message).await?;
    transaction.commit().await?;
    Ok(copied)
}

/// The master, locked; the new name is free.
async fn master(conn: &mut PgConnection, name: &str, new_name: &str) -> Result<Collection> {
    let master = locked(conn, name).await?;
    match entities::collection_by_name(conn, new_name).await? {
        Some(_) => Err(Error::CollectionExists(new_name.to_owned())),
        None => Ok(master),
    }
}

fn settings(master: &Collection) -> NewCollection {
    NewCollection {
        name: master.name.clone(),
        display_name: master.display_name.clone(),
        order: master.order,
        secondary_mode: master.secondary_mode,
        target: master.target.clone(),
        dest_tag: master.dest_tag.clone(),
        build_tag: master.build_tag.clone(),
        bugzilla_product: master.bugzilla_product.clone(),
        bugzilla_version: master.bugzilla_version.clone(),
        priority_coefficient: master.priority_coefficient,
        build_group: master.build_group.clone(),
        poll_untracked: master.poll_untracked,
    }
}

/// Which finished builds are copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Builds {
    /// The last complete ones, and those of the last month.
    OfLastMonth,
    /// The last complete ones.
    LastComplete,
}

/// Makes the new collection and fills it.
async fn copy(
    conn: &mut PgConnection,
    master: &Collection,
    new: &NewCollection,
    builds: Builds,
) -> Result<Copied> {
    let collection_id = entities::create_collection(&mut *conn, new)
        .await?
        .ok_or_else(|| Error::CollectionExists(new.name.clone()))?;
    sqlx::query(
        "INSERT INTO collection_group_relation (group_id, collection_id)
         SELECT group_id, $2 FROM collection_group_relation WHERE collection_id = $1",
    )
    .bind(master.id)
    .bind(collection_id)
    .execute(&mut *conn)
    .await?;
    // Real builds that cannot be registered are the same ones.
    sqlx::query(
        "INSERT INTO skipped_real_build (collection_id, task_id, noticed)
         SELECT $2, task_id, noticed FROM skipped_real_build WHERE collection_id = $1",
    )
    .bind(master.id)
    .bind(collection_id)
    .execute(&mut *conn)
    .await?;
    // Sorting in memory, and no compiling of statements that run once.
    sqlx::query("SELECT set_config('work_mem', '256MB', true), set_config('jit', 'off', true)")
        .execute(&mut *conn)
        .await?;
    let packages = copy_packages(conn, master.id, collection_id).await?;
    let builds = copy_builds(conn, collection_id, builds).await?;
    references::leave_out_checks(conn).await?;
    copy_what_hangs_on_them(conn).await?;
    // The builds that would tell it are not all copied.
    sqlx::query(
        "UPDATE package SET state_since = old.state_since
           FROM copied_package AS copied JOIN package AS old ON old.id = copied.old_id
          WHERE package.id = copied.id AND package.state_since IS DISTINCT FROM old.state_since",
    )
    .execute(&mut *conn)
    .await?;
    wake(conn, Sleeper::Polling).await?;
    wake(conn, Sleeper::RepoResolver).await?;
    Ok(Copied { collection_id, packages, builds })
}

async fn copy_packages(conn: &mut PgConnection, master: i32, copy: i32) -> Result<u64> {
    // A session that does this twice finds the tables of the first time gone with its transaction.
    sqlx::query(
        "CREATE TEMPORARY TABLE copied_package ON COMMIT DROP AS
         SELECT id AS old_id, nextval('package_id_seq')::integer AS id
           FROM (SELECT id FROM package WHERE collection_id = $1 ORDER BY id) AS old",
    )
    .bind(master)
    .execute(&mut *conn)
    .await?;
    sqlx::query("ANALYZE copied_package").execute(&mut *conn).await?;
    // Which builds are the last ones is found out again by the triggers, from the builds that are copied.
    let packages = sqlx::query(
        "INSERT INTO package (id, base_id, name, collection_id, arch_override, skip_resolution, resolved,
                              static_priority, manual_priority, build_priority, dependency_priority,
                              tracked, blocked, scheduler_skip_reason, scheduler_skip_basis)
         SELECT copied.id, base_id, name, $1, arch_override, skip_resolution, resolved,
                static_priority, manual_priority, build_priority, dependency_priority,
                tracked, blocked, scheduler_skip_reason, scheduler_skip_basis
           FROM copied_package AS copied JOIN package AS old ON old.id = copied.old_id
          ORDER BY copied.id",
    )
    .bind(copy)
    .execute(conn)
    .await?;
    Ok(packages.rows_affected())
}

async fn copy_builds(conn: &mut PgConnection, copy: i32, which: Builds) -> Result<u64> {
    sqlx::query(
        "CREATE TEMPORARY TABLE copied_build ON COMMIT DROP AS
         SELECT id AS old_id, nextval('build_id_seq')::integer AS id, package_id
           FROM (SELECT build.id, copied.id AS package_id
                   FROM copied_package AS copied JOIN build ON build.package_id = copied.old_id
                  WHERE build.state <> 2
                    AND (build.last_complete
                         OR ($1 AND build.started > timezone('UTC', now()) - interval '1 month'))
                  ORDER BY build.id) AS old",
    )
    .bind(which == Builds::OfLastMonth)
    .execute(&mut *conn)
    .await?;
    sqlx::query("ANALYZE copied_build").execute(&mut *conn).await?;
    let builds = sqlx::query(
        "INSERT INTO build (id, package_id, state, task_id, started, finished, epoch, version, release, repo_id,
                            last_complete, deps_resolved, \"real\", untagged, dependency_keys)
         SELECT copied.id, copied.package_id, state, task_id, started, finished, epoch, version, release, repo_id,
                last_complete, deps_resolved, \"real\", untagged, dependency_keys
           FROM copied_build AS copied JOIN build AS old ON old.id = copied.old_id
          ORDER BY copied.id",
    )
    .execute(&mut *conn)
    .await?;
    // Packages without a source package in Koji have no last builds, on purpose.
    for statement in [
        "UPDATE build SET last_complete = false FROM package
          WHERE package.id = build.package_id AND build.last_complete
            AND package.collection_id = $1 AND package.scheduler_skip_reason = 1",
        "UPDATE package
            SET last_build_id = NULL, last_build_started = NULL, last_complete_build_id = NULL,
                last_complete_build_state = NULL
          WHERE collection_id = $1 AND scheduler_skip_reason = 1 AND last_build_id IS NOT NULL",
    ] {
        sqlx::query(statement).bind(copy).execute(&mut *conn).await?;
    }
    Ok(builds.rows_affected())
}

async fn copy_what_hangs_on_them(conn: &mut PgConnection) -> Result<()> {
    for statement in [
        "INSERT INTO koji_task (build_id, task_id, arch, state, started, finished)
         SELECT copied.id, task_id, arch, state, started, finished
           FROM copied_build AS copied JOIN koji_task AS old ON old.build_id = copied.old_id
          ORDER BY copied.id, old.id",
        "CREATE TEMPORARY TABLE copied_resolution ON COMMIT DROP AS
         SELECT id AS old_id, nextval('resolution_change_id_seq')::integer AS id, package_id
           FROM (SELECT change.id, copied.id AS package_id
                   FROM copied_package AS copied
                   JOIN resolution_change AS change ON change.package_id = copied.old_id
                  ORDER BY change.id) AS old",
        "ANALYZE copied_resolution",
        "INSERT INTO resolution_change (id, resolved, \"timestamp\", package_id)
         SELECT copied.id, resolved, \"timestamp\", copied.package_id
           FROM copied_resolution AS copied JOIN resolution_change AS old ON old.id = copied.old_id
          ORDER BY copied.id",
        "INSERT INTO resolution_problem (resolution_id, problem)
         SELECT copied.id, problem
           FROM copied_resolution AS copied JOIN resolution_problem AS old ON old.resolution_id = copied.old_id
          ORDER BY copied.id, old.id",
        // The indexes by dependency are large. Some thousand builds at a time are sorted by it, so that neighbours in
        // the index are written together: half the time. The changes of one build still lie close together.
        "INSERT INTO applied_change (build_id, prev_dep_id, curr_dep_id, distance)
         SELECT copied.id, prev_dep_id, curr_dep_id, distance
           FROM copied_build AS copied JOIN applied_change AS old ON old.build_id = copied.old_id
          ORDER BY copied.id / 5000, coalesce(curr_dep_id, prev_dep_id), copied.id",
    ] {
        sqlx::query(statement).execute(&mut *conn).await?;
    }
    Ok(())
}
