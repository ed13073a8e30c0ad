//! Loads an older revision as the desired state, in place of a render.
//!
//! Owns which revision that is, and which images it needs. Everything after that is a deploy like any other.

use crate::connected::Connected;
use crate::error::RunError;
use crate::images::never_pulled;
use crate::scheduler::Report;
use crate::stages::{ImageSet, ImageState, Rendered};
use todohost_release::{Document, Record, RevisionSummary, Status};

/// Loads the named revision, or else the last good one before the current revision.
pub(crate) async fn run(
    connected: &Connected,
    wanted: Option<u32>,
) -> Result<(Rendered, Report), RunError> {
    let cx = &connected.cx;
    let kept = cx.or_cancelled(connected.store.list()).await?;
    let current = connected.deployed.as_ref().map(|record| record.revision);
    let revision = wanted.or_else(|| last_good(&kept, current));
    let revision = match revision {
        Some(revision) if kept.iter().any(|summary| summary.revision == revision) => revision,
        _ if kept.is_empty() => return Err(connected.not_deployed()),
        _ => {
            let known: Vec<String> = kept.iter().map(|one| one.revision.to_string()).collect();
            return Err(RunError::NoSuchRevision {
                release: cx.app().name.clone(),
                wanted: wanted.map_or_else(|| "to roll back to".to_owned(), |it| it.to_string()),
                known: known.join(", "),
            });
        }
    };
    let record = cx.or_cancelled(connected.store.get(revision)).await?;
    let record = record.ok_or_else(|| connected.not_deployed())?;
    let documents = sealed(connected, &record)?;
    let images = images(&record, &documents);
    let mut hooks = record.hooks;
    for hook in &mut hooks {
        hook.forget();
    }
    let facts = record.facts.unwrap_or_default();
    let count = documents.len();
    let rendered = Rendered {
        images,
        definitions: Vec::new(),
        documents,
        hooks,
        notes: record.info.notes,
        chart: record.chart,
        config: record.config,
        renderer: facts.renderer,
        inputs: facts.inputs.get("render").cloned().unwrap_or_default(),
        cached: None,
        from_revision: Some(revision),
    };
    Ok((rendered, Report::done(format!("revision {revision}, {count} objects"))))
}

/// The objects of a revision, with tokens in place of the values of Secrets.
fn sealed(connected: &Connected, record: &Record) -> Result<Vec<Document>, RunError> {
    let documents = record.documents()?.into_iter();
    let sealed = documents.map(|document| {
        Ok(Document { object: connected.vault.seal(document.object)?, ..document })
    });
    sealed.collect()
}

/// The images that the nodes must have: those built for the revision, and those with the pull policy `Never`.
fn images(record: &Record, documents: &[Document]) -> ImageSet {
    let built = record.facts.iter().flat_map(|facts| facts.images.values().cloned());
    let mut references: Vec<String> = built.collect();
    for document in documents {
        never_pulled(&document.object, &mut references);
    }
    let states = references.into_iter().map(|reference| {
        let state = ImageState::named(&reference);
        (reference, state)
    });
    states.collect()
}

/// The newest revision before the current one that was current itself.
fn last_good(kept: &[RevisionSummary], current: Option<u32>) -> Option<u32> {
    let good = |one: &&RevisionSummary| matches!(one.status, Status::Superseded | Status::Deployed);
    let before = |one: &&RevisionSummary| current.is_none_or(|revision| one.revision < revision);
    kept.iter().rev().filter(good).find(before).map(|one| one.revision)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_revision_is_never_rolled_back_to() {
        let one = |revision, status| RevisionSummary { revision, status, ours: true };
        let kept = [
            one(3, Status::Superseded),
            one(4, Status::Superseded),
            one(5, Status::Failed),
            one(6, Status::Deployed),
            one(7, Status::Failed),
        ];
        assert_eq!(last_good(&kept, Some(6)), Some(4));
        assert_eq!(last_good(&kept, Some(3)), None);
        assert_eq!(last_good(&kept[..3], None), Some(4), "there is no current revision");
        assert_eq!(last_good(&[], None), None);
    }
}
