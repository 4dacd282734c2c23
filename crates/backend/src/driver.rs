//! Runs services: repeats their step for years, without anybody looking.
//!
//! A step is repeated after the service's interval, or at once when somebody wakes it by a PostgreSQL notification.
//! After trouble the pause grows, with some chance in it, so that ten processes do not come back in the same second.
//! When asked to stop, a service ends its step, or breaks it off after a few seconds; every step can be broken off
//! anywhere, because what it has not committed is found again by the next one.

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::{Duration, Instant};

use koschei_core::config;
use koschei_db::wake::{Alarm, Sleeper};
use tracing::{Instrument, debug, error, info, info_span, warn};

use crate::context::Context;
use crate::error::{Error, Result};
use crate::{build_resolver, polling, repo_resolver, scheduler};

/// How long a step may go on after the wish to stop. The process has ended within ten seconds then, although a transfer
/// that is cut off may take one more.
const GRACE: Duration = Duration::from_secs(6);

/// How long notifications are waited for on one connection. That it has died without a word cannot be told from silence,
/// so it is replaced in time.
const ALARM_LASTS: Duration = Duration::from_secs(15 * 60);

/// The longest pause after repeated trouble.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// A service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Service {
    /// Finds everything new in Koji.
    Polling,
    /// Resolves the newest repo of each collection.
    RepoResolver,
    /// Resolves builds in the repos they were made in.
    BuildResolver,
    /// Submits builds.
    Scheduler,
}

impl Service {
    /// All services.
    pub const ALL: [Service; 4] =
        [Self::Polling, Self::RepoResolver, Self::BuildResolver, Self::Scheduler];

    /// The name on the command line: `repo-resolver`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Polling => "polling",
            Self::RepoResolver => "repo-resolver",
            Self::BuildResolver => "build-resolver",
            Self::Scheduler => "scheduler",
        }
    }

    /// The service with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|service| service.name() == name)
    }

    fn sleeper(self) -> Sleeper {
        match self {
            Self::Polling => Sleeper::Polling,
            Self::RepoResolver => Sleeper::RepoResolver,
            Self::BuildResolver => Sleeper::BuildResolver,
            Self::Scheduler => Sleeper::Scheduler,
        }
    }

    fn settings(self, config: &config::Config) -> &config::Service {
        match self {
            Self::Polling => &config.services.polling,
            Self::RepoResolver => &config.services.repo_resolver,
            Self::BuildResolver => &config.services.build_resolver,
            Self::Scheduler => &config.services.scheduler,
        }
    }

    async fn step(self, ctx: &Context, why: Why) -> Result<Outcome> {
        match (self, why) {
            // Somebody wants a build cancelled, which is no reason to list all packages.
            (Self::Polling, Why::Woken) => polling::builds_step(ctx).await,
            (Self::Polling, Why::Due) => polling::step(ctx).await,
            (Self::RepoResolver, _) => repo_resolver::step(ctx).await,
            (Self::BuildResolver, _) => build_resolver::step(ctx).await,
            (Self::Scheduler, _) => scheduler::step(ctx).await,
        }
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why a step is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Why {
    Due,
    Woken,
}

/// What a step did.
#[derive(Debug, Default)]
pub struct Outcome {
    /// How many things were done: builds finished, packages resolved, builds submitted.
    pub done: usize,
    /// What could not be done, by what it was about (the name of a collection, mostly).
    pub failures: Vec<(String, Error)>,
}

impl Outcome {
    /// Takes the result for one part of the work, such as a collection. Trouble with it is kept and does not hinder the
    /// other parts, unless it is the database, without which nothing else can be done.
    pub(crate) fn take(&mut self, about: &str, result: Result<usize>) -> Result<()> {
        match result {
            Ok(done) => self.done += done,
            Err(error) if error.is_database() && error.is_transient() => return Err(error),
            Err(error) => self.failures.push((about.to_owned(), error)),
        }
        Ok(())
    }
}

/// Why a service ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// It was asked to.
    Stopped,
    /// It needs more memory than it may; exit status 3, so that the supervisor starts it again.
    OverLimit,
}

/// Runs a service until it is asked to stop (`ctx.stop`). Whatever goes wrong is logged, and the step is repeated.
pub async fn run(service: Service, ctx: &Context) -> Ended {
    let span = info_span!("service", name = %service);
    async {
        let _ = sd_notify::notify(&[sd_notify::NotifyState::Ready]);
        info!("{service} runs");
        let ended = run_loop(service, ctx).await;
        let _ = sd_notify::notify(&[sd_notify::NotifyState::Stopping]);
        info!("{service} ends");
        ended
    }
    .instrument(span)
    .await
}

/// Makes one step, for cron and debugging.
///
/// # Errors
/// Whatever the step says.
pub async fn once(service: Service, ctx: &Context) -> Result<Outcome> {
    service.step(ctx, Why::Due).instrument(info_span!("service", name = %service)).await
}

async fn run_loop(service: Service, ctx: &Context) -> Ended {
    let settings = service.settings(&ctx.config);
    let mut alarm: Option<Alarm> = None;
    let mut set = Instant::now();
    let mut troubles = Troubles::default();
    let mut why = Why::Due;
    let mut due = Instant::now();
    loop {
        if alarm.is_none() || set.elapsed() > ALARM_LASTS {
            // Before the step, so that nothing is missed between the two.
            alarm = Alarm::set(&ctx.db, service.sleeper()).await.ok();
            set = Instant::now();
        }
        let begun = Instant::now();
        let Some(result) = bounded(service.step(ctx, why), ctx, settings.watchdog).await else {
            info!("the step was broken off");
            return Ended::Stopped;
        };
        ctx.vitals.note_step(begun.elapsed(), &result);
        tell_status(ctx);
        if why == Why::Due {
            due = Instant::now() + settings.interval();
        }
        let delay = troubles.note(result);
        if let Some(soon) = troubles.worth_another_look() {
            due = due.min(Instant::now() + soon);
        }
        if ctx.stop.is_requested() {
            return Ended::Stopped;
        }
        if over_limit(settings) {
            return Ended::OverLimit;
        }
        why = match delay {
            Some(delay) => {
                sleep(delay, ctx, settings.watchdog).await;
                if Instant::now() >= due { Why::Due } else { why }
            }
            None => rest(due, &mut alarm, ctx, settings.watchdog).await,
        };
        if ctx.stop.is_requested() {
            return Ended::Stopped;
        }
    }
}

/// Waits for a step; `None` when it was broken off. One that does not get anywhere any more is given up: whatever it
/// waited for will not come, and the next step begins with new connections.
async fn bounded<T>(
    step: impl Future<Output = Result<T>>,
    ctx: &Context,
    watchdog: bool,
) -> Option<Result<T>> {
    let give_up = async {
        ctx.stop.requested().await;
        tokio::time::sleep(GRACE).await;
    };
    ctx.progress.note();
    // The watchdog hears of the progress of the step, and not only that the process lives: should the step hold up this
    // thread, or the giving up not help, nobody feeds it.
    tokio::select! {
        result = step => Some(result),
        () = give_up => None,
        error = ctx.progress.until_stuck() => Some(Err(error)),
        () = feed_watchdog(watchdog, || !ctx.progress.is_stuck()) => None,
    }
}

async fn sleep(time: Duration, ctx: &Context, watchdog: bool) {
    tokio::select! {
        () = tokio::time::sleep(time) => {}
        () = ctx.stop.requested() => {}
        () = feed_watchdog(watchdog, || true) => {}
    }
}

/// Waits until the next step is due, or somebody wakes the service.
async fn rest(due: Instant, alarm: &mut Option<Alarm>, ctx: &Context, watchdog: bool) -> Why {
    let ring = async {
        match alarm.as_mut() {
            Some(bell) => bell.ring().await,
            None => std::future::pending().await,
        }
    };
    let rung = tokio::select! {
        () = tokio::time::sleep_until(due.into()) => return Why::Due,
        () = ctx.stop.requested() => return Why::Due,
        () = feed_watchdog(watchdog, || true) => return Why::Due,
        rung = ring => rung,
    };
    match rung {
        Ok(()) => Why::Woken,
        Err(error) => {
            debug!("cannot listen for notifications: {error}");
            *alarm = None;
            // The database is away, or was; one pause like after any trouble, then everything as usual.
            sleep(pause(1), ctx, watchdog).await;
            Why::Woken
        }
    }
}

/// Tells systemd how the service is, in one line.
pub(crate) fn tell_status(ctx: &Context) {
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Status(&ctx.vitals.now().line())]);
}

/// Tells systemd regularly that all is well, while it is; never ends.
pub(crate) async fn feed_watchdog(enabled: bool, well: impl Fn() -> bool) {
    let Some(interval) = sd_notify::watchdog_enabled().filter(|_| enabled) else {
        return std::future::pending().await;
    };
    loop {
        if well() {
            let _ = sd_notify::notify(&[sd_notify::NotifyState::Watchdog]);
        }
        tokio::time::sleep(interval / 3).await;
    }
}

/// The pause after so many failed steps in a row: doubling from one second, with a quarter left to chance.
pub(crate) fn pause(failures: u32) -> Duration {
    let seconds = 2u64.saturating_pow(failures.saturating_sub(1)).min(LONGEST_PAUSE.as_secs());
    // The keys of a fresh hasher are the standard library's way to a random number.
    let chance = RandomState::new().build_hasher().finish() as f64 / u64::MAX as f64;
    Duration::from_secs(seconds).mul_f64(0.75 + chance / 2.0)
}

/// What is wrong at the moment, so that each trouble is told once when it begins and once when it is over.
#[derive(Debug, Default)]
pub(crate) struct Troubles {
    /// How many steps in a row failed, as a whole.
    failures: u32,
    /// How many steps in a row met trouble that may pass, with a part of their work.
    passing: u32,
    told: HashMap<String, String>,
}

impl Troubles {
    /// The time after which another look is worthwhile at what could not be done, although the service's interval may be
    /// longer.
    fn worth_another_look(&self) -> Option<Duration> {
        (self.passing > 0).then(|| pause(self.passing))
    }

    /// Notes how a step went; the pause before the next one if it failed.
    pub(crate) fn note(&mut self, result: Result<Outcome>) -> Option<Duration> {
        let outcome = match result {
            Ok(outcome) => outcome,
            Err(error) => {
                self.failures += 1;
                let delay = pause(self.failures);
                let text = error.to_string();
                let again = format!("trying again in {} s", delay.as_secs_f32().ceil());
                if self.told.insert(String::new(), text.clone()).as_ref() == Some(&text) {
                    debug!("{text}; {again}");
                } else if error.is_transient() {
                    warn!("{text}; {again}");
                } else {
                    error!("{text}; {again}");
                }
                return Some(delay);
            }
        };
        self.failures = 0;
        let passing = outcome.failures.iter().any(|(_, failure)| failure.is_transient());
        self.passing = if passing { self.passing + 1 } else { 0 };
        let mut now = HashMap::new();
        for (about, failure) in outcome.failures {
            let text = failure.to_string();
            if self.told.get(&about) == Some(&text) {
                debug!(about, "{text}");
            } else {
                warn!(about, "{text}");
            }
            now.insert(about, text);
        }
        for about in self.told.keys().filter(|about| !now.contains_key(*about)) {
            if about.is_empty() {
                info!("it works again");
            } else {
                info!(about, "it works again");
            }
        }
        self.told = now;
        None
    }
}

/// Whether the process uses more memory than the settings allow.
pub(crate) fn over_limit(settings: &config::Service) -> bool {
    if settings.memory_limit.is_none() && settings.virtual_memory_limit.is_none() {
        return false;
    }
    let Some((virtual_memory, resident)) = memory_in_kib() else { return false };
    for (name, used, limit) in [
        ("memory", resident, settings.memory_limit),
        ("virtual memory", virtual_memory, settings.virtual_memory_limit),
    ] {
        if limit.is_some_and(|limit| used > limit) {
            error!("{name} in use, {used} KiB, is above the limit; ending, to be started again");
            return true;
        }
    }
    false
}

/// Virtual and resident memory of this process, from /proc.
pub(crate) fn memory_in_kib() -> Option<(u64, u64)> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let value = |key: &str| {
        let line = status.lines().find(|line| line.starts_with(key))?;
        line.split_whitespace().nth(1)?.parse().ok()
    };
    Some((value("VmSize:")?, value("VmRSS:")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Compiles when the services can run on any thread.
    #[allow(dead_code, reason = "never called")]
    fn services_can_be_spawned(ctx: &Context) {
        fn sent(_: impl Send) {}
        sent(polling::step(ctx));
        sent(repo_resolver::step(ctx));
        sent(build_resolver::step(ctx));
        sent(scheduler::step(ctx));
        sent(run(Service::Polling, ctx));
    }

    #[test]
    fn pauses_grow_and_end_at_a_minute() {
        assert!(pause(1) <= Duration::from_millis(1250));
        assert!(pause(3) >= Duration::from_secs(3));
        assert!(pause(u32::MAX) <= LONGEST_PAUSE.mul_f64(1.25));
    }

    #[test]
    fn trouble_that_may_pass_is_looked_at_again_soon_and_other_trouble_in_its_time() {
        let outcome = |error| Ok(Outcome { done: 0, failures: vec![("f40".to_owned(), error)] });
        let mut troubles = Troubles::default();
        assert_eq!(troubles.note(outcome(Error::Thread("away".into()))), None);
        assert!(troubles.worth_another_look().is_some_and(|soon| soon < Duration::from_secs(2)));
        assert_eq!(troubles.note(outcome(Error::Collection("no such tag".into()))), None);
        assert_eq!(troubles.worth_another_look(), None);
        assert!(troubles.note(Err(Error::Thread("away".into()))).is_some());
    }

    #[test]
    fn memory_is_measured() {
        let (virtual_memory, resident) = memory_in_kib().unwrap();
        assert!(virtual_memory >= resident && resident > 1000);
    }

    #[test]
    fn services_have_the_names_of_the_command_line() {
        for service in Service::ALL {
            assert_eq!(Service::from_name(service.name()), Some(service));
        }
        assert_eq!(Service::from_name("repo_resolver"), None);
    }
}
