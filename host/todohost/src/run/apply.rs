//! Applying: what the apply step plans, the API server's opinion of it, and a new revision if it matters.

use std::collections::{BTreeSet, HashMap, HashSet};

use jiff::Timestamp;

use super::error::RunError;
use super::schedule::Report;
use super::session::{Deadline, Pending, Session, lock};
use crate::plan::Chosen;
use todohost_cluster::FieldConflict;
use todohost_model::event::Bus;
use todohost_model::object::{Object, ObjectRef};
use todohost_release::{
    Document, Done, HookRecord, LeftField, Operation, Prospect, Record, Status, Transaction, Wave,
};
use todohost_runtime::plugin::wit::apply;

/// What a revision would be made of, and what would become of the cluster.
pub(super) struct Intent {
    /// Definitions and objects, with placeholders, as the cluster places them.
    pub desired: Vec<Object>,
    /// The revision in force.
    pub previous: Vec<Document>,
    pub transaction: Transaction,
    /// What has to be done.
    pub waves: Vec<Wave>,
    pub prospect: Prospect,
}

impl Session {
    pub(super) async fn apply(&self, chosen: &Chosen, bus: Bus) -> Result<Report, RunError> {
        let reached = self.reached()?;
        let (intent, ()) = tokio::try_join!(self.intend(chosen, &bus), self.look_before(&bus))?;
        let Intent { desired, previous, transaction, waves, prospect } = intent;
        if self.objects.set(desired.clone()).is_err() {
            return Err(RunError::internal("it was applied twice"));
        }
        let changed = prospect.changes().count();
        let base = reached.deployed.as_ref();
        let rendered = self.rendered()?;
        if let (Some(base), true, 0) = (base, reached.interrupted.is_empty(), changed)
            && has_same_hooks(&base.hooks, &rendered.hooks)
        {
            // A run that was killed at its very end may have left two revisions in force.
            reached.store.settle(base.revision).await?;
            return Ok(Report::unchanged(format!("no change, revision {} stays", base.revision)));
        }

        // From here on something is made: whatever ends this must finish or take back what it says.
        let vault = self.vault();
        let documents = desired
            .into_iter()
            .skip(rendered.definitions.len())
            .zip(&rendered.documents)
            .map(|(object, document)| {
                let object = vault.substitute(object)?;
                Ok(Document { source: document.source.clone(), object })
            })
            .collect::<Result<Vec<_>, RunError>>()?;
        *lock(&self.pending) = Some(Pending {
            transaction,
            begun: Timestamp::now(),
            record: None,
            is_doubted: false,
            done: Done::default(),
            prospect,
            previous,
            is_upgrade: base.is_some(),
            through: BTreeSet::new(),
        });
        let revision = self.change(&bus, documents, &waves).await?;
        Ok(Report::done(format!("revision {revision}, {changed} objects changed")))
    }

    /// Decides what has to be done; nothing is changed.
    pub(super) async fn intend(&self, chosen: &Chosen, bus: &Bus) -> Result<Intent, RunError> {
        let reached = self.reached()?;
        let app = &self.run.project.file.app;
        let rendered = self.rendered()?;
        let documents = rendered.definitions.iter().chain(&rendered.documents);
        let objects = documents.map(|document| document.object.clone()).collect();
        let desired = self.or_cancelled(reached.client.place(objects, &app.namespace)).await?;
        let previous = reached.deployed.as_ref().map(Record::documents).transpose()?;
        let previous = previous.unwrap_or_default();
        let mut known: Vec<Object> =
            previous.iter().map(|document| document.object.clone()).collect();
        // What killed runs had begun, and what a failed one was allowed to leave, is what has to be cleared away now.
        let failed = reached.latest.as_ref().filter(|latest| latest.info.status == Status::Failed);
        for left in reached.interrupted.iter().chain(failed) {
            known.extend(left.documents()?.into_iter().map(|document| document.object));
        }
        let mut known = self.or_cancelled(reached.client.place(known, &app.namespace)).await?;
        let mut seen = HashSet::new();
        known.retain(|object| ObjectRef::of(object).is_none_or(|named| seen.insert(named)));
        let definitions = desired[..rendered.definitions.len()].iter().filter_map(ObjectRef::of);
        let has_namespace = self.or_cancelled(reached.client.has_namespace(&app.namespace));
        let (live, has_namespace) = tokio::try_join!(self.live(&desired, &known), has_namespace)?;
        let (waves, takeover) = match &self.run.saved {
            Some(saved) => (saved.waves(&desired)?, saved.takeover()),
            None => {
                let waves = self.plan_waves(chosen, bus, &desired, known, &live).await?;
                (waves, self.run.takeover.clone())
            }
        };
        let definitions = definitions.collect();
        let transaction = Transaction { takeover, definitions, ..self.transaction(bus)? };
        let prospect = transaction.prospect(&waves, &live, &seen, has_namespace);
        let prospect = self.or_cancelled(prospect).await?;
        for one in &prospect.objects {
            for LeftField { conflict, because } in &one.left {
                let FieldConflict { field, manager, .. } = conflict;
                let message = format!("{} {field} is left to {manager}: {because}", one.object);
                self.note(bus, "info", self.vault().redact(&message));
            }
        }
        let waves = prospect.spare(waves);
        let transaction = Transaction { unmigrated: prospect.unmigrated(), ..transaction };
        Ok(Intent { desired, previous, transaction, waves, prospect })
    }

    /// What is in the cluster of these objects.
    pub(super) async fn live(
        &self,
        desired: &[Object],
        known: &[Object],
    ) -> Result<HashMap<ObjectRef, Object>, RunError> {
        let mut wanted: Vec<ObjectRef> =
            desired.iter().chain(known).filter_map(ObjectRef::of).collect();
        wanted.sort();
        wanted.dedup();
        let found = self.or_cancelled(self.reached()?.client.get_many(&wanted)).await?;
        Ok(wanted.into_iter().zip(found).filter_map(|(name, found)| Some((name, found?))).collect())
    }

    pub(super) async fn plan_waves(
        &self,
        chosen: &Chosen,
        bus: &Bus,
        desired: &[Object],
        known: Vec<Object>,
        live: &HashMap<ObjectRef, Object>,
    ) -> Result<Vec<Wave>, RunError> {
        let app = &self.run.project.file.app;
        let vault = self.vault();
        let tokens = |object: Object| vault.tokenise(object).to_string();
        // Sealed, a Secret equals the live one exactly where nothing changes.
        let sealed = desired.iter().map(|object| Ok(vault.seal(object.clone())?.to_string()));
        let mut live: Vec<(&ObjectRef, &Object)> = live.iter().collect();
        live.sort_by_key(|(name, _)| *name);
        let request = apply::Request {
            options: chosen.options.to_string(),
            release: app.name.clone(),
            namespace: app.namespace.clone(),
            desired: sealed.collect::<Result<_, RunError>>()?,
            previous: known.into_iter().map(tokens).collect(),
            live: live.into_iter().map(|(_, object)| tokens(object.clone())).collect(),
        };
        let plugin = self.plugin(chosen)?;
        let context = self.context(bus.clone(), Deadline::Short, "apply");
        let waves = plugin.apply(context)?.plan(request).await?;
        let mut waves = waves.into_iter().map(wave).collect::<Result<Vec<_>, RunError>>()?;
        let own: HashSet<ObjectRef> = desired.iter().filter_map(ObjectRef::of).collect();
        let client = &self.reached()?.client;
        for named in waves.iter_mut().flat_map(|wave| &mut wave.wait_for) {
            // What is no object of the release is called as people call it.
            if !own.contains(named) {
                *named = self.or_cancelled(client.resolve(named)).await?;
            }
        }
        Ok(waves)
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
            apply::Operation::Unchanged(name) => Operation::Unchanged(name.into()),
        })
    });
    Ok(Wave {
        title: planned.title,
        operations: operations.collect::<Result<_, RunError>>()?,
        wait_for: planned.wait_for.into_iter().map(Into::into).collect(),
    })
}
