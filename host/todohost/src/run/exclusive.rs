//! One deploy of a release at a time: waiting for others, and being the one.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::error::RunError;
use super::session::{Session, lock};
use todohost_model::event::{Bus, EventKind};
use todohost_project::TimeLimit;
use todohost_release::{Holder, Lease, ReleaseError};

/// How long another deploy of the release is waited for, unless the user says otherwise.
pub const LOCK_TIMEOUT: TimeLimit = TimeLimit::of(Duration::from_mins(10));

impl Session {
    /// Waits until no other deploy of the release is under way; `true` where one was: what it made is then there to be
    /// read.
    pub(super) async fn wait_for_others(&self, lease: &Lease, bus: &Bus) -> Result<bool, RunError> {
        let was_held = AtomicBool::new(false);
        let tell = |holder: &Holder| {
            was_held.store(true, Ordering::Relaxed);
            tell(bus, holder);
        };
        self.or_cancelled(lease.wait_until_free(&tell)).await?;
        Ok(was_held.into_inner())
    }

    /// Makes this run the one that changes the release. The namespace must exist.
    ///
    /// Someone else may have made a revision since this run read the newest one: whoever goes on to change something
    /// has to see that the newest is still the same.
    pub(super) async fn take_lease(&self, bus: &Bus) -> Result<(), RunError> {
        let reached = self.reached()?;
        let tell = |holder: &Holder| tell(bus, holder);
        let held = reached.lease.take(&tell, self.cancel.clone()).await?;
        *lock(&self.held) = Some(held);
        if self.cancel.is_cancelled() {
            return Err(RunError::cancelled());
        }
        Ok(())
    }

    /// The error for a run that was taken for dead while it could not reach the cluster.
    pub(super) fn lost_lease(&self) -> Option<RunError> {
        let is_lost = lock(&self.held).as_ref().is_some_and(todohost_release::Held::is_lost);
        let release = self.run.project.file.app.name.clone();
        is_lost.then(|| ReleaseError::Lost { release }.into())
    }

    /// Others may change the release again.
    pub(super) async fn give_lease_back(&self) {
        let held = lock(&self.held).take();
        let Some(held) = held else { return };
        if let Err(error) = held.give_back().await {
            let message = format!(
                "the next deploy waits a moment, since the lease could not be given back: {error}"
            );
            self.note(&self.bus, "warn", self.vault().redact(&message));
        }
    }
}

fn tell(bus: &Bus, holder: &Holder) {
    let message =
        format!("waiting for {}, who has been deploying since {}", holder.person, holder.since);
    bus.send(EventKind::Note { level: "info".to_owned(), message });
}
