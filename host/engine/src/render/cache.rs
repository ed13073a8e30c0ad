//! A render as it is stored outside of the cluster: in the render cache and in plan files. It holds placeholders, never
//! the value of a secret.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::RunError;
use crate::stages::{ImageSet, Rendered};
use todohost_model::object::{Object, ObjectRef};
use todohost_release::{Document, HookRecord, output_policies, print_manifest};
use todohost_secrets::Vault;

/// Version of the shape: entries of another version are rendered again.
pub(super) const VERSION: &str = "2";

/// A stored render.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct CachedRender {
    /// Source and object of each definition.
    pub(super) definitions: Vec<(String, Object)>,
    /// Source and object of each document.
    pub(super) documents: Vec<(String, Object)>,
    pub(super) hooks: Vec<CachedHook>,
    pub(super) notes: String,
    pub(super) chart: Value,
    pub(super) config: Value,
}

#[derive(Clone, Serialize, Deserialize)]
pub(super) struct CachedHook {
    pub(super) source: String,
    pub(super) object: Object,
    pub(super) events: Vec<String>,
    pub(super) weight: i32,
    pub(super) delete_policies: Vec<String>,
}

impl CachedRender {
    /// The objects and those of hooks, without definitions.
    pub(super) fn objects(&self) -> impl Iterator<Item = &Object> {
        let objects = self.documents.iter().map(|(_, object)| object);
        objects.chain(self.hooks.iter().map(|hook| &hook.object))
    }
}

/// The rendered objects, with the values of secrets in the hooks: the record of a revision holds those.
pub(crate) fn rendered(
    vault: &Vault,
    images: ImageSet,
    cached: CachedRender,
    renderer: String,
    inputs: String,
) -> Result<Rendered, RunError> {
    let original = cached.clone();
    let hooks = cached.hooks.into_iter().map(|hook| {
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
        images,
        hooks: hooks.collect::<Result<_, _>>()?,
        definitions: documents(cached.definitions),
        documents: documents(cached.documents),
        notes: cached.notes,
        chart: cached.chart,
        config: cached.config,
        cached: Some(original),
        renderer,
        inputs,
        from_revision: None,
    })
}
