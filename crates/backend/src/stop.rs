//! The wish to stop, as something that can be waited for and asked about.

use tokio::sync::watch;

/// Asks everybody who holds the matching [`Stop`] to stop.
#[derive(Debug)]
pub struct Stopper(watch::Sender<bool>);

/// Tells whether to stop; cheap to clone.
#[derive(Debug, Clone)]
pub struct Stop(watch::Receiver<bool>);

impl Stopper {
    /// A pair that belongs together. Dropping the stopper does not stop anybody.
    pub fn new() -> (Stopper, Stop) {
        let (sender, receiver) = watch::channel(false);
        (Stopper(sender), Stop(receiver))
    }

    /// Asks to stop.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }
}

impl Stop {
    /// One that never comes.
    pub fn never() -> Stop {
        Stopper::new().1
    }

    /// Stops at SIGTERM, SIGINT (Ctrl-C) and SIGHUP.
    ///
    /// # Errors
    /// When the signals cannot be caught.
    pub fn on_signals() -> std::io::Result<Stop> {
        use tokio::signal::unix::{SignalKind, signal};
        let (stopper, stop) = Stopper::new();
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut hangup = signal(SignalKind::hangup())?;
        tokio::spawn(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
                _ = hangup.recv() => {}
            }
            stopper.stop();
        });
        Ok(stop)
    }

    /// Whether somebody asked to stop.
    pub fn is_requested(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits until somebody asks to stop.
    pub async fn requested(&self) {
        let mut receiver = self.0.clone();
        if receiver.wait_for(|stop| *stop).await.is_err() {
            // Nobody is left who could ask.
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn whoever_waits_is_told_and_whoever_asks_later_as_well() {
        let (stopper, stop) = Stopper::new();
        assert!(!stop.is_requested());
        let waiting = tokio::spawn({
            let stop = stop.clone();
            async move { stop.requested().await }
        });
        stopper.stop();
        waiting.await.unwrap();
        stop.requested().await;
        assert!(stop.is_requested());
    }
}
