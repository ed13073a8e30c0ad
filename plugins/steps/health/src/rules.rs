//! Checks by its own status whether an object is ready: the conventions of `kstatus`
//! (<https://github.com/kubernetes-sigs/cli-utils/tree/master/pkg/kstatus>), and rules for the kinds that every
//! cluster has. The module `cause` finds out why pods are not ready.

mod cluster;
mod workload;

use crate::document::{condition, is_terminating, number, text};
use serde_json::Value;
use todohost_plugin::verify::{Health, Subject, Verdict};

/// The status describes an older generation of the object, and so do its pods.
pub const NOT_OBSERVED: &str = "NotObserved";
/// The object is being deleted.
pub const TERMINATING: &str = "Terminating";

/// Kubernetes' own API groups without a dot in the name, the core group included.
const OWN_GROUPS: [&str; 5] = ["", "apps", "autoscaling", "batch", "policy"];

/// Suffix of Kubernetes' other API groups.
const OWN_SUFFIX: &str = ".k8s.io";

/// Groups under that suffix that hold custom resources with controllers of their own.
const CUSTOM_GROUPS: [&str; 2] = ["gateway.networking.k8s.io", "snapshot.storage.k8s.io"];

/// The verdict on an object from its own status, without its pods.
pub fn judge(subject: &Subject) -> Verdict {
    let object = &subject.object;
    if is_terminating(object) {
        return progressing(TERMINATING, "being deleted");
    }
    // The status of an older generation does not describe the applied object.
    if let (Some(observed), Some(wanted)) =
        (number(object, "/status/observedGeneration"), number(object, "/metadata/generation"))
        && observed < wanted
    {
        return progressing(NOT_OBSERVED, "its controller has not observed the change yet");
    }
    let group = text(object, "/apiVersion").split_once('/').map_or("", |(group, _)| group);
    match (group, text(object, "/kind")) {
        ("apps", "Deployment") => workload::deployment(object),
        ("apps", "StatefulSet") => workload::stateful_set(object),
        ("apps", "DaemonSet") => workload::daemon_set(object),
        ("apps", "ReplicaSet") | ("", "ReplicationController") => workload::replica_set(object),
        ("batch", "Job") => workload::job(object),
        ("batch", "CronJob") => workload::cron_job(object),
        ("", "Pod") => workload::pod(object),
        ("", "PersistentVolumeClaim") => cluster::claim(subject),
        ("", "Service") => cluster::service(object),
        ("", "Namespace") => cluster::namespace(object),
        ("policy", "PodDisruptionBudget") => cluster::disruption_budget(object),
        ("autoscaling", "HorizontalPodAutoscaler") => cluster::autoscaler(object),
        ("apiextensions.k8s.io", "CustomResourceDefinition") => cluster::definition(object),
        ("apiregistration.k8s.io", "APIService") => cluster::api_service(object),
        // No controller works on Kubernetes' other kinds, so they are ready once they exist.
        (group, _) if is_own(group) => healthy("exists"),
        _ => custom(object),
    }
}

fn is_own(group: &str) -> bool {
    OWN_GROUPS.contains(&group) || (group.ends_with(OWN_SUFFIX) && !CUSTOM_GROUPS.contains(&group))
}

/// A custom resource that follows the conventions has the condition `Ready`, or `Reconciling` and `Stalled`. Other
/// custom resources get no opinion, so that they cannot block a deploy.
fn custom(object: &Value) -> Verdict {
    let with_status = |kind: &str, status: &str| {
        let condition = condition(object, kind)?;
        (text(condition, "/status") == status)
            .then(|| (text(condition, "/reason"), text(condition, "/message")))
    };
    if let Some((reason, message)) = with_status("Stalled", "True") {
        return Verdict::new(Health::Failed, or(reason, "Stalled"), or(message, "stalled"));
    }
    if let Some((_, message)) = with_status("Reconciling", "True") {
        return progressing("Reconciling", or(message, "being reconciled"));
    }
    let Some(ready) = condition(object, "Ready") else {
        return Verdict::new(Health::NoOpinion, "NoRule", "no readiness rule for this kind");
    };
    let is_of_older_generation =
        match (number(ready, "/observedGeneration"), number(object, "/metadata/generation")) {
            (Some(observed), Some(wanted)) => observed < wanted,
            _ => false,
        };
    if is_of_older_generation {
        return progressing(NOT_OBSERVED, "its controller has not observed the change yet");
    }
    match text(ready, "/status") {
        "True" => healthy("ready"),
        _ => {
            let reason = or(text(ready, "/reason"), "Waiting");
            progressing(reason, or(text(ready, "/message"), "not ready yet"))
        }
    }
}

fn or<'a>(text: &'a str, otherwise: &'a str) -> &'a str {
    if text.is_empty() { otherwise } else { text }
}

fn healthy(message: impl Into<String>) -> Verdict {
    Verdict::new(Health::Healthy, "Ready", message)
}

fn progressing(reason: &str, message: impl Into<String>) -> Verdict {
    Verdict::new(Health::Progressing, reason, message)
}

fn failing(reason: &str, message: impl Into<String>) -> Verdict {
    Verdict::new(Health::Failing, reason, message)
}

fn failed(reason: &str, message: impl Into<String>) -> Verdict {
    Verdict::new(Health::Failed, reason, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn health(object: Value) -> Health {
        judge(&Subject { object, ..Subject::default() }).health
    }

    fn with_conditions(conditions: &Value) -> Value {
        json!({"apiVersion": "example.com/v1", "kind": "Thing",
            "metadata": {"name": "a", "generation": 2}, "status": {"conditions": conditions}})
    }

    #[test]
    fn custom_resource_without_known_conditions_gets_no_opinion() {
        let custom =
            json!({"apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"name": "a"}});
        assert_eq!(health(custom), Health::NoOpinion);
        let other = with_conditions(&json!([{"type": "Synced", "status": "False"}]));
        assert_eq!(health(other), Health::NoOpinion);
    }

    #[test]
    fn custom_resource_is_checked_by_its_conditions() {
        for (conditions, expected) in [
            (json!([{"type": "Ready", "status": "True"}]), Health::Healthy),
            (json!([{"type": "Ready", "status": "False", "message": "soon"}]), Health::Progressing),
            (json!([{"type": "Ready", "status": "Unknown"}]), Health::Progressing),
            (
                json!([{"type": "Ready", "status": "True"}, {"type": "Reconciling", "status": "True"}]),
                Health::Progressing,
            ),
            (
                json!([{"type": "Ready", "status": "False"}, {"type": "Stalled", "status": "True"}]),
                Health::Failed,
            ),
            (
                json!([{"type": "Ready", "status": "True", "observedGeneration": 1}]),
                Health::Progressing,
            ),
        ] {
            assert_eq!(health(with_conditions(&conditions)), expected, "{conditions}");
        }
    }

    #[test]
    fn status_of_an_older_generation_is_ignored() {
        let mut custom = with_conditions(&json!([{"type": "Ready", "status": "True"}]));
        custom["status"]["observedGeneration"] = json!(1);
        assert_eq!(health(custom), Health::Progressing);
    }

    #[test]
    fn object_being_deleted_is_progressing() {
        let object = json!({"apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": "a", "deletionTimestamp": "2026-01-01T00:00:00Z"}});
        assert_eq!(health(object), Health::Progressing);
    }

    #[test]
    fn kinds_without_a_controller_are_ready_when_they_exist() {
        for (version, kind) in [
            ("v1", "Secret"),
            ("v1", "ConfigMap"),
            ("v1", "ServiceAccount"),
            ("rbac.authorization.k8s.io/v1", "Role"),
            ("networking.k8s.io/v1", "Ingress"),
            ("networking.k8s.io/v1", "NetworkPolicy"),
            ("storage.k8s.io/v1", "StorageClass"),
            ("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration"),
        ] {
            let object = json!({"apiVersion": version, "kind": kind, "metadata": {"name": "a"}});
            assert_eq!(health(object), Health::Healthy, "{kind}");
        }
    }

    #[test]
    fn extension_groups_under_k8s_io_are_custom_resources() {
        let gateway = json!({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway",
            "metadata": {"name": "a"}});
        assert_eq!(health(gateway), Health::NoOpinion);
    }
}
