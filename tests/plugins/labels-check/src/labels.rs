//! The rule of the check: objects in, findings out.

use serde_json::Value;
use todohost_plugin::{Finding, ObjectRef};

/// The label by which tools group objects.
pub const LABEL: &str = "app.kubernetes.io/name";

/// A finding for each Deployment and each label that it lacks.
pub fn judge(objects: &[Value], labels: &[&str]) -> Vec<Finding> {
    let deployments = objects.iter().filter(|object| object["kind"] == "Deployment");
    let lacking = deployments.flat_map(|object| {
        let lacks = |label: &&&str| !object["metadata"]["labels"][**label].is_string();
        labels.iter().filter(lacks).map(move |label| (object, *label))
    });
    lacking
        .map(|(object, label)| {
            let name = object["metadata"]["name"].as_str().unwrap_or("?");
            Finding::failed(
                "labels-check.missing",
                format!("Deployment/{name} lacks the label {label}"),
            )
            .help(format!("add `{label}: {name}` to metadata.labels in its template"))
            .pointer("/metadata/labels")
            .object(ObjectRef::of(object))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_deployments_without_the_label_are_reported() {
        let objects = [
            json!({"kind": "Deployment", "metadata": {"name": "good", "labels": {LABEL: "good"}}}),
            json!({"kind": "Deployment", "metadata": {"name": "bad", "labels": {"app": "bad"}}}),
            json!({"kind": "Service", "metadata": {"name": "other"}}),
        ];
        let findings = judge(&objects, &[LABEL]);
        assert_eq!(findings.len(), 1);
        assert_eq!(findings[0].message, "Deployment/bad lacks the label app.kubernetes.io/name");
        assert_eq!(findings[0].object.as_ref().unwrap().name, "bad");
    }
}
