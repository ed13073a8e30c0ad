//! Going back: what an older revision recorded takes the place of what the renderer would make.
//!
//! Owns which revision that is, and whose images it needs. Everything after that is a deploy like any other.

use super::error::RunError;
use super::images::never_pulled;
use super::schedule::Report;
use super::session::{ImageState, Rendered, Session, lock};
use todohost_release::{Document, Record, RevisionSummary, Status};
use todohost_runtime::plugin::wit;

impl Session {
    /// Reads the revision to go back to: the one that was named, or the last good one before the one in force.
    pub(super) async fn recall(&self, wanted: Option<u32>) -> Result<Report, RunError> {
        let reached = self.reached()?;
        let kept = self.or_cancelled(reached.store.list()).await?;
        let in_force = reached.deployed.as_ref().map(|record| record.revision);
        let app = &self.run.project.file.app;
        let revision = wanted.or_else(|| last_good(&kept, in_force));
        let revision = match revision {
            Some(revision) if kept.iter().any(|summary| summary.revision == revision) => revision,
            _ if kept.is_empty() => return Err(self.not_deployed()),
            _ => {
                let known: Vec<String> = kept.iter().map(|one| one.revision.to_string()).collect();
                return Err(RunError::NoSuchRevision {
                    release: app.name.clone(),
                    wanted: wanted.map_or_else(|| "to go back to".to_owned(), |it| it.to_string()),
                    known: known.join(", "),
                });
            }
        };
        let record = self.or_cancelled(reached.store.get(revision)).await?;
        let record = record.ok_or_else(|| self.not_deployed())?;
        let documents = self.sealed(&record)?;
        self.need_images(&record, &documents);
        let mut hooks = record.hooks;
        for hook in &mut hooks {
            hook.forget();
        }
        let facts = record.facts.unwrap_or_default();
        let rendered = Rendered {
            definitions: Vec::new(),
            documents,
            hooks,
            notes: record.info.notes,
            chart: record.chart,
            config: record.config,
            renderer: facts.renderer,
            inputs: facts.inputs.get("render").cloned().unwrap_or_default(),
            remembered: None,
            goes_back_to: Some(revision),
        };
        let count = rendered.documents.len();
        if self.rendered.set(rendered).is_err() {
            return Err(RunError::internal("a revision was recalled twice"));
        }
        Ok(Report::done(format!("revision {revision}, {count} objects")))
    }

    /// The objects of a revision; values of Secrets as the tokens that stand for them.
    fn sealed(&self, record: &Record) -> Result<Vec<Document>, RunError> {
        let vault = self.vault();
        let documents = record.documents()?.into_iter();
        let sealed = documents
            .map(|document| Ok(Document { object: vault.seal(document.object)?, ..document }));
        sealed.collect()
    }

    /// Images that have to be on the nodes: those that were built for the revision, and whatever may not be pulled.
    fn need_images(&self, record: &Record, documents: &[Document]) {
        let built = record.facts.iter().flat_map(|facts| facts.images.values().cloned());
        let mut references: Vec<String> = built.collect();
        for document in documents {
            never_pulled(&document.object, &mut references);
        }
        references.sort();
        references.dedup();
        let mut images = lock(&self.images);
        for reference in references {
            let (name, tag) = reference.rsplit_once(':').unwrap_or((&reference, "latest"));
            let state = ImageState {
                name: name.to_owned(),
                tag: tag.to_owned(),
                image: wit::Image {
                    name: name.to_owned(),
                    reference: reference.clone(),
                    id: String::new(),
                    platform: String::new(),
                    size: 0,
                },
                reference: reference.clone(),
                present: false,
            };
            images.insert(reference, state);
        }
    }
}

/// The newest revision before the one in force that was in force itself.
fn last_good(kept: &[RevisionSummary], in_force: Option<u32>) -> Option<u32> {
    let good = |one: &&RevisionSummary| matches!(one.status, Status::Superseded | Status::Deployed);
    let before = |one: &&RevisionSummary| in_force.is_none_or(|revision| one.revision < revision);
    kept.iter().rev().filter(good).find(before).map(|one| one.revision)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_failed_is_not_gone_back_to() {
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
        assert_eq!(last_good(&kept[..3], None), Some(4), "nothing is in force");
        assert_eq!(last_good(&[], None), None);
    }
}
