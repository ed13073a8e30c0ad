//! The first plain cause for which a pod will not become ready by itself.

use crate::document::{condition, list, number, text};
use serde_json::Value;
use todohost_plugin::verify::{Health, Verdict};

/// How often a container may end before it counts as crashing: one that recovers must not fail a deploy.
const FORGIVEN_EXITS: i64 = 2;

/// Why a pod is not ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// Kubernetes' own word for it, e.g. `ErrImageNeverPull`.
    pub reason: String,
    /// One line.
    pub message: String,
    /// Pod that it is about.
    pub pod: String,
    /// Container, where it is about one.
    pub container: Option<String>,
    /// Image of the container.
    pub image: String,
    /// Whether waiting may help.
    pub final_: Finality,
}

/// Whether waiting may help.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Finality {
    /// It may get better by itself.
    MayPass,
    /// It will stay so until somebody changes something.
    Final,
}

impl Cause {
    /// As a judgement of the object that owns the pod.
    pub fn into_verdict(self) -> Verdict {
        let health = match self.final_ {
            Finality::Final => Health::Failed,
            Finality::MayPass => Health::Failing,
        };
        Verdict::new(health, self.reason, format!("{}: {}", self.pod, self.message)).since_matters()
    }
}

/// The gravest cause among the pods that belong to the newest state of the object.
pub fn worst(object: &Value, related: &[Value]) -> Option<Cause> {
    current_pods(object, related)
        .into_iter()
        .flat_map(causes)
        .max_by(|left, right| left.final_.cmp(&right.final_).then(right.pod.cmp(&left.pod)))
}

/// Pods of the newest replica set where there are replica sets: a failing pod of the old one is what is being
/// replaced, not a failure of this rollout.
pub fn current_pods<'a>(object: &'a Value, related: &'a [Value]) -> Vec<&'a Value> {
    let newest = related
        .iter()
        .filter(|one| text(one, "/kind") == "ReplicaSet")
        .max_by_key(|set| {
            text(set, "/metadata/annotations/deployment.kubernetes.io~1revision")
                .parse::<u64>()
                .unwrap_or(0)
        })
        .map(|set| text(set, "/metadata/uid"));
    let own = std::iter::once(object).filter(|one| text(one, "/kind") == "Pod");
    own.chain(related.iter().filter(|one| text(one, "/kind") == "Pod"))
        .filter(|pod| pod.pointer("/metadata/deletionTimestamp").is_none_or(Value::is_null))
        .filter(|pod| {
            newest.is_none_or(|uid| {
                list(pod, "/metadata/ownerReferences")
                    .iter()
                    .any(|owner| text(owner, "/uid") == uid)
            })
        })
        .collect()
}

/// Everything wrong with one pod.
pub fn causes(pod: &Value) -> Vec<Cause> {
    let statuses = list(pod, "/status/initContainerStatuses")
        .iter()
        .chain(list(pod, "/status/containerStatuses"));
    let mut found: Vec<Cause> = statuses.filter_map(|status| container(pod, status)).collect();
    if let Some(scheduled) = condition(pod, "PodScheduled")
        && text(scheduled, "/reason") == "Unschedulable"
    {
        found.push(Cause {
            reason: "Unschedulable".into(),
            message: text(scheduled, "/message").into(),
            pod: text(pod, "/metadata/name").into(),
            container: None,
            image: String::new(),
            final_: Finality::MayPass,
        });
    }
    found
}

fn container(pod: &Value, status: &Value) -> Option<Cause> {
    let name = text(status, "/name");
    let image = text(status, "/image");
    let cause = |reason: &str, message: String, finality| Cause {
        reason: reason.into(),
        message,
        pod: text(pod, "/metadata/name").into(),
        container: Some(name.into()),
        image: image.into(),
        final_: finality,
    };
    let waiting = text(status, "/state/waiting/reason");
    let said = text(status, "/state/waiting/message");
    match waiting {
        "ErrImageNeverPull" => Some(cause(
            waiting,
            format!("the node does not have the image {image} and may not pull it"),
            Finality::Final,
        )),
        "ErrImagePull" | "ImagePullBackOff" => Some(cause(
            waiting,
            format!("the image {image} could not be pulled: {}", one_line(said)),
            // The first failure may be the network's; backing off means that it failed more than once.
            if waiting == "ErrImagePull" { Finality::MayPass } else { Finality::Final },
        )),
        "InvalidImageName" => {
            Some(cause(waiting, format!("{image} is no image name"), Finality::Final))
        }
        "CreateContainerConfigError" | "CreateContainerError" | "RunContainerError" => Some(cause(
            waiting,
            format!("the container {name} could not be made: {}", one_line(said)),
            Finality::Final,
        )),
        _ => {
            exits(status, name).map(|(reason, message, finality)| cause(&reason, message, finality))
        }
    }
}

/// What became of a container that ends instead of running.
fn exits(status: &Value, name: &str) -> Option<(String, String, Finality)> {
    let terminated = ["/state/terminated", "/lastState/terminated"]
        .into_iter()
        .find_map(|pointer| status.pointer(pointer).filter(|state| state.is_object()))?;
    let code = number(terminated, "/exitCode").unwrap_or(0);
    let restarts = number(status, "/restartCount").unwrap_or(0);
    let now_ended = status.pointer("/state/terminated").is_some_and(Value::is_object);
    // `restartCount` grows when the container starts again, so an exit that is not yet followed by one is added.
    let exits = restarts + i64::from(now_ended);
    let looping = text(status, "/state/waiting/reason") == "CrashLoopBackOff";
    if status.pointer("/ready").and_then(Value::as_bool) == Some(true)
        || (code == 0 && !looping && exits < FORGIVEN_EXITS)
    {
        return None;
    }
    let killed_for_memory = text(terminated, "/reason") == "OOMKilled";
    let message = if killed_for_memory {
        format!("the container {name} was killed at its memory limit")
    } else {
        format!("the container {name} ended {exits} times, last with exit code {code}")
    };
    let finality = if exits >= FORGIVEN_EXITS { Finality::Final } else { Finality::MayPass };
    let reason = if killed_for_memory { "OOMKilled" } else { "CrashLoopBackOff" };
    Some((reason.into(), message, finality))
}

/// A message from the cluster, bounded and on one line.
pub fn one_line(text: &str) -> String {
    let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match flat.char_indices().nth(300) {
        Some((end, _)) => format!("{}…", &flat[..end]),
        None => flat,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pod_with(status: &Value) -> Value {
        json!({"kind": "Pod", "metadata": {"name": "web-1", "ownerReferences": [{"uid": "new"}]},
            "status": {"containerStatuses": [status]}})
    }

    fn waiting(reason: &str) -> Value {
        pod_with(&json!({"name": "web", "image": "web:1", "ready": false, "restartCount": 0,
            "state": {"waiting": {"reason": reason, "message": "said\nso"}}}))
    }

    fn ended(code: i64, restarts: i64, looping: bool) -> Value {
        let state = if looping {
            json!({"waiting": {"reason": "CrashLoopBackOff"}})
        } else {
            json!({"running": {}})
        };
        pod_with(&json!({"name": "web", "image": "web:1", "ready": false, "restartCount": restarts,
            "state": state, "lastState": {"terminated": {"exitCode": code, "reason": "Error"}}}))
    }

    #[test]
    fn an_image_that_may_not_be_pulled_is_final() {
        let cause = causes(&waiting("ErrImageNeverPull")).remove(0);
        assert_eq!(cause.final_, Finality::Final);
        assert!(cause.message.contains("web:1"));
    }

    #[test]
    fn the_first_failed_pull_may_pass_and_backing_off_does_not() {
        assert_eq!(causes(&waiting("ErrImagePull"))[0].final_, Finality::MayPass);
        assert_eq!(causes(&waiting("ImagePullBackOff"))[0].final_, Finality::Final);
    }

    #[test]
    fn a_container_being_made_is_no_cause() {
        assert!(causes(&waiting("ContainerCreating")).is_empty());
    }

    #[test]
    fn one_exit_is_forgiven_and_the_second_is_not() {
        assert_eq!(causes(&ended(1, 1, false))[0].final_, Finality::MayPass);
        assert_eq!(causes(&ended(1, 2, true))[0].final_, Finality::Final);
    }

    #[test]
    fn a_container_that_recovered_is_no_cause() {
        let recovered = pod_with(&json!({"name": "web", "ready": true, "restartCount": 3,
            "state": {"running": {}}, "lastState": {"terminated": {"exitCode": 1}}}));
        assert!(causes(&recovered).is_empty());
    }

    #[test]
    fn pods_of_the_old_replica_set_do_not_count() {
        let set = |uid: &str, revision: &str| {
            json!({"kind": "ReplicaSet",
            "metadata": {"uid": uid, "annotations": {"deployment.kubernetes.io/revision": revision}}})
        };
        let old = json!({"kind": "Pod", "metadata": {"name": "old", "ownerReferences": [{"uid": "old"}]},
            "status": {"containerStatuses": [{"name": "web", "ready": false, "restartCount": 0,
                "state": {"waiting": {"reason": "ErrImageNeverPull"}}}]}});
        let related = [set("old", "9"), set("new", "10"), old];
        assert_eq!(worst(&json!({"kind": "Deployment"}), &related), None);
    }

    #[test]
    fn out_of_memory_is_said_so() {
        let pod = pod_with(&json!({"name": "web", "ready": false, "restartCount": 2,
            "state": {"waiting": {"reason": "CrashLoopBackOff"}},
            "lastState": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}}));
        assert_eq!(causes(&pod)[0].reason, "OOMKilled");
    }
}
