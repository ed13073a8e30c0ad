//! Connections from inside the cluster, through a short-lived pod that the host makes.
//!
//! Owns that pod from its creation to its removal, and the streams that lead through it. The check `database` connects
//! twice, from this machine and from a pod, because a database may be reachable from only one of the two.
//!
//! The pod runs in the app's namespace, in which its network policies hold, or in `default` if the namespace does not
//! exist yet. It is restricted, and has neither rights, a service account token nor secrets. It uses images that its
//! node already has, those of the app's pods first; each runs in a container that sleeps, and the first with Python,
//! Node, bash or nc passes bytes on through `exec`. Nothing is pulled, and the users' own pods are not used. The pod
//! learns a host and a port. TLS and log-in happen between the host and the server, so neither the cluster's objects
//! nor the pod hold the password.
//!
//! Only `doctor` makes this pod: a deploy has the app's own pods to show which servers they reach, and a deploy without
//! changes must not make a pod. The pod is deleted when the check ends, in every case. If the run is killed, the pod
//! ends itself within minutes, and a later run deletes it.

mod line;
mod place;

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};
use thiserror::Error;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout_at};

use self::place::Place;
use super::{Client, ClusterError, Query, Timeouts};
use todohost_model::object::{Object, ObjectRef};

pub use line::PodStream;

/// Marks the pods of relays.
const LABEL: &str = "todohost.dev/relay";

/// Used while the app's namespace does not exist.
const ELSEWHERE: &str = "default";

/// How long the pod may take to start: no image is pulled.
const START: Duration = Duration::from_secs(30);

/// How long the pod lives if it is not removed; longer than a check that uses it.
const LIFE_SECONDS: u32 = 180;

/// A place in the cluster from which connections are opened. Nothing is made before the first one.
pub struct Relay {
    client: Client,
    namespace: String,
    /// Repositories of images to look for first.
    repositories: Vec<String>,
    /// Once it may be there.
    pod: Mutex<Option<Pod>>,
}

#[derive(Clone)]
struct Pod {
    place: Place,
    named: ObjectRef,
    /// Containers that cannot pass anything on.
    useless: BTreeSet<String>,
}

/// Why there is no connection.
#[derive(Debug, Error)]
pub enum RelayError {
    /// The pod looked for the name, and there is none.
    #[error("the name has no address")]
    UnknownHost,
    /// Nothing listens there.
    #[error("connection refused")]
    Refused,
    /// No answer in time.
    #[error("no answer in time")]
    Timeout,
    /// Another failure, as reported by the pod.
    #[error("{0}")]
    Failed(String),
    /// A host that is none.
    #[error("`{0}` is neither a name nor an address")]
    BadHost(String),
    /// No node runs pods.
    #[error("no node of the cluster takes a pod")]
    NoNode,
    /// No image has a suitable program.
    #[error("no image on node {node} has a program that can pass a connection on")]
    NoImage {
        /// Its name.
        node: String,
    },
    /// The pod does not start.
    #[error("a pod for it did not start in namespace {namespace}: {reason}")]
    NotStarted {
        namespace: String,
        /// The cluster's error.
        reason: String,
    },
    /// The cluster does not let it be.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
}

impl Relay {
    /// Connections from a namespace, preferably by images of these repositories.
    pub fn new(client: Client, namespace: &str, repositories: Vec<String>) -> Self {
        Self { client, namespace: namespace.to_owned(), repositories, pod: Mutex::new(None) }
    }

    /// Connects from a pod to a host and port, within `limit` once the pod runs.
    ///
    /// # Errors
    /// The connection, or why there is no pod.
    pub async fn open(
        &self,
        host: &str,
        port: u16,
        limit: Duration,
    ) -> Result<PodStream, RelayError> {
        if !is_host(host) {
            return Err(RelayError::BadHost(host.to_owned()));
        }
        let mut slot = self.pod.lock().await;
        let mut pod = match slot.clone() {
            Some(pod) => pod,
            None => self.post(&mut slot).await?,
        };
        let until = Instant::now() + START;
        loop {
            let container = self.running(&pod, until).await?;
            if let Some(line) =
                self.client.line(&pod.named, &container, (host, port), limit).await?
            {
                *slot = Some(pod);
                return Ok(line);
            }
            pod.useless.insert(container);
        }
    }

    /// The place of the pod, for messages.
    pub async fn place(&self) -> Option<String> {
        let pod = self.pod.lock().await;
        pod.as_ref().map(|pod| format!("a pod in namespace {}", pod.place.namespace))
    }

    /// Removes the pod, even after a stop.
    ///
    /// # Errors
    /// If the pod may still exist. It ends on its own.
    pub async fn remove(&self) -> Result<(), ClusterError> {
        let Some(pod) = self.pod.lock().await.take() else { return Ok(()) };
        self.client.without_cancel(Timeouts::BRIEF).delete(&pod.named, None).await.map(drop)
    }

    async fn post(&self, slot: &mut Option<Pod>) -> Result<Pod, RelayError> {
        let pod = self.planned().await?;
        // Known before it is there: a stop in between leaves nothing behind.
        *slot = Some(pod.clone());
        let created = self.client.create(&document(&pod.named.name, &pod.place)).await;
        if created.as_ref().is_err_and(|error| !error.leaves_doubt()) {
            *slot = None;
        }
        created?;
        Ok(pod)
    }

    /// Chooses the place of the pod, after removing the pods of killed runs.
    async fn planned(&self) -> Result<Pod, RelayError> {
        let is_there = self.client.has_namespace(&self.namespace).await?;
        let namespace = if is_there { self.namespace.as_str() } else { ELSEWHERE };
        let pods = self.client.list(&query("Pod", Some(namespace))).await?;
        for left in pods.iter().filter(|pod| is_left_behind(pod)) {
            if let Some(left) = ObjectRef::of(left) {
                // Another run may be removing it, too.
                let _ = self.client.delete(&left, None).await;
            }
        }
        let nodes = self.client.list(&query("Node", None)).await?;
        let place = place::choose(namespace, &pods, &nodes, &self.repositories)?;
        let name = format!("todohost-relay-{}", random(namespace)?);
        let named = ObjectRef {
            api_version: "v1".to_owned(),
            kind: "Pod".to_owned(),
            namespace: Some(namespace.to_owned()),
            name,
        };
        Ok(Pod { place, named, useless: BTreeSet::new() })
    }

    /// A container that runs and may be of use, as soon as there is one.
    async fn running(&self, pod: &Pod, until: Instant) -> Result<String, RelayError> {
        let not_started = |reason: String| RelayError::NotStarted {
            namespace: pod.place.namespace.clone(),
            reason,
        };
        let waiting = async {
            let mut watch = self.client.watch_alone(&pod.named).await?;
            while let Some(snapshots) = watch.next().await? {
                let live = snapshots.first().and_then(|snapshot| snapshot.object.as_ref());
                match state(live.unwrap_or(&Value::Null), &pod.useless) {
                    State::Running(container) => return Ok(container),
                    State::Waiting => {}
                    State::Useless => {
                        return Err(RelayError::NoImage { node: pod.place.node.clone() });
                    }
                    State::Over(reason) => return Err(not_started(reason)),
                }
            }
            let action = format!("start {}", pod.named);
            Err(RelayError::Cluster(ClusterError::Stopped { action }))
        };
        timeout_at(until, waiting)
            .await
            .unwrap_or_else(|_| Err(not_started(format!("not within {} s", START.as_secs()))))
    }
}

/// How far the pod is.
#[derive(Debug, PartialEq, Eq)]
enum State {
    Waiting,
    /// A container that runs, of those that may be of use.
    Running(String),
    /// None of the images is of use.
    Useless,
    /// It will not run, or no more.
    Over(String),
}

fn state(pod: &Object, useless: &BTreeSet<String>) -> State {
    let status = &pod["status"];
    let phase = status["phase"].as_str().unwrap_or_default();
    let containers = status["containerStatuses"].as_array().map(Vec::as_slice).unwrap_or_default();
    let name = |container: &Value| container["name"].as_str().unwrap_or_default().to_owned();
    let usable: Vec<&Value> =
        containers.iter().filter(|container| !useless.contains(&name(container))).collect();
    if pod.is_null() || !pod["metadata"]["deletionTimestamp"].is_null() {
        return State::Over("it was deleted".to_owned());
    }
    if let Some(running) = usable.iter().find(|it| !it["state"]["running"].is_null()) {
        return State::Running(name(running));
    }
    // An image that is not there, or has no such program, stays so.
    let is_out = |container: &&Value| {
        let reason = container["state"]["waiting"]["reason"].as_str().unwrap_or_default();
        !container["state"]["terminated"].is_null()
            || reason.contains("Err")
            || reason.contains("Image")
    };
    let wanted = pod["spec"]["containers"].as_array().map_or(0, Vec::len);
    if containers.len() == wanted && usable.iter().all(is_out) {
        return State::Useless;
    }
    if matches!(phase, "Failed" | "Succeeded") {
        let words = ["message", "reason"].into_iter().find_map(|field| status[field].as_str());
        return State::Over(words.unwrap_or("it ended").to_owned());
    }
    State::Waiting
}

/// A pod of a finished run, which ended on its own.
fn is_left_behind(pod: &Object) -> bool {
    !pod["metadata"]["labels"][LABEL].is_null()
        && matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed"))
}

/// The pod: one sleeping container for each image that may have a suitable program.
fn document(name: &str, place: &Place) -> Object {
    let container = |(number, image): (usize, &String)| {
        json!({
            "name": format!("image-{}", number + 1),
            "image": image,
            "imagePullPolicy": "Never",
            "command": ["sleep", LIFE_SECONDS.to_string()],
            "resources": {
                "requests": { "cpu": "1m", "memory": "8Mi" },
                "limits": { "cpu": "500m", "memory": "128Mi" },
            },
            "securityContext": {
                "allowPrivilegeEscalation": false,
                "readOnlyRootFilesystem": true,
                "capabilities": { "drop": ["ALL"] },
            },
        })
    };
    let containers: Vec<Value> = place.images.iter().enumerate().map(container).collect();
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": name, "namespace": place.namespace,
            "labels": { LABEL: "true" },
            "annotations": { LABEL: "tests for todohost if pods reach a server; ends on its own" },
        },
        "spec": {
            "nodeName": place.node,
            "restartPolicy": "Never",
            "activeDeadlineSeconds": LIFE_SECONDS,
            "terminationGracePeriodSeconds": 0,
            "automountServiceAccountToken": false,
            "enableServiceLinks": false,
            "securityContext": {
                "runAsNonRoot": true, "runAsUser": 65534, "runAsGroup": 65534,
                "seccompProfile": { "type": "RuntimeDefault" },
            },
            "containers": containers,
        },
    })
}

fn query(kind: &str, namespace: Option<&str>) -> Query {
    Query {
        api_version: "v1".to_owned(),
        kind: kind.to_owned(),
        namespace: namespace.map(str::to_owned),
        ..Query::default()
    }
}

/// A name that no pod of another run has.
fn random(namespace: &str) -> Result<String, RelayError> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).map_err(|error| RelayError::NotStarted {
        namespace: namespace.to_owned(),
        reason: error.to_string(),
    })?;
    Ok(format!("{:016x}", u64::from_le_bytes(bytes)))
}

/// Programs of the pod take it for nothing else.
fn is_host(host: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b".:_-".contains(&byte);
    !host.is_empty() && host.len() < 256 && !host.starts_with('-') && host.bytes().all(is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> Place {
        Place {
            namespace: "shop".to_owned(),
            node: "node-1".to_owned(),
            images: vec!["shop-web:1".to_owned(), "other:2".to_owned()],
        }
    }

    fn pod(phase: &str, states: &[Value]) -> Object {
        let mut pod = document("todohost-relay-1", &place());
        let states = states.iter().enumerate();
        let statuses: Vec<Value> = states
            .map(|(number, state)| json!({ "name": format!("image-{}", number + 1), "state": state }))
            .collect();
        pod["status"] = json!({ "phase": phase, "containerStatuses": statuses });
        pod
    }

    #[test]
    fn the_pod_has_no_rights_and_a_deadline() {
        let document = document("todohost-relay-1", &place());
        let spec = &document["spec"];
        assert_eq!(spec["automountServiceAccountToken"], false);
        assert_eq!(spec["activeDeadlineSeconds"], LIFE_SECONDS);
        assert_eq!(spec["securityContext"]["runAsNonRoot"], true);
        assert_eq!(spec["containers"].as_array().unwrap().len(), 2);
        for container in spec["containers"].as_array().unwrap() {
            assert_eq!(container["imagePullPolicy"], "Never");
            assert_eq!(container["securityContext"]["capabilities"]["drop"], json!(["ALL"]));
            assert!(container["env"].is_null() && container["volumeMounts"].is_null());
        }
    }

    #[test]
    fn the_first_container_that_runs_and_is_of_use_is_taken() {
        let none = BTreeSet::new();
        let (running, missing) =
            (json!({ "running": {} }), json!({ "waiting": { "reason": "ErrImageNeverPull" } }));
        let asleep = json!({ "waiting": { "reason": "ContainerCreating" } });
        let ended = json!({ "terminated": { "reason": "StartError" } });
        let second = State::Running("image-2".to_owned());
        assert_eq!(state(&pod("Pending", &[missing.clone(), running.clone()]), &none), second);
        assert_eq!(state(&pod("Pending", &[asleep, missing.clone()]), &none), State::Waiting);
        assert_eq!(state(&pod("Pending", &[]), &none), State::Waiting);
        assert_eq!(state(&pod("Failed", &[missing.clone(), ended]), &none), State::Useless);
        let useless = BTreeSet::from(["image-2".to_owned()]);
        assert_eq!(state(&pod("Running", &[missing, running]), &useless), State::Useless);
        let mut refused = pod("Failed", &[]);
        refused["status"]["message"] = json!("Pod was rejected: no room");
        let over = State::Over("Pod was rejected: no room".to_owned());
        assert_eq!(state(&refused, &none), over);
    }

    #[test]
    fn only_ended_pods_are_left_behind() {
        assert!(is_left_behind(&pod("Failed", &[])));
        assert!(!is_left_behind(&pod("Running", &[])), "another run's");
        let mut other = pod("Failed", &[]);
        other["metadata"]["labels"] = json!({});
        assert!(!is_left_behind(&other), "of another run");
    }

    #[test]
    fn a_host_is_neither_an_option_nor_a_program() {
        for host in ["db.example", "10.0.0.1", "::1", "my_db"] {
            assert!(is_host(host), "{host}");
        }
        for host in ["", "-e", "a b", "$(id)", "a;b", "a'b"] {
            assert!(!is_host(host), "{host}");
        }
    }
}
