//! Applying: what the apply step plans, the API server's opinion of it, and a new revision if it matters.

use std::collections::{HashMap, HashSet};

use async_trait::async_trait;
use jiff::Timestamp;

use super::error::RunError;
use super::schedule::Report;
use super::session::{Deadline, Pending, Session, lock};
use crate::cluster::{Client, FieldConflict, Timeouts};
use crate::event::Bus;
use crate::exit::Exit;
use crate::object::{Object, ObjectRef};
use crate::plan::Chosen;
use crate::plugin::wit::apply;
use crate::release::{
    Document, Done, Facts, LeftField, NewRevision, Operation, Prospect, ReadyGate, Record,
    ReleaseError, Status, Transaction, Wave,
};

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
        let intent = self.intend(chosen, &bus).await?;
        let Intent { desired, previous, transaction, waves, prospect } = intent;
        if self.objects.set(desired.clone()).is_err() {
            return Err(RunError::internal("it was applied twice"));
        }
        let changed = prospect.changes().count();
        let base = reached.deployed.as_ref();
        if let (Some(base), None, 0) = (base, self.begun()?, changed) {
            return Ok(Report::unchanged(format!("no change, revision {} stays", base.revision)));
        }

        // From here on something is made: whatever ends this must finish or take back what it says.
        let vault = self.vault();
        let rendered = self.rendered()?;
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
            done: Done::default(),
            prospect,
            previous,
            is_upgrade: base.is_some(),
        });
        let revision = self.change(&bus, documents, &waves).await?;
        Ok(Report::done(format!("revision {revision}, {changed} objects changed")))
    }

    /// The revision that a killed deploy had begun.
    fn begun(&self) -> Result<Option<&Record>, RunError> {
        let latest = self.reached()?.latest.as_ref();
        Ok(latest.filter(|record| record.info.status.is_pending()))
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
        // What a killed deploy had begun is what has to be cleared away now.
        if let Some(begun) = self.begun()? {
            known.extend(begun.documents()?.into_iter().map(|document| document.object));
        }
        let mut known = self.or_cancelled(reached.client.place(known, &app.namespace)).await?;
        let mut seen = HashSet::new();
        known.retain(|object| ObjectRef::of(object).is_none_or(|named| seen.insert(named)));
        let definitions = desired[..rendered.definitions.len()].iter().filter_map(ObjectRef::of);
        let live = self.live(&desired, &known).await?;
        let (waves, takeover) = match &self.run.saved {
            Some(saved) => (saved.waves(&desired)?, saved.takeover()),
            None => {
                let waves = self.plan_waves(chosen, bus, &desired, known, &live).await?;
                (waves, self.run.takeover.clone())
            }
        };
        let transaction = Transaction {
            client: reached.client.clone(),
            vault: self.vault(),
            bus: bus.clone(),
            cancel: self.cancel.clone(),
            release: app.name.clone(),
            namespace: app.namespace.clone(),
            takeover,
            definitions: definitions.collect(),
        };
        let prospect = transaction.prospect(&waves, &live, &seen);
        let prospect = self.or_cancelled(prospect).await?;
        for one in &prospect.objects {
            for LeftField { conflict, because } in &one.left {
                let FieldConflict { field, manager, .. } = conflict;
                let message = format!("{} {field} is left to {manager}: {because}", one.object);
                self.note(bus, "info", self.vault().redact(&message));
            }
        }
        let waves = prospect.spare(waves);
        Ok(Intent { desired, previous, transaction, waves, prospect })
    }

    /// What is in the cluster of these objects.
    async fn live(
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

    async fn plan_waves(
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
        waves.into_iter().map(wave).collect()
    }

    /// Makes the revision; gives its number.
    async fn change(
        &self,
        bus: &Bus,
        documents: Vec<Document>,
        waves: &[Wave],
    ) -> Result<u32, RunError> {
        let reached = self.reached()?;
        let rendered = self.rendered()?;
        // The transaction is held here while it works; what it did is put back whatever happens.
        let pending = lock(&self.pending).take();
        let mut pending =
            pending.ok_or_else(|| RunError::internal("no transaction to carry out"))?;
        let result = async {
            pending.transaction.prepare(&mut pending.done).await?;
            let mut facts = Facts {
                host: env!("CARGO_PKG_VERSION").to_owned(),
                renderer: rendered.renderer.clone(),
                created_namespace: pending.done.created_namespace,
                ..Facts::default()
            };
            facts.inputs.insert("render".to_owned(), rendered.inputs.clone());
            for state in self.images() {
                facts.images.insert(state.name, state.reference);
            }
            let new = NewRevision {
                chart: rendered.chart.clone(),
                config: rendered.config.clone(),
                documents,
                hooks: rendered.hooks.clone(),
                notes: rendered.notes.clone(),
                facts,
                begun: pending.begun,
            };
            let record = reached.store.create_pending(new, &reached.salt).await?;
            let revision = record.revision;
            pending.record = Some(record);
            let gate = Gate { session: self, bus };
            pending.transaction.execute(waves, &gate, &mut pending.done).await?;
            Ok(revision)
        }
        .await;
        *lock(&self.pending) = Some(pending);
        result
    }

    /// Everything went well: the revision under way is in force.
    pub(super) async fn put_in_force(&self) -> Result<Option<u32>, RunError> {
        let pending = lock(&self.pending).take();
        let Some(Pending { record: Some(mut record), is_upgrade, .. }) = pending else {
            return Ok(None);
        };
        let reached = self.reached()?;
        let description = if is_upgrade { "Upgrade complete" } else { "Install complete" };
        // What a killed deploy had begun was taken over by this one.
        if let Some(begun) = &reached.latest
            && begun.info.status.is_pending()
        {
            let mut begun = begun.clone();
            let why = "Interrupted; taken over by the next deploy";
            reached.store.finish(&mut begun, Status::Failed, why).await?;
        }
        let revision = record.revision;
        match reached.store.finish(&mut record, Status::Deployed, description).await {
            Ok(()) => Ok(Some(revision)),
            Err(error) if error.exit() == Exit::Cancelled => {
                let left = format!(
                    "revision {revision} runs, but may still be recorded as under way: deploy again to put that right"
                );
                Err(RunError::Cancelled { left })
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Something went wrong: the cluster goes back to what it was. Gives the error to tell.
    pub(super) async fn take_back(&self, error: RunError) -> RunError {
        let pending = lock(&self.pending).take();
        let Some(pending) = pending else {
            // Which call it was that the user stopped is of no interest.
            return if error.is_cancelled() { RunError::cancelled() } else { error };
        };
        let bus = self.bus.for_step("rollback");
        let what = if pending.is_upgrade {
            "going back to the previous revision"
        } else {
            "taking away what was begun"
        };
        self.note(&bus, "warn", format!("{what}; press Ctrl-C again to stop at once"));
        let was_cancelled = error.is_cancelled();
        let Ok(reached) = self.reached() else { return error };
        let client = if was_cancelled {
            // The user waits for it: a cluster that does not answer is given up soon.
            let client = reached.client.regardless(Timeouts::BRIEF);
            if let Err(silence) = client.answers().await {
                return self.stranded(RunError::cancelled(), silence, reached, &pending);
            }
            client
        } else {
            reached.client.regardless(Timeouts::default())
        };
        match self.roll_back(pending, &client, &error).await {
            Ok(left) if was_cancelled => RunError::Cancelled { left },
            Ok(left) => {
                self.note(&bus, "info", left);
                error
            }
            Err(rollback) => {
                RunError::LeftOver { failed: Box::new(error), rollback: Box::new(rollback) }
            }
        }
    }

    async fn roll_back(
        &self,
        pending: Pending,
        client: &Client,
        why: &RunError,
    ) -> Result<String, RunError> {
        let reached = self.reached()?;
        let store = reached.store.by(client.clone());
        let Pending { transaction, begun, record, mut done, prospect, previous, is_upgrade } =
            pending;
        let transaction = Transaction { client: client.clone(), ..transaction };
        // What was there before is put back with the previous revision, or was never the release's.
        done.in_doubt.retain(|object| prospect.creates(object));
        let undone = transaction.roll_back(&done, &previous).await;
        let record = match record {
            Some(record) => Some(record),
            None => store.begun_at(begun).await?,
        };
        if is_upgrade {
            if let Some(mut record) = record {
                let description = self.vault().redact(&why.failure().message);
                store.finish(&mut record, Status::Failed, &description).await?;
            }
            let restored = undone?.restored;
            self.verify_restored(client, &restored).await?;
            let revision = reached.deployed.as_ref().map_or(0, |record| record.revision);
            return Ok(format!("revision {revision} is in force again"));
        }
        undone?;
        match record {
            Some(record) => store.remove(record.revision).await?,
            None => store.remove_unused_salt().await?,
        }
        transaction.remove_namespace(&done).await?;
        Ok("what was begun is taken away again".to_owned())
    }
}

/// A wave waits until the verify step calls its objects healthy.
struct Gate<'a> {
    session: &'a Session,
    bus: &'a Bus,
}

#[async_trait]
impl ReadyGate for Gate<'_> {
    async fn ready(&self, wave: &str, objects: &[ObjectRef]) -> Result<(), ReleaseError> {
        let reached = self.session.reached.get().ok_or(ReleaseError::Cancelled)?;
        match self.session.wait_healthy(&reached.client, objects, self.bus).await {
            Ok(_) => Ok(()),
            Err(error) if error.is_cancelled() => Err(ReleaseError::Cancelled),
            Err(RunError::Release(error)) => Err(error),
            Err(RunError::Cluster(error)) => Err(error.into()),
            Err(error) => {
                Err(ReleaseError::NotReady { wave: wave.to_owned(), reason: error.to_string() })
            }
        }
    }
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
        wait_for: planned.wait_for.into_iter().map(Into::into).collect(),
    })
}
