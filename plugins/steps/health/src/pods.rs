//! Selects the pods of an object's newest revision, and finds why a pod does not start or become ready.

use std::time::Duration;

use crate::cause::{Cause, Severity};
use crate::document::{condition, condition_is, is_terminating, is_true, list, one_line, text};
use crate::events;
use serde_json::Value;
use todohost_plugin::verify::Subject;

/// Ending pods may free resources within this time.
const SCHEDULING_PATIENCE: Duration = Duration::from_secs(15);

/// Another controller may create the mounted Secret or `ConfigMap` within this time.
const MOUNT_PATIENCE: Duration = Duration::from_secs(15);

/// Pods of the object's newest revision. Failing pods of an older revision are being replaced and do not count.
pub fn current(subject: &Subject) -> Vec<&Value> {
    let object = &subject.object;
    let own = std::iter::once(object).filter(|one| text(one, "/kind") == "Pod");
    own.chain(subject.related.iter().filter(|one| text(one, "/kind") == "Pod"))
        .filter(|pod| !is_terminating(pod))
        .filter(|pod| match text(object, "/kind") {
            "Deployment" => current_set(subject).is_some_and(|set| is_owned(pod, set)),
            "StatefulSet" => same_revision(
                text(pod, "/metadata/labels/controller-revision-hash"),
                text(object, "/status/updateRevision"),
            ),
            "DaemonSet" => same_revision(
                text(pod, "/metadata/labels/pod-template-generation"),
                text(object, "/metadata/annotations/deprecated.daemonset.template.generation"),
            ),
            _ => true,
        })
        .collect()
}

/// Whether a pod's revision is the newest one; also true if either is unknown.
fn same_revision(pods: &str, newest: &str) -> bool {
    pods.is_empty() || newest.is_empty() || pods == newest
}

fn is_owned(pod: &Value, owner: &Value) -> bool {
    let uid = text(owner, "/metadata/uid");
    list(pod, "/metadata/ownerReferences").iter().any(|one| text(one, "/uid") == uid)
}

/// The replica set of the Deployment's newest rollout, or `None` until the host has seen it.
fn current_set(subject: &Subject) -> Option<&Value> {
    const REVISION: &str = "/metadata/annotations/deployment.kubernetes.io~1revision";
    let revision = |object: &Value| text(object, REVISION).parse::<u64>().unwrap_or(0);
    let newest = subject
        .related
        .iter()
        .filter(|one| text(one, "/kind") == "ReplicaSet")
        .max_by_key(|set| revision(set))?;
    // The Deployment and its replica sets are watched separately, so the Deployment may already name a newer revision.
    (revision(newest) >= revision(&subject.object)).then_some(newest)
}

/// The cause that lies in the pod itself: scheduling, volumes, network or readiness.
pub fn cause<'a>(pod: &'a Value, subject: &Subject) -> Option<Cause<'a>> {
    let cause = |reason, message: String, severity| {
        Some(Cause { reason, message, pod: Some(pod), container: None, severity })
    };
    if let Some(scheduled) = condition(pod, "PodScheduled")
        && text(scheduled, "/status") == "False"
    {
        let details = one_line(text(scheduled, "/message"));
        return match text(scheduled, "/reason") {
            "SchedulingGated" => cause(
                "SchedulingGated",
                format!("the pod has scheduling gates: {details}"),
                Severity::Transient,
            ),
            "Unschedulable" => {
                let message = format!("the pod cannot be scheduled: {details}");
                cause("Unschedulable", message, scheduling_severity(pod, subject))
            }
            _ => None,
        };
    }
    if condition_is(pod, "Ready", "True") {
        return None;
    }
    if is_being_created(pod)
        && let Some(event) = events::about(&subject.events, pod).last()
        && matches!(
            text(event, "/reason"),
            "FailedMount" | "FailedAttachVolume" | "FailedCreatePodSandBox"
        )
    {
        let details = one_line(text(event, "/message"));
        // A missing Secret or ConfigMap may be created soon. The kubelet retries every other failure.
        return if text(event, "/reason") == "FailedCreatePodSandBox" {
            let message = format!("the pod's network cannot be set up: {details}");
            cause("FailedCreatePodSandBox", message, Severity::Transient)
        } else {
            let is_missing = details.contains("not found");
            let severity = if is_missing {
                Severity::TransientFor(MOUNT_PATIENCE)
            } else {
                Severity::Transient
            };
            cause("FailedMount", format!("a volume cannot be mounted: {details}"), severity)
        };
    }
    unready(pod, subject)
}

/// A container that runs but is not ready, with the message of its failed probe.
fn unready<'a>(pod: &'a Value, subject: &Subject) -> Option<Cause<'a>> {
    let status = list(pod, "/status/containerStatuses").iter().find(|status| {
        !is_true(status, "/ready") && status.pointer("/state/running").is_some_and(Value::is_object)
    })?;
    let name = text(status, "/name");
    let place = format!("{{{name}}}");
    let probe = events::about(&subject.events, pod).into_iter().rev().find(|event| {
        text(event, "/reason") == "Unhealthy"
            && text(event, "/involvedObject/fieldPath").ends_with(&place)
    })?;
    Some(Cause {
        reason: "Unhealthy",
        message: format!(
            "the container {name} is running but not ready: {}",
            one_line(text(probe, "/message"))
        ),
        pod: Some(pod),
        container: Some(name),
        // An app may need any time to start; `--ready-within` limits the whole wait.
        severity: Severity::Transient,
    })
}

fn scheduling_severity(pod: &Value, subject: &Subject) -> Severity {
    let is_growing = events::newest(&subject.events, pod, &["TriggeredScaleUp"]).is_some();
    let a_pod_is_ending =
        subject.related.iter().any(|one| text(one, "/kind") == "Pod" && is_terminating(one));
    if is_growing || a_pod_is_ending {
        Severity::Transient
    } else {
        Severity::TransientFor(SCHEDULING_PATIENCE)
    }
}

/// Whether every container still waits to be created.
fn is_being_created(pod: &Value) -> bool {
    let statuses = list(pod, "/status/containerStatuses");
    statuses.iter().all(|status| {
        matches!(text(status, "/state/waiting/reason"), "ContainerCreating" | "PodInitializing")
    })
}

/// The stage that a pod without a cause of failure has reached, or `None` if it is ready or completed.
pub fn stage(pod: &Value, reported: &[Value]) -> Option<String> {
    if condition_is(pod, "Ready", "True") || text(pod, "/status/phase") == "Succeeded" {
        return None;
    }
    let init = list(pod, "/status/initContainerStatuses")
        .iter()
        .find(|status| status.pointer("/state/running").is_some() && !is_true(status, "/started"));
    if let Some(init) = init {
        return Some(format!("running the init container {}", text(init, "/name")));
    }
    match events::about(reported, pod).last() {
        Some(event) if text(event, "/reason") == "Pulling" => {
            let image = text(event, "/message").split('"').nth(1).unwrap_or("its image");
            Some(format!("pulling {image}"))
        }
        _ if text(pod, "/spec/nodeName").is_empty() => Some("waiting for a node".into()),
        _ if is_being_created(pod) => Some("creating its containers".into()),
        _ => Some("running, not ready yet".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn set(uid: &str, revision: &str) -> Value {
        json!({"kind": "ReplicaSet", "metadata": {"uid": uid,
            "annotations": {"deployment.kubernetes.io/revision": revision}}})
    }

    fn pod(name: &str, owner: &str) -> Value {
        json!({"kind": "Pod", "metadata": {"name": name, "uid": name, "ownerReferences": [{"uid": owner}]}})
    }

    fn deployment(revision: &str, related: Vec<Value>) -> Subject {
        let object = json!({"kind": "Deployment",
            "metadata": {"annotations": {"deployment.kubernetes.io/revision": revision}}});
        Subject { object, related, events: vec![] }
    }

    fn names(subject: &Subject) -> Vec<&str> {
        current(subject).into_iter().map(|pod| text(pod, "/metadata/name")).collect()
    }

    #[test]
    fn pods_of_an_older_replica_set_are_ignored() {
        let related = vec![set("old", "9"), set("new", "10"), pod("a", "old"), pod("b", "new")];
        assert_eq!(names(&deployment("10", related)), ["b"]);
    }

    #[test]
    fn all_pods_are_ignored_until_the_newest_replica_set_is_seen() {
        let related = vec![set("old", "9"), pod("a", "old")];
        assert!(names(&deployment("10", related)).is_empty());
    }

    #[test]
    fn pods_of_an_older_stateful_set_revision_are_ignored() {
        let with = |hash: &str| {
            json!({"kind": "Pod", "metadata": {"name": hash,
                "labels": {"controller-revision-hash": hash}}})
        };
        let object = json!({"kind": "StatefulSet", "status": {"updateRevision": "db-2"}});
        let subject = Subject { object, related: vec![with("db-1"), with("db-2")], events: vec![] };
        assert_eq!(names(&subject), ["db-2"]);
    }

    fn pending(name: &str) -> Value {
        json!({"kind": "Pod", "metadata": {"name": name, "uid": name}, "status": {"phase": "Pending",
            "conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable",
                "message": "0/1 nodes are available: 1 Insufficient cpu."}]}})
    }

    #[test]
    fn unschedulable_pod_is_transient_while_pods_end_or_nodes_are_added() {
        let alone = Subject { object: pending("a"), ..Subject::default() };
        let found = cause(&alone.object, &alone).unwrap();
        assert_eq!(found.severity, Severity::TransientFor(SCHEDULING_PATIENCE));
        assert!(found.message.contains("1 Insufficient cpu"), "{}", found.message);

        let mut old = pod("old", "x");
        old["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        let beside = Subject { object: pending("a"), related: vec![old], events: vec![] };
        assert_eq!(cause(&beside.object, &beside).unwrap().severity, Severity::Transient);

        let scale_up = json!({"reason": "TriggeredScaleUp", "involvedObject": {"uid": "a"}});
        let growing = Subject { object: pending("a"), related: vec![], events: vec![scale_up] };
        assert_eq!(cause(&growing.object, &growing).unwrap().severity, Severity::Transient);
    }

    #[test]
    fn failing_readiness_probe_is_reported_with_its_message() {
        let object = json!({"kind": "Pod", "metadata": {"name": "a", "uid": "a"},
            "status": {"containerStatuses": [{"name": "web", "ready": false, "state": {"running": {}}}]}});
        let event = json!({"reason": "Unhealthy", "message": "Readiness probe failed: HTTP probe failed with statuscode: 503",
            "involvedObject": {"uid": "a", "fieldPath": "spec.containers{web}"}});
        let subject = Subject { object, related: vec![], events: vec![event] };
        let found = cause(&subject.object, &subject).unwrap();
        assert_eq!((found.reason, found.severity), ("Unhealthy", Severity::Transient));
        assert!(found.message.ends_with("statuscode: 503"));
    }

    #[test]
    fn missing_mounted_secret_becomes_permanent_after_a_while() {
        let object = json!({"kind": "Pod", "metadata": {"name": "a", "uid": "a"},
            "status": {"containerStatuses": [{"name": "web", "ready": false,
                "state": {"waiting": {"reason": "ContainerCreating"}}}]}});
        let event = json!({"reason": "FailedMount", "involvedObject": {"uid": "a"},
            "message": "MountVolume.SetUp failed for volume \"keys\" : secret \"keys\" not found"});
        let subject = Subject { object, related: vec![], events: vec![event] };
        let found = cause(&subject.object, &subject).unwrap();
        assert_eq!(
            (found.reason, found.severity),
            ("FailedMount", Severity::TransientFor(MOUNT_PATIENCE))
        );
    }

    #[test]
    fn stage_of_a_starting_pod() {
        let object = json!({"metadata": {"uid": "a"}, "spec": {"nodeName": "n"},
            "status": {"containerStatuses": [{"state": {"waiting": {"reason": "ContainerCreating"}}}]}});
        assert_eq!(stage(&object, &[]).unwrap(), "creating its containers");
        let pulling = json!({"reason": "Pulling", "message": "Pulling image \"web:1\"",
            "involvedObject": {"uid": "a"}});
        assert_eq!(stage(&object, &[pulling]).unwrap(), "pulling web:1");
        assert_eq!(stage(&json!({}), &[]).unwrap(), "waiting for a node");
    }
}
