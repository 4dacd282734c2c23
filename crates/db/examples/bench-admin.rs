//! How long the administrator's large commands take on a database of Fedora's size: taking over a database of the original
//! software, branching, forking, cleaning up.
//!
//!     cargo run --package koschei-db --example bench-admin -- [--dir DIR] [--packages NUMBER]
//!
//! The database is filled once by `tools/populate.py` of the shared material (some minutes, 2 GB on disk) in a private
//! PostgreSQL, fsync included, that has 1 GB of shared memory; each run works on fresh copies of it. PostgreSQL does all of
//! the work, so it does not matter that this program is not optimised. What the schema of the original software was slow
//! at is measured before and after our migrations.
#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "ends with a sentence when something is missing"
)]

use std::path::PathBuf;
use std::time::{Duration, Instant};

use chrono::Utc;
use koschei_core::config::Priorities;
use koschei_db::administration::{
    Actor, Branch, Fork, branch_collection, clean_up, fork_collection, months_ago,
};
use koschei_db::pages::{self, DependencyInterval};
use koschei_db::testing::Filled;
use koschei_db::{DatabaseConfig, PgConnection, connect, connect_one, scheduling, schema};

#[tokio::main]
async fn main() {
    let mut directory = PathBuf::from("target/bench-database");
    let mut packages = 24_000;
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let value = words.next().unwrap_or_else(|| panic!("{word} needs a value"));
        match word.as_str() {
            "--dir" => directory = PathBuf::from(value),
            "--packages" => packages = value.parse().expect("--packages takes a number"),
            _ => panic!("there is no option {word}; there are --dir and --packages"),
        }
    }
    std::fs::create_dir_all(&directory).expect("the directory can be made");
    let directory = std::path::absolute(directory).expect("the directory has a path");
    let filled = Filled::start(&directory, packages).await;
    let config = filled.copy("bench_admin").await;
    let mut connection = connect_one(&config).await.expect("the server answers");
    println!("{}", describe(&mut connection).await);

    let weaknesses = before(&mut connection).await;
    let begun = Instant::now();
    let migrations = schema::upgrade(&mut connection, None).await.expect("it is taken over");
    let mut missed = Vec::new();
    let mut say = |what: String, begun: Instant, aim: u64| {
        let took = begun.elapsed();
        let met = took <= Duration::from_secs(aim);
        println!(
            "{:7.1} s  {what} [aim {aim} s{}]",
            took.as_secs_f64(),
            if met { "" } else { ": NOT MET" }
        );
        if !met {
            missed.push(what);
        }
    };
    say(
        format!("alembic upgrade head: taken over with {} migrations", migrations.len()),
        begun,
        60,
    );
    execute(&mut connection, "VACUUM ANALYZE").await;
    after(&mut connection, &config, weaknesses).await;

    let actor = Actor::administrator("bench-admin");
    let branch = Branch {
        master: "rawhide".into(),
        new_name: "f44".into(),
        display_name: "Fedora 43".into(),
        target: "f44".into(),
        dest_tag: "f44".into(),
        build_tag: "f44-build".into(),
        copy_build_tag: "f43-build".into(),
        bugzilla_version: Some("43".into()),
    };
    let begun = Instant::now();
    let copied = branch_collection(&mut connection, &actor, &branch).await.expect("it is branched");
    say(
        format!("branch-collection: {} packages, {} builds", copied.packages, copied.builds),
        begun,
        20,
    );

    execute(
        &mut connection,
        "DO $$ BEGIN CREATE ROLE plain; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
         GRANT ALL ON ALL TABLES IN SCHEMA public TO plain;
         GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO plain; SET ROLE plain",
    )
    .await;
    let again = Branch { master: "f44".into(), new_name: "f45".into(), ..branch };
    let again = Branch { display_name: "Fedora 44".into(), ..again };
    let begun = Instant::now();
    let copied = branch_collection(&mut connection, &actor, &again).await.expect("it is branched");
    say(
        format!(
            "branch-collection without the right to session_replication_role: {} packages, {} builds",
            copied.packages, copied.builds
        ),
        begun,
        20,
    );
    execute(&mut connection, "RESET ROLE").await;

    let fork = Fork {
        master: "f45".into(),
        new_name: "side".into(),
        display_name: "A side tag".into(),
        target: "side".into(),
        dest_tag: "side".into(),
        build_tag: "side-build".into(),
    };
    let begun = Instant::now();
    let copied = fork_collection(&mut connection, &actor, &fork).await.expect("it is forked");
    say(
        format!("fork-collection: {} packages, {} builds", copied.packages, copied.builds),
        begun,
        20,
    );

    let begun = Instant::now();
    let (mut last, mut longest) = (begun, Duration::ZERO);
    let cleaned = clean_up(&mut connection, &actor, months_ago(Utc::now(), 3), |_| {
        longest = longest.max(last.elapsed());
        last = Instant::now();
        true
    })
    .await
    .expect("it is cleaned up");
    say(
        format!(
            "cleanup: {} builds, {} resolution changes; longest transaction {:.0} ms",
            cleaned.builds,
            cleaned.resolution_changes,
            longest.as_secs_f64() * 1000.0
        ),
        begun,
        120,
    );
    if missed.is_empty() {
        println!("every aim was met");
    } else {
        println!("not met: {}", missed.join("; "));
    }
}

/// How long something takes that the original software's schema was slow at, in milliseconds; the middle of five, after
/// one to warm up. Nothing of it stays.
async fn middle(
    connection: &mut PgConnection,
    mut work: impl AsyncFnMut(&mut PgConnection) -> (),
) -> f64 {
    let mut times = Vec::new();
    for _ in 0..6 {
        execute(connection, "BEGIN").await;
        let begun = Instant::now();
        work(connection).await;
        times.push(begun.elapsed().as_secs_f64() * 1e3);
        execute(connection, "ROLLBACK").await;
    }
    times.remove(0);
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied().unwrap_or_default()
}

/// A build that nobody refers to, deleted.
const DELETE: &str = "DELETE FROM build WHERE id = (SELECT min(id) FROM build)";

/// A package that becomes blocked.
const BLOCK: &str = "UPDATE package SET blocked = true
                      WHERE id = (SELECT min(id) FROM package WHERE NOT blocked)";

/// The dependency whose changes are the most, and the two versions of its most frequent change.
const CHANGE: (&str, [&str; 4]) = ("glibc", ["4.11.8", "2.fc42", "4.11.8", "3.fc43"]);

/// What is slow with the original's schema and statements, in milliseconds.
async fn before(connection: &mut PgConnection) -> [f64; 4] {
    let (a, b) = Priorities::default().time_coefficients();
    // As the original computes it: numbers of any precision, and the builds to find out when they were started.
    let priorities = format!(
        "SELECT package.id, manual_priority + static_priority
                + (dependency_priority + build_priority
                   + greatest({a}::numeric * log(greatest(0.000001,
                         extract(epoch FROM clock_timestamp() - build.started) / 3600))
                     + {b}::numeric, -30)) * priority_coefficient AS priority
           FROM package
           JOIN collection ON collection.id = collection_id
           JOIN build ON build.id = last_build_id
          WHERE tracked AND NOT blocked AND last_build_id = last_complete_build_id
            AND (resolved OR resolved IS NULL AND skip_resolution) AND latest_repo_resolved
          ORDER BY priority DESC LIMIT 50"
    );
    let (name, [version, release, to_version, to_release]) = CHANGE;
    let side = |condition: &str| {
        format!(
            "(SELECT id FROM dependency WHERE name = '{name}' AND {})",
            condition
                .replace(
                    "FROM",
                    &format!("rpmvercmp_evr(epoch, version, release, 0, '{version}', '{release}')")
                )
                .replace(
                    "TO",
                    &format!(
                        "rpmvercmp_evr(epoch, version, release, 0, '{to_version}', '{to_release}')"
                    ),
                )
        )
    };
    let inside = side("FROM > 0 AND TO < 0");
    let affected = format!(
        "SELECT package.name, build.id, c.distance
           FROM (SELECT * FROM applied_change WHERE prev_dep_id IN {inside}
                 UNION SELECT * FROM applied_change WHERE curr_dep_id IN {inside}
                 UNION SELECT * FROM applied_change
                        WHERE prev_dep_id IN {} AND curr_dep_id IN {}) AS c
           JOIN dependency AS old ON old.id = c.prev_dep_id
           JOIN dependency AS new ON new.id = c.curr_dep_id
           JOIN build ON build.id = c.build_id
           JOIN package ON package.id = build.package_id
          WHERE NOT blocked AND tracked AND collection_id = 4 AND build.state = 5
            AND (SELECT earlier.state FROM build AS earlier
                  WHERE earlier.started < build.started AND earlier.package_id = build.package_id
                  ORDER BY earlier.started DESC LIMIT 1) <> 5
          ORDER BY c.distance, build.started DESC",
        side("FROM <= 0"),
        side("TO >= 0")
    );
    let mut times = [0.0; 4];
    for (time, statement) in
        times.iter_mut().zip([priorities.as_str(), affected.as_str(), DELETE, BLOCK])
    {
        *time = middle(connection, async |connection| execute(connection, statement).await).await;
    }
    times
}

/// The same with ours.
async fn after(connection: &mut PgConnection, config: &DatabaseConfig, before: [f64; 4]) {
    let pool = connect(config).await.expect("the server answers");
    let priorities = Priorities::default();
    let (name, [version, release, to_version, to_release]) = CHANGE;
    let interval = DependencyInterval {
        name: name.to_owned(),
        from: (0, version.to_owned(), release.to_owned()),
        to: (0, to_version.to_owned(), to_release.to_owned()),
    };
    let times = [
        middle(connection, async |connection| {
            let found = scheduling::candidates(connection, &priorities, Utc::now(), 50, &[], &[]);
            found.await.expect("they are found");
        })
        .await,
        middle(connection, async |_| {
            pages::affected_by(&pool, 4, &interval, 120).await.expect("they are found");
        })
        .await,
        middle(connection, async |connection| execute(connection, DELETE).await).await,
        middle(connection, async |connection| execute(connection, BLOCK).await).await,
    ];
    println!("what the original's schema and statements are slow at, before and after:");
    for ((what, before), after) in [
        "priorities of all packages".to_owned(),
        format!("affected-by for the most frequent change of {name}"),
        "deleting a build".to_owned(),
        "blocking a package".to_owned(),
    ]
    .into_iter()
    .zip(before)
    .zip(times)
    {
        println!("  {what}: {before:.1} ms, {after:.1} ms");
    }
    pool.close().await;
}

async fn execute(connection: &mut PgConnection, statements: &str) {
    sqlx::raw_sql(sqlx::AssertSqlSafe(statements.to_owned()))
        .execute(connection)
        .await
        .expect("it is done");
}

async fn describe(connection: &mut PgConnection) -> String {
    let (packages, builds, changes, size): (i64, i64, i64, String) = sqlx::query_as(
        "SELECT (SELECT count(*) FROM package), (SELECT count(*) FROM build),
                (SELECT count(*) FROM applied_change), pg_size_pretty(pg_database_size(current_database()))",
    )
    .fetch_one(connection)
    .await
    .expect("the server answers");
    format!("{packages} packages, {builds} builds, {changes} applied changes, {size}")
}
