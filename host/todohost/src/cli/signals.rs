//! Ctrl-C and its kin: the first stops cleanly, the second at once.

use tokio_util::sync::CancellationToken;

use todohost_model::event::{Bus, EventKind, Level};

/// Cancels at the first signal and returns at the second. Children run in process groups of their own, so
/// the terminal's Ctrl-C reaches this process alone.
pub(super) async fn second_stop(bus: &Bus, cancel: &CancellationToken) {
    let Ok(mut signals) = Signals::new() else {
        // Without signals there is nothing to wait for.
        return std::future::pending().await;
    };
    signals.next().await;
    let message = "stopping and rolling back; press Ctrl-C again to quit now without rolling back";
    bus.send(EventKind::Note { level: Level::Warn, message: message.to_owned() });
    cancel.cancel();
    signals.next().await;
}

#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    hang_up: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hang_up.recv() => {}
        }
    }
}

#[cfg(windows)]
struct Signals {
    interrupt: tokio::signal::windows::CtrlC,
    close: tokio::signal::windows::CtrlClose,
}

#[cfg(windows)]
impl Signals {
    fn new() -> std::io::Result<Self> {
        use tokio::signal::windows::{ctrl_c, ctrl_close};
        Ok(Self { interrupt: ctrl_c()?, close: ctrl_close()? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.close.recv() => {}
        }
    }
}
