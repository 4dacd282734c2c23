//! The statistics tables.

use koschei_db::statistics;

use crate::world::World;

#[tokio::test]
async fn statistics_are_recomputed_as_a_whole() {
    let world = World::new().await;
    let (zlib, xz) = (world.package("zlib").await, world.package("xz").await);
    world.execute("UPDATE package SET tracked = false, blocked = true WHERE id = $1", xz).await;
    let build = world.build(zlib, 1, 3).await;
    for _ in 0..2 {
        sqlx::query(
            "INSERT INTO koji_task (build_id, task_id, arch, state, started, finished)
             VALUES ($1, 1, 'x86_64', 2, '2026-11-01 00:00', '2026-11-01 00:10'),
                    ($1, 2, 'aarch64', 2, '2026-11-01 00:00', '2026-11-01 00:20'),
                    ($1, 3, 'i386', 1, '2026-11-01 00:00', NULL)",
        )
        .bind(build)
        .execute(world.database.pool())
        .await
        .unwrap();
        let mut transaction = world.database.pool().begin().await.unwrap();
        statistics::refresh(&mut transaction).await.unwrap();
        transaction.commit().await.unwrap();
    }
    let counts: (i32, i32, i32, i32, i32, i32) = sqlx::query_as(
        "SELECT packages, tracked_packages, blocked_packages, builds, real_builds, scratch_builds FROM scalar_stats",
    )
    .fetch_one(world.database.pool())
    .await
    .unwrap();
    assert_eq!(counts, (2, 1, 1, 1, 0, 1));
    let spent: Vec<(String, String, i32)> = sqlx::query_as(
        "SELECT arch, time::text, round(time_percentage * 300)::int FROM resource_consumption_stats ORDER BY arch",
    )
    .fetch_all(world.database.pool())
    .await
    .unwrap();
    assert_eq!(
        spent,
        [("aarch64".into(), "00:40:00".into(), 200), ("x86_64".into(), "00:20:00".into(), 100)]
    );
}
