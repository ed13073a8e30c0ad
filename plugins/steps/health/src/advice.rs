//! What to do about a cause, with the figures that decide it.

use crate::cause::Cause;
use crate::containers;
use crate::document::{list, text};
use crate::quantity;
use serde_json::Value;
use todohost_plugin::verify::Usage;

/// From this share of a limit on, in percent, the limit is what holds a container up.
const NEAR: u64 = 90;

/// What a user can change.
pub fn advice(cause: &Cause<'_>, usage: &[Usage]) -> String {
    let container = cause.container.unwrap_or_default();
    let image = cause
        .pod
        .and_then(|pod| containers::spec(pod, container))
        .map_or("the image", |spec| text(spec, "/image"));
    match cause.reason {
        "ErrImageNeverPull" => format!(
            "build {image} and bring it to the node, or correct the image's name and tag in the values"
        ),
        "ErrImagePull" => format!(
            "correct the name and tag {image}, log in to its registry, or set imagePullPolicy to Never for an image built here"
        ),
        "InvalidImageName" => "correct the image's name in the values".into(),
        "CreateContainerConfigError" | "FailedMount" => missing(&cause.message),
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
                "give {container} resources.requests.memory, so that it gets a node with room, or the cluster more memory"
            ),
        },
        "LivenessProbe" => slow(cause, usage).unwrap_or_else(|| {
            format!(
                "correct path and port of {container}'s probe, or give it a startupProbe if it needs longer to start"
            )
        }),
        "Unhealthy" => slow(cause, usage).unwrap_or_else(|| probe(cause)),
        "CrashLoopBackOff" => crash(cause),
        "Unschedulable" => unschedulable(cause),
        "SchedulingGated" => "remove the pod's schedulingGates, or start what removes them".into(),
        "FailedCreatePodSandBox" => "look at the cluster's network plugin and its nodes".into(),
        "ExceededQuota" => {
            "lower resources.requests and limits to what the quota leaves, or have the quota raised".into()
        }
        "FailedCreate" if cause.message.contains("violates PodSecurity") => {
            "set the securityContext that the namespace's policy asks for".into()
        }
        "FailedCreate" if cause.message.contains("admission webhook") => {
            "change what the webhook objects to, or ask whoever runs it".into()
        }
        _ => "correct what the message names".into(),
    }
}

/// What a container used of its limits at most, where that is known.
pub fn of_limits(cause: &Cause<'_>, usage: &[Usage]) -> Option<String> {
    let used = used(cause, usage)?;
    match cause.reason {
        "OOMKilled" => Some(format!("while using {}", quantity::memory(used.memory_bytes))),
        "LivenessProbe" | "Unhealthy" | "CrashLoopBackOff" if !was_answered(cause) => {
            let limit =
                limit(cause, "cpu").filter(|limit| is_near(used.cpu_millis.into(), *limit))?;
            Some(format!("while using {}m of its {limit}m CPU limit", used.cpu_millis))
        }
        _ => None,
    }
}

/// The probe was in time: what it was told is what is wrong, however busy the container is.
fn was_answered(cause: &Cause<'_>) -> bool {
    cause.message.contains("probe failed with statuscode")
}

/// The CPU limit is what makes it slow.
fn slow(cause: &Cause<'_>, usage: &[Usage]) -> Option<String> {
    if was_answered(cause) {
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

fn probe(cause: &Cause<'_>) -> String {
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
        format!(", which asks port {} for {path}", port.unwrap_or_default())
    });
    format!(
        "see what {container} prints, and correct its readinessProbe{place}; an app that starts slowly needs a longer --timeout"
    )
}

fn crash(cause: &Cause<'_>) -> String {
    let container = cause.container.unwrap_or_default();
    let ended_with = |code: u32| cause.message.ends_with(&format!("exit code {code}"));
    if ended_with(0) {
        format!("{container} ends instead of serving: its command must stay in the foreground")
    } else if ended_with(126) || ended_with(127) {
        format!("the command of {container} is not there or not executable in its image")
    } else if ended_with(137) {
        format!("something killed {container}: look at what it printed and at its node")
    } else if ended_with(139) {
        format!(
            "{container} crashed with a segmentation fault: is its image made for this platform?"
        )
    } else {
        format!("look at what {container} printed before it ended")
    }
}

fn unschedulable(cause: &Cause<'_>) -> String {
    let said = &cause.message;
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
        if said.contains(&format!("Insufficient {resource}")) {
            let stated = requests(resource).join(", ");
            let stated = if stated.is_empty() { stated } else { format!(" ({stated})") };
            return format!(
                "lower resources.requests.{resource}{stated}, or give the cluster more of it"
            );
        }
    }
    let by_words = [
        ("persistentvolumeclaim", "create the claim that the pod names, or correct its name"),
        (
            "PersistentVolumeClaims",
            "see why its volume claim is not bound: class, size and access mode",
        ),
        ("node affinity", "correct nodeSelector or nodeAffinity: no node has these labels"),
        ("node selector", "correct nodeSelector or nodeAffinity: no node has these labels"),
        ("taint", "add a toleration for the taint, or remove the taint from the node"),
        ("free ports", "another pod has its hostPort: use a Service instead, or another port"),
        ("anti-affinity", "fewer replicas, or softer anti-affinity, than there are nodes"),
    ];
    let known = by_words.iter().find(|(words, _)| said.contains(words));
    known
        .map_or("lower what the pod asks for, or give the cluster more room", |(_, help)| help)
        .into()
}

/// `secret "keys" not found`, `couldn't find key url in Secret shop/keys`.
fn missing(message: &str) -> String {
    let lower = message.to_lowercase();
    let kind = if lower.contains("configmap") { "ConfigMap" } else { "Secret" };
    if lower.contains("find key") {
        format!("add the key to the {kind}, or correct its name in the pod's env")
    } else if lower.contains("not found") {
        format!("create the {kind} that the pod names, or correct its name")
    } else if lower.contains("runasnonroot") {
        "set runAsUser to a number other than 0, or let the image name such a user".into()
    } else {
        "correct what the message names: a Secret, ConfigMap, volume or user".into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cause::Gravity;
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
            gravity: Gravity::Final,
        }
    }

    fn usage(memory_bytes: u64, cpu_millis: u32) -> Vec<Usage> {
        vec![Usage { pod: "web-1".into(), container: "web".into(), memory_bytes, cpu_millis }]
    }

    #[test]
    fn a_container_without_memory_is_told_how_much_it_had_and_needs() {
        let pod = pod();
        let killed = cause(&pod, "OOMKilled", "");
        let used = usage(254 << 20, 0);
        assert_eq!(of_limits(&killed, &used).unwrap(), "while using 254Mi");
        assert_eq!(
            advice(&killed, &used),
            "raise resources.limits.memory of web above 256Mi, e.g. to 512Mi"
        );
    }

    #[test]
    fn a_container_that_is_slow_for_its_cpu_limit_is_told_so() {
        let pod = pod();
        let unready = cause(&pod, "Unhealthy", "");
        assert!(advice(&unready, &usage(0, 98)).contains("98m of its 100m CPU limit"));
        assert!(advice(&unready, &usage(0, 10)).contains("which asks port http for /ready"));
        assert_eq!(of_limits(&unready, &usage(0, 10)), None);
        // One that answers is not slow, whatever it uses.
        let answer = "Readiness probe failed: HTTP probe failed with statuscode: 503";
        let answers = cause(&pod, "Unhealthy", answer);
        assert!(advice(&answers, &usage(0, 98)).contains("which asks port http for /ready"));
        assert_eq!(of_limits(&answers, &usage(0, 98)), None);
    }

    #[test]
    fn the_schedulers_reasons_decide() {
        let pod = pod();
        let said = |message: &str| advice(&cause(&pod, "Unschedulable", message), &[]);
        assert!(said("1 Insufficient cpu.").contains("web requests 64"));
        assert!(said("had untolerated taint {a: b}").contains("toleration"));
        assert!(said("didn't match Pod's node affinity/selector").contains("nodeSelector"));
    }

    #[test]
    fn what_is_missing_is_named() {
        let pod = pod();
        let said = |message: &str| advice(&cause(&pod, "CreateContainerConfigError", message), &[]);
        assert!(said("secret \"keys\" not found").starts_with("create the Secret"));
        assert!(
            said("couldn't find key url in Secret a/b").starts_with("add the key to the Secret")
        );
        assert!(said("configmap \"c\" not found").starts_with("create the ConfigMap"));
    }

    #[test]
    fn exit_codes_that_have_a_meaning_are_explained() {
        let pod = pod();
        let said = |code: u32| {
            let message = format!("the container web ended 2 times, last with exit code {code}");
            advice(&cause(&pod, "CrashLoopBackOff", &message), &[])
        };
        assert!(said(0).contains("foreground"));
        assert!(said(127).contains("not there"));
        assert!(said(3).contains("printed"));
    }
}
