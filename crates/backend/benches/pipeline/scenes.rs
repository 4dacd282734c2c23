//! What is measured, one scene after the other.

use std::collections::HashMap;
use std::path::Path;
use std::time::{Duration, Instant};

use chrono::Utc;
use koschei_backend::{Context, build_resolver, finishing, polling, real_builds};
use koschei_core::changes::Change;
use koschei_core::config::Priorities;
use koschei_db::builds::{self, ScratchBuild};
use koschei_db::entities::{self, Collection, NewCollection};
use koschei_db::resolution::{self, PackageResolution};
use koschei_db::testing::Filled;
use koschei_db::{Pool, administration, connect_one, scheduling, schema};

use crate::one_by_one;
use crate::workers::{Worker, context, processor_time};

/// Package, last build, whether resolved, dependency priority, build to compare with.
type PackageRow = (i32, Option<i32>, Option<bool>, i32, Option<i32>);

/// Package, previous and current dependency, distance.
type ChangeRow = (i32, Option<i32>, Option<i32>, Option<i32>);

/// What everything works on.
struct Stage {
    ctx: Context,
    hub: Worker,
    resolver: Worker,
    collection: Collection,
    /// All source packages, by name.
    names: Vec<String>,
    /// Names of packages that many others need, which are taken away and come back.
    libraries: Vec<String>,
    aims: Vec<Aim>,
}

/// For what polling does with Koji's answers, beside Koji's own time.
const LIMIT: Option<Duration> = Some(Duration::from_secs(2));

/// What was aimed at.
struct Aim {
    what: String,
    met: bool,
}

pub(crate) async fn measure(directory: &str, repositories: &str) {
    let directory = Path::new(directory);
    std::fs::create_dir_all(directory).expect("the directory can be made");
    let filled = Filled::start(directory, 24_000).await;
    let begun = Instant::now();
    let config = filled.copy("bench_pipeline").await;
    let mut connection = connect_one(&config).await.unwrap_or_else(|error| panic!("{error}"));
    let migrations =
        schema::upgrade(&mut connection, None).await.unwrap_or_else(|error| panic!("{error}"));
    // Of those of the filled database that are running, or wait for the build-resolver, the hub knows nothing.
    for statement in [
        "DELETE FROM build WHERE state = 2",
        "UPDATE build SET deps_resolved = false WHERE deps_resolved IS NULL",
        "VACUUM ANALYZE",
    ] {
        sqlx::raw_sql(statement).execute(&mut connection).await.unwrap();
    }
    drop(connection);
    println!(
        "database copied, {} migrations applied: {:.0} s",
        migrations.len(),
        begun.elapsed().as_secs_f64()
    );
    let socket = filled.cluster().socket_directory().display().to_string().replace('/', "%2F");
    let database = format!("postgresql://koschei@{socket}/bench_pipeline");
    let mut stage = Stage::set(directory, repositories, &database).await;
    stage.scheduler().await;
    stage.package_list().await;
    stage.track().await;
    stage.real_builds().await;
    stage.build_resolver().await;
    stage.first_repo().await;
    stage.repos().await;
    stage.one_by_one().await;
    stage.more_real_builds().await;
    stage.running_builds().await;
    stage.close().await;
    drop(filled);
}

impl Stage {
    async fn set(directory: &Path, repositories: &str, database: &str) -> Stage {
        for name in ["hub", "cache"] {
            let _ = std::fs::remove_dir_all(directory.join(name));
        }
        let begun = Instant::now();
        let at = |name: &str| directory.join(name).display().to_string();
        let (hub, address) = Worker::start(&["serve", &at("hub"), repositories]);
        println!("the hub has its world: {:.0} s", begun.elapsed().as_secs_f64());
        let ctx = context(&address, database, &at("cache")).await;
        let (resolver, _) =
            Worker::start(&["resolve", &address, database, &at("cache-of-resolver")]);
        let release = Path::new(repositories)
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .expect("the directory has a name");
        let new = NewCollection {
            poll_untracked: true,
            ..NewCollection::new(&release, &release, &release, &format!("{release}-build"))
        };
        let id = entities::create_collection(&ctx.db, &new).await.unwrap().unwrap();
        let collection = entities::collection(&ctx.db, id).await.unwrap().unwrap();
        Stage {
            ctx,
            hub,
            resolver,
            collection,
            names: Vec::new(),
            libraries: Vec::new(),
            aims: Vec::new(),
        }
    }

    fn db(&self) -> &Pool {
        &self.ctx.db
    }

    async fn count(&self, query: &'static str) -> i64 {
        sqlx::query_scalar(query).bind(self.collection.id).fetch_one(self.db()).await.unwrap()
    }

    /// Runs something that asks Koji; prints what it took beside Koji's time.
    async fn beside_koji<T>(
        &mut self,
        what: &str,
        aim: Option<Duration>,
        work: impl AsyncFnOnce(&Context) -> T,
    ) -> T {
        let (spent, begun, processor) =
            (self.hub.number("spent"), Instant::now(), processor_time());
        let result = work(&self.ctx).await;
        let (took, processor) = (begun.elapsed(), processor_time() - processor);
        let koji = Duration::from_micros(self.hub.number("spent") - spent);
        let beside = took.saturating_sub(koji);
        let aimed = self.aim(what, beside, aim);
        println!(
            "  {what}: {}{aimed} beside Koji's {} (processor {})",
            seconds(beside),
            seconds(koji),
            seconds(processor)
        );
        result
    }

    /// Notes whether a time is as short as it was aimed at; what to say about it.
    fn aim(&mut self, what: &str, took: Duration, aim: Option<Duration>) -> String {
        let Some(aim) = aim else { return String::new() };
        let met = took <= aim;
        self.aims.push(Aim { what: what.to_owned(), met });
        format!(" [aim {}{}]", seconds(aim), if met { "" } else { ": NOT MET" })
    }

    async fn package_list(&mut self) {
        println!("package list");
        let collection = self.collection.clone();
        let new = self
            .beside_koji("package list, all are new", LIMIT, async |ctx| {
                polling::packages(ctx, &collection).await
            })
            .await
            .unwrap();
        println!("    {new} packages");
        let none = self
            .beside_koji("package list, nothing changed", LIMIT, async |ctx| {
                polling::packages(ctx, &collection).await
            })
            .await
            .unwrap();
        assert_eq!(none, 0);
        sqlx::query("UPDATE package SET blocked = true WHERE collection_id = $1 AND hashtext(name) % 25 = 0")
            .bind(collection.id)
            .execute(self.db())
            .await
            .unwrap();
        let changed = self
            .beside_koji("package list, some are blocked no longer", LIMIT, async |ctx| {
                polling::packages(ctx, &collection).await
            })
            .await
            .unwrap();
        println!("    {changed} packages");
    }

    async fn track(&mut self) {
        self.names =
            sqlx::query_scalar("SELECT name FROM package WHERE collection_id = $1 ORDER BY name")
                .bind(self.collection.id)
                .fetch_all(self.db())
                .await
                .unwrap();
        let actor = administration::Actor::administrator("benchmark");
        let mut connection = self.db().acquire().await.unwrap();
        let tracked =
            administration::track(&mut connection, &actor, &self.collection.name, &self.names)
                .await;
        assert_eq!(tracked.unwrap().len(), self.names.len());
    }

    async fn real_builds(&mut self) {
        println!("real builds of everything");
        let collection = self.collection.clone();
        let count = self
            .beside_koji("all registered", None, async |ctx| {
                real_builds::follow_tag(ctx, &collection, None).await
            })
            .await
            .unwrap();
        println!("    {count} builds");
        let none = self
            .beside_koji("nothing changed", LIMIT, async |ctx| {
                real_builds::follow_tag(ctx, &collection, None).await
            })
            .await
            .unwrap();
        assert_eq!(none, 0);
    }

    async fn build_resolver(&mut self) {
        println!(
            "build-resolver: BuildRequires of everything fetched, all builds resolved in their repo"
        );
        self.beside_koji("the first time", None, async |ctx| build_resolver::step(ctx).await)
            .await
            .unwrap();
        let done = self
            .count(
                "SELECT count(*) FROM build JOIN package ON package.id = package_id
                  WHERE collection_id = $1 AND deps_resolved",
            )
            .await;
        println!("    {done} builds have an install set");
    }

    /// The repo that everything was built in: every package gets its state, and has no changes.
    async fn first_repo(&mut self) {
        println!("repo-resolver");
        self.resolve("the first repo, in which everything was built").await;
    }

    async fn repos(&mut self) {
        // Leaves of the buildroot that some hundred packages need.
        self.libraries = ["cmocka", "libyaml", "check", "libconfig"].map(str::to_owned).to_vec();
        self.rebuild(1, 170).await;
        self.new_repo().await;
        self.resolve("a repo with 1 source package in 170 rebuilt").await;
        self.rebuild(2, 20).await;
        let libraries = self.libraries.join(" ");
        self.hub.ask(&format!("untag {libraries}"));
        self.new_repo().await;
        self.resolve("1 in 20 rebuilt, and four libraries gone").await;
        self.rebuild(3, 20).await;
        self.hub.ask(&format!("rebuild {libraries}"));
        self.new_repo().await;
        self.resolve("1 in 20 rebuilt, and the libraries back").await;
    }

    /// New builds in Koji of one source package in so many, a different choice each time.
    async fn rebuild(&mut self, salt: usize, one_in: usize) -> usize {
        let chosen: Vec<&str> = self
            .names
            .iter()
            .enumerate()
            .filter(|(place, name)| {
                (place * 7919 + salt * 31).is_multiple_of(one_in) && !self.libraries.contains(name)
            })
            .map(|(_, name)| name.as_str())
            .collect();
        let command = format!("rebuild {}", chosen.join(" "));
        assert_eq!(self.hub.number(&command), chosen.len() as u64);
        chosen.len()
    }

    async fn new_repo(&mut self) {
        let command = format!("repo {}", self.collection.build_tag);
        self.hub.ask(&command);
    }

    async fn resolve(&mut self, what: &str) {
        const CHANGES: &str =
            "SELECT count(*) FROM unapplied_change JOIN package ON package.id = package_id
                                WHERE collection_id = $1";
        const HISTORY: &str =
            "SELECT count(*) FROM resolution_change JOIN package ON package.id = package_id
                                WHERE collection_id = $1";
        const UNRESOLVED: &str =
            "SELECT count(*) FROM package WHERE collection_id = $1 AND NOT resolved";
        const DONE: &str =
            "SELECT count(*) FROM package JOIN collection ON collection.id = collection_id
                             WHERE collection_id = $1 AND resolved_repo_id = latest_repo_id";
        const MESSAGES: &str = "SELECT count(*) FROM outbox WHERE $1 > 0";
        let (history, messages) = (self.count(HISTORY).await, self.count(MESSAGES).await);
        let answer = self.resolver.ask("step");
        let numbers: Vec<u64> = answer.split(' ').map(|number| number.parse().unwrap()).collect();
        let [done, took, processor, memory] = numbers[..] else { panic!("{answer}") };
        let took = Duration::from_millis(took);
        let aimed = self.aim(what, took, Some(Duration::from_secs(15)));
        let megabytes = memory / 1024;
        let met = megabytes < 400;
        self.aims.push(Aim { what: format!("{what}: memory"), met });
        println!(
            "  {what}: {}{aimed} (its own processor time {}), peak memory {megabytes} MB [aim 400 MB{}]",
            seconds(took),
            seconds(Duration::from_millis(processor)),
            if met { "" } else { ": NOT MET" }
        );
        println!(
            "    {done} packages stored, {} of them resolved in this repo; {} unresolved, {} history entries, {} messages, {} unapplied changes",
            self.count(DONE).await,
            self.count(UNRESOLVED).await,
            self.count(HISTORY).await - history,
            self.count(MESSAGES).await - messages,
            self.count(CHANGES).await
        );
    }

    async fn scheduler(&mut self) {
        println!("scheduler");
        let packages: i64 =
            sqlx::query_scalar("SELECT count(*) FROM package").fetch_one(self.db()).await.unwrap();
        let mut connection = self.db().acquire().await.unwrap();
        let mut times = Vec::new();
        let mut found = 0;
        for _ in 0..7 {
            let begun = Instant::now();
            let candidates = scheduling::candidates(
                &mut connection,
                &Priorities::default(),
                Utc::now(),
                50,
                &[],
                &[],
            )
            .await
            .unwrap();
            times.push(begun.elapsed());
            found = candidates.len();
        }
        drop(connection);
        times.sort();
        let middle = times[times.len() / 2];
        let aimed = self.aim("the scheduler's decision", middle, Some(Duration::from_millis(50)));
        println!(
            "  the decision over {packages} packages: {}{aimed} (middle of {}; slowest {}), {found} candidates",
            seconds(middle),
            times.len(),
            seconds(times[times.len() - 1])
        );
        // The formula as the original puts it: in numeric, and with the builds to find out when they were started.
        let (a, b) = Priorities::default().time_coefficients();
        let statement = format!(
            "SELECT count(*) FROM (
                SELECT package.id, manual_priority + static_priority
                       + (dependency_priority + build_priority
                          + greatest({a}::numeric * log(greatest(0.000001,
                                extract(epoch FROM clock_timestamp() AT TIME ZONE 'UTC' - build.started) / 3600))
                            + {b}::numeric, -30)) * priority_coefficient AS priority
                  FROM package
                  JOIN collection ON collection.id = collection_id
                  JOIN build ON build.id = last_build_id
                 WHERE tracked AND NOT blocked AND last_build_id = last_complete_build_id
                   AND (resolved OR resolved IS NULL AND skip_resolution) AND latest_repo_resolved
                 ORDER BY priority DESC) AS current WHERE priority >= 256"
        );
        let begun = Instant::now();
        let found: i64 =
            sqlx::query_scalar(sqlx::AssertSqlSafe(statement)).fetch_one(self.db()).await.unwrap();
        println!(
            "  the same in the way of the original: {}, {found} at the threshold or above",
            seconds(begun.elapsed())
        );
    }

    /// What the last repo left for a thousand packages, stored once more in either way, and taken back.
    async fn one_by_one(&self) {
        println!("persisting");
        let rows: Vec<PackageRow> = sqlx::query_as(
            "SELECT package.id, last_build_id, resolved, dependency_priority, last.id
               FROM package JOIN build AS last ON last.id = last_build_id
              WHERE collection_id = $1 AND resolved AND last.state IN (3, 5) AND last.deps_resolved
              ORDER BY hashtext(name) LIMIT 1000",
        )
        .bind(self.collection.id)
        .fetch_all(self.db())
        .await
        .unwrap();
        let ids: Vec<i32> = rows.iter().map(|row| row.0).collect();
        let mut changes: HashMap<i32, Vec<Change>> = HashMap::new();
        let all: Vec<ChangeRow> = sqlx::query_as(
            "SELECT package_id, prev_dep_id, curr_dep_id, distance FROM unapplied_change WHERE package_id = ANY($1)",
        )
        .bind(&ids)
        .fetch_all(self.db())
        .await
        .unwrap();
        let count = all.len();
        for (package_id, prev, curr, distance) in all {
            let distance = distance.and_then(|distance| u8::try_from(distance).ok());
            changes.entry(package_id).or_default().push(Change { prev, curr, distance });
        }
        let results: Vec<PackageResolution> = rows
            .into_iter()
            .map(|(package_id, last_build_id, resolved, dependency_priority, previous_build_id)| {
                PackageResolution {
                    package_id,
                    last_build_id,
                    previous_build_id,
                    previously_resolved: resolved,
                    problems: Default::default(),
                    changes: changes.remove(&package_id).unwrap_or_default(),
                    dependency_priority,
                }
            })
            .collect();
        let repo_id = i32::MAX;
        for (what, fresh) in [("all changes are new", true), ("nothing has changed", false)] {
            let mut times = Vec::new();
            for at_once in [false, true] {
                let mut transaction = koschei_db::begin(self.db()).await.unwrap();
                if fresh {
                    sqlx::query("DELETE FROM unapplied_change WHERE package_id = ANY($1)")
                        .bind(&ids)
                        .execute(&mut *transaction)
                        .await
                        .unwrap();
                }
                let begun = Instant::now();
                if at_once {
                    for chunk in results.chunks(self.ctx.config.dependency.persist_chunk_size) {
                        let stored = resolution::store_packages(&mut transaction, repo_id, chunk);
                        assert_eq!(stored.await.unwrap().stored, chunk.len());
                    }
                } else {
                    for result in &results {
                        let fate =
                            one_by_one::store(&mut transaction, repo_id, result).await.unwrap();
                        assert_eq!(fate, one_by_one::Fate::Stored);
                    }
                }
                times.push(begun.elapsed());
                transaction.rollback().await.unwrap();
            }
            println!(
                "  {} packages with {count} changes, {what}: a statement for each row {}; ours {}",
                results.len(),
                seconds(times[0]),
                seconds(times[1])
            );
        }
    }

    async fn more_real_builds(&mut self) {
        println!("1,000 real builds");
        let collection = self.collection.clone();
        // What was rebuilt for the repos is registered first.
        real_builds::follow_tag(&self.ctx, &collection, None).await.unwrap();
        let chosen: Vec<String> = self.names.iter().step_by(34).take(1000).cloned().collect();
        self.hub.ask(&format!("rebuild {}", chosen.join(" ")));
        let count = self
            .beside_koji("1,000 real builds registered", LIMIT, async |ctx| {
                real_builds::follow_tag(ctx, &collection, None).await
            })
            .await
            .unwrap();
        println!("    {count} builds");
    }

    async fn running_builds(&mut self) {
        println!("500 running builds");
        let chosen: Vec<String> =
            self.names.iter().skip(5).step_by(60).take(500).cloned().collect();
        let tasks = self.hub.ask(&format!("scratch {}", chosen.join(" ")));
        let tasks: Vec<i32> = tasks.split(' ').map(|task| task.parse().unwrap()).collect();
        assert_eq!(tasks.len(), 500);
        for (name, task_id) in chosen.iter().zip(&tasks) {
            let (package_id, version, release): (i32, String, String) = sqlx::query_as(
                "SELECT package.id, version, release FROM package JOIN build ON build.id = last_build_id
                  WHERE name = $1 AND collection_id = $2",
            )
            .bind(name)
            .bind(self.collection.id)
            .fetch_one(self.db())
            .await
            .unwrap();
            let build = ScratchBuild {
                package_id,
                task_id: *task_id,
                started: Utc::now(),
                epoch: None,
                version,
                release,
                repo_id: None,
            };
            let mut transaction = koschei_db::begin(self.db()).await.unwrap();
            builds::insert_scratch(&mut transaction, &build).await.unwrap().unwrap();
            transaction.commit().await.unwrap();
        }
        for what in [
            "500 running builds polled, their repos and parts are new",
            "500 running builds polled, nothing is new",
        ] {
            self.beside_koji(what, LIMIT, async |ctx| finishing::update_all(ctx).await)
                .await
                .unwrap();
        }
        let words =
            |tasks: &[i32]| tasks.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
        self.hub.ask(&format!("close {}", words(&tasks[..250])));
        self.hub.ask(&format!("fail {}", words(&tasks[250..])));
        let ended = self
            .beside_koji("500 running builds polled, all have ended", LIMIT, async |ctx| {
                finishing::update_all(ctx).await
            })
            .await
            .unwrap();
        println!("    {ended} builds ended");
    }

    async fn close(self) {
        let missed: Vec<&str> =
            self.aims.iter().filter(|aim| !aim.met).map(|aim| aim.what.as_str()).collect();
        println!("{} of {} aims met", self.aims.len() - missed.len(), self.aims.len());
        if !missed.is_empty() {
            println!("not met: {}", missed.join("; "));
        }
        self.ctx.db.close().await;
    }
}

fn seconds(time: Duration) -> String {
    if time < Duration::from_millis(100) {
        format!("{:.1} ms", time.as_secs_f64() * 1e3)
    } else {
        format!("{:.2} s", time.as_secs_f64())
    }
}
