//! Verifying: the host watches, the verify step judges, the host probes and asks for reasons.

mod address;
mod answer;
mod diagnose;
mod meter;
mod route;
mod stuck;
mod wait;

pub(super) use address::open_service;

use std::time::Duration;

use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::error::RunError;
use super::outcome::{ObjectState, State};
use super::schedule::Report;
use super::session::{Deadline, Session, lock};
use crate::plan::{Chosen, Planner};
use todohost_cluster::{Client, Snapshot};
use todohost_model::event::Bus;
use todohost_model::object::{Object, ObjectRef};
use todohost_runtime::plugin::wit::verify;
use todohost_runtime::plugin::{Role, Verify};

impl Session {
    pub(super) async fn verify(&self, chosen: &Chosen, bus: Bus) -> Result<Report, RunError> {
        let (objects, refs) = self.release_objects().await?;
        let limit = self.run.ready_within.duration();
        let client = &self.reached()?.client;
        let judged = self.wait_healthy_with(limit, client, chosen, &refs, &bus).await?;
        let probes = self.probe(chosen, &objects, &bus);
        let (probed, ()) = tokio::join!(probes, self.find_addresses(&objects, &bus));
        let probed = probed?;
        Ok(Report::done(format!("{judged} objects healthy, {probed} probes answered")))
    }

    /// What this run applied, or else what is deployed.
    pub(super) async fn release_objects(&self) -> Result<(Vec<Object>, Vec<ObjectRef>), RunError> {
        let app = &self.run.project.file.app;
        let objects = match self.objects.get() {
            Some(objects) => objects.clone(),
            None => {
                let reached = self.reached()?;
                let record = reached.deployed.as_ref().ok_or_else(|| self.not_deployed())?;
                let vault = self.vault();
                let documents = record.documents()?.into_iter();
                let objects = documents.map(|document| vault.tokenise(document.object)).collect();
                self.or_cancelled(reached.client.place(objects, &app.namespace)).await?
            }
        };
        let refs = objects.iter().filter_map(ObjectRef::of).collect();
        Ok((objects, refs))
    }

    /// The release's objects as they are in the cluster right now, with tokens for what Secrets hold.
    pub(super) async fn live_objects(&self) -> Result<Vec<Object>, RunError> {
        let (_, refs) = self.release_objects().await?;
        let live = self.or_cancelled(self.reached()?.client.get_many(&refs)).await?;
        let vault = self.vault();
        Ok(live.into_iter().flatten().map(|object| vault.tokenise(object)).collect())
    }

    fn verifier(&self, chosen: &Chosen, bus: &Bus) -> Result<Verify, RunError> {
        let mut context = self.context(bus.clone(), Deadline::Short, "verify");
        // Judging also goes on while a stopped run is rolled back.
        context.cancel = CancellationToken::new();
        Ok(self.plugin(chosen)?.verify(context)?)
    }

    /// Waits for objects of a wave, by the project's verify step.
    pub(super) async fn wait_healthy(
        &self,
        client: &Client,
        refs: &[ObjectRef],
        bus: &Bus,
    ) -> Result<usize, RunError> {
        let planner = Planner { project: &self.run.project, registry: &self.run.registry };
        let chosen = planner.step_plugin(Role::Verify)?;
        let limit = self.run.ready_within.duration();
        self.wait_healthy_with(limit, client, &chosen, refs, bus).await
    }

    /// The same with a time limit of its own.
    pub(super) async fn wait_healthy_within(
        &self,
        limit: Duration,
        client: &Client,
        refs: &[ObjectRef],
        bus: &Bus,
    ) -> Result<usize, RunError> {
        let planner = Planner { project: &self.run.project, registry: &self.run.registry };
        let chosen = planner.step_plugin(Role::Verify)?;
        self.wait_healthy_with(limit, client, &chosen, refs, bus).await
    }

    /// What a rollback put back must run again. The user's Ctrl-C does not cut this short.
    pub(super) async fn verify_restored(
        &self,
        client: &Client,
        refs: &[ObjectRef],
    ) -> Result<(), RunError> {
        let bus = self.bus.for_step("rollback");
        tokio::select! {
            restored = self.wait_healthy(client, refs, &bus) => restored.map(drop),
            error = self.clear_the_way(client, refs, &bus) => Err(error),
        }
    }

    /// How the app is at this moment.
    pub(super) async fn state(&self, chosen: &Chosen) -> Result<State, RunError> {
        let bus = self.bus.clone();
        let (objects, refs) = self.release_objects().await?;
        let reached = self.reached()?;
        let mut watch = reached.client.watch(&refs, self.cancel.clone()).await?;
        let mut verifier = self.verifier(chosen, &bus)?;
        let options = chosen.options.to_string();
        let snapshots = self.or_cancelled(watch.next()).await?.ok_or_else(RunError::cancelled)?;
        let mut states = Vec::new();
        for snapshot in snapshots {
            let verdict = judge(&mut verifier, &options, &snapshot).await?;
            states.push(ObjectState {
                object: snapshot.object_ref.to_string(),
                health: health_word(verdict.health).to_owned(),
                message: self.vault().redact(&verdict.message),
            });
        }
        self.find_addresses(&objects, &bus).await;
        let app = &self.run.project.file.app;
        let record = reached.deployed.as_ref();
        Ok(State {
            release: app.name.clone(),
            namespace: app.namespace.clone(),
            target: self.target.clone().unwrap_or_default(),
            revision: record.map_or(0, |record| record.revision),
            status: record.map_or("unknown", |record| record.info.status.as_str()).to_owned(),
            record: record.map(|record| self.told(record)),
            newer: reached
                .latest
                .as_ref()
                .filter(|latest| record.is_some_and(|record| latest.revision > record.revision))
                .map(|latest| self.told(latest)),
            objects: states,
            notes: record.map(|it| self.vault().redact_output(&it.info.notes)).unwrap_or_default(),
            addresses: lock(&self.addresses).clone(),
        })
    }
}

async fn judge(
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

const fn health_word(health: verify::Health) -> &'static str {
    match health {
        verify::Health::Healthy => "healthy",
        verify::Health::Progressing => "progressing",
        verify::Health::Failing => "failing",
        verify::Health::Failed => "failed",
        verify::Health::NoOpinion => "no opinion",
    }
}
