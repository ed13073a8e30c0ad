//! Pods that block the rollback of a `StatefulSet`: a controller that updates pod by pod waits for each to be ready, even
//! for one of an older revision that never will be
//! (<https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/#forced-rollback>).

use std::collections::BTreeSet;

use serde_json::Value;

use crate::error::RunError;
use todohost_cluster::{Client, Snapshot};
use todohost_model::event::{Bus, EventKind};
use todohost_model::object::{Object, ObjectChange, ObjectRef};

/// Deletes such pods until it is dropped. Returns only if they cannot be watched or deleted.
pub(super) async fn delete_stuck_pods(client: &Client, refs: &[ObjectRef], bus: &Bus) -> RunError {
    let sets: Vec<ObjectRef> = refs
        .iter()
        .filter(|object| object.api_version == "apps/v1" && object.kind == "StatefulSet")
        .cloned()
        .collect();
    if sets.is_empty() {
        return std::future::pending().await;
    }
    match watch_sets(client, &sets, bus).await {
        Ok(()) => std::future::pending().await,
        Err(error) => error,
    }
}

async fn watch_sets(client: &Client, sets: &[ObjectRef], bus: &Bus) -> Result<(), RunError> {
    let mut watch = client.watch(sets, client.stop()).await?;
    let mut removed = BTreeSet::new();
    while let Some(snapshots) = watch.next().await? {
        for pod in snapshots.iter().flat_map(stuck_pods) {
            let Some(object) = ObjectRef::of(pod) else { continue };
            let uid = pod["metadata"]["uid"].as_str().unwrap_or_default();
            if !removed.insert(uid.to_owned()) {
                continue;
            }
            client.delete(&object, Some(uid)).await?;
            bus.send(EventKind::ObjectChanged {
                object,
                change: ObjectChange::Deleted,
                reason: Some("it blocked the rollback of its StatefulSet".to_owned()),
            });
        }
    }
    Ok(())
}

/// Pods of an older revision that are not ready, after the controller has observed the newest.
fn stuck_pods(snapshot: &Snapshot) -> Vec<&Object> {
    let Some(set) = &snapshot.object else { return Vec::new() };
    let number = |pointer: &str| set.pointer(pointer).and_then(Value::as_u64);
    let is_observed = number("/status/observedGeneration") >= number("/metadata/generation");
    let updates_itself = set["spec"]["updateStrategy"]["type"] != "OnDelete";
    let newest = set["status"]["updateRevision"].as_str().unwrap_or_default();
    if !is_observed || !updates_itself || newest.is_empty() {
        return Vec::new();
    }
    let is_ready = |pod: &Object| {
        let conditions = pod["status"]["conditions"].as_array();
        conditions.into_iter().flatten().any(|it| it["type"] == "Ready" && it["status"] == "True")
    };
    let pods = snapshot.related.iter().filter(|part| part["kind"] == "Pod");
    pods.filter(|pod| {
        let of = pod["metadata"]["labels"]["controller-revision-hash"].as_str();
        of.is_some_and(|of| of != newest)
            && pod["metadata"]["deletionTimestamp"].is_null()
            && !is_ready(pod)
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn snapshot(generation: u64, strategy: &str, pods: &[(&str, &str)]) -> Snapshot {
        let object = json!({ "apiVersion": "apps/v1", "kind": "StatefulSet",
            "metadata": { "name": "db", "namespace": "shop", "generation": generation },
            "spec": { "updateStrategy": { "type": strategy } },
            "status": { "observedGeneration": 3, "updateRevision": "db-good" } });
        let pod = |(revision, ready): &(&str, &str)| {
            json!({ "kind": "Pod", "metadata": { "name": revision, "labels": { "controller-revision-hash": revision } },
                "status": { "conditions": [{ "type": "Ready", "status": ready }] } })
        };
        Snapshot {
            object_ref: ObjectRef::of(&object).unwrap(),
            object: Some(object),
            related: pods.iter().map(pod).collect(),
            events: Vec::new(),
        }
    }

    #[test]
    fn only_unready_pods_of_older_revisions_are_stuck() {
        let pods = [("db-bad", "False"), ("db-older", "True"), ("db-good", "False")];
        let one = snapshot(3, "RollingUpdate", &pods);
        let names: Vec<&Value> =
            stuck_pods(&one).into_iter().map(|pod| &pod["metadata"]["name"]).collect();
        assert_eq!(names, ["db-bad"]);
    }

    #[test]
    fn no_pod_is_stuck_before_the_controller_observed_or_with_on_delete() {
        let pods = [("db-bad", "False")];
        assert!(stuck_pods(&snapshot(4, "RollingUpdate", &pods)).is_empty());
        assert!(stuck_pods(&snapshot(3, "OnDelete", &pods)).is_empty());
    }
}
