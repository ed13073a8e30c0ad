//! Plans the changes: the apply step orders the operations, and a dry run finds those that change something.

use std::collections::{HashMap, HashSet};

use crate::connected::Connected;
use crate::context::{Deadline, note};
use crate::error::RunError;
use crate::plan::Chosen;
use crate::stages::Rendered;
use todohost_cluster::FieldConflict;
use todohost_model::event::{Bus, Level};
use todohost_model::object::{Object, ObjectRef};
use todohost_release::{Document, DryRun, LeftField, Operation, Record, Status, Transaction, Wave};
use todohost_runtime::plugin::wit::apply;

/// The changes that a revision would make.
pub(crate) struct ApplyPlan {
    /// Definitions and objects as the cluster places them, with placeholders.
    pub desired: Vec<Object>,
    /// The objects of the current revision.
    pub previous: Vec<Document>,
    pub transaction: Transaction,
    /// The operations that change something.
    pub waves: Vec<Wave>,
    /// The result of the dry run.
    pub dry_run: DryRun,
}

/// Plans the changes; changes nothing.
pub(super) async fn run(
    connected: &Connected,
    rendered: &Rendered,
    chosen: &Chosen,
    bus: &Bus,
) -> Result<ApplyPlan, RunError> {
    let cx = &connected.cx;
    let client = &connected.client;
    let namespace = &cx.app().namespace;
    let documents = rendered.definitions.iter().chain(&rendered.documents);
    let objects = documents.map(|document| document.object.clone()).collect();
    let desired = cx.or_cancelled(client.place(objects, namespace)).await?;
    let previous = connected.deployed.as_ref().map(Record::documents).transpose()?;
    let previous = previous.unwrap_or_default();
    let mut known: Vec<Object> = previous.iter().map(|document| document.object.clone()).collect();
    // Objects of killed runs, and of a failed revision that was kept, have to be removed as well.
    let failed = connected.latest.as_ref().filter(|latest| latest.info.status == Status::Failed);
    for left in connected.interrupted.iter().chain(failed) {
        known.extend(left.documents()?.into_iter().map(|document| document.object));
    }
    let mut known = cx.or_cancelled(client.place(known, namespace)).await?;
    let mut seen = HashSet::new();
    known.retain(|object| ObjectRef::of(object).is_none_or(|named| seen.insert(named)));
    let definitions = desired[..rendered.definitions.len()].iter().filter_map(ObjectRef::of);
    let has_namespace = cx.or_cancelled(client.has_namespace(namespace));
    let (live, has_namespace) =
        tokio::try_join!(read_live(connected, &desired, &known), has_namespace)?;
    let (waves, takeover) = match &cx.run.saved {
        Some(saved) => (saved.waves(&desired)?, saved.takeover()),
        None => {
            let waves = plan_waves(connected, chosen, bus, &desired, known, &live).await?;
            (waves, cx.run.takeover.clone())
        }
    };
    let definitions = definitions.collect();
    let transaction = Transaction { takeover, definitions, ..connected.transaction(bus) };
    let dry_run = transaction.dry_run(&waves, &live, &seen, has_namespace);
    let dry_run = cx.or_cancelled(dry_run).await?;
    for one in &dry_run.objects {
        for LeftField { conflict, because } in &one.left {
            let FieldConflict { field, manager, .. } = conflict;
            let message = format!("{} {field} is left to {manager}: {because}", one.object);
            note(bus, Level::Info, connected.vault.redact(&message));
        }
    }
    let waves = dry_run.without_noops(waves);
    let transaction = Transaction { unmigrated: dry_run.unmigrated(), ..transaction };
    Ok(ApplyPlan { desired, previous, transaction, waves, dry_run })
}

/// Reads these objects from the cluster.
pub(super) async fn read_live(
    connected: &Connected,
    desired: &[Object],
    known: &[Object],
) -> Result<HashMap<ObjectRef, Object>, RunError> {
    let mut wanted: Vec<ObjectRef> =
        desired.iter().chain(known).filter_map(ObjectRef::of).collect();
    wanted.sort();
    wanted.dedup();
    let found = connected.cx.or_cancelled(connected.client.get_many(&wanted)).await?;
    Ok(wanted.into_iter().zip(found).filter_map(|(name, found)| Some((name, found?))).collect())
}

/// Asks the apply step for the waves of operations.
pub(super) async fn plan_waves(
    connected: &Connected,
    chosen: &Chosen,
    bus: &Bus,
    desired: &[Object],
    known: Vec<Object>,
    live: &HashMap<ObjectRef, Object>,
) -> Result<Vec<Wave>, RunError> {
    let app = connected.cx.app();
    let vault = &connected.vault;
    let tokens = |object: Object| vault.tokenise(object).to_string();
    // A sealed Secret equals the live one exactly if nothing changes.
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
    let plugin = connected.cx.plugin(chosen)?;
    let context = connected.call(bus.clone(), Deadline::Short, "apply");
    let waves = plugin.apply(context)?.plan(request).await?;
    let mut waves = waves.into_iter().map(wave).collect::<Result<Vec<_>, RunError>>()?;
    let own: HashSet<ObjectRef> = desired.iter().filter_map(ObjectRef::of).collect();
    for named in waves.iter_mut().flat_map(|wave| &mut wave.wait_for) {
        // Charts name foreign objects by short kinds, as people do.
        if !own.contains(named) {
            *named = connected.cx.or_cancelled(connected.client.resolve(named)).await?;
        }
    }
    Ok(waves)
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
