//! Carrying out what the apply step planned.

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use super::ReleaseError;
use crate::cluster::Client;
use crate::event::{Bus, ObjectChange};
use crate::object::{Object, ObjectRef};
use crate::secret::Vault;
use std::sync::Arc;

/// What is to be done with one object; mirrors `apply.operation` of the WIT.
#[derive(Clone, Debug, PartialEq)]
pub enum Operation {
    /// Server-side apply; may hold placeholders and tokens.
    Apply(Object),
    /// Delete and create anew; may hold placeholders and tokens.
    Replace(Object),
    /// Delete.
    Delete(ObjectRef),
    /// Leave, for the reason given.
    Keep(ObjectRef, String),
}

/// Operations that run at the same time; mirrors `apply.wave` of the WIT.
#[derive(Clone, Debug, PartialEq)]
pub struct Wave {
    /// For people.
    pub title: String,
    /// In no order.
    pub operations: Vec<Operation>,
    /// The next wave waits until this one is ready.
    pub wait_ready: bool,
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

/// What was done, also by a transaction that failed: what a rollback starts from.
#[derive(Clone, Debug, Default)]
pub struct Done {
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
    /// The namespace was created for it.
    pub created_namespace: bool,
}

/// What would become of the objects.
#[derive(Clone, Debug, Default)]
pub struct Prospect {
    /// Every object and its change.
    pub changes: Vec<(ObjectRef, ObjectChange)>,
}

impl Prospect {
    /// Something would change.
    pub fn changes_anything(&self) -> bool {
        self.changes
            .iter()
            .any(|(_, change)| !matches!(change, ObjectChange::Unchanged | ObjectChange::Kept))
    }
}

/// Carries out waves for one release.
pub struct Transaction {
    /// The cluster.
    pub client: Client,
    /// Turns placeholders and tokens into values.
    pub vault: Arc<Vault>,
    /// Gets an event per object.
    pub bus: Bus,
    /// Stops between operations; what is under way is finished and told of.
    pub cancel: CancellationToken,
    /// Name of the release.
    pub release: String,
    /// Its namespace.
    pub namespace: String,
    /// Take fields from other managers.
    pub force: bool,
}

impl Transaction {
    /// Asks the API server, by dry runs, what the waves would change. A namespace that is still missing
    /// means that everything is new.
    ///
    /// # Errors
    /// What the API server would refuse.
    pub async fn prospect(&self, waves: &[Wave]) -> Result<Prospect, ReleaseError> {
        let _ = waves;
        todo!()
    }

    /// Carries the waves out. What was done is in `done` whatever the result.
    ///
    /// # Errors
    /// `Apply` with every failure of the wave; `NotReady`; `Cancelled`.
    pub async fn execute(
        &self,
        waves: &[Wave],
        gate: &dyn ReadyGate,
        done: &mut Done,
    ) -> Result<(), ReleaseError> {
        let _ = (waves, gate, done);
        todo!()
    }
}
