//! Images of revisions that are no longer kept: they go, where nothing in the cluster can need them.
//!
//! Owns the question who may need one: the kept revisions of all releases, and all pods. How an image is taken away is
//! the target component's. What cannot be found out keeps an image, and nothing of it makes a deploy fail.

use std::collections::{BTreeMap, BTreeSet};

use super::error::RunError;
use super::images::{TAG_LENGTH, collect_images};
use super::session::{Deadline, Session};
use todohost_cluster::Query;
use todohost_model::object::Object;
use todohost_release::Record;
use todohost_runtime::plugin::wit;

impl Session {
    /// Has the target take away what only these revisions needed.
    pub(super) async fn discard_images(&self, forgotten: &[Record]) {
        let bus = self.bus.for_step("discard");
        match self.discard(forgotten).await {
            Ok(discarded) if discarded.is_empty() => {}
            Ok(discarded) => {
                let names = discarded.join(", ");
                self.note(
                    &bus,
                    "info",
                    format!("images that no revision needs any more are gone: {names}"),
                );
            }
            Err(error) => {
                let why = error.failure().message;
                self.note(&bus, "debug", format!("images of older revisions stay: {why}"));
            }
        }
    }

    async fn discard(&self, forgotten: &[Record]) -> Result<Vec<String>, RunError> {
        let built = &self.run.project.file.images;
        let mut candidates = named_by(forgotten)?;
        candidates.retain(|reference| is_content_tag(reference, built));
        if candidates.is_empty() {
            return Ok(Vec::new());
        }
        let reached = self.reached()?;
        let query =
            Query { api_version: "v1".to_owned(), kind: "Pod".to_owned(), ..Query::default() };
        let (kept, pods) =
            tokio::join!(reached.store.records_of_all(), reached.client.list(&query));
        let kept = kept?;
        let mut needed = named_by(&kept)?;
        // One that goes away starts nothing any more.
        let stays = |pod: &&Object| pod.pointer("/metadata/deletionTimestamp").is_none();
        for pod in pods?.iter().filter(stays) {
            needed.extend(images_of(pod));
        }
        let hooks = || kept.iter().flat_map(|record| &record.hooks);
        candidates.retain(|one| {
            // A reference may be written with its registry, or without.
            let suffix = format!("/{one}");
            !needed.iter().any(|other| other == one || other.ends_with(&suffix))
                && !hooks().any(|hook| hook.manifest.contains(one))
        });
        if candidates.is_empty() {
            return Ok(Vec::new());
        }
        let images = candidates.iter().map(|reference| image(reference)).collect();
        let plugin = self.plugin(&reached.target)?;
        let context = self.context(self.bus.for_step("discard"), Deadline::Short, "discard");
        let options = reached.target.options.to_string();
        Ok(plugin.target(context)?.remove_images(options, images).await?)
    }
}

/// Every image that these revisions name.
fn named_by(records: &[Record]) -> Result<BTreeSet<String>, RunError> {
    let mut named = BTreeSet::new();
    for record in records {
        for document in record.documents()? {
            named.extend(images_of(&document.object));
        }
    }
    Ok(named)
}

fn images_of(object: &Object) -> Vec<String> {
    let mut named = Vec::new();
    collect_images(object, &mut named);
    named
}

/// Whether this project builds it, and its tag is one that a build is given for its content: nobody else's, and none
/// that means something else tomorrow.
fn is_content_tag<T>(reference: &str, built: &BTreeMap<String, T>) -> bool {
    reference.rsplit_once(':').is_some_and(|(name, tag)| {
        let is_digest =
            tag.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
        tag.len() == TAG_LENGTH && is_digest && built.contains_key(name)
    })
}

fn image(reference: &str) -> wit::Image {
    let name = reference.rsplit_once(':').map_or(reference, |(name, _)| name);
    wit::Image {
        name: name.to_owned(),
        reference: reference.to_owned(),
        id: String::new(),
        platform: String::new(),
        size: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_build_was_given_for_its_content_is_ours_to_take_away() {
        let built = BTreeMap::from([("team/api".to_owned(), 1), ("web".to_owned(), 2)]);
        for ours in ["web:0123456789ab", "team/api:fedcba987654"] {
            assert!(is_content_tag(ours, &built), "{ours}");
        }
        for other in [
            "web",
            "web:latest",
            "web:0123456789AB",
            "web:0123456789abc",
            "postgres:0123456789ab",
            "other/web:0123456789ab",
            "web@sha256:0123456789ab",
        ] {
            assert!(!is_content_tag(other, &built), "{other}");
        }
    }
}
