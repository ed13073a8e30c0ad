//! The row about the app's namespace. A deploy creates a missing one, but cannot use one that is being deleted.

use serde_json::Value;
use todohost_plugin::{Finding, ObjectRef};

/// Code of the row.
pub const CODE: &str = "preflight.namespace";

/// Reference of a namespace, to read it.
pub fn reference(name: &str) -> ObjectRef {
    ObjectRef {
        api_version: "v1".into(),
        kind: "Namespace".into(),
        namespace: None,
        name: name.into(),
    }
}

/// Checks the namespace `name`; `live` is its object in the cluster, if it exists.
pub fn check(name: &str, live: Option<&Value>) -> Finding {
    let Some(live) = live else {
        let message = format!("namespace {name} does not exist; the deploy will create it");
        return Finding::passed(CODE, message);
    };
    if live["metadata"]["deletionTimestamp"].is_null() && live["status"]["phase"] != "Terminating" {
        return Finding::passed(CODE, format!("namespace {name} exists"));
    }
    let finding = Finding::failed(CODE, format!("namespace {name} is being deleted"));
    let conditions = live["status"]["conditions"].as_array().map(Vec::as_slice).unwrap_or_default();
    let active = conditions.iter().filter(|condition| condition["status"] == "True");
    active
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
    fn only_a_terminating_namespace_fails() {
        assert_eq!(check("shop", None).outcome, Outcome::Passed);
        let live = json!({ "status": { "phase": "Active" } });
        assert_eq!(check("shop", Some(&live)).message, "namespace shop exists");
        let terminating = json!({
            "metadata": { "deletionTimestamp": "2026-01-01T00:00:00Z" },
            "status": { "phase": "Terminating", "conditions": [
                { "status": "True", "message": "widgets.example.com has 1 resource instances" },
                { "status": "False", "message": "all content was deleted" },
            ] },
        });
        let finding = check("shop", Some(&terminating));
        assert_eq!(finding.outcome, Outcome::Failed);
        assert_eq!(finding.evidence, ["widgets.example.com has 1 resource instances"]);
    }
}
