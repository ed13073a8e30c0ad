//! Finds why a container does not run: its image, its configuration, or its own exits.

use std::time::Duration;

use crate::cause::{Cause, Severity};
use crate::document::{is_true, list, number, one_line, text};
use crate::events;
use serde_json::Value;

/// From this many exits on, a container is crashing; with fewer, it may recover.
const TOO_OFTEN: i64 = 2;

/// An unreachable registry may answer within this time.
const NETWORK_PATIENCE: Duration = Duration::from_secs(30);

/// Another controller may create the Secret or `ConfigMap` within this time.
const CONFIGURATION_PATIENCE: Duration = Duration::from_secs(5);

/// Parts of registries' error messages after which another pull would fail in the same way.
const PERMANENT_PULL_ERRORS: [&str; 7] = [
    "not found",
    "manifest unknown",
    "does not exist",
    "unauthorized",
    "denied",
    "no match for platform",
    "invalid reference format",
];

/// The causes found in the containers and init containers of one pod.
pub fn causes<'a>(pod: &'a Value, reported: &[Value]) -> Vec<Cause<'a>> {
    let statuses = list(pod, "/status/initContainerStatuses").iter();
    statuses
        .chain(list(pod, "/status/containerStatuses"))
        .filter_map(|status| cause(pod, status, reported))
        .collect()
}

/// Whether the cause is the exit of a container.
pub fn is_exit(cause: &Cause<'_>) -> bool {
    matches!(cause.reason, "OOMKilled" | "CrashLoopBackOff" | "LivenessProbe" | "StartError")
}

/// The specification of a container or init container in its pod.
pub fn spec<'a>(pod: &'a Value, name: &str) -> Option<&'a Value> {
    list(pod, "/spec/containers")
        .iter()
        .chain(list(pod, "/spec/initContainers"))
        .find(|container| text(container, "/name") == name)
}

/// The container as messages name it: `the container web` or `the init container migrate`.
pub fn label(pod: &Value, name: &str) -> String {
    let is_init =
        list(pod, "/spec/initContainers").iter().any(|container| text(container, "/name") == name);
    format!("the {}container {name}", if is_init { "init " } else { "" })
}

fn cause<'a>(pod: &'a Value, status: &'a Value, reported: &[Value]) -> Option<Cause<'a>> {
    let name = text(status, "/name");
    // The status names the image as the node resolved it, and may be empty for a missing image.
    let image = spec(pod, name).map_or_else(|| text(status, "/image"), |spec| text(spec, "/image"));
    let label = label(pod, name);
    let details = one_line(text(status, "/state/waiting/message"));
    let (reason, message, severity) = match text(status, "/state/waiting/reason") {
        "ErrImageNeverPull" => (
            "ErrImageNeverPull",
            format!("the image {image} is not on the node, and imagePullPolicy is Never"),
            Severity::Permanent,
        ),
        // The two reasons alternate. Only the first always carries the registry's message.
        "ErrImagePull" | "ImagePullBackOff" => {
            let details = pull_failure(pod, reported).unwrap_or(details);
            let lower = details.to_lowercase();
            let is_final = PERMANENT_PULL_ERRORS.iter().any(|words| lower.contains(words));
            let severity = if is_final {
                Severity::Permanent
            } else {
                Severity::TransientFor(NETWORK_PATIENCE)
            };
            ("ErrImagePull", format!("the image {image} could not be pulled: {details}"), severity)
        }
        "InvalidImageName" => {
            let message = format!("{image} is not a valid image name: {details}");
            ("InvalidImageName", message, Severity::Permanent)
        }
        "CreateContainerConfigError" => (
            "CreateContainerConfigError",
            format!("{label} cannot be created: {details}"),
            Severity::TransientFor(CONFIGURATION_PATIENCE),
        ),
        "CreateContainerError" => (
            "CreateContainerError",
            format!("{label} cannot be created: {details}"),
            Severity::TransientFor(CONFIGURATION_PATIENCE),
        ),
        "RunContainerError" => {
            ("StartError", format!("{label} cannot be started: {details}"), Severity::Permanent)
        }
        _ => ended(pod, status, &label, reported)?,
    };
    Some(Cause { reason, message, pod: Some(pod), container: Some(name), severity })
}

/// The registry's message, from the events: the container's status carries it only while it is `ErrImagePull`.
fn pull_failure(pod: &Value, reported: &[Value]) -> Option<String> {
    let about = events::about(reported, pod);
    let failed = about.into_iter().rev().find(|event| {
        text(event, "/reason") == "Failed" && text(event, "/message").contains("pull image")
    })?;
    Some(one_line(text(failed, "/message")))
}

/// Reason, message and severity for a container that exited instead of running.
fn ended(
    pod: &Value,
    status: &Value,
    label: &str,
    reported: &[Value],
) -> Option<(&'static str, String, Severity)> {
    if is_true(status, "/ready") {
        return None;
    }
    let terminated = ["/state/terminated", "/lastState/terminated"]
        .into_iter()
        .find_map(|pointer| status.pointer(pointer).filter(|state| state.is_object()))?;
    let code = number(terminated, "/exitCode").unwrap_or(0);
    let is_running = status.pointer("/state/running").is_some_and(Value::is_object);
    // `restartCount` grows when the container starts again, so the latest exit is added until then.
    let exits = number(status, "/restartCount").unwrap_or(0) + i64::from(!is_running);
    let must_run = matches!(text(pod, "/spec/restartPolicy"), "" | "Always");
    if code == 0 && !(must_run && exits >= TOO_OFTEN) {
        return None;
    }
    // A container that runs again may recover, however often it exited before.
    let is_crashing = exits >= TOO_OFTEN && !is_running;
    let severity = if is_crashing { Severity::Permanent } else { Severity::Transient };
    let times = if exits == 1 { "once".to_owned() } else { format!("{exits} times") };
    let name = text(status, "/name");
    Some(match text(terminated, "/reason") {
        "OOMKilled" => {
            let limit = spec(pod, name).map_or("", |spec| text(spec, "/resources/limits/memory"));
            let why = match limit {
                "" => "because the node ran out of memory".to_owned(),
                limit => format!("at its memory limit of {limit}"),
            };
            ("OOMKilled", format!("{label} was killed {times} {why}"), severity)
        }
        "StartError" | "ContainerCannotRun" => {
            let details = one_line(text(terminated, "/message"));
            ("StartError", format!("{label} cannot be started: {details}"), Severity::Permanent)
        }
        _ => match killed_by_probe(pod, name, reported) {
            Some(probe) => {
                let message = format!("the kubelet killed {label} {times}: {probe}");
                ("LivenessProbe", message, severity)
            }
            None => {
                let last = if exits == 1 { "" } else { "last " };
                let message = format!("{label} exited {times}, {last}with exit code {code}");
                ("CrashLoopBackOff", message, severity)
            }
        },
    })
}

/// The message of the liveness or startup probe for which the kubelet killed this container.
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
    fn missing_image_with_pull_policy_never_is_permanent() {
        let pod = waiting("ErrImageNeverPull", "");
        assert_eq!(only(&pod).severity, Severity::Permanent);
        assert!(only(&pod).message.contains("web:1"));
    }

    #[test]
    fn missing_image_is_permanent_and_unreachable_registry_is_transient() {
        for (message, severity) in [
            (
                "failed to resolve reference: docker.io/library/web:1: not found",
                Severity::Permanent,
            ),
            ("pull access denied, repository does not exist", Severity::Permanent),
            ("dial tcp 10.0.0.1:443: i/o timeout", Severity::TransientFor(NETWORK_PATIENCE)),
        ] {
            let pod = waiting("ErrImagePull", message);
            assert_eq!(only(&pod).severity, severity, "{message}");
        }
    }

    #[test]
    fn image_pull_back_off_reports_the_message_of_the_failed_pull() {
        let pod = waiting("ImagePullBackOff", "Back-off pulling image \"web:1\"");
        let failed = json!({"reason": "Failed", "type": "Warning", "involvedObject": {"uid": "p"},
            "message": "Failed to pull image \"web:1\": manifest unknown"});
        let causes = causes(&pod, &[failed]);
        assert_eq!((causes[0].reason, causes[0].severity), ("ErrImagePull", Severity::Permanent));
        assert!(causes[0].message.contains("manifest unknown"));
    }

    #[test]
    fn container_being_created_is_not_a_cause() {
        assert!(causes(&waiting("ContainerCreating", ""), &[]).is_empty());
    }

    #[test]
    fn missing_configuration_becomes_permanent_after_a_while() {
        let pod = waiting("CreateContainerConfigError", "secret \"keys\" not found");
        assert_eq!(only(&pod).severity, Severity::TransientFor(CONFIGURATION_PATIENCE));
        assert!(only(&pod).message.ends_with("secret \"keys\" not found"));
    }

    #[test]
    fn first_exit_is_transient_and_second_is_permanent() {
        let running = json!({"running": {}});
        let back_off = json!({"waiting": {"reason": "CrashLoopBackOff"}});
        assert_eq!(only(&ended_with(1, 0, &back_off)).severity, Severity::Transient);
        assert_eq!(only(&ended_with(1, 1, &running)).severity, Severity::Transient);
        assert_eq!(only(&ended_with(1, 1, &back_off)).severity, Severity::Permanent);
        assert!(only(&ended_with(1, 1, &back_off)).message.contains("exited 2 times"));
    }

    #[test]
    fn exits_of_a_running_container_are_transient() {
        assert_eq!(only(&ended_with(1, 7, &json!({"running": {}}))).severity, Severity::Transient);
    }

    #[test]
    fn recovered_container_is_not_a_cause() {
        let recovered = pod_with(&json!({"name": "web", "ready": true, "restartCount": 3,
            "state": {"running": {}}, "lastState": {"terminated": {"exitCode": 1}}}));
        assert!(causes(&recovered, &[]).is_empty());
    }

    #[test]
    fn exit_code_zero_is_a_cause_only_with_restart_policy_always() {
        let back_off = json!({"waiting": {"reason": "CrashLoopBackOff"}});
        assert_eq!(only(&ended_with(0, 1, &back_off)).severity, Severity::Permanent);
        let mut of_a_job = ended_with(0, 1, &back_off);
        of_a_job["spec"]["restartPolicy"] = json!("OnFailure");
        assert!(causes(&of_a_job, &[]).is_empty());
    }

    #[test]
    fn oom_kill_is_reported_with_the_memory_limit() {
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
    fn missing_command_is_permanent_at_the_first_exit() {
        let pod = pod_with(&json!({"name": "web", "ready": false, "restartCount": 0,
            "state": {"terminated": {"exitCode": 128, "reason": "StartError",
                "message": "exec: \"serve\": executable file not found in $PATH"}}}));
        assert_eq!((only(&pod).reason, only(&pod).severity), ("StartError", Severity::Permanent));
    }

    #[test]
    fn kill_by_liveness_probe_is_reported_with_the_probe_message() {
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
        assert_eq!((causes[0].reason, causes[0].severity), ("LivenessProbe", Severity::Permanent));
        assert!(causes[0].message.ends_with("statuscode: 500"), "{}", causes[0].message);
    }

    #[test]
    fn init_container_is_named_as_such() {
        let pod = json!({"kind": "Pod", "metadata": {"name": "web-1"},
            "spec": {"initContainers": [{"name": "migrate", "image": "web:1"}]},
            "status": {"initContainerStatuses": [{"name": "migrate", "ready": false, "restartCount": 1,
                "state": {"terminated": {"exitCode": 1, "reason": "Error"}}}]}});
        assert!(only(&pod).message.starts_with("the init container migrate exited 2 times"));
    }
}
