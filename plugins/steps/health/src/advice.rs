//! Help for each cause, with the measured values and limits behind it.

use crate::cause::Cause;
use crate::containers;
use crate::document::{list, text};
use crate::quantity;
use serde_json::Value;
use todohost_plugin::verify::Usage;

/// From this share of its CPU limit on, in percent, a container counts as slowed down by the limit.
const NEAR: u64 = 90;

/// The help of a cause's finding: the change that removes the cause.
pub fn advice(cause: &Cause<'_>, usage: &[Usage]) -> String {
    let container = cause.container.unwrap_or_default();
    let image = cause
        .pod
        .and_then(|pod| containers::spec(pod, container))
        .map_or("the image", |spec| text(spec, "/image"));
    match cause.reason {
        "ErrImageNeverPull" => format!(
            "build {image} and load it onto the node, or correct the image's name and tag in the values"
        ),
        "ErrImagePull" => format!(
            "correct the name and tag {image}, log in to its registry, or set imagePullPolicy to Never for an image built here"
        ),
        "InvalidImageName" => "correct the image's name in the values".into(),
        "CreateContainerConfigError" | "FailedMount" => missing_advice(&cause.message),
        "CreateContainerError" | "StartError" => {
            format!("correct command, args or workingDir of {container}, or the image's entry point")
        }
        "OOMKilled" => match limit(cause, "memory") {
            Some(limit) => format!(
                "raise resources.limits.memory of {container} above {}, e.g. to {}",
                quantity::memory(limit),
                quantity::memory(limit.saturating_mul(2))
            ),
            None => format!(
                "set resources.requests.memory of {container}, so that it is scheduled on a node with enough memory, or give the cluster more memory"
            ),
        },
        "LivenessProbe" => cpu_advice(cause, usage).unwrap_or_else(|| {
            format!(
                "correct path and port of {container}'s probe, or add a startupProbe if it needs longer to start"
            )
        }),
        "Unhealthy" => cpu_advice(cause, usage).unwrap_or_else(|| probe_advice(cause)),
        "CrashLoopBackOff" => crash_advice(cause),
        "Unschedulable" => scheduling_advice(cause),
        "SchedulingGated" => {
            "remove the pod's schedulingGates, or start the controller that removes them".into()
        }
        "FailedCreatePodSandBox" => "check the cluster's network plugin and its nodes".into(),
        "ExceededQuota" => {
            "lower resources.requests and limits to fit the rest of the quota, or raise the quota".into()
        }
        "FailedCreate" if cause.message.contains("violates PodSecurity") => {
            "set the securityContext that the namespace's pod security policy requires".into()
        }
        "FailedCreate" if cause.message.contains("admission webhook") => {
            "change the setting that the webhook rejects, or ask the webhook's owner".into()
        }
        _ => "correct the setting named in the message".into(),
    }
}

/// The container's highest measured usage, if it explains the cause.
pub fn describe_usage(cause: &Cause<'_>, usage: &[Usage]) -> Option<String> {
    let used = used(cause, usage)?;
    match cause.reason {
        "OOMKilled" => Some(format!("while using {}", quantity::memory(used.memory_bytes))),
        "LivenessProbe" | "Unhealthy" | "CrashLoopBackOff" if !got_http_status(cause) => {
            let limit =
                limit(cause, "cpu").filter(|limit| is_near(used.cpu_millis.into(), *limit))?;
            Some(format!("while using {}m of its {limit}m CPU limit", used.cpu_millis))
        }
        _ => None,
    }
}

/// Whether the probe got an HTTP status: then the app answered in time, and the CPU limit is not the cause.
fn got_http_status(cause: &Cause<'_>) -> bool {
    cause.message.contains("probe failed with statuscode")
}

/// Advice to raise the CPU limit, if the container is close to it.
fn cpu_advice(cause: &Cause<'_>, usage: &[Usage]) -> Option<String> {
    if got_http_status(cause) {
        return None;
    }
    let used = used(cause, usage)?;
    let limit = limit(cause, "cpu").filter(|limit| is_near(used.cpu_millis.into(), *limit))?;
    Some(format!(
        "it uses {}m of its {limit}m CPU limit: raise resources.limits.cpu of {}, e.g. to {}m",
        used.cpu_millis,
        cause.container.unwrap_or_default(),
        limit.saturating_mul(2)
    ))
}

fn is_near(used: u64, limit: u64) -> bool {
    limit > 0 && used.saturating_mul(100) >= limit.saturating_mul(NEAR)
}

fn used<'a>(cause: &Cause<'_>, usage: &'a [Usage]) -> Option<&'a Usage> {
    let pod = text(cause.pod?, "/metadata/name");
    let container = cause.container?;
    usage.iter().find(|one| one.pod == pod && one.container == container)
}

fn limit(cause: &Cause<'_>, resource: &str) -> Option<u64> {
    let spec = containers::spec(cause.pod?, cause.container?)?;
    let stated = spec.pointer("/resources/limits")?.get(resource)?;
    if resource == "cpu" { quantity::millicores(stated) } else { quantity::bytes(stated) }
}

fn probe_advice(cause: &Cause<'_>) -> String {
    let container = cause.container.unwrap_or_default();
    let spec = cause.pod.and_then(|pod| containers::spec(pod, container));
    let get = spec.and_then(|spec| spec.pointer("/readinessProbe/httpGet"));
    let place = get.map_or_else(String::new, |get| {
        let port = get.pointer("/port").map(|port| match port {
            Value::String(name) => name.clone(),
            port => port.to_string(),
        });
        let path = match text(get, "/path") {
            "" => "/",
            path => path,
        };
        format!(", which requests {path} on port {}", port.unwrap_or_default())
    });
    format!(
        "read the logs of {container}, and correct its readinessProbe{place}; if the app starts slowly, raise --ready-within"
    )
}

fn crash_advice(cause: &Cause<'_>) -> String {
    let container = cause.container.unwrap_or_default();
    let ended_with = |code: u32| cause.message.ends_with(&format!("exit code {code}"));
    if ended_with(0) {
        format!("{container} exits instead of serving: its command must stay in the foreground")
    } else if ended_with(126) || ended_with(127) {
        format!("the command of {container} is missing from its image or is not executable")
    } else if ended_with(137) {
        format!("{container} was killed from outside: read its logs and check its node")
    } else if ended_with(139) {
        format!(
            "{container} crashed with a segmentation fault: is its image built for this platform?"
        )
    } else {
        format!("read the logs of {container} from before the exit")
    }
}

fn scheduling_advice(cause: &Cause<'_>) -> String {
    let message = &cause.message;
    let requests = |resource: &str| -> Vec<String> {
        let containers = cause.pod.map_or(&[][..], |pod| list(pod, "/spec/containers"));
        containers
            .iter()
            .filter_map(|container| {
                let wanted = text(container, &format!("/resources/requests/{resource}"));
                (!wanted.is_empty())
                    .then(|| format!("{} requests {wanted}", text(container, "/name")))
            })
            .collect()
    };
    for resource in ["cpu", "memory", "ephemeral-storage"] {
        if message.contains(&format!("Insufficient {resource}")) {
            let stated = requests(resource).join(", ");
            let stated = if stated.is_empty() { stated } else { format!(" ({stated})") };
            return format!(
                "lower resources.requests.{resource}{stated}, or give the cluster more {resource}"
            );
        }
    }
    let by_words = [
        ("persistentvolumeclaim", "create the claim that the pod names, or correct its name"),
        (
            "PersistentVolumeClaims",
            "check why the pod's volume claim is not bound: class, size and access mode",
        ),
        ("node affinity", "correct nodeSelector or nodeAffinity: no node has these labels"),
        ("node selector", "correct nodeSelector or nodeAffinity: no node has these labels"),
        ("taint", "add a toleration for the taint, or remove the taint from the node"),
        ("free ports", "another pod uses this hostPort: use a Service instead, or another port"),
        (
            "anti-affinity",
            "run at most one replica per node, or make the anti-affinity a preference",
        ),
    ];
    let known = by_words.iter().find(|(words, _)| message.contains(words));
    known
        .map_or("lower the pod's requests, or give the cluster more nodes", |(_, help)| help)
        .into()
}

/// Advice for messages such as `secret "keys" not found` and `couldn't find key url in Secret shop/keys`.
fn missing_advice(message: &str) -> String {
    let lower = message.to_lowercase();
    let kind = if lower.contains("configmap") { "ConfigMap" } else { "Secret" };
    if lower.contains("find key") {
        format!("add the key to the {kind}, or correct its name in the pod's env")
    } else if lower.contains("not found") {
        format!("create the {kind} that the pod names, or correct its name")
    } else if lower.contains("runasnonroot") {
        "set runAsUser to a number other than 0, or set such a user in the image".into()
    } else {
        "correct the Secret, ConfigMap, volume or user named in the message".into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cause::Severity;
    use serde_json::json;

    fn pod() -> Value {
        json!({"metadata": {"name": "web-1"}, "spec": {"containers": [{"name": "web", "image": "web:1",
            "resources": {"limits": {"memory": "256Mi", "cpu": "100m"}, "requests": {"cpu": "64"}},
            "readinessProbe": {"httpGet": {"path": "/ready", "port": "http"}}}]}})
    }

    fn cause<'a>(pod: &'a Value, reason: &'static str, message: &str) -> Cause<'a> {
        Cause {
            reason,
            message: message.into(),
            pod: Some(pod),
            container: Some("web"),
            severity: Severity::Permanent,
        }
    }

    fn usage(memory_bytes: u64, cpu_millis: u32) -> Vec<Usage> {
        vec![Usage { pod: "web-1".into(), container: "web".into(), memory_bytes, cpu_millis }]
    }

    #[test]
    fn oom_kill_is_reported_with_usage_and_a_higher_limit() {
        let pod = pod();
        let killed = cause(&pod, "OOMKilled", "");
        let used = usage(254 << 20, 0);
        assert_eq!(describe_usage(&killed, &used).unwrap(), "while using 254Mi");
        assert_eq!(
            advice(&killed, &used),
            "raise resources.limits.memory of web above 256Mi, e.g. to 512Mi"
        );
    }

    #[test]
    fn cpu_limit_is_blamed_only_if_the_probe_got_no_answer() {
        let pod = pod();
        let unready = cause(&pod, "Unhealthy", "");
        assert!(advice(&unready, &usage(0, 98)).contains("98m of its 100m CPU limit"));
        assert!(advice(&unready, &usage(0, 10)).contains("which requests /ready on port http"));
        assert_eq!(describe_usage(&unready, &usage(0, 10)), None);
        // A container that answers is not slow, however much CPU it uses.
        let answer = "Readiness probe failed: HTTP probe failed with statuscode: 503";
        let answers = cause(&pod, "Unhealthy", answer);
        assert!(advice(&answers, &usage(0, 98)).contains("which requests /ready on port http"));
        assert_eq!(describe_usage(&answers, &usage(0, 98)), None);
    }

    #[test]
    fn scheduling_advice_follows_the_schedulers_reasons() {
        let pod = pod();
        let help = |message: &str| advice(&cause(&pod, "Unschedulable", message), &[]);
        assert!(help("1 Insufficient cpu.").contains("web requests 64"));
        assert!(help("had untolerated taint {a: b}").contains("toleration"));
        assert!(help("didn't match Pod's node affinity/selector").contains("nodeSelector"));
    }

    #[test]
    fn missing_secret_config_map_or_key_is_named() {
        let pod = pod();
        let help = |message: &str| advice(&cause(&pod, "CreateContainerConfigError", message), &[]);
        assert!(help("secret \"keys\" not found").starts_with("create the Secret"));
        assert!(
            help("couldn't find key url in Secret a/b").starts_with("add the key to the Secret")
        );
        assert!(help("configmap \"c\" not found").starts_with("create the ConfigMap"));
    }

    #[test]
    fn well_known_exit_codes_are_explained() {
        let pod = pod();
        let help = |code: u32| {
            let message = format!("the container web exited 2 times, last with exit code {code}");
            advice(&cause(&pod, "CrashLoopBackOff", &message), &[])
        };
        assert!(help(0).contains("foreground"));
        assert!(help(127).contains("missing from its image"));
        assert!(help(3).contains("read the logs"));
    }
}
