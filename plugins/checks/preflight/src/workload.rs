//! Objects that run pods: their number of pods, the requests of each, and which running pods belong to them.

use serde_json::Value;
use std::ops::Add;
use todohost_quantity as quantity;

/// CPU and memory, in billionths of a core and of a byte.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Amount {
    pub cpu: i128,
    pub memory: i128,
}

impl Amount {
    /// Reads `requests`, `limits` or `allocatable`. Missing and malformed quantities count as 0.
    pub fn of(stated: &Value) -> Self {
        let read = |name: &str| quantity::parse(&stated[name]).unwrap_or_default();
        Self { cpu: read("cpu"), memory: read("memory") }
    }

    /// The larger CPU and the larger memory of both.
    fn max(self, other: Self) -> Self {
        Self { cpu: self.cpu.max(other.cpu), memory: self.memory.max(other.memory) }
    }

    /// Whether neither CPU nor memory exceeds `room`.
    pub fn fits(self, room: Self) -> bool {
        self.cpu <= room.cpu && self.memory <= room.memory
    }

    /// The difference; it can be negative.
    pub fn less(self, other: Self) -> Self {
        Self { cpu: self.cpu - other.cpu, memory: self.memory - other.memory }
    }

    pub fn times(self, count: i128) -> Self {
        Self { cpu: self.cpu * count, memory: self.memory * count }
    }
}

impl Add for Amount {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { cpu: self.cpu + other.cpu, memory: self.memory + other.memory }
    }
}

/// `250m CPU and 64Mi`.
impl std::fmt::Display for Amount {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        const MILLI: i128 = 1_000_000;
        const MEBI: i128 = (1 << 20) * 1_000_000_000;
        write!(out, "{}m CPU and {}Mi", self.cpu / MILLI, self.memory / MEBI)
    }
}

/// The resources that the scheduler reserves for a pod, by the rules for init containers, sidecars and overhead.
pub fn requests(pod: &Value) -> Amount {
    let list = |name: &str| pod[name].as_array().map(Vec::as_slice).unwrap_or_default();
    let (mut running, mut starting) = (Amount::default(), Amount::default());
    for container in list("initContainers") {
        if container["restartPolicy"] == "Always" {
            // A sidecar starts before the other containers and keeps running.
            running = running + container_requests(container);
            starting = starting.max(running);
        } else {
            starting = starting.max(running + container_requests(container));
        }
    }
    let running = list("containers").iter().map(container_requests).fold(running, Amount::add);
    running.max(starting) + Amount::of(&pod["overhead"])
}

/// A container's requests. The API server uses the limit as request if no request is set.
fn container_requests(container: &Value) -> Amount {
    let resources = &container["resources"];
    let mut stated = resources["limits"].as_object().cloned().unwrap_or_default();
    stated.extend(resources["requests"].as_object().cloned().unwrap_or_default());
    Amount::of(&Value::Object(stated))
}

/// An object that keeps pods running.
pub struct Workload<'a> {
    /// E.g. `Deployment/web`.
    pub name: String,
    namespace: &'a str,
    /// Number of pods; `None` for one on each node.
    pub replicas: Option<u64>,
    /// Specification of its pods.
    pub pod: &'a Value,
    selector: &'a Value,
}

impl<'a> Workload<'a> {
    /// `None` if the object runs no pods, or only temporarily like a `CronJob`.
    pub fn of(object: &'a Value, namespace: &'a str) -> Option<Self> {
        let kind = object["kind"].as_str()?;
        let spec = &object["spec"];
        let (replicas, pod) = match kind {
            "Deployment" | "StatefulSet" | "ReplicaSet" | "ReplicationController" => {
                (Some(spec["replicas"].as_u64().unwrap_or(1)), &spec["template"]["spec"])
            }
            "DaemonSet" => (None, &spec["template"]["spec"]),
            "Job" => (Some(spec["parallelism"].as_u64().unwrap_or(1)), &spec["template"]["spec"]),
            "Pod" => (Some(1), spec),
            _ => return None,
        };
        pod.is_object().then(|| Self {
            name: format!("{kind}/{}", object["metadata"]["name"].as_str().unwrap_or("?")),
            namespace: object["metadata"]["namespace"].as_str().unwrap_or(namespace),
            replicas,
            pod,
            selector: &spec["selector"]["matchLabels"],
        })
    }

    /// Whether a running pod belongs to this workload, which then keeps or replaces it.
    pub fn owns(&self, pod: &Value) -> bool {
        let labels = &pod["metadata"]["labels"];
        pod["metadata"]["namespace"] == self.namespace
            && self.selector.as_object().is_some_and(|wanted| {
                !wanted.is_empty() && wanted.iter().all(|(key, value)| labels[key] == *value)
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn pod_requests_are_the_maximum_of_starting_and_running() {
        let resources = |cpu: &str| json!({ "resources": { "requests": { "cpu": cpu } } });
        let mut sidecar = resources("100m");
        sidecar["restartPolicy"] = json!("Always");
        let pod = json!({
            "initContainers": [resources("300m"), sidecar, resources("700m")],
            "containers": [resources("200m"), { "resources": { "limits": { "memory": "64Mi" } } }],
            "overhead": { "cpu": "10m" },
        });
        assert_eq!(requests(&pod).to_string(), "810m CPU and 64Mi");
        assert_eq!(requests(&json!({})), Amount::default());
    }

    #[test]
    fn own_pods_are_recognised_by_labels_and_namespace() {
        let object = json!({ "kind": "Deployment", "metadata": { "name": "web" }, "spec": {
            "selector": { "matchLabels": { "app": "web" } }, "template": { "spec": {} } } });
        let workload = Workload::of(&object, "shop").unwrap();
        assert_eq!((workload.name.as_str(), workload.replicas), ("Deployment/web", Some(1)));
        let pod = |namespace: &str, app: &str| json!({ "metadata": { "namespace": namespace, "labels": { "app": app, "x": "y" } } });
        assert!(workload.owns(&pod("shop", "web")));
        assert!(!workload.owns(&pod("other", "web")));
        assert!(!workload.owns(&pod("shop", "api")));
    }
}
