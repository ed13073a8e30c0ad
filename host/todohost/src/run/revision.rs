//! The revision under way: recorded as pending, carried out, and in the end in force or taken back.
//!
//! Owns the order in which record, hooks and objects change, so that whatever ends a run leaves what the next one
//! can finish. What is to change is decided in `apply`.

use std::collections::BTreeSet;

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use super::error::RunError;
use super::hook::Stage;
use super::session::{Pending, Session, lock};
use todohost_cluster::{Client, Timeouts};
use todohost_model::event::Bus;
use todohost_model::exit::Exit;
use todohost_model::object::ObjectRef;
use todohost_release::{
    Document, Done, Facts, HookEvent, NewRevision, ReadyGate, Record, ReleaseError, Status,
    Transaction, Wave, continue_hooks,
};

impl Session {
    /// Makes the revision; gives its number.
    pub(super) async fn change(
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
            self.take_lease(bus).await?;
            let mut facts = Facts {
                host: env!("CARGO_PKG_VERSION").to_owned(),
                renderer: rendered.renderer.clone(),
                person: self.run.environment.person(),
                ..Facts::default()
            };
            facts.inputs.insert("render".to_owned(), rendered.inputs.clone());
            for state in self.images() {
                facts.images.insert(state.name, state.reference);
            }
            let mut hooks = rendered.hooks.clone();
            if let Some(interrupted) = reached.interrupted.last() {
                pending.through = continue_hooks(&mut hooks, &interrupted.hooks);
            }
            let new = NewRevision {
                chart: rendered.chart.clone(),
                config: rendered.config.clone(),
                documents,
                hooks,
                notes: rendered.notes.clone(),
                facts,
                begun: pending.begun,
                goes_back_to: rendered.goes_back_to,
            };
            let created =
                reached.store.create_pending(new, &reached.salt, reached.latest.as_ref()).await;
            pending.is_doubted = matches!(
                &created, Err(ReleaseError::Cluster(error)) if error.leaves_doubt());
            let record = created?;
            let revision = record.revision;
            pending.record = Some(record);
            self.run_pending_hooks(self.moments(&pending).0, &mut pending, bus).await?;
            let gate = Gate { session: self, bus };
            pending.transaction.execute(waves, &gate, &mut pending.done).await?;
            Ok(revision)
        }
        .await;
        *lock(&self.pending) = Some(pending);
        result
    }

    /// When the hooks of the revision under way run: before its objects, and after.
    fn moments(&self, pending: &Pending) -> (HookEvent, HookEvent) {
        if self.goes_back_to().is_some() {
            (HookEvent::PreRollback, HookEvent::PostRollback)
        } else if pending.is_upgrade {
            (HookEvent::PreUpgrade, HookEvent::PostUpgrade)
        } else {
            (HookEvent::PreInstall, HookEvent::PostInstall)
        }
    }

    fn goes_back_to(&self) -> Option<u32> {
        self.rendered.get().and_then(|rendered| rendered.goes_back_to)
    }

    async fn run_pending_hooks(
        &self,
        event: HookEvent,
        pending: &mut Pending,
        bus: &Bus,
    ) -> Result<(), RunError> {
        let Pending { transaction, record, done, through, .. } = pending;
        let Some(record) = record else { return Ok(()) };
        let mut stage = Stage { transaction, record, done, through, bus };
        self.run_hooks(event, &mut stage).await
    }

    /// Everything is healthy: what the chart wants done after that.
    pub(super) async fn run_last_hooks(&self) -> Result<(), RunError> {
        let pending = lock(&self.pending).take();
        let Some(mut pending) = pending else { return Ok(()) };
        let bus = self.bus.for_step("hooks");
        let result = self.run_pending_hooks(self.moments(&pending).1, &mut pending, &bus).await;
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
        let description = match self.goes_back_to() {
            Some(older) => format!("Rollback to {older}"),
            None if is_upgrade => "Upgrade complete".to_owned(),
            None => "Install complete".to_owned(),
        };
        // What killed runs had begun was taken over by this one.
        for interrupted in &reached.interrupted {
            let mut interrupted = interrupted.clone();
            let why = "Interrupted; taken over by the next deploy";
            reached.store.finish(&mut interrupted, Status::Failed, why).await?;
        }
        let revision = record.revision;
        match reached.store.finish(&mut record, Status::Deployed, &description).await {
            Ok(forgotten) => {
                self.discard_images(&forgotten).await;
                Ok(Some(revision))
            }
            Err(error) if error.exit() == Exit::Cancelled => {
                let left = format!(
                    "revision {revision} runs, but may still be recorded as under way: deploy again to put that right"
                );
                Err(self.lost_lease().unwrap_or(RunError::Cancelled { left }))
            }
            // Who took the release over in the meantime has ended this revision, too.
            Err(ReleaseError::Taken { release, .. }) => Err(ReleaseError::Lost { release }.into()),
            Err(error) => Err(error.into()),
        }
    }

    /// Something went wrong: the cluster goes back to what it was. Gives the error to tell.
    pub(super) async fn take_back(&self, error: RunError) -> RunError {
        let pending = lock(&self.pending).take();
        if let Some(lost) = self.lost_lease() {
            return lost;
        }
        let pending = pending.filter(Pending::has_begun);
        let Some(pending) = pending else {
            if !error.is_cancelled() {
                return error;
            }
            // Which call it was that the user stopped is of no interest; what a target was doing then, it did not end.
            return match lock(&self.being_started).take() {
                Some(offer) => RunError::Cancelled {
                    left: format!(
                        "it had begun to {offer}: the next deploy with --yes goes on from what there is"
                    ),
                },
                None => RunError::cancelled(),
            };
        };
        let bus = self.bus.for_step("rollback");
        let is_left = self.is_left(&pending);
        if !is_left {
            let what = if pending.is_upgrade {
                "going back to the previous revision"
            } else {
                "taking away what was begun"
            };
            self.note(&bus, "warn", format!("{what}; press Ctrl-C again to stop at once"));
        }
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
        if let (Some(record), false) = (&pending.record, was_cancelled) {
            self.keep_evidence(record.revision, &pending.done.hooks, &error).await;
        }
        if is_left {
            return self.leave(pending, &reached.store.by(client), error, &bus).await;
        }
        match Box::pin(self.roll_back(pending, client, &error)).await {
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
        client: Client,
        why: &RunError,
    ) -> Result<String, RunError> {
        let reached = self.reached()?;
        let store = reached.store.by(client.clone());
        let Pending {
            transaction, begun, record, is_doubted, mut done, prospect, previous, ..
        } = pending;
        let transaction = Transaction { client, cancel: CancellationToken::new(), ..transaction };
        // What was there before is put back with the previous revision, or was never the release's.
        done.in_doubt.retain(|object| prospect.creates(object));
        if !reached.interrupted.is_empty() {
            // They were as a killed run had left them.
            done.refused.clear();
        }
        let record = match record {
            Some(record) => Some(record),
            None if is_doubted => store.begun_at(begun).await?,
            None => None,
        };
        match (&reached.deployed, record) {
            (Some(base), Some(record)) => {
                self.restore(&transaction, base.clone(), record, &done, &previous, why).await
            }
            // No revision, no change.
            (Some(_), None) => Ok("nothing was changed".to_owned()),
            (None, record) => {
                transaction.roll_back(&done, &[]).await?;
                match record {
                    Some(record) => store.remove(record.revision).await?,
                    None => store.remove_unused_salt().await?,
                }
                self.give_lease_back().await;
                transaction.remove_namespace().await?;
                Ok("what was begun is taken away again".to_owned())
            }
        }
    }

    /// Puts the revision in force back, its rollback hooks around it. The user's Ctrl-C does not cut this short.
    async fn restore(
        &self,
        transaction: &Transaction,
        mut base: Record,
        mut failed: Record,
        done: &Done,
        previous: &[Document],
        why: &RunError,
    ) -> Result<String, RunError> {
        let bus = self.bus.for_step("rollback");
        let store = self.reached()?.store.by(transaction.client.clone());
        let (mut made, through) = (Done::default(), BTreeSet::new());
        let mut stage =
            Stage { transaction, record: &mut base, done: &mut made, through: &through, bus: &bus };
        self.bring_images_back(stage.record, &bus).await;
        let before = self.run_hooks(HookEvent::PreRollback, &mut stage).await;
        let undone = transaction.roll_back(done, previous).await;
        let description = self.vault().redact(&why.failure().message);
        store.finish(&mut failed, Status::Failed, &description).await?;
        self.verify_restored(&transaction.client, &undone?.restored).await?;
        before?;
        self.run_hooks(HookEvent::PostRollback, &mut stage).await?;
        Ok(format!("revision {} is in force again", base.revision))
    }
}

/// A wave waits until the verify step calls its objects healthy.
pub(super) struct Gate<'a> {
    pub session: &'a Session,
    pub bus: &'a Bus,
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
