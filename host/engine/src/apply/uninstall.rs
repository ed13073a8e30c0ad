//! Deletes a release: its hooks, its objects, its records.
//!
//! Owns the order, so that an interrupted deletion can be run again. The apply step decides which objects stay: it plans
//! a release without any desired object.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::future::join_all;
use k8s_openapi::jiff::Timestamp;

use super::hooks::{Stage, run_hooks};
use super::lock::ReleaseLock;
use super::plan_changes::{plan_waves, read_live};
use super::revision::Gate;
use crate::connected::Connected;
use crate::context::note;
use crate::error::RunError;
use crate::plan::{Chosen, Deletion};
use crate::report::failure_report::Evidence;
use crate::scheduler::Report;
use todohost_model::event::{Bus, EventKind, Level, Readiness};
use todohost_model::object::{Object, ObjectChange, ObjectRef};
use todohost_release::{
    AppliedChanges, GONE_WITHIN, HookEvent, HookRecord, Operation, Record, Status, Transaction,
    Wave,
};

/// Deletes the release.
pub(crate) async fn run(
    connected: &Connected,
    chosen: &Chosen,
    deletion: Deletion,
    bus: Bus,
) -> Result<Report, RunError> {
    let mut lock = ReleaseLock::default();
    let result = delete_release(connected, &mut lock, chosen, deletion, &bus).await;
    let lost = lock.lost(connected);
    lock.release(connected).await;
    result.map_err(|error| match lost {
        Some(lost) => lost,
        None if error.is_cancelled() => RunError::Cancelled {
            left: "some objects are not deleted yet: run the same command again to finish"
                .to_owned(),
        },
        None => error,
    })
}

async fn delete_release(
    connected: &Connected,
    lock: &mut ReleaseLock,
    chosen: &Chosen,
    deletion: Deletion,
    bus: &Bus,
) -> Result<Report, RunError> {
    let mut record = connected.latest.clone().ok_or_else(|| connected.not_deployed())?;
    let transaction = connected.transaction(bus);
    lock.take(connected, bus).await?;
    connected.store.expect_newest(Some(&record)).await?;
    let mut count = 0;
    if record.info.status != Status::Uninstalled {
        record.info.deleted = Some(Timestamp::now());
        // Stock Helm's wording: its `status` shows this line if the deletion is interrupted.
        let description = "Deletion in progress (or silently failed)";
        connected.store.finish(&mut record, Status::Uninstalling, description).await?;
        count = delete_objects(connected, chosen, &transaction, &mut record, bus).await?;
    } else if deletion.keep_history {
        return Ok(Report::unchanged("already deleted; its history is kept"));
    }
    if deletion.keep_history {
        connected.store.retire(&mut record).await?;
    } else {
        connected.store.remove_all().await?;
    }
    lock.release(connected).await;
    if deletion.with_namespace && !transaction.remove_namespace().await? {
        let namespace = &connected.cx.app().namespace;
        let message = format!(
            "kept namespace {namespace}: it was not created for this release, or it is not empty"
        );
        note(bus, Level::Warn, message);
    }
    Ok(Report::done(format!("{count} objects deleted")))
}

/// Runs the hooks of the deletion and deletes the objects of the release. Returns their number.
async fn delete_objects(
    connected: &Connected,
    chosen: &Chosen,
    transaction: &Transaction,
    record: &mut Record,
    bus: &Bus,
) -> Result<usize, RunError> {
    let (mut done, completed, mut evidence) =
        (AppliedChanges::default(), BTreeSet::new(), Evidence::default());
    let mut objects = record.documents()?;
    if let Some(deployed) = connected.deployed.as_ref() {
        // A newer revision that failed may lack objects of the current one.
        objects.extend(deployed.documents()?);
    }
    let objects = objects.into_iter().map(|document| document.object).collect();
    let mut stage = Stage {
        connected,
        transaction,
        record,
        done: &mut done,
        completed: &completed,
        evidence: &mut evidence,
        bus,
    };
    run_hooks(HookEvent::PreDelete, &mut stage).await?;
    let deleted = remove(connected, chosen, transaction, objects, bus).await?;
    run_hooks(HookEvent::PostDelete, &mut stage).await?;
    let hooks = stage.record.hooks.iter().map(HookRecord::objects);
    let left = hooks.collect::<Result<Vec<_>, _>>()?.concat();
    Ok(deleted + remove(connected, chosen, transaction, left, bus).await?)
}

/// Deletes the objects that no rule keeps, users before the objects that they use, and waits until they are gone.
/// Returns their number.
async fn remove(
    connected: &Connected,
    chosen: &Chosen,
    transaction: &Transaction,
    objects: Vec<Object>,
    bus: &Bus,
) -> Result<usize, RunError> {
    let cx = &connected.cx;
    let placed = connected.client.place(objects, &cx.app().namespace);
    let mut objects = cx.or_cancelled(placed).await?;
    let mut seen = BTreeSet::new();
    objects.retain(|object| ObjectRef::of(object).is_some_and(|name| seen.insert(name)));
    let live = read_live(connected, &[], &objects).await?;
    let waves = plan_waves(connected, chosen, bus, &[], objects, &live).await?;
    let deleted: Vec<ObjectRef> = waves.iter().flat_map(deleted_by).collect();
    let mut done = AppliedChanges::default();
    let gate = Gate { connected, bus };
    transaction.execute(&waves, &gate, &mut done).await?;
    let gone = deleted.into_iter().filter_map(|object| {
        let uid = live.get(&object)?.pointer("/metadata/uid")?.as_str()?;
        Some(wait_gone(connected, object, uid, bus))
    });
    let gone =
        cx.or_cancelled(async { join_all(gone).await.into_iter().collect::<Result<Vec<()>, _>>() });
    Ok(gone.await?.len())
}

async fn wait_gone(
    connected: &Connected,
    object: ObjectRef,
    uid: &str,
    bus: &Bus,
) -> Result<(), RunError> {
    let mut gone = Box::pin(connected.client.wait_gone(&object, uid, GONE_WITHIN));
    // Most objects are gone at once. Report only those that take their time.
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

fn deleted_by(wave: &Wave) -> Vec<ObjectRef> {
    let deleted = |operation: &Operation| match operation {
        Operation::Delete(object) => Some(object.clone()),
        _ => None,
    };
    wave.operations.iter().filter_map(deleted).collect()
}
