//! `koschei demo`: the whole of Koschei on one machine, with a small distribution to watch.
//!
//! One process tree: this process holds a private PostgreSQL, keeps the simulated Koji, the services and the web
//! interface running as children, and tells in plain words what happens. It may be interrupted or killed at any
//! moment; the next start goes on where it stopped, because everything that counts is in PostgreSQL and in the
//! simulated Koji's state, both durable.

mod place;
mod processes;
mod setup;
mod story;

use std::{
    fs,
    net::{Ipv4Addr, TcpListener},
    process::ExitCode,
    time::{Duration, Instant},
};

use koschei_db::{
    Pool,
    cluster::{Cluster, Options},
    schema,
};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
    time::{interval, sleep},
};

use self::{
    place::Place,
    processes::{Event, Keeper, Program},
    setup::Pace,
    story::Story,
};
use crate::{command_line::DemoOptions, failure::Failure, logging};

/// The name of the database in the private cluster.
const DATABASE: &str = "koschei";

/// The services in the order in which they are needed.
const SERVICES: [&str; 4] = ["polling", "repo-resolver", "build-resolver", "scheduler"];

/// Runs the demo until it is interrupted.
pub(crate) fn run(options: DemoOptions) -> Result<ExitCode, Failure> {
    // What goes wrong is told in sentences; of the libraries only errors are of interest.
    logging::quietly();
    // One thread: the kernel ties children to the thread that started them, and this one lives as long as the demo.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(format_args!("cannot start: {error}")))?;
    runtime.block_on(play(options))
}

async fn play(options: DemoOptions) -> Result<ExitCode, Failure> {
    let place = Place::take(options.dir.as_deref(), options.fresh)?;
    let mut story = Story::new();
    let mut demo = Demo { keepers: Vec::new(), cluster: None };
    let ending = tokio::select! {
        ending = demo.run(&options, &place, &mut story) => ending.map(|never| match never {}),
        () = interrupted() => Ok(()),
    };
    story.say("Stopping.");
    demo.stop().await;
    ending?;
    story.say(&format!(
        "Stopped. The same command goes on from here; with --fresh it starts over. The data is in {}.",
        place.directory().display()
    ));
    Ok(ExitCode::SUCCESS)
}

/// Nothing: the demo has no end of its own.
enum Never {}

/// What has to be stopped in the end.
struct Demo {
    keepers: Vec<Keeper>,
    cluster: Option<Cluster>,
}

impl Demo {
    async fn run(
        &mut self,
        options: &DemoOptions,
        place: &Place,
        story: &mut Story,
    ) -> Result<Never, Failure> {
        let pace = Pace { speed: options.speed };
        let first = !place.set_up().exists();
        let web_port = free_port(options.port).await?;
        let koji_port = port_for_koji(options.port)?;
        story.say(if first {
            "Starting a PostgreSQL, a small Koji and Koschei. It takes a moment."
        } else {
            "Going on where the demo stopped."
        });

        let (events, mut incoming) = mpsc::unbounded_channel();
        let (told, tellers) = mpsc::unbounded_channel();
        let program = |name: &'static str, arguments, configuration: bool| Program {
            name,
            arguments,
            configuration: configuration.then(|| place.configuration()),
            logs: place.logs(),
        };
        let koji_arguments =
            setup::koji_arguments(&place.koji(), koji_port, options.speed, options.seed);
        let koji = program("kojisim", koji_arguments, false);
        self.keepers.push(Keeper::start(koji, events.clone(), Some(told)));

        let cluster = self.cluster.insert(
            Cluster::start(Options::durable(place.database())).await.map_err(Failure::new)?,
        );
        cluster.create_database(DATABASE).await.map_err(Failure::new)?;
        let database = cluster.config(DATABASE, "koschei-demo");
        let mut connection = koschei_db::connect_one(&database).await.map_err(Failure::new)?;
        schema::create_or_upgrade(&mut connection).await.map_err(Failure::new)?;
        drop(connection);
        let pool = koschei_db::connect(&database).await.map_err(Failure::new)?;
        setup::write_configuration(place, &database, koji_port, web_port, pace)?;

        self.keepers.push(Keeper::start(program("web", Vec::new(), true), events.clone(), None));
        let client = koji::Client::new(koji::ClientConfig::anonymous(format!(
            "http://127.0.0.1:{koji_port}/kojihub"
        )));
        tokio::select! {
            done = setup::create_collections(&pool, &client) => done?,
            failure = hopeless(&mut incoming, story) => return Err(failure),
        }
        for name in SERVICES {
            self.keepers.push(Keeper::start(program(name, Vec::new(), true), events.clone(), None));
        }
        if first {
            tokio::select! {
                done = setup::track_everything(&pool) => done?,
                failure = hopeless(&mut incoming, story) => return Err(failure),
            }
            fs::write(place.set_up(), "").map_err(|error| {
                Failure::new(format_args!("cannot write {}: {error}", place.set_up().display()))
            })?;
        }
        wait_for_web(web_port).await;
        story.begin(&pool, web_port, place).await?;
        self.watch(&pool, story, &mut incoming, tellers).await
    }

    /// Tells what happens, and keeps PostgreSQL running, for ever.
    async fn watch(
        &mut self,
        pool: &Pool,
        story: &mut Story,
        events: &mut mpsc::UnboundedReceiver<Event>,
        mut tellers: mpsc::UnboundedReceiver<tokio::process::ChildStdout>,
    ) -> Result<Never, Failure> {
        let (words, mut heard) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Some(output) = tellers.recv().await {
                story::listen(output, words.clone()).await;
            }
        });
        let mut tick = interval(Duration::from_secs(1));
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                Some(line) = heard.recv() => story.repeat(&line),
                failure = hopeless(events, story) => return Err(failure),
                _ = tick.tick() => {
                    self.mend_database(story).await?;
                    story.look(pool).await;
                }
            }
        }
    }

    async fn mend_database(&mut self, story: &mut Story) -> Result<(), Failure> {
        let Some(cluster) = &mut self.cluster else { return Ok(()) };
        if cluster.server_process().is_some() {
            return Ok(());
        }
        story.say("PostgreSQL has ended; starting it again.");
        cluster.restart().await.map_err(Failure::new)
    }

    /// Stops everything in order: what works, then what it works on.
    async fn stop(&mut self) {
        let (koji, others): (Vec<_>, Vec<_>) =
            self.keepers.drain(..).enumerate().partition(|(place, _)| *place == 0);
        stop_all(others.into_iter().map(|(_, keeper)| keeper)).await;
        stop_all(koji.into_iter().map(|(_, keeper)| keeper)).await;
        if let Some(mut cluster) = self.cluster.take() {
            let _ = cluster.stop().await;
        }
    }
}

async fn stop_all(keepers: impl Iterator<Item = Keeper>) {
    let stopping: Vec<_> = keepers.map(|keeper| tokio::spawn(keeper.stop())).collect();
    for one in stopping {
        let _ = one.await;
    }
}

/// Tells of children that ended and are started again; ends with the first that cannot be helped.
async fn hopeless(events: &mut mpsc::UnboundedReceiver<Event>, story: &mut Story) -> Failure {
    loop {
        match events.recv().await {
            Some(Event::Hopeless(failure)) => return failure,
            Some(Event::Ended { name, status, log, pause }) => story.say(&format!(
                "{name} has ended ({status}) and is started again in {:.1} s; its log is {}",
                pause.as_secs_f64(),
                log.display()
            )),
            None => std::future::pending().await,
        }
    }
}

/// Ctrl-C, or a polite request from elsewhere.
async fn interrupted() {
    let listen = |kind| signal(kind);
    match (
        listen(SignalKind::interrupt()),
        listen(SignalKind::terminate()),
        listen(SignalKind::hangup()),
    ) {
        (Ok(mut interrupt), Ok(mut terminate), Ok(mut hangup)) => {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
                _ = hangup.recv() => {}
            }
        }
        // Without handlers the signals end us at once, which is as good.
        _ => std::future::pending().await,
    }
}

/// Sees that the port of the web interface is free. Processes of a demo that was killed just now may need a moment to
/// go.
async fn free_port(port: u16) -> Result<u16, Failure> {
    let deadline = Instant::now() + Duration::from_secs(3);
    loop {
        match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            Ok(listener) => {
                let port = listener.local_addr().map_or(port, |address| address.port());
                return Ok(port);
            }
            Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
                if Instant::now() > deadline {
                    return Err(Failure::new(format_args!(
                        "port {port} is taken by another program: choose another one with --port"
                    )));
                }
            }
            Err(error) => {
                return Err(Failure::new(format_args!(
                    "port {port} cannot be used ({error}): choose another one with --port"
                )));
            }
        }
        sleep(Duration::from_millis(100)).await;
    }
}

/// The simulated Koji's port: the next free one after that of the web interface, so that links stay where they were.
fn port_for_koji(web_port: u16) -> Result<u16, Failure> {
    (1..=50)
        .filter_map(|step| web_port.checked_add(step))
        .find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok())
        .ok_or_else(|| {
            Failure::new(format_args!(
                "the ports after {web_port} are all taken: choose another one with --port"
            ))
        })
}

async fn wait_for_web(port: u16) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while Instant::now() < deadline
        && tokio::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.is_err()
    {
        sleep(Duration::from_millis(50)).await;
    }
}
