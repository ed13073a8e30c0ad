//! Applying: what the apply step plans, the API server's opinion of it, and a new revision if it matters.

use std::collections::BTreeSet;

use async_trait::async_trait;

use super::error::RunError;
use super::schedule::Report;
use super::session::{Deadline, Pending, Session, lock};
use super::verify::READY_WITHIN;
use crate::event::{Bus, ObjectChange};
use crate::object::{Object, ObjectRef};
use crate::plan::Chosen;
use crate::plugin::wit::apply;
use crate::release::{
    Document, Done, Facts, NewRevision, Operation, ReadyGate, Record, ReleaseError, Status,
    Transaction, Wave,
};

impl Session {
    pub(super) async fn apply(&self, chosen: &Chosen, bus: Bus) -> Result<Report, RunError> {
        let reached = self.reached()?;
        let rendered = self.rendered()?;
        let app = &self.run.project.file.app;
        let sources: Vec<String> =
            rendered.documents.iter().map(|document| document.source.clone()).collect();
        let objects = rendered.documents.iter().map(|document| document.object.clone()).collect();
        let desired = self.or_cancelled(reached.client.place(objects, &app.namespace)).await?;
        // What a killed deploy had begun is what has to be cleared away now.
        let begun = reached.latest.as_ref().filter(|record| record.info.status.is_pending());
        let base = reached.deployed.as_ref();
        let previous_documents = base.map(Record::documents).transpose()?.unwrap_or_default();
        let mut previous: Vec<Object> =
            previous_documents.iter().map(|document| document.object.clone()).collect();
        let failed = reached.latest.as_ref().filter(|record| record.info.status == Status::Failed);
        // What a failed one was allowed to leave is, too.
        for left in begun.into_iter().chain(failed) {
            previous.extend(left.documents()?.into_iter().map(|document| document.object));
        }
        let mut previous =
            self.or_cancelled(reached.client.place(previous, &app.namespace)).await?;
        // Most are in both revisions.
        let mut seen = BTreeSet::new();
        previous.retain(|object| seen.insert(ObjectRef::of(object)));
        let waves = self.plan_waves(chosen, &bus, &desired, previous).await?;

        let transaction = Transaction {
            client: reached.client.clone(),
            vault: self.vault(),
            bus: bus.clone(),
            cancel: self.cancel.clone(),
            release: app.name.clone(),
            namespace: app.namespace.clone(),
            force: self.run.force,
        };
        let prospect = self.or_cancelled(transaction.prospect(&waves)).await?;
        if self.objects.set(desired.clone()).is_err() {
            return Err(RunError::internal("it was applied twice"));
        }
        let is_in_force = base.is_some() && begun.is_none();
        if is_in_force && !prospect.changes_anything() {
            let revision = base.map_or(0, |record| record.revision);
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

    async fn plan_waves(
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
        reached.store.finish(&mut record, Status::Deployed, description).await?;
        Ok(Some(record.revision))
    }

    /// Something went wrong: the cluster goes back to what it was. Gives the error to tell.
    pub(super) async fn take_back(&self, error: RunError) -> RunError {
        let pending = lock(&self.pending).take();
        let Some(pending) = pending else {
            // Which call it was that the user stopped is of no interest.
            return if error.is_cancelled() { RunError::cancelled() } else { error };
        };
        let bus = self.bus.for_step("rollback");
        if let (Some(record), false) = (&pending.record, error.is_cancelled()) {
            self.keep_evidence(record.revision, &error).await;
        }
        if self.is_left(&pending) {
            return self.leave(pending, error, &bus).await;
        }
        let what = if pending.is_upgrade {
            "going back to the previous revision"
        } else {
            "taking away what was begun"
        };
        self.note(&bus, "warn", format!("{what}; press Ctrl-C again to stop at once"));
        let was_cancelled = error.is_cancelled();
        match self.roll_back(pending, &error).await {
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

    async fn roll_back(&self, pending: Pending, why: &RunError) -> Result<String, RunError> {
        let reached = self.reached()?;
        let Pending { transaction, record, done, previous, is_upgrade } = pending;
        if let (true, Some(base)) = (is_upgrade, &reached.deployed) {
            self.bring_images_back(base, &self.bus.for_step("rollback")).await;
        }
        let undone = transaction.roll_back(&done, &previous).await;
        if is_upgrade {
            if let Some(mut record) = record {
                let description = self.vault().redact(&why.failure().message);
                reached.store.finish(&mut record, Status::Failed, &description).await?;
            }
            let restored = undone?.restored;
            self.verify_restored(&restored).await?;
            let revision = reached.deployed.as_ref().map_or(0, |record| record.revision);
            return Ok(format!("revision {revision} is in force again"));
        }
        undone?;
        if let Some(record) = record {
            reached.store.remove(record.revision).await?;
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
        match self.session.wait_healthy(objects, READY_WITHIN, self.bus, &self.session.cancel).await
        {
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
        wait_ready: planned.wait_ready,
    })
}
