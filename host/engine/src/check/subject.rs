//! The document that a check judges. Documents grow: a check ignores the fields that it does not know.

use serde_json::{Value, json};

use super::Judged;
use crate::context::Access;
use crate::error::RunError;
use crate::{render, verify};
use todohost_model::value_path::ValuePath;
use todohost_project::values::parse_yaml;
use todohost_runtime::plugin::wit::check::Phase;
use todohost_secrets::Nonce;

/// Largest schema or defaults file of a chart that is read, in bytes.
const LARGEST: u64 = 4 * 1024 * 1024;
/// Most files that a subject lists.
const MOST_FILES: usize = 10_000;

pub(super) struct Subject<'a> {
    pub access: Access<'a>,
    pub judged: Judged<'a>,
    /// Patterns of the secrets whose values the check may read.
    pub revealed: &'a [String],
}

impl Subject<'_> {
    /// The document of one phase.
    pub async fn document(&self, phase: Phase) -> Result<Value, RunError> {
        let cx = self.access.cx;
        let app = cx.app();
        let about = json!({"name": app.name, "namespace": app.namespace, "chart": app.chart});
        let images: Vec<Value> = self
            .judged
            .images
            .iter()
            .map(|state| {
                json!({
                    "name": state.name,
                    "reference": state.reference,
                    "tag": state.tag,
                    // Empty if it is not known before the build.
                    "platform": state.image.platform,
                })
            })
            .collect();
        let target = self.access.connected.map(|connected| {
            json!({
                "name": cx.target,
                "plugin": connected.target.id,
                "kubernetesVersion": connected.client.version().git_version,
            })
        });
        Ok(match phase {
            Phase::Preflight => json!({"phase": "preflight", "app": about, "target": target}),
            Phase::Source => {
                let project = &cx.run.project;
                let mut files = Vec::new();
                for path in project.file.sources() {
                    list_files(&project.root, &path, &mut files);
                }
                json!({"phase": "source", "app": about, "files": files})
            }
            Phase::Values => self.values(&about)?,
            Phase::Rendered => {
                let rendered = self.judged.rendered;
                let rendered = rendered.ok_or_else(|| RunError::internal("nothing is rendered"))?;
                let objects: Vec<&Value> =
                    rendered.documents.iter().map(|document| &document.object).collect();
                json!({
                    "phase": "rendered",
                    "app": about,
                    "objects": objects,
                    "images": images,
                    // Null without a cluster.
                    "target": target,
                })
            }
            Phase::Live => {
                let connected = self.access.connected;
                let connected = connected.ok_or_else(|| RunError::internal("not connected"))?;
                json!({
                    "phase": "live",
                    "app": about,
                    "objects": verify::live_objects(connected, self.judged.applied).await?,
                    "images": images,
                })
            }
        })
    }

    fn values(&self, about: &Value) -> Result<Value, RunError> {
        let project = &self.access.cx.run.project;
        let chart = project.root.join(&project.file.app.chart);
        let read = |name: &str| -> Result<Option<String>, RunError> {
            let path = chart.join(name);
            let shown = format!("{}/{name}", project.file.app.chart);
            match fs_err::metadata(&path) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
                Err(source) => Err(RunError::Chart { path: shown, source }),
                Ok(metadata) if metadata.len() > LARGEST => {
                    let source = std::io::Error::other("it is too large");
                    Err(RunError::Chart { path: shown, source })
                }
                Ok(_) => {
                    let text = fs_err::read_to_string(&path);
                    text.map(Some).map_err(|source| RunError::Chart { path: shown, source })
                }
            }
        };
        let schema = read("values.schema.json")?;
        // The renderer reports malformed defaults, with their line.
        let defaults = read("values.yaml")?
            .and_then(|text| parse_yaml(&text).ok())
            .filter(Value::is_object)
            .unwrap_or_else(|| json!({}));
        let values = render::values(self.access.cx, self.judged.images)?;
        let vault = self.access.vault();
        let effective = values.effective(&defaults, |path: &ValuePath, value| {
            let path = path.to_string();
            let may_see = self.revealed.iter().any(|granted| reveals(granted, &path));
            if may_see {
                Some(value.expose().to_owned())
            } else {
                vault.placeholder(&path, Nonce::First)
            }
        });
        Ok(json!({
            "phase": "values",
            "app": about,
            "schema": schema,
            "defaults": defaults,
            "layers": values.layers,
            "effective": effective,
            "secrets": project.file.secrets,
        }))
    }
}

/// Whether a granted path covers a secret: the path itself, or with `**` everything below.
fn reveals(granted: &str, path: &str) -> bool {
    todohost_runtime::grant::text_matches(granted, path)
}

/// Files below a path of the project, relative to it. Symbolic links are not followed.
fn list_files(root: &std::path::Path, path: &str, files: &mut Vec<String>) {
    let full = root.join(path);
    let Ok(metadata) = fs_err::symlink_metadata(&full) else { return };
    if files.len() >= MOST_FILES {
        return;
    }
    if metadata.is_file() {
        files.push(path.to_owned());
    } else if metadata.is_dir()
        && let Ok(entries) = fs_err::read_dir(&full)
    {
        let mut names: Vec<String> = entries
            .flatten()
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            // Folders that tools fill are not sources.
            .filter(|name| !matches!(name.as_str(), "node_modules" | ".git" | ".venv" | "target"))
            .collect();
        names.sort();
        for name in names {
            list_files(root, &format!("{path}/{name}"), files);
        }
    }
}
