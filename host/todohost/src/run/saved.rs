//! Plan files: exactly what would be applied, written down, and carried out only while nothing has moved.
//!
//! Owns the file's shape, and finding out what moved since. Values of secrets are not in it: placeholders stand for
//! them, which are keyed hashes, so that other values are told apart.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::apply::Intent;
use super::error::{Clue, RunError};
use super::render::Remembered;
use super::schedule::Report;
use super::session::{Deadline, ImageState, Session, lock};
use crate::plan::Chosen;
use todohost_cluster::{Client, ClusterError, comparable, namespace_ref};
use todohost_model::digest::Hasher;
use todohost_model::event::Bus;
use todohost_model::object::{Object, ObjectRef};
use todohost_model::{field, private_file};
use todohost_release::{Operation, Prospective, Record, Takeover, Wave};
use todohost_runtime::plugin::wit::Image;
use todohost_runtime::plugin::wit::target::ImageRoute;
use todohost_secrets::{Nonce, Salt, Vault};

/// Version of the shape.
const VERSION: u32 = 1;

/// Largest plan file that is read.
const LARGEST: u64 = 64 << 20;

/// A namespace that every cluster has and no cluster shares.
const LANDMARK: &str = "kube-system";

/// What would be applied, and what it was decided on.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SavedPlan {
    version: u32,
    /// Version of the program that made it.
    host: String,
    /// The target.
    pub target: String,
    /// What tells its cluster from others.
    cluster: String,
    release: String,
    namespace: String,
    /// The newest revision, in whatever state.
    latest: Option<u32>,
    /// The revision in force.
    deployed: Option<u32>,
    /// Before the first deploy the cluster keeps no salt: this one becomes the release's.
    #[serde(skip_serializing_if = "Option::is_none")]
    salt: Option<String>,
    /// A keyed hash of each secret's value.
    secrets: BTreeMap<String, String>,
    images: Vec<SavedImage>,
    /// Digest of the chart, the values and everything else that the objects were rendered from.
    inputs: String,
    /// Digest of the component that rendered them.
    renderer: String,
    takeover: Takeover,
    waves: Vec<SavedWave>,
    /// Every object that the plan is about, as it was.
    live: Vec<SavedLive>,
    rendered: Remembered,
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
        /// Where it is not as it was rendered.
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
    /// Of everything but status and bookkeeping; absent where the object is.
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resource_version: Option<String>,
    /// Fields that others manage, and that may change.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    left: Vec<String>,
}

impl SavedPlan {
    /// Reads a plan file.
    ///
    /// # Errors
    /// `PlanFile` where it is none, or one of another version.
    pub fn read(file: &Path) -> Result<Self, RunError> {
        let wrong =
            |reason: String| RunError::PlanFile { file: file.display().to_string(), reason };
        let size = fs_err::metadata(file).map_err(|error| wrong(error.to_string()))?.len();
        if size > LARGEST {
            return Err(wrong(format!("it has more than {} MiB", LARGEST >> 20)));
        }
        let bytes = fs_err::read(file).map_err(|error| wrong(error.to_string()))?;
        let value: serde_json::Value = serde_json::from_slice(&bytes)
            .map_err(|error| wrong(format!("it is no plan: {error}")))?;
        match value.get("version").and_then(serde_json::Value::as_u64) {
            Some(version) if version == u64::from(VERSION) => {}
            Some(version) => return Err(wrong(format!("version {version} of plans is not known"))),
            None => return Err(wrong("it is no plan: it has no version".to_owned())),
        }
        serde_json::from_value(value).map_err(|error| wrong(format!("it is no plan: {error}")))
    }

    /// The salt that the plan's hashes are keyed with, where the cluster keeps none.
    pub(super) fn salt(&self) -> Option<Salt> {
        let bytes = STANDARD.decode(self.salt.as_ref()?).ok()?;
        Some(Salt::from_bytes(bytes.try_into().ok()?))
    }

    /// What the user said about fields that others manage.
    pub(super) fn takeover(&self) -> Takeover {
        self.takeover.clone()
    }

    /// The waves, with the release's own objects in them.
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

impl Session {
    /// Decides what would be applied, and writes it down.
    pub(super) async fn save_plan(&self, chosen: &Chosen, bus: Bus) -> Result<Report, RunError> {
        let file = self.run.plan_file.as_deref();
        let file = file.ok_or_else(|| RunError::internal("a plan without a file"))?;
        let intent = self.intend(chosen, &bus).await?;
        let saved = self.saved_plan(&intent).await?;
        let unwritable =
            |error: String| RunError::PlanFile { file: file.display().to_string(), reason: error };
        let text =
            serde_json::to_vec_pretty(&saved).map_err(|error| unwritable(error.to_string()))?;
        private_file::write(file, &text).map_err(|error| unwritable(error.to_string()))?;
        let count = intent.prospect.changes().count();
        let difference = self.difference(&intent)?;
        if self.difference.set(difference).is_err() {
            return Err(RunError::internal("it was planned twice"));
        }
        Ok(Report::done(format!("{count} objects would change, written to {}", file.display())))
    }

    async fn saved_plan(&self, intent: &Intent) -> Result<SavedPlan, RunError> {
        let reached = self.reached()?;
        let rendered = self.rendered()?;
        let app = &self.run.project.file.app;
        let vault = self.vault();
        let hash = |path: String| {
            let hash = vault.placeholder(&path, Nonce::First).unwrap_or_default();
            (path, hash)
        };
        let images = self.images().into_iter().map(|state| SavedImage {
            name: state.name,
            tag: state.tag,
            reference: state.reference,
            id: state.image.id,
            platform: state.image.platform,
            size: state.image.size,
        });
        let remembered = rendered.remembered.clone();
        let remembered =
            remembered.ok_or_else(|| RunError::internal("a plan of an older revision"))?;
        let is_first = self.or_cancelled(reached.store.salt()).await?.is_none();
        Ok(SavedPlan {
            version: VERSION,
            host: env!("CARGO_PKG_VERSION").to_owned(),
            target: self.target.clone().unwrap_or_default(),
            cluster: self.or_cancelled(landmark(&reached.client)).await?,
            release: app.name.clone(),
            namespace: app.namespace.clone(),
            latest: reached.latest.as_ref().map(|record| record.revision),
            deployed: reached.deployed.as_ref().map(|record| record.revision),
            salt: is_first.then(|| STANDARD.encode(reached.salt.as_bytes())),
            secrets: vault.paths().into_iter().map(hash).collect(),
            images: images.collect(),
            inputs: rendered.inputs.clone(),
            renderer: rendered.renderer.clone(),
            takeover: self.run.takeover.clone(),
            waves: saved_waves(&vault, intent)?,
            live: intent.prospect.objects.iter().map(|one| saved_live(&vault, one)).collect(),
            rendered: remembered,
        })
    }

    /// Takes over what the plan says, if nothing moved since.
    pub(super) async fn review(&self, chosen: &Chosen, bus: Bus) -> Result<Report, RunError> {
        let saved = self.run.saved.clone();
        let saved = saved.ok_or_else(|| RunError::internal("there is no plan to review"))?;
        for image in &saved.images {
            let image = image.clone();
            let state = ImageState {
                image: Image {
                    name: image.name.clone(),
                    reference: image.reference.clone(),
                    id: image.id,
                    platform: image.platform,
                    size: image.size,
                },
                name: image.name.clone(),
                tag: image.tag,
                reference: image.reference,
                present: false,
            };
            lock(&self.images).insert(image.name, state);
        }
        let mut moved = self.moved_release(&saved).await?;
        // In another cluster nothing else is to be compared.
        if moved.is_empty() {
            moved = self.moved_secrets(&saved);
            moved.extend(self.moved_revision(&saved)?);
            moved.extend(self.moved_images(chosen, &bus).await?);
        }
        // Without the same secrets no Secret can be compared.
        if moved.is_empty() {
            moved = self.moved_objects(&saved).await?;
        }
        if !moved.is_empty() {
            let moved = moved.into_iter().map(Clue).collect();
            return Err(RunError::PlanMoved { moved });
        }
        let rendered =
            self.keep(saved.rendered.clone(), saved.renderer.clone(), saved.inputs.clone())?;
        if self.rendered.set(rendered).is_err() {
            return Err(RunError::internal("two plans"));
        }
        Ok(Report::done(format!("nothing moved, {} objects", saved.live.len())))
    }

    async fn moved_release(&self, saved: &SavedPlan) -> Result<Vec<String>, RunError> {
        let app = &self.run.project.file.app;
        let mut moved = Vec::new();
        let cluster = self.or_cancelled(landmark(&self.reached()?.client)).await?;
        if cluster != saved.cluster {
            moved.push(format!("it is for another cluster than {} leads to now", saved.target));
        }
        if (&saved.release, &saved.namespace) != (&app.name, &app.namespace) {
            moved.push(format!(
                "it is for release {} in namespace {}, not for {} in {}",
                saved.release, saved.namespace, app.name, app.namespace
            ));
        }
        Ok(moved)
    }

    fn moved_revision(&self, saved: &SavedPlan) -> Result<Option<String>, RunError> {
        let reached = self.reached()?;
        let number = |record: &Option<Record>| record.as_ref().map(|record| record.revision);
        let now = (number(&reached.latest), number(&reached.deployed));
        let told = |(latest, deployed): (Option<u32>, Option<u32>)| {
            let word = |revision: Option<u32>| {
                revision.map_or_else(|| "none".to_owned(), |revision| revision.to_string())
            };
            format!("revision {} in force, {} the newest", word(deployed), word(latest))
        };
        let then = (saved.latest, saved.deployed);
        Ok((now != then)
            .then(|| format!("the release moved: then {}; now {}", told(then), told(now))))
    }

    fn moved_secrets(&self, saved: &SavedPlan) -> Vec<String> {
        let vault = self.vault();
        let mut moved = Vec::new();
        for (path, hash) in &saved.secrets {
            match vault.placeholder(path, Nonce::First) {
                None => moved.push(format!("secret {path} is not given")),
                Some(now) if now != *hash => {
                    moved.push(format!("secret {path} has another value"));
                }
                Some(_) => {}
            }
        }
        let more = vault.paths().into_iter().filter(|path| !saved.secrets.contains_key(path));
        moved.extend(more.map(|path| format!("secret {path} is given, and the plan has none")));
        moved
    }

    async fn moved_images(&self, chosen: &Chosen, bus: &Bus) -> Result<Vec<String>, RunError> {
        let images: Vec<_> = self.images().into_iter().map(|state| state.image).collect();
        if images.is_empty() {
            return Ok(Vec::new());
        }
        let plugin = self.plugin(chosen)?;
        let options = chosen.options.to_string();
        let target = || plugin.target(self.context(bus.clone(), Deadline::Short, "review"));
        // Where images are carried to the nodes, carrying them tells.
        if target()?.images_via(options.clone()).await? != ImageRoute::SharedDaemon {
            return Ok(Vec::new());
        }
        let missing = target()?.missing_images(options, images).await?;
        let told = |image: Image| {
            format!("image {} is gone, or another one has its name now", image.reference)
        };
        Ok(missing.into_iter().map(told).collect())
    }

    async fn moved_objects(&self, saved: &SavedPlan) -> Result<Vec<String>, RunError> {
        let vault = self.vault();
        let wanted: Vec<ObjectRef> = saved.live.iter().map(|live| live.object.clone()).collect();
        let found = self.or_cancelled(self.reached()?.client.get_many(&wanted)).await?;
        let compared = saved.live.iter().zip(&found).filter_map(|(then, now)| {
            let digest = now.as_ref().map(|now| digest(&vault, now, &then.left));
            let object = &then.object;
            match (&then.digest, &digest) {
                (then, now) if then == now => None,
                (None, _) => Some(format!("{object} is there now")),
                (_, None) => Some(format!("{object} is gone")),
                _ => Some(format!("{object} was changed")),
            }
        });
        Ok(compared.collect())
    }
}

/// What tells a cluster from others: the identity of a namespace that every cluster has.
async fn landmark(client: &Client) -> Result<String, ClusterError> {
    match client.get(&namespace_ref(LANDMARK)).await {
        Ok(found) => {
            let uid = found.as_ref().and_then(|found| found.pointer("/metadata/uid")?.as_str());
            Ok(uid.unwrap_or_default().to_owned())
        }
        // Who may not look at namespaces has only the context to tell by.
        Err(ClusterError::Forbidden { .. }) => Ok(format!("context {}", client.context())),
        Err(error) => Err(error),
    }
}

fn saved_waves(vault: &Vault, intent: &Intent) -> Result<Vec<SavedWave>, RunError> {
    let mut desired: HashMap<ObjectRef, Object> = HashMap::new();
    for object in &intent.desired {
        if let Some(named) = ObjectRef::of(object) {
            desired.insert(named, vault.seal(object.clone())?);
        }
    }
    // A component may apply something else than was rendered; a token in it would be worth nothing tomorrow.
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
    intent.waves.iter().map(wave).collect()
}

fn saved_live(vault: &Vault, one: &Prospective) -> SavedLive {
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

/// Equal for two states of an object that differ in nothing but status, bookkeeping and the fields left to others.
fn digest(vault: &Vault, object: &Object, left: &[String]) -> String {
    let mut object = comparable(&vault.tokenise(object.clone()));
    for path in left {
        field::remove(&mut object, path);
    }
    // A list and a single answer say the same in another order.
    object.sort_all_objects();
    Hasher::new().part("live").part(object.to_string()).finish()
}
