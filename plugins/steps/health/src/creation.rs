//! Why there is no pod at all: a quota, a policy or a webhook refuses it.

use std::time::Duration;

use crate::cause::{Cause, Gravity};
use crate::document::{condition, is_terminating, number, one_line, text};
use crate::events;
use serde_json::Value;
use todohost_plugin::verify::Subject;

/// What others hold of a quota may be given back, and webhooks may be restarting.
const PATIENCE: Duration = Duration::from_secs(15);

/// Why the controller of the object cannot make its pods.
pub fn cause(subject: &Subject) -> Option<Cause<'_>> {
    let message = match text(&subject.object, "/kind") {
        "Deployment" | "ReplicaSet" | "ReplicationController" => refused(&subject.object),
        "StatefulSet" | "DaemonSet" | "Job" => reported(subject),
        _ => None,
    }?;
    let reason = if message.contains("exceeded quota") { "ExceededQuota" } else { "FailedCreate" };
    Some(Cause {
        reason,
        message: format!("its pods may not be created: {message}"),
        pod: None,
        container: None,
        gravity: Gravity::Passes(PATIENCE),
    })
}

fn refused(object: &Value) -> Option<String> {
    let failure = condition(object, "ReplicaFailure")?;
    let is_refused =
        text(failure, "/status") == "True" && text(failure, "/reason") == "FailedCreate";
    is_refused.then(|| one_line(text(failure, "/message")))
}

/// Controllers without such a condition report it; what they reported last counts.
fn reported(subject: &Subject) -> Option<String> {
    let object = &subject.object;
    let last = events::newest(&subject.events, object, &["FailedCreate", "SuccessfulCreate"])?;
    let wanted = ["/status/desiredNumberScheduled", "/spec/replicas", "/spec/parallelism"]
        .into_iter()
        .find_map(|pointer| number(object, pointer))
        .unwrap_or(1);
    let there = subject
        .related
        .iter()
        .filter(|one| text(one, "/kind") == "Pod" && !is_terminating(one))
        .count();
    let is_lacking = i64::try_from(there).is_ok_and(|there| there < wanted);
    (text(last, "/reason") == "FailedCreate" && is_lacking)
        .then(|| one_line(text(last, "/message")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const QUOTA: &str = "pods \"web-1\" is forbidden: exceeded quota: small, requested: cpu=1, used: cpu=0, limited: cpu=500m";

    #[test]
    fn a_quota_that_is_exceeded_is_told_from_the_condition() {
        let object = json!({"kind": "Deployment", "status": {"conditions": [{"type": "ReplicaFailure",
            "status": "True", "reason": "FailedCreate", "message": QUOTA}]}});
        let subject = Subject { object, ..Subject::default() };
        let found = cause(&subject).unwrap();
        assert_eq!((found.reason, found.gravity), ("ExceededQuota", Gravity::Passes(PATIENCE)));
        assert!(found.message.contains("limited: cpu=500m"));
    }

    #[test]
    fn what_was_reported_last_counts_and_only_while_pods_are_lacking() {
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
