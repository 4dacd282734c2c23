//! The page of one package: where it stands, since when, why, and its history.

use chrono::{DateTime, Utc};

use super::Database;

/// A package in one collection.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct PackageRow {
    /// Row id.
    pub id: i32,
    /// Id across collections.
    pub base_id: i32,
    /// Name.
    pub name: String,
    /// Collection.
    pub collection_id: i32,
    /// Architectures set by hand.
    pub arch_override: Option<String>,
    /// Dependencies are not resolved, on request.
    pub skip_resolution: bool,
    /// Whether its dependencies can be installed.
    pub resolved: Option<bool>,
    /// Whether Koschei tracks it.
    pub tracked: bool,
    /// Whether Koji blocks it.
    pub blocked: bool,
    /// Last build.
    pub last_build_id: Option<i32>,
    /// Last complete build.
    pub last_complete_build_id: Option<i32>,
    /// State number of the last complete build.
    pub last_complete_build_state: Option<i32>,
    /// Koji repo with which its dependencies were checked; `None` while they are to be checked again.
    pub resolved_repo_id: Option<i32>,
    /// Set by administrators.
    pub static_priority: i32,
    /// Set by people.
    pub manual_priority: i32,
    /// From failures.
    pub build_priority: i32,
    /// From changed dependencies.
    pub dependency_priority: i32,
    /// What the scheduler found out.
    pub scheduler_skip_reason: Option<i32>,
    /// Until when its next build waits, after builds that ended with trouble of Koji, or one that was cancelled.
    pub not_before: Option<DateTime<Utc>>,
    /// How many builds in a row ended with trouble of Koji.
    pub fault_streak: i32,
    /// Start of the last build.
    pub last_started: Option<DateTime<Utc>>,
    /// Koji task of the last build.
    pub last_task_id: Option<i32>,
    /// Since when it is in its state.
    pub since: Option<DateTime<Utc>>,
}

/// The package with this name in every collection where it is, in no particular order.
pub async fn package(db: impl Database<'_>, name: &str) -> crate::Result<Vec<PackageRow>> {
    sqlx::query_as(
        "SELECT p.id, p.base_id, p.name, p.collection_id, p.arch_override, p.skip_resolution,
                p.resolved, p.tracked, p.blocked, p.last_build_id, p.last_complete_build_id,
                p.last_complete_build_state, p.resolved_repo_id, p.static_priority,
                p.manual_priority, p.build_priority, p.dependency_priority, p.scheduler_skip_reason,
                p.not_before AT TIME ZONE 'UTC' AS not_before, p.fault_streak, l.started AT TIME ZONE 'UTC' AS last_started, l.task_id AS last_task_id,
                p.state_since AT TIME ZONE 'UTC' AS since
         FROM base_package base
         JOIN package p ON p.base_id = base.id
         LEFT JOIN build l ON l.id = p.last_build_id
         WHERE base.name = $1",
    )
    .bind(name)
    .fetch_all(db)
    .await
    .map_err(Into::into)
}

/// Names of packages that match a pattern of ILIKE, for somebody who is typing: the name itself, then names that begin with
/// what was typed, shorter ones first.
pub async fn suggested_names(
    db: impl Database<'_>,
    pattern: &str,
    typed: &str,
    limit: i64,
) -> crate::Result<Vec<String>> {
    sqlx::query_scalar(
        r#"SELECT name FROM base_package WHERE NOT all_blocked AND name ILIKE $1
           ORDER BY lower(name) = lower($2) DESC, starts_with(lower(name), lower($2)) DESC, length(name),
                    name COLLATE "C"
           LIMIT $3"#,
    )
    .bind(pattern)
    .bind(typed)
    .bind(limit)
    .fetch_all(db)
    .await
    .map_err(Into::into)
}

/// What somebody, or a service, did to a package.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Deed {
    /// When.
    pub at: DateTime<Utc>,
    /// Who; `None` for a service.
    pub user: Option<String>,
    /// From where: `admin`, `frontend` or `backend`.
    pub environment: String,
    /// What.
    pub message: String,
}

/// A page of what was done to a package in all collections, newest first; and how much there is.
pub async fn deeds(
    db: impl Database<'_>,
    base_id: i32,
    limit: i64,
    offset: i64,
) -> crate::Result<(Vec<Deed>, i64)> {
    #[derive(sqlx::FromRow)]
    struct Row {
        total: i64,
        at: Option<DateTime<Utc>>,
        user: Option<String>,
        environment: Option<String>,
        message: Option<String>,
    }
    // The total is there on pages past the end, too.
    let rows: Vec<Row> = sqlx::query_as(
        r#"SELECT counted.total, entry.at, entry."user", entry.environment, entry.message
           FROM (SELECT count(*) AS total FROM log_entry WHERE base_id = $1) counted
           LEFT JOIN LATERAL (
               SELECT l.id, l.timestamp AT TIME ZONE 'UTC' AS at, u.name AS "user",
                      l.environment::text AS environment, l.message
               FROM log_entry l LEFT JOIN "user" u ON u.id = l.user_id
               WHERE l.base_id = $1 ORDER BY l.id DESC LIMIT $2 OFFSET $3) entry ON true
           ORDER BY entry.id DESC"#,
    )
    .bind(base_id)
    .bind(limit)
    .bind(offset)
    .fetch_all(db)
    .await?;
    let total = rows.first().map_or(0, |row| row.total);
    let deeds = rows.into_iter().filter_map(|row| {
        Some(Deed {
            at: row.at?,
            user: row.user,
            environment: row.environment?,
            message: row.message?,
        })
    });
    Ok((deeds.collect(), total))
}

/// How long the part of a build for one architecture took.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct TaskTime {
    /// Build.
    pub build_id: i32,
    /// Koji task of the build.
    pub task_id: i32,
    /// Start of the build.
    pub started: DateTime<Utc>,
    /// State number of the build.
    pub state: i32,
    /// Architecture.
    pub arch: String,
    /// Seconds that it took.
    pub seconds: f64,
    /// Whether this part succeeded.
    pub complete: bool,
}

/// How long the newest finished builds of a package took, by architecture; newest build first.
pub async fn task_times(
    db: impl Database<'_>,
    package_id: i32,
    builds: i64,
) -> crate::Result<Vec<TaskTime>> {
    sqlx::query_as(
        r#"SELECT b.id AS build_id, b.task_id, b.started AT TIME ZONE 'UTC' AS started, b.state, t.arch,
                  greatest(0, extract(epoch FROM t.finished - t.started))::float8 AS seconds,
                  t.state = 2 AS complete
           FROM (SELECT id, task_id, started, state FROM build
                 WHERE package_id = $1 AND state <> 2 ORDER BY started DESC, id DESC LIMIT $2) b
           JOIN koji_task t ON t.build_id = b.id AND t.finished IS NOT NULL
           ORDER BY b.started DESC, b.id DESC, t.arch COLLATE "C", t.id"#,
    )
    .bind(package_id)
    .bind(builds)
    .fetch_all(db)
    .await
    .map_err(Into::into)
}

/// Names of packages that look like this one, most alike first: those that share its beginning.
pub async fn similar_names(
    db: impl Database<'_>,
    name: &str,
    limit: i64,
) -> crate::Result<Vec<String>> {
    // Words of the name, longest first, as alternatives; without an extension for trigrams this is
    // a scan of the names, on a page that is rare.
    let words: Vec<String> = name
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| word.len() >= 3)
        .map(|word| format!("%{word}%"))
        .collect();
    sqlx::query_scalar(
        r#"SELECT name FROM base_package
           WHERE NOT all_blocked AND (name ILIKE ANY($1) OR lower(left(name, 5)) = lower(left($2, 5)))
           ORDER BY (lower(name) LIKE lower(left($2, 4)) || '%') DESC,
                    abs(length(name) - length($2)), name COLLATE "C"
           LIMIT $3"#,
    )
    .bind(words)
    .bind(name)
    .bind(limit)
    .fetch_all(db)
    .await
    .map_err(Into::into)
}

/// A build in the trouble of a package.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct BuildOutcome {
    /// Row id.
    pub id: i32,
    /// Koji task.
    pub task_id: i32,
    /// State number.
    pub state: i32,
    /// Start.
    pub started: DateTime<Utc>,
    /// Koji repo it was built in.
    pub repo_id: Option<i32>,
    /// Made by a packager.
    pub real: bool,
    /// Whether its dependencies are known.
    pub deps_resolved: Option<bool>,
    /// Version, known once the build is complete.
    pub version: Option<String>,
    /// Release, likewise.
    pub release: Option<String>,
}

/// The turn of a package: the last build before the present run of equal outcomes, and the first
/// and the last of that run.
#[derive(Debug, Clone, Default)]
pub struct Trouble {
    /// Newest complete build with the other outcome.
    pub before: Option<BuildOutcome>,
    /// First build of the present run.
    pub first: Option<BuildOutcome>,
    /// The build that the dependencies of `first` were compared with: mostly `before`, an earlier one when nothing is
    /// known of those of `before`; `None` when they were compared with none.
    pub compared: Option<BuildOutcome>,
    /// Last complete build.
    pub last: Option<BuildOutcome>,
}

/// When the last complete build's outcome began.
pub async fn trouble(db: impl Database<'_>, package: i32) -> crate::Result<Trouble> {
    #[derive(sqlx::FromRow)]
    struct Row {
        position: i32,
        #[sqlx(flatten)]
        build: BuildOutcome,
    }
    let sql = format!(
        "WITH last AS (
             SELECT b.id, b.state FROM package p JOIN build b ON b.id = p.last_complete_build_id
             WHERE p.id = $1
         ), before AS (
             SELECT b.id, b.started FROM build b, last
             WHERE b.package_id = $1 AND NOT b.untagged AND b.state NOT IN (2, last.state)
             ORDER BY b.started DESC LIMIT 1
         ), first AS (
             SELECT b.id FROM build b, last
             WHERE b.package_id = $1 AND NOT b.untagged AND b.state = last.state
               AND b.started > coalesce((SELECT started FROM before), '-infinity')
             ORDER BY b.started LIMIT 1
         ), compared AS (
             SELECT found.id FROM first JOIN build b ON b.id = first.id
             CROSS JOIN LATERAL ({}) found
         )
         SELECT wanted.position, b.id, b.task_id, b.state, b.started AT TIME ZONE 'UTC' AS started, b.repo_id,
                b.real, b.deps_resolved, b.version, b.release
         FROM (SELECT 1 AS position, id FROM before UNION ALL SELECT 2, id FROM first
               UNION ALL SELECT 3, id FROM last UNION ALL SELECT 4, id FROM compared) wanted
         JOIN build b ON b.id = wanted.id",
        super::build::COMPARED
    );
    let rows: Vec<Row> =
        sqlx::query_as(sqlx::AssertSqlSafe(sql)).bind(package).fetch_all(db).await?;
    let mut trouble = Trouble::default();
    for row in rows {
        let place = match row.position {
            1 => &mut trouble.before,
            2 => &mut trouble.first,
            3 => &mut trouble.last,
            _ => &mut trouble.compared,
        };
        *place = Some(row.build);
    }
    // The last complete build may have been taken out of the tag a moment ago; a run of one then.
    if trouble.first.is_none() {
        trouble.first.clone_from(&trouble.last);
    }
    Ok(trouble)
}

/// A build in the history of a package.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct HistoryBuild {
    /// Row id.
    pub id: i32,
    /// Koji task.
    pub task_id: i32,
    /// State number.
    pub state: i32,
    /// Start.
    pub started: DateTime<Utc>,
    /// End.
    pub finished: Option<DateTime<Utc>>,
    /// EVR.
    #[sqlx(flatten)]
    pub evr: super::Evr,
    /// Koji repo it was built in.
    pub repo_id: Option<i32>,
    /// Made by a packager.
    pub real: bool,
    /// Taken out of the tag again.
    pub untagged: bool,
    /// Whether its dependencies could be installed.
    pub deps_resolved: Option<bool>,
    /// State number of the complete build before it.
    pub previous_state: Option<i32>,
}

/// Builds of a package that started before `before` (all when `None`), newest first. Of those that
/// started at that very time, those with a smaller row id.
pub async fn history_builds(
    db: impl Database<'_>,
    package: i32,
    before: Option<(DateTime<Utc>, i32)>,
    limit: i64,
) -> crate::Result<Vec<HistoryBuild>> {
    sqlx::query_as(
        "SELECT b.id, b.task_id, b.state, b.started AT TIME ZONE 'UTC' AS started,
                b.finished AT TIME ZONE 'UTC' AS finished, b.epoch, b.version, b.release,
                b.repo_id, b.real, b.untagged, b.deps_resolved,
                (SELECT o.state FROM build o WHERE o.package_id = b.package_id
                   AND o.started < b.started AND o.state <> 2 AND NOT o.untagged
                 ORDER BY o.started DESC LIMIT 1) AS previous_state
         FROM build b
         WHERE b.package_id = $1
           AND (b.started, b.id) < (coalesce($2, 'infinity'::timestamp), coalesce($4, 0))
         ORDER BY b.started DESC, b.id DESC LIMIT $3",
    )
    .bind(package)
    .bind(before.map(|(time, _)| time.naive_utc()))
    .bind(limit)
    .bind(before.map(|(_, id)| id))
    .fetch_all(db)
    .await
    .map_err(Into::into)
}

/// A change of resolution in the history of a package.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct HistoryResolution {
    /// Row id.
    pub id: i32,
    /// Whether the dependencies could be installed from then on.
    pub resolved: bool,
    /// When.
    pub at: DateTime<Utc>,
    /// The problems, sorted; empty when resolved.
    pub problems: Vec<String>,
    /// Whether the entry before said resolved; `None` for the first entry.
    pub previous_resolved: Option<bool>,
}

/// Changes of resolution of a package before `before` (all when `None`), newest first. Of those at that very time, those
/// with a smaller row id.
pub async fn history_resolutions(
    db: impl Database<'_>,
    package: i32,
    before: Option<(DateTime<Utc>, i32)>,
    limit: i64,
) -> crate::Result<Vec<HistoryResolution>> {
    sqlx::query_as(
        r#"SELECT c.id, c.resolved, c.timestamp AT TIME ZONE 'UTC' AS at,
                ARRAY(SELECT r.problem FROM resolution_problem r WHERE r.resolution_id = c.id
                      ORDER BY r.problem COLLATE "C") AS problems,
                (SELECT o.resolved FROM resolution_change o WHERE o.package_id = c.package_id
                   AND (o.timestamp, o.id) < (c.timestamp, c.id) ORDER BY o.timestamp DESC, o.id DESC LIMIT 1)
                    AS previous_resolved
         FROM resolution_change c
         WHERE c.package_id = $1
           AND (c.timestamp, c.id) < (coalesce($2, 'infinity'::timestamp), coalesce($4, 0))
         ORDER BY c.timestamp DESC, c.id DESC LIMIT $3"#,
    )
    .bind(package)
    .bind(before.map(|(time, _)| time.naive_utc()))
    .bind(limit)
    .bind(before.map(|(_, id)| id))
    .fetch_all(db)
    .await
    .map_err(Into::into)
}

/// How other packages fared with a dependency change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::FromRow)]
pub struct CulpritCount {
    /// Old side of the change.
    pub prev_id: Option<i32>,
    /// New side of the change.
    pub curr_id: Option<i32>,
    /// Other packages of the collection whose build was the first with this change.
    pub packages: i64,
    /// Those of them that built before and failed with it.
    pub broke: i64,
    /// There were more builds than were looked at.
    pub cut: bool,
}

/// For the dependency changes of a build: how the other packages of its collection fared with the
/// same change. Only changes with a new side are counted, the nearest `limit` ones, and at most
/// `sample` builds of each.
pub async fn culprit_counts(
    db: impl Database<'_>,
    build: i32,
    limit: i64,
    sample: i64,
) -> crate::Result<Vec<CulpritCount>> {
    sqlx::query_as(
        "SELECT mine.prev_dep_id AS prev_id, mine.curr_dep_id AS curr_id,
                count(DISTINCT other.package_id) AS packages,
                count(DISTINCT other.package_id) FILTER (WHERE other.broke) AS broke,
                coalesce(max(other.seen), 0) > $3 AS cut
         FROM (
             SELECT a.prev_dep_id, a.curr_dep_id, b.package_id, p.collection_id
             FROM applied_change a JOIN build b ON b.id = a.build_id
             JOIN package p ON p.id = b.package_id
             WHERE a.build_id = $1 AND a.curr_dep_id IS NOT NULL
             ORDER BY a.distance NULLS LAST, a.id LIMIT $2
         ) mine
         LEFT JOIN LATERAL (
             SELECT b.package_id, same.seen,
                    b.state = 5 AND (
                        SELECT o.state FROM build o WHERE o.package_id = b.package_id
                          AND o.started < b.started AND o.state <> 2 AND NOT o.untagged
                        ORDER BY o.started DESC LIMIT 1) = 3 AS broke
             FROM (
                 SELECT s.build_id, count(*) OVER () AS seen
                 FROM (SELECT s.build_id FROM applied_change s
                       WHERE s.curr_dep_id = mine.curr_dep_id
                         AND s.prev_dep_id IS NOT DISTINCT FROM mine.prev_dep_id
                       LIMIT $3 + 1) s
             ) same
             JOIN build b ON b.id = same.build_id AND b.state <> 2
             JOIN package p ON p.id = b.package_id
             WHERE p.collection_id = mine.collection_id AND b.package_id <> mine.package_id
         ) other ON true
         GROUP BY mine.prev_dep_id, mine.curr_dep_id",
    )
    .bind(build)
    .bind(limit)
    .bind(sample)
    .fetch_all(db)
    .await
    .map_err(Into::into)
}
