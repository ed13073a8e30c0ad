//! Carries out the waves that the apply step planned.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::ownership::{self, CREATED_FOR};
use super::{OwnershipPolicy, ReleaseError};
use todohost_cluster::{Client, ClusterError};
use todohost_model::event::{Bus, EventKind};
use todohost_model::object::{Object, ObjectChange, ObjectRef};
use todohost_secrets::Vault;

/// Operations of a wave that are under way at the same time.
pub(super) const PARALLEL: usize = 64;

/// How long an object may take to go away: as long as a pod's usual grace period, and some more.
pub const GONE_WITHIN: Duration = Duration::from_mins(1);

/// The operation on one object; mirrors `apply.operation` of the WIT.
#[derive(Clone, Debug, PartialEq)]
pub enum Operation {
    /// Server-side apply; may hold placeholders and tokens.
    Apply(Object),
    /// Delete and create anew; may hold placeholders and tokens.
    Replace(Object),
    Delete(ObjectRef),
    /// Keep an object that is no longer desired, for the given reason.
    Keep(ObjectRef, String),
    /// Leave: it is as it should be.
    Unchanged(ObjectRef),
}

/// Operations that run at the same time; mirrors `apply.wave` of the WIT.
#[derive(Clone, Debug, PartialEq)]
pub struct Wave {
    /// For people.
    pub title: String,
    /// In no order.
    pub operations: Vec<Operation>,
    /// Objects of this wave or an earlier one that have to be ready before the next one begins.
    pub wait_for: Vec<ObjectRef>,
}

/// Decides when the objects of a wave are ready; the run asks the verify step.
#[async_trait]
pub trait ReadyGate: Send + Sync {
    /// Returns once all are ready.
    ///
    /// # Errors
    /// `NotReady`, `Cancelled`.
    async fn ready(&self, wave: &str, objects: &[ObjectRef]) -> Result<(), ReleaseError>;
}

/// The changes of a transaction, also of a failed one. A rollback starts from them.
#[derive(Clone, Debug, Default)]
pub struct AppliedChanges {
    /// New objects with their uids, in the order of creation.
    pub created: Vec<(ObjectRef, String)>,
    /// Objects in which something changed.
    pub configured: Vec<ObjectRef>,
    /// Objects in which nothing did.
    pub unchanged: Vec<ObjectRef>,
    /// Removed objects.
    pub deleted: Vec<ObjectRef>,
    /// Objects left by rule.
    pub kept: Vec<ObjectRef>,
    /// Objects whose request was not answered, so that their state is unknown.
    pub unknown: Vec<ObjectRef>,
    /// Objects that the API server refused to change, as they were before.
    pub rejected: HashMap<ObjectRef, Object>,
    /// Objects of hooks with their uids, in the order in which they were made.
    pub hooks: Vec<(ObjectRef, String)>,
    /// The namespace was created for it, or may have been.
    pub created_namespace: bool,
}

/// Carries out waves for one release.
pub struct Transaction {
    /// The cluster.
    pub client: Client,
    /// Turns placeholders and tokens into values.
    pub vault: Arc<Vault>,
    /// Gets an event per object.
    pub bus: Bus,
    /// Stops between operations; the client cancels the current requests.
    pub cancel: CancellationToken,
    /// Name of the release.
    pub release: String,
    pub namespace: String,
    /// The user's choices about objects and fields of other owners.
    pub takeover: OwnershipPolicy,
    /// Definitions of kinds that the release brings and does not own: they outlive it.
    pub definitions: HashSet<ObjectRef>,
    /// Unchanged objects with fields that stock Helm set by other ways than server-side apply. They are applied, since the
    /// record claims that the whole release is.
    pub unmigrated: HashSet<ObjectRef>,
}

/// The result of one operation.
enum Outcome {
    Created(ObjectRef, String),
    Configured(ObjectRef),
    Unchanged(ObjectRef),
    Deleted(ObjectRef),
    Gone(ObjectRef),
    Kept(ObjectRef, String),
    NotBegun,
}

impl Operation {
    /// The object that it is about.
    ///
    /// # Errors
    /// `Nameless`.
    pub fn target(&self) -> Result<ObjectRef, ClusterError> {
        match self {
            Self::Apply(object) | Self::Replace(object) => todohost_cluster::reference(object),
            Self::Delete(object) | Self::Keep(object, _) | Self::Unchanged(object) => {
                Ok(object.clone())
            }
        }
    }
}

impl Transaction {
    /// Creates the namespace if it is missing, since the revision record is stored in it.
    ///
    /// # Errors
    /// If the user is not allowed to, or the namespace is being deleted.
    pub async fn prepare(&self, done: &mut AppliedChanges) -> Result<(), ReleaseError> {
        if self.client.has_namespace(&self.namespace).await? {
            return Ok(());
        }
        let created_for = [(CREATED_FOR, self.release.as_str())];
        let created = self.client.create_namespace(&self.namespace, &created_for).await;
        // Without an answer it may be there now, and was not before.
        done.created_namespace =
            created.as_ref().map_or_else(ClusterError::leaves_doubt, |created| *created);
        if created? {
            let object = todohost_cluster::namespace_ref(&self.namespace);
            let change = ObjectChange::Created;
            self.bus.send(EventKind::ObjectChanged { object, change, reason: None });
        }
        Ok(())
    }

    /// Carries the waves out. `done` holds the changes, even after an error.
    ///
    /// # Errors
    /// `Apply` with every failure of the wave; `NotReady`; `Cancelled`.
    pub async fn execute(
        &self,
        waves: &[Wave],
        gate: &dyn ReadyGate,
        done: &mut AppliedChanges,
    ) -> Result<(), ReleaseError> {
        // Nothing is changed before every object is known to have its values.
        for operation in waves.iter().flat_map(|wave| &wave.operations) {
            if let Operation::Apply(object) | Operation::Replace(object) = operation {
                self.real(object)?;
            }
        }
        for wave in waves {
            let carried_out = self.carry_out(&wave.operations, done).await;
            // Even if the last operation failed: the stop is the reason why the run ends.
            if self.cancel.is_cancelled() {
                return Err(ReleaseError::Cancelled);
            }
            carried_out?;
            if !wave.wait_for.is_empty() {
                gate.ready(&wave.title, &wave.wait_for).await?;
            }
            self.await_served(wave).await?;
        }
        Ok(())
    }

    /// One wave.
    async fn carry_out(
        &self,
        operations: &[Operation],
        done: &mut AppliedChanges,
    ) -> Result<(), ReleaseError> {
        let live = &self.live_targets(operations).await?;
        let running = operations.iter().map(|operation| async move {
            if self.cancel.is_cancelled() {
                return Ok(Outcome::NotBegun);
            }
            let target = operation.target();
            self.carry_out_one(operation, live).await.map_err(|error| (target.ok(), error))
        });
        let mut running = stream::iter(running).buffer_unordered(PARALLEL);
        let mut failures = Vec::new();
        while let Some(outcome) = running.next().await {
            match outcome {
                Ok(outcome) => {
                    self.tell(&outcome);
                    note(outcome, done);
                }
                Err((object, error)) => {
                    if let (Some(object), ReleaseError::Cluster(cause)) = (&object, &error) {
                        if cause.leaves_doubt() {
                            done.unknown.push(object.clone());
                        } else if let Some(before) = live.get(object) {
                            done.rejected.insert(object.clone(), before.clone());
                        }
                    }
                    failures.push((object, error));
                }
            }
        }
        failures.sort_by(|(one, _), (other, _)| one.cmp(other));
        let mut failures = failures.into_iter();
        let Some((object, error)) = failures.next() else { return Ok(()) };
        let (cause, object) = match (error, object) {
            (ReleaseError::Cluster(cause), Some(object)) => (cause, Box::new(object)),
            (error, _) => return Err(error),
        };
        let others = failures
            .filter_map(|(_, error)| match error {
                ReleaseError::Cluster(error) => Some(error),
                _ => None,
            })
            .collect();
        Err(ReleaseError::Apply { object, cause, others })
    }

    /// The live objects among the applied ones, to distinguish created from changed ones.
    async fn live_targets(
        &self,
        operations: &[Operation],
    ) -> Result<HashMap<ObjectRef, Object>, ReleaseError> {
        let applied = operations.iter().filter(|one| matches!(one, Operation::Apply(_)));
        let targets = applied.map(Operation::target).collect::<Result<Vec<_>, _>>()?;
        let found = self.client.get_many(&targets).await?;
        Ok(targets
            .into_iter()
            .zip(found)
            .filter_map(|(name, found)| Some((name, found?)))
            .collect())
    }

    async fn carry_out_one(
        &self,
        operation: &Operation,
        live: &HashMap<ObjectRef, Object>,
    ) -> Result<Outcome, ReleaseError> {
        match operation {
            Operation::Apply(object) => self.apply(object, live.get(&operation.target()?)).await,
            Operation::Replace(object) => {
                let target = operation.target()?;
                self.delete_and_wait(&target).await?;
                self.apply(object, None).await?;
                Ok(Outcome::Configured(target))
            }
            Operation::Delete(object) => {
                let Some(live) = self.live(object).await? else {
                    return Ok(Outcome::Gone(object.clone()));
                };
                self.client.delete(object, uid_of(&live)).await?;
                Ok(Outcome::Deleted(object.clone()))
            }
            Operation::Keep(object, reason) => Ok(Outcome::Kept(object.clone(), reason.clone())),
            Operation::Unchanged(object) => {
                if self.unmigrated.contains(object) {
                    self.client.take_entries(object).await?;
                }
                Ok(Outcome::Unchanged(object.clone()))
            }
        }
    }

    async fn apply(
        &self,
        object: &Object,
        before: Option<&Object>,
    ) -> Result<Outcome, ReleaseError> {
        let object = self.real(object)?;
        let target = todohost_cluster::reference(&object)?;
        let applied = self.apply_settled(&object, before, false).await?.applied;
        Ok(match applied.change {
            ObjectChange::Created => {
                Outcome::Created(target, uid_of(&applied.object).unwrap_or_default().to_owned())
            }
            ObjectChange::Unchanged => Outcome::Unchanged(target),
            _ => Outcome::Configured(target),
        })
    }

    /// The object as the API server gets it: with real values, and marked as the release's.
    pub(super) fn real(&self, object: &Object) -> Result<Object, ReleaseError> {
        let mut object = self.vault.substitute(object.clone())?;
        if !ObjectRef::of(&object).is_some_and(|named| self.definitions.contains(&named)) {
            ownership::mark(&mut object, &self.release, &self.namespace);
        }
        Ok(object)
    }

    pub(super) async fn live(&self, object: &ObjectRef) -> Result<Option<Object>, ReleaseError> {
        match self.client.get(object).await {
            Err(ClusterError::UnknownKind { .. }) => Ok(None),
            result => Ok(result?),
        }
    }

    /// Deletes an object and waits until it is gone.
    pub(super) async fn delete_and_wait(&self, object: &ObjectRef) -> Result<(), ReleaseError> {
        let Some(live) = self.live(object).await? else { return Ok(()) };
        let uid = uid_of(&live).unwrap_or_default();
        self.client.delete(object, Some(uid)).await?;
        self.client.wait_gone(object, uid, GONE_WITHIN).await?;
        Ok(())
    }

    fn tell(&self, outcome: &Outcome) {
        let (object, change, reason) = match outcome {
            Outcome::Created(object, _) => (object, ObjectChange::Created, None),
            Outcome::Configured(object) => (object, ObjectChange::Configured, None),
            Outcome::Unchanged(object) => (object, ObjectChange::Unchanged, None),
            Outcome::Deleted(object) => (object, ObjectChange::Deleted, None),
            Outcome::Gone(object) => {
                (object, ObjectChange::Unchanged, Some("it was gone already".to_owned()))
            }
            Outcome::Kept(object, reason) => (object, ObjectChange::Kept, Some(reason.clone())),
            Outcome::NotBegun => return,
        };
        self.bus.send(EventKind::ObjectChanged { object: object.clone(), change, reason });
    }
}

fn note(outcome: Outcome, done: &mut AppliedChanges) {
    match outcome {
        Outcome::Created(object, uid) => done.created.push((object, uid)),
        Outcome::Configured(object) => done.configured.push(object),
        Outcome::Unchanged(object) => done.unchanged.push(object),
        Outcome::Deleted(object) => done.deleted.push(object),
        Outcome::Kept(object, _) => done.kept.push(object),
        Outcome::Gone(_) | Outcome::NotBegun => {}
    }
}

pub(super) fn uid_of(object: &Object) -> Option<&str> {
    object.pointer("/metadata/uid").and_then(Value::as_str)
}
