//! Kubernetes events about objects, sent by controllers and kubelets.

use crate::document::{number, one_line, text};
use serde_json::Value;

/// Lines shown at most.
const MOST: usize = 5;

/// Events about an object, oldest first.
pub fn about<'a>(events: &'a [Value], object: &Value) -> Vec<&'a Value> {
    let uid = text(object, "/metadata/uid");
    let mut about: Vec<&Value> = events
        .iter()
        .filter(|event| !uid.is_empty() && text(event, "/involvedObject/uid") == uid)
        .collect();
    about.sort_by_key(|event| happened(event));
    about
}

/// The newest event about an object with one of these reasons.
pub fn newest<'a>(events: &'a [Value], object: &Value, reasons: &[&str]) -> Option<&'a Value> {
    about(events, object).into_iter().rev().find(|event| reasons.contains(&text(event, "/reason")))
}

/// Formats the warnings about these objects, newest last. Equal warnings about several replicas become one line with
/// a count.
pub fn warnings(events: &[Value], objects: &[&Value]) -> Vec<String> {
    let mut lines: Vec<Line> = Vec::new();
    for object in objects {
        let name = text(object, "/metadata/name");
        for event in about(events, object) {
            if text(event, "/type") != "Warning" {
                continue;
            }
            let reason = text(event, "/reason");
            let message = one_line(text(event, "/message"));
            let key = format!("{reason} {}", message.replace(name, ""));
            let count = times(event);
            match lines.iter_mut().find(|line| line.key == key) {
                Some(line) => {
                    line.count += count;
                    line.last = line.last.max(happened(event));
                }
                None => {
                    let text = format!("{reason}: {message}");
                    lines.push(Line { key, text, count, last: happened(event) });
                }
            }
        }
    }
    lines.sort_by_key(|line| line.last);
    let skipped = lines.len().saturating_sub(MOST);
    let shown = lines.into_iter().skip(skipped);
    shown
        .map(|line| match line.count {
            0 | 1 => line.text,
            count => format!("{} ({count} times)", line.text),
        })
        .collect()
}

struct Line<'a> {
    key: String,
    text: String,
    count: i64,
    last: &'a str,
}

fn times(event: &Value) -> i64 {
    number(event, "/series/count").or_else(|| number(event, "/count")).unwrap_or(1).max(1)
}

/// Time of the last occurrence. All forms are RFC 3339, so the texts sort like the times.
fn happened(event: &Value) -> &str {
    ["/series/lastObservedTime", "/lastTimestamp", "/eventTime", "/firstTimestamp"]
        .into_iter()
        .map(|pointer| text(event, pointer))
        .find(|time| !time.is_empty())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn event(uid: &str, reason: &str, message: &str, second: u32, count: u32) -> Value {
        json!({"involvedObject": {"uid": uid}, "type": "Warning", "reason": reason, "message": message,
            "count": count, "lastTimestamp": format!("2026-01-01T00:00:{second:02}Z")})
    }

    #[test]
    fn equal_warnings_about_several_replicas_become_one_line() {
        let pod = |name: &str| json!({"metadata": {"name": name, "uid": name}});
        let (one, two) = (pod("web-1"), pod("web-2"));
        let events = [
            event("web-2", "BackOff", "restarting web of pod web-2", 3, 4),
            event("web-1", "BackOff", "restarting web of pod web-1", 1, 2),
            event("web-1", "Failed", "no image", 2, 1),
            event("other", "Failed", "of another object", 9, 1),
        ];
        let lines = warnings(&events, &[&one, &two]);
        assert_eq!(lines, ["Failed: no image", "BackOff: restarting web of pod web-1 (6 times)"]);
    }

    #[test]
    fn only_the_newest_warnings_are_shown() {
        let pod = json!({"metadata": {"name": "web-1", "uid": "u"}});
        let events: Vec<Value> =
            (0..9).map(|n| event("u", "Failed", &format!("reason {n}"), n, 1)).collect();
        let lines = warnings(&events, &[&pod]);
        assert_eq!((lines.len(), lines[4].as_str()), (MOST, "Failed: reason 8"));
        assert_eq!(text(newest(&events, &pod, &["Failed"]).unwrap(), "/message"), "reason 8");
    }

    #[test]
    fn object_without_a_uid_has_no_events() {
        assert!(about(&[event("", "Failed", "x", 1, 1)], &json!({})).is_empty());
    }
}
