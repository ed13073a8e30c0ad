//! Objects of a release and their identities.

use serde_json::Value;
use std::collections::BTreeMap;
use todohost_plugin::{Error, ObjectRef, Result};

/// Identifies an object. All versions of an API group have the same objects, so the version is not part of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Identity {
    /// The API group; empty for the core group.
    pub group: String,
    pub kind: String,
    /// Its namespace, or that of the release if the manifest sets none. For cluster-scoped objects it has no effect.
    pub namespace: String,
    pub name: String,
}

/// Annotation with the groups that an object waits for (Helm's HIP-0025). It is removed from the document, since the API
/// server rejects keys with two slashes.
pub const DEPENDS_ON_GROUPS: &str = "helm.sh/depends-on/resource-groups";

/// An object with its identity.
#[derive(Debug, Clone, PartialEq)]
pub struct Object {
    pub identity: Identity,
    pub document: Value,
    /// The value of [`DEPENDS_ON_GROUPS`].
    pub depends_on_groups: Option<String>,
}

impl Object {
    fn new(mut document: Value, namespace: &str) -> Result<Self> {
        let reference = ObjectRef::of(&document);
        if reference.api_version.is_empty()
            || reference.kind.is_empty()
            || reference.name.is_empty()
        {
            let message = match (reference.kind.as_str(), reference.name.as_str()) {
                ("", "") => "a manifest has no kind and no name".to_owned(),
                ("", name) => format!("the manifest {name} has no kind"),
                (kind, "") => format!("a manifest of kind {kind} has no metadata.name"),
                (kind, name) => format!("{kind}/{name} has no apiVersion"),
            };
            return Err(Error::invalid_input("server-side-apply.not-an-object", message).help(
                "correct the template; set metadata.name, since generateName is not supported",
            ));
        }
        let group =
            reference.api_version.rsplit_once('/').map_or("", |(group, _)| group).to_owned();
        let identity = Identity {
            group,
            namespace: reference.namespace.unwrap_or_else(|| namespace.to_owned()),
            kind: reference.kind,
            name: reference.name,
        };
        let annotations = document.pointer_mut("/metadata/annotations");
        let annotations = annotations.and_then(Value::as_object_mut);
        let groups =
            annotations.and_then(|annotations| annotations.shift_remove(DEPENDS_ON_GROUPS));
        // Some charts write a list, which other annotations cannot be.
        let depends_on_groups = groups.map(|groups| match groups {
            Value::String(text) => text,
            list => list.to_string(),
        });
        Ok(Self { identity, document, depends_on_groups })
    }

    /// Its reference, with the fields of the document.
    pub fn reference(&self) -> ObjectRef {
        ObjectRef::of(&self.document)
    }

    /// The value of an annotation.
    pub fn annotation(&self, key: &str) -> Option<&str> {
        self.document["metadata"]["annotations"][key].as_str()
    }

    /// All annotations with a text as value.
    pub fn annotations(&self) -> impl Iterator<Item = (&str, &str)> {
        let annotations = self.document["metadata"]["annotations"].as_object();
        annotations
            .into_iter()
            .flatten()
            .filter_map(|(key, value)| Some((key.as_str(), value.as_str()?)))
    }

    /// The version of its API group.
    pub fn version(&self) -> &str {
        let api_version = self.document["apiVersion"].as_str().unwrap_or_default();
        api_version.rsplit_once('/').map_or(api_version, |(_, version)| version)
    }

    /// `Kind/name`, for messages.
    pub fn title(&self) -> String {
        format!("{}/{}", self.identity.kind, self.identity.name)
    }
}

/// Parses documents and sorts them by identity. A list is replaced by its items.
///
/// # Errors
/// If a document is not an object, or two have the same identity.
pub fn read(texts: &[String], namespace: &str) -> Result<BTreeMap<Identity, Object>> {
    let mut objects = BTreeMap::new();
    for text in texts {
        for document in items(serde_json::from_str(text)?) {
            let object = Object::new(document, namespace)?;
            let title = object.title();
            if objects.insert(object.identity.clone(), object).is_some() {
                return Err(Error::invalid_input(
                    "server-side-apply.duplicate",
                    format!("the chart renders {title} twice"),
                )
                .help("rename one of them, or remove one from the templates"));
            }
        }
    }
    Ok(objects)
}

fn items(mut document: Value) -> Vec<Value> {
    let is_list = document["kind"].as_str().is_some_and(|kind| kind.ends_with("List"));
    match document.get_mut("items").map(Value::take) {
        Some(Value::Array(items)) if is_list => items.into_iter().flat_map(self::items).collect(),
        Some(other) => {
            document["items"] = other;
            vec![document]
        }
        None if document.is_null() => Vec::new(),
        None => vec![document],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn texts(documents: &[Value]) -> Vec<String> {
        documents.iter().map(Value::to_string).collect()
    }

    #[test]
    fn version_and_default_namespace_do_not_change_the_identity() {
        let one = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a"}});
        let two = json!({"apiVersion": "apps/v1beta1", "kind": "Deployment",
            "metadata": {"name": "a", "namespace": "shop"}});
        let error = read(&texts(&[one.clone(), two.clone()]), "shop").unwrap_err();
        assert_eq!(error.code, "server-side-apply.duplicate");
        assert_eq!(read(&texts(&[one, two]), "other").unwrap().len(), 2);
    }

    #[test]
    fn lists_are_replaced_by_their_items() {
        let list = json!({"apiVersion": "v1", "kind": "List", "items": [
            {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}},
            {"apiVersion": "v1", "kind": "ConfigMapList", "items": [
                {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "b"}}]}]});
        assert_eq!(read(&texts(&[list, Value::Null]), "x").unwrap().len(), 2);
        let odd =
            json!({"apiVersion": "x/v1", "kind": "Shelf", "metadata": {"name": "a"}, "items": [1]});
        let objects = read(&texts(std::slice::from_ref(&odd)), "x").unwrap();
        assert_eq!(objects.values().next().unwrap().document, odd);
    }

    #[test]
    fn document_that_is_not_an_object_is_an_error() {
        let nameless =
            json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"generateName": "a-"}});
        let error = read(&texts(&[nameless]), "x").unwrap_err();
        assert_eq!(error.message, "a manifest of kind Pod has no metadata.name");
        assert_eq!(
            read(&texts(&[json!(3)]), "x").unwrap_err().code,
            "server-side-apply.not-an-object"
        );
    }
}
