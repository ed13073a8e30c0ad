//! Delivers images to the nodes that lack them.

use crate::connected::Connected;
use crate::context::Deadline;
use crate::error::RunError;
use crate::plan::Chosen;
use crate::scheduler::Report;
use crate::stages::{ImageSet, Rendered};
use todohost_model::event::{Bus, EventKind};
use todohost_model::text;
use todohost_runtime::plugin::wit::{self, target};

/// Delivers the images that the target lacks. If `must_exist`, a missing image is an error instead.
pub(crate) async fn run(
    connected: &Connected,
    images: &ImageSet,
    rendered: Option<&Rendered>,
    must_exist: bool,
    chosen: &Chosen,
    bus: Bus,
) -> Result<Report, RunError> {
    let wanted: Vec<wit::Image> =
        images.iter().filter(|state| !state.present).map(|state| state.image.clone()).collect();
    if wanted.is_empty() {
        return Ok(Report::unchanged(ALL_THERE));
    }
    let plugin = connected.cx.plugin(chosen)?;
    let options = chosen.options.to_string();
    let target = || plugin.target(connected.call(bus.clone(), Deadline::Long, "deliver"));
    let missing = target()?.missing_images(options.clone(), wanted).await?;
    let Some(first) = missing.first() else { return Ok(Report::unchanged(ALL_THERE)) };
    if must_exist {
        let name = connected.cx.target_name();
        let help = format!("build and deliver it: todohost deploy --target {name}");
        return Err(image_missing(connected, &first.reference, help));
    }
    let route = target()?.images_via(options.clone()).await?;
    if route == target::ImageRoute::SharedDaemon {
        let help = match rendered.and_then(|rendered| rendered.from_revision) {
            Some(revision) => format!(
                "it was removed since revision {revision}: deploy that revision's sources, or roll back to another one"
            ),
            None => "the builder and the cluster do not share their images: check which engine the builder uses"
                .to_owned(),
        };
        return Err(image_missing(connected, &first.reference, help));
    }
    let count = missing.len();
    let delivered = target()?.deliver_images(options.clone(), missing.clone()).await?;
    let still = target()?.missing_images(options, missing).await?;
    if let Some(first) = still.first() {
        let help =
            "it was delivered but did not arrive: free disk space on the nodes, then deploy again";
        return Err(image_missing(connected, &first.reference, help.to_owned()));
    }
    let bytes: u64 = delivered.iter().map(|one| one.bytes_sent).sum();
    for target::Delivered { reference, already_there, bytes_sent } in delivered {
        bus.send(EventKind::ImageDelivered { reference, already_there, bytes_sent });
    }
    let images = if count == 1 { "1 image".to_owned() } else { format!("{count} images") };
    Ok(Report::done(format!("{images}, {}", text::size(bytes))))
}

const ALL_THERE: &str = "all images already on the nodes";

fn image_missing(connected: &Connected, reference: &str, help: String) -> RunError {
    RunError::ImageMissing {
        target: connected.cx.target_name().to_owned(),
        reference: reference.to_owned(),
        help,
    }
}
