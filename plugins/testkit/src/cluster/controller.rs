//! Controller of Deployments: creates replica sets and pods, and plays the scripted behaviour of the pods.
//!
//! Sets their statuses. States change as quickly as in a fast cluster, but watches see an event for each state.

use std::time::Duration;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::State;
use super::store::{Key, Store, Write, now};

/// Scripted behaviour of a Deployment's pods.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Behaviour {
    /// The pods become ready at once.
    Ready,
    /// The image cannot be pulled: the container waits with this reason, e.g. `ErrImageNeverPull`.
    Waiting {
        /// The kubelet's reason.
        reason: String,
        /// The kubelet's message.
        message: String,
    },
    /// The container exits again after each restart.
    Exits {
        /// Exit code.
        code: i32,
        /// Log of the container.
        log: String,
    },
    /// The container runs, but its readiness probe never succeeds.
    NeverReady,
    /// The container exits several times, then becomes ready.
    Recovers {
        /// Number of exits.
        exits: u32,
    },
    /// The container is killed for its memory usage after a while, and again after each restart.
    OutOfMemory {
        /// Used bytes in the node's stats summary.
        used: u64,
    },
    /// The pods fit on no node.
    Unschedulable {
        /// The scheduler's message.
        message: String,
    },
    /// The API server refuses to create the pods.
    NotCreated {
        /// The API server's message.
        message: String,
    },
}

/// Annotation with the number of a rollout.
const REVISION: &str = "deployment.kubernetes.io/revision";

/// Time between two states of a pod, long enough for a watch to see both.
pub(super) const STEP: Duration = Duration::from_millis(20);

/// Time for which a recovering container stays down, long enough to be reported.
const SEEN: Duration = Duration::from_millis(500);

/// Time for which a container runs before it is killed for its memory usage, long enough to be measured.
const MEASURED: Duration = Duration::from_millis(2500);

fn deployment_key(namespace: &str, name: &str) -> Key {
    Key { resource: "deployments.apps".into(), namespace: namespace.into(), name: name.into() }
}

fn pods_of(store: &Store, namespace: &str, set: &str) -> Vec<String> {
    let owned = |pod: &&Value| {
        pod["metadata"]["ownerReferences"]
            .as_array()
            .is_some_and(|owners| owners.iter().any(|owner| owner["name"] == set))
    };
    store
        .list("pods", namespace)
        .filter(owned)
        .filter_map(|pod| pod["metadata"]["name"].as_str().map(str::to_owned))
        .collect()
}

pub(super) fn owner(object: &Value) -> Value {
    json!([{
        "apiVersion": object["apiVersion"], "kind": object["kind"],
        "name": object["metadata"]["name"], "uid": object["metadata"]["uid"],
        "controller": true, "blockOwnerDeletion": true,
    }])
}

/// Creates a Deployment's replica set and pods, and plays the scripted behaviour.
pub(super) async fn reconcile(state: State, namespace: String, name: String) {
    let Some(rollout) = begin(&state, &namespace, &name) else { return };
    tokio::time::sleep(STEP).await;
    match state.behaviour(&name, &rollout.template) {
        Behaviour::Ready => rollout.get_ready(&state).await,
        Behaviour::Recovers { exits } => {
            let ended = ended("Error", 1);
            for restarts in 0..exits {
                rollout.all_pods(&state, &|container| unready(container, &ended, restarts)).await;
                tokio::time::sleep(SEEN).await;
                let running = json!({ "running": { "startedAt": now() } });
                rollout
                    .all_pods(&state, &|container| {
                        let mut status = unready(container, &running, restarts + 1);
                        status["lastState"] = ended.clone();
                        status
                    })
                    .await;
            }
            rollout.get_ready(&state).await;
        }
        Behaviour::OutOfMemory { .. } => {
            let killed = ended("OOMKilled", 137);
            for restarts in 0..2 {
                let running = json!({ "running": { "startedAt": now() } });
                rollout.all_pods(&state, &|container| unready(container, &running, restarts)).await;
                tokio::time::sleep(MEASURED).await;
                rollout.all_pods(&state, &|container| unready(container, &killed, restarts)).await;
            }
        }
        Behaviour::Unschedulable { message } => {
            for pod in &rollout.pods {
                rollout.unscheduled(&state, pod, &message);
            }
        }
        Behaviour::NotCreated { message } => rollout.refused(&state, &message),
        Behaviour::Waiting { reason, message } => {
            for pod in &rollout.pods {
                let waiting = json!({ "waiting": { "reason": reason, "message": message } });
                rollout.pod_status(&state, pod, &|container| unready(container, &waiting, 0));
                rollout.event(&state, pod, "Failed", &format!("Error: {reason}: {message}"));
            }
        }
        Behaviour::Exits { code, .. } => {
            let ended = ended("Error", code);
            let waiting = json!({ "waiting": {
                "reason": "CrashLoopBackOff",
                "message": "back-off 10s restarting failed container",
            } });
            for restarts in 0..4 {
                for pod in &rollout.pods {
                    rollout
                        .pod_status(&state, pod, &|container| unready(container, &ended, restarts));
                }
                tokio::time::sleep(STEP).await;
                for pod in &rollout.pods {
                    rollout.pod_status(&state, pod, &|container| {
                        let mut status = unready(container, &waiting, restarts);
                        status["lastState"] = ended.clone();
                        status
                    });
                    if restarts == 1 {
                        let message = "Back-off restarting failed container";
                        rollout.event(&state, pod, "BackOff", message);
                    }
                }
                tokio::time::sleep(STEP).await;
            }
        }
        Behaviour::NeverReady => {
            for pod in &rollout.pods {
                let running = json!({ "running": { "startedAt": now() } });
                rollout.pod_status(&state, pod, &|container| unready(container, &running, 0));
                let message = "Readiness probe failed: HTTP probe failed with statuscode: 503";
                rollout.event(&state, pod, "Unhealthy", message);
            }
        }
    }
}

pub(super) fn ended(reason: &str, code: i32) -> Value {
    json!({ "terminated": {
        "exitCode": code, "reason": reason, "startedAt": now(), "finishedAt": now(),
    } })
}

struct Rollout {
    namespace: String,
    name: String,
    generation: u64,
    set: String,
    template: Value,
    pods: Vec<String>,
    replicas: usize,
}

fn begin(state: &State, namespace: &str, name: &str) -> Option<Rollout> {
    let mut store = state.store();
    let deployment = store.get(&deployment_key(namespace, name))?.clone();
    let template = &deployment["spec"]["template"];
    let digest = format!("{:x}", Sha256::digest(template.to_string()));
    let hash = &digest[..10];
    let set = format!("{name}-{hash}");
    let replicas = deployment["spec"]["replicas"].as_u64().unwrap_or(1);
    let replicas = usize::try_from(replicas).unwrap_or_default();

    let mut template = template.clone();
    template["metadata"]["labels"]["pod-template-hash"] = json!(hash);
    let mut selector = deployment["spec"]["selector"].clone();
    selector["matchLabels"]["pod-template-hash"] = json!(hash);
    let uid = &deployment["metadata"]["uid"];
    let revision = revision_of(&store, namespace, &set, uid);
    let set_object = json!({
        "apiVersion": "apps/v1", "kind": "ReplicaSet",
        "metadata": {
            "name": set, "namespace": namespace,
            "labels": template["metadata"]["labels"], "ownerReferences": owner(&deployment),
            "annotations": { REVISION: revision },
        },
        "spec": { "replicas": replicas, "selector": selector, "template": template },
    });
    let set_key = write(&mut store, &set_object)?;
    let set_owner = owner(store.get(&set_key)?);

    let mut pods = pods_of(&store, namespace, &set);
    for pod in pods.drain(replicas.min(pods.len())..).collect::<Vec<_>>() {
        delete(&mut store, "Pod", "pods", namespace, &pod);
    }
    let behaviour = state.behaviour(name, &template);
    let may_create = !matches!(behaviour, Behaviour::NotCreated { .. });
    while may_create && pods.len() < replicas {
        let pod_name = format!("{set}-{}", store.suffix());
        let mut spec = template["spec"].clone();
        if !matches!(behaviour, Behaviour::Unschedulable { .. }) {
            spec["nodeName"] = json!(state.node());
        }
        let pod = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {
                "name": pod_name, "namespace": namespace,
                "labels": template["metadata"]["labels"],
                "annotations": template["metadata"]["annotations"],
                "ownerReferences": set_owner,
            },
            "spec": spec,
        });
        let key = write(&mut store, &pod)?;
        store.set_status(&key, &json!({ "phase": "Pending" }));
        pods.push(pod_name);
    }
    store.seed_as(
        &json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {
                "name": name, "namespace": namespace, "annotations": { REVISION: revision },
            },
        }),
        "kube-controller-manager",
    );
    let generation = deployment["metadata"]["generation"].as_u64().unwrap_or(1);
    store.set_status(
        &deployment_key(namespace, name),
        &json!({
            "observedGeneration": generation,
            "replicas": replicas, "updatedReplicas": replicas, "unavailableReplicas": replicas,
            "conditions": [
                condition("Available", "False", "MinimumReplicasUnavailable"),
                condition("Progressing", "True", "ReplicaSetUpdated"),
            ],
        }),
    );
    Some(Rollout {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        generation,
        set,
        template,
        pods,
        replicas,
    })
}

/// Number of the rollout. A replica set that is used again gets a new number, higher than those of the Deployment's
/// other sets.
fn revision_of(store: &Store, namespace: &str, name: &str, uid: &Value) -> String {
    let number = |set: &Value| -> u64 {
        let text = set["metadata"]["annotations"][REVISION].as_str().unwrap_or_default();
        text.parse().unwrap_or_default()
    };
    let (mut mine, mut highest) = (0, 0);
    for set in store.list("replicasets.apps", namespace) {
        if set["metadata"]["ownerReferences"][0]["uid"] == *uid {
            highest = highest.max(number(set));
            if set["metadata"]["name"] == name {
                mine = number(set);
            }
        }
    }
    if mine == highest && mine > 0 { mine } else { highest + 1 }.to_string()
}

pub(super) fn condition(kind: &str, status: &str, reason: &str) -> Value {
    json!({
        "type": kind, "status": status, "reason": reason,
        "lastTransitionTime": now(), "lastUpdateTime": now(),
    })
}

pub(super) fn write(store: &mut Store, object: &Value) -> Option<Key> {
    let kind = store.kind_named(object["apiVersion"].as_str()?, object["kind"].as_str()?)?;
    let key = Key {
        resource: kind.resource(),
        namespace: object["metadata"]["namespace"].as_str().unwrap_or_default().to_owned(),
        name: object["metadata"]["name"].as_str()?.to_owned(),
    };
    let how = Write::Apply { force: true };
    store.write(&kind, &key, object, &how, "kube-controller-manager", false).ok()?;
    Some(key)
}

fn delete(store: &mut Store, kind: &str, resource: &str, namespace: &str, name: &str) {
    let key = Key { resource: resource.into(), namespace: namespace.into(), name: name.into() };
    if let Some(kind) = store.kind_named("v1", kind) {
        // The object may be deleted already.
        let _ = store.delete(&kind, &key, None, false);
    }
}

fn ready_status(container: &Value) -> Value {
    json!({
        "name": container["name"], "image": container["image"], "ready": true, "started": true,
        "restartCount": 0, "state": { "running": { "startedAt": now() } }, "lastState": {},
    })
}

pub(super) fn unready(container: &Value, state: &Value, restarts: u32) -> Value {
    json!({
        "name": container["name"], "image": container["image"], "ready": false,
        "started": false, "restartCount": restarts, "state": state, "lastState": {},
    })
}

impl Rollout {
    async fn get_ready(&self, state: &State) {
        self.all_pods(state, &ready_status).await;
        self.finish(state);
    }

    /// Sets the container statuses of all pods, then waits until watches see them.
    async fn all_pods(&self, state: &State, status_of: &(dyn Fn(&Value) -> Value + Sync)) {
        for pod in &self.pods {
            self.pod_status(state, pod, status_of);
        }
        tokio::time::sleep(STEP).await;
    }

    fn unscheduled(&self, state: &State, pod: &str, message: &str) {
        let key =
            Key { resource: "pods".into(), namespace: self.namespace.clone(), name: pod.into() };
        let mut scheduled = condition("PodScheduled", "False", "Unschedulable");
        scheduled["message"] = json!(message);
        let status = json!({ "phase": "Pending", "conditions": [scheduled] });
        state.store().set_status(&key, &status);
        self.event(state, pod, "FailedScheduling", message);
    }

    fn refused(&self, state: &State, message: &str) {
        let key = deployment_key(&self.namespace, &self.name);
        let mut failure = condition("ReplicaFailure", "True", "FailedCreate");
        failure["message"] = json!(message);
        state.store().set_status(
            &key,
            &json!({
                "observedGeneration": self.generation, "unavailableReplicas": self.replicas,
                "conditions": [
                    condition("Available", "False", "MinimumReplicasUnavailable"), failure,
                ],
            }),
        );
    }

    fn pod_status(&self, state: &State, pod: &str, status_of: &(dyn Fn(&Value) -> Value + Sync)) {
        let mut store = state.store();
        let key =
            Key { resource: "pods".into(), namespace: self.namespace.clone(), name: pod.into() };
        let Some(object) = store.get(&key) else { return };
        let containers: Vec<Value> =
            object["spec"]["containers"].as_array().into_iter().flatten().map(status_of).collect();
        let ready = containers.iter().all(|container| container["ready"] == true);
        let waiting = containers.iter().any(|container| !container["state"]["waiting"].is_null());
        let restarted = containers.iter().any(|container| container["restartCount"] != 0);
        let word = if ready { "True" } else { "False" };
        let reason = if ready { "" } else { "ContainersNotReady" };
        let status = json!({
            "phase": if waiting && !restarted { "Pending" } else { "Running" },
            "podIP": "10.244.0.10",
            "startTime": object["metadata"]["creationTimestamp"],
            "conditions": [
                condition("PodScheduled", "True", ""),
                condition("Initialized", "True", ""),
                condition("ContainersReady", word, reason),
                condition("Ready", word, reason),
            ],
            "containerStatuses": containers,
        });
        store.set_status(&key, &status);
    }

    /// Marks the rollout complete: all its pods are ready, and older replica sets are scaled down to 0.
    fn finish(&self, state: &State) {
        let mut store = state.store();
        let key = deployment_key(&self.namespace, &self.name);
        let Some(deployment) = store.get(&key).cloned() else { return };
        if deployment["metadata"]["generation"] != self.generation {
            return;
        }
        let replicas = self.replicas;
        let set_key = Key {
            resource: "replicasets.apps".into(),
            namespace: self.namespace.clone(),
            name: self.set.clone(),
        };
        store.set_status(
            &set_key,
            &json!({
                "observedGeneration": 1, "replicas": replicas, "fullyLabeledReplicas": replicas,
                "readyReplicas": replicas, "availableReplicas": replicas,
            }),
        );
        let uid = deployment["metadata"]["uid"].clone();
        let older: Vec<String> = store
            .list("replicasets.apps", &self.namespace)
            .filter(|set| {
                set["metadata"]["name"] != self.set.as_str()
                    && set["metadata"]["ownerReferences"][0]["uid"] == uid
            })
            .filter_map(|set| set["metadata"]["name"].as_str().map(str::to_owned))
            .collect();
        for set in older {
            for pod in pods_of(&store, &self.namespace, &set) {
                delete(&mut store, "Pod", "pods", &self.namespace, &pod);
            }
            let key = Key { name: set, ..set_key.clone() };
            store.set_status(&key, &json!({ "observedGeneration": 1, "replicas": 0 }));
        }
        store.set_status(
            &key,
            &json!({
                "observedGeneration": self.generation,
                "replicas": replicas, "updatedReplicas": replicas,
                "readyReplicas": replicas, "availableReplicas": replicas,
                "conditions": [
                    condition("Available", "True", "MinimumReplicasAvailable"),
                    condition("Progressing", "True", "NewReplicaSetAvailable"),
                ],
            }),
        );
    }

    fn event(&self, state: &State, pod: &str, reason: &str, message: &str) {
        let key =
            Key { resource: "pods".into(), namespace: self.namespace.clone(), name: pod.into() };
        report(state, &key, reason, message);
    }
}

/// Creates an Event about a pod.
pub(super) fn report(state: &State, pod: &Key, reason: &str, message: &str) {
    let mut store = state.store();
    let Some(object) = store.get(pod) else { return };
    let uid = object["metadata"]["uid"].clone();
    let container = object["spec"]["containers"][0]["name"].as_str().unwrap_or_default();
    let place = format!("spec.containers{{{container}}}");
    let name = format!("{}.{}", pod.name, store.suffix());
    write(
        &mut store,
        &json!({
            "apiVersion": "v1", "kind": "Event",
            "metadata": { "name": name, "namespace": pod.namespace },
            "involvedObject": {
                "apiVersion": "v1", "kind": "Pod", "name": pod.name,
                "namespace": pod.namespace, "uid": uid, "fieldPath": place,
            },
            "reason": reason, "message": message, "type": "Warning", "count": 1,
            "firstTimestamp": now(), "lastTimestamp": now(),
            "source": { "component": "kubelet", "host": state.node() },
        }),
    );
}
