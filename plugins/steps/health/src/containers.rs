//! Why a container does not run: its image, its configuration, or that it ends.

use std::time::Duration;

use crate::cause::{Cause, Gravity};
use crate::document::{is_true, list, number, one_line, text};
use crate::events;
use serde_json::Value;

/// A container that ends so often is crashing; one that ends less often may recover.
const TOO_OFTEN: i64 = 2;

/// A registry that does not answer may answer soon.
const NETWORK_PATIENCE: Duration = Duration::from_secs(30);

/// Another controller may be about to make the Secret or `ConfigMap`.
const CONFIGURATION_PATIENCE: Duration = Duration::from_secs(5);

/// What registries say of an image that will not be there the next time either.
const NOT_THERE: [&str; 7] = [
    "not found",
    "manifest unknown",
    "does not exist",
    "unauthorized",
    "denied",
    "no match for platform",
    "invalid reference format",
];

/// Everything wrong with the containers of one pod.
pub fn causes<'a>(pod: &'a Value, reported: &[Value]) -> Vec<Cause<'a>> {
    let statuses = list(pod, "/status/initContainerStatuses").iter();
    statuses
        .chain(list(pod, "/status/containerStatuses"))
        .filter_map(|status| cause(pod, status, reported))
        .collect()
}

/// Whether it is that a container ended.
pub fn is_of_an_exit(cause: &Cause<'_>) -> bool {
    matches!(cause.reason, "OOMKilled" | "CrashLoopBackOff" | "LivenessProbe" | "StartError")
}

/// What the pod says of a container; init containers included.
pub fn spec<'a>(pod: &'a Value, name: &str) -> Option<&'a Value> {
    list(pod, "/spec/containers")
        .iter()
        .chain(list(pod, "/spec/initContainers"))
        .find(|container| text(container, "/name") == name)
}

/// `the container web`, `the init container migrate`.
pub fn called(pod: &Value, name: &str) -> String {
    let is_init =
        list(pod, "/spec/initContainers").iter().any(|container| text(container, "/name") == name);
    format!("the {}container {name}", if is_init { "init " } else { "" })
}

fn cause<'a>(pod: &'a Value, status: &'a Value, reported: &[Value]) -> Option<Cause<'a>> {
    let name = text(status, "/name");
    // The status names the image as the node resolved it, which for one that is not there may be nothing.
    let image = spec(pod, name).map_or_else(|| text(status, "/image"), |spec| text(spec, "/image"));
    let called = called(pod, name);
    let said = one_line(text(status, "/state/waiting/message"));
    let (reason, message, gravity) = match text(status, "/state/waiting/reason") {
        "ErrImageNeverPull" => (
            "ErrImageNeverPull",
            format!("the node does not have the image {image} and may not pull it"),
            Gravity::Final,
        ),
        // They alternate; the first has the registry's words, the second often none.
        "ErrImagePull" | "ImagePullBackOff" => {
            let said = pull_failure(pod, reported).unwrap_or(said);
            let lower = said.to_lowercase();
            let is_final = NOT_THERE.iter().any(|words| lower.contains(words));
            let gravity = if is_final { Gravity::Final } else { Gravity::Passes(NETWORK_PATIENCE) };
            ("ErrImagePull", format!("the image {image} could not be pulled: {said}"), gravity)
        }
        "InvalidImageName" => {
            ("InvalidImageName", format!("{image} is no image name: {said}"), Gravity::Final)
        }
        "CreateContainerConfigError" => (
            "CreateContainerConfigError",
            format!("{called} cannot be made: {said}"),
            Gravity::Passes(CONFIGURATION_PATIENCE),
        ),
        "CreateContainerError" => (
            "CreateContainerError",
            format!("{called} cannot be made: {said}"),
            Gravity::Passes(CONFIGURATION_PATIENCE),
        ),
        "RunContainerError" => {
            ("StartError", format!("{called} cannot be started: {said}"), Gravity::Final)
        }
        _ => ended(pod, status, &called, reported)?,
    };
    Some(Cause { reason, message, pod: Some(pod), container: Some(name), gravity })
}

/// The registry's words, which the container's state has only half of the time.
fn pull_failure(pod: &Value, reported: &[Value]) -> Option<String> {
    let about = events::about(reported, pod);
    let failed = about.into_iter().rev().find(|event| {
        text(event, "/reason") == "Failed" && text(event, "/message").contains("pull image")
    })?;
    Some(one_line(text(failed, "/message")))
}

/// What became of a container that ends instead of running.
fn ended(
    pod: &Value,
    status: &Value,
    called: &str,
    reported: &[Value],
) -> Option<(&'static str, String, Gravity)> {
    if is_true(status, "/ready") {
        return None;
    }
    let terminated = ["/state/terminated", "/lastState/terminated"]
        .into_iter()
        .find_map(|pointer| status.pointer(pointer).filter(|state| state.is_object()))?;
    let code = number(terminated, "/exitCode").unwrap_or(0);
    let is_running = status.pointer("/state/running").is_some_and(Value::is_object);
    // `restartCount` grows when the container starts again, so an exit that is not followed by one yet is added.
    let exits = number(status, "/restartCount").unwrap_or(0) + i64::from(!is_running);
    let must_run = matches!(text(pod, "/spec/restartPolicy"), "" | "Always");
    if code == 0 && !(must_run && exits >= TOO_OFTEN) {
        return None;
    }
    // One that runs again may recover, however often it ended before.
    let is_crashing = exits >= TOO_OFTEN && !is_running;
    let gravity = if is_crashing { Gravity::Final } else { Gravity::MayPass };
    let times = if exits == 1 { "once".to_owned() } else { format!("{exits} times") };
    let name = text(status, "/name");
    Some(match text(terminated, "/reason") {
        "OOMKilled" => {
            let limit = spec(pod, name).map_or("", |spec| text(spec, "/resources/limits/memory"));
            let why = match limit {
                "" => "since the node ran out of memory".to_owned(),
                limit => format!("at its memory limit of {limit}"),
            };
            ("OOMKilled", format!("{called} was killed {times} {why}"), gravity)
        }
        "StartError" | "ContainerCannotRun" => {
            let said = one_line(text(terminated, "/message"));
            ("StartError", format!("{called} cannot be started: {said}"), Gravity::Final)
        }
        _ => match killed_by_probe(pod, name, reported) {
            Some(probe) => {
                let message = format!("{called} was ended {times} for its probe: {probe}");
                ("LivenessProbe", message, gravity)
            }
            None => {
                let last = if exits == 1 { "" } else { "last " };
                let message = format!("{called} ended {times}, {last}with exit code {code}");
                ("CrashLoopBackOff", message, gravity)
            }
        },
    })
}

/// What the probe said for which the kubelet ends this container.
fn killed_by_probe(pod: &Value, container: &str, reported: &[Value]) -> Option<String> {
    let place = format!("{{{container}}}");
    let about: Vec<&Value> = events::about(reported, pod)
        .into_iter()
        .filter(|event| text(event, "/involvedObject/fieldPath").ends_with(&place))
        .collect();
    let kills = |event: &&&Value| {
        let message = text(event, "/message");
        text(event, "/reason") == "Killing"
            && (message.contains("liveness probe") || message.contains("startup probe"))
    };
    about.iter().rev().find(kills)?;
    let probe = about.iter().rev().find(|event| {
        let message = text(event, "/message");
        text(event, "/reason") == "Unhealthy" && !message.starts_with("Readiness")
    })?;
    Some(one_line(text(probe, "/message")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pod_with(status: &Value) -> Value {
        json!({"kind": "Pod", "metadata": {"name": "web-1", "uid": "p"},
            "spec": {"containers": [{"name": "web", "image": "web:1",
                "resources": {"limits": {"memory": "256Mi"}}}]},
            "status": {"containerStatuses": [status]}})
    }

    fn waiting(reason: &str, message: &str) -> Value {
        pod_with(&json!({"name": "web", "image": "", "ready": false, "restartCount": 0,
            "state": {"waiting": {"reason": reason, "message": message}}}))
    }

    fn ended_with(code: i64, restarts: i64, state: &Value) -> Value {
        pod_with(&json!({"name": "web", "image": "web:1", "ready": false, "restartCount": restarts,
            "state": state, "lastState": {"terminated": {"exitCode": code, "reason": "Error"}}}))
    }

    fn only(pod: &Value) -> Cause<'_> {
        causes(pod, &[]).remove(0)
    }

    #[test]
    fn an_image_that_may_not_be_pulled_is_final() {
        let pod = waiting("ErrImageNeverPull", "");
        assert_eq!(only(&pod).gravity, Gravity::Final);
        assert!(only(&pod).message.contains("web:1"));
    }

    #[test]
    fn an_image_that_does_not_exist_is_final_and_a_registry_that_does_not_answer_is_not() {
        for (said, gravity) in [
            ("failed to resolve reference: docker.io/library/web:1: not found", Gravity::Final),
            ("pull access denied, repository does not exist", Gravity::Final),
            ("dial tcp 10.0.0.1:443: i/o timeout", Gravity::Passes(NETWORK_PATIENCE)),
        ] {
            let pod = waiting("ErrImagePull", said);
            assert_eq!(only(&pod).gravity, gravity, "{said}");
        }
    }

    #[test]
    fn backing_off_has_the_words_of_the_failed_pull() {
        let pod = waiting("ImagePullBackOff", "Back-off pulling image \"web:1\"");
        let failed = json!({"reason": "Failed", "type": "Warning", "involvedObject": {"uid": "p"},
            "message": "Failed to pull image \"web:1\": manifest unknown"});
        let causes = causes(&pod, &[failed]);
        assert_eq!((causes[0].reason, causes[0].gravity), ("ErrImagePull", Gravity::Final));
        assert!(causes[0].message.contains("manifest unknown"));
    }

    #[test]
    fn a_container_being_made_is_no_cause() {
        assert!(causes(&waiting("ContainerCreating", ""), &[]).is_empty());
    }

    #[test]
    fn what_a_container_is_made_from_may_come_a_little_later() {
        let pod = waiting("CreateContainerConfigError", "secret \"keys\" not found");
        assert_eq!(only(&pod).gravity, Gravity::Passes(CONFIGURATION_PATIENCE));
        assert!(only(&pod).message.ends_with("secret \"keys\" not found"));
    }

    #[test]
    fn one_exit_may_pass_and_the_second_is_final() {
        let running = json!({"running": {}});
        let back_off = json!({"waiting": {"reason": "CrashLoopBackOff"}});
        assert_eq!(only(&ended_with(1, 0, &back_off)).gravity, Gravity::MayPass);
        assert_eq!(only(&ended_with(1, 1, &running)).gravity, Gravity::MayPass);
        assert_eq!(only(&ended_with(1, 1, &back_off)).gravity, Gravity::Final);
        assert!(only(&ended_with(1, 1, &back_off)).message.contains("ended 2 times"));
    }

    #[test]
    fn one_that_runs_again_may_recover_however_often_it_ended() {
        assert_eq!(only(&ended_with(1, 7, &json!({"running": {}}))).gravity, Gravity::MayPass);
    }

    #[test]
    fn a_container_that_recovered_is_no_cause() {
        let recovered = pod_with(&json!({"name": "web", "ready": true, "restartCount": 3,
            "state": {"running": {}}, "lastState": {"terminated": {"exitCode": 1}}}));
        assert!(causes(&recovered, &[]).is_empty());
    }

    #[test]
    fn one_that_ends_well_is_a_cause_only_where_it_must_run() {
        let back_off = json!({"waiting": {"reason": "CrashLoopBackOff"}});
        assert_eq!(only(&ended_with(0, 1, &back_off)).gravity, Gravity::Final);
        let mut of_a_job = ended_with(0, 1, &back_off);
        of_a_job["spec"]["restartPolicy"] = json!("OnFailure");
        assert!(causes(&of_a_job, &[]).is_empty());
    }

    #[test]
    fn out_of_memory_names_the_limit() {
        let pod = pod_with(&json!({"name": "web", "ready": false, "restartCount": 1,
            "state": {"waiting": {"reason": "CrashLoopBackOff"}},
            "lastState": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}}));
        assert_eq!(only(&pod).reason, "OOMKilled");
        assert_eq!(
            only(&pod).message,
            "the container web was killed 2 times at its memory limit of 256Mi"
        );
    }

    #[test]
    fn a_command_that_is_not_there_is_final_at_once() {
        let pod = pod_with(&json!({"name": "web", "ready": false, "restartCount": 0,
            "state": {"terminated": {"exitCode": 128, "reason": "StartError",
                "message": "exec: \"serve\": executable file not found in $PATH"}}}));
        assert_eq!((only(&pod).reason, only(&pod).gravity), ("StartError", Gravity::Final));
    }

    #[test]
    fn a_container_that_its_probe_ends_is_told_with_the_probes_words() {
        let pod = ended_with(137, 1, &json!({"waiting": {"reason": "CrashLoopBackOff"}}));
        let event = |reason: &str, message: &str| {
            json!({"reason": reason, "message": message,
            "involvedObject": {"uid": "p", "fieldPath": "spec.containers{web}"}})
        };
        let reported = [
            event("Unhealthy", "Liveness probe failed: HTTP probe failed with statuscode: 500"),
            event("Killing", "Container web failed liveness probe, will be restarted"),
        ];
        let causes = causes(&pod, &reported);
        assert_eq!((causes[0].reason, causes[0].gravity), ("LivenessProbe", Gravity::Final));
        assert!(causes[0].message.ends_with("statuscode: 500"), "{}", causes[0].message);
    }

    #[test]
    fn an_init_container_is_called_one() {
        let pod = json!({"kind": "Pod", "metadata": {"name": "web-1"},
            "spec": {"initContainers": [{"name": "migrate", "image": "web:1"}]},
            "status": {"initContainerStatuses": [{"name": "migrate", "ready": false, "restartCount": 1,
                "state": {"terminated": {"exitCode": 1, "reason": "Error"}}}]}});
        assert!(only(&pod).message.starts_with("the init container migrate ended 2 times"));
    }
}
