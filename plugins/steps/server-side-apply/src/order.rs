//! The order of kinds: objects that others need are applied before them.

use crate::object::Identity;

/// A stage of the plan. Stages are applied in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Namespaces and definitions, which must exist before all other objects.
    Foundations,
    /// Objects that workloads use when they start.
    Configuration,
    /// Objects that run pods.
    Workloads,
    /// Objects that refer to workloads, and all custom resources.
    Others,
}

impl Stage {
    /// The title of its wave.
    pub fn title(self) -> &'static str {
        match self {
            Self::Foundations => "namespaces and definitions",
            Self::Configuration => "configuration and services",
            Self::Workloads => "workloads",
            Self::Others => "everything else",
        }
    }
}

const FOUNDATIONS: [&str; 2] = ["Namespace", "CustomResourceDefinition"];
const CONFIGURATION: [&str; 23] = [
    "PriorityClass",
    "RuntimeClass",
    "StorageClass",
    "IngressClass",
    "ResourceQuota",
    "LimitRange",
    "NetworkPolicy",
    "PodDisruptionBudget",
    "ServiceAccount",
    "ClusterRole",
    "ClusterRoleBinding",
    "Role",
    "RoleBinding",
    "Secret",
    "ConfigMap",
    "CSIDriver",
    "CSINode",
    "PersistentVolume",
    "PersistentVolumeClaim",
    "Endpoints",
    "EndpointSlice",
    "Service",
    "PodTemplate",
];
const WORKLOADS: [&str; 8] = [
    "DaemonSet",
    "Pod",
    "ReplicationController",
    "ReplicaSet",
    "Deployment",
    "StatefulSet",
    "Job",
    "CronJob",
];

/// The stage of an object and its position in the stage. Kinds of custom groups with a built-in name are custom
/// resources.
pub fn position(identity: &Identity) -> (Stage, usize) {
    let rank = |kinds: &[&str]| kinds.iter().position(|kind| *kind == identity.kind);
    if !is_built_in(&identity.group) {
        return (Stage::Others, 0);
    }
    if let Some(rank) = rank(&FOUNDATIONS) {
        (Stage::Foundations, rank)
    } else if let Some(rank) = rank(&CONFIGURATION) {
        (Stage::Configuration, rank)
    } else if let Some(rank) = rank(&WORKLOADS) {
        (Stage::Workloads, rank)
    } else {
        (Stage::Others, 0)
    }
}

/// Whether a group is one of Kubernetes' own: without a dot, or below `k8s.io`.
pub fn is_built_in(group: &str) -> bool {
    !group.contains('.') || group.ends_with(".k8s.io")
}

/// Whether the deletion of an object would destroy data that a deploy cannot create again.
pub fn is_never_pruned(identity: &Identity) -> bool {
    const KEPT: [&str; 4] =
        ["Namespace", "PersistentVolume", "PersistentVolumeClaim", "CustomResourceDefinition"];
    is_built_in(&identity.group) && KEPT.contains(&identity.kind.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(group: &str, kind: &str) -> Identity {
        Identity { group: group.into(), kind: kind.into(), namespace: "a".into(), name: "b".into() }
    }

    #[test]
    fn kinds_that_others_need_come_first() {
        let kinds = [
            ("", "Namespace"),
            ("apiextensions.k8s.io", "CustomResourceDefinition"),
            ("", "ServiceAccount"),
            ("rbac.authorization.k8s.io", "RoleBinding"),
            ("", "Secret"),
            ("", "PersistentVolumeClaim"),
            ("", "Service"),
            ("apps", "Deployment"),
            ("batch", "Job"),
            ("networking.k8s.io", "Ingress"),
        ];
        let positions: Vec<_> =
            kinds.iter().map(|(group, kind)| position(&identity(group, kind))).collect();
        assert!(positions.is_sorted(), "{positions:?}");
        assert_eq!(position(&identity("example.com", "Secret")).0, Stage::Others);
    }

    #[test]
    fn only_built_in_kinds_with_data_are_never_pruned() {
        assert!(is_never_pruned(&identity("", "PersistentVolumeClaim")));
        assert!(!is_never_pruned(&identity("example.com", "Namespace")));
        assert!(!is_never_pruned(&identity("", "ConfigMap")));
    }
}
