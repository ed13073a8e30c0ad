//! The revision under way: recorded as pending, carried out, and in the end deployed or rolled back.
//!
//! Owns the order in which record, hooks and objects change, so that a run that ends at any point leaves a state that the
//! next one can finish. `plan_changes` decides the changes, `rollback` undoes them.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;

use super::hooks::{Stage, run_hooks};
use super::lock::ReleaseLock;
use super::plan_changes::ApplyPlan;
use super::rollback;
use crate::connected::Connected;
use crate::error::RunError;
use crate::images::prune::prune_images;
use crate::report::failure_report::Evidence;
use crate::stages::{ImageSet, Rendered};
use crate::verify::{refs_of, wait_healthy};
use todohost_model::event::Bus;
use todohost_model::exit::Exit;
use todohost_model::object::ObjectRef;
use todohost_release::{
    AppliedChanges, Document, DryRun, Facts, HookEvent, NewRevision, ReadyGate, Record,
    ReleaseError, Status, Transaction, Wave, continue_hooks,
};

/// The one revision that a run may make on a target.
#[derive(Default)]
pub(crate) struct Revision {
    lock: ReleaseLock,
    state: State,
}

/// A revision is idle until the apply step has changes to make. It is pending until all steps are over, and then
/// deployed or rolled back.
#[derive(Default)]
enum State {
    #[default]
    Idle,
    Pending(Box<Pending>),
    Deployed(u32),
    RolledBack,
}

/// A revision that is being made.
pub(super) struct Pending {
    pub connected: Arc<Connected>,
    pub transaction: Transaction,
    /// When its record was begun.
    pub begun: Timestamp,
    /// `None` before it was created, and if it is unknown whether it was.
    pub record: Option<Record>,
    /// The request to create the record was not answered.
    pub is_unconfirmed: bool,
    pub done: AppliedChanges,
    /// The changes that it was going to make.
    pub dry_run: DryRun,
    pub objects: Vec<ObjectRef>,
    /// The objects of the current revision.
    pub previous: Vec<Document>,
    pub is_upgrade: bool,
    /// The older revision that it repeats, if it is a rollback.
    pub from_revision: Option<u32>,
    /// Hooks that completed before the last deploy was interrupted.
    pub completed_hooks: BTreeSet<usize>,
    /// Objects of failed hooks that were already removed.
    pub evidence: Evidence,
}

impl Pending {
    /// Something may have been changed.
    pub fn has_begun(&self) -> bool {
        self.record.is_some() || self.is_unconfirmed || self.done.created_namespace
    }

    /// The moments of the hooks: before the objects of the revision, and after them.
    fn moments(&self) -> (HookEvent, HookEvent) {
        if self.from_revision.is_some() {
            (HookEvent::PreRollback, HookEvent::PostRollback)
        } else if self.is_upgrade {
            (HookEvent::PreUpgrade, HookEvent::PostUpgrade)
        } else {
            (HookEvent::PreInstall, HookEvent::PostInstall)
        }
    }

    async fn run_hooks(&mut self, event: HookEvent, bus: &Bus) -> Result<(), RunError> {
        let Some(record) = &mut self.record else { return Ok(()) };
        let mut stage = Stage {
            connected: &self.connected,
            transaction: &self.transaction,
            record,
            done: &mut self.done,
            completed: &self.completed_hooks,
            evidence: &mut self.evidence,
            bus,
        };
        run_hooks(event, &mut stage).await
    }
}

impl Revision {
    /// Makes the revision from an idle state. Returns its number. If it fails, the state says how far it came.
    pub(super) async fn make(
        &mut self,
        connected: &Arc<Connected>,
        rendered: &Rendered,
        images: &ImageSet,
        documents: Vec<Document>,
        plan: ApplyPlan,
        bus: &Bus,
    ) -> Result<u32, RunError> {
        if !matches!(self.state, State::Idle) {
            return Err(RunError::internal("a run makes one revision"));
        }
        let ApplyPlan { desired, previous, transaction, waves, dry_run } = plan;
        // From here on something is changed: the run must finish it or roll it back.
        let mut pending = Box::new(Pending {
            connected: Arc::clone(connected),
            transaction,
            begun: Timestamp::now(),
            record: None,
            is_unconfirmed: false,
            done: AppliedChanges::default(),
            dry_run,
            objects: refs_of(&desired),
            previous,
            is_upgrade: connected.deployed.is_some(),
            from_revision: rendered.from_revision,
            completed_hooks: BTreeSet::new(),
            evidence: Evidence::default(),
        });
        let lock = &mut self.lock;
        let made = make(&mut pending, lock, rendered, images, documents, &waves, bus).await;
        self.state = State::Pending(pending);
        made
    }

    /// Runs the hooks for after the deploy. All objects are healthy.
    pub(crate) async fn run_last_hooks(&mut self) -> Result<(), RunError> {
        let State::Pending(pending) = &mut self.state else { return Ok(()) };
        let bus = pending.connected.cx.bus.for_step("hooks");
        pending.run_hooks(pending.moments().1, &bus).await
    }

    /// Marks the pending revision, if there is one, as deployed.
    pub(crate) async fn mark_deployed(&mut self) -> Result<(), RunError> {
        let State::Pending(pending) = std::mem::take(&mut self.state) else { return Ok(()) };
        let Pending { connected, record, is_upgrade, from_revision, .. } = *pending;
        let Some(mut record) = record else { return Ok(()) };
        let description = match from_revision {
            Some(older) => format!("Rollback to {older}"),
            None if is_upgrade => "Upgrade complete".to_owned(),
            None => "Install complete".to_owned(),
        };
        // This revision took over the changes of killed runs.
        for interrupted in &connected.interrupted {
            let mut interrupted = interrupted.clone();
            let why = "Interrupted; taken over by the next deploy";
            connected.store.finish(&mut interrupted, Status::Failed, why).await?;
        }
        let revision = record.revision;
        match connected.store.finish(&mut record, Status::Deployed, &description).await {
            Ok(forgotten) => {
                self.state = State::Deployed(revision);
                prune_images(&connected, &forgotten).await;
                Ok(())
            }
            Err(error) if error.exit() == Exit::Cancelled => {
                let left = format!(
                    "revision {revision} runs, but may still be recorded as pending: deploy again to correct that"
                );
                Err(self.lock.lost(&connected).unwrap_or(RunError::Cancelled { left }))
            }
            // The run that took the lock over has ended this revision, too.
            Err(ReleaseError::Taken { release, .. }) => Err(ReleaseError::Lost { release }.into()),
            Err(error) => Err(error.into()),
        }
    }

    /// Rolls back if anything was begun. Returns the error that the run ends with.
    pub(crate) async fn roll_back(
        &mut self,
        connected: Option<&Connected>,
        error: RunError,
    ) -> RunError {
        let State::Pending(pending) = std::mem::replace(&mut self.state, State::RolledBack) else {
            return error.without_call();
        };
        if let Some(lost) = connected.and_then(|connected| self.lock.lost(connected)) {
            return lost;
        }
        if !pending.has_begun() {
            return error.without_call();
        }
        rollback::run(*pending, &mut self.lock, error).await
    }

    /// The number of the revision, if it is deployed.
    pub(crate) fn deployed(&self) -> Option<u32> {
        match self.state {
            State::Deployed(revision) => Some(revision),
            State::Idle | State::Pending(_) | State::RolledBack => None,
        }
    }

    /// Releases the lock, if it is held.
    pub(crate) async fn release_lock(&mut self, connected: &Connected) {
        self.lock.release(connected).await;
    }
}

async fn make(
    pending: &mut Pending,
    lock: &mut ReleaseLock,
    rendered: &Rendered,
    images: &ImageSet,
    documents: Vec<Document>,
    waves: &[Wave],
    bus: &Bus,
) -> Result<u32, RunError> {
    let connected = Arc::clone(&pending.connected);
    pending.transaction.prepare(&mut pending.done).await?;
    lock.take(&connected, bus).await?;
    let mut facts = Facts {
        host: env!("CARGO_PKG_VERSION").to_owned(),
        renderer: rendered.renderer.clone(),
        person: connected.cx.run.environment.person(),
        ..Facts::default()
    };
    facts.inputs.insert("render".to_owned(), rendered.inputs.clone());
    for state in images.iter() {
        facts.images.insert(state.name.clone(), state.reference.clone());
    }
    let mut hooks = rendered.hooks.clone();
    if let Some(interrupted) = connected.interrupted.last() {
        pending.completed_hooks = continue_hooks(&mut hooks, &interrupted.hooks);
    }
    let new = NewRevision {
        chart: rendered.chart.clone(),
        config: rendered.config.clone(),
        documents,
        hooks,
        notes: rendered.notes.clone(),
        facts,
        begun: pending.begun,
        from_revision: rendered.from_revision,
    };
    let created =
        connected.store.create_pending(new, &connected.salt, connected.latest.as_ref()).await;
    pending.is_unconfirmed = matches!(
        &created, Err(ReleaseError::Cluster(error)) if error.leaves_doubt());
    let record = created?;
    let revision = record.revision;
    pending.record = Some(record);
    pending.run_hooks(pending.moments().0, bus).await?;
    let gate = Gate { connected: &connected, bus };
    pending.transaction.execute(waves, &gate, &mut pending.done).await?;
    Ok(revision)
}

/// Ends a wave when the verify step judges its objects healthy.
pub(super) struct Gate<'a> {
    pub connected: &'a Connected,
    pub bus: &'a Bus,
}

#[async_trait]
impl ReadyGate for Gate<'_> {
    async fn ready(&self, wave: &str, objects: &[ObjectRef]) -> Result<(), ReleaseError> {
        let Self { connected, bus } = self;
        let limit = connected.cx.run.ready_within.duration();
        match wait_healthy(connected, &connected.client, objects, limit, bus).await {
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
