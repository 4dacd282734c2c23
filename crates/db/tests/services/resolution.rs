//! What the resolvers read and write.

use std::collections::BTreeSet;

use koschei_core::changes::Change;
use koschei_core::states::{CollectionState, PackageState};
use koschei_db::dependency_keys;
use koschei_db::entities;
use koschei_db::freshness;
use koschei_db::resolution::{
    self, BuildResolution, Installed, Origin, PackageResolution, PackageToResolve,
};
use rpm::Nevra;
use sqlx::Connection as _;

use crate::world::{World, hour};

#[tokio::test]
async fn packages_are_interned_once_even_by_two_at_once() {
    let world = World::new().await;
    let nevras: Vec<Nevra> = ["a", "b", "a", "c"]
        .map(|name| Nevra::new(name, u32::from(name == "c"), "1", "1", "noarch"))
        .to_vec();
    let wanted: Vec<&Nevra> = nevras.iter().collect();
    let (mut one, mut two) = (world.connection().await, world.connection().await);
    let (ids, same) =
        tokio::join!(resolution::intern(&mut one, &wanted), resolution::intern(&mut two, &wanted));
    let ids = ids.unwrap();
    assert_eq!(ids, same.unwrap());
    assert_eq!(ids[0], ids[2]);
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), 3);
    let names = resolution::names_of(&mut one, &ids).await.unwrap();
    assert_eq!(names[&ids[3]], ("c".to_owned(), "noarch".to_owned()));
    assert!(resolution::intern(&mut one, &[]).await.unwrap().is_empty());
}

#[tokio::test]
async fn build_requires_are_kept_per_koji() {
    let world = World::new().await;
    let mut conn = world.connection().await;
    let requires = vec!["gcc".to_owned(), "(a or b)".to_owned(), "zlib-devel >= 1".to_owned()];
    let news = [("zlib-1-1".to_owned(), requires.clone()), ("bare-1-1".to_owned(), vec![])];
    resolution::keep_build_requires(&mut conn, Origin::Primary, &news).await.unwrap();
    resolution::keep_build_requires(&mut conn, Origin::Primary, &news).await.unwrap();
    let nvrs = ["zlib-1-1".to_owned(), "bare-1-1".to_owned(), "other-1-1".to_owned()];
    let kept = resolution::build_requires(&mut conn, Origin::Primary, &nvrs).await.unwrap();
    assert_eq!(kept.len(), 2);
    assert_eq!(kept["zlib-1-1"], requires);
    assert!(kept["bare-1-1"].is_empty());
    assert!(
        resolution::build_requires(&mut conn, Origin::Secondary, &nvrs).await.unwrap().is_empty()
    );
}

#[tokio::test]
async fn a_collection_gets_its_newest_repo_and_never_an_older_one() {
    let world = World::new().await;
    let mut conn = world.connection().await;
    let problems = ["nothing provides bash".to_owned()];
    let change = resolution::set_latest_repo(&mut conn, world.collection, 101, &problems)
        .await
        .unwrap()
        .unwrap();
    assert_eq!((change.old, change.new), (CollectionState::Ok, CollectionState::Unresolved));
    let stored = "SELECT problem FROM buildroot_problem WHERE collection_id = $1";
    assert_eq!(world.texts(stored, world.collection).await, problems);
    assert!(
        resolution::set_latest_repo(&mut conn, world.collection, 101, &[]).await.unwrap().is_none()
    );
    let change =
        resolution::set_latest_repo(&mut conn, world.collection, 102, &[]).await.unwrap().unwrap();
    assert_eq!(change.new, CollectionState::Ok);
    assert!(world.texts(stored, world.collection).await.is_empty());
    let collection = entities::collection(&mut conn, world.collection).await.unwrap().unwrap();
    assert_eq!(
        (collection.latest_repo_id, collection.latest_repo_resolved),
        (Some(102), Some(true))
    );
}

async fn to_resolve(world: &World, repo_id: i32) -> Vec<PackageToResolve> {
    let mut conn = world.connection().await;
    resolution::packages_to_resolve(&mut conn, world.collection, repo_id).await.unwrap()
}

fn result(
    package: &PackageToResolve,
    problems: &[&str],
    changes: Vec<Change>,
) -> PackageResolution {
    PackageResolution {
        package_id: package.id,
        last_build_id: package.last_build_id,
        previous_build_id: package.previous_build_id,
        previously_resolved: package.resolved,
        problems: problems.iter().map(|problem| (*problem).to_owned()).collect(),
        dependency_priority: changes.len() as i32,
        changes,
    }
}

async fn store(world: &World, repo_id: i32, results: &[PackageResolution]) -> resolution::Stored {
    let mut conn = world.connection().await;
    resolution::store_packages(&mut conn, repo_id, results).await.unwrap()
}

#[tokio::test]
async fn only_packages_that_can_be_built_and_were_not_resolved_in_the_repo_are_resolved() {
    let world = World::new().await;
    let wanted = world.package("wanted").await;
    world.build(wanted, 1, 3).await;
    world.package("without-a-build").await;
    for (name, statement) in [
        ("blocked", "UPDATE package SET blocked = true WHERE id = $1"),
        ("untracked", "UPDATE package SET tracked = false WHERE id = $1"),
        ("skipped", "UPDATE package SET skip_resolution = true WHERE id = $1"),
    ] {
        let id = world.package(name).await;
        world.build(id, 1, 3).await;
        world.execute(statement, id).await;
    }
    let packages = to_resolve(&world, 100).await;
    assert_eq!(
        packages.iter().map(|package| package.name.as_str()).collect::<Vec<_>>(),
        ["wanted"]
    );
    assert_eq!((packages[0].version.as_str(), packages[0].release.as_str()), ("1", "1"));
    store(&world, 100, &[result(&packages[0], &[], vec![])]).await;
    assert!(to_resolve(&world, 100).await.is_empty());
    assert_eq!(to_resolve(&world, 101).await.len(), 1, "a new repo");
    world.execute("UPDATE package SET resolved = NULL WHERE id = $1", wanted).await;
    assert_eq!(to_resolve(&world, 100).await.len(), 1, "not known any more");
}

#[tokio::test]
async fn a_result_is_compared_with_the_last_build_that_could_be_resolved() {
    let world = World::new().await;
    let package = world.package("zlib").await;
    let resolve =
        "UPDATE build SET deps_resolved = true, dependency_keys = '\\x01'::bytea WHERE id = $1";
    let older = world.build(package, 1, 3).await;
    world.execute(resolve, older).await;
    let last = world.build(package, 2, 3).await;
    assert_eq!(
        to_resolve(&world, 100).await[0].previous,
        None,
        "the last build was not looked at yet"
    );
    world.execute("UPDATE build SET deps_resolved = false WHERE id = $1", last).await;
    assert_eq!(to_resolve(&world, 100).await[0].previous, Some(vec![1]), "the one before");
    world
        .execute(
            "UPDATE build SET deps_resolved = true, dependency_keys = '\\x02'::bytea WHERE id = $1",
            last,
        )
        .await;
    assert_eq!(to_resolve(&world, 100).await[0].previous, Some(vec![2]));
    let running = world.build(package, 3, 2).await;
    world.execute(resolve, running).await;
    let package = to_resolve(&world, 100).await.remove(0);
    assert_eq!(package.previous, None, "the last build is running");
    assert_eq!((package.last_build_id, package.release.as_str()), (Some(running), "2"));
}

#[tokio::test]
async fn a_result_is_dropped_when_there_is_another_build_to_compare_with() {
    let world = World::new().await;
    let package = world.package("zlib").await;
    let older = world.build(package, 1, 3).await;
    let resolve =
        "UPDATE build SET deps_resolved = true, dependency_keys = '\\x01'::bytea WHERE id = $1";
    world.execute(resolve, older).await;
    let last = world.build(package, 2, 3).await;
    // What the build-resolver stores between reading and storing.
    for (meanwhile, compared_with) in
        [("UPDATE build SET deps_resolved = false WHERE id = $1", None), (resolve, Some(older))]
    {
        let read = to_resolve(&world, 100).await.remove(0);
        assert_eq!(read.previous_build_id, compared_with);
        world.execute(meanwhile, last).await;
        let stored = store(&world, 100, &[result(&read, &[], vec![])]).await;
        assert_eq!((stored.stored, stored.dropped), (0, vec!["zlib".to_owned()]));
    }
    let again = to_resolve(&world, 100).await.remove(0);
    assert_eq!(again.previous_build_id, Some(last));
    assert_eq!(store(&world, 100, &[result(&again, &[], vec![])]).await.stored, 1);
    assert!(to_resolve(&world, 100).await.is_empty());
}

const HISTORY: &str =
    "SELECT resolved || coalesce(': ' || string_agg(problem, ', ' ORDER BY problem), '')
      FROM resolution_change LEFT JOIN resolution_problem ON resolution_id = resolution_change.id
     WHERE package_id = $1 GROUP BY resolution_change.id ORDER BY resolution_change.id";

#[tokio::test]
async fn history_tells_when_a_package_broke_why_and_when_it_recovered() {
    let world = World::new().await;
    let package = world.package("zlib").await;
    world.build(package, 1, 3).await;
    let steps: [(i32, &[&str]); 6] =
        [(101, &[]), (102, &[]), (103, &["b", "a"]), (104, &["a", "b"]), (105, &["a"]), (106, &[])];
    for (repo_id, problems) in steps {
        let package = to_resolve(&world, repo_id).await.remove(0);
        let stored = store(&world, repo_id, &[result(&package, problems, vec![])]).await;
        assert_eq!((stored.stored, stored.dropped.len()), (1, 0));
    }
    assert_eq!(
        world.texts(HISTORY, package).await,
        ["true", "false: a, b", "false: a", "true"],
        "not when nothing changed, nor when the same problems came in another order"
    );
}

#[tokio::test]
async fn changes_are_replaced_and_the_state_is_announced() {
    let world = World::new().await;
    let package = world.package("zlib").await;
    world.build(package, 1, 3).await;
    let (old, new) = (world.dependency("gcc", "1").await, world.dependency("gcc", "2").await);
    let change = Change { prev: Some(old), curr: Some(new), distance: Some(1) };
    let count = "SELECT count(*) FROM unapplied_change WHERE package_id = $1";
    let priority = "SELECT dependency_priority::bigint FROM package WHERE id = $1";
    for (repo_id, changes) in [(101, vec![change]), (102, vec![change])] {
        let package = to_resolve(&world, repo_id).await.remove(0);
        store(&world, repo_id, &[result(&package, &[], changes)]).await;
    }
    assert_eq!(
        (world.number(count, package).await, world.number(priority, package).await),
        (Some(1), Some(1))
    );
    let to_break = to_resolve(&world, 103).await.remove(0);
    let stored = store(&world, 103, &[result(&to_break, &["no"], vec![])]).await;
    assert_eq!(stored.changes.len(), 1);
    assert_eq!(stored.changes[0].new.word(), "unresolved");
    assert_eq!(world.state(package).await, PackageState::Unresolved);
    assert_eq!(
        (world.number(count, package).await, world.number(priority, package).await),
        (Some(0), Some(0))
    );
}

/// Whoever is trusted with it leaves out checks of what is referred to; nobody may notice.
#[tokio::test]
async fn changes_refer_to_what_exists_whoever_stores_them() {
    let world = World::new().await;
    sqlx::raw_sql(
        "CREATE ROLE untrusted;
         GRANT ALL ON ALL TABLES IN SCHEMA public TO untrusted;
         GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO untrusted",
    )
    .execute(world.database.pool())
    .await
    .unwrap();
    let (old, new) = (world.dependency("gcc", "1").await, world.dependency("gcc", "2").await);
    let change = Change { prev: Some(old), curr: Some(new), distance: Some(1) };
    let unknown = Change { curr: Some(new + 1000), ..change };
    let count = "SELECT count(*) FROM unapplied_change WHERE package_id = $1";
    for (name, become_role) in [("trusted", "RESET ROLE"), ("untrusted", "SET ROLE untrusted")] {
        let id = world.package(name).await;
        world.build(id, 1, 3).await;
        let package = to_resolve(&world, 101).await.remove(0);
        let mut conn = world.connection().await;
        sqlx::raw_sql(become_role).execute(&mut conn).await.unwrap();

        let mut transaction = conn.begin().await.unwrap();
        let refused = result(&package, &[], vec![change, unknown]);
        let refused = resolution::store_packages(&mut transaction, 101, &[refused]).await;
        let why = format!("{:?}", refused.unwrap_err());
        assert!(why.contains("unapplied_change_curr_dep_id_fkey"), "{name}: {why}");
        drop(transaction);

        let mut transaction = conn.begin().await.unwrap();
        let stored = result(&package, &[], vec![change]);
        resolution::store_packages(&mut transaction, 101, &[stored]).await.unwrap();
        let mut attempt = transaction.begin().await.unwrap();
        let by_hand = sqlx::query(
            "INSERT INTO unapplied_change (package_id, prev_dep_id, curr_dep_id) VALUES ($1, $2, $3)",
        );
        let by_hand = by_hand.bind(id).bind(old).bind(new + 1000).execute(&mut *attempt).await;
        assert!(by_hand.is_err(), "{name}: the rest of the transaction is checked");
        attempt.rollback().await.unwrap();
        transaction.commit().await.unwrap();
        assert_eq!(world.number(count, id).await, Some(1), "{name}");
    }
}

#[tokio::test]
async fn a_result_is_dropped_when_a_build_came_in_between_and_the_package_is_resolved_again() {
    let world = World::new().await;
    let package = world.package("zlib").await;
    world.build(package, 1, 3).await;
    let before = to_resolve(&world, 101).await.remove(0);
    world.build(package, 2, 3).await;
    let stored = store(&world, 101, &[result(&before, &["no"], vec![])]).await;
    assert_eq!((stored.stored, stored.dropped), (0, vec!["zlib".to_owned()]));
    assert_eq!(world.state(package).await, PackageState::Ok);
    assert_eq!(to_resolve(&world, 101).await.len(), 1);
}

#[tokio::test]
async fn a_result_for_a_package_that_is_not_to_be_resolved_any_more_is_dropped() {
    let world = World::new().await;
    let package = world.package("zlib").await;
    world.build(package, 1, 3).await;
    let before = to_resolve(&world, 101).await.remove(0);
    world.execute("UPDATE package SET skip_resolution = true WHERE id = $1", package).await;
    assert_eq!(store(&world, 101, &[result(&before, &[], vec![])]).await.stored, 0);
    world.execute("DELETE FROM package WHERE id = $1", package).await;
    assert_eq!(store(&world, 101, &[result(&before, &[], vec![])]).await.stored, 0);
}

async fn store_build(world: &World, build_id: i32, installs: Option<&[i32]>) -> usize {
    let installs = installs.map(|ids| {
        ids.iter().map(|id| Installed { id: *id, distance: Some(2) }).collect::<Vec<_>>()
    });
    let mut conn = world.connection().await;
    resolution::store_builds(&mut conn, &[BuildResolution { build_id, installs }], 3000)
        .await
        .unwrap()
}

async fn kept(world: &World, build_id: i32) -> Option<Vec<i32>> {
    let keys: Option<Vec<u8>> =
        sqlx::query_scalar("SELECT dependency_keys FROM build WHERE id = $1")
            .bind(build_id)
            .fetch_one(world.database.pool())
            .await
            .unwrap();
    keys.map(|keys| dependency_keys::decode(&keys).unwrap())
}

#[tokio::test]
async fn builds_are_compared_with_the_one_before_whose_install_set_then_goes() {
    let world = World::new().await;
    let package = world.package("zlib").await;
    let (a, b) = (world.dependency("a", "1").await, world.dependency("b", "1").await);
    let builds = [
        world.build(package, 1, 3).await,
        world.build(package, 2, 5).await,
        world.build(package, 3, 3).await,
    ];
    let mut conn = world.connection().await;
    let waiting = resolution::builds_to_resolve(&mut conn, world.collection, None).await.unwrap();
    assert_eq!(waiting.iter().map(|build| build.id).collect::<Vec<_>>(), builds);

    assert_eq!(store_build(&world, builds[0], Some(&[a])).await, 1);
    assert_eq!(store_build(&world, builds[0], Some(&[a, b])).await, 0, "somebody was first");
    assert_eq!(store_build(&world, builds[1], None).await, 1);
    assert_eq!(kept(&world, builds[0]).await, Some(vec![a]), "stays, for the next that resolves");
    assert_eq!(store_build(&world, builds[2], Some(&[a, b])).await, 1);
    assert_eq!(kept(&world, builds[0]).await, None);
    assert_eq!(kept(&world, builds[2]).await, Some(vec![a, b]));
    let applied =
        "SELECT coalesce(prev_dep_id, 0) || '>' || coalesce(curr_dep_id, 0) || '@' || distance
                     FROM applied_change WHERE build_id = $1";
    assert!(world.texts(applied, builds[0]).await.is_empty(), "nothing to compare with");
    assert_eq!(world.texts(applied, builds[2]).await, [format!("0>{b}@2")]);
    let waiting =
        resolution::builds_to_resolve(&mut conn, world.collection, Some(100)).await.unwrap();
    assert!(waiting.is_empty());
}

#[tokio::test]
async fn a_last_build_that_cannot_be_resolved_raises_the_priority() {
    let world = World::new().await;
    let package = world.package("zlib").await;
    let (older, last) = (world.build(package, 1, 3).await, world.build(package, 2, 3).await);
    let priority = "SELECT build_priority::bigint FROM package WHERE id = $1";
    store_build(&world, older, None).await;
    assert_eq!(world.number(priority, package).await, Some(0));
    store_build(&world, last, None).await;
    assert_eq!(world.number(priority, package).await, Some(3000));
}

#[tokio::test]
async fn a_package_is_looked_at_again_when_its_last_build_becomes_comparable() {
    let world = World::new().await;
    let package = world.package("zlib").await;
    let build = world.build(package, 1, 3).await;
    world.execute("UPDATE build SET repo_id = 99 WHERE id = $1", build).await;
    let first = to_resolve(&world, 100).await.remove(0);
    store(&world, 100, &[result(&first, &[], vec![])]).await;
    assert!(to_resolve(&world, 100).await.is_empty());
    let dependency = world.dependency("a", "1").await;
    store_build(&world, build, Some(&[dependency])).await;
    let again = to_resolve(&world, 100).await.remove(0);
    assert!(again.previous.is_some());
}

#[tokio::test]
async fn an_install_set_that_cannot_be_read_counts_as_not_stored() {
    let world = World::new().await;
    let package = world.package("zlib").await;
    let (older, last) = (world.build(package, 1, 3).await, world.build(package, 2, 3).await);
    world.execute("UPDATE build SET deps_resolved = true, dependency_keys = '\\x00ff'::bytea WHERE id = $1", older).await;
    let dependency = world.dependency("a", "1").await;
    assert_eq!(store_build(&world, last, Some(&[dependency])).await, 1);
    let applied = "SELECT count(*) FROM applied_change WHERE build_id = $1";
    assert_eq!(world.number(applied, last).await, Some(0));
}

#[tokio::test]
async fn what_koji_refuses_to_tell_is_asked_again_later_and_counts_in_the_end() {
    let world = World::new().await;
    let mut conn = world.connection().await;
    let refusal = |said: &str| vec![("zlib-1-1".to_owned(), said.to_owned(), false)];
    for attempt in 1..=4 {
        let known =
            resolution::note_untold(&mut conn, Origin::Primary, &refusal("KeyError"), 4).await;
        let known = known.unwrap().remove(0);
        assert_eq!((known.attempts, known.is_final), (attempt, attempt == 4));
    }
    let minutes =
        "SELECT round(extract(epoch FROM ask_again - timezone('UTC', now())) / 60)::bigint
                     FROM untold_build_requires WHERE attempts > $1";
    assert_eq!(world.number(minutes, 3).await, Some(8), "1, 2, 4 and then 8");
    let names = ["zlib-1-1".to_owned(), "xz-1-1".to_owned()];
    let untold = resolution::untold(&mut conn, Origin::Primary, &names).await.unwrap();
    assert_eq!((untold.len(), untold[0].due), (1, false));
    let other = resolution::untold(&mut conn, Origin::Secondary, &names).await.unwrap();
    assert!(other.is_empty(), "n-v-r are unique within one Koji");
    resolution::forget_untold(&mut conn, Origin::Primary, &names).await.unwrap();
    assert!(resolution::untold(&mut conn, Origin::Primary, &names).await.unwrap().is_empty());
}

#[tokio::test]
async fn freshness_tells_when_koji_was_asked_and_since_when_there_is_trouble() {
    let world = World::new().await;
    let mut conn = world.connection().await;
    let package = world.package("zlib").await;
    world.build(package, 1, 3).await;
    let fresh = freshness::of_all(&mut conn).await.unwrap().remove(0);
    assert_eq!((fresh.repo_id, fresh.resolved, fresh.waiting), (Some(100), Some(true), 1));
    assert_eq!((fresh.looked, fresh.trouble), (None, None));

    freshness::note_look(&mut conn, world.collection, Some(hour(3))).await.unwrap();
    freshness::note_trouble(&mut conn, world.collection, Some("Koji is away")).await.unwrap();
    let first = freshness::of_all(&mut conn).await.unwrap().remove(0);
    assert!(first.looked.is_some());
    assert_eq!(first.repo_made, Some(hour(3)));
    freshness::note_trouble(&mut conn, world.collection, Some("and now this")).await.unwrap();
    let second = freshness::of_all(&mut conn).await.unwrap().remove(0);
    assert_eq!(second.trouble.as_deref(), Some("and now this"));
    assert_eq!(second.trouble_since, first.trouble_since, "it counts from the first");
    freshness::note_trouble(&mut conn, world.collection, None).await.unwrap();
    let third = freshness::of_all(&mut conn).await.unwrap().remove(0);
    assert_eq!((third.trouble, third.trouble_since), (None, None));
    // A collection that was deleted meanwhile is no error.
    freshness::note_look(&mut conn, 999, None).await.unwrap();
    freshness::note_trouble(&mut conn, 999, Some("gone")).await.unwrap();
}
