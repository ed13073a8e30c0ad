//! How much the containers that are waited for use, now and at their most, by their kubelet's own figures.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::Mutex;
use std::time::Duration;

use futures::future::join_all;
use tokio::time::{sleep, timeout};

use crate::run::session::lock;
use todohost_cluster::{Client, ClusterError, ContainerUsage, Snapshot};
use todohost_model::event::Usage;
use todohost_model::object::{Object, ObjectRef};
use todohost_runtime::plugin::wit::verify;

/// Between two readings: often enough to see a container near its limit before it is killed.
const PAUSE: Duration = Duration::from_millis(1500);

/// A node that answers later is asked again with the next reading.
const WITHIN: Duration = Duration::from_secs(3);

/// Nodes that are asked.
const MOST_NODES: usize = 8;

/// The readings of one wait.
pub(super) struct Meter {
    client: Client,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    nodes: BTreeSet<String>,
    /// By uid: names come again.
    pods: BTreeMap<String, Pod>,
    peaks: BTreeMap<(String, String), verify::Usage>,
}

/// A pod that is of interest.
struct Pod {
    /// The object that is waited for.
    of: ObjectRef,
    /// What each container may have of memory and CPU, as the pod says.
    limits: BTreeMap<String, [Option<String>; 2]>,
}

impl Meter {
    pub(super) fn new(client: Client) -> Self {
        Self { client, seen: Mutex::default() }
    }

    /// Says which objects are of interest: their pods, and the nodes of these.
    pub(super) fn look_at<'a>(&self, snapshots: impl Iterator<Item = &'a Snapshot>) {
        let mut seen = lock(&self.seen);
        seen.nodes.clear();
        for snapshot in snapshots {
            for pod in snapshot.related.iter().chain(&snapshot.object) {
                if pod["kind"] != "Pod" {
                    continue;
                }
                if let Some(uid) = pod["metadata"]["uid"].as_str() {
                    let known = Pod { of: snapshot.object_ref.clone(), limits: limits(pod) };
                    seen.pods.insert(uid.to_owned(), known);
                }
                if let Some(node) = pod["spec"]["nodeName"].as_str()
                    && seen.nodes.len() < MOST_NODES
                {
                    seen.nodes.insert(node.to_owned());
                }
            }
        }
    }

    /// The most that each container used so far.
    pub(super) fn peaks(&self) -> Vec<verify::Usage> {
        lock(&self.seen).peaks.values().cloned().collect()
    }

    /// Reads until it is dropped, and tells what it reads.
    pub(super) async fn run(&self, tell: impl Fn(Usage)) -> Infallible {
        let mut told = BTreeMap::new();
        loop {
            sleep(PAUSE).await;
            let nodes = lock(&self.seen).nodes.clone();
            let asked = nodes.iter().map(|node| timeout(WITHIN, self.client.pod_usage(node)));
            let mut figures = Vec::new();
            for answer in join_all(asked).await.into_iter().flatten() {
                match answer {
                    Ok(read) => figures.extend(read),
                    // Who may not ask nodes is told less, and asks no more.
                    Err(ClusterError::Forbidden { .. }) => return std::future::pending().await,
                    Err(_) => {}
                }
            }
            for (object, uses) in lock(&self.seen).note(figures) {
                if told.get(&object) != Some(&uses) {
                    tell(uses.clone());
                    told.insert(object, uses);
                }
            }
        }
    }
}

impl Seen {
    /// Keeps the peaks, and says of each object what the container uses that has most memory now.
    fn note(&mut self, mut figures: Vec<ContainerUsage>) -> BTreeMap<ObjectRef, Usage> {
        let mut uses = BTreeMap::new();
        figures.sort_by_key(|figure| figure.memory_bytes);
        for figure in figures {
            let Some(pod) = self.pods.get(&figure.pod_uid) else { continue };
            let [memory_limit, cpu_limit] =
                pod.limits.get(&figure.container).cloned().unwrap_or_default();
            // The last one, which has most, is the one that stays.
            let usage = Usage {
                object: pod.of.clone(),
                container: figure.container.clone(),
                memory_bytes: figure.memory_bytes,
                memory_limit,
                cpu_millis: figure.cpu_millis,
                cpu_limit,
            };
            uses.insert(pod.of.clone(), usage);
            let key = (figure.pod.clone(), figure.container.clone());
            let peak = self.peaks.entry(key).or_insert_with(|| verify::Usage {
                pod: figure.pod,
                container: figure.container,
                memory_bytes: 0,
                cpu_millis: 0,
            });
            peak.memory_bytes = peak.memory_bytes.max(figure.memory_bytes);
            peak.cpu_millis = peak.cpu_millis.max(figure.cpu_millis);
        }
        uses
    }
}

fn limits(pod: &Object) -> BTreeMap<String, [Option<String>; 2]> {
    let containers = ["containers", "initContainers"]
        .into_iter()
        .filter_map(|field| pod["spec"][field].as_array())
        .flatten();
    let limits = containers.filter_map(|container| {
        let limit = |what: &str| container["resources"]["limits"][what].as_str().map(str::to_owned);
        Some((container["name"].as_str()?.to_owned(), ["memory", "cpu"].map(limit)))
    });
    limits.collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn figure(pod_uid: &str, container: &str, memory_bytes: u64) -> ContainerUsage {
        ContainerUsage {
            pod: format!("pod-{pod_uid}"),
            pod_uid: pod_uid.to_owned(),
            container: container.to_owned(),
            memory_bytes,
            cpu_millis: 7,
        }
    }

    #[test]
    fn the_container_that_needs_most_stands_for_the_object_and_strangers_are_left_out() {
        let object = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"}});
        let of = ObjectRef::of(&object).unwrap();
        let pod = json!({"spec": {"containers": [
            {"name": "web", "resources": {"limits": {"memory": "256Mi"}}},
            {"name": "log"},
        ]}});
        let known = Pod { of: of.clone(), limits: limits(&pod) };
        let mut seen = Seen { pods: BTreeMap::from([("1".to_owned(), known)]), ..Seen::default() };
        let figures =
            vec![figure("1", "web", 50), figure("1", "log", 20), figure("other", "web", 900)];
        let uses = seen.note(figures);
        assert_eq!(uses.len(), 1);
        let usage = &uses[&of];
        assert_eq!((usage.container.as_str(), usage.memory_bytes), ("web", 50));
        assert_eq!((usage.memory_limit.as_deref(), &usage.cpu_limit), (Some("256Mi"), &None));
        let _ = seen.note(vec![figure("1", "web", 10)]);
        let peaks: Vec<u64> = seen.peaks.values().map(|peak| peak.memory_bytes).collect();
        assert_eq!(peaks, [20, 50], "peaks stay");
    }
}
