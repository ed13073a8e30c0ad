//! Kinds served by a scripted cluster, and the discovery documents about them.
//!
//! Owns the table of kinds and its three forms: groups, resources of a version, and aggregated discovery.

use serde_json::{Value, json};

/// A served kind in one version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kind {
    /// API group; empty for the core group.
    pub group: String,
    /// Version, e.g. `v1`.
    pub version: String,
    /// Kind, e.g. `Deployment`.
    pub kind: String,
    /// Plural name, e.g. `deployments`.
    pub plural: String,
    /// Whether its objects belong to a namespace.
    pub namespaced: bool,
}

impl Kind {
    /// Creates a kind; `group` is empty for the core group.
    pub fn new(group: &str, version: &str, kind: &str, plural: &str, namespaced: bool) -> Self {
        Self {
            group: group.to_owned(),
            version: version.to_owned(),
            kind: kind.to_owned(),
            plural: plural.to_owned(),
            namespaced,
        }
    }

    /// API version, e.g. `apps/v1`, or `v1` in the core group.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.clone()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }

    /// Name of the resource in error messages, e.g. `deployments.apps`.
    pub fn resource(&self) -> String {
        if self.group.is_empty() {
            self.plural.clone()
        } else {
            format!("{}.{}", self.plural, self.group)
        }
    }
}

/// Kinds of every cluster that a deploy can use.
pub fn built_in() -> Vec<Kind> {
    [
        ("", "v1", "Namespace", "namespaces", false),
        ("", "v1", "Node", "nodes", false),
        ("", "v1", "PersistentVolume", "persistentvolumes", false),
        ("", "v1", "ConfigMap", "configmaps", true),
        ("", "v1", "Endpoints", "endpoints", true),
        ("", "v1", "Event", "events", true),
        ("", "v1", "LimitRange", "limitranges", true),
        ("", "v1", "PersistentVolumeClaim", "persistentvolumeclaims", true),
        ("", "v1", "Pod", "pods", true),
        ("", "v1", "ReplicationController", "replicationcontrollers", true),
        ("", "v1", "ResourceQuota", "resourcequotas", true),
        ("", "v1", "Secret", "secrets", true),
        ("", "v1", "Service", "services", true),
        ("", "v1", "ServiceAccount", "serviceaccounts", true),
        ("apps", "v1", "ControllerRevision", "controllerrevisions", true),
        ("apps", "v1", "DaemonSet", "daemonsets", true),
        ("apps", "v1", "Deployment", "deployments", true),
        ("apps", "v1", "ReplicaSet", "replicasets", true),
        ("apps", "v1", "StatefulSet", "statefulsets", true),
        ("autoscaling", "v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers", true),
        ("batch", "v1", "CronJob", "cronjobs", true),
        ("batch", "v1", "Job", "jobs", true),
        ("coordination.k8s.io", "v1", "Lease", "leases", true),
        ("discovery.k8s.io", "v1", "EndpointSlice", "endpointslices", true),
        ("events.k8s.io", "v1", "Event", "events", true),
        ("networking.k8s.io", "v1", "Ingress", "ingresses", true),
        ("networking.k8s.io", "v1", "NetworkPolicy", "networkpolicies", true),
        ("policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets", true),
        ("rbac.authorization.k8s.io", "v1", "ClusterRole", "clusterroles", false),
        ("rbac.authorization.k8s.io", "v1", "ClusterRoleBinding", "clusterrolebindings", false),
        ("rbac.authorization.k8s.io", "v1", "Role", "roles", true),
        ("rbac.authorization.k8s.io", "v1", "RoleBinding", "rolebindings", true),
        (
            "apiextensions.k8s.io",
            "v1",
            "CustomResourceDefinition",
            "customresourcedefinitions",
            false,
        ),
    ]
    .into_iter()
    .map(|(group, version, kind, plural, namespaced)| {
        Kind::new(group, version, kind, plural, namespaced)
    })
    .collect()
}

const VERBS: [&str; 8] =
    ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];

fn groups(kinds: &[Kind]) -> Vec<(String, String)> {
    let mut groups: Vec<(String, String)> = Vec::new();
    for kind in kinds {
        let pair = (kind.group.clone(), kind.version.clone());
        if !groups.contains(&pair) {
            groups.push(pair);
        }
    }
    groups
}

/// Response to `/api`.
pub fn core_versions() -> Value {
    json!({ "kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": [] })
}

/// Response to `/apis`.
pub fn group_list(kinds: &[Kind]) -> Value {
    let groups: Vec<Value> = groups(kinds)
        .into_iter()
        .filter(|(group, _)| !group.is_empty())
        .map(|(group, version)| {
            let served =
                json!({ "groupVersion": format!("{group}/{version}"), "version": version });
            json!({ "name": group, "versions": [served], "preferredVersion": served })
        })
        .collect();
    json!({ "kind": "APIGroupList", "apiVersion": "v1", "groups": groups })
}

/// Response to `/api/v1` and `/apis/GROUP/VERSION`; `None` if the version has no served kinds.
pub fn resource_list(kinds: &[Kind], group: &str, version: &str) -> Option<Value> {
    let mut resources = Vec::new();
    let mut api_version = None;
    for kind in kinds.iter().filter(|kind| kind.group == group && kind.version == version) {
        api_version = Some(kind.api_version());
        resources.push(json!({
            "name": kind.plural,
            "singularName": kind.kind.to_lowercase(),
            "namespaced": kind.namespaced,
            "kind": kind.kind,
            "verbs": VERBS,
        }));
    }
    let api_version = api_version?;
    Some(json!({
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": api_version,
        "resources": resources,
    }))
}

/// Aggregated response to `/api` (`core`) and `/apis`.
pub fn aggregated(kinds: &[Kind], core: bool) -> Value {
    let items: Vec<Value> = groups(kinds)
        .into_iter()
        .filter(|(group, _)| group.is_empty() == core)
        .map(|(group, version)| {
            let resources: Vec<Value> = kinds
                .iter()
                .filter(|kind| kind.group == group && kind.version == version)
                .map(|kind| {
                    json!({
                        "resource": kind.plural,
                        "responseKind": {
                            "group": kind.group, "version": kind.version, "kind": kind.kind,
                        },
                        "scope": if kind.namespaced { "Namespaced" } else { "Cluster" },
                        "singularResource": kind.kind.to_lowercase(),
                        "verbs": VERBS,
                    })
                })
                .collect();
            json!({
                "metadata": { "name": group, "creationTimestamp": null },
                "versions": [{
                    "version": version, "resources": resources, "freshness": "Current",
                }],
            })
        })
        .collect();
    json!({
        "kind": "APIGroupDiscoveryList",
        "apiVersion": "apidiscovery.k8s.io/v2",
        "metadata": {},
        "items": items,
    })
}
