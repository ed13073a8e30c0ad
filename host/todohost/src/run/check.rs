//! Checks: what each phase is asked about, and what becomes of the findings.

use std::sync::Arc;

use serde_json::{Value, json};

use super::error::RunError;
use super::schedule::Report;
use super::session::{Deadline, Session};
use crate::plan::{Chosen, Goal};
use todohost_cluster::Relay;
use todohost_model::event::{Bus, EventKind, Finding, FindingOutcome, Row};
use todohost_model::value_path::ValuePath;
use todohost_project::values::parse_yaml;
use todohost_runtime::capability::World;
use todohost_runtime::plugin::Plugin;
use todohost_runtime::plugin::manifest::NAMED_SECRET;
use todohost_runtime::plugin::wit::check::{Phase, Spec};
use todohost_secrets::Nonce;

/// Largest schema or defaults file of a chart that is read.
const LARGEST: u64 = 4 * 1024 * 1024;
/// Most rows of a check's table.
const MOST_ROWS: usize = 200;
/// Most files that a subject lists.
const MOST_FILES: usize = 10_000;

impl Session {
    /// Phases that need nothing rendered.
    pub(super) async fn check_inputs(
        &self,
        name: &str,
        chosen: &Chosen,
        bus: Bus,
    ) -> Result<Report, RunError> {
        let phases = [Phase::Preflight, Phase::Source, Phase::Values];
        self.check(name, chosen, bus, &phases).await
    }

    /// The phase that judges the rendered objects.
    pub(super) async fn check_rendered(
        &self,
        name: &str,
        chosen: &Chosen,
        bus: Bus,
    ) -> Result<Report, RunError> {
        self.check(name, chosen, bus, &[Phase::Rendered]).await
    }

    /// The phase that judges what runs. A finding is a failed verification: what was deployed is taken back.
    pub(super) async fn check_live(
        &self,
        name: &str,
        chosen: &Chosen,
        bus: Bus,
    ) -> Result<Report, RunError> {
        self.check(name, chosen, bus, &[Phase::Live]).await
    }

    async fn check(
        &self,
        name: &str,
        chosen: &Chosen,
        bus: Bus,
        phases: &[Phase],
    ) -> Result<Report, RunError> {
        let plugin = self.plugin(chosen)?;
        let secret = chosen.info.manifest.named_secret(&chosen.options);
        let relay = self.relay();
        let check = |deadline| {
            let mut context = self.context(bus.clone(), deadline, name);
            let world = World {
                secret: secret.clone(),
                relay: relay.clone(),
                ..World::clone(&context.world)
            };
            context.world = Arc::new(world);
            plugin.check(context)
        };
        let specs = check(Deadline::Short)?.checks().await?;
        let mut ran = false;
        let mut outcomes: Vec<FindingOutcome> = Vec::new();
        let mut failed: Vec<Finding> = Vec::new();
        for spec in &specs {
            for phase in phases.iter().filter(|phase| spec.phases.contains(phase)) {
                let source = format!("{name}/{}", spec.id);
                if *phase == Phase::Preflight && self.reached.get().is_none() {
                    // Rows that nobody can judge are told as such.
                    if !spec.rows.is_empty() {
                        bus.send(self.judged(spec, source));
                    }
                    continue;
                }
                let revealed = revealed(&plugin, secret.as_deref());
                let subject = self.subject(*phase, &revealed).await?.to_string();
                let options = chosen.options.to_string();
                let mut check = check(Deadline::asked(spec.timeout_ms))?;
                let findings = check.run(spec.id.clone(), options, subject).await;
                // Whatever came of it, also where the user stopped.
                if let Some(relay) = &relay
                    && let Err(error) = relay.remove().await
                {
                    let message = format!("the pod of check {name} ends by itself: {error}");
                    self.note(&bus, "warn", message);
                }
                let findings = findings?;
                ran = true;
                let findings: Vec<Finding> =
                    findings.into_iter().map(|finding| finding.into_event(&source)).collect();
                outcomes.extend(findings.iter().map(|finding| finding.outcome));
                bus.send(self.judged(spec, source));
                failed.extend(self.tell_findings(&bus, findings));
            }
        }
        if let Some(first) = failed.first() {
            return Err(RunError::Checks {
                check: name.to_owned(),
                first: first.message.clone(),
                count: failed.len(),
                help: first.help.clone(),
                live: phases.contains(&Phase::Live),
            });
        }
        if !ran {
            return Ok(Report::skipped("it judges nothing here"));
        }
        Ok(Report::done(FindingOutcome::tally(&outcomes, word)))
    }

    /// The way into the cluster for a check that asks from there. A deploy has its own pods to see what they reach, and
    /// one that changes nothing makes none at all.
    fn relay(&self) -> Option<Arc<Relay>> {
        let reached = self.reached.get().filter(|_| self.goal == Goal::Doctor)?;
        let file = &self.run.project.file;
        let repositories = file.images.keys().cloned().collect();
        Some(Arc::new(Relay::new(reached.client.clone(), &file.app.namespace, repositories)))
    }

    /// That a check judged, and what its findings are about.
    fn judged(&self, spec: &Spec, source: String) -> EventKind {
        let vault = self.vault();
        let rows = spec
            .rows
            .iter()
            .take(MOST_ROWS)
            .map(|row| Row { code: vault.redact(&row.key), title: vault.redact(&row.value) });
        EventKind::Judged { source, title: vault.redact(&spec.title), rows: rows.collect() }
    }

    /// The document that a check is asked about. Documents grow: checks ignore what they do not know.
    async fn subject(&self, phase: Phase, revealed: &[String]) -> Result<Value, RunError> {
        let app = &self.run.project.file.app;
        let about = json!({"name": app.name, "namespace": app.namespace, "chart": app.chart});
        let images: Vec<Value> = self
            .images()
            .into_iter()
            .map(|state| {
                json!({
                    "name": state.name,
                    "reference": state.reference,
                    "tag": state.tag,
                    // Empty where nobody knows before it is built.
                    "platform": state.image.platform,
                })
            })
            .collect();
        let target = self.reached.get().map(|reached| {
            json!({
                "name": self.target,
                "plugin": reached.target.id,
                "kubernetesVersion": reached.client.version().git_version,
            })
        });
        Ok(match phase {
            Phase::Preflight => json!({"phase": "preflight", "app": about, "target": target}),
            Phase::Source => {
                let project = &self.run.project;
                let mut files = Vec::new();
                for path in project.file.sources() {
                    list_files(&project.root, &path, &mut files);
                }
                json!({"phase": "source", "app": about, "files": files})
            }
            Phase::Values => self.values_subject(&about, revealed)?,
            Phase::Rendered => {
                let rendered = self.rendered()?;
                let objects: Vec<&Value> =
                    rendered.documents.iter().map(|document| &document.object).collect();
                json!({
                    "phase": "rendered",
                    "app": about,
                    "objects": objects,
                    "images": images,
                    // Null where no cluster was reached.
                    "target": target,
                })
            }
            Phase::Live => json!({
                "phase": "live",
                "app": about,
                "objects": self.live_objects().await?,
                "images": images,
            }),
        })
    }

    fn values_subject(&self, about: &Value, revealed: &[String]) -> Result<Value, RunError> {
        let project = &self.run.project;
        let chart = project.root.join(&project.file.app.chart);
        let read = |name: &str| -> Result<Option<String>, RunError> {
            let path = chart.join(name);
            let told = format!("{}/{name}", project.file.app.chart);
            match fs_err::metadata(&path) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
                Err(source) => Err(RunError::Chart { path: told, source }),
                Ok(metadata) if metadata.len() > LARGEST => {
                    let source = std::io::Error::other("it is too large");
                    Err(RunError::Chart { path: told, source })
                }
                Ok(_) => {
                    let text = fs_err::read_to_string(&path);
                    text.map(Some).map_err(|source| RunError::Chart { path: told, source })
                }
            }
        };
        let schema = read("values.schema.json")?;
        // Malformed defaults are the renderer's to report, with their line.
        let defaults = read("values.yaml")?
            .and_then(|text| parse_yaml(&text).ok())
            .filter(Value::is_object)
            .unwrap_or_else(|| json!({}));
        let values = self.values()?;
        let vault = self.vault();
        let effective = values.effective(&defaults, |path: &ValuePath, value| {
            let path = path.to_string();
            let may_see = revealed.iter().any(|granted| reveals(granted, &path));
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

/// What the step says of its findings. One that failed has ended the run before.
const fn word(outcome: FindingOutcome) -> &'static str {
    match outcome {
        FindingOutcome::Passed => "passed",
        FindingOutcome::Warning => "warned",
        FindingOutcome::Failed => "failed",
        FindingOutcome::NotJudged => "not judged",
    }
}

/// Value paths that a component may see, with the secret that its option names in the place of `$secret`.
fn revealed(plugin: &Plugin, secret: Option<&str>) -> Vec<String> {
    let granted = plugin.grants().revealed().iter();
    granted
        .filter_map(|path| if path == NAMED_SECRET { secret } else { Some(path.as_str()) })
        .map(str::to_owned)
        .collect()
}

/// Whether a granted path covers a secret: itself, or with `**` everything below.
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
            // What tools put there is no source.
            .filter(|name| !matches!(name.as_str(), "node_modules" | ".git" | ".venv" | "target"))
            .collect();
        names.sort();
        for name in names {
            list_files(root, &format!("{path}/{name}"), files);
        }
    }
}
