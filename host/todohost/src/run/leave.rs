//! What a failed revision leaves behind: where the user wants it, everything.
//!
//! Owns that choice, and asking for the images of the revision that comes back. Going back itself is the
//! transaction's.

use super::error::RunError;
use super::session::{Deadline, Pending, Session};
use todohost_model::event::Bus;
use todohost_release::{Record, Status, Store};
use todohost_runtime::plugin::wit::{self, target};

/// What becomes of the cluster where a deploy fails.
#[derive(Clone, Copy, Debug)]
pub struct AfterFailure {
    /// An upgrade: the revision in force comes back.
    pub roll_back: bool,
    /// A first install: what was made stays.
    pub keep: bool,
}

impl Default for AfterFailure {
    fn default() -> Self {
        Self { roll_back: true, keep: false }
    }
}

impl Session {
    /// The user wants to look at what failed.
    pub(super) fn is_left(&self, pending: &Pending) -> bool {
        let after = self.run.after_failure;
        pending.record.is_some() && if pending.is_upgrade { !after.roll_back } else { after.keep }
    }

    /// Records the revision as failed and touches nothing else; the next deploy mends it. Gives the error to tell.
    pub(super) async fn leave(
        &self,
        pending: Pending,
        store: &Store,
        error: RunError,
        bus: &Bus,
    ) -> RunError {
        let Some(mut record) = pending.record else { return error };
        let revision = record.revision;
        let description = self.vault().redact(&error.failure().message);
        if let Err(second) = store.finish(&mut record, Status::Failed, &description).await {
            let rollback = Box::new(second.into());
            return RunError::LeftOver { failed: Box::new(error), rollback };
        }
        let left = format!(
            "what revision {revision} made is left as it is; the next deploy goes on from there"
        );
        if error.is_cancelled() {
            return RunError::Cancelled { left };
        }
        self.note(bus, "warn", left);
        error
    }

    /// Looks for the images of a revision that comes back, and brings to the nodes what they lack. Says which are
    /// nowhere: a pod that is still there runs without, a new one does not.
    pub(super) async fn bring_images_back(&self, record: &Record, bus: &Bus) {
        let images = record.facts.iter().flat_map(|facts| &facts.images);
        let wanted: Vec<wit::Image> = images
            .map(|(name, reference)| wit::Image {
                name: name.clone(),
                reference: reference.clone(),
                id: String::new(),
                platform: String::new(),
                size: 0,
            })
            .collect();
        if wanted.is_empty() {
            return;
        }
        match self.lacking(wanted, bus).await {
            Ok(lacking) => {
                for image in lacking {
                    let message = format!(
                        "{} of revision {} is no longer there: new pods of it cannot start; deploy its sources again",
                        image.reference, record.revision
                    );
                    self.note(bus, "warn", message);
                }
            }
            Err(error) => {
                let message =
                    format!("it is not known whether the images are still there: {error}");
                self.note(bus, "warn", self.vault().redact(&message));
            }
        }
    }

    async fn lacking(
        &self,
        wanted: Vec<wit::Image>,
        bus: &Bus,
    ) -> Result<Vec<wit::Image>, RunError> {
        let chosen = &self.reached()?.target;
        let plugin = self.plugin(chosen)?;
        let options = chosen.options.to_string();
        let target = || {
            let mut context = self.context(bus.clone(), Deadline::Long, "images");
            // Also where the user stopped the run, what comes back has to run.
            context.cancel = tokio_util::sync::CancellationToken::new();
            plugin.target(context)
        };
        let missing = target()?.missing_images(options.clone(), wanted).await?;
        if missing.is_empty() {
            return Ok(missing);
        }
        if target()?.images_via(options.clone()).await? == target::ImageRoute::SharedDaemon {
            return Ok(missing);
        }
        // What the builder no longer has either cannot be delivered: that is what the second look tells.
        let _ = target()?.deliver_images(options.clone(), missing.clone()).await;
        Ok(target()?.missing_images(options, missing).await?)
    }
}
