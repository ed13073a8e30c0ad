//! Whose an object is: the marks that Helm sets on everything it deploys, and honours.

use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use thiserror::Error;

use todohost_model::object::{Object, ObjectRef};

const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
const RELEASE_NAME: &str = "meta.helm.sh/release-name";
const RELEASE_NAMESPACE: &str = "meta.helm.sh/release-namespace";

/// Objects of other owners that the user lets the release take over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Adoption {
    /// Every object of the release.
    All,
    /// One object, as `Kind/name`.
    One(String),
}

/// A text names no object.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{text}` names no object: write Service/web, or all")]
pub struct NoObject {
    text: String,
}

impl TryFrom<String> for Adoption {
    type Error = NoObject;

    fn try_from(text: String) -> Result<Self, NoObject> {
        match text.split_once('/') {
            Some((kind, name)) if !kind.is_empty() && !name.is_empty() => Ok(Self::One(text)),
            None if text == "all" => Ok(Self::All),
            _ => Err(NoObject { text }),
        }
    }
}

impl From<Adoption> for String {
    fn from(adoption: Adoption) -> Self {
        match adoption {
            Adoption::All => "all".to_owned(),
            Adoption::One(text) => text,
        }
    }
}

impl FromStr for Adoption {
    type Err = NoObject;

    fn from_str(text: &str) -> Result<Self, NoObject> {
        text.to_owned().try_into()
    }
}

impl Adoption {
    /// Is the object among them?
    pub(super) fn takes(&self, object: &ObjectRef) -> bool {
        match self {
            Self::All => true,
            Self::One(text) => *text == object.to_string(),
        }
    }
}

/// Whose an object is that is not the release's: for people.
pub(super) fn stranger(object: &Object, release: &str, namespace: &str) -> Option<String> {
    let mark = |key: &str| {
        let annotations = object.pointer("/metadata/annotations")?;
        annotations.get(key)?.as_str().filter(|text| !text.is_empty())
    };
    match (mark(RELEASE_NAME), mark(RELEASE_NAMESPACE)) {
        (Some(owner), place) if owner == release && place.is_none_or(|it| it == namespace) => None,
        (Some(owner), Some(place)) => {
            Some(format!("belongs to release {owner} in namespace {place}"))
        }
        (Some(owner), None) => Some(format!("belongs to release {owner}")),
        (None, _) => Some(match last_manager(object) {
            Some(manager) => format!("belongs to no release; {manager} made or changed it last"),
            None => "belongs to no release".to_owned(),
        }),
    }
}

/// Does an object say that it is another release's?
pub(super) fn is_claimed(object: &Object) -> bool {
    object.pointer("/metadata/annotations").is_some_and(|marks| marks.get(RELEASE_NAME).is_some())
}

/// The last writer of fields other than status.
fn last_manager(object: &Object) -> Option<&str> {
    let entries = object.pointer("/metadata/managedFields")?.as_array()?;
    let writes = entries.iter().filter(|entry| entry.get("subresource").is_none());
    let time = |entry: &&Value| entry["time"].as_str().unwrap_or_default().to_owned();
    writes.max_by_key(time)?.get("manager")?.as_str()
}

/// Says which groups of objects have to be ready before: for the order of waves alone, since no API server takes a key
/// with two slashes.
const DEPENDS_ON_GROUPS: &str = "helm.sh/depends-on/resource-groups";
/// Marks a namespace that was created for a release, on the namespace: no revision that said so lasts as long.
pub(super) const CREATED_FOR: &str = "todohost/created-for";

/// Marks an object as part of a release, so that stock Helm takes it for its own.
pub(super) fn mark(object: &mut Object, release: &str, namespace: &str) {
    let annotations = object.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut);
    if let Some(annotations) = annotations {
        annotations.shift_remove(DEPENDS_ON_GROUPS);
    }
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
    fn the_owner_of_an_object_is_named() {
        let mut object = json!({ "metadata": { "name": "a", "managedFields": [
            { "manager": "kubectl-create", "time": "2026-01-01T00:00:00Z" },
            { "manager": "kubectl-edit", "time": "2026-01-02T00:00:00Z" },
            { "manager": "kubelet", "time": "2026-01-03T00:00:00Z", "subresource": "status" }] } });
        let told = |object: &Object| stranger(object, "todo", "apps");
        let nobody = "belongs to no release; kubectl-edit made or changed it last";
        assert_eq!(told(&object).as_deref(), Some(nobody));
        mark(&mut object, "todo", "apps");
        assert_eq!(told(&object), None);
        mark(&mut object, "todo", "other");
        let other = "belongs to release todo in namespace other";
        assert_eq!(told(&object).as_deref(), Some(other));
    }

    #[test]
    fn marks_are_added_to_existing_ones() {
        let mut object = json!({ "metadata": { "name": "a", "labels": { "x": "y", MANAGED_BY: "hand" }, "annotations": null } });
        mark(&mut object, "todo", "apps");
        assert_eq!(
            object,
            json!({ "metadata": { "name": "a", "labels": { "x": "y", MANAGED_BY: "Helm" },
                "annotations": { RELEASE_NAME: "todo", RELEASE_NAMESPACE: "apps" } } })
        );
    }
}
