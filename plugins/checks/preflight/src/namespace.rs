//! The namespace: made where it is missing, and of no use while it is being deleted.

use serde_json::Value;
use todohost_plugin::{Finding, ObjectRef};

/// Of its row.
pub const CODE: &str = "preflight.namespace";

/// What it is read by.
pub fn reference(name: &str) -> ObjectRef {
    ObjectRef {
        api_version: "v1".into(),
        kind: "Namespace".into(),
        namespace: None,
        name: name.into(),
    }
}

/// `live` is the namespace as it is, where there is one.
pub fn judge(name: &str, live: Option<&Value>) -> Finding {
    let Some(live) = live else {
        return Finding::passed(CODE, format!("{name} is not there and will be made"));
    };
    if live["metadata"]["deletionTimestamp"].is_null() && live["status"]["phase"] != "Terminating" {
        return Finding::passed(CODE, format!("{name} is there"));
    }
    let finding = Finding::failed(CODE, format!("namespace {name} is being deleted"));
    let conditions = live["status"]["conditions"].as_array().map(Vec::as_slice).unwrap_or_default();
    let holds = conditions.iter().filter(|condition| condition["status"] == "True");
    holds
        .filter_map(|condition| condition["message"].as_str())
        .fold(finding, Finding::evidence)
        .help(format!("wait until it is gone: kubectl wait --for=delete namespace/{name}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use todohost_plugin::Outcome;

    #[test]
    fn only_one_that_is_going_is_of_no_use() {
        assert_eq!(judge("shop", None).outcome, Outcome::Passed);
        let live = json!({ "status": { "phase": "Active" } });
        assert_eq!(judge("shop", Some(&live)).message, "shop is there");
        let going = json!({
            "metadata": { "deletionTimestamp": "2026-01-01T00:00:00Z" },
            "status": { "phase": "Terminating", "conditions": [
                { "status": "True", "message": "widgets.example.com has 1 resource instances" },
                { "status": "False", "message": "all content was deleted" },
            ] },
        });
        let finding = judge("shop", Some(&going));
        assert_eq!(finding.outcome, Outcome::Failed);
        assert_eq!(finding.evidence, ["widgets.example.com has 1 resource instances"]);
    }
}
