//! Package lists, locks, announcements, priorities.

use koschei_core::states::{MessageWord, PackageState};
use koschei_db::packages::{self, PackageListChanges};

use crate::world::World;

fn list(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[tokio::test]
async fn the_package_list_follows_koji() {
    let world = World::new().await;
    let (known, gone) = (world.package("known").await, world.package("gone").await);
    let mut conn = world.connection().await;

    let names = list(&["known", "new", "new-blocked"]);
    let changes =
        packages::refresh_list(&mut conn, world.collection, &names, &[false, false, true])
            .await
            .unwrap();
    assert_eq!(
        changes,
        PackageListChanges {
            added: list(&["new", "new-blocked"]),
            blocked: list(&["gone"]),
            unblocked: vec![],
        }
    );
    assert_eq!(world.state(known).await, PackageState::Unknown);
    assert_eq!(world.state(gone).await, PackageState::Blocked, "no longer listed");
    let added: Vec<(String, bool, bool)> = sqlx::query_as(
        "SELECT name, tracked, blocked FROM package WHERE name LIKE 'new%' ORDER BY name",
    )
    .fetch_all(world.database.pool())
    .await
    .unwrap();
    assert_eq!(added, [("new".into(), false, false), ("new-blocked".into(), false, true)]);

    let names = list(&["known", "new", "new-blocked", "gone"]);
    let changes =
        packages::refresh_list(&mut conn, world.collection, &names, &[true, false, false, false])
            .await
            .unwrap();
    assert_eq!(
        changes,
        PackageListChanges {
            added: vec![],
            blocked: list(&["known"]),
            unblocked: list(&["gone", "new-blocked"]),
        }
    );
}

#[tokio::test]
async fn a_list_that_says_nothing_new_consumes_no_ids() {
    let world = World::new().await;
    let names = list(&["a", "b"]);
    let mut conn = world.connection().await;
    packages::refresh_list(&mut conn, world.collection, &names, &[false, false]).await.unwrap();
    let ids = "SELECT last_value FROM package_id_seq WHERE $1 = $1";
    let bases = "SELECT last_value FROM base_package_id_seq WHERE $1 = $1";
    let before = (world.number(ids, 0).await, world.number(bases, 0).await);
    let changes =
        packages::refresh_list(&mut conn, world.collection, &names, &[false, false]).await.unwrap();
    assert_eq!(changes, PackageListChanges::default());
    assert_eq!((world.number(ids, 0).await, world.number(bases, 0).await), before);
}

#[tokio::test]
async fn a_name_of_another_collection_is_shared() {
    let world = World::new().await;
    world.package("zlib").await;
    let other: i32 = sqlx::query_scalar(
        "INSERT INTO collection (name, display_name, target, dest_tag, build_tag)
         VALUES ('f41', 'Fedora 41', 'f41', 'f41', 'f41-build') RETURNING id",
    )
    .fetch_one(world.database.pool())
    .await
    .unwrap();
    let mut conn = world.connection().await;
    packages::refresh_list(&mut conn, other, &list(&["zlib"]), &[false]).await.unwrap();
    let bases = world.number("SELECT count(*) FROM base_package WHERE $1 = $1", 0).await;
    assert_eq!(bases, Some(1));
}

#[tokio::test]
async fn every_change_of_the_message_word_is_announced_and_nothing_else() {
    let world = World::new().await;
    let (failing, ok) = (world.package("failing").await, world.package("ok").await);
    world.build(failing, 1, 5).await;
    world.build(ok, 1, 3).await;
    let mut conn = world.connection().await;
    let locked = packages::lock(&mut conn, &[ok, failing]).await.unwrap();
    assert_eq!(locked.ids(), [failing, ok], "by id, whatever the order asked for");
    world.execute("UPDATE package SET tracked = false WHERE id = $1", failing).await;
    world.execute("UPDATE package SET manual_priority = 7 WHERE id = $1", ok).await;
    let changes = locked.announce(&mut conn).await.unwrap();
    assert_eq!(changes.len(), 1);
    assert_eq!(changes[0].name, "failing");
    assert_eq!((changes[0].old, changes[0].new), (MessageWord::Failing, MessageWord::Ignored));
}

#[tokio::test]
async fn a_reset_takes_all_but_the_static_priority() {
    let world = World::new().await;
    let package = world.package("zlib").await;
    let dependency = world.dependency("gcc", "1").await;
    world
        .execute(
            "UPDATE package SET static_priority = 1, manual_priority = 2, build_priority = 3,
                    dependency_priority = 4, scheduler_skip_reason = 2, scheduler_skip_basis = 'x' WHERE id = $1",
            package,
        )
        .await;
    sqlx::query("INSERT INTO unapplied_change (package_id, curr_dep_id) VALUES ($1, $2)")
        .bind(package)
        .bind(dependency)
        .execute(world.database.pool())
        .await
        .unwrap();
    let mut conn = world.connection().await;
    packages::reset_priorities(&mut conn, &[package]).await.unwrap();
    let sum =
        "SELECT (static_priority * 1000 + manual_priority + build_priority + dependency_priority
                       + coalesce(scheduler_skip_reason, 0))::bigint FROM package WHERE id = $1";
    assert_eq!(world.number(sum, package).await, Some(1000));
    let changes = "SELECT count(*) FROM unapplied_change WHERE package_id = $1";
    assert_eq!(world.number(changes, package).await, Some(0));
}
