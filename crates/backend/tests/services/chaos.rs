//! Everything goes wrong at once, drawn from a seed: Koji away, its answers lost, PostgreSQL restarted in the middle of
//! transactions, the broker gone, the repository server slow or damaging what it sends, no room for repositories, clocks
//! that jump, processes killed at every point. Packagers and people go on meanwhile. When it is over, everything has to be
//! as if nothing had happened.
//!
//! `make test` has a short one, always the same; `make chaos` a long one from a new seed. The seed decides everything but
//! what the machine's scheduling decides; who finds a failure gets a command for the same seed again.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use fedora_messaging::testing::Broker;
use fedora_messaging::{Config as Bus, Consumer, Message, Publisher, Severity};
use futures_util::future::{BoxFuture, FutureExt as _, join_all};
use koji::calls::{self, ListTagged};
use kojisim::{Ending, KOSCHEI_USER, Mishap, Push};
use koschei_backend::{
    Context, Outcome, Service, Stopper, build_resolver, driver, polling, publisher, repo_resolver,
    scheduler, watcher,
};
use koschei_core::tasks::{Standing, standing};
use koschei_db::administration::{self, Actor};
use koschei_db::cluster::Cluster;
use koschei_db::testing;
use serde_json::{Value, json};

use crate::bad_days::killed_after;
use crate::gate::{Gate, Passage};
use crate::world::{LONG, TAG, World, clean};

/// As many builds as `make test` has the time for.
const FEW: u64 = 60;

/// The seed of `make test`.
const SEED: u64 = 20;

/// Builds that may run at once.
const MAX_BUILDS: u32 = 12;

/// Packages without which the build group can be installed. They come and go; without the others nothing is built.
const LEAVES: [&str; 6] = ["libyaml", "less", "meson", "nano", "python-lxml", "python-pyyaml"];

/// The queue that keeps what we publish.
const TOLD: &str = "chaos.told";

/// The topic of a message that comes last.
const LAST: &str = "koschei.end";

/// The queue of the watcher, and what its topics begin with.
const HEARD: &str = "chaos.heard";

/// Chance, from a seed (splitmix64).
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    fn percent(&mut self, chance: u64) -> bool {
        self.below(100) < chance
    }

    fn pick<'a, T>(&mut self, all: &'a [T]) -> Option<&'a T> {
        let place = self.below(all.len().max(1) as u64) as usize;
        all.get(place)
    }
}

fn number_from(variable: &str, otherwise: u64) -> u64 {
    match std::env::var(variable) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{variable} is no number: {text}")),
        Err(_) => otherwise,
    }
}

/// What happened so far; printed when the test fails.
struct Diary {
    /// Whether somebody looks on.
    aloud: bool,
    seed: u64,
    builds: u64,
    text: String,
}

impl Diary {
    fn note(&mut self, what: impl std::fmt::Display) {
        if self.aloud {
            eprintln!("{what}");
        }
        let _ = writeln!(self.text, "{what}");
    }
}

impl Drop for Diary {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let Self { seed, builds, text, .. } = self;
            eprintln!(
                "{text}\nThe same again: make chaos ARGS=\"--seed {seed} --builds {builds}\""
            );
        }
    }
}

/// Trouble that lasts for a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trouble {
    None,
    KojiOffline,
    KojiCutOff,
    AnswersLost,
    SessionsGone,
    ConnectionsEnded,
    DatabaseRestarted,
    BrokerGone,
    FilesSlow,
    FilesDamaged,
    NoCache,
    ClockJumps,
    KojiBusy,
}

const TROUBLES: [Trouble; 13] = [
    Trouble::None,
    Trouble::KojiOffline,
    Trouble::KojiCutOff,
    Trouble::AnswersLost,
    Trouble::SessionsGone,
    Trouble::ConnectionsEnded,
    Trouble::DatabaseRestarted,
    Trouble::BrokerGone,
    Trouble::FilesSlow,
    Trouble::FilesDamaged,
    Trouble::NoCache,
    Trouble::ClockJumps,
    Trouble::KojiBusy,
];

/// What runs beside the steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Beside {
    Publisher,
    Watcher,
}

struct Process {
    task: tokio::task::JoinHandle<()>,
    stopper: Stopper,
}

struct Chaos {
    dice: Dice,
    diary: Diary,
    world: World,
    cluster: Cluster,
    /// The same installation on other hosts.
    hosts: Vec<Context>,
    files: Gate,
    bus: Gate,
    // Dropped, it ends.
    _broker: Broker,
    sender: Publisher,
    through_gate: Bus,
    /// What runs beside the steps: publishers and a watcher. They are killed and started again.
    beside: Vec<(Beside, Process)>,
    consumer: Bus,
    pushes: u64,
}

impl Chaos {
    async fn new(seed: u64, builds: u64) -> Self {
        let (cluster, database) = testing::cluster().await;
        let mut database = database.publishing(true);
        database.acquire_timeout = Duration::from_secs(10);
        let mut world = World::on(koschei_db::connect(&database).await.unwrap()).await;
        let broker = tokio::task::block_in_place(Broker::start);
        let bus = Gate::before(broker.address()).await;
        let files = Gate::before(world.sim.address()).await;
        world.config.koji_config.topurl = format!("http://{}/kojifiles", files.address());
        world.config.koji_config.max_builds = MAX_BUILDS;
        world.config.koji_config.load_threshold = 1.0;
        world.config.dependency.persist_chunk_size = 7;
        world.config.fedmsg.topic = format!("{HEARD}.buildsys");
        world.ctx = world.other(|_| ());
        let hosts = world.processes(&database, 3, |_| ()).await;
        let hosts = hosts.into_iter().map(|(ctx, _)| ctx).collect();

        // Whatever is told, and whatever is to be heard, stays in queues that outlive connections.
        let consumer = broker.with_queue(TOLD, &["koschei.#"]);
        drop(Consumer::connect(&consumer, "test").await.unwrap());
        let mut through_gate = broker.with_queue(HEARD, &[&format!("{HEARD}.#")]);
        drop(Consumer::connect(&through_gate, "test").await.unwrap());
        let sender = Publisher::connect(&broker.config(""), "test").await.unwrap();
        let url = format!("amqp://koschei:koschei@{}/%2F", bus.address());
        through_gate.amqp_url = url.parse().unwrap();
        Self {
            dice: Dice(seed),
            diary: Diary {
                aloud: std::env::var_os("KOSCHEI_CHAOS_ALOUD").is_some(),
                seed,
                builds,
                text: String::new(),
            },
            world,
            cluster,
            hosts,
            files,
            bus,
            _broker: broker,
            sender,
            through_gate,
            beside: Vec::new(),
            consumer,
            pushes: 0,
        }
    }

    /// Every package is tracked, as a person would do it, and has its state.
    async fn settle(&mut self) {
        self.beside = [Beside::Publisher, Beside::Publisher, Beside::Watcher]
            .map(|what| (what, self.start_beside(what)))
            .into();
        clean(polling::step(&self.world.ctx).await.unwrap());
        let names = self.world.texts("SELECT name FROM package ORDER BY name").await;
        let mut conn = self.world.connection().await;
        let actor = Actor::administrator("me");
        administration::track(&mut conn, &actor, "buyan2", &names).await.unwrap();
        drop(conn);
        clean(build_resolver::step(&self.world.ctx).await.unwrap());
        clean(repo_resolver::step(&self.world.ctx).await.unwrap());
    }

    /// A publisher or the watcher, on a host of its own.
    fn start_beside(&self, what: Beside) -> Process {
        let (stopper, stop) = Stopper::new();
        let mut ctx = self.world.other(|_| ());
        ctx.stop = stop;
        let bus = self.through_gate.clone();
        let task = tokio::spawn(async move {
            match what {
                Beside::Publisher => publisher::run(&ctx, &bus).await,
                Beside::Watcher => drop(watcher::run(&ctx, &bus).await),
            }
        });
        Process { task, stopper }
    }

    async fn turn(&mut self) {
        self.packagers().await;
        self.people().await;
        let trouble = *self.dice.pick(&TROUBLES).unwrap();
        self.begin(trouble).await;
        self.work(trouble).await;
        self.end(trouble).await;
        if self.dice.percent(20) {
            let victim = self.dice.below(self.beside.len() as u64) as usize;
            let what = self.beside[victim].0;
            self.diary.note(format_args!("a {what:?} is killed and started again"));
            self.beside[victim].1.task.abort();
            self.beside[victim].1 = self.start_beside(what);
        }
        self.tell().await;
        self.check_limit().await;
    }

    /// What happens in Koji without us.
    async fn packagers(&mut self) {
        let names = self.world.texts("SELECT name FROM package ORDER BY name").await;
        let tagged = "SELECT name || '-' || version || '-' || release FROM build
                     JOIN package ON package.id = package_id WHERE \"real\" ORDER BY build.id";
        let built = self.world.texts(tagged).await;
        let (Some(name), Some(other)) = (self.dice.pick(&names), self.dice.pick(&names)) else {
            return;
        };
        match self.dice.below(8) {
            0 | 1 => {
                self.pushes += 1;
                let mut push = Push::of(name.as_str()).version(format!("99.{}", self.pushes));
                match self.dice.below(4) {
                    0 => push = push.breaking(other.as_str(), "error: this no longer exists"),
                    1 => push = push.curing(other.as_str()),
                    2 if LEAVES.contains(&name.as_str()) => {
                        push = push.abi(self.pushes.to_string());
                    }
                    _ => {}
                }
                self.diary.note(format_args!("push {push:?}"));
                self.world.sim.push(&push);
            }
            2 | 3 => {
                self.diary.note("a new repo");
                self.world.sim.new_repo(crate::world::BUILD_TAG);
            }
            4 => {
                let leaves: Vec<_> = built
                    .into_iter()
                    .filter(|nvr| LEAVES.iter().any(|leaf| nvr.starts_with(&format!("{leaf}-"))))
                    .collect();
                if let Some(nvr) = self.dice.pick(&leaves) {
                    let tagged = self.dice.percent(70);
                    self.diary.note(format_args!("{nvr} tagged: {tagged}"));
                    self.world.sim.set_tagged(nvr, TAG, tagged);
                }
            }
            5 => {
                let name = self.dice.pick(&LEAVES).unwrap();
                let blocked = self.dice.percent(30);
                self.diary.note(format_args!("{name} blocked: {blocked}"));
                self.world.sim.set_blocked(name, TAG, blocked);
            }
            6 => {
                let running = self.running_tasks().await;
                if let Some(task) = self.dice.pick(&running) {
                    let code = if self.dice.percent(50) { 1005 } else { 1 };
                    self.diary.note(format_args!("task {task} fails with code {code}"));
                    let ending = Ending::Fault(code, "a fault of the test".into());
                    self.world.sim.finish_task(*task, ending);
                }
            }
            _ => {}
        }
    }

    async fn running_tasks(&self) -> Vec<i64> {
        sqlx::query_scalar("SELECT task_id::bigint FROM build WHERE state = 2 ORDER BY id")
            .fetch_all(&self.world.db)
            .await
            .unwrap()
    }

    /// What people do in the web interface.
    async fn people(&mut self) {
        let place = self.dice.below(1 << 20).to_string();
        // As many of them, at any place of the alphabet, as the seed says.
        let some = format!(
            "(SELECT id FROM package ORDER BY md5(name || '{place}') LIMIT {})",
            1 + self.dice.below(8)
        );
        let statement = match self.dice.below(10) {
            0 => format!(
                "UPDATE build SET cancel_requested = true WHERE state = 2 AND package_id IN {some}"
            ),
            _ => format!("UPDATE package SET manual_priority = 10000 WHERE id IN {some}"),
        };
        sqlx::query(sqlx::AssertSqlSafe(statement)).execute(&self.world.db).await.unwrap();
    }

    async fn begin(&mut self, trouble: Trouble) {
        if trouble != Trouble::None {
            self.diary.note(format_args!("{trouble:?}"));
        }
        let sim = &self.world.sim;
        match trouble {
            Trouble::KojiOffline => sim.set_offline(Some("Server disabled for maintenance")),
            Trouble::AnswersLost => {
                for _ in 0..1 + self.dice.below(4) {
                    let method = *self
                        .dice
                        .pick(&["build", "multiCall", "getTaskInfo", "listTagged", "listTasks"])
                        .unwrap();
                    let mishap = match self.dice.below(4) {
                        0 => Mishap::Status(502),
                        1 => Mishap::WrongContentType,
                        2 => Mishap::Delay(Duration::from_millis(200)),
                        _ => Mishap::CutAnswer,
                    };
                    sim.mishap(Some(method), mishap);
                }
            }
            Trouble::SessionsGone if self.dice.percent(50) => sim.expire_sessions(KOSCHEI_USER),
            Trouble::SessionsGone => sim.close_sessions(KOSCHEI_USER),
            Trouble::BrokerGone => self.bus.set(Passage::Shut),
            Trouble::FilesSlow => self.files.set(Passage::Slow),
            Trouble::FilesDamaged => self.files.set(Passage::Damaged),
            Trouble::NoCache => {
                let cache = &self.world.config.directories.cachedir;
                std::fs::rename(cache, format!("{cache}.away")).unwrap();
                std::fs::write(cache, "in the way").unwrap();
            }
            Trouble::ClockJumps => {
                let hours = *self.dice.pick(&[-72, -2, 2, 72]).unwrap();
                self.diary.note(format_args!("by {hours} hours"));
                self.jump(hours).await;
            }
            Trouble::KojiBusy => sim.hold_builds(true),
            Trouble::None
            | Trouble::KojiCutOff
            | Trouble::ConnectionsEnded
            | Trouble::DatabaseRestarted => {}
        }
    }

    async fn end(&mut self, trouble: Trouble) {
        let sim = &self.world.sim;
        match trouble {
            Trouble::KojiOffline => sim.set_offline(None),
            Trouble::KojiCutOff => sim.drop_connections(Duration::ZERO),
            // What nobody met.
            Trouble::AnswersLost => sim.forget_mishaps(),
            Trouble::BrokerGone => self.bus.set(Passage::Open),
            Trouble::FilesSlow | Trouble::FilesDamaged => self.files.set(Passage::Open),
            Trouble::NoCache => {
                let cache = &self.world.config.directories.cachedir;
                std::fs::remove_file(cache).unwrap();
                std::fs::rename(format!("{cache}.away"), cache).unwrap();
            }
            Trouble::KojiBusy => sim.hold_builds(false),
            _ => {}
        }
    }

    /// All times that our own clocks have written move: it is the same as if the clocks had jumped.
    async fn jump(&self, hours: i32) {
        for what in [
            "build SET started = started + $1 WHERE state = 2",
            "build SET untold_since = untold_since + $1",
            "submission SET begun = begun + $1",
            "package SET not_before = not_before + $1",
            "untold_build_requires SET since = since + $1, ask_again = ask_again + $1",
            "collection_freshness SET looked = looked + $1, trouble_since = trouble_since + $1",
            "outbox SET created = created + $1",
        ] {
            let statement = format!("UPDATE {}", what.replace("$1", "make_interval(hours => $1)"));
            sqlx::query(sqlx::AssertSqlSafe(statement))
                .bind(-hours)
                .execute(&self.world.db)
                .await
                .unwrap();
        }
    }

    /// A few processes make a step at the same time; some are killed on the way, and something may happen to all of them.
    async fn work(&mut self, trouble: Trouble) {
        let mut steps: Vec<BoxFuture<'static, (String, bool)>> = Vec::new();
        for _ in 0..2 + self.dice.below(4) {
            let service = *self.dice.pick(&Service::ALL).unwrap();
            let ctx = self.dice.pick(&self.hosts).unwrap().clone();
            let polls = match self.dice.below(3) {
                0 => (1 << self.dice.below(8)) + self.dice.below(30) as usize,
                _ => usize::MAX,
            };
            steps.push(
                async move {
                    let mut said = String::new();
                    let step = async {
                        match step(service, &ctx).await {
                            Ok(outcome) => {
                                let _ = write!(said, "{service}: {} done", outcome.done);
                                for (about, error) in outcome.failures {
                                    let _ = write!(said, "; {about}: {error}");
                                }
                                true
                            }
                            Err(error) => {
                                let _ = write!(said, "{service}: {error}");
                                // Nothing of this needs a person.
                                error.is_transient()
                            }
                        }
                    };
                    let ended = killed_after(polls, tokio::time::timeout(LONG, step)).await;
                    match ended {
                        Some(Ok(patient)) => (said, patient),
                        Some(Err(_)) => (format!("{service} does not end"), false),
                        None => (format!("{service} is killed after {polls} polls"), true),
                    }
                }
                .boxed(),
            );
        }
        let pause = Duration::from_millis(self.dice.below(120));
        let (world, cluster) = (&self.world, &mut self.cluster);
        let disturbance = async {
            tokio::time::sleep(pause).await;
            match trouble {
                Trouble::KojiCutOff => world.sim.drop_connections(LONG),
                Trouble::DatabaseRestarted => cluster.restart().await.unwrap(),
                Trouble::ConnectionsEnded => {
                    let all = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                                WHERE datname = current_database() AND pid <> pg_backend_pid()";
                    let _ = sqlx::query(all).execute(&world.db).await;
                }
                _ => {}
            }
        };
        let (ended, ()) = tokio::join!(join_all(steps), disturbance);
        for (said, fine) in ended {
            self.diary.note(&said);
            assert!(fine, "{said}");
        }
    }

    /// Koji's messages about what changed, some of them, and nonsense among them.
    async fn tell(&mut self) {
        let running = self.running_tasks().await;
        let mut messages = Vec::new();
        for task in running {
            if self.dice.percent(50) {
                let body = json!({ "instance": "primary", "attribute": "state", "id": task });
                messages.push(("task.state.change", body));
            }
        }
        match self.dice.below(4) {
            0 => messages.push(("tag", json!({ "instance": "primary", "name": "zlib" }))),
            1 => messages
                .push(("repo.done", json!({ "instance": "primary", "tag": "buyan2-build" }))),
            2 => messages.push(("untag", json!(["nonsense"]))),
            _ => {}
        }
        for (topic, body) in messages {
            self.send(format!("{HEARD}.buildsys.{topic}"), body).await;
        }
    }

    async fn send(&self, topic: String, body: Value) {
        let message = Message {
            topic,
            schema: "test".to_owned(),
            schema_package: "test".to_owned(),
            severity: Severity::Debug,
            packages: Default::default(),
            groups: Default::default(),
            users: Default::default(),
            id: "test".to_owned(),
            body,
        };
        self.sender.publish(&message).await.unwrap();
    }

    /// The scheduler never has more than so many builds in Koji, whatever it lost sight of.
    async fn check_limit(&self) {
        let running = self.world.number("SELECT count(*) FROM build WHERE state = 2").await;
        assert!(running <= i64::from(MAX_BUILDS), "{running} builds run at once");
        let in_koji = self.world.scratch_tasks().await;
        let in_koji =
            in_koji.iter().filter(|task| standing(task.state) == Standing::Running).count();
        assert!(in_koji <= MAX_BUILDS as usize, "{in_koji} builds run in Koji at once");
    }

    /// The weather is good again; services do what is left to do. Nothing new begins.
    async fn calm_down(&mut self) {
        let deadline = Instant::now() + 2 * LONG;
        let ctx = self.world.ctx.clone();
        loop {
            assert!(Instant::now() < deadline, "it does not come to rest");
            self.world.calm().await;
            // A submission of which Koji never heard is waited for, in case that it is still on its way.
            self.world.execute("UPDATE submission SET begun = begun - interval '1 minute'").await;
            self.world
                .execute("UPDATE untold_build_requires SET ask_again = now() - interval '3 days'")
                .await;
            let scheduled = scheduler::step(&ctx).await;
            self.world.builds_end().await;
            let results = [
                scheduled,
                polling::step(&ctx).await,
                build_resolver::step(&ctx).await,
                repo_resolver::step(&ctx).await,
            ];
            let mut left = 0;
            for result in results {
                match result {
                    Ok(outcome) => left += outcome.done + outcome.failures.len(),
                    Err(error) => {
                        self.diary.note(error);
                        left += 1;
                    }
                }
            }
            let submissions = self.world.number("SELECT count(*) FROM submission").await;
            let messages = self.world.number(OUTBOX).await;
            self.diary.note(format_args!(
                "coming to rest: {left} things, {submissions} submissions, {messages} messages"
            ));
            if left == 0 && submissions == 0 && messages == 0 {
                break;
            }
        }
        for (_, process) in self.beside.drain(..) {
            process.stopper.stop();
            process.task.await.unwrap();
        }
    }

    /// What has to be true however bad the days were.
    async fn check(&mut self) {
        let world = &self.world;
        world.check_tasks().await;
        for (what, query) in NOTHING {
            assert_eq!(world.number(query).await, 0, "{what}");
        }
        let verdicts: Vec<(i32, i32)> =
            sqlx::query_as("SELECT task_id, state FROM build WHERE NOT \"real\"")
                .fetch_all(&world.db)
                .await
                .unwrap();
        for (task, state) in verdicts {
            let koji = world.sim.task_state(task.into());
            let same = matches!((koji, state), (Some(2), 3) | (Some(5), 5));
            assert!(same, "task {task} is {koji:?} in Koji and {state} in the database");
        }
        self.check_real_builds().await;
        self.check_states().await;
        self.check_messages().await;
    }

    /// What Koji names as latest is the newest real build that we have.
    async fn check_real_builds(&self) {
        let what = ListTagged { latest: true, inherit: true, ..ListTagged::default() };
        let latest = self.world.ctx.primary.call(calls::list_tagged(TAG, what)).await.unwrap();
        assert!(latest.len() > 20);
        let known: HashSet<String> = self
            .world
            .texts(
                "SELECT package.name || '-' || version || '-' || release FROM build
                   JOIN package ON package.id = package_id WHERE NOT untagged",
            )
            .await
            .into_iter()
            .collect();
        let blocked: HashSet<String> =
            self.world.texts("SELECT name FROM package WHERE blocked").await.into_iter().collect();
        for build in latest {
            let nvr = format!("{}-{}-{}", build.package_name, build.version, build.release);
            assert!(
                blocked.contains(&build.package_name) || known.contains(&nvr),
                "{nvr} is the latest in Koji and not here"
            );
        }
    }

    /// Everything that the resolvers and triggers concluded is concluded again from nothing.
    async fn check_states(&self) {
        let world = &self.world;
        let before = world.texts(STATES).await;
        assert!(before.len() > 50);
        let history = world.number("SELECT count(*) FROM resolution_change").await;
        // What the resolver looks at.
        let packages = "tracked AND NOT blocked AND last_complete_build_id IS NOT NULL";
        for statement in [
            format!(
                "DELETE FROM unapplied_change USING package WHERE package.id = package_id AND {packages}"
            ),
            format!(
                "UPDATE package SET resolved_repo_id = NULL, dependency_priority = 0 WHERE {packages}"
            ),
        ] {
            sqlx::query(sqlx::AssertSqlSafe(statement)).execute(&world.db).await.unwrap();
        }
        clean(repo_resolver::step(&world.ctx).await.unwrap());
        // Without a source package the scheduler has put its builds out of sight (reason 1).
        world
            .execute(
                "SELECT update_last_build(id) FROM package
                  WHERE scheduler_skip_reason IS DISTINCT FROM 1",
            )
            .await;
        same(&before, &world.texts(STATES).await);
        let now = world.number("SELECT count(*) FROM resolution_change").await;
        assert_eq!(now, history, "nothing has changed, so nothing is news");
        self.check_install_sets().await;
    }

    /// The install sets of last builds are made again, where Koji still has the repos.
    async fn check_install_sets(&self) {
        let world = &self.world;
        let sets = async || -> Vec<(i32, String)> {
            sqlx::query_as(SETS).fetch_all(&world.db).await.unwrap()
        };
        let mut before = sets().await;
        let mut there = self.usable(&before).await;
        sqlx::query(
            "UPDATE build SET deps_resolved = NULL, dependency_keys = NULL
              WHERE id IN (SELECT last_build_id FROM package) AND repo_id = ANY($1)",
        )
        .bind(&there)
        .execute(&world.db)
        .await
        .unwrap();
        clean(build_resolver::step(&world.ctx).await.unwrap());
        let mut now = sets().await;
        // The simulator deletes old ones at any time.
        there = self.usable(&now).await;
        for list in [&mut before, &mut now] {
            list.retain(|(repo, _)| there.contains(repo));
        }
        assert!(!now.is_empty());
        let texts = |list: Vec<(i32, String)>| -> Vec<String> {
            list.into_iter().map(|(_, text)| text).collect()
        };
        same(&texts(before), &texts(now));
    }

    /// Those of the repos that can be used.
    async fn usable(&self, of: &[(i32, String)]) -> Vec<i32> {
        let all: BTreeSet<i32> = of.iter().map(|(repo, _)| *repo).collect();
        let mut usable = Vec::new();
        for repo in all {
            let known = self.world.ctx.primary.call(calls::repo_info(repo.into())).await.unwrap();
            if known.is_some_and(|repo| repo.state.is_usable()) {
                usable.push(repo);
            }
        }
        usable
    }

    /// Every change of every package was told, in order, from the first to the word of now.
    async fn check_messages(&self) {
        let mut consumer = Consumer::connect(&self.consumer, "test").await.unwrap();
        let mut words: BTreeMap<String, String> = BTreeMap::new();
        let mut seen = HashSet::new();
        let mut repos = Vec::new();
        // Behind everything that was told.
        self.send(LAST.to_owned(), json!({})).await;
        loop {
            let delivery = tokio::time::timeout(LONG, consumer.next()).await.unwrap().unwrap();
            if delivery.topic == LAST {
                break;
            }
            if !seen.insert(delivery.id.clone().unwrap()) {
                // At least once.
                delivery.done().await.unwrap();
                continue;
            }
            let body = delivery.body().unwrap();
            let text = |key: &str| body[key].as_str().unwrap().to_owned();
            if delivery.topic == "koschei.collection.state.change" {
                repos.push(text("repo_id").parse::<i64>().unwrap());
            } else {
                let (name, old, new) = (text("name"), text("old"), text("new"));
                let last = words.insert(name.clone(), new);
                let last = last.unwrap_or_else(|| "ignored".to_owned());
                assert_eq!(old, last, "{name}: a message is missing or in the wrong place");
            }
            delivery.done().await.unwrap();
        }
        assert!(repos.is_sorted(), "{repos:?}");
        assert!(words.len() > 20, "{}", words.len());
        // spec/services.md, "Words": the first that holds.
        let now: Vec<(String, String)> = sqlx::query_as(
            "SELECT name, CASE WHEN blocked OR NOT tracked THEN 'ignored'
                               WHEN NOT resolved THEN 'unresolved'
                               WHEN last_complete_build_state = 3 THEN 'ok'
                               WHEN last_complete_build_state = 5 THEN 'failing'
                               ELSE 'ignored' END
               FROM package",
        )
        .fetch_all(&self.world.db)
        .await
        .unwrap();
        for (name, word) in now {
            let told = words.get(&name).map_or("ignored", String::as_str);
            assert_eq!(told, word, "the last word about {name}");
        }
    }
}

const OUTBOX: &str = "SELECT count(*) FROM outbox";

/// What there has to be none of.
const NOTHING: [(&str, &str); 7] = [
    ("running builds", "SELECT count(*) FROM build WHERE state = 2"),
    (
        "packages with two builds of one task",
        "SELECT count(*) FROM (SELECT FROM build GROUP BY package_id, task_id HAVING count(*) > 1) AS twice",
    ),
    (
        "parts of builds stored twice",
        "SELECT count(*) FROM (SELECT FROM koji_task GROUP BY build_id, task_id HAVING count(*) > 1) AS twice",
    ),
    ("builds never looked at", "SELECT count(*) FROM build WHERE deps_resolved IS NULL"),
    (
        "packages never resolved in the newest repo",
        "SELECT count(*) FROM package JOIN collection ON collection.id = collection_id
          WHERE resolved_repo_id IS DISTINCT FROM latest_repo_id AND tracked AND NOT blocked
            AND latest_repo_resolved AND last_complete_build_id IS NOT NULL",
    ),
    ("messages that were not sent", OUTBOX),
    (
        "locks that nobody can hold any more",
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database =
           (SELECT oid FROM pg_database WHERE datname = current_database())",
    ),
];

/// What is concluded about packages.
const STATES: &str = "
    SELECT concat_ws(' ', name, 'resolved', resolved::text, 'priority', dependency_priority,
                     'builds', last_build_id, last_complete_build_id, last_complete_build_state,
                     (SELECT string_agg(concat_ws(' ', prev_dep_id, curr_dep_id, distance), ', '
                                        ORDER BY prev_dep_id, curr_dep_id)
                        FROM unapplied_change WHERE package_id = package.id))
      FROM package ORDER BY name COLLATE \"C\"";

/// The install sets of the last builds.
const SETS: &str = "
    SELECT repo_id, concat_ws(' ', name, deps_resolved::text, encode(dependency_keys, 'hex'))
      FROM package JOIN build ON build.id = last_build_id
     WHERE repo_id IS NOT NULL ORDER BY name COLLATE \"C\"";

#[track_caller]
fn same(before: &[String], now: &[String]) {
    assert_eq!(before.len(), now.len());
    for (before, now) in before.iter().zip(now) {
        assert_eq!(before, now, "concluded before, and again from nothing");
    }
}

async fn step(service: Service, ctx: &Context) -> koschei_backend::Result<Outcome> {
    driver::once(service, ctx).await
}

#[tokio::test(flavor = "multi_thread")]
async fn chaos_leaves_everything_as_if_nothing_had_happened() {
    let seed = number_from("KOSCHEI_CHAOS_SEED", SEED);
    let builds = number_from("KOSCHEI_CHAOS_BUILDS", FEW);
    let mut chaos = Chaos::new(seed, builds).await;
    chaos.settle().await;
    let begun = Instant::now();
    let mut turns = 0u64;
    let done = "SELECT (SELECT count(*) FROM build WHERE NOT \"real\" AND state <> 2)
                     + (SELECT count(*) FROM task_without_build)";
    loop {
        let built = chaos.world.number(done).await as u64;
        if built >= builds {
            break;
        }
        // A turn takes less than a second; one that leads to nothing has trouble that does not end.
        assert!(turns < 200 + 10 * builds, "only {built} builds in {turns} turns");
        turns += 1;
        let seconds = begun.elapsed().as_secs();
        chaos.diary.note(format_args!("-- turn {turns}, {built} builds, {seconds} s"));
        chaos.turn().await;
        if builds > FEW && turns.is_multiple_of(100) {
            eprintln!("{turns} turns, {built} builds, {seconds} s");
        }
    }
    chaos.calm_down().await;
    chaos.check().await;
    let told: Value = json!({ "seed": seed, "turns": turns, "seconds": begun.elapsed().as_secs() });
    eprintln!("chaos: {told}");
}
