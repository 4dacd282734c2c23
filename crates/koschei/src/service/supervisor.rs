//! What systemd is told: that a service is ready, that it waits for its database, that it is alive.
//!
//! Ready means that the service has its configuration, its database and, for the web interface, its port. While the database is
//! away a service is ready nevertheless, with words that say what it waits for: it outlives such an absence later on as
//! well, and whoever starts the services should not hang.

use sd_notify::NotifyState;

/// Whether systemd is to be told that the service is alive is decided by the configuration; a unit that would kill a
/// service that says nothing is told not to.
pub(super) fn without_watchdog_unless(wanted: bool) {
    if !wanted && sd_notify::watchdog_enabled().is_some() {
        tell(&[NotifyState::WatchdogUsec(0)]);
    }
}

/// The service cannot work yet, but it lives. May be said again and again.
pub(super) fn waits(for_what: &str) {
    tell(&[NotifyState::Ready, NotifyState::Status(for_what), NotifyState::Watchdog]);
}

/// The service works.
pub(super) fn works() {
    tell(&[NotifyState::Ready, NotifyState::Status("")]);
}

/// The service ends because it was asked to.
pub(super) fn ends() {
    tell(&[NotifyState::Stopping]);
}

/// Tells systemd regularly that this process still does what it has to; never ends.
pub(super) async fn lives() {
    let Some(interval) = sd_notify::watchdog_enabled() else {
        return std::future::pending().await;
    };
    loop {
        tell(&[NotifyState::Watchdog]);
        tokio::time::sleep(interval / 3).await;
    }
}

/// Whether anybody listens does not matter: without systemd nobody does.
fn tell(states: &[NotifyState<'_>]) {
    let _ = sd_notify::notify(states);
}
