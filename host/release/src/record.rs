//! One revision of a release, in the shape that Helm stores: base64 of gzip of JSON, in a Secret.
//!
//! Unknown fields are kept unchanged, so that a record whose state changes loses no field of another
//! version of Helm.

use std::collections::BTreeMap;
use std::io::{Read, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use k8s_openapi::jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Document, ReleaseError, parse_manifest};
use todohost_model::object::Object;
use todohost_secrets::SecretValue;

/// Type of the Secrets.
pub(super) const RECORD_TYPE: &str = "helm.sh/release.v1";

/// Says which revision this host made; a later revision that stock Helm copies the label to has another number.
pub(super) const ORIGIN_LABEL: &str = "todohost/revision";

/// Key of the host's own facts in the Secret, beside Helm's `release`.
const FACTS_KEY: &str = "todohost";

/// Labels that Helm sets itself.
const SYSTEM_LABELS: [&str; 6] = ["name", "owner", "status", "version", "createdAt", "modifiedAt"];

/// Largest Secret, in bytes.
const SECRET_LIMIT: usize = 1 << 20;

/// Largest unpacked record, in bytes. A packed one has at most 1 MiB, but may be a decompression bomb.
const UNPACKED_LIMIT: u64 = 64 << 20;

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

    /// Something is under way, or was killed.
    pub const fn is_unfinished(self) -> bool {
        matches!(
            self,
            Self::PendingInstall
                | Self::PendingUpgrade
                | Self::PendingRollback
                | Self::Uninstalling
        )
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
    pub status: Status,
    /// The chart's notes.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub notes: String,
    /// Fields of newer versions of Helm.
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
    /// Its last execution, and fields of newer versions of Helm.
    #[serde(flatten)]
    pub other: serde_json::Map<String, Value>,
}

/// The host's own facts about a revision, stored beside Helm's data in the same Secret. Helm ignores them on reading,
/// and drops them from revisions that it writes, which then count as changed.
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
    /// The person that made it, e.g. `ada@laptop`.
    pub person: String,
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
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub chart: Value,
    /// The user's values, less the secret ones.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub config: Value,
    /// All objects but hooks, with the real data of Secrets.
    #[serde(default)]
    pub manifest: String,
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
    /// Fields of newer versions of Helm.
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

impl Record {
    /// Name of the Secret that keeps a revision.
    pub(super) fn secret_name(release: &str, revision: u32) -> String {
        format!("sh.helm.release.v1.{release}.v{revision}")
    }

    /// The objects of the revision.
    ///
    /// # Errors
    /// `Manifest` if the manifest cannot be parsed.
    pub fn documents(&self) -> Result<Vec<Document>, ReleaseError> {
        parse_manifest("", &self.manifest).map_err(|error| match error {
            ReleaseError::Manifest { origin, reason } => ReleaseError::Manifest {
                origin: format!("of revision {} {origin}", self.revision).trim_end().to_owned(),
                reason,
            },
            other => other,
        })
    }

    /// The values of its Secrets, by name; empty if its manifest cannot be parsed.
    pub fn secret_values(&self) -> Vec<(String, SecretValue)> {
        let documents = self.documents().unwrap_or_default().into_iter().map(|it| it.object);
        let hooks = self.hooks.iter().filter_map(|hook| hook.objects().ok()).flatten();
        let mut values = Vec::new();
        for object in documents.chain(hooks).filter(|object| object["kind"] == "Secret") {
            let name = object.pointer("/metadata/name").and_then(Value::as_str).unwrap_or("?");
            for field in ["data", "stringData"] {
                for (key, value) in object[field].as_object().into_iter().flatten() {
                    let text = value.as_str().unwrap_or_default();
                    let decoded = STANDARD.decode(text).ok().filter(|_| field == "data");
                    let decoded = decoded.and_then(|bytes| String::from_utf8(bytes).ok());
                    let value = SecretValue::new(decoded.unwrap_or_else(|| text.to_owned()));
                    values.push((format!("Secret/{name} {key}"), value));
                }
            }
        }
        values
    }

    /// This host made it.
    pub fn has_our_origin(&self) -> bool {
        self.labels.get(ORIGIN_LABEL).is_some_and(|label| *label == self.revision.to_string())
    }

    /// This host made it, and nothing rewrote it since.
    pub fn is_ours(&self) -> bool {
        self.facts.is_some() && self.has_our_origin()
    }

    /// The Secret that keeps it. `stamp` is the label for the time: `createdAt` or `modifiedAt`.
    pub(super) fn to_secret(&self, stamp: &str) -> Result<Object, ReleaseError> {
        let unreadable = |reason: String| ReleaseError::Unreadable {
            record: Self::secret_name(&self.name, self.revision),
            reason,
        };
        let text = serde_json::to_vec(self).map_err(|error| unreadable(error.to_string()))?;
        let packed = pack(&text).map_err(|error| unreadable(error.to_string()))?;
        let mut data = json!({ "release": STANDARD.encode(&packed) });
        let mut size = packed.len();
        if let (Some(facts), Some(map)) = (&self.facts, data.as_object_mut()) {
            let facts = serde_json::to_vec(facts).map_err(|error| unreadable(error.to_string()))?;
            size += facts.len();
            map.insert(FACTS_KEY.to_owned(), STANDARD.encode(facts).into());
        }
        if size > SECRET_LIMIT {
            return Err(ReleaseError::TooLarge {
                release: self.name.clone(),
                size: size.div_ceil(1024),
                limit: SECRET_LIMIT / 1024,
                parts: self.largest_parts(),
            });
        }
        let mut labels = self.labels.clone();
        labels.insert(stamp.to_owned(), Timestamp::now().as_second().to_string());
        labels.insert("name".to_owned(), self.name.clone());
        labels.insert("owner".to_owned(), "helm".to_owned());
        labels.insert("status".to_owned(), self.info.status.as_str().to_owned());
        labels.insert("version".to_owned(), self.revision.to_string());
        let mut metadata = json!({
            "name": Self::secret_name(&self.name, self.revision),
            "namespace": self.namespace,
            "labels": labels,
        });
        if let (false, Some(map)) = (self.resource_version.is_empty(), metadata.as_object_mut()) {
            map.insert("resourceVersion".to_owned(), self.resource_version.clone().into());
        }
        Ok(json!({
            "apiVersion": "v1", "kind": "Secret", "type": RECORD_TYPE, "metadata": metadata, "data": data,
        }))
    }

    /// The record in a Secret.
    pub(super) fn from_secret(secret: &Object) -> Result<Self, ReleaseError> {
        let text =
            |pointer: &str| secret.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let unreadable = |reason: String| ReleaseError::Unreadable {
            record: text("/metadata/name").to_owned(),
            reason,
        };
        let packed = STANDARD
            .decode(text("/data/release"))
            .map_err(|error| unreadable(error.to_string()))?;
        let json = unpack(&packed).map_err(unreadable)?;
        let mut record: Self = serde_json::from_slice(&json)
            .map_err(|error| unreadable(format!("it is not a release: {error}")))?;
        record.facts = STANDARD
            .decode(text(&format!("/data/{FACTS_KEY}")))
            .ok()
            .and_then(|facts| serde_json::from_slice(&facts).ok());
        if let Some(labels) = secret.pointer("/metadata/labels").and_then(Value::as_object) {
            record.labels = labels
                .iter()
                .filter(|(key, _)| !SYSTEM_LABELS.contains(&key.as_str()))
                .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
                .collect();
        }
        text("/metadata/namespace").clone_into(&mut record.namespace);
        text("/metadata/resourceVersion").clone_into(&mut record.resource_version);
        Ok(record)
    }

    /// Its parts, each packed alone, largest first.
    fn largest_parts(&self) -> String {
        let size = |bytes: &[u8]| pack(bytes).map_or(bytes.len(), |packed| packed.len());
        let mut parts = vec![
            ("manifest".to_owned(), size(self.manifest.as_bytes())),
            ("values".to_owned(), size(self.config.to_string().as_bytes())),
            ("notes".to_owned(), size(self.info.notes.as_bytes())),
        ];
        let hooks: String = self.hooks.iter().map(|hook| hook.manifest.as_str()).collect();
        parts.push(("hooks".to_owned(), size(hooks.as_bytes())));
        for field in ["templates", "files"] {
            for file in self.chart.get(field).and_then(Value::as_array).into_iter().flatten() {
                let text = |key: &str| file.get(key).and_then(Value::as_str).unwrap_or_default();
                let bytes = STANDARD.decode(text("data")).unwrap_or_default();
                parts.push((format!("chart file {}", text("name")), size(&bytes)));
            }
        }
        for field in ["values", "schema"] {
            let text = self.chart.get(field).map(ToString::to_string).unwrap_or_default();
            parts.push((format!("chart {field}"), size(text.as_bytes())));
        }
        parts.sort_by_key(|(_, size)| std::cmp::Reverse(*size));
        let told: Vec<_> = parts
            .iter()
            .take(3)
            .map(|(name, size)| format!("{name} ({} KiB)", size.div_ceil(1024)))
            .collect();
        told.join(", ")
    }
}

/// Helm's own packing, base64 included.
fn pack(text: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(text)?;
    Ok(STANDARD.encode(encoder.finish()?).into_bytes())
}

fn unpack(packed: &[u8]) -> Result<Vec<u8>, String> {
    let bytes = STANDARD.decode(packed).map_err(|error| error.to_string())?;
    // Records older than compression are plain JSON.
    if !bytes.starts_with(&[0x1f, 0x8b, 0x08]) {
        return Ok(bytes);
    }
    let mut json = Vec::new();
    GzDecoder::new(bytes.as_slice())
        .take(UNPACKED_LIMIT + 1)
        .read_to_end(&mut json)
        .map_err(|error| error.to_string())?;
    if json.len() as u64 > UNPACKED_LIMIT {
        return Err(format!("it unpacks to more than {} MiB", UNPACKED_LIMIT >> 20));
    }
    Ok(json)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Record {
        Record {
            name: "todo".to_owned(),
            info: Info {
                first_deployed: Some("2026-11-21T05:00:00.5Z".parse().unwrap()),
                last_deployed: Some("2026-11-21T06:00:00Z".parse().unwrap()),
                description: "install complete".to_owned(),
                status: Status::Deployed,
                ..Info::default()
            },
            chart: json!({ "metadata": { "name": "todo-app", "version": "0.1.0" }, "templates": [{ "name": "templates/a.yaml", "data": "YQ==" }] }),
            config: json!({ "backend": { "replicas": 2 } }),
            manifest: "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n".to_owned(),
            hooks: Vec::new(),
            revision: 3,
            namespace: "apps".to_owned(),
            apply_method: "ssa".to_owned(),
            other: serde_json::Map::new(),
            facts: Some(Facts { renderer: "abc".to_owned(), ..Facts::default() }),
            labels: BTreeMap::from([
                (ORIGIN_LABEL.to_owned(), "3".to_owned()),
                ("team".to_owned(), "x".to_owned()),
            ]),
            resource_version: String::new(),
        }
    }

    #[test]
    fn a_record_survives_its_secret() {
        let secret = record().to_secret("createdAt").unwrap();
        assert_eq!(secret["metadata"]["name"], "sh.helm.release.v1.todo.v3");
        assert_eq!(secret["type"], "helm.sh/release.v1");
        let labels = &secret["metadata"]["labels"];
        assert_eq!(
            (&labels["owner"], &labels["name"], &labels["status"], &labels["version"]),
            (&json!("helm"), &json!("todo"), &json!("deployed"), &json!("3"))
        );
        assert!(labels["createdAt"].as_str().unwrap().parse::<i64>().unwrap() > 1_700_000_000);
        let back = Record::from_secret(&secret).unwrap();
        assert_eq!(serde_json::to_value(&back).unwrap(), serde_json::to_value(record()).unwrap());
        assert_eq!((&back.facts, &back.labels), (&record().facts, &record().labels));
        assert!(back.is_ours());
        assert_eq!(back.documents().unwrap().len(), 1);
    }

    #[test]
    fn fields_of_other_versions_are_kept() {
        let json = json!({ "name": "old", "version": 1, "namespace": "apps", "newfield": { "a": 1 },
            "info": { "first_deployed": "", "last_deployed": "2026-11-21T06:00:00.123456789+01:00", "deleted": "",
                      "status": "brand-new", "resources": { "v1/Pod": [] } },
            "hooks": [{ "name": "h", "last_run": { "started_at": "", "phase": "Succeeded" }, "output_log_policies": ["hook-failed"] }] });
        let packed = pack(json.to_string().as_bytes()).unwrap();
        let secret = json!({ "metadata": { "name": "sh.helm.release.v1.old.v1", "namespace": "apps", "labels": { ORIGIN_LABEL: "7" } },
            "data": { "release": STANDARD.encode(packed) } });
        let record = Record::from_secret(&secret).unwrap();
        assert!(!record.is_ours());
        assert_eq!(record.info.status, Status::Unknown);
        assert_eq!(record.info.first_deployed, None);
        let written = serde_json::to_value(&record).unwrap();
        assert_eq!(written["newfield"], json["newfield"]);
        assert_eq!(written["info"]["resources"], json["info"]["resources"]);
        assert_eq!(
            written["hooks"][0],
            json!({ "name": "h", "kind": "", "path": "", "manifest": "", "events": [],
            "last_run": { "started_at": "", "phase": "Succeeded" }, "output_log_policies": ["hook-failed"] })
        );
        assert!(written.get("apply_method").is_none());
    }

    #[test]
    fn a_label_that_helm_copied_makes_no_revision_ours() {
        let mut record = record();
        record.revision = 4;
        assert!(!record.is_ours());
    }

    #[test]
    fn a_record_that_is_too_large_names_its_largest_parts() {
        // Pseudo-random bytes do not compress.
        let mut state = 1_u32;
        let noise: Vec<u8> = std::iter::repeat_with(|| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state.to_be_bytes()[0]
        })
        .take(900_000)
        .collect();
        let mut record = record();
        record.chart["files"] = json!([{ "name": "video.mp4", "data": STANDARD.encode(&noise) }]);
        let error = record.to_secret("createdAt").unwrap_err().to_string();
        assert!(error.contains("largest parts: chart file video.mp4 (1"), "{error}");
    }

    #[test]
    fn records_that_are_none_are_refused() {
        let secret = |data: &[u8]| json!({ "metadata": { "name": "s" }, "data": { "release": STANDARD.encode(data) } });
        for data in [b"".as_slice(), b"%%%", b"aGVsbG8=", pack(b"[]").unwrap().as_slice()] {
            assert!(matches!(
                Record::from_secret(&secret(data)),
                Err(ReleaseError::Unreadable { .. })
            ));
        }
        let bomb = pack(&vec![b' '; usize::try_from(UNPACKED_LIMIT).unwrap() + 10]).unwrap();
        let error = Record::from_secret(&secret(&bomb)).err().unwrap().to_string();
        assert!(error.contains("more than 64 MiB"), "{error}");
    }
}
