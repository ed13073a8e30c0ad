//! Which images the engine has: one call for any number of them.

use crate::engine;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::time::Duration;
use todohost_plugin::process::Command;
use todohost_plugin::{Error, Image, Result};

/// What the engine says of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageFacts {
    /// The digest that names its content.
    pub id: String,
    /// For example `linux/amd64`.
    pub platform: String,
    /// In bytes.
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

/// The facts of those references that the engine has; the others are left out.
///
/// # Errors
/// `docker.not-running`, or when the answer cannot be understood.
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
    // Missing images make the exit code 1; the found ones are printed all the same.
    if !output.success() && !stderr.contains("No such image") {
        return Err(
            output.to_error("docker.inspect-failed", "docker cannot say which images it has")
        );
    }
    found(references, &output.stdout_text())
}

/// Those of the images that the engine does not have, or has with another content.
///
/// # Errors
/// As [`inspect`].
pub fn missing(images: Vec<Image>) -> Result<Vec<Image>> {
    let references: Vec<_> = images.iter().map(|image| image.reference.clone()).collect();
    let facts = inspect(&references)?;
    Ok(not_among(images, &facts))
}

/// Takes names of images away, and with the last name of one its content; gives those that went. What a container
/// runs, or what another name keeps, the engine keeps.
///
/// # Errors
/// As [`inspect`].
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
        Error::internal("docker.inspect-failed", "docker's list of images cannot be understood")
            .cause(error.to_string())
    })?;
    let mut facts = BTreeMap::new();
    for reference in references {
        let wanted = familiar(reference);
        if let Some(image) = inspected.iter().find(|image| image.answers(&wanted)) {
            facts.insert(reference.clone(), image.facts());
        }
    }
    Ok(facts)
}

impl Inspected {
    fn answers(&self, wanted: &str) -> bool {
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

/// The short form of a reference: no default registry, always a tag or digest. `NAME:TAG@DIGEST` is known by its
/// digest.
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
    fn references_are_known_in_all_their_forms() {
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
    fn a_registrys_port_is_no_tag() {
        assert_eq!(familiar("localhost:5000/todo"), "localhost:5000/todo:latest");
        assert_eq!(familiar("localhost:5000/todo:1"), "localhost:5000/todo:1");
    }

    #[test]
    fn another_content_under_the_same_name_is_missing() {
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
