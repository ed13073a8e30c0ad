//! Images: what they depend on, building those that are missing, and getting them to the nodes.

use serde::{Deserialize, Serialize};

use super::error::RunError;
use super::schedule::Report;
use super::session::{Deadline, ImageState, Session, lock};
use crate::plan::{Chosen, image_digest};
use todohost_model::digest::{IgnorePatterns, digest_tree};
use todohost_model::event::{Bus, EventKind};
use todohost_model::exit::Exit;
use todohost_model::object::Object;
use todohost_model::text;
use todohost_project::Image;
use todohost_runtime::plugin::wit::{self, build, target};

/// Digits of the digest that make the tag.
pub(super) const TAG_LENGTH: usize = 12;

/// What a build gave, for runs that need not build again.
#[derive(Serialize, Deserialize)]
struct BuildRecord {
    id: String,
    platform: String,
    size: u64,
}

impl Session {
    /// The content tag: a digest of everything that the image is made from.
    pub(super) async fn inputs(
        &self,
        name: &str,
        spec: &Image,
        chosen: &Chosen,
        bus: Bus,
    ) -> Result<Report, RunError> {
        let plugin = self.plugin(chosen)?;
        // Base images that are not here are fetched to know what they are.
        let context = self.context(bus, Deadline::Long, name);
        let wanted = image_spec(name, spec, Vec::new());
        let options = chosen.options.to_string();
        let asked = plugin.build(context.clone())?.inputs(options.clone(), wanted.clone()).await;
        let inputs = match asked.map_err(RunError::from) {
            Ok(inputs) => inputs,
            Err(error) => {
                // What does not run may be the target's to start, which happens at the same time.
                if error.exit() != Exit::Tool || !self.was_started().await? {
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
        let root = self.run.project.root.clone();
        let cache = self.run.environment.cache_dir();
        let unreadable = |source| RunError::Inputs { image: name.to_owned(), source };
        let tree = tokio::task::spawn_blocking(move || {
            let patterns = IgnorePatterns::new(&inputs.ignore).map_err(std::io::Error::other)?;
            digest_tree(&root, &inputs.paths, &patterns, Some(&cache))
        });
        let tree = tree.await.map_err(|error| RunError::internal(error.to_string()))?;
        let tree = tree.map_err(unreadable)?;
        let tag = hasher.part(tree).finish()[..TAG_LENGTH].to_owned();
        let reference = format!("{name}:{tag}");
        let record: Option<BuildRecord> = self.memo("build").recall(&memo_key(name, &tag));
        let known = record.unwrap_or_else(|| BuildRecord {
            id: String::new(),
            platform: spec.platform.clone().unwrap_or_default(),
            size: 0,
        });
        let state = ImageState {
            name: name.to_owned(),
            image: wit::Image {
                name: name.to_owned(),
                reference: reference.clone(),
                id: known.id,
                platform: known.platform,
                size: known.size,
            },
            tag,
            reference: reference.clone(),
            present: false,
        };
        lock(&self.images).insert(name.to_owned(), state);
        Ok(Report::done(reference))
    }

    /// Builds the image, unless the target has one from the same inputs.
    pub(super) async fn build(
        &self,
        name: &str,
        spec: &Image,
        chosen: &Chosen,
        bus: Bus,
    ) -> Result<Report, RunError> {
        let state = lock(&self.images).get(name).cloned();
        let mut state = state.ok_or_else(|| RunError::internal("an image without inputs"))?;
        if let Some(reached) = self.reached.get() {
            let plugin = self.plugin(&reached.target)?;
            let context = self.context(bus.clone(), Deadline::Short, name);
            let options = reached.target.options.to_string();
            let asked = vec![state.image.clone()];
            let missing = plugin.target(context)?.missing_images(options, asked).await?;
            if missing.is_empty() {
                state.present = true;
                let report = Report::unchanged(format!("{} is there", state.reference));
                lock(&self.images).insert(name.to_owned(), state);
                return Ok(report);
            }
        }
        let plugin = self.plugin(chosen)?;
        let context = self.context(bus, Deadline::Long, name);
        let tags = vec![format!("{name}:latest"), state.reference.clone()];
        let wanted = image_spec(name, spec, tags);
        let build =
            async { plugin.build(context)?.build(chosen.options.to_string(), wanted).await };
        let (built, is_own) = self.run.builds.once(&state.reference, build).await?;
        let record = BuildRecord {
            id: built.id.clone(),
            platform: built.platform.clone(),
            size: built.size,
        };
        self.memo("build").remember(&memo_key(name, &state.tag), &record);
        let megabytes = built.size / 1_000_000;
        let report = if is_own {
            Report::done(format!("{} ({megabytes} MB)", state.reference))
        } else {
            Report::unchanged(format!("{} was built for another target", state.reference))
        };
        state.image =
            wit::Image { name: name.to_owned(), reference: state.reference.clone(), ..built };
        lock(&self.images).insert(name.to_owned(), state);
        Ok(report)
    }

    /// Brings to the nodes what they lack.
    pub(super) async fn deliver(
        &self,
        must_exist: bool,
        chosen: &Chosen,
        bus: Bus,
    ) -> Result<Report, RunError> {
        let wanted: Vec<wit::Image> = self
            .images()
            .into_iter()
            .filter(|state| !state.present)
            .map(|state| state.image)
            .collect();
        if wanted.is_empty() {
            return Ok(Report::unchanged("all there"));
        }
        let plugin = self.plugin(chosen)?;
        let options = chosen.options.to_string();
        let target = || plugin.target(self.context(bus.clone(), Deadline::Long, "deliver"));
        let missing = target()?.missing_images(options.clone(), wanted.clone()).await?;
        let Some(first) = missing.first() else { return Ok(Report::unchanged("all there")) };
        if must_exist {
            let name = self.target.clone().unwrap_or_default();
            let help = format!("build and deliver it: todohost deploy --target {name}");
            return Err(self.image_missing(&first.reference, help));
        }
        let route = target()?.images_via(options.clone()).await?;
        if route == target::ImageRoute::SharedDaemon {
            let help = match self.rendered.get().and_then(|rendered| rendered.goes_back_to) {
                Some(revision) => format!(
                    "it was removed since revision {revision}: deploy that revision's sources, or go back to another"
                ),
                None => {
                    "the builder and the cluster do not share their images: check which engine \
                         the builder uses"
                        .to_owned()
                }
            };
            return Err(self.image_missing(&first.reference, help));
        }
        let count = missing.len();
        let delivered = target()?.deliver_images(options.clone(), missing.clone()).await?;
        let still = target()?.missing_images(options, missing).await?;
        if let Some(first) = still.first() {
            let help = "it was delivered but did not arrive: free disk space on the nodes, and run it again";
            return Err(self.image_missing(&first.reference, help.to_owned()));
        }
        let bytes: u64 = delivered.iter().map(|one| one.bytes_sent).sum();
        for target::Delivered { reference, already_there, bytes_sent } in delivered {
            bus.send(EventKind::ImageDelivered { reference, already_there, bytes_sent });
        }
        let images = if count == 1 { "1 image".to_owned() } else { format!("{count} images") };
        Ok(Report::done(format!("{images}, {}", text::size(bytes))))
    }

    fn image_missing(&self, reference: &str, help: String) -> RunError {
        RunError::ImageMissing {
            target: self.target.clone().unwrap_or_default(),
            reference: reference.to_owned(),
            help,
        }
    }

    /// An image that nothing names would be built for nothing, and something else deployed in its place.
    pub(super) fn require_references<'a>(
        &self,
        objects: impl Iterator<Item = &'a Object>,
    ) -> Result<(), RunError> {
        let mut named = Vec::new();
        for object in objects {
            collect_images(object, &mut named);
        }
        named.sort();
        named.dedup();
        for state in self.images() {
            let suffix = format!("/{}", state.reference);
            let is_named =
                named.iter().any(|image| *image == state.reference || image.ends_with(&suffix));
            if !is_named {
                return Err(RunError::Unreferenced {
                    name: state.name,
                    reference: state.reference,
                    named: if named.is_empty() { "none".to_owned() } else { named.join(", ") },
                });
            }
        }
        Ok(())
    }
}

fn image_spec(name: &str, spec: &Image, tags: Vec<String>) -> build::ImageSpec {
    build::ImageSpec {
        name: name.to_owned(),
        context: spec.context.clone(),
        dockerfile: spec.dockerfile.clone(),
        stage: spec.stage.clone(),
        platform: spec.platform.clone(),
        tags,
        arguments: spec
            .arguments
            .iter()
            .map(|(key, value)| wit::Label { key: key.clone(), value: value.clone() })
            .collect(),
    }
}

fn memo_key(name: &str, tag: &str) -> String {
    format!("{}-{tag}", name.replace(['/', ':'], "_"))
}

/// Every text under a key `image`, wherever pods are described.
pub(super) fn collect_images(value: &Object, named: &mut Vec<String>) {
    match value {
        Object::Object(fields) => {
            for (key, value) in fields {
                match value {
                    Object::String(text) if key == "image" => named.push(text.clone()),
                    value => collect_images(value, named),
                }
            }
        }
        Object::Array(items) => items.iter().for_each(|item| collect_images(item, named)),
        _ => {}
    }
}

/// Images of containers that may not be pulled.
pub(super) fn never_pulled(value: &Object, named: &mut Vec<String>) {
    match value {
        Object::Object(fields) => {
            let text = |key: &str| fields.get(key).and_then(Object::as_str);
            if let (Some(image), Some("Never")) = (text("image"), text("imagePullPolicy")) {
                named.push(image.to_owned());
            }
            fields.values().for_each(|value| never_pulled(value, named));
        }
        Object::Array(items) => items.iter().for_each(|item| never_pulled(item, named)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_found_wherever_pods_are_described() {
        let object = serde_json::json!({
            "kind": "Deployment",
            "spec": {"template": {"spec": {
                "initContainers": [{"image": "init:1"}],
                "containers": [{"name": "image", "image": "api:2", "args": ["image"]}],
            }}},
        });
        let mut named = Vec::new();
        collect_images(&object, &mut named);
        assert_eq!(named, ["init:1", "api:2"]);

        let object = serde_json::json!({"spec": {"containers": [
            {"image": "api:2", "imagePullPolicy": "Never"}, {"image": "proxy:1", "imagePullPolicy": "Always"}]}});
        let mut named = Vec::new();
        never_pulled(&object, &mut named);
        assert_eq!(named, ["api:2"]);
    }
}
