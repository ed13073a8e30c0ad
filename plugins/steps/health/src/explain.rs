//! Findings for an object that did not become ready: cause, evidence and help.

use crate::advice::{advice, describe_usage};
use crate::cause::{self, Cause};
use crate::document::{one_line, text};
use crate::events;
use crate::{pods, rules};
use serde_json::Value;
use todohost_plugin::verify::{Health, Subject, Usage};
use todohost_plugin::{Finding, ObjectRef};

/// Log lines shown per container, counted from the end.
const LAST_LINES: usize = 10;

/// Findings reported at most, the most severe first.
const MOST: usize = 5;

/// One finding for each distinct cause, the most severe first; at least one finding.
pub fn findings(subject: &Subject, logs: &[(String, String)], usage: &[Usage]) -> Vec<Finding> {
    let reference = ObjectRef::of(&subject.object);
    let found = cause::all(subject);
    if found.is_empty() {
        return vec![not_ready(subject, logs).object(reference)];
    }
    found
        .into_iter()
        .take(MOST)
        .map(|cause| finding(&cause, subject, logs, usage).object(reference.clone()))
        .collect()
}

fn finding(
    cause: &Cause<'_>,
    subject: &Subject,
    logs: &[(String, String)],
    usage: &[Usage],
) -> Finding {
    let mut message = cause.message.clone();
    if let Some(used) = describe_usage(cause, usage) {
        message.push(' ');
        message.push_str(&used);
    }
    let code = format!("health.{}", kebab(cause.reason));
    let mut finding = Finding::failed(code, message).help(advice(cause, usage));
    if let (Some(pod), Some(container)) = (cause.pod, cause.container) {
        let key = format!("{}/{container}", text(pod, "/metadata/name"));
        if let Some((_, printed)) = logs.iter().find(|(name, _)| *name == key) {
            for line in tail(printed) {
                finding = finding.evidence(format!("{container} | {line}"));
            }
        }
    }
    let objects = match cause.pod {
        Some(pod) => vec![pod],
        None => around(subject),
    };
    let is_new = |line: &String| !repeats(&cause.message, line);
    for line in events::warnings(&subject.events, &objects).into_iter().filter(is_new) {
        finding = finding.evidence(line);
    }
    finding
}

fn not_ready(subject: &Subject, logs: &[(String, String)]) -> Finding {
    let verdict = rules::judge(subject);
    let failed = verdict.health == Health::Failed;
    let code = if failed { "health.failed" } else { "health.not-ready" };
    let mut finding = Finding::failed(code, verdict.message).help(help(&subject.object, failed));
    for (name, printed) in logs.iter().filter(|(_, printed)| !printed.trim().is_empty()).take(1) {
        let container = name.split_once('/').map_or(name.as_str(), |(_, container)| container);
        for line in tail(printed) {
            finding = finding.evidence(format!("{container} | {line}"));
        }
    }
    for line in events::warnings(&subject.events, &around(subject)) {
        finding = finding.evidence(line);
    }
    finding
}

fn help(object: &Value, failed: bool) -> &'static str {
    match (text(object, "/kind"), text(object, "/spec/type")) {
        ("Service", "LoadBalancer") => {
            "this cluster does not assign addresses to load balancers: use the type NodePort or ClusterIP, or install a load balancer controller"
        }
        ("PersistentVolumeClaim", _) => {
            "list the storage classes (kubectl get storageclass), and correct class, size or access mode"
        }
        ("Job", _) if failed => "read the logs of the Job's pods",
        (_, _) if failed => "correct the setting named in the message",
        _ => "if the object only needs more time, raise --ready-within",
    }
}

/// The object, the objects between it and its pods (such as `ReplicaSet`s), and its pods.
fn around(subject: &Subject) -> Vec<&Value> {
    let between = subject.related.iter().filter(|one| text(one, "/kind") != "Pod");
    std::iter::once(&subject.object).chain(between).chain(pods::current(subject)).collect()
}

/// Whether the message already contains the text of an event line.
fn repeats(message: &str, line: &str) -> bool {
    line.split_once(": ").is_some_and(|(_, event)| {
        let event = event.split(" (").next().unwrap_or(event);
        message.contains(event)
    })
}

/// The last lines that are not blank, each cut by [`one_line`].
fn tail(text: &str) -> Vec<String> {
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let skipped = lines.len().saturating_sub(LAST_LINES);
    lines.into_iter().skip(skipped).map(one_line).collect()
}

fn kebab(reason: &str) -> String {
    let mut out = String::with_capacity(reason.len() + 4);
    let mut was_upper = true;
    for letter in reason.chars() {
        let is_upper = letter.is_ascii_uppercase();
        if is_upper && !was_upper {
            out.push('-');
        }
        was_upper = is_upper;
        out.push(letter.to_ascii_lowercase());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use todohost_plugin::Outcome;

    fn crashing() -> Subject {
        let event = json!({"type": "Warning", "reason": "BackOff", "count": 4,
            "message": "Back-off restarting failed container web", "involvedObject": {"uid": "p"}});
        Subject {
            object: json!({"apiVersion": "apps/v1", "kind": "StatefulSet",
                "metadata": {"name": "web", "namespace": "app"}}),
            related: vec![json!({"kind": "Pod", "metadata": {"name": "web-1", "uid": "p"},
                "status": {"containerStatuses": [{"name": "web", "image": "web:1", "ready": false, "restartCount": 1,
                    "state": {"waiting": {"reason": "CrashLoopBackOff"}},
                    "lastState": {"terminated": {"exitCode": 3}}}]}})],
            events: vec![event],
        }
    }

    #[test]
    fn crash_is_reported_with_the_last_log_lines_and_events() {
        let logs = vec![("web-1/web".to_owned(), "starting\n\nno database\n".to_owned())];
        let findings = findings(&crashing(), &logs, &[]);
        assert_eq!(findings.len(), 1);
        assert_eq!(findings[0].code, "health.crash-loop-back-off");
        assert_eq!(findings[0].outcome, Outcome::Failed);
        assert!(findings[0].message.contains("exit code 3"), "{}", findings[0].message);
        assert_eq!(
            findings[0].evidence,
            [
                "web | starting",
                "web | no database",
                "BackOff: Back-off restarting failed container web (4 times)"
            ]
        );
    }

    #[test]
    fn replicas_with_the_same_failure_are_reported_once() {
        let mut subject = crashing();
        let mut other = subject.related[0].clone();
        other["metadata"]["name"] = json!("web-2");
        subject.related.push(other);
        assert_eq!(findings(&subject, &[], &[]).len(), 1);
    }

    #[test]
    fn only_the_end_of_long_logs_is_kept() {
        let text = (0..100).map(|line| format!("line {line}")).collect::<Vec<_>>().join("\n");
        let lines = tail(&text);
        assert_eq!(lines.len(), LAST_LINES);
        assert_eq!(lines[9], "line 99");
    }

    #[test]
    fn without_a_cause_the_events_of_the_object_are_reported() {
        let subject = Subject {
            object: json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "uid": "s"},
                "spec": {"type": "LoadBalancer"}}),
            related: vec![],
            events: vec![
                json!({"type": "Warning", "reason": "SyncLoadBalancerFailed", "message": "no cloud",
                "involvedObject": {"uid": "s"}}),
            ],
        };
        let findings = findings(&subject, &[], &[]);
        assert_eq!(findings[0].evidence, ["SyncLoadBalancerFailed: no cloud"]);
        assert!(findings[0].help.as_ref().unwrap().contains("NodePort"));
    }

    #[test]
    fn reasons_become_kebab_case_codes() {
        assert_eq!(kebab("OOMKilled"), "oomkilled");
        assert_eq!(kebab("ErrImageNeverPull"), "err-image-never-pull");
    }
}
