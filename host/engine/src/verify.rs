//! Verifies the app: the host watches the objects, the verify step judges them, and the host makes the probes that it
//! names.

mod diagnose;
mod endpoint_match;
mod endpoints;
mod probes;
mod stuck_pods;
mod usage;
mod wait;

use std::time::Duration;

use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::connected::Connected;
use super::context::Deadline;
use super::error::RunError;
use super::plan::Chosen;
use super::scheduler::Report;
use super::stages::{Applied, Verified};
use todohost_cluster::{Client, Snapshot};
use todohost_model::event::Bus;
use todohost_model::object::{Object, ObjectRef};
use todohost_runtime::plugin::wit::verify;
use todohost_runtime::plugin::{Role, Verify};

pub(super) use self::endpoints::{find_addresses, look_before, open_service};

/// Waits until the objects are healthy, probes the app and finds its addresses.
pub(super) async fn run(
    connected: &Connected,
    applied: Option<&Applied>,
    chosen: &Chosen,
    bus: Bus,
) -> Result<(Verified, Report), RunError> {
    let objects = release_objects(connected, applied).await?;
    let refs = refs_of(&objects);
    let limit = connected.cx.run.ready_within.duration();
    let judged =
        wait::until_healthy(connected, &connected.client, chosen, &refs, limit, &bus).await?;
    let probes = probes::run(connected, chosen, &objects, &bus);
    let (probed, addresses) =
        tokio::join!(probes, find_addresses(connected, applied, &objects, &bus));
    let report = Report::done(format!("{judged} objects healthy, {} probes answered", probed?));
    Ok((Verified { addresses }, report))
}

/// The objects that this run applied, or else those of the current revision.
pub(super) async fn release_objects(
    connected: &Connected,
    applied: Option<&Applied>,
) -> Result<Vec<Object>, RunError> {
    if let Some(applied) = applied {
        return Ok(applied.objects.clone());
    }
    let record = connected.deployed.as_ref().ok_or_else(|| connected.not_deployed())?;
    let documents = record.documents()?.into_iter();
    let objects = documents.map(|document| connected.vault.tokenise(document.object)).collect();
    let namespace = &connected.cx.app().namespace;
    connected.cx.or_cancelled(connected.client.place(objects, namespace)).await
}

pub(super) fn refs_of(objects: &[Object]) -> Vec<ObjectRef> {
    objects.iter().filter_map(ObjectRef::of).collect()
}

/// The release's objects as they are in the cluster now, with tokens in place of the data of Secrets.
pub(super) async fn live_objects(
    connected: &Connected,
    applied: Option<&Applied>,
) -> Result<Vec<Object>, RunError> {
    let refs = refs_of(&release_objects(connected, applied).await?);
    let live = connected.cx.or_cancelled(connected.client.get_many(&refs)).await?;
    Ok(live.into_iter().flatten().map(|object| connected.vault.tokenise(object)).collect())
}

pub(super) fn verifier(
    connected: &Connected,
    chosen: &Chosen,
    bus: &Bus,
) -> Result<Verify, RunError> {
    let mut context = connected.call(bus.clone(), Deadline::Short, "verify");
    // Judging goes on while a stopped run is rolled back.
    context.cancel = CancellationToken::new();
    Ok(connected.cx.plugin(chosen)?.verify(context)?)
}

/// Waits until objects of a wave or a hook are healthy. Returns their number.
pub(super) async fn wait_healthy(
    connected: &Connected,
    client: &Client,
    refs: &[ObjectRef],
    limit: Duration,
    bus: &Bus,
) -> Result<usize, RunError> {
    let chosen = connected.cx.planner().step_plugin(Role::Verify)?;
    wait::until_healthy(connected, client, &chosen, refs, limit, bus).await
}

/// Waits until the objects that a rollback restored are healthy. The user's Ctrl-C does not end this wait.
pub(super) async fn verify_restored(
    connected: &Connected,
    client: &Client,
    refs: &[ObjectRef],
) -> Result<(), RunError> {
    let bus = connected.cx.bus.for_step("rollback");
    let limit = connected.cx.run.ready_within.duration();
    tokio::select! {
        restored = wait_healthy(connected, client, refs, limit, &bus) => restored.map(drop),
        error = stuck_pods::delete_stuck_pods(client, refs, &bus) => Err(error),
    }
}

/// Asks the verify step for its verdict on an object.
pub(super) async fn judge(
    verifier: &mut Verify,
    options: &str,
    snapshot: &Snapshot,
) -> Result<verify::Verdict, RunError> {
    if snapshot.object.is_none() {
        return Ok(verify::Verdict {
            health: verify::Health::Progressing,
            reason: "Missing".to_owned(),
            message: "it does not exist".to_owned(),
            patience_ms: None,
            replicas: None,
        });
    }
    Ok(verifier.judge(options.to_owned(), subject(snapshot)).await?)
}

fn subject(snapshot: &Snapshot) -> verify::Subject {
    let texts = |objects: &[Object]| objects.iter().map(ToString::to_string).collect();
    verify::Subject {
        object: snapshot.object.as_ref().unwrap_or(&Value::Null).to_string(),
        related: texts(&snapshot.related),
        events: texts(&snapshot.events),
    }
}

const fn is_good(health: verify::Health) -> bool {
    matches!(health, verify::Health::Healthy | verify::Health::NoOpinion)
}

/// A health as it is printed.
pub(super) const fn health_label(health: verify::Health) -> &'static str {
    match health {
        verify::Health::Healthy => "healthy",
        verify::Health::Progressing => "progressing",
        verify::Health::Failing => "failing",
        verify::Health::Failed => "failed",
        verify::Health::NoOpinion => "no opinion",
    }
}
