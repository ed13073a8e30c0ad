//! Revisions in the cluster: Helm's Secrets, and one of ours for the salt.
//!
//! The salt has a Secret of its own: stock Helm rewrites the Secrets of revisions and keeps nothing in
//! them that it does not know, and the salt must outlive every revision.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures::future::try_join_all;
use k8s_openapi::jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::record::{Facts, HookRecord, Info, ORIGIN_LABEL, Record, Status};
use super::{Document, ReleaseError, print_manifest};
use todohost_cluster::{Client, ClusterError, Query};
use todohost_model::object::ObjectRef;
use todohost_secrets::Salt;

/// Revisions that are kept, as many as Helm keeps.
const HISTORY: usize = 10;

/// The revisions of one release.
#[derive(Clone)]
pub struct Store {
    client: Client,
    namespace: String,
    release: String,
}

/// The revisions that a deploy starts from.
#[derive(Clone, Default)]
pub struct Newest {
    /// The newest revision in any state; `None` before the first.
    pub latest: Option<Record>,
    /// The current revision: new ones are compared with it, and failed ones roll back to it.
    pub deployed: Option<Record>,
    /// Newer ones that never came to an end.
    pub interrupted: Vec<Record>,
}

/// The labels of a revision, which need no unpacking.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct RevisionSummary {
    /// Revision number.
    pub revision: u32,
    pub status: Status,
    /// This host made it, not stock Helm.
    pub ours: bool,
}

/// The content of a new revision.
pub struct NewRevision {
    /// The chart, as the renderer gave it.
    pub chart: Value,
    /// The user's values, less the secret ones.
    pub config: Value,
    /// All objects but hooks, with real values in Secrets.
    pub documents: Vec<Document>,
    pub hooks: Vec<HookRecord>,
    /// Notes, redacted.
    pub notes: String,
    /// The host's own.
    pub facts: Facts,
    /// The time of its start, which distinguishes it from revisions that others start at the same time.
    pub begun: Timestamp,
    /// The older revision that it brings back.
    pub from_revision: Option<u32>,
}

impl Store {
    /// The store of a release; nothing is asked yet.
    pub fn new(client: Client, namespace: &str, release: &str) -> Self {
        Self { client, namespace: namespace.to_owned(), release: release.to_owned() }
    }

    /// The same store by another client.
    #[must_use]
    pub fn with_client(&self, client: Client) -> Self {
        Self { client, ..self.clone() }
    }

    /// All revisions, oldest first.
    ///
    /// # Errors
    /// Errors of the cluster.
    pub async fn list(&self) -> Result<Vec<RevisionSummary>, ReleaseError> {
        let secrets = self
            .client
            .list(&Query {
                api_version: "v1".to_owned(),
                kind: "Secret".to_owned(),
                namespace: Some(self.namespace.clone()),
                label_selector: Some(format!("owner=helm,name={}", self.release)),
                metadata_only: true,
                ..Query::default()
            })
            .await?;
        let mut revisions: Vec<_> = secrets
            .iter()
            .filter_map(|secret| {
                let labels = secret.pointer("/metadata/labels")?;
                let label = |key: &str| labels.get(key).and_then(Value::as_str);
                let revision = label("version")?.parse().ok()?;
                let status = serde_json::from_value(label("status")?.into()).unwrap_or_default();
                let ours = label(ORIGIN_LABEL) == label("version");
                Some(RevisionSummary { revision, status, ours })
            })
            .collect();
        revisions.sort_by_key(|summary| summary.revision);
        Ok(revisions)
    }

    /// The newest revisions, which a deploy starts from.
    ///
    /// # Errors
    /// `Unreadable`; errors of the cluster.
    pub async fn newest(&self) -> Result<Newest, ReleaseError> {
        let revisions = self.list().await?;
        let is_deployed = |one: &&RevisionSummary| one.status == Status::Deployed;
        let deployed = revisions.iter().rev().find(is_deployed).map(|one| one.revision);
        let wanted = revisions.iter().enumerate().filter(|(index, one)| {
            let is_newer = deployed.is_none_or(|deployed| one.revision > deployed);
            index + 1 == revisions.len()
                || Some(one.revision) == deployed
                || (is_newer && one.status.is_unfinished())
        });
        let found = try_join_all(wanted.map(|(_, one)| self.get(one.revision))).await?;
        let mut newest = Newest::default();
        for record in found.into_iter().flatten() {
            if Some(record.revision) == deployed {
                newest.deployed = Some(record.clone());
            } else if record.info.status.is_unfinished() {
                newest.interrupted.push(record.clone());
            }
            newest.latest = Some(record);
        }
        Ok(newest)
    }

    /// One revision.
    ///
    /// # Errors
    /// `Unreadable`; errors of the cluster.
    pub async fn get(&self, revision: u32) -> Result<Option<Record>, ReleaseError> {
        let secret = self.client.get(&self.record_ref(revision)).await?;
        secret.as_ref().map(Record::from_secret).transpose()
    }

    /// Every revision that is kept, oldest first.
    ///
    /// # Errors
    /// `Unreadable`; errors of the cluster.
    pub async fn records(&self) -> Result<Vec<Record>, ReleaseError> {
        let revisions = self.list().await?;
        let found =
            try_join_all(revisions.iter().map(|summary| self.get(summary.revision))).await?;
        Ok(found.into_iter().flatten().collect())
    }

    /// Every revision of every release in the cluster, also those of stock Helm.
    ///
    /// # Errors
    /// `Unreadable`; errors of the cluster, also if the user is not allowed to list all namespaces.
    pub async fn records_of_all(&self) -> Result<Vec<Record>, ReleaseError> {
        let query = Query {
            api_version: "v1".to_owned(),
            kind: "Secret".to_owned(),
            label_selector: Some("owner=helm".to_owned()),
            ..Query::default()
        };
        self.client.list(&query).await?.iter().map(Record::from_secret).collect()
    }

    /// The salt kept with the release, or `None` before the first deploy.
    ///
    /// # Errors
    /// `Unreadable`; errors of the cluster.
    pub async fn salt(&self) -> Result<Option<Salt>, ReleaseError> {
        let named = self.salt_ref();
        let Some(secret) = self.client.get(&named).await? else { return Ok(None) };
        let bytes = secret
            .pointer("/data/salt")
            .and_then(Value::as_str)
            .and_then(|text| STANDARD.decode(text).ok())
            .and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
        match bytes {
            Some(bytes) => Ok(Some(Salt::from_bytes(bytes))),
            None => Err(ReleaseError::Unreadable {
                record: named.name,
                reason: "its salt has not 32 bytes".to_owned(),
            }),
        }
    }

    /// Sees that `latest` is still the newest revision; gives all of them, oldest first.
    ///
    /// # Errors
    /// `Taken` if it is not: the plan was made without the newer revision.
    pub async fn expect_newest(
        &self,
        latest: Option<&Record>,
    ) -> Result<Vec<RevisionSummary>, ReleaseError> {
        let revisions = self.list().await?;
        let newest = revisions.last().map(|summary| summary.revision);
        if newest == latest.map(|record| record.revision) {
            return Ok(revisions);
        }
        let revision = newest.unwrap_or_default();
        Err(ReleaseError::Taken { release: self.release.clone(), revision })
    }

    /// Makes the revision after `latest`, pending: from here on no other deploy can make the same one.
    /// The salt is kept first, so that there is no revision without one. The namespace must exist.
    ///
    /// # Errors
    /// `Taken`, `TooLarge`; errors of the cluster.
    pub async fn create_pending(
        &self,
        new: NewRevision,
        salt: &Salt,
        latest: Option<&Record>,
    ) -> Result<Record, ReleaseError> {
        let (revisions, kept) = tokio::try_join!(self.expect_newest(latest), self.salt())?;
        let newest = latest.map(|record| record.revision);
        let first_deployed = latest.and_then(|record| record.info.first_deployed);
        let mut labels = latest.map(|record| record.labels.clone()).unwrap_or_default();
        let in_force = revisions
            .iter()
            .any(|summary| matches!(summary.status, Status::Deployed | Status::Superseded));
        let now = new.begun;
        let revision = newest.unwrap_or(0) + 1;
        labels.insert(ORIGIN_LABEL.to_owned(), revision.to_string());
        let (status, description) = match new.from_revision {
            Some(older) => (Status::PendingRollback, format!("Rollback to {older}")),
            None if in_force => (Status::PendingUpgrade, "Preparing upgrade".to_owned()),
            None => (Status::PendingInstall, "Initial install underway".to_owned()),
        };
        let mut other = Map::new();
        if let Some(older) = new.from_revision {
            other.insert("rollback_revision".to_owned(), older.into());
        }
        let mut record = Record {
            name: self.release.clone(),
            info: Info {
                first_deployed: Some(first_deployed.unwrap_or(now)),
                last_deployed: Some(now),
                description,
                status,
                notes: new.notes,
                other,
                ..Info::default()
            },
            chart: new.chart,
            config: new.config,
            manifest: print_manifest(&new.documents)?,
            hooks: new.hooks,
            revision,
            namespace: self.namespace.clone(),
            apply_method: "ssa".to_owned(),
            other: Map::new(),
            facts: Some(new.facts),
            labels,
            resource_version: String::new(),
        };
        let secret = record.to_secret("createdAt")?;
        let is_new_salt = self.keep_salt(kept.as_ref(), salt, revision).await?;
        let created = match self.client.create(&secret).await {
            Ok(created) => created,
            Err(error) => {
                // A salt without a revision would be left behind by a deploy that made nothing.
                let is_refused =
                    !error.leaves_doubt() && !matches!(error, ClusterError::Precondition { .. });
                if is_new_salt && is_refused {
                    self.client.delete(&self.salt_ref(), None).await?;
                }
                return Err(self.taken(error, revision));
            }
        };
        remember_version(&mut record, &created);
        Ok(record)
    }

    /// `true` if the salt was not stored before.
    async fn keep_salt(
        &self,
        kept: Option<&Salt>,
        salt: &Salt,
        revision: u32,
    ) -> Result<bool, ReleaseError> {
        match kept {
            Some(kept) if kept.as_bytes() == salt.as_bytes() => Ok(false),
            // Someone else began this release while we were rendering it with another salt.
            Some(_) => Err(ReleaseError::Taken { release: self.release.clone(), revision }),
            None => {
                let object = json!({
                    "apiVersion": "v1", "kind": "Secret", "type": "todohost/salt",
                    "metadata": {
                        "name": self.salt_name(),
                        "namespace": self.namespace,
                        "labels": { "owner": "todohost", "name": self.release },
                    },
                    "data": { "salt": STANDARD.encode(salt.as_bytes()) },
                });
                let created = self.client.create(&object).await;
                created.map_err(|error| self.taken(error, revision))?;
                Ok(true)
            }
        }
    }

    /// Ends a revision: once deployed, the one in force before is superseded and old ones are removed. Gives those.
    ///
    /// # Errors
    /// `Taken` if another run changed the revision; errors of the cluster.
    pub async fn finish(
        &self,
        record: &mut Record,
        status: Status,
        description: &str,
    ) -> Result<Vec<Record>, ReleaseError> {
        if status != Status::Deployed {
            self.write(record, status, description).await?;
            return Ok(Vec::new());
        }
        // Other revisions do not depend on the end of this one.
        let (written, revisions) =
            tokio::join!(self.write(record, status, description), self.list());
        written?;
        self.settle_among(record.revision, &revisions?).await
    }

    /// Supersedes the revision before the new current one, and removes and returns the oldest ones. In this order there is
    /// always a current revision; for a moment there are two, of which Helm takes the newer.
    ///
    /// # Errors
    /// `Taken` if another run changed a revision; errors of the cluster.
    pub async fn settle(&self, deployed: u32) -> Result<Vec<Record>, ReleaseError> {
        self.settle_among(deployed, &self.list().await?).await
    }

    async fn settle_among(
        &self,
        deployed: u32,
        revisions: &[RevisionSummary],
    ) -> Result<Vec<Record>, ReleaseError> {
        let older = || revisions.iter().filter(|summary| summary.revision < deployed);
        for before in older().filter(|summary| summary.status == Status::Deployed) {
            self.supersede(before.revision).await?;
        }
        let surplus = revisions.len().saturating_sub(HISTORY);
        let mut removed = Vec::new();
        for oldest in older().take(surplus) {
            // A record that cannot be read names no images.
            removed.extend(self.get(oldest.revision).await.ok().flatten());
            self.delete(oldest.revision).await?;
        }
        Ok(removed)
    }

    /// Writes a revision down again in the state that it is in.
    ///
    /// # Errors
    /// `Taken` if another run changed the revision; errors of the cluster.
    pub async fn update(&self, record: &mut Record) -> Result<(), ReleaseError> {
        let (status, description) = (record.info.status, record.info.description.clone());
        self.write(record, status, &description).await
    }

    async fn write(
        &self,
        record: &mut Record,
        status: Status,
        description: &str,
    ) -> Result<(), ReleaseError> {
        record.info.status = status;
        description.clone_into(&mut record.info.description);
        let secret = record.to_secret("modifiedAt")?;
        let replaced = self
            .client
            .replace(&secret)
            .await
            .map_err(|error| self.taken(error, record.revision))?;
        remember_version(record, &replaced);
        Ok(())
    }

    /// The unfinished revision that was started at a time, if its creation succeeded.
    ///
    /// # Errors
    /// `Unreadable`; errors of the cluster.
    pub async fn begun_at(&self, begun: Timestamp) -> Result<Option<Record>, ReleaseError> {
        let newest = self.newest().await?.latest;
        Ok(newest.filter(|record| {
            record.info.status.is_unfinished() && record.info.last_deployed == Some(begun)
        }))
    }

    /// Ends the newest revision of a deleted release, and keeps its history.
    ///
    /// # Errors
    /// `Taken` if another run changed the revision; errors of the cluster.
    pub async fn retire(&self, record: &mut Record) -> Result<(), ReleaseError> {
        for older in self.list().await? {
            if older.status == Status::Deployed && older.revision < record.revision {
                self.supersede(older.revision).await?;
            }
        }
        self.write(record, Status::Uninstalled, "Uninstallation complete").await
    }

    /// Removes every revision and the salt, the newest last: until then an interrupted deletion can be finished.
    ///
    /// # Errors
    /// Errors of the cluster.
    pub async fn remove_all(&self) -> Result<(), ReleaseError> {
        for revision in self.list().await? {
            self.remove(revision.revision).await?;
        }
        Ok(())
    }

    async fn supersede(&self, revision: u32) -> Result<(), ReleaseError> {
        let Some(mut older) = self.get(revision).await? else { return Ok(()) };
        let description = older.info.description.clone();
        self.write(&mut older, Status::Superseded, &description).await
    }

    /// Removes one revision; with the last one the salt goes, too.
    ///
    /// # Errors
    /// Errors of the cluster.
    pub async fn remove(&self, revision: u32) -> Result<(), ReleaseError> {
        self.delete(revision).await?;
        self.remove_unused_salt().await
    }

    /// Removes the salt if there is no revision.
    ///
    /// # Errors
    /// Errors of the cluster.
    pub async fn remove_unused_salt(&self) -> Result<(), ReleaseError> {
        if self.list().await?.is_empty() {
            self.client.delete(&self.salt_ref(), None).await?;
        }
        Ok(())
    }

    async fn delete(&self, revision: u32) -> Result<(), ReleaseError> {
        self.client.delete(&self.record_ref(revision), None).await?;
        Ok(())
    }

    /// The Secret of a revision.
    pub fn record_ref(&self, revision: u32) -> ObjectRef {
        self.secret(Record::secret_name(&self.release, revision))
    }

    /// The Secret that keeps the salt.
    pub fn salt_ref(&self) -> ObjectRef {
        self.secret(self.salt_name())
    }

    fn taken(&self, error: ClusterError, revision: u32) -> ReleaseError {
        match error {
            ClusterError::Precondition { .. } => {
                ReleaseError::Taken { release: self.release.clone(), revision }
            }
            other => other.into(),
        }
    }

    fn salt_name(&self) -> String {
        format!("todohost.salt.{}", self.release)
    }

    fn secret(&self, name: String) -> ObjectRef {
        ObjectRef {
            api_version: "v1".to_owned(),
            kind: "Secret".to_owned(),
            namespace: Some(self.namespace.clone()),
            name,
        }
    }
}

fn remember_version(record: &mut Record, secret: &Value) {
    secret
        .pointer("/metadata/resourceVersion")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .clone_into(&mut record.resource_version);
}
