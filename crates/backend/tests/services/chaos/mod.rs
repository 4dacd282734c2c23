//! Everything goes wrong at once, drawn from a seed: Koji away for a moment or for hours, silent, its answers lost,
//! PostgreSQL restarted in the middle of transactions, the broker gone, the repository server slow or damaging what it
//! sends, disks full, clocks that jump, processes killed at every point. Packagers and people go on meanwhile. When it is
//! over, everything has to be as if nothing had happened ([`invariants`]).
//!
//! There are two kinds. In the one, turn after turn ([`troubles`]), a few steps meet one trouble, so that many troubles
//! come to few builds; some of them are made by processes of their own, which die by `kill -9`. In the other ([`life`])
//! services run as they do in production, and hours of the simulated distribution's life go by.
//!
//! `make test` has a short one of each, always the same; `make chaos` long ones from a new seed. The seed decides everything
//! but what the machine's scheduling decides; who finds a failure gets a command for the same seed again.

mod invariants;
mod life;
mod troubles;

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use fedora_messaging::testing::Broker;
use fedora_messaging::{Config as Bus, Consumer};
use kojisim::{Ending, Options, Push};
use koschei_backend::{
    Context, Stopper, build_resolver, polling, publisher, repo_resolver, watcher,
};
use koschei_core::config::FreeForm;
use koschei_db::DatabaseConfig;
use koschei_db::administration::{self, Actor};
use koschei_db::cluster::Cluster;
use koschei_db::testing;
use serde_json::{Value, json};

use crate::dice::Dice;
use crate::gate::Gate;
use crate::messages::Sender;
use crate::world::{LONG, TAG, World, clean};

/// As many builds as `make test` has the time for.
const FEW: u64 = 60;

/// The seed of `make test`.
const SEED: u64 = 20;

/// Builds that may run at once.
const MAX_BUILDS: u32 = 12;

/// Packages that somebody makes urgent in a turn, at most.
const URGENT: u64 = 8;

/// Packages without which the build group can be installed. They come and go; without the others nothing is built.
const LEAVES: [&str; 6] = ["libyaml", "less", "meson", "nano", "python-lxml", "python-pyyaml"];

/// The queue that keeps what we publish.
const TOLD: &str = "chaos.told";

/// The topic of a message that comes last.
const LAST: &str = "koschei.end";

/// The queue of the watcher, and what its topics begin with.
const HEARD: &str = "chaos.heard";

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
    /// What does the same again.
    again: String,
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
            // Of a long story the end is what matters.
            let lines: Vec<&str> = self.text.lines().collect();
            let end = lines[lines.len().saturating_sub(2000)..].join("\n");
            eprintln!("{end}\nThe same again: make chaos ARGS=\"{}\"", self.again);
        }
    }
}

/// What runs beside the steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Beside {
    Publisher,
    Watcher,
}

/// A service that runs in this process.
struct Service {
    task: tokio::task::JoinHandle<()>,
    stopper: Stopper,
}

struct Chaos {
    dice: Dice,
    diary: Diary,
    world: World,
    cluster: Cluster,
    database: DatabaseConfig,
    /// The same installation on other hosts.
    hosts: Vec<Context>,
    hub: Gate,
    files: Gate,
    bus: Gate,
    // Dropped, it ends.
    _broker: Broker,
    sender: Sender,
    through_gate: Bus,
    /// What runs beside the steps: publishers and a watcher. They are killed and started again.
    beside: Vec<(Beside, Service)>,
    consumer: Bus,
    pushes: u64,
    /// Whether it is a long run, which has the time for what takes long.
    long: bool,
}

impl Chaos {
    async fn new(seed: u64, again: String, long: bool, change: impl FnOnce(&mut Options)) -> Self {
        let (cluster, database) = testing::cluster().await;
        let mut database = database.publishing(true);
        // The test itself is patient.
        database.acquire_timeout = LONG;
        let db = koschei_db::connect(&database).await.unwrap();
        database.acquire_timeout = Duration::from_secs(10);
        let mut world = World::with(db, |options| {
            options.seed = seed;
            change(options);
        })
        .await;
        let broker = tokio::task::block_in_place(Broker::start);
        let bus = Gate::before(broker.address()).await;
        let files = Gate::before(world.sim.address()).await;
        let hub = Gate::before(world.sim.address()).await;
        world.config.koji_config.topurl = format!("http://{}/kojifiles", files.address());
        world.config.koji_config.max_builds = MAX_BUILDS;
        world.config.koji_config.load_threshold = 1.0;
        world.config.dependency.persist_chunk_size = 7;
        world.config.fedmsg.topic = format!("{HEARD}.buildsys");
        // The test itself is patient and stands beside the gate.
        world.ctx = world.other(|_| ());
        world.config.koji_config.server = format!("http://{}/kojihub", hub.address());
        let options: [(&str, Value); 4] = [
            ("max_retries", 1.into()),
            ("retry_interval", 0.01.into()),
            ("offline_retry", false.into()),
            ("timeout", 5.into()),
        ];
        world.config.koji_config.session_opts = FreeForm::from_iter(options);

        // Whatever is told, and whatever is to be heard, stays in queues that outlive connections.
        let consumer = broker.with_queue(TOLD, &["koschei.#"]);
        drop(Consumer::connect(&consumer, "test").await.unwrap());
        let mut through_gate = broker.with_queue(HEARD, &[&format!("{HEARD}.#")]);
        drop(Consumer::connect(&through_gate, "test").await.unwrap());
        let sender = Sender::on(&broker).await;
        let url = format!("amqp://koschei:koschei@{}/%2F", bus.address());
        through_gate.amqp_url = url.parse().unwrap();
        let aloud = std::env::var_os("KOSCHEI_CHAOS_ALOUD").is_some();
        Self {
            dice: Dice(seed),
            diary: Diary { aloud, again, text: String::new() },
            world,
            cluster,
            database,
            hosts: Vec::new(),
            hub,
            files,
            bus,
            _broker: broker,
            sender,
            through_gate,
            beside: Vec::new(),
            consumer,
            pushes: 0,
            long,
        }
    }

    /// Hosts that know nothing of what the last ones met.
    async fn new_hosts(&mut self) {
        let hosts = self.world.processes(&self.database, 3, |_| ()).await;
        self.hosts = hosts.into_iter().map(|(ctx, _)| ctx).collect();
    }

    /// Every package is tracked, as a person would do it, and has its state.
    async fn settle(&mut self) {
        self.new_hosts().await;
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
    fn start_beside(&self, what: Beside) -> Service {
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
        Service { task, stopper }
    }

    async fn turn(&mut self) {
        self.packagers().await;
        self.people().await;
        let trouble = self.next_trouble();
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
            1 + self.dice.below(URGENT)
        );
        let statement = match self.dice.below(10) {
            0 => format!(
                "UPDATE build SET cancel_requested = true WHERE state = 2 AND package_id IN {some}"
            ),
            _ => format!("UPDATE package SET manual_priority = 10000 WHERE id IN {some}"),
        };
        sqlx::query(sqlx::AssertSqlSafe(statement)).execute(&self.world.db).await.unwrap();
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
            self.sender.send(&format!("{HEARD}.buildsys.{topic}"), body).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn chaos_leaves_everything_as_if_nothing_had_happened() {
    let seed = number_from("KOSCHEI_CHAOS_SEED", SEED);
    let builds = number_from("KOSCHEI_CHAOS_BUILDS", FEW);
    let again = format!("--seed {seed} --builds {builds}");
    let mut chaos = Chaos::new(seed, again, builds > FEW, |_| ()).await;
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
        if chaos.long && turns.is_multiple_of(100) {
            eprintln!("{turns} turns, {built} builds, {seconds} s");
        }
    }
    chaos.calm_down().await;
    chaos.check().await;
    let told = json!({
        "seed": seed,
        "turns": turns,
        "builds": chaos.world.number(done).await,
        "messages": chaos.world.number("SELECT last_value FROM outbox_id_seq").await,
        "seconds": begun.elapsed().as_secs(),
    });
    eprintln!("chaos: {told}");
}
