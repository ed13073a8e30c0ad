//! Unified diffs of objects, as people read them: without noise and without secrets.

use serde_json::{Map, Value};
use similar::TextDiff;

use todohost_cluster::comparable;
use todohost_model::object::Object;
use todohost_secrets::Vault;

/// Unchanged lines around a change.
const CONTEXT: usize = 3;

/// A value of a Secret that stays as it is.
const MASKED: &str = "(secret)";

/// A value of a Secret that changes, before and after.
const MASKED_CHANGE: [&str; 2] = ["(secret, as it is)", "(secret, changed)"];

/// Bookkeeping of the API server, which is noise.
const BOOKKEEPING: [&str; 4] = ["uid", "creationTimestamp", "selfLink", "managedFields"];

/// `kubectl apply` keeps the whole object here.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// The unified diff of an object between two states. An absent state is empty.
pub(super) fn unified(vault: &Vault, before: Option<&Object>, after: Option<&Object>) -> String {
    let mut sides = [before, after].map(|side| side.map(|object| readable(vault, object)));
    mask(&mut sides);
    let texts = sides.map(|side| side.as_ref().map(yaml).unwrap_or_default());
    let diff = TextDiff::from_lines(&texts[0], &texts[1]);
    // Redact values that the mask does not cover.
    vault.redact(&diff.unified_diff().context_radius(CONTEXT).to_string())
}

/// An object with a token for each value of a Secret, and without noise.
fn readable(vault: &Vault, object: &Object) -> Object {
    let mut object = comparable(&vault.tokenise(object.clone()));
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        for field in BOOKKEEPING {
            metadata.shift_remove(field);
        }
        if let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
            annotations.shift_remove(LAST_APPLIED);
        }
    }
    object
}

/// Masks the values of a Secret, so that only the fact of a change is visible.
fn mask(sides: &mut [Option<Object>; 2]) {
    let is_secret =
        |side: &Option<Object>| side.as_ref().is_some_and(|object| object["kind"] == "Secret");
    if !sides.iter().any(is_secret) {
        return;
    }
    for field in ["data", "stringData"] {
        let values = |side: &Option<Object>| {
            let map = side.as_ref().and_then(|object| object.get(field)?.as_object());
            map.cloned().unwrap_or_default()
        };
        let both = [values(&sides[0]), values(&sides[1])];
        for (index, side) in sides.iter_mut().enumerate() {
            let map = side.as_mut().and_then(|object| object.get_mut(field)?.as_object_mut());
            let other: &Map<String, Value> = &both[1 - index];
            for (key, value) in map.into_iter().flatten() {
                let changes = other.get(key).is_some_and(|other| other != value);
                *value = if changes { MASKED_CHANGE[index] } else { MASKED }.into();
            }
        }
    }
}

/// YAML with block scalars, so that a changed line of a text is one changed line of the diff.
fn yaml(object: &Object) -> String {
    serde_saphyr::to_string(object).unwrap_or_else(|_| format!("{object:#}\n"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use todohost_secrets::{Salt, SecretValue};

    fn vault() -> Vault {
        let vault = Vault::new(Salt::from_bytes([3; 32]));
        vault.insert("secrets.key", SecretValue::new("canary-of-this-test".to_owned()));
        vault
    }

    #[test]
    fn lines_of_a_text_are_compared_one_by_one() {
        let map = |text: &str, version: &str| {
            json!({ "kind": "ConfigMap", "metadata": { "name": "a", "resourceVersion": version, "uid": version,
                "managedFields": [version] }, "data": { "file": text } })
        };
        let diff = unified(
            &vault(),
            Some(&map("one: 1\ntwo: 2\nthree: 3\n", "1")),
            Some(&map("one: 1\ntwo: 22\nthree: 3\n", "2")),
        );
        let changed: Vec<&str> = diff.lines().filter(|line| line.starts_with(['+', '-'])).collect();
        assert_eq!(changed, ["-    two: 2", "+    two: 22"], "{diff}");
    }

    #[test]
    fn fields_of_the_server_make_no_difference() {
        let object = |generation: u32| {
            json!({ "kind": "Deployment", "metadata": { "name": "a", "generation": generation },
                "spec": { "replicas": 1 }, "status": { "replicas": generation } })
        };
        assert_eq!(unified(&vault(), Some(&object(1)), Some(&object(2))), "");
    }

    #[test]
    fn a_secret_shows_only_that_it_changes() {
        // `canary-of-this-test`, `other` and `same` in base64.
        let secret = |value: &str| {
            json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "a",
                "annotations": { LAST_APPLIED: "canary-of-this-test", "note": "canary-of-this-test" } },
                "data": { "key": value, "kept": "c2FtZQ==" } })
        };
        let (canary, other) = ("Y2FuYXJ5LW9mLXRoaXMtdGVzdA==", "b3RoZXI=");
        let diff = unified(&vault(), Some(&secret(canary)), Some(&secret(other)));
        for text in ["canary", canary, other, "c2FtZQ"] {
            assert!(!diff.contains(text), "{text} in {diff}");
        }
        assert!(diff.contains("-  key: (secret, as it is)\n+  key: (secret, changed)"), "{diff}");
        assert!(diff.contains("\n   kept: (secret)"), "{diff}");
        assert_eq!(unified(&vault(), Some(&secret(canary)), Some(&secret(canary))), "");
        let created = unified(&vault(), None, Some(&secret(canary)));
        assert!(created.contains("+  key: (secret)") && !created.contains("canary"), "{created}");
    }
}
