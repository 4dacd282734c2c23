//! What is stored for many packages at once is what would have been stored for one after the other.

use std::collections::{BTreeMap, BTreeSet};

use koschei_core::changes::Change;
use koschei_db::PgConnection;
use koschei_db::resolution::{self, PackageResolution};

use crate::one_by_one::{self, Fate};
use crate::world::World;

const PACKAGES: i32 = 60;
const DEPENDENCIES: i32 = 40;

/// Numbers that look random, the same in each run (the generator of Lehmer).
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0 * 48_271 % 0x7fff_ffff;
        self.0 % limit
    }

    fn one_in(&mut self, chances: u64) -> bool {
        self.below(chances) == 0
    }
}

/// Packages of every kind, most with builds, some of them resolved, and with what an earlier repo left behind; the same
/// ids in every world.
async fn world() -> World {
    let world = World::new().await;
    let mut dice = Dice(20_251_122);
    for number in 0..DEPENDENCIES {
        assert_eq!(world.dependency(&format!("dep{number:02}"), "1").await, number + 1);
    }
    for number in 1..=PACKAGES {
        assert_eq!(world.package(&format!("package{number:02}")).await, number);
        for hours in 0..i64::try_from(dice.below(4)).unwrap() {
            let state =
                if hours == 2 && dice.one_in(5) { 2 } else { [3, 3, 5][dice.below(3) as usize] };
            let build = world.build(number, hours, state).await;
            let statement = match dice.below(4) {
                0 => continue,
                1 => "UPDATE build SET deps_resolved = false WHERE id = $1",
                _ => "UPDATE build SET deps_resolved = true WHERE id = $1",
            };
            world.execute(statement, build).await;
        }
        let statement = match dice.below(12) {
            0 => "UPDATE package SET blocked = true WHERE id = $1",
            1 => "UPDATE package SET tracked = false WHERE id = $1",
            2 => "UPDATE package SET skip_resolution = true WHERE id = $1",
            3..6 => "UPDATE package SET resolved = false WHERE id = $1",
            6..9 => "UPDATE package SET resolved = true WHERE id = $1",
            _ => continue,
        };
        world.execute(statement, number).await;
        // The original software's rows: a distance that is none, and the same change twice.
        world
            .execute(
                "INSERT INTO unapplied_change (package_id, prev_dep_id, curr_dep_id, distance)
                 VALUES ($1, 1, 2, 3), ($1, 1, 2, 3), ($1, NULL, 5, NULL), ($1, 7, NULL, NULL)",
                number,
            )
            .await;
    }
    world
}

/// Package, last build, whether resolved, build to compare with.
type Row = (i32, Option<i32>, Option<bool>, Option<i32>);

/// What came out of resolving some of the packages. Where somebody interfered meanwhile, it does not fit any more.
async fn results(conn: &mut PgConnection, dice: &mut Dice) -> Vec<PackageResolution> {
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT package.id, last_build_id, resolved,
                CASE WHEN last.state IN (3, 5) AND last.deps_resolved THEN last.id
                     WHEN last.state IN (3, 5) AND NOT last.deps_resolved THEN (
                        SELECT id FROM build WHERE package_id = package.id AND deps_resolved AND started < last.started
                         ORDER BY started DESC LIMIT 1) END
           FROM package LEFT JOIN build AS last ON last.id = last_build_id ORDER BY package.id",
    )
    .fetch_all(conn)
    .await
    .unwrap();
    let mut results = Vec::new();
    for (package_id, mut last_build_id, resolved, mut previous_build_id) in rows {
        if dice.one_in(6) {
            continue;
        }
        match dice.below(20) {
            0 => last_build_id = Some(last_build_id.map_or(1, |id| id - 1)),
            1 => previous_build_id = previous_build_id.xor(Some(1)),
            _ => {}
        }
        let mut changes = BTreeMap::new();
        let mut problems = BTreeSet::new();
        if dice.one_in(3) {
            for _ in 0..=dice.below(2) {
                problems.insert(format!("nothing provides dep{}", dice.below(3)));
            }
        } else {
            for _ in 0..dice.below(9) {
                let name = dice.below(DEPENDENCIES as u64 / 2) as i32 * 2 + 1;
                let (prev, curr) = match dice.below(4) {
                    0 => (None, Some(name)),
                    1 => (Some(name), None),
                    _ => (Some(name), Some(name + 1)),
                };
                let distance =
                    curr.and_then(|_| [None, Some(1), Some(2), Some(4)][dice.below(4) as usize]);
                changes.insert(name, Change { prev, curr, distance });
            }
        }
        results.push(PackageResolution {
            package_id,
            last_build_id,
            previous_build_id,
            previously_resolved: resolved,
            dependency_priority: changes.len() as i32 * 10,
            problems,
            changes: changes.into_values().collect(),
        });
    }
    results
}

/// All that a resolution may touch, without numbers and times that say only when a row came.
async fn content(world: &World) -> Vec<String> {
    const CONTENT: [&str; 3] = [
        // Since when a state holds is told by the clock.
        "SELECT 'package ' || (to_jsonb(package) - 'state_since')::text FROM package WHERE $1 > 0 ORDER BY id",
        "SELECT 'change ' || concat_ws(' ', package_id, coalesce(prev_dep_id, 0), coalesce(curr_dep_id, 0),
                                            coalesce(distance, 0))
           FROM unapplied_change WHERE $1 > 0 ORDER BY package_id, prev_dep_id, curr_dep_id, distance, id",
        "SELECT 'history ' || concat_ws(' ', package_id, resolved, (
                    SELECT string_agg(problem, ', ' ORDER BY problem) FROM resolution_problem
                     WHERE resolution_id = resolution_change.id))
           FROM resolution_change WHERE $1 > 0 ORDER BY package_id, id",
    ];
    let mut content = Vec::new();
    for query in CONTENT {
        content.extend(world.texts(query, world.collection).await);
    }
    content
}

#[tokio::test]
async fn many_at_once_leave_the_same_rows_and_messages_as_one_after_the_other() {
    let (ours, judge) = (world().await, world().await);
    let (mut conn, mut judges) = (ours.connection().await, judge.connection().await);
    sqlx::query("SET koschei.publishing = 'on'").execute(&mut conn).await.unwrap();
    let mut dice = Dice(47);
    let (mut stored, mut dropped, mut published) = (0, 0, 0);
    for repo_id in 101..=112 {
        let results = results(&mut conn, &mut dice).await;
        let mut fates = Vec::new();
        for result in &results {
            fates.push(one_by_one::store(&mut judges, repo_id, result).await.unwrap());
        }
        let mut ours_dropped = Vec::new();
        for chunk in results.chunks(7 + dice.below(30) as usize) {
            let outcome = resolution::store_packages(&mut conn, repo_id, chunk).await.unwrap();
            stored += outcome.stored;
            ours_dropped.extend(outcome.dropped);
        }
        let judges_dropped: Vec<String> = fates
            .iter()
            .filter_map(
                |fate| if let Fate::Dropped(name) = fate { Some(name.clone()) } else { None },
            )
            .collect();
        dropped += ours_dropped.len();
        assert_eq!(ours_dropped, judges_dropped, "repo {repo_id}");
        let messages: Vec<(String, String, String)> = sqlx::query_as(
            "DELETE FROM outbox RETURNING body->>'name', body->>'old', body->>'new'",
        )
        .fetch_all(&mut conn)
        .await
        .unwrap();
        published += messages.len();
        let messages: BTreeSet<_> = messages.into_iter().collect();
        let expected: BTreeSet<(String, String, String)> = fates
            .into_iter()
            .filter_map(|fate| match fate {
                Fate::Published(name, old, new) => Some((name, old.to_owned(), new.to_owned())),
                Fate::Stored | Fate::Dropped(_) => None,
            })
            .collect();
        assert_eq!(messages, expected, "repo {repo_id}");
        assert_eq!(content(&ours).await, content(&judge).await, "repo {repo_id}");
    }
    // The dice must have thrown a bit of everything.
    assert!(stored > 300 && dropped > 20 && published > 50, "{stored} {dropped} {published}");
}

#[tokio::test]
async fn a_change_that_stays_keeps_its_row() {
    let world = world().await;
    let mut conn = world.connection().await;
    let mut dice = Dice(5);
    let mut all = results(&mut conn, &mut dice).await;
    all.retain(|result| result.changes.len() > 2);
    let first = resolution::store_packages(&mut conn, 101, &all).await.unwrap();
    assert!(first.stored > 10);
    let rows = "SELECT package_id || ' ' || id FROM unapplied_change WHERE $1 > 0 ORDER BY id";
    let before = world.texts(rows, world.collection).await;
    for result in &mut all {
        result.previously_resolved = Some(true);
    }
    resolution::store_packages(&mut conn, 102, &all).await.unwrap();
    assert_eq!(world.texts(rows, world.collection).await, before, "nothing is written anew");
    for result in &mut all {
        result.changes.pop();
    }
    resolution::store_packages(&mut conn, 103, &all).await.unwrap();
    let after: BTreeSet<String> = world.texts(rows, world.collection).await.into_iter().collect();
    let before: BTreeSet<String> = before.into_iter().collect();
    assert!(after.is_subset(&before), "no row is new");
    assert_eq!(before.len() - after.len(), first.stored, "one is gone of each");
}
