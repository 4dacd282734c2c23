//! Lists of packages: one collection with details, several as a matrix of states.
//!
//! The order and the page are decided first, over narrow rows of `package` alone wherever the
//! order allows it; what a row shows beyond that is fetched for the rows of the page only.

use chrono::{DateTime, Utc};
use sqlx::{Postgres, QueryBuilder};

use super::Database;

/// Which packages a table is about.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum PackageSet {
    /// All packages.
    #[default]
    All,
    /// Members of the group with this id.
    Group(i32),
    /// Packages whose name is like this SQL pattern, upper and lower case alike.
    Like(String),
}

/// Narrowing of a table by state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Filter {
    /// Every package of the set.
    #[default]
    Any,
    /// Packages with this state.
    State(koschei_core::states::PackageState),
    /// Packages with a running build.
    Running,
}

/// Narrowing of a table by when the state began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Changed {
    /// Whenever that was.
    #[default]
    AnyTime,
    /// Then or later.
    Since(DateTime<Utc>),
    /// Before then.
    Before(DateTime<Utc>),
}

/// What a table is about: the set of packages, and how it is narrowed.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Scope {
    /// The packages.
    pub set: PackageSet,
    /// Untracked ones, too.
    pub untracked: bool,
    /// By state.
    pub filter: Filter,
    /// By when the state began.
    pub changed: Changed,
    /// Only what can be scheduled and has at least this current priority.
    pub priority: Option<f64>,
    /// Coefficients `(a, b)` of the time priority, for what is about the current priority.
    pub time: (f64, f64),
}

/// Column by which a table can be ordered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OrderKey {
    /// Name, by bytes.
    Name,
    /// Unresolved, then resolved, never resolved last; each with failed before complete.
    State,
    /// Running first.
    Running,
    /// Task of the last build, ascending.
    TaskId,
    /// Start of the last build, ascending.
    Started,
    /// When the state began, newest first; packages of which that is not known last, whatever the direction.
    Since,
    /// Current priority, highest first; packages without one last, whatever the direction.
    CurrentPriority,
    /// Several collections: failing or unresolved anywhere first.
    Failing,
    /// Several collections: by the state in the collection with this id.
    StateIn(i32),
}

/// One key of an order, with its direction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// The column.
    pub key: OrderKey,
    /// Opposite of the usual direction.
    pub reversed: bool,
}

/// A package in the table of one collection.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct ListedPackage {
    /// Package id.
    pub id: i32,
    /// Id of the package across collections.
    pub base_id: i32,
    /// Name.
    pub name: String,
    /// Whether Koschei tracks it.
    pub tracked: bool,
    /// Whether its dependencies can be installed.
    pub resolved: Option<bool>,
    /// Resolution is skipped on request.
    pub skip_resolution: bool,
    /// State number of the last complete build.
    pub last_complete_build_state: Option<i32>,
    /// Last build.
    pub last_build_id: Option<i32>,
    /// Last complete build.
    pub last_complete_build_id: Option<i32>,
    /// Koji task of the last build.
    pub task_id: Option<i32>,
    /// Start of the last build.
    pub started: Option<DateTime<Utc>>,
    /// Since when the package is in its state, as far as its history tells.
    pub since: Option<DateTime<Utc>>,
    /// A problem of its resolution, when unresolved.
    pub problem: Option<String>,
    /// How many problems its resolution has.
    pub problem_count: i64,
    /// Architectures on which the last complete build failed.
    pub failed_arches: Vec<String>,
    /// Priorities and the scheduler's veto.
    pub static_priority: i32,
    /// See `static_priority`.
    pub manual_priority: i32,
    /// See `static_priority`.
    pub build_priority: i32,
    /// See `static_priority`.
    pub dependency_priority: i32,
    /// See `static_priority`.
    pub scheduler_skip_reason: Option<i32>,
    /// Until when its next build waits, after builds that ended with trouble of Koji, or one that was cancelled.
    pub not_before: Option<DateTime<Utc>>,
    /// How many builds in a row ended with trouble of Koji.
    pub fault_streak: i32,
    /// Operators hold it, or have suspended builds of its collection.
    pub stopped: bool,
}

/// SQL for the state of a package alias `p`, for filters only; the state that people see is
/// computed by `koschei_core`.
pub(super) fn push_filter(sql: &mut QueryBuilder<Postgres>, filter: Filter) {
    use koschei_core::states::PackageState as State;
    sql.push(match filter {
        Filter::Any => "",
        Filter::Running => " AND p.last_build_id IS DISTINCT FROM p.last_complete_build_id",
        Filter::State(State::Blocked) => " AND p.blocked",
        Filter::State(State::Untracked) => " AND NOT p.tracked",
        Filter::State(State::Unresolved) => " AND p.tracked AND p.resolved IS FALSE",
        Filter::State(State::Ok) => {
            " AND p.tracked AND p.resolved IS NOT FALSE AND p.last_complete_build_state = 3"
        }
        Filter::State(State::Failing) => {
            " AND p.tracked AND p.resolved IS NOT FALSE AND p.last_complete_build_state = 5"
        }
        Filter::State(State::Unknown) => {
            " AND p.tracked AND p.resolved IS NOT FALSE AND p.last_complete_build_state IS NULL"
        }
    });
}

fn push_set(sql: &mut QueryBuilder<Postgres>, set: &PackageSet) {
    match set {
        PackageSet::All => {}
        PackageSet::Group(id) => {
            sql.push(
                " AND p.base_id IN (SELECT base_id FROM package_group_relation WHERE group_id = ",
            );
            sql.push_bind(*id);
            sql.push(")");
        }
        PackageSet::Like(pattern) => {
            // There are several times as many packages as names.
            sql.push(" AND p.base_id IN (SELECT id FROM base_package WHERE name ILIKE ");
            sql.push_bind(pattern.clone());
            sql.push(")");
        }
    }
}

/// Common condition of all tables: blocked packages are never listed, untracked ones on request.
fn push_scope(sql: &mut QueryBuilder<Postgres>, collections: &[i32], scope: &Scope) {
    sql.push(" WHERE p.collection_id = ANY(");
    sql.push_bind(collections.to_vec());
    sql.push(") AND NOT p.blocked");
    if !scope.untracked
        && scope.filter != Filter::State(koschei_core::states::PackageState::Untracked)
    {
        sql.push(" AND p.tracked");
    }
    push_narrowing(sql, scope);
    push_filter(sql, scope.filter);
}

/// What narrows a set whatever the state.
pub(super) fn push_narrowing(sql: &mut QueryBuilder<Postgres>, scope: &Scope) {
    push_set(sql, &scope.set);
    match scope.changed {
        Changed::AnyTime => {}
        Changed::Since(time) => {
            sql.push(" AND p.state_since >= ").push_bind(time.naive_utc());
        }
        Changed::Before(time) => {
            sql.push(" AND p.state_since < ").push_bind(time.naive_utc());
        }
    }
    if let Some(least) = scope.priority {
        sql.push(" AND ");
        push_current_priority(sql, scope.time);
        sql.push(" >= ").push_bind(least);
    }
}

/// One page of the packages of one collection.
///
/// `limit` rows from `offset`, in the order given; the last key is always the name, so that pages
/// do not overlap.
pub async fn package_list(
    db: impl Database<'_>,
    collection: i32,
    scope: &Scope,
    order: &[Order],
    limit: i64,
    offset: i64,
) -> crate::Result<Vec<ListedPackage>> {
    let needs_build = order.iter().any(|order| order.key == OrderKey::TaskId);
    let needs_collection = scope.priority.is_some()
        || order.iter().any(|order| order.key == OrderKey::CurrentPriority);
    let mut sql = QueryBuilder::new(
        "WITH listed AS (SELECT id, row_number() OVER () AS position FROM (SELECT p.id FROM package p",
    );
    if needs_build {
        sql.push(" LEFT JOIN build l ON l.id = p.last_build_id");
    }
    if needs_collection {
        sql.push(" JOIN collection c ON c.id = p.collection_id");
    }
    push_scope(&mut sql, &[collection], scope);
    sql.push(" ORDER BY ");
    for order in order {
        push_order(&mut sql, order, scope.time);
        sql.push(", ");
    }
    sql.push(r#"p.name COLLATE "C" LIMIT "#);
    sql.push_bind(limit);
    sql.push(" OFFSET ");
    sql.push_bind(offset);
    sql.push(
        r#") page)
        SELECT p.id, p.base_id, p.name, p.tracked, p.resolved, p.skip_resolution,
               p.last_complete_build_state, p.last_build_id, p.last_complete_build_id,
               l.task_id, l.started AT TIME ZONE 'UTC' AS started,
               p.state_since AT TIME ZONE 'UTC' AS since, why.problem,
               coalesce(why.problem_count, 0) AS problem_count,
               ARRAY(SELECT t.arch FROM koji_task t
                     WHERE t.build_id = p.last_complete_build_id AND t.state = 5
                       AND p.last_complete_build_state = 5 ORDER BY t.arch COLLATE "C") AS failed_arches,
               p.static_priority, p.manual_priority, p.build_priority, p.dependency_priority,
               p.scheduler_skip_reason, p.not_before AT TIME ZONE 'UTC' AS not_before, p.fault_streak,
               NOT ("#,
    );
    sql.push(super::GOING);
    sql.push(
        r#") AS stopped
        FROM listed
        JOIN package p ON p.id = listed.id
        LEFT JOIN build l ON l.id = p.last_build_id
        LEFT JOIN LATERAL (
            SELECT c.id, c.timestamp FROM resolution_change c
            WHERE c.package_id = p.id ORDER BY c.timestamp DESC LIMIT 1
        ) newest ON p.resolved IS FALSE
        LEFT JOIN LATERAL (
            SELECT min(r.problem COLLATE "C") AS problem, count(*) AS problem_count
            FROM resolution_problem r WHERE r.resolution_id = newest.id
        ) why ON p.resolved IS FALSE
        ORDER BY listed.position"#,
    );
    sql.build_query_as().fetch_all(db).await.map_err(Into::into)
}

/// SQL for the current priority of package `p` of collection `c`; null for one that cannot be scheduled.
fn push_current_priority(sql: &mut QueryBuilder<Postgres>, (a, b): (f64, f64)) {
    sql.push(
        "CASE WHEN p.tracked AND p.last_build_id = p.last_complete_build_id
            AND c.latest_repo_resolved AND p.scheduler_skip_reason IS NULL
            AND (p.not_before IS NULL OR p.not_before <= clock_timestamp() AT TIME ZONE 'UTC')
            AND (p.resolved OR (p.resolved IS NULL AND p.skip_resolution)) AND ",
    );
    sql.push(super::GOING);
    sql.push(
        " THEN p.manual_priority::float8 + p.static_priority + c.priority_coefficient
            * (p.dependency_priority::float8 + p.build_priority + greatest(-30::float8, ",
    );
    sql.push_bind(a);
    sql.push(
        " * log(greatest(1e-6::float8, extract(epoch FROM now() AT TIME ZONE 'UTC'
            - p.last_build_started)::float8 / 3600)) + ",
    );
    sql.push_bind(b);
    sql.push(")) END");
}

fn push_order(sql: &mut QueryBuilder<Postgres>, order: &Order, time: (f64, f64)) {
    let up = if order.reversed { "DESC" } else { "ASC" };
    let down = if order.reversed { "ASC" } else { "DESC" };
    match order.key {
        OrderKey::Name => {
            sql.push(format!(r#"p.name COLLATE "C" {up}"#));
        }
        OrderKey::State => {
            let (resolved, built) = if order.reversed {
                ("DESC NULLS FIRST", "ASC NULLS FIRST")
            } else {
                ("ASC NULLS LAST", "DESC NULLS LAST")
            };
            sql.push(format!("p.resolved {resolved}, p.last_complete_build_state {built}"));
        }
        OrderKey::Running => {
            sql.push(format!("(p.last_build_id IS DISTINCT FROM p.last_complete_build_id) {down}"));
        }
        OrderKey::TaskId => {
            sql.push(format!("l.task_id {up}"));
        }
        OrderKey::Started => {
            sql.push(format!("p.last_build_started {up}"));
        }
        OrderKey::CurrentPriority => {
            push_current_priority(sql, time);
            sql.push(format!(" {down} NULLS LAST"));
        }
        OrderKey::Since => {
            sql.push(format!("p.state_since {down} NULLS LAST"));
        }
        // Keys of the other table; a reader who asks for them here gets the rest of the order.
        OrderKey::Failing | OrderKey::StateIn(_) => {
            sql.push("NULL::int");
        }
    }
}

/// How many packages a table has: of one collection, or distinct names of several.
pub async fn package_total(
    db: impl Database<'_>,
    collections: &[i32],
    scope: &Scope,
) -> crate::Result<i64> {
    let mut sql = QueryBuilder::new(if collections.len() == 1 {
        "SELECT count(*) FROM package p"
    } else {
        "SELECT count(DISTINCT p.base_id) FROM package p"
    });
    if scope.priority.is_some() {
        sql.push(" JOIN collection c ON c.id = p.collection_id");
    }
    push_scope(&mut sql, collections, scope);
    sql.build_query_scalar().fetch_one(db).await.map_err(Into::into)
}

/// State of a package in one collection, a cell of the matrix.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct MatrixCell {
    /// Id of the package across collections.
    pub base_id: i32,
    /// Collection.
    pub collection_id: i32,
    /// Whether Koji blocks it there.
    pub blocked: bool,
    /// Whether Koschei tracks it there.
    pub tracked: bool,
    /// Whether its dependencies can be installed.
    pub resolved: Option<bool>,
    /// State number of the last complete build.
    pub last_complete_build_state: Option<i32>,
    /// Whether a build is running.
    pub running: bool,
}

/// A package in the table of several collections.
#[derive(Debug, Clone)]
pub struct MatrixRow {
    /// Id of the package across collections.
    pub base_id: i32,
    /// Name.
    pub name: String,
    /// Its states, in no particular order; blocked ones are left out.
    pub cells: Vec<MatrixCell>,
}

/// One page of the packages of several collections, and how many there are on all pages; a page past the end has no
/// rows and does not know.
pub async fn matrix(
    pool: &crate::Pool,
    collections: &[i32],
    scope: &Scope,
    order: &[Order],
    limit: i64,
    offset: i64,
) -> crate::Result<(Vec<MatrixRow>, i64)> {
    let mut sql =
        QueryBuilder::new("SELECT p.base_id, p.name, count(*) OVER () AS total FROM package p");
    if scope.priority.is_some() {
        sql.push(" JOIN collection c ON c.id = p.collection_id");
    }
    push_scope(&mut sql, collections, scope);
    sql.push(" GROUP BY p.base_id, p.name ORDER BY ");
    for order in order {
        let (up, down) = if order.reversed { ("DESC", "ASC") } else { ("ASC", "DESC") };
        match order.key {
            OrderKey::Name => sql.push(format!(r#"p.name COLLATE "C" {up}, "#)),
            OrderKey::Running => sql.push(format!(
                "bool_or(p.last_build_id IS DISTINCT FROM p.last_complete_build_id) {down}, "
            )),
            OrderKey::Failing => sql.push(format!(
                "bool_or(p.tracked AND (p.resolved IS FALSE
                    OR coalesce(p.last_complete_build_state = 5, false))) {down}, "
            )),
            OrderKey::StateIn(id) => {
                let (resolved, built) = if order.reversed {
                    ("DESC NULLS FIRST", "ASC NULLS FIRST")
                } else {
                    ("ASC NULLS LAST", "DESC NULLS LAST")
                };
                sql.push(format!(
                    "bool_or(p.resolved) FILTER (WHERE p.collection_id = {id}) {resolved},
                     max(p.last_complete_build_state) FILTER (WHERE p.collection_id = {id}) {built}, "
                ))
            }
            OrderKey::Since => sql.push(format!("max(p.state_since) {down} NULLS LAST, ")),
            OrderKey::State | OrderKey::TaskId | OrderKey::Started | OrderKey::CurrentPriority => {
                &mut sql
            }
        };
    }
    sql.push(r#"p.name COLLATE "C" LIMIT "#);
    sql.push_bind(limit);
    sql.push(" OFFSET ");
    sql.push_bind(offset);
    let names: Vec<(i32, String, i64)> = sql.build_query_as().fetch_all(pool).await?;

    let total = names.first().map_or(0, |(_, _, total)| *total);
    let bases: Vec<i32> = names.iter().map(|(id, ..)| *id).collect();
    let cells = cells(pool, &bases, collections).await?;
    let mut rows: Vec<MatrixRow> = names
        .into_iter()
        .map(|(base_id, name, _)| MatrixRow { base_id, name, cells: Vec::new() })
        .collect();
    let positions: std::collections::HashMap<i32, usize> =
        rows.iter().enumerate().map(|(position, row)| (row.base_id, position)).collect();
    for cell in cells {
        if let Some(row) = positions.get(&cell.base_id).and_then(|at| rows.get_mut(*at)) {
            row.cells.push(cell);
        }
    }
    Ok((rows, total))
}

/// States of packages in collections; cells of blocked packages are left out.
async fn cells(
    db: impl Database<'_>,
    bases: &[i32],
    collections: &[i32],
) -> crate::Result<Vec<MatrixCell>> {
    sqlx::query_as(
        "SELECT base_id, collection_id, blocked, tracked, resolved, last_complete_build_state,
                last_build_id IS DISTINCT FROM last_complete_build_id AS running
         FROM package
         WHERE base_id = ANY($1) AND collection_id = ANY($2) AND NOT blocked",
    )
    .bind(bases)
    .bind(collections)
    .fetch_all(db)
    .await
    .map_err(Into::into)
}

/// A group that a package belongs to.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct GroupName {
    /// The package across collections.
    pub base_id: i32,
    /// User whose group it is; `None` for a global group.
    pub namespace: Option<String>,
    /// Name.
    pub name: String,
}

/// The global groups of packages, by package and name.
pub async fn package_groups(db: impl Database<'_>, bases: &[i32]) -> crate::Result<Vec<GroupName>> {
    sqlx::query_as(
        r#"SELECT r.base_id, g.namespace, g.name
         FROM package_group_relation r JOIN package_group g ON g.id = r.group_id
         WHERE r.base_id = ANY($1) AND g.namespace IS NULL
         ORDER BY r.base_id, g.name COLLATE "C""#,
    )
    .bind(bases)
    .fetch_all(db)
    .await
    .map_err(Into::into)
}
