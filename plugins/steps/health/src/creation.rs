//! Causes for which a controller cannot create its pods: a quota, a policy or a webhook rejects them.

use std::time::Duration;

use crate::cause::{Cause, Severity};
use crate::document::{condition, is_terminating, number, one_line, text};
use crate::events;
use serde_json::Value;
use todohost_plugin::verify::Subject;

/// Other pods may free quota, and a webhook may be restarting.
const PATIENCE: Duration = Duration::from_secs(15);

/// The cause for which the controller of the object cannot create its pods.
pub fn cause(subject: &Subject) -> Option<Cause<'_>> {
    let message = match text(&subject.object, "/kind") {
        "Deployment" | "ReplicaSet" | "ReplicationController" => refused(&subject.object),
        "StatefulSet" | "DaemonSet" | "Job" => reported(subject),
        _ => None,
    }?;
    let reason = if message.contains("exceeded quota") { "ExceededQuota" } else { "FailedCreate" };
    Some(Cause {
        reason,
        message: format!("the controller cannot create pods: {message}"),
        pod: None,
        container: None,
        severity: Severity::TransientFor(PATIENCE),
    })
}

fn refused(object: &Value) -> Option<String> {
    let failure = condition(object, "ReplicaFailure")?;
    let is_refused =
        text(failure, "/status") == "True" && text(failure, "/reason") == "FailedCreate";
    is_refused.then(|| one_line(text(failure, "/message")))
}

/// Controllers without a `ReplicaFailure` condition report failures as events; the newest event decides.
fn reported(subject: &Subject) -> Option<String> {
    let object = &subject.object;
    let last = events::newest(&subject.events, object, &["FailedCreate", "SuccessfulCreate"])?;
    let wanted = ["/status/desiredNumberScheduled", "/spec/replicas", "/spec/parallelism"]
        .into_iter()
        .find_map(|pointer| number(object, pointer))
        .unwrap_or(1);
    let existing = subject
        .related
        .iter()
        .filter(|one| text(one, "/kind") == "Pod" && !is_terminating(one))
        .count();
    let pods_are_missing = i64::try_from(existing).is_ok_and(|existing| existing < wanted);
    (text(last, "/reason") == "FailedCreate" && pods_are_missing)
        .then(|| one_line(text(last, "/message")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const QUOTA: &str = "pods \"web-1\" is forbidden: exceeded quota: small, requested: cpu=1, used: cpu=0, limited: cpu=500m";

    #[test]
    fn exceeded_quota_is_read_from_the_condition() {
        let object = json!({"kind": "Deployment", "status": {"conditions": [{"type": "ReplicaFailure",
            "status": "True", "reason": "FailedCreate", "message": QUOTA}]}});
        let subject = Subject { object, ..Subject::default() };
        let found = cause(&subject).unwrap();
        assert_eq!(
            (found.reason, found.severity),
            ("ExceededQuota", Severity::TransientFor(PATIENCE))
        );
        assert!(found.message.contains("limited: cpu=500m"));
    }

    #[test]
    fn newest_event_decides_and_only_while_pods_are_missing() {
        let event = |reason: &str, second: u32| {
            json!({"reason": reason, "message": QUOTA, "involvedObject": {"uid": "u"},
            "lastTimestamp": format!("2026-01-01T00:00:0{second}Z")})
        };
        let subject = |events: Vec<Value>, related: Vec<Value>| Subject {
            object: json!({"kind": "StatefulSet", "metadata": {"uid": "u"}, "spec": {"replicas": 1}}),
            related,
            events,
        };
        assert!(cause(&subject(vec![event("FailedCreate", 1)], vec![])).is_some());
        let later = vec![event("FailedCreate", 1), event("SuccessfulCreate", 2)];
        assert!(cause(&subject(later, vec![])).is_none());
        let pod = json!({"kind": "Pod", "metadata": {"name": "db-0"}});
        assert!(cause(&subject(vec![event("FailedCreate", 1)], vec![pod])).is_none());
    }
}
