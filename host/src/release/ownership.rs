//! Whose an object is: the marks that Helm sets on everything it deploys, and honours.

use serde_json::{Map, Value};

use crate::object::Object;

const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
const RELEASE_NAME: &str = "meta.helm.sh/release-name";
const RELEASE_NAMESPACE: &str = "meta.helm.sh/release-namespace";

/// Marks a namespace that was created for a release, on the namespace: no revision that said so lasts as long.
pub(super) const CREATED_FOR: &str = "todohost/created-for";

/// Marks an object as part of a release, so that stock Helm takes it for its own.
pub(super) fn mark(object: &mut Object, release: &str, namespace: &str) {
    set(object, "labels", MANAGED_BY, "Helm");
    set(object, "annotations", RELEASE_NAME, release);
    set(object, "annotations", RELEASE_NAMESPACE, namespace);
}

/// The namespace was created for that release.
pub(super) fn is_created_for(namespace: &Object, release: &str) -> bool {
    let annotations = namespace.pointer("/metadata/annotations");
    annotations.and_then(|marks| marks.get(CREATED_FOR)?.as_str()) == Some(release)
}

fn set(object: &mut Object, field: &str, key: &str, value: &str) {
    let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) else { return };
    let entries = metadata.entry(field).or_insert_with(|| Value::Object(Map::new()));
    if entries.is_null() {
        *entries = Value::Object(Map::new());
    }
    if let Some(entries) = entries.as_object_mut() {
        entries.insert(key.to_owned(), value.into());
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn marks_beside_what_is_there() {
        let mut object = json!({ "metadata": { "name": "a", "labels": { "x": "y", MANAGED_BY: "hand" }, "annotations": null } });
        mark(&mut object, "todo", "apps");
        assert_eq!(
            object,
            json!({ "metadata": { "name": "a", "labels": { "x": "y", MANAGED_BY: "Helm" },
                "annotations": { RELEASE_NAME: "todo", RELEASE_NAMESPACE: "apps" } } })
        );
    }
}
