//! Prunes the images of revisions that are no longer kept, unless something in the cluster may still need them.
//!
//! Owns the decision which image may still be needed: by the kept revisions of all releases, or by a pod. An image stays
//! if this cannot be found out, and no failure here makes a deploy fail. The target's component removes the images.

use std::collections::{BTreeMap, BTreeSet};

use super::{TAG_LENGTH, collect_images};
use crate::connected::Connected;
use crate::context::{Deadline, note};
use crate::error::RunError;
use crate::stages::ImageState;
use todohost_cluster::Query;
use todohost_model::event::{Bus, Level};
use todohost_model::object::Object;
use todohost_release::Record;

/// Has the target remove the images that only these revisions needed.
pub(crate) async fn prune_images(connected: &Connected, forgotten: &[Record]) {
    let bus = connected.cx.bus.for_step("discard");
    match prune(connected, forgotten, &bus).await {
        Ok(pruned) if pruned.is_empty() => {}
        Ok(pruned) => {
            let message = format!("pruned images that no revision needs: {}", pruned.join(", "));
            note(&bus, Level::Info, message);
        }
        Err(error) => {
            let why = error.failure().message;
            note(&bus, Level::Debug, format!("kept the images of older revisions: {why}"));
        }
    }
}

async fn prune(
    connected: &Connected,
    forgotten: &[Record],
    bus: &Bus,
) -> Result<Vec<String>, RunError> {
    let built = &connected.cx.run.project.file.images;
    let mut candidates = named_by(forgotten)?;
    candidates.retain(|reference| is_content_tag(reference, built));
    if candidates.is_empty() {
        return Ok(Vec::new());
    }
    let query = Query { api_version: "v1".to_owned(), kind: "Pod".to_owned(), ..Query::default() };
    let (kept, pods) =
        tokio::join!(connected.store.records_of_all(), connected.client.list(&query));
    let kept = kept?;
    let mut needed = named_by(&kept)?;
    // A terminating pod starts no containers, so it needs no image.
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
    let images = candidates.iter().map(|reference| ImageState::named(reference).image).collect();
    let mut target = connected.call_target(bus.clone(), Deadline::Short, "discard")?;
    Ok(target.remove_images(connected.target_options(), images).await?)
}

/// Every image that the objects of these revisions use.
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

/// Whether this project builds the image and the tag is a content tag. Such a tag never names another image later.
fn is_content_tag<T>(reference: &str, built: &BTreeMap<String, T>) -> bool {
    reference.rsplit_once(':').is_some_and(|(name, tag)| {
        let is_digest =
            tag.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
        tag.len() == TAG_LENGTH && is_digest && built.contains_key(name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_content_tags_of_own_images_are_pruned() {
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
