//! What goes wrong, turn by turn, while a few processes make a step.

use std::fmt::Write as _;
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt as _, join_all};
use kojisim::{KOSCHEI_USER, Mishap};
use koschei_backend::{Service, driver};

use super::Chaos;
use crate::bad_days::killed_after;
use crate::gate::Passage;
use crate::processes::{Disk, Process};
use crate::world::LONG;

/// Trouble that lasts for a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trouble {
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
    /// Steps are made by processes of their own, which are killed.
    Killed,
    /// Steps are made by processes of their own, which can write next to nothing.
    DiskFull,
    /// Koji takes calls and does not answer them.
    KojiSilent,
    /// Koji is away, and while it is, hours go by.
    KojiAwayForHours,
}

/// How many of them take so long that only a long run has the time; the last ones.
const SLOW: usize = 1;

const TROUBLES: [Trouble; 17] = [
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
    Trouble::Killed,
    Trouble::DiskFull,
    Trouble::KojiAwayForHours,
    Trouble::KojiSilent,
];

impl Chaos {
    pub(super) fn next_trouble(&mut self) -> Trouble {
        let few = &TROUBLES[..TROUBLES.len() - SLOW];
        *self.dice.pick(if self.long { &TROUBLES } else { few }).unwrap()
    }

    pub(super) async fn begin(&mut self, trouble: Trouble) {
        if trouble != Trouble::None {
            self.diary.note(format_args!("{trouble:?}"));
        }
        let sim = &self.world.sim;
        match trouble {
            Trouble::KojiOffline | Trouble::KojiAwayForHours => {
                sim.set_offline(Some("Server disabled for maintenance"));
            }
            Trouble::KojiSilent => self.hub.set(Passage::Silent),
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
            | Trouble::DatabaseRestarted
            | Trouble::Killed
            | Trouble::DiskFull => {}
        }
    }

    pub(super) async fn end(&mut self, trouble: Trouble) {
        let sim = &self.world.sim;
        match trouble {
            Trouble::KojiOffline | Trouble::KojiAwayForHours => sim.set_offline(None),
            Trouble::KojiSilent => {
                self.hub.set(Passage::Open);
                // Those that met it would leave Koji alone for a while.
                self.new_hosts().await;
            }
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
    pub(super) async fn jump(&self, hours: i32) {
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

    pub(super) async fn work(&mut self, trouble: Trouble) {
        match trouble {
            Trouble::Killed | Trouble::DiskFull => self.work_of_processes(trouble).await,
            Trouble::KojiAwayForHours => {
                for _ in 0..3 {
                    self.work_together(trouble).await;
                    // For our own clocks and for Koji's, which has done nothing meanwhile.
                    let hours = 1 + self.dice.below(8) as i32;
                    self.jump(hours).await;
                }
            }
            _ => self.work_together(trouble).await,
        }
    }

    /// A few real processes make a step at the same time; they are killed, or have no room for what they write.
    async fn work_of_processes(&mut self, trouble: Trouble) {
        let mut running = Vec::new();
        for _ in 0..1 + self.dice.below(3) {
            let service = *self.dice.pick(&Service::ALL).unwrap();
            let (disk, kill_after) = match trouble {
                Trouble::DiskFull if self.dice.percent(50) => {
                    (Disk::Small(4 + self.dice.below(60)), None)
                }
                Trouble::DiskFull => (Disk::ShortFiles(self.dice.below(40)), None),
                _ => (Disk::Plenty, Some(Duration::from_millis(self.dice.below(500)))),
            };
            let process = Process::start(service, &self.world.config, &self.database, disk);
            running.push(process.end(kill_after));
        }
        for ended in join_all(running).await {
            self.diary.note(&ended.said);
            assert!(ended.fine, "{}", ended.said);
        }
    }

    /// A few processes make a step at the same time; some are killed on the way, and something may happen to all of them.
    async fn work_together(&mut self, trouble: Trouble) {
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
                        match driver::once(service, &ctx).await {
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
}
