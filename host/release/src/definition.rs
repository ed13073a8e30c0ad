//! Definitions of kinds (CRDs) in a chart: upgraded only if no object loses data, and never deleted.
//!
//! Owns the comparison of two definitions, and waiting until a new kind is served.

use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::error::Problem;
use super::{Operation, ReleaseError, Transaction, Wave};
use todohost_cluster::{ClusterError, Query};
use todohost_model::object::{Object, ObjectRef};

/// How long an established kind may take to be served.
const SERVED_WITHIN: Duration = Duration::from_secs(10);

/// Pause between two requests for the served kinds, which cannot be watched.
const PAUSE: Duration = Duration::from_millis(100);

pub(super) fn is_definition(object: &ObjectRef) -> bool {
    object.kind == "CustomResourceDefinition"
        && object.api_version.starts_with("apiextensions.k8s.io/")
}

impl Transaction {
    /// Refuses a definition by which objects that are there would be lost.
    ///
    /// # Errors
    /// `Definition` with everything that stands against it.
    pub(super) async fn check_definition(
        &self,
        named: &ObjectRef,
        before: &Object,
        wanted: &Object,
    ) -> Result<(), ReleaseError> {
        let problems = compare(before, wanted);
        if problems.is_empty() || !self.has_objects(before).await? {
            return Ok(());
        }
        let problems = problems.into_iter().map(Problem).collect();
        Err(ReleaseError::Definition { object: Box::new(named.clone()), problems })
    }

    /// Is there any object of the kind?
    async fn has_objects(&self, definition: &Object) -> Result<bool, ReleaseError> {
        let text = |pointer: &str| definition.pointer(pointer).and_then(Value::as_str);
        let served = versions(definition).find(|version| version["served"] == true);
        let version = served.and_then(|version| version["name"].as_str());
        let (Some(group), Some(kind), Some(version)) =
            (text("/spec/group"), text("/spec/names/kind"), version)
        else {
            return Ok(true);
        };
        let query = Query {
            api_version: format!("{group}/{version}"),
            kind: kind.to_owned(),
            limit: Some(1),
            metadata_only: true,
            ..Query::default()
        };
        match self.client.list(&query).await {
            Ok(found) => Ok(!found.is_empty()),
            Err(ClusterError::UnknownKind { .. }) => Ok(false),
            // Objects that the user is not allowed to list may exist.
            Err(ClusterError::Forbidden { .. }) => Ok(true),
            Err(error) => Err(error.into()),
        }
    }

    /// Waits until the kinds that a wave defines are served: the API server establishes them a moment before.
    ///
    /// # Errors
    /// `Timeout` of the cluster; `Cancelled`.
    pub(super) async fn await_served(&self, wave: &Wave) -> Result<(), ReleaseError> {
        let deadline = Instant::now() + SERVED_WITHIN;
        for operation in &wave.operations {
            let Operation::Apply(object) = operation else { continue };
            if !is_definition(&operation.target()?) {
                continue;
            }
            for (api_version, kind) in served_kinds(object) {
                while let Err(error) = self.client.kind(&api_version, &kind).await {
                    if !matches!(error, ClusterError::UnknownKind { .. }) {
                        return Err(error.into());
                    }
                    if Instant::now() > deadline {
                        let action = format!("serve the new kind {kind} of {api_version}");
                        return Err(ClusterError::Timeout { action, limit: SERVED_WITHIN }.into());
                    }
                    if self.cancel.is_cancelled() {
                        return Err(ReleaseError::Cancelled);
                    }
                    sleep(PAUSE).await;
                }
            }
        }
        Ok(())
    }
}

fn versions(definition: &Object) -> impl Iterator<Item = &Value> {
    definition.pointer("/spec/versions").and_then(Value::as_array).into_iter().flatten()
}

fn served_kinds(definition: &Object) -> Vec<(String, String)> {
    let text = |pointer: &str| definition.pointer(pointer).and_then(Value::as_str);
    let (group, kind) = (text("/spec/group"), text("/spec/names/kind"));
    let served = versions(definition).filter(|version| version["served"] == true);
    let named = served.filter_map(|version| {
        Some((format!("{}/{}", group?, version["name"].as_str()?), kind?.to_owned()))
    });
    named.collect()
}

/// The parts of the old definition that the new one lacks and objects may use.
fn compare(old: &Object, new: &Object) -> Vec<String> {
    let mut problems = Vec::new();
    let named = |definition, name: &str| {
        versions(definition).find(|version| version["name"] == name).cloned()
    };
    let stored = old.pointer("/status/storedVersions").and_then(Value::as_array);
    let stored = stored.into_iter().flatten().filter_map(Value::as_str);
    for name in stored.filter(|name| named(new, name).is_none()) {
        problems.push(format!(
            "version {name} is gone, in which objects are stored: migrate them, and take it out of status.storedVersions"
        ));
    }
    for version in versions(old).filter(|version| version["served"] == true) {
        let name = version["name"].as_str().unwrap_or_default();
        match named(new, name) {
            Some(later) if later["served"] == true => {
                let schema = "/schema/openAPIV3Schema";
                if let (Some(old), Some(new)) = (version.pointer(schema), later.pointer(schema)) {
                    compare_schemas(&format!("version {name}: "), "", old, new, &mut problems);
                }
            }
            _ => problems.push(format!("version {name} is no longer served")),
        }
    }
    problems
}

fn compare_schemas(
    version: &str,
    path: &str,
    old: &Value,
    new: &Value,
    problems: &mut Vec<String>,
) {
    if new["x-kubernetes-preserve-unknown-fields"] == true {
        return;
    }
    let place = if path.is_empty() { "the whole object" } else { path };
    let types = (old["type"].as_str(), new["type"].as_str());
    if let (Some(before), Some(after)) = types
        && before != after
    {
        problems.push(format!("{version}{place} turns from {before} to {after}"));
        return;
    }
    let list = |schema: &Value, key: &str| schema[key].as_array().cloned().unwrap_or_default();
    if new["enum"].is_array() {
        let after = list(new, "enum");
        for value in list(old, "enum").iter().filter(|value| !after.contains(value)) {
            problems.push(format!("{version}{place} no longer takes {value}"));
        }
    }
    let before = list(old, "required");
    for name in list(new, "required").iter().filter(|name| !before.contains(name)) {
        let name = name.as_str().unwrap_or_default();
        if new["properties"][name]["default"].is_null() {
            problems.push(format!("{version}{path}.{name} is required now"));
        }
    }
    for (name, property) in old["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}.{name}");
        match new["properties"].get(name) {
            Some(later) => compare_schemas(version, &path, property, later, problems),
            None if new["additionalProperties"].is_object()
                || new["additionalProperties"] == true => {}
            None => problems.push(format!("{version}{path} is gone, and its values with it")),
        }
    }
    for (key, mark) in [("items", "[]"), ("additionalProperties", ".*")] {
        if old[key].is_object() && new[key].is_object() {
            compare_schemas(version, &format!("{path}{mark}"), &old[key], &new[key], problems);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn definition(versions: &Value, stored: &[&str]) -> Object {
        json!({ "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "spec": { "group": "example.org", "names": { "kind": "Widget" }, "versions": versions },
            "status": { "storedVersions": stored } })
    }

    fn version(name: &str, served: bool, spec: &Value) -> Value {
        json!({ "name": name, "served": served, "schema": { "openAPIV3Schema": {
            "type": "object", "properties": { "spec": spec } } } })
    }

    fn schemas(old: &Value, new: &Value) -> Vec<String> {
        let definition = |spec| definition(&json!([version("v1", true, spec)]), &["v1"]);
        compare(&definition(old), &definition(new))
    }

    #[test]
    fn versions_stay_as_long_as_something_needs_them() {
        let empty = json!({ "type": "object" });
        let (alpha, beta) = (version("v1alpha1", true, &empty), version("v1", true, &empty));
        let old = definition(&json!([alpha, beta]), &["v1alpha1", "v1"]);
        assert_eq!(compare(&old, &old), Vec::<String>::new());
        let unserved = json!([version("v1alpha1", false, &empty), beta]);
        let told = compare(&old, &definition(&unserved, &[]));
        assert_eq!(told, ["version v1alpha1 is no longer served"]);
        let told = compare(&old, &definition(&json!([beta]), &[]));
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(told[0].starts_with("version v1alpha1 is gone, in which objects are stored"));
        let more = json!([alpha, beta, version("v2", true, &empty)]);
        assert_eq!(compare(&old, &definition(&more, &[])), Vec::<String>::new());
    }

    #[test]
    fn fields_in_use_must_stay_unchanged() {
        let object = |properties: Value| json!({ "type": "object", "properties": properties });
        let old = object(
            json!({ "size": { "type": "string", "enum": ["s", "m"] }, "parts": { "type": "array",
            "items": { "type": "object", "properties": { "name": { "type": "string" } } } } }),
        );
        assert_eq!(schemas(&old, &old), Vec::<String>::new());
        for (pointer, value, told) in [
            (
                "/properties/size/type",
                json!("integer"),
                "version v1: .spec.size turns from string to integer",
            ),
            ("/properties/size/enum", json!(["s"]), "version v1: .spec.size no longer takes \"m\""),
            (
                "/properties/parts/items/properties",
                json!({}),
                "version v1: .spec.parts[].name is gone, and its values with it",
            ),
        ] {
            let mut new = old.clone();
            *new.pointer_mut(pointer).unwrap() = value;
            assert_eq!(schemas(&old, &new), [told]);
        }
        let mut new = old.clone();
        new["required"] = json!(["colour"]);
        new["properties"]["colour"] = json!({ "type": "string" });
        assert_eq!(schemas(&old, &new), ["version v1: .spec.colour is required now"]);
        new["properties"]["colour"]["default"] = json!("red");
        assert_eq!(schemas(&old, &new), Vec::<String>::new());
        let anything = json!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true });
        assert_eq!(schemas(&old, &anything), Vec::<String>::new());
    }
}
