//! Plan files: the exact changes of a deploy, written down. `deploy --plan` carries them out only if nothing drifted.
//!
//! Owns the format. It holds no value of a secret: placeholders stand for them, which are keyed hashes, so that a changed
//! value is detected.

mod drift;

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use self::drift::{digest, identity};
use super::diff::difference;
use super::plan_changes::{self, ApplyPlan};
use crate::connected::Connected;
use crate::error::RunError;
use crate::plan::Chosen;
use crate::render::CachedRender;
use crate::scheduler::Report;
use crate::stages::{ImageSet, Rendered};
use todohost_model::event::{Bus, Difference};
use todohost_model::object::{Object, ObjectRef};
use todohost_model::private_file;
use todohost_release::{Operation, OwnershipPolicy, PlannedChange, Wave};
use todohost_secrets::{Nonce, Salt, Vault};

pub(crate) use self::drift::check_drift;

/// Version of the shape.
const VERSION: u32 = 1;

/// Largest plan file that is read, in bytes.
const LARGEST: u64 = 64 << 20;

/// The planned changes, and the state that they were planned for.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SavedPlan {
    version: u32,
    /// Version of the program that made it.
    host: String,
    pub target: String,
    /// Identity of the cluster.
    cluster: String,
    release: String,
    namespace: String,
    /// The newest revision, in any state.
    latest: Option<u32>,
    /// The current revision.
    deployed: Option<u32>,
    /// The salt of a release that is not deployed yet; the cluster stores none.
    #[serde(skip_serializing_if = "Option::is_none")]
    salt: Option<String>,
    /// A keyed hash of each secret's value.
    secrets: BTreeMap<String, String>,
    images: Vec<SavedImage>,
    /// Digest of the chart, the values and everything else that the objects were rendered from.
    inputs: String,
    /// Digest of the component that rendered them.
    renderer: String,
    takeover: OwnershipPolicy,
    waves: Vec<SavedWave>,
    /// Every object of the plan, with a digest of its state.
    live: Vec<SavedLive>,
    rendered: CachedRender,
}

#[derive(Clone, Serialize, Deserialize)]
struct SavedImage {
    name: String,
    tag: String,
    reference: String,
    id: String,
    platform: String,
    size: u64,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SavedWave {
    title: String,
    operations: Vec<SavedOperation>,
    wait_for: Vec<ObjectRef>,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "kebab-case")]
enum SavedOperation {
    Apply {
        object: ObjectRef,
        /// Set if the object differs from the rendered one.
        #[serde(skip_serializing_if = "Option::is_none")]
        document: Option<Object>,
    },
    Replace {
        object: ObjectRef,
        #[serde(skip_serializing_if = "Option::is_none")]
        document: Option<Object>,
    },
    Delete {
        object: ObjectRef,
    },
    Keep {
        object: ObjectRef,
        reason: String,
    },
    Unchanged {
        object: ObjectRef,
    },
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SavedLive {
    object: ObjectRef,
    /// Digest of everything but status and bookkeeping; absent if the object is.
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resource_version: Option<String>,
    /// Fields that other managers own, and may change.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    left: Vec<String>,
}

impl SavedPlan {
    /// Reads a plan file.
    ///
    /// # Errors
    /// `PlanFile` if it is not a plan file, or one of another version.
    pub fn read(file: &Path) -> Result<Self, RunError> {
        let wrong =
            |reason: String| RunError::PlanFile { file: file.display().to_string(), reason };
        let size = fs_err::metadata(file).map_err(|error| wrong(error.to_string()))?.len();
        if size > LARGEST {
            return Err(wrong(format!("it is larger than {} MiB", LARGEST >> 20)));
        }
        let bytes = fs_err::read(file).map_err(|error| wrong(error.to_string()))?;
        let value: serde_json::Value = serde_json::from_slice(&bytes)
            .map_err(|error| wrong(format!("it is not a plan file: {error}")))?;
        match value.get("version").and_then(serde_json::Value::as_u64) {
            Some(version) if version == u64::from(VERSION) => {}
            Some(version) => {
                return Err(wrong(format!("unknown version {version} of the plan format")));
            }
            None => return Err(wrong("it is not a plan file: it has no version".to_owned())),
        }
        serde_json::from_value(value)
            .map_err(|error| wrong(format!("it is not a plan file: {error}")))
    }

    /// The key of the plan's hashes, if the cluster stores none.
    pub(crate) fn salt(&self) -> Option<Salt> {
        let bytes = STANDARD.decode(self.salt.as_ref()?).ok()?;
        Some(Salt::from_bytes(bytes.try_into().ok()?))
    }

    /// The user's choices about fields of other managers.
    pub(super) fn takeover(&self) -> OwnershipPolicy {
        self.takeover.clone()
    }

    /// The waves, completed with the rendered objects.
    pub(super) fn waves(&self, desired: &[Object]) -> Result<Vec<Wave>, RunError> {
        let desired: HashMap<ObjectRef, &Object> =
            desired.iter().filter_map(|object| Some((ObjectRef::of(object)?, object))).collect();
        let document = |object: &ObjectRef, document: &Option<Object>| {
            let found = document.as_ref().or_else(|| desired.get(object).copied());
            found.cloned().ok_or_else(|| RunError::internal(format!("the plan lacks {object}")))
        };
        let wave = |wave: &SavedWave| {
            let operations = wave.operations.iter().map(|operation| {
                Ok(match operation {
                    SavedOperation::Apply { object, document: own } => {
                        Operation::Apply(document(object, own)?)
                    }
                    SavedOperation::Replace { object, document: own } => {
                        Operation::Replace(document(object, own)?)
                    }
                    SavedOperation::Delete { object } => Operation::Delete(object.clone()),
                    SavedOperation::Keep { object, reason } => {
                        Operation::Keep(object.clone(), reason.clone())
                    }
                    SavedOperation::Unchanged { object } => Operation::Unchanged(object.clone()),
                })
            });
            Ok(Wave {
                title: wave.title.clone(),
                operations: operations.collect::<Result<_, RunError>>()?,
                wait_for: wave.wait_for.clone(),
            })
        };
        self.waves.iter().map(wave).collect()
    }
}

/// Plans the changes and writes them to the plan file.
pub(crate) async fn save(
    connected: &Connected,
    rendered: &Rendered,
    images: &ImageSet,
    chosen: &Chosen,
    bus: Bus,
) -> Result<(Difference, Report), RunError> {
    let file = connected.cx.run.plan_file.as_deref();
    let file = file.ok_or_else(|| RunError::internal("a plan without a file"))?;
    let plan = plan_changes::run(connected, rendered, chosen, &bus).await?;
    let saved = saved_plan(connected, rendered, images, &plan).await?;
    let unwritable =
        |error: String| RunError::PlanFile { file: file.display().to_string(), reason: error };
    let text = serde_json::to_vec_pretty(&saved).map_err(|error| unwritable(error.to_string()))?;
    private_file::write(file, &text).map_err(|error| unwritable(error.to_string()))?;
    let count = plan.dry_run.changes().count();
    let report =
        Report::done(format!("{count} objects would change, written to {}", file.display()));
    Ok((difference(connected, rendered, &plan)?, report))
}

async fn saved_plan(
    connected: &Connected,
    rendered: &Rendered,
    images: &ImageSet,
    plan: &ApplyPlan,
) -> Result<SavedPlan, RunError> {
    let cx = &connected.cx;
    let app = cx.app();
    let vault = &connected.vault;
    let hash = |path: String| {
        let hash = vault.placeholder(&path, Nonce::First).unwrap_or_default();
        (path, hash)
    };
    let images = images.iter().cloned().map(|state| SavedImage {
        name: state.name,
        tag: state.tag,
        reference: state.reference,
        id: state.image.id,
        platform: state.image.platform,
        size: state.image.size,
    });
    let cached = rendered.cached.clone();
    let cached = cached.ok_or_else(|| RunError::internal("a plan of an older revision"))?;
    let is_first = cx.or_cancelled(connected.store.salt()).await?.is_none();
    Ok(SavedPlan {
        version: VERSION,
        host: env!("CARGO_PKG_VERSION").to_owned(),
        target: cx.target_name().to_owned(),
        cluster: cx.or_cancelled(identity(&connected.client)).await?,
        release: app.name.clone(),
        namespace: app.namespace.clone(),
        latest: connected.latest.as_ref().map(|record| record.revision),
        deployed: connected.deployed.as_ref().map(|record| record.revision),
        salt: is_first.then(|| STANDARD.encode(connected.salt.as_bytes())),
        secrets: vault.paths().into_iter().map(hash).collect(),
        images: images.collect(),
        inputs: rendered.inputs.clone(),
        renderer: rendered.renderer.clone(),
        takeover: cx.run.takeover.clone(),
        waves: saved_waves(vault, plan)?,
        live: plan.dry_run.objects.iter().map(|one| saved_live(vault, one)).collect(),
        rendered: cached,
    })
}

fn saved_waves(vault: &Vault, plan: &ApplyPlan) -> Result<Vec<SavedWave>, RunError> {
    let mut desired: HashMap<ObjectRef, Object> = HashMap::new();
    for object in &plan.desired {
        if let Some(named) = ObjectRef::of(object) {
            desired.insert(named, vault.seal(object.clone())?);
        }
    }
    // A component may apply another object than the rendered one. Tokens in it are only valid during this run.
    let own = |named: &ObjectRef, document: &Object| match desired.get(named) {
        Some(rendered) if rendered == document => Ok(None),
        _ if document["kind"] == "Secret" => Err(RunError::internal(format!(
            "the apply step changed {named}, which no plan can hold"
        ))),
        _ => Ok(Some(document.clone())),
    };
    let operation = |operation: &Operation| {
        let object = operation.target()?;
        Ok(match operation {
            Operation::Apply(document) => {
                SavedOperation::Apply { document: own(&object, document)?, object }
            }
            Operation::Replace(document) => {
                SavedOperation::Replace { document: own(&object, document)?, object }
            }
            Operation::Delete(_) => SavedOperation::Delete { object },
            Operation::Keep(_, reason) => SavedOperation::Keep { object, reason: reason.clone() },
            Operation::Unchanged(_) => SavedOperation::Unchanged { object },
        })
    };
    let wave = |wave: &Wave| {
        Ok(SavedWave {
            title: wave.title.clone(),
            operations: wave.operations.iter().map(operation).collect::<Result<_, RunError>>()?,
            wait_for: wave.wait_for.clone(),
        })
    };
    plan.waves.iter().map(wave).collect()
}

fn saved_live(vault: &Vault, one: &PlannedChange) -> SavedLive {
    let left: Vec<String> = one.left.iter().map(|left| left.conflict.field.clone()).collect();
    let version = |object: &Object| {
        object
            .pointer("/metadata/resourceVersion")
            .and_then(|version| Some(version.as_str()?.to_owned()))
    };
    SavedLive {
        object: one.object.clone(),
        digest: one.before.as_ref().map(|before| digest(vault, before, &left)),
        resource_version: one.before.as_ref().and_then(version),
        left,
    }
}
