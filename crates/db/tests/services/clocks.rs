//! Clocks that were put back: nobody waits for as long as they had been wrong.

use koschei_db::resolution::{self, Origin};
use koschei_db::{clocks, scheduling};

use crate::world::{World, hour};

#[tokio::test]
async fn waits_that_are_longer_than_they_can_be_begin_anew_and_others_go_on() {
    let world = World::new().await;
    let mut conn = world.connection().await;
    let (long, short) = (world.package("long").await, world.package("short").await);
    let wait = "UPDATE package SET fault_streak = 2, not_before = timezone('UTC', now()) + interval '3 days'
                 WHERE id = $1";
    world.execute(wait, long).await;
    let wait = "UPDATE package SET fault_streak = 2, not_before = timezone('UTC', now()) + interval '7 minutes'
                 WHERE id = $1";
    world.execute(wait, short).await;
    let cancelled = world.package("cancelled").await;
    let wait = "UPDATE package SET not_before = timezone('UTC', now()) + interval '330 minutes' WHERE id = $1";
    world.execute(wait, cancelled).await;
    let refusals = [("zlib-1-1".to_owned(), "KeyError".to_owned(), false)];
    resolution::note_untold(&mut conn, Origin::Primary, &refusals, 4).await.unwrap();
    let later =
        "UPDATE untold_build_requires SET ask_again = ask_again + interval '3 days' WHERE $1 > 0";
    world.execute(later, 1).await;

    assert_eq!(clocks::shorten_waits(&mut conn).await.unwrap(), 2);
    let minutes =
        "SELECT round(extract(epoch FROM not_before - timezone('UTC', now())) / 60)::bigint
           FROM package WHERE id = $1";
    assert_eq!(world.number(minutes, long).await, Some(10), "what two faults in a row cost");
    assert_eq!(world.number(minutes, short).await, Some(7));
    let told = world.number(minutes, cancelled).await;
    assert_eq!(told, Some(330), "a cancelled build may cost six hours");
    let wait =
        "UPDATE package SET not_before = timezone('UTC', now()) + interval '3 days' WHERE id = $1";
    world.execute(wait, cancelled).await;
    assert_eq!(clocks::shorten_waits(&mut conn).await.unwrap(), 1);
    assert_eq!(world.number(minutes, cancelled).await, Some(360));
    let names = ["zlib-1-1".to_owned()];
    assert!(resolution::untold(&mut conn, Origin::Primary, &names).await.unwrap()[0].due);
    assert_eq!(clocks::shorten_waits(&mut conn).await.unwrap(), 0);
}

#[tokio::test]
async fn a_package_whose_build_runs_is_no_candidate_even_if_it_seems_older_than_the_last_one() {
    let world = World::new().await;
    let package = world.package("zlib").await;
    world.build(package, 10, 3).await;
    world
        .execute(
            "UPDATE package SET resolved = true, manual_priority = 1000 WHERE id = $1",
            package,
        )
        .await;
    let mut conn = world.connection().await;
    let parameters = koschei_core::config::Priorities::default();
    let mut candidates = async || {
        let found = scheduling::candidates(&mut conn, &parameters, hour(500), 10, &[], &[]);
        found.await.unwrap().len()
    };
    assert_eq!(candidates().await, 1);
    // Submitted after the clock was put back by half a day.
    world.build(package, 2, 2).await;
    assert_eq!(candidates().await, 0);
}
