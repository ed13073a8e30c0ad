//! The changes that a deploy would make, as `diff` reports them.

use schemars::JsonSchema;
use serde::Serialize;

use crate::object::{ObjectChange, ObjectRef};

/// The changes that a deploy would make.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct Difference {
    /// Name of the release.
    pub release: String,
    /// Namespace of the release.
    pub namespace: String,
    /// The current revision.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<u32>,
    /// Objects that would change, and objects that are kept although they left the release.
    pub objects: Vec<ObjectDifference>,
    /// Images that a deploy would build, because the target lacks them.
    pub images: Vec<String>,
    /// Hooks that would run, e.g. `Job/migrate (pre-upgrade)`.
    pub hooks: Vec<String>,
}

/// The change of one object.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ObjectDifference {
    /// The changed object.
    pub object: ObjectRef,
    /// The kind of change.
    pub change: ObjectChange,
    /// The reason for the change, if it is not obvious.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Unified diff with masked secrets; empty if nothing changes.
    pub diff: String,
}

impl Difference {
    /// Whether a deploy would change any object.
    pub fn is_any(&self) -> bool {
        self.objects.iter().any(|one| one.change != ObjectChange::Kept)
    }
}
