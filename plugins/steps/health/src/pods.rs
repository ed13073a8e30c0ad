//! Which pods belong to the newest state of an object, and why one of them does not get going.

use std::time::Duration;

use crate::cause::{Cause, Gravity};
use crate::document::{condition, condition_is, is_terminating, is_true, list, one_line, text};
use crate::events;
use serde_json::Value;
use todohost_plugin::verify::Subject;

/// Room may come free while others end.
const SCHEDULING_PATIENCE: Duration = Duration::from_secs(15);

/// Another controller may be about to make the Secret or `ConfigMap` that is mounted.
const MOUNT_PATIENCE: Duration = Duration::from_secs(15);

/// Pods of the newest state of the object: a failing one of an older state is what is being replaced.
pub fn current(subject: &Subject) -> Vec<&Value> {
    let object = &subject.object;
    let own = std::iter::once(object).filter(|one| text(one, "/kind") == "Pod");
    own.chain(subject.related.iter().filter(|one| text(one, "/kind") == "Pod"))
        .filter(|pod| !is_terminating(pod))
        .filter(|pod| match text(object, "/kind") {
            "Deployment" => current_set(subject).is_some_and(|set| is_owned(pod, set)),
            "StatefulSet" => is_of(
                text(pod, "/metadata/labels/controller-revision-hash"),
                text(object, "/status/updateRevision"),
            ),
            "DaemonSet" => is_of(
                text(pod, "/metadata/labels/pod-template-generation"),
                text(object, "/metadata/annotations/deprecated.daemonset.template.generation"),
            ),
            _ => true,
        })
        .collect()
}

/// What a pod is of, where both sides say it.
fn is_of(pods: &str, newest: &str) -> bool {
    pods.is_empty() || newest.is_empty() || pods == newest
}

fn is_owned(pod: &Value, owner: &Value) -> bool {
    let uid = text(owner, "/metadata/uid");
    list(pod, "/metadata/ownerReferences").iter().any(|one| text(one, "/uid") == uid)
}

/// The replica set of the Deployment's newest rollout; none where it has not been seen yet.
fn current_set(subject: &Subject) -> Option<&Value> {
    const REVISION: &str = "/metadata/annotations/deployment.kubernetes.io~1revision";
    let revision = |object: &Value| text(object, REVISION).parse::<u64>().unwrap_or(0);
    let newest = subject
        .related
        .iter()
        .filter(|one| text(one, "/kind") == "ReplicaSet")
        .max_by_key(|set| revision(set))?;
    // The Deployment and its sets are watched apart from each other: it may know of a newer one.
    (revision(newest) >= revision(&subject.object)).then_some(newest)
}

/// Why the pod itself does not get going, whatever its containers say.
pub fn cause<'a>(pod: &'a Value, subject: &Subject) -> Option<Cause<'a>> {
    let cause = |reason, message: String, gravity| {
        Some(Cause { reason, message, pod: Some(pod), container: None, gravity })
    };
    if let Some(scheduled) = condition(pod, "PodScheduled")
        && text(scheduled, "/status") == "False"
    {
        let said = one_line(text(scheduled, "/message"));
        return match text(scheduled, "/reason") {
            "SchedulingGated" => cause(
                "SchedulingGated",
                format!("it may not be scheduled: {said}"),
                Gravity::MayPass,
            ),
            "Unschedulable" => {
                let message = format!("no node takes it: {said}");
                cause("Unschedulable", message, scheduling_gravity(pod, subject))
            }
            _ => None,
        };
    }
    if condition_is(pod, "Ready", "True") {
        return None;
    }
    if is_being_made(pod)
        && let Some(event) = events::about(&subject.events, pod).last()
        && matches!(
            text(event, "/reason"),
            "FailedMount" | "FailedAttachVolume" | "FailedCreatePodSandBox"
        )
    {
        let said = one_line(text(event, "/message"));
        // What is not found may be made; what fails otherwise is tried again.
        return if text(event, "/reason") == "FailedCreatePodSandBox" {
            cause("FailedCreatePodSandBox", format!("it gets no network: {said}"), Gravity::MayPass)
        } else {
            let is_missing = said.contains("not found");
            let gravity =
                if is_missing { Gravity::Passes(MOUNT_PATIENCE) } else { Gravity::MayPass };
            cause("FailedMount", format!("a volume cannot be mounted: {said}"), gravity)
        };
    }
    unready(pod, subject)
}

/// A container that runs and is not ready, with the words of its probe.
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
        message: format!("the container {name} runs; {}", one_line(text(probe, "/message"))),
        pod: Some(pod),
        container: Some(name),
        // How long an app may take to start is said by the time for the whole wait.
        gravity: Gravity::MayPass,
    })
}

fn scheduling_gravity(pod: &Value, subject: &Subject) -> Gravity {
    let is_growing = events::newest(&subject.events, pod, &["TriggeredScaleUp"]).is_some();
    let room_comes_free =
        subject.related.iter().any(|one| text(one, "/kind") == "Pod" && is_terminating(one));
    if is_growing || room_comes_free {
        Gravity::MayPass
    } else {
        Gravity::Passes(SCHEDULING_PATIENCE)
    }
}

/// Every container still waits to be made.
fn is_being_made(pod: &Value) -> bool {
    let statuses = list(pod, "/status/containerStatuses");
    statuses.iter().all(|status| {
        matches!(text(status, "/state/waiting/reason"), "ContainerCreating" | "PodInitializing")
    })
}

/// What a pod that has no cause of failure is at.
pub fn stage(pod: &Value, reported: &[Value]) -> Option<String> {
    if condition_is(pod, "Ready", "True") || text(pod, "/status/phase") == "Succeeded" {
        return None;
    }
    let init = list(pod, "/status/initContainerStatuses")
        .iter()
        .find(|status| status.pointer("/state/running").is_some() && !is_true(status, "/started"));
    if let Some(init) = init {
        return Some(format!("runs the init container {}", text(init, "/name")));
    }
    match events::about(reported, pod).last() {
        Some(event) if text(event, "/reason") == "Pulling" => {
            let image = text(event, "/message").split('"').nth(1).unwrap_or("its image");
            Some(format!("pulls {image}"))
        }
        _ if text(pod, "/spec/nodeName").is_empty() => Some("waits for a node".into()),
        _ if is_being_made(pod) => Some("is being made".into()),
        _ => Some("runs and is not ready yet".into()),
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
    fn pods_of_an_older_replica_set_do_not_count() {
        let related = vec![set("old", "9"), set("new", "10"), pod("a", "old"), pod("b", "new")];
        assert_eq!(names(&deployment("10", related)), ["b"]);
    }

    #[test]
    fn before_the_newest_replica_set_is_seen_no_pod_counts() {
        let related = vec![set("old", "9"), pod("a", "old")];
        assert!(names(&deployment("10", related)).is_empty());
    }

    #[test]
    fn pods_of_an_older_revision_of_a_stateful_set_do_not_count() {
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
    fn a_pod_that_no_node_takes_is_given_time_and_more_where_room_comes_free() {
        let alone = Subject { object: pending("a"), ..Subject::default() };
        let found = cause(&alone.object, &alone).unwrap();
        assert_eq!(found.gravity, Gravity::Passes(SCHEDULING_PATIENCE));
        assert!(found.message.contains("1 Insufficient cpu"), "{}", found.message);

        let mut old = pod("old", "x");
        old["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        let beside = Subject { object: pending("a"), related: vec![old], events: vec![] };
        assert_eq!(cause(&beside.object, &beside).unwrap().gravity, Gravity::MayPass);

        let grows = json!({"reason": "TriggeredScaleUp", "involvedObject": {"uid": "a"}});
        let growing = Subject { object: pending("a"), related: vec![], events: vec![grows] };
        assert_eq!(cause(&growing.object, &growing).unwrap().gravity, Gravity::MayPass);
    }

    #[test]
    fn a_failing_readiness_probe_is_told_in_its_own_words() {
        let object = json!({"kind": "Pod", "metadata": {"name": "a", "uid": "a"},
            "status": {"containerStatuses": [{"name": "web", "ready": false, "state": {"running": {}}}]}});
        let event = json!({"reason": "Unhealthy", "message": "Readiness probe failed: HTTP probe failed with statuscode: 503",
            "involvedObject": {"uid": "a", "fieldPath": "spec.containers{web}"}});
        let subject = Subject { object, related: vec![], events: vec![event] };
        let found = cause(&subject.object, &subject).unwrap();
        assert_eq!((found.reason, found.gravity), ("Unhealthy", Gravity::MayPass));
        assert!(found.message.ends_with("statuscode: 503"));
    }

    #[test]
    fn a_mounted_secret_that_is_not_there() {
        let object = json!({"kind": "Pod", "metadata": {"name": "a", "uid": "a"},
            "status": {"containerStatuses": [{"name": "web", "ready": false,
                "state": {"waiting": {"reason": "ContainerCreating"}}}]}});
        let event = json!({"reason": "FailedMount", "involvedObject": {"uid": "a"},
            "message": "MountVolume.SetUp failed for volume \"keys\" : secret \"keys\" not found"});
        let subject = Subject { object, related: vec![], events: vec![event] };
        let found = cause(&subject.object, &subject).unwrap();
        assert_eq!((found.reason, found.gravity), ("FailedMount", Gravity::Passes(MOUNT_PATIENCE)));
    }

    #[test]
    fn what_a_pod_is_at() {
        let object = json!({"metadata": {"uid": "a"}, "spec": {"nodeName": "n"},
            "status": {"containerStatuses": [{"state": {"waiting": {"reason": "ContainerCreating"}}}]}});
        assert_eq!(stage(&object, &[]).unwrap(), "is being made");
        let pulling = json!({"reason": "Pulling", "message": "Pulling image \"web:1\"",
            "involvedObject": {"uid": "a"}});
        assert_eq!(stage(&object, &[pulling]).unwrap(), "pulls web:1");
        assert_eq!(stage(&json!({}), &[]).unwrap(), "waits for a node");
    }
}
