//! Samples the CPU and memory use of the containers that a wait is about, from the figures of their kubelets.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::Mutex;
use std::time::Duration;

use futures::future::join_all;
use tokio::time::{sleep, timeout};

use crate::context::lock;
use todohost_cluster::{Client, ClusterError, ContainerUsage, Snapshot};
use todohost_model::event::Usage;
use todohost_model::object::{Object, ObjectRef};
use todohost_runtime::plugin::wit::verify;

/// Between two samples: often enough to see a container near its limit before it is killed.
const PAUSE: Duration = Duration::from_millis(1500);

/// A node that answers later is asked again with the next sample.
const WITHIN: Duration = Duration::from_secs(3);

/// Most nodes that are asked.
const MOST_NODES: usize = 8;

/// The samples of one wait.
pub(super) struct UsageSampler {
    client: Client,
    seen: Mutex<Samples>,
}

#[derive(Default)]
struct Samples {
    nodes: BTreeSet<String>,
    /// By uid, since names are used again.
    pods: BTreeMap<String, Pod>,
    peaks: BTreeMap<(String, String), verify::Usage>,
}

/// A pod that the wait is about.
struct Pod {
    /// The object that the pod belongs to.
    of: ObjectRef,
    /// Memory and CPU limit of each container.
    limits: BTreeMap<String, [Option<String>; 2]>,
}

impl UsageSampler {
    pub(super) fn new(client: Client) -> Self {
        Self { client, seen: Mutex::default() }
    }

    /// Sets the objects to sample: their pods, on the nodes of these.
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

    /// The highest use of each container so far.
    pub(super) fn peaks(&self) -> Vec<verify::Usage> {
        lock(&self.seen).peaks.values().cloned().collect()
    }

    /// Samples until it is dropped, and reports changes.
    pub(super) async fn run(&self, report: impl Fn(Usage)) -> Infallible {
        let mut reported = BTreeMap::new();
        loop {
            sleep(PAUSE).await;
            let nodes = lock(&self.seen).nodes.clone();
            let asked = nodes.iter().map(|node| timeout(WITHIN, self.client.pod_usage(node)));
            let mut figures = Vec::new();
            for answer in join_all(asked).await.into_iter().flatten() {
                match answer {
                    Ok(read) => figures.extend(read),
                    // Without permission to read node stats, stop sampling.
                    Err(ClusterError::Forbidden { .. }) => return std::future::pending().await,
                    Err(_) => {}
                }
            }
            for (object, uses) in lock(&self.seen).add(figures) {
                if reported.get(&object) != Some(&uses) {
                    report(uses.clone());
                    reported.insert(object, uses);
                }
            }
        }
    }
}

impl Samples {
    /// Updates the peaks. Returns, for each object, the use of the container with most memory now.
    fn add(&mut self, mut figures: Vec<ContainerUsage>) -> BTreeMap<ObjectRef, Usage> {
        let mut uses = BTreeMap::new();
        figures.sort_by_key(|figure| figure.memory_bytes);
        for figure in figures {
            let Some(pod) = self.pods.get(&figure.pod_uid) else { continue };
            let [memory_limit, cpu_limit] =
                pod.limits.get(&figure.container).cloned().unwrap_or_default();
            // The last figure, which is the highest, stays.
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
        let limit =
            |resource: &str| container["resources"]["limits"][resource].as_str().map(str::to_owned);
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
    fn the_largest_container_represents_its_object_and_other_pods_are_ignored() {
        let object = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"}});
        let of = ObjectRef::of(&object).unwrap();
        let pod = json!({"spec": {"containers": [
            {"name": "web", "resources": {"limits": {"memory": "256Mi"}}},
            {"name": "log"},
        ]}});
        let known = Pod { of: of.clone(), limits: limits(&pod) };
        let mut seen =
            Samples { pods: BTreeMap::from([("1".to_owned(), known)]), ..Samples::default() };
        let figures =
            vec![figure("1", "web", 50), figure("1", "log", 20), figure("other", "web", 900)];
        let uses = seen.add(figures);
        assert_eq!(uses.len(), 1);
        let usage = &uses[&of];
        assert_eq!((usage.container.as_str(), usage.memory_bytes), ("web", 50));
        assert_eq!((usage.memory_limit.as_deref(), &usage.cpu_limit), (Some("256Mi"), &None));
        let _ = seen.add(vec![figure("1", "web", 10)]);
        let peaks: Vec<u64> = seen.peaks.values().map(|peak| peak.memory_bytes).collect();
        assert_eq!(peaks, [20, 50], "peaks stay");
    }
}
