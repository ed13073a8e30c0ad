//! One revision of a release, in the shape that Helm stores.

use std::collections::BTreeMap;

use k8s_openapi::jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Helm's release states.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// In force.
    Deployed,
    /// Was in force until a newer one was.
    Superseded,
    /// Did not come into force.
    Failed,
    /// Taken away, history kept.
    Uninstalled,
    /// Being taken away.
    Uninstalling,
    /// First revision under way.
    PendingInstall,
    /// A later revision under way.
    PendingUpgrade,
    /// Going back to an older one.
    PendingRollback,
    /// Helm does not know either, or a newer Helm has a new word.
    #[default]
    #[serde(other)]
    Unknown,
}

impl Status {
    /// As labels and records spell it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Deployed => "deployed",
            Self::Superseded => "superseded",
            Self::Failed => "failed",
            Self::Uninstalled => "uninstalled",
            Self::Uninstalling => "uninstalling",
            Self::PendingInstall => "pending-install",
            Self::PendingUpgrade => "pending-upgrade",
            Self::PendingRollback => "pending-rollback",
        }
    }

    /// A deploy is under way, or was killed.
    pub const fn is_pending(self) -> bool {
        matches!(self, Self::PendingInstall | Self::PendingUpgrade | Self::PendingRollback)
    }
}

/// Dates, state and notes of a revision.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Info {
    /// When revision 1 was deployed.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "lenient_time")]
    pub first_deployed: Option<Timestamp>,
    /// When this revision was deployed.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "lenient_time")]
    pub last_deployed: Option<Timestamp>,
    /// When it was taken away.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "lenient_time")]
    pub deleted: Option<Timestamp>,
    /// One line.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// State.
    pub status: Status,
    /// The chart's notes.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub notes: String,
    /// What newer versions of Helm may add.
    #[serde(flatten)]
    pub other: serde_json::Map<String, Value>,
}

/// A hook of the chart, as Helm records it.
#[derive(Clone, Serialize, Deserialize)]
pub struct HookRecord {
    /// Object name.
    #[serde(default)]
    pub name: String,
    /// Object kind.
    #[serde(default)]
    pub kind: String,
    /// Template.
    #[serde(default)]
    pub path: String,
    /// YAML.
    #[serde(default)]
    pub manifest: String,
    /// E.g. `pre-upgrade`.
    #[serde(default)]
    pub events: Vec<String>,
    /// Order among hooks.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub weight: i32,
    /// E.g. `before-hook-creation`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub delete_policies: Vec<String>,
    /// Its last execution, and what newer versions of Helm may add.
    #[serde(flatten)]
    pub other: serde_json::Map<String, Value>,
}

/// What the host itself wants to know about a revision. Kept beside Helm's data in the same Secret:
/// Helm ignores it on reading, and drops it from revisions that it writes, which then count as changed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Facts {
    /// Version of the host that made it.
    pub host: String,
    /// Digest of the rendering component: output of two is never mixed.
    pub renderer: String,
    /// Digest of each step's inputs, by step id.
    pub inputs: BTreeMap<String, String>,
    /// Images by name, as the manifest names them.
    pub images: BTreeMap<String, String>,
    /// The deploy created the namespace.
    pub created_namespace: bool,
}

/// One revision. It holds secret values (in the manifest), so it is never printed: no `Debug`.
#[derive(Clone, Serialize, Deserialize)]
pub struct Record {
    /// Name of the release.
    pub name: String,
    /// Dates, state and notes.
    #[serde(default)]
    pub info: Info,
    /// The chart, as Helm records it.
    #[serde(default)]
    pub chart: Value,
    /// The user's values, less the secret ones.
    #[serde(default)]
    pub config: Value,
    /// All objects but hooks, with the real data of Secrets.
    #[serde(default)]
    pub manifest: String,
    /// Hooks.
    #[serde(default)]
    pub hooks: Vec<HookRecord>,
    /// Revision number.
    #[serde(rename = "version")]
    pub revision: u32,
    /// Namespace of the release.
    #[serde(default)]
    pub namespace: String,
    /// `ssa` or `csa`; Helm 3 writes nothing.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub apply_method: String,
    /// What newer versions of Helm may add.
    #[serde(flatten)]
    pub other: serde_json::Map<String, Value>,
    /// The host's own; `None` on revisions that stock Helm made.
    #[serde(skip)]
    pub facts: Option<Facts>,
    /// Labels of the Secret beyond Helm's own.
    #[serde(skip)]
    pub labels: BTreeMap<String, String>,
    /// `metadata.resourceVersion` of the Secret when it was read.
    #[serde(skip)]
    pub(super) resource_version: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_zero(weight: &i32) -> bool {
    *weight == 0
}

/// Old versions of Helm write an empty string for no time.
fn lenient_time<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Timestamp>, D::Error> {
    let text: Option<String> = Option::deserialize(deserializer)?;
    match text.as_deref() {
        None | Some("" | "0001-01-01T00:00:00Z") => Ok(None),
        Some(text) => text.parse().map(Some).map_err(serde::de::Error::custom),
    }
}
