//! Images: their content tags, building those that are missing, and delivering them to the nodes.

pub(super) mod build;
pub(super) mod deliver;
pub(super) mod inputs;
pub(super) mod prune;
pub(super) mod restore;
pub(super) mod shared_builds;

use serde::{Deserialize, Serialize};

use super::error::RunError;
use super::stages::ImageSet;
use todohost_model::object::Object;
use todohost_project::Image;
use todohost_runtime::plugin::wit;
use todohost_runtime::plugin::wit::build::ImageSpec;

/// Digits of the digest that make the tag.
const TAG_LENGTH: usize = 12;

/// The builder's description of an image, kept for runs that need not build it again.
#[derive(Serialize, Deserialize)]
struct BuildRecord {
    id: String,
    platform: String,
    size: u64,
}

/// Refuses an image that no object uses: it would be built for nothing, and another one deployed in its place.
pub(super) fn require_references<'a>(
    images: &ImageSet,
    objects: impl Iterator<Item = &'a Object>,
) -> Result<(), RunError> {
    let mut named = Vec::new();
    for object in objects {
        collect_images(object, &mut named);
    }
    named.sort();
    named.dedup();
    for state in images.iter() {
        let suffix = format!("/{}", state.reference);
        let is_named =
            named.iter().any(|image| *image == state.reference || image.ends_with(&suffix));
        if !is_named {
            return Err(RunError::Unreferenced {
                name: state.name.clone(),
                reference: state.reference.clone(),
                named: if named.is_empty() { "none".to_owned() } else { named.join(", ") },
            });
        }
    }
    Ok(())
}

fn image_spec(name: &str, spec: &Image, tags: Vec<String>) -> ImageSpec {
    ImageSpec {
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

/// Key of the build record of an image.
fn record_key(name: &str, tag: &str) -> String {
    format!("{}-{tag}", name.replace(['/', ':'], "_"))
}

/// Collects every text under a key `image`, at any depth.
pub(crate) fn collect_images(value: &Object, named: &mut Vec<String>) {
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

/// Collects the images of containers with the pull policy `Never`.
pub(crate) fn never_pulled(value: &Object, named: &mut Vec<String>) {
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
