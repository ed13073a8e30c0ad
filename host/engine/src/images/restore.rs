//! Restores the images of a revision that the release rolls back to.

use tokio_util::sync::CancellationToken;

use crate::connected::Connected;
use crate::context::{Deadline, note};
use crate::error::RunError;
use crate::stages::image_named;
use todohost_model::event::{Bus, Level};
use todohost_release::Record;
use todohost_runtime::plugin::wit::{self, target};

/// Delivers the images of the revision that the nodes lack. An image that cannot be delivered is a warning: running
/// pods do without it, new ones cannot start.
pub(crate) async fn restore_images(connected: &Connected, record: &Record, bus: &Bus) {
    let images = record.facts.iter().flat_map(|facts| &facts.images);
    let wanted: Vec<wit::Image> =
        images.map(|(name, reference)| image_named(name, reference)).collect();
    if wanted.is_empty() {
        return;
    }
    match restore(connected, wanted, bus).await {
        Ok(lacking) => {
            for image in lacking {
                let message = format!(
                    "image {} (revision {}) is gone, so new pods cannot start; deploy that version's sources again",
                    image.reference, record.revision
                );
                note(bus, Level::Warn, message);
            }
        }
        Err(error) => {
            let message = format!("cannot find out if the images still exist: {error}");
            note(bus, Level::Warn, connected.vault.redact(&message));
        }
    }
}

/// Returns the images that are still missing afterwards.
async fn restore(
    connected: &Connected,
    wanted: Vec<wit::Image>,
    bus: &Bus,
) -> Result<Vec<wit::Image>, RunError> {
    let plugin = connected.target_plugin()?;
    let options = connected.target_options();
    let target = || {
        let mut context = connected.call(bus.clone(), Deadline::Long, "images");
        // The previous revision must run again even if the user stopped the run.
        context.cancel = CancellationToken::new();
        plugin.target(context)
    };
    let missing = target()?.missing_images(options.clone(), wanted).await?;
    if missing.is_empty() {
        return Ok(missing);
    }
    if target()?.images_via(options.clone()).await? == target::ImageRoute::SharedDaemon {
        return Ok(missing);
    }
    // The builder may lack an image as well. The second question finds out.
    let _ = target()?.deliver_images(options.clone(), missing.clone()).await;
    Ok(target()?.missing_images(options, missing).await?)
}
