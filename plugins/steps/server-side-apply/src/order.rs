//! Which kinds go first: what others need, before those who need it.

use crate::object::Identity;

/// A wave of the plan, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Namespaces and definitions: nothing else can be made before they are there.
    Foundations,
    /// What workloads refer to when they start.
    Supplies,
    /// What runs.
    Workloads,
    /// What refers to workloads, and every kind that is not known.
    Rest,
}

impl Stage {
    /// Its name for people.
    pub fn title(self) -> &'static str {
        match self {
            Self::Foundations => "namespaces and definitions",
            Self::Supplies => "configuration and services",
            Self::Workloads => "workloads",
            Self::Rest => "everything else",
        }
    }
}

const FOUNDATIONS: [&str; 2] = ["Namespace", "CustomResourceDefinition"];
const SUPPLIES: [&str; 23] = [
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

/// The stage of an object and its place in it. A kind of somebody else's group that borrows a known name is not
/// that kind.
pub fn place(identity: &Identity) -> (Stage, usize) {
    let rank = |kinds: &[&str]| kinds.iter().position(|kind| *kind == identity.kind);
    if !is_built_in(&identity.group) {
        return (Stage::Rest, 0);
    }
    if let Some(rank) = rank(&FOUNDATIONS) {
        (Stage::Foundations, rank)
    } else if let Some(rank) = rank(&SUPPLIES) {
        (Stage::Supplies, rank)
    } else if let Some(rank) = rank(&WORKLOADS) {
        (Stage::Workloads, rank)
    } else {
        (Stage::Rest, 0)
    }
}

/// Kubernetes' own groups: without a dot, or below `k8s.io`.
pub fn is_built_in(group: &str) -> bool {
    !group.contains('.') || group.ends_with(".k8s.io")
}

/// Kinds whose deletion takes away what cannot be made again.
pub fn is_never_pruned(identity: &Identity) -> bool {
    const PRECIOUS: [&str; 4] =
        ["Namespace", "PersistentVolume", "PersistentVolumeClaim", "CustomResourceDefinition"];
    is_built_in(&identity.group) && PRECIOUS.contains(&identity.kind.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(group: &str, kind: &str) -> Identity {
        Identity { group: group.into(), kind: kind.into(), namespace: "a".into(), name: "b".into() }
    }

    #[test]
    fn what_is_needed_goes_first() {
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
        let places: Vec<_> =
            kinds.iter().map(|(group, kind)| place(&identity(group, kind))).collect();
        assert!(places.is_sorted(), "{places:?}");
        assert_eq!(place(&identity("example.com", "Secret")).0, Stage::Rest);
    }

    #[test]
    fn only_kubernetes_own_kinds_are_precious() {
        assert!(is_never_pruned(&identity("", "PersistentVolumeClaim")));
        assert!(!is_never_pruned(&identity("example.com", "Namespace")));
        assert!(!is_never_pruned(&identity("", "ConfigMap")));
    }
}
