//! Applying: what the apply step plans, the API server's opinion of it, and a new revision if it matters.

use std::collections::{BTreeSet, HashSet};

use super::error::RunError;
use super::schedule::Report;
use super::session::{Deadline, Pending, Session, lock};
use crate::event::{Bus, ObjectChange};
use crate::object::{Object, ObjectRef};
use crate::plan::Chosen;
use crate::plugin::wit::apply;
use crate::release::{Document, Done, HookRecord, Operation, Record, Wave};

impl Session {
    pub(super) async fn apply(&self, chosen: &Chosen, bus: Bus) -> Result<Report, RunError> {
        let reached = self.reached()?;
        let rendered = self.rendered()?;
        let app = &self.run.project.file.app;
        let sources: Vec<String> =
            rendered.documents.iter().map(|document| document.source.clone()).collect();
        let objects = rendered.documents.iter().map(|document| document.object.clone()).collect();
        let desired = self.or_cancelled(reached.client.place(objects, &app.namespace)).await?;
        let base = reached.deployed.as_ref();
        let previous_documents = base.map(Record::documents).transpose()?.unwrap_or_default();
        let mut previous: Vec<Object> =
            previous_documents.iter().map(|document| document.object.clone()).collect();
        // What killed runs had begun is what has to be cleared away now.
        for interrupted in &reached.interrupted {
            previous.extend(interrupted.documents()?.into_iter().map(|document| document.object));
        }
        let mut previous =
            self.or_cancelled(reached.client.place(previous, &app.namespace)).await?;
        let mut seen = HashSet::new();
        previous.retain(|object| seen.insert(ObjectRef::of(object)));
        let waves = self.plan_waves(chosen, &bus, &desired, previous).await?;

        let transaction = self.transaction(&bus)?;
        let prospect = self.or_cancelled(transaction.prospect(&waves)).await?;
        if self.objects.set(desired.clone()).is_err() {
            return Err(RunError::internal("it was applied twice"));
        }
        let is_in_force = base.is_some() && reached.interrupted.is_empty();
        if is_in_force
            && !prospect.changes_anything()
            && base.is_some_and(|record| has_same_hooks(&record.hooks, &rendered.hooks))
        {
            let revision = base.map_or(0, |record| record.revision);
            // A run that was killed at its very end may have left two revisions in force.
            reached.store.settle(revision).await?;
            return Ok(Report::unchanged(format!("no change, revision {revision} stays")));
        }

        // From here on something is made: whatever ends this must finish or take back what it says.
        let is_upgrade = base.is_some();
        let vault = self.vault();
        let documents = desired
            .iter()
            .zip(&sources)
            .map(|(object, source)| {
                let object = vault.substitute(object.clone())?;
                Ok(Document { source: source.clone(), object })
            })
            .collect::<Result<Vec<_>, RunError>>()?;
        *lock(&self.pending) = Some(Pending {
            transaction,
            record: None,
            done: Done::default(),
            previous: previous_documents,
            is_upgrade,
            through: BTreeSet::new(),
        });
        let result = self.change(&bus, documents, &waves).await;
        let revision = result?;
        let changed = prospect
            .changes
            .iter()
            .filter(|(_, change)| !matches!(change, ObjectChange::Unchanged | ObjectChange::Kept))
            .count();
        Ok(Report::done(format!("revision {revision}, {changed} objects changed")))
    }

    pub(super) async fn plan_waves(
        &self,
        chosen: &Chosen,
        bus: &Bus,
        desired: &[Object],
        previous: Vec<Object>,
    ) -> Result<Vec<Wave>, RunError> {
        let reached = self.reached()?;
        let app = &self.run.project.file.app;
        let vault = self.vault();
        let mut wanted: Vec<ObjectRef> =
            desired.iter().chain(&previous).filter_map(ObjectRef::of).collect();
        wanted.sort();
        wanted.dedup();
        let live = self.or_cancelled(reached.client.get_many(&wanted)).await?;
        let tokens = |objects: Vec<Object>| -> Vec<String> {
            objects.into_iter().map(|object| vault.tokenise(object).to_string()).collect()
        };
        // Sealed, a Secret equals the live one exactly where nothing changes.
        let sealed = desired.iter().map(|object| Ok(vault.seal(object.clone())?.to_string()));
        let request = apply::Request {
            options: chosen.options.to_string(),
            release: app.name.clone(),
            namespace: app.namespace.clone(),
            desired: sealed.collect::<Result<_, RunError>>()?,
            previous: tokens(previous),
            live: tokens(live.into_iter().flatten().collect()),
        };
        let plugin = self.plugin(chosen)?;
        let context = self.context(bus.clone(), Deadline::Short, "apply");
        let waves = plugin.apply(context)?.plan(request).await?;
        waves.into_iter().map(wave).collect()
    }
}

/// Whether the same hooks would run at the same moments, whoever recorded either.
fn has_same_hooks(recorded: &[HookRecord], rendered: &[HookRecord]) -> bool {
    recorded.len() == rendered.len()
        && rendered.iter().all(|hook| recorded.iter().any(|other| other.is_same(hook)))
}

fn wave(planned: apply::Wave) -> Result<Wave, RunError> {
    let object = |text: String| {
        serde_json::from_str::<Object>(&text)
            .map_err(|error| RunError::internal(format!("the apply step gave no JSON: {error}")))
    };
    let operations = planned.operations.into_iter().map(|operation| {
        Ok(match operation {
            apply::Operation::Apply(text) => Operation::Apply(object(text)?),
            apply::Operation::Replace(text) => Operation::Replace(object(text)?),
            apply::Operation::Delete(name) => Operation::Delete(name.into()),
            apply::Operation::Keep((name, reason)) => Operation::Keep(name.into(), reason),
        })
    });
    Ok(Wave {
        title: planned.title,
        operations: operations.collect::<Result<_, RunError>>()?,
        wait_ready: planned.wait_ready,
    })
}
