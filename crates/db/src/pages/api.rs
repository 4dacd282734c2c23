//! What programs read: the list of packages and the difference of two collections.

use koschei_core::states::PackageState;
use sqlx::QueryBuilder;

use super::Database;
use super::packages::{Filter, push_filter};

/// A package as the API tells it.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct ApiPackage {
    /// Name.
    pub name: String,
    /// Collection.
    pub collection: String,
    /// Blocked in Koji.
    pub blocked: bool,
    /// Tracked by Koschei.
    pub tracked: bool,
    /// Whether its dependencies can be installed.
    pub resolved: Option<bool>,
    /// State number of the last complete build.
    pub last_complete_build_state: Option<i32>,
    /// The last complete build.
    #[sqlx(flatten)]
    pub last_complete_build: ApiBuild,
}

/// A build as the API tells it; everything is `None` when there is no build.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct ApiBuild {
    /// Koji task.
    pub task_id: Option<i32>,
    /// Start, in PostgreSQL's JSON form of a timestamp without zone.
    pub time_started: Option<chrono::NaiveDateTime>,
    /// End, likewise.
    pub time_finished: Option<chrono::NaiveDateTime>,
    /// Epoch.
    pub epoch: Option<i32>,
    /// Version.
    pub version: Option<String>,
    /// Release.
    pub release: Option<String>,
}

/// All packages, blocked and untracked ones too, ordered by the bytes of their names; of these
/// collections and with these names only, when given.
pub async fn api_packages(
    db: impl Database<'_>,
    collections: Option<&[i32]>,
    names: Option<&[String]>,
) -> crate::Result<Vec<ApiPackage>> {
    sqlx::query_as(
        r#"SELECT p.name, c.name AS collection, p.blocked, p.tracked, p.resolved,
                  p.last_complete_build_state, b.task_id, b.started AS time_started,
                  b.finished AS time_finished, b.epoch, b.version, b.release
           FROM package p
           JOIN collection c ON c.id = p.collection_id
           LEFT JOIN build b ON b.id = p.last_complete_build_id
           WHERE ($1::int[] IS NULL OR p.collection_id = ANY($1))
             AND ($2::varchar[] IS NULL OR p.name = ANY($2))
           ORDER BY p.name COLLATE "C", c."order" DESC, c.name COLLATE "C" DESC"#,
    )
    .bind(collections)
    .bind(names)
    .fetch_all(db)
    .await
    .map_err(Into::into)
}

/// Which packages a program wants, and which part of the list.
#[derive(Debug, Clone, Copy, Default)]
pub struct ApiPart<'a> {
    /// Of these collections only.
    pub collections: Option<&'a [i32]>,
    /// With these names only.
    pub names: Option<&'a [String]>,
    /// In this state only.
    pub state: Option<PackageState>,
    /// Members of the group with this id only.
    pub group: Option<i32>,
    /// Behind this name in these collections, and behind it in all.
    pub after: Option<(&'a str, &'a [i32])>,
    /// At most so many.
    pub limit: Option<i64>,
}

/// A part of what [`api_packages`] gives, in the same order.
pub async fn api_packages_part(
    db: impl Database<'_>,
    part: &ApiPart<'_>,
) -> crate::Result<Vec<ApiPackage>> {
    let mut sql = QueryBuilder::new(
        "SELECT p.name, c.name AS collection, p.blocked, p.tracked, p.resolved,
                p.last_complete_build_state, b.task_id, b.started AS time_started,
                b.finished AS time_finished, b.epoch, b.version, b.release
         FROM package p
         JOIN collection c ON c.id = p.collection_id
         LEFT JOIN build b ON b.id = p.last_complete_build_id WHERE true",
    );
    if let Some(collections) = part.collections {
        sql.push(" AND p.collection_id = ANY(").push_bind(collections.to_vec()).push(")");
    }
    if let Some(names) = part.names {
        sql.push(" AND p.name = ANY(").push_bind(names.to_vec()).push(")");
    }
    if let Some(state) = part.state {
        if state != PackageState::Blocked {
            sql.push(" AND NOT p.blocked");
        }
        push_filter(&mut sql, Filter::State(state));
    }
    if let Some(group) = part.group {
        sql.push(" AND p.base_id IN (SELECT base_id FROM package_group_relation WHERE group_id = ")
            .push_bind(group)
            .push(")");
    }
    if let Some((name, collections)) = part.after {
        sql.push(" AND (p.name COLLATE \"C\" > ")
            .push_bind(name.to_owned())
            .push(" OR p.name = ")
            .push_bind(name.to_owned())
            .push(" AND p.collection_id = ANY(")
            .push_bind(collections.to_vec())
            .push("))");
    }
    sql.push(r#" ORDER BY p.name COLLATE "C", c."order" DESC, c.name COLLATE "C" DESC LIMIT "#)
        .push_bind(part.limit);
    sql.build_query_as().fetch_all(db).await.map_err(Into::into)
}

/// A package that is in both collections.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct ApiDifference {
    /// Name.
    pub name: String,
    /// Columns of the state in the first collection.
    pub blocked_a: bool,
    /// See `blocked_a`.
    pub tracked_a: bool,
    /// See `blocked_a`.
    pub resolved_a: Option<bool>,
    /// See `blocked_a`.
    pub built_a: Option<i32>,
    /// Columns of the state in the second collection.
    pub blocked_b: bool,
    /// See `blocked_b`.
    pub tracked_b: bool,
    /// See `blocked_b`.
    pub resolved_b: Option<bool>,
    /// See `blocked_b`.
    pub built_b: Option<i32>,
}

/// Packages of both collections of which some column of the state differs, by name. Their state
/// may still be the same word.
pub async fn api_difference(
    db: impl Database<'_>,
    a: i32,
    b: i32,
) -> crate::Result<Vec<ApiDifference>> {
    sqlx::query_as(
        r#"SELECT a.name, a.blocked AS blocked_a, a.tracked AS tracked_a,
                  a.resolved AS resolved_a, a.last_complete_build_state AS built_a,
                  b.blocked AS blocked_b, b.tracked AS tracked_b,
                  b.resolved AS resolved_b, b.last_complete_build_state AS built_b
           FROM package a JOIN package b ON b.base_id = a.base_id AND b.collection_id = $2
           WHERE a.collection_id = $1
             AND (a.blocked, a.tracked, a.resolved, a.last_complete_build_state)
                 IS DISTINCT FROM (b.blocked, b.tracked, b.resolved, b.last_complete_build_state)
           ORDER BY a.name COLLATE "C""#,
    )
    .bind(a)
    .bind(b)
    .fetch_all(db)
    .await
    .map_err(Into::into)
}
