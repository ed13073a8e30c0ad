//! Whether an object is ready, by its own status: the conventions of `kstatus`
//! (<https://github.com/kubernetes-sigs/cli-utils/tree/master/pkg/kstatus>), and rules for the kinds that every
//! cluster has. Why pods are not ready is `cause`'s.

mod cluster;
mod workload;

use crate::document::{condition, is_terminating, number, text};
use serde_json::Value;
use todohost_plugin::verify::{Health, Subject, Verdict};

/// The status is not about what was applied: nothing below the object says anything of it either.
pub const NOT_OBSERVED: &str = "NotObserved";
/// The object goes away.
pub const TERMINATING: &str = "Terminating";

/// API groups without a dot that are not the core group, and the suffix of the rest of Kubernetes' own.
const OWN_GROUPS: [&str; 5] = ["", "apps", "autoscaling", "batch", "policy"];
const OWN_SUFFIX: &str = ".k8s.io";

/// Groups under that suffix whose kinds are custom resources, with controllers of their own.
const CUSTOM_GROUPS: [&str; 2] = ["gateway.networking.k8s.io", "snapshot.storage.k8s.io"];

/// Judges an object by itself.
pub fn judge(subject: &Subject) -> Verdict {
    let object = &subject.object;
    if is_terminating(object) {
        return progressing(TERMINATING, "it is being deleted");
    }
    // A status of an older generation says nothing of what was applied.
    if let (Some(observed), Some(wanted)) =
        (number(object, "/status/observedGeneration"), number(object, "/metadata/generation"))
        && observed < wanted
    {
        return progressing(NOT_OBSERVED, "its controller has not seen the change yet");
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
        // What nothing has to work on is as ready as it will be.
        (group, _) if is_own(group) => healthy("it exists"),
        _ => custom(object),
    }
}

fn is_own(group: &str) -> bool {
    OWN_GROUPS.contains(&group) || (group.ends_with(OWN_SUFFIX) && !CUSTOM_GROUPS.contains(&group))
}

/// A custom resource that keeps to the conventions has `Ready`, or `Reconciling` and `Stalled`. Of others nothing is
/// known, and what nothing is known of must not keep a deploy waiting.
fn custom(object: &Value) -> Verdict {
    let said = |kind: &str, status: &str| {
        let condition = condition(object, kind)?;
        (text(condition, "/status") == status)
            .then(|| (text(condition, "/reason"), text(condition, "/message")))
    };
    if let Some((reason, message)) = said("Stalled", "True") {
        return Verdict::new(Health::Failed, or(reason, "Stalled"), or(message, "it is stalled"));
    }
    if let Some((_, message)) = said("Reconciling", "True") {
        return progressing("Reconciling", or(message, "it is being reconciled"));
    }
    let Some(ready) = condition(object, "Ready") else {
        return Verdict::new(Health::NoOpinion, "NoRule", "nothing is known of this kind");
    };
    let is_of_older_generation =
        match (number(ready, "/observedGeneration"), number(object, "/metadata/generation")) {
            (Some(observed), Some(wanted)) => observed < wanted,
            _ => false,
        };
    if is_of_older_generation {
        return progressing(NOT_OBSERVED, "its controller has not seen the change yet");
    }
    match text(ready, "/status") {
        "True" => healthy("it is ready"),
        _ => {
            let reason = or(text(ready, "/reason"), "Waiting");
            progressing(reason, or(text(ready, "/message"), "it is not ready yet"))
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
    fn an_unknown_kind_without_conditions_is_no_opinion() {
        let custom =
            json!({"apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"name": "a"}});
        assert_eq!(health(custom), Health::NoOpinion);
        let other = with_conditions(&json!([{"type": "Synced", "status": "False"}]));
        assert_eq!(health(other), Health::NoOpinion);
    }

    #[test]
    fn a_custom_resource_is_judged_by_its_conditions() {
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
    fn a_status_of_an_older_generation_does_not_count() {
        let mut custom = with_conditions(&json!([{"type": "Ready", "status": "True"}]));
        custom["status"]["observedGeneration"] = json!(1);
        assert_eq!(health(custom), Health::Progressing);
    }

    #[test]
    fn what_is_being_deleted_is_waited_for() {
        let object = json!({"apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": "a", "deletionTimestamp": "2026-01-01T00:00:00Z"}});
        assert_eq!(health(object), Health::Progressing);
    }

    #[test]
    fn what_nothing_works_on_is_ready_when_it_exists() {
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
    fn extensions_under_kubernetes_own_name_are_custom() {
        let gateway = json!({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway",
            "metadata": {"name": "a"}});
        assert_eq!(health(gateway), Health::NoOpinion);
    }
}
