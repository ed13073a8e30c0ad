//! Rolls back a failed transaction.

use std::collections::HashMap;

use futures::StreamExt;
use futures::stream;
use serde_json::Value;

use super::transaction::{GONE_WITHIN, uid_of};
use super::{AppliedChanges, Document, ReleaseError, Transaction, ownership};
use todohost_cluster::{ClusterError, Query, namespace_ref, reference};
use todohost_model::event::EventKind;
use todohost_model::object::{Object, ObjectChange, ObjectRef};

/// Objects that are put back or removed at the same time.
const PARALLEL: usize = 64;

/// Objects that every new namespace has.
const BORN_WITH: [(&str, &str); 2] =
    [("ConfigMap", "kube-root-ca.crt"), ("ServiceAccount", "default")];

/// Kinds that the cluster creates for other objects and deletes with them.
const FOLLOWERS: [&str; 3] = ["Event", "Endpoints", "EndpointSlice"];

/// The result of a rollback.
#[derive(Clone, Debug, Default)]
pub struct RolledBack {
    /// Objects that the failed deploy had created: gone.
    pub removed: Vec<ObjectRef>,
    /// Objects that are as the previous revision had them: to be verified.
    pub restored: Vec<ObjectRef>,
}

impl Transaction {
    /// Applies the previous revision's documents again (none: a first install) and removes what the failed deploy
    /// created. Unconfirmed objects are looked up, and must not have existed before. The client's deadlines bound it.
    ///
    /// # Errors
    /// `Rollback` with every failure, after everything was tried.
    pub async fn roll_back(
        &self,
        done: &AppliedChanges,
        previous: &[Document],
    ) -> Result<RolledBack, ReleaseError> {
        let mut failures = Vec::new();
        let mut rolled_back = RolledBack::default();

        // Restore the previous revision first, so that running pods find its objects.
        let restoring = previous.iter().map(|document| self.restore(document, &done.rejected));
        let mut restoring = stream::iter(restoring).buffered(PARALLEL);
        while let Some(restored) = restoring.next().await {
            match restored {
                Ok(object) => rolled_back.restored.push(object),
                Err(error) => failures.push(error),
            }
        }
        drop(restoring);

        let doubted = done
            .unknown
            .iter()
            .filter(|object| !rolled_back.restored.contains(object))
            .map(|object| self.remove_doubted(object));
        let doubted: Vec<_> = doubted.collect();
        let mut doubted = stream::iter(doubted).buffered(PARALLEL);
        while let Some(removed) = doubted.next().await {
            match removed {
                Ok(object) => rolled_back.removed.extend(object),
                Err(error) => failures.push(error),
            }
        }
        drop(doubted);

        // A first install leaves nothing behind; the hooks of an upgrade stay as their policies say.
        let hooks: &[_] = if previous.is_empty() { &done.hooks } else { &[] };
        let removing = done
            .created
            .iter()
            .chain(hooks)
            .rev()
            .filter(|(object, _)| {
                // Deleting a definition would delete all objects of that kind.
                !rolled_back.restored.contains(object) && !self.definitions.contains(object)
            })
            .map(|(object, uid)| self.remove_created(object, uid));
        let removing: Vec<_> = removing.collect();
        let mut removing = stream::iter(removing).buffered(PARALLEL);
        while let Some(removed) = removing.next().await {
            match removed {
                Ok(object) => rolled_back.removed.push(object),
                Err(error) => failures.push(error),
            }
        }
        drop(removing);

        if failures.is_empty() {
            return Ok(rolled_back);
        }
        Err(ReleaseError::Rollback { release: self.release.clone(), failures })
    }

    /// Removes the namespace, if it was created for this release and is empty. Call it after the revision records are
    /// removed.
    ///
    /// # Errors
    /// Errors of the cluster.
    pub async fn remove_namespace(&self) -> Result<bool, ReleaseError> {
        let namespace = namespace_ref(&self.namespace);
        let live = match self.live(&namespace).await {
            // A user without permission to read namespaces did not create this one.
            Err(ReleaseError::Cluster(ClusterError::Forbidden { .. })) => None,
            live => live?,
        };
        let ours = live.filter(|live| ownership::is_created_for(live, &self.release));
        let Some(live) = ours else { return Ok(false) };
        if !self.is_empty_namespace().await? {
            return Ok(false);
        }
        let uid = uid_of(&live).unwrap_or_default();
        self.client.delete(&namespace, Some(uid)).await?;
        self.client.wait_gone(&namespace, uid, GONE_WITHIN).await?;
        self.bus.send(EventKind::ObjectChanged {
            object: namespace,
            change: ObjectChange::Deleted,
            reason: Some("it was created for this release".to_owned()),
        });
        Ok(true)
    }

    /// Whether only terminating objects and those of every new namespace are left.
    async fn is_empty_namespace(&self) -> Result<bool, ReleaseError> {
        let kinds = self.client.kinds_in_namespaces().await?;
        let asked = kinds.iter().filter(|kind| !FOLLOWERS.contains(&kind.kind.as_str())).map(
            |kind| async move {
                let query = Query {
                    api_version: kind.api_version.clone(),
                    kind: kind.kind.clone(),
                    namespace: Some(self.namespace.clone()),
                    metadata_only: true,
                    ..Query::default()
                };
                let found = match self.client.list(&query).await {
                    Ok(found) => found,
                    // Objects that the user is not allowed to list may belong to others.
                    Err(ClusterError::Forbidden { .. }) => return Ok::<_, ClusterError>(false),
                    Err(error) => return Err(error),
                };
                Ok(found.iter().all(|object| is_of_no_one(&kind.kind, object)))
            },
        );
        let mut asked = stream::iter(asked).buffer_unordered(PARALLEL);
        while let Some(empty) = asked.next().await {
            if !empty? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    async fn restore(
        &self,
        document: &Document,
        refused: &HashMap<ObjectRef, Object>,
    ) -> Result<ObjectRef, ClusterError> {
        let named = reference(&document.object)?;
        let mut object = document.object.clone();
        ownership::mark(&mut object, &self.release, &self.namespace);
        // Fields that the failed revision took belong to the release. Other fields are taken only if the user named them.
        let before = self.client.get(&named).await?;
        let change = match self.apply_settled(&object, before.as_ref(), false).await {
            Ok(settled) if settled.applied.change != ObjectChange::Unchanged => {
                ObjectChange::RolledBack
            }
            Ok(_) => ObjectChange::Unchanged,
            // A webhook that refused the new revision may refuse this, too.
            Err(error) => match (before, refused.get(&named)) {
                (Some(now), Some(then)) if asked(now.clone()) == asked(then.clone()) => {
                    ObjectChange::Unchanged
                }
                _ => return Err(error),
            },
        };
        self.bus.send(EventKind::ObjectChanged { object: named.clone(), change, reason: None });
        Ok(named)
    }

    async fn remove_doubted(&self, object: &ObjectRef) -> Result<Option<ObjectRef>, ClusterError> {
        match self.client.get(object).await {
            Ok(None) | Err(ClusterError::UnknownKind { .. }) => Ok(None),
            Ok(Some(live)) => {
                let uid = uid_of(&live).unwrap_or_default();
                self.remove_created(object, uid).await.map(Some)
            }
            Err(error) => Err(error),
        }
    }

    async fn remove_created(
        &self,
        object: &ObjectRef,
        uid: &str,
    ) -> Result<ObjectRef, ClusterError> {
        match self.client.delete(object, Some(uid)).await {
            // Another object has the name by now: it is not ours to remove.
            Ok(_) | Err(ClusterError::Precondition { .. }) => {}
            Err(error) => return Err(error),
        }
        self.client.wait_gone(object, uid, GONE_WITHIN).await?;
        self.bus.send(EventKind::ObjectChanged {
            object: object.clone(),
            change: ObjectChange::Deleted,
            reason: Some("the failed deploy had created it".to_owned()),
        });
        Ok(object.clone())
    }
}

/// The desired state, without the fields that the cluster reports and counts.
fn asked(mut object: Object) -> Object {
    if let Some(fields) = object.as_object_mut() {
        fields.remove("status");
    }
    if let Some(metadata) = object.get_mut("metadata").and_then(Object::as_object_mut) {
        metadata.remove("managedFields");
        metadata.remove("resourceVersion");
    }
    object
}

/// Is the object going away, owned by another one, or there from the birth of its namespace?
fn is_of_no_one(kind: &str, object: &Object) -> bool {
    let name = object.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
    object.pointer("/metadata/deletionTimestamp").is_some()
        || object.pointer("/metadata/ownerReferences").is_some()
        || BORN_WITH.contains(&(kind, name))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn reported_fields_are_not_desired_state() {
        let object = |version: &str, ready: u8, replicas: u8| {
            json!({
                "metadata": { "name": "web", "resourceVersion": version },
                "spec": { "replicas": replicas },
                "status": { "ready": ready },
            })
        };
        assert_eq!(asked(object("1", 0, 2)), asked(object("2", 1, 2)));
        assert_ne!(asked(object("1", 0, 2)), asked(object("1", 0, 3)));
    }

    #[test]
    fn only_objects_of_others_keep_a_namespace() {
        let object = |name: &str, more: &str| json!({ "metadata": { "name": name, more: "x" } });
        assert!(is_of_no_one("ConfigMap", &object("kube-root-ca.crt", "uid")));
        assert!(is_of_no_one("Pod", &object("web", "deletionTimestamp")));
        assert!(is_of_no_one("ReplicaSet", &object("web", "ownerReferences")));
        assert!(!is_of_no_one("Secret", &object("kube-root-ca.crt", "uid")));
        assert!(!is_of_no_one("ConfigMap", &object("settings", "uid")));
    }
}
