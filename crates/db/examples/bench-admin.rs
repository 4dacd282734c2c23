//! How long the administrator's large commands take on a database of Fedora's size: taking over a database of the original
//! software, branching, forking, cleaning up.
//!
//!     cargo run --package koschei-db --example bench-admin -- [--dir DIR] [--packages NUMBER]
//!
//! The database is filled once by `tools/populate.py` of the shared material (some minutes, 2 GB on disk) in a private
//! PostgreSQL with its usual settings, fsync included; each run works on fresh copies of it. PostgreSQL does all of the
//! work, so it does not matter that this program is not optimised.
#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "ends with a sentence when something is missing"
)]

use std::path::PathBuf;
use std::time::{Duration, Instant};

use chrono::Utc;
use koschei_db::administration::{
    Actor, Branch, Fork, branch_collection, clean_up, fork_collection, months_ago,
};
use koschei_db::cluster::{Cluster, Options};
use koschei_db::{PgConnection, connect_one, schema, testing};

/// The database as the original software leaves it; it has this name only once it is full.
const ORIGINAL: &str = "original";

/// The copy that everything is done to.
const COPY: &str = "adopted";

#[tokio::main]
async fn main() {
    let mut directory = PathBuf::from("target/bench-admin");
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
    let directory = std::path::absolute(directory).expect("the directory has a path");
    let cluster = Cluster::start(Options::durable(directory.join(packages.to_string())))
        .await
        .unwrap_or_else(|error| panic!("{error}"));
    let mut postgres = connect(&cluster, "postgres").await;
    if !exists(&mut postgres, ORIGINAL).await {
        println!("filling a database with {packages} packages in each of four collections");
        fill(&cluster, &mut postgres, packages).await;
    }
    execute(&mut postgres, format!("DROP DATABASE IF EXISTS {COPY}")).await;
    execute(&mut postgres, format!("CREATE DATABASE {COPY} TEMPLATE {ORIGINAL}")).await;
    let mut connection = connect(&cluster, COPY).await;
    // What copying left in memory must not be written while something is measured.
    execute(&mut connection, "CHECKPOINT".to_owned()).await;
    println!("{}", describe(&mut connection).await);

    let begun = Instant::now();
    let migrations = schema::upgrade(&mut connection, None).await.expect("it is taken over");
    say(&format!("alembic upgrade head: taken over with {} migrations", migrations.len()), begun);
    execute(&mut connection, "ANALYZE".to_owned()).await;

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
        &format!("branch-collection: {} packages, {} builds", copied.packages, copied.builds),
        begun,
    );

    execute(
        &mut connection,
        "DO $$ BEGIN CREATE ROLE plain; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
         GRANT ALL ON ALL TABLES IN SCHEMA public TO plain;
         GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO plain; SET ROLE plain"
            .to_owned(),
    )
    .await;
    let again = Branch { master: "f44".into(), new_name: "f45".into(), ..branch };
    let again = Branch { display_name: "Fedora 44".into(), ..again };
    let begun = Instant::now();
    let copied = branch_collection(&mut connection, &actor, &again).await.expect("it is branched");
    say(
        &format!(
            "branch-collection without the right to session_replication_role: {} packages, {} builds",
            copied.packages, copied.builds
        ),
        begun,
    );
    execute(&mut connection, "RESET ROLE".to_owned()).await;

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
    say(&format!("fork-collection: {} packages, {} builds", copied.packages, copied.builds), begun);

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
        &format!(
            "cleanup: {} builds, {} resolution changes; longest transaction {:.0} ms",
            cleaned.builds,
            cleaned.resolution_changes,
            longest.as_secs_f64() * 1000.0
        ),
        begun,
    );
}

fn say(what: &str, begun: Instant) {
    println!("{:7.1} s  {what}", begun.elapsed().as_secs_f64());
}

async fn connect(cluster: &Cluster, database: &str) -> PgConnection {
    connect_one(&cluster.config(database, "bench-admin")).await.expect("the server answers")
}

async fn execute(connection: &mut PgConnection, statements: String) {
    sqlx::raw_sql(sqlx::AssertSqlSafe(statements)).execute(connection).await.expect("it is done");
}

async fn exists(connection: &mut PgConnection, database: &str) -> bool {
    sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)")
        .bind(database)
        .fetch_one(connection)
        .await
        .expect("the server answers")
}

async fn fill(cluster: &Cluster, postgres: &mut PgConnection, packages: u32) {
    let half = "being_filled";
    execute(postgres, format!("DROP DATABASE IF EXISTS {half}")).await;
    execute(postgres, format!("CREATE DATABASE {half}")).await;
    let config = cluster.config(half, "bench-admin");
    let mut connection = connect(cluster, half).await;
    schema::create_baseline(&mut connection).await.expect("the schema is created");
    drop(connection);
    tokio::task::spawn_blocking(move || testing::populate(&config, packages))
        .await
        .expect("it is filled");
    // The server notices a moment later that nobody is connected any more.
    let rename = format!("ALTER DATABASE {half} RENAME TO {ORIGINAL}");
    for _ in 0..100 {
        let renamed = sqlx::raw_sql(sqlx::AssertSqlSafe(rename.clone())).execute(&mut *postgres);
        if renamed.await.is_ok() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    execute(postgres, rename).await;
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
