//! Starts one service: configuration, log, database, and then the crate that does the work.
//!
//! A service may be started before its database and outlives its absence. It holds a lock that says that it runs, so
//! that nobody changes the schema under it, and it refuses to run on a schema that is not the one it knows.

pub(crate) mod kojisim;
mod supervisor;
mod web;

use std::{fmt, pin::pin, process::ExitCode, time::Duration};

use koschei_backend::{Context, Service, Stop, driver, monitoring, publisher, watcher};
use koschei_core::config::{Config, Plugin};
use koschei_db::{Pool, locks::ServiceLock, schema};
use nix::{
    sys::{prctl, signal::Signal},
    unistd::getppid,
};
use tokio::time::sleep;

use crate::{
    command_line::ServiceOptions,
    configuration::{self, Reader},
    database,
    failure::Failure,
    logging,
};

/// The exit status that asks the supervisor to start the service again: it needed more memory than it may.
const OVER_LIMIT: u8 = 3;

/// A pause between two attempts to reach the database, and between two looks whether it is still there.
const PAUSE: Duration = Duration::from_secs(2);

/// A service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Name {
    Polling,
    RepoResolver,
    BuildResolver,
    Scheduler,
    Watcher,
    Web,
}

impl fmt::Display for Name {
    /// As people, systemd and the command line call it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Polling => "polling",
            Self::RepoResolver => "repo-resolver",
            Self::BuildResolver => "build-resolver",
            Self::Scheduler => "scheduler",
            Self::Watcher => "watcher",
            Self::Web => "web",
        })
    }
}

/// Runs a service until it is asked to stop.
pub(crate) fn run(name: Name, options: &ServiceOptions) -> Result<ExitCode, Failure> {
    logging::start(&options.log);
    let reader = if name == Name::Web { Reader::Frontend } else { Reader::Backend };
    let configuration = configuration::read(reader)?;
    for warning in &configuration.loaded.warnings {
        tracing::warn!("{warning}");
    }
    let config = configuration.loaded.config;
    let service = match name {
        Name::Polling => Some(Service::Polling),
        Name::RepoResolver => Some(Service::RepoResolver),
        Name::BuildResolver => Some(Service::BuildResolver),
        Name::Scheduler => Some(Service::Scheduler),
        Name::Web | Name::Watcher => None,
    };
    let bus = bus(&config, name)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(format_args!("{name} cannot start: {error}")))?;
    let ending = runtime.block_on(async {
        let stop = Stop::on_signals()
            .map_err(|error| Failure::new(format_args!("{name} cannot catch signals: {error}")))?;
        supervisor::without_watchdog_unless(has_watchdog(name, &config));
        let Some((pool, lock)) = join(&config, name, &stop).await? else {
            return Ok(ExitCode::SUCCESS);
        };
        let work = async {
            if name == Name::Web {
                return web::serve(&config, pool.clone(), stop).await;
            }
            let port = monitoring_port(&config, name).filter(|_| !options.once);
            let context = Context::new(config, pool.clone(), stop).map_err(Failure::usage)?;
            let work = work(service, options.once, &context, bus.as_ref());
            let Some(port) = port else { return work.await };
            let name = name.to_string();
            tokio::select! {
                ending = work => ending,
                () = monitoring::serve(&context, &name, port) => Ok(ExitCode::FAILURE),
            }
        };
        tokio::select! {
            ending = work => ending,
            failure = stay_joined(lock, &pool) => Err(failure),
        }
    });
    // Whatever still computes on other threads has been given up by now.
    runtime.shutdown_background();
    ending
}

/// Whether systemd is told regularly that a service is alive.
fn has_watchdog(name: Name, config: &Config) -> bool {
    let services = &config.services;
    match name {
        Name::Polling => services.polling.watchdog,
        Name::RepoResolver => services.repo_resolver.watchdog,
        Name::BuildResolver => services.build_resolver.watchdog,
        Name::Scheduler => services.scheduler.watchdog,
        Name::Watcher => services.watcher.watchdog,
        Name::Web => true,
    }
}

/// The work of a service, and beside it the sending of messages. Without a service it is that of the watcher.
async fn work(
    service: Option<Service>,
    once: bool,
    context: &Context,
    bus: Option<&fedora_messaging::Config>,
) -> Result<ExitCode, Failure> {
    let publishing = bus.filter(|_| database::publishes(&context.config));
    if once {
        let ending = serve_once(service, context, bus).await?;
        if let Some(bus) = publishing {
            publisher::once(context, bus).await.map_err(Failure::new)?;
        }
        return Ok(ending);
    }
    let serving = serve(service, context, bus);
    let Some(bus) = publishing else { return serving.await };
    // The publisher ends when asked to stop, a moment before or after the service.
    let (mut serving, mut publishing) = (pin!(serving), pin!(publisher::run(context, bus)));
    tokio::select! {
        ending = &mut serving => {
            if context.stop.is_requested() {
                publishing.await;
            }
            ending
        }
        () = &mut publishing => serving.await,
    }
}

async fn serve(
    service: Option<Service>,
    context: &Context,
    bus: Option<&fedora_messaging::Config>,
) -> Result<ExitCode, Failure> {
    let ended = match (service, bus) {
        (Some(service), _) => driver::run(service, context).await,
        (None, Some(bus)) => watcher::run(context, bus).await,
        (None, None) => return Err(no_watcher()),
    };
    Ok(match ended {
        driver::Ended::Stopped => ExitCode::SUCCESS,
        driver::Ended::OverLimit => ExitCode::from(OVER_LIMIT),
    })
}

async fn serve_once(
    service: Option<Service>,
    context: &Context,
    bus: Option<&fedora_messaging::Config>,
) -> Result<ExitCode, Failure> {
    let service = match (service, bus) {
        (Some(service), _) => service,
        (None, Some(bus)) => {
            watcher::once(context, bus).await.map_err(Failure::new)?;
            return Ok(ExitCode::SUCCESS);
        }
        (None, None) => return Err(no_watcher()),
    };
    let outcome = driver::once(service, context).await.map_err(Failure::new)?;
    for (about, error) in &outcome.failures {
        eprintln!("{}: {about}: {error}", crate::command_line::PROGRAM);
    }
    let clean = outcome.failures.is_empty();
    Ok(if clean { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The configuration of the message bus, if this service has to do with it.
fn bus(config: &Config, name: Name) -> Result<Option<fedora_messaging::Config>, Failure> {
    if name == Name::Watcher && !config.has_plugin(Plugin::Fedmsg) {
        return Err(no_watcher());
    }
    if name == Name::Watcher || (name != Name::Web && database::publishes(config)) {
        return Ok(Some(fedora_messaging::Config::load().map_err(Failure::usage)?));
    }
    Ok(None)
}

/// The port on which a service answers to monitoring, if it does.
fn monitoring_port(config: &Config, name: Name) -> Option<u16> {
    let services = &config.services;
    match name {
        Name::Polling => services.polling.monitoring_port,
        Name::RepoResolver => services.repo_resolver.monitoring_port,
        Name::BuildResolver => services.build_resolver.monitoring_port,
        Name::Scheduler => services.scheduler.monitoring_port,
        Name::Watcher => services.watcher.monitoring_port,
        Name::Web => None,
    }
}

fn no_watcher() -> Failure {
    Failure::usage(
        "watcher needs the plugin fedmsg, which is not among the plugins of the configuration",
    )
}

/// Connects to the database and says there that a service runs; waits for a database that is away. Nothing when asked to
/// stop meanwhile.
async fn join(
    config: &Config,
    name: Name,
    stop: &Stop,
) -> Result<Option<(Pool, ServiceLock)>, Failure> {
    let address = database::configured(config, &format!("koschei-{name}"));
    let mut told = false;
    loop {
        let error = match try_join(&address).await {
            Ok(joined) => {
                if told {
                    supervisor::works();
                }
                return Ok(Some(joined));
            }
            Err(error) if error.is_transient() => error,
            Err(error) => return Err(Failure::new(error)),
        };
        if !told {
            tracing::warn!("{error}; trying again until it answers");
            told = true;
        }
        supervisor::waits(&format!("waits for the database: {error}"));
        tokio::select! {
            () = sleep(PAUSE) => {}
            () = stop.requested() => return Ok(None),
        }
    }
}

async fn try_join(address: &koschei_db::DatabaseConfig) -> koschei_db::Result<(Pool, ServiceLock)> {
    let pool = koschei_db::connect(address).await?;
    let lock = hold(&pool).await?;
    Ok((pool, lock))
}

async fn hold(pool: &Pool) -> koschei_db::Result<ServiceLock> {
    let lock = ServiceLock::acquire(pool).await?;
    let mut connection = pool.acquire().await.map_err(koschei_db::Error::from)?;
    schema::check_current(&mut connection).await?;
    Ok(lock)
}

/// Takes the lock again when an outage of the database has ended it. Ends only when the database that came back has
/// another schema.
async fn stay_joined(mut lock: ServiceLock, pool: &Pool) -> Failure {
    loop {
        sleep(PAUSE).await;
        if lock.check().await.is_ok() {
            continue;
        }
        lock = loop {
            match hold(pool).await {
                Ok(lock) => break lock,
                Err(error) if error.is_transient() => sleep(PAUSE).await,
                Err(error) => return Failure::new(error),
            }
        };
    }
}

/// Has the kernel kill this process when its parent dies, and ends at once when that has happened already.
pub(crate) fn die_with(parent: i32) -> Result<(), Failure> {
    prctl::set_pdeathsig(Signal::SIGKILL)
        .map_err(|error| Failure::new(format_args!("cannot be tied to the parent: {error}")))?;
    if getppid().as_raw() == parent {
        Ok(())
    } else {
        Err(Failure::new(format_args!("the process {parent} that started this one is gone")))
    }
}
