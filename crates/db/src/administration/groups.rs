//! Groups of packages.

use std::collections::BTreeSet;

use sqlx::Connection as _;
use sqlx::postgres::PgConnection;

use super::{Actor, Error, Result, log, missing};
use crate::entities::{self, Group, GroupName};
use crate::packages;
use crate::wake::{Sleeper, wake};

/// Adds a group of packages, global or in a namespace, with the people who may edit it.
///
/// # Errors
/// When it exists, or a name is no package; then nothing is changed.
pub async fn add_group(
    conn: &mut PgConnection,
    actor: &Actor,
    namespace: Option<&str>,
    name: &str,
    package_names: &[String],
    maintainers: &[String],
) -> Result<()> {
    let mut transaction = conn.begin().await?;
    let group = GroupName { namespace: namespace.map(str::to_owned), name: name.to_owned() };
    let id = entities::create_group(&mut *transaction, &group)
        .await?
        .ok_or_else(|| Error::GroupExists(group.to_string()))?;
    let missing = entities::set_group_packages(&mut transaction, id, package_names).await?;
    if !missing.is_empty() {
        return Err(Error::NoPackages { names: missing, collection: None });
    }
    entities::set_group_owners(&mut transaction, id, maintainers).await?;
    log(&mut transaction, actor, &format!("Group {group} created")).await?;
    transaction.commit().await?;
    Ok(())
}

/// What a group is to consist of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// Exactly these packages.
    Exactly(Vec<String>),
    /// Those that it has and these.
    And(Vec<String>),
}

/// What is to be different about a group; `None` leaves it as it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GroupChanges {
    /// The name in its namespace.
    pub name: Option<String>,
    /// The namespace; `Some(None)` makes it a global group.
    pub namespace: Option<Option<String>>,
    /// Its packages.
    pub content: Option<Content>,
    /// The people who may edit it: exactly these.
    pub owners: Option<Vec<String>>,
}

/// What is different about a group now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupEdited {
    /// What it is called now.
    pub name: GroupName,
    /// Packages that came to it.
    pub added: Vec<String>,
    /// Packages that left it.
    pub removed: Vec<String>,
    /// Whether anything is different, its name and its owners included.
    pub is_different: bool,
}

/// Adds a group with these packages.
///
/// # Errors
/// When it exists, or a name is no package; then nothing is changed.
pub async fn create_group(
    conn: &mut PgConnection,
    actor: &Actor,
    group: &GroupName,
    package_names: &[String],
) -> Result<()> {
    add_group(conn, actor, group.namespace.as_deref(), &group.name, package_names, &[]).await
}

/// Changes a group: by `koschei-admin`, or by its owners with a browser. Who may do that is decided by the caller, before.
///
/// # Errors
/// When there is none of that name, its new name is taken, or a name is no package; then nothing is changed.
pub async fn edit_group(
    conn: &mut PgConnection,
    actor: &Actor,
    name: &GroupName,
    changes: &GroupChanges,
) -> Result<GroupEdited> {
    let mut transaction = conn.begin().await?;
    let group = locked(&mut transaction, name).await?;
    let new_name = GroupName {
        namespace: changes.namespace.clone().unwrap_or_else(|| name.namespace.clone()),
        name: changes.name.clone().unwrap_or_else(|| name.name.clone()),
    };
    if new_name != *name {
        if entities::group(&mut *transaction, &new_name).await?.is_some() {
            return Err(Error::GroupExists(new_name.to_string()));
        }
        sqlx::query("UPDATE package_group SET namespace = $2, name = $3 WHERE id = $1")
            .bind(group.id)
            .bind(&new_name.namespace)
            .bind(&new_name.name)
            .execute(&mut *transaction)
            .await
            .map_err(crate::Error::from)
            .map_err(|error| match error.violated_constraint() {
                // Somebody else took the name a moment ago.
                Some(_) => Error::GroupExists(new_name.to_string()),
                None => Error::Database(error),
            })?;
        log(&mut transaction, actor, &format!("Group {name} is called {new_name} now")).await?;
    }
    let (added, removed) = match &changes.content {
        Some(content) => set_content(&mut transaction, actor, group.id, &new_name, content).await?,
        None => (Vec::new(), Vec::new()),
    };
    let are_other_people = match &changes.owners {
        Some(owners) => set_owners(&mut transaction, actor, group.id, &new_name, owners).await?,
        None => false,
    };
    transaction.commit().await?;
    let is_different =
        new_name != *name || are_other_people || !added.is_empty() || !removed.is_empty();
    Ok(GroupEdited { name: new_name, added, removed, is_different })
}

/// Deletes a group; its packages stay.
///
/// # Errors
/// When there is none of that name.
pub async fn delete_group(conn: &mut PgConnection, actor: &Actor, name: &GroupName) -> Result<()> {
    let mut transaction = conn.begin().await?;
    let group = locked(&mut transaction, name).await?;
    sqlx::query("DELETE FROM package_group WHERE id = $1")
        .bind(group.id)
        .execute(&mut *transaction)
        .await?;
    log(&mut transaction, actor, &format!("Group {name} deleted")).await?;
    transaction.commit().await?;
    Ok(())
}

/// Tracks the packages of a group in all collections; names of package and collection for each that was not tracked.
///
/// # Errors
/// When there is no such group.
pub async fn track_group(
    conn: &mut PgConnection,
    actor: &Actor,
    name: &GroupName,
) -> Result<Vec<(String, String)>> {
    let mut transaction = conn.begin().await?;
    let group = locked(&mut transaction, name).await?;
    let untracked: Vec<(i32, i32, String, String)> = sqlx::query_as(
        "SELECT package.id, package.base_id, package.name, collection.name
           FROM package
           JOIN package_group_relation AS member ON member.base_id = package.base_id
           JOIN collection ON collection.id = package.collection_id
          WHERE member.group_id = $1 AND NOT package.tracked
          ORDER BY package.name COLLATE \"C\", collection.name COLLATE \"C\"",
    )
    .bind(group.id)
    .fetch_all(&mut *transaction)
    .await?;
    let ids: Vec<i32> = untracked.iter().map(|(id, ..)| *id).collect();
    let locked = packages::lock(&mut transaction, &ids).await?;
    sqlx::query("UPDATE package SET tracked = true WHERE id = ANY($1)")
        .bind(&ids)
        .execute(&mut *transaction)
        .await?;
    locked.announce(&mut transaction).await?;
    let entries: Vec<(String, i32)> = untracked
        .iter()
        .map(|(_, base_id, name, collection)| {
            (format!("Package {name} ({collection}): tracked"), *base_id)
        })
        .collect();
    log_about_packages(&mut transaction, actor, &entries).await?;
    wake(&mut transaction, Sleeper::RepoResolver).await?;
    transaction.commit().await?;
    Ok(untracked.into_iter().map(|(_, _, name, collection)| (name, collection)).collect())
}

/// Those of these names in which an extended regular expression matches somewhere, as `egrep` does it.
///
/// # Errors
/// When it is none.
pub async fn names_that_match(
    conn: &mut PgConnection,
    names: &[String],
    pattern: &str,
) -> Result<Vec<String>> {
    let matching = sqlx::query_scalar(
        "SELECT DISTINCT name COLLATE \"C\" FROM unnest($1::text[]) AS entry(name)
          WHERE name ~ $2 ORDER BY 1",
    )
    .bind(names)
    .bind(pattern)
    .fetch_all(conn)
    .await;
    matching.map_err(|error| match error {
        // invalid_regular_expression
        sqlx::Error::Database(reason) if reason.code().as_deref() == Some("2201B") => {
            Error::Pattern { pattern: pattern.to_owned(), reason: reason.message().to_owned() }
        }
        other => other.into(),
    })
}

/// The group of this name, which nobody else changes until the end of the transaction.
async fn locked(conn: &mut PgConnection, name: &GroupName) -> Result<Group> {
    let no_group = || Error::NoGroup(name.to_string());
    let group = entities::group(&mut *conn, name).await?.ok_or_else(no_group)?;
    let there: Option<i32> =
        sqlx::query_scalar("SELECT id FROM package_group WHERE id = $1 FOR UPDATE")
            .bind(group.id)
            .fetch_optional(conn)
            .await?;
    there.map(|_| group).ok_or_else(no_group)
}

/// Gives a group its packages; names of those that came and of those that left.
async fn set_content(
    conn: &mut PgConnection,
    actor: &Actor,
    group_id: i32,
    group: &GroupName,
    content: &Content,
) -> Result<(Vec<String>, Vec<String>)> {
    let (Content::Exactly(names) | Content::And(names)) = content;
    let wanted = entities::base_packages(&mut *conn, names).await?;
    let missing = missing(names, wanted.iter().map(|package| package.name.as_str()));
    if !missing.is_empty() {
        return Err(Error::NoPackages { names: missing, collection: None });
    }
    let wanted: Vec<i32> = wanted.into_iter().map(|package| package.id).collect();
    let added: Vec<(i32, String)> = sqlx::query_as(
        "WITH new AS (
            INSERT INTO package_group_relation (group_id, base_id)
            SELECT $1, id FROM unnest($2::integer[]) AS wanted(id) ORDER BY id
            ON CONFLICT DO NOTHING RETURNING base_id)
         SELECT id, name FROM new JOIN base_package ON id = base_id ORDER BY name COLLATE \"C\"",
    )
    .bind(group_id)
    .bind(&wanted)
    .fetch_all(&mut *conn)
    .await?;
    let removed: Vec<(i32, String)> = match content {
        Content::And(_) => Vec::new(),
        Content::Exactly(_) => {
            sqlx::query_as(
                "WITH gone AS (
                    DELETE FROM package_group_relation WHERE group_id = $1 AND base_id <> ALL($2)
                    RETURNING base_id)
                 SELECT id, name FROM gone JOIN base_package ON id = base_id ORDER BY name COLLATE \"C\"",
            )
            .bind(group_id)
            .bind(&wanted)
            .fetch_all(&mut *conn)
            .await?
        }
    };
    let mut entries = Vec::new();
    for (packages, what) in [(&added, "added"), (&removed, "removed")] {
        entries.extend(
            packages
                .iter()
                .map(|(id, name)| (format!("Group {group} modified: package {name} {what}"), *id)),
        );
    }
    log_about_packages(conn, actor, &entries).await?;
    let names = |packages: Vec<(i32, String)>| packages.into_iter().map(|(_, name)| name).collect();
    Ok((names(added), names(removed)))
}

/// Makes these people, and nobody else, the owners of a group. Whether they were others.
async fn set_owners(
    conn: &mut PgConnection,
    actor: &Actor,
    group_id: i32,
    group: &GroupName,
    owners: &[String],
) -> Result<bool> {
    let wanted: BTreeSet<&str> = owners.iter().map(String::as_str).collect();
    let people = entities::group_owners(&mut *conn, group_id).await?;
    if people.iter().map(String::as_str).collect::<BTreeSet<_>>() == wanted {
        return Ok(false);
    }
    entities::set_group_owners(conn, group_id, owners).await?;
    let wanted: Vec<&str> = wanted.into_iter().collect();
    let message = format!("Group {group} modified: owners set to {}", wanted.join(", "));
    log(conn, actor, &message).await?;
    Ok(true)
}

async fn log_about_packages(
    conn: &mut PgConnection,
    actor: &Actor,
    entries: &[(String, i32)],
) -> Result<()> {
    if entries.is_empty() {
        return Ok(());
    }
    let user = entities::ensure_user(conn, &actor.name).await?;
    Ok(entities::log_all(conn, Some(user.id), actor.environment, entries).await?)
}
