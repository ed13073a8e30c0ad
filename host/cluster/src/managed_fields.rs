//! Managers of fields: fields that this host's manager set by other ways than server-side apply become applied ones.
//!
//! Stock Helm 3 (and 4, for releases of 3) creates and patches, which leaves `Update` entries. Server-side apply by
//! the same manager neither changes those fields without a conflict nor removes them once they are no longer
//! wanted. The way out is the one of client-go's `csaupgrade`: the entry becomes one of `Apply`.

use http::Method;
use serde_json::{Map, Value, json};

use super::transport::Call;
use super::{Client, ClusterError, FIELD_MANAGER, reference};
use todohost_model::object::{Object, ObjectRef};

/// Objects that change while their entries are rewritten are read again so often.
const ROUNDS: usize = 5;

impl Client {
    /// Rewrites the entries of an unchanged object. A missing object has none.
    ///
    /// # Errors
    /// If the cluster refuses, or others keep changing the object.
    pub async fn take_entries(&self, named: &ObjectRef) -> Result<(), ClusterError> {
        if let Some(found) = self.get(named).await? {
            self.migrate_entries(&found).await?;
        }
        Ok(())
    }

    /// Rewrites the entries of an object that this host's manager did not apply; gives the object as it is then.
    ///
    /// # Errors
    /// If the cluster refuses, or others keep changing the object.
    pub(super) async fn migrate_entries(&self, object: &Object) -> Result<Object, ClusterError> {
        let named = reference(object)?;
        let mut object = object.clone();
        for _ in 0..ROUNDS {
            let Some(entries) = migrated(&object) else { return Ok(object) };
            let version = object.pointer("/metadata/resourceVersion").cloned().unwrap_or_default();
            let patch = json!([
                { "op": "replace", "path": "/metadata/managedFields", "value": entries },
                { "op": "replace", "path": "/metadata/resourceVersion", "value": version },
            ]);
            let call = Call {
                method: Method::PATCH,
                content_type: "application/json-patch+json",
                body: patch.to_string().into_bytes(),
                ..Call::get(self.path_of(&named).await?, format!("take over the fields of {named}"))
            }
            .about(&named);
            match self.call_for(&call).await {
                Ok(migrated) => return Ok(migrated),
                Err(ClusterError::Precondition { .. } | ClusterError::Conflict { .. }) => {}
                Err(error) => return Err(error),
            }
            match self.get(&named).await? {
                Some(found) => object = found,
                None => return Ok(object),
            }
        }
        Err(ClusterError::Precondition {
            action: format!("take over the fields of {named}"),
            message: "it keeps being changed by others".to_owned(),
            exists: true,
        })
    }
}

/// Whether there is anything to rewrite.
pub fn is_unmigrated(object: &Object) -> bool {
    entries(object).iter().any(is_unapplied)
}

fn entries(object: &Object) -> &[Value] {
    object.pointer("/metadata/managedFields").and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn is_ours(entry: &Value) -> bool {
    entry["manager"] == FIELD_MANAGER && entry.get("subresource").is_none_or(|name| name == "")
}

fn is_unapplied(entry: &Value) -> bool {
    is_ours(entry) && entry["operation"] == "Update"
}

/// The entries, with the update entries merged into the apply entry; `None` if there is nothing to merge.
fn migrated(object: &Object) -> Option<Vec<Value>> {
    if !is_unmigrated(object) {
        return None;
    }
    let (ours, mut kept): (Vec<Value>, Vec<Value>) =
        entries(object).iter().cloned().partition(is_ours);
    // The API version of the last apply, or else of the first update.
    let mut merged = ours.iter().find(|entry| !is_unapplied(entry)).or(ours.first())?.clone();
    merged["operation"] = "Apply".into();
    let mut fields = Map::new();
    for entry in &ours {
        if let Some(more) = entry.get("fieldsV1").and_then(Value::as_object) {
            unite(&mut fields, more);
        }
    }
    merged["fieldsV1"] = Value::Object(fields);
    kept.push(merged);
    Some(kept)
}

/// Sets of fields are trees whose leaves are empty.
fn unite(fields: &mut Map<String, Value>, more: &Map<String, Value>) {
    for (name, below) in more {
        let Some(below) = below.as_object() else { continue };
        let place = fields.entry(name).or_insert_with(|| Value::Object(Map::new()));
        if let Some(place) = place.as_object_mut() {
            unite(place, below);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(manager: &str, operation: &str, fields: &Value) -> Value {
        json!({ "manager": manager, "operation": operation, "apiVersion": "v1", "fieldsType": "FieldsV1", "fieldsV1": fields })
    }

    fn object(entries: &[Value]) -> Object {
        json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "a", "managedFields": entries } })
    }

    #[test]
    fn fields_set_by_helm_3_become_applied() {
        let other = entry("kubectl-edit", "Update", &json!({ "f:data": { "f:b": {} } }));
        let found = migrated(&object(&[
            entry(
                "helm",
                "Update",
                &json!({ "f:data": { ".": {}, "f:a": {} }, "f:metadata": { "f:labels": { "f:x": {} } } }),
            ),
            other.clone(),
            entry("helm", "Apply", &json!({ "f:data": { "f:c": {} } })),
        ]));
        let merged = entry(
            "helm",
            "Apply",
            &json!({ "f:data": { ".": {}, "f:a": {}, "f:c": {} }, "f:metadata": { "f:labels": { "f:x": {} } } }),
        );
        assert_eq!(found, Some(vec![other, merged]));
    }

    #[test]
    fn foreign_and_applied_entries_stay() {
        let applied = entry("helm", "Apply", &json!({ "f:data": {} }));
        let other = entry("kubectl", "Update", &json!({ "f:data": {} }));
        let mut status = entry("helm", "Update", &json!({ "f:status": {} }));
        status["subresource"] = "status".into();
        let object = object(&[applied, other, status]);
        assert!(!is_unmigrated(&object));
        assert_eq!(migrated(&object), None);
        assert_eq!(migrated(&json!({})), None);
    }
}
