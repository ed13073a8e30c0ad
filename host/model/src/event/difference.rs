//! The changes that a deploy would make, as `diff` reports them.

use schemars::JsonSchema;
use serde::Serialize;

use crate::object::{ObjectChange, ObjectRef};

/// What a deploy would change.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct Difference {
    /// Name of the release.
    pub release: String,
    /// Its namespace.
    pub namespace: String,
    /// The revision in force.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<u32>,
    /// Objects that would change, or stay by rule although they left the release.
    pub objects: Vec<ObjectDifference>,
    /// Images that the target lacks and a deploy would build.
    pub images: Vec<String>,
    /// Hooks that would run, e.g. `Job/migrate (pre-upgrade)`.
    pub hooks: Vec<String>,
}

/// What would become of one object.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ObjectDifference {
    /// Which.
    pub object: ObjectRef,
    /// What would become of it.
    pub change: ObjectChange,
    /// Why it stays or changes, where that is not plain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Unified diff, secrets masked; empty where nothing changes.
    pub diff: String,
}

impl Difference {
    /// A deploy would change something.
    pub fn is_any(&self) -> bool {
        self.objects.iter().any(|one| one.change != ObjectChange::Kept)
    }
}
