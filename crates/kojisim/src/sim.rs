//! The running simulator: start, stop, and everything that a test may do to it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::net::TcpListener;
use tokio::sync::{Notify, broadcast, watch};

use crate::control::{Ending, Push};
use crate::engine::{Engine, News, repo_state};
use crate::rows::{GroupPackage, Outcome};
use crate::store::{Store, StoreError};
use crate::weather::{Listener, Mishap, Weather};
use crate::world::{Life, World, WorldError};

/// How long a test waits for a task.
const PATIENCE: Duration = Duration::from_secs(120);

/// What happens in the world by itself.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Script {
    /// The built-in story, then random life.
    #[default]
    BuiltIn,
    /// Nothing: only what clients and control methods do. New repos are made only on request.
    None,
    /// A story from a file.
    File(PathBuf),
}

/// Where the time comes from.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Clock {
    /// The machine's clock.
    #[default]
    Real,
    /// Stands still until [`Sim::advance`]; starts at this many seconds since 1970.
    Manual(f64),
}

/// How to start a simulator.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// Where everything is kept: state in `hub/`, files under topurl in `files/`.
    pub dir: PathBuf,
    /// Address to listen on; port 0 takes any free one.
    pub listen: SocketAddr,
    /// A world other than Buyan: a file, or a directory with repositories ([`World::from_repositories`]).
    pub world: Option<PathBuf>,
    /// What happens by itself.
    pub script: Script,
    /// How much faster than usual: builds and the script; 1 is a few seconds for a build.
    pub speed: f64,
    /// Decides everything random. Counts only at the first start in a directory.
    pub seed: u64,
    /// Where the time comes from.
    pub clock: Clock,
}

impl Options {
    /// The usual options for a directory: any free port of this machine, Buyan, its story, speed 1.
    pub fn new(dir: impl Into<PathBuf>) -> Options {
        Options {
            dir: dir.into(),
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            world: None,
            script: Script::BuiltIn,
            speed: 1.0,
            seed: 1,
            clock: Clock::Real,
        }
    }

    /// As [`Options::new`], but with nothing that happens by itself and builds that take a moment: for tests.
    pub fn for_tests(dir: impl Into<PathBuf>) -> Options {
        Options { script: Script::None, speed: 50.0, ..Options::new(dir) }
    }
}

/// Why a simulator does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The world or script file is unusable.
    #[error(transparent)]
    World(#[from] WorldError),
    /// The state on disk cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The address is taken or not ours.
    #[error("cannot listen on {address}: {source}; choose another address, or stop what uses it")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The speed is not a positive number.
    #[error("the speed must be a positive number, not {0}")]
    Speed(f64),
}

/// What server, life and control methods share.
#[derive(Debug)]
pub(crate) struct Shared {
    engine: Mutex<Engine>,
    pub(crate) weather: Weather,
    pub(crate) topdir: PathBuf,
    clock: Clock,
    changed: Notify,
    /// Nanoseconds that answers took, from the whole request to the whole answer.
    pub(crate) spent: AtomicU64,
}

impl Shared {
    /// Lets someone work with the engine as it is now; wakes life afterwards, because there may be new work.
    pub(crate) fn with_engine<T>(&self, work: impl FnOnce(&mut Engine) -> T) -> T {
        let mut engine = self.engine.lock().unwrap_or_else(PoisonError::into_inner);
        if self.clock == Clock::Real {
            self.catch_up(&mut engine, real_time());
        }
        let result = work(&mut engine);
        drop(engine);
        self.changed.notify_one();
        result
    }

    /// Ends everything: connections that are still open break, and the directory is free for another simulator.
    fn close(&self) {
        self.weather.cut_for(Duration::from_secs(u64::from(u32::MAX)));
        let mut engine = self.engine.lock().unwrap_or_else(PoisonError::into_inner);
        engine.store.close();
    }

    fn catch_up(&self, engine: &mut Engine, until: f64) {
        if engine.store.is_closed() {
            return;
        }
        if let Err(error) = engine.advance(until) {
            tracing::error!("{error}");
        }
    }
}

fn real_time() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |time| time.as_secs_f64())
}

/// A running simulator. Dropping it stops it; [`Sim::stop`] does so in order.
#[derive(Debug)]
pub struct Sim {
    shared: Arc<Shared>,
    address: SocketAddr,
    stop: watch::Sender<bool>,
    server: tokio::task::JoinHandle<()>,
    life: tokio::task::JoinHandle<()>,
    /// Hears everything from the very start; the first who asks gets it.
    first_news: Mutex<Option<broadcast::Receiver<News>>>,
}

/// The user that Koschei logs in as in the built-in world; the password is the same word.
pub const KOSCHEI_USER: &str = "koschei";

impl Sim {
    /// Starts a hub with its builders. In a directory that was used before, it goes on where it was.
    pub async fn start(options: Options) -> Result<Sim, StartError> {
        if !(options.speed.is_finite() && options.speed > 0.0) {
            return Err(StartError::Speed(options.speed));
        }
        let address = options.listen;
        let listen = |source| StartError::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;

        let topdir = options.dir.join("files");
        let clock = options.clock;
        let engine_topdir = topdir.clone();
        let engine = tokio::task::spawn_blocking(move || Sim::engine(options, engine_topdir))
            .await
            .map_err(|error| StoreError::Io {
                what: "start the engine in",
                path: topdir.clone(),
                source: std::io::Error::other(error),
            })??;
        let first_news = Mutex::new(Some(engine.listeners.subscribe()));
        let weather = Weather::default();
        let shared = Arc::new(Shared {
            engine: Mutex::new(engine),
            weather: weather.clone(),
            topdir,
            clock,
            changed: Notify::new(),
            spent: AtomicU64::new(0),
        });
        let (stop, stopped) = watch::channel(false);

        let router = crate::server::router(shared.clone());
        let mut server_stopped = stopped.clone();
        let server = tokio::spawn(async move {
            let until = async move {
                let _ = server_stopped.wait_for(|stopped| *stopped).await;
            };
            let listener = Listener { inner: listener, weather };
            if let Err(error) = axum::serve(listener, router).with_graceful_shutdown(until).await {
                tracing::error!("the simulated hub's server ended: {error}");
            }
        });
        let life = tokio::spawn(live(shared.clone(), stopped));
        Ok(Sim { shared, address, stop, server, life, first_news })
    }

    fn engine(options: Options, topdir: PathBuf) -> Result<Engine, StartError> {
        let world = match &options.world {
            Some(path) => World::read(path)?,
            None => World::buyan()?,
        };
        let life = match &options.script {
            // The story is about Buyan; in a distribution of somebody else only what clients do happens.
            Script::BuiltIn if world.imported.is_some() => None,
            Script::BuiltIn => Some(Life::buyan()?),
            Script::File(path) => Some(Life::read(path)?),
            Script::None => None,
        };
        if let Some(life) = &life {
            life.check(&world)?;
        }
        let now = match options.clock {
            Clock::Real => real_time(),
            Clock::Manual(start) => start,
        };
        let store = Store::open(&options.dir.join("hub"))?;
        let kojira = options.script != Script::None;
        let engine = Engine::new(
            store,
            Arc::new(world),
            life.map(Arc::new),
            topdir,
            options.speed,
            kojira,
            options.seed,
            now,
        )?;
        Ok(engine)
    }

    // ------------------------------------------------------------------ addresses

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The hub: `http://ADDRESS/kojihub`.
    pub fn url(&self) -> String {
        format!("http://{}/kojihub", self.address)
    }

    /// Files: `http://ADDRESS/kojifiles`.
    pub fn topurl(&self) -> String {
        format!("http://{}/kojifiles", self.address)
    }

    /// Pages: `http://ADDRESS/koji`.
    pub fn weburl(&self) -> String {
        format!("http://{}/koji", self.address)
    }

    /// The directory behind [`Sim::topurl`].
    pub fn topdir(&self) -> &std::path::Path {
        &self.shared.topdir
    }

    /// Everything that happens from now on, one sentence each; the first to ask hears it from the start.
    pub fn news(&self) -> broadcast::Receiver<News> {
        if let Some(first) = self.first_news.lock().unwrap_or_else(PoisonError::into_inner).take() {
            return first;
        }
        self.shared.with_engine(|engine| engine.listeners.subscribe())
    }

    /// How long the hub's answers took it so far, without what lies between it and its clients.
    pub fn time_spent(&self) -> Duration {
        Duration::from_nanos(self.shared.spent.load(Ordering::Relaxed))
    }

    /// Stops: open requests are answered, the state is on disk.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        // An idle client must not keep the server from ending.
        if tokio::time::timeout(Duration::from_secs(2), &mut self.server).await.is_err() {
            self.server.abort();
        }
        let _ = (&mut self.life).await;
    }

    // ------------------------------------------------------------------ time

    /// Lets time pass, with [`Clock::Manual`]: everything that is due until then has happened when this returns.
    pub fn advance(&self, time: Duration) {
        let mut engine = self.shared.engine.lock().unwrap_or_else(PoisonError::into_inner);
        let until = engine.now + time.as_secs_f64();
        self.shared.catch_up(&mut engine, until);
    }

    /// The hub's clock, in seconds since 1970.
    pub fn now(&self) -> f64 {
        self.shared.with_engine(|engine| engine.now)
    }

    // ------------------------------------------------------------------ the world

    fn control<T>(&self, work: impl FnOnce(&mut Engine) -> T) -> T {
        self.shared.with_engine(|engine| {
            let result = work(engine);
            if let Err(error) = engine.commit() {
                tracing::error!("{error}");
            }
            result
        })
    }

    /// A packager's push: returns its real build's task, or `None` if there is no such source package or target.
    pub fn push(&self, push: &Push) -> Option<i64> {
        self.control(|engine| engine.push(push))
    }

    /// Builds source packages anew and tags them in the first release, as if packagers and builders had been busy for a
    /// day: for measuring. Returns how many there are; unknown ones are left out.
    pub fn rebuild(&self, sources: &[String]) -> usize {
        self.control(|engine| engine.rebuild(sources))
    }

    /// Takes all builds of source packages out of the first release's tag. Returns how many builds.
    pub fn untag_sources(&self, sources: &[String]) -> usize {
        self.control(|engine| engine.untag_sources(sources))
    }

    /// Scratch builds of Koschei's that are being built until [`Sim::end_tasks`]. Returns their tasks.
    pub fn scratch_builds(&self, sources: &[String]) -> Vec<i64> {
        self.control(|engine| engine.scratch_builds(sources))
    }

    /// Ends tasks of [`Sim::scratch_builds`], well or because the package does not build.
    pub fn end_tasks(&self, tasks: &[i64], well: bool) {
        self.control(|engine| engine.end_tasks(tasks, well));
    }

    /// Asks for a new repo of a tag, as kojira would: returns the newRepo task, or `None` if there is no such tag.
    pub fn new_repo(&self, tag: &str) -> Option<i64> {
        self.control(|engine| {
            let tag = engine.tag_named(tag)?.id;
            let owner = engine.user_id("kojira");
            Some(engine.new_repo_task(tag, owner, true))
        })
    }

    /// A repo of a tag that stays in INIT for ever, as if its builder had died. Returns its id.
    pub fn stuck_repo(&self, tag: &str) -> Option<i64> {
        self.control(|engine| {
            let tag = engine.tag_named(tag)?.id;
            Some(engine.begin_repo(tag, None))
        })
    }

    /// Marks a repo as deleted and removes its files.
    pub fn delete_repo(&self, repo: i64) {
        self.control(|engine| engine.delete_repo(repo));
    }

    /// Marks a repo as expired; it can still be used.
    pub fn expire_repo(&self, repo: i64) {
        self.control(|engine| engine.set_repo_state(repo, repo_state::EXPIRED));
    }

    /// The newest READY repo of a tag.
    pub fn latest_repo(&self, tag: &str) -> Option<i64> {
        self.shared.with_engine(|engine| {
            let tag = engine.tag_named(tag)?.id;
            engine.newest_repo(tag, repo_state::READY).map(|repo| repo.id)
        })
    }

    /// Puts a build into a tag, or takes it out. False if there is no such build or tag.
    pub fn set_tagged(&self, nvr: &str, tag: &str, tagged: bool) -> bool {
        self.control(|engine| {
            let build = engine.store.builds.find(|build| build.nvr() == nvr).map(|build| build.id);
            let tag = engine.tag_named(tag).map(|tag| tag.id);
            let (Some(build), Some(tag)) = (build, tag) else { return false };
            if tagged {
                let creator = engine.user_id("kojiadmin");
                engine.tag_build(tag, build, creator);
            } else {
                engine.untag_build(tag, build);
            }
            true
        })
    }

    /// Says that a build was made by another task, or by none, as imported ones were. False if there is no such build.
    pub fn set_task_of(&self, nvr: &str, task: Option<i64>) -> bool {
        self.control(|engine| {
            let build = engine.store.builds.find(|build| build.nvr() == nvr).map(|build| build.id);
            let Some(build) = build else { return false };
            engine.store.builds.change(build, |build| build.task = task);
            true
        })
    }

    /// Blocks or unblocks a package in a tag. False if there is no such package or tag.
    pub fn set_blocked(&self, package: &str, tag: &str, blocked: bool) -> bool {
        self.control(|engine| {
            let package = engine.store.packages.find(|row| row.name == package).map(|row| row.id);
            let tag = engine.tag_named(tag).map(|tag| tag.id);
            let (Some(package), Some(tag)) = (package, tag) else { return false };
            engine.list_package(tag, package, None, blocked);
            true
        })
    }

    /// Makes a group of a tag consist of these packages from now on. False if there is no such tag.
    pub fn set_group(&self, tag: &str, name: &str, members: &[String]) -> bool {
        self.control(|engine| {
            let Some(tag) = engine.tag_named(tag).map(|tag| tag.id) else { return false };
            let members = members.iter().map(|package| GroupPackage::mandatory(package));
            let event = engine.event();
            engine.put_group(tag, name.to_owned(), members.collect(), event);
            true
        })
    }

    /// Whether tagging leads to new repos by itself, as kojira does.
    pub fn set_kojira(&self, on: bool) {
        self.control(|engine| engine.kojira = on);
    }

    /// Gives a host load that does not come from tasks. False if there is no such host.
    pub fn set_host_load(&self, host: &str, load: f64) -> bool {
        self.change_host(host, |row| row.other_load = load)
    }

    /// Makes a host ready (checking in) or not. False if there is no such host.
    pub fn set_host_ready(&self, host: &str, ready: bool) -> bool {
        self.change_host(host, |row| row.ready = ready)
    }

    fn change_host(&self, host: &str, how: impl FnOnce(&mut crate::rows::Host)) -> bool {
        self.control(|engine| {
            let id = engine.store.hosts.find(|row| row.name == host).map(|row| row.id);
            if let Some(id) = id {
                engine.store.hosts.change(id, how);
            }
            id.is_some()
        })
    }

    // ------------------------------------------------------------------ tasks

    /// Keeps builders from finishing any build until told otherwise; tasks become OPEN and stay so.
    pub fn hold_builds(&self, hold: bool) {
        self.control(|engine| engine.paused = hold);
    }

    /// Keeps one task from going on once it is OPEN, or lets it go on.
    pub fn hold_task(&self, task: i64, hold: bool) {
        self.control(|engine| engine.store.tasks.change(task, |row| row.held = hold));
    }

    /// Ends a task (or, for a parent, lets it look at its children) as soon as it is OPEN, however long it would take.
    pub fn finish_task(&self, task: i64, ending: Ending) {
        self.control(|engine| {
            let now = engine.now;
            engine.store.tasks.change(task, |row| {
                row.ordered = Some(match ending {
                    Ending::Natural => Outcome::Closed(serde_json::Value::Null),
                    Ending::Fault(code, text) => Outcome::Failed(code, text),
                });
                row.held = false;
                row.due = Some(now);
            });
        });
    }

    /// State of a task (0 FREE, 1 OPEN, 2 CLOSED, 3 CANCELED, 4 ASSIGNED, 5 FAILED), if there is such a task.
    pub fn task_state(&self, task: i64) -> Option<i64> {
        self.shared.with_engine(|engine| engine.store.tasks.get(task).map(|task| task.state))
    }

    /// Waits until a task is CLOSED, CANCELED or FAILED; returns that state, or `None` if there is no such task.
    ///
    /// # Panics
    /// When it is not over after two minutes: this is for tests, and a test fails rather than hang.
    #[expect(clippy::panic, reason = "only tests wait, and a panic is how a test fails")]
    pub async fn wait_for_task(&self, task: i64) -> Option<i64> {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            match self.task_state(task)? {
                state @ (2 | 3 | 5) => return Some(state),
                state if tokio::time::Instant::now() >= deadline => {
                    panic!(
                        "task {task} was to end, and is still in state {state} after {PATIENCE:?}"
                    )
                }
                _ => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
    }

    /// Whether nothing is under way: no task, no repo that is wanted, no plan.
    pub fn is_idle(&self) -> bool {
        self.shared.with_engine(|engine| {
            let memory = engine.store.memory();
            engine.active.is_empty() && memory.stale.is_empty() && memory.plans.is_empty()
        })
    }

    /// Ids of all tasks of a method, in order.
    pub fn tasks_of(&self, method: &str) -> Vec<i64> {
        self.shared.with_engine(|engine| {
            engine
                .store
                .tasks
                .all()
                .filter(|task| task.method == method)
                .map(|task| task.id)
                .collect()
        })
    }

    // ------------------------------------------------------------------ bad days

    /// Answers every call with fault 1014 and this reason, or works again (`None`).
    pub fn set_offline(&self, reason: Option<&str>) {
        self.shared.weather.set_offline(reason.map(str::to_owned));
    }

    /// Breaks every connection, old and new, for some time.
    pub fn drop_connections(&self, time: Duration) {
        self.shared.weather.cut_for(time);
    }

    /// Lets something go wrong once, with the next call (of a method, if given).
    pub fn mishap(&self, method: Option<&str>, mishap: Mishap) {
        self.shared.weather.add_mishap(method.map(str::to_owned), mishap);
    }

    /// Nothing of what was asked for with [`Sim::mishap`], and has not happened, will.
    pub fn forget_mishaps(&self) {
        self.shared.weather.forget_mishaps();
    }

    /// Makes every session of a user expired (1007), as if a day had passed.
    pub fn expire_sessions(&self, user: &str) {
        self.each_session(user, |session| session.expired = true);
    }

    /// Forgets every session of a user (1002), as if they had been closed elsewhere.
    pub fn close_sessions(&self, user: &str) {
        self.each_session(user, |session| session.closed = true);
    }

    fn each_session(&self, user: &str, how: impl Fn(&mut crate::rows::Session)) {
        self.control(|engine| {
            let user = engine.user_id(user);
            let ids: Vec<i64> = engine
                .store
                .sessions
                .all()
                .filter(|session| session.user == user)
                .map(|session| session.id)
                .collect();
            for id in ids {
                engine.store.sessions.change(id, &how);
            }
        });
    }
}

impl Drop for Sim {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        self.server.abort();
        self.shared.close();
    }
}

/// Lets things happen when they are due.
async fn live(shared: Arc<Shared>, mut stopped: watch::Receiver<bool>) {
    if shared.clock != Clock::Real {
        let _ = stopped.wait_for(|stopped| *stopped).await;
        return;
    }
    loop {
        let worker = shared.clone();
        let step = tokio::task::spawn_blocking(move || {
            let mut engine = worker.engine.lock().unwrap_or_else(PoisonError::into_inner);
            worker.catch_up(&mut engine, real_time());
            engine.next_due()
        });
        let due = step.await.ok().flatten();
        let pause = due.map_or(1.0, |due| (due - real_time()).clamp(0.005, 1.0));
        tokio::select! {
            () = tokio::time::sleep(Duration::from_secs_f64(pause)) => {}
            () = shared.changed.notified() => {}
            _ = stopped.wait_for(|stopped| *stopped) => return,
        }
    }
}

/// Runs a simulator until `stop` is done, telling what happens in lines for people: the body of `koschei kojisim`.
pub async fn run(
    options: Options,
    mut tell: impl FnMut(&str),
    stop: impl Future<Output = ()>,
) -> Result<(), StartError> {
    let sim = Sim::start(options).await?;
    let mut news = sim.news();
    tell(&format!("hub {}, files {}, pages {}", sim.url(), sim.topurl(), sim.weburl()));
    tokio::pin!(stop);
    loop {
        tokio::select! {
            () = &mut stop => break,
            heard = news.recv() => match heard {
                Ok(News { at, words }) => {
                    let time = crate::hub::time_text(at);
                    tell(&format!("{}  {words}", time.get(11..19).unwrap_or_default()));
                }
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => break,
            },
        }
    }
    sim.stop().await;
    Ok(())
}
