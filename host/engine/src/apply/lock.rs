//! The release lock: one run at a time changes a release.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::connected::Connected;
use crate::context::{Context, note};
use crate::error::RunError;
use todohost_model::event::{Bus, Level};
use todohost_project::TimeLimit;
use todohost_release::{Held, Holder, Lease, ReleaseError};

/// How long to wait for another deploy of the release, unless the user sets it.
pub const LOCK_TIMEOUT: TimeLimit = TimeLimit::of(Duration::from_mins(10));

/// Waits until no other run changes the release. Returns whether there was one: it may have made a revision.
pub(crate) async fn wait_for_others(
    cx: &Context,
    lease: &Lease,
    bus: &Bus,
) -> Result<bool, RunError> {
    let was_held = AtomicBool::new(false);
    let report = |holder: &Holder| {
        was_held.store(true, Ordering::Relaxed);
        report_holder(bus, holder);
    };
    cx.or_cancelled(lease.wait_until_free(&report)).await?;
    Ok(was_held.into_inner())
}

/// The lock on a release, while a run changes it.
#[derive(Default)]
pub(super) struct ReleaseLock {
    held: Option<Held>,
}

impl ReleaseLock {
    /// Takes the lock. The namespace must exist.
    ///
    /// Another run may have made a revision since this one read the newest: the caller must check that the newest is
    /// still the same.
    pub(super) async fn take(&mut self, connected: &Connected, bus: &Bus) -> Result<(), RunError> {
        let cancel = &connected.cx.cancel;
        let report = |holder: &Holder| report_holder(bus, holder);
        self.held = Some(connected.lease.take(&report, cancel.clone()).await?);
        if cancel.is_cancelled() {
            return Err(RunError::cancelled());
        }
        Ok(())
    }

    /// The error if another run took the lock over, since this one could not renew it.
    pub(super) fn lost(&self, connected: &Connected) -> Option<RunError> {
        let is_lost = self.held.as_ref().is_some_and(Held::is_lost);
        let release = connected.cx.app().name.clone();
        is_lost.then(|| ReleaseError::Lost { release }.into())
    }

    /// Releases the lock, if it is held.
    pub(super) async fn release(&mut self, connected: &Connected) {
        let Some(held) = self.held.take() else { return };
        if let Err(error) = held.give_back().await {
            let message = format!(
                "the next deploy waits a moment, since the lock could not be released: {error}"
            );
            note(&connected.cx.bus, Level::Warn, connected.vault.redact(&message));
        }
    }
}

fn report_holder(bus: &Bus, holder: &Holder) {
    let Holder { person, since, .. } = holder;
    note(bus, Level::Info, format!("waiting for {person}, who has been deploying since {since}"));
}
