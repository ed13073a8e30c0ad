//! The renderer's answer as objects, and rendered objects as text for people.

use serde_json::Value;

use crate::error::RunError;
use crate::stages::Rendered;
use todohost_release::{Document, parse_manifest, print_manifest};
use todohost_runtime::plugin::wit::render;

/// The renderer's answer, parsed.
pub(super) struct Parsed {
    pub(super) definitions: Vec<Document>,
    pub(super) documents: Vec<Document>,
    /// Each object with the index of its hook.
    pub(super) hooks: Vec<(usize, Document)>,
}

impl Parsed {
    pub(super) fn of(rendered: &render::Rendered) -> Result<Self, RunError> {
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

    pub(super) fn all(&self) -> impl Iterator<Item = &Document> {
        let hooks = self.hooks.iter().map(|(_, document)| document);
        self.definitions.iter().chain(&self.documents).chain(hooks)
    }

    pub(super) fn counts(&self) -> [usize; 3] {
        [self.definitions.len(), self.documents.len(), self.hooks.len()]
    }
}

/// Rendered objects as a YAML stream for people; the data of Secrets is masked.
pub(crate) fn for_people(rendered: &Rendered) -> Result<String, RunError> {
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
