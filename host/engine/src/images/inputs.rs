//! The content tag of an image: a digest of everything that the image is built from.

use std::sync::Arc;

use super::{BuildRecord, TAG_LENGTH, image_spec, record_key};
use crate::connect;
use crate::connected::Connected;
use crate::context::{Context, Deadline};
use crate::error::RunError;
use crate::plan::{Chosen, image_digest};
use crate::scheduler::Report;
use crate::slots::Slot;
use crate::stages::ImageState;
use todohost_model::digest::{IgnorePatterns, digest_tree};
use todohost_model::event::Bus;
use todohost_model::exit::Exit;
use todohost_project::Image;
use todohost_runtime::plugin::wit;

/// Tags an image by its inputs.
pub(crate) async fn run(
    cx: &Context,
    connected: &Slot<Arc<Connected>>,
    name: &str,
    spec: &Image,
    chosen: &Chosen,
    bus: Bus,
) -> Result<(ImageState, Report), RunError> {
    let plugin = cx.plugin(chosen)?;
    // Base images that the builder lacks are pulled to learn their digests, which may take long.
    let context = cx.offline().call(bus, Deadline::Long, name);
    let wanted = image_spec(name, spec, Vec::new());
    let options = chosen.options.to_string();
    let asked = plugin.build(context.clone())?.inputs(options.clone(), wanted.clone()).await;
    let inputs = match asked.map_err(RunError::from) {
        Ok(inputs) => inputs,
        Err(error) => {
            // The target may be starting the builder at this moment, in the connect step.
            if error.exit() != Exit::Tool || !connect::was_started(cx, connected).await? {
                return Err(error);
            }
            plugin.build(context)?.inputs(options, wanted).await?
        }
    };
    let mut hasher = image_digest(name, spec);
    for base in &inputs.bases {
        hasher.add(&base.key);
        hasher.add(&base.value);
    }
    let root = cx.run.project.root.clone();
    let cache = cx.run.environment.cache_dir();
    let unreadable = |source| RunError::Inputs { image: name.to_owned(), source };
    let tree = tokio::task::spawn_blocking(move || {
        let patterns = IgnorePatterns::new(&inputs.ignore).map_err(std::io::Error::other)?;
        digest_tree(&root, &inputs.paths, &patterns, Some(&cache))
    });
    let tree = tree.await.map_err(|error| RunError::internal(error.to_string()))?;
    let tree = tree.map_err(unreadable)?;
    let tag = hasher.part(tree).finish()[..TAG_LENGTH].to_owned();
    let reference = format!("{name}:{tag}");
    let record: Option<BuildRecord> = cx.cache("build").get(&record_key(name, &tag));
    let known = record.unwrap_or_else(|| BuildRecord {
        id: String::new(),
        platform: spec.platform.clone().unwrap_or_default(),
        size: 0,
    });
    let image = wit::Image {
        name: name.to_owned(),
        reference: reference.clone(),
        id: known.id,
        platform: known.platform,
        size: known.size,
    };
    let report = Report::done(&reference);
    let state = ImageState { name: name.to_owned(), image, tag, reference, present: false };
    Ok((state, report))
}
