//! What runs pods: how many, what each requests, and which of the pods that run are its own already.

use serde_json::Value;
use std::ops::Add;
use todohost_quantity as quantity;

/// CPU and memory, in billionths of a core and of a byte.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Amount {
    /// Of a core.
    pub cpu: i128,
    /// Of a byte.
    pub memory: i128,
}

impl Amount {
    /// As `requests`, `limits` or `allocatable` state it; what is absent or malformed is nothing.
    pub fn of(stated: &Value) -> Self {
        let read = |name: &str| quantity::parse(&stated[name]).unwrap_or_default();
        Self { cpu: read("cpu"), memory: read("memory") }
    }

    /// The larger of both, each for itself.
    fn max(self, other: Self) -> Self {
        Self { cpu: self.cpu.max(other.cpu), memory: self.memory.max(other.memory) }
    }

    /// Whether there is as much of both.
    pub fn fits(self, room: Self) -> bool {
        self.cpu <= room.cpu && self.memory <= room.memory
    }

    /// What is left of it.
    pub fn less(self, other: Self) -> Self {
        Self { cpu: self.cpu - other.cpu, memory: self.memory - other.memory }
    }

    /// So many of it.
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

/// What a pod keeps for itself on its node.
pub fn requests(pod: &Value) -> Amount {
    let list = |name: &str| pod[name].as_array().map(Vec::as_slice).unwrap_or_default();
    let (mut running, mut starting) = (Amount::default(), Amount::default());
    for container in list("initContainers") {
        if container["restartPolicy"] == "Always" {
            // It starts before the others, and stays beside them.
            running = running + of_container(container);
            starting = starting.max(running);
        } else {
            starting = starting.max(running + of_container(container));
        }
    }
    let running = list("containers").iter().map(of_container).fold(running, Amount::add);
    running.max(starting) + Amount::of(&pod["overhead"])
}

/// The API server takes a limit for the request where there is none.
fn of_container(container: &Value) -> Amount {
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
    /// How many pods; `None` where it is one for each node.
    pub replicas: Option<u64>,
    /// What its pods are.
    pub pod: &'a Value,
    selector: &'a Value,
}

impl<'a> Workload<'a> {
    /// `None` where an object runs no pods, or only at times.
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

    /// Whether a pod that runs is one that this will replace or keep.
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
    fn a_pod_requests_what_it_needs_at_its_most() {
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
    fn its_own_pods_are_known_by_their_labels() {
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
