//! Hours of the simulated distribution's life, much faster than they are: packagers push, break and mend, repos come, and
//! services run as processes, as they do in production, which die now and then while Koji, the database, the broker and
//! the repository server have bad minutes.
//!
//! Koji's life goes fifty times as fast. What our own clocks have written is moved back in the same measure, so that
//! builds become old, priorities rise, and waits end.

use std::io::Write as _;
use std::time::{Duration, Instant};

use kojisim::{Options, Script, Sim};
use koschei_backend::Service;
use serde_json::json;

use super::troubles::Trouble;
use super::{Chaos, number_from};
use crate::processes::Process;
use crate::world::LONG;

/// How much faster life goes.
const SPEED: f64 = 50.0;

/// How long life goes on in `make test`, in minutes of its own.
const FEW_MINUTES: u64 = 4;

/// The story of the demo, in which everything happens within minutes.
const STORY: &str = include_str!("../../../../kojisim/worlds/buyan-life.toml");

/// What is slower here: a few hundred updates a day, and packagers who mend within hours.
const CALMER: [(&str, &str); 3] = [
    ("from = 420.0", "from = 60.0"),
    ("every = 45.0", "every = 300.0"),
    ("mended_after = [90.0, 300.0]", "mended_after = [1800.0, 14400.0]"),
];

/// How often our clocks are moved on.
const LAPSE: Duration = Duration::from_secs(5);

/// Trouble that lasts for some seconds while services run. (Disks and single steps have their turns elsewhere.)
const TROUBLES: [Trouble; 8] = [
    Trouble::KojiOffline,
    Trouble::AnswersLost,
    Trouble::SessionsGone,
    Trouble::ConnectionsEnded,
    Trouble::DatabaseRestarted,
    Trouble::BrokerGone,
    Trouble::FilesSlow,
    Trouble::FilesDamaged,
];

impl Chaos {
    fn start_process(&self, service: Service) -> Process {
        Process::keep_going(service, &self.world.config, &self.database)
    }

    /// Lives for so many minutes of the simulated life. Returns how many processes were killed.
    async fn live(&mut self, minutes: u64) -> u64 {
        let lasts = Duration::from_secs(60 * minutes).div_f64(SPEED);
        let mut running: Vec<Process> = [Service::ALL, Service::ALL]
            .concat()
            .into_iter()
            .map(|s| self.start_process(s))
            .collect();
        let (begun, mut moved, mut told) = (Instant::now(), Instant::now(), Instant::now());
        let (mut killed, mut lapsed) = (0, Duration::ZERO);
        while begun.elapsed() < lasts {
            tokio::time::sleep(Duration::from_millis(300 + self.dice.below(1000))).await;
            match self.dice.below(6) {
                0 | 1 => {
                    let victim = self.dice.below(running.len() as u64) as usize;
                    let process = running.swap_remove(victim);
                    let service = process.service();
                    self.diary.note(format_args!("a {service} is killed"));
                    process.kill();
                    killed += 1;
                    running.push(self.start_process(service));
                }
                2 => {
                    let victim = self.dice.pick(&running).unwrap();
                    self.diary.note(format_args!("a {} stands still", victim.service()));
                    victim.signal("-STOP");
                    let pause = Duration::from_millis(self.dice.below(3000));
                    tokio::time::sleep(pause).await;
                    victim.signal("-CONT");
                }
                3 => self.have_trouble().await,
                4 => self.people().await,
                _ => self.tell().await,
            }
            for process in &mut running {
                process.assert_running();
            }
            self.check_limit().await;
            if moved.elapsed() > LAPSE {
                let passed = moved.elapsed();
                // What does not pass now passes at the next turn.
                if self.lapse(passed.mul_f64(SPEED)).await {
                    moved += passed;
                    lapsed += passed;
                }
            }
            if told.elapsed() > Duration::from_secs(60) {
                told = Instant::now();
                let minute = (begun.elapsed().as_secs_f64() * SPEED / 60.0) as u64;
                let builds = self.world.number("SELECT count(*) FROM build").await;
                eprintln!("{minute} of {minutes} minutes, {builds} builds, {killed} killed");
            }
        }
        // But for what was to pass at the end.
        let enough = lapsed + Duration::from_secs(60) > lasts;
        assert!(enough, "of {lasts:?} only {lapsed:?} passed for our own clocks");
        for process in running {
            process.kill();
        }
        killed
    }

    async fn have_trouble(&mut self) {
        let trouble = *self.dice.pick(&TROUBLES).unwrap();
        self.begin(trouble).await;
        match trouble {
            Trouble::DatabaseRestarted => self.cluster.restart().await.unwrap(),
            Trouble::ConnectionsEnded => {
                let all = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                            WHERE datname = current_database() AND pid <> pg_backend_pid()";
                let _ = sqlx::query(all).execute(&self.world.db).await;
            }
            _ => tokio::time::sleep(Duration::from_millis(500 + self.dice.below(6000))).await,
        }
        self.end(trouble).await;
    }

    /// So much time passes, but for what may be on its way to Koji at this moment. Whether it did: the database may be away,
    /// or services in the way.
    async fn lapse(&mut self, time: Duration) -> bool {
        let passed = "make_interval(secs => $1)";
        let statements = [
            // Not one build gets older than another, so nothing follows from it.
            "SET LOCAL session_replication_role = replica".to_owned(),
            // In the order in which services lock rows.
            "SELECT FROM build ORDER BY id FOR UPDATE".to_owned(),
            "SELECT FROM package ORDER BY id FOR UPDATE".to_owned(),
            format!(
                "UPDATE build SET started = started - {passed}, finished = finished - {passed}"
            ),
            format!("UPDATE build SET untold_since = untold_since - {passed} WHERE state = 2"),
            format!(
                "UPDATE package SET last_build_started = last_build_started - {passed},
                                    not_before = not_before - {passed}"
            ),
            format!("UPDATE untold_build_requires SET ask_again = ask_again - {passed}"),
        ];
        let work = async {
            let mut transaction = self.world.db.begin().await?;
            for statement in statements {
                let bound = statement.contains("$1");
                let query = sqlx::query(sqlx::AssertSqlSafe(statement));
                let query = if bound { query.bind(time.as_secs_f64()) } else { query };
                query.execute(&mut *transaction).await?;
            }
            transaction.commit().await
        };
        let Err(error) = work.await else { return true };
        let error = koschei_db::Error::from(error);
        self.diary.note(format_args!("time stands still: {error}"));
        assert!(error.is_transient(), "time cannot pass: {error}");
        false
    }

    /// Nothing happens in Koji by itself any more.
    async fn end_life(&mut self, options: Options) {
        let options = Options { script: Script::None, ..options };
        let quiet = Sim::start(Options { dir: options.dir.join("nothing"), ..options.clone() });
        let living = std::mem::replace(&mut self.world.sim, quiet.await.unwrap());
        let listen = living.address();
        living.stop().await;
        self.world.sim = Sim::start(Options { listen, ..options }).await.unwrap();
        // What was begun comes to its end.
        let deadline = Instant::now() + LONG;
        while !self.world.sim.is_idle() {
            assert!(Instant::now() < deadline, "Koji does not come to rest");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn life_goes_on_for_hours_and_no_invariant_breaks() {
    let seed = number_from("KOSCHEI_CHAOS_SEED", super::SEED);
    let minutes = number_from("KOSCHEI_CHAOS_MINUTES", FEW_MINUTES);
    let again = format!("--seed {seed} --minutes {minutes}");
    let story = CALMER.iter().fold(STORY.to_owned(), |story, (hasty, calm)| {
        assert!(story.contains(hasty), "the story has changed");
        story.replace(hasty, calm)
    });
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(story.as_bytes()).unwrap();
    let mut options = None;
    let mut chaos = Chaos::new(seed, again, minutes > FEW_MINUTES, |wanted| {
        wanted.script = Script::File(file.path().to_owned());
        wanted.speed = SPEED;
        options = Some(wanted.clone());
    })
    .await;
    for service in [
        &mut chaos.world.config.services.repo_resolver,
        &mut chaos.world.config.services.build_resolver,
        &mut chaos.world.config.services.scheduler,
    ] {
        service.interval = 2.0;
    }
    chaos.world.config.services.polling.interval = 1200.0 / SPEED;
    chaos.settle().await;
    let begun = Instant::now();
    let killed = chaos.live(minutes).await;
    chaos.end_life(options.unwrap()).await;
    chaos.calm_down().await;
    chaos.check().await;
    let scratch = "SELECT (SELECT count(*) FROM build WHERE NOT \"real\")
                        + (SELECT count(*) FROM task_without_build)";
    let told = json!({
        "seed": seed,
        "minutes": minutes,
        "scratch builds": chaos.world.number(scratch).await,
        "real builds": chaos.world.number("SELECT count(*) FROM build WHERE \"real\"").await,
        "repo": chaos.world.number("SELECT latest_repo_id::bigint FROM collection").await,
        "messages": chaos.world.number("SELECT last_value FROM outbox_id_seq").await,
        "processes killed": killed,
        "seconds": begun.elapsed().as_secs(),
    });
    eprintln!("life: {told}");
}
