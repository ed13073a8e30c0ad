//! Why an object did not become ready, and what to do about it.

use crate::document::text;
use crate::pods::{Cause, Finality, causes, current_pods, one_line};
use crate::rules;
use todohost_plugin::verify::{Health, Subject};
use todohost_plugin::{Finding, ObjectRef};

/// How many of a container's last lines are shown.
const LAST_LINES: usize = 10;

/// One finding for each distinct cause, the gravest first; at least one.
pub fn why(subject: &Subject, logs: &[(String, String)]) -> Vec<Finding> {
    let reference = ObjectRef::of(&subject.object);
    let mut found: Vec<Cause> =
        current_pods(&subject.object, &subject.related).into_iter().flat_map(causes).collect();
    found.sort_by(|left, right| {
        right.final_.cmp(&left.final_).then_with(|| left.reason.cmp(&right.reason))
    });
    // Replicas fail alike: one of them is enough.
    found.dedup_by(|left, right| left.reason == right.reason && left.container == right.container);
    if found.is_empty() {
        return vec![not_ready(subject, logs, reference)];
    }
    found.into_iter().map(|cause| finding(&cause, subject, logs, reference.clone())).collect()
}

fn finding(
    cause: &Cause,
    subject: &Subject,
    logs: &[(String, String)],
    reference: ObjectRef,
) -> Finding {
    let container = cause.container.as_deref().unwrap_or_default();
    let mut message = cause.message.clone();
    let lines = last_lines(logs, &cause.pod, container);
    if !lines.is_empty() {
        message.push_str("; it printed last: ");
        message.push_str(&lines.join(" | "));
    } else if let Some(event) = last_warning(subject) {
        message.push_str("; ");
        message.push_str(&event);
    }
    let code = format!("health.{}", kebab(&cause.reason));
    let finding = if cause.final_ == Finality::Final || cause.reason == "Unschedulable" {
        Finding::failed(code, message)
    } else {
        Finding::warning(code, message)
    };
    finding.help(advice(cause)).object(reference)
}

fn not_ready(subject: &Subject, logs: &[(String, String)], reference: ObjectRef) -> Finding {
    let verdict = rules::judge(&subject.object);
    let mut message = verdict.message;
    if let Some(event) = last_warning(subject) {
        message.push_str("; ");
        message.push_str(&event);
    }
    if let Some((_, text)) = logs.iter().find(|(_, text)| !text.trim().is_empty()) {
        message.push_str("; it printed last: ");
        message.push_str(&tail(text).join(" | "));
    }
    let code = if verdict.health == Health::Failed { "health.failed" } else { "health.not-ready" };
    Finding::failed(code, message)
        .help(
            "its readiness probe does not pass: look at what the container prints and at the \
             probe's path and port",
        )
        .object(reference)
}

fn advice(cause: &Cause) -> String {
    let container = cause.container.as_deref().unwrap_or_default();
    match cause.reason.as_str() {
        "ErrImageNeverPull" => format!(
            "build {} and bring it to the node, or correct the image's name and tag in the values",
            cause.image
        ),
        "ErrImagePull" | "ImagePullBackOff" => format!(
            "correct the name and tag {}, or set imagePullPolicy to Never for an image built here",
            cause.image
        ),
        "InvalidImageName" => "correct the image's name in the values".into(),
        "OOMKilled" => format!("raise resources.limits.memory of the container {container}"),
        "CrashLoopBackOff" => {
            format!("look at what the container {container} printed before it ended")
        }
        "Unschedulable" => "lower resources.requests, or give the cluster more room".into(),
        _ => "correct what the message names: a Secret, ConfigMap, volume or command".into(),
    }
}

fn last_lines(logs: &[(String, String)], pod: &str, container: &str) -> Vec<String> {
    let key = format!("{pod}/{container}");
    logs.iter().find(|(name, _)| *name == key).map(|(_, text)| tail(text)).unwrap_or_default()
}

/// The last lines with something on them, each bounded.
fn tail(text: &str) -> Vec<String> {
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let skipped = lines.len().saturating_sub(LAST_LINES);
    lines.into_iter().skip(skipped).map(one_line).collect()
}

fn last_warning(subject: &Subject) -> Option<String> {
    subject
        .events
        .iter()
        .filter(|event| text(event, "/type") == "Warning")
        .max_by_key(|event| [text(event, "/lastTimestamp"), text(event, "/eventTime")].concat())
        .map(|event| format!("{}: {}", text(event, "/reason"), one_line(text(event, "/message"))))
}

fn kebab(reason: &str) -> String {
    let mut out = String::with_capacity(reason.len() + 4);
    for letter in reason.chars() {
        if letter.is_ascii_uppercase() && !out.is_empty() {
            out.push('-');
        }
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
        Subject {
            object: json!({"apiVersion": "apps/v1", "kind": "Deployment",
                "metadata": {"name": "web", "namespace": "app"}}),
            related: vec![json!({"kind": "Pod", "metadata": {"name": "web-1"},
                "status": {"containerStatuses": [{"name": "web", "image": "web:1", "ready": false, "restartCount": 2,
                    "state": {"waiting": {"reason": "CrashLoopBackOff"}},
                    "lastState": {"terminated": {"exitCode": 3}}}]}})],
            events: vec![],
        }
    }

    #[test]
    fn a_crash_shows_the_containers_last_lines() {
        let logs = vec![("web-1/web".to_owned(), "starting\n\nno database\n".to_owned())];
        let findings = why(&crashing(), &logs);
        assert_eq!(findings.len(), 1);
        assert_eq!(findings[0].code, "health.crash-loop-back-off");
        assert_eq!(findings[0].outcome, Outcome::Failed);
        assert!(findings[0].message.contains("exit code 3"), "{}", findings[0].message);
        assert!(findings[0].message.ends_with("starting | no database"), "{}", findings[0].message);
    }

    #[test]
    fn long_logs_are_cut_to_their_end() {
        let text = (0..100).map(|line| format!("line {line}")).collect::<Vec<_>>().join("\n");
        let lines = tail(&text);
        assert_eq!(lines.len(), LAST_LINES);
        assert_eq!(lines[9], "line 99");
    }

    #[test]
    fn without_a_cause_the_last_warning_is_shown() {
        let subject = Subject {
            object: json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}}),
            related: vec![],
            events: vec![json!({"type": "Warning", "reason": "FailedCreate", "message": "quota",
                "lastTimestamp": "2026-01-01T00:00:00Z"})],
        };
        let findings = why(&subject, &[]);
        assert!(findings[0].message.ends_with("FailedCreate: quota"), "{}", findings[0].message);
    }
}
