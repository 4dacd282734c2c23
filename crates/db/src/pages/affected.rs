//! Which packages a change of a dependency may have broken.

use chrono::{DateTime, Utc};
use rpm::rpmvercmp;

/// An interval of EVRs of one dependency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DependencyInterval {
    /// Name of the dependency.
    pub name: String,
    /// Lower end: epoch, version, release.
    pub from: (i32, String, String),
    /// Upper end.
    pub to: (i32, String, String),
}

/// A build that failed after a good one, with a change of the dependency in the interval.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Affected {
    /// Package.
    pub name: String,
    /// Whether its dependencies can be installed, now.
    pub resolved: Option<bool>,
    /// State number of its last complete build, now.
    pub last_complete_build_state: Option<i32>,
    /// The failed build.
    pub build_id: i32,
    /// Its Koji task.
    pub task_id: i32,
    /// When it started.
    pub started: DateTime<Utc>,
    /// Distance of the dependency from the package.
    pub distance: Option<i32>,
    /// Old side of the change.
    pub prev_epoch: Option<i32>,
    /// Old side of the change.
    pub prev_version: String,
    /// Old side of the change.
    pub prev_release: String,
    /// New side of the change.
    pub curr_epoch: Option<i32>,
    /// New side of the change.
    pub curr_version: String,
    /// New side of the change.
    pub curr_release: String,
}

/// The dependencies of a name by where they stand in relation to an interval.
#[derive(Debug, Default)]
struct Sides {
    /// At the lower end or below it.
    low: Vec<i32>,
    /// Strictly between the ends.
    inside: Vec<i32>,
    /// At the upper end or above it.
    high: Vec<i32>,
}

impl Sides {
    fn new(rows: Vec<(i32, Option<i32>, String, String)>, interval: &DependencyInterval) -> Self {
        let compare = |row: &(i32, Option<i32>, String, String), end: &(i32, String, String)| {
            let (_, epoch, version, release) = row;
            epoch
                .unwrap_or(0)
                .cmp(&end.0)
                .then_with(|| rpmvercmp(version, &end.1))
                .then_with(|| rpmvercmp(release, &end.2))
        };
        let mut sides = Self::default();
        for row in rows {
            let (from_low, from_high) =
                (compare(&row, &interval.from), compare(&row, &interval.to));
            if from_low.is_gt() && from_high.is_lt() {
                sides.inside.push(row.0);
            }
            // With the ends in the wrong order it may be both.
            if from_low.is_le() {
                sides.low.push(row.0);
            }
            if from_high.is_ge() {
                sides.high.push(row.0);
            }
        }
        sides
    }
}

/// Packages of the collection whose build failed after a good one, with a change of the
/// dependency that overlaps the interval, by distance (none last), newest first; and how many.
///
/// A change overlaps when one of its sides lies strictly between the ends, or when it goes from
/// at or below the lower to at or above the upper end. The few rows of `dependency` with the name
/// are compared here; the search starts from the changes that have them.
pub async fn affected_by(
    pool: &crate::Pool,
    collection: i32,
    interval: &DependencyInterval,
    limit: i64,
) -> crate::Result<(Vec<Affected>, i64)> {
    #[derive(sqlx::FromRow)]
    struct Row {
        #[sqlx(flatten)]
        affected: Affected,
        total: i64,
    }
    let dependencies: Vec<(i32, Option<i32>, String, String)> =
        sqlx::query_as("SELECT id, epoch, version, release FROM dependency WHERE name = $1")
            .bind(&interval.name)
            .fetch_all(pool)
            .await?;
    let all: Vec<i32> = dependencies.iter().map(|row| row.0).collect();
    let sides = Sides::new(dependencies, interval);
    if sides.inside.is_empty() && (sides.low.is_empty() || sides.high.is_empty()) {
        return Ok((Vec::new(), 0));
    }
    // New sides that cannot be part of any such change need not be looked up.
    let curr = if sides.inside.is_empty() { &sides.high } else { &all };
    let rows: Vec<Row> = sqlx::query_as(
        "WITH failed AS MATERIALIZED (
             SELECT b.id AS build_id, b.package_id, b.started, c.distance, c.prev_dep_id, c.curr_dep_id
             FROM applied_change c JOIN build b ON b.id = c.build_id AND b.state = 5
             WHERE c.curr_dep_id = ANY($2) AND c.prev_dep_id IS NOT NULL
               AND (c.curr_dep_id = ANY($4) OR c.prev_dep_id = ANY($4)
                    OR (c.prev_dep_id = ANY($3) AND c.curr_dep_id = ANY($5)))
         ), hit AS (
             SELECT p.name, p.resolved, p.last_complete_build_state, f.build_id, f.started,
                    f.distance, f.prev_dep_id, f.curr_dep_id
             FROM failed f
             JOIN package p ON p.id = f.package_id
                AND p.collection_id = $1 AND p.tracked AND NOT p.blocked
             CROSS JOIN LATERAL (
                SELECT o.state FROM build o
                WHERE o.package_id = f.package_id AND o.started < f.started
                ORDER BY o.started DESC LIMIT 1) previous
             WHERE previous.state <> 5
         ), shown AS (
             SELECT *, count(*) OVER () AS total FROM hit
             ORDER BY distance NULLS LAST, started DESC, build_id LIMIT $6
         )
         SELECT s.name, s.resolved, s.last_complete_build_state, s.build_id, b.task_id,
                s.started AT TIME ZONE 'UTC' AS started, s.distance, s.total,
                old.epoch AS prev_epoch, old.version AS prev_version, old.release AS prev_release,
                new.epoch AS curr_epoch, new.version AS curr_version, new.release AS curr_release
         FROM shown s
         JOIN build b ON b.id = s.build_id
         JOIN dependency old ON old.id = s.prev_dep_id
         JOIN dependency new ON new.id = s.curr_dep_id
         ORDER BY s.distance NULLS LAST, s.started DESC, s.build_id",
    )
    .bind(collection)
    .bind(curr)
    .bind(&sides.low)
    .bind(&sides.inside)
    .bind(&sides.high)
    .bind(limit)
    // Some dependencies change under nearly every build and others under ten: a plan for one is none for the other.
    .persistent(false)
    .fetch_all(pool)
    .await?;
    let total = rows.first().map_or(0, |row| row.total);
    Ok((rows.into_iter().map(|row| row.affected).collect(), total))
}
