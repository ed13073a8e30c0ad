//! Keeps a failed revision in the cluster, if the user wants that.

use super::revision::Pending;
use crate::context::note;
use crate::error::RunError;
use todohost_model::event::{Bus, Level};
use todohost_release::{Status, Store};

/// The state to leave in the cluster if a deploy fails.
#[derive(Clone, Copy, Debug)]
pub struct AfterFailure {
    /// After a failed upgrade, the current revision is restored.
    pub roll_back: bool,
    /// After a failed first install, its objects stay.
    pub keep: bool,
}

impl Default for AfterFailure {
    fn default() -> Self {
        Self { roll_back: true, keep: false }
    }
}

/// Whether the user wants to inspect the failed revision.
pub(super) fn is_kept(pending: &Pending) -> bool {
    let after = pending.connected.cx.run.after_failure;
    pending.record.is_some() && if pending.is_upgrade { !after.roll_back } else { after.keep }
}

/// Records the revision as failed and changes nothing else; the next deploy continues from it. Returns the error that
/// the run ends with.
pub(super) async fn keep_failed(
    pending: Pending,
    store: &Store,
    error: RunError,
    bus: &Bus,
) -> RunError {
    let Pending { connected, record: Some(mut record), .. } = pending else { return error };
    let revision = record.revision;
    let description = connected.vault.redact(&error.failure().message);
    if let Err(second) = store.finish(&mut record, Status::Failed, &description).await {
        let rollback = Box::new(second.into());
        return RunError::LeftOver { failed: Box::new(error), rollback };
    }
    let left = format!("kept failed revision {revision}; the next deploy continues from it");
    if error.is_cancelled() {
        return RunError::Cancelled { left };
    }
    note(bus, Level::Warn, left);
    error
}
