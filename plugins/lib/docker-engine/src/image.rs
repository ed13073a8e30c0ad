//! Images in the engine's store. One call of `docker` inspects any number of images.

use crate::engine;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::time::Duration;
use todohost_plugin::process::Command;
use todohost_plugin::{Error, Image, Result};

/// Facts about an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageFacts {
    /// Image id, a digest of the content.
    pub id: String,
    /// Platform, for example `linux/amd64`.
    pub platform: String,
    /// Size in bytes.
    pub size: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Inspected {
    id: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    #[serde(default)]
    repo_digests: Option<Vec<String>>,
    #[serde(default)]
    os: String,
    #[serde(default)]
    architecture: String,
    #[serde(default)]
    variant: String,
    #[serde(default)]
    size: u64,
}

/// Returns the facts about images, by reference. Images that the engine does not have are left out.
///
/// # Errors
/// Fails with `docker.not-running`, or with `docker.inspect-failed` if the output is malformed.
pub fn inspect(references: &[String]) -> Result<BTreeMap<String, ImageFacts>> {
    if references.is_empty() {
        return Ok(BTreeMap::new());
    }
    let output = Command::new("docker")
        .args(["image", "inspect"])
        .args(references)
        .timeout(Duration::from_secs(30))
        .run()?;
    let stderr = output.stderr_text();
    if engine::says_not_running(&stderr) {
        engine::require()?;
        return Err(engine::not_running(None).cause(stderr.trim()));
    }
    // If an image is missing, the exit code is 1, but the found images are printed.
    if !output.success() && !stderr.contains("No such image") {
        return Err(output.to_error("docker.inspect-failed", "cannot list images with docker"));
    }
    found(references, &output.stdout_text())
}

/// Returns those of the images that the engine does not have, or has with another content.
///
/// # Errors
/// Fails like [`inspect`].
pub fn missing(images: Vec<Image>) -> Result<Vec<Image>> {
    let references: Vec<_> = images.iter().map(|image| image.reference.clone()).collect();
    let facts = inspect(&references)?;
    Ok(not_among(images, &facts))
}

/// Removes the names of images, and returns the removed ones. The engine deletes the content of an image with its last
/// name, and keeps images that a container uses.
///
/// # Errors
/// Fails like [`inspect`].
pub fn remove(images: &[Image]) -> Result<Vec<String>> {
    let references: Vec<_> = images.iter().map(|image| image.reference.clone()).collect();
    let there = inspect(&references)?;
    if there.is_empty() {
        return Ok(Vec::new());
    }
    for reference in there.keys() {
        let remove = Command::new("docker").args(["image", "rm", reference]);
        let _ = remove.timeout(Duration::from_mins(1)).run()?;
    }
    let left = inspect(&references)?;
    Ok(there.into_keys().filter(|reference| !left.contains_key(reference)).collect())
}

fn not_among(images: Vec<Image>, facts: &BTreeMap<String, ImageFacts>) -> Vec<Image> {
    let there = |image: &Image| {
        facts.get(&image.reference).is_some_and(|facts| image.id.is_empty() || facts.id == image.id)
    };
    images.into_iter().filter(|image| !there(image)).collect()
}

fn found(references: &[String], stdout: &str) -> Result<BTreeMap<String, ImageFacts>> {
    let inspected: Vec<Inspected> = serde_json::from_str(stdout.trim()).map_err(|error| {
        Error::internal("docker.inspect-failed", "cannot parse docker's list of images")
            .cause(error.to_string())
    })?;
    let mut facts = BTreeMap::new();
    for reference in references {
        let wanted = familiar(reference);
        if let Some(image) = inspected.iter().find(|image| image.has_name(&wanted)) {
            facts.insert(reference.clone(), image.facts());
        }
    }
    Ok(facts)
}

impl Inspected {
    fn has_name(&self, wanted: &str) -> bool {
        let names = self.repo_tags.iter().chain(&self.repo_digests).flatten();
        self.id == wanted
            || self.id.strip_prefix("sha256:") == Some(wanted)
            || names.into_iter().any(|name| familiar(name) == wanted)
    }

    fn facts(&self) -> ImageFacts {
        let mut platform = format!("{}/{}", self.os, self.architecture);
        if !self.variant.is_empty() {
            platform = format!("{platform}/{}", self.variant);
        }
        ImageFacts { id: self.id.clone(), platform, size: self.size }
    }
}

/// The short form of a reference: without the default registry, with a tag or digest. `NAME:TAG@DIGEST` becomes
/// `NAME@DIGEST`.
fn familiar(reference: &str) -> String {
    let mut name = reference;
    for prefix in ["docker.io/", "index.docker.io/"] {
        name = name.strip_prefix(prefix).unwrap_or(name);
    }
    let name = name.strip_prefix("library/").unwrap_or(name);
    if let Some((name, digest)) = name.split_once('@') {
        return format!("{}@{digest}", without_tag(name));
    }
    if name.len() == without_tag(name).len() && !name.starts_with("sha256:") {
        return format!("{name}:latest");
    }
    name.to_owned()
}

fn without_tag(name: &str) -> &str {
    let last = name.rfind('/').map_or(0, |slash| slash + 1);
    name[last..].find(':').map_or(name, |colon| &name[..last + colon])
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: &str = r#"[
        {"Id": "sha256:aa", "RepoTags": ["todo:latest", "todo:0123"], "RepoDigests": null, "Os": "linux",
         "Architecture": "arm64", "Variant": "v8", "Size": 12},
        {"Id": "sha256:bb", "RepoTags": ["node:22-slim"], "RepoDigests": ["node@sha256:cc"], "Os": "linux",
         "Architecture": "amd64"}]"#;

    fn strings(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    fn image(reference: &str, id: &str) -> Image {
        Image {
            name: "todo".into(),
            reference: reference.into(),
            id: id.into(),
            platform: "linux/amd64".into(),
            size: 0,
        }
    }

    #[test]
    fn images_are_found_by_every_form_of_reference() {
        let asked = strings(&[
            "todo",
            "docker.io/library/node:22-slim",
            "node@sha256:cc",
            "node:22-slim@sha256:cc",
            "gone:1",
            "sha256:bb",
        ]);
        let facts = found(&asked, TWO).unwrap();
        assert_eq!(facts["todo"].id, "sha256:aa");
        assert_eq!(facts["todo"].platform, "linux/arm64/v8");
        for other in [
            "docker.io/library/node:22-slim",
            "node@sha256:cc",
            "node:22-slim@sha256:cc",
            "sha256:bb",
        ] {
            assert_eq!(facts[other].id, "sha256:bb", "{other}");
        }
        assert!(!facts.contains_key("gone:1"));
    }

    #[test]
    fn port_of_a_registry_is_not_a_tag() {
        assert_eq!(familiar("localhost:5000/todo"), "localhost:5000/todo:latest");
        assert_eq!(familiar("localhost:5000/todo:1"), "localhost:5000/todo:1");
    }

    #[test]
    fn image_with_other_content_is_missing() {
        let facts = found(&strings(&["todo:0123"]), TWO).unwrap();
        let images = vec![
            image("todo:0123", "sha256:aa"),
            image("todo:0123", "sha256:old"),
            image("x:1", ""),
        ];
        let missing = not_among(images, &facts);
        assert_eq!(missing.len(), 2);
        assert_eq!(missing[0].id, "sha256:old");
        assert!(not_among(vec![image("todo:0123", "")], &facts).is_empty());
    }
}
