//! Rendering: twice with two forms of every secret's placeholder, compared, and remembered.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::error::RunError;
use super::schedule::Report;
use super::session::{Deadline, Rendered, Session};
use super::template;
use crate::plan::Chosen;
use todohost_model::digest::{Hasher, IgnorePatterns, digest_tree};
use todohost_model::event::{Bus, EventKind, Finding};
use todohost_model::object::{Object, ObjectRef};
use todohost_model::value_path::ValuePath;
use todohost_project::values::Values;
use todohost_release::{Document, HookRecord, output_policies, parse_manifest, print_manifest};
use todohost_runtime::plugin::wit::render;
use todohost_secrets::{Nonce, SecretFinding};

/// Version of what is remembered: another shape is another question.
const MEMO_VERSION: &str = "2";

/// What is remembered of a render: placeholders only, never a secret's value.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Remembered {
    definitions: Vec<(String, Object)>,
    documents: Vec<(String, Object)>,
    hooks: Vec<RememberedHook>,
    notes: String,
    chart: Value,
    config: Value,
}

#[derive(Clone, Serialize, Deserialize)]
struct RememberedHook {
    source: String,
    object: Object,
    events: Vec<String>,
    weight: i32,
    delete_policies: Vec<String>,
}

impl Session {
    pub(super) async fn render(&self, chosen: &Chosen, bus: Bus) -> Result<Report, RunError> {
        let values = self.values()?;
        let first = self.request(chosen, &values, Nonce::First).await?;
        let inputs = self.render_digest(chosen, &first).await?;
        let memo = self.memo("render");
        let (remembered, is_new) = match memo.recall::<Remembered>(&inputs) {
            Some(remembered) => (remembered, false),
            None => {
                let second = self.request(chosen, &values, Nonce::Second).await?;
                let (remembered, is_pure) =
                    self.render_twice(chosen, &bus, &inputs, first, second).await?;
                if is_pure {
                    memo.remember(&inputs, &remembered);
                }
                (remembered, true)
            }
        };
        let objects = remembered.documents.iter().map(|(_, object)| object);
        let hooks = remembered.hooks.iter().map(|hook| &hook.object);
        self.require_references(objects.chain(hooks))?;
        let count = remembered.documents.len();
        let rendered = self.keep(remembered, chosen.digest.clone(), inputs)?;
        if self.rendered.set(rendered).is_err() {
            return Err(RunError::internal("it was rendered twice"));
        }
        let detail = format!("{count} objects");
        Ok(if is_new { Report::done(detail) } else { Report::unchanged(detail) })
    }

    /// The user's values with the images' names laid over them.
    pub(super) fn values(&self) -> Result<Values, RunError> {
        let mut values = self.run.values.clone();
        for state in self.images() {
            let Some(image) = self.run.project.file.images.get(&state.name) else { continue };
            for (path, template) in &image.values {
                let value = template
                    .replace("{name}", &state.name)
                    .replace("{tag}", &state.tag)
                    .replace("{reference}", &state.reference);
                let parsed = ValuePath::parse(path);
                let parsed = parsed.ok_or_else(|| RunError::internal("an unchecked value path"))?;
                values.set_own(&parsed, &value, &format!("todohost.toml images.{}", state.name));
            }
        }
        Ok(values)
    }

    async fn request(
        &self,
        chosen: &Chosen,
        values: &Values,
        nonce: Nonce,
    ) -> Result<render::Request, RunError> {
        let app = &self.run.project.file.app;
        let vault = self.vault();
        let mut set_string = values.set_string.clone();
        for path in vault.paths() {
            // An empty value stays empty, an absent one absent.
            if let Some(placeholder) = vault.placeholder(&path, nonce) {
                set_string.push(format!("{path}={placeholder}"));
            }
        }
        let (kubernetes_version, api_versions) = match self.reached.get() {
            Some(reached) => {
                let versions = self.or_cancelled(reached.client.api_versions()).await?;
                (reached.client.version().git_version.clone(), versions)
            }
            None => (String::new(), Vec::new()),
        };
        let latest = self.reached.get().and_then(|reached| reached.latest.as_ref());
        let deployed = self.reached.get().and_then(|reached| reached.deployed.as_ref());
        Ok(render::Request {
            options: chosen.options.to_string(),
            release: app.name.clone(),
            namespace: app.namespace.clone(),
            revision: latest.map_or(1, |record| record.revision + 1),
            is_upgrade: deployed.is_some(),
            source: app.chart.clone(),
            values: render::Values {
                files: values
                    .files
                    .iter()
                    .map(|file| render::ValuesFile {
                        name: file.name.clone(),
                        content: file.content.clone(),
                    })
                    .collect(),
                set: values.set.clone(),
                set_string,
                set_json: values.set_json.clone(),
                set_file: values.set_file.clone(),
            },
            images: self.images().into_iter().map(|state| state.image).collect(),
            kubernetes_version,
            api_versions,
        })
    }

    /// Everything that the output depends on, unless the chart looks things up in the cluster.
    async fn render_digest(
        &self,
        chosen: &Chosen,
        request: &render::Request,
    ) -> Result<String, RunError> {
        let root = self.run.project.root.clone();
        let cache = self.run.environment.cache_dir();
        let chart = request.source.clone();
        let paths = vec![chart.clone()];
        let tree = tokio::task::spawn_blocking(move || {
            let nothing: [&str; 0] = [];
            let patterns = IgnorePatterns::new(&nothing).map_err(std::io::Error::other)?;
            digest_tree(&root, &paths, &patterns, Some(&cache))
        });
        let tree = tree.await.map_err(|error| RunError::internal(error.to_string()))?;
        let tree = tree.map_err(|source| RunError::Chart { path: chart, source })?;
        // What a build told of an image (its size, its id) is not known in every run, and no renderer needs it.
        let images: Vec<&str> =
            request.images.iter().map(|image| image.reference.as_str()).collect();
        let request =
            serde_json::to_vec(&render::Request { images: Vec::new(), ..request.clone() })
                .map_err(|error| RunError::internal(error.to_string()))?;
        let hasher = Hasher::new().part(MEMO_VERSION).part(&chosen.digest).part(tree);
        Ok(hasher.part(request).part(images.join(" ")).finish())
    }

    async fn render_twice(
        &self,
        chosen: &Chosen,
        bus: &Bus,
        inputs: &str,
        first: render::Request,
        second: render::Request,
    ) -> Result<(Remembered, bool), RunError> {
        let plugin = self.plugin(chosen)?;
        let context = self.context(bus.clone(), Deadline::Short, inputs);
        let (mut one, mut other) = (plugin.render(context.clone())?, plugin.render(context)?);
        let (first, second) = tokio::join!(one.render(first), other.render(second));
        let (first, second) = (first?, second?);
        let is_pure = !one.facts().read_cluster && !other.facts().read_cluster;
        let findings =
            first.findings.iter().cloned().map(|found| found.into_event(&chosen.id)).collect();
        if let Some(failed) = self.tell_findings(bus, findings).into_iter().next() {
            let (first, help) = (failed.message, failed.help);
            let check = chosen.id.clone();
            return Err(RunError::Checks { check, first, count: 1, help, live: false });
        }
        let (once, again) = (Read::of(&first)?, Read::of(&second)?);
        if once.counts() != again.counts() {
            let chart = self.run.project.file.app.chart.clone();
            return Err(RunError::Unstable { plugin: chosen.id.clone(), chart });
        }
        let sources: Vec<String> = once.all().map(|document| document.source.clone()).collect();
        let objects = |read: &Read| -> Vec<Object> {
            read.all().map(|document| document.object.clone()).collect()
        };
        let canonical = self
            .vault()
            .compare(&objects(&once), &objects(&again))
            .map_err(|findings| self.secret_error(bus, chosen, &findings, &sources))?;
        let mut canonical = canonical.into_iter();
        let mut take = |documents: Vec<Document>| -> Vec<(String, Object)> {
            let sources = documents.into_iter().map(|document| document.source);
            sources.map_while(|source| Some((source, canonical.next()?))).collect()
        };
        let (definitions, documents) = (take(once.definitions), take(once.documents));
        let hooks = once
            .hooks
            .into_iter()
            .zip(canonical)
            .filter_map(|((index, document), object)| {
                let hook = first.hooks.get(index)?;
                Some(RememberedHook {
                    source: document.source,
                    object,
                    events: hook.events.clone(),
                    weight: hook.weight,
                    delete_policies: hook.delete_policies.clone(),
                })
            })
            .collect();
        let json = |text: &str| serde_json::from_str::<Value>(text).unwrap_or_default();
        let mut config = json(&first.config);
        for path in self.run.project.file.secrets.keys() {
            remove(&mut config, path);
        }
        let remembered = Remembered {
            definitions,
            documents,
            hooks,
            notes: self.vault().redact(&first.notes),
            chart: json(&first.chart),
            config,
        };
        Ok((remembered, is_pure))
    }

    fn secret_error(
        &self,
        bus: &Bus,
        chosen: &Chosen,
        findings: &[SecretFinding],
        sources: &[String],
    ) -> RunError {
        let project = &self.run.project;
        let place = |finding: &SecretFinding| {
            let source = sources.get(finding.index).filter(|source| !source.is_empty())?;
            let value = finding.path.as_deref();
            let chart = &project.file.app.chart;
            Some(template::place(&project.root, chart, source, value, finding.field()))
        };
        for finding in findings {
            let (source, file) = (chosen.id.clone(), place(finding));
            bus.send(EventKind::Finding(Finding { source, file, ..Finding::from(finding) }));
        }
        match findings.first() {
            Some(first) => RunError::SecretInChart {
                first: first.to_string(),
                place: place(first).map(|place| format!(" ({place})")).unwrap_or_default(),
                count: findings.len(),
                help: first.help().to_owned(),
            },
            None => {
                let chart = self.run.project.file.app.chart.clone();
                RunError::Unstable { plugin: chosen.id.clone(), chart }
            }
        }
    }

    pub(super) fn keep(
        &self,
        remembered: Remembered,
        renderer: String,
        inputs: String,
    ) -> Result<Rendered, RunError> {
        let vault = self.vault();
        let original = remembered.clone();
        let hooks = remembered.hooks.into_iter().map(|hook| {
            let name = ObjectRef::of(&hook.object);
            let mut other = serde_json::Map::new();
            let outputs = output_policies(&hook.object);
            if !outputs.is_empty() {
                other.insert("output_log_policies".to_owned(), outputs.into());
            }
            let document =
                Document { source: hook.source.clone(), object: vault.substitute(hook.object)? };
            Ok::<_, RunError>(HookRecord {
                name: name.as_ref().map(|name| name.name.clone()).unwrap_or_default(),
                kind: name.map(|name| name.kind).unwrap_or_default(),
                path: hook.source,
                manifest: print_manifest(&[document])?,
                events: hook.events,
                weight: hook.weight,
                delete_policies: hook.delete_policies,
                other,
            })
        });
        let documents = |objects: Vec<(String, Object)>| {
            objects.into_iter().map(|(source, object)| Document { source, object }).collect()
        };
        Ok(Rendered {
            hooks: hooks.collect::<Result<_, _>>()?,
            definitions: documents(remembered.definitions),
            documents: documents(remembered.documents),
            notes: remembered.notes,
            chart: remembered.chart,
            config: remembered.config,
            remembered: Some(original),
            renderer,
            inputs,
            goes_back_to: None,
        })
    }
}

/// What came out of the renderer, as objects.
struct Read {
    definitions: Vec<Document>,
    documents: Vec<Document>,
    /// With the place of the hook that each belongs to.
    hooks: Vec<(usize, Document)>,
}

impl Read {
    fn of(rendered: &render::Rendered) -> Result<Self, RunError> {
        let objects = |manifests: &[render::Manifest]| {
            let mut documents = Vec::new();
            for manifest in manifests {
                documents.extend(parse_manifest(&manifest.source, &manifest.content)?);
            }
            Ok::<_, RunError>(documents)
        };
        let mut hooks = Vec::new();
        for (index, hook) in rendered.hooks.iter().enumerate() {
            for document in parse_manifest(&hook.source, &hook.content)? {
                hooks.push((index, document));
            }
        }
        let definitions = objects(&rendered.definitions)?;
        Ok(Self { definitions, documents: objects(&rendered.manifests)?, hooks })
    }

    fn all(&self) -> impl Iterator<Item = &Document> {
        let hooks = self.hooks.iter().map(|(_, document)| document);
        self.definitions.iter().chain(&self.documents).chain(hooks)
    }

    fn counts(&self) -> [usize; 3] {
        [self.definitions.len(), self.documents.len(), self.hooks.len()]
    }
}

/// Takes the value at a plain path away, and what then holds nothing any more.
fn remove(values: &mut Value, path: &str) {
    let Value::Object(fields) = values else { return };
    match path.split_once('.') {
        None => {
            fields.shift_remove(path);
        }
        Some((first, rest)) => {
            let Some(below) = fields.get_mut(first) else { return };
            remove(below, rest);
            if below.as_object().is_some_and(serde_json::Map::is_empty) {
                fields.shift_remove(first);
            }
        }
    }
}

/// Rendered objects as a stream for people; the data of Secrets is left out.
pub(super) fn for_people(rendered: &Rendered) -> Result<String, RunError> {
    let documents: Vec<Document> = rendered
        .definitions
        .iter()
        .chain(&rendered.documents)
        .map(|document| {
            let mut object = document.object.clone();
            if object.get("kind").and_then(Value::as_str) == Some("Secret") {
                for part in ["data", "stringData"] {
                    if let Some(Value::Object(fields)) = object.get_mut(part) {
                        for value in fields.values_mut() {
                            *value = Value::String("(secret)".to_owned());
                        }
                    }
                }
            }
            Document { source: document.source.clone(), object }
        })
        .collect();
    Ok(print_manifest(&documents)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_removed_from_the_recorded_values() {
        let mut values = serde_json::json!({"secrets": {"db": "x", "other": 1}, "top": 2});
        remove(&mut values, "secrets.db");
        remove(&mut values, "top");
        remove(&mut values, "not.there");
        assert_eq!(values, serde_json::json!({"secrets": {"other": 1}}));
        remove(&mut values, "secrets.other");
        assert_eq!(values, serde_json::json!({}));
    }
}
