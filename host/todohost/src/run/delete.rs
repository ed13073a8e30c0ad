//! Taking a release away: its hooks, its objects, its records.
//!
//! Owns the order, so that a deletion that was interrupted can be run again. Which objects stay is decided by the
//! apply step: it is asked for a release of which nothing is wanted any more.

use std::collections::{BTreeSet, HashSet};
use std::time::Duration;

use futures::future::join_all;
use k8s_openapi::jiff::Timestamp;

use super::error::RunError;
use super::hook::Stage;
use super::revision::Gate;
use super::schedule::Report;
use super::session::Session;
use crate::plan::{Chosen, Deletion};
use todohost_model::event::{Bus, EventKind, Readiness};
use todohost_model::object::{Object, ObjectChange, ObjectRef};
use todohost_release::{
    Done, GONE_WITHIN, HookEvent, HookRecord, Operation, Record, Status, Transaction, Wave,
};

impl Session {
    pub(super) async fn delete(
        &self,
        chosen: &Chosen,
        deletion: Deletion,
        bus: Bus,
    ) -> Result<Report, RunError> {
        let result = self.delete_release(chosen, deletion, &bus).await;
        result.map_err(|error| match error {
            error if error.is_cancelled() => RunError::Cancelled {
                left: "what was not deleted yet is still there: run it again to finish".to_owned(),
            },
            error => error,
        })
    }

    async fn delete_release(
        &self,
        chosen: &Chosen,
        deletion: Deletion,
        bus: &Bus,
    ) -> Result<Report, RunError> {
        let reached = self.reached()?;
        let mut record = reached.latest.clone().ok_or_else(|| self.not_deployed())?;
        let transaction = self.transaction(bus)?;
        self.take_lease(bus).await?;
        reached.store.expect_newest(Some(&record)).await?;
        let mut count = 0;
        if record.info.status != Status::Uninstalled {
            record.info.deleted = Some(Timestamp::now());
            // As Helm words it: this is what is read where it was interrupted.
            let description = "Deletion in progress (or silently failed)";
            reached.store.finish(&mut record, Status::Uninstalling, description).await?;
            count = self.delete_objects(chosen, &transaction, &mut record, bus).await?;
        } else if deletion.keep_history {
            return Ok(Report::unchanged("it is deleted already, and its history is kept"));
        }
        if deletion.keep_history {
            reached.store.retire(&mut record).await?;
        } else {
            reached.store.remove_all().await?;
        }
        self.give_lease_back().await;
        if deletion.with_namespace && !transaction.remove_namespace().await? {
            let namespace = &self.run.project.file.app.namespace;
            let message = format!(
                "namespace {namespace} stays: it was not created for this release, or something else is in it"
            );
            self.note(bus, "warn", message);
        }
        Ok(Report::done(format!("{count} objects deleted")))
    }

    /// Runs the hooks of a deletion and deletes what the release has; gives the number of objects.
    async fn delete_objects(
        &self,
        chosen: &Chosen,
        transaction: &Transaction,
        record: &mut Record,
        bus: &Bus,
    ) -> Result<usize, RunError> {
        let (mut done, through) = (Done::default(), BTreeSet::new());
        let mut objects = record.documents()?;
        if let Some(deployed) = self.reached()?.deployed.as_ref() {
            // A newer revision that failed may lack what the one in force has.
            objects.extend(deployed.documents()?);
        }
        let objects = objects.into_iter().map(|document| document.object).collect();
        let mut stage = Stage { transaction, record, done: &mut done, through: &through, bus };
        self.run_hooks(HookEvent::PreDelete, &mut stage).await?;
        let deleted = self.remove(chosen, transaction, objects, bus).await?;
        self.run_hooks(HookEvent::PostDelete, &mut stage).await?;
        let hooks = stage.record.hooks.iter().map(HookRecord::objects);
        let left = hooks.collect::<Result<Vec<_>, _>>()?.concat();
        Ok(deleted + self.remove(chosen, transaction, left, bus).await?)
    }

    /// Deletes those of the objects that no rule keeps, users before what they use, and waits until they are gone;
    /// gives their number.
    pub(super) async fn remove(
        &self,
        chosen: &Chosen,
        transaction: &Transaction,
        objects: Vec<Object>,
        bus: &Bus,
    ) -> Result<usize, RunError> {
        let client = &self.reached()?.client;
        let namespace = &self.run.project.file.app.namespace;
        let mut objects = self.or_cancelled(client.place(objects, namespace)).await?;
        let mut seen = BTreeSet::new();
        objects.retain(|object| ObjectRef::of(object).is_some_and(|name| seen.insert(name)));
        let live = self.live(&[], &objects).await?;
        let waves = self.plan_waves(chosen, bus, &[], objects, &live).await?;
        let doomed: Vec<ObjectRef> = waves.iter().flat_map(deleted_by).collect();
        let mut done = Done::default();
        let gate = Gate { session: self, bus };
        transaction.execute(&waves, &gate, &mut done).await?;
        let gone = doomed.into_iter().filter_map(|object| {
            let uid = live.get(&object)?.pointer("/metadata/uid")?.as_str()?;
            Some(self.wait_gone(object, uid, bus))
        });
        let gone = self.or_cancelled(async {
            join_all(gone).await.into_iter().collect::<Result<Vec<()>, _>>()
        });
        Ok(gone.await?.len())
    }

    async fn wait_gone(&self, object: ObjectRef, uid: &str, bus: &Bus) -> Result<(), RunError> {
        let client = &self.reached()?.client;
        let mut gone = Box::pin(client.wait_gone(&object, uid, GONE_WITHIN));
        // Most are gone at once: only what takes its time is told of.
        tokio::select! {
            biased;
            result = &mut gone => return Ok(result?),
            () = tokio::time::sleep(Duration::from_secs(1)) => {}
        }
        bus.send(EventKind::ObjectWaiting {
            object: object.clone(),
            state: Readiness::Waiting,
            reason: "Terminating".to_owned(),
            message: "it is being deleted".to_owned(),
            replicas: None,
            since_ms: bus.elapsed_ms(),
        });
        gone.await?;
        let object = object.clone();
        let (change, reason) = (ObjectChange::Deleted, Some("it is gone".to_owned()));
        bus.send(EventKind::ObjectChanged { object, change, reason });
        Ok(())
    }

    /// A transaction of this run.
    pub(super) fn transaction(&self, bus: &Bus) -> Result<Transaction, RunError> {
        let app = &self.run.project.file.app;
        Ok(Transaction {
            client: self.reached()?.client.clone(),
            vault: self.vault(),
            bus: bus.clone(),
            cancel: self.cancel.clone(),
            release: app.name.clone(),
            namespace: app.namespace.clone(),
            takeover: self.run.takeover.clone(),
            definitions: HashSet::new(),
            unmigrated: HashSet::new(),
        })
    }
}

fn deleted_by(wave: &Wave) -> Vec<ObjectRef> {
    let deleted = |operation: &Operation| match operation {
        Operation::Delete(object) => Some(object.clone()),
        _ => None,
    };
    wave.operations.iter().filter_map(deleted).collect()
}
