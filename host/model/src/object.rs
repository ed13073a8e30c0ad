//! Kubernetes objects as JSON documents, and references to them.
//!
//! Owns identity only. `cluster` reads and writes objects, plugins judge them.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// An object in the JSON form of the API server.
pub type Object = Value;

/// A reference to one object; mirrors `types.object-ref` of the WIT.
#[derive(
    Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "camelCase")]
pub struct ObjectRef {
    /// API group and version, e.g. `apps/v1`.
    pub api_version: String,
    /// Kind, e.g. `Deployment`.
    pub kind: String,
    /// Namespace; absent for cluster-wide objects.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Name within kind and namespace.
    pub name: String,
}

impl ObjectRef {
    /// The reference of a document; `None` if it lacks `apiVersion`, `kind` or `metadata.name`.
    pub fn of(object: &Object) -> Option<Self> {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let metadata = object.get("metadata")?;
        Some(Self {
            api_version: text(object.get("apiVersion")?)?,
            kind: text(object.get("kind")?)?,
            namespace: metadata.get("namespace").and_then(text),
            name: text(metadata.get("name")?)?,
        })
    }
}

/// `Deployment/todo-app-backend`; the namespace is left out, as a run has one.
impl fmt::Display for ObjectRef {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.kind, self.name)
    }
}

/// The change of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ObjectChange {
    /// The object was created.
    Created,
    /// A part of the object changed.
    Configured,
    /// The server did not change the object.
    Unchanged,
    /// The object left the release and was deleted.
    Deleted,
    /// The object left the release but stays in the cluster, by rule.
    Kept,
    /// The object was rolled back to the previous revision.
    RolledBack,
}
