//! Readiness of the kinds that run pods.

use crate::document::{condition, condition_is, counted, is_true, number, text};
use serde_json::Value;
use todohost_plugin::verify::Verdict;

use super::{NOT_OBSERVED, failed, healthy, or, progressing};

fn wanted_replicas(object: &Value) -> i64 {
    number(object, "/spec/replicas").unwrap_or(1)
}

fn count(object: &Value, field: &str) -> i64 {
    number(object, &format!("/status/{field}")).unwrap_or(0)
}

fn not_observed(object: &Value) -> Option<Verdict> {
    number(object, "/status/observedGeneration")
        .is_none()
        .then(|| progressing(NOT_OBSERVED, "its controller has not observed it yet"))
}

fn with_replicas(verdict: Verdict, ready: i64, updated: i64, wanted: i64) -> Verdict {
    let shown = |number: i64| u32::try_from(number.max(0)).unwrap_or(u32::MAX);
    verdict.replicas(shown(ready), shown(updated), shown(wanted))
}

pub fn deployment(object: &Value) -> Verdict {
    if let Some(verdict) = not_observed(object) {
        return verdict;
    }
    let wanted = wanted_replicas(object);
    let (updated, all) = (count(object, "updatedReplicas"), count(object, "replicas"));
    let available = count(object, "availableReplicas");
    let late = condition(object, "Progressing")
        .filter(|condition| text(condition, "/reason") == "ProgressDeadlineExceeded");
    let verdict = if let Some(late) = late {
        failed("ProgressDeadlineExceeded", text(late, "/message"))
    } else if is_true(object, "/spec/paused") && available >= wanted {
        healthy("rollout paused")
    } else if updated < wanted {
        let paused = if is_true(object, "/spec/paused") { "; rollout paused" } else { "" };
        let message = format!("{updated} of {} updated{paused}", counted(wanted, "replica"));
        progressing("Updating", message)
    } else if available < updated {
        let message = format!("{available} of {} available", counted(updated, "replica"));
        progressing("Waiting", message)
    } else if all > updated {
        let message = format!("waiting for {} to end", counted(all - updated, "old replica"));
        progressing("Updating", message)
    } else if wanted > 0 && !condition_is(object, "Available", "True") {
        progressing("Waiting", "not available yet")
    } else {
        healthy(format!("{available} of {} available", counted(wanted, "replica")))
    };
    with_replicas(verdict, count(object, "readyReplicas"), updated, wanted)
}

pub fn stateful_set(object: &Value) -> Verdict {
    if let Some(verdict) = not_observed(object) {
        return verdict;
    }
    let wanted = wanted_replicas(object);
    let (ready, updated) = (count(object, "readyReplicas"), count(object, "updatedReplicas"));
    let existing = count(object, "replicas");
    // With OnDelete the controller updates no replicas, with a partition only those from its ordinal on.
    let partition = number(object, "/spec/updateStrategy/rollingUpdate/partition").unwrap_or(0);
    let to_update = match text(object, "/spec/updateStrategy/type") {
        "OnDelete" => 0,
        _ => (wanted - partition).max(0),
    };
    let (current, update) =
        (text(object, "/status/currentRevision"), text(object, "/status/updateRevision"));
    let verdict = if ready < wanted {
        progressing("Waiting", format!("{ready} of {} ready", counted(wanted, "replica")))
    } else if existing > wanted {
        let message =
            format!("waiting for {} to end", counted(existing - wanted, "surplus replica"));
        progressing("Updating", message)
    } else if current != update && updated < to_update {
        progressing("Updating", format!("{updated} of {} updated", counted(to_update, "replica")))
    } else if current != update && to_update == wanted && wanted > 0 {
        progressing("Updating", "its controller has not finished the update")
    } else {
        healthy(format!("{ready} of {} ready", counted(wanted, "replica")))
    };
    with_replicas(verdict, ready, updated, wanted)
}

pub fn daemon_set(object: &Value) -> Verdict {
    if let Some(verdict) = not_observed(object) {
        return verdict;
    }
    let wanted = count(object, "desiredNumberScheduled");
    let (updated, available) =
        (count(object, "updatedNumberScheduled"), count(object, "numberAvailable"));
    let is_on_delete = text(object, "/spec/updateStrategy/type") == "OnDelete";
    let verdict = if !is_on_delete && updated < wanted {
        progressing("Updating", format!("{updated} of {} updated", counted(wanted, "pod")))
    } else if available < wanted {
        progressing("Waiting", format!("{available} of {} available", counted(wanted, "pod")))
    } else {
        healthy(format!("{available} of {} available", counted(wanted, "pod")))
    };
    with_replicas(verdict, count(object, "numberReady"), updated, wanted)
}

pub fn replica_set(object: &Value) -> Verdict {
    if let Some(verdict) = not_observed(object) {
        return verdict;
    }
    let wanted = wanted_replicas(object);
    let (existing, available) = (count(object, "replicas"), count(object, "availableReplicas"));
    let message = format!("{available} of {} available", counted(wanted, "replica"));
    let verdict = if available < wanted {
        progressing("Waiting", message)
    } else if existing > wanted {
        let message =
            format!("waiting for {} to end", counted(existing - wanted, "surplus replica"));
        progressing("Updating", message)
    } else {
        healthy(message)
    };
    with_replicas(verdict, count(object, "readyReplicas"), existing, wanted)
}

pub fn job(object: &Value) -> Verdict {
    for kind in ["Failed", "FailureTarget"] {
        if let Some(condition) = condition(object, kind)
            && text(condition, "/status") == "True"
        {
            let message = or(text(condition, "/message"), "failed");
            return failed(or(text(condition, "/reason"), "Failed"), message);
        }
    }
    if condition_is(object, "Complete", "True") {
        return healthy("completed");
    }
    if is_true(object, "/spec/suspend") {
        return healthy("suspended");
    }
    let wanted = number(object, "/spec/completions").unwrap_or(1);
    let done = count(object, "succeeded");
    let message = match count(object, "failed") {
        0 => format!("{done} of {}", counted(wanted, "completion")),
        failures => {
            format!("{done} of {}, {}", counted(wanted, "completion"), counted(failures, "failure"))
        }
    };
    progressing("Running", message)
}

/// A `CronJob` starts its Jobs by its schedule, so a deploy does not wait for them.
pub fn cron_job(object: &Value) -> Verdict {
    if is_true(object, "/spec/suspend") {
        return healthy("suspended");
    }
    healthy(format!("scheduled at {}", text(object, "/spec/schedule")))
}

pub fn pod(object: &Value) -> Verdict {
    match text(object, "/status/phase") {
        "Succeeded" => healthy("completed"),
        "Failed" => {
            let reason = or(text(object, "/status/reason"), "PodFailed");
            failed(reason, or(text(object, "/status/message"), "one of its containers failed"))
        }
        // A hook is done when it has completed, not when it is ready.
        "Running" if is_hook(object) => progressing("Running", "not completed yet"),
        "Running" if condition_is(object, "Ready", "True") => healthy("ready"),
        "Running" => progressing("Waiting", "running, not ready yet"),
        _ => progressing("Pending", "not running yet"),
    }
}

/// Whether the pod is a chart hook, which runs once during a deploy and then ends.
fn is_hook(object: &Value) -> bool {
    object.pointer("/metadata/annotations/helm.sh~1hook").is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use todohost_plugin::verify::{Health, Replicas};

    fn deployment_with(status: &Value) -> Value {
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "generation": 2},
            "spec": {"replicas": 2}, "status": status})
    }

    #[test]
    fn hook_pod_is_ready_when_completed() {
        let mut pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"},
            "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}});
        assert_eq!(super::pod(&pod).health, Health::Healthy);
        pod["metadata"]["annotations"] = json!({"helm.sh/hook": "test"});
        assert_eq!(super::pod(&pod).health, Health::Progressing);
        pod["status"]["phase"] = json!("Succeeded");
        assert_eq!(super::pod(&pod).health, Health::Healthy);
    }

    #[test]
    fn deployment_is_ready_when_all_replicas_are_new_and_available() {
        let available = json!([{"type": "Available", "status": "True"}]);
        let status = |updated, replicas, available_replicas| {
            json!({"observedGeneration": 2, "updatedReplicas": updated, "replicas": replicas,
                "availableReplicas": available_replicas, "conditions": available})
        };
        let health = |status: &Value| deployment(&deployment_with(status)).health;
        assert_eq!(health(&status(2, 2, 2)), Health::Healthy);
        assert_eq!(health(&status(1, 2, 2)), Health::Progressing);
        assert_eq!(health(&status(2, 3, 2)), Health::Progressing, "an old replica still exists");
        assert_eq!(health(&status(2, 2, 1)), Health::Progressing);
        assert_eq!(deployment(&deployment_with(&json!({}))).reason, "NotObserved");
    }

    #[test]
    fn deployment_verdict_has_replica_counts() {
        let status = json!({"observedGeneration": 2, "updatedReplicas": 1, "replicas": 2, "readyReplicas": 1});
        let verdict = deployment(&deployment_with(&status));
        assert_eq!(verdict.replicas, Some(Replicas { ready: 1, updated: 1, desired: 2 }));
        assert_eq!(verdict.message, "1 of 2 replicas updated");
    }

    #[test]
    fn deployment_past_its_deadline_has_failed() {
        let status = json!({"observedGeneration": 2, "conditions": [
            {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": "timed out"}]});
        assert_eq!(deployment(&deployment_with(&status)).health, Health::Failed);
    }

    #[test]
    fn paused_deployment_is_ready_when_its_replicas_are_available() {
        let mut paused = deployment_with(&json!({"observedGeneration": 2, "availableReplicas": 2}));
        paused["spec"]["paused"] = json!(true);
        assert_eq!(deployment(&paused).health, Health::Healthy);
        paused["status"]["availableReplicas"] = json!(0);
        assert!(deployment(&paused).message.ends_with("rollout paused"));
    }

    fn stateful(strategy: &Value, ready: i64, updated: i64, revisions: (&str, &str)) -> Health {
        stateful_set(&json!({"spec": {"replicas": 3, "updateStrategy": strategy}, "status": {
            "observedGeneration": 1, "replicas": 3, "readyReplicas": ready, "updatedReplicas": updated,
            "currentRevision": revisions.0, "updateRevision": revisions.1}}))
        .health
    }

    #[test]
    fn stateful_set_is_ready_when_all_replicas_are_new_and_ready() {
        let rolling = json!({"type": "RollingUpdate"});
        assert_eq!(stateful(&rolling, 3, 3, ("b", "b")), Health::Healthy);
        assert_eq!(stateful(&rolling, 2, 3, ("b", "b")), Health::Progressing);
        assert_eq!(stateful(&rolling, 3, 2, ("a", "b")), Health::Progressing);
        assert_eq!(stateful(&rolling, 3, 3, ("a", "b")), Health::Progressing);
        // After an update the controller no longer counts updated replicas.
        assert_eq!(stateful(&rolling, 3, 0, ("b", "b")), Health::Healthy);
    }

    #[test]
    fn partition_and_on_delete_leave_old_replicas_ready() {
        let partition = json!({"type": "RollingUpdate", "rollingUpdate": {"partition": 2}});
        assert_eq!(stateful(&partition, 3, 1, ("a", "b")), Health::Healthy);
        assert_eq!(stateful(&partition, 3, 0, ("a", "b")), Health::Progressing);
        let beyond = json!({"type": "RollingUpdate", "rollingUpdate": {"partition": 9}});
        assert_eq!(stateful(&beyond, 3, 0, ("a", "b")), Health::Healthy);
        assert_eq!(stateful(&json!({"type": "OnDelete"}), 3, 0, ("a", "b")), Health::Healthy);
        assert_eq!(stateful(&json!({"type": "OnDelete"}), 2, 0, ("a", "b")), Health::Progressing);
    }

    #[test]
    fn daemon_set_is_ready_when_every_node_has_a_new_pod() {
        let with = |strategy: &str, updated: i64, available: i64| {
            daemon_set(&json!({"spec": {"updateStrategy": {"type": strategy}}, "status": {
                "observedGeneration": 1, "desiredNumberScheduled": 2,
                "updatedNumberScheduled": updated, "numberAvailable": available}}))
            .health
        };
        assert_eq!(with("RollingUpdate", 2, 2), Health::Healthy);
        assert_eq!(with("RollingUpdate", 1, 2), Health::Progressing);
        assert_eq!(with("RollingUpdate", 2, 1), Health::Progressing);
        assert_eq!(with("OnDelete", 0, 2), Health::Healthy);
    }

    #[test]
    fn replica_set_is_ready_when_its_replicas_are_available() {
        let with = |available: i64| {
            replica_set(&json!({"spec": {"replicas": 2}, "status": {
                "observedGeneration": 1, "replicas": 2, "availableReplicas": available}}))
            .health
        };
        assert_eq!((with(2), with(1)), (Health::Healthy, Health::Progressing));
        assert_eq!(replica_set(&json!({})).reason, NOT_OBSERVED);
    }

    #[test]
    fn job_fails_and_completes_by_its_conditions() {
        let with = |kind: &str| {
            job(&json!({"status": {"conditions": [
                {"type": kind, "status": "True", "reason": "BackoffLimitExceeded"}]}}))
            .health
        };
        assert_eq!(with("Complete"), Health::Healthy);
        assert_eq!(with("Failed"), Health::Failed);
        assert_eq!(with("FailureTarget"), Health::Failed);
        let running =
            job(&json!({"spec": {"completions": 3}, "status": {"succeeded": 1, "failed": 2}}));
        assert_eq!(running.message, "1 of 3 completions, 2 failures");
        assert_eq!(job(&json!({"spec": {"suspend": true}})).health, Health::Healthy);
    }

    #[test]
    fn cron_job_is_ready_regardless_of_its_jobs() {
        assert_eq!(cron_job(&json!({"spec": {"schedule": "0 3 * * *"}})).health, Health::Healthy);
    }

    #[test]
    fn pod_is_ready_when_its_condition_is_true_or_it_has_completed() {
        let with = |phase: &str, ready: &str| {
            pod(&json!({"status": {"phase": phase, "conditions": [{"type": "Ready", "status": ready}]}}))
                .health
        };
        assert_eq!(with("Running", "True"), Health::Healthy);
        assert_eq!(with("Running", "False"), Health::Progressing);
        assert_eq!(with("Succeeded", "False"), Health::Healthy);
        assert_eq!(with("Failed", "False"), Health::Failed);
        assert_eq!(with("Pending", "False"), Health::Progressing);
    }
}
