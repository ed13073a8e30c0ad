//! Revisions in the cluster: Helm's Secrets, and one of ours for the salt.

use super::record::{Facts, HookRecord, Record, Status};
use super::{Document, ReleaseError};
use crate::cluster::Client;
use crate::secret::Salt;

/// The revisions of one release.
#[derive(Clone)]
pub struct Store {
    client: Client,
    namespace: String,
    release: String,
}

/// What the labels of a revision tell without reading it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct RevisionSummary {
    /// Revision number.
    pub revision: u32,
    /// State.
    pub status: Status,
    /// This host made it, not stock Helm.
    pub ours: bool,
}

/// What a new revision consists of.
pub struct NewRevision {
    /// The chart, as the renderer gave it.
    pub chart: serde_json::Value,
    /// The user's values, less the secret ones.
    pub config: serde_json::Value,
    /// All objects but hooks, with real values in Secrets.
    pub documents: Vec<Document>,
    /// Hooks.
    pub hooks: Vec<HookRecord>,
    /// Notes, redacted.
    pub notes: String,
    /// The host's own.
    pub facts: Facts,
}

impl Store {
    /// The store of a release; nothing is asked yet.
    pub fn new(client: Client, namespace: &str, release: &str) -> Self {
        Self { client, namespace: namespace.to_owned(), release: release.to_owned() }
    }

    /// All revisions, oldest first.
    ///
    /// # Errors
    /// Where the cluster cannot be asked.
    pub async fn list(&self) -> Result<Vec<RevisionSummary>, ReleaseError> {
        todo!()
    }

    /// The newest revision in whatever state, or `None` before the first.
    ///
    /// # Errors
    /// `Unreadable`; where the cluster cannot be asked.
    pub async fn latest(&self) -> Result<Option<Record>, ReleaseError> {
        todo!()
    }

    /// The revision in force, or `None`: what a new one is compared with and a failed one goes back to.
    ///
    /// # Errors
    /// `Unreadable`; where the cluster cannot be asked.
    pub async fn deployed(&self) -> Result<Option<Record>, ReleaseError> {
        todo!()
    }

    /// One revision.
    ///
    /// # Errors
    /// `Unreadable`; where the cluster cannot be asked.
    pub async fn get(&self, revision: u32) -> Result<Option<Record>, ReleaseError> {
        let _ = revision;
        todo!()
    }

    /// The salt kept with the release, or `None` before the first deploy.
    ///
    /// # Errors
    /// Where the cluster cannot be asked.
    pub async fn salt(&self) -> Result<Option<Salt>, ReleaseError> {
        todo!()
    }

    /// Makes the next revision, pending: from here on no other deploy can make the same one.
    /// The salt is kept first, so that there is no revision without one.
    ///
    /// # Errors
    /// `Taken`, `TooLarge`; where the cluster cannot be asked.
    pub async fn create_pending(
        &self,
        new: NewRevision,
        salt: &Salt,
    ) -> Result<Record, ReleaseError> {
        let _ = (new, salt);
        todo!()
    }

    /// Ends a revision: once deployed, the one in force before is superseded and old ones are removed.
    ///
    /// # Errors
    /// Where the cluster cannot be asked.
    pub async fn finish(
        &self,
        record: &mut Record,
        status: Status,
        description: &str,
    ) -> Result<(), ReleaseError> {
        let _ = (record, status, description);
        todo!()
    }

    /// Removes one revision; with the last one the salt goes, too.
    ///
    /// # Errors
    /// Where the cluster cannot be asked.
    pub async fn remove(&self, revision: u32) -> Result<(), ReleaseError> {
        let _ = revision;
        todo!()
    }
}
