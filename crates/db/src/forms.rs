//! What people change through the forms of the web interface: packages and running builds. Groups of packages are changed
//! by the same functions as with `koschei-admin`.
//!
//! As in [`crate::administration`], each function is one transaction that does all of it, with entries in the audit log, or
//! nothing. Who may do what is decided by the caller, before. Spec: spec/web.md, "Pages for changing".

use koschei_core::scheduling::PAUSE_AFTER_CANCEL;
use sqlx::{Connection as _, postgres::PgConnection};

use crate::administration::{Actor, Error, Result, log_packages, track};
use crate::entities::{self, GroupName, Package};
use crate::packages;
use crate::wake::{Sleeper, wake};

/// What is to change of a package; `None` leaves a thing as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PackageEdit {
    /// Whether Koschei takes care of it.
    pub tracked: Option<bool>,
    /// The priority that people set.
    pub manual_priority: Option<i32>,
    /// The priority that administrators set.
    pub static_priority: Option<i32>,
    /// Architectures as they are stored; the inner `None` is no limitation.
    pub arch_override: Option<Option<String>>,
    /// Whether its dependencies are not to be resolved.
    pub skip_resolution: Option<bool>,
    /// Groups, by id, with whether it is to be a member.
    pub groups: Vec<(i32, bool)>,
}

/// Changes a package of a collection. Gives what really changed, each as the audit log has it; nothing when the package is
/// gone.
///
/// # Errors
/// When the database cannot be changed.
pub async fn edit_package(
    conn: &mut PgConnection,
    actor: &Actor,
    package_id: i32,
    edit: &PackageEdit,
) -> Result<Vec<String>> {
    let mut transaction = conn.begin().await?;
    let locked = packages::lock(&mut transaction, &[package_id]).await?;
    let Some(old) = entities::package(&mut *transaction, package_id).await? else {
        return Ok(Vec::new());
    };
    let collection = entities::collection(&mut *transaction, old.collection_id).await?;
    let collection = collection.map(|collection| collection.name).unwrap_or_default();
    let differs = |new: Option<bool>, old: bool| new.filter(|new| *new != old);
    let tracked = differs(edit.tracked, old.tracked);
    let skipped = differs(edit.skip_resolution, old.skip_resolution);
    let manual = edit.manual_priority.filter(|new| *new != old.manual_priority);
    let fixed = edit.static_priority.filter(|new| *new != old.static_priority);
    let arches = edit.arch_override.as_ref().filter(|new| **new != old.arch_override);
    // What was found out by resolving counts no longer when nothing is to be resolved. Who raises the manual priority wants
    // a build in spite of one that was cancelled.
    sqlx::query(
        "UPDATE package SET tracked = $2, skip_resolution = $3, manual_priority = $4, static_priority = $5,
                not_before = CASE WHEN $4 <= manual_priority OR fault_streak > 0 THEN not_before END,
                arch_override = $6, resolved = CASE WHEN NOT $3 THEN resolved END,
                dependency_priority = CASE WHEN $3 THEN 0 ELSE dependency_priority END
         WHERE id = $1",
    )
    .bind(package_id)
    .bind(tracked.unwrap_or(old.tracked))
    .bind(skipped.unwrap_or(old.skip_resolution))
    .bind(manual.unwrap_or(old.manual_priority))
    .bind(fixed.unwrap_or(old.static_priority))
    .bind(arches.unwrap_or(&old.arch_override))
    .execute(&mut *transaction)
    .await?;
    if skipped == Some(true) {
        sqlx::query("DELETE FROM unapplied_change WHERE package_id = $1")
            .bind(package_id)
            .execute(&mut *transaction)
            .await?;
    }
    locked.announce(&mut transaction).await?;

    let mut said = Vec::new();
    if let Some(tracked) = tracked {
        said.push(if tracked { "tracked" } else { "untracked" }.to_owned());
    }
    if let Some(value) = manual {
        said.push(format!("manual priority set to {value}"));
    }
    if let Some(value) = fixed {
        said.push(format!("static priority set to {value}"));
    }
    if let Some(arches) = arches {
        said.push(match arches {
            Some(arches) => format!("architectures set to {arches}"),
            None => "architectures no longer set".to_owned(),
        });
    }
    if let Some(skipped) = skipped {
        let word = if skipped { "no longer resolved" } else { "resolved again" };
        said.push(format!("dependencies {word}"));
    }
    let mut said: Vec<String> = said
        .into_iter()
        .map(|what| format!("Package {} ({collection}): {what}", old.name))
        .collect();
    for (group, member) in &edit.groups {
        said.extend(set_membership(&mut transaction, *group, &old, *member).await?);
    }
    for message in &said {
        log_packages(&mut transaction, actor, [&old], |_| message.clone()).await?;
    }
    if tracked == Some(true) || skipped == Some(false) {
        wake(&mut transaction, Sleeper::RepoResolver).await?;
    }
    if manual.is_some() || fixed.is_some() {
        wake(&mut transaction, Sleeper::Scheduler).await?;
    }
    transaction.commit().await?;
    Ok(said)
}

/// Puts a package into a group, or takes it out. What the audit log has to say of it, if anything changed.
async fn set_membership(
    conn: &mut PgConnection,
    group_id: i32,
    package: &Package,
    member: bool,
) -> Result<Option<String>> {
    let statement = if member {
        "INSERT INTO package_group_relation (group_id, base_id)
         SELECT id, $2 FROM package_group WHERE id = $1 ON CONFLICT DO NOTHING"
    } else {
        "DELETE FROM package_group_relation WHERE group_id = $1 AND base_id = $2"
    };
    let done =
        sqlx::query(statement).bind(group_id).bind(package.base_id).execute(&mut *conn).await?;
    if done.rows_affected() == 0 {
        return Ok(None);
    }
    let word = if member { "added" } else { "removed" };
    let group = group_name(conn, group_id).await?;
    Ok(Some(format!("Group {group} modified: package {} {word}", package.name)))
}

/// The name of a group, for the audit log.
async fn group_name(conn: &mut PgConnection, id: i32) -> Result<String> {
    let row: Option<(Option<String>, String)> =
        sqlx::query_as("SELECT namespace, name FROM package_group WHERE id = $1")
            .bind(id)
            .fetch_optional(conn)
            .await?;
    Ok(row.map(|(namespace, name)| GroupName { namespace, name }.to_string()).unwrap_or_default())
}

/// Tracks packages of a collection and, if a group is given by its id, puts all of them into it. The names of those that
/// were not tracked before.
///
/// # Errors
/// When a name is no package of the collection; then nothing is changed.
pub async fn add_packages(
    conn: &mut PgConnection,
    actor: &Actor,
    collection: &str,
    names: &[String],
    group: Option<i32>,
) -> Result<Vec<String>> {
    let mut transaction = conn.begin().await?;
    // A transaction of its own inside ours.
    let tracked = track(&mut transaction, actor, collection, names).await?;
    if let Some(group_id) = group {
        let known = entities::collection_by_name(&mut *transaction, collection).await?;
        let known = known.ok_or_else(|| Error::NoCollection(collection.to_owned()))?;
        let found = entities::packages_by_name(&mut *transaction, known.id, names).await?;
        let added: Vec<i32> = sqlx::query_scalar(
            "INSERT INTO package_group_relation (group_id, base_id)
             SELECT g.id, new.id FROM package_group g, unnest($2::integer[]) AS new(id) WHERE g.id = $1
             ON CONFLICT DO NOTHING RETURNING base_id",
        )
        .bind(group_id)
        .bind(found.iter().map(|package| package.base_id).collect::<Vec<_>>())
        .fetch_all(&mut *transaction)
        .await?;
        let group = group_name(&mut transaction, group_id).await?;
        let added = found.iter().filter(|package| added.contains(&package.base_id));
        log_packages(&mut transaction, actor, added, |name| {
            format!("Group {group} modified: package {name} added")
        })
        .await?;
    }
    transaction.commit().await?;
    Ok(tracked)
}

/// Asks for the cancellation of a running build, which polling does. Whether it is running and nobody had asked before.
///
/// Whatever was asked for by hand before is over with it, and the next build waits ([`PAUSE_AFTER_CANCEL`]): the package is as
/// urgent as before, and would be submitted again at once.
///
/// # Errors
/// When the database cannot be changed.
pub async fn cancel_build(conn: &mut PgConnection, actor: &Actor, build_id: i32) -> Result<bool> {
    let mut transaction = conn.begin().await?;
    let found: Option<(i32, i32)> = sqlx::query_as(
        "UPDATE build SET cancel_requested = true WHERE id = $1 AND state = 2 AND NOT cancel_requested
         RETURNING task_id, package_id",
    )
    .bind(build_id)
    .fetch_optional(&mut *transaction)
    .await?;
    let Some((task_id, package_id)) = found else {
        return Ok(false);
    };
    sqlx::query(
        "UPDATE package SET manual_priority = 0, fault_streak = 0,
                not_before = clock_timestamp() AT TIME ZONE 'UTC' + make_interval(secs => $2)
         WHERE id = $1",
    )
    .bind(package_id)
    .bind(PAUSE_AFTER_CANCEL.as_secs_f64())
    .execute(&mut *transaction)
    .await?;
    if let Some(package) = entities::package(&mut *transaction, package_id).await? {
        log_packages(&mut transaction, actor, [&package], |name| {
            format!("Build {build_id} (task {task_id}) of {name}: cancellation requested")
        })
        .await?;
    }
    wake(&mut transaction, Sleeper::Polling).await?;
    transaction.commit().await?;
    Ok(true)
}
