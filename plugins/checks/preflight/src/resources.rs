//! The row about free resources: compares the requests of the app's pods with the allocatable resources of the nodes,
//! less the requests of other pods.
//!
//! The row fails only if no schedule of the pods can work. It ignores affinity, hooks, and the additional pods during a
//! rolling update.

use serde_json::Value;
use todohost_plugin::subject::Rendered;
use todohost_plugin::{Finding, Result};

use crate::workload::{Amount, Workload, requests};
use crate::{not_judged, unreadable};

/// Code of the row.
pub const CODE: &str = "preflight.resources";

/// Pods scheduled one by one at most; the others only count in the sum.
const MOST_PODS: usize = 2_000;

/// Checks that the nodes can run the app's pods. `nodes`, and `pods` of all namespaces, are called only if a container
/// requests resources.
pub fn check(
    rendered: &Rendered,
    nodes: impl FnOnce() -> Result<Vec<Value>>,
    pods: impl FnOnce() -> Result<Vec<Value>>,
) -> Finding {
    let namespace = &rendered.app.namespace;
    let workloads: Vec<Workload<'_>> =
        rendered.objects.iter().filter_map(|object| Workload::of(object, namespace)).collect();
    if workloads.iter().all(|workload| requests(workload.pod) == Amount::default()) {
        return not_judged(CODE, "no container requests CPU or memory");
    }
    let (nodes, pods) = match nodes().and_then(|nodes| Ok((nodes, pods()?))) {
        Ok(read) => read,
        Err(error) => return unreadable(CODE, &error),
    };
    let others: Vec<&Value> = pods
        .iter()
        .filter(|pod| !matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed")))
        .filter(|pod| !workloads.iter().any(|workload| workload.owns(pod)))
        .collect();
    let mut usable: Vec<Node<'_>> = Vec::new();
    let mut reasons: Vec<String> = Vec::new();
    for node in &nodes {
        match Node::of(node, &others) {
            Ok(node) => usable.push(node),
            Err(reason) => reasons.push(reason),
        }
    }
    if usable.is_empty() {
        let reason = reasons.first().map_or("the cluster has no nodes", String::as_str);
        let message = format!("no node accepts pods: {reason}");
        return reasons.iter().fold(Finding::failed(CODE, message), Finding::evidence).help(
            "kubectl describe nodes shows the reason; a local cluster may need a restart or more disk space",
        );
    }
    schedule(&workloads, usable)
}

/// A node that accepts pods.
struct Node<'a> {
    name: &'a str,
    labels: &'a Value,
    taints: &'a [Value],
    free: Amount,
    /// Number of pods that can be added.
    slots: u64,
}

impl<'a> Node<'a> {
    /// Reads a node. The error is the reason for which it accepts no pods.
    fn of(node: &'a Value, pods: &[&Value]) -> Result<Self, String> {
        let name = node["metadata"]["name"].as_str().unwrap_or("?");
        let (spec, status) = (&node["spec"], &node["status"]);
        let conditions = status["conditions"].as_array().map(Vec::as_slice).unwrap_or_default();
        let ready = conditions.iter().find(|condition| condition["type"] == "Ready");
        if ready.is_none_or(|condition| condition["status"] != "True") {
            let reason = ready.and_then(|condition| condition["message"].as_str());
            return Err(format!("{name} is not ready: {}", reason.unwrap_or("no reason given")));
        }
        if spec["unschedulable"] == true {
            return Err(format!("{name} is cordoned"));
        }
        if !status["allocatable"].is_object() {
            return Err(format!("{name} does not report its allocatable resources"));
        }
        let here: Vec<&&Value> =
            pods.iter().filter(|pod| pod["spec"]["nodeName"] == name).collect();
        let used =
            here.iter().map(|pod| requests(&pod["spec"])).fold(Amount::default(), |a, b| a + b);
        let count = u64::try_from(here.len()).unwrap_or(u64::MAX);
        let most = &status["allocatable"]["pods"];
        let most = most.as_str().and_then(|text| text.parse().ok()).or_else(|| most.as_u64());
        Ok(Self {
            name,
            labels: &node["metadata"]["labels"],
            taints: spec["taints"].as_array().map(Vec::as_slice).unwrap_or_default(),
            free: Amount::of(&status["allocatable"]).less(used),
            slots: most.unwrap_or(u64::MAX).saturating_sub(count),
        })
    }

    /// Whether node selector and taints allow the pod on this node.
    fn accepts(&self, pod: &Value) -> bool {
        let selected = pod["nodeSelector"]
            .as_object()
            .is_none_or(|wanted| wanted.iter().all(|(key, value)| self.labels[key] == *value));
        let tolerations = pod["tolerations"].as_array().map(Vec::as_slice).unwrap_or_default();
        let repels = |taint: &&Value| {
            taint["effect"] != "PreferNoSchedule"
                && !tolerations.iter().any(|toleration| tolerates(toleration, taint))
        };
        selected && !self.taints.iter().any(|taint| repels(&taint))
    }

    fn has_room(&self, request: Amount) -> bool {
        self.slots > 0 && request.fits(self.free)
    }

    fn fill(&mut self, request: Amount) {
        self.free = self.free.less(request);
        self.slots = self.slots.saturating_sub(1);
    }
}

fn tolerates(toleration: &Value, taint: &Value) -> bool {
    let (key, effect) = (&toleration["key"], &toleration["effect"]);
    let any = |value: &Value| value.is_null() || value == "";
    let exists = toleration["operator"] == "Exists";
    (any(effect) || *effect == taint["effect"])
        && ((exists && any(key))
            || (*key == taint["key"] && (exists || toleration["value"] == taint["value"])))
}

/// Schedules pod by pod, the largest first. It is a failure if the pods cannot fit, and a warning if another order of
/// scheduling might fit them.
fn schedule(workloads: &[Workload<'_>], mut nodes: Vec<Node<'_>>) -> Finding {
    let help = "lower requests or replicas in the chart's values, delete unused workloads, or give the cluster more CPU \
                and memory";
    let room = nodes.iter().map(|node| node.free).fold(Amount::default(), |a, b| a + b);
    let lines: Vec<String> =
        nodes.iter().map(|node| format!("{} has {} free", node.name, node.free)).collect();
    let evidence = |finding: Finding| lines.iter().fold(finding, Finding::evidence).help(help);

    let mut wanted: Vec<(&Workload<'_>, Amount)> = Vec::new();
    let (mut total, mut count) = (Amount::default(), 0);
    for workload in workloads {
        let request = requests(workload.pod);
        let candidates = nodes.iter().filter(|node| node.accepts(workload.pod));
        let replicas = workload
            .replicas
            .unwrap_or_else(|| u64::try_from(candidates.clone().count()).unwrap_or(u64::MAX));
        if replicas > 0
            && workload.replicas.is_some()
            && !candidates.clone().any(|node| node.has_room(request))
        {
            let message = format!(
                "no node has room for a pod of {}, which requests {request}",
                workload.name
            );
            return evidence(Finding::failed(CODE, message));
        }
        count += replicas;
        total = total + request.times(replicas.into());
        match workload.replicas {
            Some(replicas) => {
                let left = MOST_PODS.saturating_sub(wanted.len());
                let copies = usize::try_from(replicas).unwrap_or(left).min(left);
                wanted.extend(std::iter::repeat_n((workload, request), copies));
            }
            None => {
                for node in nodes.iter_mut().filter(|node| node.accepts(workload.pod)) {
                    node.fill(request);
                }
            }
        }
    }
    let pods = if count == 1 { "pod requests" } else { "pods request" };
    let summary = format!("{count} {pods} {total}; {room} are free");
    if !total.fits(room) {
        return evidence(Finding::failed(CODE, summary));
    }
    wanted.sort_by_key(|(_, request)| std::cmp::Reverse((request.memory, request.cpu)));
    for (workload, request) in wanted {
        let chosen =
            nodes.iter_mut().find(|node| node.accepts(workload.pod) && node.has_room(request));
        let Some(node) = chosen else {
            let message = format!("{summary}, but a pod of {} may fit on no node", workload.name);
            return evidence(Finding::warning(CODE, message));
        };
        node.fill(request);
    }
    lines.iter().fold(Finding::passed(CODE, summary), Finding::evidence)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use todohost_plugin::subject::App;
    use todohost_plugin::{Error, Outcome};

    fn deployment(name: &str, replicas: u64, memory: &str) -> Value {
        json!({ "kind": "Deployment", "metadata": { "name": name }, "spec": {
            "replicas": replicas,
            "selector": { "matchLabels": { "app": name } },
            "template": { "spec": { "containers": [
                { "resources": { "requests": { "cpu": "100m", "memory": memory } } },
            ] } },
        } })
    }

    fn node(name: &str, memory: &str) -> Value {
        json!({ "metadata": { "name": name }, "status": {
            "conditions": [{ "type": "Ready", "status": "True" }],
            "allocatable": { "cpu": "2", "memory": memory, "pods": "10" },
        } })
    }

    fn pod(namespace: &str, app: &str, node: &str, memory: &str) -> Value {
        json!({ "metadata": { "namespace": namespace, "labels": { "app": app } },
            "spec": { "nodeName": node, "containers": [
                { "resources": { "requests": { "memory": memory } } } ] },
            "status": { "phase": "Running" } })
    }

    fn checked(objects: Vec<Value>, nodes: Vec<Value>, pods: Vec<Value>) -> Finding {
        let app = App { name: "shop".into(), namespace: "shop".into() };
        let rendered = Rendered { app, objects, images: Vec::new(), target: json!({}) };
        check(&rendered, || Ok(nodes), || Ok(pods))
    }

    #[test]
    fn requests_of_other_pods_count_and_those_of_replaced_pods_do_not() {
        let objects = || vec![deployment("web", 2, "300Mi")];
        let finding = checked(
            objects(),
            vec![node("a", "1Gi")],
            vec![pod("shop", "web", "a", "600Mi"), pod("kube-system", "dns", "a", "100Mi")],
        );
        assert_eq!(finding.outcome, Outcome::Passed, "{finding:?}");
        assert_eq!(
            finding.message,
            "2 pods request 200m CPU and 600Mi; 2000m CPU and 924Mi are free"
        );
        let others = vec![pod("other", "web", "a", "600Mi")];
        let finding = checked(objects(), vec![node("a", "1Gi")], others);
        assert_eq!(finding.outcome, Outcome::Failed, "{finding:?}");
        assert_eq!(finding.evidence, ["a has 2000m CPU and 424Mi free"]);
    }

    #[test]
    fn pod_larger_than_any_node_is_named() {
        let objects = vec![deployment("small", 1, "1Mi"), deployment("big", 1, "3Gi")];
        let finding = checked(objects, vec![node("a", "2Gi"), node("b", "2Gi")], vec![]);
        assert_eq!(
            (finding.outcome, finding.message.as_str()),
            (
                Outcome::Failed,
                "no node has room for a pod of Deployment/big, which requests 100m CPU and 3072Mi"
            )
        );
    }

    #[test]
    fn pods_that_fit_only_in_sum_are_a_warning() {
        let objects = vec![deployment("web", 3, "700Mi")];
        let nodes = vec![node("a", "1200Mi"), node("b", "1200Mi")];
        assert_eq!(checked(objects, nodes, vec![]).outcome, Outcome::Warning);
    }

    #[test]
    fn tainted_and_unready_nodes_have_no_room() {
        let mut tainted = node("a", "2Gi");
        tainted["spec"]["taints"] =
            json!([{ "key": "gpu", "value": "yes", "effect": "NoSchedule" }]);
        let mut object = deployment("web", 1, "1Mi");
        let finding = checked(vec![object.clone()], vec![tainted.clone()], vec![]);
        assert_eq!(finding.outcome, Outcome::Failed, "{finding:?}");
        object["spec"]["template"]["spec"]["tolerations"] =
            json!([{ "key": "gpu", "operator": "Exists" }]);
        assert_eq!(checked(vec![object.clone()], vec![tainted], vec![]).outcome, Outcome::Passed);
        let mut sick = node("b", "2Gi");
        sick["status"]["conditions"][0] =
            json!({ "type": "Ready", "status": "False", "message": "disk pressure" });
        let finding = checked(vec![object], vec![sick], vec![]);
        assert_eq!(finding.message, "no node accepts pods: b is not ready: disk pressure");
    }

    #[test]
    fn daemon_set_counts_one_pod_for_each_node() {
        let mut object = deployment("agent", 9, "100Mi");
        object["kind"] = json!("DaemonSet");
        let finding = checked(vec![object], vec![node("a", "1Gi"), node("b", "1Gi")], vec![]);
        assert!(finding.message.starts_with("2 pods request 200m CPU and 200Mi;"), "{finding:?}");
    }

    #[test]
    fn cluster_is_not_read_without_requests() {
        let app = App { name: "shop".into(), namespace: "shop".into() };
        let rendered = Rendered { app, objects: vec![], images: vec![], target: json!({}) };
        let finding = check(&rendered, || panic!("no nodes"), || panic!("no pods"));
        assert_eq!(finding.outcome, Outcome::NotJudged);
        let rendered = Rendered { objects: vec![deployment("a", 1, "1Mi")], ..rendered };
        let denied = || Err(Error::unavailable("x", "nodes is forbidden"));
        assert_eq!(check(&rendered, denied, || Ok(vec![])).message, "nodes is forbidden");
    }
}
