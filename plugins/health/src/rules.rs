//! Whether an object is ready, by its own status: the conventions of `kstatus`
//! (<https://github.com/kubernetes-sigs/cli-utils/tree/master/pkg/kstatus>) for the kinds that a release has.

use crate::document::{condition, condition_is, number, text};
use serde_json::Value;
use todohost_plugin::verify::{Health, Verdict};

/// Judges an object from its document alone.
pub fn judge(object: &Value) -> Verdict {
    if object.pointer("/metadata/deletionTimestamp").is_some_and(|time| !time.is_null()) {
        return progressing("Terminating", "it is being deleted");
    }
    // A status of an older generation says nothing of what was applied.
    if let (Some(observed), Some(wanted)) =
        (number(object, "/status/observedGeneration"), number(object, "/metadata/generation"))
        && observed < wanted
    {
        return progressing("NotObserved", "its controller has not seen the change yet");
    }
    let group = text(object, "/apiVersion").split_once('/').map_or("", |(group, _)| group);
    match (group, text(object, "/kind")) {
        ("apps", "Deployment") => deployment(object),
        ("apps", "StatefulSet") => stateful_set(object),
        ("apps", "DaemonSet") => daemon_set(object),
        ("apps", "ReplicaSet") => replica_set(object),
        ("batch", "Job") => job(object),
        ("", "Pod") => pod(object),
        ("", "PersistentVolumeClaim") => claim(object),
        ("", "Service") => service(object),
        ("apiextensions.k8s.io", "CustomResourceDefinition") => definition(object),
        // Objects that nothing has to work on are as ready as they will be; of the rest nothing is known, and an
        // unknown object must not keep a deploy waiting for ever.
        ("" | "rbac.authorization.k8s.io" | "networking.k8s.io" | "policy", _) => {
            healthy("it exists")
        }
        _ => other(object),
    }
}

fn healthy(message: impl Into<String>) -> Verdict {
    Verdict::new(Health::Healthy, "Ready", message)
}

fn progressing(reason: &str, message: impl Into<String>) -> Verdict {
    Verdict::new(Health::Progressing, reason, message)
}

fn failed(reason: &str, message: impl Into<String>) -> Verdict {
    Verdict::new(Health::Failed, reason, message)
}

fn wanted_replicas(object: &Value) -> i64 {
    number(object, "/spec/replicas").unwrap_or(1)
}

fn counted(object: &Value, field: &str) -> i64 {
    number(object, &format!("/status/{field}")).unwrap_or(0)
}

fn not_observed(object: &Value) -> bool {
    number(object, "/status/observedGeneration").is_none()
}

fn deployment(object: &Value) -> Verdict {
    if not_observed(object) {
        return progressing("NotObserved", "its controller has not seen it yet");
    }
    if let Some(condition) = condition(object, "Progressing")
        && text(condition, "/reason") == "ProgressDeadlineExceeded"
    {
        return failed("ProgressDeadlineExceeded", text(condition, "/message"));
    }
    let wanted = wanted_replicas(object);
    let (updated, all) = (counted(object, "updatedReplicas"), counted(object, "replicas"));
    let available = counted(object, "availableReplicas");
    if updated < wanted {
        return progressing("Updating", format!("{updated} of {wanted} replicas are updated"));
    }
    if all > updated {
        return progressing("Updating", format!("{} old replicas are still there", all - updated));
    }
    if available < updated {
        return progressing("Waiting", format!("{available} of {updated} replicas are available"));
    }
    if !condition_is(object, "Available", "True") && wanted > 0 {
        return progressing("Waiting", "it is not available yet");
    }
    healthy(format!("{available} of {wanted} replicas are available"))
}

fn stateful_set(object: &Value) -> Verdict {
    if not_observed(object) {
        return progressing("NotObserved", "its controller has not seen it yet");
    }
    let wanted = wanted_replicas(object);
    let ready = counted(object, "readyReplicas");
    if ready < wanted {
        return progressing("Waiting", format!("{ready} of {wanted} replicas are ready"));
    }
    // With OnDelete nothing is updated by itself, so nothing is waited for.
    if text(object, "/spec/updateStrategy/type") != "OnDelete" {
        let partition = number(object, "/spec/updateStrategy/rollingUpdate/partition").unwrap_or(0);
        let updated = counted(object, "updatedReplicas");
        if updated < wanted - partition {
            return progressing(
                "Updating",
                format!("{updated} of {} replicas are updated", wanted - partition),
            );
        }
        let (current, update) =
            (text(object, "/status/currentRevision"), text(object, "/status/updateRevision"));
        if partition == 0 && current != update {
            return progressing("Updating", "the last replicas are being updated");
        }
    }
    healthy(format!("{ready} of {wanted} replicas are ready"))
}

fn daemon_set(object: &Value) -> Verdict {
    if not_observed(object) {
        return progressing("NotObserved", "its controller has not seen it yet");
    }
    let wanted = counted(object, "desiredNumberScheduled");
    let (updated, available) =
        (counted(object, "updatedNumberScheduled"), counted(object, "numberAvailable"));
    if text(object, "/spec/updateStrategy/type") != "OnDelete" && updated < wanted {
        return progressing("Updating", format!("{updated} of {wanted} pods are updated"));
    }
    if available < wanted {
        return progressing("Waiting", format!("{available} of {wanted} pods are available"));
    }
    healthy(format!("{available} of {wanted} pods are available"))
}

fn replica_set(object: &Value) -> Verdict {
    let (wanted, available) = (wanted_replicas(object), counted(object, "availableReplicas"));
    if available < wanted {
        return progressing("Waiting", format!("{available} of {wanted} replicas are available"));
    }
    healthy(format!("{available} of {wanted} replicas are available"))
}

fn job(object: &Value) -> Verdict {
    if let Some(condition) = condition(object, "Failed")
        && text(condition, "/status") == "True"
    {
        return failed(text(condition, "/reason"), text(condition, "/message"));
    }
    if condition_is(object, "Complete", "True") {
        return healthy("it completed");
    }
    if object.pointer("/spec/suspend").and_then(Value::as_bool) == Some(true) {
        return healthy("it is suspended");
    }
    progressing("Running", "it has not completed yet")
}

fn pod(object: &Value) -> Verdict {
    match text(object, "/status/phase") {
        "Succeeded" => healthy("it completed"),
        "Failed" => failed("PodFailed", text(object, "/status/message")),
        "Running" if condition_is(object, "Ready", "True") => healthy("it is ready"),
        "Running" => progressing("Waiting", "it runs but is not ready"),
        _ => progressing("Pending", "it does not run yet"),
    }
}

fn claim(object: &Value) -> Verdict {
    match text(object, "/status/phase") {
        "Bound" => healthy("it is bound"),
        "Lost" => failed("Lost", "its volume no longer exists"),
        // Many classes bind only once a pod uses the claim: the pod is what is waited for.
        _ => Verdict::new(Health::NoOpinion, "Pending", "it is bound when a pod uses it"),
    }
}

fn service(object: &Value) -> Verdict {
    let ingress = crate::document::list(object, "/status/loadBalancer/ingress");
    if text(object, "/spec/type") == "LoadBalancer" && ingress.is_empty() {
        return progressing("Waiting", "the load balancer has no address yet").since_matters();
    }
    healthy("it exists")
}

fn definition(object: &Value) -> Verdict {
    if condition_is(object, "NamesAccepted", "False") {
        return failed("NamesNotAccepted", "another definition has its names");
    }
    if condition_is(object, "Established", "True") {
        return healthy("it is established");
    }
    progressing("Waiting", "it is not established yet")
}

/// A custom resource that keeps to the conventions has `Ready`, or `Reconciling` and `Stalled`.
fn other(object: &Value) -> Verdict {
    if let Some(stalled) = condition(object, "Stalled")
        && text(stalled, "/status") == "True"
    {
        return failed(text(stalled, "/reason"), text(stalled, "/message"));
    }
    match condition(object, "Ready").map(|ready| (text(ready, "/status"), text(ready, "/message")))
    {
        Some(("True", _)) => healthy("it is ready"),
        Some((_, message)) => progressing("Waiting", message),
        None => Verdict::new(Health::NoOpinion, "NoRule", "nothing is known of this kind"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn deployment_with(status: &Value) -> Value {
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "generation": 2},
            "spec": {"replicas": 2}, "status": status})
    }

    #[test]
    fn a_deployment_is_ready_when_all_replicas_are_new_and_available() {
        let available = json!([{"type": "Available", "status": "True"}]);
        let status = |updated, replicas, available_replicas| {
            json!({"observedGeneration": 2, "updatedReplicas": updated, "replicas": replicas,
                "availableReplicas": available_replicas, "conditions": available})
        };
        let health = |status: &Value| judge(&deployment_with(status)).health;
        assert_eq!(health(&status(2, 2, 2)), Health::Healthy);
        assert_eq!(health(&status(1, 2, 2)), Health::Progressing);
        assert_eq!(health(&status(2, 3, 2)), Health::Progressing, "an old replica is still there");
        assert_eq!(health(&status(2, 2, 1)), Health::Progressing);
    }

    #[test]
    fn a_status_of_an_older_generation_does_not_count() {
        let old = json!({"observedGeneration": 1, "updatedReplicas": 2, "replicas": 2, "availableReplicas": 2});
        assert_eq!(judge(&deployment_with(&old)).reason, "NotObserved");
        assert_eq!(judge(&deployment_with(&json!({}))).reason, "NotObserved");
    }

    #[test]
    fn a_deployment_past_its_deadline_has_failed() {
        let status = json!({"observedGeneration": 2, "conditions": [
            {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": "timed out"}]});
        assert_eq!(judge(&deployment_with(&status)).health, Health::Failed);
    }

    #[test]
    fn an_unknown_kind_without_conditions_is_no_opinion() {
        let custom =
            json!({"apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"name": "a"}});
        assert_eq!(judge(&custom).health, Health::NoOpinion);
        let ready = json!({"apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"name": "a"},
            "status": {"conditions": [{"type": "Ready", "status": "False", "message": "soon"}]}});
        assert_eq!(judge(&ready).health, Health::Progressing);
    }

    #[test]
    fn a_job_fails_and_completes_by_its_conditions() {
        let job = |kind| {
            json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "a"},
            "status": {"conditions": [{"type": kind, "status": "True", "reason": "BackoffLimitExceeded"}]}})
        };
        assert_eq!(judge(&job("Complete")).health, Health::Healthy);
        assert_eq!(judge(&job("Failed")).health, Health::Failed);
    }

    #[test]
    fn what_nothing_works_on_is_ready_when_it_exists() {
        for (version, kind) in
            [("v1", "Secret"), ("v1", "ConfigMap"), ("rbac.authorization.k8s.io/v1", "Role")]
        {
            let object = json!({"apiVersion": version, "kind": kind, "metadata": {"name": "a"}});
            assert_eq!(judge(&object).health, Health::Healthy, "{kind}");
        }
    }
}
