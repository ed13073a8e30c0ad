//! Builds an image, unless the target has one from the same inputs.

use super::{BuildRecord, image_spec, record_key};
use crate::connected::Connected;
use crate::context::{Access, Context, Deadline};
use crate::error::RunError;
use crate::plan::Chosen;
use crate::scheduler::Report;
use crate::stages::ImageState;
use todohost_model::event::Bus;
use todohost_project::Image;
use todohost_runtime::plugin::wit;

/// Builds the tagged image.
pub(crate) async fn run(
    cx: &Context,
    connected: Option<&Connected>,
    mut state: ImageState,
    spec: &Image,
    chosen: &Chosen,
    bus: Bus,
) -> Result<(ImageState, Report), RunError> {
    let name = state.name.clone();
    if let Some(connected) = connected {
        let mut target = connected.call_target(bus.clone(), Deadline::Short, &name)?;
        let asked = vec![state.image.clone()];
        let missing = target.missing_images(connected.target_options(), asked).await?;
        if missing.is_empty() {
            state.present = true;
            let report = Report::unchanged(format!("{} is there", state.reference));
            return Ok((state, report));
        }
    }
    let plugin = cx.plugin(chosen)?;
    let context = Access { cx, connected }.call(bus, Deadline::Long, &name);
    let tags = vec![format!("{name}:latest"), state.reference.clone()];
    let wanted = image_spec(&name, spec, tags);
    let build = async { plugin.build(context)?.build(chosen.options.to_string(), wanted).await };
    let (built, is_own) = cx.run.builds.once(&state.reference, build).await?;
    let record =
        BuildRecord { id: built.id.clone(), platform: built.platform.clone(), size: built.size };
    cx.cache("build").put(&record_key(&name, &state.tag), &record);
    let megabytes = built.size / 1_000_000;
    let report = if is_own {
        Report::done(format!("{} ({megabytes} MB)", state.reference))
    } else {
        Report::unchanged(format!("{} was built for another target", state.reference))
    };
    state.image = wit::Image { name, reference: state.reference.clone(), ..built };
    Ok((state, report))
}
